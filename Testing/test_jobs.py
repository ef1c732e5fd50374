"""Jobs, the worker's events, and a worker on a process that does anything a process can do."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from conftest import TIME_POINTS, Patient
from processes import INTERPRETER, ROOT, FakeFailingToStart, FakeProcess, FakeTimer, Loop, RealProcess
from SRDynamicMRISlicer import jobs, translation
from SRDynamicMRISlicer.jobs import (
    GRACE,
    LOG_LINES,
    LONGEST_LINE,
    LONGEST_LOG_LINE,
    PATIENCE,
    Ending,
    Error,
    Event,
    Frame,
    Interpreter,
    Job,
    Kind,
    Lines,
    Log,
    Loss,
    Outcome,
    Result,
    Stage,
    Steps,
    Worker,
    parse_event,
)
from SRDynamicMRISlicer.signal import Signal

from SRDynamicMRILib.cli import build_parser
from SRDynamicMRILib.files import read_series
from SRDynamicMRILib.stop_with_stdin import GRACE as GUARD

pytestmark = pytest.mark.usefixtures("lost_errors")

WATCHED = ["--progress", "json", "--stop-with-stdin"]
A, B, C = Path("/a b/ä.nii.gz"), Path("/b.nii.gz"), Path("/c.safetensors")


# Signals


def test_signal_calls_all_in_order() -> None:
    signal: Signal[[int, str]] = Signal()
    heard: list[object] = []
    signal.connect(lambda n, s: heard.append((1, n, s)))
    signal.connect(lambda n, s: heard.append((2, n, s)))
    signal.emit(7, "x")
    assert heard == [(1, 7, "x"), (2, 7, "x")]
    signal.clear()
    signal.emit(8, "y")
    assert len(heard) == 2


def test_signal_calls_a_listener_once_and_not_after_disconnecting() -> None:
    signal: Signal[[]] = Signal()
    heard: list[int] = []

    def listener() -> None:
        heard.append(1)

    signal.connect(listener)
    signal.connect(listener)
    signal.emit()
    assert heard == [1]
    signal.disconnect(listener)
    signal.disconnect(listener)
    signal.emit()
    assert heard == [1]


def test_signal_listeners_may_disconnect_others_and_connect_more_while_it_emits() -> None:
    signal: Signal[[]] = Signal()
    heard: list[str] = []

    def second() -> None:
        heard.append("second")

    def third() -> None:
        heard.append("third")

    def first() -> None:
        heard.append("first")
        signal.disconnect(second)
        signal.connect(third)

    signal.connect(first)
    signal.connect(second)
    signal.emit()
    assert heard == ["first"], "what is connected meanwhile waits for the next time"
    signal.emit()
    assert heard == ["first", "first", "third"]


def test_a_failing_listener_stops_no_one_and_is_not_silent(lost_errors: list[BaseException]) -> None:
    signal: Signal[[]] = Signal()
    heard: list[int] = []

    def failing() -> None:
        raise ValueError("mine")

    signal.connect(failing)
    signal.connect(lambda: heard.append(1))
    signal.emit()
    assert heard == [1]
    assert [str(error) for error in lost_errors] == ["mine"]
    lost_errors.clear()


# Translation


def test_texts_are_translated_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "_translator", [])
    assert translation._("Ready.") == "Ready."
    translation.translate_with("Übersetzt: {}".format)
    assert translation._("Ready.") == "Übersetzt: Ready."
    worker, process, _ = running()
    process.end(7)
    assert worker.outcome == Outcome(Ending.FAULTY, {}, "Übersetzt: The computation failed with exit code 7.")


# Jobs

JOBS = {
    "fine-tuning": (
        jobs.fine_tune_job(A, B, C, model=C, budget="quick", device="cuda:1", seed=3, keep_contrast=True),
        ["finetune", str(A), "--like", str(B), "--output", str(C), "--model", str(C), "--budget", "quick"]
        + ["--device", "cuda:1", "--seed", "3", "--keep-contrast"],
    ),
    "fine-tuning by default": (
        jobs.fine_tune_job(A, B, C),
        ["finetune", str(A), "--like", str(B), "--output", str(C), "--budget", "standard"]
        + ["--device", "auto", "--seed", "0"],
    ),
    "super-resolution": (
        jobs.super_resolve_job(A, B, model=C, prior=A, frames="2:5"),
        ["superresolve", str(A), str(B), "--model", str(C), "--like", str(A), "--frames", "2:5"]
        + ["--device", "auto", "--seed", "0"],
    ),
    "super-resolution of a fraction": (
        jobs.super_resolve_job(A, B, fraction=0.1),
        ["superresolve", str(A), str(B), "--fraction", "0.1", "--device", "auto", "--seed", "0"],
    ),
    "evaluation": (
        jobs.evaluate_job(A, B, C, baselines={"Zero-filled": A, "x=y": B}),
        ["evaluate", str(A), str(B), "--baseline", f"Zero-filled={A}", f"x=y={B}", "--output", str(C)],
    ),
    "evaluation alone": (jobs.evaluate_job(A, B, C), ["evaluate", str(A), str(B), "--output", str(C)]),
    "phantom": (jobs.phantom_job(A, time_points=4), ["phantom", str(A), "--time-points", "4", "--seed", "0"]),
    "downsampling": (jobs.downsample_job(A, B, fraction=0.25), ["downsample", str(A), str(B), "--fraction", "0.25"]),
    "interpolation": (
        jobs.interpolate_job(A, B, like=C),
        ["interpolate", str(A), str(B), "--like", str(C), "--method", "zero_filled"],
    ),
    "import": (jobs.import_model_job(A, C), ["import-checkpoint", str(A), str(C)]),
}


@pytest.mark.parametrize("name", JOBS)
def test_arguments_are_those_of_the_command_line(name: str) -> None:
    job, expected = JOBS[name]
    assert job.arguments == ["-m", "SRDynamicMRILib", *expected, *WATCHED]
    parsed = build_parser().parse_args(job.arguments[2:])
    assert (parsed.command, parsed.progress, parsed.stop_with_stdin) == (job.kind.value, "json", True)


def test_every_kind_of_job_is_tried() -> None:
    assert {job.kind for job, _ in JOBS.values()} == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_what_can_be_resumed_is_what_the_command_line_can_resume(kind: Kind) -> None:
    job = next(job for job, _ in JOBS.values() if job.kind is kind)
    resumed = job.resumed()
    assert resumed.arguments == [*job.arguments[:-3], "--resume", *WATCHED]
    assert job != resumed
    if job.can_be_resumed:
        assert build_parser().parse_args(resumed.arguments[2:]).resume
    else:
        with pytest.raises(SystemExit):
            build_parser().parse_args(resumed.arguments[2:])


def test_environment() -> None:
    own = Interpreter("python", Path("/extension"))
    assert own.environment({})["PYTHONPATH"] == "/extension"
    assert own.environment({"PYTHONPATH": "/x"})["PYTHONPATH"] == f"/extension{os.pathsep}/x"
    assert own.environment({})["PYTHONUTF8"] == "1"
    assert own.environment({})["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


# Events

EVENTS: dict[str, tuple[dict[str, object], Event]] = {
    "stage": ({"event": "stage", "name": "Fine-tuning"}, Stage("Fine-tuning")),
    "progress": ({"event": "progress", "done": 3, "total": 10}, Steps(3, 10)),
    "nothing done yet": ({"event": "progress", "done": 0, "total": 10}, Steps(0, 10)),
    "loss": ({"event": "loss", "step": 0, "value": 0.5}, Loss(0, 0.5)),
    "whole loss": ({"event": "loss", "step": 1, "value": 2}, Loss(1, 2.0)),
    "frame": ({"event": "frame", "index": 4, "path": "/tmp/ä ö/日本.nii.gz"}, Frame(4, Path("/tmp/ä ö/日本.nii.gz"))),
    "log": ({"event": "log", "message": "said"}, Log("said")),
    "warning": ({"event": "log", "message": "Warning: No.", "level": "warning"}, Log("Warning: No.", "No.")),
    "result": ({"event": "result", "outputs": {"model": "/ä"}}, Result({"model": Path("/ä")})),
    "empty result": ({"event": "result", "outputs": {}}, Result({})),
    "error": ({"event": "error", "message": "No."}, Error("No.")),
    "what is new": ({"event": "error", "message": "No.", "more": [1]}, Error("No.")),
}


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("name", EVENTS)
def test_events(name: str, ascii_only: bool) -> None:
    fields, event = EVENTS[name]
    assert parse_event(json.dumps(fields, ensure_ascii=ascii_only)) == event


NO_EVENTS = {
    "words": "Loading weights...",
    "nothing": "",
    "number": "7",
    "list": "[1, 2]",
    "null": "null",
    "text": '"stage"',
    "unknown event": '{"event": "celebrate"}',
    "event of no kind": '{"event": ["stage"]}',
    "event without a name": '{"name": "x"}',
    "stage without a name": '{"event": "stage"}',
    "stage named by a number": '{"event": "stage", "name": 3}',
    "progress in words": '{"event": "progress", "done": "3", "total": "4"}',
    "progress backwards": '{"event": "progress", "done": -1, "total": 4}',
    "progress beyond the end": '{"event": "progress", "done": 5, "total": 4}',
    "progress of nothing": '{"event": "progress", "done": 0, "total": 0}',
    "progress of truth": '{"event": "progress", "done": true, "total": true}',
    "loss that is none": '{"event": "loss", "step": 1, "value": NaN}',
    "infinite loss": '{"event": "loss", "step": 1, "value": Infinity}',
    "loss in words": '{"event": "loss", "step": 1, "value": "0.5"}',
    "frame without a path": '{"event": "frame", "index": 1, "path": ""}',
    "frame with a path that is none": '{"event": "frame", "index": 1, "path": "a\\u0000b"}',
    "frame that is half a number": '{"event": "frame", "index": 1.5, "path": "/a"}',
    "log that is a list": '{"event": "log", "message": ["x"]}',
    "result that is a list": '{"event": "result", "outputs": ["/a"]}',
    "result of numbers": '{"event": "result", "outputs": {"model": 3}}',
    "error without words": '{"event": "error", "message": null}',
    "half a line": '{"event": "sta',
    "deep": "[" * 200_000,
    "long number": '{"event": "progress", "done": ' + "1" * 10_000 + ', "total": 3}',
}


@pytest.mark.parametrize("name", NO_EVENTS)
def test_everything_else_is_for_the_log(name: str) -> None:
    assert parse_event(NO_EVENTS[name]) == Log(NO_EVENTS[name])


def test_a_name_that_is_not_text_comes_back_as_it_was() -> None:
    name = os.fsdecode(b"/tmp/\xff.nii.gz")
    event = parse_event(json.dumps({"event": "frame", "index": 0, "path": name}))
    assert isinstance(event, Frame)
    assert os.fsencode(event.path) == b"/tmp/\xff.nii.gz"


# Lines


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_in_pieces(size: int) -> None:
    data = "ä\n\nzwei 日本\r\nlast".encode()
    lines = Lines()
    found = [line for at in range(0, len(data), size) for line in lines.feed(data[at : at + size])]
    assert found == ["ä", "", "zwei 日本"]
    assert list(lines.end()) == ["last"]
    assert list(lines.end()) == []


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert list(Lines().feed(b"a\xff\n")) == ["a\ufffd"]


def test_of_a_huge_line_the_beginning_is_kept() -> None:
    lines = Lines()
    for _ in range(40):
        assert list(lines.feed(b"x" * 100_000)) == []
    (line,) = lines.feed(b"y\n")
    assert line == "x" * LONGEST_LINE
    assert list(lines.feed(b"z\n")) == ["z"]


# Workers on a fake process


def running(process: FakeProcess | None = None) -> tuple[Worker, FakeProcess, FakeTimer]:
    process, timer = process or FakeProcess(), FakeTimer()
    worker = Worker(process, timer, INTERPRETER)
    worker.start(jobs.phantom_job(A))
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
    assert process.arguments == jobs.phantom_job(A).arguments
    assert process.environment["PYTHONPATH"].startswith(str(ROOT))


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
    worker.start(jobs.phantom_job(A))
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
    assert process.asked == ["start", "stop", "wait 3", *([] if polite else ["kill"])]
    assert found == [Outcome(Ending.CANCELLED)]
    assert timer.waiting == 0


def test_a_listener_may_end_it_in_the_middle_of_its_words() -> None:
    worker, process, _ = running()
    found, events = outcomes(worker), []
    worker.event.connect(lambda event: (events.append(event), worker.end(1)))
    process.output.emit(b'{"event": "stage", "name": "a"}\n{"event": "stage", "name": "b"}\n')
    assert events == [Stage("a")]
    assert found == [Outcome(Ending.CANCELLED)]


# Workers on the real command line


def run_really(
    job: Job, interpreter: Interpreter = INTERPRETER, grace: float = GRACE
) -> tuple[Worker, RealProcess, Loop]:
    loop = Loop()
    process = RealProcess(loop)
    worker = Worker(process, loop, interpreter, grace)
    worker.start(job)
    return worker, process, loop


def done(worker: Worker, loop: Loop) -> Outcome:
    loop.run_until(lambda: worker.outcome is not None)
    assert worker.outcome is not None
    return worker.outcome


@pytest.mark.slow
def test_super_resolution_really(patient: Patient, tmp_path: Path) -> None:
    folder = tmp_path / "Ergebnis für 日本"
    folder.mkdir()
    out = folder / "sr.nii.gz"
    job = jobs.super_resolve_job(patient.low, out, model=patient.model, prior=patient.static, device="cpu")
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
    worker, _, loop = run_really(jobs.downsample_job(tmp_path / "keine ä.nii", tmp_path / "o.nii", fraction=0.25))
    outcome = done(worker, loop)
    assert outcome.ending is Ending.REFUSED
    assert "keine ä.nii" in outcome.sentence


def test_no_such_interpreter_really(tmp_path: Path) -> None:
    worker, _, loop = run_really(jobs.phantom_job(tmp_path), Interpreter(str(tmp_path / "python"), ROOT))
    assert done(worker, loop).ending is Ending.NOT_STARTED


@pytest.mark.slow
def test_cancel_and_go_on_really(patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    job = jobs.fine_tune_job(patient.static, patient.low, out, model=patient.model, device="cpu")
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
    (tmp_path / "SRDynamicMRILib.py").write_text(STUBBORN)
    worker, process, loop = run_really(jobs.phantom_job(tmp_path), Interpreter(sys.executable, tmp_path), grace=0.5)
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
    (tmp_path / "SRDynamicMRILib.py").write_text(code)
    worker, _, loop = run_really(jobs.phantom_job(tmp_path), Interpreter(sys.executable, tmp_path))
    assert done(worker, loop).ending is ending


@pytest.mark.slow
def test_end_at_once_really(patient: Patient, tmp_path: Path) -> None:
    job = jobs.fine_tune_job(patient.static, patient.low, tmp_path / "m.safetensors", model=patient.model, device="cpu")
    worker, process, loop = run_really(job)
    steps: list[Event] = []
    worker.event.connect(lambda event: steps.append(event) if isinstance(event, Steps) else None)
    loop.run_until(lambda: bool(steps))
    worker.end(30)
    assert process.child is not None
    assert process.child.returncode == 130
    assert worker.outcome == Outcome(Ending.CANCELLED)
    assert [p.name for p in tmp_path.iterdir()] == ["m.state.safetensors"]
