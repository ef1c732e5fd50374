"""Power of images by spatial frequency, and what rounding contributes to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SAME = 1e-6
"""Intensities that differ by less, as a share of the largest, are the same to single precision."""


def power_by_frequency(image: NDArray[np.floating], axis: int) -> Floats:
    """Power of the frequencies ``0 .. N // 2`` of the rows (0) or columns (1) of ``(D, H, W)``, means over all else."""
    # By Parseval's theorem the other axis need not be transformed.
    spectrum = np.fft.rfft(image.astype(np.float64), axis=axis + 1)
    return np.asarray(np.square(np.abs(spectrum)).mean(axis=(0, 2 - axis)), dtype=np.float64)


def level_by_frequency(image: NDArray[np.floating], axis: int) -> Floats:
    """The same in dB, relative to the strongest frequency."""
    power = power_by_frequency(image, axis)
    tiny = float(np.finfo(np.float64).tiny)
    return np.asarray(10 * np.log10(power / max(float(np.max(power)), tiny) + tiny), dtype=np.float64)


def rounding_step(image: NDArray[np.floating]) -> float:
    """Least difference of two intensities of an image: the step to which they were rounded."""
    steps = np.diff(np.unique(image))
    steps = steps[steps > _SAME * float(np.abs(image).max())]
    return float(steps.min()) if steps.size else 0.0


def is_signed(image: NDArray[np.floating]) -> bool:
    """Whether an image has intensities below 0, beyond rounding: no magnitude has."""
    return float(image.min()) < -1e-4 * float(np.abs(image).max())


def rounding_of_square(image: NDArray[np.floating], axis: int) -> float:
    """Power at every frequency, as `power_by_frequency` has it, that rounding leaves in the square of an image.

    Rounding by a step s adds noise of variance ``s^2 / 12``, and to the square twice the intensity times that.
    """
    squares = float(np.mean(np.square(image, dtype=np.float64)))
    return image.shape[axis + 1] * 4 * squares * rounding_step(image) ** 2 / 12
