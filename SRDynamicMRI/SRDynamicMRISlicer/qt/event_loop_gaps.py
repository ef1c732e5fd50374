"""How long the application does not answer: the gaps of its event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

import qt


class EventLoopGaps:
    """Measures while it is entered, and only while `run_until` lets the loop run."""

    def __init__(self) -> None:
        self.longest = 0.0
        """Seconds from one turn of the loop to the next, at most."""
        self.longest_busy = 0.0
        """The same in seconds of the main thread's own work: what other programs take from it does not count."""
        self._last: tuple[float, float] | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._beat)

    def __enter__(self) -> EventLoopGaps:
        self._last = None
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.stop()

    def run_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Let the loop run until a condition holds, at most so long; whether it holds."""
        end = time.monotonic() + seconds
        loop = qt.QEventLoop()
        look = qt.QTimer()
        look.setInterval(20)
        look.connect("timeout()", lambda: loop.quit() if condition() or time.monotonic() > end else None)
        look.start()
        self._last = None
        loop.exec_()
        look.stop()
        return condition()

    def _beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        if self._last is not None:
            self.longest = max(self.longest, now[0] - self._last[0])
            self.longest_busy = max(self.longest_busy, now[1] - self._last[1])
        self._last = now
