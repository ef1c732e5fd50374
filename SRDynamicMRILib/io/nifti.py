"""NIfTI files: their voxels without ITK, their headers made ready for it.

ITK's NIfTI reader makes up the voxels that a truncated file lacks, sets the ones that are not finite to 0 and needs
twice the memory; its writer needs the whole series in memory and reports no full disk. None of this may pass unseen.
What it makes of a header (orientation, units) and writes into one is right and used as it is: it is given the header
alone, as NIfTI-1 in one uncompressed file, whatever the file is: NIfTI-2, a pair of ``.hdr`` and ``.img``, compressed.

Layout: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h and
https://nifti.nimh.nih.gov/pub/dist/doc/nifti2.h.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

_COMPLEX64 = 32
_DTYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
    _COMPLEX64: "c8",
    1792: "c16",
}
_COMPLEX = (_COMPLEX64, 1792)
COMPRESSION = 4
"""Of gzip. Float voxels of real series: 4 gives files 5% larger than 6 in a third of the time."""

_GZIP = b"\x1f\x8b"
_CHUNK = 2**20
_LARGEST_EXTENT = 2**15 - 1
_SIZES = {1: 348, 2: 540}
"""Bytes of a header by the version of NIfTI."""

_PLACES: dict[int, dict[str, tuple[str, int]]] = {
    1: {
        "dim": ("8h", 40), "datatype": ("h", 70), "bitpix": ("h", 72), "pixdim": ("8f", 76), "vox_offset": ("f", 108),
        "scl": ("2f", 112), "xyzt_units": ("B", 123), "toffset": ("f", 136), "form_codes": ("2h", 252),
        "qform": ("6f", 256), "sform": ("12f", 280), "intent_code": ("h", 68),
    },
    2: {
        "dim": ("8q", 16), "datatype": ("h", 12), "bitpix": ("h", 14), "pixdim": ("8d", 104), "vox_offset": ("q", 168),
        "scl": ("2d", 176), "xyzt_units": ("i", 500), "toffset": ("d", 216), "form_codes": ("2i", 344),
        "qform": ("6d", 352), "sform": ("12d", 400), "intent_code": ("i", 504),
    },
}  # fmt: skip
"""Type and place of what geometry, time and voxels depend on."""

_MAGIC = {1: 344, 2: 4}
"""Where the three letters are that say what the file is."""


@dataclass(frozen=True)
class Nifti:
    """Voxels as the file stores them, ``(..., D, H, W)``; their values are slope * stored + intercept."""

    stored: NDArray[np.generic]
    slope: float
    intercept: float

    def frame(self, number: int) -> NDArray[np.float32]:
        """Return the values of time point `number`, ``(D, H, W)``."""
        stored = self.stored.reshape(-1, *self.stored.shape[-3:])[number]
        with np.errstate(over="ignore", invalid="ignore"):
            if (self.slope, self.intercept) == (1.0, 0.0):
                return np.array(stored, dtype=np.float32)
            return np.asarray(stored * np.float64(self.slope) + self.intercept, dtype=np.float32)

    def complex_frame(self, number: int) -> NDArray[np.complex64]:
        """Return the complex values of time point `number`, ``(D, H, W)``: slope and intercept hold for either part."""
        stored = self.stored.reshape(-1, *self.stored.shape[-3:])[number]
        with np.errstate(over="ignore", invalid="ignore"):
            if (self.slope, self.intercept) == (1.0, 0.0):
                return np.array(stored, dtype=np.complex64)
            scaled = stored * np.float64(self.slope) + complex(self.intercept, self.intercept)
            return np.asarray(scaled, dtype=np.complex64)


@dataclass(frozen=True)
class _Header:
    """A header as its file has it, and the file with the voxels, which is another in a pair."""

    content: bytes
    version: int
    order: str
    voxels: Path
    is_pair: bool

    def get(self, name: str) -> tuple[Any, ...]:
        form, place = _PLACES[self.version][name]
        return struct.unpack_from(self.order + form, self.content, place)


def is_nifti(path: Path) -> bool:
    """Whether a file name is that of a NIfTI file in one piece."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def is_complex_nifti(path: Path) -> bool:
    """Whether a file is NIfTI with complex voxels, as its header says; False for one that cannot be read."""
    try:
        header = _header_of(path) if path.is_file() else None
    except (InputError, OSError):
        return False
    return header is not None and header.get("datatype")[0] in _COMPLEX


def nifti1_header(path: Path) -> bytes | None:
    """Header of a NIfTI file as one of NIfTI-1 in one file, as ITK reads it; None for a file of another kind.

    Parameters
    ----------
    path
        A file of any name: its content says what it is. Of a pair, either file.

    Raises
    ------
    InputError
        If one file of a pair is missing, the file is Analyze 7.5, or it has more voxels along an axis than NIfTI-1 can.
    OSError
        If the file cannot be read.
    """
    header = _header_of(path)
    if header is None:
        return None
    made = bytearray(header.content if header.version == 1 else bytes(_SIZES[1]))
    if header.version == 2:
        if max(header.get("dim")) > _LARGEST_EXTENT:
            message = f"{path} has more than {_LARGEST_EXTENT} voxels along an axis; crop it or split it."
            raise InputError(message)
        struct.pack_into(f"{header.order}i", made, 0, _SIZES[1])
        for name, (form, place) in _PLACES[1].items():
            try:
                struct.pack_into(header.order + form, made, place, *header.get(name))
            except (struct.error, OverflowError) as error:
                raise InputError(_damaged(path)) from error
    struct.pack_into(f"{header.order}f", made, _PLACES[1]["vox_offset"][1], _SIZES[1] + 4)
    struct.pack_into("4s", made, _MAGIC[1], b"n+1")
    return bytes(made) + bytes(4)


def read_nifti(path: Path) -> Nifti:
    """Read the voxels of a NIfTI file in their own dtype.

    Raises
    ------
    InputError
        If the file is damaged or ends early.
    """
    header = _header_of(path)
    if header is None:
        raise InputError(_damaged(path))
    dims, (offset,), (slope, intercept) = header.get("dim"), header.get("vox_offset"), header.get("scl")
    (datatype,) = header.get("datatype")
    shape = dims[1 : dims[0] + 1]
    with _opened(header.voxels) as stream:
        if datatype not in _DTYPES or min(shape, default=0) < 1:
            raise EOFError
        stream.seek(max(int(offset), 0 if header.is_pair else _SIZES[header.version] + 4))
        voxels: NDArray[np.generic] = np.empty(shape[::-1], dtype=np.dtype(header.order + _DTYPES[datatype]))
        space = voxels.reshape(-1).view(np.uint8).data
        filled = 0
        while filled < len(space):
            count = stream.readinto(space[filled : filled + _CHUNK])
            if not count:
                raise EOFError
            filled += count
        stream.read(1)  # At its end a compressed stream compares its checksum.
    scaled = math.isfinite(slope) and math.isfinite(intercept) and slope != 0
    return Nifti(voxels, *((slope, intercept) if scaled else (1.0, 0.0)))


def write_nifti(series: Iterable[NDArray[np.float32 | np.complex64]], header: bytes, path: Path) -> None:
    """Write a NIfTI file, one time point in memory at a time.

    Parameters
    ----------
    series
        Voxels ``(D, H, W)`` of each time point.
    header
        All of the file that comes before the voxels, which follow as little-endian float32, or pairs of it.
    path
        Name of the file; compressed if it ends in ``.gz``.
    """
    with path.open("wb") as file, ExitStack() as stack:
        stream: IO[bytes] = file
        if path.suffix.lower() == ".gz":
            stream = cast("IO[bytes]", stack.enter_context(gzip.GzipFile("", "wb", COMPRESSION, file, mtime=0)))
        stream.write(header)
        for voxels in series:
            dtype = "<c8" if np.iscomplexobj(voxels) else "<f4"
            for part in voxels:
                stream.write(part.astype(dtype).tobytes())


def header_for(header: bytes, shape: tuple[int, int, int], *, complex_voxels: bool = False) -> bytes:
    """The same header of a NIfTI-1 file, for another number of voxels ``(D, H, W)``, or for complex ones."""
    made = bytearray(header)
    struct.pack_into("<3h", made, _PLACES[1]["dim"][1] + 2, *reversed(shape))
    if complex_voxels:
        for name, value in (("datatype", _COMPLEX64), ("bitpix", 64)):
            struct.pack_into("<h", made, _PLACES[1][name][1], value)
    return bytes(made)


def check_extents(shape: Sequence[int], path: Path) -> None:
    """Raise `InputError` if there are more voxels or time points along an axis than NIfTI-1 can hold."""
    if max(shape) > _LARGEST_EXTENT:
        message = f"NIfTI cannot hold {max(shape)} voxels or time points along an axis; end {path.name} in .seq.nrrd."
        raise InputError(message)


def _header_of(path: Path) -> _Header | None:
    """Header of a NIfTI file, or of the pair that a file is one of; None for a file of another kind."""
    is_image, is_header = (path.name.lower().endswith((end, f"{end}.gz")) for end in (".img", ".hdr"))
    file = _partner(path, ".hdr") if is_image else path
    content = _beginning(file)
    for version, size in _SIZES.items():
        for order in "<>":
            if len(content) < size or struct.unpack_from(f"{order}i", content)[0] != size:
                continue
            magic = content[_MAGIC[version] : _MAGIC[version] + 3]
            if magic == b"ni%d" % version:
                return _Header(content[:size], version, order, _partner(file, ".img"), is_pair=True)
            if magic == b"n+%d" % version:
                return _Header(content[:size], version, order, file, is_pair=False)
            if version == 1 and (is_image or is_header):
                message = f"{path} is Analyze 7.5, which does not say where left is; convert it to NIfTI."
                raise InputError(message)
    return None


def _beginning(path: Path) -> bytes:
    """As many bytes of a file, decompressed if it is compressed, as the largest header has."""
    with path.open("rb") as file:
        content = file.read(max(_SIZES.values()))
    if content.startswith(_GZIP):
        with suppress(EOFError, OSError, zlib.error), gzip.open(path) as stream:
            return stream.read(max(_SIZES.values()))
    return content


def _partner(path: Path, ending: str) -> Path:
    """The other file of a pair: of the same name, with another ending."""
    stem = re.sub(r"\.(hdr|img)(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    for end in (ending, f"{ending}.gz", ending.upper(), f"{ending.upper()}.GZ"):
        if (found := path.with_name(stem + end)).is_file():
            return found
    message = f"{path} is one file of a pair, and {stem}{ending} is not beside it; copy that one too."
    raise InputError(message)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file, decompressed if it is compressed; what is wrong with it becomes a sentence."""
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP
    try:
        with cast("BufferedIOBase", gzip.open(path) if compressed else path.open("rb")) as stream:
            yield stream
    except (EOFError, OSError, zlib.error, struct.error, ValueError, OverflowError) as error:
        raise InputError(_damaged(path)) from error


def _damaged(path: Path) -> str:
    return f"{path} is damaged or cut short; copy or export it again."
