"""DICOM files that GDCM must not see: it takes as much memory as an element claims before it looks for its bytes.

A damaged file of a kilobyte made it take 1.2 GB (Testing/test_fuzzing.py, SimpleITK 2.5.7).
"""

from __future__ import annotations

from pathlib import Path

_FIRST = 132
"""Bytes before the first element: the preamble and ``DICM``."""

_SYNTAX = (0x0002, 0x0010)
_PIXELS = (0x7FE0, 0x0010)
_ITEMS = 0xFFFE
_ITEM = b"\xfe\xff\x00\xe0"
_UNDEFINED = 0xFFFFFFFF

_IMPLICIT = b"1.2.840.10008.1.2"
_UNCHECKED = (b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2")
"""Compressed as a whole, and big-endian: neither is written any more."""

_WITH_LONG_LENGTH = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_REPRESENTATIONS = _WITH_LONG_LENGTH | frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)


def claims_what_it_holds(path: Path) -> bool:
    """Whether no element of a DICOM file, up to its pixels, claims more bytes than follow it (DICOM PS3.5, section 7).

    Sequences and their items are looked into; what comes after one of unknown representation and length is not known.
    """
    content = path.read_bytes()
    syntax, place = _IMPLICIT, _FIRST
    while int.from_bytes(content[place : place + 2], "little") == _SYNTAX[0]:  # the file's own description
        element = _element(content, place, explicit=True)
        if element is None:
            return False
        tag, _, value, length = element
        if value + length > len(content):
            return False
        if tag == _SYNTAX:
            syntax = content[value : value + length].rstrip(b"\0 ")
        place = value + length
    if syntax in _UNCHECKED:
        return True
    tells = content[place + 4 : place + 6] in _REPRESENTATIONS  # some files do not though they say they do
    return _holds(content, place, explicit=syntax != _IMPLICIT and tells)


def _holds(content: bytes, place: int, *, explicit: bool) -> bool:
    """Whether the elements from a place on are there, up to the pixels."""
    while place + 8 <= len(content):
        element = _element(content, place, explicit)
        if element is None:
            return False
        tag, representation, value, length = element
        if length != _UNDEFINED and value + length > len(content):
            return False
        if tag == _PIXELS or (representation == b"UN" and length == _UNDEFINED):
            return True
        is_sequence = representation == b"SQ" or (not explicit and content.startswith(_ITEM, value))
        if tag[0] == _ITEMS or is_sequence or (not explicit and length == _UNDEFINED):
            place = value  # what is in it comes next
        elif length == _UNDEFINED:
            return False
        else:
            place = value + length
    return True


def _element(content: bytes, place: int, explicit: bool) -> tuple[tuple[int, int], bytes, int, int] | None:
    """Tag, representation (if told), place of the value and its length; None if that is no element."""
    tag = (
        int.from_bytes(content[place : place + 2], "little"),
        int.from_bytes(content[place + 2 : place + 4], "little"),
    )
    if not explicit or tag[0] == _ITEMS:
        return tag, b"", place + 8, int.from_bytes(content[place + 4 : place + 8], "little")
    representation = content[place + 4 : place + 6]
    if representation not in _REPRESENTATIONS:
        return None
    if representation in _WITH_LONG_LENGTH:
        return tag, representation, place + 12, int.from_bytes(content[place + 8 : place + 12], "little")
    return tag, representation, place + 8, int.from_bytes(content[place + 6 : place + 8], "little")
