"""Models on disk: a ``.safetensors`` file whose metadata says everything needed to use it.

Nothing in such a file is ever executed. Pickled checkpoints of others are read by `checkpoint_import` alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from .. import __version__
from ..acquisition.interpolation import INPUTS
from ..errors import InputError
from ..io.image_files import written_whole
from ..io.paths import check_name, check_readable
from ..networks.sub_pixel import FACTORS, SubPixelNetwork
from ..networks.unet import UNet3D
from .prior_copy import TENSOR, PriorCopy

MAXIMUM_FEATURES = 512
"""Of the first level; a file that claims more is damaged."""

_LARGEST_NUMBER = 1e15
_METADATA_KEY = "SRDynamicMRI"
_PRIOR_KEY = "SRDynamicMRI planning scan"
_WEIGHT_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class ModelInfo:
    """Everything needed to use a model and to know where it comes from.

    Parameters
    ----------
    architecture
        ``UNet3D`` or ``SubPixelNetwork``.
    features
        Feature maps of its first level.
    factor
        Voxels it gives per voxel it is fed with, along rows and along columns; 1 of a ``UNet3D``.
    fractions
        Shares of k-space it was trained for.
    interpolation
        What a ``UNet3D`` is fed with and what the residual is added to: one of `interpolation.INPUTS`. A
        ``SubPixelNetwork`` is fed with the acquired image.
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

    @property
    def adds_input(self) -> bool:
        """Whether the output is added to the very image that the network is fed with."""
        return self.residual and self.factor == 1

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
            if item.name not in values:
                continue
            value, default = values[item.name], getattr(defaults, item.name)
            known[item.name] = _checked(item.name, value, default)
        info = cls(**known)
        if info.architecture not in ARCHITECTURES:
            raise ValueError(f"its architecture {info.architecture[:40]!r} is not known")
        if not 1 <= info.features <= MAXIMUM_FEATURES:
            raise ValueError(f"it claims {info.features} features")
        if not (info.factor in FACTORS if info.architecture == "SubPixelNetwork" else info.factor == 1):
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


Network = UNet3D | SubPixelNetwork
ARCHITECTURES = ("UNet3D", "SubPixelNetwork")


def new_network(info: ModelInfo) -> Network:
    """The network that a model's metadata describe, with new weights."""
    return UNet3D(info.features) if info.factor == 1 else SubPixelNetwork(info.features, info.factor)


@dataclass(frozen=True)
class Model:
    """A network and what is known about it.

    Parameters
    ----------
    network
        The torch module, on the CPU, in float32, in evaluation mode.
    info
        Its metadata.
    sha256
        Hash of the file it was read from, `prior` and all; empty if it was not.
    prior
        Small copy of the planning scan that it was fine-tuned on; None for a base model and for models made before
        there were such copies.
    """

    network: nn.Module
    info: ModelInfo
    sha256: str = ""
    prior: PriorCopy | None = None

    def with_info(self, **changes: Any) -> Model:
        """Return the same network with some of the metadata replaced."""
        return replace(self, info=replace(self.info, **changes))


def weights_sha256(network: nn.Module) -> str:
    """SHA-256 of a network's weights, hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def save_tensors(tensors: Mapping[str, Tensor], metadata: dict[str, str], path: Path) -> None:
    """Write tensors and metadata to a ``.safetensors`` file, complete or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with written_whole(path) as temporary:
        temporary.write_bytes(_as_bytes(tensors, metadata))


def _as_bytes(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Content of a ``.safetensors`` file; the same for equal tensors and metadata."""
    plain = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    return _in_order(save(plain, metadata))


def _in_order(content: bytes) -> bytes:
    """The same ``.safetensors`` file with its metadata sorted: they come in random order, and equal models as others.

    Layout: https://github.com/huggingface/safetensors#format.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    key = "__metadata__"
    header = {key: dict(sorted(header.pop(key, {}).items())), **header}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors and the metadata of a ``.safetensors`` file; nothing in it is executed.

    Raises
    ------
    InputError
        If the file is missing, truncated or no such file.
    """
    check_name(path)
    if not path.is_file():
        message = f"There is no model file {path}; check the name."
        raise InputError(message)
    check_readable(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as stream:
            metadata = dict(stream.metadata() or {})
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        message = (
            f"{path} is not a readable .safetensors file (damaged, incomplete or of another kind); "
            "get the file again, or use import-checkpoint for a PyTorch checkpoint."
        )
        raise InputError(message) from error
    return tensors, metadata


def check_model_name(path: Path) -> None:
    """Raise `InputError` unless a model can have this name."""
    if path.suffix != ".safetensors":
        message = f"A model is written as .safetensors, but the name given is {path.name}; change its ending."
        raise InputError(message)


def save_model(model: Model, path: Path, half_precision: bool = False) -> None:
    """Write a model to a ``.safetensors`` file, complete or not at all.

    Parameters
    ----------
    model
        The model.
    path
        Name of the file.
    half_precision
        Store the weights as float16, half the size; they are used as float32.

    Raises
    ------
    InputError
        If the file cannot be written, does not end in ``.safetensors``, the weights would not be finite in it, or it
        could not be loaded again.
    """
    check_model_name(path)
    with written_whole(path) as temporary:
        temporary.write_bytes(_content(model, half_precision, path))


def identified(model: Model) -> Model:
    """Return the model with the hash of the file that `save_model` writes of it, unless it was read from one.

    Raises
    ------
    InputError
        If it could not be written.
    """
    return model if model.sha256 else replace(model, sha256=hashlib.sha256(_content(model)).hexdigest())


def _content(model: Model, half_precision: bool = False, path: Path = Path("the model")) -> bytes:
    """What the file of a model holds; `InputError` if it could not be loaded again."""
    dtype = torch.float16 if half_precision else torch.float32
    state = {name: tensor.to(dtype) for name, tensor in model.network.state_dict().items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        message = f"Some weights are not finite or too large for the precision asked for, so {path} was not written."
        raise InputError(message)
    metadata = {_METADATA_KEY: model.info.to_json()}
    if model.prior is not None:
        state[TENSOR] = model.prior.tensor
        metadata[_PRIOR_KEY] = model.prior.to_json()
    try:
        _model_of(state, metadata)
    except ValueError as error:
        message = f"The model could not be loaded again, so {path} was not written: {error}."
        raise InputError(message) from error
    return _as_bytes(state, metadata)


def load_model(path: str | Path) -> Model:
    """Read a model.

    Parameters
    ----------
    path
        A ``.safetensors`` file written by this library.

    Returns
    -------
        The model; its ``network`` is a torch module in evaluation mode, ``(B, 1, D, H, W) -> (B, 1, D, n * H, n * W)``
        with the ``factor`` n of its metadata.

    Raises
    ------
    InputError
        If the file is not such a model: damaged, of another architecture, or with weights that are not finite.
    """
    path = Path(path)
    tensors, metadata = load_tensors(path)
    if _METADATA_KEY not in metadata:
        message = f"{path} holds no description of a model; use import-checkpoint if the weights come from elsewhere."
        raise InputError(message)
    try:
        model = _model_of(tensors, metadata)
    except (ValueError, RecursionError) as error:  # the latter from absurdly nested JSON
        message = f"{path} cannot be used as a model: {error}."
        raise InputError(message) from error
    return replace(model, sha256=file_sha256(path))


def load_info(path: str | Path) -> ModelInfo:
    """Read what is known about a model, without its weights.

    Raises
    ------
    InputError
        If the file is not such a model.
    """
    path = Path(path)
    check_name(path)
    try:
        check_readable(path)
        with safe_open(path, framework="pt", device="cpu") as stream:
            return ModelInfo.from_json((stream.metadata() or {})[_METADATA_KEY])
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        message = f"{path} holds no description of a model; get the file again."
        raise InputError(message) from error


def _model_of(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Model:
    """The model that the content of a file is; ValueError if it is none."""
    info = ModelInfo.from_json(metadata[_METADATA_KEY])
    weights = {name: tensor for name, tensor in tensors.items() if name != TENSOR}
    prior = None
    if (TENSOR in tensors) != (_PRIOR_KEY in metadata):
        raise ValueError("of its planning scan either the voxels or the description is missing")
    if TENSOR in tensors:
        prior = PriorCopy.read(tensors[TENSOR], metadata[_PRIOR_KEY])
    return Model(network_with(weights, info), info, prior=prior)


def _shapes(info: ModelInfo) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights of a network, known before one of a size that a file claims is made.

    Every size is linear in the number of features, so two small networks tell those of all.
    """
    two, three = (new_network(replace(info, features=n)).state_dict() for n in (2, 3))
    more = info.features - 2
    return {
        name: tuple(a + more * (b - a) for a, b in zip(two[name].shape, three[name].shape, strict=True)) for name in two
    }


def network_with(tensors: Mapping[str, Tensor], info: ModelInfo) -> Network:
    """The network with these weights; ValueError if they do not fit."""
    expected = _shapes(info)
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    if found != expected:
        odd = sorted(set(found.items()) ^ set(expected.items()))[0][0]
        raise ValueError(
            f"its weights are not those of a {info.architecture} with {info.features} features "
            f"(first difference: {odd[:60]!r})"
        )
    if not all(_is_plain(tensor) for tensor in tensors.values()):
        raise ValueError("some of its weights are not plain floating-point numbers")
    if not all(bool(torch.isfinite(t).all()) for t in tensors.values()):
        raise ValueError("some of its weights are not finite numbers")
    network = new_network(info)
    network.load_state_dict({name: t.float() for name, t in tensors.items()})
    return network.eval()


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds floating-point numbers, and in memory as many as its shape says."""
    if tensor.dtype not in _WEIGHT_TYPES or tensor.layout is not torch.strided or tensor.device.type != "cpu":
        return False
    return tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()
