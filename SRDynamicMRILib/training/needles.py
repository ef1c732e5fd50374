"""Needles in training images: the planning scan shows none, the procedure does.

A network that has never seen thin dark lines takes them for noise and makes them fainter (Studies/needle.py).
"""

from __future__ import annotations

import numpy as np

from ..geometry import FloatArray

_RADIUS = (0.8, 2.5)
"""Of the signal void in mm; a needle's artefact is wider than the needle."""

_DEPTH = (0.6, 1.0)
"""Share of the signal that is lost within."""

_TILT = 0.02
"""Largest number of slices that a needle crosses in 1 mm of its way."""


def with_needles(image: FloatArray, spacing: tuple[float, float, float], rng: np.random.Generator) -> FloatArray:
    """Draw as many needles as there are slices, from the border of the image to random places in the body.

    Parameters
    ----------
    image
        Image ``(D, H, W)``; it is not changed.
    spacing
        Voxel size in mm, ``(x, y, z)``.
    rng
        Source of chance.
    """
    depth, height, width = image.shape
    y, x = np.meshgrid(np.arange(height) * spacing[1], np.arange(width) * spacing[0], indexing="ij")
    body = np.argwhere(image > image.mean())
    signal = np.ones(image.shape, dtype=np.float32)
    for _ in range(depth if len(body) else 0):
        z_tip, y_tip, x_tip = body[rng.integers(len(body))]
        angle, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(-_TILT, _TILT)
        radius, lost = rng.uniform(*_RADIUS), rng.uniform(*_DEPTH)
        right, down = x - x_tip * spacing[0], y - y_tip * spacing[1]
        along = right * np.cos(angle) + down * np.sin(angle)  # mm behind the tip
        beside = np.abs(down * np.cos(angle) - right * np.sin(angle))
        distance = np.where(along > 0, beside, np.hypot(along, beside))
        void = lost * np.clip(0.5 + (radius - distance) / min(spacing[:2]), 0, 1)
        for z in range(depth):
            share = np.clip(1 - np.abs(z - z_tip - tilt * np.maximum(along, 0)), 0, 1)  # of the slice's thickness
            if share.any():
                signal[z] = np.minimum(signal[z], 1 - void * share)
    drawn: FloatArray = image * signal
    return drawn
