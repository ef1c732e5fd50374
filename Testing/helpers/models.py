"""Networks so small that they run in a moment, their descriptions, and the comparison of weights."""

from __future__ import annotations

import torch

from SRDynamicMRILib.models.model_info import ModelInfo
from SRDynamicMRILib.networks.unet import UNet3D

FEATURES = 4
TINY = ModelInfo(
    features=FEATURES,
    fractions=(0.25, 0.1, 0.0625),
    interpolation="non_negative",
    normalisation="percentile",
    residual=True,
    data_consistency=True,
    recipe="default",
)
TINY_CONDITIONED = ModelInfo(
    architecture="ConditionedSubPixelNetwork",
    features=2,
    factor=2,
    fractions=(0.25,),
    interpolation="sinc",
    normalisation="percentile",
    residual=True,
    recipe="scanner",
)


def tiny_network(seed: int = 0) -> UNet3D:
    torch.manual_seed(seed)
    return UNet3D(FEATURES).eval()


def same_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
