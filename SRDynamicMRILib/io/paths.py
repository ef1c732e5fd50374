"""What a path may be and lead to: a name in UTF-8, and a regular file of bounded size.

ITK and PyTorch take names as UTF-8 and end the process where one is not; a pipe would be waited for and a device read
without end.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..errors import InputError

LARGEST_TEXT = 64 * 2**20
"""Bytes of the largest sidecar, plan or list that is read: that of 100,000 time points has a tenth of it."""


def check_name(path: Path) -> None:
    """Raise `InputError` unless a path is UTF-8 throughout."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode("utf-8", "replace")
        message = f"The name {shown} is not in UTF-8, so the file cannot be opened; rename the file or its folder."
        raise InputError(message) from error


def check_readable(path: Path) -> None:
    """Raise `InputError` unless a file may be read; libraries that read it would call it damaged."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(unreadable(path, error)) from error


def unreadable(path: Path, error: OSError) -> str:
    """What to say of a file, or of a folder with one, that the system does not let be read."""
    return f"{error.filename or path} cannot be read ({error.strerror}); check its permissions."


def read_bounded(path: Path) -> bytes:
    """Content of a small file that may be anybody's.

    Raises
    ------
    OSError
        If it is missing, no regular file (a pipe, a device), larger than `LARGEST_TEXT`, or may not be read.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    with path.open("rb") as stream:
        content = stream.read(LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def make_folder(path: Path) -> None:
    """Make a folder and those above it, or raise `InputError`."""
    check_name(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"Cannot make the folder {path}: {error.strerror}; choose another."
        raise InputError(message) from error
