"""Rays to terrain: agreement with a plain march in exact geometry, walls, edges, holes, datums, squares."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio

from geo import relief
from geo.cameras import BrownCamera
from geo.errors import NoGround, TerrainMissing
from geo.geoids import HeightDatum, geoid
from geo.location import GroundPoints, ground_points, locate, locate_those_on_ground
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, Position
from geo.relief import AnyRelief, Relief
from geo.terrain import FlatTerrain, GridTerrain, Terrain, TerrainTiles

LON, LAT = 76.945, 43.205
LON_M, LAT_M = 1 / (111_320 * np.cos(np.radians(LAT))), 1 / 111_132
CAMERA = BrownCamera(width_px=1280, height_px=720, focal_px=1004.6, k1=-0.08, k2=0.02)
UTM_EAST, UTM_NORTH = pyproj.Transformer.from_crs(4326, 32643, always_xy=True).transform(LON, LAT)
EXACT = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
DATA = Path(os.environ.get("MC_DATA", Path(__file__).parents[3] / "shared/data"))


def pose(*, pitch_deg: float, yaw_deg: float = 0.0, roll_deg: float = 0.0, amsl_m: float = 880.0) -> Pose:
    return Pose(
        utc_s=0.0,
        position=Position(lon=LON, lat=LAT, altitude=Altitude(amsl_m, Datum.AMSL)),
        attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=yaw_deg, roll_deg=roll_deg),
    )


def town(cells: int, *, seed: int = 1) -> np.ndarray:
    """Rolling ground about 800 m with many boxes of 4 to 40 m on it."""
    rng = np.random.default_rng(seed)
    row, col = np.mgrid[0:cells, 0:cells]
    heights = 800 + 3 * np.sin(col / 40) + 2 * np.cos(row / 33)
    for _ in range(cells * cells // 2500):
        top, left = rng.integers(0, cells - 30, 2)
        down, right = rng.integers(4, 25, 2)
        heights[top : top + down, left : left + right] = heights[top, left] + rng.uniform(4, 40)
    return heights


def degrees_grid(heights: np.ndarray, cell_m: float, name: str) -> GridTerrain:
    """A raster in degrees, its middle where the camera is."""
    half = len(heights) / 2 * cell_m
    corner = rasterio.Affine(cell_m * LON_M, 0, LON - half * LON_M, 0, -cell_m * LAT_M, LAT + half * LAT_M)
    return GridTerrain(heights, corner, name=name)


def metres_grid(heights: np.ndarray, cell_m: float, name: str, *, west_m: float, turned_deg: float = 0.0,
                datum: HeightDatum = HeightDatum.EGM96) -> GridTerrain:  # fmt: skip
    """A raster in UTM, from so far west of the camera on."""
    half = len(heights) / 2
    corner = rasterio.Affine(cell_m, 0, UTM_EAST - west_m, 0, -cell_m, UTM_NORTH + half * cell_m)
    turn = rasterio.Affine.rotation(turned_deg, pivot=(half, half))
    return GridTerrain(heights, corner @ turn, crs="EPSG:32643", name=name, height_datum=datum)


def points_along(view: Pose, ray: np.ndarray, ranges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lon, lat and m AMSL along a ray (east, north, up), through earth-centred coordinates."""
    lon, lat = np.radians([view.position.lon, view.position.lat])
    axes = np.array([
        [-np.sin(lon), np.cos(lon), 0.0],
        [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)],
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)],
    ])  # fmt: skip
    geoid_m = float(geoid(HeightDatum.EGM96).height_m(view.position.lon, view.position.lat))
    eye = EXACT.transform(view.position.lon, view.position.lat, view.position.altitude.value_m + geoid_m)
    found_lon, found_lat, above_m = EXACT.transform(
        *(np.array(eye) + ranges[:, None] * ray @ axes).T, direction="INVERSE"
    )
    return found_lon, found_lat, above_m - geoid_m


def marched_m(view: Pose, ray: np.ndarray, terrain: Terrain, most_m: float) -> float:
    """Range at which a ray meets the ground: the first of places 0.1 m apart that is not above it, then halved."""
    ranges = np.arange(0.0, most_m, 0.1)
    lon, lat, amsl_m = points_along(view, ray, ranges)
    above = amsl_m > terrain.amsl_m(lon, lat)
    if above.all():
        return np.nan
    far = int(np.argmin(above))
    low, high = ranges[far - 1], ranges[far]
    for _ in range(30):
        middle = (low + high) / 2
        lon, lat, amsl_m = points_along(view, ray, np.array([middle]))
        low, high = (middle, high) if amsl_m[0] > terrain.amsl_m(lon, lat)[0] else (low, middle)
    return high


def scenes() -> dict[str, Terrain]:
    fine = town(500, seed=2)
    fine[:90] = np.nan
    fine[300:330, 260:280] = np.nan
    west, east = np.split(town(600, seed=4), 2, axis=1)
    hills = 780 + 60 * np.sin(np.arange(200) / 9)[None] * np.cos(np.arange(200) / 11)[:, None]
    coarse = degrees_grid(hills, 60.0, "hills")
    return {
        "in degrees": degrees_grid(town(800), 1.0, "town"),
        "in metres, turned, above the ellipsoid": metres_grid(
            town(900) - 40, 0.8, "turned", west_m=360, turned_deg=20, datum=HeightDatum.W84
        ),
        "hills": coarse,
        "fine with holes over coarse": TerrainTiles([metres_grid(fine, 0.8, "fine", west_m=150), coarse]),
        "two that meet": TerrainTiles(
            [metres_grid(west, 1.0, "west", west_m=300), metres_grid(east, 1.0, "east", west_m=0)]
        ),
    }


SCENES = scenes()


@pytest.mark.parametrize("name", SCENES)
def test_a_march_in_steps_of_a_decimetre_finds_the_same_place(name: str) -> None:
    """To 2 mm along the ray, in exact geometry. A march may miss a corner thinner than its step: there ours is nearer
    and on the surface."""
    terrain, rng, met, missed = SCENES[name], np.random.default_rng(8), 0, 0
    for _ in range(40):
        view = pose(
            pitch_deg=rng.uniform(-90, -18), yaw_deg=rng.uniform(0, 360), roll_deg=rng.uniform(-5, 5),
            amsl_m=rng.uniform(855, 890),
        )  # fmt: skip
        pixel = np.array([[rng.uniform(0, 1279), rng.uniform(0, 719)]])
        found = ground_points(CAMERA, view, pixel, terrain, max_range_m=260)
        ray = view.enu_from_camera() @ CAMERA.rays_from_pixels(pixel)[0]
        expected_m = marched_m(view, ray, terrain, 260)
        range_m = float(found.range_m[0])
        if range_m < expected_m - 0.002:
            lon, lat, amsl_m = points_along(view, ray, np.array([range_m]))
            assert terrain.amsl_m(lon, lat)[0] == pytest.approx(amsl_m[0], abs=0.002)
            missed += 1
            continue
        assert range_m == pytest.approx(expected_m, abs=0.002, nan_ok=True)
        met += not np.isnan(expected_m)
    assert met >= 25
    assert missed <= 2


def test_far_and_high_the_place_is_that_of_exact_geometry() -> None:
    """Lon, lat and height of hits up to 6 km away, as earth-centred coordinates have them."""
    terrain = SCENES["hills"]
    view = pose(pitch_deg=-8, yaw_deg=70, amsl_m=1500)
    pixels = np.column_stack([np.linspace(0, 1279, 30), np.linspace(60, 719, 30)])
    found = ground_points(CAMERA, view, pixels, terrain, max_range_m=6000)
    assert found.hit.sum() > 15
    for row in np.flatnonzero(found.hit):
        lon, lat, amsl_m = points_along(view, found.directions[row], found.range_m[row : row + 1])
        assert abs(found.lon[row] - lon[0]) / LON_M < 0.002
        assert abs(found.lat[row] - lat[0]) / LAT_M < 0.002
        assert found.amsl_m[row] == pytest.approx(amsl_m[0], abs=0.002)
        assert terrain.amsl_m(lon, lat)[0] == pytest.approx(amsl_m[0], abs=0.002)


@pytest.mark.parametrize("cells", [1, 3])
def test_what_is_behind_a_wall_is_not_seen(cells: int) -> None:
    """A wall of 30 m, one cell of half a metre thick: rays below its top end on it, rays above pass."""
    heights = np.full((800, 800), 800.0)
    heights[300 : 300 + cells] = 830.0  # 50 m north of the camera
    terrain = degrees_grid(heights, 0.5, "wall")
    view = pose(pitch_deg=-15, amsl_m=845)
    pixels = np.column_stack([np.full(200, 640.0), np.linspace(0, 719, 200)])
    found = ground_points(CAMERA, view, pixels, terrain, max_range_m=190)
    wall_m = 49.75 - 0.5 * (cells - 1)
    below_top = found.directions[:, 2] * wall_m / found.directions[:, 1] < -15.2
    short = found.directions[:, 2] * wall_m / found.directions[:, 1] < -44.5
    facing = below_top & ~short
    assert facing.sum() > 50
    assert np.abs(found.north_m[facing] - wall_m).max() < 1.1
    over = found.directions[:, 2] * wall_m / found.directions[:, 1] > -14.8
    assert (found.north_m[over & found.hit] > wall_m + 50).all()
    assert not ((found.north_m > wall_m + 1.1) & (found.north_m < wall_m + 45)).any(), "ground in the wall's shadow"


def test_a_tower_hides_only_what_stands_behind_it() -> None:
    heights = np.full((600, 600), 800.0)
    heights[200:210, 296:304] = 860.0  # 100 m north, 8 m wide
    terrain = degrees_grid(heights, 1.0, "tower")
    row, tower = [], []
    for u in np.linspace(400, 880, 97):
        found = ground_points(CAMERA, pose(pitch_deg=-20, amsl_m=850), [(u, 400)], terrain)
        row.append(found.north_m[0])
        tower.append(found.amsl_m[0] > 801)
    assert 14 <= sum(tower) <= 19
    assert all(89 < north_m < 101 for north_m, high in zip(row, tower, strict=True) if high)
    assert all(north_m > 110 for north_m, high in zip(row, tower, strict=True) if not high)


def test_squares_come_and_go_within_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 9 x 9 squares with room for three at a time answers as one that holds them all, from threads too."""
    monkeypatch.setattr(relief, "MOST_SQUARES", 3)
    cells = 9 * 512
    row, col = np.ogrid[0:cells, 0:cells]
    heights = (800 + 5 * np.sin(col / 60) + 4 * np.cos(row / 45)).astype(np.float32)
    half = cells / 2 * 0.1
    corner = rasterio.Affine(0.1 * LON_M, 0, LON - half * LON_M, 0, -0.1 * LAT_M, LAT + half * LAT_M)
    path = tmp_path / "fine.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=cells, height=cells, count=1, dtype="float32", crs="EPSG:4326",
        transform=corner, tiled=True,
    ) as raster:  # fmt: skip
        raster.write(heights, 1)
    terrain = GridTerrain.from_file(path, height_datum=HeightDatum.EGM96)
    assert isinstance(terrain.relief, Relief)
    view, rng = pose(pitch_deg=-50, amsl_m=860), np.random.default_rng(0)
    pixels = np.column_stack([rng.uniform(0, 1279, 200), rng.uniform(0, 719, 200)])
    found: list[GroundPoints] = []
    threads = [
        threading.Thread(target=lambda: found.append(ground_points(CAMERA, view, pixels, terrain, max_range_m=220)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(terrain.relief._slots[2]) == 3
    assert np.ptp(found[0].north_m) * np.ptp(found[0].east_m) > 3 * 51.2**2
    np.testing.assert_array_equal(found[0].rows, found[1].rows)
    np.testing.assert_allclose(found[0].amsl_m, terrain.amsl_m(found[0].lon, found[0].lat), atol=1e-3)


def test_heights_above_other_datums_become_amsl_for_rays_as_for_questions() -> None:
    above_ellipsoid = metres_grid(np.full((1100, 1100), 760.0), 2.0, "w84", west_m=1100, datum=HeightDatum.W84)
    view = pose(pitch_deg=-30, amsl_m=900)
    found = ground_points(CAMERA, view, [(100, 300), (640, 360), (1200, 700)], above_ellipsoid)
    np.testing.assert_allclose(found.amsl_m, above_ellipsoid.amsl_m(found.lon, found.lat), atol=2e-3)
    assert found.amsl_m[0] > 790


def test_holes_and_edges_name_the_place() -> None:
    heights = town(300)
    heights[60:120, 140:160] = np.nan
    terrain = degrees_grid(heights, 1.0, "holed")
    look = pose(pitch_deg=-55, amsl_m=900)
    hole = CAMERA.pixels_from_rays(look.enu_from_camera().T @ np.array([0.0, 60.0, -98.0]))
    beside = CAMERA.pixels_from_rays(look.enu_from_camera().T @ np.array([40.0, 60.0, -98.0]))
    with pytest.raises(TerrainMissing, match=r"holed: no height at lon 76\.945.*, lat 43\.205.*a hole in the data"):
        locate(CAMERA, look, [hole], terrain, sigmas=PoseSigmas())
    seen = locate_those_on_ground(CAMERA, look, [hole, beside], terrain, sigmas=PoseSigmas())
    assert seen[0] is None
    assert seen[1] is not None
    with pytest.raises(TerrainMissing, match="holed"):
        ground_points(CAMERA, pose(pitch_deg=-10, amsl_m=900), [CAMERA.center_px], terrain)


def test_rasters_too_thin_for_cells_and_terrain_of_any_kind_are_followed_by_steps() -> None:
    class Sloping:
        def amsl_m(self, lon: object, lat: object) -> np.ndarray:
            return 800 + (np.asarray(lat, float) - LAT) / LAT_M * 0.2

    grid = degrees_grid(800 - 0.2 * (np.mgrid[0:400, 0:400][0] - 199.5), 1.0, "slope")
    view = pose(pitch_deg=-35, yaw_deg=20)
    pixels = [(100, 100), (640, 360), (1000, 650)]
    by_steps = ground_points(CAMERA, view, pixels, Sloping())
    np.testing.assert_allclose(by_steps.range_m, ground_points(CAMERA, view, pixels, grid).range_m, atol=5e-3)
    (one,), (other,) = (locate(CAMERA, view, pixels[:1], ground, sigmas=PoseSigmas()) for ground in (Sloping(), grid))
    assert one.ellipse.semi_major_m == pytest.approx(other.ellipse.semi_major_m, rel=1e-3)
    thin = GridTerrain(
        np.full((1, 400), 800.0), rasterio.Affine(1e-5, 0, LON - 2e-3, 0, -1e-3, LAT + 5e-4), name="thin"
    )
    assert isinstance(thin.relief, AnyRelief)
    assert ground_points(CAMERA, pose(pitch_deg=-90), [CAMERA.center_px], thin).range_m[0] == pytest.approx(
        80, abs=2e-3
    )


def test_below_the_ground_is_said_whatever_the_ground_is() -> None:
    deep = pose(pitch_deg=-45, amsl_m=790)
    for terrain in (FlatTerrain(800), degrees_grid(np.full((300, 300), 800.0), 1.0, "plain")):
        with pytest.raises(NoGround, match=r"10\.0 m below the ground"):
            ground_points(CAMERA, deep, [CAMERA.center_px], terrain)


@pytest.mark.skipif(not (DATA / "dem").is_dir(), reason=f"no SRTM tiles in {DATA}: set MC_DATA")
def test_mountains_over_the_seam_of_two_srtm_tiles() -> None:
    """From 900 m above Almaty to the mountains south of it, over 43 deg N where two tiles meet."""
    terrain = TerrainTiles.from_files([DATA / "dem"], height_datum=HeightDatum.EGM96)
    place = Position(lon=76.95, lat=43.02, altitude=Altitude(4300.0, Datum.AMSL))
    view = Pose(utc_s=0.0, position=place, attitude=Attitude(pitch_deg=-14, yaw_deg=180))
    pixels = np.column_stack([np.full(40, 640.0), np.linspace(0, 719, 40)])
    found = ground_points(CAMERA, view, pixels, terrain, max_range_m=9000)
    lat = found.lat[found.hit]
    assert lat.min() < 43.0 < lat.max()
    for row in np.flatnonzero(found.hit)[::4]:
        expected_m = marched_m(view, found.directions[row], terrain, 9000)
        assert found.range_m[row] == pytest.approx(expected_m, abs=0.01)
