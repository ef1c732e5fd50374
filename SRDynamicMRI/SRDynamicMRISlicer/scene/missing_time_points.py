"""Nothing is shown at a time point that a sequence does not have: Slicer's views would keep the picture before."""

from __future__ import annotations

from typing import Any
from weakref import WeakMethod

import slicer
from vtkmodules.util.misc import calldata_type
from vtkmodules.util.vtkConstants import VTK_OBJECT
from vtkmodules.vtkCommonCore import vtkCollection, vtkCommand, vtkObject

from .browsers import nodes_of
from .volumes import grid_of, has_voxels, store_nothing

_BROWSER = "vtkMRMLSequenceBrowserNode"


class MissingTimePoints:
    """Empties every node that shows a sequence where that has no time point.

    At such a time point Slicer leaves the node without an image, and slice views then keep what they showed last, which
    is another time point. Only sequences that `browsers.browse_together` has brought into a browser are emptied.
    Once it is released or dropped, it changes nothing more.

    Parameters
    ----------
    scene
        The scene, with browsers now or later.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self._observers: list[tuple[vtkObject, int]] = []
        follow = WeakMethod(self._follow)

        @calldata_type(VTK_OBJECT)
        def added(_scene: Any, _event: str, node: Any) -> None:
            if (alive := follow()) is not None and node.IsA(_BROWSER):
                alive(node)

        self._observe(scene, scene.NodeAddedEvent, added)
        for browser in nodes_of(scene, _BROWSER):
            self._follow(browser)

    def release(self) -> None:
        """Look after nothing any more."""
        for observed, tag in self._observers:
            observed.RemoveObserver(tag)
        self._observers = []

    def _follow(self, browser: slicer.vtkMRMLSequenceBrowserNode) -> None:
        def changed(changed_browser: Any, _event: str) -> None:
            show_nothing_where_missing(changed_browser)

        for event in (vtkCommand.ModifiedEvent, browser.ProxyNodeModifiedEvent):
            self._observe(browser, event, changed)
        show_nothing_where_missing(browser)

    def _observe(self, observed: vtkObject, event: int, action: Any) -> None:
        self._observers.append((observed, observed.AddObserver(event, action)))


def show_nothing_where_missing(browser: slicer.vtkMRMLSequenceBrowserNode) -> None:
    """Empty those nodes of a browser whose sequence has nothing at the selected time point."""
    sequences = vtkCollection()
    browser.GetSynchronizedSequenceNodes(sequences, True)
    for number in range(sequences.GetNumberOfItems()):
        sequence = sequences.GetItemAsObject(number)
        proxy, first = browser.GetProxyNode(sequence), sequence.GetNthDataNode(0)
        if (
            proxy is not None
            and proxy.IsA("vtkMRMLScalarVolumeNode")
            and proxy.GetImageData() is None
            and first is not None
            and has_voxels(first)
            and browser.GetMissingItemMode(sequence) == browser.MissingItemSetToDefault
            and not browser.GetSaveChanges(sequence)
        ):
            store_nothing(proxy, grid_of(first))
