"""Reading and writing volumes and series.

A volume is any 3D file that SimpleITK reads or a folder of DICOM slices. A series is a 4D file, a Slicer
sequence (``.seq.nrrd``), a folder of volumes or a folder of DICOM slices; whatever is a volume is also a
series of one time point.

Outputs appear whole or not at all. Where a format cannot keep the times of a series, a JSON sidecar with the
same name keeps them in seconds under ``VolumeTiming``, as in BIDS; a folder of volumes keeps them in
``series.json``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .dicom import is_dicom, open_dicom
from .errors import InputError
from .image_files import check_folder, open_image, set_geometry, to_sitk, write_image, written_whole
from .sequence_files import write_sequence
from .times import (
    FOLDER_SIDECAR,
    fit_an_axis,
    numbered,
    read_sidecar,
    says_times,
    sidecar_of,
    sidecar_times,
    write_sidecar,
)
from .volume import Series, Volume

_TYPES = (".seq.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_FOLDER = ""
_FRAME = re.compile(r"frame_\d{4,}\.nii\.gz")


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
        If there is no such file, it cannot be read, holds several time points, a single slice, colours,
        voxels that are not finite, or the same value everywhere.
    """
    path = Path(path)
    return only_volume(_checked(_open(path), path), path)


def only_volume(series: Series, path: Path) -> Volume:
    """The volume of a series that was read from a path, `InputError` if it has several time points."""
    if len(series) > 1:
        message = f"{path} is a series of {len(series)} time points where a volume is needed; give one of them."
        raise InputError(message)
    return series[0]


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
    series = _checked(_open(path), path)
    series[0]  # A file that is cut short is found now, not in the middle of the work.
    return series


def check_voxels(volume: Volume, name: str) -> None:
    """Raise `InputError` unless all voxels are finite and there is something to be seen.

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


def _open(path: Path) -> Series:
    """Series of whatever is at a path, voxels not read and not checked."""
    if not path.exists():
        message = f"There is no file or folder {path}; check the name."
        raise InputError(message)
    if not path.is_dir() and not path.is_file():
        message = f"{path} is neither a file nor a folder; give one of them."  # reading a pipe would wait for ever
        raise InputError(message)
    try:
        return _open_folder(path) if path.is_dir() else open_image(path)
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror})."
        raise InputError(message) from error


def _open_folder(folder: Path) -> Series:
    files = sorted((f for f in folder.iterdir() if f.is_file() and not f.name.startswith(".")), key=_natural)
    volumes = [file for file in files if file.name.lower().endswith(_TYPES)]
    slices = [file for file in files if not file.name.lower().endswith(_TYPES) and is_dicom(file)]
    if volumes and slices:
        message = f"{folder} holds DICOM files and volumes; point at a folder with one of them."
        raise InputError(message)
    if not volumes and not slices:
        message = f"{folder} holds no images; point at the folder that holds the files themselves."
        raise InputError(message)
    return open_dicom(slices, folder) if slices else _open_volumes(volumes, folder)


def _open_volumes(files: Sequence[Path], folder: Path) -> Series:
    """Series of the volumes of a folder, one time point each, in the order given."""
    frames = [open_image(file) for file in files]
    first = frames[0].geometry
    for file, frame in zip(files, frames, strict=True):
        if len(frame) > 1 and len(files) > 1:
            message = f"{file} is a series of {len(frame)} time points; give it alone, not in a folder of volumes."
            raise InputError(message)
        if frame.geometry.shape != first.shape:
            message = (
                f"{file} has {frame.geometry.shape} voxels but {files[0].name} has {first.shape}: all time "
                "points of a series must have the same size."
            )
            raise InputError(message)
        if not frame.geometry.same_grid(first):
            message = f"{file} lies elsewhere than {files[0].name}: resample all time points to one grid."
            raise InputError(message)
    if len(files) == 1:
        return frames[0]
    times = sidecar_times(folder / FOLDER_SIDECAR, len(files)) or numbered(len(files))

    def load(number: int) -> NDArray[np.generic]:
        # Opened anew, so that no volume stays in memory.
        return open_image(files[number])[0].data

    warnings = dict.fromkeys(sentence for frame in frames for sentence in frame.warnings)
    return Series(load, times, first, tuple(warnings))


def _natural(path: Path) -> list[str | int]:
    """Sorting key that puts frame_2 before frame_10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name.lower())]


def _checked(series: Series, path: Path) -> Series:
    """Check the voxels of every time point when it is loaded."""

    def load(number: int) -> NDArray[np.generic]:
        volume = series[number]
        check_voxels(volume, str(path) if len(series) == 1 else f"Time point {number} of {path}")
        return volume.data

    return Series(load, series.times, series.geometry, series.warnings, series.acquired_matrix)


# Writing


def write_volume(volume: Volume, path: Path | str, facts: Mapping[str, object] | None = None) -> None:
    """Write a volume as float32; the name says the type (``.nii.gz``, ``.nii``, ``.nrrd``, ``.mha``, ...).

    An existing file is replaced once the new one is complete, and kept if that fails.

    Parameters
    ----------
    volume
        The volume.
    path
        Name of the file.
    facts
        What to keep in a JSON sidecar beside the image.

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
        write_series(Series.of([volume]), path, facts)
        return
    with written_whole(path) as temporary:
        write_image(to_sitk(volume), temporary)
        if facts:
            write_sidecar(sidecar_of(temporary), facts)


def write_series(series: Series, path: Path | str, facts: Mapping[str, object] | None = None) -> None:
    """Write a series as float32; the name says the type.

    ``.seq.nrrd`` (and ``.nrrd``) is a sequence for Slicer; ``.nii.gz``, ``.nii``, ``.mha``, ``.mhd`` and
    ``.nhdr`` are 4D images; a name without ending is a folder of ``frame_0000.nii.gz``, .... Only 4D images
    need memory for the whole series, once, as float32. What exists is replaced once the new one is complete,
    and kept if that fails.

    Parameters
    ----------
    series
        The series.
    path
        Name of the file or folder.
    facts
        What to keep in a JSON sidecar beside the image, with the times.

    Raises
    ------
    InputError
        If the type is not known, the place cannot be written to, or a folder is there that holds other
        things than an earlier series.
    """
    path = Path(path)
    kind = _type_of(path)
    if not len(series):
        message = f"There is no time point to write to {path}."
        raise InputError(message)
    if kind == _FOLDER:
        _check_replaceable(path)
    with written_whole(path) as temporary:
        if kind == _FOLDER:
            _write_folder(series, temporary)
            write_sidecar(temporary / FOLDER_SIDECAR, facts or {}, series.times)
            return
        if kind in (".seq.nrrd", ".nrrd"):
            write_sequence(series, temporary)
            times_fit = True
        else:
            _write_4d(series, temporary)
            times_fit = fit_an_axis(series.times)
        earlier = read_sidecar(sidecar_of(path))
        if facts or not times_fit or says_times(earlier):
            write_sidecar(sidecar_of(temporary), {**earlier, **(facts or {})}, series.times)


def check_output(path: Path | str) -> None:
    """Find out before the work, not after it, whether a volume or series can be written under this name.

    Raises
    ------
    InputError
        If the type is not known, the folder does not exist, or something is there that must not be replaced.
    """
    path = Path(path)
    if _type_of(path) == _FOLDER:
        _check_replaceable(path)
    check_folder(path)


def beside(path: Path, word: str) -> Path:
    """Name of another output of the same type beside one: ``a.nii.gz`` and a word give ``a_word.nii.gz``."""
    kind = _type_of(path)
    stem = path.name[: len(path.name) - len(kind)]
    return path.with_name(f"{stem}_{word}{path.name[len(stem) :]}")


def file_name(text: str) -> str:
    """Turn a name that people gave into one that every file system takes as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)


def _write_4d(series: Series, path: Path) -> None:
    depth, height, width = series.geometry.shape
    image = sitk.Image([width, height, depth, len(series)], sitk.sitkFloat32)
    for number, volume in enumerate(series):
        image[:, :, :, number] = sitk.GetImageFromArray(volume.data)
    set_geometry(image, series.geometry, series.times)
    write_image(image, path)


def _write_folder(series: Series, folder: Path) -> None:
    folder.mkdir()
    for number, volume in enumerate(series):
        write_image(to_sitk(volume), folder / f"frame_{number:04d}.nii.gz")


def _type_of(path: Path) -> str:
    """Find the ending of a name that says what to write; empty for a folder."""
    name = path.name.lower()
    if not path.suffix:
        return _FOLDER
    known = next((ending for ending in _TYPES if name.endswith(ending)), None)
    if known is None or (".seq." in name and known != ".seq.nrrd"):
        message = f"{path.name} is of no type that can be written; end it in one of {', '.join(_TYPES)}."
        raise InputError(message)
    return known


def _check_replaceable(folder: Path) -> None:
    """Raise `InputError` if writing a series to this folder would lose anything but an earlier series."""
    if not folder.exists():
        return
    if not folder.is_dir() or any(
        not _FRAME.fullmatch(file.name) and file.name != FOLDER_SIDECAR for file in folder.iterdir()
    ):
        message = f"{folder} exists and holds other things than a series; choose another name."
        raise InputError(message)
