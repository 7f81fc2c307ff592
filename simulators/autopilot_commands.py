"""COMMAND_LONG and COMMAND_INT: what each does and how it is answered."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.missions import MissionItem
from simulators.autopilot_arducopter import ArduCopter
from simulators.autopilot_flavour import Mode
from simulators.autopilot_missions import FENCE
from simulators.autopilot_streams import Streams

ACCEPTED, DENIED, UNSUPPORTED, FAILED, IN_PROGRESS = 0, 2, 3, 4, 5
"""MAV_RESULT."""
MOST = 1e9
"""A parameter beyond this is none."""
CALIBRATION_S = 0.9
"""How long a calibration takes, s."""
FORCE = 21196
"""param2 of arming and disarming by force."""
PLACED_COMMANDS = {34, 179, 192, 195, 201}
"""Commands whose x and y are a latitude and a longitude."""


NO_PLACE = 2**31 - 1
"""x or y of COMMAND_INT where none is meant."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A command, whichever message brought it."""

    command: int
    """MAV_CMD."""
    params: tuple[float, float, float, float]
    """param1 to param4."""
    x: float
    """param5: latitude, deg, for a command with a place."""
    y: float
    """param6: longitude, deg, for a command with a place."""
    z: float
    """param7."""
    frame: int
    """MAV_FRAME; COMMAND_LONG has none and means 3, relative."""
    sender: tuple[int, int]
    """System and component it came from."""


def whole(value: float) -> int:
    """An integer that came as a float; what is none is -1, which no field means."""
    return int(value) if abs(value) < 2**31 else -1


def finite(*values: float) -> bool:
    """Whether all are numbers of a size that means something."""
    return all(abs(value) < MOST for value in values)


def on_earth(order: Order) -> bool:
    """Whether x, y, z of an order are a place."""
    return abs(order.x) <= 90.0 and abs(order.y) <= 180.0 and finite(order.z)


def order_of_long(message: Any, sender: tuple[int, int]) -> Order:
    """From COMMAND_LONG."""
    params = (message.param1, message.param2, message.param3, message.param4)
    frame = 0 if message.command in PLACED_COMMANDS - {192} else 3
    return Order(
        command=message.command, params=params, x=message.param5, y=message.param6, z=message.param7, frame=frame,
        sender=sender,
    )  # fmt: skip


def order_of_int(message: Any, sender: tuple[int, int]) -> Order:
    """From COMMAND_INT."""
    params = (message.param1, message.param2, message.param3, message.param4)
    scale = 1e-7 if message.command in PLACED_COMMANDS else 1.0
    x, y = (math.nan if place == NO_PLACE else place * scale for place in (message.x, message.y))
    return Order(
        command=message.command, params=params, x=x, y=y, z=message.z,
        frame=message.frame, sender=sender,
    )  # fmt: skip


class Commands:
    """Carries out orders and answers each with its one acknowledgement."""

    def __init__(self, pilot: ArduCopter, streams: Streams) -> None:
        """Orders to one autopilot."""
        self._pilot, self._streams = pilot, streams
        self._table: dict[int, Callable[[Order], int]] = {
            20: lambda _: self._mode(Mode.RTL), 21: lambda _: self._mode(Mode.LAND), 22: self._take_off,
            115: self._yaw, 176: self._set_mode, 178: self._change_speed, 179: self._set_home, 185: self._terminate,
            192: self._reposition,
            193: self._pause, 195: self._look, 197: lambda _: self._look_away(), 201: self._look, 203: self._photo,
            204: lambda _: ACCEPTED, 205: self._mount, 206: self._trigger, 207: self._fence, 224: self._jump,
            241: self._calibrate, 245: lambda _: DENIED, 246: lambda _: ACCEPTED, 300: self._start, 400: self._arm,
            401: lambda _: ACCEPTED, 410: lambda o: self._send_after(242, o), 510: self._get_interval,
            511: self._set_interval, 512: self._request, 520: lambda o: self._send_after(148, o),
            1000: self._gimbal, 1001: self._gimbal_owner, 2000: self._series, 2001: self._stop_series,
            2500: lambda _: FAILED,
        }  # fmt: skip
        self._afterwards: int | None = None
        self._calibrated: tuple[float, tuple[int, int]] | None = None

    def step(self) -> None:
        """Finish what takes time."""
        if self._calibrated is not None and self._pilot.time_s >= self._calibrated[0]:
            _, sender = self._calibrated
            self._calibrated = None
            self._pilot.emit(mavlink.MAVLink_command_ack_message(241, ACCEPTED, 0, 0, *sender))

    def _calibrate(self, order: Order) -> int:
        if self._pilot.armed:
            return FAILED
        self._calibrated = (self._pilot.time_s + CALIBRATION_S, order.sender)
        return IN_PROGRESS

    def carry_out(self, order: Order) -> None:
        """Do it and acknowledge; a message that was asked for follows the acknowledgement."""
        do = self._table.get(order.command)
        self._afterwards = None
        result = UNSUPPORTED if do is None else do(order)
        self._pilot.emit(mavlink.MAVLink_command_ack_message(order.command, result, 0, 0, *order.sender))
        if self._afterwards is not None:
            self._streams.send(self._afterwards)

    # -- modes and motion ------------------------------------------------------------------------------------------

    def _mode(self, mode: Mode) -> int:
        if mode not in self._pilot.flavour.modes:
            return UNSUPPORTED
        return ACCEPTED if self._pilot.set_mode(mode) else FAILED

    def _set_mode(self, order: Order) -> int:
        return ACCEPTED if self.set_mode_number(whole(order.params[1])) else FAILED

    def set_mode_legacy(self, number: int, sender: tuple[int, int]) -> None:
        """SET_MODE: nothing is answered."""
        self.set_mode_number(number)

    def set_mode_number(self, number: int) -> bool:
        """Change to a mode by its custom_mode; False with a text if there is none or it cannot be."""
        for mode, custom in self._pilot.flavour.modes.items():
            if custom == number:
                return self._pilot.set_mode(mode)
        self._pilot.say(4, f"No such mode {number}")
        return False

    def _arm(self, order: Order) -> int:
        force = whole(order.params[1]) == FORCE
        if order.params[0] not in (0.0, 1.0):
            return UNSUPPORTED
        done = self._pilot.arm(force=force) if order.params[0] else self._pilot.disarm(force=force)
        return ACCEPTED if done else FAILED

    def _terminate(self, order: Order) -> int:
        if not finite(order.params[0]):
            return FAILED
        if order.params[0] > 0.5:
            self._pilot.disarm(force=True)
        return ACCEPTED

    def _take_off(self, order: Order) -> int:
        return ACCEPTED if self._pilot.take_off(order.z) else FAILED

    def _start(self, order: Order) -> int:
        return ACCEPTED if self._pilot.start_mission() else FAILED

    def _reposition(self, order: Order) -> int:
        pilot = self._pilot
        if not whole(order.params[1]) & 1 and pilot.mode is not Mode.GUIDED:
            return DENIED
        if not on_earth(order):
            return DENIED
        if order.frame not in (0, 3, 5, 6, 10, 11):
            return DENIED
        item = MissionItem(
            frame={5: 0, 6: 3, 11: 10}.get(order.frame, order.frame), command=192, x=round(order.x * 1e7),
            y=round(order.y * 1e7), z=order.z,
        )  # fmt: skip
        speed = order.params[0] if order.params[0] > 0 else None
        return ACCEPTED if pilot.go_to(pilot.place_of(item), speed_m_s=speed) else FAILED

    def _change_speed(self, order: Order) -> int:
        """Only where the mode flies by these speeds."""
        if not 0.0 < order.params[1] < MOST:
            return DENIED
        if self._pilot.mode not in (Mode.AUTO, Mode.GUIDED, Mode.RTL):
            return FAILED
        return ACCEPTED if self._pilot.controls.change_speed(order.params[0], order.params[1]) else DENIED

    def _yaw(self, order: Order) -> int:
        angle, rate, direction, relative = order.params
        if not 0.0 <= angle <= 360.0 or not finite(rate, direction):
            return FAILED
        self._pilot.controls.yaw_to(angle, rate, direction, relative=relative == 1)
        return ACCEPTED

    def _set_home(self, order: Order) -> int:
        pilot = self._pilot
        if not on_earth(order):
            return FAILED
        if order.params[0] == 1:
            pilot.controls.home = pilot.controls.motion.point()
        elif abs(order.x) > 0.0 or abs(order.y) > 0.0:
            up = order.z - pilot.frame.amsl_m if order.frame in (0, 5) else pilot.controls.home.u + order.z
            pilot.controls.home = pilot.frame.point(order.y, order.x, up)
        else:
            return FAILED
        pilot.home_set = True
        return ACCEPTED

    # -- mission -----------------------------------------------------------------------------------------------------

    def _pause(self, order: Order) -> int:
        pilot = self._pilot
        if pilot.mode is not Mode.AUTO:
            return DENIED
        done = pilot.run.resume() if order.params[0] else pilot.run.pause()
        return ACCEPTED if done else DENIED

    def _jump(self, order: Order) -> int:
        if not self.set_current(whole(order.params[0])):
            return DENIED
        return ACCEPTED

    def set_current(self, seq: int) -> bool:
        """Jump to a mission item and say so; False if there is none."""
        pilot = self._pilot
        if not pilot.run.set_current(seq, flying=pilot.mode is Mode.AUTO and pilot.run.started):
            return False
        self._streams.send(42)
        return True

    def _fence(self, order: Order) -> int:
        if not finite(order.params[0]):
            return FAILED
        if order.params[0] and not self._pilot.lists[FENCE].items:
            return FAILED
        self._pilot.parameters.set("FENCE_ENABLE", order.params[0])
        return ACCEPTED

    # -- camera and gimbal -------------------------------------------------------------------------------------------

    def _photo(self, order: Order) -> int:
        self._pilot.camera.shot()
        return ACCEPTED

    def _series(self, order: Order) -> int:
        if not finite(order.params[1]):
            return FAILED
        self._pilot.camera.series(order.params[1], whole(order.params[2]))
        return ACCEPTED

    def _stop_series(self, order: Order) -> int:
        self._pilot.camera.stop()
        return ACCEPTED

    def _trigger(self, order: Order) -> int:
        distance, _, at_once, _ = order.params
        if not finite(distance):
            return FAILED
        self._pilot.camera.every_metres(distance, self._pilot.controls.motion, at_once=at_once == 1)
        return ACCEPTED

    def _mount(self, order: Order) -> int:
        pitch, roll, yaw, _ = order.params
        mode, gimbal = whole(order.z), self._pilot.gimbal
        if not finite(pitch, roll, yaw) or (mode == 4 and not on_earth(order)):
            return FAILED
        if mode == 0:
            gimbal.retract()
        elif mode == 1:
            gimbal.point(0.0, 0.0)
        elif mode == 2:
            gimbal.point(pitch, yaw, roll_deg=roll)
        elif mode == 4:
            gimbal.look_at(self._place(order))
        elif mode != 3:
            return FAILED
        return ACCEPTED

    def _gimbal(self, order: Order) -> int:
        if whole(order.z) not in (0, 1):
            return FAILED
        self._pilot.gimbal.obey(*order.params, flags=whole(order.x))
        return ACCEPTED

    def _gimbal_owner(self, order: Order) -> int:
        if self._pilot.gimbal.take(whole(order.params[0]), whole(order.params[1]), order.sender):
            self._streams.send(281)
        return ACCEPTED

    def _look(self, order: Order) -> int:
        if not on_earth(order):
            return FAILED
        self._pilot.gimbal.look_at(self._place(order) if order.x or order.y else None)
        return ACCEPTED

    def _look_away(self) -> int:
        self._pilot.gimbal.look_at(None)
        return ACCEPTED

    def _place(self, order: Order) -> Any:
        pilot = self._pilot
        up = order.z - pilot.frame.amsl_m if order.frame in (0, 5) else pilot.controls.home.u + order.z
        return pilot.frame.point(order.y, order.x, up)

    # -- messages ----------------------------------------------------------------------------------------------------

    def _set_interval(self, order: Order) -> int:
        number, interval_us = whole(order.params[0]), order.params[1]
        if not finite(interval_us):
            return DENIED
        if number == 0:
            return ACCEPTED
        if not self._streams.knows(number):
            self._pilot.say(6, f"No ap_message for mavlink id ({number})")
            return DENIED
        self._streams.set_interval(number, 1.0 if interval_us == 0 else interval_us / 1e6)
        return ACCEPTED

    def _get_interval(self, order: Order) -> int:
        number = whole(order.params[0])
        interval_us = round(self._streams.interval_s(number) * 1e6)
        self._pilot.emit(mavlink.MAVLink_message_interval_message(number % 65536, interval_us))
        return ACCEPTED if self._streams.knows(number) else FAILED

    def _request(self, order: Order) -> int:
        number = whole(order.params[0])
        return self._send_after(number, order) if self._streams.knows(number) else FAILED

    def _send_after(self, number: int, order: Order) -> int:
        self._afterwards = number
        return ACCEPTED

    def position_target(self, message: Any) -> None:
        """SET_POSITION_TARGET_GLOBAL_INT in GUIDED: fly to its place; nothing is answered."""
        pilot = self._pilot
        if pilot.mode is not Mode.GUIDED or message.type_mask & 7 or not finite(message.alt):
            return
        frame = {5: 0, 6: 3, 11: 10}.get(message.coordinate_frame, message.coordinate_frame)
        item = MissionItem(frame=frame, command=192, x=message.lat_int, y=message.lon_int, z=message.alt)
        pilot.go_to(pilot.place_of(item))

    def velocity_target(self, message: Any) -> None:
        """SET_POSITION_TARGET_LOCAL_NED in GUIDED: fly with its velocity until it stops coming."""
        if (
            self._pilot.mode is Mode.GUIDED
            and not message.type_mask & 0x38
            and finite(message.vx, message.vy, message.vz)
        ):
            self._pilot.drive(message.vx, message.vy, -message.vz)
