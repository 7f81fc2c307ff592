"""Outlooks have free sight of their place, near the distance asked for, and are soon reached."""

from __future__ import annotations

import time

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import AreaInvalid, OutOfView, TerrainMissing
from geo.outlooks import Outlook, View, Walls, outlooks
from geo.positions import LocalPlane
from geo.terrain import FlatTerrain, GridTerrain, Terrain

PLANE = LocalPlane(lon=71.43, lat=51.13, height_m=350.0)
FLAT = FlatTerrain(350.0)
HOME = (-900.0, 0.0, 350.0)


def block(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    return shapely.box(west, south, east, north)


def look(
    spot: tuple[float, float] = (0.0, 0.0),
    *,
    starts: object = (HOME,),
    terrain: Terrain = FLAT,
    polygons: tuple[shapely.Polygon, ...] = (),
    tops: tuple[float, ...] = (),
    view: View | None = None,
    keep_out: shapely.Geometry | None = None,
) -> tuple[Outlook, ...]:
    walls = Walls.of(polygons, tops)
    return outlooks(
        spot, starts, PLANE, terrain, walls, speeds_m_s=15.0, climbs_m_s=4.0, view=view, keep_out=keep_out
    )  # fmt: skip


def sight_is_free(
    found: Outlook, terrain: Terrain, polygons: tuple[shapely.Polygon, ...], tops: tuple[float, ...]
) -> bool:
    """Along the straight line in steps of some centimetres, counted apart from geo."""
    share = np.linspace(0, 1, 4001)[1:-1]
    start = np.array([*found.place, found.level_amsl_m])
    line = start + (np.array(found.target) - start) * share[:, None]
    ground = terrain.amsl_m(*PLANE.to_lonlat(line[:, 0], line[:, 1]))
    if (line[:, 2] < ground - 0.5).any():
        return False
    return not any(
        (shapely.contains_xy(polygon, line[:, 0], line[:, 1]) & (line[:, 2] < top - 0.05)).any()
        for polygon, top in zip(polygons, tops, strict=True)
    )


def test_in_the_open_it_is_as_wanted_and_on_the_side_of_the_vehicle() -> None:
    (found,) = look()
    assert found.slant_range_m == pytest.approx(80, rel=0.2)
    assert found.pitch_deg == pytest.approx(-45, abs=10)
    assert found.place[0] < -40
    assert abs(found.place[1]) < 15
    assert found.target == (0.0, 0.0, 351.0)
    way_s = np.hypot(*np.subtract(found.place, HOME[:2])) / 15 + (found.level_amsl_m - 350) / 4
    assert found.flying_s == pytest.approx(way_s)
    stop = found.leg(90.0)
    assert (stop.length_m, stop.hold_s, stop.look_at) == (0.0, 90.0, found.target)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_sight_is_free_among_random_buildings(seed: int) -> None:
    random = np.random.default_rng(seed)
    west, south = random.uniform(-150, 130, (2, 14))
    size = random.uniform(10, 60, (14, 2))
    tops = tuple(float(top) for top in 350 + random.uniform(4, 70, 14))
    polygons = tuple(
        block(x, y, x + w, y + h) for x, y, (w, h) in zip(west.tolist(), south.tolist(), size.tolist(), strict=True)
    )
    view = View(clearance_m=8.0)
    try:
        (found,) = look(polygons=polygons, tops=tops, view=view)
    except OutOfView:
        assert any(polygon.distance(shapely.Point(0, 0)) < 25 for polygon in polygons)
        return
    assert sight_is_free(found, FLAT, polygons, tops)
    assert view.lowest_m <= found.height_m <= view.highest_m
    for polygon, top in zip(polygons, tops, strict=True):
        assert polygon.distance(shapely.Point(found.place)) >= 8 or found.level_amsl_m >= top + 8
    assert look(polygons=polygons, tops=tops, view=view) == (found,)


def test_a_wall_towards_the_vehicle_is_gone_round() -> None:
    wall = block(-30, -120, -20, 120)
    (found,) = look(polygons=(wall,), tops=(440.0,))
    assert sight_is_free(found, FLAT, (wall,), (440.0,))
    assert found.place[0] > -20 or abs(found.place[1]) > 120
    (over,) = look(polygons=(wall,), tops=(360.0,))
    assert over.place[0] < -30


def test_a_wall_right_before_the_outlook_hides_too() -> None:
    view = View(slant_range_m=50.0, pitch_deg=-37.0, lowest_m=30.0, highest_m=30.0, max_range_m=48.0, clearance_m=0.0)
    ring = shapely.Point(0, 0).buffer(39.9).difference(shapely.Point(0, 0).buffer(39.7))
    (found,) = look(polygons=(ring,), tops=(385.0,), view=view)
    assert np.hypot(*found.place) < 39.7
    assert sight_is_free(found, FLAT, (ring,), (385.0,))


def test_into_a_courtyard_from_above_and_nowhere_into_a_well() -> None:
    court = block(-30, -30, 30, 30).difference(block(-12, -12, 12, 12))
    (found,) = look(polygons=(court,), tops=(380.0,))
    assert found.pitch_deg < -60
    assert sight_is_free(found, FLAT, (court,), (380.0,))
    well = block(-30, -30, 30, 30).difference(block(-2, -2, 2, 2))
    with pytest.raises(OutOfView, match=r"none of \d+ places within 300 m, 30 to 120 m .* lon 71.43"):
        look(polygons=(well,), tops=(430.0,))


def test_a_place_in_a_building_is_its_roof() -> None:
    (found,) = look(polygons=(block(-10, -10, 10, 10),), tops=(372.0,))
    assert found.target[2] == 373.0
    assert found.level_amsl_m > 373


def ridge(height_m: float) -> GridTerrain:
    """Flat but for a ridge from south to north, 60 m west of the middle and 40 m wide."""
    x, y = np.meshgrid(np.linspace(-1500, 1500, 301), np.linspace(1500, -1500, 301))
    heights = 350 + height_m * np.exp(-(((x + 60) / 20) ** 2)) + 0 * y
    lon, lat = PLANE.to_lonlat([-1505, 1505], [1505, -1505])
    transform = rasterio.transform.from_bounds(lon[0], lat[1], lon[1], lat[0], 301, 301)
    return GridTerrain(heights, transform, name="ridge.tif")


def test_a_ridge_hides_what_lies_behind_it() -> None:
    view = View(lowest_m=30.0, highest_m=60.0, slant_range_m=150.0, pitch_deg=-20.0)
    (before,) = look(terrain=ridge(0.0), view=view)
    assert before.place[0] < -100
    terrain = ridge(90.0)
    (found,) = look(terrain=terrain, view=view)
    assert sight_is_free(found, terrain, (), ())
    assert found.place[0] > -60
    ground = float(terrain.amsl_m(*PLANE.to_lonlat(*found.place)))
    assert found.level_amsl_m - ground == pytest.approx(found.height_m)


def test_each_vehicle_goes_to_its_own_side_and_none_into_a_closed_zone() -> None:
    starts = [HOME, (900.0, 0.0, 350.0), (0.0, -900.0, 400.0)]
    west, east, south = look(starts=starts)
    assert west.place[0] < 0 < east.place[0]
    assert south.place[1] < 0
    assert south.flying_s < west.flying_s
    (away,) = look(keep_out=block(-400, -400, 0, 400))
    assert away.place[0] >= 0
    alone = look(starts=[starts[1]])
    assert alone == (east,)
    with pytest.raises(OutOfView):
        look(keep_out=block(-400, -400, 400, 400))


def test_fifty_vehicles_among_three_hundred_buildings_within_milliseconds() -> None:
    random = np.random.default_rng(5)
    corners = random.uniform(-800, 800, (300, 2))
    polygons = [block(x, y, x + 30, y + 20) for x, y in corners.tolist() if max(abs(x + 15), abs(y + 10)) > 40]
    walls = Walls.of(polygons, 350 + random.uniform(5, 40, len(polygons)))
    starts = np.column_stack([random.uniform(-3000, 3000, (50, 2)), np.full(50, 350.0)])
    terrain = ridge(10.0)
    spent_s = []
    for _ in range(8):
        began_s = time.process_time()
        found = outlooks((0.0, 0.0), starts, PLANE, terrain, walls, speeds_m_s=15.0, climbs_m_s=4.0)
        spent_s.append(time.process_time() - began_s)
    assert len(found) == 50
    assert min(spent_s) < 0.005


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"spot": (0.0, float("nan"))}, "place"),
        ({"starts": [(0.0, 0.0)]}, "starts"),
        ({"starts": [(0.0, 0.0, float("nan"))]}, "starts"),
        ({"view": View(lowest_m=90.0, highest_m=50.0)}, "lowest_m"),
        ({"view": View(slant_range_m=0.0)}, "slant_range_m"),
        ({"view": View(max_range_m=float("inf"))}, "max_range_m"),
        ({"polygons": (block(0, 0, 9, 9),), "tops": (float("nan"),)}, "tops_amsl_m"),
        ({"polygons": (shapely.Polygon(),), "tops": (3.0,)}, "building"),
    ],
)
def test_impossible_looks(values: dict[str, object], said: str) -> None:
    with pytest.raises(AreaInvalid, match=said):
        look(**values)  # type: ignore[arg-type]


def test_unknown_ground_is_said() -> None:
    with pytest.raises(TerrainMissing, match=r"ridge\.tif: no height at lon"):
        look(spot=(1400.0, 0.0), terrain=ridge(5.0))
    with pytest.raises(AreaInvalid, match="speed_m_s"):
        outlooks((0.0, 0.0), [HOME], PLANE, FLAT, speeds_m_s=0.0, climbs_m_s=4.0)
