"""Ways inside a polygon are the shortest, stay inside, and end where they should."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.detours import MOST_CORNERS, Detours
from geo.errors import AreaInvalid
from geo.legs import length_m

U_SHAPE = shapely.Polygon([(0, 0), (600, 0), (600, 500), (420, 500), (420, 150), (180, 150), (180, 500), (0, 500)])
WITH_HOLE = shapely.Polygon(
    [(0, 0), (700, 0), (700, 600), (0, 600)], [[(250, 200), (450, 200), (450, 420), (250, 420)]]
)


def test_detours_agree_with_known_ways() -> None:
    ways = Detours(U_SHAPE, margin_m=0.5)
    points = np.array([[90.0, 450.0], [510.0, 450.0], [90.0, 50.0]])
    lengths = ways.lengths_m(points)
    round_the_notch = np.hypot(90, 300) + 240 + np.hypot(90, 300)
    assert lengths[0, 1] == pytest.approx(round_the_notch, abs=3)
    assert lengths[0, 2] == pytest.approx(400)
    assert np.allclose(lengths, lengths.T)
    way = ways.way(points[0], points[1])
    assert len(way) == 4
    assert length_m(way) == pytest.approx(lengths[0, 1], abs=1e-6)
    assert shapely.LineString(way).difference(U_SHAPE.buffer(1)).length == 0


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_detours_stay_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(0, 700, 6), rng.uniform(0, 600, 6)])
    points = points[[WITH_HOLE.contains(shapely.Point(point)) for point in points]]
    ways = Detours(WITH_HOLE, margin_m=1.0)
    lengths = ways.lengths_m(points) if len(points) else np.empty((0, 0))
    for row in range(len(points)):
        for column in range(row):
            way = ways.way(points[row], points[column])
            assert shapely.LineString(way).difference(WITH_HOLE.buffer(2.5)).length < 1e-6
            assert lengths[row, column] == pytest.approx(length_m(way), abs=1e-6)


def test_far_ways_are_never_given_too_short() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform((0, 0), (700, 600), (40, 2))
    points = points[shapely.contains_xy(WITH_HOLE, *points.T)]
    ways = Detours(WITH_HOLE, margin_m=1.0)
    exact, rough = ways.lengths_m(points), ways.lengths_m(points, near_m=200.0)
    near = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) <= 200.0
    assert np.array_equal(exact[near], rough[near])
    assert (rough >= exact - 1e-9).all()


@pytest.mark.parametrize("margin_m", [0.0, 1.0, 30.0])
def test_a_ragged_outline_is_simplified_only_within_the_margin(margin_m: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 600, endpoint=False)
    radii = 1000 + np.random.default_rng(2).uniform(-20, 20, len(angles))
    ragged = shapely.Polygon(np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]))
    ways = Detours(ragged, margin_m=margin_m)
    assert ways.domain.difference(ragged.buffer(margin_m + 0.01, quad_segs=32)).area < 1e-6


def test_an_outline_of_too_many_corners_is_refused() -> None:
    angles = np.linspace(0, 2 * np.pi, 4 * MOST_CORNERS, endpoint=False)
    radii = 1000 + np.where(np.arange(len(angles)) % 2, 40.0, 0.0)
    comb = shapely.Polygon(np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]))
    with pytest.raises(AreaInvalid, match=r"the outline has \d+ corners even .* at most 1500"):
        Detours(comb, margin_m=0.01)
