"""Complex series are super-resolved and fine-tuned for, from one file or from a magnitude with its phase."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command_line import Command, strict_json
from helpers.models import TINY_CONDITIONED

import SRDynamicMRILib as sr
from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.body import body_signal
from SRDynamicMRILib.acquisition.phase import smooth_phase
from SRDynamicMRILib.acquisition.simulate import acquired_image
from SRDynamicMRILib.complex_series import ComplexSeries
from SRDynamicMRILib.models import budgets
from SRDynamicMRILib.models.checkpoints import Model, save_model
from SRDynamicMRILib.models.model_info import new_network
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Volume

PATIENT = abdomen(1, (6, 80, 96), (4.0, 4.0, 8.0), time_points=2)
ACQUISITION = Acquisition((40, 48), (80, 96), (80, 96), noise=body_signal(PATIENT.static.data) / 25)
INFO = TINY_CONDITIONED
QUIET = ("--progress", "none")


def complex_images() -> ComplexSeries:
    phase = smooth_phase(PATIENT.static.shape, np.random.default_rng(3))
    made = [
        acquired_image(volume.data, ACQUISITION, phase=phase, rng=np.random.default_rng(number))
        for number, volume in enumerate(PATIENT.dynamic)
    ]
    geometry, times = PATIENT.static.geometry, PATIENT.dynamic.times
    return ComplexSeries(
        Series.of([Volume(np.abs(each), geometry) for each in made], times),
        Series.of([Volume(np.angle(each), geometry) for each in made], times),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Planning scan, complex series as one file and as a pair, and a model that knows acquisitions."""
    place = tmp_path_factory.mktemp("complex")
    images = complex_images()
    sr.write_volume(PATIENT.static, place / "planning.nii.gz")
    sr.write_complex(images, place / "complex.nii.gz")
    sr.write_series(images.magnitude, place / "magnitude.nii.gz")
    sr.write_series(images.phase, place / "phase.nii.gz")
    torch.manual_seed(0)
    save_model(Model(new_network(INFO).eval(), INFO), place / "model.safetensors")
    return place


def superresolve(folder: Path, out: Path, *more: object, name: str = "complex") -> tuple[object, ...]:
    model = ("--model", folder / "model.safetensors", "--like", folder / "planning.nii.gz")
    return ("superresolve", folder / f"{name}.nii.gz", out, *model, *more, *QUIET)


def test_a_complex_file_and_a_pair_give_the_same_magnitudes(folder: Path, tmp_path: Path, command: Command) -> None:
    assert command(*superresolve(folder, tmp_path / "a.nii.gz")).code == 0
    pair = superresolve(folder, tmp_path / "b.nii.gz", "--phase", folder / "phase.nii.gz", name="magnitude")
    assert command(*pair).code == 0
    one, other = (sr.read_series(tmp_path / f"{name}.nii.gz") for name in "ab")
    assert len(one) == 2 and one.geometry.shape == (6, 80, 96) and one.times == PATIENT.dynamic.times
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a.data, b.data, atol=1e-3 * a.data.max())
        assert a.data.min() >= 0
    facts = strict_json(tmp_path / "a.json")["SRDynamicMRI"]
    assert facts["complex_input"] is True and facts["acquired_matrix"] == [40, 48]
    assert facts["acquisition"]["magnitude"] is False and facts["acquisition"]["noise"] > 0
    assert len(facts["consistency"]) == 2 and all(0 < each["residual"] < 0.3 for each in facts["consistency"])
    difference = sr.read_series(tmp_path / "a_consistency.nii.gz")
    assert difference.geometry.shape == (6, 40, 48)


def test_python_and_the_command_line_give_the_same(folder: Path, tmp_path: Path, command: Command) -> None:
    assert command(*superresolve(folder, tmp_path / "a.nii.gz")).code == 0
    images = sr.read_complex(folder / "complex.nii.gz")
    planning = sr.read_volume(folder / "planning.nii.gz")
    result = sr.super_resolve(images, folder / "model.safetensors", like=planning)
    written = sr.read_series(tmp_path / "a.nii.gz")
    assert [volume.data.tobytes() for volume in result] == [volume.data.tobytes() for volume in written]


def test_a_part_of_the_time_points_is_resumed(folder: Path, tmp_path: Path, command: Command) -> None:
    whole, some = tmp_path / "whole.nii.gz", tmp_path / "some.nii.gz"
    arguments = ("superresolve", folder / "complex.nii.gz")
    settings = ("--model", folder / "model.safetensors", "--like", folder / "planning.nii.gz")
    assert command(*arguments, whole, *settings, *QUIET).code == 0
    watched = command(*arguments, some, *settings, "--progress", "json")
    assert watched.code == 0
    frames = tmp_path / "some.nii.gz.frames"  # whoever watches is left the time points
    (frames / "frame_0001.nii").unlink()
    kept = (frames / "frame_0000.nii").stat().st_mtime_ns
    again = command(*arguments, some, *settings, "--resume", "--progress", "json")
    assert again.code == 0 and (frames / "frame_0000.nii").stat().st_mtime_ns == kept
    one, other = sr.read_series(whole), sr.read_series(some)
    assert [volume.data.tobytes() for volume in one] == [volume.data.tobytes() for volume in other]


def test_the_noise_can_be_declared_and_changes_the_result(folder: Path, tmp_path: Path, command: Command) -> None:
    assert command(*superresolve(folder, tmp_path / "a.nii.gz", "--noise", "0")).code == 0
    assert command(*superresolve(folder, tmp_path / "b.nii.gz")).code == 0
    assert strict_json(tmp_path / "a.json")["SRDynamicMRI"]["acquisition"]["from"]["noise"] == "declared"
    a, b = (sr.read_series(tmp_path / f"{name}.nii.gz")[0].data for name in "ab")
    assert not np.allclose(a, b, atol=1e-3 * a.max())


def test_fine_tuning_for_complex_images_is_for_their_magnitude(
    folder: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(budgets.BUDGETS, "quick", budgets.TrainingBudget("quick", 2))
    made = tmp_path / "m.safetensors"
    arguments = ("finetune", folder / "planning.nii.gz", "--output", made, "--budget", "quick", *QUIET)
    settings = ("--model", folder / "model.safetensors", "--like", folder / "complex.nii.gz")
    outcome = command(*arguments, *settings, "--noise", ACQUISITION.noise)
    assert outcome.code == 0, outcome.err
    acquisition = json.loads(command("info", made).out)["acquisition"]
    assert acquisition["magnitude"] is True and acquisition["rows"] == acquisition["columns"] == 0.5
    assert acquisition["noise"] == pytest.approx(1 / 25, rel=0.2)
    images = sr.read_complex(folder / "complex.nii.gz")
    result = sr.super_resolve(images, made, like=PATIENT.static, noise=ACQUISITION.noise)
    assert not [sentence for sentence in result.facts["warnings"] if "was fine-tuned for" in sentence]


def test_info_tells_of_a_complex_file(folder: Path, command: Command) -> None:
    facts = json.loads(command("info", folder / "complex.nii.gz", "--json").out)
    assert facts["complex_input"] is True and facts["acquired_matrix"] == [40, 48]


def refusal(command: Command, *arguments: object) -> str:
    outcome = command(*arguments)
    assert outcome.code == 2 and outcome.err.count("\n") == 1, outcome.err
    return outcome.err


def test_a_model_that_knows_no_acquisition_is_refused(folder: Path, tmp_path: Path, command: Command) -> None:
    signed = replace(INFO, architecture="SubPixelNetwork", interpolation="non_negative", data_consistency=True)
    torch.manual_seed(0)
    save_model(Model(new_network(signed).eval(), signed), tmp_path / "signed.safetensors")
    more = ("--model", tmp_path / "signed.safetensors", *QUIET)
    images, planning, out = folder / "complex.nii.gz", folder / "planning.nii.gz", tmp_path / "out.nii.gz"
    assert "need a model for images of scanners" in refusal(
        command, "superresolve", images, out, "--like", planning, *more
    )
    assert not out.exists()
    tuned = tmp_path / "m.safetensors"
    assert "need a model for images of scanners" in refusal(
        command, "finetune", planning, "--like", images, "--output", tuned, *more
    )
    assert not tuned.exists()


def test_what_does_not_go_together_is_refused(folder: Path, tmp_path: Path, command: Command) -> None:
    out, phase = tmp_path / "out.nii.gz", folder / "phase.nii.gz"
    assert "needs no phase" in refusal(command, *superresolve(folder, out, "--phase", phase))
    pair = superresolve(folder, out, "--phase", folder / "magnitude.nii.gz", name="magnitude")
    assert "no radians" in refusal(command, *pair)
    over = superresolve(folder, phase, "--phase", phase, name="magnitude")
    assert "phase.nii.gz" in refusal(command, *over)
    assert sr.read_series(phase)[0].data.min() < 0
    assert "give that too, with --like" in refusal(
        command,
        *("finetune", folder / "planning.nii.gz", "--fraction", "0.25", "--phase", phase),
        *("--output", tmp_path / "m.safetensors"),
    )
