"""Fixtures of all tests: a tiny patient with a tiny model as files, the command line in process, real scans."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.command_line import Command, Outcome, Show
from helpers.models import TINY, tiny_network
from helpers.patient import FRACTION, SHAPE, SPACING, TIME_POINTS, Patient

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.cli.program import main
from SRDynamicMRILib.io.files import write_series, write_volume
from SRDynamicMRILib.models import budgets
from SRDynamicMRILib.models.checkpoints import Model, save_model
from SRDynamicMRILib.models.recipes import DEFAULT, RECIPES
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="many more kills, damaged files and time points")


@pytest.fixture(scope="session")
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether to try many more cases than the everyday tests do."""
    return bool(request.config.getoption("--thorough"))


@pytest.fixture
def show(request: pytest.FixtureRequest, thorough: bool) -> Show:
    """Show a figure that was measured; docs/reliability.md quotes those of a thorough run."""
    plugins = request.config.pluginmanager
    terminal, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")

    def write(text: str) -> None:
        if thorough:
            with capture.global_and_fixture_disabled():
                terminal.write_line(f"\n{text}")

    return write


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Patient:
    """A patient at rest, breathing, and breathing in low resolution (with and without a note of the full matrix)."""
    folder = tmp_path_factory.mktemp("patient")
    names = ("static", "dynamic", "low", "noted", "volume")
    files = [folder / f"{name}.nii.gz" for name in names]
    phantom = abdomen(1, SHAPE, SPACING, TIME_POINTS)
    low = Series.of([downsample(volume, FRACTION) for volume in phantom.dynamic], phantom.dynamic.times)
    write_volume(phantom.static, files[0])
    write_series(phantom.dynamic, files[1])
    write_series(low, files[2])
    write_series(low.with_facts(fraction=FRACTION, full_matrix=list(SHAPE[1:])), files[3])
    write_volume(low[0], files[4])
    model = folder / "tiny.safetensors"
    save_model(Model(tiny_network(), TINY), model)
    return Patient(*files, model)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run the command line in this process; what it changes in the process is put back."""
    threads = torch.get_num_threads()
    handler = signal.getsignal(signal.SIGTERM)
    torch.set_num_threads(1)  # threads wait for each other longer than tiny volumes take

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Outcome(code, *capfd.readouterr())

    yield run
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Networks so small that threads would only wait for one another, ten times longer on a busy computer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> int:
    """Make the budget ``quick`` so small that it takes a moment; returns its number of steps."""
    monkeypatch.setitem(RECIPES, "default", replace(DEFAULT, patch=(8, 16, 16)))
    monkeypatch.setitem(budgets.BUDGETS, "quick", budgets.TrainingBudget("quick", 4))
    return 4


@pytest.fixture
def lost_errors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """Errors of listeners, which signals hand to the interpreter's hook; a test that expects some clears the list."""
    errors: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, traceback: errors.append(error))
    yield errors
    assert not errors


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real scans."""
    place = os.environ.get("SRDYNAMICMRI_DATA", "")
    if not place or not Path(place).is_dir():
        pytest.skip("SRDYNAMICMRI_DATA does not name a folder of real scans")
    return Path(place)
