"""What commands are given, leave behind and show."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUIET = ("--progress", "none")
JSON = ("--progress", "json")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON objects of stdout, one for every line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def messages(self, event: str = "log") -> str:
        """The messages of all events of a kind, one a line."""
        return "\n".join(e["message"] for e in self.events if e["event"] == event)


Command = Callable[..., Outcome]
"""Runs the command line with arguments: the fixture `command`."""

Show = Callable[[str], None]
"""Shows a measured figure: the fixture `show`."""


def strict_json(path: Path) -> Any:
    """Content of a JSON file; NaN and Infinity, which JSON does not have, fail."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
