"""A series, time point by time point: one thing after the other, or reading and writing beside computing."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.patient import Patient

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import FloatArray
from SRDynamicMRILib.inference import series as series_super_resolution
from SRDynamicMRILib.inference.series import FrameFolder, super_resolve_series, works_beside
from SRDynamicMRILib.inference.tiling import Inference
from SRDynamicMRILib.io.files import read_series, read_volume
from SRDynamicMRILib.models.checkpoints import load_model
from SRDynamicMRILib.progress import Progress
from SRDynamicMRILib.volume import Series, Volume

CPU = torch.device("cpu")
TIME_POINTS = range(4)


class Diary(Progress):
    """What happens, in order, and whether in the main thread."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int, bool]] = []

    def add(self, what: str, number: int) -> None:
        self.lines.append((what, number, threading.current_thread() is threading.main_thread()))

    def frame(self, number: int, path: Path, figure: Mapping[str, float], model: str) -> None:
        self.add("told", number)


@pytest.fixture
def diary(monkeypatch: pytest.MonkeyPatch) -> Diary:
    """Keeps a diary of computing."""
    made = Diary()
    compute = series_super_resolution.super_resolve

    def noted(*arguments: object, **settings: object) -> Volume:
        made.add("computed", sum(what == "computed" for what, _, _ in made.lines))
        return compute(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(series_super_resolution, "super_resolve", noted)
    return made


def run(patient: Patient, folder: Path, diary: Diary, unreadable: int | None = None) -> list[FloatArray]:
    acquired = read_series(patient.low)

    def load(number: int) -> FloatArray:
        diary.add("read", number)
        if number == unreadable and any(what == "computed" for what, _, _ in diary.lines):
            raise InputError("That time point cannot be read.")
        return acquired[number % len(acquired)].data

    series = Series(load, TIME_POINTS, acquired.geometry)
    grid = read_volume(patient.static).geometry
    settings = {"device": CPU, "inference": Inference(), "progress": diary}
    results, _ = super_resolve_series(
        series, TIME_POINTS, load_model(patient.model), grid, FrameFolder(folder), **settings
    )
    return [volume.data for volume in results]


def test_a_cpu_does_one_thing_after_the_other_and_a_gpu_computes_meanwhile() -> None:
    assert not works_beside(CPU)
    assert works_beside(torch.device("cuda", 1))


def test_in_turn_a_time_point_is_told_before_the_next_is_computed(
    patient: Patient, tmp_path: Path, diary: Diary
) -> None:
    run(patient, tmp_path / "frames", diary)
    order = [(what, number) for what, number, _ in diary.lines if what != "read"]
    assert order == [(what, number) for number in TIME_POINTS for what in ("computed", "told")]
    assert all(in_main for _, _, in_main in diary.lines)


def test_beside_it_reads_ahead_and_the_result_is_the_same(
    patient: Patient, tmp_path: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn = run(patient, tmp_path / "a", diary)
    diary.lines.clear()
    monkeypatch.setattr(series_super_resolution, "works_beside", lambda device: True)
    beside = run(patient, tmp_path / "b", diary)
    assert all(np.array_equal(one, other) for one, other in zip(in_turn, beside, strict=True))
    assert [number for what, number, _ in diary.lines if what == "told"] == list(TIME_POINTS)
    ahead = [number for what, number, in_main in diary.lines if what == "read" and not in_main]
    assert ahead == list(TIME_POINTS)
    for number in TIME_POINTS:
        before = diary.lines[: diary.lines.index(("told", number, True))]
        assert number < sum(what == "computed" for what, _, _ in before) <= number + 2, "never more than one behind"


@pytest.mark.parametrize("beside", [False, True])
def test_what_was_finished_before_a_fault_stays(
    patient: Patient, tmp_path: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    monkeypatch.setattr(series_super_resolution, "works_beside", lambda device: beside)
    with pytest.raises(InputError, match="cannot be read"):
        run(patient, tmp_path / "frames", diary, unreadable=2)
    assert (tmp_path / "frames" / "frame_0000.nii").is_file()
