"""Interpolation: a point stays where it is in the patient, and each method is what its name says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal
from scipy.spatial.transform import Rotation

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import (
    INPUTS,
    area,
    high_resolution_grid,
    interpolate,
    non_negative,
    resample,
    trilinear,
    trilinear_index,
    upsample,
    zero_filled,
)
from SRDynamicMRILib.acquisition.kspace import crop_kspace, pad_kspace
from SRDynamicMRILib.acquisition.methods import METHODS
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.models.recipes import FRACTIONS
from SRDynamicMRILib.volume import Volume

PROPERTY = settings(max_examples=25, deadline=None)
POINT_SIGMA = 6.5
"""Width of the point in high-resolution voxels: where 6.25% of k-space end, its spectrum is 1e-5."""

TOLERANCE = 0.05
"""Distance in high-resolution voxels within which every method gives the point back, `area` too."""

seeds = st.integers(0, 2**32 - 1)


def positive_noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(0.5, 1, shape).astype(np.float32)


def oblique(angles: tuple[float, float, float], mirrored: bool = False) -> tuple[float, ...]:
    direction = Rotation.from_euler("xyz", angles).as_matrix()
    if mirrored:
        direction[:, 0] *= -1
    return tuple(direction.ravel().tolist())


@st.composite
def grids(draw: st.DrawFn) -> Geometry:
    return Geometry(
        (2, draw(st.integers(96, 121)), draw(st.integers(96, 121))),
        draw(st.tuples(*[st.floats(0.5, 2)] * 3)),
        draw(st.tuples(*[st.floats(-200, 200)] * 3)),
        oblique(draw(st.tuples(*[st.integers(-30, 30).map(lambda n: n / 10)] * 3)), draw(st.booleans())),
    )


def simpleitk_grid(geometry: Geometry) -> sitk.Image:
    """SimpleITK says where a voxel is, so that a fault of our geometry cannot hide a fault of the image."""
    image = sitk.Image(geometry.shape[::-1], sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    return image


def point_source(geometry: Geometry, place: np.ndarray) -> Volume:
    """A Gaussian around a position in mm (LPS), the same in all slices."""
    column, row, _ = simpleitk_grid(geometry).TransformPhysicalPointToContinuousIndex(place.tolist())
    rows = np.exp(-0.5 * ((np.arange(geometry.shape[1]) - row) / POINT_SIGMA) ** 2)
    columns = np.exp(-0.5 * ((np.arange(geometry.shape[2]) - column) / POINT_SIGMA) ** 2)
    return Volume(np.broadcast_to(np.outer(rows, columns), geometry.shape), geometry)


def found_place(volume: Volume) -> np.ndarray:
    """Centre of mass of slice 0, in mm (LPS)."""
    image = volume.data[0].astype(float)
    row = (image.sum(1) * np.arange(image.shape[0])).sum() / image.sum()
    column = (image.sum(0) * np.arange(image.shape[1])).sum() / image.sum()
    grid = simpleitk_grid(volume.geometry)
    return np.array(grid.TransformContinuousIndexToPhysicalPoint((column, row, 0.0)))


def place_near_centre(geometry: Geometry, offset: tuple[float, float]) -> np.ndarray:
    index = geometry.shape[2] / 2 + offset[0], geometry.shape[1] / 2 + offset[1], 0.0
    return np.array(simpleitk_grid(geometry).TransformContinuousIndexToPhysicalPoint(index))


@pytest.mark.parametrize("method", METHODS)
@PROPERTY
@given(grids(), st.tuples(st.floats(-3, 3), st.floats(-3, 3)), st.sampled_from(FRACTIONS))
def test_point_source_is_found_where_it_was(
    method: str, grid: Geometry, offset: tuple[float, float], fraction: float
) -> None:
    place = place_near_centre(grid, offset)
    low = downsample(point_source(grid, place), fraction)
    result = interpolate(low, grid, method)
    assert result.geometry == grid
    voxel = min(grid.spacing[:2])
    assert np.linalg.norm(found_place(low) - place) < TOLERANCE * voxel
    assert np.linalg.norm(found_place(result) - place) < TOLERANCE * voxel


@pytest.mark.parametrize("method", METHODS)
def test_point_source_is_found_on_a_grid_that_is_no_multiple(method: str) -> None:
    grid = Geometry((2, 120, 128), (1.1, 0.9, 4.0), (-30.0, 20.0, 10.0), oblique((0.3, -0.5, 1.1)))
    place = place_near_centre(grid, (1.3, -2.2))
    low = downsample(point_source(grid, place), 0.0625)
    other = replace(
        grid,
        shape=(2, 141, 133),
        spacing=(0.97, 0.93, 4.0),
        origin=tuple(grid.position((-4.3, -2.6, 0)).tolist()),
    )
    assert np.linalg.norm(found_place(interpolate(low, other, method)) - place) < 0.1 * min(grid.spacing)


@pytest.mark.parametrize(("fraction", "voxels"), [(0.25, 0.5), (0.0625, 1.5)])
def test_index_based_interpolation_shifts_the_image(fraction: float, voxels: float) -> None:
    grid = Geometry((1, 128, 128))
    place = place_near_centre(grid, (0.4, -0.7))
    low = downsample(point_source(grid, place), fraction)
    shift = found_place(interpolate(low, grid, "trilinear_index")) - place
    np.testing.assert_allclose(shift, [voxels, voxels, 0], atol=0.05)


@PROPERTY
@given(st.tuples(*[st.integers(2, 9)] * 2), st.tuples(*[st.integers(1, 4)] * 2), seeds)
def test_zero_filled_is_scipys_fourier_resampling(small: tuple[int, int], factor: tuple[int, int], seed: int) -> None:
    small = (2 * small[0], 2 * small[1])
    size = (small[0] * factor[0], small[1] * factor[1])
    image = positive_noise((1, *small), seed)
    # The sample that is Nyquist's along both axes has no one sinc interpolation.
    checkers = (-1.0) ** np.add.outer(np.arange(small[0]), np.arange(small[1]))
    image -= np.float32(np.mean(image * checkers)) * checkers.astype(np.float32)
    expected = signal.resample(signal.resample(image.astype(float), size[0], axis=1), size[1], axis=2)
    np.testing.assert_allclose(zero_filled(image, size), expected, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_zero_filled_goes_through_the_samples(factor: int) -> None:
    image = positive_noise((1, 8, 7))
    fine = zero_filled(image, (8 * factor, 7 * factor))
    rows, columns = (factor * n // 2 - factor * (n // 2) for n in (8, 7))
    np.testing.assert_allclose(fine[:, rows::factor, columns::factor], image, atol=1e-5)


@PROPERTY
@given(st.tuples(*[st.integers(3, 12)] * 2), st.tuples(*[st.integers(0, 30)] * 2))
def test_trilinear_keeps_a_ramp_in_the_interior(small: tuple[int, int], more: tuple[int, int]) -> None:
    low = Geometry((1, *small), (3.0, 2.0, 1.0), (5.0, -7.0, 0.0))
    fine = low.with_matrix((small[0] + more[0], small[1] + more[1]))

    def ramp(grid: Geometry) -> np.ndarray:
        rows = grid.origin[1] + grid.spacing[1] * np.arange(grid.shape[1])
        columns = grid.origin[0] + grid.spacing[0] * np.arange(grid.shape[2])
        return 0.5 * rows[:, None] - 0.25 * columns[None, :]

    result = trilinear(ramp(low)[None].astype(np.float32), fine.shape[1:])[0]
    positions = np.stack(np.meshgrid(*[np.arange(n) for n in fine.shape[:0:-1]], indexing="xy"), axis=-1)
    where = (positions * fine.spacing[:2] + fine.origin[:2] - low.origin[:2]) / low.spacing[:2]
    inside = np.all((where >= 0) & (where <= np.array(small[::-1]) - 1), axis=-1)
    assert inside.any()
    np.testing.assert_allclose(result[inside], ramp(fine)[inside], atol=1e-4)


@pytest.mark.parametrize("method", INPUTS)
@PROPERTY
@given(small=st.tuples(*[st.integers(1, 9)] * 2), more=st.tuples(*[st.integers(0, 20)] * 2))
def test_a_constant_stays_constant(method: str, small: tuple[int, int], more: tuple[int, int]) -> None:
    image = np.full((2, *small), 7.5, dtype=np.float32)
    result = upsample(image, (small[0] + more[0], small[1] + more[1]), method)
    np.testing.assert_allclose(result, 7.5, rtol=1e-5)


@PROPERTY
@given(st.tuples(*[st.integers(2, 9)] * 2), st.tuples(*[st.integers(0, 20)] * 2), seeds)
def test_area_never_leaves_the_range_of_the_samples(small: tuple[int, int], more: tuple[int, int], seed: int) -> None:
    image = positive_noise((1, *small), seed)
    result = area(image, (small[0] + more[0], small[1] + more[1]))
    assert result.min() >= image.min() - 1e-5
    assert result.max() <= image.max() * (1 + 1e-5)


def test_area_is_the_mean_over_each_fine_voxel() -> None:
    # Two coarse voxels, 3 wide, around -3 and 0, and fine ones at -3 ... 2: sample N // 2 is shared.
    result = area(np.array([[[10.0, 40.0]]], dtype=np.float32), (1, 6))
    np.testing.assert_allclose(result, [[[10, 10, 40, 40, 40, 40]]], rtol=1e-6)
    # Four fine voxels of 3/4 around -1.5 ... 0.75 on coarse ones that part at -1.5, -0.5 and 0.5.
    result = area(np.array([[[10.0, 20.0, 60.0]]], dtype=np.float32), (1, 4))
    left, right = 10 * 0.625 / 0.75 + 20 * 0.125 / 0.75, 20 * 0.125 / 0.75 + 60 * 0.625 / 0.75
    np.testing.assert_allclose(result, [[[10, left, 20, right]]], rtol=1e-5)


@PROPERTY
@given(st.tuples(*[st.integers(1, 12)] * 2), st.tuples(*[st.integers(0, 30)] * 2), seeds)
def test_trilinear_index_is_torchs(small: tuple[int, int], more: tuple[int, int], seed: int) -> None:
    image = positive_noise((3, *small), seed)
    size = (small[0] + more[0], small[1] + more[1])
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None, None], size=(3, *size), mode="trilinear", align_corners=False
    )[0, 0].numpy()
    np.testing.assert_allclose(trilinear_index(image, size), expected, atol=1e-5)


@st.composite
def nested_sizes(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int]]:
    size = draw(st.tuples(st.integers(4, 24), st.integers(4, 24)))
    return size, (draw(st.integers(2, size[0])), draw(st.integers(2, size[1])))


def sparse(size: tuple[int, int], seed: int) -> np.ndarray:
    """A non-negative image with much empty background, as a magnitude image has."""
    image = positive_noise((1, *size), seed)
    return np.where(np.random.default_rng(seed + 1).random(image.shape) < 0.6, 0, image).astype(np.float32)


@PROPERTY
@given(nested_sizes(), seeds)
def test_non_negative_agrees_with_what_was_acquired(sizes: tuple[tuple[int, int], tuple[int, int]], seed: int) -> None:
    acquired = crop_kspace(sparse(sizes[0], seed), sizes[1])
    np.testing.assert_allclose(crop_kspace(non_negative(acquired, sizes[0]), sizes[1]), acquired, atol=1e-5)


@PROPERTY
@given(nested_sizes(), seeds)
def test_non_negative_cannot_raise_the_error_and_lowers_negative_energy(
    sizes: tuple[tuple[int, int], tuple[int, int]], seed: int
) -> None:
    truth = sparse(sizes[0], seed)
    acquired = crop_kspace(truth, sizes[1])
    before = pad_kspace(acquired, sizes[0], nyquist=2)
    after = non_negative(acquired, sizes[0])
    assert np.linalg.norm(after - truth) <= np.linalg.norm(before - truth) * (1 + 1e-4) + 1e-4
    negative = [np.linalg.norm(np.minimum(image, 0)) for image in (before, after)]
    assert negative[1] <= negative[0] * (1 + 1e-4) + 1e-4


def test_non_negative_gains_where_the_background_is_empty() -> None:
    truth = np.zeros((1, 32, 32), dtype=np.float32)
    truth[:, 10:22, 8:20] = 100
    acquired = crop_kspace(truth, (12, 12))
    before, after = pad_kspace(acquired, (32, 32), nyquist=2), non_negative(acquired, (32, 32))
    assert np.linalg.norm(after - truth) < 0.9 * np.linalg.norm(before - truth)
    assert np.linalg.norm(np.minimum(after, 0)) < 0.4 * np.linalg.norm(np.minimum(before, 0))


def test_non_negative_improves_the_start_that_it_is_given() -> None:
    truth = sparse((16, 16), 5)
    acquired = crop_kspace(truth, (6, 6))
    start = truth + np.float32(0.05)
    assert np.linalg.norm(non_negative(acquired, (16, 16), start) - truth) < np.linalg.norm(start - truth)


def test_unknown_method_is_named() -> None:
    with pytest.raises(InputError, match="no interpolation named nearest"):
        upsample(np.ones((1, 2, 2), dtype=np.float32), (4, 4), "nearest")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (0.0, 0.0, 0.05), (0.4, -0.3, 1.0)])
def test_result_has_exactly_the_geometry_asked_for(method: str, angles: tuple[float, float, float]) -> None:
    low = Volume(positive_noise((4, 12, 10)), Geometry((4, 12, 10), (3.0, 3.0, 5.0), (-15.0, -18.0, -10.0)))
    like = Geometry((3, 20, 17), (1.2, 1.2, 1.2), (-9.0, -11.0, -2.0), oblique(angles))
    result = interpolate(low, like, method)
    assert result.geometry == like
    assert np.isfinite(result.data).all()


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (0.0, 0.0, 0.05), (0.4, -0.3, 1.0)])
def test_ramp_in_space_stays_the_ramp_in_another_field_of_view(angles: tuple[float, float, float]) -> None:
    def ramp(grid: Geometry) -> np.ndarray:
        z, y, x = np.indices(grid.shape)
        positions = np.stack([x, y, z], axis=-1) @ grid.axes.T + grid.origin
        return positions @ np.array([0.7, -0.4, 0.3])

    coarse = Geometry((14, 24, 22), (3.0, 2.5, 4.0), (-40.0, -30.0, -20.0), oblique((0.1, 0.2, -0.3)))
    like = Geometry((6, 9, 8), (1.1, 1.2, 0.9), (0.0, 0.0, 0.0), oblique(angles))
    like = replace(like, origin=tuple((coarse.centre - like.centre).tolist()))
    result = interpolate(Volume(ramp(coarse), coarse), like, "trilinear")
    np.testing.assert_allclose(result.data, ramp(like), atol=1e-3)


@pytest.mark.parametrize("function", [resample, lambda v, g: interpolate(v, g, "trilinear")])
def test_volumes_that_do_not_overlap_are_refused(function: object) -> None:
    far = Geometry((2, 8, 8), origin=(100.0, 0.0, 0.0))
    with pytest.raises(InputError, match="do not overlap"):
        function(Volume(np.ones((2, 4, 4)), Geometry((2, 4, 4), (2.0, 2.0, 1.0))), far)


def test_larger_voxels_make_no_high_resolution_grid() -> None:
    with pytest.raises(InputError, match=r"larger voxels .*2\.00 x 1\.00"):
        high_resolution_grid(Geometry((2, 8, 8)), Geometry((2, 8, 4), (2.0, 1.0, 1.0)))


@pytest.mark.parametrize("stored", [(24, 32), (30, 36), (31, 33), (48, 24)])
def test_an_image_stored_in_a_larger_matrix_comes_back_to_the_smaller_grid(stored: tuple[int, int]) -> None:
    grid = Geometry((2, 24, 32), (2.0, 3.0, 5.0), (7.0, -4.0, 11.0))
    acquired = Volume(positive_noise((2, 11, 13)), grid.with_matrix((11, 13)))
    zero_filled_by_scanner = interpolate(acquired, grid.with_matrix(stored), "zero_filled")
    assert zero_filled_by_scanner.shape == (2, *stored)
    direct = interpolate(acquired, grid, "zero_filled")
    back = interpolate(zero_filled_by_scanner, grid, "zero_filled")
    assert back.geometry == grid
    np.testing.assert_allclose(back.data, direct.data, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_smaller_grid_keeps_what_is_smooth(method: str) -> None:
    grid = Geometry((1, 24, 32), (2.0, 3.0, 5.0), (7.0, -4.0, 11.0))
    wide = interpolate(Volume(np.ones(grid.shape), grid), grid.with_matrix((30, 60)), "zero_filled")
    np.testing.assert_allclose(interpolate(wide, grid, method).data, 1, atol=1e-4)


@PROPERTY
@given(grids(), st.sampled_from(FRACTIONS))
def test_grid_of_a_downsampled_volume_is_the_one_it_came_from(grid: Geometry, fraction: float) -> None:
    low = downsample(Volume(np.ones(grid.shape), grid), fraction).geometry
    assert high_resolution_grid(low, grid) is grid


def test_grid_covers_the_field_of_view_of_the_low_resolution_volume() -> None:
    low = Geometry((3, 20, 30), (4.0, 4.0, 5.0), (10.0, 20.0, 30.0))
    grid = high_resolution_grid(low, Geometry((9, 64, 64), (1.0, 2.0, 3.0), (15.0, 20.0, 30.0)))
    assert grid.shape == (3, 40, 120)
    assert grid.spacing == (1.0, 2.0, 5.0)


def test_grid_for_another_orientation_takes_the_smallest_voxel_edge() -> None:
    low = Geometry((3, 20, 30), (4.0, 4.0, 5.0))
    sagittal = Geometry((3, 64, 64), (2.0, 1.0, 6.0), direction=(0, 0, 1, 1, 0, 0, 0, 1, 0))
    assert high_resolution_grid(low, sagittal).spacing == (1.0, 1.0, 5.0)
