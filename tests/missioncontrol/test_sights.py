"""Sights: what a picture shows of the ground, packed and unpacked."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from geo.cameras import BrownCamera
from geo.footprint import footprint, ground_gsd_m
from geo.location import ground_points
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, LocalPlane, Position, bearing_deg
from geo.terrain import FlatTerrain
from missioncontrol.sights import UNIT_DEG, Sight, corners_of, hull, metres_per_degree, pack, unpack

LON, LAT, GROUND_M = 76.945, 43.238, 800.0
TERRAIN = FlatTerrain(GROUND_M)
CAMERA = BrownCamera.from_fov(width_px=640, height_px=480, hfov_deg=70.0)


def pose(
    east_m: float, north_m: float, *, pitch_deg: float = -90.0, yaw_deg: float = 0.0, agl_m: float = 100.0
) -> Pose:
    lon, lat = LocalPlane(lon=LON, lat=LAT).to_lonlat(east_m, north_m)
    return Pose(
        utc_s=0.0,
        position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(GROUND_M + agl_m, Datum.AMSL)),
        attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=yaw_deg),
    )


def sight(where: Pose, time_s: float = 0.0) -> Sight:
    """Of a picture from there."""
    return Sight(
        time_s=time_s,
        lon=where.position.lon,
        lat=where.position.lat,
        height_m=where.position.altitude.value_m - GROUND_M,
        focal_px=CAMERA.focal_px,
        corners=corners_of(footprint(CAMERA, where, TERRAIN)),
    )


def test_packing_keeps_places_to_a_quarter_metre() -> None:
    random = np.random.default_rng(3)
    sights = [
        sight(
            pose(*random.uniform(-500, 500, 2), pitch_deg=random.uniform(-90, -40), yaw_deg=random.uniform(0, 360)), i
        )
        for i in range(60)
    ]
    packed = pack(sights)
    assert len(packed) < 60 * 27
    found = unpack([packed, packed])
    assert len(found) == 120
    assert found.clip.tolist() == [0] * 60 + [1] * 60
    wanted = np.array([one.corners for one in sights])
    assert np.abs(found.corners[60:] - wanted).max() <= UNIT_DEG / 2 + 1e-12
    assert np.abs(found.camera[:60] - [(one.lon, one.lat) for one in sights]).max() <= UNIT_DEG / 2 + 1e-12
    np.testing.assert_allclose(found.time_s[:60], np.arange(60), atol=0.011)
    np.testing.assert_allclose(found.focal_px, CAMERA.focal_px, atol=0.26)
    np.testing.assert_allclose(found.height_m, 100.0, atol=0.051)
    assert hull(found).contains(shapely.MultiPoint(found.corners.reshape(-1, 2)))


def test_what_does_not_fit_is_left_out_and_the_rest_stays() -> None:
    far = sight(pose(0, 0), time_s=2000.0)
    near = [sight(pose(10.0 * i, 0), time_s=i) for i in range(5)]
    found = unpack([pack([*near[:2], far, *near[2:]])])
    np.testing.assert_allclose(found.time_s, np.arange(5), atol=0.011)


def test_show_is_what_shapely_says_of_the_corners() -> None:
    random = np.random.default_rng(5)
    found = unpack(
        [pack([sight(pose(*random.uniform(-200, 200, 2), pitch_deg=-50.0, yaw_deg=yaw)) for yaw in range(0, 360, 3)])]
    )
    shapes = shapely.polygons(found.corners)
    hit = 0
    for _ in range(200):
        lon, lat = LON + random.uniform(-4e-3, 4e-3), LAT + random.uniform(-4e-3, 4e-3)
        expected = shapely.contains_xy(shapes, lon, lat)
        assert found.show(lon, lat).tolist() == expected.tolist()
        hit += int(expected.sum())
    assert hit > 500


def test_a_tilted_view_is_judged_as_the_geometry_of_its_camera_judges_it() -> None:
    random = np.random.default_rng(7)
    for _ in range(50):
        where = pose(
            *random.uniform(-100, 100, 2), pitch_deg=random.uniform(-80, -35), yaw_deg=random.uniform(0, 360),
            agl_m=random.uniform(60, 200),
        )  # fmt: skip
        seen = unpack([pack([sight(where)])])
        middle = np.array([[(CAMERA.width_px - 1) / 2, (CAMERA.height_px - 1) / 2]])
        place = ground_points(CAMERA, where, middle, TERRAIN)
        lon, lat = float(place.lon[0]), float(place.lat[0])
        gsd_m, off_nadir_deg, azimuth_deg, slant_m = (values[0] for values in seen.looks_at(lon, lat))
        assert gsd_m == pytest.approx(ground_gsd_m(CAMERA, where, middle, TERRAIN)[0], rel=0.01)
        assert off_nadir_deg == pytest.approx(90 + where.attitude.pitch_deg, abs=0.3)
        turned = (azimuth_deg - float(bearing_deg(where.position.lon, where.position.lat, lon, lat)) + 180) % 360 - 180
        assert abs(turned) < 0.6
        assert slant_m == pytest.approx(np.hypot(1, np.tan(np.radians(off_nadir_deg))) * seen.height_m[0], rel=1e-6)


def test_a_camera_that_stands_on_the_ground_sees_nothing_finely() -> None:
    whole = sight(pose(0.0, 0.0))
    standing = Sight(time_s=0.0, lon=LON, lat=LAT, height_m=0.0, focal_px=CAMERA.focal_px, corners=whole.corners)
    gsd_m, *_ = unpack([pack([standing, whole])]).looks_at(LON, LAT)
    assert np.isinf(gsd_m[0])
    assert 0 < gsd_m[1] < 1


def test_shares_of_an_area() -> None:
    plane = LocalPlane(lon=LON, lat=LAT)
    seen = unpack([pack([sight(pose(0, 0)), sight(pose(70.0, 0)), sight(pose(500.0, 0))])])
    width_m = 2 * 100 * np.tan(np.radians(35))
    lon, lat = plane.to_lonlat([0, width_m / 2, width_m / 2, 0], [-20, -20, 20, 20])
    area = shapely.Polygon(np.stack([lon, lat], axis=-1))
    shares = seen.shares(area)
    assert shares[0] == pytest.approx(1.0, abs=0.01)
    assert shares[1] == pytest.approx(1.0, abs=0.01)
    assert shares[2] == 0.0
    half = seen.shares(shapely.transform(area, lambda xy: xy + np.array([(lon[1] - lon[0]) / 2, 0])))
    assert half[0] == pytest.approx(0.5, abs=0.01)


def test_metres_per_degree_are_those_of_the_ellipsoid() -> None:
    for lat in (-60.0, 0.0, 43.2, 71.0):
        east_m, north_m = metres_per_degree(lat)
        plane = LocalPlane(lon=10.0, lat=lat)
        (x, _), (_, y) = (plane.to_plane(10.001, lat), plane.to_plane(10.0, lat + 0.001))
        assert east_m / 1000 == pytest.approx(float(x), rel=1e-5)
        assert north_m / 1000 == pytest.approx(float(y), rel=1e-4)
