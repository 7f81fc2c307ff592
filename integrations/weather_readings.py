"""Observations as stations write them: METAR text, JSON with named fields, CSV with a header."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from metar.Metar import Metar, ParserError

from missioncontrol.errors import WeatherUnavailable
from missioncontrol.weather import Weather

MOST_BYTES = 65_536
"""More is not an observation."""
FIELDS = ("utc_s", "wind_m_s", "wind_from_deg", "gust_m_s", "rain_mm_h", "temperature_c", "visibility_m")
GUST_ABOVE_M_S = 5.0
"""Gusts are reported from so much above the mean wind (ICAO Annex 3): without a group there may be as much."""
RAIN_MM_H = {"-": 2.5, "": 10.0, "+": 50.0}
"""Upper ends of slight, moderate and heavy rain (WMO-No. 8, Guide to Instruments); METAR tells no more."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a source's text is understood."""

    source: str
    """Its name."""
    fields: dict[str, str] = {}
    """Where each of our fields is: a path such as `current.wind.0`, or a column; our own name where it is absent."""
    factors: dict[str, float] = {}
    """What each number is multiplied by to have our unit."""
    valid_s: float = 3600.0
    """How long an observation may be relied upon, s."""

    def __post_init__(self) -> None:
        """Raises ValueError for fields that we do not have."""
        for name in (*self.fields, *self.factors):
            if name not in FIELDS:
                raise ValueError(f"{name!r} is no field of an observation; there are: {', '.join(FIELDS)}")
        if not self.valid_s > 0.0:
            raise ValueError(f"valid_s: {self.valid_s:g} is not above 0")

    def read(self, content: bytes, *, now_utc_s: float) -> Weather:
        """The newest observation in a text: JSON, METAR (its last line) or CSV (its last row).

        Raises WeatherUnavailable where it cannot be understood.
        """
        if len(content) > MOST_BYTES:
            raise WeatherUnavailable(f"{self.source}: {len(content)} bytes are no observation")
        try:
            text = content.decode("utf-8-sig").strip()
        except UnicodeDecodeError as exc:
            raise WeatherUnavailable(f"{self.source}: is not UTF-8") from exc
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not lines:
            raise WeatherUnavailable(f"{self.source}: is empty")
        if text.startswith(("{", "[")):
            return self._of_json(text)
        if "," in lines[0]:
            return self._of_values(_last_row(lines, self.source))
        return of_metar(lines[-1], now_utc_s=now_utc_s, source=self.source, valid_s=self.valid_s)

    def _of_json(self, text: str) -> Weather:
        try:
            tree = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as exc:
            raise WeatherUnavailable(f"{self.source}: is not JSON: {exc}") from exc
        return self._of_values({name: _at(tree, self.fields.get(name, name)) for name in FIELDS}, placed=True)

    def _of_values(self, row: dict[str, Any], *, placed: bool = False) -> Weather:
        values = row if placed else {name: row.get(self.fields.get(name, name)) for name in FIELDS}
        try:
            numbers = {
                name: _number(value) * self.factors.get(name, 1.0)
                for name, value in values.items()
                if name != "utc_s" and value not in (None, "")
            }
            numbers["utc_s"] = _utc_s(values["utc_s"])
            whole = {**numbers, "source": self.source, "valid_s": self.valid_s}
            return msgspec.convert(whole, Weather)
        except (ValueError, TypeError, msgspec.ValidationError) as exc:
            raise WeatherUnavailable(f"{self.source}: {exc}") from exc


def of_metar(line: str, *, now_utc_s: float, source: str, valid_s: float = 3600.0) -> Weather:
    """A METAR or SPECI without remarks; its month is the latest in which it is not from the future.

    What it does not tell is None, but gusts: they are what they may be without being reported. Raises
    WeatherUnavailable.
    """
    report = line.rstrip("= ").partition(" RMK")[0]
    now = datetime.fromtimestamp(now_utc_s, UTC).replace(tzinfo=None)
    read, reason = None, ""
    for month in (now, now.replace(day=1) - timedelta(days=1)):
        try:
            found = Metar(report, month=month.month, year=month.year)
        except ParserError as exc:
            reason = str(exc).splitlines()[0][:200]
            continue
        if found.time is not None and found.time <= now + timedelta(hours=1):
            read = found
            break
    if read is None or read.time is None:
        raise WeatherUnavailable(f"{source}: {report[:80]!r} is no METAR that can be read{reason and ': '}{reason}")
    groups = report.split()
    wind_m_s = None if read.wind_speed is None else read.wind_speed.value("MPS")
    gust_m_s = None if wind_m_s is None else wind_m_s + GUST_ABOVE_M_S
    if read.wind_gust is not None:
        gust_m_s = read.wind_gust.value("MPS")
    return Weather(
        utc_s=read.time.replace(tzinfo=UTC).timestamp(),
        wind_m_s=wind_m_s,
        wind_from_deg=None if read.wind_dir is None else read.wind_dir.value(),
        gust_m_s=gust_m_s,
        rain_mm_h=_rain_mm_h(read, groups),
        temperature_c=None if read.temp is None else read.temp.value("C"),
        visibility_m=None if read.vis is None or "////" in groups else read.vis.value("M"),
        source=read.station_id or source,
        valid_s=valid_s,
    )


def _rain_mm_h(read: Metar, groups: list[str]) -> float | None:
    """None where an automatic station says that it does not know."""
    if "//" in groups:
        return None
    falling = [each for each in read.weather if each[2] and "/" not in each[2]]
    return max((RAIN_MM_H.get(each[0] or "", RAIN_MM_H["+"]) for each in falling), default=0.0)


def _last_row(lines: list[str], source: str) -> dict[str, Any]:
    rows = list(csv.DictReader(io.StringIO("\n".join([lines[0], lines[-1]]))))
    if not rows:
        raise WeatherUnavailable(f"{source}: has a header and no row")
    return dict(rows[0])


def _at(tree: Any, path: str) -> Any:
    """What is at a path of names and numbers; None where nothing is."""
    for part in path.split("."):
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and part.lstrip("-").isdigit() and -len(tree) <= int(part) < len(tree):
            tree = tree[int(part)]
        else:
            return None
    return tree


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _utc_s(value: Any) -> float:
    """Seconds since 1970, or ISO 8601; without a time zone it is UTC."""
    if value in (None, ""):
        raise ValueError("utc_s: the observation has no time")
    try:
        return _number(value)
    except ValueError:
        when = datetime.fromisoformat(str(value))
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
