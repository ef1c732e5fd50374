"""Volumes and series: voxels beside the geometry that says where they are.

A volume is a float32 array of shape ``(D, H, W)`` = (slice, phase/row, read/column). Its geometry is
SimpleITK's: spacing in mm, origin and 3x3 direction cosines in LPS, all ordered ``(x, y, z)`` = ``(W, H, D)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

Shape = tuple[int, int, int]
FloatArray = NDArray[np.float32]


def shape_of(voxels: NDArray[np.generic]) -> Shape:
    """Shape ``(D, H, W)`` of an array.

    Raises
    ------
    InputError
        If it does not have three dimensions.
    """
    if voxels.ndim != 3:
        message = f"A volume needs 3 dimensions (slice, row, column) but got {voxels.ndim}."
        raise InputError(message)
    depth, height, width = voxels.shape
    return depth, height, width


@dataclass(frozen=True)
class Geometry:
    """Where a grid of voxels lies in the patient.

    Parameters
    ----------
    shape
        Number of voxels ``(D, H, W)``.
    spacing
        Voxel size in mm, ordered ``(x, y, z)``.
    origin
        Position of the centre of voxel ``(0, 0, 0)`` in mm, LPS.
    direction
        Row-major 3x3 matrix; its columns are the unit vectors of the x, y and z index axes in LPS.
    """

    shape: Shape
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @property
    def axes(self) -> NDArray[np.float64]:
        """3x3 matrix that takes an index step ``(x, y, z)`` to mm in LPS."""
        axes: NDArray[np.float64] = np.asarray(self.direction).reshape(3, 3) * np.asarray(self.spacing)
        return axes

    def position(self, index: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Position in mm (LPS) of a possibly fractional index ``(x, y, z)``."""
        position: NDArray[np.float64] = np.asarray(self.origin) + self.axes @ np.asarray(index)
        return position

    def index(self, position: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Fractional index ``(x, y, z)`` of a position in mm (LPS)."""
        index: NDArray[np.float64] = np.linalg.solve(self.axes, np.asarray(position) - np.asarray(self.origin))
        return index

    @property
    def centre(self) -> NDArray[np.float64]:
        """Position in mm (LPS) of the middle of the field of view."""
        depth, height, width = self.shape
        return self.position(((width - 1) / 2, (height - 1) / 2, (depth - 1) / 2))

    def with_matrix(self, size: tuple[int, int]) -> Geometry:
        """Geometry of the same field of view sampled by another in-plane matrix.

        Sample ``N // 2`` is the isocentre of k-space and keeps its position, so the origin moves: this is
        what cropping or padding k-space does to an image.

        Parameters
        ----------
        size
            New number of rows and columns ``(H, W)``.
        """
        depth, height, width = self.shape
        spacing = (
            self.spacing[0] * width / size[1],
            self.spacing[1] * height / size[0],
            self.spacing[2],
        )
        fixed = self.position((width // 2, height // 2, 0))
        steps = np.asarray(self.direction).reshape(3, 3) * np.asarray(spacing)
        origin = fixed - steps @ np.array([size[1] // 2, size[0] // 2, 0.0])
        return replace(
            self,
            shape=(depth, *size),
            spacing=spacing,
            origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        )

    def same_grid(self, other: Geometry, tolerance: float = 1e-2) -> bool:
        """Whether two geometries put every voxel in the same place.

        Parameters
        ----------
        other
            The geometry to compare with.
        tolerance
            Largest allowed distance between corresponding corners, in voxels of this geometry.
        """
        if self.shape != other.shape:
            return False
        depth, height, width = self.shape
        corners = [(x, y, z) for x in (0, width - 1) for y in (0, height - 1) for z in (0, depth - 1)]
        return all(np.abs(self.index(other.position(c)) - c).max() <= tolerance for c in corners)

    def same_orientation(self, other: Geometry, tolerance: float = 0.1) -> bool:
        """Whether the index axes point the same way, to within about `tolerance` radians."""
        difference = np.asarray(self.direction) - np.asarray(other.direction)
        return bool(np.abs(difference).max() <= tolerance)

    def overlaps(self, other: Geometry) -> bool:
        """Whether the fields of view share any space (by their bounding boxes in LPS)."""
        low, high = self._bounds()
        other_low, other_high = other._bounds()
        return bool(np.all(low < other_high) and np.all(other_low < high))

    def _bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        depth, height, width = self.shape
        corners = np.array(
            [
                self.position((x, y, z))
                for x in (-0.5, width - 0.5)
                for y in (-0.5, height - 0.5)
                for z in (-0.5, depth - 0.5)
            ]
        )
        return corners.min(axis=0), corners.max(axis=0)


@dataclass(frozen=True)
class Volume:
    """Voxels and their geometry.

    Parameters
    ----------
    data
        float32 array of shape ``(D, H, W)``; any real dtype is converted.
    geometry
        Where the voxels are. Without it: 1 mm voxels at the origin.
    """

    data: FloatArray
    geometry: Geometry

    def __init__(self, data: NDArray[np.generic], geometry: Geometry | None = None) -> None:
        voxels = np.asarray(data, dtype=np.float32)
        geometry = geometry or Geometry(shape_of(voxels))
        if geometry.shape != voxels.shape:
            message = f"The geometry describes {geometry.shape} voxels but there are {voxels.shape}."
            raise InputError(message)
        object.__setattr__(self, "data", voxels)
        object.__setattr__(self, "geometry", geometry)

    @property
    def shape(self) -> Shape:
        """Number of voxels ``(D, H, W)``."""
        return self.geometry.shape

    def with_data(self, data: NDArray[np.generic]) -> Volume:
        """Return other voxels ``(D, H, W)`` on the same grid; `InputError` if there are more or fewer."""
        return Volume(data, self.geometry)


class Series:
    """An ordered list of volumes of one geometry, with the time of each.

    Volumes are made when asked for, so that a long series need not be in memory at once.

    Parameters
    ----------
    load
        Returns the voxels ``(D, H, W)`` of time point ``i``.
    times
        Time of every volume in seconds, ascending.
    geometry
        The one geometry of all volumes.
    warnings
        What a user has to know of how the series was read, in sentences.
    acquired_matrix
        Rows and columns ``(h, w)`` that were acquired, where the file says so; scanners may store more.
    """

    def __init__(
        self,
        load: Callable[[int], NDArray[np.generic]],
        times: Sequence[float],
        geometry: Geometry,
        warnings: Sequence[str] = (),
        acquired_matrix: tuple[int, int] | None = None,
    ) -> None:
        self._load = load
        self.times = tuple(float(t) for t in times)
        self.geometry = geometry
        self.warnings = tuple(warnings)
        self.acquired_matrix = acquired_matrix

    @classmethod
    def of(cls, volumes: Sequence[Volume], times: Sequence[float] | None = None) -> Series:
        """Make a series of volumes in memory; without `times` they are numbered 0, 1, 2, ... s."""
        if not volumes:
            raise InputError("A series needs at least one volume.")
        geometry = volumes[0].geometry
        for number, volume in enumerate(volumes):
            if volume.shape != geometry.shape:
                message = (
                    f"Time point {number} has {volume.shape} voxels but the first has {geometry.shape}: "
                    "all time points of a series must have the same size."
                )
                raise InputError(message)
        if times is not None and len(times) != len(volumes):
            message = f"There are {len(times)} times for {len(volumes)} time points; give one for each."
            raise InputError(message)
        return cls(lambda i: volumes[i].data, range(len(volumes)) if times is None else times, geometry)

    def __len__(self) -> int:
        """Number of time points."""
        return len(self.times)

    def __getitem__(self, number: int) -> Volume:
        """Volume of time point `number`."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        return Volume(self._load(number), self.geometry)

    def __iter__(self) -> Iterator[Volume]:
        """Yield the volumes in order of time, each loaded when its turn comes."""
        return (self[i] for i in range(len(self)))

    def select(self, numbers: Sequence[int]) -> Series:
        """Return the series of some of the time points, in the order given."""
        chosen = list(numbers)
        times = [self.times[n] for n in chosen]
        return Series(lambda i: self._load(chosen[i]), times, self.geometry, self.warnings, self.acquired_matrix)

    def map(self, function: Callable[[Volume], Volume], geometry: Geometry) -> Series:
        """Return the series with `function` applied to every volume when it is asked for.

        Parameters
        ----------
        function
            Takes and returns a volume.
        geometry
            The geometry that `function` gives to its results.
        """
        return Series(lambda i: function(self[i]).data, self.times, geometry, self.warnings)
