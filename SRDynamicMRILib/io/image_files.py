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

from ..errors import InputError
from ..geometry import FloatArray, Geometry
from ..volume import Series
from .dicom_elements import Elements, read_elements
from .nifti import Nifti, check_extents, header_for, nifti1_header, read_nifti, write_nifti
from .nifti_geometry import nifti_geometry
from .paths import check_name
from .sequence_files import is_sequence
from .text_headers import data_files, has_bzip2, is_safe_metaimage, is_safe_nrrd
from .times import axis_times, index_times, numbered, sidecar_of, sidecar_times

_LARGEST_COMPRESSION = 1000
_ALWAYS_ALLOWED = 64 * 2**20
_NIFTI = "NiftiImageIO"
_DICOM = "GDCMImageIO"
_NIFTI_HEADER = 352
_LONGEST_NAME = 300

_PHOTOMETRIC = "0028|0004"
_BITS_ALLOCATED = "0028|0100"


# Reading


def read_header(path: Path, image_io: str = "") -> sitk.ImageFileReader:
    """Read all of an image file but its voxels, through ITK.

    Parameters
    ----------
    path
        The file; NIfTI, of which ITK is given the header alone, is left to `open_image`.
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
    check_name(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.LoadPrivateTagsOn()  # where DICOM files have their b-values
    found = image_io or sitk.ImageFileReader.GetImageIOFromFileName(str(path))
    if not found or found == _NIFTI:
        message = (
            f"{path} is damaged or not an image; what can be read is NIfTI, NRRD, MetaImage and other files "
            "that SimpleITK knows, or a folder of DICOM files."
        )
        raise InputError(message)
    if found == "NrrdImageIO" and has_bzip2(path):
        message = f"{path} is compressed with bzip2, which cannot be read; save it with gzip or without compression."
        raise InputError(message)
    elements = read_elements(path) if found == _DICOM else Elements(sound=True, image=True)
    unsafe = (
        (found == "NrrdImageIO" and not is_safe_nrrd(path))
        or (found == "MetaImageIO" and not is_safe_metaimage(path, _held(path)))
        or elements is None
        or not elements.sound
    )
    if unsafe:
        raise InputError(damaged(path))
    if found in ("NrrdImageIO", "MetaImageIO"):
        _check_detached(path)
    reader.SetImageIO(found)
    with _plain_errors(path):
        reader.ReadImageInformation()
    _check_claim(reader, path)
    if elements and elements.pixel_bytes is not None:
        _check_pixels(reader, elements.pixel_bytes, path)
    return reader


def _nifti_reader(header: bytes, path: Path) -> sitk.ImageFileReader:
    """Reader that knows what ITK makes of a header alone."""
    reader = sitk.ImageFileReader()
    with tempfile.TemporaryDirectory() as folder, _plain_errors(path):
        file = Path(folder) / "header.nii"
        file.write_bytes(header)
        reader.SetFileName(str(file))
        reader.SetImageIO(_NIFTI)
        reader.ReadImageInformation()
    _check_claim(reader, path)
    return reader


def _check_detached(path: Path) -> None:
    """Raise `InputError` if the voxels of a header lie in files that are missing, or are pipes or devices."""
    for file in data_files(path):
        if not file.is_file():
            what = "is not a regular file" if file.exists() else "is not there"
            name = "".join(letter if letter.isprintable() else "?" for letter in str(file))[:_LONGEST_NAME]
            message = f"The voxels of {path} should be in {name}, which {what}; copy or export both again."
            raise InputError(message)


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
    header, make = _opened(path)
    frame = cache(lambda: _read_frames(header, path))
    return make(lambda number: frame()(number))


def open_complex(path: Path) -> tuple[Series, Series]:
    """Make two series of a complex NIfTI file, magnitude and phase in radians; read as `open_image` does.

    Raises
    ------
    InputError
        If it is no complex NIfTI file, or `open_image` would refuse it for another reason.
    """
    _, make = _opened(path, complex_voxels=True)

    @cache
    def voxels() -> Nifti:
        with _plain_errors(path):
            return read_nifti(path)

    return (
        make(lambda number: np.abs(voxels().complex_frame(number))),
        make(lambda number: np.angle(voxels().complex_frame(number))),
    )


def _opened(
    path: Path, *, complex_voxels: bool = False
) -> tuple[sitk.ImageFileReader, Callable[[Callable[[int], FloatArray]], Series]]:
    """Header of an image file, and what makes a series with its geometry and times of a function that loads voxels."""
    check_name(path)
    nifti = nifti1_header(path)
    header = read_header(path) if nifti is None else _nifti_reader(nifti, path)
    sequence = is_sequence(header)
    _check_kind(header, path, sequence, complex_voxels)
    size = header.GetSize()
    geometry = image_geometry(header)
    warnings: tuple[str, ...] = ()
    if nifti is not None:
        geometry, warnings = nifti_geometry(nifti, geometry, path)
    count = header.GetNumberOfComponents() if sequence else math.prod(size[3:])
    times = (
        index_times(header, count)
        or sidecar_times(sidecar_of(path), count)
        or axis_times(header, count)
        or numbered(count)
    )
    return header, lambda load: Series(load, times, geometry, warnings)


def _read_frames(header: sitk.ImageFileReader, path: Path) -> Callable[[int], FloatArray]:
    """Read all voxels; return what makes the voxels ``(D, H, W)`` of a time point float32."""
    if header.GetImageIO() == _NIFTI:
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


def _check_kind(header: sitk.ImageFileReader, path: Path, sequence: bool, complex_voxels: bool) -> None:
    """Raise `InputError` unless the image has scalar voxels, real or complex, in three dimensions and perhaps time."""
    dimension = header.GetDimension()
    pixel = sitk.GetPixelIDValueAsString(header.GetPixelID())
    message = ""
    if header.GetImageIO() == _DICOM and dimension > 2 and header.GetSize()[2] > 1:  # slices, time points or echoes?
        message = multi_frame(path)
    elif complex_voxels and ("complex" not in pixel or header.GetImageIO() != _NIFTI):
        message = f"{path} is not a complex NIfTI file; give one, or a magnitude image together with its phase."
    elif "complex" in pixel and not complex_voxels:
        message = (
            f"{path} has complex voxels; give the magnitude image, which read_complex and write_volume make of it."
        )
    elif header.GetNumberOfComponents() > 1 and not (sequence or complex_voxels):
        message = f"{path} is a colour or vector image; give one with a single grey value for each voxel."
    elif dimension not in (3, 4) or (sequence and dimension != 3):
        message = (
            f"{path} has {dimension} dimensions, but a volume has 3 and a series has 4; save a single slice with a "
            "third dimension of 1."
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


def _check_pixels(header: sitk.ImageFileReader, held: int, path: Path) -> None:
    """Raise `InputError` if a DICOM file has fewer bytes of uncompressed pixels than its size asks for."""

    def told(tag: str) -> str:
        return header.GetMetaData(tag).strip(" \0") if header.HasMetaDataKey(tag) else ""

    bits = int(told(_BITS_ALLOCATED)) if told(_BITS_ALLOCATED).isdecimal() else 16
    samples = header.GetNumberOfComponents()
    if told(_PHOTOMETRIC) == "YBR_FULL_422":  # two of three samples, colours being shared by neighbours
        samples -= 1
    if held < math.prod(header.GetSize()) * samples * -(-bits // 8):
        raise InputError(damaged(path))


def _held(path: Path) -> int:
    """Bytes of all files that may hold the voxels: those of a detached header are in some other file beside it."""
    detached = path.name.lower().endswith((".nhdr", ".mhd", ".hdr", ".hdr.gz", ".img", ".img.gz"))
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
    except RuntimeError as error:
        raise OSError(errno.EIO, "the disk may be full") from error


def write_volumes(series: Series, path: Path, four_dimensional: bool) -> None:
    """Write a NIfTI file of three dimensions, or of four with time last, one time point in memory at a time.

    Raises
    ------
    InputError
        If NIfTI cannot hold so many voxels or time points.
    OSError
        If the file cannot be written completely.
    """
    write_nifti((volume.data for volume in series), _nifti_header(series, path, four_dimensional), path)


def write_complex_volumes(magnitude: Series, phase: Series, path: Path) -> None:
    """Write a complex NIfTI file of three dimensions, or of four if there are several time points; as `write_volumes`.

    Parameters
    ----------
    magnitude, phase
        Series of the same grid and times; the phase in radians.
    path
        Name of the file.
    """
    header = _nifti_header(magnitude, path, len(magnitude) > 1, complex_voxels=True)
    pairs = zip(magnitude, phase, strict=True)
    write_nifti((m.data * np.exp(np.complex64(1j) * p.data) for m, p in pairs), header, path)


def _nifti_header(series: Series, path: Path, four_dimensional: bool, *, complex_voxels: bool = False) -> bytes:
    """Header of the NIfTI file of a series, as ITK makes it."""
    shape = series.geometry.shape
    check_extents((*shape, len(series)), path)
    # ITK says what a header has to be, of an image in the same place that is tiny.
    image = sitk.Image([2, 2, 2, len(series)] if four_dimensional else [2, 2, 2], sitk.sitkFloat32)
    set_geometry(image, series.geometry, series.times)
    tiny = path.with_name(".header.nii")
    write_image(image, tiny)
    header = header_for(tiny.read_bytes()[:_NIFTI_HEADER], shape, complex_voxels=complex_voxels)
    if len(header) != _NIFTI_HEADER:  # ITK reports no full disk here
        raise OSError(errno.EIO, "the disk may be full")
    tiny.unlink()
    return header


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
    check_name(path)
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


def multi_frame(path: Path) -> str:
    """What to say of a DICOM file of several frames."""
    return f"{path} is an enhanced multi-frame DICOM file; convert it to NIfTI, for example by dcm2niix."


def _sheared(path: Path) -> str:
    return f"The axes of {path} are not at right angles; resample it to a rectangular grid."
