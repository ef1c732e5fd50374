"""What training minimises: voxel differences, or differences of features of a vessel network (paper, section 2.3.1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InputError
from ..models.checkpoints import file_sha256, load_tensors
from ..networks.vessel_unet import VesselEncoder

LEVELS = 3
"""Levels of contraction that the loss compares (paper, section 2.3.1)."""

_FIRST_WEIGHT = "levels.0.conv.0.weight"
_VOXEL_WEIGHT = 1.0
_SMALL_DIFFERENCE = 0.01


class PerceptualLoss(nn.Module):
    """Sum over the levels of a frozen network of the L1 between features of output and target.

    Paper, section 2.3.1, after Johnson et al. (2016).

    Parameters
    ----------
    encoder
        Gives the features; frozen here.
    """

    def __init__(self, encoder: VesselEncoder) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> PerceptualLoss:
        """Switch the mode of this module, not of the frozen network: its batch statistics stay as they are."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Loss of images ``(B, 1, D, H, W)``: a scalar."""
        with torch.no_grad():
            wanted = self.encoder(target)
        found = self.encoder(output)
        return torch.stack([F.l1_loss(a, b) for a, b in zip(found, wanted, strict=True)]).sum()


def charbonnier(output: Tensor, target: Tensor) -> Tensor:
    """Mean of sqrt(difference^2 + 0.01^2): quadratic for small differences, absolute for large ones.

    Charbonnier et al. 1994. Where most voxels are nearly right already, as in super-resolution, the L1 loss asks for
    their median and so for no change; this one asks for their mean.
    """
    return torch.sqrt((output - target) ** 2 + _SMALL_DIFFERENCE**2).mean()


def load_encoder(path: Path) -> VesselEncoder:
    """Read the contraction path of a vessel network.

    Raises
    ------
    InputError
        If the file holds none.
    """
    tensors, _ = load_tensors(path)
    first = tensors.get(_FIRST_WEIGHT)
    if first is None or first.ndim != 5:
        message = f"{path} holds no perceptual network ({_FIRST_WEIGHT} is missing); choose another file."
        raise InputError(message)
    encoder = VesselEncoder(first.shape[0])
    try:
        encoder.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in tensors.items()})
    except RuntimeError as error:
        message = f"{path} does not hold the three levels of a perceptual network; choose another file."
        raise InputError(message) from error
    return encoder


def perceptual_identity(loss: str, network: Path | None) -> str:
    """Hash of the weights that a loss depends on; empty if it does not depend on any."""
    return file_sha256(network) if "perceptual" in loss and network is not None else ""


def loss_named(name: str, device: torch.device, perceptual_network: Path | None) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of a recipe.

    Parameters
    ----------
    name
        ``l1``, ``charbonnier``, ``perceptual`` or ``l1+perceptual``.
    device
        Where it will be computed.
    perceptual_network
        Weights of the vessel network; needed by the losses that are named perceptual.

    Raises
    ------
    InputError
        If the weights are missing.
    """
    if name == "l1":
        return F.l1_loss
    if name == "charbonnier":
        return charbonnier
    if perceptual_network is None:
        message = (
            f"The loss {name} needs a perceptual network and none comes with this version; "
            "name one with --perceptual-network, or use the default recipe."
        )
        raise InputError(message)
    perceptual = PerceptualLoss(load_encoder(perceptual_network)).to(device)
    if name == "perceptual":
        return perceptual
    return lambda output, target: _VOXEL_WEIGHT * F.l1_loss(output, target) + perceptual(output, target)
