"""Something done once a burst of changes has come to rest."""

from __future__ import annotations

from collections.abc import Callable

from .timer import Timer

REST = 0.3
"""Seconds without a change: to read the inputs takes a second for a long series."""


class Debounced:
    """Does something a moment after the last change.

    Parameters
    ----------
    timer
        Calls back.
    action
        What to do.
    """

    def __init__(self, timer: Timer, action: Callable[[], None]) -> None:
        self._timer, self._action = timer, action
        self._call_off: Callable[[], None] | None = None

    def changed(self) -> None:
        """Something has changed."""
        self.stop()
        self._call_off = self._timer.call_later(REST, self._rest)

    def stop(self) -> None:
        """Forget what has changed."""
        if self._call_off is not None:
            self._call_off()
            self._call_off = None

    def _rest(self) -> None:
        self._call_off = None
        self._action()
