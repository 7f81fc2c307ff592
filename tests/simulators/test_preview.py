"""Plans on the simulated vehicle: flown to the landing, and what goes wrong is told."""

from __future__ import annotations

import time

import msgspec
import pytest

from fleet.air import Conditions, Wind
from fleet.airframes import Airframe
from fleet.fences import FencePolygon, RallyPoint
from fleet.missions import MissionItem, mission_hash
from geo.terrain import FlatTerrain
from missioncontrol.errors import InputInvalid
from missioncontrol.planning import plan
from missioncontrol.plans import Plan
from missioncontrol.previews import Circumstances, Preview, fly_preview, simulator
from missioncontrol.safety import with_safety
from simulators.preview import SimulatedFlights
from tests.missioncontrol.test_patterns import GROUND_M, lonlat, request, site


@pytest.fixture(scope="module")
def way() -> Plan:
    return plan(request("waypoints"), site())


def preview(made: Plan, **changes: object) -> Preview:
    return fly_preview(made, Circumstances(**{"terrain": FlatTerrain(GROUND_M), **changes}), by=simulator())  # type: ignore[arg-type]


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_a_plan_is_flown_much_faster_than_real_time(way: Plan, autopilot: str) -> None:
    began_s = time.process_time()
    (flight,) = preview(way, autopilot=autopilot).flights
    assert flight.duration_s / (time.process_time() - began_s) > 50.0
    assert flight.landed
    assert not flight.failed
    assert flight.duration_s == pytest.approx(flight.planned_duration_s, rel=0.2)
    assert flight.energy_wh == pytest.approx(flight.planned_energy_wh, rel=0.2)
    assert flight.cross_track_m < 5.0
    assert flight.height_error_m < 5.0


def test_the_same_plan_flies_the_same_way_again_and_another_seed_another(way: Plan) -> None:
    wind = Conditions(wind=Wind.blowing(5.0, 270.0))
    once, again, other = (preview(way, conditions=wind, seed=seed) for seed in (1, 1, 2))
    assert once == again
    assert once != other


def test_wind_costs_energy(way: Plan) -> None:
    calm, windy = (preview(way, conditions=Conditions(wind=Wind.blowing(speed, 270.0))) for speed in (0.0, 8.0))
    assert windy.wind_m_s == pytest.approx(8.0 * 5.0**0.2, rel=0.01)
    assert windy.energy_wh > 1.08 * calm.energy_wh


def test_a_battery_that_is_too_small_is_told_before_it_falls(way: Plan) -> None:
    weak = Airframe(battery_wh=1.15 * way.energy_wh / 0.85)
    low = preview(way, airframes={1: weak})
    small = preview(way, airframes={1: Airframe(battery_wh=0.8 * way.energy_wh)})
    assert low.flights[0].battery_percent > small.flights[0].battery_percent
    assert not small.flights[0].landed
    assert any("attery" in said for said in small.words), small.words


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_a_fence_across_the_way_is_a_failure(way: Plan, autopilot: str) -> None:
    safe = with_safety(way, fence_margin_m=40.0, lost_link=None)
    assert preview(safe, autopilot=autopilot).flights[0].landed
    ring = tuple((lon, lat) for lon, lat in lonlat([(-150, -150), (300, -150), (300, 300), (-150, 300)]))
    part = msgspec.structs.replace(safe.vehicles[0], fence=(FencePolygon(ring=ring),))
    (flight,) = preview(msgspec.structs.replace(safe, vehicles=(part,)), autopilot=autopilot).flights
    assert not flight.landed
    assert flight.failed
    assert flight.cross_track_m < 30.0


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_rally_points_go_aboard_and_are_a_place_to_land(way: Plan, autopilot: str) -> None:
    (place,) = lonlat([(560.0, 160.0)])
    rally = (RallyPoint(lon=place[0], lat=place[1], height_m=40.0),)
    part = msgspec.structs.replace(way.vehicles[0], rally=rally)
    flown = SimulatedFlights().fly(part, FlatTerrain(GROUND_M), Circumstances(autopilot=autopilot), lambda time_s: None)
    assert (flown.lon[-1], flown.lat[-1]) == pytest.approx(place, abs=5e-5)
    assert preview(msgspec.structs.replace(way, vehicles=(part,)), autopilot=autopilot).flights[0].landed


def test_what_the_vehicle_refuses_is_told(way: Plan) -> None:
    items = (*way.vehicles[0].items[:-1], MissionItem(frame=2, command=4711))
    part = msgspec.structs.replace(way.vehicles[0], items=items, hash=mission_hash(list(items)))
    (flight,) = preview(msgspec.structs.replace(way, vehicles=(part,))).flights
    assert not flight.landed
    assert "mission" in flight.failed[0]
    with pytest.raises(InputInvalid, match="betaflight"):
        preview(way, autopilot="betaflight")
