"""The section of the panel that shows series side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer

from SRDynamicMRILib.errors import InputError

from ..comparison.captions import Caption, ViewCaptions, picture_name
from ..comparison.comparison import Comparison
from ..comparison.layouts import Layout, LayoutSwitch, View, shows_comparison, slice_views
from ..comparison.overlay_control import OverlayControl
from ..comparison.selection import Shown, chosen_views, shown, slider_of
from ..comparison.views import show_figures
from ..qt.time_slider import TimeSlider
from ..qt.view_notices import ViewNotices
from ..scene.parameters import Parameters
from ..translation import _


class ComparisonPanel:
    """Binds the widgets of the comparison to views and nodes.

    Parameters
    ----------
    ui
        The widgets by name.
    scene
        The scene.
    """

    def __init__(self, ui: Any, scene: slicer.vtkMRMLScene) -> None:
        self._ui, self._scene = ui, scene
        self.slider = TimeSlider(ui.timePointSlider)
        self.slider.moved.connect(self._on_moved)
        self._overlay = OverlayControl(scene)
        self._captions = ViewCaptions(scene, ViewNotices().draw)
        self._parameters: Parameters | None = None
        self._comparison: Comparison | None = None
        self._shown = Shown()
        self._showing: tuple[object, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the comparison's views are shown."""
        return self._comparison is not None

    @property
    def captions(self) -> Mapping[View, Caption]:
        """What stands on the views that are shown."""
        return self._captions.captions

    @property
    def picture_name(self) -> str:
        """Name for a picture of the views, which says what is seen in them."""
        return picture_name(self.captions)

    def set_parameters(self, parameters: Parameters | None) -> None:
        """Take the choices of another scene."""
        self._parameters = parameters
        self.update()

    def open(self) -> None:
        """Show the comparison's views.

        Raises
        ------
        InputError
            If there are none to show, or nothing to show in them.
        """
        layout = self._scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        if slicer.app.layoutManager() is None or layout is None:
            raise InputError(_("There is no window with views to show the images in."))
        if self._parameters is None or not shown(chosen_views(self._parameters)).volumes:
            raise InputError(_("Choose a dynamic series first."))
        if self._comparison is None:
            self._comparison = Comparison(layout)
        self._showing = ()
        self.update()
        self._parameters.comparing = True

    def resume(self) -> None:
        """Show what a scene was saved with: the comparison where it was shown, and nothing of it where it was not."""
        p, layout = self._parameters, self._scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        if p is None or layout is None or slicer.app.layoutManager() is None:
            return
        is_shown = shows_comparison(layout)  # by scenes that earlier versions have saved
        if self.is_open and not is_shown:
            self.close()
        if not (p.comparing or is_shown):
            return
        try:
            self.open()
        except InputError:  # what it showed is not in the scene
            p.comparing = False
            LayoutSwitch(layout).restore()

    def close(self) -> None:
        """Show the views that were there before."""
        self._overlay.stop()
        self._captions.stop()
        if self._comparison is not None:
            self._comparison.close()
        self._comparison, self._showing = None, ()

    def swap(self) -> None:
        """Show the other image in the view of the result, or the result again."""
        self._overlay.swap()

    def update(self) -> None:
        """Show what is chosen now; what has not changed is left as the user has moved it."""
        p, ui = self._parameters, self._ui
        chosen = {} if p is None else chosen_views(p)
        self._shown = shown(chosen) if self._comparison is not None else Shown(browser=slider_of(chosen))
        self.slider.follow(self._shown.browser)
        if p is not None and self._comparison is not None:
            layout = Layout(p.layout.value)
            showing = (
                layout,
                p.linkedViews,
                p.sharedWindow,
                *sorted((v, n.GetID()) for v, n in self._shown.volumes.items()),
            )
            if showing != self._showing:
                self._overlay.stop()
                self._comparison.show(self._shown.volumes, layout, p.linkedViews, p.sharedWindow)
                self._showing = showing
                self._captions.show(slice_views(layout), self._shown.volumes)
            if p.metricChart is not None and p.metricsTable is not None:
                show_figures(self._scene, p.metricChart, p.metricsTable)
        ui.closeButton.enabled = self._comparison is not None
        self._show_overlay()

    def _on_moved(self, number: int) -> None:
        self._overlay.refresh()
        self._show_overlay()  # there may be a result again

    def _show_overlay(self) -> None:
        p, ui = self._parameters, self._ui
        if p is not None and self._comparison is not None:
            self._overlay.show(p.compareMode, p.compareWith, p.swipePosition / 100, self._shown.volumes)
        ui.swapButton.enabled = ui.swipeSlider.enabled = self._overlay.running
