"""Orders that PX4 gives to its own parts, and that can be heard on its links: none of them is for the ground."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.missions import MissionItem

AGAIN_S = (1.0, 1.5, 2.0)
"""An order that nobody acknowledges comes again so much later, s."""
CAMERA, PARACHUTE = 100, 161
"""Components that are ordered something; others are meant by 0."""
TRIGGER_CONTROL, GIMBAL_PITCHYAW, GIMBAL_CONFIGURE, DIGICAM, DO_PARACHUTE = 2003, 1000, 1001, 203, 208


class OwnOrders:
    """COMMAND_LONG from itself to itself, as recorded."""

    def __init__(self, emit: Callable[[Any], None], time_s: Callable[[], float], sysid: int) -> None:
        """`sysid` is its own."""
        self._emit, self._time_s, self._sysid = emit, time_s, sysid
        self._again: list[tuple[float, int, tuple[float, ...], int, int]] = []
        self._last_s = -1.0

    def step(self) -> None:
        """Say again what is due."""
        while self._again and self._again[0][0] <= self._time_s():
            _, command, params, component, confirmation = self._again.pop(0)
            self._send(command, params, component, confirmation)

    def order(self, command: int, *params: float, component: int = 0, again: bool = True) -> None:
        """Give an order; of several at one moment the first alone comes `again`."""
        seven = (*params, *[0.0] * (7 - len(params)))
        now_s = self._time_s()
        self._send(command, seven, component, 0)
        if again:
            waits = ((now_s + after_s, command, seven, component, n) for n, after_s in enumerate(AGAIN_S, start=1))
            self._again = sorted([*self._again, *waits], key=lambda order: order[0])

    def performed(self, item: MissionItem) -> None:
        """A command of the mission was done: the part it is for is told."""
        first = self._last_s != self._time_s()
        self._last_s = self._time_s()
        component = CAMERA if item.command == DIGICAM and first else 0
        place = (float(item.x), float(item.y), item.z)
        params = tuple(0.0 if math.isnan(value) else value for value in (*item.params, *place))
        self.order(item.command, *params, component=component, again=first)

    def mode_left(self, *, mission: bool) -> None:
        """Out of a mode that may have moved the gimbal: the camera stops where it was a mission, the gimbal is free."""
        if mission:
            self.order(TRIGGER_CONTROL, -1.0, 0.0, 1.0)
        nan = math.nan
        self.order(GIMBAL_CONFIGURE, self._sysid, 1.0, -1.0, -1.0)
        self.order(GIMBAL_PITCHYAW, nan, nan, nan, nan, 2.0, again=False)
        self.order(GIMBAL_CONFIGURE, -3.0, -3.0, -1.0, -1.0, again=False)

    def parachute(self) -> None:
        """Flight termination."""
        self.order(DO_PARACHUTE, 2.0, component=PARACHUTE)

    def _send(self, command: int, params: tuple[float, ...], component: int, confirmation: int) -> None:
        self._emit(mavlink.MAVLink_command_long_message(self._sysid, component, command, confirmation, *params))
