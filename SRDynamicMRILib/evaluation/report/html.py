"""The report itself: one HTML file without script or outside resource, readable on paper and on a phone."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...io.image_files import written_whole
from ...io.sidecar import NOTICE
from ..evaluation import Evaluation
from ..significance import PairedTests
from .figures import (
    METRIC_LABELS,
    WHITE_PERCENTILE,
    Comparison,
    Panel,
    detail_figure,
    metric_plot,
    png,
    qualitative_figure,
    ssim_map_figure,
    time_label,
)

_MINUS, _DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
_DIGITS = {"ssim": 4, "psnr": 2, "difference_sd": 4}
_TESTED = ("ssim", "psnr")
_SHORT = {"ssim": "SSIM", "psnr": "PSNR"}
_UNITS = {"ssim": "", "psnr": " dB"}


@dataclass(frozen=True)
class Illustration:
    """A figure of a report.

    Parameters
    ----------
    image
        Content of a PNG file; see `figures.png`.
    caption
        What stands below it, in plain text.
    alternative
        What a reader who cannot see it is told, in plain text.
    """

    image: bytes
    caption: str
    alternative: str


@dataclass(frozen=True)
class ReportContent:
    """What a report says. All texts are plain: they are escaped.

    Parameters
    ----------
    title
        Heading of the report.
    summary
        What was done, in words; an empty line begins a new paragraph.
    panels
        What was compared, one for every fraction of k-space (and group), all with the same methods.
    result
        Name of the method that is the result, such as "fine-tuned".
    input
        Name of the method that it has to beat, such as "zero-filled".
    timings
        Seconds by the name of the step.
    details
        Versions, seeds, hashes, data: value by name.
    notes
        Limits that a reader should know, one sentence or more each.
    figures
        The figures; without them they are drawn of those `panels` that have images.
    """

    title: str
    summary: str
    panels: Sequence[Comparison]
    result: str
    input: str
    timings: Mapping[str, float]
    details: Mapping[str, str]
    notes: Sequence[str]
    figures: Sequence[Illustration] = ()


def write_report(content: ReportContent, path: Path) -> None:
    """Write a report as one HTML file, whole or not at all.

    Parameters
    ----------
    content
        What it says.
    path
        Name of the file; its folder must exist. An earlier file of that name is replaced.

    Raises
    ------
    InputError
        If there is nothing to report, a method is missing in a panel, or the file cannot be written.
    """
    _check(content)
    with written_whole(path) as temporary:
        temporary.write_bytes(_document(content).encode("utf-8", errors="replace"))


def verdict(evaluation: Evaluation, result: str, reference: str) -> str:
    """Say in words whether a result is closer to the truth than another method, from SSIM and PSNR.

    Parameters
    ----------
    evaluation
        Metrics of both.
    result, reference
        Names of the two methods.
    """
    return " ".join(_verdict_lines(evaluation, result, reference))


def _verdict_lines(evaluation: Evaluation, result: str, reference: str) -> list[str]:
    return [
        f"{region}: {_region_verdict(evaluation, result, reference, body)}"
        for region, body in (("Body", True), ("Whole volume", False))
    ]


def _region_verdict(evaluation: Evaluation, result: str, reference: str, body: bool) -> str:
    number = len(evaluation.times)
    points = f"of {number} time point{'s' if number != 1 else ''}"
    average = " on average" if number > 1 else ""
    ahead: list[str] = []
    behind: dict[int, list[str]] = {}
    for metric in _TESTED:
        ours, theirs = (evaluation.values(method, metric, body) for method in (result, reference))
        better = sum(a > b for a, b in zip(ours, theirs, strict=True))
        worse = sum(a < b for a, b in zip(ours, theirs, strict=True))
        difference = _test(evaluation, result, reference, metric, body).mean_difference
        mean = _number(difference, _DIGITS[metric], "+") + _UNITS[metric]
        ahead.append(f"the higher {_SHORT[metric]} in {better} {points} ({mean}{average})")
        behind.setdefault(worse, []).append(_SHORT[metric])
    sentences = [f"compared with {reference}, {result} has {' and '.join(ahead)}."]
    sentences += [
        f"In {worse} {points} the {reference} image is closer to the truth by {' and '.join(names)}."
        for worse, names in behind.items()
        if worse
    ]
    if lost := _not_better(evaluation, result, reference, body):
        sentences.append(f"So {result} is not better than {reference} in {' and '.join(lost)}{average}.")
    return " ".join(sentences)


def _not_better(evaluation: Evaluation, result: str, reference: str, body: bool) -> list[str]:
    """Names of the metrics whose mean is not above that of the reference."""
    return [
        _SHORT[metric]
        for metric in _TESTED
        if not _mean_sd(evaluation, result, metric, body)[0] > _mean_sd(evaluation, reference, metric, body)[0]
    ]


def _check(content: ReportContent) -> None:
    if not content.panels:
        raise InputError("A report needs at least one comparison with a ground truth.")
    methods = content.panels[0].methods
    for panel in content.panels:
        if panel.methods != methods:
            message = (
                f"{panel.name} compares {', '.join(panel.methods)} but {content.panels[0].name} compares "
                f"{', '.join(methods)}; use the same methods in the same order for all of them."
            )
            raise InputError(message)
    for name in (content.result, content.input):
        if name not in methods:
            message = f"There is no method named {name} in the comparison; use one of {', '.join(methods)}."
            raise InputError(message)


# ----------------------------------------------------------------------------------------------- the page


def _document(content: ReportContent) -> str:
    figures = "".join(
        _figure(number, illustration) for number, illustration in enumerate(content.figures or _drawn(content), start=1)
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(content.title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<header>
<h1>{escape(content.title)}</h1>
<p class="banner" role="note">{escape(NOTICE)}</p>
</header>
{_section("Summary", _paragraphs(content.summary) + _verdicts(content))}
{_section("Image quality against the ground truth", _metric_tables(content))}
{_section("Statistical tests", _test_tables(content))}
{_section("Figures", figures)}
{_section("Run time", _timing_table(content.timings))}
{_section("Details", _detail_table(content.details))}
{_section("Limits", _list(map(escape, content.notes)))}
</main>
</body>
</html>
"""


def _section(heading: str, body: str) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{body}</section>\n" if body else ""


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part.strip())}</p>\n" for part in text.split("\n\n") if part.strip())


def _list(items: Iterable[str]) -> str:
    lines = "".join(f"<li>{item}</li>\n" for item in items)
    return f"<ul>\n{lines}</ul>\n" if lines else ""


def _verdicts(content: ReportContent) -> str:
    def line(panel: Comparison) -> str:
        evaluation = panel.evaluation
        lost = sum(len(_not_better(evaluation, content.result, content.input, b)) for b in (False, True))
        heading = escape(panel.name + _shortfall(lost, content.input))
        text = "<br>\n".join(map(escape, _verdict_lines(evaluation, content.result, content.input)))
        kind = "verdict worse" if lost else "verdict"
        return f'<p class="{kind}"><strong>{heading}</strong><br>\n{text}</p>\n'

    return "".join(map(line, content.panels))


def _shortfall(lost: int, reference: str) -> str:
    """Words beside a panel's label when `lost` of the means are not better than the reference's."""
    if lost == 0:
        return ""
    everywhere = lost == 2 * len(_TESTED)
    return f": not better than {reference}" if everywhere else f": only partly better than {reference}"


def _table(caption: str, head: str, body: str, kind: str = "") -> str:
    """Table that scrolls by itself where the page is narrow."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">\n'
        f'<table class="{kind}">\n<caption>{escape(caption)}</caption>\n{head}{body}</table>\n</div>\n'
    )


# ------------------------------------------------------------------------------------------------- tables


def _metric_tables(content: ReportContent) -> str:
    points = {len(panel.evaluation.times) for panel in content.panels}
    several = max(points) > 1
    explained = (
        ("Mean ± standard deviation over the time points. " if several else "One time point. ")
        + "The best of a column is bold. SSIM (at most 1) and PSNR: higher is closer to the truth; SD of the "
        "difference, as a share of the truth's maximum: lower is closer."
    )
    tables = f"<p>{escape(explained)}</p>\n"
    for group in dict.fromkeys(panel.group for panel in content.panels):
        panels = [panel for panel in content.panels if panel.group == group]
        name = f"{group}: " if group else ""
        tables += _metric_table(panels, f"{name}Body only, without the air around it", body=True)
        tables += _metric_table(panels, f"{name}Whole volume", body=False)
    return tables


def _metric_table(panels: Sequence[Comparison], caption: str, body: bool) -> str:
    metrics = tuple(_DIGITS)
    groups = "".join(f'<th scope="colgroup" colspan="{len(metrics)}">{escape(p.label)}</th>' for p in panels)
    names = "".join(f'<th scope="col">{escape(METRIC_LABELS[m])}</th>' for m in metrics) * len(panels)
    head = f'<thead>\n<tr><th scope="col" rowspan="2">Method</th>{groups}</tr>\n<tr>{names}</tr>\n</thead>\n'
    rows = "".join(
        f'<tr><th scope="row">{escape(method)}</th>'
        + "".join(_metric_cell(panel, method, metric, body) for panel in panels for metric in metrics)
        + "</tr>\n"
        for method in panels[0].methods
    )
    return _table(caption, head, f"<tbody>\n{rows}</tbody>\n", "metrics")


def _metric_cell(panel: Comparison, method: str, metric: str, body: bool) -> str:
    digits = _DIGITS[metric]
    mean, sd = _mean_sd(panel.evaluation, method, metric, body)
    best = _best(metric)(_mean_sd(panel.evaluation, name, metric, body)[0] for name in panel.methods)
    shown = _number(mean, digits)
    if shown == _number(best, digits):
        shown = f"<strong>{shown}</strong>"
    if len(panel.evaluation.times) > 1 and math.isfinite(sd):
        shown += f' <span class="sd">± {_number(sd, digits)}</span>'
    return f"<td>{shown}</td>"


def _best(metric: str) -> Callable[[Iterable[float]], float]:
    return min if metric == "difference_sd" else max


def _mean_sd(evaluation: Evaluation, method: str, metric: str, body: bool) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):  # infinite PSNR of an exact result
        return evaluation.mean_sd(method, metric, body)


def _test(evaluation: Evaluation, method: str, other: str, metric: str, body: bool) -> PairedTests:
    with np.errstate(invalid="ignore"):
        return evaluation.test(method, other, metric, body)


def _test_tables(content: ReportContent) -> str:
    others = [name for name in content.panels[0].methods if name != content.result]
    if not others:
        return ""
    head = (
        '<thead>\n<tr><th scope="col" rowspan="2">Compared with</th>'
        + "".join(f'<th scope="colgroup" colspan="3">{escape(METRIC_LABELS[m])}</th>' for m in _TESTED)
        + '<th scope="col" rowspan="2">Time points</th></tr>\n<tr>'
        + '<th scope="col">difference</th><th scope="col">t-test, p</th><th scope="col">Wilcoxon, p</th>' * 2
        + "</tr>\n</thead>\n"
    )

    def table(region: str, body: bool) -> str:
        rows = "".join(
            f'<tbody>\n<tr><th scope="rowgroup" colspan="8" class="group">{escape(panel.name)}</th></tr>\n'
            + "".join(_test_row(panel.evaluation, content.result, other, body) for other in others)
            + "</tbody>\n"
            for panel in content.panels
        )
        return _table(f"{content.result} against every other method, {region}", head, rows, "tests")

    return _paragraphs(_tests_explained(content)) + table("body", True) + table("whole volume", False)


def _tests_explained(content: ReportContent) -> str:
    text = (
        f"Mean difference ({content.result} minus the other; above zero: {content.result} is closer to the "
        "truth) and p-values of two-sided paired tests over the time points. Time points of one subject are not "
        "independent: the p-values describe this series and say nothing about other patients."
    )
    fewest = min(len(panel.evaluation.times) for panel in content.panels)
    if fewest > 1 and (least := 2.0 ** (1 - fewest)) >= 0.001:
        text += f" With {fewest} time points the Wilcoxon test cannot give a p-value below {least:.3f}."
    return text


def _test_row(evaluation: Evaluation, result: str, other: str, body: bool) -> str:
    cells = ""
    for metric in _TESTED:
        tests = _test(evaluation, result, other, metric, body)
        difference = _number(tests.mean_difference, _DIGITS[metric], "+")
        cells += f'<td class="start">{difference}</td>'
        if tests.pairs < 2:
            cells += '<td colspan="2">one time point: no test</td>'
        else:
            cells += f"<td>{_p_value(tests.t_test)}</td><td>{_p_value(tests.wilcoxon)}</td>"
    return f'<tr><th scope="row">{escape(other)}</th>{cells}<td>{len(evaluation.times)}</td></tr>\n'


def _timing_table(timings: Mapping[str, float]) -> str:
    if not timings:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(step)}</th><td>{_duration(seconds)}</td></tr>\n'
        for step, seconds in timings.items()
    )
    head = '<thead>\n<tr><th scope="col">Step</th><th scope="col">Time</th></tr>\n</thead>\n'
    return _table("Time taken by every step", head, f"<tbody>\n{rows}</tbody>\n")


def _detail_table(details: Mapping[str, str]) -> str:
    if not details:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>\n' for name, value in details.items()
    )
    head = '<thead>\n<tr><th scope="col">Name</th><th scope="col">Value</th></tr>\n</thead>\n'
    return _table("What is needed to reproduce this", head, f"<tbody>\n{rows}</tbody>\n", "details")


# ------------------------------------------------------------------------------------------------ numbers


def _number(value: float, digits: int, sign: str = "-") -> str:
    if math.isnan(value):
        return _DASH
    rounded = round(value, digits) + 0.0  # no negative zero
    return f"{rounded:{sign}.{digits}f}".replace("-", _MINUS).replace("inf", "∞")


def _p_value(p: float) -> str:
    if math.isnan(p):
        return _DASH
    return "&lt; 0.001" if p < 0.001 else f"{p:.3f}"


def _duration(seconds: float) -> str:
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


# ------------------------------------------------------------------------------------------------ figures


def _drawn(content: ReportContent) -> Iterable[Illustration]:
    """Figures of the panels that have images."""
    panels = [panel for panel in content.panels if isinstance(panel, Panel)]
    if not panels:
        return
    result, given = content.result, content.input
    hardest = min(panels, key=lambda p: _mean_sd(p.evaluation, given, "ssim", False)[0])
    last = min(len(panel.evaluation.times) for panel in panels) - 1
    middle = (last + 1) // 2
    time = time_label(panels[0], middle)
    yield Illustration(
        png(qualitative_figure(panels, middle)),
        f"The slice with the most body at {time}, from every method and from the ground truth. All images of a row "
        f"share one window, from 0 (black) to the {WHITE_PERCENTILE:g}th percentile of the ground truth "
        "(white). Above every image: the SSIM of its whole volume.",
        f"Rows: {', '.join(p.name for p in panels)}. Columns: {', '.join(panels[0].methods)}, ground truth.",
    )
    compared = tuple(dict.fromkeys((given, result)))
    yield Illustration(
        png(ssim_map_figure(hardest, compared, sorted({0, middle, last}))),
        f"{hardest.name}: {' and '.join(compared)} over time, each with its map of structural similarity "
        "(SSIM) to the ground truth. Yellow (1): identical around this voxel; green and blue: less similar; dark "
        "violet (0): no similarity. The number above an image is the mean over its whole volume.",
        f"Images and SSIM maps of {' and '.join(compared)} beside the truth, a row per time point.",
    )
    others = [name for name in hardest.methods if name != given]
    yield Illustration(
        png(detail_figure(hardest, (given, *others), middle)),
        f"{hardest.name} at {time}: the region (yellow frame) where {given} has the largest error within "
        "the body, magnified. Below every image its difference from the ground truth, on one scale: red is too "
        "bright, blue too dark, white is correct.",
        f"Magnified region of {', '.join((given, *others))} and ground truth, with the differences.",
    )
    if all(len(panel.evaluation.times) == 1 for panel in panels):
        return  # one point is no line
    yield Illustration(
        png(metric_plot(panels, _TESTED)),
        "SSIM and PSNR of every method at every time point, over the whole volume. Higher is closer to the "
        "truth. The scales differ from plot to plot.",
        "Line plots of SSIM and PSNR over time; the tables above hold their means.",
    )


def _figure(number: int, illustration: Illustration) -> str:
    image = base64.b64encode(illustration.image).decode("ascii")
    return (
        f'<figure>\n<div class="scroll" role="region" tabindex="0" aria-label="Figure {number}">'
        f'<img alt="{escape(illustration.alternative)}" src="data:image/png;base64,{image}"></div>\n'
        f"<figcaption><strong>Figure {number}.</strong> {escape(illustration.caption)}</figcaption>\n</figure>\n"
    )


_STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #525a64; --line: #d3d8de; --band: #f4f6f8; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
p, ul { max-width: 48rem; margin: .6rem 0; overflow-wrap: anywhere; }
ul { padding-left: 1.25rem; }
.banner { max-width: none; margin: 0; padding: .7rem 1rem; font-weight: 700;
  color: #7a1500; background: #fff1ec; border: 2px solid #b3361a; border-radius: 4px; }
.verdict { padding: .5rem .9rem; background: var(--band); border-left: 4px solid #2f6f9f; }
.verdict.worse { background: #fff6e0; border-left-color: #b26a00; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid #2f6f9f; outline-offset: 2px; }
table { border-collapse: collapse; margin: 1rem 0 1.5rem; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0 0 .4rem; }
th, td { padding: .38rem .7rem; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
th:first-child, .details th, .details td { text-align: left; }
tbody th { font-weight: 400; }
thead th { background: var(--band); vertical-align: bottom; }
thead th[scope="colgroup"] { text-align: center; border-left: 1px solid var(--line); }
td { white-space: nowrap; }
tbody th { min-width: 7rem; max-width: 16rem; overflow-wrap: anywhere; }
.metrics td:nth-child(3n+2), .start { border-left: 1px solid var(--line); }
.details td { white-space: normal; overflow-wrap: anywhere; }
.metrics .sd { display: block; color: var(--soft); font-size: .82rem; }
.metrics tbody th { vertical-align: middle; }
.group { padding-top: .9rem; font-weight: 600; }
figure { margin: 1.25rem 0 2rem; }
figure img { display: block; width: 100%; min-width: 40rem; height: auto; }
figcaption { max-width: 48rem; margin-top: .6rem; font-size: .9rem; color: var(--soft);
  overflow-wrap: anywhere; }
figcaption strong { color: var(--ink); }
@media print {
  @page { margin: 15mm; }
  main { max-width: none; padding: 0; }
  body { font-size: 10.5pt; }
  figure img { min-width: 0; }
  .scroll { overflow: visible; }
  figure, tr, .verdict, tbody { break-inside: avoid; }
  h2, caption, thead { break-after: avoid; }
  .banner, .verdict, thead th { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
