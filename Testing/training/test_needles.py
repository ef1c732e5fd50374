from __future__ import annotations

import numpy as np
import pytest
from helpers.models import TINY, same_weights, tiny_network

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import Model
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.training import fine_tuning_plan
from SRDynamicMRILib.training.fine_tuning import fine_tune
from SRDynamicMRILib.training.needles import with_needles

pytestmark = pytest.mark.usefixtures("one_thread")

SPACING = (1.5, 1.5, 5.0)
BODY = np.s_[:, 20:76, 20:76]


def image() -> np.ndarray:
    """A bright square body in air."""
    made = np.zeros((6, 96, 96), dtype=np.float32)
    made[BODY] = 100
    return made


def drawn(seed: int = 0) -> np.ndarray:
    return with_needles(image(), SPACING, np.random.default_rng(seed))


def test_needles_only_darken() -> None:
    before, after = image(), drawn()
    assert after.dtype == np.float32
    assert after.shape == before.shape
    assert (after <= before).all()
    assert (after >= 0).all()
    assert after.min() < 0.5 * before[BODY].max()


def test_the_image_given_is_not_changed() -> None:
    before = image()
    with_needles(before, SPACING, np.random.default_rng(0))
    assert np.array_equal(before, image())


def test_the_same_chance_draws_the_same_needles() -> None:
    assert np.array_equal(drawn(3), drawn(3))
    assert not np.array_equal(drawn(3), drawn(4))


def test_most_of_the_body_is_as_it_was() -> None:
    changed = np.array([(drawn(seed) != image())[BODY].mean() for seed in range(5)])
    assert (changed > 0.005).all()
    assert (changed < 0.3).all()


def test_a_needle_is_thin_and_reaches_the_border() -> None:
    """In a slice of its own, a single needle is as wide as its artefact and ends at the border of the image."""
    one = np.full((1, 96, 96), 100, dtype=np.float32)
    one[0, 40:50, 40:50] = 101  # the body is what is brighter than the mean: the tip lies here
    lost = one - with_needles(one, (1.0, 1.0, 5.0), np.random.default_rng(1))
    rows, columns = np.nonzero(lost[0] > 20)
    assert min(rows.min(), columns.min(), 95 - rows.max(), 95 - columns.max()) == 0
    length = np.hypot(np.ptp(rows), np.ptp(columns))
    assert 2 <= len(rows) / length <= 8, "mm wide"


def test_an_empty_image_has_no_body_to_put_needles_in() -> None:
    empty = np.zeros((4, 16, 16), dtype=np.float32)
    assert np.array_equal(with_needles(empty, SPACING, np.random.default_rng(0)), empty)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_fine_tuning_sees_needles_in_a_share_of_its_patches(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    prior = abdomen(1, (12, 48, 64), (5.0, 5.2, 9.0), 1).static
    base = Model(tiny_network(), TINY)
    budget = TrainingBudget("quick", 2)
    as_it_is = fine_tune(prior, base, Acquisition((24, 32), prior.shape[1:]), budget)
    monkeypatch.setattr(fine_tuning_plan, "NEEDLES", share)
    assert not same_weights(
        fine_tune(prior, base, Acquisition((24, 32), prior.shape[1:]), budget).network, as_it_is.network
    )
