"""Flights: a launch of a mission, vehicle by vehicle, from upload to landing.

All vehicles are uploaded to, and what each reads back is checked, before the first is armed:
either a mission can be flown whole or nothing has moved. From take-off on the
vehicle flies by itself; the service watches, writes the track down, and ends the
flight when the vehicle has landed. A restart finds flights that were in the air and goes on watching.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import structlog
import uuid_utils
from sqlalchemy import Row, func, insert, select, update

from fleet.errors import FleetError
from fleet.fleet import Fleet
from fleet.telemetry import Condition, TelemetryState
from fleet.transfers import TransferProgress
from geo.positions import distance_m
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import Conflict, LaunchFailed, NotFound, TransitionImpossible
from missioncontrol.missions import Missions, MissionState, fraction
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.surveys import Plan, VehiclePlan
from missioncontrol.tables import flights, track_points
from missioncontrol.vehicles import TrackPoint, Vehicles, track_feature

log = structlog.get_logger(__name__)

WATCH_S = 0.25
"""How often a flight is looked at, s."""
TRACK_WRITE_S = 2.0
"""How often its track is written down, s."""
PROGRESS_S = 1.0
"""How often its progress is told, s."""
_UNDER_WAY = ("waiting", "uploading", "uploaded", "arming", "flying", "returning")
_AIRBORNE = ("flying", "returning")
Start = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Starts a named task of the service."""


class Flight(msgspec.Struct, kw_only=True):
    """One vehicle's part of a launch, as it goes."""

    id: str
    """UUIDv7."""
    mission_id: str
    """Mission flown."""
    sysid: int
    """Who flies."""
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
    last: tuple[float, float] | None = None
    """Last place written down, lon and lat, deg."""


class Flights:
    """All flights of an installation."""

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        missions: Missions,
        vehicles: Vehicles,
        settings: Settings,
        clock: Clock,
        *,
        start: Start,
        on_alarm: Callable[[str], None],
    ) -> None:
        """`start` starts a task of the service; `on_alarm` hears of flights that fail."""
        self._store, self._fleet, self._missions, self._vehicles = store, fleet, missions, vehicles
        self._settings, self._clock, self._start, self._on_alarm = settings, clock, start, on_alarm
        self._launches: dict[str, asyncio.Task[None]] = {}
        self._busy: dict[int, str] = {}
        self._returning: set[str] = set()

    async def launch(self, mission_id: str, *, person: str) -> dict[str, Any]:
        """Begin to fly an approved mission. Raises TransitionImpossible, HashMismatch, VehicleUnknown, Conflict."""
        plan = await self._missions.approved_plan(mission_id)
        for part in plan.vehicles:
            self._check_free(part.sysid)
        if mission_id in self._launches:
            raise TransitionImpossible(f"mission {mission_id} is being launched already")
        self._returning.discard(mission_id)
        for part in plan.vehicles:
            self._busy[part.sysid] = mission_id
        try:
            parts = [(part, await self._open(mission_id, part)) for part in plan.vehicles]
            detail = {"hash": plan.hash, "vehicles": [part.sysid for part in plan.vehicles]}
            await self._missions.note(mission_id, "launched", person=person, detail=detail)
        except BaseException:
            self._release(plan)
            raise
        self._launches[mission_id] = self._start(self._fly_all(mission_id, plan, parts), f"mission[{mission_id}]")
        return await self._missions.get(mission_id)

    async def abort(self, mission_id: str, *, person: str) -> dict[str, Any]:
        """Every vehicle of a mission that is in the air returns and lands. Raises TransitionImpossible."""
        before = await self._missions.state(mission_id)
        flying = await self._rows(mission_id=mission_id, stages=_UNDER_WAY)
        if before not in (MissionState.APPROVED, MissionState.UPLOADED, MissionState.FLYING):
            raise TransitionImpossible(f"mission {mission_id} is {before}; there is nothing to abort")
        self._returning.add(mission_id)
        texts = []
        for row in flying:
            vehicle = self._fleet.vehicle(row.sysid)
            if vehicle.state.armed:
                try:
                    (await vehicle.rtl()).accepted()
                except FleetError as exc:
                    texts.append(f"vehicle {row.sysid}: {exc}")
                    self._on_alarm(f"vehicle {row.sysid} did not take the return command: {exc}")
        reason = "; ".join(texts) or f"aborted by {person}"
        return await self._missions.step(mission_id, MissionState.ABORTED, person=person, reason=reason)

    async def resume_watching(self) -> None:
        """After a start: go on watching flights that were in the air, close those that never got there."""
        adopted: dict[str, list[Flight]] = {}
        for row in await self._rows(stages=_UNDER_WAY):
            flight = _flight(row)
            if row.stage in _AIRBORNE and row.sysid in self._fleet.vehicles:
                adopted.setdefault(row.mission_id, []).append(flight)
            else:
                flight.stage, flight.text = "failed", "the service was stopped before take-off"
                await self._save(flight, ended=True)
                if await self._missions.state(row.mission_id) in (MissionState.UPLOADED, MissionState.APPROVED):
                    await self._missions.step(row.mission_id, MissionState.FAILED, reason=flight.text)
        for mission_id, found in adopted.items():
            for flight in found:
                self._busy[flight.sysid] = mission_id
                self._vehicles.on_flight(flight.sysid, (flight.id, mission_id))
            log.info("flights adopted", mission=mission_id, vehicles=[flight.sysid for flight in found])
            watching = self._watch_all(mission_id, found)
            self._launches[mission_id] = self._start(watching, f"mission[{mission_id}]")

    async def everything(self, limit: int = 200) -> list[dict[str, Any]]:
        """Flights, newest first."""
        return [_public(row) for row in await self._rows(limit=limit)]

    async def get(self, flight_id: str) -> dict[str, Any]:
        """One flight. Raises NotFound."""
        return _public(await self._row(flight_id))

    async def track(self, flight_id: str) -> dict[str, Any]:
        """Where it went, as a GeoJSON Feature. Raises NotFound."""
        await self._row(flight_id)
        columns = [track_points.c[name] for name in ("utc_s", "lon", "lat", "altitude_amsl_m", "ground_speed_m_s")]
        query = select(*columns).where(track_points.c.flight_id == flight_id).order_by(track_points.c.number)
        async with self._store.reading() as connection:
            points = [TrackPoint(*row) for row in await connection.execute(query)]
        return track_feature(flight_id, points)

    def _check_free(self, sysid: int) -> None:
        state = self._fleet.vehicle(sysid).state
        if sysid in self._busy:
            raise Conflict(f"vehicle {sysid} is on mission {self._busy[sysid]}")
        if state.condition not in (Condition.READY, Condition.LANDED):
            raise Conflict(f"vehicle {sysid} is {state.condition.value}; only a ready or landed one can be launched")

    def _release(self, plan: Plan) -> None:
        for part in plan.vehicles:
            self._busy.pop(part.sysid, None)

    async def _open(self, mission_id: str, part: VehiclePlan) -> Flight:
        flight = Flight(id=str(uuid_utils.uuid7()), mission_id=mission_id, sysid=part.sysid, total=len(part.items))
        ours = self._settings.vehicle(part.sysid)
        async with self._store.writing() as connection:
            await connection.execute(
                insert(flights).values(
                    id=flight.id,
                    mission_id=mission_id,
                    sysid=part.sysid,
                    registration=ours.registration if ours else "",
                    stage=flight.stage,
                    item=0,
                    total=flight.total,
                    text="",
                    started_utc_s=self._clock(),
                    path_m=0.0,
                )
            )
        return flight

    async def _fly_all(self, mission_id: str, plan: Plan, parts: list[tuple[VehiclePlan, Flight]]) -> None:
        try:
            failures = await self._upload_all(parts)
            if failures or mission_id in self._returning:
                await self._call_off(mission_id, [flight for _, flight in parts], failures)
                return
            hashes = {str(part.sysid): part.hash for part, _ in parts}
            if not await self._advance(mission_id, MissionState.UPLOADED, detail={"hashes": hashes}):
                await self._call_off(mission_id, [flight for _, flight in parts], [])
                return
            await asyncio.gather(*(self._take_off(part, flight) for part, flight in parts))
            await self._watch_all(mission_id, [flight for _, flight in parts])
        finally:
            self._release(plan)
            self._launches.pop(mission_id, None)

    async def _upload_all(self, parts: list[tuple[VehiclePlan, Flight]]) -> list[str]:
        """What went wrong, vehicle by vehicle; nothing is armed here."""
        return [text for text in await asyncio.gather(*(self._upload(part, flight) for part, flight in parts)) if text]

    async def _upload(self, part: VehiclePlan, flight: Flight) -> str | None:
        def progress(done: TransferProgress) -> None:
            flight.item, flight.total, flight.text = done.done, done.total, done.stage

        vehicle = self._fleet.vehicle(part.sysid)
        await self._stage(flight, "uploading")
        telling = asyncio.create_task(self._keep_telling(flight), name=f"upload[{part.sysid}]")
        try:
            self._fleet.start_recording(part.sysid, self._settings.data / "recordings" / f"{flight.id}.tlog")
            aboard = await vehicle.upload_mission(list(part.items), progress=progress)
        except FleetError as exc:
            await self._fail(flight, f"upload: {exc}")
            return f"vehicle {part.sysid}: upload: {exc}"
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling
        flight.item, flight.total = 0, len(part.items)
        if aboard != part.hash:
            text = f"what was read back hashes to {aboard[:12]}, approved is {part.hash[:12]}"
            await self._fail(flight, text)
            return f"vehicle {part.sysid}: {text}"
        await self._stage(flight, "uploaded")
        return None

    async def _keep_telling(self, flight: Flight) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            await self._save(flight)
            await self._missions.announce(flight.mission_id)

    async def _take_off(self, part: VehiclePlan, flight: Flight) -> None:
        vehicle = self._fleet.vehicle(part.sysid)
        try:
            await self._stage(flight, "arming")
            self._check_not_aborted(flight)
            await vehicle.arm(part.hash)
            self._check_not_aborted(flight)
            self._vehicles.on_flight(part.sysid, (flight.id, flight.mission_id))
            await vehicle.start_mission()
            await self._until_airborne(flight)
        except (FleetError, LaunchFailed) as exc:
            await self._fail(flight, str(exc))

    def _check_not_aborted(self, flight: Flight) -> None:
        if flight.mission_id in self._returning:
            raise LaunchFailed("aborted before take-off")

    async def _until_airborne(self, flight: Flight) -> None:
        vehicle = self._fleet.vehicle(flight.sysid)
        try:
            async with asyncio.timeout(self._settings.fleet.launch_timeout_s):
                await _until(lambda: _in_air(vehicle.state))
        except TimeoutError:
            raise LaunchFailed(
                f"vehicle {flight.sysid} was not in the air {self._settings.fleet.launch_timeout_s:g} s after the start"
            ) from None
        flight.airborne_utc_s = vehicle.state.vehicle_utc_s or self._clock()
        flight.track_utc_s = flight.airborne_utc_s
        await self._stage(flight, "flying")
        await self._advance(flight.mission_id, MissionState.FLYING)

    async def _watch_all(self, mission_id: str, found: list[Flight]) -> None:
        try:
            await asyncio.gather(*(self._watch(flight) for flight in found if flight.stage in _AIRBORNE))
        finally:
            self._launches.pop(mission_id, None)
            for flight in found:
                self._busy.pop(flight.sysid, None)
                self._vehicles.on_flight(flight.sysid, None)
        await self._finish(mission_id, found)

    async def _watch(self, flight: Flight) -> None:
        """Until it has landed."""
        vehicle = self._fleet.vehicle(flight.sysid)
        written_s = told_s = asyncio.get_running_loop().time()
        while not _has_landed(vehicle.state):
            await asyncio.sleep(WATCH_S)
            changed = self._note_progress(flight, vehicle.state)
            now_s = asyncio.get_running_loop().time()
            if now_s - written_s >= TRACK_WRITE_S:
                written_s = now_s
                await self._write_track(flight)
            if changed and now_s - told_s >= PROGRESS_S:
                told_s = now_s
                await self._save(flight)
                await self._missions.announce(flight.mission_id)
        await self._write_track(flight)
        self._end(flight, vehicle.state)
        await self._save(flight, ended=True)
        await self._missions.announce(flight.mission_id)

    def _note_progress(self, flight: Flight, state: TelemetryState) -> bool:
        before = (flight.stage, flight.item)
        if state.mission is not None and state.mission.item is not None:
            flight.item = max(flight.item, state.mission.item)
        if state.mission is not None and state.mission.reached is not None:
            flight.item = max(flight.item, state.mission.reached + 1)
        if flight.mission_id in self._returning:
            flight.stage = "returning"
        return (flight.stage, flight.item) != before

    def _end(self, flight: Flight, state: TelemetryState) -> None:
        """Landed: whole, or cut short."""
        self._note_progress(flight, state)
        if flight.mission_id in self._returning:
            flight.stage, flight.text = "aborted", "returned and landed"
        elif flight.item >= flight.total - 1:
            flight.stage, flight.text, flight.item = "done", "", flight.total
        else:
            warnings = "; ".join(text.text for text in state.texts[-3:] if text.severity <= 4)
            flight.stage = "failed"
            flight.text = f"landed at item {flight.item} of {flight.total}{': ' if warnings else ''}{warnings}"

    async def _finish(self, mission_id: str, found: list[Flight]) -> None:
        self._returning.discard(mission_id)
        failures = [f"vehicle {flight.sysid}: {flight.text}" for flight in found if flight.stage != "done"]
        if not failures:
            await self._advance(mission_id, MissionState.DONE)
            return
        reason = "; ".join(failures)
        if await self._advance(mission_id, MissionState.FAILED, reason=reason):
            self._on_alarm(f"mission {mission_id} failed: {reason}")

    async def _advance(self, mission_id: str, after: MissionState, **more: Any) -> bool:
        """Move the mission on; False where another vehicle did already, or a person aborted it meanwhile."""
        try:
            await self._missions.step(mission_id, after, **more)
        except TransitionImpossible as exc:
            log.info("mission not moved on", mission=mission_id, to=after, why=str(exc))
            return False
        return True

    async def _call_off(self, mission_id: str, found: list[Flight], failures: list[str]) -> None:
        self._returning.discard(mission_id)
        for flight in found:
            if flight.stage != "failed":
                flight.stage, flight.text = "aborted", "not started"
                await self._save(flight, ended=True)
        reason = "; ".join(failures)
        if failures and await self._advance(mission_id, MissionState.FAILED, reason=reason):
            self._on_alarm(f"mission {mission_id} was not started: {reason}")

    async def _fail(self, flight: Flight, text: str) -> None:
        flight.stage, flight.text = "failed", text
        log.warning("flight failed", flight=flight.id, sysid=flight.sysid, error=text)
        await self._save(flight, ended=True)
        await self._missions.announce(flight.mission_id)

    async def _stage(self, flight: Flight, stage: str) -> None:
        flight.stage, flight.text = stage, ""
        log.info("flight", flight=flight.id, sysid=flight.sysid, stage=stage)
        await self._save(flight)
        await self._missions.announce(flight.mission_id)

    async def _save(self, flight: Flight, *, ended: bool = False) -> None:
        if ended:
            self._fleet.stop_recording(flight.sysid)
        values: dict[str, Any] = {
            "stage": flight.stage,
            "item": flight.item,
            "total": flight.total,
            "text": flight.text,
            "airborne_utc_s": flight.airborne_utc_s,
            "path_m": flight.path_m,
        }
        if ended:
            state = self._fleet.vehicles[flight.sysid].state if flight.sysid in self._fleet.vehicles else None
            utc_s = state.vehicle_utc_s if state is not None and flight.airborne_utc_s is not None else None
            values["ended_utc_s"] = utc_s or self._clock()
        async with self._store.writing() as connection:
            await connection.execute(update(flights).where(flights.c.id == flight.id).values(**values))

    async def _write_track(self, flight: Flight) -> None:
        points = self._vehicles.points_since(flight.sysid, flight.track_utc_s)
        if not points:
            return
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

    async def _row(self, flight_id: str) -> Row[Any]:
        async with self._store.reading() as connection:
            row = (await connection.execute(select(flights).where(flights.c.id == flight_id))).first()
        if row is None:
            raise NotFound(f"no flight {flight_id}")
        return row

    async def _rows(
        self, *, mission_id: str | None = None, stages: tuple[str, ...] | None = None, limit: int = 1000
    ) -> list[Row[Any]]:
        last = select(func.max(track_points.c.utc_s)).where(track_points.c.flight_id == flights.c.id)
        query = select(flights, last.scalar_subquery().label("track_utc_s"))
        query = query.order_by(flights.c.started_utc_s.desc()).limit(limit)
        if mission_id is not None:
            query = query.where(flights.c.mission_id == mission_id)
        if stages is not None:
            query = query.where(flights.c.stage.in_(stages))
        async with self._store.reading() as connection:
            return list(await connection.execute(query))


async def _until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(WATCH_S)


def _in_air(state: TelemetryState) -> bool:
    """By the autopilot's word; where it does not say, armed and 2 m above home."""
    if state.landed is not None:
        return state.armed and not state.landed
    return state.armed and (state.relative_altitude_m or 0.0) > 2.0


def _has_landed(state: TelemetryState) -> bool:
    """Disarmed, and heard so; a silent vehicle has not landed."""
    return state.condition in (Condition.LANDED, Condition.READY) and not state.armed


def _flight(row: Row[Any]) -> Flight:
    """A flight as it stood when it was last written down."""
    return Flight(
        id=row.id,
        mission_id=row.mission_id,
        sysid=row.sysid,
        stage=row.stage,
        item=row.item,
        total=row.total,
        text=row.text,
        airborne_utc_s=row.airborne_utc_s,
        path_m=row.path_m,
        track_utc_s=row.track_utc_s if row.track_utc_s is not None else float("-inf"),
    )


def _public(row: Row[Any]) -> dict[str, Any]:
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
        "fraction": fraction(row.stage, row.item, row.total),
        "text": row.text,
        "path_m": round(row.path_m, 2),
        **moments,
    }
