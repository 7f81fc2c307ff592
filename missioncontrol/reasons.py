"""Reasons: why the video of a flight is kept, what for, and where; what has no reason is not recorded."""

from __future__ import annotations

import msgspec
import numpy as np
import shapely
from sqlalchemy import select

from geo.areas import read_area, read_line, read_points
from geo.positions import LocalPlane
from missioncontrol.errors import InputInvalid
from missioncontrol.requests import (
    CorridorRequest,
    FacadesRequest,
    OrbitRequest,
    PatrolRequest,
    PlanRequest,
    SearchRequest,
    SurveyRequest,
    VisitsRequest,
    WaypointsRequest,
)
from missioncontrol.store import Store
from missioncontrol.tables import flights, missions
from missioncontrol.video_settings import RetentionSettings

PURPOSES = {"patrol": "patrol", "watch": "patrol", "look": "response", "search": "response"}
"""What patterns are flown for where nobody says; the others for an inspection."""
AROUND_M = 40.0
"""Work begins and ends so far outside of what is to be seen, m: vehicles turn there."""


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a flight is recorded."""

    flight_id: str
    """Which."""
    registration: str
    """Of the vehicle."""
    purpose: str
    """What for."""
    why: str
    """In the mission's words."""
    work: shapely.Geometry | None
    """Where (lon, lat; deg); None: everywhere."""

    def holds(self, camera: shapely.Point, ring: shapely.Polygon | None) -> bool:
        """Whether a picture from there, with that footprint if it shows ground, is to be kept."""
        if self.work is None:
            return True
        return bool(self.work.intersects(camera) or (ring is not None and self.work.intersects(ring)))


def purpose_of(request: PlanRequest, settings: RetentionSettings) -> str:
    """What its video is kept for. Raises InputInvalid for a purpose that nobody set a time for."""
    kind = type(request).__struct_config__.tag
    purpose = request.record.purpose or PURPOSES.get(str(kind), "inspection")
    if purpose not in settings.all_days():
        there = ", ".join(settings.all_days())
        raise InputInvalid(f"record.purpose: no {purpose!r} in retention.days; there are: {there}")
    return purpose


def work_of(request: PlanRequest) -> shapely.Geometry:
    """Where a request's work is (lon, lat; deg): what is to be seen, and `AROUND_M` more for turns."""
    around_m = AROUND_M
    shape: shapely.Geometry
    match request:
        case SurveyRequest() | PatrolRequest():
            shape = read_area(request.area).polygon
        case FacadesRequest():
            shape, around_m = read_area(request.area).polygon, around_m + request.standoff_m
        case CorridorRequest():
            shape, around_m = read_line(request.line), around_m + request.width_m / 2
        case WaypointsRequest():
            shape = read_line(request.line)
        case _:
            source = request.places if isinstance(request, VisitsRequest) else request.place
            shape = shapely.MultiPoint([point.geometry for point in read_points(source)])
            if isinstance(request, OrbitRequest | SearchRequest):
                around_m += max(request.radius_m, getattr(request, "end_radius_m", None) or 0.0)
    lon, lat = shapely.get_coordinates(shape)[0]
    plane = LocalPlane(lon=float(lon), lat=float(lat))
    flat = shapely.transform(shape, lambda xy: np.stack(plane.to_plane(xy[:, 0], xy[:, 1]), axis=-1))
    return shapely.transform(flat.buffer(around_m), lambda xy: np.stack(plane.to_lonlat(xy[:, 0], xy[:, 1]), axis=-1))


class Reasons:
    """Of all flights."""

    def __init__(self, store: Store, settings: RetentionSettings) -> None:
        """Of the missions in `store`."""
        self._store, self._settings = store, settings

    async def of_flight(self, flight_id: str) -> Reason | None:
        """Why a flight is recorded; None: it is not. Raises InputInvalid."""
        query = (
            select(missions.c.request, missions.c.name, missions.c.purpose, flights.c.registration)
            .join(flights, flights.c.mission_id == missions.c.id)
            .where(flights.c.id == flight_id)
        )
        async with self._store.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            return None
        request: PlanRequest = msgspec.convert(row.request, PlanRequest)
        if request.record.where == "nowhere":
            return None
        return Reason(
            flight_id=flight_id,
            registration=row.registration,
            purpose=purpose_of(request, self._settings),
            why=request.record.why or row.purpose or row.name,
            work=None if request.record.where == "flight" else work_of(request),
        )
