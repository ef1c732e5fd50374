"""The report: complete, self-contained, honest about the numbers, harmless whatever the names say."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.project import ROOT
from helpers.web_page import Page, from_outside
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy import ndimage, stats

from SRDynamicMRILib.acquisition.acquisition import Acquisition, downsample
from SRDynamicMRILib.acquisition.body import body_mask
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.evaluation import Evaluation, evaluate
from SRDynamicMRILib.evaluation.metrics import Metrics
from SRDynamicMRILib.evaluation.report import (
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
    verdict,
    write_report,
)
from SRDynamicMRILib.evaluation.report.figures import fullest_slice, worst_region
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.sidecar import NOTICE
from SRDynamicMRILib.volume import Series, Volume

SHAPE = (8, 28, 36)
GEOMETRY = Geometry(SHAPE, (2.0, 3.0, 5.0))
METHODS = ("trilinear", "zero-filled", "fine-tuned")
SECTIONS = (
    "Summary",
    "Image quality against the ground truth",
    "Statistical tests",
    "Figures",
    "Run time",
    "Details",
    "Limits",
)
HOSTILE = "<script>alert(1)</script>\"' onload='x' & $x_1$ <img src=http://x/y> </style><style>@import url(//z)</style>"


def truth_of(points: int) -> Series:
    """Return a bright ellipse with smooth texture, largest in slice 3, in dark air."""
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    body = (z + 1 / 7) ** 2 / 8 + y**2 + x**2 < 0.6
    volumes = [
        Volume(100 * body * (1 + 0.5 * ndimage.gaussian_filter(rng.normal(0, 3, SHAPE), 1.5)), GEOMETRY)
        for _ in range(points)
    ]
    return Series.of(volumes, [0.5 * i for i in range(points)])


def noisy(series: Series, sigma: float, seed: int) -> Series:
    rng = np.random.default_rng(seed)
    return Series.of([v.with_data(v.data + rng.normal(0, sigma, SHAPE)) for v in series], series.times)


def panel_of(
    label: str, points: int = 3, methods: Sequence[str] = METHODS, noise: Sequence[float] = (12, 8, 4)
) -> Panel:
    truth = truth_of(points)
    series = {name: noisy(truth, sigma, i) for i, (name, sigma) in enumerate(zip(methods, noise, strict=True))}
    return Panel(label=label, evaluation=evaluate(series, truth), series=series, truth=truth)


@pytest.fixture(scope="module")
def panels() -> list[Panel]:
    return [
        panel_of("25% of k-space", noise=(6, 4, 2)),
        panel_of("6.25% of k-space", noise=(12, 8, 4)),
    ]


def content_of(panels: Sequence[Panel]) -> ReportContent:
    return ReportContent(
        title="A test",
        summary="First paragraph.\n\nSecond paragraph.",
        panels=panels,
        result="fine-tuned",
        input="zero-filled",
        timings={"Fine-tuning": 75.0, "Super-resolution": 2.04},
        details={"Seed": "0", "Data": "noise"},
        notes=["Noise is not anatomy."],
    )


def written(content: ReportContent, folder: Path) -> str:
    path = folder / "report.html"
    write_report(content, path)
    assert [p.name for p in folder.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(panels: list[Panel], tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(content_of(panels), tmp_path_factory.mktemp("report"))


def without_images(text: str) -> str:
    return re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)


# ----------------------------------------------------------------------------------------------- the page


def test_report_is_one_whole_file_with_all_sections(panels: list[Panel], html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert html.index("A test") < html.index("AI-generated images. Not for diagnosis.")
    assert re.findall(r"<h2>(.*?)</h2>", html) == list(SECTIONS)
    assert page.tags.count("figure") == page.tags.count("img") == 4
    for words in ("<p>Second paragraph.</p>", "1 min 15 s", "2.0 s", "Noise is not anatomy."):
        assert words in html
    for panel in panels:
        for method in METHODS:
            mean, sd = panel.evaluation.mean_sd(method, "ssim", body=True)
            assert f"{mean:.4f}" in html
            assert f"± {sd:.4f}" in html


def test_report_needs_nothing_from_outside(html: str) -> None:
    assert from_outside(html) == []
    assert "http" not in without_images(html)
    sources = [value or "" for _, name, value in Page(html).attributes if name == "src"]
    assert len(sources) == 4
    for source in sources:
        assert base64.b64decode(source.partition(",")[2], validate=True).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "bait",
    [
        '<img alt="" src="http://x/y.png">',
        '<img alt="" src="y.png">',
        "<script>1</script>",
        "<p onclick='1'>x</p>",
        "<p style='background: url(y)'>x</p>",
        "<style>@import 'y';</style>",
        "<style>p { background: URL (//y) }</style>",
        '<meta http-equiv="refresh" content="0; y">',
        '<link rel="icon" href="data:,">',
    ],
)
def test_what_comes_from_outside_would_be_found(html: str, bait: str) -> None:
    assert from_outside(html.replace("<main>", f"<main>{bait}"))


def test_report_is_accessible(html: str) -> None:
    attributes = Page(html).attributes
    assert ("html", "lang", "en") in attributes
    assert all(value for tag, name, value in attributes if (tag, name) == ("img", "alt"))
    assert html.count("<img alt=") == html.count("<img ")
    assert html.count("<th>") == 0  # every header says what it is the header of
    assert html.count("<caption>") == html.count("<table")


def test_the_best_of_every_column_is_bold(panels: list[Panel], html: str) -> None:
    for body in (False, True):
        for panel in panels:
            best = panel.evaluation.mean_sd("fine-tuned", "difference_sd", body)[0]
            assert f"<strong>{best:.4f}</strong>" in html
    assert html.count("<td><strong>") == 2 * 2 * 3


def test_names_and_texts_are_escaped(tmp_path: Path) -> None:
    methods = (HOSTILE, "_hidden", "fine-tuned")
    content = ReportContent(
        title=HOSTILE,
        summary=HOSTILE,
        panels=[panel_of(HOSTILE, 2, methods)],
        result="fine-tuned",
        input=HOSTILE,
        timings={HOSTILE: 1.0},
        details={HOSTILE: HOSTILE, "undecodable file name": "\udcff"},
        notes=[HOSTILE],
    )
    html = written(content, tmp_path)
    page = Page(html)
    assert from_outside(html) == []
    assert page.tags.count("style") == 1
    assert page.open == []
    assert page.text.count(HOSTILE) >= 10
    names = {name for _, name, _ in page.attributes}
    assert names <= {
        "lang", "charset", "name", "content", "class", "role", "tabindex", "aria-label", "scope", "colspan",
        "rowspan", "alt", "src",
    }  # fmt: skip


def test_exact_result_has_infinite_psnr(tmp_path: Path) -> None:
    html = written(content_of([panel_of("all of k-space", noise=(8, 4, 0))]), tmp_path)
    assert "<strong>∞</strong>" in html
    assert "nan" not in without_images(html)
    html = written(content_of([panel_of("all of k-space", noise=(0, 0, 0))]), tmp_path)
    assert "nan" not in without_images(html)


# ------------------------------------------------------------------------------------------ what it claims


def metrics_of(ssims: Sequence[float], psnrs: Sequence[float]) -> list[Metrics]:
    return [Metrics(s, p, 0.01, 0.1) for s, p in zip(ssims, psnrs, strict=True)]


def evaluation_of(result: list[Metrics], given: list[Metrics]) -> Evaluation:
    table = {"zero-filled": given, "fine-tuned": result}
    return Evaluation(tuple(range(len(result))), table, table)


def test_verdict_counts_time_points() -> None:
    evaluation = evaluation_of(metrics_of([0.9, 0.8, 0.9], [30, 31, 33]), metrics_of([0.8, 0.85, 0.8], [29, 30, 31]))
    text = verdict(evaluation, "fine-tuned", "zero-filled")
    assert "the higher SSIM in 2 of 3 time points (+0.0500 on average)" in text
    assert "the higher PSNR in 3 of 3 time points (+1.33 dB on average)" in text
    assert "In 1 of 3 time points the zero-filled image is closer to the truth by SSIM." in text
    assert "not better" not in text


def test_worse_result_is_said_to_be_so(tmp_path: Path) -> None:
    worse = panel_of("6.25% of k-space", noise=(12, 4, 8))
    html = written(content_of([worse]), tmp_path)
    assert "In 3 of 3 time points the zero-filled image is closer to the truth by SSIM and PSNR." in html
    assert html.count("So fine-tuned is not better than zero-filled in SSIM and PSNR on average.") == 2
    assert 'class="verdict worse"><strong>6.25% of k-space: not better than zero-filled</strong>' in html


def test_equal_results_are_not_called_better() -> None:
    same = metrics_of([0.9, 0.8], [30, 31])
    text = verdict(evaluation_of(same, same), "fine-tuned", "zero-filled")
    assert "the higher SSIM in 0 of 2 time points (+0.0000 on average)" in text
    assert "not better than zero-filled in SSIM and PSNR" in text
    assert "closer to the truth" not in text


def test_single_time_point_has_no_test(tmp_path: Path) -> None:
    html = written(content_of([panel_of("6.25% of k-space", points=1)]), tmp_path)
    assert html.count("one time point: no test") == 2 * 4
    assert "±" not in html
    assert "1 of 1 time point (" in html
    assert html.count("<figure>") == 3  # no lines over time


def test_p_values_are_those_of_the_paired_tests(panels: list[Panel], html: str) -> None:
    tests = panels[0].evaluation.test("fine-tuned", "trilinear", "ssim")
    assert f"<td>{tests.wilcoxon:.3f}</td>" in html
    assert "cannot give a p-value below 0.250" in html
    assert "<td>&lt; 0.001</td>" in html


# -------------------------------------------------------------------------------------------------- errors


def test_missing_folder_is_said(panels: list[Panel], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        write_report(content_of(panels), tmp_path / "missing" / "report.html")


def test_unwritable_place_leaves_nothing(panels: list[Panel], tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(InputError, match="could not be written"):
        write_report(content_of(panels), tmp_path / "report.html")
    assert [p.name for p in tmp_path.rglob("*")] == ["report.html"]


def test_contents_that_do_not_fit_are_said(panels: list[Panel], tmp_path: Path) -> None:
    content, path = content_of(panels), tmp_path / "report.html"
    other = panel_of("10%", 1, METHODS[:2], (8, 4))
    for wrong, words in (
        (replace(content, panels=[]), "at least one comparison"),
        (replace(content, result="unknown"), "no method named unknown"),
        (replace(content, panels=[*panels, other]), "same methods"),
    ):
        with pytest.raises(InputError, match=words):
            write_report(wrong, path)
    assert not path.exists()


def test_without_matplotlib_the_package_loads_and_its_use_is_explained() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import SRDynamicMRILib.evaluation.report as report\n"
        "try: report.write_report\n"
        "except report.InputError as error: assert 'SRDynamicMRI[report]' in str(error)\n"
        "else: sys.exit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# ------------------------------------------------------------------------------------------------- figures


def titles(axes: Sequence[object]) -> list[str]:
    return [ax.get_title() for ax in axes]  # type: ignore[attr-defined]


def test_qualitative_figure_shows_all_in_one_window(panels: list[Panel]) -> None:
    figure = qualitative_figure(panels, 1)
    grid = np.array(figure.axes, dtype=object).reshape(2, 4)
    windows = {ax.images[0].get_clim() for ax in grid.ravel()}
    assert len(windows) == 1
    shown = fullest_slice(panels[0].truth[1])
    for line, panel in zip(grid, panels, strict=True):
        assert line[0].get_ylabel() == panel.label
        for ax, name in zip(line, METHODS, strict=False):
            np.testing.assert_array_equal(ax.images[0].get_array(), panel.series[name][1].data[shown])
            assert f"SSIM {panel.evaluation.whole[name][1].ssim:.3f}" in ax.get_title()
            assert ax.get_aspect() == pytest.approx(1.5)
        np.testing.assert_array_equal(line[-1].images[0].get_array(), panel.truth[1].data[shown])
    assert titles(grid[0])[0].startswith("trilinear")
    assert titles(grid[0])[-1].startswith("ground truth")


def test_every_picture_of_images_says_what_it_shows(panels: list[Panel]) -> None:
    figures = (
        qualitative_figure(panels, 1),
        ssim_map_figure(panels[0], ("zero-filled", "fine-tuned"), (0, 2)),
        detail_figure(panels[0], METHODS, 1),
    )
    for figure in figures:
        FigureCanvasAgg(figure).draw()  # places are known then
        (notice,) = [text for text in figure.texts if text.get_text() == NOTICE]
        box = notice.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert not [ax for ax in figure.axes if ax.get_window_extent().overlaps(box)]


def test_qualitative_figure_shows_the_slice_asked_for(panels: list[Panel]) -> None:
    figure = qualitative_figure(panels[:1], 0, slice_index=6)
    np.testing.assert_array_equal(figure.axes[-1].images[0].get_array(), panels[0].truth[0].data[6])


def test_low_resolution_is_shown_where_it_lies(panels: list[Panel]) -> None:
    grid = Acquisition.centre(GEOMETRY.shape[1:], 0.1).low_resolution_geometry(GEOMETRY)
    low = panels[1].truth.map(lambda volume: downsample(volume, 0.1), grid)
    panel = replace(panels[1], series={**panels[1].series, "low resolution": low})
    figure = qualitative_figure([panel], 1, methods=("low resolution", "fine-tuned"))
    small, _, truth = figure.axes
    assert small.get_title().strip() == "low resolution"
    height, width = low.geometry.shape[1:]
    np.testing.assert_array_equal(small.images[0].get_array(), low[1].data[fullest_slice(panel.truth[1])])
    left, right, bottom, top = small.images[0].get_extent()
    assert (small.get_xlim(), small.get_ylim()) == (truth.get_xlim(), truth.get_ylim())
    # The middle sample of k-space keeps its place: N // 2 of both grids is drawn at the same spot.
    assert left + (width // 2 + 0.5) * (right - left) / width == pytest.approx(SHAPE[2] // 2)
    assert top + (height // 2 + 0.5) * (bottom - top) / height == pytest.approx(SHAPE[1] // 2)


def test_fullest_slice_has_the_most_body(panels: list[Panel]) -> None:
    truth = panels[0].truth[0]
    assert fullest_slice(truth) == body_mask(truth.data).sum(axis=(1, 2)).argmax()


def test_ssim_maps_have_one_fixed_scale(panels: list[Panel]) -> None:
    figure = ssim_map_figure(panels[1], ("zero-filled", "fine-tuned"), (0, 2))
    assert len(figure.axes) == 2 * 5 + 1  # and one colour bar
    grid = np.array(figure.axes[:10], dtype=object).reshape(2, 5)
    for line, number in zip(grid, (0, 2), strict=True):
        assert {ax.images[0].get_clim() for ax in line[[1, 3]]} == {(0, 1)}
        for ax, name in ((line[0], "zero-filled"), (line[2], "fine-tuned")):
            assert f"SSIM {panels[1].evaluation.whole[name][number].ssim:.3f}" in ax.get_title()
    assert [line[0].get_ylabel() for line in grid] == ["0 s", "1 s"]


def test_differences_share_a_scale_symmetric_around_zero(panels: list[Panel]) -> None:
    panel = panels[1]
    figure = detail_figure(panel, ("zero-filled", "trilinear", "fine-tuned"), 0)
    assert len(figure.axes) == 2 * 4 + 1
    grid = np.array(figure.axes[:8], dtype=object).reshape(2, 4)
    limits = {ax.images[0].get_clim() for ax in grid[1, :3]}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low == -high
    assert "SSIM" in titles(grid[0])[0]
    frame = grid[1, 3].patches[0]
    rows, columns = grid[0, 3].images[0].get_array().shape
    assert (frame.get_height(), frame.get_width()) == (rows, columns)
    corner = (round(frame.get_y() + 0.5), round(frame.get_x() + 0.5))
    shown = fullest_slice(panel.truth[0])
    difference = panel.series["fine-tuned"][0].data[shown] - panel.truth[0].data[shown]
    expected = 100 * difference / panel.truth[0].data.max()
    region = (slice(corner[0], corner[0] + rows), slice(corner[1], corner[1] + columns))
    np.testing.assert_allclose(grid[1, 2].images[0].get_array(), expected[region], rtol=1e-5)


@pytest.mark.parametrize("size", [(30, 60), (31, 47), (5, 90)])
def test_worst_region_holds_the_error_and_ignores_the_air(size: tuple[int, int]) -> None:
    mask = np.zeros(size, dtype=bool)
    mask[:, : size[1] // 2] = True
    error = np.zeros(size)
    error[-1, 0], error[0, -1] = 1.0, 100.0
    rows, columns = worst_region(error, mask)
    assert rows.stop == size[0]
    assert columns.start == 0
    assert columns.stop - columns.start == round(size[1] / 3)


def test_metric_plot_has_a_line_per_method(panels: list[Panel]) -> None:
    figure = metric_plot(panels, ("ssim", "psnr"))
    grid = np.array(figure.axes, dtype=object).reshape(2, 2)
    for row, metric in enumerate(("ssim", "psnr")):
        for column, panel in enumerate(panels):
            lines = grid[row, column].lines
            assert len(lines) == len(METHODS)
            for line, name in zip(lines, METHODS, strict=True):
                np.testing.assert_allclose(line.get_ydata(), panel.evaluation.values(name, metric))
                np.testing.assert_allclose(line.get_xdata(), panel.evaluation.times)
    assert [ax.get_ylabel() for ax in grid[:, 0]] == ["SSIM", "PSNR (dB)"]
    assert [ax.get_xlabel() for ax in grid[1]] == ["time (s)", "time (s)"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(METHODS)
    colours = [[line.get_color() for line in ax.lines] for ax in grid.ravel()]
    assert len(set(map(tuple, colours))) == 1
    assert len(set(colours[0])) == len(METHODS)


def test_confidence_plot_shows_means_and_intervals(panels: list[Panel]) -> None:
    comparisons = [
        Comparison(label=panel.label, evaluation=panel.evaluation, group=group)
        for group in ("one", "two")
        for panel in panels
    ]
    figure = confidence_plot(comparisons)
    grid = np.array(figure.axes, dtype=object).reshape(2, 2)
    for (row, column), ax in np.ndenumerate(grid):
        for line, bars, name in zip(ax.lines[::3], ax.containers, METHODS, strict=True):
            values = panels[column].evaluation.values(name, ("ssim", "psnr")[row])
            np.testing.assert_allclose(line.get_ydata(), [np.mean(values)] * 2)
            low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
            ends = np.array([segment[:, 1] for segment in bars[2][0].get_segments()])
            np.testing.assert_allclose(ends, [(low, high)] * 2)
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["one", "two"]
    assert [ax.get_title() for ax in grid[0]] == [panel.label for panel in panels]
    legend = figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == list(METHODS)
    assert [line.get_color() for line in legend.get_lines()] == [line.get_color() for line in grid[0, 0].lines[::3]]


def test_groups_have_tables_of_their_own(panels: list[Panel], tmp_path: Path) -> None:
    grouped = [
        Comparison(label=panel.label, evaluation=panel.evaluation, group=group)
        for group in ("one", "two")
        for panel in panels
    ]
    shown = Illustration(png(metric_plot(panels)), "<caption>", "an alternative")
    html = written(replace(content_of(panels), panels=grouped, figures=[shown]), tmp_path)
    for group in ("one", "two"):
        captions = (f"<caption>{group}: {region}" for region in ("Body only", "Whole volume"))
        body, whole = (html.index(caption) for caption in captions)
        assert body < whole
        assert f"<strong>{group}, {panels[0].label}" in html
    assert html.count("<img ") == 1
    assert "</strong> &lt;caption&gt;</figcaption>" in html
    html = written(replace(content_of(panels), panels=grouped), tmp_path)
    assert "<img " not in html, "comparisons without images have no figures"


def test_pyplot_is_not_loaded() -> None:
    code = (
        "import sys, SRDynamicMRILib.evaluation.report as report\n"
        "report.write_report\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
