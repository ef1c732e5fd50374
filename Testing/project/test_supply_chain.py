"""What the software is built on: every package has a pinned version and a known licence."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires

import pytest
from helpers.project import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = {"kspace", "report", "training", "test", "development"}


def constraints() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def needed(package: str, extras: set[str], found: set[str]) -> Iterator[str]:
    """Every package that one needs here, and that those need."""
    for requirement in map(Requirement, requires(package) or []):
        name = canonicalize_name(requirement.name)
        wanted = requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in (extras | {""}))
        if wanted and name not in found:
            found.add(name)
            yield name
            try:
                yield from needed(name, requirement.extras, found)
            except PackageNotFoundError:  # of an extra that is not installed
                continue


@pytest.mark.skipif(sys.version_info < (3, 11), reason="pins are for Python 3.11 and newer; 3.10 takes what it gets")
def test_every_version_is_pinned() -> None:
    pinned = constraints()
    assert all(re.fullmatch(r"==[\w.]+", str(requirement.specifier)) for requirement in pinned)
    names = {canonicalize_name(r.name) for r in pinned}
    found = set(needed("SRDynamicMRI", EXTRAS, {"srdynamicmri"}))
    assert {"torch", "sympy", "vtk"} <= found
    assert found - names - {name for name in found if name.startswith("nvidia-")} == set()


def test_every_pinned_package_has_a_licence_that_lets_it_be_used() -> None:
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    listed = {canonicalize_name(name): licence for name, _, licence in rows if name != "package"}
    assert {canonicalize_name(r.name) for r in constraints()} == set(listed), "after other pins: make licences"
    assert [name for name, licence in listed.items() if licence in ("", "unknown")] == []
    assert [name for name, licence in listed.items() if "GPL" in licence] == []
