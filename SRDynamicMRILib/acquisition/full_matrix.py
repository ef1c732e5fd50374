"""The matrix that an image had before it was downsampled, where its sidecar tells it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..errors import InputError
from ..geometry import Geometry
from ..io.sidecar import describes
from .matrices import centre

_FINEST = 100
"""How many times more rows or columns than were acquired a sidecar can say there were; more is a damaged one."""


def recorded_matrix(facts: Mapping[str, Any], geometry: Geometry) -> tuple[int, int] | None:
    """Rows and columns that an image had before it was downsampled, if its sidecar says so.

    A sidecar of an earlier version, which does not name its image, counts if keeping the fraction that it names of the
    full matrix gives the image's own.

    Parameters
    ----------
    facts
        What the sidecar says.
    geometry
        Geometry of the image.
    """
    stored = geometry.shape[1:]
    matrix = facts.get("full_matrix")
    if not isinstance(matrix, list) or len(matrix) != 2 or not all(type(n) is int for n in matrix):
        return None
    full = (matrix[0], matrix[1])
    if not all(n <= f <= _FINEST * n for f, n in zip(full, stored, strict=True)):
        return None
    about = describes(facts, geometry)
    if about is None:
        fraction = facts.get("fraction")
        with suppress(InputError):  # a fraction that leaves nothing, or is none
            about = isinstance(fraction, float) and centre(full, fraction) == stored
    return full if about else None
