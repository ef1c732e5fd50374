"""Applying a network to a volume: at once, tile by tile where memory is short, or by overlapping patches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ..errors import InputError
from ..geometry import FloatArray, Shape, shape_of
from ..networks.network import SuperResolutionNetwork
from ..process.devices import fastest_precision, is_out_of_memory
from ..process.precision import Precision
from ..progress import Progress
from .patches import OverlapAverage, extract, next_multiple, pad_to, patch_positions, tiles

_SMALLEST_TILE = 32


@dataclass(frozen=True)
class Inference:
    """How a network is applied to a volume.

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
    precision
        Of the convolutions. If not given, the fastest of the device for whole volumes; for patches, the paper's way,
        float32.
    """

    patch: Shape | None = None
    stride: Shape = (3, 3, 3)
    batch: int = 8
    memory: int = 1 << 30
    precision: Precision | None = None

    def precision_on(self, device: torch.device) -> Precision:
        """Precision to compute with on a device."""
        if self.precision is not None:
            return self.precision
        return fastest_precision(device) if self.patch is None else "float32"


@dataclass(frozen=True)
class Layout:
    """What has to be known about a network to cut its work into tiles.

    Parameters
    ----------
    halo
        Voxels of margin that a tile needs on every side.
    grid_step
        Tiles begin on multiples of this many voxels.
    factor
        Voxels it gives per voxel it is fed with, along rows and along columns.
    maps
        Feature maps of the size of its input that are alive at a time at its widest place.
    """

    halo: int
    grid_step: int
    factor: int
    maps: int


def apply_network(
    network: SuperResolutionNetwork, image: FloatArray, device: torch.device, inference: Inference, progress: Progress
) -> FloatArray:
    """Apply a network on a device; with less memory where there is too little, at last on the CPU.

    Parameters
    ----------
    network
        Moved to the device.
    image
        What it is fed with, ``(D, H, W)`` or ``(C, D, H, W)``, of any size.
    device
        Where to compute.
    inference
        How.
    progress
        Told what did not go as asked.

    Returns
    -------
        What it gives, ``(D, H, W)``, or ``(D, n * H, n * W)`` if it makes n x n voxels of each.

    Raises
    ------
    InputError
        If memory does not suffice even so.
    """
    layout, precision = _layout(network), inference.precision_on(device)
    tile, batch = _tile_shape(layout, _extent(image), inference.memory, precision), inference.batch
    while True:
        try:
            function = _on(network, device, precision)
            if inference.patch is None:
                whole = partial(_by_tiles, function, tile=tile, layout=layout)
            else:
                whole = partial(_by_patches, function, patch=inference.patch, stride=inference.stride, batch=batch)
            return whole(image)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if device.type == "cuda":
                torch.cuda.empty_cache()
            if inference.patch is None and max(tile) > _SMALLEST_TILE:
                tile = _halved(tile, layout.grid_step)
                progress.log(f"Not enough memory on {device}: trying smaller tiles.")
            elif inference.patch is not None and batch > 1:
                batch //= 2
                progress.log(f"Not enough memory on {device}: trying fewer patches at a time.")
            elif device.type != "cpu":
                progress.log(f"Not enough memory on {device}: continuing on the CPU.")
                device = torch.device("cpu")
                precision = inference.precision_on(device)
            else:
                message = "There is not enough memory to super-resolve this volume; close other programs and try again."
                raise InputError(message) from None


def _layout(network: SuperResolutionNetwork) -> Layout:
    """How the work of a network may be cut into tiles."""
    return Layout(network.halo, network.grid_step, network.factor, network.features * network.maps_at_once)


def _on(
    network: SuperResolutionNetwork, device: torch.device, precision: Precision = "float32"
) -> Callable[[FloatArray], FloatArray]:
    """The network on a device as a function of images ``(B, d, h, w)`` or ``(B, C, d, h, w)``."""
    network.to(device=device, memory_format=torch.channels_last_3d).eval()  # type: ignore[call-overload]

    def function(images: FloatArray) -> FloatArray:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            batch = torch.from_numpy(np.ascontiguousarray(images)).to(device)
            batch = batch if batch.ndim == 5 else batch.unsqueeze(1)
            output = network(batch.contiguous(memory_format=torch.channels_last_3d))
            result: FloatArray = output.squeeze(1).float().cpu().numpy()
            return result

    return function


def _tile_shape(layout: Layout, shape: Shape, memory: int, precision: Precision = "float32") -> Shape:
    """Largest tile whose feature maps, margin included, fit in `memory` bytes."""
    voxels = memory / ((2 if precision == "bfloat16" else 4) * layout.maps)
    tile = next_multiple(shape, layout.grid_step)
    while math.prod(min(t + 2 * layout.halo, n) for t, n in zip(tile, shape, strict=True)) > voxels:
        if max(tile) <= _SMALLEST_TILE:
            break
        tile = _halved(tile, layout.grid_step)
    return tile


def _halved(tile: Shape, step: int) -> Shape:
    """Half of a tile along its longest axis, in steps of the network's grid."""
    sizes = list(tile)
    longest = int(np.argmax(sizes))
    half = -(-sizes[longest] // 2)
    sizes[longest] = -(-half // step) * step
    return sizes[0], sizes[1], sizes[2]


def _by_tiles(
    function: Callable[[FloatArray], FloatArray], image: FloatArray, tile: Shape, layout: Layout
) -> FloatArray:
    """Apply a network to a whole volume, tile by tile with margin; equal to doing it at once.

    Tiles begin on multiples of the network's grid step, or pooling would group other voxels.
    """
    padded = _pad_end(image, layout.grid_step)
    depth, height, width = _extent(padded)
    output = np.empty((depth, layout.factor * height, layout.factor * width), dtype=np.float32)
    for outer, core, within in tiles(_extent(padded), tile, layout.halo):
        z, y, x = outer
        result = function(padded[..., z, y, x][None])[0]
        output[_finer(core, layout.factor)] = result[_finer(within, layout.factor)]
    return output[_finer(tuple(slice(0, size) for size in _extent(image)), layout.factor)]


def _finer(place: tuple[slice, ...], factor: int) -> tuple[slice, ...]:
    """A place in what the network is fed with, in what it gives."""
    return place[0], *(slice(factor * axis.start, factor * axis.stop) for axis in place[1:])


def _pad_end(image: FloatArray, step: int) -> FloatArray:
    """Grow every axis at its end to a multiple of the network's grid step."""
    shape = next_multiple(_extent(image), step)
    widths = [(0, wanted - size) for wanted, size in zip(shape, _extent(image), strict=True)]
    return np.pad(image, [(0, 0)] * (image.ndim - 3) + widths, mode="edge")


def _extent(image: FloatArray) -> Shape:
    """Voxels ``(D, H, W)`` of an image that may have channels."""
    return image.shape[-3], image.shape[-2], image.shape[-1]


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
