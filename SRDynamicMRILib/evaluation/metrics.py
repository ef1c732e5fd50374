"""How alike two volumes are (paper, section 2.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError

_WINDOW = 7
_K1, _K2 = 0.01, 0.03

Mask = NDArray[np.bool_]
Image = NDArray[np.floating]


@dataclass(frozen=True)
class Metrics:
    """Likeness of a result and the truth.

    Parameters
    ----------
    ssim
        Mean structural similarity, at most 1.
    psnr
        Peak signal-to-noise ratio in dB; infinite for equal volumes.
    difference_sd
        Standard deviation of result - truth, in units of the data range.
    nrmse
        Root mean square error divided by the root mean square of the truth.
    """

    ssim: float
    psnr: float
    difference_sd: float
    nrmse: float


def ssim_map(result: Image, truth: Image, data_range: float = 1.0) -> NDArray[np.float64]:
    """Structural similarity around every voxel (Wang et al. 2004; paper, equation 4).

    Means and (sample) covariances in a uniform 7x7x7 window, K1 = 0.01, K2 = 0.03, as scikit-image does. An axis
    with fewer than 7 voxels gets the largest odd window that fits.

    Parameters
    ----------
    result, truth
        Volumes ``(D, H, W)`` of one shape.
    data_range
        Range of possible intensities, L in the equation.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    _check_shapes(result, truth)
    x, y = np.asarray(result, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    window = _windows(x.shape)
    voxels = float(np.prod(window))
    to_sample = voxels / max(voxels - 1, 1)

    def mean(image: NDArray[np.float64]) -> NDArray[np.float64]:
        filtered: NDArray[np.float64] = ndimage.uniform_filter(image, size=window)
        return filtered

    mean_x, mean_y = mean(x), mean(y)
    variance_x = to_sample * (mean(x * x) - mean_x * mean_x)
    variance_y = to_sample * (mean(y * y) - mean_y * mean_y)
    covariance = to_sample * (mean(x * y) - mean_x * mean_y)
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    similarity: NDArray[np.float64] = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )
    return similarity


def _windows(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(min(_WINDOW, size - 1 + size % 2) for size in shape)


def ssim(result: Image, truth: Image, data_range: float = 1.0, mask: Mask | None = None) -> float:
    """Mean of `ssim_map` over the voxels whose window lies inside the volume.

    Equals ``skimage.metrics.structural_similarity(result, truth, data_range=data_range)``.

    Parameters
    ----------
    result, truth, data_range
        As for `ssim_map`.
    mask
        Counts these voxels alone, all of them.
    """
    return mean_ssim(ssim_map(result, truth, data_range), mask)


def mean_ssim(similarity: NDArray[np.float64], mask: Mask | None = None) -> float:
    """Mean of an SSIM map ``(D, H, W)``: of its inner voxels, or of those in a mask of the same shape."""
    if mask is not None:
        return float(similarity[mask].mean())
    margins = [window // 2 for window in _windows(similarity.shape)]
    inner = tuple(slice(m, size - m) for m, size in zip(margins, similarity.shape, strict=True))
    return float(similarity[inner].mean())


def psnr(result: Image, truth: Image, data_range: float = 1.0, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB (paper, equation 5)."""
    difference = _difference(result, truth, mask)
    mse = float(np.mean(difference**2))
    return float("inf") if mse == 0 else float(10 * np.log10(data_range**2 / mse))


def difference_sd(result: Image, truth: Image, mask: Mask | None = None) -> float:
    """Standard deviation of result - truth (the "diff SD" of the paper's Table 3)."""
    return float(_difference(result, truth, mask).std())


def nrmse(result: Image, truth: Image, mask: Mask | None = None) -> float:
    """Root mean square error divided by the root mean square of the truth."""
    difference = _difference(result, truth, mask)
    reference = np.asarray(truth if mask is None else truth[mask], dtype=np.float64)
    energy = float(np.mean(reference**2))
    return float(np.sqrt(np.mean(difference**2) / energy)) if energy > 0 else float("inf")


def _difference(result: Image, truth: Image, mask: Mask | None) -> NDArray[np.float64]:
    _check_shapes(result, truth)
    difference = np.asarray(result, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    chosen: NDArray[np.float64] = difference if mask is None else difference[mask]
    return chosen


def _check_shapes(result: Image, truth: Image) -> None:
    if result.shape != truth.shape:
        message = f"Volumes of {result.shape} and {truth.shape} voxels cannot be compared; resample one of them."
        raise InputError(message)


def compare(result: Image, truth: Image, mask: Mask | None = None) -> tuple[Metrics, NDArray[np.float64]]:
    """All metrics of a result after the paper's normalisation, and the SSIM map.

    Both volumes are divided by the maximum of the truth, so the data range is 1 and a wrong overall intensity counts
    as an error.

    Parameters
    ----------
    result, truth
        Volumes ``(D, H, W)`` in the same unit.
    mask
        Counts these voxels alone.
    """
    peak = float(np.max(truth))
    if peak <= 0:
        raise InputError("The ground truth has no voxel above zero, so nothing can be compared with it.")
    x, y = np.asarray(result, dtype=np.float64) / peak, np.asarray(truth, dtype=np.float64) / peak
    similarity = ssim_map(x, y)
    return measure(x, y, similarity, mask), similarity


def measure(result: Image, truth: Image, similarity: NDArray[np.float64], mask: Mask | None = None) -> Metrics:
    """Metrics of normalised volumes ``(D, H, W)`` whose SSIM map is known, over all voxels or those in a mask."""
    return Metrics(
        ssim=mean_ssim(similarity, mask),
        psnr=psnr(result, truth, mask=mask),
        difference_sd=difference_sd(result, truth, mask),
        nrmse=nrmse(result, truth, mask),
    )
