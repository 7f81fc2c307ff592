"""Permits and approvals as records, with the documents they came in, and what they leave of a zone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import shapely
import uuid_utils
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from geo.areas import polygon_parts
from geo.positions import Altitude, Datum
from geo.schedules import Applicability
from geo.volumes import Outline, Volume4D, above
from geo.zone_fields import Fields
from geo.zones import CLEARABLE, Zone
from missioncontrol import audit
from missioncontrol.bounds import Sysid
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import Conflict, InputInvalid, NotFound
from missioncontrol.evidence import Evidence
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.tables import permit_documents, permits
from missioncontrol.zones import changes

MOST_DOCUMENT_BYTES = 20_000_000
"""A larger document is not taken."""
MEDIA_TYPES = {
    "application/pdf": (b"%PDF-",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/tiff": (b"II*\x00", b"MM\x00*"),
}
"""Kinds of document that are taken, and how their files begin."""
_KIND, _ALONE = "permits", "permits"
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewPermit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an authority allows, to whom and until when."""

    number: Words
    """As the authority numbers it."""
    authority: Words
    """Who gave it."""
    clears: Annotated[tuple[Words, ...], msgspec.Meta(max_length=1000)] = ()
    """Identifiers of the zones it opens; a prohibited zone is opened by none."""
    highest_agl_m: Annotated[float, msgspec.Meta(gt=0, le=20_000)] | None = None
    """It counts up to this height above ground, m; absent: it says nothing about heights."""
    bvlos: bool = False
    """Whether it allows flight beyond sight."""
    night: bool = False
    """Whether it allows flight by night."""
    area: dict[str, Any] | None = None
    """GeoJSON Polygon in which it counts; absent: everywhere."""
    vehicles: Annotated[tuple[Sysid, ...], msgspec.Meta(max_length=254)] = ()
    """Sysids it was given to."""
    registrations: Annotated[tuple[Words, ...], msgspec.Meta(max_length=1000)] = ()
    """Registrations it was given to; with no vehicles either: to all of ours."""
    valid_from: datetime
    """From when on, with its offset from UTC."""
    valid_until: datetime
    """Until when."""
    note: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    """What else it says."""

    def check(self) -> None:
        """Raises InputInvalid, ZoneInvalid for what the types cannot say."""
        for name, moment in (("valid_from", self.valid_from), ("valid_until", self.valid_until)):
            if moment.tzinfo is None:
                raise InputInvalid(f"{name}: {moment.isoformat()} has no offset from UTC: add Z or +05:00")
        if self.valid_until <= self.valid_from:
            raise InputInvalid(f"valid_until: {self.valid_until.isoformat()} is not after valid_from")
        self.shape()

    def shape(self) -> shapely.Polygon | None:
        """The area (lon, lat). Raises InputInvalid, ZoneInvalid."""
        if self.area is None:
            return None
        if self.area.get("type") != "Polygon":
            raise InputInvalid("area: is no GeoJSON Polygon")
        return Fields(0).outline("area", self.area.get("coordinates")).polygon()


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """A permit that is kept."""

    id: str
    """UUIDv7."""
    given: NewPermit
    """What it says."""
    revoked_utc_s: float | None = None
    """When it was revoked; absent: it was not."""

    @property
    def title(self) -> str:
        """For people."""
        return f"permit {self.given.number} of {self.given.authority}"

    def is_for(self, sysid: int, registration: str) -> bool:
        """Whether it was given to a vehicle."""
        given = self.given
        return (
            not (given.vehicles or given.registrations)
            or sysid in given.vehicles
            or (registration != "" and registration in given.registrations)
        )

    def counts(self, from_s: float, until_s: float) -> bool:
        """Whether it counts throughout a time, UTC, s since 1970."""
        given = self.given
        begins, ends = given.valid_from.timestamp(), given.valid_until.timestamp()
        return self.revoked_utc_s is None and begins <= from_s and until_s <= ends

    def left_of(self, zone: Zone) -> Zone:
        """What stays closed of a zone: outside of the permit's area, above its height, before and after its time."""
        if self.revoked_utc_s is not None or zone.kind not in CLEARABLE or zone.id not in self.given.clears:
            return zone
        return msgspec.structs.replace(
            zone, volumes=tuple(left for volume in zone.volumes for left in self._left_of(volume))
        )

    def _left_of(self, volume: Volume4D) -> Iterator[Volume4D]:
        replace = msgspec.structs.replace
        given, always = self.given, (Applicability(),)
        before = [replace(part, end=_earlier(part.end, given.valid_from)) for part in volume.times or always]
        after = [replace(part, start=_later(part.start, given.valid_until)) for part in volume.times or always]
        times = tuple(
            part for part in (*before, *after) if part.start is None or part.end is None or part.start < part.end
        )
        if times:
            yield replace(volume, times=times)
        inside: shapely.Geometry = volume.footprint.polygon()
        area = given.shape()
        if area is not None:
            yield from _cut(volume, inside.difference(area))
            inside = inside.intersection(area)
        if given.highest_agl_m is not None:
            lower = volume.lower if above(volume.lower) else Altitude(given.highest_agl_m, Datum.AGL)
            assert lower is not None
            if lower.datum == Datum.AGL:
                lower = Altitude(max(lower.value_m, given.highest_agl_m), Datum.AGL)
            upper = volume.upper
            if upper is None or upper.datum != Datum.AGL or lower.datum != Datum.AGL or upper.value_m > lower.value_m:
                yield from _cut(replace(volume, lower=lower), inside)

    def public(self, documents: Sequence[Row[Any]] = ()) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "id": self.id,
            **msgspec.to_builtins(self.given),
            "revoked_utc": None if self.revoked_utc_s is None else iso_utc(self.revoked_utc_s),
            "documents": [
                {
                    "sha256": row.sha256,
                    "name": row.name,
                    "media_type": row.media_type,
                    "size": row.size,
                    "added_by": row.added_by,
                    "added_utc": iso_utc(row.added_utc_s),
                }
                for row in documents
            ],
        }


class Permits:
    """All permits of an installation."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        """Their documents are kept in the data folder."""
        self._store, self._clock = store, clock
        self._documents = Evidence(settings.data / "documents", suffix="")
        self._known: tuple[int, tuple[Permit, ...]] = (-1, ())
        self._reading = asyncio.Lock()

    async def all(self) -> tuple[Permit, ...]:
        """Every permit, also revoked ones and those of other times, oldest first, whoever changed them."""
        async with self._reading, self._store.reading() as connection:
            version = await changes(connection, _KIND)
            if version != self._known[0]:
                rows = await connection.execute(select(permits).order_by(permits.c.created_utc_s, permits.c.id))
                self._known = version, tuple(_permit(row) for row in rows)
            return self._known[1]

    async def everything(self) -> list[dict[str, Any]]:
        """Every permit as the API gives it, newest first."""
        found = await self.all()
        documents: dict[str, list[Row[Any]]] = {}
        async with self._store.reading() as connection:
            for row in await connection.execute(select(permit_documents).order_by(permit_documents.c.number)):
                documents.setdefault(row.permit_id, []).append(row)
        return [permit.public(documents.get(permit.id, ())) for permit in reversed(found)]

    async def get(self, permit_id: str) -> dict[str, Any]:
        """One permit as the API gives it. Raises NotFound."""
        async with self._store.reading() as connection:
            permit = _permit(await _row(connection, permit_id))
            query = select(permit_documents).where(permit_documents.c.permit_id == permit_id)
            rows = (await connection.execute(query.order_by(permit_documents.c.number))).all()
        return permit.public(rows)

    async def add(self, new: NewPermit, *, person: str) -> dict[str, Any]:
        """Keep a permit. Raises InputInvalid, ZoneInvalid; Conflict where the authority's number is there already."""
        new.check()
        permit_id = str(uuid_utils.uuid7())
        async with self._store.writing(alone=_ALONE) as connection:
            for row in await connection.execute(select(permits)):
                known = _permit(row)
                same = (known.given.number, known.given.authority) == (new.number, new.authority)
                if same and known.revoked_utc_s is None:
                    raise Conflict(f"number: {known.title} is there already; revoke it first")
            values = {"id": permit_id, "permit": msgspec.to_builtins(new), "created_by": person}
            await connection.execute(insert(permits).values(**values, created_utc_s=self._clock()))
            await self._record(connection, permit_id, person, "added", {"number": new.number, "clears": new.clears})
        return await self.get(permit_id)

    async def revoke(self, permit_id: str, *, person: str) -> dict[str, Any]:
        """It counts no more from now on; the record stays. Raises NotFound, Conflict."""
        async with self._store.writing(alone=_ALONE) as connection:
            permit = _permit(await _row(connection, permit_id))
            if permit.revoked_utc_s is not None:
                raise Conflict(f"{permit.title} was revoked {iso_utc(permit.revoked_utc_s)}")
            revoking = update(permits).where(permits.c.id == permit_id).values(revoked_utc_s=self._clock())
            await connection.execute(revoking)
            await self._record(connection, permit_id, person, "revoked", {"number": permit.given.number})
        return await self.get(permit_id)

    async def attach(
        self, permit_id: str, content: bytes, *, name: str, media_type: str, person: str
    ) -> dict[str, Any]:
        """Keep a document of a permit. Raises NotFound, InputInvalid."""
        _check_document(content, name, media_type)
        async with self._store.reading() as connection:
            await _row(connection, permit_id)
        sha256 = await self._documents.keep(content)
        async with self._store.writing(alone=_ALONE) as connection:
            await _row(connection, permit_id)
            await connection.execute(
                insert(permit_documents).values(
                    permit_id=permit_id,
                    sha256=sha256,
                    name=name,
                    media_type=media_type,
                    size=len(content),
                    added_by=person,
                    added_utc_s=self._clock(),
                )
            )
            await self._record(connection, permit_id, person, "document", {"name": name, "sha256": sha256})
        return await self.get(permit_id)

    async def document(self, permit_id: str, sha256: str) -> tuple[Path, str, str]:
        """File, name and media type of a document of a permit. Raises NotFound."""
        query = select(permit_documents).where(
            permit_documents.c.permit_id == permit_id, permit_documents.c.sha256 == sha256
        )
        async with self._store.reading() as connection:
            row = (await connection.execute(query.limit(1))).first()
        if row is None:
            raise NotFound(f"permit {permit_id} has no document {sha256}")
        return self._documents.path(sha256), row.name, row.media_type

    async def _record(
        self, connection: AsyncConnection, permit_id: str, person: str, event: str, detail: dict[str, Any]
    ) -> None:
        entry = audit.AuditEntry(utc_s=self._clock(), person=person, event=event, detail=detail)
        await audit.record(connection, _KIND, permit_id, entry)


def left_closed(zones: Iterable[Zone], permits: Sequence[Permit]) -> list[Zone]:
    """What permits leave closed of zones."""
    by_zone: dict[str, list[Permit]] = {}
    for permit in permits:
        for zone_id in permit.given.clears:
            by_zone.setdefault(zone_id, []).append(permit)
    found = []
    for zone in zones:
        for permit in by_zone.get(zone.id, ()):
            zone = permit.left_of(zone)
        found.append(zone)
    return found


def _cut(volume: Volume4D, shape: shapely.Geometry) -> Iterator[Volume4D]:
    """A volume over each part of a shape."""
    for part in polygon_parts(shape):
        rings = tuple(
            tuple((float(lon), float(lat)) for lon, lat in ring.coords) for ring in (part.exterior, *part.interiors)
        )
        yield msgspec.structs.replace(volume, footprint=Outline(rings=rings))


def _earlier(moment: datetime | None, limit: datetime) -> datetime:
    return limit if moment is None else min(_aware(moment), limit)


def _later(moment: datetime | None, limit: datetime) -> datetime:
    return limit if moment is None else max(_aware(moment), limit)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_document(content: bytes, name: str, media_type: str) -> None:
    """Raises InputInvalid."""
    if not 1 <= len(name) <= 200 or any(char in name for char in '/\\"') or not name.isprintable():
        raise InputInvalid(f"name: {name[:60]!r} is no name of a file")
    if media_type not in MEDIA_TYPES:
        raise InputInvalid(f"content type: {media_type[:60]!r} is none of {', '.join(MEDIA_TYPES)}")
    if not content.startswith(MEDIA_TYPES[media_type]):
        raise InputInvalid(f"{name}: is no {media_type}: it begins with {content[:8]!r}")
    if len(content) > MOST_DOCUMENT_BYTES:
        raise InputInvalid(f"{name}: {len(content) / 1e6:.1f} MB, {MOST_DOCUMENT_BYTES / 1e6:.0f} MB are the most")


def _permit(row: Row[Any]) -> Permit:
    given = msgspec.convert(row.permit, NewPermit)
    return Permit(id=row.id, given=given, revoked_utc_s=row.revoked_utc_s)


async def _row(connection: AsyncConnection, permit_id: str) -> Row[Any]:
    row = (await connection.execute(select(permits).where(permits.c.id == permit_id))).first()
    if row is None:
        raise NotFound(f"no permit {permit_id}")
    return row
