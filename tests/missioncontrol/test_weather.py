"""The weather gate: observations from files and a real HTTP server, against the limits of each vehicle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from integrations.weather_file import WeatherFile
from integrations.weather_http import WeatherHttp
from integrations.weather_readings import Reading, of_metar
from missioncontrol.errors import AdapterUnknown, SettingsInvalid, WeatherUnavailable
from missioncontrol.fleet_settings import VehicleSettings, WeatherSettings
from missioncontrol.settings import Settings
from missioncontrol.settings_files import load
from missioncontrol.weather import Weather, WeatherLimits, weather_checks
from missioncontrol.weather_watch import WeatherWatch, open_weather
from tests.missioncontrol.conftest import StillClock, make_settings, running, until
from tests.missioncontrol.test_service import approved

NOW_S = datetime(2026, 11, 22, 14, 40, tzinfo=UTC).timestamp()
FINE = Weather(
    utc_s=NOW_S - 600.0, wind_m_s=4.0, wind_from_deg=20.0, gust_m_s=8.0, rain_mm_h=0.0, temperature_c=12.0,
    visibility_m=9000.0, source="roof",
)  # fmt: skip
LIMITS = WeatherLimits()


def by_name(weather: Weather | None, limits: WeatherLimits = LIMITS, **more: Any) -> dict[str, Any]:
    return {each.name: each for each in weather_checks(weather, limits, now_utc_s=NOW_S, **more)}


def test_fine_weather_passes_and_tells_what_was_measured() -> None:
    found = by_name(FINE)
    assert all(each.passed for each in found.values())
    assert found["weather.wind"].text == "wind: 4.0 m/s, at most 10 m/s"
    assert found["weather.age"].text == "weather: roof, 10 min old, at most 60 min old"


@pytest.mark.parametrize(
    ("name", "changed", "text"),
    [
        ("wind", {"wind_m_s": 10.1}, "wind: 10.1 m/s, at most 10 m/s"),
        ("gust", {"gust_m_s": 15.4}, "gusts: 15.4 m/s, at most 15 m/s"),
        ("rain", {"rain_mm_h": 0.2}, "rain: 0.2 mm/h, at most 0 mm/h"),
        ("temperature", {"temperature_c": -14.0}, "temperature: -14.0 deg C, -10 to 40 deg C"),
        ("temperature", {"temperature_c": 41.5}, "temperature: 41.5 deg C, -10 to 40 deg C"),
        ("visibility", {"visibility_m": 300.0}, "visibility: 300 m, at least 1500 m"),
    ],
)
def test_each_limit_stops_by_itself(name: str, changed: dict[str, float], text: str) -> None:
    found = by_name(msgspec.structs.replace(FINE, **changed))
    assert [each.name for each in found.values() if not each.passed] == [f"weather.{name}"]
    assert found[f"weather.{name}"].passed is False
    assert found[f"weather.{name}"].text == text
    untold = by_name(msgspec.structs.replace(FINE, **dict.fromkeys(changed)))[f"weather.{name}"]
    assert (untold.passed, untold.measured) == (None, "not told")


def test_unknown_and_stale_weather_does_not_pass_unless_that_is_set() -> None:
    old = msgspec.structs.replace(FINE, utc_s=NOW_S - 3601.0)
    ahead = msgspec.structs.replace(FINE, utc_s=NOW_S + 301.0)
    partly = msgspec.structs.replace(FINE, gust_m_s=None)
    for weather in (None, old, ahead, partly):
        assert not all(each.passed for each in by_name(weather).values())
        assert all(each.passed for each in by_name(weather, unknown_passes=True).values())
    assert list(by_name(old)) == ["weather.age"], "an old wind is not held against today's limits"
    assert by_name(None, error="roof: is empty")["weather.age"].measured == "not known (roof: is empty)"
    storm = msgspec.structs.replace(FINE, wind_m_s=30.0, gust_m_s=None)
    assert by_name(storm, unknown_passes=True)["weather.wind"].passed is False


@pytest.mark.parametrize("field", ["wind_m_s", "temperature_c", "utc_s"])
def test_an_observation_without_sense_is_none(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        msgspec.structs.replace(FINE, **{field: float("nan")})


def test_conditions_for_the_reckoning_of_energy() -> None:
    conditions = FINE.conditions(800.0)
    assert conditions is not None
    assert conditions.wind.north_m_s == pytest.approx(-3.759, abs=1e-3)
    assert conditions.air_kg_m3 == pytest.approx(1.125, abs=2e-3)
    assert msgspec.structs.replace(FINE, wind_from_deg=None).conditions(800.0) is None
    assert msgspec.structs.replace(FINE, wind_from_deg=None, wind_m_s=0.0).conditions(800.0) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("METAR UAAA 221400Z 02004MPS 340V060 6000 -RA BKN020 02/M01 Q1021 NOSIG=", (4.0, 20.0, 9.0, 2.5, 2.0, 6000.0)),
        ("UAAA 221430Z VRB01MPS CAVOK M05/M08 Q1030", (1.0, None, 6.0, 0.0, -5.0, 10000.0)),
        ("KJFK 221451Z 18015G25KT 10SM +TSRA FEW030 15/10 A2992 RMK AO2", (7.717, 180.0, 12.861, 50.0, 15.0, 16093.44)),
        ("UAAA 221430Z AUTO /////MPS //// // ////// ///// Q////", (None, None, None, None, None, None)),
        ("UAAA 221430Z 00000MPS 0300 FG OVC001 01/01 Q1010", (0.0, 0.0, 5.0, 0.0, 1.0, 300.0)),
        ("UAAA 221430Z 27012G18MPS 2000 SHSN OVC010 M01/M03 Q1010", (12.0, 270.0, 18.0, 10.0, -1.0, 2000.0)),
    ],
)
def test_metar_is_read_and_what_it_does_not_tell_is_not_known(text: str, expected: tuple[float | None, ...]) -> None:
    found = of_metar(text, now_utc_s=NOW_S, source="field")
    values = (found.wind_m_s, found.wind_from_deg, found.gust_m_s, found.rain_mm_h, found.temperature_c)
    for value, wanted in zip((*values, found.visibility_m), expected, strict=True):
        assert value == (None if wanted is None else pytest.approx(wanted, abs=1e-3))
    assert found.source == text.removeprefix("METAR ")[:4]


def test_the_month_of_a_metar_is_the_latest_that_is_past() -> None:
    new_year_s = datetime(2027, 1, 1, 0, 10, tzinfo=UTC).timestamp()
    found = of_metar("UAAA 312330Z 02004MPS 9999 02/M01 Q1021", now_utc_s=new_year_s, source="field")
    assert datetime.fromtimestamp(found.utc_s, UTC) == datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    for text in ("", "UAAA", "UAAA 221430Z NIL and more", "hello", "UAAA 329930Z 02004MPS"):
        with pytest.raises(WeatherUnavailable, match="field"):
            of_metar(text, now_utc_s=NOW_S, source="field")


def test_json_and_csv_are_read_by_named_fields_and_factors() -> None:
    reading = Reading(
        source="roof",
        fields={"wind_m_s": "now.wind.0", "temperature_c": "now.t", "utc_s": "at"},
        factors={"wind_m_s": 1 / 3.6},
    )
    found = reading.read(b'{"at": "2026-11-22T14:30:00Z", "now": {"wind": [18.0, 3], "t": "-4.5"}}', now_utc_s=NOW_S)
    assert (found.wind_m_s, found.temperature_c, found.gust_m_s) == (pytest.approx(5.0), -4.5, None)
    assert found.utc_s == NOW_S - 600.0
    table = b"utc_s,wind_m_s,rain_mm_h\n1795000000,3,0\n2026-11-22T20:30:00+06:00,7.5,\n"
    row = Reading(source="roof").read(table, now_utc_s=NOW_S)
    assert (row.utc_s, row.wind_m_s, row.rain_mm_h) == (NOW_S - 600.0, 7.5, None)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"  \n", b"\xff\xfe", b"{", b"[]", b'{"utc_s": 1e400}', b'{"utc_s": true}', b'{"wind_m_s": 3}',
        b'{"utc_s": 1, "wind_m_s": -2}', b'{"utc_s": 1, "wind_m_s": {"a": 1}}', b"utc_s,wind_m_s", b"x" * 70_000,
        b'{"utc_s": 1, "temperature_c": 400}', b"[" * 60_000, b'{"utc_s": "yesterday"}',
        b'{"utc_s": 1, "rain_mm_h": "nan"}',
    ],
)  # fmt: skip
def test_what_cannot_be_understood_says_so(content: bytes) -> None:
    with pytest.raises(WeatherUnavailable, match="roof"):
        Reading(source="roof").read(content, now_utc_s=NOW_S)


async def test_a_file_is_read_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "roof.json"
    async with WeatherFile(path=str(path), utc_now=lambda: NOW_S) as source:
        with pytest.raises(WeatherUnavailable, match=r"roof\.json: cannot be read: No such file"):
            await source.look()
        path.write_text('{"utc_s": 1795000000, "wind_m_s": 3}')
        assert (await source.look()).wind_m_s == 3.0
        path.write_text("UAAA 221430Z 02004MPS CAVOK 02/M01 Q1021")
        assert (await source.look()).source == "UAAA"


@asynccontextmanager
async def serving(answer: Callable[[bytes], bytes | None]) -> AsyncIterator[str]:
    """URL of a server whose answer is made of the request; None never answers."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made = answer(await reader.readuntil(b"\r\n\r\n"))
        with suppress(ConnectionError):
            if made is None:
                await reader.read()
            else:
                writer.write(made)
                await writer.drain()
            writer.close()
            await writer.wait_closed()
        closed.set()

    closed = asyncio.Event()
    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/now"
        await closed.wait()


def ok(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s" % (status, len(body), more, body)


async def test_an_endpoint_is_asked_with_its_token_and_no_longer_than_its_time() -> None:
    asked: list[bytes] = []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        return ok(b'{"utc_s": 1795000000, "current": {"wind": 36.0}}')

    async with (
        serving(answer) as url,
        WeatherHttp(
            url=url, token="s3cret", fields={"wind_m_s": "current.wind"}, factors={"wind_m_s": 0.27778}
        ) as source,
    ):
        found = await source.look()
    assert found.wind_m_s == pytest.approx(10.0, abs=1e-3)
    assert found.source == "127.0.0.1"
    assert b"authorization: bearer s3cret" in asked[0].lower()
    for made, words in (
        (ok(b"no", b"503 Busy"), "answered 503"),
        (ok(b"", b"302 Found", b"Location: http://127.0.0.1:9/\r\n"), "answered 302"),
        (ok(b"<html>"), "no METAR"),
        (ok(b" " * 70_000), "bytes are no observation"),
        (None, "did not answer"),
    ):
        async with (
            serving(lambda _, made=made: made) as url,  # type: ignore[misc]
            WeatherHttp(url=url, timeout_s=0.3) as source,
        ):
            with pytest.raises(WeatherUnavailable, match=words):
                await source.look()
    for url in ("ftp://station/now", "file:///etc/passwd", "nothing"):
        with pytest.raises(ValueError, match="not an http or https address"):
            WeatherHttp(url=url)


def test_a_source_that_cannot_be_used_is_named() -> None:
    with pytest.raises(AdapterUnknown, match="no source 'crystal ball'; there are: file, http"):
        open_weather(WeatherSettings(source="crystal ball"))
    with pytest.raises(SettingsInvalid, match="options of file"):
        open_weather(WeatherSettings(source="file", options={"url": "x"}))
    with pytest.raises(SettingsInvalid, match="'wind' is no field"):
        open_weather(WeatherSettings(source="file", options={"path": "x", "fields": {"wind": "y"}}))


def test_each_vehicle_has_its_own_limits_and_the_file_is_next_to_the_settings(tmp_path: Path) -> None:
    (tmp_path / "mc.toml").write_text(
        '[weather]\nsource = "file"\noptions = {path = "roof.json"}\nlimits = {wind_m_s = 8}\n'
        '[[vehicles]]\nsysid = 1\nname = "a"\n'
        '[[vehicles]]\nsysid = 2\nname = "b"\nweather = {wind_m_s = 14, rain_mm_h = 3}\n'
        'airframe = {kind = "fixed_wing", min_m_s = 12, max_m_s = 26}\n'
    )
    settings = load(tmp_path / "mc.toml", {})
    assert settings.weather.options == {"path": str(tmp_path / "roof.json")}
    watch = WeatherWatch(settings, StillClock(NOW_S))
    watch.latest = msgspec.structs.replace(FINE, wind_m_s=11.0, gust_m_s=12.0)
    assert [watch.limits(sysid).wind_m_s for sysid in (None, 1, 2)] == [8.0, 8.0, 14.0]
    assert [all(each.passed for each in watch.checks(sysid)) for sysid in (1, 2)] == [False, True]
    assert watch.conditions(800.0) == watch.latest.conditions(800.0)
    watch.latest = msgspec.structs.replace(FINE, utc_s=0.0)
    assert watch.conditions(800.0) is None
    (tmp_path / "mc.toml").write_text('[[vehicles]]\nsysid = 1\nname = "a"\nairframe = {kind = "fixed_wing"}\n')
    with pytest.raises(SettingsInvalid, match="min_m_s 0, max_m_s 20: must be above 0"):
        load(tmp_path / "mc.toml", {})


async def test_the_last_observation_is_kept_with_the_reason_why_there_is_no_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "roof.json"
    options = {"path": str(path), "valid_s": 1e12}
    settings = Settings(weather=WeatherSettings(source="file", options=options, every_s=0.02))
    watch = WeatherWatch(settings, StillClock(NOW_S))
    task = asyncio.create_task(watch.run())

    async def seen(condition: Callable[[], bool]) -> None:
        async def met() -> bool:
            return condition()

        await until(met, timeout_s=10.0)

    try:
        await seen(lambda: "No such file" in watch.error)
        assert watch.latest is None
        path.write_text('{"utc_s": 1795000000, "wind_m_s": 3}')
        await seen(lambda: watch.latest is not None and not watch.error)
        path.write_text("{")
        await seen(lambda: "is not JSON" in watch.error)
        assert watch.latest is not None
        assert watch.latest.wind_m_s == 3.0
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_gate_and_the_api_tell_the_weather(tmp_path: Path) -> None:
    path = tmp_path / "roof.json"
    path.write_text('{"utc_s": 1000, "wind_m_s": 3}')
    settings = make_settings(
        tmp_path, weather=WeatherSettings(source="file", options={"path": str(path), "valid_s": 1e12}, every_s=0.1)
    )
    settings = msgspec.structs.replace(
        settings,
        vehicles=tuple(
            msgspec.structs.replace(vehicle, weather=WeatherLimits(wind_m_s=2.0)) for vehicle in settings.vehicles
        ),
    )
    assert isinstance(settings.vehicles[0], VehicleSettings)
    async with running(settings) as house:
        http = await house.client()

        async def observed() -> Any:
            return (await http.get("/weather")).json()["observation"]

        assert (await until(observed))["wind_m_s"] == 3.0
        everybody = {each["name"]: each["passed"] for each in (await http.get("/weather")).json()["checks"]}
        assert everybody == {
            "weather.age": True, "weather.wind": True, "weather.gust": None, "weather.rain": None,
            "weather.temperature": None, "weather.visibility": None,
        }  # fmt: skip
        told = (await http.get("/weather", params={"vehicle": 1})).json()
        assert told["limits"]["wind_m_s"] == 2.0
        mission_id = await approved(http, 1)
        answer = await http.get(f"/missions/{mission_id}/preflight")
        gate = {each["name"]: each for each in answer.json()[0]["checks"]}
        assert gate["weather.wind"]["passed"] is False
        assert gate["weather.wind"]["text"] == "wind: 3.0 m/s, at most 2 m/s"
    async with running(make_settings(tmp_path / "without")) as house:
        http = await house.client()
        assert [each["text"] for each in (await http.get("/weather")).json()["checks"]] == [
            "weather: no source is set, none asked"
        ]
