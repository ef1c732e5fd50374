"""Why a job cannot be started, with the inputs that there are and the choices made: what a button's tooltip says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..jobs.job import Kind
from ..translation import _
from .choices import Choices
from .chosen_images import ChosenImages, ImageFacts


def why_not(kind: Kind, images: ChosenImages, choices: Choices) -> str:
    """Why a kind of job cannot be started; empty if it can."""
    check = _CHECKS.get(kind)
    return check(images, choices) if check else ""


def _why_not_fine_tune(images: ChosenImages, choices: Choices) -> str:
    if images.prior is None:
        return _("Choose a planning scan first.")
    return _why_not_series(images) or choices.acquisition.fault(images.series)


def _why_not_series(images: ChosenImages) -> str:
    if images.series is None:
        return _("Choose a dynamic series first.")
    return next(iter(images.all_problems), "")


def _why_not_super_resolve(images: ChosenImages, choices: Choices) -> str:
    reason = _why_not_series(images) or choices.acquisition.fault(images.series)
    if reason or images.series is None:
        return reason
    if images.prior is None and choices.fraction_of(images) is None:
        return _("Choose a planning scan or set the acquired k-space: it determines the resolution of the result.")
    return why_not_time_points(images.series, choices)


def why_not_time_points(series: ImageFacts, choices: Choices) -> str:
    """Why the chosen time points of a series cannot be super-resolved; empty if they can."""
    first, last = choices.time_point_range(series.time_points)
    if 0 <= first <= last < series.time_points:
        return ""
    return _("Choose time points from 0 to {last}.").format(last=series.time_points - 1)


def _why_not_interpolate(images: ChosenImages, choices: Choices) -> str:
    return _("Choose a planning scan first.") if images.prior is None else _why_not_series(images)


def _why_not_evaluate(images: ChosenImages, choices: Choices) -> str:
    if images.truth is None:
        return _("Choose a ground truth first.")
    if images.result is None:
        return _("Super-resolve the series first.")
    return next(iter(images.truth_problems), "")


def _why_not_simulate(images: ChosenImages, choices: Choices) -> str:
    if images.series is None:
        return _("Choose a dynamic series first.")
    if not 0 < choices.simulated_fraction < 1:
        return _("Choose a percentage of k-space between 0 and 100%.")
    return ""


_CHECKS: Mapping[Kind, Callable[[ChosenImages, Choices], str]] = {
    Kind.FINE_TUNE: _why_not_fine_tune,
    Kind.SUPER_RESOLVE: _why_not_super_resolve,
    Kind.EVALUATE: _why_not_evaluate,
    Kind.INTERPOLATE: _why_not_interpolate,
    Kind.DOWNSAMPLE: _why_not_simulate,
}
