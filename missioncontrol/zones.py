"""Zones as records: read from the files of authorities, or drawn by an administrator."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import msgspec
import numpy as np
import shapely
import uuid_utils
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from geo.positions import Altitude, Datum
from geo.schedules import Applicability
from geo.volumes import Circle, Outline, Volume4D, above
from geo.zone_fields import Fields
from geo.zones import Authority, Kind, Reason, Text, Zone, ZoneCollection
from missioncontrol import audit
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import Conflict, InputInvalid, NotFound
from missioncontrol.store import Store
from missioncontrol.tables import audit as audit_table
from missioncontrol.tables import zone_sources, zones
from missioncontrol.zone_formats import ZoneFormat

Array = NDArray[np.float64]

OWN = "own"
"""Source of the zones that were drawn here."""
MOST_TOLD = 500
"""Of what was odd in a file, so much is told one by one."""
_KIND, _ALONE = "zones", "zones"


class NewZone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A zone to be drawn."""

    id: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,40}$")] | None = None
    """Identifier that permits name it by; made up where absent. ED-269 takes 7 characters at most."""
    kind: Kind
    """What it asks."""
    geometry: dict[str, Any]
    """GeoJSON Polygon, or Point for a circle."""
    radius_m: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Of the circle, m."""
    lower: Altitude | None = None
    """From which height; absent: from the ground."""
    upper: Altitude | None = None
    """Up to which height; absent: without end."""
    times: tuple[Applicability, ...] = ()
    """When: at any of these; none: always."""
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """What people call it."""
    reasons: Annotated[tuple[Reason, ...], msgspec.Meta(max_length=9)] = ()
    """Why it is there."""
    message: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """What pilots are to be shown."""
    conditions: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    """What CONDITIONAL means, in words."""
    country: Annotated[str, msgspec.Meta(pattern="^([A-Z]{3})?$")] = ""
    """ISO 3166-1, three letters; ED-269 and ED-318 want it."""
    authorities: tuple[Authority, ...] = ()
    """Whom to ask."""


class ZoneRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A zone that is kept."""

    id: str
    """Of the record, UUIDv7; the zone's own identifier may be another source's too."""
    source: str
    """Name of the source it came with; `own` where it was drawn here."""
    zone: Zone
    """As published."""


class ZoneImport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file of zones."""

    source: str
    """Name under which its zones are kept."""
    format: ZoneFormat
    """How it is written."""
    sha256: str
    """Of the file."""
    zones: int
    """How many are kept."""
    replaced: int
    """How many of the same source are gone."""
    noted: int
    """How much in it was odd and was read on the safe side."""
    notes: tuple[str, ...]
    """What was odd, the first of it."""
    refused: tuple[str, ...]
    """Features that could not be understood and are left out."""


@dataclass(frozen=True)
class ZoneBook:
    """All zones as they were at a time."""

    version: int
    """Grows with every change."""
    records: tuple[ZoneRecord, ...]
    """In the order they came in."""

    @cached_property
    def bounds(self) -> Array:
        """(n, 4) west, south, east, north of each, deg."""
        boxes = [
            np.array([volume.footprint.bounds() for volume in record.zone.volumes] or np.full((1, 4), np.nan))
            for record in self.records
        ]
        return np.array([[*box[:, :2].min(axis=0), *box[:, 2:].max(axis=0)] for box in boxes], float).reshape(-1, 4)

    def near(self, box: tuple[float, float, float, float]) -> tuple[ZoneRecord, ...]:
        """Those that may reach into a box (west, south, east, north, deg), and every inclusion zone."""
        west, south, east, north = box
        meets = (
            (self.bounds[:, 0] <= east)
            & (self.bounds[:, 2] >= west)
            & (self.bounds[:, 1] <= north)
            & (self.bounds[:, 3] >= south)
        )
        return tuple(
            record
            for record, hit in zip(self.records, meets.tolist(), strict=True)
            if hit or record.zone.kind == Kind.INCLUSION
        )


class Zones:
    """All zones of an installation."""

    def __init__(self, store: Store, clock: Clock, *, near: tuple[float, float] | None = None) -> None:
        """`near` (lon, lat) is where the installation is, so that swapped places are noticed."""
        self._store, self._clock, self._near = store, clock, near
        self._book = ZoneBook(-1, ())
        self._reading = asyncio.Lock()

    async def book(self) -> ZoneBook:
        """All zones as they are now, whoever changed them."""
        async with self._reading, self._store.reading() as connection:
            version = await changes(connection, _KIND)
            if version != self._book.version:
                rows = (await connection.execute(select(zones).order_by(zones.c.number))).all()
                self._book = ZoneBook(version, await asyncio.to_thread(_records, rows))
            return self._book

    async def import_file(
        self, content: bytes, *, file_format: ZoneFormat, source: str, person: str, partly: bool = False
    ) -> ZoneImport:
        """Put the zones of a file in the place of all zones of a source.

        With `partly`, features that cannot be understood are left out and told. Raises ZoneInvalid, InputInvalid; then
        nothing has changed.
        """
        _check_source(source)
        found = await asyncio.to_thread(file_format.read, content, partly=partly, near=self._near)
        if not found.zones:
            raise InputInvalid(f"{source}: the file holds no zone; to have none of this source, remove it")
        sha256 = hashlib.sha256(content).hexdigest()
        header = msgspec.to_builtins(msgspec.structs.replace(found, zones=(), notes=(), refused=()))
        rows = await asyncio.to_thread(_rows, found.zones, source)
        async with self._store.writing(alone=_ALONE) as connection:
            notes = [*map(str, found.notes), *_twice(found.zones, await _others(connection, source))]
            replaced = await self._drop(connection, source)
            await connection.execute(
                insert(zone_sources).values(
                    name=source,
                    format=file_format.value,
                    header=header,
                    sha256=sha256,
                    noted=len(notes),
                    refused=len(found.refused),
                    imported_by=person,
                    imported_utc_s=self._clock(),
                )
            )
            await connection.execute(insert(zones), rows)
            detail = {"sha256": sha256, "zones": len(rows), "replaced": replaced, "refused": len(found.refused)}
            await self._record(connection, source, person, "imported", detail)
        return ZoneImport(
            source=source,
            format=file_format,
            sha256=sha256,
            zones=len(rows),
            replaced=replaced,
            noted=len(notes),
            notes=tuple(notes[:MOST_TOLD]),
            refused=tuple(str(note) for note in found.refused[:MOST_TOLD]),
        )

    async def draw(self, new: NewZone, *, person: str) -> dict[str, Any]:
        """Keep a zone of one's own. Raises ZoneInvalid, InputInvalid; Conflict where its identifier is taken."""
        record_id = str(uuid_utils.uuid7())
        zone = _drawn(new, self._near, new.id or f"W{record_id[-6:].upper()}")
        async with self._store.writing(alone=_ALONE) as connection:
            rows = (await connection.execute(select(zones.c.source, zones.c.zone))).all()
            taken = [row.source for row in rows if row.zone["id"] == zone.id]
            if taken:
                raise Conflict(f"id: a zone {zone.id} is there already, of the source {taken[0]}")
            row = {"id": record_id, "source": OWN, "zone": msgspec.to_builtins(zone)}
            await connection.execute(insert(zones).values(**row))
            await self._record(connection, OWN, person, "drawn", {"zone": zone.title, "record": record_id})
        return feature(ZoneRecord(id=record_id, source=OWN, zone=zone), self._clock())

    async def remove(self, record_id: str, *, person: str) -> None:
        """Remove one zone. Raises NotFound."""
        async with self._store.writing(alone=_ALONE) as connection:
            row = (await connection.execute(select(zones).where(zones.c.id == record_id))).first()
            if row is None:
                raise NotFound(f"no zone {record_id}")
            await connection.execute(delete(zones).where(zones.c.id == record_id))
            title = msgspec.convert(row.zone, Zone).title
            await self._record(connection, row.source, person, "removed", {"zone": title, "record": record_id})

    async def remove_source(self, source: str, *, person: str) -> None:
        """Remove a source with all its zones. Raises NotFound."""
        async with self._store.writing(alone=_ALONE) as connection:
            known = select(zone_sources.c.name).where(zone_sources.c.name == source)
            if (await connection.execute(known)).first() is None:
                raise NotFound(f"no source of zones {source}")
            gone = await self._drop(connection, source)
            await self._record(connection, source, person, "source removed", {"zones": gone})

    async def sources(self) -> list[dict[str, Any]]:
        """Every file that zones came from, by name."""
        counting = select(zones.c.source, func.count()).group_by(zones.c.source)
        async with self._store.reading() as connection:
            rows = (await connection.execute(select(zone_sources).order_by(zone_sources.c.name))).all()
            counts = dict((await connection.execute(counting)).tuples().all())
        found = []
        for row in rows:
            header = msgspec.convert(row.header, ZoneCollection)
            until = None if header.dates is None else header.dates.valid_to
            found.append(
                {
                    "source": row.name,
                    "format": row.format,
                    "title": header.title or header.name,
                    "zones": counts.get(row.name, 0),
                    "noted": row.noted,
                    "refused": row.refused,
                    "sha256": row.sha256,
                    "imported_by": row.imported_by,
                    "imported_utc": iso_utc(row.imported_utc_s),
                    "valid_to_utc": None if until is None else iso_utc(until.timestamp()),
                    "expired": until is not None and until.timestamp() < self._clock(),
                }
            )
        return found

    async def features(
        self,
        *,
        box: tuple[float, float, float, float] | None = None,
        source: str | None = None,
        active: bool | None = None,
    ) -> dict[str, Any]:
        """Zones as a GeoJSON FeatureCollection; of a box (west, south, east, north), a source, or active now or not."""
        book, now_s = await self.book(), self._clock()
        records = book.records if box is None else book.near(box)
        found = [feature(record, now_s) for record in records if source is None or record.source == source]
        kept = [each for each in found if active is None or each["properties"]["active"] is active]
        return {"type": "FeatureCollection", "features": kept}

    async def export(self, file_format: ZoneFormat, *, source: str | None = None) -> dict[str, Any]:
        """Zones, of one source or all, as a file. Raises NotFound, ZoneInvalid for what the format cannot say."""
        async with self._store.reading() as connection:
            query = select(zone_sources.c.header).where(zone_sources.c.name == source)
            header = (await connection.execute(query)).scalar_one_or_none()
        records = [record for record in (await self.book()).records if source in (None, record.source)]
        if source is not None and not records:
            raise NotFound(f"no source of zones {source}")
        collection = ZoneCollection(zones=()) if header is None else msgspec.convert(header, ZoneCollection)
        whole = msgspec.structs.replace(collection, zones=tuple(record.zone for record in records))
        return await asyncio.to_thread(file_format.write, whole)

    async def _drop(self, connection: AsyncConnection, source: str) -> int:
        gone = (await connection.execute(delete(zones).where(zones.c.source == source))).rowcount
        await connection.execute(delete(zone_sources).where(zone_sources.c.name == source))
        return int(gone)

    async def _record(
        self, connection: AsyncConnection, source: str, person: str, event: str, detail: dict[str, Any]
    ) -> None:
        entry = audit.AuditEntry(utc_s=self._clock(), person=person, event=event, detail=detail)
        await audit.record(connection, _KIND, source, entry)


async def changes(connection: AsyncConnection, kind: str) -> int:
    """A number that grows with every audited change of things of a kind, by whichever process."""
    query = select(func.max(audit_table.c.number)).where(audit_table.c.subject_kind == kind)
    return (await connection.execute(query)).scalar() or 0


def _records(rows: Sequence[Any]) -> tuple[ZoneRecord, ...]:
    return tuple(ZoneRecord(id=row.id, source=row.source, zone=msgspec.convert(row.zone, Zone)) for row in rows)


def _rows(found: Sequence[Zone], source: str) -> list[dict[str, Any]]:
    return [{"id": str(uuid_utils.uuid7()), "source": source, "zone": msgspec.to_builtins(zone)} for zone in found]


def _check_source(source: str) -> None:
    if not 1 <= len(source) <= 80 or source != source.strip():
        raise InputInvalid(f"source: {source[:100]!r} is no name of 1 to 80 characters")
    if source == OWN:
        raise InputInvalid(f"source: {OWN} is the name of the zones that are drawn here")


async def _others(connection: AsyncConnection, source: str) -> dict[tuple[str, str], str]:
    """Sources of the zones of other sources, by country and identifier."""
    rows = await connection.execute(select(zones.c.source, zones.c.zone).where(zones.c.source != source))
    return {(row.zone.get("country", ""), row.zone["id"]): row.source for row in rows}


def _twice(found: Sequence[Zone], others: dict[tuple[str, str], str]) -> list[str]:
    """What to say of identifiers that are not of one zone alone: a permit that names one clears all of them."""
    counts = Counter((zone.country, zone.id) for zone in found)
    said = [f"{zone_id}: {count} zones have this identifier" for (_, zone_id), count in counts.items() if count > 1]
    said += [f"{key[1]}: the source {others[key]} has a zone of this identifier too" for key in counts if key in others]
    return said


def _drawn(new: NewZone, near: tuple[float, float] | None, zone_id: str) -> Zone:
    """The zone that is asked for. Raises ZoneInvalid, InputInvalid."""
    fields = Fields(0, near=near)
    kind, coordinates = new.geometry.get("type"), new.geometry.get("coordinates")
    footprint: Circle | Outline
    if kind == "Polygon" and new.radius_m is None:
        footprint = fields.outline("geometry", coordinates)
    elif kind == "Point" and new.radius_m is not None:
        footprint = fields.circle("geometry", coordinates, new.radius_m)
    else:
        raise InputInvalid("geometry, radius_m: give a Polygon, or a Point and a radius")
    for name, limit in (("lower", new.lower), ("upper", new.upper)):
        if limit is not None and limit.datum == Datum.HOME:
            raise InputInvalid(f"{name}: a limit of a zone counts from AGL, AMSL or W84, not from a home position")
    for moment in (moment for part in new.times for moment in (part.start, part.end) if moment is not None):
        if moment.tzinfo is None:
            raise InputInvalid(f"times: {moment.isoformat()} has no offset from UTC: add Z or +05:00")
    volume = Volume4D(footprint=footprint, lower=new.lower, upper=new.upper, times=new.times).checked()
    return Zone(
        id=zone_id,
        kind=new.kind,
        volumes=(volume,),
        country=new.country,
        name=(Text(new.name),) if new.name else (),
        conditions=new.conditions,
        reasons=new.reasons,
        message=(Text(new.message),) if new.message else (),
        authorities=new.authorities,
    )


def feature(record: ZoneRecord, now_s: float) -> dict[str, Any]:
    """A zone as a GeoJSON Feature: circles as polygons, its limits and times in words."""
    zone = record.zone
    shapes = [volume.footprint.polygon() for volume in zone.volumes]
    return {
        "type": "Feature",
        "id": record.id,
        "geometry": shapely.geometry.mapping(shapes[0] if len(shapes) == 1 else shapely.GeometryCollection(shapes)),
        "properties": {
            "zone": zone.id,
            "title": zone.title,
            "name": zone.name[0].text if zone.name else "",
            "kind": zone.kind.value,
            "country": zone.country,
            "source": record.source,
            "active": any(volume.active_within(now_s, now_s) for volume in zone.volumes),
            "limits": "; ".join(dict.fromkeys(limits_in_words(volume) for volume in zone.volumes)),
            "times": "; ".join(dict.fromkeys(times_in_words(volume.times) for volume in zone.volumes)),
            "reasons": [reason.value for reason in zone.reasons],
            "message": zone.message[0].text if zone.message else "",
            "conditions": zone.conditions,
            "authorities": msgspec.to_builtins(zone.authorities),
        },
    }


_ABOVE = {Datum.AGL: "above ground", Datum.AMSL: "AMSL", Datum.W84: "above the WGS 84 ellipsoid", Datum.HOME: "HOME"}


def limits_in_words(volume: Volume4D) -> str:
    """From which height to which: `ground to 120 m above ground`."""

    def words(altitude: Altitude) -> str:
        return f"{altitude.value_m:g} m {_ABOVE[altitude.datum]}"

    low = words(volume.lower) if volume.lower is not None and above(volume.lower) else "ground"
    return f"{low} to {'any height' if volume.upper is None else words(volume.upper)}"


def times_in_words(times: Sequence[Applicability]) -> str:
    """When: `always`, or `from 2026-05-01 08:00 to 2026-05-02 08:00 UTC, MON 09:00 to 17:00`."""
    said = []
    for each in times:
        words = []
        for name, moment in (("from", each.start), ("to", each.end)):
            if moment is not None:
                words.append(f"{name} {moment:%Y-%m-%d %H:%M}")
        dates = " ".join(words) + " UTC" if words else ""
        parts = []
        for period in each.schedule:
            days = "/".join("every day" if day.value == "ANY" else day.value for day in period.days)
            begin = period.start_event or (f"{period.start:%H:%M}" if period.start else "00:00")
            end = period.end_event or (f"{period.end:%H:%M}" if period.end else "24:00")
            offset = next((clock.tzname() for clock in (period.start, period.end) if clock and clock.tzinfo), "UTC")
            parts.append(f"{days} {begin} to {end} {offset}")
        said.append(", ".join(part for part in (dates, *parts) if part) or "always")
    return "; ".join(said) or "always"
