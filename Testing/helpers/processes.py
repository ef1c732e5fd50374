"""Processes and timers for the tests of what starts workers: fake ones that do as told, and real ones."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from SRDynamicMRISlicer.jobs.worker import Interpreter
from SRDynamicMRISlicer.signal import Signal

from helpers.project import ROOT
from SRDynamicMRILib.requests import Request, from_json

INTERPRETER = Interpreter(sys.executable, ROOT)


class FakeTimer:
    """A clock that stands still until it is moved, and calls what is due then."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    @property
    def waiting(self) -> int:
        return len(self._due)

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        entry = (self.now + seconds, action)
        self._due.append(entry)

        def call_off() -> None:
            if entry in self._due:
                self._due.remove(entry)

        return call_off

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((e for e in self._due if e[0] <= end), key=lambda e: e[0]):
            self._due.remove(due[0])
            self.now = due[0][0]
            due[0][1]()
        self.now = end


class FakeProcess:
    """Remembers what is asked of it, and says and does what a test makes it."""

    def __init__(self, *, ends_when_stopped: bool = False, ends_when_killed: bool = True) -> None:
        self.started: Signal[[]] = Signal()
        self.output: Signal[[bytes]] = Signal()
        self.error_output: Signal[[bytes]] = Signal()
        self.finished: Signal[[int | None]] = Signal()
        self.ends_when_stopped, self.ends_when_killed = ends_when_stopped, ends_when_killed
        self.program = ""
        self.arguments: list[str] = []
        self.environment: dict[str, str] = {}
        self.asked: list[str] = []
        self.told: list[bytes] = []

    @property
    def request(self) -> Request:
        """What it was told to do."""
        (line,) = self.told
        assert line.endswith(b"\n")
        return from_json(line.decode())

    def start(self, program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.program, self.arguments, self.environment = program, list(arguments), dict(environment)
        self.asked.append("start")

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def stop(self) -> None:
        self.asked.append("stop")
        if self.ends_when_stopped:
            self.end(130)

    def kill(self) -> None:
        self.asked.append("kill")
        if self.ends_when_killed:
            self.end(None)

    def wait(self, seconds: float) -> bool:
        self.asked.append(f"wait {seconds:g}")
        return self.ends_when_stopped

    def begin(self) -> None:
        self.started.emit()

    def say(self, event: str, **fields: Any) -> None:
        self.output.emit(json.dumps({"event": event, **fields}).encode() + b"\n")

    def end(self, code: int | None) -> None:
        self.finished.emit(code)

    def complete(self, **outputs: str) -> None:
        self.say("result", outputs=outputs)
        self.end(0)


class FakeFailingToStart(FakeProcess):
    """Ends before it has begun, at once."""

    def start(self, program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        super().start(program, arguments, environment)
        self.end(None)


class Loop:
    """The main thread's loop: threads hand it what it has to call, and timers do."""

    def __init__(self) -> None:
        self._calls: queue.Queue[Callable[[], None]] = queue.Queue()

    def soon(self, action: Callable[[], None]) -> None:
        self._calls.put(action)

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        off = threading.Event()
        timer = threading.Timer(seconds, lambda: self.soon(lambda: None if off.is_set() else action()))
        timer.daemon = True
        timer.start()

        def call_off() -> None:
            off.set()
            timer.cancel()

        return call_off

    def run_until(self, condition: Callable[[], bool], seconds: float = 120.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it does not end"
            try:
                self._calls.get(timeout=0.05)()
            except queue.Empty:
                continue


class RealProcess:
    """A child process in a session of its own, with threads that hand its output to a loop."""

    def __init__(self, loop: Loop) -> None:
        self.started: Signal[[]] = Signal()
        self.output: Signal[[bytes]] = Signal()
        self.error_output: Signal[[bytes]] = Signal()
        self.finished: Signal[[int | None]] = Signal()
        self._loop = loop
        self.child: subprocess.Popen[bytes] | None = None

    def start(self, program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        try:
            self.child = child = subprocess.Popen(
                [program, *arguments],
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
                start_new_session=True,
                cwd=tempfile.gettempdir(),
            )
        except OSError:
            self._loop.soon(lambda: self.finished.emit(None))
            return
        self._loop.soon(self.started.emit)
        readers = [
            threading.Thread(target=self._read, args=(child.stdout, self.output), daemon=True),
            threading.Thread(target=self._read, args=(child.stderr, self.error_output), daemon=True),
        ]
        for reader in readers:
            reader.start()
        threading.Thread(target=self._finish, args=(child, readers), daemon=True).start()

    def _read(self, stream: IO[bytes], emitted: Signal[[bytes]]) -> None:
        while data := os.read(stream.fileno(), 7):  # in pieces that no line fits
            self._loop.soon(lambda data=data: emitted.emit(data))

    def _finish(self, child: subprocess.Popen[bytes], readers: list[threading.Thread]) -> None:
        code = child.wait()
        for reader in readers:
            reader.join()
        self._loop.soon(lambda: self.finished.emit(code if code >= 0 else None))

    def write(self, data: bytes) -> None:
        assert self.child is not None
        assert self.child.stdin is not None
        self.child.stdin.write(data)
        self.child.stdin.flush()

    def stop(self) -> None:
        assert self.child is not None
        assert self.child.stdin is not None
        self.child.stdin.close()

    def kill(self) -> None:
        assert self.child is not None
        os.killpg(self.child.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        assert self.child is not None
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
