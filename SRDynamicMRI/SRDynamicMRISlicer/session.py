"""The module at work: panel, choices, jobs and scene bound together, from the panel's setup to its end."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

import SRDynamicMRILib
from SRDynamicMRILib.acquisition.recognise import DeclaredAcquisition
from SRDynamicMRILib.errors import InputError

from .comparison.layouts import View
from .debounced import Debounced
from .jobs.dependencies import are_installed, ensure, read_requirements
from .jobs.job import Job, Kind
from .jobs.spare_worker import SpareWorker
from .jobs.worker import Interpreter, Worker
from .panel.comparison_panel import ComparisonPanel
from .panel.exports import ask_where, exporting_picture, exporting_report, exporting_table
from .panel.panel import Panel
from .presenter.acquisition_choices import AcquisitionChoices
from .presenter.choices import Choices
from .presenter.chosen_images import ChosenImages
from .presenter.chosen_job import Files
from .presenter.panel_choices import TimePoints
from .presenter.presenter import Presenter
from .presenter.states import State
from .qt.device_list import DeviceList
from .qt.installer import SlicerInstaller
from .qt.node_watch import NodeWatch
from .qt.process import QtProcess
from .qt.settings import QtSettings
from .qt.shortcuts import NEXT, PREVIOUS, SWAP, Shortcuts
from .qt.slots import guarded, plain, sentence_of, tell
from .qt.timer import QtTimer
from .scene.browsers import browser_of, proxy_of
from .scene.checks import check_images, examine_voxels, simulated_facts
from .scene.chosen_result import with_result
from .scene.job_files import JobFiles
from .scene.job_scene import JobScene, is_compared
from .scene.missing_time_points import MissingTimePoints
from .scene.model_nodes import ATTRIBUTE, model_file
from .scene.parameters import Parameters, acquisition_of, by_name
from .scene.sample_data import sample_folder, samples_made
from .scene.series_import import chosen_sequence, load_sequence
from .scene.volumes import geometry_of
from .step_queue import StepQueue, Stepwise
from .translation import _

_LIBRARY = Path(SRDynamicMRILib.__file__).resolve().parent.parent


class ModuleSession(VTKObservationMixin):
    """All that happens between the panel and the scene.

    Parameters
    ----------
    ui
        The widgets by name.
    scene
        The scene.
    requirements
        File that names the packages which the worker needs.
    """

    def __init__(self, ui: Any, scene: slicer.vtkMRMLScene, requirements: Path) -> None:
        super().__init__()
        self._ui, self._scene, self._requirements = ui, scene, requirements
        self._parameters: Any = None
        self._gui_tag: int | None = None  # None while the choices are left alone
        self._images = ChosenImages()
        self._opens = self._looks = self._images_gone = False
        self._orphans: set[str] = set()
        self._timer = QtTimer(self._report)
        self._follow = guarded(self._on_parameters, self._report)
        self._folder = Path(tempfile.mkdtemp(prefix="SRDynamicMRI-", dir=slicer.app.temporaryPath))
        self._queue = StepQueue(self._timer)
        self._queue.failed.connect(self._on_failed)
        self._reading = StepQueue(self._timer)
        self._reading.failed.connect(self._report)
        self._exporting = StepQueue(self._timer)
        self._exporting.failed.connect(tell)
        self.jobs = JobScene(scene, JobFiles(self._folder), self.samples, self._queue, self._ask)
        self.jobs.added.connect(guarded(self._on_added, self._report))
        self.jobs.made.connect(guarded(self._on_made, self._report))
        self._interpreter = Interpreter(_python(), _LIBRARY)
        self._spare_worker = SpareWorker(lambda: Worker(QtProcess(), self._timer, self._interpreter))
        self._entered = False
        self.presenter = Presenter(
            self._new_worker, self._ensure, self._prepare, self._timer, time.monotonic, QtSettings()
        )
        self._panel = Panel(ui)
        self.presenter.changed.connect(self._panel.show)
        self.presenter.logged.connect(ui.logTextEdit.appendPlainText)
        self.presenter.frame_ready.connect(self.jobs.add_frame)
        self.presenter.finished.connect(self._on_finished)
        self._missing = MissingTimePoints(scene)
        self.comparison = ComparisonPanel(ui, scene)
        self.comparison.slider.moved.connect(guarded(lambda number: self._on_choices(), self._report))
        self._watch = NodeWatch(self._timer, self._read_inputs)
        self._acquisition = AcquisitionChoices()
        self._redeclared = Debounced(self._timer, self._look_anew)
        self._devices = DeviceList(ui.deviceComboBox)
        self._devices.chosen.connect(self._on_device)
        self._shortcuts = Shortcuts(
            {
                PREVIOUS: plain(lambda: self.comparison.slider.step(-1)),
                NEXT: plain(lambda: self.comparison.slider.step(1)),
                SWAP: plain(self.comparison.swap),
            }
        )
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self._on_node_going)
        ui.tunedModelSelector.addAttribute("vtkMRMLTextNode", ATTRIBUTE)
        for line in slicer.util.findChildren(ui.baseModelPathLineEdit, className="QLineEdit"):
            line.placeholderText = _("Pretrained model")
        ui.kspaceWindowComboBox.lineEdit().placeholderText = ui.kspaceWindowComboBox.itemText(0)
        self._connect()
        self._panel.show(self.presenter.content)

    @property
    def samples(self) -> Path:
        """Folder of the sample data."""
        return sample_folder(slicer.app.cachePath)

    @property
    def parameters(self) -> Any:
        """The parameter node that is worked with; None while the scene is closed."""
        return self._parameters

    @property
    def waiting(self) -> bool:
        """Whether something is still being brought into the scene."""
        return self._queue.waiting > 0

    # The module's life

    def enter(self) -> None:
        """The module is shown."""
        self._entered = True
        self._shortcuts.install()
        self._devices.ask()
        self._start_spare_worker()
        self._panel.show(self.presenter.content)  # texts have a width now

    def exit(self) -> None:
        """Another module is shown; jobs go on."""
        self._entered = False
        self._shortcuts.remove()
        self._spare_worker.end()

    def set_parameters(self, parameters: Any) -> None:
        """Work with the choices of a parameter node; with None, of a scene that is being closed, nothing goes on."""
        self.hold()
        self._parameters = parameters
        self.jobs.set_parameters(parameters)
        self._images = ChosenImages()
        self._watch.stop()
        self._redeclared.stop()
        self._reading.clear()
        self._orphans.clear()
        if parameters is None:
            self.presenter.close_scene()
            self.comparison.close()
            self.comparison.set_parameters(None)
            self._ui.summaryTableView.setMRMLTableNode(None)
            return
        self.comparison.set_parameters(parameters)
        self.go_on()

    def hold(self) -> None:
        """Leave the choices alone: a scene is being loaded, and selectors would drop nodes that are yet to come."""
        if self._parameters is not None and self._gui_tag is not None:
            self._parameters.disconnectGui(self._gui_tag)
            self._gui_tag = None
            self.removeObserver(self._parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._follow)

    def go_on(self) -> None:
        """Show the choices that have been loaded, and follow them again."""
        if self._parameters is not None and self._gui_tag is None:
            self._parameters.parameterNode.Modified()  # values are cached: None for nodes that came after the choices
            self._gui_tag = self._parameters.connectGui(self._ui)
            self.addObserver(self._parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._follow)
            self._follow()
            self._panel.show(self.presenter.content)  # the lists were filled anew
            self._timer.call_later(0, self.comparison.resume)  # layouts change when loading has ended

    def end(self) -> None:
        """Stop everything, for good, and leave nothing behind."""
        self._entered = False
        self._shortcuts.remove()
        self._devices.end()
        self._spare_worker.end()
        self.presenter.shut_down()
        self._queue.clear()
        self._reading.clear()
        self._exporting.clear()
        self._watch.stop()
        self._redeclared.stop()
        self.comparison.close()
        self._missing.release()
        self.hold()
        self._parameters = None
        self.removeObservers()
        shutil.rmtree(self._folder, ignore_errors=True)

    # What the user does

    def _connect(self) -> None:
        ui = self._ui
        clicks = (
            (ui.cancelButton, self.presenter.cancel),
            (ui.sampleDataButton, self.load_sample_data),
            (ui.loadFileButton, self._choose_file),
            (ui.loadFolderButton, self._choose_folder),
            (ui.keep25Button, lambda: self._keep(25)),
            (ui.keep10Button, lambda: self._keep(10)),
            (ui.keep6Button, lambda: self._keep(6.25)),
            (ui.simulateButton, self.simulate),
            (ui.importModelButton, self._choose_checkpoint),
            (ui.fineTuneButton, self.presenter.fine_tune),
            (ui.fineTuneCancelButton, self.presenter.cancel),
            (ui.superResolveButton, self.super_resolve),
            (ui.superResolveCancelButton, self.presenter.cancel),
            (ui.showButton, self.comparison.open),
            (ui.closeButton, self._close_comparison),
            (ui.swapButton, self.comparison.swap),
            (ui.interpolateButton, self.interpolate),
            (ui.evaluateButton, self.evaluate),
            (ui.exportTableButton, self._save_table),
            (ui.exportPictureButton, self._save_picture),
            (ui.exportReportButton, self._save_report),
            (ui.copyLogButton, self._copy_log),
            (ui.openFolderButton, self._open_folder),
        )
        for button, action in clicks:
            button.connect("clicked(bool)", plain(action))
        ui.baseModelPathLineEdit.connect("currentPathChanged(QString)", self._on_base_model)
        ui.kspaceWindowComboBox.connect("editTextChanged(QString)", self._on_window)

    def load_sample_data(self) -> None:
        """Load the phantom; if it was not made before, the worker makes it."""
        if samples_made(self.samples):
            self._queue.add([self.jobs.load_samples, lambda: self._on_made(Kind.PHANTOM)])
        else:
            self.presenter.make_sample_data()

    def load_series(self, path: Path) -> None:
        """Load a file or folder as the dynamic series.

        Raises
        ------
        InputError
            If it holds none.
        """
        self._parameters.dynamicSeries = load_sequence(self._scene, path)
        self._show_in_slices(proxy_of(self._parameters.dynamicSeries))

    def simulate(self) -> None:
        """Make a low-resolution series of the chosen one."""
        self.jobs.take_series()
        self.presenter.simulate()

    def super_resolve(self) -> None:
        """Super-resolve the chosen time points."""
        self._opens = True
        self.jobs.take_series()
        self.presenter.super_resolve()

    def interpolate(self) -> None:
        """Interpolate the series, to compare the result with."""
        self.jobs.take_series()
        self.presenter.interpolate()

    def evaluate(self) -> None:
        """Compare the result with the ground truth."""
        self.jobs.take_series()
        self.presenter.evaluate()

    def import_model(self, checkpoint: Path, model: Path) -> None:
        """Turn a published checkpoint into a model."""
        self.jobs.checkpoint, self.jobs.imported = checkpoint, model
        self.presenter.import_model()

    def _choose_file(self) -> None:
        kinds = _("Series (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd);;All files (*)")
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Load a dynamic series"), "", kinds)
        if path:
            self.load_series(Path(path))

    def _choose_folder(self) -> None:
        path = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Load a folder of a dynamic series"))
        if path:
            self.load_series(Path(path))

    def _choose_checkpoint(self) -> None:
        kinds = _("Checkpoints of PyTorch (*.pth *.pt *.tar);;All files (*)")
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Import a checkpoint"), "", kinds)
        if not path:
            return
        name = str(Path(path).with_suffix(".safetensors"))
        model = ask_where(_("Save the model as"), name, _("Models (*.safetensors)"))
        if model is not None:
            self.import_model(Path(path), model)

    def _keep(self, percent: float) -> None:
        self._parameters.simulatedPercent = percent

    def _close_comparison(self) -> None:
        self._parameters.comparing = False
        self.comparison.close()
        self.comparison.update()

    def _save_table(self) -> None:
        path = ask_where(_("Save the metrics"), "metrics.csv", _("Tables (*.csv)"))
        if path is not None:
            table = self._parameters.metricsTable
            self._exporting.add([lambda: exporting_table(table, path)])

    def _save_picture(self) -> None:
        path = ask_where(_("Save a picture of the views"), self.comparison.picture_name, _("Pictures (*.png)"))
        if path is not None:
            self._exporting.add([lambda: exporting_picture(path)])

    def _save_report(self) -> None:
        path = ask_where(_("Save the report"), "report.html", _("Reports (*.html)"))
        if path is not None:
            report = self.jobs.report
            self._exporting.add([lambda: exporting_report(report, path)])

    def _copy_log(self) -> None:
        qt.QApplication.clipboard().setText(self._ui.logTextEdit.toPlainText())

    def _open_folder(self) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._folder)))

    def _show_in_slices(self, volume: slicer.vtkMRMLVolumeNode | None) -> None:
        """Show what was loaded or made, as Slicer does; the views of the comparison show what was chosen for them."""
        if volume is not None and slicer.app.layoutManager() is not None and not self.comparison.is_open:
            self._queue.add([lambda: _showing_in_slices(volume)])

    # Choices

    def _on_base_model(self, path: str) -> None:
        if self._parameters is not None and self._parameters.baseModel != path:
            self._parameters.baseModel = path

    def _on_window(self, _text: str) -> None:
        window = self._shown_window()
        if self._parameters is not None and self._parameters.kspaceWindow != window:
            self._parameters.kspaceWindow = window

    def _shown_window(self) -> str:
        """What the list of windows shows; empty for its first entry, which says that nothing is declared."""
        box = self._ui.kspaceWindowComboBox
        return "" if box.currentText == box.itemText(0) else str(box.currentText)

    def _on_device(self, key: str) -> None:
        if self._parameters is not None:
            self._parameters.device = key

    def _on_parameters(self, _caller: object = None, _event: object = None) -> None:
        p = self._parameters
        if p is None or self._gui_tag is None:
            return
        if self._ui.baseModelPathLineEdit.currentPath != p.baseModel:
            self._ui.baseModelPathLineEdit.currentPath = p.baseModel
        if self._shown_window() != p.kspaceWindow:
            self._ui.kspaceWindowComboBox.setEditText(p.kspaceWindow or self._ui.kspaceWindowComboBox.itemText(0))
        self._devices.choose(p.device)
        acquisition, before = acquisition_of(p), self._acquisition
        self._acquisition = acquisition
        if self._watch.follow(p.priorVolume, p.dynamicSeries, p.groundTruth):
            self._read_inputs()
        elif acquisition != before:
            self._redeclared.changed()
        self._on_result()
        self._on_choices()
        self.comparison.update()
        self.jobs.choose_figures()
        self._ui.summaryTableView.setMRMLTableNode(p.summaryTable)
        ranged = p.timePointSelection is TimePoints.RANGE
        for widget in (self._ui.rangeLabel, self._ui.firstTimePointSpinBox, self._ui.lastTimePointSpinBox):
            widget.visible = ranged
        self._show_simulated()
        self.comparison.update()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_going(self, _caller: object, _event: object, node: slicer.vtkMRMLNode) -> None:
        """Look at the choices a moment later, once for all nodes that are removed together.

        Selectors choose another node at once, such as the volume that showed a sequence; nobody has asked for that.
        """
        p = self._parameters
        if p is None or self._gui_tag is None:
            return
        self._orphans |= {name for name in p.allParameters if getattr(p, name) is node}
        self._images_gone |= node.IsA("vtkMRMLVolumeNode") or node.IsA("vtkMRMLSequenceNode")
        if not self._looks:
            self._looks = True
            self._timer.call_later(0, self._after_removal)

    def _after_removal(self) -> None:
        """Nothing is chosen where a node has gone: MRML drops its references to it without telling."""
        self._looks = False
        p = self._parameters
        if p is None or self._gui_tag is None:
            return
        for name in p.allParameters:
            node = getattr(p, name)
            if name in self._orphans or (isinstance(node, slicer.vtkMRMLNode) and node.GetScene() is None):
                setattr(p, name, None)
        self._orphans.clear()
        if self._images_gone:
            self._images_gone = False
            self._watch.stop()  # the volume that is chosen may have shown a sequence that has gone
        if self.jobs.lost_result and self.presenter.state is State.SUPER_RESOLVING:
            self.presenter.give_up(_("The result was deleted, so the computation was stopped."))
        self._on_parameters()

    def _read_inputs(self) -> None:
        p = self._parameters
        if p is not None:
            self._take_images(check_images(p.priorVolume, p.dynamicSeries, p.groundTruth))
            self._look_anew()

    def _look_anew(self) -> None:
        """Look at voxels and acquisition in steps; until that is done, the panel says what was found before."""
        p = self._parameters
        if p is not None:
            inputs = p.priorVolume, p.dynamicSeries, p.groundTruth
            self._reading.clear()
            self._reading.add([lambda: self._look_at_voxels(*inputs)])

    def _look_at_voxels(self, *inputs: slicer.vtkMRMLNode | None) -> Stepwise[None]:
        voxels = yield from examine_voxels(*inputs, self._declared())
        self._take_images(check_images(*inputs, voxels=voxels))

    def _declared(self) -> DeclaredAcquisition | None:
        """What is declared of the acquisition; None where that cannot be, which the panel says."""
        impossible = self._acquisition.fault(self._images.series)
        return None if impossible else self._acquisition.declared()

    def _take_images(self, images: ChosenImages) -> None:
        self._images = images
        self._on_result()
        self._on_choices()

    def _on_result(self) -> None:
        p = self._parameters
        self.presenter.set_images(with_result(self._images, p.result, is_compared(p)))

    def _on_choices(self) -> None:
        if self._parameters is not None:
            try:
                self.presenter.set_choices(self._choices(self._parameters))
            except (InputError, OSError) as error:
                self._parameters.useTuned = False
                self._report(error)

    def _choices(self, p: Parameters) -> Choices:
        tuned = model_file(p.tunedModel, self._folder) if p.tunedModel is not None and p.useTuned else None
        return Choices(
            base_model=Path(p.baseModel) if p.baseModel.strip() else None,
            tuned_model=tuned,
            tuned_on="" if tuned is None else (p.tunedOn.GetID() if p.tunedOn is not None else "deleted"),
            shown=self._time_point(p),
            fraction=p.acquiredPercent / 100 if p.acquiredPercent > 0 else None,
            simulated_fraction=p.simulatedPercent / 100,
            acquisition=acquisition_of(p),
            **by_name(p),
        )

    @staticmethod
    def _time_point(p: Parameters) -> int:
        """The time point of the series that the views show."""
        sequence = None if p.dynamicSeries is None else chosen_sequence(p.dynamicSeries)
        browser = None if sequence is None else browser_of(sequence)
        return 0 if browser is None else max(browser.GetSelectedItemNumber(), 0)

    def _show_simulated(self) -> None:
        """Say what the simulated series will be."""
        p, label = self._parameters, self._ui.simulatedLabel
        label.text = ""
        try:
            first = _first_volume(p.dynamicSeries)
            if first is not None and p.simulatedPercent < 100:
                fraction, interval = p.simulatedPercent / 100, self._images.interval
                (x, y, z), (vx, vy, vz), seconds = simulated_facts(geometry_of(first), fraction, interval)
                text = _("{x} x {y} x {z} voxels of {vx:.2f} x {vy:.2f} x {vz:.2f} mm.")
                words = text.format(x=x, y=y, z=z, vx=vx, vy=vy, vz=vz)
                if seconds is not None:
                    estimate = _("Estimated acquisition time per time point: {seconds:.2f} s.")
                    words += " " + estimate.format(seconds=seconds)
                label.text = words
        except InputError:
            return  # the inputs' own section says what is wrong

    # Jobs

    def _new_worker(self) -> Worker:
        worker = self._spare_worker.take()
        worker.finished.connect(lambda outcome: self._timer.call_later(0, self._start_spare_worker))
        return worker

    def _start_spare_worker(self) -> None:
        """Have a process ready for the next job while the module is shown."""
        if self._entered and are_installed(read_requirements(self._requirements)):
            self._spare_worker.prepare()

    def _ensure(self) -> str:
        return ensure(read_requirements(self._requirements), SlicerInstaller())

    def _prepare(self, kind: Kind) -> Stepwise[Files]:
        return self.jobs.prepare(kind, self.presenter.choices)

    @staticmethod
    def _ask(question: str) -> bool:
        return bool(slicer.util.confirmYesNoDisplay(question))

    def _on_added(self) -> None:
        self._on_result()
        if self._opens and slicer.app.layoutManager() is not None:
            self._opens = False  # once a job: who goes back to other views has a reason
            self.comparison.open()

    def _on_finished(self, job: Job, outputs: dict[str, Path]) -> None:
        self.presenter.bring_in(True)
        self.jobs.finish(job, outputs)

    def _on_failed(self, error: Exception) -> None:
        """What jobs have made cannot be brought in."""
        self._report(error)
        self.presenter.bring_in(False)

    def _report(self, error: Exception) -> None:
        """Say in the panel what went wrong where the user did not wait for it."""
        self.presenter.complain(sentence_of(error))

    def _on_made(self, kind: Kind) -> None:
        self.presenter.bring_in(False)
        if self._parameters is not None:
            self._on_parameters()
            if kind is Kind.PHANTOM:
                self._show_in_slices(self._parameters.priorVolume)
            if kind is Kind.DOWNSAMPLE:
                self._show_in_slices(proxy_of(self._parameters.dynamicSeries))
            if kind is Kind.SUPER_RESOLVE and self.presenter.content.evaluate.enabled:
                self.evaluate()  # where there is a ground truth, figures and maps are what comes next


def _showing_in_slices(volume: slicer.vtkMRMLVolumeNode) -> Stepwise[None]:
    """Show a volume in all of Slicer's slice views, one at every step: drawing takes some time in each."""
    manager = slicer.app.layoutManager()
    for name in set(manager.sliceViewNames()) - {view.value for view in View}:
        logic = manager.sliceWidget(name).sliceLogic()
        logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        yield
        logic.FitSliceToBackground()
        yield


def _first_volume(node: slicer.vtkMRMLNode | None) -> slicer.vtkMRMLScalarVolumeNode | None:
    """A time point of a chosen series, or the chosen volume."""
    sequence = None if node is None else chosen_sequence(node)
    first = node if sequence is None else sequence.GetNthDataNode(0)
    return first if first is not None and first.IsA("vtkMRMLScalarVolumeNode") else None


def _python() -> str:
    """Slicer's Python interpreter for programs beside it."""
    name = "PythonSlicer.exe" if sys.platform == "win32" else "PythonSlicer"
    return shutil.which("PythonSlicer") or os.fspath(Path(slicer.app.slicerHome) / "bin" / name)
