"""Areas are read, and what is wrong with one is said with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geo.areas import Area, read_area
from geo.errors import AreaInvalid
from geo.positions import distance_m
from geo.seas import is_open_sea

LON, LAT = 76.9, 43.2
SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]


def at(points: list[list[float]], lon: float = LON, lat: float = LAT) -> list[list[float]]:
    return [[lon + x * 1e-3, lat + y * 1e-3] for x, y in points]


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def test_every_wrapping_of_one_polygon_is_read(tmp_path: Path) -> None:
    shape = polygon(at(SQUARE))
    feature = {"type": "Feature", "properties": {}, "geometry": shape}
    wrapped = [
        shape,
        feature,
        {"type": "FeatureCollection", "features": [feature]},
        {"type": "MultiPolygon", "coordinates": [shape["coordinates"]]},
        polygon([[*corner, 812.0] for corner in at(SQUARE)]),
        polygon(at(SQUARE)[:-1]),
        polygon(at(SQUARE)[::-1]),
    ]
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps(feature))
    found = [read_area(one) for one in wrapped] + [read_area(path), read_area(str(path))]
    assert {round(area.area_m2) for area in found} == {round(found[0].area_m2)}
    east_m, north_m = distance_m(LON, LAT, LON + 0.01, LAT), distance_m(LON, LAT, LON, LAT + 0.01)
    assert found[0].area_m2 == pytest.approx(float(east_m * north_m), rel=1e-3)


def test_holes_count_and_the_plane_has_a_height() -> None:
    area = read_area(polygon(at(SQUARE), at([[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]])))
    whole = read_area(polygon(at(SQUARE)))
    assert area.area_m2 == pytest.approx(0.96 * whole.area_m2, rel=1e-4)
    assert isinstance(area.at_height(3000), Area)
    assert area.at_height(3000).area_m2 / area.area_m2 == pytest.approx((1 + 3000 / 6371008.8) ** 2, rel=1e-6)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (polygon(at([[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]])), r"Self-intersection at lon 76\.905000, lat 43\.2"),
        (polygon(), "empty"),
        (polygon([]), "fewer than three"),
        (polygon(at([[0, 0], [10, 0], [0, 0]])), "fewer than three different corners"),
        (polygon(at([[0, 0], [5, 5], [10, 10], [0, 0]])), "has no area, check that its corners"),
        (polygon(at([[0, 0], [1e-7, 0], [1e-7, 1e-7], [0, 0]])), "no area"),
        (polygon([[179.9, 10], [-179.9, 10], [-179.9, 10.1], [179.9, 10.1], [179.9, 10]]), "antimeridian"),
        (polygon([[0, 85], [1, 85], [1, 86], [0, 86], [0, 85]]), r"\[0, 85\] is polar"),
        (polygon([[0, 0], [20, 0], [20, 20], [0, 20], [0, 0]]), "at most 200 km"),
        (polygon(at([[0, 0], [float("nan"), 0], [1, 1], [0, 0]])), "corner 1 of the outer ring.*not finite"),
        (polygon([[43.2, 106.9], [43.3, 106.9], [43.3, 107.0], [43.2, 106.9]]), "look swapped"),
        (polygon([[76.9, 431.2], [77, 431.2], [77, 43.3], [76.9, 431.2]]), "not a place on earth"),
        (polygon(at(SQUARE), at([[20, 20], [22, 20], [22, 22], [20, 20]])), r"Hole lies outside shell at lon 76\.92"),
        (polygon(at(SQUARE), at([[1, 1], [9, 1], [9, 9], [1, 1]]), at([[5, 3], [6, 3], [6, 4], [5, 3]])), "nested"),
        (polygon([["a", "b"]] * 4), "not \\[lon, lat\\]"),
        (polygon([[1]] * 4), "not \\[lon, lat\\]"),
        ({"type": "Point", "coordinates": [1, 2]}, "holds 0 polygons but 1 Point"),
        ({"type": "Feature", "geometry": None}, "no geometry"),
        ({"type": "FeatureCollection", "features": []}, "0 features"),
        ({"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE]]}, "2 polygons: choose one .* 'part 1', 2"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(source: dict[str, Any], said: str) -> None:
    with pytest.raises(AreaInvalid, match=said):
        read_area(source)


def test_swapped_coordinates_that_are_places_too() -> None:
    """Almaty the other way round lies in the Barents Sea."""
    swapped = polygon([[y, x] for x, y in at(SQUARE)])
    with pytest.raises(AreaInvalid, match=r"\[43\.204\d, 76\.904\d\] lies in the open sea.*look swapped"):
        read_area(swapped)
    with pytest.raises(AreaInvalid, match=r"km from lon 76\.9000.*look swapped"):
        read_area(swapped, near=(LON, LAT))
    assert read_area(swapped, near=(43.3, 76.9)).area_m2 > 0, "where it is meant so"
    assert read_area(polygon(at(SQUARE)), near=(LON, LAT)).area_m2 > 0


@pytest.mark.parametrize(
    ("place", "at_sea"),
    [
        ((76.9, 43.2), False), ((55.5, -4.6), False), ((-25.5, 37.75), False), ((-14.37, -7.93), False),
        ((-12.3, -37.1), False), ((-0.1, 51.5), False), ((43.2, 76.9), True), ((-30.0, 40.0), True),
        ((179.99, 0.0), True), ((0.0, -90.0), False), ((180.0, 90.0), True),
    ],
)  # fmt: skip
def test_islands_are_no_open_sea(place: tuple[float, float], at_sea: bool) -> None:
    """Mahe, the Azores, Ascension and Tristan da Cunha among them."""
    assert is_open_sea(*place) is at_sea


def test_land_that_is_land_both_ways_is_not_suspected() -> None:
    for lon, lat in ((55.5, -4.6), (30.0, 50.0), (10.0, 45.0), (-60.0, -10.0)):
        assert read_area(polygon(at(SQUARE, lon, lat))).area_m2 > 0


def test_a_hundred_thousand_are_read() -> None:
    angle = np.linspace(0, 2 * np.pi, 100_000)
    ring = np.column_stack([LON + 0.01 * np.cos(angle), LAT + 0.01 * np.sin(angle)]).tolist()
    assert read_area(polygon(ring)).area_m2 == pytest.approx(np.pi * 811 * 1111, rel=0.01)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1, 2]", b'{"type": "Polygon", "coordinates": [[[NaN, 1]]]}', b"\xff\xfe"]
)
def test_files_that_are_no_geojson(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "area.geojson"
    path.write_bytes(content)
    with pytest.raises(AreaInvalid, match=r"area\.geojson"):
        read_area(path)


def test_a_missing_file() -> None:
    with pytest.raises(AreaInvalid, match="cannot be read"):
        read_area("no/such/file.geojson")
