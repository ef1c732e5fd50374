"""Text headers (NRRD, MetaImage) that ITK must not see: its parsers crash on them instead of refusing them.

Found with damaged files (test_fuzzing.py) in SimpleITK 2.5.7: it crashes where a senseless NRRD field is longer
than 500 to 1000 characters, and where MetaImage's number of dimensions is none; it takes memory for as many compressed
bytes as a MetaImage header says; and it has printf make the names of numbered files by a pattern that the header gives,
which could read and write memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

_LONGEST_FIELD = 500
_MOST_FILES = 100_000
_FREE_TEXT = re.compile(rb"#|content: |[^:]*:=")
_NRRDS_VOXELS = re.compile(rb"\s*data ?file\s*:\s*(.*)", re.IGNORECASE)
_NUMBER_OF_DIMENSIONS = re.compile(rb"\s*NDims\s*[=:]\s*(.*?)\s*")
_COMPRESSED_SIZE = re.compile(rb"\s*CompressedDataSize\s*[=:]\s*(.*?)\s*")
_METAIMAGES_VOXELS = re.compile(rb"\s*ElementDataFile\b\s*[=:]?\s*(.*?)\s*")
_BZIP2 = re.compile(rb"\s*encoding\s*:\s*(bzip2|bz2)\s*", re.IGNORECASE)
_LIST = re.compile(rb"LIST(\s+\d+)?\s*")
_NUMBERED_FILES = re.compile(rb"([^%]*%\d{0,2}d[^%\s]*)\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})(\s+\d)?\s*")
"""First, last and step come after the pattern; in NRRD, the dimensions of each file may too."""


def is_safe_nrrd(path: Path) -> bool:
    """Whether an NRRD header has nothing in it that ITK cannot bear.

    That is no field longer than real ones are (comments and keys may be), and no senseless pattern of numbered files.
    """
    for line in takewhile(bool, _lines(path)):  # an empty line ends it
        if len(line) > _LONGEST_FIELD and not _FREE_TEXT.match(line):
            return False
        if (found := _NRRDS_VOXELS.fullmatch(line)) and not _is_safe_name(found[1]):
            return False
    return True


def is_safe_metaimage(path: Path, held: int) -> bool:
    """Whether a MetaImage header has nothing in it that ITK cannot bear.

    That is a possible number of dimensions, no more compressed bytes than there are, and no senseless pattern of
    numbered files.

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
        if _METAIMAGES_VOXELS.fullmatch(line):  # the last field
            return _is_safe_name(line)
    return True


def has_bzip2(path: Path) -> bool:
    """Whether an NRRD header says that the voxels are compressed with bzip2."""
    return any(_BZIP2.fullmatch(line) for line in takewhile(bool, _lines(path)))


def data_files(path: Path) -> list[Path]:
    """The other files that hold the voxels of an NRRD or MetaImage header; none where they follow it in its own file.

    Names may be of one file, of a list of files, or a pattern with the numbers of its first, its last and a step.
    """
    name = path.name.lower()
    lines = _lines(path)
    if name.endswith((".nrrd", ".nhdr")):
        lines = takewhile(bool, lines)
        field = _NRRDS_VOXELS
    elif name.endswith((".mha", ".mhd")):
        field = _METAIMAGES_VOXELS
    else:
        return []
    for line in lines:
        if not (found := field.fullmatch(line)):
            continue
        if _LIST.fullmatch(found[1]):
            names = [rest.strip() for rest in lines if rest.strip()]
        elif numbered := _NUMBERED_FILES.fullmatch(found[1]):
            first, last, step = (int(number) for number in numbered.group(2, 3, 4))
            names = [numbered[1] % number for number in range(first, last + 1, max(step, 1))[:_MOST_FILES]]
        else:
            names = [found[1].strip()]
        return [path.parent / os.fsdecode(name) for name in names if name.upper() != b"LOCAL"]
    return []


def _is_safe_name(name: bytes) -> bool:
    """Whether the name of the file with the voxels holds no percent sign, but in a sound ``slice%03d.raw 1 40 1``."""
    return b"%" not in name or _NUMBERED_FILES.fullmatch(name) is not None


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, wherever a carriage return or a newline ends one."""
    with path.open("rb") as stream:
        for line in stream:
            yield from line.rstrip(b"\r\n").split(b"\r")
