"""Whether the intensities of a volume are of the kind that models have been trained on.

Models see a volume divided by its 99.9th percentile. What the scans and synthetic abdomens of the main training look
like in that scale, at 100 to 6.25% of k-space, is known; a volume far from it is computed too, but nobody has measured
how well. The limits lie between what those and other scans show and what the same scans show once they are spoilt
(docs/honest_images.md has both).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..geometry import FloatArray
from ..networks.normalisation import intensity_scale
from ..volume import Volume

_FROM_MEDIAN = 0.6745
"""Median size of a normal variable of standard deviation 1."""


@dataclass(frozen=True)
class Limit:
    """A figure of a volume, the most that is usual, and what to say of more.

    Parameters
    ----------
    measure
        Gives the figure of a `normalised` image ``(D, H, W)``.
    most
        The most that needs no warning.
    words
        With ``{share}`` for the figure.
    """

    measure: Callable[[FloatArray], float]
    most: float
    words: str


def normalised(volume: Volume) -> FloatArray:
    """The image ``(D, H, W)`` as models see it, relative to its 99.9th percentile."""
    return volume.data / np.float32(intensity_scale(volume.data, "percentile"))


def _negative(image: FloatArray) -> float:
    return float(np.mean(image < -0.05))


def _floor(image: FloatArray) -> float:
    return float(np.percentile(image, 1))


def _peak(image: FloatArray) -> float:
    return float(image.max())


def _saturated(image: FloatArray) -> float:
    """Share of the voxels that have exactly the highest value; a single one is in every image."""
    return float((np.count_nonzero(image == image.max()) - 1) / image.size)


def noise(image: FloatArray) -> float:
    """Standard deviation of white noise that would explain the finest in-plane detail (Immerkaer 1996, by the median).

    Parameters
    ----------
    image
        ``(D, H, W)``.
    """
    detail = ndimage.convolve1d(ndimage.convolve1d(image, [1, -2, 1], axis=1), [1, -2, 1], axis=2)
    return float(np.median(np.abs(detail)) / (6 * _FROM_MEDIAN))


LIMITS = (
    Limit(_negative, 0.1, "{share:.0%} of the voxels are clearly negative, which never occurs in a magnitude image"),
    Limit(
        _floor,
        0.05,
        "even the darkest 1% of the voxels reach {share:.0%} of the bright ones (an offset, or an inverted scale)",
    ),
    Limit(_peak, 4.0, "some voxels are {share:.1f} times as bright as the 99.9th percentile"),
    Limit(_saturated, 0.002, "{share:.1%} of the voxels have the highest value, so the intensities are clipped"),
    Limit(noise, 0.06, "noise is {share:.0%} of the bright intensities"),
)


def unusual(volumes: Iterable[Volume], name: str) -> list[str]:
    """Return what is unusual about the intensities of volumes, a sentence for each kind; nothing if they are usual.

    Parameters
    ----------
    volumes
        Volumes ``(D, H, W)``, such as the time points of a series.
    name
        What to call them in the sentences.
    """
    found: list[list[float]] = []
    for volume in volumes:
        image = normalised(volume)
        found.append([limit.measure(image) for limit in LIMITS])
    return [
        sentence
        for limit, values in zip(LIMITS, zip(*found, strict=True), strict=True)
        for sentence in _sentences(limit, values, name)
    ]


def _sentences(limit: Limit, values: Sequence[float], name: str) -> list[str]:
    beyond = sum(value > limit.most for value in values)
    if not beyond:
        return []
    where = f" in {beyond} of {len(values)} time points" if len(values) > 1 else ""
    found = limit.words.format(share=max(values))
    return [f"The intensities of {name} are unlike those that the model was trained on{where}: {found}."]
