"""Inputs of jobs written from real MRML, models kept in scenes, and what jobs have made brought back."""

from __future__ import annotations

import base64
import csv
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.scenes import Slicer, oblique, random_series, random_volume, rigid
from SRDynamicMRISlicer.jobs.job import Kind
from SRDynamicMRISlicer.scene import job_files
from SRDynamicMRISlicer.scene.browsers import browser_of, proxy_of
from SRDynamicMRISlicer.scene.checks import check_images
from SRDynamicMRISlicer.scene.chosen_result import with_result
from SRDynamicMRISlicer.scene.job_files import TRILINEAR, ZERO_FILLED, JobFiles, JobNodes, numbers_of
from SRDynamicMRISlicer.scene.metrics_nodes import MapSequences, evaluation_from_csv
from SRDynamicMRISlicer.scene.model_nodes import add_model, hash_of_model, is_model, model_file, writing_model
from SRDynamicMRISlicer.scene.outputs import (
    RESULT,
    difference_map,
    map_steps,
    remove_sequence,
    saving_table,
    series_steps,
    write_figures,
)
from SRDynamicMRISlicer.scene.provenance import facts_of_result
from SRDynamicMRISlicer.scene.results import ResultSequence
from SRDynamicMRISlicer.scene.sequences import SequenceIndex, index_of, put, series_of
from SRDynamicMRISlicer.scene.volumes import store_volume, volume_of
from SRDynamicMRISlicer.step_queue import at_once

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import interpolate
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.evaluation import evaluate, write_csv
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.files import read_series, read_volume, write_series
from SRDynamicMRILib.models.checkpoints import file_sha256
from SRDynamicMRILib.volume import Series, Volume

TIMES = (0.0, 0.5, 1.25)
GRID = oblique((8, 9, 10))


@pytest.fixture
def app() -> Slicer:
    return Slicer()


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    return JobFiles(tmp_path / "Aufträge für MR")


def chosen(app: Slicer) -> JobNodes:
    return JobNodes(app.volume(random_volume(GRID), "planning"), app.sequence(random_series(GRID, TIMES), "cine"))


def same(first: Series, second: Series) -> bool:
    return (
        first.times == pytest.approx(second.times)
        and first.geometry.same_grid(second.geometry)
        and all(np.array_equal(a.data, b.data) for a, b in zip(first, second, strict=True))
    )


# Inputs


def test_inputs_are_written_as_the_views_show_them(app: Slicer, files: JobFiles) -> None:
    nodes = chosen(app)
    moved = app.transform(rigid())
    nodes.prior.SetAndObserveTransformNodeID(moved.GetID())
    proxy_of(nodes.series).SetAndObserveTransformNodeID(moved.GetID())
    prepared = at_once(files.prepare(Kind.SUPER_RESOLVE, nodes))
    expected = volume_of(nodes.prior)
    prior = read_volume(prepared.prior)
    assert prior.geometry.same_grid(expected.geometry)
    assert not prior.geometry.same_grid(GRID)
    assert np.array_equal(prior.data, expected.data)
    assert same(read_series(prepared.series), series_of(nodes.series))


@pytest.mark.parametrize("count", [1, 200])
def test_series_of_any_length(app: Slicer, files: JobFiles, count: int) -> None:
    small = Geometry((2, 3, 4), (1.0, 2.0, 3.0))
    series = random_series(small, [0.1 * n for n in range(count)])
    nodes = JobNodes(series=app.sequence(series))
    assert same(read_series(at_once(files.prepare(Kind.DOWNSAMPLE, nodes)).series), series)


def test_a_volume_is_a_series_of_one_time_point(app: Slicer, files: JobFiles) -> None:
    nodes = JobNodes(series=app.volume(random_volume(GRID)))
    prepared = at_once(files.prepare(Kind.SUPER_RESOLVE, nodes))
    assert prepared.prior is None
    assert len(read_series(prepared.series)) == 1


@pytest.mark.parametrize("kind", [Kind.FINE_TUNE, Kind.SUPER_RESOLVE, Kind.INTERPOLATE, Kind.DOWNSAMPLE])
def test_the_same_job_has_the_same_files_and_another_has_others(app: Slicer, files: JobFiles, kind: Kind) -> None:
    nodes = chosen(app)
    first = at_once(files.prepare(kind, nodes, "quick"))
    written = {path: path.stat().st_mtime_ns for path in files.folder.iterdir()}
    assert at_once(files.prepare(kind, nodes, "quick")) == first
    assert {path: path.stat().st_mtime_ns for path in files.folder.iterdir()} == written, "nothing is written twice"
    other = at_once(files.prepare(kind, nodes, "standard"))
    assert other.output != first.output
    assert other.series == first.series
    assert first.output.parent == files.folder
    assert first.output.suffix == (".safetensors" if kind is Kind.FINE_TUNE else ".nii"), "nothing is compressed"
    assert not first.output.exists()


def test_inputs_that_have_changed_are_written_again(app: Slicer, files: JobFiles) -> None:
    nodes = chosen(app)
    first = at_once(files.prepare(Kind.FINE_TUNE, nodes))
    put(nodes.series, random_volume(GRID, seed=99), index_of(nodes.series).values[1])
    second = at_once(files.prepare(Kind.FINE_TUNE, nodes))
    assert second.series != first.series
    assert second.prior == first.prior
    assert second.output != first.output
    store_volume(random_volume(GRID, seed=98), nodes.prior)
    assert at_once(files.prepare(Kind.FINE_TUNE, nodes)).prior != first.prior
    assert same(read_series(first.series), random_series(GRID, TIMES)), "what a running job reads stays"


def test_files_for_the_worker_are_uncompressed_and_written_beside_the_main_thread(
    app: Slicer, files: JobFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing and writing a time point took up to 0.1 s, during which the application did not answer."""
    threads: list[int] = []
    write = job_files._append

    def noted(*arguments: Any) -> None:
        threads.append(threading.get_ident())
        write(*arguments)

    monkeypatch.setattr(job_files, "_append", noted)
    grid = Geometry((11, 256, 256), (1.4, 1.4, 5.0))
    nodes = JobNodes(app.volume(random_volume(Geometry((40, 256, 256))), "plan"), app.sequence(random_series(grid)))
    at_once(files.prepare(Kind.SUPER_RESOLVE, nodes))
    assert len(threads) == 3 + 1
    assert threading.get_ident() not in threads
    series, planning = sorted(files.folder.iterdir(), key=lambda path: path.stat().st_size)
    assert series.stat().st_size == pytest.approx(3 * 4 * 11 * 256 * 256, abs=2000)
    assert planning.stat().st_size == pytest.approx(4 * 40 * 256 * 256, abs=2000)


@pytest.mark.parametrize("how", ["drop", "fail"])
def test_what_is_half_written_is_no_input(app: Slicer, files: JobFiles, how: str) -> None:
    nodes = chosen(app)
    if how == "fail":
        put(nodes.series, random_volume(Geometry((2, 2, 2))), index_of(nodes.series).values[2])
        with pytest.raises(InputError):
            at_once(files.prepare(Kind.DOWNSAMPLE, nodes))
    else:
        steps = files.prepare(Kind.DOWNSAMPLE, nodes)
        next(steps)
        assert list(files.folder.iterdir())
        del steps
    assert list(files.folder.iterdir()) == []


def test_a_time_point_that_changes_while_it_is_written_gives_no_false_name(app: Slicer, files: JobFiles) -> None:
    nodes = chosen(app)
    steps = files.prepare(Kind.DOWNSAMPLE, nodes)
    next(steps)
    put(nodes.series, random_volume(GRID, seed=99), index_of(nodes.series).values[2])
    assert at_once(steps).series == at_once(files.prepare(Kind.DOWNSAMPLE, nodes)).series


def test_other_times_or_another_place_are_other_files(app: Slicer, files: JobFiles) -> None:
    series = random_series(GRID, TIMES)
    late = Series.of(list(series), [1.0, 2.0, 3.0])
    aside = Series.of([Volume(v.data, Geometry(GRID.shape, GRID.spacing)) for v in series], TIMES)
    made = {
        at_once(files.prepare(Kind.DOWNSAMPLE, JobNodes(series=app.sequence(one)))).series
        for one in (series, late, aside)
    }
    assert len(made) == 3
    again = at_once(files.prepare(Kind.DOWNSAMPLE, JobNodes(series=app.sequence(series, "copy")))).series
    assert again in made, "an equal series of another node needs no other file"


def test_inputs_that_cannot_be_used_are_refused_in_words(app: Slicer, files: JobFiles) -> None:
    with pytest.raises(InputError, match="There is no dynamic series any more"):
        at_once(files.prepare(Kind.FINE_TUNE, JobNodes()))
    nodes = chosen(app)
    app.scene.RemoveNode(nodes.series)
    with pytest.raises(InputError, match="There is no dynamic series any more"):
        at_once(files.prepare(Kind.FINE_TUNE, nodes))
    bent = JobNodes(app.volume(random_volume(GRID), "bent scan"), app.sequence(random_series(GRID, TIMES)))
    bent.prior.SetAndObserveTransformNodeID(app.bending_transform().GetID())
    with pytest.raises(InputError, match="bent scan is bent by the transform"):
        at_once(files.prepare(Kind.FINE_TUNE, bent))
    mixed = app.sequence(random_series(GRID, TIMES), "mixed")
    put(mixed, random_volume(Geometry((2, 2, 2))), index_of(mixed).values[2])
    with pytest.raises(InputError, match="Time point 2 of mixed has another size"):
        at_once(files.prepare(Kind.DOWNSAMPLE, JobNodes(series=mixed)))
    assert not list(files.folder.glob(".*")), "nothing half written is left"


def test_a_folder_that_cannot_be_made(app: Slicer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        at_once(JobFiles(tmp_path / "file" / "folder").prepare(Kind.DOWNSAMPLE, chosen(app)))


# Comparison


def compared(app: Slicer, numbers: tuple[int, ...] = (0, 1, 2)) -> JobNodes:
    """A series, its truth, a result of some time points, and an interpolation of all."""
    truth = random_series(GRID, TIMES)
    low = app.sequence(Series.of([Volume(v.data * 0.8, GRID) for v in truth], TIMES), "low")
    result = ResultSequence(low, "low super-resolved", facts_of_result("abc"))
    smooth = ResultSequence(low, "low interpolated", {})
    for number in numbers:
        result.add(number, Volume(truth[number].data * 0.95, GRID))
    for number in range(3):
        smooth.add(number, Volume(truth[number].data * 0.9, GRID))
    prior = app.volume(random_volume(GRID), "planning")
    return JobNodes(prior, low, app.sequence(truth, "truth"), result.node, smooth.node)


@pytest.mark.parametrize("numbers", [(0, 1, 2), (1,), (0, 2)])
def test_only_time_points_that_the_result_has_are_compared(
    app: Slicer, files: JobFiles, numbers: tuple[int, ...]
) -> None:
    nodes = compared(app, numbers)
    assert numbers_of(nodes.result, nodes.series) == list(numbers)
    prepared = at_once(files.prepare(Kind.EVALUATE, nodes))
    truth = random_series(GRID, TIMES).select(list(numbers))
    assert [len(read_series(path)) for path in (prepared.truth, prepared.result)] == [len(numbers)] * 2
    assert all(np.array_equal(a.data, b.data) for a, b in zip(read_series(prepared.truth), truth, strict=True))
    assert set(prepared.baselines) == {TRILINEAR, ZERO_FILLED}
    assert all(len(read_series(path)) == len(numbers) for path in prepared.baselines.values())


def test_a_comparison_without_interpolation(app: Slicer, files: JobFiles) -> None:
    nodes = compared(app)
    some = JobNodes(nodes.prior, nodes.series, nodes.truth, nodes.result)
    assert set(at_once(files.prepare(Kind.EVALUATE, some)).baselines) == {TRILINEAR}


def test_a_result_of_another_series_is_refused(app: Slicer, files: JobFiles) -> None:
    nodes = compared(app)
    other = app.sequence(random_series(GRID, (7.0, 8.0, 9.0)), "other")
    with pytest.raises(InputError, match="low super-resolved has a time point 0 that other has not"):
        at_once(files.prepare(Kind.EVALUATE, JobNodes(nodes.prior, other, nodes.truth, nodes.result)))


def test_time_points_are_known_by_their_index_also_where_it_is_text(app: Slicer) -> None:
    index = SequenceIndex("phase", "", False, ("in", "mid", "out"))
    phases = app.sequence(random_series(GRID, TIMES), "phases", index)
    result = ResultSequence(phases, "made", {})
    for number in (2, 0):
        result.add(number, random_volume(GRID))
    assert numbers_of(result.node, phases) == [0, 2]


# Models


def test_a_model_survives_saving_and_loading_the_scene(app: Slicer, tmp_path: Path) -> None:
    file = tmp_path / "modèle.safetensors"
    file.write_bytes(np.random.default_rng(0).bytes(300_000))
    node = add_model(app.scene, file, "planning fine-tuned", Budget="quick")
    assert is_model(node)
    again = app.saved_and_loaded(tmp_path / "saved")
    loaded = next(
        again.scene.GetNthNodeByClass(n, "vtkMRMLTextNode")
        for n in range(again.scene.GetNumberOfNodesByClass("vtkMRMLTextNode"))
    )
    assert is_model(loaded)
    assert loaded.GetName() == node.GetName()
    assert hash_of_model(loaded) == file_sha256(file), "as the library has it"
    assert at_once(writing_model(loaded, tmp_path / "new")).read_bytes() == file.read_bytes()
    scene = next((tmp_path / "saved" / "saved").glob("*.mrml")).read_text(encoding="utf-8")
    assert len(scene) < 100_000, "the model has a file of its own"


def test_a_models_file_is_written_once(app: Slicer, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(b"weights")
    node = add_model(app.scene, file, "m")
    first = at_once(writing_model(node, tmp_path / "jobs"))
    time = first.stat().st_mtime_ns
    assert at_once(writing_model(node, tmp_path / "jobs")) == first
    assert first.stat().st_mtime_ns == time
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == [first.name]
    assert model_file(node, tmp_path / "jobs") == first
    assert not model_file(node, tmp_path / "other").exists(), "the name alone"


def test_a_model_is_decoded_beside_the_main_thread(
    app: Slicer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(b"weights")
    node = add_model(app.scene, file, "m")
    threads: list[threading.Thread] = []
    decode = base64.b64decode

    def noted(*arguments: Any, **options: Any) -> bytes:
        threads.append(threading.current_thread())
        return decode(*arguments, **options)

    monkeypatch.setattr(base64, "b64decode", noted)
    at_once(writing_model(node, tmp_path / "jobs"))
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


@pytest.mark.parametrize("damage", ["", "AAAA", "no base64!"])
def test_a_damaged_model_is_refused(app: Slicer, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(b"weights")
    node = add_model(app.scene, file, "my model")
    node.SetText(damage)
    with pytest.raises(InputError, match="my model holds no complete model; fine-tune again"):
        at_once(writing_model(node, tmp_path / "jobs"))


def test_other_texts_are_no_models(app: Slicer, tmp_path: Path) -> None:
    note = app.scene.AddNewNodeByClass("vtkMRMLTextNode", "note")
    assert not is_model(note)
    with pytest.raises(InputError, match="note holds no complete model"):
        at_once(writing_model(note, tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        add_model(app.scene, tmp_path / "missing.safetensors", "m")


# Facts


def test_facts_of_the_scene_as_the_presenter_takes_them(app: Slicer) -> None:
    nodes = compared(app, (0, 2))
    found = check_images(nodes.prior, nodes.series, nodes.truth)
    facts = with_result(found, nodes.result, True)
    assert (facts.prior.id, facts.prior.name, facts.prior.matrix) == (nodes.prior.GetID(), "planning", (10, 9, 8))
    assert facts.series.time_points == facts.truth.time_points == 3
    assert facts.prior.time_points == 1
    assert (facts.result.id, facts.result.time_points, facts.result.matrix) == (nodes.result.GetID(), 2, (10, 9, 8))
    assert facts.compared
    assert facts.problems == found.problems
    assert facts.fraction == found.fraction


def test_an_empty_result_is_none(app: Slicer) -> None:
    empty = app.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "empty")
    assert with_result(check_images(None, None), empty).result is None
    assert with_result(check_images(None, None)).series is None


# What jobs have made


def test_a_series_that_was_made_comes_one_time_point_at_a_time(app: Slicer, tmp_path: Path) -> None:
    source = app.sequence(random_series(GRID, TIMES), "cine")
    made = random_series(oblique((4, 5, 6)), TIMES)
    write_series(made, tmp_path / "made.seq.nrrd")
    result = ResultSequence(source, "cine 25%", {"Image": "low resolution"})
    counts = [result.node.GetNumberOfDataNodes() for _step in series_steps(result, tmp_path / "made.seq.nrrd")]
    assert [count for count in counts if count] == [1, 1, 2, 3], "the first is put in, and then shown"
    assert same(series_of(result.node), made)
    assert browser_of(result.node) is browser_of(source)
    with pytest.raises(InputError, match="has made 3 time points where 2 were expected"):
        at_once(series_steps(result, tmp_path / "made.seq.nrrd", [0, 1]))


def evaluated(nodes: JobNodes, files: JobFiles, folder: Path) -> tuple[Path, Path]:
    """Table and SSIM map as the worker writes them."""
    prepared = at_once(files.prepare(Kind.EVALUATE, nodes))
    methods = {name: read_series(path) for name, path in {**prepared.baselines, RESULT: prepared.result}.items()}
    truth = read_series(prepared.truth)
    maps: dict[int, np.ndarray] = {}

    def keep(name: str, number: int, values: np.ndarray) -> None:
        if name == RESULT:
            maps[number] = values

    evaluation = evaluate(methods, truth, None, keep)
    write_csv(evaluation, folder / "metrics.csv")
    ssim = Series.of([truth[number].with_data(maps[number]) for number in range(len(truth))], truth.times)
    write_series(ssim, folder / "ssim_result.nii.gz")
    return folder / "metrics.csv", folder / "ssim_result.nii.gz"


def test_maps_and_figures_of_a_comparison(app: Slicer, files: JobFiles, tmp_path: Path) -> None:
    nodes = compared(app, (0, 2))
    table, ssim = evaluated(nodes, files, tmp_path)
    evaluation = evaluation_from_csv(table)
    maps = MapSequences(nodes.series, nodes.result.GetName())
    at_once(map_steps(maps, ssim, nodes.result, nodes.truth, [0, 2]))
    assert numbers_of(maps.ssim.node, nodes.series) == [0, 2]
    difference = series_of(maps.difference.node)[1]
    truth = random_series(GRID, TIMES)[2]
    assert difference.data == pytest.approx(-0.05 * truth.data / truth.data.max(), abs=1e-5)
    assert series_of(maps.ssim.node)[0].data.mean() == pytest.approx(evaluation.whole[RESULT][0].ssim, abs=0.02)
    figures = write_figures(app.scene, evaluation, [0, 2], "low super-resolved", "ssim")
    assert figures.table.GetNumberOfRows() == 2
    assert figures.table.GetTable().GetValueByName(1, "Time point").ToString() == "2"
    assert figures.summary.GetNumberOfRows() == 3
    assert figures.chart.GetNumberOfPlotSeriesNodes() == 3
    again = write_figures(app.scene, evaluation, [0, 2], "low super-resolved", "psnr", True, figures)
    assert again == figures, "the same nodes"
    assert app.names("vtkMRMLTableNode") == ["low super-resolved metrics", "low super-resolved summary"]
    assert again.chart.GetTitle() == "PSNR (dB)"
    app.scene.RemoveNode(figures.table)
    third = write_figures(app.scene, evaluation, [0, 2], "low super-resolved", "psnr", False, figures)
    assert third.table.GetScene() is not None


def test_a_table_is_saved_with_all_digits(app: Slicer, files: JobFiles, tmp_path: Path) -> None:
    evaluation = evaluation_from_csv(evaluated(compared(app), files, tmp_path)[0])
    figures = write_figures(app.scene, evaluation, [0, 1, 2], "r", "ssim")
    at_once(saving_table(figures.table, tmp_path / "ü.csv"))
    with (tmp_path / "ü.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["Time point"] for row in rows] == ["0", "1", "2"]
    assert [float(row["Super-resolved: SSIM"]) for row in rows] == evaluation.values(RESULT, "ssim")
    with pytest.raises(OSError, match="nowhere"):
        at_once(saving_table(figures.table, tmp_path / "nowhere" / "t.csv"))


def test_a_result_that_has_changed_meanwhile_gets_no_maps(app: Slicer, files: JobFiles, tmp_path: Path) -> None:
    nodes = compared(app, (0, 2))
    ssim = evaluated(nodes, files, tmp_path)[1]
    maps = MapSequences(nodes.series, "r")
    steps = map_steps(maps, ssim, nodes.result, nodes.truth, [0, 2])
    with pytest.raises(InputError, match="has changed since it was compared"):
        at_once(map_steps(maps, ssim, nodes.result, nodes.truth, [0]))
    next(steps)
    app.scene.RemoveNode(nodes.truth)
    with pytest.raises(InputError, match="was deleted from the scene"):
        at_once(steps)


def test_the_difference_is_of_where_the_result_lies() -> None:
    truth = random_volume(oblique((8, 16, 24)))
    brighter = difference_map(truth.with_data(truth.data + 3), truth)
    assert brighter.data == pytest.approx(3 / truth.data.max(), rel=1e-4)
    assert brighter.geometry == truth.geometry
    low = downsample(truth, 0.25)
    expected = difference_map(interpolate(low, truth.geometry, "trilinear"), truth)
    assert np.abs(difference_map(low, truth).data - expected.data).mean() < 1e-3
    away = Volume(truth.data, Geometry(truth.shape, (1, 1, 1), (9e3, 0, 0)))
    with pytest.raises(InputError, match="overlap"):
        difference_map(away, truth)


def test_a_truth_without_intensities_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="nowhere above zero"):
        difference_map(random_volume(GRID), Volume(np.zeros(GRID.shape), GRID))


def test_a_sequence_goes_with_what_shows_it(app: Slicer) -> None:
    sequence = app.sequence(random_series(GRID, TIMES), "old")
    proxy = proxy_of(sequence)
    remove_sequence(sequence)
    assert sequence.GetScene() is None
    assert proxy.GetScene() is None
    remove_sequence(sequence)
    remove_sequence(None)
