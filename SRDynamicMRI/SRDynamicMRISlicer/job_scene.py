"""Between jobs and scene: what a job reads is written from the scene, and what it makes comes back into it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import slicer

from SRDynamicMRILib.provenance import recorded
from SRDynamicMRILib.shipped import base_model

from .choices import Choices
from .chosen_job import Files
from .evaluation_nodes import KeptEvaluation, choice_of, evaluation_of, keep_choice, keep_evaluation, report_of
from .job_files import JobFiles, JobNodes, numbers_of
from .jobs import Job, Kind
from .metrics_nodes import MapSequences, evaluation_from_csv
from .model_nodes import add_model, hash_of_model
from .parameters import Parameters
from .sample_data import DYNAMIC, STATIC, load_sample
from .scene_import import as_sequence
from .scene_outputs import (
    SSIM_MAP,
    FigureNodes,
    map_steps,
    remove_sequence,
    series_steps,
    write_figures,
)
from .scene_provenance import facts_of_fidelity, facts_of_result, write_facts
from .scene_results import ResultSequence
from .scene_sequences import index_of
from .signal import Signal
from .step_queue import StepQueue
from .translation import _

_OF_RESULT = "SRDynamicMRI.result"
"""Reference of a table to the result that it is about."""

_SERIES, _PLANNING_SCAN = "SRDynamicMRI.series", "SRDynamicMRI.planningScan"
"""References of a result to what it was made of."""


@dataclass(frozen=True)
class _Prepared:
    """What a job was started with: the choices may change before it ends."""

    nodes: JobNodes
    files: Files
    choices: Choices
    overwrite: bool = False
    selected: slicer.vtkMRMLSequenceNode | None = None


class JobScene:
    """Prepares jobs from the chosen nodes and brings in what they make.

    Parameters
    ----------
    scene
        The scene.
    files
        Writes inputs.
    samples
        Folder of the sample data.
    queue
        For what would take long at once.
    ask
        Asks the user a question that has yes and no for answers.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        files: JobFiles,
        samples: Path,
        queue: StepQueue,
        ask: Callable[[str], bool],
    ) -> None:
        self.made: Signal[[Kind]] = Signal()
        """What a job has made is all in the scene."""
        self.checkpoint: Path | None = None
        """Published checkpoint to import next."""
        self.imported: Path | None = None
        """Name of the model that it becomes."""
        self._scene, self._files, self._samples, self._queue, self._ask = scene, files, samples, queue, ask
        self._parameters: Parameters | None = None
        self._prepared: dict[Kind, _Prepared] = {}
        self._result: ResultSequence | None = None
        self._result_file: Path | None = None

    def set_parameters(self, parameters: Parameters | None) -> None:
        """Take the choices of another scene; what belongs to the earlier one is forgotten."""
        self._parameters = parameters
        self._queue.clear()
        self._prepared.clear()
        self._result = self._result_file = None

    # Before a job

    def take_series(self) -> None:
        """Turn a chosen volume into a sequence: the sequence is chosen from now on.

        Raises
        ------
        InputError
            If it holds no series.
        """
        p = self._given()
        if p.dynamicSeries is not None:
            sequence = as_sequence(p.dynamicSeries)
            if sequence is not p.dynamicSeries:
                p.dynamicSeries = sequence

    def prepare(self, kind: Kind, choices: Choices) -> Files:
        """Write the inputs of a job.

        Raises
        ------
        InputError, OSError
            As for `JobFiles.prepare`.
        """
        p = self._given()
        nodes = JobNodes(p.priorVolume, p.dynamicSeries, p.groundTruth, p.result, p.interpolated)
        if kind is Kind.PHANTOM:
            files = Files(self._samples)
        elif kind is Kind.IMPORT_MODEL:
            files = Files(self.imported or Path(), checkpoint=self.checkpoint)
        else:
            files = self._files.prepare(kind, nodes, _asked(kind, choices))
        prepared = _Prepared(nodes, files, choices)
        if kind is Kind.SUPER_RESOLVE and not self._goes_on(files):
            prepared = self._with_place(prepared)
        self._prepared[kind] = prepared
        return files

    def _goes_on(self, files: Files) -> bool:
        """Whether a job would fill the sequence that an equal one has begun."""
        return (
            self._result is not None and self._result_file == files.output and self._result.node.GetScene() is not None
        )

    def _with_place(self, prepared: _Prepared) -> _Prepared:
        """Ask before anything that is chosen for the result is lost."""
        selected = prepared.nodes.result
        overwrite = False
        if selected is not None and selected.GetNumberOfDataNodes() > 0:
            question = _("{name} holds results. Replace them? If not, the new results go to a new sequence.")
            overwrite = self._ask(question.format(name=selected.GetName()))
        self._result = None
        return replace(prepared, overwrite=overwrite, selected=selected)

    # While a job runs

    def add_frame(self, number: int, path: Path) -> None:
        """Show a time point that is ready.

        Raises
        ------
        InputError
            If the series has gone, or the file cannot be read.
        """
        prepared = self._prepared[Kind.SUPER_RESOLVE]
        if self._result is None or not self._goes_on(prepared.files):
            source = prepared.nodes.series
            self._result = ResultSequence(
                as_sequence(source),
                _("{name} super-resolved").format(name=source.GetName()),
                self._facts(prepared),
                prepared.selected,
                prepared.overwrite,
            )
            self._result_file = prepared.files.output
            # References and no names, which may be those of patients.
            self._result.node.SetNodeReferenceID(_SERIES, source.GetID())
            if prepared.nodes.prior is not None:
                self._result.node.SetNodeReferenceID(_PLANNING_SCAN, prepared.nodes.prior.GetID())
        self._result.add_file(number, path)
        p = self._given()
        if p.result is not self._result.node:
            p.result = self._result.node

    def _facts(self, prepared: _Prepared) -> dict[str, str]:
        c = prepared.choices
        tuned = c.use_tuned and c.tuned_model is not None
        return facts_of_result(
            hash_of_model(self._given().tunedModel) if tuned else _file_hash(c.base_model or base_model(c.fraction)),
            FineTuned=tuned,
            Seed=c.seed,
            Device=c.device,
        )

    # After a job

    def finish(self, job: Job, outputs: dict[str, Path]) -> None:
        """Bring in what a job has made, in steps; `made` follows.

        Raises
        ------
        InputError
            If it cannot be read, or the scene has changed too much.
        """
        actions = {
            Kind.FINE_TUNE: self._finish_fine_tuning,
            Kind.SUPER_RESOLVE: self._finish_super_resolution,
            Kind.EVALUATE: self._finish_evaluation,
            Kind.INTERPOLATE: self._finish_interpolation,
            Kind.DOWNSAMPLE: self._finish_simulation,
            Kind.PHANTOM: self._finish_samples,
            Kind.IMPORT_MODEL: self._finish_import,
        }
        actions[job.kind](self._prepared[job.kind], outputs)
        self._queue.add([lambda: self.made.emit(job.kind)])

    def load_samples(self) -> None:
        """Load both samples, which have been made, and choose them."""
        p = self._given()
        p.priorVolume = load_sample(self._scene, STATIC, self._samples)
        p.dynamicSeries = load_sample(self._scene, DYNAMIC, self._samples)
        p.groundTruth = None

    def _finish_samples(self, prepared: _Prepared, outputs: dict[str, Path]) -> None:
        self._queue.add([self.load_samples])

    def _finish_import(self, prepared: _Prepared, outputs: dict[str, Path]) -> None:
        self._given().baseModel = str(outputs["model"])

    def _finish_fine_tuning(self, prepared: _Prepared, outputs: dict[str, Path]) -> None:
        p, prior = self._given(), prepared.nodes.prior
        c = prepared.choices
        name = _("{name} fine-tuned model").format(name=prior.GetName())
        p.tunedModel = add_model(self._scene, outputs["model"], name, Budget=c.budget, Seed=str(c.seed))
        p.tunedModel.SetNodeReferenceID(_PLANNING_SCAN, prior.GetID())
        p.tunedOn = prior
        p.useTuned = True

    def _finish_super_resolution(self, prepared: _Prepared, outputs: dict[str, Path]) -> None:
        if self._result is None:
            return
        known = recorded(outputs["output"])
        node = self._result.node
        data = [node.GetNthDataNode(number) for number in range(node.GetNumberOfDataNodes())]
        facts = {"Model": str(known["model"]), **facts_of_fidelity(known)}  # the hash that the worker itself has seen
        for one in filter(None, [node, self._result.proxy, *data]):
            write_facts(one, facts)

    def _finish_simulation(self, prepared: _Prepared, outputs: dict[str, Path]) -> None:
        source = as_sequence(prepared.nodes.series)
        percent = 100 * prepared.choices.simulated_fraction
        name = _("{name} {percent:.4g}%").format(name=source.GetName(), percent=percent)
        low = ResultSequence(source, name, {"Image": "low resolution", "Percent": f"{percent:.6g}"})

        def choose() -> None:
            p = self._given()
            p.groundTruth, p.dynamicSeries = source, low.node

        self._queue.add([*series_steps(low, outputs["output"]), choose])

    def _finish_interpolation(self, prepared: _Prepared, outputs: dict[str, Path]) -> None:
        source = as_sequence(prepared.nodes.series)
        name = _("{name} interpolated").format(name=source.GetName())
        smooth = ResultSequence(source, name, {"Image": "zero-filled interpolation"})

        def choose() -> None:
            self._given().interpolated = smooth.node

        self._queue.add([*series_steps(smooth, outputs["output"]), choose])

    def _finish_evaluation(self, prepared: _Prepared, outputs: dict[str, Path]) -> None:
        p, nodes = self._given(), prepared.nodes
        source = as_sequence(nodes.series)
        name = nodes.result.GetName()
        numbers = numbers_of(nodes.result, source)
        figures, report = (_text_of(outputs.get(key)) for key in ("metrics", "report"))
        kept = KeptEvaluation(evaluation_from_csv(outputs["metrics"]), tuple(numbers), tuple(index_of(source).times))
        for old in (p.ssimMaps, p.differenceMaps):  # they were computed and can be again
            remove_sequence(old)
        maps = MapSequences(source, name)
        steps = map_steps(maps, outputs[SSIM_MAP], nodes.result, nodes.truth, numbers)
        p.ssimMaps, p.differenceMaps = maps.ssim.node, maps.difference.node
        self._write_figures(kept, name)
        keep_evaluation(p.metricsTable, figures, report, kept.numbers, kept.times, name)
        p.metricsTable.SetNodeReferenceID(_OF_RESULT, nodes.result.GetID())
        self._queue.add(steps)

    @property
    def report(self) -> str | None:
        """The report of the comparison that the tables are about; None where there is none."""
        return None if self._parameters is None else report_of(self._parameters.metricsTable)

    def choose_figures(self) -> None:
        """Write tables and chart anew where the choices of metric or region have changed.

        Raises
        ------
        InputError
            If the figures in the scene are damaged.
        """
        p = self._given()
        table = p.metricsTable
        if table is not None and choice_of(table) not in (None, (p.metric.value, p.bodyOnly)):
            keep_choice(table, p.metric.value, p.bodyOnly)  # what is damaged is told of once
            kept = evaluation_of(table)
            if kept is not None:
                result = table.GetNodeReference(_OF_RESULT)
                self._write_figures(kept, "" if result is None else result.GetName())

    def _write_figures(self, kept: KeptEvaluation, name: str) -> None:
        p = self._given()
        metric, body = p.metric.value, p.bodyOnly
        nodes = FigureNodes(p.metricsTable, p.summaryTable, p.metricChart)
        made = write_figures(self._scene, kept.evaluation, kept.numbers, name, metric, body, nodes, kept.times)
        keep_choice(made.table, metric, body)
        p.metricsTable, p.summaryTable, p.metricChart = made.table, made.summary, made.chart

    def _given(self) -> Parameters:
        if self._parameters is None:
            raise RuntimeError("there is no parameter node")
        return self._parameters


def is_compared(parameters: Parameters) -> bool:
    """Whether the chosen result is the one that the tables are about."""
    table, result = parameters.metricsTable, parameters.result
    return table is not None and result is not None and table.GetNodeReference(_OF_RESULT) is result


def _asked(kind: Kind, c: Choices) -> str:
    """All that the outcome of a job depends on, besides its images."""
    if kind is Kind.FINE_TUNE:
        return repr((c.base_model, c.budget, c.keep_contrast, c.device, c.seed))
    if kind is Kind.SUPER_RESOLVE:
        return repr((c.model, c.frames_text(), c.fraction, c.device, c.seed))
    return repr(c.simulated_fraction) if kind is Kind.DOWNSAMPLE else ""


def _text_of(path: Path | None) -> str:
    return "" if path is None else path.read_text(encoding="utf-8")


def _file_hash(path: Path) -> str:
    """SHA-256 of a file; empty if it cannot be read, which the worker will say in words."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
