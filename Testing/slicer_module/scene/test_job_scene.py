"""Jobs on a real scene with the real worker: what they read is written from it, and what they make comes back."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import slicer
from helpers.desk import Desk, low_patient
from helpers.patient import FRACTION, LOW_SHAPE, SHAPE, TIME_POINTS, Patient
from helpers.scenes import Slicer, random_series, random_volume, rigid
from SRDynamicMRISlicer.jobs.job import Job, Kind
from SRDynamicMRISlicer.presenter.acquisition_choices import AcquisitionChoices
from SRDynamicMRISlicer.presenter.choices import Choices
from SRDynamicMRISlicer.presenter.chosen_job import chosen_job
from SRDynamicMRISlicer.presenter.panel_choices import Intensities, Metric, TimePoints, TrainingBudget
from SRDynamicMRISlicer.presenter.states import RUNNING, State
from SRDynamicMRISlicer.scene.browsers import browser_of, proxy_of
from SRDynamicMRISlicer.scene.checks import check_images, examine_voxels
from SRDynamicMRISlicer.scene.job_files import JobFiles, JobNodes
from SRDynamicMRISlicer.scene.job_scene import is_compared
from SRDynamicMRISlicer.scene.metrics_nodes import SHOWN, MapSequences
from SRDynamicMRISlicer.scene.model_nodes import add_model, hash_of_model
from SRDynamicMRISlicer.scene.outputs import SSIM_MAP, map_steps, series_steps
from SRDynamicMRISlicer.scene.parameters import RENAMED, Parameters, acquisition_of, by_name, rename_parameters
from SRDynamicMRISlicer.scene.provenance import (
    consistency_of,
    facts_of,
    facts_of_acquisition,
    facts_of_consistency,
    warnings_of,
    write_facts,
)
from SRDynamicMRISlicer.scene.results import ResultSequence
from SRDynamicMRISlicer.scene.sample_data import make_samples
from SRDynamicMRISlicer.scene.sequences import index_of, series_of
from SRDynamicMRISlicer.step_queue import at_once

from SRDynamicMRILib.acquisition.scanner import ScanSettings, simulate
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.outputs import RESULT
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.files import read_series, read_volume, write_series
from SRDynamicMRILib.models.checkpoints import file_sha256
from SRDynamicMRILib.models.pretrained import base_model
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.requests import DownsampleRequest, ImportCheckpointRequest
from SRDynamicMRILib.volume import Series

FLAT = Geometry((4, 12, 16), (1.0, 1.0, 3.0))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(Slicer(), tmp_path)


def test_a_series_is_simulated_like_a_scanner(desk: Desk, patient: Patient) -> None:
    p = desk.parameters
    full = read_series(patient.dynamic)
    p.dynamicSeries = desk.app.sequence(full, "cine")
    desk.look(simulated_fraction=FRACTION, like_scanner=True, seed=5)
    desk.run("simulate")
    low = series_of(p.dynamicSeries)
    expected = simulate(full, ScanSettings.like_scanner(fraction=FRACTION), seed=5)
    assert low.geometry.same_grid(expected.geometry), "twice the acquired matrix"
    for one, other in zip(low, expected, strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-5, atol=1e-3)


@pytest.mark.slow
def test_the_whole_path_on_a_moved_patient(desk: Desk, patient: Patient) -> None:
    """Simulate, fine-tune, super-resolve, interpolate, evaluate: everything lies where the patient was moved to."""
    p, app = desk.parameters, desk.app
    moved = app.transform(rigid())
    full = app.sequence(read_series(patient.dynamic), "cine")
    p.priorVolume, p.dynamicSeries = app.volume(read_volume(patient.static), "planning"), full
    for node in (p.priorVolume, proxy_of(full)):
        node.SetAndObserveTransformNodeID(moved.GetID())
    p.baseModel = str(patient.model)

    desk.look(simulated_fraction=FRACTION)
    desk.run("simulate")
    assert p.groundTruth is full
    low = p.dynamicSeries
    assert low.GetName() == "cine 25%"
    assert series_of(low).geometry.shape == LOW_SHAPE
    assert series_of(low).times == pytest.approx(series_of(full).times)
    assert browser_of(low) is browser_of(full)
    assert proxy_of(low).GetTransformNodeID() == moved.GetID()
    assert "Notice" not in facts_of(low), "no network has made it"

    desk.look(budget="quick")
    desk.run("fine_tune")
    assert p.tunedOn is p.priorVolume
    assert p.tunedModel.GetName() == "planning fine-tuned model"
    assert len(desk.presenter.content.loss) > 1

    desk.run("super_resolve")
    assert desk.frames == [0, 1, 2]
    assert p.result.GetNumberOfDataNodes() == TIME_POINTS
    assert series_of(p.result).geometry.shape == SHAPE
    assert series_of(p.result).geometry.same_grid(series_of(full).geometry, 0.5)
    facts = facts_of(p.result)
    assert facts["Model"] == hash_of_model(p.tunedModel)
    assert facts["FineTuned"] == "True"
    assert p.result.GetNodeReference("SRDynamicMRI.series") is low
    assert p.result.GetNodeReference("SRDynamicMRI.planningScan") is p.priorVolume
    assert p.tunedModel.GetNodeReference("SRDynamicMRI.planningScan") is p.priorVolume
    assert facts_of(p.result.GetNthDataNode(2))["Model"] == facts["Model"]
    residual, synthesised = consistency_of(p.result)
    assert residual < 1e-4
    assert 0.001 < synthesised < 0.5
    assert f"synthesised share {100 * synthesised:.2f}% (both RMS)" in desk.presenter.content.notice
    assert warnings_of(p.result) == ()
    texts = [*facts.values(), *facts_of(p.tunedModel).values()]
    assert not [text for text in texts if "planning" in text or "cine" in text], (
        "names of nodes may be those of patients"
    )
    assert desk.asked == []

    desk.run("interpolate")
    assert p.interpolated.GetNumberOfDataNodes() == TIME_POINTS
    assert not is_compared(p)
    desk.run("evaluate")
    assert is_compared(p)
    assert desk.presenter.content.export.enabled
    assert p.metricsTable.GetNumberOfRows() == TIME_POINTS
    assert p.metricsTable.GetNumberOfColumns() == 2 + 3 * len(SHOWN)
    assert [p.ssimMaps.GetNumberOfDataNodes(), p.differenceMaps.GetNumberOfDataNodes()] == [TIME_POINTS] * 2
    assert browser_of(p.ssimMaps) is browser_of(low)
    assert series_of(p.ssimMaps).geometry.same_grid(series_of(full).geometry, 0.01)
    assert desk.jobs.report.startswith("<!DOCTYPE html>")
    before = p.summaryTable.GetCellText(0, 1)
    p.metric, p.bodyOnly = Metric.PSNR, True
    desk.jobs.choose_figures()
    assert p.metricChart.GetTitle() == "PSNR (dB)"
    assert p.summaryTable.GetCellText(0, 1) != before
    assert desk.made == [Kind.DOWNSAMPLE, Kind.FINE_TUNE, Kind.SUPER_RESOLVE, Kind.INTERPOLATE, Kind.EVALUATE]
    assert desk.errors == []

    # Once more: maps are replaced, not piled up, and nothing is asked since the job is the same.
    old = p.ssimMaps
    desk.run("super_resolve")
    desk.run("evaluate")
    assert old.GetScene() is None
    assert desk.asked == []
    assert app.names("vtkMRMLTableNode") == ["cine 25% super-resolved metrics", "cine 25% super-resolved summary"]
    assert len([name for name in app.names("vtkMRMLSequenceNode") if "super-resolved" in name]) == 3

    again = app.saved_and_loaded(desk.folder / "saved")
    loaded = again.scene.GetFirstNodeByName("planning fine-tuned model")
    assert hash_of_model(loaded) == hash_of_model(p.tunedModel)
    loaded = again.scene.GetFirstNodeByName(p.result.GetName())
    assert consistency_of(loaded) == consistency_of(p.result)
    assert loaded.GetNodeReference("SRDynamicMRI.series").GetName() == "cine 25%"


def test_no_attribute_holds_the_name_of_a_patient(desk: Desk, patient: Patient) -> None:
    """Slicer names nodes of DICOM files after what stands in them."""
    low_patient(desk, patient)
    p = desk.parameters
    p.priorVolume.SetName("ZQFAMILY planning")
    p.dynamicSeries.SetName("ZQFAMILY cine")
    desk.look(first_time_point=1, last_time_point=1, time_point_selection=TimePoints.RANGE)
    desk.run("super_resolve")
    made = [p.result, p.result.GetNthDataNode(0), proxy_of(p.result)]
    assert all(facts_of(node) for node in made)
    assert [facts_of(node) for node in made if "ZQ" in str(facts_of(node))] == []
    assert [file.name for file in desk.folder.rglob("*") if "ZQ" in file.name] == []


def test_warnings_are_saved_with_the_result(desk: Desk) -> None:
    node = desk.app.sequence(random_series(FLAT), "result")
    assert (consistency_of(node), warnings_of(node)) == (None, ())
    figures = [{"residual": 0, "synthesised": 0.1}, {"residual": 0.2, "synthesised": 0.3}]
    write_facts(node, facts_of_consistency({"consistency": figures, "warnings": ["One; two: 3%.", "B."]}))
    loaded = desk.app.saved_and_loaded(desk.folder / "saved").scene.GetFirstNodeByName("result")
    assert warnings_of(loaded) == ("One; two: 3%.", "B.")
    assert consistency_of(loaded) == (0.2, 0.2)
    write_facts(loaded, {"SynthesisedShare": "much"})
    assert consistency_of(loaded) is None


def test_a_result_says_how_its_series_was_acquired(desk: Desk, patient: Patient) -> None:
    """What was declared goes to the worker, and what that has made of it comes back with the result."""
    low_patient(desk, patient)
    desk.look(
        first_time_point=1,
        last_time_point=1,
        time_point_selection=TimePoints.RANGE,
        acquisition=AcquisitionChoices(window="hann", noise="2.5", intensities=Intensities.MAGNITUDES),
    )
    desk.run("super_resolve")
    result = desk.parameters.result
    rows, columns = read_series(patient.low).geometry.shape[1:]
    loaded = desk.app.saved_and_loaded(desk.folder / "saved").scene.GetFirstNodeByName(result.GetName())
    for node in (result, result.GetNthDataNode(0), loaded):
        facts = facts_of(node)
        assert facts["AcquiredMatrix"] == f"{rows}x{columns}"
        assert (facts["Window"], facts["Noise"], facts["Magnitude"]) == ("hann", "2.5", "True")
        assert facts["Declared"] == "window, noise, magnitude"


def test_a_sidecar_without_the_acquisition_says_nothing_of_it() -> None:
    assert facts_of_acquisition({}) == {}
    assert facts_of_acquisition({"acquired_matrix": [3, 4], "acquired_from": "declared"}) == {}


def test_figures_of_earlier_versions_are_read(desk: Desk) -> None:
    """They called the residual an error, and the synthesised share what was added, in scenes as in sidecars."""
    node = desk.app.sequence(random_series(FLAT), "result")
    write_facts(node, {"FidelityError": "0.03", "Added": "0.1"})
    assert consistency_of(node) == (0.03, 0.1)
    write_facts(node, facts_of_consistency({"fidelity": [{"error": 0.5, "added": 0.25}], "warnings": []}))
    assert consistency_of(node) == (0.5, 0.25)
    assert facts_of_consistency({"warnings": ["No figures."]}) == {"Warnings": "No figures."}


def test_the_model_of_a_loaded_scene_is_written_when_a_job_needs_it(desk: Desk, patient: Patient) -> None:
    low_patient(desk, patient)
    node = desk.parameters.tunedModel = add_model(desk.app.scene, patient.model, "fine-tuned")
    desk.look()
    file = desk.presenter.choices.tuned_model
    assert not file.exists(), "it is decoded in the background, not when it is chosen"
    at_once(desk.jobs.prepare(Kind.SUPER_RESOLVE, desk.presenter.choices))
    assert file.read_bytes() == patient.model.read_bytes()
    file.unlink()
    node.SetText("damaged")
    with pytest.raises(InputError, match="holds no complete model"):
        at_once(desk.jobs.prepare(Kind.SUPER_RESOLVE, desk.presenter.choices))


def test_a_result_kept_after_cancelling_names_the_model_that_made_it(desk: Desk, patient: Patient) -> None:
    """The worker chooses among the pretrained models, by the fraction that it finds."""
    low_patient(desk, patient)
    p = desk.parameters
    p.baseModel = ""
    desk.look()
    desk.presenter.super_resolve()
    desk.loop.run_until(lambda: p.result is not None)
    facts = facts_of(p.result)
    desk.presenter.cancel()
    desk.loop.run_until(lambda: desk.presenter.state not in (*RUNNING, State.CANCELLING) and desk.queue.waiting == 0)
    assert facts["Model"] == file_sha256(base_model(FRACTION)) != file_sha256(base_model())
    assert facts["FineTuned"] == "False"
    assert "Notice" in facts
    kept = [p.result, proxy_of(p.result), p.result.GetNthDataNode(0)]
    assert [facts_of(node)["Model"] for node in kept] == [facts["Model"]] * 3


def test_a_result_deleted_while_it_is_computed_is_not_done(desk: Desk, patient: Patient) -> None:
    low_patient(desk, patient)
    desk.look()
    p = desk.parameters
    desk.presenter.super_resolve()
    desk.loop.run_until(lambda: p.result is not None)
    assert not desk.jobs.lost_result
    desk.app.scene.RemoveNode(p.result)
    p.result = None
    assert desk.jobs.lost_result
    if desk.presenter.state is State.SUPER_RESOLVING:  # as the module does when a node goes
        desk.presenter.give_up("The result was deleted.")
    desk.loop.run_until(lambda: desk.presenter.state not in (*RUNNING, State.CANCELLING) and desk.queue.waiting == 0)
    assert desk.made == []
    assert p.result is None
    assert "was deleted" in desk.presenter.content.status
    desk.errors.clear()
    desk.run("super_resolve")
    assert p.result.GetNumberOfDataNodes() == TIME_POINTS


def test_a_result_deleted_before_it_is_all_there_is_not_done(desk: Desk, patient: Patient) -> None:
    """The worker is faster than the scene: it has ended when the result is deleted."""
    low_patient(desk, patient)
    desk.look()
    desk.presenter.super_resolve()
    desk.loop.run_until(lambda: desk.parameters.result is not None)
    desk.app.scene.RemoveNode(desk.parameters.result)
    desk.parameters.result = None
    desk.loop.run_until(lambda: desk.presenter.state not in RUNNING and desk.queue.waiting == 0)
    assert desk.presenter.state is State.FAILED
    assert desk.presenter.content.status == (
        "The result was deleted from the scene before it was complete; super-resolve again."
    )
    assert desk.made == []


def test_time_points_that_the_worker_has_put_together_already_are_shown_too(desk: Desk, patient: Patient) -> None:
    """It deletes their single files at its end, when the scene may not have read them."""
    low_patient(desk, patient)
    p = desk.parameters
    desk.presenter.frame_ready.clear()
    desk.look()
    desk.run("super_resolve")
    assert p.result.GetNumberOfDataNodes() == TIME_POINTS
    assert consistency_of(p.result) is not None
    assert browser_of(p.result) is browser_of(p.dynamicSeries)
    desk.presenter.frame_ready.connect(
        lambda number, path, model: desk.jobs.add_frame(number, path.with_name("gone.nii.gz"), model)
    )
    p.result = None
    desk.look(first_time_point=1, last_time_point=2, time_point_selection=TimePoints.RANGE)
    desk.run("super_resolve")
    assert index_of(p.result).values == index_of(p.dynamicSeries).values[1:3]
    assert desk.errors == []


def test_a_time_point_that_cannot_be_read_is_told(desk: Desk) -> None:
    desk.parameters.dynamicSeries = desk.app.sequence(random_series(FLAT), "cine")
    desk.look()
    at_once(desk.jobs.prepare(Kind.SUPER_RESOLVE, desk.presenter.choices))
    (desk.folder / "frame_0000.nii.gz").write_bytes(b"nothing")
    desk.jobs.add_frame(0, desk.folder / "frame_0000.nii.gz", "abc")
    desk.loop.run_until(lambda: desk.queue.waiting == 0)
    assert "frame_0000.nii.gz is damaged" in str(desk.errors[0])


def test_no_step_takes_long(desk: Desk, tmp_path: Path) -> None:
    """What the main thread does at once, in its own time: other programs do not count. 20 time points of real size."""
    grid = Geometry((11, 256, 256), (1.4, 1.4, 5.0))
    first = random_volume(grid)
    series = Series.of([first.with_data(first.data + number) for number in range(20)], [0.05 * n for n in range(20)])
    still = random_volume(Geometry((44, 256, 256), (1.4, 1.4, 1.2)))
    nodes = JobNodes(desk.app.volume(still), desk.app.sequence(series, "cine"), desk.app.sequence(series, "truth"))
    series_file = at_once(JobFiles(tmp_path).prepare(Kind.DOWNSAMPLE, nodes)).series
    result = ResultSequence(nodes.series, "result", {})
    work = {
        "tell of the inputs": (check_images(nodes.prior, nodes.series, nodes.truth) for _ in range(20)),
        "look at the voxels": examine_voxels(nodes.prior, nodes.series, nodes.truth),
        "write the inputs": JobFiles(tmp_path / "jobs").prepare(Kind.SUPER_RESOLVE, nodes),
        "bring in a series": series_steps(result, series_file),
        "bring in maps": map_steps(
            MapSequences(nodes.series, "result"), series_file, result.node, nodes.truth, range(20)
        ),
    }
    for name, steps in work.items():
        longest, count = 0.0, 0
        started = time.thread_time()
        for _step in steps:
            ended = time.thread_time()
            longest, started, count = max(longest, ended - started), ended, count + 1
        assert count >= 20, name
        assert longest < 0.1, f"{name}: {longest:.3f} s"


@pytest.mark.parametrize("answer", [True, False], ids=["replace", "keep"])
def test_results_are_never_lost_unasked(tmp_path: Path, patient: Patient, answer: bool) -> None:
    desk = Desk(Slicer(), tmp_path, answer)
    low_patient(desk, patient)
    p = desk.parameters
    p.result = desk.app.sequence(random_series(FLAT), "precious")
    precious = p.result
    kept = series_of(precious)[0].data
    desk.look(first_time_point=1, last_time_point=1, time_point_selection=TimePoints.RANGE)
    desk.run("super_resolve")
    assert desk.asked == ["precious holds results. Replace them? If not, the new results go to a new sequence."]
    assert (p.result is precious) is answer
    assert p.result.GetNumberOfDataNodes() == 1
    assert np.array_equal(series_of(precious)[0].data, kept) is not answer
    assert facts_of(p.result)["Model"] == file_sha256(patient.model)
    assert facts_of(p.result)["FineTuned"] == "False"


def test_a_single_volume_becomes_a_sequence_once(desk: Desk, patient: Patient) -> None:
    low_patient(desk, patient)
    p = desk.parameters
    p.dynamicSeries = desk.app.volume(read_volume(patient.low_volume), "one time point")
    desk.jobs.take_series()
    sequence = p.dynamicSeries
    assert sequence.IsA("vtkMRMLSequenceNode")
    desk.jobs.take_series()
    assert p.dynamicSeries is sequence
    desk.look()
    desk.run("super_resolve")
    assert p.result.GetNumberOfDataNodes() == 1


def test_sample_data_are_loaded_and_chosen(desk: Desk) -> None:
    make_samples(desk.folder / "samples", lambda: abdomen(1, SHAPE, (5.0, 5.2, 9.0), 2))
    desk.parameters.groundTruth = desk.app.sequence(random_series(FLAT))
    at_once(desk.jobs.load_samples())
    p = desk.parameters
    assert p.priorVolume.GetName() == "Phantom planning scan"
    assert p.dynamicSeries.GetNumberOfDataNodes() == 2
    assert p.groundTruth is None


def finished(desk: Desk, kind: Kind, outputs: dict[str, Path], **choices: object) -> None:
    desk.look(**choices)
    files = at_once(desk.jobs.prepare(kind, desk.presenter.choices))
    desk.jobs.finish(chosen_job(kind, files, desk.presenter.choices, None), outputs)
    desk.loop.run_until(lambda: desk.queue.waiting == 0)


def test_an_imported_model_is_the_base_model(desk: Desk) -> None:
    desk.jobs.checkpoint, desk.jobs.imported = desk.folder / "a.pth", desk.folder / "a.safetensors"
    files = at_once(desk.jobs.prepare(Kind.IMPORT_MODEL, Choices()))
    assert (files.checkpoint, files.output) == (desk.jobs.checkpoint, desk.jobs.imported)
    desk.jobs.finish(
        Job(ImportCheckpointRequest(input=Path(), output=Path())), {"model": desk.folder / "a.safetensors"}
    )
    desk.loop.run_until(lambda: desk.queue.waiting == 0)
    assert desk.parameters.baseModel == str(desk.folder / "a.safetensors")
    assert at_once(desk.jobs.prepare(Kind.PHANTOM, Choices())).output == desk.folder / "samples"


def test_a_source_deleted_while_its_copy_comes_in_stops_that(desk: Desk) -> None:
    series = random_series(FLAT)
    write_series(series, desk.folder / "low.seq.nrrd")
    source = desk.parameters.dynamicSeries = desk.app.sequence(series, "cine")
    desk.look()
    at_once(desk.jobs.prepare(Kind.DOWNSAMPLE, desk.presenter.choices))
    desk.jobs.finish(
        Job(DownsampleRequest(input=Path(), output=Path(), fraction=0.25)), {"output": desk.folder / "low.seq.nrrd"}
    )
    desk.loop.run_until(lambda: "cine 6.25%" in desk.app.names("vtkMRMLSequenceNode"))
    desk.app.scene.RemoveNode(source)
    desk.loop.run_until(lambda: desk.queue.waiting == 0)
    assert [str(error) for error in desk.errors] == [
        "The series or its result was deleted from the scene, so the result cannot be shown."
    ]
    assert desk.made == []
    assert desk.parameters.groundTruth is None, "half a series is not chosen"


def test_a_closed_scene_gets_nothing_any_more(desk: Desk) -> None:
    write_series(random_series(FLAT), desk.folder / "low.seq.nrrd")
    desk.parameters.dynamicSeries = desk.app.sequence(random_series(FLAT), "cine")
    desk.look()
    at_once(desk.jobs.prepare(Kind.DOWNSAMPLE, desk.presenter.choices))
    desk.jobs.finish(
        Job(DownsampleRequest(input=Path(), output=Path(), fraction=0.25)), {"output": desk.folder / "low.seq.nrrd"}
    )
    desk.jobs.set_parameters(None)
    assert desk.queue.waiting == 0
    with pytest.raises(RuntimeError, match="there is no parameter node"):
        at_once(desk.jobs.load_samples())


def test_a_damaged_output_is_told_in_words(desk: Desk) -> None:
    (desk.folder / "low.seq.nrrd").write_bytes(b"nothing")
    desk.parameters.dynamicSeries = desk.app.sequence(random_series(FLAT), "cine")
    finished(desk, Kind.DOWNSAMPLE, {"output": desk.folder / "low.seq.nrrd"})
    desk.parameters.priorVolume = desk.app.volume(random_volume(FLAT))
    finished(desk, Kind.FINE_TUNE, {"model": desk.folder / "missing.safetensors"})
    assert [type(error) for error in desk.errors] == [InputError, InputError]
    assert "cannot be read" in str(desk.errors[1])
    assert desk.made == []


def test_names_are_those_of_the_worker() -> None:
    assert f"ssim map of {RESULT}" == SSIM_MAP


def test_only_the_chosen_result_counts_as_compared(desk: Desk) -> None:
    p = desk.parameters
    assert not is_compared(p)
    p.metricsTable = desk.app.scene.AddNewNodeByClass("vtkMRMLTableNode", "t")
    p.result = desk.app.sequence(random_series(FLAT), "r")
    assert not is_compared(p)
    p.metricsTable.SetNodeReferenceID("SRDynamicMRI.result", p.result.GetID())
    assert is_compared(p)
    p.result = desk.app.sequence(random_series(FLAT), "other")
    assert not is_compared(p)


def test_choices_of_earlier_scenes_keep_their_values_under_the_names_of_today() -> None:
    node = slicer.vtkMRMLScriptedModuleNode()
    before = {"reveal": "CURTAIN", "revealAgainst": "TRUTH", "curtain": "25", "knownPercent": "10", "frames": "RANGE"}
    for name, value in {**before, "firstFrame": "1", "lastFrame": "3", "budget": "LONG"}.items():
        node.SetParameter(name, value)
    rename_parameters(node)
    assert {name: node.GetParameter(name) for name in node.GetParameterNames()} == {
        "compareMode": "SWIPE",
        "compareWith": "TRUTH",
        "swipePosition": "25",
        "acquiredPercent": "10",
        "timePointSelection": "RANGE",
        "firstTimePoint": "1",
        "lastTimePoint": "3",
        "budget": "LONG",
    }
    node.SetParameter("reveal", "BLINK")  # as if saved by both versions
    rename_parameters(node)
    assert node.GetParameter("compareMode") == "SWIPE"
    assert not node.HasParameter("reveal")
    assert set(RENAMED.values()) <= set(Parameters.__annotations__)


def test_choices_are_taken_from_the_parameter_of_their_name() -> None:
    class Node(Parameters):
        keepContrast = True
        budget = TrainingBudget.LONG
        timePointSelection = TimePoints.SHOWN

    choices = Choices(**by_name(Node()))
    assert choices == Choices(keep_contrast=True, budget="long", time_point_selection=TimePoints.SHOWN)
    plain = {"like_scanner", "use_tuned", "budget", "keep_contrast", "device", "seed"}
    assert set(by_name(Node())) == plain | {"time_point_selection", "first_time_point", "last_time_point"}


def test_what_is_declared_is_taken_from_the_parameters() -> None:
    parameters = Parameters()
    assert acquisition_of(parameters) == AcquisitionChoices()
    parameters.acquiredRows, parameters.acquiredColumns = 24, 32
    parameters.kspaceWindow, parameters.noise, parameters.intensities = "hann", "2.5", Intensities.SIGNED
    assert acquisition_of(parameters) == AcquisitionChoices(24, 32, "hann", "2.5", Intensities.SIGNED)
