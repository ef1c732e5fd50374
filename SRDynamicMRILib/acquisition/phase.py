"""Phase that a magnitude image could have had: smooth in space, and fat opposed to water.

The field and the coils give a phase that varies slowly over the body; chemical shift turns fat against water, by half a
turn where the echo time opposes the two. Where that happens within a low-resolution voxel the signals cancel, which no
filter of the magnitude image can imitate.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..geometry import FloatArray
from .fat import FatPhase

_LARGEST = 2 * np.pi
"""Largest standard deviation of the smooth part over the image, in radians."""

_WAVES = 4

REAL = 1 / 3
"""Share of the images of `random_phase` that have no phase at all."""

WITH_FAT: dict[FatPhase, float] = {"unknown": 0.4, "in-phase": 0.0, "opposed": 1.0}
"""Share of the others in which fat and water differ in phase."""


def random_phase(image: FloatArray, rng: np.random.Generator) -> FloatArray | None:
    """Draw a phase for a magnitude image, or none, as training has them.

    Parameters
    ----------
    image
        Magnitude image ``(D, H, W)``.
    rng
        Source of chance.

    Returns
    -------
        Phase in radians ``(D, H, W)``; None for none, which is so for `REAL` of all draws.
    """
    return None if rng.random() < REAL else simulated_phase(image, rng)


def simulated_phase(image: FloatArray, rng: np.random.Generator, fat: FatPhase = "unknown") -> FloatArray:
    """Draw a phase in radians for a magnitude image ``(D, H, W)``: smooth, and in `WITH_FAT` of draws fat turned.

    The same draw for the time points of a series gives them the same smooth phase, while fat moves with the image.
    """
    phase = smooth_phase((image.shape[0], image.shape[1], image.shape[2]), rng)
    if rng.random() < WITH_FAT[fat]:
        phase = phase + np.float32(rng.uniform(0.5, 1.0) * np.pi) * fat_like(image, rng)
    return phase


def smooth_phase(shape: tuple[int, int, int], rng: np.random.Generator) -> FloatArray:
    """Draw a phase in radians ``(D, H, W)`` that varies slowly: a polynomial of second order and a few waves."""
    z, y, x = (
        np.linspace(-1, 1, n, dtype=np.float32).reshape(np.roll([n, 1, 1], axis)) for axis, n in enumerate(shape)
    )
    terms = (x, y, 0.5 * z, x * x, y * y, x * y, 0.5 * x * z, 0.5 * y * z)
    field = np.zeros(shape, dtype=np.float32)
    for term in terms:
        field += np.float32(rng.normal()) * term
    for _ in range(int(rng.integers(_WAVES + 1))):
        across, down, through = rng.normal(0, 2.5, 2).tolist() + [float(rng.normal(0, 0.7))]
        argument = np.float32(across) * x + np.float32(down) * y + np.float32(through) * z
        wave = np.sin(argument + np.float32(rng.uniform(0, 2 * np.pi)))
        field += np.float32(rng.normal(0, 0.5)) * wave
    deviation = float(field.std())
    wanted = _LARGEST * rng.random() ** 2
    return field * np.float32(wanted / max(deviation, 1e-6))


def fat_like(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw what could be fat of a magnitude image: mostly the brightest tissue, or tissue of any other brightness.

    Returns
    -------
        Share of fat, 0 to 1, ``(D, H, W)``.
    """
    smooth = ndimage.gaussian_filter(image, (0, 0.7, 0.7))
    body = smooth[smooth > 0.1 * float(np.percentile(smooth, 99))]
    if body.size == 0:
        return np.zeros_like(image)
    if rng.random() < 0.5:
        low, high = float(np.quantile(body, rng.uniform(0.5, 0.9))), np.inf
    else:
        first = rng.uniform(0, 0.7)
        low, high = (float(np.quantile(body, share)) for share in (first, first + rng.uniform(0.15, 0.3)))
    inside = (smooth > low) & (smooth < high)
    share: FloatArray = ndimage.gaussian_filter(inside.astype(np.float32), (0, 0.6, 0.6))
    return share
