"""From a low-resolution volume to a high-resolution one with a trained model (paper, section 2.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .checkpoints import Model
from .devices import is_out_of_memory
from .errors import InputError
from .interpolation import high_resolution_grid, non_negative, upsample
from .kspace import data_consistency, full_size
from .networks.unet import GRID_STEP, HALO, UNet3D
from .normalisation import intensity_scale
from .patches import OverlapAverage, extract, next_multiple, pad_to, patch_positions, tiles
from .progress import Progress
from .volume import FloatArray, Geometry, Shape, Volume, shape_of

_SMALLEST_TILE = 32
_MAPS_AT_ONCE = 8
"""Full-size sets of feature maps that are alive at a time at the network's widest place, found by measurement."""

_RINGING = 0.35
"""Share of the maximum that ringing below zero can reach; what is darker is no magnitude image."""


@dataclass(frozen=True)
class Inference:
    """How the network is applied to a volume.

    Parameters
    ----------
    patch
        Patch size ``(D, H, W)`` for inference by patches; None takes the whole volume, in tiles where memory is
        short. The result does not depend on the tiles.
    stride
        Step ``(D, H, W)`` between patches; the overlap is averaged.
    batch
        Patches at a time.
    memory
        Bytes that the network's feature maps may take, which sets the size of the tiles.
    """

    patch: Shape | None = None
    stride: Shape = (3, 3, 3)
    batch: int = 8
    memory: int = 1 << 30


def target_grid(
    low_resolution: Geometry, like: Geometry | None, model: Model, fraction: float | None = None
) -> Geometry:
    """Grid of the result for a low-resolution volume.

    Its field of view is always that of the low-resolution volume. The voxel size comes, in this order, from `like`, the
    fraction, the prior the model was fine-tuned on, the lowest fraction the model knows.

    Parameters
    ----------
    low_resolution
        Geometry of the volume to super-resolve.
    like
        Geometry of a high-resolution volume, such as the planning scan.
    model
        The model to be used.
    fraction
        Share of in-plane k-space that the volume holds.

    Raises
    ------
    InputError
        If `like` has the lower resolution, or nothing tells the voxel size.
    """
    if like is not None:
        return high_resolution_grid(low_resolution, like)
    if fraction is None and model.info.prior_spacing:
        x, y = model.info.prior_spacing[:2]
        width = max(low_resolution.shape[2], round(low_resolution.shape[2] * low_resolution.spacing[0] / x))
        height = max(low_resolution.shape[1], round(low_resolution.shape[1] * low_resolution.spacing[1] / y))
        return low_resolution.with_matrix((height, width))
    if fraction is None:
        if not model.info.fractions:
            message = "The model does not say for which fraction of k-space it is; give --like PRIOR or --fraction."
            raise InputError(message)
        fraction = min(model.info.fractions)
    return low_resolution.with_matrix(full_size((low_resolution.shape[1], low_resolution.shape[2]), fraction))


def super_resolve(
    volume: Volume,
    model: Model,
    grid: Geometry,
    *,
    device: torch.device | None = None,
    inference: Inference | None = None,
    progress: Progress | None = None,
) -> Volume:
    """Super-resolve one volume.

    Parameters
    ----------
    volume
        Low-resolution volume ``(D, h, w)``.
    model
        The model; its network is moved to the device.
    grid
        Grid of the result ``(D, H, W)`` over the same field of view; see `target_grid`.
    device
        Where to compute; the CPU if not given. Where a GPU's memory does not suffice, smaller tiles are tried, then
        the CPU, and the log says so.
    inference
        How to apply the network; the whole volume at once if not given.
    progress
        Told what did not go as asked.

    Returns
    -------
        The result, intensities in the unit of the input.

    Raises
    ------
    InputError
        If the network gives something that is not finite.
    """
    device = device or torch.device("cpu")
    inference = inference or Inference()
    progress = progress or Progress()
    info = model.info
    size = (grid.shape[1], grid.shape[2])
    acquired = volume.data
    interpolated = upsample(acquired, size, info.interpolation)
    scale = np.float32(
        intensity_scale(interpolated if info.normalisation == "maximum" else acquired, info.normalisation)
    )
    network_input = interpolated / scale
    output = _apply(model.network, network_input, device, inference, progress)
    if info.residual:
        output = output + network_input
    if not np.isfinite(output).all():
        message = "The network gave values that are not finite, so there is no result; use another model."
        raise InputError(message)
    result = output * scale
    if info.data_consistency:
        if acquired.min() >= -_RINGING * acquired.max():
            result = non_negative(acquired, size, start=result)
        else:
            progress.log("The volume has strongly negative voxels, so results are not held above zero.")
            result = data_consistency(result, acquired)
    return Volume(result, grid)


def _apply(
    network: nn.Module, image: FloatArray, device: torch.device, inference: Inference, progress: Progress
) -> FloatArray:
    """Apply the network on the device, with less memory where there is too little, at last on the CPU."""
    tile, batch = _tile_shape(network, shape_of(image), inference.memory), inference.batch
    while True:
        try:
            function = _on(network, device)
            if inference.patch is None:
                return _by_tiles(function, image, tile)
            return _by_patches(function, image, inference.patch, inference.stride, batch)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if device.type == "cuda":
                torch.cuda.empty_cache()
            if inference.patch is None and max(tile) > _SMALLEST_TILE:
                tile = _halved(tile)
                progress.log(f"Not enough memory on {device}: trying smaller tiles.")
            elif inference.patch is not None and batch > 1:
                batch //= 2
                progress.log(f"Not enough memory on {device}: trying fewer patches at a time.")
            elif device.type != "cpu":
                progress.log(f"Not enough memory on {device}: going on with the CPU.")
                device = torch.device("cpu")
            else:
                message = "There is not enough memory to super-resolve this volume; close other programs and try again."
                raise InputError(message) from None


def _on(network: nn.Module, device: torch.device) -> Callable[[FloatArray], FloatArray]:
    """The network on a device as a function of images ``(B, d, h, w)``."""
    network.to(device=device, memory_format=torch.channels_last_3d).eval()  # type: ignore[call-overload]

    def function(images: FloatArray) -> FloatArray:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(images)).unsqueeze(1).to(device)
            output = network(batch.contiguous(memory_format=torch.channels_last_3d))
            result: FloatArray = output.squeeze(1).float().cpu().numpy()
            return result

    return function


def _tile_shape(network: nn.Module, shape: Shape, memory: int) -> Shape:
    """Largest tile whose feature maps, margin included, fit in `memory` bytes."""
    features = network.features if isinstance(network, UNet3D) else 1
    voxels = memory / (4 * features * _MAPS_AT_ONCE)
    tile = next_multiple(shape, GRID_STEP)
    while math.prod(min(t + 2 * HALO, n) for t, n in zip(tile, shape, strict=True)) > voxels:
        if max(tile) <= _SMALLEST_TILE:
            break
        tile = _halved(tile)
    return tile


def _halved(tile: Shape) -> Shape:
    """Half of a tile along its longest axis, in steps of the network's grid."""
    sizes = list(tile)
    longest = int(np.argmax(sizes))
    half = -(-sizes[longest] // 2)
    sizes[longest] = -(-half // GRID_STEP) * GRID_STEP
    return sizes[0], sizes[1], sizes[2]


def _by_tiles(function: Callable[[FloatArray], FloatArray], image: FloatArray, tile: Shape) -> FloatArray:
    """Apply a network to a whole volume, tile by tile with margin; equal to doing it at once.

    Tiles begin on multiples of the network's grid step, or pooling would group other voxels.
    """
    padded, inner = _pad_end(image)
    output = np.empty_like(padded)
    for outer, core, within in tiles(shape_of(padded), tile, HALO):
        output[core] = function(padded[outer][None])[0][within]
    return output[inner]


def _pad_end(image: FloatArray) -> tuple[FloatArray, tuple[slice, ...]]:
    """Grow every axis at its end to a multiple of the network's grid step."""
    shape = next_multiple(shape_of(image), GRID_STEP)
    widths = [(0, wanted - size) for wanted, size in zip(shape, image.shape, strict=True)]
    return np.pad(image, widths, mode="edge"), tuple(slice(0, size) for size in image.shape)


def _by_patches(
    function: Callable[[FloatArray], FloatArray], image: FloatArray, patch: Shape, stride: Shape, batch: int
) -> FloatArray:
    """Apply a network to overlapping patches and average them (paper, section 2.2)."""
    padded, inner = pad_to(image, patch)
    average = OverlapAverage(shape_of(padded))
    positions = patch_positions(shape_of(padded), patch, stride)
    for first in range(0, len(positions), batch):
        some = positions[first : first + batch]
        for position, output in zip(some, function(np.stack([extract(padded, p, patch) for p in some])), strict=True):
            average.add(output, position)
    return average.mean()[inner]
