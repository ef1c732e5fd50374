"""What calls back later: on Qt in Slicer, by hand in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Calls back in the main thread."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call a function once, after so many seconds; returns a function that calls it off."""
