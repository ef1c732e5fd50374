"""The body in a magnitude image, and how strong its signal is."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

BodyMask = NDArray[np.bool_]


def body_mask(volume: NDArray[np.floating]) -> BodyMask:
    """Voxels of the body: what is brighter than air, the largest piece of it, holes filled slice by slice.

    The threshold is Otsu's on the logarithm of the smoothed intensities (tissue spans a wide range, air a narrow one).

    Parameters
    ----------
    volume
        Magnitude image ``(D, H, W)``.
    """
    smooth = ndimage.gaussian_filter(np.maximum(np.asarray(volume, dtype=np.float32), 0), (0, 1.5, 1.5))
    floor = max(float(smooth.max()) * 1e-3, 1e-12)
    image = sitk.GetImageFromArray(np.log(smooth + floor))
    bright = sitk.GetArrayFromImage(sitk.OtsuThreshold(image, 0, 1)).astype(bool)
    pieces, number = ndimage.label(bright)
    if number == 0:
        return np.ones(volume.shape, dtype=bool)
    largest = pieces == (1 + np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.stack([ndimage.binary_fill_holes(piece) for piece in largest])


def body_signal(volume: NDArray[np.floating]) -> float:
    """Mean intensity of the body in a magnitude image ``(D, H, W)``: the signal of a signal-to-noise ratio."""
    return float(np.abs(volume)[body_mask(volume)].mean())
