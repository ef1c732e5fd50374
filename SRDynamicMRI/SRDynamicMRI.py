"""Super-resolution of dynamic MRI with the planning scan as prior knowledge: the module as Slicer loads it."""

import logging
import os
import sys
import time
import unittest
from pathlib import Path
from typing import Any, Optional

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# Reloading the module means reloading its parts: forget those, and nobody else's.
for _name in [name for name in sys.modules if name.partition(".")[0] in ("SRDynamicMRISlicer", "SRDynamicMRILib")]:
    del sys.modules[_name]

# In a source tree the library lies beside this module's folder; installed, both lie in one, which Slicer knows.
_FOLDER = Path(__file__).resolve().parent
for _place in (_FOLDER, _FOLDER.parent):
    if (_place / "SRDynamicMRILib" / "__init__.py").is_file() and os.fspath(_place) not in sys.path:
        sys.path.append(os.fspath(_place))

from SRDynamicMRISlicer import translation  # noqa: E402
from SRDynamicMRISlicer.comparison.layouts import register_layouts, shows_comparison  # noqa: E402
from SRDynamicMRISlicer.jobs.dependencies import Condition, read_requirements  # noqa: E402
from SRDynamicMRISlicer.panel.help_text import acknowledgement, help_text  # noqa: E402
from SRDynamicMRISlicer.qt.translation_context import translated  # noqa: E402
from SRDynamicMRISlicer.scene import sample_data  # noqa: E402
from SRDynamicMRISlicer.scene.parameters import Parameters, rename_parameters  # noqa: E402
from SRDynamicMRISlicer.self_test.click_path import ClickPath  # noqa: E402
from SRDynamicMRISlicer.self_test.comparison_path import ComparisonPath  # noqa: E402, F401 - see test_views
from SRDynamicMRISlicer.session import ModuleSession  # noqa: E402

translation.translate_with(translated)


class SRDynamicMRI(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Dynamic MRI super-resolution")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        parent.dependencies = ["Sequences"]
        parent.contributors = [_("The SRDynamicMRI developers")]
        parent.helpText = help_text()
        parent.acknowledgementText = acknowledgement()
        slicer.app.connect("startupCompleted()", register_sample_data)
        slicer.app.connect("startupCompleted()", be_ready_for_scenes)


def be_ready_for_scenes() -> None:
    """Open scenes as they were saved, also before the module has been shown for the first time."""
    scene = slicer.mrmlScene
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layout is not None:
        register_layouts(layout)
    scene.AddObserver(scene.EndImportEvent, show_saved_comparison)


def show_saved_comparison(scene: slicer.vtkMRMLScene, event: Any) -> None:
    """Make the panel where a scene was loaded that shows the comparison: notices and legends are the panel's work."""
    choices = scene.GetSingletonNode("SRDynamicMRI", "vtkMRMLScriptedModuleNode")
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    saved = choices is not None and choices.GetParameter("comparing") == "True"
    if slicer.app.layoutManager() is not None and layout is not None and (saved or shows_comparison(layout)):
        slicer.util.getModuleWidget("SRDynamicMRI").onSceneEndImport(scene, event)


def register_sample_data() -> None:
    """Offer the phantom in the module Sample Data."""
    try:
        from SampleData import SampleDataLogic
    except ImportError:  # the module is switched off
        return
    for sample in sample_data.SAMPLES:
        SampleDataLogic.registerCustomSampleDataSource(
            category=sample_data.CATEGORY,
            sampleName=sample.name,
            uris=[],  # nothing is downloaded
            fileNames=[],
            nodeNames=[],
            thumbnailFileName=os.fspath(_FOLDER / "Resources" / "Icons" / "SRDynamicMRI.png"),
            customDownloader=download_sample,
        )


def download_sample(source: Any) -> list[slicer.vtkMRMLNode]:
    """Make and load a sample that was asked for in Sample Data, while the user waits."""
    sample = next(one for one in sample_data.SAMPLES if one.name == source.sampleName)
    folder = sample_data.sample_folder(slicer.app.cachePath)
    made: list[slicer.vtkMRMLNode] = []
    with slicer.util.tryWithErrorDisplay(_("The sample data could not be made."), waitCursor=True):
        sample_data.make_samples(folder)
        made.append(sample_data.load_sample(slicer.mrmlScene, sample, folder))
    return made


@parameterNodeWrapper
class SRDynamicMRIParameterNode(Parameters):
    """All choices of the panel, saved with the scene."""


class SRDynamicMRIWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel; what it does is in `SRDynamicMRISlicer.session`."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.session = None
        self.ui = None

    def setup(self) -> None:
        """Make the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        self._uiWidget = slicer.util.loadUI(self.resourcePath("UI/SRDynamicMRI.ui"))
        self.layout.addWidget(self._uiWidget)
        self.ui = slicer.util.childWidgetVariables(self._uiWidget)
        self._uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SRDynamicMRILogic()
        self.session = ModuleSession(self.ui, slicer.mrmlScene, Path(self.resourcePath("requirements.txt")))
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.StartImportEvent, self.onSceneStartImport)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        slicer.app.connect("aboutToQuit()", self.cleanup)
        self.initializeParameterNode()
        if getattr(self.parent, "isEntered", False):  # the module was reloaded while it is shown
            self.session.enter()

    def cleanup(self) -> None:
        """Stop everything: the application quits, or the module is reloaded. Called again, it does nothing."""
        self.removeObservers()
        if self.session is not None:
            slicer.app.disconnect("aboutToQuit()", self.cleanup)
            self.session.end()
            self.session = None
            self._uiWidget.setMRMLScene(None)

    def enter(self) -> None:
        """The module is shown."""
        self.initializeParameterNode()
        self.session.enter()

    def exit(self) -> None:
        """Another module is shown."""
        if self.session is not None:
            self.session.exit()

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        """The scene is about to be closed, and the parameter node with it."""
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: Any) -> None:
        """The scene is empty now."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneStartImport(self, caller: Any, event: Any) -> None:
        """A scene is about to be loaded, perhaps with choices of this module."""
        if self.session is not None:
            self.session.hold()

    def onSceneEndImport(self, caller: Any, event: Any) -> None:
        """A scene was loaded."""
        if self.session is not None:
            if self.session.parameters is not None:
                self.logic.getParameterNode()  # gives a node that was replaced the choices that it lacks
            self.session.go_on()
        if self.parent.isEntered or slicer.mrmlScene.GetSingletonNode("SRDynamicMRI", "vtkMRMLScriptedModuleNode"):
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Work with the choices of the scene, which are made if it has none."""
        if self.session is not None and self.session.parameters is None:
            self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: Optional[SRDynamicMRIParameterNode]) -> None:
        """Work with these choices; None while the scene is being closed."""
        if self.session is not None:
            self.session.set_parameters(parameterNode)


class SRDynamicMRILogic(ScriptedLoadableModuleLogic):
    """Gives the parameter node. All computation is in SRDynamicMRILib, which scripts use without this module."""

    def getParameterNode(self) -> SRDynamicMRIParameterNode:
        """All choices of the panel in the present scene; those that an earlier version saved are brought up to date."""
        node = super().getParameterNode()
        rename_parameters(node)
        return SRDynamicMRIParameterNode(node)


class SRDynamicMRITest(ScriptedLoadableModuleTest):
    """Clicks through the module on a small phantom; see `SRDynamicMRISlicer.self_test.click_path`."""

    def setUp(self) -> None:
        """Start with an empty scene and a panel that is ready."""
        slicer.mrmlScene.Clear()
        self.path = self._new_path()

    def tearDown(self) -> None:
        """Leave nothing running."""
        self.path.end()

    def runTest(self, **kwargs: Any) -> None:
        """Run all tests, as the button in the module's developer section does."""
        names = (
            "test_panel",
            "test_views",
            "test_scene_closes_while_computing",
            "test_whole_path",
            "test_event_loop",
            "test_reload",
        )
        for name in names:
            self.setUp()
            try:
                getattr(self, name)()
            except unittest.SkipTest as reason:
                logging.warning("%s was skipped: %s", name, reason)
            finally:
                self.tearDown()

    def test_panel(self) -> None:
        """Choices and texts, without computing."""
        self.path.inputs_are_described()
        self.path.choices_are_kept()
        self.path.acquisition_can_be_declared()
        self.path.reasons_are_told()
        self.path.multivolume_is_told()
        self.path.deleted_series_is_not_chosen()

    def test_event_loop(self) -> None:
        """The application answers while it computes, and a deleted result is not called done."""
        self._need_worker()
        self.path.answers_while_it_computes()
        self.path.deleted_result_stops_its_computation()

    def test_views(self) -> None:
        """The comparison's views in all planes, what stands on them, and scenes saved with them; without computing."""
        if slicer.app.layoutManager() is None:
            return  # without a main window there are no views
        path = sys.modules["SRDynamicMRI"].ComparisonPath(self, slicer.util.getModuleWidget("SRDynamicMRI"))
        path.every_plane_is_shown_as_it_was_acquired()
        path.captions_follow_what_is_seen()
        path.the_scene_opens_anywhere()

    def test_whole_path(self) -> None:
        """From a phantom to maps and tables, with the real worker, through the panel's buttons."""
        self._need_worker()
        started = time.monotonic()
        self.path.simulate()
        self.path.fine_tune()
        self.path.super_resolve()
        self.path.compare()
        self.path.save_and_load()
        logging.info("The whole path took %.0f s.", time.monotonic() - started)

    def test_scene_closes_while_computing(self) -> None:
        """A job that runs when the scene is closed is stopped and shows nothing."""
        self._need_worker()
        self.path.close_scene_while_fine_tuning()

    def test_reload(self) -> None:
        """Reloading leaves a panel that works."""
        before = slicer.util.getModuleWidget("SRDynamicMRI").session
        slicer.util.reloadScriptedModule("SRDynamicMRI")
        self.path = self._new_path()
        self.path.inputs_are_described()
        self.assertIsNot(slicer.util.getModuleWidget("SRDynamicMRI").session, before)

    def _new_path(self) -> ClickPath:
        """A user in front of the panel; of the module as it is now, which may have been reloaded."""
        return sys.modules["SRDynamicMRI"].ClickPath(self, slicer.util.getModuleWidget("SRDynamicMRI"))

    def _need_worker(self) -> None:
        """Without PyTorch nothing can be computed: skipped where nobody has promised it."""
        file = _FOLDER / "Resources" / "requirements.txt"
        missing = [r.name for r in read_requirements(file) if r.condition() is not Condition.PRESENT]
        if missing:
            text = f"{', '.join(missing)} not installed; run PythonSlicer -m pip install {' '.join(missing)}"
            if os.environ.get("SRDYNAMICMRI_NEED_TORCH"):
                self.fail(text)
            self.skipTest(text)
