"""Figures and maps of a comparison as nodes: tables, charts and sequences.

The figures themselves are those of the worker's `evaluate`, whose table `evaluation_from_csv` reads.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import slicer
from vtkmodules.vtkCommonCore import vtkDoubleArray, vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkTable

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.evaluation import CSV_HEADER, METRIC_NAMES, Evaluation
from SRDynamicMRILib.evaluation.metrics import Metrics
from SRDynamicMRILib.volume import Volume

from ..step_queue import Stepwise, at_once
from ..translation import _
from .map_colours import show_as_difference, show_as_ssim
from .results import ResultSequence

SHOWN = ("ssim", "psnr", "difference_sd")
"""Names of the metrics in tables and charts, as `SRDynamicMRILib.evaluation.metrics.Metrics` has them."""

TIME_COLUMN = "Time (s)"

_PALETTE = ((0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00), (0x00, 0x9E, 0x73), (0xCC, 0x79, 0xA7), (0x00, 0x72, 0xB2))
"""Okabe and Ito's colours, told apart with any colour vision; as in the report."""


class MapSequences:
    """SSIM and difference maps of a result, moved by the slider of its input.

    Parameters
    ----------
    source
        Sequence whose index and browser they take.
    name
        Of the result that is compared.
    """

    def __init__(self, source: slicer.vtkMRMLSequenceNode, name: str) -> None:
        self.ssim = ResultSequence(source, _("{name} SSIM").format(name=name), {"Image": "SSIM map"})
        self.difference = ResultSequence(source, _("{name} difference").format(name=name), {"Image": "difference"})

    def add(self, number: int, ssim: Volume, difference: Volume) -> None:
        """Add the maps of a time point, counted as in the source; both show their colours and legend from then on.

        Parameters
        ----------
        number
            Of the time point.
        ssim
            SSIM map ``(D, H, W)`` on the grid of the truth.
        difference
            Result minus truth on that grid, as a share of the truth's maximum.
        """
        at_once(self.adding(number, ssim, difference))

    def adding(self, number: int, ssim: Volume, difference: Volume) -> Stepwise[None]:
        """`add`, one map at every step, and then its colours."""
        for sequence, volume, show in (
            (self.ssim, ssim, show_as_ssim),
            (self.difference, difference, show_as_difference),
        ):
            yield from sequence.adding(number, volume)
            yield
            if sequence.proxy is not None:
                show(sequence.proxy)
                yield


def evaluation_from_csv(path: Path | str) -> Evaluation:
    """Read the table that the command ``evaluate`` writes.

    Raises
    ------
    InputError
        If it cannot be read or is no such table.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(
            _("{path} is no table of an evaluation; compare the series again.").format(path=path)
        ) from error
    return evaluation_from_text(text, str(path))


def evaluation_from_text(text: str, name: str) -> Evaluation:
    """The same from the content of the file.

    Parameters
    ----------
    text
        Lines of the table.
    name
        What to call it in messages.

    Raises
    ------
    InputError
        If it is no such table.
    """
    tables: dict[str, dict[str, list[Metrics]]] = {"whole": {}, "body": {}}
    times: dict[str, float] = {}
    try:
        for row in csv.DictReader(text.splitlines()):
            if tuple(row) != CSV_HEADER:
                raise ValueError
            metrics = Metrics(**{name: float(row[name]) for name in METRIC_NAMES})
            tables[row["region"]].setdefault(row["method"], []).append(metrics)
            times.setdefault(row["time_point"], float(row["time_s"]))
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise InputError(
            _("{path} is no table of an evaluation; compare the series again.").format(path=name)
        ) from error
    if not times or any(len(rows) != len(times) for table in tables.values() for rows in table.values()):
        raise InputError(_("{path} is not complete; compare the series again.").format(path=name))
    return Evaluation(tuple(times.values()), tables["whole"], tables["body"])


def metric_title(metric: str) -> str:
    """What a metric is called on an axis."""
    return {"ssim": _("SSIM"), "psnr": _("PSNR (dB)"), "difference_sd": _("SD of difference")}[metric]


def column_name(method: str, metric: str) -> str:
    """Name of a metric's column in `fill_metrics_table`."""
    return f"{method}: {metric_title(metric)}"


def fill_metrics_table(
    node: slicer.vtkMRMLTableNode,
    evaluation: Evaluation,
    numbers: Sequence[int] | None = None,
    body: bool = False,
    times: Sequence[float] | None = None,
) -> None:
    """Write a line for every time point: number, time, and for every method SSIM, PSNR and SD of difference.

    A time point that was not computed says so beside its number, and its figures are not numbers (NaN). Means are in
    `fill_summary_table`: as lines here they would be drawn by the charts.

    Parameters
    ----------
    node
        The table; what it held is replaced.
    evaluation
        The figures.
    numbers
        What the time points are called; 0, 1, 2, ... if not given.
    body
        Over the body alone.
    times
        Of all time points of the series in seconds, which `numbers` count; those of the evaluation if not given.
    """
    numbers = range(len(evaluation.times)) if numbers is None else numbers
    place = {number: row for row, number in enumerate(numbers)}
    rows = list(numbers) if times is None else list(range(len(times)))

    def column(values: Sequence[float]) -> list[float]:
        return [values[place[row]] if row in place else math.nan for row in rows]

    absent = _("{number} (not computed)")
    columns: dict[str, Sequence[float] | Sequence[str]] = {
        _("Time point"): [str(row) if row in place else absent.format(number=row) for row in rows],
        TIME_COLUMN: evaluation.times if times is None else times,
    }
    for method in evaluation.methods:
        for metric in SHOWN:
            columns[column_name(method, metric)] = column(evaluation.values(method, metric, body))
    _fill(node, columns)


def fill_summary_table(node: slicer.vtkMRMLTableNode, evaluation: Evaluation, result: str, body: bool = False) -> None:
    """Write a line for every method: mean and SD of each metric, and p-values of the SSIM against the result's.

    Parameters
    ----------
    node
        The table; what it held is replaced.
    evaluation
        The figures.
    result
        Name of the method that the others are tested against.
    body
        Over the body alone.
    """
    columns: dict[str, list[str]] = {_("Method"): list(evaluation.methods)}
    for metric in SHOWN:
        pairs = [evaluation.mean_sd(method, metric, body) for method in evaluation.methods]
        digits = 2 if metric == "psnr" else 4
        columns[_("{metric}, mean").format(metric=metric_title(metric))] = [f"{mean:.{digits}f}" for mean, _sd in pairs]
        columns[_("{metric}, SD").format(metric=metric_title(metric))] = [f"{sd:.{digits}f}" for _mean, sd in pairs]
    tests = {method: evaluation.test(result, method, "ssim", body) for method in evaluation.methods if method != result}
    for title, name in ((_("p (t-test)"), "t_test"), (_("p (Wilcoxon)"), "wilcoxon")):
        columns[title] = [
            _p_value(getattr(tests[method], name)) if method in tests else "" for method in evaluation.methods
        ]
    _fill(node, columns)


def metric_chart(
    table: slicer.vtkMRMLTableNode,
    evaluation: Evaluation,
    metric: str,
    chart: slicer.vtkMRMLPlotChartNode | None = None,
) -> slicer.vtkMRMLPlotChartNode:
    """Draw a metric of all methods over time.

    Parameters
    ----------
    table
        Filled by `fill_metrics_table` with this evaluation.
    evaluation
        The figures.
    metric
        One of `SHOWN`.
    chart
        Chart to use again; its lines are replaced.
    """
    scene = table.GetScene()
    if chart is None:
        chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", scene.GenerateUniqueName(metric_title(metric)))
    for line in [chart.GetNthPlotSeriesNode(number) for number in range(chart.GetNumberOfPlotSeriesNodes())]:
        scene.RemoveNode(line)
    chart.RemoveAllPlotSeriesNodeIDs()
    chart.SetTitle(metric_title(metric))
    chart.SetXAxisTitle(_("Time (s)"))
    chart.SetYAxisTitle(metric_title(metric))
    for number, method in enumerate(evaluation.methods):
        line = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", method)
        line.SetAndObserveTableNodeID(table.GetID())
        line.SetPlotType(line.PlotTypeScatter)
        line.SetXColumnName(TIME_COLUMN)
        line.SetYColumnName(column_name(method, metric))
        line.SetMarkerStyle(line.MarkerStyleCircle)
        line.SetColor(*(value / 255 for value in _PALETTE[number % len(_PALETTE)]))
        chart.AddAndObservePlotSeriesNodeID(line.GetID())
    return chart


def _p_value(value: float) -> str:
    if math.isnan(value):
        return _("too few")
    return _("< 0.001") if value < 0.001 else f"{value:.3f}"


def _fill(node: slicer.vtkMRMLTableNode, columns: Mapping[str, Sequence[float] | Sequence[str]]) -> None:
    """Replace the columns of a table; texts stay texts, numbers become doubles."""
    table = vtkTable()
    for name, values in columns.items():
        column = vtkStringArray() if values and isinstance(values[0], str) else vtkDoubleArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        table.AddColumn(column)
    was_modifying = node.StartModify()
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(False)
    node.SetLocked(True)  # measured, not typed
    node.EndModify(was_modifying)
