"""Geometry: where a grid of voxels lies in the patient.

It is SimpleITK's: spacing in mm, origin and 3x3 direction cosines in LPS, all ordered ``(x, y, z)`` = ``(W, H, D)``.
"""

from __future__ import annotations

from collections.abc import Sequence
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
