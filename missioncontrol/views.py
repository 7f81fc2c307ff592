"""Views: who saw a place, when, and how well; one question to the index of all clips."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Select, select

from missioncontrol.clocks import iso_utc
from missioncontrol.errors import InputInvalid
from missioncontrol.geometry import near
from missioncontrol.recordings import LEAVING, Clip, clip_of
from missioncontrol.sights import Sights, unpack
from missioncontrol.store import Store
from missioncontrol.tables import clips

CHUNK = 500
"""Clips near a place that are looked into at once, the latest first."""
GAP_S = 5.0
"""Sights of a clip further apart than this are not one span."""
WHOLE = 0.999
"""Share of an area from which it counts as wholly seen."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of a clip, and how well it shows the place."""

    utc_s: float
    """When, s since 1970 UTC."""
    time_s: float
    """In the clip, s."""
    gsd_m: float
    """Ground sample distance there, the larger of across the view and away from the camera, m."""
    off_nadir_deg: float
    """Angle of the view, 0 straight down, deg."""
    azimuth_deg: float
    """Direction of the view, clockwise from north, deg."""
    slant_range_m: float
    """From the camera, m."""
    share: float
    """Of an area, how much is in the picture, 0 to 1; 1 of a place."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One clip that shows a place."""

    clip: Clip
    """Which."""
    spans: tuple[tuple[float, float], ...]
    """Times in the clip at which it does, s."""
    best: Moment
    """Where it is seen best."""

    def feature(self) -> dict[str, Any]:
        """As the API gives it, GeoJSON."""
        clip, best = self.clip, self.best
        feature = clip.feature()
        feature["properties"] |= {
            "spans": [
                {
                    "from_utc": iso_utc(clip.from_utc_s + begin),
                    "until_utc": iso_utc(clip.from_utc_s + end),
                    "from_s": round(begin, 2),
                    "until_s": round(end, 2),
                }
                for begin, end in self.spans
            ],
            "best": {
                "utc": iso_utc(best.utc_s),
                "time_s": round(best.time_s, 2),
                "gsd_m": None if np.isinf(best.gsd_m) else round(best.gsd_m, 4),
                "off_nadir_deg": round(best.off_nadir_deg, 1),
                "azimuth_deg": round(best.azimuth_deg, 1),
                "slant_range_m": round(best.slant_range_m, 1),
                "share": round(best.share, 4),
                "frame": f"/api/v1/recordings/{clip.id}/frame?t={best.time_s:.2f}",
            },
        }
        return feature


Spans = tuple[tuple[float, float], ...]
_Look = tuple[int, tuple[Spans, Moment]]


class Views:
    """The index of all clips."""

    def __init__(self, store: Store) -> None:
        """In `store`."""
        self._store = store

    async def of(
        self,
        place: shapely.Point | shapely.Polygon,
        *,
        from_utc_s: float = -np.inf,
        until_utc_s: float = np.inf,
        limit: int = 100,
        before: int | None = None,
    ) -> tuple[list[View], int | None]:
        """Clips that show a place (lon, lat; deg), or part of an area, at a time between; the latest recorded first.

        The second answer is what to give as `before` for more, None where there is no more. Raises InputInvalid.
        """
        if from_utc_s > until_utc_s:
            raise InputInvalid("from, to: the end lies before the begin")
        if place.is_empty or not place.is_valid or (place.geom_type == "Polygon" and place.area == 0):
            raise InputInvalid(f"within: {shapely.is_valid_reason(place)}: give an area whose sides do not cross")
        found: list[View] = []
        while True:
            numbers, times_s, blobs = await self._near(place, from_utc_s, until_utc_s, before)
            seen = await asyncio.to_thread(_seen, place, times_s, blobs, from_utc_s, until_utc_s)
            wanted = {int(numbers[index]): looks for index, looks in seen[: limit - len(found)]}
            found += await self._views(wanted)
            if len(found) == limit and len(seen) > len(wanted):
                return found, min(wanted)
            if len(numbers) < CHUNK:
                return found, None
            before = int(numbers[-1])
            if len(found) == limit:
                return found, before

    async def _near(
        self, place: shapely.Point | shapely.Polygon, from_utc_s: float, until_utc_s: float, before: int | None
    ) -> tuple[list[int], NDArray[np.float64], list[bytes]]:
        query = select(clips.c.number, clips.c.from_utc_s, clips.c.sights).where(
            near(self._store.dialect_name, clips.c.place, place), clips.c.state != LEAVING
        )
        query = between(query, from_utc_s, until_utc_s).order_by(clips.c.number.desc()).limit(CHUNK)
        if before is not None:
            query = query.where(clips.c.number < before)
        async with self._store.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [row[0] for row in rows], np.array([row[1] for row in rows], float), [row[2] for row in rows]

    async def _views(self, wanted: dict[int, tuple[Spans, Moment]]) -> list[View]:
        if not wanted:
            return []
        query = select(*Clip.columns()).where(clips.c.number.in_(wanted)).order_by(clips.c.number.desc())
        async with self._store.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [View(clip=clip_of(row), spans=wanted[row.number][0], best=wanted[row.number][1]) for row in rows]


def between(query: Select[Any], from_utc_s: float, until_utc_s: float) -> Select[Any]:
    """Only clips of which some part lies between."""
    if np.isfinite(from_utc_s):
        query = query.where(clips.c.until_utc_s >= from_utc_s)
    if np.isfinite(until_utc_s):
        query = query.where(clips.c.from_utc_s <= until_utc_s)
    return query


def moment(name: str, text: str | None, absent_s: float) -> float:
    """S since 1970 UTC of an ISO 8601 time; `absent_s` where there is none. Raises InputInvalid."""
    if text is None:
        return absent_s
    try:
        when = datetime.fromisoformat(text.replace(" ", "+"))  # a + that was not encoded comes as a blank
    except ValueError:
        raise InputInvalid(f"{name}: {text!r} is no time, as in 2026-05-01T08:30:00Z") from None
    if when.tzinfo is None:
        raise InputInvalid(f"{name}: {text!r} has no offset from UTC: add Z or +05:00")
    return when.timestamp()


def place_of(at: str | None, within: str | None) -> shapely.Point | shapely.Polygon:
    """A place given as lon,lat, or an area as GeoJSON Polygon or lon,lat,lon,lat,... Raises InputInvalid."""
    if (at is None) == (within is None):
        raise InputInvalid("at, within: give one of the two")
    if within is not None and within.lstrip().startswith("{"):
        return _area(within)
    name, text = ("at", at) if at is not None else ("within", within)
    try:
        numbers = np.array([float(part) for part in (text or "").split(",")]).reshape(-1, 2)
    except ValueError:
        numbers = np.empty((0, 2))
    if len(numbers) < (1 if name == "at" else 3) or (name == "at" and len(numbers) > 1):
        wanted = "lon,lat in degrees" if name == "at" else "lon,lat of three corners or more in degrees"
        raise InputInvalid(f"{name}: {text!r}: give {wanted}")
    _check(name, numbers)
    return shapely.Point(numbers[0]) if name == "at" else shapely.Polygon(numbers)


def _area(text: str) -> shapely.Polygon:
    try:
        shape = shapely.from_geojson(text)
    except shapely.errors.ShapelyError as exc:
        raise InputInvalid(f"within: is no GeoJSON: {exc}") from None
    if not isinstance(shape, shapely.Polygon):
        raise InputInvalid(f"within: is a {shape.geom_type}; give a Polygon")
    _check("within", shapely.get_coordinates(shape))
    return shape


def _check(name: str, places: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    if not np.all(np.isfinite(places)) or np.any(np.abs(places) > (180, 90)):
        raise InputInvalid(f"{name}: lon is -180 to 180 and lat -90 to 90 degrees")
    if np.any(np.abs(np.diff(places[:, 0])) > 180):
        raise InputInvalid(f"{name}: a side longer than 180 degrees: ask on either side of the antimeridian")


def _seen(
    place: shapely.Point | shapely.Polygon,
    times_s: NDArray[np.float64],
    blobs: list[bytes],
    from_utc_s: float,
    until_utc_s: float,
) -> list[_Look]:
    """Of the clips that show it: which, when and how."""
    if not blobs:
        return []
    sights = unpack(blobs)
    utc_s = times_s[sights.clip] + sights.time_s
    timely = (utc_s >= from_utc_s) & (utc_s <= until_utc_s)
    if isinstance(place, shapely.Point):
        middle = place
        chosen = np.flatnonzero(timely & sights.show(place.x, place.y))
        shares = np.ones(len(chosen))
    else:
        middle = place.centroid
        all_shares = np.where(timely, sights.shares(place), 0.0)
        chosen = np.flatnonzero(all_shares > 0)
        shares = all_shares[chosen]
    if not len(chosen):
        return []
    return list(_by_clip(sights[chosen], utc_s[chosen], shares, middle))


def _by_clip(
    sights: Sights, utc_s: NDArray[np.float64], shares: NDArray[np.float64], middle: shapely.Point
) -> Iterator[_Look]:
    gsd_m, off_nadir_deg, azimuth_deg, slant_range_m = sights.looks_at(middle.x, middle.y)
    starts = np.flatnonzero(np.diff(sights.clip, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(sights)], strict=True):
        times_s = sights.time_s[start:end]
        cuts = np.flatnonzero(np.diff(times_s) > GAP_S)
        spans = zip(times_s[[0, *(cuts + 1)]].tolist(), times_s[[*cuts, -1]].tolist(), strict=True)
        most = shares[start:end] >= WHOLE * shares[start:end].max()
        best = start + int(np.flatnonzero(most)[np.argmin(gsd_m[start:end][most])])
        moment = Moment(
            utc_s=float(utc_s[best]),
            time_s=float(sights.time_s[best]),
            gsd_m=float(gsd_m[best]),
            off_nadir_deg=float(off_nadir_deg[best]),
            azimuth_deg=float(azimuth_deg[best]),
            slant_range_m=float(slant_range_m[best]),
            share=float(shares[best]),
        )
        yield int(sights.clip[start]), (tuple(spans), moment)
