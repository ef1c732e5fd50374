"""Noise in the finest detail of an image, where there is no air around the body that would tell it.

The signal falls with the spatial frequency, noise behind a window only as the window does: what the weakest of the
outer samples hold, the window taken off, is noise. It is an upper limit, as there is some signal too.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from ..geometry import FloatArray

_OUTER = 0.6
"""Distance from the centre of k-space, as a share of that of the edge, beyond which detail is fine."""

_LEAST_WEIGHT = 0.2
"""Weights of k-space below which rounding is in the way."""

_LOW = 0.15
"""Quantile of the outer samples that counts."""

_FEWEST = 25


def noise_in_detail(image: FloatArray, weights: FloatArray) -> float:
    """Noise of an image ``(D, m, n)`` whose acquired samples have these weights ``(h, w)``, as `Acquisition` has it."""
    squares, (h, w), stored = np.square(weights, dtype=np.float64), weights.shape, image.shape[1] * image.shape[2]
    power = np.square(np.abs(np.fft.fftshift(np.fft.fft2(image.astype(np.float64)), axes=(1, 2)))).mean(axis=0)
    top, left = (n // 2 - size // 2 for n, size in zip(image.shape[1:], (h, w), strict=True))
    inside = power[top : top + h, left : left + w] / stored * (h * w / stored)
    rows, columns = ((np.arange(n) - n // 2) / (n / 2) for n in (h, w))
    outer = (np.hypot(rows[:, None], columns[None]) > _OUTER) & (squares > _LEAST_WEIGHT**2)
    if outer.sum() < _FEWEST:
        return 0.0
    without_window = np.where(outer, inside / np.maximum(squares, _LEAST_WEIGHT**2), 0)
    smooth = ndimage.uniform_filter(without_window, 3)[outer]
    share = ndimage.uniform_filter(outer.astype(np.float64), 3)[outer]
    return math.sqrt(float(np.quantile(smooth / share, _LOW)))
