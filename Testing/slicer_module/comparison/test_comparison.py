"""The comparison on real MRML: layouts, views, windows, colours, reveal; drawn by Slicer's own slice logic."""

from __future__ import annotations

import gc
import itertools
import weakref
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import pytest
import slicer
from helpers.comparison_picture import STORED, comparison_picture, put_together
from helpers.scenes import Slicer, SliceView, Window, need_drawing, oblique, random_series, random_volume, rigid
from SRDynamicMRISlicer.comparison.captions import notice_text
from SRDynamicMRISlicer.comparison.comparison import Comparison, on_one_slider
from SRDynamicMRISlicer.comparison.layouts import (
    ROWS,
    Layout,
    LayoutSwitch,
    View,
    description,
    register_layouts,
    slice_views,
)
from SRDynamicMRISlicer.comparison.notice import Notice
from SRDynamicMRISlicer.comparison.overlay import Alternate, Swipe
from SRDynamicMRISlicer.comparison.views import (
    acquisition_plane,
    composite_node,
    same_field_of_view,
    show_figures,
    show_volumes,
    slice_node,
)
from SRDynamicMRISlicer.comparison.windows import SharedWindow, window_for
from SRDynamicMRISlicer.scene.browsers import browser_of
from SRDynamicMRISlicer.scene.map_colours import (
    DIFFERENCE_COLOURS,
    SSIM_COLOURS,
    colour_node,
    show_as_difference,
    show_as_ssim,
)
from SRDynamicMRISlicer.scene.provenance import facts_of, facts_of_result, write_facts
from SRDynamicMRISlicer.scene.sequences import add_sequence
from SRDynamicMRISlicer.scene.volumes import store_volume, volume_of

from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.volume import Volume

FLAT = Geometry((5, 12, 16), (1.0, 1.0, 3.0))


@pytest.fixture
def app() -> Slicer:
    """A Slicer that lives as long as the test: its nodes go with it."""
    return Slicer()


def constant(value: float, geometry: Geometry = FLAT) -> Volume:
    return Volume(np.full(geometry.shape, value), geometry)


def opened(app: Slicer, layout: Layout = Layout.MAPS) -> dict[View, SliceView]:
    """The slice views of a layout, as Slicer makes them when it is shown."""
    LayoutSwitch(app.layouts.GetLayoutNode()).show(layout)
    return {view: SliceView(app, view.value) for view in slice_views(layout)}


def middle(pixels: np.ndarray) -> tuple[int, ...]:
    return tuple(int(value) for value in pixels[pixels.shape[0] // 2, pixels.shape[1] // 2])


# Layouts


@pytest.mark.parametrize("layout", list(Layout))
def test_slicer_makes_the_views_of_a_layout(app: Slicer, layout: Layout) -> None:
    LayoutSwitch(app.layouts.GetLayoutNode()).show(layout)
    for view in (view for row in ROWS[layout] for view in row):
        kind = {View.PLOT: "vtkMRMLPlotViewNode", View.TABLE: "vtkMRMLTableViewNode"}.get(view, "vtkMRMLSliceNode")
        node = app.scene.GetSingletonNode(view.value, kind)
        assert node is not None
        assert node.GetLayoutLabel()
        if kind == "vtkMRMLSliceNode":
            assert node.GetViewGroup() > 0
            assert node.GetOrientation() == "Axial"
    made = app.names("vtkMRMLSliceNode")
    assert len(made) == len(slice_views(layout)) + 3, "Slicer's red, green and yellow ones, and ours"


def test_a_layout_is_rows_of_views() -> None:
    root = ET.fromstring(description(Layout.MAPS))
    rows = [[view.get("singletontag") for view in row.iter("view")] for row in root.findall("item")]
    assert rows == [[view.value for view in row] for row in ROWS[Layout.MAPS]]
    assert [len(row) for row in rows] == [3, 2]


def test_layouts_are_registered_once_and_never_over_anothers(app: Slicer) -> None:
    node = app.layouts.GetLayoutNode()
    first = register_layouts(node)
    assert register_layouts(node) == first
    assert len(set(first.values())) == len(Layout)
    assert min(first.values()) > 100
    other = slicer.vtkMRMLLayoutNode()
    other.AddLayoutDescription(first[Layout.TWO], "<layout/>")
    moved = register_layouts(other)
    assert other.GetLayoutDescription(first[Layout.TWO]) == "<layout/>"
    assert len(set(moved.values())) == len(Layout)
    assert all(other.GetLayoutDescription(moved[layout]) == description(layout) for layout in Layout)


def test_the_layout_before_comes_back(app: Slicer) -> None:
    node = app.layouts.GetLayoutNode()
    node.SetViewArrangement(node.SlicerLayoutFourUpView)
    switch = LayoutSwitch(node)
    switch.show(Layout.TWO)
    switch.show(Layout.MAPS)
    assert node.GetViewArrangement() == register_layouts(node)[Layout.MAPS]
    switch.restore()
    assert node.GetViewArrangement() == node.SlicerLayoutFourUpView
    switch.restore()
    assert node.GetViewArrangement() == node.SlicerLayoutFourUpView


def test_a_layout_that_the_user_chose_meanwhile_stays(app: Slicer) -> None:
    node = app.layouts.GetLayoutNode()
    node.SetViewArrangement(node.SlicerLayoutFourUpView)
    switch = LayoutSwitch(node)
    switch.show(Layout.TWO)
    node.SetViewArrangement(node.SlicerLayoutOneUp3DView)
    switch.restore()
    assert node.GetViewArrangement() == node.SlicerLayoutOneUp3DView


def test_a_scene_saved_with_the_comparison_open_opens_in_any_slicer(app: Slicer, tmp_path: Path) -> None:
    """A layout of ours in it would be an empty window where the extension is missing."""
    node = app.layouts.GetLayoutNode()
    node.SetViewArrangement(node.SlicerLayoutFourUpView)
    switch = LayoutSwitch(node)
    switch.show(Layout.MAPS)
    comparing = register_layouts(node)[Layout.MAPS]
    again = app.saved_and_loaded(tmp_path)
    assert node.GetViewArrangement() == comparing, "saving changes nothing that is seen"
    loaded = again.layouts.GetLayoutNode()
    assert loaded.GetViewArrangement() < 100
    assert loaded.GetCurrentLayoutDescription()
    assert len(ET.fromstring(loaded.GetCurrentLayoutDescription()).findall(".//view")) > 1


@pytest.mark.parametrize("back", ["closed", "chosen"])
def test_any_other_layout_is_saved_with_the_scene(app: Slicer, tmp_path: Path, back: str) -> None:
    node = app.layouts.GetLayoutNode()
    node.SetViewArrangement(node.SlicerLayoutOneUpRedSliceView)
    switch = LayoutSwitch(node)
    switch.show(Layout.MAPS)
    if back == "closed":
        switch.restore()
    else:  # from Slicer's own list
        node.SetViewArrangement(node.SlicerLayoutOneUpRedSliceView)
    again = app.saved_and_loaded(tmp_path)
    assert again.layouts.GetLayoutNode().GetViewArrangement() == node.SlicerLayoutOneUpRedSliceView


def test_the_way_back_from_a_layout_that_was_loaded(app: Slicer) -> None:
    """Scenes that earlier versions have saved hold the comparison's layout, and nothing of the one before."""
    node = app.layouts.GetLayoutNode()
    node.SetViewArrangement(register_layouts(node)[Layout.MAPS])
    switch = LayoutSwitch(node)
    switch.show(Layout.TWO)
    switch.restore()
    assert node.GetViewArrangement() == node.SlicerLayoutFourUpView
    observed = weakref.ref(switch)
    del switch
    gc.collect()
    assert observed() is None
    node.SetViewArrangement(register_layouts(node)[Layout.MAPS])
    assert node.GetSaveWithScene(), "no observer is left"


# Views


def test_each_view_shows_its_volume(app: Slicer) -> None:
    views = opened(app, Layout.THREE)
    shown = {view: app.volume(constant(value)) for view, value in zip(views, (10, 60, 90), strict=True)}
    show_volumes(app.scene, shown)
    same_field_of_view(app.scene, views, shown[View.TRUTH])
    SharedWindow(shown.values(), (0, 100))
    grey = {view: middle(views[view].pixels())[0] for view in views}
    assert [round(grey[view] / 2.55) for view in (View.LOW, View.RESULT, View.TRUTH)] == [10, 60, 90]


def test_views_are_linked_and_keep_what_they_show(app: Slicer) -> None:
    views = opened(app)
    first, second = app.volume(constant(1)), app.volume(constant(2))
    show_volumes(app.scene, dict.fromkeys(views, first))
    for view in views:
        composite = composite_node(app.scene, view)
        assert composite.GetLinkedControl()
        assert composite.GetHotLinkedControl()
        assert composite is views[view].logic.GetSliceCompositeNode()
    app.application.GetSelectionNode().SetReferenceActiveVolumeID(second.GetID())
    app.application.PropagateVolumeSelection()
    assert {composite_node(app.scene, view).GetBackgroundVolumeID() for view in views} == {first.GetID()}
    show_volumes(app.scene, {View.LOW: None})
    assert composite_node(app.scene, View.LOW).GetBackgroundVolumeID() is None


def test_what_is_shown_before_the_view_is_made_is_taken_over_by_it(app: Slicer) -> None:
    volume = app.volume(constant(1))
    show_volumes(app.scene, {View.LOW: volume})
    view = opened(app, Layout.TWO)[View.LOW]
    assert view.logic.GetSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()


def test_chart_and_table_are_shown_in_their_views(app: Slicer) -> None:
    chart = app.scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "chart")
    table = app.scene.AddNewNodeByClass("vtkMRMLTableNode", "table")
    show_figures(app.scene, chart, table)
    LayoutSwitch(app.layouts.GetLayoutNode()).show(Layout.FIGURES)
    show_figures(app.scene, chart, table)
    view = app.scene.GetSingletonNode(View.PLOT.value, "vtkMRMLPlotViewNode")
    assert view.GetPlotChartNode() is chart
    assert app.scene.GetSingletonNode(View.TABLE.value, "vtkMRMLTableViewNode").GetTableNode() is table


@pytest.mark.parametrize("geometry", [FLAT, oblique((5, 12, 16)), oblique((5, 12, 16), (0.1, 0.2, 0.3), True)], ids=str)
def test_all_views_show_the_same_place_at_the_same_scale(app: Slicer, geometry: Geometry) -> None:
    LayoutSwitch(app.layouts.GetLayoutNode()).show(Layout.MAPS)
    sizes = {View.LOW: (150, 200), View.RESULT: (150, 200), View.TRUTH: (150, 200), View.SSIM: (230, 100)}
    views = {view: SliceView(app, view.value, size) for view, size in sizes.items()}
    volume = app.volume(random_volume(geometry))
    same_field_of_view(app.scene, [*views, View.DIFFERENCE], volume)
    nodes = {view: slice_node(app.scene, view) for view in views}
    scales = [node.GetFieldOfView()[axis] / node.GetDimensions()[axis] for node in nodes.values() for axis in (0, 1)]
    assert scales == pytest.approx([scales[0]] * len(scales))
    corners = []
    for node in nodes.values():
        to_ras = node.GetXYToRAS()
        width, height = node.GetDimensions()[:2]
        corners.append(to_ras.MultiplyPoint((width / 2, height / 2, 0, 1))[:3])
    np.testing.assert_allclose(corners, [corners[0]] * len(corners), atol=1e-6)
    index = volume_of(volume).geometry.index(np.array([-1, -1, 1]) * corners[0])
    depth = geometry.shape[0]
    assert index[2] == pytest.approx(depth // 2, abs=1e-6), "the middle slice, not between two"
    show_volumes(app.scene, dict.fromkeys(views, volume))
    SharedWindow([volume], (0, 1))
    for view in views.values():
        seen = view.pixels().any(axis=2)
        assert seen[0].sum() + seen[-1].sum() + seen[:, 0].sum() + seen[:, -1].sum() < 0.2 * seen.sum()
        assert seen.any()


# Planes

PLANES = {
    "axial": oblique((5, 12, 16), (0, 0, 0)),
    "sagittal": Geometry((5, 12, 16), (1.5, 2.25, 7.0), (3.0, 2.0, 1.0), (0, 0, 1, 1, 0, 0, 0, -1, 0)),
    "coronal": Geometry((5, 12, 16), (1.5, 2.25, 7.0), (3.0, 2.0, 1.0), (1, 0, 0, 0, 0, 1, 0, -1, 0)),
    "short axis": oblique((5, 12, 16), (0.7, 0.6, 0.2)),
    "double oblique": oblique((5, 12, 16), (1.2, 0.8, -0.7)),
    "mirrored": oblique((5, 12, 16), (0.4, 0.5, 1.5), mirrored=True),
}


@pytest.mark.parametrize("moved", [False, True], ids=["", "transformed"])
@pytest.mark.parametrize("plane", list(PLANES))
def test_every_view_shows_one_acquired_slice_whole(app: Slicer, plane: str, moved: bool) -> None:
    """Through-plane, a view would show a strip of all slices: here each slice has its own grey level."""
    geometry = PLANES[plane]
    levels = np.broadcast_to(20.0 * np.arange(1, 6)[:, None, None], geometry.shape)
    low = app.volume(Volume(levels[:, ::2, ::2].copy(), geometry.with_matrix((6, 8))), "low")
    result, truth = app.volume(Volume(levels.copy(), geometry), "result"), app.volume(Volume(levels.copy(), geometry))
    shown = {View.LOW: low, View.RESULT: result, View.TRUTH: truth}
    shown |= {View.SSIM: app.volume(constant(0.5, geometry)), View.DIFFERENCE: app.volume(constant(0.1, geometry))}
    if moved:
        transform = app.transform(rigid((0.5, 0.9, 0.2)))
        for node in shown.values():
            node.SetAndObserveTransformNodeID(transform.GetID())
    views = opened(app)
    Comparison(app.layouts.GetLayoutNode()).show(shown)
    SharedWindow([low, result, truth], (0, 100))
    for view, drawn in views.items():
        pixels = drawn.pixels()[..., 0]
        is_map = view in (View.SSIM, View.DIFFERENCE)
        seen = pixels == pixels[60, 80] if is_map else pixels > 0
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        assert seen[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]].all(), view
        ratio = np.ptp(columns) / np.ptp(rows)
        assert any(ratio == pytest.approx(r, rel=0.1) for r in (24 / 27, 27 / 24)), view
        if not is_map:
            inside = pixels[rows[0] + 2 : rows[-1] - 1, columns[0] + 2 : columns[-1] - 1] / 2.55
            assert np.abs(inside - 60).max() < 1, "the third of five slices and no other"


@pytest.mark.parametrize(
    ("plane", "right", "up"),
    [("axial", "left", "anterior"), ("sagittal", "posterior", "superior"), ("coronal", "left", "superior")],
)
def test_the_screen_is_as_radiologists_have_it(app: Slicer, plane: str, right: str, up: str) -> None:
    directions = {"left": (-1, 0, 0), "posterior": (0, -1, 0), "anterior": (0, 1, 0), "superior": (0, 0, 1)}
    geometry = PLANES[plane]
    for flips in itertools.product((1, -1), (1, -1), (1, -1)):  # whichever way rows, columns and slices are stored
        turned = Geometry(
            geometry.shape,
            geometry.spacing,
            geometry.origin,
            tuple((np.reshape(geometry.direction, (3, 3)) * flips).ravel().tolist()),
        )
        axes = acquisition_plane(turned)
        np.testing.assert_allclose(axes[:, 0], directions[right], atol=1e-9)
        np.testing.assert_allclose(axes[:, 1], directions[up], atol=1e-9)


@pytest.mark.parametrize("plane", list(PLANES))
def test_an_oblique_plane_is_the_acquired_one(plane: str) -> None:
    geometry = PLANES[plane]
    axes = acquisition_plane(geometry)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    slices = np.array([-1, -1, 1]) * geometry.axes[:, 2]
    np.testing.assert_allclose(np.abs(axes[:, 2] @ slices), np.linalg.norm(slices))


def test_the_plane_is_the_series_one_where_the_result_lies_across(app: Slicer) -> None:
    """A planning scan may have been acquired in another plane than the series."""
    views = opened(app, Layout.TWO)
    low, result = app.volume(constant(5, PLANES["sagittal"])), app.volume(constant(6, PLANES["axial"]))
    Comparison(app.layouts.GetLayoutNode()).show({View.LOW: low, View.RESULT: result}, Layout.TWO)
    for view in views.values():
        normal = [view.node.GetSliceToRAS().GetElement(row, 2) for row in range(3)]
        assert np.abs(normal) == pytest.approx([1, 0, 0])


# Windows


def test_one_window_for_all_and_each_may_change_it(app: Slicer) -> None:
    nodes = [app.volume(random_volume(FLAT, seed)) for seed in range(3)]
    shared = SharedWindow(nodes, (5, 50))

    def windows() -> set[tuple[float, float]]:
        displays = [node.GetDisplayNode() for node in nodes]
        return {(display.GetWindowLevelMin(), display.GetWindowLevelMax()) for display in displays}

    assert windows() == {(5, 50)}
    nodes[1].GetDisplayNode().SetWindowLevelMinMax(1, 2)
    assert windows() == {(1, 2)}
    shared.set(3, 4)
    assert windows() == {(3, 4)}
    shared.release()
    nodes[1].GetDisplayNode().SetWindowLevelMinMax(7, 8)
    assert windows() == {(3, 4), (7, 8)}
    gone = weakref.ref(shared)
    del shared
    gc.collect()
    assert gone() is None, "no observer is left"


def test_the_window_suits_the_intensities() -> None:
    voxels = np.full((10, 10, 10), 100.0)
    voxels[0, 0, 0] = 1e6
    assert window_for(Volume(voxels)) == pytest.approx((0, 100))
    assert window_for(Volume(voxels - 200))[0] == -100
    black, white = window_for(constant(0.0))
    assert white > black


# Colours


def test_ssim_colours_are_viridis_and_climb_evenly(app: Slicer) -> None:
    node = colour_node(app.scene, SSIM_COLOURS)
    table = np.array([node.GetLookupTable().GetTableValue(number)[:3] for number in range(256)])
    np.testing.assert_allclose(table, matplotlib.colormaps["viridis"].colors, atol=0.5 / 255 + 1e-9)
    lightness = table @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(lightness) > -0.01)


def test_difference_colours_are_symmetric_around_white(app: Slicer) -> None:
    node = colour_node(app.scene, DIFFERENCE_COLOURS)
    table = np.array([node.GetLookupTable().GetTableValue(number)[:3] for number in range(256)])
    assert table[127:129].min() > 0.95
    brightness = table.sum(axis=1)
    assert np.abs(brightness - brightness[::-1]).max() < 0.5
    assert table[0, 2] > table[0, 0]
    assert table[255, 0] > table[255, 2]


def test_a_colour_table_is_there_once(app: Slicer) -> None:
    assert colour_node(app.scene, SSIM_COLOURS) is colour_node(app.scene, SSIM_COLOURS)
    assert app.names("vtkMRMLColorTableNode").count(SSIM_COLOURS) == 1


def test_maps_are_drawn_in_their_colours_whatever_they_hold(app: Slicer) -> None:
    views = opened(app)
    ssim, difference = app.volume(constant(0.5)), app.volume(constant(0.0))
    show_volumes(app.scene, {View.SSIM: ssim, View.DIFFERENCE: difference})
    same_field_of_view(app.scene, views, ssim)
    show_as_ssim(ssim)
    show_as_difference(difference)
    viridis, diverging = matplotlib.colormaps["viridis"], matplotlib.colormaps["RdBu_r"]
    for value in (0.0, 0.5, 1.0):
        store_volume(constant(value), ssim)
        expected = np.array(viridis(value)[:3]) * 255
        assert np.abs(np.array(middle(views[View.SSIM].pixels())) - expected).max() <= 3
    for value in (-0.2, 0.0, 0.2, 5.0):
        store_volume(constant(value), difference)
        expected = np.array(diverging(min(value / 0.4 + 0.5, 1.0))[:3]) * 255
        assert np.abs(np.array(middle(views[View.DIFFERENCE].pixels())) - expected).max() <= 4


def test_a_map_has_one_legend_with_fixed_ends(app: Slicer) -> None:
    node = app.volume(random_volume(FLAT))
    legend = show_as_ssim(node)
    assert show_as_ssim(node) is legend
    assert legend.GetTitleText() == "SSIM (1 = alike)"
    assert legend.GetPrimaryDisplayNode() is node.GetScalarVolumeDisplayNode()
    display = node.GetScalarVolumeDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax(), display.GetAutoWindowLevel()) == (0, 1, 0)


def test_colours_are_saved_with_the_scene(app: Slicer, tmp_path: Path) -> None:
    node = app.volume(random_volume(FLAT), "map")
    show_as_ssim(node)
    again = app.saved_and_loaded(tmp_path)
    display = again.scene.GetFirstNodeByName("map").GetScalarVolumeDisplayNode()
    assert display.GetColorNode().GetLookupTable().GetTableValue(255)[:3] == pytest.approx(
        matplotlib.colormaps["viridis"].colors[255], abs=0.01
    )
    assert colour_node(again.scene, SSIM_COLOURS) is display.GetColorNode()


# CompareMode


def test_blinking_shows_the_other_image_and_leaves_no_trace(app: Slicer) -> None:
    view = opened(app, Layout.TWO)[View.RESULT]
    own, other = app.volume(constant(20)), app.volume(constant(80))
    show_volumes(app.scene, {View.RESULT: own})
    same_field_of_view(app.scene, [View.RESULT], own)
    SharedWindow([own, other], (0, 100))
    blink = Alternate(app.scene, View.RESULT, other)
    seen = []
    for _ in range(4):
        seen.append(round(middle(view.pixels())[0] / 2.55))
        blink.toggle()
    assert seen == [20, 80, 20, 80]
    blink.toggle()
    assert blink.shows_other
    blink.stop()
    composite = composite_node(app.scene, View.RESULT)
    assert composite.GetForegroundVolumeID() is None
    assert round(middle(view.pixels())[0] / 2.55) == 20


@pytest.mark.parametrize("turned", [False, True])
def test_a_curtain_is_drawn_from_the_left_of_the_screen(app: Slicer, turned: bool) -> None:
    view = opened(app, Layout.TWO)[View.RESULT]
    grid = FLAT
    if turned:  # columns run from the patient's left to the right
        grid = Geometry(FLAT.shape, FLAT.spacing, (15.0, 11.0, 0.0), (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    left, right = app.volume(constant(20, FLAT.with_matrix((6, 8)))), app.volume(constant(80, grid))
    write_facts(right, facts_of_result("abc"))
    show_volumes(app.scene, {View.RESULT: right})
    same_field_of_view(app.scene, [View.RESULT], right)
    SharedWindow([right], (0, 100))
    curtain = Swipe(app.scene, View.RESULT, left, right)

    def line() -> list[int]:
        pixels = view.pixels()[60, :, 0]
        return [round(value / 2.55) for value in pixels[pixels > 0]]

    assert line()[0] == 20
    assert line()[-1] == 80
    assert line().count(20) == pytest.approx(len(line()) / 2, rel=0.2)
    curtain.move(0.25)
    assert line().count(20) == pytest.approx(len(line()) / 4, rel=0.3)
    curtain.move(7)
    assert set(line()) == {20}
    curtain.move(-1)
    assert set(line()) == {80}
    assert "Not for diagnosis" in facts_of(curtain.node)["Notice"]
    store_volume(constant(60, grid), right)
    curtain.refresh()
    assert set(line()) == {60}
    curtain.stop()
    assert composite_node(app.scene, View.RESULT).GetBackgroundVolumeID() == right.GetID()
    assert curtain.node.GetScene() is None


@pytest.mark.parametrize("moved", [False, True], ids=["", "transformed"])
@pytest.mark.parametrize("plane", list(PLANES))
def test_a_curtain_is_upright_in_every_plane(app: Slicer, plane: str, moved: bool) -> None:
    view = opened(app, Layout.TWO)[View.RESULT]
    left, right = app.volume(constant(20, PLANES[plane])), app.volume(constant(80, PLANES[plane]))
    if moved:
        for node in (left, right):
            node.SetAndObserveTransformNodeID(app.transform(rigid((0.5, 0.9, 0.2))).GetID())
    show_volumes(app.scene, {View.RESULT: right})
    same_field_of_view(app.scene, [View.RESULT], right)
    SharedWindow([right], (0, 100))
    curtain = Swipe(app.scene, View.RESULT, left, right)
    curtain.node.GetDisplayNode().SetInterpolate(False)
    curtain.move(0.25)
    pixels = view.pixels()[..., 0]
    rows, columns = (np.flatnonzero((pixels > 0).any(axis=axis)) for axis in (1, 0))
    image = np.round(pixels[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]] / 2.55)
    assert (image == image[0]).all(), "every line is the same"
    assert image[0, 0] == 20
    assert image[0, -1] == 80
    assert (image[0] == 20).mean() == pytest.approx(0.25, abs=0.1)


# The whole


def test_the_whole_comparison_and_the_way_back(app: Slicer) -> None:
    node = app.layouts.GetLayoutNode()
    node.SetViewArrangement(node.SlicerLayoutFourUpView)
    comparison = Comparison(node)
    series = random_series(FLAT)
    low = app.sequence(series, "low")
    others = {
        View.RESULT: add_sequence(app.scene, series.map(lambda v: v.with_data(v.data + 1), FLAT), "result"),
        View.TRUTH: add_sequence(app.scene, series.map(lambda v: v.with_data(v.data + 2), FLAT), "truth"),
    }
    shown = on_one_slider(low, {View.LOW: low, **others})
    assert set(shown) == {View.LOW, View.RESULT, View.TRUTH}
    ssim, difference = app.volume(constant(0.5)), app.volume(constant(0.1))
    comparison.show({**shown, View.SSIM: ssim, View.DIFFERENCE: difference})
    assert node.GetViewArrangement() == register_layouts(node)[Layout.MAPS]
    for view, volume in {**shown, View.SSIM: ssim, View.DIFFERENCE: difference}.items():
        assert composite_node(app.scene, view).GetBackgroundVolumeID() == volume.GetID()
    browser_of(low).SetSelectedItemNumber(2)
    values = [volume_of(shown[view]).data[0, 0, 0] for view in (View.LOW, View.RESULT, View.TRUTH)]
    assert values == pytest.approx([series[2].data[0, 0, 0] + step for step in range(3)])
    windows = {shown[view].GetDisplayNode().GetWindowLevelMax() for view in shown}
    assert len(windows) == 1
    shown[View.LOW].GetDisplayNode().SetWindowLevelMinMax(0, 9)
    assert shown[View.TRUTH].GetDisplayNode().GetWindowLevelMax() == 9
    comparison.close()
    assert node.GetViewArrangement() == node.SlicerLayoutFourUpView
    shown[View.LOW].GetDisplayNode().SetWindowLevelMinMax(0, 5)
    assert shown[View.TRUTH].GetDisplayNode().GetWindowLevelMax() == 9


def whole(view: SliceView) -> bool:
    """Whether a view shows all of `FLAT`, as large as it fits, and draws it with this size too."""
    (width, height), (columns, rows) = view.node.GetFieldOfView()[:2], view.node.GetDimensions()[:2]
    fits = max(FLAT.shape[2] / width, FLAT.shape[1] / height)
    drawn = np.linalg.norm([view.node.GetXYToRAS().GetElement(row, 0) for row in range(3)])
    scales = [height / rows, drawn]
    return bool(scales == pytest.approx([width / columns] * 2) and fits == pytest.approx(1, rel=1e-6))


def test_views_that_get_their_size_later_show_all_of_the_image(app: Slicer) -> None:
    """In a window, Qt gives the views of a layout their size when it comes to drawing them, one after the other."""
    comparison = Comparison(app.layouts.GetLayoutNode())
    shown = {View.LOW: app.volume(constant(5)), View.RESULT: app.volume(constant(6))}
    comparison.show(shown, Layout.TWO)
    first = SliceView(app, View.LOW.value, (300, 80))
    second = SliceView(app, View.RESULT.value, (400, 80))
    assert whole(first)
    assert whole(second)
    assert (second.pixels()[..., 0] > 0).any(axis=1).sum() >= 78
    for view in (first, second):  # the user has made the window larger
        view.logic.ResizeSliceNode(500, 160)
    assert whole(first)
    assert whole(second)
    comparison.close()
    first.node.SetFieldOfView(7, 7, 1)
    first.logic.ResizeSliceNode(300, 80)
    assert first.node.GetFieldOfView()[1] == 7, "what is closed is left alone"


@pytest.mark.parametrize("interacting", [True, False])
def test_the_offset_that_controllers_of_new_views_set_is_corrected(app: Slicer, interacting: bool) -> None:
    comparison = Comparison(app.layouts.GetLayoutNode())
    comparison.show({View.LOW: app.volume(constant(5))}, Layout.TWO, linked=True)
    view = SliceView(app, View.LOW.value, (400, 80))
    offset = view.node.GetSliceOffset()
    if interacting:  # as if the user had scrolled
        view.logic.StartSliceOffsetInteraction()
    view.node.SetSliceOffset(offset + 1000)
    if interacting:
        view.logic.EndSliceOffsetInteraction()
    assert view.node.GetSliceOffset() == offset
    view.logic.ResizeSliceNode(200, 90)
    assert whole(view)


@pytest.mark.parametrize("scrolled", [False, True])
@pytest.mark.parametrize("interacting", [True, False])
def test_the_offset_0_that_controllers_set_is_corrected_where_it_is_the_edge_of_the_volume(
    app: Slicer, interacting: bool, scrolled: bool
) -> None:
    deep = Volume(np.full((8, 12, 16), 5.0), Geometry((8, 12, 16), (1.0, 1.0, 9.0)))
    comparison = Comparison(app.layouts.GetLayoutNode())
    comparison.show({View.LOW: app.volume(deep)}, Layout.TWO, linked=True)
    view = SliceView(app, View.LOW.value, (400, 80))
    assert view.node.GetSliceOffset() == 36
    if scrolled:
        scroll(view, 27)
    if interacting:
        scroll(view, 0)
    else:
        view.node.SetSliceOffset(0)
    expected = 27 if scrolled else 36
    assert view.node.GetSliceOffset() == expected
    view.logic.ResizeSliceNode(200, 90)
    assert view.node.GetSliceOffset() == expected


def test_the_user_may_scroll_to_the_offset_0(app: Slicer) -> None:
    deep = Volume(np.full((8, 12, 16), 5.0), Geometry((8, 12, 16), (1.0, 1.0, 9.0)))
    comparison = Comparison(app.layouts.GetLayoutNode())
    comparison.show({View.LOW: app.volume(deep)}, Layout.TWO, linked=True)
    view = SliceView(app, View.LOW.value, (400, 80))
    for offset in (27, 18, 9, 0):
        scroll(view, offset)
    assert view.node.GetSliceOffset() == 0
    view.logic.ResizeSliceNode(200, 90)
    assert view.node.GetSliceOffset() == 0


def scroll(view: SliceView, offset: float) -> None:
    """Go to a slice as a user of the view's slider does."""
    view.logic.StartSliceOffsetInteraction()
    view.node.SetSliceOffset(offset)
    view.logic.EndSliceOffsetInteraction()


def test_a_slice_that_the_user_has_scrolled_to_stays(app: Slicer) -> None:
    comparison = Comparison(app.layouts.GetLayoutNode())
    comparison.show({View.LOW: app.volume(constant(5))}, Layout.TWO, linked=True)
    view = SliceView(app, View.LOW.value, (400, 80))
    first = view.node.GetSliceOffset()
    step = view.logic.GetLowestVolumeSliceSpacing()[2]
    view.logic.StartSliceOffsetInteraction()
    view.node.SetSliceOffset(first - step)
    view.logic.EndSliceOffsetInteraction()
    view.logic.ResizeSliceNode(200, 90)
    assert view.node.GetSliceOffset() == first - step
    assert whole(view)


@pytest.mark.parametrize("linked", [True, False])
def test_views_that_the_user_has_zoomed_stay_as_they_are(app: Slicer, linked: bool) -> None:
    comparison = Comparison(app.layouts.GetLayoutNode())
    shown = {View.LOW: app.volume(constant(5)), View.RESULT: app.volume(constant(6))}
    comparison.show(shown, Layout.TWO, linked)
    first, second = (SliceView(app, view.value, (400, 80)) for view in shown)
    second.logic.StartSliceNodeInteraction(second.node.FieldOfViewFlag)
    second.node.SetFieldOfView(20, 4, 1)
    second.logic.EndSliceNodeInteraction()
    first.node.SetFieldOfView(20, 4, 1)
    first.logic.ResizeSliceNode(200, 40)
    assert first.node.GetFieldOfView()[1] == 4
    comparison.show(shown, Layout.TWO, linked)
    assert not whole(second), "the smaller one gives the scale"
    assert whole(first)


def test_a_result_that_has_not_come_yet_is_an_empty_view(app: Slicer) -> None:
    comparison = Comparison(app.layouts.GetLayoutNode())
    low = app.volume(constant(5))
    empty = app.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "to come")
    empty.CreateDefaultDisplayNodes()
    comparison.show({View.LOW: low, View.RESULT: empty}, Layout.TWO)
    assert composite_node(app.scene, View.RESULT).GetBackgroundVolumeID() == empty.GetID()
    comparison.show({}, Layout.TWO)
    assert composite_node(app.scene, View.LOW).GetBackgroundVolumeID() is None


def test_legend_and_notice_are_drawn_by_slicers_own_managers(app: Slicer) -> None:
    need_drawing()
    LayoutSwitch(app.layouts.GetLayoutNode()).show(Layout.MAPS)
    view = SliceView(app, View.SSIM.value, (400, 300))
    window = Window(app, view)
    node = app.volume(constant(0.0))
    show_volumes(app.scene, {View.SSIM: node})
    same_field_of_view(app.scene, [View.SSIM], node)
    bare = window.pixels()
    legend = show_as_ssim(node)
    with_legend = window.pixels()
    yellow = np.abs(with_legend.astype(int) - np.array([253, 231, 37])).max(axis=2) < 20
    assert yellow.sum() > 20, "the upper end of the legend; the map itself is all at the lower end"
    assert not np.array_equal(bare, with_legend)
    notice = Notice(window.renderer, notice_text())
    with_notice = window.pixels()
    changed = (with_notice != with_legend).any(axis=2)
    assert changed[-72:].sum() > 200
    assert not changed[:-72].any()
    notice.remove()
    assert np.array_equal(window.pixels(), with_legend)
    legend.SetVisibility(False)
    assert not (np.abs(window.pixels().astype(int) - np.array([253, 231, 37])).max(axis=2) < 20).any()


@pytest.fixture(scope="module")
def drawn() -> dict[View, np.ndarray]:
    need_drawing()
    return comparison_picture()


def test_the_comparison_looks_as_it_did(drawn: dict[View, np.ndarray]) -> None:
    """Programs for OpenGL differ in the smoothing of letters and edges: a few pixels may, the picture may not."""
    stored = matplotlib.image.imread(STORED)[..., :3] * 255
    difference = np.abs(put_together(drawn) - stored).max(axis=2)
    assert difference.mean() < 1
    assert (difference > 40).mean() < 0.002


def test_the_whole_comparison_is_drawn(drawn: dict[View, np.ndarray]) -> None:
    views = {view: pixels.astype(int) for view, pixels in drawn.items()}
    amber = {view: (np.abs(pixels - [255, 194, 10]).max(axis=2) < 40).sum() for view, pixels in views.items()}
    assert amber[View.RESULT] > 50, "the notice"
    assert amber[View.LOW] == amber[View.TRUTH] == 0
    grey = {view: np.ptp(views[view][:-72], axis=2).max() for view in (View.LOW, View.RESULT, View.TRUTH)}
    assert set(grey.values()) == {0}
    edges = {view: np.abs(np.diff(views[view][:-72, :, 0], axis=1)).mean() for view in grey}
    assert edges[View.TRUTH] > 1.2 * edges[View.LOW]
    bright = {view: (views[view][:-72, :, 0] > 60).mean() for view in grey}
    assert bright[View.LOW] == pytest.approx(bright[View.TRUTH], rel=0.15), "the same place at the same scale"
    viridis = np.array(matplotlib.colormaps["viridis"].colors) * 255
    pixels = views[View.SSIM].reshape(-1, 3)
    distance = np.abs(pixels[:, None] - viridis[None, ::8]).max(axis=2).min(axis=1)
    assert (distance < 12).mean() > 0.4
    red, _, blue = views[View.DIFFERENCE].reshape(-1, 3).T
    assert (red - blue > 60).sum() > 200
    assert (blue - red > 60).sum() > 200
