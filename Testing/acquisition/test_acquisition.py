"""Acquisition time: the paper's three subjects, and what it is proportional to."""

from __future__ import annotations

import pytest

from SRDynamicMRILib.acquisition.acquisition_time import acquisition_time
from SRDynamicMRILib.errors import InputError


@pytest.mark.parametrize(
    ("lines", "slices", "repetition_time", "phase", "slice_resolution", "acceleration", "seconds"),
    [
        (192, 40, 2.34, 0.75, 0.65, 2, 4.81),
        (192, 40, 2.34, 0.75, 0.65, 1, 9.61),
        (192, 44, 2.23, 0.50, 0.64, 1, 6.62),
    ],
)
def test_times_are_those_of_table_2(
    lines: int,
    slices: int,
    repetition_time: float,
    phase: float,
    slice_resolution: float,
    acceleration: float,
    seconds: float,
) -> None:
    found = acquisition_time(
        lines,
        slices,
        repetition_time,
        phase_oversampling=0.10,
        phase_resolution=phase,
        slice_resolution=slice_resolution,
        acceleration=acceleration,
    )
    assert round(found, 2) == seconds


def test_plain_acquisition_is_lines_times_slices_times_repetition_time() -> None:
    assert acquisition_time(100, 30, 5) == pytest.approx(15.0)
    assert acquisition_time(100, 30, 5, slice_oversampling=0.2) == pytest.approx(18.0)


@pytest.mark.parametrize("wrong", [{"acceleration": 0}, {"phase_resolution": -0.5}, {"slice_resolution": 0}])
def test_numbers_that_are_not_positive_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="above zero"):
        acquisition_time(192, 40, 2.34, **wrong)
