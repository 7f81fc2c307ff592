"""Trials of locating: simulated vehicles look at the ground with the errors of their sensors, and the truth is known.

The errors are the processes of simulated autopilots (`simulators.autopilot_sensors`): they wander, each at its own
pace; the clock is off by one draw a flight, and the terrain model by a smooth field. The locating knows the
sigmas and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import rasterio.transform
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from geo.cameras import BrownCamera
from geo.errors import TerrainMissing
from geo.fusion import Fused, Sight, fuse_jointly
from geo.location import Location, ground_points, locate_those_on_ground
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import GridTerrain
from simulators.autopilot_sensors import SensorErrors, Sensors

Array = NDArray[np.float64]

CAMERA = BrownCamera.from_fov(width_px=1280, height_px=720, hfov_deg=65)
PLANE = LocalPlane(lon=76.945, lat=43.205, height_m=800.0)
SIDE_M, POST_M = 2000.0, 10.0
"""Half the side of the ground, and the distance between its posts."""
HILLS_M, HILL_M = 25.0, 250.0
"""Standard deviation of the ground's heights, and how wide its hills are."""
BLOCK_SIDE_M, BLOCK_POST_M, BLOCK_HILLS_M = 700.0, 2.0, 5.0
"""The same of ground with buildings: half its side, the distance between its posts, and its hills."""
BUILT_SHARE, LOWEST_ROOF_M, HIGHEST_ROOF_M = 0.25, 3.0, 25.0
"""How much of it is built on, and how high."""
WALL_M = 2.0
"""A place is at a wall where heights within two posts of it differ by more."""
APART_S = 120.0
"""Between single looks: errors have mostly forgotten each other."""
SPEED_M_S = 8.0


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How well a vehicle is equipped."""

    name: str
    """What it is called in tables."""
    errors: SensorErrors
    """Of its sensors."""
    time_s: float
    """One sigma of the offset between the clocks of video and telemetry, s."""
    dem_sigma_m: float = 1.0
    """One sigma of the terrain's heights, m."""
    pixel_sigma_px: float = 3.0
    """One sigma of where a thing is seen in the picture, px."""

    @property
    def sigmas(self) -> PoseSigmas:
        """What the locating is told of it."""
        errors = self.errors
        return PoseSigmas(
            horizontal_m=errors.horizontal_m,
            vertical_m=errors.vertical_m,
            tilt_deg=errors.tilt_deg,
            yaw_deg=errors.yaw_deg,
            time_s=self.time_s,
            gimbal_pitch_deg=errors.gimbal_deg,
            gimbal_yaw_deg=errors.gimbal_deg,
            gimbal_roll_deg=errors.gimbal_deg,
        )


CONSUMER = Setting(
    name="consumer",
    errors=SensorErrors(horizontal_m=1.5, vertical_m=2.5, tilt_deg=0.5, yaw_deg=2.0, gimbal_deg=0.3),
    time_s=0.1,
)
SYNCHRONISED = Setting(name="well synchronised", errors=SensorErrors(), time_s=0.01)
RTK = Setting(
    name="RTK",
    errors=SensorErrors(horizontal_m=0.02, vertical_m=0.03, tilt_deg=0.1, yaw_deg=0.3, gimbal_deg=0.05),
    time_s=0.005,
    dem_sigma_m=0.15,
)
SETTINGS = (CONSUMER, SYNCHRONISED, RTK)


@dataclass(frozen=True)
class Ground:
    """Hills as they are, and as the terrain model has them."""

    true: GridTerrain
    believed: GridTerrain

    @classmethod
    def drawn(cls, rng: np.random.Generator, dem_sigma_m: float) -> Ground:
        """Hills of one draw, wrong by a smooth field of that sigma."""
        hills = 800.0 + _field(rng, HILLS_M, HILL_M)
        return cls(true=_grid(hills + _field(rng, dem_sigma_m, 60.0)), believed=_grid(hills))

    @classmethod
    def built(cls, rng: np.random.Generator, dem_sigma_m: float) -> Ground:
        """Low hills with buildings of 10 to 40 m a side, wrong by a smooth field of that sigma."""
        side = BLOCK_SIDE_M, BLOCK_POST_M
        surface = 800.0 + _field(rng, BLOCK_HILLS_M, HILL_M, *side)
        ground, least, most = surface.copy(), int(10 / BLOCK_POST_M), int(40 / BLOCK_POST_M)
        while (surface > ground).mean() < BUILT_SHARE:
            row, col = rng.integers(0, len(ground) - most, 2)
            rows, cols = rng.integers(least, most, 2)
            box = slice(row, row + rows), slice(col, col + cols)
            surface[box] = ground[box].mean() + rng.uniform(LOWEST_ROOF_M, HIGHEST_ROOF_M)
        true = surface + _field(rng, dem_sigma_m, 60.0, *side)
        return cls(true=_grid(true, BLOCK_SIDE_M), believed=_grid(surface, BLOCK_SIDE_M))


@dataclass(frozen=True)
class Trial:
    """Places that were located, against the truth: arrays of one length."""

    errors_m: Array
    """(n, 2) east and north from the truth to where it was located, m."""
    covariances_m2: Array
    """(n, 2, 2) of the ellipses, m2."""


class Flight:
    """A vehicle's errors over a flight."""

    def __init__(self, setting: Setting, seed: int) -> None:
        """All errors from one seed."""
        self._setting, self._sensors = setting, Sensors(setting.errors, seed)
        self._offset_s = float(np.random.default_rng([seed, 5]).normal(0.0, setting.time_s))

    def step(self, dt_s: float) -> None:
        """All errors `dt_s` later."""
        self._sensors.step(dt_s)

    def poses(self, at_m: Array, amsl_m: float, look: Attitude, heading_deg: float, utc_s: float) -> tuple[Pose, Pose]:
        """The true pose at `at_m` (east, north of the plane), and the believed one of a vehicle on that heading."""
        sensors = self._sensors
        course = np.radians(heading_deg)
        late_m = SPEED_M_S * self._offset_s
        east_m = at_m[0] + sensors.east.value + late_m * np.sin(course)
        north_m = at_m[1] + sensors.north.value + late_m * np.cos(course)
        tilt_north = sensors.roll.value * np.cos(course) - sensors.pitch.value * np.sin(course)
        tilt_east = sensors.roll.value * np.sin(course) + sensors.pitch.value * np.cos(course)
        platform = Rotation.from_rotvec([tilt_north, tilt_east, sensors.yaw.value])
        gimbal = Rotation.from_rotvec([sensors.gimbal_roll.value, sensors.gimbal_pitch.value, sensors.gimbal_yaw.value])
        turned = platform * Rotation.from_matrix(look.ned_from_body()) * gimbal
        return _pose(at_m[0], at_m[1], amsl_m, look, utc_s), _pose(
            east_m, north_m, amsl_m + sensors.up.value, _attitude(turned), utc_s
        )


def single_looks(setting: Setting, depression_deg: float, *, seeds: range, looks: int, height_m: float = 80.0) -> Trial:
    """`looks` of each seed's flight at random places, with the camera `depression_deg` below the horizon.

    Looks that see no ground, or graze it so that locating refuses, are left out.
    """
    return _trial([
        (error, covariance)
        for seed in seeds
        for rng in [np.random.default_rng([seed, 1])]
        for error, covariance, _ in _looks(
            setting, Ground.drawn(rng, setting.dem_sigma_m), depression_deg, seed, looks, height_m, SIDE_M / 2, rng
        )
    ])  # fmt: skip


def looks_among_buildings(
    setting: Setting, depression_deg: float, *, seeds: range, looks: int, height_m: float = 80.0
) -> tuple[Trial, Trial]:
    """As `single_looks`, over ground with buildings: those that land in the open or on roofs, and those at walls."""
    kept: tuple[list[tuple[Array, Array]], list[tuple[Array, Array]]] = ([], [])
    for seed in seeds:
        rng = np.random.default_rng([seed, 4])
        ground = Ground.built(rng, setting.dem_sigma_m)
        for error, covariance, found_m in _looks(
            setting, ground, depression_deg, seed, looks, height_m, BLOCK_SIDE_M / 5, rng
        ):
            around_m = found_m[:, None] + np.mgrid[-2:3, -2:3].reshape(2, -1) * BLOCK_POST_M
            kept[int(np.ptp(_amsl_m(ground.believed, around_m)) > WALL_M)].append((error, covariance))
    return _trial(kept[0]), _trial(kept[1])


def _looks(
    setting: Setting, ground: Ground, depression_deg: float, seed: int, looks: int, height_m: float, reach_m: float,
    rng: np.random.Generator,
) -> Iterator[tuple[Array, Array, Array]]:  # fmt: skip
    """Of one flight's looks the error, m, the covariance, m2, and the place found, m."""
    flight = Flight(setting, seed)
    for number in range(looks):
        flight.step(APART_S)
        at_m = rng.uniform(-reach_m, reach_m, 2)
        heading_deg, yaw_deg = rng.uniform(0, 360, 2).tolist()
        look = Attitude(pitch_deg=-depression_deg, yaw_deg=yaw_deg)
        true, believed = flight.poses(at_m, _over(ground, at_m, height_m), look, heading_deg, number * APART_S)
        pixel = np.array([CAMERA.width_px, CAMERA.height_px]) * rng.uniform(0.25, 0.75, 2)
        try:
            points = ground_points(CAMERA, true, pixel, ground.true)
        except TerrainMissing:
            continue
        if not points.hit.all():
            continue
        truth_m = np.array(PLANE.to_plane(points.lon[0], points.lat[0]))
        found = _located(setting, ground, believed, pixel, heading_deg, rng)
        if found is None:
            continue
        yield _on_plane(found) - truth_m, np.array(found.covariance_m2)[:2, :2], _on_plane(found)


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Vehicles that circle a thing and look at it (at 90 deg depression: that cross over it)."""

    name: str
    """What it is called in tables."""
    vehicles: int
    """How many."""
    looks: int
    """Of each vehicle."""
    every_s: float
    """Between the looks of a vehicle, s."""


CIRCLE = Watch(name="one vehicle for a minute", vehicles=1, looks=12, every_s=5.0)
ALONE = Watch(name="one vehicle for eight minutes", vehicles=1, looks=24, every_s=20.0)
TOGETHER = Watch(name="three vehicles for eight minutes", vehicles=3, looks=24, every_s=20.0)
WATCHES = (CIRCLE, ALONE, TOGETHER)


def fused_looks(
    setting: Setting, depression_deg: float, watch: Watch, *, seeds: range, height_m: float = 80.0
) -> tuple[Trial, Trial]:
    """First looks at a thing in each seed, and the places fused from all looks of the watch."""
    first: list[tuple[Array, Array]] = []
    fused: list[tuple[Array, Array]] = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 2])
        ground = Ground.drawn(rng, setting.dem_sigma_m)
        thing_m = rng.uniform(-SIDE_M / 4, SIDE_M / 4, 2)
        sights = [
            sight
            for vehicle in range(watch.vehicles)
            for sight in _circling(setting, ground, thing_m, depression_deg, watch, seed * 100 + vehicle, height_m)
        ]
        joint = fuse_jointly(sights)
        for kept, place in ((first, sights[0].location), (fused, joint.things["thing"])):
            kept.append((_on_plane(place) - thing_m, np.array(place.covariance_m2)[:2, :2]))
    return _trial(first), _trial(fused)


def _trial(kept: list[tuple[Array, Array]]) -> Trial:
    return Trial(np.array([error for error, _ in kept]), np.array([covariance for _, covariance in kept]))


def _circling(
    setting: Setting, ground: Ground, thing_m: Array, depression_deg: float, watch: Watch, seed: int, height_m: float
) -> list[Sight]:
    rng = np.random.default_rng([seed, 3])
    flight = Flight(setting, seed)
    amsl_m = float(_amsl_m(ground.true, thing_m)) + height_m
    radius_m = height_m / np.tan(np.radians(depression_deg))
    bearing = rng.uniform(0, 2 * np.pi)
    sights = []
    for number in range(watch.looks):
        flight.step(watch.every_s)
        bearing += min(SPEED_M_S * watch.every_s / max(radius_m, 1.0), rng.uniform(1.0, 5.0))
        at_m = thing_m + np.array([np.sin(bearing), np.cos(bearing)]) * radius_m + rng.normal(0, 3.0, 2)
        back = thing_m - at_m
        look = Attitude(
            pitch_deg=-float(np.degrees(np.arctan2(height_m, np.hypot(*back)))),
            yaw_deg=float(np.degrees(np.arctan2(back[0], back[1]))) % 360.0,
        )
        heading_deg = float(np.degrees(bearing)) + 90.0
        utc_s = number * watch.every_s
        true, believed = flight.poses(at_m, amsl_m, look, heading_deg, utc_s)
        ray = np.array([*back, -height_m]) @ true.enu_from_camera()
        found = _located(setting, ground, believed, CAMERA.pixels_from_rays(ray), heading_deg, rng)
        if found is not None:
            sights.append(Sight(thing="thing", location=found, utc_s=utc_s, flight=str(seed)))
    return sights


def _located(
    setting: Setting, ground: Ground, pose: Pose, pixel: Array, heading_deg: float, rng: np.random.Generator
) -> Location | None:
    """The place of a pixel; None where the ray grazes the ground, and locating refuses."""
    course = np.radians(heading_deg)
    (found,) = locate_those_on_ground(
        CAMERA,
        pose,
        pixel + rng.normal(0.0, setting.pixel_sigma_px, 2),
        ground.believed,
        sigmas=setting.sigmas,
        velocity_enu_m_s=(SPEED_M_S * float(np.sin(course)), SPEED_M_S * float(np.cos(course)), 0.0),
        pixel_sigma_px=setting.pixel_sigma_px,
        dem_sigma_m=setting.dem_sigma_m,
    )
    return found


def _on_plane(found: Location | Fused) -> Array:
    return np.array(PLANE.to_plane(found.position.lon, found.position.lat))


def _over(ground: Ground, at_m: Array, height_m: float) -> float:
    return float(_amsl_m(ground.true, at_m)) + height_m


def _amsl_m(terrain: GridTerrain, at_m: Array) -> Array:
    return terrain.amsl_m(*PLANE.to_lonlat(at_m[0], at_m[1]))


def _pose(east_m: float, north_m: float, amsl_m: float, attitude: Attitude, utc_s: float) -> Pose:
    lon, lat = PLANE.to_lonlat(east_m, north_m)
    return Pose(
        utc_s=utc_s,
        position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(amsl_m, Datum.AMSL)),
        attitude=attitude,
    )


def _attitude(ned_from_body: Rotation) -> Attitude:
    """As yaw, pitch and roll; at nadir, where yaw and roll turn alike, all is yaw."""
    body = ned_from_body.as_matrix()
    pitch = np.arcsin(np.clip(-body[2, 0], -1, 1))
    if np.cos(pitch) > 1e-6:
        yaw, roll = np.arctan2(body[1, 0], body[0, 0]), np.arctan2(body[2, 1], body[2, 2])
    else:
        yaw, roll = np.arctan2(-body[0, 1], body[1, 1]), 0.0
    return Attitude(
        roll_deg=float(np.degrees(roll)), pitch_deg=float(np.degrees(pitch)), yaw_deg=float(np.degrees(yaw))
    )


def _field(
    rng: np.random.Generator, sigma: float, width_m: float, side_m: float = SIDE_M, post_m: float = POST_M
) -> Array:
    """A smooth random field over the ground; `width_m` is the sigma of its Gaussian autocorrelation times sqrt 2."""
    count = int(2 * side_m / post_m)
    smooth = gaussian_filter(rng.normal(size=(count, count)), width_m / post_m / 2, mode="wrap")
    return np.asarray(smooth * (sigma / smooth.std()))


def _grid(heights_m: Array, side_m: float = SIDE_M) -> GridTerrain:
    west, south = PLANE.to_lonlat(-side_m, -side_m)
    east, north = PLANE.to_lonlat(side_m, side_m)
    rows, cols = heights_m.shape
    transform = rasterio.transform.from_bounds(float(west), float(south), float(east), float(north), cols, rows)
    return GridTerrain(heights_m, transform, name="hills")
