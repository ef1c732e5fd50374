"""Low-resolution images to train on are those of scanners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.models import same_weights

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.stored import StoredImage
from SRDynamicMRILib.acquisition.windows import NO_WINDOW, Window
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.recipes import FAST, MAGNITUDE, SCANNER
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.training.acquisitions import cut, like_scanners, random_acquisition, without_window
from SRDynamicMRILib.training.fine_tuning import fine_tune
from SRDynamicMRILib.training.main_training import MainTraining, train
from SRDynamicMRILib.volume import Volume

pytestmark = pytest.mark.usefixtures("one_thread")

PRIOR = abdomen(0, (4, 48, 64), (6.0, 6.0, 8.0), time_points=1).static
IMAGE = PRIOR.data
FULL = (240, 320)
FRACTIONS = (0.0625, 0.2)


@pytest.fixture(scope="module")
def drawn() -> list[Acquisition]:
    return [random_acquisition(FULL, FRACTIONS, 100.0, np.random.default_rng(n)) for n in range(600)]


def test_all_kinds_are_drawn(drawn: list[Acquisition]) -> None:
    def share(these: list[bool]) -> float:
        return sum(these) / len(drawn)

    assert share([not a.magnitude for a in drawn]) == pytest.approx(0.12, abs=0.05)
    assert share([a.noise == 0 for a in drawn]) == pytest.approx(0.3, abs=0.07)
    assert share([a.window.is_flat for a in drawn]) == pytest.approx(0.4, abs=0.07)
    assert share([a.shutter == "ellipse" for a in drawn]) == pytest.approx(0.15, abs=0.05)
    assert {a.window.name for a in drawn} == {"none", "hann", "hamming", "fermi", "tukey", "gauss"}
    snr = [100.0 / a.noise for a in drawn if a.noise]
    assert 6 <= min(snr) < 8 and 80 < max(snr) <= 100


def test_matrices_are_of_the_fractions_or_between_them(drawn: list[Acquisition]) -> None:
    assert sum(a.acquired_matrix == (60, 80) for a in drawn) == pytest.approx(150, abs=45)
    rows, columns = zip(*(a.acquired_matrix for a in drawn), strict=True)
    assert min(rows) == 60 and min(columns) == 80, "less than a quarter of an axis is not what the network makes"
    assert max(a.fraction for a in drawn) <= 0.21
    assert len({a.acquired_matrix for a in drawn}) > 100
    ratios = [a.stored_matrix[0] / a.acquired_matrix[0] for a in drawn]
    assert min(ratios) == 1 and max(ratios) <= 4 and 2 in ratios
    assert sum(a.stored_matrix == FULL for a in drawn) > 60


def test_the_paper_s_way_is_a_cut_of_k_space() -> None:
    image = cut(IMAGE, (0.25,), np.random.default_rng(0))
    assert image.acquisition == Acquisition((24, 32), (48, 64))
    np.testing.assert_array_equal(image.data, image.acquisition.downsample(IMAGE))


def test_without_a_window_all_samples_count_alike_and_the_rest_is_drawn_as_before() -> None:
    images = [without_window(IMAGE, (0.0625, 0.2), np.random.default_rng(seed)) for seed in range(12)]
    assert all(image.acquisition.window == NO_WINDOW for image in images)
    assert len({image.acquisition.stored_matrix for image in images}) > 2
    assert {image.acquisition.magnitude for image in images} == {True, False}


def test_training_for_scanners_images_can_begin_with_the_fast_network() -> None:
    task = MainTraining(synthetic=2, fractions=(0.0625,), steps=1, validation_share=0.5, validate_every=1)
    small = {"features": 4, "patch": (4, 12, 12)}
    fast = train(task, replace(FAST, **small), torch.device("cpu"))
    for recipe in (SCANNER, MAGNITUDE):
        model = train(task, replace(recipe, **small), torch.device("cpu"), start=fast)
        assert (model.info.recipe, model.info.data_consistency) == (recipe.name, recipe.data_consistency)
    with pytest.raises(InputError, match="does not match the recipe fast"):
        train(task, replace(FAST, **small), torch.device("cpu"), start=model)


def test_noise_and_phase_are_another_with_each_draw_and_the_same_with_the_same() -> None:
    def draw(seed: int) -> np.ndarray:
        return like_scanners(IMAGE, (0.0625,), np.random.default_rng(seed)).data

    assert np.array_equal(draw(3), draw(3))
    assert len({draw(seed).tobytes() for seed in range(8)}) == 8


def test_a_model_for_scanners_images_trains_fine_tunes_and_super_resolves() -> None:
    recipe = replace(SCANNER, features=4, patch=(4, 12, 12))
    task = MainTraining(synthetic=2, fractions=(0.0625, 0.2), steps=2, validation_share=0.5, validate_every=2)
    base = train(task, recipe, torch.device("cpu"))
    assert (base.info.architecture, base.info.factor) == ("ConditionedSubPixelNetwork", 4)
    assert base.info.metrics["validation ssim"] > 0
    acquisition = Acquisition((12, 16), (48, 64), (24, 32), window=Window("hann"), noise=30.0, magnitude=True)
    budget = TrainingBudget("test", 3)
    tuned = fine_tune(PRIOR, base, acquisition, budget)
    assert same_weights(tuned.network, fine_tune(PRIOR, base, acquisition, budget).network)
    noisier = fine_tune(PRIOR, base, replace(acquisition, noise=60.0), budget)
    assert not same_weights(tuned.network, noisier.network)
    stored = StoredImage.simulated(IMAGE, acquisition, rng=np.random.default_rng(1))
    low = Volume(stored.data, acquisition.low_resolution_geometry(PRIOR.geometry))
    result = super_resolve(low, tuned, PRIOR.geometry, acquisition=acquisition)
    assert result.shape == PRIOR.shape and np.isfinite(result.data).all()
