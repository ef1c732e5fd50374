"""The voxels of a NIfTI file, read without ITK.

ITK's NIfTI reader makes up the voxels that a truncated file lacks, sets the ones that are not finite to 0 and
needs twice the memory, and its writer reports no full disk; none of this may pass unseen. Its reading of the
header (orientation, units) is right and used as it is, see `image_files`.

Layout: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h; as ITK reads NIfTI-1 only, so does this.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

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
}
_HEADER = 348
_CHUNK = 2**20


@dataclass(frozen=True)
class Nifti:
    """Voxels as the file stores them, ``(..., D, H, W)``; their values are slope * stored + intercept."""

    stored: NDArray[np.generic]
    slope: float
    intercept: float

    def frame(self, number: int) -> NDArray[np.float32]:
        """Return the values of time point `number`, ``(D, H, W)``."""
        stored = self.stored.reshape(-1, *self.stored.shape[-3:])[number]
        with np.errstate(over="ignore"):
            if (self.slope, self.intercept) == (1.0, 0.0):
                return np.array(stored, dtype=np.float32)
            return np.asarray(stored * np.float64(self.slope) + self.intercept, dtype=np.float32)


@dataclass(frozen=True)
class _Layout:
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    offset: int
    slope: float
    intercept: float


def is_nifti(path: Path) -> bool:
    """Whether a file name is that of a NIfTI file in one piece."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def read_nifti(path: Path) -> Nifti:
    """Read the voxels of a NIfTI-1 file, compressed or not, in their own dtype.

    Raises
    ------
    InputError
        If the file is damaged or ends early.
    """
    with _opened(path) as stream:
        layout = _layout(stream)
        stream.seek(layout.offset)
        voxels: NDArray[np.generic] = np.empty(layout.shape[::-1], dtype=layout.dtype)
        space = voxels.reshape(-1).view(np.uint8).data
        filled = 0
        while filled < len(space):
            count = stream.readinto(space[filled : filled + _CHUNK])
            if not count:
                raise EOFError
            filled += count
        stream.read(1)  # At its end a compressed stream compares its checksum.
    return Nifti(voxels, layout.slope, layout.intercept)


def nifti_header(path: Path) -> bytes:
    """Header of a NIfTI-1 file, compressed or not; `InputError` if the file ends within it."""
    with _opened(path) as stream:
        header = stream.read(_HEADER)
        if len(header) < _HEADER:
            raise EOFError
    return header


def check_complete(path: Path) -> None:
    """Raise `InputError` unless a NIfTI file holds all the voxels of its header."""
    with _opened(path) as stream:
        layout = _layout(stream)
        stream.seek(layout.offset)
        missing = math.prod(layout.shape) * layout.dtype.itemsize
        while chunk := stream.read(_CHUNK):
            missing -= len(chunk)
        if missing > 0:
            raise EOFError


@contextmanager
def _opened(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file, decompressed if it is compressed; what is wrong with it becomes a sentence."""
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        with cast(BufferedIOBase, gzip.open(path) if compressed else path.open("rb")) as stream:
            yield stream
    except (EOFError, OSError, zlib.error, struct.error, ValueError) as error:
        message = f"{path} is damaged or cut short; copy or export it again."
        raise InputError(message) from error


def _layout(stream: BufferedIOBase) -> _Layout:
    """Read the header; any error it raises stands for a damaged file."""
    header = stream.read(_HEADER)
    for order in "<>":
        (size,) = struct.unpack_from(f"{order}i", header)
        if size != _HEADER:
            continue
        dims = struct.unpack_from(f"{order}8h", header, 40)
        (datatype,) = struct.unpack_from(f"{order}h", header, 70)
        offset, slope, intercept = struct.unpack_from(f"{order}3f", header, 108)
        shape = dims[1 : dims[0] + 1]
        if datatype not in _DTYPES or min(shape, default=0) < 1:
            break
        scaled = math.isfinite(slope) and math.isfinite(intercept) and slope != 0
        dtype = np.dtype(order + _DTYPES[datatype])
        return _Layout(dtype, shape, int(offset), *((slope, intercept) if scaled else (1.0, 0.0)))
    raise EOFError
