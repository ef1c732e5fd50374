"""What the panel is told about the chosen inputs: figures, problems and notes, from a real scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
from helpers.scenes import Slicer, oblique, random_series, random_volume, rigid
from SRDynamicMRISlicer.presenter.chosen_images import ChosenImages, ImageFacts
from SRDynamicMRISlicer.scene.browsers import proxy_of
from SRDynamicMRISlicer.scene.checks import check_images, examine_voxels, simulated_facts
from SRDynamicMRISlicer.scene.sequences import put
from SRDynamicMRISlicer.step_queue import at_once
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.kspace import pad_kspace
from SRDynamicMRILib.acquisition.recognise import DeclaredAcquisition
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.volume import Series, Volume

FULL = Geometry((4, 16, 24), (2.0, 2.0, 5.0))
WIDE = Geometry((4, 64, 64), (2.0, 2.0, 5.0))


@pytest.fixture
def app() -> Slicer:
    """A Slicer that lives as long as the test: its nodes go with it."""
    return Slicer()


def low(times: tuple[float, ...] = (0, 0.5, 1.25), fraction: float = 0.25) -> Series:
    return Series.of([downsample(random_volume(FULL, seed), fraction) for seed in range(len(times))], times)


def looked_at(*nodes: slicer.vtkMRMLNode | None, repetition_time: float = 2.3) -> ChosenImages:
    """The facts once all voxels are seen."""
    prior, series, truth = (*nodes, None)[:3]
    return check_images(prior, series, truth, repetition_time, at_once(examine_voxels(prior, series, truth)))


def test_good_inputs_are_described(app: Slicer) -> None:
    prior, series = app.volume(random_volume(FULL), "plan"), app.sequence(low(), "cine")
    truth = app.sequence(random_series(FULL), "truth")
    facts = looked_at(prior, series, truth, repetition_time=2.0)
    assert facts.prior == ImageFacts(prior.GetID(), "plan", (24, 16, 4), (2.0, 2.0, 5.0))
    assert facts.series == ImageFacts(series.GetID(), "cine", (12, 8, 4), (4.0, 4.0, 5.0), 3)
    assert facts.truth == ImageFacts(truth.GetID(), "truth", (24, 16, 4), (2.0, 2.0, 5.0), 3)
    assert facts.fraction == 0.25
    assert facts.effective_resolution == (4.0, 4.0)
    assert facts.overlap is True
    assert facts.acquisition_time == pytest.approx(8 * 4 * 2.0 / 1000)
    assert facts.problems == facts.truth_problems == facts.warnings == ()
    at_once_known = check_images(prior, series, truth, repetition_time=2.0)
    assert replace(at_once_known, fraction=0.25, acquired=facts.acquired) == facts
    assert at_once_known.fraction is at_once_known.acquired is None
    assert facts.acquired is not None and facts.acquired.matrix == (8, 12)


def test_voxels_are_looked_at_one_time_point_at_a_time(app: Slicer) -> None:
    steps = examine_voxels(app.volume(random_volume(FULL)), app.sequence(low()), app.sequence(random_series(FULL)))
    assert len(list(steps)) >= 1 + 3 + 3  # some more while the spectrum is looked at in the background


def test_the_volume_that_a_deleted_sequence_leaves_is_one_time_point(app: Slicer) -> None:
    sequence = app.sequence(low(), "cine")
    left = proxy_of(sequence)
    assert check_images(None, left).series.time_points == 3
    app.scene.RemoveNode(sequence)
    assert check_images(None, left).series.time_points == 1


def test_nothing_chosen_is_nothing_said() -> None:
    facts = check_images(None, None)
    assert facts.prior is facts.series is facts.fraction is facts.acquisition_time is None
    assert facts.problems == facts.truth_problems == facts.warnings == ()
    assert facts.overlap is None


def test_looking_changes_nothing(app: Slicer) -> None:
    prior, series = app.volume(random_volume(FULL)), app.sequence(low())
    before = app.scene.GetNumberOfNodes(), prior.GetMTime(), series.GetMTime()
    check_images(prior, app.volume(random_volume(FULL)))
    app.scene.RemoveNode(app.scene.GetNthNodeByClass(1, "vtkMRMLScalarVolumeNode"))
    check_images(prior, series)
    assert app.scene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 1
    assert (prior.GetMTime(), series.GetMTime()) == before[1:]


@pytest.mark.parametrize("fraction", [0.0625, 0.1, 0.25])
def test_the_fraction_is_found(app: Slicer, fraction: float) -> None:
    full = Geometry((4, 192, 256), (1.36, 1.36, 4.0))
    volume = random_volume(full)
    facts = looked_at(app.volume(volume), app.volume(downsample(volume, fraction)))
    assert facts.fraction == pytest.approx(fraction, rel=0.03)


def test_a_transform_of_the_prior_counts(app: Slicer) -> None:
    prior, series = app.volume(random_volume(FULL)), app.sequence(low())
    prior.SetAndObserveTransformNodeID(app.transform(rigid((0, 0, 0), (0, 0, 5000))).GetID())
    assert looked_at(prior, series).overlap is False
    assert looked_at(prior, series).fraction is None


def test_other_orientation_is_a_warning_not_a_problem(app: Slicer) -> None:
    geometry = oblique((16, 16, 16))
    turned = Geometry(geometry.shape, (1.0, 1.0, 1.0), tuple(geometry.centre - 8))
    facts = looked_at(app.volume(random_volume(turned)), app.sequence(random_series(geometry)))
    assert facts.problems == ()
    assert any("differ in orientation" in warning for warning in facts.warnings)
    assert facts.fraction is not None


def test_a_coarser_prior_is_a_problem(app: Slicer) -> None:
    facts = looked_at(app.volume(low()[0]), app.sequence(random_series(FULL)))
    assert "coarser (4.00 x 4.00 mm) than the series (2.00 x 2.00 mm)" in facts.problems[0]
    assert facts.fraction is None


def test_an_interpolated_series_counts_as_what_was_acquired(app: Slicer) -> None:
    small = downsample(Volume(random_volume(WIDE).data, WIDE), 0.25)
    stored = Volume(pad_kspace(small.data, WIDE.shape[1:]), WIDE)
    facts = looked_at(app.volume(random_volume(WIDE)), app.sequence(Series.of([stored, stored])))
    assert facts.fraction == pytest.approx(0.25)
    assert all("noise" in warning for warning in facts.warnings), "that is what the voxels are"


def test_what_is_declared_counts(app: Slicer) -> None:
    """Of a series that was not interpolated the user says that it was: share and acquisition follow, with a doubt."""
    series = app.sequence(random_series(WIDE), "cine")
    prior = app.volume(random_volume(WIDE))
    declared = DeclaredAcquisition((32, 32), Window("hann"), 0.5, True)
    facts = check_images(prior, series, voxels=at_once(examine_voxels(prior, series, None, declared)))
    assert facts.acquired is not None
    assert (facts.acquired.matrix, facts.acquired.noise, str(facts.acquired.window)) == ((32, 32), 0.5, "hann")
    assert facts.fraction == pytest.approx(0.25)
    assert facts.effective_resolution == pytest.approx((4.0, 4.0))
    assert facts.acquisition_time == pytest.approx(32 * 4 * 2.3 / 1000)
    assert facts.problems == ()
    assert looked_at(prior, series).acquired.matrix == (64, 64)


def test_doubts_about_the_acquisition_need_no_planning_scan(app: Slicer) -> None:
    """And they name the panel's field in place of an option of the command line."""
    small = downsample(Volume(random_volume(WIDE).data, WIDE), 0.25)
    stored = Volume(pad_kspace(small.data, WIDE.shape[1:]), WIDE)
    series = app.sequence(Series.of([stored, stored]))
    voxels = at_once(examine_voxels(None, series, None))
    assert voxels.acquired is not None
    doubtful = replace(voxels.acquired, warnings=("A filter; give --acquired-matrix ROWSxCOLUMNS if 3x4 is wrong.",))
    facts = check_images(None, series, voxels=replace(voxels, acquired=doubtful))
    assert facts.warnings == ("A filter; set the acquired matrix in the panel if 3x4 is wrong.",)
    assert facts.acquired is doubtful


def test_a_full_series_is_told_to_be_simulated(app: Slicer) -> None:
    facts = looked_at(app.volume(random_volume(FULL)), app.sequence(random_series(FULL)))
    assert facts.problems == ()
    assert any("Simulate" in warning for warning in facts.warnings)


def test_a_line_of_voxels_is_a_problem(app: Slicer) -> None:
    node = app.volume(random_volume(Geometry((8, 1, 24))), "thin")
    assert "thin has slices of 1x24 voxels" in looked_at(node, None).problems[0]


@pytest.mark.parametrize("depth", [1, 2])
def test_a_single_slice_will_do(app: Slicer, depth: int) -> None:
    full, acquired = Geometry((depth, 32, 48), (1.0, 1.0, 8.0)), Geometry((depth, 16, 24), (2.0, 2.0, 8.0))
    facts = looked_at(app.volume(random_volume(full)), app.sequence(random_series(acquired)))
    assert (facts.problems, facts.fraction) == ((), 0.25)


def test_colours_are_a_problem(app: Slicer) -> None:
    node = app.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    image = vtkImageData()
    image.SetDimensions(4, 3, 2)
    image.GetPointData().SetScalars(numpy_to_vtk(np.zeros((24, 3), dtype=np.uint8), deep=True))
    node.SetAndObserveImageData(image)
    assert "photo holds 3 values" in check_images(node, None).problems[0]
    assert "photo holds 3 values" in check_images(None, node).problems[0]


@pytest.mark.parametrize(("bad", "says"), [(np.nan, "not finite"), (0.0, "shows nothing")])
def test_bad_voxels_are_found_in_every_time_point(app: Slicer, bad: float, says: str) -> None:
    series = low()
    sequence = app.sequence(series, "cine")
    put(sequence, series[0].with_data(np.full(series.geometry.shape, bad)), "0.5")
    assert check_images(None, sequence).problems == ()
    problem = looked_at(None, sequence).problems[0]
    assert "Time point 1 of cine" in problem
    assert says in problem


def test_a_geometry_that_changes_is_found(app: Slicer) -> None:
    sequence = app.sequence(low(), "cine")
    put(sequence, random_volume(FULL), "9")
    facts = looked_at(None, sequence)
    assert "Time point 3 of cine has another size" in facts.problems[0]
    assert facts.series is None


def test_deleted_nodes_are_named(app: Slicer) -> None:
    prior, series = app.volume(random_volume(FULL), "plan"), app.sequence(low(), "cine")
    app.scene.RemoveNode(prior)
    app.scene.RemoveNode(series)
    problems = check_images(prior, series).problems
    assert ["plan was deleted" in problems[0], "cine was deleted" in problems[1]] == [True, True]


def test_a_bent_prior_is_a_problem(app: Slicer) -> None:
    prior = app.volume(random_volume(FULL), "plan")
    prior.SetAndObserveTransformNodeID(app.bending_transform().GetID())
    assert "plan is bent" in check_images(prior, None).problems[0]


def test_truth_of_another_length_or_place_is_a_problem(app: Slicer) -> None:
    series = app.sequence(low())
    short = app.sequence(random_series(FULL, (0, 0.5)))
    assert "2 time points but the series has 3" in check_images(None, series, short).truth_problems[0]
    away = Geometry(FULL.shape, FULL.spacing, (9000.0, 0.0, 0.0))
    assert "do not overlap" in check_images(None, series, app.sequence(random_series(away))).truth_problems[0]


def test_truth_with_other_times_is_a_warning(app: Slicer) -> None:
    facts = check_images(None, app.sequence(low()), app.sequence(random_series(FULL, (0, 1, 2))))
    assert facts.problems == ()
    assert "differ in their times" in facts.warnings[0]


def test_a_stacked_cine_is_a_warning(app: Slicer) -> None:
    still = random_volume(Geometry((4, 16, 16))).data
    stack = Volume(np.concatenate([still + 0.01 * number for number in range(5)]))
    note = check_images(None, app.volume(stack, "import")).warnings[0]
    assert "import is one volume, but its slices repeat every 4" in note
    assert "5 time points" in note


def test_an_estimate_that_the_times_contradict_is_not_shown(app: Slicer) -> None:
    """A cine 51 ms apart was not acquired in the 0.15 s that its matrix would take."""
    cine = check_images(None, app.sequence(low((0, 0.051, 0.102, 0.153))), repetition_time=4.7)
    assert cine.interval == pytest.approx(0.051)
    assert cine.acquisition_time is None
    slow = check_images(None, app.sequence(low((0, 0.2, 5.0))), repetition_time=4.7)
    assert slow.interval == pytest.approx(2.5)
    assert slow.acquisition_time == pytest.approx(8 * 4 * 4.7 / 1000)
    assert simulated_facts(FULL, 0.25, cine.interval, 4.7)[2] is None
    assert simulated_facts(FULL, 0.25, slow.interval, 4.7)[2] == pytest.approx(8 * 4 * 4.7 / 1000)


@pytest.mark.parametrize("times", [(0,), (0, 1, 2)])
def test_numbers_of_time_points_are_no_times(app: Slicer, times: tuple[float, ...]) -> None:
    facts = check_images(None, app.sequence(low(times)), repetition_time=50)
    assert facts.interval is None
    assert facts.acquisition_time == pytest.approx(8 * 4 * 50 / 1000), "nothing contradicts it"


def test_a_simulated_series_has_the_figures_of_the_paper() -> None:
    full = Geometry((44, 192, 256), (1.36, 1.36, 4.0))
    expected = {0.25: ((128, 96), 2.72), 0.1: ((80, 60), 4.35), 0.0625: ((64, 48), 5.44)}
    for fraction, ((width, height), voxel) in expected.items():
        matrix, resolution, seconds = simulated_facts(full, fraction, repetition_time=2.23)
        assert matrix == (width, height, 44)
        assert resolution == pytest.approx((voxel, voxel, 4.0), abs=0.01)
        assert seconds == pytest.approx(height * 44 * 2.23 / 1000)
