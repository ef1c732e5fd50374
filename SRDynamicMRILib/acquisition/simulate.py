"""What a scanner stores of an image: the acquisition as a whole, with phase, noise and magnitude.

Of a complex image x a scanner stores ``| Z W (M F x + n) |``, rounded to integers: F is the Fourier transform, M the
samples that it measures, n the noise of its coils, W a window, Z zero-filling to the stored matrix and the transform
back to an image. `scanner` does it for volumes and series.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..geometry import FloatArray
from .acquisition import Acquisition, check_matrix
from .kspace import ComplexArray, to_image, to_kspace, zero_fill_kspace
from .matrices import Matrix

BITS = 12
"""Bits of a stored voxel, as scanners have them."""


def acquired_image(
    image: NDArray[np.floating],
    acquisition: Acquisition,
    *,
    phase: NDArray[np.floating] | None = None,
    rng: np.random.Generator | None = None,
) -> ComplexArray:
    """Complex image ``(..., m, n)`` that a scanner reconstructs before it takes the magnitude.

    Parameters
    ----------
    image
        Magnitude of the object ``(..., H, W)``.
    acquisition
        How it is acquired.
    phase
        Its phase in radians ``(..., H, W)``; none if not given.
    rng
        Source of the noise; without it, there is none.

    Raises
    ------
    InputError
        If image or phase do not have the full matrix.
    """
    full, acquired, stored = acquisition.full_matrix, acquisition.acquired_matrix, acquisition.stored_matrix
    check_matrix(image, full, "full")
    whole = np.asarray(image, dtype=np.complex64)
    if phase is not None:
        check_matrix(phase, full, "full")
        whole = whole * np.exp(np.complex64(1j) * np.asarray(phase, dtype=np.float32))
    samples = centre_of_kspace(to_kspace(whole), acquired) * np.float32(_share(acquired, full))
    if rng is not None and acquisition.noise > 0:
        deviation = np.float32(acquisition.noise * np.sqrt(acquired[0] * acquired[1]))
        real, imaginary = (rng.standard_normal(samples.shape, dtype=np.float32) for _ in range(2))
        samples = samples + deviation * (real + np.complex64(1j) * imaginary)
    weighted = zero_filled_kspace(samples * acquisition.sample_weights, stored)
    return to_image(weighted * np.float32(1 / _share(acquired, stored)))


def stored_image(
    image: NDArray[np.floating],
    acquisition: Acquisition,
    *,
    phase: NDArray[np.floating] | None = None,
    rng: np.random.Generator | None = None,
) -> FloatArray:
    """Image ``(..., m, n)`` that a scanner stores: the magnitude, or the real part where the sign is kept.

    Without phase and noise, a signed one is that of `Acquisition.downsample`.

    Parameters
    ----------
    image, acquisition, phase, rng
        As for `acquired_image`.

    Raises
    ------
    InputError
        If image or phase do not have the full matrix.

    Examples
    --------
    >>> acquisition = Acquisition((4, 4), (8, 8), (8, 8), magnitude=True)
    >>> stored_image(np.ones((2, 8, 8)), acquisition).shape
    (2, 8, 8)
    """
    if acquisition.magnitude:
        return np.asarray(np.abs(acquired_image(image, acquisition, phase=phase, rng=rng)), dtype=np.float32)
    # As D does: real before it is zero-filled, so that both ends of an even axis get the same.
    small = replace(acquisition, stored_matrix=acquisition.acquired_matrix)
    real = np.asarray(acquired_image(image, small, phase=phase, rng=rng).real, dtype=np.float32)
    if acquisition.stored_matrix == acquisition.acquired_matrix:
        return real
    return zero_fill_kspace(real, acquisition.stored_matrix, acquisition.shared_nyquist)


def rounded(image: FloatArray, bits: int = BITS) -> FloatArray:
    """Intensities as integers of so many bits would keep them: multiples of a step, of which the largest is the most.

    The sign has a bit of its own.
    """
    step = np.float32(np.abs(image).max() / (2**bits - 1))
    return np.asarray(np.round(image / step) * step, dtype=np.float32) if step > 0 else image


def centre_of_kspace(kspace: ComplexArray, matrix: Matrix) -> ComplexArray:
    """Central samples ``(..., h, w)`` of centred k-space ``(..., H, W)``."""
    sizes = zip(kspace.shape[-2:], matrix, strict=True)
    rows, columns = (slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in sizes)
    return kspace[..., rows, columns]


def zero_filled_kspace(kspace: ComplexArray, matrix: Matrix) -> ComplexArray:
    """Centred k-space ``(..., h, w)`` in the middle of an empty one ``(..., *matrix)``."""
    if kspace.shape[-2:] == matrix:
        return kspace
    whole: ComplexArray = np.zeros((*kspace.shape[:-2], *matrix), dtype=kspace.dtype)
    centre_of_kspace(whole, (kspace.shape[-2], kspace.shape[-1]))[...] = kspace
    return whole


def _share(part: Matrix, whole: Matrix) -> float:
    return part[0] * part[1] / (whole[0] * whole[1])
