"""A network for speed: it works on the low-resolution grid and ends in sub-pixel upsampling (Shi et al., CVPR 2016).

The paper names this as future work: without interpolation before the network, nothing is computed on voxels that hold
nothing new.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

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


class SubPixelNetwork(nn.Module):
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

    grid_step = 1
    """Tiles may begin anywhere."""

    maps_at_once = 5
    """Sets of feature maps that are alive at a time, found by measurement."""

    def __init__(self, features: int = 64, factor: int = 4) -> None:
        super().__init__()
        self.features, self.factor = features, factor
        self.first = nn.Sequential(nn.Conv3d(1, features, kernel_size=3, padding=1), nn.ReLU(inplace=True))
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

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, 1, D, h, w)`` to ``(B, 1, D, factor * h, factor * w)``."""
        x = self.last(self.trunk(self.first(x)))
        batch, _, depth, height, width = x.shape
        split = x.reshape(batch, self.factor, self.factor, depth, height, width)
        return split.permute(0, 3, 4, 1, 5, 2).reshape(batch, 1, depth, self.factor * height, self.factor * width)
