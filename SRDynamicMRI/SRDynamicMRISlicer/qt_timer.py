"""Calls back later in the main thread, on Qt: what `timer.Timer` asks for."""

from __future__ import annotations

from collections.abc import Callable

import qt


class QtTimer:
    """See `timer.Timer`."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call a function once, after so many seconds; returns a function that calls it off."""
        waiting = [action]

        def fire() -> None:
            if waiting:
                waiting.pop()()

        qt.QTimer.singleShot(int(1000 * seconds), fire)
        return waiting.clear
