"""A worker on a process that does anything a process can do, and on the real command line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from helpers.patient import TIME_POINTS, Patient
from helpers.processes import INTERPRETER, FakeFailingToStart, FakeProcess, FakeTimer, Loop, RealProcess
from helpers.project import ROOT
from SRDynamicMRISlicer import translation
from SRDynamicMRISlicer.jobs.job import Job
from SRDynamicMRISlicer.jobs.worker import (
    GRACE,
    LOG_LINES,
    LONGEST_LOG_LINE,
    PATIENCE,
    Ending,
    Interpreter,
    Outcome,
    Worker,
)
from SRDynamicMRISlicer.jobs.worker_events import LONGEST_LINE, Event, Frame, Result, Stage, Steps

from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.process.stop_with_stdin import GRACE as GUARD
from SRDynamicMRILib.requests import DownsampleRequest, FineTuneRequest, PhantomRequest, SuperResolveRequest

pytestmark = pytest.mark.usefixtures("lost_errors")

JOB = Job(PhantomRequest(outdir=Path("/a b/ä")))


def test_environment() -> None:
    own = Interpreter("python", Path("/extension"))
    assert own.environment({})["PYTHONPATH"] == "/extension"
    assert own.environment({"PYTHONPATH": "/x"})["PYTHONPATH"] == f"/extension{os.pathsep}/x"
    assert own.environment({})["PYTHONUTF8"] == "1"
    assert own.environment({})["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert own.environment({})["OPENBLAS_NUM_THREADS"] == "1", "threads of NumPy that wait take Slicer's time"
    assert own.environment({})["OMP_WAIT_POLICY"] == "PASSIVE"
    assert own.environment({"OPENBLAS_NUM_THREADS": "2"})["OPENBLAS_NUM_THREADS"] == "2", "as the user wants it"


# Workers on a fake process


def running(process: FakeProcess | None = None) -> tuple[Worker, FakeProcess, FakeTimer]:
    process, timer = process or FakeProcess(), FakeTimer()
    worker = Worker(process, timer, INTERPRETER)
    worker.start(JOB)
    if not isinstance(process, FakeFailingToStart):
        process.begin()
    return worker, process, timer


def outcomes(worker: Worker) -> list[Outcome]:
    found: list[Outcome] = []
    worker.finished.connect(found.append)
    return found


def test_worker_starts_the_job() -> None:
    _, process, _ = running()
    assert process.program == sys.executable
    assert process.arguments == ["-m", "SRDynamicMRILib.cli.preloaded"]
    assert process.request == JOB.request
    assert process.environment["PYTHONPATH"].startswith(str(ROOT))


def test_a_process_that_was_started_before_is_told_the_job() -> None:
    process = FakeProcess()
    worker = Worker(process, FakeTimer(), INTERPRETER)
    worker.prepare()
    process.begin()
    assert process.told == []
    worker.start(JOB)
    assert process.asked == ["start"]
    assert process.request == JOB.request


def test_a_process_that_is_still_starting_is_told_the_job_then() -> None:
    process = FakeProcess()
    worker = Worker(process, FakeTimer(), INTERPRETER)
    worker.prepare()
    worker.start(JOB)
    assert process.told == []
    process.begin()
    assert process.request == JOB.request


def test_what_is_cancelled_before_its_process_has_started_is_not_told_anything() -> None:
    process = FakeProcess()
    worker = Worker(process, FakeTimer(), INTERPRETER)
    worker.start(JOB)
    worker.cancel()
    process.begin()
    process.end(0)
    assert process.told == []
    assert worker.outcome == Outcome(Ending.CANCELLED)


def test_complete() -> None:
    worker, process, timer = running()
    found = outcomes(worker)
    events: list[Event] = []
    worker.event.connect(events.append)
    process.say("stage", name="Working")
    process.say("progress", done=1, total=2)
    process.complete(static="/a.nii.gz")
    assert found == [Outcome(Ending.COMPLETE, {"static": Path("/a.nii.gz")})]
    assert events == [Stage("Working"), Steps(1, 2), Result({"static": Path("/a.nii.gz")})]
    assert list(worker.log) == ["Working"]
    assert timer.waiting == 0


def test_a_last_line_without_its_end_counts() -> None:
    worker, process, _ = running()
    process.output.emit(b'{"event": "result", "outputs": {}}')
    process.end(0)
    assert worker.outcome == Outcome(Ending.COMPLETE)


def test_events_in_pieces() -> None:
    worker, process, _ = running()
    events: list[Event] = []
    worker.event.connect(events.append)
    for byte in json.dumps({"event": "frame", "index": 1, "path": "/ä"}, ensure_ascii=False).encode() + b"\n":
        process.output.emit(bytes([byte]))
    assert events == [Frame(1, Path("/ä"))]


def test_it_could_not_start() -> None:
    worker = Worker(FakeFailingToStart(), FakeTimer(), INTERPRETER)
    found = outcomes(worker)
    worker.start(JOB)
    assert [outcome.ending for outcome in found] == [Ending.NOT_STARTED]
    assert sys.executable in found[0].sentence


FAILURES: dict[str, tuple[int | None, list[str], bytes, Ending, str]] = {
    "crash": (None, [], b"", Ending.CRASHED, "The computation ended without a warning."),
    "crash with its last words": (None, ["Out of memory."], b"", Ending.CRASHED, "Out of memory."),
    "result, then a crash": (None, ["result"], b"", Ending.CRASHED, "The computation ended without a warning."),
    "nothing at all": (0, [], b"", Ending.FAULTY, "The computation ended without a result."),
    "no result but an error": (0, ["No."], b"", Ending.FAULTY, "No."),
    "result, then another code": (3, ["result"], b"", Ending.FAULTY, "The computation failed with exit code 3."),
    "result, then a word": (1, ["result"], b"Bus error\n", Ending.FAULTY, "Bus error"),
    "bad input": (2, ["The prior is empty."], b"The prior is empty.\n", Ending.REFUSED, "The prior is empty."),
    "bad arguments": (2, [], b"usage: x\nno such option\n\n", Ending.REFUSED, "no such option"),
    "two without a word": (2, [], b"", Ending.FAULTY, "The computation failed with exit code 2."),
    "traceback": (1, [], b"Traceback:\n  File\nValueError: x", Ending.FAULTY, "ValueError: x"),
    "error of many lines": (1, ["First.\nLast."], b"", Ending.FAULTY, "Last."),
    "killed from outside": (130, ["Cancelled."], b"", Ending.FAULTY, "The computation was stopped from outside."),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures(name: str) -> None:
    code, said, errors, ending, sentence = FAILURES[name]
    worker, process, _ = running()
    found = outcomes(worker)
    for word in said:
        if word == "result":
            process.say("result", outputs={"a": "/a"})
        else:
            process.say("error", message=word)
    process.error_output.emit(errors)
    process.end(code)
    assert found == [Outcome(ending, {}, sentence)]


def test_the_last_error_is_in_the_log_once() -> None:
    worker, process, _ = running()
    process.say("error", message="No.")
    process.error_output.emit(b"No.\n")
    process.end(2)
    assert list(worker.log) == ["No."]
    worker, process, _ = running()
    process.say("error", message="No.")
    process.end(2)
    assert list(worker.log) == ["No."]


def test_unknown_output_goes_to_the_log() -> None:
    worker, process, _ = running()
    lines: list[str] = []
    worker.logged.connect(lines.append)
    process.output.emit(b"Loading\n[1]\n")
    process.say("celebrate", how="loudly")
    process.error_output.emit(b"UserWarning: slow\n\n")
    assert list(worker.log) == lines
    assert lines == ["Loading", "[1]", '{"event": "celebrate", "how": "loudly"}', "UserWarning: slow"]


def test_a_flood_is_bounded() -> None:
    worker, process, _ = running()
    for number in range(5):
        process.output.emit("".join(f"line {number} {n}\n" for n in range(20_000)).encode())
    process.say("log", message="x\n" * 50_000)
    process.output.emit(b"z" * 3 * LONGEST_LINE + b"\n")
    assert len(worker.log) == LOG_LINES
    assert len(worker.log[-1]) == LONGEST_LOG_LINE + 4
    process.complete()
    assert worker.outcome == Outcome(Ending.COMPLETE)


def test_cancel_politely() -> None:
    worker, process, timer = running(FakeProcess(ends_when_stopped=True))
    found = outcomes(worker)
    worker.cancel()
    assert process.asked == ["start", "stop"]
    assert found == [Outcome(Ending.CANCELLED)]
    assert timer.waiting == 0


def test_cancel_what_does_not_listen() -> None:
    worker, process, timer = running()
    found = outcomes(worker)
    worker.cancel()
    worker.cancel()
    timer.advance(GRACE - 0.1)
    assert process.asked == ["start", "stop"]
    process.say("progress", done=1, total=2)
    timer.advance(0.2)
    assert process.asked == ["start", "stop", "kill"]
    assert found == [Outcome(Ending.CANCELLED)]
    assert "by force" in worker.log[-1]
    assert timer.waiting == 0


def test_the_worker_has_time_for_its_own_guard() -> None:
    assert GRACE > GUARD


def test_cancel_what_nothing_ends() -> None:
    worker, process, timer = running(FakeProcess(ends_when_killed=False))
    found = outcomes(worker)
    worker.cancel()
    timer.advance(GRACE + PATIENCE)
    assert found == [Outcome(Ending.CANCELLED)]
    process.end(None)
    assert len(found) == 1


def test_what_is_complete_before_it_can_be_cancelled_is_complete() -> None:
    worker, process, timer = running()
    worker.cancel()
    process.complete(model="/m")
    assert worker.outcome == Outcome(Ending.COMPLETE, {"model": Path("/m")})
    timer.advance(100)
    assert process.asked == ["start", "stop"]


@pytest.mark.parametrize("code", [None, 0, 1, 2, 130])
def test_however_a_cancelled_job_ends_it_is_cancelled(code: int | None) -> None:
    worker, process, _ = running()
    worker.cancel()
    process.say("error", message="Cancelled.")
    process.end(code)
    assert worker.outcome == Outcome(Ending.CANCELLED)


def test_never_two_ends() -> None:
    worker, process, timer = running()
    found = outcomes(worker)
    process.complete()
    process.end(1)
    process.end(None)
    worker.cancel()
    worker.end(1)
    timer.advance(100)
    assert found == [Outcome(Ending.COMPLETE)]
    assert process.asked == ["start"]
    process.say("log", message="late")
    assert not worker.log


@pytest.mark.parametrize("polite", [True, False])
def test_end_at_once(polite: bool) -> None:
    worker, process, timer = running(FakeProcess(ends_when_stopped=polite))
    found = outcomes(worker)
    process.ends_when_stopped = False
    process.wait = lambda seconds: process.asked.append(f"wait {seconds:g}") or polite  # type: ignore[method-assign,func-returns-value]
    worker.end(3)
    assert process.asked == ["start", "stop", "wait 3", *([] if polite else ["kill", "wait 5"])]
    assert found == [Outcome(Ending.CANCELLED)]
    assert timer.waiting == 0


def test_a_listener_may_end_it_in_the_middle_of_its_words() -> None:
    worker, process, _ = running()
    found, events = outcomes(worker), []
    worker.event.connect(lambda event: (events.append(event), worker.end(1)))
    process.output.emit(b'{"event": "stage", "name": "a"}\n{"event": "stage", "name": "b"}\n')
    assert events == [Stage("a")]
    assert found == [Outcome(Ending.CANCELLED)]


def test_texts_are_translated_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "_translator", [])
    assert translation._("Ready.") == "Ready."
    translation.translate_with("Übersetzt: {}".format)
    assert translation._("Ready.") == "Übersetzt: Ready."
    worker, process, _ = running()
    process.end(7)
    assert worker.outcome == Outcome(Ending.FAULTY, {}, "Übersetzt: The computation failed with exit code 7.")


# Workers on the real command line


def run_really(
    job: Job, interpreter: Interpreter = INTERPRETER, grace: float = GRACE
) -> tuple[Worker, RealProcess, Loop]:
    loop = Loop()
    process = RealProcess(loop)
    worker = Worker(process, loop, interpreter, grace)
    worker.start(job)
    return worker, process, loop


def fine_tuning(patient: Patient, output: Path) -> FineTuneRequest:
    return FineTuneRequest(prior=patient.static, series=patient.low, output=output, model=patient.model, device="cpu")


def library_of(folder: Path, code: str) -> Interpreter:
    """What runs some code as the worker."""
    package = folder / "SRDynamicMRILib" / "cli"
    package.mkdir(parents=True)
    for each in (package.parent, package):
        (each / "__init__.py").touch()
    (package / "preloaded.py").write_text(code)
    return Interpreter(sys.executable, folder)


def done(worker: Worker, loop: Loop) -> Outcome:
    loop.run_until(lambda: worker.outcome is not None)
    assert worker.outcome is not None
    return worker.outcome


@pytest.mark.slow
def test_super_resolution_really(patient: Patient, tmp_path: Path) -> None:
    folder = tmp_path / "Ergebnis für 日本"
    folder.mkdir()
    out = folder / "sr.nii.gz"
    job = Job(
        SuperResolveRequest(input=patient.low, output=out, model=patient.model, prior=patient.static, device="cpu")
    )
    worker, _, loop = run_really(job)
    events: list[Event] = []
    worker.event.connect(events.append)
    outcome = done(worker, loop)
    assert outcome == Outcome(Ending.COMPLETE, {"output": out, "frames": folder / "sr.nii.gz.frames"})
    frames = [event for event in events if isinstance(event, Frame)]
    assert [frame.number for frame in frames] == list(range(TIME_POINTS))
    assert all(frame.path.is_file() for frame in frames)
    assert len(read_series(out)) == TIME_POINTS


def test_bad_input_really(tmp_path: Path) -> None:
    request = DownsampleRequest(input=tmp_path / "keine ä.nii", output=tmp_path / "o.nii", fraction=0.25)
    worker, _, loop = run_really(Job(request))
    outcome = done(worker, loop)
    assert outcome.ending is Ending.REFUSED
    assert "keine ä.nii" in outcome.sentence


def test_no_such_interpreter_really(tmp_path: Path) -> None:
    worker, _, loop = run_really(JOB, Interpreter(str(tmp_path / "python"), ROOT))
    assert done(worker, loop).ending is Ending.NOT_STARTED


@pytest.mark.slow
def test_cancel_and_go_on_really(patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    job = Job(fine_tuning(patient, out))
    for attempt in (job, job.resumed()):
        worker, _, loop = run_really(attempt)
        worker.event.connect(lambda event, w=worker: w.cancel() if isinstance(event, Steps) else None)
        assert done(worker, loop).ending is Ending.CANCELLED
        assert [p.name for p in tmp_path.iterdir()] == ["m.state.safetensors"]
    assert any(line.startswith("Resuming after step") for line in worker.log)


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print('{"event": "log", "message": "%d"}' % child.pid, flush=True)
time.sleep(600)
"""


def test_cancel_what_ignores_the_polite_stop_really(tmp_path: Path) -> None:
    worker, process, loop = run_really(JOB, library_of(tmp_path, STUBBORN), grace=0.5)
    loop.run_until(lambda: bool(worker.log))
    grandchild = int(worker.log[0])
    worker.cancel()
    assert done(worker, loop) == Outcome(Ending.CANCELLED)
    assert process.child is not None
    assert process.child.wait() < 0
    loop.run_until(lambda: not is_alive(grandchild), 10)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("code", "ending"), [("import os; os.abort()", Ending.CRASHED), ("", Ending.FAULTY)])
def test_a_worker_that_breaks_really(tmp_path: Path, code: str, ending: Ending) -> None:
    worker, _, loop = run_really(JOB, library_of(tmp_path, code))
    assert done(worker, loop).ending is ending


@pytest.mark.slow
def test_end_at_once_really(patient: Patient, tmp_path: Path) -> None:
    job = Job(fine_tuning(patient, tmp_path / "m.safetensors"))
    worker, process, loop = run_really(job)
    steps: list[Event] = []
    worker.event.connect(lambda event: steps.append(event) if isinstance(event, Steps) else None)
    loop.run_until(lambda: bool(steps))
    worker.end(30)
    assert process.child is not None
    assert process.child.returncode == 130
    assert worker.outcome == Outcome(Ending.CANCELLED)
    assert [p.name for p in tmp_path.iterdir()] == ["m.state.safetensors"]
