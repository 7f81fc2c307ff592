"""What is said of ground that was looked at, from the frames that are written down to the signed statement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import rasterio
import shapely
from msgspec.structs import replace
from PIL import Image
from sqlalchemy import insert

from aerial_models import catalogue
from fleet.history import CameraPoseSample
from geo.camera_library import camera
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import FlatTerrain
from geo.visibility import Prism
from missioncontrol.assurance import Assured, Question, assure, recall_for
from missioncontrol.coverage import pieces_left
from missioncontrol.errors import InputInvalid
from missioncontrol.exposures import Exposures, Watched, Watching, frames_of
from missioncontrol.map_settings import TerrainSettings
from missioncontrol.observations import ModelStamp
from missioncontrol.statements import verify
from missioncontrol.store import Store
from missioncontrol.tables import flights, missions
from tests.missioncontrol.conftest import make_settings, running

MODEL = catalogue.entry("city-nano")
LENS = camera("sim-wide").brown_camera()
LON, LAT, UTC_S = 76.945, 43.238, 1_781_503_200.0
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=800.0)
QUESTION = Question(area_m2=5.0, largest_m2=25.0, probability=0.9)
WATCHING = Watching.through(
    LENS,
    model=ModelStamp(name=MODEL.name, version=MODEL.created, sha256=MODEL.sha256),
    thresholds=MODEL.thresholds,
    min_hits=3,
    min_range_m=40.0,
    max_range_m=600.0,
    sigmas=PoseSigmas(horizontal_m=0.5, tilt_deg=0.2, yaw_deg=0.5),
)


def lonlat(shape: shapely.Polygon) -> shapely.Polygon:
    """From the plane to lon and lat."""
    return shapely.transform(shape, lambda xy: np.stack(PLANE.to_lonlat(xy[:, 0], xy[:, 1]), axis=-1))


AREA = lonlat(shapely.box(-60, -60, 60, 60))


def survey(*, height_m: float = 68.0, east_to_m: float = 60.0) -> list[tuple[float, ...]]:
    """Rows of frames on lines 20 m apart, from the western edge on."""
    rows, utc_s = [], UTC_S
    for number, x in enumerate(np.arange(-60, east_to_m + 0.1, 20.0)):
        north = number % 2 == 0
        for y in np.arange(-80, 81, 5.0) * (1 if north else -1):
            lon, lat = PLANE.to_lonlat(x, y)
            speed = 8.0 if north else -8.0
            rows.append((utc_s, float(lon), float(lat), 800.0 + height_m, 0.0, -90.0, 0.0, 0.0, speed, 0.0))
            utc_s += 5.0 / 8.0
        utc_s += 6.0
    return rows


def watched(rows: list[tuple[float, ...]], **change: Any) -> Watched:
    """One flight."""
    watching = replace(WATCHING, **change)
    return Watched("flight-1", 1, "KZ-001", watching, frames_of(watching.camera, rows))  # type: ignore[arg-type]


def assured(rows: list[tuple[float, ...]], question: Question = QUESTION, **change: Any) -> Assured:
    """Over flat ground without buildings."""
    return assure(question, AREA, [watched(rows, **change)], MODEL, terrain=FlatTerrain(800.0), exposure_s=1 / 800)


def test_a_survey_is_vouched_for_and_half_a_survey_by_half() -> None:
    """All of the area at the height the recall fits; lines over the western part leave the east unseen."""
    whole, half = assured(survey()), assured(survey(east_to_m=-60.0))
    assert whole.share(0.9) > 0.97
    assert 0.2 < half.share(0.9) < 0.6
    east = PLANE.to_plane(*half.unseen()[0].centroid.coords[0])[0]
    assert float(east) > 10
    assert half.summary()["seen_at_all"] < 0.8


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"height_m": 140.0}, "too coarse"),
        ({"height_m": 35.0}, "so near that large ones are missed"),
    ],
)
def test_what_recall_does_not_support_is_not_said(change: dict[str, float], why: str) -> None:
    """Heights at which dumps of that size have another size in the picture than those that are found."""
    assert assured(survey(**change)).share(0.9) == 0, why


def test_another_detector_or_threshold_says_nothing() -> None:
    """Frames by other weights, or reported from a higher score on, are left out and said to be."""
    other = replace(WATCHING.model, sha256="0" * 64)
    for change in ({"model": other}, {"thresholds": {**MODEL.thresholds, "dump": 0.5}}):
        found = assured(survey(), **change)
        assert found.share(0.5) == 0
        assert (found.frames, found.left_out) == (0, len(survey()))
        assert any("do not count" in note for note in found.notes)


def test_more_hits_wanted_is_less_sure() -> None:
    """And what can be said of no ground is told."""
    once, thrice = assured(survey(), min_hits=1), assured(survey(), min_hits=3)
    assert (once.probability >= thrice.probability - 1e-9).all()
    assert once.probability.max() > thrice.probability.max()
    proud = assured(survey(), replace(QUESTION, probability=0.999))
    assert proud.share(0.999) == 0
    assert any("can be said of no ground" in note for note in proud.notes)


def test_night_and_ground_behind_buildings_is_not_vouched_for() -> None:
    """The same survey at local midnight; and a yard among walls 40 m high, seen from none of the lines."""
    night = [(row[0] + 13 * 3600, *row[1:]) for row in survey()]
    assert assured(night).share(0.5) == 0
    walls = [shapely.box(-30, -4, -26, 4), shapely.box(-22, -4, -18, 4), shapely.box(-30, 4, -18, 8)]
    walls.append(shapely.box(-30, -8, -18, -4))
    prisms = [Prism(lonlat(wall), 60.0) for wall in walls]
    found = assure(QUESTION, AREA, [watched(survey())], MODEL, terrain=FlatTerrain(800.0), prisms=prisms)
    lon, lat = PLANE.to_lonlat(-24.0, 0.0)
    cell = found.seen.cells.number_at(float(lon), float(lat))
    assert cell is not None
    assert found.poor[cell]
    assert found.summary()["built_m2"] == pytest.approx(160, rel=0.3)


def test_an_area_all_under_a_roof_is_told_as_that() -> None:
    """There is no ground to say anything of; nothing is vouched for."""
    roof = Prism(lonlat(shapely.box(-70, -70, 70, 70)), 10.0)
    found = assure(QUESTION, AREA, [watched(survey())], MODEL, terrain=FlatTerrain(800.0), prisms=[roof]).summary()
    assert (found["ground_m2"], found["share"], found["seen_at_all"], found["gsd_cm"]) == (0.0, 0.0, 0.0, None)
    assert found["built_m2"] == pytest.approx(14_400, rel=0.03)


@pytest.mark.parametrize(
    "question",
    [
        Question(kind="flooding"),
        Question(kind="nothing"),
        Question(area_m2=0.3),
        Question(area_m2=9.0, largest_m2=8.0),
        Question(largest_m2=500.0),
    ],
)
def test_what_was_not_measured_is_refused(question: Question) -> None:
    """Kinds and sizes without a measured recall."""
    with pytest.raises(InputInvalid, match="measured"):
        recall_for(question, MODEL)


def test_what_is_left_is_joined_and_stays_inside() -> None:
    """Pieces to fly again hold all poor ground but specks, and no ground outside the area."""
    half = assured(survey(east_to_m=-20.0))
    pieces = pieces_left(half, AREA)
    joined = shapely.union_all(pieces)
    assert 1 <= len(pieces) <= 3
    assert joined.difference(AREA.buffer(1e-7)).is_empty
    poor = shapely.union_all(half.unseen(least_m2=30.0))
    assert poor.difference(joined.buffer(2e-5)).area < 0.02 * poor.area


async def _flown(store: Store, mission_id: str, flight_id: str) -> None:
    """A flight of a mission, in the store."""
    values = {
        "id": flight_id, "mission_id": mission_id, "sysid": 1, "registration": "KZ-001", "stage": "done", "item": 1,
        "total": 1, "text": "", "started_utc_s": UTC_S, "path_m": 0.0,
    }  # fmt: skip
    async with store.writing() as connection:
        await connection.execute(insert(flights).values(**values))


def _sample(row: tuple[float, ...]) -> CameraPoseSample:
    utc_s, lon, lat, amsl_m, roll, pitch, yaw, east, north, up = row
    attitude = Attitude(roll_deg=roll, pitch_deg=pitch, yaw_deg=yaw)
    return CameraPoseSample(
        pose=Pose(
            utc_s=utc_s,
            position=Position(lon=lon, lat=lat, altitude=Altitude(amsl_m, Datum.AMSL)),
            attitude=attitude,
        ),
        vehicle_attitude=attitude,
        relative_altitude_m=amsl_m - 800.0,
        north_m_s=north,
        east_m_s=east,
        down_m_s=-up,
        gap_s=0.0,
        beyond_s=0.0,
    )


async def test_frames_are_written_down_and_read_as_they_were(store: Store) -> None:
    """On both back ends; a restart (another room over the same store) finds them, those still waiting are written."""
    values = {
        "id": "m-1", "name": "m", "purpose": "", "state": "done", "request": {}, "plan_version": 0, "created_by": "x",
        "created_utc_s": 0.0, "updated_utc_s": 0.0,
    }  # fmt: skip
    async with store.writing() as connection:
        await connection.execute(insert(missions).values(**values))
    await _flown(store, "m-1", "f-1")
    await _flown(store, "m-1", "f-2")
    room, rows = Exposures(store), survey()[:90]
    for row in rows:
        await room.note("f-1", WATCHING, _sample(row))
    await room.note("f-2", replace(WATCHING, min_hits=1), _sample(rows[0]))
    assert sum(len(one.frames) for one in await Exposures(store).of_mission("m-1")) == 80
    found = await room.of_mission("m-1")
    assert [(one.flight_id, len(one.frames), one.watching.min_hits) for one in found] == [("f-1", 90, 3), ("f-2", 1, 1)]
    again = (await Exposures(store).of_mission("m-1"))[0]
    expected = frames_of(LENS, rows)  # type: ignore[arg-type]
    for name in ("utc_s", "lon", "lat", "amsl_m", "enu_from_camera", "velocity_enu_m_s"):
        np.testing.assert_allclose(getattr(again.frames, name), getattr(expected, name), atol=1e-3)
    assert again.watching == WATCHING


@pytest.fixture
def dem(tmp_path: Path) -> Path:
    """Flat ground at 800 m around the area."""
    path = tmp_path / "dem.tif"
    transform = rasterio.transform.from_bounds(LON - 0.01, LAT - 0.01, LON + 0.01, LAT + 0.01, 100, 100)
    profile = {"driver": "GTiff", "width": 100, "height": 100, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", transform=transform, **profile) as raster:
        raster.write(np.full((100, 100), 800.0, np.float32), 1)
    return path


async def test_a_mission_is_told_stated_and_flown_again(tmp_path: Path, dem: Path) -> None:
    """Over HTTP: nothing before the first frame; then a map, a statement that verifies, and drafts of what is left."""
    settings = make_settings(tmp_path, terrain=TerrainSettings(dem=dem))
    async with running(settings) as service:
        client = await service.client()
        request = {
            "kind": "survey", "area": shapely.geometry.mapping(AREA), "camera": "sim-wide", "height_m": 68,
            "vehicles": [1],
        }  # fmt: skip
        mission = (await client.post("/missions", json={"name": "west", "request": request})).json()["id"]
        asked = {"area_m2": 5, "largest_m2": 25, "probability": 0.9}
        url = f"/missions/{mission}/coverage"
        assert (await client.get(url, params=asked)).status_code == 409
        rooms = service.service.rooms
        assert rooms is not None
        await _flown(rooms.store, mission, "f-1")
        for row in survey(east_to_m=-20.0):
            await rooms.exposures.note("f-1", WATCHING, _sample(row))
        told = (await client.get(url, params=asked)).json()
        assert 0.4 < told["summary"]["share"] < 0.9
        assert told["features"][0]["geometry"]["type"] == "Polygon"
        picture = await client.get(f"{url}.png", params=asked)
        (tmp_path / "map.png").write_bytes(picture.content)
        with Image.open(tmp_path / "map.png") as image:
            west, east = (image.getpixel((round(image.width * share), image.height // 2)) for share in (0.3, 0.75))
        assert west == (46, 160, 67, 200)
        assert east != west
        answer = await client.post(f"{url}/statement", json=asked)
        signed = verify(answer.content)
        assert signed.statement["share"] == told["summary"]["share"]
        assert signed.statement["flights"][0]["frames"] == len(survey(east_to_m=-20.0))
        assert signed.statement["model"]["sha256"] == MODEL.sha256
        assert set(signed.statement["words"]) == {"kk", "ru", "en"}
        again = (await client.post(f"{url}/refly", json=asked)).json()
        assert again["missions"][0]["state"] == "draft"
        left = shapely.union_all([shapely.geometry.shape(one["request"]["area"]) for one in again["missions"]])
        unseen = shapely.union_all([shapely.geometry.shape(one["geometry"]) for one in told["features"]])
        assert unseen.difference(left.buffer(2e-5)).area < 0.05 * unseen.area
        assert (await client.get(url, params={"kind": "flooding"})).status_code == 422
        history = (await client.get(f"/missions/{mission}")).json()["history"]
        assert {"coverage stated", "flown again"} <= {entry["event"] for entry in history}
        assert msgspec.json.decode(answer.content)["signature"]["algorithm"] == "Ed25519"
