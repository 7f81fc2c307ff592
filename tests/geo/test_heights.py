from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from geo.errors import TerrainMissing
from geo.heights import SPARE, above_ground_m, follow, too_high, too_low
from geo.obstacles import Obstacle, Obstacles
from geo.positions import Altitude, Datum, LocalPlane
from geo.terrain import FlatTerrain, GridTerrain, TerrainTiles

DATA = Path(os.environ.get("MC_DATA", Path(__file__).parents[3] / "shared/data"))
DEM = DATA / "dem"
PLANE = LocalPlane(lon=76.95, lat=43.2, height_m=1000)


class Hills:
    """Waves of three lengths over 1000 m, the height of the highest given."""

    def __init__(self, seed: int, high_m: float) -> None:
        rng = np.random.default_rng(seed)
        self.waves = [(rng.uniform(0, 6.3), rng.uniform(0, 6.3), length) for length in (1500.0, 500.0, 180.0)]
        self.high_m = high_m

    def heights(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        total = np.zeros(np.shape(x))
        for turn, phase, length in self.waves:
            way = (x * np.cos(turn) + y * np.sin(turn)) / length
            total = total + self.high_m * length / 1500 * np.sin(6.283 * way + phase)
        return 1000 + total

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> np.ndarray:
        return self.heights(*PLANE.to_plane(lon, lat))


def dense(path: np.ndarray, step_m: float = 2.0) -> np.ndarray:
    """(n, 3) places along a path."""
    rows = []
    for a, b in zip(path[:-1, :3], path[1:, :3], strict=True):
        count = max(2, int(np.hypot(*(b - a)[:2]) / step_m))
        rows.append(a + (b - a) * np.linspace(0, 1, count)[:, None])
    return np.concatenate(rows)


def gradients(path: np.ndarray) -> np.ndarray:
    """Up per m ahead of every piece that goes ahead."""
    ahead_m = np.hypot(*np.diff(path[:, :2], axis=0).T)
    return np.diff(path[:, 2])[ahead_m > 1e-6] / ahead_m[ahead_m > 1e-6]


def corners(seed: int, count: int = 7) -> np.ndarray:
    """Some places within 2 km."""
    return np.random.default_rng(seed).uniform(-1000, 1000, (count, 2))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 9999), high_m=st.floats(1, 60), tolerance_m=st.floats(1, 8), height_m=st.floats(30, 120))
def test_without_limits_the_height_stays_within_the_tolerance(
    seed: int, high_m: float, tolerance_m: float, height_m: float
) -> None:
    hills, through = Hills(seed, high_m), corners(seed)
    path = follow(through, PLANE, hills, height_m=height_m, tolerance_m=tolerance_m)
    places = dense(path)
    off_m = places[:, 2] - hills.heights(places[:, 0], places[:, 1]) - height_m
    assert np.abs(off_m).max() < tolerance_m + 0.3
    at = path[path[:, 3] >= 0]
    np.testing.assert_array_equal(at[:, 3], np.arange(len(through)))
    np.testing.assert_allclose(at[:, :2], through, atol=1e-9)
    assert too_high(path, PLANE, hills, height_m=height_m, tolerance_m=tolerance_m + 0.3) == ()
    assert too_low(path, PLANE, hills, least_m=height_m - tolerance_m - 0.3) == ()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 9999),
    high_m=st.floats(10, 150),
    climb=st.floats(0.05, 0.6),
    descent=st.floats(0.05, 0.6),
)
def test_limits_raise_the_path_as_little_as_they_can(seed: int, high_m: float, climb: float, descent: float) -> None:
    height_m, tolerance_m = 80.0, 4.0
    hills, through = Hills(seed, high_m), corners(seed, 5)
    path = follow(
        through,
        PLANE,
        hills,
        height_m=height_m,
        tolerance_m=tolerance_m,
        climb_gradient=climb,
        descent_gradient=descent,
    )
    slopes = gradients(path)
    assert slopes.max() <= climb + 1e-9
    assert slopes.min() >= -descent - 1e-9
    places = dense(path, 5.0)
    wanted_m = hills.heights(places[:, 0], places[:, 1]) + height_m
    assert (places[:, 2] - wanted_m).min() > -tolerance_m - 0.5
    # What any path within the limits has to fly: the least height of every place, carried on at the steepest.
    along_m = np.append(0, np.hypot(*np.diff(places[:, :2], axis=0).T).cumsum())
    behind_m = along_m[:, None] - along_m[None, :]
    needed_m = (wanted_m - tolerance_m)[None, :] - np.where(behind_m >= 0, descent * behind_m, -climb * behind_m)
    most_m = np.maximum(wanted_m + tolerance_m, needed_m.max(axis=1) + SPARE * tolerance_m)
    assert (places[:, 2] - most_m).max() < 0.7


def test_a_cliff_is_climbed_before_it_is_reached_and_said() -> None:
    class Cliff(FlatTerrain):
        def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> np.ndarray:
            x, _ = PLANE.to_plane(lon, lat)
            return np.where(x < 0, 1000.0, 1100.0)

    ground = Cliff(0)
    line = np.array([(-1000.0, 0.0), (1000.0, 0.0)])
    path = follow(line, PLANE, ground, height_m=80, tolerance_m=5, climb_gradient=0.25, descent_gradient=0.25)
    assert np.interp(-300.0, path[:, 0], path[:, 2]) == pytest.approx(1100, abs=6)
    assert np.interp(0.0, path[:, 0], path[:, 2]) == pytest.approx(1175, abs=3)
    (stretch,) = too_high(path, PLANE, ground, height_m=80, tolerance_m=5)
    assert stretch.length_m == pytest.approx(360, abs=30)
    assert stretch.above_ground_m == pytest.approx(175, abs=5)
    assert float(PLANE.to_plane(stretch.lon, stretch.lat)[0]) == pytest.approx(0, abs=6)
    free = follow(line, PLANE, ground, height_m=80, tolerance_m=5)
    assert len(too_high(free, PLANE, ground, height_m=80, tolerance_m=5)) <= 1
    down = follow(line[::-1], PLANE, ground, height_m=80, tolerance_m=5, climb_gradient=0.25, descent_gradient=0.25)
    assert np.interp(-300.0, down[::-1, 0], down[::-1, 2]) == pytest.approx(1100, abs=6)


def test_obstacles_are_cleared_within_the_limits() -> None:
    def lonlat(shape: shapely.Geometry) -> shapely.Geometry:
        return shapely.transform(shape, lambda xy: np.column_stack(PLANE.to_lonlat(xy[:, 0], xy[:, 1])))

    hills = Hills(3, 20)
    tower = Obstacle("tower", lonlat(shapely.box(-10, 12, 10, 40)), Altitude(110, Datum.AGL))
    mast = Obstacle("mast", lonlat(shapely.Point(400, -6)), Altitude(95, Datum.AGL))
    there = Obstacles([tower, mast], PLANE, hills)
    line = np.array([(-900.0, 0.0), (900.0, 0.0), (900.0, 30.0), (-900.0, 30.0)])
    limits = {"climb_gradient": 0.3, "descent_gradient": 0.2}
    plain = follow(line, PLANE, hills, height_m=70, tolerance_m=4, **limits)
    assert {b.name for b in there.breaches(plain, horizontal_m=15, vertical_m=12)} == {"tower", "mast"}
    path = follow(line, PLANE, hills, height_m=70, tolerance_m=4, obstacles=there, margins_m=(15.0, 12.0), **limits)
    assert there.breaches(path, horizontal_m=15, vertical_m=12) == ()
    assert gradients(path).max() <= 0.3 + 1e-9
    assert gradients(path).min() >= -0.2 - 1e-9
    over_m = path[:, 2].max() - float(there.floor_m(np.array([(0.0, 30.0)]), horizontal_m=15, vertical_m=12)[0])
    assert over_m < 4
    far = np.abs(path[:, 0]) > 850
    off_m = path[far, 2] - hills.heights(path[far, 0], path[far, 1]) - 70
    assert np.abs(off_m).max() < 4.3


def test_places_on_the_spot_and_single_corners() -> None:
    hills = Hills(1, 10)
    through = np.array([(0.0, 0.0), (100.0, 0.0), (100.0, 0.0), (0.0, 50.0)])
    path = follow(through, PLANE, hills, height_m=50, tolerance_m=2, climb_gradient=0.3, descent_gradient=0.3)
    assert path[path[:, 3] >= 0, 3].tolist() == [0, 1, 2, 3]
    one = follow(through[:1], PLANE, hills, height_m=50, tolerance_m=2)
    assert one.shape == (1, 4)
    assert one[0, 2] == pytest.approx(float(hills.heights(np.array(0.0), np.array(0.0))) + 50)
    assert too_low(one, PLANE, hills, least_m=49.9) == ()
    assert too_low(one, PLANE, hills, least_m=60)[0].above_ground_m == pytest.approx(50)


def test_a_fixed_height_is_only_checked() -> None:
    hills = Hills(5, 60)
    level = np.array([(-900.0, 0.0, 1100.0), (900.0, 0.0, 1100.0)])
    x = np.arange(-900, 901, 1.0)
    truth = 1100 - hills.heights(x, np.zeros_like(x))
    least_m = float(np.median(truth))
    lows = too_low(level, PLANE, hills, least_m=least_m)
    assert lows
    assert min(low.above_ground_m for low in lows) == pytest.approx(truth.min(), abs=0.2)
    assert sum(low.length_m for low in lows) == pytest.approx((truth < least_m).sum(), abs=12 * len(lows))


def test_heights_above_the_ground_below_and_aside() -> None:
    hills = Hills(2, 30)
    path = np.array([(0.0, -50.0, 1100.0), (0.0, 0.0, 1100.0), (0.0, 0.0, 1110.0), (0.0, 400.0, 1150.0)])
    found = above_ground_m(path, PLANE, hills, step_m=10, aside_m=30)
    y = np.concatenate([np.linspace(-50, 0, 6), np.linspace(0, 400, 41)])
    flown_m = np.concatenate([np.full(6, 1100.0), np.linspace(1110, 1150, 41)])
    for row, x in zip(found, (-30.0, 0.0, 30.0), strict=True):
        np.testing.assert_allclose(row, flown_m - hills.heights(np.full_like(y, x), y), atol=1e-5)
    np.testing.assert_allclose(above_ground_m(path, PLANE, hills, step_m=10), found[1:2])
    assert above_ground_m(path[:1], PLANE, hills, step_m=10).shape == (1, 0)


def almaty() -> TerrainTiles:
    if not (DEM / "N43E076.hgt.zip").is_file():
        pytest.skip(f"{DEM}: the SRTM tiles are not there")
    return TerrainTiles([GridTerrain.from_file(DEM / f"{name}.hgt.zip") for name in ("N43E076", "N43E077", "N42E076")])


def test_a_hundred_kilometres_over_the_foothills_take_no_time() -> None:
    terrain = almaty()
    lines = [((60.0 * n, -5000.0), (60.0 * n, 5000.0))[:: 1 if n % 2 == 0 else -1] for n in range(10)]
    through = np.array(lines).reshape(-1, 2)
    limits = {"climb_gradient": 0.3, "descent_gradient": 0.2}
    path = follow(through, PLANE, terrain, height_m=80, tolerance_m=4, **limits)
    took_s = []
    for _ in range(5):
        began_s = time.process_time()
        follow(through, PLANE, terrain, height_m=80, tolerance_m=4, **limits)
        took_s.append(time.process_time() - began_s)
    assert min(took_s) < 0.1
    above_m = above_ground_m(path, PLANE, terrain, step_m=3)
    assert above_m.min() > 75.5
    assert gradients(path).max() <= 0.3 + 1e-9
    assert len(path) < 800


def test_a_missing_tile_on_the_way_is_named() -> None:
    with pytest.raises(TerrainMissing, match=r"N4\dE0\d\d.*SRTM: N44E076\.hgt"):
        follow(np.array([(0.0, 0.0), (0.0, 120_000.0)]), PLANE, almaty(), height_m=80, tolerance_m=4)
