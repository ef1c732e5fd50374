"""Paired tests: textbook figures, symmetry and the cases in which a formula would divide by zero."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.significance import paired_tests

FIRST = [0.92, 0.95, 0.91, 0.97, 0.94, 0.96]
SECOND = [0.90, 0.91, 0.92, 0.89, 0.91, 0.94]


def test_t_test_is_that_of_the_formula() -> None:
    difference = np.subtract(FIRST, SECOND)
    t = difference.mean() / (difference.std(ddof=1) / math.sqrt(6))
    # Student's distribution with 5 degrees of freedom, in closed form.
    angle = math.atan(t / math.sqrt(5))
    inside = 2 / math.pi * (angle + math.sin(angle) * (math.cos(angle) + 2 / 3 * math.cos(angle) ** 3))
    tests = paired_tests(FIRST, SECOND)
    assert tests.t_test == pytest.approx(1 - inside)
    assert tests.mean_difference == pytest.approx(0.03)
    assert tests.pairs == 6


def test_wilcoxon_counts_all_signs() -> None:
    difference = [1.0, -2.0, 3.0, 4.0, 5.0, 6.0]
    statistic = 2  # the sum of the ranks of the negative ones
    sums = [np.dot(signs, range(1, 7)) for signs in itertools.product([0, 1], repeat=6)]
    expected = 2 * sum(s <= statistic for s in sums) / len(sums)
    assert paired_tests(difference, [0.0] * 6).wilcoxon == pytest.approx(expected)


def test_order_of_the_methods_changes_the_sign_alone() -> None:
    forth, back = paired_tests(FIRST, SECOND), paired_tests(SECOND, FIRST)
    assert forth.mean_difference == -back.mean_difference
    assert (forth.t_test, forth.wilcoxon) == pytest.approx((back.t_test, back.wilcoxon))


def test_equal_methods_do_not_differ() -> None:
    tests = paired_tests(FIRST, FIRST)
    assert (tests.mean_difference, tests.t_test, tests.wilcoxon) == (0, 1, 1)


@pytest.mark.filterwarnings("error")
def test_constant_difference_is_certain_for_the_t_test() -> None:
    tests = paired_tests([2.0] * 5, [1.0] * 5)
    assert tests.t_test == 0
    assert tests.wilcoxon == pytest.approx(2 / 2**5)


@pytest.mark.parametrize("pairs", [0, 1])
def test_fewer_than_two_pairs_tell_nothing(pairs: int) -> None:
    tests = paired_tests([1.0] * pairs, [2.0] * pairs)
    assert math.isnan(tests.t_test)
    assert math.isnan(tests.wilcoxon)
    assert tests.pairs == pairs


def test_other_numbers_of_time_points_are_refused() -> None:
    with pytest.raises(InputError, match="2 and 3"):
        paired_tests([1.0, 2.0], [1.0, 2.0, 3.0])
