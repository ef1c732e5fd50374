"""The layers of the code, from the bottom up, and the imports between them as the files have them.

A file may import from its own layer and from those below. `Testing/test_architecture.py` holds the code to it, and
the picture of the architecture to the code. A new file of the library is named here, in its layer.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "SRDynamicMRILib"
MODULE = ROOT / "SRDynamicMRI" / "SRDynamicMRISlicer"
FRONT_DOOR = "__init__"
"""Names the public functions and loads each when it is first used: of no layer."""


@dataclass(frozen=True)
class Layer:
    """Files of one purpose.

    Parameters
    ----------
    name, purpose
        For the picture.
    parts
        Files without ending, or packages, of the library.
    """

    name: str
    purpose: str
    parts: tuple[str, ...]


LAYERS = (
    Layer(
        "foundation",
        "errors, recipes, devices and processes",
        (
            "errors", "paths", "room", "recipes", "devices", "distributed", "stop_with_stdin", "process_setup",
            "standard_streams",
        ),
    ),
    Layer(
        "data",
        "volumes and series with their geometry, files, synthetic data",
        (
            "volume", "files", "image_files", "nifti", "nifti_geometry", "dicom", "dicom_elements", "dicom_order",
            "sequence_files",
            "times", "text_headers", "output_lock", "phantom", "angiogram", "acquisition", "patches",
            "normalisation", "intensities",
        ),
    ),
    Layer("k-space", "what a shorter acquisition measures; resampling", ("kspace", "acquired_matrix", "interpolation")),
    Layer("records", "what is told of the work and of its results", ("progress", "provenance", "fidelity")),
    Layer(
        "network",
        "networks, and models as files",
        ("networks", "prior_copy", "checkpoints", "checkpoint_import", "shipped"),
    ),
    Layer("loss", "how far two images are apart, to train and to judge by", ("perceptual_loss", "metrics")),
    Layer("training", "main training, fine-tuning", ("training", "contrast", "prior_fit")),
    Layer(
        "inference",
        "super-resolution of volumes and series",
        ("super_resolution", "inference", "series_super_resolution"),
    ),
    Layer(
        "evaluation",
        "tables, tests, figures, reports",
        ("evaluation", "significance", "table3", "benchmark_folder", "report"),
    ),
    Layer(
        "command line",
        "whole runs",
        (
            "benchmark", "demo", "command_outputs", "model_choice", "evaluation_files", "commands", "cli", "standby",
            "__main__",
        ),
    ),
)  # fmt: skip

EXCEPTIONS = {
    ("training/validation.py", "super_resolution.py"): "held-back scans are super-resolved as a user would do it",
}
"""Imports against the direction, by importing and imported file, with the reason."""

SLICER = "Slicer module"


def library_files() -> list[Path]:
    """Python files of the library, relative to it."""
    return sorted(path.relative_to(LIBRARY) for path in LIBRARY.rglob("*.py"))


def imported(file: Path, folder: Path = LIBRARY) -> set[str]:
    """Full names of all modules and names that a file of a package imports, wherever in it."""
    package = [folder.name, *file.parent.parts]
    found = set()
    for node in ast.walk(ast.parse((folder / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
            found |= {module} if node.module else set()  # "from . import x" is about x
    return found


@cache
def imported_files(file: Path, folder: Path = LIBRARY) -> frozenset[Path]:
    """Files of the library that a file imports, relative to the library; without its front door."""
    names = {
        name.partition(".")[2].replace(".", "/")
        for name in imported(file, folder)
        if name.startswith(f"{LIBRARY.name}.")
    }
    files = {Path(place) for name in names for place in (f"{name}.py", f"{name}/__init__.py")}
    return frozenset(place for place in files if (LIBRARY / place).is_file()) - {Path(f"{FRONT_DOOR}.py")}


def layer_of(file: Path) -> int:
    """Number of the layer of a file of the library, 0 at the bottom.

    Raises
    ------
    LookupError
        If no layer names it.
    """
    part = file.with_suffix("").parts[0]
    for number, layer in enumerate(LAYERS):
        if part in layer.parts:
            return number
    message = f"SRDynamicMRILib/{file.as_posix()} is of no layer; name it in docs/layers.py, then `make figures`."
    raise LookupError(message)


def arrows() -> set[tuple[str, str]]:
    """Pairs of layers of which the first imports the second, and what the Slicer module imports."""
    files = [file for file in library_files() if file.stem != FRONT_DOOR or file.parent.parts]
    found = {
        (LAYERS[layer_of(file)].name, LAYERS[layer_of(other)].name) for file in files for other in imported_files(file)
    }
    for file in MODULE.glob("*.py"):
        found |= {(SLICER, LAYERS[layer_of(other)].name) for other in imported_files(Path(file.name), MODULE)}
    return {(first, second) for first, second in found if first != second}
