"""k-space: transforms, cropping and padding, and the projection on what was acquired."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SRDynamicMRILib.acquisition.acquisition import data_consistency, downsample
from SRDynamicMRILib.acquisition.kspace import (
    crop_kspace,
    from_sub_pixels,
    pad_kspace,
    to_image,
    to_kspace,
    to_sub_pixels,
)
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.volume import Volume

PROPERTY = settings(max_examples=60, deadline=None)

seeds = st.integers(0, 2**32 - 1)


@st.composite
def nested_sizes(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int]]:
    """A matrix and a smaller or equal one, odd and even in every mixture."""
    size = draw(st.tuples(st.integers(1, 13), st.integers(1, 13)))
    return size, (draw(st.integers(1, size[0])), draw(st.integers(1, size[1])))


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1, shape).astype(np.float32)


@pytest.mark.parametrize("fraction", [0, -0.25, 1.0001, math.inf, math.nan])
def test_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="above 0 and at most 1"):
        downsample(Volume(np.ones((1, 8, 8))), fraction)


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
