"""Which window a scanner used: the one whose shape explains how the spectrum of an image falls.

The power of an image in k-space is that of its noise, which is the same everywhere, and of its signal, which falls with
a power of the distance from the centre, as in nature; both behind the square of the window. Every window predicts a
shape with a few free factors. The one that explains the spectrum best is chosen, of those that do it about as well the
simpler one. The signal is not known, so a window that hardly differs may be chosen, and of an image with little noise a
wrong one. Air, where there is some, is surer: it holds noise alone.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .acquisition import Acquisition
from .air import Air
from .matrices import Matrix
from .spectrum import Floats
from .windows import Window

_CELLS = 14
"""Cells between the centre and the edge of k-space, along either axis."""

_INNER = 0.3
"""Distance from the centre, as a share of that of the edge, below which the anatomy is in the way."""

_FALLS = (2.0, 3.0)
"""Powers of the distance with which the power of the signal falls."""

_SIMPLER = 0.075
"""How much worse, relative, an explanation may be for each parameter that it lacks."""

_FAR = 3.0
"""Acquired voxels up to which the correlation of noise is looked at."""

_EXACT = 0.012
"""Error of a correlation below which candidates are equally good."""

_SPECTRUM = 0.7
"""What the spectrum counts beside the air."""

_TINY = 1e-4

_PARAMETERS = {"none": 0.0, "hann": 1.0, "hamming": 1.0}


def window_of(image: NDArray[np.floating], acquired: Matrix, partial: float, air: Air | None) -> tuple[Window, str]:
    """Window and shutter of an image ``(D, m, n)``, as far as its spectrum and its air tell.

    Parameters
    ----------
    image
        As stored.
    acquired
        Acquired matrix.
    partial
        Partial Fourier, as `Acquisition` has it.
    air
        The air of the image, if there is enough.
    """
    kinds, _ = _candidates()
    misfit = np.log(_of_spectrum(image, acquired) + _TINY)
    if air is not None:
        misfit = _SPECTRUM * misfit + np.log(_of_air(air, image, acquired, partial) + _EXACT**2)
    return kinds[int(misfit.argmin())]


def _of_spectrum(image: NDArray[np.floating], acquired: Matrix) -> Floats:
    """How badly every candidate explains the spectrum of an image; 0 for all where it is too small to tell."""
    kinds, weights = _candidates()
    power, number = _power_in_cells(image, acquired)
    rows, columns = ((np.arange(_CELLS) + 0.5)[:, None] / _CELLS, (np.arange(_CELLS) + 0.5)[None] / _CELLS)
    distance = np.hypot(rows, columns)
    lines = [1.5 / max(n / 2, 1) for n in acquired]  # the centre holds the anatomy
    chosen = (distance > _INNER) & (number > 0) & (rows > lines[0]) & (columns > lines[1]) & (power > 0)
    if chosen.sum() < _CELLS:
        return np.array([_complexity(*kind) * _TINY for kind in kinds])
    inside = np.stack([weights[:, chosen], *(weights[:, chosen] * distance[chosen] ** -fall for fall in _FALLS)], 1)
    beyond = np.ones_like(inside[:, :1])  # what the magnitude and rounding spread over all of k-space
    complexity = np.array([_complexity(*kind) for kind in kinds])
    return _misfits(np.concatenate([inside, beyond], 1) / power[chosen]) * (1 + _SIMPLER * complexity)


def _complexity(window: Window, shutter: str) -> float:
    return _PARAMETERS.get(window.name, 2.0) + 0.5 * (
        (window.radial and window.name != "fermi") or shutter == "ellipse"
    )


def _of_air(air: Air, image: NDArray[np.floating], acquired: Matrix, partial: float) -> Floats:
    """Mean squared error of the correlation that every candidate predicts of the air."""
    stored = (image.shape[1], image.shape[2])
    pairs = list(zip(stored, acquired, strict=True))
    most = (_far(*pairs[0]), _far(*pairs[1]))
    found = air.correlation(most)
    # The transform of squared weights at the few lags that count, rows and columns one after the other.
    turns = [
        np.exp(-2j * np.pi * np.arange(lag + 1)[:, None] * (np.arange(h) - h // 2) / m)
        for lag, (m, h) in zip(most, pairs, strict=True)
    ]
    errors = []
    for window, shutter in _candidates()[0]:
        weights = np.square(Acquisition(acquired, acquired, None, shutter, partial, window=window).sample_weights)
        expected = turns[0] @ weights @ turns[1].T
        expected = expected / expected[0, 0]
        predicted = np.square(np.abs(expected)) if air.squared else expected.real
        errors.append(float(np.mean(np.square(predicted - found))))
    return np.array(errors)


def _far(stored: int, acquired: int) -> int:
    """Voxels beyond which noise hardly goes together."""
    return min(math.ceil(_FAR * stored / acquired), stored // 4)


def _power_in_cells(image: NDArray[np.floating], acquired: Matrix) -> tuple[Floats, NDArray[np.intp]]:
    """Mean power, and the number of samples, by the distance of rows and of columns from the centre."""
    power = np.square(np.abs(np.fft.fft2(image.astype(np.float64)))).mean(axis=0)
    cells = []
    for size, lines in zip(power.shape, acquired, strict=True):
        distance = np.abs(np.fft.fftfreq(size) * size) / (lines / 2)
        cells.append(np.minimum((distance * _CELLS).astype(int), _CELLS))
    index = (cells[0][:, None] * (_CELLS + 1) + cells[1][None]).ravel()
    total = (_CELLS + 1) ** 2
    number = np.bincount(index, minlength=total)
    mean = np.bincount(index, power.ravel(), total) / np.maximum(number, 1)
    shape = (_CELLS + 1, _CELLS + 1)
    return mean.reshape(shape)[:-1, :-1], number.reshape(shape)[:-1, :-1]


@cache
def _candidates() -> tuple[list[tuple[Window, str]], Floats]:
    """Windows and shutters that are looked at, and the squares of their weights ``(K, cells, cells)``."""
    windows = [Window(name, 0, radial) for name in ("hann", "hamming") for radial in (False, True)] + [Window()]
    windows += [Window("fermi", width) for width in (0.03, 0.05, 0.07, 0.09, 0.12, 0.15)]
    windows += [
        Window("tukey", s, radial) for s in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8) for radial in (False, True)
    ]
    deviations = (0.35, 0.4, 0.45, 0.5, 0.56, 0.63, 0.72, 0.85)
    windows += [Window("gauss", deviation, radial) for deviation in deviations for radial in (False, True)]
    fine = 4 * _CELLS
    distance = (np.arange(fine) + 0.5) / fine
    kinds, weights = [], []
    for window in windows:
        for shutter in ("rectangle", "ellipse"):
            square = np.square(window.at(distance[:, None], distance[None]))
            if shutter == "ellipse":
                square = square * (np.hypot(distance[:, None], distance[None]) <= 1)
            kinds.append((window, shutter))
            weights.append(square.reshape(_CELLS, 4, _CELLS, 4).mean(axis=(1, 3)))
    return kinds, np.array(weights)


def _misfits(templates: Floats) -> Floats:
    """Mean squared deviation from 1, in logarithms, of the best non-negative mixture of templates ``(K, T, P)``."""
    products, sums = np.einsum("kip,kjp->kij", templates, templates), templates.sum(2)
    best: Floats = np.full(len(templates), np.inf)
    for number in range(1, templates.shape[1] + 1):
        for chosen in map(list, combinations(range(templates.shape[1]), number)):
            matrix = products[:, chosen][:, :, chosen]
            matrix = matrix + 1e-9 * np.eye(number) * np.trace(matrix, axis1=1, axis2=2)[:, None, None]
            factors = np.linalg.solve(matrix, sums[:, chosen][..., None])[..., 0]
            model = np.maximum(np.einsum("ki,kip->kp", factors, templates[:, chosen]), 1e-9)
            misfit = np.minimum(np.square(np.log(model)), 1).mean(1)
            best = np.where((factors >= 0).all(1), np.minimum(best, misfit), best)
    return best
