"""Figures of an evaluation, after the paper's Figures 3 to 6.

Images are shown as stored (row 0 on top, column 0 on the left) with the proportions of their voxels. Every
figure is a `matplotlib.figure.Figure` of its own; pyplot and its global state are not touched.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy import ndimage, stats

from ...acquisition.body import body_mask
from ...geometry import Geometry
from ...io.image_files import written_whole
from ...io.sidecar import NOTICE
from ...volume import Series, Volume
from ..evaluation import Evaluation
from ..metrics import compare

TRUTH = "ground truth"

METRIC_LABELS: Mapping[str, str] = {
    "ssim": "SSIM",
    "psnr": "PSNR (dB)",
    "difference_sd": "SD of difference",
    "nrmse": "NRMSE",
}

WHITE_PERCENTILE = 99.8
"""Percentile of the ground truth that is shown white; 0 is black."""

DPI = 150
"""Resolution of the figures as pixels."""

_FONT = 9.0  # points
# Inches
_WIDTH = 10.0
_LINE = 0.165  # from one line of text to the next
_EDGE, _GAP = 0.1, 0.06
_ROW_LABELS, _COLOUR_BAR = 0.4, 0.8
_LETTER = 0.075
_PAPER, _INK = "#ffffff", "#1b1f24"
_DARK, _LIGHT = "#0c0e11", "#eceff2"
_ACCENT = "#ffc20a"
# Okabe and Ito's palette, told apart with any colour vision; markers tell the lines apart in black and white.
_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#0072b2", "#d55e00", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MOST_MARKERS = 40
_REGION = 1 / 3  # of the field of view, along either axis
_SMALLEST_REGION = 8  # voxels

Image = NDArray[np.floating]
Region = tuple[slice, slice]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The figures of what was compared at one fraction of k-space.

    Parameters
    ----------
    label
        Name of the comparison, such as "6.25% of k-space".
    evaluation
        Metrics of every method.
    group
        What it shares with some of the others, such as the patient; empty if there is nothing to tell apart.
    """

    label: str
    evaluation: Evaluation
    group: str = ""

    @property
    def name(self) -> str:
        """Group and label."""
        return f"{self.group}, {self.label}" if self.group else self.label

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods, in the order of the tables."""
        return self.evaluation.methods


@dataclass(frozen=True, kw_only=True)
class Panel(Comparison):
    """Everything that was compared at one fraction of k-space: figures and images.

    Parameters
    ----------
    label, evaluation, group
        As for `Comparison`.
    series
        Results of every method of `evaluation`, by its name, on the grid of `truth`. Others that are only shown, such
        as the low-resolution series itself, may be here too.
    truth
        The ground truth.
    """

    series: Mapping[str, Series]
    truth: Series

    def ssim(self, method: str, number: int) -> float:
        """SSIM of a method at one time point, over the whole volume."""
        return self.evaluation.whole[method][number].ssim


def qualitative_figure(
    panels: Sequence[Panel], number: int, slice_index: int | None = None, methods: Sequence[str] | None = None
) -> Figure:
    """Return one slice of every method beside the ground truth, a row per panel (paper, Figure 3).

    Parameters
    ----------
    panels
        Panels with the same methods.
    number
        Time point.
    slice_index
        Slice to show; without it the one with the most body.
    methods
        Names of the series to show; all methods if not given.
    """
    methods = panels[0].methods if methods is None else methods
    figure, axes = _image_grid(len(panels), (*methods, TRUTH), panels[0].truth.geometry, rows_labelled=True)
    for line, panel in zip(axes, panels, strict=True):
        truth = panel.truth[number]
        shown = fullest_slice(truth) if slice_index is None else slice_index
        white = _white(truth)
        for ax, name in zip(line, methods, strict=False):
            result = panel.series[name][number]
            _show(ax, result.data[shown], truth.geometry, white, **_placed(result.geometry, truth.geometry))
            if name in panel.methods:
                _title(ax, f"SSIM {panel.ssim(name, number):.3f}")
        _show(line[-1], truth.data[shown], truth.geometry, white)
        _row_label(figure, line[0], panel.label)
    return figure


def ssim_map_figure(panel: Panel, methods: Sequence[str], numbers: Sequence[int]) -> Figure:
    """Return images and SSIM maps of some methods beside the ground truth, over time (paper, Figure 4).

    Parameters
    ----------
    panel
        What to show.
    methods
        Names of the methods: the input first, then the result.
    numbers
        Time points, a row for each.
    """
    headings = [heading for name in methods for heading in (name, "its SSIM map")]
    figure, axes = _image_grid(
        len(numbers), (*headings, TRUTH), panel.truth.geometry, rows_labelled=True, colour_bar=True
    )
    for line, number in zip(axes, numbers, strict=True):
        truth = panel.truth[number]
        shown, white = fullest_slice(truth), _white(truth)
        for name, ax, map_ax in zip(methods, line[0::2], line[1::2], strict=False):
            result = panel.series[name][number].data
            _, similarity = compare(result, truth.data)
            _show(ax, result[shown], truth.geometry, white)
            _title(ax, f"SSIM {panel.ssim(name, number):.3f}")
            _draw(map_ax, similarity[shown], truth.geometry, cmap="viridis", vmin=0, vmax=1)
        _show(line[-1], truth.data[shown], truth.geometry, white)
        _row_label(figure, line[0], time_label(panel, number))
    _colour_bar(figure, axes, axes[0, 1].images[0], "SSIM (1 = alike)")
    return figure


def detail_figure(panel: Panel, methods: Sequence[str], number: int) -> Figure:
    """Return a magnified region and its difference from the ground truth (paper, Figure 5).

    The region is the third of the field of view, along either axis, where the first method has the largest
    error within the body.

    Parameters
    ----------
    panel
        What to show.
    methods
        Names of the methods, the input first.
    number
        Time point.
    """
    truth = panel.truth[number]
    geometry, white, peak = truth.geometry, _white(truth), float(truth.data.max())
    mask = body_mask(truth.data)
    shown = _fullest(mask)
    images = {name: panel.series[name][number].data[shown] for name in methods}
    differences = {name: 100 * (image - truth.data[shown]) / peak for name, image in images.items()}
    region = worst_region(differences[methods[0]], mask[shown])
    limit = max(float(np.percentile(np.abs(differences[methods[0]][region]), 99.5)), 1e-6)

    figure, axes = _image_grid(2, (*methods, TRUTH), geometry, colour_bar=True)
    for name, ax, difference_ax in zip(methods, *axes, strict=False):
        _show(ax, images[name][region], geometry, white)
        _title(ax, f"SSIM {panel.ssim(name, number):.3f}")
        _draw(difference_ax, differences[name][region], geometry, cmap="RdBu_r", vmin=-limit, vmax=limit)
        _title(difference_ax, "difference")
    _show(axes[0, -1], truth.data[shown][region], geometry, white)
    _show(axes[1, -1], truth.data[shown], geometry, white)
    _title(axes[1, -1], "region")
    axes[1, -1].add_patch(_outline(region))
    _colour_bar(figure, axes, axes[1, 0].images[0], "difference (% of maximum)")
    return figure


def metric_plot(panels: Sequence[Panel], metrics: Sequence[str] = ("ssim", "psnr"), *, body: bool = False) -> Figure:
    """Return metrics of all methods over time: a column per panel, a row per metric (paper, Figure 6).

    Parameters
    ----------
    panels
        Panels with the same methods.
    metrics
        Names of `SRDynamicMRILib.evaluation.metrics.Metrics`' fields.
    body
        Over the body instead of the whole volume.
    """
    figure = Figure(figsize=(_WIDTH, 0.75 + 2.3 * len(metrics)), layout="constrained", facecolor=_PAPER)
    axes = figure.subplots(len(metrics), len(panels), sharex="col", squeeze=False)
    methods = panels[0].methods
    for column, panel in enumerate(panels):
        for ax, metric in zip(axes[:, column], metrics, strict=True):
            _plot_metric(ax, panel.evaluation, metric, body)
        _text(axes[0, column].set_title(panel.label, fontsize=_FONT + 1, color=_INK))
        axes[-1, column].set_xlabel("time (s)", fontsize=_FONT, color=_INK)
    for ax, metric in zip(axes[:, 0], metrics, strict=True):
        ax.set_ylabel(METRIC_LABELS.get(metric, metric), fontsize=_FONT, color=_INK)
    _legend(figure, axes[0, 0].lines, methods)
    return figure


def confidence_plot(
    comparisons: Sequence[Comparison], metrics: Sequence[str] = ("ssim", "psnr"), *, body: bool = False
) -> Figure:
    """Return means over the time points with their 95% confidence intervals (paper, Figure 6).

    A column per label, a row per metric, the groups side by side in every plot, a colour per method. The interval is
    that of Student's t distribution; a single time point has none.

    Parameters
    ----------
    comparisons
        Comparisons with the same methods: one for every label and group.
    metrics
        Names of `SRDynamicMRILib.evaluation.metrics.Metrics`' fields.
    body
        Over the body instead of the whole volume.
    """
    labels = tuple(dict.fromkeys(c.label for c in comparisons))
    groups = tuple(dict.fromkeys(c.group for c in comparisons))
    methods = comparisons[0].methods
    figure = Figure(figsize=(_WIDTH, 0.75 + 2.5 * len(metrics)), layout="constrained", facecolor=_PAPER)
    axes = figure.subplots(len(metrics), len(labels), squeeze=False)
    lines: list[Any] = []
    for (row, column), ax in np.ndenumerate(axes):
        shown = [c for c in comparisons if c.label == labels[column]]
        lines = _plot_confidence(ax, shown, metrics[row], groups, body)
        if row == 0:
            _text(ax.set_title(labels[column], fontsize=_FONT + 1, color=_INK))
        if column == 0:
            ax.set_ylabel(METRIC_LABELS.get(metrics[row], metrics[row]), fontsize=_FONT, color=_INK)
    _legend(figure, lines, methods)
    return figure


def png(figure: Figure) -> bytes:
    """Draw a figure as the content of a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def write_figures(panel: Panel, given: str, result: str, folder: Path) -> dict[str, Path]:
    """Write the figures of one panel as PNG files.

    Parameters
    ----------
    panel
        What to show.
    given
        Name of the method that the result has to beat; the result itself if there is no other.
    result
        Name of the method that is the result.
    folder
        Where to.

    Returns
    -------
        The files by what they show.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    last = len(panel.truth) - 1
    middle = (last + 1) // 2
    compared = tuple(dict.fromkeys((given, result)))
    others = [name for name in panel.methods if name != given]
    figures = {
        "comparison": qualitative_figure([panel], middle),
        "ssim_maps": ssim_map_figure(panel, compared, sorted({0, middle, last})),
        "details": detail_figure(panel, (given, *others), middle),
    }
    if last > 0:  # one point is no line
        figures["metrics"] = metric_plot([panel])
    written = {}
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        with written_whole(path) as temporary:
            temporary.write_bytes(png(figure))
        written[f"figure {name}"] = path
    return written


def fullest_slice(volume: Volume) -> int:
    """Return the index of the slice with the most body."""
    return _fullest(body_mask(volume.data))


def worst_region(error: Image, mask: NDArray[np.bool_]) -> Region:
    """Return the rows and columns, a third of the image each, with the largest error within a mask.

    Parameters
    ----------
    error
        Difference from the truth ``(H, W)``.
    mask
        Voxels that count ``(H, W)``.
    """
    size = tuple(min(n, max(_SMALLEST_REGION, round(n * _REGION))) for n in error.shape)
    energy = ndimage.uniform_filter(np.where(mask, error, 0.0) ** 2, size=size, mode="constant")
    inside = tuple(slice(s // 2, s // 2 + n - s + 1) for n, s in zip(error.shape, size, strict=True))
    row, column = np.unravel_index(int(np.argmax(energy[inside])), energy[inside].shape)
    return slice(int(row), int(row) + size[0]), slice(int(column), int(column) + size[1])


def time_label(panel: Panel, number: int) -> str:
    """Return the time of a time point as it is written in the figures."""
    return f"{panel.truth.times[number]:.4g} s"


def _fullest(mask: NDArray[np.bool_]) -> int:
    return int(mask.sum(axis=(1, 2)).argmax())


def _white(truth: Volume) -> float:
    return max(float(np.percentile(truth.data, WHITE_PERCENTILE)), 1e-12)


def _aspect(geometry: Geometry) -> float:
    return geometry.spacing[1] / geometry.spacing[0]


def _image_grid(
    rows: int,
    headings: Sequence[str],
    geometry: Geometry,
    rows_labelled: bool = False,
    colour_bar: bool = False,
) -> tuple[Figure, NDArray[np.object_]]:
    """Make a dark figure with a grid of axes that fit images of this geometry, and headings above it."""
    left = _ROW_LABELS if rows_labelled else _EDGE
    right = _COLOUR_BAR if colour_bar else _EDGE
    width = (_WIDTH - left - right + _GAP) / len(headings) - _GAP
    height = width * _aspect(geometry) * geometry.shape[1] / geometry.shape[2]
    wrapped = [_wrap(heading, width) for heading in headings]
    top = _EDGE + _LINE * max(heading.count("\n") + 1 for heading in wrapped)
    pitch = height + _LINE + _GAP
    total = top + rows * pitch + _LINE + _EDGE

    figure = Figure(figsize=(_WIDTH, total), facecolor=_DARK)
    # In the picture itself, which leaves the report it was drawn for.
    figure.text(left / _WIDTH, _EDGE / total, NOTICE, fontsize=_FONT, color=_ACCENT, va="bottom")
    axes = np.empty((rows, len(headings)), dtype=object)
    for row, column in np.ndindex(axes.shape):
        corner = (left + column * (width + _GAP), total - top - (row + 1) * pitch)
        box = (corner[0] / _WIDTH, corner[1] / total, width / _WIDTH, height / total)
        axes[row, column] = figure.add_axes(box)
        _text(axes[row, column].title).set_color(_LIGHT)
    for ax, heading in zip(axes[0], wrapped, strict=True):
        ax.set_title(f"{heading}\n", fontsize=_FONT, pad=4)
    return figure, axes


def _draw(ax: Axes, image: Image, geometry: Geometry, **appearance: Any) -> AxesImage:
    ax.set(xticks=[], yticks=[], facecolor=_DARK)
    ax.spines[:].set_visible(False)
    drawn = ax.imshow(image, aspect=_aspect(geometry), **appearance)
    if "extent" in appearance:
        ax.set(xlim=(-0.5, geometry.shape[2] - 0.5), ylim=(geometry.shape[1] - 0.5, -0.5))
    return drawn


def _show(ax: Axes, image: Image, geometry: Geometry, white: float, **appearance: Any) -> None:
    _draw(ax, image, geometry, cmap="gray", vmin=0, vmax=white, **appearance)


def _placed(geometry: Geometry, frame: Geometry) -> dict[str, Any]:
    """How to draw an image of larger voxels where it lies in the plane of another grid, its voxels as they are."""
    if geometry == frame:
        return {}
    left, top = frame.index(geometry.position((-0.5, -0.5, 0)))[:2]
    right, bottom = frame.index(geometry.position((geometry.shape[2] - 0.5, geometry.shape[1] - 0.5, 0)))[:2]
    return {"extent": (left, right, bottom, top), "interpolation": "nearest"}


def _title(ax: Axes, line: str) -> None:
    """Put a line above an image, below the heading of its column if it is the first."""
    ax.set_title(ax.get_title() + line, fontsize=_FONT, pad=4)


def _row_label(figure: Figure, ax: Axes, label: str) -> None:
    height = ax.get_position().height * figure.get_figheight()
    ax.set_ylabel(_wrap(label, height), fontsize=_FONT, color=_LIGHT)
    _text(ax.yaxis.label)


def _wrap(text: str, width: float) -> str:
    """Break a text into lines of a width in inches."""
    return textwrap.fill(text, max(int(width / _LETTER), 6))


def _text(text: Any) -> Any:
    """Show dollar signs in a name as they are."""
    text.set_parse_math(False)
    return text


def _outline(region: Region) -> Rectangle:
    rows, columns = region
    corner = (columns.start - 0.5, rows.start - 0.5)
    return Rectangle(
        corner,
        columns.stop - columns.start,
        rows.stop - rows.start,
        fill=False,
        edgecolor=_ACCENT,
        linewidth=1.5,
    )


def _colour_bar(figure: Figure, axes: NDArray[np.object_], image: AxesImage, label: str) -> None:
    first, last = axes[0, -1].get_position(), axes[-1, -1].get_position()
    box = (last.x1 + _GAP / _WIDTH, last.y0, 0.12 / _WIDTH, first.y1 - last.y0)
    bar = figure.colorbar(image, cax=figure.add_axes(box))
    bar.set_label(_wrap(label, box[3] * figure.get_figheight()), fontsize=_FONT, color=_LIGHT)
    bar.ax.tick_params(labelsize=_FONT, colors=_LIGHT)
    bar.outline.set_visible(False)


def _plot_metric(ax: Axes, evaluation: Evaluation, metric: str, body: bool) -> None:
    marked = len(evaluation.times) <= _MOST_MARKERS
    for order, name in enumerate(evaluation.methods):
        values = evaluation.values(name, metric, body)
        ax.plot(
            evaluation.times, values, color=_COLOURS[order % len(_COLOURS)], linewidth=1.4, markersize=4,
            marker=_MARKERS[order % len(_MARKERS)] if marked else "",
        )  # fmt: skip
    _plain_axes(ax)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.ticklabel_format(useOffset=False)


def _plot_confidence(
    ax: Axes, comparisons: Sequence[Comparison], metric: str, groups: Sequence[str], body: bool
) -> list[Any]:
    """Draw mean and 95% interval of every method and group, methods a little beside each other; return the lines."""
    lines = []
    methods = comparisons[0].methods
    x = np.array([groups.index(comparison.group) for comparison in comparisons], dtype=float)
    for order, name in enumerate(methods):
        values = [np.asarray(comparison.evaluation.values(name, metric, body)) for comparison in comparisons]
        mean = np.array([v.mean() for v in values])
        half = np.array([_confidence(v) for v in values])
        colour, beside = _COLOURS[order % len(_COLOURS)], 0.08 * (order - (len(methods) - 1) / 2)
        marker = _MARKERS[order % len(_MARKERS)]
        lines += ax.plot(x + beside, mean, color=colour, linewidth=1.4, markersize=4, marker=marker)
        ax.fill_between(x + beside, mean - half, mean + half, color=colour, alpha=0.25, linewidth=0)
        ax.errorbar(x + beside, mean, half, fmt="none", ecolor=colour, elinewidth=1, capsize=2)
    _plain_axes(ax)
    ax.set_xticks(range(len(groups)), [_wrap(group, 1.2) for group in groups])
    for tick in ax.get_xticklabels():
        _text(tick)
    ax.set_xlim(-0.5, len(groups) - 0.5)
    return lines


def _confidence(values: NDArray[np.float64]) -> float:
    """Half of the 95% confidence interval of a mean; 0 for a single value."""
    if len(values) < 2 or not np.isfinite(values).all():
        return 0.0
    return float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def _plain_axes(ax: Axes) -> None:
    ax.grid(color="#d9dde2", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=_FONT, colors=_INK)


def _legend(figure: Figure, lines: Sequence[Any], names: Sequence[str]) -> None:
    legend = figure.legend(
        lines, ["-"] * len(names), loc="outside lower center", ncols=min(len(names), 5), frameon=False, fontsize=_FONT
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        _text(text).set_text(_wrap(name, 2.2))
