"""A photograph laid on an orthophoto: `missioncontrol locate --reference`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import Geod
from typer.testing import CliRunner

from geo.cameras import BrownCamera
from geo.location import ground_points
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from geo.references import Reference
from geo.terrain import GridTerrain
from missioncontrol.cli import app
from simulators.renderer import Renderer
from simulators.world import World
from simulators.world.painting import Painter

WIDTH_PX, HEIGHT_PX, FOCAL_PX = 960, 640, 760.0
MIDDLE_M, HALF_M, M_PX = (150.0, -80.0), 180.0, 0.25
PIXEL = (700.0, 420.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a photograph whose yaw is 2 deg off, the terrain, and orthophotos of here and of elsewhere."""
    folder = tmp_path_factory.mktemp("place")
    world = World.build(11)
    lon, lat = world.plane.to_lonlat([MIDDLE_M[0] - 400, MIDDLE_M[0] + 400], [MIDDLE_M[1] - 400, MIDDLE_M[1] + 400])
    transform = rasterio.transform.from_bounds(lon[0], lat[0], lon[1], lat[1], 160, 160)
    heights = world.ground_amsl_m(
        *world.plane.to_plane(*(transform @ np.meshgrid(np.arange(160) + 0.5, np.arange(160) + 0.5)))
    )
    write(folder / "dem.tif", heights.astype(np.float32)[..., None], transform, "EPSG:4326")
    scale = 1 + world.plane.height_m / 6_371_008.8
    crs = f"+proj=tmerc +lon_0={world.plane.lon} +lat_0={world.plane.lat} +k_0={scale} +ellps=WGS84"
    west, south, size = MIDDLE_M[0] - HALF_M, MIDDLE_M[1] - HALF_M, int(2 * HALF_M / M_PX)
    grid = rasterio.Affine(M_PX, 0, west, 0, -M_PX, south + 2 * HALF_M)
    write(folder / "here.tif", Painter(world, older=True).paint(west, south, size, M_PX)[::-1], grid, crs)
    elsewhere = Painter(world, older=True).paint(-700.0, 400.0, size, M_PX)[::-1]
    write(folder / "elsewhere.tif", elsewhere, grid, crs)
    camera = BrownCamera(width_px=WIDTH_PX, height_px=HEIGHT_PX, focal_px=FOCAL_PX)
    at_lon, at_lat = world.plane.to_lonlat(*MIDDLE_M)
    height_m = float(world.ground_amsl_m(*MIDDLE_M)) + 90
    pose = Pose(
        utc_s=world.epoch_utc_s + 30,
        position=Position(lon=float(at_lon), lat=float(at_lat), altitude=Altitude(height_m, Datum.AMSL)),
        attitude=Attitude(pitch_deg=-75.0, yaw_deg=40.0),
    )
    picture = Image.fromarray(Renderer(world, camera).render(pose).image)
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description '
        f'drone-dji:GpsLatitude="{float(at_lat):.8f}" drone-dji:GpsLongitude="{float(at_lon):.8f}" '
        'drone-dji:RelativeAltitude="+90.0" drone-dji:GimbalPitchDegree="-75" drone-dji:GimbalYawDegree="42" '
        'drone-dji:GimbalRollDegree="0" drone-dji:DewarpFlag="0" '
        f'drone-dji:DewarpData="2020-01-01;{FOCAL_PX},{FOCAL_PX},0.0,0.0,0.0,0.0,0.0,0.0,0.0"/></x:xmpmeta>'
    )
    picture.save(folder / "photo.jpg", quality=92, xmp=xmp.encode())
    terrain = GridTerrain.from_file(folder / "dem.tif")
    true = ground_points(camera, pose, [PIXEL], terrain)
    (folder / "truth.json").write_text(json.dumps([float(true.lon[0]), float(true.lat[0])]))
    return folder


def write(path: Path, picture: np.ndarray, transform: rasterio.Affine, crs: str) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", width=picture.shape[1], height=picture.shape[0], count=picture.shape[2],
        dtype=picture.dtype, crs=crs, transform=transform,
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(picture, -1, 0))


def located(place: Path, *more: str) -> tuple[float, dict[str, object]]:
    """How far off the place is, m, and the picture's notes."""
    arguments = [
        "locate",
        str(place / "photo.jpg"),
        "--pixel",
        f"{PIXEL[0]},{PIXEL[1]}",
        "--dem",
        str(place / "dem.tif"),
    ]
    done = CliRunner().invoke(app, [*arguments, "--json", *more])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    lon, lat = found["features"][0]["geometry"]["coordinates"][:2]
    true = json.loads((place / "truth.json").read_text())
    return Geod(ellps="WGS84").inv(lon, lat, *true)[2], found["pictures"][0]


def test_an_orthophoto_takes_the_error_of_the_heading_away(place: Path) -> None:
    before_m, _ = located(place)
    after_m, picture = located(place, "--reference", str(place / "here.tif"))
    assert before_m > 0.8
    assert after_m < before_m / 4
    assert "laid on" in str(picture["notes"])


def test_a_picture_that_does_not_fit_stays_where_it_was_and_says_why(place: Path) -> None:
    before_m, _ = located(place)
    after_m, picture = located(place, "--reference", str(place / "elsewhere.tif"))
    assert after_m == pytest.approx(before_m)
    assert "not laid on" in str(picture["notes"])


@pytest.mark.parametrize(("dtype", "scale", "offset"), [("uint16", 40.0, 3000.0), ("float32", 1 / 255, 0.0)])
def test_an_orthophoto_of_other_numbers_than_8_bit_is_laid_on_too(
    place: Path, dtype: str, scale: float, offset: float
) -> None:
    with rasterio.open(place / "here.tif") as raster:
        cells, grid, crs = np.moveaxis(raster.read(), 0, -1), raster.transform, raster.crs.to_wkt()
    write(place / "deep.tif", (cells * scale + offset).astype(dtype), grid, crs)
    after_m, picture = located(place, "--reference", str(place / "deep.tif"))
    assert "laid on" in str(picture["notes"])
    assert "not laid on" not in str(picture["notes"])
    assert after_m < 0.3


def test_a_pose_that_is_said_to_be_exact_is_no_division_by_0(place: Path) -> None:
    exact = [part for name in ("tilt_deg", "vertical_m") for part in ("--sigma", f"{name}=0")]
    _, picture = located(place, "--reference", str(place / "here.tif"), *exact)
    assert "laid on" in str(picture["notes"])


def test_what_is_unknown_of_an_orthophoto_is_not_compared(place: Path) -> None:
    with rasterio.open(place / "here.tif") as raster:
        cells, grid, crs = np.moveaxis(raster.read(), 0, -1), raster.transform, raster.crs.to_wkt()
    write(place / "blank.tif", np.full_like(cells, 7), grid, crs)
    with rasterio.open(place / "blank.tif", "r+") as raster:
        raster.nodata = 7
    rows, columns = np.mgrid[100.5:110.5, 200.5:220.5]
    for name, known in (("blank.tif", False), ("here.tif", True)):
        assert (Reference(place / name).drawn(columns, rows, 1.0)[1] == known).all()
