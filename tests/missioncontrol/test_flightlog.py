"""Flights as files: what is in them is what was recorded, and every program finds it where the format has it."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fleet.recording import read_recording
from missioncontrol.errors import NotFound
from missioncontrol.flightlog import COLUMNS, FlightLogs
from missioncontrol.health import recording_path
from missioncontrol.logbook import Logbook, flight_of
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.vehicles import TrackPoint
from tests.missioncontrol.conftest import make_settings, running
from tests.missioncontrol.recorded import START_S, flown

KML, GX = "{http://www.opengis.net/kml/2.2}", "{http://www.google.com/kml/ext/2.2}"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """One back end is enough for what is in a file."""
    async with Store(f"sqlite:///{tmp_path / 'light.sqlite'}") as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


async def test_csv_has_a_row_for_each_position(store: Store, settings: Settings) -> None:
    found = await FlightLogs(store, settings).export(await flown(store, settings), "csv")
    rows = list(csv.DictReader(io.StringIO(found.content.decode(), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 70
    assert found.content.count(b"\r\n") == 71
    assert rows[0]["time_utc"] == "2026-09-21T14:13:20.000Z"
    assert rows[10] == {
        "time_utc": "2026-09-21T14:13:30.000Z",
        "lon_deg": "76.9454935",
        "lat_deg": "43.2380000",
        "amsl_m": "840.000",
        "relative_m": "40.000",
        "ground_speed_m_s": "8.000",
        "heading_deg": "90.000",
        "mode": "AUTO",
        "battery_percent": "100.0",
        "item": "2",
    }
    assert rows[-1]["amsl_m"] == "800.000"


async def test_kml_is_a_track_with_a_time_and_a_height_above_the_sea_for_each_place(
    store: Store, settings: Settings
) -> None:
    found = await FlightLogs(store, settings).export(await flown(store, settings), "kml")
    (track,) = ET.fromstring(found.content).iter(f"{GX}Track")
    assert track.findtext(f"{KML}altitudeMode") == "absolute"
    times = [element.text for element in track.iter(f"{KML}when")]
    places = [(element.text or "").split() for element in track.iter(f"{GX}coord")]
    assert len(times) == len(places) == 70
    assert (times[10], places[10]) == ("2026-09-21T14:13:30.000Z", ["76.9454935", "43.2380000", "840.000"])
    assert [child.tag for child in track][:71] == [f"{KML}altitudeMode", *[f"{KML}when"] * 70]
    assert b"KZ-001 2026-09-21" in found.content


async def test_the_recording_is_given_as_it_is(store: Store, settings: Settings, tmp_path: Path) -> None:
    flight = await flown(store, settings)
    found = await FlightLogs(store, settings).export(flight, "tlog")
    assert found.content == recording_path(settings, flight).read_bytes()
    assert found.name == f"flight-{flight}.tlog"
    (tmp_path / "again.tlog").write_bytes(found.content)
    assert len(list(read_recording(tmp_path / "again.tlog"))) == 70 * 8 + 2


async def test_without_a_recording_the_track_that_was_written_down_is_given(store: Store, settings: Settings) -> None:
    flight, logbook, logs = await flown(store, settings, recorded=False), Logbook(store), FlightLogs(store, settings)
    points = [TrackPoint(START_S, 76.9, 43.2, 850.0, 7.5), TrackPoint(START_S + 1, 76.901, 43.2, 851.0)]
    await logbook.write_track(flight_of(await track_row(logbook, flight)), points)
    rows = list(csv.reader(io.StringIO((await logs.export(flight, "csv")).content.decode(), newline="")))
    assert rows[1] == ["2026-09-21T14:13:20.000Z", "76.9000000", "43.2000000", "850.000", "", "7.500", *[""] * 4]
    assert rows[2][5] == ""
    assert b"76.9010000 43.2000000 851.000" in (await logs.export(flight, "kml")).content
    assert b'"coordinates":[[76.9,43.2,850.0],[76.901,43.2,851.0]]' in (await logs.export(flight, "geojson")).content
    with pytest.raises(NotFound, match="no recording"):
        await logs.export(flight, "tlog")
    with pytest.raises(NotFound, match="no flight"):
        await logs.export("../../etc/passwd", "tlog")


async def track_row(logbook: Logbook, flight: str):  # type: ignore[no-untyped-def]
    return next(row for row in await logbook.rows() if row.id == flight)


async def test_exports_over_http(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    async with running(settings) as house:
        rooms = house.service.rooms
        assert rooms is not None
        flight = await flown(rooms.store, settings)
        client = await house.client()
        for kind, media_type in (
            ("tlog", "application/octet-stream"),
            ("geojson", "application/geo+json"),
            ("kml", "application/vnd.google-earth.kml+xml"),
            ("csv", "text/csv; charset=utf-8"),
        ):
            answer = await client.get(f"/flights/{flight}/export", params={"format": kind})
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == media_type
            assert answer.headers["content-disposition"] == f'attachment; filename="flight-{flight}.{kind}"'
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert len(answer.content) > 100
        assert (await client.get(f"/flights/{flight}/export")).content[8] in (0xFD, 0xFE)
        assert (await client.get(f"/flights/{flight}/export", params={"format": "exe"})).status_code == 400
        assert (await client.get("/flights/none/export", params={"format": "csv"})).status_code == 404
        async with httpx.AsyncClient(base_url=f"{house.url}/api/v1") as stranger:
            assert (await stranger.get(f"/flights/{flight}/export")).status_code == 401
