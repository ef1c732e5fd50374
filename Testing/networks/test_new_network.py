"""A network that is defined here alone trains, fine-tunes and super-resolves: registering it is all it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command_line import QUIET, Command
from helpers.models import same_weights
from helpers.patient import FRACTION, Patient
from torch import Tensor, nn

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.inference.super_resolution import super_resolve, target_grid
from SRDynamicMRILib.io.files import read_series, read_volume
from SRDynamicMRILib.models.checkpoints import Model, load_model, save_model
from SRDynamicMRILib.models.recipes import DEFAULT, RECIPES
from SRDynamicMRILib.networks.network import SuperResolutionNetwork
from SRDynamicMRILib.networks.registry import NETWORKS, register
from SRDynamicMRILib.training.main_training import MainTraining, train

pytestmark = pytest.mark.usefixtures("one_thread")


class Pointwise(SuperResolutionNetwork):
    """Sees one voxel at a time."""

    halo, maps_at_once = 0, 2

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        self.features = features
        self.first, self.last = nn.Conv3d(1, features, 1), nn.Conv3d(features, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(torch.relu(self.first(x)))
        return out


RECIPE = replace(DEFAULT, name="pointwise", network="Pointwise", features=3, patch=(4, 16, 16))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pointwise as a network, with a recipe; neither afterwards."""
    register(Pointwise)
    monkeypatch.setitem(RECIPES, RECIPE.name, RECIPE)
    yield
    NETWORKS.pop("Pointwise", None)


@pytest.fixture
def base(registered: None, tmp_path: Path) -> Path:
    """A base model of it."""
    task = MainTraining(synthetic=2, steps=3, fractions=(FRACTION,), validate_every=2)
    path = tmp_path / "base.safetensors"
    save_model(train(task, RECIPE, torch.device("cpu")), path)
    return path


def test_it_comes_back_from_its_file(base: Path) -> None:
    model = load_model(base)
    assert (model.info.architecture, model.info.features, model.info.factor) == ("Pointwise", 3, 1)
    assert isinstance(model.network, Pointwise)
    assert model.info.metrics["validation ssim"] > 0


def test_it_fine_tunes_and_super_resolves_by_command(
    base: Path, patient: Patient, command: Command, few_steps: int, tmp_path: Path
) -> None:
    tuned, result = tmp_path / "tuned.safetensors", tmp_path / "result.nii.gz"
    made = command(
        "finetune",
        patient.static,
        *("--like", patient.low, "--model", base, "--budget", "quick", "--output", tuned),
        *QUIET,
    )
    assert made.code == 0, made.err
    assert not same_weights(load_model(tuned).network, load_model(base).network)
    done = command("superresolve", patient.low, result, "--model", tuned, *QUIET)
    assert done.code == 0, done.err
    model, low = load_model(tuned), read_series(patient.low)[1]
    grid = target_grid(low.geometry, read_volume(patient.static).geometry, model)
    np.testing.assert_array_equal(read_series(result)[1].data, super_resolve(low, model, grid).data)


def test_it_trains_by_command(registered: None, patient: Patient, command: Command, tmp_path: Path) -> None:
    folder, model = tmp_path / "scans", tmp_path / "trained.safetensors"
    folder.mkdir()
    (folder / "scan.nii.gz").write_bytes(patient.static.read_bytes())
    done = command("train", "--data", folder, "--output", model, "--recipe", "pointwise", "--steps", 2, *QUIET)
    assert done.code == 0, done.err
    assert load_model(model).info.recipe == "pointwise"


def test_its_weights_must_be_those_its_file_claims(base: Path) -> None:
    model = load_model(base)
    wider = Model(model.network, replace(model.info, features=4))
    with pytest.raises(InputError, match="not those of a Pointwise with 4 features"):
        save_model(wider, base)


def test_unregistered_it_is_refused(base: Path) -> None:
    del NETWORKS["Pointwise"]
    with pytest.raises(InputError, match="its architecture 'Pointwise' is not known"):
        load_model(base)
    with pytest.raises(InputError, match="There is no network named Pointwise; use one of UNet3D, SubPixelNetwork"):
        train(MainTraining(synthetic=1), RECIPE, torch.device("cpu"))
