"""Scenarios: how a benchmark makes low-resolution series of high-resolution ones, what scanners deliver first.

A `Case` is one of them at a fraction of k-space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np

from ..acquisition import scanner
from ..acquisition.acquisition import Acquisition
from ..acquisition.phase import smooth_phase
from ..acquisition.scanner import ScanSettings
from ..requests import ScenarioName
from ..volume import Series, Volume

_SNR = 20.0
_PHASE = 40
"""Makes the stream of chance of a phase another than that of noise."""

_SIDE = 1024
"""Rows and columns so many that rounding does not matter."""

T = TypeVar("T")


@dataclass(frozen=True)
class Scenario:
    """A way to make a low-resolution series.

    Parameters
    ----------
    title
        What titles call it.
    description
        What is simulated.
    settings
        How the series is scanned, for a ``fraction=`` of k-space.
    """

    title: str
    description: str
    settings: Callable[..., ScanSettings]


SCENARIOS: dict[ScenarioName, Scenario] = {
    "scanner": Scenario(
        "like a scanner",
        f"smooth phase, noise (SNR {_SNR:g}), Hann window, stored at twice the acquired matrix, magnitude of 12 bits",
        ScanSettings.like_scanner,
    ),
    "noisy": Scenario(
        "magnitude with noise",
        f"smooth phase, noise (SNR {_SNR:g}), magnitude",
        partial(ScanSettings, simulate_phase=True, snr=_SNR, magnitude=True),
    ),
    "magnitude": Scenario(
        "magnitude",
        "smooth phase, magnitude",
        partial(ScanSettings, simulate_phase=True, magnitude=True),
    ),
    "signed": Scenario(
        "sign kept", "the centre of k-space of the magnitude image, sign kept, as in the paper", ScanSettings
    ),
}
"""The scenarios by name, in the order of reports."""


class Case(NamedTuple):
    """What a series is compared at.

    Parameters
    ----------
    scenario
        One of `SCENARIOS`.
    fraction
        Share of in-plane k-space that is acquired.

    Examples
    --------
    >>> str(Case("scanner", 0.0625))
    '6.25% of k-space, like a scanner'
    """

    scenario: ScenarioName
    fraction: float

    def __str__(self) -> str:
        return f"{percent(self.fraction)}, {SCENARIOS[self.scenario].title}"

    @property
    def settings(self) -> ScanSettings:
        """How the series is scanned."""
        return SCENARIOS[self.scenario].settings(fraction=self.fraction)


def percent(fraction: float) -> str:
    """Name of a fraction of k-space."""
    return f"{100 * fraction:g}% of k-space"


def cases(scenarios: Iterable[ScenarioName], fractions: Iterable[float]) -> list[Case]:
    """Every scenario at every fraction, each once: the scenarios in the order of `SCENARIOS`."""
    wanted, different = set(scenarios), {f"{fraction:g}": fraction for fraction in fractions}
    return [Case(name, fraction) for name in SCENARIOS if name in wanted for fraction in different.values()]


def by_case(keys: Iterable[Case], value: Callable[[Case], T]) -> dict[str, dict[str, T]]:
    """Values by scenario and fraction, as JSON can hold them."""
    found: dict[str, dict[str, T]] = {}
    for case in keys:
        found.setdefault(case.scenario, {})[f"{case.fraction:g}"] = value(case)
    return found


def simulate(dynamic: Series, settings: ScanSettings, *, phase: Series | None = None, seed: int = 0) -> Series:
    """Simulate the low-resolution series of a subject.

    Where a scanner stores more than it acquired, the series says how much that was, as the header of a DICOM file does.

    Parameters
    ----------
    dynamic
        Series in high resolution ``(D, H, W)``.
    settings
        How it is scanned.
    phase
        Its phase in radians, for settings with a phase; else one that is smooth in space is drawn, the same for all
        time points. Fat and water are in phase then: how much of them cancels is chance, and no method brings it back.
    seed
        Same seed, same result, in whatever order time points are asked for.

    Raises
    ------
    InputError
        As `scanner.simulate`.
    """
    drawn = None
    if settings.simulate_phase:
        drawn = phase or _smooth_phase(dynamic, np.random.default_rng([seed, _PHASE]))
    low = scanner.simulate(dynamic, settings, phase=drawn, seed=seed)
    shape = dynamic.geometry.shape
    acquisition = settings.acquisition((shape[1], shape[2]))
    header = None if acquisition.stored_matrix == acquisition.acquired_matrix else acquisition.acquired_matrix
    return Series(lambda n: low[n].data, low.times, low.geometry, low.warnings, header, low.facts, low.name)


def _smooth_phase(dynamic: Series, rng: np.random.Generator) -> Series:
    """A phase of chance in radians, from -pi to pi, for all time points."""
    depth, height, width = dynamic.geometry.shape
    turned = np.exp(np.complex64(1j) * smooth_phase((depth, height, width), rng))
    return Series.of([Volume(np.angle(turned).astype(np.float32), dynamic.geometry)])


def typical_acquisition(case: Case) -> Acquisition:
    """Acquisition of a case, whatever the matrix of a subject."""
    side, settings = max(1, round(_SIDE * math.sqrt(case.fraction))), case.settings
    return Acquisition((side, side), (_SIDE, _SIDE), window=settings.window, magnitude=settings.magnitude)
