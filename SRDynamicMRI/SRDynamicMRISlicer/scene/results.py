"""The sequence that a running job fills, time point by time point, while the user already looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import slicer

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.files import read_volume
from SRDynamicMRILib.volume import Volume

from ..step_queue import Stepwise, at_once
from ..translation import _
from .browsers import add_browser, browse_together, browser_of, proxy_of, stop_browsing
from .provenance import place_beside, write_facts
from .sequences import index_of, set_index
from .volumes import moved, store_volume, world_matrix


class ResultSequence:
    """A sequence with the index of its input, shown by the same browser as soon as it has a time point.

    The result takes the parent transform of the input, so that the two stay together when it is edited. What is
    filled so far stays when the job ends early: where there is no result nothing is shown. Observes nothing; it may be
    dropped at any time.

    Parameters
    ----------
    source
        The input.
    name
        Name of the result; made unique.
    facts
        What to write to every time point and the sequence; see `provenance.facts_of_result`.
    selected
        Sequence chosen for the result. It is used if it is empty; one that holds something is left alone, and a new
        one made.
    overwrite
        Empty the chosen sequence instead: only if the user has said so.

    Raises
    ------
    InputError
        If the transform of the input bends it.
    """

    def __init__(
        self,
        source: slicer.vtkMRMLSequenceNode,
        name: str,
        facts: Mapping[str, str],
        selected: slicer.vtkMRMLSequenceNode | None = None,
        overwrite: bool = False,
    ) -> None:
        scene = source.GetScene()
        shown = proxy_of(source)
        self._source = source
        self._facts = dict(facts)
        self._index = index_of(source)
        self._done: set[int] = set()
        matrix = None if shown is None else world_matrix(shown)
        self._to_local = None if matrix is None else np.linalg.inv(matrix)
        if selected is not None and overwrite:
            stop_browsing(selected)  # an old result must not be seen as the new one
            selected.RemoveAllDataNodes()
        if selected is not None and selected is not source and selected.GetNumberOfDataNodes() == 0:
            self.node = selected
        else:
            self.node = scene.AddNewNodeByClass("vtkMRMLSequenceNode", scene.GenerateUniqueName(name))
        set_index(self.node, self._index)
        write_facts(self.node, facts)
        place_beside(self.node, source)

    @property
    def done(self) -> frozenset[int]:
        """Numbers of the time points that are there, as the input counts them."""
        return frozenset(self._done)

    @property
    def proxy(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The node that shows the selected time point; None before there is one."""
        return proxy_of(self.node) if self.node.GetScene() else None

    def add_file(self, number: int, path: Path | str) -> None:
        """Add a time point from a file that the worker has finished.

        Raises
        ------
        InputError
            If the file cannot be read, or as for `add`.
        """
        self.add(number, read_volume(path))

    def add(self, number: int, volume: Volume) -> None:
        """`adding` without a pause."""
        at_once(self.adding(number, volume))

    def adding(self, number: int, volume: Volume) -> Stepwise[None]:
        """Add a time point, in any order, in place of an earlier one of that number; the first takes two steps.

        Parameters
        ----------
        number
            Of the time point, counted as in the input.
        volume
            The result, in world coordinates.

        Raises
        ------
        InputError
            If the input or the result has been deleted, or the scene closed.
        """
        self._check()
        node = slicer.vtkMRMLScalarVolumeNode()
        node.SetName(self.node.GetName())
        write_facts(node, self._facts)
        store_volume(Volume(volume.data, moved(volume.geometry, self._to_local, self.node.GetName())), node)
        self._put(number, node)
        self._done.add(number)
        browser = browser_of(self._source) or add_browser(self._source)
        if not browser.IsSynchronizedSequenceNode(self.node, True):
            yield  # to make the node that shows it takes a while
            self._check()
            self._show(browser)

    def _check(self) -> None:
        """Raise `InputError` where there is nothing left to add to."""
        if self.node.GetScene() is None or self._source.GetScene() is None:
            raise InputError(_("The series or its result was deleted from the scene, so the result cannot be shown."))

    def _put(self, number: int, node: slicer.vtkMRMLScalarVolumeNode) -> None:
        value = self._index.values[number]
        self.node.SetDataNodeAtValue(node, value)
        if not self._index.numeric:  # Slicer appends these: bring those that come later behind the new one again
            for later in sorted(self._done):
                if later > number:
                    text = self._index.values[later]
                    kept = self.node.GetDataNodeAtValue(text)
                    self.node.RemoveDataNodeAtValue(text)
                    self.node.SetDataNodeAtValue(kept, text)

    def _show(self, browser: slicer.vtkMRMLSequenceBrowserNode) -> None:
        """Let the slider of the input move the result too, in the same window and level."""
        browse_together(browser, self.node)
        shown, proxy = proxy_of(self._source, browser), proxy_of(self.node, browser)
        if shown is None or proxy is None:
            return
        proxy.SetAndObserveTransformNodeID(shown.GetTransformNodeID())
        place_beside(proxy, shown)
        display = proxy.GetDisplayNode()
        if shown.GetDisplayNode() is not None and display is not None:
            display.CopyContent(shown.GetDisplayNode())  # same window and level: the eye compares intensities
