"""Imports lead one way, from the command line down to data, and the picture of the architecture shows them."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path

import architecture_picture
import layers
import pytest
from layers import (
    FRONT_DOOR,
    LAYERS,
    LIBRARY,
    MODULE,
    MODULE_LAYERS,
    files_of,
    imported,
    imported_files,
    layer_of,
    library_files,
    module_layer_of,
)

FILES = library_files()
LAYERED = [file for file in FILES if file != FRONT_DOOR]
MODULE_FILES = files_of(MODULE)
PRESENTATION = [file for file in FILES if file.parts[0] == "evaluation" or file == Path("benchmark/table3.py")]


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
    assert {"SRDynamicMRILib.acquisition.acquisition", "torch"} <= imported(Path("training/fine_tuning.py"))
    assert Path("evaluation/report/__init__.py") in imported_files(Path("demo.py")), (
        "an import within a function counts"
    )
    assert imported_files(Path("phantom/needle.py")) >= {Path("geometry.py"), Path("phantom/body.py")}
    assert Path("volume.py") in imported_files(Path("scene/volumes.py"), MODULE)


def test_every_folder_is_a_layer() -> None:
    assert {layer_of(file) for file in LAYERED} == set(LAYERS)
    assert {module_layer_of(file) for file in MODULE_FILES} == set(MODULE_LAYERS)


@pytest.mark.parametrize("file", LAYERED, ids=str)
def test_the_library_imports_from_its_folder_and_those_below(file: Path) -> None:
    order = list(LAYERS)
    above = order[order.index(layer_of(file)) + 1 :]
    assert not [other for other in imported_files(file) if layer_of(other) in above]


@pytest.mark.parametrize("file", MODULE_FILES, ids=str)
def test_the_module_imports_from_its_folder_and_those_below(file: Path) -> None:
    above = MODULE_LAYERS[MODULE_LAYERS.index(module_layer_of(file)) + 1 :]
    assert not [other for other in imported_files(file, MODULE, MODULE) if module_layer_of(other) in above]


def test_no_two_files_import_each_other() -> None:
    TopologicalSorter({file: imported_files(file) - {file} for file in LAYERED}).prepare()


@pytest.mark.parametrize("file", FILES, ids=str)
def test_the_library_knows_nothing_of_slicer(file: Path) -> None:
    tops = {name.partition(".")[0] for name in imported(file)}
    assert not tops & {"slicer", "qt", "vtk", "vtkmodules", "ctk", "SRDynamicMRI", "SRDynamicMRISlicer"}


@pytest.mark.parametrize(
    ("file", "folder"),
    [*((file, LIBRARY) for file in PRESENTATION), *((file, MODULE) for file in MODULE_FILES)],
    ids=str,
)
def test_what_shows_results_does_not_train(file: Path, folder: Path) -> None:
    assert not [other for other in everything_below(file, folder) if other.parts[0] == "training"]


def test_the_picture_shows_the_imports() -> None:
    shown = architecture_picture.PICTURE.read_text(encoding="utf-8")
    assert architecture_picture.drawn_arrows(shown) == layers.arrows(), "make figures"
