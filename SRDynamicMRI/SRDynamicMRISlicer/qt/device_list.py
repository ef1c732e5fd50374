"""The list of devices: asks the graphics driver in the background, so that the panel opens at once."""

from __future__ import annotations

import shutil

import qt

from ..jobs.graphics_cards import ARGUMENTS, PROGRAM, Device, devices, with_chosen
from ..signal import Signal
from .process import QtProcess


class DeviceList:
    """Fills a list with the devices of this computer.

    Parameters
    ----------
    box
        The list.
    """

    def __init__(self, box: qt.QComboBox) -> None:
        self.chosen: Signal[[str]] = Signal()
        """The user has chosen another device."""
        self._box = box
        self._found = devices()
        self._key = "auto"
        self._filling = False
        self._process: QtProcess | None = None
        self._answer = b""
        box.connect("currentIndexChanged(int)", self._on_chosen)
        self._fill()

    def ask(self) -> None:
        """Find out which graphics cards there are, and how much memory is free; the list follows a moment later."""
        program = shutil.which(PROGRAM)
        if program is None or self._process is not None:
            return
        self._answer = b""
        self._process = QtProcess()
        self._process.output.connect(self._on_output)
        self._process.finished.connect(self._on_finished)
        self._process.start(program, ARGUMENTS, {})

    def choose(self, key: str) -> None:
        """Show the device that is chosen."""
        self._key = key
        self._fill()

    def end(self) -> None:
        """Ask nothing more."""
        if self._process is not None:
            self._process.finished.clear()
            self._process.kill()
            self._process = None

    def _on_output(self, data: bytes) -> None:
        self._answer += data

    def _on_finished(self, code: int | None) -> None:
        self._process = None
        self._found = devices(self._answer.decode("utf-8", errors="replace") if code == 0 else "")
        self._fill()

    def _fill(self) -> None:
        shown: list[Device] = with_chosen(self._found, self._key)
        self._filling = True
        self._box.clear()
        for device in shown:
            self._box.addItem(device.title)
        self._box.currentIndex = [device.key for device in shown].index(self._key)
        self._filling = False

    def _on_chosen(self, place: int) -> None:
        shown = with_chosen(self._found, self._key)
        if not self._filling and 0 <= place < len(shown):
            self._key = shown[place].key
            self.chosen.emit(self._key)
