"""One run at a time writes to an output.

The operating system holds the lock and lets go of it when the process ends, however it ends: a run that was killed
blocks nobody. On all systems it is a file beside the output, which is deleted at the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import InputError
from .image_files import temporary_prefix


@contextmanager
def alone(output: Path, *unfinished: Path) -> Iterator[None]:
    """Hold an output for the block, and clear away what an earlier run was writing when it was killed.

    Parameters
    ----------
    output
        File or folder to be made. Where its folder does not exist there is nothing to hold.
    unfinished
        What is kept beside it while it is not finished.

    Raises
    ------
    InputError
        If another process holds it, or the lock cannot be written.
    """
    if not output.parent.is_dir():
        yield
        return
    file = output.with_name(f".{output.name}.lock")
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        message = f"Another run is writing to {output}; wait until it has ended, or choose another output."
        raise InputError(message) from error
    except OSError as error:
        message = f"{file} cannot be used ({error.strerror}), so {output} cannot be written; choose another place."
        raise InputError(message) from error
    try:
        ours = tuple(temporary_prefix(path) for path in (output, *unfinished))
        for found in output.parent.iterdir():
            if found.name.startswith(ours):
                shutil.rmtree(found, ignore_errors=True)
        yield
    finally:
        with suppress(OSError):  # Windows deletes no file that is open, and the last to let go of it does it there
            file.unlink()
        lock.release()
