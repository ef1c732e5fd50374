"""Windows: their weights by their formulas, and their names."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from SRDynamicMRILib import Acquisition, InputError
from SRDynamicMRILib.acquisition.windows import NO_WINDOW, WINDOWS, Window

FORMULAS: dict[str, Callable[[float], float]] = {
    "none": lambda d: 1.0,
    "hann": lambda d: math.cos(math.pi * min(d, 1) / 2) ** 2,
    "hamming": lambda d: 0.08 + 0.92 * math.cos(math.pi * min(d, 1) / 2) ** 2,
    "fermi:0.1": lambda d: (1 + math.exp(-9)) / (1 + math.exp((d - 0.9) / 0.1)),
    "tukey:0.4": lambda d: 1.0 if d <= 0.6 else math.cos(math.pi * (min(d, 1) - 0.6) / 0.8) ** 2,
    "gauss:0.5": lambda d: math.exp(-2 * d * d),
}


def distance(index: int, size: int) -> float:
    """Of a sample from the centre of k-space, 1 at the edge."""
    return abs(index - size // 2) / (size / 2)


def test_every_window_has_a_formula_here() -> None:
    assert [name.split(":")[0] for name in FORMULAS] == list(WINDOWS)


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("matrix", [(8, 6), (7, 5), (1, 4)])
@pytest.mark.parametrize("radial", [False, True])
def test_weights_follow_the_formula(text: str, matrix: tuple[int, int], radial: bool) -> None:
    window, formula = Window.named(text + ":radial" * radial), FORMULAS[text]
    expected = np.empty(matrix)
    for row, column in np.ndindex(matrix):
        y, x = distance(row, matrix[0]), distance(column, matrix[1])
        expected[row, column] = formula(math.hypot(x, y)) if window.radial else formula(x) * formula(y)
    weights = window.weights(matrix)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    assert weights[matrix[0] // 2, matrix[1] // 2] == 1, "the mean intensity stays"


def test_fermi_is_radial_whatever_is_said() -> None:
    assert Window("fermi", 0.1) == Window.named("fermi:0.1:radial") == Window("fermi", 0.1, radial=True)
    assert Window("fermi", 0.1).radial


@pytest.mark.parametrize("text", [*FORMULAS, "hann:radial", "tukey:0.4:radial", "gauss:0.5:radial"])
def test_a_window_is_named_by_its_text(text: str) -> None:
    assert str(Window.named(text)) == text
    assert Window.named(f" {text.upper()} ") == Window.named(text)


def test_what_makes_no_difference_is_not_told_apart() -> None:
    assert Window("none", 0.3, radial=True) == NO_WINDOW
    assert Window("hann", 0.3) == Window("hann")
    assert NO_WINDOW.is_flat
    assert not Window("gauss", 100).is_flat


@pytest.mark.parametrize("text", ["fermi:0.01", "fermi:100", "gauss:0.01", "gauss:100", "tukey:0.01", "tukey:1"])
def test_extreme_windows_are_finite(text: str) -> None:
    with np.errstate(all="raise", under="ignore"):
        weights = Window.named(text).weights((8, 7))
    assert weights.min() >= 0
    assert weights.max() == 1


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("", "no window named ;"),
        ("blackman", "no window named blackman; use one of none, hann"),
        ("hann:0.5", "names no window"),
        ("fermi:wide", "names no window"),
        ("fermi:nan", "names no window"),
        ("fermi:0.1:0.2", "names no window"),
        ("fermi", "fermi needs a number from 0.01 to 100, its width, such as fermi:0.5"),
        ("gauss:-1", "gauss needs a number from 0.01 to 100"),
        ("gauss:inf", "gauss needs a number from 0.01 to 100"),
        ("gauss:1e-300", "gauss needs a number from 0.01 to 100"),
        ("tukey:1.5", "tukey needs a number from 0.01 to 1, the share that is tapered"),
    ],
)
def test_what_is_no_window_is_refused(text: str, phrase: str) -> None:
    with pytest.raises(InputError, match=phrase):
        Window.named(text)


def test_samples_that_weigh_nothing_are_not_measured() -> None:
    acquisition = Acquisition((8, 9), (12, 12), window=Window("hann"))
    assert (acquisition.sample_weights[0] == 0).all(), "the edge of an even axis"
    assert (acquisition.sample_weights[1:] > 0).all()
    np.testing.assert_array_equal(acquisition.consistency_weights, acquisition.sample_weights > 0)
