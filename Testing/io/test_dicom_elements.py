"""DICOM elements that claim what is not there."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from SRDynamicMRILib.io.dicom_elements import Elements, read_elements

EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.70"
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


def deflated(content: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(content) + stream.flush()


def file(folder: Path, syntax: str, *elements: bytes) -> Path:
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    path = folder / "a.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + explicit(2, 0x10, b"UI", uid) + b"".join(elements))
    return path


NAME, NAME_IMPLICIT = explicit(0x10, 0x10, b"PN", b"Anybody "), implicit(0x10, 0x10, b"Anybody ")
PIXELS = explicit(0x7FE0, 0x10, b"OW", b"\0" * 16)
ENCAPSULATED = explicit(0x7FE0, 0x10, b"OB", item(b"") + item(b"jpeg") + END_OF_SEQUENCE, UNDEFINED)

ICON = explicit(0x88, 0x200, b"SQ", item(explicit(0x7FE0, 0x10, b"OW", b"\1" * 6)))
ICON_COMPRESSED = explicit(0x88, 0x200, b"SQ", item(ENCAPSULATED + END_OF_ITEM, UNDEFINED) + END_OF_SEQUENCE, UNDEFINED)
DEEP = b"".join(explicit(8, 0x1140, b"SQ", item(b"", UNDEFINED), UNDEFINED) for _ in range(100_000))

SOUND = {
    "explicit": (EXPLICIT, NAME, PIXELS),
    "implicit": (IMPLICIT, NAME_IMPLICIT, implicit(0x7FE0, 0x10, b"\0" * 16)),
    "compressed pixels": (JPEG, NAME, ENCAPSULATED),
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
    "deflated": (DEFLATED, deflated(NAME + PIXELS), b"\0"),
    "icon": (EXPLICIT, ICON, PIXELS),
    "compressed icon": (JPEG, ICON_COMPRESSED, ENCAPSULATED),
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
    "big-endian": (BIG_ENDIAN, b"\0\x10\0\x10PN\x70\0Anybody "),
    "deflated": (DEFLATED, deflated(NAME + explicit(9, 0x10, b"UT", b"Anybody ", 800_000_000) + PIXELS)),
    "deflated and cut": (DEFLATED, deflated(NAME + PIXELS)[:-4]),
    "far more deflated than any image": (DEFLATED, deflated(bytes(100 * 2**20))),
    "after an icon": (EXPLICIT, ICON, explicit(9, 0x10, b"UT", b"Anybody ", 800_000_000), PIXELS),
    "after what is of unknown representation": (
        EXPLICIT,
        explicit(9, 0x1010, b"UN", item(NAME_IMPLICIT) + END_OF_SEQUENCE, UNDEFINED),
        explicit(9, 0x10, b"UT", b"Anybody ", 800_000_000),
        PIXELS,
    ),
    "fragments of an icon": (JPEG, ICON_COMPRESSED.replace(item(b"jpeg"), item(b"jpeg", 1 << 30)), ENCAPSULATED),
    "compressed pixels where there are none": (EXPLICIT, NAME, ENCAPSULATED),
    "endless sequences": (EXPLICIT, DEEP, PIXELS),
    "text of undefined length": (EXPLICIT, explicit(9, 0x10, b"UT", b"Anybody ", UNDEFINED), PIXELS),
}


def looked_through(path: Path) -> Elements:
    elements = read_elements(path)
    assert elements is not None
    return elements


@pytest.mark.parametrize("case", SOUND)
def test_sound_files(tmp_path: Path, case: str) -> None:
    assert looked_through(file(tmp_path, *SOUND[case])).sound


@pytest.mark.parametrize("case", UNSOUND)
def test_claims_of_what_is_not_there(tmp_path: Path, case: str) -> None:
    assert not looked_through(file(tmp_path, *UNSOUND[case])).sound


@pytest.mark.parametrize("kind", [b"UI", b"UT", b"TI"])
def test_claims_in_what_a_file_says_of_itself(tmp_path: Path, kind: bytes) -> None:
    path = file(tmp_path, EXPLICIT, NAME, PIXELS)
    sound = path.read_bytes()
    path.write_bytes(sound[:132] + explicit(2, 2, kind, b"1.2 ", 60_000) + sound[132:])
    assert not looked_through(path).sound


@pytest.mark.parametrize("cut", [0, 100, 131, 133, 140])
def test_files_that_are_hardly_begun(tmp_path: Path, cut: int) -> None:
    path = file(tmp_path, EXPLICIT, NAME, PIXELS)
    path.write_bytes(path.read_bytes()[:cut])
    read_elements(path)


@pytest.mark.parametrize(
    ("case", "bytes_"),
    [
        ("explicit", 16),
        ("implicit", 16),
        ("icon", 16),
        ("deflated", 16),
        ("compressed icon", None),
        ("no pixels", None),
    ],
)
def test_bytes_of_the_pixels_are_those_of_the_image(tmp_path: Path, case: str, bytes_: int | None) -> None:
    elements = looked_through(file(tmp_path, *SOUND[case]))
    assert elements.pixel_bytes == bytes_
    assert elements.image == (case != "no pixels")


@pytest.mark.parametrize("case", ["explicit", "implicit"])
@pytest.mark.parametrize("described", [True, False])
def test_files_without_preamble(tmp_path: Path, case: str, described: bool) -> None:
    syntax, *elements = SOUND[case]
    first = explicit(8, 8, b"CS", b"M ") if case == "explicit" else implicit(8, 8, b"M ")
    path = file(tmp_path, syntax, first, *elements)
    content = path.read_bytes()[132:]
    path.write_bytes(content if described else content[content.index(first) :])
    assert looked_through(path) == Elements(sound=True, image=True, pixel_bytes=16)


def test_a_directory_is_no_image_though_it_has_icons(tmp_path: Path) -> None:
    path = file(tmp_path, EXPLICIT, ICON, PIXELS)
    content = path.read_bytes()
    path.write_bytes(content[:132] + explicit(2, 2, b"UI", b"1.2.840.10008.1.3.10") + content[132:])
    assert not looked_through(path).image


@pytest.mark.parametrize("content", [b"", b"text", b"\x08\x00 and no DICOM", b"GIF89a" + b"\0" * 200])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert read_elements(tmp_path / "a") is None
