"""Clearance: which zones stay closed to a vehicle, and whether a flight keeps out of them and has its permits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import shapely
from numpy.typing import NDArray

from fleet.readiness import Check, check
from fleet.telemetry import TelemetryState
from geo.airspace import Airspace, touched
from geo.breaches import Breach
from geo.errors import DatumUnknown, GeoError
from geo.positions import Datum, distance_m
from geo.sun import TWILIGHT_DEG, sun_elevation_deg
from geo.terrain import FlatTerrain, Terrain
from geo.tracks import Track
from geo.zones import CLEARABLE, Kind, Zone, over_unknown_ground
from missioncontrol.permits import Permit, Permits, left_closed
from missioncontrol.plans import VehiclePlan
from missioncontrol.settings import Settings
from missioncontrol.zones import Zones

Array = NDArray[np.float64]
Box = tuple[float, float, float, float]

AROUND_DEG = 0.05
"""Zones are looked for within so much of a place or a way."""
MOST_SAMPLES = 20_000
"""Of a track, for heights, sun and distances."""
MOST_NAMED = 3
"""Breaches that a check names."""


class Clearance:
    """Zones and permits, asked for vehicles."""

    def __init__(self, zones: Zones, permits: Permits, settings: Settings, terrain: Terrain | None) -> None:
        """Without terrain the ground is flat at 0, as plans then have it: limits AMSL reach through all heights."""
        self._zones, self._permits, self._settings = zones, permits, settings
        self._flat = terrain is None
        self._terrain: Terrain = FlatTerrain(0.0) if terrain is None else terrain

    async def closed(self, sysids: Iterable[int], box: Box) -> list[Zone]:
        """What of the zones near a box (west, south, east, north, deg) stays closed to one or other of vehicles."""
        zones = await self._near(box)
        permits = await self._permits.all()
        found: dict[int, Zone] = {}
        for sysid in sysids:
            for zone in await asyncio.to_thread(left_closed, zones, self._of(permits, sysid)):
                found[id(zone)] = zone  # untouched ones are the same object for all
        return list(found.values())

    async def airspace(self, sysids: Iterable[int], box: Box) -> Airspace | None:
        """The same, to be asked about areas and ways; None where nothing is closed."""
        closed = await self.closed(sysids, box)
        return await asyncio.to_thread(Airspace, closed, self._terrain) if closed else None

    async def touched(self, sysid: int, tracks: Sequence[Track], *, after_s: float) -> list[Breach]:
        """Where tracks of a vehicle, from a time on, UTC, s since 1970, are in zones that are closed to it; by time.

        Raises TerrainMissing, DatumUnknown.
        """
        lon = np.concatenate([track.lon for track in tracks])
        lat = np.concatenate([track.lat for track in tracks])
        box = float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())
        closed = await self.closed([sysid], box)

        inside = [zone for zone in closed if zone.kind == Kind.INCLUSION]
        outside = [zone for zone in closed if zone.kind != Kind.INCLUSION]

        def look() -> list[Breach]:
            found = [breach for zone in outside for _, breach in touched(tracks, zone, self._terrain, after_s=after_s)]
            together = Airspace(inside, self._terrain)  # one may leave an inclusion zone for its neighbour
            strayed = [breach for track in tracks if inside for breach in together.breaches(track)]
            return found + [breach for breach in strayed if breach.ends.utc_s >= after_s]

        return sorted(await asyncio.to_thread(look), key=lambda breach: breach.begins.utc_s)

    def plan_height_m(self, state: TelemetryState) -> float | None:
        """How high a vehicle is as its plan counts heights, m AMSL, or m above flat ground; None: not known."""
        if state.position is None:
            return None
        if self._flat:
            return state.relative_altitude_m
        return state.position.altitude.value_m if state.position.altitude.datum == Datum.AMSL else None

    async def checks(self, part: VehiclePlan, now_utc_s: float) -> list[Check]:
        """Whether a part of a plan, begun now, keeps out of zones, and has the permits that it needs."""
        track = part.track(now_utc_s)
        lonlat = np.array(part.path["geometry"]["coordinates"], float)[:, :2]
        box = around(lonlat[:, 0], lonlat[:, 1])
        try:
            near = await self._near(box)
        except DatumUnknown as exc:
            return [check("zones", "zones", None, str(exc), "entered nowhere")]
        if track is None:
            passed = None if near else True
            measured = f"{len(near)} zones near, and its times are not known" if near else "none near"
            return [check("zones", "zones", passed, measured, "entered nowhere")]
        permits = self._of(await self._permits.all(), part.sysid)
        others = [permit for permit in await self._permits.all() if permit not in permits]
        return await asyncio.to_thread(self._judged, track, near, permits, others)

    async def _near(self, box: Box) -> list[Zone]:
        zones = [record.zone for record in (await self._zones.book()).near(box)]
        return [over_unknown_ground(zone) for zone in zones] if self._flat else zones

    def _of(self, permits: Iterable[Permit], sysid: int) -> list[Permit]:
        """Those that were given to a vehicle and not revoked."""
        ours = self._settings.vehicle(sysid)
        registration = ours.registration if ours is not None else ""
        return [permit for permit in permits if permit.revoked_utc_s is None and permit.is_for(sysid, registration)]

    def _judged(
        self, track: Track, near: Sequence[Zone], permits: Sequence[Permit], others: Sequence[Permit]
    ) -> list[Check]:
        try:
            breaches = Airspace(left_closed(near, permits), self._terrain).breaches(track)
            met = Airspace([zone for zone in near if zone.kind in CLEARABLE], self._terrain).breaches(track)
            needs = self._needs(track)
        except GeoError as exc:
            return [
                check("zones", "zones", None, str(exc), "entered nowhere"),
                check("permits", "permits", None, str(exc), "for all that needs one"),
            ]
        named = "; ".join(map(str, breaches[:MOST_NAMED]))
        more = f" and {len(breaches) - MOST_NAMED} more" if len(breaches) > MOST_NAMED else ""
        closed = {breach.zone.id: breach for breach in reversed(breaches) if breach.zone is not None}
        missing, held = [], []
        for zone_id, breach in {breach.zone.id: breach for breach in met if breach.zone is not None}.items():
            assert breach.zone is not None
            clearing = [permit for permit in permits if zone_id in permit.given.clears]
            if zone_id in closed:
                missing.append(f"{breach.zone.title}: {_why(closed[zone_id], clearing, others)}")
            else:
                held.append(f"{breach.zone.title} by {', '.join(permit.title for permit in clearing)}")
        for need in needs:
            lacking = need.uncovered(permits)
            (missing if lacking else held).append(lacking or need.said)
        return [
            check("zones", "zones", not breaches, named + more if breaches else "entered nowhere", "none entered"),
            check(
                "permits",
                "permits",
                not missing,
                "; ".join(missing or held) or "none needed",
                "a valid one of this vehicle for each",
            ),
        ]

    def _needs(self, track: Track) -> list[Need]:
        """What of a track needs a permit besides zones."""
        fleet = self._settings.fleet
        step_s = max(1.0, float(track.utc_s[-1] - track.utc_s[0]) / MOST_SAMPLES)
        utc_s = np.union1d(np.arange(track.utc_s[0], track.utc_s[-1], step_s), track.utc_s)
        lon, lat, amsl_m = track.at(utc_s)
        height_m = amsl_m - self._terrain.amsl_m(lon, lat)
        way = Way(utc_s, lon, lat, height_m)
        needs = []
        if height_m.max() > fleet.highest_agl_m:
            said = f"{height_m.max():.0f} m above ground, more than {fleet.highest_agl_m:g} m"
            needs.append(Need(said, way.where(height_m > fleet.highest_agl_m), _high_enough))
        if fleet.night_needs_permit:
            dark = sun_elevation_deg(utc_s, lon, lat) < TWILIGHT_DEG
            if dark.any():
                needs.append(Need("flight by night", way.where(dark), _by_night))
        if fleet.sight_m is not None:
            far_m = distance_m(lon[0], lat[0], lon, lat)
            if far_m.max() > fleet.sight_m:
                said = f"{far_m.max():.0f} m from the start, beyond sight at {fleet.sight_m:g} m"
                needs.append(Need(said, way.where(far_m > fleet.sight_m), _beyond_sight))
        return needs


@dataclass(frozen=True)
class Way:
    """Places along a track."""

    utc_s: Array
    """(n,) UTC, s since 1970."""
    lon: Array
    """(n,) deg."""
    lat: Array
    """(n,) deg."""
    height_m: Array
    """(n,) above ground, m."""

    def where(self, mask: NDArray[np.bool_]) -> Way:
        """Those of a mask."""
        return Way(self.utc_s[mask], self.lon[mask], self.lat[mask], self.height_m[mask])


@dataclass(frozen=True)
class Need:
    """What some places of a track need a permit for."""

    said: str
    """For people."""
    way: Way
    """The places."""
    allows: Callable[[Permit, Way], NDArray[np.bool_]]
    """Whether a permit says so, wherever and whenever it counts."""

    def uncovered(self, permits: Sequence[Permit]) -> str:
        """The first place that no permit covers, in words; empty where every place is covered."""
        way = self.way
        covered = np.zeros(len(way.utc_s), bool)
        for permit in permits:
            begins, ends = permit.given.valid_from.timestamp(), permit.given.valid_until.timestamp()
            here = (begins <= way.utc_s) & (way.utc_s <= ends) & self.allows(permit, way)
            area = permit.given.shape()
            if area is not None:
                here &= shapely.covers(area, shapely.points(way.lon, way.lat))
            covered |= here
        if covered.all():
            return ""
        first = int(np.argmin(covered))
        at = datetime.fromtimestamp(float(way.utc_s[first]), UTC)
        return (
            f"{self.said}: no permit covers lon {way.lon[first]:.6f}, lat {way.lat[first]:.6f}, "
            f"{way.height_m[first]:.0f} m above ground, {at:%Y-%m-%d %H:%M:%S} UTC"
        )


def around(lon: Array, lat: Array, by_deg: float = AROUND_DEG) -> Box:
    """The box of places, and somewhat more."""
    west, south, east, north = lon.min(), lat.min(), lon.max(), lat.max()
    return float(west) - by_deg, float(south) - by_deg, float(east) + by_deg, float(north) + by_deg


def _high_enough(permit: Permit, way: Way) -> NDArray[np.bool_]:
    highest_m = permit.given.highest_agl_m
    return way.height_m <= (-np.inf if highest_m is None else highest_m)


def _by_night(permit: Permit, way: Way) -> NDArray[np.bool_]:
    return np.full(len(way.utc_s), permit.given.night)


def _beyond_sight(permit: Permit, way: Way) -> NDArray[np.bool_]:
    return np.full(len(way.utc_s), permit.given.bvlos)


def _why(breach: Breach, clearing: Sequence[Permit], others: Sequence[Permit]) -> str:
    """Why no permit opens a zone to a track."""
    assert breach.zone is not None
    if not clearing:
        elsewhere = [permit for permit in others if breach.zone.id in permit.given.clears]
        if elsewhere:
            what = "was revoked" if elsewhere[-1].revoked_utc_s is not None else "is for other vehicles"
            return f"{elsewhere[-1].title} {what}"
        return "no permit names it"
    said = []
    for permit in clearing:
        if permit.counts(breach.begins.utc_s, breach.ends.utc_s):
            said.append(f"{permit.title} does not reach to {breach}")
        else:
            given = permit.given
            begins, ends = given.valid_from.astimezone(UTC), given.valid_until.astimezone(UTC)
            said.append(f"{permit.title} is valid from {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} UTC")
    return "; ".join(said)
