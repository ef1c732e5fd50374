"""One image file, read and written whole through SimpleITK.

What SimpleITK leaves to be done here: a header that claims more than its file can hold is refused before
memory is taken, the voxels of NIfTI are read by `nifti`, and its errors become one plain sentence.
"""

from __future__ import annotations

import errno
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .nifti import check_complete, is_nifti, nifti_header, read_nifti
from .nifti_geometry import nifti_geometry
from .sequence_files import is_sequence
from .text_headers import is_safe_metaimage, is_safe_nrrd
from .times import axis_times, index_times, numbered, sidecar_of, sidecar_times
from .volume import FloatArray, Geometry, Series, Volume

_LARGEST_COMPRESSION = 1000
_ALWAYS_ALLOWED = 64 * 2**20


# Reading


def read_header(path: Path, image_io: str = "") -> sitk.ImageFileReader:
    """Read all of an image file but its voxels.

    Parameters
    ----------
    path
        The file.
    image_io
        Name of SimpleITK's reader for it; found by the file's content when empty.

    Returns
    -------
        The reader, to be asked for the header or handed to `read_image`.

    Raises
    ------
    InputError
        If the file is no image, is damaged, or claims to be far larger than it is.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    found = image_io or sitk.ImageFileReader.GetImageIOFromFileName(str(path))
    if found == "NiftiImageIO" and not is_nifti(path):
        message = f"{path} is NIfTI or Analyze, but not in one .nii or .nii.gz file; convert it to one."
        raise InputError(message)
    if not found:
        message = (
            f"{path} is damaged or not an image; what can be read is NIfTI, NRRD, MetaImage and other files "
            "that SimpleITK knows, or a folder of DICOM files."
        )
        raise InputError(message)
    unsafe = (found == "NrrdImageIO" and not is_safe_nrrd(path)) or (
        found == "MetaImageIO" and not is_safe_metaimage(path, _held(path))
    )
    if unsafe:
        raise InputError(damaged(path))
    reader.SetImageIO(found)
    with _plain_errors(path):
        reader.ReadImageInformation()
    _check_claim(reader, path)
    return reader


def read_image(reader: sitk.ImageFileReader, path: Path) -> sitk.Image:
    """Read the voxels of the file that `read_header` looked at."""
    with _plain_errors(path):
        return reader.Execute()


def open_image(path: Path) -> Series:
    """Make a series of a file of one or more time points; the voxels are read when first asked for.

    They stay in memory in the file's own dtype, and one time point at a time is made float32.

    Parameters
    ----------
    path
        Any image file that SimpleITK reads: 3D, 4D (time last), or a Slicer sequence.

    Raises
    ------
    InputError
        If the file is damaged or its voxels are no scalars in three dimensions and time.
    """
    header = read_header(path)
    sequence = is_sequence(header)
    _check_kind(header, path, sequence)
    size = header.GetSize()
    geometry = image_geometry(header)
    warnings: tuple[str, ...] = ()
    if is_nifti(path):
        geometry, warnings = nifti_geometry(nifti_header(path), geometry, path)
    count = header.GetNumberOfComponents() if sequence else math.prod(size[3:])
    times = (
        index_times(header, count)
        or sidecar_times(sidecar_of(path), count)
        or axis_times(header, path, count)
        or numbered(count)
    )
    frame = cache(lambda: _read_frames(header, path))
    return Series(lambda number: frame()(number), times, geometry, warnings)


def _read_frames(header: sitk.ImageFileReader, path: Path) -> Callable[[int], FloatArray]:
    """Read all voxels; return what makes the voxels ``(D, H, W)`` of a time point float32."""
    if is_nifti(path):
        with _plain_errors(path):
            return read_nifti(path).frame
    image = read_image(header, path)
    width, height, depth = image.GetSize()[:3]

    def frame(number: int) -> FloatArray:
        voxels = sitk.GetArrayViewFromImage(image)
        if is_sequence(header):
            voxels = voxels.reshape(depth, height, width, -1)[..., number]
        else:
            voxels = voxels.reshape(-1, depth, height, width)[number]
        # A copy, as the view would outlive the image whose memory it shows.
        with np.errstate(over="ignore"):
            return np.array(voxels, dtype=np.float32)

    return frame


def image_geometry(image: sitk.Image | sitk.ImageFileReader) -> Geometry:
    """Spatial geometry of a 3D or 4D image or header."""
    size = image.GetSize()
    dimension = len(size)
    direction = np.asarray(image.GetDirection()).reshape(dimension, dimension)[:3, :3]
    spacing, origin = image.GetSpacing(), image.GetOrigin()
    return Geometry(
        (size[2], size[1], size[0]),
        (spacing[0], spacing[1], spacing[2]),
        (origin[0], origin[1], origin[2]),
        tuple(direction.ravel().tolist()),
    )


def _check_kind(header: sitk.ImageFileReader, path: Path, sequence: bool) -> None:
    """Raise `InputError` unless the image has real scalar voxels in three dimensions and perhaps time."""
    dimension = header.GetDimension()
    pixel = sitk.GetPixelIDValueAsString(header.GetPixelID())
    message = ""
    if "complex" in pixel:
        message = f"{path} has complex voxels; give the magnitude image."
    elif header.GetNumberOfComponents() > 1 and not sequence:
        message = f"{path} is a colour or vector image; give one with a single grey value for each voxel."
    elif dimension not in (3, 4) or (sequence and dimension != 3):
        message = f"{path} has {dimension} dimensions; a volume has 3 and a series has 4."
    elif min(header.GetSize()[:3]) < 2:
        message = (
            f"{path} is a single slice, but a volume of two slices or more is needed; if it is one file of a "
            "DICOM series or a folder of volumes, give the folder."
        )
    if message:
        raise InputError(message)
    direction = np.asarray(header.GetDirection()).reshape(dimension, dimension)[:3, :3]
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
        raise InputError(_sheared(path))


def _check_claim(header: sitk.ImageFileReader, path: Path) -> None:
    """Raise `InputError` if the header asks for memory that its file cannot possibly fill."""
    bits = re.search(r"(\d+)-bit", sitk.GetPixelIDValueAsString(header.GetPixelID()))
    sample = int(bits.group(1)) // 8 if bits else 1
    claimed = math.prod(header.GetSize()) * header.GetNumberOfComponents() * sample
    held = _held(path)
    if claimed > max(_LARGEST_COMPRESSION * held, _ALWAYS_ALLOWED):
        message = (
            f"{path} claims to hold {claimed / 2**20:.0f} MiB of voxels, but the file has only "
            f"{held / 2**20:.2g} MiB; it is damaged, so export it again."
        )
        raise InputError(message)


def _held(path: Path) -> int:
    """Bytes of all files that may hold the voxels: those of a detached header are in some other file beside it."""
    detached = path.suffix.lower() in (".nhdr", ".mhd")
    files = [f for f in path.parent.iterdir() if f.is_file()] if detached else [path]
    return sum(file.stat().st_size for file in files)


# Writing


def write_image(image: sitk.Image, path: Path) -> None:
    """Write an image file; its type is the one its name asks for.

    Raises
    ------
    OSError
        If the file cannot be written completely; SimpleITK does not say why.
    """
    try:
        with _quiet():
            sitk.WriteImage(image, str(path), True)
        if is_nifti(path):
            check_complete(path)
    except (RuntimeError, InputError) as error:
        raise OSError(errno.EIO, "the disk may be full") from error


def to_sitk(volume: Volume) -> sitk.Image:
    """Copy a volume into a SimpleITK image."""
    image = sitk.GetImageFromArray(volume.data)
    set_geometry(image, volume.geometry)
    return image


def set_geometry(image: sitk.Image, geometry: Geometry, times: Sequence[float] = ()) -> None:
    """Give an image its place in space and, if it has four dimensions, in time.

    Parameters
    ----------
    image
        3D image, or 4D with time last.
    geometry
        Place in space.
    times
        Uniform times in seconds, for 4D.
    """
    dimension = image.GetDimension()
    direction = np.eye(dimension)
    direction[:3, :3] = np.asarray(geometry.direction).reshape(3, 3)
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0
    image.SetDirection(direction.ravel().tolist())
    image.SetSpacing((*geometry.spacing, step)[:dimension])
    image.SetOrigin((*geometry.origin, times[0] if times else 0.0)[:dimension])


def check_folder(path: Path) -> None:
    """Raise `InputError` unless the folder exists that `path` is to be written to."""
    if not path.parent.is_dir():
        message = f"There is no folder {path.parent} to write {path.name} to; make it first."
        raise InputError(message)


def temporary_prefix(path: Path) -> str:
    """How the name of the folder begins in which `written_whole` writes what is to become `path`."""
    return f".writing-{path.name}-"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a name to write to that turns into `path` when all is written, and into nothing on failure.

    The name is the last part of `path` in a temporary folder beside it, so that detached voxels (``.mhd``
    with ``.raw``) are found by their final names.

    Parameters
    ----------
    path
        File or folder to be made. An existing one stays as it is until the new one is complete.

    Raises
    ------
    InputError
        If the place cannot be written to.
    """
    check_folder(path)
    try:
        temporary = Path(tempfile.mkdtemp(prefix=temporary_prefix(path), dir=path.parent))
    except OSError as error:
        message = f"The folder {path.parent} cannot be written to ({error.strerror}); choose another."
        raise InputError(message) from error
    try:
        yield temporary / path.name
        old = temporary / "replaced"
        if path.is_dir() and (temporary / path.name).is_dir():
            path.replace(old)
        # The file that was asked for comes last: when it is there, all that belongs to it is there.
        for part in sorted(temporary.iterdir(), key=lambda p: p.name == path.name):
            if part != old:
                part.replace(path.with_name(part.name))
    except OSError as error:
        message = f"{path} could not be written ({error.strerror}); free some space or choose another place."
        raise InputError(message) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


# Sentences


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ITK from printing its warnings."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Turn SimpleITK's errors into a sentence about `path`."""
    try:
        with _quiet():
            yield
    except (RuntimeError, MemoryError) as error:
        reason = str(error)
        if "orthonormal" in reason:
            raise InputError(_sheared(path)) from error
        if isinstance(error, MemoryError) or "alloc" in reason:
            message = f"There is not enough memory to read {path}; crop it or use a larger machine."
            raise InputError(message) from error
        raise InputError(damaged(path)) from error


def damaged(path: Path) -> str:
    """What to say of a file that is not whole."""
    return f"{path} is damaged or cut short; copy or export it again."


def _sheared(path: Path) -> str:
    return f"The axes of {path} are not at right angles; resample it to a rectangular grid."
