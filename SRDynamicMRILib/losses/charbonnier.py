"""The Charbonnier loss, voxel by voxel."""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL_DIFFERENCE = 0.01


def charbonnier(output: Tensor, target: Tensor) -> Tensor:
    """Mean of sqrt(difference^2 + 0.01^2): quadratic for small differences, absolute for large ones.

    Charbonnier et al. 1994. Where most voxels are nearly right already, as in super-resolution, the L1 loss asks for
    their median and so for no change; this one asks for their mean.
    """
    return torch.sqrt((output - target) ** 2 + _SMALL_DIFFERENCE**2).mean()
