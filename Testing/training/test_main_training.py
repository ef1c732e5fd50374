"""Main training: who is trained on and who is held back, judging, starting, stopping, and several processes at it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from helpers.command_line import QUIET, Command
from helpers.dicom import write_dicom
from helpers.models import same_weights
from helpers.operating_system import needs_posix
from helpers.recorder import Recorder
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.cli import train as train_command
from SRDynamicMRILib.cli.program import main
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.geometry import FloatArray, Geometry
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.io.files import write_series, write_volume
from SRDynamicMRILib.models import checkpoints
from SRDynamicMRILib.models.checkpoints import Model, load_model, save_model
from SRDynamicMRILib.models.model_info import ModelInfo
from SRDynamicMRILib.models.recipes import DEFAULT, FAST, FRACTIONS, PAPER
from SRDynamicMRILib.networks.sub_pixel import SubPixelNetwork
from SRDynamicMRILib.networks.training_pair import TrainingPair
from SRDynamicMRILib.networks.unet import UNet3D
from SRDynamicMRILib.training import datasets, main_training, validation
from SRDynamicMRILib.training.acquisitions import cut
from SRDynamicMRILib.training.datasets import some_slices
from SRDynamicMRILib.training.main_training import MainTraining, train, training_data
from SRDynamicMRILib.training.optimisation import TrainingRecord, optimise
from SRDynamicMRILib.training.pairs import random_patch
from SRDynamicMRILib.training.subjects import TrainingSubject, find_subjects, split
from SRDynamicMRILib.training.tensorboard import TensorBoardProgress
from SRDynamicMRILib.training.validation import validation_images, validation_score
from SRDynamicMRILib.volume import Series, Volume

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
TINY = replace(DEFAULT, features=2, batch=2, patch=(4, 16, 16))
THICK = (1.0, 1.0, 4.0)
IMAGE = (6, 24, 28)


def image(seed: int, shape: tuple[int, int, int] = IMAGE) -> FloatArray:
    """Blobs, non-negative, with a maximum of 1."""
    rough = np.random.default_rng(seed).standard_normal(shape)
    smooth = np.maximum(ndimage.gaussian_filter(rough, (0.5, 2, 2)), 0)
    return np.asarray(smooth / smooth.max(), dtype=np.float32)


def write_image(path: Path, seed: int, offset: float = 0.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(Volume(offset + image(seed), Geometry(IMAGE, THICK)), path)


# -------------------------------------------------------------------------------------------------- subjects


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as CHAOS comes: three MR subjects, one of them with a CT scan of the same number, and others' CT."""
    folder = tmp_path_factory.mktemp("chaos") / "Train_Sets"
    seed = 0
    for subject in ("1", "13", "2"):
        for place in ("T1DUAL/DICOM_anon/InPhase", "T1DUAL/DICOM_anon/OutPhase", "T2SPIR/DICOM_anon"):
            seed += 1
            dicom(folder / "MR" / subject / place, seed)
        for sequence in ("T1DUAL", "T2SPIR"):
            (folder / "MR" / subject / sequence / "Ground").mkdir()
            (folder / "MR" / subject / sequence / "Ground" / "IMG-0004-00002.png").write_bytes(b"\x89PNG")
    for subject in ("1", "5"):
        seed += 1
        dicom(folder / "CT" / subject / "DICOM_anon", seed)
    return folder


def dicom(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    write_dicom(folder, lambda time, level: {}, time_points=1, shape=(2, 6, 8), seed=seed)


@pytest.mark.parametrize("start", [".", "MR"])
def test_chaos_is_read_subject_by_subject_without_its_ct(chaos: Path, start: str) -> None:
    subjects = find_subjects(chaos / start)
    assert [subject.name for subject in subjects] == ["1", "13", "2"]
    assert [len(subject.series) for subject in subjects] == [3, 3, 3]
    expected = [np.random.default_rng(seed).integers(0, 2000, (1, 2, 6, 8))[0] for seed in range(1, 10)]
    found = [series[0].data for subject in subjects for series in subject.series]
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_one_subject_of_chaos_is_one_subject_wherever_one_stands(chaos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(chaos / "MR" / "13")
    for folder in (chaos / "MR" / "13", Path()):
        (subject,) = find_subjects(folder)
        assert (subject.name, len(subject.series)) == ("13", 3)


def named(folder: Path) -> dict[str, int]:
    return {subject.name: len(subject.series) for subject in find_subjects(folder)}


@pytest.mark.parametrize(
    ("files", "subjects"),
    [
        (["a/1.nii.gz", "a/2.nii", "b/deep/3.mha"], {"a": 2, "b": 1}),
        (["all/a/1.nii", "all/a/2.nii", "all/b/1.nii"], {"a": 2, "b": 1}),
        (["a/T1/1.nii", "a/T2/1.nii", "b/T1/1.nii"], {"a": 2, "b": 1}),
        (["1.nii", "2.nrrd", "3.nii.gz"], {"1.nii": 1, "2.nrrd": 1, "3.nii.gz": 1}),
        (["scans/1.nii", "scans/2.nii"], {"1.nii": 1, "2.nii": 1}),
        (["a/1.nii", "a/2.nii", "3.nii"], {"3.nii": 1, "a": 2}),
        (["1.nii", ".2.nii", ".hidden/3.nii", "._1.nii"], {"1.nii": 1}),
        (["a/1.nii", "b/1.nii", "b/notes.txt", "b/1.json", "c/picture.png"], {"a": 1, "b": 1}),
    ],
    ids=["folders", "folders in one", "deep", "flat", "flat in one", "folder and file", "hidden", "others"],
)
def test_sub_folders_or_else_files_are_subjects(tmp_path: Path, files: list[str], subjects: dict[str, int]) -> None:
    for number, name in enumerate(files):
        if name.endswith((".txt", ".json", ".png")):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("{}")
        else:
            write_image(tmp_path / name, number)
    assert named(tmp_path) == subjects


def test_dicom_folders_are_scans(tmp_path: Path) -> None:
    dicom(tmp_path / "a" / "T1", 1)
    dicom(tmp_path / "a" / "T2", 2)
    dicom(tmp_path / "b", 3)
    assert named(tmp_path) == {"a": 2, "b": 1}
    dicom(tmp_path / "c", 4)
    dicom(tmp_path / "c" / "more", 5)
    assert named(tmp_path / "c") == {"c": 1, "more": 1}
    assert named(tmp_path / "b") == {"b": 1}


def test_every_file_that_can_be_read_is_a_scan(tmp_path: Path) -> None:
    """Detached headers too, and DICOM files without an ending, as scanners and PACS name them."""
    write_image(tmp_path / "detached" / "a.nhdr", 1)
    sitk.WriteImage(sitk.GetImageFromArray(image(2)), str(tmp_path / "detached" / "b.img"))
    dicom(tmp_path / "scanner" / "T1", 3)
    for number, file in enumerate(sorted((tmp_path / "scanner" / "T1").iterdir())):
        file.rename(file.with_name(f"IM{number:06d}"))
    assert named(tmp_path) == {"detached": 2, "scanner": 1}


def test_a_damaged_scan_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    write_image(tmp_path / "a" / "1.nii.gz", 1)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "IM1.dcm").touch()
    with pytest.raises(InputError, match="b holds no images"):
        find_subjects(tmp_path)


def test_time_points_stay_together(tmp_path: Path) -> None:
    frames = [Volume(image(n), Geometry(IMAGE, THICK)) for n in range(3)]
    write_series(Series.of(frames), tmp_path / "moving.nii.gz")
    (subject,) = find_subjects(tmp_path)
    assert [len(series) for series in subject.series] == [3]


def test_folders_that_cannot_be_trained_on_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*missing to train on"):
        find_subjects(tmp_path / "missing")
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"holds no image \(NIfTI"):
        find_subjects(tmp_path)
    with pytest.raises(InputError, match="There is no folder"):
        find_subjects(tmp_path / "notes.txt")
    (tmp_path / "damaged.nii").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"damaged\.nii"):
        find_subjects(tmp_path)


# ----------------------------------------------------------------------------------------------------- split


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.floats(0, 0.999), st.integers(0, 1000))
def test_split_puts_everyone_on_one_side(count: int, share: float, seed: int) -> None:
    items = [f"subject {n}" for n in range(count)]
    trained, validated = split(items, share, seed)
    assert sorted(trained + validated) == sorted(items)
    assert not set(trained) & set(validated)
    assert trained, "there is always somebody to train on"
    assert (trained, validated) == split(items, share, seed)
    if share == 0 or count == 1:
        assert not validated
    else:
        assert len(validated) == min(count - 1, max(1, round(share * count)))


def test_split_is_70_to_30_and_another_one_for_another_seed() -> None:
    splits = [split(range(20), 0.3, seed) for seed in range(30)]
    assert {(len(trained), len(validated)) for trained, validated in splits} == {(14, 6)}
    assert len({tuple(validated) for _, validated in splits}) > 25
    assert set().union(*(validated for _, validated in splits)) == set(range(20))


# ------------------------------------------------------------------------------------------------------ data


SCANS = [(folder, subject, scan) for folder in "ab" for subject in range(5) for scan in range(2)]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders of five subjects with two scans each; the intensities of scan n are 10 (n + 1) to 10 (n + 1) + 1."""
    place = tmp_path_factory.mktemp("marked")
    for number, (folder, subject, scan) in enumerate(SCANS):
        write_image(place / folder / f"{folder}{subject}" / f"{scan}.nii", number, 10.0 * (number + 1))
    return [place / "a", place / "b"]


def scan_of(found: FloatArray) -> tuple[str, int, int]:
    """Which of the marked scans an image is of."""
    number = round(float(found.min())) // 10 - 1
    assert 10 * (number + 1) <= found.min() <= found.max() <= 10 * (number + 1) + 1.001
    return SCANS[number]


@pytest.mark.parametrize("seed", [0, 1])
def test_those_validated_are_judged_and_never_drawn(marked: list[Path], seed: int) -> None:
    task = MainTraining(folders=marked, validation_share=0.4, seed=seed)
    progress = Recorder()
    data = training_data(task, progress)
    rng = np.random.default_rng(0)
    drawn = [{scan_of(source(rng)) for _ in range(150)} for source, _ in data.sources]
    judged = {scan_of(found) for found in data.validation}
    assert len(data.validation) == validation.IMAGES
    assert [{scan[0] for scan in some} for some in drawn] == [{"a"}, {"b"}]
    subjects = {scan[:2] for some in drawn for scan in some}
    assert not subjects & {scan[:2] for scan in judged}
    assert [len(some) for some in drawn] == [6, 6], "both scans of the three subjects that are left"
    assert len({scan[:2] for scan in judged}) == validation.IMAGES, "as many subjects as images"
    for folder, message in zip("ab", progress.messages, strict=True):
        trained, validated = message.removeprefix(f"{folder}: training on ").removesuffix(".").split("; validation on ")
        assert trained.split(", ") == sorted(f"{f}{n}" for f, n in subjects if f == folder)
        assert validated.split(", ") == sorted({f"{f}{n}" for f, n, _ in judged if f == folder})


def test_training_sees_nobody_who_is_validated(marked: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()

    def spy(volume: Volume, rng: np.random.Generator, count: int) -> FloatArray:
        seen.add(scan_of(volume.data)[:2])
        return some_slices(volume, rng, count)

    monkeypatch.setattr(datasets, "some_slices", spy)
    progress = Recorder()
    train(MainTraining(folders=marked, steps=40), TINY, CPU, progress)
    judged = {scan_of(found)[:2] for found in training_data(MainTraining(folders=marked), progress).validation}
    assert len(judged) == 4
    assert len(seen) == 6
    assert not judged & seen


def test_nobody_is_validated_from_one_subject_or_where_none_is_wanted(marked: list[Path], tmp_path: Path) -> None:
    write_image(tmp_path / "one.nii", 0)
    for task in (MainTraining(folders=[tmp_path]), MainTraining(folders=marked, validation_share=0)):
        progress = Recorder()
        assert training_data(task, progress).validation == []
        assert "There is no subject for validation" in progress.messages[-1]
        assert progress.messages[0].endswith("validation on nobody.")


def test_synthetic_abdomens_are_split_too_and_judge_where_no_real_subject_does(
    marked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: set[tuple[int, int]] = set()

    def synthetic(number: int, seed: int) -> FloatArray:
        made.add((number, seed))
        return np.full((3, 8, 8), number + 1, np.float32)

    monkeypatch.setattr(datasets, "synthetic_image", synthetic)
    monkeypatch.setattr(validation, "synthetic_image", synthetic)
    data = training_data(MainTraining(synthetic=20, seed=5), Recorder())
    validated = split(range(20), 0.3, 5)[1]
    assert [found[0, 0, 0] - 1 for found in data.validation] == validated[: validation.IMAGES]
    ((source, _),) = data.sources
    assert {int(source(np.random.default_rng(n))[0, 0, 0]) - 1 for n in range(200)} == set(range(20)) - set(validated)
    assert {seed for _, seed in made} == {5}
    real = training_data(MainTraining(folders=marked, synthetic=20), Recorder())
    assert len(real.sources) == 3
    assert all(scan_of(found) for found in real.validation)


def test_middle_of_an_image_is_judged_and_never_an_empty_one() -> None:
    shape = (8, 200, 181)
    numbers = Volume(1.0 + np.arange(np.prod(shape)).reshape(shape), Geometry(shape, THICK))
    found = validation_images([TrainingSubject("large", (Series.of([numbers]),))], [], 0)
    assert all(np.array_equal(one, numbers.data[:, 20:180, 10:170]) for one in found)
    mostly_empty = np.zeros((60, 8, 8))
    mostly_empty[20:26] = 1
    subject = TrainingSubject("dark", (Series.of([Volume(mostly_empty, Geometry((60, 8, 8), THICK))]),))
    for seed in range(5):
        assert all(one.max() == 1 for one in validation_images([subject], [], seed))
    nothing = TrainingSubject("nothing", (Series.of([Volume(np.zeros((4, 8, 8)))]),))
    assert validation_images([nothing], [], 0) == []


# --------------------------------------------------------------------------------------------------- weights


def spy_on_sources(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes the folder of every image that is drawn."""
    drawn: list[str] = []

    def noted(subjects: Sequence[TrainingSubject]) -> datasets.Source:
        draw = datasets.real_source(subjects)

        def note(rng: np.random.Generator) -> FloatArray:
            drawn.append(subjects[0].name[0])
            return draw(rng)

        return note

    monkeypatch.setattr(main_training, "real_source", noted)
    return drawn


@pytest.mark.parametrize(("weights", "expected"), [((1, 0), {"a"}), ((0, 0.5), {"b"}), ((), {"a", "b"})])
def test_folder_of_weight_zero_is_never_drawn_from(
    marked: list[Path], weights: tuple[float, ...], expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = spy_on_sources(monkeypatch)
    train(MainTraining(folders=marked, weights=weights, steps=20, validation_share=0), TINY, CPU)
    assert len(drawn) > 10
    assert set(drawn) == expected


def test_weights_are_how_often_sources_are_drawn_from() -> None:
    drawn: list[str] = []

    def source(name: str) -> datasets.Source:
        return lambda rng: drawn.append(name) or np.ones((1, 4, 4), np.float32)

    stream = datasets.PairStream(
        [(source("a"), 3), (source("b"), 1)], (1.0,), cut, lambda image, _: TrainingPair(image, image), 0
    )
    for number in range(400):
        stream.pair(number)
    assert drawn.count("a") == pytest.approx(300, abs=30)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": (1,)},
        {"weights": (1, 1, 1)},
        {"weights": (1, -1)},
        {"weights": (0, 0)},
        {"weights": (1, float("nan"))},
        {"weights": (1, float("inf"))},
        {"steps": 0},
        {"validate_every": 0},
        {"patience": 0},
        {"synthetic": -1},
        {"validation_share": 1.0},
        {"validation_share": -0.1},
        {"validation_share": float("nan")},
        {"folders": ()},
    ],
    ids=str,
)
def test_task_that_cannot_be_done_is_refused(wrong: dict[str, object]) -> None:
    task = MainTraining(folders=[Path("a"), Path("b")])
    task.check(TINY)
    replace(task, patience=1, weights=(0, 1)).check(TINY)
    with pytest.raises(InputError) as caught:
        replace(task, **wrong).check(TINY)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "wrong", [{"features": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}], ids=str
)
def test_recipe_that_cannot_be_followed_is_refused(scans: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="at least one feature map"):
        train(task_on(scans), replace(TINY, **wrong), CPU)


@pytest.mark.parametrize(("fraction", "factor"), [(1.0, 1), (0.015, 9)])
def test_fractions_that_no_fast_network_is_for_are_refused(
    command: Command, scans: Path, tmp_path: Path, fraction: float, factor: int
) -> None:
    """Before any of them is trained for: their models could not be read again."""
    output = tmp_path / "m.safetensors"
    training = ("train", "--data", scans, "--output", output, "--recipe", "fast", "--steps", 1, "--features", 1)
    outcome = command(*training, "--each-fraction", "--fractions", 0.25, fraction, *QUIET)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        f"The network of the recipe fast makes 2 to 8 voxels of each along rows and columns, but the fraction "
        f"{fraction:g} asks for {factor}; give other fractions, or choose another recipe.\n"
    )
    assert list(tmp_path.iterdir()) == []
    MainTraining(folders=[scans], fractions=(0.016, 0.99)).check(FAST)


# ------------------------------------------------------------------------------------------------ validation


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans") / "blobs"
    for number in range(5):
        write_image(folder / f"s{number}.nii", number)
    return folder


def task_on(folder: Path, **changes: object) -> MainTraining:
    return replace(MainTraining(folders=[folder], fractions=(0.25, 0.1), steps=12, validate_every=4, seed=3), **changes)


@dataclass(frozen=True)
class Run:
    """What a training that nothing disturbed has made and told."""

    model: Model
    told: Recorder


@pytest.fixture(scope="module")
def undisturbed(scans: Path) -> Run:
    told = Recorder()
    return Run(train(task_on(scans), TINY, CPU, told), told)


def test_score_is_that_of_super_resolution() -> None:
    torch.manual_seed(0)
    network = UNet3D(2)
    info = ModelInfo(features=2, fractions=(0.25, 0.1), interpolation="non_negative", residual=True)
    images = [image(1), 50 * image(2, (3, 31, 20))]
    found = validation_score(network, info, images, CPU)
    metrics = []
    for truth in map(Volume, images):
        for fraction in (0.25, 0.1):
            result = super_resolve(downsample(truth, fraction), Model(network, info), truth.geometry)
            metrics.append(compare(result.data, truth.data)[0])
    assert found["validation ssim"] == pytest.approx(np.mean([m.ssim for m in metrics]), rel=1e-12)
    assert found["validation psnr"] == pytest.approx(np.mean([m.psnr for m in metrics]), rel=1e-12)
    assert next(iter(found)) == "validation ssim", "the one that decides"
    assert not network.training


def test_model_tells_the_figures_of_its_best_validation(undisturbed: Run, scans: Path) -> None:
    model, told = undisturbed.model, undisturbed.told
    assert [step for step, _ in told.validations] == [4, 8, 12]
    best, figures = max(told.validations, key=lambda item: item[1]["validation ssim"])
    loss = model.info.metrics["training loss"]
    assert loss > 0
    assert model.info.metrics == {"training loss": loss, "best step": best, **figures}
    images = training_data(task_on(scans), Recorder()).validation
    assert validation_score(model.network, model.info, images, CPU) == figures


def test_model_of_a_training_without_validation_tells_its_loss(scans: Path) -> None:
    model = train(task_on(scans, validation_share=0, steps=2), TINY, CPU)
    assert list(model.info.metrics) == ["training loss"]


def test_fast_recipe_trains_a_network_that_ends_in_sub_pixels(scans: Path) -> None:
    recipe = replace(FAST, features=2, patch=(4, 8, 8))
    model = train(task_on(scans, steps=4), recipe, CPU)
    assert (model.info.architecture, model.info.factor) == ("SubPixelNetwork", 4), "the smallest fraction is 0.1"
    assert model.info.metrics["validation ssim"] > 0
    with pytest.raises(InputError, match="is a SubPixelNetwork of 2 features"):
        train(task_on(scans), TINY, CPU, start=model)
    again = train(task_on(scans, steps=2), recipe, CPU, start=model)
    assert again.info.parent == model.sha256


@pytest.mark.parametrize(("fraction", "factor"), [(0.25, 2), (0.1, 4), (0.0625, 4), (1.0, 1)])
def test_fast_networks_make_as_many_voxels_as_the_fraction_lacks(fraction: float, factor: int) -> None:
    assert SubPixelNetwork.factor_for([fraction, 1.0]) == factor
    assert UNet3D.factor_for([fraction]) == 1


def test_model_knows_how_it_was_made(undisturbed: Run) -> None:
    info = undisturbed.model.info
    assert (info.features, info.fractions, info.steps, info.seed) == (2, (0.25, 0.1), 12, 3)
    assert (info.interpolation, info.normalisation, info.loss) == (TINY.interpolation, TINY.normalisation, TINY.loss)
    assert (info.residual, info.data_consistency, info.recipe) == (True, True, "default")
    assert (info.training_data, info.parent) == ("blobs", "")
    assert ModelInfo.from_json(info.to_json()) == info


def test_training_is_the_seeds(undisturbed: Run, scans: Path) -> None:
    again = train(task_on(scans), TINY, CPU)
    assert same_weights(again.network, undisturbed.model.network)
    assert again.info == undisturbed.model.info
    other = train(task_on(scans, seed=4), TINY, CPU)
    assert not same_weights(other.network, undisturbed.model.network)


def test_how_often_it_is_judged_does_not_change_what_is_learnt(undisturbed: Run, scans: Path) -> None:
    told = Recorder()
    often = train(task_on(scans, validate_every=1), TINY, CPU, told)
    assert len(told.validations) == 12
    assert told.losses == undisturbed.told.losses
    assert dict(told.validations).items() >= dict(undisturbed.told.validations).items()
    rarely = train(task_on(scans, validate_every=100), TINY, CPU)
    last = train(task_on(scans, validate_every=12), TINY, CPU)
    assert same_weights(rarely.network, last.network)
    losses = {model.info.metrics["training loss"] for model in (often, rarely, last, undisturbed.model)}
    assert len(losses) == 1


def test_patience_ends_main_training(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[dict[str, torch.Tensor]] = []

    def worse(network: nn.Module, *_: object) -> Mapping[str, float]:
        judged.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {"validation ssim": 1 / len(judged)}

    monkeypatch.setattr(main_training, "validation_score", worse)
    told = Recorder()
    model = train(task_on(scans, validate_every=2, patience=3), TINY, CPU, told)
    assert len(judged) == 4
    assert model.info.steps == 8
    assert told.messages[-1] == "Validation has not improved since step 2, so training ends."
    assert model.info.metrics == {
        "training loss": model.info.metrics["training loss"],
        "validation ssim": 1.0,
        "best step": 2.0,
    }
    assert all(torch.equal(tensor, judged[0][name]) for name, tensor in model.network.state_dict().items())


# --------------------------------------------------------------------------------------------------- resuming


class Stopped(Recorder):
    """Ends the process, as far as Python can, or is cancelled, after a step."""

    def __init__(self, after: int, by: type[BaseException]) -> None:
        super().__init__()
        self.after, self.by = after, by

    def step(self, done: int, total: int) -> None:
        super().step(done, total)
        if done == self.after:
            raise self.by


def goes_on_as(undisturbed: Run, before: Recorder, scans: Path, state: Path, step: int) -> None:
    """Go on from a state after a step, and all is as if nothing had happened."""
    after = Recorder()
    model = train(task_on(scans), TINY, CPU, after, state, resume=True)
    assert same_weights(model.network, undisturbed.model.network)
    assert model.info == undisturbed.model.info
    assert dict(before.validations + after.validations) == dict(undisturbed.told.validations)
    assert set(after.losses) <= set(undisturbed.told.losses)
    assert after.messages[-1] == f"Resuming after step {step}."
    assert [done for done, _ in after.steps] == list(range(step + 1, 13))
    assert state.exists()


@pytest.mark.parametrize("after", [2, 4, 7, 12])
@pytest.mark.parametrize("by", [KeyboardInterrupt, SystemExit], ids=["cancelled", "killed"])
def test_main_training_stopped_and_resumed_equals_one_that_was_not(
    undisturbed: Run,
    scans: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    by: type[BaseException],
) -> None:
    monkeypatch.setattr(main_training, "optimise", partial(optimise, save_every=0.0))
    before = Stopped(after, by)
    with pytest.raises(by):
        train(task_on(scans), TINY, CPU, before, tmp_path / "state")
    goes_on_as(undisturbed, before, scans, tmp_path / "state", after if by is KeyboardInterrupt else after - 1)


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("by", [KeyboardInterrupt, SystemExit], ids=["cancelled", "killed"])
def test_main_training_stopped_while_judging_goes_on(
    undisturbed: Run, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, by: type[BaseException]
) -> None:
    calls = []

    def stopping(network: nn.Module, *others: object) -> Mapping[str, float]:
        calls.append(network)
        found = validation_score(network, *others)
        if len(calls) == call:
            raise by
        return found

    with monkeypatch.context() as patch:
        patch.setattr(main_training, "optimise", partial(optimise, save_every=0.0))
        patch.setattr(main_training, "validation_score", stopping)
        before = Recorder()
        with pytest.raises(by):
            train(task_on(scans), TINY, CPU, before, tmp_path / "state")
    assert len(before.validations) == call - 1
    goes_on_as(undisturbed, before, scans, tmp_path / "state", 4 * call)


@pytest.mark.parametrize(
    "other",
    [
        {"task": {"steps": 13}},
        {"task": {"seed": 4}},
        {"task": {"fractions": (0.25,)}},
        {"task": {"validation_share": 0.0}},
        {"task": {"weights": (2.0,)}},
        {"task": {"patience": 9}},
        {"recipe": {"learning_rate": 1e-4}},
        {"recipe": {"batch": 4}},
        {"recipe": {"features": 3}},
        {"start": True},
    ],
    ids=str,
)
def test_state_of_another_main_training_is_refused(
    undisturbed: Run, scans: Path, tmp_path: Path, other: dict[str, dict[str, object]]
) -> None:
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(task_on(scans), TINY, CPU, Recorder(2), state)
    task = task_on(scans, **other.get("task", {}))
    recipe = replace(TINY, **other.get("recipe", {}))
    start = undisturbed.model if "start" in other else None
    with pytest.raises(InputError, match="belongs to a training with other data or settings"):
        train(task, recipe, CPU, state_file=state, resume=True, start=start)
    assert state.exists()


# --------------------------------------------------------------------------------------------------- starting


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """Weights that trainings begin with; no step is done."""
    found: list[dict[str, torch.Tensor]] = []

    def spy(network: nn.Module, *_: object, **__: object) -> TrainingRecord:
        found.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return TrainingRecord()

    monkeypatch.setattr(main_training, "optimise", spy)
    return found


def test_training_begins_with_the_weights_given(
    begun: list[dict[str, torch.Tensor]], undisturbed: Run, scans: Path, tmp_path: Path
) -> None:
    save_model(undisturbed.model, tmp_path / "start.safetensors")
    start = load_model(tmp_path / "start.safetensors")
    weights = {name: tensor.clone() for name, tensor in start.network.state_dict().items()}
    model = train(task_on(scans), TINY, CPU, start=start)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in begun[0].items())
    assert model.network is not start.network
    assert model.info.parent == start.sha256 == checkpoints.file_sha256(tmp_path / "start.safetensors")
    assert model.info.training_data == "blobs, before that: blobs, 12 steps"


def test_model_to_begin_with_is_left_as_it_is(undisturbed: Run, scans: Path) -> None:
    before = {name: tensor.clone() for name, tensor in undisturbed.model.network.state_dict().items()}
    model = train(task_on(scans, steps=2), TINY, CPU, start=undisturbed.model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in undisturbed.model.network.state_dict().items())
    assert not same_weights(model.network, undisturbed.model.network)


def test_new_weights_are_the_seeds_and_begin_near_the_interpolated_image(
    begun: list[dict[str, torch.Tensor]], scans: Path
) -> None:
    for seed in (3, 3, 4):
        train(task_on(scans, seed=seed), TINY, CPU)
    train(task_on(scans), replace(TINY, residual=False), CPU)
    first, again, other, direct = begun
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["last.weight"], other["last.weight"])
    assert torch.allclose(first["last.weight"], 0.05 * direct["last.weight"])
    assert torch.equal(first["down_path.0.block.0.weight"], direct["down_path.0.block.0.weight"])


@pytest.mark.parametrize(
    "other",
    [{"features": 4}, {"interpolation": "trilinear"}, {"normalisation": "maximum"}, {"residual": False}],
    ids=str,
)
def test_model_that_does_not_fit_the_recipe_is_refused(undisturbed: Run, scans: Path, other: dict[str, object]) -> None:
    with pytest.raises(
        InputError, match=r"^The model to begin with is a UNet3D of 2 features .*; choose the recipe"
    ) as caught:
        train(task_on(scans), replace(TINY, **other), CPU, start=undisturbed.model)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------ several processes


def test_processes_share_the_very_batch_that_one_would_take(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, recipe = task_on(scans), replace(TINY, batch=6)
    data = training_data(task, Recorder())

    def batch(step: int, rank: int, ranks: int) -> tuple[torch.Tensor, torch.Tensor]:
        monkeypatch.setattr(main_training, "share", lambda items: list(items[rank::ranks]))
        return main_training._batches(data, task, recipe)(step)

    for step in (0, 1, 40):
        whole = batch(step, 0, 1)
        assert whole[0].shape == (6, 1, *TINY.patch)
        for rank in range(3):
            for part, wanted in zip(batch(step, rank, 3), whole, strict=True):
                assert torch.equal(part, wanted[rank::3])


def test_every_step_and_place_draws_by_itself(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chances = []

    def noted(pair: TrainingPair, patch: tuple[int, int, int], rng: np.random.Generator) -> TrainingPair:
        chances.append(rng.bit_generator.state["state"]["state"])
        return random_patch(pair, patch, rng)

    monkeypatch.setattr(main_training, "random_patch", noted)
    task = task_on(scans)
    batches = main_training._batches(training_data(task, Recorder()), task, replace(TINY, batch=6))
    for step in range(5):
        batches(step)
    assert len(set(chances)) == len(chances) == 30


def test_batch_that_cannot_be_shared_is_refused(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main_training, "ranks", lambda: 3)
    with pytest.raises(InputError, match="A batch of 4 cannot be shared by 3 processes; make it a multiple of them"):
        train(task_on(scans), replace(TINY, batch=4), CPU)


TRAINING = ("--fractions", 0.25, "--features", 2, "--batch", 4, "--steps", 12, "--validate-every", 6)
HERE = ("--device", "cpu", "--threads", 1, "--progress", "json")


def python(*arguments: object) -> list[str]:
    return [sys.executable, *map(str, arguments)]


def figures(events: Sequence[Mapping[str, object]]) -> list[str]:
    return [str(e["message"]) for e in events if e["event"] == "log" and "validation ssim" in str(e["message"])]


@pytest.fixture(scope="module")
def alone(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that one process makes."""
    output = tmp_path_factory.mktemp("alone") / "m.safetensors"
    assert main(list(map(str, ("train", "--data", scans, "--output", output, *TRAINING, *HERE)))) == 0
    return output


@pytest.mark.slow
def test_two_processes_train_what_one_does(scans: Path, alone: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.safetensors"
    job = ("-m", "SRDynamicMRILib", "train", "--data", scans, "--output", output, *TRAINING, *HERE)
    done = subprocess.run(
        python("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *job),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["done"] for e in events if e["event"] == "progress"] == list(range(1, 13)), "one process speaks for all"
    assert len(figures(events)) == 2
    together, one = load_model(output), load_model(alone)
    # the same gradients, summed in another order: no more than the rounding of float32
    for name, tensor in together.network.state_dict().items():
        torch.testing.assert_close(tensor, one.network.state_dict()[name], rtol=0, atol=1e-6)
    assert together.info.metrics == pytest.approx(one.info.metrics, rel=1e-5)
    assert replace(together.info, metrics={}) == replace(one.info, metrics={})
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


# --------------------------------------------------------------------------------------------- command line


KILLED = """
import os, signal, sys
from functools import partial
from SRDynamicMRILib.cli.program import main
from SRDynamicMRILib.progress import JsonProgress
from SRDynamicMRILib.training import main_training

main_training.optimise = partial(main_training.optimise, save_every=0.0)
told = JsonProgress.step

def step(self, done, total):
    told(self, done, total)
    if done == 8:
        os.kill(os.getpid(), signal.SIGKILL)

JsonProgress.step = step
sys.exit(main(sys.argv[1:]))
"""
"""The command line, writing its state at every step and gone without a word in the midst of the eighth."""


@needs_posix
@pytest.mark.slow
def test_killed_process_is_resumed_to_the_last_bit(command: Command, scans: Path, alone: Path, tmp_path: Path) -> None:
    output, state = tmp_path / "m.safetensors", tmp_path / "m.state.safetensors"
    job = ("train", "--data", scans, "--output", output, *TRAINING, *HERE)
    killed = subprocess.run(python("-c", KILLED, *job), capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = [json.loads(line) for line in killed.stdout.splitlines()]
    assert before[-1] == {"event": "progress", "done": 8, "total": 12}
    assert state.exists()
    assert not output.exists()
    resumed = command(*job, "--resume")
    assert (resumed.code, resumed.err) == (0, "")
    assert "Resuming after step 7." in resumed.messages()
    assert [e["done"] for e in resumed.events if e["event"] == "progress"] == [8, 9, 10, 11, 12]
    assert [len(figures(events)) for events in (before, resumed.events)] == [1, 1]
    assert output.read_bytes() == alone.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["m.safetensors"]


def test_each_fraction_gets_a_model_of_its_own(command: Command, scans: Path, alone: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.safetensors"
    options = ("--fractions", 0.25, 0.0625, *TRAINING[2:], *HERE)
    outcome = command("train", "--data", scans, "--output", output, "--each-fraction", *options)
    assert (outcome.code, outcome.err) == (0, "")
    files = {"m_0.25": tmp_path / "m_0.25.safetensors", "m_0.0625": tmp_path / "m_0.0625.safetensors"}
    assert outcome.events[-1] == {"event": "result", "outputs": {name: str(path) for name, path in files.items()}}
    assert set(tmp_path.iterdir()) == set(files.values())
    assert [load_model(path).info.fractions for path in files.values()] == [(0.25,), (0.0625,)]
    assert files["m_0.25"].read_bytes() == alone.read_bytes(), "as if trained for that fraction alone"


def test_half_precision_takes_half_the_place(command: Command, scans: Path, alone: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.safetensors"
    assert command("train", "--data", scans, "--output", output, "--half-precision", *TRAINING, *HERE).code == 0
    halved, whole = load_model(output), load_model(alone)
    assert halved.info == whole.info
    for name, tensor in halved.network.state_dict().items():
        assert torch.equal(tensor, whole.network.state_dict()[name].half().float())
    assert output.stat().st_size < 0.75 * alone.stat().st_size


def test_options_become_task_and_recipe(
    command: Command, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[object] = []

    def spy(*arguments: object) -> Model:
        found.extend(arguments)
        return load_model(alone)

    monkeypatch.setattr(train_command, "train", spy)
    base = ("train", "--data", "x", "y", "--output", tmp_path / "m.safetensors", "--device", "cpu")
    assert command(*base).code == 0
    assert found[:2] == [MainTraining(folders=(Path("x"), Path("y")), weights=(), fractions=FRACTIONS), DEFAULT]
    assert found[4:6] == [tmp_path / "m.state.safetensors", False]
    assert found[-1] is None
    found.clear()
    options = "--synthetic 5 --weights 1 2 3 --recipe paper --fractions 0.1 --steps 7 --features 3 --batch 8 --seed 4 "
    options += "--learning-rate 0.01 --validation-share 0.2 --validate-every 6 --patience 2 --resume"
    assert command(*base, *options.split(), "--model", alone).code == 0
    assert found[:2] == [
        MainTraining((Path("x"), Path("y")), 5, (1, 2, 3), (0.1,), 7, 4, 0.2, 6, 2),
        replace(PAPER, features=3, batch=8, learning_rate=0.01),
    ]
    assert found[5] is True
    assert found[-1].sha256 == checkpoints.file_sha256(alone)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "nothing to train on"),
        (("--data", "missing"), "There is no folder missing"),
        (("--synthetic", 1, "--steps", 0), "must be 1 or more"),
        (("--synthetic", 1, "--patience", 0), "must be 1 or more"),
        (("--synthetic", 1, "--weights", 1, 2), "Give 1 weights"),
        (("--synthetic", 1, "--validation-share", 1), "for validation must be from 0 to below 1"),
        (("--synthetic", 1, "--features", 0), "at least one feature map"),
        (("--synthetic", 1, "--learning-rate", "nan"), "a rate above zero"),
        (("--synthetic", 1, "--fractions", 2), "fraction"),
        (("--synthetic", 1, "--model", "missing.safetensors"), "There is no model file"),
        (("--synthetic", 1, "--output", "m.pth"), "written as .safetensors"),
    ],
    ids=str,
)
def test_wrong_options_of_train_are_answered_by_a_sentence(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = command("train", "--output", "m.safetensors", *HERE, *options)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------- TensorBoard


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Curves of a folder of TensorBoard, by name."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_curves_are_what_the_listener_is_told(tmp_path: Path) -> None:
    listener = Recorder()
    listener.watched = True
    with TensorBoardProgress(tmp_path, listener) as progress:
        assert progress.watched
        progress.stage("Training")
        progress.log("It begins.")
        for step in range(3):
            progress.step(step + 1, 3)
            progress.loss(step, 0.5**step)
        progress.validation(3, {"validation ssim": 0.75, "validation psnr": 31.0})
        assert "validation/ssim" in curves(tmp_path), "seen while training goes on"
    assert listener.steps == [(1, 3), (2, 3), (3, 3)]
    assert listener.losses == [(0, 1.0), (1, 0.5), (2, 0.25)]
    assert listener.validations == [(3, {"validation ssim": 0.75, "validation psnr": 31.0})]
    assert listener.messages == ["It begins."]
    assert curves(tmp_path) == {
        "loss": [(0, 1.0), (1, 0.5), (2, 0.25)],
        "validation/ssim": [(3, 0.75)],
        "validation/psnr": [(3, 31.0)],
    }


def test_train_draws_its_curves(command: Command, scans: Path, alone: Path, tmp_path: Path) -> None:
    output, log = tmp_path / "m.safetensors", tmp_path / "log"
    outcome = command("train", "--data", scans, "--output", output, "--tensorboard", log, *TRAINING, *HERE)
    assert outcome.code == 0
    drawn = curves(log)
    assert set(drawn) == {"loss", "validation/ssim", "validation/psnr"}
    told = [(e["step"], pytest.approx(e["value"])) for e in outcome.events if e["event"] == "loss"]
    assert drawn["loss"] == told
    assert [step for step, _ in told] == [0, 10, 11]
    assert [step for step, _ in drawn["validation/psnr"]] == [6, 12]
    best = load_model(alone).info.metrics
    assert dict(drawn["validation/ssim"])[best["best step"]] == pytest.approx(best["validation ssim"])
    assert len(figures(outcome.events)) == 2
    assert output.read_bytes() == alone.read_bytes(), "watching changes nothing"


def test_without_tensorboard_a_sentence_says_what_to_install(
    command: Command, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("tensorboard", "torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    output = tmp_path / "m.safetensors"
    outcome = command("train", "--data", scans, "--output", output, "--tensorboard", tmp_path / "log", *TRAINING, *HERE)
    assert outcome.code == 2
    assert outcome.err == "The log needs TensorBoard; install the extra with: pip install SRDynamicMRI[training].\n"
    assert list(tmp_path.iterdir()) == []
    assert command("train", "--data", scans, "--output", output, *TRAINING, *HERE).code == 0
