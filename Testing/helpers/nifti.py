"""NIfTI files that ITK does not write."""

from __future__ import annotations

import struct

import numpy as np


def nifti2(content: bytes, order: str = "<", magic: bytes = b"n+2\0") -> bytes:
    """The same image as NIfTI-2, of a NIfTI-1 file as ITK writes it."""
    made = bytearray(544)
    header = struct.unpack_from("<8h 3f 4h 8f 3f h 2B 4f", content, 40)
    dim, datatype, bitpix, pixdim = header[:8], header[12], header[13], header[15:23]
    struct.pack_into(f"{order}i4s4s2h", made, 0, 540, magic, b"\r\n\x1a\n", datatype, bitpix)
    struct.pack_into(f"{order}8q", made, 16, *dim)
    struct.pack_into(f"{order}8d", made, 104, *pixdim)
    struct.pack_into(f"{order}q2d", made, 168, 544 if magic[1:2] == b"+" else 0, 2, 1)
    struct.pack_into(f"{order}d", made, 216, *struct.unpack_from("<f", content, 136))
    struct.pack_into(f"{order}2i6d12d", made, 344, *struct.unpack_from("<2h6f12f", content, 252))
    struct.pack_into(f"{order}i", made, 500, content[123])
    return bytes(made) + np.frombuffer(content[352:], "<f4").astype(f"{order}f4").tobytes()
