"""Imports lead one way, from the command line down to data, and the picture of the architecture shows them."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path

import architecture_picture
import layers
import pytest
from layers import EXCEPTIONS, FRONT_DOOR, LAYERS, LIBRARY, MODULE, imported, imported_files, layer_of, library_files

FILES = library_files()
LAYERED = [file for file in FILES if file != Path(f"{FRONT_DOOR}.py")]
PRESENTATION = [file for file in FILES if file.parts[0] in ("report", "evaluation.py", "table3.py")]


def against_the_direction(file: Path) -> set[tuple[str, str]]:
    return {(file.as_posix(), other.as_posix()) for other in imported_files(file) if layer_of(other) > layer_of(file)}


def everything_below(file: Path, folder: Path) -> set[Path]:
    """Files of the library that importing a file leads to."""
    found: set[Path] = set()
    waiting = set(imported_files(file, folder))
    while waiting:
        other = waiting.pop()
        found.add(other)
        waiting |= imported_files(other) - found
    return found


def test_imports_are_found() -> None:
    assert {"SRDynamicMRILib.acquisition.kspace", "torch"} <= imported(Path("training/fine_tuning.py"))
    assert Path("report/__init__.py") in imported_files(Path("commands.py")), "an import within a function counts"
    assert imported_files(Path("phantom/needle.py")) >= {Path("volume.py"), Path("phantom/body.py")}
    assert Path("volume.py") in imported_files(Path("scene_volumes.py"), MODULE)


def test_every_file_is_of_one_layer_and_every_layer_of_files() -> None:
    assert {layer_of(file) for file in LAYERED} == set(range(len(LAYERS)))
    parts = [part for layer in LAYERS for part in layer.parts]
    assert sorted(parts) == sorted({file.with_suffix("").parts[0] for file in LAYERED})


def test_imports_lead_down() -> None:
    found = set().union(*(against_the_direction(file) for file in LAYERED))
    assert found - set(EXCEPTIONS) == set()
    assert set(EXCEPTIONS) - found == set(), "no longer an exception"


def test_no_two_files_import_each_other() -> None:
    TopologicalSorter({file: imported_files(file) - {file} for file in LAYERED}).prepare()


@pytest.mark.parametrize("file", FILES, ids=str)
def test_the_library_knows_nothing_of_slicer(file: Path) -> None:
    tops = {name.partition(".")[0] for name in imported(file)}
    assert not tops & {"slicer", "qt", "vtk", "vtkmodules", "ctk", "SRDynamicMRI", "SRDynamicMRISlicer"}


@pytest.mark.parametrize(
    ("file", "folder"),
    [*((file, LIBRARY) for file in PRESENTATION), *((Path(file.name), MODULE) for file in sorted(MODULE.glob("*.py")))],
    ids=lambda path: path.name,
)
def test_what_shows_results_does_not_train(file: Path, folder: Path) -> None:
    assert not [other for other in everything_below(file, folder) if other.parts[0] == "training"]


def test_the_picture_shows_the_imports() -> None:
    shown = architecture_picture.PICTURE.read_text(encoding="utf-8")
    assert architecture_picture.drawn_arrows(shown) == layers.arrows(), "make figures"
    assert shown == architecture_picture.drawing(), "make figures"
