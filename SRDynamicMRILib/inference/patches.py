"""Overlapping patches of a volume: where they lie, how to take them out and how to put them together again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..geometry import FloatArray, Shape, shape_of

Position = tuple[int, int, int]


def patch_positions(shape: Shape, patch: Shape, stride: Shape) -> list[Position]:
    """First voxel of every patch of a regular grid that covers the volume.

    The last patch of an axis is moved back to end with the volume, so every voxel is covered whatever the stride.

    Parameters
    ----------
    shape
        Voxels of the volume, at least `patch` on every axis (see `pad_to`).
    patch
        Voxels of a patch.
    stride
        Step between patches; a step larger than the patch is taken as the patch.
    """
    axes = []
    for size, length, step in zip(shape, patch, stride, strict=True):
        last = size - length
        axes.append([*range(0, last, min(step, length)), last])
    return list(product(*axes))


def extract(volume: FloatArray, position: Position, patch: Shape) -> FloatArray:
    """View of the patch ``(..., d, h, w)`` at a position of ``(..., D, H, W)``."""
    z, y, x = position
    return volume[..., z : z + patch[0], y : y + patch[1], x : x + patch[2]]


def pad_to(volume: FloatArray, shape: Shape) -> tuple[FloatArray, tuple[slice, slice, slice]]:
    """Grow a volume to at least `shape`, repeating its outermost voxels on both sides.

    Returns
    -------
        The padded volume, and the slices that cut the original out of it.
    """
    missing = [max(0, wanted - size) for size, wanted in zip(shape_of(volume), shape, strict=True)]
    widths = [(m // 2, m - m // 2) for m in missing]
    inner = [slice(before, before + size) for (before, _), size in zip(widths, volume.shape, strict=True)]
    padded = np.pad(volume, widths, mode="edge") if any(missing) else volume
    return padded, (inner[0], inner[1], inner[2])


def next_multiple(shape: Shape, step: int) -> Shape:
    """Smallest multiples of `step` that are at least `shape`."""
    d, h, w = (-(-size // step) * step for size in shape)
    return d, h, w


class OverlapAverage:
    """Puts overlapping patches together; where several cover a voxel, their mean counts (paper, section 2.2).

    Parameters
    ----------
    shape
        Voxels ``(D, H, W)`` of the volume.
    """

    def __init__(self, shape: Shape) -> None:
        # Sums of up to thousands of patches: double precision returns equal patches exactly.
        self._sum = np.zeros(shape, dtype=np.float64)
        self._count = np.zeros(shape, dtype=np.int32)

    def add(self, patch: NDArray[np.floating], position: Position) -> None:
        """Add a patch ``(d, h, w)`` at a position."""
        covered = tuple(slice(start, start + size) for start, size in zip(position, patch.shape, strict=True))
        self._sum[covered] += patch
        self._count[covered] += 1

    def mean(self) -> FloatArray:
        """Mean of what was added, ``(D, H, W)``.

        Raises
        ------
        ValueError
            If some voxel was never covered.
        """
        if not self._count.all():
            raise ValueError("Some voxels are not covered by any patch.")
        return (self._sum / self._count).astype(np.float32)


def tiles(
    shape: Shape, tile: Shape, halo: int
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...], tuple[slice, ...]]]:
    """Cut a volume into tiles that do not overlap, each with a margin of context.

    Parameters
    ----------
    shape
        Voxels of the volume.
    tile
        Voxels of a tile without its margin; the last ones of an axis may be smaller.
    halo
        Voxels of margin on every side, less at the volume's edge.

    Yields
    ------
        Slices of the tile with its margin in the volume; of the tile alone in the volume; and of the tile within the
        tile with margin.
    """
    starts = [range(0, size, step) for size, step in zip(shape, tile, strict=True)]
    for corner in product(*starts):
        outer, inner, core = [], [], []
        for start, size, step in zip(corner, shape, tile, strict=True):
            stop = min(start + step, size)
            low, high = max(0, start - halo), min(size, stop + halo)
            outer.append(slice(low, high))
            inner.append(slice(start, stop))
            core.append(slice(start - low, stop - low))
        yield tuple(outer), tuple(inner), tuple(core)
