"""Two images in one view: blinking between them, or a curtain that is drawn from one to the other."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray

from SRDynamicMRILib.acquisition.interpolation import resample
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.sidecar import NOTICE

from ..scene.provenance import shows_generated, write_facts
from ..scene.volumes import FLIP, add_volume, store_volume, volume_of
from .layouts import View
from .views import acquisition_plane, composite_node, slice_node

_SIDES = ("SRDynamicMRI.left", "SRDynamicMRI.right")
"""References of a curtain's image to what it was put together of."""


def sides_of(node: slicer.vtkMRMLNode) -> tuple[slicer.vtkMRMLScalarVolumeNode, ...]:
    """The images on the left and on the right of a curtain; none for any other node."""
    sides = (node.GetNodeReference(side) for side in _SIDES)
    return tuple(side for side in sides if side is not None)


class Alternate:
    """Shows another image in a view at every other call.

    Parameters
    ----------
    scene
        The scene.
    view
        The view; shows its own image first.
    other
        What to show in turn.
    """

    def __init__(self, scene: slicer.vtkMRMLScene, view: View, other: slicer.vtkMRMLScalarVolumeNode) -> None:
        self._composite = composite_node(scene, view)
        self._before = self._composite.GetForegroundVolumeID(), self._composite.GetForegroundOpacity()
        self._composite.SetForegroundOpacity(0.0)
        self._composite.SetForegroundVolumeID(other.GetID())

    @property
    def shows_other(self) -> bool:
        """Whether the other image is seen now."""
        return bool(self._composite.GetForegroundOpacity() > 0.5)

    def toggle(self) -> None:
        """Show the image that is not seen now."""
        self._composite.SetForegroundOpacity(0.0 if self.shows_other else 1.0)

    def stop(self) -> None:
        """Leave the view as it was."""
        volume, opacity = self._before
        self._composite.SetForegroundVolumeID(volume)
        self._composite.SetForegroundOpacity(opacity)


class Swipe:
    """Shows one image on the left of a line and another on its right, in one view.

    The line is upright in the view, however the view is turned. The image is put together on the grid of the right one,
    so both keep their own grey levels and places.

    Parameters
    ----------
    scene
        The scene.
    view
        Where to show it.
    left, right
        The images; they may lie on different grids.

    Raises
    ------
    InputError
        If the two do not overlap in space.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        view: View,
        left: slicer.vtkMRMLScalarVolumeNode,
        right: slicer.vtkMRMLScalarVolumeNode,
    ) -> None:
        self._sides = left, right
        self._composite = composite_node(scene, view)
        self._slice = slice_node(scene, view)
        self._before = self._composite.GetBackgroundVolumeID()
        self._share = 0.5
        self.node = add_volume(scene, volume_of(right), f"{left.GetName()} | {right.GetName()}")
        self.node.SetHideFromEditors(True)
        self.node.SetSaveWithScene(False)
        for reference, side in zip(_SIDES, self._sides, strict=True):
            self.node.SetNodeReferenceID(reference, side.GetID())
        if any(shows_generated(side) for side in self._sides):
            write_facts(self.node, {"Notice": NOTICE})
        if right.GetDisplayNode() is not None:
            self.node.GetDisplayNode().CopyContent(right.GetDisplayNode())
        try:
            self.refresh()
        except InputError:
            scene.RemoveNode(self.node)
            raise
        self._composite.SetBackgroundVolumeID(self.node.GetID())

    def move(self, share: float) -> None:
        """Draw the curtain.

        Parameters
        ----------
        share
            Of the view's width, as far as the image reaches, that shows the left image, 0 to 1; less or more counts as
            those.
        """
        self._share = min(max(share, 0.0), 1.0)
        on_the_left = self._across() < self._share
        store_volume(self._right.with_data(np.where(on_the_left, self._left.data, self._right.data)), self.node)

    def refresh(self) -> None:
        """Show the images as they are now, for example at another time point."""
        left, right = (volume_of(side) for side in self._sides)
        self._right, self._left = right, resample(left, right.geometry)
        self.move(self._share)

    def _across(self) -> NDArray[np.float64]:
        """Where every voxel lies in the view, from 0 at the left edge of the image to 1 at its right edge."""
        geometry = self._right.geometry
        steps = geometry.axes.T @ (FLIP * self._to_the_right())  # mm to the right, for a step along x, y and z
        depth, height, width = geometry.shape
        x, y, z = (step * (np.arange(count) + 0.5) for step, count in zip(steps, (width, height, depth), strict=True))
        place = z[:, None, None] + y[None, :, None] + x[None, None, :]
        ends = steps * (width, height, depth)
        left_edge = np.minimum(ends, 0).sum()
        return (place - left_edge) / np.abs(ends).sum()

    def _to_the_right(self) -> NDArray[np.float64]:
        """Unit vector (RAS) to the right of the screen: the view's own, or that of a view of the acquisition plane."""
        if self._slice is None:
            return acquisition_plane(self._right.geometry)[:, 0]
        return np.array([self._slice.GetSliceToRAS().GetElement(row, 0) for row in range(3)])

    def stop(self) -> None:
        """Leave the view as it was."""
        self._composite.SetBackgroundVolumeID(self._before)
        if self.node.GetScene() is not None:
            self.node.GetScene().RemoveNode(self.node)
