"""Facades are seen from base to top, from the distance asked for, with the camera on the wall."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import AreaInvalid
from geo.structures import facade_bands, facade_levels_amsl_m, roof_lines, too_narrow

NAN = float("nan")
L_HOUSE = shapely.Polygon([(0, 0), (60, 0), (60, 18), (18, 18), (18, 45), (0, 45)])
BASE_M, TOP_M = 300.0, 341.0
USUAL = {"base_amsl_m": BASE_M, "top_amsl_m": TOP_M, "stand_off_m": 15.0, "picture_m": (18.0, 12.0)}


@given(height_m=st.floats(1, 300), picture_m=st.floats(2, 60), overlap=st.floats(0, 0.9))
def test_bands_leave_no_height_out(height_m: float, picture_m: float, overlap: float) -> None:
    levels = facade_levels_amsl_m(100.0, 100.0 + height_m, picture_m, overlap)
    assert levels[0] - picture_m / 2 <= 100 + 1e-6
    assert levels[-1] + picture_m / 2 >= 100 + height_m - 1e-6
    assert (np.diff(levels) <= picture_m * (1 - overlap) + 1e-6).all()
    if len(levels) > 2:
        assert (len(levels) - 2) * picture_m * (1 - overlap) < height_m - picture_m + 1e-6


@settings(max_examples=20, deadline=None)
@given(
    stand_off_m=st.floats(4, 40),
    pitch_deg=st.floats(-45, 20),
    overlap=st.floats(0.2, 0.8),
    x=st.floats(-80, 120),
)
def test_rounds_keep_their_distance_and_look_at_the_wall(
    stand_off_m: float, pitch_deg: float, overlap: float, x: float
) -> None:
    values = {**USUAL, "stand_off_m": stand_off_m, "pitch_deg": pitch_deg, "overlap": overlap, "near": (x, -90.0)}
    legs = facade_bands(L_HOUSE, **values)  # type: ignore[arg-type]
    flown = shapely.linestrings([[leg.start, leg.end] for leg in legs])
    away = shapely.distance(flown, L_HOUSE)
    assert away.min() >= stand_off_m * np.cos(np.pi / 32) - 1e-6
    assert away.max() <= stand_off_m + 1e-6
    levels = np.array([leg.levels_amsl_m for leg in legs])
    assert (np.diff(levels.ravel()) >= 0).all()
    assert max(leg.length_m for leg in legs) <= 18.0 * (1 - overlap) + 1e-6
    for leg in legs:
        assert leg.look_at is not None
        assert L_HOUSE.exterior.distance(shapely.Point(leg.look_at[:2])) < 1e-6
        if leg.length_m == 0:
            continue
        middle = np.add(leg.start, leg.end) / 2
        assert np.hypot(*np.subtract(middle, leg.look_at[:2])) == pytest.approx(L_HOUSE.distance(shapely.Point(middle)))
        assert leg.levels_amsl_m is not None
        assert leg.levels_amsl_m[0] - leg.look_at[2] == pytest.approx(-stand_off_m * np.tan(np.radians(pitch_deg)))
        assert leg.pitch_deg == pytest.approx(pitch_deg, abs=0.3)
    for before, after in pairwise(legs):
        assert before.end == pytest.approx(after.start)


def test_every_wall_is_in_a_picture() -> None:
    legs = facade_bands(L_HOUSE, **USUAL)  # type: ignore[arg-type]
    walls = shapely.points(shapely.get_coordinates(L_HOUSE.exterior.segmentize(0.5)))
    seen = shapely.points([leg.look_at[:2] for leg in legs if leg.look_at])
    nearest = shapely.STRtree(seen).query_nearest(walls, return_distance=True)[1]
    assert nearest.max() <= 9.0 + 1e-6  # half a picture
    stops = [leg for leg in legs if leg.length_m == 0]
    assert stops
    for leg in stops:
        assert leg.look_at is not None
        assert not shapely.LineString([leg.start, leg.look_at[:2]]).crosses(L_HOUSE)
    aims = sorted({leg.look_at[2] for leg in legs if leg.look_at})
    assert aims[0] - 6 <= BASE_M
    assert aims[-1] + 6 >= TOP_M


COURT = shapely.Polygon([(25, 25), (85, 25), (85, 60), (60, 60), (60, 85), (25, 85)])
SHAFT = shapely.Polygon([(100, 30), (112, 30), (112, 42), (100, 42)])
BLOCK = shapely.Polygon(shapely.box(0, 0, 130, 110).exterior, [COURT.exterior, SHAFT.exterior])


@pytest.mark.parametrize("stand_off_m", [8.0, 12.0])
def test_courtyards_are_facades_too(stand_off_m: float) -> None:
    values = {**USUAL, "stand_off_m": stand_off_m}
    legs = facade_bands(BLOCK, **values)  # type: ignore[arg-type]
    outer = facade_bands(BLOCK, **values, courtyards=False)  # type: ignore[arg-type]
    assert legs[: len(outer)] == outer
    assert too_narrow(BLOCK, stand_off_m) == (SHAFT,)
    over, *inner = legs[len(outer) :]
    assert not over.photographs
    assert over.approach == (outer[-1].end,), "straight up first"
    assert over.levels_amsl_m == (TOP_M + stand_off_m,) * 2
    assert over.end == pytest.approx(inner[0].start)
    assert COURT.contains(shapely.Point(over.end))
    assert all(leg.photographs for leg in inner)
    for before, after in pairwise(inner):
        assert before.end == pytest.approx(after.start)
    ways = shapely.linestrings([[leg.start, leg.end] for leg in inner])
    assert shapely.within(ways, COURT).all()
    assert shapely.distance(ways, BLOCK).min() >= stand_off_m * np.cos(np.pi / 32) - 1e-6
    heights = np.array([leg.levels_amsl_m for leg in inner])
    assert (np.diff(heights.ravel()) <= 0).all(), "from the top down"
    assert len({row[0] for row in heights.tolist()}) == len({leg.levels_amsl_m for leg in outer})
    building = BLOCK.buffer(-0.02)
    aims = np.array([leg.look_at for leg in inner])
    for leg in inner:
        assert leg.look_at is not None
        assert COURT.exterior.distance(shapely.Point(leg.look_at[:2])) < 1e-6
        middle = np.add(leg.start, leg.end) / 2
        assert not building.intersects(shapely.LineString([middle, leg.look_at[:2]])), "through a wall"
    walls = shapely.points(shapely.get_coordinates(COURT.exterior.segmentize(0.5)))
    for aim in np.unique(aims[:, 2]):
        seen = shapely.points(aims[aims[:, 2] == aim, :2])
        assert shapely.STRtree(seen).query_nearest(walls, return_distance=True)[1].max() <= 9.0 + 1e-6


def test_no_band_is_flown_lower_than_allowed() -> None:
    legs = facade_bands(L_HOUSE, **USUAL, lowest_amsl_m=312.0)  # type: ignore[arg-type]
    assert min(leg.levels_amsl_m[0] for leg in legs if leg.levels_amsl_m) == 312.0
    lowest = next(leg for leg in legs if leg.levels_amsl_m == (312.0, 312.0))
    assert lowest.pitch_deg < -15
    assert lowest.look_at is not None
    assert lowest.look_at[2] == pytest.approx(BASE_M + 6.0)


def test_the_roof_is_covered_at_one_height() -> None:
    legs = roof_lines(L_HOUSE, 12.0, level_amsl_m=356.0)
    seen = shapely.union_all([shapely.LineString([leg.start, leg.end]).buffer(6) for leg in legs])
    assert seen.intersection(L_HOUSE).area > 0.97 * L_HOUSE.area
    assert {leg.levels_amsl_m for leg in legs} == {(356.0, 356.0)}
    assert {leg.pitch_deg for leg in legs} == {-90.0}


@pytest.mark.parametrize(
    ("footprint", "values", "said"),
    [
        (L_HOUSE, {"top_amsl_m": BASE_M}, "height_m: 0 must be above 0"),
        (L_HOUSE, {"stand_off_m": 0.0}, "stand_off_m"),
        (L_HOUSE, {"stand_off_m": NAN}, "stand_off_m"),
        (L_HOUSE, {"picture_m": (0.0, 10.0)}, "picture_width_m"),
        (L_HOUSE, {"picture_m": (10.0, 1e-6)}, "bands"),
        (L_HOUSE, {"picture_m": (1e-4, 10.0)}, "every .* m a picture"),
        (L_HOUSE, {"overlap": 1.0}, "overlap"),
        (L_HOUSE, {"pitch_deg": -80.0}, "pitch_deg"),
        (L_HOUSE, {"base_amsl_m": NAN}, "base_amsl_m"),
        (shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)]), {}, "Self-intersection"),
        (shapely.Polygon(), {}, "no area"),
    ],
)
def test_impossible_facades(footprint: shapely.Polygon, values: dict[str, object], said: str) -> None:
    with pytest.raises(AreaInvalid, match=said):
        facade_bands(footprint, **{**USUAL, **values})  # type: ignore[arg-type]
