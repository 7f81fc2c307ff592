"""ED-269: read as published, written so that an independent reader of it agrees."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from datetime import time as clock
from typing import Any

import msgspec
import pytest

from geo.ed269 import read_ed269, write_ed269
from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum
from geo.schedules import Applicability, DailyPeriod, Day
from geo.volumes import Circle, Outline
from geo.zones import Kind, Purpose, Reason, Text, Zone, ZoneCollection

RING = [[71.40, 51.10], [71.42, 51.10], [71.42, 51.12], [71.40, 51.12], [71.40, 51.10]]


def volume(**changes: Any) -> dict[str, Any]:
    """A faultless volume, but for what is given."""
    return {
        "uomDimensions": "M",
        "lowerLimit": 0,
        "lowerVerticalReference": "AGL",
        "upperLimit": 120,
        "upperVerticalReference": "AGL",
        "horizontalProjection": {"type": "Polygon", "coordinates": [RING]},
        **changes,
    }


def version(**changes: Any) -> dict[str, Any]:
    """A faultless UASZoneVersion, but for what is given."""
    return {
        "identifier": "KZA001",
        "country": "KAZ",
        "name": "Aerodrome",
        "type": "COMMON",
        "restriction": "REQ_AUTHORISATION",
        "restrictionConditions": "daylight only",
        "region": 7,
        "reason": ["AIR_TRAFFIC", "FOREIGN_TERRITORY"],
        "otherReasonInfo": "approach",
        "regulationExemption": "NO",
        "uSpaceClass": "EURO",
        "message": "ask first",
        "applicability": [
            {
                "permanent": "NO",
                "startDateTime": "2026-01-01T00:00:00Z",
                "endDateTime": "2026-12-31T23:00:00Z",
                "schedule": [{"day": ["MON", "FRI"], "startTime": "08:30:00.00Z", "endTime": "17:00:00.50Z"}],
            }
        ],
        "zoneAuthority": [
            {"name": "CAA", "email": "a@example.org", "purpose": "AUTHORIZATION", "intervalBefore": "P3D"}
        ],
        "geometry": [
            volume(),
            volume(horizontalProjection={"type": "Circle", "center": [71.5, 51.2], "radius": 900.0}),
        ],
        **changes,
    }


def as_file(*versions: Any, **more: Any) -> bytes:
    """The bytes of a list."""
    return json.dumps({"features": list(versions), **more}).encode()


def one(data: bytes) -> Zone:
    """The only zone of a file."""
    (zone,) = read_ed269(data).zones
    return zone


def test_every_field_is_read() -> None:
    collection = read_ed269(as_file(version(), title="All", description="of them"))
    assert collection.notes == ()
    assert (collection.title, collection.description) == ("All", (Text("of them"),))
    (zone,) = collection.zones
    assert (zone.id, zone.country, zone.kind, zone.variant) == ("KZA001", "KAZ", Kind.REQ_AUTHORIZATION, "COMMON")
    assert (zone.name, zone.conditions, zone.region) == ((Text("Aerodrome"),), "daylight only", 7)
    assert zone.reasons == (Reason.AIR_TRAFFIC, Reason.FOREIGN_TERRITORY)
    assert (zone.other_reason, zone.exemption, zone.message) == ((Text("approach"),), False, (Text("ask first"),))
    (authority,) = zone.authorities
    assert (authority.purpose, authority.interval_before) == (Purpose.AUTHORIZATION, "P3D")
    outline, circle = zone.volumes
    assert outline.footprint == Outline(rings=(tuple((x, y) for x, y in RING),))
    assert circle.footprint == Circle(lon=71.5, lat=51.2, radius_m=900.0)
    assert outline.upper == Altitude(120.0, Datum.AGL)
    (times,) = outline.times
    assert times.start == datetime(2026, 1, 1, tzinfo=UTC)
    (period,) = times.schedule
    assert period == DailyPeriod(
        days=(Day.MON, Day.FRI), start=clock(8, 30, tzinfo=UTC), end=clock(17, 0, 0, 500_000, tzinfo=UTC)
    )


def test_what_was_read_is_written_again_the_same() -> None:
    assert write_ed269(read_ed269(as_file(version(), title="All"))) == {"features": [version()], "title": "All"}
    permanent = version(applicability=[{"permanent": "YES"}])
    assert write_ed269(read_ed269(as_file(permanent)))["features"] == [permanent]
    assert one(as_file(permanent)).volumes[0].times == ()


def test_an_independent_reader_understands_what_we_write() -> None:
    ed269 = pytest.importorskip("uas_standards.eurocae_ed269", reason="uas_standards is not installed")
    zone = msgspec.structs.replace(one(as_file(version())), name=())
    ended = write_ed269(ZoneCollection(zones=(zone,)))
    read = ed269.ED269Schema.from_dict(ended).features[0]
    assert read.restriction == ed269.Restriction.REQ_AUTHORISATION
    assert read.geometry[1].horizontalProjection.radius == 900.0
    assert read.geometry[0].upperLimit == 120
    assert read.applicability[0].schedule[0].startTime.time == clock(8, 30, tzinfo=UTC)
    assert json.loads(json.dumps(read)) == ended["features"][0]


def test_what_is_missing_lets_the_zone_reach_further() -> None:
    bare = {"identifier": "X1", "geometry": [{"horizontalProjection": {"type": "POLYGON", "coordinates": [RING[:-1]]}}]}
    collection = read_ed269(as_file(bare))
    (zone,) = collection.zones
    assert zone.kind == Kind.PROHIBITED
    assert (zone.volumes[0].lower, zone.volumes[0].upper, zone.volumes[0].times) == (None, None, ())
    assert {"restriction", "type", "geometry[0].upperLimit"} <= {note.field for note in collection.notes}
    no_unit = volume(lowerLimit=100)
    del no_unit["uomDimensions"]
    (read,) = one(as_file(version(geometry=[no_unit]))).volumes
    assert (read.lower, read.upper) == (Altitude(30.48, Datum.AGL), Altitude(120.0, Datum.AGL))
    feet = volume(uomDimensions="FT", upperLimit="400")
    assert one(as_file(version(geometry=[feet]))).volumes[0].upper == Altitude(121.92, Datum.AGL)
    bare_list = b"[" + json.dumps(version()).encode() + b"]"
    assert one(bare_list) == one(as_file(version()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"geometry": []}, "geometry: absent"),
        (
            {"geometry": [volume(horizontalProjection={"type": "Circle", "center": [171, 95], "radius": 9})]},
            r"\[171, 95\]",
        ),
        ({"geometry": [volume(horizontalProjection={"type": "Line"})]}, "'Line' is neither"),
        (
            {"geometry": [volume(horizontalProjection={"type": "Polygon", "coordinates": [RING[:2]]})]},
            "fewer than three",
        ),
    ],
)
def test_a_zone_that_cannot_be_understood_is_told(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ZoneInvalid, match=f"1 of 2 zones.*feature 1 \\(KZA001\\).*{said}"):
        read_ed269(as_file(version(), version(**changes)))
    assert len(read_ed269(as_file(version(**changes)), partly=True).refused) == 1


def test_what_ed269_cannot_say_is_not_written() -> None:
    zone = one(as_file(version()))
    (first, *_) = zone.volumes
    event = Applicability(schedule=(DailyPeriod(start_event="SR", end_event="SS"),))
    for change, said in (
        ({"kind": Kind.USPACE}, "restriction"),
        ({"reasons": (Reason.DAR,)}, "DAR"),
        ({"other_reason": (Text("x" * 31),)}, "otherReasonInfo"),
        ({"volumes": (msgspec.structs.replace(first, upper=Altitude(9.0, Datum.W84)),)}, "W84"),
        ({"volumes": (msgspec.structs.replace(first, times=(event,)),)}, "SR"),
        ({"volumes": (first, msgspec.structs.replace(first, times=()))}, "different times"),
    ):
        with pytest.raises(ZoneInvalid, match=f"zone KZA001: .*{said}"):
            write_ed269(ZoneCollection(zones=(msgspec.structs.replace(zone, **change),)))


def test_limits_are_written_so_that_the_zone_grows() -> None:
    zone = one(as_file(version()))
    odd = msgspec.structs.replace(zone.volumes[0], lower=Altitude(30.48, Datum.AGL), upper=Altitude(121.92, Datum.AMSL))
    written = write_ed269(ZoneCollection(zones=(msgspec.structs.replace(zone, volumes=(odd,)),)))
    (geometry,) = written["features"][0]["geometry"]
    assert (geometry["lowerLimit"], geometry["upperLimit"], geometry["upperVerticalReference"]) == (30, 122, "AMSL")
