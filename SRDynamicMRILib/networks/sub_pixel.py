"""A network for speed: it works on the low-resolution grid and ends in sub-pixel upsampling (Shi et al., CVPR 2016).

The paper names this as future work: without interpolation before the network, nothing is computed on voxels that hold
nothing new.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..acquisition.interpolation import zero_filled
from ..acquisition.kspace import from_sub_pixels, to_sub_pixels
from ..acquisition.stored import StoredImage
from ..geometry import FloatArray
from .network import SuperResolutionNetwork
from .normalisation import intensity_scale
from .training_pair import TrainingPair

FACTORS = range(2, 9)
"""Voxels that a network may give per voxel, along rows and along columns."""

BLOCKS = 6
"""Residual blocks of the trunk (He et al. 2016; without batch normalisation as in Lim et al. 2017)."""


class ResidualBlock(nn.Module):
    """A 3x3x3 and a 1x3x3 convolution whose result is added to their input.

    Slices are several times as thick as voxels are wide, so that neighbours in the plane matter most.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(features, features, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv3d(features, features, kernel_size=(1, 3, 3), padding=(0, 1, 1)),
        )

    @torch.no_grad()
    def begin_near_identity(self) -> None:
        """Make what is added small, or features grow from block to block."""
        last = self.block[-1]
        assert isinstance(last, nn.Conv3d)
        last.weight *= 0.1

    def forward(self, x: Tensor) -> Tensor:
        """``(B, features, D, H, W)`` to the same shape."""
        out: Tensor = self.block(x) + x
        return out


@dataclass(frozen=True)
class SubPixelPair(TrainingPair):
    """Pair of the acquired image ``(D, h, w)`` and what zero-filling it lacks, ``(D, n * h, n * w)``."""

    mirror_axes: ClassVar[tuple[int, ...]] = (0,)
    """Sub-pixels lie on one side of their voxel, so only slices can be mirrored."""

    @property
    def lack(self) -> float:
        """Sum over voxels of what the network has to add, regardless of sign; where the target is NaN, nothing."""
        return float(np.nansum(np.abs(self.target)))


def sub_pixel_pair(target: FloatArray, stored: StoredImage, factor: int, normalisation: str) -> SubPixelPair:
    """Make a pair for a network that gets the low-resolution image and gives sub-pixels.

    Parameters
    ----------
    target
        High-resolution image ``(D, H, W)``.
    stored
        What a fast acquisition makes of it.
    factor
        Voxels of the network's output per voxel of its input, along rows and along columns.
    normalisation
        As the model wants it; see `recipes.Recipe`.
    """
    missing = target - zero_filled(stored.acquired, (target.shape[1], target.shape[2]))
    scale = np.float32(intensity_scale(stored.acquired, normalisation))
    return SubPixelPair(
        stored.acquired / scale, to_sub_pixels(missing, stored.acquisition.acquired_matrix, factor) / scale
    )


class SubPixelNetwork(SuperResolutionNetwork):
    """Residual blocks on the low-resolution grid, then `factor` x `factor` voxels in the plane out of each voxel.

    Parameters
    ----------
    features
        Feature maps of the trunk.
    factor
        Voxels of the result per voxel of the input, along rows and along columns. Voxel ``factor * i`` of the result
        lies where voxel ``i`` of the input does, see `kspace.to_sub_pixels`.
    """

    halo = 2 * BLOCKS + 4
    """Voxels of the input on each side that a voxel of the result can depend on, and two to spare."""

    maps_at_once, by_patches, factors = 5, False, FACTORS

    def __init__(self, features: int = 64, factor: int = 4) -> None:
        super().__init__()
        self.features, self.factor = features, factor
        self.first = nn.Sequential(
            nn.Conv3d(len(self.inputs), features, kernel_size=3, padding=1), nn.ReLU(inplace=True)
        )
        self.trunk = nn.Sequential(*(ResidualBlock(features) for _ in range(BLOCKS)))
        self.last = nn.Conv3d(features, factor * factor, kernel_size=(1, 3, 3), padding=(0, 1, 1))
        blocks = []
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, ResidualBlock):
                blocks.append(module)
        for block in blocks:
            block.begin_near_identity()

    @classmethod
    def new(cls, features: int, factor: int) -> SubPixelNetwork:
        """A network with new weights."""
        return cls(features, factor)

    @classmethod
    def factor_for(cls, fractions: Sequence[float]) -> int:
        """Smallest whole factor with which the voxels of the result are no larger than those of the full matrix."""
        return math.ceil(1 / math.sqrt(min(fractions)) - 1e-6)

    @classmethod
    def training_pair(
        cls, target: FloatArray, stored: StoredImage, factor: int, interpolation: str, normalisation: str
    ) -> TrainingPair:
        """Make input and target of a high-resolution image; see `sub_pixel_pair`."""
        return sub_pixel_pair(target, stored, factor, normalisation)

    def prediction(self, inputs: Tensor, output: Any, residual: bool) -> Any:
        """The output itself: the target is what zero-filling lacks."""
        return output

    def input_of(self, stored: StoredImage, interpolated: FloatArray, scale: np.float32) -> FloatArray:
        """The acquired image."""
        return stored.acquired / scale

    def on_grid(self, output: FloatArray, acquired: tuple[int, int], size: tuple[int, int]) -> FloatArray:
        """Its output ``(D, n * h, n * w)`` on the grid of the result ``(D, *size)``."""
        return from_sub_pixels(output, acquired, size)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, D, h, w)`` to ``(B, 1, D, factor * h, factor * w)``."""
        return self.sub_pixels(self.last(self.trunk(self.first(x))))

    def sub_pixels(self, x: Tensor) -> Tensor:
        """Place ``(B, factor * factor, D, h, w)`` as voxels ``(B, 1, D, factor * h, factor * w)``."""
        batch, _, depth, height, width = x.shape
        split = x.reshape(batch, self.factor, self.factor, depth, height, width)
        return split.permute(0, 3, 4, 1, 5, 2).reshape(batch, 1, depth, self.factor * height, self.factor * width)
