"""A job in the background, in a process of its own, and what comes of it."""

from __future__ import annotations

import enum
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..signal import Signal
from ..timer import Timer
from ..translation import _
from .job import Job
from .worker_events import Error, Event, Lines, Log, Result, Stage, parse_event

GRACE = 15.0
"""Seconds from the polite stop to the end by force; the worker's own guard (`stop_with_stdin.GRACE`) comes first."""

PATIENCE = 5.0
"""Seconds to wait for the end of a process that was killed."""

ARGUMENTS = ("-m", "SRDynamicMRILib.cli.preloaded")
"""What a Python interpreter is started with: it loads everything, then waits for a request."""

LOG_LINES = 2000
LONGEST_LOG_LINE = 4000


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
            # Beside Slicer, threads that spin while they wait for one another take many times longer.
            "OMP_WAIT_POLICY": current.get("OMP_WAIT_POLICY", "PASSIVE"),
            "OPENBLAS_NUM_THREADS": current.get("OPENBLAS_NUM_THREADS", "1"),
        }


class Worker:
    """Runs one job in one process and tells what comes of it.

    The process loads everything and is then told its job, so it may be started before there is one. A job is complete
    only if the worker exits with code 0 and has told its result. It can be cancelled: the worker is asked to end, and
    after some seconds its process is killed with everything that it has started.

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
        self._prepared = self._started = self._cancelled = False
        self._job: Job | None = None
        self._result: Result | None = None
        self._sentence = self._last_error_line = ""
        self._call_off: Callable[[], None] = _nothing

    def prepare(self) -> None:
        """Start the process, which waits for a job once it has loaded everything; a worker does this once."""
        self._prepared = True
        process = self._process  # whose signals have no other listeners
        process.started.connect(self._on_started)
        process.output.connect(self._on_output)
        process.error_output.connect(self._on_error_output)
        process.finished.connect(self._on_finished)
        process.start(self._interpreter.program, ARGUMENTS, self._interpreter.environment(os.environ))

    def start(self, job: Job) -> None:
        """Do a job; a worker does this once."""
        self._job = job
        if not self._prepared:
            self.prepare()
        elif self._started:
            self._tell_job()

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
                self._process.wait(PATIENCE)
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
        self._tell_job()

    def _tell_job(self) -> None:
        if self._job is not None and not self._cancelled:
            self._process.write(self._job.request.to_json().encode() + b"\n")

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
