"""What makers of drones write into photographs: the names of their tags, and the datums of their heights.

Tried on real pictures: DJI (Phantom 3, Phantom 4 RTK) and senseFly (`sensefly:`). Taken from the makers' pages and from
tags of public samples, and not tried on a picture: Skydio, Autel, Parrot, the `Camera:` tags that Pix4D defined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geo.geoids import HeightDatum, amsl_m
from geo.mountings import DOWN, attitude_of
from geo.poses import Attitude, PoseSigmas
from geo.xmp import Tags, number, numbers

PLACES = (
    ("drone-dji:GpsLongitude", "drone-dji:GpsLatitude"),
    ("drone-dji:GpsLongtitude", "drone-dji:GpsLatitude"),
    ("drone:GpsLongitude", "drone:GpsLatitude"),
    ("drone:GpsLongtitude", "drone:GpsLatitude"),
    ("drone-skydio:Longitude", "drone-skydio:Latitude"),
    ("sensefly:Longitude", "sensefly:Latitude"),
)
"""Tags of lon and lat; `Longtitude` is how DJI long wrote it, and Autel (`drone:`) after it."""

VIEWS = tuple(
    (f"{prefix}Roll{suffix}", f"{prefix}Pitch{suffix}", f"{prefix}Yaw{suffix}")
    for prefix, suffix in (
        ("drone-dji:Gimbal", "Degree"),
        ("drone:Gimbal", "Degree"),
        ("drone-skydio:CameraOrientationNED/", ""),
        ("drone-parrot:Camera", "Degree"),
    )
)
"""Tags of roll, pitch and yaw of the way the camera looks, in NED (DJI and Skydio say so), turned yaw, pitch, roll."""
FLOORS = (
    ("sensefly:RollAngle", "sensefly:PitchAngle", "sensefly:Heading"),
    ("Camera:Roll", "Camera:Pitch", "Camera:Yaw"),
)
"""Tags of roll, pitch and yaw of a body through whose floor the camera looks: all zero is nadir, north up."""

RTK_FIXED = 50
"""DJI's RtkFlag of a fixed solution (DJI user manuals, photo fields)."""
GEOID_SIGMA_M = 0.5
"""Of EGM96 where a height above the ellipsoid becomes one above the sea, one sigma, m."""


@dataclass(frozen=True)
class Heights:
    """The heights that a photograph states, by what they count from; None where it does not."""

    w84_m: float | None
    """Above the WGS 84 ellipsoid: DJI with RTK, Skydio where `VertCS` says ellipsoidal, Parrot Anafi Ai, senseFly."""
    amsl_m: float | None
    """Above mean sea level as the maker reckons it: senseFly, Skydio's `GpsMslHeight`, Parrot but for the Anafi Ai."""
    above_ground_m: float | None
    """Above the ground below: `Camera:AboveGroundAltitude`."""
    above_take_off_m: float | None
    """Above the take-off point by barometer: DJI, Autel and Skydio."""
    stated_m: float | None
    """Any other, of a datum that the file does not make certain: DJI without RTK, Autel, Skydio X2."""

    def sea_level_m(self, lon: float, lat: float) -> tuple[float, str] | None:
        """Height AMSL (EGM96) of the camera and how it was found; None where none can be believed without terrain.

        Raises GeoidMissing.
        """
        if self.w84_m is not None:
            height_m = float(amsl_m(self.w84_m, lon, lat, datum=HeightDatum.W84))
            return height_m, f"height {self.w84_m:.2f} m above the ellipsoid as the file states it, less EGM96"
        if self.amsl_m is not None:
            return self.amsl_m, "height AMSL as the file states it"
        return None


def heights_of(tags: Tags, *, make: str, model: str, gps_m: float | None) -> Heights:
    """The heights of a photograph; `gps_m` is its EXIF GPSAltitude."""
    w84_m = sea_m = None
    stated_m = next(
        (found for found in (number(tags, f"{prefix}:AbsoluteAltitude") for prefix in PREFIXES) if found is not None),
        gps_m,
    )
    if has_rtk(tags):
        w84_m = number(tags, "drone-dji:AbsoluteAltitude")
    elif tags.get("drone-skydio:VertCS", "").lower() == "ellipsoidal":
        w84_m = number(tags, "drone-skydio:AbsoluteAltitude")
    elif "sensefly:AltitudeWGS84" in tags:
        w84_m = number(tags, "sensefly:AltitudeWGS84")
    elif make.lower() == "parrot" and "anafiai" in model.lower().replace(" ", ""):
        w84_m = gps_m
    elif make.lower() == "parrot":
        sea_m = gps_m
    sea_m = number(tags, "sensefly:AltitudeAMSL") or number(tags, "drone-skydio:GpsMslHeight") or sea_m
    relative = (number(tags, f"{prefix}:RelativeAltitude") for prefix in PREFIXES)
    return Heights(
        w84_m=w84_m,
        amsl_m=sea_m,
        above_ground_m=number(tags, "Camera:AboveGroundAltitude"),
        above_take_off_m=next((found for found in relative if found is not None), None),
        stated_m=stated_m,
    )


PREFIXES = ("drone-dji", "drone", "drone-skydio")
"""Of makers that write AbsoluteAltitude and RelativeAltitude: DJI, Autel, Skydio."""


def has_rtk(tags: Tags) -> bool:
    """Whether DJI's height is that of an RTK receiver, above the ellipsoid."""
    return tags.get("drone-dji:AltitudeType", "").lower() == "rtkalt" or bool(number(tags, "drone-dji:RtkFlag"))


def place_of(tags: Tags) -> tuple[float, float] | None:
    """Lon and lat, deg; None where no maker's tags have them."""
    for names in PLACES:
        found = numbers(tags, *names)
        if found is not None:
            return found[0], found[1]
    return None


def attitude_of_camera(tags: Tags) -> Attitude | None:
    """Of the camera, forward is the boresight; None where no maker's tags have it."""
    for names in VIEWS:
        yaw_pitch = numbers(tags, names[2], names[1])
        if yaw_pitch is not None:
            return Attitude(roll_deg=number(tags, names[0]) or 0.0, pitch_deg=yaw_pitch[1], yaw_deg=yaw_pitch[0])
    for names in FLOORS:
        found = numbers(tags, *names)
        if found is not None:
            body = Attitude(roll_deg=found[0], pitch_deg=found[1], yaw_deg=found[2])
            return attitude_of(body.ned_from_body() @ DOWN.ned_from_body())
    return None


def velocity_of(tags: Tags) -> tuple[float, float, float]:
    """East, north and up, m/s, as DJI states it (its X is north, its Y east); the vertical part is left out, since the
    manuals do not say which way it counts. Zeros where nothing is stated."""
    found = numbers(tags, "drone-dji:FlightXSpeed", "drone-dji:FlightYSpeed")
    return (0.0, 0.0, 0.0) if found is None else (found[1], found[0], 0.0)


def sigmas_of(tags: Tags) -> PoseSigmas:
    """Errors to expect: of position as stated, else of a consumer GPS; of gimbal and compass the usual ones."""
    if number(tags, "drone-dji:RtkFlag") == RTK_FIXED:
        across = [number(tags, f"drone-dji:RtkStd{axis}") or 0.03 for axis in ("Lon", "Lat")]
        up = number(tags, "drone-dji:RtkStdHgt") or 0.05
        return PoseSigmas(
            horizontal_m=max(*across, 0.02),
            vertical_m=float(np.hypot(up, GEOID_SIGMA_M)),
            tilt_deg=0.5,
            yaw_deg=2.0,
            time_s=0.0,
        )
    across_m = number(tags, "drone-skydio:GpsHorizontalAccuracy") or number(tags, "Camera:GPSXYAccuracy") or 3.0
    up_m = number(tags, "drone-skydio:GpsVerticalAccuracy") or number(tags, "Camera:GPSZAccuracy") or 3.0
    return PoseSigmas(
        horizontal_m=max(across_m, 0.02), vertical_m=max(up_m, GEOID_SIGMA_M), tilt_deg=0.8, yaw_deg=3.0, time_s=0.0
    )
