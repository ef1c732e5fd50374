"""Random changes of training images that a scanner could have made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..acquisition.acquisition import Acquisition
from ..acquisition.kspace import crop_kspace
from ..geometry import FloatArray, Shape, shape_of

InPlane = tuple[int, int]
"""Rows and columns."""

_Kind = TypeVar("_Kind", bound=np.generic)


def augment(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Change resolution, contrast and orientation of an image ``(D, H, W)`` at random.

    Cutting off the outermost k-space makes the remaining image use all of its k-space, which scanners that interpolate
    do not give. A power law changes the contrast.
    """
    if rng.random() < 0.7:
        share = float(rng.uniform(0.35, 1.0))
        image = crop_kspace(image, Acquisition.centre(shape_of(image)[1:], share).acquired_matrix)
    image = np.maximum(image, 0)  # ringing, of this cut or of an earlier one
    peak = float(np.percentile(image, 99.9))
    if rng.random() < 0.5 and peak > 0:
        image = (image / peak) ** np.float32(rng.uniform(0.6, 1.6)) * peak
    turned: FloatArray = np.rot90(image, int(rng.integers(4)), axes=(1, 2))
    return turned


@dataclass(frozen=True)
class ShiftAndMirror:
    """The planning scan as it would look had the patient lain a little differently in the scanner.

    A network that sees the planning scan at one place only learns by heart what is where, which helps as long as
    nothing has moved. Shifted by less than a low-resolution voxel and mirrored, the same anatomy gives other
    low-resolution images.

    Parameters
    ----------
    shift
        Voxels by which the image is moved along rows and columns; what leaves on one side comes in on the other.
    mirrored
        Whether rows, and whether columns, then stand in reverse order.
    """

    shift: InPlane
    mirrored: tuple[bool, bool]

    def apply(self, image: NDArray[_Kind]) -> NDArray[_Kind]:
        """The image ``(..., H, W)``, or a mask, changed so."""
        moved = np.roll(image, self.shift, (-2, -1))
        return np.ascontiguousarray(np.flip(moved, [n - 2 for n in (0, 1) if self.mirrored[n]]))


def random_shift_and_mirror(shape: Shape, acquired: InPlane, rng: np.random.Generator) -> ShiftAndMirror:
    """Draw a shift and mirroring at random.

    Parameters
    ----------
    shape
        Voxels of the image ``(D, H, W)``.
    acquired
        Rows and columns of its low-resolution image: it is shifted by less than one of their voxels.
    rng
        Source of chance.
    """
    rows, columns = (int(rng.integers(math.ceil(full / low))) for full, low in zip(shape[1:], acquired, strict=True))
    return ShiftAndMirror((rows, columns), (bool(rng.random() < 0.5), bool(rng.random() < 0.5)))
