from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from geo.errors import ObstacleInvalid, TerrainMissing
from geo.obstacles import Obstacle, Obstacles, read_obstacles
from geo.positions import Altitude, Datum, LocalPlane
from geo.terrain import FlatTerrain

LON, LAT, GROUND_M = 76.95, 43.2, 800.0
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=GROUND_M)
FLAT = FlatTerrain(GROUND_M)


class Valley:
    """Ground that is lowest, 700 m, below the middle of the plane and 800 m beyond 200 m to the east and west."""

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> np.ndarray:
        x, _ = PLANE.to_plane(lon, lat)
        return 700 + np.minimum(100.0, np.abs(x) / 2)


def lonlat(shape: shapely.Geometry) -> Any:
    """From the plane."""
    return shapely.transform(shape, lambda xy: np.column_stack(PLANE.to_lonlat(xy[:, 0], xy[:, 1])))


def building(name: str, box: tuple[float, float, float, float], height_m: float) -> Obstacle:
    return Obstacle(name, lonlat(shapely.box(*box)), Altitude(height_m, Datum.AGL))


def mast(name: str, x: float, y: float, height_m: float, radius_m: float = 0.0) -> Obstacle:
    return Obstacle(name, lonlat(shapely.Point(x, y)), Altitude(height_m, Datum.AGL), radius_m)


def wire(name: str, *corners: tuple[float, float], height_m: float, radius_m: float = 0.0) -> Obstacle:
    return Obstacle(name, lonlat(shapely.LineString(corners)), Altitude(height_m, Datum.AGL), radius_m)


CITY = (
    building("tower", (-20, -20, 20, 20), 90),
    building("school", (100, 0, 160, 60), 15),
    mast("antenna", 300, 0, 60, 5),
    wire("110 kV", (-300, -200), (300, -200), height_m=30),
)


def test_what_is_too_near_is_named_with_the_place_and_the_worst_first() -> None:
    there = Obstacles(CITY, PLANE, FLAT)
    assert len(there) == 4
    path = np.array([(-400, 0, 880), (400, 0, 880)], float)
    found = there.breaches(path, horizontal_m=10, vertical_m=25)
    assert [breach.name for breach in found] == ["tower", "antenna"]
    tower, antenna = found
    assert (tower.top_amsl_m, tower.path_amsl_m, tower.apart_m) == pytest.approx((890, 880, 0))
    x, y = PLANE.to_plane(tower.lon, tower.lat)
    assert abs(float(x)) <= 30.001
    assert float(y) == pytest.approx(0, abs=1e-3)
    assert str(tower).startswith("tower: 0 m away, 10 m below its top, at lon 76.9")
    assert antenna.path_amsl_m - antenna.top_amsl_m == pytest.approx(20)
    assert there.breaches(path, horizontal_m=10, vertical_m=15)[0].name == "tower"
    assert there.breaches(path + np.array([0, 0, 60]), horizontal_m=10, vertical_m=25) == ()


def test_both_margins_count_and_flying_below_a_wire_is_a_breach() -> None:
    there = Obstacles(CITY, PLANE, FLAT)
    beside = np.array([(-20, -400, 830), (-35, 400, 830)], float) - np.array([20, 0, 0])
    assert [b.name for b in there.breaches(beside, horizontal_m=5, vertical_m=5)] == ["110 kV"]
    assert [b.name for b in there.breaches(beside, horizontal_m=30, vertical_m=5)] == ["tower", "110 kV"]
    below = np.array([(-100, -300, 810), (-100, -100, 810)], float)
    (breach,) = there.breaches(below, horizontal_m=5, vertical_m=5)
    assert breach.path_amsl_m - breach.top_amsl_m == pytest.approx(-20)


def test_a_climb_on_the_spot_and_a_single_place_count() -> None:
    there = Obstacles(CITY, PLANE, FLAT)
    climb = np.array([(308, 0, 800), (308, 0, 900)], float)
    (breach,) = there.breaches(climb, horizontal_m=5, vertical_m=5)
    assert (breach.name, breach.path_amsl_m) == ("antenna", pytest.approx(800))
    assert breach.apart_m == pytest.approx(3, abs=0.1)
    assert there.breaches(climb[:1], horizontal_m=5, vertical_m=5)[0].name == "antenna"
    assert there.breaches(climb[:0], horizontal_m=5, vertical_m=5) == ()
    assert Obstacles((), PLANE, FLAT).breaches(climb, horizontal_m=5, vertical_m=5) == ()


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), horizontal_m=st.floats(2, 40), vertical_m=st.floats(0, 30))
def test_breaches_are_those_that_a_look_at_every_half_metre_finds(
    seed: int, horizontal_m: float, vertical_m: float
) -> None:
    rng = np.random.default_rng(seed)
    things = [mast(f"m{n}", *rng.uniform(-200, 200, 2), float(rng.uniform(10, 90))) for n in range(4)]
    corner = rng.uniform(-200, 150, (3, 2))
    things += [
        building(f"b{n}", (*corner[n], *(corner[n] + rng.uniform(5, 50, 2))), float(rng.uniform(10, 90)))
        for n in range(3)
    ]
    things.append(wire("w", *map(tuple, rng.uniform(-200, 200, (3, 2))), height_m=float(rng.uniform(10, 40))))
    path = np.column_stack([rng.uniform(-200, 200, (5, 2)), rng.uniform(810, 920, 5)])
    share = np.linspace(0, 1, 1500)[:, None]
    dense = np.concatenate([a + (b - a) * share for a, b in pairwise(path)])
    way = shapely.LineString(path[:, :2])
    there = Obstacles(things, PLANE, FLAT)
    found = {b.name: b for b in there.breaches(path, horizontal_m=horizontal_m, vertical_m=vertical_m)}
    for thing in things:
        shape = shapely.transform(thing.geometry, lambda c: np.column_stack(PLANE.to_plane(c[:, 0], c[:, 1])))
        near = shapely.distance(shapely.points(dense[:, :2]), shape) <= horizontal_m
        lowest_m = dense[near, 2].min() if near.any() else np.inf
        least_m = GROUND_M + thing.top.value_m + vertical_m
        if lowest_m < least_m - 0.3:
            assert found[thing.name].path_amsl_m == pytest.approx(lowest_m, abs=0.5)
        else:
            apart_m = shapely.distance(way, shape)
            sure = apart_m > horizontal_m + 0.3 or (apart_m < horizontal_m - 0.3 and lowest_m > least_m + 0.3)
            assert thing.name not in found or not sure


def test_the_floor_lets_a_path_pass_over() -> None:
    there = Obstacles(CITY, PLANE, FLAT)
    places = np.array([(0, 0), (0, 25), (0, 35), (130, 30), (299, 0), (0, -195), (0, -260)], float)
    floor = there.floor_m(places, horizontal_m=10, vertical_m=20)
    np.testing.assert_allclose(floor, [910, 910, -np.inf, 835, 880, 850, -np.inf])
    assert Obstacles((), PLANE, FLAT).floor_m(places, horizontal_m=10, vertical_m=20).max() == -np.inf
    x = np.arange(-400, 401, 1.0)
    line = np.column_stack([x, np.full_like(x, 5.0)])
    over = np.maximum(there.floor_m(line, horizontal_m=11, vertical_m=20), 830.0)
    path = np.column_stack([line, over + 1e-6])
    assert there.breaches(path, horizontal_m=10, vertical_m=20) == ()


def test_what_is_too_high_to_pass_over_is_gone_round() -> None:
    there = Obstacles(CITY, PLANE, FLAT)
    round_both = there.to_go_round(highest_m=80, horizontal_m=10, vertical_m=21)
    assert len(round_both) == 2
    tower = next(shape for shape in round_both if shape.contains(shapely.Point(0, 0)))
    assert tower.bounds == pytest.approx((-30, -30, 30, 30), abs=0.2)
    assert there.to_go_round(highest_m=120, horizontal_m=10, vertical_m=21) == ()
    ring = shapely.get_coordinates(tower.buffer(0.2).exterior)
    path = np.column_stack([ring, np.full(len(ring), 820.0)])
    assert "tower" not in {b.name for b in there.breaches(path, horizontal_m=10, vertical_m=21)}


def test_heights_above_the_ground_count_from_where_it_is_highest_below() -> None:
    valley = Valley()
    there = Obstacles([building("slope house", (100, 0, 140, 20), 10)], PLANE, valley)
    assert there.floor_m(np.array([(120.0, 10.0)]), horizontal_m=1, vertical_m=0) == pytest.approx(780)
    sea = Obstacle("chimney", lonlat(shapely.Point(0, 0)), Altitude(903.0, Datum.AMSL))
    assert Obstacles([sea], PLANE, valley).floor_m(np.zeros((1, 2)), horizontal_m=1, vertical_m=2) == pytest.approx(905)


def test_a_wire_across_a_valley_hangs_from_pole_to_pole() -> None:
    there = Obstacles([wire("span", (-250, 0), (250, 0), height_m=20)], PLANE, Valley())
    middle = np.array([(0.0, 3.0)])
    assert there.floor_m(middle, horizontal_m=5, vertical_m=0) == pytest.approx(820)
    along = Obstacles([wire("poles", (-250, 0), (0, 0), (250, 0), height_m=20)], PLANE, Valley())
    assert 720 <= float(along.floor_m(middle, horizontal_m=5, vertical_m=0)[0]) <= 770


def test_only_what_is_near_the_work_asks_for_terrain() -> None:
    class Here:
        def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> np.ndarray:
            x, _ = PLANE.to_plane(lon, lat)
            if (np.abs(x) > 500).any():
                raise TerrainMissing("far away")
            return np.full(np.shape(x), 800.0)

    things = [*CITY, mast("far", 5000, 0, 50), wire("long", (0, 100), (400, 100), (9000, 100), height_m=20)]
    with pytest.raises(TerrainMissing):
        Obstacles(things, PLANE, Here())
    there = Obstacles(things, PLANE, Here(), within=shapely.box(-350, -350, 350, 350))
    assert len(there) == 5


def feature(geometry: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


SQUARE = {"type": "Polygon", "coordinates": [[[76.9, 43.2], [76.901, 43.2], [76.901, 43.201], [76.9, 43.2]]]}
POINT = {"type": "Point", "coordinates": [76.9, 43.2]}


def written(path: Path, *features: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_obstacles_are_read_from_geojson(tmp_path: Path) -> None:
    line = {"type": "LineString", "coordinates": [[76.9, 43.2], [76.91, 43.2]]}
    path = written(
        tmp_path / "o.geojson",
        feature(SQUARE, name="house", height_m=12),
        feature(POINT, name="mast", top_amsl_m=912.5, radius_m=4),
        feature(line, height="25 m"),
    )
    house, tower, cable = read_obstacles(path)
    assert (house.name, house.top) == ("house", Altitude(12, Datum.AGL))
    assert (tower.top, tower.radius_m) == (Altitude(912.5, Datum.AMSL), 4)
    assert cable.top == Altitude(25, Datum.AGL)
    assert "feature 3" in cable.name
    assert len(Obstacles((house, tower, cable), PLANE, FLAT)) == 3


BOW = {"type": "Polygon", "coordinates": [[[76.9, 43.2], [76.91, 43.21], [76.91, 43.2], [76.9, 43.21], [76.9, 43.2]]]}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (feature(SQUARE, name="hut"), r"feature 2 'hut' at lon 76\.900000, lat 43\.200000 has neither height_m nor"),
        (feature(SQUARE, height_m=5, top_amsl_m=900), "has both height_m and top_amsl_m"),
        (feature(SQUARE, height_m="tall"), "height_m is 'tall', metres are needed"),
        (feature(SQUARE, height_m="40 ft"), "height_m is '40 ft', metres are needed"),
        (feature(SQUARE, height_m=True), "height_m is True"),
        (feature(SQUARE, height_m=-4), "height_m -4 is not between 0 and 1000 m"),
        (feature(SQUARE, height_m=5000), "height_m 5000 is not between"),
        (feature(POINT, height_m=50, radius_m=-1), "radius_m -1 is not between"),
        (feature(BOW, height_m=10), "Self-intersection"),
        (feature({"type": "Point", "coordinates": [43.2, 176.9]}, height_m=10), "not a place on earth"),
    ],
)
def test_what_cannot_be_used_names_the_feature(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    path = written(tmp_path / "o.geojson", feature(SQUARE, height_m=12), wrong)
    with pytest.raises(ObstacleInvalid, match=said):
        read_obstacles(path)


def test_a_city_of_obstacles_is_checked_in_no_time() -> None:
    rng = np.random.default_rng(1)
    things = [mast(f"m{n}", *rng.uniform(-5000, 5000, 2), 40.0, 2.0) for n in range(2000)]
    there = Obstacles(things, PLANE, FLAT)
    path = np.column_stack([rng.uniform(-5000, 5000, (200, 2)), np.full(200, 850.0)])
    began_s = time.process_time()
    assert there.breaches(path, horizontal_m=10, vertical_m=20)
    assert time.process_time() - began_s < 1.5
