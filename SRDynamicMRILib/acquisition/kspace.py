"""In-plane k-space: what a faster, shorter acquisition measures, and what it leaves out.

Conventions. k-space is centred: image index ``N // 2`` is the isocentre and the DC sample sits at ``N // 2``, as in
`to_kspace`. Only the last two axes (rows and columns) are transformed. Images are real and keep their sign.

``downsample`` is a linear operator D on real images. Keeping an even number M of samples keeps frequency -M/2 but
not +M/2; as the image is real, D sees only the mean of the two. This is why `data_consistency` writes
the acquired value to both of them: then ``D(data_consistency(x, y)) = y`` holds for every sample,
where the plain replacement of the centre would break it on one row and one column.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..errors import InputError
from ..volume import FloatArray, Geometry, Volume

ComplexArray = NDArray[np.complexfloating[Any, Any]]
_IN_PLANE = (-2, -1)


def to_kspace(image: NDArray[np.generic]) -> ComplexArray:
    """Centred in-plane Fourier transform of an image ``(..., H, W)``; unscaled."""
    shifted = fft.ifftshift(image, axes=_IN_PLANE)
    kspace: ComplexArray = fft.fftshift(fft.fft2(shifted, axes=_IN_PLANE), axes=_IN_PLANE)
    return kspace


def to_image(kspace: ComplexArray) -> ComplexArray:
    """Inverse of `to_kspace`; complex ``(..., H, W)``."""
    shifted = fft.ifftshift(kspace, axes=_IN_PLANE)
    image: ComplexArray = fft.fftshift(fft.ifft2(shifted, axes=_IN_PLANE), axes=_IN_PLANE)
    return image


def check_fraction(fraction: float) -> None:
    """Raise `InputError` unless ``0 < fraction <= 1``."""
    if not 0.0 < fraction <= 1.0:
        message = f"The fraction of k-space must be above 0 and at most 1, but it is {fraction:g}."
        raise InputError(message)


def low_resolution_size(size: tuple[int, int], fraction: float) -> tuple[int, int]:
    """In-plane matrix left by keeping a fraction of k-space with the image's aspect ratio.

    Lines are taken off symmetrically until the share kept is at most `fraction` (MRUnder's centre-ratio
    mask; paper section 2.1), so odd sizes stay odd and even ones even: 256x192 gives 128x96, 80x60 and 64x48
    for 0.25, 0.10 and 0.0625.

    Parameters
    ----------
    size
        Rows and columns ``(H, W)`` of the full matrix.
    fraction
        Share of in-plane k-space to keep, in (0, 1].

    Raises
    ------
    InputError
        If the fraction is outside (0, 1] or leaves nothing of this matrix.
    """
    check_fraction(fraction)
    kept = _centre_kept(size, fraction)
    if kept is None:
        message = (
            f"Keeping {fraction:.4g} of k-space leaves nothing of a {size[0]}x{size[1]} matrix; use a larger fraction."
        )
        raise InputError(message)
    return kept


def _centre_kept(size: tuple[int, int], fraction: float) -> tuple[int, int] | None:
    """What `low_resolution_size` returns; None if nothing is left."""
    full_height, full_width = size
    height, width = size
    while height * width > fraction * full_height * full_width:
        height -= 2
        width = full_width - 2 * ((full_width - round(height * full_width / full_height)) // 2)
        if height < 1 or width < 1:
            return None
    return height, width


def low_resolution_grid(geometry: Geometry, fraction: float) -> Geometry:
    """Grid of a volume of this geometry after keeping a fraction of k-space; see `low_resolution_size`."""
    return geometry.with_matrix(low_resolution_size((geometry.shape[1], geometry.shape[2]), fraction))


def full_size(kept: tuple[int, int], fraction: float) -> tuple[int, int]:
    """In-plane matrix of which `kept` is a fraction: what `low_resolution_size` was given, as far as that can be known.

    Several matrices may lead to the same one; scanners prefer those with large powers of two, and so does this.

    Parameters
    ----------
    kept
        Rows and columns ``(H, W)`` of the low-resolution matrix.
    fraction
        Share of in-plane k-space that it holds, in (0, 1].

    Raises
    ------
    InputError
        If the fraction is outside (0, 1].
    """
    check_fraction(fraction)
    middle = [size / math.sqrt(fraction) for size in kept]
    # Lines come off in pairs, so the full matrix is odd where the small one is.
    near = [
        [n for n in range(max(m, int(middle[axis]) - 8), int(middle[axis]) + 10) if (n - m) % 2 == 0]
        for axis, m in enumerate(kept)
    ]
    fitting = [size for size in product(near[0], near[1]) if _centre_kept(size, fraction) == kept]
    if not fitting:
        return max(kept[0], round(middle[0])), max(kept[1], round(middle[1]))

    def preference(size: tuple[int, int]) -> tuple[int, float]:
        common = math.gcd(*size)
        return common & -common, kept[0] * kept[1] / (size[0] * size[1])

    return max(fitting, key=preference)


@dataclass(frozen=True)
class _Axis:
    """Samples of an axis, and which of them lies at the isocentre."""

    size: int
    centre: int

    @classmethod
    def of(cls, size: int) -> _Axis:
        """The axis of an image, by this module's convention."""
        return cls(size, size // 2)

    @property
    def positions(self) -> NDArray[np.float64]:
        """Places of the samples in fields of view."""
        return np.asarray((np.arange(self.size) - self.centre) / self.size, dtype=np.float64)


@cache
def _fourier_matrix(target: _Axis, source: _Axis, kept: int) -> tuple[FloatArray, FloatArray]:
    """Real and imaginary part of the matrix that resamples an axis by way of its central k-space.

    A transform of the samples of `source`, of which the central `kept` frequencies remain, and an inverse
    transform to those of `target`; constant signals keep their value. Multiplying by it costs less than the full
    transforms, because few frequencies are kept.
    """
    frequencies = np.arange(kept) - kept // 2
    to_frequencies = np.exp(-2j * np.pi * np.outer(frequencies, source.positions))
    to_samples = np.exp(2j * np.pi * np.outer(target.positions, frequencies))
    matrix = to_samples @ to_frequencies / source.size
    return matrix.real.astype(np.float32), matrix.imag.astype(np.float32)


def _resample(image: FloatArray, size: tuple[int, int], kept: tuple[int, int]) -> FloatArray:
    """Real part of an image ``(..., H, W)`` taken to ``(..., *size)`` by way of its central k-space."""
    return _between(image, [_Axis.of(n) for n in size], [_Axis.of(n) for n in image.shape[-2:]], kept)


def _between(image: FloatArray, target: Sequence[_Axis], source: Sequence[_Axis], kept: Sequence[int]) -> FloatArray:
    """Real part of an image on the axes `source` taken to the axes `target` by way of its central k-space."""
    row_real, row_imaginary = _fourier_matrix(target[0], source[0], kept[0])
    column_real, column_imaginary = _fourier_matrix(target[1], source[1], kept[1])
    return separable(image, row_real, column_real) - separable(image, row_imaginary, column_imaginary)


def separable(image: NDArray[np.floating], rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Multiply an image ``(..., h, w)`` by a matrix ``(H, h)`` along its rows and one ``(W, w)`` along its columns.

    By PyTorch, whose threads ``--threads`` and `torch.set_num_threads` limit. NumPy's BLAS has threads of its own,
    which spin while they wait for one another: beside other work, products as small as these then take many times
    longer.
    """
    import torch  # here, because Slicer and `--help` load this file and PyTorch takes seconds

    # PyTorch shares memory only with arrays that are writable and have no negative strides.
    along_rows, whole, along_columns = (
        torch.from_numpy(np.require(a, np.float32, ("C", "W"))) for a in (rows, image, columns)
    )
    product: FloatArray = (along_rows @ whole @ along_columns.T).numpy()
    return product


def crop_kspace(image: NDArray[np.floating], size: tuple[int, int]) -> FloatArray:
    """Keep the central `size` samples of in-plane k-space: D in this module's notes.

    Parameters
    ----------
    image
        Real image ``(..., H, W)``.
    size
        Rows and columns to keep, at most those of the image.

    Returns
    -------
        Real image ``(..., *size)`` of the same mean intensity.
    """
    return _resample(np.asarray(image, dtype=np.float32), size, size)


def pad_kspace(image: NDArray[np.floating], size: tuple[int, int], nyquist: float = 1.0) -> FloatArray:
    """Put an image's k-space in the centre of a larger, empty one.

    Parameters
    ----------
    image
        Real image ``(..., h, w)``.
    size
        Rows and columns of the result, at least those of the image.
    nyquist
        Weight of the outermost frequency of an even axis. 1 shares it among both ends, which is sinc
        interpolation; 2 gives both ends the whole value, which makes `crop_kspace` of the result equal
        to the image.

    Returns
    -------
        Real image ``(..., *size)`` of the same mean intensity.
    """
    whole: FloatArray = np.asarray(image, dtype=np.float32)
    small = (image.shape[-2], image.shape[-1])
    outermost = [-2 + axis for axis in (0, 1) if small[axis] % 2 == 0 and small[axis] < size[axis]]
    if nyquist != 1.0 and outermost:
        # What remains without the outermost frequency of either axis keeps weight 1.
        rest = _without_outermost(whole, outermost)
        whole = rest + np.float32(nyquist) * (whole - rest)
    return _resample(whole, size, small)


def unpad_kspace(image: NDArray[np.floating], size: tuple[int, int], shared: tuple[bool, bool]) -> FloatArray:
    """Take the centre of a zero-filled image's k-space out again: undoes `pad_kspace`.

    Parameters
    ----------
    image
        Real image ``(..., H, W)``.
    size
        Rows and columns of the result, at most those of the image.
    shared
        Whether the outermost frequency of the rows and of the columns lies half at either end, as sinc interpolation
        leaves it; the two halves are added.

    Returns
    -------
        Real image ``(..., *size)`` of the same mean intensity.
    """
    small = crop_kspace(image, size)
    halved = [axis for axis in (-2, -1) if shared[axis] and size[axis] % 2 == 0 and size[axis] < image.shape[axis]]
    return 2 * small - _without_outermost(small, halved)


def _without_outermost(image: FloatArray, axes: Iterable[int]) -> FloatArray:
    """What remains of an image without the frequency -M/2 of some even axes."""
    for axis in axes:
        image = image - _outermost(image, axis)
    return image


def _outermost(image: FloatArray, axis: int) -> FloatArray:
    """Part of an image that alternates from sample to sample of an even axis: its frequency -M/2."""
    signs = np.where(np.arange(image.shape[axis]) % 2, -1, 1).astype(np.float32)
    signs = signs.reshape((-1, 1) if axis == -2 else (1, -1))
    return np.asarray(signs * (signs * image).mean(axis=axis, keepdims=True), dtype=np.float32)


def downsample(volume: Volume, fraction: float) -> Volume:
    """Volume that a shorter acquisition would give: the centre of k-space without zero-padding.

    Paper section 2.1. The result is a smaller image with larger voxels and the same intensities; its origin
    moves, because sample ``N // 2`` is what keeps its place.

    Parameters
    ----------
    volume
        High-resolution volume ``(D, H, W)``.
    fraction
        Share of in-plane k-space to keep, in (0, 1].

    Raises
    ------
    InputError
        If the fraction is outside (0, 1] or leaves nothing of the matrix.
    """
    size = low_resolution_size(volume.shape[1:], fraction)
    return Volume(crop_kspace(volume.data, size), volume.geometry.with_matrix(size))


def data_consistency(image: NDArray[np.floating], acquired: NDArray[np.floating]) -> FloatArray:
    """Replace the centre of an image's k-space by what was acquired.

    The orthogonal projection on the images x with ``crop_kspace(x) = acquired``. If the truth is one of
    them (acquired samples free of noise, sign kept), the projection cannot raise the L2 error.

    Parameters
    ----------
    image
        Estimate ``(..., H, W)``.
    acquired
        Low-resolution image ``(..., h, w)`` of the same field of view.

    Returns
    -------
        The projected estimate ``(..., H, W)``.
    """
    size = (image.shape[-2], image.shape[-1])
    missing = acquired - crop_kspace(image, (acquired.shape[-2], acquired.shape[-1]))
    return np.asarray(image + pad_kspace(missing, size, nyquist=2.0), dtype=np.float32)


def _sub_pixel_axis(kept: int, factor: int) -> _Axis:
    return _Axis(factor * kept, factor * (kept // 2))


def to_sub_pixels(image: NDArray[np.floating], kept: tuple[int, int], factor: int) -> FloatArray:
    """Resample an image to the grid on which every low-resolution voxel has become `factor` x `factor`.

    Voxel ``factor * i`` of that grid lies where voxel ``i`` of the low-resolution image does, whatever the sizes; by
    way of k-space, so nothing is lost but frequencies that the grid cannot hold.

    Parameters
    ----------
    image
        High-resolution image ``(..., H, W)``.
    kept
        Rows and columns ``(h, w)`` of the low-resolution image of the same field of view.
    factor
        Voxels of the result per low-resolution voxel, along each of the two axes.

    Returns
    -------
        Image ``(..., factor * h, factor * w)``.
    """
    target = [_sub_pixel_axis(n, factor) for n in kept]
    return _by_sub_pixels(image, target, [_Axis.of(n) for n in image.shape[-2:]])


def from_sub_pixels(image: NDArray[np.floating], kept: tuple[int, int], size: tuple[int, int]) -> FloatArray:
    """Resample an image from the grid of `to_sub_pixels` to a high-resolution one ``(..., *size)``; its inverse."""
    factor = image.shape[-2] // kept[0]
    return _by_sub_pixels(image, [_Axis.of(n) for n in size], [_sub_pixel_axis(n, factor) for n in kept])


def _by_sub_pixels(image: NDArray[np.floating], target: list[_Axis], source: list[_Axis]) -> FloatArray:
    whole: FloatArray = np.asarray(image, dtype=np.float32)
    if target == source:
        return whole
    return _between(whole, target, source, [min(to.size, of.size) for to, of in zip(target, source, strict=True)])


def effective_resolution(
    volume_spacing: tuple[float, ...], size: tuple[int, int], kept: tuple[int, int]
) -> tuple[float, float]:
    """In-plane voxel size in mm ``(x, y)`` after keeping `kept` of `size` samples (paper, Table 2).

    Parameters
    ----------
    volume_spacing
        High-resolution voxel size in mm, ``(x, y, ...)``.
    size, kept
        Rows and columns ``(H, W)`` before and after.
    """
    return volume_spacing[0] * size[1] / kept[1], volume_spacing[1] * size[0] / kept[0]
