"""Cancelling when standard input ends: the polite stop that works on every system, even for a parent that has died.

Whoever starts a command with ``--stop-with-stdin`` keeps the other end of its standard input open. Closing it cancels
the command as Ctrl-C does; and the operating system closes it where the parent crashes or is killed, so no worker
outlives it.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

GRACE = 10.0
"""Seconds that a cancelled command has to put its things in order before it is ended as it is."""


@contextmanager
def stopped_with_stdin(exit_code: int, grace: float = GRACE) -> Iterator[None]:
    """While the block runs, end it as SIGTERM does when standard input reaches its end.

    Needs a handler for SIGTERM. Standard input is empty for the block and everything after it.

    Parameters
    ----------
    exit_code
        Of the process, where the block has not ended in time.
    grace
        Seconds from the end of standard input until then.
    """
    watched = _take_stdin()
    ended = threading.Event()

    def watch() -> None:
        try:
            # Not sys.stdin, whose lock a thread that waits for input would hold when the interpreter shuts down.
            while os.read(watched, 4096):
                pass
        except OSError:  # as good as its end: nobody can ask for anything any more
            pass
        if not ended.is_set():
            _thread.interrupt_main(signal.SIGTERM)  # a signal to oneself would not be polite on Windows
            if not ended.wait(grace):
                os._exit(exit_code)

    threading.Thread(target=watch, name="stop with stdin", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _take_stdin() -> int:
    """Move standard input to another descriptor, so that programs started from here do not read or wait for it."""
    taken = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return taken
