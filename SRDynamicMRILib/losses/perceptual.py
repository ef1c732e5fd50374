"""The perceptual loss: differences of features of a vessel network (paper, section 2.3.1)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InputError
from ..models.checkpoints import load_tensors
from ..networks.vessel_unet import VesselEncoder

LEVELS = 3
"""Levels of contraction that the loss compares (paper, section 2.3.1)."""

_FIRST_WEIGHT = "levels.0.conv.0.weight"


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
