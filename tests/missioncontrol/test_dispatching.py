"""Dispatching: the vehicle that shows the place first comes first, and what stands against the others is said."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely

from fleet.air import Conditions, Wind
from fleet.airframes import Airframe
from fleet.batteries import BatteryState
from fleet.telemetry import Battery, Condition, LinkCondition, TelemetryState
from geo.airspace import Airspace
from geo.camera_library import camera
from geo.obstacles import Obstacle
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import FlatTerrain, GridTerrain
from geo.volumes import Circle, Volume4D
from geo.zones import Kind, Zone
from missioncontrol.dispatch_settings import DispatchSettings, KindView, LinkArea
from missioncontrol.dispatching import Call, Candidate, Ranked, look_height_m, rank
from missioncontrol.errors import SettingsInvalid
from missioncontrol.planning import plan
from missioncontrol.requests import LookRequest
from missioncontrol.sites import Site
from missioncontrol.sorties import Start
from tests.missioncontrol.conftest import make_settings, running, udp_port, until

LON, LAT, GROUND_M, NOW_S = 76.945, 43.238, 800.0, 1_790_000_000.0
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=GROUND_M)
FLAT = FlatTerrain(GROUND_M)


def lonlat(east_m: float, north_m: float) -> tuple[float, float]:
    lon, lat = PLANE.to_lonlat(east_m, north_m)
    return float(lon), float(lat)


def vehicle(sysid: int, east_m: float, north_m: float, *, percent: float | None = 100.0, **more: Any) -> Candidate:
    """One that stands so far from the place."""
    lon, lat = lonlat(east_m, north_m)
    state = {
        "condition": Condition.READY,
        "landed": True,
        "position": Position(lon=lon, lat=lat, altitude=Altitude(GROUND_M, Datum.AMSL)),
        "battery": Battery(remaining_percent=percent),
        "last_heard_utc_s": NOW_S - 1.0,
        **{key: more.pop(key) for key in list(more) if key in TelemetryState.__struct_fields__},
    }
    whole = {"name": f"vehicle {sysid}", "camera": camera("sim-wide"), **more}
    return Candidate(sysid=sysid, state=TelemetryState(sysid=sysid, **state), **whole)


def call(**more: Any) -> Call:
    usual = {"kind": "fire", "gsd_m": 0.12, "hold_s": 120.0, "begins_utc_s": NOW_S, "terrain": FLAT}
    return Call(lon=LON, lat=LAT, **{**usual, **more})


def zone(east_m: float, north_m: float, radius_m: float) -> Zone:
    lon, lat = lonlat(east_m, north_m)
    volume = Volume4D(footprint=Circle(lon=lon, lat=lat, radius_m=radius_m), lower=Altitude(0.0, Datum.AGL), upper=None)
    return Zone(id="Z1", kind=Kind.PROHIBITED, volumes=(volume,))


def within(candidate: Candidate, airspace: Airspace) -> Candidate:
    return replace(candidate, airspace=airspace)


def order(found: tuple[Ranked, ...]) -> list[int]:
    return [one.sysid for one in found]


def said(found: tuple[Ranked, ...], sysid: int) -> str:
    return "; ".join(next(one for one in found if one.sysid == sysid).against)


def test_the_nearest_ready_one_comes_first_and_its_time_is_that_of_the_plan() -> None:
    found = rank([vehicle(1, 2500, 0), vehicle(2, 0, -1200), vehicle(3, -1800, 900)], call())
    assert order(found) == [2, 3, 1]
    assert all(one.fit and not one.against for one in found)
    best = found[0]
    lon, lat = lonlat(0, -1200)
    request = LookRequest(
        place={"type": "Point", "coordinates": [LON, LAT]},
        camera="sim-wide",
        height_m=look_height_m(camera("sim-wide"), 0.12),
        front_overlap=0.0,
        speed_m_s=best.speed_m_s,
        hold_s=120.0,
        vehicles=(2,),
    )
    made = plan(request, Site((Start(sysid=2, lon=lon, lat=lat),), FLAT))
    (part,) = made.vehicles
    hold = next(item for item in part.items if item.params[0] == 120.0)
    assert (hold.y / 1e7, hold.x / 1e7) == pytest.approx((best.lon, best.lat), abs=1e-6)
    stands_s = next(after for before, after in pairwise(part.times_s) if after - before > 100)
    assert best.first_picture_s == pytest.approx(stands_s - 120.0, rel=0.07)
    assert best.energy_wh == pytest.approx(made.energy_wh, rel=0.1)
    assert best.gsd_cm is not None
    assert best.gsd_cm <= 12.0


def test_a_zone_between_makes_the_nearer_one_the_later_one() -> None:
    near, far = vehicle(1, 0, -1500), vehicle(2, 1900, 0)
    assert order(rank([near, far], call())) == [1, 2]
    air = Airspace([zone(0, -900, 420)], FLAT)
    zoned = [within(each, air) for each in (near, far)]
    found = rank(zoned, call())
    before = rank([near], call())[0]
    after = next(one for one in found if one.sysid == 1)
    assert after.fit
    assert after.way_m is not None
    assert before.way_m is not None
    assert after.way_m > before.way_m + 60
    ring = Airspace([zone(0, -1500, 300)], FLAT)
    found = rank([within(near, ring), far], call())
    assert order(found) == [2, 1]
    assert "zones" in said(found, 1)


def test_a_weak_battery_is_said_with_what_is_needed() -> None:
    found = rank([vehicle(1, 0, -800, percent=36.0), vehicle(2, 1900, 0)], call())
    assert order(found) == [2, 1]
    assert not found[1].fit
    assert "36 %" in said(found, 1)
    assert "Wh are needed" in said(found, 1)
    unknown = rank([vehicle(1, 0, -800, percent=None)], call())
    assert "does not tell what its battery holds" in said(unknown, 1)
    aged = vehicle(3, 2600, 0, percent=80.0)
    spent = replace(aged, battery=BatteryState(capacity_share=0.6))
    assert [rank([each], call())[0].fit for each in (aged, spent)] == [True, False]


def test_against_the_wind_is_slower_than_across_it_and_too_strong_a_wind_is_said() -> None:
    west_wind = Conditions(wind=Wind.blowing(7.0, 270.0))
    upwind, across = vehicle(1, 1500, 0), vehicle(2, 0, 1600)
    assert order(rank([upwind, across], call())) == [1, 2]
    assert order(rank([upwind, across], call(conditions=west_wind))) == [2, 1]
    slow = replace(across, airframe=Airframe(max_m_s=9.0))
    found = rank([slow, upwind], call(conditions=Conditions(wind=Wind.blowing(9.0, 270.0))))
    assert order(found) == [1, 2]
    assert said(found, 2).startswith("wind: ")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"condition": Condition.UNKNOWN}, "not heard yet"),
        ({"condition": Condition.LOST, "last_heard_utc_s": NOW_S - 40.0}, "not heard for 40 s"),
        ({"condition": Condition.FLYING, "landed": False, "armed": True}, "in the air"),
        ({"system_status": 5}, "failsafe"),
        ({"link": LinkCondition.NO_UPLINK}, "does not answer"),
        ({"conflict": "10.0.0.7"}, "10.0.0.7"),
        ({"held_by": "Aliya"}, "held by Aliya"),
        ({"camera": None}, "camera is not known"),
        ({"position": None}, "where it is is not known"),
        ({"against": ("its registration ended on 2026-01-01",)}, "registration"),
        ({"coverage": shapely.box(70, 40, 71, 41)}, "links do not cover"),
    ],
)
def test_what_stands_against_a_vehicle_is_said_and_it_comes_last(more: dict[str, Any], words: str) -> None:
    found = rank([vehicle(1, 0, -300, **more), vehicle(2, 2000, 0)], call())
    assert order(found) == [2, 1]
    assert found[0].fit
    assert not found[1].fit
    assert words in said(found, 1)


def test_one_in_the_air_goes_first_where_it_may_be_diverted() -> None:
    high = Position(lon=LON, lat=lonlat(0, -1500)[1], altitude=Altitude(GROUND_M + 80.0, Datum.AMSL))
    flying = vehicle(1, 0, -1500, condition=Condition.FLYING, landed=False, armed=True, position=high)
    found = rank([flying, vehicle(2, 0, 1400)], call(divert=True))
    assert order(found) == [1, 2]
    assert found[0].fit
    assert found[0].airborne


def test_a_coarse_camera_is_said() -> None:
    found = rank([vehicle(1, 0, -500)], call(gsd_m=0.005))
    assert "a pixel from there, 0.5 cm are needed" in said(found, 1)


def test_a_hill_and_a_wall_are_looked_round_and_a_pit_that_nobody_sees_is_said() -> None:
    square = shapely.box(*lonlat(-60, -130), *lonlat(60, -20))
    tower = Obstacle(name="block", geometry=square, top=Altitude(110.0, Datum.AGL))
    open_, walled = (rank([vehicle(1, 0, -1500)], call(obstacles=obstacles))[0] for obstacles in ((), (tower,)))
    assert open_.lat is not None
    assert walled.lat is not None
    assert open_.lat < LAT
    assert walled.fit
    sight = shapely.LineString([(walled.lon, walled.lat), (LON, LAT)])
    assert not sight.intersects(square.buffer(-1e-5))
    air = Airspace([zone(0, 0, 700)], FLAT)
    found = rank([within(vehicle(1, 0, -1500), air)], call())
    assert not found[0].fit
    assert "none of" in said(found, 1)


def test_over_hills_it_climbs_first() -> None:
    lat = np.repeat(LAT + 0.018 - 4.5e-5 * (np.arange(1000)[:, None] + 0.5), 700, axis=1)
    ridge = 800.0 + 250.0 * np.exp(-(((lat - (LAT - 0.008)) / 0.0015) ** 2))
    hills = GridTerrain(ridge, rasterio.Affine(6e-5, 0, LON - 0.021, 0, -4.5e-5, LAT + 0.018), name="ridge")
    behind, beside = rank([vehicle(1, 0, -1500), vehicle(2, 1550, 0)], call(terrain=hills))
    assert (behind.sysid, beside.sysid) == (2, 1)
    assert beside.first_picture_s is not None
    assert behind.first_picture_s is not None
    assert beside.first_picture_s > behind.first_picture_s + 60.0
    found = rank([vehicle(1, 0, -9000), vehicle(2, 1550, 0)], call(terrain=hills))
    assert order(found) == [2, 1]
    assert "terrain: ridge: no height at lon 76.945000" in said(found, 1)


def test_fifty_vehicles_are_ranked_by_time_and_the_unfit_last() -> None:
    rng = np.random.default_rng(3)
    fleet = [
        vehicle(
            number + 1,
            *rng.uniform(-3000, 3000, 2),
            percent=float(rng.uniform(30, 100)),
            condition=Condition.READY if number % 7 else Condition.STALE,
        )
        for number in range(50)
    ]
    found = rank(fleet, call())
    assert sorted(order(found)) == list(range(1, 51))
    fit = [one for one in found if one.fit]
    assert 0 < len(fit) < 50
    times = [one.first_picture_s for one in fit]
    assert times == sorted(times, key=float)  # type: ignore[arg-type]
    assert all(one.against for one in found[len(fit) :])
    assert not any(one.fit for one in found[len(fit) :])


def test_settings_say_how_finely_and_where_links_carry() -> None:
    usual = DispatchSettings()
    assert usual.view_of("never heard of") == usual.view_of("dump")
    assert DispatchSettings(kinds={"fire": KindView(object_m=1.0, pixels=10)}).view_of("fire").pixels == 10
    assert usual.coverage_of(("udpin:1",)) is None
    near = DispatchSettings(coverage=(LinkArea(links=("a",), lon=LON, lat=LAT, radius_m=1000.0),))
    assert near.coverage_of(("b",)) is None
    covered = near.coverage_of(("a",))
    assert covered is not None
    assert covered.contains(shapely.Point(lonlat(900, 0)))
    assert not covered.contains(shapely.Point(lonlat(1100, 0)))
    with pytest.raises(SettingsInvalid, match="radius_m"):
        LinkArea(lon=LON, lat=LAT).shape()


async def test_a_call_becomes_a_planned_mission_and_people_do_the_rest(tmp_path: Path, simulated: Any) -> None:
    settings = make_settings(tmp_path, sysids=(1, 2))
    async with running(settings) as service:
        http = await service.client()
        body = {"place": {"type": "Point", "coordinates": list(lonlat(400, 300))}, "kind": "fire"}
        answer = (await http.post("/dispatch", json=body)).json()
        assert answer["mission"] is None
        assert "no vehicle is fit to go" in answer["text"]
        assert "not heard yet" in answer["text"]
        simulated(udp_port(settings), 2)

        async def ranked() -> Any:
            answer = (await http.post("/dispatch", json={**body, "plan": False})).json()
            return answer["ranking"][0]["fit"] and answer

        assert (await until(ranked))["mission"] is None
        answer = (await http.post("/dispatch", json=body)).json()
        assert [one["sysid"] for one in answer["ranking"]] == [2, 1]
        mission = answer["mission"]
        assert mission["state"] == "planned"
        assert mission["request"]["kind"] == "look"
        assert [each["sysid"] for each in answer["preflight"]] == [2]
        assert not [each for each in answer["preflight"][0]["checks"] if each["name"] == "mission"]
        approved = await http.post(f"/missions/{mission['id']}/approve")
        assert approved.json()["state"] == "approved"
        wrong = await http.post("/dispatch", json={**body, "vehicles": [9]})
        assert wrong.status_code == 422
        wrong = await http.post("/dispatch", json={**body, "place": {"type": "Point", "coordinates": [1]}})
        assert wrong.status_code == 422
