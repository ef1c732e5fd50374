"""Sequences of the scene as series of the library, and back.

A sequence is read one time point at a time from its own storage, so the time point that the user looks at stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import slicer
from numpy.typing import NDArray

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.times import index_seconds, numbered
from SRDynamicMRILib.volume import Series, Volume

from ..step_queue import Stepwise, at_once
from ..translation import _
from .browsers import proxy_of
from .volumes import local_geometry, moved, store_volume, volume_of, world_matrix

_FINEST = 0.25
"""Share of the smallest step between two index values by which a value may be off and still be found."""


@dataclass(frozen=True)
class SequenceIndex:
    """What tells the time points of a sequence apart.

    Parameters
    ----------
    name, unit
        Of the values, such as ``time`` and ``s``.
    numeric
        Whether the values are numbers; Slicer keeps those in ascending order, others as they come.
    values
        One for every time point, as text.
    """

    name: str = "time"
    unit: str = "s"
    numeric: bool = True
    values: tuple[str, ...] = ()

    @property
    def times(self) -> list[float]:
        """Time of every time point in seconds; 0, 1, 2, ... where the values are no ascending times."""
        count = len(self.values)
        return (index_seconds(self.values, self.unit) if self.numeric else []) or numbered(count)


def index_of(sequence: slicer.vtkMRMLSequenceNode) -> SequenceIndex:
    """The index of a sequence."""
    values = (sequence.GetNthIndexValue(number) for number in range(sequence.GetNumberOfDataNodes()))
    numeric = sequence.GetIndexType() == slicer.vtkMRMLSequenceNode.NumericIndex
    return SequenceIndex(sequence.GetIndexName(), sequence.GetIndexUnit(), numeric, tuple(values))


def time_index(times: Iterable[float]) -> SequenceIndex:
    """The index of a series: times in seconds, to 12 digits."""
    return SequenceIndex(values=tuple(f"{time:.12g}" for time in times))


def set_index(sequence: slicer.vtkMRMLSequenceNode, index: SequenceIndex) -> None:
    """Give an empty sequence the name, unit and kind of an index, fine enough to tell its values apart."""
    kinds = slicer.vtkMRMLSequenceNode
    sequence.SetIndexName(index.name)
    sequence.SetIndexUnit(index.unit)
    sequence.SetIndexType(kinds.NumericIndex if index.numeric else kinds.TextIndex)
    if index.numeric and len(index.values) > 1:
        step = min(b - a for a, b in pairwise(sorted(map(float, index.values))))
        sequence.SetNumericIndexValueTolerance(min(sequence.GetNumericIndexValueTolerance(), _FINEST * step))


def series_of(sequence: slicer.vtkMRMLSequenceNode) -> Series:
    """Series of the volumes of a sequence, each copied when asked for; the browser stays where it is.

    The parent transform of the node that shows the sequence counts for all time points.

    Parameters
    ----------
    sequence
        A sequence of scalar volumes.

    Returns
    -------
        The series in world coordinates (LPS, mm), with times in seconds; see `SequenceIndex.times`.

    Raises
    ------
    InputError
        If it holds nothing, or no volumes, or a transform bends or shears them; later, when it is asked for, if a
        time point has another geometry than the first.
    """
    name = sequence.GetName()
    count = sequence.GetNumberOfDataNodes()
    if count == 0:
        raise InputError(_("{name} is an empty sequence; load the series again.").format(name=name))
    first = sequence.GetNthDataNode(0)
    if first is None or not first.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError(_("{name} is a sequence, but not of volumes; choose another one.").format(name=name))
    proxy = proxy_of(sequence)
    local = local_geometry(first)
    geometry = moved(local, None if proxy is None else world_matrix(proxy), name)

    def load(number: int) -> NDArray[np.generic]:
        volume = volume_of(sequence.GetNthDataNode(number))
        if not volume.geometry.same_grid(local):
            text = _(
                "Time point {number} of {name} has another size or place than the first: all time points of a "
                "series must lie on one grid. Resample them, or choose another series."
            )
            raise InputError(text.format(number=number, name=name))
        return volume.data

    return Series(load, index_of(sequence).times, geometry)


def add_sequence(
    scene: slicer.vtkMRMLScene, series: Series, name: str, index: SequenceIndex | None = None
) -> slicer.vtkMRMLSequenceNode:
    """Add a series to the scene as a sequence; another node of that name is left alone.

    Long series are better added by `adding_sequence`, in steps.

    Parameters
    ----------
    scene
        Where to add it.
    series
        Loaded one time point after the other.
    name
        Name of the node.
    index
        Has as many values as the series time points; the times of the series if not given.
    """
    return at_once(adding_sequence(scene, series, name, index))


def adding_sequence(
    scene: slicer.vtkMRMLScene, series: Series, name: str, index: SequenceIndex | None = None
) -> Stepwise[slicer.vtkMRMLSequenceNode]:
    """`add_sequence`, a time point at every step."""
    index = index or time_index(series.times)
    sequence = slicer.vtkMRMLSequenceNode()
    sequence.SetName(scene.GenerateUniqueName(name))
    set_index(sequence, index)
    for volume, value in zip(series, index.values, strict=True):
        put(sequence, volume, value)
        yield
    scene.AddNode(sequence)  # last, so that a series that cannot be read leaves no half of it in the scene
    return sequence


def put(sequence: slicer.vtkMRMLSequenceNode, volume: Volume, value: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Store a volume at an index value of a sequence, in place of what is there.

    Returns
    -------
        The sequence's own node.
    """
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(sequence.GetName())
    store_volume(volume, node)
    return sequence.SetDataNodeAtValue(node, value)
