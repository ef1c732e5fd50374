"""The module's self-test: clicks through the panel in a real Slicer, with the real worker, on a small phantom."""

from __future__ import annotations

import csv
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import TestCase

import numpy as np
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData

from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Volume

from ..comparison.layouts import View
from ..comparison.views import composite_node
from ..presenter.panel_choices import Intensities, TimePoints, TrainingBudget
from ..presenter.states import RUNNING, State
from ..qt.event_loop_gaps import EventLoopGaps
from ..scene.browsers import add_browser, browser_of, proxy_of
from ..scene.metrics_nodes import SHOWN
from ..scene.model_nodes import hash_of_model, is_model
from ..scene.outputs import saving_table
from ..scene.provenance import facts_of
from ..scene.sequences import add_sequence, series_of
from ..scene.volumes import add_volume
from ..step_queue import at_once

SHAPE = (8, 48, 64)
SPACING = (5.0, 5.2, 9.0)
TIME_POINTS = 3

REAL_SIZE = Geometry((11, 256, 256), (1.4, 1.4, 5.0))
REAL_LENGTH = 20
LONGEST_GAP = 0.1
"""Seconds of work after which a user feels that the application does not answer."""

PATIENCE = 600.0
"""Seconds that any job may take on a slow computer, or on a busy one."""


class PanelUser:
    """Somebody in front of the panel.

    Parameters
    ----------
    case
        Whose assertions to use.
    widget
        The module's widget.
    """

    patience = PATIENCE
    """Seconds that anything may take."""

    def __init__(self, case: TestCase, widget: Any) -> None:
        self._case, self._widget = case, widget

    @property
    def _ui(self) -> Any:
        return self._widget.ui

    @property
    def _session(self) -> Any:
        return self._widget.session

    @property
    def _choices(self) -> Any:
        return self._session.parameters

    @property
    def _state(self) -> State:
        state: State = self._session.presenter.state
        return state

    def _wait(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + self.patience
        while not condition():
            self._case.assertLess(time.monotonic(), end, f"it does not end: {self._state}")
            self._process_events()
            time.sleep(0.02)
        self._process_events()

    @staticmethod
    def _process_events() -> None:
        slicer.app.processEvents()


class ClickPath(PanelUser):
    """A user who clicks through the panel and looks at what comes of it.

    Parameters
    ----------
    case
        Whose assertions to use.
    widget
        The module's widget.
    """

    def __init__(self, case: TestCase, widget: Any) -> None:
        super().__init__(case, widget)
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("SRDynamicMRI")
        widget.enter()
        phantom = abdomen(1, SHAPE, SPACING, TIME_POINTS)
        self._prior = add_volume(slicer.mrmlScene, phantom.static, "planning")
        self._series = add_sequence(slicer.mrmlScene, phantom.dynamic, "cine")
        add_browser(self._series)
        self._low: Any = None

    def end(self) -> None:
        """Stop what runs, and close the scene."""
        slicer.mrmlScene.Clear()
        self._wait(lambda: self._state not in RUNNING and self._state is not State.CANCELLING)

    # Without computing

    def inputs_are_described(self) -> None:
        """Selectors show the nodes, and the panel says in words what they are."""
        self._choose_inputs()
        words = self._ui.inputsLabel.text
        self._case.assertIn("64 x 48 x 8", words)
        self._case.assertIn(f"{TIME_POINTS} time points", words)
        self._case.assertTrue(self._ui.simulateButton.enabled)

    def choices_are_kept(self) -> None:
        """What is set in the panel is in the parameter node, and the other way round."""
        self._ui.budgetComboBox.currentIndex = list(TrainingBudget).index(TrainingBudget.QUICK)
        self._case.assertIs(self._choices.budget, TrainingBudget.QUICK)
        self._choices.timePointSelection = TimePoints.RANGE
        self._case.assertEqual(self._ui.timePointsComboBox.currentIndex, list(TimePoints).index(TimePoints.RANGE))
        self._ui.keep25Button.click()
        self._case.assertEqual(self._choices.simulatedPercent, 25)
        self._case.assertEqual(self._ui.simulatedPercentSpinBox.value, 25)
        self._choices.device = "cpu"
        self._case.assertIn("CPU", self._ui.deviceComboBox.currentText)
        self._ui.timePointSlider.value = 2
        self._case.assertEqual(browser_of(self._series).GetSelectedItemNumber(), 2)

    def acquisition_can_be_declared(self) -> None:
        """What is set is recognised no more but taken; what cannot be is one sentence, and no job can start."""
        self._choose_inputs()
        ui, choices = self._ui, self._choices
        self._wait(lambda: "Acquired and stored 48x64" in ui.inputsLabel.text)
        self._case.assertTrue(ui.acquisitionGroupBox.collapsed)
        ui.acquisitionGroupBox.collapsed = False
        window = ui.kspaceWindowComboBox
        with self._no_traceback():
            for name in ("acquiredRowsSpinBox", "acquiredColumnsSpinBox"):
                getattr(ui, name).value = 32
            window.setCurrentIndex(window.findText("hann"))
            ui.noiseLineEdit.setText("0.5")
            ui.intensitiesComboBox.currentIndex = list(Intensities).index(Intensities.SIGNED)
            self._case.assertEqual((choices.acquiredRows, choices.acquiredColumns), (32, 32))
            self._case.assertEqual((choices.kspaceWindow, choices.noise), ("hann", "0.5"))
            self._case.assertIs(choices.intensities, Intensities.SIGNED)
            words = "Acquired 32x32, stored 48x64 (rows x columns); sign kept; window hann;"
            self._wait(lambda: words in ui.inputsLabel.text)
            self._case.assertIn("as declared", ui.inputsLabel.toolTip)
            window.setEditText("fermi:no")
            self._case.assertEqual(choices.kspaceWindow, "fermi:no")
            self._case.assertIn("names no window", ui.problemsLabel.text)
            self._case.assertFalse(ui.fineTuneButton.enabled)
            self._case.assertIn("names no window", ui.superResolveButton.toolTip)
            window.setEditText("")
            self._process_events()
            self._case.assertEqual((window.currentText, choices.kspaceWindow), ("", ""))
            choices.kspaceWindow = "tukey:0.25"
            self._case.assertEqual(window.currentText, "tukey:0.25")
            choices.kspaceWindow, choices.noise, choices.intensities = "", "", Intensities.RECOGNISED
            choices.acquiredRows = choices.acquiredColumns = 0
            self._case.assertEqual(window.currentText, "As recognised")
            self._wait(lambda: "Acquired and stored 48x64" in ui.inputsLabel.text)
        self._case.assertTrue(ui.superResolveButton.enabled, ui.superResolveButton.toolTip)
        ui.acquisitionGroupBox.collapsed = True

    def reasons_are_told(self) -> None:
        """A button that cannot be used says why in its tooltip."""
        self._ui.priorSelector.setCurrentNode(None)
        self._process_events()
        self._case.assertFalse(self._ui.fineTuneButton.enabled)
        self._case.assertIn("Choose a planning scan first.", self._ui.fineTuneButton.toolTip)  # Slicer wraps it in HTML
        self._case.assertFalse(self._ui.cancelButton.visible)

    def deleted_series_is_not_chosen(self) -> None:
        """Where a chosen sequence is deleted nothing is chosen, not the volume that showed it."""
        self._choose_inputs()
        with self._no_traceback():
            slicer.mrmlScene.RemoveNode(self._series)
            self._process_events()
            self._process_events()
        self._case.assertIsNone(self._choices.dynamicSeries)
        self._case.assertIsNone(self._ui.seriesSelector.currentNode())
        self._case.assertNotIn("time points", self._ui.inputsLabel.text)
        self._case.assertFalse(self._ui.simulateButton.enabled)

    def multivolume_is_told(self) -> None:
        """A MultiVolume may be chosen while the comparison is open: its view is empty, and the panel says why."""
        self._choose_inputs()
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "several")
        image = vtkImageData()
        image.SetDimensions(6, 5, 4)
        voxels = np.random.default_rng(0).uniform(1, 9, (120, 3)).astype(np.float32)
        image.GetPointData().SetScalars(numpy_to_vtk(voxels, deep=True))
        node.SetAndObserveImageData(image)
        node.SetAttribute("MultiVolume.NumberOfFrames", "3")
        with self._no_traceback():
            if slicer.app.layoutManager() is not None:
                self._ui.showButton.click()
            self._ui.seriesSelector.setCurrentNode(node)
            self._process_events()
        self._case.assertIs(self._choices.dynamicSeries, node)
        self._case.assertIn("3 time points", self._ui.inputsLabel.text)
        self._case.assertIn("several is a MultiVolume", self._ui.problemsLabel.text)
        if slicer.app.layoutManager() is not None:
            self._ui.closeButton.click()
        slicer.mrmlScene.RemoveNode(node)
        self._process_events()

    # With the worker

    def answers_while_it_computes(self) -> None:
        """The application answers at all times, for a series of real size: inputs, results and maps come in steps.

        The comparison is opened before: Slicer makes its views all at once, which takes a second without a graphics
        card.
        """
        first = abdomen(1, (11, 64, 64), (5.6, 5.6, 5.0), 1).static.data.repeat(4, axis=1).repeat(4, axis=2)
        volumes = [Volume(first * (1 + 0.01 * number), REAL_SIZE) for number in range(REAL_LENGTH)]
        series = add_sequence(slicer.mrmlScene, Series.of(volumes, [0.5 * n for n in range(REAL_LENGTH)]), "real")
        add_browser(series)
        choices = self._choices
        choices.priorVolume = add_volume(slicer.mrmlScene, volumes[0], "real planning")
        choices.dynamicSeries = series
        choices.device, choices.simulatedPercent = "cpu", 25
        choices.timePointSelection, choices.firstTimePoint, choices.lastTimePoint = TimePoints.RANGE, 0, 1
        self._process_events()
        self._answers_after("declaring a window", self._declare_window, self._sees_window)
        choices.kspaceWindow = ""
        self._answers("simulating", self._ui.simulateButton)
        self._case.assertEqual(choices.dynamicSeries.GetNumberOfDataNodes(), REAL_LENGTH)
        self._ui.budgetComboBox.currentIndex = list(TrainingBudget).index(TrainingBudget.QUICK)
        self._answers(
            "beginning to fine-tune", self._ui.fineTuneButton, lambda: bool(self._session.presenter.content.loss)
        )
        self._answers("cancelling", self._ui.fineTuneCancelButton)
        if slicer.app.layoutManager() is not None:
            self._ui.showButton.click()
            self._wait_for_sizes()
        self._answers("super-resolving and comparing", self._ui.superResolveButton)
        self._case.assertEqual(choices.ssimMaps.GetNumberOfDataNodes(), 2)

    def deleted_result_stops_its_computation(self) -> None:
        """After `answers_while_it_computes`: a result that goes while it is computed is never called done."""
        choices = self._choices
        choices.result, choices.lastTimePoint, choices.seed = None, 5, 1
        self._click(self._ui.superResolveButton)
        self._wait(lambda: choices.result is not None)
        with self._no_traceback():
            slicer.mrmlScene.RemoveNode(choices.result)
            self._wait(lambda: self._state not in RUNNING and self._state is not State.CANCELLING)
        self._case.assertIsNone(choices.result)
        self._case.assertIn("The result was deleted", self._ui.statusLabel.text)
        self._case.assertTrue(self._ui.superResolveButton.enabled)

    def _declare_window(self) -> None:
        self._ui.kspaceWindowComboBox.setEditText("gauss:0.5")

    def _sees_window(self) -> bool:
        return "window gauss:0.5" in self._ui.inputsLabel.text

    def _answers(self, what: str, button: Any, until: Callable[[], bool] | None = None) -> None:
        """Click, and look whether the application answers meanwhile."""
        self._case.assertTrue(button.enabled, button.toolTip)
        self._answers_after(what, button.click, until)

    def _answers_after(self, what: str, act: Callable[[], object], until: Callable[[], bool] | None = None) -> None:
        """Act, and look at the gaps of the event loop until what was started has come to its end, or so far.

        Nothing is drawn meanwhile: without a graphics card Slicer takes longer for that than for all else.
        """

        def at_rest() -> bool:
            busy = self._state in RUNNING or self._state is State.CANCELLING or self._session.waiting
            return not busy

        with EventLoopGaps() as gaps, self._no_traceback(), self._nothing_drawn():
            slicer.app.processEvents()
            started = time.perf_counter(), time.thread_time()
            act()
            click = time.thread_time() - started[1]
            self._case.assertTrue(gaps.run_until(until or at_rest, PATIENCE), what)
        text = "%s: the longest gap was %.0f ms, %.0f ms of it work; the click took %.0f ms"
        logging.info(text, what, 1000 * gaps.longest, 1000 * gaps.longest_busy, 1000 * click)
        self._case.assertLess(max(gaps.longest_busy, click), LONGEST_GAP, what)

    @staticmethod
    @contextmanager
    def _nothing_drawn() -> Iterator[None]:
        """Slicer's views and the window stay as they are."""
        window = slicer.util.mainWindow()
        with slicer.util.RenderBlocker():
            if window is not None:
                window.setUpdatesEnabled(False)
            try:
                yield
            finally:
                if window is not None:
                    window.setUpdatesEnabled(True)

    @contextmanager
    def _no_traceback(self) -> Iterator[None]:
        """Nothing that Slicer or Qt calls meanwhile raises."""
        errors: list[BaseException] = []
        before = sys.excepthook
        sys.excepthook = lambda kind, error, traceback: errors.append(error)
        try:
            yield
        finally:
            sys.excepthook = before
        self._case.assertEqual([repr(error) for error in errors], [])

    def simulate(self) -> None:
        """A full series becomes the ground truth of a low-resolution one."""
        self._choose_inputs()
        self._choices.device = "cpu"
        self._ui.keep25Button.click()
        self._run(self._ui.simulateButton)
        self._case.assertIs(self._choices.groundTruth, self._series)
        self._low = self._choices.dynamicSeries
        self._case.assertIsNot(self._low, self._series)
        self._case.assertEqual(series_of(self._low).geometry.shape, (8, 24, 32))
        self._case.assertEqual(self._low.GetNumberOfDataNodes(), TIME_POINTS)
        self._case.assertIs(browser_of(self._low), browser_of(self._series))
        self._wait(lambda: "25% of k-space" in self._ui.inputsLabel.text)  # once its voxels are seen

    def fine_tune(self) -> None:
        """The subject's model comes into the scene."""
        self._ui.budgetComboBox.currentIndex = list(TrainingBudget).index(TrainingBudget.QUICK)
        self._run(self._ui.fineTuneButton)
        model = self._choices.tunedModel
        self._case.assertTrue(is_model(model))
        self._case.assertIs(self._choices.tunedOn, self._prior)
        self._case.assertIs(self._ui.tunedModelSelector.currentNode(), model)
        self._case.assertGreater(len(self._session.presenter.content.loss), 10)

    def super_resolve(self) -> None:
        """Every time point is there, on the grid of the planning scan, and says where it comes from."""
        self._ui.timePointsComboBox.currentIndex = list(TimePoints).index(TimePoints.ALL)
        self._ui.kspaceWindowComboBox.setEditText("hamming")
        self._run(self._ui.superResolveButton)
        result = self._choices.result
        self._case.assertEqual(result.GetNumberOfDataNodes(), TIME_POINTS)
        self._case.assertEqual(series_of(result).geometry.shape, SHAPE)
        self._case.assertIs(browser_of(result), browser_of(self._low))
        facts = facts_of(result)
        self._case.assertEqual(facts["Model"], hash_of_model(self._choices.tunedModel))
        self._case.assertEqual((facts["Window"], facts["Declared"]), ("hamming", "window"))
        self._case.assertIn("Not for diagnosis", facts["Notice"])
        self._case.assertIn("Not for diagnosis", self._ui.noticeLabel.text)

    def compare(self) -> None:
        """Maps, tables and plot are there: they follow super-resolution where there is a ground truth."""
        choices = self._choices
        self._case.assertIsNotNone(choices.metricsTable)
        self._case.assertEqual(choices.metricsTable.GetNumberOfRows(), TIME_POINTS)
        rows = [choices.summaryTable.GetCellText(row, 0) for row in range(choices.summaryTable.GetNumberOfRows())]
        self._case.assertIn("Super-resolved", rows)
        for maps in (choices.ssimMaps, choices.differenceMaps):
            self._case.assertEqual(maps.GetNumberOfDataNodes(), TIME_POINTS)
            self._case.assertIsNotNone(proxy_of(maps))
        ssim = series_of(choices.ssimMaps)[0].data
        self._case.assertLessEqual(float(ssim.max()), 1.0 + 1e-6)
        self._case.assertGreater(float(ssim.mean()), 0.5)
        self._case.assertEqual(choices.metricChart.GetNumberOfPlotSeriesNodes(), len(rows))
        self._case.assertTrue(self._ui.exportTableButton.enabled)
        with tempfile.TemporaryDirectory() as folder:
            at_once(saving_table(choices.metricsTable, Path(folder) / "metrics.csv"))
            with (Path(folder) / "metrics.csv").open(newline="", encoding="utf-8") as stream:
                lines = list(csv.reader(stream))
        self._case.assertEqual(len(lines), TIME_POINTS + 1)
        self._case.assertEqual(len(lines[0]), 2 + len(SHOWN) * len(rows))
        if slicer.app.layoutManager() is not None:
            self._views_show_them()

    def _views_show_them(self) -> None:
        if not self._session.comparison.is_open:
            self._ui.showButton.click()
        self._process_events()
        expected = {
            View.LOW: self._choices.dynamicSeries,
            View.RESULT: self._choices.result,
            View.TRUTH: self._choices.groundTruth,
            View.SSIM: self._choices.ssimMaps,
            View.DIFFERENCE: self._choices.differenceMaps,
        }
        for view, sequence in expected.items():
            shown = composite_node(slicer.mrmlScene, view).GetBackgroundVolumeID()
            self._case.assertEqual(shown, proxy_of(sequence).GetID(), view)
        before = self._session.comparison.slider.number
        self._session.comparison.slider.step(1)
        self._case.assertEqual(self._ui.timePointSlider.value, before + 1)
        self._ui.closeButton.click()
        self._case.assertFalse(self._session.comparison.is_open)

    def save_and_load(self) -> None:
        """Everything comes back with the scene."""
        model = hash_of_model(self._choices.tunedModel)
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "saved.mrb")
            self._case.assertTrue(slicer.util.saveScene(file))
            slicer.mrmlScene.Clear()
            self._process_events()
            slicer.util.loadScene(file)
            self._widget.enter()
            self._process_events()
        choices = self._choices
        self._case.assertEqual(choices.priorVolume.GetName(), "planning")
        self._case.assertEqual(choices.result.GetNumberOfDataNodes(), TIME_POINTS)
        self._case.assertEqual(hash_of_model(choices.tunedModel), model)
        self._case.assertIs(choices.tunedOn, choices.priorVolume)
        self._case.assertEqual(choices.metricsTable.GetNumberOfRows(), TIME_POINTS)
        self._case.assertIs(choices.budget, TrainingBudget.QUICK)
        self._case.assertEqual(choices.kspaceWindow, "hamming")
        self._case.assertEqual(self._ui.kspaceWindowComboBox.currentText, "hamming")
        self._case.assertTrue(self._ui.superResolveButton.enabled)

    def close_scene_while_fine_tuning(self) -> None:
        """Nothing of the job is left, and the panel can be used again."""
        self._choose_inputs()
        self._choices.device = "cpu"
        self._click(self._ui.fineTuneButton)
        self._wait(lambda: bool(self._session.presenter.content.log))
        self._case.assertIs(self._state, State.FINE_TUNING)
        self._case.assertFalse(self._ui.superResolveButton.enabled)
        slicer.mrmlScene.Clear()
        self._wait(lambda: self._state is State.NO_INPUT)
        self._case.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTextNode"), 0)
        self._widget.enter()
        self._case.assertTrue(self._ui.sampleDataButton.enabled)

    def _choose_inputs(self) -> None:
        self._ui.priorSelector.setCurrentNode(self._prior)
        self._ui.seriesSelector.setCurrentNode(self._series)
        self._process_events()
        self._case.assertIs(self._choices.priorVolume, self._prior)
        self._case.assertIs(self._choices.dynamicSeries, self._series)

    def _click(self, button: Any) -> None:
        self._process_events()
        self._case.assertTrue(button.enabled, button.toolTip)
        button.click()

    def _run(self, button: Any) -> None:
        """Click, and wait until what was started, and what that starts, has come to its end."""
        self._click(button)
        self._wait(lambda: self._state not in RUNNING and not self._session.waiting)
        view = self._session.presenter.content
        done = (State.DONE, State.READY)  # the latter where what was made was chosen as an input
        self._case.assertIn(view.state, done, f"{view.status} {view.last_lines}")

    def _wait_for_sizes(self) -> None:
        """Wait until the views of a new layout have kept their size for a second."""
        before: list[tuple[int, ...]] | None = None
        since = time.monotonic()

        def settled() -> bool:
            nonlocal before, since
            nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
            now = [tuple(node.GetDimensions()) for node in nodes]
            if now != before:
                before, since = now, time.monotonic()
            return time.monotonic() - since > 1

        self._wait(settled)
