"""How long-running work reports its progress: not at all, on a terminal, or to another program."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from .errors import InputError
from .streams import drop, not_printed, write_or_drop
from .volume import Series, Volume


class Progress:
    """Receives what a computation reports. This one says nothing; the library's functions default to it."""

    watched = False
    """Whether another program may be reading the files that `frame` names, so that they must stay."""

    def stage(self, name: str) -> None:
        """A part of the work begins, such as ``Fine-tuning``."""

    def step(self, done: int, total: int) -> None:
        """`done` of `total` steps of the stage are finished."""

    def loss(self, step: int, value: float) -> None:
        """The training loss at a step."""

    def validation(self, step: int, scores: Mapping[str, float]) -> None:
        """The network was validated after a number of training steps, with these scores by name."""
        self.log(f"Step {step}: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))

    def frame(self, number: int, path: Path, consistency: Mapping[str, float], model: str) -> None:
        """Time point `number` is ready as a file, consistent with the acquired image as these figures say.

        It was made by the model with this SHA-256.
        """

    def warn(self, message: str) -> None:
        """Something that a user has to know before trusting the outcome."""

    def log(self, message: str) -> None:
        """Something a user may want to know later."""

    def result(self, outputs: dict[str, Path]) -> None:
        """The work is complete; `outputs` names every file or folder it made."""

    def error(self, message: str) -> None:
        """The work ends without a result, for the reason given."""


class JsonProgress(Progress):
    """One JSON object a line, for a program that watches (the ``--progress json`` contract).

    Every line has an ``event``: stage, progress, loss, frame, log, result or error. Where nobody reads any more, the
    work is cancelled as by Ctrl-C, so that what can be resumed is kept; where lines cannot be written, it is refused.
    """

    watched = True

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def _emit(self, event: str, **fields: object) -> None:
        try:
            self._stream.write(json.dumps({"event": event, **fields}) + "\n")
            self._stream.flush()
        except OSError as error:
            drop(self._stream)
            if isinstance(error, BrokenPipeError):
                raise KeyboardInterrupt from None
            raise InputError(not_printed(error)) from error

    def stage(self, name: str) -> None:
        self._emit("stage", name=name)

    def step(self, done: int, total: int) -> None:
        self._emit("progress", done=done, total=total)

    def loss(self, step: int, value: float) -> None:
        self._emit("loss", step=step, value=value)

    def frame(self, number: int, path: Path, consistency: Mapping[str, float], model: str) -> None:
        self._emit("frame", index=number, path=str(path), consistency=dict(consistency), model=model)

    def warn(self, message: str) -> None:
        self._emit("log", message=f"Warning: {message}", level="warning")
        _write_warning(message)

    def log(self, message: str) -> None:
        self._emit("log", message=message)

    def result(self, outputs: dict[str, Path]) -> None:
        self._emit("result", outputs={name: str(path) for name, path in outputs.items()})

    def error(self, message: str) -> None:
        self._emit("error", message=message)


class WarningsOnly(Progress):
    """Warnings on standard error, and nothing else."""

    def warn(self, message: str) -> None:
        _write_warning(message)


class BarProgress(Progress):
    """A bar with the time left on a terminal; on anything else one line a stage."""

    WIDTH = 30

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._name = ""
        self._note = ""
        self._started = time.monotonic()
        self._open = False

    def _close(self) -> None:
        if self._open:
            write_or_drop(self._stream, "\n")
            self._open = False

    def _line(self, text: str) -> None:
        self._close()
        write_or_drop(self._stream, text + "\n")

    def stage(self, name: str) -> None:
        self._close()
        self._name, self._note, self._started = name, "", time.monotonic()
        if not self._live:
            self._line(name)

    def step(self, done: int, total: int) -> None:
        elapsed = time.monotonic() - self._started
        if self._live:
            filled = round(self.WIDTH * done / max(total, 1))
            bar = "#" * filled + "." * (self.WIDTH - filled)
            left = elapsed / done * (total - done) if done else 0.0
            text = f"\r{self._name} [{bar}] {done}/{total} {left:.0f} s left{self._note} "
            write_or_drop(self._stream, text)
            self._open = True
        if done == total:
            self._line(f"{self._name} took {elapsed:.1f} s")

    def loss(self, step: int, value: float) -> None:
        self._note = f", loss {value:.5f}"

    def warn(self, message: str) -> None:
        self._line(f"Warning: {message}")

    def log(self, message: str) -> None:
        self._line(message)

    def result(self, outputs: dict[str, Path]) -> None:
        for name, path in outputs.items():
            self._line(f"{name}: {path}")

    def error(self, message: str) -> None:
        self._close()


class PythonWarnings(Progress):
    """Warnings as Python's own, which a notebook shows; what the library's users get unless they ask for more."""

    def warn(self, message: str) -> None:
        warnings.warn(message, stacklevel=4)


def tell(sentences: Iterable[str], progress: Progress) -> list[str]:
    """Warn of every sentence, once; return those that were told."""
    told = list(dict.fromkeys(sentences))
    for sentence in told:
        progress.warn(sentence)
    return told


def counted(series: Series, progress: Progress) -> Series:
    """The series, telling of every volume that is made."""

    def count(number: int, volume: Volume) -> Volume:
        progress.step(number + 1, len(series))
        return volume

    return series.when_loaded(count)


def _write_warning(message: str) -> None:
    write_or_drop(sys.stderr, f"Warning: {message}\n")
