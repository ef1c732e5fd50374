"""Which nodes the comparison shows for what is chosen, all of them moved by one slider where that is possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import slicer

from ..scene.browsers import add_browser, browser_of, proxy_of
from ..scene.parameters import Parameters
from ..scene.sequences import index_of
from ..scene.series_import import chosen_sequence
from .comparison import on_one_slider
from .layouts import View

MASTERS = (View.LOW, View.RESULT, View.TRUTH)
"""Views in the order in which their sequence is asked for its slider."""


@dataclass(frozen=True)
class Shown:
    """What to show.

    Parameters
    ----------
    volumes
        The node of each view; views with nothing to show are left out.
    browser
        Its slider moves them; None where all are single volumes.
    """

    volumes: Mapping[View, slicer.vtkMRMLScalarVolumeNode] = field(default_factory=dict)
    browser: slicer.vtkMRMLSequenceBrowserNode | None = None


def chosen_views(p: Parameters) -> dict[View, slicer.vtkMRMLNode | None]:
    """What each view is to show: its own choice, else the one of the inputs and the result."""
    return {
        View.LOW: p.lowView or p.dynamicSeries,
        View.RESULT: p.resultView or p.result,
        View.TRUTH: p.truthView or p.groundTruth,
        View.SSIM: p.ssimMaps,
        View.DIFFERENCE: p.differenceMaps,
    }


def slider_of(chosen: Mapping[View, slicer.vtkMRMLNode | None]) -> slicer.vtkMRMLSequenceBrowserNode | None:
    """The browser whose slider would move what is chosen, if there is one; nothing is changed."""
    nodes = (chosen.get(view) for view in MASTERS)
    sequences = (chosen_sequence(node) for node in nodes if node is not None and node.GetScene() is not None)
    return next((browser_of(one) for one in sequences if one is not None), None)


def shown(chosen: Mapping[View, slicer.vtkMRMLNode | None]) -> Shown:
    """The nodes that show the chosen ones; sequences get a browser where they have none.

    Parameters
    ----------
    chosen
        Sequences, nodes that show one, or volumes.
    """
    there = {view: node for view, node in chosen.items() if node is not None and node.GetScene() is not None}
    sequences = {view: chosen_sequence(node) for view, node in there.items()}
    filled = {view: one for view, one in sequences.items() if one is not None and one.GetNumberOfDataNodes() > 0}
    master = next((filled[view] for view in MASTERS if view in filled), None)
    volumes = {view: node for view, node in there.items() if sequences[view] is None and _is_volume(node)}
    if master is None:
        return Shown(volumes)
    browser = browser_of(master) or add_browser(master)
    together = {view: one for view, one in filled.items() if one is master or _fits(one, master)}
    volumes.update(on_one_slider(master, together))
    for view, sequence in filled.items():
        if view not in together:
            if browser_of(sequence) is None:
                add_browser(sequence)
            volumes[view] = proxy_of(sequence)
    return Shown({view: node for view, node in volumes.items() if node is not None}, browser)


def _is_volume(node: slicer.vtkMRMLNode) -> bool:
    """Whether a node holds one intensity in every voxel: neither colours nor the time points of a MultiVolume."""
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        return False
    image = node.GetImageData()
    return image is None or image.GetNumberOfScalarComponents() == 1


def _fits(part: slicer.vtkMRMLSequenceNode, master: slicer.vtkMRMLSequenceNode) -> bool:
    """Whether a slider can move a sequence too: each of its time points is one of the master's."""
    first, second = index_of(part), index_of(master)
    same = (first.name, first.unit, first.numeric) == (second.name, second.unit, second.numeric)
    return same and set(first.values) <= set(second.values)
