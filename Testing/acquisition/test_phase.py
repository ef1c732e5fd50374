"""Phase that is drawn for magnitude images."""

from __future__ import annotations

import numpy as np
import pytest

from SRDynamicMRILib.acquisition.phase import REAL, fat_like, random_phase, simulated_phase, smooth_phase

SHAPE = (4, 48, 40)


def body() -> np.ndarray:
    """An image ``(D, H, W)`` of air, tissue and a bright layer around it."""
    y, x = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 40), indexing="ij")
    radius = np.hypot(y, x)
    image = np.where(radius < 0.7, 300, 5) + np.where((radius > 0.55) & (radius < 0.7), 500, 0)
    noise = np.random.default_rng(0).normal(0, 10, SHAPE)
    return np.abs(image + noise).astype(np.float32)


@pytest.mark.parametrize("shape", [SHAPE, (1, 20, 30), (3, 2, 2)])
def test_a_phase_is_smooth(shape: tuple[int, int, int]) -> None:
    for seed in range(20):
        phase = smooth_phase(shape, np.random.default_rng(seed))
        assert phase.dtype == np.float32
        assert phase.shape == shape
        assert np.isfinite(phase).all()
        assert phase.std() <= 2 * np.pi + 1e-4
        if min(shape[1:]) > 10:
            steps = [np.abs(np.diff(phase, axis=axis)).max() for axis in (1, 2)]
            assert max(steps) < np.pi, "no step that could be taken for its opposite"


def test_phases_vary_from_none_to_some_turns() -> None:
    spread = [float(smooth_phase(SHAPE, np.random.default_rng(seed)).std()) for seed in range(60)]
    assert min(spread) < 0.3
    assert max(spread) > np.pi


def test_a_third_of_the_images_of_training_is_real() -> None:
    image = body()
    drawn = [random_phase(image, np.random.default_rng(seed)) for seed in range(120)]
    assert np.mean([phase is None for phase in drawn]) == pytest.approx(REAL, abs=0.1)
    assert {phase.shape for phase in drawn if phase is not None} == {SHAPE}


def test_a_simulated_phase_is_one_every_time_and_turns_fat_in_some() -> None:
    image = body()
    with_fat = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        phase, smooth = simulated_phase(image, rng), smooth_phase(SHAPE, np.random.default_rng(seed))
        assert np.ptp(phase) > 0
        with_fat += bool(np.abs(phase - smooth).max() > 1)
    assert 6 < with_fat < 28


def test_fat_that_is_known_is_drawn_in_none_or_all() -> None:
    image = body()
    for seed in range(12):
        smooth = smooth_phase(SHAPE, np.random.default_rng(seed))
        np.testing.assert_array_equal(simulated_phase(image, np.random.default_rng(seed), "in-phase"), smooth)
        opposed = simulated_phase(image, np.random.default_rng(seed), "opposed")
        assert np.abs(opposed - smooth).max() > 1


def test_the_same_seed_gives_moved_anatomy_the_same_smooth_phase() -> None:
    image = body()
    moved = np.roll(image, 3, axis=1)
    for seed in range(20):
        one, other = (simulated_phase(each, np.random.default_rng(seed)) for each in (image, moved))
        smooth = smooth_phase(SHAPE, np.random.default_rng(seed))
        fat, fat_moved = one - smooth, other - smooth
        np.testing.assert_allclose(np.roll(fat, 3, axis=1)[:, 6:-6], fat_moved[:, 6:-6], atol=1e-4)


def test_fat_is_a_share_of_some_tissue() -> None:
    image = body()
    for seed in range(20):
        fat = fat_like(image, np.random.default_rng(seed))
        assert fat.dtype == np.float32
        assert 0 <= fat.min() <= fat.max() <= 1 + 1e-5
        assert fat[:, 0, 0].max() < 0.01, "air is none"
        assert fat.max() > 0.1


def test_there_is_no_fat_in_an_empty_image() -> None:
    np.testing.assert_array_equal(fat_like(np.zeros(SHAPE, dtype=np.float32), np.random.default_rng(0)), 0)
    assert np.isfinite(simulated_phase(np.zeros(SHAPE, dtype=np.float32), np.random.default_rng(0))).all()
