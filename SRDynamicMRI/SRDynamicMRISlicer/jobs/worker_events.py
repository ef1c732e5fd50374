"""What the worker tells on its standard output, line by line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LONGEST_LINE = 1 << 20
"""Bytes of a line that are kept: no event of the worker comes near."""


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
    """Time point `number` is ready as a file, made by the model with this SHA-256; empty if it was not told."""

    number: int
    path: Path
    model: str = ""


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
    "frame": lambda fields: Frame(_count(fields["index"]), _path(fields["path"]), _text(fields.get("model", ""))),
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
