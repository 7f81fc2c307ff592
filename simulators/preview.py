"""Plans flown on the simulated vehicle, step by step, as fast as it goes: no clock, no sockets."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import msgspec
import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.airframes import Airframe, Kind
from fleet.autopilots import Autopilot, FlightMode, autopilot_of
from fleet.errors import VehicleRefused
from fleet.fences import FENCE_TYPE, RALLY_TYPE, fence_items, rally_items
from fleet.missions import MissionItem
from geo.positions import Altitude, Datum, Position
from geo.terrain import Terrain
from missioncontrol.errors import InputInvalid
from missioncontrol.plans import VehiclePlan
from missioncontrol.previews import Circumstances, Flown
from simulators.autopilot_links import QueueLink
from simulators.battery import Pack
from simulators.clock import SimClock
from simulators.dynamics import Airframe as Body
from simulators.dynamics import WindConditions
from simulators.vehicle import STEP_S, SimulatedVehicle

GROUND_SYSID, GROUND_COMPID = 255, 190
EPOCH_UTC_S = 1_800_000_000.0
"""When each preview begins, s since 1970 UTC."""
READY_S, READY_WITHIN_S = 2.0, 60.0
"""Simulated s until it can be armed, and until it must be."""
LOOK_STEPS = 5
"""Steps between two rows of a track."""
REPORT_S = 5.0
"""Simulated s between two reports."""
LONGEST, LONGER_S = 2.0, 300.0
"""A flight that takes more than so many times what was planned, and so much more, is given up."""
MISSION_TYPE = 0
LISTS = {MISSION_TYPE: "mission", FENCE_TYPE: "fence", RALLY_TYPE: "rally points"}
"""By MAV_MISSION_TYPE."""
ARM, SET_MODE, MISSION_START, FENCE_ENABLE = 400, 176, 300, 207
KINDS = {"ardupilot": (3, 2), "px4": (12, 2), "arduplane": (3, 1)}
"""MAV_AUTOPILOT and MAV_TYPE of each simulated autopilot."""
HOLDING, HOLDS_S = ("HOLD", "LOITER", "BRAKE", "POSHOLD"), 60.0
"""Modes in which it stands and waits; one that left its mission for them so long ago, simulated s, is given up."""
CIRCLES_M = 150.0
"""A fixed wing so near its take-off, after its last item, is back."""
SAID_S = 3.0
"""What it said so shortly before is why, simulated s."""
WARNING = 4
"""MAV_SEVERITY: this and lower numbers are of weight."""


class SimulatedFlights:
    """Flies parts of plans on simulated vehicles, one after the other."""

    def fly(
        self, part: VehiclePlan, terrain: Terrain, circumstances: Circumstances, report: Callable[[float], None]
    ) -> Flown:
        """Fly one part to its landing, or until it failed for good. Raises TerrainMissing, InputInvalid."""
        flight = _Flight(part, terrain, circumstances)
        try:
            flight.prepare()
            flight.fly(report)
        except VehicleRefused as exc:
            flight.failed.append(str(exc))
        return flight.flown()


class _Flight:
    """One vehicle in the air, and the ground station that leads it."""

    def __init__(self, part: VehiclePlan, terrain: Terrain, circumstances: Circumstances) -> None:
        airframe = circumstances.airframes.get(part.sysid, Airframe())
        name = circumstances.autopilot
        if airframe.kind is Kind.FIXED_WING:
            name = "arduplane"
        if name not in KINDS:
            raise InputInvalid(f"autopilot: {name!r} is none of ardupilot, px4")
        lon, lat, _ = part.path["geometry"]["coordinates"][0]
        home_amsl_m = float(terrain.amsl_m(lon, lat))
        self.part, self._name = part, name
        self._autopilot: Autopilot = autopilot_of(*KINDS[name])
        self._home = Position(lon=lon, lat=lat, altitude=Altitude(home_amsl_m, Datum.AMSL))
        self._link = QueueLink()
        self.vehicle = SimulatedVehicle(
            sysid=part.sysid,
            home=(lon, lat, home_amsl_m),
            link=self._link,
            clock=SimClock(start_utc_s=EPOCH_UTC_S),
            seed=circumstances.seed * 1000 + part.sysid * 10 + part.sortie,
            wind=_wind(part, circumstances),
            terrain=lambda lon, lat: float(terrain.amsl_m(lon, lat)),
            autopilot=name,
            ready_after_s=READY_S,
            airframe=_body(airframe, circumstances),
            pack=_pack(airframe, circumstances),
            parameters=dict(self._autopilot.fence_parameters) if part.fence else None,
        )
        self._mav = mavlink.MAVLink(None, srcSystem=GROUND_SYSID, srcComponent=GROUND_COMPID)
        self._parser = mavlink.MAVLink(None)
        self._beat_s = 0.0
        self.failed: list[str] = []
        self._texts: list[str] = []
        self._said: deque[tuple[float, str]] = deque(maxlen=5)
        self._left_s: float | None = None
        self._rows: list[tuple[float, float, float, float, int]] = []
        self._shots: list[tuple[float, ...]] = []
        self._armed_s = self._energy_wh = 0.0
        self._reached = -1
        self._disarmed = self._circles = False

    # -- before it flies -----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Boot, upload the mission, its fence and rally points, arm and start. Raises VehicleRefused."""
        pilot = self.vehicle.pilot
        while not pilot.checks_pass():
            self._step()
            if pilot.time_s > READY_WITHIN_S:
                raise self._refused("cannot be armed")
        for _ in range(round(1.0 / STEP_S)):
            self._step()
        self._upload(self._autopilot.to_wire(list(self.part.items), self._home), MISSION_TYPE)
        if self.part.fence:
            self._upload(fence_items(self.part.fence), FENCE_TYPE)
            if self._autopilot.fence_must_be_enabled:
                self._order(FENCE_ENABLE, 1.0)
        if self.part.rally:
            self._upload(rally_items(self.part.rally), RALLY_TYPE)
        self._order(SET_MODE, *self._autopilot.mode_parameters(self._autopilot.arming_mode))
        self._energy_wh = self.vehicle.battery.energy_used_wh
        self._armed_s = pilot.time_s
        self._order(ARM, 1.0)
        if self._autopilot.needs_mission_mode and self._name == "arduplane":
            self._order(SET_MODE, *self._autopilot.mode_parameters(FlightMode.MISSION))
        if self._name != "px4":
            self._order(MISSION_START)

    def _upload(self, items: list[MissionItem], kind: int) -> None:
        """Offer a list and answer what is asked. Raises VehicleRefused."""
        sysid = self.part.sysid
        heard = self._send(mavlink.MAVLink_mission_count_message(sysid, 1, len(items), kind))
        while True:
            for message in heard:
                if message.get_type() == "MISSION_ACK":
                    if message.type != mavlink.MAV_MISSION_ACCEPTED:
                        raise self._refused(f"does not take its {LISTS[kind]}, result {message.type}")
                    return
            asked = [one for one in heard if one.get_type() in ("MISSION_REQUEST", "MISSION_REQUEST_INT")]
            if not asked:
                raise self._refused(f"does not ask for its {LISTS[kind]}")
            seq = asked[-1].seq
            item = items[seq]
            heard = self._send(
                mavlink.MAVLink_mission_item_int_message(
                    sysid, 1, seq, item.frame, item.command, 0, 1, *item.params, item.x, item.y, item.z, kind
                )
            )

    def _order(self, command: int, *params: float) -> None:
        """A command. Raises VehicleRefused."""
        seven = [*params, *[0.0] * (7 - len(params))]
        heard = self._send(mavlink.MAVLink_command_long_message(self.part.sysid, 1, command, 0, *seven))
        results = [one.result for one in heard if one.get_type() == "COMMAND_ACK" and one.command == command]
        if not results or results[-1] != mavlink.MAV_RESULT_ACCEPTED:
            raise self._refused(f"refuses command {command}")

    def _refused(self, what: str) -> VehicleRefused:
        said = "; ".join(self._texts[-3:])
        return VehicleRefused(what + (f": {said}" if said else ""))

    # -- in the air ----------------------------------------------------------------------------------------------------

    def fly(self, report: Callable[[float], None]) -> None:
        """Step until it has disarmed, or takes too long."""
        pilot = self.vehicle.pilot
        longest_s = LONGEST * self.part.duration_s + LONGER_S
        shots, steps, told_s = pilot.camera.shots, 0, 0.0
        while pilot.armed:
            self._step()
            steps += 1
            if pilot.camera.shots != shots:
                shots = pilot.camera.shots
                self._shots.append(self._pose())
            if steps % LOOK_STEPS == 0:
                self._look()
            time_s = pilot.time_s - self._armed_s
            if time_s - told_s >= REPORT_S:
                told_s = time_s
                report(time_s)
                if self._is_back_circling():
                    self._look()
                    return
                if self._left_s is not None and time_s - self._left_s > HOLDS_S and pilot.mode.value in HOLDING:
                    self.failed.append(f"stands in {pilot.mode.value} and waits")
                    return
                if time_s > longest_s:
                    self.failed.append(f"is not back after {time_s:.0f} s, planned are {self.part.duration_s:.0f} s")
                    return
        self._look()
        self._disarmed = True

    def _is_back_circling(self) -> bool:
        """A fixed wing whose mission ends in a return circles above its home until a person lands it."""
        body = self.vehicle.body
        self._circles = (
            self._name == "arduplane"
            and self._reached >= len(self.part.items) - 1
            and math.hypot(body.n, body.e) < CIRCLES_M
        )
        return self._circles

    def _look(self) -> None:
        vehicle, body = self.vehicle, self.vehicle.body
        lon, lat = vehicle.frame.lonlat(body.n, body.e)
        item = self._autopilot.plan_index(vehicle.pilot.mission_current()[0])
        item = -1 if item is None else item
        self._reached = max(self._reached, item)
        self._watch_mode(vehicle.pilot.mode.value, item)
        if vehicle.pilot.mode.value != "AUTO" or item == len(self.part.items) - 1:
            item = -1  # the last one is the return, which it flies by itself
        self._rows.append((vehicle.pilot.time_s - self._armed_s, lon, lat, body.u, item))

    def _watch_mode(self, mode: str, item: int) -> None:
        """Notes when and why it leaves its mission by itself before the return that ends it."""
        if mode == "AUTO" or self._left_s is not None or not 0 < self._reached < len(self.part.items) - 1:
            return
        self._left_s = self.vehicle.pilot.time_s - self._armed_s
        said = "; ".join(text for at_s, text in self._said if self.vehicle.pilot.time_s - at_s < SAID_S)
        self.failed.append(f"leaves its mission at item {item} for {mode}" + (f": {said}" if said else ""))

    def _pose(self) -> tuple[float, ...]:
        state = self.vehicle.true_state()
        gimbal = state.gimbal
        return (
            state.utc_s, state.lon, state.lat, state.amsl_m, gimbal.roll_deg, gimbal.pitch_deg, gimbal.yaw_deg,
            state.east_m_s, state.north_m_s, state.up_m_s,
        )  # fmt: skip

    def flown(self) -> Flown:
        """What became of it."""
        battery = self.vehicle.battery
        rows = np.array(self._rows, float).reshape(-1, 5)
        return Flown(
            time_s=rows[:, 0],
            lon=rows[:, 1],
            lat=rows[:, 2],
            up_m=rows[:, 3],
            item=rows[:, 4].astype(np.int64),
            shots=np.array(self._shots, float).reshape(-1, 10),
            energy_wh=battery.energy_used_wh - self._energy_wh,
            battery_percent=100.0 * battery.remaining(),
            disarmed=self._disarmed,
            circles=self._circles,
            done=self._reached >= len(self.part.items) - 1,
            failed=tuple(self.failed),
            texts=tuple(self._texts),
        )

    # -- the wire ------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        vehicle = self.vehicle
        if vehicle.pilot.time_s >= self._beat_s:
            self._beat_s = vehicle.pilot.time_s + 1.0
            self._send(mavlink.MAVLink_heartbeat_message(6, 8, 0, 0, 0, 3))
        vehicle.step()
        self._hear()

    def _send(self, message: mavlink.MAVLink_message) -> list[mavlink.MAVLink_message]:
        """One frame to the vehicle; what it answers at once."""
        frame = bytes(message.pack(self._mav))
        self._mav.seq = (self._mav.seq + 1) % 256
        self.vehicle.receive(frame)
        return self._hear()

    def _hear(self) -> list[mavlink.MAVLink_message]:
        heard: list[mavlink.MAVLink_message] = []
        for frame in self._link.sent:
            heard.extend(self._parser.parse_buffer(bytearray(frame)) or [])
        self._link.sent.clear()
        for message in heard:
            if message.get_type() == "STATUSTEXT":
                text = message.text.strip()
                self._said.append((self.vehicle.pilot.time_s, text))
                if message.severity <= WARNING:
                    self._texts.append(text)
        return heard


def _wind(part: VehiclePlan, circumstances: Circumstances) -> WindConditions:
    """The simulator's wind is the same at every height: that of the height of the work."""
    height_m = float(np.median([item.z for item in part.items if item.x or item.y]))
    east_m_s, north_m_s = circumstances.conditions.wind.at(height_m)
    from_deg = math.degrees(math.atan2(-east_m_s, -north_m_s)) % 360.0
    return WindConditions(speed_m_s=math.hypot(east_m_s, north_m_s), from_deg=from_deg)


def _body(airframe: Airframe, circumstances: Circumstances) -> Body:
    conditions = circumstances.conditions
    mass_kg = airframe.mass_kg + conditions.payload_kg
    return Body(
        mass_kg=mass_kg,
        drag_linear_per_s=airframe.rotor_drag_per_s,
        drag_quadratic_per_m=0.5 * conditions.air_kg_m3 * airframe.drag_area_m2 / mass_kg,
    )


def _pack(airframe: Airframe, circumstances: Circumstances) -> Pack:
    """Hover power in these conditions, and the induced velocity of the rotors by momentum theory."""
    conditions, pack = circumstances.conditions, airframe.pack
    weight_n = (airframe.mass_kg + conditions.payload_kg) * 9.80665
    usual = Pack()
    hover_w = usual.hover_w
    if airframe.kind is Kind.MULTIROTOR:
        hover_w = airframe.power_w(0.0, conditions=conditions) - airframe.avionics_w
    return msgspec.structs.replace(
        usual,
        cells=max(1, round(pack.voltage_v / 3.7)),
        capacity_wh=airframe.battery_wh,
        resistance_ohm=pack.resistance_ohm,
        hover_w=hover_w,
        idle_w=airframe.avionics_w,
        efficiency=airframe.efficiency,
        induced_hover_m_s=math.sqrt(weight_n / (2.0 * conditions.air_kg_m3 * airframe.rotor_area_m2)),
    )
