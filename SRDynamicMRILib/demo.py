"""The whole method on the synthetic abdomen, from the scan to the report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from .acquisition.consistency import Fidelity, in_words
from .acquisition.interpolation import interpolate
from .acquisition.kspace import downsample
from .benchmark.table3 import FINE_TUNED, INTERPOLATIONS, MAIN, ZERO_FILLED
from .evaluation.evaluation import evaluate, write_csv
from .inference.series import FrameFolder, super_resolve_series
from .inference.tiling import Inference
from .io.files import read_series, write_series, write_volume
from .io.sidecar import NOTICE, description, environment, image_facts
from .models.budgets import BUDGETS
from .models.checkpoints import load_model, save_model
from .models.pretrained import base_model, start_model
from .phantom import abdomen
from .progress import Progress
from .training.fine_tuning import fine_tune, kept_size
from .volume import Geometry, Series, Shape

FRACTION = 0.0625
SHAPE: Shape = (16, 192, 256)
TIME_POINTS = 10
BUDGET = BUDGETS["quick"]


def run_demo(folder: Path, *, seed: int, device: torch.device, progress: Progress) -> dict[str, Path]:
    """Make the phantom, downsample it, fine-tune, super-resolve, evaluate and report.

    Parameters
    ----------
    folder
        Where everything goes; made if missing.
    seed
        Of the phantom and the fine-tuning.
    device
        Where to compute.
    progress
        Told about every step.

    Returns
    -------
        The files made, by what they are.

    Raises
    ------
    InputError
        If matplotlib is missing or the folder cannot be written to.
    """
    from .evaluation.report import (  # before the work: without matplotlib there is no report
        Panel,
        ReportContent,
        write_report,
    )

    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.nii.gz" for name in ("static", "dynamic", "low_resolution", "main", "fine_tuned")}
    files |= {"model": folder / "fine_tuned.safetensors", "metrics": folder / "metrics.csv"}
    files["report"] = folder / "report.html"
    timings: dict[str, float] = {}

    with _timed("making the phantom", timings):
        progress.stage("Making the phantom")
        phantom = abdomen(seed, SHAPE, time_points=TIME_POINTS)
        write_volume(phantom.static, files["static"])
        write_series(phantom.dynamic, files["dynamic"])
    truth = read_series(files["dynamic"])
    with _timed("downsampling", timings):
        low = Series.of([downsample(volume, FRACTION) for volume in truth], truth.times)
        facts = description(fraction=FRACTION, full_matrix=SHAPE[1:], **image_facts(low.geometry))
        write_series(low, files["low_resolution"], facts)

    base, start = load_model(base_model(FRACTION)), load_model(start_model(FRACTION))
    prior = phantom.static
    with _timed("fine-tuning", timings):
        kept = kept_size(prior.geometry, low.geometry)
        tuned = fine_tune(prior, start, kept, BUDGET, seed=seed, device=device, progress=progress)
        save_model(tuned, files["model"])
    tuned = load_model(files["model"])

    methods = {name: _interpolated(low, truth.geometry, method) for name, method in INTERPOLATIONS.items()}
    numbers = range(len(low))
    true: dict[str, list[Fidelity]] = {}
    for label, model, name in ((MAIN, base, "main"), (FINE_TUNED, tuned, "fine_tuned")):
        frames = FrameFolder.beside(files[name])
        with _timed(f"super-resolving, {label}, per time point", timings, len(low)):
            result, figures = super_resolve_series(
                low, numbers, model, truth.geometry, frames, device=device, inference=Inference(), progress=progress
            )
        true[label] = list(figures.values())
        facts = description(notice=NOTICE, model=model.sha256, fidelity=[asdict(each) for each in true[label]])
        write_series(result, files[name], facts)
        if progress.watched:
            files[f"{name}_frames"] = frames.path
        else:
            frames.remove()
        methods[label] = read_series(files[name])

    with _timed("evaluating", timings):
        evaluation = evaluate(methods, truth, progress)
        write_csv(evaluation, files["metrics"])
    progress.stage("Writing the report")
    content = ReportContent(
        title="Super-resolution of a synthetic dynamic abdomen",
        summary=_SUMMARY,
        panels=[Panel(label=f"{100 * FRACTION:g}% of k-space", evaluation=evaluation, series=methods, truth=truth)],
        result=FINE_TUNED,
        input=ZERO_FILLED,
        timings=timings,
        details={
            **environment(),
            "Device": str(device),
            "CPU threads": str(torch.get_num_threads()),
            "Seed": str(seed),
            "Fine-tuning": f"{BUDGET.steps} steps",
            **{f"Fidelity, {label}": in_words(figures) for label, figures in true.items()},
            "Base model (SHA-256)": base.sha256,
            "Start of fine-tuning (SHA-256)": start.sha256,
            "Fine-tuned model (SHA-256)": tuned.sha256,
        },
        notes=_NOTES,
    )
    write_report(content, files["report"])
    return files


def _interpolated(low: Series, like: Geometry, method: str) -> Series:
    """The low-resolution series on the high-resolution grid, each time point made when asked for."""
    return low.map(lambda volume: interpolate(volume, like, method), like)


@contextmanager
def _timed(name: str, timings: dict[str, float], parts: int = 1) -> Iterator[None]:
    """Keep the seconds that a step takes, per part."""
    started = time.perf_counter()
    yield
    timings[name] = (time.perf_counter() - started) / parts


_SUMMARY = f"""\
A synthetic abdomen was "scanned" twice: once at rest in high resolution (the planning scan), and {TIME_POINTS} times
while breathing freely (the dynamic series). Of each dynamic volume only the central {100 * FRACTION:g}% of in-plane
k-space was kept, as an acquisition about 16 times shorter would measure.

The shipped network for speed was fine-tuned on the planning scan alone and applied to every time point of the
low-resolution series. Results are compared with the full-resolution dynamic series, which the model has never seen."""

_NOTES = (
    "The images are computed, not measured: figures on this phantom do not carry over to patients.",
    "Fine-tuning was kept short here so that the demonstration is quick; the standard budget is three times as long.",
    "The low-resolution series was made by cutting k-space, without the noise and motion of a real fast acquisition.",
)
