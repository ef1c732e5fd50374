"""A picture as a PNG file, made without Qt: Qt would do it in the main thread, and a large one takes a while."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

_COMPRESSION = 6


def png_of(colours: npt.ArrayLike) -> bytes:
    """The content of a PNG file (ISO/IEC 15948).

    Parameters
    ----------
    colours
        Red, green and blue ``(height, width, 3)`` of 0..255, rows from the top.
    """
    pixels = np.asarray(colours, dtype=np.uint8)
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, -1)
    differences = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))  # filter 2: to the row above, modulo 256
    filtered = np.insert(differences, 0, 2, axis=1).tobytes()
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)  # 8 bits of RGB, deflate, no interlacing
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered, _COMPRESSION)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
