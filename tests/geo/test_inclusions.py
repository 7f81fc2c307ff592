"""Ways inside inclusion zones of any shape: never out, and as short as a search through all corners finds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from shapely import Polygon

from geo.airspace import Airspace, Band
from geo.errors import DatumUnknown, WayBlocked
from geo.positions import Altitude, Datum, LocalPlane, distance_m
from geo.tracks import Track
from geo.volumes import Circle, Outline, Volume4D
from geo.zones import Kind, Zone, over_unknown_ground

Array = NDArray[np.float64]
BAND = Band(0.0, 3600.0, Altitude(30.0, Datum.AGL), Altitude(100.0, Datum.AGL))
PLACES = ((71.40, 51.10), (0.0, 51.48), (0.0, 0.0), (-70.9, -53.1))
L_SHAPE = Polygon([(-500, -500), (500, -500), (500, -300), (-300, -300), (-300, 500), (-500, 500)])


def lonlat(plane: LocalPlane, places: Array) -> Array:
    """(n, 2) of places on the plane."""
    return np.column_stack(plane.to_lonlat(*np.atleast_2d(places).T))


def zone(plane: LocalPlane, shape: Polygon, kind: Kind = Kind.INCLUSION, upper: Altitude | None = None) -> Zone:
    """Of one polygon on the plane."""
    rings = [lonlat(plane, shapely.get_coordinates(ring)) for ring in (shape.exterior, *shape.interiors)]
    footprint = Outline(rings=tuple(tuple((float(x), float(y)) for x, y in ring) for ring in rings))
    return Zone(id=f"Z{shape.area:.0f}", kind=kind, volumes=(Volume4D(footprint=footprint, upper=upper),))


def star(seed: int) -> Polygon:
    """A polygon with deep bays, somewhere within 600 m."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(5, 12))
    angles = (np.arange(count) + rng.uniform(0, 0.9, count)) * 2 * np.pi / count
    radii = 900.0 * rng.uniform(0.15, 1.0, count)
    return Polygon(rng.uniform(-600, 600, 2) + np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]))


def parts_of(shape: shapely.Geometry) -> list[shapely.Geometry]:
    """Connected pieces of a shape, as they can be flown through."""
    return [part for part in getattr(shape, "geoms", [shape]) if part.area > 0]


def by_all_corners_m(free: shapely.Geometry, start: Array, end: Array) -> float:
    """Shortest way inside a shape through a graph of all its corners; infinite where there is none."""
    wide = free.buffer(1e-3)
    shapely.prepare(wide)
    nodes = np.vstack([start, end, np.unique(shapely.get_coordinates(free), axis=0)])
    here, there = np.triu_indices(len(nodes), 1)
    clear = shapely.covers(wide, shapely.linestrings(np.stack([nodes[here], nodes[there]], axis=1)))
    here, there = here[clear], there[clear]
    graph = csr_matrix((np.hypot(*(nodes[here] - nodes[there]).T), (here, there)), shape=(len(nodes), len(nodes)))
    return float(dijkstra(graph, directed=False, indices=0)[1])


def places(plane: LocalPlane, ends: Array) -> tuple[tuple[float, float], tuple[float, float]]:
    """Start and end of a way as lon, lat."""
    (x0, y0), (x1, y1) = lonlat(plane, ends).tolist()
    return (x0, y0), (x1, y1)


def length_m(way: Array) -> float:
    """On the ellipsoid."""
    return float(distance_m(way[:-1, 0], way[:-1, 1], way[1:, 0], way[1:, 1]).sum())


def strays(airspace: Airspace, way: Array, margin_m: float) -> Sequence[object]:
    """Where a way leaves what is free."""
    return airspace.breaches(
        Track(np.arange(len(way), dtype=float), way[:, 0], way[:, 1], np.full(len(way), 50.0)), margin_m=margin_m
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 2**16), min_size=1, max_size=3),
    st.lists(st.integers(0, 2**16), max_size=2),
    st.integers(0, 2**16),
    st.sampled_from([0.0, 5.0, 20.0]),
    st.sampled_from(PLACES),
)
def test_a_way_stays_in_the_union_and_is_as_short_as_all_corners_allow(
    inside: list[int], shut: list[int], seed: int, margin_m: float, at: tuple[float, float]
) -> None:
    plane = LocalPlane(lon=at[0], lat=at[1])
    shapes = [star(number) for number in inside]
    holes = [shapely.affinity.scale(star(number), 0.3, 0.3) for number in shut]
    zones = [zone(plane, shape) for shape in shapes] + [zone(plane, hole, Kind.PROHIBITED) for hole in holes]
    airspace = Airspace(zones)

    def free(by_m: float) -> shapely.Geometry:
        left = shapely.union_all(shapes).buffer(-by_m, quad_segs=8)
        return left.difference(shapely.union_all([hole.buffer(by_m, quad_segs=8) for hole in holes]))

    wide, narrow = free(margin_m), free(1.04 * margin_m + 0.1)
    spots = np.random.default_rng(seed).uniform(-1000, 1000, (80, 2))
    spots = spots[shapely.contains_xy(narrow, *spots.T)]
    if len(spots) < 2:
        return
    start, end = spots[:2]
    ends = shapely.points(spots[:2])
    try:
        way = airspace.way(*places(plane, spots[:2]), BAND, margin_m=margin_m)
    except WayBlocked:
        assert not any(part.intersects(ends).all() for part in parts_of(narrow))
        return
    assert strays(airspace, way, margin_m) == ()
    shortest_m = by_all_corners_m(wide, start, end)
    assert shortest_m * 0.999 <= length_m(way) + 0.01, "through what is closed"
    widest_m = by_all_corners_m(narrow, start, end)
    assert length_m(way) <= 1.001 * widest_m + 0.01


def test_a_corner_is_gone_round_inside() -> None:
    for lon, lat in PLACES:
        plane = LocalPlane(lon=lon, lat=lat)
        for size in (1.0, 10.0):
            airspace = Airspace([zone(plane, shapely.affinity.scale(L_SHAPE, size, size, origin=(0, 0)))])
            ends = size * np.array([[400.0, -400.0], [-400.0, 400.0]])
            way = airspace.way(*places(plane, ends), BAND, margin_m=15.0)
            assert strays(airspace, way, 15.0) == ()
            corner = size * np.array([-300.0, -300.0])
            straight_m = 2 * float(np.hypot(*(ends[0] - corner)))
            assert straight_m < length_m(way) < straight_m + 25.0


def test_neighbours_of_unlike_limits_are_one() -> None:
    plane = LocalPlane(lon=71.40, lat=51.10)
    high, low = (zone(plane, shapely.box(*box), upper=Altitude(top_m, Datum.AGL)) for box, top_m in (
        ((-500, -100, 0, 100), 120.0), ((0, -100, 500, 100), 150.0)))  # fmt: skip
    start, end = places(plane, np.array([[-400.0, 0.0], [400.0, 0.0]]))
    way = Airspace([high, low]).way(start, end, BAND, margin_m=20.0)
    assert len(way) == 2
    above = Band(0.0, 3600.0, BAND.low, Altitude(130.0, Datum.AGL))
    with pytest.raises(WayBlocked, match=r"the start.* is not inside the inclusion zones"):
        Airspace([high, low]).way(start, end, above, margin_m=20.0)


def test_what_is_left_out_is_a_closed_frame() -> None:
    plane = LocalPlane(lon=71.40, lat=51.10)
    inclusion = Airspace([zone(plane, L_SHAPE)])

    def box(*bounds: float) -> Polygon:
        return shapely.transform(shapely.box(*bounds), lambda xy: lonlat(plane, xy))

    assert inclusion.blocked(box(-480, -480, -320, -320), BAND, margin_m=10.0) == ()
    near = box(-480, -480, 480, 480)
    (outside,) = inclusion.blocked(near, BAND, margin_m=10.0)
    assert outside.title == "the outside of the inclusion zones"
    (hole,) = outside.polygon.interiors
    free = shapely.transform(Polygon(hole), lambda xy: np.column_stack(plane.to_plane(*xy.T)))
    assert free.symmetric_difference(L_SHAPE.buffer(-10.0)).area < 600.0
    assert outside.polygon.envelope.buffer(-0.01).covers(near)
    nobody = Airspace([zone(plane, L_SHAPE, upper=Altitude(60.0, Datum.AGL))]).blocked(near, BAND)
    assert nobody[0].polygon.covers(near)


def test_without_terrain_an_inclusion_zone_of_other_heights_is_an_error() -> None:
    plane = LocalPlane(lon=71.40, lat=51.10)
    high = Altitude(500.0, Datum.AMSL)
    opened = over_unknown_ground(zone(plane, L_SHAPE, Kind.PROHIBITED, upper=high))
    assert opened.volumes[0].upper is None
    with pytest.raises(DatumUnknown, match=r"500 m AMSL needs terrain"):
        over_unknown_ground(zone(plane, L_SHAPE, upper=high))
    kept = zone(plane, L_SHAPE, upper=Altitude(120.0, Datum.AGL))
    assert over_unknown_ground(kept) is kept


def test_no_way_out_of_one_island_into_another() -> None:
    plane = LocalPlane(lon=71.40, lat=51.10)
    lon, lat = plane.to_lonlat(900.0, 0.0)
    island = Volume4D(footprint=Circle(lon=float(lon), lat=float(lat), radius_m=100.0))
    circle = Zone(id="C", kind=Kind.INCLUSION, volumes=(island,))
    start, end = places(plane, np.array([[-400.0, 0.0], [900.0, 0.0]]))
    with pytest.raises(WayBlocked, match=r"no way from .* from the outside of the inclusion zones"):
        Airspace([zone(plane, L_SHAPE), circle]).way(start, end, BAND, margin_m=20.0)
