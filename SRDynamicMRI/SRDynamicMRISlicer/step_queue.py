"""Work that belongs to the main thread, done in small steps so that the user can go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import TypeVar

from .signal import Signal
from .timer import Timer

Step = Callable[[], object]
"""Does a little; or returns an iterator that does so each time it is asked for its next item."""

T = TypeVar("T")
Stepwise = Generator[None, None, T]
"""Work that pauses now and then, for the application to do what else there is, and returns something in the end."""

_END = object()


def at_once(work: Stepwise[T]) -> T:
    """Do some work without a pause, where nothing else is to go on; what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


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
        """Number of steps that are not done yet; one that goes on counts as one."""
        return len(self._steps)

    def add(self, steps: Iterable[Step]) -> None:
        """Do some more steps, in this order, after those that wait."""
        self._steps.extend(steps)
        if self._steps and self._call_off is None:
            self._call_off = self._timer.call_later(0, self._next)

    def clear(self) -> None:
        """Drop all steps that wait, and what is left of one that goes on."""
        self._steps = deque()
        if self._call_off is not None:
            self._call_off()
            self._call_off = None

    def _next(self) -> None:
        self._call_off = None
        steps = self._steps
        try:
            work = steps.popleft()()
            if isinstance(work, Iterator):
                steps.appendleft(partial(_go_on, work))
        except Exception as error:
            self.clear()
            self.failed.emit(error)
        self.add(())


def _go_on(work: Iterator[object]) -> Iterator[object] | None:
    """Do the next part of some work; what is left of it, None where that was the end."""
    return None if next(work, _END) is _END else work
