"""The perceptual network: synthetic angiograms, training on them, and the file that the perceptual loss reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command_line import Command
from helpers.models import same_weights
from helpers.recorder import Recorder
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.losses.perceptual import LEVELS, load_encoder
from SRDynamicMRILib.losses.registry import loss_named
from SRDynamicMRILib.models.checkpoints import load_tensors
from SRDynamicMRILib.networks.vessel_unet import VesselEncoder, VesselUNet
from SRDynamicMRILib.phantom import angiogram as angiograms
from SRDynamicMRILib.phantom.angiogram import Angiogram, angiogram
from SRDynamicMRILib.training import vessel_training
from SRDynamicMRILib.training.vessel_training import (
    VesselTraining,
    deep_supervision_loss,
    save_encoder,
    train_vessel_network,
    unseen_dice,
)

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
PROPERTY = settings(max_examples=40, deadline=None)
SHAPE = (24, 28, 32)


def made(seed: int, shape: tuple[int, int, int] = SHAPE, spacing: float | None = None) -> Angiogram:
    return angiogram(np.random.default_rng(seed), shape, spacing)


# ----------------------------------------------------------------------------------------------- angiograms


@pytest.mark.parametrize("shape", [SHAPE, (5, 40, 17), (1, 9, 60)])
@pytest.mark.parametrize("seed", range(4))
def test_angiogram_is_an_image_of_its_shape(seed: int, shape: tuple[int, int, int]) -> None:
    found = made(seed, shape)
    assert found.image.shape == found.vessels.shape == shape
    assert found.image.data.dtype == np.float32
    assert found.vessels.dtype == np.bool_
    assert np.isfinite(found.image.data).all()
    assert found.image.data.min() >= 0
    assert 0 < found.image.data.max() < 3
    spacing = found.image.geometry.spacing
    assert len(set(spacing)) == 1
    assert 0.4 <= spacing[0] <= 1.0


def test_angiogram_is_the_seeds() -> None:
    first, again, other = made(1), made(1), made(2)
    assert np.array_equal(first.image.data, again.image.data)
    assert np.array_equal(first.vessels, again.vessels)
    assert not np.array_equal(first.image.data, other.image.data)
    assert not np.array_equal(first.vessels, other.vessels)


def test_spacing_can_be_chosen() -> None:
    assert made(1, spacing=0.7).image.geometry.spacing == (0.7, 0.7, 0.7)


def test_vessels_are_brighter_than_what_surrounds_them() -> None:
    inside, around = [], []
    for seed in range(12):
        found = made(seed, (40, 40, 40))
        share = found.vessels.mean()
        assert share < 0.5
        if share == 0:
            continue
        inside.append(float(found.image.data[found.vessels].mean()))
        around.append(float(found.image.data[~found.vessels].mean()))
    assert len(inside) >= 10, "nearly every angiogram holds vessels"
    assert all(a > b for a, b in zip(inside, around, strict=True))
    assert np.mean(inside) > 1.5 * np.mean(around)


def test_without_segments_there_is_no_vessel() -> None:
    cover, brightness = angiograms._draw([], SHAPE, 1.0)
    assert not cover.any()
    assert not brightness.any()


@pytest.mark.parametrize("radius", [2.0, 1.0, 0.6])
def test_straight_vessel_is_a_cylinder_where_it_was_drawn(radius: float) -> None:
    spacing = 0.5
    start, end = np.array([-3.0, 6.1, 8.2]), np.array([20.0, 6.1, 8.2])
    segment = angiograms._Segment(start, end, radius, 0.8)
    cover, brightness = angiograms._draw([segment], SHAPE, spacing)
    assert cover.max() == 1
    assert cover[0].sum() * spacing**2 == pytest.approx(np.pi * radius**2, rel=0.1)
    assert np.count_nonzero(cover[0] >= 0.5) * spacing**2 == pytest.approx(np.pi * radius**2, rel=0.15)
    np.testing.assert_allclose(cover, np.broadcast_to(cover[:1], SHAPE), atol=1e-6)
    z, y, x = np.nonzero(cover)
    assert y.mean() * spacing == pytest.approx(6.1, abs=0.1)
    assert x.mean() * spacing == pytest.approx(8.2, abs=0.1)
    assert np.hypot(y * spacing - 6.1, x * spacing - 8.2).max() <= radius + spacing / 2
    assert set(np.unique(brightness)) == {np.float32(0), np.float32(0.8)}
    assert np.array_equal(brightness > 0, cover > 0)
    assert set(z) == set(range(SHAPE[0]))


def test_vessel_thinner_than_a_voxel_is_seen_along_its_middle() -> None:
    segment = angiograms._Segment(np.array([-3.0, 6.2, 8.3]), np.array([40.0, 6.2, 8.3]), 0.1, 1.0)
    cover, _ = angiograms._draw([segment], SHAPE, 1.0)
    assert np.argwhere(cover >= 0.5).tolist() == [[z, 6, 8] for z in range(SHAPE[0])]
    assert cover.max() < 1


def test_vessel_ends_where_it_ends_and_the_one_that_covers_more_gives_the_brightness() -> None:
    def straight(row: float, brightness: float, high: float) -> angiograms._Segment:
        return angiograms._Segment(np.array([5.0, row, 8.0]), np.array([high, row, 8.0]), 2.0, brightness)

    cover, _ = angiograms._draw([straight(6, 1, 11)], SHAPE, 1.0)
    assert cover[5:12, 6, 8].min() == 1
    assert cover[:2].max() == cover[15:].max() == 0
    for order in (1, -1):
        both = [straight(6, 0.5, 11), straight(9, 0.9, 11)][::order]
        _, brightness = angiograms._draw(both, SHAPE, 1.0)
        assert brightness[8, [5, 6, 9, 10], 8].tolist() == pytest.approx([0.5, 0.5, 0.9, 0.9])


def test_vessel_outside_is_not_seen() -> None:
    outside = angiograms._Segment(np.array([5.0, -20.0, 5.0]), np.array([9.0, -9.0, 5.0]), 3.0, 1.0)
    assert not angiograms._draw([outside], SHAPE, 1.0)[0].any()


@PROPERTY
@given(st.floats(0.8, 3), st.integers(0, 10_000))
def test_bifurcation_obeys_murray(radius: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    heading = angiograms._unit(rng.normal(size=3))
    branches = angiograms._branches(rng, heading, radius)
    (first, wide), (second, narrow) = branches
    assert wide**3 + narrow**3 == pytest.approx(radius**3)
    assert radius > wide >= narrow >= angiograms._THINNEST
    for direction in (first, second):
        assert np.linalg.norm(direction) == pytest.approx(1)
    for direction, own, other in ((first, wide, narrow), (second, narrow, wide)):  # Murray 1926: the least work
        expected = (radius**4 + own**4 - other**4) / (2 * radius**2 * own**2)
        assert direction @ heading == pytest.approx(expected, abs=1e-6)
    assert np.linalg.det([heading, first, second]) == pytest.approx(0, abs=1e-6), "all in one plane"
    across = first - (first @ heading) * heading
    assert across @ second <= 1e-9, "to either side"


def test_branches_that_are_too_thin_are_left_out() -> None:
    rng = np.random.default_rng(0)
    found = [len(angiograms._branches(rng, np.array([0.0, 0.0, 1.0]), 0.4)) for _ in range(100)]
    assert set(found) == {1, 2}
    assert angiograms._branches(rng, np.array([0.0, 0.0, 1.0]), angiograms._THINNEST) == []


@pytest.mark.parametrize("seed", range(5))
def test_tree_enters_through_a_face_and_hangs_together(seed: int) -> None:
    extent = np.array([20.0, 24.0, 30.0])
    segments = angiograms._tree(np.random.default_rng(seed), extent)
    root = segments[0].start
    assert np.isclose(root, 0).any() or np.isclose(root, extent).any()
    assert np.all(root >= 0) and np.all(root <= extent)
    inward = (segments[0].end - root) @ (extent / 2 - root)
    assert inward > 0
    ends = {tuple(segment.end) for segment in segments}
    assert all(tuple(segment.start) in ends for segment in segments[1:])
    radii = {segment.radius for segment in segments}
    assert max(radii) == segments[0].radius <= angiograms._ROOT_RADIUS[1]
    assert min(radii) >= angiograms._THINNEST
    assert all(np.linalg.norm(s.end - s.start) == pytest.approx(angiograms._STEP) for s in segments)
    assert len(segments) < 1.1 * angiograms._LONGEST_TREE


# ------------------------------------------------------------------------------------------------------ loss


def test_deep_supervision_loss_is_that_of_the_hand() -> None:
    vessels = torch.zeros(2, 1, 1, 2, 2)
    vessels[0, 0, 0, 0] = 1  # 2 of 8 voxels
    fine = torch.full_like(vessels, -np.log(3.0))  # a share of 1/4 everywhere
    coarse = torch.zeros_like(vessels)  # of 1/2
    one = (2 * np.log(4) + 6 * np.log(4 / 3)) / 8 + 1 - (2 * 2 / 4 + 1) / (8 / 4 + 2 + 1)
    two = np.log(2) + 1 - (2 * 2 / 2 + 1) / (8 / 2 + 2 + 1)
    found = deep_supervision_loss([fine, coarse, coarse], vessels)
    assert float(found) == pytest.approx(one + two / 2 + two / 4, rel=1e-6)


def test_loss_of_what_is_right_is_nothing_even_without_vessels() -> None:
    for share in (0.0, 0.3):
        vessels = (torch.rand(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0)) < share).float()
        assert float(deep_supervision_loss([40 * (2 * vessels - 1)], vessels)) == pytest.approx(0, abs=1e-5)
        assert float(deep_supervision_loss([40 * (1 - 2 * vessels)], vessels)) > 30


# -------------------------------------------------------------------------------------------------- training


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Angiograms and patches so small that a training takes a moment."""
    monkeypatch.setattr(vessel_training, "_VOLUME", (20, 22, 24))
    monkeypatch.setattr(vessel_training, "PATCH", (8, 8, 8))
    monkeypatch.setattr(vessel_training, "_POOL", 2)
    monkeypatch.setattr(vessel_training, "_UNSEEN", 2)


TASK = VesselTraining(steps=12, seed=3, features=2)


@pytest.mark.usefixtures("small")
def test_patches_come_from_everywhere_with_image_and_vessels_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vessel_training, "PATCH", (8, 10, 9))
    found = made(1, vessel_training._VOLUME)
    numbers = 1.0 + np.arange(found.vessels.size, dtype=np.float32).reshape(found.vessels.shape)
    numbered = Angiogram(found.image.with_data(numbers), found.vessels)
    shapes, turns, middles = set(), set(), []
    for seed in range(80):
        image, vessels = vessel_training._patch(numbered, np.random.default_rng(seed))
        assert image.dtype == vessels.dtype == np.float32
        middles.append(vessels[tuple(size // 2 for size in vessels.shape)])
        contrast = np.ptp(image) / (7 * 22 * 24 + 9 * 24 + 8)
        assert 0.6 <= contrast <= 1.2
        places = np.round(image / contrast).astype(int) - 1
        assert np.array_equal(vessels, found.vessels.ravel()[places].astype(np.float32))
        shapes.add(image.shape)
        turns.add(tuple(bool(np.diff(image, axis=axis).ravel()[0] > 0) for axis in range(3)))
    assert len(shapes) == 6
    assert len(turns) == 8
    assert np.mean(middles) > found.vessels.mean() + 0.2, "most hold a vessel"


@pytest.mark.usefixtures("small")
def test_training_lowers_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vessel_training, "LEARNING_RATE", 1e-2)
    monkeypatch.setattr(vessel_training, "WARM_UP", 5)
    progress = Recorder()
    network = train_vessel_network(VesselTraining(steps=80, seed=1, features=4), CPU, progress)
    losses = [value for _, value in progress.losses]
    assert losses[-1] < 0.8 * losses[0]
    assert progress.steps[-1] == (80, 80)
    assert not network.training


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("stop_after", [1, 9])
def test_training_is_the_seeds_and_can_be_resumed(tmp_path: Path, stop_after: int) -> None:
    at_once = train_vessel_network(TASK, CPU)
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train_vessel_network(TASK, CPU, Recorder(stop_after), state)
    for other in (VesselTraining(12, 4, 2), VesselTraining(13, 3, 2), VesselTraining(12, 3, 3)):
        with pytest.raises(InputError, match="other data or settings"):
            train_vessel_network(other, CPU, state_file=state, resume=True)
    progress = Recorder()
    resumed = train_vessel_network(TASK, CPU, progress, state, resume=True)
    assert [done for done, _ in progress.steps] == list(range(stop_after + 1, 13))
    assert same_weights(resumed, at_once)
    assert state.exists()
    assert not same_weights(train_vessel_network(VesselTraining(12, 4, 2), CPU), at_once)


@pytest.mark.usefixtures("small")
def test_angiograms_and_patches_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    volumes: list[int] = []
    patches: list[int] = []

    def noted(rng: np.random.Generator, shape: tuple[int, int, int]) -> Angiogram:
        volumes.append(rng.bit_generator.state["state"]["state"])
        return angiogram(rng, shape)

    def noted_patch(volume: Angiogram, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        patches.append(rng.bit_generator.state["state"]["state"])
        return patch_of(volume, rng)

    patch_of = vessel_training._patch
    monkeypatch.setattr(vessel_training, "angiogram", noted)
    monkeypatch.setattr(vessel_training, "_patch", noted_patch)
    monkeypatch.setattr(vessel_training, "_STEPS_PER_VOLUME", 3)
    for seed in (3, 4):
        train_vessel_network(VesselTraining(12, seed, 1), CPU)
    assert len(volumes) == 2 * (2 + 3), "a pool of two, and another one after every third step of twelve"
    assert len(patches) == 2 * 12 * vessel_training.BATCH
    assert len(set(volumes)) == len(volumes)
    assert len(set(patches)) == len(patches)


@pytest.mark.parametrize("task", [VesselTraining(steps=0), VesselTraining(features=0)], ids=str)
def test_training_of_nothing_is_refused(task: VesselTraining) -> None:
    with pytest.raises(InputError, match="at least one step and one feature map"):
        train_vessel_network(task, CPU)


# ------------------------------------------------------------------------------------------------------ Dice


class Answer(nn.Module):
    """Stands for a network: gives logits made of the image that it is shown."""

    def __init__(self, logits: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.logits(x), torch.full_like(x, torch.nan)]


@pytest.mark.usefixtures("small")
def test_dice_is_one_for_a_perfect_network_and_zero_for_an_empty_one() -> None:
    unseen = [made_like_unseen(5, number) for number in range(3)]
    vessels = {volume.image.data.tobytes(): torch.from_numpy(volume.vessels) for volume in unseen}
    assert all(volume.vessels.any() for volume in unseen)

    def perfect(x: Tensor) -> Tensor:
        assert x.shape == (1, 1, *vessel_training._VOLUME)
        return 2.0 * vessels[x[0, 0].numpy().tobytes()][None, None] - 1

    assert unseen_dice(Answer(perfect), seed=5, count=3) == [1, 1, 1]
    assert unseen_dice(Answer(lambda x: torch.full_like(x, -1)), seed=5, count=3) == [0, 0, 0]
    everywhere = [2 * v.vessels.mean() / (1 + v.vessels.mean()) for v in unseen]
    assert unseen_dice(Answer(torch.ones_like), seed=5, count=3) == pytest.approx(everywhere)


def made_like_unseen(seed: int, number: int) -> Angiogram:
    return angiogram(np.random.default_rng([seed, 7, number]), vessel_training._VOLUME)


# ------------------------------------------------------------------------------------------------------ file


def trained(features: int = 3) -> VesselUNet:
    """A network whose batch normalisation has seen something, large variances too."""
    torch.manual_seed(0)
    network = VesselUNet(features).train()
    with torch.no_grad():
        network(3e5 * torch.rand(2, 1, 16, 16, 16))
    return network.eval()


def test_encoder_in_the_file_is_that_of_the_network(tmp_path: Path) -> None:
    network, path = trained(), tmp_path / "vessel.safetensors"
    task = VesselTraining(steps=5, seed=2, features=3)
    save_encoder(network, task, [0.51234, 0.6], path)
    tensors, metadata = load_tensors(path)
    assert set(tensors) == set(VesselEncoder(3, LEVELS).state_dict())
    whole = network.encoder.state_dict()
    for name, tensor in tensors.items():
        if tensor.ndim == 5:
            assert tensor.dtype == torch.float16
            assert torch.equal(tensor, whole[name].half())
        else:
            assert tensor.dtype == whole[name].dtype
            assert torch.equal(tensor, whole[name])
    assert max(float(tensor.max()) for name, tensor in tensors.items() if "running_var" in name) > 65504
    facts = json.loads(metadata["SRDynamicMRI perceptual network"])
    assert (facts["steps"], facts["seed"], facts["features"], facts["dice"]) == (5, 2, 3, [0.5123, 0.6])

    loaded = load_encoder(path).eval()
    x = 3e5 * torch.rand(1, 1, 12, 12, 12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for found, expected in zip(loaded(x), network.encoder(x)[:LEVELS], strict=True):
            assert expected.std() > 0.01
            torch.testing.assert_close(found, expected, rtol=0, atol=5e-3 * float(expected.max()))


@pytest.mark.usefixtures("small")
def test_command_writes_what_the_loss_reads(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "vessel.safetensors"
    options = ("--steps", 4, "--features", 2, "--seed", 3, "--device", "cpu", "--progress", "json")
    outcome = command("train-perceptual", "--output", path, *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.events[-1] == {"event": "result", "outputs": {"model": str(path)}}
    assert [e["done"] for e in outcome.events if e["event"] == "progress"] == [1, 2, 3, 4]
    assert list(tmp_path.iterdir()) == [path]
    network = train_vessel_network(VesselTraining(4, 3, 2), CPU)
    dice = unseen_dice(network, 3)
    said = ", ".join(f"{value:.3f}" for value in dice)
    assert f"Dice on {len(dice)} unseen angiograms: {said}." in outcome.messages()
    expected = network.encoder.state_dict()
    for name, tensor in load_encoder(path).state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-3, atol=1e-4)
    loss = loss_named("perceptual", CPU, path)
    x = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    assert loss(x, x) == 0
    assert loss(x, 2 * x) > 0


@pytest.mark.usefixtures("small")
def test_command_goes_on_where_it_was_stopped(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, path = tmp_path / "whole.safetensors", tmp_path / "vessel.safetensors"
    options = ("--steps", 6, "--features", 2, "--device", "cpu", "--progress", "json")
    assert command("train-perceptual", "--output", whole, *options).code == 0

    def stopping(logits: list[Tensor], vessels: Tensor) -> Tensor:
        calls.append(0)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return deep_supervision_loss(logits, vessels)

    calls: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(vessel_training, "deep_supervision_loss", stopping)
        stopped = command("train-perceptual", "--output", path, *options)
    assert stopped.code == 130
    assert "Stopped after step 4" in stopped.messages()
    resumed = command("train-perceptual", "--output", path, *options, "--resume")
    assert resumed.code == 0
    assert "Resuming after step 4." in resumed.messages()
    assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [(("--steps", 0), "at least one step"), (("--features", 0), "one feature map"), (("--output", "v.pth"), "ending")],
    ids=str,
)
def test_wrong_options_are_answered_by_a_sentence(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = command("train-perceptual", "--output", "v.safetensors", "--progress", "none", *options)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert list(tmp_path.iterdir()) == []
