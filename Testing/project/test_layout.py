"""The tree is what CMake installs, what is light loads nothing heavy, and nothing points outside."""

from __future__ import annotations

import ast
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.project import TESTS
from layers import FRONT_DOOR, LIBRARY, MODULE, ROOT, files_of, imported, library_files

import SRDynamicMRILib

FILES = library_files()

DECIDES = sorted(
    file.with_suffix("").as_posix().replace("/", ".")
    for file in files_of(MODULE)
    if file.parts[0] in ("jobs", "presenter")
)
"""Parts of the Slicer module that know neither Qt nor MRML, and start without what takes long to load."""

WITHOUT_A_WINDOW = [
    file for file in files_of(MODULE) if file.parts[0] not in ("qt", "panel", "session.py", "self_test")
]
"""Files that need no application with windows; only a real Slicer can test the others."""

NOT_OURS = {"build", "dist", "demo", "site", "__pycache__"}
BINARY = {".gz", ".nii", ".nrrd", ".safetensors", ".png", ".ico", ".pyc"}


def imports(file: Path, module: str, folder: Path = LIBRARY) -> bool:
    return any(name == module or name.startswith(f"{module}.") for name in imported(file, folder))


def cmake_list(file: Path, name: str) -> list[str]:
    """The words of a list that a CMake file sets."""
    code = "\n".join(line.partition("#")[0] for line in file.read_text(encoding="utf-8").splitlines())
    found = re.search(rf"\bset\({name}\b([^)]*)\)", code)
    assert found, f"{file} sets no {name}"
    return found[1].split()


def test_cmake_names_every_file_of_the_library() -> None:
    named = cmake_list(LIBRARY / "CMakeLists.txt", "SCRIPTS")
    assert sorted(named) == [file.as_posix() for file in FILES]
    assert cmake_list(LIBRARY / "CMakeLists.txt", "RESOURCES") == ["py.typed"]


def test_cmake_names_every_file_of_the_module() -> None:
    folder = MODULE.parent
    scripts = cmake_list(folder / "CMakeLists.txt", "SCRIPTS")
    assert sorted(scripts) == sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.py"))
    resources = cmake_list(folder / "CMakeLists.txt", "RESOURCES")
    there = [file for file in (folder / "Resources").rglob("*") if file.is_file()]
    assert sorted(resources) == sorted(file.relative_to(folder).as_posix() for file in there)


def test_cmake_installs_nothing_outside_its_tree() -> None:
    """Slicer's macro joins these names to the destination: a path that leads up or is absolute lands elsewhere."""
    for folder in (LIBRARY, MODULE.parent):
        for name in cmake_list(folder / "CMakeLists.txt", "SCRIPTS"):
            assert not Path(name).is_absolute()
            assert ".." not in Path(name).parts
    root = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.findall(r"^add_subdirectory\((\w+)\)", root, re.MULTILINE) == [MODULE.parent.name, LIBRARY.name]


def test_the_catalogue_entry_is_what_slicer_reads() -> None:
    entry = json.loads((ROOT / "SRDynamicMRI.json").read_text(encoding="utf-8"))
    assert entry.pop("$schema").endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    root = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert entry["build_dependencies"] == re.findall(r'set\(EXTENSION_DEPENDS "(\w+)"\)', root) == ["PyTorch"]
    assert entry["scm_url"].startswith(re.findall(r'EXTENSION_HOMEPAGE "([^"]+)"', root)[0])
    assert (entry["category"], entry["build_subdirectory"]) == ("Image Synthesis", ".")
    assert type(entry["tier"]) is int
    assert set(entry) == {"build_dependencies", "build_subdirectory", "category", "scm_revision", "scm_url", "tier"}
    assert f"project({(ROOT / 'SRDynamicMRI.json').stem})" in root, "Slicer takes the name of the file"


@pytest.mark.parametrize("file", ["Resources/SRDynamicMRI.png", "SRDynamicMRI/Resources/Icons/SRDynamicMRI.png"])
def test_the_icon_has_the_size_that_slicer_asks_for(file: str) -> None:
    content = (ROOT / file).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (128, 128)


def test_data_can_be_used_without_pytorch() -> None:
    packages = ("volume", "io", "acquisition", "phantom")
    files = [file.with_suffix("") for file in FILES if file.with_suffix("").parts[0] in packages]
    names = "\n".join(f"import SRDynamicMRILib.{'.'.join(file.parts)}" for file in files)
    code = f"import sys\n{names}\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_loads() -> None:
    shown = {name.rpartition(".")[2] for name in imported(FRONT_DOOR) if name.count(".") > 1}
    for name in SRDynamicMRILib.__all__:
        assert getattr(SRDynamicMRILib, name)
        assert name == "__version__" or name in shown, "type checkers see it too"


def test_nothing_but_what_is_run_uses_the_command_line() -> None:
    outside = [file.as_posix() for file in FILES if imports(file, "SRDynamicMRILib.cli") and file.parts[0] != "cli"]
    assert outside == ["__main__.py"]


@pytest.mark.parametrize("file", [f for f in FILES if f.parts[:2] == ("evaluation", "report")], ids=str)
def test_reports_need_no_pytorch(file: Path) -> None:
    assert not imports(file, "torch")


@pytest.mark.parametrize("module", DECIDES)
def test_what_decides_knows_neither_qt_nor_mrml(module: str) -> None:
    outside = ("slicer", "qt", "ctk", "vtk", "vtkmodules", "torch", "numpy", "SimpleITK", "scipy")
    assert not [name for name in outside if imports(Path(f"{module.replace('.', '/')}.py"), name, MODULE)]


@pytest.mark.parametrize("file", WITHOUT_A_WINDOW, ids=str)
def test_scene_work_knows_nothing_of_qt(file: Path) -> None:
    outside = ("qt", "ctk", "slicer.app", "slicer.util", "slicer.ScriptedLoadableModule")
    assert not [name for name in outside if imports(file, name, MODULE)]
    text = (MODULE / file).read_text(encoding="utf-8")
    assert not [name for name in ("slicer.app.", "slicer.mrmlScene") if name in text], "it is given a scene"


def test_what_decides_loads_nothing_that_takes_long() -> None:
    names = "\n".join(f"import SRDynamicMRISlicer.{module}" for module in DECIDES)
    slow = "{'slicer', 'qt', 'ctk', 'vtk', 'torch', 'numpy', 'SimpleITK', 'scipy'}"
    code = f"import sys\n{names}\nsys.exit(sorted({slow} & set(sys.modules)) or 0)"
    path = os.pathsep.join([str(MODULE.parent), str(ROOT)])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})


def test_every_translated_text_is_a_literal() -> None:
    """Slicer's tools find the texts to translate by reading the files."""
    texts = 0
    for file in (MODULE.parent / "SRDynamicMRI.py", *MODULE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                texts += 1
                assert isinstance(node.args[0], ast.Constant), f"{file.name}, line {node.lineno}"
    assert texts > 150


COLLECTED = sorted([*TESTS.rglob("test_*.py"), TESTS / "conftest.py", *(TESTS / "helpers").glob("*.py")])
NOT_ON_WINDOWS = {
    *("resource", "fcntl", "pwd", "grp", "termios", "pty"),
    *("os.fork", "os.geteuid", "os.getuid", "os.killpg", "os.mkfifo", "os.posix_spawn", "os.sched_getaffinity"),
    *("signal.SIGKILL", "signal.SIGSTOP", "signal.SIGCONT", "signal.SIGHUP", "signal.SIGALRM", "signal.SIGUSR1"),
}


def run_when_imported(node: ast.AST) -> Iterator[ast.AST]:
    """Everything in a syntax tree but what stands within functions, whose decorators and defaults count."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.Lambda)):
            parts = [*getattr(child, "decorator_list", []), *child.args.defaults]
            yield from (inner for part in parts for inner in ast.walk(part))
        else:
            yield child
            yield from run_when_imported(child)


@pytest.mark.parametrize("file", COLLECTED, ids=lambda file: file.relative_to(TESTS).as_posix())
def test_windows_can_collect_the_tests(file: Path) -> None:
    """A test that needs more than Windows has is skipped there; it does not keep a whole file from being collected."""
    used = set()
    for node in run_when_imported(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            used |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            used |= {str(node.module), *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Attribute):
            used.add(ast.unparse(node))
    assert not used & NOT_ON_WINDOWS


def test_the_tests_follow_the_tree() -> None:
    """Their folders are those of the library and of the Slicer module, but for tests of the project itself."""
    folders = {file.parent.relative_to(TESTS).as_posix() for file in TESTS.rglob("test_*.py")}
    library = {file.parent.as_posix() for file in FILES}
    module = {(Path("slicer_module") / file.parent).as_posix() for file in files_of(MODULE)}
    assert folders - library - module == {"project"}


def imported_test_files(code: str) -> set[str]:
    """Test files, and conftest.py, that a Python file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    stems = {file.stem for file in TESTS.rglob("test_*.py")} | {"conftest"}
    return {part for name in names for part in name.split(".")} & stems


@pytest.mark.parametrize(
    "code",
    [
        "from test_layout import FILES",
        "import conftest",
        "from ..io.test_files import nifti2",
        "from . import test_files",
        "def test_of_something():\n    from Testing.io import test_files as files",
    ],
)
def test_an_import_of_a_test_file_is_found(code: str) -> None:
    assert len(imported_test_files(code)) == 1


@pytest.mark.parametrize("file", COLLECTED, ids=lambda file: file.relative_to(TESTS).as_posix())
def test_no_test_file_imports_another(file: Path) -> None:
    """What several of them need lies in `helpers`."""
    assert not imported_test_files(file.read_text(encoding="utf-8"))


def test_no_file_names_a_place_outside_the_project() -> None:
    outside = ("/wo" + "rk/", "../sha" + "red", "/ro" + "ot/", "/ho" + "me/")
    searched, found = 0, []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = [part for part in parts if part.startswith(".") and part not in (".github", ".gitignore")]
        if hidden or NOT_OURS.intersection(parts) or not path.is_file() or path.suffix in BINARY:
            continue
        searched += 1
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{'/'.join(parts)} names {place}" for place in outside if place in text]
    assert searched > len(FILES)
    assert not found
