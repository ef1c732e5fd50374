"""What a series is read, checked and written for: once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.command_line import QUIET, Command
from helpers.patient import Patient

from SRDynamicMRILib.geometry import FloatArray
from SRDynamicMRILib.inference import series as inference_series
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.io import files, image_files
from SRDynamicMRILib.io.files import read_series, read_volume, write_series
from SRDynamicMRILib.volume import Series, Volume

pytestmark = pytest.mark.usefixtures("one_thread")

COUNT = 20


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Counter[str]]:
    """How often the voxels of each file are read, those of each time point are checked, and each is computed."""
    seen: dict[str, Counter[str]] = {
        "read": Counter(),
        "checked": Counter(),
        "computed": Counter(),
        "written": Counter(),
    }

    def read(header: sitk.ImageFileReader, path: Path) -> Callable[[int], FloatArray]:
        seen["read"][path.name] += 1
        return really_read(header, path)

    def check(volume: Volume, name: str) -> None:
        seen["checked"][name] += 1
        really_check(volume, name)

    def compute(volume: Volume, *arguments: object, **options: object) -> Volume:
        seen["computed"][str(float(volume.data.sum()))] += 1
        return super_resolve(volume, *arguments, **options)

    def write(volume: Volume, path: Path) -> None:
        seen["written"][path.name] += 1
        files.write_volume(volume, path)

    really_read, really_check = image_files._read_frames, files.check_voxels
    monkeypatch.setattr(image_files, "_read_frames", read)
    monkeypatch.setattr(files, "check_voxels", check)
    monkeypatch.setattr(inference_series, "super_resolve", compute)
    monkeypatch.setattr(inference_series, "write_volume", write)
    return seen


def series_of(patient: Patient) -> Series:
    """Twenty different time points."""
    first = read_series(patient.low)[0]
    noise = np.random.default_rng(0)
    return Series.of([first.with_data(first.data + noise.random(first.shape) * n) for n in range(COUNT)])


@pytest.mark.parametrize("name", ["low", "low.nii.gz"])
def test_every_file_is_read_once_and_every_time_point_checked_computed_and_written_once(
    command: Command, patient: Patient, tmp_path: Path, seen: dict[str, Counter[str]], name: str
) -> None:
    write_series(series_of(patient), tmp_path / name)
    for counter in seen.values():
        counter.clear()
    arguments = (tmp_path / name, tmp_path / "out.nii.gz", "--model", patient.model, "--like", patient.static)
    assert command("superresolve", *arguments, *QUIET).code == 0
    results = {file: n for file, n in seen["read"].items() if file.endswith(".nii")}
    inputs = {file: n for file, n in seen["read"].items() if file not in results}
    assert set(inputs.values()) == {1} and len(inputs) == (COUNT if name == "low" else 1), inputs
    assert set(results.values()) == {1} and len(results) == COUNT
    assert patient.static.name not in inputs, "its header has the voxel size"
    given = [n for what, n in seen["checked"].items() if str(tmp_path / name) in what]
    assert given == [1] * COUNT
    assert list(seen["computed"].values()) == list(seen["written"].values()) == [1] * COUNT
    assert len(read_series(tmp_path / "out.nii.gz")) == COUNT


def test_a_planning_scan_is_read_once(
    command: Command, patient: Patient, tmp_path: Path, seen: dict[str, Counter[str]]
) -> None:
    arguments = (patient.low, tmp_path / "out.nii.gz", "--model", patient.model, "--prior", patient.static)
    assert command("superresolve", *arguments, *QUIET).code == 0
    assert seen["read"][patient.static.name] == 1
    assert read_volume(patient.static).shape[1:] == read_series(tmp_path / "out.nii.gz").geometry.shape[1:]
