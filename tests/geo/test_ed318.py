"""ED-318: what authorities publish is read without losing a zone; what is written keeps to the schema."""

from __future__ import annotations

import copy
import json
import os
import time as clock
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from geo.ed318 import read_ed318, write_ed318
from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum
from geo.volumes import Applicability, Circle, Outline
from geo.zones import Kind, Reason, Text, Zone

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
