"""Work that belongs to the main thread, done in small steps so that the user can go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from .signal import Signal
from .timer import Timer

Step = Callable[[], object]


class StepQueue:
    """Does one step at a time and lets the application do what else there is in between.

    A step that fails ends all that wait: they belong to the same thing.

    Parameters
    ----------
    timer
        Calls back.
    """

    def __init__(self, timer: Timer) -> None:
        self.failed: Signal[[Exception]] = Signal()
        """A step has failed; those after it were dropped."""
        self._timer = timer
        self._steps: deque[Step] = deque()
        self._call_off: Callable[[], None] | None = None

    @property
    def waiting(self) -> int:
        """Number of steps that are not done yet."""
        return len(self._steps)

    def add(self, steps: Iterable[Step]) -> None:
        """Do some more steps, in this order, after those that wait."""
        self._steps.extend(steps)
        if self._steps and self._call_off is None:
            self._call_off = self._timer.call_later(0, self._next)

    def clear(self) -> None:
        """Drop all steps that wait."""
        self._steps.clear()
        if self._call_off is not None:
            self._call_off()
            self._call_off = None

    def _next(self) -> None:
        self._call_off = None
        try:
            self._steps.popleft()()
        except Exception as error:
            self.clear()
            self.failed.emit(error)
        self.add(())
