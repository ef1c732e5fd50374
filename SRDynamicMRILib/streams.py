"""Standard output and standard error that are closed, full or without a reader."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

TYPE_CHECKING = False  # not typing's, which takes long to load
if TYPE_CHECKING:
    from typing import TextIO


def open_closed_streams() -> None:
    """Open the standard streams that are closed: the next file would take their place, and what is printed go into it.

    Standard output is then open for reading only, so that losing what belongs there is an error, as on a full disk.
    Nothing is an error on standard error, where nobody could be told of it.
    """
    for descriptor, access in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            nothing = os.open(os.devnull, access)
            if nothing != descriptor:
                os.dup2(nothing, descriptor)
                os.close(nothing)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def drop(stream: TextIO) -> None:
    """Send what a stream still holds, and all that follows, to nowhere: else it fails again when the process ends."""
    with suppress(OSError, ValueError):  # streams that are no files
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


def write_or_drop(stream: TextIO, text: str) -> None:
    """Write for people who may or may not be there to read it: that a log is full is no reason to stop the work.

    Raises
    ------
    BrokenPipeError
        If the reader has gone on purpose.
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError:
        drop(stream)


def not_printed(error: OSError) -> str:
    """Sentence for standard output that does not take what is printed."""
    return f"Standard output cannot be written to ({error.strerror}); redirect it elsewhere."
