"""Registration: frames of a simulated city laid on an orthophoto of it, from poses that are known to be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from geo.cameras import BrownCamera
from geo.errors import NotRegistered, RasterInvalid
from geo.location import ground_points, locate
from geo.poses import ENU_FROM_NED, Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, Position
from geo.references import Reference
from geo.registration import Registration, register
from geo.terrain import GridTerrain
from simulators.renderer import Renderer
from simulators.world import World
from simulators.world.painting import Painter

CAMERA = BrownCamera(width_px=1280, height_px=720, focal_px=1004.6, k1=-0.04, k2=0.01, p1=0.0008, p2=-0.0005)
SIGMAS = PoseSigmas(horizontal_m=1.5, vertical_m=2.0, tilt_deg=0.5, yaw_deg=2.0)
MIDDLE = (150.0, -80.0)
SIDE_M, M_PX = 400.0, 0.25
SPOTS = np.array([[200.0, 150.0], [1000.0, 200.0], [640.0, 360.0], [300.0, 600.0], [1100.0, 640.0]])


@pytest.fixture(scope="module")
def world() -> World:
    return World.build(11)


@pytest.fixture(scope="module")
def renderer(world: World) -> Renderer:
    return Renderer(world, CAMERA)


@pytest.fixture(scope="module")
def terrain(world: World) -> GridTerrain:
    """The ground about the middle, posts of 5 m."""
    half, posts = 500.0, 200
    lon, lat = world.plane.to_lonlat([MIDDLE[0] - half, MIDDLE[0] + half], [MIDDLE[1] - half, MIDDLE[1] + half])
    transform = rasterio.transform.from_bounds(lon[0], lat[0], lon[1], lat[1], posts, posts)
    columns, rows = transform @ np.meshgrid(np.arange(posts) + 0.5, np.arange(posts) + 0.5)
    return GridTerrain(world.ground_amsl_m(*world.plane.to_plane(columns, rows)), transform, name="ground")


@pytest.fixture(scope="module")
def orthophoto(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The city about the middle as it was before the incidents."""
    path = tmp_path_factory.mktemp("reference") / "orthophoto.tif"
    west, south, size = MIDDLE[0] - SIDE_M / 2, MIDDLE[1] - SIDE_M / 2, int(SIDE_M / M_PX)
    picture = Painter(world, older=True).paint(west, south, size, M_PX)[::-1]
    plane = world.plane
    crs = f"+proj=tmerc +lon_0={plane.lon} +lat_0={plane.lat} +k_0={1 + plane.height_m / 6_371_008.8} +ellps=WGS84"
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size, count=3, dtype="uint8", crs=crs,
        transform=rasterio.Affine(M_PX, 0, west, 0, -M_PX, south + SIDE_M), tiled=True, compress="deflate",
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(picture, -1, 0))
    return path


def true_pose(world: World, east_m: float, north_m: float, pitch_deg: float, yaw_deg: float) -> Pose:
    lon, lat = world.plane.to_lonlat(east_m, north_m)
    height_m = float(world.ground_amsl_m(east_m, north_m)) + 90.0
    return Pose(
        utc_s=world.epoch_utc_s + 30.0,
        position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(height_m, Datum.AMSL)),
        attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=yaw_deg),
    )


def believed_pose(world: World, true: Pose, rng: np.random.Generator) -> Pose:
    """The true pose with errors drawn from the sigmas."""
    at = true.position
    east, north = world.plane.to_plane(at.lon, at.lat)
    lon, lat = world.plane.to_lonlat(east + rng.normal(0, 1.5), north + rng.normal(0, 1.5))
    turn = np.radians(rng.normal(0, [SIGMAS.tilt_deg, SIGMAS.tilt_deg, SIGMAS.yaw_deg]))
    ned = ENU_FROM_NED.T @ Rotation.from_rotvec(turn).as_matrix() @ ENU_FROM_NED @ true.attitude.ned_from_body()
    yaw, pitch, roll = Rotation.from_matrix(ned).as_euler("ZYX", degrees=True)
    height_m = at.altitude.value_m + float(rng.normal(0, SIGMAS.vertical_m))
    return Pose(
        utc_s=true.utc_s,
        position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(height_m, Datum.AMSL)),
        attitude=Attitude(yaw_deg=float(yaw), pitch_deg=float(pitch), roll_deg=float(roll)),
    )


def misses_m(world: World, true: Pose, pose: Pose, terrain: GridTerrain) -> NDArray[np.float64]:
    """How far from the truth spots of the frame are placed."""
    here, there = (ground_points(CAMERA, one, SPOTS, terrain) for one in (true, pose))
    east, north = world.plane.to_plane(here.lon, here.lat)
    east_too, north_too = world.plane.to_plane(there.lon, there.lat)
    return np.hypot(east - east_too, north - north_too)


def registered(
    world: World, renderer: Renderer, terrain: GridTerrain, orthophoto: Path, seed: int, pitch_deg: float
) -> tuple[Pose, Pose, Registration]:
    rng = np.random.default_rng([seed, 9])
    back = 90.0 / np.tan(np.radians(-pitch_deg))
    yaw_deg = float(rng.uniform(0, 360))
    at = np.array(MIDDLE) - back * np.array([np.sin(np.radians(yaw_deg)), np.cos(np.radians(yaw_deg))])
    true = true_pose(world, *(at + rng.uniform(-40, 40, 2)), pitch_deg, yaw_deg)
    believed = believed_pose(world, true, rng)
    image = renderer.render(true).image
    reference = Reference(orthophoto, sigma_m=0.2)
    found = register(CAMERA, believed, image, reference, terrain, sigmas=SIGMAS, dem_sigma_m=0.2)
    return true, believed, found


@pytest.mark.parametrize(("seed", "pitch_deg"), [(0, -90.0), (2, -90.0), (1, -60.0), (2, -45.0)])
def test_the_bias_of_a_pose_falls_to_less_than_a_tenth(
    world: World, renderer: Renderer, terrain: GridTerrain, orthophoto: Path, seed: int, pitch_deg: float
) -> None:
    true, believed, found = registered(world, renderer, terrain, orthophoto, seed, pitch_deg)
    before, after = (misses_m(world, true, pose, terrain) for pose in (believed, found.pose))
    assert np.median(before) > 1.0
    assert np.median(after) < 0.1 * np.median(before)
    assert np.median(after) < 0.2
    assert found.ties > 80


def test_what_is_located_then_has_small_ellipses_that_hold_the_truth(
    world: World, renderer: Renderer, terrain: GridTerrain, orthophoto: Path
) -> None:
    true, believed, found = registered(world, renderer, terrain, orthophoto, 1, -60.0)
    truth = ground_points(CAMERA, true, SPOTS, terrain)
    options = {"pixel_sigma_px": 1.0, "dem_sigma_m": 0.2}
    plain = locate(CAMERA, believed, SPOTS, terrain, sigmas=SIGMAS, **options)
    sharp = found.located(CAMERA, SPOTS, terrain, **options)
    for spot, (wide, narrow) in enumerate(zip(plain, sharp, strict=True)):
        assert narrow.ellipse.semi_major_m < 0.3 * wide.ellipse.semi_major_m
        moves = np.array(narrow.moves_m)
        np.testing.assert_allclose(moves.T @ moves, narrow.covariance_m2, rtol=1e-9)
        lon, lat = narrow.position.lon, narrow.position.lat
        error = np.subtract(world.plane.to_plane(lon, lat), world.plane.to_plane(truth.lon[spot], truth.lat[spot]))
        assert error @ np.linalg.solve(np.array(narrow.covariance_m2)[:2, :2], error) < 9.21
    alone = locate(CAMERA, found.pose, SPOTS, terrain, sigmas=found.sigmas, **options)
    assert all(a.ellipse.semi_major_m >= s.ellipse.semi_major_m for a, s in zip(alone, sharp, strict=True))


def test_a_frame_of_elsewhere_is_refused(
    world: World, renderer: Renderer, terrain: GridTerrain, orthophoto: Path
) -> None:
    here = true_pose(world, *MIDDLE, -90.0, 30.0)
    reference = Reference(orthophoto)
    elsewhere = renderer.render(true_pose(world, MIDDLE[0] + 130.0, MIDDLE[1] - 90.0, -90.0, 30.0)).image
    with pytest.raises(NotRegistered, match="squares of the reference agree"):
        register(CAMERA, here, elsewhere, reference, terrain, sigmas=SIGMAS)
    upside_down = renderer.render(true_pose(world, *MIDDLE, -90.0, 210.0)).image
    with pytest.raises(NotRegistered, match="squares of the reference agree"):
        register(CAMERA, here, upside_down, reference, terrain, sigmas=SIGMAS)


def test_a_shift_that_the_pose_cannot_have_is_refused(
    world: World, renderer: Renderer, terrain: GridTerrain, orthophoto: Path
) -> None:
    image = renderer.render(true_pose(world, *MIDDLE, -60.0, 30.0)).image
    sure = PoseSigmas(horizontal_m=0.6, vertical_m=0.6, tilt_deg=0.3, yaw_deg=0.3)
    believed = true_pose(world, MIDDLE[0] + 3.0, MIDDLE[1] + 3.0, -60.0, 30.0)
    with pytest.raises(NotRegistered, match="more than the pose can be wrong"):
        register(CAMERA, believed, image, Reference(orthophoto), terrain, sigmas=sure)


def test_frames_without_texture_or_of_another_size_are_refused(
    world: World, terrain: GridTerrain, orthophoto: Path
) -> None:
    here = true_pose(world, *MIDDLE, -90.0, 30.0)
    fog = np.full((720, 1280, 3), 180, np.uint8)
    with pytest.raises(NotRegistered, match="too little texture"):
        register(CAMERA, here, fog, Reference(orthophoto), terrain, sigmas=SIGMAS)
    with pytest.raises(NotRegistered, match="640 x 360 px, its camera 1280 x 720"):
        register(CAMERA, here, fog[::2, ::2], Reference(orthophoto), terrain, sigmas=SIGMAS)


def test_beyond_the_reference_nothing_agrees(
    world: World, renderer: Renderer, terrain: GridTerrain, orthophoto: Path
) -> None:
    outside = true_pose(world, MIDDLE[0] + 350.0, MIDDLE[1], -90.0, 30.0)
    with pytest.raises(NotRegistered, match="0 of 0 squares"):
        register(CAMERA, outside, renderer.render(outside).image, Reference(orthophoto), terrain, sigmas=SIGMAS)


def test_only_geotiffs_are_references(tmp_path: Path) -> None:
    disguised = tmp_path / "reference.tif"
    disguised.write_text('<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>')
    with pytest.raises(RasterInvalid, match="not a TIFF"):
        Reference(disguised)
