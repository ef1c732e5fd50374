"""A command with --stop-with-stdin is cancelled when its standard input ends, whoever ended it and however."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import Command
from helpers.operating_system import needs_posix
from helpers.patient import FRACTION, Patient

STOPPING = ("--progress", "json", "--stop-with-stdin")


def fine_tuning(patient: Patient, out: Path, *more: object) -> list[str]:
    start = ["finetune", patient.static, "--fraction", FRACTION, "--output", out, "--model", patient.model]
    words = [*start, "--budget", "standard", "--threads", 1, "--device", "cpu", *more]
    return [sys.executable, "-m", "SRDynamicMRILib", *map(str, words)]


def spawn(arguments: list[str], **options: Any) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **options)


def read_until(process: subprocess.Popen[str], event: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == event:
            return
    pytest.fail(f"no {event} was told")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(pid: int, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while is_running(pid):
        assert time.monotonic() < end, "the process outlives its parent"
        time.sleep(0.05)


def test_closing_the_pipe_cancels_a_finetuning_that_can_be_resumed(
    command: Command, patient: Patient, tmp_path: Path
) -> None:
    out = tmp_path / "m.safetensors"
    process = spawn(fine_tuning(patient, out, *STOPPING))
    read_until(process, "progress")
    said, errors = process.communicate()
    assert process.returncode == 130
    assert errors == "Cancelled.\n"
    assert json.loads(said.splitlines()[-1]) == {"event": "error", "message": "Cancelled."}
    assert [p.name for p in tmp_path.iterdir()] == ["m.state.safetensors"]
    process = spawn(fine_tuning(patient, out, "--resume", *STOPPING))
    read_until(process, "log")
    read_until(process, "progress")
    process.communicate()


def test_what_comes_in_is_no_reason_to_stop(patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "o.nii.gz"
    start = [sys.executable, "-m", "SRDynamicMRILib", "downsample", str(patient.static), str(out)]
    process = spawn([*start, "--fraction", "0.25", *STOPPING])
    assert process.stdin is not None
    process.stdin.write("some\nwords" * 10000)
    process.stdin.flush()
    read_until(process, "result")
    assert process.wait() == 0
    process.communicate()
    assert out.is_file()


def test_without_the_option_standard_input_means_nothing(patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "o.nii.gz"
    start = [sys.executable, "-m", "SRDynamicMRILib", "downsample", str(patient.static), str(out)]
    subprocess.run([*start, "--fraction", "0.25", "--progress", "none"], stdin=subprocess.DEVNULL, check=True)
    assert out.is_file()


PARENT = """
import subprocess, sys
worker = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(worker.pid, flush=True)
for line in worker.stdout:
    print(line, end="", flush=True)
"""


@needs_posix
def test_a_worker_does_not_outlive_a_parent_that_is_killed(patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    process = spawn([sys.executable, "-c", PARENT, *fine_tuning(patient, out, *STOPPING)])
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    read_until(process, "progress")
    assert is_running(worker)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for_end(worker)
    process.communicate()
    assert [p.name for p in tmp_path.iterdir()] == ["m.state.safetensors"]


STUBBORN = """
import sys, time
from SRDynamicMRILib.process.stop_with_stdin import stopped_with_stdin
import signal
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
with stopped_with_stdin(130, grace=0.5):
    print("begun", flush=True)
    while True:
        time.sleep(0.1)
"""


def test_what_does_not_end_politely_is_ended() -> None:
    process = spawn([sys.executable, "-c", STUBBORN])
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    begun = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert said == "asked\n"
    assert process.returncode == 130
    assert time.monotonic() - begun >= 0.4


ENDS_FIRST = """
import os, sys, signal, time
from SRDynamicMRILib.process.stop_with_stdin import stopped_with_stdin
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
with stopped_with_stdin(130, grace=0.1):
    assert os.read(0, 1) == b"", "children must not read what is for the watcher"
print("ended", flush=True)
sys.stderr.readable()
time.sleep(1)
"""


def test_after_the_work_nothing_is_stopped() -> None:
    process = spawn([sys.executable, "-c", ENDS_FIRST])
    assert process.stdout is not None
    assert process.stdout.readline() == "ended\n"
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, said, errors) == (0, "", "")


def test_no_standard_input_at_all_is_its_end(patient: Patient, tmp_path: Path) -> None:
    process = subprocess.run(
        fine_tuning(patient, tmp_path / "m.safetensors", *STOPPING),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 130
    assert process.stderr.endswith("Cancelled.\n")
    assert not (tmp_path / "m.safetensors").exists()


def test_every_command_has_the_option(command: Command) -> None:
    outcome = command("phantom", "--help")
    assert "--stop-with-stdin" in outcome.out
    assert os.fstat(0), "the option alone takes standard input away"
