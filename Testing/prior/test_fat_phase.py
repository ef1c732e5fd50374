"""Whether fat and water cancel in a series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.command_line import Command
from helpers.models import TINY_CONDITIONED
from helpers.recorder import Recorder

from SRDynamicMRILib import api
from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.body import body_signal
from SRDynamicMRILib.acquisition.phase import smooth_phase
from SRDynamicMRILib.acquisition.stored import StoredImage
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.geometry import FloatArray
from SRDynamicMRILib.io.files import write_volume
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import Model, save_model
from SRDynamicMRILib.models.model_info import new_network
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.prior.fat_phase import depth_of_dark_lines, find_fat_phase
from SRDynamicMRILib.volume import Volume

SHAPE = (8, 96, 128)
PHANTOM = abdomen(3, SHAPE, (2.7, 2.7, 8.0), time_points=2)
PLAIN = replace(Acquisition.centre(SHAPE[1:], 0.25), magnitude=True)
ACQUISITIONS = {
    "plain": PLAIN,
    "noisy": replace(PLAIN, noise=body_signal(PHANTOM.static.data) / 20),
    "window, zero-filled": replace(PLAIN, window=Window("hann"), stored_matrix=(96, 128)),
}


def time_point(acquisition: Acquisition, phase: FloatArray | None) -> FloatArray:
    rng = np.random.default_rng(7)
    return StoredImage.simulated(PHANTOM.dynamic[1].data, acquisition, phase, rng).acquired


@pytest.mark.parametrize("acquisition", ACQUISITIONS.values(), ids=ACQUISITIONS)
def test_a_smooth_phase_leaves_fat_and_water_in_phase(acquisition: Acquisition) -> None:
    for phase in (None, *(smooth_phase(SHAPE, np.random.default_rng(seed)) for seed in (5, 6))):
        found = find_fat_phase(time_point(acquisition, phase), PHANTOM.static.data, acquisition)
        assert found.fat == "in-phase"
        assert found.ratio == pytest.approx(1, abs=0.07)
        assert "do not cancel" in found.in_words()


@pytest.mark.parametrize("acquisition", ACQUISITIONS.values(), ids=ACQUISITIONS)
def test_fat_that_cancels_water_is_seen(acquisition: Acquisition) -> None:
    image = time_point(acquisition, PHANTOM.dynamic_phase[1].data)
    found = find_fat_phase(image, PHANTOM.static.data, acquisition)
    assert found.fat == "opposed"
    assert found.ratio > 1.15
    assert f"{found.ratio:.2f} times as deep" in found.in_words()


def test_intensities_and_size_do_not_matter() -> None:
    image = time_point(PLAIN, PHANTOM.dynamic_phase[1].data)
    found = find_fat_phase(image, PHANTOM.static.data, PLAIN)
    other = find_fat_phase(500 * image[:6], PHANTOM.static.data, PLAIN)
    assert other.fat == found.fat
    assert other.ratio == pytest.approx(found.ratio, rel=0.1)


def test_a_black_line_has_its_depth() -> None:
    image = np.zeros((4, 40, 40), dtype=np.float32)
    image[:, 8:32, 8:32] = 100
    assert depth_of_dark_lines(image) == 0
    image[:, 20, 8:32] = 40
    lines = 60 / 100 * np.sqrt(1 / 22)  # one of the 22 rows without the rim
    assert depth_of_dark_lines(image) == pytest.approx(lines, rel=0.15)


@pytest.mark.parametrize("image", [np.zeros((2, 16, 16)), np.ones((2, 16, 16))], ids=["black", "flat"])
def test_where_there_is_nothing_to_compare_nothing_is_said(image: FloatArray) -> None:
    flat = image.astype(np.float32)
    found = find_fat_phase(flat, flat, replace(Acquisition((16, 16), (16, 16)), magnitude=True))
    assert found.fat == "unknown"
    assert "cannot be told" in found.in_words()


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("phase", "fat"), [(None, "in-phase"), (PHANTOM.dynamic_phase[1].data, "opposed")])
def test_fine_tuning_is_for_the_phase_that_the_series_has(
    phase: FloatArray | None, fat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[Acquisition] = []
    original = api.fine_tune_model

    def fine_tune_model(prior: Volume, base: Model, acquisition: Acquisition, *rest: Any, **settings: Any) -> Model:
        learnt.append(acquisition)
        return original(prior, base, acquisition, *rest, **settings)

    monkeypatch.setattr(api, "fine_tune_model", fine_tune_model)
    progress = Recorder()
    series = Volume(time_point(PLAIN, phase), PHANTOM.static.geometry.with_matrix(PLAIN.acquired_matrix))
    for magnitude in (True, False):
        api.fine_tune(
            PHANTOM.static,
            series,
            model=small_model(),
            budget=TrainingBudget("short", 1),
            magnitude=magnitude,
            progress=progress,
        )
    assert [acquisition.fat for acquisition in learnt] == [fat, "unknown"], "signed images have no phase"
    assert sum("cancel in the series" in message for message in progress.messages) == 1


@pytest.mark.usefixtures("one_thread")
def test_what_is_declared_of_fat_counts(monkeypatch: pytest.MonkeyPatch, command: Command, tmp_path: Path) -> None:
    learnt: list[Acquisition] = []

    def fine_tune_model(prior: Volume, base: Model, acquisition: Acquisition, *rest: Any, **settings: Any) -> Model:
        learnt.append(acquisition)
        return base

    monkeypatch.setattr(api, "fine_tune_model", fine_tune_model)
    low = Volume(time_point(PLAIN, None), PHANTOM.static.geometry.with_matrix(PLAIN.acquired_matrix))
    for name, volume in (("planning.nii.gz", PHANTOM.static), ("low.nii.gz", low)):
        write_volume(volume, tmp_path / name)
    save_model(small_model(), tmp_path / "base.safetensors")
    common = ("finetune", tmp_path / "planning.nii.gz", "--model", tmp_path / "base.safetensors")
    output = ("--fat", "opposed", "--output", tmp_path / "m.safetensors")
    outcome = command(*common, "--like", tmp_path / "low.nii.gz", *output)
    assert outcome.code == 0 and "cancel" not in outcome.err
    assert [acquisition.fat for acquisition in learnt] == ["opposed"]
    assert command(*common, "--fraction", 0.25, *output).code == 2, "there is no series that it would be of"


def small_model() -> Model:
    torch.manual_seed(0)
    return Model(new_network(TINY_CONDITIONED).eval(), TINY_CONDITIONED)
