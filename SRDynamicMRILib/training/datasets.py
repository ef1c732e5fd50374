"""High-resolution images to train on: drawn from real scans and from synthetic ones made when first needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..geometry import FloatArray
from ..networks.training_pair import TrainingPair
from ..phantom import random_abdomen
from ..volume import Volume
from .acquisitions import Acquire
from .augmentation import augment
from .pairs import PairMaker
from .subjects import TrainingSubject

Source = Callable[[np.random.Generator], FloatArray]
"""Gives a high-resolution image ``(D, H, W)`` drawn with a source of chance."""

SLICES = 16
"""Slices taken from a volume at a time: enough for a patch, few enough to be quick."""

_SYNTHETIC_PLANE = 192
_ISOTROPIC = 1.5
_SMALLEST_PLANE = 64


def real_source(subjects: Sequence[TrainingSubject]) -> Source:
    """Draw from real scans: any subject, scan and time point, some slices, thick slices made of thin ones."""

    def draw(rng: np.random.Generator) -> FloatArray:
        subject = subjects[int(rng.integers(len(subjects)))]
        series = subject.series[int(rng.integers(len(subject.series)))]
        return some_slices(series[int(rng.integers(len(series)))], rng, SLICES)

    return draw


def some_slices(volume: Volume, rng: np.random.Generator, count: int) -> FloatArray:
    """At most `count` neighbouring slices ``(D, H, W)`` of a volume, from a random place.

    Where voxels are isotropic, any axis may become the slice axis and some slices are averaged into one, so that
    slices get the thickness of dynamic scans.
    """
    image = volume.data
    in_plane = max(volume.geometry.spacing[:2])
    if volume.geometry.spacing[2] < _ISOTROPIC * in_plane:
        axes = [axis for axis in range(3) if min(np.delete(image.shape, axis)) >= _SMALLEST_PLANE]
        image = np.moveaxis(image, int(rng.choice(axes)) if axes else 0, 0)
        thickness = min(int(rng.integers(1, 8)), image.shape[0])
        start = int(rng.integers(max(1, image.shape[0] - count * thickness)))
        image = image[start : start + count * thickness]
        whole = image.shape[0] // thickness * thickness
        image = image[:whole].reshape(-1, thickness, *image.shape[1:]).mean(axis=1)
    start = int(rng.integers(max(1, image.shape[0] - count + 1)))
    return np.ascontiguousarray(image[start : start + count], dtype=np.float32)


def synthetic_source(numbers: Sequence[int], seed: int) -> Source:
    """Draw from synthetic abdomens of random anatomy and contrast; each is made when it is first drawn, and kept.

    Parameters
    ----------
    numbers
        Which abdomens: number and seed together name one.
    seed
        Of all of them.
    """
    made: dict[int, NDArray[np.float16]] = {}

    def draw(rng: np.random.Generator) -> FloatArray:
        number = numbers[int(rng.integers(len(numbers)))]
        if number not in made:  # half precision: a thousand of them take 1.2 GB
            made[number] = synthetic_image(number, seed).astype(np.float16)
        return made[number].astype(np.float32)

    return draw


def synthetic_image(number: int, seed: int) -> FloatArray:
    """The synthetic abdomen of that number, ``(16, 192, 192)``."""
    rng = np.random.default_rng([seed, 1, number])
    return random_abdomen(rng, (SLICES, _SYNTHETIC_PLANE, _SYNTHETIC_PLANE)).data


class PairStream:
    """Endless, numbered pairs: the same seed and number always give the same pair.

    Parameters
    ----------
    sources
        Sources of images and the weight of each.
    fractions
        Shares of k-space, drawn with equal probability.
    acquire
        Makes low-resolution images, and
    make
        pairs of them as the model wants them.
    seed
        Of the whole stream.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Source, float]],
        fractions: Sequence[float],
        acquire: Acquire,
        make: PairMaker,
        seed: int,
    ) -> None:
        weights = np.array([weight for _, weight in sources], dtype=float)
        self._sources = [source for source, _ in sources]
        self._probabilities = weights / weights.sum()
        self._fractions = tuple(fractions)
        self._acquire, self._make = acquire, make
        self._seed = seed

    def pair(self, number: int) -> TrainingPair:
        """Pair of that number."""
        rng = np.random.default_rng([self._seed, 2, number])
        source = self._sources[int(rng.choice(len(self._sources), p=self._probabilities))]
        image = augment(source(rng), rng)
        return self._make(image, self._acquire(image, self._fractions, rng))
