"""Two runs never write to one output at the same time, and a run that was killed blocks nobody."""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command_line import QUIET, Command
from helpers.operating_system import needs_posix
from helpers.patient import FRACTION, Patient

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.io.locking import alone

Arguments = Callable[[Patient, Path], list[object]]

COMMANDS: dict[str, tuple[str, Arguments]] = {
    "superresolve": (
        "o.nii.gz",
        lambda p, out: ["superresolve", p.low, out, "--model", p.model, "--fraction", FRACTION],
    ),
    "finetune": (
        "m.safetensors",
        lambda p, out: [
            *("finetune", p.static, "--fraction", FRACTION, "--output", out, "--model", p.model),
            *("--budget", "quick"),
        ],
    ),
    "train": (
        "m.safetensors",
        lambda p, out: ["train", "--data", p.static.parent, "--output", out, "--steps", 1, "--features", 2],
    ),
    "train-perceptual": (
        "m.safetensors",
        lambda _, out: ["train-perceptual", "--output", out, "--steps", 1, "--features", 2],
    ),
    "benchmark": (
        "b",
        lambda p, out: [
            *("benchmark", p.static.parent, "--output", out, "--model", p.model, "--fractions", FRACTION),
            *("--scenarios", "signed", "--budget", "quick", "--frames", "0", "--no-figures"),
        ],
    ),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_the_second_run_is_refused_before_it_touches_anything(
    command: Command, patient: Patient, tmp_path: Path, case: str
) -> None:
    name, arguments = COMMANDS[case]
    out = tmp_path / "a b" / name
    out.parent.mkdir()
    with alone(out):
        before = sorted(tmp_path.rglob("*"))
        outcome = command(*arguments(patient, out), *QUIET)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err == f"Another run is writing to {out}; wait until it has ended, or choose another output.\n"
        assert sorted(tmp_path.rglob("*")) == before
    assert list(out.parent.iterdir()) == [], "nothing of the lock is left"


def hold(out: Path, ready: multiprocessing.synchronize.Event) -> None:
    with alone(out):
        ready.set()
        signal.pause()


def test_who_was_killed_holds_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold, args=(tmp_path / "o", ready), daemon=True)
    holder.start()
    assert ready.wait(60)
    with pytest.raises(InputError, match="Another run is writing to"), alone(tmp_path / "o"):
        pytest.fail("two at a time")
    with alone(tmp_path / "other"):
        pass
    holder.kill()
    holder.join()
    with alone(tmp_path / "o"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_locked_is_said(tmp_path: Path) -> None:
    (tmp_path / ".o.lock").mkdir()
    with pytest.raises(InputError, match=rf"{tmp_path / '.o.lock'} cannot be used \(.*\)"), alone(tmp_path / "o"):
        pytest.fail("not locked")


def test_what_a_killed_run_was_writing_is_cleared_away(tmp_path: Path) -> None:
    ours, others = tmp_path / ".writing-o.nii.gz-abc", tmp_path / ".writing-o.nii.gz2-abc"
    for folder in (ours, others):
        folder.mkdir()
        (folder / "half").touch()
    with alone(tmp_path / "o.nii.gz"):
        assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [others.name]


@needs_posix
def test_two_runs_at_once(patient: Patient, tmp_path: Path) -> None:
    """The second is refused while the first is in the middle of its work, which it does not disturb."""
    out = tmp_path / "o.nii.gz"
    words = [*COMMANDS["superresolve"][1](patient, out), "--progress", "json", "--threads", 1]
    call = [sys.executable, "-m", "SRDynamicMRILib", *map(str, words)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        lines = []
        for line in first.stdout:
            lines.append(json.loads(line))
            if lines[-1]["event"] == "frame" and lines[-1]["index"] == 0:
                first.send_signal(signal.SIGSTOP)
                second = subprocess.run(call, check=False, capture_output=True, text=True)
                first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert second.stderr.startswith("Another run is writing to")
    assert first.returncode == 0
    assert [e["index"] for e in lines if e["event"] == "frame"] == [0, 1, 2]
    assert len(read_series(out)) == 3
