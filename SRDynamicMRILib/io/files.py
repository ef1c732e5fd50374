"""Reading and writing volumes and series.

A volume is any 3D file that SimpleITK reads or a folder of DICOM slices. A series is a 4D file, a Slicer
sequence (``.seq.nrrd``), a folder of volumes or a folder of DICOM slices; whatever is a volume is also a
series of one time point.

Outputs appear whole or not at all. Where a format cannot keep the times of a series, a JSON sidecar with the
same name keeps them in seconds under ``VolumeTiming``, as in BIDS; a folder of volumes keeps them in
``series.json``.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import Geometry
from ..volume import Series, Volume
from .dicom import is_dicom, open_dicom
from .image_files import check_folder, open_image, set_geometry, write_image, write_volumes, written_whole
from .nifti import is_nifti
from .paths import check_name, unreadable
from .room import LEAST_SIZE, check_disk, check_memory
from .sequence_files import write_sequence
from .sidecar import describes, description, image_facts, recorded
from .text_headers import data_files
from .times import (
    FOLDER_SIDECAR,
    belies,
    check_sidecar,
    fit_an_axis,
    numbered,
    others_facts,
    read_sidecar,
    sidecar_of,
    sidecar_times,
    write_sidecar,
)

_TYPES = (".seq.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_DETACHED = {".mhd": ".zraw", ".nhdr": ".raw.gz"}
"""Where the voxels are of the types whose header is a file of its own."""

_AT_ONCE = {".mha": 2, ".mhd": 2, ".nhdr": 1}
"""Types whose 4D images are written at once, and how many times their voxels are in memory then."""

_FOLDER = ""
_FRAME = re.compile(r"frame_\d{4,}\.nii\.gz")
_PAIR_HEADERS = (".hdr", ".hdr.gz")
_PAIR = re.compile(r"(.*)\.(?:hdr|img)(?:\.gz)?", re.IGNORECASE | re.DOTALL)


# Reading


def read_volume(path: Path | str) -> Volume:
    """Read a volume.

    Parameters
    ----------
    path
        A 3D file, a 4D one of one time point, or a folder with one DICOM series.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, holds several time points, colours, lines instead of slices,
        voxels that are not finite, or the same value everywhere.
    """
    path = Path(path)
    return checked(_open(path), path).only_volume()


def read_series(path: Path | str) -> Series:
    """Read a series; time points are made float32, and for folders read, when they are asked for.

    Parameters
    ----------
    path
        A 4D file, a Slicer sequence, a folder of volumes, a folder with one DICOM series, or a volume.

    Returns
    -------
        The series with its times in seconds; 0, 1, 2, ... s where the file has none that ascend.

    Raises
    ------
    InputError
        As for `read_volume`; at once for what the headers and the first time point show, later for
        others when they are asked for.
    """
    path = Path(path)
    series = checked(_open(path), path)
    series[0]  # A file that is cut short is found now, not in the middle of the work.
    return series


def open_series(path: Path | str) -> Series:
    """Open a series of which some time points may be unusable: each is read, and refused, when it is asked for.

    Parameters
    ----------
    path
        As for `read_series`.

    Raises
    ------
    InputError
        If there is no series at all.
    """
    path = Path(path)
    return checked(_open(path, unreadable_volumes=True), path)


def images_below(folder: Path) -> list[Path]:
    """Everything below a folder, at any depth, that `read_series` reads or should read, without what is hidden.

    Image files are known by their names, DICOM files by their content. Damaged ones are among them, to be refused by
    name rather than passed over.

    Parameters
    ----------
    folder
        An existing folder.

    Returns
    -------
        Image files, and folders of DICOM files, in the order of their paths.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    found = set()
    for path in folder.rglob("*"):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        name = path.name.lower()
        if name.endswith((*_TYPES, *_PAIR_HEADERS)):
            found.add(path)
        elif path.parent not in found and (name.endswith(".dcm") or _is_dicom(path)):
            found.add(path.parent)
    return sorted(found)


def _is_dicom(path: Path) -> bool:
    try:
        return is_dicom(path)
    except OSError as error:
        raise InputError(unreadable(path, error)) from error


def check_voxels(volume: Volume, name: str) -> None:
    """Raise `InputError` unless the slices are images, all voxels are finite and there is something to be seen.

    Parameters
    ----------
    volume
        The voxels to check.
    name
        What to call the volume in the message.
    """
    bad = volume.data.size - np.count_nonzero(np.isfinite(volume.data))
    message = ""
    if bad:
        message = (
            f"{name} holds {bad} voxels that are not finite (NaN, infinite or beyond float32); remove them, "
            "for example by setting them to 0 with numpy.nan_to_num."
        )
    elif volume.data.size == 0 or volume.data.min() == volume.data.max():
        value = f"all voxels are {volume.data.flat[0]:g}" if volume.data.size else "no voxels"
        message = f"{name} shows nothing: {value}; export it again or leave it out."
    if message:
        raise InputError(message)
    _check_slices(volume.geometry, name)


def _check_slices(geometry: Geometry, name: str) -> None:
    """Raise `InputError` if slices are single rows or columns."""
    height, width = geometry.shape[1:]
    if min(height, width) < 2:
        message = f"{name} has slices of {height}x{width} voxels, which are lines, not images; export it again."
        raise InputError(message)


def _open(path: Path, unreadable_volumes: bool = False) -> Series:
    """Series of whatever is at a path, voxels not read and not checked; some volumes of a folder may be unreadable."""
    try:
        check_there(path)
        series = _open_folder(path, unreadable_volumes) if path.is_dir() else open_image(path)
    except OSError as error:
        raise InputError(unreadable(path, error)) from error
    _check_slices(series.geometry, str(path))
    return described(series, path)


def check_there(path: Path) -> None:
    """Raise `InputError` unless there is a file or folder of that name."""
    check_name(path)
    if not path.exists():
        message = f"There is no file or folder {path}; check the name."
        raise InputError(message)
    if not path.is_dir() and not path.is_file():
        message = f"{path} is neither a file nor a folder; give one of them."  # a pipe would be waited for
        raise InputError(message)


def described(series: Series, path: Path) -> Series:
    """The series with its name and with what the sidecar beside it says of it."""
    facts, warnings = recorded(path), series.warnings
    if describes(facts, series.geometry) is False:
        facts, warnings = {}, (*warnings, "The sidecar describes another image and is ignored.")
    matrix = series.acquired_matrix
    return Series(
        lambda i: series[i].data, series.times, series.geometry, warnings, matrix, facts, str(path), series.stated
    )


def _open_folder(folder: Path, unreadable_volumes: bool) -> Series:
    files = sorted((f for f in folder.iterdir() if f.is_file() and not f.name.startswith(".")), key=_natural)
    volumes = [file for file in files if file.name.lower().endswith(_TYPES)]
    slices = [file for file in files if not file.name.lower().endswith(_TYPES) and is_dicom(file)]
    if volumes and slices:
        message = f"{folder} holds DICOM files and volumes; point at a folder with one of them."
        raise InputError(message)
    if not volumes and not slices:
        message = f"{folder} holds no images; point at the folder that holds the files themselves."
        raise InputError(message)
    return open_dicom(slices, folder) if slices else _open_volumes(volumes, folder, unreadable_volumes)


def _open_volumes(files: Sequence[Path], folder: Path, some_unreadable: bool) -> Series:
    """Series of the volumes of a folder, one time point each, in the order given."""
    frames: dict[Path, Series] = {}
    for file in files:
        with suppress(InputError) if some_unreadable else nullcontext():
            frames[file] = open_image(file)
    if not frames:
        open_image(files[0])  # says what is wrong
    first_file, first = next((file, frame.geometry) for file, frame in frames.items())
    for file, frame in frames.items():
        if len(frame) > 1 and len(files) > 1:
            message = f"{file} is a series of {len(frame)} time points; give it alone, not in a folder of volumes."
            raise InputError(message)
        if frame.geometry.shape != first.shape:
            message = (
                f"{file} has {frame.geometry.shape} voxels but {first_file.name} has {first.shape}: all time "
                "points of a series must have the same size."
            )
            raise InputError(message)
        if not frame.geometry.same_grid(first):
            message = f"{file} is not in the same place as {first_file.name}: resample all time points to one grid."
            raise InputError(message)
    if len(files) == 1:
        return frames[first_file]
    times = sidecar_times(folder / FOLDER_SIDECAR, len(files)) or numbered(len(files))

    def load(number: int) -> NDArray[np.generic]:
        # Opened anew, so that no volume stays in memory.
        return open_image(files[number])[0].data

    warnings = dict.fromkeys(sentence for frame in frames.values() for sentence in frame.warnings)
    return Series(load, times, first, tuple(warnings))


def _natural(path: Path) -> list[str | int]:
    """Sorting key that puts frame_2 before frame_10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name.lower())]


def checked(series: Series, path: Path) -> Series:
    """Check the voxels of every time point when it is loaded."""

    def check(number: int, volume: Volume) -> Volume:
        check_voxels(volume, str(path) if len(series) == 1 else f"Time point {number} of {path}")
        return volume

    return series.when_loaded(check)


# Writing


def write_volume(volume: Volume, path: Path | str) -> None:
    """Write a volume as float32; the name says the type (``.nii.gz``, ``.nii``, ``.nrrd``, ``.mha``, ...).

    Its facts go to a JSON sidecar beside it. An existing file is replaced once the new one is complete, and kept if
    that fails.

    Parameters
    ----------
    volume
        The volume.
    path
        Name of the file.

    Raises
    ------
    InputError
        If the type is not known or the place cannot be written to.
    """
    path = Path(path)
    kind = _type_of(path)
    if kind == _FOLDER:
        message = f"The name {path.name!r} does not say what type of file to write; add for example .nii.gz."
        raise InputError(message)
    if kind == ".seq.nrrd":
        write_series(Series.of([volume]).with_facts(**volume.facts), path)
        return
    check_output(path)
    facts = sidecar_content(volume)
    with written_whole(path) as temporary:
        if is_nifti(path):
            write_volumes(Series.of([volume]), temporary, four_dimensional=False)
        else:
            write_image(volume.to_sitk(), temporary)
        if facts or belies(read_sidecar(sidecar_of(path))):
            write_sidecar(sidecar_of(temporary), {**others_facts(sidecar_of(path)), **facts})


def write_series(series: Series, path: Path | str) -> None:
    """Write a series as float32; the name says the type. Its facts go to a JSON sidecar beside it.

    ``.seq.nrrd`` (and ``.nrrd``) is a sequence for Slicer; ``.nii.gz``, ``.nii``, ``.mha``, ``.mhd`` and
    ``.nhdr`` are 4D images; a name without ending is a folder of ``frame_0000.nii.gz``, .... One time point is in
    memory at a time, but for ``.mha``, ``.mhd`` and ``.nhdr``, which need the whole series there. What exists is
    replaced once the new one is complete, and kept if that fails.

    Parameters
    ----------
    series
        The series.
    path
        Name of the file or folder.

    Raises
    ------
    InputError
        If the type is not known, the place cannot be written to, a folder is there that holds other
        things than an earlier series, or the series does not fit into memory or onto the disk.
    """
    path = Path(path)
    kind = _type_of(path)
    if not len(series):
        message = f"There is no time point to write to {path}."
        raise InputError(message)
    check_output(path)
    check_room(path, series.geometry, len(series))
    facts = sidecar_content(series)
    with written_whole(path) as temporary:
        if kind == _FOLDER:
            _write_folder(series, temporary)
            write_sidecar(temporary / FOLDER_SIDECAR, facts, series.times)
            return
        if kind in (".seq.nrrd", ".nrrd"):
            write_sequence(series, temporary)
            times_fit = True
        else:
            _write_4d(series, temporary)
            times_fit = fit_an_axis(series.times)
        if facts or not times_fit or belies(read_sidecar(sidecar_of(path))):
            write_sidecar(sidecar_of(temporary), {**others_facts(sidecar_of(path)), **facts}, series.times)


def write_images(series: Series, path: Path | str) -> None:
    """Write a series, or the volume that it is if it has one time point and the name is not that of a folder.

    Raises
    ------
    InputError
        As for `write_series`.
    """
    if len(series) == 1 and Path(path).suffix:
        write_volume(series.only_volume(), path)
    else:
        write_series(series, path)


def sidecar_content(image: Volume | Series) -> dict[str, Any]:
    """Content of the sidecar: what is known of an image, bound to it; nothing if nothing is."""
    return description(**{**image.facts, **image_facts(image.geometry)}) if image.facts else {}


def check_output(path: Path | str) -> None:
    """Find out before the work, not after it, whether a volume or series can be written under this name.

    Raises
    ------
    InputError
        If the type is not known, the folder does not exist, or something is there that must not be replaced: a folder
        of other things, a JSON file that is no sidecar, voxels that belong to another header.
    """
    path = Path(path)
    kind = _type_of(path)
    check_folder(path)
    if kind == _FOLDER:
        _check_replaceable(path)
        return
    if path.is_dir():
        message = f"{path} could not be written, as it is a folder; choose another name."
        raise InputError(message)
    check_sidecar(sidecar_of(path))
    if kind in _DETACHED:
        voxels = path.with_name(path.name[: -len(kind)] + _DETACHED[kind])
        belongs = path.is_file() and any(_is_same(voxels, own) for own in data_files(path))
        if voxels.exists() and not belongs:
            message = f"{voxels} would be replaced, which does not belong to an earlier {path}; choose another name."
            raise InputError(message)


def check_room(path: Path | str, geometry: Geometry, count: int, unfinished: Path | None = None) -> None:
    """Find out before the work whether an output fits into memory while it is written, and onto its disk.

    What compressed voxels take is not known before, and counted low.

    Parameters
    ----------
    path
        Name of the output.
    geometry, count
        Its grid and number of time points.
    unfinished
        Folder that holds its time points too while it is written; those of an earlier run may be in it.

    Raises
    ------
    InputError
        If it does not fit.
    """
    path = Path(path)
    kind = _type_of(path)
    voxels = 4 * math.prod(geometry.shape) * count
    needed = voxels if kind == ".nii" else int(LEAST_SIZE * voxels)
    if unfinished is not None:
        there = unfinished.iterdir() if unfinished.is_dir() else ()
        needed += max(int(LEAST_SIZE * voxels) - sum(file.stat().st_size for file in there), 0)
    check_disk(path, needed)
    if kind in _AT_ONCE and count > 1:
        check_memory(path, _AT_ONCE[kind] * voxels)


def check_apart(outputs: Iterable[Path], sources: Iterable[Path]) -> None:
    """Raise `InputError` if an output would replace a file of an input: its voxels or what describes them."""
    kept = {source: _files_of(source) for source in sources}
    for output in outputs:
        for source, files in kept.items():
            if any(_is_same(new, old) for new in _files_of(output) for old in files) or _holds(output, files):
                message = f"{output} would replace {source} or a file that belongs to it; choose another name."
                raise InputError(message)


def _files_of(path: Path) -> list[Path]:
    """All files that an image or series has or will have: its voxels and its sidecar too."""
    if path.is_dir():
        return [path, *(file for entry in path.iterdir() if entry.is_file() for file in [entry, *_detached_of(entry)])]
    return [path, sidecar_of(path), *_detached_of(path)]


def _detached_of(path: Path) -> list[Path]:
    """Files beside a header that hold its voxels, or will when it is written."""
    name, found = path.name.lower(), data_files(path) if path.is_file() else []
    found += [path.with_name(path.name[: -len(kind)] + end) for kind, end in _DETACHED.items() if name.endswith(kind)]
    if match := _PAIR.fullmatch(path.name):
        found += [path.with_name(match[1] + end) for end in (".hdr", ".img", ".hdr.gz", ".img.gz")]
    return found


def _holds(folder: Path, files: Iterable[Path]) -> bool:
    """Whether one of the files lies in a folder that is replaced as a whole."""
    whole = Path(os.path.realpath(folder))
    return whole.is_dir() and any(Path(os.path.realpath(file)).is_relative_to(whole) for file in files)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names are of one file. Unlike Path.resolve, realpath does not fail on links that lead in a circle."""
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    return one.exists() and other.exists() and one.samefile(other)


def beside(path: Path, word: str) -> Path:
    """Name of another output of the same type beside one: ``a.nii.gz`` and a word give ``a_word.nii.gz``."""
    kind = _type_of(path)
    stem = path.name[: len(path.name) - len(kind)]
    return path.with_name(f"{stem}_{word}{path.name[len(stem) :]}")


def file_name(text: str) -> str:
    """Turn a name that people gave into one that every file system takes as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)


def _write_4d(series: Series, path: Path) -> None:
    if is_nifti(path):
        write_volumes(series, path, four_dimensional=True)
        return
    depth, height, width = series.geometry.shape
    image = sitk.Image([width, height, depth, len(series)], sitk.sitkFloat32)
    for number, volume in enumerate(series):
        image[:, :, :, number] = sitk.GetImageFromArray(volume.data)
    set_geometry(image, series.geometry, series.times)
    write_image(image, path)


def _write_folder(series: Series, folder: Path) -> None:
    folder.mkdir()
    for number in range(len(series)):
        write_volumes(series.select([number]), folder / f"frame_{number:04d}.nii.gz", four_dimensional=False)


def _type_of(path: Path) -> str:
    """Find the ending of a name that says what to write; empty for a folder."""
    name = path.name.lower()
    if not path.suffix:
        return _FOLDER
    known = next((ending for ending in _TYPES if name.endswith(ending)), None)
    if known is None or (".seq." in name and known != ".seq.nrrd"):
        message = f"{path.name} has no file type that can be written; use one of the endings {', '.join(_TYPES)}."
        raise InputError(message)
    return known


def _check_replaceable(folder: Path) -> None:
    """Raise `InputError` if writing a series to this folder would lose anything but an earlier series."""
    if not folder.exists():
        return
    if not folder.is_dir() or any(
        not _FRAME.fullmatch(file.name) and file.name != FOLDER_SIDECAR for file in folder.iterdir()
    ):
        message = f"{folder} exists and holds something other than a series; choose another name."
        raise InputError(message)
    check_sidecar(folder / FOLDER_SIDECAR)
