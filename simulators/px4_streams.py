"""Telemetry as PX4 has it: much of it unasked, the heartbeat late, and some messages that only PX4 sends."""

from __future__ import annotations

import math
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot_flavour import Mode
from simulators.autopilot_streams import Streams
from simulators.px4_autopilot import Px4Autopilot
from simulators.px4_events import component_metadata_message, current_mode_message, protocol_version_message

FIRST_BEAT_S = 1.0
"""Other frames come before the first heartbeat."""
ON_REQUEST = frozenset((1, 30, 32, 33, 42, 49, 74, 147, 148, 230, 241, 242, 245, 285, 300, 397, 436))
"""Messages that REQUEST_MESSAGE brings; others are DENIED, GPS_RAW_INT too."""
MANAGER = frozenset((265, 280, 281))
"""Messages of the gimbal manager, there with MNT_MODE_IN 4."""
ESTIMATOR_GPS_GLITCH = 0x400
"""Of ESTIMATOR_STATUS_FLAGS."""
STANDARD_MODES = {Mode.POSITION: 1, Mode.HOLD: 0, Mode.RTL: 5, Mode.AUTO: 6, Mode.LAND: 7, Mode.TAKEOFF: 8}
"""MAV_STANDARD_MODE, as far as recorded."""


class Px4Streams(Streams):
    """Builds each telemetry message and sends it when it is due."""

    def __init__(self, pilot: Px4Autopilot, sysid: int) -> None:
        """All that is sent unasked, at once."""
        self._px4 = pilot
        super().__init__(pilot, sysid)
        self._beat_s = FIRST_BEAT_S
        self._builders |= {
            141: self._altitude, 230: self._estimator_status, 265: self._mount_orientation, 300: self._protocol,
            360: self._orbit_status, 397: self._component_metadata, 436: self._current_mode,
        }  # fmt: skip

    def request_stream(self, stream: int, rate_hz: float, *, start: bool) -> None:
        """REQUEST_DATA_STREAM is not obeyed."""

    def on_request(self, number: int) -> bool:
        """Whether REQUEST_MESSAGE brings it."""
        return number in ON_REQUEST or (number in MANAGER and self._has_gimbal_manager())

    def _has_gimbal_manager(self) -> bool:
        return self._px4.parameters["MNT_MODE_IN"] == 4

    def send(self, number: int) -> bool:
        """Send one now; False if it is unknown."""
        if number in (281, 285) and not self._has_gimbal_manager():
            return False
        if number == 360 and self._px4.circle() is None:
            return False
        return super().send(number)

    # -- messages ------------------------------------------------------------------------------------------------

    def _altitude(self) -> Any:
        pilot = self._pilot
        amsl_m, relative_m = pilot.position()[2], pilot.relative_m()
        ground_m = pilot.body.u - pilot.body.ground_u
        return mavlink.MAVLink_altitude_message(
            round(pilot.time_s * 1e6), amsl_m, amsl_m, pilot.controls.motion.u, relative_m, math.nan, ground_m
        )

    def _home_position(self) -> Any:
        """Its height wanders with the error of the position, in flight too."""
        pilot = self._pilot
        lon, lat, amsl_m = pilot.home()
        amsl_m += pilot.sensors.up.value
        return mavlink.MAVLink_home_position_message(
            round(lat * 1e7), round(lon * 1e7), round(amsl_m * 1e3), 0, 0, 0, [1.0, 0.0, 0.0, 0.0], 0, 0, 0,
            round(pilot.time_s * 1e6),
        )  # fmt: skip

    def _estimator_status(self) -> Any:
        pilot, estimate = self._pilot, self._pilot.estimate
        flags = 1023 if pilot.has_position() else 101 if pilot.home_set else 164
        flags |= ESTIMATOR_GPS_GLITCH if estimate.glitching else 0
        velocity = 1.5 if estimate.diverging else 0.02
        position = 1.5 if estimate.diverging or estimate.glitching else 0.04
        compass = 1.5 if pilot.failures.compass else 0.03
        return mavlink.MAVLink_estimator_status_message(
            round(pilot.time_s * 1e6), flags, velocity, position, 0.01, compass, 0.0, 0.0, 0.9, 1.8
        )

    def _version(self) -> Any:
        flavour = self._pilot.flavour
        return mavlink.MAVLink_autopilot_version_message(
            flavour.capabilities, flavour.software_version, flavour.software_version, 101854463, 1, [0] * 8, [0] * 8,
            [0] * 8, 0, 0, 1000 + self._sysid,
        )  # fmt: skip

    def _protocol(self) -> Any:
        return protocol_version_message()

    def _component_metadata(self) -> Any:
        return component_metadata_message(self._boot_ms(), b"mftp:/etc/extras/component_general.json.xz")

    def _current_mode(self) -> Any:
        pilot = self._pilot
        return current_mode_message(pilot.flavour.modes[pilot.mode], STANDARD_MODES.get(pilot.mode, 0))

    def _orbit_status(self) -> Any:
        """Only while it flies one."""
        circle = self._px4.circle()
        assert circle is not None
        lon, lat = self._px4.frame.lonlat(circle.centre.n, circle.centre.e)
        radius = math.copysign(circle.radius_m, circle.speed_m_s)
        return mavlink.MAVLink_orbit_execution_status_message(
            self._boot_ms() * 1000, radius, 5, round(lat * 1e7), round(lon * 1e7),
            self._px4.frame.amsl_m + circle.centre.u,
        )  # fmt: skip

    def _mount_orientation(self) -> Any:
        roll, pitch, yaw = (math.degrees(angle) for angle in self._gimbal_angles())
        heading = math.degrees(self._pilot.controls.motion.yaw)
        return mavlink.MAVLink_mount_orientation_message(self._boot_ms(), roll, pitch, yaw, (yaw + heading) % 360.0)

    def _gimbal_information(self) -> Any:
        """The limits are degrees, and those of the roll mean nothing."""
        garbage = 3.0964492166185483e-41
        return mavlink.MAVLink_gimbal_manager_information_message(
            self._boot_ms(), 132530, 1, garbage, 0.0, -90.0, 90.0, -180.0, 180.0
        )
