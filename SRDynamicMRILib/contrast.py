"""The contrast of a planning scan made like that of the series, where the two are of different sequences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .interpolation import resample
from .kspace import crop_kspace
from .normalisation import intensity_scale
from .volume import FloatArray, Geometry, Volume

_BINS = 48
_FEWEST_VOXELS = 500
_WORTHWHILE = 0.03
"""Gain in explained variance from which on scans count as of different contrast; 0.00 to 0.01 on scans of the same."""

_FLATTEST = 0.5
"""Share of the voxels whose intensities are compared, those with the smallest gradient: motion matters least there."""


@dataclass(frozen=True)
class ContrastMatch:
    """A planning scan with the contrast of a series, and how much that explains.

    Parameters
    ----------
    prior
        The planning scan, every intensity replaced by what the series shows in its place.
    before, after
        Share of the variance of the series that the planning scan explains: by a straight line, and by the best curve.
    """

    prior: Volume
    before: float
    after: float

    @property
    def helps(self) -> bool:
        """Whether the scans are of different contrast: where they are not, a curve explains no more than a line."""
        return self.after - self.before > _WORTHWHILE


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
    kept = tuple(
        max(1, min(size, round(size * fine / coarse)))
        for size, fine, coarse in zip(
            prior.shape[1:], prior.geometry.spacing[1::-1], low_resolution.geometry.spacing[1::-1], strict=True
        )
    )
    geometry = prior.geometry.with_matrix((kept[0], kept[1]))
    own = crop_kspace(prior.data, (kept[0], kept[1]))
    inside = _covered(geometry, low_resolution.geometry)
    other = resample(low_resolution, geometry).data
    own_scale, other_scale = (np.float32(intensity_scale(image, "percentile")) for image in (own, other))
    flat = _flatness(own / own_scale) + _flatness(other / other_scale)
    if np.count_nonzero(inside) < _FEWEST_VOXELS:
        return None
    inside &= flat <= np.quantile(flat[inside], _FLATTEST)
    x, y = own[inside] / own_scale, other[inside] / other_scale
    if np.ptp(x) <= 0 or np.ptp(y) <= 0:
        return None
    knots, values = _curve(x, y)
    before = max(0.0, float(np.corrcoef(x, y)[0, 1])) ** 2
    after = 1 - float(np.var(y - np.interp(x, knots, values)) / np.var(y))
    changed = np.interp(prior.data / own_scale, knots, values) * other_scale
    return ContrastMatch(prior.with_data(changed), before, after)


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


def _flatness(image: FloatArray) -> FloatArray:
    """Size of the in-plane gradient."""
    smooth = ndimage.gaussian_filter(image, (0, 0.7, 0.7))
    gradient: FloatArray = np.hypot(*np.gradient(smooth, axis=(1, 2)))
    return gradient


def _curve(x: NDArray[np.floating], y: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Knots of a smooth curve: zero at zero, and the mean of `y` over each bin of `x`."""
    edges = np.linspace(0, max(float(x.max()), 1e-6), _BINS + 1)
    number = np.clip(np.digitize(x, edges) - 1, 0, _BINS - 1)
    count = np.bincount(number, minlength=_BINS).astype(float)
    total = np.bincount(number, weights=y, minlength=_BINS)
    weight = ndimage.gaussian_filter1d(count, 1.0)
    mean = ndimage.gaussian_filter1d(total, 1.0) / np.maximum(weight, 1e-9)
    known = weight > 1
    centres = (edges[:-1] + edges[1:]) / 2
    return np.concatenate([[0.0], centres[known]]), np.concatenate([[0.0], np.maximum(mean[known], 0)])
