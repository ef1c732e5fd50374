"""A pair to learn from: what a network is fed with, and what it should give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..acquisition.interpolation import upsample
from ..acquisition.kspace import crop_kspace
from ..geometry import FloatArray
from .normalisation import intensity_scale


@dataclass(frozen=True)
class TrainingPair:
    """Input and target of a network, normalised.

    A network whose target is no image on the grid of its input has pairs of a subclass, as `sub_pixel.SubPixelPair`.

    Parameters
    ----------
    input
        Image ``(D, H, W)``.
    target
        Image ``(D, n * H, n * W)``.
    """

    input: FloatArray
    target: FloatArray

    mirror_axes: ClassVar[tuple[int, ...]] = (0, 1, 2)
    """Axes along which a pair that is mirrored is still a pair."""

    @property
    def factor(self) -> int:
        """Voxels of the target per voxel of the input, along rows and along columns."""
        return self.target.shape[1] // self.input.shape[1]

    @property
    def lack(self) -> float:
        """Sum over voxels of what the network has to add, regardless of sign; where the target is NaN, nothing."""
        return float(np.nansum(np.abs(self.target - self.input)))


def interpolated_pair(
    target: FloatArray, acquired: tuple[int, int], interpolation: str, normalisation: str
) -> TrainingPair:
    """Degrade a high-resolution image as a fast acquisition would and interpolate it back.

    Parameters
    ----------
    target
        High-resolution image ``(D, H, W)``.
    acquired
        Acquired matrix: rows and columns of its k-space that are kept.
    interpolation, normalisation
        As the model wants them; see `recipes.Recipe`.
    """
    low_resolution = crop_kspace(target, acquired)
    interpolated = upsample(low_resolution, (target.shape[1], target.shape[2]), interpolation)
    if normalisation == "maximum":
        return TrainingPair(
            interpolated / np.float32(intensity_scale(interpolated, normalisation)),
            target / np.float32(intensity_scale(target, normalisation)),
        )
    scale = np.float32(intensity_scale(low_resolution, normalisation))
    return TrainingPair(interpolated / scale, target / scale)
