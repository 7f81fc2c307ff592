"""Zones as records, and what they do to plans, flights and those who are in the air."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from geo.ed269 import read_ed269
from geo.ed318 import read_ed318
from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum, Position
from geo.schedules import Applicability, DailyPeriod, Day
from geo.tracks import Track
from geo.zones import Authority, Kind, Reason, Text
from missioncontrol import audit, zone_watch
from missioncontrol.clearance import Clearance
from missioncontrol.errors import Conflict, InputInvalid, NotFound
from missioncontrol.permits import Permits
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.traffic import Traffic
from missioncontrol.zone_commands import zones_app
from missioncontrol.zone_formats import ZoneFormat
from missioncontrol.zone_watch import ZoneWatch
from missioncontrol.zones import NewZone, Zones, times_in_words
from tests.missioncontrol.conftest import HOME, StillClock, make_settings, running, until

LON, LAT = HOME[0], HOME[1]


def square(lon: float, lat: float, half_deg: float = 0.002) -> dict[str, Any]:
    west, south, east, north = lon - half_deg, lat - half_deg, lon + half_deg, lat + half_deg
    return {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }


def new(**fields: Any) -> NewZone:
    given = {"id": "FIRE1", "kind": "PROHIBITED", "geometry": square(LON, LAT), **fields}
    return msgspec.convert(given, NewZone)


def ed318(*features: dict[str, Any]) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features)}).encode()


def published(identifier: str, geometry: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    layer = {"upper": 120, "upperReference": "AGL", "lower": 0, "lowerReference": "AGL", "uom": "m"}
    return {
        "type": "Feature",
        "geometry": {**(geometry or square(LON, LAT)), "layer": layer},
        "properties": {
            "identifier": identifier,
            "country": "KAZ",
            "type": "REQ_AUTHORIZATION",
            "variant": "COMMON",
            "zoneAuthority": [{"purpose": "AUTHORIZATION"}],
            **properties,
        },
    }


@pytest.fixture
def zones(store: Store, clock: StillClock) -> Zones:
    return Zones(store, clock, near=(LON, LAT))


async def load(zones: Zones, content: bytes, source: str = "authority", **more: Any) -> Any:
    given = {"file_format": ZoneFormat.ED318, "person": "a", **more}
    return await zones.import_file(content, source=source, **given)


async def test_a_file_takes_the_place_of_its_source_as_a_whole(zones: Zones, store: Store) -> None:
    first = await load(zones, ed318(published("KZ1"), published("KZ2", kind="x")))
    assert (first.zones, first.replaced, first.refused) == (2, 0, ())
    assert any("kind" in note for note in first.notes)
    await load(zones, ed318(published("PARK")), source="parks")
    second = await load(zones, ed318(published("KZ3"), published("PARK")))
    assert (second.zones, second.replaced) == (2, 2)
    assert second.notes == ("PARK: the source parks has a zone of this identifier too",)
    assert [record.zone.id for record in (await zones.book()).records] == ["PARK", "KZ3", "PARK"]
    assert [(each["source"], each["zones"]) for each in await zones.sources()] == [("authority", 2), ("parks", 1)]
    async with store.reading() as connection:
        entries = await audit.history(connection, "zones", "authority")
    assert [(entry.event, entry.detail["replaced"]) for entry in entries] == [("imported", 0), ("imported", 2)]


async def test_a_file_with_a_fault_changes_nothing_unless_a_part_is_asked_for(zones: Zones) -> None:
    await load(zones, ed318(published("KZ1")))
    before = await zones.book()
    bow = {
        "type": "Polygon",
        "coordinates": [[[LON, LAT], [LON + 1, LAT + 1], [LON + 1, LAT], [LON, LAT + 1], [LON, LAT]]],
    }
    bad = ed318(published("KZ2"), published("BOW", geometry=bow))
    with pytest.raises(ZoneInvalid, match=r"feature 1 \(BOW\)"):
        await load(zones, bad)
    with pytest.raises(InputInvalid, match="holds no zone"):
        await load(zones, ed318())
    for source in ("own", "", " x", "x" * 81):
        with pytest.raises(InputInvalid, match="source"):
            await load(zones, ed318(published("KZ9")), source=source)
    assert await zones.book() is before
    told = await load(zones, bad, partly=True)
    assert (told.zones, told.replaced) == (1, 1)
    assert len(told.refused) == 1
    assert "BOW" in told.refused[0]
    assert (await zones.sources())[0]["refused"] == 1


async def test_a_store_that_fails_half_way_keeps_what_was_there(zones: Zones, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step of an import is the audit; what comes before is undone with it."""
    await load(zones, ed318(published("KZ1")))

    async def broken(*_: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(audit, "record", broken)
        with pytest.raises(OSError, match="disk full"):
            await load(zones, ed318(published("KZ2")))
    assert [record.zone.id for record in (await zones.book()).records] == ["KZ1"]
    assert [feature["properties"]["zone"] for feature in (await zones.features())["features"]] == ["KZ1"]


async def test_drawn_zones_are_told_in_words_and_by_time(zones: Zones, clock: StillClock) -> None:
    start, end = (datetime.fromtimestamp(clock() + after_s, UTC) for after_s in (60, 120))
    times = (Applicability(start=start, end=end),)
    drawn = await zones.draw(
        msgspec.structs.replace(
            new(geometry={"type": "Point", "coordinates": [LON, LAT]}, radius_m=300, name="blaze"),
            times=times,
            lower=Altitude(20.0, Datum.AGL),
            upper=Altitude(1500.0, Datum.AMSL),
            reasons=(Reason.EMERGENCY,),
        ),
        person="a",
    )
    properties = drawn["properties"]
    assert properties["title"] == "FIRE1 'blaze' (prohibited)"
    assert properties["limits"] == "20 m above ground to 1500 m AMSL"
    assert properties["times"] == f"from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    assert properties["active"] is False
    assert len(drawn["geometry"]["coordinates"][0]) == 65
    clock.utc_s += 90
    assert [each["id"] for each in (await zones.features(active=True))["features"]] == [drawn["id"]]
    clock.utc_s += 60
    assert (await zones.features(active=True))["features"] == []
    far = (LON + 1, LAT + 1, LON + 2, LAT + 2)
    assert (await zones.features(box=far))["features"] == []
    with pytest.raises(Conflict, match="FIRE1"):
        await zones.draw(new(), person="a")
    await zones.remove(drawn["id"], person="a")
    assert (await zones.features())["features"] == []
    with pytest.raises(NotFound):
        await zones.remove(drawn["id"], person="a")


def test_schedules_in_words() -> None:
    at = [datetime(2026, 5, 1, hour, tzinfo=UTC).timetz() for hour in (9, 17)]
    period = DailyPeriod(days=(Day.MON, Day.TUE), start=at[0], end=at[1])
    assert times_in_words((Applicability(schedule=(period,)),)) == "MON/TUE 09:00 to 17:00 UTC"
    assert times_in_words(()) == "always"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"geometry": {"type": "Point", "coordinates": [LON, LAT]}}, "a Polygon, or a Point and a radius"),
        ({"radius_m": 5}, "a Polygon, or a Point and a radius"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[LON, LAT], [LON, LAT], [LON, LAT]]]}}, "three different"),
        ({"geometry": square(LAT, LON)}, "swapped"),
        ({"upper": {"value_m": 50, "datum": "HOME"}}, "home position"),
        ({"upper": {"value_m": 50, "datum": "AGL"}, "lower": {"value_m": 60, "datum": "AGL"}}, "above the upper"),
        ({"times": [{"start": "2026-05-01T08:00:00"}]}, "offset"),
    ],
)
async def test_a_zone_that_cannot_be_drawn_says_why(zones: Zones, fields: dict[str, Any], said: str) -> None:
    with pytest.raises((InputInvalid, ZoneInvalid), match=said):
        await zones.draw(new(**fields), person="a")
    assert (await zones.book()).records == ()


async def test_what_is_exported_is_read_again_as_the_same(zones: Zones) -> None:
    await load(zones, ed318(published("KZ1")))
    asked = Authority(name=(Text("Duty officer"),))
    limits = {"lower": {"value_m": 0, "datum": "AGL"}, "upper": {"value_m": 90, "datum": "AGL"}}
    drawn = new(country="KAZ", authorities=msgspec.to_builtins((asked,)), **limits)
    await zones.draw(drawn, person="a")
    kept = [record.zone for record in (await zones.book()).records]
    for written, read in ((ZoneFormat.ED318, read_ed318), (ZoneFormat.ED269, read_ed269)):
        again = read(json.dumps(await zones.export(written)).encode())
        assert [(zone.id, zone.kind) for zone in again.zones] == [(zone.id, zone.kind) for zone in kept]
        assert [zone.volumes for zone in again.zones] == [zone.volumes for zone in kept]
    only = read_ed318(json.dumps(await zones.export(ZoneFormat.ED318, source="authority")).encode())
    assert [zone.id for zone in only.zones] == ["KZ1"]
    with pytest.raises(NotFound):
        await zones.export(ZoneFormat.ED318, source="nobody")


async def test_another_process_that_writes_zones_is_noticed(zones: Zones, store: Store, clock: StillClock) -> None:
    assert (await zones.book()).records == ()
    other = Zones(store, clock)
    for content in (ed318(published("KZ1")), ed318(published("KZ2"))):  # as many zones as before
        await load(other, content)
        assert await zones.book() is not await other.book()
        assert (await zones.book()).records == (await other.book()).records
    await other.remove_source("authority", person="a")
    assert (await zones.book()).records == ()


def eastward(begins_utc_s: float, height_m: float = 50.0) -> Track:
    """From 0.01 deg west of the middle to as far east of it, in 200 s."""
    lon = np.array([LON - 0.01, LON + 0.01])
    return Track(begins_utc_s + np.array([0.0, 200.0]), lon, np.full(2, LAT), np.full(2, height_m))


class Hovering:
    """A vehicle in the air."""

    def __init__(self, lon: float, lat: float) -> None:
        from fleet.telemetry import TelemetryState

        self.state = TelemetryState(
            sysid=2,
            armed=True,
            landed=False,
            relative_altitude_m=50.0,
            position=Position(lon=lon, lat=lat, altitude=Altitude(850.0, Datum.AMSL)),
        )


class Watched:
    """The watch with its surroundings; vehicle 1 flies by its plan, vehicle 2 hovers."""

    def __init__(self, store: Store, clock: StillClock, zones: Zones, folder: Path) -> None:
        self.traffic, self.alarms = Traffic(), list[str]()
        self.permits = Permits(store, Settings(data=folder), clock)
        clearance = Clearance(zones, self.permits, Settings(data=folder), None)
        self.hovering = Hovering(LON + 0.05, LAT)
        vehicles: Any = {2: self.hovering}
        self.watch = ZoneWatch(clearance, self.traffic, vehicles, clock, on_alarm=self.alarms.append)

    async def alarmed(self, count: int) -> list[str]:
        async def enough() -> bool:
            return len(self.alarms) >= count

        await until(enough, timeout_s=5.0)
        return self.alarms


@pytest.fixture
def watched(store: Store, clock: StillClock, zones: Zones, tmp_path: Path) -> Watched:
    return Watched(store, clock, zones, tmp_path)


async def test_a_zone_drawn_in_flight_finds_within_5_s_the_flights_that_will_be_in_it(
    watched: Watched, zones: Zones, clock: StillClock
) -> None:
    """The real task at its own pace; `until` gives up after 5 s."""
    assert zone_watch.LOOK_S + 1 <= 5
    watched.traffic.enter("f1", 1, eastward(clock() - 40.0))
    task = asyncio.create_task(watched.watch.run())
    await asyncio.sleep(0.3)
    assert watched.alarms == []
    drawn = await zones.draw(new(name="blaze"), person="a")
    (alarm,) = await watched.alarmed(1)
    assert alarm == (
        "zone FIRE1 'blaze' (prohibited): vehicle 1 will be there in 40 s, "
        f"at lon {LON - 0.002:.6f}, lat {LAT:.6f}, 50 m AMSL"
    )
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await watched.watch.look()
    assert len(watched.alarms) == 1, "told once"
    await zones.remove(drawn["id"], person="a")
    await watched.watch.look()
    await zones.draw(new(), person="a")
    await watched.watch.look()
    assert len(watched.alarms) == 2, "a zone that comes again is told again"


async def test_the_watch_looks_ahead_at_times_heights_and_who_is_there_without_a_plan(
    watched: Watched, zones: Zones, clock: StillClock
) -> None:
    start = datetime.fromtimestamp(clock() + 90, UTC)
    await zones.draw(new(times=[{"start": start.isoformat()}]), person="a")
    watched.traffic.enter("f1", 1, eastward(clock()))
    await watched.watch.look()
    (alarm,) = watched.alarms
    assert "vehicle 1 will be there in 90 s" in alarm, "it is on its way through when the zone becomes active"
    await zones.draw(new(id="ABOVE", lower={"value_m": 60, "datum": "AGL"}), person="a")
    await zones.draw(new(id="HERE", geometry=square(LON + 0.05, LAT)), person="a")
    clock.utc_s += 130.0
    await watched.watch.look()
    assert len(watched.alarms) == 2
    assert watched.alarms[1].startswith("zone HERE (prohibited): vehicle 2 is there now")
    watched.traffic.leave("f1")
    clock.utc_s += 1.0
    await watched.watch.look()
    assert len(watched.alarms) == 2


async def test_inclusion_zones_count_together(watched: Watched, zones: Zones, clock: StillClock) -> None:
    watched.hovering.state = msgspec.structs.replace(watched.hovering.state, landed=True, armed=False)
    for number, east in enumerate((-0.006, 0.006)):
        geometry = square(LON + east, LAT, 0.0065)
        await zones.draw(new(id=f"IN{number}", kind=Kind.INCLUSION, geometry=geometry), person="a")
    watched.traffic.enter("f1", 1, eastward(clock()))
    await watched.watch.look()
    assert watched.alarms == []
    watched.traffic.enter(
        "f1",
        1,
        Track(*(np.array(part) for part in ([clock(), clock() + 60], [LON, LON], [LAT, LAT + 0.01], [50.0, 50.0]))),
    )
    await watched.watch.look()
    assert len(watched.alarms) == 1
    assert "outside every inclusion zone: vehicle 1 will be there in 39 s" in watched.alarms[0]


async def test_zones_over_http(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    async with running(settings) as house:
        http = await house.client()
        operator = {"name": "o", "password": "long enough", "roles": ["operator"]}
        assert (await http.post("/people", json=operator)).status_code == 201
        plain = await house.client("o", "long enough")
        params = {"format": "ed318", "source": "authority"}
        large = ed318(*(published(f"K{number}") for number in range(30_000)))
        assert len(large) > 10_000_000, "larger than what other requests may be"
        answer = await http.post("/zones/import", params=params, content=large)
        assert answer.status_code == 200, answer.text
        assert answer.json()["zones"] == 30_000
        content = ed318(published("KZ1"))
        assert (await plain.post("/zones/import", params=params, content=content)).status_code == 403
        answer = await http.post("/zones/import", params=params, content=content)
        assert (answer.json()["zones"], answer.json()["replaced"]) == (1, 30_000)
        answer = await http.post("/zones/import", params=params, content=b"{")
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:missioncontrol:error:zone-invalid")
        assert (await http.post("/zones/import", params={**params, "format": "kml"}, content=b"")).status_code == 400
        asked = [{"name": [{"text": "Duty officer"}]}]
        drawing = msgspec.to_builtins(new(country="KAZ", authorities=asked, kind="INCLUSION"))
        assert (await plain.post("/zones", json=drawing)).status_code == 403
        drawn = (await http.post("/zones", json=drawing)).json()
        listed = (await plain.get("/zones", params={"active": True})).json()
        assert [each["properties"]["zone"] for each in listed["features"]] == ["KZ1", "FIRE1"]
        assert listed["features"][0]["properties"]["limits"] == "ground to 120 m above ground"
        assert (await plain.get("/zones/sources")).json()[0]["zones"] == 1
        exported = await plain.get("/zones/export", params={"format": "ed318"})
        assert exported.status_code == 200, exported.text
        assert [zone.id for zone in read_ed318(exported.content).zones] == ["KZ1", "FIRE1"]
        refused = await plain.get("/zones/export", params={"format": "ed269"})
        assert refused.status_code == 422
        assert "FIRE1" in refused.json()["detail"], "ED-269 knows no inclusion zones"
        assert (await plain.delete(f"/zones/{drawn['id']}")).status_code == 403
        assert (await http.delete(f"/zones/{drawn['id']}")).status_code == 204
        assert (await http.delete("/zones/sources/authority")).status_code == 204
        assert (await http.get("/zones")).json()["features"] == []


def test_zones_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str, code: int = 0) -> Any:
        with pytest.raises(SystemExit) as ended:
            zones_app([*arguments, "--json"], standalone_mode=True)
        assert ended.value.code == code
        return json.loads(capsys.readouterr().out)

    toml, file, out = tmp_path / "mc.toml", tmp_path / "kz.geojson", tmp_path / "out.json"
    toml.write_text(f'data = "{tmp_path / "var"}"\n')
    file.write_bytes(ed318(published("KZ1"), published("KZ2", geometry={"type": "Point", "coordinates": [LON, LAT]})))
    checked = said("check", str(file), code=1)
    assert (checked["zones"], len(checked["refused"])) == (1, 1)
    setting = ("--settings", str(toml))
    with pytest.raises(ZoneInvalid, match="KZ2"):
        zones_app(["import", str(file), "--source", "authority", *setting], standalone_mode=False)
    assert said("list", *setting)["features"] == []
    assert said("import", str(file), "--source", "authority", "--partly", *setting)["zones"] == 1
    assert [each["properties"]["zone"] for each in said("list", "--active", *setting)["features"]] == ["KZ1"]
    assert said("export", str(out), "--format", "ed269", *setting)["zones"] == 1
    assert [zone.id for zone in read_ed269(out).zones] == ["KZ1"]
