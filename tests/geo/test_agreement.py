"""Agreement with others over real frames: cameras to a hundredth of a pixel, places on the ground to a centimetre.

The judges work in Cartesian axes about the camera, where a ray is a straight line and nothing is projected: OpenSfM's
formulas, written once more, and orthority itself where the peers of the benchmarks are installed. Sea level is the
ellipsoid raised by the geoid at the camera, for both sides.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from geo.calibrations import Lens, read_calibration
from geo.cameras import BrownCamera
from geo.errors import TerrainMissing
from geo.fisheye import FisheyeCamera
from geo.geoids import HeightDatum, geoid
from geo.location import ground_points
from geo.mountings import attitude_of
from geo.poses import CAMERA_BODY_FROM_CAMERA, ENU_FROM_NED, Pose
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import GridTerrain
from tests.geo.test_calibrations import opensfm_pixels

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("MC_DATA", ROOT.parent / "shared" / "data"))
PEERS = Path(os.environ.get("MC_PEERS", ROOT / ".venv-bench")) / "bin" / "python"
CARTESIAN = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


@dataclass(frozen=True)
class Shot:
    """One real frame over its terrain."""

    name: str
    lens: Lens
    pose: Pose
    terrain: GridTerrain
    camera: dict[str, Any]
    """As the judge has it."""


def pose_of(enu_from_camera: NDArray[np.float64], lon: float, lat: float, altitude: Altitude) -> Pose:
    attitude = attitude_of(ENU_FROM_NED @ enu_from_camera @ CAMERA_BODY_FROM_CAMERA.T)
    return Pose(utc_s=0, position=Position(lon=lon, lat=lat, altitude=altitude), attitude=attitude)


def odm_shots() -> list[Shot]:
    """OpenDroneMap's poses of four oblique frames from 100 m, over its surface model of 0.8 m cells."""
    folder = DATA / "flight" / "orthority_odm"
    if not folder.exists():
        pytest.skip(f"no {folder}")
    tree = json.loads((folder / "opensfm" / "reconstruction.json").read_text())[0]
    lens = read_calibration(folder / "opensfm" / "reconstruction.json")
    plane = LocalPlane(lon=tree["reference_lla"]["longitude"], lat=tree["reference_lla"]["latitude"])
    terrain = GridTerrain.from_file(folder / "odm_dem" / "dsm.tif", height_datum=HeightDatum.W84)
    shots = []
    for name, shot in tree["shots"].items():
        enu_from_camera = Rotation.from_rotvec(shot["rotation"]).as_matrix().T
        east_m, north_m, up_m = -enu_from_camera @ shot["translation"]
        lon, lat = (float(part) for part in plane.to_lonlat(east_m, north_m))
        pose = pose_of(enu_from_camera, lon, lat, Altitude(float(up_m), Datum.W84))
        shots.append(Shot(name, lens, pose, terrain, next(iter(tree["cameras"].values()))))
    return shots


def ngi_shots() -> list[Shot]:
    """A national survey's poses of four frames from 5 km, over its model of 24 m cells, heights above EGM2008, which
    serves as EGM96 here: both sides get the same."""
    folder = DATA / "flight" / "orthority_ngi"
    if not folder.exists():
        pytest.skip(f"no {folder}")
    to_lonlat = pyproj.Transformer.from_crs("+proj=tmerc +lon_0=25 +datum=WGS84", "EPSG:4326", always_xy=True)
    opened = GridTerrain.from_file(folder / "dem.tif")
    opened.height_datum = HeightDatum.EGM96
    figures = {"width_px": 640, "height_px": 1152, "focal_px": 120 / 92.16 * 640}
    lens = BrownCamera(**figures)  # type: ignore[arg-type]
    shots = []
    for line in (folder / "camera_pos_ori.txt").read_text().splitlines():
        name, *numbers = line.split()
        x, y, z, omega, phi, kappa = map(float, numbers)
        lon, lat = to_lonlat.transform(x, y)
        turn = Rotation.from_euler("XYZ", [omega, phi, kappa], degrees=True).as_matrix() @ np.diag([1.0, -1.0, -1.0])
        camera = {"projection_type": "perspective", "width": 640, "height": 1152, "focal": 120 / 92.16 * 640 / 1152}
        shots.append(Shot(name, lens, pose_of(turn, lon, lat, Altitude(z, Datum.AMSL)), opened, camera))
    return shots


SHOTS = {"odm": odm_shots, "ngi": ngi_shots}


def pixels_of(shot: Shot, count: int = 400) -> NDArray[np.float64]:
    """Pixels all over a frame."""
    lens = shot.lens
    return np.random.default_rng(8).uniform([0, 0], [lens.width_px - 1, lens.height_px - 1], (count, 2))


def places_of(shot: Shot, pixels: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which pixels lie on the model, and their places in Cartesian axes about the camera: east, north, up (m)."""
    hit, rows = np.zeros(len(pixels), bool), []
    for number, pixel in enumerate(pixels):
        try:
            rows.append(ground_points(shot.lens, shot.pose, [pixel], shot.terrain, max_range_m=12_000.0))
        except TerrainMissing:  # the models end within some frames
            continue
        hit[number] = rows[-1].hit[0]
        if not hit[number]:
            rows.pop()
    lon, lat, amsl_m = (np.concatenate([getattr(row, name) for row in rows]) for name in ("lon", "lat", "amsl_m"))
    assert np.abs(shot.terrain.amsl_m(lon, lat) - amsl_m).max() < 0.002
    place = shot.pose.position
    geoid_m = float(geoid(HeightDatum.EGM96).height_m(place.lon, place.lat))
    eye_m = place.altitude.value_m + (geoid_m if place.altitude.datum is Datum.AMSL else 0.0)
    above_m = amsl_m + geoid_m
    eye = np.array(CARTESIAN.transform(place.lon, place.lat, eye_m))
    away = np.stack(CARTESIAN.transform(lon, lat, above_m), -1) - eye
    lam, phi = np.radians([place.lon, place.lat])
    east = [-np.sin(lam), np.cos(lam), 0.0]
    north = [-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)]
    up = [np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)]
    return hit, away @ np.array([east, north, up]).T


@pytest.mark.parametrize("which", list(SHOTS))
def test_places_are_where_the_formulas_see_them(which: str) -> None:
    """The judge's own projection of each place gives the pixel back, and a place there is within a centimetre."""
    for shot in SHOTS[which]():
        pixels = pixels_of(shot)
        hit, places = places_of(shot, pixels)
        assert hit.sum() > 100
        rays = places @ shot.pose.enu_from_camera()
        off_px = np.linalg.norm(opensfm_pixels(shot.camera, rays) - pixels[hit], axis=1)
        per_px_m = np.linalg.norm(places, axis=1) / shot.lens.focal_px
        assert off_px.max() < 0.1
        assert (off_px * per_px_m).max() < 0.01, f"{shot.name}: {(off_px * per_px_m).max():.4f} m"


PEER = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
import orthority
told = json.load(sys.stdin)
camera = getattr(orthority.camera, told.pop("kind"))(**told["camera"])
answer = {"version": __import__("importlib.metadata", fromlist=["version"]).version("orthority")}
pixels = np.array(told["pixels"]).T
answer["pixels"] = camera.world_to_pixel(np.array(told["places"]).T).T.tolist()
places = camera.pixel_to_world_z(pixels, np.array(told["heights"]))
answer["places"] = places.T.tolist()
answer["back_px"] = np.linalg.norm(camera.world_to_pixel(places) - pixels, axis=0).tolist()
json.dump(answer, sys.stdout)
"""


def peer(lens: Lens, enu_from_camera: NDArray[np.float64], **asked: Any) -> dict[str, Any]:
    """What orthority says of a camera at the origin."""
    if not PEERS.exists():
        pytest.skip(f"no {PEERS}: `make bench` installs the peers")
    longer = max(lens.width_px, lens.height_px)
    middle = np.array([lens.width_px - 1, lens.height_px - 1]) / 2
    across, down = (np.array(lens.center_px) - middle) / longer
    kind = "FisheyeCamera" if isinstance(lens, FisheyeCamera) else "OpenCVCamera" if lens.k4 else "BrownCamera"
    names = lens.distortion if kind != "BrownCamera" else ("k1", "k2", "p1", "p2", "k3")
    camera = {
        "im_size": [lens.width_px, lens.height_px],
        "focal_len": [lens.focal_px, lens.focal_y_px],
        "sensor_size": [lens.width_px, lens.height_px],
        "cx": across,
        "cy": down,
        "xyz": [0.0, 0.0, 0.0],
        "opk": Rotation.from_matrix(enu_from_camera @ np.diag([1.0, -1.0, -1.0])).as_euler("XYZ").tolist(),
        **{name: lens.distortion[name] for name in names},
    }
    told = json.dumps({"kind": kind, "camera": camera, **asked})
    done = subprocess.run([PEERS, "-c", PEER], input=told, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


FIGURES = {"width_px": 4000, "height_px": 3000, "focal_px": 2900.0, "focal_y_px": 2880.0, "center_px": (2010.0, 1480.0)}
BROWN = {"k1": -0.2, "k2": 0.09, "p1": 0.0007, "p2": -0.0004, "k3": -0.02}
LENSES = {
    "brown": BrownCamera(**FIGURES, **BROWN),  # type: ignore[arg-type]
    "rational": BrownCamera(**FIGURES, **BROWN, k4=0.02, k5=-0.01, k6=0.003),  # type: ignore[arg-type]
    "fisheye": FisheyeCamera(**FIGURES | {"focal_px": 1500.0, "focal_y_px": 1490.0}, k1=-0.02, k2=0.003, k3=-0.001),  # type: ignore[arg-type]
}


def agree(what: str, said: dict[str, Any], pixels: NDArray[np.float64], places: NDArray[np.float64]) -> None:
    """Its pixels of our places are ours to 0.1 px, and its places of our pixels are ours to 1 cm: of the pixels that it
    finds again from its own places, since its undistortion stops after a few rounds (0.4 m short in corners)."""
    off_px = np.linalg.norm(np.array(said["pixels"]) - pixels, axis=1)
    kept = np.array(said["back_px"]) < 1e-3
    off_m = np.linalg.norm(np.array(said["places"]) - places, axis=1)
    print(
        f"{what}, orthority {said['version']}: {off_px.max():.1e} px over {len(pixels)} pixels, "
        f"{off_m[kept].max():.1e} m over the {kept.sum()} that it finds again, {off_m.max():.1e} m over all"
    )
    assert off_px.max() < 0.1
    assert kept.sum() > 50
    assert off_m[kept].max() < 0.01


@pytest.mark.parametrize("name", list(LENSES))
def test_cameras_of_orthority(name: str) -> None:
    """Three kinds of lenses, oblique from 100 m: places to pixels, and pixels to places at given heights."""
    lens = LENSES[name]
    turn = Rotation.from_euler("ZX", [25.0, 150.0], degrees=True).as_matrix()
    pixels = np.random.default_rng(9).uniform([5, 5], [3994, 2994], (300, 2))
    pixels = pixels[lens.rays_from_pixels(pixels)[:, 2] > 0.2]
    rays = lens.rays_from_pixels(pixels) @ turn.T
    low = rays[:, 2] < -0.2
    heights = np.random.default_rng(10).uniform(-110, -90, low.sum())
    places = rays[low] * (heights / rays[low, 2])[:, None]
    said = peer(lens, turn, places=places.tolist(), pixels=pixels[low].tolist(), heights=heights.tolist())
    agree(name, said, pixels[low], places)


@pytest.mark.parametrize("which", list(SHOTS))
def test_places_of_orthority(which: str) -> None:
    """Real frames: at the heights where our rays meet the model, orthority has the same places."""
    shot = SHOTS[which]()[0]
    pixels = pixels_of(shot, 300)
    hit, places = places_of(shot, pixels)
    asked = {"pixels": pixels[hit].tolist(), "heights": places[:, 2].tolist()}
    said = peer(shot.lens, shot.pose.enu_from_camera(), places=places.tolist(), **asked)
    agree(which, said, pixels[hit], places)
