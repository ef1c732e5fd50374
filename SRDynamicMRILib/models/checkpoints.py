"""Models on disk: a ``.safetensors`` file whose metadata says everything needed to use it.

Nothing in such a file is ever executed. Pickled checkpoints of others are read by `import_checkpoint` alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import InputError
from ..io.image_files import written_whole
from ..io.paths import check_name, check_readable
from ..networks.network import SuperResolutionNetwork
from .model_info import ModelInfo, new_network
from .prior_copy import TENSOR, PriorCopy

_METADATA_KEY = "SRDynamicMRI"
_PRIOR_KEY = "SRDynamicMRI planning scan"
_WEIGHT_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


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

    network: SuperResolutionNetwork
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


def save_model(model: Model, path: str | Path, half_precision: bool = False) -> None:
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
    path = Path(path)
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
        message = f"Some weights are not finite or too large for the precision requested, so {path} was not written."
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

    Every size is linear in the number of features (see `networks.network`), so two small networks tell those of all.
    """
    two, three = (new_network(replace(info, features=n)).state_dict() for n in (2, 3))
    more = info.features - 2
    return {
        name: tuple(a + more * (b - a) for a, b in zip(two[name].shape, three[name].shape, strict=True)) for name in two
    }


def network_with(tensors: Mapping[str, Tensor], info: ModelInfo) -> SuperResolutionNetwork:
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
