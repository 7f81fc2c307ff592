"""Shapes of ST 0601 packets: which items stand where, and so how to take all values out of a packet at once.

Packets of one source have one shape for long. It is worked out once, with all checks, and then serves every packet
that equals it in all bytes but those of the values.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any

from geo.errors import KlvInvalid
from geo.klv_forms import LAST_UTC_S, Line
from geo.klv_uas import CORNERS, ERRORS, ITEMS, NAMED, TIME, ItemErrors, UasMetadata
from geo.klv_wire import check, frame, read_items, read_oid

CHECKSUM, LEAP_SECONDS, CORRECTION = 1, 136, 137
_CORNER_TAGS = {first + i: (field, i, forms[i]) for field, (first, forms) in CORNERS.items() for i in range(8)}

Parts = tuple[Any, ...]
"""What `struct` takes out of a packet: by turns the bytes before a value and the value."""


class Shape:
    """The items of a packet and their places."""

    def __init__(self, data: bytes, key: bytes) -> None:
        """The shape of a packet that is the whole of `data`. Raises KlvInvalid, with the offset."""
        start, end = frame(data, 0, key)
        if end != len(data):
            raise KlvInvalid(f"offset {end}: {len(data) - end} bytes after the end of the packet")
        items = read_items(data, start, end)
        self.size = len(items)
        """How many items the packet holds."""
        lines: list[tuple[int, Line]] = []
        self._names: list[str] = []
        self._corner_lines: dict[str, dict[int, int]] = {}
        self._read: list[tuple[str, int, Callable[[Any], Any]]] = []
        self._errors: list[tuple[int, tuple[int, ...], int]] = []
        self._other: list[tuple[int, int]] = []
        corners: list[tuple[str, int, int, Line]] = []
        codes, heads, behind = [">"], [], 0
        seen: list[int] = []
        for number, (tag, at, value_at, value_end) in enumerate(items):
            if tag == CHECKSUM:
                check(data, value_at, value_end, end, False)
            if tag in seen and tag in NAMED and tag != ERRORS:
                raise KlvInvalid(f"offset {at}: item {tag} stands twice")
            size, place, name = value_end - value_at, 2 * number + 1, f"offset {at}: item {tag}"
            form = ITEMS[tag][1] if tag in ITEMS else _CORNER_TAGS[tag][2] if tag in _CORNER_TAGS else None
            code = f"{size}s"
            if form is not None and size and form.code:
                form.from_bytes(data[value_at:value_end], name)  # the size is checked here, once
                code = form.code
            if tag == CHECKSUM:
                pass
            elif tag not in NAMED or not size:  # an item of no length has no known value
                self._other.append((tag, place))
            elif form is None:
                self._errors.append((at, tuple(seen), place))
            elif tag in _CORNER_TAGS:
                corners.append((*_CORNER_TAGS[tag][:2], place, _CORNER_TAGS[tag][2].line))
            elif form.code and form.line:
                lines.append((place, form.line))
                self._names.append(ITEMS[tag][0])
            else:
                convert: Callable[[Any], Any] = _same if form.code else partial(form.from_bytes, name=name)
                self._read.append((ITEMS[tag][0], place, convert))
            heads.append(data[behind:value_at])
            codes.append(f"{value_at - behind}s{code}")
            behind = value_end
            seen.append(tag)
        if CHECKSUM not in seen:
            raise KlvInvalid(f"offset {end}: the packet has no checksum (item 1)")
        if ITEMS[TIME][0] not in self._names:
            raise KlvInvalid(f"offset {start}: the packet has no precision time stamp (item 2)")
        for field, index, place, line in corners:
            self._corner_lines.setdefault(field, {})[index] = len(lines)
            lines.append((place, line))
        self._maps = [tuple(line[i] for _, line in lines) for i in (0, 1, 2)]
        self._unknowns = [line[3] for _, line in lines]
        self._unlikely = frozenset(self._unknowns)
        self._pick = _picker([place for place, _ in lines])
        self._time_place = 2 * seen.index(TIME) + 1
        self._heads = tuple(heads)
        self._unpack = struct.Struct("".join(codes)).unpack
        self._versioned = any(name == "version" for name, _, _ in self._read)
        self._corrected = LEAP_SECONDS in seen or CORRECTION in seen

    def parts(self, data: bytes) -> Parts | None:
        """A packet of as many bytes, taken apart; None where it has another shape."""
        parts: Parts = self._unpack(data)
        return parts if parts[::2] == self._heads else None

    def read(self, parts: Parts) -> UasMetadata:
        """What a packet of this shape says. Raises KlvInvalid for texts and packs that cannot be read, and for
        times that are none."""
        numbers = self._pick(parts)
        values: list[float | None] = [
            zero + number * span / steps for number, zero, span, steps in zip(numbers, *self._maps, strict=False)
        ]
        if not self._unlikely.isdisjoint(numbers):
            for i, (number, unknown) in enumerate(zip(numbers, self._unknowns, strict=True)):
                if number == unknown:
                    values[i] = None
        found: dict[str, Any] = dict(zip(self._names, values, strict=False))  # corners, last, have no names
        for name, place, convert in self._read:
            found[name] = convert(parts[place])
        if not self._versioned:
            found["version"] = None
        if self._corner_lines:
            for field, at in self._corner_lines.items():
                found[field] = tuple(values[at[i]] if i in at else None for i in range(8))
        if self._corrected:
            correction_us, leap_seconds = found.get("correction_us") or 0, found.get("leap_seconds") or 0
            found["utc_s"] = (parts[self._time_place] + correction_us - 1_000_000 * leap_seconds) / 1e6
        if not 0 <= found["utc_s"] <= LAST_UTC_S:
            raise KlvInvalid(f"item {TIME}: {found['utc_s']:g} s since 1970 is no time of a frame")
        if self._errors:
            found["errors"] = tuple(_errors(at, before, parts[place]) for at, before, place in self._errors)
        if self._other:
            found["other"] = tuple((tag, parts[place]) for tag, place in self._other)
        return UasMetadata(**found)


def _picker(places: list[int]) -> Callable[[Parts], tuple[int, ...]]:
    if len(places) == 1:
        return lambda parts: (parts[places[0]],)
    return itemgetter(*places)


def _same(value: Any) -> Any:
    return value


def _errors(at: int, before: tuple[int, ...], pack: bytes) -> ItemErrors:
    """Binds a pack to the items right before it: as many as its matrix has rows."""
    count, _ = read_oid(pack, 0, len(pack))
    if not 1 <= count <= len(before):
        raise KlvInvalid(f"offset {at}: item {ERRORS} is of {count} items, after {len(before)}")
    return ItemErrors(tags=before[-count:], pack=pack)
