"""What a process of the command line settles before it loads anything that takes long.

Loading NumPy and PyTorch takes seconds. Only what is set before lasts: how many threads NumPy's BLAS keeps and how
PyTorch's wait. And an import that a signal interrupts leaves half a module and a traceback, so until there is something
to put in order, Ctrl-C and SIGTERM end the process at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..streams import open_closed_streams

CANCELLED = 130
"""Exit code of a command that was cancelled."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_THREADS = {
    # PyTorch's threads sleep while they wait for one another. Spinning, the default, is hardly faster on an idle
    # computer and several times slower where other programs, Slicer among them, need a core too.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Those of NumPy's BLAS cannot be told to sleep. It has nothing large to do: see `kspace.separable`.
    "OPENBLAS_NUM_THREADS": "1",
}


def set_up_process() -> None:
    """Set up threads, standard streams and signals; before anything else is imported."""
    for name, value in _THREADS.items():
        os.environ.setdefault(name, value)
    open_closed_streams()
    end_on_signals(lambda sentence: os.write(2, sentence.encode() + b"\n"))


def end_on_signals(say: Callable[[str], object]) -> None:
    """Let Ctrl-C and SIGTERM end the process at once, where there is nothing to put in order.

    Parameters
    ----------
    say
        Tells whoever is there why.
    """

    def end(*_: object) -> None:
        try:
            _handle(signal.SIG_IGN)
            say("Cancelled.")
        finally:
            os._exit(CANCELLED)

    _handle(end)


def cancel_on_signals() -> None:
    """Let Ctrl-C and SIGTERM raise `KeyboardInterrupt`, so that what can be resumed is kept."""
    _handle(_cancel)


@contextmanager
def signals_restored() -> Iterator[None]:
    """Whatever the block lets signals do, they do afterwards what they did before."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            _handle(handler, number)


def _handle(handler: signal._HANDLER, *numbers: signal.Signals) -> None:
    if threading.current_thread() is not threading.main_thread():  # signals belong to that one
        return
    for number in numbers or _SIGNALS:
        # A shell that starts a command in the background lets it ignore Ctrl-C.
        if number != signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _cancel(*_: object) -> None:
    raise KeyboardInterrupt
