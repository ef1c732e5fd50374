"""The result that is chosen, as the presenter takes it."""

from __future__ import annotations

from dataclasses import replace

import slicer

from ..presenter.chosen_images import ChosenImages, ImageFacts
from .provenance import consistency_of, warnings_of
from .volumes import grid_of, has_voxels


def with_result(
    images: ChosenImages, result: slicer.vtkMRMLSequenceNode | None = None, compared: bool = False
) -> ChosenImages:
    """The chosen images with the result that was made of them.

    Parameters
    ----------
    images
        See `checks.check_images`.
    result
        Super-resolved sequence; one without time points counts as none.
    compared
        Whether it was compared with the ground truth.
    """
    if result is None:
        return replace(images, result=None, compared=compared, consistency=None, result_warnings=())
    return replace(
        images,
        result=result_image(result),
        compared=compared,
        consistency=consistency_of(result),
        result_warnings=warnings_of(result),
    )


def result_image(result: slicer.vtkMRMLSequenceNode) -> ImageFacts | None:
    """A result as far as it is there; None while it has no time point."""
    count = result.GetNumberOfDataNodes()
    first = result.GetNthDataNode(0) if count else None
    if first is None or not first.IsA("vtkMRMLVolumeNode") or not has_voxels(first):
        return None
    grid = grid_of(first)
    depth, height, width = grid.shape
    x, y, z = (float(length) for length in grid.spacing)
    return ImageFacts(result.GetID(), result.GetName(), (width, height, depth), (x, y, z), count)
