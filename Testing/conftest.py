"""What the tests share: a tiny patient with a tiny model as files, the command line in process, real scans."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from SRDynamicMRILib.acquisition.kspace import downsample
from SRDynamicMRILib.cli.program import main
from SRDynamicMRILib.io.files import write_series, write_volume
from SRDynamicMRILib.io.sidecar import description
from SRDynamicMRILib.models import budgets
from SRDynamicMRILib.models.checkpoints import Model, save_model
from SRDynamicMRILib.models.model_info import ModelInfo
from SRDynamicMRILib.models.recipes import DEFAULT, RECIPES
from SRDynamicMRILib.networks.unet import UNet3D
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.progress import Progress
from SRDynamicMRILib.volume import Series

needs_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has neither these signals nor these files")

SHAPE = (8, 48, 64)
SPACING = (5.0, 5.2, 9.0)
TIME_POINTS = 3
FRACTION = 0.25
LOW_SHAPE = (8, 24, 32)
FEATURES = 4

TINY = ModelInfo(
    features=FEATURES,
    fractions=(0.25, 0.1, 0.0625),
    interpolation="non_negative",
    normalisation="percentile",
    residual=True,
    data_consistency=True,
    recipe="default",
)


@dataclass(frozen=True)
class Patient:
    """Files of a synthetic patient; tests read them and write elsewhere."""

    static: Path
    dynamic: Path
    low: Path
    low_with_matrix: Path
    low_volume: Path
    model: Path


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON objects of stdout, one for every line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def messages(self, event: str = "log") -> str:
        """The messages of all events of a kind, one a line."""
        return "\n".join(e["message"] for e in self.events if e["event"] == event)


Command = Callable[..., Outcome]
QUIET = ("--progress", "none")
JSON = ("--progress", "json")
Show = Callable[[str], None]


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


def tiny_network(seed: int = 0) -> UNet3D:
    torch.manual_seed(seed)
    return UNet3D(FEATURES).eval()


class Recorder(Progress):
    """Remembers what it is told, and can cancel the work after a step."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.steps: list[tuple[int, int]] = []
        self.losses: list[tuple[int, float]] = []
        self.validations: list[tuple[int, dict[str, float]]] = []
        self.messages: list[str] = []

    def step(self, done: int, total: int) -> None:
        self.steps.append((done, total))
        if done == self.stop_after:
            raise KeyboardInterrupt

    def loss(self, step: int, value: float) -> None:
        self.losses.append((step, value))

    def validation(self, step: int, scores: Mapping[str, float]) -> None:
        self.validations.append((step, dict(scores)))

    def log(self, message: str) -> None:
        self.messages.append(message)


def same_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def strict_json(path: Path) -> Any:
    """Content of a JSON file; NaN and Infinity, which JSON does not have, fail."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


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
    write_series(low, files[3], description(fraction=FRACTION, full_matrix=SHAPE[1:]))
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
