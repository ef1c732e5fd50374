"""Volumes go into the scene and come back in the same place, whatever their orientation and transform."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import slicer
from helpers.scenes import Slicer, oblique, random_volume, rigid
from hypothesis import given, settings
from hypothesis import strategies as st
from SRDynamicMRISlicer.scene.volumes import add_volume, geometry_of, local_geometry, store_volume, volume_of
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.volume import Volume

FLIP = np.array([-1.0, -1.0, 1.0])


@pytest.fixture
def app() -> Slicer:
    """A Slicer that lives as long as the test: its nodes go with it."""
    return Slicer()


def world_position(node: slicer.vtkMRMLScalarVolumeNode, index: Sequence[int]) -> np.ndarray:
    """Where Slicer draws the centre of a voxel (x, y, z), in LPS."""
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    position = np.array(matrix.MultiplyPoint((*index, 1.0))[:3])
    if node.GetParentTransformNode() is not None:
        world = [0.0, 0.0, 0.0]
        node.TransformPointToWorld(position, world)
        position = np.array(world)
    return FLIP * position


@given(angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3), mirrored=st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_volume_comes_back_exactly(angles: tuple[float, float, float], mirrored: bool) -> None:
    scene = slicer.vtkMRMLScene()
    volume = random_volume(oblique(angles=angles, mirrored=mirrored))
    again = volume_of(add_volume(scene, volume, "v"))
    assert (again.geometry.spacing, again.geometry.origin) == (volume.geometry.spacing, volume.geometry.origin)
    np.testing.assert_allclose(again.geometry.direction, volume.geometry.direction, rtol=0, atol=1e-15)
    assert np.array_equal(again.data, volume.data)


def test_slicer_shows_a_voxel_where_the_library_has_it(app: Slicer) -> None:
    volume = random_volume(oblique())
    node = app.volume(volume)
    for index in ((0, 0, 0), (4, 3, 2), (1, 2, 0)):
        np.testing.assert_allclose(world_position(node, index), volume.geometry.position(index), atol=1e-9)
        x, y, z = index
        assert node.GetImageData().GetScalarComponentAsDouble(x, y, z, 0) == volume.data[z, y, x]


@pytest.mark.parametrize("matrix", [rigid(), np.diag([2.0, 2.0, 2.0, 1.0]), rigid() @ rigid((0, 0, 1), (1, 2, 3))])
def test_a_linear_transform_counts_and_the_node_stays(app: Slicer, matrix: np.ndarray) -> None:
    volume = random_volume(oblique())
    node = app.volume(volume)
    node.SetAndObserveTransformNodeID(app.transform(matrix).GetID())
    before = node.GetMTime(), node.GetImageData().GetMTime()
    found = volume_of(node)
    assert (node.GetMTime(), node.GetImageData().GetMTime()) == before
    assert not found.geometry.same_grid(volume.geometry)
    assert local_geometry(node) == volume.geometry
    for index in ((0, 0, 0), (4, 3, 2)):
        np.testing.assert_allclose(found.geometry.position(index), world_position(node, index), atol=1e-9)
    assert np.array_equal(found.data, volume.data)


def test_nested_transforms_count_together(app: Slicer) -> None:
    node = app.volume(random_volume(oblique()))
    outer, inner = app.transform(rigid()), app.transform(rigid((0, 0.2, 0), (1, 1, 1)))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    node.SetAndObserveTransformNodeID(inner.GetID())
    np.testing.assert_allclose(geometry_of(node).position((1, 2, 1)), world_position(node, (1, 2, 1)), atol=1e-9)


def test_a_volume_stored_under_a_transform_is_shown_where_it_lies(app: Slicer) -> None:
    node = app.volume(random_volume(oblique()))
    transform = app.transform(rigid())
    node.SetAndObserveTransformNodeID(transform.GetID())
    other = random_volume(Geometry((2, 3, 4), (1, 2, 3), (7, 8, 9)), seed=5)
    store_volume(other, node)
    assert node.GetTransformNodeID() == transform.GetID()
    np.testing.assert_allclose(world_position(node, (3, 2, 1)), other.geometry.position((3, 2, 1)), atol=1e-9)
    assert volume_of(node).geometry.same_grid(other.geometry, 1e-9)


def test_a_bending_transform_is_refused(app: Slicer) -> None:
    node = app.volume(random_volume(oblique()), "liver")
    node.SetAndObserveTransformNodeID(app.bending_transform().GetID())
    with pytest.raises(InputError, match="liver is bent by the transform bent"):
        volume_of(node)


def test_a_shearing_transform_is_refused(app: Slicer) -> None:
    node = app.volume(random_volume(oblique()), "liver")
    shear = np.eye(4)
    shear[0, 1] = 0.2
    node.SetAndObserveTransformNodeID(app.transform(shear).GetID())
    with pytest.raises(InputError, match="liver is sheared"):
        volume_of(node)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float64])
def test_every_kind_of_number_is_read(dtype: type) -> None:
    voxels = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    image = vtkImageData()
    image.SetDimensions(4, 3, 2)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetAndObserveImageData(image)
    found = volume_of(node)
    assert found.data.dtype == np.float32
    assert np.array_equal(found.data, voxels)


def test_what_is_read_is_a_copy(app: Slicer) -> None:
    node = app.volume(Volume(np.ones((2, 3, 4))))
    found = volume_of(node)
    node.GetImageData().SetScalarComponentFromDouble(0, 0, 0, 0, 9.0)
    assert found.data[0, 0, 0] == 1


def test_what_is_no_image_is_refused(app: Slicer) -> None:
    empty = app.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    with pytest.raises(InputError, match="nothing holds no voxels"):
        volume_of(empty)
    labels = app.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "organs")
    store_volume(Volume(np.ones((2, 3, 4))), labels)
    with pytest.raises(InputError, match="organs is a segmentation"):
        volume_of(labels)
    colours = app.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    image = vtkImageData()
    image.SetDimensions(4, 3, 2)
    image.GetPointData().SetScalars(numpy_to_vtk(np.zeros((24, 3), dtype=np.uint8), deep=True))
    colours.SetAndObserveImageData(image)
    with pytest.raises(InputError, match="photo holds 3 values in every voxel"):
        volume_of(colours)


def test_nodes_of_one_name_are_kept_apart(app: Slicer) -> None:
    first, second = app.volume(Volume(np.ones((2, 3, 4))), "liver"), app.volume(Volume(np.zeros((2, 3, 4))), "liver")
    assert first.GetName() == "liver"
    assert second.GetName() != "liver"
    assert first.GetDisplayNode() is not None


def test_a_node_says_once_that_it_has_changed(app: Slicer) -> None:
    node = app.volume(Volume(np.ones((2, 3, 4))))
    events: list[str] = []
    node.AddObserver("ModifiedEvent", lambda *_: events.append("modified"))
    store_volume(random_volume(oblique()), node)
    assert len(events) == 1
