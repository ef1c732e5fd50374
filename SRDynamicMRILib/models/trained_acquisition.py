"""For which acquisition a model was fine-tuned, and how that of a series differs from it."""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args

import numpy as np

from ..acquisition.acquisition import Acquisition
from ..acquisition.fat import FatPhase
from ..acquisition.sampling import check_shutter
from ..acquisition.windows import Window
from ..errors import InputError

_WINDOWS_DIFFER = 0.25
"""Root mean square of the difference of two windows' weights beyond which they differ clearly."""

_NOISE_COUNTS = 0.02
"""Noise, as a share of the body's signal, below which it makes no difference."""

_NOISE_DIFFERS = 2.0
"""Factor between two noises beyond which they differ clearly."""

_LARGEST = 2**53

_MATRIX = (32, 32)
"""Samples at which windows are compared."""


@dataclass(frozen=True)
class TrainedAcquisition:
    """An acquisition as a model file keeps it: without sizes and units.

    Parameters
    ----------
    rows, columns
        Share of the rows and of the columns that was acquired, in (0, 1].
    shutter, partial_fourier, magnitude
        As `Acquisition` has them.
    window
        Name of the window, as `Window.named` takes it.
    noise
        Standard deviation of the noise divided by the mean intensity of the body: 1 / SNR.
    fat
        As `Acquisition` has it: what the draws of the phase were.

    Raises
    ------
    ValueError
        If there is no such acquisition.

    Examples
    --------
    >>> TrainedAcquisition.of(Acquisition((64, 48), (256, 192), noise=5.0, magnitude=True), signal=100.0).noise
    0.05
    """

    rows: float
    columns: float
    shutter: str
    partial_fourier: float
    window: str
    noise: float
    magnitude: bool
    fat: str = "unknown"

    def __post_init__(self) -> None:
        for item in fields(self):
            kind = {"str": str, "bool": bool}.get(str(item.type), float)
            value = getattr(self, item.name)
            if kind is float and type(value) is int and abs(value) <= _LARGEST:
                object.__setattr__(self, item.name, float(value))
            elif type(value) is not kind:
                message = f"of its acquisition, {item.name} is not of type {kind.__name__}"
                raise ValueError(message)
        if not (0 < self.rows <= 1 and 0 < self.columns <= 1 and 0.5 < self.partial_fourier <= 1):
            raise ValueError("its acquisition has shares of k-space that are out of range")
        if not 0 <= self.noise < math.inf:
            raise ValueError("the noise of its acquisition is not 0 or more")
        try:
            Window.named(self.window)
            check_shutter(self.shutter)
        except InputError as error:
            raise ValueError("the window or the shutter of its acquisition is not known") from error
        if self.fat not in get_args(FatPhase):
            raise ValueError("the phase of fat of its acquisition is not known")

    @classmethod
    def of(cls, acquisition: Acquisition, signal: float) -> TrainedAcquisition:
        """Return what is kept of an acquisition.

        Parameters
        ----------
        acquisition
            The acquisition.
        signal
            Mean intensity of the body, in the unit of its noise.
        """
        (h, w), (height, width) = acquisition.acquired_matrix, acquisition.full_matrix
        return cls(
            h / height,
            w / width,
            acquisition.shutter,
            acquisition.partial_fourier,
            str(acquisition.window),
            acquisition.noise / signal if signal > 0 else 0.0,
            acquisition.magnitude,
            acquisition.fat,
        )

    @classmethod
    def read(cls, values: Any) -> TrainedAcquisition:
        """Return what a model file holds; ValueError if it is no acquisition."""
        names = {item.name for item in fields(cls)}
        needed = {item.name for item in fields(cls) if item.default is MISSING}
        if not isinstance(values, dict) or not needed <= set(values):
            raise ValueError("its acquisition is not complete")
        return cls(**{name: values[name] for name in names & set(values)})

    def differences(self, other: TrainedAcquisition) -> list[tuple[str, str]]:
        """In what another acquisition clearly differs: pairs of words for this one and for the other.

        It does if one is of magnitudes and the other has a sign, if the weights of the windows differ by more than 0.25
        (root mean square), or if the noises differ by more than a factor of 2 and one is above 2% of the signal.
        """
        found = []
        if self.magnitude != other.magnitude:
            found.append((_kind(self), _kind(other)))
        weights = (Window.named(each.window).weights(_MATRIX) for each in (self, other))
        if math.sqrt(float(np.square(next(weights) - next(weights)).mean())) > _WINDOWS_DIFFER:
            found.append((_window(self), _window(other)))
        less, more = sorted((self.noise, other.noise))
        if more > _NOISE_COUNTS and more > _NOISE_DIFFERS * less:
            found.append((_noise(self), _noise(other)))
        return found


def _kind(acquisition: TrainedAcquisition) -> str:
    return "magnitudes" if acquisition.magnitude else "intensities with their sign"


def _window(acquisition: TrainedAcquisition) -> str:
    return "no window" if acquisition.window == "none" else f"the window {acquisition.window}"


def _noise(acquisition: TrainedAcquisition) -> str:
    return f"noise of {100 * acquisition.noise:.2g}% of the signal" if acquisition.noise else "no noise"
