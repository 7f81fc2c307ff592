"""Exposures: which frames of a flight were looked at, and from where; what is said to have been seen rests on them."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from sqlalchemy import insert, select

from fleet.history import CameraPoseSample
from geo import visibility
from geo.cameras import BrownCamera
from geo.poses import PoseSigmas
from missioncontrol.observations import ModelStamp
from missioncontrol.store import Store
from missioncontrol.tables import exposures, flights

MOST_WAITING = 40
"""Frames of a flight that are written down together; a crash loses fewer, and what is lost is not claimed."""


class Watching(msgspec.Struct, frozen=True, kw_only=True):
    """How the frames of a flight were looked at."""

    width_px: int
    """Of the pictures."""
    height_px: int
    """Of the pictures."""
    focal_px: float
    """Focal length."""
    center_px: tuple[float, float]
    """Principal point."""
    focal_y_px: float | None = None
    """Along the height, px; the same where absent."""
    distortion: tuple[float, float, float, float, float]
    """k1, k2, p1, p2, k3 of Brown and Conrady."""
    model: ModelStamp
    """What looked."""
    thresholds: dict[str, float]
    """Score from which each class was reported."""
    min_hits: int
    """Frames a thing had to be found in before it was reported."""
    min_range_m: float
    """Nearer than this nothing was reported, m."""
    max_range_m: float
    """Beyond this nothing was reported, m."""
    sigmas: PoseSigmas
    """One-sigma errors of the poses."""

    @classmethod
    def through(
        cls,
        camera: BrownCamera,
        *,
        model: ModelStamp,
        thresholds: dict[str, float],
        min_hits: int,
        min_range_m: float,
        max_range_m: float,
        sigmas: PoseSigmas,
    ) -> Watching:
        """Through a camera."""
        return cls(
            width_px=camera.width_px,
            height_px=camera.height_px,
            focal_px=camera.focal_px,
            focal_y_px=None if camera.focal_y_px == camera.focal_px else camera.focal_y_px,
            center_px=camera.center_px,
            distortion=(camera.k1, camera.k2, camera.p1, camera.p2, camera.k3),
            model=model,
            thresholds=thresholds,
            min_hits=min_hits,
            min_range_m=min_range_m,
            max_range_m=max_range_m,
            sigmas=sigmas,
        )

    @property
    def camera(self) -> BrownCamera:
        """The camera of the pictures."""
        k1, k2, p1, p2, k3 = self.distortion
        return BrownCamera(
            width_px=self.width_px, height_px=self.height_px, focal_px=self.focal_px,
            focal_y_px=self.focal_y_px, center_px=self.center_px, k1=k1, k2=k2, p1=p1, p2=p2, k3=k3,
        )  # fmt: skip


Row = tuple[float, float, float, float, float, float, float, float, float, float]
"""UTC (s), lon, lat (deg), m AMSL, roll, pitch, yaw (deg), velocity east, north, up (m/s)."""


@dataclass(frozen=True)
class Watched:
    """Frames of one flight that were looked at in one way."""

    flight_id: str
    """Whose."""
    sysid: int
    """Of the vehicle."""
    registration: str
    """Of the vehicle."""
    watching: Watching
    """How."""
    frames: visibility.Exposures
    """Where from, and when."""


class Exposures:
    """The frames of all flights, in the store."""

    def __init__(self, store: Store) -> None:
        """In `store`."""
        self._store = store
        self._waiting: dict[str, tuple[Watching, list[Row]]] = {}

    async def note(self, flight_id: str, watching: Watching, sample: CameraPoseSample) -> None:
        """A frame of a flight was looked at, from the pose of the sample."""
        position, attitude = sample.pose.position, sample.pose.attitude
        row: Row = (
            round(sample.pose.utc_s, 3), round(position.lon, 8), round(position.lat, 8),
            round(position.altitude.value_m, 3), round(attitude.roll_deg, 4), round(attitude.pitch_deg, 4),
            round(attitude.yaw_deg, 4), round(sample.east_m_s, 3), round(sample.north_m_s, 3),
            round(-sample.down_m_s, 3),
        )  # fmt: skip
        known = self._waiting.get(flight_id)
        if known is not None and known[0] != watching:
            await self.write(flight_id)
        _, rows = self._waiting.setdefault(flight_id, (watching, []))
        rows.append(row)
        if len(rows) >= MOST_WAITING:
            await self.write(flight_id)

    async def write(self, flight_id: str) -> None:
        """Write down what still waits of a flight: when it ends, and before it is judged."""
        watching, rows = self._waiting.pop(flight_id, (None, []))
        if watching is None or not rows:
            return
        values = {
            "flight_id": flight_id,
            "from_utc_s": rows[0][0],
            "until_utc_s": rows[-1][0],
            "watching": msgspec.to_builtins(watching),
            "frames": rows,
        }
        async with self._store.writing() as connection:
            await connection.execute(insert(exposures).values(**values))

    async def of_mission(self, mission_id: str) -> list[Watched]:
        """The frames of all flights of a mission until now, by flight and time."""
        for flight_id in list(self._waiting):
            await self.write(flight_id)
        query = (
            select(exposures.c.flight_id, exposures.c.watching, exposures.c.frames, flights.c.sysid)
            .add_columns(flights.c.registration)
            .join(flights, flights.c.id == exposures.c.flight_id)
            .where(flights.c.mission_id == mission_id)
            .order_by(flights.c.started_utc_s, exposures.c.flight_id, exposures.c.number)
        )
        async with self._store.reading() as connection:
            found = (await connection.execute(query)).all()
        joined: dict[tuple[str, int, str, bytes], list[Row]] = {}
        for row in found:
            key = (row.flight_id, row.sysid, row.registration, msgspec.json.encode(row.watching, order="sorted"))
            joined.setdefault(key, []).extend(tuple(frame) for frame in row.frames)
        return [
            Watched(flight_id, sysid, registration, watching, frames_of(watching.camera, rows))
            for (flight_id, sysid, registration, encoded), rows in joined.items()
            for watching in [msgspec.json.decode(encoded, type=Watching)]
        ]


def frames_of(camera: BrownCamera, rows: list[Row]) -> visibility.Exposures:
    """Rows as arrays, by rising time."""
    table = np.array(sorted(rows), float).reshape(-1, 10)
    return visibility.Exposures.posed(camera, table[:, 0], table[:, 1:4], table[:, 4:7], table[:, 7:10])
