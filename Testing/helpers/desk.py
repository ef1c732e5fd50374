"""The Slicer module without its panel: a scene, its jobs and the presenter."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from SRDynamicMRISlicer.jobs.job import Job, Kind
from SRDynamicMRISlicer.jobs.worker import Worker
from SRDynamicMRISlicer.presenter.choices import Choices
from SRDynamicMRISlicer.presenter.panel_choices import Metric
from SRDynamicMRISlicer.presenter.presenter import Presenter
from SRDynamicMRISlicer.presenter.states import RUNNING, State
from SRDynamicMRISlicer.scene.checks import check_images
from SRDynamicMRISlicer.scene.chosen_result import with_result
from SRDynamicMRISlicer.scene.job_files import JobFiles
from SRDynamicMRISlicer.scene.job_scene import JobScene, is_compared
from SRDynamicMRISlicer.scene.model_nodes import model_file
from SRDynamicMRISlicer.step_queue import StepQueue

from helpers.patient import Patient
from helpers.processes import INTERPRETER, FakeTimer, Loop, RealProcess
from helpers.scenes import Slicer
from SRDynamicMRILib.io.files import read_series, read_volume

NAMES = (
    "priorVolume",
    "dynamicSeries",
    "groundTruth",
    "result",
    "interpolated",
    "tunedModel",
    "tunedOn",
    "ssimMaps",
    "differenceMaps",
    "metricsTable",
    "summaryTable",
    "metricChart",
)


class Desk:
    """A scene with its choices, a presenter and workers; without a panel."""

    def __init__(self, app: Slicer, folder: Path, answer: bool = True) -> None:
        self.app = app
        self.loop = Loop()
        self.folder = folder
        self.asked: list[str] = []
        self.made: list[Kind] = []
        self.errors: list[Exception] = []
        self.frames: list[int] = []
        self._answer = answer
        self.parameters = SimpleNamespace(
            **dict.fromkeys(NAMES), baseModel="", useTuned=True, metric=Metric.SSIM, bodyOnly=False
        )
        self.queue = StepQueue(self.loop)
        self.queue.failed.connect(self._on_failed)
        self.jobs = JobScene(app.scene, JobFiles(folder / "jobs"), folder / "samples", self.queue, self._ask)
        self.jobs.set_parameters(self.parameters)
        self.jobs.made.connect(self._on_made)
        self.presenter = Presenter(
            lambda: Worker(RealProcess(self.loop), self.loop, INTERPRETER),
            lambda: "",
            lambda kind: self.jobs.prepare(kind, self.presenter.choices),
            self.loop,
            FakeTimer(),
            {},
        )
        self.presenter.frame_ready.connect(self._on_frame)
        self.presenter.finished.connect(self._on_finished)

    def _ask(self, question: str) -> bool:
        self.asked.append(question)
        return self._answer

    def _on_frame(self, number: int, path: Path, model: str) -> None:
        self.frames.append(number)
        self.jobs.add_frame(number, path, model)

    def _on_finished(self, job: Job, outputs: dict[str, Path]) -> None:
        self.presenter.bring_in(True)
        self.jobs.finish(job, outputs)

    def _on_made(self, kind: Kind) -> None:
        self.presenter.bring_in(False)
        self.made.append(kind)

    def _on_failed(self, error: Exception) -> None:
        self.errors.append(error)
        self.presenter.complain(str(error))
        self.presenter.bring_in(False)

    def look(self, **choices: object) -> None:
        """Tell the presenter of the scene and the choices."""
        p = self.parameters
        facts = check_images(p.priorVolume, p.dynamicSeries, p.groundTruth)
        self.presenter.set_images(with_result(facts, p.result, is_compared(p)))
        tuned = model_file(p.tunedModel, self.folder / "jobs") if p.tunedModel is not None else None
        base = Path(p.baseModel) if p.baseModel else None
        self.presenter.set_choices(Choices(base_model=base, tuned_model=tuned, device="cpu", **choices))

    def run(self, start: str) -> None:
        """Start a job and wait until what it made is in the scene."""
        getattr(self.presenter, start)()
        busy = (*RUNNING, State.CANCELLING)
        self.loop.run_until(lambda: self.presenter.state not in busy and self.queue.waiting == 0)
        view = self.presenter.content
        assert view.state is State.DONE, (view.failure, view.last_lines)
        self.look()


def low_patient(desk: Desk, patient: Patient) -> None:
    p, app = desk.parameters, desk.app
    p.priorVolume = app.volume(read_volume(patient.static), "planning")
    p.dynamicSeries = app.sequence(read_series(patient.low), "low")
    p.baseModel = str(patient.model)
