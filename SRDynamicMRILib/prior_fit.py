"""Whether a planning scan shows what the series shows: the same patient and body region, whatever the contrast.

Both are brought to the resolution of the series. A small shift is allowed for, because patients breathe and move
between acquisitions: the one at which the sizes of the gradients, which hardly depend on contrast, correlate best. Then
the two are compared region by region: the square of the correlation is the share of the variance there that a line
explains, which is high in another sequence of the same anatomy too, since a line may fall and every region has its own.
Only regions inside the body count: the outline of one trunk is much like that of another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from .contrast import LEAST_VARIANCE, REGION, PriorAndSeries, at_one_resolution, in_plane_gradient, local_moments
from .metrics import body_mask
from .volume import FloatArray, Volume

FITS = 0.17
"""Likeness from which on a planning scan is taken to show what the series shows.

Scans of the same anatomy had 0.20 to 0.78: hearts, a pelvis of two acquisitions and breathing phantoms, also with other
contrasts, shifted by up to 40 mm, and with noise of 20% of the bright intensities. Scans of another body region, of
another patient's heart, upside down, and voxels in random order had 0.00 to 0.15 (Studies/checks.py).
"""

_ENOUGH = 0.003
"""Variance, in units of the 99.9th percentile squared, above which regions count alike: no edge outweighs organs."""

LIKENESS = "likeness of prior and series"
"""What a fine-tuned model's metadata calls it."""

_REACH = 40.0
"""Largest shift in mm along an axis."""


def likeness(prior: Volume, low_resolution: Volume) -> float | None:
    """How much of the local variation of a time point the planning scan explains, 0 to 1; see `FITS`.

    Parameters
    ----------
    prior
        High-resolution planning scan.
    low_resolution
        A time point of the series.

    Returns
    -------
        The mean over all regions, weighted by how much both images vary there; None if the two share too few voxels.

    Raises
    ------
    InputError
        If the two do not overlap in space.
    """
    both = at_one_resolution(prior, low_resolution)
    if both is None:
        return None
    in_place = _likeness_in_place(both.prior, both.series, both.covered)
    shift = _shift(both)
    if not any(shift):
        return in_place
    moved, there = (ndimage.shift(each, shift, order=0) for each in (both.prior, np.ones(both.prior.shape, np.float32)))
    return max(in_place, _likeness_in_place(moved, both.series, both.covered & (there > 0)))


def misfit(value: float | None) -> list[str]:
    """Return what to say of a likeness: nothing if the prior fits or that is not known."""
    if value is None or value >= FITS:
        return []
    return [
        f"The planning scan does not seem to show what the series shows (likeness {value:.2f}; scans of the same "
        f"patient and body region have at least {FITS:g}). Check that it is the right one: fine-tuning on a wrong scan "
        "makes results worse, so it stays close to the base model."
    ]


def _likeness_in_place(own: FloatArray, other: FloatArray, covered: NDArray[np.bool_]) -> float:
    """Likeness of two images ``(D, H, W)`` as they lie, 0 to 1."""
    moments = local_moments(own, other, covered)
    first, second = moments.variance
    squared = moments.covariance**2 / ((first + np.float32(LEAST_VARIANCE)) * (second + np.float32(LEAST_VARIANCE)))
    body = body_mask(other)
    inner = ndimage.binary_erosion(body, np.ones((1, *REGION[1:])))
    compared = covered & moments.reached & (inner if inner.any() else body)
    weight = np.sqrt(np.minimum(first, _ENOUGH) * np.minimum(second, _ENOUGH))[compared]
    return float((squared[compared] * weight).sum() / weight.sum()) if weight.sum() > 0 else 0.0


def _shift(both: PriorAndSeries) -> tuple[int, int, int]:
    """Voxels ``(D, H, W)`` by which the planning scan has to be moved so that gradients lie on one another."""

    def centred(image: FloatArray) -> FloatArray:
        gradient = in_plane_gradient(image)
        return np.where(both.covered, gradient - gradient[both.covered].mean(), np.float32(0))

    own, other = centred(both.prior), centred(both.series)
    size = [fft.next_fast_len(2 * n, real=True) for n in own.shape]
    correlation = fft.irfftn(fft.rfftn(other, size) * np.conj(fft.rfftn(own, size)), size)
    reach = [min(int(_REACH / mm), n - 1) for mm, n in zip(both.grid.spacing[::-1], own.shape, strict=True)]
    near = correlation[np.ix_(*(np.arange(-r, r + 1) % n for r, n in zip(reach, size, strict=True)))]
    best = np.unravel_index(int(near.argmax()), near.shape)
    z, y, x = (int(place) - r for place, r in zip(best, reach, strict=True))
    return z, y, x
