"""The order in time of DICOM images that show the same slices again and again, and the time of each time point.

Several tags tell an order, and scanners fill them differently. Clocks and temporal positions say when an image was
acquired. The trigger time is the delay after a heart beat: in a gated cine it is what tells the phases apart, in a
series over several beats it repeats or jitters. So a trigger time counts only where nothing else contradicts it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .times import numbered, usable_times

Tags = Mapping[str, str]

_TEMPORAL_RESOLUTION = "0020|0110"
_DAY = 24 * 3600.0


@dataclass(frozen=True)
class TimeOrder:
    """Which images make up each time point.

    Parameters
    ----------
    images
        Numbers ``(positions, time points)`` of the images at each position, in order of time.
    times
        Of the time points in seconds. Trigger times are as they are, clocks begin with 0.
    warnings
        A sentence for every tag that tells another order.
    """

    images: NDArray[np.intp]
    times: list[float]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Clue:
    """What one tag tells of the time of every image; all images have it.

    Parameters
    ----------
    name
        What the tag holds, in the plural.
    values
        ``(positions, images)``, ascending with time.
    binding
        Whether no order may go against it.
    in_seconds
        Whether the values are times.
    """

    name: str
    values: NDArray[np.float64]
    binding: bool = False
    in_seconds: bool = True

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Numbers of the images of each position, as this tag puts them in order."""
        return np.argsort(self.values, axis=1, kind="stable")

    @cached_property
    def tells_apart(self) -> bool:
        """Whether no two images of a position have the same value."""
        return bool((np.diff(self.ordered(self.order), axis=1) > 0).all())

    def ordered(self, order: NDArray[np.intp]) -> NDArray[np.float64]:
        """The values in some order."""
        return np.take_along_axis(self.values, order, axis=1)

    def contradicts(self, order: NDArray[np.intp]) -> bool:
        """Whether an order goes back in time by this tag."""
        return bool((np.diff(self.ordered(order), axis=1) < 0).any())


def order_in_time(positions: Sequence[Sequence[Tags]], folder: Path) -> TimeOrder:
    """Put the images of every slice position in order of time.

    Parameters
    ----------
    positions
        Tags of the images at each position, keys ``gggg|eeee``; the same number of two or more images at each.
    folder
        Where they are, for messages.

    Raises
    ------
    InputError
        If no tag tells the images of a position apart, or the tags contradict each other so that a time point might be
        made of slices of different times.
    """
    clues = _clues(positions)
    orders = [clue for clue in clues if clue.tells_apart]
    if not orders:
        message = (
            f"The {len(positions[0])} images of each slice in {folder} cannot be put in order: no tag tells their time "
            "points apart; check for duplicate files."
        )
        raise InputError(message)
    binding = [clue for clue in clues if clue.binding]
    agreed = [clue for clue in orders if not any(other.contradicts(clue.order) for other in binding)]
    best = agreed[0] if agreed else _by_majority(orders, binding, folder)
    agreeing = [clue for clue in clues if not clue.contradicts(best.order)]
    _check_time_points(agreeing, best.order, folder)
    step = _milliseconds(positions[0][0].get(_TEMPORAL_RESOLUTION, ""))
    # Images may be numbered anyhow, and computed in any order where something better tells when they were acquired.
    telling = {_ACQUISITION, _MOMENT, _POSITION, _TRIGGER} | ({_CONTENT} if best.name == _TRIGGER else set())
    return TimeOrder(
        best.order,
        _times(agreeing, best.order, step),
        tuple(
            f"The {clue.name} in {folder} give another order in time than the {best.name}, which are used."
            for clue in clues
            if clue not in agreeing and clue.name in telling
        ),
    )


def _by_majority(orders: Sequence[_Clue], binding: Sequence[_Clue], folder: Path) -> _Clue:
    """Of clocks and temporal positions that contradict each other, the one that most other tags agree with."""

    def support(clue: _Clue) -> int:
        return sum(np.array_equal(clue.order, other.order) for other in orders) - 1

    best = sorted((clue for clue in orders if clue.binding), key=support, reverse=True)
    if best and support(best[0]) > (support(best[1]) if len(best) > 1 else 0):
        return best[0]
    first, second = next(
        (clue, other) for clue in orders for other in binding if other is not clue and other.contradicts(clue.order)
    )
    message = (
        f"The {first.name} and the {second.name} in {folder} contradict each other, so its images cannot be put in "
        "order; export the series again, or convert it to NIfTI."
    )
    raise InputError(message)


def _check_time_points(clues: Sequence[_Clue], order: NDArray[np.intp], folder: Path) -> None:
    """Raise `InputError` if a time point would be made of slices of different time points."""
    for clue in clues:
        values = clue.ordered(order)
        if clue.name == _POSITION and clue.tells_apart:
            for number, row in enumerate(values):
                # Scanners that count on from slice to slice share no number between slices.
                missing = np.setdiff1d(values[0], row)
                if 0 < missing.size < row.size:
                    message = (
                        f"Slice {number + 1} of {len(values)} in {folder} lacks temporal position {missing[0]:g}, "
                        "which slice 1 has; a file is missing."
                    )
                    raise InputError(message)
            return
    for clue in clues:
        if clue.binding and clue.in_seconds and clue.tells_apart:
            values = clue.ordered(order)
            # Where volumes follow each other; slices that are acquired one by one overlap at all time points.
            late = values.max(axis=0)[:-1] > values.min(axis=0)[1:]
            if late.any() and late.mean() < 0.5:
                at = int(late.argmax())
                message = (
                    f"By their {clue.name}, some slices of time point {at} in {folder} were acquired after time point "
                    f"{at + 1} had begun; a file may be missing."
                )
                raise InputError(message)


def _times(clues: Sequence[_Clue], order: NDArray[np.intp], step: float | None) -> list[float]:
    """Times in seconds of the time points, from the tags that agree with their order; 0, 1, 2, ... if none has any."""
    count = order.shape[1]

    def mean(clue: _Clue) -> list[float]:
        # Slices of one time point may lie a little apart in time (another heart beat).
        times = clue.ordered(order).mean(axis=0)
        return usable_times((times - (0.0 if clue.name == _TRIGGER else times[0])).tolist(), count)

    timed = [clue for clue in clues if clue.in_seconds]
    exact = [mean(clue) for clue in timed if clue.tells_apart and clue.name != _CONTENT]
    steps = [step * number for number in range(count)] if step and any(c.name == _POSITION for c in clues) else []
    rough = [mean(clue) for clue in timed]
    return next((times for times in [*exact, usable_times(steps, count), *rough] if times), numbered(count))


# What tags tell

_ACQUISITION, _MOMENT, _CONTENT = "acquisition times", "acquisition dates and times", "content times"
_POSITION, _TRIGGER, _NUMBER = "temporal positions", "trigger times", "instance numbers"

_KEYS = (
    "0008|0022", "0008|0032", "0008|002a", "0020|0100", "0018|1060", "0008|0023", "0008|0033", "0020|0013",
)  # fmt: skip


def said_of_time(tags: Tags) -> tuple[str, ...]:
    """Everything that tells the time of an image; two images for which it is equal cannot be told apart."""
    return tuple(tags.get(key, "") for key in _KEYS)


def _clues(positions: Sequence[Sequence[Tags]]) -> list[_Clue]:
    """What can put the images in order, best first."""

    def values(key: str, read: Callable[[str], float | None]) -> NDArray[np.float64]:
        return np.array([[read(tags.get(key, "")) for tags in group] for group in positions], dtype=np.float64)

    def clock(day: str, time: str) -> NDArray[np.float64]:
        return _since_first_day(values(day, _day), values(time, _clock))

    moments = _since_first_day(
        values("0008|002a", lambda text: _day(text[:8])), values("0008|002a", lambda text: _clock(text[8:]))
    )
    clues = [
        _Clue(_ACQUISITION, clock("0008|0022", "0008|0032"), binding=True),
        _Clue(_MOMENT, moments, binding=True),
        _Clue(_POSITION, values("0020|0100", decimal), binding=True, in_seconds=False),
        _Clue(_TRIGGER, values("0018|1060", _milliseconds)),
        _Clue(_CONTENT, clock("0008|0023", "0008|0033")),
        _Clue(_NUMBER, values("0020|0013", decimal), in_seconds=False),
    ]
    return [clue for clue in clues if not np.isnan(clue.values).any()]


def _since_first_day(days: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds since the first midnight; what has no date, or one for all, goes on past midnight."""
    ordered = np.unique(seconds)
    gaps = np.diff(ordered)
    later: NDArray[np.float64] = np.zeros_like(seconds)
    if not np.isnan(days).any() and np.ptp(days):
        later = days - days.min()
    elif gaps.size and gaps.max() > _DAY / 2:
        later = (seconds <= ordered[gaps.argmax()]).astype(np.float64)
    return seconds + _DAY * later


def decimal(text: str) -> float | None:
    """First value of a DICOM decimal or integer string; None if it is no finite number."""
    try:
        value = float(text.split("\\")[0])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _milliseconds(text: str) -> float | None:
    value = decimal(text)
    return None if value is None else value / 1000


def _clock(text: str) -> float | None:
    """Seconds since midnight of a DICOM time ``HHMMSS.ffffff``, perhaps with the difference to UTC."""
    text = text.replace(":", "").partition("+")[0].partition("-")[0]
    value = decimal(text[4:])
    if not text[:4].isdecimal() or value is None:
        return None
    return 3600 * int(text[:2]) + 60 * int(text[2:4]) + value


def _day(text: str) -> float | None:
    """Number of the day of a DICOM date ``YYYYMMDD``."""
    text = text.replace(".", "")
    try:
        return float(date(int(text[:4]), int(text[4:6]), int(text[6:8])).toordinal())
    except ValueError:
        return None
