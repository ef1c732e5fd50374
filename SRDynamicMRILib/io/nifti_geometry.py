"""Where a NIfTI file says that its voxels lie: it says so up to twice, and need not agree with itself.

The qform is a rotation, an offset and the voxel sizes of ``pixdim``; the sform is a matrix. ITK chooses one of the two
for directions and origin, but always takes the sizes from ``pixdim``, and 1 mm where that has none. Here the one that
ITK chooses is taken whole, and where the other puts voxels elsewhere, that is said.

https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields/nifti1fields_pages/qsform.html
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import Geometry

_TOLERANCE = 0.1
"""Share of a voxel's smallest size by which rounding may move a corner."""


@dataclass(frozen=True)
class _Header:
    sizes: NDArray[np.float64]
    qform: NDArray[np.float64] | None
    sform: NDArray[np.float64] | None
    scanner_anatomical: bool
    """Of the sform: ITK then prefers it."""


def nifti_geometry(header: bytes, geometry: Geometry, path: Path) -> tuple[Geometry, tuple[str, ...]]:
    """Geometry of a NIfTI file, and what its user has to know of it.

    Parameters
    ----------
    header
        The header, as NIfTI-1 has it.
    geometry
        What ITK makes of it.
    path
        The file, for messages.

    Raises
    ------
    InputError
        If neither ``pixdim`` nor the sform says how large a voxel is.
    """
    read = _read(header)
    sizes, found = read.sizes, []
    known = np.isfinite(sizes) & (sizes > 0)
    own = np.zeros(3) if read.sform is None else np.linalg.norm(read.sform[:, :3], axis=0)
    if not known.all():
        axis = int(np.flatnonzero(~known)[0])
        if read.sform is None or not (np.isfinite(own) & (own > 0)).all():
            message = (
                f"{path} does not say how large its voxels are (pixdim[{axis + 1}] is {sizes[axis]:g}); "
                "correct its header or export it again."
            )
            raise InputError(message)
        sizes = np.where(known, sizes, own)
        found.append(
            f"{path} has no voxel size along axis {axis + 1} (pixdim[{axis + 1}] is {read.sizes[axis]:g}); "
            f"the sform's {own[axis]:.4g} mm is used."
        )
    geometry = replace(geometry, spacing=_triple(sizes))
    qform = None if read.qform is None else read.qform * np.append(sizes, 1)
    if read.sform is None:
        return geometry, tuple(found)
    # Without their sizes, which ITK never takes from the sform.
    scale = np.append(np.divide(sizes, own, out=np.zeros(3), where=own > 0), 1)
    from_qform = math.inf if qform is None else _distance(geometry, qform)
    from_sform = _distance(geometry, read.sform * scale)
    tolerance = _TOLERANCE * min(geometry.spacing)
    takes_sform = from_sform < from_qform
    if max(from_qform, from_sform) <= tolerance:
        takes_sform = read.scanner_anatomical
    if not takes_sform:
        if (apart := _distance(geometry, read.sform)) > tolerance:
            found.append(_disagreement(path, "sform", "qform", apart, own, sizes))
        return geometry, tuple(found)
    if np.isfinite(own).all() and (own > 0).all():
        geometry = replace(geometry, spacing=_triple(own))
    if qform is not None and (apart := _distance(geometry, qform)) > tolerance:
        found.append(_disagreement(path, "qform", "sform", apart, sizes, own))
    elif qform is None and not np.allclose(sizes, own, rtol=1e-2):
        found.append(
            f"The sform of {path} has voxels of {_mm(own)} mm, but pixdim says {_mm(sizes)} mm; the sform is used."
        )
    return geometry, tuple(found)


def _disagreement(
    path: Path, other: str, taken: str, apart: float, others: NDArray[np.float64], own: NDArray[np.float64]
) -> str:
    voxels = "" if np.allclose(others, own, rtol=1e-2) else f" (voxels of {_mm(others)} and of {_mm(own)} mm)"
    return (
        f"The {other} and the {taken} of {path} disagree by up to {apart:.3g} mm{voxels}; the {taken} is used. "
        "Check that planning scan and series are aligned, and correct the header if they are not."
    )


def _read(header: bytes) -> _Header:
    for order in "<>":
        if struct.unpack_from(f"{order}i", header)[0] == 348:
            break
    pixdim = struct.unpack_from(f"{order}4f", header, 76)
    qform_code, sform_code = struct.unpack_from(f"{order}2h", header, 252)
    quaternion = np.array(struct.unpack_from(f"{order}6f", header, 256), dtype=np.float64)
    matrix = np.array(struct.unpack_from(f"{order}12f", header, 280), dtype=np.float64).reshape(3, 4)
    qform = None
    if qform_code > 0 and np.isfinite(quaternion).all():
        qform = _qform(quaternion, -1.0 if pixdim[0] < 0 else 1.0)
    usable = sform_code > 0 and np.isfinite(matrix).all() and matrix[:, :3].any()
    return _Header(np.abs(np.array(pixdim[1:], dtype=np.float64)), qform, matrix if usable else None, sform_code == 1)


def _qform(quaternion: NDArray[np.float64], handedness: float) -> NDArray[np.float64]:
    """3x4 matrix (RAS) of a qform with voxels of 1 mm."""
    b, c, d = quaternion[:3]
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    rotation[:, 2] *= handedness
    return np.column_stack([rotation, quaternion[3:]])


def _distance(geometry: Geometry, form: NDArray[np.float64]) -> float:
    """Largest distance in mm between the corners of a geometry (LPS) and where a 3x4 matrix (RAS) puts them."""
    depth, height, width = geometry.shape
    corners = [(x, y, z) for x in (0, width - 1) for y in (0, height - 1) for z in (0, depth - 1)]
    flip = np.array([-1.0, -1.0, 1.0])
    return max(
        float(np.linalg.norm(geometry.position(corner) - flip * (form[:, :3] @ corner + form[:, 3])))
        for corner in corners
    )


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _mm(sizes: NDArray[np.float64]) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)
