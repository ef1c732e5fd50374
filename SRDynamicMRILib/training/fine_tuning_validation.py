"""Validation of fine-tuning: some places in the planning scan are not trained on, and tell when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import FloatArray, Shape
from ..networks.network import Network
from ..networks.training_pair import TrainingPair
from ..process.precision import Precision
from .optimisation import LossFunction
from .pairs import as_tensors, detailed_position, fit_to_patch, patch_at, place_in_target

VALIDATION_PATCHES = 6
"""Patches for validation; the middle of each is not trained on."""

NOTHING = 1e-5
"""Mean difference of input and target, bright intensities being 1, below which the input lacks nothing but rounding."""

_MIDDLE = 6
"""The middle of a patch is a sixth of its rows and columns: validation takes 2% of a scan of 256x256 at most."""


@dataclass(frozen=True)
class ValidationPatches:
    """Patches whose middle is not trained on.

    Parameters
    ----------
    patches
        What the network gets there and what it should give, which is NaN outside the middle.
    """

    patches: list[TrainingPair]

    def score(self, network: Network, residual: bool, precision: Precision) -> Mapping[str, float]:
        """Share of the missing detail that a network recovers there; it ends in evaluation mode.

        Parameters
        ----------
        network
            The network, on any device.
        residual
            Whether its output is a residual.
        precision
            Of its convolutions.
        """
        device = next(network.parameters()).device
        network.eval()
        missed, lacked, voxels = 0.0, 0.0, 0
        for pair in self.patches:
            inputs, targets = (tensor.to(device) for tensor in as_tensors([pair]))
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                output = network(inputs.contiguous(memory_format=torch.channels_last_3d)).float()
            nothing = network.prediction(inputs, torch.zeros_like(output), residual)
            missed += float((network.prediction(inputs, output, residual) - targets).abs().nansum())
            lacked += float((nothing - targets).abs().nansum())
            voxels += int(targets.isfinite().sum())
        recovered = 1 - missed / lacked if lacked > NOTHING * voxels else 0.0
        return {"validation: share of the missing detail recovered": recovered}


def choose_validation_patches(
    pair: TrainingPair, patch: Shape, rng: np.random.Generator
) -> tuple[ValidationPatches, NDArray[np.bool_]]:
    """Choose the patches for validation.

    Parameters
    ----------
    pair
        Of the planning scan.
    patch
        Voxels of a patch ``(D, H, W)`` of the input.
    rng
        Source of chance.

    Returns
    -------
        The patches, and which voxels ``(H, W)`` of the pair's target are for validation, in all slices.
    """
    depth, height, width = (min(sizes) for sizes in zip(patch, pair.input.shape[-3:], strict=True))
    cut = (depth, height, width)
    positions = [detailed_position(pair, cut, rng) for _ in range(VALIDATION_PATCHES)]
    masked = np.zeros(pair.target.shape[1:], dtype=bool)
    for position in positions:
        masked[_middle(place_in_target(position, cut, pair.factor))] = True
    only = without_targets(pair, ~masked)
    return ValidationPatches([fit_to_patch(patch_at(only, position, cut), patch) for position in positions]), masked


def _middle(place: tuple[slice, slice, slice]) -> tuple[slice, slice]:
    """Rows and columns in the middle of a place."""
    rows, columns = (
        slice((axis.start + axis.stop - size) // 2, (axis.start + axis.stop + size) // 2)
        for axis in place[1:]
        for size in [(axis.stop - axis.start) // _MIDDLE]
    )
    return rows, columns


def without_targets(pair: TrainingPair, unknown: NDArray[np.bool_]) -> TrainingPair:
    """A pair whose target is not known at some voxels ``(H, W)`` of all slices: NaN there, see `masked_loss`."""
    target: FloatArray = np.where(unknown, np.float32(np.nan), pair.target)
    return replace(pair, target=target)


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask ``(H, W)`` on a grid of other voxels in the same field of view; each takes the value at its middle."""
    rows, columns = (
        (2 * np.arange(wanted) + 1) * found // (2 * wanted) for wanted, found in zip(size, mask.shape, strict=True)
    )
    chosen: NDArray[np.bool_] = mask[np.ix_(rows, columns)]
    return chosen


def masked_loss(loss: LossFunction) -> LossFunction:
    """A loss that leaves out the voxels whose target is NaN."""

    def function(output: Tensor, target: Tensor) -> Tensor:
        known = torch.isfinite(target)
        nothing = torch.zeros_like(target)
        return loss(torch.where(known, output, nothing), torch.where(known, target, nothing))

    return function
