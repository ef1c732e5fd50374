"""What stands beside an image that this software made: a JSON file of the same name."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import InputError
from ..geometry import Geometry
from ..volume import Series, Volume
from .times import FOLDER_SIDECAR, RECORD, read_sidecar, sidecar_of

NOTICE = "AI-generated images. Not for diagnosis."


def description(**facts: Any) -> dict[str, Any]:
    """Content of a sidecar: the version of this software and some facts that JSON can hold."""
    return {RECORD: {"version": __version__, **facts}}


def environment() -> dict[str, str]:
    """Versions of what results depend on, by name."""
    found = {"SRDynamicMRI": __version__, "Python": platform.python_version(), "System": platform.platform()}
    for package in ("torch", "numpy", "scipy", "SimpleITK", "safetensors"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def recorded(path: Path) -> dict[str, Any]:
    """Facts that this software has written beside an image; empty if there are none. They may be anybody's by now."""
    known = read_sidecar(path / FOLDER_SIDECAR if path.is_dir() else sidecar_of(path)).get(RECORD)
    return known if isinstance(known, dict) else {}


def warnings_in(facts: Mapping[str, Any]) -> list[str]:
    """The warnings that came with a result, if its facts have some."""
    told = facts.get("warnings")
    return [sentence for sentence in told if isinstance(sentence, str)] if isinstance(told, list) else []


def frames_in(facts: Mapping[str, Any], count: int) -> list[int] | None:
    """Numbers of the `count` time points that a result holds of its series, if its facts say so."""
    frames = facts.get("frames")
    if isinstance(frames, list) and len(frames) == count and all(type(n) is int and n >= 0 for n in frames):
        return frames if all(a < b for a, b in pairwise(frames)) else None
    return None


def image_facts(geometry: Geometry) -> dict[str, Any]:
    """What ties a sidecar to its image: it may come to lie beside another one."""
    return {"matrix": list(geometry.shape[1:]), "voxel_size": list(geometry.spacing)}


def describes(facts: Mapping[str, Any], geometry: Geometry) -> bool | None:
    """Whether a sidecar's facts are about an image of this geometry; None if they do not say (earlier versions)."""
    matrix, voxel = facts.get("matrix"), facts.get("voxel_size")
    if matrix is None and voxel is None:
        return None
    if not isinstance(voxel, list) or len(voxel) != 3 or not all(type(v) in (int, float) for v in voxel):
        return False
    alike = all(math.isclose(v, s, rel_tol=1e-3) for v, s in zip(voxel, geometry.spacing, strict=True))
    return bool(alike and matrix == list(geometry.shape[1:]))


def check_acquired(image: Volume | Series, use: str) -> None:
    """Raise `InputError` if an image is a result of this software: super-resolved again, it would pass for measured.

    Parameters
    ----------
    image
        The image with its facts.
    use
        What it is to be, such as "the planning scan".
    """
    if image.facts.get("notice"):
        message = (
            f"{image.name or 'The image'} is a super-resolved, AI-generated image, according to its sidecar, and "
            f"cannot be {use}; give the acquired image."
        )
        raise InputError(message)
