"""What the scene tells about the chosen inputs, as the presenter takes it."""

from __future__ import annotations

import slicer

from ..presenter.chosen_images import ImageFacts, InputFacts
from .checks import SceneFacts
from .provenance import fidelity_of, warnings_of
from .volumes import grid_of, has_voxels


def input_facts(
    facts: SceneFacts, result: slicer.vtkMRMLSequenceNode | None = None, compared: bool = False
) -> InputFacts:
    """Bring facts into the form of the presenter.

    Parameters
    ----------
    facts
        See `scene_inputs.scene_facts`.
    result
        Super-resolved sequence; one without time points counts as none.
    compared
        Whether it was compared with the ground truth.
    """
    return InputFacts(
        prior=facts.prior,
        series=facts.series,
        truth=facts.truth,
        result=None if result is None else result_facts(result),
        effective_resolution=facts.effective_resolution,
        fraction=facts.fraction,
        interval=facts.interval,
        acquisition_time=facts.acquisition_time,
        overlap=facts.overlap,
        problems=facts.problems,
        truth_problems=facts.truth_problems,
        warnings=facts.warnings,
        compared=compared,
        fidelity=None if result is None else fidelity_of(result),
        result_warnings=() if result is None else warnings_of(result),
    )


def result_facts(result: slicer.vtkMRMLSequenceNode) -> ImageFacts | None:
    """A result as far as it is there; None while it has no time point."""
    count = result.GetNumberOfDataNodes()
    first = result.GetNthDataNode(0) if count else None
    if first is None or not first.IsA("vtkMRMLVolumeNode") or not has_voxels(first):
        return None
    grid = grid_of(first)
    depth, height, width = grid.shape
    x, y, z = (float(length) for length in grid.spacing)
    return ImageFacts(result.GetID(), result.GetName(), (width, height, depth), (x, y, z), count)
