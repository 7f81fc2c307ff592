"""Strips along lines are covered to the last tenth of a percent, round bends and on closed lines."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.corridors import Side, corridor, strip
from geo.errors import AreaInvalid
from geo.legs import Leg, length_m, points_of

NAN = float("nan")
BEND = [(0.0, 0.0), (500.0, 0.0), (620.0, 300.0), (300.0, 520.0)]
SQUARE = [(0.0, 0.0), (400.0, 0.0), (400.0, 300.0), (0.0, 300.0), (0.0, 0.0)]


def in_strip(points: np.ndarray, x: np.ndarray, y: np.ndarray, left_m: float, right_m: float) -> np.ndarray:
    """Places whose nearest place on the line is not beyond its ends, and no farther than the strip on that side."""
    ways = np.diff(points, axis=0)
    east, north = x[:, None] - points[:-1, 0], y[:, None] - points[:-1, 1]
    share = (east * ways[:, 0] + north * ways[:, 1]) / (ways**2).sum(axis=1)
    kept = np.clip(share, 0, 1)
    away = np.hypot(east - kept * ways[:, 0], north - kept * ways[:, 1])
    rows, nearest = np.arange(len(x)), away.argmin(axis=1)
    across = (ways[:, 0] * north - ways[:, 1] * east) / np.hypot(*ways.T)
    across = np.where(away - away[rows, nearest][:, None] < 1e-9, across, 0)
    leftward = across[rows, np.abs(across).argmax(axis=1)] > 0
    beyond = np.zeros(len(x), bool)
    if not np.array_equal(points[0], points[-1]):
        beyond = ((nearest == 0) & (share[:, 0] < 0)) | ((nearest == len(ways) - 1) & (share[:, -1] > 1))
    return ~beyond & np.where(leftward, away[rows, nearest] <= left_m, away[rows, nearest] <= -right_m)


def covered_share(points: np.ndarray, legs: tuple[Leg, ...], width_m: float, swath_m: float, side: Side) -> float:
    """Of cells in the strip, those within half a swath of what is photographed; both counted apart from geo."""
    left_m = {Side.BOTH: width_m / 2, Side.LEFT: width_m, Side.RIGHT: 0.0}[side]
    west, south, east, north = shapely.LineString(points).buffer(width_m).bounds
    cell_m = max(swath_m / 20, np.sqrt((east - west) * (north - south) / 30_000))
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(west, east, cell_m), np.arange(south, north, cell_m)))
    wanted = in_strip(points, x, y, left_m, left_m - width_m)
    ways = [shapely.LineString([leg.start, leg.end]) for leg in legs]
    ways += [shapely.LineString([a.end, *b.approach, b.start]) for a, b in pairwise(legs) if b.seen_approach]
    ways = [way for way in ways if way.length > 0]
    near = shapely.STRtree(ways).query(shapely.points(x[wanted], y[wanted]), "dwithin", swath_m / 2 + 0.01)[0]
    return len(np.unique(near)) / wanted.sum()


@st.composite
def wandering_lines(draw: st.DrawFn) -> np.ndarray:
    turns = draw(st.lists(st.floats(-1.9, 1.9), min_size=1, max_size=6))
    lengths = draw(st.lists(st.floats(120, 600), min_size=len(turns), max_size=len(turns)))
    headings = np.cumsum(turns)
    steps = np.column_stack([np.cos(headings), np.sin(headings)]) * np.array(lengths)[:, None]
    return np.vstack([[0, 0], np.cumsum(steps, axis=0)])


@settings(max_examples=20, deadline=None)
@given(
    points=wandering_lines().filter(lambda points: shapely.LineString(points).is_simple),
    width_m=st.floats(10, 150),
    swath_m=st.floats(15, 90),
    side=st.sampled_from(Side),
)
def test_every_strip_is_covered(points: np.ndarray, width_m: float, swath_m: float, side: Side) -> None:
    legs = corridor(points, width_m, swath_m, side=side)
    assert covered_share(points, legs, width_m, swath_m, side) >= 0.999
    assert corridor(points, width_m, swath_m, side=side) == legs
    flown = shapely.MultiLineString([[leg.start, leg.end] for leg in legs])
    assert flown.difference(strip(points, width_m, side).buffer(1)).length < 0.01 * flown.length + 1


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("clockwise", [False, True])
def test_closed_lines_are_covered_all_round(side: Side, clockwise: bool) -> None:
    ring = np.array(SQUARE[::-1] if clockwise else SQUARE)
    legs = corridor(ring, 90.0, 40.0, side=side)
    assert covered_share(ring, legs, 90.0, 40.0, side) >= 0.999
    inside = shapely.Polygon(SQUARE).contains(shapely.MultiLineString([[leg.start, leg.end] for leg in legs]))
    assert inside is ((side is Side.LEFT and not clockwise) or (side is Side.RIGHT and clockwise))


def test_a_pond_narrower_than_its_strip_is_covered_to_its_middle() -> None:
    shore = [(59.3, 16.2), (-16.4, 70.1), (-116.1, 218.0), (-44.1, 73.6), (-127.7, -17.1), (-139.4, -103.0)]
    shore += [(-66.2, -51.6), (-20.8, -67.4), (356.8, -115.8), (207.6, -12.2), (129.5, -6.9), (59.3, 16.2)]
    legs = corridor(shore, 240.6, 82.3, side=Side.LEFT)
    assert covered_share(np.array(shore), legs, 240.6, 82.3, Side.LEFT) >= 0.999


def test_a_straight_road_is_flown_to_and_fro() -> None:
    legs = corridor([(0.0, 0.0), (1000.0, 0.0)], 100.0, 40.0)
    assert sorted(leg.start[1] for leg in legs) == pytest.approx([-100 / 3, 0, 100 / 3])
    assert length_m(points_of(legs)) == pytest.approx(3000 + 200 / 3)
    assert corridor([(0.0, 0.0), (1000.0, 0.0)], 30.0, 40.0) == (Leg((0.0, 0.0), (1000.0, 0.0)),)


def test_a_bend_costs_little() -> None:
    legs = corridor(BEND, 120.0, 40.0)
    assert length_m(points_of(legs)) < 1.08 * 3 * shapely.LineString(BEND).length + 2 * 40


def test_ten_kilometres_of_river_take_little_time() -> None:
    along = np.linspace(0, 10_000, 800)
    river = np.column_stack([along, 300 * np.sin(along / 400) + 40 * np.sin(along / 37)])
    corridor(river[:50], 100.0, 50.0)
    began_s = time.process_time()
    legs = corridor(river, 200.0, 50.0)
    assert time.process_time() - began_s < 3.0
    assert len(legs) < 6000
    seen = shapely.union_all([shapely.LineString([leg.start, leg.end]).buffer(25.0) for leg in legs])
    ground = strip(river, 200.0)
    assert seen.intersection(ground).area > 0.999 * ground.area


@pytest.mark.parametrize(
    ("line", "values", "said"),
    [
        ([(0.0, 0.0)], {}, "line: 1 given, at least 2"),
        ([(5.0, 5.0), (5.0, 5.0)], {}, "it has no length"),
        ([(0.0, 0.0), (9.0, 9.0), (9.0, 0.0), (0.0, 9.0)], {}, "crosses or touches itself near x 4.5, y 4.5"),
        ([(0.0, 0.0), (9.0, 0.0), (3.0, 0.0)], {}, "crosses or touches itself"),
        ([(0.0, 0.0), (9.0, NAN)], {}, "number 1 is"),
        ([(0.0, 0.0, 3.0)], {}, "pairs of x and y"),
        (BEND, {"width_m": 0.0}, "width_m"),
        (BEND, {"swath_m": NAN}, "swath_m"),
        (BEND, {"swath_m": 0.001}, "at most"),
        (BEND, {"swath_m": 0.1}, "600 lines|1000 lines"),
    ],
)
def test_impossible_corridors(line: list[tuple[float, ...]], values: dict[str, float], said: str) -> None:
    with pytest.raises(AreaInvalid, match=said):
        corridor(line, **{"width_m": 100.0, "swath_m": 40.0, **values})  # type: ignore[arg-type]
