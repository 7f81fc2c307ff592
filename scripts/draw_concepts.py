"""Draws frames, datums, time and ellipses as SVG, for docs/concepts.md: python scripts/draw_concepts.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from draw_patterns import BEGIN, GROUND, OUTLINE, PATH, SIGHT, WAY, Picture
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from geo.cameras import BrownCamera
from geo.geoids import HeightDatum, geoid
from geo.location import ground_points, locate
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import FlatTerrain

Array = NDArray[np.float64]

OUT = Path(__file__).parents[1] / "docs" / "images" / "concepts"
LON, LAT = 76.945, 43.238
HEIGHT_M, DRAWS = 100.0, 400


def frames() -> Picture:
    """The axes of the plane, of a vehicle and of its camera, from one attitude each."""
    picture = Picture(tilted=True)
    picture.shape([(-30, -20, 0), (60, -20, 0), (60, 45, 0), (-30, 45, 0)], fill=GROUND, stroke=OUTLINE)
    origin, vehicle = np.array([-18.0, -8.0, 0.0]), np.array([10.0, 10.0, 44.0])
    for name, axis in zip(("east", "north", "up"), np.eye(3), strict=True):
        _axis(picture, origin, axis * 14, f"{name}", OUTLINE)
    enu_from_ned = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])
    body = enu_from_ned @ Attitude(yaw_deg=100.0, pitch_deg=5.0).ned_from_body()
    for name, axis in zip(("forward", "right", "down"), body.T, strict=True):
        _axis(picture, vehicle, axis * 13, name, PATH)
    pose = Pose(utc_s=0.0, position=_place(30.0), attitude=Attitude(yaw_deg=100.0, pitch_deg=-50.0))
    camera = pose.enu_from_camera()
    hanging = vehicle + np.array([0.0, 0, -17.0])
    for name, axis in zip(("x", "y", "z: boresight"), camera.T, strict=True):
        _axis(picture, hanging, axis * (26 if name[0] == "z" else 9), name, SIGHT)
    reach = hanging[2] / -camera[2, 2]
    ground = hanging + camera[:, 2] * reach
    picture.line([hanging, ground], SIGHT, dash="4 4", faint=True)
    picture.dot(ground, SIGHT)
    picture.label(ground, "frame center", shift=(0, 18))
    return picture


def datums() -> Picture:
    """One height told four ways, above Almaty; not to scale."""
    picture = Picture(scaled=False)
    along = np.linspace(0, 600, 61)
    above_m = float(geoid(HeightDatum.EGM96).height_m(LON, LAT))
    ellipsoid = -30.0 - above_m
    sea = np.full_like(along, -30.0)
    ground = 40 + 30 * np.sin(along / 130) + along / 12
    picture.shape([*zip(along, ground, strict=True), (600, -90), (0, -90)], fill=GROUND, stroke=OUTLINE)
    picture.line(list(zip(along, sea, strict=True)), PATH)
    picture.line([(0, ellipsoid), (600, ellipsoid)], WAY, dash="6 5")
    at, home = 380.0, 120.0
    top = 240.0
    picture.dot((at, top), PATH, size=7)
    for x, base, text, colour in (
        (at - 90, ellipsoid, "W84", WAY),
        (at - 30, -30.0, "AMSL", PATH),
        (at + 30, float(np.interp(at, along, ground)), "AGL", BEGIN),
        (at + 90, float(np.interp(home, along, ground)), "HOME", SIGHT),
    ):
        picture.line([(x, base), (x, top)], colour)
        picture.line([(x, top), (at, top)], colour, width=1.0, faint=True)
        picture.label((x, (base + top) / 2), text)
    picture.dot((home, float(np.interp(home, along, ground))), SIGHT)
    picture.label((home, float(np.interp(home, along, ground))), "home", shift=(0, -12))
    picture.label((70, -30), "mean sea level (EGM96)", shift=(30, -6))
    picture.label((70, ellipsoid), f"ellipsoid: here {-above_m:.0f} m above", shift=(30, -6))
    return picture


def times() -> Picture:
    """Telemetry by its clock, a frame by its own, and the yaw between two samples by slerp."""
    picture = Picture(scaled=False)
    samples = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    yaws = np.array([10.0, 30.0, 75.0, 90.0, 80.0])
    turns = Slerp(samples, Rotation.from_euler("z", yaws[:, None], degrees=True))
    fine = np.linspace(0, 4, 121)
    curve = np.unwrap(turns(fine).as_euler("ZYX", degrees=True)[:, 0], period=360)
    picture.line(list(zip(fine * 130, curve * 2, strict=True)), PATH)
    for t, yaw in zip(samples, yaws, strict=True):
        picture.dot((t * 130, yaw * 2), PATH)
        picture.line([(t * 130, -25), (t * 130, -15)], PATH)
    said, offset, sigma = 1.25, 0.35, 0.08
    true = said + offset
    yaw = float(np.interp(true, fine, curve))
    picture.shape(
        [((true + side * sigma) * 130, level) for side, level in ((-1, -25), (1, -25), (1, 190), (-1, 190))],
        fill="#fbe7cc",
    )
    picture.line([(said * 130, -25), (said * 130, 190)], WAY, dash="5 5")
    picture.line([(true * 130, -25), (true * 130, yaw * 2)], SIGHT)
    picture.dot((true * 130, yaw * 2), SIGHT, size=6)
    picture.line([(said * 130, 170), (true * 130, 170)], SIGHT, width=1.5)
    picture.label((said * 130, 190), "frame, by its clock", shift=(-40, -6))
    picture.label((true * 130, 190), "offset and its sigma", shift=(70, 4))
    picture.label((520, 160), "telemetry", shift=(0, 22))
    picture.label((true * 130, yaw * 2), "pose of the frame", shift=(70, 4))
    return picture


def ellipses() -> Picture:
    """Places of one pixel under drawn errors, and the ellipse that `locate` states, at three depressions."""
    picture = Picture()
    rng = np.random.default_rng(7)
    sigmas = PoseSigmas(horizontal_m=1.5, vertical_m=2.0, tilt_deg=0.8, yaw_deg=2.0, time_s=0.0)
    camera = BrownCamera.from_fov(width_px=1280, height_px=720, hfov_deg=70)
    middle = [(camera.width_px - 1) / 2, (camera.height_px - 1) / 2]
    terrain, plane = FlatTerrain(0.0), LocalPlane(lon=LON, lat=LAT)
    for number, depression_deg in enumerate((90.0, 45.0, 25.0)):
        pose = Pose(utc_s=0.0, position=_place(HEIGHT_M), attitude=Attitude(pitch_deg=-depression_deg, yaw_deg=40.0))
        (found,) = locate(camera, pose, [middle], terrain, sigmas=sigmas, dem_sigma_m=1.0, pixel_sigma_px=2.0)
        center = np.array(plane.to_plane(found.position.lon, found.position.lat)).ravel()
        shift = np.array([number * 55.0 - center[0], -center[1]])
        inside, covariance = 0, np.linalg.inv(found.ellipse.covariance_m2())
        for _ in range(DRAWS):
            drawn, level = _drawn(pose, sigmas, rng), rng.normal(0, 1.0)
            pixel = np.array(middle) + rng.normal(0, 2.0, 2)
            hit = ground_points(camera, drawn, [pixel], FlatTerrain(level))
            place = np.array(plane.to_plane(hit.lon, hit.lat)).ravel()
            inside += float((place - center) @ covariance @ (place - center)) < -2 * np.log(0.1)
            picture.dot(place + shift, PATH, size=1.6)
        picture.line(_outline(found.ellipse.covariance_m2()) + center + shift, SIGHT, width=2.5)
        picture.label(
            (number * 55.0, -34),
            f"{depression_deg:.0f} deg: {inside / DRAWS:.2f} inside",
            shift=(14 if number == 0 else 0, 0),
        )
    return picture


def _drawn(pose: Pose, sigmas: PoseSigmas, rng: np.random.Generator) -> Pose:
    """The pose with errors drawn as the sigmas say: a camera that is not quite where and as it is said to be."""
    plane = LocalPlane(lon=pose.position.lon, lat=pose.position.lat)
    lon, lat = plane.to_lonlat(*rng.normal(0, sigmas.horizontal_m, 2))
    up_m = pose.position.altitude.value_m + rng.normal(0, sigmas.vertical_m)
    turn = np.radians(rng.normal(0, 1, 3) * [sigmas.tilt_deg, sigmas.tilt_deg, sigmas.yaw_deg])
    turned = Rotation.from_rotvec(turn).as_matrix() @ pose.attitude.ned_from_body()
    yaw, pitch, roll = Rotation.from_matrix(turned).as_euler("ZYX", degrees=True)
    place = Position(lon=float(lon), lat=float(lat), altitude=Altitude(up_m, Datum.AMSL))
    return Pose(utc_s=0.0, position=place, attitude=Attitude(roll_deg=roll, pitch_deg=pitch, yaw_deg=yaw))


def _outline(covariance_m2: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance_m2)
    angles = np.linspace(0, 2 * np.pi, 91)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    return np.asarray((vectors @ (np.sqrt(-2 * np.log(0.1) * values)[:, None] * circle)).T)


def _place(amsl_m: float) -> Position:
    return Position(lon=LON, lat=LAT, altitude=Altitude(amsl_m, Datum.AMSL))


def _axis(picture: Picture, origin: Array, axis: Array, name: str, colour: str) -> None:
    picture.line([origin, origin + axis], colour, width=2.5)
    picture.arrow(origin + axis * 0.6, origin + axis * 1.4, colour)
    picture.label(origin + axis * 1.15, name)


def main() -> None:
    """Write each picture to `docs/images/concepts/`."""
    OUT.mkdir(parents=True, exist_ok=True)
    for draw in (frames, datums, times, ellipses):
        (OUT / f"{draw.__name__}.svg").write_text(draw().svg() + "\n")


if __name__ == "__main__":
    main()
