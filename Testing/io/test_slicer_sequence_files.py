"""Sequence files against Slicer's own reader and writer, from the slicer-core wheel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import slicer
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.files import read_series, write_series, write_volume
from SRDynamicMRILib.volume import Series, Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def ijk_to_ras(geometry: Geometry) -> np.ndarray:
    """4x4 matrix of a geometry as MRML has it."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = geometry.axes, geometry.origin
    return LPS_TO_RAS @ matrix


def as_array(matrix: vtkMatrix4x4) -> np.ndarray:
    return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def grid(angles: Sequence[float], mirrored: bool) -> Geometry:
    direction = Rotation.from_euler("xyz", angles).as_matrix() * (-1 if mirrored else 1)
    return Geometry((3, 4, 5), (1.5, 2.25, 7.0), (10.0, -20.5, 30.25), tuple(direction.ravel().tolist()))


def series_on(geometry: Geometry, times: Sequence[float]) -> Series:
    random = np.random.default_rng(0)
    return Series.of([Volume(random.normal(size=geometry.shape), geometry) for _ in times], times)


def read_by_slicer(path: Path) -> slicer.vtkMRMLSequenceNode:
    """Open a file as Slicer does when it is dropped on its window as a sequence."""
    scene = slicer.vtkMRMLScene()
    sequence = slicer.vtkMRMLSequenceNode()
    scene.AddNode(sequence)
    storage = slicer.vtkMRMLVolumeSequenceStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    assert storage.SupportedFileType(str(path))
    assert storage.ReadData(sequence) == 1
    return sequence


def write_by_slicer(series: Series, path: Path, unit: str, scale: float) -> None:
    """Save a sequence as Slicer does, its index in a unit of `scale` to a second."""
    scene = slicer.vtkMRMLScene()
    sequence = slicer.vtkMRMLSequenceNode()
    scene.AddNode(sequence)
    sequence.SetIndexName("TriggerTime")
    sequence.SetIndexUnit(unit)
    for volume, time in zip(series, series.times, strict=True):
        image = vtkImageData()
        image.SetDimensions(*volume.shape[::-1])
        image.GetPointData().SetScalars(numpy_to_vtk(volume.data.ravel(), deep=True))
        matrix = vtkMatrix4x4()
        matrix.DeepCopy(ijk_to_ras(volume.geometry).ravel())
        node = slicer.vtkMRMLScalarVolumeNode()
        node.SetAndObserveImageData(image)
        node.SetIJKToRASMatrix(matrix)
        sequence.SetDataNodeAtValue(node, f"{time * scale:g}")
    storage = slicer.vtkMRMLVolumeSequenceStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    assert storage.WriteData(sequence) == 1


def assert_same_voxels_in_the_same_places(node: slicer.vtkMRMLScalarVolumeNode, volume: Volume) -> None:
    """Compare values at the same positions; Slicer turns round an axis of a left-handed grid as it reads."""
    voxels = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()).reshape(volume.shape)
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    to_node = np.linalg.solve(as_array(matrix), ijk_to_ras(volume.geometry))
    ours = np.indices(volume.shape).reshape(3, -1)
    theirs = (to_node @ np.vstack([ours[::-1], np.ones(ours.shape[1])]))[:3]
    np.testing.assert_allclose(theirs, np.rint(theirs), atol=1e-9)
    assert theirs.min() > -0.5
    x, y, z = np.rint(theirs).astype(int)
    assert np.array_equal(voxels[z, y, x], volume.data.ravel())


@pytest.mark.parametrize("ending", [".seq.nrrd", ".nrrd"])
@given(angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3), mirrored=st.booleans())
@settings(max_examples=15, deadline=None)
def test_slicer_reads_what_is_written(
    tmp_path_factory: pytest.TempPathFactory, ending: str, angles: tuple[float, float, float], mirrored: bool
) -> None:
    times = [0, 0.051, 0.5, 12.25]
    series = series_on(grid(angles, mirrored), times)
    path = tmp_path_factory.mktemp("s") / f"result{ending}"
    write_series(series, path)
    sequence = read_by_slicer(path)
    assert sequence.GetNumberOfDataNodes() == len(times)
    assert (sequence.GetIndexName(), sequence.GetIndexUnit()) == ("time", "s")
    assert sequence.GetIndexTypeAsString() == "numeric"
    for number, volume in enumerate(series):
        assert float(sequence.GetNthIndexValue(number)) == times[number]
        assert_same_voxels_in_the_same_places(sequence.GetNthDataNode(number), volume)


def test_slicer_reads_a_sequence_of_one(tmp_path: Path) -> None:
    volume = series_on(grid((0.1, 0.2, 0.3), False), [0])[0]
    write_volume(volume, tmp_path / "v.seq.nrrd")
    sequence = read_by_slicer(tmp_path / "v.seq.nrrd")
    assert sequence.GetNumberOfDataNodes() == 1
    voxels = vtk_to_numpy(sequence.GetNthDataNode(0).GetImageData().GetPointData().GetScalars())
    assert np.array_equal(voxels, volume.data.ravel())


@pytest.mark.parametrize("ending", [".seq.nrrd", ".seq.nhdr", ".seq.mha", ".nrrd"])
@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1000), ("min", 1 / 60)])
def test_what_slicer_writes_is_read(tmp_path: Path, ending: str, unit: str, scale: float) -> None:
    times = [0, 0.6, 1.5, 12]
    series = series_on(grid((0.4, -0.2, 1.3), True), times)
    path = tmp_path / f"slicer{ending}"
    write_by_slicer(series, path, unit, scale)
    again = read_series(path)
    assert again.times == pytest.approx(times)
    assert again.geometry.same_grid(series.geometry, 1e-9)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(again, series, strict=True))
