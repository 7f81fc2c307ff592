"""What stands against coming due times is told before they come."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import pytest

from fleet.readiness import Check, check
from missioncontrol.plans import Plan, VehiclePlan
from missioncontrol.requests import PlanRequest
from missioncontrol.schedule_conflicts import ScheduleConflicts
from missioncontrol.store import Store
from tests.missioncontrol.conftest import StillClock, make_settings
from tests.missioncontrol.test_missions import REQUEST, planner
from tests.missioncontrol.test_schedules import Bench, new, utc_s


async def flown(request: PlanRequest) -> Plan:
    """Each vehicle flies 600 s north from places 1 km apart, or, from 61 m on, from the same place."""
    made = await planner(request)  # type: ignore[arg-type]
    parts = []
    for part in made.vehicles:
        lon = 76.94 + (0.0 if (request.height_m or 0.0) > 60.5 else 0.012 * part.sysid)
        line = {"type": "LineString", "coordinates": [[lon, 43.2, 900.0], [lon, 43.22, 900.0]]}
        path = {"type": "Feature", "geometry": line, "properties": {}}
        parts.append(msgspec.structs.replace(part, path=path, times_s=(30.0, 600.0), duration_s=630.0))
    return msgspec.structs.replace(made, vehicles=tuple(parts))


async def nothing(_: VehiclePlan, __: float) -> list[Check]:
    return [check("zones", "zones", True, "none", "none")]


@pytest.fixture
def bench(store: Store, clock: StillClock) -> Bench:
    clock.utc_s = utc_s("2026-05-01T00:00:00")
    return Bench(store, clock)


def request(height_m: float, *sysids: int) -> PlanRequest:
    return msgspec.structs.replace(REQUEST, height_m=height_m, vehicles=sysids)


async def test_the_same_vehicle_the_same_way_a_zone_and_an_ended_registration(bench: Bench, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, sysids=(1, 2, 3))
    last = tuple(
        msgspec.structs.replace(each, registered_until=date(2026, 5, 1) if each.sysid == 3 else None)
        for each in settings.vehicles
    )
    settings = msgspec.structs.replace(settings, vehicles=last)

    async def zoned(part: VehiclePlan, begins_s: float) -> list[Check]:
        closed = part.sysid == 2 and begins_s > utc_s("2026-05-02T00:00:00")
        return [check("zones", "zones", not closed, "Z1", "none entered")]

    conflicts = ScheduleConflicts(bench.schedules, flown, zoned, settings, bench.clock)
    await bench.schedules.create(new(name="a", request=request(60.0, 1)), person="Operator")
    assert await conflicts.coming(4) == []
    await bench.schedules.create(new(name="b", request=request(60.0, 2)), person="Operator")
    found = await conflicts.coming(4)
    assert [(each["kind"], each["due_utc"][:10]) for each in found] == [("zones", "2026-05-02")]
    await bench.schedules.create(new(name="c", request=request(60.0, 1)), person="Operator")
    found = await conflicts.coming(3)
    assert [each["kind"] for each in found] == ["vehicle"]
    assert len(found[0]["schedules"]) == 2
    assert "want vehicle 1 at once" in found[0]["text"]
    await bench.schedules.create(new(name="d", request=request(60.0, 3)), person="Operator")
    found = await conflicts.coming(8)
    assert [each["kind"] for each in found] == ["vehicle", "registration", "vehicle", "zones"]


async def test_ways_that_meet_and_plans_that_fail(bench: Bench, tmp_path: Path) -> None:
    conflicts = ScheduleConflicts(bench.schedules, flown, nothing, make_settings(tmp_path), bench.clock)
    await bench.schedules.create(new(name="a", request=request(61.0, 1)), person="Operator")
    await bench.schedules.create(new(name="b", request=request(61.0, 2)), person="Operator")
    (met,) = await conflicts.coming(2)
    assert met["kind"] == "path"
    assert "comes within 0 m" in met["text"]
    bench.refuses = "no way"
    failing = ScheduleConflicts(bench.schedules, bench.plan, nothing, make_settings(tmp_path), bench.clock)
    assert [each["kind"] for each in await failing.coming(2)] == ["plan", "plan"]
