"""The acquired k-space of a complex image is put back into a result as far as noise leaves it the better one."""

from __future__ import annotations

import numpy as np
import pytest

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.body import body_signal
from SRDynamicMRILib.acquisition.complex_image import complex_consistency, zero_filled_image
from SRDynamicMRILib.acquisition.kspace import ComplexArray
from SRDynamicMRILib.acquisition.phase import smooth_phase
from SRDynamicMRILib.acquisition.simulate import acquired_image
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.geometry import FloatArray
from SRDynamicMRILib.inference.complex_images import consistent
from SRDynamicMRILib.phantom import abdomen

FULL = (96, 128)
TRUTH = abdomen(0, (6, *FULL), (3.2, 3.2, 8.0), time_points=1).static.data
PHASE = smooth_phase(TRUTH.shape, np.random.default_rng(3)) / 4
SIGNAL = body_signal(TRUTH)


def acquired(acquisition: Acquisition, phase: FloatArray | None = PHASE) -> ComplexArray:
    return acquired_image(TRUTH, acquisition, phase=phase, rng=np.random.default_rng(1))


def error(image: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(image - TRUTH))))


@pytest.mark.parametrize("window", ["none", "hann"])
def test_without_noise_the_data_count(window: str) -> None:
    acquisition = Acquisition((48, 64), FULL, window=Window.named(window))
    image = acquired(acquisition, phase=None)
    result = consistent(2 * TRUTH, image, acquisition)
    assert complex_consistency(result, image, acquisition).residual < 0.1
    assert error(result) < 0.2 * error(2 * TRUTH)


def test_the_truth_is_left_nearly_as_it_is_where_the_phase_is_smooth() -> None:
    acquisition = Acquisition((48, 64), FULL)
    image = acquired(acquisition)
    zero_filled: FloatArray = np.abs(zero_filled_image(image, acquisition, FULL))
    assert error(consistent(TRUTH, image, acquisition)) < 0.5 * error(zero_filled)


@pytest.mark.parametrize("snr", [5.0, 20.0])
def test_noise_is_not_put_back_into_a_good_result(snr: float) -> None:
    known = Acquisition((48, 64), FULL, noise=SIGNAL / snr)
    image = acquired(known, phase=None)
    denied = Acquisition((48, 64), FULL)
    weighed, hard = (error(consistent(TRUTH, image, each)) for each in (known, denied))
    assert weighed < 0.5 * hard


def test_a_bad_result_moves_to_noisy_data() -> None:
    acquisition = Acquisition((48, 64), FULL, noise=SIGNAL / 50)
    image = acquired(acquisition, phase=None)
    assert error(consistent(2 * TRUTH, image, acquisition)) < 0.2 * error(2 * TRUTH)


def test_partial_fourier_of_either_side_puts_no_zeros_into_the_result() -> None:
    acquisition = Acquisition((48, 64), FULL, partial_fourier=0.75)
    image = acquired(acquisition, phase=None)
    flipped = np.roll(image[:, ::-1], 1, axis=1)  # the same of the mirrored object: the other side is missing
    usual = consistent(TRUTH, image, acquisition)
    mirrored = consistent(np.roll(TRUTH[:, ::-1], 1, axis=1), flipped, Acquisition((48, 64), FULL))
    assert error(usual) < 0.05 * SIGNAL
    assert error(np.roll(mirrored[:, ::-1], 1, axis=1)) == pytest.approx(error(usual), rel=0.05)
