"""Label, notice and file name follow what is seen in a view, whoever changed it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from helpers.scenes import Slicer, SliceView, Window, need_drawing, random_series, random_volume
from SRDynamicMRISlicer.comparison.captions import Caption, ViewCaptions, notice_text, picture_name
from SRDynamicMRISlicer.comparison.comparison import Comparison, on_one_slider
from SRDynamicMRISlicer.comparison.layouts import Layout, View, slice_views, view_colour
from SRDynamicMRISlicer.comparison.notice import Notice
from SRDynamicMRISlicer.comparison.overlay_control import OverlayControl
from SRDynamicMRISlicer.comparison.views import composite_node, slice_node
from SRDynamicMRISlicer.presenter.panel_choices import CompareMode, CompareWith
from SRDynamicMRISlicer.scene.browsers import browser_of
from SRDynamicMRISlicer.scene.metrics_nodes import MapSequences
from SRDynamicMRISlicer.scene.missing_time_points import MissingTimePoints
from SRDynamicMRISlicer.scene.results import ResultSequence

from SRDynamicMRILib.geometry import Geometry

GRID = Geometry((5, 12, 16), (1.0, 1.0, 3.0))


class Screen:
    """The comparison of a result of which one of three time points is there, and what is drawn on its views."""

    def __init__(self, layout: Layout = Layout.MAPS) -> None:
        self.app = Slicer()
        self.missing = MissingTimePoints(self.app.scene)
        low, truth = (self.app.sequence(random_series(GRID), name) for name in ("low", "truth"))
        result, maps = ResultSequence(low, "result", {"Notice": "AI-generated"}), MapSequences(low, "result")
        result.add(0, random_volume(GRID))
        maps.add(0, random_volume(GRID), random_volume(GRID))
        sequences = {View.LOW: low, View.RESULT: result.node, View.TRUTH: truth}
        sequences |= {View.SSIM: maps.ssim.node, View.DIFFERENCE: maps.difference.node}
        self.shown = on_one_slider(low, sequences)
        self.browser = browser_of(low)
        self.comparison = Comparison(self.app.layouts.GetLayoutNode())
        self.comparison.show(self.shown, layout)
        drawn: dict[View, tuple[str, str]] = {}
        self.drawn = drawn
        self.captions = ViewCaptions(self.app.scene, lambda *what: drawn.update({what[0]: what[1:]}))
        self.captions.show(slice_views(layout), self.shown)
        self.reveal = OverlayControl(self.app.scene)

    def close(self) -> None:
        self.reveal.stop()
        self.captions.stop()
        self.comparison.close()
        self.missing.release()

    def label(self, view: View) -> str:
        return slice_node(self.app.scene, view).GetLayoutLabel()

    def notices(self) -> set[View]:
        return {view for view, (_missing, notice) in self.drawn.items() if notice}


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.close()


def test_every_view_says_what_it_shows(screen: Screen) -> None:
    assert [screen.label(view) for view in screen.shown] == ["LR", "SR", "GT", "SSIM", "Difference"]
    assert screen.notices() == {View.RESULT, View.SSIM, View.DIFFERENCE}
    assert {notice for _missing, notice in screen.drawn.values()} == {"", notice_text()}
    assert picture_name(screen.captions.captions) == "comparison LR SR GT SSIM Difference.png"


@pytest.mark.parametrize(
    ("other", "label", "own"), [(CompareWith.TRUTH, "GT", View.TRUTH), (CompareWith.LOW, "LR", View.LOW)]
)
def test_a_swapped_image_stands_under_its_own_name(screen: Screen, other: CompareWith, label: str, own: View) -> None:
    node = slice_node(screen.app.scene, View.RESULT)
    screen.reveal.show(CompareMode.ALTERNATE, other, 0.5, screen.shown)
    for _ in range(2):
        assert screen.label(View.RESULT) == "SR"
        assert View.RESULT in screen.notices()
        screen.reveal.swap()
        assert screen.label(View.RESULT) == label
        red, green, blue = (round(255 * value) for value in node.GetLayoutColor())
        assert f"#{red:02x}{green:02x}{blue:02x}" == view_colour(own)
        assert View.RESULT not in screen.notices(), "no network has made what is seen"
        assert picture_name(screen.captions.captions) == f"comparison LR {label} GT SSIM Difference.png"
        screen.reveal.swap()
    screen.reveal.swap()
    screen.reveal.stop()
    assert screen.label(View.RESULT) == "SR"
    assert View.RESULT in screen.notices()


def test_a_curtain_names_both_images_and_keeps_the_notice(screen: Screen) -> None:
    screen.reveal.show(CompareMode.SWIPE, CompareWith.TRUTH, 0.5, screen.shown)
    assert screen.label(View.RESULT) == "GT | SR"
    assert View.RESULT in screen.notices()
    assert picture_name(screen.captions.captions) == "comparison LR GT-SR GT SSIM Difference.png"
    screen.reveal.stop()
    assert screen.label(View.RESULT) == "SR"


def test_a_time_point_without_a_result_says_so(screen: Screen) -> None:
    screen.browser.SetSelectedItemNumber(1)
    generated = (View.RESULT, View.SSIM, View.DIFFERENCE)
    assert {view: screen.drawn[view] for view in generated} == dict.fromkeys(generated, ("Not computed", ""))
    assert all(screen.drawn.get(view, ("", "")) == ("", "") for view in (View.LOW, View.TRUTH))
    assert picture_name(screen.captions.captions) == "comparison LR GT.png"
    screen.browser.SetSelectedItemNumber(0)
    assert screen.drawn[View.RESULT] == ("", notice_text())


def test_an_image_that_the_user_puts_into_a_view_is_named(screen: Screen) -> None:
    planning = screen.app.volume(random_volume(GRID), "planning")
    composite_node(screen.app.scene, View.RESULT).SetBackgroundVolumeID(planning.GetID())
    assert screen.label(View.RESULT) == "planning"
    assert View.RESULT not in screen.notices()
    composite_node(screen.app.scene, View.LOW).SetBackgroundVolumeID(screen.shown[View.RESULT].GetID())
    assert screen.label(View.LOW) == "SR"
    assert View.LOW in screen.notices()
    composite_node(screen.app.scene, View.RESULT).SetBackgroundVolumeID(None)
    assert screen.drawn[View.RESULT] == ("", "")


def test_the_name_of_a_picture_is_a_name_of_a_file() -> None:
    captions = {View.LOW: Caption('a/b\\c: "d"', "#000000"), View.RESULT: Caption("..", "#000000")}
    assert picture_name(captions) == "comparison abc d.png"
    assert picture_name({}) == "comparison.png"


def test_views_are_left_with_their_own_labels(screen: Screen) -> None:
    screen.reveal.show(CompareMode.ALTERNATE, CompareWith.TRUTH, 0.5, screen.shown)
    screen.reveal.swap()
    screen.captions.stop()
    assert screen.label(View.RESULT) == "SR"
    assert set(screen.drawn.values()) == {("", "")}
    screen.reveal.swap()
    assert set(screen.drawn.values()) == {("", "")}, "what is closed is left alone"
    gone = weakref.ref(screen.captions)
    screen.captions = ViewCaptions(screen.app.scene, lambda *what: None)
    gc.collect()
    assert gone() is None


def test_words_are_drawn_where_they_belong() -> None:
    need_drawing()
    screen = Screen(Layout.TWO)
    window = Window(screen.app, SliceView(screen.app, View.RESULT.value, (300, 200)))
    screen.browser.SetSelectedItemNumber(2)
    missing, notice = screen.drawn[View.RESULT]
    assert not notice
    assert not window.pixels().any(), "the picture of another time point"
    text = Notice(window.renderer, missing, in_the_middle=True)
    amber = np.argwhere(np.abs(window.pixels().astype(int) - [255, 194, 10]).max(axis=2) < 40)
    assert len(amber) > 30
    np.testing.assert_allclose(amber.mean(axis=0), (100, 150), atol=8)
    text.remove()
    assert not window.pixels().any()
    screen.close()
