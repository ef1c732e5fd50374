"""PyTorch and what else the worker needs, installed on first use and with the user's consent.

Nothing is imported to find out: that would lock PyTorch's files on Windows, so that it could not be repaired.
"""

from __future__ import annotations

import contextlib
import enum
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import distributions
from pathlib import Path
from typing import Protocol

from ..translation import _

TORCH = "torch"

SLICERS_OWN = ("numpy", "scipy", "SimpleITK", "vtk", "pillow", "requests")
"""Packages that Slicer brings along or relies on; they keep the version they have."""


class Installer(Protocol):
    """What Slicer and its user do. Every method blocks; what installs raises if it fails."""

    def has_pytorch_utils(self) -> bool:
        """Whether the PyTorch extension is installed; it finds the build of PyTorch that fits the graphics card."""

    def install_torch(self, version: str) -> None:
        """Install PyTorch through the PyTorch extension, without asking; `version` is such as ``>=2.4``."""

    def has_pip_ensure(self) -> bool:
        """Whether there is ``slicer.packaging.pip_ensure`` (Slicer 5.11)."""

    def pip_ensure(self, requirements: Sequence[str], constraints: Path) -> None:
        """Install through ``slicer.packaging.pip_ensure``, without asking."""

    def pip_install(self, arguments: Sequence[str]) -> None:
        """Install through ``slicer.util.pip_install``."""

    def pip_uninstall(self, package: str) -> None:
        """Remove a package."""

    def ask(self, question: str) -> bool:
        """Whether the user agrees."""

    def show(self, message: str) -> None:
        """Tell the user, without waiting for an answer."""


class Condition(enum.Enum):
    """How a package is found."""

    PRESENT = enum.auto()
    MISSING = enum.auto()
    TOO_OLD = enum.auto()
    BROKEN = enum.auto()
    """Half installed: an installation or removal was interrupted, or a full disk or a long path cut it short."""


@dataclass(frozen=True)
class Requirement:
    """A package and the oldest version that will do.

    Parameters
    ----------
    name
        Of the package, which is also that of its module.
    oldest
        Version.
    """

    name: str
    oldest: str

    def __str__(self) -> str:
        return f"{self.name}>={self.oldest}"

    def condition(self, places: Sequence[str] | None = None) -> Condition:
        """How the package is found in some folders; in those of this interpreter if none are given."""
        importlib.invalidate_caches()
        places = list(sys.path if places is None else places)
        version = installed_version(self.name, places)
        module = PathFinder.find_spec(self.name, places)
        folders = list(module.submodule_search_locations or ()) if module is not None else []
        if version is None:
            return Condition.BROKEN if folders else Condition.MISSING
        # A folder without __init__.py is found as well, but has no loader of its own and nothing to load.
        if module is None or module.origin is None:
            return Condition.BROKEN
        if self.name == TORCH and not _has_compiled_part(Path(folders[0])):
            return Condition.BROKEN
        return Condition.PRESENT if _release(version) >= _release(self.oldest) else Condition.TOO_OLD


def installed_version(name: str, places: Sequence[str]) -> str | None:
    """Version of a package that is installed in some folders, None if its description is missing or unreadable."""
    for found in distributions(name=name, path=list(places)):
        with contextlib.suppress(KeyError):  # an interrupted removal leaves a folder without the description
            version = found.metadata["Version"]  # reading the description takes a while
            if version:
                return str(version)
    return None


def _has_compiled_part(folder: Path) -> bool:
    """Whether PyTorch's own compiled module and its version are there: what is written last is missing first."""
    return (folder / "version.py").is_file() and any(f.suffix in (".so", ".pyd") for f in folder.glob("_C.*"))


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version, without what follows them, such as ``+cpu``."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3])


def read_requirements(file: Path) -> list[Requirement]:
    """The requirements in a file, each as ``name>=version``.

    Raises
    ------
    ValueError
        If a line is something else.
    """
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text:
            match = re.fullmatch(r"([\w-]+)>=([\d.]+)", text)
            if match is None:
                message = f"{file} has a line that is not name>=version: {text}"
                raise ValueError(message)
            found.append(Requirement(match[1], match[2]))
    return found


def ensure(requirements: Sequence[Requirement], installer: Installer, places: Sequence[str] | None = None) -> str:
    """Make sure that packages are installed; asks once, and not at all where nothing is missing.

    Parameters
    ----------
    requirements
        What is needed.
    installer
        Slicer and its user.
    places
        Folders of packages; those of this interpreter if not given.

    Returns
    -------
        Why they are not installed, in a sentence or two that say what to do; empty if they are.
    """
    needed = _needed(requirements, places)
    if not needed:
        return ""
    if not installer.ask(_question(needed)):
        names = ", ".join(needed)
        return _("Nothing was installed, and without {names} nothing can be computed.").format(names=names)
    before = _own_versions(places)
    try:
        with _constraints(before) as constraints:
            _install(needed, {r.name: r for r in requirements}, installer, constraints)
    except Exception as error:  # whatever the ways of installing raise, the user must hear of it
        return _failed(error)
    changed = [f"{name} {old}" for name, old in before.items() if _own_versions(places).get(name) != old]
    if changed:
        text = _("The installation has replaced {packages}, which Slicer needs as it was; install Slicer again.")
        installer.show(text.format(packages=", ".join(changed)))
    left = _needed(requirements, places)
    if not left:
        return ""
    if Condition.BROKEN in left.values():
        return _(
            "PyTorch is still not complete, perhaps because its files are in use: "
            "restart Slicer and press the button before anything else."
        )
    return _("{names} could not be installed; look at Slicer's Python console for the reason.").format(
        names=", ".join(left)
    )


def are_installed(requirements: Sequence[Requirement]) -> bool:
    """Whether nothing would have to be installed."""
    return not _needed(requirements, None)


def _needed(requirements: Sequence[Requirement], places: Sequence[str] | None) -> dict[str, Condition]:
    """Packages that are not as they should be."""
    conditions = {requirement.name: requirement.condition(places) for requirement in requirements}
    return {name: condition for name, condition in conditions.items() if condition is not Condition.PRESENT}


def _question(needed: dict[str, Condition]) -> str:
    names = ", ".join(needed)
    if Condition.BROKEN in needed.values():
        return _(
            "{names} is only half installed, as after an interrupted installation or on a full disk. "
            "Remove it and install it again? This takes some minutes, up to 3 GB of disk and an internet connection."
        ).format(names=names)
    if TORCH in needed:
        return _(
            "Computation needs PyTorch ({names}), which is not part of Slicer. Install it into Slicer's Python now? "
            "This takes some minutes, up to 3 GB of disk and an internet connection, once."
        ).format(names=names)
    return _("Computation needs {names}. Install it into Slicer's Python now?").format(names=names)


def _install(
    needed: dict[str, Condition], requirements: dict[str, Requirement], installer: Installer, constraints: Path
) -> None:
    for name, condition in needed.items():
        if condition is Condition.BROKEN:
            with contextlib.suppress(Exception):  # what is not known to pip is written over
                installer.pip_uninstall(name)
    left = [requirements[name] for name in needed]
    if TORCH in needed and installer.has_pytorch_utils():
        with _pip_constraint(constraints):
            installer.install_torch(f">={requirements[TORCH].oldest}")
        left = [requirement for requirement in left if requirement.name != TORCH]
    if not left:
        return
    texts = [str(requirement) for requirement in left]
    if installer.has_pip_ensure():
        installer.pip_ensure(texts, constraints)
    else:
        installer.pip_install([*texts, "--constraint", str(constraints)])


def _own_versions(places: Sequence[str] | None) -> dict[str, str]:
    """Versions of the packages that Slicer brings along."""
    importlib.invalidate_caches()
    found = {name: installed_version(name, sys.path if places is None else places) for name in SLICERS_OWN}
    return {name: version for name, version in found.items() if version is not None}


@contextlib.contextmanager
def _constraints(versions: dict[str, str]) -> Iterator[Path]:
    """A file that tells pip which packages to leave at which version."""
    with tempfile.TemporaryDirectory(prefix="SRDynamicMRI-") as folder:
        file = Path(folder) / "constraints.txt"
        file.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8")
        yield file


@contextlib.contextmanager
def _pip_constraint(file: Path) -> Iterator[None]:
    """Let every pip that is started meanwhile keep to the constraints: the PyTorch extension takes no such argument."""
    before = os.environ.get("PIP_CONSTRAINT")
    os.environ["PIP_CONSTRAINT"] = file.as_uri()  # pip would split a path at its spaces
    try:
        yield
    finally:
        if before is None:
            del os.environ["PIP_CONSTRAINT"]
        else:
            os.environ["PIP_CONSTRAINT"] = before


def _failed(error: Exception) -> str:
    """Why installing has failed, as far as the error tells, and what to do."""
    said = str(error).strip().splitlines()
    reason = said[-1] if said else type(error).__name__
    return _(
        "PyTorch could not be installed ({reason}). Check the internet connection and the free disk; on Windows, allow "
        "long paths; without internet, install PyTorch with pip from files. Slicer's Python console has the details."
    ).format(reason=reason)
