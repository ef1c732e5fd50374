"""Which nodes the comparison shows for what is chosen, and seeing through to another image, on real MRML."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from helpers.scenes import Slicer, SliceView, multivolume, random_series, random_volume
from SRDynamicMRISlicer.comparison.comparison import Comparison
from SRDynamicMRISlicer.comparison.layouts import Layout, LayoutSwitch, View, slice_views
from SRDynamicMRISlicer.comparison.overlay_control import OverlayControl
from SRDynamicMRISlicer.comparison.selection import chosen_views, shown, slider_of
from SRDynamicMRISlicer.comparison.views import composite_node
from SRDynamicMRISlicer.presenter.panel_choices import CompareMode, CompareWith
from SRDynamicMRISlicer.scene.browsers import browser_of, proxy_of
from SRDynamicMRISlicer.scene.results import ResultSequence
from SRDynamicMRISlicer.scene.sequences import add_sequence
from SRDynamicMRISlicer.scene.volumes import volume_of

from SRDynamicMRILib.geometry import Geometry

FLAT = Geometry((4, 12, 16), (1.0, 1.0, 3.0))


@pytest.fixture
def app() -> Slicer:
    return Slicer()


def choices(**chosen: object) -> SimpleNamespace:
    names = (
        "lowView",
        "dynamicSeries",
        "resultView",
        "result",
        "truthView",
        "groundTruth",
        "ssimMaps",
        "differenceMaps",
    )
    return SimpleNamespace(**{name: chosen.get(name) for name in names})


def test_views_show_the_inputs_unless_they_have_a_choice_of_their_own(app: Slicer) -> None:
    low, other, result = (app.volume(random_volume(FLAT), name) for name in ("low", "other", "result"))
    views = chosen_views(choices(dynamicSeries=low, result=result))
    assert (views[View.LOW], views[View.RESULT], views[View.TRUTH]) == (low, result, None)
    assert chosen_views(choices(dynamicSeries=low, lowView=other))[View.LOW] is other


def test_what_cannot_be_compared_leaves_its_view_empty(app: Slicer) -> None:
    """A MultiVolume was chosen while the comparison was open."""
    low, several = app.volume(random_volume(FLAT), "low"), multivolume(app, "0,500,1250")
    found = shown({View.LOW: several, View.RESULT: low})
    assert dict(found.volumes) == {View.RESULT: low}
    Comparison(app.scene.AddNewNodeByClass("vtkMRMLLayoutNode")).show(found.volumes)
    assert dict(shown({View.LOW: several}).volumes) == {}


def test_one_slider_moves_all_series_of_the_same_times(app: Slicer) -> None:
    low, truth = app.sequence(random_series(FLAT), "low"), app.sequence(random_series(FLAT), "truth")
    result = ResultSequence(low, "result", {})
    result.add(1, random_volume(FLAT))
    found = shown({View.LOW: low, View.RESULT: result.node, View.TRUTH: truth})
    assert found.browser is browser_of(low)
    assert found.volumes[View.TRUTH] is proxy_of(truth, found.browser)
    found.browser.SetSelectedItemNumber(1)
    expected = truth.GetNthDataNode(1).GetImageData().GetScalarComponentAsDouble(0, 0, 0, 0)
    assert found.volumes[View.TRUTH].GetImageData().GetScalarComponentAsDouble(0, 0, 0, 0) == expected


def test_series_of_other_times_and_volumes_are_shown_as_they_are(app: Slicer) -> None:
    low = app.sequence(random_series(FLAT), "low")
    other = app.sequence(random_series(FLAT, (10, 11, 12)), "other")
    scan = app.volume(random_volume(FLAT), "scan")
    found = shown({View.LOW: low, View.RESULT: scan, View.TRUTH: other})
    assert found.volumes[View.RESULT] is scan
    assert found.volumes[View.TRUTH] is proxy_of(other, browser_of(other))
    assert not found.browser.IsSynchronizedSequenceNode(other, True)
    assert shown({View.LOW: scan}).browser is None


def test_a_node_that_shows_a_sequence_counts_as_the_sequence(app: Slicer) -> None:
    low = app.sequence(random_series(FLAT), "low")
    found = shown({View.LOW: proxy_of(low)})
    assert found.browser is browser_of(low)
    assert found.volumes[View.LOW] is proxy_of(low)


def test_nothing_and_what_is_gone_is_left_out(app: Slicer) -> None:
    gone = app.volume(random_volume(FLAT))
    app.scene.RemoveNode(gone)
    empty = app.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "empty")
    found = shown({View.LOW: gone, View.RESULT: empty, View.TRUTH: None})
    assert found.volumes == {}
    assert found.browser is None
    assert slider_of({View.LOW: gone, View.RESULT: None}) is None


def test_looking_for_the_slider_changes_nothing(app: Slicer) -> None:
    low = add_sequence(app.scene, random_series(FLAT), "low")
    before = app.scene.GetNumberOfNodes()
    assert slider_of({View.LOW: low}) is None
    assert app.scene.GetNumberOfNodes() == before
    assert shown({View.LOW: low}).browser is browser_of(low) is not None


@pytest.mark.parametrize("linked", [True, False])
def test_views_are_linked_and_windows_shared_as_asked(app: Slicer, linked: bool) -> None:
    comparison = Comparison(app.layouts.GetLayoutNode())
    volumes = {View.LOW: app.volume(random_volume(FLAT), "a"), View.RESULT: app.volume(random_volume(FLAT, 1), "b")}
    comparison.show(volumes, Layout.TWO, linked, linked)
    composites = [composite_node(app.scene, view) for view in slice_views(Layout.TWO)]
    assert [bool(one.GetLinkedControl()) for one in composites] == [linked] * 2
    assert [bool(one.GetHotLinkedControl()) for one in composites] == [linked] * 2
    first, second = (volume.GetDisplayNode() for volume in volumes.values())
    first.SetAutoWindowLevel(False)
    first.SetWindowLevelMinMax(3, 33)
    assert (second.GetWindowLevelMax() == 33) is linked
    comparison.close()


# Seeing through


@pytest.fixture
def through(app: Slicer) -> tuple[OverlayControl, dict]:
    LayoutSwitch(app.layouts.GetLayoutNode()).show(Layout.THREE)
    for view in slice_views(Layout.THREE):
        SliceView(app, view.value)
    low, result = app.volume(random_volume(FLAT), "low"), app.volume(random_volume(FLAT, 1), "result")
    composite_node(app.scene, View.RESULT).SetBackgroundVolumeID(result.GetID())
    return OverlayControl(app.scene), {View.LOW: low, View.RESULT: result}


def test_blinking_shows_the_other_image_and_this_one_again(app: Slicer, through: tuple) -> None:
    control, volumes = through
    composite = composite_node(app.scene, View.RESULT)
    control.show(CompareMode.ALTERNATE, CompareWith.LOW, 0.5, volumes)
    assert control.running
    control.swap()
    assert (composite.GetForegroundVolumeID(), composite.GetForegroundOpacity()) == (volumes[View.LOW].GetID(), 1.0)
    control.show(CompareMode.ALTERNATE, CompareWith.LOW, 0.9, volumes)
    assert composite.GetForegroundOpacity() == 1.0, "what has not changed stays as it is"
    control.swap()
    assert composite.GetForegroundOpacity() == 0.0
    control.show(CompareMode.NONE, CompareWith.LOW, 0.5, volumes)
    assert not control.running
    assert composite.GetForegroundVolumeID() is None


def test_a_curtain_is_drawn_and_follows_the_time_point(app: Slicer, through: tuple) -> None:
    control, volumes = through
    composite = composite_node(app.scene, View.RESULT)
    control.show(CompareMode.SWIPE, CompareWith.LOW, 0.25, volumes)
    node = app.scene.GetNodeByID(composite.GetBackgroundVolumeID())
    low, result = (volume_of(volumes[view]).data for view in (View.LOW, View.RESULT))
    mixed = volume_of(node).data
    assert {np.array_equal(mixed[..., :4], low[..., :4]), np.array_equal(mixed[..., 12:], low[..., 12:])} == {
        True,
        False,
    }
    control.show(CompareMode.SWIPE, CompareWith.LOW, 0.0, volumes)
    assert app.scene.GetNodeByID(composite.GetBackgroundVolumeID()) is node, "the same curtain, drawn further"
    assert np.array_equal(volume_of(node).data, result)
    volumes[View.RESULT].SetAndObserveImageData(volumes[View.LOW].GetImageData())
    control.refresh()
    assert np.array_equal(volume_of(node).data, low)
    control.stop()
    assert composite.GetBackgroundVolumeID() == volumes[View.RESULT].GetID()
    assert node.GetScene() is None


def test_nothing_is_revealed_where_an_image_is_missing(app: Slicer, through: tuple) -> None:
    control, volumes = through
    control.show(CompareMode.SWIPE, CompareWith.TRUTH, 0.5, volumes)
    assert not control.running
    control.show(CompareMode.SWIPE, CompareWith.LOW, 0.5, volumes)
    volumes[View.RESULT].SetAndObserveImageData(None)
    control.refresh()
    assert not control.running
    control.show(CompareMode.SWIPE, CompareWith.LOW, 0.5, volumes)
    assert not control.running
    control.swap()
    volumes[View.RESULT].SetAndObserveImageData(volumes[View.LOW].GetImageData())
    control.show(CompareMode.SWIPE, CompareWith.LOW, 0.5, volumes)
    assert control.running, "as soon as there is a result again"
    control.stop()


def test_images_that_lie_apart_leave_nothing_behind(app: Slicer, through: tuple) -> None:
    control, volumes = through
    far = Geometry(FLAT.shape, FLAT.spacing, (1000.0, 0.0, 0.0))
    apart = app.volume(random_volume(far), "apart")
    before = app.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    control.show(CompareMode.SWIPE, CompareWith.LOW, 0.5, {**volumes, View.LOW: apart})
    assert not control.running
    assert app.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == before
