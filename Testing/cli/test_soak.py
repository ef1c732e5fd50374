"""Long series: memory, nodes and observers do not grow with the number of time points.

The everyday run is short; with --thorough it is 500 time points in the worker and 10,000 in the scene.
"""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import slicer
from helpers.command_line import Show
from helpers.models import TINY, tiny_network
from helpers.processes import INTERPRETER, FakeProcess, FakeTimer
from helpers.scenes import Slicer
from SRDynamicMRISlicer.jobs.job import Kind
from SRDynamicMRISlicer.jobs.worker import Worker
from SRDynamicMRISlicer.presenter.choices import Choices
from SRDynamicMRISlicer.presenter.chosen_images import ChosenImages, ImageFacts
from SRDynamicMRISlicer.presenter.chosen_job import Files
from SRDynamicMRISlicer.presenter.presenter import Presenter
from SRDynamicMRISlicer.presenter.states import State
from SRDynamicMRISlicer.scene.results import ResultSequence
from SRDynamicMRISlicer.step_queue import Stepwise

from SRDynamicMRILib.cli import program as cli
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.files import read_series, write_series, write_volume
from SRDynamicMRILib.models.checkpoints import Model, save_model
from SRDynamicMRILib.progress import JsonProgress
from SRDynamicMRILib.volume import Series, Volume

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread", "lost_errors")]

LOW, HIGH = (4, 8, 8), (4, 16, 16)


def resident() -> int:
    """Bytes of memory that this process has now."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found
    return 1024 * int(found[1])


def growth(samples: list[int], share: float = 0.2) -> float:
    """Memory of the last samples against that of the first, as a factor."""
    count = int(share * len(samples))
    return median(samples[-count:]) / median(samples[:count])


def random_series(count: int) -> Series:
    def load(number: int) -> np.ndarray:
        return np.random.default_rng(number).uniform(1, 100, LOW)

    return Series(load, [0.5 * number for number in range(count)], Geometry(LOW, (2.0, 2.0, 4.0)))


class Sampling(JsonProgress):
    """Notes the memory at every time point."""

    def __init__(self, samples: list[int]) -> None:
        super().__init__()
        self.samples = samples

    def frame(self, number: int, path: Path, *about: object) -> None:
        self.samples.append(resident())


@pytest.mark.parametrize("ending", [".seq.nrrd", ".nii.gz"])
def test_memory_of_the_worker_is_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thorough: bool, show: Show, ending: str
) -> None:
    count = 500 if thorough else 100
    write_series(random_series(count), tmp_path / f"low{ending}")
    save_model(Model(tiny_network(), TINY), tmp_path / "m.safetensors")
    samples: list[int] = []
    monkeypatch.setitem(cli._PROGRESS, "json", lambda: Sampling(samples))
    begun = time.monotonic()
    arguments = [
        "superresolve",
        tmp_path / f"low{ending}",
        tmp_path / f"o{ending}",
        "--model",
        tmp_path / "m.safetensors",
    ]
    assert cli.main([*map(str, arguments), "--fraction", "0.25", "--progress", "json", "--threads", "1"]) == 0
    show(
        f"{count} time points ({ending}) in {time.monotonic() - begun:.0f} s, "
        f"{samples[0] / 2**20:.1f} MiB at first and {samples[-1] / 2**20:.1f} MiB at last, {growth(samples):.4f} times"
    )
    assert len(samples) == count
    assert growth(samples) < 1.05
    assert len(read_series(tmp_path / f"o{ending}")) == count


class Observers:
    """Counts what listens to the nodes of a scene."""

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self.scene = scene

    def nodes(self) -> Iterator[slicer.vtkMRMLNode]:
        return (self.scene.GetNthNode(number) for number in range(self.scene.GetNumberOfNodes()))

    def counts(self) -> tuple[int, int, int]:
        """Nodes, nodes with an observer of any event, and references to them from Python."""
        gc.collect()
        found = list(self.nodes())
        observed = sum(bool(node.HasObserver("AnyEvent")) + bool(node.HasObserver("ModifiedEvent")) for node in found)
        return len(found), observed, sum(issubclass(type(one), slicer.vtkMRMLNode) for one in gc.get_objects())


def presenter_with(process: FakeProcess, timer: FakeTimer, folder: Path) -> Presenter:
    def prepare(_kind: Kind) -> Stepwise[Files]:
        yield from ()
        return Files(folder / "o.seq.nrrd", series=folder / "low.seq.nrrd", prior=folder / "prior.nii")

    presenter = Presenter(
        lambda: Worker(process, timer, INTERPRETER),
        lambda: "",
        prepare,
        timer,
        timer,
        {},
    )
    image = ImageFacts("1", "low", LOW[::-1], (2.0, 2.0, 4.0), 10)
    prior = ImageFacts("2", "prior", HIGH[::-1], (1.0, 1.0, 4.0))
    presenter.set_images(ChosenImages(prior=prior, series=image, fraction=0.25, overlap=True))
    presenter.set_choices(Choices())
    return presenter


def test_the_scene_does_not_grow_with_what_a_worker_tells(tmp_path: Path, thorough: bool, show: Show) -> None:
    """A fast worker tells of time points again and again; each is read, put into its place and shown."""
    told, places = (10_000 if thorough else 1_000), 20
    app = Slicer()
    source = app.sequence(random_series(places), "low")
    files = [tmp_path / f"frame_{number:04d}.nii" for number in range(places)]
    for number, file in enumerate(files):
        write_volume(Volume(np.random.default_rng(number).uniform(1, 9, HIGH), Geometry(HIGH, (1.0, 1.0, 4.0))), file)
    process, timer = FakeProcess(), FakeTimer()
    presenter = presenter_with(process, timer, tmp_path)
    result = ResultSequence(source, "result", {"Notice": "n"})
    views: list[object] = []
    presenter.changed.connect(lambda view: views.append(view.progress))
    presenter.frame_ready.connect(lambda number, path, model: result.add_file(number, path))
    presenter.super_resolve()
    process.begin()
    samples: list[int] = []
    observers = Observers(app.scene)
    before = (0, 0, 0)
    begun = time.monotonic()
    for number in range(told):
        place = number % places
        process.say("frame", index=place, path=str(files[place]))
        process.say("progress", done=number + 1, total=told)
        process.say("log", message=f"time point {number}")
        timer.advance(0.05)
        samples.append(resident())
        if number == 2 * places:
            before = observers.counts()
    assert presenter.state is State.SUPER_RESOLVING
    after = observers.counts()
    show(
        f"{told} time points told in {time.monotonic() - begun:.0f} s: nodes, observers, references {before}, {after}; "
        f"{samples[0] / 2**20:.1f} MiB at first and {samples[-1] / 2**20:.1f} MiB at last, {growth(samples):.4f} times"
    )
    assert after == before
    assert growth(samples) < 1.05
    assert result.node.GetNumberOfDataNodes() == places
    assert len(views) > told / 10, "the panel was told"
    process.complete(output=str(tmp_path / "o.seq.nrrd"))
    assert presenter.state is State.DONE


def test_a_series_of_many_time_points_fills_a_sequence(thorough: bool, show: Show) -> None:
    """As many different time points: two nodes of the scene and as much memory as their voxels take."""
    count = 10_000 if thorough else 1_000
    app = Slicer()
    source = app.sequence(random_series(count), "low")
    result = ResultSequence(source, "result", {"Notice": "n"})
    volume = Volume(np.random.default_rng(0).uniform(1, 9, LOW), Geometry(LOW, (2.0, 2.0, 4.0)))
    result.add(0, volume)
    nodes = Observers(app.scene).counts()[:2]
    before, begun = resident(), time.monotonic()
    for number in range(1, count):
        result.add(number, volume)
    each = (resident() - before) / count
    show(f"{count} different time points: {each / 1024:.1f} KiB each in {time.monotonic() - begun:.0f} s")
    assert Observers(app.scene).counts()[:2] == nodes
    assert result.node.GetNumberOfDataNodes() == count
    assert each < 32 * 1024, "voxels take 1 KiB, a node some more"
