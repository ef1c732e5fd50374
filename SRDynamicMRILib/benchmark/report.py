"""The report of a benchmark, with figures like the paper's."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..acquisition.acquisition import downsample
from ..acquisition.interpolation import interpolate
from ..evaluation.report import (
    Comparison,
    Illustration,
    Panel,
    ReportContent,
    confidence_plot,
    detail_figure,
    metric_plot,
    png,
    qualitative_figure,
    ssim_map_figure,
    write_report,
)
from ..io.files import read_volume
from ..io.image_files import written_whole
from ..volume import Series
from .folder import BenchmarkFolder, Plan, TimePoints
from .table3 import (
    ALL_SUBJECTS,
    FINE_TUNED,
    INTERPOLATIONS,
    MAIN,
    TRILINEAR,
    ZERO_FILLED,
    Results,
    fractions_of,
    percent,
    pooled,
    subjects_of,
)

LOW_RESOLUTION = "low resolution"
"""What the figures call the downsampled series itself."""


def write_benchmark_report(
    folder: BenchmarkFolder, plan: Plan, results: Results, facts: Mapping[str, Any], truth: Callable[[str], Series]
) -> dict[str, Path]:
    """Draw the figures, each into a file, and write the report that shows them.

    Parameters
    ----------
    folder
        Where the results are and the report goes.
    plan
        What was compared.
    results
        The metrics.
    facts
        Versions, seed, hashes, times, as in ``benchmark.json``.
    truth
        Gives the dynamic series of a subject by its name, all its time points.

    Returns
    -------
        The files by what they are.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    compared = [Comparison(label=percent(f), evaluation=e, group=s) for (s, f), e in results.items()]
    drawn = {
        "figure6": Illustration(
            png(confidence_plot(compared)),
            "SSIM and PSNR of every method and subject over the whole volume: mean over the time points, with the 95% "
            "confidence interval of the mean (paper, Figure 6). The scales differ from plot to plot.",
            "Plots of mean SSIM and PSNR; the tables above hold the means.",
        )
    }
    for subject, points in plan.subjects.items():
        panels = _panels(subject, plan, folder, results, truth(subject).select(points.numbers))
        drawn |= _subject_figures(subject, panels, points)
    files = {}
    for name, illustration in drawn.items():
        path = folder.figure(name)
        with written_whole(path) as temporary:
            temporary.write_bytes(illustration.image)
        files[name.replace("_", " ")] = path

    content = ReportContent(
        title="Benchmark: every method against the ground truth",
        summary=_summary(plan, facts),
        panels=[*_overall(results), *compared],
        result=FINE_TUNED,
        input=ZERO_FILLED,
        timings=_timings(facts),
        details=_details(facts),
        notes=_notes(plan, facts),
        figures=list(drawn.values()),
    )
    write_report(content, folder.outputs["report"])
    return {"report": folder.outputs["report"], **files}


def _overall(results: Results) -> list[Comparison]:
    """Every fraction over all subjects, if there are several."""
    if len(subjects_of(results)) == 1:
        return []
    return [
        Comparison(label=percent(fraction), evaluation=pooled(results, fraction=fraction), group=ALL_SUBJECTS)
        for fraction in fractions_of(results)
    ]


def _panels(subject: str, plan: Plan, folder: BenchmarkFolder, results: Results, truth: Series) -> dict[float, Panel]:
    """Images of a subject with their metrics, by fraction; each image is made or read when a figure asks for it."""
    return {
        fraction: Panel(
            label=percent(fraction),
            evaluation=results[subject, fraction],
            group=subject,
            series=_series(subject, fraction, plan, folder, truth),
            truth=truth,
        )
        for fraction in plan.fractions
    }


def _series(subject: str, fraction: float, plan: Plan, folder: BenchmarkFolder, truth: Series) -> dict[str, Series]:
    grid, low = truth.geometry, downsample(truth, fraction)

    def interpolated(method: str) -> Series:
        return low.map(lambda volume: interpolate(volume, grid, method), grid)

    def super_resolved(method: str) -> Series:
        files = [folder.image(subject, fraction, number, method) for number in plan.subjects[subject].numbers]
        return Series(lambda i: read_volume(files[i]).data, truth.times, grid)

    return {
        LOW_RESOLUTION: low,
        **{name: interpolated(method) for name, method in INTERPOLATIONS.items()},
        **{name: super_resolved(name) for name in (MAIN, FINE_TUNED)},
    }


def _subject_figures(subject: str, panels: Mapping[float, Panel], points: TimePoints) -> dict[str, Illustration]:
    """Figures 3 to 5 of the paper, and metrics over time, of one subject by their names."""
    middle = points.middle
    when = f"time point {points.numbers[middle]}"
    rows, lowest = list(panels.values()), panels[min(panels)]
    columns = (LOW_RESOLUTION, TRILINEAR, MAIN, FINE_TUNED)
    drawn = {
        "figure3": Illustration(
            png(qualitative_figure(rows, middle, methods=columns)),
            f"{subject}, {when}: the slice with the most body at every fraction of k-space, as acquired, "
            f"interpolated, super-resolved, and in the ground truth (paper, Figure 3). All images of a row share "
            "one window. Above an image: the SSIM of its whole volume.",
            f"Rows: {', '.join(panel.label for panel in rows)}. Columns: {', '.join(columns)}, ground truth.",
        ),
        "figure4": Illustration(
            png(ssim_map_figure(lowest, (TRILINEAR, FINE_TUNED), points.shown)),
            f"{lowest.name}: {TRILINEAR} and {FINE_TUNED} over time, each with its map of structural similarity to the "
            "ground truth (paper, Figure 4). Yellow (1): identical around this voxel; dark violet (0): no similarity.",
            f"Images and SSIM maps of {TRILINEAR} and {FINE_TUNED} beside the truth, a row per time point.",
        ),
        "figure5": Illustration(
            png(detail_figure(lowest, (TRILINEAR, MAIN, FINE_TUNED), middle)),
            f"{lowest.name}, {when}: the region (yellow frame) where {TRILINEAR} has the largest error within the "
            "body, magnified (paper, Figure 5). Below every image its difference from the ground truth, on one scale: "
            "red is too bright, blue too dark, white is correct.",
            f"Magnified region of {TRILINEAR}, {MAIN}, {FINE_TUNED} and ground truth, with the differences.",
        ),
    }
    if len(points.numbers) > 1:  # one point is no line
        drawn["over_time"] = Illustration(
            png(metric_plot(rows)),
            f"{subject}: SSIM and PSNR of every method at every time point, over the whole volume. The scales differ "
            "from plot to plot.",
            "Line plots of SSIM and PSNR over time; the tables above hold their means.",
        )
    return {f"{name}_{subject}": illustration for name, illustration in drawn.items()}


def _summary(plan: Plan, facts: Mapping[str, Any]) -> str:
    subjects = "one subject" if len(plan.subjects) == 1 else f"{len(plan.subjects)} subjects"
    points = sum(len(points.numbers) for points in plan.subjects.values())
    fractions = ", ".join(f"{100 * fraction:g}%" for fraction in plan.fractions)
    return (
        f"The dynamic series of {subjects} ({points} time points in all) were downsampled to {fractions} of in-plane "
        "k-space. Interpolation, the base model after main training, and this model fine-tuned on the planning scan of "
        f"each subject (budget {facts['budget']['name']}) were compared with the series in full resolution."
    )


def _timings(facts: Mapping[str, Any]) -> dict[str, float]:
    tunings = [s for by_fraction in facts["seconds"]["fine_tuning"].values() for s in by_fraction.values() if s]
    timings = {"fine-tuning, median": statistics.median(tunings)} if tunings else {}
    medians = facts["seconds"]["median_of_a_time_point"]
    return timings | {f"super-resolving a time point, {method}, median": value for method, value in medians.items()}


def _details(facts: Mapping[str, Any]) -> dict[str, str]:
    budget = facts["budget"]
    details = {
        **facts["environment"],
        "Device": facts["device"],
        "CPU threads": str(facts["threads"]),
        "Processes": str(facts["ranks"]),
        "Seed": str(facts["seed"]),
        "Budget of fine-tuning": f"{budget['name']} ({budget['steps'] or 'one epoch of'} steps)",
    }
    for fraction, value in facts["models"]["main training"].items():
        details[f"Base model, {percent(float(fraction))} (SHA-256)"] = value
    for subject, hashes in facts["models"]["fine-tuned"].items():
        for fraction, value in hashes.items():
            details[f"Model fine-tuned on {subject}, {percent(float(fraction))} (SHA-256)"] = value
    return details


def _notes(plan: Plan, facts: Mapping[str, Any]) -> list[str]:
    warnings = [
        f"{subject}, {percent(float(fraction))}: {sentence}"
        for subject, by_fraction in facts["warnings"].items()
        for fraction, sentences in by_fraction.items()
        for sentence in sentences
    ]
    return [
        *warnings,
        *(f"{subject}: {points.left_out_sentence}" for subject, points in plan.subjects.items() if points.left_out),
        "The low-resolution series were made by cutting k-space, without the noise and motion of a fast acquisition.",
        "Where the planning scan is of the same acquisition as the series, fine-tuning is easier than in clinical use.",
    ]
