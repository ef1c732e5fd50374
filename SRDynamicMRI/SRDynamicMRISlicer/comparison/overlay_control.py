"""Seeing another image in the view of the result: in turn with it, or behind a curtain, as the choices say."""

from __future__ import annotations

from collections.abc import Mapping

import slicer

from SRDynamicMRILib.errors import InputError

from ..presenter.panel_choices import CompareMode, CompareWith
from .layouts import View
from .overlay import Alternate, Swipe

_VIEW_OF = {CompareWith.LOW: View.LOW, CompareWith.TRUTH: View.TRUTH}


class OverlayControl:
    """Keeps the view of the result as the choices of the panel say.

    Parameters
    ----------
    scene
        The scene.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self._running: Alternate | Swipe | None = None
        self._what: tuple[object, ...] = ()

    def show(
        self,
        reveal: CompareMode,
        against: CompareWith,
        share: float,
        volumes: Mapping[View, slicer.vtkMRMLScalarVolumeNode],
    ) -> None:
        """CompareMode an image.

        Parameters
        ----------
        reveal, against
            How, and which.
        share
            Of the columns that the curtain leaves to the other image, 0 to 1.
        volumes
            What the views show. Where the image or the result is missing, as for a time point that has no result,
            nothing is revealed.
        """
        result, other = volumes.get(View.RESULT), volumes.get(_VIEW_OF[against])
        what = (reveal, against, result, other)
        if isinstance(self._running, Swipe) and what == self._what:
            self._running.move(share)
            return
        if what == self._what and self._running is not None:
            return
        self.stop()
        if reveal is CompareMode.NONE or result is None or other is None:
            return
        try:
            if reveal is CompareMode.ALTERNATE:
                self._running = Alternate(self._scene, View.RESULT, other)
            else:
                self._running = Swipe(self._scene, View.RESULT, other, result)
                self._running.move(share)
        except InputError:
            self._running = None
        self._what = what

    def refresh(self) -> None:
        """Show the images of another time point."""
        if isinstance(self._running, Swipe):
            try:
                self._running.refresh()
            except InputError:  # no result at this time point: show the view as it is
                self.stop()

    def swap(self) -> None:
        """Show the other image, or the result again."""
        if isinstance(self._running, Alternate):
            self._running.toggle()

    @property
    def running(self) -> bool:
        """Whether another image can be seen."""
        return self._running is not None

    def stop(self) -> None:
        """Leave the view as it was."""
        if self._running is not None:
            self._running.stop()
        self._running, self._what = None, ()
