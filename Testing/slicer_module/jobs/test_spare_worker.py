"""A worker that is started before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.patient import Patient
from helpers.processes import INTERPRETER, FakeProcess, FakeTimer, Loop, RealProcess
from helpers.project import ROOT
from SRDynamicMRISlicer.jobs.job import DownsampleRequest, InterpolateRequest, Job, PhantomRequest
from SRDynamicMRISlicer.jobs.spare_worker import SpareWorker, WaitingProcess
from SRDynamicMRISlicer.jobs.worker import Ending, Interpreter, Outcome, Worker

JOB = Job(PhantomRequest(Path("out")))


class Bench:
    """Processes by the order in which they were made."""

    def __init__(self) -> None:
        self.made: list[FakeProcess] = []
        self.spare = SpareWorker(self.new, INTERPRETER)

    def new(self) -> FakeProcess:
        self.made.append(FakeProcess())
        return self.made[-1]

    def worker(self) -> Worker:
        return Worker(self.spare.take(), FakeTimer(), INTERPRETER)


def test_a_process_that_waits_is_told_the_job() -> None:
    bench = Bench()
    bench.spare.prepare()
    bench.spare.prepare()
    (process,) = bench.made
    assert process.arguments == ["-m", "SRDynamicMRILib.cli.preloaded"]
    assert process.environment["PYTHONPATH"].startswith(str(ROOT))
    worker = bench.worker()
    worker.start(JOB)
    assert process.asked == ["start", f"write {json.dumps(JOB.arguments[2:])}\n"]
    process.complete(folder="out")
    assert worker.outcome == Outcome(Ending.COMPLETE, {"folder": Path("out")})
    bench.spare.prepare()
    assert len(bench.made) == 2, "one for the next job"


def test_without_one_a_job_starts_as_ever() -> None:
    bench = Bench()
    worker = bench.worker()
    worker.start(JOB)
    (process,) = bench.made
    assert process.arguments == JOB.arguments


def test_one_that_has_ended_is_not_told_anything() -> None:
    bench = Bench()
    bench.spare.prepare()
    bench.made[0].end(1)
    bench.worker().start(JOB)
    assert bench.made[0].asked == ["start"]
    assert bench.made[1].arguments == JOB.arguments


def test_end_of_waiting() -> None:
    bench = Bench()
    bench.spare.end()
    assert not bench.made
    bench.spare.prepare()
    bench.spare.end()
    assert bench.made[0].asked == ["start", "kill", "wait 5"]
    bench.spare.prepare()
    worker = bench.worker()
    bench.spare.end()
    worker.start(JOB)
    assert "kill" not in bench.made[1].asked, "it belongs to its worker"


# Really


def waiting() -> tuple[SpareWorker, Loop]:
    loop = Loop()
    standby = SpareWorker(lambda: RealProcess(loop), INTERPRETER)
    standby.prepare()
    return standby, loop


def run_really(job: Job, standby: SpareWorker, loop: Loop) -> Worker:
    process = standby.take()
    assert isinstance(process, WaitingProcess)
    worker = Worker(process, loop, INTERPRETER)
    worker.start(job)
    return worker


@pytest.mark.slow
def test_jobs_really(patient: Patient, tmp_path: Path) -> None:
    standby, loop = waiting()
    out = tmp_path / "Ergebnis für 日本.nii.gz"
    worker = run_really(Job(InterpolateRequest(patient.low, out, prior=patient.static)), standby, loop)
    loop.run_until(lambda: worker.outcome is not None)
    assert worker.outcome == Outcome(Ending.COMPLETE, {"output": out})
    assert out.is_file()

    standby.prepare()
    worker = run_really(Job(DownsampleRequest(tmp_path / "none.nii", out, fraction=0.25)), standby, loop)
    loop.run_until(lambda: worker.outcome is not None)
    assert worker.outcome.ending is Ending.REFUSED
    assert "none.nii" in worker.outcome.sentence

    standby.prepare()
    worker = run_really(Job(PhantomRequest(tmp_path / "phantom", time_points=500)), standby, loop)
    worker.cancel()
    loop.run_until(lambda: worker.outcome is not None)
    assert worker.outcome == Outcome(Ending.CANCELLED)
    assert not (tmp_path / "phantom").exists()


def test_one_that_cannot_start_is_forgotten_really(tmp_path: Path) -> None:
    loop = Loop()
    standby = SpareWorker(lambda: RealProcess(loop), Interpreter(str(tmp_path / "python"), ROOT))
    standby.prepare()
    loop.run_until(lambda: standby._waiting is None)
    assert isinstance(standby.take(), RealProcess)


@pytest.mark.parametrize(
    ("told", "code", "sentence"),
    [
        (b"", 0, ""),
        (b'["info", "none"]\n', 2, "none"),
        (b'{"a": 1}\n', 2, "JSON list of texts"),
        (b"[1]\n", 2, "JSON list of texts"),
        (b"\xff\n", 2, "JSON list of texts"),
    ],
)
def test_the_worker_takes_one_line(told: bytes, code: int, sentence: str) -> None:
    words = [sys.executable, "-m", "SRDynamicMRILib.cli.preloaded"]
    ended = subprocess.run(words, input=told, capture_output=True, cwd=ROOT, check=False)
    assert (ended.returncode, ended.stderr.count(b"\n")) == (code, 1 if sentence else 0)
    assert sentence in ended.stderr.decode()


LOOK = """
import sys
from SRDynamicMRILib.cli import program as cli
from SRDynamicMRILib.cli import preloaded as standby
cli.main = lambda arguments: print("loaded" if "torch" in sys.modules else "not loaded", arguments, input())
standby.wait_and_run()
"""


def test_all_is_loaded_before_the_job_is_known_and_the_rest_of_standard_input_is_the_commands() -> None:
    words = [sys.executable, "-c", LOOK]
    ended = subprocess.run(words, input='["x"]\nrest\n', capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.stdout == "loaded ['x'] rest\n", ended.stderr
