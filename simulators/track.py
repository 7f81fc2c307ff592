"""Where a simulated vehicle truly was in the last seconds, step by step."""

from __future__ import annotations

import math
from collections import deque

from geo.poses import Attitude
from simulators.autopilot_sensors import VehicleState

HISTORY_STEPS = 250
"""Steps that are kept."""


class Track:
    """States at even steps; between two of them in proportion."""

    def __init__(self, step_s: float, first: VehicleState) -> None:
        """`step_s` lies between two states, s."""
        self._step_s = step_s
        self._states = deque([first], maxlen=HISTORY_STEPS)

    def append(self, state: VehicleState) -> None:
        """The state of the next step."""
        self._states.append(state)

    def at(self, utc_s: float | None) -> VehicleState:
        """The state at a time; the last one for None and for a moment beyond it, the first for one before it."""
        last = self._states[-1]
        if utc_s is None or utc_s >= last.utc_s:
            return last
        back = (last.utc_s - utc_s) / self._step_s
        index = len(self._states) - 1 - math.ceil(back)
        if index < 0:
            return self._states[0]
        return _between(self._states[index], self._states[index + 1], utc_s)


def attitude(roll_rad: float, pitch_rad: float, yaw_rad: float) -> Attitude:
    """In deg, the heading from 0 to 360."""
    d = 180.0 / math.pi
    return Attitude(roll_deg=roll_rad * d, pitch_deg=pitch_rad * d, yaw_deg=yaw_rad * d % 360.0)


def _between(early: VehicleState, late: VehicleState, utc_s: float) -> VehicleState:
    part = (utc_s - early.utc_s) / (late.utc_s - early.utc_s)

    def mix(name: str) -> float:
        first: float = getattr(early, name)
        second: float = getattr(late, name)
        return first + (second - first) * part

    return VehicleState(
        utc_s=utc_s,
        lon=mix("lon"),
        lat=mix("lat"),
        amsl_m=mix("amsl_m"),
        north_m_s=mix("north_m_s"),
        east_m_s=mix("east_m_s"),
        up_m_s=mix("up_m_s"),
        attitude=_turned(early.attitude, late.attitude, part),
        gimbal=_turned(early.gimbal, late.gimbal, part),
    )


def _turned(early: Attitude, late: Attitude, part: float) -> Attitude:
    turn = (late.yaw_deg - early.yaw_deg + 180.0) % 360.0 - 180.0
    return Attitude(
        roll_deg=early.roll_deg + (late.roll_deg - early.roll_deg) * part,
        pitch_deg=early.pitch_deg + (late.pitch_deg - early.pitch_deg) * part,
        yaw_deg=(early.yaw_deg + turn * part) % 360.0,
    )
