"""Whether a planning scan shows what the series shows: the same patient and body region, whatever the contrast.

Both are brought to one low resolution. A small shift is allowed for, because patients breathe and move
between acquisitions: the one at which the sizes of the gradients, which hardly depend on contrast, correlate best. Then
the two are compared region by region: the square of the correlation is the share of the variance there that a line
explains, which is high in another sequence of the same anatomy too, since a line may fall and every region has its own.
Only regions inside the body count: the outline of one trunk is much like that of another.

A body is nearly symmetric, so a mirrored planning scan may pass. It is found by comparing its mirror images too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ..acquisition.body import body_mask
from ..geometry import FloatArray, Geometry
from ..models.prior_copy import coarse
from ..volume import Volume
from .contrast import LEAST_VARIANCE, REGION, PriorAndSeries, at_one_resolution, in_plane_gradient, local_moments

FITS = 0.17
"""Similarity from which on a planning scan is taken to show what the series shows.

Scans of the same anatomy had 0.14 to 0.82, all but synthetic ones above 0.17: hearts, a pelvis, kidneys and breathing
phantoms, also with other contrasts, shifted, and noisy. Scans of another body region and of another patient's heart or
kidneys, and voxels in random order had 0.01 to 0.12 (Studies/checks.py).
"""

MIRRORED = 1.4
"""How many times more similar a mirror image of the planning scan has to be for the scan to count as mirrored.

Mirror images of right planning scans were at most 1.11 times as similar as the scan itself (Studies/checks.py).
"""

SIMILARITY = "similarity of prior and series"
"""Name of the figure in a fine-tuned model's metadata."""

FORMER_SIMILARITY = "likeness of prior and series"
"""The same in models of earlier versions."""

_ENOUGH = 0.003
"""Variance, in units of the 99.9th percentile squared, above which regions count alike: no edge outweighs organs."""

_REACH = 40.0
"""Largest shift in mm along an axis."""

_WAYS = ("from left to right", "from front to back", "from head to feet")
"""How an image is mirrored along the axes of the patient, LPS."""


@dataclass(frozen=True)
class Fit:
    """How well a planning scan fits a series.

    Parameters
    ----------
    similarity
        With the time point that it fits best, 0 to 1; see `similarity`.
    best
        Number of that time point among those compared.
    mirrored
        The same of its best mirror image.
    way
        How that is mirrored, in words.
    """

    similarity: float
    best: int = 0
    mirrored: float = 0.0
    way: str = ""

    @property
    def is_mirrored(self) -> bool:
        """Whether the planning scan seems to be mirrored."""
        return self.mirrored >= max(FITS, MIRRORED * self.similarity)

    @property
    def is_good(self) -> bool:
        """Whether the planning scan seems to show what the series shows, the right way round."""
        return self.similarity >= FITS and not self.is_mirrored


def spread(total: int) -> list[int]:
    """Numbers of the time points to compare: the first, the middle one and the last, as one may be spoilt."""
    return sorted({0, total // 2, total - 1})


def fit_of(prior: Volume, time_points: Iterable[Volume]) -> Fit | None:
    """Compare a planning scan with some time points of a series.

    Parameters
    ----------
    prior
        High-resolution planning scan, or a `prior_copy.PriorCopy` of it.
    time_points
        At least one; see `spread`.

    Returns
    -------
        How well it fits the time point that it fits best; None if they share too few voxels to tell.
    """
    small = coarse(prior)
    found: Fit | None = None
    best: PriorAndSeries | None = None
    for number, time_point in enumerate(time_points):
        both = _together(small, time_point)
        value = None if both is None else _similarity(both, _compared(both))
        if value is not None and (found is None or value > found.similarity):
            found, best = Fit(value, number), both
    if found is None or best is None:
        return None
    where = _compared(best)
    mirrored = {
        axes: _similarity(_mirrored(best, axes), where) for n in (1, 2, 3) for axes in combinations(range(3), n)
    }
    axes = max(mirrored, key=lambda each: mirrored[each])
    return replace(found, mirrored=mirrored[axes], way=_in_words(axes, best.grid))


def similarity(prior: Volume, low_resolution: Volume) -> float | None:
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
    """
    both = _together(coarse(prior), low_resolution)
    return None if both is None else _similarity(both, _compared(both))


def misfit(fit: Fit | None, name: str = "The planning scan") -> list[str]:
    """Return what to say of how well a planning scan fits: nothing if it fits.

    Parameters
    ----------
    fit
        What `fit_of` found.
    name
        What to call the planning scan at the beginning of the sentence.
    """
    if fit is None:
        return [
            f"{name} and the series share too little space to be compared; check that they are of the same patient and "
            "body region."
        ]
    if fit.is_mirrored:
        return [
            f"{name} seems to be mirrored {fit.way} (similarity {fit.similarity:.2f} as it is, {fit.mirrored:.2f} "
            "mirrored). Check the orientation of the planning scan and of the series before fine-tuning: "
            "a mirrored one makes results worse."
        ]
    if fit.is_good:
        return []
    return [
        f"{name} does not seem to show what the series shows (similarity {fit.similarity:.2f}; scans of the same "
        f"patient and body region have at least {FITS:g}). Check that it is the right one: "
        "fine-tuning on a wrong scan makes results worse."
    ]


def _together(small: Volume, low_resolution: Volume) -> PriorAndSeries | None:
    """Both on one grid; None if they share too few voxels."""
    if not small.geometry.overlaps(low_resolution.geometry):
        return None
    return at_one_resolution(small, coarse(low_resolution))


def _compared(both: PriorAndSeries) -> NDArray[np.bool_]:
    """Voxels ``(D, H, W)`` inside the body, without its outline where that leaves some."""
    body = body_mask(both.series)
    inner = ndimage.binary_erosion(body, np.ones((1, *REGION[1:])))
    return both.covered & (inner if inner.any() else body)


def _similarity(both: PriorAndSeries, where: NDArray[np.bool_]) -> float:
    """Similarity of a planning scan as it lies or a little shifted, whichever is higher, over some voxels."""
    in_place = _similarity_in_place(both.prior, both.series, both.covered, where)
    shift = _shift(both)
    if not any(shift):
        return in_place
    moved, there = (ndimage.shift(each, shift, order=0) for each in (both.prior, np.ones(both.prior.shape, np.float32)))
    covered = both.covered & (there > 0)
    return max(in_place, _similarity_in_place(moved, both.series, covered, where & covered))


def _similarity_in_place(
    own: FloatArray, other: FloatArray, covered: NDArray[np.bool_], where: NDArray[np.bool_]
) -> float:
    """Similarity of two images ``(D, H, W)`` as they lie, 0 to 1."""
    moments = local_moments(own, other, covered)
    first, second = moments.variance
    squared = moments.covariance**2 / ((first + np.float32(LEAST_VARIANCE)) * (second + np.float32(LEAST_VARIANCE)))
    compared = where & moments.reached
    weight = np.sqrt(np.minimum(first, _ENOUGH) * np.minimum(second, _ENOUGH))[compared]
    return float((squared[compared] * weight).sum() / weight.sum()) if weight.sum() > 0 else 0.0


def _shift(both: PriorAndSeries) -> tuple[int, int, int]:
    """Voxels ``(D, H, W)`` by which the planning scan has to be moved so that gradients lie on one another."""

    def centred(image: FloatArray) -> FloatArray:
        gradient = in_plane_gradient(image)
        return np.where(both.covered, gradient - gradient[both.covered].mean(), np.float32(0))

    own, other = centred(both.prior), centred(both.series)
    reach = [min(int(_REACH / mm), n - 1) for mm, n in zip(both.grid.spacing[::-1], own.shape, strict=True)]
    size = [fft.next_fast_len(n + r, real=True) for n, r in zip(own.shape, reach, strict=True)]  # wraps beyond reach
    correlation = fft.irfftn(fft.rfftn(other, size) * np.conj(fft.rfftn(own, size)), size)
    near = correlation[np.ix_(*(np.arange(-r, r + 1) % n for r, n in zip(reach, size, strict=True)))]
    best = np.unravel_index(int(near.argmax()), near.shape)
    z, y, x = (int(place) - r for place, r in zip(best, reach, strict=True))
    return z, y, x


def _mirrored(both: PriorAndSeries, axes: tuple[int, ...]) -> PriorAndSeries:
    """The same with the planning scan mirrored along some axes of ``(D, H, W)``."""
    return replace(both, prior=np.ascontiguousarray(np.flip(both.prior, axes)))


def _in_words(axes: tuple[int, ...], grid: Geometry) -> str:
    """How an image is mirrored along axes of ``(D, H, W)``."""
    of_patient = np.abs(np.reshape(grid.direction, (3, 3))).argmax(axis=0)
    return " and ".join(_WAYS[axis] for axis in sorted(int(of_patient[2 - axis]) for axis in axes))
