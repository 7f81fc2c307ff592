"""A simulated vehicle on the wire: a multirotor as ArduCopter 4.6 or PX4 1.17, or a fixed wing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.signing import EPOCH_UTC_S, ticks_of
from geo.errors import TerrainMissing
from simulators.arduplane import ArduPlane, PlaneParameters
from simulators.autopilot import Autopilot, Hardware, OnboardParameters
from simulators.autopilot_arducopter import ArduCopter
from simulators.autopilot_commands import Commands, order_of_int, order_of_long
from simulators.autopilot_flavour import FLAVOURS
from simulators.autopilot_guidance import LocalFrame
from simulators.autopilot_links import Link, link_of
from simulators.autopilot_parameters import Parameters
from simulators.autopilot_sensors import SensorErrors, Sensors, VehicleState
from simulators.autopilot_signing import Signatures
from simulators.autopilot_streams import Streams
from simulators.battery import Battery, Pack
from simulators.clock import SimClock
from simulators.dynamics import Airframe, Multirotor, Wind, WindConditions
from simulators.fixed_wing import Body, FixedWing, FixedWingAirframe
from simulators.px4_autopilot import Px4Autopilot
from simulators.px4_commands import Px4Commands
from simulators.px4_parameters import Px4Parameters
from simulators.px4_streams import Px4Streams
from simulators.radio import Radio
from simulators.track import Track, attitude

STEP_S = 0.04
"""Simulated time of one step, s."""
TRANSMITTER = 236
"""Component of the remote ID transmitter (MAV_COMP_ID_ODID_TXRX_1)."""
KEY_BYTES = 32
"""Of a signing key."""

_log = structlog.get_logger(__name__)


class SimulatedVehicle:
    """One vehicle: its body in the air, its autopilot, its link.

    Everything that it does follows from the seed and from the step at which each frame comes in.
    """

    def __init__(
        self,
        *,
        sysid: int,
        home: tuple[float, float, float],
        link: str | Link,
        clock: SimClock,
        seed: int = 0,
        wind: WindConditions | None = None,
        terrain: Callable[[float, float], float] | None = None,
        autopilot: str = "ardupilot",
        ready_after_s: float | None = None,
        airframe: Airframe | None = None,
        pack: Pack | None = None,
        charge: float = 1.0,
        air_c: float = 25.0,
        errors: SensorErrors | None = None,
        heading_deg: float = 0.0,
        gimbal_pitch_deg: float = -90.0,
        parameters: dict[str, float] | None = None,
        more_links: Sequence[str | Link] = (),
        signing_key: bytes | None = None,
        trusted_link: int | None = 0,
    ) -> None:
        """On the ground at `home` (lon, lat, deg; m AMSL), powered on at the first step.

        `link` is an address as udpout:127.0.0.1:14550 or a Link. `terrain(lon, lat)` is the ground, m AMSL; without
        it the ground is flat at the home. `autopilot` is ardupilot, px4, or arduplane (a fixed wing, experimental);
        `ready_after_s` is when it can be armed, simulated s, or else when the recorded one could. `charge` is that of
        the battery, 0 to 1, which is as warm as the air at first (`air_c`, deg C). `gimbal_pitch_deg` is where the
        camera looks until it is told. `more_links` are further radios, which carry the same. With `signing_key`, 32
        bytes, an ArduCopter signs from the start; whatever comes in on `trusted_link`, counted from 0 (None: on no
        link), is believed without a signature all the same. Raises LinkUnusable for an address that cannot be
        understood, ValueError for another autopilot and for a key that a PX4 would not use.
        """
        self.sysid, self.clock = sysid, clock
        links = [link_of(each) if isinstance(each, str) else each for each in (link, *more_links)]
        self.link: Link = links[0]
        """The first of its links."""
        self.frame = LocalFrame(*home)
        self._terrain = terrain
        self._terrain_amsl_m = home[2]
        airframe, pack = airframe or Airframe(), pack or Pack()
        air = Wind(wind or WindConditions(), seed)
        self.body: Body = (
            FixedWing(FixedWingAirframe(), air, self._ground_up_m, heading_deg)
            if autopilot == "arduplane"
            else Multirotor(airframe, air, self._ground_up_m, heading_deg)
        )
        self.battery = Battery(pack, charge)
        if autopilot not in FLAVOURS:
            raise ValueError(f"autopilot must be one of {', '.join(FLAVOURS)}, not {autopilot!r}")
        self.flavour = FLAVOURS[autopilot]
        if signing_key is not None and (autopilot == "px4" or len(signing_key) != KEY_BYTES or not any(signing_key)):
            raise ValueError(f"signing_key must be {KEY_BYTES} bytes that are not all zero, of an ArduCopter")
        signatures = Signatures(links=len(links), trusted_link=trusted_link)
        self.radio = Radio(sysid, links, signatures=signatures, forwards=autopilot != "px4")
        self._steps = 0
        self._start_utc_s = clock.utc_s()
        self._knows_time = False
        if signing_key is not None:
            signatures.set_up(signing_key, ticks_of(self._start_utc_s))
        hardware = Hardware(
            frame=self.frame,
            airframe=airframe,
            body=self.body,
            battery=self.battery,
            sensors=Sensors(errors or SensorErrors(), seed),
            emit=self.radio.emit,
            utc_s=self.utc_s,
            ready_after_s=self.flavour.ready_s if ready_after_s is None else ready_after_s,
            ground_rate=clock.speedup,
            gimbal_pitch_deg=gimbal_pitch_deg,
            air_c=air_c,
        )
        self.pilot: Autopilot
        self.parameters: OnboardParameters
        self.streams: Streams
        self.commands: Commands | Px4Commands
        if autopilot == "px4":
            px4 = Px4Autopilot(
                hardware, Px4Parameters(**({"MAV_SYS_ID": sysid, "MNT_MODE_IN": 4} | (parameters or {})))
            )
            px4_streams = Px4Streams(px4, sysid)
            self.pilot, self.parameters, self.streams = px4, px4.parameters, px4_streams
            self.commands = Px4Commands(px4, px4_streams)
        else:
            changes = {"BATT_CAPACITY": pack.capacity_mah(), "SYSID_THISMAV": sysid, "SIM_SPEEDUP": clock.speedup}
            for level, part in (("LOW", 0.2), ("CRT", 0.1)):
                changes[f"BATT_{level}_MAH"] = round(part * pack.capacity_mah())
            changes |= parameters or {}
            copter = (
                ArduPlane(hardware, PlaneParameters(**changes), self.flavour)
                if autopilot == "arduplane"
                else ArduCopter(hardware, Parameters(**changes))
            )
            self.pilot, self.parameters, self.streams = copter, copter.parameters, Streams(copter, sysid)
            self.commands = Commands(copter, self.streams)
        self._handlers: dict[str, Callable[[Any, tuple[int, int]], None]] = {
            "HEARTBEAT": self._heartbeat, "COMMAND_LONG": self._command_long, "COMMAND_INT": self._command_int,
            "SET_MODE": self._set_mode, "TIMESYNC": self._timesync, "PARAM_REQUEST_LIST": self._param_list,
            "PARAM_REQUEST_READ": self._param_read, "PARAM_SET": self._param_set,
            "REQUEST_DATA_STREAM": self._data_stream, "MISSION_COUNT": self._mission_count,
            "MISSION_ITEM_INT": self._mission_item_int, "MISSION_ITEM": self._mission_item,
            "MISSION_REQUEST_LIST": self._mission_request_list, "MISSION_REQUEST_INT": self._mission_request_int,
            "MISSION_REQUEST": self._mission_request, "MISSION_CLEAR_ALL": self._mission_clear,
            "MISSION_ACK": self._mission_ack,
            "MISSION_WRITE_PARTIAL_LIST": self._mission_write_partial, "MISSION_SET_CURRENT": self._set_current,
            "SET_POSITION_TARGET_GLOBAL_INT": self._position_target,
            "SET_POSITION_TARGET_LOCAL_NED": self._velocity_target,
            "GIMBAL_MANAGER_SET_PITCHYAW": self._gimbal_pitch_yaw, "SETUP_SIGNING": self._setup_signing,
        }  # fmt: skip
        for kind in ("BASIC_ID", "OPERATOR_ID", "SELF_ID", "SYSTEM", "SYSTEM_UPDATE"):
            self._handlers[f"OPEN_DRONE_ID_{kind}"] = self._remote_id
        self._truth = Track(STEP_S, self._true_now())

    # -- states ------------------------------------------------------------------------------------------------------

    def utc_s(self) -> float:
        """Simulated UTC of the last step, s since 1970."""
        return self._start_utc_s + self._steps * STEP_S

    def _ground_utc_s(self) -> float:
        """UTC as the ground's clock goes, which is no faster than the wall's."""
        return self._start_utc_s + self._steps * STEP_S / self.clock.speedup

    def true_state(self, utc_s: float | None = None) -> VehicleState:
        """Where it truly is: for the simulated camera alone.

        At the last step, or at `utc_s` within the last ten seconds, between two steps in proportion;
        a moment beyond the last step gets the last step, with its own `utc_s`.
        """
        return self._truth.at(utc_s)

    def measured_state(self) -> VehicleState:
        """Where it believes to be at the last step: what its telemetry says, unrounded."""
        pilot, sensors = self.pilot, self.pilot.sensors
        motion, gimbal = pilot.controls.motion, pilot.gimbal
        lon, lat, amsl_m = pilot.position()
        return VehicleState(
            utc_s=self.utc_s(),
            lon=lon,
            lat=lat,
            amsl_m=amsl_m,
            north_m_s=motion.vn,
            east_m_s=motion.ve,
            up_m_s=motion.vu,
            attitude=attitude(self.body.roll + sensors.roll.value, self.body.pitch + sensors.pitch.value, motion.yaw),
            gimbal=attitude(
                gimbal.roll + sensors.gimbal_roll.value,
                gimbal.pitch + sensors.gimbal_pitch.value,
                motion.yaw + gimbal.yaw + sensors.gimbal_yaw.value,
            ),
        )

    def _true_now(self) -> VehicleState:
        body, gimbal = self.body, self.pilot.gimbal
        lon, lat = self.frame.lonlat(body.n, body.e)
        return VehicleState(
            utc_s=self.utc_s(),
            lon=lon,
            lat=lat,
            amsl_m=self.frame.amsl_m + body.u,
            north_m_s=body.vn,
            east_m_s=body.ve,
            up_m_s=body.vu,
            attitude=attitude(body.roll, body.pitch, body.yaw),
            gimbal=attitude(gimbal.roll, gimbal.pitch, body.yaw + gimbal.yaw),
        )

    def fail(self, name: str, options: Mapping[str, float | None] | None = None) -> None:
        """Begin a fault of the vehicle itself, as "gps_off" or "motor" with {"thrust": 0.3}: see docs/faults.md.

        Raises FaultInvalid for a name that is no such fault, and for options that cannot be.
        """
        self.pilot.failures.fail(name, options)

    def mend(self, name: str) -> None:
        """End a fault that `fail` began."""
        self.pilot.failures.mend(name)

    def carry_out(self, name: str, options: Mapping[str, float | None] | None) -> None:
        """Begin a fault, or end it with `options` None: what a FaultyLink calls as its `vehicle_fault`."""
        if options is None:
            self.mend(name)
        else:
            self.fail(name, options)

    # -- time --------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One step of STEP_S simulated seconds."""
        self._steps += 1
        self.pilot.step(STEP_S)
        self.commands.step()
        self.pilot.say_now()
        self.streams.step()
        if self.pilot.remote_id_on() and (status := self.pilot.remote_id.status()) is not None:
            self.radio.emit(status, compid=TRANSMITTER)
        self._truth.append(self._true_now())
        if not self._knows_time and self.pilot.has_fix():
            self._knows_time = True
            self.radio.signatures.tell_time(ticks_of(max(self._ground_utc_s(), EPOCH_UTC_S)))

    async def run(self) -> None:
        """Fly with the clock until cancelled; opens and closes the link. Raises LinkUnusable."""
        await self.radio.open(self.receive)
        try:
            while True:
                behind_s = self.clock.utc_s() - self.utc_s()
                if behind_s < STEP_S:
                    await self.clock.sleep(max(STEP_S - behind_s, 0.004 * self.clock.speedup))
                    continue
                for _ in range(min(int(behind_s / STEP_S), 10)):
                    self.step()
                await asyncio.sleep(0)
        finally:
            self.radio.close()

    # -- the wire ----------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, link: int = 0) -> None:
        """Bytes from the ground, on one of its links."""
        self.radio.answering = link
        try:
            for message in self.radio.messages(data, link):
                handle = self._handlers.get(message.get_type())
                obeyed = self._is_for_us(message) and self.pilot.obeys(message.get_srcSystem())
                if handle is not None and obeyed:
                    handle(message, (message.get_srcSystem(), message.get_srcComponent()))
                    self.pilot.say_now()
        finally:
            self.radio.answering = None

    def _is_for_us(self, message: Any) -> bool:
        if getattr(message, "target_system", self.sysid) not in (0, self.sysid):
            return False
        return self.flavour.hears_components is None or (
            getattr(message, "target_component", 0) in self.flavour.hears_components
        )

    def _heartbeat(self, message: Any, sender: tuple[int, int]) -> None:
        if message.type == mavlink.MAV_TYPE_GCS or message.autopilot == mavlink.MAV_AUTOPILOT_INVALID:
            self.pilot.hear_ground(sender[0])

    def _command_long(self, message: Any, sender: tuple[int, int]) -> None:
        self.commands.carry_out(order_of_long(message, sender))

    def _command_int(self, message: Any, sender: tuple[int, int]) -> None:
        self.commands.carry_out(order_of_int(message, sender))

    def _set_mode(self, message: Any, sender: tuple[int, int]) -> None:
        self.commands.set_mode_legacy(message.custom_mode, sender)

    def _timesync(self, message: Any, sender: tuple[int, int]) -> None:
        if message.tc1 == 0:
            self.radio.emit(mavlink.MAVLink_timesync_message(round(self.pilot.time_s * 1e9), message.ts1))

    def _setup_signing(self, message: Any, sender: tuple[int, int]) -> None:
        """Nothing is answered; a PX4 does not listen, and an ArduCopter not when armed."""
        if isinstance(self.pilot, ArduCopter) and self.pilot.takes_key():
            self.radio.signatures.set_up(bytes(message.secret_key), message.initial_timestamp)

    def _remote_id(self, message: Any, sender: tuple[int, int]) -> None:
        if self.pilot.remote_id_on():
            self.pilot.remote_id.hear(message)

    def _data_stream(self, message: Any, sender: tuple[int, int]) -> None:
        self.streams.request_stream(message.req_stream_id, message.req_message_rate, start=bool(message.start_stop))

    def _position_target(self, message: Any, sender: tuple[int, int]) -> None:
        self.commands.position_target(message)

    def _velocity_target(self, message: Any, sender: tuple[int, int]) -> None:
        self.commands.velocity_target(message)

    def _gimbal_pitch_yaw(self, message: Any, sender: tuple[int, int]) -> None:
        angles = (message.pitch, message.yaw, message.pitch_rate, message.yaw_rate)
        pitch, yaw, pitch_rate, yaw_rate = (math.degrees(angle) for angle in angles)
        self.pilot.gimbal.obey(pitch, yaw, pitch_rate, yaw_rate, flags=message.flags)

    def _param_list(self, message: Any, sender: tuple[int, int]) -> None:
        for text in self.flavour.banner:
            self.pilot.say(6, text)
        self.pilot.say_now()
        for name, index in self.parameters.listed():
            self.pilot.emit_parameter(name, index)

    def _param_read(self, message: Any, sender: tuple[int, int]) -> None:
        if message.param_index >= 0:
            name = self.parameters.name_at(message.param_index)
            if name is not None:
                self.pilot.emit_parameter(name, message.param_index)
        elif message.param_id in self.parameters:
            self.pilot.emit_parameter(message.param_id)

    def _param_set(self, message: Any, sender: tuple[int, int]) -> None:
        if self.parameters.take(message.param_id, message.param_value, message.param_type):
            self.pilot.parameters_changed()
            self.pilot.emit_parameter(message.param_id)

    # -- missions on the wire ----------------------------------------------------------------------------------------

    def _mission_count(self, message: Any, sender: tuple[int, int]) -> None:
        self.pilot.transfers.count(sender, message.mission_type, message.count)

    def _mission_item_int(self, message: Any, sender: tuple[int, int]) -> None:
        self.pilot.transfers.item(sender, message, as_float=False)

    def _mission_item(self, message: Any, sender: tuple[int, int]) -> None:
        self.pilot.transfers.item(sender, message, as_float=True)

    def _mission_request_list(self, message: Any, sender: tuple[int, int]) -> None:
        self.pilot.transfers.request_list(sender, message.mission_type)

    def _mission_request_int(self, message: Any, sender: tuple[int, int]) -> None:
        self.pilot.transfers.request(sender, message.mission_type, message.seq, as_float=False)

    def _mission_request(self, message: Any, sender: tuple[int, int]) -> None:
        self.pilot.transfers.request(sender, message.mission_type, message.seq, as_float=True)

    def _mission_clear(self, message: Any, sender: tuple[int, int]) -> None:
        self.pilot.transfers.clear(sender, message.mission_type)

    def _mission_ack(self, message: Any, sender: tuple[int, int]) -> None:
        self.pilot.transfers.acknowledged(sender, message.mission_type)

    def _mission_write_partial(self, message: Any, sender: tuple[int, int]) -> None:
        self.pilot.transfers.write_partial(sender, message.mission_type, message.start_index, message.end_index)

    def _set_current(self, message: Any, sender: tuple[int, int]) -> None:
        self.commands.set_current(message.seq)

    # -- ground ------------------------------------------------------------------------------------------------------

    def _ground_up_m(self, north_m: float, east_m: float) -> float:
        """Height of the ground above the home; where the terrain is not known, the last that was."""
        if self._terrain is None:
            return 0.0
        try:
            self._terrain_amsl_m = float(self._terrain(*self.frame.lonlat(north_m, east_m)))
        except TerrainMissing as exc:
            _log.warning("ground unknown", sysid=self.sysid, reason=str(exc), kept_amsl_m=self._terrain_amsl_m)
        return self._terrain_amsl_m - self.frame.amsl_m
