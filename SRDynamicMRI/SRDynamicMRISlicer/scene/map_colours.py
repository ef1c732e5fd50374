"""Colours of SSIM and difference maps: the same in every view, on every day, for every scan.

SSIM: viridis, perceptually uniform, 0 to 1. Difference: ColorBrewer's RdBu, white where there is none, symmetric.
"""

from __future__ import annotations

from pathlib import Path

import slicer

from ..translation import _

COLOUR_FOLDER = Path(__file__).resolve().parent.parent.parent / "Resources" / "Colors"
SSIM_COLOURS = "SRDynamicMRI-SSIM"
DIFFERENCE_COLOURS = "SRDynamicMRI-Difference"

SSIM_RANGE = (0.0, 1.0)
DIFFERENCE_RANGE = (-0.2, 0.2)
"""Share of the ground truth's largest intensity."""

_SSIM_LABELS = 6
_DIFFERENCE_LABELS = 5
"""Labels are shown to one digit: as many as fall on tenths, with 0 among them."""

_LEGEND_SIZE = (0.12, 0.7)
"""Share of a view's width and height."""

_FONT_SIZE = 14


def colour_node(scene: slicer.vtkMRMLScene, name: str) -> slicer.vtkMRMLColorTableNode:
    """A colour table of this module; one in a scene, saved with it.

    Parameters
    ----------
    scene
        The scene.
    name
        `SSIM_COLOURS` or `DIFFERENCE_COLOURS`.
    """
    found = scene.GetSingletonNode(name, "vtkMRMLColorTableNode")
    if found is not None:
        return found
    node = slicer.vtkMRMLColorTableNode()
    file = slicer.vtkMRMLColorTableStorageNode()
    file.SetFileName(str(COLOUR_FOLDER / f"{name}.ctbl"))
    file.ReadData(node)
    node.SetName(name)
    node.SetSingletonTag(name)
    return scene.AddNode(node)


def show_as_ssim(volume: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLColorLegendDisplayNode:
    """Show a volume as an SSIM map with a legend; what is below 0 is shown as 0."""
    return _show(volume, SSIM_COLOURS, SSIM_RANGE, _("SSIM (1 = alike)"), _SSIM_LABELS)


def show_as_difference(
    volume: slicer.vtkMRMLScalarVolumeNode, limit: float = DIFFERENCE_RANGE[1]
) -> slicer.vtkMRMLColorLegendDisplayNode:
    """Show a volume as a difference map with a legend.

    Parameters
    ----------
    volume
        Result minus truth, as a share of the truth's largest intensity.
    limit
        Difference with the strongest colour.
    """
    return _show(volume, DIFFERENCE_COLOURS, (-limit, limit), _("Difference / maximum"), _DIFFERENCE_LABELS)


def _show(
    volume: slicer.vtkMRMLScalarVolumeNode, colours: str, values: tuple[float, float], title: str, labels: int
) -> slicer.vtkMRMLColorLegendDisplayNode:
    volume.CreateDefaultDisplayNodes()
    display = volume.GetScalarVolumeDisplayNode()
    was_modifying = display.StartModify()
    display.SetAndObserveColorNodeID(colour_node(volume.GetScene(), colours).GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*values)
    display.SetApplyThreshold(False)
    display.SetInterpolate(False)  # a map has a value for every voxel: show those, not values between
    display.EndModify(was_modifying)
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(volume)
    legend.SetTitleText(title)
    legend.SetNumberOfLabels(labels)
    legend.GetTitleTextProperty().SetFontSize(_FONT_SIZE)
    legend.GetLabelTextProperty().SetFontSize(_FONT_SIZE)
    legend.SetSize(*_LEGEND_SIZE)
    legend.SetVisibility(True)
    legend.Modified()  # views that were made after the legend look at it now
    return legend
