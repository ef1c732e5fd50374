"""Complex images: a series of magnitudes and one of phases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .geometry import FloatArray, Geometry
from .volume import Series

_LARGEST_PHASE = 2 * math.pi * 1.001
_SCALES = (
    (-3142, 3142, "if it is in thousandths of radians, divide it by 1000"),
    (-4096, 4096, "if it runs from -4096 to 4095, multiply it by pi/4096"),
    (0, 4095, "if it runs from 0 to 4095, subtract 2048 and multiply it by pi/2048"),
)
"""Ranges in which scanners store phases, and how to scale them to radians."""

_FILLED = 0.7
"""Share of such a range that the values of a phase take up at least."""


@dataclass(frozen=True, eq=False)
class ComplexSeries:
    """A series of complex images.

    Parameters
    ----------
    magnitude
        Series ``(D, H, W)``; its facts and warnings are those of the complex images.
    phase
        Phase in radians, from -2 pi to 2 pi, on the same grid and at the same times.

    Raises
    ------
    InputError
        If the two have another grid or another number of time points.

    Examples
    --------
    >>> from SRDynamicMRILib.volume import Volume
    >>> one = Series.of([Volume(np.ones((1, 4, 4)))])
    >>> ComplexSeries(one, one.map(lambda v: v.with_data(0 * v.data), one.geometry))[0].dtype
    dtype('complex64')
    """

    magnitude: Series
    phase: Series

    def __post_init__(self) -> None:
        name = self.phase.name or "The phase"
        if not self.phase.geometry.same_grid(self.magnitude.geometry):
            message = (
                f"{name} is not on the grid of the magnitude; give a phase of the same matrix, voxel size and position."
            )
            raise InputError(message)
        if len(self.phase) != len(self.magnitude):
            message = (
                f"{name} has {len(self.phase)} time points but the magnitude has {len(self.magnitude)}; give one phase "
                "for each."
            )
            raise InputError(message)

    @property
    def geometry(self) -> Geometry:
        """The one geometry of all images."""
        return self.magnitude.geometry

    @property
    def times(self) -> tuple[float, ...]:
        """Time of every image in seconds."""
        return self.magnitude.times

    def __len__(self) -> int:
        """Number of time points."""
        return len(self.magnitude)

    def __getitem__(self, number: int) -> NDArray[np.complex64]:
        """Complex voxels ``(D, H, W)`` of a time point."""
        voxels = self.magnitude[number].data * np.exp(np.complex64(1j) * self.phase[number].data)
        return np.asarray(voxels, dtype=np.complex64)

    def __iter__(self) -> Iterator[NDArray[np.complex64]]:
        """Yield the complex voxels in order of time, each loaded when its turn comes."""
        return (self[number] for number in range(len(self)))

    def select(self, numbers: Sequence[int]) -> ComplexSeries:
        """Return the images of some of the time points, in the order given; nothing is loaded."""
        return ComplexSeries(self.magnitude.select(numbers), self.phase.select(numbers))

    def kept_in_memory(self, most: int) -> ComplexSeries:
        """Return the same images, loaded once at most; see `Series.kept_in_memory`."""
        return ComplexSeries(self.magnitude.kept_in_memory(most // 2), self.phase.kept_in_memory(most // 2))

    def with_facts(self, **facts: Any) -> ComplexSeries:
        """Return the same images with more facts, or others of the same names."""
        return ComplexSeries(self.magnitude.with_facts(**facts), self.phase)


def in_radians(phase: FloatArray, name: str) -> FloatArray:
    """The phase itself; `InputError` if its values are not radians, which says how to scale it."""
    low, high = float(phase.min()), float(phase.max())
    if not -_LARGEST_PHASE <= low <= high <= _LARGEST_PHASE:
        scales = (
            hint
            for least, most, hint in _SCALES
            if least <= low and high <= most and high - low >= _FILLED * (most - least)
        )
        how = "".join(f": {hint}" for hint in list(scales)[:1])
        message = f"{name} has values from {low:g} to {high:g}, which are no radians; scale it to -pi to pi{how}."
        raise InputError(message)
    return phase
