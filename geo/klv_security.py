"""MISB ST 0102 security metadata local set: how metadata and video may be shared. Item 48 of ST 0601.

Source: MISB ST 0102.12, table 2.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import msgspec

from geo.errors import KlvInvalid
from geo.klv_forms import Form, Text, Whole
from geo.klv_sets import SetForm


class Classification(IntEnum):
    """Item 1."""

    UNCLASSIFIED = 1
    RESTRICTED = 2
    CONFIDENTIAL = 3
    SECRET = 4
    TOP_SECRET = 5


class SecurityMarking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The set. Fields are None where an item is missing."""

    classification: int | None = None
    """Item 1: one of Classification."""
    country_coding: int | None = None
    """Item 2: how countries are named in items 3 and 6: 1 two letters (ISO 3166), 2 three letters, 5 numbers; 13, 14,
    15 the same by GENC; others as the standard lists them."""
    classifying_country: str | None = None
    """Item 3: as "//KAZ"."""
    compartments: str | None = None
    """Item 4: SCI/SHI information, ends with "//"."""
    caveats: str | None = None
    """Item 5."""
    releasing_instructions: str | None = None
    """Item 6: countries that may have it, one space between two."""
    classified_by: str | None = None
    """Item 7."""
    derived_from: str | None = None
    """Item 8."""
    reason: str | None = None
    """Item 9: why it is classified."""
    declassification_date: str | None = None
    """Item 10: YYYYMMDD."""
    marking_system: str | None = None
    """Item 11."""
    object_country_coding: int | None = None
    """Item 12: how item 13 names countries: 1 two letters (ISO 3166), 2 three letters, 3 numbers; 13, 14, 15 the same
    by GENC; others as the standard lists them."""
    object_countries: str | None = None
    """Item 13: countries that the video shows, ";" between two."""
    comments: str | None = None
    """Item 14."""
    version: int | None = 12
    """Item 22: revision of ST 0102."""
    country_coding_date: str | None = None
    """Item 23: version of the coding of item 2, YYYY-MM-DD."""
    object_country_coding_date: str | None = None
    """Item 24: version of the coding of item 12, YYYY-MM-DD."""
    other: tuple[tuple[int, bytes], ...] = ()
    """Items that are not named above, as they came."""


class _Utf16:
    """Big-endian UTF-16, as item 13 alone is written."""

    code = line = None

    def from_bytes(self, data: bytes, name: str) -> str:
        try:
            return data.decode("utf-16-be")
        except UnicodeDecodeError as exc:
            raise KlvInvalid(f"{name} is not UTF-16: {exc.reason}") from exc

    def to_bytes(self, value: str, name: str) -> bytes:
        try:
            return value.encode("utf-16-be")
        except UnicodeEncodeError as exc:
            raise KlvInvalid(f"{name} cannot be written as UTF-16: {exc.reason}") from exc


_LONG = Text(1 << 15)
_ITEMS: dict[int, tuple[str, Form]] = {
    1: ("classification", Whole(1)),
    2: ("country_coding", Whole(1)),
    3: ("classifying_country", _LONG),
    4: ("compartments", _LONG),
    5: ("caveats", _LONG),
    6: ("releasing_instructions", _LONG),
    7: ("classified_by", _LONG),
    8: ("derived_from", _LONG),
    9: ("reason", _LONG),
    10: ("declassification_date", Text(8)),
    11: ("marking_system", _LONG),
    12: ("object_country_coding", Whole(1)),
    13: ("object_countries", _Utf16()),
    14: ("comments", _LONG),
    22: ("version", Whole(2)),
    23: ("country_coding_date", Text(10)),
    24: ("object_country_coding_date", Text(10)),
}
_FORM = SetForm(SecurityMarking, _ITEMS, missing={"version": None})


@lru_cache(maxsize=32)
def decode(data: bytes) -> SecurityMarking:
    """What item 48 holds; it changes seldom, so that the last ones are remembered. Raises KlvInvalid."""
    return _FORM.from_bytes(data, "security set")


def encode(marking: SecurityMarking) -> bytes:
    """The bytes of item 48. Raises KlvInvalid for what cannot be written."""
    return _FORM.to_bytes(marking, "security set")
