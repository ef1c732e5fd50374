"""Puts the words on the slice views that show what a network has made, and takes them away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import slicer

from .comparison_layouts import View
from .comparison_notice import Notice


class ViewNotices:
    """The notices on the views of the comparison; without a layout manager there are none."""

    def __init__(self) -> None:
        self._notices: list[Notice] = []
        self._views: list[slicer.qMRMLSliceView] = []

    def show(self, views: Iterable[View]) -> None:
        """Put a notice on these views, and on no others."""
        self.remove()
        manager = slicer.app.layoutManager()
        for view in views if manager is not None else ():
            widget = manager.sliceWidget(view.value)
            if widget is not None:
                self._views.append(widget.sliceView())
                window = self._views[-1].renderWindow()
                self._notices.append(Notice(window.GetRenderers().GetFirstRenderer()))
                self._views[-1].scheduleRender()

    def remove(self) -> None:
        """Take all away."""
        for notice, view in zip(self._notices, self._views, strict=True):
            notice.remove()
            with contextlib.suppress(ValueError):  # the view has gone, as PythonQt says of objects that Qt has deleted
                view.scheduleRender()
        self._notices.clear()
        self._views.clear()
