from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from numpy.typing import ArrayLike

from geo.camera_library import camera
from geo.errors import CameraInvalid
from geo.positions import LocalPlane
from geo.sidelap import swath_on

PLANE = LocalPlane(lon=76.95, lat=43.2)
MODEL = camera("dji-mavic-3e")
AREA = shapely.box(-400, -300, 400, 300)


class Formula:
    """Ground given by a formula on the plane."""

    def __init__(self, heights: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.heights = heights

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> np.ndarray:
        return np.asarray(self.heights(*PLANE.to_plane(lon, lat)), float)


ROLLING = Formula(lambda x, y: 800 + 12 * np.sin(x / 40 + y / 90) + 9 * np.cos(y / 35))
FLAT = Formula(lambda x, y: 800 + 0 * x)
SLOPE = Formula(lambda x, y: 800 + 0.5 * x + 0 * y)


def reach_m(terrain: Formula, place: np.ndarray, towards: np.ndarray, height_m: float) -> float:
    """Where the edge ray of a nadir picture meets the ground, by looking every 5 cm."""
    half = MODEL.footprint_m(1.0)[0] / 2
    far = np.arange(0.0, 6 * half * height_m, 0.05)
    x, y = (place + far[:, None] * towards).T
    above = float(terrain.heights(*place)) + height_m - far / half - terrain.heights(x, y)
    return float(far[np.argmax(above <= 0)])


@pytest.mark.parametrize("heading_deg", [0.0, 25.0, 90.0])
def test_neighbours_share_what_they_should_over_rolling_ground(heading_deg: float) -> None:
    height_m, overlap = 90.0, 60.0
    spacing_m = swath_on(ROLLING, PLANE, AREA, MODEL, height_m=height_m, side_overlap=overlap, heading_deg=heading_deg)
    even_m = MODEL.footprint_m(height_m)[0] * (1 - overlap / 100)
    assert 0.4 * even_m < spacing_m < 0.99 * even_m
    turn = np.radians(heading_deg)
    across = np.array([np.cos(turn), -np.sin(turn)])
    rng = np.random.default_rng(11)

    def worst(apart_m: float) -> float:
        least = np.inf
        for place in rng.uniform((-330, -230), (330, 230), (150, 2)):
            beside = place + apart_m * across
            if abs(beside[0]) > 330 or abs(beside[1]) > 230:
                continue
            shared_m = reach_m(ROLLING, place, across, height_m) + reach_m(ROLLING, beside, -across, height_m) - apart_m
            least = min(least, shared_m / (apart_m / (1 - overlap / 100)))
        return least

    assert worst(spacing_m) >= overlap / 100 - 0.01
    assert worst(1.12 * spacing_m) < overlap / 100


def test_on_even_ground_and_on_a_plane_slope_nothing_is_given_away() -> None:
    even_m = MODEL.footprint_m(100)[0] * 0.3
    assert swath_on(FLAT, PLANE, AREA, MODEL, height_m=100, side_overlap=70) == pytest.approx(even_m, rel=1e-3)
    assert swath_on(SLOPE, PLANE, AREA, MODEL, height_m=100, side_overlap=70) == pytest.approx(even_m, rel=1e-3)
    lower_m = swath_on(FLAT, PLANE, AREA, MODEL, height_m=100, side_overlap=70, lower_m=10)
    assert lower_m == pytest.approx(0.9 * even_m, rel=1e-3)


def test_the_direction_that_is_not_known_is_the_worst_one() -> None:
    ridges = Formula(lambda x, y: 800 + 15 * np.sin(x / 30) + 0 * y)
    found = {
        heading: swath_on(ridges, PLANE, AREA, MODEL, height_m=80, side_overlap=60, heading_deg=heading)
        for heading in (0.0, 90.0, None)
    }
    assert found[0.0] < 0.97 * found[90.0]
    assert found[None] <= found[0.0]


def test_a_ridge_as_high_as_the_flight_is_refused() -> None:
    wall = Formula(lambda x, y: 800 + 90.0 * (np.abs(x) < 3) + 0 * y)
    with pytest.raises(CameraInvalid, match="side_overlap: 60 percent cannot be kept 60 m above this ground"):
        swath_on(wall, PLANE, AREA, MODEL, height_m=60, side_overlap=60, heading_deg=0.0)


def test_nothing_outside_the_area_is_asked_for() -> None:
    def inside_only(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        assert shapely.intersects_xy(AREA.buffer(1e-3), x, y).all()
        return 800 + 0 * x

    assert swath_on(Formula(inside_only), PLANE, AREA, MODEL, height_m=100, side_overlap=70) > 0
