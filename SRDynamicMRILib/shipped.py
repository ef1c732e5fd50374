"""Weights that come with the extension, wherever it is installed."""

from __future__ import annotations

from pathlib import Path

from .errors import InputError

BASE_MODEL = "base.safetensors"
PERCEPTUAL_NETWORK = "perceptual.safetensors"

_PACKAGE = Path(__file__).resolve().parent
# In an installed wheel the resources lie within the package, in a source tree beside it.
_PLACES = (_PACKAGE / "Resources" / "Models", _PACKAGE.parent / "Resources" / "Models")


def shipped_file(name: str) -> Path | None:
    """Path of a file in Resources/Models; None if it does not come with this version."""
    return next((place / name for place in _PLACES if (place / name).is_file()), None)


def base_model() -> Path:
    """Path of the shipped base model.

    Raises
    ------
    InputError
        If it is missing from the installation.
    """
    path = shipped_file(BASE_MODEL)
    if path is None:
        message = (
            f"The shipped model {BASE_MODEL} is missing; install SRDynamicMRI again, or name a model with --model."
        )
        raise InputError(message)
    return path
