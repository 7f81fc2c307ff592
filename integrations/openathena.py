"""OpenAthena's accuracy records: fixes of single pictures joined to surveyed points.

Each row holds a pose, a lens, a picked pixel and the place that the tool found. Three things need care. The columns
called HAE had the geoid's height taken off the height above sea level where it should be added, so that they
are two geoid heights (57 m there) off the surveyed ones, though right against each other. The camera's azimuth is
missing, and follows from the place found. And the tool adds the pixel's angles to the camera's, which is right
only near the middle of a level picture. Source of the records: Theta Limited, MIT licence.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.cameras import BrownCamera
from geo.geoids import HeightDatum, amsl_m, geoid
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, LocalPlane, Position, bearing_deg
from missioncontrol.errors import InputInvalid

FLIGHT_GAP_M = 20.0
"""Cameras whose heights differ by more were on different flights: the records tell no times."""


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """A surveyed point."""

    name: str
    """Its id in the survey."""
    position: Position
    """Where it is, AMSL."""


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """One picked pixel of one photo, and what the tool made of it."""

    photo: str
    """Which photo: rows of one photo have one pose."""
    flight: str
    """Which flight, as far as heights tell."""
    camera: BrownCamera
    """The lens, pixels taken as square: as wide as `f_x` says."""
    tool_focal_y_px: float
    """Focal length along the picture's height that the tool reckons with, px."""
    pose: Pose
    """Of the camera, AMSL; azimuth by the tool."""
    pixel: tuple[float, float]
    """What was picked."""
    angles_deg: tuple[float, float]
    """The pixel's angles right of and above the camera's axis, by the tool."""
    found: Position
    """The place by the tool, AMSL."""
    joined: Marker
    """The surveyed point that the row is joined to: the nearest to the place found."""


def read_markers(path: Path) -> list[Marker]:
    """Points of a survey's CSV (ID, Latitude, Longitude, Elevation above the ellipsoid). Raises InputInvalid."""
    rows = _rows(path, ("ID", "Longitude", "Latitude", "Elevation"))
    return [
        Marker(
            name=row["ID"],
            position=_surveyed(*(_number(path, number, row, name) for name in ("Longitude", "Latitude", "Elevation"))),
        )
        for number, row in enumerate(rows)
    ]


def read_fixes(path: Path) -> list[Fix]:
    """The rows of a CSV of fixes. Raises InputInvalid, which names file, row and column."""
    rows = _rows(path, ("droneElevationHAE", "imageSelectedProportionX", "gcp_id", "f_x", "hae"))
    heights = np.array([_number(path, n, row, "droneElevationHAE") for n, row in enumerate(rows)])
    flights = _flights(heights)
    return [_fix(path, number, row, str(flights[number])) for number, row in enumerate(rows)]


def published_angles_deg(fix: Fix) -> tuple[float, float]:
    """Angles of the pixel right of and above the camera's axis, deg, as the tool reckons them: by its own `f_y`, the
    distortion put on rather than taken off, then turned by the roll."""
    camera = fix.camera
    lens = BrownCamera(
        width_px=camera.width_px,
        height_px=camera.height_px,
        focal_px=camera.focal_px,
        focal_y_px=fix.tool_focal_y_px,
        k1=camera.k1,
        k2=camera.k2,
        p1=camera.p1,
        p2=camera.p2,
        k3=camera.k3,
    )
    middle, focal = np.array(lens.center_px), np.array([lens.focal_px, lens.focal_y_px])
    once = (np.array(fix.pixel) - middle) / focal
    right, down = np.degrees(np.arctan((lens.pixels_from_rays([*once, 1.0]) - middle) / focal))
    roll = np.radians(fix.pose.attitude.roll_deg)
    return float(right * np.cos(roll) - down * np.sin(roll)), float(-right * np.sin(roll) - down * np.cos(roll))


def published_place(fix: Fix) -> tuple[float, float]:
    """Lon and lat, deg, where the tool's ray (its angles added to the camera's) comes down to the height it found."""
    at = fix.pose.position
    slant = np.radians(-fix.pose.attitude.pitch_deg - fix.angles_deg[1])
    azimuth = np.radians(fix.pose.attitude.yaw_deg + fix.angles_deg[0])
    reach_m = (at.altitude.value_m - fix.found.altitude.value_m) / np.tan(slant)
    plane = LocalPlane(lon=at.lon, lat=at.lat, height_m=at.altitude.value_m)
    lon, lat = plane.to_lonlat(reach_m * np.sin(azimuth), reach_m * np.cos(azimuth))
    return float(lon), float(lat)


def _fix(path: Path, number: int, row: dict[str, str], flight: str) -> Fix:
    def value(column: str) -> float:
        return _number(path, number, row, column)

    width, height = int(value("imageWidth")), int(value("imageLength"))
    at = _published(value("droneLongitude"), value("droneLatitude"), value("droneElevationHAE"))
    found = _published(value("lon"), value("lat"), value("hae"))
    yaw_offset, pitch_offset = value("yawOffsetDegSelectedPoint"), value("pitchOffsetDegSelectedPoint")
    slant = value("cameraSlantAngleDeg")
    behind = 180.0 if slant - pitch_offset > 90.0 else 0.0
    azimuth = float(bearing_deg(at.lon, at.lat, found.lon, found.lat)) - yaw_offset - behind
    names = "droneLatitude", "droneLongitude", "droneElevationHAE", "cameraSlantAngleDeg", "cameraRollAngleDeg"
    return Fix(
        photo=" ".join(row[name] for name in names),
        flight=flight,
        camera=BrownCamera(
            width_px=width,
            height_px=height,
            focal_px=value("f_x") * value("digitalZoomRatio"),
            k1=value("k1"),
            k2=value("k2"),
            p1=value("p1"),
            p2=value("p2"),
            k3=value("k3"),
        ),
        tool_focal_y_px=value("f_y") * value("digitalZoomRatio"),
        pose=Pose(
            utc_s=0.0,
            position=at,
            attitude=Attitude(roll_deg=-value("cameraRollAngleDeg"), pitch_deg=-slant, yaw_deg=azimuth % 360.0),
        ),
        pixel=(
            value("imageSelectedProportionX") * width - 0.5,
            value("imageSelectedProportionY") * height - 0.5,
        ),
        angles_deg=(yaw_offset, pitch_offset),
        found=found,
        joined=Marker(
            name=row["gcp_id"],
            position=_surveyed(value("gcp_lon"), value("gcp_lat"), value("gcp_elevation_m")),
        ),
    )


def _published(lon: float, lat: float, height_m: float) -> Position:
    """A place whose height had the geoid's height taken off sea level instead of added."""
    above_sea_m = height_m + float(geoid(HeightDatum.EGM96).height_m(lon, lat))
    return Position(lon=lon, lat=lat, altitude=Altitude(above_sea_m, Datum.AMSL))


def _surveyed(lon: float, lat: float, height_m: float) -> Position:
    above_sea_m = float(amsl_m(height_m, lon, lat, datum=HeightDatum.W84))
    return Position(lon=lon, lat=lat, altitude=Altitude(above_sea_m, Datum.AMSL))


def _flights(heights_m: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) number of each camera's flight, the lowest first."""
    order = np.argsort(heights_m)
    steps = np.concatenate([[0], np.cumsum(np.diff(heights_m[order]) > FLIGHT_GAP_M)])
    flights = np.empty(len(order), np.int64)
    flights[order] = steps
    return flights


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InputInvalid(f"{path}: cannot be read as CSV: {exc}") from exc
    missing = [column for column in columns if not rows or rows[0].get(column) is None]
    if missing:
        raise InputInvalid(f"{path}: {'no rows' if not rows else 'no column ' + ', '.join(missing)}")
    return rows


def _number(path: Path, number: int, row: dict[str, str], column: str) -> float:
    try:
        return float(row[column])
    except (KeyError, TypeError, ValueError) as exc:
        raise InputInvalid(f"{path}: row {number + 2}, column {column}: {row.get(column)!r} is no number") from exc
