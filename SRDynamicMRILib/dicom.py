"""A folder of DICOM slices as a series of volumes.

Slices are grouped by their position along the normal and, at each position, put in order by the first of
trigger time (0018,1060), temporal position (0020,0100), acquisition time (0008,0032), content time
(0008,0033) and instance number (0020,0013) that every slice has and that tells the slices of a position
apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .dicom_elements import claims_what_it_holds
from .errors import InputError
from .image_files import damaged, image_geometry, read_header, read_image
from .times import numbered, usable_times
from .volume import Geometry, Series

_GDCM = "GDCMImageIO"
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")

_SERIES = "0020|000e"
_DESCRIPTION = "0008|103e"
_FRAMES = "0028|0008"
_TEMPORAL_POSITION = "0020|0100"
_TEMPORAL_RESOLUTION = "0020|0110"
_ACQUISITION_TIME = "0008|0032"
_ACQUISITION_MATRIX = "0018|1310"
_PHASE_ENCODING_DIRECTION = "0018|1312"
_PERCENT_PHASE_FIELD_OF_VIEW = "0018|0094"


@dataclass(frozen=True)
class _Slice:
    """Header of one DICOM file."""

    path: Path
    geometry: Geometry
    tags: dict[str, str]

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.asarray(self.geometry.direction).reshape(3, 3)[:, 2]


def is_dicom(path: Path) -> bool:
    """Whether a file is a DICOM image, by its content; reports and DICOMDIR hold no pixels."""
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return False
        content = file.read()
    return any(tag in content for tag in _PIXEL_DATA)


def open_dicom(files: Sequence[Path], folder: Path) -> Series:
    """Make a series of the DICOM files of a folder; slices are read when their time point is asked for.

    Rescale slope and intercept are applied. Trigger times are the times of the series; acquisition or
    content times count from the first time point.

    Parameters
    ----------
    files
        The DICOM files, in any order.
    folder
        Where they are, for messages.

    Raises
    ------
    InputError
        If they are several series, enhanced multi-frame files, no stack of parallel and evenly spaced
        slices, or no whole number of time points.
    """
    slices = [_read_slice(path) for path in files]
    _check_one_series(slices, folder)
    _check_parallel(slices, folder)
    positions = _by_position(slices)
    geometry = _stack_geometry([group[0] for group in positions], folder)
    frames, times = _in_time(positions, folder)

    def load(number: int) -> NDArray[np.generic]:
        return np.stack([_read_pixels(path) for path in frames[number]])

    return Series(load, times, geometry, acquired_matrix=_acquired_matrix(slices[0]))


def _read_slice(path: Path) -> _Slice:
    if not claims_what_it_holds(path):
        raise InputError(damaged(path))
    header = read_header(path, _GDCM)
    tags = {key: header.GetMetaData(key).strip(" \0") for key in header.GetMetaDataKeys()}
    if int(_number(tags.get(_FRAMES, "")) or 1) > 1:
        message = f"{path} is an enhanced multi-frame DICOM file; convert it to NIfTI, for example by dcm2niix."
        raise InputError(message)
    if header.GetNumberOfComponents() > 1:
        message = f"{path} is a colour image; give one with a single grey value for each voxel."
        raise InputError(message)
    return _Slice(path, image_geometry(header), tags)


def _read_pixels(path: Path) -> NDArray[np.float32]:
    image: sitk.Image = read_image(read_header(path, _GDCM), path)
    return np.asarray(sitk.GetArrayFromImage(image)[0], dtype=np.float32)


def _check_one_series(slices: Sequence[_Slice], folder: Path) -> None:
    series: dict[str, list[_Slice]] = {}
    for piece in slices:
        series.setdefault(piece.tags.get(_SERIES, ""), []).append(piece)
    if len(series) > 1:
        # Free text may be in any character set; the names are only there to recognise the series.
        names = [g[0].tags.get(_DESCRIPTION, "").encode("ascii", "replace").decode() for g in series.values()]
        found = ", ".join(
            f"{name or uid!r} ({len(group)} files)" for name, (uid, group) in zip(names, series.items(), strict=True)
        )
        message = f"{folder} holds {len(series)} DICOM series: {found}; point at a folder with one."
        raise InputError(message)


def _check_parallel(slices: Sequence[_Slice], folder: Path) -> None:
    first = slices[0].geometry
    for piece in slices:
        here = piece.geometry
        if here.shape != first.shape or not np.allclose(here.spacing[:2], first.spacing[:2], rtol=1e-3):
            message = (
                f"The slices in {folder} differ in size: {piece.path.name} has "
                f"{here.shape[1]}x{here.shape[2]} pixels of {here.spacing[1]:.4g}x{here.spacing[0]:.4g} mm, "
                f"{slices[0].path.name} has "
                f"{first.shape[1]}x{first.shape[2]} of {first.spacing[1]:.4g}x{first.spacing[0]:.4g} mm."
            )
            raise InputError(message)
        if not np.allclose(here.direction, first.direction, atol=1e-2):
            message = (
                f"The slices in {folder} are not parallel ({piece.path.name} lies otherwise than "
                f"{slices[0].path.name}); point at a folder with one stack."
            )
            raise InputError(message)


def _by_position(slices: Sequence[_Slice]) -> list[list[_Slice]]:
    """Slices of each position along the normal, positions ascending."""
    normal = slices[0].normal
    apart = 0.1 * min(slices[0].geometry.spacing[:2])
    heights = {piece.path: float(normal @ np.asarray(piece.geometry.origin)) for piece in slices}
    ordered = sorted(slices, key=lambda piece: heights[piece.path])
    groups = [[ordered[0]]]
    for before, piece in pairwise(ordered):
        if heights[piece.path] - heights[before.path] > apart:
            groups.append([])
        groups[-1].append(piece)
    return groups


def _stack_geometry(stack: Sequence[_Slice], folder: Path) -> Geometry:
    """Geometry of a stack of slices; `InputError` if they are not evenly spaced along the normal."""
    first = stack[0]
    if len(stack) < 2:
        message = f"{folder} holds a single slice; a volume of two slices or more is needed."
        raise InputError(message)
    offsets = np.array([piece.geometry.origin for piece in stack]) - np.array(first.geometry.origin)
    heights = offsets @ first.normal
    gaps = np.diff(heights)
    usual = float(np.quantile(gaps, 0.5, method="lower"))
    if np.abs(gaps - usual).max() > 0.1 * usual:
        at = int(np.abs(gaps - usual).argmax())
        message = (
            f"The slices in {folder} are not evenly spaced: {stack[at].path.name} and "
            f"{stack[at + 1].path.name} are {gaps[at]:.4g} mm apart "
            f"where the others are {usual:.4g} mm apart; a slice may be missing."
        )
        raise InputError(message)
    aside = np.linalg.norm(offsets - np.outer(heights, first.normal), axis=1).max()
    if aside > 0.5 * min(first.geometry.spacing[:2]):
        message = (
            f"The slices in {folder} are shifted against each other by {aside:.4g} mm within their plane; "
            "point at a folder with one straight stack."
        )
        raise InputError(message)
    _, height, width = first.geometry.shape
    return Geometry(
        (len(stack), height, width),
        (*first.geometry.spacing[:2], float(heights[-1] / (len(stack) - 1))),
        first.geometry.origin,
        first.geometry.direction,
    )


def _acquired_matrix(piece: _Slice) -> tuple[int, int] | None:
    """Rows and columns that were acquired over the stored field of view; None where the header does not say."""
    numbers = [_number(text) or 0.0 for text in piece.tags.get(_ACQUISITION_MATRIX, "").split("\\")]
    if len(numbers) != 4 or not all(1 < n < 2**15 for n in (max(numbers[:2]), max(numbers[2:]))):
        return None
    # Frequency rows and columns, phase rows and columns: those along which nothing is encoded are 0.
    frequency, lines = max(numbers[:2]), max(numbers[2:])
    axis = piece.tags.get(_PHASE_ENCODING_DIRECTION, "")
    in_rows = axis == "COL" if axis in ("COL", "ROW") else numbers[2] > 0  # lines along a column are rows
    height, width = (n * s for n, s in zip(piece.geometry.shape[1:], piece.geometry.spacing[1::-1], strict=True))
    stored = height / width if in_rows else width / height
    measured = (_number(piece.tags.get(_PERCENT_PHASE_FIELD_OF_VIEW, "")) or 0.0) / 100
    if 0 < measured < stored:  # the rest of the stored field of view is empty: the lines are spread over less
        lines *= stored / measured
    return (round(lines), round(frequency)) if in_rows else (round(frequency), round(lines))


def _number(text: str) -> float | None:
    """Value of a DICOM decimal or integer string."""
    try:
        value = float(text.split("\\")[0])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _milliseconds(text: str) -> float | None:
    value = _number(text)
    return None if value is None else value / 1000


def _clock(text: str) -> float | None:
    """Seconds since midnight of a DICOM time ``HHMMSS.ffffff``."""
    text = text.replace(":", "")
    value = _number(text[4:])
    if not text[:4].isdigit() or value is None:
        return None
    return 3600 * int(text[:2]) + 60 * int(text[2:4]) + value


# What puts time points in order, best first: tag, its reading, whether it tells time in seconds.
_ORDERS: tuple[tuple[str, Callable[[str], float | None], bool], ...] = (
    ("0018|1060", _milliseconds, True),
    (_TEMPORAL_POSITION, _number, False),
    (_ACQUISITION_TIME, _clock, True),
    ("0008|0033", _clock, True),
    ("0020|0013", _number, False),
)


def _values(
    positions: Sequence[Sequence[_Slice]], tag: str, read: Callable[[str], float | None]
) -> NDArray[np.float64]:
    """Value of a tag for every position and time point; NaN where there is none."""
    values = [[read(piece.tags.get(tag, "")) for piece in group] for group in positions]
    return np.array(values, dtype=np.float64)


def _in_time(positions: list[list[_Slice]], folder: Path) -> tuple[list[list[Path]], list[float]]:
    """Files of every time point, slices ascending, and times in seconds."""
    count = max(len(group) for group in positions)
    for number, group in enumerate(positions):
        if len(group) != count:
            message = (
                f"Slice {number + 1} of {len(positions)} in {folder} has {len(group)} time points where "
                f"others have {count}; a file is missing."
            )
            raise InputError(message)
    if count == 1:
        return [[group[0].path for group in positions]], numbered(1)
    for tag, read, tells_time in _ORDERS:
        values = _values(positions, tag, read)
        order = np.argsort(values, axis=1)
        values = np.take_along_axis(values, order, axis=1)
        if np.isnan(values).any() or (np.diff(values, axis=1) <= 0).any():
            continue
        positions = [[group[i] for i in row] for group, row in zip(positions, order, strict=True)]
        frames = [[group[i].path for group in positions] for i in range(count)]
        if tells_time:
            # Slices of one time point may lie a little apart in time (another heart beat): their mean.
            times = values.mean(axis=0)
            times -= 0.0 if read is _milliseconds else times[0]
            return frames, times.tolist()
        return frames, _times_of_ordered(positions, tag)
    message = (
        f"The {count} images of each slice in {folder} cannot be put in order: no tag tells their time "
        "points apart; see that no file is there twice."
    )
    raise InputError(message)


def _times_of_ordered(positions: list[list[_Slice]], tag: str) -> list[float]:
    """Return the times in seconds of time points whose order came from a tag that is no time."""
    count = len(positions[0])
    step = _milliseconds(positions[0][0].tags.get(_TEMPORAL_RESOLUTION, ""))
    if tag == _TEMPORAL_POSITION and step:
        return usable_times([step * number for number in range(count)], count) or numbered(count)
    clock = _values(positions, _ACQUISITION_TIME, _clock).mean(axis=0)
    return usable_times((clock - clock[0]).tolist(), count) or numbered(count)
