"""Asks a vehicle for the telemetry we need, and asks again for what stops coming."""

from __future__ import annotations

import time

import msgspec
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.commands import Commands, CommandState
from fleet.snapshots import Telemetry

CHECK_S = 1.0
"""Pause between looks at what comes, s of the wall."""
PATIENCE_S = 3.0
"""A message not heard for this long, and three of its intervals, is asked for again."""
REFUSED_S = 60.0
"""A message that the vehicle refused is asked for again after this."""


class Stream(msgspec.Struct, frozen=True):
    """A message wanted regularly."""

    msgid: int
    """MAVLink message id."""
    rate_hz: float
    """Wanted rate, Hz of the vehicle's clock."""


STREAMS = {
    "ATTITUDE": Stream(30, 20.0),
    "GLOBAL_POSITION_INT": Stream(33, 10.0),
    "GIMBAL_DEVICE_ATTITUDE_STATUS": Stream(285, 20.0),
    "SYSTEM_TIME": Stream(2, 1.0),
    "BATTERY_STATUS": Stream(147, 1.0),
    "SYS_STATUS": Stream(1, 1.0),
    "MISSION_CURRENT": Stream(42, 2.0),
    "GPS_RAW_INT": Stream(24, 1.0),
    "EXTENDED_SYS_STATE": Stream(245, 2.0),
    "HOME_POSITION": Stream(242, 0.5),
    "VIBRATION": Stream(241, 1.0),
    "EKF_STATUS_REPORT": Stream(193, 2.0),
    "ESTIMATOR_STATUS": Stream(230, 2.0),
}
"""What we want of every vehicle. A rate asked of ArduPilot is met a little below (asked 10 Hz, came 7)."""
ESTIMATORS = ("EKF_STATUS_REPORT", "ESTIMATOR_STATUS")
"""Each autopilot knows one of these, and refuses the other with a text; so it is asked for its own alone."""


class StreamKeeper:
    """Keeps the wanted messages of one vehicle coming, also after it rebooted."""

    def __init__(self, commands: Commands, telemetry: Telemetry, streams: dict[str, Stream] | None = None) -> None:
        """Wants STREAMS, or others."""
        self._commands, self._telemetry = commands, telemetry
        self._streams = STREAMS if streams is None else streams
        self._heard_s: dict[str, float] = {}
        self._asked_s: dict[str, float] = {}
        self._refused_s: dict[str, float] = {}

    def heard(self, kind: str) -> None:
        """A message of this name came."""
        if kind in self._streams:
            self._heard_s[kind] = time.monotonic()

    def missing(self, now_s: float) -> list[str]:
        """Names of the messages to ask for at a monotonic time."""
        wanted = []
        autopilot = self._telemetry.autopilot
        for kind, stream in self._streams.items():
            if kind in ESTIMATORS and (autopilot is None or kind != autopilot.estimator_message):
                continue
            patience_s = max(PATIENCE_S, 3.0 / stream.rate_hz)
            latest_s = max(self._heard_s.get(kind, -1e9), self._asked_s.get(kind, -1e9))
            first = kind not in self._asked_s
            if not first and (now_s - latest_s < patience_s or now_s - self._refused_s.get(kind, -1e9) < REFUSED_S):
                continue
            wanted.append(kind)
        return wanted

    async def ask(self) -> None:
        """Ask once for every message that is missing now."""
        for kind in self.missing(time.monotonic()):
            stream = self._streams[kind]
            result = await self._commands.long(
                dialect.MAV_CMD_SET_MESSAGE_INTERVAL, float(stream.msgid), 1e6 / stream.rate_hz
            )
            if result.state is CommandState.UNKNOWN:
                return
            self._asked_s[kind] = time.monotonic()
            if result.state is not CommandState.ACCEPTED:
                self._refused_s[kind] = time.monotonic()

    def forget(self) -> None:
        """The vehicle was lost or has rebooted: ask for everything anew."""
        self._asked_s.clear()
        self._refused_s.clear()
