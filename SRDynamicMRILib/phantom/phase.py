"""Phase of the synthetic abdomen: that of field and coils, smooth in space, and fat opposed to water."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..acquisition.phase import smooth_phase
from ..geometry import FloatArray
from .tissues import FAT, LABELS


def phase_of(labels: NDArray[np.uint8], rng: np.random.Generator) -> FloatArray:
    """Phase in radians, from -pi to pi, ``(D, H, W)`` of voxels with these labels.

    Parameters
    ----------
    labels
        Tissues ``(D, H, W)``, numbered by `LABELS`. `FAT` has the opposite phase of all others, as at an echo time that
        opposes the two.
    rng
        Source of the smooth part; the same draw for the time points of a series.
    """
    depth, height, width = labels.shape
    fat = np.isin(labels, [LABELS[tissue] for tissue in FAT])
    phase = smooth_phase((depth, height, width), rng) + np.float32(np.pi) * fat
    return np.asarray(np.angle(np.exp(np.complex64(1j) * phase)), dtype=np.float32)
