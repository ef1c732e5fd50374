"""Killed at any moment: what is finished is whole, and what is resumed equals what was never disturbed.

8 kills; 50 with --thorough.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.command_line import Show
from helpers.operating_system import needs_posix
from helpers.patient import FRACTION, SHAPE, SPACING, Patient

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.io.files import write_series
from SRDynamicMRILib.models.checkpoints import load_tensors
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series

pytestmark = [pytest.mark.slow, needs_posix]

TIME_POINTS = 6
FOREVER = 300.0
AT_MOST = 5
"""Times as many kills as wanted, should none of them leave something to go on from."""


@dataclass(frozen=True)
class Run:
    """How a command ended: killed or with an exit code, after how many seconds, and what it said."""

    code: int
    seconds: float
    said: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def told(self) -> list[dict[str, object]]:
        """The events, without a last one that was cut off."""
        whole = self.said[: self.said.rfind("\n") + 1]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


Start = Callable[..., Run]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Runs a command in a forked process, and kills it after some seconds."""
    said = tmp_path_factory.mktemp("said") / "said"
    call = [sys.executable, str(Path(__file__).with_name("warm_worker.py"))]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        asked, answered = worker.stdin, worker.stdout

        def run(arguments: list[object], seconds: float = FOREVER) -> Run:
            order = {"arguments": [str(a) for a in arguments], "said": str(said), "seconds": seconds}
            asked.write(json.dumps(order) + "\n")
            asked.flush()
            answer = json.loads(answered.readline())
            return Run(answer["code"], answer["seconds"], said.read_text(encoding="utf-8"))

        yield run
        asked.close()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def is_temporary(name: str) -> bool:
    return name.startswith(".") or "/." in name


def check_super_resolution(found: dict[str, bytes], whole: dict[str, bytes], run: Run) -> None:
    """Whatever is there is whole, and every time point that was told is there."""
    for name, content in found.items():
        assert is_temporary(name) or content == whole[name], name
    told = {Path(str(event["path"])).name for event in run.told if event["event"] == "frame"}
    assert told <= {Path(name).name for name in found if not is_temporary(name)}
    frames = [name for name in found if name.startswith("o.nii.gz.frames/")]
    assert not frames or "o.nii.gz.frames/job.json" in found


def check_fine_tuning(found: dict[str, bytes], whole: dict[str, bytes], run: Run) -> None:
    """A model that is there is whole, and so is the state of an unfinished one."""
    names = {name for name in found if not is_temporary(name)}
    assert names <= {"m.safetensors", "m.state.safetensors"}
    assert "m.safetensors" not in names or found["m.safetensors"] == whole["m.safetensors"]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dynamic = abdomen(1, SHAPE, SPACING, TIME_POINTS).dynamic
    file = tmp_path_factory.mktemp("series") / "low.nii.gz"
    write_series(Series.of([downsample(volume, FRACTION) for volume in dynamic], dynamic.times), file)
    return file


COMMON = ("--fraction", FRACTION, "--threads", 1, "--device", "cpu", "--progress", "json")


@pytest.mark.parametrize("what", ["superresolve", "finetune"])
def test_killed_at_random_moments(
    start: Start, patient: Patient, series: Path, tmp_path: Path, thorough: bool, show: Show, what: str
) -> None:
    def arguments(folder: Path) -> list[object]:
        folder.mkdir(exist_ok=True)
        if what == "superresolve":
            return [what, series, folder / "o.nii.gz", "--model", patient.model, *COMMON]
        model = ("--output", folder / "m.safetensors", "--model", patient.model)
        return [what, patient.static, *model, "--budget", "quick", *COMMON]

    check = check_super_resolution if what == "superresolve" else check_fine_tuning
    first = start(arguments(tmp_path / "whole"))
    assert first.code == 0, first.said
    whole = contents(tmp_path / "whole")
    assert not [name for name in whole if is_temporary(name)]

    wanted = 25 if thorough else 4
    moment = random.Random(1)
    kills = cycles = resumed = 0
    while kills < wanted or (not resumed and kills < AT_MOST * wanted):
        cycles += 1
        folder = tmp_path / f"cycle{cycles}"
        while True:
            run = start([*arguments(folder), "--resume"], moment.uniform(0.05, 1.1) * first.seconds)
            found = contents(folder)
            check(found, whole, run)
            if not run.killed:
                break
            kills += 1
            resumed += any(not is_temporary(name) for name in found)
            if "m.state.safetensors" in found:
                assert load_tensors(folder / "m.state.safetensors")[0]
            if kills >= wanted and (resumed or kills >= AT_MOST * wanted):
                run = start([*arguments(folder), "--resume"])
                break
        assert run.code == 0, run.said
        if what == "superresolve":
            assert [e["index"] for e in run.told if e["event"] == "frame"] == list(range(TIME_POINTS))
        assert contents(folder) == whole
    show(f"{what}: {kills} kills, {resumed} of them with something to go on from, {cycles} runs completed")
    assert resumed > 0
