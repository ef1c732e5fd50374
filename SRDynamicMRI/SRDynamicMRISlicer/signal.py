"""Signals in plain Python, so that what decides needs no Qt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")


class Signal(Generic[P]):
    """Calls everything that is connected to it, in the order of connecting.

    An error of one listener keeps neither the others from being called nor the sender from going on: as in a Qt slot,
    it is handed to `sys.excepthook`, which in Slicer prints it to the Python console and the application's log.
    """

    def __init__(self) -> None:
        self._listeners: list[Callable[P, object]] = []

    def connect(self, listener: Callable[P, object]) -> None:
        """Call a function at every `emit` from now on; connecting it twice is connecting it once."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def disconnect(self, listener: Callable[P, object]) -> None:
        """Do not call a function any more, not even in an `emit` that is under way."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def clear(self) -> None:
        """Disconnect all."""
        self._listeners.clear()

    def emit(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call all that are connected now."""
        for listener in tuple(self._listeners):
            if listener in self._listeners:
                try:
                    listener(*args, **kwargs)
                except Exception:
                    sys.excepthook(*sys.exc_info())
