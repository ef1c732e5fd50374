"""The benchmark of the paper on any data: five methods, scenarios, fractions of k-space, all time points and subjects.

Every finished piece, a fine-tuned model or the metrics of one time point, is a file in the output folder. So processes
share the work without talking to each other, and a run that was stopped can go on.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..acquisition.acquisition import Acquisition
from ..acquisition.interpolation import interpolate
from ..api import RESULT, evaluate, fine_tune, prepare_super_resolution
from ..errors import InputError
from ..evaluation.evaluation import CSV_HEADER, Evaluation, csv_rows
from ..evaluation.metrics import Metrics
from ..io.files import write_volume
from ..io.image_files import written_whole
from ..io.paths import read_bounded
from ..io.sidecar import environment
from ..io.tables import write_json, write_table
from ..losses.registry import loss_named, perceptual_identity
from ..models.budgets import TrainingBudget
from ..models.checkpoints import Model, file_sha256, load_model, save_model
from ..models.recipes import DEFAULT, PAPER
from ..process.devices import device_named
from ..process.distributed import is_first, ranks, share, wait
from ..progress import Progress
from ..training.fine_tuning import default_precision, match_prior
from ..volume import Series
from .folder import BenchmarkFolder, Plan, TimePoints
from .scenarios import SCENARIOS, Case, by_case, simulate
from .subjects import Scans, Subject
from .table3 import (
    FINE_TUNED,
    INTERPOLATIONS,
    MAIN,
    METHODS,
    TABLE_HEADER,
    Results,
    as_text,
    summary,
    table_rows,
)


@dataclass(frozen=True)
class Benchmark:
    """What is compared, and how.

    Parameters
    ----------
    subjects
        The patients.
    bases
        The model after main training for every case that is made of the dynamic series.
    starts
        The model that fine-tuning begins with, for each of these cases.
    budget
        How long it is fine-tuned on each planning scan.
    frames
        Time points of every series; what is beyond its end does not count.
    seed
        Of the simulation and the fine-tuning.
    device
        Where to compute.
    perceptual_network
        Weights of the perceptual loss, if the budget needs them.
    figures
        Whether figures and a report are made.
    """

    subjects: Sequence[Subject]
    bases: Mapping[Case, Model]
    starts: Mapping[Case, Model]
    budget: TrainingBudget
    frames: Sequence[slice]
    seed: int
    device: str
    perceptual_network: Path | None
    figures: bool

    @property
    def cases(self) -> tuple[Case, ...]:
        """What is made of the dynamic series."""
        return tuple(self.bases)

    def low_resolution(self, scans: Scans, case: Case) -> Series:
        """Low-resolution series of a subject."""
        return simulate(scans.dynamic, case.settings, phase=scans.phase, seed=self.seed)


def run_benchmark(
    benchmark: Benchmark, folder: BenchmarkFolder, *, progress: Progress, resume: bool = False
) -> dict[str, Path]:
    """Compare all methods on all subjects; processes of ``torchrun`` share the work.

    Parameters
    ----------
    benchmark
        What to compare.
    folder
        Where results go; made if missing.
    progress
        Told about every step.
    resume
        Whether what an earlier run of the same benchmark has finished is kept.

    Returns
    -------
        The files made, by what they are; empty for all processes but the first.

    Raises
    ------
    InputError
        If an image cannot be used, images do not go together, or a file cannot be written.
    """
    if is_first():
        progress.stage("Reading")
        folder.begin(_plan(benchmark, progress), resume)
    wait()
    plan = folder.plan()
    scans = lru_cache(maxsize=1)(Scans.read)  # of one subject at a time
    subjects = {subject.name: subject for subject in benchmark.subjects}

    for name, case in share(plan.pairs):
        if not folder.model(name, case).exists():
            progress.log(f"Fine-tuning on the planning scan of {name} for {case}.")
            with _about(name):
                _fine_tune(benchmark, folder, name, case, scans(subjects[name]), progress)
    wait()

    jobs = share([(*pair, number) for pair in plan.pairs for number in plan.subjects[pair[0]].numbers])
    done = 0
    for (name, case), group in groupby(jobs, key=lambda job: job[:2]):
        numbers = [number for *_, number in group]
        shown = [plan.subjects[name].numbers[n] for n in plan.subjects[name].shown] if benchmark.figures else []
        todo = [number for number in numbers if not _is_there(folder, name, case, number, number in shown)]
        done += len(numbers) - len(todo)
        if todo:
            progress.log(f"Super-resolving the series of {name} from {case}.")
            with _about(name):
                for _ in _compare(benchmark, folder, name, case, scans(subjects[name]), todo, shown, progress):
                    done += 1
                    progress.step(done, len(jobs))
        else:
            progress.step(done, len(jobs))
    wait()
    return _write_outputs(benchmark, plan, folder, scans, progress) if is_first() else {}


def _is_there(folder: BenchmarkFolder, subject: str, case: Case, number: int, shown: bool) -> bool:
    """Whether a time point has been compared, and its images are there if they are shown."""
    images = [folder.image(subject, case, number, method) for method in (MAIN, FINE_TUNED)] if shown else []
    return all(path.exists() for path in (folder.metrics(subject, case, number), *images))


@contextmanager
def _about(subject: str) -> Iterator[None]:
    """Say which subject an `InputError` is about."""
    try:
        yield
    except InputError as error:
        message = f"{subject}: {error}"
        raise InputError(message) from error


# Planning


def _plan(benchmark: Benchmark, progress: Progress) -> Plan:
    """Read all images once and find out what there is to be done, and whether it can be done."""
    device = device_named(benchmark.device)
    loss = (PAPER if benchmark.budget.steps is None else DEFAULT).loss
    loss_named(loss, torch.device("cpu"), benchmark.perceptual_network)  # a missing network is found before the work
    settings = {
        "version": __version__,
        "models": _hashes(benchmark.bases),
        "starts": _hashes(benchmark.starts),
        "budget": benchmark.budget.name,
        "steps": benchmark.budget.steps,
        "perceptual network": perceptual_identity(loss, benchmark.perceptual_network),
        "seed": benchmark.seed,
        "device": device.type,
        "precision": default_precision(benchmark.budget, device),
    }
    subjects = {}
    for done, subject in enumerate(benchmark.subjects, start=1):
        with _about(subject.name):
            subjects[subject.name] = _time_points(subject, benchmark, progress)
        progress.step(done, len(benchmark.subjects))
    scenarios, fractions = (list(dict.fromkeys(values)) for values in zip(*benchmark.cases, strict=True))
    return Plan(settings, scenarios, fractions, subjects)


def _hashes(models: Mapping[Case, Model]) -> dict[str, dict[str, str]]:
    return by_case(models, lambda case: models[case].sha256)


def _time_points(subject: Subject, benchmark: Benchmark, progress: Progress) -> TimePoints:
    """What is compared of a subject, if its images go together."""
    scans = Scans.read(subject)
    static, dynamic, phase = scans.static, scans.dynamic, scans.phase
    for case in benchmark.cases:
        acquired = case.settings.acquisition((dynamic.geometry.shape[1], dynamic.geometry.shape[2])).acquired_matrix
        low_resolution = dynamic.geometry.with_matrix(acquired)
        Acquisition.between(match_prior(static, low_resolution).geometry, low_resolution)
    benchmark.low_resolution(scans, benchmark.cases[0])  # finds out whether the phase goes with the series
    chosen = [number for part in benchmark.frames for number in range(len(dynamic))[part]]
    if not chosen:
        message = f"{subject.dynamic} has {len(dynamic)} time points and none of those requested; change --frames."
        raise InputError(message)
    voxels = hashlib.sha256(repr((static.geometry, dynamic.geometry)).encode())
    voxels.update(static.data.tobytes())
    numbers, left_out = [], []
    for number in chosen:
        data = dynamic[number].data
        if np.array_equal(data, static.data):
            left_out.append(number)
        else:
            numbers.append(number)
            voxels.update(data.tobytes())
            if phase is not None:
                voxels.update(phase[number if len(phase) > 1 else 0].data.tobytes())
    if not numbers:
        message = "No time point is left to compare, because all are the planning scan itself; choose others."
        raise InputError(message)
    points = TimePoints(voxels.hexdigest(), numbers, [dynamic.times[n] for n in numbers], left_out)
    if left_out:
        progress.log(f"{subject.name}: {points.left_out_sentence}")
    return points


# Work


def _fine_tune(
    benchmark: Benchmark,
    folder: BenchmarkFolder,
    subject: str,
    case: Case,
    scans: Scans,
    progress: Progress,
) -> None:
    """Fine-tune a model on a planning scan for one case; the model appears in the folder."""
    state = folder.state(subject, case)
    interrupted = state.exists()
    heard = _Heard(progress)
    started = time.perf_counter()
    tuned = fine_tune(
        scans.static,
        benchmark.low_resolution(scans, case),
        model=benchmark.starts[case],
        budget=benchmark.budget.name,
        perceptual_network=benchmark.perceptual_network,
        seed=benchmark.seed,
        device=benchmark.device,
        progress=heard,
        state_file=state,
        resume=True,  # a state that is still there belongs to this plan
    )
    seconds = time.perf_counter() - started
    # The time of the first part of an interrupted run is not known. The model is written last: it says all is done.
    facts = {"seconds": None if interrupted else seconds, "warnings": heard.warnings}
    write_json(facts, folder.timing(subject, case))
    save_model(tuned, folder.model(subject, case))
    state.unlink(missing_ok=True)


def _compare(
    benchmark: Benchmark,
    folder: BenchmarkFolder,
    subject: str,
    case: Case,
    scans: Scans,
    numbers: Sequence[int],
    shown: Sequence[int],
    progress: Progress,
) -> Iterator[int]:
    """Compare all methods at some time points, and yield the number of each when its metrics are in the folder."""
    dynamic, low = scans.dynamic, benchmark.low_resolution(scans, case)
    models = {MAIN: benchmark.bases[case], FINE_TUNED: load_model(folder.model(subject, case))}
    made: dict[str, Series] = {}
    seconds: dict[str, float] = {}
    heard = _Heard(progress)
    for name, model in models.items():
        job = prepare_super_resolution(
            low,
            model,
            prior=scans.static if name == FINE_TUNED else None,
            like=dynamic.geometry,
            frames=numbers,
            device=benchmark.device,
            progress=heard,
        )
        started = time.perf_counter()
        made[name] = job.run()
        seconds[name] = (time.perf_counter() - started) / len(numbers)
    progress.stage("Evaluating")
    for place, number in enumerate(numbers):
        acquired = low[number]
        results = {name: interpolate(acquired, dynamic.geometry, method) for name, method in INTERPOLATIONS.items()}
        results |= {name: series[place] for name, series in made.items()}
        compared = {name: results[name] for name in METHODS if name != FINE_TUNED}
        evaluation = evaluate(results[FINE_TUNED], dynamic[number], baselines=compared)
        metrics = {
            region: {name: asdict(rows[RESULT if name == FINE_TUNED else name][0]) for name in METHODS}
            for region, rows in (("whole", evaluation.whole), ("body", evaluation.body))
        }
        for name in models if number in shown else ():
            write_volume(results[name], folder.image(subject, case, number, name))
        with written_whole(folder.metrics(subject, case, number)) as temporary:
            # With Infinity, unlike what is written for others to read.
            facts = {"seconds": seconds, "warnings": heard.warnings}
            temporary.write_text(json.dumps({**facts, **metrics}), encoding="utf-8")
        yield number


class _Heard(Progress):
    """Keeps warnings, and passes on all that it is told but time points, whose files are gone when all is done.

    Parameters
    ----------
    progress
        Told the same.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.warnings: list[str] = []
        self.stage, self.step, self.loss = progress.stage, progress.step, progress.loss  # type: ignore[method-assign]
        self.validation, self.log = progress.validation, progress.log  # type: ignore[method-assign]

    def warn(self, message: str) -> None:
        self.warnings.append(message)
        self._progress.warn(message)


# Results


def _write_outputs(
    benchmark: Benchmark,
    plan: Plan,
    folder: BenchmarkFolder,
    scans: Callable[[Subject], Scans],
    progress: Progress,
) -> dict[str, Path]:
    """Gather all pieces and write tables, summary, figures and report."""
    progress.stage("Writing")
    results, seconds = _gather(plan, folder)
    outputs = folder.outputs
    rows = (
        [subject, case.scenario, f"{case.fraction:g}", *row]
        for (subject, case), evaluation in results.items()
        for row in csv_rows(evaluation, plan.subjects[subject].numbers)
    )
    write_table(("subject", "scenario", "fraction", *CSV_HEADER), rows, outputs["metrics"])
    write_table(TABLE_HEADER, table_rows(results), outputs["table"])
    facts = _facts(benchmark, plan, folder, seconds)
    write_json({**facts, **summary(results)}, outputs["summary"])
    if benchmark.figures:
        from .report import write_benchmark_report

        subjects = {subject.name: subject for subject in benchmark.subjects}
        outputs |= write_benchmark_report(folder, plan, results, facts, lambda name: scans(subjects[name]))
    else:
        del outputs["report"]
    progress.log(as_text(results))
    return {**outputs, "models": folder.models}


def _gather(plan: Plan, folder: BenchmarkFolder) -> tuple[Results, dict[str, list[float]]]:
    """Metrics of all time points, and the seconds that each method took for each of them."""
    results, seconds = {}, {MAIN: list[float](), FINE_TUNED: list[float]()}
    for subject, case in plan.pairs:
        points = plan.subjects[subject]
        files = [folder.metrics(subject, case, number) for number in points.numbers]
        contents = [json.loads(read_bounded(file)) for file in files]
        whole, body = (
            {method: [Metrics(**content[region][method]) for content in contents] for method in METHODS}
            for region in ("whole", "body")
        )
        results[subject, case] = Evaluation(tuple(points.times), whole, body)
        for method, values in seconds.items():
            values += [content["seconds"][method] for content in contents]
    return results, seconds


def _facts(
    benchmark: Benchmark, plan: Plan, folder: BenchmarkFolder, seconds: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """What is needed to repeat the benchmark, and how long it took."""

    def by_pair(value: Callable[[str, Case], object]) -> dict[str, dict[str, dict[str, object]]]:
        return {subject: by_case(plan.cases, partial(value, subject)) for subject in plan.subjects}

    def tuning(subject: str, case: Case) -> Mapping[str, Any]:
        path = folder.timing(subject, case)
        return json.loads(read_bounded(path)) if path.exists() else {}

    def warnings(subject: str, case: Case) -> list[str]:
        files = (folder.metrics(subject, case, number) for number in plan.subjects[subject].numbers)
        parts = [tuning(subject, case), *(json.loads(read_bounded(file)) for file in files)]
        return list(dict.fromkeys(sentence for part in parts for sentence in part.get("warnings", ())))

    measured = {subject.name for subject in benchmark.subjects if subject.phase is not None}
    return {
        "environment": environment(),
        "device": str(device_named(benchmark.device)),
        "threads": torch.get_num_threads(),
        "ranks": ranks(),
        "seed": benchmark.seed,
        "budget": {"name": benchmark.budget.name, "steps": benchmark.budget.steps},
        "scenarios": {scenario: SCENARIOS[scenario].description for scenario in plan.scenarios},
        "fractions": list(plan.fractions),
        "data": {
            name: {
                "time_points": list(points.numbers),
                "left_out_because_equal_to_static": list(points.left_out),
                "phase": "measured" if name in measured else "simulated",
                "sha256": points.voxels,
            }
            for name, points in plan.subjects.items()
        },
        "models": {
            "main training": _hashes(benchmark.bases),
            "start of fine-tuning": _hashes(benchmark.starts),
            "fine-tuned": by_pair(lambda subject, case: file_sha256(folder.model(subject, case))),
        },
        "warnings": by_pair(warnings),
        "seconds": {
            "fine_tuning": by_pair(lambda subject, case: tuning(subject, case).get("seconds")),
            "median_of_a_time_point": {method: statistics.median(values) for method, values in seconds.items()},
        },
    }
