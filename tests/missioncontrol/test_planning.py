"""Plans that can be flown: items, heights above the ground, batteries, vehicles, files."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import rasterio
import shapely

from fleet.endurance import Airframe, leg_cost
from fleet.missions import MissionItem, check_mission, mission_hash
from fleet.qgc import from_plan
from geo.errors import AreaInvalid, CameraUnknown, TerrainMissing
from geo.positions import LocalPlane
from geo.terrain import GridTerrain
from missioncontrol.errors import InputInvalid
from missioncontrol.plan_files import read_plan_items, write_plan, write_qgc
from missioncontrol.planning import plan
from missioncontrol.plans import Plan, plan_hash
from missioncontrol.requests import SurveyRequest
from missioncontrol.sites import Site
from missioncontrol.sorties import Start

LON, LAT = 76.945, 43.205


def rectangle(east_m: float, north_m: float) -> dict[str, object]:
    plane = LocalPlane(lon=LON, lat=LAT, height_m=800)
    lon, lat = plane.to_lonlat([0, east_m, east_m, 0, 0], [0, 0, north_m, north_m, 0])
    return {"type": "Polygon", "coordinates": [np.column_stack([lon, lat]).tolist()]}


def hills() -> GridTerrain:
    row, col = np.mgrid[0:600, 0:600]
    heights = 800 + 0.05 * col + 12 * np.sin(col / 31) + 9 * np.cos(row / 23)
    return GridTerrain(heights, rasterio.Affine(6e-5, 0, LON - 0.012, 0, -4.5e-5, LAT + 0.018), name="hills")


def starts(count: int) -> list[Start]:
    plane = LocalPlane(lon=LON, lat=LAT, height_m=800)
    places = [plane.to_lonlat(-60.0 - 15 * number, -40.0) for number in range(count)]
    return [Start(sysid=number + 1, lon=float(lon), lat=float(lat)) for number, (lon, lat) in enumerate(places)]


def survey(**changes: object) -> Plan:
    where: dict[str, object] = {
        "starts": starts(3),
        "terrain": hills(),
        "airframe": Airframe(),
    }
    fields: dict[str, object] = {
        "area": rectangle(700, 500),
        "camera": "sim-wide",
        "height_m": 70.0,
        "front_overlap": 60.0,
        "side_overlap": 40.0,
    }
    for name, value in changes.items():
        (where if name in where else fields)[name] = value
    stand: list[Start] = where["starts"]  # type: ignore[assignment]
    fields["vehicles"] = [start.sysid for start in stand] or [1]
    request = msgspec.convert(fields, SurveyRequest)
    airframes = {start.sysid: where["airframe"] for start in stand}
    site = Site(tuple(stand), where["terrain"], airframes)  # type: ignore[arg-type]
    return plan(request, site)


@pytest.fixture(scope="module")
def three() -> Plan:
    return survey()


def test_items_are_a_mission_that_autopilots_take(three: Plan) -> None:
    assert [part.sysid for part in three.vehicles] == [1, 2, 3]
    for part in three.vehicles:
        items = list(part.items)
        check_mission(items)
        commands = [item.command for item in items]
        assert commands[:3] == [22, 205, 178]
        assert commands[-1] == 20
        assert items[1].params[0] == -90
        assert items[1].z == 2
        assert items[2].params[1] == 10
        assert part.hash == mission_hash(items)
        triggers = [item.params[0] for item in items if item.command == 206]
        assert triggers[0] == pytest.approx(20.27, abs=0.01)
        assert triggers[-1] == 0
        assert part.path["geometry"]["coordinates"][0][:2] == pytest.approx([items[0].y / 1e7, items[0].x / 1e7])


def test_height_above_ground_is_kept(three: Plan) -> None:
    """Along every straight piece between waypoints, every 5 m, against the terrain itself."""
    terrain = hills()
    for part, start in zip(three.vehicles, starts(3), strict=True):
        home_m = float(terrain.amsl_m(start.lon, start.lat))
        places = [item for item in part.items if item.command == 16]
        first = next(row for row, item in enumerate(part.items) if item.command == 206)
        lines = [item for item in part.items[first - 1 :] if item.command == 16]
        assert len(places) >= len(lines) > 6
        for before, after in pairwise(lines):
            share = np.linspace(0, 1, 60)
            lon = (before.y + (after.y - before.y) * share) / 1e7
            lat = (before.x + (after.x - before.x) * share) / 1e7
            above_m = before.z + (after.z - before.z) * share + home_m - terrain.amsl_m(lon, lat)
            assert np.abs(above_m - 70).max() < 3.5 + 0.5


def test_the_way_home_clears_a_ridge() -> None:
    """A ridge of 60 m between the area and the start: the last waypoint lies high enough to fly straight over it."""
    heights = np.full((600, 600), 800.0)
    heights[:, 180:190] = 860.0
    terrain = GridTerrain(heights, rasterio.Affine(6e-5, 0, LON - 0.012, 0, -4.5e-5, LAT + 0.018), name="ridge")
    plane = LocalPlane(lon=LON, lat=LAT, height_m=800)
    lon, lat = plane.to_lonlat(-400.0, 100.0)
    start = Start(sysid=1, lon=float(lon), lat=float(lat))
    plan = survey(starts=[start], terrain=terrain, height_m=40.0)
    last = [item for item in plan.vehicles[0].items if item.command == 16][-1]
    assert last.z == pytest.approx(80, abs=0.1)
    before = [item for item in plan.vehicles[0].items if item.command == 16][-2]
    assert (before.x, before.y) == (last.x, last.y)
    assert before.z == pytest.approx(40, abs=4)


def test_the_return_height_clears_a_ridge_beside_the_way() -> None:
    """Whatever it does on its own, from wherever it is: the ridge between it and home counts."""
    heights = np.full((600, 600), 800.0)
    heights[:, 180:190] = 860.0
    terrain = GridTerrain(heights, rasterio.Affine(6e-5, 0, LON - 0.012, 0, -4.5e-5, LAT + 0.018), name="ridge")
    plane = LocalPlane(lon=LON, lat=LAT, height_m=800)
    lon, lat = plane.to_lonlat(-400.0, 100.0)
    behind, before = (
        survey(starts=[Start(sysid=1, lon=lon, lat=float(lat))], terrain=terrain, height_m=40.0).vehicles[0]
        for lon in (float(lon), float(plane.to_lonlat(100.0, 0.0)[0]))
    )
    assert behind.return_height_m == pytest.approx(60 + 20, abs=1.0)
    assert before.return_height_m == pytest.approx(20, abs=1.0)
    bound = plan_hash((behind,))
    assert plan_hash((msgspec.structs.replace(behind, return_height_m=30.0),)) != bound
    assert plan_hash((msgspec.structs.replace(behind, delay_s=9.0),)) != bound


def test_lines_cover_the_area_and_the_vehicles_share_it(three: Plan) -> None:
    plane = LocalPlane(lon=LON, lat=LAT, height_m=800)
    swaths = []
    for part in three.vehicles:
        lit, flown = False, []
        places = np.array([(item.y / 1e7, item.x / 1e7) for item in part.items if item.command in (16, 206)])
        assert len(places)
        place, previous = None, None
        for item in part.items:
            if item.command == 16:
                previous, place = place, plane.to_plane(item.y / 1e7, item.x / 1e7)
                if lit and previous is not None:
                    flown.append(shapely.LineString([previous, place]))
            elif item.command == 206:
                lit = item.params[0] > 0
        swaths.append(shapely.union_all([line.buffer(89.19 * 0.6 / 2) for line in flown]))
    target = shapely.box(0, 0, 700, 500)
    assert shapely.union_all(swaths).intersection(target).area / target.area > 0.998
    durations = [part.duration_s for part in three.vehicles]
    assert max(durations) / min(durations) < 1.25
    assert three.duration_s == max(part.delay_s + part.duration_s for part in three.vehicles)
    assert three.sorties == 3
    assert three.area_m2 == pytest.approx(350_000, rel=1e-3)


def test_figures_hang_together(three: Plan) -> None:
    assert three.path_m == pytest.approx(sum(part.path_m for part in three.vehicles), abs=0.05)
    assert three.energy_wh == pytest.approx(sum(part.energy_wh for part in three.vehicles), abs=0.05)
    assert three.path_m / 20.27 * 0.8 < three.photos < three.path_m / 20.27 * 1.02
    assert three.gsd_cm["min"] < three.gsd_cm["median"] < three.gsd_cm["max"]
    assert three.gsd_cm["median"] == pytest.approx(6.97, abs=0.1)
    assert three.hash == survey().hash


def test_a_plan_survives_json(three: Plan) -> None:
    assert msgspec.json.decode(msgspec.json.encode(three), type=Plan) == three


def test_gsd_gives_the_height_and_shutter_limits_the_speed() -> None:
    plan = survey(height_m=None, gsd_cm=2.0, camera="sony-rx1r2", speed_m_s=15.0, front_overlap=90.0)
    assert plan.gsd_cm["median"] == pytest.approx(2.0, abs=0.05)
    assert any("speed lowered from 15.0 to 10.6 m/s" in said for said in plan.warnings)
    assert any("higher than the 120 m" in said for said in plan.warnings)


def test_a_battery_that_does_not_last_gives_more_flights() -> None:
    small = Airframe(battery_wh=56)
    plan = survey(starts=starts(1), airframe=small)
    assert plan.sorties == len(plan.vehicles) > 2
    assert all(part.energy_wh <= small.usable_wh for part in plan.vehicles)
    assert any("needs" in said and "flights" in said for said in plan.warnings)
    with pytest.raises(InputInvalid, match="cannot reach"):
        survey(starts=starts(1), airframe=Airframe(battery_wh=8))


def test_flat_ground_is_said() -> None:
    plan = survey(terrain=None)
    assert plan.gsd_cm["min"] == plan.gsd_cm["max"]
    assert "no terrain given" in plan.warnings[0]
    assert {item.z for item in plan.vehicles[0].items if item.command == 16} == {70.0}


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"camera": "sony-rx1"}, CameraUnknown, "sony-rx1r2"),
        ({"gsd_cm": 3.0}, InputInvalid, "one of the two"),
        ({"height_m": -5.0}, msgspec.ValidationError, "height_m"),
        ({"side_overlap": 99.0}, msgspec.ValidationError, "side_overlap"),
        ({"swath_m": 0.0}, msgspec.ValidationError, "swath_m"),
        ({"starts": []}, InputInvalid, "at least one"),
        ({"terrain": GridTerrain(np.ones((4, 4)), rasterio.Affine(1e-4, 0, LON, 0, -1e-4, LAT), name="crop.tif")},
         TerrainMissing, "crop.tif"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused(changes: dict[str, object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        survey(**changes)


def test_swapped_coordinates_are_suspected_from_where_the_vehicles_are() -> None:
    ring = [[y, x] for x, y in rectangle(700, 500)["coordinates"][0]]  # type: ignore[index]
    with pytest.raises(AreaInvalid, match="swapped"):
        survey(area={"type": "Polygon", "coordinates": [ring]}, starts=starts(1), terrain=None)


def test_plan_file_is_written_read_and_guarded(tmp_path: Path) -> None:
    out, qgc = tmp_path / "plan.json", tmp_path / "out.plan"
    made = survey(area=rectangle(400, 300), camera="sony-rx1r2", starts=starts(2), swath_m=60)
    write_plan(made, out)
    write_qgc(made, qgc)
    tree = json.loads(out.read_text())
    row = tree["vehicles"][0]["items"][0]
    assert {"seq", "frame", "command", "params", "x", "y", "z"} <= set(row)
    items = read_plan_items(out, vehicle=2)
    assert items[0] == MissionItem(**{name: value for name, value in _item(tree, 1).items() if name != "seq"})
    assert from_plan(qgc.read_bytes()).items[0].command == 22
    assert (tmp_path / "out-2.plan").exists()
    with pytest.raises(InputInvalid, match="no number 3"):
        read_plan_items(out, vehicle=3)
    tree["vehicles"][0]["items"][3]["z"] = 500
    out.write_text(json.dumps(tree))
    with pytest.raises(InputInvalid, match="changed after planning"):
        read_plan_items(out, vehicle=1)
    with pytest.raises(InputInvalid, match="cannot be written"):
        write_plan(made, tmp_path / "none" / "plan.json")


def _item(tree: dict[str, list[dict[str, list[dict[str, object]]]]], number: int) -> dict[str, object]:
    row = tree["vehicles"][number]["items"][0]
    row["params"] = tuple(row["params"])  # type: ignore[arg-type]
    return row


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"vehicles": 3}', b'{"vehicles": [{"items": [{}]}]}', b"\xff"])
def test_a_plan_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(InputInvalid, match="plan"):
        read_plan_items(path)


def test_endurance_is_plausible() -> None:
    airframe = Airframe()
    hover_min = airframe.battery_wh / airframe.power_w(0) * 60
    assert 20 < hover_min < 35
    assert airframe.power_w(8) < airframe.power_w(0) < airframe.power_w(18)
    up, down = (leg_cost(airframe, length_m=0, climb_m=climb_m, speed_m_s=10) for climb_m in (50.0, -50.0))
    assert up.duration_s == pytest.approx(20)
    assert up.energy_wh / up.duration_s > down.energy_wh / down.duration_s
