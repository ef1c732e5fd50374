"""Whether a planning scan has the contrast of the series, and how to give it that, where the sequences differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .interpolation import resample
from .kspace import crop_kspace
from .normalisation import intensity_scale
from .volume import FloatArray, Geometry, Volume

_BINS = 32
_FEWEST_IN_BIN = 20
_FEWEST_VOXELS = 500
_FLATTEST = 0.5
"""Share of the voxels whose intensities are compared, those with the smallest gradient: motion matters least there."""

_SAME = 0.93
"""Share of the variance that a line explains from which on contrasts count as the same.

Planning scans and time points of one sequence had 0.95 to 0.99 (a heart, a pelvis of two acquisitions, three breathing
phantoms); with intensities changed as another sequence might, 0.41 to 0.91.
"""

_EXPLAINED = 0.9
"""Share of the variance that a curve has to explain to be worth following."""


@dataclass(frozen=True)
class ContrastMatch:
    """A planning scan with the contrast of a series, and how far that can be told.

    Parameters
    ----------
    prior
        The planning scan, every intensity replaced by way of the curve.
    by_line, by_curve
        Share of the variance of the series that the planning scan explains: by a straight line, as if the two were of
        one contrast, and by the best curve.
    """

    prior: Volume
    by_line: float
    by_curve: float

    @property
    def is_same(self) -> bool:
        """Whether the two have one contrast."""
        return self.by_line >= _SAME

    @property
    def helps(self) -> bool:
        """Whether the curve says what the series would show."""
        return not self.is_same and self.by_curve >= max(_EXPLAINED, self.by_line)


def match_contrast(prior: Volume, low_resolution: Volume) -> ContrastMatch | None:
    """Replace the intensities of a planning scan by those that the series has in the same places.

    The curve is the mean of the series over all places where the planning scan, brought to the same resolution, has a
    given intensity: a regression of one scan on the other. It need not rise, so that tissues can change their order.

    Parameters
    ----------
    prior
        High-resolution planning scan.
    low_resolution
        A time point of the series.

    Returns
    -------
        None if the two share too few voxels to tell, or one of them is constant there.

    Raises
    ------
    InputError
        If the two do not overlap in space.
    """
    kept = _resolution_of(low_resolution.geometry, prior.geometry)
    grid = prior.geometry.with_matrix(kept)
    own, other = crop_kspace(prior.data, kept), resample(low_resolution, grid).data
    own_scale, other_scale = (np.float32(intensity_scale(image, "percentile")) for image in (own, other))
    own, other = own / own_scale, other / other_scale
    compared = _covered(grid, low_resolution.geometry)
    if np.count_nonzero(compared) < _FEWEST_VOXELS:
        return None
    gradient = _gradient(own) + _gradient(other)
    compared &= gradient <= np.quantile(gradient[compared], _FLATTEST)
    x, y = own[compared].astype(np.float64), other[compared].astype(np.float64)
    if np.ptp(x) <= 0 or np.ptp(y) <= 0:
        return None
    knots, values = _curve(x, y)
    by_curve = 1 - float(np.var(y - np.interp(x, knots, values)) / np.var(y))
    changed = np.maximum(np.interp(prior.data / own_scale, knots, values), 0) * other_scale
    return ContrastMatch(prior.with_data(changed), max(0.0, float(np.corrcoef(x, y)[0, 1])) ** 2, by_curve)


def _resolution_of(low_resolution: Geometry, prior: Geometry) -> tuple[int, int]:
    """Rows and columns of the prior's k-space that reach the resolution of the series, at most all."""
    rows = round(prior.shape[1] * prior.spacing[1] / low_resolution.spacing[1])
    columns = round(prior.shape[2] * prior.spacing[0] / low_resolution.spacing[0])
    return min(prior.shape[1], max(1, rows)), min(prior.shape[2], max(1, columns))


def _covered(grid: Geometry, by: Geometry) -> NDArray[np.bool_]:
    """Which voxels ``(D, H, W)`` of a grid lie in the field of view of another."""
    steps = np.linalg.solve(by.axes, grid.axes)
    start = by.index(grid.origin)
    z, y, x = np.ogrid[tuple(slice(size) for size in grid.shape)]
    inside = np.ones(grid.shape, dtype=bool)
    for axis, size in enumerate(by.shape[::-1]):
        index = start[axis] + steps[axis, 0] * x + steps[axis, 1] * y + steps[axis, 2] * z
        inside &= (index >= -0.5) & (index <= size - 0.5)
    return inside


def _gradient(image: FloatArray) -> FloatArray:
    """Size of the in-plane gradient ``(D, H, W)``."""
    smooth = ndimage.gaussian_filter(image, (0, 0.7, 0.7))
    gradient: FloatArray = np.hypot(*np.gradient(smooth, axis=(1, 2)))
    return gradient


def _curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of `x` and of `y` over bins of `x`.

    Bins are fine both where there are many voxels and along the whole range, and hold enough voxels for a mean.
    """
    edges = np.unique(
        np.concatenate([np.linspace(0, x.max(), _BINS + 1), np.quantile(x, np.linspace(0, 1, _BINS + 1))])
    )
    number = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 1)
    count = np.bincount(number, minlength=len(edges))
    merged = np.cumsum(count) // _FEWEST_IN_BIN  # neighbours with few voxels become one bin
    merged = np.minimum(merged, merged[-1] - 1) if merged[-1] > 0 else merged
    bins = np.unique(merged[number], return_inverse=True)[1]
    voxels = np.bincount(bins)
    return np.bincount(bins, weights=x) / voxels, np.bincount(bins, weights=y) / voxels
