"""The benchmark of the paper on any data: five methods, several fractions of k-space, all time points of all subjects.

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
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..acquisition.interpolation import interpolate
from ..acquisition.kspace import downsample, low_resolution_grid
from ..errors import InputError
from ..evaluation.evaluation import CSV_HEADER, Evaluation, csv_rows, evaluate, write_json, write_table
from ..evaluation.metrics import Metrics
from ..inference.super_resolution import super_resolve
from ..inference.tiling import Inference
from ..io.files import file_name, read_series, read_volume, write_volume
from ..io.image_files import written_whole
from ..io.paths import read_bounded
from ..io.sidecar import environment
from ..losses.registry import loss_named, perceptual_identity
from ..models.budgets import TrainingBudget
from ..models.checkpoints import Model, file_sha256, load_model, save_model
from ..models.recipes import DEFAULT, PAPER
from ..process.distributed import is_first, ranks, share, wait
from ..progress import Progress
from ..training.fine_tuning import adapt_prior, default_precision, fine_tune, kept_size, match_prior
from ..volume import Series, Volume
from .folder import BenchmarkFolder, Plan, TimePoints
from .table3 import (
    FINE_TUNED,
    INTERPOLATIONS,
    MAIN,
    METHODS,
    TABLE_HEADER,
    Results,
    as_text,
    percent,
    summary,
    table_rows,
)

_NOT_IMAGES = (".json", ".txt", ".raw", ".raw.gz", ".zraw")
"""Endings of what may lie beside an image and be named like it: descriptions and detached voxels."""


@dataclass(frozen=True)
class Subject:
    """A patient with a planning scan and a dynamic series in high resolution.

    Parameters
    ----------
    name
        What results call the patient.
    static, dynamic
        Planning scan and series: files or folders.
    """

    name: str
    static: Path
    dynamic: Path


@dataclass(frozen=True)
class Benchmark:
    """What is compared, and how.

    Parameters
    ----------
    subjects
        The patients.
    bases
        The model after main training for every share of in-plane k-space that the dynamic series are downsampled to.
    starts
        The model that fine-tuning begins with, for each of these shares.
    budget
        How long it is fine-tuned on each planning scan.
    frames
        Time points of every series; what is beyond its end does not count.
    seed
        Of the fine-tuning.
    device
        Where to compute.
    inference
        How the models are applied.
    perceptual_network
        Weights of the perceptual loss, if the budget needs them.
    figures
        Whether figures and a report are made.
    """

    subjects: Sequence[Subject]
    bases: Mapping[float, Model]
    starts: Mapping[float, Model]
    budget: TrainingBudget
    frames: Sequence[slice]
    seed: int
    device: torch.device
    inference: Inference
    perceptual_network: Path | None
    figures: bool

    @property
    def fractions(self) -> tuple[float, ...]:
        """Shares of in-plane k-space that the dynamic series are downsampled to."""
        return tuple(self.bases)


def find_subjects(folder: Path, output: Path, progress: Progress) -> list[Subject]:
    """Find the patients below a folder.

    Parameters
    ----------
    folder
        A folder with one sub-folder for every patient, or that of a patient: one that holds something whose name begins
        with ``static`` and something whose name begins with ``dynamic``, each an image file or a folder of images.
    output
        Is passed over.
    progress
        Told which sub-folders are skipped.

    Returns
    -------
        The patients by the order of their names.

    Raises
    ------
    InputError
        If there is none, a name could mean several images, or two patients would share a name in the output.
    """
    if not folder.is_dir():
        message = (
            f"There is no folder {folder}; name one that holds a static scan and a dynamic series of each subject."
        )
        raise InputError(message)
    alone = _subject_in(folder)
    if alone is not None:
        return [alone]
    subjects = []
    for child in sorted(folder.iterdir()):
        if not child.is_dir() or child.name.startswith(".") or child.resolve() == output.resolve():
            continue
        subject = _subject_in(child)
        if subject is None:
            progress.log(f"{child} does not hold both a static scan and a dynamic series and is skipped.")
        else:
            subjects.append(subject)
    if not subjects:
        message = f"No subject was found: neither {folder} nor a folder in it holds both static.* and dynamic.* images."
        raise InputError(message)
    names: dict[str, str] = {}
    for subject in subjects:
        other = names.setdefault(file_name(subject.name).lower(), subject.name)
        if other != subject.name:
            message = f"The subjects {other} and {subject.name} would share file names; rename one of the folders."
            raise InputError(message)
    return subjects


def _subject_in(folder: Path) -> Subject | None:
    """The patient of a folder, if it holds both images."""
    found = []
    for kind in ("static", "dynamic"):
        images = sorted(
            path
            for path in folder.iterdir()
            if path.name.lower().startswith(kind) and not path.name.lower().endswith(_NOT_IMAGES)
        )
        if len(images) > 1:
            names = " and ".join(path.name for path in images)
            message = f"{folder} holds several images that could be the {kind} one ({names}); leave one of them there."
            raise InputError(message)
        found += images
    return Subject(folder.resolve().name or "subject", *found) if len(found) == 2 else None


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
    scans = lru_cache(maxsize=1)(_read)  # of one subject at a time
    subjects = {subject.name: subject for subject in benchmark.subjects}

    for name, fraction in share(plan.pairs):
        if not folder.model(name, fraction).exists():
            progress.log(f"Fine-tuning on the static scan of {name} for {percent(fraction)}.")
            with _about(name):
                _fine_tune(benchmark, folder, name, fraction, scans(subjects[name]), progress)
    wait()

    jobs = share([(*pair, number) for pair in plan.pairs for number in plan.subjects[pair[0]].numbers])
    progress.stage("Super-resolving and evaluating")
    done = 0
    for (name, fraction), group in groupby(jobs, key=lambda job: job[:2]):
        shown = [plan.subjects[name].numbers[n] for n in plan.subjects[name].shown] if benchmark.figures else []
        models = {MAIN: benchmark.bases[fraction], FINE_TUNED: load_model(folder.model(name, fraction))}
        for *_, number in group:
            images = {m: folder.image(name, fraction, number, m) for m in models} if number in shown else {}
            metrics = folder.metrics(name, fraction, number)
            if not all(path.exists() for path in (metrics, *images.values())):
                with _about(name):
                    truth = scans(subjects[name])[1][number]
                    _compare(benchmark, truth, fraction, models, images, metrics, progress)
            done += 1
            progress.step(done, len(jobs))
    wait()
    return _write_outputs(benchmark, plan, folder, scans, progress) if is_first() else {}


def _read(subject: Subject) -> tuple[Volume, Series]:
    """Planning scan and dynamic series."""
    return read_volume(subject.static), read_series(subject.dynamic)


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
    loss = (PAPER if benchmark.budget.steps is None else DEFAULT).loss
    loss_named(loss, torch.device("cpu"), benchmark.perceptual_network)  # a missing network is found before the work
    settings = {
        "version": __version__,
        "models": _hashes(benchmark.bases),
        "starts": _hashes(benchmark.starts),
        "budget": benchmark.budget.name,
        "steps": benchmark.budget.steps,
        "perceptual network": perceptual_identity(loss, benchmark.perceptual_network),
        "patch": benchmark.inference.patch,
        "stride": benchmark.inference.stride if benchmark.inference.patch else None,
        "seed": benchmark.seed,
        "device": benchmark.device.type,
        "precision": default_precision(benchmark.budget, benchmark.device),
    }
    subjects = {}
    for done, subject in enumerate(benchmark.subjects, start=1):
        with _about(subject.name):
            subjects[subject.name] = _time_points(subject, benchmark, progress)
        progress.step(done, len(benchmark.subjects))
    return Plan(settings, list(benchmark.fractions), subjects)


def _hashes(models: Mapping[float, Model]) -> dict[str, str]:
    return {f"{fraction:g}": model.sha256 for fraction, model in models.items()}


def _time_points(subject: Subject, benchmark: Benchmark, progress: Progress) -> TimePoints:
    """What is compared of a subject, if its images go together."""
    static, dynamic = _read(subject)
    for fraction in benchmark.fractions:
        low_resolution = low_resolution_grid(dynamic.geometry, fraction)
        kept_size(match_prior(static, low_resolution).geometry, low_resolution)
    chosen = [number for part in benchmark.frames for number in range(len(dynamic))[part]]
    if not chosen:
        message = f"{subject.dynamic} has {len(dynamic)} time points and none of those asked for; change --frames."
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
    if not numbers:
        message = "No time point is left to compare, because all are the static scan itself; choose others."
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
    fraction: float,
    scans: tuple[Volume, Series],
    progress: Progress,
) -> None:
    """Fine-tune a model on a planning scan for one fraction; the model appears in the folder."""
    static, dynamic = scans
    low_resolution = downsample(dynamic[0], fraction)
    prior = adapt_prior(static, low_resolution, progress)
    state = folder.state(subject, fraction)
    interrupted = state.exists()
    started = time.perf_counter()
    tuned = fine_tune(
        prior.volume,
        benchmark.starts[fraction],
        kept_size(prior.volume.geometry, low_resolution.geometry),
        benchmark.budget,
        seed=benchmark.seed,
        device=benchmark.device,
        progress=progress,
        state_file=state,
        resume=True,  # a state that is still there belongs to this plan
        perceptual_network=benchmark.perceptual_network,
        strength=prior.strength,
    )
    seconds = time.perf_counter() - started
    # The time of the first part of an interrupted run is not known. The model is written last: it says all is done.
    write_json({"seconds": None if interrupted else seconds}, folder.timing(subject, fraction))
    save_model(tuned, folder.model(subject, fraction))
    state.unlink(missing_ok=True)


def _compare(
    benchmark: Benchmark,
    truth: Volume,
    fraction: float,
    models: Mapping[str, Model],
    images: Mapping[str, Path],
    metrics: Path,
    progress: Progress,
) -> None:
    """Compare all methods at one time point; some results are kept as images, the metrics come last."""
    low = downsample(truth, fraction)
    made = {name: interpolate(low, truth.geometry, method) for name, method in INTERPOLATIONS.items()}
    seconds = {}
    for name, model in models.items():
        started = time.perf_counter()
        made[name] = super_resolve(
            low, model, truth.geometry, device=benchmark.device, inference=benchmark.inference, progress=progress
        )
        seconds[name] = time.perf_counter() - started
    evaluation = evaluate({name: Series.of([made[name]]) for name in METHODS}, Series.of([truth]))
    for name, path in images.items():
        write_volume(made[name], path)
    content = {
        "seconds": seconds,
        "whole": {name: asdict(rows[0]) for name, rows in evaluation.whole.items()},
        "body": {name: asdict(rows[0]) for name, rows in evaluation.body.items()},
    }
    with written_whole(metrics) as temporary:  # with Infinity, unlike what is written for others to read
        temporary.write_text(json.dumps(content), encoding="utf-8")


# Results


def _write_outputs(
    benchmark: Benchmark,
    plan: Plan,
    folder: BenchmarkFolder,
    scans: Callable[[Subject], tuple[Volume, Series]],
    progress: Progress,
) -> dict[str, Path]:
    """Gather all pieces and write tables, summary, figures and report."""
    progress.stage("Writing")
    results, seconds = _gather(plan, folder)
    outputs = folder.outputs
    rows = (
        [subject, f"{fraction:g}", *row]
        for (subject, fraction), evaluation in results.items()
        for row in csv_rows(evaluation, plan.subjects[subject].numbers)
    )
    write_table(("subject", "fraction", *CSV_HEADER), rows, outputs["metrics"])
    write_table(TABLE_HEADER, table_rows(results), outputs["table"])
    facts = _facts(benchmark, plan, folder, seconds)
    write_json({**facts, **summary(results)}, outputs["summary"])
    if benchmark.figures:
        from ..evaluation.report import Panel  # noqa: F401 - without matplotlib one sentence
        from .report import write_benchmark_report

        subjects = {subject.name: subject for subject in benchmark.subjects}
        outputs |= write_benchmark_report(folder, plan, results, facts, lambda name: scans(subjects[name])[1])
    else:
        del outputs["report"]
    progress.log(as_text(results))
    return {**outputs, "models": folder.models}


def _gather(plan: Plan, folder: BenchmarkFolder) -> tuple[Results, dict[str, list[float]]]:
    """Metrics of all time points, and the seconds that each method took for each of them."""
    results, seconds = {}, {MAIN: list[float](), FINE_TUNED: list[float]()}
    for subject, fraction in plan.pairs:
        points = plan.subjects[subject]
        files = [folder.metrics(subject, fraction, number) for number in points.numbers]
        contents = [json.loads(read_bounded(file)) for file in files]
        whole, body = (
            {method: [Metrics(**content[region][method]) for content in contents] for method in METHODS}
            for region in ("whole", "body")
        )
        results[subject, fraction] = Evaluation(tuple(points.times), whole, body)
        for method, values in seconds.items():
            values += [content["seconds"][method] for content in contents]
    return results, seconds


def _facts(
    benchmark: Benchmark, plan: Plan, folder: BenchmarkFolder, seconds: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """What is needed to repeat the benchmark, and how long it took."""

    def by_pair(value: Callable[[str, float], object]) -> dict[str, dict[str, object]]:
        return {s: {f"{f:g}": value(s, f) for f in plan.fractions} for s in plan.subjects}

    def tuning(subject: str, fraction: float) -> object:
        path = folder.timing(subject, fraction)
        return json.loads(read_bounded(path))["seconds"] if path.exists() else None

    return {
        "environment": environment(),
        "device": str(benchmark.device),
        "threads": torch.get_num_threads(),
        "ranks": ranks(),
        "seed": benchmark.seed,
        "budget": {"name": benchmark.budget.name, "steps": benchmark.budget.steps},
        "fractions": list(plan.fractions),
        "data": {
            name: {
                "time_points": list(points.numbers),
                "left_out_because_equal_to_static": list(points.left_out),
                "sha256": points.voxels,
            }
            for name, points in plan.subjects.items()
        },
        "models": {
            "main training": _hashes(benchmark.bases),
            "start of fine-tuning": _hashes(benchmark.starts),
            "fine-tuned": by_pair(lambda s, f: file_sha256(folder.model(s, f))),
        },
        "seconds": {
            "fine_tuning": by_pair(tuning),
            "median_of_a_time_point": {method: statistics.median(values) for method, values in seconds.items()},
        },
    }
