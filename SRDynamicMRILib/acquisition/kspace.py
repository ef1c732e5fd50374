"""The Fourier mathematics of in-plane k-space: transforms, cropping, zero-filling, sub-pixels.

Conventions. k-space is centred: image index ``N // 2`` is the isocentre and the DC sample sits at ``N // 2``, as in
`to_kspace`. Only the last two axes (rows and columns) are transformed. Images are real and keep their sign.

Keeping an even number M of samples keeps frequency -M/2 but not +M/2; as the image is real, `crop_kspace` sees only the
mean of the two. What that means for data consistency is said in `acquisition`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..geometry import FloatArray

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
    """Keep the central `size` samples of in-plane k-space.

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
    if nyquist != 1.0:
        whole = _scale_outermost(whole, outermost, nyquist)
    return _resample(whole, size, small)


def resize_kspace(image: NDArray[np.floating], size: tuple[int, int]) -> FloatArray:
    """Resample an image ``(..., h, w)`` to a matrix ``(..., *size)`` by way of its k-space, cut or zero-filled."""
    kept = (min(size[0], image.shape[-2]), min(size[1], image.shape[-1]))
    return _resample(np.asarray(image, dtype=np.float32), size, kept)


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


def zero_fill_kspace(image: NDArray[np.floating], size: tuple[int, int], shared: tuple[bool, bool]) -> FloatArray:
    """Zero-fill an image's k-space as a scanner does before it stores the image; `unpad_kspace` undoes it.

    Parameters
    ----------
    image
        Real image ``(..., h, w)``.
    size
        Rows and columns of the result, at least those of the image.
    shared
        Whether the outermost frequency of even rows and columns ends half at either end (sinc interpolation, as
        `pad_kspace`) or whole at both.

    Returns
    -------
        Real image ``(..., *size)`` of the same mean intensity.
    """
    whole: FloatArray = np.asarray(image, dtype=np.float32)
    return pad_kspace(_weight_of_outermost(whole, size, shared), size)


def zero_fill_adjoint(image: NDArray[np.floating], size: tuple[int, int], shared: tuple[bool, bool]) -> FloatArray:
    """Adjoint of `zero_fill_kspace`: from the zero-filled ``(..., H, W)`` to the smaller matrix ``(..., *size)``."""
    stored = (image.shape[-2], image.shape[-1])
    scale = np.float32(stored[0] * stored[1] / (size[0] * size[1]))
    return scale * _weight_of_outermost(crop_kspace(image, size), stored, shared)


def _weight_of_outermost(image: FloatArray, size: tuple[int, int], shared: tuple[bool, bool]) -> FloatArray:
    """Double the outermost frequency, and halve it again along every axis that shares it among both ends."""
    outermost = [axis for axis in _IN_PLANE if image.shape[axis] % 2 == 0 and image.shape[axis] < size[axis]]
    halved = [axis for axis in outermost if shared[axis]]
    if outermost == halved:
        return image
    return _scale_outermost(_scale_outermost(image, outermost, 2.0), halved, 0.5)


def _scale_outermost(image: FloatArray, axes: Sequence[int], factor: float) -> FloatArray:
    """Scale all that has frequency -M/2 along any of some even axes; what remains keeps weight 1."""
    if not axes:
        return image
    rest = _without_outermost(image, axes)
    return rest + np.float32(factor) * (image - rest)


def filter_kspace(image: NDArray[np.floating], weights: NDArray[np.floating]) -> FloatArray:
    """Multiply an image's centred k-space by weights.

    Parameters
    ----------
    image
        Real image ``(..., h, w)``.
    weights
        Real factors ``(h, w)``, the same for opposite frequencies; else the real part of the result is returned.

    Returns
    -------
        Real image ``(..., h, w)``.
    """
    kspace = to_kspace(np.asarray(image, dtype=np.float32))
    return np.asarray(to_image(kspace * weights.astype(np.float32)).real, dtype=np.float32)


def opposite_frequencies(values: NDArray[Any]) -> NDArray[Any]:
    """Values ``(..., h, w)`` of centred k-space, each at the place of the opposite frequency.

    The outermost frequency -M/2 of an even axis is its own opposite.
    """
    rows, columns = ((2 * (n // 2) - np.arange(n)) % n for n in values.shape[-2:])
    return values[..., rows[:, None], columns]


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
