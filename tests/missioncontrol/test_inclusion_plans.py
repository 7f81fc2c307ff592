"""Plans that stay inside an inclusion zone round its inner corner, and those that cannot."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import shapely

from geo.airspace import Airspace
from geo.positions import Altitude, Datum, LocalPlane
from geo.terrain import FlatTerrain
from geo.volumes import Outline, Volume4D
from geo.zones import Kind, Zone
from missioncontrol.errors import InputInvalid
from missioncontrol.planning import plan
from missioncontrol.plans import Plan
from missioncontrol.requests import PlanRequest
from missioncontrol.sites import Site
from missioncontrol.sorties import Start

PLANE = LocalPlane(lon=76.9, lat=43.2, height_m=0.0)
CORNER = shapely.Polygon([(-100, -100), (1500, -100), (1500, 300), (300, 300), (300, 1500), (-100, 1500)])


def lonlat(xy: Any) -> Any:
    return np.column_stack(PLANE.to_lonlat(*np.asarray(xy, float).T))


def planned(start: tuple[float, float], **fields: Any) -> Plan:
    ring = tuple((float(x), float(y)) for x, y in lonlat(shapely.get_coordinates(CORNER)))
    volume = Volume4D(footprint=Outline(rings=(ring,)), upper=Altitude(120.0, Datum.AGL))
    airspace = Airspace([Zone(id="L", kind=Kind.INCLUSION, volumes=(volume,))], FlatTerrain(0.0))
    ((lon, lat),) = lonlat([start])
    request: PlanRequest = msgspec.convert(
        {"camera": "sim-wide", "height_m": 60.0, "vehicles": [1], **fields}, PlanRequest
    )
    return plan(request, Site((Start(sysid=1, lon=float(lon), lat=float(lat)),), None, airspace=airspace))


def geojson(shape: shapely.Geometry) -> dict[str, Any]:
    tree: dict[str, Any] = shapely.geometry.mapping(shapely.transform(shape, lonlat))
    return tree


def test_a_survey_and_visits_in_the_other_arm_are_flown_to_inside() -> None:
    area, places = shapely.box(0, 1200, 200, 1400), shapely.MultiPoint([(100, 1300), (1300, 100), (100, 900)])
    for fields in ({"kind": "survey", "area": geojson(area)}, {"kind": "visits", "places": geojson(places)}):
        (part,) = planned((1400.0, 100.0), **fields).vehicles
        path = np.array(part.path["geometry"]["coordinates"])[:, :2]
        way = shapely.LineString(np.column_stack(PLANE.to_plane(*path.T)))
        assert CORNER.covers(way)
        assert CORNER.exterior.distance(way) > 14.9
        assert way.distance(shapely.Point(300, 300)) < 16.0, "round the inner corner, and not further than needed"


def test_an_area_that_reaches_out_is_cut_and_a_place_outside_is_refused() -> None:
    made = planned((100.0, 100.0), kind="survey", area=geojson(shapely.box(100, 1000, 600, 1200)))
    assert any("cut away: the outside of the inclusion zones" in said for said in made.warnings)
    with pytest.raises(InputInvalid, match=r"no way to .* keeps clear of the outside of the inclusion zones"):
        planned((100.0, 100.0), kind="visits", places=geojson(shapely.MultiPoint([(100, 500), (700, 700)])))
