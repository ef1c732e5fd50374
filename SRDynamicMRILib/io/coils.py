"""The images of several receive coils as one.

Noise that the coils share is removed first, by a measurement of noise alone (Roemer et al. 1990, Magn Reson Med
16:192-225; Pruessmann et al. 2001, Magn Reson Med 46:638-651). The combination is adaptive (Walsh et al. 2000, Magn
Reson Med 43:682-690): the coils are weighted by the eigenvector of their correlation in the neighbourhood of a voxel,
which is found by power iteration. Its phase is relative to a virtual reference coil, the sum of all coils that receives
most (Parker et al. 2014, Magn Reson Med 72:563-569). Neither loses or cancels a phase of the object that changes
quickly, such as that of fat.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError

ComplexArray = NDArray[np.complexfloating[Any, Any]]

_NEIGHBOURHOOD = 1 / 32
"""SD of the Gaussian that a neighbourhood is, in fields of view."""

_ITERATIONS = 3


def prewhitening(noise: ComplexArray) -> NDArray[np.complex64]:
    """Matrix ``(C, C)`` by which the noise of the coils becomes independent, of SD 1 in either channel.

    Parameters
    ----------
    noise
        Samples ``(C, N)`` of noise alone.

    Raises
    ------
    InputError
        If they are fewer than the coils, or a coil measured nothing.
    """
    samples = np.asarray(noise, dtype=np.complex128)
    if samples.shape[1] < samples.shape[0]:
        raise InputError("The noise measurement has fewer samples than there are coils; leave it out of the file.")
    covariance = samples @ samples.conj().T / (2 * samples.shape[1])  # of either channel
    try:
        whitened = np.linalg.inv(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError as error:
        raise InputError("The noise measurement has no noise in a coil; leave it out of the file.") from error
    return np.asarray(whitened, dtype=np.complex64)


def reference_weights(images: ComplexArray) -> NDArray[np.complex64]:
    """Weights ``(C,)`` of the coils in the virtual reference coil, of which the strongest is positive.

    Parameters
    ----------
    images
        Images ``(..., C, H, W)`` of the coils.
    """
    coils = np.moveaxis(images, -3, 0).reshape(images.shape[-3], -1).astype(np.complex128)
    _, vectors = np.linalg.eigh(coils @ coils.conj().T)
    weights = vectors[:, -1]
    strongest = weights[np.argmax(np.abs(weights))]
    return np.asarray(weights * (np.abs(strongest) / strongest), dtype=np.complex64)


def combined(images: ComplexArray, weights: ComplexArray) -> NDArray[np.complex64]:
    """Combine the complex images of coils.

    Parameters
    ----------
    images
        Images ``(..., C, H, W)`` of the coils, their noise independent.
    weights
        Weights ``(C,)`` of the coils in the virtual reference coil.

    Returns
    -------
        Complex image ``(..., H, W)``: the magnitude of the object times the root of the sum of the squared
        sensitivities; the phase of the object plus that of the reference coil.
    """
    scaled = images / (np.abs(images).max() or 1)
    towards = np.broadcast_to(weights[:, None, None], images.shape)
    for _ in range(_ITERATIONS):
        correlation = _smooth(scaled * np.sum(scaled.conj() * towards, axis=-3, keepdims=True))
        length = np.linalg.norm(correlation, axis=-3, keepdims=True)
        towards = correlation / np.maximum(length, np.finfo(np.float32).tiny)
    return np.asarray(np.sum(towards.conj() * images, axis=-3), dtype=np.complex64)


def _smooth(images: ComplexArray) -> ComplexArray:
    """Images ``(..., H, W)`` averaged over the neighbourhood of every pixel."""
    sigma = [0.0] * (images.ndim - 2) + [_NEIGHBOURHOOD * size for size in images.shape[-2:]]
    smooth: ComplexArray = ndimage.gaussian_filter(images, sigma, mode="nearest")
    return smooth
