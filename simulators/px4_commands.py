"""COMMAND_LONG and COMMAND_INT as PX4 carries them out and answers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot_commands import ACCEPTED, DENIED, FAILED, FORCE, UNSUPPORTED, Order, finite, whole
from simulators.autopilot_flavour import Mode
from simulators.autopilot_guidance import Point
from simulators.autopilot_manoeuvres import Facing
from simulators.autopilot_missions import MISSION
from simulators.fault_schedule import MotorFailure
from simulators.px4_autopilot import Px4Autopilot
from simulators.px4_streams import Px4Streams

REJECTED = 1
"""MAV_RESULT_TEMPORARILY_REJECTED."""
UNHEARD = {203, 206, 521, 530, 531}
"""Camera commands: without a camera nobody answers."""
MAIN_MODES = {1, 2, 3, 4, 5, 6, 7, 8, 10}
"""Of PX4's custom_mode; any other is accepted and does nothing."""
ORBITS = (3, 1)
"""Main and sub mode of an orbit."""
ORBIT_RADIUS_M, ORBIT_M_S = 1.0, 1.0
"""Of an orbit for which the ground gives none."""
GPS_UNIT, BATTERY_UNIT, MOTOR_UNIT = 4, 100, 101
"""FAILURE_UNIT of INJECT_FAILURE; the first is not handled, and not answered."""


class Px4Commands:
    """Carries out orders; answers with one acknowledgement, two, or none."""

    def __init__(self, pilot: Px4Autopilot, streams: Px4Streams) -> None:
        """Orders to one autopilot."""
        self._pilot, self._streams = pilot, streams
        self._table: dict[int, Callable[[Order], int | None]] = {
            20: self._return, 21: self._land, 22: self._take_off, 34: self._orbit, 176: self._set_mode,
            178: self._change_speed,
            179: lambda _: ACCEPTED, 185: self._terminate, 186: self._change_height, 192: self._reposition,
            195: self._look, 197: self._look_away, 201: self._look, 204: lambda _: ACCEPTED, 205: self._mount,
            241: lambda _: REJECTED, 245: lambda _: ACCEPTED, 246: lambda _: DENIED, 300: self._start,
            400: self._arm, 401: self._look_again, 410: lambda _: self._send(242), 420: self._fail,
            510: self._get_interval, 511: self._set_interval, 512: self._request, 519: lambda _: ACCEPTED,
            520: lambda _: self._send(148), 1000: self._gimbal, 1001: self._gimbal_owner,
        }  # fmt: skip

    def step(self) -> None:
        """Nothing takes time."""

    def carry_out(self, order: Order) -> None:
        """Do it and acknowledge; what is asked for comes before the acknowledgement."""
        if order.command in UNHEARD:
            return
        do = self._table.get(order.command)
        result = UNSUPPORTED if do is None else do(order)
        if result is not None:
            self._ack(order.command, result, order.sender)

    def _ack(self, command: int, result: int, to: tuple[int, int]) -> None:
        self._pilot.emit(mavlink.MAVLink_command_ack_message(command, result, 0, 0, *to))

    # -- modes and motion ------------------------------------------------------------------------------------------

    def _mode(self, mode: Mode, words: str = "") -> int:
        return ACCEPTED if self._pilot.set_mode(mode, words) else REJECTED

    def _set_mode(self, order: Order) -> int:
        """The first answer is always ACCEPTED, the one that is returned is the true one."""
        self._ack(176, ACCEPTED, order.sender)
        return self._set_mode_number(whole(order.params[1]), whole(order.params[2]))

    def set_mode_legacy(self, number: int, sender: tuple[int, int]) -> None:
        """SET_MODE: answered like the command, once."""
        self._ack(176, self._set_mode_number(number >> 16 & 0xFF, number >> 24 & 0xFF), sender)

    def _set_mode_number(self, main: int, sub: int) -> int:
        number = main << 16 | sub << 24 if main == 4 or (main, sub) == ORBITS else main << 16
        for mode, custom in self._pilot.flavour.modes.items():
            if custom == number:
                return self._mode(mode)
        if main == 4:
            self._pilot.say(2, "Unsupported auto mode")
            return REJECTED
        return ACCEPTED

    def _arm(self, order: Order) -> int:
        force = whole(order.params[1]) == FORCE
        if order.params[0] not in (0.0, 1.0):
            return UNSUPPORTED
        done = self._pilot.arm(force=force) if order.params[0] else self._pilot.disarm(force=force)
        return ACCEPTED if done else REJECTED

    def _look_again(self, order: Order) -> int:
        self._pilot.report()
        return ACCEPTED

    def _take_off(self, order: Order) -> int:
        return ACCEPTED if self._pilot.take_off(order.z) else REJECTED

    def _return(self, order: Order) -> int:
        return self._mode(Mode.RTL, "Returning to launch")

    def _land(self, order: Order) -> int:
        return self._mode(Mode.LAND, "Landing at current position")

    def _terminate(self, order: Order) -> int:
        if order.params[0] > 0.5 and finite(order.params[0]):
            self._pilot.terminate()
        return ACCEPTED

    def _reposition(self, order: Order) -> int:
        """The height is AMSL whatever the frame says; without a number it stays."""
        if not whole(order.params[1]) & 1:
            return UNSUPPORTED
        speed = order.params[0] if order.params[0] > 0 else None
        return ACCEPTED if self._pilot.go_to(self._place(order), speed_m_s=speed) else REJECTED

    def _orbit(self, order: Order) -> int:
        """Centre and height AMSL, or here; radius, speed and yaw behaviour as given, or as PX4 has them."""
        radius, speed, facing, _ = order.params
        radius = radius if finite(radius) and radius else ORBIT_RADIUS_M
        speed = speed if finite(speed) and speed else ORBIT_M_S
        faces = {1: Facing.AS_IT_IS, 2: Facing.AS_IT_IS, 3: Facing.ALONG}.get(whole(facing), Facing.CENTRE)
        return ACCEPTED if self._pilot.orbit(self._place(order), radius, speed, faces) else REJECTED

    def _place(self, order: Order) -> Point:
        pilot = self._pilot
        at = pilot.controls.motion.point()
        up = order.z - pilot.frame.amsl_m if finite(order.z) else at.u
        if not finite(order.x, order.y):
            return at._replace(u=up)
        return pilot.frame.point(order.y, order.x, up)

    def _change_height(self, order: Order) -> int:
        pilot = self._pilot
        if not finite(order.params[0]):
            return DENIED
        at = pilot.controls.motion.point()
        return ACCEPTED if pilot.go_to(at._replace(u=order.params[0] - pilot.frame.amsl_m)) else REJECTED

    def _change_speed(self, order: Order) -> int:
        self._pilot.controls.change_speed(order.params[0], order.params[1])
        return ACCEPTED

    def position_target(self, message: Any) -> None:
        """SET_POSITION_TARGET_GLOBAL_INT is heard in OFFBOARD alone, for its velocity."""
        self._target(message, has_velocity=not message.type_mask & 0x38)

    def velocity_target(self, message: Any) -> None:
        """SET_POSITION_TARGET_LOCAL_NED: a velocity, flown in OFFBOARD."""
        self._target(message, has_velocity=not message.type_mask & 0x38)

    def _target(self, message: Any, *, has_velocity: bool) -> None:
        if has_velocity and finite(message.vx, message.vy, message.vz):
            self._pilot.drive(message.vx, message.vy, -message.vz)

    # -- mission -----------------------------------------------------------------------------------------------------

    def _start(self, order: Order) -> int:
        pilot = self._pilot
        first = max(whole(order.params[0]), 0)
        if not pilot.run.valid or first >= len(pilot.transfers.items[MISSION]):
            pilot.say(2, "Mission start denied! No valid mission")
            return DENIED
        pilot.jump(first)
        return self._mode(Mode.AUTO)

    def set_current(self, seq: int) -> None:
        """MISSION_SET_CURRENT: the next MISSION_CURRENT tells; for no such item a text."""
        if not self._pilot.jump(seq):
            self._pilot.say(2, "WPM: WP CURR CMD: Not in list")

    # -- failures ----------------------------------------------------------------------------------------------------

    def _fail(self, order: Order) -> int | None:
        """INJECT_FAILURE; who is answered is 0/0, that is nobody."""
        pilot, unit, kind = self._pilot, whole(order.params[0]), whole(order.params[1])
        if unit not in (BATTERY_UNIT, MOTOR_UNIT):
            return None
        if unit == BATTERY_UNIT:
            pilot.safety.battery.failed = kind == 1
        else:
            pilot.safety.inject(MotorFailure(motor=min(max(whole(order.params[2]), 1), 12)), ends=kind != 1)
        self._ack(420, ACCEPTED, (0, 0))
        return None

    # -- gimbal ------------------------------------------------------------------------------------------------------

    def _mount(self, order: Order) -> int:
        pitch, roll, yaw, _ = order.params
        gimbal, mode = self._pilot.gimbal, whole(order.z)
        if mode == 0:
            gimbal.retract()
        elif mode == 1:
            gimbal.point(0.0, 0.0)
        elif mode == 2 and finite(pitch, roll, yaw):
            gimbal.point(pitch, yaw, roll_deg=roll)
        return ACCEPTED

    def _gimbal(self, order: Order) -> int:
        """Only for who has taken control; any gimbal number will do."""
        if order.sender != self._pilot.gimbal.primary:
            return DENIED
        self._pilot.gimbal.obey(*order.params, flags=max(whole(order.x), 0))
        return ACCEPTED

    def _gimbal_owner(self, order: Order) -> int:
        self._pilot.gimbal.take(whole(order.params[0]), whole(order.params[1]), order.sender)
        return ACCEPTED

    def _look(self, order: Order) -> int:
        self._pilot.gimbal.look_at(self._place(order) if finite(order.x, order.y) else None)
        return ACCEPTED

    def _look_away(self, order: Order) -> int:
        self._pilot.gimbal.look_at(None)
        return ACCEPTED

    # -- messages ----------------------------------------------------------------------------------------------------

    def _set_interval(self, order: Order) -> int:
        """0 is the rate by itself, -1 ends it."""
        number, interval_us = whole(order.params[0]), order.params[1]
        if not self._streams.knows(number) or not finite(interval_us):
            return FAILED
        hz = self._pilot.flavour.unasked_hz.get(number, 0.0)
        by_itself = 1.0 / hz if hz > 0.0 else 0.0
        self._streams.set_interval(number, by_itself if interval_us == 0 else interval_us / 1e6)
        return ACCEPTED

    def _get_interval(self, order: Order) -> int:
        number = whole(order.params[0])
        interval_us = round(self._streams.interval_s(number) * 1e6) or -1
        self._pilot.emit(mavlink.MAVLink_message_interval_message(number % 65536, interval_us))
        return ACCEPTED

    def _request(self, order: Order) -> int:
        number = whole(order.params[0])
        return self._send(number) if self._streams.on_request(number) else DENIED

    def _send(self, number: int) -> int:
        self._streams.send(number)
        return ACCEPTED
