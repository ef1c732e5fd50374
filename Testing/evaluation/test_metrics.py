"""Metrics: equal to scikit-image's, on masks, and the body found in the phantom."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import metrics as skimage

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.metrics import (
    compare,
    difference_sd,
    mean_ssim,
    nrmse,
    psnr,
    ssim,
    ssim_map,
)

PROPERTY = settings(max_examples=20, deadline=None)

shapes = st.tuples(st.integers(7, 12), st.integers(7, 20), st.integers(7, 20))
seeds = st.integers(0, 2**32 - 1)


def two_images(shape: tuple[int, int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A truth between 0 and 1 and a blurred, noisy result."""
    rng = np.random.default_rng(seed)
    truth = rng.random(shape).astype(np.float32)
    result = ndimage.gaussian_filter(truth, 0.7) + rng.normal(0, 0.05, shape)
    return result.astype(np.float32), truth


@PROPERTY
@given(shapes, seeds, st.sampled_from([1.0, 2.5]))
def test_ssim_is_scikit_images(shape: tuple[int, int, int], seed: int, data_range: float) -> None:
    result, truth = two_images(shape, seed)
    mean, full = skimage.structural_similarity(
        result.astype(float), truth.astype(float), data_range=data_range, full=True
    )
    assert ssim(result, truth, data_range) == pytest.approx(mean, abs=1e-5)
    np.testing.assert_allclose(ssim_map(result, truth, data_range), full, atol=1e-5)


@PROPERTY
@given(shapes, seeds, st.sampled_from([1.0, 2.5]))
def test_psnr_is_scikit_images(shape: tuple[int, int, int], seed: int, data_range: float) -> None:
    result, truth = two_images(shape, seed)
    expected = skimage.peak_signal_noise_ratio(truth.astype(float), result.astype(float), data_range=data_range)
    assert psnr(result, truth, data_range) == pytest.approx(expected, abs=1e-6)


@PROPERTY
@given(shapes, seeds)
def test_nrmse_is_scikit_images(shape: tuple[int, int, int], seed: int) -> None:
    result, truth = two_images(shape, seed)
    expected = skimage.normalized_root_mse(truth.astype(float), result.astype(float))
    assert nrmse(result, truth) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("slices", "window"), [(1, 1), (2, 1), (3, 3), (4, 3), (6, 5), (7, 7)])
def test_ssim_of_few_slices_takes_the_window_that_fits(slices: int, window: int) -> None:
    result, truth = two_images((slices, 9, 11))
    z = slices // 2
    part = (slice(z - window // 2, z + window // 2 + 1), slice(1, 8), slice(3, 10))
    x, y = result[part].astype(float).ravel(), truth[part].astype(float).ravel()
    (vx, covariance), (_, vy) = np.cov(x, y)
    expected = (2 * x.mean() * y.mean() + 1e-4) * (2 * covariance + 9e-4)
    expected /= (x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (vx + vy + 9e-4)
    assert ssim_map(result, truth)[z, 4, 6] == pytest.approx(expected, abs=1e-9)


def test_ssim_of_one_slice_is_that_of_the_image() -> None:
    result, truth = two_images((1, 20, 24))
    expected = skimage.structural_similarity(result[0].astype(float), truth[0].astype(float), data_range=1.0)
    assert ssim(result, truth) == pytest.approx(expected, abs=1e-5)


def test_equal_volumes_are_perfect() -> None:
    _, truth = two_images((7, 8, 9))
    metrics, similarity = compare(truth, truth)
    assert metrics.ssim == pytest.approx(1)
    assert (metrics.psnr, metrics.difference_sd, metrics.nrmse) == (math.inf, 0, 0)
    np.testing.assert_allclose(similarity, 1)


def test_difference_sd_ignores_an_offset_and_the_others_do_not() -> None:
    _, truth = two_images((7, 8, 9))
    result = truth + np.float32(0.25)
    assert difference_sd(result, truth) == pytest.approx(0, abs=1e-6)
    assert psnr(result, truth) == pytest.approx(-20 * math.log10(0.25), abs=1e-4)


def test_mask_counts_its_voxels_alone() -> None:
    result, truth = two_images((7, 10, 12))
    mask = np.zeros(truth.shape, dtype=bool)
    mask[2:5, :4, 3:] = True
    difference = result[mask].astype(float) - truth[mask]
    metrics, similarity = compare(result / truth.max(), truth / truth.max(), mask)
    difference /= truth.max()
    assert metrics.ssim == pytest.approx(similarity[mask].mean())
    assert metrics.psnr == pytest.approx(-10 * math.log10(np.mean(difference**2)), abs=1e-4)
    assert metrics.difference_sd == pytest.approx(difference.std(), rel=1e-4)
    energy = np.mean((truth[mask] / truth.max()) ** 2)
    assert metrics.nrmse == pytest.approx(math.sqrt(np.mean(difference**2) / energy), rel=1e-4)
    spoilt = result.copy()
    spoilt[~mask] = 9
    assert psnr(spoilt, truth, mask=mask) == psnr(result, truth, mask=mask)


def test_mean_ssim_leaves_out_windows_that_stick_out() -> None:
    similarity = np.zeros((8, 9, 10))
    similarity[3:-3, 3:-3, 3:-3] = 1
    assert mean_ssim(similarity) == 1


@PROPERTY
@given(st.floats(1e-3, 1e4), seeds)
def test_compare_does_not_depend_on_the_common_unit(factor: float, seed: int) -> None:
    result, truth = two_images((7, 8, 9), seed)
    metrics, similarity = compare(result, truth)
    scaled, scaled_map = compare(result * np.float32(factor), truth * np.float32(factor))
    np.testing.assert_allclose(scaled_map, similarity, atol=1e-4)
    for name in ("ssim", "psnr", "difference_sd", "nrmse"):
        assert getattr(scaled, name) == pytest.approx(getattr(metrics, name), rel=1e-4)


def test_compare_sees_a_wrong_scale_of_the_result() -> None:
    _, truth = two_images((7, 8, 9))
    assert compare(truth * np.float32(1.1), truth)[0].nrmse == pytest.approx(0.1, rel=1e-4)


def test_volumes_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="cannot be compared"):
        ssim_map(np.ones((7, 8, 9)), np.ones((7, 9, 8)))
    with pytest.raises(InputError, match="cannot be compared"):
        psnr(np.ones((7, 8, 9)), np.ones((7, 9, 8)))


def test_empty_truth_is_refused() -> None:
    with pytest.raises(InputError, match="no voxel above zero"):
        compare(np.ones((7, 8, 9)), np.zeros((7, 8, 9)))
