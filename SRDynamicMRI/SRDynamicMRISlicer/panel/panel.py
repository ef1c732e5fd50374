"""Shows what the presenter decides: every text, whether each control can be used, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ..jobs.job import Kind
from ..presenter.panel_choices import TrainingBudget
from ..presenter.panel_content import Control, PanelContent
from ..translation import _
from .loss_chart import LossChart

_STEPS = 1000
"""Of the progress bar."""

CONTROLS: Mapping[str, tuple[str, ...]] = {
    "inputs": (
        "priorSelector",
        "seriesSelector",
        "truthSelector",
        "acquiredPercentSpinBox",
        "acquiredRowsSpinBox",
        "acquiredColumnsSpinBox",
        "kspaceWindowComboBox",
        "noiseLineEdit",
        "intensitiesComboBox",
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
    "frames": ("timePointsComboBox", "firstTimePointSpinBox", "lastTimePointSpinBox", "resultSelector"),
    "super_resolve": ("superResolveButton",),
    "interpolate": ("interpolateButton",),
    "evaluate": ("evaluateButton",),
    "export": ("exportTableButton",),
    "cancel": ("cancelButton",),
}
"""Widgets by the name of the control in `PanelContent` that they follow."""

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
        self._inputs_tooltip = ui.inputsLabel.toolTip
        self._chart = LossChart(ui.lossChartFrame)

    def show(self, content: PanelContent) -> None:
        """Show a content."""
        for control, names in CONTROLS.items():
            for name in names:
                self._allow(name, getattr(content, control))
        for kind, name in _CANCEL_OF.items():
            self._allow(name, content.cancel if content.running is kind else Control(_why_none(content)))
        self._show_progress(content)
        self._show_texts(content)
        self._chart.show(content.loss)

    def _show_progress(self, content: PanelContent) -> None:
        ui = self._ui
        running = content.running is not None
        for widget in (ui.progressBar, ui.progressLabel, ui.cancelButton):
            widget.visible = running
        known = content.progress is not None
        ui.progressBar.maximum = _STEPS if known or not running else 0  # a bar without end moves to and fro
        ui.progressBar.value = round(_STEPS * (content.progress or 0.0))
        ui.progressLabel.text = content.progress_text

    def _show_texts(self, content: PanelContent) -> None:
        ui = self._ui
        _tell(ui.statusLabel, _failure(content) if content.failure else escape(content.status))
        images = (
            (_("Planning scan:"), content.prior_text),
            (_("Series:"), content.series_text),
            (_("Ground truth:"), content.truth_text),
            *(("", line) for line in content.about_series.splitlines()),
        )
        _tell(ui.inputsLabel, _paragraphs(images))
        ui.inputsLabel.toolTip = content.acquisition_details or self._inputs_tooltip
        marked = [("\N{CROSS MARK}", text) for text in content.problems]
        _tell(ui.problemsLabel, _paragraphs([*marked, *(("\N{WARNING SIGN}", text) for text in content.warnings)]))
        for place, budget in enumerate(TrainingBudget):
            if ui.budgetComboBox.itemText(place) != content.budget_texts[budget.value]:
                ui.budgetComboBox.setItemText(place, content.budget_texts[budget.value])
        _tell(ui.superResolveLabel, content.super_resolve_text)
        _tell(ui.noticeLabel, content.notice)

    def _allow(self, name: str, control: Control) -> None:
        widget = getattr(self._ui, name)
        widget.enabled = control.enabled
        widget.toolTip = control.reason or self._tooltips[name]


def _tell(label: Any, text: str) -> None:
    """Show a text of several lines whole, or nothing: Qt's layouts give a wrapped text in a section too little room."""
    label.text = text
    label.visible = bool(text)
    label.minimumHeight = label.heightForWidth(label.width) if label.visible else 0  # of its own width, once it has one


def _why_none(content: PanelContent) -> str:
    """Why a button that stops one kind of job cannot be used while that kind does not run."""
    return content.cancel.reason or _("Something else is running; stop it with the button at the top.")


def _failure(content: PanelContent) -> str:
    """Why the latest job failed, what to do, and the end of the log."""
    lines = "<br>".join(escape(line) for line in content.last_lines)
    return f"<b>{escape(content.failure)}</b><br>{escape(content.advice)}<br><small>{lines}</small>"


def _paragraphs(texts: Iterable[tuple[str, str]]) -> str:
    return "<br>".join(f"{mark} {escape(text)}".strip() for mark, text in texts if text)
