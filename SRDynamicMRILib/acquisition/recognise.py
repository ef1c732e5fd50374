"""How a series was acquired: from what a user declares, what its header says, and what its voxels show.

The parts are recognised one after the other, each with what is known by then: the acquired matrix (`recognise_matrix`),
the air (`air`), the window and the shutter (`window_of`), the noise. Whatever is declared counts; what the header says
is checked against the voxels. Studies/README.md has figures of how well each part is recognised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..errors import InputError
from ..geometry import FloatArray, Geometry
from ..volume import Series, Volume
from .acquisition import Acquisition
from .air import Air, air_of
from .body import body_signal
from .detail import noise_in_detail
from .matrices import Matrix
from .recognise_matrix import AcquiredMatrix, recognise_acquired_matrix
from .reference import Reference, reference_of
from .spectrum import is_signed
from .window_of import window_of
from .windows import NO_WINDOW, Window

PartSource = Literal["declared", "header", "data", "assumed"]
"""What told a part: the user, the DICOM header, the voxels, or nothing."""

PARTS = ("shutter", "partial_fourier", "window", "noise", "magnitude")
"""Parts of an acquisition beside its matrix."""

_TOLD = {
    "declared": "as declared",
    "header": "according to the DICOM header",
    "data": "estimated from its voxels",
    "assumed": "assumed",
}

_EIGHTHS = 0.25
"""How far, in eighths, a stated share may lie from those of partial Fourier; others tell of other things left out."""

_MOSTLY = 0.5
"""Share of the power that is taken for noise from which on what the planning scan shows without noise is taken off.

Below, the planning scan would hardly tell more than it errs: it has noise of its own, and another phase."""

_NOTABLE = 1 / 60
"""Noise, as a share of the body's signal, below which it does not matter how much it is."""

_LITTLE_AIR = 0.02
"""Share of the image below which its air may hold more than noise."""

_SMALLEST = 16
"""Rows and columns below which window and noise are not looked for."""


@dataclass(frozen=True)
class DeclaredAcquisition:
    """What a user says of an acquisition; None where nothing is said.

    Parameters
    ----------
    acquired_matrix, window, noise, magnitude
        As `Acquisition` has them.

    Raises
    ------
    InputError
        If the noise is negative or not finite.
    """

    acquired_matrix: Matrix | None = None
    window: Window | None = None
    noise: float | None = None
    magnitude: bool | None = None

    def __post_init__(self) -> None:
        if self.noise is not None and not 0 <= self.noise < math.inf:
            message = f"The noise must be 0 or more, but it is {self.noise:g}; give its standard deviation."
            raise InputError(message)

    @property
    def says_something(self) -> bool:
        """Whether anything is said."""
        return self != DeclaredAcquisition()


@dataclass(frozen=True)
class RecognisedAcquisition:
    """How a series was acquired, and how that is known.

    Parameters
    ----------
    matrix_part
        What was acquired of the stored rows and columns.
    shutter, partial_fourier, window, noise, magnitude
        As `Acquisition` has them.
    signal
        Mean intensity of the body.
    has_air
        Whether there is air around it; else the noise is an upper limit.
    sources
        What told each of `PARTS`.
    warnings
        What is doubtful, in sentences; of the matrix, too.
    """

    matrix_part: AcquiredMatrix
    shutter: str = "rectangle"
    partial_fourier: float = 1.0
    window: Window = NO_WINDOW
    noise: float = 0.0
    magnitude: bool = False
    signal: float = 0.0
    has_air: bool = True
    sources: Mapping[str, PartSource] = field(default_factory=lambda: dict.fromkeys(PARTS, "assumed"))
    warnings: tuple[str, ...] = ()

    @property
    def matrix(self) -> Matrix:
        """Acquired rows and columns ``(h, w)``."""
        return self.matrix_part.matrix

    @property
    def stored(self) -> Matrix:
        """Stored rows and columns ``(m, n)``."""
        return self.matrix_part.stored

    @property
    def geometry(self) -> Geometry:
        """Geometry of the series as stored."""
        return self.matrix_part.geometry

    @property
    def interpolated(self) -> bool:
        """Whether more was stored than acquired."""
        return self.matrix_part.interpolated

    @property
    def snr(self) -> float | None:
        """Mean intensity of the body divided by the noise; None without noise."""
        return self.signal / self.noise if self.noise > 0 else None

    def acquisition(self, full_matrix: Matrix | None = None) -> Acquisition:
        """Return the `Acquisition` of the series from a full matrix; the stored one if not given.

        Raises
        ------
        InputError
            If the acquired matrix does not fit into it.

        Examples
        --------
        >>> series = Series.of([Volume(np.random.default_rng(0).random((2, 32, 32)))])
        >>> recognise_acquisition(series).acquisition((64, 64)).full_matrix
        (64, 64)
        """
        return Acquisition(
            self.matrix,
            self.stored if full_matrix is None else full_matrix,
            self.stored,
            self.shutter,
            self.partial_fourier,
            self.matrix_part.shared,
            self.window,
            self.noise,
            self.magnitude,
        )

    def at_acquired_matrix(self, series: Series) -> Series:
        """Bring the series, as stored, back to its acquired matrix; see `Acquisition.at_acquired_matrix`."""
        return self.matrix_part.acquisition.at_acquired_matrix(series)

    def in_words(self) -> str:
        """Some sentences for the log."""
        kind = "magnitudes" if self.magnitude else "intensities with their sign"
        noise = "no noise" if self.noise == 0 else f"noise with an SD of {self.noise:.3g}"
        if self.snr is not None:
            noise += f", 1/{self.snr:.3g} of the body's signal"
        window = "no window" if self.window.is_flat else f"the window {self.window}"
        parts = [
            self.matrix_part.in_words(),
            f"It holds {kind} ({self._told('magnitude')}), {noise} ({self._told('noise')}).",
            f"K-space seems to have {window} ({self._told('window')}) and was sampled in "
            f"{'an' if self.shutter[0] in 'aeiou' else 'a'} {self.shutter} ({self._told('shutter')}).",
        ]
        if not self.has_air and self.sources["noise"] == "data":
            parts.append("There is hardly any air around the body, so the noise may be overestimated.")
        if self.partial_fourier < 1:
            parts.append(f"Partial Fourier: {self.partial_fourier:.4g} of the rows ({self._told('partial_fourier')}).")
        elif self.sources["partial_fourier"] == "assumed":
            parts.append("Whether all rows were measured (partial Fourier) is not known; it is assumed.")
        return " ".join(parts)

    def _told(self, part: str) -> str:
        return _TOLD[self.sources[part]]

    def facts(self) -> dict[str, object]:
        """The same for a sidecar: JSON's objects, lists, texts and numbers."""
        return {
            **self.matrix_part.facts(),
            "acquisition": {
                "shutter": self.shutter,
                "partial_fourier": self.partial_fourier,
                "window": str(self.window),
                "noise": self.noise,
                "snr": self.snr,
                "magnitude": self.magnitude,
                "from": dict(self.sources),
            },
        }


def recognise_acquisition(
    series: Series, declared: DeclaredAcquisition | None = None, prior: Volume | None = None
) -> RecognisedAcquisition:
    """Find out how a series was acquired.

    The first time point speaks for all, so that a choice of time points changes nothing.

    Parameters
    ----------
    series
        Series ``(D, m, n)`` as stored. Its `stated` is what the header says.
    declared
        What the user says; overrides everything.
    prior
        Planning scan ``(D, H, W)`` of the patient, whose spectrum shows what a window takes away from that of the
        series.

    Raises
    ------
    InputError
        If more is declared to be acquired than is stored, or nothing.

    Examples
    --------
    >>> series = Series.of([Volume(np.random.default_rng(0).random((2, 32, 32)))])
    >>> found = recognise_acquisition(series, DeclaredAcquisition(noise=0.1))
    >>> found.matrix, found.noise, found.sources["noise"]
    ((32, 32), 0.1, 'declared')
    """
    declared = declared or DeclaredAcquisition()
    matrix = recognise_acquired_matrix(series, declared.acquired_matrix)
    image = series[0].data
    sources: dict[str, PartSource] = dict.fromkeys(PARTS, "assumed")
    warnings = list(matrix.warnings)
    magnitude, sources["magnitude"] = _magnitude(image, series, declared, warnings)
    partial, sources["partial_fourier"] = _partial_fourier(matrix, series, warnings)
    seen = _Seen()
    if min(matrix.matrix) >= _SMALLEST and float(np.ptp(image)) > 0:
        reference = None
        if prior is not None:
            reference = reference_of(prior, series.geometry, matrix.matrix, magnitude=magnitude, partial=partial)
        seen = _seen_in(image, matrix.matrix, declared, magnitude=magnitude, partial=partial, reference=reference)
        sources["window"] = sources["shutter"] = sources["noise"] = "data"
        warnings += seen.warnings
        if matrix.source == "stored" and series.acquired_matrix is None and seen.weak_edge:
            warnings.append(
                "The finest detail of the series is weaker than its stored matrix would allow, and no header says how "
                "many rows and columns were acquired; give --acquired-matrix ROWSxCOLUMNS if fewer were."
            )
    window, noise = seen.window, seen.noise
    if declared.window is not None:
        window, sources["window"] = declared.window, "declared"
    if declared.noise is not None:
        noise, sources["noise"] = declared.noise, "declared"
    return RecognisedAcquisition(
        matrix, seen.shutter, partial, window, noise, magnitude, seen.signal, seen.has_air, sources, tuple(warnings)
    )


@dataclass(frozen=True)
class _Seen:
    """What the voxels show.

    Parameters
    ----------
    window, shutter, noise, signal, has_air, warnings
        As `RecognisedAcquisition` has them.
    weak_edge
        Whether the finest detail is weaker than without a window, or may be.
    """

    window: Window = NO_WINDOW
    shutter: str = "rectangle"
    noise: float = 0.0
    signal: float = 0.0
    has_air: bool = True
    weak_edge: bool = False
    warnings: tuple[str, ...] = ()


def _seen_in(
    image: FloatArray,
    matrix: Matrix,
    declared: DeclaredAcquisition,
    *,
    magnitude: bool,
    partial: float,
    reference: Reference | None,
) -> _Seen:
    """Find window, shutter and noise of an image; what is declared is not doubted."""
    air, signal, warnings = air_of(image, matrix), body_signal(image), []
    found = window_of(image, matrix, magnitude=magnitude, partial=partial, air=air, reference=reference)
    if found.doubt and declared.window is None:
        warnings.append(f"{found.doubt}; give --window if the protocol says which.")
    noise = 0.0
    if declared.noise is None:
        window = declared.window or found.window
        weights = Acquisition(matrix, matrix, None, found.shutter, partial, window=window).sample_weights
        without = None if reference is None else reference.image(window, found.shutter)
        noise, doubt = _noise(image, air, weights, without, signal)
        warnings += [doubt] if doubt else []
    weak_edge = bool(found.doubt) or not found.window.is_flat
    return _Seen(found.window, found.shutter, noise, signal, air is not None, weak_edge, tuple(warnings))


def _magnitude(
    image: FloatArray, series: Series, declared: DeclaredAcquisition, warnings: list[str]
) -> tuple[bool, PartSource]:
    """Whether an image holds magnitudes, and what told."""
    signed, said = is_signed(image), series.stated.magnitude
    if declared.magnitude is not None:
        if declared.magnitude and signed:
            warnings.append("The image was given as a magnitude, but it has negative voxels.")
        return declared.magnitude, "declared"
    if said and signed:
        warnings.append("The DICOM header says that the image holds magnitudes, but it has negative voxels.")
    if said is False and not signed:
        return False, "header"
    return not signed, "header" if said is not None and said != signed else "data"


def _partial_fourier(matrix: AcquiredMatrix, series: Series, warnings: list[str]) -> tuple[float, PartSource]:
    """Share of the rows that were measured, and what told."""
    if matrix.partial_fourier < 1:
        return matrix.partial_fourier, "data"
    share = series.stated.measured_share
    if share is not None and abs(8 * share - round(8 * share)) < _EIGHTHS:
        return round(8 * share) / 8, "header"
    if series.stated.partial_fourier:
        warnings.append(
            "The DICOM header says that only a part of k-space was measured along one axis (partial Fourier), but not "
            "how much; all of it is assumed."
        )
        return 1.0, "assumed"
    return 1.0, "assumed" if series.stated.partial_fourier is None else "header"


def _noise(
    image: FloatArray, air: Air | None, weights: FloatArray, without: FloatArray | None, signal: float
) -> tuple[float, str]:
    """Noise of an image, as `Acquisition` has it, and what is doubtful about it.

    `without` is what the planning scan would look like without noise: what is found there is no noise.
    """
    found = noise_in_detail(image, weights) if air is None else air.noise(weights)
    noise, limit = found, air is None or air.mask.mean() < _LITTLE_AIR
    if without is not None:
        if air is None:
            other = noise_in_detail(without, weights)
        else:
            quiet = air_of(without, (weights.shape[0], weights.shape[1]))
            other = found if quiet is None else quiet.noise(weights)
        other *= signal / max(body_signal(without), 1e-12)
        if other**2 > _MOSTLY * found**2:
            noise, limit = math.sqrt(max(found**2 - other**2, 0.0)), True
    if limit and found > _NOTABLE * signal:
        return noise, (
            f"The noise is uncertain, as there is hardly any air around the body; its SD may be up to {found:.3g}, "
            f"{found / signal:.1%} of the body's signal; give --noise if you know it."
        )
    return noise, ""


__all__ = [
    "PARTS",
    "DeclaredAcquisition",
    "PartSource",
    "RecognisedAcquisition",
    "recognise_acquisition",
]
