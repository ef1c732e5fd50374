"""Slicer's sequence file ``.seq.nrrd``: a NRRD of kinds ``domain domain domain list``.

The list axis comes last and has a label (``time``), a unit (``s``) and, as a key of the file, its index
values. This is what Slicer's vtkMRMLVolumeSequenceStorageNode writes. SimpleITK reads it as a vector image
with one component for every time point, but writes no such file, hence the few lines of header here.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..geometry import Geometry
from ..volume import Series

# Float voxels of real series: 4 gives files 5 % larger than 6 in a third of the time.
_COMPRESSION = 4


def is_sequence(header: sitk.ImageFileReader) -> bool:
    """Whether the components of a vector image are time points, not colours or directions."""
    kind = "NRRD_kinds[pixel]"
    return bool(header.HasMetaDataKey(kind) and header.GetMetaData(kind) == "list")


def write_sequence(series: Series, path: Path) -> None:
    """Write a series as a Slicer sequence, one time point in memory at a time.

    Parameters
    ----------
    series
        The series; its times go into the index values, in seconds to 12 digits.
    path
        Name of the file, ending in ``.nrrd``.
    """
    with path.open("wb") as file:
        file.write(sequence_header(series.geometry, series.times, "gzip"))
        with gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) as stream:
            for volume in series:
                stream.write(np.ascontiguousarray(volume.data, dtype="<f4").tobytes())


def sequence_header(geometry: Geometry, times: tuple[float, ...], encoding: str) -> bytes:
    """Header of a Slicer sequence, after which come the voxels.

    Parameters
    ----------
    geometry
        Of every time point.
    times
        In seconds.
    encoding
        Of the float32 voxels, time point after time point: ``raw`` (little endian) or ``gzip``.
    """
    depth, height, width = geometry.shape
    columns = " ".join(_vector(column) for column in geometry.axes.T)
    lines = (
        "NRRD0004",
        "# http://teem.sourceforge.net/nrrd/format.html",
        "type: float",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: {width} {height} {depth} {len(times)}",
        f"space directions: {columns} none",
        "kinds: domain domain domain list",
        'labels: "" "" "" "time"',
        'units: "" "" "" "s"',
        "endian: little",
        f"encoding: {encoding}",
        f"space origin: {_vector(geometry.origin)}",
        "DataNodeClassName:=vtkMRMLScalarVolumeNode",
        "axis 3 index type:=numeric",
        f"axis 3 index values:={' '.join(f'{time:.12g}' for time in times)}",
    )
    return ("\n".join(lines) + "\n\n").encode("ascii")


def _vector(values: Iterable[float]) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"
