"""How complex images were acquired.

Of a complex image the spectrum is k-space itself: what was not acquired is empty, for partial Fourier and zero-filling
alike. Its real and imaginary part are images with a sign and the noise of one channel each, of which `recognise` knows
the rest. Of the two, the one that seems to have the flatter window counts: data are divided by the window when they are
put back, so one that is taken to be too strong does harm.

Noise counts only where there is air in both. Elsewhere the finest detail gives an upper limit, which is up to ten times
too much of kidneys at 6.25% of k-space; a network that is told so blurs the image to below zero-filling, while none
costs little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..complex_series import ComplexSeries
from ..volume import Series, Volume
from .acquisition import Acquisition
from .air import air_of
from .body import body_signal
from .complex_image import zero_filled_image
from .kspace import ComplexArray
from .matrices import Matrix, size_in_words
from .recognise import DeclaredAcquisition, PartSource, RecognisedAcquisition, recognise_acquisition
from .recognise_matrix import AcquiredMatrix, Source
from .spectrum import EMPTY, ROUNDING_MARGIN, rounding_step

_SILENCE = 1e-8
"""Power relative to the strongest above which a frequency is not empty, however coarse the voxels are."""

_FEW = 2
"""Lines more or less that tell nothing: a window may end at 0."""

_NO_AIR = (
    "There is hardly any air around the body that would tell the noise of the complex images, so none is assumed; give "
    "--noise SD if it is known."
)


@dataclass(frozen=True)
class ComplexAcquisition(RecognisedAcquisition):
    """How complex images were acquired, and how that is known; `magnitude` is False."""

    def in_words(self) -> str:
        """Some sentences for the log."""
        kind = f"It holds intensities with their sign ({self._told('magnitude')})"
        return super().in_words().replace(kind, "It holds complex intensities")

    def facts(self) -> dict[str, object]:
        """The same for a sidecar, which says that the images were complex."""
        return {"complex_input": True, **super().facts()}


def recognise_complex(images: ComplexSeries, declared: DeclaredAcquisition | None = None) -> ComplexAcquisition:
    """Find out how complex images were acquired.

    The first time point speaks for all.

    Parameters
    ----------
    images
        Complex images ``(D, m, n)`` as stored.
    declared
        What the user says; overrides everything.

    Raises
    ------
    InputError
        If more is declared to be acquired than is stored, or nothing.
    """
    declared = declared or DeclaredAcquisition()
    image, geometry = images[0], images.magnitude.geometry
    rounding = _rounding(images.magnitude[0], images.phase[0])
    (rows, partial), (columns, _) = (_acquired(image, axis, rounding) for axis in (0, 1))
    matrix = _matrix((rows, columns), declared.acquired_matrix, images.magnitude)
    whole = Acquisition(matrix.matrix, matrix.stored, matrix.stored)
    small = zero_filled_image(image, whole, matrix.matrix)
    said = DeclaredAcquisition(matrix.matrix, declared.window, declared.noise, magnitude=False)
    channels = [
        recognise_acquisition(Series.of([Volume(part, geometry.with_matrix(matrix.matrix))]), said)
        for part in (np.ascontiguousarray(small.real), np.ascontiguousarray(small.imag))
    ]
    found = max(channels, key=lambda each: float(each.window.weights(matrix.matrix).mean()))
    sources: dict[str, PartSource] = {**found.sources, "magnitude": "data", "partial_fourier": "data"}
    # Where a channel is dark, the magnitude may be bright.
    magnitude_has_air = air_of(np.abs(small).astype(np.float32), matrix.matrix, scarce=False) is not None
    has_air = magnitude_has_air and all(each.has_air for each in channels)
    noise, warnings = found.noise, matrix.warnings
    if sources["noise"] == "data" and not has_air:
        noise, sources["noise"] = 0.0, "assumed"
        warnings = (*warnings, _NO_AIR)
    return ComplexAcquisition(
        matrix,
        found.shutter,
        partial if matrix.matrix[0] == rows else 1.0,
        found.window,
        noise,
        False,
        body_signal(np.abs(small)),
        has_air,
        sources,
        warnings,
    )


def _rounding(magnitude: Volume, phase: Volume) -> float:
    """Variance of the rounding of voxels: by steps of the magnitude, and of the phase."""
    squares = float(np.mean(np.square(magnitude.data, dtype=np.float64)))
    return (rounding_step(magnitude.data) ** 2 + squares * rounding_step(phase.data) ** 2) / 12


def _acquired(image: ComplexArray, axis: int, rounding: float) -> tuple[int, float]:
    """Rows (0) or columns (1) of ``(D, m, n)`` that were acquired, and which share of them was measured."""
    size = image.shape[axis + 1]
    spectrum = np.fft.fftshift(np.fft.fft(image.astype(np.complex128), axis=axis + 1), axes=axis + 1)
    power = np.square(np.abs(spectrum)).mean(axis=(0, 2 - axis))
    empty = max(EMPTY * power.max(), min(ROUNDING_MARGIN * size * rounding, _SILENCE * power.max()))
    measured = np.flatnonzero(power > empty) - size // 2
    if not len(measured):
        return size, 1.0
    first, last = int(measured[0]), int(measured[-1])
    acquired = min(size, max(-2 * first, 2 * last + 1))
    if acquired >= size - _FEW:
        acquired = size
    share = (last - first + 1) / acquired
    return acquired, share if 0.5 < share < 1 - _FEW / acquired else 1.0


def _matrix(found: Matrix, declared: Matrix | None, magnitude: Series) -> AcquiredMatrix:
    stored = (magnitude.geometry.shape[1], magnitude.geometry.shape[2])
    source: Source = "stored" if found == stored else "spectrum"
    warnings: list[str] = []
    if declared is not None:
        Acquisition(declared, stored, stored)  # refuses one that does not fit
        if any(abs(d - f) > _FEW for d, f in zip(declared, found, strict=True)):
            warnings.append(
                f"The acquired matrix was given as {size_in_words(declared)}, but k-space holds {size_in_words(found)}."
            )
        found, source = declared, "declared"
    return AcquiredMatrix(found, magnitude.geometry, source, warnings=tuple(warnings))
