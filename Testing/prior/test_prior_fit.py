"""A planning scan of something else is noticed; one of another sequence, shifted or noisy, is not taken for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.patient import inverted

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.io.files import read_series, read_volume
from SRDynamicMRILib.models.prior_copy import PriorCopy
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.prior.similarity import FITS, Fit, fit_of, misfit, similarity, spread
from SRDynamicMRILib.volume import Volume

PHANTOM = abdomen(3, (8, 96, 128), (2.7, 2.7, 8.0), time_points=2)
SERIES = downsample(PHANTOM.dynamic[1], 0.25)


def shifted(volume: Volume, x: float, y: float, z: float) -> Volume:
    origin = tuple(float(value) for value in np.add(volume.geometry.origin, (x, y, z)))
    return Volume(volume.data, replace(volume.geometry, origin=origin))


def shuffled(volume: Volume) -> Volume:
    return volume.with_data(np.random.default_rng(0).permutation(volume.data.ravel()).reshape(volume.shape))


def noisy(volume: Volume) -> Volume:
    noise = 0.1 * np.percentile(volume.data, 99.9)
    return volume.with_data(np.abs(volume.data + np.random.default_rng(0).normal(0, noise, volume.shape)))


def turned(volume: Volume) -> Volume:
    return volume.with_data(volume.data[:, ::-1, ::-1].copy())


RIGHT: dict[str, Callable[[Volume], Volume]] = {
    "as it is": lambda volume: volume,
    "another sequence": inverted,
    "shifted": lambda volume: shifted(volume, 22.0, -16.0, 8.0),
    "shifted, another sequence": lambda volume: inverted(shifted(volume, -14.0, 11.0, 0.0)),
    "noisy": noisy,
    "other intensities": lambda volume: volume.with_data(1000 * volume.data),
}
WRONG: dict[str, Callable[[Volume], Volume]] = {
    "voxels in random order": shuffled,
    "upside down": turned,
    "noise alone": lambda volume: volume.with_data(np.random.default_rng(1).random(volume.shape)),
    "constant": lambda volume: volume.with_data(np.full(volume.shape, 7.0)),
}


@pytest.mark.parametrize("case", RIGHT)
def test_the_same_anatomy_fits(case: str) -> None:
    assert (similarity(RIGHT[case](PHANTOM.static), SERIES) or 0) > 1.2 * FITS


@pytest.mark.parametrize("case", WRONG)
def test_something_else_does_not(case: str) -> None:
    value = similarity(WRONG[case](PHANTOM.static), SERIES)
    assert value is not None
    assert value < 0.85 * FITS


def test_breathing_is_no_misfit() -> None:
    for seed in (0, 1):
        phantom = abdomen(seed, (8, 96, 128), (2.7, 2.7, 8.0), time_points=6)
        assert (similarity(phantom.static, downsample(phantom.dynamic[5], 0.0625)) or 0) > 2 * FITS


@pytest.mark.parametrize("away", [(0.0, 245.0, 56.0), (5000.0, 0.0, 0.0)])
def test_where_too_little_is_shared_that_is_said(away: tuple[float, float, float]) -> None:
    beside = shifted(PHANTOM.static, *away)
    assert similarity(beside, SERIES) is None
    assert fit_of(beside, [SERIES]) is None
    assert "share too little space" in misfit(None)[0]


MIRRORS = {
    "from left to right": (2,),
    "from front to back": (1,),
    "from head to feet": (0,),
    "from left to right and from front to back": (1, 2),
    "from left to right and from front to back and from head to feet": (0, 1, 2),
}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_mirrored_planning_scan_is_noticed_and_the_way_is_named(seed: int) -> None:
    phantom = abdomen(seed, (8, 96, 128), (2.7, 2.7, 8.0), time_points=2)
    series = downsample(phantom.dynamic[1], 0.25)
    right = fit_of(PriorCopy.of(phantom.static).volume, [series])
    assert right is not None
    assert right.is_good
    assert right.mirrored < 0.6 * right.similarity
    for way, axes in MIRRORS.items():
        mirrored = phantom.static.with_data(np.flip(phantom.static.data, axes))
        fit = fit_of(PriorCopy.of(mirrored).volume, [series])
        assert fit is not None
        assert fit.is_mirrored
        assert not fit.is_good
        assert fit.way == way
        assert f"mirrored {way} (" in misfit(fit)[0]


def test_a_mirrored_scan_is_noticed_where_it_would_pass() -> None:
    mirrored = PHANTOM.static.with_data(PHANTOM.static.data[:, :, ::-1])
    fit = fit_of(mirrored, [SERIES])
    assert fit is not None
    assert fit.similarity > FITS
    assert misfit(fit) != []


def test_the_way_is_named_along_the_patient_not_the_matrix() -> None:
    sagittal = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)  # columns run to the back, rows to the feet
    series, prior = (
        Volume(volume.data, replace(volume.geometry, direction=sagittal)) for volume in (SERIES, PHANTOM.static)
    )
    for axis, way in enumerate(("from left to right", "from head to feet", "from front to back")):
        fit = fit_of(prior.with_data(np.flip(prior.data, axis)), [series])
        assert fit is not None
        assert fit.way == way


def test_one_good_time_point_is_enough() -> None:
    rng = np.random.default_rng(0)
    noise = SERIES.with_data(rng.random(SERIES.shape))
    alone = fit_of(PHANTOM.static, [SERIES])
    assert alone is not None
    for number, points in enumerate(([SERIES, noise, noise], [noise, SERIES, noise], [noise, noise, SERIES])):
        assert fit_of(PHANTOM.static, points) == replace(alone, best=number)
    assert misfit(fit_of(PHANTOM.static, [noise, noise, noise])) != []


@pytest.mark.parametrize(("total", "numbers"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (10, [0, 5, 9])])
def test_time_points_from_all_over_the_series_are_compared(total: int, numbers: list[int]) -> None:
    assert spread(total) == numbers


def test_the_sentence_says_what_was_found_and_what_to_do() -> None:
    assert misfit(Fit(FITS)) == []
    (sentence,) = misfit(Fit(0.07))
    assert "similarity 0.07" in sentence
    assert "at least 0.17" in sentence
    assert "Check that it is the right one" in sentence


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0.25, 0.0625])
def test_real_scans(real_data: Path, fraction: float) -> None:
    bench = real_data / "bench"
    heart, pelvis = (read_volume(bench / name / "static.nii.gz") for name in ("heart", "pelvis"))
    other_heart = read_series(real_data / "train" / "SCD0000101_dynamic.nii.gz")[0]
    beating = downsample(read_series(bench / "heart" / "dynamic.nii.gz")[8], fraction)
    moved = downsample(read_series(bench / "pelvis" / "dynamic.nii.gz")[0], fraction)
    for prior, series in ((heart, beating), (pelvis, moved)):
        assert (similarity(prior, series) or 0) > 2 * FITS
        assert (similarity(inverted(prior), series) or 0) > 1.2 * FITS
    for prior, series in ((pelvis, beating), (heart, moved), (other_heart, beating), (shuffled(heart), beating)):
        middle = series.geometry.centre - replace(prior.geometry, direction=series.geometry.direction).centre
        there = replace(prior.geometry, direction=series.geometry.direction)
        value = similarity(shifted(Volume(prior.data, there), *middle), series)
        assert value is not None
        assert value < 0.85 * FITS
