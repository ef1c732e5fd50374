"""How a result agrees with what was acquired, and how much of it was not acquired at all.

With D of `Acquisition` (keep the centre of k-space), x a result and y the acquired image, both figures are ratios of
root mean squares, which by Parseval's theorem are the same in k-space: the residual ``|D x - y| / |y|`` says how far
the result's centre of k-space is from the acquired one, and the synthesised share ``|x - D+ D x| / |x|``, with D+ the
pseudoinverse of D, how much of the result lies beyond it. The scale is the root mean square and no percentile, so that
both figures have one unit and the brightest vessel does not count.

Neither needs the ground truth, and neither says how near the result is to it: hard data consistency makes the residual
zero whatever the network has synthesised, and the synthesised share is large or small, not right or wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import FloatArray
from ..volume import Series, Volume
from .acquisition import Acquisition, acquisition_of

_DIGITS = 6
"""Decimals that are reported: those beyond are rounding of single precision and depend on the number of threads."""


@dataclass(frozen=True)
class Consistency:
    """Two figures of a result, both at least 0 and without unit.

    Parameters
    ----------
    residual
        Root mean square of downsample(result) - acquired, relative to that of the acquired image.
    synthesised
        Root mean square of what the result has beyond the acquired k-space, relative to that of the result. Its square
        is the share of the energy. At most 1.
    """

    residual: float
    synthesised: float


def consistency(result: Volume, acquired: Volume, acquisition: Acquisition | None = None) -> Consistency:
    """Compare a result with what it was made from.

    Parameters
    ----------
    result
        Super-resolved volume ``(D, H, W)``.
    acquired
        Low-resolution volume ``(D, h, w)`` of the same field of view and unit.
    acquisition
        How it was acquired; all that is stored, the sign kept, if not given. Noise and the phase that a magnitude has
        lost are part of the residual then.

    Raises
    ------
    InputError
        If the result does not lie on a finer grid over the field of view of the acquired volume.
    """
    low, acquisition = _at_acquired_matrix(result, acquired, acquisition)
    downsampled = _downsampled(result, acquisition)
    beyond = result.data - acquisition.pseudoinverse(acquisition.downsample(result.data))
    return Consistency(ratio(downsampled - low, low), ratio(beyond, result.data))


def _at_acquired_matrix(
    result: Volume, acquired: Volume, acquisition: Acquisition | None
) -> tuple[FloatArray, Acquisition]:
    """A low-resolution image at its acquired matrix ``(D, h, w)``, and the acquisition that stores just that."""
    if acquisition is None:
        _check_grids(result, acquired)
        return acquired.data, acquisition_of(result.data, acquired.data)
    low = acquisition.undo_zero_filling(acquired.data)
    return low, replace(acquisition, stored_matrix=acquisition.acquired_matrix)


def _downsampled(result: Volume, acquisition: Acquisition) -> FloatArray:
    """What would be stored of a result, were it the truth and without phase and noise."""
    downsampled = acquisition.downsample(result.data)
    return np.abs(downsampled) if acquisition.magnitude else downsampled


def consistency_map(result: Volume, acquired: Volume, acquisition: Acquisition | None = None) -> Volume:
    """Downsampled result minus acquired image, ``(D, h, w)`` on the acquired grid, in the unit of the images.

    Nothing is resampled: downsampling by k-space leads to this very grid.

    Parameters
    ----------
    result, acquired, acquisition
        As for `consistency`.

    Raises
    ------
    InputError
        As for `consistency`.
    """
    low, acquisition = _at_acquired_matrix(result, acquired, acquisition)
    geometry = acquired.geometry.with_matrix(acquisition.acquired_matrix)
    return Volume(_downsampled(result, acquisition) - low, geometry)


def consistency_maps(results: Series, acquired: Series, acquisition: Acquisition | None = None) -> Series:
    """The `consistency_map` of every time point, each made when asked for."""

    def load(number: int) -> FloatArray:
        return consistency_map(results[number], acquired[number], acquisition).data

    geometry = acquired.geometry
    if acquisition is not None:
        geometry = geometry.with_matrix(acquisition.acquired_matrix)
    return Series(load, acquired.times, geometry)


def consistency_in(facts: Mapping[str, Any]) -> list[Consistency]:
    """The figures of a result, by time point, if its facts have them; earlier versions called them otherwise."""
    for key, names in (("consistency", ("residual", "synthesised")), ("fidelity", ("error", "added"))):
        figures = facts.get(key)
        if not isinstance(figures, list) or not all(isinstance(each, dict) for each in figures):
            continue
        pairs = [[each.get(name) for name in names] for each in figures]
        if all(type(value) in (int, float) and 0 <= value < math.inf for pair in pairs for value in pair):
            return [Consistency(*pair) for pair in pairs]
    return []


def overall(figures: Sequence[Consistency]) -> Consistency:
    """The largest residual and the mean synthesised share of all time points."""
    synthesised = sum(each.synthesised for each in figures) / len(figures)
    return Consistency(max(each.residual for each in figures), synthesised)


def in_words(figures: Sequence[Consistency]) -> str:
    """Return the `overall` figures of all time points in a sentence."""
    whole = overall(figures)
    where = " (worst time point)" if len(figures) > 1 else ""
    residual, synthesised = _percent(whole.residual), _percent(whole.synthesised)
    return f"Data-consistency residual {residual}{where}; synthesised share {synthesised} (both RMS)."


def _percent(share: float) -> str:
    return "less than 0.01%" if share < 1e-4 else f"{100 * share:.3g}%"


def _check_grids(result: Volume, acquired: Volume) -> None:
    size, small = result.shape[1:], acquired.shape[1:]
    finer = size[0] >= small[0] and size[1] >= small[1]
    if not finer or not result.geometry.with_matrix(small).same_grid(acquired.geometry):
        message = (
            f"A result of {result.shape} voxels does not lie over the field of view of an acquired image of "
            f"{acquired.shape}; compare it with the series that it was made from."
        )
        raise InputError(message)


def ratio(part: NDArray[np.floating], whole: NDArray[np.floating]) -> float:
    """Ratio of root mean squares; 0 where there is nothing at all."""
    energy = np.vdot(whole.astype(np.float64), whole.astype(np.float64))
    if energy <= 0:
        return 0.0
    ratio = float(np.sqrt(np.vdot(part.astype(np.float64), part.astype(np.float64)) / energy))
    return round(ratio, _DIGITS)
