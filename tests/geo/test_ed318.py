"""ED-318: what authorities publish is read without losing a zone; what is written keeps to the schema."""

from __future__ import annotations

import json
import math
import os
import time as clock
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from geo.ed318 import read_ed318, write_ed318
from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum
from geo.schedules import Applicability
from geo.volumes import Circle, Outline
from geo.zones import Kind, Reason, Text, Zone, ZoneCollection

JUDGES = Path(os.environ.get("MC_JUDGES", Path(__file__).resolve().parents[3] / "shared" / "judges"))
ED318 = JUDGES / "ed318"
NOT_HERE = f"no official ED-318 schema and examples at {ED318}"
needs_judges = pytest.mark.skipif(not ED318.exists(), reason=NOT_HERE)
OFFICIAL = (
    "Example_Collection",
    "Example_GeoZone_2_Layers",
    "Example_GeoZone_Circle",
    "Example_GeoZone_with_extension",
)
SQUARE = [[[71.40, 51.10], [71.42, 51.10], [71.42, 51.12], [71.40, 51.12], [71.40, 51.10]]]
LAYER = {"upper": 120, "upperReference": "AGL", "lower": 0, "lowerReference": "AGL", "uom": "m"}


def feature(geometry: Any = None, **properties: Any) -> dict[str, Any]:
    """A faultless zone, but for what is given."""
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": SQUARE, "layer": LAYER} if geometry is None else geometry,
        "properties": {
            "identifier": "KZA001",
            "country": "KAZ",
            "type": "PROHIBITED",
            "variant": "COMMON",
            "zoneAuthority": [{"purpose": "INFORMATION"}],
            **properties,
        },
    }


def as_file(*features: Any, **more: Any) -> bytes:
    """The bytes of a collection."""
    return json.dumps({"type": "FeatureCollection", "features": list(features), **more}).encode()


def judge() -> Any:
    """The official schema."""
    import jsonschema
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT7

    found = {path.name: json.loads(path.read_text()) for path in (ED318 / "schema").glob("*.json")}
    registry: Any = Registry()
    for name, schema in found.items():
        resource = Resource.from_contents(schema, default_specification=DRAFT7)
        registry = registry.with_resources([(name, resource), (f"./{name}", resource)])
    return jsonschema.Draft7Validator(found["Schema_GeoZones.json"], registry=registry)


def one(data: bytes) -> Zone:
    """The only zone of a file."""
    (zone,) = read_ed318(data).zones
    return zone


@needs_judges
@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_example_read_and_written_is_the_same(name: str) -> None:
    path = ED318 / "examples" / f"{name}.json"
    collection = read_ed318(path)
    assert collection.notes == ()
    assert write_ed318(collection) == json.loads(path.read_text())


@needs_judges
def test_the_judge_accepts_what_we_write_and_refuses_the_invalid_example() -> None:
    validator = judge()
    invalid = ED318 / "examples" / "InvalidExample_GeoZone_2_Layers.json"
    assert not validator.is_valid(json.loads(invalid.read_text()))
    collection = read_ed318(invalid)  # a person can still use it
    assert {note.field for note in collection.notes} >= {"metadata.validFrom", "name.lang"}
    assert collection.zones[0].kind == Kind.REQ_AUTHORIZATION
    written = write_ed318(collection)
    validator.validate(written)
    for name in OFFICIAL:
        validator.validate(write_ed318(read_ed318(ED318 / "examples" / f"{name}.json")))


def test_what_authorities_really_publish_is_read_so_that_no_zone_shrinks() -> None:
    geometry = {
        "type": "Polygon",
        "coordinates": [[[*map(str, corner), "0"] for corner in SQUARE[0][:-1]]],  # strings, 3-D, not closed
        "layer": {"upper": "400", "upperReference": "agl", "lower": 0, "lowerReference": "SFC", "uomDimensions": "FT"},
    }
    given = feature(
        geometry, type="req_authorisation", reason=["Nature", "ALIENS"], name="Park", rubbish={"a": 1}, variant=None
    )
    del given["properties"]["country"]
    collection = read_ed318(as_file(given))
    (zone,) = collection.zones
    assert zone.kind == Kind.REQ_AUTHORIZATION
    assert zone.reasons == (Reason.NATURE, Reason.OTHER)
    assert zone.name == (Text("Park", "und"),)
    (volume,) = zone.volumes
    assert volume.upper == Altitude(121.92, Datum.AGL)
    assert volume.lower == Altitude(0.0, Datum.AGL)
    assert isinstance(volume.footprint, Outline)
    assert volume.footprint.rings[0] == tuple(map(tuple, SQUARE[0]))
    told = {note.field: note for note in collection.notes}
    assert {"properties.rubbish", "reason", "type", "variant", "geometry.layer.upper", "geometry[0]"} <= set(told)
    assert all(note.feature == 0 and note.zone == "KZA001" for note in collection.notes)
    assert str(told["reason"]).startswith("feature 0 (KZA001): reason: 'ALIENS' read as OTHER")


AGL, MSL, W84 = Datum.AGL, Datum.AMSL, Datum.W84


@pytest.mark.parametrize(
    ("layer", "lower", "upper"),
    [
        (None, None, None),
        ({}, None, None),
        ({"upper": 120, "lower": 30}, None, None),  # of no datum: from the ground up without end
        ({"upper": 120, "upperReference": "QNH", "lower": 30, "lowerReference": "QNH"}, None, None),
        ({"upper": 120, "upperReference": "AGL", "lower": 30}, None, (120.0, AGL)),
        ({"upper": 120, "upperReference": "AGL", "uom": "FL"}, None, None),
        ({"upper": "much", "upperReference": "AGL", "lower": 30, "lowerReference": "MSL"}, (30.0, MSL), None),
        ({"upper": 30, "upperReference": "AGL", "lower": 120, "lowerReference": "AGL"}, (30.0, AGL), (120.0, AGL)),
        ({"upper": 500, "upperReference": "WGS-84", "lower": -9, "lowerReference": "W84"}, (-9.0, W84), (500.0, W84)),
    ],
)
def test_a_limit_that_cannot_be_told_lets_the_zone_reach_further(
    layer: Any, lower: tuple[float, Datum] | None, upper: tuple[float, Datum] | None
) -> None:
    collection = read_ed318(as_file(feature({"type": "Polygon", "coordinates": SQUARE, "layer": layer})))
    (volume,) = collection.zones[0].volumes
    expected = tuple(None if limit is None else Altitude(*limit) for limit in (lower, upper))
    assert (volume.lower, volume.upper) == expected
    if lower is None or upper is None or layer["upper"] < layer["lower"]:
        assert any("layer" in note.field or note.field == "lower" for note in collection.notes)


def test_layers_nest_and_circles_come_in_several_spellings() -> None:
    nested = {
        "type": "GeometryCollection",
        "layer": {**LAYER, "upper": 300},
        "geometries": [
            {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": SQUARE}]},
            {"type": "MultiPolygon", "coordinates": [SQUARE, SQUARE], "layer": LAYER},
            {"type": "Point", "coordinates": [71.4, 51.1], "extent": {"subType": "circle", "radius": "500"}},
            {"type": "Point", "coordinates": [71.4, 51.1], "radius": 500},
        ],
    }
    volumes = one(as_file(feature(nested))).volumes
    assert [volume.upper.value_m for volume in volumes if volume.upper] == [300, 120, 120, 300, 300]
    assert volumes[3].footprint == volumes[4].footprint == Circle(lon=71.4, lat=51.1, radius_m=500.0)


def test_times_that_cannot_be_told_mean_always() -> None:
    schedule = [
        {"day": ["ANY"], "startEvent": "SR", "endEvent": "SS"},
        {"day": ["monday"], "startTime": "sunrise", "endTime": "12:00Z"},
        {"day": ["MON"], "startTime": "08:00:00+05:00", "endTime": "24:00:00+05:00"},
        {"day": ["ANY"], "startEvent": "noon", "endTime": "18:00Z"},
    ]
    backwards = {"startDateTime": "2026-05-01T00:00:00Z", "endDateTime": "2026-01-01T00:00:00Z"}
    collection = read_ed318(
        as_file(feature(limitedApplicability=[{"startDateTime": "2026-01-01", "schedule": schedule}, backwards]))
    )
    first, second = collection.zones[0].volumes[0].times
    assert first.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert [period.known for period in first.schedule] == [True, True, True, False]
    assert (first.schedule[0].start_event, first.schedule[1].start_event) == ("SR", "SR")
    assert any("'sunrise' read as SR" in note.said for note in collection.notes)
    assert any("from NOON to 18:00" in note.said and "counts all the time" in note.said for note in collection.notes)
    sunday_noon_s = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    assert len(first.active_s(sunday_noon_s, sunday_noon_s + 60)) == 1
    assert second == Applicability()
    known = Applicability(schedule=(first.schedule[2],))
    monday_s = datetime(2026, 3, 2, tzinfo=UTC).timestamp()  # 08 to 24 at +05:00 is 03 to 19 UTC
    assert (known.active_s(monday_s - 86_400, monday_s + 86_400) - monday_s).tolist() == [[3 * 3600, 19 * 3600]]


CROSSED = [[[71.40, 51.10], [71.42, 51.12], [71.42, 51.10], [71.40, 51.12], [71.40, 51.10]]]


@pytest.mark.parametrize(
    ("geometry", "said"),
    [
        ({"type": "Polygon", "coordinates": CROSSED, "layer": LAYER}, r"Self-inter.* at lon 71\.41\d*, lat 51\.11"),
        ({"type": "Polygon", "coordinates": [[[51, 171], [51, 172], [52, 172], [51, 171]]]}, r"\[51, 171\].*swapped"),
        ({"type": "Polygon", "coordinates": [[[500, 171], [51, 172], [52, 172], [51, 171]]]}, r"\[500, 171\], is not"),
        ({"type": "Polygon", "coordinates": [[[179, 51], [-179, 51], [-179, 52], [179, 51]]]}, r"\[179.*antimeridian"),
        ({"type": "Polygon", "coordinates": [[[71, 51], [72, 52]]]}, "fewer than three"),
        ({"type": "Polygon", "coordinates": [[[71, 51], None, [72, 52]]]}, "corner 1 is None"),
        ({"type": "Polygon", "coordinates": [[[71, 51], ["NaN", 3], [72, 52]]]}, "corner 1 is"),
        ({"type": "Polygon", "coordinates": []}, "no rings"),
        ({"type": "Polygon", "coordinates": [[[71, 51], [72, 52], [73, 53], [71, 51]]]}, r"no area|Too few|Self"),
        ({"type": "Point", "coordinates": [71, 51], "extent": {"subType": "Circle", "radius": -5}}, "radius -5"),
        ({"type": "Point", "coordinates": [71, 51]}, "radius None"),
        ({"type": "Point", "coordinates": [179.99, 51], "extent": {"radius": 50_000}}, "antimeridian"),
        ({"type": "Point", "coordinates": [71, 51], "extent": {"subType": "Ellipse", "radius": 5}}, "Ellipse"),
        ({"type": "LineString", "coordinates": [[71, 51], [72, 52]]}, "encloses nothing"),
        ({"type": "GeometryCollection", "geometries": []}, "empty"),
        ("nowhere", "no geometry"),
    ],
)  # fmt: skip
def test_a_zone_that_cannot_be_understood_is_told_and_never_dropped_silently(geometry: Any, said: str) -> None:
    data = as_file(feature(), feature(geometry, identifier="BAD"))
    with pytest.raises(ZoneInvalid, match=f"1 of 2 zones.*feature 1 \\(BAD\\).*{said}"):
        read_ed318(data)
    collection = read_ed318(data, partly=True)
    assert [zone.id for zone in collection.zones] == ["KZA001"]
    (refused,) = collection.refused
    assert (refused.feature, refused.zone) == (1, "BAD")


def test_swapped_places_within_range_are_noticed_where_one_knows_where_they_should_be() -> None:
    swapped = {"type": "Polygon", "coordinates": [[[lat, lon] for lon, lat in SQUARE[0]]], "layer": LAYER}
    with pytest.raises(ZoneInvalid, match=r"\[51\..*, 71\..*swapped"):
        read_ed318(as_file(feature(swapped)), near=(71.4, 51.1))
    assert len(read_ed318(as_file(feature()), near=(71.4, 51.1)).zones) == 1


def deep(depth: int) -> bytes:
    """Collections in collections."""
    inner = json.dumps({"type": "Polygon", "coordinates": SQUARE})
    geometry = '{"type":"GeometryCollection","geometries":[' * depth + inner + "]}" * depth
    return as_file(feature()).replace(
        b'"geometry": {"type": "Polygon"', b'"geometry": ' + geometry.encode() + b', "x": {"type": "P"', 1
    )


def star(corners: int) -> list[list[list[float]]]:
    """A ring that crosses itself at almost every edge."""
    turns = [2.399963 * number for number in range(corners)]
    ring = [[71.4 + 0.1 * math.cos(turn), 51.1 + 0.1 * math.sin(turn)] for turn in turns]
    return [[*ring, ring[0]]]


HOSTILE = {
    "not JSON": lambda: b"\xff\xfe<xml/>",
    "NaN": lambda: as_file(feature()).replace(b"71.4,", b"NaN,", 1),
    "beyond floats": lambda: as_file(feature()).replace(b"71.4,", b"1e999,", 1),
    "long number": lambda: as_file(feature()).replace(b"71.4,", b"7" * 100_000 + b",", 1),
    "a million brackets": lambda: b'{"features":' + b"[" * 1_000_000,
    "deep geometry": lambda: deep(20),
    "very deep geometry": lambda: deep(100_000),
    "no features": lambda: b'{"type": "FeatureCollection"}',
    "features of the wrong kind": lambda: b'{"features": {"a": 1}}',
    "features that are numbers": lambda: as_file(1, None, "x"),
    "too many features": lambda: b'{"features":[' + b"1," * 200_000 + b"1]}",
    "too many corners": lambda: as_file(feature({"type": "Polygon", "coordinates": star(120_000)})),
    "many crossings": lambda: as_file(feature({"type": "Polygon", "coordinates": star(20_000)})),
    "a string of 10 MB": lambda: as_file(feature({"type": "x" * 10_000_000})),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_soon_and_in_little_memory(name: str) -> None:
    data = HOSTILE[name]()
    tracemalloc.start()
    began_s = clock.process_time()
    with pytest.raises(ZoneInvalid) as caught:
        read_ed318(data)
    took_s = clock.process_time() - began_s
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took_s < 2.0
    assert peak < 200e6
    assert len(str(caught.value)) < 2000


def test_a_corner_takes_little_memory() -> None:
    ring = [
        [71.4 + 0.1 * math.cos(n / 1000 * 2 * math.pi), 51.1 + 0.1 * math.sin(n / 1000 * 2 * math.pi)]
        for n in range(1000)
    ]
    each = feature({"type": "Polygon", "coordinates": [[*ring, ring[0]]], "layer": LAYER})
    data = as_file(*[each] * 40)
    tracemalloc.start()
    read_ed318(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6  # 40 000 corners; at most 800 000 are read


@needs_judges
def test_what_was_read_tolerantly_is_written_strictly() -> None:
    validator = judge()
    sloppy = feature({"type": "Polygon", "coordinates": SQUARE}, name="Park", type="nonsense", reason="Nature")
    written = write_ed318(read_ed318(as_file(sloppy, title="T")))
    validator.validate(written)
    again = read_ed318(json.dumps(written).encode())
    assert again.zones == read_ed318(as_file(sloppy)).zones
    inclusion = one(as_file(feature()))
    inclusion = msgspec.structs.replace(inclusion, kind=Kind.INCLUSION)
    written = write_ed318(ZoneCollection(zones=(inclusion,)))
    validator.validate(written)
    assert written["features"][0]["properties"]["type"] == "NO_RESTRICTION"
    assert read_ed318(json.dumps(written).encode()).zones == (inclusion,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "TOOLONG1"}, "identifier.*8 characters"),
        ({"country": ""}, "country"),
        ({"authorities": ()}, "zoneAuthority"),
        ({"name": (Text("x" * 201, "en"),)}, "name.*201"),
        ({"name": (Text("x", "english"),)}, "name.lang"),
        ({"reasons": (Reason.FOREIGN_TERRITORY,)}, "reason.*FOREIGN_TERRITORY"),
        ({"volumes": ()}, "geometry.*no volume"),
    ],
)
def test_what_ed318_cannot_say_is_not_written(change: dict[str, Any], said: str) -> None:
    zone = msgspec.structs.replace(one(as_file(feature())), **change)
    with pytest.raises(ZoneInvalid, match=f"zone {zone.id}: {said}"):
        write_ed318(ZoneCollection(zones=(zone,)))
