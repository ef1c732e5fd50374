"""Choices that a list of the panel offers; the parameter node keeps them by name, the list shows their `label`."""

from __future__ import annotations

from enum import Enum

from ..translation import _


class Budget(Enum):
    """How long to fine-tune; the value is what the command line calls it."""

    QUICK = "quick"
    STANDARD = "standard"
    LONG = "long"
    PAPER = "paper"

    def label(self) -> str:
        """What the list shows until the time that it takes is known."""
        return {
            Budget.QUICK: _("Quick"),
            Budget.STANDARD: _("Standard"),
            Budget.LONG: _("Long"),
            Budget.PAPER: _("As in the paper"),
        }[self]


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
    """How to arrange the views; the values are those of `comparison_layouts.Layout`."""

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


class Reveal(Enum):
    """How to see another image in the view of the result."""

    NOTHING = "nothing"
    BLINK = "blink"
    CURTAIN = "curtain"

    def label(self) -> str:
        """What the list shows."""
        return {
            Reveal.NOTHING: _("Only the result"),
            Reveal.BLINK: _("In turn with"),
            Reveal.CURTAIN: _("Behind a curtain"),
        }[self]


class Other(Enum):
    """Which other image."""

    LOW = "low"
    TRUTH = "truth"

    def label(self) -> str:
        """What the list shows."""
        return {Other.LOW: _("Low resolution"), Other.TRUTH: _("Ground truth")}[self]


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
            Metric.DIFFERENCE: _("SD of difference"),
        }[self]
