"""Which window a scanner used: the one whose shape explains how the spectrum of an image falls.

The power of an image in k-space is that of its noise, which is the same everywhere, and of its signal; both behind the
square of the window. How the signal alone would fall, the planning scan shows (`reference`); without one, a power of
the distance from the centre is assumed, as in nature. Every window then predicts a shape with a few free factors.

A window that is not there does more harm than one that is missed: the network would sharpen what is not blurred. So
none is asserted unless it explains spectrum or air far better than no window does, and what is in between is a doubt.
Air, where there is some, holds noise alone, and shows its correlation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .acquisition import Acquisition
from .air import Air, correlation_of_noise
from .matrices import Matrix
from .reference import Reference
from .spectrum import Floats, power_in_cells
from .windows import NO_WINDOW, Window

_CELLS = (6, 14)
"""Fewest and most cells between the centre and the edge of k-space, along either axis."""

_LINES = 5
"""Acquired rows or columns for each cell."""

_INNER = 0.3
"""Distance from the centre, as a share of that of the edge, below which the anatomy is in the way."""

_FALLS = (2.0, 3.0, 4.0)
"""Powers of the distance with which the power of the signal falls, where there is no planning scan."""

_LOST_AT_EDGE = 0.85
"""Share of the power that taking the magnitude takes away at the edge, at most; there, less with the third power."""

_BEYOND = 1e-3
"""Power that the magnitude and rounding spread over all of k-space, of that of the signal; for the scale alone."""

_CLEAR = 2.0
"""How many times worse an explanation without a window has to be, in deviation, for a window to be asserted."""

_CLEAR_ALONE = 1.7
"""The same where there is no planning scan."""

_DOUBT = 1.4
"""The same for a doubt."""

_ENOUGH_LINES = 48
"""Acquired rows and columns below which the spectrum is too rough to doubt that there is no window."""

_GOOD = 0.3
"""RMS deviation, in logarithms, up to which an explanation leaves no doubt."""

_CORNERS = 1.6
"""How many times worse a rectangle has to be for the corners to count as left out."""

_PLAUSIBLE = 1.6
"""How many times worse than the best a window may be that the air may still choose."""

_USUAL = (Window("hann"), Window("hamming"))
"""Windows that scanners have most."""

_UNUSUAL = 1.15
"""How many times worse, in deviation, a usual window may be and is still preferred."""

_SIMULATED = 4
"""Windows for which the planning scan is acquired, beside the usual ones: those that are best without doing so."""

_ENOUGH_AIR = 0.01
"""Share of the image that has to be air for its correlation to count."""

_EXPLAINED = 0.07
"""RMS error of the correlation above which the air holds more than noise."""

_CLEAR_IN_AIR = 5.0
"""How many times worse, in squared error, no window has to explain the air for a window to be asserted.

Air full of ringing had up to 2."""

_FAR = 3.0
"""Acquired voxels up to which the correlation of noise is looked at."""

_EXACT = 0.03
"""Error of a correlation below which candidates are equally good."""

_SPECTRUM = 1.0
"""What the spectrum counts beside the air."""

Kind = tuple[Window, str]
"""A window and a shutter."""


@dataclass(frozen=True)
class FoundWindow:
    """The window that an image shows.

    Parameters
    ----------
    window, shutter
        As `Acquisition` has them.
    doubt
        A sentence if the spectrum leaves one; else empty.
    """

    window: Window = NO_WINDOW
    shutter: str = "rectangle"
    doubt: str = ""


def window_of(
    image: NDArray[np.floating],
    acquired: Matrix,
    *,
    magnitude: bool = True,
    partial: float = 1.0,
    air: Air | None = None,
    reference: Reference | None = None,
) -> FoundWindow:
    """Window and shutter of an image ``(D, m, n)``, as far as its spectrum and its air tell.

    Parameters
    ----------
    image
        As stored.
    acquired
        Acquired matrix.
    magnitude
        Whether it holds magnitudes.
    partial
        Partial Fourier, as `Acquisition` has it.
    air
        The air of the image, if there is enough.
    reference
        The planning scan, ready to be acquired alike.
    """
    spectrum = _Spectrum.of(image, acquired)
    if spectrum is None:
        return FoundWindow()
    misfits = spectrum.misfits_alone(magnitude) if reference is None else spectrum.misfits_to(reference)
    flat = [kind for kind in misfits if kind[0].is_flat]
    none = min(flat, key=lambda kind: misfits[kind] * (_CORNERS if kind[1] == "ellipse" else 1))
    windows = [kind for kind in misfits if not kind[0].is_flat]
    least = min(misfits[kind] for kind in windows)
    cost = {
        kind: 2 * _SPECTRUM * math.log(misfits[kind] * (1 if kind[0] in _USUAL else _UNUSUAL))
        for kind in windows
        if misfits[kind] <= _PLAUSIBLE * least
    }
    certain = False
    if air is not None and air.mask.mean() >= _ENOUGH_AIR:
        errors = _of_air(air, [none, *cost], image, acquired, partial)
        exact = min(errors[kind] for kind in cost)
        if exact < _EXPLAINED**2:
            cost = {kind: each + math.log(errors[kind] + _EXACT**2) for kind, each in cost.items()}
            certain = errors[none] > _CLEAR_IN_AIR * exact
    best = min(cost, key=lambda kind: cost[kind])
    whole = (best[0], "rectangle")
    best = whole if misfits.get(whole, math.inf) < _CORNERS * misfits[best] else best
    ratio = misfits[none] / max(misfits[best], 1e-6)
    if certain or ratio > (_CLEAR_ALONE if reference is None else _CLEAR):
        good = certain or misfits[best] < _GOOD
        return FoundWindow(
            *best, "" if good else f"It is not certain that k-space was weighted by the window {best[0]}"
        )
    if ratio <= _DOUBT or min(acquired) < _ENOUGH_LINES:
        return FoundWindow(*none)
    return FoundWindow(*none, f"K-space may have been weighted by a window such as {best[0]}, but none is assumed")


@dataclass(frozen=True)
class _Spectrum:
    """Power of an image in those cells of k-space that tell of a window.

    Parameters
    ----------
    power
        Of the chosen cells ``(P,)``.
    chosen
        Which cells they are.
    """

    power: Floats
    chosen: NDArray[np.bool_]

    @classmethod
    def of(cls, image: NDArray[np.floating], acquired: Matrix) -> _Spectrum | None:
        """The spectrum of an image ``(D, m, n)``; None if it is too small to tell."""
        cells = min(max(min(acquired) // _LINES, _CELLS[0]), _CELLS[1])
        power, number = power_in_cells(image, acquired, cells)
        rows, columns = _places(cells)
        lines = [1.5 / max(n / 2, 1) for n in acquired]  # the centre holds the anatomy
        chosen = (np.hypot(rows, columns) > _INNER) & (number > 0) & (power > 0)
        chosen &= (rows > lines[0]) & (columns > lines[1])
        return None if chosen.sum() < 2 * cells else cls(power[chosen], chosen)

    @property
    def cells(self) -> int:
        """Cells between the centre and the edge, along either axis."""
        return len(self.chosen)

    def misfits_alone(self, magnitude: bool) -> dict[Kind, float]:
        """RMS deviation of what every candidate explains, in logarithms, if the signal falls with a power."""
        rows, columns = _places(self.cells)
        distance, outermost = (each[self.chosen] for each in (np.hypot(rows, columns), np.maximum(rows, columns)))
        signals = [distance**-fall for fall in _FALLS]
        if magnitude:
            signals += [signal * (1 - _LOST_AT_EDGE * outermost**3) for signal in signals]
        return self._misfits(_candidates(), [np.array(signals) * self._square(kind) for kind in _candidates()])

    def misfits_to(self, reference: Reference) -> dict[Kind, float]:
        """The same if the signal is that of the planning scan; for some candidates."""
        flat = reference.power(NO_WINDOW, "rectangle", self.cells)[:, self.chosen]
        near = self._misfits(_candidates(), [flat * self._square(kind) for kind in _candidates()])
        ranked = sorted(near, key=lambda kind: near[kind])
        rectangle, ellipse = (min(near[kind] for kind in near if kind[1] == name) for name in ("rectangle", "ellipse"))
        shutter = "ellipse" if _CORNERS * ellipse < rectangle else "rectangle"
        windows = [window for window, its_shutter in ranked if its_shutter == shutter and not window.is_flat]
        kinds = [(window, shutter) for window in dict.fromkeys([NO_WINDOW, *_USUAL, *windows[:_SIMULATED]])]
        return self._misfits(kinds, [reference.power(*kind, self.cells)[:, self.chosen] for kind in kinds])

    def _square(self, kind: Kind) -> Floats:
        return _squares(kind, self.cells)[self.chosen]

    def _misfits(self, kinds: Sequence[Kind], signals: Sequence[Floats]) -> dict[Kind, float]:
        """Misfits of candidates whose signal has one of these shapes ``(T, P)`` or a mixture, noise added."""
        templates = []
        for kind, signal in zip(kinds, signals, strict=True):
            scale = signal[0].mean()
            noise, beyond = self._square(kind) * scale, np.full_like(signal[0], _BEYOND * scale)
            templates.append(np.concatenate([signal, noise[None], beyond[None]]) / self.power)
        return dict(zip(kinds, np.sqrt(_misfits(np.array(templates))).tolist(), strict=True))


def _places(cells: int) -> tuple[Floats, Floats]:
    """Distance of cells from the centre along the rows' axis and the columns', to be broadcast."""
    middles = (np.arange(cells) + 0.5) / cells
    rows, columns = np.meshgrid(middles, middles, indexing="ij")
    return rows, columns


def _of_air(
    air: Air, kinds: Sequence[Kind], image: NDArray[np.floating], acquired: Matrix, partial: float
) -> dict[Kind, float]:
    """Mean squared error of the correlation that every candidate predicts of the air."""
    stored = (image.shape[1], image.shape[2])
    most = (_far(stored[0], acquired[0]), _far(stored[1], acquired[1]))
    found = air.correlation(most)
    errors = {}
    for window, shutter in kinds:
        weights = Acquisition(acquired, acquired, None, shutter, partial, window=window).sample_weights
        expected = correlation_of_noise(np.square(weights, dtype=np.float64), stored, most)
        predicted = np.square(np.abs(expected)) if air.squared else expected.real
        errors[window, shutter] = float(np.mean(np.square(predicted - found)))
    return errors


def _far(stored: int, acquired: int) -> int:
    """Voxels beyond which noise hardly goes together."""
    return min(math.ceil(_FAR * stored / acquired), stored // 4)


@cache
def _candidates() -> list[Kind]:
    """Windows and shutters that are looked at."""
    windows = [NO_WINDOW] + [Window(name, 0, radial) for name in ("hann", "hamming") for radial in (False, True)]
    windows += [Window("fermi", width) for width in (0.03, 0.05, 0.07, 0.1, 0.14)]
    windows += [Window("tukey", s, radial) for s in (0.2, 0.35, 0.5, 0.65, 0.8) for radial in (False, True)]
    windows += [Window("gauss", deviation) for deviation in (0.35, 0.42, 0.5, 0.6, 0.72, 0.9)]  # radial, too
    return [(window, shutter) for window in windows for shutter in ("rectangle", "ellipse")]


@cache
def _squares(kind: Kind, cells: int) -> Floats:
    """Mean squares of the weights of a candidate in cells of k-space ``(cells, cells)``."""
    window, shutter = kind
    rows, columns = _places(4 * cells)
    square = np.square(window.at(rows, columns))
    if shutter == "ellipse":
        square = square * (np.hypot(rows, columns) <= 1)
    return np.asarray(square.reshape(cells, 4, cells, 4).mean(axis=(1, 3)))


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
