"""Published PyTorch checkpoints of the paper's network, made models.

They are pickles, of which PyTorch loads tensors, numbers and containers, and nothing else.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..acquisition.matrices import check_fraction
from ..errors import InputError
from ..io.paths import check_name, check_readable
from .checkpoints import Model, network_with
from .model_info import MAXIMUM_FEATURES, ModelInfo


def import_checkpoint(source: Path, fractions: tuple[float, ...] = ()) -> Model:
    """Read a published PyTorch checkpoint of the paper's network.

    The file is unpickled with ``weights_only=True``: it can bring tensors, numbers and containers, never code.
    The weights may be at the top level or under ``state_dict`` or ``model_state_dict``, with or without a ``module.``
    prefix.

    Parameters
    ----------
    source
        The ``.pth`` file.
    fractions
        Shares of k-space that the weights were trained for, if known.

    Returns
    -------
        The model, to be used as the paper does (index-based trilinear input, division by the maximum).

    Raises
    ------
    InputError
        If the file is no such checkpoint, or holds anything but weights.
    """
    for fraction in fractions:
        check_fraction(fraction)
    check_name(source)
    if not source.is_file():
        message = f"There is no checkpoint {source}; check the name."
        raise InputError(message)
    check_readable(source)
    if _is_zip_bomb(source):
        message = f"{source} claims to hold more than its own size, so it was not loaded; get the file again."
        raise InputError(message)
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can fail in any way
        message = (
            f"{source} is damaged or holds more than weights, so it was not loaded; "
            "ask its author for a file that holds the state dict alone."
        )
        raise InputError(message) from error
    state = _state_dict(content)
    first = state.get("down_path.0.block.0.weight")
    if first is None or first.ndim != 5 or not 1 <= first.shape[0] <= MAXIMUM_FEATURES:
        message = f"{source} holds no weights of the paper's 3D U-Net; give the checkpoint that was published with it."
        raise InputError(message)
    info = ModelInfo(features=first.shape[0], fractions=fractions, loss="perceptual", recipe="paper")
    try:
        network = network_with(state, info)
    except ValueError as error:
        message = f"{source} cannot be used: {error}."
        raise InputError(message) from error
    return Model(network, replace(info, training_data=f"imported checkpoint {source.name}"))


def _is_zip_bomb(path: Path) -> bool:
    """Whether a checkpoint, a ZIP file which PyTorch never compresses, would take more memory than it takes on disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False  # of the older kind without ZIP, or damaged, which PyTorch says


def _state_dict(content: Any) -> dict[str, Tensor]:
    """The weights within whatever containers a training script put around them."""
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        return {}
    return {str(k).removeprefix("module."): v for k, v in content.items() if isinstance(v, Tensor)}
