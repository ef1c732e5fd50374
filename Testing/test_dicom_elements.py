"""DICOM elements that claim what is not there."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from SRDynamicMRILib.dicom_elements import claims_what_it_holds

EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
UNDEFINED = 0xFFFFFFFF
LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")
END_OF_ITEM, END_OF_SEQUENCE = struct.pack("<HHI", 0xFFFE, 0xE00D, 0), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def explicit(group: int, number: int, kind: bytes, value: bytes, claimed: int | None = None) -> bytes:
    length = len(value) if claimed is None else claimed
    form = "<HH2sxxI" if kind in LONG else "<HH2sH"
    return struct.pack(form, group, number, kind, length) + value


def implicit(group: int, number: int, value: bytes, claimed: int | None = None) -> bytes:
    return struct.pack("<HHI", group, number, len(value) if claimed is None else claimed) + value


def item(value: bytes, claimed: int | None = None) -> bytes:
    return implicit(0xFFFE, 0xE000, value, claimed)


def file(folder: Path, syntax: str, *elements: bytes) -> Path:
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    path = folder / "a.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + explicit(2, 0x10, b"UI", uid) + b"".join(elements))
    return path


NAME, NAME_IMPLICIT = explicit(0x10, 0x10, b"PN", b"Anybody "), implicit(0x10, 0x10, b"Anybody ")
PIXELS = explicit(0x7FE0, 0x10, b"OW", b"\0" * 16)
ENCAPSULATED = explicit(0x7FE0, 0x10, b"OB", item(b"") + item(b"jpeg") + END_OF_SEQUENCE, UNDEFINED)

SOUND = {
    "explicit": (EXPLICIT, NAME, PIXELS),
    "implicit": (IMPLICIT, NAME_IMPLICIT, implicit(0x7FE0, 0x10, b"\0" * 16)),
    "compressed pixels": ("1.2.840.10008.1.2.4.70", NAME, ENCAPSULATED),
    "sequence": (EXPLICIT, explicit(8, 0x1140, b"SQ", item(NAME) + item(NAME)), PIXELS),
    "sequence of undefined length": (
        EXPLICIT,
        explicit(8, 0x1140, b"SQ", item(NAME + END_OF_ITEM, UNDEFINED) + END_OF_SEQUENCE, UNDEFINED),
        PIXELS,
    ),
    "implicit sequences": (
        IMPLICIT,
        implicit(8, 0x1140, item(NAME_IMPLICIT)),
        implicit(8, 0x1140, item(NAME_IMPLICIT + END_OF_ITEM, UNDEFINED) + END_OF_SEQUENCE, UNDEFINED),
        implicit(0x7FE0, 0x10, b"\0" * 16),
    ),
    "of unknown representation and length": (
        EXPLICIT,
        explicit(9, 0x1010, b"UN", item(NAME_IMPLICIT) + END_OF_SEQUENCE, UNDEFINED),
        PIXELS,
    ),
    "implicit though it says explicit": (EXPLICIT, NAME_IMPLICIT, implicit(0x7FE0, 0x10, b"\0" * 16)),
    "no pixels": (EXPLICIT, NAME),
    "padding at the end": (EXPLICIT, NAME, PIXELS, b"\0" * 6),
    "big-endian": (BIG_ENDIAN, b"\0\x10\0\x10PN\0\x08Anybody "),
}

UNSOUND = {
    "explicit": (EXPLICIT, explicit(0x10, 0x10, b"PN", b"Anybody ", 60_000)),
    "explicit, long": (EXPLICIT, explicit(9, 0x10, b"UT", b"Anybody ", 800_000_000), PIXELS),
    "implicit": (IMPLICIT, implicit(0x10, 0x10, b"Anybody ", 800_000_000), NAME_IMPLICIT),
    "pixels": (EXPLICIT, NAME, explicit(0x7FE0, 0x10, b"OW", b"\0" * 16, 17)),
    "in a sequence": (EXPLICIT, explicit(8, 0x1140, b"SQ", item(explicit(9, 0x10, b"UT", b"", 1 << 30))), PIXELS),
    "in an implicit sequence": (IMPLICIT, implicit(8, 0x1140, item(implicit(9, 0x10, b"", 1 << 30))), NAME_IMPLICIT),
    "item": (EXPLICIT, explicit(8, 0x1140, b"SQ", item(NAME, 1 << 30)), PIXELS),
    "no representation": (EXPLICIT, NAME, NAME.replace(b"PN", b"P0"), PIXELS),
    "text of undefined length": (EXPLICIT, explicit(9, 0x10, b"UT", b"Anybody ", UNDEFINED), PIXELS),
}


@pytest.mark.parametrize("case", SOUND)
def test_sound_files(tmp_path: Path, case: str) -> None:
    assert claims_what_it_holds(file(tmp_path, *SOUND[case]))


@pytest.mark.parametrize("case", UNSOUND)
def test_claims_of_what_is_not_there(tmp_path: Path, case: str) -> None:
    assert not claims_what_it_holds(file(tmp_path, *UNSOUND[case]))


@pytest.mark.parametrize("kind", [b"UI", b"UT", b"TI"])
def test_claims_in_what_a_file_says_of_itself(tmp_path: Path, kind: bytes) -> None:
    path = file(tmp_path, EXPLICIT, NAME, PIXELS)
    sound = path.read_bytes()
    path.write_bytes(sound[:132] + explicit(2, 2, kind, b"1.2 ", 60_000) + sound[132:])
    assert not claims_what_it_holds(path)


@pytest.mark.parametrize("cut", [0, 100, 131, 133, 140])
def test_files_that_are_hardly_begun(tmp_path: Path, cut: int) -> None:
    path = file(tmp_path, EXPLICIT, NAME, PIXELS)
    path.write_bytes(path.read_bytes()[:cut])
    claims_what_it_holds(path)
