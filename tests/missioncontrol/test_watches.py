"""A watch as it was flown: gaps between the turns are found in the tracks."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from geo.positions import LocalPlane
from geo.terrain import FlatTerrain
from missioncontrol.errors import Conflict
from missioncontrol.logbook import Logbook
from missioncontrol.missions import Missions, NewMission
from missioncontrol.planning import plan
from missioncontrol.plans import Plan
from missioncontrol.requests import PlanRequest, WatchRequest
from missioncontrol.sites import Site
from missioncontrol.sorties import Start
from missioncontrol.store import Store
from missioncontrol.vehicles import TrackPoint
from missioncontrol.watches import Watches
from tests.missioncontrol.conftest import StillClock

LON, LAT = 76.945, 43.205
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=800.0)


async def planned(request: PlanRequest) -> Plan:
    lon, lat = PLANE.to_lonlat(-90.0, -50.0)
    starts = tuple(Start(sysid=sysid, lon=float(lon), lat=float(lat)) for sysid in request.vehicles)
    return plan(request, Site(starts, FlatTerrain(800.0)))


async def test_the_gap_of_a_late_relief_is_measured(store: Store, clock: StillClock) -> None:
    missions = Missions(store, planned, clock, on_change=lambda _: None)
    watches, logbook = Watches(store, missions), Logbook(store)
    place = {"type": "Point", "coordinates": [LON, LAT]}
    request = WatchRequest(camera="sim-wide", height_m=50.0, vehicles=(1, 2), place=place, duration_s=1500.0)
    mission_id = (await missions.create(NewMission(name="watch", request=request), person="a"))["id"]
    with pytest.raises(Conflict, match="not a watch"):
        await watches.of_mission(mission_id)
    made = msgspec.convert((await missions.plan(mission_id, person="a"))["plan"]["vehicles"], list[dict])  # type: ignore[type-arg]
    with pytest.raises(Conflict, match="nobody was at the place"):
        await watches.of_mission(mission_id)
    parts = (await planned(request)).vehicles
    assert len(parts) == len(made) == 2
    for part, late_s in zip(parts, (0.0, 120.0), strict=True):
        flight = await logbook.open(mission_id, part, registration="", started_utc_s=1e9)
        track = part.track(1e9 + late_s)
        assert track is not None
        times = np.arange(track.utc_s[0], track.utc_s[-1], 2.0)
        rows = zip(times.tolist(), *(column.tolist() for column in track.at(times)), strict=True)
        points = [TrackPoint(utc_s, lon, lat, amsl_m, 0.0) for utc_s, lon, lat, amsl_m in rows]
        await logbook.write_track(flight, points)
    found = await watches.of_mission(mission_id)
    assert len(found["gaps"]) >= 1
    assert 55.0 < found["gaps"][0]["duration_s"] < 120.0 - request.overlap_s + 5.0
