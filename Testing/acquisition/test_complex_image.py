"""Complex images: what their spectrum says of how they were acquired, and how a result agrees with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.body import body_signal
from SRDynamicMRILib.acquisition.complex_image import (
    as_magnitude,
    complex_consistency,
    complex_consistency_map,
    magnitudes,
    measured_weights,
    zero_filled_image,
)
from SRDynamicMRILib.acquisition.complex_recognition import ComplexAcquisition, recognise_complex
from SRDynamicMRILib.acquisition.kspace import ComplexArray, to_kspace
from SRDynamicMRILib.acquisition.phase import smooth_phase
from SRDynamicMRILib.acquisition.recognise import DeclaredAcquisition
from SRDynamicMRILib.acquisition.simulate import acquired_image, rounded
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.complex_series import ComplexSeries
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import FloatArray
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Volume

FULL = (96, 128)
TRUTH = abdomen(0, (6, *FULL), (3.2, 3.2, 8.0), time_points=1).static.data
PHASE = smooth_phase(TRUTH.shape, np.random.default_rng(3))
SIGNAL = body_signal(TRUTH)


def acquired(acquisition: Acquisition) -> ComplexArray:
    return acquired_image(TRUTH, acquisition, phase=PHASE, rng=np.random.default_rng(1))


def series(*images: ComplexArray, coarse: bool = False) -> ComplexSeries:
    geometry = Volume(TRUTH).geometry.with_matrix(images[0].shape[1:])
    parts = [[np.abs(each) for each in images], [np.angle(each) for each in images]]
    if coarse:
        parts = [[rounded(each.astype(np.float32)) for each in part] for part in parts]
    magnitude, phase = (Series.of([Volume(each, geometry) for each in part]) for part in parts)
    return ComplexSeries(magnitude, phase)


def recognised(acquisition: Acquisition, coarse: bool = False, **declared: object) -> ComplexAcquisition:
    return recognise_complex(series(acquired(acquisition), coarse=coarse), DeclaredAcquisition(**declared))


@pytest.mark.parametrize("matrix", [(48, 64), (49, 61), (38, 64), (96, 128)])
@pytest.mark.parametrize("stored", ["acquired", "full"])
@pytest.mark.parametrize("snr", [None, 20.0])
@pytest.mark.parametrize("coarse", [False, True])
def test_the_acquired_matrix_is_that_of_the_spectrum(
    matrix: tuple[int, int], stored: str, snr: float | None, coarse: bool
) -> None:
    size = FULL if stored == "full" else matrix
    noise = SIGNAL / snr if snr else 0.0
    found = recognised(Acquisition(matrix, FULL, size, noise=noise), coarse)
    assert found.matrix == matrix
    assert found.matrix_part.source == ("spectrum" if matrix != size else "stored")
    assert not found.magnitude and found.partial_fourier == 1 and found.warnings == ()


def test_partial_fourier_is_seen() -> None:
    found = recognised(Acquisition((48, 64), FULL, FULL, partial_fourier=0.75))
    assert found.matrix == (48, 64) and found.partial_fourier == pytest.approx(0.75, abs=0.03)
    assert found.sources["partial_fourier"] == "data"


@pytest.mark.parametrize("snr", [8.0, 12.0])
@pytest.mark.parametrize("window", ["none", "hann"])
def test_noise_is_that_of_one_channel_at_the_acquired_matrix_before_the_window(snr: float, window: str) -> None:
    acquisition = Acquisition((48, 64), FULL, FULL, window=Window.named(window), noise=SIGNAL / snr)
    assert recognised(acquisition).noise == pytest.approx(SIGNAL / snr, rel=0.25)


def test_noise_is_not_guessed_where_there_is_no_air() -> None:
    inside, phase = (image[:, 24:72, 32:96] for image in (TRUTH, PHASE))
    known = Acquisition((24, 32), (48, 64), noise=SIGNAL / 20)
    images = series(acquired_image(inside, known, phase=phase, rng=np.random.default_rng(1)))
    found = recognise_complex(images)
    assert (found.noise, found.sources["noise"]) == (0.0, "assumed")
    assert "hardly any air" in found.warnings[0] and "--noise" in found.warnings[0]
    declared = recognise_complex(images, DeclaredAcquisition(noise=3.0))
    assert (declared.noise, declared.warnings) == (3.0, ())


def test_what_is_declared_counts_and_a_contradiction_is_said() -> None:
    acquisition = Acquisition((48, 64), FULL, FULL, noise=SIGNAL / 20)
    found = recognised(acquisition, noise=0.5, window=Window("hann"), acquired_matrix=(64, 64))
    assert (found.noise, str(found.window), found.matrix) == (0.5, "hann", (64, 64))
    assert {found.sources["noise"], found.sources["window"], found.matrix_part.source} == {"declared"}
    assert found.warnings == ("The acquired matrix was given as 64x64, but k-space holds 48x64.",)
    with pytest.raises(InputError, match="does not fit"):
        recognised(acquisition, acquired_matrix=(200, 64))


def test_words_and_facts_say_that_it_is_complex() -> None:
    found = recognised(Acquisition((48, 64), FULL, FULL, noise=SIGNAL / 20))
    assert "It holds complex intensities, noise with an SD of" in found.in_words()
    facts = found.facts()
    assert facts["complex_input"] is True and facts["acquired_matrix"] == [48, 64]


def test_zero_filling_a_complex_image_and_cropping_it_again_loses_nothing() -> None:
    acquisition = Acquisition((48, 64), FULL)
    image = acquired(acquisition)
    large = zero_filled_image(image, acquisition, FULL)
    np.testing.assert_allclose(
        zero_filled_image(large, replace(acquisition, stored_matrix=FULL), (48, 64)), image, atol=1e-3
    )
    assert as_magnitude(acquisition).stored_matrix == (96, 128) and as_magnitude(acquisition).magnitude
    (made,) = magnitudes(series(image), acquisition, FULL)
    np.testing.assert_allclose(made.data, np.abs(large), rtol=1e-3, atol=1e-3 * np.abs(large).max())


def test_the_truth_with_its_own_phase_agrees_with_its_image() -> None:
    real = Acquisition((48, 64), FULL)
    image = acquired_image(TRUTH, real)
    agreement = complex_consistency(np.abs(zero_filled_image(image, real, FULL)), image, real)
    assert agreement.residual < 1e-4 and agreement.synthesised < 1e-4
    assert complex_consistency(TRUTH, image, real).synthesised > 0.01
    doubled = complex_consistency(2 * np.abs(zero_filled_image(image, real, FULL)), image, real)
    assert doubled.residual == pytest.approx(1.0, abs=1e-3)
    assert complex_consistency(TRUTH, image) == complex_consistency(TRUTH, image, real)


def test_the_map_is_what_the_result_has_more_of_at_the_acquired_matrix() -> None:
    acquisition = Acquisition((48, 64), FULL)
    image = acquired(acquisition)
    zero_filled: FloatArray = np.abs(zero_filled_image(image, acquisition, FULL))
    scale = float(np.abs(image).max())
    assert np.abs(complex_consistency_map(zero_filled, image, acquisition)).max() < 1e-3 * scale
    more = complex_consistency_map(np.float32(1.5) * zero_filled, image, acquisition)
    np.testing.assert_allclose(more, 0.5 * np.abs(image), atol=1e-3 * scale)


def test_what_was_not_measured_has_no_weight_whichever_side_it_is() -> None:
    image = acquired(Acquisition((48, 64), FULL))
    kspace = to_kspace(image)
    kspace[:, :12] = 0
    weights = measured_weights(kspace, Acquisition((48, 64), FULL))
    assert not weights[:12].any() and (weights[12:] == 1).all()
    hann = Acquisition((48, 64), FULL, window=Window("hann"))
    assert ((measured_weights(to_kspace(acquired(hann)), hann) > 0) == (hann.sample_weights >= 0.05)).all()
