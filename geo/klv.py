"""MISB ST 0601 UAS Datalink Local Set: the metadata that rides beside the video of a vehicle.

Source: MISB ST 0601.19 (items), MISB ST 0107 (order). A packet is the 16-byte universal key, a BER length, and items of
tag, length and value; item 2 comes first and item 1, the checksum, last.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from geo.errors import KlvInvalid
from geo.klv_poses import attitude_fields, metadata_of, pose_of
from geo.klv_shapes import Shape
from geo.klv_uas import CORNERS, ERRORS, ITEMS, LS_VERSION, NAMED, TIME, ItemErrors, UasMetadata
from geo.klv_wire import MOST_TAG, check, checksum, frame, item, sealed

__all__ = [
    "LS_VERSION",
    "UAS_KEY",
    "ItemErrors",
    "UasMetadata",
    "attitude_fields",
    "checksum",
    "decode",
    "encode",
    "metadata_of",
    "packets",
    "pose_of",
]

UAS_KEY = bytes.fromhex("060e2b34020b01010e01030101000000")
"""Universal key of the UAS Datalink Local Set."""
_MOST_SHAPES, _MOST_SHAPE_ITEMS = 128, 256
_TAGS = tuple(sorted(set(ITEMS) - {TIME}))
_FIELDS = tuple((tag, *ITEMS[tag]) for tag in _TAGS)
_values_of = attrgetter(*(name for _, name, _ in _FIELDS))
_shapes: dict[int, Shape] = {}


def encode(metadata: UasMetadata) -> bytes:
    """The packet, checksum and all. Raises KlvInvalid for a value that its item cannot hold."""
    items = [
        (tag, item(tag, form.to_bytes(value, name)))
        for (tag, name, form), value in zip(_FIELDS, _values_of(metadata), strict=True)
        if value is not None
    ]
    rest = _corner_items(metadata) + _other_items(metadata)
    if rest:
        items = sorted(items + rest, key=lambda pair: pair[0])
        named = [tag for tag, _ in items if tag in NAMED]
        if len(set(named)) < len(named):
            raise KlvInvalid("an item that has a value is among the other items, too")
    if metadata.errors:
        items = _with_errors(items, metadata.errors)
    return sealed(UAS_KEY, _time_item(metadata) + b"".join(data for _, data in items))


def decode(data: bytes, *, verify: bool = True) -> UasMetadata:
    """The one packet that `data` holds. Raises KlvInvalid, with the offset, for anything else.

    `verify=False` reads a packet whose checksum does not fit, which ST 0601 says to discard.
    """
    shape = _shapes.get(len(data))
    parts = None if shape is None else shape.parts(data)
    if shape is None or parts is None:
        shape = Shape(data, UAS_KEY)
        parts = shape.parts(data)
        assert parts is not None
        if shape.size <= _MOST_SHAPE_ITEMS:
            if len(_shapes) >= _MOST_SHAPES:
                _shapes.clear()
            _shapes[len(data)] = shape
    if verify:
        check(data, len(data) - 2, len(data), len(data), verify)
    return shape.read(parts)


def packets(data: bytes, key: bytes = UAS_KEY) -> Iterator[bytes]:
    """The packets of a key that stand one after another, or among other bytes, in `data`; broken ones raise
    KlvInvalid."""
    at = data.find(key)
    while at >= 0:
        _, end = frame(data, at, key)
        yield data[at:end]
        at = data.find(key, end)


def _time_item(metadata: UasMetadata) -> bytes:
    name, form = ITEMS[TIME]
    ahead_s = (metadata.leap_seconds or 0) - (metadata.correction_us or 0) / 1e6
    return item(TIME, form.to_bytes(metadata.utc_s + ahead_s, name))


def _corner_items(metadata: UasMetadata) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    for name, (first, forms) in CORNERS.items():
        numbers: tuple[float | None, ...] | None = getattr(metadata, name)
        if numbers is None:
            continue
        if len(numbers) != 8:
            raise KlvInvalid(f"{name} holds {len(numbers)} numbers, not 8")
        found += [(first + i, item(first + i, forms[i].to_bytes(numbers[i], name))) for i in range(8)]
    return found


def _other_items(metadata: UasMetadata) -> list[tuple[int, bytes]]:
    for tag, value in metadata.other:
        if (tag in NAMED and value) or tag == TIME or not 1 < tag <= MOST_TAG:
            raise KlvInvalid(f"item {tag} cannot be among the other items: it has a field, or is no tag")
    return [(tag, item(tag, value)) for tag, value in metadata.other]


def _with_errors(items: list[tuple[int, bytes]], errors: tuple[ItemErrors, ...]) -> list[tuple[int, bytes]]:
    """The items with those that have errors moved to the end, each group before its pack."""
    rest = dict(items)
    if len(rest) < len(items):
        raise KlvInvalid("items that stand twice cannot be written beside errors of items")
    found = []
    for group in errors:
        for tag in group.tags:
            if tag not in rest:
                raise KlvInvalid(f"item {tag} has errors but no value, or errors twice")
            found.append((tag, rest.pop(tag)))
        found.append((ERRORS, item(ERRORS, group.pack)))
    return [*rest.items(), *found]
