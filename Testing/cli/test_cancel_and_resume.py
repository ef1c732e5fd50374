"""Work that is cancelled or killed leaves nothing half written, and goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.command_line import JSON, QUIET, Command
from helpers.models import TINY, tiny_network
from helpers.operating_system import needs_posix
from helpers.patient import FRACTION, SHAPE, SPACING, Patient
from helpers.sidecars import warnings_beside

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.cli import program as cli
from SRDynamicMRILib.inference import series as series_super_resolution
from SRDynamicMRILib.inference.series import FrameFolder
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.io.files import read_series, read_volume, write_series, write_volume
from SRDynamicMRILib.models.checkpoints import Model, load_model, save_model
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.progress import JsonProgress
from SRDynamicMRILib.volume import Series, Volume

TIME_POINTS = 8
COMMON = ("--fraction", FRACTION, "--stride", 4, 6, 8, "--threads", 1, "--device", "cpu")
"""By overlapping patches, so that a time point takes long enough to be interrupted after the first."""


@dataclass(frozen=True)
class Job:
    """A series, a model, and what a run that nothing disturbs makes of them."""

    low: Path
    model: Path
    undisturbed: Path

    def arguments(self, out: Path, *more: object) -> list[object]:
        return ["superresolve", self.low, out, "--model", self.model, *COMMON, *more]


@pytest.fixture(scope="module")
def job(patient: Patient, tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    dynamic = abdomen(1, SHAPE, SPACING, TIME_POINTS).dynamic
    low = Series.of([downsample(volume, FRACTION) for volume in dynamic], dynamic.times)
    write_series(low, folder / "low.nii.gz")
    made = Job(folder / "low.nii.gz", patient.model, folder / "undisturbed.nii.gz")
    subprocess.run(process_arguments(made.arguments(made.undisturbed, *QUIET)), check=True)
    return made


def process_arguments(arguments: list[object]) -> list[str]:
    return [sys.executable, "-m", "SRDynamicMRILib", *map(str, arguments)]


def interrupt(arguments: list[object], sent: signal.Signals) -> tuple[int, list[dict[str, Any]], str]:
    """Start a process, send it a signal when its first time point is ready; exit code, events and stderr."""
    process = subprocess.Popen(
        process_arguments(arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job may have inherited that SIGINT is ignored; a user's terminal has not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        events = []
        for line in process.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == "frame" and len([e for e in events if e["event"] == "frame"]) == 1:
                os.kill(process.pid, sent)
        said = process.stderr.read()
    return process.returncode, events, said


@needs_posix
@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_superresolve_goes_on_after(command: Command, job: Job, tmp_path: Path, name: str) -> None:
    out, sent = tmp_path / "sr.nii.gz", signal.Signals[name]
    code, events, said = interrupt(job.arguments(out, *JSON), sent)
    assert "result" not in {e["event"] for e in events}
    if sent == signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == 130
        assert said == "Cancelled.\n"
        assert events[-1] == {"event": "error", "message": "Cancelled."}
        assert not list(tmp_path.rglob(".*")), "nothing temporary is left"
    assert not out.exists()
    assert not (tmp_path / "sr.json").exists()

    finished = sorted((tmp_path / "sr.nii.gz.frames").glob("*.nii"))
    assert 1 <= len(finished) < TIME_POINTS
    assert {Path(e["path"]) for e in events if e["event"] == "frame"} <= set(finished)
    truth = read_series(job.undisturbed)
    for number, frame in enumerate(finished):
        assert (read_volume(frame).data == truth[number].data).all()
    before = {frame: (frame.stat().st_mtime_ns, frame.stat().st_ino) for frame in finished}

    outcome = command(*job.arguments(out, "--resume", *JSON))
    assert (outcome.code, outcome.err) == (0, "")
    assert [e["index"] for e in outcome.events if e["event"] == "frame"] == list(range(TIME_POINTS))
    assert {frame: (frame.stat().st_mtime_ns, frame.stat().st_ino) for frame in finished} == before
    assert out.read_bytes() == job.undisturbed.read_bytes()


class InterruptedAtFrame(JsonProgress):
    """Is cancelled when time point 1 is ready."""

    def frame(self, number: int, path: Path, consistency: Mapping[str, float], model: str) -> None:
        super().frame(number, path, consistency, model)
        if number == 1:
            raise KeyboardInterrupt


def interrupted(
    command: Command, monkeypatch: pytest.MonkeyPatch, progress: Callable[[], Any], *arguments: object
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(cli._PROGRESS, "json", progress)
        assert command(*arguments, *JSON).code == 130


@pytest.fixture
def half(command: Command, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A super-resolution cancelled after 2 of 3 time points; the arguments that began it."""
    start = ["superresolve", patient.low, tmp_path / "sr.nii.gz", "--model", patient.model, "--fraction", FRACTION]
    interrupted(command, monkeypatch, InterruptedAtFrame, *start)
    assert len(list((tmp_path / "sr.nii.gz.frames").glob("*.nii"))) == 2
    return start


def other_model(patient: Patient, folder: Path) -> list[object]:
    save_model(Model(tiny_network(9), TINY), folder / "other.safetensors")
    return ["superresolve", patient.low, "--model", folder / "other.safetensors", "--fraction", FRACTION]


OTHERS: dict[str, Callable[[Patient, Path], list[object]]] = {
    "model": other_model,
    "input": lambda p, _: ["superresolve", p.low_volume, "--model", p.model, "--fraction", FRACTION],
    "grid": lambda p, _: ["superresolve", p.low, "--model", p.model, "--fraction", 0.2],
    "stride": lambda p, _: [
        *("superresolve", p.low, "--model", p.model, "--fraction", FRACTION),
        *("--stride", 24, 24, 24),
    ],
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.usefixtures("half")
def test_another_job_is_not_mixed_with_the_interrupted_one(
    command: Command, patient: Patient, tmp_path: Path, other: str
) -> None:
    frames = tmp_path / "sr.nii.gz.frames"
    before = {file.name: file.stat().st_mtime_ns for file in frames.iterdir()}
    arguments = OTHERS[other](patient, tmp_path)
    arguments.insert(2, tmp_path / "sr.nii.gz")
    outcome = command(*arguments, "--resume", *QUIET)
    assert outcome.code == 2
    assert len([line for line in outcome.err.splitlines() if not line.startswith("Warning: ")]) == 1
    assert "come from another input, model or setting" in outcome.err
    assert "run without --resume to start anew." in outcome.err
    assert {file.name: file.stat().st_mtime_ns for file in frames.iterdir()} == before
    assert not (tmp_path / "sr.nii.gz").exists()
    assert command(*arguments, *QUIET).code == 0
    assert not frames.exists()


def test_without_resume_everything_is_done_anew(
    command: Command, half: list[object], tmp_path: Path, patient: Patient
) -> None:
    frame = tmp_path / "sr.nii.gz.frames" / "frame_0000.nii"
    before = frame.stat().st_mtime_ns
    assert command(*half, *JSON).code == 0
    assert frame.stat().st_mtime_ns > before
    assert len(read_series(tmp_path / "sr.nii.gz")) == 3


@pytest.mark.parametrize("damage", [b"", b"nonsense", None], ids=["empty", "foreign", "cut short"])
def test_a_damaged_time_point_is_done_again(
    command: Command, half: list[object], tmp_path: Path, damage: bytes | None
) -> None:
    """As after a power failure, which may leave a file without its content."""
    frame = tmp_path / "sr.nii.gz.frames" / "frame_0001.nii"
    sound = frame.read_bytes()
    frame.write_bytes(sound[: len(sound) // 2] if damage is None else damage)
    outcome = command(*half, "--resume", *JSON)
    assert (outcome.code, outcome.err) == (0, "")
    assert frame.read_bytes() == sound


def wrong(kept: Path, bound: bool) -> bytes:
    """Write a sound file of other voxels in the place of a time point, with or without a hash that fits."""
    volume, before = read_volume(kept), kept.read_bytes()
    if bound:
        FrameFolder(kept.parent).finish(1, volume.with_data(3 * volume.data))
    else:
        write_volume(volume.with_data(3 * volume.data), kept)
    return before


@pytest.mark.parametrize("bound", [False, True], ids=["of another hash", "of the same hash"])
def test_a_time_point_that_is_another_image_is_done_again(
    command: Command, half: list[object], tmp_path: Path, bound: bool
) -> None:
    frame = tmp_path / "sr.nii.gz.frames" / "frame_0001.nii"
    sound = wrong(frame, bound)
    outcome = command(*half, "--resume", *JSON)
    assert (outcome.code, outcome.err) == (0, "")
    assert "Time point 1 of the earlier run is incomplete or damaged and is computed again." in outcome.messages()
    assert "Time point 0" not in outcome.messages()
    assert frame.read_bytes() == sound


def other_image(factor: float) -> Callable[..., Volume]:
    """Stands in for super-resolution by a model at fault."""

    def compute(*arguments: Any, **settings: Any) -> Volume:
        made = super_resolve(*arguments, **settings)
        return made.with_data(factor * made.data)

    return compute


@pytest.mark.parametrize(
    ("consistency", "factor", "warned"),
    [(True, 1.01, True), (True, 1.0005, False), (False, 3, True), (False, 1.01, False)],
)
def test_a_result_that_is_another_image_is_warned_of(
    command: Command,
    patient: Patient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    consistency: bool,
    factor: float,
    warned: bool,
) -> None:
    model, out = tmp_path / "m.safetensors", tmp_path / "o.nii.gz"
    network = tiny_network()
    torch.nn.init.zeros_(list(network.parameters())[-1])
    torch.nn.init.zeros_(list(network.parameters())[-2])
    save_model(Model(network, replace(TINY, data_consistency=consistency)), model)
    monkeypatch.setattr(series_super_resolution, "super_resolve", other_image(factor))
    outcome = command("superresolve", patient.low, out, "--model", model, "--fraction", FRACTION, *JSON)
    assert outcome.code == 0
    sentence = (
        "3 of 3 time points (0, 1, 2) do not agree with the acquired images: the data-consistency residual is up to"
    )
    assert (sentence in outcome.messages()) == (sentence in outcome.err) == warned
    assert (sentence in " ".join(warnings_beside(out))) == warned


def test_a_finished_time_point_is_read_once_to_go_on_and_once_for_the_output(
    command: Command, half: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path) -> Volume:
        read.append(path.name)
        return read_volume(path)

    monkeypatch.setattr(series_super_resolution, "read_volume", counted)
    assert command(*half, "--resume", *QUIET).code == 0
    assert [read.count(f"frame_{number:04d}.nii") for number in (0, 1)] == [2, 2]


def test_resume_where_nothing_was_begun(command: Command, patient: Patient, tmp_path: Path) -> None:
    out = tmp_path / "sr.nii.gz"
    arguments = ("superresolve", patient.low_volume, out, "--model", patient.model, "--fraction", FRACTION)
    assert command(*arguments, "--resume", *QUIET).code == 0
    assert read_volume(out).shape == SHAPE


# Fine-tuning


class InterruptedAtStep(JsonProgress):
    """Is cancelled after 2 steps of an optimisation."""

    def step(self, done: int, total: int) -> None:
        super().step(done, total)
        if done == 2:
            raise KeyboardInterrupt


def tuning(patient: Patient, out: Path, *more: object) -> list[object]:
    start = ["finetune", patient.static, "--fraction", FRACTION, "--output", out, "--model", patient.model]
    return [*start, "--budget", "quick", "--threads", 1, "--device", "cpu", *more]


def test_finetune_goes_on(
    command: Command, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_steps: int
) -> None:
    whole, out = tmp_path / "whole.safetensors", tmp_path / "m.safetensors"
    assert command(*tuning(patient, whole), *QUIET).code == 0
    interrupted(command, monkeypatch, InterruptedAtStep, *tuning(patient, out))
    assert not out.exists()
    state = tmp_path / "m.state.safetensors"
    assert state.is_file()
    kept = state.read_bytes()

    outcome = command(*tuning(patient, out, "--resume"), *JSON)
    assert (outcome.code, outcome.err) == (0, "")
    assert [e["done"] for e in outcome.events if e["event"] == "progress"] == list(range(3, few_steps + 1))
    assert "Resuming after step 2." in outcome.messages()
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [out.name, whole.name]

    state.write_bytes(kept)
    outcome = command(*tuning(patient, out, "--resume", "--seed", 1), *QUIET)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "belongs to a training with other data or settings" in outcome.err
    assert out.read_bytes() == whole.read_bytes()

    state.write_bytes(kept[:1000])
    outcome = command(*tuning(patient, out, "--resume"), *QUIET)
    assert outcome.code == 2
    assert str(state) in outcome.err


@pytest.mark.usefixtures("few_steps")
def test_finetune_of_another_model_is_not_mixed_in(
    command: Command, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m.safetensors"
    interrupted(command, monkeypatch, InterruptedAtStep, *tuning(patient, out))
    other = tmp_path / "other.safetensors"
    save_model(Model(tiny_network(9), TINY), other)
    arguments = tuning(replace(patient, model=other), out)
    outcome = command(*arguments, "--resume", *QUIET)
    assert outcome.code == 2
    assert "belongs to a training with other data or settings" in outcome.err
    assert command(*arguments, *QUIET).code == 0
    assert load_model(out).info.parent == load_model(other).sha256


def test_a_cancelled_finetune_leaves_no_half_written_model(patient: Patient, tmp_path: Path) -> None:
    arguments = process_arguments([*tuning(patient, tmp_path / "m.safetensors"), *JSON])
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        for line in process.stdout:
            if json.loads(line)["event"] == "progress":
                process.terminate()
                break
        process.stdout.read()
        assert process.stderr.read() == "Cancelled.\n"
    assert process.returncode == 130
    assert {p.name for p in tmp_path.iterdir()} <= {"m.state.safetensors"}
