"""The layers of the code: the folders of the library and of the Slicer module, from the bottom up.

A file may import from its own folder and from those below it. `test_architecture.py` holds the code to it, and
the picture of the architecture to the code.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "SRDynamicMRILib"
MODULE = ROOT / "SRDynamicMRI" / "SRDynamicMRISlicer"
FRONT_DOOR = Path("__init__.py")
"""Names the public functions and loads each when it is first used: of no layer."""

SPOKEN_OF = "what everything speaks of"
"""Files that lie in no folder, but for those of `TOP`."""

LAYERS = {
    SPOKEN_OF: "volumes, series, geometry, errors, progress",
    "process": "devices, threads, processes of torchrun, streams, signals",
    "io": "files of every format, sidecars, writing that is whole or not at all",
    "acquisition": "k-space, resampling, data consistency",
    "phantom": "the synthetic abdomen",
    "networks": "networks",
    "models": "networks with what is known about them, as files and recipes",
    "losses": "losses of training",
    "evaluation": "metrics, tests, figures, reports",
    "prior": "the planning scan made ready for a series",
    "inference": "super-resolution of volumes and series",
    "training": "main training, fine-tuning",
    "api": "fine_tune, super_resolve, interpolate, evaluate: the one way in",
    "benchmark": "the paper's benchmark on any data, the demonstration",
    "cli": "one file a command",
}
"""Folders of the library and their purpose, from the bottom up."""

TOP = {"api.py": "api", "requests.py": "api", "demo.py": "benchmark", "__main__.py": "cli"}
"""Layers of files that lie in no folder and build on others."""

MODULE_LAYERS = (SPOKEN_OF, "jobs", "presenter", "scene", "comparison", "qt", "panel", "session", "self_test")
"""The same of the Slicer module."""

MODULE_TOP = {"session.py": "session"}

SLICER = "Slicer module"


def files_of(folder: Path) -> list[Path]:
    """Python files of a package, relative to it."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*.py"))


def library_files() -> list[Path]:
    """Python files of the library, relative to it."""
    return files_of(LIBRARY)


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
def imported_files(file: Path, folder: Path = LIBRARY, within: Path = LIBRARY) -> frozenset[Path]:
    """Files of the package `within` that a file of `folder` imports, relative to it; without its front door."""
    names = {
        name.partition(".")[2].replace(".", "/")
        for name in imported(file, folder)
        if name.startswith(f"{within.name}.")
    }
    files = {Path(place) for name in names for place in (f"{name}.py", f"{name}/__init__.py")}
    return frozenset(place for place in files if (within / place).is_file()) - {FRONT_DOOR}


def layer_of(file: Path) -> str:
    """Layer of a file of the library: its folder."""
    return file.parts[0] if len(file.parts) > 1 else TOP.get(file.name, SPOKEN_OF)


def module_layer_of(file: Path) -> str:
    """Layer of a file of the Slicer module: its folder."""
    return file.parts[0] if len(file.parts) > 1 else MODULE_TOP.get(file.name, SPOKEN_OF)


def arrows() -> set[tuple[str, str]]:
    """Pairs of layers of which the first imports the second, and what the Slicer module imports."""
    files = [file for file in library_files() if file != FRONT_DOOR]
    found = {(layer_of(file), layer_of(other)) for file in files for other in imported_files(file)}
    found |= {(SLICER, layer_of(other)) for file in files_of(MODULE) for other in imported_files(file, MODULE)}
    return {(first, second) for first, second in found if first != second}
