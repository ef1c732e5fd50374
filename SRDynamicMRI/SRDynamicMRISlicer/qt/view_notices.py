"""Puts words on slice views of the window, and takes them away; makes room for what stands on their bars."""

from __future__ import annotations

import contextlib

import slicer

from ..comparison.layouts import View
from ..comparison.notice import Notice


class ViewNotices:
    """Draws what `captions` says; without a layout manager nothing."""

    def __init__(self) -> None:
        self._notices: dict[View, list[Notice]] = {}
        self._views: dict[View, slicer.qMRMLSliceView] = {}

    def draw(self, view: View, missing: str, notice: str) -> None:
        """Draw these words in a view, in place of those before.

        Parameters
        ----------
        view
            The view.
        missing, notice
            In its middle, and at its lower edge; nothing where empty.
        """
        for old in self._notices.pop(view, []):
            old.remove()
        shown = self._views.pop(view, None)
        manager = slicer.app.layoutManager()
        widget = None if manager is None else manager.sliceWidget(view.value)
        if widget is not None:
            widget.sliceController().viewLabel().setMinimumWidth(0)  # as wide as its text, not as two letters
        if widget is not None and (missing or notice):
            shown = self._views[view] = widget.sliceView()
            renderer = shown.renderWindow().GetRenderers().GetFirstRenderer()
            texts = ((missing, True), (notice, False))
            self._notices[view] = [Notice(renderer, text, middle) for text, middle in texts if text]
        if shown is not None:
            with contextlib.suppress(ValueError):  # the view has gone, as PythonQt says of objects that Qt has deleted
                shown.scheduleRender()
