"""Time points that are black, not finite or unreadable: refused with the way out, or left out and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import JSON, QUIET, Command, strict_json
from helpers.patient import Patient

from SRDynamicMRILib.io.files import read_series, write_series
from SRDynamicMRILib.volume import Series, Volume


def spoilt(source: Path, path: Path, **faults: float) -> Path:
    """A copy of a series, time points of which (``t0``, ``t1``, ...) have some voxels, or all, set to a value."""
    series = read_series(source)
    frames = [volume.data.copy() for volume in series]
    for name, value in faults.items():
        if np.isfinite(value):
            frames[int(name[1:])][:] = value
        else:
            frames[int(name[1:])][3, 4, 5] = value
    write_series(Series.of([Volume(frame, series.geometry) for frame in frames], series.times), path)
    return path


def folder_with_damage(source: Path, path: Path) -> Path:
    write_series(read_series(source), path)
    (path / "frame_0001.nii.gz").write_bytes(b"no image")
    return path


def folder_cut_short(source: Path, path: Path) -> Path:
    write_series(read_series(source), path)
    (path / "frame_0001.nii.gz").write_bytes((path / "frame_0001.nii.gz").read_bytes()[:-2000])
    return path


FAULTS: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "black": (lambda source, folder: spoilt(source, folder / "bad.nii.gz", t1=0.0), "shows nothing"),
    "NaN": (lambda source, folder: spoilt(source, folder / "bad.seq.nrrd", t1=np.nan), "not finite"),
    "unreadable": (lambda source, folder: folder_with_damage(source, folder / "bad"), "frame_0001.nii.gz"),
    "cut short": (lambda source, folder: folder_cut_short(source, folder / "bad"), "frame_0001.nii.gz"),
}


def call(patient: Patient, series: Path, out: Path, *more: object) -> tuple[object, ...]:
    return ("superresolve", series, out, "--model", patient.model, "--like", patient.static, "--device", "cpu", *more)


@pytest.mark.parametrize("fault", FAULTS)
def test_they_are_refused_with_the_way_out(command: Command, patient: Patient, tmp_path: Path, fault: str) -> None:
    build, phrase = FAULTS[fault]
    bad, out = build(patient.low, tmp_path), tmp_path / "o.nii.gz"
    outcome = command(*call(patient, bad, out, *QUIET))
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert phrase in outcome.err
    assert "--skip-unusable" in outcome.err
    assert "--frames 0,2." in outcome.err
    assert not out.exists()
    assert command(*call(patient, bad, out, "--frames", "0,2", *QUIET)).code == 0, "the sentence is right"


@pytest.mark.parametrize("fault", FAULTS)
def test_they_are_left_out_and_named(command: Command, patient: Patient, tmp_path: Path, fault: str) -> None:
    build, phrase = FAULTS[fault]
    bad, out = build(patient.low, tmp_path), tmp_path / "o.nii.gz"
    outcome = command(*call(patient, bad, out, "--skip-unusable", *JSON))
    assert outcome.code == 0
    assert [event["index"] for event in outcome.events if event["event"] == "frame"] == [0, 2]
    facts = strict_json(tmp_path / "o.json")["SRDynamicMRI"]
    assert facts["frames"] == [0, 2]
    (skipped,) = facts["skipped"]
    assert skipped["time_point"] == 1
    assert phrase in skipped["why"]
    assert str(tmp_path) not in json.dumps(facts), "names of folders may be names of patients"
    (warning,) = (sentence for sentence in facts["warnings"] if "left out" in sentence)
    assert warning == f"1 of 3 time points cannot be used and are left out: 1 ({skipped['why']})."
    assert warning in outcome.err
    assert warning in outcome.messages()
    assert command(*call(patient, patient.low, tmp_path / "whole.nii.gz", *QUIET)).code == 0
    result, whole = read_series(out), read_series(tmp_path / "whole.nii.gz")
    assert result.times == (whole.times[0], whole.times[2])
    for position, number in enumerate((0, 2)):
        np.testing.assert_array_equal(result[position].data, whole[number].data)


def test_nothing_is_skipped_where_all_is_well(command: Command, patient: Patient, tmp_path: Path) -> None:
    for name, more in (("a.nii.gz", ()), ("b.nii.gz", ("--skip-unusable",))):
        assert command(*call(patient, patient.low, tmp_path / name, *more, *QUIET)).code == 0
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_the_first_may_be_one(command: Command, patient: Patient, tmp_path: Path) -> None:
    bad, out = spoilt(patient.low, tmp_path / "bad.nii.gz", t0=0.0), tmp_path / "o.nii.gz"
    assert command(*call(patient, bad, out, "--skip-unusable", *QUIET)).code == 0
    assert strict_json(tmp_path / "o.json")["SRDynamicMRI"]["frames"] == [1, 2]
    assert command(*call(patient, bad, tmp_path / "some.nii.gz", "--frames", "1:", *QUIET)).code == 0


def test_all_of_them_are_too_many(command: Command, patient: Patient, tmp_path: Path) -> None:
    bad, out = spoilt(patient.low, tmp_path / "bad.nii.gz", t0=0.0, t1=np.nan, t2=5.0), tmp_path / "o.nii.gz"
    outcome = command(*call(patient, bad, out, "--skip-unusable", *QUIET))
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert outcome.err.startswith("None of the 3 time points can be used: Time point 0 of")
    outcome = command(*call(patient, bad, out, *QUIET))
    assert outcome.code == 2
    assert "--skip-unusable" not in outcome.err, "it would not help"
    assert not out.exists()


def test_a_run_that_was_stopped_goes_on(
    command: Command, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from SRDynamicMRILib.inference import series as series_super_resolution

    bad = spoilt(patient.low, tmp_path / "bad.nii.gz", t1=np.nan)
    done = command(*call(patient, bad, tmp_path / "whole.nii.gz", "--skip-unusable", *QUIET))
    compute, computed = series_super_resolution.super_resolve, []

    def stops_once(volume: Volume, *arguments: object, **options: object) -> Volume:
        computed.append(volume)
        if len(computed) == 2:
            raise KeyboardInterrupt
        return compute(volume, *arguments, **options)

    monkeypatch.setattr(series_super_resolution, "super_resolve", stops_once)
    again = call(patient, bad, tmp_path / "o.nii.gz", "--skip-unusable", "--resume", *QUIET)
    assert (done.code, command(*again).code, command(*again).code) == (0, 130, 0)
    assert len(computed) == 3, "the first time point was kept"
    assert (tmp_path / "o.nii.gz").read_bytes() == (tmp_path / "whole.nii.gz").read_bytes()


def test_a_result_of_some_time_points_is_compared_with_a_truth_of_all(
    command: Command, patient: Patient, tmp_path: Path
) -> None:
    bad, out = spoilt(patient.low, tmp_path / "bad.nii.gz", t1=np.nan), tmp_path / "o.nii.gz"
    assert command(*call(patient, bad, out, "--skip-unusable", *QUIET)).code == 0
    baseline = ("--baseline", f"low={patient.low}")
    for name, more in (("by sidecar", ()), ("by option", ("--frames", "0,2")), ("one", ("--frames", "2"))):
        arguments = (out, patient.dynamic, *baseline, "--output", tmp_path / name, *more, *QUIET)
        assert command("evaluate", *arguments).code == 0, name
    tables = [(tmp_path / name / "metrics.csv").read_text() for name in ("by sidecar", "by option", "one")]
    assert tables[0] == tables[1]
    assert set(tables[2].splitlines()) < {line.replace(",1,", ",0,", 1) for line in tables[0].splitlines()}
    assert "are left out: 1 (" in (tmp_path / "by sidecar" / "report.html").read_text(encoding="utf-8")
    refused = command("evaluate", out, patient.dynamic, "--output", tmp_path / "no", "--frames", "0:2", *QUIET)
    assert refused.code == 2
    assert "holds time points 0,2 according to its sidecar, but 0:2 were requested" in refused.err
