"""What is published, checked as others get it: ``make release-check``.

Packages are built and the wheel is installed into an environment of its own, where the demo runs from it, away from the
source tree. The extension's metadata is held against what Slicer's catalogue asks of it. Stops at the first thing
that is wrong, and says it.
"""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from SRDynamicMRILib import __version__

ROOT = Path(__file__).resolve().parent.parent
NAME = "SRDynamicMRI"
LARGEST_WHEEL, LARGEST_REPOSITORY, LARGEST_FILE = 60e6, 100e6, 10e6  # bytes
LICENCE = "LICENSE.txt"
"""As Slicer's Extensions Index wants it named."""
CATALOGUE_FIELDS = {
    "$schema": str, "category": str, "scm_url": str, "scm_revision": str, "scm_type": str, "build_dependencies": list,
    "dicom_support_rule": str, "build_subdirectory": str, "enabled": bool, "tier": int,
}  # fmt: skip
"""Those of Slicer's schema 1.0.2 for a catalogue entry; the first three are required, and no others are allowed."""

CATALOGUE_DECISIONS = (
    'The category "Image Synthesis" is new to the list that the catalogue accepted when this was written.',
)
"""What the catalogue's maintainers have to agree to when the extension is submitted."""


def check(right: object, sentence: str) -> None:
    """Say what is right, or stop."""
    if not right:
        raise SystemExit(f"NOT RIGHT: {sentence}")
    sys.stdout.write(f"ok  {sentence}\n")
    sys.stdout.flush()


def run(*command: object, folder: Path) -> str:
    """What a program prints; it has to succeed, and sees nothing of this source tree."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    check(done.returncode == 0, " ".join(str(word) for word in command) + ("" if not done.returncode else done.stderr))
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """Wheel and source distribution, made of this tree."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, folder=folder)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def check_packages(wheel: Path, source: Path) -> None:
    """Both hold what they should, and no more."""
    models = sorted(path.name for path in (ROOT / "Resources" / "Models").glob("*.safetensors"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    found = sorted(Path(name).name for name in names if name.endswith(".safetensors"))
    check(found == models, f"the wheel holds {len(models)} models")
    check(
        {name.split("/")[0].split("-")[0].lower() for name in names} <= {"srdynamicmrilib", "srdynamicmri"}, "only it"
    )
    check(f"\nVersion: {__version__}\n" in metadata, f"its version is {__version__}")
    check("License-Expression: Apache-2.0" in metadata, "its licence is Apache-2.0")
    check(any(name.endswith(f"licenses/{LICENCE}") for name in names), "the licence comes with it")
    check("SRDynamicMRILib/py.typed" in names, "type checkers take its hints")
    size = wheel.stat().st_size
    check(size < LARGEST_WHEEL, f"the wheel has {size / 1e6:.1f} MB")
    with tarfile.open(source) as archive:
        parts = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {LICENCE, "README.md", "CITATION.cff", "CMakeLists.txt", "Testing/conftest.py", "docs/index.md"}
    check(wanted <= parts, "the source distribution has library, module, tests and documents")
    check(not [part for part in parts if part.startswith((".ci", ".venv", "site/"))], "and nothing else")


def check_installed(wheel: Path, folder: Path) -> None:
    """The wheel runs on its own."""
    venv.create(folder / "environment", with_pip=True)
    programs = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")
    pip = (programs / "python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "install", "--constraint", ROOT / "constraints.txt", f"{wheel}[report]", folder=folder)
    place = run(programs / "python", "-c", "import SRDynamicMRILib; print(SRDynamicMRILib.__file__)", folder=folder)
    check(Path(place.strip()).is_relative_to(folder), "the library is the installed one")
    check(
        run(programs / "sr-dynamic-mri", "--version", folder=folder) == f"{NAME} {__version__}\n", "it says its version"
    )
    printed = run(programs / "sr-dynamic-mri", "demo", "demo", "--progress", "json", folder=folder)
    outputs = json.loads(printed.splitlines()[-1])["outputs"]
    check(all((folder / path).exists() for path in outputs.values()), f"the demo made {len(outputs)} outputs")
    report = (folder / outputs["report"]).read_text(encoding="utf-8")
    check("fine-tuned" in report and "<img" in report, "its report has figures")


def check_catalogue_entry() -> None:
    """SRDynamicMRI.json is what Slicer's catalogue reads."""
    entry = json.loads((ROOT / f"{NAME}.json").read_text(encoding="utf-8"))
    check(
        set(list(CATALOGUE_FIELDS)[:3]) <= set(entry) <= set(CATALOGUE_FIELDS), "the catalogue entry has known fields"
    )
    wrong = [field for field, value in entry.items() if type(value) is not CATALOGUE_FIELDS[field]]
    check(not wrong, "each of its type")
    check(1 <= entry["tier"] <= 5, f"its tier is {entry['tier']}")
    address = urlsplit(entry["scm_url"])
    check(address.scheme in ("git", "https") and address.path.endswith(".git"), "its source is at an address for git")


def check_extension() -> None:
    """CMakeLists.txt says what the catalogue shows."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    facts = dict(re.findall(r'^set\(EXTENSION_(\w+) "([^"\n]+)"\)$', text, re.MULTILINE))
    check(re.search(rf"^project\({NAME}\)$", text, re.MULTILINE), f"the project is {NAME}, as the entry's file")
    named = {"HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"}
    check(set(facts) == named, "every fact of the extension stands on one line")
    for field in ("HOMEPAGE", "ICONURL", "SCREENSHOTURLS"):
        for address in facts[field].split(" "):
            check(re.fullmatch(r"https://\S+", address), f"{field}: {address}")
    for address in (facts["ICONURL"], *facts["SCREENSHOTURLS"].split(" ")):
        place = ROOT / address.partition("/main/")[2]
        check(place.is_file() and place.read_bytes().startswith(b"\x89PNG"), f"{place.name} is a PNG of this tree")
    size = struct.unpack(">II", (ROOT / facts["ICONURL"].partition("/main/")[2]).read_bytes()[16:24])
    check(size == (128, 128), "the icon has 128 x 128 pixels")
    check("Not for diagnosis" in facts["DESCRIPTION"], "the description says that it is not for diagnosis")


def check_tree() -> None:
    """What a clone brings: a licence, no large files, one kind of line ending."""
    check((ROOT / LICENCE).is_file(), "a licence lies at the top")
    listed = run("git", "ls-files", "--eol", folder=ROOT).splitlines()
    check(not [line for line in listed if re.search(r"\b[iw]/(crlf|mixed)", line)], "no line ends as on Windows")
    files = [ROOT / line.partition("\t")[2] for line in listed]
    largest = max(files, key=lambda path: path.stat().st_size)
    total = sum(path.stat().st_size for path in files)
    check(largest.stat().st_size < LARGEST_FILE, f"the largest file is {largest.name}")
    check(total < LARGEST_REPOSITORY, f"{len(files)} files have {total / 1e6:.1f} MB")


def main() -> None:
    """Check everything."""
    check_tree()
    check_extension()
    check_catalogue_entry()
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        folder = Path(name).resolve()
        wheel, source = build(folder)
        check_packages(wheel, source)
        check_installed(wheel, folder)
    sys.stdout.write("\n".join(("To be settled with the catalogue's maintainers:", *CATALOGUE_DECISIONS, "")))


if __name__ == "__main__":
    main()
