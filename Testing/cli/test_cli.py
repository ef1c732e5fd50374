"""Every command does what it promises on a tiny patient: files, places, times, events and repeatability."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from helpers.command_line import JSON, QUIET, Command, strict_json
from helpers.models import TINY, tiny_network
from helpers.patient import FRACTION, LOW_SHAPE, SHAPE, TIME_POINTS, Patient
from helpers.web_page import from_outside
from scipy.spatial.transform import Rotation

from SRDynamicMRILib import __version__, api, demo
from SRDynamicMRILib.acquisition.acquisition import Acquisition, downsample
from SRDynamicMRILib.acquisition.kspace import crop_kspace
from SRDynamicMRILib.acquisition.methods import METHODS
from SRDynamicMRILib.acquisition.scanner import ScanSettings, simulate
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.cli import phantom as phantom_command
from SRDynamicMRILib.cli.program import SHARED, build_parser
from SRDynamicMRILib.evaluation.evaluation import METRIC_NAMES
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.inference import suited
from SRDynamicMRILib.io.files import read_series, read_volume, write_series, write_volume
from SRDynamicMRILib.io.sidecar import NOTICE
from SRDynamicMRILib.io.times import frame_numbers, frames_text
from SRDynamicMRILib.models.checkpoints import Model, file_sha256, load_model, save_model
from SRDynamicMRILib.models.pretrained import fast_model
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.progress import JsonProgress
from SRDynamicMRILib.requests import REQUESTS
from SRDynamicMRILib.volume import Series, Volume

EVENTS = {"stage", "progress", "loss", "frame", "log", "result", "error"}
TYPES = (".nii.gz", ".nii", ".nrrd", ".seq.nrrd", ".mha", ".mhd", "")


def assert_same_place(found: Geometry, wanted: Geometry) -> None:
    """Every corner is where it should be within what NIfTI's float32 can say, and no axis is mirrored."""
    assert found.shape == wanted.shape
    depth, height, width = wanted.shape
    for corner in np.ndindex(2, 2, 2):
        index = np.array(corner) * (width - 1, height - 1, depth - 1)
        np.testing.assert_allclose(found.position(index), wanted.position(index), atol=2e-3)
    np.testing.assert_allclose(found.spacing, wanted.spacing, rtol=1e-5)
    assert np.linalg.det(found.axes) * np.linalg.det(wanted.axes) > 0


def geometry_of(path: Path) -> Geometry:
    return read_series(path).geometry


def voxels(path: Path) -> np.ndarray:
    return np.stack([volume.data for volume in read_series(path)])


# The program


def test_the_contract_names_these_commands() -> None:
    assert set(REQUESTS) >= {
        "demo",
        "phantom",
        "downsample",
        "interpolate",
        "train",
        "finetune",
        "superresolve",
        "evaluate",
        "benchmark",
        "info",
        "import-checkpoint",
    }


@pytest.mark.parametrize("name", REQUESTS)
def test_every_command_has_help_and_the_common_options(command: Command, name: str) -> None:
    outcome = command(name, "--help")
    assert outcome.code == 0
    assert outcome.err == ""
    for option in ("--progress", "--seed", "--device", "--threads"):
        assert option in outcome.out


def test_version(command: Command) -> None:
    outcome = command("--version")
    assert (outcome.code, outcome.out) == (0, f"SRDynamicMRI {__version__}\n")


def test_help_does_not_wait_for_pytorch() -> None:
    code = (
        "import sys\nfrom SRDynamicMRILib.cli.program import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_a_real_process_keeps_stdout_for_json_and_stderr_for_the_bar(patient: Patient, tmp_path: Path) -> None:
    start = [sys.executable, "-m", "SRDynamicMRILib", "downsample", str(patient.static)]
    with_json = [*start, str(tmp_path / "a.nii.gz"), "--fraction", "0.25", *JSON]
    with_bar = [*start, str(tmp_path / "b.nii.gz"), "--fraction", "0.25"]
    one, other = (subprocess.run(c, capture_output=True, text=True, check=True) for c in (with_json, with_bar))
    assert one.stderr == ""
    assert json.loads(one.stdout.splitlines()[-1])["outputs"] == {"output": str(tmp_path / "a.nii.gz")}
    assert other.stdout == ""
    assert str(tmp_path / "b.nii.gz") in other.stderr
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_reader_who_leaves_gets_no_traceback(patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "o.nii.gz"
    start = [sys.executable, "-m", "SRDynamicMRILib", "superresolve", str(patient.low), str(out)]
    process = subprocess.Popen(
        [*start, "--model", str(patient.model), *JSON], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 130
    assert said == "Cancelled.\n"


# phantom


def test_phantom(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def small(seed: int, time_points: int, needle: bool) -> object:
        asked.append((seed, time_points, needle))
        return abdomen(seed, SHAPE, time_points=time_points, needle=needle)

    monkeypatch.setattr(phantom_command, "abdomen", small)
    assert command("phantom", tmp_path / "new" / "p", "--seed", 3, "--time-points", 2, *QUIET).code == 0
    assert command("phantom", tmp_path / "n", "--seed", 3, "--time-points", 2, "--needle", *QUIET).code == 0
    assert asked == [(3, 2, False), (3, 2, True)]
    assert len(read_series(tmp_path / "new" / "p" / "dynamic.nii.gz")) == 2
    static, dynamic = (read_series(tmp_path / "n" / f"{name}.nii.gz") for name in ("static", "dynamic"))
    assert_same_place(dynamic.geometry, static.geometry)
    needle = strict_json(tmp_path / "n" / "needle.json")
    assert np.shape(needle["tip"]) == np.shape(needle["entry"]) == (2, 3)


def test_phantom_writes_phases_that_downsample_takes(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(seed: int, time_points: int, needle: bool):
        return abdomen(seed, SHAPE, time_points=time_points, needle=needle)

    monkeypatch.setattr(phantom_command, "abdomen", small)
    assert command("phantom", tmp_path / "p", "--time-points", 2, "--phase", *QUIET).code == 0
    made = abdomen(0, SHAPE, time_points=2)
    np.testing.assert_array_equal(read_volume(tmp_path / "p" / "static_phase.nii.gz").data, made.static_phase.data)
    arguments = (tmp_path / "p" / "dynamic.nii.gz", tmp_path / "low.nii.gz", "--fraction", 0.25)
    assert command("downsample", *arguments, "--phase", tmp_path / "p" / "dynamic_phase.nii.gz", *QUIET).code == 0
    expected = simulate(made.dynamic, ScanSettings(fraction=0.25), phase=made.dynamic_phase)
    for one, other in zip(read_series(tmp_path / "low.nii.gz"), expected, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


def test_phantom_has_10_time_points_unless_told() -> None:
    assert build_parser().parse_args(["phantom", "x"]).time_points == 10


# downsample


@pytest.mark.parametrize("fraction", [1, 0.25, 0.1, 0.0625])
def test_downsample(command: Command, patient: Patient, tmp_path: Path, fraction: float) -> None:
    out = tmp_path / "low.nii.gz"
    assert command("downsample", patient.dynamic, out, "--fraction", fraction, *QUIET).code == 0
    truth, low = read_series(patient.dynamic), read_series(out)
    size = Acquisition.centre(SHAPE[1:], fraction).acquired_matrix
    assert_same_place(low.geometry, truth.geometry.with_matrix(size))
    assert low.times == truth.times
    for small, full in zip(low, truth, strict=True):
        np.testing.assert_array_equal(small.data, crop_kspace(full.data, size))
    assert strict_json(tmp_path / "low.json")["SRDynamicMRI"]["full_matrix"] == list(SHAPE[1:])


LIKE_SCANNER = ScanSettings.like_scanner(fraction=FRACTION)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("--fraction-rows 0.5 --fraction-columns 0.25", ScanSettings(fraction_rows=0.5, fraction_columns=0.25)),
        (
            "--fraction 0.25 --window fermi:0.1 --shutter ellipse --partial-fourier 0.75 --store full",
            ScanSettings(
                fraction=0.25, window=Window("fermi", 0.1), shutter="ellipse", partial_fourier=0.75, store="full"
            ),
        ),
        ("--fraction 0.25 --snr 30 --magnitude", ScanSettings(fraction=0.25, snr=30, magnitude=True)),
        ("--fraction 0.25 --simulate-phase --store 2x", ScanSettings(fraction=0.25, simulate_phase=True, store="2x")),
        ("--fraction 0.25 --like-scanner", LIKE_SCANNER),
        (
            "--fraction 0.25 --like-scanner --snr 50 --window none --store 1x",
            replace(LIKE_SCANNER, snr=50, window=Window(), store="1x"),
        ),
    ],
)
def test_downsample_simulates_a_scanner(
    command: Command, patient: Patient, tmp_path: Path, options: str, settings: ScanSettings
) -> None:
    out = tmp_path / "low.nii.gz"
    assert command("downsample", patient.dynamic, out, *options.split(), "--seed", 3, *QUIET).code == 0
    low, expected = read_series(out), simulate(read_series(patient.dynamic), settings, seed=3)
    assert_same_place(low.geometry, expected.geometry)
    assert low.times == expected.times
    for one, other in zip(low, expected, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    facts = strict_json(tmp_path / "low.json")["SRDynamicMRI"]
    assert {key: facts[key] for key in expected.facts} == expected.facts


def test_downsample_with_a_phase_of_its_own(command: Command, patient: Patient, tmp_path: Path) -> None:
    truth, out, phases = read_series(patient.dynamic), tmp_path / "low.nii.gz", tmp_path / "phase.nii.gz"
    rng = np.random.default_rng(0)
    phase = Series.of([volume.with_data(rng.uniform(-3, 3, volume.shape)) for volume in truth], truth.times)
    write_series(phase, phases)
    outcome = command("downsample", patient.dynamic, out, "--fraction", FRACTION, "--phase", phases)
    assert outcome.code == 0
    assert "Simulated: a given phase, magnitudes." in outcome.out + outcome.err
    expected = simulate(truth, ScanSettings(fraction=FRACTION), phase=read_series(phases))
    for one, other in zip(read_series(out), expected, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    assert strict_json(tmp_path / "low.json")["SRDynamicMRI"]["simulated"]["phase"] == "given"


def test_downsample_does_not_replace_the_phase(command: Command, patient: Patient, tmp_path: Path) -> None:
    phase = tmp_path / "phase.nii.gz"
    static = read_volume(patient.static)
    write_volume(static.with_data(np.random.default_rng(0).uniform(-3, 3, static.shape)), phase)
    before = phase.read_bytes()
    outcome = command("downsample", patient.static, phase, "--fraction", FRACTION, "--phase", phase, *QUIET)
    assert outcome.code == 2
    assert "would replace" in outcome.err
    assert phase.read_bytes() == before


def test_downsample_says_what_it_simulated(command: Command, patient: Patient, tmp_path: Path) -> None:
    plain = command("downsample", patient.static, tmp_path / "a.nii.gz", "--fraction", FRACTION)
    assert "Simulated" not in plain.out + plain.err
    scanned = command("downsample", patient.static, tmp_path / "b.nii.gz", "--fraction", FRACTION, "--like-scanner")
    assert "Simulated: an acquired matrix of 24x32, the window hann, an SNR of 20" in scanned.out + scanned.err
    assert "a simulated phase, magnitudes, 12 bits." in scanned.out + scanned.err


@pytest.mark.parametrize("ending", TYPES)
def test_downsample_writes_every_type(command: Command, patient: Patient, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"low{ending}"
    assert command("downsample", patient.dynamic, out, "--fraction", FRACTION, *QUIET).code == 0
    np.testing.assert_array_equal(voxels(out), voxels(patient.low))
    assert_same_place(geometry_of(out), geometry_of(patient.low))
    assert read_series(out).times == read_series(patient.low).times == (0.0, 0.5, 1.0)


# interpolate


@pytest.mark.parametrize("method", METHODS)
def test_interpolate(command: Command, patient: Patient, tmp_path: Path, method: str) -> None:
    out = tmp_path / "up.nrrd"
    arguments = (patient.low, out, "--like", patient.static, "--method", method)
    assert command("interpolate", *arguments, *QUIET).code == 0
    result, truth = read_series(out), read_series(patient.dynamic)
    assert_same_place(result.geometry, truth.geometry)
    assert result.times == truth.times
    for one, full in zip(result, truth, strict=True):
        assert np.corrcoef(one.data.ravel(), full.data.ravel())[0, 1] > 0.9


def test_interpolate_resamples_to_another_field_of_view(command: Command, patient: Patient, tmp_path: Path) -> None:
    static = read_volume(patient.static)
    x, y, z = static.geometry.position((5, 3, 1))
    part = replace(static.geometry, shape=(6, 40, 50), origin=(x, y, z))
    write_volume(Volume(static.data[1:7, 3:43, 5:55], part), tmp_path / "part.nii.gz")
    out = tmp_path / "up.nii.gz"
    arguments = (patient.low, out, "--like", tmp_path / "part.nii.gz", "--method", "zero_filled")
    outcome = command("interpolate", *arguments, *JSON)
    assert outcome.code == 0
    assert "another field of view" in outcome.messages()
    assert_same_place(geometry_of(out), part)
    assert (
        np.corrcoef(voxels(out)[0].ravel(), read_series(patient.dynamic)[0].data[1:7, 3:43, 5:55].ravel())[0, 1] > 0.9
    )


# superresolve


def test_superresolve(command: Command, patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "sr.nii.gz"
    outcome = command("superresolve", patient.low, out, "--model", patient.model, "--like", patient.static)
    assert (outcome.code, outcome.out) == (0, "")
    result, low = read_series(out), read_series(patient.low)
    assert_same_place(result.geometry, geometry_of(patient.static))
    assert result.times == low.times
    for one, acquired in zip(result, low, strict=True):  # data consistency: what was acquired is in the result
        np.testing.assert_allclose(crop_kspace(one.data, LOW_SHAPE[1:]), acquired.data, atol=0.05)
    facts = strict_json(tmp_path / "sr.json")["SRDynamicMRI"]
    assert facts["notice"] == NOTICE
    assert facts["model"] == load_model(patient.model).sha256
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sr.json", "sr.nii.gz"]


@pytest.mark.parametrize("ending", TYPES)
def test_superresolve_writes_every_type(command: Command, patient: Patient, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"sr{ending}"
    arguments = (patient.low, out, "--model", patient.model, "--like", patient.static)
    assert command("superresolve", *arguments, *QUIET).code == 0
    result = read_series(out)
    assert len(result) == TIME_POINTS
    assert result.times == (0.0, 0.5, 1.0)
    assert_same_place(result.geometry, geometry_of(patient.static))
    assert out.is_dir() == (ending == "")


@pytest.mark.parametrize("ending", TYPES)
def test_one_volume_stays_one_volume(command: Command, patient: Patient, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"sr{ending}"
    arguments = (patient.low_volume, out, "--model", patient.model, "--like", patient.static)
    assert command("superresolve", *arguments, *QUIET).code == 0
    assert_same_place(read_volume(out).geometry, geometry_of(patient.static))
    if ending not in ("", ".seq.nrrd"):
        assert sitk.ReadImage(str(out)).GetDimension() == 3


@pytest.mark.parametrize(
    ("frames", "numbers"), [("1:3", [1, 2]), ("0", [0]), ("2:", [2]), (":2", [0, 1]), ("0,2:", [0, 2])]
)
def test_some_time_points(command: Command, patient: Patient, tmp_path: Path, frames: str, numbers: list[int]) -> None:
    common = ("superresolve", patient.low, "--model", patient.model, "--like", patient.static, *QUIET)
    assert command(*common, tmp_path / "all").code == 0
    assert command(*common, tmp_path / "some.mha", "--frames", frames).code == 0
    some, every = read_series(tmp_path / "some.mha"), read_series(tmp_path / "all")
    assert len(some) == len(numbers)
    for one, number in zip(some, numbers, strict=True):
        np.testing.assert_array_equal(one.data, every[number].data)
    if len(numbers) > 1:
        assert some.times == tuple(every.times[n] for n in numbers)
    else:
        assert sitk.ReadImage(str(tmp_path / "some.mha")).GetDimension() == 3


def test_frame_numbers_without_a_choice() -> None:
    assert frame_numbers(None, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize("text", ["0", "0:3", "0:3,5:9", "1,3,5", "0,2:4,9"])
def test_lists_of_time_points(text: str) -> None:
    assert frames_text(frame_numbers(text, 10)) == text


@pytest.mark.parametrize("told_by", ["like", "fraction", "sidecar", "prior of the model"])
def test_the_full_matrix_is_found(command: Command, patient: Patient, tmp_path: Path, told_by: str) -> None:
    model = patient.model
    if told_by == "prior of the model":
        model = tmp_path / "tuned.safetensors"
        spacing = geometry_of(patient.static).spacing
        save_model(Model(tiny_network(), replace(TINY, prior_spacing=spacing)), model)
    low = patient.low_with_matrix if told_by == "sidecar" else patient.low
    more = {"like": ("--like", patient.static), "fraction": ("--fraction", FRACTION)}.get(told_by, ())
    arguments = (low, tmp_path / "sr.nii.gz", "--model", model, *more, *QUIET)
    assert command("superresolve", *arguments).code == 0
    assert_same_place(geometry_of(tmp_path / "sr.nii.gz"), geometry_of(patient.static))


def test_without_any_hint_the_lowest_fraction_of_the_model_counts(
    command: Command, patient: Patient, tmp_path: Path
) -> None:
    out = tmp_path / "sr.nii.gz"
    assert command("superresolve", patient.low_volume, out, "--model", patient.model, *QUIET).code == 0
    assert geometry_of(out).shape == (8, 4 * 24, 4 * 32)


def test_like_counts_more_than_a_fraction_that_says_otherwise(
    command: Command, patient: Patient, tmp_path: Path
) -> None:
    out = tmp_path / "sr.nii.gz"
    arguments = (patient.low_volume, out, "--model", patient.model, "--like", patient.static, "--fraction", 0.0625)
    assert command("superresolve", *arguments, *QUIET).code == 0
    assert_same_place(geometry_of(out), geometry_of(patient.static))


def test_by_patches(command: Command, patient: Patient, tmp_path: Path) -> None:
    common = ("superresolve", patient.low_volume, "--model", patient.model, "--like", patient.static, *QUIET)
    assert command(*common, tmp_path / "whole.nii.gz").code == 0
    assert command(*common, tmp_path / "patches.nii.gz", "--stride", 4, 12, 12).code == 0
    assert command(*common, tmp_path / "coarse.nii.gz", "--stride", 24, 24, 24).code == 0
    whole, patches, coarse = (voxels(tmp_path / f"{name}.nii.gz") for name in ("whole", "patches", "coarse"))
    assert patches.shape == whole.shape
    assert 0 < np.abs(patches - whole).mean() < 0.1 * whole.mean()
    assert not np.array_equal(patches, coarse)


def test_a_volume_smaller_than_a_patch(command: Command, patient: Patient, tmp_path: Path) -> None:
    low = read_volume(patient.low_volume)
    small = Volume(low.data[2:5, 8:15, 10:21], replace(low.geometry, shape=(3, 7, 11)))
    write_volume(small, tmp_path / "small.nii.gz")
    for name, more in (("whole", ()), ("patches", ("--stride", 3, 3, 3))):
        out = tmp_path / f"{name}.nii.gz"
        arguments = (tmp_path / "small.nii.gz", out, "--model", patient.model, "--fraction", FRACTION, *more)
        assert command("superresolve", *arguments, *QUIET).code == 0
        assert_same_place(geometry_of(out), small.geometry.with_matrix((15, 21)))


def test_the_pretrained_model_is_the_default(
    command: Command, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suited, "base_model", lambda fraction=None: patient.model)
    arguments = (patient.low_volume, tmp_path / "sr.nii.gz", "--fraction", FRACTION)
    assert command("superresolve", *arguments, *QUIET).code == 0
    assert strict_json(tmp_path / "sr.json")["SRDynamicMRI"]["model"] == load_model(patient.model).sha256


def test_the_fast_network_on_request(command: Command, patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "fast.nii.gz"
    arguments = (patient.low_volume, out, "--fast", *QUIET)
    assert command("superresolve", *arguments, "--like", patient.static).code == 0
    path = fast_model(FRACTION)
    assert path is not None
    assert strict_json(tmp_path / "fast.json")["SRDynamicMRI"]["model"] == load_model(path).sha256
    outcome = command("superresolve", *arguments, "--fraction", 0.9)
    assert (outcome.code, outcome.err) == (2, "There is no fast model for 86.9% of k-space; leave out --fast.\n")
    outcome = command("superresolve", *arguments, "--like", patient.static, "--stride", 3, 3, 3)
    assert (outcome.code, outcome.err) == (2, "The fast network takes whole volumes only; leave out --stride.\n")


def test_an_earlier_output_is_replaced(command: Command, patient: Patient, tmp_path: Path) -> None:
    for ending in (".nii.gz", ""):
        out = tmp_path / f"sr{ending}"
        common = ("superresolve", patient.low, out, "--model", patient.model, "--like", patient.static, *QUIET)
        assert command(*common).code == 0
        assert command(*common, "--frames", "1:3").code == 0
        assert len(read_series(out)) == 2


# Several processes


@pytest.mark.slow
def test_two_processes_share_the_time_points(command: Command, patient: Patient, tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone.nii.gz", tmp_path / "shared.nii.gz"
    common = ("--model", patient.model, "--like", patient.static, "--threads", 1, "--device", "cpu", *JSON)
    assert command("superresolve", patient.low, alone, *common).code == 0
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    call = [*start, "-m", "SRDynamicMRILib", "superresolve", str(patient.low), str(shared), *map(str, common)]
    made = subprocess.run(call, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True)
    assert shared.read_bytes() == alone.read_bytes()
    assert (tmp_path / "shared.json").read_bytes() == (tmp_path / "alone.json").read_bytes()
    events = [json.loads(line) for line in made.stdout.splitlines()]
    assert sorted(e["index"] for e in events if e["event"] == "frame") == [0, 1, 2]
    assert [(e["done"], e["total"]) for e in events if e["event"] == "progress"] == [(1, 2), (2, 2)]
    assert [e["event"] for e in events].count("result") == 1


def test_what_cannot_be_shared_is_done_by_the_first_process(
    command: Command, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"train", "superresolve", "benchmark"} <= SHARED <= set(REQUESTS)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    arguments = ("downsample", patient.dynamic, tmp_path / "low.nii.gz", "--fraction", FRACTION)
    for rank, written in (("1", False), ("0", True)):
        monkeypatch.setenv("RANK", rank)
        outcome = command(*arguments)
        assert (outcome.code, outcome.out) == (0, "")
        assert (tmp_path / "low.nii.gz").exists() == written
        assert (outcome.err != "") == written


# --progress


def pipeline(patient: Patient, folder: Path) -> dict[str, tuple[object, ...]]:
    """Arguments of commands that take little time."""
    model = ("--model", patient.model)
    return {
        "downsample": (patient.dynamic, folder / "low.nii.gz", "--fraction", 0.1),
        "interpolate": (patient.low, folder / "zf.mha", "--like", patient.static, "--method", "zero_filled"),
        "finetune": (
            *(patient.static, "--like", patient.low, "--output", folder / "tuned.safetensors"),
            *(*model, "--budget", "quick"),
        ),
        "superresolve": (patient.low, folder / "sr.seq.nrrd", *model, "--like", patient.static),
        "evaluate": (patient.low, patient.dynamic, "--output", folder / "evaluation", "--no-figures"),
        "import-checkpoint": (folder.parent / "published.pth", folder / "published.safetensors"),
    }


QUICK_REQUESTS = ("downsample", "interpolate", "finetune", "superresolve", "evaluate", "import-checkpoint")


@pytest.mark.parametrize("name", QUICK_REQUESTS)
@pytest.mark.usefixtures("few_steps")
def test_json_progress(
    command: Command, patient: Patient, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_at_once = []

    class Watcher(JsonProgress):
        def frame(self, number: int, path: Path, consistency: Mapping[str, float], model: str) -> None:
            seen_at_once.append(read_volume(path).shape)
            super().frame(number, path, consistency, model)

    monkeypatch.setitem(sys.modules["SRDynamicMRILib.cli.program"]._PROGRESS, "json", Watcher)
    torch.save(tiny_network().state_dict(), tmp_path / "published.pth")
    folder = tmp_path / "outputs"
    folder.mkdir()
    outcome = command(name, *pipeline(patient, folder)[name], *JSON)
    assert (outcome.code, outcome.err) == (0, "")
    events = outcome.events
    assert {e["event"] for e in events} <= EVENTS - {"error"}
    assert [e["event"] for e in events].count("result") == 1
    assert events[-1]["event"] == "result"
    outputs = [Path(path) for path in events[-1]["outputs"].values()]
    assert outputs
    assert all(path.exists() for path in outputs)
    steps = [(e["done"], e["total"]) for e in events if e["event"] == "progress"]
    assert all(0 < done <= total for done, total in steps)
    frames = [e for e in events if e["event"] == "frame"]
    if name == "superresolve":
        assert [e["index"] for e in frames] == [0, 1, 2]
        assert {e["model"] for e in frames} == {file_sha256(patient.model)}
        assert seen_at_once == [SHAPE] * 3
        for event, volume in zip(frames, read_series(outputs[0]), strict=True):
            np.testing.assert_array_equal(read_volume(event["path"]).data, volume.data)
    if name == "finetune":
        losses = [e for e in events if e["event"] == "loss"]
        assert losses
        assert all(np.isfinite(e["value"]) for e in losses)
    if name not in ("import-checkpoint",):
        assert steps[-1][0] == steps[-1][1]
    made = {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"}
    listed = {file for path in outputs for file in (path.rglob("*") if path.is_dir() else [path])}
    assert made <= listed, "every output is listed"


@pytest.mark.parametrize("name", QUICK_REQUESTS)
@pytest.mark.usefixtures("few_steps")
def test_no_progress_says_nothing(command: Command, patient: Patient, tmp_path: Path, name: str) -> None:
    torch.save(tiny_network().state_dict(), tmp_path / "published.pth")
    folder = tmp_path / "outputs"
    folder.mkdir()
    outcome = command(name, *pipeline(patient, folder)[name], *QUIET)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert any(folder.iterdir())


def test_an_error_is_the_last_event(command: Command, tmp_path: Path) -> None:
    outcome = command("info", tmp_path / "no.safetensors", *JSON)
    assert outcome.code == 2
    assert outcome.events[-1] == {"event": "error", "message": outcome.err.strip()}


# finetune, and models


@pytest.mark.parametrize("how", ["like", "fraction"])
@pytest.mark.usefixtures("few_steps")
def test_finetune(command: Command, patient: Patient, tmp_path: Path, how: str) -> None:
    out = tmp_path / "tuned.safetensors"
    target = ("--like", patient.low) if how == "like" else ("--fraction", FRACTION)
    arguments = (patient.static, *target, "--output", out, "--model", patient.model, "--budget", "quick")
    assert command("finetune", *arguments, *QUIET).code == 0
    tuned, base = load_model(out), load_model(patient.model)
    assert tuned.info.parent == base.sha256
    assert tuned.info.fractions == (0.25,)
    assert tuned.info.prior_spacing == pytest.approx(geometry_of(patient.static).spacing)
    pairs = zip(tuned.network.parameters(), base.network.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)
    assert [p.name for p in tmp_path.iterdir()] == [out.name]

    assert command("superresolve", patient.low, tmp_path / "sr.nii.gz", "--model", out, *QUIET).code == 0
    assert_same_place(geometry_of(tmp_path / "sr.nii.gz"), geometry_of(patient.static))


@pytest.mark.parametrize(("options", "told"), [((), True), (("--keep-contrast",), False)])
@pytest.mark.usefixtures("few_steps")
def test_finetune_tells_when_it_changes_the_contrast_of_the_prior(
    options: tuple[str, ...], told: bool, command: Command, patient: Patient, tmp_path: Path
) -> None:
    static = read_volume(patient.static)
    peak = np.percentile(static.data, 99.9)
    inverted = np.interp(static.data / peak, [0, 0.05, 0.12, 1, 2], [0, 0.03, 1, 0.1, 0.1]) * peak
    prior, output = tmp_path / "inverted.nii.gz", tmp_path / "m.safetensors"
    write_volume(static.with_data(inverted), prior)
    arguments = ("finetune", prior, "--like", patient.low, "--output", output, "--model", patient.model)
    outcome = command(*arguments, "--budget", "quick", *options, *JSON)
    assert outcome.code == 0
    assert ("intensities were remapped" in outcome.messages()) == told


@pytest.mark.usefixtures("few_steps")
def test_a_prior_of_other_orientation_is_resampled(command: Command, patient: Patient, tmp_path: Path) -> None:
    static = read_volume(patient.static)
    image = sitk.GetImageFromArray(static.data)
    image.SetSpacing(static.geometry.spacing)
    image.SetOrigin(static.geometry.origin)
    sitk.WriteImage(sitk.DICOMOrient(image, "PIR"), str(tmp_path / "sagittal.nii.gz"))
    out = tmp_path / "tuned.safetensors"
    arguments = (tmp_path / "sagittal.nii.gz", "--like", patient.low, "--output", out, "--model", patient.model)
    outcome = command("finetune", *arguments, "--budget", "quick", *JSON)
    assert (outcome.code, outcome.err) == (0, "")
    assert "other orientation" in outcome.messages() or "another orientation" in outcome.messages()
    assert out.exists()

    arguments = (patient.low, tmp_path / "sr.nii.gz", "--model", patient.model, "--like", tmp_path / "sagittal.nii.gz")
    outcome = command("superresolve", *arguments, *JSON)
    assert (outcome.code, outcome.err) == (0, "")
    assert "orientation" in outcome.messages()
    result, low = geometry_of(tmp_path / "sr.nii.gz"), geometry_of(patient.low)
    assert result.same_orientation(low)
    assert_same_place(result.with_matrix(low.shape[1:]), low)


@pytest.mark.usefixtures("few_steps")
def test_a_model_for_another_fraction_is_used_with_a_warning(
    command: Command, patient: Patient, tmp_path: Path
) -> None:
    model = tmp_path / "model.safetensors"
    save_model(Model(tiny_network(), replace(TINY, fractions=(0.0625,))), model)
    arguments = (patient.low, tmp_path / "sr.nii.gz", "--model", model, "--like", patient.static)
    outcome = command("superresolve", *arguments, *JSON)
    assert outcome.code == 0
    assert "Warning: The model was trained for 6.25% of k-space, but the series has 25%." in outcome.messages()
    arguments = (patient.static, "--fraction", FRACTION, "--output", tmp_path / "tuned.safetensors", "--model", model)
    outcome = command("finetune", *arguments, "--budget", "quick", *JSON)
    assert outcome.code == 0
    assert "Warning: The model was trained for 6.25%" in outcome.messages()
    arguments = (patient.low, tmp_path / "t.nii.gz", "--model", patient.model, "--like", patient.static)
    outcome = command("superresolve", *arguments, *JSON)
    assert outcome.code == 0
    assert "Warning" not in outcome.messages()


@pytest.mark.usefixtures("few_steps")
def test_the_same_seed_gives_the_same_bytes(command: Command, patient: Patient, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        model = tmp_path / f"{name}.safetensors"
        common = ("--seed", seed, "--device", "cpu", "--threads", 1, *QUIET)
        tuning = (patient.static, "--fraction", FRACTION, "--output", model, "--model", patient.model)
        assert command("finetune", *tuning, "--budget", "quick", *common).code == 0
        assert command("superresolve", patient.low, tmp_path / f"{name}.nii.gz", "--model", model, *common).code == 0
        assert command("superresolve", patient.low, tmp_path / f"{name}.seq.nrrd", "--model", model, *common).code == 0
    for ending in (".safetensors", ".nii.gz", ".seq.nrrd"):
        a, b, c = ((tmp_path / f"{name}{ending}").read_bytes() for name in "abc")
        assert a == b
        assert a != c


def test_train(command: Command, patient: Patient, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "static.nii.gz").write_bytes(patient.static.read_bytes())
    arguments = ("--data", data, "--fractions", 0.25, 0.0625, "--steps", 2, "--features", 2, "--device", "cpu")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.safetensors"
        outcome = command("train", *arguments, "--output", out, "--seed", seed, *JSON)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.events[-1]["outputs"] == {"model": str(out)}
    a, b, c = ((tmp_path / f"{name}.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    info = load_model(tmp_path / "a.safetensors").info
    assert (info.features, info.fractions, info.steps, info.seed, info.recipe) == (2, (0.25, 0.0625), 2, 1, "default")


def test_info(command: Command, patient: Patient) -> None:
    outcome = command("info", patient.model)
    assert outcome.code == 0
    facts = json.loads(outcome.out)
    assert facts["file"] == str(patient.model)
    assert facts["sha256"] == load_model(patient.model).sha256
    assert facts["features"] == TINY.features
    assert facts["fractions"] == list(TINY.fractions)
    assert facts["parameters"] == sum(p.numel() for p in tiny_network().parameters())
    outcome = command("info", patient.model, *JSON)
    assert json.loads(outcome.messages()) == facts
    assert outcome.events[-1]["event"] == "result"


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_published_checkpoint_is_imported_and_used(
    command: Command, patient: Patient, tmp_path: Path, wrapped: bool
) -> None:
    state = tiny_network(3).state_dict()
    content = {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}} if wrapped else state
    torch.save(content, tmp_path / "published.pth")
    model = tmp_path / "published.safetensors"
    arguments = (tmp_path / "published.pth", model, "--fractions", 0.25)
    assert command("import-checkpoint", *arguments, *QUIET).code == 0
    imported = load_model(model)
    assert (imported.info.recipe, imported.info.fractions) == ("paper", (0.25,))
    assert all(torch.equal(imported.network.state_dict()[name], tensor) for name, tensor in state.items())
    arguments = (patient.low_volume, tmp_path / "sr.nii.gz", "--model", model, "--stride", 12, 12, 12)
    assert command("superresolve", *arguments, *QUIET).code == 0
    assert_same_place(geometry_of(tmp_path / "sr.nii.gz"), geometry_of(patient.static))


# evaluate


def test_evaluate(command: Command, patient: Patient, tmp_path: Path) -> None:
    baselines = []
    for method in ("trilinear", "zero_filled"):
        out = tmp_path / f"{method}.nii.gz"
        arguments = (patient.low, out, "--like", patient.static, "--method", method)
        assert command("interpolate", *arguments, *QUIET).code == 0
        baselines += ["--baseline", f"{method}={out}"]
    arguments = (patient.low, tmp_path / "sr.nii.gz", "--model", patient.model, "--like", patient.static)
    assert command("superresolve", *arguments, *QUIET).code == 0
    folder = tmp_path / "new" / "evaluation"
    arguments = (tmp_path / "sr.nii.gz", patient.dynamic, *baselines, "--output", folder)
    outcome = command("evaluate", *arguments, *JSON)
    assert (outcome.code, outcome.err) == (0, "")

    with (folder / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    methods = {"trilinear", "zero_filled", "result"}
    keys = [(row["method"], row["region"], int(row["time_point"])) for row in rows]
    assert sorted(keys) == sorted((m, r, t) for m in methods for r in ("whole", "body") for t in range(TIME_POINTS))
    assert {row["time_s"] for row in rows} == {"0", "0.5", "1"}
    assert all(np.isfinite(float(row[metric])) for row in rows for metric in METRIC_NAMES)

    numbers = strict_json(folder / "summary.json")
    assert numbers["time_points"] == TIME_POINTS
    whole = [float(row["ssim"]) for row in rows if row["method"] == "result" and row["region"] == "whole"]
    mean, spread = numbers["mean_sd"]["whole"]["result"]["ssim"]
    assert (mean, spread) == pytest.approx((np.mean(whole), np.std(whole, ddof=1)), abs=1e-6)
    assert set(numbers["result_against"]) == {"trilinear", "zero_filled"}
    assert 0 <= numbers["result_against"]["trilinear"]["ssim"]["wilcoxon"] <= 1

    for method in methods:
        similarity = read_series(folder / f"ssim_{method}.nii.gz")
        assert len(similarity) == TIME_POINTS
        assert_same_place(similarity.geometry, geometry_of(patient.dynamic))
        assert voxels(folder / f"ssim_{method}.nii.gz").max() <= 1
    figures = list(folder.glob("*.png"))
    assert len(figures) >= 3
    assert all(figure.read_bytes().startswith(b"\x89PNG") for figure in figures)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "trilinear" in report
    assert from_outside(report) == []
    listed = {Path(path) for path in outcome.events[-1]["outputs"].values()}
    assert set(folder.iterdir()) == listed


def test_evaluate_without_figures_and_baselines(command: Command, patient: Patient, tmp_path: Path) -> None:
    common = ("evaluate", patient.low, patient.dynamic, *JSON)
    outcome = command(*common, "--output", tmp_path / "a", "--no-figures")
    assert outcome.code == 0
    assert "resampled" in outcome.messages()
    assert not list((tmp_path / "a").glob("*.png"))
    assert command(*common, "--output", tmp_path / "b").code == 0
    assert list((tmp_path / "b").glob("*.png"))
    assert not (tmp_path / "b" / "report.html").exists()


def test_evaluate_some_time_points(command: Command, patient: Patient, tmp_path: Path) -> None:
    arguments = (patient.low, tmp_path / "sr.nii.gz", "--model", patient.model, "--like", patient.static)
    assert command("superresolve", *arguments, "--frames", "1:3", *QUIET).code == 0
    arguments = (tmp_path / "sr.nii.gz", patient.dynamic, "--baseline", f"low={patient.low}", "--frames", "1:3")
    assert command("evaluate", *arguments, "--output", tmp_path / "e", "--no-figures", *QUIET).code == 0
    with (tmp_path / "e" / "metrics.csv").open(newline="") as stream:
        assert {row["time_s"] for row in csv.DictReader(stream)} == {"0.5", "1"}


def test_evaluate_one_time_point_writes_json_that_others_can_read(
    command: Command, patient: Patient, tmp_path: Path
) -> None:
    baseline = ("--baseline", f"low={patient.low_volume}")
    arguments = (patient.low_volume, patient.static, *baseline, "--output", tmp_path / "e", "--no-figures")
    assert command("evaluate", *arguments, *QUIET).code == 0
    assert strict_json(tmp_path / "e" / "summary.json")["time_points"] == 1


def test_a_perfect_result_is_a_result(command: Command, patient: Patient, tmp_path: Path) -> None:
    arguments = (patient.dynamic, patient.dynamic, "--baseline", f"low={patient.low}", "--output", tmp_path / "e")
    outcome = command("evaluate", *arguments, *QUIET)
    assert (outcome.code, outcome.err) == (0, "")
    assert strict_json(tmp_path / "e" / "summary.json")["mean_sd"]["whole"]["result"]["ssim"] == [1, 0]


# Places


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
@pytest.mark.usefixtures("few_steps")
def test_an_oblique_left_handed_scan_stays_where_it_is(
    command: Command, patient: Patient, tmp_path: Path, ending: str
) -> None:
    axes = Rotation.from_euler("xyz", (0.4, -0.3, 1.1)).as_matrix()
    axes[:, 1] *= -1
    place = Geometry((8, 45, 61), (5.0, 5.2, 6.0), (-210.5, 33.25, 871.75), tuple(axes.ravel().tolist()))
    scans = [volume.data[:, 1:46, 2:63] for volume in read_series(patient.dynamic)]
    static, dynamic = tmp_path / f"static{ending}", tmp_path / f"dynamic{ending}"
    write_volume(Volume(read_volume(patient.static).data[:, 1:46, 2:63], place), static)
    write_series(Series.of([Volume(scan, place) for scan in scans], (0.0, 0.4, 0.8)), dynamic)
    low, tuned, result = tmp_path / f"low{ending}", tmp_path / "tuned.safetensors", tmp_path / f"sr{ending}"
    assert command("downsample", dynamic, low, "--fraction", 0.25, *QUIET).code == 0
    assert_same_place(geometry_of(low), downsample(read_series(dynamic)[0], 0.25).geometry)
    tuning = (static, "--like", low, "--output", tuned, "--model", patient.model, "--budget", "quick")
    assert command("finetune", *tuning, *QUIET).code == 0
    (tmp_path / "low.json").unlink()  # nothing but the geometry tells where the result lies
    for more in ((), ("--like", static)):
        assert command("superresolve", low, result, "--model", tuned, *more, *QUIET).code == 0
        assert_same_place(geometry_of(result), place)
    outcome = command("evaluate", result, dynamic, "--output", tmp_path / "e", "--no-figures", *JSON)
    assert outcome.code == 0
    assert "resampled" not in outcome.messages()
    assert_same_place(geometry_of(tmp_path / "e" / "ssim_result.nii.gz"), place)
    assert strict_json(tmp_path / "e" / "summary.json")["mean_sd"]["whole"]["result"]["ssim"][0] > 0.5


# demo


def test_demo(
    command: Command, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_steps: int
) -> None:
    for module in (api, suited):
        monkeypatch.setattr(module, "base_model", lambda fraction=None: patient.model)
    monkeypatch.setattr(suited, "start_model", lambda fraction: patient.model)
    monkeypatch.setattr(demo, "SHAPE", SHAPE)
    monkeypatch.setattr(demo, "TIME_POINTS", 2)
    monkeypatch.setattr(demo, "BUDGET", demo.BUDGETS["quick"])
    folder = tmp_path / "new" / "demo"
    outcome = command("demo", folder, *JSON)
    assert outcome.code == 0
    outputs = [Path(path) for path in outcome.events[-1]["outputs"].values()]
    assert folder / "report.html" in outputs
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert from_outside(report) == []
    assert "Data-consistency residual " in report
    assert all(path.exists() for path in outputs)
    assert load_model(folder / "fine_tuned.safetensors").info.steps == few_steps
    for name in ("main", "fine_tuned"):
        assert_same_place(geometry_of(folder / f"{name}.nii.gz"), geometry_of(folder / "static.nii.gz"))
        assert len(read_series(folder / f"{name}.nii.gz")) == 2
    with (folder / "metrics.csv").open(newline="") as stream:
        assert len({row["method"] for row in csv.DictReader(stream)}) == 5
    frames = [e["path"] for e in outcome.events if e["event"] == "frame"]
    assert len(frames) == 4
    assert all(Path(path).is_file() for path in frames), "whoever watches may still be reading the frames"
