"""The worker's events, from lines that come in pieces."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from SRDynamicMRISlicer.jobs.worker_events import (
    LONGEST_LINE,
    Error,
    Event,
    Frame,
    Lines,
    Log,
    Loss,
    Result,
    Stage,
    Steps,
    parse_event,
)

A = Path("/a b/ä.nii.gz")

# Events

EVENTS: dict[str, tuple[dict[str, object], Event]] = {
    "stage": ({"event": "stage", "name": "Fine-tuning"}, Stage("Fine-tuning")),
    "progress": ({"event": "progress", "done": 3, "total": 10}, Steps(3, 10)),
    "nothing done yet": ({"event": "progress", "done": 0, "total": 10}, Steps(0, 10)),
    "loss": ({"event": "loss", "step": 0, "value": 0.5}, Loss(0, 0.5)),
    "whole loss": ({"event": "loss", "step": 1, "value": 2}, Loss(1, 2.0)),
    "frame": ({"event": "frame", "index": 4, "path": "/tmp/ä ö/日本.nii.gz"}, Frame(4, Path("/tmp/ä ö/日本.nii.gz"))),
    "frame of a model": ({"event": "frame", "index": 0, "path": "/a", "model": "e3b0"}, Frame(0, Path("/a"), "e3b0")),
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
    "frame of a model that is a number": '{"event": "frame", "index": 1, "path": "/a", "model": 3}',
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
