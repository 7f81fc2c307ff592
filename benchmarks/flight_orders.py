"""What a ground says to have a simulated ArduCopter fly far away with telemetry at 10 Hz, as frames."""

from __future__ import annotations

from pymavlink.dialects.v20 import ardupilotmega as dialect

FAST_HZ, SLOW_HZ = 10.0, 1.0
FAST, SLOW = (30, 33, 74, 285), (1, 2, 24, 42, 147, 245)
"""ATTITUDE, GLOBAL_POSITION_INT, VFR_HUD, GIMBAL_DEVICE_ATTITUDE_STATUS; and what is sent once a second."""
GUIDED = 4
AWAY = (43.35, 76.945, 60.0)
"""12 km north of the default home: deg, deg, m above home."""


class Orders:
    """Frames to one vehicle."""

    def __init__(self, sysid: int) -> None:
        """From the usual ground, 255."""
        self._sysid = sysid
        self._mav = dialect.MAVLink(None, srcSystem=255, srcComponent=190)

    def beat(self) -> bytes:
        """The heartbeat, due once a second."""
        return bytes(dialect.MAVLink_heartbeat_message(6, 8, 0, 0, 4, 3).pack(self._mav))

    def telemetry(self) -> list[bytes]:
        """What is to be sent how often."""
        rates = [(number, FAST_HZ) for number in FAST] + [(number, SLOW_HZ) for number in SLOW]
        return [self._long(dialect.MAV_CMD_SET_MESSAGE_INTERVAL, number, 1e6 / rate_hz) for number, rate_hz in rates]

    def start(self) -> list[bytes]:
        """Arm and take off; the vehicle must be ready."""
        return [
            self._long(dialect.MAV_CMD_DO_SET_MODE, 1, GUIDED),
            self._long(dialect.MAV_CMD_COMPONENT_ARM_DISARM, 1),
            self._long(dialect.MAV_CMD_NAV_TAKEOFF, 0, 0, 0, 0, 0, 0, 20.0),
        ]

    def away(self) -> bytes:
        """Fly off."""
        lat, lon, height_m = AWAY
        message = dialect.MAVLink_command_int_message(
            self._sysid, 1, 6, dialect.MAV_CMD_DO_REPOSITION, 0, 0, -1, 1, 0, 0, round(lat * 1e7), round(lon * 1e7),
            height_m,
        )  # fmt: skip
        return bytes(message.pack(self._mav))

    def _long(self, command: int, *params: float) -> bytes:
        filled = (*params, *[0.0] * (7 - len(params)))
        return bytes(dialect.MAVLink_command_long_message(self._sysid, 1, command, 0, *filled).pack(self._mav))
