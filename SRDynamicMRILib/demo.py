"""The whole method on the synthetic abdomen, from the scan to the report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from .acquisition.acquisition import downsample
from .acquisition.consistency import consistency_in, in_words
from .api import RESULT, evaluate, fine_tune, interpolate, prepare_super_resolution
from .benchmark.table3 import FINE_TUNED, INTERPOLATIONS, MAIN, ZERO_FILLED
from .evaluation.evaluation import write_csv
from .geometry import Shape
from .inference.series import FrameFolder
from .io.files import read_series, read_volume, write_series, write_volume
from .io.sidecar import environment
from .models.budgets import BUDGETS
from .models.checkpoints import save_model
from .phantom import abdomen
from .process.devices import device_named
from .progress import Progress
from .volume import Series

FRACTION = 0.0625
SHAPE: Shape = (16, 192, 256)
TIME_POINTS = 10
BUDGET = BUDGETS["quick"]


def run_demo(folder: Path, *, seed: int, device: str, progress: Progress) -> dict[str, Path]:
    """Make the phantom, downsample it, fine-tune, super-resolve, evaluate and report.

    Parameters
    ----------
    folder
        Where everything goes; made if missing.
    seed
        Of the phantom and the fine-tuning.
    device
        Where to compute: ``auto``, ``cpu``, ``cuda``, ...
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
    from .evaluation.report import Panel, ReportContent, write_report  # first: without matplotlib there is no report

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
    prior, truth = read_volume(files["static"]), read_series(files["dynamic"])
    with _timed("downsampling", timings):
        volumes = [downsample(volume, FRACTION) for volume in truth]
        low = Series.of(volumes, truth.times).with_facts(fraction=FRACTION, full_matrix=list(SHAPE[1:]))
        write_series(low, files["low_resolution"])

    with _timed("fine-tuning", timings):
        tuned = fine_tune(prior, low, budget=BUDGET.name, seed=seed, device=device, progress=progress)
        save_model(tuned, files["model"])

    methods = {name: interpolate(low, truth, method, progress=progress) for name, method in INTERPOLATIONS.items()}
    for label, model, name in ((MAIN, None, "main"), (FINE_TUNED, tuned, "fine_tuned")):
        job = prepare_super_resolution(low, model, prior=prior, device=device, progress=progress)
        frames = FrameFolder.beside(files[name])
        with _timed(f"super-resolving, {label}, per time point", timings, len(low)):
            result = job.run(frames)
        write_series(result, files[name])
        if progress.watched:
            files[f"{name}_frames"] = frames.path
        else:
            frames.remove()
        methods[label] = read_series(files[name])

    with _timed("evaluating", timings):
        baselines = {name: series for name, series in methods.items() if name != FINE_TUNED}
        evaluation = evaluate(methods[FINE_TUNED], truth, baselines=baselines, progress=progress)
        evaluation = evaluation.renamed({RESULT: FINE_TUNED})
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
            "Device": str(device_named(device)),
            "CPU threads": str(torch.get_num_threads()),
            "Seed": str(seed),
            "Fine-tuning": f"{BUDGET.steps} steps",
            **{label: in_words(consistency_in(methods[label].facts)) for label in (MAIN, FINE_TUNED)},
            "Base model (SHA-256)": methods[MAIN].facts["model"],
            "Model before fine-tuning (SHA-256)": tuned.info.parent,
            "Fine-tuned model (SHA-256)": tuned.sha256,
        },
        notes=_NOTES,
    )
    write_report(content, files["report"])
    return files


@contextmanager
def _timed(name: str, timings: dict[str, float], parts: int = 1) -> Iterator[None]:
    """Keep the seconds that a step takes, per part."""
    started = time.perf_counter()
    yield
    timings[name] = (time.perf_counter() - started) / parts


_SUMMARY = f"""\
The subject is a synthetic abdomen with a high-resolution planning scan at rest and a dynamic series of {TIME_POINTS}
time points during free breathing. Each time point was downsampled to the central {100 * FRACTION:g}% of in-plane
k-space, which corresponds to an acquisition about 16 times as fast.

The pretrained fast network was fine-tuned on the planning scan alone and applied to every time point of the
low-resolution series. The results are compared with the full-resolution series, which was not used for training."""

_NOTES = (
    "The phantom is synthetic: its figures do not carry over to patients.",
    "Fine-tuning was short to keep the demonstration quick; the standard budget is three times as long.",
    "The low-resolution series was made by cutting k-space, without the noise and motion of a real fast acquisition.",
)
