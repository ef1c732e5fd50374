"""Arrangements of views for the comparison, and the way back to the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from html import escape
from typing import Any
from weakref import WeakMethod, finalize

import slicer
from vtkmodules.vtkCommonCore import vtkCommand

from ..translation import _


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


def shows_comparison(node: slicer.vtkMRMLLayoutNode) -> bool:
    """Whether one of the comparison's layouts is shown."""
    return node.GetViewArrangement() in register_layouts(node).values()


class LayoutSwitch:
    """Shows the comparison's layouts and brings back what the user had before.

    A scene that is saved meanwhile holds no layout: a Slicer that does not know the comparison's would open it with an
    empty window, while a scene without one is opened in the views that are there. That the comparison was shown is
    saved in `parameters.Parameters.comparing`.

    Parameters
    ----------
    node
        The scene's layout node.
    """

    def __init__(self, node: slicer.vtkMRMLLayoutNode) -> None:
        self._node = node
        self._before: int | None = None
        keep_out = WeakMethod(self._keep_out_of_files)

        def changed(_node: Any, _event: str) -> None:
            if (alive := keep_out()) is not None:
                alive()

        finalize(self, node.RemoveObserver, node.AddObserver(vtkCommand.ModifiedEvent, changed))

    def show(self, layout: Layout) -> None:
        """Show a layout; the one that the user had is remembered."""
        if not shows_comparison(self._node):
            self._before = self._node.GetViewArrangement()
        self._node.SetViewArrangement(register_layouts(self._node)[layout])

    def restore(self) -> None:
        """Show what was there before, unless the user has already chosen something else.

        Where that is not known, as after loading a scene whose layout is the comparison's, it is Slicer's usual one.
        """
        if shows_comparison(self._node):
            before = self._node.SlicerLayoutFourUpView if self._before is None else self._before
            self._node.SetViewArrangement(before)
        self._before = None
        self._keep_out_of_files()

    def _keep_out_of_files(self) -> None:
        self._node.SetSaveWithScene(not shows_comparison(self._node))


def _item(view: View) -> str:
    properties = {"viewlabel": view_label(view), "viewcolor": view_colour(view)}
    if view not in _PLAIN_VIEWS:
        properties |= {"orientation": "Axial", "viewgroup": str(VIEW_GROUP)}
    inside = "".join(
        f'<property name="{name}" action="default">{escape(value)}</property>' for name, value in properties.items()
    )
    kind = _PLAIN_VIEWS.get(view, "vtkMRMLSliceNode")
    return f'<item><view class="{kind}" singletontag="{view.value}">{inside}</view></item>'
