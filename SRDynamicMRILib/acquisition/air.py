"""The air around the body, where an image holds noise alone.

Noise tells its own strength there, and by how neighbouring voxels go together the window and the zero-filling behind
which it was stored: the covariance of noise is the Fourier transform of the squared weights of its samples, and that of
the square of a magnitude the squared modulus of this (Gudbjartsson and Patz, MRM 1995; Goodman, Statistical Optics).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from ..geometry import FloatArray
from .body import body_mask
from .matrices import Matrix
from .spectrum import Floats, is_signed

_BLOCK = 7
"""Acquired rows and columns of a block of air."""

_LOW = 0.02
"""Quantile of the blocks that counts: ringing and ghosts make most of the air brighter, nothing makes it darker."""

_INDEPENDENT = 0.8
"""Independent samples of a block, as a share of its acquired ones: windows make them fewer."""

_QUIET = 1.6
"""Times the power of noise above which there is more than noise in a block."""

_LEAST = 0.02
"""Share of the image that has to be air for it to tell."""

_MARGIN = 3
"""Voxels around the body that are no air."""


@dataclass(frozen=True)
class Air:
    """The air of an image.

    Parameters
    ----------
    power
        Mean square of its voxels where they hold noise alone.
    noise
        Its voxels squared, or as they are if the image is signed, less their mean; 0 where there is no air.
    mask
        Where the air is ``(D, m, n)``.
    squared
        Whether `noise` was squared.
    """

    power: float
    noise: Floats
    mask: NDArray[np.bool_]
    squared: bool

    def correlation(self, most: Matrix) -> Floats:
        """Correlation of voxels so many rows ``0 .. most[0]`` and columns ``0 .. most[1]`` apart."""
        shape = [n + m for n, m in zip(self.mask.shape[1:], most, strict=True)]  # so that nothing comes round
        products = np.square(np.abs(np.fft.rfft2(self.noise, shape))).sum(axis=0)
        pairs = np.square(np.abs(np.fft.rfft2(self.mask.astype(np.float64), shape))).sum(axis=0)
        sums, numbers = np.fft.irfft2(products, shape), np.fft.irfft2(pairs, shape)
        found = sums[: most[0] + 1, : most[1] + 1] / np.maximum(numbers[: most[0] + 1, : most[1] + 1], 1)
        return np.asarray(found / found[0, 0])


def air_of(image: FloatArray, acquired: Matrix) -> Air | None:
    """Find the air of an image ``(D, m, n)``, or None if there is too little."""
    size = 2 * _MARGIN + 1
    body = ndimage.binary_dilation(body_mask(np.abs(image)), np.ones((1, size, size)))
    air = ~body & (image != 0)  # some scanners set what lies outside to zero
    if air.mean() < _LEAST:
        return None
    block = [1, *(math.ceil(_BLOCK * m / h) for m, h in zip(image.shape[1:], acquired, strict=True))]
    square = np.square(image, dtype=np.float64)
    share = ndimage.uniform_filter(air.astype(np.float64), block)
    mean = ndimage.uniform_filter(square * air, block)
    whole = share > 0.99
    if whole.mean() < _LEAST / 4:
        return None
    signed = is_signed(image)
    independent = _INDEPENDENT * _BLOCK**2 / (2 if signed else 1)  # a magnitude has two channels
    low = float(np.quantile(mean[whole], _LOW)) / (stats.gamma.ppf(_LOW, independent) / independent)
    mask = whole & (mean < _QUIET * low)
    values = image.astype(np.float64) if signed else square
    level = float(values[mask].mean())
    return Air(low, np.where(mask, values - level, 0.0), mask, not signed)
