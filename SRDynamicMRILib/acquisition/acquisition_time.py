"""How long a Cartesian 3D acquisition takes (paper, equation 3 and Tables 1 and 2)."""

from __future__ import annotations

import math

from ..errors import InputError


def acquisition_time(
    phase_encoding_lines: int,
    slices: int,
    repetition_time: float,
    *,
    phase_oversampling: float = 0.0,
    slice_oversampling: float = 0.0,
    phase_resolution: float = 1.0,
    slice_resolution: float = 1.0,
    acceleration: float = 1.0,
) -> float:
    """Time of one volume: phase-encoding steps times repetition time times slice-encoding steps (equation 3).

    Parameters
    ----------
    phase_encoding_lines
        Matrix size in the phase-encoding direction.
    slices
        Number of slices (partitions).
    repetition_time
        In milliseconds.
    phase_oversampling, slice_oversampling
        Share measured beyond the field of view, 0.1 for 10%.
    phase_resolution, slice_resolution
        Share of the nominal resolution measured, 0.75 for 75%.
    acceleration
        Parallel imaging factor in the phase-encoding direction (GRAPPA).

    Returns
    -------
        Seconds.

    Raises
    ------
    InputError
        If a number is not positive.
    """
    if min(phase_encoding_lines, slices, repetition_time, phase_resolution, slice_resolution, acceleration) <= 0:
        raise InputError("Matrix, slices, repetition time, resolutions and acceleration must be above zero.")
    lines = phase_encoding_lines * (1 + phase_oversampling) * phase_resolution / acceleration
    partitions = slices * (1 + slice_oversampling) * slice_resolution
    return math.floor(lines + 0.5) * math.floor(partitions + 0.5) * repetition_time / 1000
