"""Dispatch: a call, 50 vehicles, 5 000 zones, a DEM: who shows the place first, and the plan for that one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import shapely
from run import DATA, Peers, in_turn, line, say

from fleet.telemetry import Battery, Condition, TelemetryState
from geo.airspace import Airspace
from geo.camera_library import camera
from geo.errors import GeoError
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import GridTerrain
from geo.volumes import Circle, Outline, Volume4D
from geo.zones import Kind, Zone
from missioncontrol.dispatching import Call, Candidate, look_height_m, rank
from missioncontrol.errors import InputInvalid
from missioncontrol.planning import plan
from missioncontrol.plans import Plan
from missioncontrol.requests import LookRequest
from missioncontrol.sites import Site
from missioncontrol.sorties import Start

LON, LAT = 76.90, 43.28
ZONES, HALF_M = 5000, 40_000.0
VEHICLES, RUNS = 50, 9
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=0.0)
CAMERA, GSD_M, HOLD_S, NOW_S = "sim-wide", 0.10, 180.0, 1_790_000_000.0


def compare(_: Peers) -> Iterator[dict[str, Any]]:
    """The peer is what one would write first: a plan for each vehicle, one after the other, and the soonest of them."""
    terrain = GridTerrain.from_file(DATA / "dem" / "N43E076.hgt.zip")
    rng = np.random.default_rng(5)
    zones = [_zone(number, rng) for number in range(ZONES)]
    airspace = Airspace(zones, terrain)
    wide = shapely.union_all([shapely.buffer(zone.volumes[0].footprint.polygon(), 5e-4) for zone in zones])
    lon, lat = _free(wide, rng, 1500.0)
    call = Call(
        lon=lon, lat=lat, kind="fire", gsd_m=GSD_M, hold_s=HOLD_S, begins_utc_s=NOW_S, terrain=terrain
    )  # fmt: skip
    for reach_m in (4000.0, 8000.0):
        vehicles = [_vehicle(number + 1, _free(wide, rng, reach_m), airspace, rng) for number in range(VEHICLES)]
        yield from _compared(call, vehicles, airspace, reach_m)


def _compared(call: Call, vehicles: list[Candidate], airspace: Airspace, reach_m: float) -> Iterator[dict[str, Any]]:
    ours, theirs = _soonest(call, vehicles, airspace), _soonest_of_all(call, vehicles, airspace)
    say(f"dispatch: {reach_m:g} m: ours {ours[0]} in {ours[1]:.0f} s, of all plans {theirs[0]} in {theirs[1]:.0f} s")
    if abs(ours[1] - theirs[1]) > 0.15 * theirs[1]:
        raise RuntimeError(f"the two disagree about the soonest: {ours} and {theirs}")
    for clock, name in ((time.perf_counter, "wall"), (time.process_time, "processor")):
        mine, other = in_turn(
            RUNS,
            lambda clock=clock: _lasts(clock, lambda: _soonest(call, vehicles, airspace)),  # type: ignore[misc]
            lambda clock=clock: _lasts(clock, lambda: _soonest_of_all(call, vehicles, airspace)),  # type: ignore[misc]
        )
        yield line(
            job="dispatch",
            case=f"{VEHICLES} vehicles within {reach_m / 1000:g} km, {ZONES} zones, ranking and plan, {name} time",
            peer="a plan for each vehicle",
            peer_version="ours",
            ours=mine,
            theirs=other,
            unit="s",
            lower=True,
        )


def _lasts(clock: Callable[[], float], call: Callable[[], object]) -> float:
    begin_s = clock()
    call()
    return clock() - begin_s


def _soonest(call: Call, vehicles: list[Candidate], airspace: Airspace) -> tuple[int, float]:
    """Who is sent, and when it would be there by its plan, s."""
    ranking = rank(vehicles, call)
    best = ranking[0]
    made = _plan(call, vehicles[best.sysid - 1], airspace, best.speed_m_s or 10.0)
    return best.sysid, _stands_s(made)


def _soonest_of_all(call: Call, vehicles: list[Candidate], airspace: Airspace) -> tuple[int, float]:
    found = []
    for vehicle in vehicles:
        try:
            made = _plan(call, vehicle, airspace, 0.9 * vehicle.airframe.max_m_s)
        except (InputInvalid, GeoError):
            continue
        battery = vehicle.state.battery
        assert battery is not None
        if len(made.vehicles) == 1 and (battery.remaining_percent or 0.0) - made.vehicles[0].battery_percent >= 20.0:
            found.append((_stands_s(made), vehicle.sysid))
    at_s, sysid = min(found)
    return sysid, at_s


def _plan(call: Call, vehicle: Candidate, airspace: Airspace, speed_m_s: float) -> Plan:
    position = vehicle.state.position
    assert position is not None
    request = LookRequest(
        place={"type": "Point", "coordinates": [call.lon, call.lat]},
        camera=CAMERA,
        height_m=look_height_m(camera(CAMERA), call.gsd_m),
        front_overlap=0.0,
        side_overlap=0.0,
        speed_m_s=speed_m_s,
        hold_s=call.hold_s,
        vehicles=(vehicle.sysid,),
    )
    start = Start(sysid=vehicle.sysid, lon=position.lon, lat=position.lat)
    return plan(request, Site((start,), call.terrain, airspace=airspace, begins_utc_s=call.begins_utc_s))


def _stands_s(made: Plan) -> float:
    """When it stands where it looks from, s after the order: the long stay begins."""
    times = np.array(made.vehicles[0].times_s)
    stay = int(np.argmax(np.diff(times) > 0.9 * HOLD_S))
    return float(times[stay + 1] - HOLD_S)


def _vehicle(sysid: int, lonlat: tuple[float, float], airspace: Airspace, rng: np.random.Generator) -> Candidate:
    position = Position(lon=lonlat[0], lat=lonlat[1], altitude=Altitude(800.0, Datum.AMSL))
    state = TelemetryState(
        sysid=sysid,
        condition=Condition.READY,
        landed=True,
        position=position,
        battery=Battery(remaining_percent=float(rng.uniform(60, 100))),
    )
    return Candidate(sysid=sysid, name=f"vehicle {sysid}", state=state, camera=camera(CAMERA), airspace=airspace)


def _free(wide: shapely.Geometry, rng: np.random.Generator, reach_m: float) -> tuple[float, float]:
    """A place outside of all zones."""
    while True:
        lon, lat = (float(value) for value in PLANE.to_lonlat(*rng.uniform(-reach_m, reach_m, 2)))
        if not shapely.contains_xy(wide, lon, lat):
            return lon, lat


def _zone(number: int, rng: np.random.Generator) -> Zone:
    """A circle or a polygon of 12 corners, 60 to 500 m across the middle, up to 120 m above ground."""
    x, y = rng.uniform(-HALF_M, HALF_M, 2)
    size_m = rng.uniform(60, 500)
    footprint: Circle | Outline
    if number % 3 == 0:
        lon, lat = PLANE.to_lonlat(x, y)
        footprint = Circle(lon=float(lon), lat=float(lat), radius_m=size_m)
    else:
        angles = (np.arange(12) + rng.uniform(0, 0.9, 12)) * np.pi / 6
        radii = size_m * rng.uniform(0.5, 1.0, 12)
        lon, lat = PLANE.to_lonlat(x + radii * np.cos(angles), y + radii * np.sin(angles))
        corners = tuple(zip([*lon.tolist(), float(lon[0])], [*lat.tolist(), float(lat[0])], strict=True))
        footprint = Outline(rings=(corners,))
    volume = Volume4D(footprint=footprint, lower=Altitude(0.0, Datum.AGL), upper=Altitude(120.0, Datum.AGL))
    return Zone(id=f"Z{number}", kind=Kind.PROHIBITED, volumes=(volume,))
