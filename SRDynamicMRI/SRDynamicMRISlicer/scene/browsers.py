"""Sequence browsers: which one shows a sequence, and one time slider for all that are compared.

Slicer's Sequences logic keeps a proxy node in the scene for every browsed sequence and copies the selected time point
into it. Nothing here selects a time point: that is the user's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    Sequence = slicer.vtkMRMLSequenceNode
    Browser = slicer.vtkMRMLSequenceBrowserNode


def nodes_of(scene: slicer.vtkMRMLScene, class_name: str) -> list[slicer.vtkMRMLNode]:
    """All nodes of a class, in the order in which they were added."""
    return [scene.GetNthNodeByClass(number, class_name) for number in range(scene.GetNumberOfNodesByClass(class_name))]


def browser_of(sequence: Sequence) -> Browser | None:
    """The first browser that shows a sequence."""
    return next(_browsers_of(sequence), None)


def proxy_of(sequence: Sequence, browser: Browser | None = None) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The node that shows the selected time point of a sequence, in a browser or in the first that has one."""
    browsers = _browsers_of(sequence) if browser is None else [browser]
    return next((proxy for proxy in (one.GetProxyNode(sequence) for one in browsers) if proxy is not None), None)


def sequence_of(node: slicer.vtkMRMLNode) -> Sequence | None:
    """The sequence of which a node shows the selected time point; None for a node of its own."""
    browsers = nodes_of(node.GetScene(), "vtkMRMLSequenceBrowserNode")
    return next((found for found in (browser.GetSequenceNode(node) for browser in browsers) if found), None)


def add_browser(sequence: Sequence) -> Browser:
    """Add a browser for a sequence that has none; its first time point is selected."""
    scene = sequence.GetScene()
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{sequence.GetName()} browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    return browser


def browse_together(browser: Browser, sequence: Sequence) -> None:
    """Let a browser show a sequence beside its own, read-only and only where the sequence has a time point.

    Where it has none its proxy is empty: Slicer's default, the time point before, would look like a result. See
    `missing_time_points` for the views.

    Parameters
    ----------
    browser
        Whose slider is to move the sequence.
    sequence
        Holds at least one time point.
    """
    if not browser.IsSynchronizedSequenceNode(sequence, True):
        was_modifying = browser.StartModify()  # the first update already follows the mode set below
        browser.AddSynchronizedSequenceNode(sequence)
        browser.SetMissingItemMode(sequence, browser.MissingItemSetToDefault)
        browser.SetSaveChanges(sequence, False)
        browser.SetPlayback(sequence, True)
        browser.EndModify(was_modifying)


def stop_browsing(sequence: Sequence) -> None:
    """Take a sequence, and the node that shows it, out of all browsers."""
    for browser in list(_browsers_of(sequence)):
        browser.RemoveSynchronizedSequenceNode(sequence.GetID())


def same_time_axis(first: Sequence, second: Sequence) -> bool:
    """Whether one slider can move both sequences: as many time points, named and valued alike."""

    def axis(sequence: Sequence) -> tuple[object, ...]:
        values = [sequence.GetNthIndexValue(number) for number in range(sequence.GetNumberOfDataNodes())]
        return sequence.GetIndexName(), sequence.GetIndexUnit(), sequence.GetIndexType(), values

    return axis(first) == axis(second)


def _browsers_of(sequence: Sequence) -> Iterator[Browser]:
    for browser in nodes_of(sequence.GetScene(), "vtkMRMLSequenceBrowserNode"):
        if browser.IsSynchronizedSequenceNode(sequence, True):
            yield browser
