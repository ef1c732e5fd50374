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

_BLOCKS = ((7, 3), (5, 2), (4, 1))
"""Acquired rows and columns of a block of air, and voxels around the body that are no air; less where air is scarce."""

_LOW = 0.02
"""Quantile of the blocks that counts: ringing and ghosts make most of the air brighter, nothing makes it darker."""

_INDEPENDENT = 0.8
"""Independent samples of a block, as a share of its acquired ones: windows make them fewer."""

_QUIET = 1.6
"""Times the power of noise above which there is more than noise in a block."""

_APART = 2
"""Acquired voxels over which noise hardly goes together, even behind a window."""

_LEAST = 0.02
"""Share of the image that has to be air for it to tell."""


@dataclass(frozen=True)
class Air:
    """The air of an image.

    Parameters
    ----------
    power
        Mean square of its voxels where they are quietest.
    mean
        Mean of its voxels, squared or as they are.
    noise_voxels
        Its voxels squared, or as they are if the image is signed, less their mean; 0 where there is no air.
    mask
        Where the air is ``(D, m, n)``.
    squared
        Whether its voxels were squared.
    """

    power: float
    mean: float
    noise_voxels: Floats
    mask: NDArray[np.bool_]
    squared: bool

    def correlation(self, most: Matrix) -> Floats:
        """Correlation of voxels so many rows ``0 .. most[0]`` and columns ``0 .. most[1]`` apart."""
        shape = [n + m for n, m in zip(self.mask.shape[1:], most, strict=True)]  # so that nothing comes round
        products = np.square(np.abs(np.fft.rfft2(self.noise_voxels, shape))).sum(axis=0)
        pairs = np.square(np.abs(np.fft.rfft2(self.mask.astype(np.float64), shape))).sum(axis=0)
        sums, numbers = np.fft.irfft2(products, shape), np.fft.irfft2(pairs, shape)
        found = sums[: most[0] + 1, : most[1] + 1] / np.maximum(numbers[: most[0] + 1, : most[1] + 1], 1)
        return np.asarray(found / found[0, 0])

    def noise(self, weights: FloatArray) -> float:
        """Noise behind weights of the acquired samples ``(h, w)``, as `Acquisition` has it.

        Noise differs from voxel to voxel, by as much as the weights let it; ringing and ghosts change slowly. Of a
        squared magnitude with the mean M, of which N is noise, the variance that is noise's own is ``M^2 - (M - N)^2``
        (Rice's distribution). A window w leaves ``mean(w^2)`` of the power of noise, and the mean square of a magnitude
        is twice its variance.
        """
        squares = np.square(weights, dtype=np.float64)
        apart = [max(1, round(_APART * m / h)) for m, h in zip(self.mask.shape[1:], weights.shape, strict=True)]
        found = self.correlation((apart[0], apart[1]))
        complex_one = correlation_of_noise(squares, (self.mask.shape[1], self.mask.shape[2]), (apart[0], apart[1]))
        expected = np.square(np.abs(complex_one)) if self.squared else complex_one.real
        lags = (np.array([0, -1, -1]), np.array([-1, 0, -1]))
        slow = float(np.mean((found[lags] - expected[lags]) / (1 - expected[lags])))
        number = max(int(self.mask.sum()), 1)
        quick = float(np.square(self.noise_voxels).sum()) / number * (1 - slow)
        power = self.mean - math.sqrt(max(self.mean**2 - quick, 0)) if self.squared else quick
        power = min(max(power, 0.0), self.power) / (2 if self.squared else 1)
        return math.sqrt(power / max(float(squares.mean()), 1e-6))


def correlation_of_noise(squares: Floats, stored: Matrix, most: Matrix) -> NDArray[np.complex128]:
    """Correlation of complex noise behind squared weights ``(h, w)``, at lags ``0 .. most`` of the stored matrix."""
    # The transform at the few lags that count, rows and columns one after the other.
    turns = [
        np.exp(-2j * np.pi * np.arange(lag + 1)[:, None] * (np.arange(h) - h // 2) / m)
        for lag, m, h in zip(most, stored, squares.shape, strict=True)
    ]
    found = turns[0] @ squares @ turns[1].T
    return np.asarray(found / found[0, 0])


def air_of(image: FloatArray, acquired: Matrix, *, scarce: bool = True) -> Air | None:
    """Find the air of an image ``(D, m, n)``, or None if there is too little.

    `scarce` air in small blocks counts too; what is dark in a channel of a complex image may be taken for it.
    """
    body = body_mask(np.abs(image))
    blocks = _BLOCKS if scarce else _BLOCKS[:1]
    return next(filter(None, (_air_in_blocks(image, body, acquired, *each) for each in blocks)), None)


def _air_in_blocks(image: FloatArray, body: NDArray[np.bool_], acquired: Matrix, side: int, margin: int) -> Air | None:
    size = 2 * margin + 1
    around = ndimage.binary_dilation(body, np.ones((1, size, size)))
    air = ~around & (image != 0)  # some scanners set what lies outside to zero
    if air.mean() < _LEAST:
        return None
    block = [1, *(math.ceil(side * m / h) for m, h in zip(image.shape[1:], acquired, strict=True))]
    square = np.square(image, dtype=np.float64)
    share = ndimage.uniform_filter(air.astype(np.float64), block)
    mean = ndimage.uniform_filter(square * air, block)
    whole = share > 0.99
    if whole.mean() < _LEAST / 4:
        return None
    signed = is_signed(image)
    independent = _INDEPENDENT * side**2 / (2 if signed else 1)  # a magnitude has two channels
    low = float(np.quantile(mean[whole], _LOW)) / (stats.gamma.ppf(_LOW, independent) / independent)
    mask = whole & (mean < _QUIET * low)
    if not mask.any():
        return None
    values = image.astype(np.float64) if signed else square
    level = float(values[mask].mean())
    return Air(low, level, np.where(mask, values - level, 0.0), mask, not signed)
