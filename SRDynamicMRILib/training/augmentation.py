"""Random changes of training images that a scanner could have made."""

from __future__ import annotations

import numpy as np

from ..acquisition.kspace import crop_kspace, low_resolution_size
from ..volume import FloatArray, shape_of


def augment(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Change resolution, contrast and orientation of an image ``(D, H, W)`` at random.

    Cutting off the outermost k-space makes the remaining image use all of its k-space, which scanners that interpolate
    do not give. A power law changes the contrast.
    """
    if rng.random() < 0.7:
        share = float(rng.uniform(0.35, 1.0))
        image = crop_kspace(image, low_resolution_size(shape_of(image)[1:], share))
    image = np.maximum(image, 0)  # ringing, of this cut or of an earlier one
    peak = float(np.percentile(image, 99.9))
    if rng.random() < 0.5 and peak > 0:
        image = (image / peak) ** np.float32(rng.uniform(0.6, 1.6)) * peak
    turned: FloatArray = np.rot90(image, int(rng.integers(4)), axes=(1, 2))
    return turned
