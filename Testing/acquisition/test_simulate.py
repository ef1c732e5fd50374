"""What a scanner stores: against the linear acquisition, and the statistics of its noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from SRDynamicMRILib import Acquisition, InputError
from SRDynamicMRILib.acquisition.simulate import acquired_image, rounded, stored_image
from SRDynamicMRILib.acquisition.windows import Window

WHOLE = (True, True)
seeds = st.integers(0, 2**32 - 1)
windows = st.sampled_from([Window(), Window("hann"), Window("fermi", 0.1), Window("gauss", 0.5, radial=True)])


def image_of(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 1, shape).astype(np.float32)


@st.composite
def acquisitions(draw: st.DrawFn) -> Acquisition:
    """Any acquisition of a small matrix; stored 1x, 2x or anything between."""
    full = draw(st.tuples(st.integers(2, 12), st.integers(2, 12)))
    acquired = (draw(st.integers(1, full[0])), draw(st.integers(1, full[1])))
    stored = (draw(st.integers(acquired[0], 2 * acquired[0])), draw(st.integers(acquired[1], 2 * acquired[1])))
    shutter, partial = draw(st.sampled_from(["rectangle", "ellipse"])), draw(st.sampled_from([1.0, 0.75, 0.6]))
    return Acquisition(acquired, full, stored, shutter, partial, WHOLE, draw(windows))


def kspace_of(image: np.ndarray) -> np.ndarray:
    """Centred k-space in double precision, its DC sample the mean of the image."""
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image.astype(np.complex128)))) / image.size


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(acquisitions(), seeds)
def test_signed_without_noise_it_is_the_linear_acquisition(acquisition: Acquisition, seed: int) -> None:
    # Of an even number of columns D sees the mean of both ends, which partial Fourier would weigh differently.
    columns, full = acquisition.acquired_matrix[1], acquisition.full_matrix[1]
    assume(acquisition.partial_fourier == 1 or columns % 2 or columns == full)
    image = image_of((2, *acquisition.full_matrix), seed)
    np.testing.assert_allclose(stored_image(image, acquisition), acquisition.downsample(image), atol=2e-5)


@pytest.mark.parametrize("size", [((6, 4), (10, 8)), ((5, 4), (10, 8)), ((6, 4), (9, 7)), ((10, 8), (10, 8))])
@pytest.mark.parametrize("times", [1, 2])
def test_even_and_odd_matrices_stored_once_and_twice(size: tuple[tuple[int, int], ...], times: int) -> None:
    acquired, full = size
    acquisition = Acquisition(acquired, full, (times * acquired[0], times * acquired[1]))
    image = image_of((3, *full))
    np.testing.assert_allclose(stored_image(image, acquisition), acquisition.downsample(image), atol=1e-5)


def test_the_magnitude_is_that_of_the_complex_image() -> None:
    acquisition = Acquisition((6, 4), (12, 8), (12, 8), magnitude=True)
    image, phase = image_of((12, 8)), image_of((12, 8), 1)
    kspace = kspace_of(image * np.exp(1j * phase))
    y, x = (np.arange(n) - n // 2 for n in (12, 8))
    expected = np.zeros((12, 8), dtype=complex)
    for row, column in np.ndindex(6, 4):  # the inverse transform, sample by sample
        waves = np.exp(2j * np.pi * np.add.outer((row - 3) * y / 12, (column - 2) * x / 8))
        expected += kspace[row + 3, column + 2] * waves
    np.testing.assert_allclose(acquired_image(image, acquisition, phase=phase), expected, atol=2e-5)
    np.testing.assert_allclose(stored_image(image, acquisition, phase=phase), np.abs(expected), atol=2e-5)
    signed = stored_image(image, replace(acquisition, magnitude=False, stored_matrix=(6, 4)), phase=phase)
    assert signed.min() < 0 < stored_image(image, acquisition, phase=phase).min()


def test_no_phase_is_a_real_image() -> None:
    image = image_of((2, 9, 7))
    made = acquired_image(image, Acquisition((5, 3), (9, 7), (10, 7)))
    np.testing.assert_allclose(made.imag, 0, atol=1e-6)
    zero = acquired_image(image, Acquisition((5, 3), (9, 7), (10, 7)), phase=np.zeros((2, 9, 7)))
    np.testing.assert_allclose(zero, made, atol=1e-6)


def test_a_constant_phase_changes_no_magnitude() -> None:
    acquisition = Acquisition((6, 4), (10, 8), (12, 8), window=Window("hann"), magnitude=True)
    image = image_of((2, 10, 8))
    turned = stored_image(image, acquisition, phase=np.full((2, 10, 8), 2.0))
    np.testing.assert_allclose(turned, stored_image(image, acquisition), atol=1e-5)


def test_fat_against_water_cancels() -> None:
    acquisition = Acquisition((8, 8), (32, 32), magnitude=True)
    phase = np.zeros((32, 32), dtype=np.float32)
    phase[:, :16] = np.pi
    image = np.ones((32, 32), dtype=np.float32)
    stored = stored_image(image, acquisition, phase=phase)
    assert stored[:, 4].max() < 0.3, "the border between them"
    assert stored[:, 2].min() > 0.8


@pytest.mark.parametrize("stored", [(32, 24), (64, 48), (50, 24)])
def test_noise_has_its_deviation_at_the_acquired_matrix(stored: tuple[int, int]) -> None:
    acquisition = Acquisition((32, 24), (40, 40), stored, noise=2.5)
    made = acquired_image(np.zeros((60, 40, 40)), acquisition, rng=np.random.default_rng(0))
    assert made.real.std() == pytest.approx(2.5, rel=0.01)
    assert made.imag.std() == pytest.approx(2.5, rel=0.01)
    assert abs(np.corrcoef(made.real.ravel(), made.imag.ravel())[0, 1]) < 0.02
    assert abs(made.mean()) < 0.05
    real = stored_image(np.zeros((60, 40, 40)), acquisition, rng=np.random.default_rng(0))
    assert real.std() == pytest.approx(2.5, rel=0.03), "zero-filling halves the outermost frequency of a real image"


def test_noise_is_weighted_by_the_window() -> None:
    acquisition = Acquisition((32, 24), (40, 40), noise=2.5, window=Window("hann"))
    made = acquired_image(np.zeros((60, 40, 40)), acquisition, rng=np.random.default_rng(0))
    left = float(np.sqrt(np.mean(np.square(acquisition.window.weights((32, 24))))))
    assert made.real.std() == pytest.approx(2.5 * left, rel=0.02)
    assert left < 0.4


def test_noise_is_rician_in_a_magnitude() -> None:
    acquisition = Acquisition((32, 24), (40, 40), noise=2.0, magnitude=True)
    air = stored_image(np.zeros((60, 40, 40)), acquisition, rng=np.random.default_rng(0))
    assert air.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01), "the mean of Rayleigh's distribution"
    tissue = stored_image(np.full((60, 40, 40), 100.0), acquisition, rng=np.random.default_rng(0))
    assert tissue.mean() == pytest.approx(100 + 2.0**2 / 200, rel=1e-3)
    assert tissue.std() == pytest.approx(2.0, rel=0.02)


def test_there_is_no_noise_without_a_source() -> None:
    image = image_of((2, 10, 8))
    noisy = Acquisition((6, 4), (10, 8), noise=3.0, magnitude=True)
    np.testing.assert_array_equal(stored_image(image, noisy), stored_image(image, replace(noisy, noise=0)))


def test_the_same_seed_gives_the_same_image() -> None:
    image = image_of((2, 10, 8))
    acquisition = Acquisition((6, 4), (10, 8), noise=3.0, magnitude=True)
    first, again, other = (stored_image(image, acquisition, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_the_corners_of_an_ellipse_are_empty() -> None:
    acquisition = Acquisition((16, 16), (24, 24), (32, 32), shutter="ellipse")
    kspace = kspace_of(acquired_image(image_of((24, 24)), acquisition))
    inside = np.zeros((32, 32), dtype=bool)
    inside[8:24, 8:24] = acquisition.mask
    assert not inside[8, 8]
    assert np.abs(kspace[~inside]).max() < 1e-6
    assert np.abs(kspace[inside]).min() > 1e-5


def test_partial_fourier_is_zero_filled() -> None:
    acquisition = Acquisition((16, 12), (24, 24), partial_fourier=0.75)
    image = image_of((24, 24))
    kspace, whole = kspace_of(acquired_image(image, acquisition)), kspace_of(image)[4:20, 6:18]
    np.testing.assert_allclose(kspace[:12], whole[:12], atol=1e-6)
    np.testing.assert_allclose(kspace[12:], 0, atol=1e-6)


@pytest.mark.parametrize("bits", [12, 8])
def test_intensities_are_rounded_to_so_many_bits(bits: int) -> None:
    image = np.abs(image_of((4, 40, 40)))
    steps = rounded(image, bits) / (image.max() / (2**bits - 1))
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-2)
    assert round(float(steps.max())) == 2**bits - 1
    assert np.abs(rounded(image, bits) - image).max() <= image.max() / (2**bits - 1) * 0.51
    np.testing.assert_array_equal(rounded(-image, bits), -rounded(image, bits))


def test_nothing_stays_nothing() -> None:
    np.testing.assert_array_equal(rounded(np.zeros((2, 3, 4), dtype=np.float32)), 0)


@pytest.mark.parametrize("function", [acquired_image, stored_image])
def test_other_matrices_are_refused(function) -> None:
    acquisition = Acquisition((4, 4), (8, 8))
    with pytest.raises(InputError, match="7x8 rows and columns, but the full matrix"):
        function(image_of((2, 7, 8)), acquisition)
    with pytest.raises(InputError, match="8x7 rows and columns, but the full matrix"):
        function(image_of((2, 8, 8)), acquisition, phase=image_of((2, 8, 7)))
