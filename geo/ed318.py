"""EUROCAE ED-318 geographical zones: GeoJSON read tolerantly and written strictly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, time
from pathlib import Path
from typing import Any

import msgspec

from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum
from geo.schedules import Applicability, DailyPeriod
from geo.sun import EVENTS
from geo.volumes import Circle, Volume4D
from geo.zone_fields import Fields, shown
from geo.zone_files import present, read_features, short, utc
from geo.zones import Authority, Dates, Kind, Note, Reason, Texts, Zone, ZoneCollection

_PROPERTIES = (
    "identifier", "country", "name", "type", "variant", "restrictionConditions", "region", "reason",
    "otherReasonInfo", "regulationExemption", "message", "zoneAuthority", "limitedApplicability", "dataSource",
    "extendedProperties",
)  # fmt: skip
_INCLUSION = "inclusion"
"""Key among the extended properties of a zone that its flight must stay inside of, which ED-318 does not know."""
DEEPEST = 8
"""Geometry collections are read to this depth."""


def read_ed318(
    source: Path | str | bytes, *, partly: bool = False, near: tuple[float, float] | None = None
) -> ZoneCollection:
    """The zones of a GeoJSON file (a path, or its bytes).

    What is missing or misspelt is read so that the zone reaches rather further than less far, and noted. Zones
    that cannot be understood raise ZoneInvalid, which names feature, field and place of each; with `partly` they
    are told in `refused` instead, and left out. `near` (lon, lat), if known, lets swapped places be noticed.
    """
    said, zones, notes, refused = read_features(source, _zone, partly=partly, near=near)
    return _collection(said, zones, notes, refused)


def _collection(
    said: dict[str, Any], zones: tuple[Zone, ...], notes: tuple[Note, ...], refused: tuple[Note, ...]
) -> ZoneCollection:
    fields = Fields(-1)
    meta = fields.mapping("metadata", said.get("metadata"))
    fields.unknown("", said, ("type", "name", "title", "metadata", "bbox"))
    known = ("validFrom", "validTo", "issued", "provider", "description", "technicalLimitations", "otherGeoid")
    fields.unknown("metadata", meta, known)
    dates = Dates(
        valid_from=fields.moment("metadata.validFrom", meta.get("validFrom")),
        valid_to=fields.moment("metadata.validTo", meta.get("validTo")),
        issued=fields.moment("metadata.issued", meta.get("issued")),
    )
    return ZoneCollection(
        zones=zones,
        name=fields.string("name", said.get("name")),
        title=fields.string("title", said.get("title")),
        dates=None if dates == Dates() else dates,
        provider=fields.texts("metadata.provider", meta.get("provider")),
        description=fields.texts("metadata.description", meta.get("description")),
        limitations=fields.texts("metadata.technicalLimitations", meta.get("technicalLimitations")),
        other_geoid=fields.string("metadata.otherGeoid", meta.get("otherGeoid")),
        notes=(*fields.notes, *notes),
        refused=refused,
    )


def _zone(fields: Fields, feature: dict[str, Any]) -> Zone:
    given = fields.mapping("properties", feature.get("properties"))
    fields.zone = fields.string("identifier", given.get("identifier"))
    if not fields.zone:
        fields.zone = fields.string("id", feature.get("id")) or f"#{fields.feature}"
        fields.note("identifier", f"absent, read as {fields.zone}")
    fields.unknown("properties", given, _PROPERTIES)
    times = tuple(
        fields.applicability(f"limitedApplicability[{number}]", part)
        for number, part in enumerate(fields.listed("limitedApplicability", given.get("limitedApplicability")))
    )
    kind = fields.kind("type", given.get("type"))
    extended = fields.mapping("extendedProperties", given.get("extendedProperties")) or None
    if kind == Kind.NO_RESTRICTION and extended is not None and extended.get(_INCLUSION) is True:
        kind, extended = Kind.INCLUSION, {key: value for key, value in extended.items() if key != _INCLUSION} or None
    region = fields.number("region", given.get("region"))
    return Zone(
        id=fields.zone,
        kind=kind,
        volumes=tuple(_volumes(fields, "geometry", feature.get("geometry"), None, times, 0)),
        country=fields.string("country", given.get("country")).upper(),
        name=fields.texts("name", given.get("name")),
        variant=fields.variant("variant", given.get("variant")),
        conditions=fields.string("restrictionConditions", given.get("restrictionConditions")),
        region=None if region is None else int(region),
        reasons=fields.reasons("reason", given.get("reason")),
        other_reason=fields.texts("otherReasonInfo", given.get("otherReasonInfo")),
        exemption=fields.yes("regulationExemption", given.get("regulationExemption")),
        message=fields.texts("message", given.get("message")),
        authorities=tuple(
            fields.authority(f"zoneAuthority[{number}]", part)
            for number, part in enumerate(fields.listed("zoneAuthority", given.get("zoneAuthority")))
        ),
        origin=fields.origin("dataSource", given.get("dataSource")),
        extended=extended,
    )


def _volumes(
    fields: Fields, field: str, given: object, layer: object, times: tuple[Applicability, ...], depth: int
) -> Iterator[Volume4D]:
    """The volumes of a geometry; a layer counts for all members that have none of their own."""
    if not isinstance(given, dict):
        raise ZoneInvalid(f"{field}: no geometry")
    layer = given.get("layer", layer)
    kind = given.get("type")
    if kind == "GeometryCollection":
        members = fields.listed(f"{field}.geometries", given.get("geometries"))
        if depth >= DEEPEST or not members:
            raise ZoneInvalid(f"{field}: a collection that is empty or nested deeper than {DEEPEST}")
        for number, member in enumerate(members):
            yield from _volumes(fields, f"{field}.geometries[{number}]", member, layer, times, depth + 1)
        return
    lower, upper = _limits(fields, f"{field}.layer", layer)
    coordinates = given.get("coordinates")
    if kind == "Polygon":
        yield fields.volume(fields.outline(field, coordinates), lower, upper, times)
    elif kind == "MultiPolygon" and isinstance(coordinates, list) and coordinates:
        for number, rings in enumerate(coordinates):
            yield fields.volume(fields.outline(f"{field}[{number}]", rings), lower, upper, times)
    elif kind in ("Point", "Circle"):
        extent = fields.mapping(f"{field}.extent", given.get("extent"))
        if str(extent.get("subType", "Circle")).upper() != "CIRCLE":
            raise ZoneInvalid(f"{field}: an extent of the kind {shown(extent['subType'])} is not known")
        radius = extent.get("radius", given.get("radius"))
        yield fields.volume(fields.circle(field, coordinates or given.get("center"), radius), lower, upper, times)
    else:
        raise ZoneInvalid(f"{field}: {shown(kind)} encloses nothing: a Polygon or a Point with a circle is needed")


def _limits(fields: Fields, field: str, layer: object) -> tuple[Altitude | None, Altitude | None]:
    given = fields.mapping(field, layer)
    if not given:
        fields.note(field, "absent: the zone is taken from the ground up without end")
        return None, None
    known = ("upper", "upperReference", "lower", "lowerReference", "uom", "uomDimensions")
    fields.unknown(field, given, known)
    if "uom" not in given and "uomDimensions" in given:
        fields.note(f"{field}.uomDimensions", "read as uom")
    unit_m = fields.unit_m(f"{field}.uom", given.get("uom", given.get("uomDimensions")), absent=1.0)
    return (
        fields.limit(f"{field}.lower", given.get("lower"), given.get("lowerReference"), unit_m, uppermost=False),
        fields.limit(f"{field}.upper", given.get("upper"), given.get("upperReference"), unit_m, uppermost=True),
    )


def write_ed318(collection: ZoneCollection) -> dict[str, Any]:
    """A GeoJSON object that keeps to the schema; raises ZoneInvalid for what ED-318 cannot say."""
    dates = collection.dates or Dates()
    meta = {
        "validFrom": utc(dates.valid_from),
        "validTo": utc(dates.valid_to),
        "issued": utc(dates.issued),
        "provider": _texts("provider", collection.provider, 200),
        "description": _texts("description", collection.description, 200),
        "otherGeoid": collection.other_geoid,
        "technicalLimitations": _texts("technicalLimitations", collection.limitations, 200),
    }
    return present(
        {
            "type": "FeatureCollection",
            "name": short("name", collection.name, 200),
            "title": collection.title,
            "metadata": present(meta),
            "features": [_feature(zone) for zone in collection.zones],
        },
        always=("features",),
    )


def _feature(zone: Zone) -> dict[str, Any]:
    try:
        return {"type": "Feature", "geometry": _geometry(zone), "properties": _properties(zone)}
    except ZoneInvalid as exc:
        raise ZoneInvalid(f"zone {zone.id}: {exc}") from exc


def _properties(zone: Zone) -> dict[str, Any]:
    if len(zone.country) != 3:
        raise ZoneInvalid(f"country: {zone.country!r} is not a code of three letters")
    if not zone.authorities:
        raise ZoneInvalid("zoneAuthority: at least one is needed")
    if Reason.FOREIGN_TERRITORY in zone.reasons or len(zone.reasons) > 9:
        raise ZoneInvalid(
            f"reason: {', '.join(zone.reasons)}: FOREIGN_TERRITORY is none of ED-318's, and 9 are the most"
        )
    if zone.variant not in ("COMMON", "CUSTOMIZED"):
        raise ZoneInvalid(f"variant: {zone.variant!r} is neither COMMON nor CUSTOMIZED")
    inclusion = zone.kind == Kind.INCLUSION
    extended = {**(zone.extended or {}), **({_INCLUSION: True} if inclusion else {})}
    return present(
        {
            "identifier": short("identifier", zone.id, 7),
            "country": zone.country,
            "name": _texts("name", zone.name, 200),
            "type": str(Kind.NO_RESTRICTION if inclusion else zone.kind),
            "variant": zone.variant,
            "restrictionConditions": zone.conditions,
            "region": zone.region,
            "reason": [str(reason) for reason in zone.reasons],
            "otherReasonInfo": _texts("otherReasonInfo", zone.other_reason, 200),
            "regulationExemption": None if zone.exemption is None else "YES" if zone.exemption else "NO",
            "message": _texts("message", zone.message, 200),
            "zoneAuthority": [_authority(authority) for authority in zone.authorities],
            "limitedApplicability": [_applicability(times) for times in _times(zone)],
            "dataSource": None
            if zone.origin is None
            else present(
                {
                    "creationDate": zone.origin.created,
                    "updateDateTime": zone.origin.updated,
                    "originator": zone.origin.originator and msgspec.to_builtins(zone.origin.originator),
                }
            ),
            "extendedProperties": extended,
        },
        always=("identifier",),
    )


def _times(zone: Zone) -> tuple[Applicability, ...]:
    times = {volume.times for volume in zone.volumes}
    if len(times) > 1:
        raise ZoneInvalid("limitedApplicability: its volumes count at different times: make a zone of each")
    return next(iter(times), ())


def _geometry(zone: Zone) -> dict[str, Any]:
    if not zone.volumes:
        raise ZoneInvalid("geometry: it has no volume")
    written = [_volume(volume) for volume in zone.volumes]
    return written[0] if len(written) == 1 else {"type": "GeometryCollection", "geometries": written}


def _volume(volume: Volume4D) -> dict[str, Any]:
    volume.checked()
    layer = present(
        {
            "upper": volume.upper and volume.upper.value_m,
            "upperReference": volume.upper and _reference(volume.upper),
            "lower": volume.lower and volume.lower.value_m,
            "lowerReference": volume.lower and _reference(volume.lower),
        }
    )
    footprint = volume.footprint
    if isinstance(footprint, Circle):
        extent = {"subType": "Circle", "radius": footprint.radius_m}
        shape: dict[str, Any] = {"type": "Point", "coordinates": [footprint.lon, footprint.lat], "extent": extent}
    else:
        shape = {"type": "Polygon", "coordinates": [[list(corner) for corner in ring] for ring in footprint.rings]}
    return {**shape, "layer": {**layer, "uom": "m"}} if layer else shape


def _reference(altitude: Altitude) -> str:
    if altitude.datum == Datum.HOME:
        raise ZoneInvalid(f"layer: {altitude.value_m:g} m above a home position is no limit of a zone")
    return "WGS84" if altitude.datum == Datum.W84 else str(altitude.datum)


def _authority(authority: Authority) -> dict[str, Any]:
    return present(
        {
            "name": _texts("zoneAuthority.name", authority.name, 200),
            "service": _texts("zoneAuthority.service", authority.service, 200),
            "contactName": _texts("zoneAuthority.contactName", authority.contact_name, 200),
            "siteURL": authority.site_url,
            "email": authority.email,
            "phone": short("zoneAuthority.phone", authority.phone, 200),
            "purpose": str(authority.purpose),
            "intervalBefore": authority.interval_before,
        }
    )


def _applicability(times: Applicability) -> dict[str, Any]:
    return present(
        {
            "startDateTime": utc(times.start),
            "endDateTime": utc(times.end),
            "schedule": [_period(period) for period in times.schedule],
        }
    )


def _period(period: DailyPeriod) -> dict[str, Any]:
    for event in (period.start_event, period.end_event):
        if event and event not in EVENTS:
            raise ZoneInvalid(f"schedule: {event!r} is no event of ED-318 ({', '.join(EVENTS)})")
    return present(
        {
            "day": [str(day) for day in period.days],
            "startTime": _clock(period.start),
            "startEvent": period.start_event,
            "endTime": _clock(period.end),
            "endEvent": period.end_event,
        }
    )


def _clock(moment: time | None) -> str | None:
    """A time of day with its offset, Z for UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat().replace("+00:00", "Z")


def _texts(field: str, texts: Texts, most: int) -> list[dict[str, str]]:
    for text in texts:
        short(field, text.text, most)
        short(f"{field}.lang", text.lang, 5)
    return [{"text": text.text, "lang": text.lang} for text in texts]
