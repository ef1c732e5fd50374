"""Text headers (NRRD, MetaImage) that ITK must not see: its parsers crash on them instead of refusing them.

Found with damaged files (Testing/test_fuzzing.py) in SimpleITK 2.5.7: it crashes where a senseless NRRD field
is longer than 500 to 1000 characters, and where MetaImage's number of dimensions is none; and it takes memory for as
many compressed bytes as a MetaImage header says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_LONGEST_FIELD = 500
_FREE_TEXT = re.compile(rb"#|content: |[^:]*:=")
_NUMBER_OF_DIMENSIONS = re.compile(rb"\s*NDims\s*[=:]\s*(.*?)\s*")
_COMPRESSED_SIZE = re.compile(rb"\s*CompressedDataSize\s*[=:]\s*(.*?)\s*")
_LAST_OF_METAIMAGE = re.compile(rb"\s*ElementDataFile\b.*")


def is_safe_nrrd(path: Path) -> bool:
    """Whether no field of an NRRD header is longer than real ones are; comments and keys may be."""
    return all(len(line) <= _LONGEST_FIELD or _FREE_TEXT.match(line) for line in _lines(path))


def is_safe_metaimage(path: Path, held: int) -> bool:
    """Whether a MetaImage header has a possible number of dimensions, and no more compressed bytes than are there.

    Parameters
    ----------
    path
        The file.
    held
        Bytes of all files that may hold its voxels.
    """
    for line in _lines(path):
        if (found := _NUMBER_OF_DIMENSIONS.fullmatch(line)) and found[1] not in (b"1", b"2", b"3", b"4", b"5"):
            return False
        if (found := _COMPRESSED_SIZE.fullmatch(line)) and not (found[1].isdigit() and int(found[1][:20]) <= held):
            return False
        if _LAST_OF_METAIMAGE.match(line):
            break
    return True


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a header, which an empty one ends."""
    with path.open("rb") as stream:
        while line := stream.readline().rstrip(b"\r\n"):
            yield line
