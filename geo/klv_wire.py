"""Key, length, value: how MISB local sets lie in bytes, read with limits so that hostile bytes cost little.

Sources: SMPTE ST 336 (BER lengths), MISB ST 0107 (BER-OID tags, local sets), MISB ST 0601 (the 16-bit checksum).
Nothing here calls itself: a set inside a set is bytes until somebody asks for it.
"""

from __future__ import annotations

from geo.errors import KlvInvalid

MOST_PACKET_BYTES = 1 << 18
"""A larger packet is refused."""
MOST_ITEMS = 1024
"""A set of more items, or a series of more elements, is refused."""
MOST_TAG = (1 << 28) - 1
"""Largest tag that is read or written: four octets of BER-OID."""
CHECKSUM_ITEM_BYTES = 4
_SHORT = tuple(bytes((length,)) for length in range(0x80))


def ber(length: int) -> bytes:
    """A length in the shortest BER form."""
    if length < 0x80:
        return _SHORT[length]
    data = uint_bytes(length)
    return bytes((0x80 | len(data),)) + data


def ber_oid(number: int) -> bytes:
    """A tag or identifier in BER-OID form: seven bits an octet, the first bit set on all but the last."""
    if not 0 <= number <= MOST_TAG:
        raise KlvInvalid(f"{number} cannot be written as BER-OID: not within 0 to {MOST_TAG}")
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | (number & 0x7F))
    return bytes(reversed(groups))


def uint_bytes(number: int) -> bytes:
    """A whole number from 0 in as few bytes as hold it, at least one."""
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


def item(tag: int, value: bytes) -> bytes:
    """Tag, length and value of an item."""
    return (_SHORT[tag] if 0 < tag < 0x80 else ber_oid(tag)) + ber(len(value)) + value


def series(elements: list[bytes]) -> bytes:
    """Elements behind their lengths, as ST 0903 lays out a series."""
    return b"".join(ber(len(element)) + element for element in elements)


def read_length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The BER length at an offset, and the offset behind it."""
    if at >= end:
        raise KlvInvalid(f"offset {at}: the packet ends before a length")
    first = data[at]
    if first < 0x80:
        return first, at + 1
    octets = first & 0x7F
    if not 1 <= octets <= 8 or at + 1 + octets > end:
        raise KlvInvalid(f"offset {at}: a BER length of {octets} octets")
    return int.from_bytes(data[at + 1 : at + 1 + octets], "big"), at + 1 + octets


def read_oid(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The BER-OID number at an offset, at most four octets of it, and the offset behind it."""
    number = 0
    for count, octet in enumerate(data[at : min(at + 4, end)], 1):
        number = number << 7 | octet & 0x7F
        if octet < 0x80:
            return number, at + count
    raise KlvInvalid(f"offset {at}: no tag in BER-OID form")


def read_items(data: bytes, start: int, end: int) -> list[tuple[int, int, int, int]]:
    """The items of a local set between two offsets: tag, where the item starts, where its value starts and ends."""
    found: list[tuple[int, int, int, int]] = []
    at = start
    while at < end:
        tag, value_at = read_oid(data, at, end)
        if tag == 0:
            raise KlvInvalid(f"offset {at}: no tag in BER-OID form")
        size, value_at = read_length(data, value_at, end)
        if value_at + size > end:
            raise KlvInvalid(f"offset {at}: item {tag} of {size} bytes ends beyond the packet ({end} bytes)")
        if len(found) == MOST_ITEMS:
            raise KlvInvalid(f"offset {at}: more than {MOST_ITEMS} items")
        found.append((tag, at, value_at, value_at + size))
        at = value_at + size
    return found


def read_series(data: bytes) -> list[bytes]:
    """The elements of a series."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        size, start = read_length(data, at, len(data))
        if start + size > len(data):
            raise KlvInvalid(f"offset {at}: element of {size} bytes ends beyond the series ({len(data)} bytes)")
        if len(found) == MOST_ITEMS:
            raise KlvInvalid(f"offset {at}: more than {MOST_ITEMS} elements")
        at = start + size
        found.append(data[start:at])
    return found


def nested_items(data: bytes) -> dict[int, bytes]:
    """The items of a set that stands inside another, by tag; none may stand twice."""
    found: dict[int, bytes] = {}
    for tag, at, start, end in read_items(data, 0, len(data)):
        if tag in found:
            raise KlvInvalid(f"offset {at}: item {tag} stands twice")
        found[tag] = data[start:end]
    return found


def frame(data: bytes, at: int, key: bytes) -> tuple[int, int]:
    """Where the value of the packet of a 16-byte key at an offset starts and ends."""
    if data[at : at + 16] != key:
        raise KlvInvalid(f"offset {at}: the packet does not start with the key of the local set")
    size, start = read_length(data, at + 16, len(data))
    if start + size > len(data):
        raise KlvInvalid(f"offset {at + 16}: a packet of {size} bytes in {len(data) - start} bytes")
    if size > MOST_PACKET_BYTES:
        raise KlvInvalid(f"offset {at + 16}: a packet of {size} bytes, above {MOST_PACKET_BYTES}")
    return start, start + size


def checksum(data: bytes) -> int:
    """The 16-bit sum over `data`: the packet from its key to the length byte of item 1, inclusive."""
    return (sum(data[::2]) * 256 + sum(data[1::2])) & 0xFFFF


def sealed(key: bytes, body: bytes) -> bytes:
    """A packet of a key and the items of a set, closed by its checksum (item 1)."""
    size = len(body) + CHECKSUM_ITEM_BYTES
    if size > MOST_PACKET_BYTES:
        raise KlvInvalid(f"a packet of {size} bytes cannot be written: above {MOST_PACKET_BYTES}")
    packet = key + ber(size) + body + b"\x01\x02"
    return packet + checksum(packet).to_bytes(2, "big")


def check(data: bytes, value_at: int, value_end: int, end: int, verify: bool) -> None:
    """That item 1 is a checksum, stands last and, where asked for, fits."""
    if value_end - value_at != 2 or value_end != end:
        raise KlvInvalid(f"offset {value_at}: the checksum is {value_end - value_at} bytes, or is not the last item")
    if not verify:
        return
    stated, counted = int.from_bytes(data[value_at:end], "big"), checksum(data[:value_at])
    if stated != counted:
        raise KlvInvalid(f"offset {value_at}: checksum 0x{stated:04x}, but the bytes sum to 0x{counted:04x}")


def read_uint(data: bytes, name: str, most_bytes: int) -> int:
    """A whole number of 1 to `most_bytes` bytes."""
    if not 1 <= len(data) <= most_bytes:
        raise KlvInvalid(f"{name} is {len(data)} bytes, not 1 to {most_bytes}")
    return int.from_bytes(data, "big")


def read_text(data: bytes, name: str) -> str:
    """A UTF-8 text."""
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise KlvInvalid(f"{name} is not UTF-8: {exc.reason}") from exc


def text_bytes(text: str, name: str, most_bytes: int) -> bytes:
    """A text as UTF-8 of 1 to `most_bytes` bytes."""
    try:
        data = text.encode()
    except UnicodeEncodeError as exc:
        raise KlvInvalid(f"{name} cannot be written as UTF-8: {exc.reason}") from exc
    if not 0 < len(data) <= most_bytes:
        raise KlvInvalid(f"{name} of {len(data)} bytes cannot be written: not within 1 to {most_bytes}")
    return data
