"""The report of a benchmark, with figures like the paper's."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from ..requests import ScenarioName
from ..volume import Series
from .folder import BenchmarkFolder, Plan, TimePoints, figure_name
from .scenarios import SCENARIOS, Case, percent, simulate
from .subjects import Scans
from .table3 import (
    ALL_SUBJECTS,
    FINE_TUNED,
    INTERPOLATIONS,
    MAIN,
    TRILINEAR,
    ZERO_FILLED,
    Results,
    pooled,
)

LOW_RESOLUTION = "low resolution"
"""What the figures call the downsampled series itself."""


def write_benchmark_report(
    folder: BenchmarkFolder, plan: Plan, results: Results, facts: Mapping[str, Any], scans: Callable[[str], Scans]
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
    scans
        Gives the images of a subject by its name, all time points of them.

    Returns
    -------
        The files by what they are.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    drawn: dict[str, Illustration] = {}
    for scenario in plan.scenarios:
        drawn[figure_name("figure6", scenario)] = _overview(scenario, results)
        for subject, points in plan.subjects.items():
            panels = _panels(subject, scenario, plan, folder, results, scans(subject), facts["seed"])
            lowest = panels[plan.fractions.index(min(plan.fractions))]
            drawn |= _subject_figures(subject, scenario, panels, points, lowest)
    files = {}
    for name, illustration in drawn.items():
        path = folder.figure(name)
        with written_whole(path) as temporary:
            temporary.write_bytes(illustration.image)
        files[name.replace("_", " ")] = path

    content = ReportContent(
        title="Benchmark: every method against the ground truth",
        summary=_summary(plan, facts),
        panels=_comparisons(plan, results),
        result=FINE_TUNED,
        input=ZERO_FILLED,
        timings=_timings(plan, facts),
        details=_details(plan, facts),
        notes=_notes(plan, facts),
        figures=list(drawn.values()),
    )
    write_report(content, folder.outputs["report"])
    return {"report": folder.outputs["report"], **files}


def _comparisons(plan: Plan, results: Results) -> list[Comparison]:
    """Every case, scenario by scenario: over all subjects, if there are several, then for each of them."""
    everyone = (None, *plan.subjects) if len(plan.subjects) > 1 else tuple(plan.subjects)
    return [
        Comparison(
            label=percent(case.fraction),
            evaluation=pooled(results, subject, [case]),
            group=_group(subject or ALL_SUBJECTS, scenario),
        )
        for scenario in plan.scenarios
        for subject in everyone
        for case in plan.cases
        if case.scenario == scenario
    ]


def _group(subject: str, scenario: ScenarioName) -> str:
    return f"{subject}, {SCENARIOS[scenario].title}"


def _overview(scenario: ScenarioName, results: Results) -> Illustration:
    """Figure 6 of the paper for a scenario."""
    compared = [
        Comparison(label=percent(case.fraction), evaluation=evaluation, group=subject)
        for (subject, case), evaluation in results.items()
        if case.scenario == scenario
    ]
    return Illustration(
        png(confidence_plot(compared, body=True)),
        f"{SCENARIOS[scenario].title.capitalize()}: SSIM and PSNR of every method and subject in the body, mean over "
        "the time points, with the 95% confidence interval of the mean (paper, Figure 6). The scales differ from plot "
        "to plot.",
        "Plots of mean SSIM and PSNR; the tables above hold the means.",
    )


def _panels(
    subject: str, scenario: ScenarioName, plan: Plan, folder: BenchmarkFolder, results: Results, scans: Scans, seed: int
) -> list[Panel]:
    """Images of a subject with their metrics, by fraction; each image is made or read when a figure asks for it."""
    numbers = plan.subjects[subject].numbers
    return [
        Panel(
            label=percent(case.fraction),
            evaluation=results[subject, case],
            group=_group(subject, scenario),
            series=_series(subject, case, numbers, folder, scans, seed),
            truth=scans.dynamic.select(numbers),
        )
        for case in plan.cases
        if case.scenario == scenario
    ]


def _series(
    subject: str, case: Case, numbers: Sequence[int], folder: BenchmarkFolder, scans: Scans, seed: int
) -> dict[str, Series]:
    grid = scans.dynamic.geometry
    low = simulate(scans.dynamic, case.settings, phase=scans.phase, seed=seed).select(numbers)

    def interpolated(method: str) -> Series:
        return low.map(lambda volume: interpolate(volume, grid, method), grid)

    def super_resolved(method: str) -> Series:
        files = [folder.image(subject, case, number, method) for number in numbers]
        return Series(lambda i: read_volume(files[i]).data, low.times, grid)

    return {
        LOW_RESOLUTION: low,
        **{name: interpolated(method) for name, method in INTERPOLATIONS.items()},
        **{name: super_resolved(name) for name in (MAIN, FINE_TUNED)},
    }


def _subject_figures(
    subject: str, scenario: ScenarioName, rows: Sequence[Panel], points: TimePoints, lowest: Panel
) -> dict[str, Illustration]:
    """Figures 3 to 5 of the paper, and metrics over time, of one subject in one scenario by their names."""
    middle = points.middle
    when = f"time point {points.numbers[middle]}"
    name = _group(subject, scenario)
    columns = (LOW_RESOLUTION, TRILINEAR, MAIN, FINE_TUNED)
    drawn = {
        "figure3": Illustration(
            png(qualitative_figure(rows, middle, methods=columns)),
            f"{name}, {when}: the slice with the most body at every fraction of k-space, as acquired, "
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
            png(metric_plot(rows, body=True)),
            f"{name}: SSIM and PSNR of every method at every time point, in the body. The scales differ from plot to "
            "plot.",
            "Line plots of SSIM and PSNR over time; the tables above hold their means.",
        )
    return {figure_name(kind, scenario, subject): illustration for kind, illustration in drawn.items()}


def _summary(plan: Plan, facts: Mapping[str, Any]) -> str:
    subjects = "one subject" if len(plan.subjects) == 1 else f"{len(plan.subjects)} subjects"
    points = sum(len(points.numbers) for points in plan.subjects.values())
    fractions = ", ".join(f"{100 * fraction:g}%" for fraction in plan.fractions)
    ways = "".join(
        f"\n\n{SCENARIOS[name].title.capitalize()}: {SCENARIOS[name].description}." for name in plan.scenarios
    )
    return (
        f"Acquisitions of {fractions} of in-plane k-space were simulated from the dynamic series of {subjects} "
        f"({points} time points in all). Interpolation, the base model after main training, and a model fine-tuned on "
        f"the planning scan of each subject (budget {facts['budget']['name']}) were compared with the series in full "
        f"resolution.{ways}"
    )


def _timings(plan: Plan, facts: Mapping[str, Any]) -> dict[str, float]:
    tunings = [s for pair in plan.pairs if (s := _of(facts["seconds"]["fine_tuning"], *pair))]
    timings = {"fine-tuning, median": statistics.median(tunings)} if tunings else {}
    medians = facts["seconds"]["median_of_a_time_point"]
    return timings | {f"super-resolving a time point, {method}, median": value for method, value in medians.items()}


def _of(by_subject: Mapping[str, Any], subject: str, case: Case) -> Any:
    """What ``benchmark.json`` has for a subject and a case."""
    return by_subject[subject][case.scenario][f"{case.fraction:g}"]


def _details(plan: Plan, facts: Mapping[str, Any]) -> dict[str, str]:
    budget, models = facts["budget"], facts["models"]
    details = {
        **facts["environment"],
        "Device": facts["device"],
        "CPU threads": str(facts["threads"]),
        "Processes": str(facts["ranks"]),
        "Seed": str(facts["seed"]),
        "Budget of fine-tuning": f"{budget['name']} ({budget['steps'] or 'one epoch of'} steps)",
    }
    for case in plan.cases:
        details[f"Base model, {case} (SHA-256)"] = models["main training"][case.scenario][f"{case.fraction:g}"]
    for subject, case in plan.pairs:
        details[f"Model fine-tuned on {subject}, {case} (SHA-256)"] = _of(models["fine-tuned"], subject, case)
    return details


def _notes(plan: Plan, facts: Mapping[str, Any]) -> list[str]:
    warnings = [
        f"{subject}, {case}: {sentence}"
        for subject, case in plan.pairs
        for sentence in _of(facts["warnings"], subject, case)
    ]
    lacking = ["The low-resolution series were simulated, without motion within a time point."]
    if "signed" in plan.scenarios:
        lacking.append("With the sign kept, phase, noise and filter of a real acquisition are missing, too.")
    return [
        *warnings,
        *(f"{subject}: {points.left_out_sentence}" for subject, points in plan.subjects.items() if points.left_out),
        *lacking,
        "Where there is noise, the figures of the whole volume are mostly about the air around the body.",
        "Where the planning scan is of the same acquisition as the series, fine-tuning is easier than in clinical use.",
    ]
