"""A scanner for images that are there: what it would have stored of a high-resolution volume or series.

`ScanSettings` say how it scans, whatever the matrix; `simulate` scans.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..complex_series import in_radians
from ..errors import InputError, look_up
from ..geometry import FloatArray
from ..volume import Images, Series, Volume
from .acquisition import Acquisition
from .body import body_signal
from .matrices import Matrix, check_fraction
from .phase import simulated_phase
from .sampling import check_shutter
from .simulate import BITS, rounded, stored_image
from .windows import NO_WINDOW, Window

STORED: dict[str, Callable[[Matrix, Matrix], Matrix]] = {
    "1x": lambda acquired, full: acquired,
    "2x": lambda acquired, full: (2 * acquired[0], 2 * acquired[1]),
    "full": lambda acquired, full: full,
}
"""Stored matrices by name: what the scanner makes of the acquired and the full matrix."""

_PHASE, _NOISE = 0, 1
"""Streams of random numbers, so that the noise does not depend on how the phase is drawn."""


@dataclass(frozen=True, kw_only=True)
class ScanSettings:
    """How a scanner scans.

    Parameters
    ----------
    fraction
        Share of in-plane k-space that it acquires, in (0, 1].
    fraction_rows, fraction_columns
        Instead of `fraction`: share of the rows and of the columns; the one that is not given is 1.
    shutter, partial_fourier, window
        As for `Acquisition`.
    store
        Which matrix it stores, one of `STORED`: the acquired one, twice that, or the full one.
    snr
        Mean intensity of the body at the first time point divided by the standard deviation of the noise, which is the
        same at all time points; None for no noise. See `Acquisition`.
    simulate_phase
        Whether a phase is drawn for images that come without one.
    magnitude
        Whether it stores the magnitude; else the image keeps its sign. Of an image with a phase, it always does.
    bits
        Of the integers to which intensities are rounded; None for none.

    Raises
    ------
    InputError
        If a setting is out of its range, or both ways of saying the fraction or none of them are used.

    Examples
    --------
    >>> ScanSettings(fraction=0.25, window=Window("hann")).acquisition((256, 192)).acquired_matrix
    (128, 96)
    """

    fraction: float | None = None
    fraction_rows: float | None = None
    fraction_columns: float | None = None
    shutter: str = "rectangle"
    partial_fourier: float = 1.0
    window: Window = NO_WINDOW
    store: str = "1x"
    snr: float | None = None
    simulate_phase: bool = False
    magnitude: bool = False
    bits: int | None = None

    def __post_init__(self) -> None:
        for fraction in (self.fraction, self.fraction_rows, self.fraction_columns):
            if fraction is not None:
                check_fraction(fraction)
        check_shutter(self.shutter)
        look_up(self.store, STORED, "stored matrix")
        if self.snr is not None and not 0 < self.snr < math.inf:
            message = f"The signal-to-noise ratio must be above 0, but it is {self.snr:g}; give one such as 20."
            raise InputError(message)
        if self.bits is not None and not 1 <= self.bits <= 24:
            message = f"Intensities are rounded to 1 to 24 bits, not to {self.bits}; give a number such as {BITS}."
            raise InputError(message)

    @classmethod
    def like_scanner(cls, **others: Any) -> ScanSettings:
        """Return the settings that make an image as ordinary scanners store it, but for those that are given.

        A phase, an SNR of 20, a Hann window, twice the acquired matrix, the magnitude, 12 bits.
        """
        usual = {
            "window": Window("hann"),
            "store": "2x",
            "snr": 20.0,
            "simulate_phase": True,
            "magnitude": True,
            "bits": BITS,
        }
        return cls(**{**usual, **others})

    def acquisition(self, full_matrix: Matrix) -> Acquisition:
        """Return the acquisition of images of a matrix ``(H, W)``, its noise left out.

        Raises
        ------
        InputError
            If it leaves nothing of that matrix, or its fraction is given in both ways or in none.
        """
        centre = Acquisition.centre(
            full_matrix,
            self.fraction,
            rows=self.fraction_rows,
            columns=self.fraction_columns,
            shutter=self.shutter,
            partial_fourier=self.partial_fourier,
        )
        stored = STORED[self.store](centre.acquired_matrix, centre.full_matrix)
        return replace(centre, stored_matrix=stored, window=self.window, magnitude=self.magnitude)


def simulate(images: Images, settings: ScanSettings, *, phase: Volume | Series | None = None, seed: int = 0) -> Images:
    """Simulate what a scanner stores of a volume or series.

    Without noise, phase, magnitude and rounding that is `Acquisition.downsample`, to the last bit. The noise of every
    time point is its own. A simulated phase is the same at all time points, but that fat moves with the image.

    Parameters
    ----------
    images
        High-resolution volume ``(D, H, W)``, or a series, of which each time point is made when it is asked for.
    settings
        How it is scanned.
    phase
        Its phase in radians, from -2 pi to 2 pi, on the same grid: one for all time points, or one each. It replaces a
        simulated one.
    seed
        Same seed, same result, in whatever order time points are asked for.

    Returns
    -------
        Volume or series on the stored matrix, whose sample ``N // 2`` keeps its place. Its facts say what was
        simulated.

    Raises
    ------
    InputError
        If the settings leave nothing of the matrix, or the phase has another grid or is not in radians; of later time
        points when they are asked for.

    Examples
    --------
    >>> scan = Volume(np.random.default_rng(0).random((4, 64, 48)))
    >>> low = simulate(scan, ScanSettings.like_scanner(fraction=0.25))
    >>> low.shape, low.facts["simulated"]["acquired_matrix"]
    ((4, 64, 48), [32, 24])
    """
    series = images if isinstance(images, Series) else Series.of([images])
    full = (series.geometry.shape[1], series.geometry.shape[2])
    acquisition = settings.acquisition(full)
    if phase is not None or settings.simulate_phase:
        acquisition = replace(acquisition, magnitude=True)
    if settings.snr is not None:
        acquisition = replace(acquisition, noise=body_signal(series[0].data) / settings.snr)
    phase_at = _phases(series, settings, phase, seed)

    def scan(number: int) -> FloatArray:
        image = series[number].data
        if acquisition.is_linear:
            stored = acquisition.downsample(image)
        else:
            rng = np.random.default_rng([seed, _NOISE, number])
            stored = stored_image(image, acquisition, phase=phase_at(number), rng=rng)
        return stored if settings.bits is None else rounded(stored, settings.bits)

    phase_from = "given" if phase is not None else "simulated" if settings.simulate_phase else "none"
    facts = {
        "fraction": acquisition.fraction if settings.fraction is None else settings.fraction,
        "full_matrix": list(full),
        "simulated": _in_facts(acquisition, settings) | {"phase": phase_from, "seed": seed},
    }
    geometry = acquisition.low_resolution_geometry(series.geometry)
    result = Series(scan, series.times, geometry, series.warnings, facts=facts, name=series.name)
    return result if isinstance(images, Series) else result.only_volume()


def _in_facts(acquisition: Acquisition, settings: ScanSettings) -> dict[str, Any]:
    """What a sidecar says of a simulated acquisition."""
    return {
        "acquired_matrix": list(acquisition.acquired_matrix),
        "stored_matrix": list(acquisition.stored_matrix),
        "shutter": acquisition.shutter,
        "partial_fourier": acquisition.partial_fourier,
        "window": str(acquisition.window),
        "snr": settings.snr,
        "noise": acquisition.noise,
        "magnitude": acquisition.magnitude,
        "bits": settings.bits,
    }


def _phases(
    series: Series, settings: ScanSettings, given: Volume | Series | None, seed: int
) -> Callable[[int], FloatArray | None]:
    """Phase ``(D, H, W)`` by the number of a time point."""
    if given is not None:
        phases = given if isinstance(given, Series) else Series.of([given])
        name = given.name or "The phase"
        _check_grid(phases, series, name)
        in_radians(phases[0].data, name)
        return lambda number: in_radians(phases[number if len(phases) > 1 else 0].data, name)
    if settings.simulate_phase:
        # Every time point draws anew from the same stream: the same phase for all of them.
        return lambda number: simulated_phase(series[number].data, np.random.default_rng([seed, _PHASE]))
    return lambda number: None


def _check_grid(phases: Series, series: Series, name: str) -> None:
    if not phases.geometry.same_grid(series.geometry):
        message = f"{name} is not on the grid of the image; give a phase of the same matrix, voxel size and position."
        raise InputError(message)
    if len(phases) not in (1, len(series)):
        message = (
            f"{name} has {len(phases)} time points but the image has {len(series)}; give one phase for all time points "
            "or one for each."
        )
        raise InputError(message)
