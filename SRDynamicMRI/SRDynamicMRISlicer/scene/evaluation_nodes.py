"""The figures and the report of a comparison in the scene, so that table and plot can be changed in a later session.

The command ``evaluate`` writes every metric over volume and body; a table node shows what was chosen of them. Figures
and report are text nodes to which the table node refers: they are saved with the scene and come back with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import slicer

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.evaluation import Evaluation

from ..translation import _
from .metrics_nodes import evaluation_from_text

_FIGURES, _REPORT = "SRDynamicMRI.figures", "SRDynamicMRI.report"
"""References of a table node to its texts."""

_NUMBERS, _TIMES, _CHOICE = "SRDynamicMRI.TimePoints", "SRDynamicMRI.Times", "SRDynamicMRI.Shown"
"""Attributes of a table node: its time points and their times, and which metric and region were chosen."""


@dataclass(frozen=True)
class KeptEvaluation:
    """What a table is filled from.

    Parameters
    ----------
    evaluation
        The figures, by the names of the command ``evaluate``.
    numbers
        Of its time points, as the series counts them.
    times
        Of all time points of the series, in seconds.
    """

    evaluation: Evaluation
    numbers: tuple[int, ...]
    times: tuple[float, ...]


def keep_evaluation(
    table: slicer.vtkMRMLTableNode, figures: str, report: str, numbers: Sequence[int], times: Sequence[float], name: str
) -> None:
    """Keep with a table node what it is filled from, in place of what was kept before.

    Parameters
    ----------
    table
        The table of a comparison.
    figures, report
        Content of the files of the command ``evaluate``; no report where it is empty.
    numbers, times
        As in `KeptEvaluation`.
    name
        Of the result.
    """
    _keep(table, _FIGURES, _("{name} figures").format(name=name), figures)
    _keep(table, _REPORT, _("{name} report").format(name=name), report)
    table.SetAttribute(_NUMBERS, " ".join(map(str, numbers)))
    table.SetAttribute(_TIMES, " ".join(f"{time:.12g}" for time in times))


def evaluation_of(table: slicer.vtkMRMLTableNode | None) -> KeptEvaluation | None:
    """What a table is filled from; None for any other table.

    Raises
    ------
    InputError
        If what was kept is damaged.
    """
    node = None if table is None else table.GetNodeReference(_FIGURES)
    if node is None:
        return None
    evaluation = evaluation_from_text(node.GetText() or "", node.GetName())
    try:
        numbers = tuple(int(number) for number in (table.GetAttribute(_NUMBERS) or "").split())
        times = tuple(float(time) for time in (table.GetAttribute(_TIMES) or "").split())
    except ValueError:
        numbers, times = (), ()
    if len(numbers) != len(evaluation.times) or not all(0 <= number < len(times) for number in numbers):
        raise InputError(_("{name} is not complete; compare the series again.").format(name=table.GetName()))
    return KeptEvaluation(evaluation, numbers, times)


def report_of(table: slicer.vtkMRMLTableNode | None) -> str | None:
    """The report of the comparison that a table is about; None where there is none."""
    node = None if table is None else table.GetNodeReference(_REPORT)
    return None if node is None else node.GetText() or None


def choice_of(table: slicer.vtkMRMLTableNode) -> tuple[str, bool] | None:
    """The metric that the chart shows and whether the figures are over the body alone; None for a table not filled."""
    metric, _space, region = (table.GetAttribute(_CHOICE) or "").partition(" ")
    return (metric, region == "body") if metric else None


def keep_choice(table: slicer.vtkMRMLTableNode, metric: str, body: bool) -> None:
    """Keep what `choice_of` returns."""
    table.SetAttribute(_CHOICE, f"{metric} {'body' if body else 'whole'}")


def _keep(table: slicer.vtkMRMLTableNode, reference: str, name: str, text: str) -> None:
    scene, node = table.GetScene(), table.GetNodeReference(reference)
    if node is None and text:
        node = scene.AddNewNodeByClass("vtkMRMLTextNode", scene.GenerateUniqueName(name))
        node.SetForceCreateStorageNode(node.CreateStorageNodeAlways)  # in a file of its own, not in the scene's
        table.SetNodeReferenceID(reference, node.GetID())
    if text:
        node.SetText(text)
    elif node is not None:
        scene.RemoveNode(node)
