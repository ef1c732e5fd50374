"""Volumes of one and two slices, the usual case of interventions, at every place where a deeper one may be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import QUIET, Command
from helpers.patient import FRACTION, Patient

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import upsample
from SRDynamicMRILib.evaluation.metrics import ssim
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.io.files import read_series, read_volume, write_series, write_volume
from SRDynamicMRILib.models.checkpoints import load_model
from SRDynamicMRILib.models.pretrained import base_model, fast_model
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Volume


def middle(volume: Volume, depth: int) -> Volume:
    """Some slices from the middle of a volume."""
    first = (volume.shape[0] - depth) // 2
    x, y, z = (float(each) for each in volume.geometry.position((0, 0, first)))
    grid = replace(volume.geometry, shape=(depth, *volume.shape[1:]), origin=(x, y, z))
    return Volume(volume.data[first : first + depth], grid)


@pytest.fixture(params=[1, 2])
def depth(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture
def thin(patient: Patient, tmp_path: Path, depth: int) -> Path:
    """A folder with planning scan, ground truth and low-resolution series of so many slices."""
    write_volume(middle(read_volume(patient.static), depth), tmp_path / "static.nii.gz")
    for name, path in (("dynamic", patient.dynamic), ("low", patient.low)):
        series = read_series(path)
        grid = middle(series[0], depth).geometry
        thin = series.map(lambda volume: middle(volume, depth), grid)
        write_series(thin, tmp_path / f"{name}.nii.gz")
    return tmp_path


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".seq.nrrd", ""])
def test_files_keep_thin_series(thin: Path, ending: str) -> None:
    series = read_series(thin / "dynamic.nii.gz")
    write_series(series, thin / f"copy{ending}")
    copy = read_series(thin / f"copy{ending}")
    assert copy.geometry.same_grid(series.geometry, 1e-4)
    assert copy.times == pytest.approx(series.times)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(copy, series, strict=True))


def test_the_whole_way_from_planning_scan_to_metrics(command: Command, few_steps: int, thin: Path, depth: int) -> None:
    model, result = thin / "model.safetensors", thin / "result.nii.gz"
    prior, low = thin / "static.nii.gz", thin / "low.nii.gz"
    tuned = command("finetune", prior, "--like", low, "--output", model, "--budget", "quick")
    assert tuned.code == 0, tuned.err
    made = command("superresolve", low, result, "--model", model, "--like", prior, *QUIET)
    assert made.code == 0, made.err
    assert read_series(result).geometry.same_grid(read_series(thin / "dynamic.nii.gz").geometry)
    again = command("downsample", result, thin / "again.nii.gz", "--fraction", FRACTION, *QUIET)
    assert again.code == 0, again.err
    acquired = read_series(low)[1].data
    assert np.abs(read_series(thin / "again.nii.gz")[1].data - acquired).max() < 1e-4 * acquired.max()
    judged = command("evaluate", result, thin / "dynamic.nii.gz", "--output", thin / "evaluation")
    assert judged.code == 0, judged.err
    assert read_series(thin / "evaluation" / "ssim_result.nii.gz").geometry.shape[0] == depth


def test_a_deep_planning_scan_of_a_thin_series(command: Command, few_steps: int, thin: Path, patient: Patient) -> None:
    model, result, low = thin / "model.safetensors", thin / "result.nii.gz", thin / "low.nii.gz"
    tuned = command("finetune", patient.static, "--like", low, "--output", model, "--budget", "quick")
    assert tuned.code == 0, tuned.err
    assert command("superresolve", low, result, "--model", model, "--like", patient.static).code == 0
    assert read_series(result).geometry.same_grid(read_series(thin / "dynamic.nii.gz").geometry)


@pytest.mark.slow
@pytest.mark.parametrize("fast", [False, True])
def test_the_pretrained_networks_gain_on_single_slices(fast: bool) -> None:
    truth = middle(abdomen(3).static, 1)
    path = fast_model(0.0625) if fast else base_model(0.0625)
    assert path is not None
    low = downsample(truth, 0.0625)
    result = super_resolve(low, load_model(path), truth.geometry)
    plain = upsample(low.data, (truth.shape[1], truth.shape[2]), "zero_filled")
    peak = truth.data.max()
    assert ssim(result.data / peak, truth.data / peak) > ssim(plain / peak, truth.data / peak) + 0.05
