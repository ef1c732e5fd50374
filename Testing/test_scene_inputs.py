"""What the panel is told about the chosen inputs: figures, problems and notes, from a real scene."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import Slicer, oblique, random_series, random_volume, rigid
from SRDynamicMRISlicer.inputs import ImageFacts
from SRDynamicMRISlicer.scene_inputs import scene_facts, simulated_facts
from SRDynamicMRISlicer.scene_sequences import put
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData

from SRDynamicMRILib.kspace import downsample, pad_kspace
from SRDynamicMRILib.volume import Geometry, Series, Volume

FULL = Geometry((4, 16, 24), (2.0, 2.0, 5.0))
WIDE = Geometry((4, 64, 64), (2.0, 2.0, 5.0))


@pytest.fixture
def app() -> Slicer:
    """A Slicer that lives as long as the test: its nodes go with it."""
    return Slicer()


def low(times: tuple[float, ...] = (0, 0.5, 1.25), fraction: float = 0.25) -> Series:
    return Series.of([downsample(random_volume(FULL, seed), fraction) for seed in range(len(times))], times)


def test_good_inputs_are_described(app: Slicer) -> None:
    prior, series = app.volume(random_volume(FULL), "plan"), app.sequence(low(), "cine")
    truth = app.sequence(random_series(FULL), "truth")
    facts = scene_facts(prior, series, truth, repetition_time=2.0)
    assert facts.prior == ImageFacts(prior.GetID(), "plan", (24, 16, 4), (2.0, 2.0, 5.0))
    assert facts.series == ImageFacts(series.GetID(), "cine", (12, 8, 4), (4.0, 4.0, 5.0), 3)
    assert facts.truth == ImageFacts(truth.GetID(), "truth", (24, 16, 4), (2.0, 2.0, 5.0), 3)
    assert facts.fraction == 0.25
    assert facts.effective_resolution == (4.0, 4.0)
    assert facts.overlap is True
    assert facts.acquisition_time == pytest.approx(8 * 4 * 2.0 / 1000)
    assert facts.problems == facts.truth_problems == facts.warnings == ()


def test_nothing_chosen_is_nothing_said() -> None:
    facts = scene_facts(None, None)
    assert facts.prior is facts.series is facts.fraction is facts.acquisition_time is None
    assert facts.problems == facts.truth_problems == facts.warnings == ()
    assert facts.overlap is None


def test_looking_changes_nothing(app: Slicer) -> None:
    prior, series = app.volume(random_volume(FULL)), app.sequence(low())
    before = app.scene.GetNumberOfNodes(), prior.GetMTime(), series.GetMTime()
    scene_facts(prior, app.volume(random_volume(FULL)))
    app.scene.RemoveNode(app.scene.GetNthNodeByClass(1, "vtkMRMLScalarVolumeNode"))
    scene_facts(prior, series)
    assert app.scene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 1
    assert (prior.GetMTime(), series.GetMTime()) == before[1:]


@pytest.mark.parametrize("fraction", [0.0625, 0.1, 0.25])
def test_the_fraction_is_found(app: Slicer, fraction: float) -> None:
    full = Geometry((4, 192, 256), (1.36, 1.36, 4.0))
    volume = random_volume(full)
    facts = scene_facts(app.volume(volume), app.volume(downsample(volume, fraction)))
    assert facts.fraction == pytest.approx(fraction, rel=0.03)


def test_a_transform_of_the_prior_counts(app: Slicer) -> None:
    prior, series = app.volume(random_volume(FULL)), app.sequence(low())
    prior.SetAndObserveTransformNodeID(app.transform(rigid((0, 0, 0), (0, 0, 5000))).GetID())
    assert scene_facts(prior, series).overlap is False
    assert scene_facts(prior, series).fraction is None


def test_other_orientation_is_a_warning_not_a_problem(app: Slicer) -> None:
    geometry = oblique((16, 16, 16))
    turned = Geometry(geometry.shape, (1.0, 1.0, 1.0), tuple(geometry.centre - 8))
    facts = scene_facts(app.volume(random_volume(turned)), app.sequence(random_series(geometry)))
    assert facts.problems == ()
    assert "other orientations" in facts.warnings[0]
    assert facts.fraction is not None


def test_a_coarser_prior_is_a_problem(app: Slicer) -> None:
    facts = scene_facts(app.volume(low()[0]), app.sequence(random_series(FULL)))
    assert "coarser (4.00 x 4.00 mm) than the series (2.00 x 2.00 mm)" in facts.problems[0]
    assert facts.fraction is None


def test_an_interpolated_series_counts_as_what_was_acquired(app: Slicer) -> None:
    small = downsample(Volume(random_volume(WIDE).data, WIDE), 0.25)
    stored = Volume(pad_kspace(small.data, WIDE.shape[1:]), WIDE)
    facts = scene_facts(app.volume(random_volume(WIDE)), app.sequence(Series.of([stored, stored])))
    assert facts.fraction == pytest.approx(0.25) and facts.warnings == ()


def test_a_full_series_is_told_to_be_simulated(app: Slicer) -> None:
    facts = scene_facts(app.volume(random_volume(FULL)), app.sequence(random_series(FULL)))
    assert facts.problems == ()
    assert "simulate" in facts.warnings[0]


def test_a_single_slice_is_a_problem(app: Slicer) -> None:
    node = app.volume(random_volume(Geometry((1, 16, 24))), "flat")
    assert "flat is a single slice" in scene_facts(node, None).problems[0]


def test_colours_are_a_problem(app: Slicer) -> None:
    node = app.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    image = vtkImageData()
    image.SetDimensions(4, 3, 2)
    image.GetPointData().SetScalars(numpy_to_vtk(np.zeros((24, 3), dtype=np.uint8), deep=True))
    node.SetAndObserveImageData(image)
    assert "photo holds 3 values" in scene_facts(node, None).problems[0]
    assert "photo holds 3 values" in scene_facts(None, node).problems[0]


@pytest.mark.parametrize(("bad", "says"), [(np.nan, "not finite"), (0.0, "shows nothing")])
def test_bad_voxels_are_found_in_every_time_point(app: Slicer, bad: float, says: str) -> None:
    series = low()
    sequence = app.sequence(series, "cine")
    put(sequence, series[0].with_data(np.full(series.geometry.shape, bad)), "0.5")
    problem = scene_facts(None, sequence).problems[0]
    assert "Time point 1 of cine" in problem
    assert says in problem


def test_a_geometry_that_changes_is_found(app: Slicer) -> None:
    sequence = app.sequence(low(), "cine")
    put(sequence, random_volume(FULL), "9")
    facts = scene_facts(None, sequence)
    assert "Time point 3 of cine has another size" in facts.problems[0]
    assert facts.series is None


def test_deleted_nodes_are_named(app: Slicer) -> None:
    prior, series = app.volume(random_volume(FULL), "plan"), app.sequence(low(), "cine")
    app.scene.RemoveNode(prior)
    app.scene.RemoveNode(series)
    problems = scene_facts(prior, series).problems
    assert ["plan was deleted" in problems[0], "cine was deleted" in problems[1]] == [True, True]


def test_a_bent_prior_is_a_problem(app: Slicer) -> None:
    prior = app.volume(random_volume(FULL), "plan")
    prior.SetAndObserveTransformNodeID(app.bending_transform().GetID())
    assert "plan is bent" in scene_facts(prior, None).problems[0]


def test_truth_of_another_length_or_place_is_a_problem(app: Slicer) -> None:
    series = app.sequence(low())
    short = app.sequence(random_series(FULL, (0, 0.5)))
    assert "2 time points but the series has 3" in scene_facts(None, series, short).truth_problems[0]
    away = Geometry(FULL.shape, FULL.spacing, (9000.0, 0.0, 0.0))
    assert "do not overlap" in scene_facts(None, series, app.sequence(random_series(away))).truth_problems[0]


def test_truth_with_other_times_is_a_warning(app: Slicer) -> None:
    facts = scene_facts(None, app.sequence(low()), app.sequence(random_series(FULL, (0, 1, 2))))
    assert facts.problems == ()
    assert "other times" in facts.warnings[0]


def test_a_stacked_cine_is_a_warning(app: Slicer) -> None:
    still = random_volume(Geometry((4, 16, 16))).data
    stack = Volume(np.concatenate([still + 0.01 * number for number in range(5)]))
    note = scene_facts(None, app.volume(stack, "import")).warnings[0]
    assert "import is one volume, but its slices repeat every 4" in note
    assert "5 time points" in note


def test_a_simulated_series_has_the_figures_of_the_paper() -> None:
    full = Geometry((44, 192, 256), (1.36, 1.36, 4.0))
    expected = {0.25: ((128, 96), 2.72), 0.1: ((80, 60), 4.35), 0.0625: ((64, 48), 5.44)}
    for fraction, ((width, height), voxel) in expected.items():
        matrix, resolution, seconds = simulated_facts(full, fraction, repetition_time=2.23)
        assert matrix == (width, height, 44)
        assert resolution == pytest.approx((voxel, voxel, 4.0), abs=0.01)
        assert seconds == pytest.approx(height * 44 * 2.23 / 1000)
