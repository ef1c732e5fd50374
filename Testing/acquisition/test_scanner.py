"""Volumes and series as a scanner would have stored them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from SRDynamicMRILib import Acquisition, Geometry, InputError, Series, Volume, downsample
from SRDynamicMRILib.acquisition.body import body_signal
from SRDynamicMRILib.acquisition.phase import simulated_phase
from SRDynamicMRILib.acquisition.scanner import STORED, ScanSettings, simulate
from SRDynamicMRILib.acquisition.simulate import rounded, stored_image
from SRDynamicMRILib.acquisition.windows import Window

SHAPE = (3, 32, 40)
GEOMETRY = Geometry(SHAPE, (1.2, 1.5, 4.0), (10.0, -20.0, 30.0))


def image(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """A bright body ``(D, H, W)`` with texture, in dark air."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[1:]), indexing="ij")
    body = np.hypot(y, x - 0.05 * seed) < 0.7
    return (body * rng.uniform(200, 400, shape) + rng.uniform(0, 3, shape)).astype(np.float32)


def series(count: int = 3) -> Series:
    return Series.of([Volume(image(number), GEOMETRY) for number in range(count)], [0.5 * n for n in range(count)])


def simulated(images: Volume | Series) -> dict[str, object]:
    found: dict[str, object] = images.facts["simulated"]
    return found


# The sign-kept cut.


@pytest.mark.parametrize("fraction", [1, 0.25, 0.1])
def test_nothing_but_a_fraction_is_the_cut_to_the_last_bit(fraction: float) -> None:
    full = series()
    low, cut = simulate(full, ScanSettings(fraction=fraction)), downsample(full, fraction)
    assert low.geometry == cut.geometry
    assert low.times == cut.times
    for one, other in zip(low, cut, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    assert low.facts["fraction"] == fraction
    assert low.facts["full_matrix"] == list(SHAPE[1:])
    assert not simulated(low)["magnitude"]


def test_a_volume_gives_a_volume() -> None:
    volume = Volume(image(), GEOMETRY, name="liver.nii", warnings=("Look out.",))
    low = simulate(volume, ScanSettings(fraction=0.25))
    assert isinstance(low, Volume)
    np.testing.assert_array_equal(low.data, downsample(volume, 0.25).data)
    assert simulated(low)["acquired_matrix"] == list(low.shape[1:])


def test_window_shutter_and_partial_fourier_keep_the_sign_of_a_real_image() -> None:
    settings = ScanSettings(
        fraction=0.25, window=Window("hamming"), shutter="ellipse", partial_fourier=0.75, store="full"
    )
    full = Volume(image(), GEOMETRY)
    acquisition = Acquisition((16, 20), (32, 40), (32, 40), "ellipse", 0.75, window=Window("hamming"))
    np.testing.assert_array_equal(simulate(full, settings).data, acquisition.downsample(full.data))


# Matrices and place.


@pytest.mark.parametrize(("store", "stored"), [("1x", (16, 20)), ("2x", (32, 40)), ("full", (32, 40))])
def test_the_stored_matrix(store: str, stored: tuple[int, int]) -> None:
    low = simulate(series(1), ScanSettings(fraction=0.25, store=store))
    assert low.geometry == GEOMETRY.with_matrix(stored)
    assert low[0].shape[1:] == stored
    assert simulated(low)["stored_matrix"] == list(stored)
    assert simulated(low)["acquired_matrix"] == [16, 20]


@pytest.mark.parametrize("store", STORED)
@pytest.mark.parametrize("shape", [(1, 33, 40), (1, 40, 31), (2, 27, 27)])
def test_the_middle_sample_keeps_its_place(store: str, shape: tuple[int, int, int]) -> None:
    full = np.zeros(shape, dtype=np.float32)
    full[:, shape[1] // 2, shape[2] // 2] = 100
    geometry = Geometry(shape, (1.2, 1.5, 4.0), (10.0, -20.0, 30.0))
    low = simulate(Volume(full, geometry), ScanSettings(fraction=0.3, store=store, magnitude=True))
    _, row, column = np.unravel_index(int(np.argmax(low.data)), low.shape)
    expected = geometry.position((shape[2] // 2, shape[1] // 2, 0))
    np.testing.assert_allclose(low.geometry.position((int(column), int(row), 0)), expected, atol=1e-9)


def test_rows_and_columns_have_fractions_of_their_own() -> None:
    low = simulate(series(1), ScanSettings(fraction_rows=0.5, fraction_columns=0.25))
    assert low[0].shape[1:] == (16, 10)
    assert low.facts["fraction"] == 0.125
    assert simulate(series(1), ScanSettings(fraction_rows=0.5))[0].shape[1:] == (16, 40)


# Noise.


def test_the_noise_follows_from_the_body_of_the_first_time_point() -> None:
    full = series()
    low = simulate(full, ScanSettings(fraction=0.25, snr=10))
    deviation = body_signal(full[0].data) / 10
    assert simulated(low)["noise"] == pytest.approx(deviation)
    clean = downsample(full, 0.25)
    for one, other in zip(low, clean, strict=True):
        assert (one.data - other.data).std() == pytest.approx(deviation, rel=0.1)


def test_the_noise_of_every_time_point_is_its_own() -> None:
    still = Series.of([Volume(image(), GEOMETRY)] * 3)
    low = simulate(still, ScanSettings(fraction=0.5, snr=10))
    clean = downsample(still[0], 0.5).data
    noise = [volume.data - clean for volume in low]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(noise[1].ravel(), noise[2].ravel())[0, 1]) < 0.1


def test_a_seed_gives_the_same_in_any_order() -> None:
    settings = ScanSettings.like_scanner(fraction=0.25)
    low, again, other = (simulate(series(), settings, seed=seed) for seed in (4, 4, 5))
    backwards = [again[number].data for number in (2, 1, 0)][::-1]
    for number, data in enumerate(backwards):
        np.testing.assert_array_equal(low[number].data, data)
        assert np.abs(other[number].data - data).max() > 1
    np.testing.assert_array_equal(simulate(series()[0], settings, seed=4).data, low[0].data)


# Phase.


def test_a_given_phase_is_used() -> None:
    full = series(2)
    phases = [np.random.default_rng(n).uniform(-3, 3, SHAPE).astype(np.float32) for n in range(2)]
    acquisition = Acquisition((16, 20), (32, 40), magnitude=True)
    expected = [stored_image(image(n), acquisition, phase=phases[n]) for n in range(2)]
    settings = ScanSettings(fraction=0.25)
    each = simulate(full, settings, phase=Series.of([Volume(phase, GEOMETRY) for phase in phases]))
    one = simulate(full, settings, phase=Volume(phases[0], GEOMETRY))
    assert simulated(each)["phase"] == "given"
    assert simulated(each)["magnitude"], "of a complex image a scanner stores the magnitude"
    for number in range(2):
        np.testing.assert_array_equal(each[number].data, expected[number])
    np.testing.assert_array_equal(one[0].data, expected[0])
    assert np.abs(one[1].data - expected[1]).max() > 1


def test_a_simulated_phase_is_that_of_the_image() -> None:
    low = simulate(series(), ScanSettings(fraction=0.25, simulate_phase=True), seed=3)
    acquisition = Acquisition((16, 20), (32, 40), magnitude=True)
    for number, volume in enumerate(low):
        phase = simulated_phase(image(number), np.random.default_rng([3, 0]))
        np.testing.assert_array_equal(volume.data, stored_image(image(number), acquisition, phase=phase))
    assert simulated(low)["phase"] == "simulated"


def test_a_given_phase_replaces_the_simulated_one() -> None:
    flat = Volume(np.zeros(SHAPE), GEOMETRY)
    low = simulate(series(1), ScanSettings(fraction=0.25, simulate_phase=True), phase=flat)
    np.testing.assert_array_equal(low[0].data, simulate(series(1), ScanSettings(fraction=0.25, magnitude=True))[0].data)
    assert simulated(low)["phase"] == "given"


# Like a scanner.


def test_like_a_scanner_is_all_at_once() -> None:
    low = simulate(series(), ScanSettings.like_scanner(fraction=0.25), seed=2)
    noise = body_signal(image(0)) / 20
    acquisition = Acquisition((16, 20), (32, 40), (32, 40), window=Window("hann"), noise=noise, magnitude=True)
    phase = simulated_phase(image(1), np.random.default_rng([2, 0]))
    stored = stored_image(image(1), acquisition, phase=phase, rng=np.random.default_rng([2, 1, 1]))
    np.testing.assert_array_equal(low[1].data, rounded(stored))
    assert simulated(low) == {
        "acquired_matrix": [16, 20],
        "stored_matrix": [32, 40],
        "shutter": "rectangle",
        "partial_fourier": 1.0,
        "window": "hann",
        "snr": 20.0,
        "noise": pytest.approx(noise),
        "phase": "simulated",
        "magnitude": True,
        "bits": 12,
        "seed": 2,
    }
    json.dumps(low.facts)


def test_each_part_of_it_can_be_another() -> None:
    settings = ScanSettings.like_scanner(fraction=0.25, snr=50, window=Window("fermi", 0.1), store="1x")
    assert settings.snr == 50
    assert str(settings.window) == "fermi:0.1"
    assert settings.acquisition((32, 40)).stored_matrix == (16, 20)
    assert settings.magnitude
    assert settings.simulate_phase


# What cannot be.


@pytest.mark.parametrize(
    ("settings", "phrase"),
    [
        ({"fraction": 0}, "above 0 and at most 1"),
        ({"fraction_rows": 1.5}, "above 0 and at most 1"),
        ({"fraction": 0.25, "fraction_rows": 0.5}, "either one fraction"),
        ({}, "either one fraction"),
        ({"fraction": 0.25, "shutter": "spiral"}, "no sampling pattern named spiral; use one of rectangle, ellipse"),
        ({"fraction": 0.25, "partial_fourier": 0.5}, r"above 0\.5 and at most 1"),
        ({"fraction": 0.25, "store": "3x"}, "no stored matrix named 3x; use one of 1x, 2x, full"),
        ({"fraction": 0.25, "snr": 0}, "signal-to-noise ratio must be above 0, but it is 0"),
        ({"fraction": 0.25, "snr": math.nan}, "signal-to-noise ratio must be above 0"),
        ({"fraction": 0.25, "snr": math.inf}, "signal-to-noise ratio must be above 0"),
        ({"fraction": 0.25, "bits": 0}, "rounded to 1 to 24 bits"),
        ({"fraction": 1e-6}, "leaves nothing of a 32x40 matrix"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], phrase: str) -> None:
    with pytest.raises(InputError, match=phrase):
        simulate(series(1), ScanSettings(**settings))


@pytest.mark.parametrize(
    ("phase", "phrase"),
    [
        (Volume(np.zeros(SHAPE), Geometry(SHAPE)), "not on the grid of the image"),
        (Volume(np.zeros((3, 16, 20)), GEOMETRY.with_matrix((16, 20))), "not on the grid of the image"),
        (Series.of([Volume(np.zeros(SHAPE), GEOMETRY)] * 2), "2 time points but the image has 3"),
        (Volume(image() * 10, GEOMETRY), "no radians; scale it to -pi to pi"),
        (Volume(np.full(SHAPE, -180.0), GEOMETRY, name="p.nii"), "p.nii has values from -180 to -180"),
        (Volume(np.full(SHAPE, np.nan), GEOMETRY), "no radians"),
    ],
)
def test_a_phase_that_does_not_fit_is_refused(phase: Volume | Series, phrase: str) -> None:
    with pytest.raises(InputError, match=phrase):
        simulate(series(), ScanSettings(fraction=0.25), phase=phase)


def test_a_later_phase_that_is_none_is_refused_when_its_turn_comes() -> None:
    phases = Series.of([Volume(np.full(SHAPE, value), GEOMETRY) for value in (0.0, 1.0, 90.0)])
    low = simulate(series(), ScanSettings(fraction=0.25), phase=phases)
    assert low[1].shape == (3, 16, 20)
    with pytest.raises(InputError, match="values from 90 to 90"):
        low[2]
