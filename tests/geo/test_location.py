"""Pixels to ground: known truth, and ellipses that hold what they promise."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import rasterio
from scipy.spatial.transform import Rotation

from geo.cameras import BrownCamera
from geo.errors import DatumUnknown, NoGround, TerrainMissing
from geo.geoids import HeightDatum, geoid
from geo.layers import HIT
from geo.location import CAUSES, GroundPoints, Location, ground_points, locate, locate_those_on_ground
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import EARTH_RADIUS_M, Altitude, Datum, LocalPlane, Position
from geo.relief import relief_of
from geo.sightlines import eye_at
from geo.terrain import FlatTerrain, GridTerrain, Terrain

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


def above(value_m: float, datum: Datum) -> Pose:
    """Straight down from a height above a datum."""
    position = Position(lon=LON, lat=LAT, altitude=Altitude(value_m, datum))
    return Pose(utc_s=0, position=position, attitude=Attitude(pitch_deg=-90, yaw_deg=0))


def test_heights_of_the_camera_are_converted_and_home_refused() -> None:
    ground = FlatTerrain(812)
    geoid_m = float(geoid(HeightDatum.EGM96).height_m(LON, LAT))
    assert geoid_m < -30
    for view in (above(80, Datum.AGL), above(892, Datum.AMSL), above(892 + geoid_m, Datum.W84)):
        (found,) = locate(CAMERA, view, [CAMERA.center_px], ground, sigmas=PoseSigmas())
        assert found.slant_range_m == pytest.approx(80, abs=1e-3)
    with pytest.raises(DatumUnknown, match="HOME"):
        locate(CAMERA, above(80, Datum.HOME), [CAMERA.center_px], ground, sigmas=PoseSigmas())


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


class Draw:
    """True cameras drawn about a stated one, each by its own errors, and what the pixel then shows."""

    def __init__(self, view: Pose, sigmas: PoseSigmas, *, seed: int, count: int) -> None:
        self.view, self.sigmas, self.count = view, sigmas, count
        self.rng = np.random.default_rng(seed)

    def rays(self, camera: BrownCamera, pixel: np.ndarray, pixel_sigma_px: float, turn_rate: np.ndarray) -> np.ndarray:
        """(n, 3) east, north, up: lens, then gimbal, then platform, then the turn in the time that is wrong."""
        sigmas, rng, size = self.sigmas, self.rng, (self.count, 3)
        pixels = pixel + rng.normal(0, 1, (self.count, 2)) * pixel_sigma_px
        if sigmas.focal_share or sigmas.center_px:
            focal = camera.focal_px * (1 + rng.normal(0, 1, self.count) * sigmas.focal_share)
            middle = camera.center_px + rng.normal(0, 1, (self.count, 2)) * sigmas.center_px
            # a lens of another focal length and centre shows at the pixel what the stated one shows here
            pixels = (pixels - middle) * (camera.focal_px / focal)[:, None] + camera.center_px
        gimbal = [sigmas.gimbal_pitch_deg, sigmas.gimbal_yaw_deg, sigmas.gimbal_roll_deg]
        rays = Rotation.from_rotvec(np.radians(rng.normal(0, 1, size) * gimbal)).apply(camera.rays_from_pixels(pixels))
        platform = np.radians(rng.normal(0, 1, size) * [sigmas.tilt_deg, sigmas.tilt_deg, sigmas.yaw_deg])
        rays = Rotation.from_rotvec(platform).apply(rays @ self.view.enu_from_camera().T)
        self.late_s = rng.normal(0, 1, self.count) * sigmas.time_s
        return Rotation.from_rotvec(np.radians(turn_rate) * self.late_s[:, None]).apply(rays)

    def feet(self, velocity: np.ndarray) -> np.ndarray:
        """(n, 3) where the cameras truly are, from where they are stated to be; after `rays`."""
        spread = [self.sigmas.horizontal_m, self.sigmas.horizontal_m, self.sigmas.vertical_m]
        return self.rng.normal(0, 1, (self.count, 3)) * spread + self.late_s[:, None] * velocity


def held(stated: Location, points: GroundPoints, places: np.ndarray, confidence: float = 0.9) -> float:
    """Share of places (n, 2; m on the camera's plane) inside the stated ellipse."""
    off = places - np.array([points.east_m[0], points.north_m[0]])
    inverse = np.linalg.inv(np.array(stated.covariance_m2)[:2, :2])
    distance2 = np.einsum("ni,ij,nj->n", off, inverse, off)
    return float(np.mean(np.nan_to_num(distance2, nan=np.inf) < -2 * np.log(1 - confidence)))


def on_terrain(view: Pose, terrain: Terrain, rays: np.ndarray, feet: np.ndarray, raised_m: np.ndarray) -> np.ndarray:
    """(n, 2) m on the plane of the stated camera: where rays from feet meet ground that is raised; NaN for sky."""
    relief, places = relief_of(terrain), np.full((len(rays), 2), np.nan)
    plane = LocalPlane(lon=LON, lat=LAT, height_m=view.position.altitude.value_m)
    lon, lat = plane.to_lonlat(feet[:, 0], feet[:, 1])
    for row in range(len(rays)):
        eye = eye_at(lon[row], lat[row], view.position.altitude.value_m + feet[row, 2] - raised_m[row])
        cast = relief.cast(eye, np.eye(3), rays[row : row + 1], max_range_m=20_000)
        if cast.worst == HIT:
            places[row] = feet[row, :2] + cast.rows[0, 0] * cast.rows[0, 1:3]
    return places


NOTHING = PoseSigmas(horizontal_m=0, vertical_m=0, tilt_deg=0, yaw_deg=0, time_s=0)
SPREADS = {
    "position": msgspec.structs.replace(NOTHING, horizontal_m=1.5, vertical_m=2.0),
    "platform": msgspec.structs.replace(NOTHING, tilt_deg=0.6, yaw_deg=2.0),
    "gimbal": msgspec.structs.replace(NOTHING, gimbal_pitch_deg=0.5, gimbal_yaw_deg=0.8, gimbal_roll_deg=1.5),
    "time": msgspec.structs.replace(NOTHING, time_s=0.1),
    "focal length": msgspec.structs.replace(NOTHING, focal_share=0.02),
    "principal point": msgspec.structs.replace(NOTHING, center_px=9.0),
    "pixel": NOTHING,
    "ground": NOTHING,
    "datum": NOTHING,
}
PLAIN = BrownCamera(width_px=1280, height_px=720, focal_px=1004.6)
PIXEL = np.array([1000.0, 560.0])
VELOCITY, TURN_RATE = (6.0, -3.0, 0.5), (4.0, -3.0, 10.0)


@pytest.mark.parametrize("pitch_deg", [-90.0, -40.0])
@pytest.mark.parametrize("cause", SPREADS)
def test_each_cause_by_itself_moves_the_place_as_monte_carlo_does(cause: str, pitch_deg: float) -> None:
    """The covariance of 4000 draws of one cause, to 8 % of its largest part."""
    view = pose(pitch_deg=pitch_deg, yaw_deg=33, roll_deg=3)
    pixel_sigma_px = 4.0 if cause == "pixel" else 0.0
    ground_m, datum_m = (1.5 if cause == "ground" else 0.0), (2.5 if cause == "datum" else 0.0)
    stated = locate(
        PLAIN, view, [PIXEL], FlatTerrain(800), sigmas=SPREADS[cause], velocity_enu_m_s=VELOCITY,
        turn_rate_enu_deg_s=TURN_RATE, pixel_sigma_px=pixel_sigma_px, dem_sigma_m=ground_m, datum_sigma_m=datum_m,
    )  # fmt: skip
    draw = Draw(view, SPREADS[cause], seed=4, count=4000)
    rays = draw.rays(PLAIN, PIXEL, pixel_sigma_px, np.array(TURN_RATE))
    feet = draw.feet(np.array(VELOCITY))
    raised_m = np.hypot(ground_m, datum_m) * draw.rng.normal(0, 1, 4000)
    places = feet[:, :2] + rays[:, :2] * ((80 + feet[:, 2] - raised_m) / -rays[:, 2])[:, None]
    expected = np.cov(places.T)
    np.testing.assert_allclose(stated.covariances_m2[0][:2, :2], expected, atol=0.08 * np.trace(expected))
    other = [row for row, name in enumerate(CAUSES) if name not in CAUSED[cause] and not name.startswith("bend")]
    assert not stated.moves_m[0][other].any()


CAUSED = {
    "position": ("east", "north", "up"),
    "platform": ("tilt_east", "tilt_north", "yaw"),
    "gimbal": ("gimbal_pitch", "gimbal_yaw", "gimbal_roll"),
    "time": ("time",),
    "focal length": ("focal",),
    "principal point": ("center_u", "center_v"),
    "pixel": ("u", "v"),
    "ground": ("surface",),
    "datum": ("datum",),
}


@pytest.mark.parametrize("roll_deg", [0.0, 4.0])
@pytest.mark.parametrize("pitch_deg", [-90.0, -60.0, -45.0, -25.0])
def test_the_ellipse_holds_nine_in_ten(pitch_deg: float, roll_deg: float) -> None:
    """Against Monte Carlo with all causes at once: 4000 true cameras drawn about the reported one."""
    sigmas = PoseSigmas(
        horizontal_m=1.5, vertical_m=2.0, tilt_deg=0.6, yaw_deg=2.0, time_s=0.1, gimbal_pitch_deg=0.3,
        gimbal_yaw_deg=0.4, gimbal_roll_deg=0.5, focal_share=0.01, center_px=5.0,
    )  # fmt: skip
    view = pose(pitch_deg=pitch_deg, yaw_deg=33, roll_deg=roll_deg)
    stated = locate(
        PLAIN, view, [PIXEL], FlatTerrain(800), sigmas=sigmas, velocity_enu_m_s=VELOCITY, turn_rate_enu_deg_s=TURN_RATE,
        pixel_sigma_px=4.0, target_height_m=1.0, target_height_sigma_m=0.8, dem_sigma_m=1.5, datum_sigma_m=0.7,
    )  # fmt: skip
    draw = Draw(view, sigmas, seed=int(-pitch_deg + roll_deg), count=4000)
    rays = draw.rays(PLAIN, PIXEL, 4.0, np.array(TURN_RATE))
    feet = draw.feet(np.array(VELOCITY))
    fall_m = 79.0 + feet[:, 2] - np.sqrt(1.5**2 + 0.8**2 + 0.7**2) * draw.rng.normal(0, 1, 4000)
    places = feet[:, :2] + rays[:, :2] * (fall_m / -rays[:, 2])[:, None]
    assert held(stated[0], stated.points, places) == pytest.approx(0.9, abs=0.02)
    assert held(stated[0], stated.points, places, 0.95) == pytest.approx(0.95, abs=0.015)


def test_the_ellipse_holds_on_a_slope() -> None:
    """On ground that tilts 17 deg the ray is cast over the raster for each of 1500 drawn cameras."""
    row, _ = np.mgrid[0:400, 0:400]
    corner = rasterio.Affine(6e-5, 0, LON - 0.012, 0, -4.5e-5, LAT + 0.009)
    terrain = GridTerrain(800 - (row - 200) * 1.5, corner, name="slope")
    sigmas = PoseSigmas(horizontal_m=1.5, vertical_m=2.0, tilt_deg=0.5, yaw_deg=2.0, time_s=0.0)
    view, pixel = pose(pitch_deg=-45, yaw_deg=10), np.array([300.0, 200.0])
    stated = locate(CAMERA, view, [pixel], terrain, sigmas=sigmas, pixel_sigma_px=3.0, dem_sigma_m=1.0)
    draw = Draw(view, sigmas, seed=5, count=1500)
    rays = draw.rays(CAMERA, pixel, 3.0, np.zeros(3))
    places = on_terrain(view, terrain, rays, draw.feet(np.zeros(3)), draw.rng.normal(0, 1, 1500))
    assert held(stated[0], stated.points, places) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("pitch_deg", [-60.0, -25.0])
def test_among_buildings_the_ellipses_hold_on_average(pitch_deg: float) -> None:
    """Edges of roofs make two places out of one; over 80 pixels of a town 0.9 of the draws still lie inside."""
    rng = np.random.default_rng(1)
    heights = np.full((1000, 1000), 800.0)
    for _ in range(500):
        top, left, down, right = *rng.integers(0, 960, 2), *rng.integers(5, 25, 2)
        heights[top : top + down, left : left + right] = 800 + rng.uniform(4, 35)
    heights[495:505, 495:505] = 800
    step = 1 / 111_132
    terrain = GridTerrain(
        heights, rasterio.Affine(1.37 * step, 0, LON - 685 * step, 0, -step, LAT + 500 * step), name="town"
    )
    sigmas, shares = PoseSigmas(horizontal_m=1.2, vertical_m=1.5, tilt_deg=0.4, yaw_deg=1.5, time_s=0.0), []
    for number in range(80):
        view = pose(pitch_deg=pitch_deg, yaw_deg=rng.uniform(0, 360))
        pixel = rng.uniform([100, 250], [1180, 620])
        stated = locate(CAMERA, view, [pixel], terrain, sigmas=sigmas, pixel_sigma_px=3.0, dem_sigma_m=0.5)
        draw = Draw(view, sigmas, seed=number, count=60)
        rays = draw.rays(CAMERA, pixel, 3.0, np.zeros(3))
        places = on_terrain(view, terrain, rays, draw.feet(np.zeros(3)), 0.5 * draw.rng.normal(0, 1, 60))
        shares.append(held(stated[0], stated.points, places))
    assert np.mean(shares) == pytest.approx(0.89, abs=0.03)


@pytest.mark.parametrize(("tilt_deg", "pitch_deg"), [(0.1, -1.2), (0.6, -5.0), (0.6, -3.0), (0.6, -2.0), (1.0, -4.0)])
def test_grazing_rays_have_ellipses_that_are_wide_enough(tilt_deg: float, pitch_deg: float) -> None:
    """Far errors are longer than near ones there; 3000 draws over the round earth."""
    sigmas = PoseSigmas(horizontal_m=1.5, vertical_m=2.0, tilt_deg=tilt_deg, yaw_deg=2.0, time_s=0.0)
    view, pixel = pose(pitch_deg=pitch_deg), np.array(CAMERA.center_px)
    stated = locate(CAMERA, view, [pixel], FlatTerrain(800), sigmas=sigmas, max_range_m=9000)
    draw = Draw(view, sigmas, seed=9, count=3000)
    rays = draw.rays(CAMERA, pixel, 2.0, np.zeros(3))
    places = on_terrain(view, FlatTerrain(800), rays, draw.feet(np.zeros(3)), draw.rng.normal(0, 1, 3000))
    assert 0.87 < held(stated[0], stated.points, places) < 0.93


def test_where_no_ellipse_holds_that_is_said() -> None:
    view, sigmas = pose(pitch_deg=-1.2), PoseSigmas(tilt_deg=0.6)
    pixels = [CAMERA.center_px, (640, 700)]
    with pytest.raises(NoGround, match=r"pixel 639\.5,359\.5 grazes the ground"):
        locate(CAMERA, view, pixels, FlatTerrain(800), sigmas=sigmas, max_range_m=9000)
    seen = locate_those_on_ground(CAMERA, view, pixels, FlatTerrain(800), sigmas=sigmas, max_range_m=9000)
    assert [one is None for one in seen] == [True, False]
    exact = locate(CAMERA, view, pixels, FlatTerrain(800), sigmas=msgspec.structs.replace(sigmas, tilt_deg=0.02))
    assert len(exact) == 2


def test_what_a_location_reports() -> None:
    stated = locate(
        CAMERA, pose(pitch_deg=-40), [(300, 500), (900, 200)], hills(), sigmas=PoseSigmas(), confidence=0.95
    )
    assert [one.position for one in stated[:]] == [one.position for one in stated]
    for one in stated:
        at_90, at_95 = one.ellipse_at(0.9), one.ellipse
        assert at_95.semi_major_m / at_90.semi_major_m == pytest.approx(np.sqrt(np.log(0.05) / np.log(0.1)))
        assert at_90.orientation_deg == at_95.orientation_deg
        np.testing.assert_allclose(at_90.covariance_m2(), np.array(one.covariance_m2)[:2, :2], rtol=1e-9)
        moves = np.array(one.moves_m)
        assert moves.shape == (len(CAUSES), 3)
        np.testing.assert_allclose(moves.T @ moves, one.covariance_m2)
        assert at_90.semi_minor_m < one.ce90_m < at_90.semi_major_m
        assert one.le90_m == pytest.approx(1.64485 * one.height_sigma_m, rel=1e-5)
        assert (one.klv_errors.target_ce90_m, one.klv_errors.target_le90_m) == (one.ce90_m, one.le90_m)
        assert (one.cot_errors.ce, one.cot_errors.le) == pytest.approx(
            (one.ce90_m / 2.145966, one.height_sigma_m), rel=1e-6
        )
