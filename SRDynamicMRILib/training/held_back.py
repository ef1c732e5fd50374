"""Places in the planning scan that fine-tuning does not learn from: they tell when it gets no better elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..recipes import Precision
from ..volume import FloatArray, Shape
from .optimisation import LossFunction
from .pairs import Pair, as_tensors, detailed_position, patch_at, place_in_target

PLACES = 6
"""Places held back, each the middle of a patch."""

_MIDDLE = 6
"""The middle of a patch is a sixth of its rows and columns: 2% of a scan of 256x256 are held back at most."""


@dataclass(frozen=True)
class HeldBack:
    """Patches in whose middle nothing is learnt.

    Parameters
    ----------
    patches
        What the network gets there and what it should give.
    is_middle
        Which voxels of their targets are held back, of the shape of a patch's target.
    """

    patches: list[Pair]
    is_middle: NDArray[np.bool_]

    def score(self, network: nn.Module, residual: bool, precision: Precision) -> Mapping[str, float]:
        """Share of what the inputs lack there that a network brings back; it ends in evaluation mode.

        Parameters
        ----------
        network
            The network, on any device.
        residual
            Whether its output is added to its input.
        precision
            Of its convolutions.
        """
        device = next(network.parameters()).device
        network.eval()
        missed, lacked = 0.0, 0.0
        for pair in self.patches:
            inputs, targets = (tensor.to(device) for tensor in as_tensors([pair]))
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                output = network(inputs.contiguous(memory_format=torch.channels_last_3d)).float()
            before = inputs if residual and pair.factor == 1 else torch.zeros_like(output)
            middle = torch.from_numpy(self.is_middle).to(device)
            missed += float((before + output - targets).abs()[..., middle].sum())
            lacked += float((before - targets).abs()[..., middle].sum())
        return {"recovered where nothing was learnt": 1 - missed / lacked if lacked else 0.0}


def hold_back(pair: Pair, patch: Shape, rng: np.random.Generator) -> tuple[HeldBack, NDArray[np.bool_]]:
    """Choose places to hold back.

    Parameters
    ----------
    pair
        Of the planning scan, at least as large as a patch.
    patch
        Voxels of a patch ``(D, H, W)`` of the input.
    rng
        Source of chance.

    Returns
    -------
        The patches, and which voxels of the pair's target are held back.
    """
    positions = [detailed_position(pair, patch, rng) for _ in range(PLACES)]
    patches = [patch_at(pair, position, patch) for position in positions]
    is_middle = np.zeros(patches[0].target.shape, dtype=bool)
    rows, columns = (
        slice((size - size // _MIDDLE) // 2, (size + size // _MIDDLE) // 2) for size in is_middle.shape[1:]
    )
    is_middle[:, rows, columns] = True
    held = np.zeros(pair.target.shape, dtype=bool)
    for position in positions:
        held[place_in_target(position, patch, pair.factor)][is_middle] = True
    return HeldBack(patches, is_middle), held


def with_gaps(pair: Pair, held: NDArray[np.bool_]) -> Pair:
    """A pair whose target is not known at some voxels: NaN there, see `of_what_is_known`."""
    target: FloatArray = np.where(held, np.float32(np.nan), pair.target)
    return replace(pair, target=target)


def of_what_is_known(loss: LossFunction) -> LossFunction:
    """A loss that leaves out the voxels whose target is NaN."""

    def function(output: Tensor, target: Tensor) -> Tensor:
        known = torch.isfinite(target)
        nothing = torch.zeros_like(target)
        return loss(torch.where(known, output, nothing), torch.where(known, target, nothing))

    return function
