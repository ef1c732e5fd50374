"""Calls back later in the main thread, on Qt: what `timer.Timer` asks for."""

from __future__ import annotations

from collections.abc import Callable

import qt

from .slots import guarded


class QtTimer:
    """See `timer.Timer`.

    Parameters
    ----------
    report
        Takes what an action raises.
    """

    def __init__(self, report: Callable[[Exception], None]) -> None:
        self._report = report

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call a function once, after so many seconds; returns a function that calls it off."""
        waiting = [guarded(action, self._report)]

        def fire() -> None:
            if waiting:
                waiting.pop()()

        qt.QTimer.singleShot(int(1000 * seconds), fire)
        return waiting.clear
