"""From the low-resolution grid to the high-resolution one, without learning.

All methods but `trilinear_index` go through the physical positions of the voxels: with centred k-space it is sample
``N // 2`` of both grids that coincides, not their corners.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError, look_up
from ..geometry import FloatArray, Geometry
from ..volume import Volume
from .acquisition import Acquisition
from .kspace import resize_kspace, separable

NON_NEGATIVE_ITERATIONS = 10
"""Projections of `non_negative`: twice as many add 0.1 dB on a cardiac cine at 6.25% and cost twice the time."""

_RELAXATION = 1.9


def _sample_positions(size: int, small: int) -> NDArray[np.float64]:
    """Index on an axis of `small` samples of every sample of the same axis with `size` samples."""
    return np.asarray((np.arange(size) - size // 2) * (small / size) + small // 2, dtype=np.float64)


def _linear_weights(size: int, small: int) -> FloatArray:
    """Matrix ``(size, small)`` of linear interpolation; beyond the outermost samples the nearest one counts."""
    position = np.clip(_sample_positions(size, small), 0, small - 1)
    distance = np.abs(position[:, None] - np.arange(small)[None, :])
    return np.maximum(0.0, 1.0 - distance).astype(np.float32)


def _area_weights(size: int, small: int) -> FloatArray:
    """Matrix ``(size, small)`` of the share of each fine voxel's extent that each coarse voxel covers."""
    position = _sample_positions(size, small)[:, None]
    half = 0.5 * small / size
    coarse = np.arange(small)[None, :]
    lower = np.maximum(position - half, coarse - 0.5)
    upper = np.minimum(position + half, coarse + 0.5)
    covered = np.maximum(0.0, upper - lower)
    outside = covered.sum(axis=1) <= 0
    covered[outside, np.clip(np.rint(position[outside, 0]), 0, small - 1).astype(int)] = 1.0
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), dtype=np.float32)


def trilinear(image: NDArray[np.floating], size: tuple[int, int]) -> FloatArray:
    """Linear interpolation of ``(..., h, w)`` at the physical positions of a ``(..., *size)`` grid."""
    small = image.shape[-2:]
    return separable(image, _linear_weights(size[0], small[0]), _linear_weights(size[1], small[1]))


def area(image: NDArray[np.floating], size: tuple[int, int]) -> FloatArray:
    """Mean of ``(..., h, w)`` over the extent of every voxel of a ``(..., *size)`` grid (paper, section 3)."""
    small = image.shape[-2:]
    return separable(image, _area_weights(size[0], small[0]), _area_weights(size[1], small[1]))


def zero_filled(image: NDArray[np.floating], size: tuple[int, int]) -> FloatArray:
    """Sinc interpolation of ``(..., h, w)`` to ``(..., *size)``: k-space padded with zeros (paper, section 3).

    Where the size is smaller, k-space is cut.
    """
    return resize_kspace(image, size)


def trilinear_index(image: NDArray[np.floating], size: tuple[int, int]) -> FloatArray:
    """Linear interpolation of ``(..., h, w)`` to ``(..., *size)`` by index, as the paper's code does.

    Aligns the corners of the grids instead of their k-space centres, which shifts the image by up to some voxels.
    Kept for weights that were trained so.
    """

    def weights(fine: int, coarse: int) -> FloatArray:
        position = np.clip((np.arange(fine) + 0.5) * (coarse / fine) - 0.5, 0, coarse - 1)
        distance = np.abs(position[:, None] - np.arange(coarse)[None, :])
        return np.asarray(np.maximum(0.0, 1.0 - distance), dtype=np.float32)

    small = image.shape[-2:]
    return separable(image, weights(size[0], small[0]), weights(size[1], small[1]))


def non_negative(
    acquired: NDArray[np.floating],
    size: tuple[int, int],
    start: NDArray[np.floating] | None = None,
    iterations: int = NON_NEGATIVE_ITERATIONS,
) -> FloatArray:
    """Image nearest to `start` that agrees with the acquired k-space and has (almost) no negative voxel.

    Projections onto convex sets (Gerchberg 1974, Papoulis 1975; Youla and Webb 1982): magnitude images are never
    negative, and this alone brings back some of the k-space that was not acquired and takes most of the ringing
    out of the empty background. The truth lies in both sets, so with a relaxation below 2 no step can raise the
    L2 error where the acquired samples are right. The last step is the one on the acquired samples:
    ``D result = acquired`` (see `Acquisition`) holds exactly, non-negativity nearly.

    Parameters
    ----------
    acquired
        Low-resolution image ``(..., h, w)``, sign kept.
    size
        In-plane matrix ``(H, W)`` of the result.
    start
        Estimate ``(..., H, W)`` to improve; without it the zero-filled image.
    iterations
        Number of pairs of projections.
    """
    acquisition = Acquisition((acquired.shape[-2], acquired.shape[-1]), size)
    image = acquisition.pseudoinverse(acquired) if start is None else np.asarray(start, dtype=np.float32)
    for _ in range(iterations):
        image = np.where(image < 0, np.float32(1 - _RELAXATION) * image, image)
        image = acquisition.project(image, acquired)
    return image


_BY_NAME: dict[str, Callable[[NDArray[np.floating], tuple[int, int]], FloatArray]] = {
    "trilinear": trilinear,
    "area": area,
    "zero_filled": zero_filled,
    "trilinear_index": trilinear_index,
    "non_negative": non_negative,
    "sinc": zero_filled,  # its name in the files of some models
}

INPUTS = tuple(_BY_NAME)
"""Names of all interpolations that a network can be fed with."""


def upsample(image: NDArray[np.floating], size: tuple[int, int], method: str) -> FloatArray:
    """Interpolate ``(..., h, w)`` to ``(..., *size)`` by the name of the method, one of `INPUTS`.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    return look_up(method, _BY_NAME, "interpolation")(image, size)


def high_resolution_grid(low_resolution: Geometry, like: Geometry) -> Geometry:
    """Grid over the field of view of `low_resolution` with in-plane voxels the size of those of `like`.

    This is the grid on which k-space can be padded. If the low-resolution volume was made from one with the geometry
    `like`, it is that geometry itself.

    Raises
    ------
    InputError
        If `like` has larger in-plane voxels than the low-resolution volume.
    """
    grid = grid_with_voxels_of(low_resolution, like)
    height, width = grid.shape[1:]
    if height < low_resolution.shape[1] or width < low_resolution.shape[2]:
        message = (
            f"The reference has larger voxels ({like.spacing[0]:.2f} x {like.spacing[1]:.2f} mm) than the volume to "
            f"interpolate ({low_resolution.spacing[0]:.2f} x {low_resolution.spacing[1]:.2f} mm); "
            "give a reference of higher resolution."
        )
        raise InputError(message)
    return grid


def grid_with_voxels_of(volume: Geometry, like: Geometry) -> Geometry:
    """Grid over the field of view of `volume` with in-plane voxels the size of those of `like`, smaller or larger.

    If that is the geometry `like`, it is returned itself.
    """
    if volume.same_orientation(like):
        x, y = like.spacing[0], like.spacing[1]
    else:  # other orientation: only the voxel size can be taken over
        x = y = min(like.spacing)
    width = max(1, round(volume.shape[2] * volume.spacing[0] / x))
    height = max(1, round(volume.shape[1] * volume.spacing[1] / y))
    grid = volume.with_matrix((height, width))
    return like if grid.same_grid(like) else grid


def resample(volume: Volume, geometry: Geometry) -> Volume:
    """Linear interpolation of a volume on any other grid; outside its field of view the nearest voxel counts.

    Parameters
    ----------
    volume
        The volume to resample.
    geometry
        The grid of the result; may be oblique to the volume's.

    Raises
    ------
    InputError
        If the two do not overlap in space.
    """
    if volume.geometry.same_grid(geometry):
        return Volume(volume.data, geometry)
    _check_overlap(volume, geometry)
    image = volume.to_sitk()
    reference = sitk.Image([1, 1, 1], sitk.sitkUInt8)
    reference.SetSpacing(geometry.spacing)
    reference.SetOrigin(geometry.origin)
    reference.SetDirection(geometry.direction)
    resampler = sitk.ResampleImageFilter()
    resampler.SetReferenceImage(reference)
    resampler.SetSize(geometry.shape[::-1])
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.UseNearestNeighborExtrapolatorOn()
    return Volume(sitk.GetArrayFromImage(resampler.Execute(image)), geometry)


def _check_overlap(volume: Volume, geometry: Geometry) -> None:
    if not volume.geometry.overlaps(geometry):
        message = "The two volumes do not overlap in space; check that both are of the same patient and body region."
        raise InputError(message)


def interpolate(volume: Volume, like: Geometry, method: str) -> Volume:
    """Interpolate a low-resolution volume on the grid of a high-resolution one.

    A scanner may have stored more rows and columns than that grid has; then the frequencies that it cannot hold are
    cut off.

    Parameters
    ----------
    volume
        Low-resolution volume.
    like
        Geometry of the result. Where it does not share the field of view of `volume`, the method brings the volume to
        the voxel size of `like` and a linear resampling to its grid.
    method
        One of ``trilinear``, ``area``, ``zero_filled`` (or another of `INPUTS`).

    Raises
    ------
    InputError
        If the two do not overlap.
    """
    _check_overlap(volume, like)
    grid = grid_with_voxels_of(volume.geometry, like)
    if method == "trilinear" and grid is not like:
        return resample(volume, like)
    return resample(Volume(upsample(volume.data, grid.shape[1:], method), grid), like)
