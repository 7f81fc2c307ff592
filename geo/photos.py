"""Photographs with their pose: EXIF and XMP as DJI and senseFly write them, traps of their heights included.

Heights in these files: DJI's RelativeAltitude is above the take-off point by barometer, not above the ground below.
DJI's AbsoluteAltitude (and EXIF GPSAltitude beside it) claims sea level, but is above the ellipsoid on most models,
and by barometer on others: the two differ by the geoid, 30 m and more. senseFly states both AMSL and WGS 84.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from geo.camera_library import camera_of_exif
from geo.cameras import BrownCamera
from geo.errors import PhotoInvalid
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, Position
from geo.terrain import Terrain

FULL_FRAME_DIAGONAL_MM = 43.267
"""Of the 36 x 24 mm frame that equivalent focal lengths refer to."""
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
RTK_FIXED = 50
"""DJI's RtkFlag of a fixed solution (DJI user manuals, photo fields)."""


@dataclass(frozen=True)
class Photo:
    """What a photograph says about itself."""

    model: str
    """Camera, as EXIF names it."""
    camera: BrownCamera
    """Interior orientation."""
    utc_s: float
    """When it was taken, s since 1970 UTC."""
    lon: float
    """Longitude, deg."""
    lat: float
    """Latitude, deg."""
    attitude: Attitude
    """Of the camera, forward is the boresight."""
    above_take_off_m: float | None
    """Height above the take-off point, m, if stated."""
    amsl_m: float | None
    """Height above mean sea level, m, if stated as such by a source that can be believed."""
    stated_m: float | None
    """EXIF GPSAltitude or DJI AbsoluteAltitude, m: of a datum that the file does not make certain."""
    sigmas: PoseSigmas
    """What errors to expect."""
    notes: tuple[str, ...] = field(default=())
    """What was assumed."""

    def pose_above(self, terrain: Terrain, *, ground_is_flat: bool) -> tuple[Pose, tuple[str, ...]]:
        """The pose with a height AMSL, and how that was found.

        A trusted AMSL height is taken as it is. Else the height above take-off is added to the ground, at the
        place of the camera (the take-off is not recorded). Else the stated height is taken as AMSL.
        Raises TerrainMissing, PhotoInvalid where no height is stated.
        """
        if self.amsl_m is not None:
            amsl_m, note = self.amsl_m, "height AMSL as the file states it"
        elif self.above_take_off_m is not None:
            amsl_m = float(terrain.amsl_m(self.lon, self.lat)) + self.above_take_off_m
            note = f"camera {self.above_take_off_m:.2f} m above take-off; " + (
                "take-off taken to be on the ground height given"
                if ground_is_flat
                else "take-off taken to be at the height of the DEM below the camera"
            )
        elif self.stated_m is not None:
            amsl_m, note = self.stated_m, "GPS height taken as AMSL: it may be above the ellipsoid, tens of metres off"
        else:
            raise PhotoInvalid("the photograph states no height: neither EXIF GPSAltitude nor XMP")
        position = Position(lon=self.lon, lat=self.lat, altitude=Altitude(amsl_m, Datum.AMSL))
        return Pose(utc_s=self.utc_s, position=position, attitude=self.attitude), (note,)


def read_photo(path: Path | str) -> Photo:
    """Camera and pose of a photograph. Raises PhotoInvalid that says what is missing or broken."""
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            details, gps = dict(exif.get_ifd(EXIF_IFD)), dict(exif.get_ifd(GPS_IFD))
            size = image.size
            xmp = image.info.get("xmp", b"")
            model = str(exif.get(0x0110, "")).strip().strip("\x00")
    except FileNotFoundError as exc:
        raise PhotoInvalid(f"{path}: no such file") from exc
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise PhotoInvalid(f"{path}: not a picture that can be read: {exc}") from exc
    tags = _xmp_tags(xmp if isinstance(xmp, bytes) else str(xmp).encode())
    notes: list[str] = []
    lon, lat = _place(path, gps, tags)
    return Photo(
        model=model or "unknown",
        camera=_camera(path, model, size, details, tags, notes),
        utc_s=_utc_s(details, gps, tags, notes),
        lon=lon,
        lat=lat,
        attitude=_attitude(path, tags),
        above_take_off_m=_number(tags, "drone-dji:RelativeAltitude"),
        amsl_m=_number(tags, "sensefly:AltitudeAMSL"),
        stated_m=_stated_m(gps, tags),
        sigmas=_sigmas(tags),
        notes=tuple(notes),
    )


def _xmp_tags(xmp: bytes) -> dict[str, str]:
    """prefix:Name to text, from attributes and from plain elements; no XML parser, so no entities are expanded."""
    text = xmp.decode("utf-8", "replace")
    tags = dict(re.findall(r'([\w-]+:\w+)\s*=\s*"([^"]*)"', text))
    tags.update(re.findall(r"<([\w-]+:\w+)>([^<]*)</", text))
    return tags


def _number(tags: dict[str, str], name: str) -> float | None:
    try:
        value = float(tags[name])
    except (KeyError, ValueError):
        return None
    return value if np.isfinite(value) else None


def _ratio(value: object) -> float | None:
    """A number of EXIF, None where it is no finite one (DJI writes 0/0)."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if np.isfinite(number) else None


def _place(path: Path | str, gps: dict[int, object], tags: dict[str, str]) -> tuple[float, float]:
    for prefix in ("drone-dji:Gps", "sensefly:"):
        for spelling in ("Longitude", "Longtitude"):  # the second is how DJI long wrote it
            lon, lat = _number(tags, prefix + spelling), _number(tags, prefix + "Latitude")
            if lon is not None and lat is not None:
                return _checked(path, lon, lat)
    lon, lat = _degrees(gps.get(4)), _degrees(gps.get(2))
    if lon is None or lat is None:
        raise PhotoInvalid(f"{path}: holds no GPS position")
    return _checked(path, -lon if gps.get(3) == "W" else lon, -lat if gps.get(1) == "S" else lat)


def _checked(path: Path | str, lon: float, lat: float) -> tuple[float, float]:
    if abs(lon) > 180 or abs(lat) > 90 or (lon == 0 and lat == 0):
        raise PhotoInvalid(f"{path}: lon {lon:g}, lat {lat:g} is not where a photograph is taken (no GPS fix?)")
    return lon, lat


def _degrees(value: object) -> float | None:
    if not isinstance(value, tuple) or len(value) != 3:
        return None
    parts = [_ratio(part) for part in value]
    if any(part is None for part in parts):
        return None
    degrees, minutes, seconds = (part or 0.0 for part in parts)
    return degrees + minutes / 60 + seconds / 3600


def _stated_m(gps: dict[int, object], tags: dict[str, str]) -> float | None:
    stated = _number(tags, "drone-dji:AbsoluteAltitude")
    if stated is not None:
        return stated
    height = _ratio(gps.get(6))
    return None if height is None else (-height if gps.get(5) in (b"\x01", 1) else height)


def _camera(
    path: Path | str,
    model: str,
    size: tuple[int, int],
    details: dict[int, object],
    tags: dict[str, str],
    notes: list[str],
) -> BrownCamera:
    """From DJI's calibration, else the library with the EXIF focal length, else the equivalent focal length."""
    width, height = size
    dewarp = [float(part) for part in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", tags.get("drone-dji:DewarpData", ""))]
    if len(dewarp) == 9 and tags.get("drone-dji:DewarpFlag", "0") == "0":
        fx, _, cx, cy, k1, k2, p1, p2, k3 = dewarp
        centre = ((width - 1) / 2 + cx, (height - 1) / 2 + cy)
        notes.append("lens: the calibration in DJI's DewarpData")
        return BrownCamera(
            width_px=width, height_px=height, focal_px=fx, center_px=centre, k1=k1, k2=k2, p1=p1, p2=p2, k3=k3
        )
    known, focal_mm, equivalent_mm = camera_of_exif(model), _ratio(details.get(37386)), _ratio(details.get(41989))
    if known is not None:
        focal_px = (focal_mm or known.focal_mm) / known.sensor_width_mm * max(width, height)
        notes.append(f"lens: {known.slug} of the library at {focal_mm or known.focal_mm:g} mm, no distortion known")
    elif equivalent_mm:
        focal_px = equivalent_mm / FULL_FRAME_DIAGONAL_MM * float(np.hypot(width, height))
        notes.append(f"lens: {equivalent_mm:g} mm equivalent focal length of EXIF, no distortion known")
    else:
        raise PhotoInvalid(
            f"{path}: camera {model or 'unknown'!r} is not in the library and EXIF gives no focal length"
        )
    return BrownCamera(width_px=width, height_px=height, focal_px=focal_px, k1=known.k1 if known else 0.0)


def _attitude(path: Path | str, tags: dict[str, str]) -> Attitude:
    yaw, pitch = _number(tags, "drone-dji:GimbalYawDegree"), _number(tags, "drone-dji:GimbalPitchDegree")
    if yaw is not None and pitch is not None:
        roll = _number(tags, "drone-dji:GimbalRollDegree") or 0.0
        return Attitude(roll_deg=roll, pitch_deg=pitch, yaw_deg=yaw)
    heading = _number(tags, "sensefly:Heading")
    pitch, roll_or_none = _number(tags, "sensefly:PitchAngle"), _number(tags, "sensefly:RollAngle")
    if heading is not None and pitch is not None and roll_or_none is not None:
        body = Attitude(roll_deg=roll_or_none, pitch_deg=pitch, yaw_deg=heading).ned_from_body()
        return _attitude_of(body @ Attitude(pitch_deg=-90.0, yaw_deg=0.0).ned_from_body())
    raise PhotoInvalid(f"{path}: XMP states no direction of view (neither DJI's gimbal angles nor senseFly's attitude)")


def _attitude_of(ned_from_body: NDArray[np.float64]) -> Attitude:
    """The angles of a rotation; looking straight down, all of the turn is yaw."""
    pitch = -np.arcsin(np.clip(ned_from_body[2, 0], -1, 1))
    if abs(np.cos(pitch)) < 1e-6:
        yaw, roll = np.arctan2(-ned_from_body[0, 1], ned_from_body[1, 1]), 0.0
    else:
        yaw = np.arctan2(ned_from_body[1, 0], ned_from_body[0, 0])
        roll = float(np.arctan2(ned_from_body[2, 1], ned_from_body[2, 2]))
    degrees = np.degrees([roll, pitch, yaw]).tolist()
    return Attitude(roll_deg=degrees[0], pitch_deg=degrees[1], yaw_deg=degrees[2])


def _utc_s(details: dict[int, object], gps: dict[int, object], tags: dict[str, str], notes: list[str]) -> float:
    clock = gps.get(7)
    if isinstance(clock, tuple) and len(clock) == 3 and isinstance(gps.get(29), str):
        hours, minutes, seconds = (_ratio(part) or 0.0 for part in clock)
        day = _moment(str(gps[29]), "%Y:%m:%d")
        if day is not None:
            return day + hours * 3600 + minutes * 60 + seconds
    stated = _moment(tags.get("sensefly:UTCTime", ""), "%Y-%m-%dT%H:%M:%S")
    if stated is not None:
        return stated
    local = _moment(str(details.get(36867, "")), "%Y:%m:%d %H:%M:%S")
    notes.append("time: EXIF states no zone, taken as UTC" if local is not None else "time: none stated")
    return local if local is not None else 0.0


def _moment(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text.strip("\x00 "), form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _sigmas(tags: dict[str, str]) -> PoseSigmas:
    """Errors to expect of a consumer GPS and gimbal, or of RTK where the file states it."""
    if _number(tags, "drone-dji:RtkFlag") == RTK_FIXED:
        across = [_number(tags, f"drone-dji:RtkStd{axis}") or 0.03 for axis in ("Lon", "Lat")]
        return PoseSigmas(horizontal_m=max(*across, 0.02), vertical_m=2.0, tilt_deg=0.5, yaw_deg=2.0, time_s=0.0)
    return PoseSigmas(horizontal_m=3.0, vertical_m=3.0, tilt_deg=0.8, yaw_deg=3.0, time_s=0.0)
