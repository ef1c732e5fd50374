"""What the comparison's slice views show, and that they show the same place at the same scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import permutations, product

import numpy as np
import slicer
from numpy.typing import NDArray

from SRDynamicMRILib.geometry import Geometry

from ..scene.browsers import nodes_of
from ..scene.volumes import FLIP, geometry_of
from .layouts import View

_COMPOSITE = "vtkMRMLSliceCompositeNode"

_LEFT, _POSTERIOR, _ANTERIOR, _SUPERIOR = (-1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, 1)

_PRESETS = {0: (_POSTERIOR, _SUPERIOR, _LEFT), 1: (_LEFT, _SUPERIOR, _ANTERIOR), 2: (_LEFT, _ANTERIOR, _SUPERIOR)}
"""Directions (RAS) to the right, up and into the screen of Slicer's sagittal, coronal and axial views, by the axis
along which their slices lie: radiological convention."""


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


def acquisition_plane(geometry: Geometry) -> NDArray[np.float64]:
    """Directions of a view that shows the slices of a volume one by one, as they were acquired.

    The view's normal is the volume's slice axis. In the plane its axes are the volume's rows and columns, turned and
    mirrored to the nearest of Slicer's axial, sagittal and coronal views: anterior or superior up, the patient's
    left, or posterior, on the right.

    Parameters
    ----------
    geometry
        Of the volume.

    Returns
    -------
        3x3 matrix; its columns are unit vectors in RAS to the right, up, and along the normal.
    """
    columns, rows, normal = (FLIP[:, None] * geometry.axes / np.asarray(geometry.spacing)).T
    to_right, up, along = (np.array(axis, float) for axis in _PRESETS[int(np.argmax(np.abs(normal)))])
    right, top = max(permutations((columns, rows)), key=lambda pair: abs(pair[0] @ to_right) + abs(pair[1] @ up))
    axes = ((right, to_right), (top, up), (normal, along))
    return np.stack([axis if axis @ wanted >= 0 else -axis for axis, wanted in axes], axis=1)


def same_field_of_view(
    scene: slicer.vtkMRMLScene,
    views: Iterable[View],
    like: slicer.vtkMRMLScalarVolumeNode,
    series: slicer.vtkMRMLScalarVolumeNode | None = None,
) -> tuple[float, float]:
    """Turn all views to the acquisition plane, show the middle slice of a volume, and all of it, at one scale.

    The volume fits into the smallest of the views, so that a millimetre is as long in all of them.

    Parameters
    ----------
    scene
        The scene.
    views
        Those that have not been shown yet are left out.
    like
        The volume; its parent transform counts.
    series
        The volume whose slices give the plane; `like` if not given.

    Returns
    -------
        Lowest and highest offset of a slice (mm) at which the volume is seen.
    """
    nodes = [node for node in (slice_node(scene, view) for view in views) if node is not None]
    plane = acquisition_plane(geometry_of(like if series is None else series))
    low, high, centre = _extent(plane, geometry_of(like))
    sizes = [node.GetDimensions()[:2] for node in nodes]
    scale = max((max((high[:2] - low[:2]) / size) for size in sizes if min(size) > 0), default=0.0)
    placed = np.column_stack([plane, centre])
    for node, (width, height) in zip(nodes, sizes, strict=True):
        fitted = scale > 0 and width > 0 and height > 0
        field = np.array([scale * width, scale * height]) if fitted else np.array(node.GetFieldOfView()[:2])
        if not _shows(node, placed, field):  # what is drawn anew takes time
            was_modifying = node.StartModify()
            for row, column in np.ndindex(3, 4):
                node.GetSliceToRAS().SetElement(row, column, placed[row, column])
            node.SetFieldOfView(*field, node.GetFieldOfView()[2])
            node.SetXYZOrigin(0, 0, 0)
            node.UpdateMatrices()
            node.EndModify(was_modifying)
    return float(low[2]), float(high[2])


def _shows(node: slicer.vtkMRMLSliceNode, placed: NDArray[np.float64], field: NDArray[np.float64]) -> bool:
    """Whether a view has this plane (3x4, RAS) and field of view (mm) already."""
    matrix = node.GetSliceToRAS()
    now = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(3)])
    return (
        np.allclose(now, placed, rtol=0, atol=1e-9)
        and np.allclose(node.GetFieldOfView()[:2], field, rtol=1e-9)
        and not any(node.GetXYZOrigin())
    )


def _extent(
    plane: NDArray[np.float64], geometry: Geometry
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest corner of a volume along the axes of a view (mm), and its middle slice's centre (RAS, mm)."""
    depth, height, width = geometry.shape
    corners = [
        plane.T @ (FLIP * geometry.position(corner))
        for corner in product((-0.5, width - 0.5), (-0.5, height - 0.5), (-0.5, depth - 0.5))
    ]
    # The middle of the field of view may lie between two slices: go to the centre of the next voxel along the normal.
    along = int(np.argmax(np.abs(geometry.axes.T @ (FLIP * plane[:, 2]) / np.asarray(geometry.spacing))))
    middle = np.array([(width - 1) / 2, (height - 1) / 2, (depth - 1) / 2])
    middle[along] = np.ceil(middle[along])
    return np.min(corners, axis=0), np.max(corners, axis=0), FLIP * geometry.position(middle)
