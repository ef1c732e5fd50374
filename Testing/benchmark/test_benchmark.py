"""The benchmark: its subjects, its numbers, what is left out, going on after a stop, several processes, refusals."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command_line import JSON, QUIET, Command, Outcome, strict_json
from helpers.patient import FRACTION, SHAPE, SPACING, Patient
from helpers.web_page import from_outside
from scipy import stats

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.body import body_mask
from SRDynamicMRILib.acquisition.interpolation import interpolate
from SRDynamicMRILib.benchmark.folder import BenchmarkFolder
from SRDynamicMRILib.benchmark.scenarios import Case
from SRDynamicMRILib.benchmark.subjects import find_subjects
from SRDynamicMRILib.benchmark.table3 import METHODS, as_text
from SRDynamicMRILib.cli import program as cli
from SRDynamicMRILib.cli.program import main
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.evaluation import METRIC_NAMES, Evaluation
from SRDynamicMRILib.evaluation.metrics import Metrics, compare
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.io.files import read_series, read_volume, write_series, write_volume
from SRDynamicMRILib.models import budgets
from SRDynamicMRILib.models.checkpoints import file_sha256, load_model
from SRDynamicMRILib.models.recipes import DEFAULT, RECIPES
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.progress import JsonProgress, Progress
from SRDynamicMRILib.volume import Series, Volume

SUBJECTS = {"one": [1, 2], "two": [0, 1]}
"""Time points that are compared: frame 0 of the first subject is its planning scan."""

CHOSEN = (0.25, 0.0625)
STEPS = 4

Rows = list[dict[str, str]]


@pytest.fixture(scope="module", autouse=True)
def _few_steps() -> Iterator[None]:
    """Make the budget ``quick`` so small that it takes a moment."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "default", replace(DEFAULT, patch=(8, 16, 16)))
        patch.setitem(budgets.BUDGETS, "quick", budgets.TrainingBudget("quick", STEPS))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients, a folder with something else, a loose file."""
    folder = tmp_path_factory.mktemp("data")
    for seed, name in enumerate(SUBJECTS):
        (folder / name).mkdir()
        phantom = abdomen(seed, SHAPE, SPACING, 2)
        frames = [phantom.static, *phantom.dynamic] if name == "one" else list(phantom.dynamic)
        write_volume(phantom.static, folder / name / "static.nii.gz")
        write_series(Series.of(frames, [0.5 * n for n in range(len(frames))]), folder / name / "dynamic.nii.gz")
    (folder / "one" / "static.json").write_text("{}")
    (folder / "notes").mkdir()
    (folder / "notes" / "static.nii.gz").touch()
    (folder / "readme.txt").touch()
    return folder


def arguments(data: Path, patient: Patient, output: Path, *more: object) -> list[object]:
    common = ["benchmark", data, "--output", output, "--model", patient.model, "--budget", "quick"]
    return [*common, "--scenarios", "signed", "--fractions", *CHOSEN, "--threads", 1, "--device", "cpu", *more]


@pytest.fixture(scope="module")
def done(data: Path, patient: Patient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of a whole benchmark with figures."""
    output = tmp_path_factory.mktemp("benchmark") / "new" / "output"
    assert main([str(a) for a in arguments(data, patient, output, *QUIET)]) == 0
    return output


def lines(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def values(rows: Rows, metric: str, **wanted: str) -> list[float]:
    return [float(row[metric]) for row in rows if all(row[key] == value for key, value in wanted.items())]


def tree(folder: Path) -> dict[str, int]:
    """Every file of a folder with the time of its last change."""
    return {p.relative_to(folder).as_posix(): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def assert_plain(outcome: Outcome, phrase: str) -> None:
    assert outcome.code == 2, outcome.err
    assert len([line for line in outcome.err.splitlines() if not line.startswith("Warning: ")]) == 1
    assert outcome.err.endswith(".\n")
    assert phrase in outcome.err


# Numbers


def test_there_is_a_line_for_everything_that_is_compared(done: Path) -> None:
    rows = lines(done / "benchmark.csv")
    assert {row["scenario"] for row in rows} == {"signed"}
    keys = [(r["subject"], float(r["fraction"]), r["method"], r["region"], int(r["time_point"])) for r in rows]
    assert keys == [
        (subject, fraction, method, region, number)
        for subject, numbers in SUBJECTS.items()
        for fraction in CHOSEN
        for region in ("whole", "body")
        for method in METHODS
        for number in numbers
    ]
    assert all(np.isfinite(float(row[metric])) for row in rows for metric in METRIC_NAMES)
    assert {(r["time_point"], r["time_s"]) for r in rows if r["subject"] == "one"} == {("1", "0.5"), ("2", "1")}


@pytest.mark.parametrize("method", ["zero-filled", "main training", "fine-tuned"])
def test_numbers_are_those_of_a_comparison_made_by_hand(done: Path, data: Path, patient: Patient, method: str) -> None:
    truth = read_series(data / "one" / "dynamic.nii.gz")[2]
    low = downsample(truth, 0.0625)
    if method == "zero-filled":
        result = interpolate(low, truth.geometry, "zero_filled")
    else:
        model = patient.model if method == "main training" else done / "models" / "one_signed_0.0625.safetensors"
        result = super_resolve(low, load_model(model), truth.geometry)
    for region, mask in (("whole", None), ("body", body_mask(truth.data))):
        expected, _ = compare(result.data, truth.data, mask)
        where = {"subject": "one", "fraction": "0.0625", "method": method, "region": region, "time_point": "2"}
        for metric in METRIC_NAMES:
            found = values(lines(done / "benchmark.csv"), metric, **where)
            assert found == pytest.approx([getattr(expected, metric)], rel=1e-5)


def test_means_spreads_and_gains_are_those_of_the_lines(done: Path) -> None:
    rows, table = lines(done / "benchmark.csv"), lines(done / "table3.csv")
    assert len(table) == 3 * len(CHOSEN) * 2 * len(METHODS)
    for line in table:
        where = {key: line[key] for key in ("fraction", "region")}
        if line["subject"] != "all subjects":
            where["subject"] = line["subject"]
        for metric in METRIC_NAMES:
            found = values(rows, metric, method=line["method"], **where)
            assert float(line[f"{metric}_mean"]) == pytest.approx(np.mean(found), rel=1e-6)
            assert float(line[f"{metric}_sd"]) == pytest.approx(np.std(found, ddof=1), rel=1e-4, abs=1e-7)
        assert int(line["time_points"]) == len(found) == (4 if line["subject"] == "all subjects" else 2)
        ssim, psnr = (np.mean(values(rows, m, method="zero-filled", **where)) for m in ("ssim", "psnr"))
        assert float(line["psnr_gain"]) == pytest.approx(float(line["psnr_mean"]) - psnr, abs=1e-5)
        gap = (float(line["ssim_mean"]) - ssim) / (1 - ssim)
        assert float(line["ssim_gap_closed"]) == pytest.approx(gap, abs=1e-5)


def test_summary_says_figures_tests_and_how_they_came_about(done: Path, patient: Patient) -> None:
    found, rows = strict_json(done / "benchmark.json"), lines(done / "benchmark.csv")
    for region in ("body", "whole"):
        assert found["overall"]["figures"]["signed"]["0.25"][region]["area"]["ssim_mean"] == pytest.approx(
            np.mean(values(rows, "ssim", fraction="0.25", region=region, method="area"))
        )
    assert list(found["overall"]["tests"]["signed"]) == ["0.25", "0.0625", "all fractions"]
    assert found["overall"]["time_points"] == {"signed": {"0.25": 4, "0.0625": 4}}
    assert list(found["scenarios"]) == ["signed"]
    for region, better, other in (
        ("body", "fine-tuned", "main training"),
        ("whole", "fine-tuned", "main training"),
        ("whole", "zero-filled", "trilinear"),
    ):
        pair = [values(rows, "psnr", region=region, method=method) for method in (better, other)]
        tests = found["overall"]["tests"]["signed"]["all fractions"][region][f"{better} against {other}"]["psnr"]
        assert tests["pairs"] == 8
        assert tests["t_test"] == pytest.approx(stats.ttest_rel(*pair).pvalue, rel=1e-3)
        assert tests["wilcoxon"] == pytest.approx(stats.wilcoxon(*pair).pvalue)
    of_two = found["subjects"]["two"]["tests"]["signed"]["0.25"]["body"]
    assert of_two["main training against zero-filled"]["ssim"]["pairs"] == 2
    assert (found["ranks"], found["threads"], found["device"], found["seed"]) == (1, 1, "cpu", 0)
    assert found["budget"] == {"name": "quick", "steps": STEPS}
    assert set(found["models"]["main training"]["signed"].values()) == {load_model(patient.model).sha256}
    for subject in SUBJECTS:
        for fraction in ("0.25", "0.0625"):
            model = done / "models" / f"{subject}_signed_{fraction}.safetensors"
            assert found["models"]["fine-tuned"][subject]["signed"][fraction] == file_sha256(model)
            assert load_model(model).info.steps == STEPS
            assert found["seconds"]["fine_tuning"][subject]["signed"][fraction] > 0
    assert set(found["seconds"]["median_of_a_time_point"]) == {"main training", "fine-tuned"}


def test_warnings_go_into_summary_and_report(
    command: Command, data: Path, patient: Patient, done: Path, tmp_path: Path
) -> None:
    report = (done / "report.html").read_text(encoding="utf-8")
    told = strict_json(done / "benchmark.json")["warnings"]
    assert {name: list(told[name]["signed"]) for name in told} == {name: ["0.25", "0.0625"] for name in SUBJECTS}
    assert told["one"]["signed"]["0.25"] == []
    (sentence,) = told["two"]["signed"]["0.0625"]
    assert "The intensities of the series are unlike those that the model was trained on" in sentence
    assert f"two, 6.25% of k-space, sign kept: {sentence}" in report

    folder = tmp_path / "wrong"
    shutil.copytree(data / "two", folder)
    scan = read_volume(folder / "static.nii.gz")
    another = np.random.default_rng(0).uniform(0, 100, scan.shape).astype(np.float32)
    write_volume(scan.with_data(another), folder / "static.nii.gz")
    more = ("--fractions", 0.25, "--frames", "1", "--no-figures", *JSON)
    outcome = command(*arguments(folder, patient, tmp_path / "o", *more))
    assert outcome.code == 0
    found = strict_json(tmp_path / "o" / "benchmark.json")["warnings"]["wrong"]["signed"]["0.25"]
    assert any("fine-tuning on a wrong scan makes results worse" in sentence for sentence in found), found
    assert not [event for event in outcome.events if event["event"] == "frame"], "their files are gone by now"


def test_time_points_equal_to_the_static_scan_are_left_out_and_named(done: Path) -> None:
    found = strict_json(done / "benchmark.json")["data"]
    assert found["one"]["left_out_because_equal_to_static"] == [0]
    assert found["two"]["left_out_because_equal_to_static"] == []
    assert {name: found[name]["time_points"] for name in SUBJECTS} == SUBJECTS
    assert "one: time point 0 is the planning scan itself" in (done / "report.html").read_text(encoding="utf-8")


def test_figures_and_report(done: Path) -> None:
    kinds = ("figure3", "figure4", "figure5", "over_time")
    expected = {"figure6_signed.png", *(f"{kind}_{subject}_signed.png" for kind in kinds for subject in SUBJECTS)}
    assert {p.name for p in (done / "figures").iterdir()} == expected
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in (done / "figures").iterdir())
    report = (done / "report.html").read_text(encoding="utf-8")
    assert report.count("<img ") == len(expected)
    assert from_outside(report) == []
    for words in ("all subjects, sign kept, 6.25% of k-space", "two, sign kept, 25% of k-space", "low resolution"):
        assert words in report
    of_body, of_whole = (report.index(f"one, sign kept: {region}") for region in ("Body only", "Whole volume"))
    assert of_body < of_whole


def test_the_table_is_told_and_all_outputs_are_listed(
    command: Command, data: Path, patient: Patient, done: Path, tmp_path: Path
) -> None:
    output = tmp_path / "again"
    shutil.copytree(done, output)
    outcome = command(*arguments(data, patient, output, "--resume", "--no-figures", *JSON))
    assert (outcome.code, outcome.err) == (0, "")
    said = outcome.messages()
    assert "notes does not hold both" in said
    assert "one: time point 0 is the planning scan itself and is left out of the comparison." in said
    assert "25% of k-space, sign kept: 4 time points of 2 subjects" in said
    assert "All fractions of k-space together, sign kept" in said
    assert said.index("  body ") < said.index("  whole volume ")
    assert said.count("fine-tuned against main training") == 3
    listed = outcome.events[-1]["outputs"]
    assert set(listed) == {"metrics", "table", "summary", "models"}
    assert all(Path(path).exists() for path in listed.values())


def test_one_time_point_has_no_test() -> None:
    metrics = {method: [Metrics(0.9, 30.0, 0.1, 0.2)] for method in METHODS}
    text = as_text({("a", Case("signed", 0.25)): Evaluation((0.0,), metrics, metrics)})
    assert "25% of k-space, sign kept: 1 time point of a" in text
    assert "no test" in text
    assert "nan" not in text


# Going on


class Interrupted(JsonProgress):
    """Is cancelled at the n-th of a kind of event."""

    kind, count = "", 0

    def _emit(self, event: str, **fields: object) -> None:
        super()._emit(event, **fields)
        if event == Interrupted.kind:
            Interrupted.count -= 1
            if Interrupted.count == 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("kind", "count", "models", "time_points"),
    [
        ("progress", 2 + STEPS + 2, 1, 0),  # in the middle of the second fine-tuning
        (
            "progress",
            2 + 4 * STEPS + (4 + 2) + (4 + 1),
            4,
            3,
        ),  # evaluating; each time point is made by two models before
    ],
    ids=["fine-tuning", "time points"],
)
def test_a_stopped_benchmark_goes_on(
    command: Command,
    data: Path,
    patient: Patient,
    done: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    count: int,
    models: int,
    time_points: int,
) -> None:
    output = tmp_path / "output"
    Interrupted.kind, Interrupted.count = kind, count
    with monkeypatch.context() as patch:
        patch.setitem(cli._PROGRESS, "json", Interrupted)
        assert command(*arguments(data, patient, output, "--no-figures", *JSON)).code == 130
    before = tree(output)
    assert not {"benchmark.csv", "table3.csv", "benchmark.json"} & set(before)
    finished = [n for n in before if n.endswith(".safetensors") and ".state." not in n]
    assert len(finished) == models
    finished += [n for n in before if n.startswith("time_points/")]
    assert len(finished) == models + time_points
    (output / "models" / ".writing-cut-short").mkdir()

    outcome = command(*arguments(data, patient, output, "--resume", "--no-figures", *JSON))
    assert outcome.code == 0
    after = tree(output)
    assert {name: after[name] for name in finished} == {name: before[name] for name in finished}
    assert not [path for path in output.rglob("*") if ".state." in path.name or ".writing" in path.name]
    assert ("Resuming after step" in outcome.messages()) == (models == 1)
    for name in ("benchmark.csv", "table3.csv"):
        assert (output / name).read_bytes() == (done / name).read_bytes()
    seconds = strict_json(output / "benchmark.json")["seconds"]["fine_tuning"]["one"]["signed"]
    assert (seconds["0.0625"] is None) == (models == 1), "a time that is known in part is not given"


def test_figures_can_be_made_later(command: Command, data: Path, patient: Patient, done: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    more = ("--fractions", 0.25, "--frames", "1:2,7:", *QUIET)  # what is beyond the end does not count
    assert command(*arguments(data, patient, output, *more, "--no-figures")).code == 0
    assert not list(output.rglob("*.png"))
    models = {p: p.stat().st_mtime_ns for p in (output / "models").glob("*.safetensors")}
    assert command(*arguments(data, patient, output, *more, "--resume")).code == 0
    assert {p: p.stat().st_mtime_ns for p in models} == models
    assert (output / "report.html").is_file()
    assert (output / "figures" / "figure3_two_signed.png").is_file()
    assert not (output / "figures" / "over_time_two_signed.png").exists(), "one point is no line"
    rows, whole = lines(output / "benchmark.csv"), lines(done / "benchmark.csv")
    assert rows == [r for r in whole if r["fraction"] == "0.25" and r["time_point"] == "1"]


def darker(data: Path) -> None:
    scan = read_volume(data / "two" / "static.nii.gz")
    write_volume(scan.with_data(scan.data * 0.9), data / "two" / "static.nii.gz")


def third(data: Path) -> None:
    shutil.copytree(data / "two", data / "three")


OTHERS: dict[str, tuple[tuple[object, ...], Callable[[Path], None] | None]] = {
    "seed": (("--seed", 1), None),
    "fractions": (("--fractions", 0.25), None),
    "scenarios": (("--scenarios", "magnitude"), None),
    "frames": (("--frames", "1:2"), None),
    "budget": (("--budget", "standard"), None),
    "data": ((), darker),
    "subjects": ((), third),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_benchmark_is_not_mixed_with_this_one(
    command: Command, data: Path, patient: Patient, done: Path, tmp_path: Path, other: str
) -> None:
    more, change = OTHERS[other]
    if change is not None:
        shutil.copytree(data, tmp_path / "data")
        data = tmp_path / "data"
        change(data)
    before = tree(done)
    outcome = command(*arguments(data, patient, done, *more, "--resume", *QUIET))
    assert_plain(outcome, "come from other data, another model or other settings")
    assert tree(done) == before


def test_without_resume_nothing_of_before_is_left_but_what_others_put_there(
    command: Command, data: Path, patient: Patient, done: Path, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    shutil.copytree(done, output)
    (output / "thesis.tex").write_text("dear to someone")
    (output / "models" / "mine.safetensors").write_text("dear to someone")
    more = ("--fractions", 0.25, "--frames", "1", "--no-figures", *QUIET)
    assert command(*arguments(data, patient, output, *more)).code == 0
    assert set(tree(output)) == {
        *("job.json", "benchmark.csv", "table3.csv", "benchmark.json"),
        *(f"models/{s}_signed_0.25.{ending}" for s in SUBJECTS for ending in ("safetensors", "json")),
        *(f"time_points/{s}_signed_0.25/0001.json" for s in SUBJECTS),
        *("thesis.tex", "models/mine.safetensors"),
    }


def test_the_folder_of_a_former_version_is_not_resumed_but_replaced(
    command: Command, data: Path, patient: Patient, done: Path, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    shutil.copytree(done, output)
    for path in sorted(output.rglob("*_signed*"), reverse=True):
        path.rename(path.with_name(path.name.replace("_signed", "")))
    plan = json.loads((output / "job.json").read_text())
    del plan["SRDynamicMRI benchmark"]["scenarios"]
    (output / "job.json").write_text(json.dumps(plan))
    before = tree(output)
    assert {"models/one_0.25.safetensors", "figures/figure6.png"} <= set(before)
    outcome = command(*arguments(data, patient, output, "--resume", *QUIET))
    assert_plain(outcome, "come from other data, another model or other settings")
    assert tree(output) == before
    more = ("--fractions", 0.25, "--frames", "1", "--no-figures", *QUIET)
    assert command(*arguments(data / "two", patient, output, *more)).code == 0
    assert {path.name for path in (output / "models").iterdir()} == {
        "two_signed_0.25.safetensors",
        "two_signed_0.25.json",
    }
    assert not (output / "figures" / "figure6.png").exists()


def test_a_plan_of_others_deletes_nothing_outside_its_folder(tmp_path: Path) -> None:
    folder = BenchmarkFolder(tmp_path / "output")
    odd = Case("../../precious", 0.25)  # type: ignore[arg-type]
    for path in (folder.model("one", odd), folder.metrics("one", odd, 0), folder.figure("figure6_../../precious")):
        assert path.resolve().is_relative_to(tmp_path / "output")


# Several processes

LAUNCHER = """
import dataclasses, runpy, sys
from SRDynamicMRILib.models.recipes import DEFAULT, RECIPES
from SRDynamicMRILib.models import budgets
from SRDynamicMRILib.training import fine_tuning
RECIPES["default"] = dataclasses.replace(DEFAULT, patch=(8, 16, 16))
budgets.BUDGETS["quick"] = budgets.TrainingBudget("quick", 4)
runpy.run_module("SRDynamicMRILib", run_name="__main__", alter_sys=True)
"""


def test_two_processes_give_what_one_gives(data: Path, patient: Patient, done: Path, tmp_path: Path) -> None:
    launcher, output = tmp_path / "launcher.py", tmp_path / "output"
    launcher.write_text(LAUNCHER)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(launcher)]
    call = [*start, *map(str, arguments(data, patient, output, "--no-figures", *JSON))]
    made = subprocess.run(call, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True)
    for name in ("benchmark.csv", "table3.csv"):
        assert (output / name).read_bytes() == (done / name).read_bytes()
    assert strict_json(output / "benchmark.json")["ranks"] == 2
    events = [json.loads(line) for line in made.stdout.splitlines()]
    assert [e["event"] for e in events].count("result") == 1
    assert sum(e["event"] == "stage" and e["name"] == "Fine-tuning" for e in events) == 2, "half of the four"


# Subjects


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / name
        path.mkdir() if name.endswith("/") else path.touch()


def test_subjects_are_found_by_the_names_of_their_images(tmp_path: Path) -> None:
    touch(tmp_path / "b", "Static.nii.gz", "static.json", "dynamic.seq.nrrd")
    touch(tmp_path / "a", "static/", "dynamic_1.5T/")
    touch(tmp_path / "c", "static_t2.mhd", "static_t2.raw", "dynamic.nhdr", "dynamic.raw.gz", "dynamic.txt")
    touch(tmp_path / "d", "static.nii")
    touch(tmp_path / "results", "static.nii", "dynamic.nii")
    touch(tmp_path / ".hidden", "static.nii", "dynamic.nii")
    found = find_subjects(tmp_path, tmp_path / "results", Progress())
    assert [(s.name, s.static.name, s.dynamic.name) for s in found] == [
        ("a", "static", "dynamic_1.5T"),
        ("b", "Static.nii.gz", "dynamic.seq.nrrd"),
        ("c", "static_t2.mhd", "dynamic.nhdr"),
    ]
    (only,) = find_subjects(tmp_path / "b", tmp_path / "results", Progress())
    assert only == found[1]


def test_phases_are_not_taken_for_images(tmp_path: Path) -> None:
    names = ("static.nii.gz", "static_phase.nii.gz", "dynamic.nii.gz", "dynamic_phase.nii.gz", "dynamic_phase.json")
    touch(tmp_path / "a", *names)
    touch(tmp_path / "b", "static.nii.gz", "dynamic.nii.gz", "static_phase/")
    touch(tmp_path / "c", "static.nii.gz", "dynamic_phase.nii.gz")
    found = find_subjects(tmp_path, tmp_path / "results", Progress())
    assert [(s.name, s.static.name, s.dynamic.name, s.phase and s.phase.name) for s in found] == [
        ("a", "static.nii.gz", "dynamic.nii.gz", "dynamic_phase.nii.gz"),
        ("b", "static.nii.gz", "dynamic.nii.gz", None),
    ]


@pytest.mark.parametrize(
    ("folders", "phrase"),
    [
        ({}, "No subject was found"),
        ({"a": ("static.nii",)}, "No subject was found"),
        ({"a": ("static.nii", "static.nrrd", "dynamic.nii")}, "(static.nii and static.nrrd)"),
        ({"a": ("static.nii", "dynamic/", "dynamic.nii")}, "several images that could be the dynamic one"),
        (
            {"a": ("static.nii", "dynamic.nii", "dynamic_phase.nii", "dynamic_phase_2.nii")},
            "several images that could be the dynamic_phase one",
        ),
        (dict.fromkeys(("p 1", "p_1"), ("static.nii", "dynamic.nii")), "rename one of the folders"),
    ],
)
def test_folders_that_leave_doubt_are_refused(tmp_path: Path, folders: dict[str, tuple[str, ...]], phrase: str) -> None:
    for name, files in folders.items():
        touch(tmp_path / name, *files)
    with pytest.raises(InputError) as caught:
        find_subjects(tmp_path, tmp_path / "results", Progress())
    assert phrase in str(caught.value)


def test_a_folder_of_volumes_is_a_series(
    command: Command, data: Path, patient: Patient, done: Path, tmp_path: Path
) -> None:
    series = read_series(data / "two" / "dynamic.nii.gz")
    (tmp_path / "two").mkdir()
    shutil.copy(data / "two" / "static.nii.gz", tmp_path / "two" / "static.nii.gz")
    write_series(series, tmp_path / "two" / "dynamic")
    more = ("--fractions", 0.25, "--no-figures", *QUIET)
    assert command(*arguments(tmp_path / "two", patient, tmp_path / "output", *more)).code == 0
    rows, whole = lines(tmp_path / "output" / "benchmark.csv"), lines(done / "benchmark.csv")
    assert rows == [r for r in whole if r["subject"] == "two" and r["fraction"] == "0.25"]


# Refusals


def refuse(command: Command, patient: Patient, data: Path, output: Path, phrase: str, *more: object) -> None:
    """Check that a benchmark is refused in one sentence before anything is written."""
    before = tree(output.parent)
    assert_plain(command(*arguments(data, patient, output, *more, *QUIET)), phrase)
    assert tree(output.parent) == before
    assert output.is_file() or not output.exists() or any(output.iterdir())


@pytest.mark.parametrize(
    ("more", "phrase"),
    [
        (("--fractions", 1.5), "must be above 0 and at most 1"),
        (("--fractions", 1e-9), "one: Keeping 1e-09 of k-space leaves nothing"),
        (("--frames", "2:"), "two: "),
        (("--frames", "first"), "time points as 0:5, 3 or 0:3,5:9"),
        (("--frames", "1,0"), "in ascending order and only once each"),
        (("--frames", "0"), "one: No time point is left to compare"),
        (("--budget", "paper", "--perceptual-network", "no.safetensors"), "There is no model file"),
        (("--model", "no.safetensors"), "There is no model file"),
        (("--device", "abacus"), "There is no device abacus"),
    ],
)
def test_settings_that_cannot_be(
    command: Command, data: Path, patient: Patient, tmp_path: Path, more: tuple[object, ...], phrase: str
) -> None:
    refuse(command, patient, data, tmp_path / "output", phrase, *more)


def test_data_that_cannot_be(command: Command, data: Path, patient: Patient, tmp_path: Path) -> None:
    refuse(command, patient, tmp_path / "no", tmp_path / "output", "There is no folder")
    shutil.copytree(data, tmp_path / "data")
    static = tmp_path / "data" / "two" / "static.nii.gz"
    scan = read_volume(static)
    write_volume(Volume(scan.data, replace(scan.geometry, origin=(5000.0, 0.0, 0.0))), static)
    refuse(
        command, patient, tmp_path / "data", tmp_path / "output", "two: The planning scan and the series do not overlap"
    )
    large = (40 * scan.geometry.spacing[0], 40 * scan.geometry.spacing[1], scan.geometry.spacing[2])
    write_volume(Volume(scan.data, replace(scan.geometry, spacing=large)), static)
    refuse(command, patient, tmp_path / "data", tmp_path / "output", "two: ")
    static.write_bytes(b"no image")
    refuse(command, patient, tmp_path / "data", tmp_path / "output", "is damaged or not an image")


@pytest.mark.parametrize("name", ["report.html", "job.json", "models/"])
def test_what_others_have_made_is_not_replaced(
    command: Command, data: Path, patient: Patient, tmp_path: Path, name: str
) -> None:
    touch(tmp_path / "output", name)
    for more in ((), ("--resume",)):
        phrase = "is in the way and was not made by this software"
        refuse(command, patient, data, tmp_path / "output", phrase, *more)
    refuse(command, patient, data, data / "readme.txt", "is in the way")


def test_a_folder_with_other_things_may_be_the_output(
    command: Command, data: Path, patient: Patient, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("dear to someone")
    more = ("--fractions", FRACTION, "--frames", "1", "--no-figures", *QUIET)
    assert command(*arguments(data / "two", patient, tmp_path, *more)).code == 0
    assert (tmp_path / "thesis.tex").read_text() == "dear to someone"


def test_a_model_for_other_fractions_is_used_with_a_warning(
    command: Command, data: Path, patient: Patient, tmp_path: Path
) -> None:
    more = ("--fractions", 0.6, "--frames", "1", "--no-figures", *JSON)
    outcome = command(*arguments(data / "two", patient, tmp_path / "o", *more))
    assert outcome.code == 0
    assert (
        "Warning: The model was trained for 25%, 10%, 6.25% of k-space, but the series has 60%." in outcome.messages()
    )


def test_without_matplotlib_the_work_is_not_begun(
    command: Command, data: Path, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.startswith(("matplotlib", "SRDynamicMRILib.evaluation.report."))]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("figures", "html", "benchmark_report"):
        monkeypatch.delattr(f"SRDynamicMRILib.evaluation.report.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    refuse(command, patient, data, tmp_path / "output", "Figures need matplotlib")
    more = ("--fractions", FRACTION, "--frames", "1", "--no-figures", *QUIET)
    assert command(*arguments(data / "two", patient, tmp_path / "output", *more)).code == 0
