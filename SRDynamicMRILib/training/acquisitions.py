"""Low-resolution images to train on: cut from k-space with the sign kept, or as any of many scanners would store them.

What is drawn and how often is in the functions. Real scanners' images lie somewhere in between, none is left out: a
third have no window, a seventh no magnitude, a third no noise but that of the scan itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..acquisition.acquisition import Acquisition
from ..acquisition.body import body_signal
from ..acquisition.matrices import Matrix
from ..acquisition.phase import simulated_phase
from ..acquisition.stored import StoredImage
from ..acquisition.windows import NO_WINDOW, Window
from ..geometry import FloatArray, shape_of

Acquire = Callable[[FloatArray, Sequence[float], np.random.Generator], StoredImage]
"""Makes a low-resolution image of a high-resolution one ``(D, H, W)``, for one of some shares of k-space."""

WITHOUT_PHASE = 0.25
"""Share of the magnitude images whose object is real."""

_SNR = (6.0, 100.0)
_WIDEST = 0.35
"""Largest logarithm of the ratio between the share of the rows and that of the area's root."""


def cut(image: FloatArray, fractions: Sequence[float], rng: np.random.Generator) -> StoredImage:
    """Keep the centre of k-space, and the sign (paper, section 2.1)."""
    fraction = fractions[int(rng.integers(len(fractions)))]
    return simulated(image, Acquisition.centre(shape_of(image)[1:], fraction), rng)


def like_scanners(image: FloatArray, fractions: Sequence[float], rng: np.random.Generator) -> StoredImage:
    """Draw an acquisition of a scanner (`random_acquisition`), and what it stores."""
    full = shape_of(image)[1:]
    return simulated(image, random_acquisition(full, fractions, body_signal(image), rng), rng)


def without_window(image: FloatArray, fractions: Sequence[float], rng: np.random.Generator) -> StoredImage:
    """The same, of a scanner that weighs all samples alike."""
    full = shape_of(image)[1:]
    acquisition = random_acquisition(full, fractions, body_signal(image), rng)
    return simulated(image, replace(acquisition, window=NO_WINDOW), rng)


def simulated(image: FloatArray, acquisition: Acquisition, rng: np.random.Generator) -> StoredImage:
    """What an acquisition stores of an image ``(D, H, W)``, with noise and, of a magnitude, a phase of chance."""
    phase = None
    if acquisition.magnitude and rng.random() >= WITHOUT_PHASE:
        phase = simulated_phase(image, rng, acquisition.fat)
    return StoredImage.simulated(image, acquisition, phase, rng)


def random_acquisition(
    full: Matrix, fractions: Sequence[float], signal: float, rng: np.random.Generator
) -> Acquisition:
    """Draw an acquisition as scanners have them.

    Parameters
    ----------
    full
        Rows and columns of the high-resolution image.
    fractions
        Half of all acquisitions have one of these shares of k-space, the others lie between the least and the largest,
        with other shares of the rows than of the columns.
    signal
        Mean intensity of the body.
    rng
        Source of chance.
    """
    signed = rng.random() < 0.12
    noise = 0.0
    if rng.random() < 0.7:
        noise = signal / math.exp(rng.uniform(math.log(_SNR[0]), math.log(_SNR[1])))
    acquired = _random_matrix(full, fractions, rng)
    return Acquisition(
        acquired,
        full,
        _random_stored_matrix(acquired, full, rng),
        shutter="ellipse" if rng.random() < 0.15 else "rectangle",
        partial_fourier=float(rng.uniform(0.7, 0.9)) if not signed and rng.random() < 0.12 else 1.0,
        window=random_window(rng),
        noise=noise,
        magnitude=not signed,
    )


def _random_matrix(full: Matrix, fractions: Sequence[float], rng: np.random.Generator) -> Matrix:
    if rng.random() < 0.5:
        return Acquisition.centre(full, fractions[int(rng.integers(len(fractions)))]).acquired_matrix
    area, ratio = rng.uniform(min(fractions), max(fractions)), rng.uniform(-_WIDEST, _WIDEST)
    least = math.sqrt(min(fractions))
    shares = (min(1.0, max(least, math.sqrt(area) * math.exp(sign * ratio))) for sign in (1, -1))
    rows, columns = (
        max(8, n - 2 * math.ceil(n * (1 - share) / 2 - 1e-9)) for n, share in zip(full, shares, strict=True)
    )
    return min(rows, full[0]), min(columns, full[1])


def _random_stored_matrix(acquired: Matrix, full: Matrix, rng: np.random.Generator) -> Matrix:
    """Draw what the scanner makes of the acquired matrix: itself, twice it, the full one, a power of two, or any."""
    kind, any_factor = rng.random(), rng.uniform(1.1, 1.9)
    if kind < 0.35:
        return acquired
    if kind < 0.65:
        return 2 * acquired[0], 2 * acquired[1]
    if kind < 0.85:
        return max(acquired[0], full[0]), max(acquired[1], full[1])
    if kind < 0.93:
        return 1 << (acquired[0] - 1).bit_length(), 1 << (acquired[1] - 1).bit_length()
    return round(acquired[0] * any_factor), round(acquired[1] * any_factor)


def random_window(rng: np.random.Generator) -> Window:
    """Draw a window: none, or one of those that scanners have, along the axes or radial."""
    kind, radial = rng.random(), bool(rng.random() < 0.4)
    if kind < 0.4:
        return NO_WINDOW
    if kind < 0.6:
        return Window("hann", 0.0, radial)
    if kind < 0.68:
        return Window("hamming", 0.0, radial)
    if kind < 0.78:
        return Window("fermi", float(rng.uniform(0.04, 0.2)))
    if kind < 0.88:
        return Window("tukey", float(rng.uniform(0.2, 1.0)), radial)
    return Window("gauss", float(rng.uniform(0.35, 1.0)), radial)


ACQUISITIONS: dict[str, Acquire] = {"linear": cut, "scanner": like_scanners, "unfiltered": without_window}
"""What makes low-resolution images, by the name that recipes have for it."""
