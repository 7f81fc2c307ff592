"""Where a vehicle was and where its camera looked, by the vehicle's own time: what video is joined with.

Samples are kept by time since boot, the clock that stamps them; UTC is boot time plus an offset that the
vehicle's SYSTEM_TIME teaches. Positions are interpolated linearly, attitudes along the great arc (slerp).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.mountings import Mounting
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position

Quaternion = tuple[float, float, float, float]
"""w, x, y, z of a rotation to NED (or to the vehicle's heading) from a body FRD."""

POSITION_ROWS = 1 << 14
"""Positions kept: 27 min at 10 Hz."""
ATTITUDE_ROWS = 1 << 13
"""Attitudes kept: 13 min at 10 Hz."""
MOST_ADDED = 256
"""Rows wait until they are asked for, or are so many."""
TOLERANCE_S = 0.25
"""How far outside the samples a moment may lie; the position is then carried on by the velocity."""
MOST_GAP_S = 1.5
"""Samples further apart than this are not interpolated between."""
REBOOT_S = 1.0
"""The clock since boot jumping back by more than this is a reboot."""


class CameraPoseSample(msgspec.Struct, frozen=True, kw_only=True):
    """The camera and its vehicle at one moment, interpolated."""

    pose: Pose
    """Exterior orientation: position AMSL, attitude of the boresight."""
    vehicle_attitude: Attitude
    """Of the airframe."""
    relative_altitude_m: float
    """Height above home, m."""
    north_m_s: float
    """Velocity over ground towards true north, m/s."""
    east_m_s: float
    """Velocity over ground towards east, m/s."""
    down_m_s: float
    """Velocity downwards, m/s."""
    gap_s: float
    """Widest distance between the two samples that any part was interpolated from, s; 0 on a sample."""
    beyond_s: float
    """How far the moment lies outside the samples of any part, s; 0 inside."""

    @property
    def ground_speed_m_s(self) -> float:
        """Horizontal speed, m/s."""
        return math.hypot(self.north_m_s, self.east_m_s)


class _Columns:
    """Rows of floats by rising time: a ring that is always one sorted array once somebody looks at it."""

    def __init__(
        self,
        rows: int,
        columns: int,
        convert: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda values: values,
    ) -> None:
        """`convert` makes the rows that are kept, (n, columns), of those that were added."""
        self._rows = rows
        self._times = np.empty(2 * rows)
        self._values = np.empty((2 * rows, columns))
        self._start = self._end = 0
        self._convert = convert
        self._newest_s = -math.inf
        self._added: list[tuple[float, ...]] = []

    def __len__(self) -> int:
        self._settle()
        return self._end - self._start

    @property
    def times(self) -> NDArray[np.float64]:
        self._settle()
        return self._times[self._start : self._end]

    @property
    def values(self) -> NDArray[np.float64]:
        self._settle()
        return self._values[self._start : self._end]

    def clear(self) -> None:
        self._start = self._end = 0
        self._newest_s = -math.inf
        self._added.clear()

    def add(self, time_s: float, *values: float) -> bool:
        """Append a row; one that is not newer than the last, or not a number, is refused."""
        if time_s <= self._newest_s or not math.isfinite(sum(values)):
            return False
        self._newest_s = time_s
        self._added.append((time_s, *values))
        if len(self._added) == MOST_ADDED:
            self._settle()
        return True

    def _settle(self) -> None:
        """Move what was added behind the rest: many rows at once cost little more than one."""
        if not self._added:
            return
        rows = np.array(self._added)
        self._added.clear()
        if self._end + len(rows) > len(self._times):
            kept = slice(self._end - self._rows + len(rows), self._end)
            count = self._rows - len(rows)
            self._times[:count], self._values[:count] = self._times[kept], self._values[kept]
            self._end = count
        fresh = slice(self._end, self._end + len(rows))
        self._times[fresh], self._values[fresh] = rows[:, 0], self._convert(rows[:, 1:])
        self._end = fresh.stop
        self._start = max(0, self._end - self._rows)

    def around(self, time_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float, float] | None:
        """(row before, row after, fraction of the way, gap in s, s outside) at a time; None if empty."""
        count = len(self)
        if count == 0:
            return None
        times, values = self.times, self.values
        after = int(np.searchsorted(times, time_s))
        if after == 0 or after == count:
            end = 0 if after == 0 else count - 1
            return values[end], values[end], 0.0, 0.0, abs(time_s - float(times[end]))
        gap_s = float(times[after] - times[after - 1])
        fraction = (time_s - float(times[after - 1])) / gap_s
        return values[after - 1], values[after], fraction, 0.0 if fraction == 1.0 else gap_s, 0.0


class PoseHistory:
    """Positions and attitudes of one vehicle over the last minutes, asked for by UTC."""

    def __init__(self, *, fixed_mount_pitch_deg: float | None = None, mounting: Mounting | None = None) -> None:
        """`fixed_mount_pitch_deg`: the camera sits fixed to the airframe at this pitch (nadir -90) and there is no
        gimbal; without it a vehicle that tells nothing of its gimbal has no camera pose. `mounting`: how far from the
        antenna and how askew the camera hangs; at it and straight where absent."""
        self._mounting = mounting
        self._positions = _Columns(POSITION_ROWS, 7)
        self._attitudes = _Columns(ATTITUDE_ROWS, 4, _quaternions_of_eulers)
        self._gimbals = _Columns(ATTITUDE_ROWS, 5)
        self._fixed = None
        if fixed_mount_pitch_deg is not None:
            self._fixed = quaternion_of_euler(0.0, math.radians(fixed_mount_pitch_deg), 0.0)
        self._offset_s: float | None = None
        self._boot_s = -math.inf
        self._waiting: set[asyncio.Event] = set()

    def booted(self, boot_s: float) -> None:
        """Take note of a time since boot; one that jumps back forgets everything before the reboot."""
        if boot_s < self._boot_s - REBOOT_S:
            for columns in (self._positions, self._attitudes, self._gimbals):
                columns.clear()
            self._offset_s = None
            self._boot_s = boot_s
        self._boot_s = max(self._boot_s, boot_s)

    def learn_utc(self, utc_s: float, boot_s: float) -> None:
        """The vehicle's UTC at a time since its boot (SYSTEM_TIME)."""
        self._offset_s = utc_s - boot_s
        self._wake()

    def utc_of(self, boot_s: float) -> float | None:
        """UTC of a time since boot, s since 1970; None before it is known."""
        return None if self._offset_s is None else boot_s + self._offset_s

    def add_position(
        self,
        boot_s: float,
        *,
        lon: float,
        lat: float,
        amsl_m: float,
        relative_m: float,
        north_m_s: float,
        east_m_s: float,
        down_m_s: float,
    ) -> None:
        """One GLOBAL_POSITION_INT, in deg, m and m/s; older than the newest is dropped."""
        if self._positions.add(boot_s, lon, lat, amsl_m, relative_m, north_m_s, east_m_s, down_m_s):
            self._wake()

    def add_attitude(self, boot_s: float, roll_rad: float, pitch_rad: float, yaw_rad: float) -> None:
        """One ATTITUDE of the airframe in NED."""
        if self._attitudes.add(boot_s, roll_rad, pitch_rad, yaw_rad):
            self._wake()

    def add_gimbal(self, boot_s: float, quaternion: Quaternion, *, yaw_from_nose: bool) -> None:
        """One attitude of the gimbal: roll and pitch against the horizon, yaw from the nose or from north."""
        norm = math.sqrt(sum(part * part for part in quaternion))
        if norm < 0.5:
            return
        w, x, y, z = (part / norm for part in quaternion)
        if self._gimbals.add(boot_s, w, x, y, z, float(yaw_from_nose)):
            self._wake()

    @property
    def newest_utc_s(self) -> float | None:
        """Up to when poses are known for certain, s since 1970 UTC; None if there are none."""
        parts = [self._positions, self._attitudes]
        if self._fixed is None:
            parts.append(self._gimbals)
        if self._offset_s is None or not all(len(part) for part in parts):
            return None
        return min(float(part.times[-1]) for part in parts) + self._offset_s

    @property
    def oldest_utc_s(self) -> float | None:
        """From when on poses are known, s since 1970 UTC; None if there are none."""
        parts = [self._positions, self._attitudes]
        if self._fixed is None:
            parts.append(self._gimbals)
        if self._offset_s is None or not all(len(part) for part in parts):
            return None
        return max(float(part.times[0]) for part in parts) + self._offset_s

    async def wait_until(self, utc_s: float, timeout_s: float) -> bool:
        """Wait (wall seconds at most) until poses reach `utc_s`; false if they do not in time."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(timeout_s):
                while (newest := self.newest_utc_s) is None or newest < utc_s:
                    event.clear()
                    await event.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(event)
        return True

    def pose_at(
        self, utc_s: float, *, tolerance_s: float = TOLERANCE_S, most_gap_s: float = MOST_GAP_S
    ) -> CameraPoseSample | None:
        """The camera's pose at a moment of the vehicle's UTC, interpolated.

        None where position, attitude or gimbal have no sample within `tolerance_s` outside their span, or a gap
        wider than `most_gap_s` around the moment, or UTC is not known.
        """
        if self._offset_s is None:
            return None
        boot_s = utc_s - self._offset_s
        position = self._positions.around(boot_s)
        attitude = self._attitudes.around(boot_s)
        gimbal = self._gimbals.around(boot_s)
        found = [position, attitude] if gimbal is None and self._fixed is not None else [position, attitude, gimbal]
        parts = [part for part in found if part is not None]
        if len(parts) < len(found) or position is None or attitude is None:
            return None
        gap_s, beyond_s = max(part[3] for part in parts), max(part[4] for part in parts)
        if gap_s > most_gap_s or beyond_s > tolerance_s:
            return None
        vehicle = slerp(attitude[0], attitude[1], attitude[2])
        if gimbal is not None:
            camera = _camera_from_gimbal(gimbal, vehicle)
        else:
            camera = multiply(vehicle, self._fixed or (1.0, 0.0, 0.0, 0.0))
        row = position[0] + (position[1] - position[0]) * position[2]
        row = _carried_on(row, boot_s, self._positions) if position[4] else row
        lon, lat, amsl_m, relative_m, north_m_s, east_m_s, down_m_s = (float(value) for value in row)
        place = Position(lon=lon, lat=lat, altitude=Altitude(amsl_m, Datum.AMSL))
        pose, airframe = Pose(utc_s=utc_s, position=place, attitude=_attitude(camera)), _attitude(vehicle)
        return CameraPoseSample(
            pose=pose if self._mounting is None else self._mounting.camera_pose(pose, airframe),
            vehicle_attitude=airframe,
            relative_altitude_m=relative_m,
            north_m_s=north_m_s,
            east_m_s=east_m_s,
            down_m_s=down_m_s,
            gap_s=gap_s,
            beyond_s=beyond_s,
        )

    def track(self, seconds: float, *, spacing_s: float = 0.0) -> NDArray[np.float64]:
        """The last `seconds` of positions, oldest first, at least `spacing_s` apart: rows (time, lon, lat, AMSL,
        above home) in s, deg, deg, m, m. Time is UTC, or since boot while UTC is unknown."""
        times = self._positions.times
        if not len(times):
            return np.zeros((0, 5))
        chosen = np.arange(int(np.searchsorted(times, times[-1] - seconds)), len(times))
        if spacing_s > 0:
            slots = np.floor(times[chosen] / spacing_s)
            keep = np.append(slots[1:] != slots[:-1], True)
            chosen = chosen[keep]
        offset_s = self._offset_s or 0.0
        return np.column_stack([times[chosen] + offset_s, self._positions.values[chosen, :4]])

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()


def _camera_from_gimbal(
    gimbal: tuple[NDArray[np.float64], NDArray[np.float64], float, float, float], vehicle: Quaternion
) -> Quaternion:
    """Attitude of the boresight in NED; the yaw of a gimbal that counts from the nose is added to the nose's."""
    before, after, fraction = gimbal[:3]
    if before[4] != after[4]:  # the frame of yaw changed in between: take the nearer one
        before = after = before if fraction < 0.5 else after
    camera = slerp(before, after, fraction)
    if not before[4]:
        return camera
    heading = euler_of_quaternion(vehicle)[2]
    return multiply((math.cos(heading / 2), 0.0, 0.0, math.sin(heading / 2)), camera)


def _carried_on(row: NDArray[np.float64], boot_s: float, positions: _Columns) -> NDArray[np.float64]:
    """A position outside the samples, moved along by its velocity (less than a second of it)."""
    end = -1 if boot_s > positions.times[-1] else 0
    ahead_s = boot_s - float(positions.times[end])
    degree_m = 111_132.95  # mean length of a degree of latitude on WGS 84
    row = row.copy()
    row[0] += row[5] * ahead_s / (degree_m * math.cos(math.radians(row[1])))
    row[1] += row[4] * ahead_s / degree_m
    row[2:4] -= row[6] * ahead_s
    return row


def _attitude(quaternion: Quaternion) -> Attitude:
    roll, pitch, yaw = (math.degrees(angle) for angle in euler_of_quaternion(quaternion))
    return Attitude(roll_deg=roll, pitch_deg=pitch, yaw_deg=yaw % 360.0)


def _quaternions_of_eulers(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """`quaternion_of_euler` of many rows (n, 3), rad: (n, 4)."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(angles.T / 2), np.sin(angles.T / 2)
    return np.column_stack(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ]
    )


def quaternion_of_euler(roll_rad: float, pitch_rad: float, yaw_rad: float) -> Quaternion:
    """The rotation by yaw, pitch, roll (aerospace sequence), rad."""
    cr, sr = math.cos(roll_rad / 2), math.sin(roll_rad / 2)
    cp, sp = math.cos(pitch_rad / 2), math.sin(pitch_rad / 2)
    cy, sy = math.cos(yaw_rad / 2), math.sin(yaw_rad / 2)
    return (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )


def euler_of_quaternion(quaternion: Quaternion) -> tuple[float, float, float]:
    """Roll, pitch, yaw (aerospace sequence), rad; straight down or up, where they are not unique, roll is 0."""
    w, x, y, z = quaternion
    r00, r10, r20 = 1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)
    cos_pitch = math.hypot(r00, r10)
    pitch = math.atan2(-r20, cos_pitch)
    if cos_pitch < 1e-6:
        return 0.0, pitch, math.atan2(-2 * (x * y - w * z), 1 - 2 * (x * x + z * z))
    return math.atan2(2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), pitch, math.atan2(r10, r00)


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """The rotation `a` after `b`."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def slerp(a: NDArray[np.float64], b: NDArray[np.float64], fraction: float) -> Quaternion:
    """The rotation that lies `fraction` of the shorter arc from `a` to `b` (rows starting w, x, y, z; unit norm)."""
    aw, ax, ay, az = (float(part) for part in a[:4])
    bw, bx, by, bz = (float(part) for part in b[:4])
    cosine = aw * bw + ax * bx + ay * by + az * bz
    sign = -1.0 if cosine < 0 else 1.0
    cosine = min(1.0, abs(cosine))
    angle = math.acos(cosine)
    if angle < 1e-6:
        weight_a, weight_b = 1.0 - fraction, sign * fraction
    else:
        weight_a = math.sin((1.0 - fraction) * angle) / math.sin(angle)
        weight_b = sign * math.sin(fraction * angle) / math.sin(angle)
    parts = [weight_a * p + weight_b * q for p, q in ((aw, bw), (ax, bx), (ay, by), (az, bz))]
    norm = math.sqrt(sum(part * part for part in parts))
    return parts[0] / norm, parts[1] / norm, parts[2] / norm, parts[3] / norm
