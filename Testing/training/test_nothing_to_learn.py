"""Fine-tuning where the planning scan shows no more than the series does is refused before it trains for nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command_line import QUIET, Command
from helpers.models import tiny_network
from helpers.patient import FRACTION, Patient

from SRDynamicMRILib.acquisition.acquisition import Acquisition, downsample
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.files import read_series, read_volume, write_volume
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import Model, load_model
from SRDynamicMRILib.networks.training_pair import TrainingPair
from SRDynamicMRILib.training.fine_tuning import fine_tune
from SRDynamicMRILib.training.fine_tuning_validation import ValidationPatches
from SRDynamicMRILib.volume import Volume


def series_itself(patient: Patient, folder: Path) -> tuple[Path, Path]:
    return patient.low_volume, patient.low_volume


def one_of_its_time_points(patient: Patient, folder: Path) -> tuple[Path, Path]:
    write_volume(read_series(patient.low)[1], folder / "copy.mha")
    return folder / "copy.mha", patient.low


def with_another_voxel_size(patient: Patient, folder: Path) -> tuple[Path, Path]:
    point = read_series(patient.low)[0]
    x, y, z = point.geometry.spacing
    write_volume(Volume(point.data, replace(point.geometry, spacing=(x / 2, y / 2, z))), folder / "copy.mha")
    return folder / "copy.mha", patient.low


def link_to_it(patient: Patient, folder: Path) -> tuple[Path, Path]:
    (folder / "link.nii.gz").symlink_to(patient.low_volume)
    return folder / "link.nii.gz", patient.low_volume


def as_fine(patient: Patient, folder: Path) -> tuple[Path, Path]:
    return patient.static, patient.dynamic


def finer(patient: Patient, folder: Path) -> tuple[Path, Path]:
    write_volume(downsample(read_volume(patient.static), FRACTION), folder / "coarse.nii.gz")
    return folder / "coarse.nii.gz", patient.dynamic


CASES = {
    series_itself: "is the series itself",
    one_of_its_time_points: "is the series itself",
    with_another_voxel_size: "is the series itself",
    link_to_it: "is the series itself",
    as_fine: "no finer detail than the series",
    finer: "lower resolution",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("budget", ["quick", "paper"])
def test_a_prior_as_coarse_as_the_series_is_refused(
    command: Command, patient: Patient, tmp_path: Path, case: object, budget: str
) -> None:
    prior, like = case(patient, tmp_path)  # type: ignore[operator]
    before = sorted(tmp_path.iterdir())
    arguments = (prior, "--like", like, "--output", tmp_path / "m.safetensors", "--budget", budget)
    outcome = command("finetune", *arguments, "--model", patient.model, *QUIET)
    assert outcome.code == 2
    assert CASES[case] in outcome.err  # type: ignore[index]
    assert outcome.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_all_of_k_space_is_refused(command: Command, patient: Patient, tmp_path: Path) -> None:
    arguments = (patient.static, "--fraction", 1, "--output", tmp_path / "m.safetensors", "--model", patient.model)
    outcome = command("finetune", *arguments, *QUIET)
    assert outcome.code == 2
    assert "no finer detail than the series" in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_from_python_too(patient: Patient) -> None:
    prior = read_volume(patient.static)
    model: Model = load_model(patient.model)
    with pytest.raises(InputError, match="no finer detail"):
        fine_tune(prior, model, Acquisition(prior.shape[1:], prior.shape[1:]), TrainingBudget("test", 2))


@pytest.mark.parametrize("lacking", [0.0, 1e-9, 1e-7])
def test_nothing_is_recovered_where_nothing_lacks(lacking: float) -> None:
    rng = np.random.default_rng(0)
    image = rng.random((8, 16, 16)).astype(np.float32)
    held = ValidationPatches([TrainingPair(image, (image + lacking).astype(np.float32))])
    with torch.no_grad():
        assert list(held.score(tiny_network(), residual=True, precision="float32").values()) == [0.0]
