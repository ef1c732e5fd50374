"""Super-resolution of complex images: the magnitude by the network, the phase from the data.

A complex image says more than its magnitude. Zero-filled before the magnitude is taken, it does not alias; and with its
phase, the acquired k-space can be put back, which a magnitude does not allow.
"""

from __future__ import annotations

import numpy as np
import torch

from ..acquisition.acquisition import Acquisition
from ..acquisition.complex_image import as_magnitude, kspaces, zero_filled_image
from ..acquisition.kspace import ComplexArray, to_image
from ..acquisition.sampling import frequencies
from ..acquisition.simulate import centre_of_kspace
from ..geometry import FloatArray, Geometry
from ..models.checkpoints import Model
from ..progress import Progress
from ..volume import Volume
from .super_resolution import super_resolve
from .tiling import Inference

_RINGS = 12
"""Rings of k-space over which powers are averaged."""


def super_resolve_complex(
    image: ComplexArray,
    low_resolution: Geometry,
    model: Model,
    grid: Geometry,
    *,
    acquisition: Acquisition | None = None,
    device: torch.device | None = None,
    inference: Inference | None = None,
    progress: Progress | None = None,
) -> Volume:
    """Super-resolve a complex image.

    Parameters
    ----------
    image
        Complex image ``(D, m, n)`` as stored.
    low_resolution
        Its geometry.
    model, grid, device, inference, progress
        As for `super_resolution.super_resolve`.
    acquisition
        How it was acquired, as an image of the grid's matrix; all that is stored if not given.

    Returns
    -------
        The magnitude of the result ``(D, H, W)``.

    Raises
    ------
    InputError
        As for `super_resolution.super_resolve`.
    """
    acquisition = acquisition or Acquisition((image.shape[-2], image.shape[-1]), (grid.shape[1], grid.shape[2]))
    known = as_magnitude(acquisition)
    magnitude = np.abs(zero_filled_image(image, acquisition, known.stored_matrix))
    volume = Volume(magnitude, low_resolution.with_matrix(known.stored_matrix))
    result = super_resolve(
        volume, model, grid, acquisition=known, device=device, inference=inference, progress=progress
    )
    return Volume(consistent(result.data, image, acquisition), grid)


def consistent(result: FloatArray, image: ComplexArray, acquisition: Acquisition) -> FloatArray:
    """Put the acquired k-space of a complex image back into a magnitude.

    The result gets the phase of the zero-filled image. Without noise its acquired k-space is then replaced. With noise
    every frequency moves to the data as far as they are nearer to the truth: where the residual has the power R and the
    noise N, the error of the result has R - N, and the weight that leaves the least is ``(R - N) / R`` (Wiener).

    Parameters
    ----------
    result
        Magnitude ``(D, H, W)``.
    image
        Complex image ``(D, m, n)`` as stored.
    acquisition
        How it was acquired, as an image of the result's matrix.
    """
    estimate, data, weights = kspaces(result, image, acquisition)
    ours = centre_of_kspace(estimate, acquisition.acquired_matrix)
    measured = weights > 0
    residual = np.where(measured, data / np.where(measured, weights, 1) - ours, 0)
    ours += residual * _strength(residual, weights, acquisition)
    return np.asarray(np.abs(to_image(estimate)), dtype=np.float32)


def _strength(residual: ComplexArray, weights: FloatArray, acquisition: Acquisition) -> FloatArray:
    """How far every frequency ``(h, w)`` moves to the data, from 0 to 1."""
    if acquisition.noise == 0:
        return np.ones(weights.shape, dtype=np.float32)
    (h, w), measured = acquisition.acquired_matrix, weights > 0
    # Both channels, in the scale of the transform of an image of this matrix.
    height, width = acquisition.full_matrix
    noise = 2 * acquisition.noise**2 * h * w * (height * width / (h * w)) ** 2
    noise_power = np.where(measured, noise / np.where(measured, weights, 1) ** 2, np.inf)
    distance = np.hypot(*frequencies((h, w)))
    ring = np.minimum((distance / np.sqrt(2) * _RINGS).astype(int), _RINGS - 1)
    power = (np.abs(residual) ** 2).mean(axis=tuple(range(residual.ndim - 2)))
    strength = np.zeros(weights.shape, dtype=np.float32)
    for number in range(_RINGS):
        there = (ring == number) & measured
        if there.any():
            error = max(0.0, float(power[there].mean()) - float(noise_power[there].mean()))
            strength[there] = error / (error + noise_power[there])
    return strength
