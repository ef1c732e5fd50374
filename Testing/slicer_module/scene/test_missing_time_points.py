"""A time point that was not computed is seen as one: no view keeps the picture of another."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from helpers.scenes import Slicer, SliceView, oblique, random_series, random_volume, rigid
from SRDynamicMRISlicer.comparison.layouts import Layout, LayoutSwitch, View
from SRDynamicMRISlicer.comparison.views import same_field_of_view
from SRDynamicMRISlicer.scene.browsers import browser_of, proxy_of
from SRDynamicMRISlicer.scene.missing_time_points import MissingTimePoints
from SRDynamicMRISlicer.scene.results import ResultSequence
from SRDynamicMRISlicer.scene.volumes import geometry_of, has_voxels

from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.volume import Volume

GRID = Geometry((5, 12, 16), (1.0, 1.0, 3.0))


@pytest.fixture
def app() -> Slicer:
    return Slicer()


def partial_result(app: Slicer, done: int = 0) -> ResultSequence:
    """The result of a range: of three time points one is there."""
    result = ResultSequence(app.sequence(random_series(GRID), "cine"), "result", {"Notice": "AI-generated"})
    result.add(done, random_volume(GRID, 7))
    return result


@pytest.mark.parametrize("watched_from", ["the start", "later"])
@pytest.mark.parametrize("view", ["Red", View.RESULT.value])
def test_no_view_keeps_the_picture_of_another_time_point(app: Slicer, view: str, watched_from: str) -> None:
    LayoutSwitch(app.layouts.GetLayoutNode()).show(Layout.TWO)
    early = MissingTimePoints(app.scene) if watched_from == "the start" else None
    result = partial_result(app)
    late = MissingTimePoints(app.scene) if watched_from == "later" else None
    drawn = SliceView(app, view)
    drawn.logic.GetSliceCompositeNode().SetBackgroundVolumeID(result.proxy.GetID())
    browser = browser_of(result.node)
    for number in (0, 1, 2, 0, 2):
        browser.SetSelectedItemNumber(number)
        assert has_voxels(result.proxy) == (number == 0)
        assert drawn.pixels().any() == (number == 0), number
    for watch in filter(None, (early, late)):
        watch.release()


@pytest.mark.parametrize("geometry", [GRID, oblique((5, 12, 16))], ids=["straight", "oblique"])
def test_slices_can_be_stepped_through_where_nothing_was_computed(app: Slicer, geometry: Geometry) -> None:
    """Slicer takes steps and ends of its slice sliders from the image in the view."""
    watch = MissingTimePoints(app.scene)
    source = app.sequence(random_series(geometry), "cine")
    browser_of(source).GetProxyNode(source).SetAndObserveTransformNodeID(app.transform(rigid()).GetID())
    result = ResultSequence(source, "result", {"Notice": "AI-generated"})
    result.add(0, Volume(np.ones(geometry.shape, np.float32), geometry_of(proxy_of(source))))
    LayoutSwitch(app.layouts.GetLayoutNode()).show(Layout.TWO)
    drawn = SliceView(app, View.RESULT.value)
    drawn.logic.GetSliceCompositeNode().SetBackgroundVolumeID(result.proxy.GetID())
    same_field_of_view(app.scene, [View.RESULT], result.proxy)
    bounds = [0.0] * 6
    drawn.logic.GetLowestVolumeSliceBounds(bounds)
    there = drawn.logic.GetLowestVolumeSliceSpacing()[2], bounds[4], bounds[5]
    browser_of(source).SetSelectedItemNumber(1)
    assert not drawn.pixels().any()
    drawn.logic.GetLowestVolumeSliceBounds(bounds)
    assert (drawn.logic.GetLowestVolumeSliceSpacing()[2], bounds[4], bounds[5]) == pytest.approx(there, abs=1e-2)
    watch.release()


def test_a_result_is_shown_as_soon_as_it_comes(app: Slicer) -> None:
    watch = MissingTimePoints(app.scene)
    result = partial_result(app)
    browser_of(result.node).SetSelectedItemNumber(1)
    assert not has_voxels(result.proxy)
    result.add(1, random_volume(GRID, 8))
    assert has_voxels(result.proxy)
    assert result.node.GetNumberOfDataNodes() == 2, "nothing was written to the sequence"
    watch.release()


def test_what_others_browse_is_left_alone(app: Slicer) -> None:
    watch = MissingTimePoints(app.scene)
    sequence = app.sequence(random_series(GRID), "theirs")
    proxy = browser_of(sequence).GetProxyNode(sequence)
    proxy.SetAndObserveImageData(None)
    assert proxy.GetImageData() is None
    watch.release()


def test_nothing_is_left_behind(app: Slicer) -> None:
    watch = MissingTimePoints(app.scene)
    result = partial_result(app)
    watch.release()
    browser_of(result.node).SetSelectedItemNumber(1)
    assert result.proxy.GetImageData() is None
    gone = weakref.ref(watch)
    del watch
    gc.collect()
    assert gone() is None


def test_a_scene_is_saved_and_loaded_at_such_a_time_point(app: Slicer, tmp_path: Path) -> None:
    watch = MissingTimePoints(app.scene)
    result = partial_result(app)
    browser_of(result.node).SetSelectedItemNumber(2)
    again = app.saved_and_loaded(tmp_path)
    loaded = again.scene.GetFirstNodeByName("result")
    watch_again = MissingTimePoints(again.scene)
    browser = again.scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    assert loaded is not None
    assert browser.GetSelectedItemNumber() == 2
    sequence = next(
        node
        for node in (again.scene.GetNthNodeByClass(n, "vtkMRMLSequenceNode") for n in range(2))
        if node.GetNumberOfDataNodes() == 1
    )
    proxy = browser.GetProxyNode(sequence)
    assert not has_voxels(proxy)
    browser.SetSelectedItemNumber(0)
    there, kept = proxy.GetImageData(), result.node.GetNthDataNode(0).GetImageData()
    assert there.GetScalarRange() == pytest.approx(kept.GetScalarRange())
    watch.release()
    watch_again.release()
