"""The scenarios of a benchmark: what each makes of a series, and a whole benchmark of all of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from helpers.command_line import JSON, QUIET, Command, strict_json
from helpers.patient import SHAPE, SPACING, TIME_POINTS, Patient
from helpers.web_page import from_outside

from SRDynamicMRILib.acquisition import scanner
from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.scanner import ScanSettings
from SRDynamicMRILib.benchmark.scenarios import (
    SCENARIOS,
    Case,
    by_case,
    cases,
    simulate,
    typical_acquisition,
)
from SRDynamicMRILib.cli.program import main
from SRDynamicMRILib.inference import suited
from SRDynamicMRILib.io.files import read_series, read_volume, write_series, write_volume
from SRDynamicMRILib.models import budgets, pretrained
from SRDynamicMRILib.models.budgets import TrainingBudget, budget_named
from SRDynamicMRILib.models.pretrained import base_model, start_model
from SRDynamicMRILib.models.recipes import DEFAULT, FRACTIONS, RECIPES
from SRDynamicMRILib.phantom import Phantom, abdomen
from SRDynamicMRILib.requests import BenchmarkRequest, ScenarioName
from SRDynamicMRILib.volume import Series

FRACTION = 0.25
"""At which the scanner stores as many rows and columns as the truth has."""


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return abdomen(1, SHAPE, SPACING, TIME_POINTS)


@pytest.fixture(scope="module")
def phase(phantom: Phantom) -> Series:
    """A phase of the series: a ramp of its own at every time point."""
    ramp = np.linspace(-3, 3, SHAPE[2], dtype=np.float32)
    each = [volume.with_data(np.broadcast_to((n + 1) / 3 * ramp, SHAPE)) for n, volume in enumerate(phantom.dynamic)]
    return Series.of(each, phantom.dynamic.times)


# What is simulated


def test_every_scenario_can_be_asked_for() -> None:
    assert set(SCENARIOS) == set(get_args(ScenarioName)) == set(BenchmarkRequest(data=Path(), output=Path()).scenarios)


def test_cases_begin_with_what_scanners_deliver_and_come_once() -> None:
    found = cases(["signed", "scanner", "signed"], [0.25, 0.0625, 0.25])
    assert found == [Case("scanner", 0.25), Case("scanner", 0.0625), Case("signed", 0.25), Case("signed", 0.0625)]
    assert str(found[1]) == "6.25% of k-space, like a scanner"
    assert by_case(found, str)["signed"] == {
        "0.25": "25% of k-space, sign kept",
        "0.0625": "6.25% of k-space, sign kept",
    }


def test_the_sign_is_kept_to_the_last_bit_whatever_the_phase(phantom: Phantom, phase: Series) -> None:
    settings = Case("signed", 0.0625).settings
    expected = downsample(phantom.dynamic, 0.0625)
    for given in (None, phase):
        found = simulate(phantom.dynamic, settings, phase=given)
        assert found.geometry == expected.geometry
        assert all(np.array_equal(a.data, b.data) for a, b in zip(found, expected, strict=True))


def test_each_scenario_is_what_its_name_says() -> None:
    made = {name: Case(name, 0.1).settings for name in SCENARIOS}
    assert made["signed"] == ScanSettings(fraction=0.1)
    assert made["magnitude"] == ScanSettings(fraction=0.1, simulate_phase=True, magnitude=True)
    assert made["noisy"] == replace(made["magnitude"], snr=20.0)
    assert made["scanner"] == ScanSettings.like_scanner(fraction=0.1)


def test_what_a_scanner_stores_says_what_was_acquired_as_its_header_does(phantom: Phantom) -> None:
    low = simulate(phantom.dynamic, Case("scanner", FRACTION).settings, seed=3)
    assert (low.geometry.shape, low.acquired_matrix) == (SHAPE, (24, 32))
    assert simulate(phantom.dynamic, Case("noisy", FRACTION).settings).acquired_matrix is None
    other = simulate(phantom.dynamic, Case("scanner", FRACTION).settings, seed=4)
    assert not np.array_equal(low[1].data, other[1].data)
    assert np.array_equal(low[1].data, low.select([1])[0].data), "the noise is that of the time point"


@pytest.mark.parametrize("seed", range(4))  # two of them would turn fat against water
def test_a_drawn_phase_is_smooth_and_cancels_little(phantom: Phantom, seed: int) -> None:
    settings = Case("magnitude", 0.25).settings
    found = simulate(phantom.dynamic, settings, seed=seed)[1].data
    without = np.abs(downsample(phantom.dynamic, 0.25)[1].data)
    opposed = scanner.simulate(phantom.dynamic, settings, phase=phantom.dynamic_phase)[1].data
    assert np.abs(found - without).mean() < 0.5 * np.abs(opposed - without).mean()


def test_a_measured_phase_takes_the_place_of_the_simulated_one(phantom: Phantom, phase: Series) -> None:
    settings = Case("magnitude", FRACTION).settings
    found = simulate(phantom.dynamic, settings, phase=phase)
    expected = scanner.simulate(phantom.dynamic, settings, phase=phase)
    assert found.facts["simulated"]["phase"] == "given"
    assert np.array_equal(found[2].data, expected[2].data)
    assert not np.array_equal(found[2].data, simulate(phantom.dynamic, settings)[2].data)


# Models


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_models_are_those_that_the_library_would_choose(fraction: float, monkeypatch: pytest.MonkeyPatch) -> None:
    standard, paper = budget_named("standard"), budget_named("paper")

    def models_for(case: Case, budget: TrainingBudget) -> tuple[Path, Path]:
        acquisition = typical_acquisition(case)
        return suited.pretrained_model(acquisition, fast=False), suited.start_of_fine_tuning(acquisition, budget)

    monkeypatch.setattr(suited, "scanner_model", lambda acquisition: None)
    present = base_model(fraction), start_model(fraction)
    for name in SCENARIOS:
        case = Case(name, fraction)
        assert models_for(case, standard) == present
        assert models_for(case, paper) == (present[0], present[0])
    scanner = Path("scanner.safetensors")
    monkeypatch.setattr(suited, "scanner_model", lambda acquisition: scanner if acquisition.magnitude else None)
    for name in SCENARIOS:
        case = Case(name, fraction)
        expected = present if name == "signed" else (scanner, scanner)
        assert models_for(case, standard) == expected
        assert models_for(case, paper) == (expected[0], present[0])


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_a_typical_acquisition_has_the_model_of_that_of_a_subject(
    fraction: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "pretrained_file", Path)
    for name in SCENARIOS:
        case = Case(name, fraction)
        chosen = pretrained.scanner_model(typical_acquisition(case))
        assert (chosen is None) == (name == "signed")
        for matrix in ((256, 192), (320, 320), (128, 128), (251, 189)):
            assert chosen == pretrained.scanner_model(case.settings.acquisition(matrix))


# A whole benchmark


@pytest.fixture(scope="module")
def done(
    patient: Patient, phantom: Phantom, phase: Series, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[object], Path]]:
    """Arguments and output folder of a benchmark of all scenarios."""
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "body").mkdir()
    write_volume(phantom.static, folder / "body" / "static.nii.gz")
    write_series(phantom.dynamic, folder / "body" / "dynamic.nii.gz")
    write_series(phase, folder / "body" / "dynamic_phase.nii.gz")
    write_volume(phase[0], folder / "body" / "static_phase.nii.gz")
    arguments = ["benchmark", folder / "body", "--output", folder / "o", "--model", patient.model, "--budget", "quick"]
    arguments += ["--fractions", FRACTION, "--frames", "2", "--threads", 1, "--device", "cpu"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "default", replace(DEFAULT, patch=(8, 16, 16)))
        patch.setitem(budgets.BUDGETS, "quick", budgets.TrainingBudget("quick", 4))
        assert main([str(argument) for argument in (*arguments, *QUIET)]) == 0
        yield arguments, folder / "o"
    torch.set_num_threads(threads)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_all_scenarios_stand_beside_each_other(done: tuple[list[object], Path]) -> None:
    _, output = done
    table = lines(output / "table3.csv")
    assert list(dict.fromkeys(row["scenario"] for row in table)) == list(SCENARIOS)
    assert [row["region"] for row in table[:10]] == ["body"] * 5 + ["whole"] * 5
    rows = [row for row in lines(output / "benchmark.csv") if row["region"] == "body"]
    assert all(np.isfinite(float(row["ssim"])) for row in rows)
    ssim = {row["scenario"]: float(row["ssim"]) for row in rows if row["method"] == "zero-filled"}
    assert ssim["scanner"] < ssim["noisy"] < ssim["magnitude"] < ssim["signed"]
    found = strict_json(output / "benchmark.json")
    assert found["data"]["body"]["phase"] == "measured"
    assert list(found["overall"]["figures"]) == list(found["models"]["main training"]) == list(SCENARIOS)
    assert {path.name for path in (output / "models").glob("*.safetensors")} == {
        f"body_{name}_0.25.safetensors" for name in SCENARIOS
    }


def test_the_baselines_are_interpolations_of_what_is_stored(done: tuple[list[object], Path]) -> None:
    arguments, output = done
    data = Path(str(arguments[1]))
    truth, phase = read_series(data / "dynamic.nii.gz"), read_series(data / "dynamic_phase.nii.gz")
    stored = simulate(truth, Case("scanner", FRACTION).settings, phase=phase)[2]
    assert stored.geometry.same_grid(truth.geometry), "so there is nothing to interpolate"
    error = float(np.sqrt(np.mean((stored.data - truth[2].data) ** 2)))
    psnr = 20 * np.log10(float(truth[2].data.max()) / error)
    rows = [r for r in lines(output / "benchmark.csv") if (r["scenario"], r["region"]) == ("scanner", "whole")]
    for method in ("area", "trilinear", "zero-filled"):
        (row,) = (row for row in rows if row["method"] == method)
        assert float(row["psnr"]) == pytest.approx(psnr, abs=1e-3)


def test_the_report_begins_with_the_scanner(done: tuple[list[object], Path]) -> None:
    _, output = done
    report = (output / "report.html").read_text(encoding="utf-8")
    assert from_outside(report) == []
    places = [report.index(f"body, {SCENARIOS[name].title}: Body only") for name in SCENARIOS]
    assert places == sorted(places)
    assert all(SCENARIOS[name].description in report for name in SCENARIOS)
    kinds = ("figure3_body", "figure4_body", "figure5_body", "figure6")
    expected = {f"{kind}_{name}.png" for kind in kinds for name in SCENARIOS}
    assert {path.name for path in (output / "figures").iterdir()} == expected


def test_it_goes_on_where_it_was_stopped(
    command: Command, done: tuple[list[object], Path], phantom: Phantom, tmp_path: Path
) -> None:
    arguments, output = done
    table = (output / "table3.csv").read_bytes()
    model = output / "models" / "body_noisy_0.25.safetensors"
    before = model.read_bytes()
    kept = output / "models" / "body_scanner_0.25.safetensors"
    changed = kept.stat().st_mtime_ns
    for path in (model, *(output / "time_points" / "body_noisy_0.25").iterdir()):
        path.unlink()
    outcome = command(*arguments, "--resume", "--no-figures", *JSON)
    assert outcome.code == 0
    assert kept.stat().st_mtime_ns == changed
    assert model.read_bytes() == before
    assert (output / "table3.csv").read_bytes() == table
    said = outcome.messages()
    assert said.count("Fine-tuning on the planning scan") == 1
    places = [said.index(f"25% of k-space, {SCENARIOS[name].title}: 1 time point of body") for name in SCENARIOS]
    assert places == sorted(places)


def test_more_may_be_stored_than_the_truth_has(
    command: Command, done: tuple[list[object], Path], tmp_path: Path
) -> None:
    more = ("--output", tmp_path / "o", "--scenarios", "scanner", "--fractions", 0.6, "--no-figures", *QUIET)
    assert command(*done[0], *more).code == 0
    assert len(lines(tmp_path / "o" / "table3.csv")) == 2 * 2 * 5


def test_a_phase_that_does_not_go_with_the_series_is_refused_before_the_work(
    command: Command, done: tuple[list[object], Path], tmp_path: Path
) -> None:
    data = tmp_path / "body"
    data.mkdir()
    source = Path(str(done[0][1]))
    for name in ("static.nii.gz", "dynamic.nii.gz"):
        (data / name).write_bytes((source / name).read_bytes())
    degrees = read_volume(source / "static_phase.nii.gz")
    write_volume(degrees.with_data(60 * degrees.data), data / "dynamic_phase.nii.gz")
    arguments = ["benchmark", data, "--output", tmp_path / "o", *done[0][4:]]
    outcome = command(*arguments, *QUIET)
    assert outcome.code == 2
    assert outcome.err.startswith("body: ")
    assert "which are no radians" in outcome.err
    assert not (tmp_path / "o").exists()
    assert command(*arguments, "--scenarios", "signed", "--no-figures", *QUIET).code == 0, "where it is not used"


def test_an_unknown_scenario_is_refused(command: Command, tmp_path: Path) -> None:
    outcome = command("benchmark", tmp_path, "--output", tmp_path / "o", "--scenarios", "dream")
    assert outcome.code == 2
    assert "invalid choice: 'dream'" in outcome.err
