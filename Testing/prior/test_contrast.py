"""Matching the contrast of a planning scan to the series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.patient import inverted
from helpers.recorder import Recorder

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.scanner import ScanSettings, simulate
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.prior.contrast import match_contrast
from SRDynamicMRILib.training.fine_tuning import adapt_prior
from SRDynamicMRILib.volume import Series, Volume

PHANTOM = abdomen(3, (8, 96, 128), (2.7, 2.7, 8.0), time_points=2)
SERIES = downsample(PHANTOM.dynamic[1], 0.25)


@pytest.mark.parametrize("factor", [1.0, 0.01, 500.0])
def test_scan_of_the_same_contrast_is_left_alone(factor: float) -> None:
    prior = PHANTOM.static.with_data(PHANTOM.static.data * np.float32(factor))
    match = match_contrast(prior, SERIES)
    assert match is not None
    assert match.by_line > 0.93
    assert match.way == "same"
    assert match.prior is prior
    progress = Recorder()
    adapted = adapt_prior(prior, SERIES, progress)
    assert adapted.volume is prior
    assert adapted.strength == 1
    assert progress.messages == []


def test_other_contrast_becomes_that_of_the_series() -> None:
    prior = inverted(PHANTOM.static)
    match = match_contrast(prior, SERIES)
    assert match is not None
    assert match.way == "curve"
    assert match.r_squared > match.by_line + 0.2
    truth = PHANTOM.dynamic[1].data
    before, after = (np.corrcoef(volume.data.ravel(), truth.ravel())[0, 1] for volume in (prior, match.prior))
    same = np.corrcoef(PHANTOM.static.data.ravel(), truth.ravel())[0, 1]
    assert before < 0.65 * same < 0.95 * same < after
    assert match.prior.geometry == prior.geometry
    progress = Recorder()
    adapted = adapt_prior(prior, SERIES, progress)
    assert np.array_equal(adapted.volume.data, match.prior.data)
    assert adapted.strength == 0.75
    assert len(progress.messages) == 1
    assert "The contrasts differ" in progress.messages[0]


@pytest.mark.parametrize("seed", [0, 2])  # of phases with fat turned against water
def test_lost_phase_is_no_other_contrast(seed: int) -> None:
    settings = ScanSettings.like_scanner(fraction=0.25)
    series = Series.of([simulate(PHANTOM.dynamic[1], settings, seed=seed)])
    magnitude = settings.acquisition((96, 128)).at_acquired_matrix(series)[0]
    same = match_contrast(PHANTOM.static, magnitude, magnitude=True)
    other = match_contrast(inverted(PHANTOM.static), magnitude, magnitude=True)
    assert same is not None and same.way == "same"
    assert other is not None and other.way != "same"
    assert adapt_prior(PHANTOM.static, magnitude, magnitude=True).strength == 1


def test_air_stays_dark_and_nothing_becomes_negative() -> None:
    match = match_contrast(inverted(PHANTOM.static), SERIES)
    assert match is not None
    assert match.prior.data.min() >= 0
    assert match.prior.data[PHANTOM.labels == 0].mean() < 0.2 * match.prior.data[PHANTOM.labels > 0].mean()


def test_scans_that_share_too_little_are_not_compared() -> None:
    origin = np.add(PHANTOM.static.geometry.origin, (0.0, 245.0, 56.0))  # a few rows of one slice in common
    beside = replace(PHANTOM.static.geometry, origin=tuple(float(v) for v in origin))
    assert match_contrast(Volume(PHANTOM.static.data, beside), SERIES) is None
    far = replace(PHANTOM.static.geometry, origin=(5000.0, 0.0, 0.0))
    with pytest.raises(InputError, match="do not overlap"):
        match_contrast(Volume(PHANTOM.static.data, far), SERIES)


def test_prior_of_any_extent_is_compared_where_the_two_overlap() -> None:
    part = inverted(PHANTOM.static)
    cut = Volume(
        part.data[2:6, 20:70, 30:100],
        Geometry((4, 50, 70), part.geometry.spacing, tuple(float(v) for v in part.geometry.position((30, 20, 2)))),
    )
    match = match_contrast(cut, SERIES)
    assert match is not None
    assert match.r_squared > match.by_line + 0.3


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_scan_is_left_alone(value: float) -> None:
    constant = PHANTOM.static.with_data(np.full(PHANTOM.static.shape, value))
    assert adapt_prior(constant, SERIES).volume is constant


def test_where_no_curve_can_tell_every_region_gets_its_line() -> None:
    turned = inverted(PHANTOM.static)
    rows = np.arange(96)[None, :, None] < 48
    prior = turned.with_data(np.where(rows, PHANTOM.static.data, turned.data))  # upper half as it is, lower inverted
    match = match_contrast(prior, SERIES)
    assert match is not None
    assert match.way == "regions"
    assert match.r_squared > match.by_line + 0.1
    truth = PHANTOM.dynamic[1].data
    before, after = (np.corrcoef(volume.data.ravel(), truth.ravel())[0, 1] for volume in (prior, match.prior))
    assert after > before + 0.1
    assert match.prior.data.min() >= 0
    progress = Recorder()
    adapted = adapt_prior(prior, SERIES, progress)
    assert adapted.strength == 0.5
    assert "region by region" in progress.messages[0]


def test_regions_without_the_series_get_the_common_line() -> None:
    prior = PHANTOM.static
    blocks = np.kron(np.random.default_rng(0).random((8, 12, 16)), np.ones((1, 8, 8)))
    other = prior.with_data(prior.data * (0.1 + blocks**3))  # as bright here as dark there
    part = Volume(SERIES.data[:, :24].copy(), replace(SERIES.geometry, shape=(8, 24, 64)))
    match = match_contrast(other, part)
    assert match is not None
    assert match.way == "regions"
    assert np.isfinite(match.prior.data).all()
    far = match.prior.data[:, 70:]
    assert np.corrcoef(far.ravel(), other.data[:, 70:].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("fraction", [0.0625, 0.25])
@pytest.mark.parametrize("seed", [0, 1])
def test_breathing_is_no_other_contrast(seed: int, fraction: float) -> None:
    phantom = abdomen(seed, (8, 192, 256), (1.36, 1.36, 8.0), time_points=6)
    match = match_contrast(phantom.static, downsample(phantom.dynamic[5], fraction))
    assert match is not None
    assert match.way == "same"
