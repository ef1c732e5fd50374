"""Lists the licence of every pinned package, as Markdown: make licences.

Taken from what the packages say of themselves; needs all of them installed (the extra ``development``).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"

HEAD = """# Licences of dependencies

Made by `make licences` from what the packages of `constraints.txt` say of themselves. SRDynamicMRI itself is under the
Apache License 2.0. In 3D Slicer only the first group is used, with what PyTorch needs, vtk, which Slicer has, and
matplotlib for reports.
"""


def pinned() -> Iterator[tuple[str, list[str]]]:
    """What the pinned packages are for, and their names; each once, though Python versions pin it differently."""
    group, names = "Needed by the library", []
    seen = set()
    for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines():
        if re.fullmatch(r"# (\w+|needed by these)", line):
            yield group, names
            group, names = f"For the extra `{line[2:]}`" if " " not in line[2:] else "Needed by these packages", []
        name = line.partition("==")[0]
        if "==" in line and name.lower() not in seen:
            seen.add(name.lower())
            names.append(name)
    yield group, names


def licence(package: PackageMetadata) -> str:
    """What a package says of its licence: an SPDX expression, else a classifier, else the first line of a text."""
    classifiers = [text for text in package.get_all("Classifier") or [] if text.startswith("License :: ")]
    named = "; ".join(dict.fromkeys(text.rpartition(" :: ")[2] for text in classifiers))
    said = str(package.get("License-Expression") or named or package.get("License") or "").strip()
    return said.splitlines()[0] if said else "unknown"


def main() -> None:
    """Write the list to standard output."""
    lines = [HEAD]
    for group, names in pinned():
        lines += [f"## {group}", "", "| package | version | licence |", "|---|---|---|"]
        for name in names:
            package = metadata(name)
            lines.append(f"| {package['Name']} | {package['Version'].partition('+')[0]} | {licence(package)} |")
        lines.append("")
    sys.stdout.write("\n".join(lines))


if __name__ == "__main__":
    main()
