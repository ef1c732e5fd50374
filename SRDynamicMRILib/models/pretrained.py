"""Pretrained weights, which come with the extension."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from ..acquisition.acquisition import Acquisition
from ..errors import InputError
from ..io.paths import read_bounded

BASE_MODEL = "base.safetensors"
"""For every fraction."""

FRACTION_MODELS = {fraction: f"base_{fraction:g}.safetensors" for fraction in (0.25, 0.1, 0.0625)}
"""Better, but each for one fraction and what is near it."""

FAST_MODELS = {fraction: f"fast_{fraction:g}.safetensors" for fraction in (0.25, 0.1, 0.0625)}
"""Networks that end in sub-pixels: several times as fast, and the better start of fine-tuning."""

SCANNER_MODELS = {2: "scanner_2.safetensors", 4: "scanner_4.safetensors"}
"""For images whose samples a scanner weighted with a window, by the voxels they make of each along rows and columns."""

MAGNITUDE_MODELS = {2: "magnitude_2.safetensors", 4: "magnitude_4.safetensors"}
"""For magnitude images without a window."""

PERCEPTUAL_NETWORK = "perceptual.safetensors"

HASHES = "SHA256SUMS"
"""SHA-256 of every file, a line each as ``sha256sum`` writes it; ``make hashes`` after a file has been replaced."""

FRACTION_TOLERANCE = math.log(1.25)
"""How far, as a factor, a fraction may be from that of a model."""

_FACTOR_TOLERANCE = 1.25
"""How many times more voxels may be wanted of each than a model for scanners' images makes."""

START_TOLERANCE = math.log(1.6)
"""How far it may be from that of a model to begin fine-tuning with, which soon finds its way."""

_PACKAGE = Path(__file__).resolve().parent.parent
# In an installed wheel the resources lie within the package, in a source tree beside it.
_PLACES = (_PACKAGE / "Resources" / "Models", _PACKAGE.parent / "Resources" / "Models")


def pretrained_file(name: str) -> Path | None:
    """Path of a file in Resources/Models; None if it does not come with this version.

    Raises
    ------
    InputError
        If it is there, but was changed after the release.
    """
    path = next((place / name for place in _PLACES if (place / name).is_file()), None)
    if path is not None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        hashes = path.with_name(HASHES)
        listed = read_bounded(hashes).decode("utf-8", "replace").splitlines() if hashes.is_file() else []
        if f"{digest}  {name}" not in listed:
            message = (
                f"{path} is not the file that comes with this version (it has another SHA-256); "
                "install SRDynamicMRI again, or name a model with --model."
            )
            raise InputError(message)
    return path


def fast_model(fraction: float) -> Path | None:
    """Path of the pretrained fast model to use, or to begin fine-tuning with, for a fraction of in-plane k-space.

    None if there is none near that fraction, or it does not come with this version.
    """
    nearest = min(FAST_MODELS, key=lambda own: abs(math.log(fraction / own)))
    if abs(math.log(fraction / nearest)) > START_TOLERANCE:
        return None
    return pretrained_file(FAST_MODELS[nearest])


def scanner_model(acquisition: Acquisition) -> Path | None:
    """Path of the pretrained model for images as scanners store them.

    None where the sign is kept and there is no window, for which the others are better, or no model is made for as
    little of k-space.
    """
    if not acquisition.magnitude and acquisition.window.is_flat:
        return None
    models = MAGNITUDE_MODELS if acquisition.window.is_flat else SCANNER_MODELS
    shares = (low / full for low, full in zip(acquisition.acquired_matrix, acquisition.full_matrix, strict=True))
    wanted = 1 / min(shares)
    factor = next((each for each in sorted(models) if wanted <= each * _FACTOR_TOLERANCE), None)
    return None if factor is None else pretrained_file(models[factor])


def start_model(fraction: float) -> Path:
    """Path of the pretrained model to begin fine-tuning with for a fraction of in-plane k-space, the sign kept.

    Raises
    ------
    InputError
        If none comes with this version.
    """
    return fast_model(fraction) or base_model(fraction)


def base_model(fraction: float | None = None) -> Path:
    """Path of the pretrained base model for a fraction, to use without fine-tuning.

    Parameters
    ----------
    fraction
        Share of in-plane k-space that was acquired; None if it is not known.

    Raises
    ------
    InputError
        If it is missing from the installation, or was changed after the release.
    """
    near = [own for own in FRACTION_MODELS if fraction and abs(math.log(fraction / own)) <= FRACTION_TOLERANCE]
    name = FRACTION_MODELS[near[0]] if near else BASE_MODEL
    path = pretrained_file(name) or pretrained_file(BASE_MODEL)
    if path is None:
        message = (
            f"The pretrained model {BASE_MODEL} is missing; install SRDynamicMRI again, or name a model with --model."
        )
        raise InputError(message)
    return path
