"""The pictures of a flight become a map that lies where the ground lies."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import rasterio
from scipy.ndimage import binary_fill_holes
from typer.testing import CliRunner

from geo import geoids
from geo.cameras import BrownCamera
from geo.geoids import HeightDatum
from geo.grids import Grid
from geo.klv import metadata_of
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from geo.terrain import FlatTerrain
from missioncontrol.cli import app
from missioncontrol.errors import AdapterUnknown, InputInvalid
from missioncontrol.mapping import MapReport, above_sea, map_to_file, reconstruct_to_file
from simulators.renderer import Renderer
from simulators.video import VideoEncoder
from simulators.world import World
from simulators.world.painting import Painter
from simulators.world.registers import write_dem

DATA = Path(os.environ.get("MC_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
PHOTOS = DATA / "flight" / "dji_brighton_beach"
LENS = BrownCamera.from_fov(width_px=480, height_px=360, hfov_deg=66.0)


@pytest.fixture(scope="module")
def world() -> World:
    return World.build(1)


@pytest.fixture(scope="module")
def dem(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dem") / "dem.tif"
    write_dem(world, path)
    return path


@pytest.fixture(scope="module")
def video(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lines of 72 m, 70 m above an open field, the camera some degrees off nadir, with ST 0601."""
    rng = np.random.default_rng(2)
    renderer = Renderer(world, LENS)
    encoder = VideoEncoder(width_px=480, height_px=360, fps=2.0, crf=14)
    path = tmp_path_factory.mktemp("video") / "flight.ts"
    amsl_m = float(world.ground_amsl_m(0.0, 0.0)) + 70.0
    with path.open("wb") as file:
        places = [(x, y) for y in (-20.0, 20.0) for x in np.arange(-36.0, 37.0, 9.0)]
        for number, (x, y) in enumerate(places):
            lon, lat = (float(each) for each in world.plane.to_lonlat(x, y))
            pose = Pose(
                utc_s=world.epoch_utc_s + number,
                position=Position(lon=lon, lat=lat, altitude=Altitude(amsl_m, Datum.AMSL)),
                attitude=Attitude(pitch_deg=-88 + rng.uniform(-2, 2), yaw_deg=80.0, roll_deg=rng.uniform(-2, 2)),
            )
            metadata = metadata_of(pose, platform=Attitude(pitch_deg=0.0, yaw_deg=80.0), hfov_deg=LENS.hfov_deg)
            file.write(encoder.encode(renderer.render(pose).image, number / 2, metadata).data)
    return path


@pytest.mark.slow
def test_a_video_becomes_a_map_of_the_ground(world: World, video: Path, dem: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = map_to_file(
        str(video), out=tmp_path / "map.tif", dem=[dem], compress="deflate",
        on_window=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert 8 < report.used < 18, "not every frame of a slow flight is needed"
    assert seen[-1][0] == seen[-1][1] == len(seen)
    assert report.gsd_cm == pytest.approx(100 * 70 / LENS.focal_px, rel=0.15)
    with rasterio.open(report.map) as raster:
        picture, mask = raster.read([1, 2, 3]).transpose(1, 2, 0), raster.dataset_mask() > 0
        grid = Grid(raster.crs.to_string(), raster.transform, raster.width, raster.height)
    assert (binary_fill_holes(mask) == mask).all(), "a hole"
    truth = _truth(world, grid)
    shifts = _shifts(picture, truth, mask)
    assert len(shifts) > 8
    bias = np.median(shifts, axis=0)
    assert np.hypot(*bias) < 0.5, "px of the map"
    assert np.median(np.hypot(*shifts.T)) < 1.0
    with rasterio.open(report.sources) as raster:
        gsd, utc, number = raster.read()
        assert ((number > 0) == mask).all()
        assert np.median(gsd[mask]) * raster.scales[0] == pytest.approx(report.gsd_cm, rel=0.05)
        assert set(np.unique(number[mask])) <= set(range(1, report.used + 1))
        assert world.epoch_utc_s <= utc[mask].min() <= utc[mask].max() < world.epoch_utc_s + 18
    frames = msgspec.json.decode(Path(report.frames).read_bytes())["features"]
    assert [frame["properties"]["frame"] for frame in frames] == list(range(1, report.used + 1))


def _truth(world: World, grid: Grid) -> np.ndarray:
    """The ground without what stands on it, as the world's painter draws it, on the grid of the map."""
    west, south, side_m, pixel_m = -130.0, -110.0, 260.0, grid.pixel_m
    drawn = Painter(world, older=False).paint(west, south, int(side_m / pixel_m), pixel_m)
    lon, lat = grid.lonlat(*np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5))
    x, y = world.plane.to_plane(lon, lat)
    cols, rows = ((x - west) / pixel_m - 0.5).astype(np.float32), ((y - south) / pixel_m - 0.5).astype(np.float32)
    return cv2.remap(drawn, cols, rows, cv2.INTER_LINEAR)


def _shifts(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray, side: int = 128) -> np.ndarray:
    """How far squares of the map lie from the truth, px, where the two look alike (phase correlation)."""
    window = cv2.createHanningWindow((side, side), cv2.CV_32F)
    ours, theirs = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(np.float32) for each in (picture, truth))
    shifts = []
    for row in range(0, mask.shape[0] - side, side):
        for col in range(0, mask.shape[1] - side, side):
            where = slice(row, row + side), slice(col, col + side)
            if mask[where].all():
                shift, likeness = cv2.phaseCorrelate(
                    ours[where] - ours[where].mean(), theirs[where] - theirs[where].mean(), window
                )
                if likeness > 0.2:
                    shifts.append(shift)
    return np.array(shifts)


def test_the_command(video: Path, dem: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    done = CliRunner().invoke(
        app, ["map", str(video), "--dem", str(dem), "--out", str(out), "--pixel-m", "1", "--json"]
    )
    assert done.exit_code == 0, done.output
    report = msgspec.json.decode(done.stdout.strip().splitlines()[-1], type=MapReport)
    assert report.pixel_m == 1.0
    with rasterio.open(out) as raster:
        assert raster.compression.value == "JPEG"
        assert raster.tags()["ACQUISITION_DATE"] == report.first_utc
    packed = CliRunner().invoke(app, ["cog", str(out), str(tmp_path / "again.tif"), "--compress", "jpeg", "--json"])
    assert packed.exit_code == 0, packed.output
    with rasterio.open(tmp_path / "again.tif") as again:
        assert again.shape == (report.height, report.width)


def test_what_cannot_be_mapped_says_why(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    bare = tmp_path / "photos"
    bare.mkdir()
    cv2.imwrite(str(bare / "plain.png"), np.zeros((8, 8, 3), np.uint8))
    for source, options, match in (
        (str(video), {}, "--dem, --ground-amsl-m"),
        (str(bare), {"ground_amsl_m": 800.0}, r"no frame has a pose that can be used: plain\.png"),
        (str(tmp_path), {"ground_amsl_m": 800.0}, "there is none at all"),
        (str(tmp_path / "x.pdf"), {"ground_amsl_m": 800.0}, "a folder of pictures, a picture or a video"),
        (str(bare), {"ground_amsl_m": 800.0, "pixel_m": 0.0}, "--pixel-m 0"),
        (str(bare), {"ground_amsl_m": 800.0, "feather": -1.0}, "--feather -1"),
        (str(bare), {"ground_amsl_m": 800.0, "feather": float("nan")}, "--feather nan"),
        (str(video), {"ground_amsl_m": 800.0, "camera": "dji-zenmuse-p1-35mm"}, "--camera"),
    ):
        with pytest.raises(InputInvalid, match=match):
            map_to_file(source, out=out, **options)
    with pytest.raises(InputInvalid, match="its name ends in"):
        map_to_file(str(bare), out=tmp_path / "map.png", ground_amsl_m=800.0)
    with pytest.raises(InputInvalid, match="no folder"):
        map_to_file(str(bare), out=tmp_path / "x" / "map.tif", ground_amsl_m=800.0)
    assert not out.exists()


@pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photographs at {PHOTOS}")
def test_photographs_become_a_map(tmp_path: Path) -> None:
    report = map_to_file(str(PHOTOS), out=tmp_path / "map.tif", ground_amsl_m=5.0, pixel_m=0.2, feather=0.02)
    assert (report.used, report.unused) == (8, {})
    assert report.covered_m2 == pytest.approx(9000, rel=0.05)
    assert report.gsd_cm is not None
    assert 1.0 < report.gsd_cm < 3.0, "of the photographs, not of the map"
    assert any("no distortion known" in note for note in report.notes)
    west, south, east, north = report.bounds
    assert west < -91.994 < east
    assert south < 46.8428 < north
    with rasterio.open(report.map) as raster:
        mask = raster.dataset_mask() > 0
    assert (binary_fill_holes(mask) == mask).all()


@pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photographs at {PHOTOS}")
def test_what_a_map_assumes_and_leaves_out_is_told_to_people(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").symlink_to(PHOTOS / "DJI_0018.JPG")
    (photos / "b.jpg").write_bytes(b"nothing")
    arguments = ["map", str(photos), "--ground-amsl-m", "183", "--pixel-m", "1", "--out", str(tmp_path / "map.tif")]
    said = " ".join(CliRunner().invoke(app, arguments).stderr.split())
    assert "unused: b.jpg:" in said
    assert "assumed: lens:" in said


def test_heights_above_the_ellipsoid_are_made_heights_above_the_sea() -> None:
    pose = Pose(
        utc_s=0.0,
        position=Position(lon=76.945, lat=43.205, altitude=Altitude(850.0, Datum.W84)),
        attitude=Attitude(pitch_deg=-90.0, yaw_deg=0.0),
    )
    altitude = above_sea(pose, FlatTerrain(800.0)).position.altitude
    assert altitude.datum is Datum.AMSL
    assert altitude.value_m == pytest.approx(float(geoids.amsl_m(850.0, 76.945, 43.205, datum=HeightDatum.W84)))
    assert abs(altitude.value_m - 850.0) > 10


async def test_a_photogrammetry_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"-")
    with pytest.raises(AdapterUnknown, match="no photogrammetry 'none'"):
        await reconstruct_to_file(str(tmp_path), out=tmp_path / "map.tif", adapter="none", url="http://127.0.0.1:9")
