"""Which acquired matrix goes with which full one: by a fraction of k-space, or by voxel sizes."""

from __future__ import annotations

import math
from itertools import product

from ..errors import InputError
from ..geometry import Geometry

Matrix = tuple[int, int]
"""Rows (phase encoding) and columns (read)."""


def check_fraction(fraction: float) -> None:
    """Raise `InputError` unless ``0 < fraction <= 1``."""
    if not 0.0 < fraction <= 1.0:
        message = f"The fraction of k-space must be above 0 and at most 1, but it is {fraction:g}."
        raise InputError(message)


def centre(full: Matrix, fraction: float) -> Matrix:
    """Acquired matrix for a fraction of in-plane k-space, with the aspect ratio of the full matrix.

    Lines are taken off symmetrically until at most the fraction is left; see `Acquisition.centre`.

    Raises
    ------
    InputError
        If the fraction is outside (0, 1] or leaves nothing of this matrix.
    """
    check_fraction(fraction)
    acquired = _centre(full, fraction)
    if acquired is None:
        raise _nothing_left(fraction, full)
    return acquired


def centre_of_axes(full: Matrix, fractions: tuple[float, float]) -> Matrix:
    """Acquired matrix for a fraction of the rows and one of the columns.

    Raises
    ------
    InputError
        If a fraction is outside (0, 1] or leaves nothing of this matrix.
    """
    lines = []
    for size, fraction in zip(full, fractions, strict=True):
        check_fraction(fraction)
        # The tolerance is for products such as 0.58 * 100, which floats put just below 58.
        lines.append(size - 2 * math.ceil((size - size * fraction) / 2 - 1e-9))
        if lines[-1] < 1:
            raise _nothing_left(fraction, full)
    return lines[0], lines[1]


def full_matrix_of(acquired: Matrix, fraction: float) -> Matrix:
    """Guess the full matrix of which a fraction was acquired; see `Acquisition.from_fraction_of_acquired`.

    Raises
    ------
    InputError
        If the fraction is outside (0, 1].
    """
    check_fraction(fraction)
    middle = [size / math.sqrt(fraction) for size in acquired]
    # Lines come off in pairs, so the full matrix is odd where the acquired one is.
    near = [
        [n for n in range(max(m, int(middle[axis]) - 8), int(middle[axis]) + 10) if (n - m) % 2 == 0]
        for axis, m in enumerate(acquired)
    ]
    fitting = [size for size in product(near[0], near[1]) if _centre(size, fraction) == acquired]
    if not fitting:
        return max(acquired[0], round(middle[0])), max(acquired[1], round(middle[1]))

    def preference(size: Matrix) -> tuple[int, float]:
        common = math.gcd(*size)
        return common & -common, acquired[0] * acquired[1] / (size[0] * size[1])

    return max(fitting, key=preference)


def matrix_at_resolution(full: Geometry, low_resolution: Geometry) -> Matrix:
    """Rows and columns over the field of view of one geometry that have the voxel size of another; may be more."""
    rows = round(full.shape[1] * full.spacing[1] / low_resolution.spacing[1])
    columns = round(full.shape[2] * full.spacing[0] / low_resolution.spacing[0])
    return max(1, rows), max(1, columns)


def _centre(full: Matrix, fraction: float) -> Matrix | None:
    """Acquired matrix for a fraction with the aspect ratio of the full one; None if nothing is left."""
    full_height, full_width = full
    height, width = full
    while height * width > fraction * full_height * full_width:
        height -= 2
        width = full_width - 2 * ((full_width - round(height * full_width / full_height)) // 2)
        if height < 1 or width < 1:
            return None
    return height, width


def _nothing_left(fraction: float, matrix: Matrix) -> InputError:
    message = (
        f"Keeping {fraction:.4g} of k-space leaves nothing of a {size_in_words(matrix)} matrix; use a larger fraction."
    )
    return InputError(message)


def size_in_words(matrix: tuple[int, ...]) -> str:
    """Rows and columns as users read them: ``128x96``."""
    return "x".join(str(n) for n in matrix)
