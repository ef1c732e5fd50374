"""How far a result is from what was acquired, and how much of it is not acquired at all."""

from __future__ import annotations

import numpy as np
import pytest

from SRDynamicMRILib.acquisition.acquisition import data_consistency, downsample
from SRDynamicMRILib.acquisition.consistency import Consistency, consistency, consistency_map, in_words
from SRDynamicMRILib.acquisition.interpolation import upsample
from SRDynamicMRILib.acquisition.kspace import to_kspace
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.volume import Volume

SIZES = [((20, 24), 0.25), ((21, 27), 0.3), ((20, 27), 0.1)]


def scan(size: tuple[int, int], seed: int = 0) -> Volume:
    return Volume(np.random.default_rng(seed).uniform(1, 100, (3, *size)))


@pytest.mark.parametrize(("size", "fraction"), SIZES)
def test_the_truth_agrees_with_its_own_acquisition(size: tuple[int, int], fraction: float) -> None:
    truth = scan(size)
    assert consistency(truth, downsample(truth, fraction)).residual < 1e-5


@pytest.mark.parametrize(("size", "fraction"), SIZES)
def test_data_consistency_makes_the_residual_vanish_whatever_was_synthesised(
    size: tuple[int, int], fraction: float
) -> None:
    acquired = downsample(scan(size), fraction)
    made_up = scan(size, seed=1)
    before = consistency(made_up, acquired)
    after = consistency(made_up.with_data(data_consistency(made_up.data, acquired.data)), acquired)
    assert before.residual > 0.1
    assert after.residual < 1e-5
    assert after.synthesised == pytest.approx(before.synthesised, rel=0.1), (
        "what was added is still there, and is still told"
    )


def test_the_residual_is_the_share_by_which_a_result_is_too_bright() -> None:
    truth = scan((20, 24))
    acquired = downsample(truth, 0.25)
    brighter = consistency(truth.with_data(1.1 * truth.data), acquired)
    assert brighter.residual == pytest.approx(0.1, abs=1e-4)
    assert brighter.synthesised == pytest.approx(consistency(truth, acquired).synthesised, rel=1e-4)


def test_what_is_synthesised_is_the_k_space_beyond_the_acquired_one() -> None:
    truth = scan((21, 27))  # odd sizes: no frequency is its own mirror image
    acquired = downsample(truth, 0.25)
    height, width = acquired.shape[1:]
    energy = np.abs(to_kspace(truth.data)) ** 2
    top, left = (21 - height) // 2, (27 - width) // 2
    inside = energy[:, top : top + height, left : left + width].sum()
    assert consistency(truth, acquired).synthesised ** 2 == pytest.approx(1 - inside / energy.sum(), rel=1e-3)


@pytest.mark.parametrize(("size", "fraction"), SIZES)
def test_interpolation_synthesises_nothing(size: tuple[int, int], fraction: float) -> None:
    truth = scan(size)
    acquired = downsample(truth, fraction)
    zero_filled = truth.with_data(upsample(acquired.data, size, "zero_filled"))
    assert consistency(zero_filled, acquired).synthesised < 1e-5


def test_the_map_shows_where_a_result_disagrees() -> None:
    truth = scan((40, 48))
    acquired = downsample(truth, 0.25)
    assert np.abs(consistency_map(truth, acquired).data).max() < 1e-3
    wrong = truth.data.copy()
    wrong[1, 8:16, 24:32] += 50
    shown = consistency_map(truth.with_data(wrong), acquired)
    assert shown.geometry == acquired.geometry
    place = np.unravel_index(np.abs(shown.data).argmax(), shown.shape)
    assert place[0] == 1
    assert 4 <= place[1] < 8
    assert 12 <= place[2] < 16
    assert shown.data[1, 5:7, 13:15].mean() == pytest.approx(50, rel=0.2), "in the unit of the images"


def test_a_result_of_another_place_or_resolution_is_refused() -> None:
    truth = scan((20, 24))
    acquired = downsample(truth, 0.25)
    elsewhere = Volume(truth.data, acquired.geometry.with_matrix((20, 26)).with_matrix((20, 24)))
    consistency(elsewhere, acquired)
    with pytest.raises(InputError, match="field of view"):
        consistency(Volume(truth.data), Volume(acquired.data))
    with pytest.raises(InputError, match="field of view"):
        consistency(acquired, truth)


def test_nothing_differs_from_nothing() -> None:
    empty = scan((20, 24)).with_data(np.zeros((3, 20, 24)))
    assert consistency(empty, downsample(empty, 0.25)) == Consistency(0.0, 0.0)


def test_in_words() -> None:
    words = in_words([Consistency(0.02, 0.05), Consistency(0.031, 0.07)])
    assert words == "Data-consistency residual 3.1% (worst time point); synthesised share 6% (both RMS)."
    words = in_words([Consistency(0.00001, 0.07)])
    assert words.startswith("Data-consistency residual less than 0.01%; synthesised share 7%")
    assert "less than 0.01%" in in_words([Consistency(1e-7, 0.05)])
