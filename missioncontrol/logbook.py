"""The logbook: flights and their tracks as they are written down."""

from __future__ import annotations

from typing import Any

import msgspec
import uuid_utils
from sqlalchemy import Row, func, insert, select, update

from fleet.flightlog import FlightSummary
from geo.positions import distance_m
from missioncontrol.clocks import iso_utc
from missioncontrol.errors import NotFound
from missioncontrol.missions import fraction
from missioncontrol.plans import VehiclePlan
from missioncontrol.store import Store
from missioncontrol.tables import flights, track_points
from missioncontrol.vehicles import TrackPoint, track_feature


class Flight(msgspec.Struct, kw_only=True):
    """One vehicle's part of a launch, as it goes."""

    id: str
    """UUIDv7."""
    mission_id: str
    """Mission flown."""
    sysid: int
    """Who flies."""
    sortie: int
    """Which flight of this vehicle in its plan it is."""
    hash: str
    """Of the mission items it flies."""
    stage: str = "waiting"
    """waiting, uploading, uploaded, arming, flying, returning, done, failed or aborted."""
    item: int = 0
    """Mission item it is at, or items transferred while uploading."""
    total: int = 0
    """Items in all."""
    text: str = ""
    """What a person should know."""
    airborne_utc_s: float | None = None
    """When it was first seen in the air, by the vehicle's clock, s since 1970 UTC."""
    path_m: float = 0.0
    """Flown so far, m over ground."""
    track_utc_s: float = float("-inf")
    """Up to when the track is written down, s since 1970 UTC."""
    why: str = ""
    """What went wrong with its launch, where it is being brought down for that."""
    last: tuple[float, float] | None = None
    """Last place written down, lon and lat, deg."""


class Logbook:
    """All flights of an installation, in the store."""

    def __init__(self, store: Store) -> None:
        """In `store`."""
        self._store = store

    async def open(self, mission_id: str, part: VehiclePlan, *, registration: str, started_utc_s: float) -> Flight:
        """A new flight of a part of a plan."""
        flight = Flight(
            id=str(uuid_utils.uuid7()),
            mission_id=mission_id,
            sysid=part.sysid,
            sortie=part.sortie,
            hash=part.hash,
            total=len(part.items),
        )
        async with self._store.writing() as connection:
            await connection.execute(
                insert(flights).values(
                    id=flight.id,
                    mission_id=mission_id,
                    sysid=flight.sysid,
                    registration=registration,
                    stage=flight.stage,
                    item=0,
                    total=flight.total,
                    sortie=flight.sortie,
                    hash=flight.hash,
                    text="",
                    started_utc_s=started_utc_s,
                    path_m=0.0,
                )
            )
        return flight

    async def save(self, flight: Flight, *, ended_utc_s: float | None = None) -> None:
        """Write down how a flight stands, and when it ended if it has."""
        names = ("stage", "item", "total", "text", "airborne_utc_s", "path_m")
        values: dict[str, Any] = {name: getattr(flight, name) for name in names}
        if ended_utc_s is not None:
            values["ended_utc_s"] = ended_utc_s
        async with self._store.writing() as connection:
            await connection.execute(update(flights).where(flights.c.id == flight.id).values(**values))

    async def flown(self, mission_id: str, *, since_utc_s: float) -> set[tuple[int, int, str]]:
        """Sysid, sortie and hash of the parts of a mission that were flown to their end, begun since then."""
        query = select(flights.c.sysid, flights.c.sortie, flights.c.hash).where(
            flights.c.mission_id == mission_id, flights.c.stage == "done", flights.c.started_utc_s >= since_utc_s
        )
        async with self._store.reading() as connection:
            return {(row.sysid, row.sortie, row.hash) for row in await connection.execute(query)}

    async def write_track(self, flight: Flight, points: list[TrackPoint]) -> None:
        """Append where it was, oldest first."""
        for point in points:
            if flight.last is not None:
                flight.path_m += float(distance_m(*flight.last, point.lon, point.lat))
            flight.last = (point.lon, point.lat)
        flight.track_utc_s = points[-1].utc_s
        rows = [
            {
                "flight_id": flight.id,
                "utc_s": point.utc_s,
                "lon": point.lon,
                "lat": point.lat,
                "altitude_amsl_m": point.amsl_m,
                "ground_speed_m_s": point.ground_speed_m_s,
            }
            for point in points
        ]
        async with self._store.writing() as connection:
            await connection.execute(insert(track_points), rows)
            await connection.execute(update(flights).where(flights.c.id == flight.id).values(path_m=flight.path_m))

    async def without_summary(self) -> list[Row[Any]]:
        """Flights that are over and that nothing was found of yet, oldest first."""
        query = select(flights).where(flights.c.ended_utc_s.is_not(None), flights.c.summary.is_(None))
        async with self._store.reading() as connection:
            return list(await connection.execute(query.order_by(flights.c.started_utc_s)))

    async def save_summary(self, flight_id: str, summary: FlightSummary) -> None:
        """Write down what was found of a flight."""
        values = {"summary": msgspec.to_builtins(summary)}
        async with self._store.writing() as connection:
            await connection.execute(update(flights).where(flights.c.id == flight_id).values(**values))

    async def of_airframe(self, *, registration: str, sysid: int) -> list[Row[Any]]:
        """Flights of one airframe that something was found of, oldest first: those of a registration, or those under a
        sysid without any."""
        query = select(flights).where(flights.c.registration == registration, flights.c.summary.is_not(None))
        if not registration:
            query = query.where(flights.c.sysid == sysid)
        async with self._store.reading() as connection:
            return list(await connection.execute(query.order_by(flights.c.started_utc_s)))

    async def points(self, flight_id: str) -> list[TrackPoint]:
        """Where it went, as it was written down, oldest first. Raises NotFound."""
        await self.row(flight_id)
        columns = [track_points.c[name] for name in ("utc_s", "lon", "lat", "altitude_amsl_m", "ground_speed_m_s")]
        query = select(*columns).where(track_points.c.flight_id == flight_id).order_by(track_points.c.number)
        async with self._store.reading() as connection:
            return [TrackPoint(*row) for row in await connection.execute(query)]

    async def track(self, flight_id: str) -> dict[str, Any]:
        """Where it went, as a GeoJSON Feature. Raises NotFound."""
        return track_feature(flight_id, await self.points(flight_id))

    async def row(self, flight_id: str) -> Row[Any]:
        """One flight as it is written down. Raises NotFound."""
        async with self._store.reading() as connection:
            row = (await connection.execute(select(flights).where(flights.c.id == flight_id))).first()
        if row is None:
            raise NotFound(f"no flight {flight_id}")
        return row

    async def rows(
        self, *, mission_id: str | None = None, stages: tuple[str, ...] | None = None, limit: int = 1000
    ) -> list[Row[Any]]:
        """Flights as they are written down, newest first."""
        last = select(func.max(track_points.c.utc_s)).where(track_points.c.flight_id == flights.c.id)
        query = select(flights, last.scalar_subquery().label("track_utc_s"))
        query = query.order_by(flights.c.started_utc_s.desc(), flights.c.id.desc()).limit(limit)
        if mission_id is not None:
            query = query.where(flights.c.mission_id == mission_id)
        if stages is not None:
            query = query.where(flights.c.stage.in_(stages))
        async with self._store.reading() as connection:
            return list(await connection.execute(query))


def flight_of(row: Row[Any]) -> Flight:
    """A flight as it stood when it was last written down."""
    return Flight(
        id=row.id,
        mission_id=row.mission_id,
        sysid=row.sysid,
        sortie=row.sortie,
        hash=row.hash,
        stage=row.stage,
        item=row.item,
        total=row.total,
        text=row.text,
        airborne_utc_s=row.airborne_utc_s,
        path_m=row.path_m,
        track_utc_s=row.track_utc_s if row.track_utc_s is not None else float("-inf"),
    )


def public(row: Row[Any], *, whole: bool = True) -> dict[str, Any]:
    """A flight as the API gives it; in a list without all that was heard in it."""
    summary = row.summary
    if summary is not None and not whole:
        summary = {name: value for name, value in summary.items() if name not in ("warnings", "alarms")}
    moments = {
        name: None if value is None else iso_utc(value)
        for name, value in (
            ("started_utc", row.started_utc_s),
            ("airborne_utc", row.airborne_utc_s),
            ("ended_utc", row.ended_utc_s),
        )
    }
    return {
        "id": row.id,
        "mission": row.mission_id,
        "sysid": row.sysid,
        "registration": row.registration,
        "stage": row.stage,
        "item": row.item,
        "total": row.total,
        "sortie": row.sortie,
        "fraction": fraction(row.stage, row.item, row.total),
        "text": row.text,
        "path_m": round(row.path_m, 2),
        "summary": summary,
        **moments,
    }
