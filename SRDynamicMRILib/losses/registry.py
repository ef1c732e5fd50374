"""The losses of training, by the names that recipes have for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..models.checkpoints import file_sha256
from ..networks.vessel_unet import VesselEncoder
from .charbonnier import charbonnier
from .perceptual import PerceptualLoss, load_encoder

VOXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"charbonnier": charbonnier}
"""Functions of output and target ``(B, 1, D, H, W)`` that give a scalar."""

PERCEPTUAL_LOSSES: dict[str, Callable[[VesselEncoder], nn.Module]] = {"perceptual": PerceptualLoss}
"""Such functions that need a vessel network, which they are made of."""


def perceptual_identity(loss: str, network: Path | None) -> str:
    """Hash of the weights that a loss depends on; empty if it does not depend on any."""
    return file_sha256(network) if loss in PERCEPTUAL_LOSSES and network is not None else ""


def loss_named(name: str, device: torch.device, perceptual_network: Path | None) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of that name.

    Parameters
    ----------
    name
        One of `VOXEL_LOSSES` or `PERCEPTUAL_LOSSES`.
    device
        Where it will be computed.
    perceptual_network
        Weights of the vessel network, for a loss that needs one.

    Raises
    ------
    InputError
        If there is no such loss, or the weights it needs are missing.
    """
    if name in VOXEL_LOSSES:
        return VOXEL_LOSSES[name]
    if name not in PERCEPTUAL_LOSSES:
        message = f"There is no loss named {name}; use one of {', '.join((*VOXEL_LOSSES, *PERCEPTUAL_LOSSES))}."
        raise InputError(message)
    if perceptual_network is None:
        message = (
            f"The loss {name} needs a perceptual network and none comes with this version; "
            "name one with --perceptual-network, or use the default recipe."
        )
        raise InputError(message)
    return PERCEPTUAL_LOSSES[name](load_encoder(perceptual_network)).to(device)
