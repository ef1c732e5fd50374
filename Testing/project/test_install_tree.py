"""The extension is configured, built and installed by CMake, and what is installed is what lies in the source tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.project import ROOT, TESTS

SLICER = TESTS / "cmake"
"""Stands in for a built Slicer; see SlicerConfig.cmake there."""

SCRIPTED_MODULES = Path("lib", "Slicer-5.13", "qt-scripted-modules")
MODEL_FOLDER = Path("SRDynamicMRILib", "Resources", "Models")


def cmake(*arguments: object, program: str = "cmake") -> str:
    """What a program of CMake prints; it has to succeed."""
    own = Path(sys.executable).with_name(program)
    command = [own if own.exists() else program, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(source: Path, folder: Path) -> Path:
    """Build and install an extension; returns the folder of its scripted modules."""
    toolchain = SLICER / "no_compiler.cmake"
    cmake("-S", source, "-B", folder / "build", "-D", f"Slicer_DIR={SLICER}", "--toolchain", toolchain)
    cmake("--build", folder / "build")
    cmake("--install", folder / "build", "--prefix", folder / "installed")
    return folder / "installed" / SCRIPTED_MODULES


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder that belongs to the extension: its name and what it holds."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    compiled = {file for file in files if "__pycache__" in file.parts or file.suffix == ".pyc"}
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in files
        if file not in compiled and file.name != "CMakeLists.txt"
    }


def expected() -> dict[str, bytes]:
    """What Slicer has to find in its folder of scripted modules."""
    library = {f"SRDynamicMRILib/{name}": content for name, content in tree(ROOT / "SRDynamicMRILib").items()}
    models = {f"{MODEL_FOLDER.as_posix()}/{n}": c for n, c in tree(ROOT / "Resources" / "Models").items()}
    return {**tree(ROOT / "SRDynamicMRI"), **library, **models}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(ROOT, tmp_path_factory.mktemp("extension"))


def test_what_is_installed_is_what_lies_in_the_source_tree(installed: Path) -> None:
    found, wanted = tree(installed), expected()
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert len(wanted) > 100


def test_nothing_is_installed_elsewhere(installed: Path) -> None:
    root = installed.parents[len(SCRIPTED_MODULES.parts) - 1]
    outside = [file for file in root.rglob("*") if file.is_file() and installed not in file.parents]
    assert outside == []


def test_the_installed_library_finds_its_weights(installed: Path) -> None:
    code = "from SRDynamicMRILib.models.pretrained import base_model; print(base_model(0.0625))"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(installed)!r}); {code}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()) == installed / MODEL_FOLDER / "base_0.0625.safetensors"


def test_slicers_tests_are_the_modules(installed: Path) -> None:
    build = installed.parents[len(SCRIPTED_MODULES.parts)] / "build"
    listed = cmake("--show-only", "--test-dir", build, program="ctest")
    for name in (
        "py_SRDynamicMRI",
        "py_nomainwindow_SRDynamicMRI",
        "py_nomainwindow_qSlicerSRDynamicMRIModuleGenericTest",
    ):
        assert f": {name}\n" in listed


PRESENTER = "SRDynamicMRISlicer/presenter/presenter.py"


@pytest.mark.parametrize("written", ["", f"../{PRESENTER}"], ids=["left out", "by a way that leads up"])
def test_a_file_that_cmake_does_not_name_well_is_missed(tmp_path: Path, written: str) -> None:
    """The stand-in loses such a file as Slicer's macro does, so the comparison above can fail."""
    source = tmp_path / "source"
    for name in ("SRDynamicMRI", "SRDynamicMRILib", "Resources"):
        shutil.copytree(ROOT / name, source / name)
    shutil.copy(ROOT / "CMakeLists.txt", source)
    (source / "SRDynamicMRISlicer" / "presenter").mkdir(parents=True)
    shutil.copy(ROOT / "SRDynamicMRI" / PRESENTER, source / PRESENTER)
    lists = source / "SRDynamicMRI" / "CMakeLists.txt"
    text = lists.read_text(encoding="utf-8")
    assert text.count(PRESENTER) == 1
    lists.write_text(text.replace(PRESENTER, written), encoding="utf-8")
    assert set(expected()) - set(tree(install(source, tmp_path))) == {PRESENTER}
