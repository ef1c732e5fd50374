"""The two samples are made once, whole, and load as what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.scenes import Slicer
from SRDynamicMRISlicer.scene.browsers import browser_of
from SRDynamicMRISlicer.scene.checks import check_images
from SRDynamicMRISlicer.scene.sample_data import (
    DYNAMIC,
    SAMPLES,
    STATIC,
    load_sample,
    make_samples,
    sample_folder,
    samples_made,
)
from SRDynamicMRISlicer.scene.sequences import series_of
from SRDynamicMRISlicer.scene.volumes import volume_of

from SRDynamicMRILib import __version__
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.phantom import Phantom, abdomen

TIME_POINTS = 3


@pytest.fixture
def app() -> Slicer:
    """A Slicer that lives as long as the test: its nodes go with it."""
    return Slicer()


def small() -> Phantom:
    return abdomen(0, (8, 48, 64), (5.0, 5.2, 9.0), time_points=TIME_POINTS)


def test_both_samples_are_made_and_loaded(app: Slicer, tmp_path: Path) -> None:
    folder = sample_folder(tmp_path)
    assert __version__ in folder.name
    assert not samples_made(folder)
    told: list[tuple[int, int]] = []
    make_samples(folder, small, lambda done, total: told.append((done, total)))
    assert told == [(number, TIME_POINTS + 1) for number in range(1, TIME_POINTS + 2)]
    assert samples_made(folder)
    still, moving = load_sample(app.scene, STATIC, folder), load_sample(app.scene, DYNAMIC, folder)
    phantom = small()
    assert np.array_equal(volume_of(still).data, phantom.static.data)
    series = series_of(moving)
    assert series.times == pytest.approx(phantom.dynamic.times)
    assert np.array_equal(series[2].data, phantom.dynamic[2].data)
    assert browser_of(moving) is not None
    assert (still.GetName(), moving.GetName()) == (STATIC.name, DYNAMIC.name)
    assert check_images(still, moving).problems == ()


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    folder = sample_folder(tmp_path)
    make_samples(folder, small)
    times = [(folder / sample.file).stat().st_mtime_ns for sample in SAMPLES]

    def never() -> Phantom:
        raise AssertionError

    make_samples(folder, never)
    assert [(folder / sample.file).stat().st_mtime_ns for sample in SAMPLES] == times
    (folder / DYNAMIC.file).unlink()
    with pytest.raises(AssertionError):
        make_samples(folder, never)


def test_half_a_run_leaves_no_half_sample(tmp_path: Path) -> None:
    folder = sample_folder(tmp_path)

    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_samples(folder, small, stop)
    assert not samples_made(folder)
    make_samples(folder, small)
    assert samples_made(folder)


def test_a_cache_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        make_samples(sample_folder(tmp_path / "none"), small)


def test_a_sample_that_was_not_made_adds_nothing(app: Slicer, tmp_path: Path) -> None:
    before = app.scene.GetNumberOfNodes()
    for sample in SAMPLES:
        with pytest.raises(InputError):
            load_sample(app.scene, sample, tmp_path)
    assert app.scene.GetNumberOfNodes() == before


def test_every_sample_has_a_name_and_a_file_of_the_command() -> None:
    assert len({sample.name for sample in SAMPLES}) == 2
    assert [sample.file for sample in SAMPLES] == ["static.nii.gz", "dynamic.nii.gz"]
