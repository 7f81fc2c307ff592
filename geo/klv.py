"""MISB ST 0601 UAS Datalink Local Set: the metadata that rides beside the video of a vehicle.

Source: MISB ST 0601.19 (items, ranges), MISB ST 0107 (BER lengths, BER-OID tags). A packet is the 16-byte universal
key, a BER length, and items of tag, length and value; item 2 comes first and item 1, the checksum, last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.errors import KlvInvalid
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position

UAS_KEY = bytes.fromhex("060e2b34020b01010e01030101000000")
"""Universal key of the UAS Datalink Local Set."""
LS_VERSION = 19
"""Revision of ST 0601 that is written."""


class UasMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One packet. A field is None where the packet lacks the item or says that its value is unknown or out of range."""

    utc_s: float
    """Item 2: moment of the frame, s since 1970 UTC, kept to the microsecond."""
    mission: str | None = None
    """Item 3: mission ID."""
    tail_number: str | None = None
    """Item 4: platform tail number."""
    platform_heading_deg: float | None = None
    """Item 5: from true north, clockwise, 0 to 360 deg."""
    platform_pitch_deg: float | None = None
    """Item 6: nose up positive, within 20 deg."""
    platform_roll_deg: float | None = None
    """Item 7: right side down positive, within 50 deg."""
    platform_designation: str | None = None
    """Item 10: model of the vehicle."""
    image_source_sensor: str | None = None
    """Item 11: name of the camera."""
    image_coordinate_system: str | None = None
    """Item 12: as "WGS-84"."""
    sensor_lat_deg: float | None = None
    """Item 13: WGS 84, deg."""
    sensor_lon_deg: float | None = None
    """Item 14: WGS 84, deg."""
    sensor_amsl_m: float | None = None
    """Item 15: true altitude above mean sea level, m, in steps of 0.3 m."""
    hfov_deg: float | None = None
    """Item 16: horizontal field of view, deg."""
    vfov_deg: float | None = None
    """Item 17: vertical field of view, deg."""
    sensor_relative_azimuth_deg: float | None = None
    """Item 18: of the boresight about the platform's down axis, from the nose clockwise, 0 to 360 deg."""
    sensor_relative_elevation_deg: float | None = None
    """Item 19: of the boresight above the platform's forward-right plane, deg; nadir is -90."""
    sensor_relative_roll_deg: float | None = None
    """Item 20: about the boresight, clockwise seen from behind the camera, 0 to 360 deg."""
    slant_range_m: float | None = None
    """Item 21: from the sensor to the frame center, m."""
    target_width_m: float | None = None
    """Item 22: width of the picture on the ground, m."""
    frame_center_lat_deg: float | None = None
    """Item 23: WGS 84, deg."""
    frame_center_lon_deg: float | None = None
    """Item 24: WGS 84, deg."""
    frame_center_amsl_m: float | None = None
    """Item 25: elevation above mean sea level, m."""
    corner_offsets_deg: tuple[float, ...] | None = None
    """Items 26 to 33: lat and lon of corners 1 to 4 (upper left, clockwise) less the frame center's, 8 numbers, deg."""
    ground_speed_m_s: float | None = None
    """Item 56: of the platform, whole m/s."""
    call_sign: str | None = None
    """Item 59: of the platform."""
    version: int | None = LS_VERSION
    """Item 65: revision of ST 0601."""
    sensor_hae_m: float | None = None
    """Item 75: height of the sensor above the WGS 84 ellipsoid, m."""
    north_velocity_m_s: float | None = None
    """Item 79: of the sensor, m/s."""
    east_velocity_m_s: float | None = None
    """Item 80: of the sensor, m/s."""
    corners_deg: tuple[float, ...] | None = None
    """Items 82 to 89: lat and lon of corners 1 to 4 (upper left, clockwise), 8 numbers, deg."""
    platform_pitch_full_deg: float | None = None
    """Item 90: as item 6, within 90 deg and finer."""
    platform_roll_full_deg: float | None = None
    """Item 91: as item 7, within 90 deg and finer."""
    other: dict[int, bytes] = {}
    """Items that are not named above, as they came: tag to value."""


class _Item(msgspec.Struct, frozen=True):
    """How the value of one tag is written."""

    field: str
    size: int
    low: float
    high: float
    signed: bool
    index: int | None = None

    def to_bytes(self, value: float) -> bytes:
        if not self.low <= value <= self.high:  # false for NaN, too
            raise KlvInvalid(f"{self.field} {value:g} cannot be written: not within {self.low:g} to {self.high:g}")
        if self.signed:
            half = (1 << (8 * self.size - 1)) - 1
            return round(value / self.high * half).to_bytes(self.size, "big", signed=True)
        full = (1 << (8 * self.size)) - 1
        return round((value - self.low) / (self.high - self.low) * full).to_bytes(self.size, "big")

    def from_bytes(self, data: bytes) -> float | None:
        number = int.from_bytes(data, "big", signed=self.signed)
        if not self.signed:
            return self.low + number * (self.high - self.low) / ((1 << (8 * self.size)) - 1)
        half = (1 << (8 * self.size - 1)) - 1
        return None if number < -half else number * self.high / half


def _corners(field: str, first_tag: int, size: int, lat_deg: float, lon_deg: float) -> dict[int, _Item]:
    limits = (lat_deg, lon_deg)
    return {first_tag + i: _Item(field, size, -limits[i % 2], limits[i % 2], True, i) for i in range(8)}


_NUMBERS: dict[int, _Item] = {
    5: _Item("platform_heading_deg", 2, 0, 360, False),
    6: _Item("platform_pitch_deg", 2, -20, 20, True),
    7: _Item("platform_roll_deg", 2, -50, 50, True),
    13: _Item("sensor_lat_deg", 4, -90, 90, True),
    14: _Item("sensor_lon_deg", 4, -180, 180, True),
    15: _Item("sensor_amsl_m", 2, -900, 19_000, False),
    16: _Item("hfov_deg", 2, 0, 180, False),
    17: _Item("vfov_deg", 2, 0, 180, False),
    18: _Item("sensor_relative_azimuth_deg", 4, 0, 360, False),
    19: _Item("sensor_relative_elevation_deg", 4, -180, 180, True),
    20: _Item("sensor_relative_roll_deg", 4, 0, 360, False),
    21: _Item("slant_range_m", 4, 0, 5_000_000, False),
    22: _Item("target_width_m", 2, 0, 10_000, False),
    23: _Item("frame_center_lat_deg", 4, -90, 90, True),
    24: _Item("frame_center_lon_deg", 4, -180, 180, True),
    25: _Item("frame_center_amsl_m", 2, -900, 19_000, False),
    **_corners("corner_offsets_deg", 26, 2, 0.075, 0.075),
    56: _Item("ground_speed_m_s", 1, 0, 255, False),
    75: _Item("sensor_hae_m", 2, -900, 19_000, False),
    79: _Item("north_velocity_m_s", 2, -327, 327, True),
    80: _Item("east_velocity_m_s", 2, -327, 327, True),
    **_corners("corners_deg", 82, 4, 90, 180),
    90: _Item("platform_pitch_full_deg", 4, -90, 90, True),
    91: _Item("platform_roll_full_deg", 4, -90, 90, True),
}
_TEXTS: dict[int, str] = {
    3: "mission",
    4: "tail_number",
    10: "platform_designation",
    11: "image_source_sensor",
    12: "image_coordinate_system",
    59: "call_sign",
}
_CHECKSUM, _TIME, _VERSION = 1, 2, 65
_NAMED = {_CHECKSUM, _TIME, _VERSION, *_NUMBERS, *_TEXTS}
_MAX_TEXT_BYTES = 127
_MAX_UTC_S = 2**53 / 1e6


def encode(metadata: UasMetadata) -> bytes:
    """The packet, checksum and all. Raises KlvInvalid for a value that its item cannot hold."""
    items = [_item(_TIME, _time_bytes(metadata.utc_s))]
    items += [_item(tag, value) for tag, value in sorted(_values(metadata).items())]
    body = b"".join(items) + bytes([_CHECKSUM, 2])
    packet = UAS_KEY + _ber(len(body) + 2) + body
    return packet + checksum(packet).to_bytes(2, "big")


def decode(data: bytes, *, verify: bool = True) -> UasMetadata:
    """The one packet that `data` holds. Raises KlvInvalid, with the offset, for anything else.

    `verify=False` reads a packet whose checksum does not fit, which ST 0601 says to discard.
    """
    start, end = _frame(data, 0)
    if end != len(data):
        raise KlvInvalid(f"offset {end}: {len(data) - end} bytes after the end of the packet")
    found: dict[str, Any] = {}
    other: dict[int, bytes] = {}
    seen: set[int] = set()
    at = start
    while at < end:
        tag, value_at = _read_tag(data, at, end)
        size, value_at = _read_length(data, value_at, end)
        if value_at + size > end:
            raise KlvInvalid(f"offset {at}: item {tag} of {size} bytes ends beyond the packet ({end} bytes)")
        if tag in seen:
            raise KlvInvalid(f"offset {at}: item {tag} stands twice")
        seen.add(tag)
        value = data[value_at : value_at + size]
        if tag == _CHECKSUM:
            _check(data, value_at, size, end, verify)
        elif size == 0 and tag in _NAMED:  # ST 0601: an item of no length has no known value
            pass
        elif tag in _NAMED:
            _take(found, tag, value, at)
        else:
            other[tag] = value
        at = value_at + size
    if _CHECKSUM not in seen:
        raise KlvInvalid(f"offset {end}: the packet has no checksum (item 1)")
    if "utc_s" not in found:
        raise KlvInvalid(f"offset {start}: the packet has no precision time stamp (item 2)")
    for corners in {"corner_offsets_deg", "corners_deg"} & found.keys():
        numbers = found[corners]
        found[corners] = tuple(numbers[i] for i in range(8)) if len(numbers) == 8 else None
    return UasMetadata(**{"version": None, **found}, other=other)


def packets(data: bytes) -> Iterator[bytes]:
    """The UAS packets that stand one after another, or among other bytes, in `data`; broken ones raise KlvInvalid."""
    at = data.find(UAS_KEY)
    while at >= 0:
        _, end = _frame(data, at)
        yield data[at:end]
        at = data.find(UAS_KEY, end)


def checksum(data: bytes) -> int:
    """The 16-bit sum of ST 0601 over `data`: the packet from its key to the length byte of item 1, inclusive."""
    return (sum(data[::2]) * 256 + sum(data[1::2])) & 0xFFFF


def pose_of(metadata: UasMetadata) -> Pose | None:
    """The pose of the camera; None where place, height, platform attitude or boresight angles are missing.

    Item 15 (AMSL) is preferred to item 75 (ellipsoid), items 90 and 91 to 6 and 7; a missing relative roll is 0.
    """
    m = metadata
    pitch_deg = m.platform_pitch_deg if m.platform_pitch_full_deg is None else m.platform_pitch_full_deg
    roll_deg = m.platform_roll_deg if m.platform_roll_full_deg is None else m.platform_roll_full_deg
    height_m = m.sensor_hae_m if m.sensor_amsl_m is None else m.sensor_amsl_m
    azimuth_deg, elevation_deg = m.sensor_relative_azimuth_deg, m.sensor_relative_elevation_deg
    if (
        (m.sensor_lat_deg is None or m.sensor_lon_deg is None or height_m is None)
        or (m.platform_heading_deg is None or pitch_deg is None or roll_deg is None)
        or (azimuth_deg is None or elevation_deg is None)
    ):
        return None
    platform = Attitude(roll_deg=roll_deg, pitch_deg=pitch_deg, yaw_deg=m.platform_heading_deg)
    relative = Attitude(
        roll_deg=m.sensor_relative_roll_deg or 0.0, pitch_deg=elevation_deg, yaw_deg=azimuth_deg
    )  # ST 0601 turns azimuth, elevation, roll in this order: yaw, pitch, roll of the boresight in the body
    return Pose(
        utc_s=m.utc_s,
        position=Position(
            lon=m.sensor_lon_deg,
            lat=m.sensor_lat_deg,
            altitude=Altitude(height_m, Datum.W84 if m.sensor_amsl_m is None else Datum.AMSL),
        ),
        attitude=_attitude(platform.ned_from_body() @ relative.ned_from_body()),
    )


def metadata_of(pose: Pose, *, platform: Attitude, **fields: Any) -> UasMetadata:
    """Metadata from which `pose_of` gives `pose` again, on a platform of that attitude; `fields` are more items.

    Raises KlvInvalid for a height that is neither AMSL nor above the ellipsoid.
    """
    datum = pose.position.altitude.datum
    if datum not in (Datum.AMSL, Datum.W84):
        raise KlvInvalid(f"a height above {datum} has no item in ST 0601; give it AMSL or W84")
    known: dict[str, Any] = {
        "sensor_lat_deg": pose.position.lat,
        "sensor_lon_deg": pose.position.lon,
        "sensor_amsl_m" if datum is Datum.AMSL else "sensor_hae_m": pose.position.altitude.value_m,
        **attitude_fields(platform, pose.attitude),
    }
    return UasMetadata(utc_s=pose.utc_s, **{**known, **fields})


def attitude_fields(platform: Attitude, boresight: Attitude | None) -> dict[str, float | None]:
    """Items 5 to 7, 18 to 20, 90 and 91 of a platform and of a camera on it, where that is known; both in NED."""
    pitch_deg = (platform.pitch_deg + 180.0) % 360.0 - 180.0
    roll_deg = (platform.roll_deg + 180.0) % 360.0 - 180.0
    fields: dict[str, float | None] = {
        "platform_heading_deg": platform.yaw_deg % 360.0,
        "platform_pitch_deg": pitch_deg if abs(pitch_deg) <= 20 else None,
        "platform_roll_deg": roll_deg if abs(roll_deg) <= 50 else None,
        "platform_pitch_full_deg": pitch_deg,
        "platform_roll_full_deg": roll_deg,
    }
    if boresight is not None:
        relative = _attitude(platform.ned_from_body().T @ boresight.ned_from_body())
        fields["sensor_relative_azimuth_deg"] = relative.yaw_deg
        fields["sensor_relative_elevation_deg"] = relative.pitch_deg
        fields["sensor_relative_roll_deg"] = relative.roll_deg % 360.0
    return fields


def _attitude(ned_from_body: NDArray[np.float64]) -> Attitude:
    r = ned_from_body
    level = math.hypot(r[0, 0], r[1, 0])
    if level < 1e-9:  # straight up or down: yaw and roll turn about one axis, so all of it is yaw
        yaw, roll = math.atan2(-r[0, 1], r[1, 1]), 0.0
    else:
        yaw, roll = math.atan2(r[1, 0], r[0, 0]), math.atan2(r[2, 1], r[2, 2])
    return Attitude(
        roll_deg=math.degrees(roll),
        pitch_deg=math.degrees(math.atan2(-r[2, 0], level)),
        yaw_deg=math.degrees(yaw) % 360.0,
    )


def _values(metadata: UasMetadata) -> dict[int, bytes]:
    values = {}
    for tag, item in _NUMBERS.items():
        value = getattr(metadata, item.field)
        if value is not None:
            values[tag] = item.to_bytes(value if item.index is None else _corner(item, value))
    for tag, field in _TEXTS.items():
        text = getattr(metadata, field)
        if text is not None:
            values[tag] = _text_bytes(field, text)
    if metadata.version is not None:
        if not 0 <= metadata.version <= 255:
            raise KlvInvalid(f"version {metadata.version} cannot be written: not within 0 to 255")
        values[_VERSION] = bytes([metadata.version])
    for tag, data in metadata.other.items():
        if tag in _NAMED or not 0 < tag < 2**28:
            raise KlvInvalid(f"item {tag} cannot be among the other items: it has a field, or is no tag")
        values[tag] = data
    return values


def _corner(item: _Item, numbers: tuple[float, ...]) -> float:
    if len(numbers) != 8 or item.index is None:
        raise KlvInvalid(f"{item.field} holds {len(numbers)} numbers, not 8")
    return numbers[item.index]


def _text_bytes(field: str, text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as exc:
        raise KlvInvalid(f"{field} cannot be written as UTF-8: {exc.reason}") from exc
    if not 0 < len(data) <= _MAX_TEXT_BYTES:
        raise KlvInvalid(f"{field} of {len(data)} bytes cannot be written: not within 1 to {_MAX_TEXT_BYTES}")
    return data


def _time_bytes(utc_s: float) -> bytes:
    if not 0 <= utc_s <= _MAX_UTC_S:
        raise KlvInvalid(f"utc_s {utc_s:g} cannot be written: not within 0 to {_MAX_UTC_S:g}")
    return round(utc_s * 1e6).to_bytes(8, "big")


def _item(tag: int, value: bytes) -> bytes:
    return _ber_oid(tag) + _ber(len(value)) + value


def _ber(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    data = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(data)]) + data


def _ber_oid(tag: int) -> bytes:
    groups = [tag & 0x7F]
    while tag := tag >> 7:
        groups.append(0x80 | (tag & 0x7F))
    return bytes(reversed(groups))


def _frame(data: bytes, at: int) -> tuple[int, int]:
    if data[at : at + 16] != UAS_KEY:
        raise KlvInvalid(f"offset {at}: the packet does not start with the key of the UAS local set")
    size, start = _read_length(data, at + 16, len(data))
    if start + size > len(data):
        raise KlvInvalid(f"offset {at + 16}: a packet of {size} bytes in {len(data) - start} bytes")
    return start, start + size


def _read_length(data: bytes, at: int, end: int) -> tuple[int, int]:
    if at >= end:
        raise KlvInvalid(f"offset {at}: the packet ends before a length")
    first = data[at]
    if first < 0x80:
        return first, at + 1
    octets = first & 0x7F
    if not 1 <= octets <= 8 or at + 1 + octets > end:
        raise KlvInvalid(f"offset {at}: a BER length of {octets} octets")
    return int.from_bytes(data[at + 1 : at + 1 + octets], "big"), at + 1 + octets


def _read_tag(data: bytes, at: int, end: int) -> tuple[int, int]:
    tag = 0
    for count, octet in enumerate(data[at : min(at + 4, end)], 1):
        tag = tag << 7 | octet & 0x7F
        if octet < 0x80:
            if tag == 0:
                break
            return tag, at + count
    raise KlvInvalid(f"offset {at}: no tag in BER-OID form")


def _check(data: bytes, value_at: int, size: int, end: int, verify: bool) -> None:
    if size != 2 or value_at + size != end:
        raise KlvInvalid(f"offset {value_at}: the checksum is {size} bytes, or is not the last item")
    stated, counted = int.from_bytes(data[value_at:end], "big"), checksum(data[:value_at])
    if verify and stated != counted:
        raise KlvInvalid(f"offset {value_at}: checksum 0x{stated:04x}, but the bytes sum to 0x{counted:04x}")


def _take(found: dict[str, Any], tag: int, value: bytes, at: int) -> None:
    if tag in _TEXTS:
        try:
            found[_TEXTS[tag]] = value.decode()
        except UnicodeDecodeError as exc:
            raise KlvInvalid(f"offset {at}: item {tag} is not UTF-8: {exc.reason}") from exc
        return
    size = {_TIME: 8, _VERSION: 1}.get(tag) or _NUMBERS[tag].size
    if len(value) != size:
        raise KlvInvalid(f"offset {at}: item {tag} is {len(value)} bytes, not {size}")
    if tag == _TIME:
        found["utc_s"] = int.from_bytes(value, "big") / 1e6
    elif tag == _VERSION:
        found["version"] = value[0]
    else:
        item = _NUMBERS[tag]
        number = item.from_bytes(value)
        if item.index is None:
            found[item.field] = number
        elif number is not None:
            found.setdefault(item.field, {})[item.index] = number
