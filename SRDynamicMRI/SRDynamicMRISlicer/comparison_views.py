"""What the comparison's slice views show, and that they show the same place at the same scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from .comparison_layouts import View
from .scene_browsers import nodes_of
from .scene_volumes import FLIP, geometry_of

_COMPOSITE = "vtkMRMLSliceCompositeNode"


def slice_node(scene: slicer.vtkMRMLScene, view: View) -> slicer.vtkMRMLSliceNode | None:
    """The slice node of a view; None before a layout with the view was shown."""
    return scene.GetSingletonNode(view.value, "vtkMRMLSliceNode")


def composite_node(scene: slicer.vtkMRMLScene, view: View) -> slicer.vtkMRMLSliceCompositeNode:
    """The node that says what a view shows; made if the view has not made it yet, and then taken over by it."""
    found = next((n for n in nodes_of(scene, _COMPOSITE) if n.GetLayoutName() == view.value), None)
    if found is None:
        made = slicer.vtkMRMLSliceCompositeNode()
        made.SetLayoutName(view.value)
        found = scene.AddNode(made)
    return found


def show_volumes(
    scene: slicer.vtkMRMLScene, volumes: Mapping[View, slicer.vtkMRMLScalarVolumeNode | None], linked: bool = True
) -> None:
    """Show a volume in each view, alone.

    Parameters
    ----------
    scene
        The scene.
    volumes
        What to show; None empties a view.
    linked
        Whether the views move together.
    """
    for view, volume in volumes.items():
        composite = composite_node(scene, view)
        was_modifying = composite.StartModify()
        composite.SetDoPropagateVolumeSelection(False)  # a volume loaded meanwhile must not push these out
        composite.SetBackgroundVolumeID(None if volume is None else volume.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetForegroundOpacity(0.0)
        composite.SetLabelVolumeID(None)
        composite.SetLinkedControl(linked)
        composite.SetHotLinkedControl(linked)
        composite.EndModify(was_modifying)


def show_figures(
    scene: slicer.vtkMRMLScene, chart: slicer.vtkMRMLPlotChartNode, table: slicer.vtkMRMLTableNode
) -> None:
    """Show a chart and a table in their views, where a layout with those has been shown."""
    plot_view = scene.GetSingletonNode(View.PLOT.value, "vtkMRMLPlotViewNode")
    table_view = scene.GetSingletonNode(View.TABLE.value, "vtkMRMLTableViewNode")
    if plot_view is not None:
        plot_view.SetPlotChartNodeID(chart.GetID())
    if table_view is not None:
        table_view.SetTableNodeID(table.GetID())


def same_field_of_view(scene: slicer.vtkMRMLScene, views: Iterable[View], like: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Turn all views to the planes of a volume, show its middle slice, and all of it, at one scale.

    The volume fits into the smallest of the views, so that a millimetre is as long in all of them.

    Parameters
    ----------
    scene
        The scene.
    views
        Those that have not been shown yet are left out.
    like
        The volume; its parent transform counts.
    """
    nodes = [node for node in (slice_node(scene, view) for view in views) if node is not None]
    scale = 0.0
    placed: list[tuple[slicer.vtkMRMLSliceNode, NDArray[np.float64]]] = []
    for node in nodes:
        node.RotateToVolumePlane(like)
        low, high, centre = _extent(node, like)
        width, height = node.GetDimensions()[:2]
        if width > 0 and height > 0:
            scale = max(scale, (high[0] - low[0]) / width, (high[1] - low[1]) / height)
        placed.append((node, centre))
    for node, centre in placed:
        width, height = node.GetDimensions()[:2]
        was_modifying = node.StartModify()
        matrix = node.GetSliceToRAS()
        for row in range(3):
            matrix.SetElement(row, 3, centre[row])
        if scale > 0 and width > 0 and height > 0:
            node.SetFieldOfView(scale * width, scale * height, node.GetFieldOfView()[2])
        node.SetXYZOrigin(0, 0, 0)
        node.UpdateMatrices()
        node.EndModify(was_modifying)


def _extent(
    node: slicer.vtkMRMLSliceNode, volume: slicer.vtkMRMLScalarVolumeNode
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Corners of a volume in the plane of a slice node (mm), and the centre of its middle slice (RAS, mm)."""
    geometry = geometry_of(volume)
    depth, height, width = geometry.shape
    corners = [
        FLIP * geometry.position(corner)
        for corner in product((-0.5, width - 0.5), (-0.5, height - 0.5), (-0.5, depth - 0.5))
    ]
    inverse = vtkMatrix4x4()
    vtkMatrix4x4.Invert(node.GetSliceToRAS(), inverse)
    inside = np.array([inverse.MultiplyPoint((*corner, 1.0))[:3] for corner in corners])
    # The middle of the field of view may lie between two slices: go to the centre of the next voxel along the normal.
    normal = np.array([node.GetSliceToRAS().GetElement(row, 2) for row in range(3)])
    along = int(np.argmax(np.abs(geometry.axes.T @ (FLIP * normal) / np.asarray(geometry.spacing))))
    middle = np.array([(width - 1) / 2, (height - 1) / 2, (depth - 1) / 2])
    middle[along] = np.ceil(middle[along])
    return inside.min(axis=0), inside.max(axis=0), FLIP * geometry.position(middle)
