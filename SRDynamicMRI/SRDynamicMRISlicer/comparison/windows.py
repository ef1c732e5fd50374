"""One window and level for all images that are compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakMethod

import numpy as np
import slicer
from vtkmodules.vtkCommonCore import vtkCommand

from SRDynamicMRILib.volume import Volume

_WHITE_PERCENTILE = 99.8
"""Of the intensities: what is brighter is white. A few bright vessels do not darken the rest."""


def window_for(volume: Volume) -> tuple[float, float]:
    """Intensities to show as black and white."""
    low = min(float(volume.data.min()), 0.0)
    white = float(np.percentile(volume.data, _WHITE_PERCENTILE))
    return low, white if white > low else low + 1.0


class SharedWindow:
    """Gives several volumes the same window and level, and keeps it so when one of them is changed.

    Once it is released or dropped, it changes nothing more.

    Parameters
    ----------
    volumes
        Nodes with a display node each.
    window
        Intensities of black and white to begin with.
    """

    def __init__(self, volumes: Iterable[slicer.vtkMRMLScalarVolumeNode], window: tuple[float, float]) -> None:
        self._displays = [volume.GetDisplayNode() for volume in volumes]
        self._setting = False
        self.set(*window)
        follow = WeakMethod(self._follow)

        def changed(display: Any, _event: str) -> None:
            if (alive := follow()) is not None:
                alive(display)

        self._observers = [(one, one.AddObserver(vtkCommand.ModifiedEvent, changed)) for one in self._displays]

    def set(self, black: float, white: float) -> None:
        """Set window and level of all volumes."""
        self._setting = True
        try:
            for display in self._displays:
                was_modifying = display.StartModify()
                display.SetAutoWindowLevel(False)
                display.SetWindowLevelMinMax(black, white)
                display.EndModify(was_modifying)
        finally:
            self._setting = False

    def release(self) -> None:
        """Let every volume have its own window again."""
        for display, tag in self._observers:
            display.RemoveObserver(tag)
        self._observers = []

    def _follow(self, display: Any) -> None:
        if not self._setting:
            self.set(display.GetWindowLevelMin(), display.GetWindowLevelMax())
