"""Arrangements of views for the comparison, and the way back to the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from html import escape

import slicer

from .translation import _


class View(str, Enum):
    """Names of the comparison's own views: others of Slicer keep what they show."""

    LOW = "SRDynamicMRI-Low"
    RESULT = "SRDynamicMRI-Result"
    TRUTH = "SRDynamicMRI-Truth"
    SSIM = "SRDynamicMRI-SSIM"
    DIFFERENCE = "SRDynamicMRI-Difference"
    PLOT = "SRDynamicMRI-Plot"
    TABLE = "SRDynamicMRI-Table"


class Layout(str, Enum):
    """Arrangements, by what they hold."""

    TWO = "two"
    THREE = "three"
    MAPS = "maps"
    FIGURES = "figures"


ROWS: Mapping[Layout, Sequence[Sequence[View]]] = {
    Layout.TWO: ((View.LOW, View.RESULT),),
    Layout.THREE: ((View.LOW, View.RESULT, View.TRUTH),),
    Layout.MAPS: ((View.LOW, View.RESULT, View.TRUTH), (View.SSIM, View.DIFFERENCE)),
    Layout.FIGURES: ((View.LOW, View.RESULT, View.TRUTH), (View.PLOT, View.TABLE)),
}
"""Rows of views from the top, each from the left."""

VIEW_GROUP = 7310
"""Views of one group move together; this one is no other module's."""

_FIRST_ID = 7310
"""Number of the first layout. Slicer's own are below 100; it is saved with a scene, so it must not change."""

_COLOURS = {View.LOW: "#56b4e9", View.RESULT: "#e69f00", View.TRUTH: "#009e73"}
"""As in the figures of the report; grey for the others."""

_NO_COLOUR = "#8c8c8c"
_PLAIN_VIEWS = {View.PLOT: "vtkMRMLPlotViewNode", View.TABLE: "vtkMRMLTableViewNode"}


def view_label(view: View) -> str:
    """What stands on the bar of a view, where there is room for some letters; the panel has the words in full."""
    return {
        View.LOW: _("LR"),
        View.RESULT: _("SR"),
        View.TRUTH: _("GT"),
        View.SSIM: _("SSIM"),
        View.DIFFERENCE: _("Difference"),
        View.PLOT: _("Plot"),
        View.TABLE: _("Table"),
    }[view]


def view_colour(view: View) -> str:
    """Colour of a view's bar, as in HTML."""
    return _COLOURS.get(view, _NO_COLOUR)


def slice_views(layout: Layout) -> tuple[View, ...]:
    """The views of a layout that show slices."""
    return tuple(view for row in ROWS[layout] for view in row if view not in _PLAIN_VIEWS)


def description(layout: Layout) -> str:
    """Slicer's XML of a layout."""
    rows = "".join(
        f'<item splitSize="500"><layout type="horizontal">{"".join(_item(view) for view in row)}</layout></item>'
        for row in ROWS[layout]
    )
    return f'<layout type="vertical" split="true">{rows}</layout>'


def register_layouts(node: slicer.vtkMRMLLayoutNode) -> dict[Layout, int]:
    """Make the layouts known to Slicer, and return their numbers; doing it again changes nothing.

    Parameters
    ----------
    node
        The scene's layout node.
    """
    numbers = {}
    for offset, layout in enumerate(Layout):
        number, text = _FIRST_ID + offset, description(layout)
        while node.IsLayoutDescription(number) and node.GetLayoutDescription(number) != text:
            number += len(Layout)  # someone else's: leave it alone
        node.AddLayoutDescription(number, text)
        numbers[layout] = number
    return numbers


class LayoutSwitch:
    """Shows the comparison's layouts and brings back what the user had before.

    Parameters
    ----------
    node
        The scene's layout node.
    """

    def __init__(self, node: slicer.vtkMRMLLayoutNode) -> None:
        self._node = node
        self._before: int | None = None

    def show(self, layout: Layout) -> None:
        """Show a layout; the one that the user had is remembered."""
        numbers = register_layouts(self._node)
        if self._node.GetViewArrangement() not in numbers.values():
            self._before = self._node.GetViewArrangement()
        self._node.SetViewArrangement(numbers[layout])

    def restore(self) -> None:
        """Show what was there before, unless the user has already chosen something else."""
        if self._before is not None and self._node.GetViewArrangement() in register_layouts(self._node).values():
            self._node.SetViewArrangement(self._before)
        self._before = None


def _item(view: View) -> str:
    properties = {"viewlabel": view_label(view), "viewcolor": view_colour(view)}
    if view not in _PLAIN_VIEWS:
        properties |= {"orientation": "Axial", "viewgroup": str(VIEW_GROUP)}
    inside = "".join(
        f'<property name="{name}" action="default">{escape(value)}</property>' for name, value in properties.items()
    )
    kind = _PLAIN_VIEWS.get(view, "vtkMRMLSliceNode")
    return f'<item><view class="{kind}" singletontag="{view.value}">{inside}</view></item>'
