"""PyTorch on first use: found without importing it, installed with one consent, never over what Slicer has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from helpers.project import ROOT
from SRDynamicMRISlicer.jobs.dependencies import Condition, Requirement, ensure, installed_version, read_requirements

REQUIREMENTS = ROOT / "SRDynamicMRI" / "Resources" / "requirements.txt"
TORCH, SAFETENSORS = Requirement("torch", "2.4"), Requirement("safetensors", "0.4")
BOTH = (TORCH, SAFETENSORS)
OWN = {"numpy": "1.26.4", "scipy": "1.13.1", "SimpleITK": "2.4.0"}


class Site:
    """A folder of packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, version in OWN.items():
            self.add(name, version)

    @property
    def places(self) -> list[str]:
        return [str(self.folder)]

    def add(self, name: str, version: str) -> None:
        self.describe(name, version)
        package = self.folder / name
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(f'raise ImportError("{name} was imported")')
        if name == "torch":
            (package / "version.py").touch()
            (package / "_C.cpython-312-x86_64-linux-gnu.so").touch()

    def describe(self, name: str, version: str) -> None:
        for old in self.folder.glob(f"{name}-*.dist-info"):
            self._remove(old)
        description = self.folder / f"{name}-{version}.dist-info"
        description.mkdir()
        (description / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def undescribe(self, name: str) -> None:
        for old in self.folder.glob(f"{name}-*.dist-info"):
            self._remove(old)

    def remove(self, name: str) -> None:
        self.undescribe(name)
        self._remove(self.folder / name)

    def _remove(self, folder: Path) -> None:
        if folder.is_dir():
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()


class FakeInstaller:
    """A Slicer with or without what newer ones have, and a user who agrees or not."""

    def __init__(self, site: Site, *, utils: bool = False, ensures: bool = False, agrees: bool = True) -> None:
        self.site, self.utils, self.ensures, self.agrees = site, utils, ensures, agrees
        self.questions: list[str] = []
        self.shown: list[str] = []
        self.calls: list[tuple[str, ...]] = []
        self.constraints: list[str] = []
        self.error: Exception | None = None
        self.installs = True
        self.also: Callable[[], None] = lambda: None

    def has_pytorch_utils(self) -> bool:
        return self.utils

    def has_pip_ensure(self) -> bool:
        return self.ensures

    def install_torch(self, version: str) -> None:
        self.constraints.append(Path(os.environ["PIP_CONSTRAINT"].removeprefix("file://")).read_text())
        self._call("utils", f"torch{version}")

    def pip_ensure(self, requirements: Sequence[str], constraints: Path) -> None:
        self.constraints.append(constraints.read_text())
        self._call("ensure", *requirements)

    def pip_install(self, arguments: Sequence[str]) -> None:
        *requirements, option, file = arguments
        assert option == "--constraint"
        self.constraints.append(Path(file).read_text())
        self._call("install", *requirements)

    def pip_uninstall(self, package: str) -> None:
        self.calls.append(("uninstall", package))
        if installed_version(package, self.site.places) is None:
            raise RuntimeError("not installed")
        self.site.remove(package)

    def ask(self, question: str) -> bool:
        self.questions.append(question)
        return self.agrees

    def show(self, message: str) -> None:
        self.shown.append(message)

    def _call(self, way: str, *requirements: str) -> None:
        self.calls.append((way, *requirements))
        if self.error is not None:
            raise self.error
        if self.installs:
            for requirement in requirements:
                name, version = requirement.split(">=")
                self.site.add(name, version)
        self.also()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site packages ä"
    folder.mkdir()
    return Site(folder)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)


# What is needed


def test_requirements_are_those_that_slicer_has_not() -> None:
    found = read_requirements(REQUIREMENTS)
    assert [r.name for r in found] == ["torch", "safetensors", "matplotlib"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'"{requirement}"' in project for requirement in found)


def test_a_requirement_that_is_not_understood(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("torch>=2.4 # good\n\nnumpy\n")
    with pytest.raises(ValueError, match="has a line that is not name>=version: numpy"):
        read_requirements(tmp_path / "r.txt")


# What is there


def test_nothing_is_imported_to_find_out() -> None:
    code = (
        "import sys\nfrom SRDynamicMRISlicer.jobs.dependencies import Requirement\n"
        "print(Requirement('torch', '2.4').condition().name, 'torch' in sys.modules)"
    )
    path = os.pathsep.join([str(ROOT / "SRDynamicMRI"), str(ROOT)])
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert run.stdout == "PRESENT False\n"


def test_present_here() -> None:
    assert [r.condition() for r in read_requirements(REQUIREMENTS)] == [Condition.PRESENT] * 3


@pytest.mark.parametrize(
    ("version", "condition"),
    [
        ("2.4", Condition.PRESENT),
        ("2.4.0+cu121", Condition.PRESENT),
        ("2.13.0+cpu", Condition.PRESENT),
        ("10.0", Condition.PRESENT),
        ("2.4.0a0+git123", Condition.PRESENT),
        ("2.3.9", Condition.TOO_OLD),
        ("1.13", Condition.TOO_OLD),
    ],
)
def test_versions(site: Site, version: str, condition: Condition) -> None:
    site.add("torch", version)
    assert TORCH.condition(site.places) is condition


def test_missing(site: Site) -> None:
    assert TORCH.condition(site.places) is Condition.MISSING
    assert TORCH.condition([str(site.folder / "nowhere")]) is Condition.MISSING


def without_folder(site: Site) -> None:
    site._remove(site.folder / "torch")


def without_init(site: Site) -> None:
    (site.folder / "torch" / "__init__.py").unlink()


def without_compiled_part(site: Site) -> None:
    (site.folder / "torch" / "_C.cpython-312-x86_64-linux-gnu.so").unlink()


def without_version(site: Site) -> None:
    (site.folder / "torch" / "version.py").unlink()


def without_description(site: Site) -> None:
    site.undescribe("torch")


def with_empty_description(site: Site) -> None:
    next(site.folder.glob("torch-*.dist-info/METADATA")).unlink()


HALVES = [
    without_folder,
    without_init,
    without_compiled_part,
    without_version,
    without_description,
    with_empty_description,
]


@pytest.mark.parametrize("half", HALVES)
def test_half_installed(site: Site, half: Callable[[Site], None]) -> None:
    site.add("torch", "2.9")
    half(site)
    assert TORCH.condition(site.places) is Condition.BROKEN


def test_on_windows_the_compiled_part_is_called_otherwise(site: Site) -> None:
    site.add("torch", "2.9")
    without_compiled_part(site)
    (site.folder / "torch" / "_C.cp312-win_amd64.pyd").touch()
    assert TORCH.condition(site.places) is Condition.PRESENT


# Installing


def test_nobody_is_asked_where_nothing_is_missing(site: Site) -> None:
    site.add("torch", "2.9")
    site.add("safetensors", "0.5")
    installer = FakeInstaller(site)
    assert ensure(BOTH, installer, site.places) == ""
    assert not installer.questions + installer.calls + installer.shown


WAYS: dict[str, tuple[dict[str, bool], list[tuple[str, ...]]]] = {
    "PyTorch extension and new Slicer": (
        {"utils": True, "ensures": True},
        [("utils", "torch>=2.4"), ("ensure", "safetensors>=0.4")],
    ),
    "PyTorch extension": ({"utils": True}, [("utils", "torch>=2.4"), ("install", "safetensors>=0.4")]),
    "new Slicer": ({"ensures": True}, [("ensure", "torch>=2.4", "safetensors>=0.4")]),
    "Slicer": ({}, [("install", "torch>=2.4", "safetensors>=0.4")]),
}


@pytest.mark.parametrize("name", WAYS)
def test_ways(site: Site, name: str) -> None:
    options, calls = WAYS[name]
    installer = FakeInstaller(site, **options)
    assert ensure(BOTH, installer, site.places) == ""
    assert installer.calls == calls
    assert len(installer.questions) == 1
    assert "PyTorch" in installer.questions[0]
    assert "torch, safetensors" in installer.questions[0]
    assert not installer.shown
    own = "".join(f"{name}=={version}\n" for name, version in OWN.items())
    assert installer.constraints == [own] * len(calls), "Slicer's own packages stay as they are"
    assert "PIP_CONSTRAINT" not in os.environ
    assert ensure(BOTH, installer, site.places) == ""
    assert len(installer.questions) == 1


def test_the_users_own_constraints_come_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONSTRAINT", "mine.txt")
    installer = FakeInstaller(site, utils=True)
    installer.error = RuntimeError("no")
    assert ensure(BOTH, installer, site.places)
    assert os.environ["PIP_CONSTRAINT"] == "mine.txt"


def test_only_what_is_missing_is_installed(site: Site) -> None:
    site.add("torch", "2.9")
    installer = FakeInstaller(site, utils=True, ensures=True)
    assert ensure(BOTH, installer, site.places) == ""
    assert installer.calls == [("ensure", "safetensors>=0.4")]
    assert "PyTorch" not in installer.questions[0]


def test_too_old_is_installed_anew(site: Site) -> None:
    site.add("torch", "1.13")
    site.add("safetensors", "0.5")
    installer = FakeInstaller(site)
    assert ensure(BOTH, installer, site.places) == ""
    assert installer.calls == [("install", "torch>=2.4")]


def test_the_user_does_not_agree(site: Site) -> None:
    installer = FakeInstaller(site, agrees=False)
    why_not = ensure(BOTH, installer, site.places)
    assert why_not == "Nothing was installed, and without torch, safetensors nothing can be computed."
    assert not installer.calls
    assert ensure(BOTH, installer, site.places) == why_not
    assert len(installer.questions) == 2, "asked again when it is needed again"


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("utils", [True, False])
def test_repair(site: Site, half: Callable[[Site], None], utils: bool) -> None:
    site.add("torch", "2.9")
    site.add("safetensors", "0.5")
    half(site)
    installer = FakeInstaller(site, utils=utils)
    assert ensure(BOTH, installer, site.places) == ""
    assert "torch is only half installed" in installer.questions[0]
    assert installer.calls == [("uninstall", "torch"), ("utils" if utils else "install", "torch>=2.4")]


def test_what_cannot_be_repaired_now(site: Site) -> None:
    site.add("torch", "2.9")
    site.add("safetensors", "0.5")
    without_compiled_part(site)
    installer = FakeInstaller(site)
    installer.installs = False
    site.remove = lambda name: None  # type: ignore[method-assign]
    assert "restart Slicer" in ensure(BOTH, installer, site.places)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (subprocess.CalledProcessError(1, "pip"), "returned non-zero exit status 1."),
        (RuntimeError("several lines\nno connection\n"), "(no connection)"),
        (OSError(), "(OSError)"),
    ],
)
def test_installing_fails(site: Site, error: Exception, reason: str) -> None:
    installer = FakeInstaller(site, ensures=True)
    installer.error = error
    why_not = ensure(BOTH, installer, site.places)
    assert reason in why_not
    assert "Check the internet connection" in why_not
    assert "\n" not in why_not


def test_nothing_was_installed_though_nothing_failed(site: Site) -> None:
    installer = FakeInstaller(site, ensures=True)
    installer.installs = False  # as in Slicer's testing mode
    assert ensure(BOTH, installer, site.places).startswith("torch, safetensors could not be installed")


def test_a_package_of_slicer_that_was_replaced_is_told(site: Site) -> None:
    installer = FakeInstaller(site)
    installer.also = lambda: site.add("numpy", "2.4.0")
    assert ensure(BOTH, installer, site.places) == ""
    assert len(installer.shown) == 1
    assert "numpy 1.26.4" in installer.shown[0]


def test_pip_understands_the_constraints(tmp_path: Path) -> None:
    """From a folder whose name has a space, as on Windows: pip splits paths in its variables there."""
    folder = tmp_path / "John Smith"
    folder.mkdir()
    (folder / "constraints.txt").write_text("numpy==0.1\n")
    environment = {**os.environ, "PIP_CONSTRAINT": (folder / "constraints.txt").as_uri()}
    run = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps", "numpy"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert run.returncode != 0
    assert "numpy==0.1" in run.stdout + run.stderr
