"""A frame laid on the ground shows each place where it lies."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray

from geo.cameras import BrownCamera
from geo.errors import DatumUnknown, NoGround, RasterInvalid, TerrainMissing
from geo.footprint import footprint
from geo.grids import Grid, utm_of
from geo.location import ground_points
from geo.orthos import Eye, Ground, grid_of, hide, middle_gsd_m, ortho
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import FlatTerrain, GridTerrain, Terrain

LON, LAT = 76.945, 43.205
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=800.0)
LENS = BrownCamera(width_px=240, height_px=180, focal_px=190.0, k1=-0.12, k2=0.03, p1=0.001)


def colours(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the ground looks like: waves of 20 to 35 m."""
    x, y = PLANE.to_plane(lon, lat)
    waves = (np.sin(x / 4 + y / 9), np.cos(y / 5), np.sin(x / 6 - y / 4))
    return np.stack([127 + 100 * wave for wave in waves], axis=-1)


def hills(cell_m: float = 4.0, tower_m: float = 0.0) -> GridTerrain:
    """1 km of rolling ground; a block of 30 m in its middle if asked for."""
    size = int(1000 / cell_m)
    x, y = np.meshgrid((np.arange(size) - size / 2 + 0.5) * cell_m, (size / 2 - np.arange(size) - 0.5) * cell_m)
    heights = 800 + 8 * np.sin(x / 60) + 6 * np.cos(y / 45)
    heights[(np.abs(x) < 15) & (np.abs(y) < 15)] += tower_m
    lon, lat = (float(each) for each in PLANE.to_lonlat(-500.0, 500.0))
    transform = rasterio.Affine((LON - lon) * 2 / size, 0, lon, 0, (LAT - lat) * 2 / size, lat)
    return GridTerrain(heights, transform, name="hills")


def pose(above_m: float = 900.0, pitch_deg: float = -90.0, yaw_deg: float = 35.0, datum: Datum = Datum.AMSL) -> Pose:
    place = Position(lon=LON, lat=LAT, altitude=Altitude(above_m, datum))
    return Pose(utc_s=0.0, position=place, attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=yaw_deg, roll_deg=3.0))


def frame(camera: BrownCamera, where: Pose, terrain: Terrain) -> NDArray[np.uint8]:
    """The picture, each pixel followed to the ground by `ground_points`."""
    u, v = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
    points = ground_points(camera, where, np.column_stack([u.ravel(), v.ravel()]), terrain)
    seen = np.zeros((len(points.lon), 3))
    seen[points.hit] = colours(points.lon[points.hit], points.lat[points.hit])
    return seen.reshape(camera.height_px, camera.width_px, 3).round().astype(np.uint8)


@pytest.mark.parametrize("pitch_deg", [-90.0, -60.0, -50.0])
def test_each_place_shows_its_own_colour(pitch_deg: float) -> None:
    terrain, where = hills(), pose(pitch_deg=pitch_deg)
    grid = grid_of(LENS, where, terrain, pixel_m=0.5)
    laid = ortho(frame(LENS, where, terrain), LENS, where, grid, terrain)
    lon, lat = grid.lonlat(*np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5))
    seen = laid[..., 3] == 255
    assert seen.mean() > 0.25
    wrong = np.abs(laid[..., :3][seen] - colours(lon, lat)[seen])
    assert wrong.mean() < 1.5, "a shift of half a pixel gives 5 and more"


def test_what_is_seen_is_the_footprint_and_no_more() -> None:
    terrain, where = hills(), pose(pitch_deg=-55.0)
    grid = grid_of(LENS, where, terrain, pixel_m=0.5)
    wide = grid.part(-200, -200, grid.height + 400, grid.width + 400)
    laid = ortho(np.full((180, 240, 3), 9, np.uint8), LENS, where, wide, terrain)
    outline = footprint(LENS, where, terrain)
    lon, lat = wide.lonlat(*np.meshgrid(np.arange(wide.width) + 0.5, np.arange(wide.height) + 0.5))
    inside = shapely.contains_xy(outline, lon, lat)
    assert (laid[..., 3] > 0)[inside].mean() > 0.97
    assert (laid[..., 3] > 0)[~inside].mean() < 0.004


def test_a_lens_that_folds_back_far_out_shows_nothing_twice() -> None:
    folding = BrownCamera(width_px=240, height_px=180, focal_px=190.0, k1=-0.35)
    where = pose()
    grid = Grid.over(LON - 0.01, LAT - 0.01, LON + 0.01, LAT + 0.01, pixel_m=2.0)
    laid = ortho(np.full((180, 240, 3), 9, np.uint8), folding, where, grid, FlatTerrain(800.0))
    area_m2 = (laid[..., 3] > 0).sum() * 4.0
    (west, south), (east, north) = np.array(
        PLANE.to_plane(*np.array(footprint(folding, where, FlatTerrain(800.0)).bounds).reshape(2, 2).T)
    ).T
    assert area_m2 < (east - west) * (north - south)


def test_a_frame_much_finer_than_the_grid_is_averaged() -> None:
    fine = BrownCamera(width_px=1600, height_px=1200, focal_px=1300.0)
    chequered = np.zeros((1200, 1600, 3), np.uint8)
    chequered[(np.add.outer(np.arange(1200), np.arange(1600)) % 2) == 0] = 200
    where = pose()
    grid = grid_of(fine, where, FlatTerrain(800.0), pixel_m=16 * middle_gsd_m(fine, where, FlatTerrain(800.0)))
    laid = ortho(chequered, fine, where, grid, FlatTerrain(800.0))
    inner = laid[laid[..., 3] > 0][:, 0]
    assert np.abs(inner.astype(int) - 100).max() <= 2


def test_ground_behind_a_block_is_hidden() -> None:
    terrain = hills(cell_m=1.0, tower_m=30.0)
    x, y = PLANE.to_lonlat(-90.0, 0.0)
    where = Pose(
        utc_s=0.0,
        position=Position(lon=float(x), lat=float(y), altitude=Altitude(880.0, Datum.AMSL)),
        attitude=Attitude(pitch_deg=-40.0, yaw_deg=90.0),
    )
    bounds = np.array(PLANE.to_lonlat([-60.0, 100.0], [-20.0, 20.0]))
    grid = Grid.over(*bounds[:, 0], *bounds[:, 1], pixel_m=0.5)
    ground = Ground.below(grid, terrain)
    eye = Eye(LENS, where, terrain)
    open_, shaded = eye.looks(ground), eye.looks(ground)
    hide(eye, ground, shaded, terrain)
    east_m, north_m = PLANE.to_plane(ground.lon, ground.lat)
    lost = np.isfinite(open_.slant) & np.isnan(shaded.slant)
    behind = (east_m > 18) & (east_m < 45) & (np.abs(north_m) < 10) & np.isfinite(open_.slant)
    before = (east_m < -18) & np.isfinite(open_.slant)
    far = (east_m > 75) & np.isfinite(open_.slant)
    assert behind.sum() > 20
    assert lost[behind].mean() > 0.95
    assert lost[before].mean() < 0.02
    assert lost[far].mean() < 0.05
    laid = ortho(np.full((180, 240, 3), 9, np.uint8), LENS, where, grid, terrain, occlusion=True)
    cols, rows = grid.places(*PLANE.to_lonlat(30.0, 0.0))
    assert laid[int(rows), int(cols), 3] == 0


def test_ground_that_is_not_known_is_clear_and_none_at_all_is_an_error() -> None:
    terrain = hills()
    where = pose()
    grid = Grid.over(LON - 0.0067, LAT - 0.0005, LON + 0.0005, LAT + 0.0005, pixel_m=1.0)
    laid = ortho(np.full((180, 240, 3), 9, np.uint8), LENS, where, grid, terrain)
    assert (laid[:, 5, 3] == 0).all(), "45 m west of the DEM"
    assert laid[50, -45, 3] == 255
    away = Grid.over(LON + 0.1, LAT, LON + 0.101, LAT + 0.001, pixel_m=1.0)
    with pytest.raises(TerrainMissing, match="no height at"):
        ortho(np.zeros((180, 240, 3), np.uint8), LENS, where, away, terrain)


def test_heights_of_the_camera() -> None:
    above, sea = pose(100.0, datum=Datum.AGL), pose(900.0)
    terrain = FlatTerrain(800.0)
    picture = frame(LENS, sea, terrain)
    grid = grid_of(LENS, sea, terrain, pixel_m=1.0)
    assert (ortho(picture, LENS, above, grid, terrain) == ortho(picture, LENS, sea, grid, terrain)).all()
    with pytest.raises(DatumUnknown):
        ortho(picture, LENS, pose(900.0, datum=Datum.HOME), grid, terrain)


def test_gsd_of_the_middle() -> None:
    plain = BrownCamera(width_px=240, height_px=180, focal_px=200.0)
    straight = Pose(utc_s=0, position=pose().position, attitude=Attitude(pitch_deg=-90, yaw_deg=0))
    assert middle_gsd_m(plain, straight, FlatTerrain(800.0)) == pytest.approx(0.5, rel=0.01)
    with pytest.raises(NoGround):
        middle_gsd_m(plain, pose(pitch_deg=10.0), FlatTerrain(800.0))


def test_grids() -> None:
    grid = Grid.over(LON, LAT, LON + 0.01, LAT + 0.005, pixel_m=0.25)
    assert grid.crs == "EPSG:32643"
    assert grid.transform.c % 0.25 == 0
    assert utm_of(-70.0, -33.0) == "EPSG:32719"
    cols, rows = grid.places(*grid.lonlat([0.5, 77.5], [10.5, 99.5]))
    assert cols == pytest.approx([0.5, 77.5], abs=1e-5)
    assert rows == pytest.approx([10.5, 99.5], abs=1e-5)
    part = grid.part(10, 20, 5, 6)
    assert np.array(part.lonlat(0, 0)) == pytest.approx(np.array(grid.lonlat(20, 10)), abs=1e-12)
    covered = np.zeros((grid.height, grid.width), int)
    for row, col, height, width in grid.windows(700):
        covered[row : row + height, col : col + width] += 1
    assert (covered == 1).all()
    for bad in ({"pixel_m": 0.0}, {"pixel_m": float("nan")}, {"pixel_m": 1e-6}):
        with pytest.raises(RasterInvalid):
            Grid.over(LON, LAT, LON + 0.01, LAT + 0.005, **bad)
