"""On real scans the pretrained model beats interpolation, and places are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import QUIET, Command

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.files import read_series, read_volume
from SRDynamicMRILib.models.pretrained import base_model

pytestmark = pytest.mark.real_data

FRACTION = 0.0625
FRAMES = "6:8"


def assert_same_place(found: Geometry, wanted: Geometry) -> None:
    assert found.shape == wanted.shape
    depth, height, width = wanted.shape
    for corner in np.ndindex(2, 2, 2):
        index = np.array(corner) * (width - 1, height - 1, depth - 1)
        np.testing.assert_allclose(found.position(index), wanted.position(index), atol=5e-3)


@pytest.mark.slow
def test_the_pretrained_model_beats_interpolation_on_a_beating_heart(
    command: Command, real_data: Path, tmp_path: Path
) -> None:
    assert base_model().is_file()
    truth, low = real_data / "bench" / "heart" / "dynamic.nii.gz", tmp_path / "low.nii.gz"
    assert command("downsample", truth, low, "--fraction", FRACTION, *QUIET).code == 0
    baselines = []
    for method in ("zero_filled", "trilinear"):
        out = tmp_path / f"{method}.nii.gz"
        assert command("interpolate", low, out, "--like", truth, "--method", method, *QUIET).code == 0
        assert_same_place(read_series(out).geometry, read_series(truth).geometry)
        baselines += ["--baseline", f"{method}={out}"]
    result = tmp_path / "sr.nii.gz"
    assert command("superresolve", low, result, "--frames", FRAMES, *QUIET).code == 0
    assert_same_place(read_series(result).geometry, read_series(truth).geometry)
    every = read_series(truth).times
    assert read_series(result).times == pytest.approx(every[6:8])
    folder = tmp_path / "evaluation"
    arguments = (result, truth, *baselines, "--frames", FRAMES, "--output", folder, "--no-figures")
    assert command("evaluate", *arguments, *QUIET).code == 0
    mean_sd = json.loads((folder / "summary.json").read_text())["mean_sd"]["whole"]
    for metric in ("ssim", "psnr"):
        means = {method: mean_sd[method][metric][0] for method in mean_sd}
        assert means["result"] > means["zero_filled"] > means["trilinear"]


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_the_pelvis_keeps_its_place(command: Command, real_data: Path, tmp_path: Path, name: str) -> None:
    scan = real_data / "bench" / "pelvis" / f"{name}.nii.gz"
    volume = read_volume(scan)
    assert volume.shape == (22, 320, 320)
    assert volume.geometry.spacing == pytest.approx((1.125, 1.125, 3.3), abs=1e-3)
    low, out = tmp_path / "low.nrrd", tmp_path / "up.nii.gz"
    assert command("downsample", scan, low, "--fraction", FRACTION, *QUIET).code == 0
    wanted = volume.geometry.with_matrix(Acquisition.centre((320, 320), FRACTION).acquired_matrix)
    assert_same_place(read_volume(low).geometry, wanted)
    assert command("interpolate", low, out, "--like", scan, "--method", "zero_filled", *QUIET).code == 0
    assert_same_place(read_volume(out).geometry, volume.geometry)
    assert np.corrcoef(read_volume(out).data.ravel(), volume.data.ravel())[0, 1] > 0.95
