"""EUROCAE ED-269 geographical zones: lists of UASZoneVersion, read tolerantly and written strictly."""

from __future__ import annotations

import math
from datetime import UTC, time
from pathlib import Path
from typing import Any

from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum
from geo.schedules import Applicability, DailyPeriod
from geo.volumes import Circle, Volume4D
from geo.zone_fields import FOOT_M, Fields, shown
from geo.zone_files import present, read_features, short, utc
from geo.zones import Authority, Kind, Reason, Text, Texts, Zone, ZoneCollection

_FIELDS = (
    "title", "identifier", "country", "name", "type", "restriction", "restrictionConditions", "region", "reason",
    "otherReasonInfo", "regulationExemption", "uSpaceClass", "message", "applicability", "zoneAuthority", "geometry",
    "extendedProperties", "dataSource",
)  # fmt: skip
_VOLUME = (
    "uomDimensions", "lowerLimit", "lowerVerticalReference", "upperLimit", "upperVerticalReference",
    "horizontalProjection",
)  # fmt: skip
_CLASS = "uSpaceClass"
"""Kept among the extended properties: ED-318 knows no such field."""
_LONGEST_REASON = 30
_RESTRICTIONS = {
    Kind.PROHIBITED: "PROHIBITED",
    Kind.REQ_AUTHORIZATION: "REQ_AUTHORISATION",
    Kind.CONDITIONAL: "CONDITIONAL",
    Kind.NO_RESTRICTION: "NO_RESTRICTION",
}


def read_ed269(
    source: Path | str | bytes, *, partly: bool = False, near: tuple[float, float] | None = None
) -> ZoneCollection:
    """The zones of an ED-269 JSON file (a path, or its bytes).

    As tolerant, and as careful, as `read_ed318`; raises ZoneInvalid.
    """
    said, zones, notes, refused = read_features(source, _zone, partly=partly, near=near)
    fields = Fields(-1)
    fields.unknown("", said, ("title", "description"))
    return ZoneCollection(
        zones=zones,
        title=fields.string("title", said.get("title")),
        description=fields.texts("description", said.get("description")),
        notes=(*fields.notes, *notes),
        refused=refused,
    )


def _zone(fields: Fields, given: dict[str, Any]) -> Zone:
    fields.zone = fields.string("identifier", given.get("identifier"))
    if not fields.zone:
        fields.zone = f"#{fields.feature}"
        fields.note("identifier", f"absent, read as {fields.zone}")
    fields.unknown("", given, _FIELDS)
    times = tuple(
        fields.applicability(f"applicability[{number}]", part)
        for number, part in enumerate(fields.listed("applicability", given.get("applicability")))
    )
    if not times or any(part == Applicability() for part in times):
        times = ()
    geometry = fields.listed("geometry", given.get("geometry"))
    if not geometry:
        raise ZoneInvalid("geometry: absent")
    extended = dict(fields.mapping("extendedProperties", given.get("extendedProperties")))
    if given.get(_CLASS):
        extended[_CLASS] = fields.string(_CLASS, given[_CLASS])
    region = fields.number("region", given.get("region"))
    return Zone(
        id=fields.zone,
        kind=fields.kind("restriction", given.get("restriction")),
        volumes=tuple(_volume(fields, f"geometry[{number}]", part, times) for number, part in enumerate(geometry)),
        country=fields.string("country", given.get("country")).upper(),
        name=fields.texts("name", given.get("name")),
        variant=fields.variant("type", given.get("type")),
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
        extended=extended or None,
    )


def _volume(fields: Fields, field: str, value: object, times: tuple[Applicability, ...]) -> Volume4D:
    given = fields.mapping(field, value)
    fields.unknown(field, given, _VOLUME)
    shape = fields.mapping(f"{field}.horizontalProjection", given.get("horizontalProjection"))
    unit = given.get("uomDimensions")
    unit_m = fields.unit_m(f"{field}.uomDimensions", unit, absent=1.0)
    lower_unit_m = unit_m
    if unit is None:
        fields.note(f"{field}.uomDimensions", "absent: the upper limit is taken in metres, the lower one in feet")
        lower_unit_m = FOOT_M
    lower = fields.limit(
        f"{field}.lowerLimit", given.get("lowerLimit"), given.get("lowerVerticalReference"), lower_unit_m,
        uppermost=False,
    )  # fmt: skip
    upper = fields.limit(
        f"{field}.upperLimit", given.get("upperLimit"), given.get("upperVerticalReference"), unit_m, uppermost=True
    )
    kind = str(shape.get("type")).upper()
    where = f"{field}.horizontalProjection"
    if kind == "POLYGON":
        return fields.volume(fields.outline(where, shape.get("coordinates")), lower, upper, times)
    if kind not in ("CIRCLE", "POINT"):
        raise ZoneInvalid(f"{where}: {shown(shape.get('type'))} is neither a Polygon nor a Circle")
    if unit_m == FOOT_M:
        fields.note(f"{where}.radius", "taken in metres, though the limits are in feet")
    middle = shape.get("center", shape.get("coordinates"))
    return fields.volume(fields.circle(where, middle, shape.get("radius")), lower, upper, times)


def write_ed269(collection: ZoneCollection) -> dict[str, Any]:
    """A list of UASZoneVersion as a JSON object; raises ZoneInvalid for what ED-269 cannot say.

    Of words in several languages the first are written. Limits are whole metres, rounded so that the zone grows.
    """
    written: dict[str, Any] = {"features": []}
    if collection.title or collection.name:
        written["title"] = collection.title or collection.name
    if collection.description:
        written["description"] = collection.description[0].text
    for zone in collection.zones:
        try:
            written["features"].append(_written(zone))
        except ZoneInvalid as exc:
            raise ZoneInvalid(f"zone {zone.id}: {exc}") from exc
    return written


def _written(zone: Zone) -> dict[str, Any]:
    if zone.kind not in _RESTRICTIONS:
        raise ZoneInvalid(f"restriction: {zone.kind} is none of ED-269's")
    if Reason.DAR in zone.reasons or len(zone.reasons) > 9:
        raise ZoneInvalid(f"reason: {', '.join(zone.reasons)}: DAR is none of ED-269's, and 9 are the most")
    if len(zone.country) != 3:
        raise ZoneInvalid(f"country: {zone.country!r} is not a code of three letters")
    if not zone.volumes or not zone.authorities:
        raise ZoneInvalid("geometry, zoneAuthority: at least one of each is needed")
    extended = dict(zone.extended or {})
    u_space_class = extended.pop(_CLASS, None)
    more = {
        "name": _first("name", zone.name, 200),
        "restrictionConditions": zone.conditions,
        "region": zone.region,
        "reason": [str(reason) for reason in zone.reasons],
        "otherReasonInfo": _first("otherReasonInfo", zone.other_reason, _LONGEST_REASON),
        "regulationExemption": None if zone.exemption is None else "YES" if zone.exemption else "NO",
        _CLASS: u_space_class,
        "message": _first("message", zone.message, 200),
        "extendedProperties": extended,
    }
    return {
        "identifier": short("identifier", zone.id, 7),
        "country": zone.country,
        "type": zone.variant,
        "restriction": _RESTRICTIONS[zone.kind],
        **present(more),
        "applicability": _applicability(zone),
        "zoneAuthority": [_authority(authority) for authority in zone.authorities],
        "geometry": [_airspace_volume(volume) for volume in zone.volumes],
    }


def _airspace_volume(volume: Volume4D) -> dict[str, Any]:
    volume.checked()
    lower = volume.lower or Altitude(0.0, Datum.AGL)
    footprint = volume.footprint
    if isinstance(footprint, Circle):
        shape: dict[str, Any] = {
            "type": "Circle",
            "center": [footprint.lon, footprint.lat],
            "radius": footprint.radius_m,
        }
    else:
        shape = {"type": "Polygon", "coordinates": [[list(corner) for corner in ring] for ring in footprint.rings]}
    upper = {} if volume.upper is None else {"upperLimit": math.ceil(volume.upper.value_m)}
    return {
        "uomDimensions": "M",
        "lowerLimit": math.floor(lower.value_m),
        "lowerVerticalReference": _reference(lower),
        **upper,
        "upperVerticalReference": "AMSL" if volume.upper is None else _reference(volume.upper),
        "horizontalProjection": shape,
    }


def _reference(altitude: Altitude) -> str:
    if altitude.datum not in (Datum.AGL, Datum.AMSL):
        raise ZoneInvalid(f"geometry: ED-269 knows AGL and AMSL, not {altitude.datum}")
    return str(altitude.datum)


def _applicability(zone: Zone) -> list[dict[str, Any]]:
    times = {volume.times for volume in zone.volumes}
    if len(times) > 1:
        raise ZoneInvalid("applicability: its volumes count at different times: make a zone of each")
    return [
        {
            "permanent": "YES" if part == Applicability() else "NO",
            **present(
                {
                    "startDateTime": utc(part.start),
                    "endDateTime": utc(part.end),
                    "schedule": [_period(period) for period in part.schedule],
                }
            ),
        }
        for part in next(iter(times)) or (Applicability(),)
    ]


def _period(period: DailyPeriod) -> dict[str, Any]:
    if period.by_sun:
        raise ZoneInvalid(f"schedule: ED-269 knows no {period.start_event or period.end_event}")
    begin, end = period.start or time(tzinfo=UTC), period.end or time(23, 59, 59, 990_000, tzinfo=UTC)
    return {"day": [str(day) for day in period.days], "startTime": _clock(begin), "endTime": _clock(end)}


def _clock(moment: time) -> str:
    """As the standard's own examples have it: 08:30:00.00Z."""
    offset = f"{moment:%z}".replace("+0000", "Z") or "Z"
    return f"{moment:%H:%M:%S}.{moment.microsecond // 10_000:02d}{offset}"


def _authority(authority: Authority) -> dict[str, Any]:
    return present(
        {
            "name": _first("zoneAuthority.name", authority.name, 200),
            "service": _first("zoneAuthority.service", authority.service, 200),
            "contactName": _first("zoneAuthority.contactName", authority.contact_name, 200),
            "siteURL": authority.site_url,
            "email": authority.email,
            "phone": short("zoneAuthority.phone", authority.phone, 200),
            "purpose": str(authority.purpose),
            "intervalBefore": authority.interval_before,
        }
    )


def _first(field: str, texts: Texts, most: int) -> str:
    return short(field, next(iter(texts), Text("")).text, most)
