"""The comparison as a whole: layout, views, one window, one slider, and everything put back at the end."""

from __future__ import annotations

from collections.abc import Mapping

import slicer

from ..scene.browsers import browse_together, browser_of, proxy_of
from ..scene.map_colours import show_as_difference, show_as_ssim
from ..scene.volumes import has_voxels, volume_of
from .fit import FittedViews
from .layouts import Layout, LayoutSwitch, View, slice_views
from .views import show_volumes
from .windows import SharedWindow, window_for

_IMAGES = (View.LOW, View.RESULT, View.TRUTH)


class Comparison:
    """Shows series side by side.

    Parameters
    ----------
    layout
        The scene's layout node.
    """

    def __init__(self, layout: slicer.vtkMRMLLayoutNode) -> None:
        self._scene = layout.GetScene()
        self._switch = LayoutSwitch(layout)
        self._window: SharedWindow | None = None
        self._fitted: FittedViews | None = None

    def show(
        self,
        volumes: Mapping[View, slicer.vtkMRMLScalarVolumeNode],
        layout: Layout = Layout.MAPS,
        linked: bool = True,
        one_window: bool = True,
    ) -> None:
        """Show volumes, each in its view, at one place and scale and with one window.

        Parameters
        ----------
        volumes
            What to show: for sequences the nodes that show the selected time point. Views without one are emptied.
        layout
            How to arrange the views.
        linked
            Whether the views move together.
        one_window
            Whether the images keep the same window and level.
        """
        self._switch.show(layout)
        views = slice_views(layout)
        show_volumes(self._scene, {view: volumes.get(view) for view in views}, linked)
        self._let_go()
        images = [volumes[view] for view in _IMAGES if view in volumes]
        filled = [image for image in images if has_voxels(image)]
        if filled:
            reference = filled[-1]  # the truth where there is one, else the result if it is there already
            series = volumes.get(View.LOW)
            self._fitted = FittedViews(self._scene, views, reference, series if series in filled else reference)
            if one_window:
                self._window = SharedWindow(images, window_for(volume_of(reference)))
        if View.SSIM in volumes:
            show_as_ssim(volumes[View.SSIM])
        if View.DIFFERENCE in volumes:
            show_as_difference(volumes[View.DIFFERENCE])

    def close(self) -> None:
        """Show what was there before, and let every volume have its own window again."""
        self._let_go()
        self._switch.restore()

    def _let_go(self) -> None:
        for held in (self._window, self._fitted):
            if held is not None:
                held.release()
        self._window = self._fitted = None


def on_one_slider(
    master: slicer.vtkMRMLSequenceNode, others: Mapping[View, slicer.vtkMRMLSequenceNode]
) -> dict[View, slicer.vtkMRMLScalarVolumeNode]:
    """Let the browser of one sequence move others, and return the nodes that show them.

    Parameters
    ----------
    master
        Its browser has the slider.
    others
        Sequences by the view they are for; `master` may be among them. See `browsers.same_time_axis`.
    """
    browser = browser_of(master)
    for sequence in others.values():
        browse_together(browser, sequence)
    shown = {view: proxy_of(sequence, browser) for view, sequence in others.items()}
    return {view: proxy for view, proxy in shown.items() if proxy is not None}
