"""What the rest of the code has to know of a network; a new one is a subclass of `SuperResolutionNetwork`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..acquisition.stored import StoredImage
from ..geometry import FloatArray
from .training_pair import TrainingPair, interpolated_pair

_FIRST_SCALE = 0.05


class Network(nn.Module):
    """A network that `training.optimisation` can train."""

    last: nn.Conv3d
    """Layer that gives the output. Only of a network that learns a residual: it gets a smaller learning rate there."""

    bfloat16_slices: ClassVar[int] = 12
    """Slices, at least, of a patch to train on in bfloat16.

    With 2 slices at the U-Net's deepest level, PyTorch 2.13 takes weight gradients on CPUs from memory that was never
    written; 12 make 3 of them.
    """

    def prediction(self, inputs: Tensor, output: Any, residual: bool) -> Any:
        """What the target should be, by the output ``(B, 1, D, n * H, n * W)`` for inputs ``(B, C, D, H, W)``."""
        return output + inputs[:, :1] if residual else output

    def save_memory(self) -> bool:
        """Take less memory for the gradient from now on; False if that cannot be done, or is done already."""
        return False


class SuperResolutionNetwork(Network):
    """A network that super-resolves.

    This class describes networks whose input and output lie on the grid of the result: they are fed with the
    interpolated image. A network on another grid overrides `factors`, `new`, `factor_for`, `input_of`, `on_grid`,
    `training_pair` and `prediction`, as `sub_pixel.SubPixelNetwork` does; one that knows the acquisition also
    `image_of`, as `conditioned.ConditionedSubPixelNetwork` does.

    A subclass has a constructor with the number of feature maps and a layer `last`, and says what has no value here.
    The size of every weight must be linear in the number of feature maps: so the sizes of a file's weights are checked
    before memory is taken for them.
    """

    inputs: ClassVar[tuple[str, ...]] = ("time point",)
    """What the channels of its input ``(B, C, D, H, W)`` hold, the low-resolution time point first."""

    knows_acquisition: ClassVar[bool] = False
    """Whether it is told how its image was acquired; others take it for the centre of k-space, sign kept, no noise."""

    begins_as: ClassVar[tuple[str, ...]] = ()
    """Names of other networks whose weights it can begin with, see `begin_as`."""

    halo: ClassVar[int]
    """Voxels of the input on each side that a voxel of the result can depend on."""

    grid_step: ClassVar[int] = 1
    """Tiles of a volume begin at multiples of so many voxels, so that pooling groups the same ones."""

    maps_at_once: ClassVar[int]
    """Sets of feature maps of the size of the input that are alive at a time, found by measurement."""

    by_patches: ClassVar[bool] = True
    """Whether it can be applied to overlapping patches, as in the paper."""

    factors: ClassVar[Sequence[int]] = (1,)
    """Values that `factor` may have."""

    features: int
    """Feature maps of its first level."""

    factor: int = 1
    """Voxels it gives per voxel it is fed with, along rows and along columns."""

    @classmethod
    def new(cls, features: int, factor: int) -> SuperResolutionNetwork:
        """A network with new weights."""
        return cls(features)

    @classmethod
    def factor_for(cls, fractions: Sequence[float]) -> int:
        """The `factor` that the smallest of some fractions of in-plane k-space asks for; it need not be possible."""
        return 1

    @classmethod
    def training_pair(
        cls, target: FloatArray, stored: StoredImage, factor: int, interpolation: str, normalisation: str
    ) -> TrainingPair:
        """Make input and target of a high-resolution image.

        Parameters
        ----------
        target
            High-resolution image ``(D, H, W)``.
        stored
            What a fast acquisition makes of it.
        factor, interpolation, normalisation
            As the model has them; see `model_info.ModelInfo`.
        """
        return interpolated_pair(target, stored, interpolation, normalisation)

    @classmethod
    def image_of(cls, stored: StoredImage) -> FloatArray:
        """The low-resolution image that is interpolated for it: the one at the acquired matrix ``(D, h, w)``."""
        return stored.acquired

    def input_of(self, stored: StoredImage, interpolated: FloatArray, scale: np.float32) -> FloatArray:
        """What it is fed with, where the intensity `scale` is to become 1: ``(D, H, W)`` or ``(C, D, H, W)``.

        Parameters
        ----------
        stored
            The low-resolution image.
        interpolated
            That of `image_of`, interpolated ``(D, H, W)``.
        scale
            See `normalisation.intensity_scale`.
        """
        return interpolated / scale

    def on_grid(self, output: FloatArray, acquired: tuple[int, int], size: tuple[int, int]) -> FloatArray:
        """Its output on the grid of the result ``(D, *size)``, for an image of that acquired matrix."""
        return output

    def begin_as(self, network: SuperResolutionNetwork) -> None:
        """Begin with the weights of a network of the same kind, or of one that `begins_as` names."""
        self.load_state_dict(network.state_dict())

    @torch.no_grad()
    def begin_small(self) -> None:
        """Make the output of new weights small, so that a residual begins near the interpolated image itself."""
        self.last.weight *= _FIRST_SCALE
