"""Pixels to a DEM: points per second in batches and one by one, and how far from a march in small steps."""

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
from geo.positions import EARTH_RADIUS_M, Altitude, Datum, LocalPlane, Position
from geo.terrain import GridTerrain

Array = NDArray[np.float64]

LON, LAT = 76.945, 43.205
RASTERS = ((2.0, 500), (1.0, 2000))
"""Cell, m, and cells along the side: 1 km2 of terrain model, 4 km2 of surface model."""
LENS = {"k1": -0.08, "k2": 0.02}
RUNS, BATCH, SINGLES, MARCHED = 9, 1000, 100, 40
STEP_M = 0.1


def hills(east_m: Array, north_m: Array) -> Array:
    """Ground heights, m AMSL, of a made-up place."""
    return np.asarray(800 + 9 * np.sin(east_m / 90) + 7 * np.cos(north_m / 70) + 0.03 * east_m)


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """A nadir and an oblique frame at 80 m over hills: a thousand pixels at once, and a hundred, a call for each."""
    version = peers.ask("package_version", package="orthority")
    plane = LocalPlane(lon=LON, lat=LAT, height_m=800)
    camera = BrownCamera(width_px=1280, height_px=720, focal_px=1004.6, **LENS)
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        for cell_m, side in RASTERS:
            terrain = _terrain(plane, Path(folder), cell_m, side)
            for view, pitch_deg in (("nadir", -90.0), ("45 deg", -45.0)):
                pose = _pose(pitch_deg)
                peers.ask(
                    "orthority_scene", file=str(Path(folder) / "dem.npy"), cell_m=cell_m, camera=_theirs(camera, pose)
                )
                pixels = np.column_stack([rng.uniform(100, 1180, BATCH), rng.uniform(100, 620, BATCH)])
                where = f"{view}, DEM of {side} x {side}"
                yield _errors(peers, version, where, camera, pose, pixels[:MARCHED], terrain, plane)
                yield from _speeds(peers, version, where, camera, pose, pixels, terrain)


def _speeds(
    peers: Peers, version: str, where: str, camera: BrownCamera, pose: Pose, pixels: Array, terrain: GridTerrain
) -> Iterator[dict[str, Any]]:
    singles = [pixel[None] for pixel in pixels[:SINGLES]]

    def points(some: Array) -> object:
        return ground_points(camera, pose, some, terrain)

    def places(some: Array) -> object:
        return locate(camera, pose, some, terrain, sigmas=PoseSigmas())

    for what, call in (("", points), (", ours with error ellipses", places)):
        for count, one, ours, peer in (
            (BATCH, f"{BATCH} px at once", lambda call=call: call(pixels), "orthority_locate"),
            (SINGLES, "1 px a call", lambda call=call: [call(single) for single in singles], "orthority_single"),
        ):
            mine, theirs = _in_turn(peers, count, ours, peer, pixels[:count])
            yield line(
                job="georeference", case=f"{where}: {one}{what}", peer="orthority", peer_version=version, ours=mine,
                theirs=theirs, unit="points/s", lower=False,
            )  # fmt: skip


def _in_turn(
    peers: Peers, count: int, ours: Callable[[], object], peer: str, pixels: Array
) -> tuple[list[float], list[float]]:
    def theirs() -> float:
        return count / float(peers.ask(peer, pixels=pixels.tolist())["seconds"])

    return in_turn(RUNS, lambda: count / timed(ours), theirs)


def _terrain(plane: LocalPlane, folder: Path, cell_m: float, side: int) -> GridTerrain:
    """The hills on a raster in degrees for us and, saved, in metres for the peer; each in its own kind."""
    half_m = side * cell_m / 2
    east_m = np.arange(side) * cell_m + cell_m / 2 - half_m
    np.save(folder / "dem.npy", hills(*np.meshgrid(east_m, -east_m)))
    lon0, lat0 = (float(value) for value in plane.to_lonlat(-half_m, half_m))
    step_lon, step_lat = 2 * (LON - lon0) / side, 2 * (lat0 - LAT) / side
    lon, lat = np.meshgrid(lon0 + (np.arange(side) + 0.5) * step_lon, lat0 - (np.arange(side) + 0.5) * step_lat)
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


def _errors(
    peers: Peers, version: str, where: str, camera: BrownCamera, pose: Pose, pixels: Array, terrain: GridTerrain,
    plane: LocalPlane,
) -> dict[str, Any]:  # fmt: skip
    """Largest horizontal distance, m, from where a march by STEP_M over our raster, then halved, ends.

    RuntimeError above 1 cm.
    """
    theirs = np.array(peers.ask("orthority_locate", pixels=pixels.tolist())["places"])
    found = ground_points(camera, pose, pixels, terrain)
    mine = np.column_stack(plane.to_plane(found.lon, found.lat))
    marched = np.array([_marched(pose, ray, terrain, plane) for ray in found.directions])
    ours_m, theirs_m = (np.linalg.norm(places - marched, axis=1) for places in (mine, theirs[:, :2]))
    say(f"georeference: {where}: from the march ours at most {ours_m.max():.4f} m, theirs {theirs_m.max():.2f} m")
    if ours_m.max() > 0.01:
        raise RuntimeError(f"{ours_m.max():.3f} m from the march")
    return line(
        job="georeference", case=f"{where}: most error of {len(pixels)} px against a march by {STEP_M:g} m",
        peer="orthority", peer_version=version, ours=[float(ours_m.max())], theirs=[float(theirs_m.max())], unit="m",
        lower=True,
    )  # fmt: skip


def _marched(pose: Pose, ray: Array, terrain: GridTerrain, plane: LocalPlane) -> tuple[float, float]:
    """East and north on the plane, m, where a ray meets the ground."""

    def at(range_m: Array) -> tuple[Array, Array, Array]:
        east_m, north_m = ray[0] * range_m, ray[1] * range_m
        drop_m = (east_m**2 + north_m**2) / (2 * EARTH_RADIUS_M)
        up_m = pose.position.altitude.value_m + ray[2] * range_m + drop_m
        return east_m, north_m, up_m - terrain.amsl_m(*plane.to_lonlat(east_m, north_m))

    ranges = np.arange(0.0, 400.0, STEP_M)
    far = int(np.argmax(at(ranges)[2] <= 0))
    low, high = ranges[far - 1], ranges[far]
    for _ in range(40):
        middle = np.array([(low + high) / 2])
        low, high = (middle[0], high) if at(middle)[2][0] > 0 else (low, middle[0])
    east_m, north_m, _ = at(np.array([high]))
    return float(east_m[0]), float(north_m[0])
