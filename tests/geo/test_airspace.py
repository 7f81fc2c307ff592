"""Airspace: breaches as a dense look finds them, ways that are clear and shortest, areas cut to what is allowed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from datetime import time as clock

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from shapely import Polygon

from geo.airspace import Airspace, Band, touched
from geo.errors import AreaInvalid, DatumUnknown, TerrainMissing, WayBlocked
from geo.positions import Altitude, Datum, LocalPlane, distance_m
from geo.schedules import Applicability, DailyPeriod, Day
from geo.terrain import FlatTerrain
from geo.tracks import Track
from geo.volumes import Circle, Footprint, Outline, Volume4D
from geo.zones import Kind, Zone

Array = NDArray[np.float64]
LON, LAT = 71.40, 51.10
NOON_S = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()  # a Monday
PLANE = LocalPlane(lon=LON, lat=LAT)
BAND = Band(NOON_S, NOON_S + 3600.0, Altitude(30.0, Datum.AGL), Altitude(100.0, Datum.AGL))


class Slope:
    """Ground that rises to the east: 300 m AMSL at the place, 1 m on 20 m."""

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> Array:
        """Evenly sloped in longitude."""
        return 300.0 + (np.asarray(lon, float) - LON) * 70_000.0 / 20.0 + 0.0 * np.asarray(lat)


def outline(*corners: tuple[float, float], hole: tuple[tuple[float, float], ...] = ()) -> Outline:
    """A polygon of corners in m east and north of the place."""
    rings = []
    for ring in (corners, hole) if hole else (corners,):
        lon, lat = PLANE.to_lonlat(*np.array([*ring, ring[0]], float).T)
        rings.append(tuple(zip(lon.tolist(), lat.tolist(), strict=True)))
    return Outline(rings=tuple(rings))


def square(x: float, y: float, half_m: float) -> Outline:
    """About a middle, m."""
    return outline(
        (x - half_m, y - half_m), (x + half_m, y - half_m), (x + half_m, y + half_m), (x - half_m, y + half_m)
    )


def circle(x: float, y: float, radius_m: float) -> Circle:
    """About a middle, m."""
    lon, lat = PLANE.to_lonlat(x, y)
    return Circle(lon=float(lon), lat=float(lat), radius_m=radius_m)


def zone(footprint: Footprint, name: str = "Z1", kind: Kind = Kind.PROHIBITED, **limits: object) -> Zone:
    """Of one volume."""
    return Zone(id=name, kind=kind, volumes=(Volume4D(footprint=footprint, **limits),))  # type: ignore[arg-type]


def track(*rows: tuple[float, float, float, float]) -> Track:
    """Rows of s after noon, m east, m north, m AMSL."""
    utc_s, x, y, amsl_m = np.array(rows, float).T
    lon, lat = PLANE.to_lonlat(x, y)
    return Track(NOON_S + utc_s, lon, lat, amsl_m)


def place(x: float, y: float) -> tuple[float, float]:
    """Lon and lat of m east and north."""
    lon, lat = PLANE.to_lonlat(x, y)
    return float(lon), float(lat)


def test_a_breach_says_which_zone_where_and_when() -> None:
    forbidden = zone(square(0, 0, 100), lower=Altitude(50, Datum.AGL), upper=Altitude(120, Datum.AGL))
    airspace = Airspace([forbidden], FlatTerrain(300.0))
    (breach,) = airspace.breaches(track((0, -1000, 20, 400), (200, 1000, 20, 400)))
    assert breach.zone is forbidden
    assert breach.begins.utc_s == pytest.approx(NOON_S + 90, abs=0.01)
    assert breach.ends.utc_s == pytest.approx(NOON_S + 110, abs=0.01)
    assert float(distance_m(breach.begins.lon, breach.begins.lat, *place(-100, 20))) < 0.12  # 2 km straight in degrees
    assert "Z1 (prohibited)" in str(breach)
    assert "400 m AMSL" in str(breach)
    assert airspace.breaches(track((0, -1000, 20, 345), (200, 1000, 20, 345))) == ()  # 45 m: below it
    assert airspace.breaches(track((0, -1000, 20, 425), (200, 1000, 20, 425))) == ()  # 125 m: above it
    assert len(airspace.breaches(track((0, -1000, 20, 425), (200, 1000, 20, 425)), height_margin_m=10)) == 1


def test_the_margin_is_a_distance_from_the_zone() -> None:
    for footprint in (square(0, 0, 100), circle(0, 0, 100)):
        airspace = Airspace([zone(footprint)])
        beside = [(0.0, -500.0, 139.0, 400.0), (100.0, 500.0, 139.0, 400.0)]
        assert airspace.breaches(track(*beside)) == ()
        assert airspace.breaches(track(*beside), margin_m=38.9) == ()
        assert len(airspace.breaches(track(*beside), margin_m=39.1)) == 1


def test_a_hole_in_a_zone_is_free() -> None:
    ring = outline(
        (-300, -300), (300, -300), (300, 300), (-300, 300), hole=((-100, -100), (100, -100), (100, 100), (-100, 100))
    )
    first, second = Airspace([zone(ring)]).breaches(track((0, -500, 0, 400), (1000, 500, 0, 400)))
    assert (first.begins.utc_s - NOON_S, first.ends.utc_s - NOON_S) == pytest.approx((200, 400), abs=0.05)
    assert (second.begins.utc_s - NOON_S, second.ends.utc_s - NOON_S) == pytest.approx((600, 800), abs=0.05)


def test_standing_and_climbing_in_place_are_judged_too() -> None:
    airspace = Airspace([zone(square(0, 0, 100), lower=Altitude(400, Datum.AMSL))])
    (breach,) = airspace.breaches(track((0, 0, 0, 300), (100, 0, 0, 500), (200, 0, 0, 500)))
    assert breach.begins.utc_s - NOON_S == pytest.approx(50, abs=1e-3)
    assert breach.ends.utc_s - NOON_S == pytest.approx(200)
    (instant,) = airspace.breaches(track((0, 0, 0, 450)))
    assert instant.begins == instant.ends
    assert len(airspace.breaches(track((0, 0, 0, 450), (1, 0, 0, 450)))) == 1


def test_times_and_days_count() -> None:
    from_ten_past = Applicability(
        start=datetime(2026, 6, 1, 12, 1, tzinfo=UTC), end=datetime(2026, 6, 1, 12, 2, tzinfo=UTC)
    )
    mondays = Applicability(schedule=(DailyPeriod(days=(Day.MON,), start=clock(11), end=clock(12, 0, 30)),))
    tuesdays = Applicability(schedule=(DailyPeriod(days=(Day.TUE,), start=clock(11), end=clock(13)),))
    unknown = Applicability(schedule=(DailyPeriod(days=(Day.TUE,), start_event="NOON", end_event="SS"),))
    hover = track((0, 0, 0, 400), (300, 0, 0, 400))
    for times, expected in ((from_ten_past, [(60, 120)]), (mondays, [(0, 30)]), (tuesdays, []), (unknown, [(0, 300)])):
        found = Airspace([zone(square(0, 0, 50), times=(times,))]).breaches(hover)
        assert [(b.begins.utc_s - NOON_S, b.ends.utc_s - NOON_S) for b in found] == expected


def test_only_what_a_permit_opens_is_opened() -> None:
    over = track((0, 0, 0, 400), (10, 5, 0, 400))
    for kind, shut, opened in (
        (Kind.PROHIBITED, 1, 1),
        (Kind.REQ_AUTHORIZATION, 1, 0),
        (Kind.CONDITIONAL, 1, 0),
        (Kind.USPACE, 1, 0),
        (Kind.NO_RESTRICTION, 0, 0),
    ):
        zones = [zone(square(0, 0, 100), kind=kind)]
        assert len(Airspace(zones).breaches(over)) == shut
        assert len(Airspace(zones, cleared={"Z1"}).breaches(over)) == opened


def test_the_ellipsoid_is_not_the_sea_level() -> None:
    from geo import geoids

    lon, lat = place(0, 0)
    sea_m = float(geoids.amsl_m(400.0, lon, lat, datum=geoids.HeightDatum.W84))
    airspace = Airspace([zone(square(0, 0, 100), lower=Altitude(400, Datum.W84))])
    assert abs(sea_m - 400) > 20  # the geoid lies far off here
    assert airspace.breaches(track((0, 0, 0, sea_m - 0.5), (9, 1, 0, sea_m - 0.5))) == ()
    assert len(airspace.breaches(track((0, 0, 0, sea_m + 0.5), (9, 1, 0, sea_m + 0.5)))) == 1


def test_a_limit_above_ground_without_terrain_is_an_error_not_a_guess() -> None:
    over = track((0, 0, 0, 400), (10, 5, 0, 400))
    high = zone(square(0, 0, 100), lower=Altitude(0, Datum.AGL), upper=Altitude(120, Datum.AGL))
    with pytest.raises(DatumUnknown, match=r"Z1.*120 m AGL.*terrain"):
        Airspace([high]).breaches(over)
    assert Airspace([high]).breaches(track((0, 5000, 0, 400), (10, 5005, 0, 400))) == ()  # not near: no matter

    class Nowhere:
        def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> Array:
            raise TerrainMissing("tile N51E071: no height")

    with pytest.raises(TerrainMissing, match="N51E071"):
        Airspace([high], Nowhere()).breaches(over)
    over_180 = Track(np.array([0.0, 9.0]), np.array([179.9, -179.9]), np.array([51.0, 51.0]), np.array([400.0, 400.0]))
    with pytest.raises(AreaInvalid, match=r"row 0, \[179.9, 51.0\], it crosses the antimeridian"):
        Airspace([high]).breaches(over_180)
    with pytest.raises(AreaInvalid, match="row 1"):
        Airspace([high]).breaches(track((0, 0, 0, 400), (10, 5, 0, np.nan)))


def test_inclusion_zones_hold_a_flight_inside() -> None:
    west, east = zone(square(-100, 0, 100), "W", Kind.INCLUSION), zone(square(100, 0, 100), "E", Kind.INCLUSION)
    airspace = Airspace([west, east])
    assert airspace.breaches(track((0, -150, 0, 400), (300, 150, 0, 400)), margin_m=20) == ()  # over the common edge
    (out,) = airspace.breaches(track((0, 0, 0, 400), (400, 400, 0, 400)), margin_m=20)
    assert out.zone is None
    assert (out.begins.utc_s - NOON_S, out.ends.utc_s - NOON_S) == pytest.approx((180, 400), abs=0.05)
    low = zone(square(0, 0, 500), kind=Kind.INCLUSION, upper=Altitude(350, Datum.AMSL))
    (out,) = Airspace([low]).breaches(track((0, 0, 0, 300), (100, 0, 0, 400)), height_margin_m=10)
    assert out.begins.utc_s - NOON_S == pytest.approx(40, abs=1e-3)


SHAPES = st.tuples(
    st.booleans(),
    st.floats(-800, 800),
    st.floats(-800, 800),
    st.floats(40, 400),
    st.integers(0, 2**16),
    st.sampled_from([None, Datum.AGL, Datum.AMSL]),
    st.booleans(),
)


def some_zone(number: int, drawn: tuple[bool, float, float, float, int, Datum | None, bool]) -> Zone:
    """A circle, or a polygon (often concave, perhaps with a hole), with limits and times."""
    round_, x, y, size_m, seed, datum, timed = drawn
    rng = np.random.default_rng(seed)
    if round_:
        footprint: Footprint = circle(x, y, size_m)
    else:
        angles = (np.arange(9) + rng.uniform(0, 0.9, 9)) * 2 * np.pi / 9
        radii = size_m * rng.uniform(0.4, 1.0, 9)
        corners = np.column_stack([x + radii * np.cos(angles), y + radii * np.sin(angles)])
        inner = 0.3 * size_m * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]]) * 0.5 + (x, y)
        hole = tuple(map(tuple, inner.tolist())) if seed % 2 else ()
        footprint = outline(*map(tuple, corners.tolist()), hole=hole)
    low, high = (360.0, 410.0) if datum == Datum.AMSL else (55.0, 95.0)
    begin = datetime.fromtimestamp(NOON_S + float(rng.uniform(0, 200)), UTC)
    times = (Applicability(start=begin, end=datetime.fromtimestamp(begin.timestamp() + 60.0, UTC)),) if timed else ()
    limits = {} if datum is None else {"lower": Altitude(low, datum), "upper": Altitude(high, datum)}
    return zone(footprint, f"Z{number}", times=times, **limits)


def sampled_inside(
    found: Zone, way: Track, utc_s: Array, margin_m: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the track is in a zone at times, and whether it is so near to its edge that rounding decides."""
    (volume,) = found.volumes
    lon, lat, amsl_m = way.at(utc_s)
    x, y = PLANE.to_plane(lon, lat)
    if isinstance(volume.footprint, Circle):
        away_m = distance_m(lon, lat, volume.footprint.lon, volume.footprint.lat) - volume.footprint.radius_m
    else:
        metric = shapely.transform(volume.footprint.polygon(), lambda xy: np.column_stack(PLANE.to_plane(*xy.T)))
        points = shapely.points(x, y)
        away_m = np.where(shapely.contains(metric, points), -1.0, 1.0) * shapely.distance(metric.boundary, points)
    inside, doubtful = away_m < margin_m, np.abs(away_m - margin_m) < 0.1
    for limit, side in ((volume.lower, 1.0), (volume.upper, -1.0)):
        if limit is not None:
            base_m = Slope().amsl_m(lon, lat) if limit.datum == Datum.AGL else 0.0
            over_m = side * (amsl_m - base_m - limit.value_m)
            inside, doubtful = inside & (over_m > 0), doubtful | (np.abs(over_m) < 0.05)
    for times in volume.times:
        assert times.start is not None
        assert times.end is not None
        begin_s, end_s = times.start.timestamp(), times.end.timestamp()
        inside = inside & (utc_s >= begin_s) & (utc_s <= end_s)
        doubtful = doubtful | (np.abs(utc_s - begin_s) < 0.01) | (np.abs(utc_s - end_s) < 0.01)
    return inside, doubtful


@settings(max_examples=40, deadline=None)
@given(
    st.lists(SHAPES, min_size=1, max_size=4),
    st.lists(st.tuples(st.floats(-900, 900), st.floats(-900, 900), st.floats(330, 440)), min_size=2, max_size=6),
    st.sampled_from([0.0, 25.0]),
)
def test_breaches_are_what_a_dense_look_finds(
    shapes: list[tuple[bool, float, float, float, int, Datum | None, bool]],
    stops: list[tuple[float, float, float]],
    margin_m: float,
) -> None:
    zones = [some_zone(number, drawn) for number, drawn in enumerate(shapes)]
    way = track(*((40.0 * number, *stop) for number, stop in enumerate(stops)))
    breaches = Airspace(zones, Slope()).breaches(way, margin_m=margin_m)
    utc_s = np.linspace(way.utc_s[0], way.utc_s[-1], 1500)
    for one in zones:
        inside, doubtful = sampled_inside(one, way, utc_s, margin_m)
        said = np.zeros(len(utc_s), bool)
        for breach in breaches:
            if breach.zone is one:
                said |= (utc_s >= breach.begins.utc_s) & (utc_s <= breach.ends.utc_s)
        wrong = np.flatnonzero((said != inside) & ~doubtful)
        assert len(wrong) == 0, (one, utc_s[wrong[0]] - NOON_S, bool(inside[wrong[0]]))


def length_m(way: Array) -> float:
    """On the ellipsoid."""
    return float(distance_m(way[:-1, 0], way[:-1, 1], way[1:, 0], way[1:, 1]).sum())


def fine_way_m(zones: list[Zone], start: Array, end: Array, margin_m: float) -> float:
    """Shortest way through a visibility graph of all corners of finely rounded zones; infinite if there is none."""
    grown: list[Polygon] = []
    for one in zones:
        footprint = one.volumes[0].footprint
        if isinstance(footprint, Circle):
            middle = shapely.Point(*map(float, PLANE.to_plane(footprint.lon, footprint.lat)))
            grown.append(middle.buffer(footprint.radius_m + margin_m, quad_segs=24))
        else:
            metric = shapely.transform(footprint.polygon(), lambda xy: np.column_stack(PLANE.to_plane(*xy.T)))
            grown.append(metric.buffer(margin_m, quad_segs=8))
    blocked = shapely.union_all(grown)
    core = blocked.buffer(-1e-4)
    shapely.prepare(core)
    nodes = np.vstack([start, end, np.unique(shapely.get_coordinates(blocked), axis=0)])
    here, there = np.triu_indices(len(nodes), 1)
    clear = ~shapely.intersects(core, shapely.linestrings(np.stack([nodes[here], nodes[there]], axis=1)))
    here, there = here[clear], there[clear]
    graph = csr_matrix((np.hypot(*(nodes[here] - nodes[there]).T), (here, there)), shape=(len(nodes), len(nodes)))
    return float(dijkstra(graph, directed=False, indices=0)[1])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(SHAPES, min_size=1, max_size=5), st.floats(-400, 400), st.floats(-400, 400), st.sampled_from([10.0, 40.0])
)
def test_a_way_is_clear_of_zones_and_as_short_as_a_fine_search_finds(
    shapes: list[tuple[bool, float, float, float, int, Datum | None, bool]], south: float, north: float, margin_m: float
) -> None:
    zones = [some_zone(number, (*drawn[:5], None, False)) for number, drawn in enumerate(shapes)]
    start, end = np.array([-1400.0, south]), np.array([1400.0, north])
    airspace = Airspace(zones)
    way = airspace.way(place(*start), place(*end), BAND, margin_m=margin_m)
    times = NOON_S + 10.0 * np.arange(len(way))
    assert airspace.breaches(Track(times, way[:, 0], way[:, 1], np.full(len(way), 350.0)), margin_m=margin_m) == ()
    assert tuple(way[0]) == place(*start)
    assert tuple(way[-1]) == place(*end)
    assert length_m(way) <= 1.001 * fine_way_m(zones, start, end, margin_m)


def test_the_way_round_a_circle_is_two_tangents_and_an_arc() -> None:
    airspace = Airspace([zone(circle(0, 0, 480))])
    way = airspace.way(place(-1000, 0), place(1000, 0), BAND, margin_m=20)
    tangent_m = np.sqrt(1000.0**2 - 500.0**2)
    arc_m = 500.0 * (np.pi - 2 * np.arccos(0.5))
    assert length_m(way) == pytest.approx(2 * tangent_m + arc_m, rel=1e-3)
    assert length_m(way) >= 2 * tangent_m + arc_m - 0.02


def test_a_way_ignores_zones_of_other_times_heights_and_permits() -> None:
    start, end = place(-1000, 0), place(1000, 0)
    straight = np.array([start, end])
    over = zone(square(0, 0, 200), lower=Altitude(150, Datum.AGL))
    past = zone(square(0, 0, 200), times=(Applicability(end=datetime(2026, 5, 1, tzinfo=UTC)),))
    permit = zone(square(0, 0, 200), "P1", Kind.REQ_AUTHORIZATION)
    np.testing.assert_array_equal(Airspace([over, past, permit], cleared={"P1"}).way(start, end, BAND), straight)
    assert len(Airspace([permit]).way(start, end, BAND)) == 4
    # 450 m AMSL is 150 m above ground at the place and less further east
    high = zone(square(0, 0, 200), lower=Altitude(450, Datum.AMSL))
    np.testing.assert_array_equal(Airspace([high], Slope()).way(start, end, BAND), straight)
    reached = zone(square(0, 0, 200), lower=Altitude(405, Datum.AMSL))  # 100 m above the slope's eastern part: 410
    assert len(Airspace([reached], Slope()).way(start, end, BAND)) == 4


def test_no_way_names_the_zone() -> None:
    around = outline(
        (-300, -300), (300, -300), (300, 300), (-300, 300), hole=((-100, -100), (100, -100), (100, 100), (-100, 100))
    )
    inside, beside = place(0, 0), place(1000, 0)
    with pytest.raises(WayBlocked, match=r"the start.* is inside Z1"):
        Airspace([zone(square(0, 0, 100))]).way(inside, beside, BAND)
    with pytest.raises(WayBlocked, match=r"the end.* is nearer than 30 m to Z1"):
        Airspace([zone(square(0, 0, 100))]).way(beside, place(0, 120), BAND, margin_m=30)
    with pytest.raises(WayBlocked, match=r"no way from .* Z1"):
        Airspace([zone(around)]).way(inside, beside, BAND)
    with pytest.raises(WayBlocked, match="not inside the inclusion zones"):
        Airspace([zone(square(0, 0, 100), kind=Kind.INCLUSION)]).way(inside, beside, BAND)


def test_a_way_stays_inside_inclusion_zones() -> None:
    corner = outline((-500, -500), (500, -500), (500, -300), (-300, -300), (-300, 500), (-500, 500))
    airspace = Airspace([zone(corner, kind=Kind.INCLUSION), zone(square(-400, 0, 30))])
    way = airspace.way(place(450, -400), place(-400, 450), BAND, margin_m=20)
    assert len(way) > 3
    times = NOON_S + 10.0 * np.arange(len(way))
    assert airspace.breaches(Track(times, way[:, 0], way[:, 1], np.full(len(way), 350.0)), margin_m=20) == ()


def test_what_is_allowed_of_an_area_is_clear_and_what_was_cut_is_told() -> None:
    area = square(0, 0, 500).polygon()
    cut = Airspace([zone(square(500, 0, 100)), zone(square(0, 0, 480), "IN", Kind.INCLUSION)])
    left = cut.allowed(area, BAND, margin_m=20)
    (polygon,) = left.polygons
    metric = shapely.transform(polygon, lambda xy: np.column_stack(PLANE.to_plane(*xy.T)))
    assert metric.covers(shapely.box(-459, -459, 379, 459))
    assert shapely.box(-460, -460, 460, 460).buffer(0.05).covers(metric)
    assert metric.distance(shapely.box(400, -100, 600, 100)) >= 20 - 1e-3
    assert [text.split(": ")[1] for text in left.cut] == ["the outside of the inclusion zones", "Z1 (prohibited)"]
    assert Airspace([zone(square(0, 0, 600))]).allowed(area, BAND).polygons == ()
    assert Airspace([]).allowed(area, BAND).cut == ()


def test_two_hundred_flights_are_searched_for_those_that_a_new_zone_touches() -> None:
    rng = np.random.default_rng(5)
    tracks = []
    for _ in range(200):
        stops = rng.uniform(-15_000, 15_000, 2) + np.cumsum(rng.uniform(-60, 60, (200, 2)), axis=0)
        tracks.append(track(*((5.0 * row, x, y, 400.0) for row, (x, y) in enumerate(stops))))
    tracks[17] = track((0, -2000, 0, 400), (1000, 2000, 0, 400))
    tracks[42] = track((0, -2000, 0, 600), (1000, 2000, 0, 600))  # above it
    new = zone(circle(0, 0, 150), upper=Altitude(200, Datum.AGL))
    terrain = FlatTerrain(300.0)
    everyone = Airspace([new], terrain)
    expected = [number for number, one in enumerate(tracks) if everyone.breaches(one)]
    took_s = []
    for _ in range(3):
        began_s = time.process_time()
        found = touched(tracks, new, terrain)
        took_s.append(time.process_time() - began_s)
    assert sorted({number for number, _ in found}) == expected
    assert 17 in expected
    assert 42 not in expected
    assert min(took_s) < 0.5  # the bar is 5 s
    past = {number for number, _ in touched(tracks, new, terrain, after_s=NOON_S + 600)}
    assert 17 not in past  # it has left the place by then
    half = [breach for number, breach in touched(tracks, new, terrain, after_s=NOON_S + 500) if number == 17]
    assert half[0].begins.utc_s == pytest.approx(NOON_S + 500)
