"""An anatomy painted on the voxels of a scan, without noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry import FloatArray
from .anatomy import Anatomy
from .solids import Points, Solid, float32
from .tissues import LABELS, SEPTA, TEXTURE

_EDGE_WIDTH = 1.2  # voxels over which a tissue gives way to the next


def coverage(depth: FloatArray, finest: float) -> FloatArray:
    """Share of each voxel within a solid, from its depth in mm ``(d, h, w)``, measured in voxels along its gradient."""
    slope = np.sqrt(sum(np.square(g) for g in np.gradient(depth)))
    return float32(np.clip(0.5 + depth / (np.float32(_EDGE_WIDTH) * np.maximum(slope, np.float32(finest))), 0, 1))


class Boxes:
    """Finds the voxels that may lie in a bounding box, on a grid roughly along the axes."""

    def __init__(self, points: Points) -> None:
        planes = ((points.z, (1, 2)), (points.y, (0, 2)), (points.x, (0, 1)))
        self._ranges = [(values.min(axis=axes), values.max(axis=axes)) for values, axes in planes]

    def find(self, solid: Solid) -> tuple[slice, slice, slice] | None:
        """Slices ``(D, H, W)``, at least 2 voxels along each axis; None if there are none."""
        found = []
        for (least, most), low, high in zip(self._ranges, solid.low[::-1], solid.high[::-1], strict=True):
            hit = np.flatnonzero((most >= low) & (least <= high))
            if not hit.size:
                return None
            found.append(slice(max(int(hit[0]) - 1, 0), int(hit[-1]) + 2))
        return found[0], found[1], found[2]


def render(
    anatomy: Anatomy, points: Points, intensities: FloatArray, finest: float
) -> tuple[FloatArray, NDArray[np.uint8]]:
    """Noise-free image and labels ``(D, H, W)`` of an anatomy at positions `finest` mm apart."""
    image, labels = np.zeros_like(points.x), np.zeros(points.x.shape, dtype=np.uint8)
    sheets = np.exp(-((points.web / 0.13) ** 2)) * np.clip(0.6 + 0.5 * points.wobble, 0.1, 1)
    boxes = Boxes(points)
    for part in anatomy.parts:
        box = boxes.find(part.solid)
        if box is None:
            continue
        inside = points[box]
        cover = coverage(part.solid.depth(inside), 0.8 * finest)
        number = LABELS[part.tissue]
        value = intensities[number] * np.float32(part.gain) * (1 + TEXTURE[number] * inside.fine)
        if part.tissue in SEPTA:
            other, share = SEPTA[part.tissue]
            value += np.float32(share) * sheets[box] * (intensities[LABELS[other]] - value)
        image[box] += cover * (value - image[box])
        labels[box][cover > 0.5] = number
    return np.maximum(image, 0), labels
