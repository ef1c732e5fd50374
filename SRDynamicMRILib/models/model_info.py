"""What a model file says about its network: everything needed to use it, and where it comes from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .. import __version__
from ..acquisition.interpolation import INPUTS
from ..networks.network import SuperResolutionNetwork
from ..networks.registry import NETWORKS, network_named
from .trained_acquisition import TrainedAcquisition

MAXIMUM_FEATURES = 512
"""Of the first level; a file that claims more is damaged."""

_LARGEST_NUMBER = 1e15


@dataclass(frozen=True)
class ModelInfo:
    """Everything needed to use a model and to know where it comes from.

    Parameters
    ----------
    architecture
        Name of its network; see `networks.registry`.
    features
        Feature maps of its first level.
    factor
        Voxels it gives per voxel it is fed with, along rows and along columns.
    fractions
        Shares of k-space it was trained for.
    interpolation
        How the image is interpolated that the residual is added to, and that most networks are fed with: one of
        `interpolation.INPUTS`.
    normalisation
        ``maximum`` or ``percentile``; see `recipes.Recipe`.
    residual
        Whether its output is added to the interpolated image.
    data_consistency
        Whether the acquired k-space is put back into the result.
    loss, training_data, recipe, seed, precision, steps, version, created
        How it was made. `precision` is `recipes.Precision`, `steps` are optimisation steps, `created` an ISO date.
    metrics
        Figures measured with it, by name.
    parent
        SHA-256 of the model it was fine-tuned from; empty for a base model.
    prior_spacing
        Voxel size ``(x, y, z)`` in mm of the prior it was fine-tuned on; empty for a base model.
    acquisition
        Acquisition that it was fine-tuned for; None for a base model and for networks that do not know acquisitions.
    """

    architecture: str = "UNet3D"
    features: int = 64
    factor: int = 1
    fractions: tuple[float, ...] = ()
    interpolation: str = "trilinear_index"
    normalisation: str = "maximum"
    residual: bool = False
    data_consistency: bool = False
    loss: str = ""
    training_data: str = ""
    recipe: str = ""
    seed: int = 0
    precision: str = "float32"
    steps: int = 0
    version: str = __version__
    created: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    parent: str = ""
    prior_spacing: tuple[float, ...] = ()
    acquisition: TrainedAcquisition | None = None

    def to_json(self) -> str:
        """The metadata as JSON, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelInfo:
        """Read metadata written by `to_json`.

        Raises
        ------
        ValueError
            If it is not such metadata; the message says what is wrong.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("the metadata is not an object")
        defaults = cls()
        known = {}
        for item in fields(cls):
            if item.name not in values or item.name == "acquisition":
                continue
            value, default = values[item.name], getattr(defaults, item.name)
            known[item.name] = _checked(item.name, value, default)
        acquisition = values.get("acquisition")
        if acquisition is not None:
            known["acquisition"] = TrainedAcquisition.read(acquisition)
        info = cls(**known)
        if info.architecture not in NETWORKS:
            raise ValueError(f"its architecture {info.architecture[:40]!r} is not known")
        if not 1 <= info.features <= MAXIMUM_FEATURES:
            raise ValueError(f"it claims {info.features} features")
        if info.factor not in NETWORKS[info.architecture].factors:
            raise ValueError(f"it claims to make {info.factor} voxels of each")
        if info.interpolation not in INPUTS:
            raise ValueError(f"its interpolation {info.interpolation[:40]!r} is not known")
        if info.normalisation not in ("maximum", "percentile"):
            raise ValueError(f"its normalisation {info.normalisation[:40]!r} is not known")
        if not all(0 < fraction <= 1 for fraction in info.fractions):
            raise ValueError("its fractions are not between 0 and 1")
        if len(info.prior_spacing) not in (0, 3) or not all(spacing > 0 for spacing in info.prior_spacing):
            raise ValueError("its prior's voxel size is not three positive numbers")
        return info


def _checked(name: str, value: Any, default: Any) -> Any:
    """`value` as the type of `default`, or ValueError."""
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(_is_number(v) for v in value):
            raise ValueError(f"{name} is not a list of numbers")
        return tuple(value)
    if isinstance(default, dict):
        if not isinstance(value, dict) or not all(_is_number(v) for v in value.values()):
            raise ValueError(f"{name} is not a table of numbers")
        return {str(key): float(number) for key, number in value.items()}
    if type(value) is not type(default):
        raise ValueError(f"{name} is not of type {type(default).__name__}")
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _LARGEST_NUMBER


def new_network(info: ModelInfo) -> SuperResolutionNetwork:
    """The network that a model's metadata describe, with new weights."""
    return network_named(info.architecture).new(info.features, info.factor)
