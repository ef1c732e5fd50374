"""A folder of DICOM slices as a series of volumes.

Slices are grouped by their position along the normal and, at each position, put in order of time by `dicom_order`.
What is beside the images (directories, reports, screen saves, copies) is left out; different kinds of images, such as
magnitude and phase, are never taken for time points.
"""

from __future__ import annotations

import filecmp
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import Geometry
from ..volume import Series, Stated
from .dicom_elements import read_elements
from .dicom_order import decimal, order_in_time, said_of_time
from .image_files import image_geometry, multi_frame, read_header, read_image
from .times import numbered

_GDCM = "GDCMImageIO"

_IMAGE_TYPE = "0008|0008"
_STORAGE = "0008|0016"
_INSTANCE = "0008|0018"
_DESCRIPTION = "0008|103e"
_COMPLEX_COMPONENT = "0008|9208"
_THICKNESS = "0018|0050"
_ECHO_TIME = "0018|0081"
_ECHO_NUMBER = "0018|0086"
_BETWEEN_SLICES = "0018|0088"
_SERIES = "0020|000e"
_POSITION = "0020|0032"
_PHOTOMETRIC = "0028|0004"
_FRAMES = "0028|0008"
_ACQUISITION_MATRIX = "0018|1310"
_PHASE_ENCODING_DIRECTION = "0018|1312"
_PERCENT_PHASE_FIELD_OF_VIEW = "0018|0094"
_PERCENT_SAMPLING = "0018|0093"
_SCAN_OPTIONS = "0018|0022"
_FREQUENCY_STEPS = "0018|9058"
_PHASE_STEPS = "0018|9231"
_PARTIAL_FOURIER = "0018|9081"

_PARTIAL_OPTIONS = ("PFP", "PFF")
"""Scan options of partial Fourier along phase and frequency (DICOM PS3.3, C.8.3.1)."""

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""What screen saves are stored as."""

_B_VALUES = (
    ("0018|9087", "", ""),
    ("0019|100c", "0019|0010", "SIEMENS MR HEADER"),
    ("0043|1039", "0043|0010", "GEMS_PARM_01"),
    ("2001|1003", "2001|0010", "Philips Imaging DD 001"),
)
"""Tag of a b-value, and where its group names who defines it and how; the first is the standard's own."""

_GE_COMPONENT = ("0043|102f", "0043|0010", "GEMS_PARM_01")
_COMPONENTS = ("magnitude", "phase", "real", "imaginary")
"""In the order of GE's private numbers."""

_SAME_ECHO = 0.2
"""Milliseconds between echo times of one echo: they differ a little from one breath-hold to the next."""


@dataclass(frozen=True)
class _Slice:
    """Header of one DICOM file."""

    path: Path
    geometry: Geometry
    tags: dict[str, str]
    colour: bool

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.asarray(self.geometry.direction).reshape(3, 3)[:, 2]

    @property
    def secondary_capture(self) -> bool:
        return self.tags.get(_STORAGE, "").startswith(_SECONDARY_CAPTURE)

    @property
    def image_type(self) -> str:
        return self.tags.get(_IMAGE_TYPE, "")


def is_dicom(path: Path) -> bool:
    """Whether a file is a DICOM image, by its content; reports and DICOMDIR are none."""
    elements = read_elements(path)
    return elements is not None and elements.image


def open_dicom(files: Sequence[Path], folder: Path) -> Series:
    """Make a series of the DICOM files of a folder; slices are read when their time point is asked for.

    Rescale slope and intercept are applied. Trigger times are the times of the series; acquisition or
    content times count from the first time point. What was left out, and tags that contradict the order, are in
    the warnings of the series.

    Parameters
    ----------
    files
        The DICOM files, in any order.
    folder
        Where they are, for messages.

    Raises
    ------
    InputError
        If they are several series or kinds of images, enhanced multi-frame files, mosaics, no stack of parallel and
        evenly spaced slices, no whole number of time points, or their times contradict each other.
    """
    slices, left_out = _images([_read_slice(path) for path in files], folder)
    for piece in slices:
        _check_readable(piece)
    _check_one_series(slices, folder)
    _check_parallel(slices, folder)
    slices, copies = _without_copies(slices, folder)
    positions = _by_position(slices)
    geometry = _stack_geometry([group[0] for group in positions], folder)
    _check_one_kind(positions, folder)
    frames, times, doubts = _in_time(positions, folder)

    def load(number: int) -> NDArray[np.generic]:
        return np.stack([_read_pixels(path) for path in frames[number]])

    warnings = (*left_out, *copies, *doubts)
    return Series(load, times, geometry, warnings, _acquired_matrix(slices[0]), stated=_stated(slices[0]))


def _read_slice(path: Path) -> _Slice:
    header = read_header(path, _GDCM)
    tags = {key: header.GetMetaData(key).strip(" \0") for key in header.GetMetaDataKeys()}
    grey = tags.get(_PHOTOMETRIC, "MONOCHROME").startswith("MONOCHROME") and header.GetNumberOfComponents() == 1
    return _Slice(path, image_geometry(header), tags, not grey)


def _read_pixels(path: Path) -> NDArray[np.float32]:
    image: sitk.Image = read_image(read_header(path, _GDCM), path)
    return np.asarray(sitk.GetArrayFromImage(image)[0], dtype=np.float32)


def _images(slices: Sequence[_Slice], folder: Path) -> tuple[list[_Slice], tuple[str, ...]]:
    """The slices without the screen saves beside them, and a sentence that says so.

    Secondary captures are images where there are no others: converted series are often stored so.
    """
    grey = [piece for piece in slices if not piece.colour]
    images = [piece for piece in grey if not piece.secondary_capture] or grey or list(slices)
    chosen = {piece.path for piece in images}
    out = [piece.path.name for piece in slices if piece.path not in chosen]
    if not out:
        return images, ()
    sentence = f"Screenshots and other pictures in {folder} were left out: {_some(out)}."
    return images, (sentence,)


def _check_readable(piece: _Slice) -> None:
    """Raise `InputError` for a file that holds something else than one grey slice."""
    frames = int(decimal(piece.tags.get(_FRAMES, "")) or 1)
    message = ""
    if frames > 1 or piece.geometry.shape[0] > 1:
        message = multi_frame(piece.path)
    elif piece.colour:
        message = f"{piece.path} is a colour image; give one with a single grey value for each voxel."
    elif "MOSAIC" in piece.image_type.split("\\"):
        message = (
            f"{piece.path} is a Siemens mosaic, which shows all slices of a time point in one picture; convert it to "
            "NIfTI, for example by dcm2niix."
        )
    if message:
        raise InputError(message)


def _without_copies(slices: Sequence[_Slice], folder: Path) -> tuple[list[_Slice], tuple[str, ...]]:
    """The slices without files that are there twice, and a sentence that says so."""
    kept: dict[tuple[str, ...], _Slice] = {}
    copies = []
    for piece in slices:
        instance = piece.tags.get(_INSTANCE, "") or str(piece.path)
        key = (
            instance,
            *(piece.tags.get(k, "") for k in (_POSITION, _IMAGE_TYPE, _ECHO_TIME)),
            *said_of_time(piece.tags),
        )
        first = kept.setdefault(key, piece)
        if first is piece:
            continue
        if not filecmp.cmp(first.path, piece.path, shallow=False):
            message = (
                f"{first.path.name} and {piece.path.name} in {folder} are two versions of one image (they have one "
                "SOP Instance UID); remove one of them."
            )
            raise InputError(message)
        copies.append(f"{piece.path.name} of {first.path.name}")
    if not copies:
        return list(slices), ()
    return list(kept.values()), (f"Duplicates in {folder} were left out: {_some(copies)}.",)


def _some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _check_one_kind(positions: Sequence[Sequence[_Slice]], folder: Path) -> None:
    """Raise `InputError` if the images of a position differ in kind, so that they are no time points."""
    slices = [piece for group in positions for piece in group]
    echoes = _echoes(slices)
    told = {
        piece.path: (_type(piece), echoes[piece.path], _diffusion(piece)) for piece in slices
    }  # in the order in which they are named
    differing = [
        number
        for number in range(3)
        if any(len({told[piece.path][number] for piece in group}) > 1 for group in positions)
    ]
    if not differing:
        return
    kinds = Counter(", ".join(told[piece.path][n] or "other" for n in differing) for piece in slices)
    found = "; ".join(f"{kind} ({count} files)" for kind, count in sorted(kinds.items()))
    wanted = "the magnitude images" if len({_component(piece) for piece in slices}) > 1 else "those of one kind"
    message = (
        f"{folder} holds {len(kinds)} kinds of images in one series: {found}. Put {wanted} into a folder of their own."
    )
    raise InputError(message)


def _type(piece: _Slice) -> str:
    """What kind of image the slice belongs to, in words and as its header has it."""
    component, said = _component(piece), piece.image_type.encode("ascii", "replace").decode()
    return f"{component} ({said})" if component and said else component or said


def _component(piece: _Slice) -> str:
    """Which part of the complex image a slice shows, as far as that is told."""
    said = piece.tags.get(_COMPLEX_COMPONENT, "").lower()
    if said in _COMPONENTS:
        return said
    number = _private(piece, *_GE_COMPONENT)
    if number in range(len(_COMPONENTS)):
        return _COMPONENTS[int(number or 0)]
    for word in piece.image_type.upper().split("\\")[2:]:
        for component in _COMPONENTS:
            first = component[0].upper()
            if word in (first, component.upper()) or word.startswith(f"{first}_"):
                return component
    return ""


def _echoes(slices: Sequence[_Slice]) -> dict[Path, str]:
    """Name of the echo of every slice."""
    times = {piece.path: decimal(piece.tags.get(_ECHO_TIME, "")) for piece in slices}
    names: dict[float | None, str] = {None: ""}
    before = name = None
    for time in sorted({time for time in times.values() if time is not None}):
        if before is None or time - before > _SAME_ECHO:
            name = f"echo time {time:.4g} ms"
        names[time] = name or ""
        before = time
    numbers = {piece.path: piece.tags.get(_ECHO_NUMBER, "") for piece in slices}
    return {
        path: ", ".join(part for part in (f"echo {numbers[path]}" if numbers[path] else "", names[time]) if part)
        for path, time in times.items()
    }


def _diffusion(piece: _Slice) -> str:
    """The b-value of a slice, in words."""
    for place in _B_VALUES:
        value = _private(piece, *place)
        if value is not None:
            return f"b = {value % 1e9:g} s/mm^2"  # GE adds a thousand millions
    return ""


def _private(piece: _Slice, tag: str, creator: str, name: str) -> float | None:
    """Value of a tag that means something where a certain creator has defined it."""
    return decimal(piece.tags.get(tag, "")) if piece.tags.get(creator, "") == name else None


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
                f"The slices in {folder} are not parallel ({piece.path.name} is oriented differently from "
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
    _, height, width = first.geometry.shape
    if len(stack) == 1:
        told = [decimal(first.tags.get(tag, "")) or 0.0 for tag in (_THICKNESS, _BETWEEN_SLICES)]
        thickness = next((value for value in told if value > 0), 1.0)
        spacing = (*first.geometry.spacing[:2], thickness)
        return Geometry((1, height, width), spacing, first.geometry.origin, first.geometry.direction)
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
    return Geometry(
        (len(stack), height, width),
        (*first.geometry.spacing[:2], float(heights[-1] / (len(stack) - 1))),
        first.geometry.origin,
        first.geometry.direction,
    )


def _acquired_matrix(piece: _Slice) -> tuple[int, int] | None:
    """Rows and columns that were acquired over the stored field of view; None where the header does not say."""
    numbers = [decimal(text) or 0.0 for text in piece.tags.get(_ACQUISITION_MATRIX, "").split("\\")]
    axis = piece.tags.get(_PHASE_ENCODING_DIRECTION, "")
    steps = [decimal(piece.tags.get(tag, "")) or 0.0 for tag in (_FREQUENCY_STEPS, _PHASE_STEPS)]
    if len(numbers) != 4 and axis in ("COL", "ROW"):  # as enhanced files have it, and some classic ones beside
        numbers = [0.0, steps[0], steps[1], 0.0] if axis == "COL" else [steps[0], 0.0, 0.0, steps[1]]
    if len(numbers) != 4 or not all(1 < n < 2**15 for n in (max(numbers[:2]), max(numbers[2:]))):
        return None
    # Frequency rows and columns, phase rows and columns: those along which nothing is encoded are 0.
    frequency, lines = max(numbers[:2]), max(numbers[2:])
    in_rows = axis == "COL" if axis in ("COL", "ROW") else numbers[2] > 0  # lines along a column are rows
    height, width = (n * s for n, s in zip(piece.geometry.shape[1:], piece.geometry.spacing[1::-1], strict=True))
    stored = height / width if in_rows else width / height
    measured = (decimal(piece.tags.get(_PERCENT_PHASE_FIELD_OF_VIEW, "")) or 0.0) / 100
    if 0 < measured < stored:  # the rest of the stored field of view is empty: the lines are spread over less
        lines *= stored / measured
    return (round(lines), round(frequency)) if in_rows else (round(frequency), round(lines))


def _stated(piece: _Slice) -> Stated:
    """What a header states of the sign and of partial Fourier."""
    component = _component(piece)
    options = [option.strip().upper() for option in piece.tags.get(_SCAN_OPTIONS, "").split("\\") if option.strip()]
    partial = {"YES": True, "NO": False}.get(piece.tags.get(_PARTIAL_FOURIER, "").upper())
    if partial is None and options:
        partial = any(option in _PARTIAL_OPTIONS for option in options)
    percent = decimal(piece.tags.get(_PERCENT_SAMPLING, "")) or 0.0
    share = percent / 100 if partial and 50 < percent < 100 else None
    return Stated(component == "magnitude" if component else None, partial, share)


def _in_time(positions: list[list[_Slice]], folder: Path) -> tuple[list[list[Path]], list[float], tuple[str, ...]]:
    """Files of every time point, slices ascending; times in seconds; what is doubtful about them."""
    usual = Counter(len(group) for group in positions).most_common(1)[0][0]
    for number, group in enumerate(positions):
        if len(group) != usual:
            message = (
                f"Slice {number + 1} of {len(positions)} in {folder} has {len(group)} time points where "
                f"others have {usual}; a file is {'missing' if len(group) < usual else 'too many'}."
            )
            raise InputError(message)
    if usual == 1:
        return [[group[0].path for group in positions]], numbered(1), ()
    order = order_in_time([[piece.tags for piece in group] for group in positions], folder)
    frames = [
        [group[n].path for group, n in zip(positions, numbers, strict=True)] for numbers in order.images.T.tolist()
    ]
    return frames, order.times, order.warnings
