"""The network behind the perceptual loss: a 3D U-Net that segments vessels (paper, section 2.3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .network import Network


class NormalisedConvBlock(nn.Module):
    """Convolution, batch normalisation and ReLU, twice."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv3d(in_features, out_features, kernel_size=3, padding=1),
            nn.BatchNorm3d(out_features),
            nn.ReLU(inplace=True),
            nn.Conv3d(out_features, out_features, kernel_size=3, padding=1),
            nn.BatchNorm3d(out_features),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_features, D, H, W)`` to ``(B, out_features, D, H, W)``."""
        out: Tensor = self.conv(x)
        return out


class VesselEncoder(nn.Module):
    """The contraction path: what the perceptual loss needs of the vessel network.

    Parameters
    ----------
    features
        Feature maps of the first level; each further level has twice as many. 64 in the paper.
    levels
        Number of levels; the paper's loss takes the first three.
    """

    def __init__(self, features: int = 64, levels: int = 3) -> None:
        super().__init__()
        self.features = features
        widths = [features * 2**level for level in range(levels)]
        self.levels = nn.ModuleList(
            NormalisedConvBlock(before, width) for before, width in zip([1, *widths[:-1]], widths, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of every level of an image ``(B, 1, D, H, W)``, the finest first.

        Between levels max pooling halves the grid; an axis of one voxel is left alone.
        """
        found: list[Tensor] = []
        for level in self.levels:
            if found:
                x = F.max_pool3d(x, [min(2, size) for size in x.shape[2:]])
            x = level(x)
            found.append(x)
        return found


class VesselUNet(Network):
    """3D U-Net with deep supervision that finds vessels in an angiogram.

    Parameters
    ----------
    features
        Feature maps of the first level.
    levels
        Number of levels.
    """

    def __init__(self, features: int = 64, levels: int = 4) -> None:
        super().__init__()
        self.encoder = VesselEncoder(features, levels)
        widths = [features * 2**level for level in range(levels)]
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(deep, shallow, kernel_size=2, stride=2)
            for deep, shallow in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.merge = nn.ModuleList(NormalisedConvBlock(2 * width, width) for width in widths[-2::-1])
        self.heads = nn.ModuleList(nn.Conv3d(width, 1, kernel_size=1) for width in widths[-2::-1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits ``(B, 1, D, H, W)`` of "vessel" from every level of the expansion, the finest first.

        Coarser levels are brought to the size of the image: each is compared with the same segmentation, which is
        what deep supervision means.
        """
        *bridges, deepest = self.encoder(x)
        logits = []
        current = deepest
        for up, merge, head in zip(self.up, self.merge, self.heads, strict=True):
            bridge = bridges.pop()
            grown = up(current)
            if grown.shape[2:] != bridge.shape[2:]:
                grown = F.interpolate(grown, size=bridge.shape[2:], mode="trilinear")
            current = merge(torch.cat([grown, bridge], dim=1))
            coarse = head(current)
            logits.append(F.interpolate(coarse, size=x.shape[2:], mode="trilinear"))
        return logits[::-1]
