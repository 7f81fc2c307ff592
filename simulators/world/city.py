"""The simulated city as a whole, built from one seed."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from shapely.geometry import Point

from geo.positions import LocalPlane
from simulators.world import layout, lots, scene, traffic
from simulators.world.incidents import Events, Planner
from simulators.world.terrain import CENTER_LAT, CENTER_LON, Ground, bare_ground, carve, densified, mean_center_height_m

EPOCH_UTC_S = 1_781_503_200.0
"""When the simulated day starts unless said otherwise: 2026-06-15 06:00 UTC."""


class LaunchSite(msgspec.Struct, frozen=True, kw_only=True):
    """An open, nearly flat place to take off from."""

    lon: float
    """Deg."""
    lat: float
    """Deg."""
    amsl_m: float
    """Ground height, m AMSL."""
    x: float
    """East on the world's plane, m."""
    y: float
    """North on the world's plane, m."""


class World:
    """A city of 2 x 2 km at the southern edge of Almaty, with everything in it; `build` makes one."""

    def __init__(self, seed: int, epoch_utc_s: float) -> None:
        """Use `build`."""
        self.seed, self.epoch_utc_s = seed, epoch_utc_s
        rng = np.random.default_rng([seed, 1])
        self.plane = LocalPlane(lon=CENTER_LON, lat=CENTER_LAT, height_m=mean_center_height_m())
        azimuth, height = np.radians(rng.uniform(-170, -10)), np.radians(rng.uniform(32, 64))
        self.sun = np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
        """Unit vector towards the sun: east, north, up."""
        self.wind_to_rad = float(rng.uniform(0, 2 * np.pi))
        """Direction that smoke drifts to, from east, counter-clockwise."""
        self.layout = layout.plan(rng)
        heights = bare_ground(self.plane, rng)
        carve(heights, self.layout.river, width_m=layout.RIVER_WIDTH_M, depth_m=2.6)
        self.ground = Ground(heights)
        self.scene = scene.Scene()
        self.events = self._furnish(rng)
        self._people_the_streets(rng)

    @classmethod
    def build(cls, seed: int, *, epoch_utc_s: float = EPOCH_UTC_S) -> World:
        """The city of a seed; `epoch_utc_s` is when its time starts, s since 1970 UTC."""
        return cls(seed, epoch_utc_s)

    def _furnish(self, rng: np.random.Generator) -> Events:
        self._lay_streets(rng)
        filler = lots.Filler(self.scene, self.ground, rng)
        for block in self.layout.blocks:
            filler.fill(block)
        self._lay_river()
        planner = Planner(filler, self.layout, rng, self.wind_to_rad)
        return planner.place_all()

    def _lay_streets(self, rng: np.random.Generator) -> None:
        flat = self.scene.flat
        for street in self.layout.streets:
            flat(scene.band(street.line, street.width_m + (6.0 if street.main else 4.0)), "verge")
            for side in (-1, 1):
                edge = offset(street.line, side * (street.width_m / 2 + (2.4 if street.main else 1.6)))
                flat(scene.band(edge, 2.0 if street.main else 1.4), "pavement")
                self.scene.walks.append(edge)
        worn = [f"asphalt{rng.integers(3)}" for _ in self.layout.streets]
        for street, material in zip(self.layout.streets, worn, strict=True):
            flat(scene.band(street.line, street.width_m), material)
            self.scene.lanes.append(street.line)
        for street in self.layout.streets:
            dashes = densified(street.line, 4.0)
            for k in range(0, len(dashes) - 1, 2 if street.main else 3):
                if street.main or k % 6 == 0:
                    flat(scene.band(dashes[k : k + 2], 0.16), "paint")

    def _lay_river(self) -> None:
        river = self.layout.river
        self.scene.flats[:0] = [
            scene.Flat(scene.band(river, layout.RIVER_WIDTH_M * 1.7), "bank"),
            scene.Flat(scene.band(river, layout.RIVER_WIDTH_M), "stones"),
            scene.Flat(scene.band(river + np.sin(np.arange(len(river)) * 0.7)[:, None] * 1.2, 6.0), "river"),
        ]

    def _people_the_streets(self, rng: np.random.Generator) -> None:
        first = len(self.scene.labelled) + 2
        self.cars = traffic.Cars(self.scene.lanes, [s.width_m for s in self.layout.streets], rng, first)
        first += self.cars.count
        self._first_person = first
        self.walkers = traffic.Walkers(self.scene.walks, 9.0, rng, first)
        first += self.walkers.count
        self.crowds: list[traffic.Crowd] = []
        for gathering in self.events.gatherings:
            self.crowds.append(traffic.Crowd(gathering, first))
            first += gathering.people

    # where things are

    def ground_amsl_m(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Ground height, m AMSL, at plane coordinates, m; arrays of any one shape."""
        return self.ground.amsl_m(x, y)

    def moving_cars(self, utc_s: float) -> traffic.Movers:
        """The driving cars at a moment."""
        return self.cars.at(utc_s - self.epoch_utc_s)

    def people(self, utc_s: float) -> traffic.Movers:
        """Everybody at a moment: walkers and crowds."""
        since = utc_s - self.epoch_utc_s
        return traffic.joined([self.walkers.at(since), *(crowd.at(since) for crowd in self.crowds)])

    def label_of(self, instance: int) -> tuple[str, str]:
        """Class and truth id ("" if none) of a labelled thing."""
        if instance in self.scene.labelled:
            return self.scene.labelled[instance]
        if instance < self._first_person:
            return "vehicle", ""
        for crowd in self.crowds:
            if 0 <= instance - crowd._instance[0] < crowd.count:
                return "person", crowd.gathering.truth
        return "person", ""

    def launch_sites(self, n: int) -> list[LaunchSite]:
        """`n` open, nearly flat places near the middle, at least 15 m apart and clear of buildings and trees."""
        middles = np.array([b.ring.mean(axis=0) for b in self.scene.buildings])
        trees = np.array([(t.x, t.y) for t in self.scene.trees])
        x, y = (c.ravel() for c in np.meshgrid(np.arange(-450, 451, 15.0), np.arange(-450, 451, 15.0)))
        slope = self.ground.slope(x, y)
        sites: list[LaunchSite] = []
        for index in np.argsort(slope * 2000 + np.hypot(x, y) * 0.3):
            here = np.array([x[index], y[index]])
            if np.hypot(*(middles - here).T).min() < 22 or np.hypot(*(trees - here).T).min() < 7:
                continue
            if self._on_a_road(here) or any(t.polygon.distance(Point(here)) < 12 for t in self.scene.truths):
                continue
            lon, lat = self.plane.to_lonlat(*here)
            amsl = float(self.ground_amsl_m(*here))
            sites.append(LaunchSite(lon=float(lon), lat=float(lat), amsl_m=amsl, x=float(here[0]), y=float(here[1])))
            if len(sites) == n:
                return sites
        raise ValueError(f"world {self.seed}: only {len(sites)} places fit for launching, {n} wanted")

    def _on_a_road(self, here: NDArray[np.float64]) -> bool:
        lines = [*(s.line for s in self.layout.streets), self.layout.river]
        return bool(min(float(np.min(np.hypot(*(densified(line, 4.0) - here).T))) for line in lines) < 12.0)

    # what is told to others

    def truth_geojson(self) -> dict[str, Any]:
        """FeatureCollection of the incidents: id, kind, from_utc_s (after the world's start), area_m2, height_m."""
        features = []
        for truth in self.scene.truths:
            ring = np.vstack([truth.ring, truth.ring[:1]])
            lon, lat = self.plane.to_lonlat(ring[:, 0], ring[:, 1])
            ground = float(self.ground_amsl_m(*truth.center))
            features.append({
                "type": "Feature",
                "id": truth.id,
                "geometry": {"type": "Polygon", "coordinates": [np.stack([lon, lat], axis=1).round(8).tolist()]},
                "properties": {
                    "id": truth.id, "kind": truth.kind, "from_utc_s": truth.from_utc_s,
                    "area_m2": round(truth.polygon.area, 2), "height_m": truth.height_m,
                    "ground_amsl_m": round(ground, 2),
                },
            })  # fmt: skip
        return {"type": "FeatureCollection", "features": features}

    def fingerprint(self) -> str:
        """SHA-256 of everything that the seed decides."""
        digest = hashlib.sha256()
        digest.update(self.ground.grid.tobytes())
        digest.update(repr((self.sun.tolist(), self.wind_to_rad)).encode())
        for building in self.scene.buildings:
            digest.update(np.round(building.ring, 4).tobytes() + repr((building.height_m, building.roof_rgb)).encode())
        for thing in (*self.scene.trees, *self.scene.parked, *self.scene.props):
            digest.update(repr(thing).encode())
        digest.update(msgspec.json.encode(self.truth_geojson()))
        for movers in (self.moving_cars(self.epoch_utc_s), self.people(self.epoch_utc_s)):
            digest.update(np.round(movers.x, 4).tobytes() + np.round(movers.y, 4).tobytes())
        return digest.hexdigest()


def offset(line: NDArray[np.float64], away_m: float) -> NDArray[np.float64]:
    """A line (n, 2) moved to its left by `away_m`."""
    ahead = np.gradient(line, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    return line + np.stack([-ahead[:, 1], ahead[:, 0]], axis=1) * away_m
