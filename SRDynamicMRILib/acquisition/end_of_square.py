"""Where the spectrum of an image's square ends, even if a window hides the end.

The square of a magnitude is ``|x|^2``, whatever the phase of x, so its spectrum is the autocorrelation of k-space: of h
acquired samples it ends at frequency h. A window that comes down to nothing at the edge of k-space (Hann) makes the
autocorrelation sink below the rounding of the voxels long before. Its shape still tells where it would have ended: near
the end it is that of noise alone, which is known for every window but for a factor. The end that explains the spectrum
best, rounding included, is chosen.

This needs the end to lie within the spectrum: at least twice as many rows or columns must be stored as were acquired.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .spectrum import EMPTY, ROUNDING_MARGIN, Floats, power_by_frequency, rounding_of_square, rounding_step
from .windows import Window

_SILENCE = 1e-9
"""Power relative to the strongest that counts as rounding, too, where intensities are not integers."""

_VISIBLE = 1.3
"""Times the power of rounding above which something is seen."""

_FIRST = 0.7
"""Share of the last frequency seen from which on the shape is looked at: below there is signal, not noise alone."""

_LONGEST = 1.6
"""Times the last frequency seen up to which the end is looked for."""

_MODEL_ERROR = 0.12
"""Relative error of the predicted power."""

_OUTLIER = 9.0
"""Squared deviation, in variances, beyond which a frequency counts no more."""

_HALF = 1.0
"""How much worse, per frequency, the half of the stored matrix may explain a spectrum and is still chosen.

Scanners prefer to store twice the matrix, and a matrix too large loses nothing."""

_HIDDEN = 1.45
"""How far beyond the last frequency seen a window that ends at nothing can hide the end."""


def end_of_square(image: NDArray[np.floating], axis: int) -> int:
    """Rows (0) or columns (1) of ``(D, m, n)`` that were acquired, as the end of the square's spectrum tells.

    Returns
    -------
        Their number; with partial Fourier, of those that were measured. 0 where the spectrum does not end.
    """
    power = power_by_frequency(np.square(image, dtype=np.float64), axis)
    if power.max() == 0:
        return 0
    floor = float(np.percentile(power, 3))
    if floor > max(ROUNDING_MARGIN * rounding_of_square(image, axis), _SILENCE * power.max()):
        return 0
    last = int(np.flatnonzero(power > _VISIBLE * floor)[-1])
    if last < 6 or last >= len(power) - 2:
        return 0
    first = max(4, int(_FIRST * last))
    samples = image.size / image.shape[axis + 1]
    half = image.shape[axis + 1] // 2
    ends = np.arange(last - 1, min(int(_LONGEST * last) + 3, half + 1))
    misfits = np.array([_misfit(power[first:], first, int(end), floor, 1.5 / samples) for end in ends])
    best = int(misfits.argmin())
    if ends[-1] == half and (
        misfits[-1] < misfits[best] + _HALF or (half <= _HIDDEN * last and _is_soft(power, floor))
    ):
        return half
    return int(ends[best])


def end_of_signed(image: NDArray[np.floating], axis: int) -> int:
    """Rows or columns that were acquired of a signed image: beyond them its spectrum holds rounding alone.

    Returns
    -------
        Their number; 0 where the spectrum does not end.
    """
    power = power_by_frequency(image, axis)
    if power.max() == 0:
        return 0
    floor = float(np.percentile(power, 3))
    rounding = image.shape[axis + 1] * rounding_step(image) ** 2 / 12
    if floor > max(ROUNDING_MARGIN * rounding, _SILENCE * power.max()):
        return 0
    last = int(np.flatnonzero(power > max(2 * _VISIBLE * floor, EMPTY * power.max()))[-1])
    return 2 * last + 1 if last < len(power) - 2 else 0


def _is_soft(power: Floats, floor: float) -> bool:
    """Whether a spectrum comes down to the rounding ever more slowly, as behind a window that ends at nothing."""
    near, middle, far = (int(np.flatnonzero(power > times * floor)[-1]) for times in (2, 10, 50))
    return middle - far < 2 * (near - middle)


def _misfit(power: Floats, first: int, end: int, floor: float, variance: float) -> float:
    """How badly an end explains the power from frequency `first` on, with the window that explains it best.

    The negative log-likelihood per frequency of a normal distribution, outliers limited. `variance` is the relative one
    of the power.
    """
    shapes = _at(np.arange(first, first + len(power)) / end)
    spread = np.broadcast_to(variance * power**2 + np.square(_MODEL_ERROR * np.maximum(power - floor, 0)), shapes.shape)
    model = shapes
    for _ in range(4):  # the variance depends on the model
        signal, white, data = shapes / np.sqrt(spread), 1 / np.sqrt(spread), power / np.sqrt(spread)
        aa, ab, bb = (signal**2).sum(1), (signal * white).sum(1), (white**2).sum(1)
        ad, bd = (signal * data).sum(1), (white * data).sum(1)
        determinant = np.maximum(aa * bb - ab * ab, np.finfo(np.float64).tiny)
        factor = np.maximum((ad * bb - bd * ab) / determinant, np.finfo(np.float64).tiny)
        rounding = np.maximum((bd * aa - ad * ab) / determinant, 0.3 * floor)
        model = factor[:, None] * shapes + rounding[:, None]
        spread = variance * model**2 + np.square(_MODEL_ERROR * factor[:, None] * shapes)
    deviation = np.minimum(np.square(power - model) / spread, _OUTLIER)
    return float((deviation + np.log(spread / power**2)).mean(1).min())


def _at(lags: Floats) -> Floats:
    """Power of the square of noise at lags, as shares of the acquired matrix, for every window ``(windows, lags)``."""
    return np.array([np.interp(lags, _LAGS, shape, right=0) for shape in _shapes()])


_LAGS = np.arange(257) / 256


@cache
def _shapes() -> list[Floats]:
    """Autocorrelation along an axis of the power of noise behind a window, 1 at lag 0."""
    windows = [Window(name, 0, radial) for name in ("hann", "hamming") for radial in (False, True)]
    windows += [Window()] + [Window("fermi", width) for width in (0.03, 0.05, 0.08, 0.12)]
    windows += [Window("gauss", deviation) for deviation in (0.35, 0.45, 0.6)] + [Window("gauss", 0.45, radial=True)]
    windows += [Window("tukey", s, radial) for s in (0.1, 0.2, 0.3, 0.45, 0.6, 0.8) for radial in (False, True)]
    distance = (np.arange(256) + 0.5) / 128 - 1
    rows, columns = distance[:, None], distance[None]
    found = []
    for window in windows:
        for shutter in (np.hypot(rows, columns) < 2, np.hypot(rows, columns) <= 1):
            along = (np.square(window.at(rows, columns)) * shutter).sum(axis=1)
            whole = np.fft.irfft(np.square(np.abs(np.fft.rfft(along, 512))), 512)[:257]
            found.append(np.maximum(whole / whole[0], 0))
    return found
