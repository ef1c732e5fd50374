"""What the elements of a DICOM file claim, known before GDCM sees the file.

GDCM takes as much memory as an element claims before it looks for its bytes: a damaged file of a kilobyte made it take
1.2 GB (test_fuzzing.py, SimpleITK 2.5.7). And it fills an image whose pixels are cut short with whatever the
process has had in that memory.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_PREAMBLE = 128
_PREFIX = b"DICM"

_META = 0x0002
_STORAGE = (_META, 0x0002)
_SYNTAX = (_META, 0x0010)
_PIXELS = (0x7FE0, 0x0010)
_PIXELS_AS_BYTES = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_ITEM_AS_BYTES = b"\xfe\xff\x00\xe0"
_UNDEFINED = 0xFFFFFFFF

_IMPLICIT = b"1.2.840.10008.1.2"
_EXPLICIT = b"1.2.840.10008.1.2.1"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = b"1.2.840.10008.1.2.2"
_UNCOMPRESSED = (_IMPLICIT, _EXPLICIT, _DEFLATED, _BIG_ENDIAN)

_DIRECTORY = b"1.2.840.10008.1.3.10"

_MOST_INFLATED = 64 * 2**20
"""Bytes that a deflated file may come to: as much as a small file of any kind may claim (`image_files`)."""

_DEEPEST = 64
"""Sequences within sequences; GDCM calls itself for each."""

_WITH_LONG_LENGTH = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_REPRESENTATIONS = _WITH_LONG_LENGTH | frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)

Order = Literal["little", "big"]
Tag = tuple[int, int]


@dataclass(frozen=True)
class Elements:
    """What the elements of a DICOM file say, up to its pixels.

    Parameters
    ----------
    sound
        Whether no element claims more bytes than follow it (DICOM PS3.5, section 7).
    image
        Whether the file holds pixels and is no directory (DICOMDIR), whose icons have pixels too.
    pixel_bytes
        Bytes of uncompressed pixels; None where they are compressed or there are none.
    """

    sound: bool
    image: bool
    pixel_bytes: int | None = None


def read_elements(path: Path) -> Elements | None:
    """Look through the elements of a file, sequences and their items too; None if it is no DICOM file.

    A file without the preamble, as PACS and old archives write them, begins with an element of group 2 or 8.
    """
    with path.open("rb") as file:
        head = file.read(_PREAMBLE + len(_PREFIX))
        has_preamble = head[_PREAMBLE:] == _PREFIX
        if not has_preamble and head[:2] not in (b"\x02\x00", b"\x08\x00"):
            return None
        content = head + file.read()
    start = len(head) if has_preamble else 0
    found = _Elements(content).read(start)
    if not found.sound and any(tag in content for tag in _PIXELS_AS_BYTES):
        return Elements(sound=False, image=True)
    return found if has_preamble or found.image else None


class _Elements:
    """The elements of a file in memory."""

    def __init__(self, content: bytes, order: Order = "little") -> None:
        self._content = content
        self._order: Order = order

    def read(self, place: int) -> Elements:
        """Read the description that a file gives of itself, then the elements that follow."""
        syntax, storage = b"", b""
        while self._number(place, 2) == _META:
            element = self._element(place, explicit=True)
            if element is None:
                return Elements(sound=False, image=False)
            tag, _, value, length = element
            if value + length > len(self._content):
                return Elements(sound=False, image=False)
            text = self._content[value : value + length].rstrip(b"\0 ")
            syntax = text if tag == _SYNTAX else syntax
            storage = text if tag == _STORAGE else storage
            place = value + length
        if storage == _DIRECTORY:
            return Elements(sound=True, image=False)
        elements = self
        if syntax == _DEFLATED:
            inflated = _inflate(self._content[place:])
            if inflated is None:
                return Elements(sound=False, image=True)
            elements, place = _Elements(inflated), 0
        elif syntax == _BIG_ENDIAN:
            elements = _Elements(self._content, "big")
        tells = elements._tells(place)  # some files do not though they say they do, and some do not say
        sound, pixels = elements._pixels(place, explicit=tells and syntax != _IMPLICIT)
        if pixels == _UNDEFINED and syntax in _UNCOMPRESSED:
            return Elements(sound=False, image=True)
        return Elements(sound, pixels is not None, None if pixels == _UNDEFINED else pixels)

    def _pixels(self, place: int, *, explicit: bool) -> tuple[bool, int | None]:
        """Whether the elements from a place on are there, and the length of the image's pixels, at which this ends."""
        content = self._content
        within: list[tuple[int | None, bool]] = []  # where each open sequence and item ends, if told; how to go on then
        while place + 8 <= len(content):
            while within and within[-1][0] is not None and place >= within[-1][0]:
                explicit = within.pop()[1]
            element = self._element(place, explicit)
            if element is None or len(within) > _DEEPEST:
                return False, None
            tag, representation, value, length = element
            end = None if length == _UNDEFINED else value + length
            if end is not None and end > len(content):
                return False, None
            if tag == _PIXELS and not within:
                return True, length
            if tag in (_ITEM_END, _SEQUENCE_END):
                if within and within[-1][0] is None:
                    explicit = within.pop()[1]
                place = value
            elif tag == _PIXELS and end is None:  # of an icon, compressed
                place = self._after_fragments(value)
                if place > len(content):
                    return False, None
            elif (
                tag == _ITEM or representation == b"SQ" or (not explicit and content.startswith(_ITEM_AS_BYTES, value))
            ):
                within.append((end, explicit))
                place = value  # what is in it comes next
            elif end is not None:
                place = end
            elif not explicit or representation == b"UN":  # a sequence, whatever its items tell
                within.append((None, explicit))
                explicit = self._tells(value + 8)
                place = value
            else:
                return False, None
        return True, None

    def _after_fragments(self, place: int) -> int:
        """Where the fragments of compressed pixels end; beyond the content if they claim more than there is."""
        while self._tag(place) == _ITEM:
            place += 8 + self._number(place + 4, 4)
        return place + 8

    def _tells(self, place: int) -> bool:
        """Whether the element at a place tells its representation."""
        return self._content[place + 4 : place + 6] in _REPRESENTATIONS

    def _number(self, place: int, size: int) -> int:
        return int.from_bytes(self._content[place : place + size], self._order)

    def _tag(self, place: int) -> Tag:
        return self._number(place, 2), self._number(place + 2, 2)

    def _element(self, place: int, explicit: bool) -> tuple[Tag, bytes, int, int] | None:
        """Tag, representation (if told), place of the value and its length; None if that is no element."""
        tag = self._tag(place)
        if not explicit or tag[0] == _ITEM[0]:
            return tag, b"", place + 8, self._number(place + 4, 4)
        representation = self._content[place + 4 : place + 6]
        if representation not in _REPRESENTATIONS:
            return None
        if representation in _WITH_LONG_LENGTH:
            return tag, representation, place + 12, self._number(place + 8, 4)
        return tag, representation, place + 8, self._number(place + 6, 2)


def _inflate(content: bytes) -> bytes | None:
    """What was deflated; None if it is damaged or far larger than images are."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(content, _MOST_INFLATED)
    except zlib.error:
        return None
    return inflated if stream.eof else None
