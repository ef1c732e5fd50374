"""What finished jobs have made, brought into the scene: series, maps, tables and charts.

Series come as steps of one time point each, for a `StepQueue`: a long one would stop the application for seconds.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
from numpy.typing import NDArray

from SRDynamicMRILib.acquisition.interpolation import resample
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.evaluation import Evaluation
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.io.image_files import write_image
from SRDynamicMRILib.volume import Series, Volume

from ..background import in_background
from ..step_queue import Stepwise
from ..translation import _
from .browsers import proxy_of, stop_browsing
from .job_files import TRILINEAR, ZERO_FILLED
from .metrics_nodes import MapSequences, fill_metrics_table, fill_summary_table, metric_chart
from .results import ResultSequence
from .series_import import chosen_series

RESULT = "result"
"""What the command ``evaluate`` calls the series it is about."""

SSIM_MAP = f"ssim map of {RESULT}"
"""What it calls the map of that series among its outputs."""


def series_steps(result: ResultSequence, path: Path | str, numbers: Sequence[int] | None = None) -> Stepwise[None]:
    """Fill a sequence with the time points of a file, one at every step; the file is read in the background.

    Parameters
    ----------
    result
        The sequence.
    path
        What the worker has written.
    numbers
        Of the time points, as the source of the sequence counts them; 0, 1, 2, ... if not given. Those that the
        sequence has already are left as they are.

    Raises
    ------
    InputError
        If the file cannot be read, or as for `ResultSequence.add`.
    """
    series = yield from in_background(lambda: read_series(path))
    for place, number in _counted(series, numbers):
        if number not in result.done:
            yield from result.adding(number, series[place])
            yield


def map_steps(
    maps: MapSequences,
    ssim_file: Path | str,
    result: slicer.vtkMRMLSequenceNode,
    truth: slicer.vtkMRMLNode,
    numbers: Sequence[int],
) -> Stepwise[None]:
    """Fill the maps of a comparison, one map of a time point at every step.

    Parameters
    ----------
    maps
        The sequences.
    ssim_file
        The map that the worker has written.
    result, truth
        What was compared, for the difference.
    numbers
        Of the time points of the result, as the series counts them.

    Raises
    ------
    InputError
        If the file cannot be read or does not belong to this result, or if an input has gone.
    """
    similarity = yield from in_background(lambda: read_series(ssim_file))
    if not len(similarity) == len(numbers) == result.GetNumberOfDataNodes():
        raise InputError(_("{name} has changed since it was compared; compare again.").format(name=result.GetName()))
    for place, number in enumerate(numbers):
        if result.GetScene() is None or truth.GetScene() is None:
            raise InputError(_("What was compared was deleted from the scene, so its maps cannot be shown."))
        compared = chosen_series(result)[0][place], chosen_series(truth)[0][number]
        difference = yield from in_background(partial(difference_map, *compared))
        yield from maps.adding(number, similarity[place], difference)


def difference_map(result: Volume, truth: Volume) -> Volume:
    """Result minus truth ``(D, H, W)`` on the grid of the truth, as a share of the truth's maximum.

    Raises
    ------
    InputError
        If the two do not overlap, or the truth is nowhere above zero.
    """
    brightest = float(truth.data.max())
    if brightest <= 0:
        raise InputError(_("The ground truth is nowhere above zero, so nothing can be compared with it."))
    return truth.with_data((resample(result, truth.geometry).data - truth.data) / np.float32(brightest))


def remove_sequence(sequence: slicer.vtkMRMLSequenceNode | None) -> None:
    """Take a sequence and the node that shows it out of the scene; one that has gone already is no error."""
    if sequence is None or sequence.GetScene() is None:
        return
    scene, proxy = sequence.GetScene(), proxy_of(sequence)
    stop_browsing(sequence)
    for node in (proxy, sequence):
        if node is not None and node.GetScene() is not None:
            scene.RemoveNode(node)


@dataclass(frozen=True)
class FigureNodes:
    """Where the figures of a comparison stand; None for what is to be made.

    Parameters
    ----------
    table
        A line for every time point.
    summary
        A line for every method.
    chart
        A metric over time.
    """

    table: slicer.vtkMRMLTableNode | None = None
    summary: slicer.vtkMRMLTableNode | None = None
    chart: slicer.vtkMRMLPlotChartNode | None = None


def write_figures(
    scene: slicer.vtkMRMLScene,
    evaluation: Evaluation,
    numbers: Sequence[int],
    name: str,
    metric: str,
    body: bool = False,
    nodes: FigureNodes | None = None,
    times: Sequence[float] | None = None,
) -> FigureNodes:
    """Write the figures of a comparison to tables and a chart.

    Parameters
    ----------
    scene
        The scene.
    evaluation
        The figures, by the names of the command ``evaluate``.
    numbers
        What the time points are called.
    name
        Of the result, for the names of new nodes.
    metric
        What the chart shows; one of `metrics_nodes.SHOWN`.
    body
        Over the body alone.
    nodes
        Nodes to use again; what they held is replaced.
    times
        Of all time points of the series; see `fill_metrics_table`.
    """
    nodes = nodes or FigureNodes()
    titles = _titles(evaluation)
    named = replace(evaluation, whole=_renamed(evaluation.whole, titles), body=_renamed(evaluation.body, titles))

    def table(found: slicer.vtkMRMLTableNode | None, text: str) -> slicer.vtkMRMLTableNode:
        if found is not None and found.GetScene() is not None:
            return found
        return scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName(text.format(name=name)))

    metrics = table(nodes.table, _("{name} metrics"))
    summary = table(nodes.summary, _("{name} summary"))
    fill_metrics_table(metrics, named, numbers, body, times)
    fill_summary_table(summary, named, titles[RESULT], body)
    chart = nodes.chart if nodes.chart is not None and nodes.chart.GetScene() is not None else None
    return FigureNodes(metrics, summary, metric_chart(metrics, named, metric, chart))


def saving_table(node: slicer.vtkMRMLTableNode, path: Path) -> Stepwise[None]:
    """Save a table as CSV, numbers with all their digits, in steps: the file is written in the background.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    table = node.GetTable()
    columns = [table.GetColumn(number) for number in range(table.GetNumberOfColumns())]
    rows = [[column.GetName() for column in columns]]
    for row in range(table.GetNumberOfRows()):
        values = (column.GetValue(row) for column in columns)
        rows.append(["" if value != value else value for value in values])  # NaN: not computed
    yield from in_background(partial(_write_rows, rows, path))


def saving_picture(colours: NDArray[np.uint8], path: Path) -> Stepwise[None]:
    """Save a picture in steps: the file is written in the background.

    Parameters
    ----------
    colours
        Red, green and blue ``(height, width, 3)``, rows from the top.
    path
        Its ending says the format, such as ``.png``.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    yield from in_background(lambda: write_image(sitk.GetImageFromArray(colours, isVector=True), path))


def _write_rows(rows: Sequence[Sequence[object]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def _titles(evaluation: Evaluation) -> dict[str, str]:
    """What the methods are called in tables and charts."""
    known = {
        RESULT: _("Super-resolved"),
        TRILINEAR: _("Low resolution, trilinear"),
        ZERO_FILLED: _("Low resolution, zero-filled"),
    }
    return {method: known.get(method, method) for method in evaluation.methods}


def _renamed(table: Mapping[str, object], titles: Mapping[str, str]) -> dict[str, object]:
    return {titles[method]: values for method, values in table.items()}


def _counted(series: Series, numbers: Sequence[int] | None) -> list[tuple[int, int]]:
    """Places in a file, and the numbers of the time points there."""
    if numbers is not None and len(numbers) != len(series):
        text = _("The computation has made {made} time points where {wanted} were expected; start it again.")
        raise InputError(text.format(made=len(series), wanted=len(numbers)))
    return list(enumerate(range(len(series)) if numbers is None else numbers))
