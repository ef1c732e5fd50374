"""Shows what the presenter decides: every text, whether each control can be used, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ..jobs.job import Kind
from ..presenter.panel_choices import Budget
from ..presenter.panel_content import Control, View
from ..translation import _
from .loss_chart import LossChart

_STEPS = 1000
"""Of the progress bar."""

CONTROLS: Mapping[str, tuple[str, ...]] = {
    "inputs": (
        "priorSelector",
        "seriesSelector",
        "truthSelector",
        "knownPercentSpinBox",
        "loadFileButton",
        "loadFolderButton",
    ),
    "sample_data": ("sampleDataButton",),
    "simulate": ("simulateButton",),
    "import_model": ("importModelButton",),
    "base_model": ("baseModelPathLineEdit", "tunedModelSelector", "useTunedCheckBox"),
    "budget": ("budgetComboBox", "seedSpinBox", "keepContrastCheckBox"),
    "device": ("deviceComboBox",),
    "fine_tune": ("fineTuneButton",),
    "frames": ("framesComboBox", "firstFrameSpinBox", "lastFrameSpinBox", "resultSelector"),
    "super_resolve": ("superResolveButton",),
    "interpolate": ("interpolateButton",),
    "evaluate": ("evaluateButton",),
    "export": ("exportTableButton",),
    "cancel": ("cancelButton",),
}
"""Widgets by the name of the control in `panel_view.View` that they follow."""

_CANCEL_OF = {Kind.FINE_TUNE: "fineTuneCancelButton", Kind.SUPER_RESOLVE: "superResolveCancelButton"}
"""Buttons that stop one kind of job only."""


class Panel:
    """Binds the widgets to a view of the presenter.

    Parameters
    ----------
    ui
        The widgets by name, as ``slicer.util.childWidgetVariables`` gives them.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        names = {name for group in CONTROLS.values() for name in group} | set(_CANCEL_OF.values())
        self._tooltips = {name: getattr(ui, name).toolTip for name in names}
        self._chart = LossChart(ui.lossChartFrame)

    def show(self, view: View) -> None:
        """Show a view."""
        for control, names in CONTROLS.items():
            for name in names:
                self._allow(name, getattr(view, control))
        for kind, name in _CANCEL_OF.items():
            self._allow(name, view.cancel if view.running is kind else Control(_why_none(view)))
        self._show_progress(view)
        self._show_texts(view)
        self._chart.show(view.loss)

    def _show_progress(self, view: View) -> None:
        ui = self._ui
        running = view.running is not None
        for widget in (ui.progressBar, ui.progressLabel, ui.cancelButton):
            widget.visible = running
        known = view.progress is not None
        ui.progressBar.maximum = _STEPS if known or not running else 0  # a bar without end moves to and fro
        ui.progressBar.value = round(_STEPS * (view.progress or 0.0))
        ui.progressLabel.text = view.progress_text

    def _show_texts(self, view: View) -> None:
        ui = self._ui
        _tell(ui.statusLabel, _failure(view) if view.failure else escape(view.status))
        images = (
            (_("Planning scan:"), view.prior_text),
            (_("Series:"), view.series_text),
            (_("Ground truth:"), view.truth_text),
            *(("", line) for line in view.about_series.splitlines()),
        )
        _tell(ui.inputsLabel, _paragraphs(images))
        marked = [("\N{CROSS MARK}", text) for text in view.problems]
        _tell(ui.problemsLabel, _paragraphs([*marked, *(("\N{WARNING SIGN}", text) for text in view.warnings)]))
        for place, budget in enumerate(Budget):
            if ui.budgetComboBox.itemText(place) != view.budget_texts[budget.value]:
                ui.budgetComboBox.setItemText(place, view.budget_texts[budget.value])
        _tell(ui.superResolveLabel, view.super_resolve_text)
        _tell(ui.noticeLabel, view.notice)

    def _allow(self, name: str, control: Control) -> None:
        widget = getattr(self._ui, name)
        widget.enabled = control.enabled
        widget.toolTip = control.reason or self._tooltips[name]


def _tell(label: Any, text: str) -> None:
    """Show a text of several lines whole, or nothing: Qt's layouts give a wrapped text in a section too little room."""
    label.text = text
    label.visible = bool(text)
    label.minimumHeight = label.heightForWidth(label.width) if label.visible else 0  # of its own width, once it has one


def _why_none(view: View) -> str:
    """Why a button that stops one kind of job cannot be used while that kind does not run."""
    return view.cancel.reason or _("Something else is running; stop it with the button at the top.")


def _failure(view: View) -> str:
    """Why the latest job failed, what to do, and the end of the log."""
    lines = "<br>".join(escape(line) for line in view.last_lines)
    return f"<b>{escape(view.failure)}</b><br>{escape(view.advice)}<br><small>{lines}</small>"


def _paragraphs(texts: Iterable[tuple[str, str]]) -> str:
    return "<br>".join(f"{mark} {escape(text)}".strip() for mark, text in texts if text)
