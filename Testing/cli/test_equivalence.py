"""Python, command line, benchmark and worker are one: the same model and the same result, bit for bit.

Images are MetaImage files, which keep positions to the last bit: what is read is what was made.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import QUIET, Command
from helpers.patient import FRACTION, SHAPE, TIME_POINTS, Patient, inverted
from helpers.project import ROOT
from helpers.recorder import Recorder

import SRDynamicMRILib as sr
from SRDynamicMRILib.benchmark.folder import BenchmarkFolder
from SRDynamicMRILib.benchmark.scenarios import Case
from SRDynamicMRILib.benchmark.table3 import FINE_TUNED
from SRDynamicMRILib.phantom import Phantom, abdomen
from SRDynamicMRILib.requests import FineTuneRequest, Request, SuperResolveRequest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

SPACING = (5.0, 5.25, 9.0)
"""Of numbers that float32 holds."""

Result = tuple[str, list[np.ndarray]]
"""SHA-256 of a model's file, and the voxels of every time point."""

WORKER = """\
import sys
from dataclasses import replace
import torch
from SRDynamicMRILib.models import budgets
from SRDynamicMRILib.models.recipes import DEFAULT, RECIPES
from SRDynamicMRILib.cli.preloaded import wait_and_run
torch.set_num_threads(1)
RECIPES["default"] = replace(DEFAULT, patch=(8, 16, 16))
budgets.BUDGETS["quick"] = budgets.TrainingBudget("quick", 4)
sys.exit(wait_and_run())
"""
"""The worker with the short training budget of the fixture `few_steps`."""

PRIORS: dict[str, Callable[[Phantom], sr.Volume]] = {
    "matching": lambda made: made.dynamic[0].with_data(1.001 * made.dynamic[0].data),
    "other contrast": lambda made: inverted(made.static),
    "wrong": lambda made: made.static.with_data(np.random.default_rng(0).permuted(made.static.data, axis=1)),
}


@pytest.fixture(params=PRIORS)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A subject of a benchmark, and its series in low resolution."""
    phantom = abdomen(1, SHAPE, SPACING, TIME_POINTS)
    subject = tmp_path / "subject"
    subject.mkdir()
    sr.write_volume(PRIORS[request.param](phantom), subject / "static.mha")
    sr.write_series(phantom.dynamic, subject / "dynamic.mha")
    dynamic = sr.read_series(subject / "dynamic.mha")
    low = [sr.downsample(volume, FRACTION) for volume in dynamic]
    sr.write_series(sr.Series.of(low, dynamic.times), tmp_path / "low.mha")
    return tmp_path


def voxels(path: Path) -> list[np.ndarray]:
    return [volume.data for volume in sr.read_series(path)]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


TOLD = {
    "matching": "",
    "other contrast": "intensities were remapped",
    "wrong": "stays close to the base model",
}
"""What fine-tuning says of each planning scan."""


def by_python(files: Path, base: Path, told: str) -> Result:
    planning, series = sr.read_volume(files / "subject" / "static.mha"), sr.read_series(files / "low.mha")
    recorder = Recorder()
    model = sr.fine_tune(planning, series, model=base, budget="quick", device="cpu", progress=recorder)
    assert {each for each in TOLD.values() if each and each in " ".join(recorder.messages)} == {told} - {""}
    like = sr.read_series(files / "subject" / "dynamic.mha")
    result = sr.super_resolve(series, model, prior=planning, like=like, device="cpu")
    sr.save_model(model, files / "python.safetensors")
    assert model.sha256 == sha256(files / "python.safetensors") == result.facts["model"]
    return model.sha256, [volume.data for volume in result]


def requests(files: Path, base: Path, name: str) -> tuple[FineTuneRequest, SuperResolveRequest]:
    static, low, model = files / "subject" / "static.mha", files / "low.mha", files / f"{name}.safetensors"
    return (
        FineTuneRequest(prior=static, series=low, output=model, model=base, budget="quick", device="cpu"),
        SuperResolveRequest(
            input=low,
            output=files / f"{name}.mha",
            model=model,
            prior=static,
            like=files / "subject" / "dynamic.mha",
            device="cpu",
        ),
    )


def by_command_line(files: Path, base: Path, command: Command) -> Result:
    tune, apply = requests(files, base, "command")
    words = ["--like", tune.series, "--output", tune.output, "--model", base, "--budget", "quick", "--device", "cpu"]
    assert command("finetune", tune.prior, *words, *QUIET).code == 0
    words = ["--model", apply.model, "--prior", apply.prior, "--like", apply.like, "--device", "cpu"]
    assert command("superresolve", apply.input, apply.output, *words, *QUIET).code == 0
    return sha256(tune.output), voxels(apply.output)


def by_worker(files: Path, base: Path) -> Result:
    tune, apply = requests(files, base, "worker")
    for request in (tune, apply):
        work(request)
    return sha256(tune.output), voxels(apply.output)


def work(request: Request) -> None:
    """Let a worker do a request; its standard input stays open until it has ended."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(request.to_json().encode() + b"\n")
        worker.stdin.flush()
        said = worker.stdout.read()
        assert worker.wait() == 0, said


def by_benchmark(files: Path, base: Path, command: Command) -> Result:
    words = ["--scenarios", "signed", "--fractions", FRACTION, "--model", base, "--budget", "quick", "--device", "cpu"]
    assert command("benchmark", files / "subject", "--output", files / "benchmark", *words, *QUIET).code == 0
    folder = BenchmarkFolder(files / "benchmark")
    case = Case("signed", FRACTION)
    images = [folder.image("subject", case, number, FINE_TUNED) for number in range(TIME_POINTS)]
    return sha256(folder.model("subject", case)), [sr.read_volume(image).data for image in images]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.usefixtures("few_steps")
def test_all_ways_lead_to_the_same_model_and_result(
    request: pytest.FixtureRequest, files: Path, patient: Patient, command: Command
) -> None:
    expected, result = by_python(files, patient.model, TOLD[request.node.callspec.params["files"]])
    for sha, images in (
        by_command_line(files, patient.model, command),
        by_worker(files, patient.model),
        by_benchmark(files, patient.model, command),
    ):
        assert sha == expected
        assert len(images) == TIME_POINTS
        assert all(np.array_equal(one, other) for one, other in zip(images, result, strict=True))
