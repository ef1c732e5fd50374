"""Volumes of the scene as volumes of the library, and back.

MRML keeps positions in RAS, the library in LPS. A parent transform of a node counts: what the library sees lies where
the views show it, and what is stored in a node appears where the library has it. Nodes are read without being changed.
"""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.volume import Volume

from ..translation import _

Matrix = NDArray[np.float64]

FLIP = np.array([-1.0, -1.0, 1.0])
"""Signs that turn RAS into LPS, and back."""

_UNSEEN = 1e-3
"""Width and height in mm of the voxels in an empty image."""

_LARGEST_SHEAR = 1e-3
"""Largest cosine between two index axes that still count as perpendicular."""


def has_voxels(node: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether a node holds an image; at a time point that was not computed it does not, see `store_nothing`."""
    image = node.GetImageData()
    if image is None:
        return False
    width, height, _depth = image.GetDimensions()
    return bool(width * height > 1)


def volume_of(node: slicer.vtkMRMLScalarVolumeNode) -> Volume:
    """Voxels and place of a volume node; a copy, so later changes of the node do not reach it.

    Parameters
    ----------
    node
        A scalar volume.

    Returns
    -------
        Volume ``(D, H, W)`` in world coordinates (LPS, mm).

    Raises
    ------
    InputError
        As for `geometry_of`.
    """
    geometry = geometry_of(node)
    scalars = node.GetImageData().GetPointData().GetScalars()
    return Volume(np.array(vtk_to_numpy(scalars), dtype=np.float32).reshape(geometry.shape), geometry)


def geometry_of(node: slicer.vtkMRMLScalarVolumeNode) -> Geometry:
    """Where the voxels of a volume node are shown: its own geometry moved by its parent transforms.

    Raises
    ------
    InputError
        If the node holds no voxels, colours or segments, or its transforms bend or shear it.
    """
    return moved(local_geometry(node), world_matrix(node), node.GetName())


def local_geometry(node: slicer.vtkMRMLScalarVolumeNode) -> Geometry:
    """Geometry of a volume node without its parent transforms; LPS, mm.

    Raises
    ------
    InputError
        If the node holds no voxels, or colours or segments in place of intensities.
    """
    _check_is_image(node)
    return grid_of(node)


def grid_of(node: slicer.vtkMRMLVolumeNode) -> Geometry:
    """The same for a node of any kind that holds voxels."""
    width, height, depth = node.GetImageData().GetDimensions()
    directions = vtkMatrix4x4()
    node.GetIJKToRASDirectionMatrix(directions)
    direction = FLIP[:, None] * _array(directions)[:3, :3]
    return Geometry((depth, height, width), node.GetSpacing(), _triple(FLIP * node.GetOrigin()), _nine(direction))


def world_matrix(node: slicer.vtkMRMLTransformableNode) -> Matrix | None:
    """4x4 matrix (LPS, mm) of all parent transforms of a node; None if it has none.

    Raises
    ------
    InputError
        If one of them is not linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return None
    if not transform.IsTransformToWorldLinear():
        text = _(
            "{name} is bent by the transform {transform}, which is not linear; "
            "harden the transform, or take the volume out of it."
        )
        raise InputError(text.format(name=node.GetName(), transform=transform.GetName()))
    matrix = vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    flip = np.diag([*FLIP, 1.0])
    world: Matrix = flip @ _array(matrix) @ flip
    return world


def moved(geometry: Geometry, matrix: Matrix | None, name: str) -> Geometry:
    """Geometry after a linear transform.

    Parameters
    ----------
    geometry
        Where the voxels are.
    matrix
        4x4 matrix (LPS, mm); nothing moves without one.
    name
        What to call the volume in the message.

    Raises
    ------
    InputError
        If the index axes are no longer perpendicular: no file format and no network can hold that.
    """
    if matrix is None:
        return geometry
    axes = matrix[:3, :3] @ geometry.axes
    spacing = np.linalg.norm(axes, axis=0)
    direction = axes / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > _LARGEST_SHEAR:
        text = _("{name} is sheared by its transform; harden the transform, or take the volume out of it.")
        raise InputError(text.format(name=name))
    origin = matrix[:3, :3] @ geometry.origin + matrix[:3, 3]
    return Geometry(geometry.shape, _triple(spacing), _triple(origin), _nine(direction))


def store_volume(volume: Volume, node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Put voxels and geometry of a volume into a node, which keeps its name, display and parent transform.

    Parameters
    ----------
    volume
        The volume, in world coordinates.
    node
        Is shown where the volume lies, whatever its parent transform.

    Raises
    ------
    InputError
        If the parent transform of the node bends or shears.
    """
    matrix = world_matrix(node)
    geometry = moved(volume.geometry, None if matrix is None else np.linalg.inv(matrix), node.GetName())
    _store_local(volume.data, geometry, node)


def _store_local(data: NDArray[np.generic], geometry: Geometry, node: slicer.vtkMRMLScalarVolumeNode) -> None:
    directions = vtkMatrix4x4()
    direction = FLIP[:, None] * np.asarray(geometry.direction).reshape(3, 3)
    for row, column in np.ndindex(3, 3):
        directions.SetElement(row, column, direction[row, column])
    image = vtkImageData()
    image.SetDimensions(*geometry.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(data).ravel(), deep=True))
    was_modifying = node.StartModify()  # one event, so that no view draws new voxels in the old place
    try:
        node.SetOrigin(*(FLIP * geometry.origin))
        node.SetSpacing(*geometry.spacing)
        node.SetIJKToRASDirectionMatrix(directions)
        node.SetAndObserveImageData(image)
    finally:
        node.EndModify(was_modifying)


def store_nothing(node: slicer.vtkMRMLScalarVolumeNode, grid: Geometry) -> None:
    """Empty a node: `has_voxels` is false from now on, and views that show it become black.

    Slice views keep the last picture of a node without an image, or with one of no voxels. So it gets slices of a
    single voxel that is too small to be seen; Slicer still steps from slice to slice.

    Parameters
    ----------
    node
        The volume; its parent transform stays.
    grid
        Of the image that is missing, in the node's own coordinates (LPS, mm).
    """
    depth, height, width = grid.shape
    middle = grid.position(((width - 1) / 2, (height - 1) / 2, 0))
    thin = Geometry((depth, 1, 1), (_UNSEEN, _UNSEEN, grid.spacing[2]), _triple(middle), grid.direction)
    _store_local(np.zeros(thin.shape, np.float32), thin, node)


def add_volume(scene: slicer.vtkMRMLScene, volume: Volume, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a volume to the scene, with a display node; another node of that name is left alone."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    store_volume(volume, node)
    node.CreateDefaultDisplayNodes()
    return node


def _check_is_image(node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Raise `InputError` unless every voxel of a node holds one intensity."""
    image = node.GetImageData()
    scalars = None if image is None else image.GetPointData().GetScalars()
    name = node.GetName()
    message = ""
    if scalars is None or not has_voxels(node):
        message = _("{name} holds no voxels; load it again.").format(name=name)
    elif node.IsA("vtkMRMLLabelMapVolumeNode"):
        message = _("{name} is a segmentation; choose an image.").format(name=name)
    elif scalars.GetNumberOfComponents() != 1:
        text = _("{name} holds {count} values in every voxel, such as colours; choose a grey-scale image.")
        message = text.format(name=name, count=scalars.GetNumberOfComponents())
    if message:
        raise InputError(message)


def _array(matrix: vtkMatrix4x4) -> Matrix:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _nine(matrix: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in matrix.ravel())
