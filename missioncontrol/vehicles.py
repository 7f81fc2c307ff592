"""Vehicles as people see them, and the commands people give them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from typing import Any, Literal

import msgspec
import structlog

from fleet.errors import FleetError
from fleet.fleet import Fleet
from fleet.telemetry import TelemetryState
from geo.errors import TerrainMissing
from geo.positions import Datum
from geo.terrain import Terrain
from missioncontrol import audit
from missioncontrol.clocks import Clock
from missioncontrol.control import Control
from missioncontrol.errors import InputInvalid, MissionControlError, NotFound
from missioncontrol.keyring import Keyring
from missioncontrol.live import Live
from missioncontrol.orders import EmergencyStop, Order, Orders
from missioncontrol.settings import Settings
from missioncontrol.store import Store

log = structlog.get_logger(__name__)

LIVE_HZ = 5.0
"""How often a vehicle's change is told, at most."""
_TRACK_POINTS = 20_000
_TEXTS = 10
MAV_TYPES = {
    1: "fixed_wing",
    2: "quadrotor",
    3: "coaxial",
    4: "helicopter",
    13: "hexarotor",
    14: "octorotor",
    15: "tricopter",
    19: "vtol_tailsitter",
    20: "vtol_tiltrotor",
    21: "vtol_tiltrotor",
    22: "vtol",
}
"""Names of MAV_TYPE."""


class ControlChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of the control of a vehicle."""

    action: Literal["take", "take_over", "hand_over", "release"]
    """take is refused where somebody else holds it, take_over is not."""
    to: str | None = None
    """Whom it is handed over to."""


CONFIRM_S = 10.0
"""An emergency stop must be confirmed within this, s."""


class TrackPoint(msgspec.Struct, frozen=True):
    """Where a vehicle was."""

    utc_s: float
    """When, by the vehicle's clock where it has one, s since 1970 UTC."""
    lon: float
    """Longitude, deg."""
    lat: float
    """Latitude, deg."""
    amsl_m: float
    """Height, m AMSL."""
    ground_speed_m_s: float | None = None
    """Over ground, m/s."""


class Vehicles:
    """All vehicles that are ours or were heard."""

    def __init__(
        self,
        fleet: Fleet,
        settings: Settings,
        terrain: Terrain | None,
        store: Store,
        live: Live,
        clock: Clock,
        control: Control,
        keyring: Keyring,
    ) -> None:
        """Those of `fleet`; heights above ground by `terrain`; held as `control` says; keys from `keyring`."""
        self._fleet, self._settings, self._terrain, self._control = fleet, settings, terrain, control
        self._store, self._live, self._clock = store, live, clock
        self._keyring = keyring
        self._stops: dict[tuple[int, str], tuple[str, float]] = {}
        self._flights: dict[int, tuple[str, str]] = {}
        self._tracks: dict[int, deque[TrackPoint]] = {}
        self._told: dict[int, dict[str, Any]] = {}

    def on_flight(self, sysid: int, flight: tuple[str, str] | None) -> None:
        """A vehicle now flies (flight id, mission id), or no longer does."""
        if flight is None:
            self._flights.pop(sysid, None)
        else:
            self._flights[sysid] = flight

    def flight_of(self, sysid: int) -> tuple[str, str] | None:
        """Flight id and mission id of a vehicle; None while it is on no flight."""
        return self._flights.get(sysid)

    def states(self) -> list[TelemetryState]:
        """Snapshots of all vehicles, by sysid."""
        states = {sysid: vehicle.state for sysid, vehicle in self._fleet.vehicles.items()} | self._fleet.strangers
        return [states[sysid] for sysid in sorted(states)]

    def features(self) -> list[dict[str, Any]]:
        """GeoJSON Features of all vehicles, by sysid."""
        return [self.feature(state) for state in self.states()]

    def feature(self, state: TelemetryState) -> dict[str, Any]:
        """GeoJSON Feature of one vehicle."""
        ours = self._settings.vehicle(state.sysid)
        position, battery, gps, progress = state.position, state.battery, state.gps, state.mission
        flight = self._flights.get(state.sysid)
        mission = None
        if progress is not None or flight is not None:
            mission = {
                "id": flight[1] if flight else None,
                "flight": flight[0] if flight else None,
                "item": progress.item if progress else None,
                "total": progress.total if progress else None,
            }
        coordinates = None if position is None else [position.lon, position.lat, position.altitude.value_m]
        return {
            "type": "Feature",
            "id": state.sysid,
            "geometry": None if coordinates is None else {"type": "Point", "coordinates": coordinates},
            "properties": {
                "sysid": state.sysid,
                "name": ours.name if ours else f"sysid {state.sysid}",
                "registered": ours is not None,
                "registration": ours.registration if ours else "",
                "autopilot": state.autopilot,
                "type": MAV_TYPES.get(state.vehicle_type or 0, "unknown"),
                "state": state.condition.value,
                "mode": state.mode_name,
                "armed": state.armed,
                "battery_percent": battery.remaining_percent if battery else None,
                "voltage_v": battery.voltage_v if battery else None,
                "height_agl_m": self._height_agl_m(state),
                "relative_altitude_m": state.relative_altitude_m,
                "ground_speed_m_s": state.velocity.ground_speed_m_s if state.velocity else None,
                "heading_deg": state.heading_deg,
                "gps_fix": gps.fix_type if gps else None,
                "satellites": gps.satellites if gps else None,
                "mission": mission,
                "video": bool(ours and ours.video),
                "camera": ours.camera if ours else None,
                "last_heard_utc_s": state.last_heard_utc_s,
                "vehicle_utc_s": state.vehicle_utc_s,
                "loss_percent": round(state.loss_percent, 2),
                "conflict": state.conflict,
                "link": state.link.value,
                "control": self._control.lease(state.sysid).public(),
                "texts": [
                    {"text": text.text, "severity": text.severity, "utc_s": text.utc_s}
                    for text in state.texts[-_TEXTS:]
                ],
                "gimbal_pitch_deg": state.gimbal.pitch_deg if state.gimbal else None,
            },
        }

    async def command(self, sysid: int, order: Order, *, person: str) -> dict[str, Any]:
        """Give an order and wait for its acknowledgement.

        An emergency stop is given only when it comes again with the confirmation of the first answer. Raises
        VehicleUnknown, VehicleRefused, LinkError, InputInvalid for a wrong confirmation, and ControlHeld for what is
        no emergency order.
        """
        # what makes a flight safer must not hang on another adapter
        vehicle = self._fleet.vehicle(sysid) if order.emergency else self._fleet.commander(sysid)
        name = str(order.__struct_config__.tag)
        if not order.emergency:
            await self._control.need(sysid, person=person, token=order.token)
        if isinstance(order, EmergencyStop) and (asked := self._ask_back(sysid, order, person)) is not None:
            return asked
        try:
            result = await order.give(vehicle)
            answer = {"sysid": sysid, "command": name, "state": result.state.value, "text": result.text}
        except Exception as exc:  # written down whatever it is: the vehicle may have been told
            await self._record(sysid, order, person, {"state": "failed", "text": _text_of(exc)})
            raise
        await self._record(sysid, order, person, answer)
        return answer

    async def command_all(self, orders: Orders, *, person: str) -> list[dict[str, Any]]:
        """Give one order to several vehicles at once: a result for each, whatever becomes of the others.

        Raises InputInvalid for an emergency stop, which is for one vehicle alone, and for a sysid given twice.
        """
        if isinstance(orders.order, EmergencyStop):
            raise InputInvalid("order: an emergency stop is given to one vehicle alone")
        if len(set(orders.sysids)) < len(orders.sysids):
            raise InputInvalid("sysids: one is given twice")
        return await asyncio.gather(*(self._command_one(sysid, orders.order, person) for sysid in orders.sysids))

    async def _command_one(self, sysid: int, order: Order, person: str) -> dict[str, Any]:
        try:
            return await self.command(sysid, order, person=person)
        except Exception as exc:  # what the others answered must be seen all the same
            if not isinstance(exc, (FleetError, MissionControlError)):
                log.exception("order failed", sysid=sysid, order=order.__struct_config__.tag)
            return {"sysid": sysid, "command": order.__struct_config__.tag, "state": "failed", "text": _text_of(exc)}

    def _ask_back(self, sysid: int, order: EmergencyStop, person: str) -> dict[str, Any] | None:
        """The question that comes first; None once it is answered. Raises InputInvalid."""
        now_s = time.monotonic()
        if order.confirmation is None:
            code = secrets.token_hex(4)
            self._stops[sysid, person] = (code, now_s + CONFIRM_S)
            text = f"the motors of vehicle {sysid} stop and it falls; confirm within {CONFIRM_S:g} s"
            return {"sysid": sysid, "command": "emergency_stop", "state": "asked", "text": text, "confirmation": code}
        code, until_s = self._stops.pop((sysid, person), ("", 0.0))
        if not secrets.compare_digest(code.encode(), order.confirmation.encode()) or now_s > until_s:
            raise InputInvalid(
                f"confirmation: is not the one for vehicle {sysid}, or came after {CONFIRM_S:g} s; ask anew"
            )
        return None

    def links(self) -> dict[str, Any]:
        """What passed over each link, and between each vehicle and us."""
        heard = sorted(self._fleet.router.systems)
        return {
            "links": msgspec.to_builtins(self._fleet.router.link_traffic()),
            "vehicles": [{"sysid": sysid, **msgspec.to_builtins(self._fleet.router.traffic(sysid))} for sysid in heard],
        }

    async def believe(self, sysid: int, way: str, *, person: str) -> dict[str, Any]:
        """Say which of two that claim a sysid is the vehicle. Raises VehicleUnknown."""
        self._fleet.vehicle(sysid)
        self._fleet.router.believe(sysid, way)
        entry = audit.AuditEntry(utc_s=self._clock(), person=person, event="identity settled", detail={"way": way})
        async with self._store.writing() as connection:
            await audit.record(connection, "vehicle", str(sysid), entry)
        return {"sysid": sysid, **msgspec.to_builtins(self._fleet.router.traffic(sysid))}

    async def set_up_signing(self, sysid: int, *, person: str) -> dict[str, Any]:
        """Give a vehicle a signing key, its first or another; as `Keyring.set_up`."""
        return await self._keyring.set_up(self._fleet, self._store, sysid, person=person)

    async def change_control(self, sysid: int, change: ControlChange, *, person: str) -> dict[str, Any]:
        """Take, take over, hand over or release. Raises VehicleUnknown, ControlHeld, InputInvalid."""
        self._fleet.vehicle(sysid)
        if (change.to is not None) != (change.action == "hand_over"):
            raise InputInvalid("to: is the person that a vehicle is handed over to, and goes with hand_over alone")
        if change.action == "take":
            lease = await self._control.need(sysid, person=person)
        elif change.action == "take_over":
            lease = await self._control.take_over(sysid, person=person)
        elif change.to is not None:
            lease = await self._control.hand_over(sysid, change.to, person=person)
        else:
            lease = await self._control.release(sysid, person=person)
        return {"sysid": sysid, **lease.public()}

    async def _record(self, sysid: int, order: Order, person: str, answer: dict[str, Any]) -> None:
        detail = {**msgspec.to_builtins(order), "state": answer["state"], "text": answer["text"]}
        entry = audit.AuditEntry(utc_s=self._clock(), person=person, event=detail["command"], detail=detail)
        async with self._store.writing() as connection:
            await audit.record(connection, "vehicle", str(sysid), entry)

    def track(self, sysid: int, seconds: float) -> dict[str, Any]:
        """A Feature with a LineString of lon, lat, m AMSL: the last `seconds` by the vehicle's clock."""
        if self._settings.vehicle(sysid) is None and sysid not in self._tracks:
            raise NotFound(f"no vehicle with sysid {sysid}")
        points = list(self._tracks.get(sysid, ()))
        recent = [point for point in points if point.utc_s >= points[-1].utc_s - seconds]
        return track_feature(sysid, recent)

    def points_since(self, sysid: int, utc_s: float) -> list[TrackPoint]:
        """Where a vehicle was after a moment, oldest first."""
        recent: list[TrackPoint] = []
        for point in reversed(self._tracks.get(sysid, ())):
            if point.utc_s <= utc_s:
                break
            recent.append(point)
        return recent[::-1]

    async def run(self) -> None:
        """Tell of changes, for ever."""
        while True:
            self.look()
            await asyncio.sleep(1 / LIVE_HZ)

    def look(self) -> None:
        """Take note of where every vehicle is now, and tell the live clients what changed."""
        for state in self.states():
            self._extend_track(state)
            feature = self.feature(state)
            if self._told.get(state.sysid) != feature:
                self._told[state.sysid] = feature
                self._live.vehicle(feature)

    def _extend_track(self, state: TelemetryState) -> None:
        if state.position is None:
            return
        track = self._tracks.setdefault(state.sysid, deque(maxlen=_TRACK_POINTS))
        utc_s = state.vehicle_utc_s or state.last_heard_utc_s or self._clock()
        if track and utc_s <= track[-1].utc_s < utc_s + 3600.0:
            return
        speed_m_s = state.velocity.ground_speed_m_s if state.velocity else None
        place = state.position
        if track and (track[-1].lon, track[-1].lat, track[-1].amsl_m) == (place.lon, place.lat, place.altitude.value_m):
            return
        track.append(TrackPoint(utc_s, place.lon, place.lat, place.altitude.value_m, speed_m_s))

    def _height_agl_m(self, state: TelemetryState) -> float | None:
        if state.position is None or self._terrain is None:
            return None
        try:
            ground = float(self._terrain.amsl_m(state.position.lon, state.position.lat))
        except TerrainMissing:
            return None
        return round(state.position.altitude.value_m - ground, 2)


def _text_of(error: Exception) -> str:
    """For a person; of an error that should not be, its kind too."""
    return str(error) if isinstance(error, (FleetError, MissionControlError)) else f"unexpected: {error!r}"


def track_feature(identifier: int | str, points: list[TrackPoint]) -> dict[str, Any]:
    """A GeoJSON Feature of a track; geometry null with fewer than two points."""
    coordinates = [[point.lon, point.lat, point.amsl_m] for point in points]
    return {
        "type": "Feature",
        "id": identifier,
        "geometry": {"type": "LineString", "coordinates": coordinates} if len(points) > 1 else None,
        "properties": {
            "utc_s": [point.utc_s for point in points],
            "ground_speed_m_s": [point.ground_speed_m_s for point in points],
            "datum": Datum.AMSL,
        },
    }
