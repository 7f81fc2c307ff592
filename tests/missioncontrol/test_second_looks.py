"""Second looks: proposed where they are needed, from as high as is enough, and planned with one request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import rasterio
import shapely

from geo.camera_library import camera
from geo.poses import PoseSigmas
from geo.positions import Altitude, Datum, Ellipse, LocalPlane, Position
from geo.target_errors import circular_error_m
from geo.terrain import GridTerrain
from missioncontrol.incident_settings import SinkSettings
from missioncontrol.map_settings import CitySettings
from missioncontrol.planning import plan
from missioncontrol.requests import LookRequest, VisitsRequest
from missioncontrol.second_looks import (
    LOOK_PITCH_DEG,
    Eye,
    Need,
    SecondLook,
    look_covariance_m2,
    second_look,
    widest_m,
)
from missioncontrol.sites import Site
from missioncontrol.sorties import Start
from tests.missioncontrol.conftest import HOME, make_settings, running
from tests.missioncontrol.test_incidents import look

PLACE = Position(lon=76.9, lat=43.2, altitude=Altitude(800.0, Datum.AMSL))
PLANE = LocalPlane(lon=76.9, lat=43.2)
EYE = Eye(1, "sim-wide", camera("sim-wide").brown_camera())
LENS = EYE.camera
WEBHOOK = {"url": "http://127.0.0.1:9", "secret": "whsec_" + "c2VjcmV0" * 4}


def ellipse(sigma_m: float) -> Ellipse:
    return Ellipse.from_covariance(np.eye(2) * sigma_m**2)


def parcel(width_m: float, length_m: float) -> shapely.Polygon:
    corners = np.array([(0, 0), (width_m, 0), (width_m, length_m), (0, length_m)], float) - [width_m / 2, length_m / 2]
    return shapely.Polygon(np.stack(PLANE.to_lonlat(corners[:, 0], corners[:, 1]), -1))


def proposed(sigma_m: float, **options: Any) -> SecondLook | None:
    whole: dict[str, Any] = {
        "needs": [],
        "parcel": None,
        "eyes": [EYE],
        "sigmas": PoseSigmas(horizontal_m=0.5, vertical_m=0.5, tilt_deg=0.5, yaw_deg=1.0),
        "terrain_sigma_m": 0.5,
        "highest_m": 120.0,
        **options,
    }
    return second_look(place=PLACE, ellipse=ellipse(sigma_m), **whole)


def test_what_is_known_well_enough_needs_no_look() -> None:
    assert proposed(3.0) is None
    assert proposed(3.0, needs=[Need(who="112", ce90_m=6.5)]) is None
    assert proposed(3.0, parcel=parcel(14, 40)) is None
    assert proposed(3.0, needs=[Need(who="112", ce90_m=6.3)]) is not None
    assert proposed(3.0, parcel=parcel(12, 40)) is not None


def test_the_widest_circle_of_a_parcel() -> None:
    assert widest_m(parcel(10, 30)) == pytest.approx(5, rel=0.01)


def test_the_look_is_as_high_as_is_enough() -> None:
    found = proposed(5.0, needs=[Need(who="112", ce90_m=5.0), Need(who="ecology", ce90_m=2.6)], parcel=parcel(40, 40))
    assert found is not None
    assert [need.who for need in found.unmet] == ["ecology", "112"]
    assert (found.needed_ce90_m, found.enough) == (2.6, True)
    assert found.ce90_m == pytest.approx(5 * np.sqrt(-2 * np.log(0.1)), rel=1e-4)
    assert found.height_m is not None
    assert found.expected_ce90_m is not None
    assert found.pitch_deg == LOOK_PITCH_DEG
    assert isinstance(found.request, LookRequest)
    assert found.request.height_m == found.height_m
    assert found.request.vehicles == (1,)
    known = np.eye(2) * 25.0
    sigmas = PoseSigmas(horizontal_m=0.5, vertical_m=0.5, tilt_deg=0.5, yaw_deg=1.0)
    for height_m, enough in ((found.height_m, True), (found.height_m + 10, False)):
        looked = look_covariance_m2(LENS, PLACE, LOOK_PITCH_DEG, height_m, sigmas, 0.5)
        joined_m = circular_error_m(np.linalg.inv(np.linalg.inv(known) + np.linalg.inv(looked)))
        assert (joined_m <= 2.6) == enough
    demanding = proposed(5.0, needs=[Need(who="ecology", ce90_m=2.0)])
    assert demanding is not None
    assert (demanding.height_m or 0) < found.height_m or demanding.pitch_deg == -90


def test_from_straight_above_where_the_terrain_is_not_known_well() -> None:
    found = proposed(9.0, needs=[Need(who="ecology", ce90_m=3.0)], terrain_sigma_m=4.0)
    assert found is not None
    assert found.enough
    assert found.pitch_deg == -90
    assert isinstance(found.request, VisitsRequest)


def test_the_best_there_is_where_nothing_is_enough() -> None:
    """A receiver that wants a decimetre of a receiver good to half a metre."""
    found = proposed(5.0, needs=[Need(who="ecology", ce90_m=0.1)])
    assert found is not None
    assert not found.enough
    assert found.height_m == 30.0
    assert found.expected_ce90_m is not None
    assert 0.1 < found.expected_ce90_m < found.ce90_m
    nobody = proposed(5.0, needs=[Need(who="ecology", ce90_m=1.0)], eyes=[])
    assert nobody is not None
    assert (nobody.request, nobody.height_m, nobody.enough) == (None, None, False)


def test_a_look_from_straight_above_is_planned_over_uneven_ground() -> None:
    """One stop over one place has the GSD of its height above the ground there."""
    heights = np.tile(np.linspace(700.0, 900.0, 201), (201, 1))
    transform = rasterio.Affine(1e-4, 0, PLACE.lon - 0.01, 0, -1e-4, PLACE.lat + 0.01)
    terrain = GridTerrain(heights, transform, name="slope")
    found = proposed(9.0, needs=[Need(who="ecology", ce90_m=3.0)], terrain_sigma_m=4.0)
    assert found is not None
    assert isinstance(found.request, VisitsRequest)
    made = plan(found.request, Site((Start(sysid=1, lon=PLACE.lon + 0.001, lat=PLACE.lat),), terrain))
    assert made.photos == 1
    assert made.gsd_cm["min"] == made.gsd_cm["max"]
    assert made.gsd_cm["max"] == pytest.approx(100 * camera("sim-wide").gsd_m(found.height_m or 0.0), rel=0.05)


async def test_an_incident_says_how_to_look_again_and_is_looked_at(tmp_path: Path) -> None:
    plane = LocalPlane(lon=HOME[0], lat=HOME[1])
    corners = np.array([(50, 50), (70, 50), (70, 70), (50, 70), (50, 50)], float)
    ring = np.stack(plane.to_lonlat(corners[:, 0], corners[:, 1]), -1).tolist()
    square = {"type": "Feature", "properties": {"id": "20-315"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "parcels.geojson").write_bytes(msgspec.json.encode({"type": "FeatureCollection", "features": [square]}))
    settings = make_settings(
        tmp_path,
        city=CitySettings(cadastre=tmp_path / "parcels.geojson"),
        sinks=(
            SinkSettings(name="112", kind="webhook", options=WEBHOOK, needs_ce90_m=40.0),
            SinkSettings(name="eco", kind="webhook", options=WEBHOOK, needs_ce90_m=1.0),
        ),
        routes={"dump": ("112",), "fire": ("eco",)},
    )
    lon, lat = (float(part) for part in plane.to_lonlat(60, 60))
    async with running(settings) as house:
        assert house.service.rooms is not None
        incidents = house.service.rooms.incidents
        vague = await incidents.observe(msgspec.structs.replace(look(sigma_m=12.0), lon=lon, lat=lat))
        client = await house.client()
        told = (await client.get(f"/incidents/{vague.id}")).json()["properties"]["second_look"]
        assert [need["who"] for need in told["unmet"]] == ["parcel"]
        assert told["needed_ce90_m"] == pytest.approx(10, rel=0.02)
        assert told["request"]["kind"] in ("look", "visits")
        answer = await client.post(f"/incidents/{vague.id}/second-look")
        assert answer.status_code == 201, answer.text
        assert answer.json()["request"]["place" if told["request"]["kind"] == "look" else "places"]
        sharp = await incidents.observe(msgspec.structs.replace(look(sigma_m=1.0, kind="flooding"), lon=lon, lat=lat))
        assert (await client.get(f"/incidents/{sharp.id}")).json()["properties"]["second_look"] is None
        refused = await client.post(f"/incidents/{sharp.id}/second-look")
        assert refused.status_code == 409, refused.text
