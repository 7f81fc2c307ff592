"""Pixels to a DEM: points per second, and agreement with the peer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from run import Peers, in_turn, line, say, timed
from scipy.spatial.transform import Rotation

from geo.cameras import BrownCamera
from geo.location import ground_points, locate
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import GridTerrain

LON, LAT, CELL_M, SIDE = 76.945, 43.205, 2.0, 500
LENS = {"k1": -0.08, "k2": 0.02}
RUNS = 9


def hills(east_m: NDArray[np.float64], north_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ground heights, m AMSL, of a made-up place."""
    return np.asarray(800 + 9 * np.sin(east_m / 90) + 7 * np.cos(north_m / 70) + 0.03 * east_m)


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """A nadir and an oblique frame at 80 m over hills of 2 m cells, one pixel and a thousand."""
    version = peers.ask("package_version", package="orthority")
    plane = LocalPlane(lon=LON, lat=LAT, height_m=800)
    camera = BrownCamera(width_px=1280, height_px=720, focal_px=1004.6, **LENS)
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        terrain = _terrain(plane, Path(folder))
        for view, pitch_deg in (("nadir", -90.0), ("oblique 45 deg", -45.0)):
            pose = _pose(pitch_deg)
            peers.ask(
                "orthority_scene", file=str(Path(folder) / "dem.npy"), cell_m=CELL_M, camera=_theirs(camera, pose)
            )
            for count in (1, 1000):
                pixels = np.column_stack([rng.uniform(100, 1180, count), rng.uniform(100, 620, count)])
                _agree(peers, camera, pose, pixels, terrain, plane)
                yield _compare(peers, version, f"{view}, {count} px", count, pixels, lambda pose=pose, pixels=pixels: (
                    ground_points(camera, pose, pixels, terrain)
                ))  # fmt: skip
                yield _compare(
                    peers, version, f"{view}, {count} px, ours with error ellipses", count, pixels,
                    lambda pose=pose, pixels=pixels: locate(camera, pose, pixels, terrain, sigmas=PoseSigmas()),
                )  # fmt: skip


def _compare(
    peers: Peers, version: str, case: str, count: int, pixels: NDArray[np.float64], ours: Callable[[], object]
) -> dict[str, Any]:
    def theirs() -> float:
        return count / float(peers.ask("orthority_locate", pixels=pixels.tolist())["seconds"])

    mine, other = in_turn(RUNS, lambda: count / timed(ours), theirs)
    return line(
        job="georeference", case=case, peer="orthority", peer_version=version, ours=mine, theirs=other, unit="points/s",
        lower=False,
    )  # fmt: skip


def _terrain(plane: LocalPlane, folder: Path) -> GridTerrain:
    """The hills on a raster in degrees for us and, saved, in metres for the peer; each in its own kind."""
    half_m = SIDE * CELL_M / 2
    east_m = np.arange(SIDE) * CELL_M + CELL_M / 2 - half_m
    np.save(folder / "dem.npy", hills(*np.meshgrid(east_m, -east_m)))
    lon0, lat0 = (float(value) for value in plane.to_lonlat(-half_m, half_m))
    step_lon, step_lat = 2 * (LON - lon0) / SIDE, 2 * (lat0 - LAT) / SIDE
    lon, lat = np.meshgrid(lon0 + (np.arange(SIDE) + 0.5) * step_lon, lat0 - (np.arange(SIDE) + 0.5) * step_lat)
    return GridTerrain(
        hills(*plane.to_plane(lon, lat)), rasterio.Affine(step_lon, 0, lon0, 0, -step_lat, lat0), name="hills"
    )


def _pose(pitch_deg: float) -> Pose:
    place = Position(lon=LON, lat=LAT, altitude=Altitude(885.0, Datum.AMSL))
    return Pose(utc_s=0.0, position=place, attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=30.0))


def _theirs(camera: BrownCamera, pose: Pose) -> dict[str, Any]:
    """The same camera for the peer: its world is our plane, its angles are omega, phi, kappa (PATB)."""
    opk = Rotation.from_matrix(pose.enu_from_camera() @ np.diag([1.0, -1.0, -1.0])).as_euler("XYZ")
    return {
        "im_size": [camera.width_px, camera.height_px], "focal_len": camera.focal_px,
        "sensor_size": [camera.width_px, camera.height_px], "xyz": [0.0, 0.0, pose.position.altitude.value_m],
        "opk": opk.tolist(), **LENS,
    }  # fmt: skip


def _agree(
    peers: Peers, camera: BrownCamera, pose: Pose, pixels: NDArray[np.float64], terrain: GridTerrain, plane: LocalPlane
) -> None:
    """Say how far the two lie apart; RuntimeError if that is more than the peer's step of one cell."""
    theirs = np.array(peers.ask("orthority_locate", pixels=pixels.tolist())["places"])
    ours = ground_points(camera, pose, pixels, terrain)
    east_m, north_m = plane.to_plane(ours.lon, ours.lat)
    apart_m = np.hypot(theirs[:, 0] - east_m, theirs[:, 1] - north_m)
    say(f"georeference: apart median {np.median(apart_m):.2f} m, most {apart_m.max():.2f} m (the peer steps by {CELL_M:g} m)")
    if apart_m.max() > 2 * CELL_M:
        raise RuntimeError(f"the two disagree by {apart_m.max():.1f} m")
