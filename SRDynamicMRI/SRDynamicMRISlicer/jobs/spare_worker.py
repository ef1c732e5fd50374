"""A worker that is started before it is needed, so that a job does not wait for Python and PyTorch to be loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from .worker import PATIENCE, Interpreter, Process


class WaitingProcess:
    """A process that waits for its arguments; for the rest, the process that it is.

    Parameters
    ----------
    process
        Runs ``SRDynamicMRILib.cli.preloaded``.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.started, self.finished = process.started, process.finished
        self.output, self.error_output = process.output, process.error_output
        self.stop, self.kill, self.wait, self.write = process.stop, process.kill, process.wait, process.write

    def start(self, program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Tell the process the arguments of its command; program and environment are those it was started with."""
        _, _, *command = arguments  # python -m SRDynamicMRILib
        self._process.write(json.dumps(command).encode() + b"\n")
        self.started.emit()


class SpareWorker:
    """Keeps one process ready that has loaded everything.

    It holds some hundred megabytes of memory and, on Windows, PyTorch's files; so `end` it where no job is to be
    expected.

    Parameters
    ----------
    new_process
        Makes a process that has not been started.
    interpreter
        What to run.
    """

    def __init__(self, new_process: Callable[[], Process], interpreter: Interpreter) -> None:
        self._new_process, self._interpreter = new_process, interpreter
        self._waiting: Process | None = None

    def prepare(self) -> None:
        """Start a process, unless one waits already."""
        if self._waiting is None:
            self._waiting = process = self._new_process()
            process.finished.connect(partial(self._forget, process))
            environment = self._interpreter.environment(os.environ)
            process.start(self._interpreter.program, ["-m", "SRDynamicMRILib.cli.preloaded"], environment)

    def take(self) -> Process:
        """The process that waits, for a worker to `start`; if none does, one that has not been started."""
        process, self._waiting = self._waiting, None
        if process is None:
            return self._new_process()
        process.finished.clear()
        return WaitingProcess(process)

    def end(self) -> None:
        """End the process that waits."""
        process, self._waiting = self._waiting, None
        if process is not None:
            process.finished.clear()
            process.kill()
            process.wait(PATIENCE)

    def _forget(self, process: Process, _code: int | None) -> None:
        """One that has ended by itself is of no use; the next is started like any other and says why."""
        if process is self._waiting:
            self._waiting = None
