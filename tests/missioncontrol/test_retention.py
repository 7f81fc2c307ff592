"""Retention: what is too old goes, whole and in order; what is evidence or kept by somebody stays."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert, select

from missioncontrol import audit
from missioncontrol.errors import NotFound
from missioncontrol.recordings import GROWING, LEAVING, Recordings
from missioncontrol.retention import DAY_S, Retention
from missioncontrol.store import Store
from missioncontrol.tables import clips, incidents, observations
from missioncontrol.video_settings import RetentionSettings
from missioncontrol.views import Views
from tests.missioncontrol.conftest import StillClock
from tests.missioncontrol.footage import BEGIN_UTC_S, add_clip, add_flight
from tests.missioncontrol.test_store import row as incident_row
from tests.missioncontrol.test_views import HERE, pass_over

SETTINGS = RetentionSettings(days={"patrol": 10.0, "inspection": 100.0})


class House:
    """Recordings, and the time since they were made."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.clock = store, StillClock(BEGIN_UTC_S)
        self.recordings = Recordings(store, folder / "recordings", self.clock)
        self.retention = Retention(store, self.recordings, SETTINGS, self.clock)

    async def clip(self, flight: str, *, begins_s: float = 0.0, **more: object) -> str:
        """With a file."""
        clip_id = await add_clip(self.store, flight, pass_over()[25:35], begins_s=begins_s, **more)
        path = self.recordings.file(flight, clip_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0123456789")
        return clip_id

    async def left(self) -> set[str]:
        """Clips with a row and a file; neither is without the other."""
        async with self.store.reading() as connection:
            rows = set((await connection.execute(select(clips.c.id))).scalars())
        files = {path.stem for path in self.recordings.file("x", "y").parent.parent.glob("*/*.mp4")}
        assert rows == files
        return rows

    async def after(self, days: float) -> set[str]:
        """What is left when so many days have gone by."""
        self.clock.utc_s = BEGIN_UTC_S + days * DAY_S
        await self.retention.enforce()
        return await self.left()


@pytest.fixture
def house(store: Store, tmp_path: Path) -> House:
    return House(store, tmp_path)


async def observe(store: Store, flight: str, utc_s: float, state: str) -> None:
    name = f"{state}-{utc_s}"
    async with store.writing() as connection:
        await connection.execute(insert(incidents).values(**{**incident_row(name, HERE), "state": state}))
        values = {"incident_id": name, "utc_s": utc_s, "observation": {"flight_id": flight}}
        await connection.execute(insert(observations).values(**values))


async def test_each_purpose_has_its_time(house: House) -> None:
    flight = await add_flight(house.store)
    patrol = await house.clip(flight, purpose="patrol")
    inspection = await house.clip(flight)
    unknown = await house.clip(flight, purpose="no longer set")
    assert await house.after(9.9) == {patrol, inspection, unknown}
    assert await house.after(10.1) == {inspection, unknown}
    with pytest.raises(NotFound):
        await house.recordings.get(patrol)
    assert [view.clip.id for view in (await Views(house.store).of(HERE))[0]] == [unknown, inspection]
    assert await house.after(100.1) == {unknown}
    async with house.store.reading() as connection:
        (entry,) = await audit.history(connection, "recording", patrol)
        assert await audit.first_broken(connection) is None
    assert (entry.person, entry.event, entry.detail["purpose"]) == ("service", "deleted", "patrol")


async def test_what_shows_an_incident_stays_and_what_showed_a_rejected_one_goes(house: House) -> None:
    flight, other = await add_flight(house.store), await add_flight(house.store)
    shows = await house.clip(flight, purpose="patrol")
    rejected = await house.clip(flight, begins_s=600.0, purpose="patrol")
    elsewhere = await house.clip(other, purpose="patrol")
    await observe(house.store, flight, BEGIN_UTC_S + 30.0, "confirmed")
    await observe(house.store, flight, BEGIN_UTC_S + 630.0, "rejected")
    assert await house.left() == {shows, rejected, elsewhere}
    assert await house.after(11) == {shows}


async def test_a_vehicle_with_a_wrong_clock_neither_loses_its_recordings_nor_keeps_them(house: House) -> None:
    flight = await add_flight(house.store)
    behind = await house.clip(flight, begins_s=-400 * DAY_S, purpose="patrol")
    ahead = await house.clip(flight, begins_s=9000 * DAY_S, purpose="patrol")
    assert await house.after(9.9) == {behind, ahead}
    assert await house.after(11.1) == set()


async def test_what_somebody_had_kept_stays_until_it_is_released(house: House) -> None:
    flight = await add_flight(house.store)
    kept = await house.clip(flight, purpose="patrol")
    await house.recordings.hold(kept, person="i", reason="case 7")
    assert await house.after(11) == {kept}
    await house.recordings.hold(kept, person="i", reason=None)
    assert await house.after(11) == set()
    async with house.store.reading() as connection:
        events = [entry.event for entry in await audit.history(connection, "recording", kept)]
    assert events == ["kept", "kept no longer", "deleted"]


async def test_a_deletion_that_was_cut_short_is_ended(house: House) -> None:
    flight = await add_flight(house.store)
    with_file = await house.clip(flight, state=LEAVING)
    without_file = await house.clip(flight, state=LEAVING)
    house.recordings.file(flight, without_file).unlink()
    growing = await house.clip(flight, purpose="patrol", state=GROWING)
    assert await house.after(11) == {growing}
    assert with_file != without_file


async def test_a_report_tells_what_goes_when(house: House) -> None:
    flight = await add_flight(house.store)
    first = await house.clip(flight, purpose="patrol")
    await house.clip(flight, begins_s=5 * DAY_S, purpose="patrol")
    held = await house.clip(flight, purpose="patrol")
    await house.recordings.hold(held, person="i", reason="case 7")
    await house.clip(flight)
    shows = await house.clip(await add_flight(house.store), begins_s=100.0, purpose="patrol")
    await observe(house.store, (await house.recordings.get(shows)).flight_id, BEGIN_UTC_S + 101.0, "detected")
    house.clock.utc_s = BEGIN_UTC_S + 8 * DAY_S
    report = await house.retention.report(days=3.0)
    assert report["utc"].startswith("2026-09-29")
    assert [one["id"] for one in report["going"]] == [first]
    assert report["going"][0]["goes_utc"].startswith("2026-10-01T14:14:20")
    inspection, patrol = report["purposes"]
    assert inspection["going"] == 0
    assert (patrol["clips"], patrol["held"], patrol["going"], patrol["going_bytes"]) == (4, 1, 1, 10)
    assert patrol["evidence_past_its_time"] == 1
    assert len(await house.left()) == 5
    assert msgspec.json.encode(report)
