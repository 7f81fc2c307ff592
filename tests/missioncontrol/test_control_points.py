"""Control points: files of OpenDroneMap, errors that are known, and ellipses that hold as often as they say."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pyproj
import pytest
from scipy.spatial.transform import Rotation

from geo.calibrations import read_calibration
from geo.geoids import HeightDatum, geoid
from geo.mountings import attitude_of, moved
from geo.poses import ENU_FROM_NED, Attitude, Pose
from geo.positions import Altitude, Datum, LocalPlane, Position
from missioncontrol.control_points import Residual, compare, read_control_points, report_of
from missioncontrol.errors import InputInvalid
from missioncontrol.locating import Ground, aim_of
from tests.missioncontrol.photographs import LENS, photograph
from tests.missioncontrol.test_cli import run

DATA = Path(os.environ.get("MC_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
LON, LAT, GROUND_M = 76.9, 43.2, 800.0
GEOID_M = float(geoid(HeightDatum.EGM96).height_m(LON, LAT))
UTM = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32643", always_xy=True)


def real(name: str) -> Path:
    path = DATA / "flight" / name
    if not path.exists():
        pytest.skip(f"no {path}")
    return path


@pytest.mark.parametrize(
    ("name", "count", "place", "named"),
    [
        ("odm_copr_gcp/gcp_list.txt", 27, (-119.880, 34.4083), "gcp02"),
        ("odm_boruszyn_gcp/gcp_list.txt", 18, (16.64, 52.77), ""),
    ],
)
def test_files_of_opendronemap(name: str, count: int, place: tuple[float, float], named: str) -> None:
    points = read_control_points(real(name))
    assert len(points) == count
    assert (points[0].lon, points[0].lat) == pytest.approx(place, abs=0.02)
    assert points[0].name == named


def test_two_ways_to_name_a_point_agree() -> None:
    """The same targets stand in a second file in degrees, as averaged GPS: metres apart at most."""
    points = read_control_points(real("odm_copr_gcp/gcp_list.txt"))
    rows = [line.split(",") for line in (real("odm_copr_gcp/GPS_average.txt")).read_text().splitlines()[1:]]
    targets = np.array([(float(lon), float(lat)) for _, lat, lon in (row for row in rows if len(row) == 3)])
    plane = LocalPlane(lon=points[0].lon, lat=points[0].lat)
    there = np.stack(plane.to_plane(*targets.T), -1)
    here = np.stack(plane.to_plane([p.lon for p in points], [p.lat for p in points]), -1)
    nearest = np.linalg.norm(there[None] - here[:, None], axis=2).min(axis=1)
    assert np.median(nearest) < 5


@pytest.mark.parametrize("crs", ["EPSG:32643", "WGS84 UTM 43N", "+proj=utm +zone=43 +datum=WGS84 +units=m +no_defs"])
def test_names_of_the_crs(tmp_path: Path, crs: str) -> None:
    x, y = UTM.transform(LON, LAT)
    path = tmp_path / "gcp_list.txt"
    path.write_text(f"{crs}\n# a remark\n\n{x:.4f} {y:.4f} 800.5 12.5 30 DJI_1.JPG north-west\n")
    (point,) = read_control_points(path)
    assert (point.lon, point.lat) == pytest.approx((LON, LAT), abs=1e-8)
    assert (point.height_m, point.pixel, point.picture, point.name) == (800.5, (12.5, 30.0), "DJI_1.JPG", "north-west")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no control points"),
        ("EPSG:32643\n", "no control points"),
        ("EPSG:32643\n1 2 3 4 5\n", "line 2"),
        ("EPSG:32643\n1 2 x 4 5 a.jpg\n", "line 2"),
        ("EPSG:32643\nnan 2 3 4 5 a.jpg\n", "line 2"),
        ("EPSG:99999\n1 2 3 4 5 a.jpg\n", "CRS"),
    ],
)
def test_what_is_no_list(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "gcp_list.txt"
    path.write_text(content)
    with pytest.raises(InputInvalid, match=said):
        read_control_points(path)


SIGMAS = {"horizontal_m": 1.2, "vertical_m": 1.5, "tilt_deg": 0.6, "yaw_deg": 2.0}


def flights(folder: Path, count: int, rng: np.random.Generator) -> Path:
    """Pictures of one point each, whose stated poses err by SIGMAS, and the list of the points."""
    lines = ["EPSG:32643"]
    for number in range(count):
        yaw_deg, pitch_deg = rng.uniform(0, 360), rng.uniform(-85, -40)
        place = Position(lon=LON, lat=LAT, altitude=Altitude(GROUND_M + 90 + GEOID_M, Datum.W84))
        truth = Pose(utc_s=0, position=place, attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=yaw_deg))
        pixel = rng.uniform([60, 150], [740, 550])
        ray = truth.enu_from_camera() @ LENS.rays_from_pixels(pixel)
        east_m, north_m = ray[:2] * (-90 / ray[2])
        aimed = moved(place, east_m=float(east_m), north_m=float(north_m), up_m=0)
        x, y = UTM.transform(aimed.lon, aimed.lat)
        turn = np.radians(rng.normal(0, [SIGMAS["tilt_deg"], SIGMAS["tilt_deg"], SIGMAS["yaw_deg"]]))
        rotation = ENU_FROM_NED.T @ Rotation.from_rotvec(turn).as_matrix() @ ENU_FROM_NED
        shift = rng.normal(0, [SIGMAS["horizontal_m"], SIGMAS["horizontal_m"], SIGMAS["vertical_m"]])
        stated = Pose(
            utc_s=0,
            position=moved(place, east_m=shift[0], north_m=shift[1], up_m=shift[2]),
            attitude=attitude_of(rotation @ truth.attitude.ned_from_body()),
        )
        photograph(folder / f"{number}.jpg", stated)
        clicked = pixel + rng.normal(0, 2.0, 2)
        lines.append(f"{x:.4f} {y:.4f} {GROUND_M} {clicked[0]:.2f} {clicked[1]:.2f} {number}.jpg p{number}")
    path = folder / "gcp_list.txt"
    path.write_text("\n".join(lines) + f"\n{x:.4f} {y:.4f} 800 5 5 absent.jpg p\n")
    return path


def test_ellipses_hold_as_often_as_they_say(tmp_path: Path) -> None:
    """By command, over 150 pictures whose poses err as their sigmas say; ground as high as the points."""
    listed = flights(tmp_path, 150, np.random.default_rng(11))
    options = [f"--sigma={name}={value}" for name, value in SIGMAS.items()]
    done = run("locate", ".", "--gcp", listed, "--dem-sigma-m", "0.01", *options, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    report = found["report"]
    assert (report["located"], report["pictures"], report["absent"]) == (150, 150, 1)
    coverage = report["inside_90"]
    assert coverage["low"] < 0.9 < coverage["high"]
    assert 0.8 < coverage["inside"] / 150 < 0.98
    assert report["ce90_m"] == pytest.approx(report["stated_ce90_m"], rel=0.35)
    assert report["ce50_m"] < report["ce90_m"]
    assert np.hypot(report["mean_east_m"], report["mean_north_m"]) < 0.6
    assert len(found["features"]) == 150
    assert {feature["properties"]["point"] for feature in found["features"]} == {f"p{number}" for number in range(150)}


def test_a_wrong_boresight_shows(tmp_path: Path) -> None:
    """With sigmas that are too small for the poses the ellipses do not hold, and the report says so."""
    listed = flights(tmp_path, 30, np.random.default_rng(12))
    aim = aim_of({"sigmas": {name: value / 5 for name, value in SIGMAS.items()}, "dem_sigma_m": 0.01})
    compared = compare(read_control_points(listed), list(tmp_path.glob("*.jpg")), None, lens=None, aim=aim)
    assert compared.report.inside_90 is not None
    assert compared.report.inside_90.high < 0.7
    assert "points in 30 pictures: CE50" in compared.report.text()


def test_what_cannot_be_located_is_said(tmp_path: Path) -> None:
    listed = flights(tmp_path, 2, np.random.default_rng(13))
    (tmp_path / "1.jpg").write_bytes(b"nothing")
    text = listed.read_text().replace(" 0.jpg p0", " 0.jpg p0\n1 2 800 9999 5 0.jpg far", 1)
    listed.write_text(text)
    done = run("locate", ".", "--gcp", listed, "--ground-amsl-m", "800", "--json", cwd=tmp_path)
    residuals = {one["name"]: one for one in json.loads(done.stdout)["report"]["residuals"]}
    assert residuals["p0"]["why"] is None
    assert "outside the picture" in residuals["far"]["why"]
    assert "not a picture" in residuals["p1"]["why"]
    none = report_of([Residual(name="a", picture="b", why="no ground")], absent=3)
    assert none.text() == "no control point was located; 3 lie in pictures that are not there; no ground"


def tie_points(folder: Path) -> list[str]:
    """Points that two pictures of a reconstruction show, triangulated from its poses: lines of a list."""
    reconstruction = json.loads((folder / "opensfm" / "reconstruction.json").read_text())[0]
    lens, shots = read_calibration(folder / "opensfm" / "reconstruction.json"), reconstruction["shots"]
    camera_from_world = {
        name: np.column_stack([Rotation.from_rotvec(shot["rotation"]).as_matrix(), shot["translation"]])
        for name, shot in shots.items()
    }
    sift = cv2.SIFT_create(1500)
    marks = {
        name: sift.detectAndCompute(cv2.imread(str(folder / "images" / f"{name}.tif"), cv2.IMREAD_GRAYSCALE), None)
        for name in shots
    }
    reference = reconstruction["reference_lla"]
    plane = LocalPlane(lon=reference["longitude"], lat=reference["latitude"])
    lines = []
    for one, other in itertools.combinations(sorted(shots), 2):
        near = cv2.BFMatcher().knnMatch(marks[one][1], marks[other][1], k=2)
        kept = [best for best, second in near if best.distance < 0.75 * second.distance]
        pixels = {
            one: np.array([marks[one][0][match.queryIdx].pt for match in kept]),
            other: np.array([marks[other][0][match.trainIdx].pt for match in kept]),
        }
        rays = {name: lens.rays_from_pixels(pixels[name]) for name in (one, other)}
        flat = [(rays[name][:, :2] / rays[name][:, 2:]).T for name in (one, other)]
        found = cv2.triangulatePoints(camera_from_world[one], camera_from_world[other], *flat)
        places = found / found[3]
        off_px = [
            np.linalg.norm(lens.pixels_from_rays((camera_from_world[name] @ places).T) - pixels[name], axis=1)
            for name in (one, other)
        ]
        for row in np.flatnonzero(np.maximum(*off_px) < 1.0):
            lon, lat = plane.to_lonlat(*places[:2, row])
            for name in (one, other):
                u, v = pixels[name][row]
                lines.append(f"{lon:.9f} {lat:.9f} {places[2, row]:.3f} {u:.2f} {v:.2f} {name}.tif {len(lines)}")
    return lines


def test_real_pictures_against_a_reconstruction_of_them(tmp_path: Path) -> None:
    """Places by RTK position and gimbal angles alone, on the surface model of the same pictures, against points that
    bundle adjustment made of them. Four pictures, and an adjustment that lies 2 m from their RTK positions: so the size
    of the errors is looked at, and the ellipses are not counted."""
    folder = real("orthority_odm")
    lines = tie_points(folder)
    assert len(lines) > 200
    listed = tmp_path / "gcp_list.txt"
    listed.write_text("\n".join(["EPSG:4326", *lines]))
    ground = Ground.of(dsm=[folder / "odm_dem" / "dsm.tif"], height_datum=HeightDatum.W84)
    pictures = sorted((folder / "images").glob("*.tif"))
    aim = aim_of({"dem_sigma_m": 1.0})
    report = compare(read_control_points(listed), pictures, ground, lens=None, aim=aim).report
    told: dict[str, Any] = msgspec.to_builtins(report)
    assert told["located"] > 0.95 * len(lines)
    assert report.pictures == 4
    assert report.ce50_m is not None
    assert report.stated_ce90_m is not None
    assert report.ce90_m is not None
    assert report.ce50_m < 4
    assert report.ce90_m < 6
    assert 3 < report.stated_ce90_m < 6
    print(report.text())
