"""Single pictures: pixels to places with ellipses, from files, from poses, by command and over HTTP."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
import rasterio

from geo.geoids import HeightDatum, geoid
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, LocalPlane, Position
from missioncontrol.errors import InputInvalid
from missioncontrol.locating import (
    Aim,
    Ground,
    Locator,
    Sight,
    aim_of,
    collection_of,
    frame_of_photo,
    frame_of_sight,
    pixels_of,
)
from tests.missioncontrol.conftest import make_settings, running
from tests.missioncontrol.photographs import LENS, photograph
from tests.missioncontrol.test_cli import refused, run

DATA = Path(os.environ.get("MC_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
LON, LAT, GROUND_M = 76.9, 43.2, 800.0
GEOID_M = float(geoid(HeightDatum.EGM96).height_m(LON, LAT))
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=GROUND_M)


def pose(*, pitch_deg: float = -60.0, yaw_deg: float = 30.0, above_m: float = 100.0) -> Pose:
    altitude = Altitude(GROUND_M + above_m + GEOID_M, Datum.W84)
    return Pose(
        utc_s=0.0,
        position=Position(lon=LON, lat=LAT, altitude=altitude),
        attitude=Attitude(roll_deg=2.0, pitch_deg=pitch_deg, yaw_deg=yaw_deg),
    )


def pixel_of(east_m: float, north_m: float, seen_from: Pose, ground_m: float = GROUND_M) -> tuple[float, float]:
    """Where a place about LON, LAT appears; the earth's curve included."""
    drop_m = (east_m**2 + north_m**2) / 2 / 6_371_008.8
    up_m = ground_m - (seen_from.position.altitude.value_m - GEOID_M) - drop_m
    u, v = LENS.pixels_from_rays(seen_from.enu_from_camera().T @ [east_m, north_m, up_m])
    return float(u), float(v)


def apart_m(feature: dict[str, dict[str, list[float]]], east_m: float, north_m: float) -> float:
    lon, lat, _ = feature["geometry"]["coordinates"]
    found = PLANE.to_plane(lon, lat)
    return float(np.hypot(found[0] - east_m, found[1] - north_m))


PLACES = [(30.0, 50.0), (55.0, 40.0), (10.0, 70.0)]


def test_a_photograph(tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.jpg", pose())
    ground = Ground.of(ground_amsl_m=GROUND_M)
    frame = frame_of_photo(path, ground.terrain, ground_is_flat=True)
    found = collection_of(frame, [pixel_of(*place, pose()) for place in PLACES], ground, Aim())
    for feature, place in zip(found["features"], PLACES, strict=True):
        told = feature["properties"]
        assert apart_m(feature, *place) < 0.01
        assert told["height"] == {"value_m": GROUND_M, "datum": "AMSL"}
        assert (told["ellipse"]["confidence"], told["ellipse_95"]["confidence"]) == (0.9, 0.95)
        ratio = told["ellipse_95"]["semi_major_m"] / told["ellipse"]["semi_major_m"]
        assert ratio == pytest.approx(np.sqrt(np.log(0.05) / np.log(0.1)))
        assert told["ellipse"]["semi_minor_m"] < told["ce90_m"] <= told["ellipse"]["semi_major_m"]
        assert told["le90_m"] == pytest.approx(1.645 * 2, abs=0.3)
    (picture,) = found["pictures"]
    assert "above the ellipsoid" in picture["notes"][-1]
    assert picture["position"]["altitude"] == {"value_m": pytest.approx(GROUND_M + 100, abs=0.01), "datum": "AMSL"}


def test_the_sky_has_no_place(tmp_path: Path) -> None:
    level = pose(pitch_deg=0.0)
    path, ground = photograph(tmp_path / "a.jpg", level), Ground.of(ground_amsl_m=GROUND_M)
    frame = frame_of_photo(path, ground.terrain, ground_is_flat=True)
    high, low = collection_of(frame, [(400, 20), (400, 500)], ground, Aim())["features"]
    assert high["geometry"] is None
    assert "no ground" in high["properties"]["why"]
    assert low["geometry"] is not None
    with pytest.raises(InputInvalid, match="outside the picture"):
        collection_of(frame, [(800, 20)], ground, Aim())


def test_a_surface_comes_before_the_ground(tmp_path: Path) -> None:
    """Flat ground with a roof 20 m above it, in a surface model that ends before the ground model does."""
    transform = rasterio.Affine(2e-5, 0, LON - 0.002, 0, -2e-5, LAT + 0.002)
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:4326", "transform": transform}
    for name, side, height_m in (("dem.tif", 200, GROUND_M), ("dsm.tif", 160, GROUND_M + 20)):
        with rasterio.open(tmp_path / name, "w", width=side, height=side, **profile) as raster:
            raster.write(np.full((1, side, side), height_m, np.float32))
    ground = Ground.of(dsm=[tmp_path / "dsm.tif"], dem=[tmp_path / "dem.tif"], height_datum=HeightDatum.EGM96)
    path = photograph(tmp_path / "a.jpg", pose())
    frame = frame_of_photo(path, ground.terrain, ground_is_flat=False)
    pixel = pixel_of(20.0, 40.0, pose(), GROUND_M + 20)
    (feature,) = collection_of(frame, [pixel], ground, Aim())["features"]
    assert apart_m(feature, 20.0, 40.0) < 0.02
    assert feature["geometry"]["coordinates"][2] == pytest.approx(GROUND_M + 20, abs=0.01)
    east = pose(pitch_deg=-40.0, yaw_deg=90.0)
    frame = frame_of_photo(photograph(tmp_path / "b.jpg", east), ground.terrain, ground_is_flat=False)
    (beyond,) = collection_of(frame, [pixel_of(150.0, 0.0, east)], ground, Aim())["features"]
    assert beyond["geometry"]["coordinates"][2] == pytest.approx(GROUND_M, abs=0.01)
    with pytest.raises(InputInvalid, match="--dem"):
        Ground.of()
    with pytest.raises(InputInvalid, match="--dem"):
        Ground.of(dem=[tmp_path / "dem.tif"], ground_amsl_m=3)


def test_what_is_given_replaces_what_is_usual(tmp_path: Path) -> None:
    """A measured boresight puts right a picture whose pose is wrong by it; small sigmas make small ellipses."""
    truth = pose(pitch_deg=-60.0)
    path, ground = photograph(tmp_path / "a.jpg", pose(pitch_deg=-61.5)), Ground.of(ground_amsl_m=GROUND_M)
    pixel = pixel_of(30.0, 50.0, truth)
    plain = frame_of_photo(path, ground.terrain, ground_is_flat=True)
    assert apart_m(collection_of(plain, [pixel], ground, Aim())["features"][0], 30.0, 50.0) > 2
    tree = {
        "boresight": {"pitch_deg": 1.5},
        "sigmas": {"horizontal_m": 0.02, "vertical_m": 0.03, "tilt_deg": 0.02, "yaw_deg": 0.05},
        "dem_sigma_m": 0.05,
        "pixel_sigma_px": 0.5,
    }
    aim = aim_of(tree)
    frame = frame_of_photo(path, ground.terrain, ground_is_flat=True, aim=aim)
    (feature,) = collection_of(frame, [pixel], ground, aim)["features"]
    assert apart_m(feature, 30.0, 50.0) < 0.2, "about the camera, which has some roll"
    assert feature["properties"]["ce90_m"] < 0.3
    with pytest.raises(InputInvalid, match="'yaw' is none of: horizontal_m"):
        frame_of_photo(path, ground.terrain, ground_is_flat=True, aim=aim_of({"sigmas": {"yaw": 1}}))
    with pytest.raises(InputInvalid, match="sigmas"):
        aim_of({"sigmas": {"yaw_deg": -1}})


def test_a_rolling_shutter_is_taken_into_account() -> None:
    """Flying at 20 m/s with a readout of 50 ms, the bottom row shows things from half a metre further on."""
    tree = {"shutter": {"readout_s": 0.05}, "motion": {"velocity_enu_m_s": [20.0, 0.0, 0.0]}}
    down, ground = Attitude(pitch_deg=-90, yaw_deg=0), Ground.of(ground_amsl_m=GROUND_M)
    sight = Sight(position=pose().position, attitude=down, camera="sim-wide", pixels=((640, 719),))
    (still,) = collection_of(frame_of_sight(sight), sight.pixels, ground, Aim())["features"]
    aim = aim_of(tree)
    rolled = msgspec.structs.replace(sight, aim=aim)
    (moved,) = collection_of(frame_of_sight(rolled), sight.pixels, ground, aim)["features"]
    east_m = [float(PLANE.to_plane(*one["geometry"]["coordinates"][:2])[0]) for one in (still, moved)]
    assert east_m[1] - east_m[0] == pytest.approx(20 * 0.025, abs=0.002)


def test_a_rolling_shutter_of_a_camera_that_may_stand_is_told() -> None:
    sight = Sight(position=pose().position, attitude=pose().attitude, camera="sim-wide", pixels=((640, 719),))
    tree = {"shutter": {"readout_s": 0.05}}
    (note,) = frame_of_sight(msgspec.structs.replace(sight, aim=aim_of(tree))).notes
    assert note.startswith("rolling shutter: not corrected")
    moving = aim_of(tree | {"motion": {"velocity_enu_m_s": [20.0, 0.0, 0.0]}})
    assert frame_of_sight(msgspec.structs.replace(sight, aim=moving)).notes == ()


def test_the_command_takes_the_speed_that_a_photograph_does_not_state(tmp_path: Path) -> None:
    photograph(tmp_path / "1.jpg", pose())
    place = ("locate", "1.jpg", "--ground-amsl-m", "800", "--pixel", "400,599", "--json")
    still, moved = (
        json.loads(run(*place, *more, cwd=tmp_path).stdout)["features"][0]["geometry"]["coordinates"][:2]
        for more in ((), ("--readout-s", "0.05", "--velocity-m-s", "20,0,0"))
    )
    east_m = [float(PLANE.to_plane(*one)[0]) for one in (still, moved)]
    assert east_m[1] - east_m[0] == pytest.approx(20 * 0.025, abs=0.01)


def test_pixels_are_read() -> None:
    assert pixels_of(["960,540", "1.5,2"]) == [(960.0, 540.0), (1.5, 2.0)]
    for text in ("960", "a,b", "nan,1", "1,2,3"):
        with pytest.raises(InputInvalid, match="--pixel"):
            pixels_of([text])


def test_real_photographs_are_located() -> None:
    folder = DATA / "flight" / "dji_brighton_beach"
    if not folder.exists():
        pytest.skip(f"no {folder}")
    ground = Ground.of(ground_amsl_m=185)
    frame = frame_of_photo(folder / "DJI_0018.JPG", ground.terrain, ground_is_flat=True)
    (found,) = collection_of(frame, [(2000, 1125)], ground, Aim())["features"]
    assert found["properties"]["slant_range_m"] == pytest.approx(39.8, abs=0.1)
    assert found["geometry"]["coordinates"] == pytest.approx([-91.99456, 46.842607, 185], abs=3e-6)
    assert any("above take-off" in note for note in frame.notes)


def test_the_command(tmp_path: Path) -> None:
    for number in (1, 2):
        photograph(tmp_path / f"{number}.jpg", pose(yaw_deg=30.0 * number))
    (tmp_path / "3.jpg").write_bytes(b"nothing")
    u, v = pixel_of(30.0, 50.0, pose())
    done = run(
        "locate",
        "1.jpg",
        "--pixel",
        f"{u},{v}",
        "--ground-amsl-m",
        "800",
        "--out",
        "found.geojson",
        "--json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert apart_m(found["features"][0], 30.0, 50.0) < 0.01
    assert json.loads((tmp_path / "found.geojson").read_text()) == found
    folder = json.loads(run("locate", ".", "--ground-amsl-m", "800", "--json", cwd=tmp_path).stdout)
    assert [told["picture"] for told in folder["pictures"]] == ["1.jpg", "2.jpg", "3.jpg"]
    assert "not a picture" in folder["pictures"][2]["why"]
    assert len(folder["features"]) == 2
    spoken = run("locate", "1.jpg", "--ground-amsl-m", "800", cwd=tmp_path)
    assert (spoken.returncode, spoken.stdout) == (0, "")
    assert "90 % ellipse" in spoken.stderr.replace("\n", " ")
    assert "assumed: " in spoken.stderr, "what a place hangs on is told to people too"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pixel", "1"], "--pixel '1'"),
        (["--pixel", "9999,1"], "outside the picture"),
        (["--sigma", "yaw_deg"], "--sigma"),
        (["--sigma", "yaw_deg=-1"], "--sigma 'yaw_deg=-1'"),
        (["--boresight", "1,2"], "--boresight"),
        (["--velocity-m-s", "fast"], "--velocity-m-s"),
        (["--height-datum", "NAVD88"], "--height-datum"),
        (["--camera", "sim-wide", "--calibration", "a.json"], "one of the two"),
        (["--gcp", "none.txt"], "none.txt"),
        (["--out", "none/a.json"], "no folder"),
    ],
)
def test_what_the_command_refuses(tmp_path: Path, options: list[str], said: str) -> None:
    photograph(tmp_path / "1.jpg", pose())
    assert said in refused("locate", "1.jpg", "--ground-amsl-m", "800", *options, cwd=tmp_path, code=2)


def test_a_service_without_terrain_needs_the_height_of_the_ground() -> None:
    sight = Sight(position=pose().position, attitude=pose().attitude, camera="sim-wide", pixels=((640, 360),))
    with pytest.raises(InputInvalid, match="ground_amsl_m"):
        Locator(None).of_sight(sight)


async def test_over_http(tmp_path: Path) -> None:
    content = photograph(tmp_path / "a.jpg", pose()).read_bytes()
    u, v = pixel_of(30.0, 50.0, pose())
    place = pose().position
    sight = {
        "position": {
            "lon": place.lon,
            "lat": place.lat,
            "altitude": {"value_m": place.altitude.value_m, "datum": "W84"},
        },
        "attitude": {"roll_deg": 2.0, "pitch_deg": -60.0, "yaw_deg": 30.0},
        "camera": {"width_px": 800, "height_px": 600, "focal_px": 650.0, "k1": -0.06, "k2": 0.01},
        "pixels": [[u, v], [400, 300]],
        "ground_amsl_m": GROUND_M,
        "aim": {"sigmas": {"yaw_deg": 1.0}},
    }
    async with running(make_settings(tmp_path)) as house:
        client = await house.client()
        answer = await client.post(
            "/locate/photo", content=content, params={"pixel": [f"{u},{v}"], "ground_amsl_m": 800}
        )
        assert answer.status_code == 200, answer.text
        assert apart_m(answer.json()["features"][0], 30.0, 50.0) < 0.01
        answer = await client.post("/locate", json=sight)
        assert answer.status_code == 200, answer.text
        assert apart_m(answer.json()["features"][0], 30.0, 50.0) < 0.01
        assert len(answer.json()["features"]) == 2
        for path, body, said in (
            ("/locate", {"json": {**sight, "camera": "sim-wid"}}, "sim-wide"),
            ("/locate", {"json": {**sight, "pixels": [[9999, 1]]}}, "outside the picture"),
            ("/locate", {"json": {**sight, "ground_amsl_m": None}}, "no terrain"),
            ("/locate", {"json": {**sight, "ground_amsl_m": 1e300}}, "from -600 to 9200 m"),
            ("/locate/photo?ground_amsl_m=nan", {"content": content}, "ground at nan m"),
            ("/locate/photo", {"content": b"nothing"}, "no terrain"),
            ("/locate/photo?ground_amsl_m=800", {"content": b"nothing"}, "photo: not a picture"),
            ("/locate/photo?ground_amsl_m=800&name=..", {"content": b"nothing"}, "..: not a picture"),
            ("/locate/photo?ground_amsl_m=800&aim=[", {"content": content}, "aim: "),
        ):
            refusal = await client.post(path, **body)  # type: ignore[arg-type]
            assert refusal.status_code == 422, refusal.text
            assert said in refusal.json()["detail"]
        for wrong in ({"size_px": [0, 0]}, {"camera": {**sight["camera"], "k4": -1e308}}):  # type: ignore[dict-item]
            refusal = await client.post("/locate", json={**sight, **wrong})
            assert refusal.status_code == 400, refusal.text
