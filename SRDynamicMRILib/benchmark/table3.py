"""The paper's Table 3: mean and spread of every method in every case, and paired tests between them.

Figures of the body come first: where there is noise, those of the whole volume are mostly about the air around it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from ..evaluation.evaluation import METRIC_NAMES, Evaluation
from ..evaluation.metrics import Metrics
from .scenarios import SCENARIOS, Case, by_case

AREA, TRILINEAR, ZERO_FILLED = "area", "trilinear", "zero-filled"
MAIN, FINE_TUNED = "main training", "fine-tuned"

INTERPOLATIONS = {AREA: "area", TRILINEAR: "trilinear", ZERO_FILLED: "zero_filled"}
"""What `interpolation.interpolate` calls the methods that do not learn."""

METHODS = (*INTERPOLATIONS, MAIN, FINE_TUNED)
"""Names of the methods in the order of the table."""

STEPS = (
    (FINE_TUNED, MAIN),
    (FINE_TUNED, ZERO_FILLED),
    (FINE_TUNED, TRILINEAR),
    (FINE_TUNED, AREA),
    (MAIN, ZERO_FILLED),
    (ZERO_FILLED, TRILINEAR),
    (TRILINEAR, AREA),
)
"""Pairs of methods that are tested: the first should be closer to the truth."""

ALL_SUBJECTS = "all subjects"
ALL_FRACTIONS = "all fractions"

TABLE_HEADER = (
    *("subject", "scenario", "fraction", "region", "method", "time_points"),
    *(f"{metric}_{figure}" for metric in METRIC_NAMES for figure in ("mean", "sd")),
    *("ssim_gap_closed", "psnr_gain"),
)
"""Columns of `table_rows`."""

Results = Mapping[tuple[str, Case], Evaluation]
"""The metrics of all `METHODS` by subject and case."""

_TESTED = ("ssim", "psnr")
_REGIONS = (("body", True), ("whole", False))


def subjects_of(results: Results) -> list[str]:
    """Names of the subjects, in order."""
    return list(dict.fromkeys(subject for subject, _ in results))


def cases_of(results: Results) -> list[Case]:
    """The cases, in order."""
    return list(dict.fromkeys(case for _, case in results))


def pooled(results: Results, subject: str | None, cases: Collection[Case]) -> Evaluation:
    """Put all time points of a subject, or of all of them, one after the other, as the paper does.

    Parameters
    ----------
    results
        Metrics by subject and case.
    subject
        All subjects if None.
    cases
        Which cases.

    Returns
    -------
        The evaluation; its times are numbers.
    """
    parts = [e for (s, case), e in results.items() if subject in (None, s) and case in cases]

    def rows(tables: Sequence[Mapping[str, Sequence[Metrics]]]) -> dict[str, list[Metrics]]:
        return {method: [row for table in tables for row in table[method]] for method in METHODS}

    count = sum(len(part.times) for part in parts)
    return Evaluation(tuple(map(float, range(count))), rows([p.whole for p in parts]), rows([p.body for p in parts]))


def gap_closed(evaluation: Evaluation, method: str, body: bool = False) -> float:
    """Share of what the mean SSIM of zero-filled images lacks to 1 that a method makes good."""
    reference = evaluation.mean_sd(ZERO_FILLED, "ssim", body)[0]
    gain = evaluation.mean_sd(method, "ssim", body)[0] - reference
    return gain / (1 - reference) if reference < 1 else float("nan")


def psnr_gain(evaluation: Evaluation, method: str, body: bool = False) -> float:
    """Mean PSNR of a method above that of zero-filled images, in dB."""
    return evaluation.mean_sd(method, "psnr", body)[0] - evaluation.mean_sd(ZERO_FILLED, "psnr", body)[0]


def table_rows(results: Results) -> Iterator[list[str]]:
    """Yield the lines of the table for files, `TABLE_HEADER`: over all subjects, then for each of them."""
    for subject in (None, *subjects_of(results)):
        for case in cases_of(results):
            evaluation = pooled(results, subject, [case])
            for region, body in _REGIONS:
                for method in METHODS:
                    figures = _figures(evaluation, method, body)
                    yield [
                        *(subject or ALL_SUBJECTS, case.scenario, f"{case.fraction:g}", region, method),
                        *(str(len(evaluation.times)), *(f"{value:.8g}" for value in figures.values())),
                    ]


def summary(results: Results) -> dict[str, object]:
    """Means, standard deviations and tests, over all subjects and for each, as JSON can hold them."""
    return {
        "overall": _summary(results, None),
        "subjects": {subject: _summary(results, subject) for subject in subjects_of(results)},
    }


def _summary(results: Results, subject: str | None) -> dict[str, object]:
    cases = cases_of(results)
    tests = by_case(cases, lambda case: _tests(pooled(results, subject, [case])))
    for scenario, of_scenario in tests.items():
        of_scenario[ALL_FRACTIONS] = _tests(pooled(results, subject, [c for c in cases if c.scenario == scenario]))
    return {
        "time_points": by_case(cases, lambda case: len(pooled(results, subject, [case]).times)),
        "figures": by_case(cases, lambda case: _means(pooled(results, subject, [case]))),
        "tests": tests,
    }


def _means(evaluation: Evaluation) -> dict[str, object]:
    return {region: {method: _figures(evaluation, method, body) for method in METHODS} for region, body in _REGIONS}


def _figures(evaluation: Evaluation, method: str, body: bool) -> dict[str, float]:
    """The figures of a method by the names in `TABLE_HEADER`."""
    with np.errstate(invalid="ignore"):  # infinite PSNR of an exact result
        spread = {metric: evaluation.mean_sd(method, metric, body) for metric in METRIC_NAMES}
        figures = {f"{m}_{name}": value[i] for m, value in spread.items() for i, name in enumerate(("mean", "sd"))}
        return figures | {
            "ssim_gap_closed": gap_closed(evaluation, method, body),
            "psnr_gain": psnr_gain(evaluation, method, body),
        }


def _tests(evaluation: Evaluation) -> dict[str, object]:
    with np.errstate(invalid="ignore"):
        return {
            region: {
                f"{better} against {other}": {m: asdict(evaluation.test(better, other, m, body)) for m in _TESTED}
                for better, other in STEPS
            }
            for region, body in _REGIONS
        }


def as_text(results: Results) -> str:
    """Write the table over all subjects, and the p-values of the body, as plain text."""
    subjects, cases = subjects_of(results), cases_of(results)
    whose = subjects[0] if len(subjects) == 1 else f"{len(subjects)} subjects"
    parts = ["Mean +- standard deviation over the time points"]
    for case in cases:
        evaluation = pooled(results, None, [case])
        points = len(evaluation.times)
        parts.append(f"{case}: {points} time point{'s' if points != 1 else ''} of {whose}")
        parts += [_method_lines(evaluation, "body", body=True), _method_lines(evaluation, "whole volume", body=False)]
        parts.append(_test_lines(evaluation))
        alike = [other for other in cases if other.scenario == case.scenario]
        if len(alike) > 1 and case == alike[-1]:
            parts += [f"{ALL_FRACTIONS.capitalize()} of k-space together, {SCENARIOS[case.scenario].title}"]
            parts.append(_test_lines(pooled(results, None, alike)))
    return "\n".join(parts)


def _method_lines(evaluation: Evaluation, region: str, *, body: bool) -> str:
    width = max(map(len, METHODS))
    lines = [f"  {region:{width}}  SSIM            PSNR (dB)      SD of difference  SSIM gap closed  PSNR gain"]
    for method in METHODS:
        f = _figures(evaluation, method, body)
        lines.append(
            f"  {method:{width}}  {f['ssim_mean']:.4f}+-{f['ssim_sd']:.4f}  "
            f"{f['psnr_mean']:6.2f}+-{f['psnr_sd']:5.2f}  {f['difference_sd_mean']:.4f}+-{f['difference_sd_sd']:.4f}   "
            f"{100 * f['ssim_gap_closed']:14.1f}%  {f['psnr_gain']:+6.2f} dB"
        )
    return "\n".join(lines)


def _test_lines(evaluation: Evaluation) -> str:
    if len(evaluation.times) < 2:
        return "  One time point: no test."
    names = {step: f"{step[0]} against {step[1]}" for step in STEPS}
    width = max(map(len, names.values()))
    lines = [f"  {'p in the body of':{width}}  SSIM: t-test, Wilcoxon  PSNR: t-test, Wilcoxon"]
    for (better, other), name in names.items():
        with np.errstate(invalid="ignore"):
            tests = [evaluation.test(better, other, metric, body=True) for metric in _TESTED]
        shown = "  ".join(f"{test.t_test:12.2g}, {test.wilcoxon:8.2g}" for test in tests)
        lines.append(f"  {name:{width}}  {shown}")
    return "\n".join(lines)
