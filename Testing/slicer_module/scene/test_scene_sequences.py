"""Sequences become series and come back; other things become sequences; a result fills up while it is looked at."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import slicer
from helpers.scenes import Slicer, multivolume, oblique, random_series, random_volume, rigid
from SRDynamicMRISlicer.scene.browsers import (
    add_browser,
    browse_together,
    browser_of,
    proxy_of,
    same_time_axis,
    sequence_of,
)
from SRDynamicMRISlicer.scene.provenance import facts_of, facts_of_result, place_beside, shows_generated, write_facts
from SRDynamicMRISlicer.scene.results import ResultSequence
from SRDynamicMRISlicer.scene.sequences import SequenceIndex, add_sequence, index_of, put, series_of
from SRDynamicMRISlicer.scene.series_import import as_sequence, load_sequence, stacked_time_points
from SRDynamicMRISlicer.scene.volumes import geometry_of, volume_of
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkCommand

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.files import write_series, write_volume
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Volume

FACTS = facts_of_result("abc123", Fraction=0.25)


@pytest.fixture
def app() -> Slicer:
    """A Slicer that lives as long as the test: its nodes go with it."""
    return Slicer()


def first_voxel(node: slicer.vtkMRMLScalarVolumeNode) -> float | None:
    """A voxel of a node, nothing if it is empty."""
    image = node.GetImageData()
    return None if image is None else float(vtk_to_numpy(image.GetPointData().GetScalars())[0])


def select(browser: slicer.vtkMRMLSequenceBrowserNode, number: int) -> None:
    browser.SetSelectedItemNumber(number)


# Reading


def test_a_series_comes_back(app: Slicer) -> None:
    series = random_series(oblique(), (0, 0.5, 1.25))
    again = series_of(app.sequence(series))
    assert again.times == series.times
    assert again.geometry.same_grid(series.geometry, 1e-9)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(again, series, strict=True))


def test_reading_leaves_the_users_time_point(app: Slicer) -> None:
    sequence = app.sequence(random_series(oblique()))
    browser = browser_of(sequence)
    select(browser, 1)
    shown = first_voxel(proxy_of(sequence))
    events: list[str] = []
    browser.AddObserver("ModifiedEvent", lambda *_: events.append("moved"))
    proxy_of(sequence).AddObserver("ModifiedEvent", lambda *_: events.append("drawn"))
    voxels = [volume.data[0, 0, 0] for volume in series_of(sequence)]
    assert len(set(voxels)) == 3
    assert voxels[1] == shown
    assert browser.GetSelectedItemNumber() == 1
    assert not events


def test_time_points_are_read_when_asked_for(app: Slicer, monkeypatch: pytest.MonkeyPatch) -> None:
    sequence = app.sequence(random_series(oblique()))
    asked: list[int] = []
    read = volume_of
    module = "SRDynamicMRISlicer.scene.sequences.volume_of"
    monkeypatch.setattr(module, lambda node: asked.append(1) or read(node))
    series = series_of(sequence)
    assert not asked
    series[2]
    assert len(asked) == 1


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1000), ("min", 1 / 60)])
def test_times_are_seconds_whatever_the_unit(app: Slicer, unit: str, scale: float) -> None:
    index = SequenceIndex("TriggerTime", unit, True, tuple(f"{time * scale:.12g}" for time in (0, 0.5, 1.25)))
    sequence = app.sequence(random_series(oblique()), index=index)
    assert series_of(sequence).times == pytest.approx((0, 0.5, 1.25))
    assert index_of(sequence) == index


def test_values_that_are_no_numbers_keep_their_order_and_are_numbered(app: Slicer) -> None:
    index = SequenceIndex("phase", "", False, ("inhale", "exhale", "hold"))
    series = random_series(oblique())
    sequence = app.sequence(series, index=index)
    assert index_of(sequence) == index
    again = series_of(sequence)
    assert again.times == (0, 1, 2)
    assert [v.data[0, 0, 0] for v in again] == [v.data[0, 0, 0] for v in series]


def test_times_closer_than_slicers_tolerance_stay_apart(app: Slicer) -> None:
    times = [0.0002 * number for number in range(5)]
    sequence = app.sequence(random_series(oblique(), times))
    assert series_of(sequence).times == pytest.approx(times)


def test_two_hundred_time_points_and_one(app: Slicer) -> None:
    volume = random_volume(oblique())
    for count in (1, 200):
        series = Series.of([volume.with_data(volume.data + number) for number in range(count)])
        sequence = app.sequence(series)
        again = series_of(sequence)
        assert len(again) == count
        assert np.array_equal(again[count - 1].data, series[count - 1].data)


def test_a_transform_of_what_is_shown_counts_for_all_time_points(app: Slicer) -> None:
    sequence = app.sequence(random_series(oblique()))
    proxy = proxy_of(sequence)
    proxy.SetAndObserveTransformNodeID(app.transform(rigid()).GetID())
    series = series_of(sequence)
    assert series.geometry.same_grid(geometry_of(proxy), 1e-9)
    assert not series.geometry.same_grid(oblique())
    assert series[2].shape == (3, 4, 5)


def test_a_geometry_that_changes_is_refused_by_the_number_of_its_time_point(app: Slicer) -> None:
    sequence = app.sequence(random_series(oblique()), "cine")
    put(sequence, random_volume(oblique(angles=(0, 0, 0))), "7")
    series = series_of(sequence)
    series[2]
    with pytest.raises(InputError, match="Time point 3 of cine has another size or place"):
        series[3]


def test_sequences_without_volumes_are_refused(app: Slicer) -> None:
    empty = app.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "nothing")
    with pytest.raises(InputError, match="nothing is an empty sequence"):
        series_of(empty)
    empty.SetDataNodeAtValue(slicer.vtkMRMLLinearTransformNode(), "0")
    with pytest.raises(InputError, match="not of volumes"):
        series_of(empty)


def test_a_series_that_cannot_be_read_leaves_nothing_in_the_scene(app: Slicer) -> None:
    series = random_series(oblique())

    def broken(number: int) -> np.ndarray:
        if number == 2:
            raise InputError("cut short")
        return series[number].data

    with pytest.raises(InputError):
        add_sequence(app.scene, Series(broken, series.times, series.geometry), "half")
    assert not app.names("vtkMRMLSequenceNode")


# Browsers


def test_what_a_browser_shows_is_found_again(app: Slicer) -> None:
    sequence = app.sequence(random_series(oblique()))
    alone = app.volume(random_volume(oblique()))
    proxy = proxy_of(sequence)
    assert sequence_of(proxy) is sequence
    assert sequence_of(alone) is None
    assert browser_of(add_sequence(app.scene, random_series(oblique()), "unseen")) is None


def test_one_slider_for_two_sequences(app: Slicer) -> None:
    series = random_series(oblique())
    sequence = app.sequence(series, "low")
    other = add_sequence(app.scene, series.map(lambda v: v.with_data(v.data + 1000), series.geometry), "truth")
    assert same_time_axis(sequence, other)
    browser = browser_of(sequence)
    browse_together(browser, other)
    browse_together(browser, other)
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 2
    for number in (2, 0, 1):
        select(browser, number)
        assert first_voxel(proxy_of(other)) == pytest.approx(first_voxel(proxy_of(sequence)) + 1000)


def test_sequences_with_other_times_cannot_share_a_slider(app: Slicer) -> None:
    first = app.sequence(random_series(oblique(), (0, 1, 2)))
    assert not same_time_axis(first, app.sequence(random_series(oblique(), (0, 1, 3))))
    assert not same_time_axis(first, app.sequence(random_series(oblique(), (0, 1))))


# What becomes a sequence


def test_a_volume_becomes_a_sequence_of_one(app: Slicer) -> None:
    node = app.volume(random_volume(oblique()), "scan")
    node.SetAndObserveTransformNodeID(app.transform(rigid()).GetID())
    sequence = as_sequence(node)
    series = series_of(sequence)
    assert len(series) == 1
    assert series.geometry.same_grid(geometry_of(node), 1e-9)
    assert browser_of(sequence) is not None
    assert sequence.GetName() == "scan sequence"


def test_a_sequence_and_what_shows_it_stand_for_themselves(app: Slicer) -> None:
    sequence = app.sequence(random_series(oblique()))
    assert as_sequence(sequence) is sequence
    assert as_sequence(proxy_of(sequence)) is sequence
    with pytest.raises(InputError, match="neither a sequence nor a volume"):
        as_sequence(app.transform(np.eye(4)))


def test_a_multivolume_is_taken_apart(app: Slicer) -> None:
    sequence = as_sequence(multivolume(app, "0,500,1250"))
    assert index_of(sequence) == SequenceIndex("TriggerTime", "ms", True, ("0", "500", "1250"))
    series = series_of(sequence)
    assert series.times == (0, 0.5, 1.25)
    assert series.geometry.same_grid(oblique(), 1e-9)
    expected = np.arange(60).reshape(3, 4, 5)
    assert all(np.array_equal(volume.data, expected + 100 * number) for number, volume in enumerate(series))


@pytest.mark.parametrize("labels", [None, "0,500", "a,b,c", "5,5,5"])
def test_a_multivolume_without_times_is_numbered(app: Slicer, labels: str | None) -> None:
    assert series_of(as_sequence(multivolume(app, labels))).times == (0, 1, 2)


@pytest.mark.parametrize("name", ["cine é.nii.gz", "cine é.seq.nrrd", "cine é"])
def test_files_and_folders_are_loaded(app: Slicer, tmp_path: Path, name: str) -> None:
    series = random_series(oblique(), (0, 0.5, 1))
    write_series(series, tmp_path / name)
    sequence = load_sequence(app.scene, tmp_path / name)
    assert sequence.GetName() == "cine é"
    again = series_of(sequence)
    assert again.times == pytest.approx(series.times)
    assert again.geometry.same_grid(series.geometry)
    assert all(np.allclose(a.data, b.data) for a, b in zip(again, series, strict=True))
    assert proxy_of(sequence) is not None


def test_a_file_that_cannot_be_read_adds_nothing(app: Slicer, tmp_path: Path) -> None:
    (tmp_path / "no.nii.gz").write_bytes(b"nothing")
    before = app.scene.GetNumberOfNodes()
    with pytest.raises(InputError):
        load_sequence(app.scene, tmp_path / "no.nii.gz")
    assert app.scene.GetNumberOfNodes() == before


def test_a_cine_that_was_stacked_into_a_volume_is_noticed() -> None:
    phantom = abdomen(2, (6, 48, 64), (5.0, 5.2, 9.0), time_points=4)
    frames = [volume.data for volume in phantom.dynamic]
    assert stacked_time_points(Volume(np.concatenate(frames))) == 6
    assert stacked_time_points(Volume(np.stack([frame[3] for frame in frames] * 3))) == 1
    assert stacked_time_points(abdomen(2, (24, 48, 64), (5.0, 5.2, 4.0), time_points=1).static) == 0
    assert stacked_time_points(Volume(np.zeros((12, 8, 8)))) == 0


# Results


def low_and_high(times: tuple[float, ...] = (0, 0.5, 1.25)) -> tuple[Series, Series]:
    """A low-resolution series and one on its high-resolution grid, which differ."""
    high = random_series(oblique((3, 8, 12)), times)
    return Series.of([downsample(volume, 0.25) for volume in high], times), high


def result_of(app: Slicer, **options: object) -> tuple[ResultSequence, Series, slicer.vtkMRMLSequenceNode]:
    low, high = low_and_high()
    source = app.sequence(low, "low")
    return ResultSequence(source, "low super-resolved", FACTS, **options), high, source


def test_a_result_fills_in_any_order_and_comes_back_whole(app: Slicer) -> None:
    result, high, source = result_of(app)
    for number in (2, 0, 1):
        result.add(number, high[number])
    assert result.done == {0, 1, 2}
    assert index_of(result.node) == index_of(source)
    again = series_of(result.node)
    assert again.geometry.same_grid(high.geometry, 1e-9)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(again, high, strict=True))


def test_a_result_keeps_the_order_of_an_index_of_words(app: Slicer) -> None:
    low, high = low_and_high()
    index = SequenceIndex("phase", "", False, ("inhale", "exhale", "hold"))
    result = ResultSequence(app.sequence(low, index=index), "result", FACTS)
    for number in (2, 1, 0):
        result.add(number, high[number])
    assert index_of(result.node) == index
    assert all(np.array_equal(a.data, b.data) for a, b in zip(series_of(result.node), high, strict=True))


def test_a_time_point_is_shown_as_soon_as_it_is_there(app: Slicer) -> None:
    result, high, source = result_of(app)
    browser = browser_of(source)
    assert result.proxy is None
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 1
    select(browser, 1)
    result.add(1, high[1])
    assert browser_of(result.node) is browser
    assert first_voxel(result.proxy) == high[1].data[0, 0, 0]
    select(browser, 0)
    assert first_voxel(result.proxy) is None
    result.add(0, high[0])
    assert first_voxel(result.proxy) == high[0].data[0, 0, 0]
    assert browser.GetSelectedItemNumber() == 0


def test_what_a_cancelled_run_did_not_reach_stays_empty(app: Slicer) -> None:
    result, high, source = result_of(app)
    result.add(0, high[0])
    proxy, browser = result.proxy, browser_of(source)
    for number, expected in ((1, None), (2, None), (0, high[0].data[0, 0, 0]), (1, None)):
        select(browser, number)
        assert first_voxel(proxy) == expected
    assert result.node.GetNumberOfDataNodes() == 1, "looking at a time point does not make one"


def test_a_file_of_the_worker_is_added(app: Slicer, tmp_path: Path) -> None:
    result, high, _ = result_of(app)
    write_volume(high[1], tmp_path / "frame_0001.nii.gz")
    result.add_file(1, tmp_path / "frame_0001.nii.gz")
    assert np.allclose(volume_of(result.node.GetNthDataNode(0)).data, high[1].data)
    with pytest.raises(InputError):
        result.add_file(2, tmp_path / "gone.nii.gz")
    assert result.done == {1}


def test_an_empty_chosen_node_is_used_and_a_full_one_left_alone(app: Slicer) -> None:
    chosen = app.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "mine")
    result, high, source = result_of(app, selected=chosen)
    assert result.node is chosen
    result.add(0, high[0])
    second = ResultSequence(source, "mine", FACTS, selected=chosen)
    assert second.node is not chosen
    assert second.node.GetName() != "mine"
    assert chosen.GetNumberOfDataNodes() == 1
    third = ResultSequence(source, "mine", FACTS, selected=chosen, overwrite=True)
    assert third.node is chosen
    assert chosen.GetNumberOfDataNodes() == 0
    assert third.proxy is None, "the result before is no longer shown"
    third.add(2, high[2])
    select(browser_of(source), 2)
    assert first_voxel(third.proxy) == high[2].data[0, 0, 0]


def test_the_input_is_never_the_output(app: Slicer) -> None:
    source = app.sequence(low_and_high()[0], "low")
    result = ResultSequence(source, "result", FACTS, selected=source, overwrite=False)
    assert result.node is not source
    assert source.GetNumberOfDataNodes() == 3


def test_a_result_says_what_it_is(app: Slicer) -> None:
    result, high, _ = result_of(app)
    result.add(0, high[0])
    for node in (result.node, result.node.GetNthDataNode(0), result.proxy):
        facts = facts_of(node)
        assert "Not for diagnosis" in facts["Notice"]
        assert facts["Model"] == "abc123"
        assert facts["Fraction"] == "0.25"
        assert facts["Version"]
    assert facts_of(app.volume(high[0])) == {}


def test_a_saved_result_is_still_one_when_it_is_loaded(app: Slicer, tmp_path: Path) -> None:
    result, high, source = result_of(app)
    result.add(0, high[0])
    result.add(2, high[2])
    again = app.saved_and_loaded(tmp_path)
    node = again.scene.GetFirstNodeByName(result.node.GetName())
    browser = browser_of(node)
    proxy = proxy_of(node, browser)
    assert facts_of(node) == facts_of(result.node)
    assert shows_generated(proxy)
    assert not shows_generated(proxy_of(again.scene.GetFirstNodeByName(source.GetName())))
    assert index_of(node).values == ("0", "1.25")
    for number in (0, 1, 2, 1):
        select(browser, number)
        expected = None if number == 1 else high[number].data[0, 0, 0]
        assert first_voxel(proxy) == expected
    series = series_of(node)
    assert series.geometry.same_grid(high.geometry, 1e-4)


def test_a_result_lies_beside_its_input_in_the_subject_hierarchy(app: Slicer) -> None:
    source = app.sequence(low_and_high()[0], "low")
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(app.scene)
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), "patient")
    for node in (source, proxy_of(source)):
        tree.CreateItem(patient, node)
    result = ResultSequence(source, "result", FACTS)
    result.add(0, low_and_high()[1][0])
    for node in (result.node, result.proxy):
        assert tree.GetItemParent(tree.GetItemByDataNode(node)) == patient


def test_what_has_no_place_in_the_hierarchy_is_put_at_its_root(app: Slicer) -> None:
    first, second = app.volume(random_volume(oblique())), app.volume(random_volume(oblique()))
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(app.scene)
    place_beside(first, second)
    assert tree.GetItemParent(tree.GetItemByDataNode(first)) == tree.GetSceneItemID()


def test_a_result_stays_with_a_transformed_input(app: Slicer) -> None:
    low, high = low_and_high()
    source = app.sequence(low, "low")
    transform = app.transform(rigid())
    proxy_of(source).SetAndObserveTransformNodeID(transform.GetID())
    world = series_of(source)
    moved = Volume(high[0].data, world.geometry.with_matrix((8, 12)))
    result = ResultSequence(source, "result", FACTS)
    result.add(0, moved)
    assert result.proxy.GetTransformNodeID() == transform.GetID()
    assert geometry_of(result.proxy).same_grid(moved.geometry, 1e-6)
    assert geometry_of(result.node.GetNthDataNode(0)).same_grid(high.geometry, 1e-6)
    assert series_of(result.node).geometry.same_grid(moved.geometry, 1e-6)


def test_a_result_is_shown_with_the_window_of_its_input(app: Slicer) -> None:
    low, high = low_and_high()
    source = app.sequence(low, "low")
    proxy_of(source).GetDisplayNode().SetAutoWindowLevel(False)
    proxy_of(source).GetDisplayNode().SetWindowLevelMinMax(7, 77)
    result = ResultSequence(source, "result", FACTS)
    result.add(0, high[0])
    display = result.proxy.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (7, 77)


def test_a_series_of_one_and_of_two_hundred_time_points_is_filled() -> None:
    for count in (1, 200):
        app = Slicer()
        volume = random_volume(oblique())
        series = Series.of([volume.with_data(volume.data + number) for number in range(count)])
        result = ResultSequence(app.sequence(series), "result", FACTS)
        for number in reversed(range(count)):
            result.add(number, series[number])
        assert len(series_of(result.node)) == count
        select(browser_of(result.node), count - 1)
        assert first_voxel(result.proxy) == series[count - 1].data[0, 0, 0]


@pytest.mark.parametrize("deleted", ["source", "result", "scene"])
def test_what_was_deleted_meanwhile_is_said(app: Slicer, deleted: str) -> None:
    result, high, source = result_of(app)
    result.add(0, high[0])
    if deleted == "scene":
        app.scene.Clear(False)
    else:
        app.scene.RemoveNode(source if deleted == "source" else result.node)
    with pytest.raises(InputError, match="deleted"):
        result.add(1, high[1])


def test_a_browser_deleted_meanwhile_is_made_again(app: Slicer) -> None:
    result, high, source = result_of(app)
    result.add(0, high[0])
    app.scene.RemoveNode(browser_of(source))
    result.add(1, high[1])
    assert browser_of(result.node) is browser_of(source) is not None


def test_a_dropped_result_leaves_no_observer(app: Slicer) -> None:
    result, high, source = result_of(app)
    observed = [node.HasObserver("ModifiedEvent") for node in (source, app.scene)]
    result.add(0, high[0])
    gone = weakref.ref(result)
    assert [node.HasObserver("ModifiedEvent") for node in (source, app.scene)] == observed
    del result
    gc.collect()
    assert gone() is None


def test_an_input_without_a_browser_gets_one(app: Slicer) -> None:
    low, high = low_and_high()
    source = add_sequence(app.scene, low, "bare")
    result = ResultSequence(source, "result", FACTS)
    result.add(1, high[1])
    assert browser_of(source) is browser_of(result.node) is not None
    browser = add_browser(add_sequence(app.scene, low, "other"))
    assert browser.GetSelectedItemNumber() == 0


def test_facts_are_written_at_once(app: Slicer) -> None:
    """Views that show a node do as much for each of its events as for a new image."""
    node, events = app.volume(Volume(np.ones((3, 4, 5)))), []
    node.AddObserver(vtkCommand.ModifiedEvent, lambda caller, event: events.append(event))
    write_facts(node, facts_of_result("abc", Seed=1))
    assert facts_of(node)["Model"] == "abc"
    assert len(events) == 1
