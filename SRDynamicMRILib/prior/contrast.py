"""Whether a planning scan has the contrast of the series, and how to give it that, where the sequences differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..acquisition.acquisition import Acquisition
from ..acquisition.interpolation import resample, trilinear
from ..acquisition.matrices import matrix_at_resolution
from ..geometry import FloatArray, Geometry
from ..networks.normalisation import intensity_scale
from ..volume import Volume

_BINS = 32
_FEWEST_IN_BIN = 20
_FEWEST_VOXELS = 500
_SMALLEST_RANGE = 1e-3
_FLATTEST = 0.5
"""Share of the voxels whose intensities are compared, those with the smallest gradient: motion matters least there."""

_SAME = 0.93
"""R^2 of a straight line from which on contrasts count as the same.

Planning scans and time points of one sequence had 0.95 to 0.99 (a heart, a pelvis of two acquisitions, three breathing
phantoms); with intensities changed as another sequence might, 0.41 to 0.91.
"""

_GOOD_CURVE = 0.9
"""R^2 from which on a curve is used, whatever the R^2 of lines for regions."""

_WORTH = 0.02
"""By how much the R^2 of lines for regions has to be higher to prefer them: they blur detail, a curve does not."""

_SAME_OF_MAGNITUDES = 0.75
"""The same of magnitudes, which differ where fat and water cancel within a voxel.

A heart and a phantom of one sequence, like a scanner's, had 0.79 to 0.93, with inverted intensities 0.64 to 0.73. To
change the intensities of that heart cost half of what fine-tuning gains.
"""

REGION = (3, 7, 7)
"""Low-resolution voxels ``(D, H, W)`` over which a line is fitted: larger than motion, smaller than an organ."""

LEAST_VARIANCE = 1e-3
"""Added to the variance in a region, intensities relative to the 99.9th percentile: noise has no slope."""


@dataclass(frozen=True)
class PriorAndSeries:
    """A planning scan and a time point, ``(D, h, w)`` at the resolution of the series, on one grid.

    Parameters
    ----------
    prior, series
        Intensities relative to the 99.9th percentile.
    prior_scale, series_scale
        Those percentiles.
    covered
        Which voxels lie in the field of view of both.
    grid
        Where they are.
    """

    prior: FloatArray
    series: FloatArray
    prior_scale: np.float32
    series_scale: np.float32
    covered: NDArray[np.bool_]
    grid: Geometry


def at_one_resolution(prior: Volume, low_resolution: Volume) -> PriorAndSeries | None:
    """Bring a planning scan and a time point to one grid; None if they share too few voxels to be compared.

    Raises
    ------
    InputError
        If the two do not overlap in space.
    """
    acquisition = _acquisition_of(low_resolution.geometry, prior.geometry)
    grid = acquisition.low_resolution_geometry(prior.geometry)
    own, other = acquisition.downsample(prior.data), resample(low_resolution, grid).data
    own_scale, other_scale = (np.float32(intensity_scale(image, "percentile")) for image in (own, other))
    covered = _covered(grid, low_resolution.geometry)
    if np.count_nonzero(covered) < _FEWEST_VOXELS:
        return None
    return PriorAndSeries(own / own_scale, other / other_scale, own_scale, other_scale, covered, grid)


@dataclass(frozen=True)
class ContrastMatch:
    """A planning scan with the contrast of a series.

    Parameters
    ----------
    prior
        The planning scan with its intensities replaced; itself if the two are of one contrast.
    way
        How: not at all, by one curve for all, or by a line for every region.
    by_line
        R^2 of the series on the planning scan as it is, by a straight line.
    r_squared
        R^2 of the series on the planning scan remapped in this way.
    """

    prior: Volume
    way: Literal["same", "curve", "regions"]
    by_line: float
    r_squared: float


def match_contrast(prior: Volume, low_resolution: Volume, *, magnitude: bool = False) -> ContrastMatch | None:
    """Replace the intensities of a planning scan by those that the series has in the same places.

    If a straight line relates the two, they are of one contrast and nothing is done. Else the curve is tried that gives
    the mean of the series over all places where the planning scan, brought to the same resolution, has a given
    intensity. It need not rise, so that tissues can change their order. Where two tissues look alike in one scan and
    differ in the other, no curve can tell; each region then gets its own line, as in a guided filter (He et al. 2013).

    Parameters
    ----------
    prior
        High-resolution planning scan.
    low_resolution
        A time point of the series.
    magnitude
        Whether it is a magnitude, whose lost phase makes it differ from the planning scan, too.

    Returns
    -------
        None if the two share too few voxels to tell, or one of them is constant there.

    Raises
    ------
    InputError
        If the two do not overlap in space.
    """
    both = at_one_resolution(prior, low_resolution)
    if both is None:
        return None
    own, other, covered = both.prior, both.series, both.covered
    gradient = in_plane_gradient(own) + in_plane_gradient(other)
    compared = covered & (gradient <= np.quantile(gradient[covered], _FLATTEST))
    x, y = own[compared].astype(np.float64), other[compared].astype(np.float64)
    if min(np.ptp(x), np.ptp(y)) < _SMALLEST_RANGE:
        return None
    by_line = max(0.0, float(np.corrcoef(x, y)[0, 1])) ** 2
    if by_line >= (_SAME_OF_MAGNITUDES if magnitude else _SAME):
        return ContrastMatch(prior, "same", by_line, by_line)
    knots, values = _curve(x, y)
    by_curve = _r_squared(y, np.interp(x, knots, values))
    slope, offset = _lines(own, other, covered)
    by_regions = _r_squared(y, (slope * own + offset)[compared])
    if by_curve >= min(_GOOD_CURVE, by_regions - _WORTH):
        changed = np.interp(prior.data / both.prior_scale, knots, values)
        return ContrastMatch(_scaled(prior, changed, both.series_scale), "curve", by_line, by_curve)
    slope, offset = (trilinear(each, (prior.shape[1], prior.shape[2])) for each in (slope, offset))
    changed = slope * (prior.data / both.prior_scale) + offset
    return ContrastMatch(_scaled(prior, changed, both.series_scale), "regions", by_line, by_regions)


def _scaled(prior: Volume, intensities: NDArray[np.floating], scale: np.float32) -> Volume:
    return prior.with_data(np.maximum(intensities, 0) * scale)


def _r_squared(values: NDArray[np.floating], predicted: NDArray[np.floating]) -> float:
    """Coefficient of determination of a prediction."""
    return 1 - float(np.var(values - predicted) / np.var(values))


def _acquisition_of(low_resolution: Geometry, prior: Geometry) -> Acquisition:
    """Acquisition that gives the prior the resolution of the series, or its own along an axis where that is lower."""
    rows, columns = matrix_at_resolution(prior, low_resolution)
    full = (prior.shape[1], prior.shape[2])
    return Acquisition((min(full[0], rows), min(full[1], columns)), full)


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


def in_plane_gradient(image: FloatArray) -> FloatArray:
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


@dataclass(frozen=True)
class LocalMoments:
    """Means, variances and covariance ``(D, H, W)`` of two images in the region around each voxel."""

    mean: tuple[FloatArray, FloatArray]
    variance: tuple[FloatArray, FloatArray]
    """At least 0."""
    covariance: FloatArray
    reached: NDArray[np.bool_]
    """Where there are enough covered voxels around; elsewhere the images do not overlap."""


def local_moments(own: FloatArray, other: FloatArray, covered: NDArray[np.bool_]) -> LocalMoments:
    """Moments of two images ``(D, H, W)`` around each voxel, over the covered ones of the `REGION` there."""
    weight = np.maximum(_mean(covered.astype(np.float32)), np.float32(1e-6))

    def average(image: FloatArray) -> FloatArray:
        return np.asarray(_mean(np.where(covered, image, np.float32(0))) / weight, dtype=np.float32)

    own_mean, other_mean = average(own), average(other)
    first, second = average(own * own) - own_mean**2, average(other * other) - other_mean**2
    return LocalMoments(
        mean=(own_mean, other_mean),
        variance=(np.maximum(first, np.float32(0)), np.maximum(second, np.float32(0))),
        covariance=average(own * other) - own_mean * other_mean,
        reached=weight > 0.05,
    )


def _mean(image: FloatArray) -> FloatArray:
    result: FloatArray = ndimage.uniform_filter(image, REGION)
    return result


def _lines(own: FloatArray, other: FloatArray, covered: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Slope and offset ``(D, H, W)`` of the line that best takes one image to the other around each voxel."""
    moments = local_moments(own, other, covered)
    slope: FloatArray = moments.covariance / (moments.variance[0] + np.float32(LEAST_VARIANCE))
    offset: FloatArray = moments.mean[1] - slope * moments.mean[0]
    reached = moments.reached
    slope, offset = (np.where(reached, each, each[reached].mean()).astype(np.float32) for each in (slope, offset))
    return _mean(slope), _mean(offset)
