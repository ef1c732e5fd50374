"""What stands beside an image that this software made: a JSON file of the same name."""

from __future__ import annotations

import math
import platform
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

from . import __version__
from .fidelity import Fidelity
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


def recorded_fidelity(path: Path) -> list[Fidelity]:
    """How true a result is to what it was made of, by time point, if a sidecar says so."""
    figures = recorded(path).get("fidelity")
    if not isinstance(figures, list) or not all(isinstance(each, dict) for each in figures):
        return []
    pairs = [(each.get("error"), each.get("added")) for each in figures]
    if not all(type(value) in (int, float) and 0 <= value < math.inf for pair in pairs for value in pair):
        return []
    return [Fidelity(error, added) for error, added in pairs]


def recorded_warnings(path: Path) -> list[str]:
    """The warnings that came with a result, if a sidecar has some."""
    told = recorded(path).get("warnings")
    return [sentence for sentence in told if isinstance(sentence, str)] if isinstance(told, list) else []


def recorded_frames(path: Path, count: int) -> list[int] | None:
    """Numbers of the `count` time points that a result holds of its series, if a sidecar says so."""
    frames = recorded(path).get("frames")
    if isinstance(frames, list) and len(frames) == count and all(type(n) is int and n >= 0 for n in frames):
        return frames if all(a < b for a, b in pairwise(frames)) else None
    return None


def recorded_matrix(path: Path) -> tuple[int, int] | None:
    """Rows and columns that an image had before it was downsampled, if a sidecar says so."""
    matrix = recorded(path).get("full_matrix")
    if isinstance(matrix, list) and len(matrix) == 2 and all(type(n) is int and n > 0 for n in matrix):
        return matrix[0], matrix[1]
    return None
