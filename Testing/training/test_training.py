"""Training: slices, pairs, batches, and fine-tuning that can be repeated and resumed to the last bit."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.models import same_weights
from helpers.recorder import Recorder
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from SRDynamicMRILib.acquisition.acquisition import Acquisition, downsample
from SRDynamicMRILib.acquisition.interpolation import INPUTS, upsample
from SRDynamicMRILib.acquisition.kspace import crop_kspace
from SRDynamicMRILib.acquisition.stored import StoredImage
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry, Shape
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.models.budgets import TrainingBudget, budget_named
from SRDynamicMRILib.models.checkpoints import (
    Model,
    load_model,
    save_model,
    save_tensors,
    weights_sha256,
)
from SRDynamicMRILib.models.model_info import ModelInfo, new_network
from SRDynamicMRILib.models.recipes import DEFAULT, FRACTIONS
from SRDynamicMRILib.networks.network import Network
from SRDynamicMRILib.networks.sub_pixel import SubPixelPair, sub_pixel_pair
from SRDynamicMRILib.networks.training_pair import TrainingPair, interpolated_pair
from SRDynamicMRILib.networks.unet import UNet3D
from SRDynamicMRILib.networks.vessel_unet import VesselEncoder
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.process.devices import fastest_precision
from SRDynamicMRILib.process.precision import PRECISIONS, Precision
from SRDynamicMRILib.progress import Progress
from SRDynamicMRILib.training import fine_tuning, fine_tuning_plan
from SRDynamicMRILib.training.acquisitions import cut
from SRDynamicMRILib.training.augmentation import ShiftAndMirror, augment, random_shift_and_mirror
from SRDynamicMRILib.training.datasets import PairStream, some_slices
from SRDynamicMRILib.training.fine_tuning import (
    default_precision,
    fine_tune,
    match_prior,
)
from SRDynamicMRILib.training.fine_tuning_validation import (
    ValidationPatches,
    choose_validation_patches,
    masked_loss,
    resize_mask,
    without_targets,
)
from SRDynamicMRILib.training.optimisation import Schedule, TrainingRecord, Validation, optimise
from SRDynamicMRILib.training.pairs import (
    as_tensors,
    batch_at,
    detailed_patch,
    fit_to_patch,
    pair_maker,
    random_patch,
)
from SRDynamicMRILib.volume import Volume

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
TINY = TrainingBudget("test", 8)
PRIOR = abdomen(0, (8, 48, 64), (6.0, 6.0, 8.0), time_points=1).static
MATRIX = (24, 32)
EMPTY = np.zeros((2, 8, 8), dtype=np.float32)
INFO = ModelInfo(
    features=4,
    fractions=FRACTIONS,
    interpolation="non_negative",
    normalisation="percentile",
    residual=True,
    data_consistency=True,
    loss="l1",
    recipe="default",
)


ACQUISITION = Acquisition(MATRIX, (48, 64))


def low(image: np.ndarray, matrix: tuple[int, int] = MATRIX) -> StoredImage:
    return StoredImage.simulated(image, Acquisition(matrix, image.shape[1:]))


def network(features: int = 4) -> UNet3D:
    torch.manual_seed(0)
    return UNet3D(features).eval()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    save_model(Model(network(), INFO), path)
    return load_model(path)


@pytest.fixture(scope="module")
def vessel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vessel") / "vessel.safetensors"
    save_tensors(VesselEncoder(2).state_dict(), {}, path)
    return path


# --------------------------------------------------------------------------------------------------- pairs


@pytest.mark.parametrize("interpolation", INPUTS)
def test_maximum_divides_input_and_target_each_by_its_own(interpolation: str) -> None:
    pair = interpolated_pair(PRIOR.data, low(PRIOR.data), interpolation, "maximum")
    assert pair.input.max() == pytest.approx(1)
    assert pair.target.max() == pytest.approx(1)
    expected = upsample(crop_kspace(PRIOR.data, MATRIX), PRIOR.shape[1:], interpolation)
    np.testing.assert_allclose(pair.input, expected / expected.max(), atol=1e-5)
    np.testing.assert_allclose(pair.target, PRIOR.data / PRIOR.data.max(), atol=1e-6)


def test_percentile_divides_both_by_that_of_the_low_resolution_image() -> None:
    pair = interpolated_pair(PRIOR.data, low(PRIOR.data), "zero_filled", "percentile")
    acquired = crop_kspace(PRIOR.data, MATRIX)
    scale = np.percentile(acquired, 99.9)
    np.testing.assert_allclose(pair.target * scale, PRIOR.data, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(crop_kspace(pair.target, MATRIX) * scale, acquired, atol=1e-3 * scale)


@pytest.mark.parametrize("normalisation", ["maximum", "percentile"])
def test_pair_does_not_depend_on_the_unit(normalisation: str) -> None:
    pair = interpolated_pair(PRIOR.data, low(PRIOR.data), "non_negative", normalisation)
    larger = interpolated_pair(
        PRIOR.data * np.float32(1000), low(PRIOR.data * np.float32(1000)), "non_negative", normalisation
    )
    np.testing.assert_allclose(larger.input, pair.input, atol=1e-5)
    np.testing.assert_allclose(larger.target, pair.target, atol=1e-5)


@pytest.mark.parametrize("normalisation", ["maximum", "percentile"])
def test_empty_image_gives_a_finite_pair(normalisation: str) -> None:
    pair = interpolated_pair(EMPTY, low(EMPTY, (4, 4)), "non_negative", normalisation)
    assert not pair.input.any()
    assert not pair.target.any()


def test_pair_grows_to_the_patch() -> None:
    part = PRIOR.data[:5, :30, :41]
    pair = interpolated_pair(part, low(part, (15, 20)), "zero_filled", "maximum")
    grown = fit_to_patch(pair, (12, 24, 24))
    assert grown.input.shape == grown.target.shape == (12, 30, 41)
    assert grown.target.max() == pair.target.max()


def numbered_pair(shape: tuple[int, int, int]) -> TrainingPair:
    numbers = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    return TrainingPair(numbers, -numbers)


def test_batch_at_takes_input_and_target_from_the_same_place() -> None:
    pairs = [numbered_pair((4, 5, 6)), numbered_pair((6, 5, 4))]
    inputs, targets = batch_at(pairs, [(0, (1, 2, 3)), (1, (4, 0, 1))], (2, 2, 3))
    assert inputs.shape == (2, 1, 2, 2, 3)
    assert inputs[1, 0].tolist() == pairs[1].input[4:6, 0:2, 1:4].tolist()
    assert torch.equal(targets, -inputs)


def test_random_patch_is_the_seeds_and_keeps_input_and_target_together() -> None:
    pair = numbered_pair((6, 9, 9))
    patches = [random_patch(pair, (4, 8, 8), np.random.default_rng(seed)) for seed in range(20)]
    for seed, patch in enumerate(patches):
        assert patch.input.shape == (4, 8, 8)
        assert np.array_equal(patch.target, -patch.input)
        assert np.array_equal(random_patch(pair, (4, 8, 8), np.random.default_rng(seed)).input, patch.input)
    assert len({tuple(patch.input.ravel()) for patch in patches}) > 10
    inputs, targets = as_tensors(patches)
    assert inputs.shape == (20, 1, 4, 8, 8)
    assert inputs.dtype == targets.dtype == torch.float32
    assert torch.equal(targets, -inputs)
    assert np.array_equal(inputs[7, 0], patches[7].input)


def test_random_patch_comes_from_everywhere_and_is_mirrored_along_every_axis_but_not_turned() -> None:
    signs, corners = set(), set()
    for seed in range(120):
        found = random_patch(numbered_pair((5, 7, 8)), (4, 6, 6), np.random.default_rng(seed)).input
        steps = [int(np.diff(found, axis=axis).ravel()[0]) for axis in range(3)]
        assert [abs(step) for step in steps] == [56, 8, 1]
        signs.add(tuple(np.sign(steps)))
        corners.add(int(found.min()))
    assert len(signs) == 8
    assert corners == {56 * z + 8 * y + x for z in range(2) for y in range(2) for x in range(3)}


def test_detailed_patch_is_where_the_input_lacks_most() -> None:
    target = np.zeros((6, 40, 40), dtype=np.float32)
    target[:, 24:, 24:] = 1
    pair = TrainingPair(np.zeros_like(target), target)

    def share(draw: Callable[..., TrainingPair]) -> float:
        return float(np.mean([draw(pair, (4, 8, 8), np.random.default_rng(n)).target.max() for n in range(100)]))

    assert share(random_patch) < 0.5 < share(detailed_patch)
    flat = TrainingPair(target, target)
    assert detailed_patch(flat, (4, 8, 8), np.random.default_rng(0)).target.shape == (4, 8, 8)


# What a network that ends in sub-pixels is fed with, and what it has to add

SUB_PIXEL = replace(INFO, architecture="SubPixelNetwork", interpolation="zero_filled", factor=2)


def test_sub_pixel_pair_and_zero_filling_make_up_the_target() -> None:
    pair = sub_pixel_pair(PRIOR.data, low(PRIOR.data), 2, "percentile")
    acquired = crop_kspace(PRIOR.data, MATRIX)
    scale = np.percentile(acquired, 99.9)
    assert pair.factor == 2
    np.testing.assert_allclose(pair.input * scale, acquired, rtol=1e-5, atol=1e-3)
    whole = upsample(acquired, PRIOR.shape[1:], "zero_filled") + pair.target * scale
    np.testing.assert_allclose(whole, PRIOR.data, atol=1e-2)


def test_patches_of_sub_pixel_pairs_keep_both_together() -> None:
    voxels = np.arange(6 * 9 * 8, dtype=np.float32).reshape(6, 9, 8)
    pair = SubPixelPair(voxels, voxels.repeat(2, axis=1).repeat(2, axis=2))
    slices = set()
    for seed in range(20):
        patch = random_patch(pair, (4, 5, 5), np.random.default_rng(seed))
        assert patch.target.shape == (4, 10, 10)
        assert np.array_equal(patch.target[:, ::2, ::2], patch.input)
        assert np.diff(patch.input, axis=2).min() == 1  # sub-pixels would lie on the wrong side of a mirrored voxel
        slices.add(float(patch.input[1, 0, 0] - patch.input[0, 0, 0]))
    assert slices == {-72.0, 72.0}
    grown = fit_to_patch(pair, (8, 12, 8))
    assert (grown.input.shape, grown.target.shape) == ((8, 12, 8), (8, 24, 16))
    assert np.array_equal(grown.target[:, ::2, ::2], grown.input)


def test_fine_tuning_a_sub_pixel_network_makes_it_better_on_its_prior() -> None:
    torch.manual_seed(0)
    start = Model(new_network(SUB_PIXEL).eval(), SUB_PIXEL)
    tuned = fine_tune(PRIOR, start, ACQUISITION, TrainingBudget("test", 40), seed=3)

    def error(model: Model) -> float:
        result = super_resolve(downsample(PRIOR, 0.25), model, PRIOR.geometry)
        return float(np.abs(result.data - PRIOR.data).mean())

    assert tuned.info.factor == 2
    assert error(tuned) < error(start)
    with pytest.raises(InputError, match="choose another budget"):
        fine_tune(PRIOR, start, ACQUISITION, budget_named("paper"))


# Places where nothing is learnt


def test_held_back_voxels_are_few_where_detail_is_and_do_not_reach_the_loss() -> None:
    pair = interpolated_pair(PRIOR.data, low(PRIOR.data), "zero_filled", "percentile")
    _, held = choose_validation_patches(pair, (8, 24, 24), np.random.default_rng(0))
    assert held.shape == pair.target.shape[1:]
    assert 0.02 < held.mean() < 0.5
    gaps = without_targets(pair, held)
    assert all(np.array_equal(np.isnan(one), held) for one in gaps.target)
    assert gaps.lack < pair.lack
    output = torch.from_numpy(pair.input).requires_grad_()
    masked_loss(F.l1_loss)(output, torch.from_numpy(gaps.target)).backward()
    assert output.grad is not None
    assert not output.grad[:, torch.from_numpy(held)].any()
    assert output.grad[:, torch.from_numpy(~held)].any()


@pytest.mark.parametrize(("residual", "expected"), [(True, 0.5), (False, 0.5)])
def test_score_is_the_share_of_what_lacks_that_comes_back(residual: bool, expected: float) -> None:
    class Half(Network):
        """Gives half of what lacks, which is 2 everywhere."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return torch.ones_like(x)

    inputs = np.zeros((8, 24, 24), dtype=np.float32)
    judge, held = choose_validation_patches(TrainingPair(inputs, inputs + 2), (8, 24, 24), np.random.default_rng(0))
    (score,) = judge.score(Half(), residual, "float32").values()
    assert score == pytest.approx(expected)
    assert sum(np.isfinite(pair.target).sum() for pair in judge.patches) == 6 * 8 * held.sum() == 6 * 8 * 4 * 4


def test_places_are_held_back_from_scans_smaller_than_a_patch() -> None:
    pair = sub_pixel_pair(PRIOR.data, low(PRIOR.data), 2, "percentile")
    judge, held = choose_validation_patches(pair, (12, 48, 48), np.random.default_rng(0))
    assert held.shape == pair.target.shape[1:]
    assert all(pair.input.shape == (12, 48, 48) for pair in judge.patches)
    (score,) = judge.score(new_network(SUB_PIXEL), True, "float32").values()
    assert np.isfinite(score)


def test_mask_on_a_grid_of_other_voxels_is_at_the_same_place() -> None:
    mask = np.zeros((20, 12), dtype=bool)
    mask[5:10, 6:9] = True
    larger = resize_mask(mask, (40, 36))
    assert larger.sum() == larger[10:20, 18:27].sum() == 10 * 9
    assert np.array_equal(resize_mask(larger, mask.shape), mask)


# The planning scan as it might have lain


def test_placements_keep_the_anatomy_and_give_other_low_resolution_images() -> None:
    placed = [random_shift_and_mirror(PRIOR.shape, MATRIX, np.random.default_rng(seed)) for seed in range(100)]
    assert len(set(placed)) == 2 * 2 * 2 * 2  # 48 x 64 voxels are shifted by 0 or 1 of a voxel of 24 x 32, and mirrored
    voxels = np.sort(PRIOR.data, axis=None)
    assert all(np.array_equal(np.sort(one.apply(PRIOR.data), axis=None), voxels) for one in placed)
    assert len({crop_kspace(one.apply(PRIOR.data), MATRIX).tobytes() for one in placed}) == len(set(placed))
    image = np.arange(12).reshape(1, 3, 4)
    assert ShiftAndMirror((1, 0), (False, True)).apply(image).tolist() == [[[11, 10, 9, 8], [3, 2, 1, 0], [7, 6, 5, 4]]]


def test_half_of_the_patches_are_of_a_scan_that_lies_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[TrainingPair] = []
    drawn: list[int] = []

    def remembered(pair: TrainingPair, patch: Shape) -> TrainingPair:
        made.append(fit_to_patch(pair, patch))
        return made[-1]

    def draw(pair: TrainingPair, patch: Shape, rng: np.random.Generator) -> TrainingPair:
        drawn.append(next(number for number, one in enumerate(made) if one is pair))
        return detailed_patch(pair, patch, rng)

    monkeypatch.setattr(fine_tuning_plan, "fit_to_patch", remembered)
    monkeypatch.setattr(fine_tuning_plan, "detailed_patch", draw)
    fine_tune(PRIOR, Model(new_network(SUB_PIXEL).eval(), SUB_PIXEL), ACQUISITION, TrainingBudget("test", 100), seed=3)
    as_scanned = [number for number in drawn if number < 2]
    assert len(as_scanned) == pytest.approx(0.5 * len(drawn), rel=0.2)
    moved = [number for number in drawn if number >= 2]
    assert moved == sorted(moved), "one placement after the other"
    assert len(set(moved)) > 4
    gaps = [np.isnan(pair.target).mean() for pair in made]
    assert min(gaps) == max(gaps) > 0, "what is held back is so in every placement"


def test_fine_tuning_ends_when_it_gets_no_better_where_nothing_is_learnt(
    base: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tuning, "LEAST_STEPS_BETWEEN_VALIDATIONS", 1)
    scores = iter([0.1, 0.3, *[0.2] * 50])
    monkeypatch.setattr(ValidationPatches, "score", lambda *_, **__: {"recovered": next(scores)})
    progress = Recorder()
    tuned = fine_tune(PRIOR, base, ACQUISITION, TrainingBudget("test", 40), seed=3, progress=progress)
    assert tuned.info.steps == 2 * (2 + fine_tuning.PATIENCE)
    assert tuned.info.metrics["recovered"] == 0.3
    assert "Validation has not improved since step 4, so training ends." in progress.messages


def test_papers_budget_tells_how_long_it_takes(vessel_file: Path, base: Model) -> None:
    progress = Recorder()
    image = np.random.default_rng(0).random((24, 25, 24))
    fine_tune(
        Volume(image),
        base,
        Acquisition((12, 12), image.shape[1:]),
        budget_named("paper"),
        perceptual_network=vessel_file,
        progress=progress,
    )
    assert any("1 steps of 2 patches will take about 0.0 hours on cpu" in message for message in progress.messages)


def test_short_memory_is_enough_to_train_with(monkeypatch: pytest.MonkeyPatch) -> None:
    class ShortOfMemory(UNet3D):
        def forward(self, x: Tensor) -> Tensor:
            if not self.checkpointing:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(x)

    torch.manual_seed(0)
    short, enough, progress = ShortOfMemory(2), network(2), Recorder()
    run(short, progress)
    run(enough)
    assert progress.messages == ["Not enough memory on cpu: feature maps are computed twice instead of being stored."]
    assert same_weights(short, enough)

    class NeverEnough(UNet3D):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        run(NeverEnough(2))


def test_stream_gives_the_same_pair_for_the_same_number() -> None:
    def source(rng: np.random.Generator) -> np.ndarray:
        return rng.random((4, 24, 28), dtype=np.float32)

    def stream(seed: int) -> PairStream:
        sources = [(source, 1.0), (lambda rng: 5 + source(rng), 2.0)]
        return PairStream(sources, FRACTIONS, cut, pair_maker(INFO), seed)

    first, again = stream(3), stream(3)
    for number in (0, 7, 2):
        assert np.array_equal(first.pair(number).input, again.pair(number).input)
    assert not np.array_equal(first.pair(0).target, first.pair(1).target)
    assert not np.array_equal(first.pair(0).target, stream(4).pair(0).target)


@pytest.mark.parametrize("ringing", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_augmented_image_stays_finite_and_non_negative(seed: int, ringing: bool) -> None:
    prior = PRIOR.data - np.float32(0.05 * PRIOR.data.max()) if ringing else PRIOR.data
    image = augment(prior, np.random.default_rng(seed))
    assert image.shape[0] == PRIOR.shape[0]
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert np.isfinite(image).all()
    assert image.max() > 0


# ---------------------------------------------------------------------------------------------------- slices


def numbered_volume(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Volume:
    """Every voxel tells where it is."""
    return Volume(np.arange(math.prod(shape)).reshape(shape), Geometry(shape, spacing))


def test_thick_slices_are_taken_as_they_are() -> None:
    volume = numbered_volume((9, 5, 6), (1.0, 1.0, 1.6))
    firsts = set()
    for seed in range(40):
        taken = some_slices(volume, np.random.default_rng(seed), 4)
        first = int(taken[0, 0, 0]) // 30
        assert np.array_equal(taken, volume.data[first : first + 4])
        firsts.add(first)
    assert firsts == set(range(6)), "every place is drawn, the last one too"
    assert np.array_equal(some_slices(volume, np.random.default_rng(0), 20), volume.data)


def test_thin_slices_are_averaged_to_thick_ones() -> None:
    volume = numbered_volume((40, 5, 6), (1.0, 1.0, 1.4))
    thicknesses = set()
    for seed in range(60):
        taken = some_slices(volume, np.random.default_rng(seed), 4)
        assert taken.shape[0] == 4
        thickness = round(float(taken[1, 0, 0] - taken[0, 0, 0]) / 30)
        first = taken[0, 0, 0] / 30 - (thickness - 1) / 2
        assert first == round(first)
        expected = volume.data[int(first) : int(first) + 4 * thickness].reshape(4, thickness, 5, 6).mean(axis=1)
        np.testing.assert_allclose(taken, expected, rtol=1e-6)
        thicknesses.add(thickness)
    assert thicknesses == set(range(1, 8))


def test_any_axis_of_isotropic_voxels_becomes_the_slice_axis_where_slices_stay_large_enough() -> None:
    shapes = {
        shape: {
            some_slices(numbered_volume(shape, (1.0,) * 3), np.random.default_rng(s), 3).shape[1:] for s in range(30)
        }
        for shape in ((66, 70, 80), (20, 70, 80), (20, 30, 40))
    }
    assert shapes == {
        (66, 70, 80): {(70, 80), (66, 80), (66, 70)},
        (20, 70, 80): {(70, 80)},
        (20, 30, 40): {(30, 40)},
    }


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_few_thin_slices_still_give_an_image(depth: int) -> None:
    for seed in range(30):
        taken = some_slices(numbered_volume((depth, 8, 8), (1.0,) * 3), np.random.default_rng(seed), 4)
        assert taken.shape[0] >= 1
        assert np.isfinite(taken).all()


# --------------------------------------------------------------------------------------------- optimisation


def test_rate_falls_along_half_a_cosine() -> None:
    schedule = Schedule(100, 0.2)
    assert [schedule.rate(n) for n in (0, 50, 100)] == pytest.approx([0.2, 0.1, 0.0])
    assert Schedule(100, 0.2, decay=False).rate(99) == 0.2


def test_rate_grows_evenly_while_warming_up() -> None:
    schedule = Schedule(100, 0.2, decay=False, warm_up=4)
    assert [schedule.rate(n) for n in (0, 1, 2, 3, 4, 99)] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2, 0.2])


def noise_batches(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(2, 1, 4, 8, 8, generator=generator)
    return inputs, 0.5 * inputs


def run(
    trained: nn.Module,
    progress: Progress | None = None,
    steps: int = 8,
    batches: Callable[[int], tuple[Tensor, Tensor]] = noise_batches,
    loss: Callable[[Tensor, Tensor], Tensor] = F.l1_loss,
    rate: float = 1e-3,
    **options: object,
) -> float:
    return optimise(
        trained,
        batches,
        loss,
        Schedule(steps, rate),
        residual=True,
        device=CPU,
        progress=progress or Progress(),
        **options,
    ).loss


@pytest.mark.parametrize("save_every", [0.0, 60.0])
@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_stopped_and_resumed_equals_run_at_once(tmp_path: Path, stop_after: int, save_every: float) -> None:
    at_once, resumed = network(2), network(2)
    loss = run(at_once)
    options = {"state_file": tmp_path / "state", "save_every": save_every, "identity": {"prior": "a"}}
    stopped = Recorder(stop_after)
    with pytest.raises(KeyboardInterrupt):
        run(resumed, stopped, **options)
    assert f"Stopped after step {stop_after}" in stopped.messages[0]
    fresh, progress = UNet3D(2), Recorder()
    assert run(fresh, progress, resume=True, **options) == loss
    assert same_weights(fresh, at_once)
    assert progress.steps == [(n, 8) for n in range(stop_after + 1, 9)]
    assert progress.messages == [f"Resuming after step {stop_after}."]
    assert (tmp_path / "state").exists(), "the caller removes it when the result is safe"


@pytest.mark.parametrize("other", [{"identity": {"prior": "b"}}, {"identity": {}}, {"steps": 9}])
def test_state_of_another_training_is_refused_and_kept(tmp_path: Path, other: dict[str, object]) -> None:
    options = {"state_file": tmp_path / "state", "save_every": 0.0, "identity": {"prior": "a"}}
    with pytest.raises(KeyboardInterrupt):
        run(network(2), Recorder(3), **options)
    with pytest.raises(InputError, match="belongs to a training with other data or settings"):
        run(network(2), resume=True, **(options | other))
    assert (tmp_path / "state").exists()


def test_killed_run_goes_on_from_the_last_state_saved(tmp_path: Path) -> None:
    at_once, fresh, state = network(2), UNet3D(2), tmp_path / "state"
    run(at_once)

    class Killed(Recorder):
        def step(self, done: int, total: int) -> None:
            if done == 5:
                raise SystemExit

    with pytest.raises(SystemExit):
        run(network(2), Killed(), state_file=state, save_every=0.0)
    progress = Recorder()
    run(fresh, progress, state_file=state, resume=True)
    assert progress.messages == ["Resuming after step 4."]
    assert same_weights(fresh, at_once)


def test_state_that_is_no_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"nonsense")
    with pytest.raises(InputError):
        run(network(2), state_file=tmp_path / "state", resume=True)
    save_tensors({"x": torch.zeros(1)}, {}, tmp_path / "state")
    with pytest.raises(InputError, match="not a usable training state"):
        run(network(2), state_file=tmp_path / "state", resume=True)


def test_without_resume_a_state_is_not_read(tmp_path: Path) -> None:
    at_once, again = network(2), network(2)
    run(at_once)
    (tmp_path / "state").write_bytes(b"nonsense")
    run(again, state_file=tmp_path / "state")
    assert same_weights(again, at_once)


def test_training_lowers_the_loss_and_ends_in_evaluation_mode() -> None:
    trained, progress = network(2), Recorder()

    def brighter(step: int) -> tuple[Tensor, Tensor]:
        inputs, _ = noise_batches(step)
        return inputs, inputs + 2

    final = run(trained, progress, steps=60, rate=3e-2, batches=brighter)
    assert final < 0.7 * progress.losses[0][1]
    assert not trained.training


def test_step_whose_gradient_is_not_finite_is_left_out() -> None:
    def spoilt(step: int) -> tuple[Tensor, Tensor]:
        inputs, targets = noise_batches(step)
        return inputs * (float("nan") if step in (2, 5) else 1), targets

    trained, progress = network(2), Recorder()
    assert math.isfinite(run(trained, progress, batches=spoilt))
    assert progress.messages == ["2 steps were skipped because their loss or gradient was not finite."]
    assert all(torch.isfinite(parameter).all() for parameter in trained.parameters())


class Normalised(Network):
    """A network with batch statistics, which a mere look at an image changes."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.first = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.BatchNorm3d(2))
        self.last = nn.Conv3d(2, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x))


def test_step_that_is_left_out_leaves_no_trace_in_batch_statistics() -> None:
    def spoilt(step: int) -> tuple[Tensor, Tensor]:
        inputs, targets = noise_batches(step)
        return inputs * (float("nan") if step == 2 else 1), targets

    trained = Normalised()
    run(trained, batches=spoilt)
    assert int(trained.first[1].num_batches_tracked) == 7
    assert all(torch.isfinite(tensor).all() for tensor in trained.state_dict().values())


@pytest.mark.parametrize("stage", ["batch", "loss", "step"])
def test_cancelled_at_any_moment_and_resumed_equals_run_at_once_with_batch_statistics(
    tmp_path: Path, stage: str
) -> None:
    at_once, resumed = Normalised(), Normalised()
    run(at_once)
    calls = {"batch": 0, "loss": 0, "step": 0}

    def call(name: str) -> None:
        calls[name] += 1
        if stage == name and calls[name] == 5:
            raise KeyboardInterrupt

    def batches(step: int) -> tuple[Tensor, Tensor]:
        call("batch")
        return noise_batches(step)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        call("loss")
        return F.l1_loss(output, target)

    class Cancelled(Recorder):
        def step(self, done: int, total: int) -> None:
            call("step")

    with pytest.raises(KeyboardInterrupt):
        run(Normalised(), Cancelled(), batches=batches, loss=loss, state_file=tmp_path / "state")
    progress = Recorder()
    run(resumed, progress, state_file=tmp_path / "state", resume=True)
    assert progress.messages == [f"Resuming after step {5 if stage == 'step' else 4}."]
    assert same_weights(resumed, at_once)


def test_target_that_is_not_finite_is_no_step_either() -> None:
    def spoilt(step: int) -> tuple[Tensor, Tensor]:
        inputs, targets = noise_batches(step)
        return inputs, targets * float("nan") if step == 2 else targets

    progress = Recorder()
    run(network(2), progress, batches=spoilt)
    assert all(math.isfinite(value) for _, value in progress.losses)


def test_loss_that_is_never_finite_is_an_error() -> None:
    with pytest.raises(InputError, match="does not converge"):
        run(network(2), steps=40, loss=lambda output, target: (output * float("nan")).mean())


# ----------------------------------------------------------------------------------------------- validation


class Judge:
    """Gives scores that are known beforehand, remembers the weights it has judged, and can fail at a call."""

    def __init__(self, scores: Sequence[float], fails: BaseException | None = None, at_call: int = 0) -> None:
        self.scores, self.fails, self.at_call = list(scores), fails, at_call
        self.judged: list[UNet3D] = []

    def __call__(self, judged: nn.Module) -> dict[str, float]:
        judged.eval()  # as super-resolution leaves it
        copy = network(2)
        copy.load_state_dict(judged.state_dict())
        self.judged.append(copy)
        if self.fails is not None and len(self.judged) == self.at_call:
            raise self.fails
        return {"ssim": self.scores[len(self.judged) - 1], "psnr": -float(len(self.judged))}


def run_judged(trained: UNet3D, judge: Judge, patience: int | None = None, **options: object) -> TrainingRecord:
    options = {"steps": 8, "progress": Recorder(), "every": 2} | options
    schedule = Schedule(int(options.pop("steps")), 1e-3)
    validation = Validation(judge, int(options.pop("every")), patience)
    return optimise(
        trained, noise_batches, F.l1_loss, schedule, residual=True, device=CPU, validation=validation, **options
    )


@pytest.mark.parametrize(("steps", "judged"), [(8, [3, 6, 8]), (6, [3, 6]), (2, [2])])
def test_network_is_judged_every_few_steps_and_at_the_end(steps: int, judged: list[int]) -> None:
    progress = Recorder()
    record = run_judged(network(2), Judge([0.1, 0.2, 0.3]), steps=steps, every=3, progress=progress)
    assert [step for step, _ in progress.validations] == list(record.scores) == judged
    assert dict(progress.validations) == record.scores
    assert record.scores[judged[0]] == {"ssim": 0.1, "psnr": -1}
    assert progress.steps[-1] == (steps, steps)


@pytest.mark.parametrize(
    ("scores", "best"),
    [([0.1, 0.9, 0.5, 0.2], 1), ([0.9, 0.1, 0.5, 0.2], 0), ([0.1, 0.2, 0.3, 0.4], 3), ([0.1, 0.9, 0.9, 0.9], 1)],
)
def test_weights_that_were_best_in_validation_are_kept(scores: list[float], best: int) -> None:
    trained, judge = network(2), Judge(scores)
    record = run_judged(trained, judge)
    assert record.best == 2 * (best + 1)
    assert same_weights(trained, judge.judged[best])
    assert not any(same_weights(trained, other) for n, other in enumerate(judge.judged) if n != best)
    assert not trained.training


def test_validation_does_not_change_what_is_learnt() -> None:
    alone, judged = network(2), network(2)
    loss = run(alone)
    assert run_judged(judged, Judge([1, 2, 3, 4])).loss == loss
    assert same_weights(judged, alone)


def test_network_with_batch_statistics_goes_on_learning_them_after_it_was_judged() -> None:
    alone, judged = Normalised(), Normalised()
    run(alone)
    calls = []

    def judge(network: nn.Module) -> dict[str, float]:
        calls.append(network.eval())
        return {"ssim": float(len(calls))}

    optimise(
        judged,
        noise_batches,
        F.l1_loss,
        Schedule(8, 1e-3),
        residual=True,
        device=CPU,
        progress=Progress(),
        validation=Validation(judge, 2),
    )
    assert len(calls) == 4
    assert same_weights(judged, alone)


@pytest.mark.parametrize(
    ("patience", "scores", "judgements"),
    [(1, [5, 4, 9, 9], 2), (2, [5, 4, 3, 9], 3), (2, [5, 4, 6, 5], 4), (3, [5, 5, 5, 5], 4), (9, [4, 3, 2, 1], 4)],
)
def test_patience_ends_training(patience: int, scores: list[float], judgements: int) -> None:
    trained, progress, judge = network(2), Recorder(), Judge(scores)
    record = run_judged(trained, judge, patience, progress=progress)
    assert record.steps == progress.steps[-1][0] == 2 * judgements
    assert list(record.scores) == [2 * (n + 1) for n in range(judgements)]
    best = scores.index(max(scores[:judgements]))
    assert same_weights(trained, judge.judged[best])
    stuck = judgements - 1 - best >= patience
    expected = [f"Validation has not improved since step {2 * (best + 1)}, so training ends."] if stuck else []
    assert progress.messages == expected


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("fails", [KeyboardInterrupt(), SystemExit()], ids=["cancelled", "killed"])
@pytest.mark.parametrize("at_call", [1, 2, 3])
def test_training_stopped_while_it_is_judged_goes_on_as_if_it_had_not_been(
    tmp_path: Path, at_call: int, fails: BaseException, patience: int | None
) -> None:
    scores = [5.0, 4.0, 3.0, 9.0]
    at_once, resumed = network(2), UNet3D(2)
    expected = run_judged(at_once, Judge(scores), patience)
    options = {"state_file": tmp_path / "state", "save_every": 0.0}
    with pytest.raises(type(fails)):
        run_judged(network(2), Judge(scores, fails, at_call), patience, **options)
    progress = Recorder()
    record = run_judged(resumed, Judge(scores[at_call - 1 :]), patience, resume=True, progress=progress, **options)
    assert record.steps == expected.steps
    assert (record.losses, record.best) == (expected.losses, expected.best)
    assert {step: score["ssim"] for step, score in record.scores.items()} == {
        step: score["ssim"] for step, score in expected.scores.items()
    }
    assert same_weights(resumed, at_once)
    assert [step for step, _ in progress.validations] == [step for step in expected.scores if step >= 2 * at_call]
    assert (tmp_path / "state").exists()


def test_training_that_had_come_to_its_end_does_not_go_on_when_resumed(tmp_path: Path) -> None:
    class Cancelled(Recorder):
        def validation(self, step: int, scores: Mapping[str, float]) -> None:
            super().validation(step, scores)
            if step == 4:
                raise KeyboardInterrupt

    at_once, resumed, state = network(2), UNet3D(2), tmp_path / "state"
    run_judged(at_once, Judge([5, 4]), patience=1)
    with pytest.raises(KeyboardInterrupt):
        run_judged(network(2), Judge([5, 4]), patience=1, state_file=state, progress=Cancelled())
    progress, judge = Recorder(), Judge([])
    record = run_judged(resumed, judge, patience=1, state_file=state, resume=True, progress=progress)
    assert (record.steps, progress.steps, judge.judged) == (4, [], [])
    assert same_weights(resumed, at_once)


# ---------------------------------------------------------------------------------------------- fine-tuning


@pytest.fixture(scope="module")
def tuned(base: Model) -> tuple[Model, Recorder]:
    progress = Recorder()
    return fine_tune(PRIOR, base, ACQUISITION, TINY, seed=3, progress=progress), progress


def test_fine_tuning_is_deterministic(base: Model, tuned: tuple[Model, Recorder]) -> None:
    again = fine_tune(PRIOR, base, ACQUISITION, TINY, seed=3)
    assert same_weights(again.network, tuned[0].network)
    assert again.info == tuned[0].info
    other = fine_tune(PRIOR, base, ACQUISITION, TrainingBudget("test", 2), seed=4)
    assert not same_weights(
        other.network, fine_tune(PRIOR, base, ACQUISITION, TrainingBudget("test", 2), seed=3).network
    )


def test_fine_tuned_model_knows_where_it_comes_from(base: Model, tuned: tuple[Model, Recorder]) -> None:
    model, progress = tuned
    info = model.info
    assert info.parent == base.sha256
    assert len(info.parent) == 64
    assert info.prior_spacing == PRIOR.geometry.spacing
    assert info.fractions == (MATRIX[0] * MATRIX[1] / (48 * 64),)
    assert (info.steps, info.seed, info.loss) == (8, 3, DEFAULT.loss)
    assert (info.interpolation, info.normalisation) == (base.info.interpolation, base.info.normalisation)
    assert (info.residual, info.data_consistency) == (True, True)
    assert info.metrics["training loss"] > 0
    assert progress.steps == [(n, 8) for n in range(1, 9)]
    assert [step for step, _ in progress.losses] == [0, 7]
    assert all(math.isfinite(value) for _, value in progress.losses)


def test_strength_is_the_share_of_the_way_from_the_base(base: Model, tuned: tuple[Model, Recorder]) -> None:
    half = fine_tune(PRIOR, base, ACQUISITION, TINY, seed=3, strength=0.5).network.state_dict()
    before, after = base.network.state_dict(), tuned[0].network.state_dict()
    assert all(torch.allclose(half[name], (before[name] + after[name]) / 2) for name in half)


def test_a_base_that_was_super_resolved_with_on_a_graphics_card_can_be_kept_in_part() -> None:
    """Super-resolving leaves the network on its device. Fake tensors know devices that this computer has not."""
    with FakeTensorMode():
        start, end = {"weight": torch.zeros(3, device="cuda")}, {"weight": torch.ones(3)}
        with pytest.raises(RuntimeError, match="same device"):
            start["weight"].lerp(end["weight"], 0.5)
        assert fine_tuning._part_of_the_way(start, end, 0.5)["weight"].device.type == "cpu"


def test_precision_changes_how_it_is_computed_and_little_of_what_comes_out(base: Model) -> None:
    tuned = {p: fine_tune(PRIOR, base, ACQUISITION, TINY, seed=3, precision=p) for p in PRECISIONS}
    start, exact, fast = (m.network.state_dict() for m in (base, tuned["float32"], tuned["bfloat16"]))
    assert {w.dtype for w in fast.values()} == {torch.float32}
    assert [tuned[p].info.precision for p in PRECISIONS] == list(PRECISIONS)
    assert not same_weights(tuned["float32"].network, tuned["bfloat16"].network)
    apart = sum(float((fast[name] - exact[name]).square().sum()) for name in exact)
    moved = sum(float((exact[name] - start[name]).square().sum()) for name in exact)
    assert 0 < apart < 0.05 * moved, "Adam's first steps have the size of the rate, whatever the gradient's"
    assert same_weights(
        fine_tune(PRIOR, base, ACQUISITION, TINY, seed=3, precision="bfloat16").network, tuned["bfloat16"].network
    )


def dirty_memory() -> None:
    """Leave no number in the memory that PyTorch will use next."""
    for size in (10**3, 10**4, 10**5, 10**6):
        torch.full((size,), math.nan)
        torch.full((size,), math.nan, dtype=torch.bfloat16)


@pytest.mark.parametrize("slices", [8, 12, 16])
def test_gradients_in_bfloat16_are_those_in_float32(slices: int) -> None:
    shape = (2, 1, slices, 16, 16)
    inputs, targets = torch.rand(shape, generator=torch.Generator().manual_seed(0)), torch.zeros(shape)

    def gradients(precision: Precision) -> Tensor:
        trained = network(8)
        found: list[Tensor] = []
        for parameter in trained.parameters():
            parameter.register_post_accumulate_grad_hook(lambda p: found.append(p.grad.flatten().clone()))
        dirty_memory()
        optimise(
            trained,
            lambda _step: (inputs, targets),
            F.l1_loss,
            Schedule(1, 1e-3),
            residual=False,
            device=CPU,
            progress=Progress(),
            precision=precision,
        )
        return torch.cat(found)

    exact = gradients("float32")
    for _ in range(3):
        assert torch.linalg.norm(gradients("bfloat16") - exact) < 0.05 * torch.linalg.norm(exact)


@pytest.mark.parametrize("instructions", ["_is_avx512_bf16_supported", "_is_amx_tile_supported", ""])
def test_bfloat16_is_the_fastest_only_where_the_processor_has_it(
    instructions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda answer=name == instructions: answer)
    assert fastest_precision(CPU) == ("bfloat16" if instructions else "float32")
    assert default_precision(TINY, CPU) == fastest_precision(CPU)
    assert default_precision(budget_named("paper"), CPU) == "float32", "to the letter"
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert fastest_precision(CPU) == "float32", "another version of PyTorch"


def test_base_is_not_changed(base: Model, tuned: tuple[Model, Recorder]) -> None:
    assert same_weights(base.network, network())
    assert not same_weights(base.network, tuned[0].network)
    assert base.info == INFO


def test_fine_tuned_model_can_be_saved_and_loaded(tuned: tuple[Model, Recorder], tmp_path: Path) -> None:
    save_model(tuned[0], tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.info == tuned[0].info
    assert same_weights(loaded.network, tuned[0].network)


def test_state_of_another_prior_is_refused(base: Model, tmp_path: Path) -> None:
    state = tmp_path / "state"
    identity = {
        "base": weights_sha256(base.network) + base.info.to_json(),
        "perceptual network": "",
        "prior": hashlib.sha256(PRIOR.data.tobytes()).hexdigest(),
        "acquisition": repr(ACQUISITION),
        "budget": "test",
        "seed": "0",
        "precision": default_precision(TINY, CPU),
    }
    with pytest.raises(KeyboardInterrupt):
        run(network(), Recorder(3), state_file=state, save_every=0.0, identity=identity)
    progress = Recorder()
    fine_tune(PRIOR, base, ACQUISITION, TINY, state_file=state, resume=True, progress=progress)
    assert progress.messages == ["Resuming after step 3."]
    with pytest.raises(KeyboardInterrupt):
        run(network(), Recorder(3), state_file=state, save_every=0.0, identity=identity)
    other = PRIOR.with_data(PRIOR.data + 1)
    for prior, matrix, seed in ((other, MATRIX, 0), (PRIOR, (12, 16), 0), (PRIOR, MATRIX, 1)):
        with pytest.raises(InputError, match="other data or settings"):
            fine_tune(prior, base, Acquisition(matrix, (48, 64)), TINY, seed=seed, state_file=state, resume=True)
    (precision,) = set(PRECISIONS) - {default_precision(TINY, CPU)}
    with pytest.raises(InputError, match="other data or settings"):
        fine_tune(PRIOR, base, ACQUISITION, TINY, state_file=state, resume=True, precision=precision)


@pytest.mark.parametrize("shape", [(24, 28, 28), (28, 24, 32), (24, 24, 24)])
def test_paper_budget_is_one_epoch_over_all_patches(
    shape: tuple[int, int, int], base: Model, vessel_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def spy(trained: UNet3D, batches: object, loss: object, schedule: Schedule, **_: object) -> TrainingRecord:
        seen.update(batches=batches, schedule=schedule)
        return TrainingRecord(steps=schedule.steps)

    monkeypatch.setattr(fine_tuning, "optimise", spy)
    image = np.random.default_rng(0).random(shape)
    matrix = (shape[1] // 2, shape[2] // 2)
    tuned = fine_tune(
        Volume(image), base, Acquisition(matrix, shape[1:]), budget_named("paper"), perceptual_network=vessel_file
    )
    positions = math.prod(size - 24 + 1 for size in shape)
    schedule = seen["schedule"]
    assert schedule.steps == tuned.info.steps == math.ceil(positions / 16)
    assert [schedule.rate(n) for n in (0, schedule.steps - 1)] == [1e-6, 1e-6]
    assert tuned.info.loss == "perceptual"
    targets = torch.cat([seen["batches"](step)[1] for step in range(schedule.steps)])
    assert targets.shape == (positions, 1, 24, 24, 24)
    assert len({float(patch[0, 0, 0, 0]) for patch in targets}) == positions


def test_paper_budget_trains_with_the_perceptual_network(base: Model, vessel_file: Path) -> None:
    prior = Volume(np.random.default_rng(0).random((24, 24, 24)))
    tuned = fine_tune(
        prior, base, Acquisition((12, 12), (24, 24)), budget_named("paper"), perceptual_network=vessel_file
    )
    assert tuned.info.steps == 1
    assert tuned.info.metrics["training loss"] > 0
    assert not same_weights(tuned.network, base.network)


def test_paper_budget_without_a_perceptual_network_is_refused(base: Model) -> None:
    with pytest.raises(InputError, match="needs a perceptual network"):
        fine_tune(PRIOR, base, ACQUISITION, budget_named("paper"))


def test_unknown_budget_is_refused() -> None:
    with pytest.raises(InputError, match="use one of quick, standard, long, paper"):
        budget_named("endless")


# -------------------------------------------------------------------------------------- prior and resolution


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("size", [(192, 256), (191, 255), (101, 130)])
def test_acquired_matrix_is_that_of_a_downsampled_volume(size: tuple[int, int], fraction: float) -> None:
    prior = Volume(np.ones((1, *size)), Geometry((1, *size), (1.1, 1.3, 4.0)))
    low = downsample(prior, fraction)
    assert Acquisition.between(prior.geometry, low.geometry).acquired_matrix == low.shape[1:]
    assert Acquisition.centre(size, fraction).acquired_matrix == low.shape[1:]


def test_acquired_matrix_of_a_larger_prior_gives_the_resolution_of_the_series() -> None:
    prior = Geometry((4, 200, 240), (1.0, 1.0, 4.0))
    series = Geometry((4, 30, 40), (4.0, 5.0, 4.0))
    assert Acquisition.between(prior, series).acquired_matrix == (40, 60)


def test_prior_of_lower_resolution_is_refused() -> None:
    coarse, fine = Geometry((4, 20, 20), (4.0, 4.0, 4.0)), Geometry((4, 60, 60), (1.5, 1.5, 4.0))
    with pytest.raises(InputError, match="lower resolution"):
        Acquisition.between(coarse, fine)
    with pytest.raises(InputError, match="lower resolution"):
        match_prior(Volume(np.ones(coarse.shape), coarse), fine)
    turned = replace(fine, direction=(0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    with pytest.raises(InputError, match="larger voxels"):
        match_prior(Volume(np.ones(coarse.shape), coarse), turned)


def test_prior_of_the_same_orientation_is_taken_as_it_is() -> None:
    progress = Recorder()
    assert match_prior(PRIOR, downsample(PRIOR, 0.25).geometry, progress) is PRIOR
    assert progress.messages == []


def test_prior_of_another_orientation_is_resampled_and_logged() -> None:
    # The same object seen along x: what moves along a slice's columns is now the order of the slices.
    direction = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    grid = Geometry((40, 24, 32), (1.0, 1.0, 1.0), (5.0, -10.0, 0.0), direction)
    z, y, x = np.indices(grid.shape)
    positions = np.stack([x, y, z], axis=-1) @ grid.axes.T + grid.origin
    slope = np.array([0.5, -0.3, 0.2])
    sagittal = Volume(positions @ slope + 50, grid)
    series = Geometry((5, 10, 9), (3.0, 2.5, 4.0), (10.0, -5.0, 3.0))
    progress = Recorder()
    matched = match_prior(sagittal, series, progress)
    assert len(progress.messages) == 1
    assert "another orientation" in progress.messages[0]
    assert matched.geometry.direction == series.direction
    assert matched.geometry.spacing == pytest.approx((1.0, 1.0, 4.0))
    places = [(0, 0, 0), (13, 17, 2), (26, 24, 4)]
    for index in places:
        expected = matched.geometry.position(index) @ slope + 50
        assert matched.data[index[::-1]] == pytest.approx(expected, abs=1e-3)


def test_prior_elsewhere_is_refused() -> None:
    far = Geometry((4, 30, 40), (4.0, 5.0, 4.0), (900.0, 0.0, 0.0))
    with pytest.raises(InputError, match="do not overlap"):
        match_prior(PRIOR, far)
