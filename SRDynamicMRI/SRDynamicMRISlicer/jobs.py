"""Work in the background: a command of SRDynamicMRILib in a process of its own, and what it tells."""

from __future__ import annotations

import enum
import json
import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from .signal import Signal
from .translation import _

GRACE = 15.0
"""Seconds from the polite stop to the end by force; the worker's own guard (`stop_with_stdin.GRACE`) comes first."""

PATIENCE = 5.0
"""Seconds to wait for the end of a process that was killed."""

LOG_LINES = 2000
LONGEST_LOG_LINE = 4000
LONGEST_LINE = 1 << 20
"""Bytes of a line that are kept: no event of the worker comes near."""


class Kind(enum.Enum):
    """What a job does; the value is the command."""

    FINE_TUNE = "finetune"
    SUPER_RESOLVE = "superresolve"
    EVALUATE = "evaluate"
    PHANTOM = "phantom"
    DOWNSAMPLE = "downsample"
    INTERPOLATE = "interpolate"
    IMPORT_MODEL = "import-checkpoint"


@dataclass(frozen=True)
class Job:
    """One command for the worker.

    Parameters
    ----------
    kind
        What it does.
    settings
        Arguments of the command, in order.
    resume
        Whether to go on where an equal job was interrupted.
    """

    kind: Kind
    settings: tuple[str, ...]
    resume: bool = False

    @property
    def arguments(self) -> list[str]:
        """What a Python interpreter has to be started with."""
        resume = ["--resume"] if self.resume else []
        watched = ["--progress", "json", "--stop-with-stdin"]
        return ["-m", "SRDynamicMRILib", self.kind.value, *self.settings, *resume, *watched]

    @property
    def can_be_resumed(self) -> bool:
        """Whether an interrupted run leaves something to go on from."""
        return self.kind in (Kind.FINE_TUNE, Kind.SUPER_RESOLVE)

    def resumed(self) -> Job:
        """The same job, going on where it was interrupted."""
        return replace(self, resume=True)


def _options(**values: object) -> Iterator[str]:
    """Command-line options; those without a value (None, False, an empty text) are left out."""
    for name, value in values.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            yield option
        elif not (value is None or value is False or value == ""):
            yield from (option, str(value))


def fine_tune_job(
    prior: Path,
    series: Path,
    output: Path,
    *,
    model: Path | None = None,
    budget: str = "standard",
    device: str = "auto",
    seed: int = 0,
    keep_contrast: bool = False,
) -> Job:
    """Fine-tune a model (the shipped one if none is given) on the planning scan `prior` for a low-resolution series."""
    options = _options(
        like=series, output=output, model=model, budget=budget, device=device, seed=seed, keep_contrast=keep_contrast
    )
    return Job(Kind.FINE_TUNE, (str(prior), *options))


def super_resolve_job(
    series: Path,
    output: Path,
    *,
    model: Path | None = None,
    prior: Path | None = None,
    fraction: float | None = None,
    frames: str = "",
    device: str = "auto",
    seed: int = 0,
) -> Job:
    """Super-resolve the time points `frames` (``A:B`` or ``A``; all if empty) to the voxel size of `prior`."""
    options = _options(model=model, like=prior, fraction=fraction, frames=frames, device=device, seed=seed)
    return Job(Kind.SUPER_RESOLVE, (str(series), str(output), *options))


def evaluate_job(result: Path, truth: Path, output: Path, *, baselines: Mapping[str, Path] | None = None) -> Job:
    """Compare a result, and baselines by name, with the ground truth; everything goes to the folder `output`."""
    named = [f"{name}={path}" for name, path in (baselines or {}).items()]
    options = _options(output=output)
    return Job(Kind.EVALUATE, (str(result), str(truth), *(["--baseline", *named] if named else []), *options))


def phantom_job(folder: Path, *, time_points: int = 10, seed: int = 0) -> Job:
    """Make the synthetic abdomen in a folder."""
    return Job(Kind.PHANTOM, (str(folder), *_options(time_points=time_points, seed=seed)))


def downsample_job(series: Path, output: Path, *, fraction: float) -> Job:
    """Keep that share of a series' in-plane k-space."""
    return Job(Kind.DOWNSAMPLE, (str(series), str(output), *_options(fraction=fraction)))


def interpolate_job(series: Path, output: Path, *, like: Path, method: str = "zero_filled") -> Job:
    """Bring a series to the grid of a volume without learning."""
    return Job(Kind.INTERPOLATE, (str(series), str(output), *_options(like=like, method=method)))


def import_model_job(checkpoint: Path, output: Path) -> Job:
    """Turn a published PyTorch checkpoint into a model."""
    return Job(Kind.IMPORT_MODEL, (str(checkpoint), str(output)))


# What the worker tells


@dataclass(frozen=True)
class Stage:
    """A part of the work begins."""

    name: str


@dataclass(frozen=True)
class Steps:
    """`done` of `total` steps of the stage are finished."""

    done: int
    total: int


@dataclass(frozen=True)
class Loss:
    """The training loss after a step."""

    step: int
    value: float


@dataclass(frozen=True)
class Frame:
    """Time point `number` is ready as a file."""

    number: int
    path: Path


@dataclass(frozen=True)
class Log:
    """Something for the log: a message of the worker, or a line that is none of its events.

    Parameters
    ----------
    text
        The line.
    warning
        What the user has to know before trusting the outcome, as a sentence without the word; empty for all else.
    """

    text: str
    warning: str = ""


@dataclass(frozen=True)
class Result:
    """The work is complete; every file or folder it made, by what it is."""

    outputs: dict[str, Path]


@dataclass(frozen=True)
class Error:
    """The work ends without a result, for a reason that is one sentence."""

    sentence: str


Event = Stage | Steps | Loss | Frame | Log | Result | Error


def parse_event(line: str) -> Event:
    """The event that a line of the worker's standard output is; `Log` for any other line, whatever it is."""
    try:
        fields = json.loads(line)
        return _EVENTS[fields["event"]](fields)
    except (ValueError, TypeError, KeyError, RecursionError):
        return Log(line)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise TypeError
    return float(value)  # type: ignore[arg-type]


def _path(value: object) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise TypeError
    return Path(value)


def _steps(fields: Mapping[str, object]) -> Steps:
    steps = Steps(_count(fields["done"]), _count(fields["total"]))
    if not 0 < steps.total >= steps.done:
        raise ValueError
    return steps


def _log(fields: Mapping[str, object]) -> Log:
    text = _text(fields["message"])
    return Log(text, text.removeprefix("Warning: ") if fields.get("level") == "warning" else "")


def _result(fields: Mapping[str, object]) -> Result:
    outputs = fields["outputs"]
    if not isinstance(outputs, dict):
        raise TypeError
    return Result({name: _path(path) for name, path in outputs.items()})


_EVENTS: dict[str, Callable[[Mapping[str, object]], Event]] = {
    "stage": lambda fields: Stage(_text(fields["name"])),
    "progress": _steps,
    "loss": lambda fields: Loss(_count(fields["step"]), _number(fields["value"])),
    "frame": lambda fields: Frame(_count(fields["index"]), _path(fields["path"])),
    "log": _log,
    "result": _result,
    "error": lambda fields: Error(_text(fields["message"])),
}


class Lines:
    """Makes lines of bytes that arrive in pieces. Of a line longer than `LONGEST_LINE` the beginning is kept."""

    def __init__(self) -> None:
        self._begun = bytearray()

    def feed(self, data: bytes) -> Iterator[str]:
        """Lines that are complete with this piece."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._append(part)
            yield self._take()
        self._append(rest)

    def end(self) -> Iterator[str]:
        """The last line, where no newline ended it."""
        if self._begun:
            yield self._take()

    def _append(self, part: bytes) -> None:
        self._begun += part[: LONGEST_LINE - len(self._begun)]

    def _take(self) -> str:
        line = self._begun.decode("utf-8", errors="replace").rstrip("\r")
        self._begun.clear()
        return line


# The process and who watches it


class Process(Protocol):
    """A program that runs beside this one. Everything it emits, it emits in the main thread."""

    started: Signal[[]]
    output: Signal[[bytes]]
    error_output: Signal[[bytes]]
    finished: Signal[[int | None]]
    """Emitted once, after all output: the exit code; None if the program could not start, crashed or was killed."""

    def start(self, program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a program, with variables added to the environment, and keep its standard input open.

        Returns at once and raises nothing: a program that cannot start is `finished` without having `started`.
        """

    def write(self, data: bytes) -> None:
        """Write to the standard input of the program, which has been started."""

    def stop(self) -> None:
        """Ask the program to end, by closing its standard input."""

    def kill(self) -> None:
        """End the program and everything that it has started, at once."""

    def wait(self, seconds: float) -> bool:
        """Block until the program has ended, at most so long; whether it has."""


class Timer(Protocol):
    """Calls back in the main thread."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call a function once, after so many seconds; returns a function that calls it off."""


class Ending(enum.Enum):
    """How a job has ended."""

    COMPLETE = enum.auto()
    CANCELLED = enum.auto()
    NOT_STARTED = enum.auto()
    CRASHED = enum.auto()
    REFUSED = enum.auto()
    """The worker has said what is wrong with the input, the computer or the disk (exit code 2)."""
    FAULTY = enum.auto()
    """Anything else that is not a complete result."""


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Parameters
    ----------
    ending
        How it ended.
    outputs
        Every file or folder it made, by what it is; empty unless complete.
    sentence
        Why it failed, in words for the user; empty unless it failed.
    """

    ending: Ending
    outputs: dict[str, Path] = field(default_factory=dict)
    sentence: str = ""


@dataclass(frozen=True)
class Interpreter:
    """What runs the worker.

    Parameters
    ----------
    program
        The Python interpreter, in Slicer its PythonSlicer.
    library
        The folder that holds SRDynamicMRILib.
    """

    program: str
    library: Path

    def environment(self, current: Mapping[str, str]) -> dict[str, str]:
        """Variables that the worker needs, besides those that this program has."""
        paths = [str(self.library), *filter(None, [current.get("PYTHONPATH")])]
        return {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONSAFEPATH": "1",  # not what happens to lie in the current folder
            "PYTHONUTF8": "1",  # names of files may hold any character, a Windows code page may not
            "PYTHONUNBUFFERED": "1",
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # graphics cards are counted as their driver counts them
        }


class Worker:
    """Runs one job in one process and tells what comes of it.

    A job is complete only if the worker exits with code 0 and has told its result. It can be cancelled: the worker is
    asked to end, and after some seconds its process is killed with everything that it has started.

    Parameters
    ----------
    process
        A process that has not been started.
    timer
        For the grace time.
    interpreter
        What to run.
    grace
        Seconds from asking to killing.
    """

    def __init__(self, process: Process, timer: Timer, interpreter: Interpreter, grace: float = GRACE) -> None:
        self.event: Signal[[Event]] = Signal()
        self.finished: Signal[[Outcome]] = Signal()
        """Emitted once."""
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.logged: Signal[[str]] = Signal()
        self.outcome: Outcome | None = None
        self._process, self._timer, self._interpreter, self._grace = process, timer, interpreter, grace
        self._output, self._error_output = Lines(), Lines()
        self._started = self._cancelled = False
        self._result: Result | None = None
        self._sentence = self._last_error_line = ""
        self._call_off: Callable[[], None] = _nothing

    def start(self, job: Job) -> None:
        """Start the job; a worker does this once."""
        process = self._process  # whose signals have no other listeners
        process.started.connect(self._on_started)
        process.output.connect(self._on_output)
        process.error_output.connect(self._on_error_output)
        process.finished.connect(self._on_finished)
        process.start(self._interpreter.program, job.arguments, self._interpreter.environment(os.environ))

    def cancel(self) -> None:
        """Ask the process to end, and kill it if it has not after the grace time; asking again changes nothing."""
        if self.outcome is None and not self._cancelled:
            self._cancelled = True
            self._call_off = self._timer.call_later(self._grace, self._kill)
            self._process.stop()

    def end(self, seconds: float) -> None:
        """Ask the process to end and wait for it, then kill it: for an application that is about to end itself."""
        if self.outcome is None:
            self._cancelled = True
            self._process.stop()
            if self.outcome is None and not self._process.wait(seconds):
                self._process.kill()
            self._finish(Outcome(Ending.CANCELLED))

    def _kill(self) -> None:
        self._add_to_log(_("The computation did not stop when asked to, so it was ended by force."))
        self._call_off = self._timer.call_later(PATIENCE, self._give_up)
        self._process.kill()

    def _give_up(self) -> None:
        self._add_to_log(_("The computation could not be ended; restart the computer if it stays slow."))
        self._finish(Outcome(Ending.CANCELLED))

    def _on_started(self) -> None:
        self._started = True

    def _on_output(self, data: bytes) -> None:
        for line in self._output.feed(data):
            self._take(line)

    def _on_error_output(self, data: bytes) -> None:
        for line in self._error_output.feed(data):
            self._take_error(line)

    def _take(self, line: str) -> None:
        event = parse_event(line)
        if isinstance(event, Log) and not event.warning:  # standard error has warnings as well
            self._add_to_log(event.text)
        elif isinstance(event, Stage):
            self._add_to_log(event.name)
        elif isinstance(event, Error):
            self._sentence = _one_line(event.sentence)
        elif isinstance(event, Result):
            self._result = event
        if self.outcome is None:  # a listener may have ended it
            self.event.emit(event)

    def _take_error(self, line: str) -> None:
        if line.strip():
            self._last_error_line = _one_line(line)
            self._add_to_log(line)

    def _add_to_log(self, text: str) -> None:
        for line in text.splitlines():
            short = line if len(line) <= LONGEST_LOG_LINE else line[:LONGEST_LOG_LINE] + " ..."
            self.log.append(short)
            self.logged.emit(short)

    def _on_finished(self, code: int | None) -> None:
        for line in self._output.end():
            self._take(line)
        for line in self._error_output.end():
            self._take_error(line)
        if self._result is not None and code == 0:
            self._finish(Outcome(Ending.COMPLETE, self._result.outputs))
        elif self._cancelled:
            self._finish(Outcome(Ending.CANCELLED))
        else:
            self._finish(self._failure(code))

    def _failure(self, code: int | None) -> Outcome:
        said = self._sentence or self._last_error_line
        if self._sentence and self._sentence not in self.log:  # standard error has it as well, as a rule
            self._add_to_log(self._sentence)
        if code is None and not self._started:
            program = self._interpreter.program
            sentence = _("The computation could not be started: {program} does not run.").format(program=program)
            return Outcome(Ending.NOT_STARTED, sentence=sentence)
        if code is None:
            return Outcome(Ending.CRASHED, sentence=self._sentence or _("The computation ended without a warning."))
        if code == 130:
            return Outcome(Ending.FAULTY, sentence=_("The computation was stopped from outside."))
        if code == 2 and said:
            return Outcome(Ending.REFUSED, sentence=said)
        if code == 0:
            return Outcome(Ending.FAULTY, sentence=said or _("The computation ended without a result."))
        fallback = _("The computation failed with exit code {code}.").format(code=code)
        return Outcome(Ending.FAULTY, sentence=said or fallback)

    def _finish(self, outcome: Outcome) -> None:
        if self.outcome is not None:
            return
        self.outcome = outcome
        self._call_off()
        for signal in (self._process.started, self._process.output, self._process.error_output, self._process.finished):
            signal.clear()
        self.finished.emit(outcome)


def _one_line(text: str) -> str:
    """The last line of a text, for a place that has room for one sentence."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:LONGEST_LOG_LINE] if lines else ""


def _nothing() -> None:
    """Nothing to call off."""
