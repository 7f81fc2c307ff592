"""What stands and lies in the simulated city, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

from simulators.world.meshes import Color

Ring = NDArray[np.float64]

CLASSES = ("dump", "flood", "construction", "fire", "smoke", "person", "vehicle")
"""Classes of labels, in the order of their ids."""


class Building(msgspec.Struct, frozen=True, kw_only=True):
    """A building over a convex footprint."""

    number: int
    """Number in the city, from 1."""
    ring: Any
    """Footprint (n, 2), m, counter-clockwise; of a house the first side is the long one."""
    base_amsl_m: float
    """Height of the lowest ground under it, m AMSL."""
    height_m: float
    """To the eaves or the flat roof, above the base, m."""
    use: str
    """house, shed, garage, apartments, school, industrial, kiosk."""
    roof: str
    """flat, gable, hip."""
    wall_rgb: Color
    roof_rgb: Color
    windows: bool
    older: bool = True
    """Whether the city's older orthophoto and register show it."""


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """One incident that is really there."""

    id: str
    """Stable name, such as dump-03."""
    kind: str
    """dump, flooding, unauthorized_construction, public_disorder, fire, smoke."""
    ring: Any
    """Outline (n, 2), m on the plane."""
    height_m: float
    """Of what stands there, m."""
    instance: int
    """Number in labels; 0 where people are labelled one by one."""
    from_utc_s: float = 0.0
    """Seconds after the world's start from which on it is so."""

    @property
    def polygon(self) -> Polygon:
        """The outline."""
        return Polygon(self.ring)

    @property
    def center(self) -> tuple[float, float]:
        """Middle of the outline, m on the plane."""
        middle = self.polygon.centroid
        return float(middle.x), float(middle.y)


@dataclass
class Prop:
    """A thing that is not a building: heap, stall, crane, sheet of water."""

    kind: str
    x: float
    y: float
    yaw_rad: float
    size: tuple[float, float, float]
    """Length, width, height, m."""
    seed: int
    instance: int = 1
    older: bool = False
    """Whether the older orthophoto shows it."""


@dataclass
class Parked:
    """A car at rest."""

    x: float
    y: float
    yaw_rad: float
    kind: int
    color: int
    instance: int = 1


@dataclass
class Flat:
    """A surface of one ground material."""

    ring: Ring
    material: str
    older: bool = True
    newer: bool = True
    """Whether it is there on the older orthophoto, and now."""


@dataclass
class Tree:
    """A tree or bush."""

    x: float
    y: float
    radius_m: float
    height_m: float
    kind: int
    """0 broad, 1 poplar, 2 conifer, 3 bush."""
    seed: int


@dataclass
class Scene:
    """Everything of the city that does not move, and the ways of what does."""

    buildings: list[Building] = field(default_factory=list)
    flats: list[Flat] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    props: list[Prop] = field(default_factory=list)
    parcels: list[dict[str, Any]] = field(default_factory=list)
    permits: list[dict[str, Any]] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    lanes: list[Ring] = field(default_factory=list)
    """Center lines that cars drive along, m."""
    walks: list[Ring] = field(default_factory=list)
    """Lines that people walk along, m."""
    labelled: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Class and truth id ("" if none) of each labelled thing at rest."""

    def label(self, name: str, truth: str = "") -> int:
        """A new number for a thing of class `name`."""
        number = len(self.labelled) + 2
        self.labelled[number] = (name, truth)
        return number

    def flat(self, ring: Any, material: str, *, older: bool = True, newer: bool = True) -> None:
        """Lay a surface on top of those before."""
        self.flats.append(Flat(np.asarray(ring, float), material, older, newer))


def rectangle(x: float, y: float, length_m: float, width_m: float, yaw_rad: float) -> Ring:
    """Corners (4, 2), counter-clockwise, of a rectangle about a point, its length along `yaw_rad` from east."""
    ring = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (length_m / 2, width_m / 2)
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.asarray(ring @ np.array([[cos, sin], [-sin, cos]]) + (x, y))


def band(line: Ring, width_m: float) -> Ring:
    """Outline of a line (n, 2) drawn `width_m` wide with flat ends."""
    ahead = np.gradient(line, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    side = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1) * width_m / 2
    return np.vstack([line + side, (line - side)[::-1]])


def ragged(x: float, y: float, length_m: float, width_m: float, rng: np.random.Generator, points: int = 22) -> Ring:
    """An irregular outline (points, 2) about a place, turned at random."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    wave = sum(rng.normal(0, 0.16 / k) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(2, 7))
    radius = np.clip(1 + wave, 0.55, 1.35)
    ring = np.stack([np.cos(angle) * length_m / 2, np.sin(angle) * width_m / 2], axis=1) * radius[:, None]
    turn = rng.uniform(0, np.pi)
    cos, sin = np.cos(turn), np.sin(turn)
    return np.asarray(ring @ np.array([[cos, sin], [-sin, cos]]) + (x, y))
