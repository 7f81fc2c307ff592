"""Flights as files: the recording itself (.tlog), GeoJSON, KML and CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import xml.etree.ElementTree as ET
from typing import Any, Literal

import msgspec

from fleet.flightlog import LogRow, read_flight
from fleet.kml import NAMESPACE
from missioncontrol.clocks import iso_utc
from missioncontrol.errors import NotFound
from missioncontrol.health import recording_path
from missioncontrol.logbook import Logbook
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.vehicles import TrackPoint

Format = Literal["tlog", "geojson", "kml", "csv"]
MEDIA_TYPES: dict[str, str] = {
    "tlog": "application/octet-stream",
    "geojson": "application/geo+json",
    "kml": "application/vnd.google-earth.kml+xml",
    "csv": "text/csv",
}
"""Formats of an export and what they are called in HTTP."""
GX = "http://www.google.com/kml/ext/2.2"
COLUMNS = (
    "time_utc", "lon_deg", "lat_deg", "amsl_m", "relative_m", "ground_speed_m_s", "heading_deg", "mode",
    "battery_percent", "item",
)  # fmt: skip
"""Of the CSV: those of a LogRow, the time as RFC 3339 text; empty where not known."""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A flight as a file."""

    name: str
    """Of the file."""
    media_type: str
    """As HTTP calls it."""
    content: bytes
    """Of the file."""


class FlightLogs:
    """Exports of all flights of an installation."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Of the flights in `store`, and the recordings in the data folder of `settings`."""
        self._logbook, self._settings = Logbook(store), settings

    async def export(self, flight_id: str, kind: Format) -> Export:
        """A flight in one of the formats; of one still under way, what is recorded until now.

        KML and CSV come from the recording; where there is none, from the track that was written down. Raises
        NotFound for an unknown flight, and for the .tlog of one that has none; RecordingInvalid.
        """
        row = await self._logbook.row(flight_id)
        content = await self._content(row, kind)
        return Export(name=f"flight-{flight_id}.{kind}", media_type=MEDIA_TYPES[kind], content=content)

    async def _content(self, flight: Any, kind: Format) -> bytes:
        path = recording_path(self._settings, flight.id)
        recorded = await asyncio.to_thread(path.is_file)
        if kind == "geojson":
            return msgspec.json.encode(await self._logbook.track(flight.id))
        if kind == "tlog":
            if not recorded:
                raise NotFound(f"flight {flight.id} has no recording")
            return await asyncio.to_thread(path.read_bytes)
        if recorded:
            rows = (await asyncio.to_thread(read_flight, path, flight.sysid)).rows
        else:
            rows = [_row(point) for point in await self._logbook.points(flight.id)]
        if kind == "csv":
            return await asyncio.to_thread(to_csv, rows)
        name = f"{flight.registration or f'sysid {flight.sysid}'} {iso_utc(flight.started_utc_s)}"
        return await asyncio.to_thread(to_kml, name, rows)


def _row(point: TrackPoint) -> LogRow:
    return LogRow(point.utc_s, point.lon, point.lat, point.amsl_m, ground_speed_m_s=point.ground_speed_m_s)


def to_csv(rows: list[LogRow]) -> bytes:
    """RFC 4180 text with the columns of COLUMNS: places to 1e-7 deg, heights and speeds to the millimetre."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        numbers = (row.amsl_m, row.relative_m, row.ground_speed_m_s, row.heading_deg)
        cells = ["" if number is None else f"{number:.3f}" for number in numbers]
        rest = (row.mode, row.battery_percent, row.item)
        writer.writerow((iso_utc(row.utc_s), f"{row.lon:.7f}", f"{row.lat:.7f}", *cells, *rest))
    return text.getvalue().encode()


def to_kml(name: str, rows: list[LogRow]) -> bytes:
    """A KML document with one gx:Track, heights AMSL ("absolute"), a time for each place."""
    ET.register_namespace("gx", GX)
    root = ET.Element("kml", {"xmlns": NAMESPACE})
    document = ET.SubElement(root, "Document")
    ET.SubElement(document, "name").text = name
    mark = ET.SubElement(document, "Placemark")
    ET.SubElement(mark, "name").text = name
    track = ET.SubElement(mark, f"{{{GX}}}Track")
    ET.SubElement(track, "altitudeMode").text = "absolute"
    for row in rows:
        ET.SubElement(track, "when").text = iso_utc(row.utc_s)
    for row in rows:
        ET.SubElement(track, f"{{{GX}}}coord").text = f"{row.lon:.7f} {row.lat:.7f} {row.amsl_m:.3f}"
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()
