"""k-space: the sizes and resolutions of the paper, the operators and the projection on what was acquired."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from SRDynamicMRILib.acquisition.kspace import (
    crop_kspace,
    data_consistency,
    downsample,
    effective_resolution,
    from_sub_pixels,
    full_size,
    low_resolution_size,
    pad_kspace,
    to_image,
    to_kspace,
    to_sub_pixels,
)
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.models.recipes import FRACTIONS
from SRDynamicMRILib.volume import Geometry, Volume

PROPERTY = settings(max_examples=60, deadline=None)

fractions = st.floats(0.04, 1.0)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def nested_sizes(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int]]:
    """A matrix and a smaller or equal one, odd and even in every mixture."""
    size = draw(st.tuples(st.integers(1, 13), st.integers(1, 13)))
    return size, (draw(st.integers(1, size[0])), draw(st.integers(1, size[1])))


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1, shape).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((256, 192), [(128, 96), (80, 60), (64, 48)]), ((192, 256), [(96, 128), (60, 80), (48, 64)])],
)
def test_sizes_are_those_of_the_paper(size: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    assert [low_resolution_size(size, fraction) for fraction in FRACTIONS] == expected


@pytest.mark.parametrize(("field_of_view", "expected"), [(280, [2.19, 3.50, 4.38]), (350, [2.73, 4.38, 5.47])])
def test_resolutions_are_those_of_table_2(field_of_view: float, expected: list[float]) -> None:
    spacing = field_of_view / 256
    for fraction, resolution in zip(FRACTIONS, expected, strict=True):
        kept = low_resolution_size((192, 256), fraction)
        x, y = effective_resolution((spacing, spacing, 4.0), (192, 256), kept)
        assert x == y
        assert x == pytest.approx(resolution, abs=0.00501)
        volume = downsample(Volume(np.ones((1, 192, 256)), Geometry((1, 192, 256), (spacing,) * 3)), fraction)
        assert volume.geometry.spacing == pytest.approx((x, y, spacing))


@PROPERTY
@given(st.tuples(st.integers(12, 300), st.integers(12, 300)), fractions)
def test_share_kept_is_the_largest_not_above_the_fraction(size: tuple[int, int], fraction: float) -> None:
    assume(0.5 < size[0] / size[1] < 2)
    height, width = low_resolution_size(size, fraction)
    whole = size[0] * size[1]
    assert height * width <= fraction * whole
    if (height, width) != size:
        assert (height + 2) * (width + 2 * math.ceil(size[1] / size[0]) + 2) > fraction * whole


@PROPERTY
@given(st.tuples(st.integers(12, 300), st.integers(12, 300)), fractions)
def test_lines_go_in_pairs_and_the_aspect_ratio_stays(size: tuple[int, int], fraction: float) -> None:
    assume(0.5 < size[0] / size[1] < 2)
    height, width = low_resolution_size(size, fraction)
    assert (size[0] - height) % 2 == (size[1] - width) % 2 == 0
    assert abs(width - height * size[1] / size[0]) < 2


@pytest.mark.parametrize("fraction", [0, -0.25, 1.0001, math.inf, math.nan])
def test_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="above 0 and at most 1"):
        downsample(Volume(np.ones((1, 8, 8))), fraction)


def test_fraction_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="leaves nothing of a 6x8 matrix"):
        low_resolution_size((6, 8), 0.01)


def test_fraction_one_is_the_identity() -> None:
    volume = Volume(noise((2, 9, 12)), Geometry((2, 9, 12), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)))
    same = downsample(volume, 1.0)
    assert same.geometry.same_grid(volume.geometry, tolerance=1e-9)
    np.testing.assert_allclose(same.data, volume.data, atol=1e-5)


@PROPERTY
@given(st.tuples(st.integers(1, 12), st.integers(1, 12)), seeds)
def test_to_image_inverts_to_kspace(size: tuple[int, int], seed: int) -> None:
    image = noise((2, *size), seed)
    np.testing.assert_allclose(to_image(to_kspace(image)), image, atol=1e-5)


@pytest.mark.parametrize("size", [(6, 8), (7, 8), (6, 9), (7, 9)])
def test_constant_image_is_dc_and_isocentre_point_is_real(size: tuple[int, int]) -> None:
    centre = (size[0] // 2, size[1] // 2)
    kspace = to_kspace(np.ones(size))
    assert kspace[centre] == pytest.approx(size[0] * size[1])
    kspace[centre] = 0
    assert np.abs(kspace).max() < 1e-9
    point = np.zeros(size)
    point[centre] = 1
    np.testing.assert_allclose(to_kspace(point), np.ones(size), atol=1e-9)


def direct_crop(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The same by sums of exponentials: analysis of the large grid, synthesis on the small one."""

    def exponentials(samples: int, kept: int) -> np.ndarray:
        frequency = np.arange(kept) - kept // 2
        return np.exp(2j * np.pi * np.outer(np.arange(samples) - samples // 2, frequency) / samples)

    rows, columns = (exponentials(n, m) for n, m in zip(image.shape, size, strict=True))
    kspace = rows.conj().T @ image @ columns.conj()
    synthesised = exponentials(size[0], size[0]) @ kspace @ exponentials(size[1], size[1]).T
    return synthesised.real / image.size


@pytest.mark.parametrize("full", [(8, 6), (9, 7), (8, 7)])
@pytest.mark.parametrize("size", [(4, 4), (5, 3), (4, 3), (5, 4)])
def test_crop_is_the_direct_fourier_sum(full: tuple[int, int], size: tuple[int, int]) -> None:
    image = noise(full)
    np.testing.assert_allclose(crop_kspace(image, size), direct_crop(image, size), atol=1e-5)


@PROPERTY
@given(nested_sizes(), st.floats(-3, 3), seeds)
def test_crop_is_linear(sizes: tuple[tuple[int, int], tuple[int, int]], factor: float, seed: int) -> None:
    x, y = noise((2, 3, *sizes[0]), seed)
    left = crop_kspace(x + np.float32(factor) * y, sizes[1])
    right = crop_kspace(x, sizes[1]) + factor * crop_kspace(y, sizes[1])
    np.testing.assert_allclose(left, right, atol=3e-5)


@PROPERTY
@given(nested_sizes(), seeds)
def test_crop_and_pad_keep_the_mean(sizes: tuple[tuple[int, int], tuple[int, int]], seed: int) -> None:
    full, size = sizes
    image = noise(full, seed)
    assert crop_kspace(image, size).mean() == pytest.approx(image.mean(), abs=1e-5)
    assert pad_kspace(crop_kspace(image, size), full).mean() == pytest.approx(image.mean(), abs=1e-5)


@PROPERTY
@given(nested_sizes(), seeds)
def test_result_agrees_with_what_was_acquired(sizes: tuple[tuple[int, int], tuple[int, int]], seed: int) -> None:
    anything, acquired = noise((2, *sizes[0]), seed), noise((2, *sizes[1]), seed + 1)
    np.testing.assert_allclose(
        crop_kspace(data_consistency(anything, acquired), sizes[1]), acquired, rtol=1e-5, atol=1e-5
    )


@PROPERTY
@given(nested_sizes(), seeds)
def test_data_consistency_leaves_the_truth_alone(sizes: tuple[tuple[int, int], tuple[int, int]], seed: int) -> None:
    truth = noise((2, *sizes[0]), seed)
    np.testing.assert_allclose(data_consistency(truth, crop_kspace(truth, sizes[1])), truth, atol=1e-5)


@PROPERTY
@given(nested_sizes(), seeds)
def test_data_consistency_is_idempotent(sizes: tuple[tuple[int, int], tuple[int, int]], seed: int) -> None:
    acquired = noise((1, *sizes[1]), seed)
    once = data_consistency(noise((1, *sizes[0]), seed + 1), acquired)
    np.testing.assert_allclose(data_consistency(once, acquired), once, atol=1e-5)


@PROPERTY
@given(nested_sizes(), seeds)
def test_data_consistency_is_the_nearest_image_that_agrees(
    sizes: tuple[tuple[int, int], tuple[int, int]], seed: int
) -> None:
    truth, estimate = noise((1, *sizes[0]), seed), noise((1, *sizes[0]), seed + 1)
    projected = data_consistency(estimate, crop_kspace(truth, sizes[1]))
    # Pythagoras: what was changed is orthogonal to what is still wrong, so the error cannot grow.
    before, after = np.sum((estimate - truth) ** 2), np.sum((projected - truth) ** 2)
    assert after + np.sum((projected - estimate) ** 2) == pytest.approx(before, rel=1e-4, abs=1e-4)
    assert after <= before * (1 + 1e-5)


@PROPERTY
@given(nested_sizes(), seeds)
def test_pad_with_whole_nyquist_is_undone_by_crop(sizes: tuple[tuple[int, int], tuple[int, int]], seed: int) -> None:
    small = noise((1, *sizes[1]), seed)
    padded = pad_kspace(small, sizes[0], nyquist=2)
    np.testing.assert_allclose(crop_kspace(padded, sizes[1]), small, atol=1e-5)


def test_downsample_puts_its_geometry_beside_the_cropped_image() -> None:
    volume = Volume(noise((3, 20, 24)), Geometry((3, 20, 24), (1.0, 1.5, 4.0)))
    low = downsample(volume, 0.25)
    assert low.shape == (3, 10, 12)
    assert low.geometry == volume.geometry.with_matrix((10, 12))
    np.testing.assert_array_equal(low.data, crop_kspace(volume.data, (10, 12)))


def test_slices_are_independent() -> None:
    image = noise((3, 8, 8))
    together = crop_kspace(image, (4, 4))
    np.testing.assert_allclose(together, [crop_kspace(piece, (4, 4)) for piece in image], atol=1e-6)


@pytest.mark.parametrize("full", [(192, 256), (256, 192), (256, 256), (320, 320), (384, 272), (176, 256)])
@pytest.mark.parametrize("fraction", [0.25, 0.10, 0.0625])
def test_usual_matrices_are_guessed_from_what_is_left_of_them(full: tuple[int, int], fraction: float) -> None:
    assert full_size(low_resolution_size(full, fraction), fraction) == full


@pytest.mark.parametrize(("kept", "fraction", "full"), [((4, 4), 0.25, (8, 8)), ((2, 3), 0.0625, (8, 13))])
def test_tiny_matrices_are_guessed_too(kept: tuple[int, int], fraction: float, full: tuple[int, int]) -> None:
    assert full_size(kept, fraction) == full


@given(st.integers(1, 200), st.integers(1, 200), st.floats(0.01, 1.0))
def test_guessed_matrix_is_no_smaller_than_what_is_left(height: int, width: int, fraction: float) -> None:
    size = full_size((height, width), fraction)
    assert size[0] >= height
    assert size[1] >= width


# A frequency of the field of view: what lies where can be said exactly, on any grid.


def wave(positions: np.ndarray) -> np.ndarray:
    return np.cos(2 * np.pi * (2 * positions - 0.1))


def centred(size: int) -> np.ndarray:
    return (np.arange(size) - size // 2) / size


@PROPERTY
@given(st.integers(9, 40), st.integers(9, 40), st.integers(2, 4), st.integers(7, 9))
def test_every_factor_th_sub_pixel_lies_where_its_voxel_does(full: int, other: int, factor: int, kept: int) -> None:
    image = np.outer(wave(centred(full)), wave(centred(other)))[None].astype(np.float32)
    found = to_sub_pixels(image, (kept, 8), factor)
    rows, columns = ((np.arange(factor * m) - factor * (m // 2)) / (factor * m) for m in (kept, 8))
    np.testing.assert_allclose(found[0], np.outer(wave(rows), wave(columns)), atol=1e-5)
    np.testing.assert_allclose(found[0, ::factor, ::factor], np.outer(wave(centred(kept)), wave(centred(8))), atol=1e-5)
    np.testing.assert_allclose(from_sub_pixels(found, (kept, 8), (full, other)), image, atol=1e-5)


def test_sub_pixels_of_a_whole_factor_are_the_image_itself() -> None:
    image = np.random.default_rng(0).standard_normal((2, 24, 16)).astype(np.float32)
    assert np.array_equal(to_sub_pixels(image, (6, 4), 4), image)
    assert np.array_equal(from_sub_pixels(image, (6, 4), (24, 16)), image)
