"""Work on files and arrays beside the main thread, which alone may touch the scene and the windows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from .step_queue import Stepwise

WAIT = 0.01
"""Seconds that a step waits. Slicer's main thread runs Python's other threads only while it waits for them."""

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> Stepwise[T]:
    """Do something in a thread of its own; each step waits for it a moment.

    Parameters
    ----------
    work
        Touches neither MRML nor Qt. If nobody waits for it any more it goes on to its end, which nobody hears of.

    Returns
    -------
        What the work returns; what it raises is raised.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # handed to the main thread
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not wait([future], WAIT).done:
        yield
    return future.result()
