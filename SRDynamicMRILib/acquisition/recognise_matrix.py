"""Which part of a stored image was acquired: scanners fill k-space up with zeros and store a larger matrix.

Beyond the acquired matrix the spectrum of such an image is empty, to the last digit where the image is signed. A
magnitude image has some energy there, but its level still falls within two frequencies at the edge, where a natural
image falls slowly. The square of a magnitude is that of a complex image without the phase, and its spectrum ends at the
acquired number of rows or columns, whatever phase and noise; this shows where twice as many were stored. A filter that
brings k-space down to nothing at its edge (Hann) leaves no edge to be found. Then the spectrum of the square, which is
down at the rounding of the voxels long before its end, tells that the image was interpolated, but not from how many.

False positives are worse than misses: too small a matrix throws away what was measured. Studies/README.md has figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import FloatArray, Geometry
from ..volume import Series
from .acquisition import Acquisition
from .end_of_square import end_of_signed, end_of_square
from .matrices import Matrix
from .spectrum import is_signed, level_by_frequency

Source = Literal["stored", "declared", "header", "spectrum"]

_FIRST_EDGE = 6
"""Lowest frequency that can be the edge: below, natural spectra fall as steeply."""

_WIDTH = 4
"""Frequencies on either side of an edge that are looked at."""

_STEEPEST = 1.2
"""Fall in dB per frequency inside an edge beyond which there is a filter, and no edge, in a magnitude image."""

_JUMP = 6.0
"""Fall in dB between the two neighbours of an edge, the trend taken off.

Images that were not zero-filled had up to 5.5 among those it was set on; one of 360 others had more."""

_CLEAR = 40.0
"""Jump in dB that no filter makes, only zeros in a signed image."""

_EDGE = 3.0
"""Fall in dB between all that is near an edge inside and all that is near it outside, the trend taken off."""

_EDGE_OF_SQUARE = 6.0
"""The latter for the square of an image, of any steepness. Images that were not zero-filled had up to 3.3, kidneys with
their own phase that were 20 and more."""

_EMPTY = -60.0
"""Level in dB that nothing beyond the end of the square's spectrum may reach; rounding to 8 bits stays below."""

_ROUNDING = -70.0
"""Level in dB at the end of the square's spectrum below which an image was interpolated. Others had -65 and more."""

_MOST = 8
"""How many times more than was acquired a scanner stores along an axis; a header that says more is not believed."""

_LEAST_PARTIAL = 0.6
"""Least share of the phase-encoding lines that scanners measure."""

_LEAST_ESTIMATE = 0.65
"""Share of an estimated number of lines that can have been all."""

_NEAR = 0.03
"""How far from eighths the share of measured rows may lie that is taken for them."""

_AGREE = 0.03
"""Share of the matrix by which header and spectrum may differ: phase-encoding lines are rounded in many ways."""


@dataclass(frozen=True)
class AcquiredMatrix:
    """What was acquired of a stored image, and how that is known.

    Parameters
    ----------
    matrix
        Acquired rows and columns ``(h, w)``.
    geometry
        Geometry of the image as stored.
    source
        What told: the user (``declared``), the DICOM ``header``, the ``spectrum``; ``stored`` where nothing says that
        the image was interpolated.
    shared
        Whether the outermost frequency of rows and columns lies half at either end; see `Acquisition`.
    warnings
        What is doubtful about it, in sentences.
    partial_fourier
        Share of the rows that were measured, as far as the spectrum tells.
    """

    matrix: tuple[int, int]
    geometry: Geometry
    source: Source = "stored"
    shared: tuple[bool, bool] = (False, False)
    warnings: tuple[str, ...] = ()
    partial_fourier: float = 1.0

    @property
    def stored(self) -> tuple[int, int]:
        """Stored rows and columns ``(m, n)``."""
        return self.geometry.shape[1], self.geometry.shape[2]

    @property
    def interpolated(self) -> bool:
        """Whether more was stored than acquired."""
        return self.matrix != self.stored

    @property
    def acquisition(self) -> Acquisition:
        """The acquisition of the series, whose full matrix is taken to be the stored one: no finer one is known."""
        return Acquisition(self.matrix, self.stored, self.stored, shared_nyquist=self.shared)

    def in_words(self) -> str:
        """One sentence for the log."""
        if not self.interpolated:
            return f"All {_size(self.stored)} stored rows and columns count as acquired."
        told = {
            "declared": "as declared",
            "header": "according to its DICOM header",
            "spectrum": "according to its spectrum",
        }
        return (
            f"The series was interpolated from an acquired matrix of {_size(self.matrix)} to {_size(self.stored)}, "
            f"{told[self.source]}; it is reduced to the acquired matrix."
        )

    def facts(self) -> dict[str, object]:
        """The same for a sidecar."""
        return {"acquired_matrix": list(self.matrix), "stored_matrix": list(self.stored), "acquired_from": self.source}


def recognise_acquired_matrix(series: Series, declared: tuple[int, int] | None = None) -> AcquiredMatrix:
    """Find out which rows and columns of a series were acquired; the others are interpolated.

    The first time point speaks for all, so that a choice of time points changes nothing.

    Parameters
    ----------
    series
        Series ``(D, m, n)`` as stored. Its `acquired_matrix` is what the header says.
    declared
        Rows and columns that the user says were acquired; overrides everything.

    Raises
    ------
    InputError
        If more is declared than is stored, or nothing.
    """
    first = series[0]
    stored = (first.shape[1], first.shape[2])
    axes = [_look_at(first.data, axis) for axis in (0, 1)]
    if declared is None:
        matrix, source, warnings = _recognised(axes, stored, series.acquired_matrix)
    else:
        matrix, source, warnings = declared, "declared", _contradictions(axes, stored, declared)
    shared = [axis.is_shared(n) for axis, n in zip(axes, matrix, strict=True)]
    return AcquiredMatrix(
        matrix, series.geometry, source, (shared[0], shared[1]), tuple(warnings), _partial(axes[0].measured, matrix[0])
    )


def _partial(measured: int, acquired: int) -> float:
    """Share of the rows that were measured, in eighths as scanners offer it; 1 where that does not fit."""
    eighths = round(8 * measured / acquired)
    near = abs(measured / acquired - eighths / 8) < _NEAR
    return eighths / 8 if near and eighths in (5, 6, 7) else 1.0


def _contradictions(axes: Sequence[_Axis], stored: Matrix, declared: Matrix) -> list[str]:
    """Return what to say of a declared matrix; `InputError` if it cannot be one."""
    if not all(2 <= d <= n for d, n in zip(declared, stored, strict=True)):
        message = (
            f"An image of {_size(stored)} cannot have an acquired matrix of {_size(declared)}; "
            "give rows x columns, at most those stored."
        )
        raise InputError(message)
    seen = (axes[0].acquired, axes[1].acquired)
    if all(s == n or _alike(s, d) for s, d, n in zip(seen, declared, stored, strict=True)):
        return []
    return [f"The acquired matrix was given as {_size(declared)}, but the spectrum suggests {_size(seen)}."]


def _recognised(axes: Sequence[_Axis], stored: Matrix, header: Matrix | None) -> tuple[Matrix, Source, list[str]]:
    """Acquired matrix by header and spectrum, which of the two told, and what is to be warned of.

    On each axis an edge that is seen outweighs the header; where none is seen, the header is all there is.
    """
    matrix, contradicted, unconfirmed, hidden, estimated = list(stored), False, False, [], []
    for number, (axis, n, name) in enumerate(zip(axes, stored, ("rows", "columns"), strict=True)):
        said = n if header is None or _MOST * header[number] < n else min(header[number], n)
        if axis.acquired < n:
            alike = header is not None and axis.agrees_with(said)
            contradicted |= header is not None and not alike
            matrix[number] = axis.acquired if not alike else said if axis.estimated else max(axis.acquired, said)
            estimated += [name] if axis.estimated and not alike else []
        else:
            matrix[number] = said
            unconfirmed |= said < n and not axis.interpolated
            hidden += [name] if said == n and axis.interpolated else []
    acquired = (matrix[0], matrix[1])
    if acquired == stored:
        source: Source = "stored"
    else:
        source = "spectrum" if header is None or contradicted else "header"
    warnings = []
    if header is not None and (contradicted or unconfirmed):
        found = f"suggests {_size(acquired)}, which is used" if contradicted else "shows no edge there"
        warnings.append(
            f"The DICOM header says that {_size(header)} of {_size(stored)} rows and columns were acquired, but the "
            f"spectrum {found}; give --acquired-matrix ROWSxCOLUMNS if {_size(acquired)} is wrong."
        )
    if estimated:
        warnings.append(
            f"A window hides where the {' and '.join(estimated)} that were acquired end, so {_size(acquired)} is an "
            "estimate; give --acquired-matrix ROWSxCOLUMNS if the protocol says otherwise."
        )
    if hidden:
        warnings.append(
            f"The {' and '.join(hidden)} of the series ({_size(stored)}) seem to be interpolated, but a filter "
            f"hides the acquired matrix; look it up in the protocol and give --acquired-matrix ROWSxCOLUMNS."
        )
    return acquired, source, warnings


@dataclass(frozen=True)
class _Axis:
    """What the spectrum says of the rows or of the columns.

    Parameters
    ----------
    acquired
        Rows or columns that were acquired, as far as can be seen.
    interpolated
        Whether they are fewer than those stored, seen or not.
    level
        Power in dB by frequency, ``0 .. N // 2``.
    measured
        How many of the acquired ones were measured, if the end of the square's spectrum shows it; else 0.
    edge
        Whether the spectrum of the image itself shows the edge.
    estimated
        Whether a window hides the edge, so that it was estimated from what is seen of it.
    """

    acquired: int
    interpolated: bool
    level: NDArray[np.float64]
    measured: int = 0
    edge: bool = False
    estimated: bool = False

    def agrees_with(self, header: int) -> bool:
        """Whether so many rows or columns can have been acquired.

        Where the square alone shows an end, only a part of them may have been measured (partial Fourier), or the end
        may be an estimate.
        """
        if _alike(self.acquired, header):
            return True
        most = self.acquired / _LEAST_PARTIAL if self.estimated or not self.edge else self.acquired
        least = _LEAST_ESTIMATE * self.acquired if self.estimated else self.acquired
        return least <= header <= most

    def is_shared(self, acquired: int) -> bool:
        """Whether the outermost frequency of so many samples is half as strong as that before it, or weaker."""
        edge = acquired // 2
        return bool(acquired % 2 == 0 and 1 < edge < len(self.level) and self.level[edge] < self.level[edge - 1] - 3)


def _look_at(image: FloatArray, axis: int) -> _Axis:
    """What the spectrum of an image ``(D, H, W)`` says of its rows (0) or columns (1)."""
    stored = image.shape[axis + 1]
    level, square = level_by_frequency(image, axis), level_by_frequency(np.square(image, dtype=np.float64), axis)
    edge = _edge(level)
    if is_signed(image):
        # What was not acquired is empty but for rounding; any other edge is that of partial Fourier.
        acquired = end_of_signed(image, axis) or stored
        if edge and abs(edge - acquired) <= 2:
            acquired = edge
        return _Axis(min(acquired, stored), acquired < stored or square[-1] < _ROUNDING, level, edge=True)
    exact = _edge_of_square(square)
    end = exact or end_of_square(image, axis)
    estimated = bool(end and not exact and not edge)
    # The square's end is exact for a magnitude only. Of two that are far apart, the larger loses nothing.
    acquired = min(edge if abs(edge - end) <= 2 else max(edge, end), stored) or stored
    return _Axis(acquired, acquired < stored or square[-1] < _ROUNDING, level, exact, bool(edge), estimated)


def _falls(level: NDArray[np.float64], beyond: int) -> NDArray[np.float64]:
    """Trend in dB per frequency, jump and fall (`_JUMP`, `_EDGE`) at every frequency; -inf where none can be.

    `beyond` is how many frequencies an edge must have beyond it.
    """
    found = np.full((3, len(level)), -np.inf)
    for edge in range(_FIRST_EDGE, len(level) - beyond):
        inside = level[edge - _WIDTH - 1 : edge]
        outside = level[edge + 1 : edge + 1 + _WIDTH]
        trend = max(0.0, (inside[0] - inside[-1]) / _WIDTH)
        jump = inside[-1] - outside[0] - 2 * trend
        found[:, edge] = trend, jump, inside.min() - outside.max() - 4 * trend
    return found


def _edge(level: NDArray[np.float64]) -> int:
    """Number of samples of which an image's spectrum shows the edge; 0 if it shows none."""
    trend, jump, fall = _falls(level, beyond=2)
    fall[(jump < _JUMP) | ((trend > _STEEPEST) & (jump < _CLEAR))] = -np.inf
    edge = int(fall.argmax())
    if fall[edge] < _EDGE:
        return 0
    # Of an even number of samples the outermost frequency is half here and half at the other end.
    inside, outside = level[edge - 1], level[edge + 1]
    if level[edge] > inside - 1.5:
        return 2 * edge + 1
    return 2 * edge - 1 if level[edge] < outside + 1.5 else 2 * edge


def _edge_of_square(level: NDArray[np.float64]) -> int:
    """Number of samples of which the spectrum of an image's square shows the end; 0 if it shows none.

    Of ``h`` samples it reaches to frequency ``h - 1``, which is weak already: it is a single product of two samples.
    """
    fall = _falls(level, beyond=1)[2]
    edge = int(fall.argmax())
    return edge + 1 if fall[edge] >= _EDGE_OF_SQUARE and level[edge + 1 :].max() < _EMPTY else 0


def _alike(number: int, other: int) -> bool:
    return abs(number - other) <= max(2, math.ceil(_AGREE * other))


def _size(matrix: Matrix) -> str:
    return f"{matrix[0]}x{matrix[1]}"
