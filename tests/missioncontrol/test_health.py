"""Health of vehicles over their flights: what counts together, what wears, and who did the maintenance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fleet.health import HealthLimits
from missioncontrol import audit
from missioncontrol.errors import NotFound, SettingsInvalid
from missioncontrol.fleet_settings import HealthSettings, VehicleSettings
from missioncontrol.health import Health, MaintenanceDone, recording_path
from missioncontrol.logbook import Logbook, public
from missioncontrol.settings import Settings
from missioncontrol.settings_files import load
from missioncontrol.store import Store
from tests.missioncontrol.conftest import PASSWORD, StillClock, make_settings, running
from tests.missioncontrol.recorded import START_S, flown

DAY_S = 86_400.0


@pytest.fixture
async def light_store(tmp_path: Path) -> AsyncIterator[Store]:
    """One back end is enough where the arithmetic is at stake."""
    async with Store(f"sqlite:///{tmp_path / 'light.sqlite'}") as opened:
        yield opened


def settings_of(folder: Path, *vehicles: VehicleSettings, **health: Any) -> Settings:
    ours = vehicles or (VehicleSettings(sysid=1, name="alpha", registration="KZ-001", battery_ah=8.0),)
    return Settings(data=folder, vehicles=ours, health=HealthSettings(**health))


class House:
    """Health over a store."""

    def __init__(self, store: Store, settings: Settings, clock: StillClock) -> None:
        self.store, self.settings, self.logbook = store, settings, Logbook(store)
        self.health = Health(store, settings, clock)

    async def fly(self, **flight: Any) -> str:
        return await flown(self.store, self.settings, **flight)

    @asynccontextmanager
    async def summed_up(self) -> AsyncIterator[None]:
        """Until every flight that is over has its summary."""
        self.health.flight_ended()
        task = asyncio.create_task(self.health.keep_summaries())
        try:
            async with asyncio.timeout(30):
                while await self.logbook.without_summary():
                    await asyncio.sleep(0.02)
                    assert not task.done()
            yield
        finally:
            task.cancel()


async def test_flights_that_ended_are_summed_up_also_after_a_restart(
    store: Store, tmp_path: Path, clock: StillClock
) -> None:
    house = House(store, settings_of(tmp_path), clock)
    whole = await house.fly()
    lost = await house.fly(recorded=False)
    spoiled = await house.fly(recorded=False)
    recording_path(house.settings, spoiled).parent.mkdir(parents=True, exist_ok=True)
    recording_path(house.settings, spoiled).write_bytes(b"x" * 50)
    under_way = await house.fly(ended=False)
    async with house.summed_up():
        later = await house.fly()
        house.health.flight_ended()
        async with asyncio.timeout(30):
            while (await house.logbook.row(later)).summary is None:
                await asyncio.sleep(0.02)
    found = public(await house.logbook.row(whole))["summary"]
    assert found["duration_s"] == pytest.approx(60, abs=1.5)
    assert found["distance_m"] == pytest.approx(59 * 8.0, rel=0.02)
    assert (found["most_relative_m"], found["most_amsl_m"], found["most_speed_m_s"]) == (40.0, 840.0, 8.0)
    assert found["vibration_m_s2"] == pytest.approx(12.0)
    assert found["ekf_ratio"] == pytest.approx(0.2)
    assert found["resistance"]["ohm"] == pytest.approx(0.03, rel=0.01)
    assert [(text["text"], text["utc_s"]) for text in found["warnings"]] == [("Crosstrack error", START_S + 7)]
    assert found["problem"] == ""
    assert "warnings" not in public(await house.logbook.row(whole), whole=False)["summary"]
    assert "No such file" in (await house.logbook.row(lost)).summary["problem"]
    assert "no MAVLink frame" in (await house.logbook.row(spoiled)).summary["problem"]
    assert (await house.logbook.row(under_way)).summary is None


async def test_the_service_goes_on_while_a_long_recording_is_read(
    light_store: Store, tmp_path: Path, clock: StillClock
) -> None:
    house = House(light_store, settings_of(tmp_path), clock)
    await house.fly(air_s=2500)
    gaps, last = [], asyncio.get_running_loop().time()

    async def tick() -> None:
        nonlocal last
        while True:
            await asyncio.sleep(0.01)
            now = asyncio.get_running_loop().time()
            gaps.append(now - last)
            last = now

    ticking = asyncio.create_task(tick())
    start_s = asyncio.get_running_loop().time()
    async with house.summed_up():
        took_s = asyncio.get_running_loop().time() - start_s
    ticking.cancel()
    assert max(gaps) < took_s / 2, f"the loop stood still for {max(gaps):.2f} of {took_s:.2f} s"
    assert len(gaps) > 5


async def test_only_flights_of_one_registration_count_together(store: Store, tmp_path: Path, clock: StillClock) -> None:
    house = House(store, settings_of(tmp_path), clock)
    for number in range(2):
        await house.fly(start_s=START_S + number * DAY_S)
    await house.fly(sysid=7, start_s=START_S + 2 * DAY_S)  # the same airframe, then under another sysid
    await house.fly(registration="KZ-002", air_s=200)  # another airframe that was 1 before
    async with house.summed_up():
        found = await house.health.of(1)
    assert (found.flights, found.registration) == (3, "KZ-001")
    assert found.hours == pytest.approx(3 * 60 / 3600, rel=0.03)
    assert found.distance_m == pytest.approx(3 * 59 * 8.0, rel=0.02)
    with pytest.raises(NotFound, match="sysid 7"):
        await house.health.of(7)


async def test_a_flight_counts_also_where_its_recording_is_lost(
    light_store: Store, tmp_path: Path, clock: StillClock
) -> None:
    house = House(light_store, settings_of(tmp_path), clock)
    await house.fly(recorded=False)
    async with house.summed_up():
        found = await house.health.of(1)
    assert (found.flights, found.distance_m) == (1, 470.0)
    assert found.hours == pytest.approx(70 / 3600)


async def test_cycles_are_counted_by_charge_or_else_by_percent(
    light_store: Store, tmp_path: Path, clock: StillClock
) -> None:
    house = House(light_store, settings_of(tmp_path), clock)
    await house.fly(air_s=600)
    async with house.summed_up():
        by_charge = (await house.health.of(1)).battery
    used_ah = 600 * 380.0 / 3600 / 24.5  # about
    assert by_charge.cycles == pytest.approx(used_ah / 8.0, rel=0.1)
    assert by_charge.capacity_ah == 8.0
    unknown = VehicleSettings(sysid=1, name="alpha", registration="KZ-001")
    by_percent = (await House(light_store, settings_of(tmp_path, unknown), clock).health.of(1)).battery
    assert by_percent.cycles == pytest.approx(by_charge.cycles, abs=0.02)
    assert by_percent.capacity_ah is None


async def test_an_aging_battery_is_told_and_another_one_counts_anew(
    light_store: Store, tmp_path: Path, clock: StillClock
) -> None:
    house = House(light_store, settings_of(tmp_path), clock)
    for number in range(6):
        await house.fly(air_s=240, resistance_ohm=0.030 + 0.004 * number, start_s=START_S + number * DAY_S)
    async with house.summed_up():
        battery = (await house.health.of(1)).battery
    assert battery.flights == 6
    assert battery.rising
    assert battery.trend is not None
    truth = 0.004 * 6 / battery.cycles
    assert abs(battery.trend.ohm_per_cycle - truth) < 3 * battery.trend.sigma_ohm_per_cycle
    assert battery.resistance is not None
    assert battery.resistance.ohm == pytest.approx(0.05, rel=0.02)
    clock.utc_s = START_S + 6 * DAY_S
    found = await house.health.maintained(1, MaintenanceDone(work="battery", note="pack 12"), person="dana")
    assert (found.battery.cycles, found.battery.flights, found.battery.trend) == (0.0, 0, None)
    assert found.battery.since_utc == "2026-09-27T14:13:20.000Z"
    assert found.flights == 6
    assert found.maintenance.cycles > 0, "another battery is no service"


async def test_maintenance_becomes_due_and_starts_anew_when_done(
    light_store: Store, tmp_path: Path, clock: StillClock
) -> None:
    house = House(light_store, settings_of(tmp_path, maintenance_hours=0.03), clock)
    await house.fly(vibration_m_s2=33.0)
    async with house.summed_up():
        before = await house.health.of(1)
        assert not before.maintenance.due
        assert before.maintenance.last is None
        assert [alarm["text"] for alarm in before.alarms] == ["vibration 33.0 m/s2, limit 30 m/s2"]
    await house.fly(start_s=START_S + DAY_S)
    async with house.summed_up():
        assert (await house.health.of(1)).maintenance.due, "two minutes are more than 0.03 h"
    clock.utc_s = START_S + 2 * DAY_S
    after = await house.health.maintained(1, MaintenanceDone(note="new propellers"), person="dana")
    assert not after.maintenance.due
    assert after.maintenance.hours == 0.0
    assert after.hours > 0.03
    assert after.maintenance.last is not None
    assert (after.maintenance.last["person"], after.maintenance.last["note"]) == ("dana", "new propellers")
    async with light_store.reading() as connection:
        (entry,) = await audit.history(connection, "vehicle", "1")
    assert (entry.person, entry.event, entry.detail["registration"]) == ("dana", "maintenance done", "KZ-001")
    by_cycles = House(light_store, settings_of(tmp_path, maintenance_cycles=1e-3), clock)
    await by_cycles.fly(start_s=START_S + 3 * DAY_S)
    async with by_cycles.summed_up():
        assert (await by_cycles.health.of(1)).maintenance.due


async def test_a_vehicle_without_a_registration_counts_by_its_sysid(
    light_store: Store, tmp_path: Path, clock: StillClock
) -> None:
    nameless = (VehicleSettings(sysid=1, name="alpha"), VehicleSettings(sysid=2, name="bravo"))
    house = House(light_store, settings_of(tmp_path, *nameless), clock)
    await house.fly(registration="")
    async with house.summed_up():
        assert (await house.health.of(1)).flights == 1
        assert (await house.health.of(2)).flights == 0
    await house.health.maintained(1, MaintenanceDone(), person="dana")
    assert (await house.health.of(2)).maintenance.last is None


def test_limits_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "mc.toml"
    path.write_text("[health]\nmaintenance_hours = 20\n[health.limits]\nvibration_m_s2 = 25\n")
    found = load(path, {"MC__HEALTH__LIMITS__EKF_RATIO": "0.7"}).health
    assert (found.maintenance_hours, found.maintenance_cycles) == (20.0, 100.0)
    assert found.limits == HealthLimits(vibration_m_s2=25.0, ekf_ratio=0.7)
    for wrong, words in (("vibration = 1", "vibration_m_s2"), ("sink_m_s = 0", "sink_m_s")):
        path.write_text(f"[health.limits]\n{wrong}\n")
        with pytest.raises(SettingsInvalid, match=words):
            load(path, {})


async def test_health_over_http(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    async with running(settings) as house:
        rooms = house.service.rooms
        assert rooms is not None
        flight = await flown(rooms.store, settings)
        rooms.wellbeing.flight_ended()
        client = await house.client()
        async with asyncio.timeout(30):
            while (await client.get(f"/flights/{flight}")).json()["summary"] is None:
                await asyncio.sleep(0.05)
        (listed,) = (await client.get("/flights")).json()
        assert listed["summary"]["duration_s"] == pytest.approx(60, abs=1.5)
        assert "warnings" not in listed["summary"]
        found = (await client.get("/vehicles/1/health")).json()
        assert (found["registration"], found["flights"], found["maintenance"]["hours_limit"]) == ("KZ-001", 1, 50.0)
        assert found["battery"]["resistance"]["ohm"] == pytest.approx(0.03, rel=0.02)
        assert (await client.get("/vehicles/9/health")).status_code == 404
        assert (await client.post("/vehicles/1/maintenance", json={"work": "paint"})).status_code == 400
        done = await client.post("/vehicles/1/maintenance", json={"work": "service", "note": "gone over"})
        assert done.status_code == 200
        assert done.json()["maintenance"]["last"]["person"] == "administrator"
        body = {"name": "inspector", "password": PASSWORD, "roles": ["inspector"], "language": "kk"}
        await client.post("/people", json=body)
        other = await house.client("inspector")
        assert (await other.get("/vehicles/1/health")).status_code == 200
        assert (await other.post("/vehicles/1/maintenance", json={})).status_code == 403
