"""The super-resolution network of the paper, section 2.2 and Fig. 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from .network import SuperResolutionNetwork

LEVELS = 3
"""Resolution levels; each halves the grid of the one above."""

GRID_STEP = 2 ** (LEVELS - 1)
"""Voxels of the input grid per voxel of the deepest level."""

HALO = 24
"""Voxels on each side that an output voxel can depend on, rounded up to a multiple of `GRID_STEP`.

Two 3x3x3 convolutions at steps 1, 2 and 4 going down and at 2 and 1 going up reach 2 + 4 + 8 + 4 + 2 = 20; pooling
and unpooling add at most 3.
"""


def average_pool(x: Tensor) -> Tensor:
    """Mean over 2x2x2 voxels of ``(B, C, D, H, W)``; an axis of one voxel is left alone.

    Adds an axis at a time: unlike PyTorch's own pooling on CPUs this runs in bfloat16 and keeps the memory order
    of its input, on which the speed of the convolutions depends.
    """
    for axis in (2, 3, 4):
        even = x.shape[axis] // 2 * 2
        if even:
            first = [slice(None)] * axis + [slice(0, even, 2)]
            second = [slice(None)] * axis + [slice(1, even, 2)]
            x = (x[tuple(first)] + x[tuple(second)]) * 0.5
    return x


class ConvBlock(nn.Module):
    """Two 3x3x3 convolutions, each followed by a ReLU."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(in_features, out_features, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv3d(out_features, out_features, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_features, D, H, W)`` to ``(B, out_features, D, H, W)``."""
        out: Tensor = self.block(x)
        return out


class UpBlock(nn.Module):
    """Transposed convolution, concatenation with the bridge, two convolutions."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(in_features, out_features, kernel_size=2, stride=2)
        self.conv_block = ConvBlock(in_features, out_features)

    def forward(self, x: Tensor, bridge: Tensor) -> Tensor:
        """Upsample `x`, fit it to the bridge's grid where that has an odd size, and merge the two."""
        up = self.up(x)
        if up.shape[2:] != bridge.shape[2:]:
            up = F.interpolate(up, size=bridge.shape[2:], mode="trilinear")
        merged: Tensor = self.conv_block(torch.cat([up, bridge], dim=1))
        return merged


class UNet3D(SuperResolutionNetwork):
    """3D U-Net with three levels, average pooling and transposed convolutions (paper, section 2.2).

    The names of the parameters are those of the checkpoints that the paper's authors publish.

    Parameters
    ----------
    features
        Feature maps of the first level; the next two have twice and four times as many. 64 in the paper
        (5,418,177 parameters).
    """

    halo, grid_step, maps_at_once = HALO, GRID_STEP, 8

    checkpointing = False
    """Whether feature maps are computed again for the gradient rather than kept: less memory, a third more time."""

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        widths = [features * 2**level for level in range(LEVELS)]
        self.features = features
        self.down_path = nn.ModuleList(
            ConvBlock(before, width) for before, width in zip([len(self.inputs), *widths[:-1]], widths, strict=True)
        )
        self.up_path = nn.ModuleList(
            UpBlock(deep, shallow) for deep, shallow in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Conv3d(features, 1, kernel_size=1)
        self._initialise()

    def save_memory(self) -> bool:
        """Compute feature maps again for the gradient from now on; False if that is done already."""
        before, self.checkpointing = self.checkpointing, True
        return not before

    def _initialise(self) -> None:
        """Draw weights that keep the variance through ReLUs (He et al. 2015).

        With PyTorch's own the features of the last level are so small that a residual hardly begins to be learnt.
        """
        for module in self.modules():
            if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, D, H, W)`` to ``(B, 1, D, H, W)``; any size works.

        Where an axis is only one voxel long at some level, it is not pooled there.
        """

        def run(block: nn.Module, *inputs: Tensor) -> Tensor:
            if self.checkpointing and torch.is_grad_enabled():
                kept_not: Tensor = checkpoint(block, *inputs, use_reentrant=False)
                return kept_not
            out: Tensor = block(*inputs)
            return out

        bridges: list[Tensor] = []
        for level, down in enumerate(self.down_path):
            x = run(down, x)
            if level < LEVELS - 1:
                bridges.append(x)
                x = average_pool(x)
        for up in self.up_path:
            x = run(up, x, bridges.pop())
        out: Tensor = self.last(x)
        return out
