"""What a vehicle says, message by message, kept as the snapshot of `fleet.telemetry`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from fleet.autopilots import Autopilot, autopilot_of
from fleet.estimators import estimator_of, vibration_of
from fleet.events import ArmingReports, Event
from fleet.history import PoseHistory, euler_of_quaternion, quaternion_of_euler
from fleet.sensors import sensors_of
from fleet.telemetry import (
    Battery,
    Condition,
    GeoVelocity,
    GimbalAttitude,
    Gps,
    LinkCondition,
    MissionProgress,
    TelemetryState,
    Text,
    VehicleAttitude,
)
from geo.positions import Altitude, Datum, Position

TEXTS_KEPT = 50
MOST_PARTS, PART_LENGTH = 8, 50
"""Parts of one long text, and bytes of a full one; what is longer is cut."""
MOST_UNFINISHED = 8
"""Long texts of which the end did not come yet."""
UTC_BEGINS_S, UTC_ENDS_S = 1_420_070_400.0, 4_102_444_800.0
"""2015 and 2100: what a vehicle's clock says outside of that is no time, s since 1970."""
MAV_LANDED_STATE_ON_GROUND, MAV_LANDED_STATE_IN_AIR = 1, 2
MAV_MODE_FLAG_SAFETY_ARMED = 128
MAV_SYS_STATUS_PREARM_CHECK = 0x10000000


class Telemetry:
    """Keeps the state of one vehicle from its messages."""

    def __init__(self, sysid: int, history: PoseHistory | None = None) -> None:
        """Nothing heard yet."""
        self.sysid = sysid
        self.history = history or PoseHistory()
        """Positions and attitudes by time."""
        self.autopilot: Autopilot | None = None
        """Known from the first heartbeat."""
        self.changes = 0
        """Counts every change of the state."""
        self._latest: dict[str, Any] = {"sysid": sysid}
        self._untold: dict[Callable[[Any], dict[str, Any]], Any] = {}
        """Messages whose part of the state nobody has asked for yet: most are followed by the next before."""
        self._snapshot: TelemetryState | None = None
        self.text_count = 0
        """Counts every text heard."""
        self._texts: deque[Text] = deque(maxlen=TEXTS_KEPT)
        self._parts: dict[int, dict[int, str]] = {}
        self._kind = (-1, -1)
        self._flown = False
        self._gimbal_device_heard = self._battery_status_heard = False
        self._reached: int | None = None
        self._reports = ArmingReports()
        self._handlers = {
            "HEARTBEAT": self._heartbeat,
            "SYS_STATUS": self._sys_status,
            "SYSTEM_TIME": self._system_time,
            "GPS_RAW_INT": self._gps_raw_int,
            "ATTITUDE": self._attitude,
            "GLOBAL_POSITION_INT": self._global_position_int,
            "MISSION_CURRENT": self._mission_current,
            "MISSION_ITEM_REACHED": self._mission_item_reached,
            "BATTERY_STATUS": self._battery_status,
            "VIBRATION": self._vibration,
            "EKF_STATUS_REPORT": self._estimator,
            "ESTIMATOR_STATUS": self._estimator,
            "EVENT": self._event,
            "HOME_POSITION": self._home_position,
            "EXTENDED_SYS_STATE": self._extended_sys_state,
            "STATUSTEXT": self._statustext,
            "MOUNT_ORIENTATION": self._mount_orientation,
            "GIMBAL_DEVICE_ATTITUDE_STATUS": self._gimbal_device_attitude_status,
        }

    @property
    def state(self) -> TelemetryState:
        """The present snapshot."""
        if self._snapshot is None:
            for part, message in self._untold.items():
                self._latest.update(part(message))
            self._untold.clear()
            boot_s = self._latest.get("boot_s")
            self._latest["vehicle_utc_s"] = None if boot_s is None else self.history.utc_of(boot_s)
            self._snapshot = TelemetryState(**self._latest)
        return self._snapshot

    def receive(self, message: Any, utc_s: float) -> None:
        """Take one message of the vehicle into account, heard at `utc_s` by our clock."""
        handler = self._handlers.get(message.get_type())
        if handler is not None:
            handler(message, utc_s)

    def texts_since(self, text_count: int) -> tuple[Text, ...]:
        """Texts heard since `text_count` was so much, oldest first."""
        new = min(self.text_count - text_count, len(self._texts))
        return tuple(self._texts)[len(self._texts) - new :]

    def silent(self, condition: Condition | None) -> None:
        """The link was found STALE or LOST (or None: heard again)."""
        self._update(condition=condition or self._present_condition())

    def mission_replaced(self) -> None:
        """The mission aboard is a new one, or starts anew: nothing of it is reached."""
        self._reached = None
        if self.state.mission is not None:
            self._update(mission=msgspec.structs.replace(self.state.mission, reached=None, complete=False))

    def set_loss(self, percent: float) -> None:
        """Share of frames lost, 0 to 100."""
        self._update(loss_percent=percent)

    def set_link(self, link: LinkCondition) -> None:
        """Which ways carry."""
        self._update(link=link)

    def set_conflict(self, other: str | None) -> None:
        """Who else claims the sysid, or None when nobody does any more."""
        self._update(conflict=other)

    def _later(self, part: Callable[[Any], dict[str, Any]], message: Any) -> None:
        """A message whose `part` of the state is made when it is asked for."""
        self._untold[part] = message
        self._snapshot = None
        self.changes += 1

    def _update(self, **fields: Any) -> None:
        self._latest.update(fields)
        self._snapshot = None
        self.changes += 1

    def _present_condition(self) -> Condition:
        if self._latest.get("last_heard_utc_s") is None:
            return Condition.UNKNOWN
        if self._latest.get("armed") or self._latest.get("landed") is False:
            self._flown = self._flown or self._latest.get("landed") is False
            return Condition.FLYING
        return Condition.LANDED if self._flown else Condition.READY

    def _boot(self, boot_ms: int) -> float:
        """Takes the vehicle's clock from a message; s since boot."""
        boot_s = boot_ms / 1000.0
        self.history.booted(boot_s)
        self._latest["boot_s"] = boot_s
        return boot_s

    def _heartbeat(self, message: Any, utc_s: float) -> None:
        if self.autopilot is None or self._kind != (message.autopilot, message.type):
            self._kind = (message.autopilot, message.type)
            self.autopilot = autopilot_of(message.autopilot, message.type)
        mode = self.autopilot.mode(message.custom_mode)
        self._latest.update(
            autopilot=self.autopilot.name,
            vehicle_type=message.type,
            mode=mode,
            mode_name=self.autopilot.mode_name(message.custom_mode),
            armed=bool(message.base_mode & MAV_MODE_FLAG_SAFETY_ARMED),
            system_status=message.system_status,
            last_heard_utc_s=utc_s,
        )
        self._update(condition=self._present_condition())

    def _sys_status(self, message: Any, utc_s: float) -> None:
        self._later(_sensors_part, message)
        if not self._battery_status_heard:  # it tells more, where it comes
            self._later(_rough_battery_part, message)

    def _battery_status(self, message: Any, utc_s: float) -> None:
        if message.id == 0:
            self._battery_status_heard = True
            self._untold.pop(_rough_battery_part, None)
            self._later(_battery_part, message)

    def _vibration(self, message: Any, utc_s: float) -> None:
        self._update(vibration=vibration_of(message) or self._latest.get("vibration"))

    def _event(self, message: Event, utc_s: float) -> None:
        if self._reports.take(message):
            self._update(arming=self._reports.latest)

    def _estimator(self, message: Any, utc_s: float) -> None:
        self._later(_estimator_part, message)

    def _system_time(self, message: Any, utc_s: float) -> None:
        boot_s = self._boot(message.time_boot_ms)
        if UTC_BEGINS_S <= message.time_unix_usec / 1e6 < UTC_ENDS_S:
            self.history.learn_utc(message.time_unix_usec / 1e6, boot_s)
            self._update()

    def _gps_raw_int(self, message: Any, utc_s: float) -> None:
        self._later(_gps_part, message)

    def _attitude(self, message: Any, utc_s: float) -> None:
        self.history.add_attitude(self._boot(message.time_boot_ms), message.roll, message.pitch, message.yaw)
        self._later(_attitude_part, message)

    def _global_position_int(self, message: Any, utc_s: float) -> None:
        boot_s = self._boot(message.time_boot_ms)
        if message.lat == 0 and message.lon == 0:  # what autopilots send before they know where they are
            return
        lon, lat = message.lon / 1e7, message.lat / 1e7
        if not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
            return
        self.history.add_position(
            boot_s,
            lon=lon,
            lat=lat,
            amsl_m=message.alt / 1000.0,
            relative_m=message.relative_alt / 1000.0,
            north_m_s=message.vx / 100.0,
            east_m_s=message.vy / 100.0,
            down_m_s=message.vz / 100.0,
        )
        self._later(_position_part, message)

    def _home_position(self, message: Any, utc_s: float) -> None:
        height = Altitude(message.altitude / 1000.0, Datum.AMSL)
        self._update(home=Position(lon=message.longitude / 1e7, lat=message.latitude / 1e7, altitude=height))

    def _mission_current(self, message: Any, utc_s: float) -> None:
        if self.autopilot is None:
            return
        self._update(
            mission=MissionProgress(
                item=self.autopilot.plan_index(message.seq),
                total=self.autopilot.plan_total(message.total),
                reached=self._reached,
                complete=message.mission_state == 5,
            )
        )

    def _mission_item_reached(self, message: Any, utc_s: float) -> None:
        index = self.autopilot.plan_index(message.seq) if self.autopilot else None
        if index is None:
            return
        self._reached = index if self._reached is None else max(self._reached, index)
        present = self.state.mission or MissionProgress(item=None, total=None)
        self._update(mission=msgspec.structs.replace(present, reached=self._reached))

    def _extended_sys_state(self, message: Any, utc_s: float) -> None:
        if message.landed_state == 0:
            return
        self._latest["landed"] = message.landed_state == MAV_LANDED_STATE_ON_GROUND
        silent = self._latest.get("condition") in (Condition.STALE, Condition.LOST)
        self._update(**({} if silent else {"condition": self._present_condition()}))

    def _statustext(self, message: Any, utc_s: float) -> None:
        text = message.text if isinstance(message.text, str) else message.text.decode("utf-8", "replace")
        if message.chunk_seq >= MOST_PARTS:
            return
        if message.id == 0 and message.chunk_seq > 0 and self._texts:  # PX4 counts its ids from 0, which means unsplit
            whole = (self._texts[-1].text + text).strip()[: MOST_PARTS * PART_LENGTH]
            self._texts[-1] = msgspec.structs.replace(self._texts[-1], text=whole)
            self._update(texts=tuple(self._texts))
            return
        if message.id:  # a long text comes in parts; the last has room left for its end mark
            parts = self._parts.setdefault(message.id, {})
            parts[message.chunk_seq] = text
            if len(text.encode()) >= PART_LENGTH and message.chunk_seq < MOST_PARTS - 1:
                if len(self._parts) > MOST_UNFINISHED:
                    self._parts.pop(next(iter(self._parts)))
                return
            text = "".join(words for _, words in sorted(self._parts.pop(message.id).items()))
        self._texts.append(Text(utc_s=utc_s, severity=message.severity, text=text.strip()))
        self.text_count += 1
        self._update(texts=tuple(self._texts))

    def _mount_orientation(self, message: Any, utc_s: float) -> None:
        boot_s = self._boot(message.time_boot_ms)
        if self._gimbal_device_heard or math.isnan(message.pitch):  # the device's own word is the better one
            return
        roll_deg = 0.0 if math.isnan(message.roll) else message.roll
        from_nose = math.isnan(message.yaw_absolute)
        yaw_deg = message.yaw if from_nose else message.yaw_absolute
        quaternion = quaternion_of_euler(*(math.radians(angle) for angle in (roll_deg, message.pitch, yaw_deg)))
        self.history.add_gimbal(boot_s, quaternion, yaw_from_nose=from_nose)
        attitude = GimbalAttitude(roll_deg=roll_deg, pitch_deg=message.pitch, yaw_deg=yaw_deg, yaw_from_nose=from_nose)
        self._update(gimbal=attitude)

    def _gimbal_device_attitude_status(self, message: Any, utc_s: float) -> None:
        boot_s = self._boot(message.time_boot_ms)
        w, x, y, z = message.q
        if not math.isfinite(w + x + y + z):
            return
        self._gimbal_device_heard = True
        self.history.add_gimbal(boot_s, (w, x, y, z), yaw_from_nose=yaw_from_nose(message.flags))
        self._later(_gimbal_part, message)


def _sensors_part(message: Any) -> dict[str, Any]:
    present = message.onboard_control_sensors_present & message.onboard_control_sensors_enabled
    good = bool(message.onboard_control_sensors_health & MAV_SYS_STATUS_PREARM_CHECK)
    return {
        "prearm_good": good if good or present & MAV_SYS_STATUS_PREARM_CHECK else None,  # PX4 tells when it is good
        "sensors": sensors_of(message),
    }


def _rough_battery_part(message: Any) -> dict[str, Any]:
    voltage_v = None if message.voltage_battery in (0, 65535) else message.voltage_battery / 1000.0
    return {"battery": Battery(voltage_v=voltage_v, **_drawn(message))}


def _battery_part(message: Any) -> dict[str, Any]:
    cells = [v for v in (*message.voltages, *message.voltages_ext) if v not in (0, 65535)]
    return {
        "battery": Battery(
            voltage_v=sum(cells) / 1000.0 if cells else None,
            consumed_wh=None if message.energy_consumed < 0 else message.energy_consumed / 36.0,
            consumed_ah=None if message.current_consumed < 0 else message.current_consumed / 1000.0,
            **_drawn(message),
        )
    }


def _drawn(message: Any) -> dict[str, float | None]:
    """What SYS_STATUS and BATTERY_STATUS both tell."""
    return {
        "current_a": None if message.current_battery < 0 else message.current_battery / 100.0,
        "remaining_percent": None if message.battery_remaining < 0 else float(message.battery_remaining),
    }


def _gps_part(message: Any) -> dict[str, Any]:
    satellites = None if message.satellites_visible == 255 else message.satellites_visible
    hdop = None if message.eph == 65535 else message.eph / 100.0
    return {
        "gps": Gps(fix_type=message.fix_type, satellites=satellites, hdop=hdop),
        "ellipsoid_m": message.alt_ellipsoid / 1000.0 if message.alt_ellipsoid else None,
    }


def _estimator_part(message: Any) -> dict[str, Any]:
    return {"estimator": estimator_of(message)}


def _attitude_part(message: Any) -> dict[str, Any]:
    roll_deg, pitch_deg, yaw_deg = (math.degrees(angle) for angle in (message.roll, message.pitch, message.yaw))
    return {"attitude": VehicleAttitude(roll_deg=roll_deg, pitch_deg=pitch_deg, yaw_deg=yaw_deg % 360.0)}


def _position_part(message: Any) -> dict[str, Any]:
    height = Altitude(message.alt / 1000.0, Datum.AMSL)
    return {
        "position": Position(lon=message.lon / 1e7, lat=message.lat / 1e7, altitude=height),
        "relative_altitude_m": message.relative_alt / 1000.0,
        "velocity": GeoVelocity(north_m_s=message.vx / 100.0, east_m_s=message.vy / 100.0, down_m_s=message.vz / 100.0),
        "heading_deg": None if message.hdg == 65535 else message.hdg / 100.0 % 360.0,
    }


def _gimbal_part(message: Any) -> dict[str, Any]:
    roll_deg, pitch_deg, yaw_deg = (math.degrees(angle) for angle in euler_of_quaternion(tuple(message.q)))
    from_nose = yaw_from_nose(message.flags)
    return {"gimbal": GimbalAttitude(roll_deg=roll_deg, pitch_deg=pitch_deg, yaw_deg=yaw_deg, yaw_from_nose=from_nose)}


def yaw_from_nose(flags: int) -> bool:
    """Whether the yaw of a gimbal attitude with these GIMBAL_DEVICE_FLAGS is counted from the vehicle's nose.

    YAW_IN_VEHICLE_FRAME (32) and YAW_IN_EARTH_FRAME (64) say so; where neither is set (older devices, PX4 1.17),
    YAW_LOCK (16) means north and its absence the nose (MAVLink, GIMBAL_DEVICE_ATTITUDE_STATUS).
    """
    if flags & 32:
        return True
    return not flags & (64 | 16)
