"""What goes aboard with a plan: fences with the zones inside of them, and rally points."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import shapely

from fleet.fences import MOST_VERTICES, FencePolygon, RallyPoint, fence_hash, rally_hash
from geo.airspace import Airspace
from geo.positions import Altitude, Datum, LocalPlane
from geo.schedules import Applicability
from geo.terrain import FlatTerrain
from geo.volumes import Outline, Volume4D
from geo.zones import Kind, Zone
from missioncontrol.plans import Plan, VehiclePlan, plan_hash
from missioncontrol.safety import with_safety
from tests.missioncontrol.conftest import HOME, make_settings, running, udp_port
from tests.missioncontrol.test_preflight import changed, checks, launched
from tests.missioncontrol.test_service import Simulated, approved, ended, ready
from tests.missioncontrol.test_zones import square

PLANE = LocalPlane(lon=76.9, lat=43.2)


def lonlat(*places: tuple[float, float]) -> list[tuple[float, float]]:
    lon, lat = PLANE.to_lonlat(*np.array(places, float).T)
    return [(float(x), float(y)) for x, y in zip(lon, lat, strict=True)]


def around_a_square() -> Plan:
    """A way round three sides of a field of 1 km, 50 m above flat ground at 0."""
    ways = lonlat((0, 0), (0, 1000), (1000, 1000), (1000, 0))
    path = {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[x, y, 50.0] for x, y in ways]}}
    part = VehiclePlan(
        sysid=1, items=(), hash="a" * 64, path=path, path_m=3000, duration_s=300, energy_wh=9, battery_percent=10
    )
    return Plan(
        hash=plan_hash((part,)), lines=3, path_m=3000, photos=0, duration_s=300, energy_wh=9, sorties=1, area_m2=0,
        gsd_cm={}, plan_s=0, vehicles=(part,),
    )  # fmt: skip


def zone(name: str, shape: shapely.Polygon, *, kind: Kind = Kind.PROHIBITED, **more: Any) -> Zone:
    rings = tuple(tuple(lonlat(*ring.coords)) for ring in (shape.exterior, *shape.interiors))
    return Zone(id=name, kind=kind, volumes=(Volume4D(footprint=Outline(rings=rings), **more),))


def fenced(*zones: Zone, rally: tuple[RallyPoint, ...] = ()) -> Plan:
    airspace = Airspace(zones, FlatTerrain(0.0))
    return with_safety(around_a_square(), fence_margin_m=100.0, lost_link=None, airspace=airspace, rally=rally)


def on_the_plane(area: FencePolygon) -> shapely.Polygon:
    return shapely.Polygon(np.column_stack(PLANE.to_plane(*np.array(area.ring).T)))


def test_zones_inside_the_hull_are_exclusions_that_cover_them_and_the_route_stays_free() -> None:
    pond = shapely.box(400, 300, 600, 500)
    park = shapely.Point(300, 700).buffer(150)
    edge = shapely.box(1050, 200, 3000, 400)
    plan = fenced(zone("POND", pond), zone("PARK", park), zone("EDGE", edge), zone("FAR", shapely.box(5e3, 0, 6e3, 9)))
    hull, *exclusions = plan.vehicles[0].fence
    assert hull.inclusion
    assert not any(area.inclusion for area in exclusions)
    assert len(exclusions) == 3
    assert sum(len(area.ring) for area in plan.vehicles[0].fence) <= MOST_VERTICES
    out = shapely.union_all([on_the_plane(area) for area in exclusions])
    inside = shapely.union_all([pond, park, edge]).intersection(on_the_plane(hull))
    assert inside.difference(out.buffer(0.1)).area < 1.0
    route = shapely.LineString([(0, 0), (0, 1000), (1000, 1000), (1000, 0)])
    assert out.distance(route) > 1.0
    assert on_the_plane(hull).covers(route)
    assert plan.warnings == ()


def test_zones_that_do_not_count_then_or_there_are_no_exclusions_and_what_does_not_fit_is_told() -> None:
    from datetime import UTC, datetime

    pond = shapely.box(400, 300, 600, 500)
    later = (Applicability(start=datetime(1970, 1, 2, tzinfo=UTC)),)
    free = fenced(
        zone("HIGH", pond, lower=Altitude(60.0, Datum.AGL)),
        zone("LATER", pond, times=later),
        zone("FREE", pond, kind=Kind.NO_RESTRICTION),
    )
    assert len(free.vehicles[0].fence) == 1
    assert free.hash == fenced().hash
    ring = shapely.box(-50, -50, 1050, 1050).difference(shapely.box(-20, -20, 1020, 1020))
    round_it = fenced(zone("RING", ring), zone("ON", shapely.box(-10, 400, 10, 500)))
    assert round_it.warnings == ("vehicle 1: the fence lets it into ON (prohibited), which its route enters",)
    closed = shapely.union_all([on_the_plane(area) for area in round_it.vehicles[0].fence if not area.inclusion])
    assert ring.symmetric_difference(closed).area < 30.0


def test_a_fence_closes_what_inclusion_zones_leave_out() -> None:
    corner = shapely.Polygon([(-50, -50), (50, -50), (50, 900), (1050, 900), (1050, 1050), (-50, 1050)])
    inner = shapely.Polygon([(-50, -50), (1050, -50), (1050, 1050), (-50, 1050)])
    east = shapely.box(940, -50, 1050, 920)
    plan = fenced(zone("L", corner, kind=Kind.INCLUSION), zone("E", east, kind=Kind.INCLUSION))
    hull, *exclusions = (on_the_plane(area) for area in plan.vehicles[0].fence)
    free = hull.difference(shapely.union_all(exclusions))
    assert free.symmetric_difference(corner.union(east).intersection(hull)).area < 20.0
    assert len(exclusions) > 1
    assert inner.covers(free.buffer(-0.1))
    assert plan.warnings == ()
    many = fenced(*(zone(f"Z{n}", shapely.box(60 + 40 * n, 300, 80 + 40 * n, 320)) for n in range(22)))
    assert sum(len(area.ring) for area in many.vehicles[0].fence) <= MOST_VERTICES
    told = [said for said in many.warnings if "too many corners" in said]
    assert len(told) + len(many.vehicles[0].fence) - 1 == 22
    assert "leaves out Z10 " in " ".join(told), "the furthest from the route"


def test_rally_points_are_bound_by_the_hash_and_lie_inside_the_fence() -> None:
    (here, out, wet) = (
        RallyPoint(lon=lon, lat=lat, height_m=30.0) for lon, lat in lonlat((500, 800), (5000, 0), (500, 400))
    )
    pond = zone("POND", shapely.box(400, 300, 600, 500))
    plan = fenced(pond, rally=(here, out, wet))
    assert plan.vehicles[0].rally == (here,)
    assert plan.warnings == ("vehicle 1: 2 of 3 rally points lie outside of the fence and stay behind",)
    bare = fenced(pond)
    assert plan.hash != bare.hash
    assert plan_hash(plan.vehicles, None) == plan.hash
    higher = msgspec.structs.replace(here, height_m=40.0)
    assert fenced(pond, rally=(higher,)).hash != plan.hash


def test_the_hash_of_a_plan_without_rally_points_and_exclusions_is_what_it_always_was() -> None:
    """SHA-256 of `sysid hash fence hash`, as plans that were approved before are bound."""
    import hashlib

    plan = fenced()
    (area,) = plan.vehicles[0].fence
    said = f"1 {'a' * 64} fence {fence_hash((area,))}"
    assert plan.hash == hashlib.sha256(said.encode()).hexdigest()


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
async def test_a_zone_inside_the_hull_and_rally_points_are_aboard_when_it_flies(
    tmp_path: Path, simulated: Simulated, autopilot: str
) -> None:
    rally = RallyPoint(lon=HOME[0] + 0.0001, lat=HOME[1] + 0.0001, height_m=30.0)
    settings = changed(make_settings(tmp_path, sysids=(1,)), rally=(rally,))
    simulated(udp_port(settings), 1, autopilot=autopilot)
    async with running(settings) as house:
        rooms, http = house.service.rooms, await house.client()
        assert rooms is not None
        await ready(http, 1)
        lake = {"id": "LAKE", "kind": "PROHIBITED", "geometry": square(HOME[0] + 0.0007, HOME[1] - 0.0004, 0.0002)}
        assert (await http.post("/zones", json=lake)).status_code == 201
        mission_id = await approved(http, 1)
        before = await checks(http, mission_id)
        assert (before["fence"]["passed"], before["rally"]["passed"]) == (False, False)
        assert (before["zones"]["passed"], before["permits"]["passed"]) == (True, True)
        mission_id = await launched(http, 1)
        mission = await ended(http, mission_id, "flying", "failed")
        assert mission["reason"] is None
        part = (await rooms.missions.launched_plan(mission_id)).vehicles[0]
        assert [area.inclusion for area in part.fence] == [True, False]
        vehicle = rooms.flights._fleet.vehicle(1)
        assert fence_hash(await vehicle.read_fence()) == fence_hash(part.fence)
        assert rally_hash(await vehicle.read_rally()) == rally_hash((rally,))
        blaze = {"id": "BLAZE", "kind": "PROHIBITED", "geometry": square(HOME[0] + 0.00085, HOME[1] + 0.0005, 0.0001)}
        with rooms.feed.subscription() as listening:
            assert (await http.post("/zones", json=blaze)).status_code == 201
            async with asyncio.timeout(5.0):
                alarm = ""
                while "BLAZE" not in alarm:
                    alarm = (await listening.next()).decode()
        assert "zone BLAZE (prohibited): vehicle 1 will be there in" in alarm or "vehicle 1 is there now" in alarm
        await http.post(f"/missions/{mission_id}/abort", json={})
