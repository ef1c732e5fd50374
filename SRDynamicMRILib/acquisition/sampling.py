"""Sampling patterns: which samples of the acquired matrix a scanner measures.

A pattern is a function from the acquired matrix ``(h, w)`` to a boolean mask ``(h, w)`` of centred k-space, whose DC
sample is ``[h // 2, w // 2]``. `SHUTTERS` names them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, look_up
from .matrices import Matrix, size_in_words

Mask = NDArray[np.bool_]


def frequencies(matrix: Matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spatial frequencies of rows ``(h, 1)`` and columns ``(1, w)``, from -1 to 1 between the edges of k-space."""
    rows, columns = ((np.arange(n) - n // 2) / (n / 2) for n in matrix)
    return rows[:, None], columns[None, :]


def rectangle(matrix: Matrix) -> Mask:
    """Every sample of the acquired matrix."""
    return np.ones(matrix, dtype=bool)


def ellipse(matrix: Matrix) -> Mask:
    """The corners left out: what lies on or within the ellipse that touches the edges (elliptical scanning)."""
    rows, columns = frequencies(matrix)
    return np.asarray(rows**2 + columns**2 <= 1)


SHUTTERS: dict[str, Callable[[Matrix], Mask]] = {
    "rectangle": rectangle,
    "ellipse": ellipse,
}
"""Every sampling pattern by its name."""


def check_shutter(name: str) -> None:
    """Raise `InputError` unless there is a sampling pattern of this name."""
    look_up(name, SHUTTERS, "sampling pattern")


def sampling_mask(matrix: Matrix, shutter: str, partial_fourier: float = 1.0) -> Mask:
    """Return the samples that a scanner measures.

    Parameters
    ----------
    matrix
        Acquired rows and columns ``(h, w)``.
    shutter
        Name of the pattern, one of `SHUTTERS`.
    partial_fourier
        Share of the phase-encoding lines (rows) that are measured, above 0.5. The lines left out are the last ones, the
        highest positive frequencies; the line through the centre is always measured.

    Returns
    -------
        Boolean mask ``(h, w)``.

    Raises
    ------
    InputError
        If there is no pattern of that name, or it measures nothing.
    """
    check_shutter(shutter)
    mask = np.array(SHUTTERS[shutter](matrix), dtype=bool)
    mask[max(matrix[0] // 2 + 1, math.floor(partial_fourier * matrix[0] + 0.5)) :] = False
    if not mask.any():
        message = f"The sampling pattern {shutter} measures nothing of a {size_in_words(matrix)} matrix; use another."
        raise InputError(message)
    return mask
