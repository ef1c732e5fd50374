"""Complex images as they are acquired and stored: zero-filling, what of them was measured, and agreement with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..complex_series import ComplexSeries
from ..geometry import FloatArray, shape_of
from ..volume import Series
from .acquisition import Acquisition
from .consistency import Consistency, ratio
from .kspace import ComplexArray, to_image, to_kspace
from .matrices import Matrix
from .simulate import centre_of_kspace, zero_filled_kspace

LEAST_WEIGHT = 0.05
"""What a window weighs less is noise for the most part."""

_EMPTY = 1e-6
"""Amplitude relative to the strongest below which a sample of k-space was not measured but filled in."""


def as_magnitude(acquisition: Acquisition) -> Acquisition:
    """The acquisition of the magnitude that a network is given of a complex image: zero-filled to twice its matrix."""
    rows, columns = acquisition.acquired_matrix
    return replace(acquisition, stored_matrix=(2 * rows, 2 * columns), magnitude=True)


def zero_filled_image(image: ComplexArray, acquisition: Acquisition, size: Matrix) -> ComplexArray:
    """A complex image ``(..., m, n)`` as stored, on another matrix ``(..., *size)``, by way of its acquired k-space."""
    kspace = centre_of_kspace(to_kspace(image), acquisition.acquired_matrix)
    share = size[0] * size[1] / (image.shape[-2] * image.shape[-1])
    if size[0] < acquisition.acquired_matrix[0] or size[1] < acquisition.acquired_matrix[1]:
        kept = (min(size[0], kspace.shape[-2]), min(size[1], kspace.shape[-1]))
        kspace = centre_of_kspace(kspace, kept)
    return np.asarray(to_image(zero_filled_kspace(kspace, size)) * np.float32(share), dtype=np.complex64)


def magnitudes(images: ComplexSeries, acquisition: Acquisition, size: Matrix) -> Series:
    """Magnitudes ``(D, *size)`` of the time points, zero-filled or cropped to a matrix while they are complex."""
    whole = images.magnitude
    return Series(
        lambda number: np.abs(zero_filled_image(images[number], acquisition, size)),
        whole.times,
        whole.geometry.with_matrix(size),
        whole.warnings,
        facts=whole.facts,
        name=whole.name,
    )


def with_phase_of(result: FloatArray, zero_filled: ComplexArray) -> ComplexArray:
    """A magnitude ``(D, H, W)`` with the phase of the zero-filled image."""
    return np.asarray(result * np.exp(np.complex64(1j) * np.angle(zero_filled)), dtype=np.complex64)


def measured_weights(data: ComplexArray, acquisition: Acquisition) -> FloatArray:
    """Weights ``(h, w)`` of the samples of acquired k-space ``(..., h, w)``; 0 where nothing of use was measured.

    Not all is known of a sampling pattern, such as the side that partial Fourier leaves out, but it can be seen: what
    was not measured is empty.
    """
    strongest = np.abs(data).max(axis=tuple(range(data.ndim - 2)), initial=0)
    weights = acquisition.sample_weights
    measured = (weights >= LEAST_WEIGHT) & (strongest > _EMPTY * strongest.max(initial=0))
    return np.where(measured, weights, np.float32(0))


def complex_consistency(result: FloatArray, image: ComplexArray, acquisition: Acquisition | None = None) -> Consistency:
    """Compare a result with the complex image that it was made from.

    Parameters
    ----------
    result
        Magnitude of the result ``(D, H, W)``, which gets the phase of the zero-filled image.
    image
        Complex image ``(D, m, n)`` as stored.
    acquisition
        How it was acquired, as an image of the result's matrix; all that is stored if not given.
    """
    acquisition = acquisition or _all_stored(image, result)
    estimate, data, weights = kspaces(result, image, acquisition)
    inside = centre_of_kspace(estimate, acquisition.acquired_matrix)
    residual = ratio(_real(inside * weights - data), _real(data))
    beyond = estimate.copy()
    centre_of_kspace(beyond, acquisition.acquired_matrix)[..., weights > 0] = 0
    return Consistency(residual, ratio(_real(beyond), _real(estimate)))


def complex_consistency_map(
    result: FloatArray, image: ComplexArray, acquisition: Acquisition | None = None
) -> FloatArray:
    """Magnitude of the downsampled result minus that of the acquired image, ``(D, h, w)``.

    Parameters
    ----------
    result, image, acquisition
        As for `complex_consistency`.
    """
    acquisition = acquisition or _all_stored(image, result)
    estimate, data, weights = kspaces(result, image, acquisition)
    scale = np.float32(acquisition.fraction)
    inside = centre_of_kspace(estimate, acquisition.acquired_matrix) * weights
    ours, theirs = (np.abs(to_image(kspace * scale)) for kspace in (inside, data))
    return np.asarray(ours - theirs, dtype=np.float32)


def complex_consistency_maps(
    results: Series, acquired: ComplexSeries, acquisition: Acquisition | None = None
) -> Series:
    """The `complex_consistency_map` of every time point, each made when asked for."""

    def load(number: int) -> FloatArray:
        return complex_consistency_map(results[number].data, acquired[number], acquisition)

    matrix = shape_of(acquired[0])[1:] if acquisition is None else acquisition.acquired_matrix
    return Series(load, acquired.times, acquired.geometry.with_matrix(matrix))


def _all_stored(image: ComplexArray, result: FloatArray) -> Acquisition:
    return Acquisition(shape_of(image)[1:], shape_of(result)[1:])


def kspaces(
    result: FloatArray, image: ComplexArray, acquisition: Acquisition
) -> tuple[ComplexArray, ComplexArray, FloatArray]:
    """K-space of a result ``(D, H, W)`` and, in the same scale, of its image ``(D, h, w)``; weights of the latter.

    The result gets the phase of the zero-filled image. What was not measured of that is 0, and so is its weight.
    """
    zero_filled = zero_filled_image(image, acquisition, acquisition.full_matrix)
    data = centre_of_kspace(to_kspace(zero_filled), acquisition.acquired_matrix)
    weights = measured_weights(data, acquisition)
    return to_kspace(with_phase_of(result, zero_filled)), np.where(weights > 0, data, 0), weights


def _real(values: ComplexArray) -> NDArray[np.floating]:
    """Real and imaginary parts as one array."""
    return np.stack((values.real, values.imag))
