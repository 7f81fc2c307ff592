"""A frame to an orthophoto: seconds against the peer and GDAL's warper, and agreement with the peer in place."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.warp import reproject
from run import DATA, Peers, in_turn, line, say
from scipy.spatial.transform import Rotation

from geo.cameras import BrownCamera
from geo.cogs import CogWriter
from geo.grids import Grid
from geo.location import ground_points
from geo.orthos import middle_gsd_m, ortho
from geo.poses import CAMERA_BODY_FROM_CAMERA, ENU_FROM_NED, Attitude, Pose
from geo.positions import Altitude, Datum, Position
from geo.terrain import GridTerrain

CRS = "EPSG:32643"
EAST, NORTH, CELL_M, SIDE = 657_900.0, 4_785_300.0, 2.0, 300
LENS = {"k1": -0.08, "k2": 0.02}
RUNS = 5
Image = NDArray[np.uint8]


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """12 MP, 80 m above hills, at nadir and 30 deg off it; then the peer's own frames, for agreement."""
    version = peers.ask("package_version", package="orthority")
    camera = BrownCamera(width_px=4000, height_px=3000, focal_px=3200.0, **LENS)
    with tempfile.TemporaryDirectory() as folder:
        terrain = _hills(Path(folder))
        image = _picture(Path(folder))
        for view, pitch_deg in (("nadir", -90.0), ("30 deg off nadir", -60.0)):
            pose = _pose(terrain, pitch_deg)
            yield from _against_orthority(peers, version, Path(folder), view, camera, pose, terrain)
            yield _against_gdal(view, image, camera, pose, terrain, _grid(Path(folder)))
        if (DATA / "flight" / "orthority_odm").is_dir():
            for name in ("100_0005_0018", "100_0005_0136", "100_0005_0140", "100_0005_0142"):
                _agree_odm(peers, Path(folder), name)
            _agree_ngi(peers, Path(folder))


def _against_orthority(
    peers: Peers, version: str, folder: Path, view: str, camera: BrownCamera, pose: Pose, terrain: GridTerrain
) -> Iterator[dict[str, Any]]:
    """JPEG file to JPEG GeoTIFF with a mask, bilinear, same pixels; ours has overviews too."""
    pixel_m = middle_gsd_m(camera, pose, terrain)
    asked = {
        "image": str(folder / "frame.jpg"), "dem": str(folder / "dem.tif"), "crs": CRS, "pixel_m": pixel_m,
        "camera": _theirs(camera, pose), "out": str(folder / "theirs.tif"),
    }  # fmt: skip
    spent: dict[str, list[float]] = {"wall s": [], "CPU s": []}

    def theirs() -> float:
        answer = peers.ask("orthority_ortho", **asked)
        spent["CPU s"].append(answer["cpu_seconds"])
        return float(answer["seconds"])

    cpu_s: list[float] = []

    def ours() -> float:
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        grid = _grid(folder)
        picture = cv2.cvtColor(cv2.imread(str(folder / "frame.jpg")), cv2.COLOR_BGR2RGB)
        laid = ortho(np.asarray(picture, np.uint8), camera, pose, grid, terrain)
        with CogWriter(folder / "ours.tif", grid, bands=3, alpha=True, compress="jpeg", quality=75) as writer:
            writer.write(0, 0, laid)
        cpu_s.append(time.process_time() - start_cpu_s)
        return time.perf_counter() - start_s

    theirs()  # its grid is ours too
    spent["CPU s"].clear()
    walls = in_turn(RUNS, ours, theirs)
    shifts = _shifts(folder / "ours.tif", folder / "theirs.tif")
    say(f"ortho: {view}: ours lies {_said(shifts)} from the peer's")
    for unit, (mine, other) in {"wall s": walls, "CPU s": (cpu_s[1:], spent["CPU s"][1:])}.items():
        yield line(
            job="ortho", case=f"12 MP, {view}, file to file", peer="orthority", peer_version=version, ours=mine,
            theirs=other, unit=unit, lower=True,
        )  # fmt: skip


def _against_gdal(
    view: str, image: Image, camera: BrownCamera, pose: Pose, terrain: GridTerrain, grid: Grid
) -> dict[str, Any]:
    """Array to array, one thread: ours with lens and terrain, GDAL's by a polynomial through 25 points."""
    pixels = np.stack(np.meshgrid(np.linspace(0, 3999, 5), np.linspace(0, 2999, 5)), axis=-1).reshape(-1, 2)
    points = ground_points(camera, pose, pixels, terrain)
    x, y = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform(points.lon, points.lat)
    controls = [
        GroundControlPoint(row=v + 0.5, col=u + 0.5, x=a, y=b) for (u, v), a, b in zip(pixels, x, y, strict=True)
    ]
    bands = np.ascontiguousarray(image.transpose(2, 0, 1))
    out = np.zeros((3, grid.height, grid.width), np.uint8)
    mine, other = in_turn(
        RUNS,
        lambda: _cpu_s(lambda: ortho(image, camera, pose, grid, terrain)),
        lambda: _cpu_s(
            lambda: reproject(
                bands, out, gcps=controls, src_crs=CRS, dst_transform=grid.transform, dst_crs=CRS,
                resampling=Resampling.bilinear, num_threads=1,
            )
        ),
    )  # fmt: skip
    return line(
        job="ortho", case=f"12 MP, {view}, array to array, one thread; the peer by a polynomial, no lens or terrain",
        peer="GDAL warp", peer_version=rasterio.__gdal_version__, ours=mine, theirs=other, unit="CPU s", lower=True,
    )  # fmt: skip


def _cpu_s(call: Callable[[], object]) -> float:
    start_s = time.process_time()
    call()
    return time.process_time() - start_s


def _hills(folder: Path) -> GridTerrain:
    """600 m of hills in cells of 2 m, in the CRS of the orthos, for both."""
    at = (np.arange(SIDE) + 0.5 - SIDE / 2) * CELL_M
    x, y = np.meshgrid(at, -at)
    heights = (800 + 9 * np.sin(x / 90) + 7 * np.cos(y / 70) + 0.03 * x).astype(np.float32)
    half_m = SIDE * CELL_M / 2
    transform = rasterio.Affine(CELL_M, 0, EAST - half_m, 0, -CELL_M, NORTH + half_m)
    with rasterio.open(
        folder / "dem.tif", "w", driver="GTiff", width=SIDE, height=SIDE, count=1, dtype="float32", crs=CRS,
        transform=transform,
    ) as raster:  # fmt: skip
        raster.write(heights, 1)
    return GridTerrain(heights, transform, crs=CRS, name="hills")


def _picture(folder: Path) -> Image:
    """A real photograph made 4000 x 3000 px, or seeded noise where there is none."""
    found = sorted((DATA / "flight" / "dji_brighton_beach").glob("*.JPG"))
    coarse = np.random.default_rng(3).integers(0, 255, (375, 500, 3)).astype(np.uint8)
    photo = cv2.imread(str(found[0])) if found else coarse
    image = cv2.resize(photo, (4000, 3000), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(folder / "frame.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return np.ascontiguousarray(cv2.imread(str(folder / "frame.jpg"))[..., ::-1])


def _pose(terrain: GridTerrain, pitch_deg: float) -> Pose:
    lon, lat = pyproj.Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(EAST, NORTH)
    amsl_m = float(terrain.amsl_m(lon, lat)) + 80.0
    place = Position(lon=lon, lat=lat, altitude=Altitude(amsl_m, Datum.AMSL))
    return Pose(utc_s=0.0, position=place, attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=30.0))


def _grid(folder: Path) -> Grid:
    with rasterio.open(folder / "theirs.tif") as raster:
        return Grid(raster.crs.to_wkt(), raster.transform, raster.width, raster.height)


def _grid_from_enu(crs: str, lon: float, lat: float) -> NDArray[np.float64]:
    """3 x 3 turn about the vertical from true north to the north of a projection."""
    project = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    (x, x_up), (y, y_up) = project.transform([lon, lon], [lat, lat + 1e-4])
    turn = np.arctan2(x_up - x, y_up - y)
    cos, sin = np.cos(turn), np.sin(turn)
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _theirs(camera: BrownCamera, pose: Pose) -> dict[str, Any]:
    """The same camera for the peer, whose world is the projection."""
    place = pose.position
    x, y = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform(place.lon, place.lat)
    turned = _grid_from_enu(CRS, place.lon, place.lat) @ pose.enu_from_camera() @ np.diag([1.0, -1.0, -1.0])
    return {
        "im_size": [camera.width_px, camera.height_px], "focal_len": camera.focal_px,
        "sensor_size": [camera.width_px, camera.height_px], "xyz": [x, y, place.altitude.value_m],
        "opk": Rotation.from_matrix(turned).as_euler("XYZ").tolist(), **LENS,
    }  # fmt: skip


def _ours(crs: str, given: dict[str, Any]) -> Pose:
    """The peer's exterior orientation (x, y, z, omega, phi, kappa in a projection) as a pose."""
    x, y, z = given["xyz"]
    lon, lat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    world = Rotation.from_euler("XYZ", given["opk"]).as_matrix() @ np.diag([1.0, -1.0, -1.0])
    body = ENU_FROM_NED.T @ _grid_from_enu(crs, lon, lat).T @ world @ CAMERA_BODY_FROM_CAMERA.T
    yaw, pitch, roll = Rotation.from_matrix(body).as_euler("ZYX", degrees=True)
    return Pose(
        utc_s=0.0,
        position=Position(lon=lon, lat=lat, altitude=Altitude(z, Datum.AMSL)),
        attitude=Attitude(roll_deg=roll, pitch_deg=pitch, yaw_deg=yaw),
    )


def _agree_odm(peers: Peers, folder: Path, name: str) -> None:
    data = DATA / "flight" / "orthority_odm"
    image, dem = data / "images" / f"{name}.tif", data / "odm_dem" / "dsm.tif"
    answer = peers.ask(
        "orthority_frame", image=str(image), dem=str(dem), interior=str(data / "opensfm" / "reconstruction.json"),
        exterior=str(data / "opensfm" / "reconstruction.json"), out=str(folder / "theirs.tif"), pixel_m=0.2,
    )  # fmt: skip
    _agree(folder, f"ODM {name}", image, dem, answer)


def _agree_ngi(peers: Peers, folder: Path) -> None:
    data, parameters = DATA / "flight" / "orthority_ngi", DATA / "flight" / "orthority_io"
    for image in sorted(data.glob("*RGB.tif")):
        answer = peers.ask(
            "orthority_frame", image=str(image), dem=str(data / "dem.tif"),
            interior=str(parameters / "ngi_int_param.yaml"), exterior=str(parameters / "ngi_xyz_opk.csv"),
            out=str(folder / "theirs.tif"), pixel_m=5.0,
        )  # fmt: skip
        _agree(folder, f"NGI {image.stem}", image, data / "dem.tif", answer)


def _agree(folder: Path, name: str, image: Path, dem: Path, given: dict[str, Any]) -> None:
    """Say how far our ortho lies from the peer's, px, by phase correlation of squares."""
    with rasterio.open(dem) as raster:
        heights = raster.read(1, masked=True).astype(np.float32).filled(np.nan)
        crs = pyproj.CRS(raster.crs.to_wkt())
        flat = crs.sub_crs_list[0] if crs.is_compound else crs
        terrain = GridTerrain(heights, raster.transform, crs=flat.to_wkt(), name=dem.name)
    with rasterio.open(image) as raster:
        picture = np.ascontiguousarray(raster.read([1, 2, 3]).transpose(1, 2, 0))
    lens = given["camera"]
    camera = BrownCamera(
        width_px=picture.shape[1], height_px=picture.shape[0], focal_px=lens["focal_px"],
        center_px=tuple(lens["center_px"]), **lens["distortion"],
    )  # fmt: skip
    grid = _grid(folder)
    laid = ortho(picture, camera, _ours(given["crs"], given), grid, terrain)
    with CogWriter(folder / "ours.tif", grid, bands=3, alpha=True) as writer:
        writer.write(0, 0, laid)
    say(f"ortho: {name}: ours lies {_said(_shifts(folder / 'ours.tif', folder / 'theirs.tif'))} from the peer's")


def _shifts(ours: Path, theirs: Path, side: int = 256) -> NDArray[np.float64]:
    """(n, 2) px between two orthos of one grid, square by square, where both are whole."""
    pictures, masks = [], []
    for path in (ours, theirs):
        with rasterio.open(path) as raster:
            pictures.append(raster.read([1, 2, 3]).mean(axis=0, dtype=np.float32))
            masks.append(raster.dataset_mask() > 0)
    window = cv2.createHanningWindow((side, side), cv2.CV_32F)
    whole = masks[0] & masks[1]
    found = []
    for row in range(0, whole.shape[0] - side, side):
        for col in range(0, whole.shape[1] - side, side):
            where = slice(row, row + side), slice(col, col + side)
            if whole[where].all():
                a, b = (picture[where] - picture[where].mean() for picture in pictures)
                found.append(cv2.phaseCorrelate(a, b, window)[0])
    return np.array(found).reshape(-1, 2)


def _said(shifts: NDArray[np.float64]) -> str:
    if not len(shifts):
        return "(no square of 256 px in common)"
    away = np.hypot(*shifts.T)
    east, south = np.median(shifts, axis=0)
    return (
        f"{np.median(away):.3f} px (median of {len(away)} squares, most {away.max():.3f}; bias {east:.3f}, {south:.3f})"
    )
