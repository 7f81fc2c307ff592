"""A flight as its recording tells it: where the vehicle was, row by row, and the flight in one record."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from statistics import median_low
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.framing import Frame, SequenceCount, decode
from fleet.health import HealthAlarm, HealthLimits, HealthWatch, Resistance, internal_resistance
from fleet.recording import read_recording
from fleet.snapshots import Telemetry
from fleet.telemetry import Battery, TelemetryState, Text
from geo.positions import distance_m

WARNING = 4
"""MAV_SEVERITY_WARNING: texts up to it are kept."""
MOST_TEXTS = 100
"""Texts and alarms that are kept of a flight."""
LOSS_WINDOW_S = 10.0
"""The worst loss is that of so many seconds."""
LEAST_FRAMES = 20
"""Frames from which a share that was lost is told."""
RECORDED_GAP_S = 4.0
"""The ground's own heartbeats are recorded too: nothing at all for so long means that nobody recorded."""
REBOOT_S = 1.0
"""The time since boot jumping back by more than this is a reboot."""
YEAR_2000_S, YEAR_2100_S = 946_684_800.0, 4_102_444_800.0
"""A vehicle that tells another time does not know it."""
PATH_STEP_S = 1.0
"""The path is measured from second to second, or the noise of positions would lengthen it."""

READ = frozenset(
    int(getattr(dialect, f"MAVLINK_MSG_ID_{name}"))
    for name in (
        "HEARTBEAT", "SYS_STATUS", "SYSTEM_TIME", "GLOBAL_POSITION_INT", "MISSION_CURRENT", "MISSION_ITEM_REACHED",
        "BATTERY_STATUS", "EKF_STATUS_REPORT", "ESTIMATOR_STATUS", "VIBRATION", "EXTENDED_SYS_STATE", "STATUSTEXT",
    )
)  # fmt: skip
"""Messages that a flight is read from; attitudes, the most of a recording, are left alone."""
Stamped = TypeVar("Stamped", HealthAlarm, Text)


class LogRow(NamedTuple):
    """A vehicle at one of its positions."""

    utc_s: float
    """When, by the vehicle's clock where it has one, else by ours, s since 1970 UTC."""
    lon: float
    """Longitude, deg."""
    lat: float
    """Latitude, deg."""
    amsl_m: float
    """Height, m AMSL."""
    relative_m: float | None = None
    """Height above home, m."""
    ground_speed_m_s: float | None = None
    """Over ground, m/s."""
    heading_deg: float | None = None
    """Nose from true north, 0 to 360 deg."""
    mode: str | None = None
    """The autopilot's own name of its mode."""
    battery_percent: float | None = None
    """Left, 0 to 100."""
    item: int | None = None
    """Mission item it is at, counted from 0."""


class FlightSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A flight in one record; None where the recording does not tell."""

    duration_s: float = 0.0
    """In the air, s of the vehicle's clock."""
    distance_m: float = 0.0
    """Flown over ground, m."""
    most_relative_m: float | None = None
    """Greatest height above home, m."""
    most_amsl_m: float | None = None
    """Greatest height, m AMSL."""
    most_speed_m_s: float | None = None
    """Greatest speed over ground, m/s."""
    battery_percent: float | None = None
    """Of the battery used in the air, 0 to 100."""
    charge_ah: float | None = None
    """Drawn from the battery, Ah."""
    energy_wh: float | None = None
    """Drawn from the battery, Wh."""
    resistance: Resistance | None = None
    """Of the battery."""
    worst_loss_percent: float | None = None
    """Frames that did not come, in the worst ten seconds, 0 to 100."""
    vibration_m_s2: float | None = None
    """Greatest vibration in the air, m/s2."""
    clips: int = 0
    """Times in the air that an accelerometer was beyond its range."""
    ekf_ratio: float | None = None
    """Greatest innovation test ratio in the air."""
    alarms: tuple[HealthAlarm, ...] = ()
    """Limits that were passed."""
    warnings: tuple[Text, ...] = ()
    """What the autopilot said with severity 4 (warning) and graver, at times of the vehicle's clock."""
    problem: str = ""
    """Why nothing could be found."""


class FlightLog(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording tells of one vehicle."""

    rows: list[LogRow]
    """Its positions, oldest first."""
    summary: FlightSummary
    """All of it in one record."""


def read_flight(path: Path, sysid: int, limits: HealthLimits | None = None) -> FlightLog:
    """What a .tlog tells of one vehicle. Raises RecordingInvalid.

    Takes some 10 us a frame: an hour of 50 messages a second takes seconds, which a thread can take.
    """
    reader = _Reader(sysid, limits or HealthLimits())
    for utc_s, frame in read_recording(path):
        reader.take(utc_s, frame)
    return reader.log()


class _Reader:
    """Follows one vehicle through a recording."""

    def __init__(self, sysid: int, limits: HealthLimits) -> None:
        self._telemetry, self._clock = Telemetry(sysid), _Clock()
        self._watch, self._loss, self._battery = HealthWatch(limits), _Loss(), _BatteryUse()
        self._rows: list[LogRow] = []
        self._in_air: list[bool] = []
        self._texts: list[Text] = []
        self._alarms: list[HealthAlarm] = []
        self._vibration_m_s2: float | None = None
        self._ekf_ratio: float | None = None
        self._clips, self._last_clips = 0, 0
        self._percents: list[float] = []

    def take(self, utc_s: float, frame: Frame) -> None:
        """One frame of either direction. All times are steady ones until everything is read."""
        self._loss.take(utc_s, frame, ours=frame.sysid == self._telemetry.sysid)
        if frame.sysid != self._telemetry.sysid or frame.msgid not in READ:
            return
        message, telemetry = decode(frame), self._telemetry
        kind = message.get_type()
        if kind == "HEARTBEAT" and message.autopilot == dialect.MAV_AUTOPILOT_INVALID:
            return
        texts, before = telemetry.text_count, telemetry.state
        telemetry.receive(message, utc_s)
        state = telemetry.state
        now_s = self._clock.steady_s(state, utc_s)
        if telemetry.text_count != texts:
            heard = [text for text in telemetry.texts_since(texts) if text.severity <= WARNING]
            self._texts += [msgspec.structs.replace(text, utc_s=now_s) for text in heard]
        if state.battery is not before.battery and state.battery is not None:
            self._battery.take(now_s, state.battery)
            if state.in_air and state.battery.remaining_percent is not None:
                self._percents.append(state.battery.remaining_percent)
        if state.position is not before.position:
            self._place(now_s, state)
        elif kind in ("VIBRATION", "EKF_STATUS_REPORT", "ESTIMATOR_STATUS"):
            self._worst(state)
        if kind != "HEARTBEAT":
            self._alarms += self._watch.look(state, now_s)

    def _place(self, now_s: float, state: TelemetryState) -> None:
        if state.position is None or (self._rows and now_s <= self._rows[-1].utc_s):
            return
        self._in_air.append(state.in_air)
        self._rows.append(
            LogRow(
                now_s,
                state.position.lon,
                state.position.lat,
                state.position.altitude.value_m,
                state.relative_altitude_m,
                state.velocity.ground_speed_m_s if state.velocity else None,
                state.heading_deg,
                state.mode_name,
                state.battery.remaining_percent if state.battery else None,
                state.mission.item if state.mission else None,
            )
        )

    def _worst(self, state: TelemetryState) -> None:
        shaking, ekf = state.vibration, state.estimator
        if shaking is not None:
            if state.in_air:
                self._vibration_m_s2 = max(self._vibration_m_s2 or 0.0, shaking.worst_m_s2)
                self._clips += max(0, shaking.clips - self._last_clips)
            self._last_clips = shaking.clips
        if ekf is not None and ekf.ratios and state.in_air:
            self._ekf_ratio = max(self._ekf_ratio or 0.0, ekf.worst[1])

    def log(self) -> FlightLog:
        """What was seen until now."""
        utc = self._clock.utc_s
        rows = [row._replace(utc_s=utc(row.utc_s)) for row in self._rows]
        return FlightLog(rows=rows, summary=self._summary())

    def _summary(self) -> FlightSummary:
        flown = [row for row, in_air in zip(self._rows, self._in_air, strict=True) if in_air]
        times = np.array([row.utc_s for row in self._rows])
        percents, utc = self._percents, self._clock.utc_s
        speeds = [row.ground_speed_m_s for row in flown if row.ground_speed_m_s is not None]
        heights = [row.relative_m for row in flown if row.relative_m is not None]
        return FlightSummary(
            duration_s=float(np.diff(times) @ np.array(self._in_air[:-1], float)) if len(times) > 1 else 0.0,
            distance_m=_path_m(flown),
            most_relative_m=max(heights, default=None),
            most_amsl_m=max((row.amsl_m for row in flown), default=None),
            most_speed_m_s=max(speeds, default=None),
            battery_percent=max(0.0, percents[0] - percents[-1]) if percents else None,
            charge_ah=self._battery.charge_ah,
            energy_wh=self._battery.energy_wh,
            resistance=self._battery.resistance(),
            worst_loss_percent=self._loss.worst_percent(),
            vibration_m_s2=self._vibration_m_s2,
            clips=self._clips,
            ekf_ratio=self._ekf_ratio,
            alarms=tuple(_at(each, utc(each.utc_s)) for each in self._alarms[:MOST_TEXTS]),
            warnings=tuple(_at(each, utc(each.utc_s)) for each in self._texts[:MOST_TEXTS]),
        )


class _Clock:
    """Seconds that only go on, by the vehicle's time since boot, and what they were in UTC once all is read.

    A vehicle's UTC is learned late, corrected, or set wrongly for a while: each boot has the one that held longest.
    """

    def __init__(self) -> None:
        self._starts_s: list[float] = []
        self._boots_s: list[float] = []
        self._theirs: list[list[float]] = []
        self._ours: list[list[float]] = []
        self._offsets_s: dict[int, float] = {}
        self._last_boot_s = self._last_s = 0.0

    def steady_s(self, state: TelemetryState, utc_s: float) -> float:
        """The present, from a state that was heard at `utc_s` by our clock; goes on also over a reboot."""
        boot_s = state.boot_s
        if boot_s is None:
            return self._last_s
        if not self._starts_s or boot_s < self._last_boot_s - REBOOT_S:
            self._starts_s.append(self._last_s)
            self._boots_s.append(boot_s)
            self._theirs.append([])
            self._ours.append([])
        self._last_boot_s = boot_s
        self._last_s = max(self._last_s, self._starts_s[-1] + boot_s - self._boots_s[-1])
        self._ours[-1].append(utc_s - boot_s)
        if state.vehicle_utc_s is not None and YEAR_2000_S < state.vehicle_utc_s < YEAR_2100_S:
            self._theirs[-1].append(state.vehicle_utc_s - boot_s)
        return self._last_s

    def utc_s(self, steady_s: float) -> float:
        """UTC of such a moment, s since 1970: the vehicle's where it told it, else ours."""
        if not self._starts_s:
            return steady_s
        boot = max(0, bisect_right(self._starts_s, steady_s) - 1)
        boot_s = self._boots_s[boot] + steady_s - self._starts_s[boot]
        if boot not in self._offsets_s:
            self._offsets_s[boot] = median_low(self._theirs[boot] or self._ours[boot])
        return boot_s + self._offsets_s[boot]


def _at(each: Stamped, utc_s: float) -> Stamped:
    return msgspec.structs.replace(each, utc_s=utc_s)


def _path_m(flown: list[LogRow]) -> float:
    kept: list[LogRow] = []
    for row in flown:
        if not kept or row.utc_s - kept[-1].utc_s >= PATH_STEP_S or row is flown[-1]:
            kept.append(row)
    if len(kept) < 2:
        return 0.0
    lon, lat = np.array([(row.lon, row.lat) for row in kept]).T
    return float(np.sum(distance_m(lon[:-1], lat[:-1], lon[1:], lat[1:])))


class _BatteryUse:
    """What was drawn from a battery, by its own count where it has one, else by the current."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float, float]] = []
        self._counted: dict[str, float] = {}
        self._drawn: dict[str, float] = {}

    def take(self, now_s: float, battery: Battery) -> None:
        """One word of the battery."""
        for name, value in (("ah", battery.consumed_ah), ("wh", battery.consumed_wh)):
            if value is not None:
                more = value - self._counted.get(name, value)  # less than before: another battery, or a reboot
                self._drawn[name] = self._drawn.get(name, 0.0) + max(0.0, more)
                self._counted[name] = value
        if battery.voltage_v is not None and battery.current_a is not None:
            self._samples.append((now_s, battery.voltage_v, battery.current_a))

    @property
    def charge_ah(self) -> float | None:
        """Drawn, Ah; None where neither count nor current is told."""
        return self._drawn.get("ah") or self._integral(power=False)

    @property
    def energy_wh(self) -> float | None:
        """Drawn, Wh; None where neither count nor current is told."""
        return self._drawn.get("wh") or self._integral(power=True)

    def _integral(self, *, power: bool) -> float | None:
        if len(self._samples) < 2:
            return None
        times_s, volts, amperes = np.array(self._samples).T
        return float(np.trapezoid(volts * amperes if power else amperes, times_s)) / 3600.0

    def resistance(self) -> Resistance | None:
        """Of all samples."""
        if len(self._samples) < 2:
            return None
        times_s, volts, amperes = np.array(self._samples).T
        return internal_resistance(times_s, volts, amperes)


class _Loss:
    """The worst share of frames lost in a row of windows."""

    def __init__(self) -> None:
        self._counts: dict[int, SequenceCount] = {}
        self._start_s = self._last_s = -1e18
        self._worst_percent: float | None = None

    def take(self, utc_s: float, frame: Any, *, ours: bool) -> None:
        """One frame; `ours` is from the vehicle."""
        if not -1.0 <= utc_s - self._last_s <= RECORDED_GAP_S:  # nobody recorded, or the clock was set
            self._counts, self._start_s = {}, utc_s
        self._last_s = utc_s
        if utc_s - self._start_s >= LOSS_WINDOW_S:
            self._close(utc_s)
        if ours:
            self._counts.setdefault(frame.compid, SequenceCount()).count(frame)

    def worst_percent(self) -> float | None:
        """Until now, the window that is open included; None where too little came."""
        self._close(self._last_s)
        return self._worst_percent

    def _close(self, utc_s: float) -> None:
        lost = sum(count.lost for count in self._counts.values())
        sent = lost + sum(count.frames for count in self._counts.values())
        if sent >= LEAST_FRAMES:
            self._worst_percent = max(self._worst_percent or 0.0, 100.0 * lost / sent)
        self._counts = {compid: SequenceCount(last_seq=count.last_seq) for compid, count in self._counts.items()}
        self._start_s = utc_s
