"""Control points: how far places found in pictures lie from where a survey has them, and whether the ellipses held."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from geo.accuracy import Coverage, circular_error_m
from geo.calibrations import Lens
from geo.errors import AreaInvalid, GeoError, PhotoInvalid
from geo.location import Location
from geo.positions import LocalPlane
from geo.projections import to_wgs84
from geo.terrain import FlatTerrain
from missioncontrol.errors import InputInvalid
from missioncontrol.locating import Aim, Frame, Ground, Pixel, feature_of, frame_of_photo, located, picture_of

MOST_POINTS = 100_000
UTM = re.compile(r"WGS84\s+UTM\s+(\d{1,2})\s*([NS])", re.IGNORECASE)
"""How OpenDroneMap's files may name a CRS; others name it by EPSG code or as a PROJ string."""
LEAST_COLUMNS = 6


class ControlPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A surveyed point and the pixel that shows it in one picture."""

    name: str
    """Of the point; empty where the file names none."""
    lon: float
    """Longitude, deg, WGS 84."""
    lat: float
    """Latitude, deg, WGS 84."""
    height_m: float
    """As the file has it, m; of a datum that the file does not state."""
    picture: str
    """Name of the file of the picture."""
    pixel: Pixel
    """Across and down, from the middle of the top left pixel."""


class Residual(msgspec.Struct, frozen=True, kw_only=True):
    """One point in one picture: found less surveyed."""

    name: str
    """Of the point."""
    picture: str
    """That shows it."""
    east_m: float | None = None
    """How far too far east it was found, m; None where it was not."""
    north_m: float | None = None
    """How far too far north, m."""
    error_m: float | None = None
    """Distance, m."""
    ce90_m: float | None = None
    """The radius that was stated, m."""
    inside_90: bool | None = None
    """Whether the survey's place lies inside the stated 90 % ellipse."""
    inside_95: bool | None = None
    """Whether it lies inside the stated 95 % ellipse."""
    why: str | None = None
    """Why it was not found."""


class ControlReport(msgspec.Struct, frozen=True, kw_only=True):
    """All points of a file. Points in one picture share the errors of its pose, so that the intervals, which take
    them as independent, are too narrow where there are few pictures."""

    residuals: tuple[Residual, ...]
    """Of every point in every picture that was there."""
    located: int
    """Points found."""
    pictures: int
    """In so many pictures."""
    absent: int
    """Points in pictures that were not there."""
    mean_east_m: float | None
    """Mean of the errors, m."""
    mean_north_m: float | None
    """Mean of the errors, m."""
    ce50_m: float | None
    """Radius that held half of the errors, m."""
    ce90_m: float | None
    """Radius that held nine in ten, m."""
    stated_ce90_m: float | None
    """Median of the radii that were stated, m."""
    inside_90: Coverage | None
    """How many lay inside their 90 % ellipse."""
    inside_95: Coverage | None
    """How many lay inside their 95 % ellipse."""

    def text(self) -> str:
        """For people."""
        if not self.located or self.inside_90 is None or self.inside_95 is None:
            reasons = {residual.why for residual in self.residuals}
            why = "".join(f"; {reason}" for reason in sorted(reason for reason in reasons if reason)[:3])
            return f"no control point was located; {self.absent} lie in pictures that are not there{why}"
        shares = ", ".join(
            f"{coverage.inside} of {coverage.count} inside the {percent} % ellipse "
            f"({coverage.low:.0%} to {coverage.high:.0%})"
            for percent, coverage in ((90, self.inside_90), (95, self.inside_95))
        )
        return (
            f"{self.located} points in {self.pictures} pictures: CE50 {self.ce50_m:.2f} m, CE90 {self.ce90_m:.2f} m "
            f"(stated {self.stated_ce90_m:.2f} m), mean error {self.mean_east_m:+.2f} m east, "
            f"{self.mean_north_m:+.2f} m north; {shares}"
        )


def read_control_points(path: Path) -> list[ControlPoint]:
    """Points of a file as OpenDroneMap has it: a line with the CRS, then x, y, z, pixel across and down, picture, name.

    Raises InputInvalid, which names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputInvalid(f"{path}: cannot be read as text: {exc}") from exc
    rows = [
        (number, line.split())
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if len(rows) < 2:
        raise InputInvalid(f"{path}: holds no control points: a line with the CRS, then one line for each point")
    if len(rows) > MOST_POINTS:
        raise InputInvalid(f"{path}: more than {MOST_POINTS} lines")
    figures = []
    for number, columns in rows[1:]:
        try:
            figures.append([float(column) for column in columns[:5]])
            if len(columns) < LEAST_COLUMNS or not np.isfinite(figures[-1]).all():
                raise ValueError
        except ValueError:
            said = " ".join(columns)[:60]
            raise InputInvalid(f"{path}: line {number}: {said!r} is not x, y, z, two pixels and a picture") from None
    crs = " ".join(rows[0][1])
    utm = UTM.match(crs)
    if utm:
        crs = f"EPSG:{326 if utm[2].upper() == 'N' else 327}{int(utm[1]):02d}"
    try:
        places = to_wgs84(str(path), np.array(figures)[:, :2], crs)
    except AreaInvalid as exc:
        raise InputInvalid(str(exc)) from exc
    return [
        ControlPoint(
            name=" ".join(columns[6:7]),
            lon=float(lon),
            lat=float(lat),
            height_m=height_m,
            picture=columns[5],
            pixel=(across, down),
        )
        for (lon, lat), (_, _, height_m, across, down), (_, columns) in zip(places, figures, rows[1:], strict=True)
    ]


@dataclass(frozen=True)
class Compared:
    """Points as they were found, and what came of it."""

    collection: dict[str, Any]
    """GeoJSON of the places found."""
    report: ControlReport
    """How they compare."""


def compare(
    points: Sequence[ControlPoint],
    files: Sequence[Path],
    ground: Ground | None,
    *,
    lens: Lens | None,
    aim: Aim,
    on_picture: Callable[[], None] = lambda: None,
) -> Compared:
    """The points as the pictures show them; without `ground` each lies on level ground of its own height, AMSL.

    Raises InputInvalid, TerrainMissing.
    """
    by_name = {file.name.lower(): file for file in files}
    shown = [point for point in points if point.picture.lower() in by_name]
    features, pictures, residuals = [], [], []
    for name in sorted({point.picture.lower() for point in shown}):
        mine = [point for point in shown if point.picture.lower() == name]
        frames: list[Frame] = []
        for point in mine:
            floor = ground or Ground(FlatTerrain(point.height_m), True)
            if not frames or ground is None:
                try:
                    frames.append(frame_of_photo(
                        by_name[name], floor.terrain, ground_is_flat=floor.is_flat, lens=lens, aim=aim
                    ))  # fmt: skip
                except PhotoInvalid as exc:
                    residuals.append(Residual(name=point.name, picture=point.picture, why=str(exc)))
                    continue
            residual, location = _residual(point, frames[-1], floor, aim)
            residuals.append(residual)
            if location is not None:
                feature = feature_of(frames[-1], point.pixel, location)
                features.append(feature | {"properties": {**feature["properties"], "point": point.name}})
        pictures += [picture_of(frame) for frame in frames[-1:]]
        on_picture()
    collection = {"type": "FeatureCollection", "features": features, "pictures": pictures}
    return Compared(collection, report_of(residuals, absent=len(points) - len(shown)))


def _residual(point: ControlPoint, frame: Frame, ground: Ground, aim: Aim) -> tuple[Residual, Location | None]:
    try:
        (location,) = located(frame, [point.pixel], ground, aim)
    except (InputInvalid, GeoError) as exc:
        return Residual(name=point.name, picture=point.picture, why=str(exc)), None
    if location is None:
        return Residual(name=point.name, picture=point.picture, why="shows no ground of known height"), None
    plane = LocalPlane(lon=point.lon, lat=point.lat, height_m=location.position.altitude.value_m)
    east_m, north_m = (float(part) for part in plane.to_plane(location.position.lon, location.position.lat))
    away = np.array([east_m, north_m])
    d2 = float(away @ np.linalg.solve(np.array(location.covariance_m2)[:2, :2], away))
    residual = Residual(
        name=point.name,
        picture=point.picture,
        east_m=east_m,
        north_m=north_m,
        error_m=float(np.hypot(east_m, north_m)),
        ce90_m=location.ce90_m,
        inside_90=d2 < -2 * math.log1p(-0.9),
        inside_95=d2 < -2 * math.log1p(-0.95),
    )
    return residual, location


def report_of(residuals: Sequence[Residual], *, absent: int = 0) -> ControlReport:
    """What residuals say together."""
    found = [residual for residual in residuals if residual.error_m is not None]
    errors = np.array([(residual.east_m, residual.north_m) for residual in found], float).reshape(-1, 2)
    empty = not found
    return ControlReport(
        residuals=tuple(residuals),
        located=len(found),
        pictures=len({residual.picture for residual in found}),
        absent=absent,
        mean_east_m=None if empty else float(errors[:, 0].mean()),
        mean_north_m=None if empty else float(errors[:, 1].mean()),
        ce50_m=None if empty else circular_error_m(errors, 0.5),
        ce90_m=None if empty else circular_error_m(errors, 0.9),
        stated_ce90_m=None if empty else float(np.median([residual.ce90_m or 0.0 for residual in found])),
        inside_90=None if empty else Coverage.counted(sum(bool(one.inside_90) for one in found), len(found)),
        inside_95=None if empty else Coverage.counted(sum(bool(one.inside_95) for one in found), len(found)),
    )
