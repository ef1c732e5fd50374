"""Every kind of bad input, three ways: on the command line, from Python, and in the Slicer module.

`TABLE` is the list. Most of its tests stand elsewhere, by subject; here are those of the module that need what the
worker says.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers.bad_models import BAD_CHECKPOINTS, BAD_MODELS
from helpers.command_line import Command
from helpers.desk import Desk, low_patient
from helpers.memory import CUDA_OUT, limit
from helpers.models import TINY, tiny_network
from helpers.operating_system import files_of_at_most
from helpers.patient import Patient, Place
from helpers.processes import INTERPRETER, FakeProcess
from helpers.project import TESTS
from helpers.scenes import Slicer
from SRDynamicMRISlicer.jobs.job import Kind
from SRDynamicMRISlicer.jobs.worker import Worker
from SRDynamicMRISlicer.presenter.choices import Choices
from SRDynamicMRISlicer.presenter.chosen_job import Files
from SRDynamicMRISlicer.presenter.states import RUNNING, State
from SRDynamicMRISlicer.step_queue import Stepwise, at_once

from SRDynamicMRILib.cli import program
from SRDynamicMRILib.cli.program import run_request
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.inference.super_resolution import super_resolve, target_grid
from SRDynamicMRILib.models.checkpoints import Model, save_model
from SRDynamicMRILib.volume import Volume

HERE = "test_bad_input.py"
WAYS = ("command line", "Python", "module")

TABLE: dict[str, dict[str, list[str]]] = {
    "NaN or infinite voxels": {
        "command line": [
            "test_cli_errors.py::test_a_bad_image[NaN]",
            "test_cli_errors.py::test_a_bad_image[infinite]",
            "test_cli_errors.py::test_a_bad_time_point_late_in_a_series",
        ],
        "Python": [
            "test_files.py::test_voxels_that_are_not_finite",
            "test_files.py::test_float64_beyond_float32_is_not_finite",
        ],
        "module": ["test_scene_inputs.py::test_bad_voxels_are_found_in_every_time_point[not finite]"],
    },
    "empty or constant volume": {
        "command line": [
            "test_cli_errors.py::test_a_bad_image[constant]",
            "test_cli_errors.py::test_a_bad_image[empty file]",
            "test_cli_errors.py::test_a_bad_image[empty folder]",
        ],
        "Python": ["test_files.py::test_constant_volume", "test_files.py::test_foreign_bytes"],
        "module": [
            "test_scene_inputs.py::test_bad_voxels_are_found_in_every_time_point[shows nothing]",
            "test_scene_volumes.py::test_what_is_no_image_is_refused",
        ],
    },
    "2D, RGB or complex input, or k-space of another kind": {
        "command line": [
            "test_cli_errors.py::test_a_bad_image[2D]",
            "test_cli_errors.py::test_a_bad_image[photograph]",
            "test_cli_errors.py::test_a_bad_image[line of voxels]",
            "test_cli_errors.py::test_a_bad_image[colours]",
            "test_reconstruct.py::test_a_bad_file[radial]",
            "test_reconstruct.py::test_a_bad_file[undersampled]",
        ],
        "Python": [
            "test_files.py::test_no_volume",
            "test_files.py::test_complex_voxels",
            "test_complex_images.py::test_what_is_not_complex",
            "test_complex_images.py::test_a_phase_that_is_not_in_radians",
            "test_ismrmrd.py::test_what_cannot_be_read_is_refused",
            "test_volume.py::test_volume_of_other_dimensions_is_refused",
        ],
        "module": [
            "test_scene_inputs.py::test_a_line_of_voxels_is_a_problem",
            "test_scene_inputs.py::test_colours_are_a_problem",
        ],
    },
    "time points of different size": {
        "command line": ["test_cli_errors.py::test_a_bad_image[different sizes]"],
        "Python": [
            "test_files.py::test_folder_of_volumes_of_different_sizes",
            "test_volume.py::test_series_of_volumes_of_different_size_names_the_time_point",
        ],
        "module": ["test_scene_inputs.py::test_a_geometry_that_changes_is_found"],
    },
    "prior and series that do not overlap": {
        "command line": [
            "test_cli_errors.py::test_what_does_not_go_together[superresolve, no overlap]",
            "test_cli_errors.py::test_what_does_not_go_together[finetune, no overlap]",
        ],
        "Python": ["test_training.py::test_prior_elsewhere_is_refused"],
        "module": [
            "test_scene_inputs.py::test_a_transform_of_the_prior_counts",
            "test_presenter.py::test_reasons[apart]",
        ],
    },
    "prior and series of other orientation (resampled, and said)": {
        "command line": ["test_cli.py::test_a_prior_of_other_orientation_is_resampled"],
        "Python": ["test_training.py::test_prior_of_another_orientation_is_resampled_and_logged"],
        "module": ["test_scene_inputs.py::test_other_orientation_is_a_warning_not_a_problem"],
    },
    "prior of lower resolution than the series": {
        "command line": [
            "test_cli_errors.py::test_what_does_not_go_together[superresolve, coarse prior]",
            "test_cli_errors.py::test_what_does_not_go_together[finetune, coarse prior]",
        ],
        "Python": [
            "test_training.py::test_prior_of_lower_resolution_is_refused",
            "test_super_resolution.py::test_prior_of_lower_resolution_is_refused",
        ],
        "module": ["test_scene_inputs.py::test_a_coarser_prior_is_a_problem"],
    },
    "fraction outside (0, 1], or another setting of an acquisition out of its range": {
        "command line": [
            "test_cli_errors.py::test_what_does_not_go_together[ --fraction ]",
            "test_cli_errors.py::test_what_does_not_go_together[--fraction=0.25 --snr=nan]",
            "test_cli_errors.py::test_what_does_not_go_together[downsample, phase in degrees]",
        ],
        "Python": [
            "test_kspace.py::test_fraction_outside_its_range_is_refused",
            "test_scanner.py::test_settings_that_cannot_be_are_refused",
            "test_scanner.py::test_a_phase_that_does_not_fit_is_refused",
        ],
        "module": ["test_presenter.py::test_a_fraction_that_is_none"],
    },
    "volume smaller than a patch (is done)": {
        "command line": ["test_cli.py::test_a_volume_smaller_than_a_patch"],
        "Python": [
            f"{HERE}::test_a_volume_much_smaller_than_a_patch",
            "test_training.py::test_pair_grows_to_the_patch",
        ],
        "module": [f"{HERE}::test_a_small_volume_in_the_module"],
    },
    "model for another fraction (warned of)": {
        "command line": ["test_cli.py::test_a_model_for_another_fraction_is_used_with_a_warning"],
        "Python": [f"{HERE}::test_a_model_says_what_it_is_for"],
        "module": [f"{HERE}::test_a_model_for_another_fraction_in_the_module"],
    },
    "model of another architecture": {
        "command line": [
            "test_cli_errors.py::test_a_bad_model[unknown architecture]",
            "test_cli_errors.py::test_a_bad_model[other architecture]",
            "test_cli_errors.py::test_a_bad_model[other width]",
        ],
        "Python": [
            "test_checkpoints.py::test_weights_of_another_network_are_refused",
            "test_checkpoints.py::test_metadata_that_makes_no_sense_is_refused",
        ],
        "module": [f"{HERE}::test_a_bad_model_in_the_module"],
    },
    "truncated, foreign or malicious checkpoint (never executed)": {
        "command line": [
            "test_cli_errors.py::test_a_bad_model[cut short]",
            "test_cli_errors.py::test_a_bad_model[malicious zip]",
            "test_cli_errors.py::test_a_bad_checkpoint[foreign]",
            "test_hostile_checkpoints.py::test_nothing_is_executed",
        ],
        "Python": [
            "test_checkpoints.py::test_truncated_file_is_refused",
            "test_checkpoints.py::test_malicious_pickle_is_refused_and_not_executed",
            "test_hostile_checkpoints.py::test_a_zip_bomb_is_refused_unopened",
        ],
        "module": [f"{HERE}::test_a_bad_model_in_the_module", f"{HERE}::test_a_bad_checkpoint_in_the_module"],
    },
    "no disk space": {
        "command line": [
            "test_cli_errors.py::test_a_full_disk",
            "test_disk_faults.py::test_a_full_disk_keeps_what_is_finished",
        ],
        "Python": [
            "test_files.py::test_failed_writing_leaves_what_was_there",
            "test_checkpoints.py::test_full_disk_is_said_and_leaves_the_earlier_file",
        ],
        "module": [
            "test_presenter.py::test_inputs_cannot_be_written",
            f"{HERE}::test_a_full_disk_in_the_module",
        ],
    },
    "out of GPU memory (smaller patches, then CPU, said in the log)": {
        "command line": [
            "test_cli_errors.py::test_little_memory_is_enough",
            "test_cli_errors.py::test_no_memory_at_all",
        ],
        "Python": [
            "test_super_resolution.py::test_too_little_memory_takes_smaller_tiles_with_the_same_result",
            "test_super_resolution.py::test_no_memory_on_the_cpu_is_said",
        ],
        "module": [f"{HERE}::test_no_memory_in_the_module"],
    },
    "cancelled or killed half way": {
        "command line": [
            "test_cancel_and_resume.py::test_superresolve_goes_on_after",
            "test_cancel_and_resume.py::test_finetune_goes_on",
            "test_kills.py::test_killed_at_random_moments",
        ],
        "Python": [
            "test_training.py::test_stopped_and_resumed_equals_run_at_once",
            "test_training.py::test_killed_run_goes_on_from_the_last_state_saved",
        ],
        "module": [
            "test_presenter.py::test_the_same_job_goes_on_where_it_was_cancelled",
            "test_worker.py::test_cancel_and_go_on_really",
            "test_scene_sequences.py::test_what_a_cancelled_run_did_not_reach_stays_empty",
        ],
    },
}


@cache
def contents_of(file: str) -> tuple[str, set[str]]:
    """Text of a test file and of the helpers that it imports, which may hold its cases; and the names of its tests."""
    (path,) = TESTS.rglob(file)
    text = path.read_text(encoding="utf-8")
    body = ast.parse(text).body
    helpers = [n.module for n in body if isinstance(n, ast.ImportFrom) and str(n.module).startswith("helpers.")]
    texts = [(TESTS / f"{str(name).replace('.', '/')}.py").read_text(encoding="utf-8") for name in helpers]
    return "".join([text, *texts]), {node.name for node in body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", TABLE)
def test_every_row_is_tested(row: str, way: str) -> None:
    assert tuple(TABLE[row]) == WAYS
    assert TABLE[row][way]
    for reference in TABLE[row][way]:
        file, _, test = reference.partition("::")
        name, _, case = test.rstrip("]").partition("[")
        text, names = contents_of(file)
        assert name in names, reference
        assert case in text, reference


# From Python


def test_a_volume_much_smaller_than_a_patch() -> None:
    voxels = np.random.default_rng(0).uniform(1, 9, (2, 8, 8))
    model = Model(tiny_network(), TINY)
    low = Volume(voxels, Geometry((2, 8, 8), (2.0, 2.0, 4.0)))
    result = super_resolve(low, model, target_grid(low.geometry, None, model, 0.25))
    assert result.shape == (2, 16, 16)
    assert np.isfinite(result.data).all()


def test_a_model_says_what_it_is_for() -> None:
    """A library does not warn; whoever calls it can ask."""
    assert Model(tiny_network(), TINY).info.fractions == (0.25, 0.1, 0.0625)


# In the module: a real scene and presenter, and the real worker's code


class InProcess(FakeProcess):
    """Does what it is told in this process, as the worker does, and says what the worker says."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        super().__init__()
        self.capture = capture

    def start(self, program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        super().start(program, arguments, environment)
        self.begin()

    def write(self, data: bytes) -> None:
        super().write(data)
        self.capture.readouterr()
        code = run_request(lambda: self.request)
        out, err = self.capture.readouterr()
        self.output.emit(out.encode())
        self.error_output.emit(err.encode())
        self.end(code)


@pytest.fixture
def desk(
    command: Command,  # puts back what commands change in this process
    patient: Patient,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    monkeypatch.setattr(program, "stopped_with_stdin", lambda _code: nullcontext())  # that of the tests
    made = Desk(Slicer(), tmp_path / "desk")
    made.folder.mkdir()
    made.presenter._new_worker = lambda: Worker(InProcess(capfd), made.loop, INTERPRETER)
    low_patient(made, patient)
    return made


def assert_fails(desk: Desk, start: Callable[[], None], phrase: str) -> None:
    """Check that a job ends in one plain sentence, and that the scene has nothing half made."""
    nodes = desk.app.scene.GetNumberOfNodes()
    start()
    desk.loop.run_until(lambda: desk.presenter.state not in RUNNING)
    view = desk.presenter.content
    assert view.state is State.FAILED
    assert phrase in view.failure
    assert view.failure.endswith(".")
    assert "\n" not in view.failure
    assert view.advice
    assert not [line for line in view.log if "Traceback" in line]
    assert desk.app.scene.GetNumberOfNodes() == nodes
    assert desk.parameters.result is None


@pytest.mark.parametrize("fault", [name for name in BAD_MODELS if name != "folder"])
def test_a_bad_model_in_the_module(desk: Desk, patient: Patient, tmp_path: Path, fault: str) -> None:
    build, phrase = BAD_MODELS[fault]
    desk.parameters.baseModel = str(build(Place(patient, tmp_path)))
    desk.look()
    assert_fails(desk, desk.presenter.super_resolve, phrase)
    assert_fails(desk, desk.presenter.fine_tune, phrase)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("fault", BAD_CHECKPOINTS)
def test_a_bad_checkpoint_in_the_module(desk: Desk, patient: Patient, tmp_path: Path, fault: str) -> None:
    build, phrase = BAD_CHECKPOINTS[fault]
    desk.jobs.checkpoint = build(Place(patient, tmp_path))
    desk.jobs.imported = tmp_path / "imported.safetensors"
    base = desk.parameters.baseModel
    desk.look()
    assert_fails(desk, desk.presenter.import_model, phrase)
    assert not desk.jobs.imported.exists()
    assert not (tmp_path / "marker").exists()
    assert desk.parameters.baseModel == base


def test_a_full_disk_in_the_module(desk: Desk) -> None:
    desk.look()
    with files_of_at_most(3000):
        assert_fails(desk, desk.presenter.super_resolve, "The inputs of the computation could not be written")
    assert [file.name for file in (desk.folder / "jobs").iterdir()] == []


def test_a_disk_that_fills_later_in_the_module(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.look()
    files = at_once(desk.jobs.prepare(Kind.SUPER_RESOLVE, desk.presenter.choices))

    def prepared(kind: Kind, choices: Choices) -> Stepwise[Files]:
        yield
        return files

    monkeypatch.setattr(desk.jobs, "prepare", prepared)
    with files_of_at_most(3000):
        assert_fails(desk, desk.presenter.super_resolve, "frame_0000.nii could not be written")


def test_no_memory_in_the_module(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.look()
    with monkeypatch.context() as patch:
        limit(patch, 0, CUDA_OUT)
        assert_fails(desk, desk.presenter.super_resolve, "not enough memory")
    assert any("trying smaller tiles" in line for line in desk.presenter.content.log)


def test_a_model_for_another_fraction_in_the_module(desk: Desk, tmp_path: Path) -> None:
    save_model(Model(tiny_network(), replace(TINY, fractions=(0.01,))), tmp_path / "other.safetensors")
    desk.parameters.baseModel = str(tmp_path / "other.safetensors")
    desk.look()
    desk.run("super_resolve")
    assert desk.parameters.result.GetNumberOfDataNodes() == 3
    assert any("Warning: The model was trained for 1% of k-space" in line for line in desk.presenter.content.log)


def test_a_small_volume_in_the_module(desk: Desk) -> None:
    rng = np.random.default_rng(0)
    desk.parameters.priorVolume = desk.app.volume(Volume(rng.uniform(1, 9, (2, 6, 4)), Geometry((2, 6, 4))), "p")
    low = Volume(rng.uniform(1, 9, (2, 3, 2)), Geometry((2, 3, 2), (2.0, 2.0, 1.0)))
    desk.parameters.dynamicSeries = desk.app.volume(low, "s")
    desk.jobs.take_series()
    desk.look()
    assert desk.presenter.content.problems == ()
    desk.run("super_resolve")
    assert desk.parameters.result.GetNumberOfDataNodes() == 1
