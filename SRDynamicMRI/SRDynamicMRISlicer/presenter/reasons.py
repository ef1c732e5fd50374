"""Why a job cannot be started, with the inputs that there are and the choices made: what a button's tooltip says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..jobs.job import Kind
from ..translation import _
from .choices import Choices
from .chosen_images import ImageFacts, InputFacts
from .durations import BUDGETS


def why_not(kind: Kind, inputs: InputFacts, choices: Choices) -> str:
    """Why a kind of job cannot be started; empty if it can."""
    check = _CHECKS.get(kind)
    return check(inputs, choices) if check else ""


def _why_not_fine_tune(inputs: InputFacts, choices: Choices) -> str:
    if inputs.prior is None:
        return _("Choose a planning scan first.")
    if choices.budget not in BUDGETS:
        return _("There is no budget named {name}; choose another.").format(name=choices.budget)
    return _why_not_series(inputs)


def _why_not_series(inputs: InputFacts) -> str:
    if inputs.series is None:
        return _("Choose a dynamic series first.")
    return next(iter(inputs.all_problems), "")


def _why_not_super_resolve(inputs: InputFacts, choices: Choices) -> str:
    reason = _why_not_series(inputs)
    if reason or inputs.series is None:
        return reason
    if inputs.prior is None and choices.fraction_of(inputs) is None:
        return _("Choose a planning scan, or the fraction of k-space, to say which resolution is wanted.")
    return why_not_frames(inputs.series, choices)


def why_not_frames(series: ImageFacts, choices: Choices) -> str:
    """Why the chosen time points of a series cannot be super-resolved; empty if they can."""
    first, last = choices.frame_range(series.time_points)
    if 0 <= first <= last < series.time_points:
        return ""
    return _("Choose time points from 0 to {last}: the series has no others.").format(last=series.time_points - 1)


def _why_not_interpolate(inputs: InputFacts, choices: Choices) -> str:
    return _("Choose a planning scan first.") if inputs.prior is None else _why_not_series(inputs)


def _why_not_evaluate(inputs: InputFacts, choices: Choices) -> str:
    if inputs.truth is None:
        return _("Choose a ground truth first.")
    if inputs.result is None:
        return _("Super-resolve the series first.")
    return next(iter(inputs.truth_problems), "")


def _why_not_simulate(inputs: InputFacts, choices: Choices) -> str:
    if inputs.series is None:
        return _("Choose a dynamic series first.")
    if not 0 < choices.simulated_fraction < 1:
        return _("Choose a share of k-space between 0 and 100%.")
    return ""


_CHECKS: Mapping[Kind, Callable[[InputFacts, Choices], str]] = {
    Kind.FINE_TUNE: _why_not_fine_tune,
    Kind.SUPER_RESOLVE: _why_not_super_resolve,
    Kind.EVALUATE: _why_not_evaluate,
    Kind.INTERPOLATE: _why_not_interpolate,
    Kind.DOWNSAMPLE: _why_not_simulate,
}
