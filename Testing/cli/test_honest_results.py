"""What the command line says of a result besides the result: how true it is to the series, and what to doubt."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.command_line import JSON, QUIET, Command
from helpers.models import TINY, tiny_network
from helpers.patient import FRACTION, SHAPE, SPACING, TIME_POINTS, Patient
from helpers.sidecars import consistency_beside, warnings_beside

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.consistency import consistency, consistency_map, in_words
from SRDynamicMRILib.io.files import read_series, read_volume, write_series, write_volume
from SRDynamicMRILib.io.sidecar import description, recorded
from SRDynamicMRILib.io.times import sidecar_of
from SRDynamicMRILib.models.checkpoints import Model, load_model, save_model
from SRDynamicMRILib.models.prior_copy import voxels_sha256
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.prior.similarity import FITS, SIMILARITY
from SRDynamicMRILib.volume import Series


@pytest.fixture
def inventive(tmp_path: Path) -> Path:
    """A model without data consistency that changes what it is given."""
    network = tiny_network()
    with torch.no_grad():
        network.last.bias.fill_(0.05)
    save_model(Model(network, replace(TINY, data_consistency=False)), tmp_path / "inventive.safetensors")
    return tmp_path / "inventive.safetensors"


@pytest.fixture
def wrong_prior(patient: Patient, tmp_path: Path) -> Path:
    static = read_volume(patient.static)
    shuffled = np.random.default_rng(0).permutation(static.data.ravel()).reshape(static.shape)
    write_volume(static.with_data(shuffled), tmp_path / "wrong.nii.gz")
    return tmp_path / "wrong.nii.gz"


def warnings_of(events: list[dict[str, Any]]) -> list[str]:
    return [e["message"].removeprefix("Warning: ") for e in events if e.get("level") == "warning"]


@pytest.mark.parametrize("consistent", [True, False])
def test_every_result_says_how_true_it_is(
    command: Command, patient: Patient, tmp_path: Path, inventive: Path, consistent: bool
) -> None:
    out = tmp_path / "sr.nii.gz"
    model = patient.model if consistent else inventive
    outcome = command("superresolve", patient.low, out, "--model", model, "--like", patient.static, *JSON)
    assert (outcome.code, outcome.err) == (0, "")
    result, low = read_series(out), read_series(patient.low)
    figures = [consistency(one, acquired) for one, acquired in zip(result, low, strict=True)]
    assert all((figure.residual < 1e-4) is consistent for figure in figures)
    assert all(0.001 < figure.synthesised < 1 for figure in figures)
    told = [e["consistency"] for e in outcome.events if e["event"] == "frame"]
    for one, figure, kept in zip(told, figures, consistency_beside(out), strict=True):
        assert one == pytest.approx(asdict(figure), rel=1e-3, abs=1e-6)
        assert asdict(kept) == pytest.approx(asdict(figure), rel=1e-3, abs=1e-6)
    assert in_words(consistency_beside(out)) in outcome.messages()
    assert recorded(out)["warnings"] == []


def test_a_map_is_written_where_asked_for(command: Command, patient: Patient, tmp_path: Path, inventive: Path) -> None:
    out, where = tmp_path / "sr.nii.gz", tmp_path / "where.seq.nrrd"
    arguments = (patient.low, out, "--model", inventive, "--like", patient.static, "--frames", "1:3")
    assert command("superresolve", *arguments, "--consistency-map", where, *QUIET).code == 0
    maps, low, result = read_series(where), read_series(patient.low), read_series(out)
    assert maps.times == low.times[1:3]
    assert maps.geometry.same_grid(low.geometry)
    for number in (0, 1):
        expected = consistency_map(result[number], low[number + 1]).data
        np.testing.assert_allclose(maps[number].data, expected, atol=1e-3)
        assert np.abs(expected).max() > 1
    assert not (tmp_path / "sr_consistency.nii.gz").exists()


@pytest.mark.parametrize(("out", "where"), [("sr.nii.gz", "sr_consistency.nii.gz"), ("sr", "sr_consistency")])
def test_without_data_consistency_there_is_always_a_map(
    command: Command, patient: Patient, tmp_path: Path, inventive: Path, out: str, where: str
) -> None:
    arguments = (patient.low, tmp_path / out, "--like", patient.static)
    outcome = command("superresolve", *arguments, "--model", inventive, *JSON)
    assert outcome.code == 0
    assert Path(outcome.events[-1]["outputs"]["data-consistency map"]) == tmp_path / where
    assert len(read_series(tmp_path / where)) == TIME_POINTS
    outcome = command("superresolve", patient.low, tmp_path / "b.mha", "--model", patient.model, *JSON)
    assert "data-consistency map" not in outcome.events[-1]["outputs"]
    assert not (tmp_path / "b_consistency.mha").exists()


@pytest.mark.parametrize("name", ["low.nii.gz", "sr.nii.gz", "sr.mha"])
def test_a_map_replaces_neither_series_nor_result(
    command: Command, patient: Patient, tmp_path: Path, name: str
) -> None:
    write_series(read_series(patient.low), tmp_path / "low.nii.gz")
    before = sorted(tmp_path.iterdir())
    arguments = (tmp_path / "low.nii.gz", tmp_path / "sr.nii.gz", "--model", patient.model)
    outcome = command("superresolve", *arguments, "--consistency-map", tmp_path / name, *QUIET)
    assert outcome.code == 2
    assert "would replace" in outcome.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("progress", ["json", "bar", "none"])
def test_warnings_are_told_and_kept(command: Command, patient: Patient, tmp_path: Path, progress: str) -> None:
    low = read_series(patient.low)
    offset = float(np.percentile(low[0].data, 99.9))
    write_series(low.map(lambda volume: volume.with_data(volume.data + offset), low.geometry), tmp_path / "low.nii.gz")
    model, out = tmp_path / "m.safetensors", tmp_path / "sr.nii.gz"
    save_model(Model(tiny_network(), replace(TINY, fractions=(0.0625,))), model)
    arguments = (tmp_path / "low.nii.gz", out, "--model", model, "--like", patient.static)
    outcome = command("superresolve", *arguments, "--progress", progress)
    assert outcome.code == 0
    kept = warnings_beside(out)
    assert len(kept) == 2
    assert "trained for 6.25% of k-space" in kept[0]
    assert "even the darkest 1%" in kept[1]
    for sentence in kept:
        assert outcome.err.count(f"Warning: {sentence}\n") == 1
    if progress == "json":
        assert warnings_of(outcome.events) == kept


@pytest.mark.usefixtures("few_steps")
def test_a_wrong_planning_scan_is_told_when_tuning_and_in_every_result(
    command: Command, patient: Patient, tmp_path: Path, wrong_prior: Path
) -> None:
    model = tmp_path / "tuned.safetensors"
    tuning = ("--output", model, "--model", patient.model, "--budget", "quick", *JSON)
    outcome = command("finetune", wrong_prior, "--like", patient.low, *tuning)
    assert outcome.code == 0
    assert any("does not seem to show what the series shows" in told for told in warnings_of(outcome.events))
    assert "intensities were remapped" not in outcome.messages(), "there is no contrast to be matched"
    assert load_model(model).info.metrics[SIMILARITY] < FITS
    for like in ((), ("--like", wrong_prior)):
        out = tmp_path / "sr.nii.gz"
        outcome = command("superresolve", patient.low, out, "--model", model, *like, *JSON)
        assert outcome.code == 0
        assert "does not seem to show" in warnings_beside(out)[-1]
        assert warnings_beside(out) == warnings_of(outcome.events)


@dataclass(frozen=True)
class Tuned:
    """Files of another patient than `Patient` and a model fine-tuned on its planning scan."""

    static: Path
    low: Path
    model: Path


@pytest.fixture
def another(command: Command, patient: Patient, tmp_path: Path, few_steps: int) -> Tuned:
    phantom = abdomen(6, SHAPE, SPACING, TIME_POINTS)
    files = Tuned(tmp_path / "b.nii.gz", tmp_path / "b_low.nii.gz", tmp_path / "b.safetensors")
    write_volume(phantom.static, files.static)
    low = [downsample(volume, FRACTION) for volume in phantom.dynamic]
    write_series(Series.of(low, phantom.dynamic.times), files.low)
    tuning = ("--fraction", FRACTION, "--output", files.model, "--model", patient.model, "--budget", "quick")
    assert command("finetune", files.static, *tuning, *QUIET).err == ""
    return files


def test_the_model_of_another_patient_is_noticed(
    command: Command, patient: Patient, tmp_path: Path, another: Tuned
) -> None:
    out = tmp_path / "sr.nii.gz"
    assert command("superresolve", another.low, out, "--model", another.model, *QUIET).err == ""
    assert (
        command("superresolve", another.low, out, "--model", another.model, "--like", another.static, *QUIET).err == ""
    )
    alone = command("superresolve", patient.low, out, "--model", another.model, *JSON)
    assert alone.code == 0
    (sentence,) = warnings_beside(out)
    assert sentence.startswith("The planning scan that the model was fine-tuned on does not seem to show what")
    assert warnings_of(alone.events) == [sentence]
    with_own_prior = command(
        "superresolve", patient.low, out, "--model", another.model, "--like", patient.static, *JSON
    )
    assert with_own_prior.code == 0
    assert warnings_beside(out) == [
        sentence,
        "The model was fine-tuned on another planning scan than the one given.",
    ]
    assert (
        command("superresolve", patient.low, out, "--model", another.model, "--like", another.static, *JSON).code == 0
    )
    assert warnings_beside(out) == [sentence]


def test_time_points_that_are_done_are_those_compared(
    command: Command, patient: Patient, tmp_path: Path, another: Tuned
) -> None:
    out, mixed = tmp_path / "sr.nii.gz", tmp_path / "mixed.nii.gz"
    points = [*read_series(patient.low), *read_series(another.low)]
    write_series(Series.of([points[0].with_data(one.data) for one in points]), mixed)
    arguments = (mixed, out, "--model", another.model)
    assert command("superresolve", *arguments, "--frames", f"0:{TIME_POINTS}", *QUIET).code == 0
    assert "does not seem to show" in warnings_beside(out)[0]
    assert command("superresolve", *arguments, "--frames", f"{TIME_POINTS}:{2 * TIME_POINTS}", *QUIET).code == 0
    assert warnings_beside(out) == []


@pytest.mark.usefixtures("few_steps")
def test_a_mirrored_planning_scan_is_told_when_tuning_and_in_every_result(
    command: Command, patient: Patient, tmp_path: Path
) -> None:
    static = read_volume(patient.static)
    mirrored, model, out = tmp_path / "mirrored.nii.gz", tmp_path / "m.safetensors", tmp_path / "sr.nii.gz"
    write_volume(static.with_data(static.data[:, :, ::-1]), mirrored)
    for way in (("--like", patient.low), ("--fraction", FRACTION)):
        tuning = (*way, "--output", model, "--model", patient.model, "--budget", "quick", *JSON)
        told = warnings_of(command("finetune", mirrored, *tuning).events)
        assert any("mirrored from left to right" in sentence for sentence in told) is (way[0] == "--like")
        assert command("superresolve", patient.low, out, "--model", model, *QUIET).code == 0
        assert "seems to be mirrored from left to right" in warnings_beside(out)[0]


@pytest.mark.usefixtures("few_steps")
def test_a_first_time_point_of_noise_is_no_misfit(command: Command, patient: Patient, tmp_path: Path) -> None:
    low = [*read_series(patient.low)]
    spoilt, model, out = tmp_path / "low.nii.gz", tmp_path / "m.safetensors", tmp_path / "sr.nii.gz"
    noise = low[0].data.max() * np.random.default_rng(0).random(low[0].shape)
    write_series(Series.of([low[0].with_data(noise), *low[1:]]), spoilt)
    tuning = ("--like", spoilt, "--output", model, "--model", patient.model, "--budget", "quick", *JSON)
    outcome = command("finetune", patient.static, *tuning)
    assert warnings_of(outcome.events) == []
    by_a_line = re.search(r"The contrasts differ \(R\^2 = ([0-9.]+)\)", outcome.messages())
    assert by_a_line is None or float(by_a_line[1]) > 0.8, "its contrast is matched to that of another time point"
    assert load_model(model).info.metrics[SIMILARITY] > 2 * FITS
    assert command("superresolve", spoilt, out, "--model", model, *QUIET).code == 0
    assert not any("planning scan" in sentence for sentence in warnings_beside(out))


def test_models_made_before_are_compared_as_far_as_can_be(
    command: Command, patient: Patient, tmp_path: Path, another: Tuned
) -> None:
    out, old = tmp_path / "sr.nii.gz", tmp_path / "old.safetensors"
    model = load_model(another.model)
    for name, stored, expected in (
        (SIMILARITY, 0.5, 0),
        (SIMILARITY, 0.05, 1),
        ("likeness of prior and series", 0.05, 1),  # as the first models call it
    ):
        info = replace(model.info, metrics={name: stored})
        save_model(Model(model.network, info), old)
        outcome = command("superresolve", patient.low, out, "--model", old, *JSON)
        assert "holds no copy of its planning scan" in outcome.messages()
        assert len(warnings_beside(out)) == expected
        assert command("superresolve", patient.low, out, "--model", old, "--like", patient.static, *JSON).code == 0
        assert warnings_beside(out) == []


def test_info_tells_of_the_copy(command: Command, patient: Patient, another: Tuned) -> None:
    facts = json.loads(command("info", another.model).out)["planning_scan"]
    assert facts == {"sha256": voxels_sha256(read_volume(another.static)), "copy": list(SHAPE)}
    assert json.loads(command("info", patient.model).out)["planning_scan"] is None


@pytest.mark.usefixtures("few_steps")
def test_the_right_planning_scan_is_not_doubted(command: Command, patient: Patient, tmp_path: Path) -> None:
    model, out = tmp_path / "tuned.safetensors", tmp_path / "sr.nii.gz"
    tuning = ("--like", patient.low, "--output", model, "--model", patient.model, "--budget", "quick")
    assert command("finetune", patient.static, *tuning, *JSON).err == ""
    assert load_model(model).info.metrics[SIMILARITY] > 2 * FITS
    assert command("superresolve", patient.low, out, "--model", model, "--like", patient.static, *QUIET).err == ""
    assert warnings_beside(out) == []


@pytest.mark.usefixtures("few_steps")
def test_without_a_series_the_planning_scan_itself_is_looked_at(
    command: Command, patient: Patient, tmp_path: Path, wrong_prior: Path
) -> None:
    tuning = ("--fraction", 0.25, "--output", tmp_path / "m.safetensors", "--model", patient.model, "--budget", "quick")
    outcome = command("finetune", wrong_prior, *tuning, *JSON)
    assert outcome.code == 0
    assert warnings_of(outcome.events)[0].startswith("The intensities of the planning scan are unlike")
    assert SIMILARITY not in load_model(tmp_path / "m.safetensors").info.metrics


def test_the_report_of_a_comparison_says_both(command: Command, patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "sr.nii.gz"
    write_series(read_series(patient.dynamic), out)
    facts = description(fidelity=[{"error": 0.031, "added": 0.05}] * TIME_POINTS, warnings=["<b>Doubt</b> this."])
    sidecar_of(out).write_text(json.dumps(facts), encoding="utf-8")
    arguments = (out, patient.dynamic, "--baseline", f"low={patient.low}", "--output", tmp_path / "e")
    assert command("evaluate", *arguments, *QUIET).code == 0
    html = (tmp_path / "e" / "report.html").read_text(encoding="utf-8")
    assert "Data-consistency residual 3.1%" in html
    assert "&lt;b&gt;Doubt&lt;/b&gt; this." in html


@pytest.mark.parametrize(
    "facts",
    [
        {"fidelity": 3, "warnings": 4},
        {"fidelity": [1], "warnings": [1, {}]},
        {"fidelity": [{"error": "much"}], "warnings": {}},
        {"fidelity": [{"error": -1, "added": 0.1}]},
        {"fidelity": [{"error": float("nan"), "added": 0.1}]},
        {},
    ],
)
def test_a_sidecar_of_anything_says_nothing(tmp_path: Path, facts: dict[str, object]) -> None:
    out = tmp_path / "sr.nii.gz"
    sidecar_of(out).write_text(json.dumps({"SRDynamicMRI": facts}), encoding="utf-8")
    assert consistency_beside(out) == []
    assert warnings_beside(out) == []


def test_series_of_one_time_point(command: Command, patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "sr.mha"
    arguments = (patient.low_volume, out, "--model", patient.model, "--like", patient.static)
    assert command("superresolve", *arguments, "--consistency-map", tmp_path / "map.mha", *QUIET).code == 0
    assert len(consistency_beside(out)) == 1
    shown: Series = read_series(tmp_path / "map.mha")
    assert shown.geometry.same_grid(read_volume(patient.low_volume).geometry)
