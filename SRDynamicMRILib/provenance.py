"""What stands beside an image that this software made: a JSON file of the same name."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import __version__
from .times import read_sidecar, sidecar_of

NOTICE = "AI-generated images. Not for diagnosis."

_KEY = "SRDynamicMRI"


def description(**facts: Any) -> dict[str, Any]:
    """Content of a sidecar: the version of this software and some facts that JSON can hold."""
    return {_KEY: {"version": __version__, **facts}}


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
    known = read_sidecar(path / "series.json" if path.is_dir() else sidecar_of(path)).get(_KEY)
    return known if isinstance(known, dict) else {}


def recorded_matrix(path: Path) -> tuple[int, int] | None:
    """Rows and columns that an image had before it was downsampled, if a sidecar says so."""
    matrix = recorded(path).get("full_matrix")
    if isinstance(matrix, list) and len(matrix) == 2 and all(type(n) is int and n > 0 for n in matrix):
        return matrix[0], matrix[1]
    return None
