"""Ending a process with everything that it has started, at once.

PythonSlicer is a launcher: the interpreter is its child, which would go on if only the launcher were killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

_PROCESSES = Path("/proc")


def kill_tree(pid: int) -> None:
    """Kill a process and all its descendants; those that have ended already are no error.

    Parameters
    ----------
    pid
        Of the process; not 0, which would mean this one's whole group.
    """
    if pid <= 0:
        message = f"{pid} is not the number of a process"
        raise ValueError(message)
    if sys.platform == "win32":
        command = ["taskkill", "/PID", str(pid), "/T", "/F"]
        subprocess.run(command, check=False, capture_output=True, creationflags=subprocess.CREATE_NO_WINDOW)
        return
    found: list[int] = []
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGSTOP)  # what is stopped starts nothing more: the list of its children is complete
            found.append(one)
            waiting += _children(one)
    for one in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    """Processes that a process has started and that have not been waited for."""
    return [child for child, parent in _parents() if parent == pid]


def _parents() -> list[tuple[int, int]]:
    """All processes and their parents."""
    if not (_PROCESSES / "self" / "stat").exists():  # macOS
        done = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=False, capture_output=True, text=True)
        pairs = (line.split() for line in done.stdout.splitlines())
        return [(int(child), int(parent)) for child, parent in pairs]
    found = []
    for folder in _PROCESSES.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                # The name in the second field may hold anything; behind its last bracket come state and parent.
                after = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                found.append((int(folder.name), int(after[1])))
    return found
