"""A program in the background, on Qt: what `worker.Process` asks for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence

import qt
import slicer

from ..jobs.process_tree import kill_tree
from ..signal import Signal


class QtProcess:
    """Runs one program; see `worker.Process` for what its signals and methods promise."""

    def __init__(self) -> None:
        self.started: Signal[[]] = Signal()
        self.output: Signal[[bytes]] = Signal()
        self.error_output: Signal[[bytes]] = Signal()
        self.finished: Signal[[int | None]] = Signal()
        self._begun = self._ended = False
        # With a parent it belongs to Qt: Python would delete it within its own signal when the last reference goes.
        self._process = qt.QProcess(slicer.app)
        self._process.connect("started()", self._on_started)
        self._process.connect("readyReadStandardOutput()", self._read)
        self._process.connect("readyReadStandardError()", self._read_errors)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._on_finished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._on_error)

    def start(self, program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a program, with variables added to the environment."""
        variables = qt.QProcessEnvironment.systemEnvironment()
        for name, value in environment.items():
            variables.insert(name, value)
        self._process.setProcessEnvironment(variables)
        self._process.setWorkingDirectory(tempfile.gettempdir())
        self._process.start(program, list(arguments))

    def write(self, data: bytes) -> None:
        """Write to the program's standard input."""
        if not self._ended:
            self._process.write(qt.QByteArray(data))

    def stop(self) -> None:
        """Ask the program to end, by closing its standard input."""
        if not self._ended:
            self._process.closeWriteChannel()

    def kill(self) -> None:
        """End the program and everything that it has started."""
        pid = 0 if self._ended else self._process.processId()
        if pid > 0:
            kill_tree(pid)

    def wait(self, seconds: float) -> bool:
        """Block until the program has ended, at most so long; whether it has."""
        return self._ended or self._process.waitForFinished(int(1000 * seconds))

    def _on_started(self) -> None:
        self._begun = True
        self.started.emit()

    def _read(self) -> None:
        self._pass_on(self._process.readAllStandardOutput(), self.output)

    def _read_errors(self) -> None:
        self._pass_on(self._process.readAllStandardError(), self.error_output)

    @staticmethod
    def _pass_on(data: qt.QByteArray, signal: Signal[[bytes]]) -> None:
        content = data.data()
        if content:
            signal.emit(bytes(content))

    def _on_finished(self) -> None:
        whole = self._process.exitStatus() == qt.QProcess.NormalExit
        self._end(self._process.exitCode() if whole else None)

    def _on_error(self) -> None:
        # Of the errors only a failed start is not followed by `finished`.
        if not self._begun and self._process.state() == qt.QProcess.NotRunning:
            self._end(None)

    def _end(self, code: int | None) -> None:
        if self._ended:
            return
        self._read()
        self._read_errors()
        self._ended = True
        self._process.deleteLater()
        self.finished.emit(code)
