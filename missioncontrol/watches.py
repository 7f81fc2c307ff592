"""Watches: for how long nobody was at a place that was to be watched, as it was flown."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import shapely

from geo.areas import read_points
from geo.positions import distance_m
from geo.relays import watch_gaps
from geo.tracks import Track
from missioncontrol.clocks import iso_utc
from missioncontrol.errors import Conflict
from missioncontrol.logbook import Logbook
from missioncontrol.missions import Missions
from missioncontrol.requests import PlanRequest, WatchRequest
from missioncontrol.store import Store

WAYPOINT = 16
"""MAV_CMD_NAV_WAYPOINT, whose param1 is the time to stay."""
DRIFT_M = 15.0
"""A vehicle that holds may be so far from where it was to hold."""


class Watches:
    """All watches of an installation."""

    def __init__(self, store: Store, missions: Missions) -> None:
        """Of the flights in `store`."""
        self._logbook, self._missions = Logbook(store), missions

    async def of_mission(self, mission_id: str) -> dict[str, Any]:
        """When the place was watched, from the first arrival on, and the gaps. Raises NotFound, Conflict."""
        mission = await self._missions.get(mission_id)
        request: PlanRequest = msgspec.convert(mission["request"], PlanRequest)
        if not isinstance(request, WatchRequest) or mission["plan"] is None:
            raise Conflict(f"mission {mission_id}: is not a watch that was planned")
        (place,) = shapely.get_coordinates([shape.geometry for shape in read_points(request.place)])
        reach_m = DRIFT_M + max(
            float(distance_m(item["y"] / 1e7, item["x"] / 1e7, *place))
            for part in mission["plan"]["vehicles"]
            for item in part["mission_items"]
            if item["command"] == WAYPOINT and item["params"][0] > 0
        )
        tracks = []
        for row in await self._logbook.rows(mission_id=mission_id):
            points = await self._logbook.points(row.id)
            if len(points) > 1:
                columns = np.array([(point.utc_s, point.lon, point.lat, point.amsl_m) for point in points]).T
                tracks.append(Track(*columns))
        arrivals = [
            float(track.utc_s[near[0]])
            for track in tracks
            if len(near := np.flatnonzero(distance_m(track.lon, track.lat, *place) <= reach_m))
        ]
        if not arrivals:
            raise Conflict(f"mission {mission_id}: nobody was at the place yet")
        begins_s = min(arrivals)
        ends_s = begins_s + request.duration_s
        if mission["state"] == "flying":
            ends_s = min(ends_s, max(float(track.utc_s[-1]) for track in tracks))
        gaps = watch_gaps(
            tracks, lon=float(place[0]), lat=float(place[1]), sees_m=reach_m, begins_utc_s=begins_s, ends_utc_s=ends_s
        )
        return {
            "begins_utc": iso_utc(begins_s),
            "ends_utc": iso_utc(ends_s),
            "gap_s": round(sum(gap.duration_s for gap in gaps), 1),
            "gaps": [
                {"begins_utc": iso_utc(gap.begins_s), "ends_utc": iso_utc(gap.ends_s), "duration_s": gap.duration_s}
                for gap in gaps
            ],
        }
