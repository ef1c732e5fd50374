"""The parameter node as everything but the panel sees it: an object with these attributes, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..presenter.panel_choices import Arrangement, Budget, Metric, Other, Reveal, TimePoints

if TYPE_CHECKING:
    import slicer


class Parameters(Protocol):
    """All choices, saved with the scene; nodes are None where nothing is chosen.

    Parameters
    ----------
    priorVolume, dynamicSeries, groundTruth
        Inputs.
    result, interpolated
        What was made of the series: super-resolved, and interpolated to compare with.
    knownPercent
        Share of k-space that the series holds, in percent; 0 for as detected.
    simulatedPercent
        Share that a simulated series keeps.
    baseModel
        File of the model to fine-tune; empty for the shipped one.
    tunedModel, tunedOn
        The subject's model, and the planning scan it was fine-tuned on.
    useTuned, budget, device, keepContrast, seed
        How to fine-tune and compute.
    frames, firstFrame, lastFrame
        Time points to super-resolve.
    layout, lowView, resultView, truthView, linkedViews, sharedWindow
        What the comparison shows; views without a node of their own show what is chosen above.
    comparing
        Whether the comparison is shown: a scene that is saved meanwhile shows it again.
    reveal, revealAgainst, curtain
        What else is seen in the view of the result; the curtain in percent.
    metric, bodyOnly
        What the plot and tables are about.
    ssimMaps, differenceMaps, metricsTable, summaryTable, metricChart
        What the comparison has made.
    """

    priorVolume: slicer.vtkMRMLScalarVolumeNode | None
    dynamicSeries: slicer.vtkMRMLNode | None
    groundTruth: slicer.vtkMRMLNode | None
    result: slicer.vtkMRMLSequenceNode | None
    interpolated: slicer.vtkMRMLSequenceNode | None
    knownPercent: float
    simulatedPercent: float
    baseModel: str
    tunedModel: slicer.vtkMRMLTextNode | None
    tunedOn: slicer.vtkMRMLScalarVolumeNode | None
    useTuned: bool
    budget: Budget
    device: str
    keepContrast: bool
    seed: int
    frames: TimePoints
    firstFrame: int
    lastFrame: int
    layout: Arrangement
    lowView: slicer.vtkMRMLNode | None
    resultView: slicer.vtkMRMLNode | None
    truthView: slicer.vtkMRMLNode | None
    linkedViews: bool
    sharedWindow: bool
    comparing: bool
    reveal: Reveal
    revealAgainst: Other
    curtain: float
    metric: Metric
    bodyOnly: bool
    ssimMaps: slicer.vtkMRMLSequenceNode | None
    differenceMaps: slicer.vtkMRMLSequenceNode | None
    metricsTable: slicer.vtkMRMLTableNode | None
    summaryTable: slicer.vtkMRMLTableNode | None
    metricChart: slicer.vtkMRMLPlotChartNode | None
