"""Notices when a chosen input changes, and reads it anew a moment after it has come to rest."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk
from slicer.util import VTKObservationMixin

from ..debounced import Debounced
from ..scene.browsers import proxy_of
from ..scene.series_import import chosen_sequence
from ..timer import Timer


class NodeWatch(VTKObservationMixin):
    """Observes nodes and what moves them.

    Parameters
    ----------
    timer
        Calls back.
    changed
        What to call.
    """

    def __init__(self, timer: Timer, changed: Callable[[], None]) -> None:
        super().__init__()
        self._rest = Debounced(timer, changed)
        self._nodes: tuple[slicer.vtkMRMLNode | None, ...] = ()

    def follow(self, *nodes: slicer.vtkMRMLNode | None) -> bool:
        """Observe these nodes and no others; whether they are others than before."""
        if nodes == self._nodes:
            return False
        self.stop()
        self._nodes = nodes
        for node in nodes:
            if node is None or node.GetScene() is None:
                continue
            sequence = chosen_sequence(node)
            if sequence is not None:
                self._observe(sequence, vtk.vtkCommand.ModifiedEvent)
                node = proxy_of(sequence)  # its transform moves all time points
            elif node.IsA("vtkMRMLVolumeNode"):
                self._observe(node, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent)
            if node is not None:
                self._observe(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
        return True

    def stop(self) -> None:
        """Observe nothing."""
        self.removeObservers()
        self._nodes = ()
        self._rest.stop()

    def _observe(self, node: slicer.vtkMRMLNode, event: int) -> None:
        if not self.hasObserver(node, event, self._on_event):
            self.addObserver(node, event, self._on_event)

    def _on_event(self, _caller: object, _event: object) -> None:
        self._rest.changed()
