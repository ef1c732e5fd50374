"""A worker that is started before it is needed, so that a job does not wait for Python and PyTorch to be loaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .worker import Outcome, Worker


class SpareWorker:
    """Keeps one worker ready that has loaded everything.

    Its process holds some hundred megabytes of memory and, on Windows, PyTorch's files; so `end` it where no job is to
    be expected.

    Parameters
    ----------
    new_worker
        Makes a worker with a process of its own.
    """

    def __init__(self, new_worker: Callable[[], Worker]) -> None:
        self._new_worker = new_worker
        self._waiting: Worker | None = None

    def prepare(self) -> None:
        """Start a worker's process, unless one waits already."""
        if self._waiting is None:
            self._waiting = worker = self._new_worker()
            worker.finished.connect(partial(self._forget, worker))
            worker.prepare()

    def take(self) -> Worker:
        """The worker that waits, to be given a job; if none does, a new one."""
        worker, self._waiting = self._waiting, None
        if worker is None:
            return self._new_worker()
        worker.finished.clear()
        return worker

    def end(self) -> None:
        """End the process that waits."""
        worker, self._waiting = self._waiting, None
        if worker is not None:
            worker.finished.clear()
            worker.end(0)

    def _forget(self, worker: Worker, _outcome: Outcome) -> None:
        """One that has ended by itself is of no use; the next is started when there is a job, and says why."""
        if worker is self._waiting:
            self._waiting = None
