"""All that the panel shows, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..jobs.job import Kind
from .states import State


@dataclass(frozen=True)
class Control:
    """Whether a control can be used, and if not, the reason for its tooltip."""

    reason: str = ""

    @property
    def enabled(self) -> bool:
        """Whether it can be used."""
        return not self.reason


@dataclass(frozen=True)
class PanelContent:
    """All that the panel shows, at one moment.

    Parameters
    ----------
    state, running
        What the module is doing; the job that runs, also while it is being cancelled.
    status
        The same in words.
    prior_text, series_text, truth_text, about_series
        The inputs in words.
    acquisition_details
        How the series was acquired, at length; empty where that is not known.
    problems, warnings
        What is wrong with the inputs and choices, and what should be known about them, a sentence each.
    inputs, simulate, sample_data, import_model
        Selectors of images; the buttons that make data.
    base_model, budget, device, fine_tune
        Choices and button of fine-tuning.
    frames, super_resolve
        Choices and button of super-resolution.
    interpolate, evaluate, export
        Buttons of the comparison.
    cancel
        Button that stops what runs.
    budget_texts
        What each budget is called and how long it takes here.
    super_resolve_text
        How much there is to super-resolve and how long it takes here.
    progress, progress_text
        Share of the stage that is done, 0 to 1, None where only that something goes on is known; in words, with the
        time left; empty where nothing runs.
    loss
        Steps and losses of the latest fine-tuning.
    log
        Lines of the worker.
    failure, advice, last_lines
        Why the latest job failed, what to do, and the end of the log; empty unless it has failed.
    notice
        What has to be said where results are shown; empty where there are none.
    """

    state: State
    running: Kind | None
    status: str
    prior_text: str
    series_text: str
    truth_text: str
    about_series: str
    acquisition_details: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    inputs: Control
    simulate: Control
    sample_data: Control
    import_model: Control
    base_model: Control
    budget: Control
    device: Control
    fine_tune: Control
    frames: Control
    super_resolve: Control
    interpolate: Control
    evaluate: Control
    export: Control
    cancel: Control
    budget_texts: Mapping[str, str]
    super_resolve_text: str
    progress: float | None
    progress_text: str
    loss: tuple[tuple[int, float], ...]
    log: tuple[str, ...]
    failure: str
    advice: str
    last_lines: tuple[str, ...]
    notice: str
