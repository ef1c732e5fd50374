"""Windows: how a scanner weighs the samples of k-space before it makes an image of them, against ringing and noise.

A window is a function of the distance from the centre of k-space, 0 there and 1 at its edge. `WINDOWS` names them. Raw
data filters of scanners work along rows and columns one after the other or on the distance in the plane; a `Window` can
do both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, look_up
from ..geometry import FloatArray
from .matrices import Matrix
from .sampling import frequencies

Distance = NDArray[np.float64]
"""Distance from the centre of k-space, as a share of that of its edge."""

_FERMI_RADIUS = 0.9
"""Distance at which a Fermi window has come down to half."""


def _none(distance: Distance, _: float) -> Distance:
    return np.ones_like(distance)


def _hann(distance: Distance, _: float) -> Distance:
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.minimum(distance, 1)))


def _hamming(distance: Distance, _: float) -> Distance:
    return np.asarray(0.54 + 0.46 * np.cos(np.pi * np.minimum(distance, 1)))


def _fermi(distance: Distance, width: float) -> Distance:
    # Divided by its value at the centre, so that wide ones keep the mean intensity, too.
    return np.asarray((1 + np.exp(-_FERMI_RADIUS / width)) / (1 + np.exp((distance - _FERMI_RADIUS) / width)))


def _tukey(distance: Distance, share: float) -> Distance:
    beyond = np.clip((distance - (1 - share)) / share, 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * beyond))


def _gauss(distance: Distance, deviation: float) -> Distance:
    return np.asarray(np.exp(-0.5 * (distance / deviation) ** 2))


WINDOWS: dict[str, Callable[[Distance, float], Distance]] = {
    "none": _none,
    "hann": _hann,
    "hamming": _hamming,
    "fermi": _fermi,
    "tukey": _tukey,
    "gauss": _gauss,
}
"""Every window by its name: a function of the distance and of one parameter, which not all of them have.

Each is 1 at the centre, so that the mean intensity stays."""

_PARAMETERS = {"fermi": "its width", "tukey": "the share that is tapered", "gauss": "its standard deviation"}
_LEAST, _MOST = 0.01, 100.0


@dataclass(frozen=True)
class Window:
    """A window by its name.

    Parameters
    ----------
    name
        One of `WINDOWS`.
    parameter
        Width of ``fermi``, tapered share of ``tukey``, standard deviation of ``gauss``, each as a share of the distance
        from the centre of k-space to its edge; at least 0.01, ``tukey`` at most 1. The others have none.
    radial
        Whether it is a function of the distance in the plane, as Fermi's always is; else it is the product of one along
        rows and one along columns.

    Raises
    ------
    InputError
        If there is no such window, or its parameter is missing or out of its range.

    Examples
    --------
    >>> Window.named("tukey:0.3").weights((5, 1)).ravel()
    array([...])
    """

    name: str = "none"
    parameter: float = 0.0
    radial: bool = False

    def __post_init__(self) -> None:
        look_up(self.name, WINDOWS, "window")
        most = 1.0 if self.name == "tukey" else _MOST
        if self.name not in _PARAMETERS:
            object.__setattr__(self, "parameter", 0.0)
        elif not _LEAST <= self.parameter <= most:
            message = (
                f"The window {self.name} needs a number from {_LEAST:g} to {most:g}, {_PARAMETERS[self.name]}, "
                f"such as {self.name}:0.5."
            )
            raise InputError(message)
        if self.name in ("fermi", "none"):
            object.__setattr__(self, "radial", self.name == "fermi")

    @classmethod
    def named(cls, text: str) -> Window:
        """Return the window that a text names, such as ``hann``, ``fermi:0.1`` or ``hann:radial``.

        Raises
        ------
        InputError
            If it names none.
        """
        name, *rest = text.strip().lower().split(":")
        radial = "radial" in rest
        numbers = [part for part in rest if part != "radial"]
        try:
            parameter = float(numbers[0]) if numbers else 0.0
        except ValueError:
            parameter = math.nan
        look_up(name, WINDOWS, "window")
        if len(numbers) > (name in _PARAMETERS) or math.isnan(parameter):
            message = (
                f"{text} names no window; give one such as none, hann, hamming, fermi:0.1, tukey:0.3 or gauss:0.5."
            )
            raise InputError(message)
        return cls(name, parameter, radial)

    def __str__(self) -> str:
        """The text that `named` takes."""
        number = f":{self.parameter:.4g}" if self.name in _PARAMETERS else ""
        return self.name + number + (":radial" if self.radial and self.name != "fermi" else "")

    @property
    def is_flat(self) -> bool:
        """Whether it leaves every sample as it is."""
        return self.name == "none"

    def at(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights at spatial frequencies, from -1 to 1 between the edges of k-space; the two are broadcast."""
        function = WINDOWS[self.name]
        if self.radial:
            return function(np.hypot(rows, columns), self.parameter)
        return np.asarray(function(np.abs(rows), self.parameter) * function(np.abs(columns), self.parameter))

    def weights(self, matrix: Matrix) -> FloatArray:
        """Weights ``(h, w)`` of the samples of centred k-space."""
        rows, columns = frequencies(matrix)
        return np.broadcast_to(self.at(rows, columns), matrix).astype(np.float32)


NO_WINDOW = Window()
"""Every sample as it was measured."""
