"""Whatever holds a dynamic series, turned into a sequence with a browser: what Slicer itself does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.io.times import index_seconds, numbered
from SRDynamicMRILib.volume import Series, Volume

from ..background import in_background
from ..step_queue import Stepwise, at_once
from ..translation import _
from .browsers import add_browser, sequence_of
from .provenance import place_beside
from .sequences import SequenceIndex, add_sequence, adding_sequence, index_of, series_of, time_index
from .volumes import grid_of, moved, volume_of, world_matrix

_ALIKE = 0.95
"""Correlation of two slices from which on they may show the same place at different times."""

_DIP = 0.03
"""How much less alike slices half a period apart are, if places repeat."""

_FEWEST_REPEATS = 3
_COARSE = 4


def as_sequence(node: slicer.vtkMRMLNode) -> slicer.vtkMRMLSequenceNode:
    """The sequence that a chosen node stands for; made, with a browser, where there is none.

    Parameters
    ----------
    node
        See `chosen_series`. It is left as it is.

    Raises
    ------
    InputError
        As for `chosen_series`.
    """
    sequence = chosen_sequence(node)
    if sequence is None:
        series, index = chosen_series(node)
        sequence = add_sequence(node.GetScene(), series, f"{node.GetName()} sequence", index)
        add_browser(sequence)
        place_beside(sequence, node)
    return sequence


def chosen_sequence(node: slicer.vtkMRMLNode) -> slicer.vtkMRMLSequenceNode | None:
    """The sequence that a node is or shows; None for any other."""
    return node if node.IsA("vtkMRMLSequenceNode") else sequence_of(node)


def chosen_series(node: slicer.vtkMRMLNode) -> tuple[Series, SequenceIndex]:
    """The series that a chosen node stands for, and its index, without changing the scene.

    Parameters
    ----------
    node
        A sequence, the node that shows one, a MultiVolume, or a volume, which is a series of one time point.

    Raises
    ------
    InputError
        If the node is none of these, or holds no grey-scale image.
    """
    sequence = chosen_sequence(node)
    if sequence is not None:
        return series_of(sequence), index_of(sequence)
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        text = _("{name} is neither a sequence nor a volume; choose one of those.")
        raise InputError(text.format(name=node.GetName()))
    if is_multivolume(node):
        return _frames(node)
    return Series.of([volume_of(node)]), SequenceIndex(values=("0",))


def load_sequence(scene: slicer.vtkMRMLScene, path: Path | str, name: str = "") -> slicer.vtkMRMLSequenceNode:
    """Load a series as a sequence with a browser.

    Parameters
    ----------
    scene
        Where to add it.
    path
        A 4D NIfTI file, a ``.seq.nrrd``, a folder of volumes or of DICOM slices; see `SRDynamicMRILib.read_series`.
    name
        Of the node; that of the file if empty.

    Raises
    ------
    InputError
        If it cannot be read; nothing is added then.
    """
    return at_once(loading_sequence(scene, path, name))


def loading_sequence(
    scene: slicer.vtkMRMLScene, path: Path | str, name: str = ""
) -> Stepwise[slicer.vtkMRMLSequenceNode]:
    """`load_sequence` in steps: the file is read in the background, then a time point is added at every step."""
    series = yield from in_background(lambda: read_series(path))
    stem = Path(path).name
    for ending in (".gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".seq"):
        stem = stem.removesuffix(ending)
    sequence = yield from adding_sequence(scene, series, name or stem)
    add_browser(sequence)
    return sequence


def is_multivolume(node: slicer.vtkMRMLNode) -> bool:
    """Whether a node is a MultiVolume: Slicer's older way, time points as components of one image."""
    return node.IsA("vtkMRMLMultiVolumeNode") or node.GetAttribute("MultiVolume.NumberOfFrames") is not None


def _frames(node: slicer.vtkMRMLScalarVolumeNode) -> tuple[Series, SequenceIndex]:
    """Time points and index of a MultiVolume."""
    image = node.GetImageData()
    if image is None:
        raise InputError(_("{name} holds no voxels; load it again.").format(name=node.GetName()))
    geometry = moved(grid_of(node), world_matrix(node), node.GetName())
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(*geometry.shape, -1)
    labels = [text.strip() for text in (node.GetAttribute("MultiVolume.FrameLabels") or "").split(",")]
    name = node.GetAttribute("MultiVolume.FrameIdentifyingDICOMTagName") or "time"
    unit = node.GetAttribute("MultiVolume.FrameIdentifyingDICOMTagUnits") or "s"
    index = SequenceIndex(name, unit, True, tuple(labels))
    if not index_seconds(labels, unit) or len(labels) != voxels.shape[-1]:
        index = time_index(numbered(voxels.shape[-1]))
    return Series(lambda number: voxels[..., number], index.times, geometry), index


def stacked_time_points(volume: Volume) -> int:
    """Number of slices after which a volume seems to show the same places again; 0 if it does not.

    A cine that was imported as one volume has its time points stacked along the slice axis: every slice looks like the
    one a whole number of periods away, and less like those between.

    Parameters
    ----------
    volume
        Volume ``(D, H, W)``.
    """
    depth = volume.shape[0]
    slices = volume.data[:, ::_COARSE, ::_COARSE].reshape(depth, -1)
    slices = slices[:, np.ptp(slices, axis=0) > 0] if depth else slices
    if depth < 2 * _FEWEST_REPEATS or slices.shape[1] < 2 or np.any(slices.std(axis=1) == 0):
        return 0
    alike = np.corrcoef(slices)

    def at(lag: int) -> float:
        return float(np.mean(np.diagonal(alike, lag)))

    for period in range(2, depth // _FEWEST_REPEATS + 1):
        if depth % period == 0 and at(period) > _ALIKE and at(period) - at(period // 2) > _DIP:
            return period
    return 1 if alike.min() > _ALIKE else 0
