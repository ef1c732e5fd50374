"""A pair to learn from: what a network is fed with, and what it should give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..acquisition.interpolation import upsample
from ..acquisition.stored import StoredImage
from ..geometry import FloatArray
from .normalisation import intensity_scale


@dataclass(frozen=True)
class TrainingPair:
    """Input and target of a network, normalised.

    A network whose target is no image on the grid of its input has pairs of a subclass, as `sub_pixel.SubPixelPair`.

    Parameters
    ----------
    input
        Image ``(D, H, W)``, or the channels ``(C, D, H, W)``, of which the first is an image.
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
        return self.target.shape[1] // self.input.shape[-2]

    @property
    def lack(self) -> float:
        """Sum over voxels of what the network has to add, regardless of sign; where the target is NaN, nothing."""
        return float(np.nansum(np.abs(self.target - self.input)))


def interpolated_pair(target: FloatArray, stored: StoredImage, interpolation: str, normalisation: str) -> TrainingPair:
    """Make a pair of a high-resolution image and a low-resolution one that is interpolated.

    Parameters
    ----------
    target
        High-resolution image ``(D, H, W)``.
    stored
        What a fast acquisition makes of it.
    interpolation, normalisation
        As the model wants them; see `recipes.Recipe`.
    """
    interpolated = upsample(stored.acquired, (target.shape[1], target.shape[2]), interpolation)
    if normalisation == "maximum":
        return TrainingPair(
            interpolated / np.float32(intensity_scale(interpolated, normalisation)),
            target / np.float32(intensity_scale(target, normalisation)),
        )
    scale = np.float32(intensity_scale(stored.acquired, normalisation))
    return TrainingPair(interpolated / scale, target / scale)
