"""Cameras, poses and positions: round trips over random points, and known truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely

from geo.camera_library import camera, camera_of_exif, cameras
from geo.cameras import BrownCamera
from geo.errors import CameraUnknown, NoGround
from geo.fisheye import FisheyeCamera
from geo.footprint import footprint, frame_center, ground_gsd_m, gsd_m
from geo.location import ground_points, locate_those_on_ground
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, Ellipse, LocalPlane, Position, bearing_deg, distance_m
from geo.terrain import FlatTerrain

DISTORTED = {"k1": -0.08, "k2": 0.02, "p1": 0.0008, "p2": -0.0005, "k3": -0.003}


RATIONAL = DISTORTED | {"k4": 0.03, "k5": -0.01, "k6": 0.002}
FISHEYE = {"k1": -0.03, "k2": 0.006, "k3": -0.002, "k4": 0.0003}
FIGURES = {"width_px": 1280, "height_px": 720, "focal_px": 1004.6, "focal_y_px": 998.2, "center_px": (650.0, 352.5)}
LENSES = {
    "pinhole": BrownCamera(**FIGURES),  # type: ignore[arg-type]
    "brown": BrownCamera(**FIGURES, **DISTORTED),  # type: ignore[arg-type]
    "rational": BrownCamera(**FIGURES, **RATIONAL),  # type: ignore[arg-type]
    "fisheye": FisheyeCamera(**FIGURES, **FISHEYE),  # type: ignore[arg-type]
    "round fisheye": FisheyeCamera(**FIGURES | {"focal_px": 260.0, "focal_y_px": 261.0}, **FISHEYE),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_pixels_and_rays_are_inverse(lens: BrownCamera | FisheyeCamera) -> None:
    """From pixels over the whole picture, its outer edges included, and from rays, of any length."""
    rng = np.random.default_rng(1)
    pixels = np.concatenate([rng.uniform([-0.5, -0.5], [1279.5, 719.5], (2000, 2)), [(-0.5, -0.5), (1279.5, 719.5)]])
    rays = lens.rays_from_pixels(pixels)
    assert np.abs(np.linalg.norm(rays, axis=1) - 1).max() < 1e-14
    assert np.abs(lens.pixels_from_rays(rays * rng.uniform(1, 500, (2002, 1))) - pixels).max() < 1e-9
    assert np.abs(lens.rays_from_pixels(lens.pixels_from_rays(rays)) - rays).max() < 1e-12
    assert lens.rays_from_pixels(lens.center_px) == pytest.approx([0, 0, 1])
    assert lens.rays_from_pixels(pixels.reshape(2, -1, 2)).shape == (2, 1001, 3)


@pytest.mark.parametrize("name", ["brown", "rational"])
def test_distortion_is_that_of_opencv(name: str) -> None:
    lens = LENSES[name]
    rays = np.random.default_rng(2).uniform([-0.5, -0.3, 1], [0.5, 0.3, 1], (1000, 3))
    coefficients = np.array([lens.distortion.get(f, 0) for f in ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")])
    expected = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix_of(lens), coefficients)[0].reshape(-1, 2)
    assert np.abs(lens.pixels_from_rays(rays) - expected).max() < 1e-9


def matrix_of(lens: BrownCamera | FisheyeCamera) -> np.ndarray:
    return np.array([[lens.focal_px, 0, lens.center_px[0]], [0, lens.focal_y_px, lens.center_px[1]], [0, 0, 1]])


def test_the_fisheye_is_that_of_opencv() -> None:
    lens = LENSES["round fisheye"]
    rays = np.random.default_rng(2).uniform([-3, -3, 1], [3, 3, 1], (1000, 3))
    coefficients = np.array(list(FISHEYE.values()))
    expected = cv2.fisheye.projectPoints(rays[:, None], np.zeros(3), np.zeros(3), matrix_of(lens), coefficients)[0]
    assert np.abs(lens.pixels_from_rays(rays) - expected.reshape(-1, 2)).max() < 1e-9


def test_a_fisheye_sees_behind_itself() -> None:
    lens = FisheyeCamera(width_px=2000, height_px=2000, focal_px=400, k1=-0.01)
    ray = np.array([np.sin(np.radians(110)), 0, np.cos(np.radians(110))])
    assert lens.rays_from_pixels(lens.pixels_from_rays(ray)) == pytest.approx(ray, abs=1e-12)
    assert np.isnan(lens.pixels_from_rays([0, 0, -1.0])).all()


@pytest.mark.parametrize(
    ("lens", "largest"),
    [
        (BrownCamera(width_px=4000, height_px=3000, focal_px=1500, k1=-0.3), np.sqrt(1 / 0.9)),
        (BrownCamera(width_px=4000, height_px=3000, focal_px=1500, k4=0.5), np.sqrt(1 / 0.5)),
        (FisheyeCamera(width_px=4000, height_px=3000, focal_px=1500, k1=-0.2), np.tan(np.sqrt(1 / 0.6))),
    ],
    ids=["brown", "rational", "fisheye"],
)
def test_nothing_is_seen_twice(lens: BrownCamera | FisheyeCamera, largest: float) -> None:
    """The polynomial turns back at a radius: what lies beyond has no pixel, and pixels beyond have no ray."""
    tangents = np.linspace(0, 20, 4001)[1:]
    rays = np.stack([tangents, np.zeros_like(tangents), np.ones_like(tangents)], -1)
    pixels = lens.pixels_from_rays(rays)
    shown = ~np.isnan(pixels[:, 0])
    assert tangents[shown].max() == pytest.approx(largest, rel=0.01)
    assert np.all(shown == (tangents < largest))
    assert np.all(np.diff(pixels[shown, 0]) > 0)
    furthest = pixels[shown, 0].max()
    assert np.isnan(lens.rays_from_pixels([furthest + 5, lens.center_px[1]])).all()
    back = lens.rays_from_pixels(pixels[shown])
    assert np.abs(back[:, 0] / back[:, 2] / tangents[shown] - 1)[:-2].max() < 1e-6


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_a_zoomed_camera_sees_the_middle_of_the_picture(lens: BrownCamera | FisheyeCamera) -> None:
    middle = np.array([(1280 - 1) / 2, (720 - 1) / 2])
    pixels = np.random.default_rng(3).uniform([0, 0], [1279, 719], (200, 2))
    zoomed = lens.zoomed(2.5)
    assert (
        np.abs(zoomed.rays_from_pixels(pixels) - lens.rays_from_pixels(middle + (pixels - middle) / 2.5)).max() < 1e-9
    )


def test_behind_the_camera_is_nowhere() -> None:
    lens = BrownCamera.from_fov(width_px=1280, height_px=720, hfov_deg=65)
    assert np.isnan(lens.pixels_from_rays([[0.1, 0.1, -1.0]])).all()
    assert lens.hfov_deg == pytest.approx(65)
    assert lens.vfov_deg == pytest.approx(39.43, abs=0.01)


@pytest.mark.parametrize(
    ("attitude", "right", "down", "forward"),
    [
        (Attitude(pitch_deg=0, yaw_deg=0), (1, 0, 0), (0, 0, -1), (0, 1, 0)),
        (Attitude(pitch_deg=0, yaw_deg=90), (0, -1, 0), (0, 0, -1), (1, 0, 0)),
        (Attitude(pitch_deg=-90, yaw_deg=0), (1, 0, 0), (0, -1, 0), (0, 0, -1)),
        (Attitude(pitch_deg=-90, yaw_deg=90), (0, -1, 0), (-1, 0, 0), (0, 0, -1)),
        (Attitude(roll_deg=90, pitch_deg=0, yaw_deg=0), (0, 0, -1), (-1, 0, 0), (0, 1, 0)),
    ],
)
def test_axes_of_the_camera(
    attitude: Attitude, right: tuple[float, ...], down: tuple[float, ...], forward: tuple[float, ...]
) -> None:
    pose = Pose(utc_s=0, position=Position(lon=0, lat=0, altitude=Altitude(0, Datum.AMSL)), attitude=attitude)
    assert np.allclose(pose.enu_from_camera(), np.array([right, down, forward]).T, atol=1e-12)


def test_the_plane_keeps_distances() -> None:
    rng = np.random.default_rng(3)
    for lat in (-60.0, 0.0, 43.2, 75.0):
        plane = LocalPlane(lon=76.9, lat=lat)
        lon, lats = 76.9 + rng.uniform(-0.05, 0.05, 1000), lat + rng.uniform(-0.05, 0.05, 1000)
        east_m, north_m = plane.to_plane(lon, lats)
        back_lon, back_lat = plane.to_lonlat(east_m, north_m)
        assert max(np.abs(back_lon - lon).max(), np.abs(back_lat - lats).max()) < 1e-10
        true_m = distance_m(np.full(1000, 76.9), np.full(1000, lat), lon, lats)
        assert np.abs(np.hypot(east_m, north_m) / true_m - 1).max() < 2e-6
        turned = (np.degrees(np.arctan2(east_m, north_m)) - bearing_deg(76.9, lat, lon, lats) + 180) % 360 - 180
        assert np.abs(turned).max() < 1e-3


def test_ellipse_and_covariance_are_inverse() -> None:
    rng = np.random.default_rng(4)
    for _ in range(1000):
        root = rng.normal(0, 5, (2, 2))
        covariance = root @ root.T + 0.01 * np.eye(2)
        ellipse = Ellipse.from_covariance(covariance, float(rng.uniform(0.3, 0.99)))
        assert np.allclose(ellipse.covariance_m2(), covariance, rtol=1e-9)
        assert ellipse.semi_major_m >= ellipse.semi_minor_m
        assert 0 <= ellipse.orientation_deg < 180
    assert Ellipse.from_covariance(np.diag([1.0, 9.0])).orientation_deg == pytest.approx(0)
    assert Ellipse.from_covariance(np.diag([9.0, 1.0])).orientation_deg == pytest.approx(90)


def test_the_library() -> None:
    known = cameras()
    assert len(known) >= 15
    for slug, model in known.items():
        assert slug == slug.lower() == model.slug
        assert model.source
        assert model.shutter_interval_s > 0
        pitch_mm = model.sensor_width_mm / model.image_width_px, model.sensor_height_mm / model.image_height_px
        assert pitch_mm[0] == pytest.approx(pitch_mm[1], rel=0.03)
    assert camera("sony-rx1r2").gsd_m(100) == pytest.approx(100 / 35e-3 * 35.9e-3 / 7952)
    assert camera("dji-zenmuse-p1-35mm").height_m(0.0125) == pytest.approx(100, rel=0.01)
    wide = camera("sim-wide").brown_camera()
    assert (wide.width_px, wide.height_px, wide.k1, wide.k2) == (1280, 720, -0.08, 0.02)
    assert wide.hfov_deg == pytest.approx(65, abs=1e-6)
    assert camera_of_exif("FC300S\x00\x00") == camera("dji-phantom-3-pro")
    assert camera_of_exif("unheard of") is None


@pytest.mark.parametrize(
    ("slug", "said"), [("sony-rx1r3", "sony-rx1r2"), ("DJI-Zenmuse-P1", "p1-35mm"), ("?", "lists them")]
)
def test_unknown_cameras_get_suggestions(slug: str, said: str) -> None:
    with pytest.raises(CameraUnknown, match=said):
        camera(slug)


def pose(pitch_deg: float) -> Pose:
    place = Position(lon=76.9, lat=43.2, altitude=Altitude(900, Datum.AMSL))
    return Pose(utc_s=0, position=place, attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=0))


def test_footprint_of_a_nadir_frame_is_the_camera_s() -> None:
    lens = BrownCamera.from_fov(width_px=1280, height_px=720, hfov_deg=65)
    plane = LocalPlane(lon=76.9, lat=43.2, height_m=900)
    ring = shapely.get_coordinates(footprint(lens, pose(-90), FlatTerrain(800)))
    east_m, north_m = plane.to_plane(ring[:, 0], ring[:, 1])
    width_m = 200 * np.tan(np.radians(32.5))
    assert (np.ptp(east_m), np.ptp(north_m)) == pytest.approx((width_m, width_m * 720 / 1280), rel=1e-4)
    assert gsd_m(lens, 100) == pytest.approx(width_m / 1280)
    assert ground_gsd_m(lens, pose(-90), [(640, 360), (5, 5)], FlatTerrain(800)) == pytest.approx(
        width_m / 1280, rel=1e-4
    )


def test_footprint_ends_at_the_horizon_or_the_range() -> None:
    lens = BrownCamera.from_fov(width_px=1280, height_px=720, hfov_deg=65)
    plane = LocalPlane(lon=76.9, lat=43.2, height_m=900)
    shape = footprint(lens, pose(-15), FlatTerrain(800), max_range_m=1500)
    assert shape.is_valid
    ring = shapely.get_coordinates(shape)
    reach_m = np.hypot(*plane.to_plane(ring[:, 0], ring[:, 1]))
    assert 1350 < reach_m.max() <= 1500
    with pytest.raises(NoGround, match="no ground"):
        footprint(lens, pose(40), FlatTerrain(800))


def test_the_middle_of_a_frame() -> None:
    lens = BrownCamera.from_fov(width_px=1280, height_px=720, hfov_deg=65)
    middle = frame_center(lens, pose(-45), FlatTerrain(800))
    assert (middle.east_m[0], middle.north_m[0]) == pytest.approx((0, 100), abs=2e-3)
    with pytest.raises(NoGround, match="middle"):
        frame_center(lens, pose(5), FlatTerrain(800))


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_a_resized_camera_sees_the_same_rays(lens: BrownCamera | FisheyeCamera) -> None:
    small = lens.resized(640, 360)
    pixels = np.random.default_rng(1).uniform([0, 0], [639, 359], (100, 2))
    whole = (pixels + 0.5) * 2 - 0.5
    np.testing.assert_allclose(small.rays_from_pixels(pixels), lens.rays_from_pixels(whole), atol=1e-9)
    with pytest.raises(ValueError, match="1280 x 960"):
        lens.resized(1280, 960)


def test_pixels_that_show_nothing_have_no_place() -> None:
    """Beyond the circle of a fisheye, which looks straight down on level ground."""
    lens = FisheyeCamera(width_px=1000, height_px=1000, focal_px=300, k1=-0.15)
    found = locate_those_on_ground(lens, pose(-90), [(500, 500), (2, 2)], FlatTerrain(800), sigmas=PoseSigmas())
    assert found[0] is not None
    assert found[1] is None
    points = ground_points(lens, pose(-90), [(500, 500), (2, 2)], FlatTerrain(800))
    assert points.hit.tolist() == [True, False]
