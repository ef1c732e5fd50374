"""Choices that a list of the panel offers; the parameter node keeps them by name, the list shows their `label`."""

from __future__ import annotations

from enum import Enum

from SRDynamicMRILib.models.budgets import BUDGETS

from ..translation import _


class _Budget(Enum):
    """A training budget of the library."""

    def label(self) -> str:
        """What the list shows until the time that it takes is known."""
        name = str(self.value)
        known = {"quick": _("Quick"), "standard": _("Standard"), "long": _("Long"), "paper": _("As in the paper")}
        return known.get(name, name)


TrainingBudget: type[_Budget] = _Budget("TrainingBudget", [(name.upper(), name) for name in BUDGETS])  # type: ignore
"""How long fine-tuning takes; the values are the names of the library's budgets."""


class Intensities(Enum):
    """What the voxels of the series are declared to hold."""

    RECOGNISED = "recognised"
    MAGNITUDES = "magnitudes"
    SIGNED = "signed"

    def label(self) -> str:
        """What the list shows."""
        return {
            Intensities.RECOGNISED: _("As recognised"),
            Intensities.MAGNITUDES: _("Magnitudes"),
            Intensities.SIGNED: _("Sign kept"),
        }[self]

    @property
    def magnitude(self) -> bool | None:
        """As `Acquisition` has it; None where nothing is declared."""
        return {Intensities.MAGNITUDES: True, Intensities.SIGNED: False}.get(self)


class TimePoints(Enum):
    """Which time points to super-resolve."""

    ALL = "all"
    RANGE = "range"
    SHOWN = "shown"

    def label(self) -> str:
        """What the list shows."""
        return {
            TimePoints.ALL: _("All"),
            TimePoints.RANGE: _("A range"),
            TimePoints.SHOWN: _("The one shown"),
        }[self]


class Arrangement(Enum):
    """How to arrange the views; the values are those of `layouts.Layout`."""

    MAPS = "maps"
    FIGURES = "figures"
    THREE = "three"
    TWO = "two"

    def label(self) -> str:
        """What the list shows."""
        return {
            Arrangement.MAPS: _("Three images over two maps"),
            Arrangement.FIGURES: _("Three images over plot and table"),
            Arrangement.THREE: _("Three images"),
            Arrangement.TWO: _("Low resolution and result"),
        }[self]


class CompareMode(Enum):
    """How the view of the result shows another image too."""

    NONE = "none"
    ALTERNATE = "alternate"
    SWIPE = "swipe"

    def label(self) -> str:
        """What the list shows."""
        return {
            CompareMode.NONE: _("None"),
            CompareMode.ALTERNATE: _("Alternate"),
            CompareMode.SWIPE: _("Swipe"),
        }[self]


class CompareWith(Enum):
    """Which image to compare the result with."""

    LOW = "low"
    TRUTH = "truth"

    def label(self) -> str:
        """What the list shows."""
        return {CompareWith.LOW: _("Low resolution"), CompareWith.TRUTH: _("Ground truth")}[self]


class Metric(Enum):
    """What the plot shows; the value is what `metrics_nodes.SHOWN` calls it."""

    SSIM = "ssim"
    PSNR = "psnr"
    DIFFERENCE = "difference_sd"

    def label(self) -> str:
        """What the list shows."""
        return {
            Metric.SSIM: _("SSIM"),
            Metric.PSNR: _("PSNR"),
            Metric.DIFFERENCE: _("SD of the difference"),
        }[self]
