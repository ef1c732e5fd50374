"""A sub-pixel network that knows how its image was acquired, for images as scanners store them.

What an image lacks depends on how it was acquired: a window has weakened its edges, noise is not to be sharpened, and
of a magnitude image the sign is lost where fat and water cancel. Numbers that describe the acquisition scale and shift
the feature maps (FiLM: Perez et al., AAAI 2018), so that one set of weights serves all of them.

It sees the stored image on twice the acquired matrix, in sub-pixels: the square of a magnitude image has twice the
bandwidth of the image, so that an image at the acquired matrix alone holds less than one that the scanner interpolated.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..acquisition.acquisition import Acquisition
from ..acquisition.interpolation import zero_filled
from ..acquisition.kspace import to_sub_pixels
from ..acquisition.stored import StoredImage
from ..geometry import FloatArray
from .network import SuperResolutionNetwork
from .normalisation import intensity_scale
from .sub_pixel import BLOCKS, ResidualBlock, SubPixelNetwork, SubPixelPair
from .training_pair import TrainingPair

_TWICE = 2
_IMAGE = tuple(f"stored image, sub-pixel {row}, {column}" for row in range(_TWICE) for column in range(_TWICE))
_AT = ((0.5, 0.0), (0.95, 0.0), (0.0, 0.5), (0.0, 0.95), (0.7, 0.7))
"""Where the window is looked at: share of the way to the edge of k-space along rows and along columns."""

CONDITIONS = (
    "noise",
    "root of the noise",
    *(f"window at {rows:g}, {columns:g}" for rows, columns in _AT),
    "ellipse",
    "missing lines",
    "magnitude",
    "rows acquired",
    "columns acquired",
    "rows stored",
    "columns stored",
)
"""What `conditions` says of an acquisition, in this order."""

_HIDDEN = 64


def conditions(acquisition: Acquisition, scale: float, factor: int) -> FloatArray:
    """Say how an image was acquired in numbers around 1, ``(len(CONDITIONS),)``.

    Parameters
    ----------
    acquisition
        How.
    scale
        Intensity that the network sees as 1.
    factor
        Voxels that the network gives per acquired voxel, along rows and along columns.
    """
    (h, w), (height, width) = acquisition.acquired_matrix, acquisition.full_matrix
    m, n = acquisition.stored_matrix
    noise = acquisition.noise / scale
    rows, columns = (np.array(axis) for axis in zip(*_AT, strict=True))
    values = [
        10 * noise,
        3 * math.sqrt(noise),
        *acquisition.window.at(rows, columns),
        acquisition.shutter == "ellipse",
        4 * (1 - acquisition.partial_fourier),
        acquisition.magnitude,
        factor * h / height - 1,
        factor * w / width - 1,
        min(1.0, m / h - 1),
        min(1.0, n / w - 1),
    ]
    return np.array(values, dtype=np.float32)


class ConditionedBlock(ResidualBlock):
    """A `sub_pixel.ResidualBlock` whose feature maps are scaled and shifted before the nonlinearity."""

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:  # type: ignore[override]
        """``(B, features, D, H, W)`` to the same shape; scale and shift are ``(B, features, 1, 1, 1)``."""
        first, _, second = self.block
        out: Tensor = second(torch.relu(first(x) * scale + shift)) + x
        return out


class ConditionedSubPixelNetwork(SubPixelNetwork):
    """A `sub_pixel.SubPixelNetwork` for images of any acquisition that is known.

    The channels of its input ``(B, C, D, h, w)`` are the stored image in sub-pixels and, the same everywhere, the
    `conditions`.

    Parameters
    ----------
    features, factor
        As for `sub_pixel.SubPixelNetwork`.
    """

    inputs: ClassVar[tuple[str, ...]] = _IMAGE + CONDITIONS
    knows_acquisition = True
    begins_as = ("SubPixelNetwork",)

    def __init__(self, features: int = 64, factor: int = 4) -> None:
        super().__init__(features, factor)
        first = nn.Conv3d(len(_IMAGE), features, kernel_size=3, padding=1)
        nn.init.kaiming_normal_(first.weight, nonlinearity="relu")
        nn.init.zeros_(first.bias)  # type: ignore[arg-type]
        self.first = nn.Sequential(first)
        blocks = [ConditionedBlock(features) for _ in range(BLOCKS)]
        for block, usual in zip(blocks, self.trunk, strict=True):
            block.load_state_dict(usual.state_dict())
        self.trunk = nn.Sequential(*blocks)
        last = nn.Linear(_HIDDEN, 2 * features * (BLOCKS + 1))
        nn.init.zeros_(last.weight)  # begins as the network without conditions
        nn.init.zeros_(last.bias)
        self.conditioning = nn.Sequential(nn.Linear(len(CONDITIONS), _HIDDEN), nn.ReLU(), last)

    def begin_as(self, network: SuperResolutionNetwork) -> None:
        """Begin with the weights of another; of a `sub_pixel.SubPixelNetwork` so that it gives the same."""
        if isinstance(network, ConditionedSubPixelNetwork):
            super().begin_as(network)
            return
        weights = network.state_dict()
        first = weights["first.0.weight"]
        others = first.new_zeros(len(first), len(_IMAGE) - 1, *first.shape[2:])  # the other sub-pixels
        self.load_state_dict({**self.state_dict(), **weights, "first.0.weight": torch.cat([first, others], 1)})

    @classmethod
    def training_pair(
        cls, target: FloatArray, stored: StoredImage, factor: int, interpolation: str, normalisation: str
    ) -> TrainingPair:
        """Make input and target of a high-resolution image."""
        interpolated = zero_filled(stored.data, (target.shape[1], target.shape[2]))
        scale = np.float32(intensity_scale(stored.acquired, normalisation))
        missing = to_sub_pixels(target - interpolated, stored.acquisition.acquired_matrix, factor)
        return SubPixelPair(_channels(stored, scale, factor), missing / scale)

    @classmethod
    def image_of(cls, stored: StoredImage) -> FloatArray:
        """The image as it is stored: beyond the acquired matrix, a magnitude image holds something too."""
        return stored.data

    def input_of(self, stored: StoredImage, interpolated: FloatArray, scale: np.float32) -> FloatArray:
        """The stored image and the conditions ``(C, D, h, w)``."""
        return _channels(stored, scale, self.factor)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, D, h, w)`` to ``(B, 1, D, factor * h, factor * w)``."""
        said = self.conditioning(x[:, len(_IMAGE) :, 0, 0, 0])
        scales, shifts = said.reshape(len(x), BLOCKS + 1, 2, self.features, 1, 1, 1).unbind(2)
        out = torch.relu(self.first(x[:, : len(_IMAGE)]) * (1 + scales[:, 0]) + shifts[:, 0])
        for number, block in enumerate(self.trunk, start=1):
            out = block(out, 1 + scales[:, number], shifts[:, number])
        return self.sub_pixels(self.last(out))


def _channels(stored: StoredImage, scale: np.float32, factor: int) -> FloatArray:
    """What the network is fed with ``(C, D, h, w)``."""
    twice = to_sub_pixels(stored.data, stored.acquisition.acquired_matrix, _TWICE) / scale
    parts = [twice[:, row::_TWICE, column::_TWICE] for row in range(_TWICE) for column in range(_TWICE)]
    said = conditions(stored.acquisition, float(scale), factor)
    return np.stack([*parts, *(np.full_like(parts[0], value) for value in said)])
