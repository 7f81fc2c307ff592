"""Whole plans over random shapes, ground, zones and fleets, judged by what is uploaded: the mission items."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, pairwise
from typing import Any

import msgspec
import numpy as np
import rasterio
import shapely
import shapely.affinity
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fleet.air import Conditions, Wind
from fleet.endurance import Airframe, landing_cost, path_costs, takeoff_cost
from fleet.errors import FleetError
from fleet.missions import check_mission
from fleet.returns import return_margins
from geo.airspace import Airspace
from geo.camera_library import camera
from geo.errors import GeoError
from geo.pictures import pictures
from geo.positions import Altitude, Datum, LocalPlane
from geo.schedules import Applicability
from geo.terrain import GridTerrain
from geo.volumes import Circle, Outline, Volume4D
from geo.zones import Kind, Zone
from missioncontrol.errors import MissionControlError
from missioncontrol.keepouts import ZONE_MARGIN_M
from missioncontrol.patterns import OVER_CUT_M, tolerance_m
from missioncontrol.planning import ABOVE_EACH_OTHER_M, APART_M, plan
from missioncontrol.plans import Plan, VehiclePlan
from missioncontrol.requests import FacadesRequest, LookRequest, OrbitRequest, PlanRequest, WatchRequest
from missioncontrol.sites import Site
from missioncontrol.sorties import LEAST_CLEARANCE_M, Start

Array = NDArray[np.float64]

EXAMPLES = int(os.environ.get("MC_PLAN_EXAMPLES", "0"))
"""So many random ones for each property; 0: the few that are always the same."""
LON, LAT = 76.945, 43.205
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=800.0)
BEGINS = datetime(2026, 6, 1, 6, tzinfo=UTC)
CAMERA = camera("sim-wide")
TAKEOFF, WAYPOINT, RTL, SPEED, TRIGGER = 22, 16, 20, 178, 206
AT_OWN_HEIGHT = FacadesRequest | LookRequest | OrbitRequest | WatchRequest
"""Patterns that do not follow the ground."""
TOLD_MORE = 0.06
"""By this share a plan may tell more than its items take: turns of half a metre are reckoned and not uploaded."""
SMALL_M2 = 500_000.0
"""Areas below this may have `BARE_SMALL` of themselves uncovered: they are counted in few cells."""
BARE, BARE_SMALL = 0.001, 0.003
ROUNDED_M = 0.5
"""What a plane's distortion, 1e-7 deg and a centimetre may come to."""


def few(usual: int) -> Any:
    """Settings: so many examples, always the same, or as many random ones as the environment asks for."""
    return settings(
        max_examples=EXAMPLES or usual,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if EXAMPLES else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


def lonlat(points: Any) -> Array:
    east_m, north_m = np.asarray(points, float).T
    return np.column_stack(PLANE.to_lonlat(east_m, north_m))


def geojson(shape: shapely.Geometry) -> dict[str, Any]:
    tree: dict[str, Any] = shapely.geometry.mapping(shapely.transform(shape, lonlat))
    return tree


@st.composite
def shapes(draw: st.DrawFn) -> shapely.Polygon:
    """Stars, rectangles with bays, and either with a hole, m."""
    width = draw(st.floats(150.0, 520.0))
    height = draw(st.floats(150.0, 420.0))
    if draw(st.booleans()):
        shares = draw(st.lists(st.floats(0.35, 1.0), min_size=5, max_size=11))
        turns = np.linspace(0.0, 2 * np.pi, len(shares), endpoint=False)
        ring = np.column_stack([width / 2 * np.cos(turns), height / 2 * np.sin(turns)]) * np.array(shares)[:, None]
        shape = shapely.Polygon(ring)
    else:
        at, wide, deep = (draw(st.floats(*within)) for within in ((-0.4, 0.2), (0.1, 0.3), (0.3, 0.85)))
        bay = shapely.box(at * width, height / 2 - deep * height, (at + wide) * width, height)
        shape = shapely.box(-width / 2, -height / 2, width / 2, height / 2).difference(bay)
    if draw(st.booleans()):
        middle = shape.representative_point()
        hole = middle.buffer(draw(st.floats(10.0, 60.0)), quad_segs=2)
        cut = shape.difference(hole)
        if isinstance(cut, shapely.Polygon):
            shape = cut
    return shapely.affinity.translate(shape, 350.0, 250.0)


@st.composite
def terrains(draw: st.DrawFn) -> GridTerrain:
    """A slope with waves and a ridge across, cells of about 5 m."""
    row, col = np.mgrid[0:700, 0:700]
    slope, wave_m, long_cells = draw(st.floats(-0.1, 0.1)), draw(st.floats(0.0, 15.0)), draw(st.floats(15.0, 60.0))
    ridge_m, ridge_at, wide_cells = draw(st.floats(0.0, 50.0)), draw(st.integers(150, 450)), draw(st.floats(6.0, 30.0))
    along = np.radians(draw(st.floats(0.0, 180.0)))
    across = (col - ridge_at) * np.cos(along) + (row - 350) * np.sin(along)
    heights = 900 + 4.9 * slope * col + wave_m * np.sin(col / long_cells) * np.cos(row / long_cells)
    heights += ridge_m * np.exp(-((across / wide_cells) ** 2))
    return GridTerrain(heights, rasterio.Affine(6e-5, 0, LON - 0.012, 0, -4.5e-5, LAT + 0.018), name="hills")


@st.composite
def zones(draw: st.DrawFn) -> tuple[Zone, ...]:
    """None to two zones that count, and one that does not: by its height, its time or its kind."""
    found = []
    for number in range(draw(st.integers(0, 2))):
        x, y = draw(st.floats(0.0, 700.0)), draw(st.floats(0.0, 500.0))
        size = draw(st.floats(15.0, 120.0))
        if draw(st.booleans()):
            lon, lat = lonlat([(x, y)])[0].tolist()
            footprint: Circle | Outline = Circle(lon=lon, lat=lat, radius_m=size)
        else:
            corners = [(x - size, y), (x, y - size), (x + size, y), (x + size / 3, y + size), (x - size, y)]
            footprint = Outline(rings=(tuple((lon, lat) for lon, lat in lonlat(corners).tolist()),))
        upper = draw(st.sampled_from([None, Altitude(500.0, Datum.AGL), Altitude(2000.0, Datum.AMSL)]))
        found.append(
            Zone(id=f"KEEP{number}", kind=Kind.PROHIBITED, volumes=(Volume4D(footprint=footprint, upper=upper),))
        )
    everywhere = Circle(lon=LON, lat=LAT, radius_m=2000.0)
    free = draw(st.sampled_from(["none", "high", "later", "unrestricted"]))
    if free == "high":
        volume = Volume4D(footprint=everywhere, lower=Altitude(1500.0, Datum.AMSL))
        found.append(Zone(id="HIGH", kind=Kind.PROHIBITED, volumes=(volume,)))
    elif free == "later":
        times = (Applicability(start=datetime(2026, 6, 3, tzinfo=UTC)),)
        found.append(Zone(id="LATER", kind=Kind.PROHIBITED, volumes=(Volume4D(footprint=everywhere, times=times),)))
    elif free == "unrestricted":
        found.append(Zone(id="FREE", kind=Kind.NO_RESTRICTION, volumes=(Volume4D(footprint=everywhere),)))
    return tuple(found)


@st.composite
def sites(draw: st.DrawFn, most: int = 3) -> tuple[Site, tuple[Zone, ...]]:
    """One to three vehicles with batteries from ample to small, ground, zones and wind."""
    count = draw(st.integers(1, most))
    places = lonlat([(-60.0 - 30.0 * number, -40.0) for number in range(count)])
    starts = tuple(Start(sysid=number + 1, lon=lon, lat=lat) for number, (lon, lat) in enumerate(places.tolist()))
    airframes = {start.sysid: Airframe(battery_wh=draw(st.sampled_from([177.6, 80.0, 60.0]))) for start in starts}
    wind = Wind.blowing(draw(st.floats(0.0, 6.0)), draw(st.floats(0.0, 359.0)))
    terrain = draw(terrains())
    drawn = draw(zones())
    airspace = Airspace(drawn, terrain) if drawn else None
    conditions = Conditions(wind=wind)
    return Site(starts, terrain, airframes, {}, conditions, airspace, (), BEGINS.timestamp()), drawn


@st.composite
def surveys(draw: st.DrawFn) -> tuple[shapely.Polygon, dict[str, Any]]:
    """An area, and how it is to be seen."""
    area = draw(shapes())
    return area, {
        "kind": "survey",
        "area": geojson(area),
        "camera": "sim-wide",
        "height_m": draw(st.floats(40.0, 100.0)),
        "front_overlap": 60.0,
        "side_overlap": draw(st.sampled_from([20.0, 50.0, 70.0])),
    }


@dataclass(frozen=True)
class Flown:
    """What a vehicle does that follows its items: straight from place to place, then home at the height it has."""

    path: Array
    """(k, 3) x, y on the plane, m AMSL, from above the take-off to above home."""
    lit: NDArray[np.bool_]
    """(k - 1,) whether pictures are taken on the way from one to the next."""
    holds_s: Array
    """(k,) standing still, s."""
    speed_m_s: float
    """Ordered."""

    @classmethod
    def of(cls, part: VehiclePlan, home_amsl_m: float) -> Flown:
        rows: list[tuple[float, float, float]] = []
        lit, holds, speed_m_s, on = [], [], 0.0, False
        for item in part.items:
            if item.command in (TAKEOFF, WAYPOINT):
                east_m, north_m = PLANE.to_plane(item.y / 1e7, item.x / 1e7)
                rows.append((float(east_m), float(north_m), home_amsl_m + item.z))
                lit.append(on)
                holds.append(item.params[0] if item.command == WAYPOINT else 0.0)
            elif item.command == TRIGGER:
                on = item.params[0] > 0
            elif item.command == SPEED:
                speed_m_s = item.params[1]
        assert part.items[-1].command == RTL
        rows.append((*rows[0][:2], rows[-1][2]))
        return cls(np.array(rows), np.array([*lit[1:], False]), np.array([*holds, 0.0]), speed_m_s)

    def every(self, step_m: float = 2.0) -> tuple[Array, NDArray[np.int64]]:
        """Places (n, 3) all along, and the piece each lies on."""
        counts = np.maximum(2, np.ceil(np.hypot(*np.diff(self.path[:, :2], axis=0).T) / step_m).astype(int) + 1)
        places = [
            np.linspace(before, after, count)
            for (before, after), count in zip(pairwise(self.path), counts, strict=True)
        ]
        return np.concatenate(places), np.repeat(np.arange(len(counts)), counts)

    def lines(self) -> shapely.Geometry:
        """All on which pictures are taken."""
        return shapely.union_all([shapely.LineString(piece[:, :2]) for piece in self._lit()])

    def _lit(self) -> Iterator[Array]:
        for number in np.flatnonzero(self.lit).tolist():
            yield self.path[number : number + 2]


def height_m(site: Site, start: Start) -> float:
    assert site.terrain is not None
    return float(site.terrain.amsl_m(start.lon, start.lat))


def judge(made: Plan, request: PlanRequest, site: Site, drawn: tuple[Zone, ...]) -> list[Flown]:
    """What holds for every plan; gives what was flown."""
    assert site.terrain is not None
    starts = {start.sysid: start for start in site.starts}
    flights = []
    for part in made.vehicles:
        check_mission(list(part.items))
        start = starts[part.sysid]
        flown = Flown.of(part, height_m(site, start))
        flights.append(flown)
        assert np.hypot(*(flown.path[0, :2] - PLANE.to_plane(start.lon, start.lat))) < ROUNDED_M
        above_ground(flown, request, site)
        clear_of_zones(flown, part, site, drawn)
        within_endurance(flown, part, site)
    separated(made, flights, site)
    assert plan(request, site).hash == made.hash
    return flights


def above_ground(flown: Flown, request: PlanRequest, site: Site) -> None:
    assert site.terrain is not None
    assert request.height_m is not None
    places, pieces = flown.every()
    above_m = places[:, 2] - site.terrain.amsl_m(*lonlat(places[:, :2]).T)
    lowest = int(np.argmin(above_m))
    said = f"{above_m[lowest]:.1f} m above the ground at {places[lowest]}"
    assert above_m[lowest] >= LEAST_CLEARANCE_M - ROUNDED_M, said
    on_lines = above_m[flown.lit[pieces]]
    if len(on_lines) and not isinstance(request, AT_OWN_HEIGHT):
        assert on_lines.min() >= request.height_m - tolerance_m(request.height_m) - ROUNDED_M


def clear_of_zones(flown: Flown, part: VehiclePlan, site: Site, drawn: tuple[Zone, ...]) -> None:
    track = part.track(site.begins_utc_s)
    assert track is not None
    if site.airspace is not None:
        assert site.airspace.breaches(track) == ()
    places = shapely.points(flown.every()[0][:, :2])
    for footprint in counting(drawn):
        nearest_m = float(shapely.distance(footprint, places).min())
        assert nearest_m >= ZONE_MARGIN_M - ROUNDED_M, f"{nearest_m:.1f} m from a zone"


def counting(drawn: tuple[Zone, ...]) -> list[shapely.Geometry]:
    """Footprints of the zones that count, on the plane."""
    found = []
    for zone in drawn:
        footprint = zone.volumes[0].footprint
        if zone.id.startswith("KEEP") and isinstance(footprint, Circle):
            east_m, north_m = PLANE.to_plane(footprint.lon, footprint.lat)
            found.append(shapely.Point(float(east_m), float(north_m)).buffer(footprint.radius_m, quad_segs=64))
        elif zone.id.startswith("KEEP"):
            found.append(
                shapely.transform(footprint.polygon(), lambda xy: np.column_stack(PLANE.to_plane(xy[:, 0], xy[:, 1])))
            )
    return found


def costs(flown: Flown, part: VehiclePlan, site: Site) -> tuple[Array, Array]:
    """Time, s, and energy, Wh, of take-off, each piece and landing, of what the items say."""
    assert site.terrain is not None
    airframe = site.airframe(part.sysid)
    ground_m = site.terrain.amsl_m(*lonlat(flown.path[:, :2]).T)
    up = takeoff_cost(airframe, climb_m=float(flown.path[0, 2] - ground_m[0]), conditions=site.conditions)
    down = landing_cost(airframe, descent_m=float(flown.path[-1, 2] - ground_m[-1]), conditions=site.conditions)
    seconds, watt_hours = path_costs(
        airframe,
        flown.path,
        speed_m_s=flown.speed_m_s,
        ground_amsl_m=ground_m,
        holds_s=flown.holds_s,
        conditions=site.conditions,
    )
    return (
        np.array([up.duration_s, *seconds, down.duration_s]),
        np.array([up.energy_wh, *watt_hours, down.energy_wh]),
    )


def within_endurance(flown: Flown, part: VehiclePlan, site: Site) -> None:
    usable_wh = site.usable_wh(part.sysid)
    seconds, watt_hours = costs(flown, part, site)
    told = f"{watt_hours.sum():.2f} Wh in {seconds.sum():.1f} s, told {part.energy_wh} Wh in {part.duration_s} s"
    assert -0.01 < part.energy_wh / watt_hours.sum() - 1.0 < TOLD_MORE, told
    assert -0.01 < part.duration_s / seconds.sum() - 1.0 < TOLD_MORE, told
    assert watt_hours.sum() <= usable_wh
    home = flown.path[-1]
    assert site.terrain is not None
    margins = return_margins(
        site.airframe(part.sysid),
        flown.path,
        landings=np.array([[home[0], home[1], float(site.terrain.amsl_m(*lonlat(home[None, :2])[0]))]]),
        usable_wh=usable_wh,
        speed_m_s=flown.speed_m_s,
        return_amsl_m=float(home[2]),
        used_wh=float(watt_hours[0]),
        ground_amsl_m=site.terrain.amsl_m(*lonlat(flown.path[:, :2]).T),
        holds_s=flown.holds_s,
        conditions=site.conditions,
        step_m=20.0,
    )
    assert margins.margin_wh.min() >= -0.01 * usable_wh


def separated(made: Plan, flights: list[Flown], site: Site) -> None:
    """Of one round, at any time in the air."""
    airborne = []
    for part, flown in zip(made.vehicles, flights, strict=True):
        at_s = part.delay_s + np.cumsum(costs(flown, part, site)[0][:-1])
        airborne.append((part.sortie, at_s, flown.path))
    for (round_a, times_a, path_a), (round_b, times_b, path_b) in combinations(airborne, 2):
        if round_a != round_b:
            continue
        times = np.arange(max(times_a[0], times_b[0]), min(times_a[-1], times_b[-1]), 0.2)
        one, other = (
            np.column_stack([np.interp(times, at_s, path[:, axis]) for axis in range(3)])
            for at_s, path in ((times_a, path_a), (times_b, path_b))
        )
        across_m, up_m = np.hypot(*(one - other)[:, :2].T), np.abs(one - other)[:, 2]
        close = (across_m < APART_M - ROUNDED_M) & (up_m < ABOVE_EACH_OTHER_M - ROUNDED_M)
        assert not close.any(), f"{across_m[close].min():.1f} m apart, {up_m[close].min():.1f} m in height"


def planned(request: PlanRequest, site: Site) -> Plan | None:
    """A plan, or None where it is refused in words of ours."""
    try:
        return plan(request, site)
    except (GeoError, FleetError, MissionControlError) as exc:
        event("refused")
        note(f"refused: {exc}")
        return None


@few(10)
@given(asked=surveys(), where=sites())
def test_a_survey_is_covered_inside_clear_above_ground_within_endurance_and_separated(
    asked: tuple[shapely.Polygon, dict[str, Any]], where: tuple[Site, tuple[Zone, ...]]
) -> None:
    area, fields = asked
    site, drawn = where
    request = msgspec.convert({**fields, "vehicles": [start.sysid for start in site.starts]}, PlanRequest)
    made = planned(request, site)
    if made is None:
        return
    event("planned")
    note(f"{made.sorties} flights: {made.warnings}")
    flights = judge(made, request, site, drawn)
    swath_m = pictures(CAMERA, height_m=fields["height_m"], side_overlap=fields["side_overlap"]).swath_m
    kept_m = 1.02 * (ZONE_MARGIN_M + OVER_CUT_M + 1.0)
    left = area
    for footprint in counting(drawn):
        left = left.difference(footprint.buffer(kept_m))
    lines = shapely.union_all([flown.lines() for flown in flights])
    bare = left.difference(lines.buffer(swath_m / 2, quad_segs=32)).area / left.area
    bare_said = any("lies between or beyond the lines" in said for said in made.warnings)
    assert bare <= (BARE_SMALL if left.area < SMALL_M2 else BARE) or bare_said, f"{100 * bare:.2f} % uncovered"
    assert lines.difference(area.buffer(swath_m / 2 + ROUNDED_M)).length < ROUNDED_M


@st.composite
def errands(draw: st.DrawFn) -> dict[str, Any]:
    """A request of any pattern but the survey."""
    places = lonlat(draw(st.lists(st.tuples(st.floats(50.0, 650.0), st.floats(50.0, 450.0)), min_size=3, max_size=6)))
    point = {"type": "Point", "coordinates": places[0].tolist()}
    line = {"type": "LineString", "coordinates": places.tolist()}
    metres = st.floats(30.0, 150.0)
    particular = {
        "waypoints": {"line": line},
        "corridor": {"line": line, "width_m": draw(metres), "side": draw(st.sampled_from(["both", "left", "right"]))},
        "patrol": {"area": geojson(draw(shapes())), "inset_m": draw(st.floats(0.0, 15.0))},
        "orbit": {"place": point, "radius_m": draw(metres), "turns": 1.3, "end_height_m": draw(metres)},
        "facades": {
            "area": geojson(shapely.box(*draw(metres.map(lambda at: (at, at, at + 40.0, at + 25.0))))),
            "structure_height_m": draw(st.floats(12.0, 60.0)),
            "standoff_m": draw(st.floats(15.0, 30.0)),
        },
        "visits": {"places": {"type": "MultiPoint", "coordinates": places.tolist()}, "hold_s": 5.0},
        "search": {"place": point, "radius_m": draw(metres), "shape": draw(st.sampled_from(["square", "sectors"]))},
        "look": {"place": point, "hold_s": 30.0},
        "watch": {"place": point, "duration_s": 900.0},
    }
    kind = draw(st.sampled_from(sorted(particular)))
    return {"kind": kind, "camera": "sim-wide", "height_m": draw(st.floats(40.0, 100.0)), **particular[kind]}


@few(16)
@given(fields=errands(), where=sites(most=2))
def test_every_other_pattern_is_clear_above_ground_within_endurance_and_separated(
    fields: dict[str, Any], where: tuple[Site, tuple[Zone, ...]]
) -> None:
    site, drawn = where
    request = msgspec.convert({**fields, "vehicles": [start.sysid for start in site.starts]}, PlanRequest)
    made = planned(request, site)
    event(f"{fields['kind']} {'refused' if made is None else 'planned'}")
    if made is not None:
        judge(made, request, site, drawn)
