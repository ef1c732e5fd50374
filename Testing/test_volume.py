"""Geometry: index and position are inverse, k-space keeps the isocentre, and bad volumes are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.volume import Geometry, Series, Volume

PROPERTY = settings(max_examples=50, deadline=None)

angles = st.integers(-31, 31).map(lambda tenths: tenths / 10)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Oblique grids of odd and even sizes, left-handed ones among them."""
    direction = Rotation.from_euler("xyz", draw(st.tuples(*[angles] * 3))).as_matrix()
    if draw(st.booleans()):
        direction[:, draw(st.integers(0, 2))] *= -1
    return Geometry(
        draw(st.tuples(*[st.integers(1, 40)] * 3)),
        draw(st.tuples(*[st.floats(0.3, 9)] * 3)),
        draw(st.tuples(*[st.floats(-500, 500)] * 3)),
        tuple(direction.ravel().tolist()),
    )


indices = st.tuples(*[st.floats(-50, 50)] * 3)


def sitk_position(geometry: Geometry, index: tuple[float, float, float]) -> np.ndarray:
    image = sitk.Image(geometry.shape[::-1], sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    return np.array(image.TransformContinuousIndexToPhysicalPoint(index))


@PROPERTY
@given(geometries(), indices)
def test_index_and_position_are_inverse(geometry: Geometry, index: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(geometry.index(geometry.position(index)), index, atol=1e-8)


@PROPERTY
@given(geometries(), indices)
def test_position_is_that_of_simpleitk(geometry: Geometry, index: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(geometry.position(index), sitk_position(geometry, index), atol=1e-8)


@PROPERTY
@given(geometries())
def test_centre_is_halfway_between_opposite_corners(geometry: Geometry) -> None:
    far = np.array(geometry.shape[::-1]) - 1
    middle = (geometry.position((0, 0, 0)) + geometry.position(far)) / 2
    np.testing.assert_allclose(geometry.centre, middle, atol=1e-8)


@PROPERTY
@given(geometries(), st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_another_matrix_keeps_isocentre_and_field_of_view(geometry: Geometry, size: tuple[int, int]) -> None:
    changed = geometry.with_matrix(size)
    depth, height, width = geometry.shape
    assert changed.shape == (depth, *size)
    for z in (0, depth - 1):
        before = geometry.position((width // 2, height // 2, z))
        np.testing.assert_allclose(changed.position((size[1] // 2, size[0] // 2, z)), before, atol=1e-8)
    extent = np.multiply(geometry.spacing, geometry.shape[::-1])
    np.testing.assert_allclose(np.multiply(changed.spacing, changed.shape[::-1]), extent)
    assert changed.direction == geometry.direction


@PROPERTY
@given(geometries(), st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_another_matrix_and_back_is_the_same_grid(geometry: Geometry, size: tuple[int, int]) -> None:
    assert geometry.with_matrix(size).with_matrix(geometry.shape[1:]).same_grid(geometry, tolerance=1e-8)


@PROPERTY
@given(geometries(), st.integers(0, 2), st.booleans())
def test_same_grid_sees_a_shift_of_a_tenth_voxel(geometry: Geometry, axis: int, forth: bool) -> None:
    step = np.zeros(3)
    step[axis] = 0.1 if forth else -0.1
    shifted = replace(geometry, origin=tuple(geometry.position(step).tolist()))
    assert geometry.same_grid(geometry)
    assert not geometry.same_grid(shifted)
    assert geometry.same_grid(shifted, tolerance=0.11)


def test_same_grid_sees_another_shape_spacing_or_direction() -> None:
    grid = Geometry((4, 5, 6))
    assert not grid.same_grid(Geometry((4, 6, 5)))
    assert not grid.same_grid(replace(grid, spacing=(1.0, 1.0, 1.1)))
    assert not grid.same_grid(replace(grid, direction=(-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)))


@pytest.mark.parametrize(("degrees", "same"), [(0, True), (3, True), (10, False), (90, False), (180, False)])
@pytest.mark.parametrize("axis", "xyz")
def test_same_orientation_allows_some_degrees(degrees: float, same: bool, axis: str) -> None:
    turned = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    grid = Geometry((4, 5, 6))
    assert grid.same_orientation(replace(grid, direction=tuple(turned.ravel().tolist()))) is same


def test_mirrored_axis_is_another_orientation() -> None:
    grid = Geometry((4, 5, 6))
    mirrored = replace(grid, direction=(-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    assert not grid.same_orientation(mirrored)


@PROPERTY
@given(geometries(), geometries())
def test_a_shared_centre_overlaps_and_a_far_one_does_not(first: Geometry, second: Geometry) -> None:
    offset = first.centre - second.centre
    moved = replace(second, origin=tuple((np.array(second.origin) + offset).tolist()))
    assert first.overlaps(moved)
    assert moved.overlaps(first)
    for axis in range(3):
        away = np.array(moved.origin)
        away[axis] += 2000
        assert not first.overlaps(replace(second, origin=tuple(away.tolist())))


def test_overlap_counts_whole_voxels_and_not_touching_ones() -> None:
    grid = Geometry((2, 2, 2))
    assert grid.overlaps(replace(grid, origin=(1.9, 0.0, 0.0)))
    assert not grid.overlaps(replace(grid, origin=(2.0, 0.0, 0.0)))


def test_volume_is_float32_on_a_default_grid() -> None:
    volume = Volume(np.ones((2, 3, 4), dtype=np.int16))
    assert volume.data.dtype == np.float32
    assert volume.geometry == Geometry((2, 3, 4))
    assert volume.shape == (2, 3, 4)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 3, 4, 3)])
def test_volume_of_other_dimensions_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=f"3 dimensions .* got {len(shape)}"):
        Volume(np.zeros(shape))


def test_volume_with_a_geometry_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="geometry describes"):
        Volume(np.zeros((2, 3, 4)), Geometry((4, 3, 2)))


def test_series_without_volumes_is_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        Series.of([])


def test_series_of_volumes_of_different_size_names_the_time_point() -> None:
    with pytest.raises(InputError, match="Time point 1 "):
        Series.of([Volume(np.zeros((2, 3, 4))), Volume(np.zeros((2, 3, 5)))])


def test_series_numbers_its_times_and_is_iterated_in_order() -> None:
    series = Series.of([Volume(np.full((1, 2, 2), value)) for value in (5, 6, 7)])
    assert series.times == (0, 1, 2)
    assert [volume.data[0, 0, 0] for volume in series] == [5, 6, 7]
    for number in (-1, 3):
        with pytest.raises(IndexError):
            series[number]


def test_series_selects_and_maps_only_what_is_asked_for() -> None:
    loaded: list[int] = []

    def load(number: int) -> np.ndarray:
        loaded.append(number)
        return np.full((1, 2, 2), number)

    series = Series(load, [0.0, 0.5, 1.0], Geometry((1, 2, 2)))
    chosen = series.select([2, 0]).map(lambda v: Volume(v.data[:, :1] * 10), Geometry((1, 1, 2)))
    assert not loaded
    assert chosen.times == (1.0, 0.0)
    assert chosen[0].data.tolist() == [[[20, 20]]]
    assert loaded == [2]
