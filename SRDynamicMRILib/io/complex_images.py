"""Reading and writing complex images: complex NIfTI files, or a magnitude together with its phase."""

from __future__ import annotations

from pathlib import Path

from ..complex_series import ComplexSeries, in_radians
from ..errors import InputError
from ..volume import Series, Volume
from .files import check_output, check_room, check_there, checked, described, open_series, read_series, sidecar_content
from .image_files import open_complex, write_complex_volumes, written_whole
from .nifti import is_complex_nifti, is_nifti
from .paths import unreadable
from .times import belies, fit_an_axis, others_facts, read_sidecar, sidecar_of, write_sidecar


def read_complex(path: Path | str, phase: Path | str | None = None) -> ComplexSeries:
    """Read complex images.

    Parameters
    ----------
    path
        A complex NIfTI file (datatype 32, COMPLEX64, or 1792, COMPLEX128) of three or four dimensions; with `phase`, a
        magnitude in any format that `read_series` reads.
    phase
        Phase of the magnitude in radians, in any such format.

    Returns
    -------
        Magnitude and phase; time points are made when they are asked for.

    Raises
    ------
    InputError
        As for `read_series`; if the file is not complex though no phase is given; if the phase is not in radians, or
        has another grid or another number of time points.

    Examples
    --------
    >>> images = read_complex("scan.nii.gz", phase="scan_phase.nii.gz")  # doctest: +SKIP
    >>> images[0].dtype  # doctest: +SKIP
    dtype('complex64')
    """
    if phase is None:
        return _read_complex_nifti(Path(path))
    magnitude, phases = read_series(path), read_series(phase)

    def check(number: int, volume: Volume) -> Volume:
        in_radians(volume.data, phases.name if len(phases) == 1 else f"Time point {number} of {phases.name}")
        return volume

    result = ComplexSeries(magnitude, phases.when_loaded(check))
    result.phase[0]  # A phase in other units is found now, not in the middle of the work.
    return result


def open_images(path: Path | str, phase: Path | str | None = None) -> Series | ComplexSeries:
    """Open a series, of which some time points may be unusable, or complex images.

    Parameters
    ----------
    path
        A complex NIfTI file; else anything that `open_series` takes, which is complex if it is given with its phase.
    phase
        As for `read_complex`.

    Raises
    ------
    InputError
        As for `open_series` and `read_complex`; if the file is complex and there is a phase, too.
    """
    path = Path(path)
    if is_complex_nifti(path):
        if phase is not None:
            message = f"{path} is complex and needs no phase; leave it out, or give the magnitude."
            raise InputError(message)
        return read_complex(path)
    return open_series(path) if phase is None else read_complex(path, phase)


def _read_complex_nifti(path: Path) -> ComplexSeries:
    try:
        check_there(path)
        if path.is_dir():
            message = f"{path} is a folder; give a complex NIfTI file, or a magnitude together with its phase."
            raise InputError(message)
        magnitude, phase = (described(part, path) for part in open_complex(path))
    except OSError as error:
        raise InputError(unreadable(path, error)) from error
    magnitude = checked(magnitude, path)
    magnitude[0]
    # The voxels of the phase are those of the magnitude: what is not finite is refused there.
    return ComplexSeries(magnitude, phase)


def write_complex(images: ComplexSeries, path: Path | str) -> None:
    """Write a complex NIfTI file, pairs of float32; the facts of the magnitude go to a JSON sidecar beside it.

    What exists is replaced once the new file is complete, and kept if that fails.

    Parameters
    ----------
    images
        The images; those of one time point become a file of three dimensions.
    path
        Name of the file, which ends in ``.nii`` or ``.nii.gz``.

    Raises
    ------
    InputError
        If the name has another ending, the place cannot be written to, or the images do not fit onto the disk.
    """
    path = Path(path)
    check_complex_output(path)
    series = images.magnitude
    check_room(path, series.geometry, 2 * len(series))
    facts = sidecar_content(series)
    with written_whole(path) as temporary:
        write_complex_volumes(series, images.phase, temporary)
        times = series.times if len(series) > 1 else ()
        if facts or (times and not fit_an_axis(times)) or belies(read_sidecar(sidecar_of(path))):
            write_sidecar(sidecar_of(temporary), {**others_facts(sidecar_of(path)), **facts}, times)


def check_complex_output(path: Path) -> None:
    """Raise `InputError` before the work if a complex file cannot be written under this name."""
    if not is_nifti(path):
        message = f"Complex images are written as NIfTI, but {path.name} ends otherwise; end it in .nii or .nii.gz."
        raise InputError(message)
    check_output(path)
