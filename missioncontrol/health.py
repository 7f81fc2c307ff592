"""Health of the vehicles: what their flights were, how their batteries age, and when they are due for maintenance.

When a flight has ended, its recording is read in a thread and what was found is written down with the flight; after
a restart that is made up for. Only flights of one registration count together: a sysid may have been given to another
airframe since.
"""

from __future__ import annotations

import asyncio
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import structlog
from sqlalchemy import Row, insert, select

from fleet.errors import RecordingInvalid
from fleet.flightlog import FlightSummary, read_flight
from fleet.health import HealthLimits, Resistance, Trend, resistance_trend
from missioncontrol import audit
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import NotFound
from missioncontrol.fleet_settings import VehicleSettings
from missioncontrol.logbook import Logbook
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.tables import maintenance

log = structlog.get_logger(__name__)

RECENT_FLIGHTS = 5
"""Alarms are shown of so many flights."""


class MaintenanceDone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Maintenance that a person did."""

    work: Literal["service", "battery"] = "service"
    """service: it was gone over, and its hours and cycles count anew. battery: it has another battery."""
    note: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    """What was done."""


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """Use of a vehicle since its last maintenance."""

    hours: float
    """Flown, h."""
    hours_limit: float
    """After which it is due, h."""
    cycles: float
    """Battery cycles."""
    cycles_limit: float
    """After which it is due."""
    due: bool
    """One of the two is reached."""
    last: dict[str, Any] | None
    """utc, person, work and note of the last one; None before the first."""


class BatteryHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the battery in use ages."""

    cycles: float
    """Charge drawn, in full capacities."""
    flights: int
    """Flights that it made."""
    capacity_ah: float | None
    """By the settings; None where cycles are counted by the autopilot's percent."""
    resistance: Resistance | None
    """Inner resistance in the last flight that tells it."""
    trend: Trend | None
    """Of the resistance; None below five flights that tell it."""
    rising: bool
    """Whether the resistance rises beyond the error of the trend."""
    since_utc: str | None
    """When it was put in; None where it is the first."""


class VehicleHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Health of one airframe."""

    sysid: int
    """Under which it flies now."""
    registration: str
    """Whose flights count."""
    flights: int
    """Times it was in the air."""
    hours: float
    """Flown, h."""
    distance_m: float
    """Flown over ground, m."""
    battery: BatteryHealth
    """Of the one in use."""
    maintenance: Maintenance
    """Since the last one."""
    vibration_m_s2: float | None
    """Greatest in its last flight, m/s2."""
    ekf_ratio: float | None
    """Greatest innovation test ratio in its last flight."""
    alarms: list[dict[str, Any]]
    """flight, utc, kind and text of alarms in its last five flights, oldest first."""


class Health:
    """Finds out how flights went, and tells how vehicles are."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        """Of the flights in `store`, and the recordings in the data folder of `settings`."""
        self._store, self._settings, self._clock = store, settings, clock
        self._logbook = Logbook(store)
        self._ended = asyncio.Event()
        self._ended.set()

    def flight_ended(self) -> None:
        """There is a recording to be read."""
        self._ended.set()

    async def keep_summaries(self) -> None:
        """Read the recordings of flights that ended, one after the other, for ever."""
        while True:
            await self._ended.wait()
            self._ended.clear()
            for row in await self._logbook.without_summary():
                path = recording_path(self._settings, row.id)
                summary = await asyncio.to_thread(_summary, path, row.sysid, self._settings.health.limits)
                if summary.problem:
                    log.warning("flight not summed up", flight=row.id, sysid=row.sysid, error=summary.problem)
                await self._logbook.save_summary(row.id, summary)

    async def of(self, sysid: int) -> VehicleHealth:
        """How a vehicle of ours is. Raises NotFound."""
        vehicle = self._ours(sysid)
        rows = await self._logbook.of_airframe(registration=vehicle.registration, sysid=sysid)
        flown = [flown for row in rows if (flown := _Flown.of(row, vehicle.battery_ah)).summary.duration_s > 0]
        done = await self._done(vehicle)
        return VehicleHealth(
            sysid=sysid,
            registration=vehicle.registration,
            flights=len(flown),
            hours=sum(flight.summary.duration_s for flight in flown) / 3600.0,
            distance_m=sum(flight.summary.distance_m for flight in flown),
            battery=_battery(flown, _last(done, "battery"), vehicle.battery_ah),
            maintenance=self._maintenance(flown, done),
            vibration_m_s2=flown[-1].summary.vibration_m_s2 if flown else None,
            ekf_ratio=flown[-1].summary.ekf_ratio if flown else None,
            alarms=[
                {"flight": flight.id, "utc": iso_utc(alarm.utc_s), "kind": alarm.kind, "text": alarm.text}
                for flight in flown[-RECENT_FLIGHTS:]
                for alarm in flight.summary.alarms
            ],
        )

    async def maintained(self, sysid: int, done: MaintenanceDone, *, person: str) -> VehicleHealth:
        """Write down that a person did maintenance; how the vehicle is then. Raises NotFound."""
        vehicle, now_s = self._ours(sysid), self._clock()
        values = {"sysid": sysid, "registration": vehicle.registration, "utc_s": now_s, "person": person}
        detail = {"registration": vehicle.registration, **msgspec.to_builtins(done)}
        entry = audit.AuditEntry(utc_s=now_s, person=person, event="maintenance done", detail=detail)
        async with self._store.writing() as connection:
            await connection.execute(insert(maintenance).values(**values, work=done.work, note=done.note))
            await audit.record(connection, "vehicle", str(sysid), entry)
        return await self.of(sysid)

    def _ours(self, sysid: int) -> VehicleSettings:
        vehicle = self._settings.vehicle(sysid)
        if vehicle is None:
            raise NotFound(f"no vehicle of ours with sysid {sysid}")
        return vehicle

    async def _done(self, vehicle: VehicleSettings) -> list[Row[Any]]:
        """All maintenance of an airframe, oldest first."""
        query = select(maintenance).where(maintenance.c.registration == vehicle.registration)
        if not vehicle.registration:
            query = query.where(maintenance.c.sysid == vehicle.sysid)
        async with self._store.reading() as connection:
            return list(await connection.execute(query.order_by(maintenance.c.number)))

    def _maintenance(self, flown: list[_Flown], done: list[Row[Any]]) -> Maintenance:
        limits, last = self._settings.health, _last(done, "service")
        since = [flight for flight in flown if last is None or flight.started_utc_s >= last.utc_s]
        hours, cycles = sum(flight.summary.duration_s for flight in since) / 3600.0, sum(f.cycles for f in since)
        newest = done[-1] if done else None
        return Maintenance(
            hours=hours,
            hours_limit=limits.maintenance_hours,
            cycles=cycles,
            cycles_limit=limits.maintenance_cycles,
            due=hours >= limits.maintenance_hours or cycles >= limits.maintenance_cycles,
            last=None
            if newest is None
            else {
                "utc": iso_utc(newest.utc_s),
                "person": newest.person,
                "work": newest.work,
                "note": newest.note,
            },
        )


class _Flown(msgspec.Struct, frozen=True):
    """One flight as it counts."""

    id: str
    started_utc_s: float
    summary: FlightSummary
    cycles: float

    @classmethod
    def of(cls, row: Row[Any], battery_ah: float | None) -> _Flown:
        """From what is written down."""
        summary = msgspec.convert(row.summary, FlightSummary)
        if summary.problem and row.airborne_utc_s is not None:  # it was flown all the same
            duration_s = max(0.0, row.ended_utc_s - row.airborne_utc_s)
            summary = msgspec.structs.replace(summary, duration_s=duration_s, distance_m=row.path_m)
        if battery_ah is not None and summary.charge_ah is not None:
            cycles = summary.charge_ah / battery_ah
        else:
            cycles = (summary.battery_percent or 0.0) / 100.0
        return cls(row.id, row.started_utc_s, summary, cycles)


def _last(done: list[Row[Any]], work: str) -> Row[Any] | None:
    return next((row for row in reversed(done) if row.work == work), None)


def _battery(flown: list[_Flown], last: Row[Any] | None, battery_ah: float | None) -> BatteryHealth:
    """Of the battery that was put in last."""
    since = [flight for flight in flown if last is None or flight.started_utc_s >= last.utc_s]
    cycles = list(accumulate(flight.cycles for flight in since))
    told = [(used, flight.summary.resistance) for used, flight in zip(cycles, since, strict=True)]
    known = [(used, resistance) for used, resistance in told if resistance is not None]
    trend = resistance_trend([used for used, _ in known], [resistance for _, resistance in known])
    return BatteryHealth(
        cycles=cycles[-1] if cycles else 0.0,
        flights=len(since),
        capacity_ah=battery_ah,
        resistance=known[-1][1] if known else None,
        trend=trend,
        rising=trend is not None and trend.rising,
        since_utc=None if last is None else iso_utc(last.utc_s),
    )


def recording_path(settings: Settings, flight_id: str) -> Path:
    """Where the .tlog of a flight is."""
    return settings.data / "recordings" / f"{flight_id}.tlog"


def _summary(path: Path, sysid: int, limits: HealthLimits) -> FlightSummary:
    """Of a recording; one that is missing or spoiled is a summary with a problem."""
    try:
        return read_flight(path, sysid, limits).summary
    except RecordingInvalid as exc:
        return FlightSummary(problem=str(exc))
