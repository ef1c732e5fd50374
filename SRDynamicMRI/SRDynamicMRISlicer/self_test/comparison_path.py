"""The views' part of the module's self-test: planes, sizes, captions and scenes in a real Slicer, without computing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import interpolate
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Volume

from ..comparison.captions import notice_text
from ..comparison.layouts import View, shows_comparison
from ..comparison.views import slice_node
from ..presenter.panel_choices import Arrangement, CompareMode, CompareWith
from ..scene.browsers import add_browser, browser_of
from ..scene.metrics_nodes import MapSequences
from ..scene.outputs import difference_map
from ..scene.provenance import facts_of_result
from ..scene.results import ResultSequence
from ..scene.sequences import add_sequence
from ..scene.volumes import FLIP
from .click_path import PanelUser

SHAPE = (8, 48, 64)
SPACING = (5.0, 5.2, 9.0)
TIME_POINTS = 3

PATIENCE = 20.0
"""Seconds until views have their size, in software OpenGL."""

PLANES = {
    "axial": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "sagittal": (0, 0, -1, 1, 0, 0, 0, -1, 0),
    "short axis": (0.6, 0.64, 0.48, 0.0, 0.6, -0.8, -0.8, 0.48, 0.36),
}
"""Directions of a series' index axes in LPS, as `Geometry` has them."""


class ComparisonPath(PanelUser):
    """A user who looks at a comparison of which one of three time points was computed.

    Parameters
    ----------
    case
        Whose assertions to use.
    widget
        The module's widget.
    """

    patience = PATIENCE

    @property
    def _layout(self) -> Any:
        return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")

    def every_plane_is_shown_as_it_was_acquired(self) -> None:
        """Each view shows the middle slice of the series, whole, whatever its plane."""
        for plane in PLANES:
            slicer.mrmlScene.Clear()
            self._widget.enter()
            self.open(plane)
            self._wait(lambda: all(self._is_whole(view) for view in self._session.comparison.captions))
            geometry = _geometry(plane)
            normal = geometry.axes[:, 2] / geometry.spacing[2] * FLIP
            depth, height, width = SHAPE
            middle = FLIP * geometry.position(((width - 1) / 2, (height - 1) / 2, depth // 2))
            for view in self._session.comparison.captions:
                node = slice_node(slicer.mrmlScene, view)
                along = [node.GetSliceToRAS().GetElement(row, 2) for row in range(3)]
                self._case.assertAlmostEqual(abs(float(np.dot(along, normal))), 1.0, places=5, msg=f"{plane} {view}")
                offset = float(np.dot(along, middle))
                self._case.assertAlmostEqual(node.GetSliceOffset(), offset, places=3, msg=f"{plane} {view}")

    def captions_follow_what_is_seen(self) -> None:
        """A time point that was not computed is empty and says so; a swapped image stands under its own name."""
        comparison = self._session.comparison
        self._case.assertEqual(self._label(View.RESULT), "SR")
        self._case.assertEqual(comparison.captions[View.RESULT].notice, notice_text())
        self._case.assertGreater(self._grey(View.RESULT), 0)
        comparison.slider.step(1)
        self._process_events()
        for view in (View.RESULT, View.SSIM, View.DIFFERENCE):
            self._case.assertTrue(comparison.captions[view].missing, view)
        self._case.assertEqual(self._grey(View.RESULT), 0, "the picture of another time point")
        self._case.assertGreater(self._grey(View.LOW), 0)
        comparison.slider.step(-1)
        self._process_events()
        self._case.assertGreater(self._grey(View.RESULT), 0)
        self._choices.compareMode, self._choices.compareWith = CompareMode.ALTERNATE, CompareWith.TRUTH
        self._process_events()
        self._widget.ui.swapButton.click()
        self._case.assertEqual(self._label(View.RESULT), "GT")
        self._case.assertEqual(comparison.captions[View.RESULT].notice, "")
        self._case.assertIn("LR GT GT", comparison.picture_name)
        self._widget.ui.swapButton.click()
        self._case.assertEqual(self._label(View.RESULT), "SR")
        self._choices.compareMode = CompareMode.NONE

    def the_scene_opens_anywhere(self) -> None:
        """It holds no layout of the module, and here the comparison comes back as it was saved."""
        with tempfile.TemporaryDirectory() as folder:
            bundle, plain = Path(folder) / "saved.mrb", Path(folder) / "saved.mrml"
            self._case.assertTrue(slicer.util.saveScene(str(bundle)))
            self._case.assertTrue(slicer.util.saveScene(str(plain)))
            self._case.assertNotIn("<Layout", plain.read_text(encoding="utf-8"))
            self._case.assertTrue(shows_comparison(self._layout), "saving changes nothing that is seen")
            slicer.mrmlScene.Clear()
            self._process_events()
            self._case.assertFalse(shows_comparison(self._layout))
            slicer.util.loadScene(str(bundle))
        self._wait(lambda: self._session.comparison.is_open)
        self._process_events()
        self._case.assertTrue(shows_comparison(self._layout))
        captions = self._session.comparison.captions
        self._case.assertEqual(captions[View.RESULT].notice, notice_text())
        legends = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
        self._case.assertEqual([legend.GetVisibility() for legend in legends], [1, 1])
        self._wait(lambda: all(self._is_whole(view) for view in captions))
        self._case.assertTrue(self._widget.ui.closeButton.enabled)
        self._widget.ui.closeButton.click()
        self._case.assertFalse(shows_comparison(self._layout))

    def open(self, plane: str) -> None:
        """Show a comparison whose series lies in this plane; its first time point was computed."""
        phantom = abdomen(1, SHAPE, SPACING, TIME_POINTS)
        geometry = _geometry(plane)
        true = Series.of([Volume(volume.data, geometry) for volume in phantom.dynamic], phantom.dynamic.times)
        low = Series.of([downsample(volume, 0.25) for volume in true], true.times)
        series, truth = (add_sequence(slicer.mrmlScene, one, name) for one, name in ((low, "low"), (true, "cine")))
        add_browser(series)
        result = ResultSequence(series, "low super-resolved", facts_of_result("none"))
        maps = MapSequences(series, "low super-resolved")
        made = interpolate(low[0], geometry, "zero_filled")
        result.add(0, made)
        maps.add(0, true[0].with_data(np.full(SHAPE, 0.9, np.float32)), difference_map(made, true[0]))
        browser_of(series).SetSelectedItemNumber(0)
        p = self._choices
        p.layout = Arrangement.MAPS
        p.dynamicSeries, p.groundTruth, p.result = series, truth, result.node
        p.ssimMaps, p.differenceMaps = maps.ssim.node, maps.difference.node
        self._process_events()
        self._widget.ui.showButton.click()
        self._case.assertTrue(self._session.comparison.is_open)

    def _is_whole(self, view: View) -> bool:
        """Whether a view has the size of its window, and shows and draws all of the truth."""
        node = slice_node(slicer.mrmlScene, view)
        window = slicer.app.layoutManager().sliceWidget(view.value).sliceView().renderWindow()
        width, height = node.GetFieldOfView()[:2]
        sides = sorted((SHAPE[2] * SPACING[0], SHAPE[1] * SPACING[1]))
        fits = min(width, height) >= sides[0] * 0.999 and max(width, height) >= sides[1] * 0.999
        drawn = np.linalg.norm([node.GetXYToRAS().GetElement(row, 0) for row in range(3)]) * node.GetDimensions()[0]
        is_drawn = abs(drawn - width) < 1e-6 * width
        return bool(fits and is_drawn and tuple(node.GetDimensions()[:2]) == tuple(window.GetSize()))

    def _grey(self, view: View) -> int:
        """Number of grey pixels in the middle of a view: words are amber, annotations at the edge."""
        self._process_events()
        slice_view = slicer.app.layoutManager().sliceWidget(view.value).sliceView()
        slice_view.forceRender()
        grab = vtkWindowToImageFilter()
        grab.SetInput(slice_view.renderWindow())
        grab.ReadFrontBufferOff()
        grab.Update()
        width, height, _depth = grab.GetOutput().GetDimensions()
        pixels: NDArray[np.int64] = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).astype(int)
        middle = pixels.reshape(height, width, -1)[height // 3 : -height // 3, width // 4 : -width // 4]
        return int(((np.ptp(middle, axis=2) < 10) & (middle.max(axis=2) > 40)).sum())

    @staticmethod
    def _label(view: View) -> str:
        return str(slice_node(slicer.mrmlScene, view).GetLayoutLabel())


def _geometry(plane: str) -> Geometry:
    return Geometry(SHAPE, SPACING, (3.0, -4.0, 5.0), PLANES[plane])
