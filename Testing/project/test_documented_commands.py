"""Every command that the documents show works: each fenced block is run, or is listed here with a reason.

A block of shell is given to bash with stand-ins for all programs, which write down how they were called. The project's
own commands are then run in this process, on tiny scans in place of the reader's and with `REDUCED` options in place
of what would take long.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from argparse import SUPPRESS
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import Command
from helpers.kspace_files import small_scan
from helpers.patient import SHAPE, SPACING, TIME_POINTS, Patient
from helpers.project import ROOT

from SRDynamicMRILib import demo
from SRDynamicMRILib.cli import phantom as phantom_command
from SRDynamicMRILib.cli.program import build_parser
from SRDynamicMRILib.io.times import RECORD
from SRDynamicMRILib.models import budgets
from SRDynamicMRILib.networks import registry
from SRDynamicMRILib.phantom import abdomen

DOCUMENTS = sorted(path for pattern in ("README.md", "CONTRIBUTING.md", "docs/*.md") for path in ROOT.glob(pattern))

REDUCED = {
    "finetune": ("--budget", "quick"),
    "train": ("--steps", "2", "--features", "4", "--fractions", "0.25", "--validate-every", "2"),
    "benchmark": (
        *("--scenarios", "signed", "--fractions", "0.25", "--frames", "0:2"),
        *("--budget", "quick", "--no-figures"),
    ),
}
"""Options that are added to a command, of which the last counts; `quick` means a few steps here."""

NOT_RUN = {
    "CHAOS_Train_Sets/": "a folder's layout",
    "my_scans/": "a folder's layout",
    "sr-dynamic-mri finetune planning.nii.gz --like low_complex.nii.gz --output patient.safetensors": (
        "complex images of a patient; test_complex_input.py runs the like"
    ),
}
"""Blocks by their first line, with the reason."""

ONLY_CALLED = {
    "pip": "installs; the environment that runs the tests was made so",
    "git": "changes the checkout that the tests run in",
    "pre_commit": "changes the checkout, too; its hooks are what `make lint` runs",
}
"""Programs and modules of which bash only sees that they are called."""

STAND_IN = """#!/bin/bash
printf '%s\\x1f' "${0##*/}" "$@" >> "$RECORD"
printf '\\x1e' >> "$RECORD"
"""
PROGRAMS = ("sr-dynamic-mri", "python", "torchrun", "make", "pip", "git")
STAND_INS = {"srun": '#!/bin/bash\n"$@"\n', "scontrol": "#!/bin/bash\necho here\n"}
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    language: str
    code: str

    @property
    def first_line(self) -> str:
        return self.code.strip().partition("\n")[0]


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    return [Block(match["language"], match["code"]) for match in FENCE.finditer(text)]


@pytest.fixture
def workspace(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_steps: int, one_thread: None
) -> Path:
    """A folder with the files that the documents speak of, and programs that only write down their calls."""
    files = {
        "planning.nii.gz": patient.static,
        "dynamic.nii.gz": patient.low,
        "full.nii.gz": patient.dynamic,
        "truth.nii.gz": patient.dynamic,
        "my_scans/anna/planning.nii.gz": patient.static,
        "my_scans/anna/dynamic.nii.gz": patient.dynamic,
        "my_scans/bert.nii.gz": patient.static,
        "CHAOS_Train_Sets/MR/1/T1DUAL/DICOM_anon/InPhase/image.nii.gz": patient.static,
        "CHAOS_Train_Sets/MR/2/T2SPIR/DICOM_anon/image.nii.gz": patient.static,
        "subjects/anna/static.nii.gz": patient.static,
        "subjects/anna/dynamic.nii.gz": patient.dynamic,
        "data/bench/heart/static.nii.gz": patient.static,
        "data/bench/heart/dynamic.nii.gz": patient.dynamic,
    }
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, tmp_path / name)
    small_scan(time_points=2).write(tmp_path / "kspace.h5")
    programs = tmp_path / "programs"
    for name, code in {**dict.fromkeys((*PROGRAMS, ".venv/bin/python"), STAND_IN), **STAND_INS}.items():
        file = (programs if "/" not in name else tmp_path) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
        file.chmod(0o755)
    (tmp_path / ".venv/bin/activate").touch()
    (tmp_path / "SlicerSRDynamicMRI").mkdir()  # what git would clone
    for name in ("bash", "mkdir", "head"):
        (programs / name).symlink_to(str(shutil.which(name)))
    small = partial(abdomen, shape=SHAPE, spacing=SPACING)
    monkeypatch.setattr(phantom_command, "abdomen", small)
    monkeypatch.setattr(demo, "SHAPE", SHAPE)
    monkeypatch.setitem(budgets.BUDGETS, "standard", budgets.BUDGETS["quick"])
    monkeypatch.setattr(registry, "NETWORKS", dict(registry.NETWORKS))  # the documents register another
    monkeypatch.chdir(tmp_path)
    return tmp_path


def calls(code: str, folder: Path) -> list[list[str]]:
    """How bash calls programs when it runs a block."""
    record = folder / "record"
    record.write_bytes(b"")
    environment = {
        "PATH": str(folder / "programs"),
        "RECORD": str(record),
        "SRDYNAMICMRI_DATA": str(folder / "data"),
        "SLURM_NNODES": "2",
        "SLURM_JOB_NODELIST": "here",
    }
    bash = [str(shutil.which("bash")), "-euo", "pipefail", "-c", code]
    outcome = subprocess.run(bash, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    return [call.split("\x1f")[:-1] for call in record.read_text().split("\x1e")[:-1]]


def own_command(call: list[str]) -> list[str]:
    """Arguments of the project's command line in a call, empty if it is another program's."""
    if call[0] == "sr-dynamic-mri":
        return call[1:]
    if call[0] in ("python", "torchrun") and "SRDynamicMRILib" in call:
        place = call.index("SRDynamicMRILib")
        assert call[place - 1] == "-m"
        return call[place + 1 :]
    return []


def check_call(call: list[str], command: Command) -> None:
    """Run what is the project's; of the rest, see that it can be run."""
    if arguments := own_command(call):
        if "--help" not in arguments:
            arguments = [*arguments, *REDUCED.get(arguments[0], ()), "--threads", "1"]
        outcome = command(*arguments)
        assert outcome.code == 0, f"{call}: {outcome.err}"
    elif call[0] == "make":
        subprocess.run(["make", "--dry-run", *call[1:]], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    elif scripts := [argument for argument in call if argument.endswith(".py")]:
        assert call[0] == "python", call
        assert all((ROOT / script).is_file() for script in scripts), call
    else:
        module = call[2] if call[:2] == ["python", "-m"] else call[0]
        assert module in ONLY_CALLED, call


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_document_shows_works(document: Path, workspace: Path, command: Command) -> None:
    for block in blocks(document):
        if block.first_line in NOT_RUN:
            continue
        if block.language == "sh":
            for call in calls(block.code, workspace):
                check_call(call, command)
        else:
            assert block.language == "python", f"neither run nor listed with a reason: {block}"
            exec(compile(block.code, document.name, "exec"), {"__name__": "__main__"})
    if any("result.nii.gz" in block.code for block in blocks(document)):
        assert Path("result.nii.gz").is_file()


def test_the_example_of_the_readme_runs_the_network_once_per_time_point(workspace: Path) -> None:
    (example,) = (block.code for block in blocks(ROOT / "README.md") if block.language == "python")
    lines = [line for line in example.splitlines() if line]
    assert len(lines) <= 8
    assert [line for line in lines if "import" in line] == ["import SRDynamicMRILib as sr"]
    before = example.index("result = ")
    names: dict[str, Any] = {}
    exec(example[:before], names)
    passes = []
    names["model"].network.register_forward_hook(lambda *_: passes.append(1))
    exec(example[before:], names)
    assert len(passes) == TIME_POINTS
    assert names["result"].facts["consistency"] == json.loads(Path("result.json").read_text())[RECORD]["consistency"]


def test_every_block_that_is_not_run_is_there() -> None:
    shown = {block.first_line for document in DOCUMENTS for block in blocks(document)}
    assert set(NOT_RUN) <= shown


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_command_hides_outside_a_fence(document: Path) -> None:
    outside = FENCE.sub("", document.read_text(encoding="utf-8"))
    assert "```" not in outside, "a fence that is not closed"
    assert not re.findall(r"^ {4,}(?:make|python|torchrun|sr-dynamic-mri|pip|\$) .*$", outside, re.MULTILINE)


def test_the_page_of_commands_names_every_command_and_option() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = {row.split("`")[1].split()[0]: row for row in page.splitlines() if row.startswith("| `")}
    parsers = next(action for action in build_parser()._actions if action.dest == "command").choices
    options = {
        name: {flag for flag, action in parser._option_string_actions.items() if action.help != SUPPRESS}
        for name, parser in parsers.items()
    }
    common = set.intersection(*options.values())
    for name in parsers:
        missing = [option for option in options[name] - common if not re.search(rf"{option}\b", rows[name])]
        assert not missing, name
    for option in common - {"-h", "--help"}:
        assert option in rows, option
