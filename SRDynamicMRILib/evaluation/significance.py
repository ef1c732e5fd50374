"""Whether one method is really better than another over the time points (paper, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..errors import InputError


@dataclass(frozen=True)
class PairedTests:
    """Two-sided tests of the paired differences of two methods.

    Parameters
    ----------
    mean_difference
        Mean of first - second.
    t_test
        p-value of the paired t-test; NaN below two pairs.
    wilcoxon
        p-value of the Wilcoxon signed-rank test; NaN below two pairs.
    pairs
        Number of time points.
    """

    mean_difference: float
    t_test: float
    wilcoxon: float
    pairs: int


def paired_tests(first: Sequence[float], second: Sequence[float]) -> PairedTests:
    """Test whether two methods differ, time point by time point.

    Parameters
    ----------
    first, second
        A metric of both methods at the same time points.

    Raises
    ------
    InputError
        If the numbers of time points differ.
    """
    if len(first) != len(second):
        message = f"Paired tests need as many values of both methods, but there are {len(first)} and {len(second)}."
        raise InputError(message)
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    mean = float(difference.mean()) if len(difference) else float("nan")
    if len(difference) < 2:
        return PairedTests(mean, float("nan"), float("nan"), len(difference))
    if not difference.any():
        return PairedTests(mean, 1.0, 1.0, len(difference))
    if np.ptp(difference) == 0:
        t_test = 0.0  # the same difference every time: the t statistic is infinite
    else:
        t_test = float(stats.ttest_rel(first, second).pvalue)
    return PairedTests(mean, t_test, float(stats.wilcoxon(difference).pvalue), len(difference))
