"""The worker that loads everything first and is told by a line what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.patient import Patient
from helpers.project import ROOT

from SRDynamicMRILib.cli.downsample import run
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.progress import Progress
from SRDynamicMRILib.requests import DownsampleRequest, InfoRequest, PhantomRequest

WORKER = [sys.executable, "-m", "SRDynamicMRILib.cli.preloaded"]


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        (b"", 0, ""),
        (b"\xff\n", 2, "The request is not JSON"),
        (b"info\n", 2, "not JSON"),
        (b'["info", "none"]\n', 2, "names no command"),
        (b"{}\n", 2, "names no command"),
        (InfoRequest(file=Path("none.safetensors")).to_json().encode() + b"\n", 2, "There is no model file"),
    ],
)
def test_what_is_no_request_or_cannot_be_done_is_refused_in_one_sentence(line: bytes, code: int, sentence: str) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(WORKER, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT) as worker:
        worker.stdin.write(line)
        worker.stdin.flush()
        if not line:
            worker.stdin.close()  # else it is left open: its end cancels
        events = [json.loads(one) for one in worker.stdout.read().splitlines()]
        said = worker.stderr.read().decode().splitlines()
        assert worker.wait() == code, said
    if not sentence:
        assert not said
        assert not events
        return
    (only,) = said
    assert sentence in only
    assert events == [{"event": "error", "message": only}]


def test_a_request_is_done_as_the_command_would(patient: Patient, tmp_path: Path) -> None:
    request = DownsampleRequest(input=patient.dynamic, output=tmp_path / "für 日本.nii.gz", fraction=0.25)
    with subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as worker:
        worker.stdin.write(request.to_json().encode() + b"\n")
        worker.stdin.flush()  # and is left open: its end cancels
        events = [json.loads(line) for line in worker.stdout]
        assert worker.wait() == 0
    assert events[-1] == {"event": "result", "outputs": {"output": str(request.output)}}
    run(DownsampleRequest(input=patient.dynamic, output=tmp_path / "own.nii.gz", fraction=0.25), Progress())
    made, own = read_series(request.output), read_series(tmp_path / "own.nii.gz")
    assert [volume.data.tobytes() for volume in made] == [volume.data.tobytes() for volume in own]


def test_the_end_of_standard_input_cancels(tmp_path: Path) -> None:
    request = PhantomRequest(outdir=tmp_path / "phantom", time_points=500)
    ended = subprocess.run(WORKER, input=request.to_json().encode() + b"\n", capture_output=True, cwd=ROOT, check=False)
    assert ended.returncode == 130
    assert ended.stderr == b"Cancelled.\n"
    assert not (tmp_path / "phantom").exists()


LOOK = """
import sys
from SRDynamicMRILib.cli import preloaded, program
from SRDynamicMRILib.requests import REQUESTS

def look(read):
    modules = {f"SRDynamicMRILib.cli.{name.replace('-', '_')}" for name in REQUESTS} | {"torch"}
    print("missing:", sorted(modules - set(sys.modules)), read().file, input())

program.run_request = look
preloaded.wait_and_run()
"""


def test_all_is_loaded_before_the_job_is_known_and_the_rest_of_standard_input_is_the_commands() -> None:
    told = InfoRequest(file=Path("m")).to_json() + "\nrest\n"
    ended = subprocess.run(
        [sys.executable, "-c", LOOK], input=told, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ended.stdout == "missing: [] m rest\n", ended.stderr
