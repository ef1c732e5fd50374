"""Geometry, volumes and series.

Index and position are inverse, k-space keeps the isocentre, bad volumes are named, and volumes and series behave as
Python objects do.
"""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.volume import Series, Volume

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
    for number in (-4, 3):
        with pytest.raises(IndexError, match=f"no time point {number}.* 3 time points"):
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


# ----------------------------------------------------------------------------------------------- volumes


def test_a_volume_is_shown_by_its_grid_and_not_by_its_voxels() -> None:
    volume = Volume(np.zeros((11, 256, 192)), Geometry((11, 256, 192), (1.40625, 1.40625, 5.0)))
    assert repr(volume) == "Volume(shape=(11, 256, 192), spacing=(1.406, 1.406, 5) mm)"


def test_a_volume_equals_itself_only() -> None:
    volume, same = Volume(np.zeros((2, 3, 4))), Volume(np.zeros((2, 3, 4)))
    assert volume == volume
    assert volume != same
    assert len({volume, same, volume}) == 2


def test_a_volume_is_an_array_to_numpy() -> None:
    volume = Volume(np.arange(24).reshape(2, 3, 4))
    assert np.asarray(volume) is volume.data
    assert np.asarray(volume, dtype=np.int16).tolist() == volume.data.tolist()
    assert not np.shares_memory(np.array(volume), volume.data)
    assert np.mean(volume) == 11.5
    assert volume.__array__(copy=False) is volume.data
    with pytest.raises(ValueError, match="without a copy"):
        volume.__array__(np.float64, copy=False)


def test_a_volume_is_made_of_an_array_and_its_place() -> None:
    direction = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]
    volume = Volume.from_array(
        np.ones((2, 3, 4), np.uint8), spacing=(1, 2, 3), origin=np.array([4, 5, 6]), direction=direction
    )
    assert volume.geometry == Geometry((2, 3, 4), (1, 2, 3), (4, 5, 6), (0, 1, 0, 1, 0, 0, 0, 0, -1))
    assert volume.data.dtype == np.float32
    assert Volume.from_array([[[1, 2]]]).geometry == Geometry((1, 1, 2))
    assert Volume.from_array(np.ones((1, 2, 2)), direction=np.ravel(direction)).geometry.direction[1] == 1


def test_a_single_slice_is_a_volume_of_one() -> None:
    volume = Volume.from_array(np.ones((3, 4)), spacing=(1, 2, 8))
    assert volume.geometry == Geometry((1, 3, 4), (1, 2, 8))


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ({"spacing": (1, 2)}, "3 numbers .* got 2"),
        ({"spacing": (1, 0, 1)}, "larger than 0"),
        ({"spacing": (1, np.inf, 1)}, "finite"),
        ({"origin": (1, 2, np.inf)}, "finite"),
        ({"direction": np.eye(2)}, "9 numbers .* got 4"),
        ({"direction": np.diag([1, 1, 2])}, "right angles"),
    ],
    ids=str,
)
def test_a_place_that_is_none_is_refused(place: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Volume.from_array(np.ones((2, 3, 4)), **place)


@pytest.mark.parametrize("voxels", [np.ones((2, 2, 2), complex), np.array([[["a"]]]), np.array([[[None]]])], ids=str)
def test_an_array_that_holds_no_real_numbers_is_refused(voxels: np.ndarray) -> None:
    with pytest.raises(InputError, match="real numbers"):
        Volume.from_array(voxels)


@PROPERTY
@given(geometries(), indices)
def test_a_volume_goes_to_simpleitk_and_back(geometry: Geometry, index: tuple[float, float, float]) -> None:
    voxels = np.random.default_rng(1).random(geometry.shape, dtype=np.float32)
    image = Volume(voxels, geometry).to_sitk()
    np.testing.assert_allclose(image.TransformContinuousIndexToPhysicalPoint(index), geometry.position(index))
    back = Volume.from_sitk(image)
    assert np.array_equal(back.data, voxels)
    assert back.geometry.same_grid(geometry, 1e-6)


def test_a_slice_of_simpleitk_is_a_volume_of_one() -> None:
    image = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    image.SetSpacing((1.5, 2.5))
    image.SetOrigin((7, 8))
    image.SetDirection((0, 1, 1, 0))
    volume = Volume.from_sitk(image)
    assert volume.data.tolist() == [np.arange(12).reshape(3, 4).tolist()]
    assert volume.geometry == Geometry((1, 3, 4), (1.5, 2.5, 1), (7, 8, 0), (0, 1, 0, 1, 0, 0, 0, 0, 1))
    assert Volume.from_sitk(volume.to_sitk()).geometry == volume.geometry
    whole = Volume(np.random.default_rng(1).random((3, 4, 5)), Geometry((3, 4, 5), (1, 2, 3), (4, 5, 6)))
    cut = whole.to_sitk()[:, :, 1:2]
    assert Volume.from_sitk(cut).geometry == Geometry((1, 4, 5), (1, 2, 3), (4, 5, 9))


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (sitk.Image([2, 2, 2, 2], sitk.sitkInt16), "image has 4;"),
        (sitk.Image([2, 2, 2], sitk.sitkVectorUInt8, 3), "single grey value"),
        (sitk.Image([2, 2, 2], sitk.sitkComplexFloat32), "single grey value"),
    ],
    ids=["series", "colours", "complex"],
)
def test_an_image_that_is_no_volume_is_refused(image: sitk.Image, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Volume.from_sitk(image)


# ------------------------------------------------------------------------------------------------ series


class Counted:
    """A series of three time points, 0, 10 and 20, which tells what was loaded of it."""

    def __init__(self, count: int = 3) -> None:
        self.loaded: list[int] = []
        self.series = Series(self._load, [0.5 * n for n in range(count)], Geometry((1, 2, 2)), ["Mind."], (1, 2))

    def _load(self, number: int) -> np.ndarray:
        self.loaded.append(number)
        return np.full((1, 2, 2), 10 * number)


def values(series: Series) -> list[float]:
    return [float(volume.data[0, 0, 0]) for volume in series]


def test_a_series_is_shown_by_its_times_and_grid_and_loads_nothing() -> None:
    counted = Counted()
    grid = "shape=(1, 2, 2), spacing=(1, 1, 1) mm"
    assert repr(counted.series) == f"Series(3 time points, 0 to 1 s, {grid})"
    assert repr(counted.series[:1]) == f"Series(1 time point, 0 s, {grid})"
    assert repr(counted.series[:0]) == f"Series(0 time points, {grid})"
    assert counted.loaded == []


def test_a_series_equals_itself_only() -> None:
    one, other = Counted().series, Counted().series
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_a_series_counts_from_its_end_too() -> None:
    counted = Counted()
    assert counted.series[-1].data[0, 0, 0] == 20
    assert counted.series[np.int64(-3)].data[0, 0, 0] == 0
    assert counted.loaded == [2, 0]


@pytest.mark.parametrize(
    "part", [slice(2, 5), slice(None, None, -1), slice(-2, None), slice(1, 1), slice(0, 99, 3)], ids=str
)
def test_a_slice_of_a_series_is_a_series_and_loads_nothing(part: slice) -> None:
    counted = Counted(7)
    chosen = counted.series[part]
    assert counted.loaded == []
    assert chosen.times == counted.series.times[part]
    assert (chosen.warnings, chosen.acquired_matrix) == (("Mind.",), (1, 2))
    assert chosen.geometry is counted.series.geometry
    assert values(chosen) == list(range(0, 70, 10))[part]
    assert counted.loaded == list(range(7))[part]


def test_selected_time_points_may_be_counted_from_the_end_and_must_be_there() -> None:
    chosen = Counted().series.select([-1, 0])
    assert (chosen.times, values(chosen)) == ((1.0, 0.0), [20, 0])
    with pytest.raises(IndexError):
        Counted().series.select([3])


@pytest.mark.parametrize("index", [1.0, "1", (0, 1)], ids=repr)
def test_a_series_is_indexed_by_whole_numbers(index: object) -> None:
    with pytest.raises(TypeError):
        Counted().series[index]


def test_the_time_point_made_last_is_kept_and_no_other() -> None:
    """To look at a time point, check it and write it costs one computation; memory holds one whatever the length."""
    counted, made = Counted(), []

    def double(volume: Volume) -> Volume:
        made.append(weakref.ref(volume))
        return volume.with_data(volume.data * 2)

    mapped = counted.series.map(double, counted.series.geometry)
    assert mapped[1] is mapped[1]
    assert mapped[-2] is mapped[1]
    assert mapped.select([1])[0].data is mapped[1].data
    assert counted.loaded == [1]
    assert values(mapped) == [0, 20, 40]
    assert counted.loaded == [1, 0, 1, 2]
    assert [a is b for a, b in zip(mapped, mapped, strict=True)] == [True] * 3
    assert counted.loaded == [1, 0, 1, 2, 0, 1, 2]
    gc.collect()
    assert [reference() is not None for reference in made] == [False] * 6 + [True]


def test_a_time_point_that_fails_is_tried_again() -> None:
    tries: list[int] = []

    def load(number: int) -> np.ndarray:
        tries.append(number)
        if len(tries) == 1:
            raise InputError("The disk is gone.")
        return np.zeros((1, 2, 2))

    series = Series(load, [0.0], Geometry((1, 2, 2)))
    with pytest.raises(InputError):
        series[0]
    assert series[0].shape == (1, 2, 2)
    assert tries == [0, 0]
