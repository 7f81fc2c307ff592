"""Poses and places of MISB ST 0601 metadata, and metadata of poses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geo.errors import KlvInvalid
from geo.klv_uas import UasMetadata
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position


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
