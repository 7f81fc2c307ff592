"""What a packet of the MISB ST 0601 UAS Datalink Local Set says, and how each of its items is written.

Source: MISB ST 0601.19 (items, units, ranges).
"""

from __future__ import annotations

import msgspec

from geo.klv_forms import Form, Imapb, Linear, Moment, Opaque, Text, Whole

LS_VERSION = 19
"""Revision of ST 0601 that is written."""


class ItemErrors(msgspec.Struct, frozen=True, kw_only=True):
    """Standard deviations and correlations of some items, as item 102 gives them (MISB ST 1010)."""

    tags: tuple[int, ...]
    """The items, in the order of the matrix."""
    pack: bytes
    """The pack as it stands; `geo.klv_errors.decode` reads it."""


class UasMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One packet. A field is None where the packet lacks the item or says that its value is unknown or out of range."""

    utc_s: float
    """Item 2: moment of the frame, s since 1970 UTC, kept to the microsecond; items 136 and 137, where they are there,
    are taken into account."""
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
    true_airspeed_m_s: float | None = None
    """Item 8: whole m/s."""
    indicated_airspeed_m_s: float | None = None
    """Item 9: whole m/s."""
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
    corner_offsets_deg: tuple[float | None, ...] | None = None
    """Items 26 to 33: lat and lon of corners 1 to 4 (upper left, clockwise) less the frame center's, 8 numbers, deg;
    None where a corner is not on the earth."""
    density_altitude_m: float | None = None
    """Item 38: m."""
    target_lat_deg: float | None = None
    """Item 40: of the target aimed at or tracked, WGS 84, deg."""
    target_lon_deg: float | None = None
    """Item 41: WGS 84, deg."""
    target_amsl_m: float | None = None
    """Item 42: elevation of the target above mean sea level, m."""
    track_gate_width_px: float | None = None
    """Item 43: width of the box about the tracked target, px, in steps of 2."""
    track_gate_height_px: float | None = None
    """Item 44: height of that box, px, in steps of 2."""
    target_ce90_m: float | None = None
    """Item 45: horizontal error of the target's place, radius of the circle of 90 %, m."""
    target_le90_m: float | None = None
    """Item 46: vertical error of the target's place, 90 %, m."""
    generic_flags: int | None = None
    """Item 47: bits from the lowest: laser range, auto-track, IR black hot, icing, slant range measured, image
    invalid."""
    security_set: bytes | None = None
    """Item 48: ST 0102 security local set as it stands; `geo.klv_security` reads and writes it."""
    angle_of_attack_deg: float | None = None
    """Item 50: within 20 deg."""
    vertical_speed_m_s: float | None = None
    """Item 51: of the platform, up positive, m/s."""
    sideslip_deg: float | None = None
    """Item 52: within 20 deg."""
    ground_speed_m_s: float | None = None
    """Item 56: of the platform, whole m/s."""
    ground_range_m: float | None = None
    """Item 57: horizontal distance from the platform to the frame center, m."""
    call_sign: str | None = None
    """Item 59: of the platform."""
    field_of_view_name: int | None = None
    """Item 63: 0 ultranarrow, 1 narrow, 2 medium, 3 wide, 4 ultrawide, 5 narrow medium, 6 and 7 twice and four times
    ultranarrow, 8 continuous zoom."""
    magnetic_heading_deg: float | None = None
    """Item 64: of the platform, from magnetic north, deg."""
    version: int | None = LS_VERSION
    """Item 65: revision of ST 0601."""
    alternate_lat_deg: float | None = None
    """Item 67: of another platform that this one is connected to, WGS 84, deg."""
    alternate_lon_deg: float | None = None
    """Item 68: WGS 84, deg."""
    alternate_amsl_m: float | None = None
    """Item 69: m above mean sea level."""
    alternate_name: str | None = None
    """Item 70: of the other platform."""
    alternate_heading_deg: float | None = None
    """Item 71: of the other platform, from true north, deg."""
    event_start_utc_s: float | None = None
    """Item 72: start of the mission or event, s since 1970 UTC."""
    vmti_set: bytes | None = None
    """Item 74: ST 0903 set of moving targets as it stands; `geo.klv_vmti` reads and writes it."""
    sensor_hae_m: float | None = None
    """Item 75: height of the sensor above the WGS 84 ellipsoid, m."""
    alternate_hae_m: float | None = None
    """Item 76: height of the other platform above the ellipsoid, m."""
    operational_mode: int | None = None
    """Item 77: 0 other, 1 operational, 2 training, 3 exercise, 4 maintenance, 5 test."""
    frame_center_hae_m: float | None = None
    """Item 78: height of the frame center above the ellipsoid, m."""
    north_velocity_m_s: float | None = None
    """Item 79: of the sensor, m/s."""
    east_velocity_m_s: float | None = None
    """Item 80: of the sensor, m/s."""
    corners_deg: tuple[float | None, ...] | None = None
    """Items 82 to 89: lat and lon of corners 1 to 4 (upper left, clockwise), 8 numbers, deg; None where a corner is not
    on the earth."""
    platform_pitch_full_deg: float | None = None
    """Item 90: as item 6, within 90 deg and finer."""
    platform_roll_full_deg: float | None = None
    """Item 91: as item 7, within 90 deg and finer."""
    angle_of_attack_full_deg: float | None = None
    """Item 92: as item 50, within 90 deg and finer."""
    sideslip_full_deg: float | None = None
    """Item 93: as item 52, within 180 deg and finer."""
    miis_core_id: bytes | None = None
    """Item 94: MIIS core identifier (MISB ST 1204), binary."""
    target_width_extended_m: float | None = None
    """Item 96: as item 22, up to 1500 km."""
    range_image_set: bytes | None = None
    """Item 97: range image local set (MISB ST 1002) as it stands."""
    errors: tuple[ItemErrors, ...] = ()
    """Item 102, as often as it stands: errors of other items of this packet."""
    density_altitude_extended_m: float | None = None
    """Item 103: as item 38, up to 40 km and finer."""
    sensor_hae_extended_m: float | None = None
    """Item 104: as item 75, up to 40 km and finer."""
    alternate_hae_extended_m: float | None = None
    """Item 105: as item 76, up to 40 km and finer."""
    stream_designator: str | None = None
    """Item 106: name of the stream."""
    operational_base: str | None = None
    """Item 107: where the vehicle starts and lands."""
    broadcast_source: str | None = None
    """Item 108: where the stream is first sent from."""
    course_deg: float | None = None
    """Item 112: direction over ground from true north, 0 to 360 deg."""
    agl_m: float | None = None
    """Item 113: height above the ground below, m."""
    radar_altimeter_m: float | None = None
    """Item 114: height above the ground as measured, m."""
    azimuth_rate_deg_s: float | None = None
    """Item 117: of the sensor's relative azimuth (item 18), deg/s."""
    elevation_rate_deg_s: float | None = None
    """Item 118: of the sensor's relative elevation (item 19), deg/s."""
    roll_rate_deg_s: float | None = None
    """Item 119: of the sensor's relative roll (item 20), deg/s."""
    satellites: int | None = None
    """Item 123: navigation satellites in view."""
    positioning_sources: int | None = None
    """Item 124: bits from the lowest: INS, GPS, Galileo, QZSS, NavIC, GLONASS, BeiDou 1, BeiDou 2."""
    platform_status: int | None = None
    """Item 125: 0 active, 1 pre-flight, 2 taxiing, 3 run-up, 4 take-off, 5 ingress, 6 manual, 7 orbit, 8 transition,
    9 egress, 10 landing, 11 taxiing after landing, 12 parked."""
    sensor_control_mode: int | None = None
    """Item 126: 0 off, 1 home position, 2 uncontrolled, 3 manual, 4 calibrating, 5 holding, 6 tracking."""
    target_id: str | None = None
    """Item 129: of the target aimed at, at most 32 bytes."""
    take_off_utc_s: float | None = None
    """Item 131: s since 1970 UTC."""
    zoom_percent: float | None = None
    """Item 134: 0 widest, 100 narrowest."""
    leap_seconds: int | None = None
    """Item 136: by how much the clock of item 2 is ahead of UTC, s."""
    correction_us: int | None = None
    """Item 137: what is to be added to item 2, microseconds."""
    other: tuple[tuple[int, bytes], ...] = ()
    """Items that are not named above, as they came: tag and value; and named ones of no length, which say that the
    value is not known now."""


_HEADING = Linear(2, 0, 360)
_ALTITUDE = Linear(2, -900, 19_000)
_LAT = Linear(4, -90, 90, signed=True)
_LON = Linear(4, -180, 180, signed=True)
_OFFSET = Linear(2, -0.075, 0.075, signed=True)
_SPEED = Linear(1, 0, 255)
_HEIGHT = Imapb(3, -900, 40_000)
_RATE = Imapb(3, -1000, 1000)

TIME, VERSION, ERRORS = 2, 65, 102
ITEMS: dict[int, tuple[str, Form]] = {
    TIME: ("utc_s", Moment()),
    3: ("mission", Text()),
    4: ("tail_number", Text()),
    5: ("platform_heading_deg", _HEADING),
    6: ("platform_pitch_deg", Linear(2, -20, 20, signed=True)),
    7: ("platform_roll_deg", Linear(2, -50, 50, signed=True)),
    8: ("true_airspeed_m_s", _SPEED),
    9: ("indicated_airspeed_m_s", _SPEED),
    10: ("platform_designation", Text()),
    11: ("image_source_sensor", Text()),
    12: ("image_coordinate_system", Text()),
    13: ("sensor_lat_deg", _LAT),
    14: ("sensor_lon_deg", _LON),
    15: ("sensor_amsl_m", _ALTITUDE),
    16: ("hfov_deg", Linear(2, 0, 180)),
    17: ("vfov_deg", Linear(2, 0, 180)),
    18: ("sensor_relative_azimuth_deg", Linear(4, 0, 360)),
    19: ("sensor_relative_elevation_deg", _LON),
    20: ("sensor_relative_roll_deg", Linear(4, 0, 360)),
    21: ("slant_range_m", Linear(4, 0, 5_000_000)),
    22: ("target_width_m", Linear(2, 0, 10_000)),
    23: ("frame_center_lat_deg", _LAT),
    24: ("frame_center_lon_deg", _LON),
    25: ("frame_center_amsl_m", _ALTITUDE),
    38: ("density_altitude_m", _ALTITUDE),
    40: ("target_lat_deg", _LAT),
    41: ("target_lon_deg", _LON),
    42: ("target_amsl_m", _ALTITUDE),
    43: ("track_gate_width_px", Linear(1, 0, 510)),
    44: ("track_gate_height_px", Linear(1, 0, 510)),
    45: ("target_ce90_m", Linear(2, 0, 4095)),
    46: ("target_le90_m", Linear(2, 0, 4095)),
    47: ("generic_flags", Whole(1)),
    48: ("security_set", Opaque()),
    50: ("angle_of_attack_deg", Linear(2, -20, 20, signed=True)),
    51: ("vertical_speed_m_s", Linear(2, -180, 180, signed=True)),
    52: ("sideslip_deg", Linear(2, -20, 20, signed=True)),
    56: ("ground_speed_m_s", _SPEED),
    57: ("ground_range_m", Linear(4, 0, 5_000_000)),
    59: ("call_sign", Text()),
    63: ("field_of_view_name", Whole(1)),
    64: ("magnetic_heading_deg", _HEADING),
    VERSION: ("version", Whole(1)),
    67: ("alternate_lat_deg", _LAT),
    68: ("alternate_lon_deg", _LON),
    69: ("alternate_amsl_m", _ALTITUDE),
    70: ("alternate_name", Text()),
    71: ("alternate_heading_deg", _HEADING),
    72: ("event_start_utc_s", Moment()),
    74: ("vmti_set", Opaque()),
    75: ("sensor_hae_m", _ALTITUDE),
    76: ("alternate_hae_m", _ALTITUDE),
    77: ("operational_mode", Whole(1)),
    78: ("frame_center_hae_m", _ALTITUDE),
    79: ("north_velocity_m_s", Linear(2, -327, 327, signed=True)),
    80: ("east_velocity_m_s", Linear(2, -327, 327, signed=True)),
    90: ("platform_pitch_full_deg", _LAT),
    91: ("platform_roll_full_deg", _LAT),
    92: ("angle_of_attack_full_deg", _LAT),
    93: ("sideslip_full_deg", _LON),
    94: ("miis_core_id", Opaque()),
    96: ("target_width_extended_m", Imapb(3, 0, 1_500_000)),
    97: ("range_image_set", Opaque()),
    103: ("density_altitude_extended_m", _HEIGHT),
    104: ("sensor_hae_extended_m", _HEIGHT),
    105: ("alternate_hae_extended_m", _HEIGHT),
    106: ("stream_designator", Text()),
    107: ("operational_base", Text()),
    108: ("broadcast_source", Text()),
    112: ("course_deg", Imapb(2, 0, 360)),
    113: ("agl_m", _HEIGHT),
    114: ("radar_altimeter_m", _HEIGHT),
    117: ("azimuth_rate_deg_s", _RATE),
    118: ("elevation_rate_deg_s", _RATE),
    119: ("roll_rate_deg_s", _RATE),
    123: ("satellites", Whole(1)),
    124: ("positioning_sources", Whole(1)),
    125: ("platform_status", Whole(1)),
    126: ("sensor_control_mode", Whole(1)),
    129: ("target_id", Text(32)),
    131: ("take_off_utc_s", Moment(variable=True)),
    134: ("zoom_percent", Imapb(2, 0, 100)),
    136: ("leap_seconds", Whole(4, signed=True, variable=True)),
    137: ("correction_us", Whole(8, signed=True, variable=True)),
}
"""Tag to field and form, for items of one field each."""
CORNERS: dict[str, tuple[int, tuple[Linear, ...]]] = {
    "corner_offsets_deg": (26, (_OFFSET,) * 8),
    "corners_deg": (82, (_LAT, _LON) * 4),
}
"""Field to the first of its eight tags and their forms."""
NAMED = {1, ERRORS, *ITEMS, *(first + i for first, _ in CORNERS.values() for i in range(8))}
"""All tags that have a field."""
