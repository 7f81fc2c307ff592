"""Photographs with their pose: EXIF, and XMP as makers of drones write it, traps of their heights included.

DJI's AbsoluteAltitude claims sea level, but is above the ellipsoid with RTK and on many models without, and by
barometer on others: the two differ by the geoid, 30 m and more. What each maker's tags count from stands in
`geo.photo_tags`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image, UnidentifiedImageError

from geo.calibrations import Lens
from geo.errors import PhotoInvalid, TerrainMissing
from geo.geoids import HeightDatum, geoid
from geo.photo_lenses import lens_of, ratio
from geo.photo_tags import Heights, attitude_of_camera, heights_of, place_of, sigmas_of, velocity_of
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position, distance_m
from geo.terrain import Terrain
from geo.xmp import Tags, xmp_tags

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
MAKE, MODEL, ORIENTATION = 0x010F, 0x0110, 0x0112
TAKEN, OFFSET, TAKEN_OFFSET = 0x9003, 0x9010, 0x9011
"""DateTimeOriginal, OffsetTime and OffsetTimeOriginal (EXIF 2.31)."""
UPRIGHT = 1
TAKE_OFF_REACH_M = 300.0
"""Take-offs are within so much of where pictures are taken, m."""
MOST_APART_M = 1000.0
"""Two places that one photograph states may differ by so much, m: receivers do, signs and swapped axes do not."""
LEAST_DATUM_SIGMA_M = 5.0
"""Of a height whose datum is not certain, one sigma, even where ellipsoid and sea level agree, m."""
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".tif", ".tiff", ".dng", ".png")


@dataclass(frozen=True)
class Photo:
    """What a photograph says about itself."""

    model: str
    """Camera, as EXIF names it."""
    camera: Lens
    """Interior orientation."""
    utc_s: float
    """When it was taken, s since 1970 UTC."""
    lon: float
    """Longitude, deg."""
    lat: float
    """Latitude, deg."""
    attitude: Attitude
    """Of the camera, forward is the boresight."""
    heights: Heights
    """What it states of its height."""
    sigmas: PoseSigmas
    """What errors to expect."""
    velocity_enu_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """East, north and up, m/s, where it is stated."""
    notes: tuple[str, ...] = field(default=())
    """What was assumed."""

    def pose_above(self, terrain: Terrain, *, ground_is_flat: bool) -> tuple[Pose, tuple[str, ...]]:
        """The pose with a height AMSL, and how that was found.

        A height of a certain datum is taken as it is. Else the height above ground or take-off is added to the ground
        below the camera (the take-off is not recorded). Else the stated height is taken as AMSL.
        Raises TerrainMissing, GeoidMissing, PhotoInvalid where no height is stated.
        """
        told, heights = self.heights.sea_level_m(self.lon, self.lat), self.heights
        if told is not None:
            amsl_m, note = told
        elif heights.above_ground_m is not None:
            amsl_m = float(terrain.amsl_m(self.lon, self.lat)) + heights.above_ground_m
            note = f"camera {heights.above_ground_m:.2f} m above the ground below it, as the file states it"
        elif heights.above_take_off_m is not None:
            amsl_m = float(terrain.amsl_m(self.lon, self.lat)) + heights.above_take_off_m
            note = f"camera {heights.above_take_off_m:.2f} m above take-off; " + (
                "take-off taken to be on the ground height given"
                if ground_is_flat
                else "take-off taken to be at the height of the DEM below the camera"
            )
        elif heights.stated_m is not None:
            amsl_m, note = (
                heights.stated_m,
                "GPS height taken as AMSL: it may be above the ellipsoid, tens of metres off",
            )
        else:
            raise PhotoInvalid("the photograph states no height: neither EXIF GPSAltitude nor XMP")
        position = Position(lon=self.lon, lat=self.lat, altitude=Altitude(amsl_m, Datum.AMSL))
        return Pose(utc_s=self.utc_s, position=position, attitude=self.attitude), (note,)

    def sigmas_above(self, terrain: Terrain, *, ground_is_flat: bool) -> PoseSigmas:
        """`sigmas`, the height less certain by what `pose_above` has to assume: that the take-off was as high as the
        ground below the camera, or that a height of unknown datum is above the sea and not above the ellipsoid.

        Raises GeoidMissing.
        """
        heights, assumed_m = self.heights, 0.0
        if heights.w84_m is not None or heights.amsl_m is not None or heights.above_ground_m is not None:
            return self.sigmas
        if heights.above_take_off_m is None:
            assumed_m = max(abs(float(geoid(HeightDatum.EGM96).height_m(self.lon, self.lat))), LEAST_DATUM_SIGMA_M)
        elif not ground_is_flat:
            assumed_m = _relief_m(terrain, self.lon, self.lat)
        vertical_m = math.hypot(self.sigmas.vertical_m, assumed_m)
        return msgspec.structs.replace(self.sigmas, vertical_m=vertical_m)


def _relief_m(terrain: Terrain, lon: float, lat: float) -> float:
    """Standard deviation of the ground's height where a take-off may have been, m; of what is known of it."""
    plane = LocalPlane(lon=lon, lat=lat)
    heights = []
    for angle in np.arange(0, 2 * np.pi, np.pi / 6):
        for away_m in (TAKE_OFF_REACH_M / 2, TAKE_OFF_REACH_M):
            try:
                heights.append(terrain.amsl_m(*plane.to_lonlat(away_m * np.cos(angle), away_m * np.sin(angle))))
            except TerrainMissing:
                continue
    return float(np.std(heights)) if heights else 0.0


def read_photo(path: Path | str, *, lens: Lens | None = None) -> Photo:
    """Camera and pose of a photograph; `lens` instead of what the file tells of its own.

    Raises PhotoInvalid that says what is missing or broken, or that the picture was cropped.
    """
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            details, gps = dict(exif.get_ifd(EXIF_IFD)), dict(exif.get_ifd(GPS_IFD))
            size = image.size
            xmp = image.info.get("xmp", b"")
            make, model, turned = exif.get(MAKE), exif.get(MODEL), exif.get(ORIENTATION)
    except FileNotFoundError as exc:
        raise PhotoInvalid(f"{path}: no such file") from exc
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise PhotoInvalid(f"{path}: not a picture that can be read: {exc}") from exc
    tags = xmp_tags(xmp if isinstance(xmp, bytes) else str(xmp).encode())
    make, model = (_text(told) or tags.get(f"tiff:{name}", "") for told, name in ((make, "Make"), (model, "Model")))
    notes: list[str] = []
    if turned not in (None, 0, UPRIGHT):
        notes.append("pixels are counted in the picture as stored, not as EXIF's orientation turns it")
    attitude = attitude_of_camera(tags)
    if attitude is None:
        raise PhotoInvalid(
            f"{path}: XMP states no direction of view (no angles of DJI, Skydio, Autel, Parrot, senseFly or Pix4D)"
        )
    lon, lat = _place(path, gps, tags)
    return Photo(
        model=model or "unknown",
        camera=lens_of(str(path), model, size, details, tags, notes) if lens is None else _fitted(path, lens, size),
        utc_s=_utc_s(details, gps, tags, notes),
        lon=lon,
        lat=lat,
        attitude=attitude,
        heights=heights_of(tags, make=make, model=model, gps_m=_gps_m(gps)),
        sigmas=sigmas_of(tags),
        velocity_enu_m_s=velocity_of(tags),
        notes=tuple(notes),
    )


def photos_in(folder: Path) -> list[Path]:
    """The pictures of a folder, by name. Raises PhotoInvalid where there is none."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise PhotoInvalid(f"{folder}: holds no pictures ({', '.join(PICTURE_SUFFIXES)})")
    return found


def _text(value: object) -> str:
    return str(value or "").strip().strip("\x00").strip()


def _fitted(path: Path | str, lens: Lens, size: tuple[int, int]) -> Lens:
    try:
        return lens.resized(*size)
    except ValueError as exc:
        raise PhotoInvalid(f"{path}: {exc}: another camera, or cropped") from exc


def _place(path: Path | str, gps: dict[int, object], tags: Tags) -> tuple[float, float]:
    told, lon, lat = place_of(tags), _degrees(gps.get(4)), _degrees(gps.get(2))
    if lon is None or lat is None:
        if told is None:
            raise PhotoInvalid(f"{path}: holds no GPS position")
        return _checked(path, *told)
    east, north = _sign(gps.get(3), "EW"), _sign(gps.get(1), "NS")
    if east is None or north is None:
        if told is None:
            raise PhotoInvalid(
                f"{path}: EXIF does not say whether {lon:g} is east or west and {lat:g} north or south "
                "(GPSLongitudeRef, GPSLatitudeRef)"
            )
        return _checked(path, *told)
    lon, lat = east * lon, north * lat
    if told is None:
        return _checked(path, lon, lat)
    apart_m = float(distance_m(lon, lat, *told))
    if apart_m > MOST_APART_M and (lon, lat) != (0, 0):
        raise PhotoInvalid(
            f"{path}: XMP states lon {told[0]:g}, lat {told[1]:g} and EXIF lon {lon:g}, lat {lat:g}, "
            f"{apart_m / 1000:.1f} km apart: correct one of the two"
        )
    return _checked(path, *told)


def _sign(reference: object, letters: str) -> int | None:
    """1 for the first of two letters, -1 for the second, None where a GPS reference is neither."""
    text = reference.decode("ascii", "replace") if isinstance(reference, bytes) else str(reference or "")
    return {letters[0]: 1, letters[1]: -1}.get(text.strip("\x00 ").upper()[:1])


def _checked(path: Path | str, lon: float, lat: float) -> tuple[float, float]:
    if abs(lon) > 180 or abs(lat) > 90 or (lon == 0 and lat == 0):
        raise PhotoInvalid(f"{path}: lon {lon:g}, lat {lat:g} is not where a photograph is taken (no GPS fix?)")
    return lon, lat


def _degrees(value: object) -> float | None:
    if not isinstance(value, tuple) or len(value) != 3:
        return None
    parts = [ratio(part) for part in value]
    if any(part is None for part in parts):
        return None
    degrees, minutes, seconds = (part or 0.0 for part in parts)
    return degrees + minutes / 60 + seconds / 3600


def _gps_m(gps: dict[int, object]) -> float | None:
    height = ratio(gps.get(6))
    return None if height is None else (-height if gps.get(5) in (b"\x01", 1) else height)


def _utc_s(details: dict[int, object], gps: dict[int, object], tags: Tags, notes: list[str]) -> float:
    clock = gps.get(7)
    if isinstance(clock, tuple) and len(clock) == 3 and isinstance(gps.get(29), str):
        hours, minutes, seconds = (ratio(part) or 0.0 for part in clock)
        day = _moment(str(gps[29]), "%Y:%m:%d")
        if day is not None:
            return day + hours * 3600 + minutes * 60 + seconds
    stated = _moment(tags.get("sensefly:UTCTime", ""), "%Y-%m-%dT%H:%M:%S")
    if stated is not None:
        return stated
    local = _moment(str(details.get(TAKEN, "")), "%Y:%m:%d %H:%M:%S")
    ahead_s = _ahead_s(details.get(TAKEN_OFFSET) or details.get(OFFSET))
    if local is not None and ahead_s is not None:
        return local - ahead_s
    notes.append("time: EXIF states no zone, taken as UTC" if local is not None else "time: none stated")
    return local if local is not None else 0.0


def _ahead_s(offset: object) -> float | None:
    """How far a clock is ahead of UTC, s, of EXIF's offset such as +05:00."""
    found = re.fullmatch(r"([+-])(\d{2}):(\d{2})", _text(offset))
    return None if found is None else float(f"{found[1]}1") * (int(found[2]) * 3600 + int(found[3]) * 60)


def _moment(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text.strip("\x00 "), form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
