"""The planning scan as it would look had the patient lain a little differently in the scanner.

A network that sees the planning scan at one place only learns by heart what is where, which helps as long as nothing
has moved. Shifted by less than a low-resolution voxel and mirrored, the same anatomy gives other low-resolution images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..volume import Shape

InPlane = tuple[int, int]
"""Rows and columns."""

_Kind = TypeVar("_Kind", bound=np.generic)


@dataclass(frozen=True)
class Placement:
    """How an image lies in its field of view.

    Parameters
    ----------
    shift
        Voxels by which the image is moved along rows and columns; what leaves on one side comes in on the other.
    mirrored
        Whether rows, and whether columns, then stand in reverse order.
    """

    shift: InPlane
    mirrored: tuple[bool, bool]

    def of(self, image: NDArray[_Kind]) -> NDArray[_Kind]:
        """The image ``(..., H, W)`` placed so."""
        moved = np.roll(image, self.shift, (-2, -1))
        return np.ascontiguousarray(np.flip(moved, [n - 2 for n in (0, 1) if self.mirrored[n]]))


def random_placement(shape: Shape, kept: InPlane, rng: np.random.Generator) -> Placement:
    """A placement by chance.

    Parameters
    ----------
    shape
        Voxels of the image ``(D, H, W)``.
    kept
        Rows and columns of its low-resolution image: it is shifted by less than one of their voxels.
    rng
        Source of chance.
    """
    rows, columns = (int(rng.integers(math.ceil(full / low))) for full, low in zip(shape[1:], kept, strict=True))
    return Placement((rows, columns), (bool(rng.random() < 0.5), bool(rng.random() < 0.5)))
