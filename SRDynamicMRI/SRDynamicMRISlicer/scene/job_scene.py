"""Between jobs and scene: what a job reads is written from the scene, and what it makes comes back into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import slicer

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.files import read_volume
from SRDynamicMRILib.io.sidecar import recorded

from ..background import in_background
from ..jobs.job import Job, Kind
from ..presenter.choices import Choices
from ..presenter.chosen_job import Files, options
from ..signal import Signal
from ..step_queue import StepQueue, Stepwise
from ..translation import _
from .evaluation_nodes import KeptEvaluation, choice_of, evaluation_of, keep_choice, keep_evaluation, report_of
from .job_files import JobFiles, JobNodes, numbers_of
from .metrics_nodes import MapSequences, evaluation_from_csv
from .model_nodes import adding_model, writing_model
from .outputs import (
    SSIM_MAP,
    FigureNodes,
    map_steps,
    remove_sequence,
    series_steps,
    write_figures,
)
from .parameters import Parameters
from .provenance import facts_of_acquisition, facts_of_consistency, facts_of_result, write_facts
from .results import ResultSequence
from .sample_data import DYNAMIC, STATIC, loading_sample
from .sequences import index_of
from .series_import import as_sequence

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
    parameters: Mapping[str, object] = field(default_factory=dict)
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
        self.added: Signal[[]] = Signal()
        """A time point of the running job is in the scene."""
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

    def prepare(self, kind: Kind, choices: Choices) -> Stepwise[Files]:
        """Write the inputs of a job, a part at every step.

        Raises
        ------
        InputError, OSError
            As for `JobFiles.prepare`.
        """
        p = self._given()
        nodes = JobNodes(p.priorVolume, p.dynamicSeries, p.groundTruth, p.result, p.interpolated)
        if self.lost_result:
            self._result = None
        if kind is Kind.PHANTOM:
            files = Files(self._samples)
        elif kind is Kind.IMPORT_MODEL:
            files = Files(self.imported or Path(), checkpoint=self.checkpoint)
        else:
            if kind is Kind.SUPER_RESOLVE and choices.tuned_model is not None and p.tunedModel is not None:
                yield from writing_model(p.tunedModel, self._files.folder)
            files = yield from self._files.prepare(kind, nodes, repr(options(kind, choices)))
        prepared = _Prepared(nodes, files, choices)
        if kind is Kind.SUPER_RESOLVE:
            prepared = replace(prepared, parameters=_parameters_of(choices))
            if not self._goes_on(files):
                prepared = self._with_place(prepared)
        self._prepared[kind] = prepared
        return files

    def _goes_on(self, files: Files) -> bool:
        """Whether a job would fill the sequence that an equal one has begun."""
        return self._result is not None and self._result_file == files.output and not self.lost_result

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

    @property
    def lost_result(self) -> bool:
        """Whether the sequence that a job fills was deleted."""
        return self._result is not None and self._result.node.GetScene() is None

    def add_frame(self, number: int, path: Path, model: str) -> None:
        """Show a time point that is ready, in steps; `added` follows. The queue fails if that is not possible.

        Parameters
        ----------
        number, path
            Of the time point.
        model
            Hash of the model that the worker made it with: what it chooses itself only it knows.
        """
        self._queue.add([partial(self._add_frame, self._prepared[Kind.SUPER_RESOLVE], number, path, model)])

    def _add_frame(self, prepared: _Prepared, number: int, path: Path, model: str) -> Stepwise[None]:
        try:
            volume = yield from in_background(lambda: read_volume(path))
        except InputError:
            if path.exists():
                raise
            return  # the worker has put all time points into one file, from which this one is taken at the end
        if self._prepared[Kind.SUPER_RESOLVE].files != prepared.files or self.lost_result:
            return
        result = self._result_of(prepared, model)
        yield
        if self.lost_result:
            return
        yield from result.adding(number, volume)
        yield
        if self.lost_result:
            return
        p = self._given()
        if p.result is not result.node:
            p.result = result.node
            yield
        self.added.emit()

    def _result_of(self, prepared: _Prepared, model: str) -> ResultSequence:
        """The sequence that a job fills; made if it has not begun to."""
        if self._result is None:
            source, selected = prepared.nodes.series, prepared.selected
            self._result = ResultSequence(
                as_sequence(source),
                _("{name} super-resolved").format(name=source.GetName()),
                facts_of_result(model, **prepared.parameters),
                selected if selected is not None and selected.GetScene() is not None else None,
                prepared.overwrite,
            )
            self._result_file = prepared.files.output
            # References and no names, which may be those of patients.
            self._result.node.SetNodeReferenceID(_SERIES, source.GetID())
            if prepared.nodes.prior is not None:
                self._result.node.SetNodeReferenceID(_PLANNING_SCAN, prepared.nodes.prior.GetID())
        return self._result

    # After a job

    def finish(self, job: Job, outputs: dict[str, Path]) -> None:
        """Bring in what a job has made, in steps; `made` follows. The queue fails if that is not possible."""
        actions: dict[Kind, Callable[[_Prepared, dict[str, Path]], object]] = {
            Kind.FINE_TUNE: self._finish_fine_tuning,
            Kind.SUPER_RESOLVE: self._finish_super_resolution,
            Kind.EVALUATE: self._finish_evaluation,
            Kind.INTERPOLATE: self._finish_interpolation,
            Kind.DOWNSAMPLE: self._finish_simulation,
            Kind.PHANTOM: self._finish_samples,
            Kind.IMPORT_MODEL: self._finish_import,
        }
        action = partial(actions[job.kind], self._prepared[job.kind], outputs)
        self._queue.add([action, lambda: self.made.emit(job.kind)])

    def load_samples(self) -> Stepwise[None]:
        """Load both samples, which have been made, in steps, and choose them."""
        p = self._given()
        p.priorVolume = yield from loading_sample(self._scene, STATIC, self._samples)
        p.dynamicSeries = yield from loading_sample(self._scene, DYNAMIC, self._samples)
        p.groundTruth = None

    def _finish_samples(self, prepared: _Prepared, outputs: dict[str, Path]) -> Stepwise[None]:
        return self.load_samples()

    def _finish_import(self, prepared: _Prepared, outputs: dict[str, Path]) -> None:
        self._given().baseModel = str(outputs["model"])

    def _finish_fine_tuning(self, prepared: _Prepared, outputs: dict[str, Path]) -> Stepwise[None]:
        p, prior = self._given(), prepared.nodes.prior
        c = prepared.choices
        name = _("{name} fine-tuned model").format(name=prior.GetName())
        facts = {"Budget": c.budget, "Seed": str(c.seed)}
        p.tunedModel = yield from adding_model(self._scene, outputs["model"], name, self._files.folder, **facts)
        p.tunedModel.SetNodeReferenceID(_PLANNING_SCAN, prior.GetID())
        p.tunedOn = prior
        p.useTuned = True

    def _finish_super_resolution(self, prepared: _Prepared, outputs: dict[str, Path]) -> Stepwise[None]:
        if self.lost_result:
            raise InputError(_("The result was deleted from the scene before it was complete; super-resolve again."))
        known = recorded(outputs["output"])
        model = str(known["model"])  # the hash that the worker itself has seen
        result = self._result_of(prepared, model)
        first, last = prepared.choices.time_point_range(len(index_of(as_sequence(prepared.nodes.series)).values))
        numbers = range(first, last + 1)
        if not result.done.issuperset(numbers):
            yield from series_steps(result, outputs["output"], numbers)
        node = result.node
        data = [node.GetNthDataNode(number) for number in range(node.GetNumberOfDataNodes())]
        facts = {"Model": model, **facts_of_consistency(known), **facts_of_acquisition(known)}
        for one in filter(None, [node, result.proxy, *data]):
            write_facts(one, facts)
            yield
        self._given().result = node

    def _finish_simulation(self, prepared: _Prepared, outputs: dict[str, Path]) -> Stepwise[None]:
        source = as_sequence(prepared.nodes.series)
        percent = 100 * prepared.choices.simulated_fraction
        name = _("{name} {percent:.4g}%").format(name=source.GetName(), percent=percent)
        low = ResultSequence(source, name, {"Image": "low resolution", "Percent": f"{percent:.6g}"})
        yield from series_steps(low, outputs["output"])
        p = self._given()
        p.groundTruth = source
        yield
        p.dynamicSeries = low.node

    def _finish_interpolation(self, prepared: _Prepared, outputs: dict[str, Path]) -> Stepwise[None]:
        source = as_sequence(prepared.nodes.series)
        name = _("{name} interpolated").format(name=source.GetName())
        smooth = ResultSequence(source, name, {"Image": "zero-filled interpolation"})
        yield from series_steps(smooth, outputs["output"])
        self._given().interpolated = smooth.node

    def _finish_evaluation(self, prepared: _Prepared, outputs: dict[str, Path]) -> Stepwise[None]:
        p, nodes = self._given(), prepared.nodes
        source = as_sequence(nodes.series)
        name = nodes.result.GetName()
        numbers = numbers_of(nodes.result, source)
        figures, report = (_text_of(outputs.get(key)) for key in ("metrics", "report"))
        kept = KeptEvaluation(evaluation_from_csv(outputs["metrics"]), tuple(numbers), tuple(index_of(source).times))
        for old in (p.ssimMaps, p.differenceMaps):  # they were computed and can be again
            remove_sequence(old)
        maps = MapSequences(source, name)
        p.ssimMaps, p.differenceMaps = maps.ssim.node, maps.difference.node
        yield
        self._write_figures(kept, name)
        keep_evaluation(p.metricsTable, figures, report, kept.numbers, kept.times, name)
        p.metricsTable.SetNodeReferenceID(_OF_RESULT, nodes.result.GetID())
        yield
        yield from map_steps(maps, outputs[SSIM_MAP], nodes.result, nodes.truth, numbers)

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


def _text_of(path: Path | None) -> str:
    return "" if path is None else path.read_text(encoding="utf-8")


def _parameters_of(c: Choices) -> dict[str, object]:
    """What a result depends on besides its model, to write to it."""
    return {"FineTuned": c.use_tuned and c.tuned_model is not None, "Seed": c.seed, "Device": c.device}
