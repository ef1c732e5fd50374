"""Tests that need what only some operating systems have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

needs_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has neither these signals nor these files")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file may grow beyond some bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource", reason="Windows limits no sizes of files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
