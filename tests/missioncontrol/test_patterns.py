"""Requests of every pattern become plans that can be flown, clear of zones and obstacles."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
import shapely

from fleet.air import Conditions, Wind
from fleet.airframes import AEROPLANE, Airframe
from fleet.missions import check_mission
from geo.airspace import Airspace
from geo.obstacles import Obstacle
from geo.positions import Altitude, Datum, LocalPlane
from geo.terrain import FlatTerrain
from geo.volumes import Outline, Volume4D
from geo.zones import Kind, Zone
from missioncontrol.errors import InputInvalid
from missioncontrol.planning import plan
from missioncontrol.plans import Plan
from missioncontrol.requests import PlanRequest
from missioncontrol.sites import Site
from missioncontrol.sorties import Start

LON, LAT, GROUND_M = 76.945, 43.205, 800.0
FLAT = FlatTerrain(GROUND_M)
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=GROUND_M)


def lonlat(places: Any) -> list[list[float]]:
    lon, lat = PLANE.to_lonlat(*np.array(places, float).T)
    return np.column_stack([lon, lat]).tolist()


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return {"type": "Polygon", "coordinates": [lonlat(ring)]}


POINT = {"type": "Point", "coordinates": [LON, LAT]}
LINE = {"type": "LineString", "coordinates": lonlat([(0, 0), (200, 80), (420, 60), (600, 200)])}
REQUESTS: dict[str, dict[str, Any]] = {
    "survey": {"area": box(0, 0, 400, 300)},
    "crosshatch": {"kind": "survey", "area": box(0, 0, 300, 200), "crosshatch": True, "pitch_deg": -60.0},
    "corridor": {"line": LINE, "width_m": 120.0},
    "strip": {"kind": "corridor", "line": LINE, "width_m": 80.0, "side": "left"},
    "waypoints": {"line": LINE, "pitch_deg": -45.0},
    "patrol": {"area": box(0, 0, 300, 200), "rounds": 2, "pitch_deg": -30.0},
    "orbit": {"place": POINT, "radius_m": 60.0},
    "spiral": {
        "kind": "orbit",
        "place": POINT,
        "radius_m": 80.0,
        "end_radius_m": 40.0,
        "end_height_m": 80.0,
        "turns": 2,
    },
    "facades": {"area": box(0, 0, 40, 25), "structure_height_m": 30.0, "standoff_m": 20.0},
    "visits": {"places": {"type": "MultiPoint", "coordinates": LINE["coordinates"]}, "hold_s": 5.0},
    "search": {"place": POINT, "radius_m": 150.0},
    "sectors": {"kind": "search", "place": POINT, "radius_m": 150.0, "shape": "sectors"},
    "look": {"place": POINT, "hold_s": 20.0},
}


def request(name: str, **changes: Any) -> Any:
    tree = {"kind": name, "camera": "sim-wide", "height_m": 50.0, "vehicles": [1], **REQUESTS[name], **changes}
    return msgspec.convert(tree, PlanRequest)


def site(**changes: Any) -> Site:
    (place,) = lonlat([(-80.0, -60.0)])
    return Site((Start(sysid=1, lon=place[0], lat=place[1]),), **{"terrain": FlatTerrain(GROUND_M), **changes})


def zone(name: str, footprint: dict[str, Any]) -> Zone:
    rings = tuple(tuple((x, y) for x, y in ring) for ring in footprint["coordinates"])
    volume = Volume4D(footprint=Outline(rings=rings))
    return Zone(id=name, kind=Kind.PROHIBITED, volumes=(volume,))


def flown(made: Plan) -> shapely.LineString:
    """The whole way, on the plane."""
    places = np.array([point[:2] for point in made.vehicles[0].path["geometry"]["coordinates"]])
    return shapely.LineString(np.column_stack(PLANE.to_plane(places[:, 0], places[:, 1])))


@pytest.mark.parametrize("name", REQUESTS)
def test_every_pattern_is_a_mission_that_autopilots_take(name: str) -> None:
    made = plan(request(name), site())
    assert made.sorties == 1
    items = list(made.vehicles[0].items)
    check_mission(items)
    assert items[0].command == 22
    assert items[-1].command == 20
    assert made.photos > 0
    assert made.duration_s > 0
    lit = [item.params[0] > 0 for item in items if item.command == 206]
    assert lit == [True, False] * (len(lit) // 2), "pictures are switched on and off in turn"
    heights_m = {round(item.z, 1) for item in items if item.command == 16}
    assert min(heights_m) >= 10.0
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


def test_stops_wait_look_and_take_one_picture_each() -> None:
    items = plan(request("visits"), site()).vehicles[0].items
    stops = [row for row, item in enumerate(items) if item.command == 16 and item.params[0] == 5.0]
    assert len(stops) == 4
    assert [items[row + 1].command for row in stops].count(195) + [items[row + 1].command for row in stops].count(
        2000
    ) == 4
    assert sum(item.command == 2000 for item in items) == 4


def test_a_spiral_climbs_with_the_camera_on_its_middle() -> None:
    items = plan(request("spiral"), site()).vehicles[0].items
    targets = [item for item in items if item.command == 195]
    assert len(targets) == 1
    assert (targets[0].y / 1e7, targets[0].x / 1e7) == pytest.approx((LON, LAT), abs=1e-6)
    heights_m = [item.z for item in items if item.command == 16]
    assert max(heights_m) == pytest.approx(80.0, abs=0.5)


def test_a_zone_is_cut_from_the_area_and_gone_round() -> None:
    middle = box(150, -100, 250, 180)
    made = plan(request("survey"), site(airspace=Airspace([zone("stadium", middle)], FlatTerrain(GROUND_M))))
    free = plan(request("survey"), site())
    assert made.area_m2 < free.area_m2 - 100 * 180
    assert any("stadium" in said for said in made.warnings)
    ring = np.array(middle["coordinates"][0])
    kept_out = shapely.Polygon(np.column_stack(PLANE.to_plane(ring[:, 0], ring[:, 1])))
    assert flown(made).distance(kept_out) > 10.0
    assert flown(free).intersects(kept_out)


def test_a_route_through_a_zone_is_refused_by_name() -> None:
    blocked = site(airspace=Airspace([zone("airfield", box(300, 0, 350, 150))], FlatTerrain(GROUND_M)))
    with pytest.raises(InputInvalid, match="airfield"):
        plan(request("waypoints"), blocked)
    everything = site(airspace=Airspace([zone("airfield", box(-500, -500, 900, 900))], FlatTerrain(GROUND_M)))
    with pytest.raises(InputInvalid, match="airfield"):
        plan(request("survey"), everything)


def test_obstacles_stop_a_plan_that_is_too_low() -> None:
    tower = Obstacle(
        name="tower", geometry=shapely.geometry.shape(box(190, 60, 210, 90)), top=Altitude(125.0, Datum.AGL)
    )
    with pytest.raises(InputInvalid, match="tower"):
        plan(request("waypoints"), site(obstacles=(tower,)))
    pole = replace(tower, top=Altitude(70.0, Datum.AGL))
    over = plan(request("waypoints"), site(obstacles=(pole,)))
    assert max(item.z for item in over.vehicles[0].items if item.command == 16) >= 80.0, "it is passed over"


def test_a_place_behind_a_building_is_looked_at_from_the_other_side() -> None:
    """A long wall between the start and the place: the look is from where the wall does not hide it."""
    wall = Obstacle(name="wall", geometry=shapely.geometry.shape(box(-30, -200, -20, 200)), top=Altitude(45, Datum.AGL))
    free, hidden = (plan(request("look"), site(obstacles=obstacles)) for obstacles in ((), (wall,)))
    stops = []
    for made in (free, hidden):
        (stop,) = [item for item in made.vehicles[0].items if item.command == 16 and item.params[0] == 20.0]
        stops.append((*(float(value) for value in PLANE.to_plane(stop.y / 1e7, stop.x / 1e7)), stop.z))
    east_m, _, up_m = stops[1]
    sight_m = up_m * 25.0 / -east_m if east_m < -30 else 99.0  # of the ray's height where it passes the wall
    assert sight_m > 45.0
    assert stops[0] != stops[1]


def test_a_fixed_wing_turns_in_its_radius_and_does_not_hover() -> None:
    plane = {1: AEROPLANE}
    made = plan(request("survey", height_m=80.0, speed_m_s=16.0), site(airframes=plane))
    places = np.array(made.vehicles[0].path["geometry"]["coordinates"])
    assert made.sorties == 1
    assert made.path_m > 1.3 * plan(request("survey", height_m=80.0, speed_m_s=16.0), site()).path_m
    assert len(places) > 60, "turns are many points"
    for name in ("orbit", "visits", "look"):
        with pytest.raises(InputInvalid, match="fixed wing"):
            plan(request(name), site(airframes=plane))


def test_a_faster_vehicle_that_lasts_longer_does_more() -> None:
    (place,) = lonlat([(-80.0, -60.0)])
    pair = tuple(Start(sysid=sysid, lon=place[0], lat=place[1]) for sysid in (1, 2))
    large = request("survey", area=box(0, 0, 900, 700), speed_m_s=12.0, front_overlap=60.0, vehicles=[1, 2])
    weak = Airframe(battery_wh=90.0, max_m_s=10.0)
    made = plan(large, Site(pair, FlatTerrain(GROUND_M), airframes={2: weak}))
    work_m = {sysid: sum(part.path_m for part in made.vehicles if part.sysid == sysid) for sysid in (1, 2)}
    assert work_m[1] > 1.3 * work_m[2]
    for part in made.vehicles:
        usable_wh = (Airframe() if part.sysid == 1 else weak).usable_wh
        assert part.energy_wh <= usable_wh


def test_a_place_is_watched_by_turns_that_overlap() -> None:
    """While the second is on its way the first is still there; what cannot be watched is said."""
    (place,) = lonlat([(-80.0, -60.0)])
    trio = tuple(Start(sysid=sysid, lon=place[0], lat=place[1]) for sysid in (1, 2, 3))
    asked = {"place": POINT, "duration_s": 3000.0, "overlap_s": 40.0, "vehicles": [1, 2, 3], "kind": "watch"}
    made = plan(msgspec.convert({"camera": "sim-wide", "height_m": 50.0, **asked}, PlanRequest), Site(trio, FLAT))
    assert made.sorties >= 3
    first = [part for part in made.vehicles if part.sortie == 1]
    for part in first:
        assert part.energy_wh <= Airframe().usable_wh
    at_place = []
    for part in first:
        track = part.track(0.0)
        assert track is not None
        times_s = np.arange(0.0, track.utc_s[-1], 1.0)
        lon, lat, _ = track.at(times_s)
        east_m, north_m = PLANE.to_plane(lon, lat)
        stop = next(item for item in part.items if item.command == 16 and item.params[0] > 100)
        x, y = PLANE.to_plane(stop.y / 1e7, stop.x / 1e7)
        there = times_s[np.hypot(east_m - x, north_m - y) < 1.0]
        at_place.append((there.min(), there.max()))
    at_place.sort()
    for before, after in pairwise(at_place):
        assert 30.0 < before[1] - after[0] < 90.0
    alone = plan(
        msgspec.convert({"camera": "sim-wide", "height_m": 50.0, **asked, "vehicles": [1]}, PlanRequest), site()
    )
    assert any("nobody can watch for" in said for said in alone.warnings)


def test_sorties_round_a_building_do_not_fly_through_it() -> None:
    """A tower that takes several flights: ways out and home go over it, or round it."""
    tower = box(0, 0, 60, 60)
    made = plan(request("facades", area=tower, structure_height_m=90.0, side_overlap=80.0), site())
    assert made.sorties > 1
    ring = np.array(tower["coordinates"][0])
    walls = shapely.Polygon(np.column_stack(PLANE.to_plane(ring[:, 0], ring[:, 1])))
    for part in made.vehicles:
        track = part.track(0.0)
        assert track is not None
        lon, lat, amsl_m = track.at(np.arange(0.0, part.duration_s, 0.5))
        over = shapely.contains_xy(walls.buffer(5.0), *PLANE.to_plane(lon, lat))
        assert (amsl_m[over] > GROUND_M + 95.0).all()
        assert part.return_height_m >= 100.0
    with pytest.raises(InputInvalid, match="too near to walls"):
        plan(request("facades", standoff_m=8.0), site())


@pytest.mark.parametrize("height_m", [20.0, 90.0])
def test_a_courtyard_is_flown_into_over_the_roof(height_m: float) -> None:
    outer, court, shaft = (shapely.box(*bounds) for bounds in ((0, 0, 90, 80), (25, 20, 75, 60), (5, 5, 15, 15)))
    block = shapely.Polygon(outer.exterior, [court.exterior, shaft.exterior])
    area = shapely.geometry.mapping(shapely.transform(block, lonlat))
    asked = {"area": area, "structure_height_m": height_m, "standoff_m": 15.0, "front_overlap": 40.0}
    made = plan(request("facades", **asked), site())
    assert any("1 of 2 courtyards are left out" in said for said in made.warnings)
    inside = 0
    for part in made.vehicles:
        track = part.track(0.0)
        assert track is not None
        lon, lat, amsl_m = track.at(np.arange(0.0, part.duration_s, 0.5))
        x, y = PLANE.to_plane(lon, lat)
        over = shapely.contains_xy(block.buffer(9.0), x, y)
        assert (amsl_m[over] > GROUND_M + height_m + 9.4).all()
        inside += int((shapely.contains_xy(court.buffer(-14.0), x, y) & (amsl_m < GROUND_M + height_m)).sum())
    assert inside > 50
    assert made.sorties > 1 or height_m < 50.0
    assert made.photos > plan(request("facades", **asked, courtyards=False), site()).photos
    tall = plan(request("facades", **{**asked, "structure_height_m": 110.0}), site())
    assert any("2 of 2 courtyards are left out: the way over the roof, 125 m" in said for said in tall.warnings)


def test_nobody_takes_off_under_a_wire() -> None:
    ends = lonlat([(-80.0, -200.0), (-80.0, 200.0)])
    wire = Obstacle(name="power line", geometry=shapely.LineString(ends), top=Altitude(25.0, Datum.AGL), radius_m=2.0)
    with pytest.raises(InputInvalid, match="take off within 10 m of power line"):
        plan(request("survey"), site(obstacles=(wire,)))


def test_stops_last_whole_seconds() -> None:
    items = plan(request("visits", hold_s=7.3), site()).vehicles[0].items
    assert {item.params[0] for item in items if item.command == 16} == {0.0, 8.0}


def test_a_roof_is_flown_over_after_the_walls() -> None:
    made = plan(request("facades", roof=True), site())
    (part,) = made.vehicles
    places = [(*PLANE.to_plane(item.y / 1e7, item.x / 1e7), item.z) for item in part.items if item.command == 16]
    over = [up_m for east_m, north_m, up_m in places if 0 < float(east_m) < 40 and 0 < float(north_m) < 25]
    assert over
    assert min(over) == pytest.approx(30.0 + 20.0, abs=0.1)
    assert made.photos > plan(request("facades"), site()).photos


def test_a_strong_wind_slows_a_plan_down_and_a_stronger_one_stops_it() -> None:
    fresh, storm = (Conditions(wind=Wind.blowing(speed_m_s, 270.0)) for speed_m_s in (6.5, 12.0))
    made = plan(request("survey", front_overlap=50.0), site(conditions=fresh))
    (speed_m_s,) = [item.params[1] for item in made.vehicles[0].items if item.command == 178]
    assert 4.0 < speed_m_s < 8.0
    assert any("a wind of" in said for said in made.warnings)
    with pytest.raises(InputInvalid, match="wait, or fly lower"):
        plan(request("survey"), site(conditions=storm))
