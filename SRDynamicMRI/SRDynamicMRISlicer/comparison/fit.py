"""The image stays whole in the comparison's views while these get their size, until the user moves or zooms."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any
from weakref import WeakMethod

import slicer
from vtkmodules.vtkCommonCore import vtkCommand

from ..scene.volumes import geometry_of, has_voxels
from .layouts import View
from .views import same_field_of_view, slice_node

_AT_ONCE = 1.5
"""Slices further than which nobody scrolls in one step."""


class FittedViews:
    """Shows all of a volume in several views, now and whenever one of them gets another size.

    Qt gives the views of a layout their size when it comes to drawing them, some later than others, and again when the
    window is resized. Slicer's controllers of new views set the slice offset to 0 then, as if the user had scrolled;
    that is put right. Scrolling is respected, and from the moment on when the user moves or zooms one of the views all
    are left alone. Once it is released or dropped, it changes nothing more.

    Parameters
    ----------
    scene
        The scene.
    views
        The views.
    reference
        The volume to show.
    series
        The volume whose slices give the plane.

    Raises
    ------
    InputError
        If one of the volumes is bent or sheared by its transform.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        views: Iterable[View],
        reference: slicer.vtkMRMLScalarVolumeNode,
        series: slicer.vtkMRMLScalarVolumeNode,
    ) -> None:
        self._scene, self._views = scene, tuple(views)
        self._reference, self._series = reference, series
        found = (slice_node(scene, view) for view in self._views)
        self._sizes = {node: _size(node) for node in found if node is not None}
        self._offsets = (-math.inf, math.inf)
        self._offset = self._step = 0.0
        self._scrolled = False
        self.fit()
        follow = WeakMethod(self._on_changed)

        def changed(node: Any, _event: str) -> None:
            if (alive := follow()) is not None:
                alive(node)

        self._observers = [(node, node.AddObserver(vtkCommand.ModifiedEvent, changed)) for node in self._sizes]

    def fit(self) -> None:
        """Show all of the volume; nothing happens at a time point where it is missing."""
        if all(node.GetScene() is not None and has_voxels(node) for node in (self._reference, self._series)):
            self._offsets = same_field_of_view(self._scene, self._views, self._reference, self._series)
            self._step = geometry_of(self._series).spacing[2]
            self._offset = next((node.GetSliceOffset() for node in self._sizes), 0.0)

    def release(self) -> None:
        """Leave the views alone from now on."""
        for node, tag in self._observers:
            node.RemoveObserver(tag)
        self._observers = []

    def _on_changed(self, node: slicer.vtkMRMLSliceNode) -> None:
        if _is_stale(node):
            node.UpdateMatrices()  # which calls this again
        offset = node.GetSliceOffset()
        misplaced = self._is_misplaced(node)
        if node.GetInteractionFlags() & ~node.SliceToRASFlag:  # the user's
            self.release()
        elif _size(node) != self._sizes[node] or misplaced:
            self._sizes[node] = _size(node)
            if misplaced and self._scrolled:
                offset = self._offset
            self.fit()
            if self._scrolled:
                self._offset = offset
                for each in self._sizes:
                    each.SetSliceOffset(offset)
        elif node.GetInteractionFlags():
            self._scrolled, self._offset = True, offset

    def _is_misplaced(self, node: slicer.vtkMRMLSliceNode) -> bool:
        """Whether a view has an offset that the user has not scrolled to: beside the volume, or suddenly 0.

        Controllers of new views leave the place for 0 at once, while a user goes from slice to slice.
        """
        offset = node.GetSliceOffset()
        beside = not self._offsets[0] <= offset <= self._offsets[1]
        return beside or (offset == 0 and abs(self._offset) > _AT_ONCE * self._step)


def _is_stale(node: slicer.vtkMRMLSliceNode) -> bool:
    """Whether pixels are drawn with another size than the field of view says.

    That happens where the field of view is changed while the node tells of its new size: it goes on with what it had
    computed before.
    """
    matrix, dimensions = node.GetXYToRAS(), node.GetDimensions()
    drawn = math.hypot(*(matrix.GetElement(row, 0) for row in range(3))) * dimensions[0]
    return not math.isclose(drawn, node.GetFieldOfView()[0], rel_tol=1e-6)


def _size(node: slicer.vtkMRMLSliceNode) -> tuple[int, ...]:
    return tuple(node.GetDimensions()[:2])
