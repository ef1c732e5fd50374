"""A model says for which acquisition it was fine-tuned, and a series of a clearly different one is warned of."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command_line import Command
from helpers.models import TINY_CONDITIONED

import SRDynamicMRILib as sr
from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.body import body_signal
from SRDynamicMRILib.acquisition.stored import StoredImage
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import Model, load_model, save_model
from SRDynamicMRILib.models.model_info import ModelInfo, new_network
from SRDynamicMRILib.models.trained_acquisition import TrainedAcquisition
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.training.fine_tuning import fine_tune
from SRDynamicMRILib.volume import Volume

pytestmark = pytest.mark.usefixtures("one_thread")

PLAIN = TrainedAcquisition(0.25, 0.25, "rectangle", 1.0, "none", 0.0, True)
TRUTH = abdomen(0, (6, 80, 96), (4.0, 4.0, 8.0), time_points=1).static
SIGNAL = body_signal(TRUTH.data)
INFO = replace(TINY_CONDITIONED, factor=4, fractions=(0.0625,))
NOISY = Acquisition((20, 24), (80, 96), noise=SIGNAL / 10, magnitude=True)


def model(info: ModelInfo = INFO) -> Model:
    torch.manual_seed(0)
    return Model(new_network(info).eval(), info)


def low_resolution(acquisition: Acquisition) -> Volume:
    data = StoredImage.simulated(TRUTH.data, acquisition, rng=np.random.default_rng(0)).data
    return Volume(data, TRUTH.geometry.with_matrix(acquisition.stored_matrix))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"rows": 0.5, "columns": 0.3, "partial_fourier": 0.75}, []),
        ({"magnitude": False}, [("magnitudes", "intensities with their sign")]),
        ({"window": "hann"}, [("no window", "the window hann")]),
        ({"window": "tukey:0.05"}, []),
        ({"noise": 0.019}, []),
        ({"noise": 0.021}, [("no noise", "noise of 2.1% of the signal")]),
    ],
)
def test_only_what_clearly_differs_is_named(changes: dict[str, object], words: list[tuple[str, str]]) -> None:
    assert PLAIN.differences(replace(PLAIN, **changes)) == words  # type: ignore[arg-type]


@pytest.mark.parametrize(("less", "more", "clear"), [(0.05, 0.09, False), (0.05, 0.11, True), (0.005, 0.015, False)])
def test_noise_differs_by_a_factor_where_it_counts(less: float, more: float, clear: bool) -> None:
    one, other = replace(PLAIN, noise=less), replace(PLAIN, noise=more)
    assert bool(one.differences(other)) == bool(other.differences(one)) == clear


def test_two_windows_of_nearly_the_same_weights_do_not_differ() -> None:
    hann = replace(PLAIN, window="hann")
    assert not hann.differences(replace(PLAIN, window="hamming"))
    assert hann.differences(replace(PLAIN, window="tukey:0.3"))


def test_noise_is_kept_relative_to_the_signal_and_matrices_as_shares() -> None:
    acquisition = Acquisition((20, 48), (80, 96), (40, 96), "ellipse", 0.75, window=Window("fermi", 0.1), noise=3.0)
    found = TrainedAcquisition.of(acquisition, signal=60.0)
    assert found == TrainedAcquisition(0.25, 0.5, "ellipse", 0.75, "fermi:0.1", 0.05, False)
    assert TrainedAcquisition.read(json.loads(json.dumps(asdict(found)))) == found
    assert TrainedAcquisition.of(acquisition, signal=0.0).noise == 0


def test_the_phase_of_fat_is_kept_and_may_be_missing() -> None:
    found = TrainedAcquisition.of(replace(NOISY, fat="opposed"), SIGNAL)
    assert TrainedAcquisition.read(json.loads(json.dumps(asdict(found)))).fat == "opposed"
    without = {name: value for name, value in asdict(found).items() if name != "fat"}
    assert TrainedAcquisition.read(without).fat == "unknown"
    with pytest.raises(ValueError, match="phase of fat"):
        TrainedAcquisition.read({**without, "fat": "sideways"})


def test_fine_tuning_writes_it_where_the_network_knows_acquisitions(tmp_path: Path, command: Command) -> None:
    tuned = fine_tune(TRUTH, model(), NOISY, TrainingBudget("short", 1))
    assert tuned.info.acquisition == TrainedAcquisition(0.25, 0.25, "rectangle", 1.0, "none", 0.1, True)
    save_model(tuned, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").info == tuned.info
    shown = json.loads(command("info", tmp_path / "m.safetensors").out)
    assert shown["acquisition"]["noise"] == pytest.approx(0.1) and shown["acquisition"]["magnitude"] is True

    usual = replace(INFO, architecture="SubPixelNetwork", interpolation="non_negative", recipe="fast")
    assert fine_tune(TRUTH, model(usual), NOISY.cut, TrainingBudget("short", 1)).info.acquisition is None


def warnings_for(acquisition: Acquisition, info: ModelInfo) -> list[str]:
    declared = {"acquired_matrix": (20, 24), "noise": acquisition.noise, "window": acquisition.window}
    result = sr.super_resolve(low_resolution(acquisition), model(info), like=TRUTH, **declared)
    return [sentence for sentence in result.facts["warnings"] if "fine-tuned for" in sentence]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_superresolve_warns_of_a_series_of_another_acquisition() -> None:
    known = replace(INFO, acquisition=TrainedAcquisition.of(NOISY, SIGNAL))
    assert warnings_for(NOISY, known) == []
    (sentence,) = warnings_for(replace(NOISY, noise=SIGNAL / 40), known)
    assert "noise of 10% of the signal, but the series has noise of" in sentence and sentence.count(".") <= 2
    (sentence,) = warnings_for(replace(NOISY, magnitude=False), known)
    assert "for magnitudes, but the series has intensities with their sign" in sentence
    assert warnings_for(replace(NOISY, magnitude=False), INFO) == []
