"""A worker that is started before it is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.patient import Patient
from helpers.processes import INTERPRETER, FakeProcess, FakeTimer, Loop, RealProcess
from helpers.project import ROOT
from SRDynamicMRISlicer.jobs.job import Job
from SRDynamicMRISlicer.jobs.spare_worker import SpareWorker
from SRDynamicMRISlicer.jobs.worker import Ending, Interpreter, Outcome, Worker

from SRDynamicMRILib.requests import DownsampleRequest, InterpolateRequest, PhantomRequest

JOB = Job(PhantomRequest(outdir=Path("out")))


class Bench:
    """Processes by the order in which they were made."""

    def __init__(self) -> None:
        self.made: list[FakeProcess] = []
        self.spare = SpareWorker(self.new)

    def new(self) -> Worker:
        self.made.append(FakeProcess())
        return Worker(self.made[-1], FakeTimer(), INTERPRETER)


def test_a_process_that_waits_is_told_the_job() -> None:
    bench = Bench()
    bench.spare.prepare()
    bench.spare.prepare()
    (process,) = bench.made
    process.begin()
    assert process.environment["PYTHONPATH"].startswith(str(ROOT))
    worker = bench.spare.take()
    worker.start(JOB)
    assert process.asked == ["start"]
    assert process.request == JOB.request
    process.complete(folder="out")
    assert worker.outcome == Outcome(Ending.COMPLETE, {"folder": Path("out")})
    bench.spare.prepare()
    assert len(bench.made) == 2, "one for the next job"


def test_without_one_a_job_starts_in_the_same_way() -> None:
    bench = Bench()
    bench.spare.take().start(JOB)
    (process,) = bench.made
    process.begin()
    assert process.asked == ["start"]
    assert process.request == JOB.request


def test_one_that_has_ended_is_not_told_anything() -> None:
    bench = Bench()
    bench.spare.prepare()
    bench.made[0].begin()
    bench.made[0].end(1)
    bench.spare.take().start(JOB)
    bench.made[1].begin()
    assert bench.made[0].told == []
    assert bench.made[1].request == JOB.request


def test_end_of_waiting() -> None:
    bench = Bench()
    bench.spare.end()
    assert not bench.made
    bench.spare.prepare()
    bench.spare.end()
    assert bench.made[0].asked == ["start", "stop", "wait 0", "kill", "wait 5"]
    bench.spare.prepare()
    worker = bench.spare.take()
    bench.spare.end()
    worker.start(JOB)
    assert "kill" not in bench.made[1].asked, "its job goes on"


# Really


def waiting() -> tuple[SpareWorker, Loop]:
    loop = Loop()
    spare = SpareWorker(lambda: Worker(RealProcess(loop), loop, INTERPRETER))
    spare.prepare()
    return spare, loop


@pytest.mark.slow
def test_jobs_really(patient: Patient, tmp_path: Path) -> None:
    spare, loop = waiting()
    out = tmp_path / "Ergebnis für 日本.nii.gz"
    worker = spare.take()
    worker.start(Job(InterpolateRequest(input=patient.low, output=out, like=patient.static, method="zero_filled")))
    loop.run_until(lambda: worker.outcome is not None)
    assert worker.outcome == Outcome(Ending.COMPLETE, {"output": out})
    assert out.is_file()

    spare.prepare()
    worker = spare.take()
    worker.start(Job(DownsampleRequest(input=tmp_path / "none.nii", output=out, fraction=0.25)))
    loop.run_until(lambda: worker.outcome is not None)
    assert worker.outcome.ending is Ending.REFUSED
    assert "none.nii" in worker.outcome.sentence

    spare.prepare()
    worker = spare.take()
    worker.start(Job(PhantomRequest(outdir=tmp_path / "phantom", time_points=500)))
    worker.cancel()
    loop.run_until(lambda: worker.outcome is not None)
    assert worker.outcome == Outcome(Ending.CANCELLED)
    assert not (tmp_path / "phantom").exists()


def test_one_that_cannot_start_is_forgotten_really(tmp_path: Path) -> None:
    loop = Loop()
    missing = Interpreter(str(tmp_path / "python"), ROOT)
    spare = SpareWorker(lambda: Worker(RealProcess(loop), loop, missing))
    spare.prepare()
    before = spare._waiting
    loop.run_until(lambda: spare._waiting is None)
    assert spare.take() is not before
