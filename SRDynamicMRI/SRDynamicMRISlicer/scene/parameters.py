"""The choices of the panel: names, types, defaults and limits, each declared here alone.

The module makes them Slicer's parameter node; everything else sees an object with these attributes. `Choices` says what
the presenter takes from here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Union

import slicer

from ..presenter.acquisition_choices import AcquisitionChoices
from ..presenter.choices import Choices
from ..presenter.panel_choices import (
    Arrangement,
    CompareMode,
    CompareWith,
    Intensities,
    Metric,
    TimePoints,
    TrainingBudget,
)

with contextlib.suppress(ImportError):  # outside Slicer's application nobody evaluates the annotations below
    from slicer.parameterNodeWrapper import WithinRange

Images = Union[slicer.vtkMRMLSequenceNode, slicer.vtkMRMLScalarVolumeNode, None]  # noqa: UP007 - for Slicer 5.10


class Parameters:
    """All choices of the panel, saved with the scene; nodes are None where nothing is chosen.

    A widget is bound to a choice by its property ``SlicerParameterName``.

    Parameters
    ----------
    priorVolume, dynamicSeries, groundTruth
        Inputs.
    result, interpolated
        What was made of the series: super-resolved, and interpolated to compare with.
    acquiredPercent
        Percentage of k-space that was acquired for the series; 0 for as detected.
    acquiredRows, acquiredColumns, kspaceWindow, noise, intensities
        What is declared of how the series was acquired, as `AcquisitionChoices` has it.
    simulatedPercent
        Percentage that a simulated series keeps.
    likeScanner
        Whether it is made as scanners store images.
    baseModel
        File of the model to fine-tune; empty for the pretrained one that fits best.
    tunedModel, tunedOn
        The fine-tuned model, and the planning scan it was fine-tuned on.
    useTuned, budget, device, keepContrast, seed
        How to fine-tune and compute.
    timePointSelection, firstTimePoint, lastTimePoint
        Time points to super-resolve.
    layout, lowView, resultView, truthView, linkedViews, sharedWindow
        What the comparison shows; views without a node of their own show what is chosen above.
    comparing
        Whether the comparison is shown: a scene that is saved meanwhile shows it again.
    compareMode, compareWith, swipePosition
        Which other image the view of the result shows, and how; the position in percent.
    metric, bodyOnly
        What the plot and tables are about.
    ssimMaps, differenceMaps, metricsTable, summaryTable, metricChart
        What the comparison has made.
    """

    priorVolume: slicer.vtkMRMLScalarVolumeNode
    dynamicSeries: Images
    groundTruth: Images
    result: slicer.vtkMRMLSequenceNode
    interpolated: slicer.vtkMRMLSequenceNode
    acquiredPercent: Annotated[float, WithinRange(0, 100)] = 0
    acquiredRows: Annotated[int, WithinRange(0, 9999)] = 0
    acquiredColumns: Annotated[int, WithinRange(0, 9999)] = 0
    kspaceWindow: str = ""
    noise: str = ""
    intensities: Intensities = Intensities.RECOGNISED
    simulatedPercent: Annotated[float, WithinRange(0.01, 100)] = 6.25
    likeScanner: bool = False
    baseModel: str = ""
    tunedModel: slicer.vtkMRMLTextNode
    tunedOn: slicer.vtkMRMLScalarVolumeNode
    useTuned: bool = True
    budget: TrainingBudget = TrainingBudget.STANDARD
    device: str = "auto"
    keepContrast: bool = False
    seed: Annotated[int, WithinRange(0, 999999)] = 0
    timePointSelection: TimePoints = TimePoints.ALL
    firstTimePoint: Annotated[int, WithinRange(0, 99999)] = 0
    lastTimePoint: Annotated[int, WithinRange(0, 99999)] = 0
    layout: Arrangement = Arrangement.MAPS
    lowView: Images
    resultView: Images
    truthView: Images
    linkedViews: bool = True
    sharedWindow: bool = True
    comparing: bool = False
    compareMode: CompareMode = CompareMode.NONE
    compareWith: CompareWith = CompareWith.LOW
    swipePosition: Annotated[float, WithinRange(0, 100)] = 50
    metric: Metric = Metric.SSIM
    bodyOnly: bool = False
    ssimMaps: slicer.vtkMRMLSequenceNode
    differenceMaps: slicer.vtkMRMLSequenceNode
    metricsTable: slicer.vtkMRMLTableNode
    summaryTable: slicer.vtkMRMLTableNode
    metricChart: slicer.vtkMRMLPlotChartNode


def by_name(parameters: Parameters) -> dict[str, Any]:
    """The fields of `Choices` that have the name of a parameter: ``keep_contrast`` is ``keepContrast``."""
    names = {one.name: _camel_case(one.name) for one in fields(Choices)}
    found = {
        name: getattr(parameters, own)
        for name, own in names.items()
        if own in Parameters.__annotations__ and own not in _CONVERTED
    }
    return {name: value.value if isinstance(value, TrainingBudget) else value for name, value in found.items()}


def acquisition_of(parameters: Parameters) -> AcquisitionChoices:
    """What is declared of how the series was acquired."""
    p = parameters
    return AcquisitionChoices(p.acquiredRows, p.acquiredColumns, p.kspaceWindow, p.noise, p.intensities)


_CONVERTED = ("baseModel", "tunedModel", "tunedOn")
"""Not taken as they are: `Choices` has files and ids."""

RENAMED: Mapping[str, str] = {
    "knownPercent": "acquiredPercent",
    "frames": "timePointSelection",
    "firstFrame": "firstTimePoint",
    "lastFrame": "lastTimePoint",
    "reveal": "compareMode",
    "revealAgainst": "compareWith",
    "curtain": "swipePosition",
}
"""Parameters by the names that they had in scenes of version 0.1 and before."""

_RENAMED_VALUES: Mapping[str, str] = {"NOTHING": "NONE", "BLINK": "ALTERNATE", "CURTAIN": "SWIPE"}
"""Of `compareMode`."""


def rename_parameters(node: slicer.vtkMRMLScriptedModuleNode) -> None:
    """Give the parameters of a scene that an earlier version saved the names of today."""
    for old, new in RENAMED.items():
        if node.HasParameter(old):
            if not node.HasParameter(new):
                value = node.GetParameter(old)
                node.SetParameter(new, _RENAMED_VALUES.get(value, value) if new == "compareMode" else value)
            node.UnsetParameter(old)


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
