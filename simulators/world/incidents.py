"""Puts the incidents into the city, and what only looks like one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.world.layout import CITY_M, Block, Layout
from simulators.world.lots import Filler, Spot
from simulators.world.scene import Building, Ring, Scene, Truth, band, ragged, rectangle

CELL_M = (300.0, 250.0)
"""Sides of the rectangles each of which holds a dump, m."""
BRAWL_FROM_S = 90.0
"""The gatherings turn into brawls so long after the world's start, s."""


@dataclass(frozen=True)
class Fire:
    """Something that burns and smokes."""

    x: float
    y: float
    amsl_m: float
    radius_m: float
    fire_instance: int
    smoke_instance: int
    seed: int
    dark: float
    """Blackness of the smoke, 0 to 1."""


@dataclass(frozen=True)
class Gathering:
    """A crowd on a square."""

    x: float
    y: float
    radius_m: float
    people: int
    seed: int
    brawl: bool
    truth: str


@dataclass(frozen=True)
class Flood:
    """A sheet of muddy water."""

    ring: Ring
    instance: int


@dataclass
class Events:
    """What the renderer draws besides the scene."""

    fires: list[Fire]
    gatherings: list[Gathering]
    floods: list[Flood]


class Planner:
    """Chooses places for the incidents, the middle of the city first."""

    def __init__(self, filler: Filler, layout: Layout, rng: np.random.Generator, wind_to_rad: float) -> None:
        """`wind_to_rad` is the direction the smoke drifts to, from east."""
        self.filler, self.layout, self.rng, self.wind_to_rad = filler, layout, rng, wind_to_rad
        self.scene: Scene = filler.scene
        self.events = Events([], [], [])
        self._taken: list[tuple[float, float]] = []
        self._cleared: list[tuple[float, float, float]] = []

    def place_all(self) -> Events:
        """Dumps, floods, construction with and without permit, gatherings and fires."""
        self._constructions()
        self._gatherings()
        self._fires()
        self._floods()
        self._dumps()
        self._fell()
        return self.events

    def _free(self, x: float, y: float, away_m: float) -> bool:
        return all(np.hypot(x - a, y - b) > away_m for a, b in self._taken)

    def _spots(self, kind: str) -> list[Spot]:
        """Spots of a kind inside the city, nearest to the middle first."""
        spots = [s for s in self.filler.spots if s.kind == kind and max(abs(s.x), abs(s.y)) < CITY_M - 40]
        return sorted(spots, key=lambda s: max(abs(s.x) / 300, abs(s.y) / 250))

    def _truth(
        self, prefix: str, kind: str, ring: Ring, height_m: float, instance: int = 0, from_utc_s: float = 0.0
    ) -> Truth:
        number = sum(t.kind == kind for t in self.scene.truths) + 1
        truth = Truth(
            id=f"{prefix}-{number:02d}",
            kind=kind,
            ring=ring,
            height_m=height_m,
            instance=instance,
            from_utc_s=from_utc_s,
        )
        self.scene.truths.append(truth)
        self._taken.append(truth.center)
        return truth

    # dumps

    def _dumps(self) -> None:
        spots = self._spots("dump")
        spots = [spots[k] for k in self.rng.permutation(len(spots))]
        filled: set[tuple[int, int]] = set()
        for spot in spots:
            cell = (int((spot.x + CITY_M) // CELL_M[0]), int((spot.y + CITY_M) // CELL_M[1]))
            if cell not in filled and self._free(spot.x, spot.y, 55.0):
                filled.add(cell)
                self._dump(spot)

    def _dump(self, spot: Spot) -> None:
        rng = self.rng
        length = float(min(rng.uniform(2.2, 8.0), spot.radius_m * 2))
        width, height, yaw = length * rng.uniform(0.5, 0.9), float(rng.uniform(0.5, 1.2)), rng.uniform(0, np.pi)
        length, width = max(length, 2.0), max(width, 1.6)
        ring = rectangle(spot.x, spot.y, length, width, yaw)
        number = sum(t.kind == "dump" for t in self.scene.truths) + 1
        instance = self.scene.label("dump", f"dump-{number:02d}")
        self._truth("dump", "dump", ring, round(height, 2), instance=instance)
        self._clear(spot.x, spot.y, length * 0.75)
        litter = ragged(spot.x, spot.y, length * 1.3, width * 1.35, rng)
        self.scene.flat(litter, "litter", older=False)
        self.filler.prop("dump", spot.x, spot.y, yaw, (length, width, height))
        self.scene.props[-1].instance = instance

    def _clear(self, x: float, y: float, radius_m: float) -> None:
        """What stands about here would hide it, and goes in the end."""
        self._cleared.append((x, y, radius_m))

    def _fell(self) -> None:
        scene, circles = self.scene, np.array(self._cleared)

        def kept(x: float, y: float, margin_m: float) -> bool:
            return bool(np.all(np.hypot(circles[:, 0] - x, circles[:, 1] - y) > circles[:, 2] + margin_m))

        scene.trees[:] = [t for t in scene.trees if kept(t.x, t.y, 0.6 * t.radius_m)]
        scene.parked[:] = [p for p in scene.parked if kept(p.x, p.y, 2.0)]

    # construction

    def _constructions(self) -> None:
        for k, spot in enumerate(self._spots("site")[:9]):
            self._construction(spot, permitted=k in (1, 3, 5, 8), expired=k == 2)

    def _construction(self, spot: Spot, *, permitted: bool, expired: bool) -> None:
        rng, scene, block = self.rng, self.scene, spot.block
        wide, deep = block.size_m
        length, width = min(rng.uniform(14, 30), wide * 0.5), min(rng.uniform(11, 18), deep * 0.4)
        started = rng.random() < 0.8
        height = float(3.1 * rng.integers(1, 5)) if started else 1.0
        ring = rectangle(spot.x, spot.y, length, width, block.yaw_rad)
        name = "construction-permitted" if permitted else "unauthorized-construction"
        number = sum(t.kind == "unauthorized_construction" for t in scene.truths) + 1
        instance = scene.label("construction", "" if permitted else f"{name}-{number:02d}")
        if not permitted:
            self._truth(name, "unauthorized_construction", ring, height, instance=instance)
        self._clear(spot.x, spot.y, length * 0.8)
        scene.flat(ragged(spot.x, spot.y, length * 1.7, width * 2.0, rng), f"dirt{rng.integers(3)}", older=False)
        first = len(scene.props)
        self.filler.prop("frame" if started else "foundation", spot.x, spot.y, block.yaw_rad, (length, width, height))
        self._site_props(block, (length / wide, width / deep))
        for prop in scene.props[first:]:
            prop.instance = instance
        if rng.random() < 0.45 and started:
            at = block.at(0.5, 0.5 + width / deep * 0.5 + 0.05)
            self.filler.prop("crane", *at, rng.uniform(0, 6.3), (24, 2, height + 14))
        if permitted or expired:
            valid_days = (-840, -470) if expired else (-290, 440)
            scene.permits.append({"ring": block.corners, "kind": "construction", "valid_days": valid_days})

    def _site_props(self, block: Block, share: tuple[float, float]) -> None:
        rng = self.rng
        for _ in range(3):
            u = 0.5 + rng.choice([-1, 1]) * (share[0] / 2 + 0.05)
            v = rng.uniform(0.35, 0.65)
            self.filler.prop(
                "pile", *block.at(u, v), 0.0, (rng.uniform(3, 6), rng.uniform(3, 5), rng.uniform(0.9, 1.9))
            )
        if rng.random() < 0.7:
            at = block.at(0.5 + rng.uniform(-0.2, 0.2), 0.5 - share[1] / 2 - 0.07)
            self.filler.prop("excavator", *at, rng.uniform(0, 6.3), (6, 2.6, 3))
        if rng.random() < 0.6:
            at = block.at(0.5 + rng.uniform(-0.2, 0.2), 0.5 + share[1] / 2 + 0.06)
            self.filler.prop("freight", *at, block.yaw_rad, (6.1, 2.44, 2.6))

    # people, fire, water

    def _gatherings(self) -> None:
        for k, spot in enumerate(self._spots("square")[:6]):
            people, brawl = int(self.rng.integers(26, 60)), k % 2 == 0
            radius = float(self.rng.uniform(5.5, 9.0))
            truth = ""
            if brawl:
                angle = np.linspace(0, 2 * np.pi, 25)[:-1]
                ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (radius + 2) + (spot.x, spot.y)
                truth = self._truth("disorder", "public_disorder", ring, 1.8, from_utc_s=BRAWL_FROM_S).id
            self._clear(spot.x, spot.y, radius + 2)
            seed = int(self.rng.integers(1 << 30))
            self.events.gatherings.append(Gathering(spot.x, spot.y, radius, people, seed, brawl, truth))

    def _fires(self) -> None:
        houses = [b for b in self.scene.buildings if b.use in ("house", "shed")]
        middles = np.array([b.ring.mean(axis=0) for b in houses])
        for k, target in enumerate(((0, 0), (-560, 430), (520, 520), (540, -480), (-500, -520), (30, 700))):
            shift = self.rng.uniform(-120, 120, 2) * (1.2, 1.0)
            for index in np.argsort(np.hypot(*(middles - target - shift).T)):
                x, y = (float(c) for c in middles[index])
                outside = k == 0 and (abs(x) > 280 or abs(y) > 230)
                if not outside and self._free(x, y, 60.0):
                    self._fire(houses[int(index)], on_ground=k % 3 == 2)
                    break

    def _fire(self, house: Building, *, on_ground: bool) -> None:
        x, y = (float(c) for c in house.ring.mean(axis=0))
        radius = float(self.rng.uniform(1.8, 4.2))
        base = house.base_amsl_m if on_ground else house.base_amsl_m + house.height_m
        if on_ground:
            self.scene.buildings.remove(house)
        self._clear(x, y, radius + 3)
        angle = np.linspace(0, 2 * np.pi, 17)[:-1]
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        number = len(self.events.fires) + 1
        fire = self.scene.label("fire", f"fire-{number:02d}")
        smoke = self.scene.label("smoke", f"smoke-{number:02d}")
        self._truth("fire", "fire", circle * radius + (x, y), round(base - house.base_amsl_m + 3.0, 1), instance=fire)
        ahead = np.array([np.cos(self.wind_to_rad), np.sin(self.wind_to_rad)])
        across = np.array([-ahead[1], ahead[0]])
        plume = circle[:, :1] * 28 * ahead + circle[:, 1:] * 9 * across + (x, y) + 24 * ahead
        self._truth("smoke", "smoke", plume, 30.0, instance=smoke)
        self.scene.flat(ragged(x, y, radius * 4.5, radius * 4, self.rng), "scorched", older=False)
        self.filler.prop("ruin", x, y, 0.0, (radius * 2, radius * 2, 1.0))
        seed = int(self.rng.integers(1 << 30))
        dark = float(self.rng.uniform(0.1, 0.9))
        self.events.fires.append(Fire(x, y, base, radius, fire, smoke, seed, dark))

    def _floods(self) -> None:
        targets = [(0, 0), (-520, 560), (500, 400), (-480, -480), (560, -520), (60, -760), (0, 500)]
        for target in targets:
            for _ in range(40 if target == (0, 0) else 1):
                aim = np.array(target) + self.rng.uniform(-110, 110, 2)
                if self._flood_near(aim):
                    break

    def _flood_near(self, aim: NDArray[np.float64]) -> bool:
        lines = [s.line for s in self.layout.streets]
        nearest = min(lines, key=lambda line: float(np.min(np.hypot(*(line - aim).T))))
        return self._flood(nearest, int(np.argmin(np.hypot(*(nearest - aim).T))))

    def _flood(self, line: Ring, middle: int) -> bool:
        rng = self.rng
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        length = float(rng.uniform(40, 80))
        where = np.linspace(along[middle] - length / 2, along[middle] + length / 2, 24)
        where = np.clip(where, along[0], along[-1])
        center = np.stack([np.interp(where, along, line[:, k]) for k in range(2)], axis=1)
        if where[-1] - where[0] < 35 or not self._free(float(center[12, 0]), float(center[12, 1]), 70.0):
            return False
        swell = np.sin(np.linspace(0.12, np.pi - 0.12, 24)) ** 0.5
        ring = _wavy_band(center, float(rng.uniform(8.0, 17.0)) * swell, rng)
        number = sum(t.kind == "flooding" for t in self.scene.truths) + 1
        instance = self.scene.label("flood", f"flooding-{number:02d}")
        self._truth("flooding", "flooding", ring, 0.0, instance=instance)
        self.scene.flat(_grown(ring, 1.06), "wet", older=False)
        self.scene.flat(ring, f"mudwater{rng.integers(3)}", older=False)
        for k in rng.choice(np.arange(4, 20), int(rng.integers(0, 4)), replace=False):
            ahead = center[k + 1] - center[k]
            x, y = center[k] + rng.normal(0, 1.2, 2)
            self.filler.car(float(x), float(y), float(np.arctan2(ahead[1], ahead[0])))
        self.events.floods.append(Flood(ring, instance))
        return True


def _grown(ring: Ring, share: float) -> Ring:
    middle = (ring + ring[::-1]) / 2
    return np.asarray(middle + (ring - middle) * (share + 0.06))


def _wavy_band(center: Ring, width: np.ndarray, rng: np.random.Generator) -> Ring:
    outline = band(center, 1.0)
    n = len(center)
    waves = [np.convolve(rng.normal(1, 0.35, n + 4), np.ones(5) / 5, "valid").clip(0.5, 1.5) for _ in range(2)]
    left = center + (outline[:n] - center) * (width * waves[0])[:, None]
    right = center + (outline[n:][::-1] - center) * (width * waves[1])[:, None]
    return np.vstack([left, right[::-1]])
