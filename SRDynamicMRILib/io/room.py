"""Whether an output fits: into memory while it is written, and onto its disk."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from ..errors import InputError

LEAST_SIZE = 0.25
"""Size of compressed float32 voxels against uncompressed ones, at least: computed ones take 0.9, integers 0.27."""

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def check_memory(path: Path, needed: int) -> None:
    """Raise `InputError` if a 4D image takes more memory to be written than there is."""
    free = available_memory()
    if free is not None and needed > free:
        message = (
            f"Writing {path} takes {_size(needed)} of memory at once, and {_size(free)} are free; a series larger than "
            "memory can be written as .nii.gz or .seq.nrrd, or to a folder (a name without ending)."
        )
        raise InputError(message)


def check_disk(path: Path, needed: int) -> None:
    """Raise `InputError` if an output takes more space on its disk than there is."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return  # some network disks do not say
    if needed > free:
        message = (
            f"Writing {path} takes at least {_size(needed)} on its disk, and {_size(free)} are free; free some space "
            "or choose another place."
        )
        raise InputError(message)


def available_memory() -> int | None:
    """Bytes of memory that a program can still have; None where the system does not say."""
    if sys.platform == "win32":
        return _available_on_windows()
    if sys.platform == "linux":
        free = []
        with suppress(OSError):
            found = re.search(r"^MemAvailable:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
            free += [1024 * int(found[1])] if found else []
        for limit, used in _CGROUPS:  # of a container
            with suppress(OSError, ValueError):
                free.append(int(_text(limit)) - int(_text(used)))
        return max(min(free), 0) if free else None
    with suppress(OSError, ValueError):  # macOS takes back what it has cached: all of it may be had
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *(
            (name, ctypes.c_ulonglong)
            for name in ("total", "free", "total_pages", "free_pages", "address", "left", "x")
        ),
    )


def _available_on_windows() -> int | None:
    status = _MemoryStatus()
    status.length = ctypes.sizeof(status)
    done = ctypes.WinDLL("kernel32").GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined, unused-ignore]
    return int(status.free) if done else None


def _text(path: str) -> str:
    return Path(path).read_text(encoding="ascii").strip()


def _size(count: int) -> str:
    """A number of bytes in words."""
    return f"{count / 2**30:.3g} GiB" if count >= 2**30 else f"{count / 2**20:.3g} MiB"
