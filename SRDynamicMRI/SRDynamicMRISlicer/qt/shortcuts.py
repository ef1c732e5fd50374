"""Keys that work while the module is shown, and only then."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import qt
import slicer

PREVIOUS = ","
NEXT = "."
SWAP = "X"
"""Free in slice views and on Slicer's main window. Fields that are typed into keep them: Qt asks those first."""


class Shortcuts:
    """Installs keys on the main window, where there is one.

    Parameters
    ----------
    actions
        What each key does.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = dict(actions)
        self._installed: list[qt.QShortcut] = []

    def install(self) -> None:
        """Let the keys work; doing it again changes nothing."""
        window = slicer.util.mainWindow()
        if self._installed or window is None:
            return
        for key, action in self._actions.items():
            shortcut = qt.QShortcut(qt.QKeySequence(key), window)
            shortcut.connect("activated()", action)
            self._installed.append(shortcut)

    def remove(self) -> None:
        """Let the keys do what they did before."""
        for shortcut in self._installed:
            shortcut.disconnect("activated()")
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._installed.clear()
