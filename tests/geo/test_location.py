"""Pixels to ground: known truth, and ellipses that hold what they promise."""

from __future__ import annotations

import time

import numpy as np
import pytest
import rasterio
from scipy.spatial.transform import Rotation

from geo.cameras import BrownCamera
from geo.errors import DatumUnknown, NoGround, TerrainMissing
from geo.location import Location, ground_points, locate, locate_those_on_ground
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import EARTH_RADIUS_M, Altitude, Datum, LocalPlane, Position
from geo.terrain import FlatTerrain, GridTerrain

LON, LAT = 76.945, 43.205
CAMERA = BrownCamera(width_px=1280, height_px=720, focal_px=1004.6, k1=-0.08, k2=0.02)


def pose(*, pitch_deg: float, yaw_deg: float = 0.0, roll_deg: float = 0.0, amsl_m: float = 880.0) -> Pose:
    position = Position(lon=LON, lat=LAT, altitude=Altitude(amsl_m, Datum.AMSL))
    return Pose(
        utc_s=0.0, position=position, attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=yaw_deg, roll_deg=roll_deg)
    )


def hills(rows: int = 500) -> GridTerrain:
    """Smooth hills of some metres about 800 m, 5 m cells, over 2.5 km."""
    row, col = np.mgrid[0:rows, 0:rows]
    heights = 800 + 9 * np.sin(col / 23) + 7 * np.cos(row / 17)
    corner = rasterio.Affine(6e-5, 0, LON - rows * 3e-5, 0, -4.5e-5, LAT + rows * 2.25e-5)
    return GridTerrain(heights, corner, name="hills")


def test_nadir_centre_is_below_the_camera() -> None:
    centre = CAMERA.center_px
    (found,) = locate(CAMERA, pose(pitch_deg=-90, yaw_deg=77), [centre], FlatTerrain(800), sigmas=PoseSigmas())
    assert (found.position.lon, found.position.lat) == pytest.approx((LON, LAT), abs=1e-9)
    assert found.position.altitude == Altitude(pytest.approx(800, abs=1e-3), Datum.AMSL)
    assert found.slant_range_m == pytest.approx(80, abs=1e-3)


@pytest.mark.parametrize(
    ("pixel", "east_m", "north_m"),
    [((1004.6 + 639.5, 359.5), 0.0, -80.0), ((639.5, 359.5 - 1004.6), 80.0, 0.0)],
    ids=["right of the picture", "top of the picture"],
)
def test_nadir_picture_flown_east_has_its_top_east(pixel: tuple[float, float], east_m: float, north_m: float) -> None:
    plain = BrownCamera(width_px=1280, height_px=720, focal_px=1004.6)
    points = ground_points(plain, pose(pitch_deg=-90, yaw_deg=90), [pixel], FlatTerrain(800))
    assert (points.east_m[0], points.north_m[0]) == pytest.approx((east_m, north_m), abs=2e-3)


def test_thousand_random_points_come_back() -> None:
    """Ground points of the hills, projected by hand into random cameras and located again, to a centimetre."""
    rng = np.random.default_rng(11)
    terrain, errors = hills(), []
    for _ in range(50):
        view = pose(
            pitch_deg=rng.uniform(-90, -35),
            yaw_deg=rng.uniform(0, 360),
            roll_deg=rng.uniform(-5, 5),
            amsl_m=rng.uniform(860, 950),
        )
        pixels = np.column_stack([rng.uniform(0, 1279, 20), rng.uniform(0, 719, 20)])
        points = ground_points(CAMERA, view, pixels, terrain)
        plane = LocalPlane(lon=LON, lat=LAT, height_m=view.position.altitude.value_m)
        east_m, north_m = plane.to_plane(points.lon, points.lat)
        drop_m = (east_m**2 + north_m**2) / (2 * EARTH_RADIUS_M)
        up_m = terrain.amsl_m(points.lon, points.lat) - drop_m - view.position.altitude.value_m
        rays = np.stack([east_m, north_m, up_m], axis=-1) @ view.enu_from_camera()
        errors.append(np.abs(CAMERA.pixels_from_rays(rays) - pixels))
    assert np.concatenate(errors).max() < 0.05


def test_the_nearest_hill_is_hit_not_the_ground_behind() -> None:
    wall = np.full((200, 200), 800.0)
    wall[:90] = 900.0
    terrain = GridTerrain(wall, rasterio.Affine(1e-4, 0, LON - 0.01, 0, -1e-4, LAT + 0.01), name="wall")
    (found,) = locate(CAMERA, pose(pitch_deg=-5), [CAMERA.center_px], terrain, sigmas=PoseSigmas())
    assert found.position.lat == pytest.approx(LAT + 0.001, abs=1.2e-4)
    assert 800 < found.position.altitude.value_m < 900


def test_curvature_of_the_earth_is_in() -> None:
    """A level ray 880 m up sees the sea where d2 / 2R has dropped by as much as the ray has left to fall."""
    view = pose(pitch_deg=-11, amsl_m=880)
    (found,) = locate(CAMERA, view, [CAMERA.center_px], FlatTerrain(0), sigmas=PoseSigmas(), max_range_m=10_000)
    flat_m = 880 / np.sin(np.radians(11))
    assert found.slant_range_m - flat_m == pytest.approx(
        (flat_m * np.cos(np.radians(11))) ** 2 / (2 * EARTH_RADIUS_M) / np.sin(np.radians(11)), rel=0.02
    )


def test_target_height_moves_the_point_towards_the_camera() -> None:
    view = pose(pitch_deg=-45)
    low, high = (
        locate(CAMERA, view, [CAMERA.center_px], FlatTerrain(800), sigmas=PoseSigmas(), target_height_m=height_m)[0]
        for height_m in (0.0, 10.0)
    )
    assert (low.position.lat - high.position.lat) * 111_100 == pytest.approx(10, rel=0.01)
    assert high.position.altitude.value_m == pytest.approx(800, abs=1e-3)


def test_height_above_ground_is_converted_and_home_refused() -> None:
    agl = Pose(
        utc_s=0,
        position=Position(lon=LON, lat=LAT, altitude=Altitude(80, Datum.AGL)),
        attitude=Attitude(pitch_deg=-90, yaw_deg=0),
    )
    (found,) = locate(CAMERA, agl, [CAMERA.center_px], FlatTerrain(812), sigmas=PoseSigmas())
    assert found.slant_range_m == pytest.approx(80, abs=1e-3)
    home = Pose(
        utc_s=0,
        position=Position(lon=LON, lat=LAT, altitude=Altitude(80, Datum.HOME)),
        attitude=Attitude(pitch_deg=-90, yaw_deg=0),
    )
    with pytest.raises(DatumUnknown, match="HOME"):
        locate(CAMERA, home, [CAMERA.center_px], FlatTerrain(812), sigmas=PoseSigmas())


def test_above_the_horizon_raises_and_names_the_pixel() -> None:
    view = pose(pitch_deg=-10)
    with pytest.raises(NoGround, match=r"640\.0,0\.0"):
        locate(CAMERA, view, [(640, 700), (640, 0)], FlatTerrain(800), sigmas=PoseSigmas())
    seen = locate_those_on_ground(CAMERA, view, [(640, 700), (640, 0)], FlatTerrain(800), sigmas=PoseSigmas())
    assert isinstance(seen[0], Location)
    assert seen[1] is None


def test_a_camera_under_the_ground_and_a_missing_tile_are_said() -> None:
    with pytest.raises(NoGround, match="below the ground"):
        locate(CAMERA, pose(pitch_deg=-90), [(1, 1)], FlatTerrain(900), sigmas=PoseSigmas())
    with pytest.raises(TerrainMissing, match="hills"):
        locate(CAMERA, pose(pitch_deg=-25, amsl_m=860), [(640, 360)], hills(40), sigmas=PoseSigmas())


@pytest.mark.parametrize("roll_deg", [0.0, 4.0])
@pytest.mark.parametrize("pitch_deg", [-90.0, -60.0, -45.0, -25.0])
def test_the_ellipse_holds_nine_in_ten(pitch_deg: float, roll_deg: float) -> None:
    """Against Monte Carlo: true cameras drawn about the reported one, 4000 of them, each through the full ray cast."""
    rng = np.random.default_rng(int(-pitch_deg) + int(roll_deg))
    sigmas = PoseSigmas(horizontal_m=1.5, vertical_m=2.0, tilt_deg=0.6, yaw_deg=2.0, time_s=0.1)
    velocity = np.array([6.0, -3.0, 0.5])
    terrain, count, pixel = FlatTerrain(800), 4000, np.array([[1000.0, 560.0]])
    view = pose(pitch_deg=pitch_deg, yaw_deg=33, roll_deg=roll_deg)
    (stated,) = locate(
        CAMERA, view, pixel, terrain, sigmas=sigmas, velocity_enu_m_s=(6.0, -3.0, 0.5), pixel_sigma_px=4.0,
        target_height_m=1.0, target_height_sigma_m=0.8, dem_sigma_m=1.5,
    )  # fmt: skip
    pixels = pixel + rng.normal(0, 4.0, (count, 2))
    rays = CAMERA.rays_from_pixels(pixels) @ view.enu_from_camera().T
    turns = Rotation.from_rotvec(np.radians(rng.normal(0, 1, (count, 3)) * [0.6, 0.6, 2.0]))
    rays = turns.apply(rays)
    foot = rng.normal(0, 1, (count, 3)) * [1.5, 1.5, 2.0] + rng.normal(0, 0.1, (count, 1)) * velocity
    surface_m = 801.0 + np.hypot(1.5, 0.8) * rng.normal(0, 1, count)
    fall_m = 880 + foot[:, 2] - surface_m
    places = foot[:, :2] + rays[:, :2] * (fall_m / -rays[:, 2])[:, None]
    plane = LocalPlane(lon=LON, lat=LAT, height_m=880)
    centre = np.array(plane.to_plane(stated.position.lon, stated.position.lat))
    off = places - centre
    inverse = np.linalg.inv(stated.ellipse.covariance_m2())
    inside = np.einsum("ni,ij,nj->n", off, inverse, off) < -2 * np.log(0.1)
    assert inside.mean() == pytest.approx(0.9, abs=0.015)


def test_the_ellipse_holds_on_a_slope() -> None:
    """On ground that tilts 17 deg the ray is recast over the raster for each of 1000 drawn cameras."""
    rng = np.random.default_rng(5)
    row, _ = np.mgrid[0:400, 0:400]
    corner = rasterio.Affine(6e-5, 0, LON - 0.012, 0, -4.5e-5, LAT + 0.009)
    terrain = GridTerrain(800 - (row - 200) * 1.5, corner, name="slope")
    sigmas = PoseSigmas(horizontal_m=1.5, vertical_m=2.0, tilt_deg=0.5, yaw_deg=2.0, time_s=0.0)
    view = pose(pitch_deg=-45, yaw_deg=10)
    pixel = np.array([[300.0, 200.0]])
    (stated,) = locate(CAMERA, view, pixel, terrain, sigmas=sigmas, pixel_sigma_px=0.0, dem_sigma_m=0.0)
    plane = LocalPlane(lon=LON, lat=LAT, height_m=880)
    centre = np.array(plane.to_plane(stated.position.lon, stated.position.lat))
    inverse, inside = np.linalg.inv(stated.ellipse.covariance_m2()), 0
    for _ in range(1000):
        foot = rng.normal(0, 1, 3) * [1.5, 1.5, 2.0]
        turn = Rotation.from_rotvec(np.radians(rng.normal(0, 1, 3) * [0.5, 0.5, 2.0])).as_matrix()
        drawn = _Turned(view, turn, plane, foot)
        points = ground_points(CAMERA, drawn, pixel, terrain)  # type: ignore[arg-type]
        off = np.array(plane.to_plane(points.lon[0], points.lat[0])) - centre
        inside += off @ inverse @ off < -2 * np.log(0.1)
    assert inside / 1000 == pytest.approx(0.9, abs=0.03)


class _Turned:
    """A pose moved and turned by drawn errors."""

    def __init__(self, view: Pose, turn: np.ndarray, plane: LocalPlane, foot: np.ndarray) -> None:
        lon, lat = plane.to_lonlat(foot[0], foot[1])
        self.position = Position(lon=float(lon), lat=float(lat), altitude=Altitude(880 + foot[2], Datum.AMSL))
        self._rotation = turn @ view.enu_from_camera()

    def enu_from_camera(self) -> np.ndarray:
        return self._rotation


def test_a_hundred_pixels_are_quick() -> None:
    rng = np.random.default_rng(0)
    pixels = np.column_stack([rng.uniform(0, 1279, 100), rng.uniform(0, 719, 100)])
    terrain, times_s = hills(), []
    for _ in range(20):
        start_s = time.perf_counter()
        locate(CAMERA, pose(pitch_deg=-60), pixels, terrain, sigmas=PoseSigmas())
        times_s.append(time.perf_counter() - start_s)
    assert min(times_s) < 0.005
