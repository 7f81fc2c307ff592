"""Terrain as rays see it: squares of posts with pyramids of maxima, loaded where a ray comes, within bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geo.casting import PLACE, STEEPEST_SKY, cast, placed
from geo.errors import TerrainMissing
from geo.layers import BELOW, FIRST, HIT, LEVELS, SKY, SQUARE, UNKNOWN, UNLOADED, maxima_of

Array = NDArray[np.float64]
Cells = NDArray[np.float32]

MOST_SQUARES = 64
"""So many squares of one terrain are kept: 90 MB."""
ANCHORS = 20
"""Places at which coordinate systems are followed by polynomials, per degree."""
SPAN_DEG = 0.3
"""Half the height of the box in which such a polynomial is fitted, deg of latitude."""
MOST_ANCHORS = 32
HALVINGS = 45
"""Of a step of a ray, at most 20 m or so."""
MISFIT_CELLS = 0.01
"""A polynomial may miss a raster's coordinates by so many cells."""


class Raster(Protocol):
    """One raster of heights."""

    name: str
    shape: tuple[int, int]
    bounds: Array
    in_degrees: bool

    def places(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        """Rows and columns, counted from the middles of cells, of lon and lat, deg."""

    def posts(self, row: int, col: int, side: int) -> Cells:
        """Heights (side, side), m AMSL, from a row and column on; NaN where unknown and beyond the raster."""


@dataclass(frozen=True)
class Cast:
    """What became of rays, one row each."""

    rows: Array
    """(n, PLACE), see `geo.casting.PLACE`; NaN where a ray met nothing."""
    states: NDArray[np.int64]
    """(n,) HIT, SKY, UNKNOWN or BELOW of `geo.layers`."""
    worst: int
    """The largest of them."""

    def those_hit(self, met: NDArray[np.intp]) -> Cast:
        """Some of the rays, all of which met the ground."""
        return Cast(self.rows[met], self.states[met], HIT)


class Castable(Protocol):
    """Ground that rays can be followed to."""

    def cast(self, eye: Array, turn: Array, rays: Array, *, max_range_m: float) -> Cast:
        """Follow rays (n, 3), in the axes of `turn`, from an eye (`geo.sightlines.eye_at`) to the ground.

        Raises GeoidMissing, and TerrainMissing for a file that is damaged.
        """


class Relief:
    """Rasters, the first counting where several know a place, laid out for the kernels of `geo.casting`."""

    def __init__(self, rasters: Sequence[Raster]) -> None:
        """Nothing is read yet."""
        self._rasters, self._lock = tuple(rasters), Lock()
        across = [math.ceil(max(raster.shape[1] - 1, 1) / SQUARE) for raster in rasters]
        down = [math.ceil(max(raster.shape[0] - 1, 1) / SQUARE) for raster in rasters]
        self._across = np.array(across, np.int64)
        self._begins = np.concatenate([[0], np.cumsum(self._across * down)]).astype(np.int64)
        self._directory = np.full(self._begins[-1], -1, np.int64)
        self._anchored: dict[tuple[int, int], tuple[Array, Array]] = {}
        self._bounds = np.array([raster.bounds for raster in rasters], float).reshape(-1, 4)

    @cached_property
    def _slots(self) -> tuple[Cells, Cells, list[int]]:
        """Posts and maxima of the squares that are held, and their numbers; memory is used as squares come."""
        count = min(MOST_SQUARES, len(self._directory))
        return (
            np.empty((count, SQUARE + 1, SQUARE + 1), np.float32),
            np.empty((count, int(FIRST[LEVELS + 1])), np.float32),
            [],
        )

    def cast(self, eye: Array, turn: Array, rays: Array, *, max_range_m: float) -> Cast:
        """As `Castable`."""
        rows, states = _undone(len(rays))
        with self._lock:
            layers, terms = self._near(float(eye[0]), float(eye[1]))
            squares, maxima, _ = self._slots
            while True:
                worst = cast(
                    eye, turn, rays, max_range_m, math.nan, layers, terms, self._directory, squares, maxima,
                    rows, states,
                )  # fmt: skip
                if worst != UNLOADED:
                    return Cast(rows, states[:, 0], worst)
                wanted = states[states[:, 0] == UNLOADED, 1]
                for number in list(dict.fromkeys(wanted.tolist()))[: len(squares)]:
                    self._load(number)

    def _load(self, number: int) -> None:
        """Read a square, in place of the one that is held longest."""
        squares, maxima, held = self._slots
        layer = int(np.searchsorted(self._begins, number, side="right")) - 1
        row, col = divmod(number - int(self._begins[layer]), int(self._across[layer]))
        raster = self._rasters[layer]
        posts = raster.posts(row * SQUARE, col * SQUARE, SQUARE + 1)
        slot = len(held)
        if slot == len(squares):
            oldest = held.pop(0)
            slot = int(self._directory[oldest])
            self._directory[oldest] = -1
        squares[slot] = posts
        rows, cols = raster.shape
        maxima_of(squares[slot], rows - 1 - row * SQUARE, cols - 1 - col * SQUARE, maxima[slot])
        held.append(number)
        self._directory[number] = slot

    def _near(self, lon: float, lat: float) -> tuple[Array, Array]:
        """Layers (k, 13) and terms (k, 2, 5, 5) of the rasters around a place, as `geo.casting` takes them."""
        key = round(lon * ANCHORS), round(lat * ANCHORS)
        found = self._anchored.get(key)
        if found is None:
            if len(self._anchored) >= MOST_ANCHORS:
                del self._anchored[next(iter(self._anchored))]
            found = self._anchored[key] = self._anchor(key[0] / ANCHORS, key[1] / ANCHORS)
        return found

    def _anchor(self, lon: float, lat: float) -> tuple[Array, Array]:
        across_deg = SPAN_DEG / max(math.cos(math.radians(lat)), 0.05)
        box = np.array([lon - across_deg, lat - SPAN_DEG, lon + across_deg, lat + SPAN_DEG])
        met = np.flatnonzero(
            (self._bounds[:, :2] <= box[2:]).all(axis=1) & (self._bounds[:, 2:] >= box[:2]).all(axis=1)
        )
        layers, terms = np.zeros((len(met), 13)), np.zeros((len(met), 2, 5, 5))
        for row, number in enumerate(met):
            raster = self._rasters[number]
            layers[row, :4] = *raster.shape, self._across[number], self._begins[number]
            layers[row, 4:9] = lon, lat, 1 / across_deg, 1 / SPAN_DEG, float(raster.in_degrees)
            layers[row, 9:] = raster.bounds
            terms[row] = _terms(raster, lon, lat, across_deg)
        return layers, terms


def _terms(raster: Raster, lon: float, lat: float, across_deg: float) -> Array:
    """(2, 5, 5): column and row as polynomials of places in the box about (lon, lat), each from -1 to 1.

    Raises TerrainMissing where a coordinate system cannot be followed so.
    """
    side = np.cos(np.pi * (np.arange(9) + 0.5) / 9)
    x, y = (part.ravel() for part in np.meshgrid(side, side))
    powers = [(i, j) for i in range(5) for j in range(5) if i + j <= (1 if raster.in_degrees else 4)]
    rows, cols = raster.places(lon + across_deg * x, lat + SPAN_DEG * y)
    design = np.stack([x**i * y**j for i, j in powers], axis=-1)
    terms = np.zeros((2, 5, 5))
    for axis, places in enumerate((cols, rows)):
        if np.isfinite(places).all():
            fitted = np.linalg.lstsq(design, places, rcond=None)[0]
            if np.abs(design @ fitted - places).max() < MISFIT_CELLS:
                for (i, j), value in zip(powers, fitted, strict=True):
                    terms[axis, i, j] = value
                continue
        raise TerrainMissing(
            f"{raster.name}: its coordinate system is too crooked around lon {lon:.2f}, lat {lat:.2f} to follow rays "
            "in it: warp the raster to the UTM zone there, or to EPSG:4326"
        )
    return terms


class FlatRelief:
    """Ground of one height."""

    def __init__(self, amsl_m: float) -> None:
        """Ground at `amsl_m`."""
        self._amsl_m = float(amsl_m)

    def cast(self, eye: Array, turn: Array, rays: Array, *, max_range_m: float) -> Cast:
        """As `Castable`."""
        rows, states = _undone(len(rays))
        worst = cast(eye, turn, rays, max_range_m, self._amsl_m, *_NOTHING, rows, states)
        return Cast(rows, states[:, 0], worst)


def _undone(count: int) -> tuple[Array, NDArray[np.int64]]:
    """Rows to fill and states, UNLOADED, of so many rays."""
    return np.zeros((count, PLACE)), np.zeros((count, 2), np.int64)


_NOTHING = (
    np.zeros((0, 13)), np.zeros((0, 2, 5, 5)), np.zeros(0, np.int64), np.zeros((0, 1, 1), np.float32),
    np.zeros((0, 1), np.float32),
)  # fmt: skip


class AnyRelief:
    """Ground of which only heights at places can be asked: rays are followed by steps.

    Ground no steeper than 45 deg cannot be jumped through, nor can walls thicker than 0.25 m and 0.2 % of the range;
    rasters have no such limits, see `Relief`.
    """

    def __init__(self, amsl_m: Callable[[Array, Array], Array]) -> None:
        """`amsl_m` as that of `geo.terrain.Terrain`."""
        self._amsl_m = amsl_m

    def cast(self, eye: Array, turn: Array, rays: Array, *, max_range_m: float) -> Cast:
        """As `Castable`."""
        try:
            rows = self._followed(eye, turn, rays, max_range_m)
        except TerrainMissing:
            if len(rays) == 1:
                rows = np.zeros((1, PLACE))
                placed(eye, turn, rays, np.zeros(1), rows)
                return Cast(rows, np.array([UNKNOWN]), UNKNOWN)
            each = [self.cast(eye, turn, ray[None], max_range_m=max_range_m) for ray in rays]
            states = np.concatenate([one.states for one in each])
            return Cast(np.concatenate([one.rows for one in each]), states, int(states.max()))
        states = np.select([np.isnan(rows[:, 0]), rows[:, 0] == 0.0], [SKY, BELOW], HIT)
        return Cast(rows, states, int(states.max(initial=HIT)))

    def _followed(self, eye: Array, turn: Array, rays: Array, max_range_m: float) -> Array:
        rows = np.zeros((len(rays), PLACE))

        def clearance_m(which: NDArray[np.intp], ranges: Array) -> Array:
            part = np.zeros((len(which), PLACE))
            placed(eye, turn, rays[which], ranges, part)
            rows[which] = part
            return part[:, 6] - self._amsl_m(eye[0] + part[:, 4], eye[1] + part[:, 5])

        near, far = np.zeros(len(rays)), np.full(len(rays), np.nan)
        every = np.arange(len(rays))
        placed(eye, turn, rays, near, rows)
        closing = np.hypot(rows[:, 1], rows[:, 2]) + np.maximum(-rows[:, 3], 0.0)
        going = every[rows[:, 3] < STEEPEST_SKY]
        above = clearance_m(going, near[going])
        far[going[above <= 0]] = 0.0
        going, above = going[above > 0], above[above > 0]
        while len(going):
            next_m = np.minimum(
                near[going] + np.maximum(above / closing[going], 0.25 + 0.002 * near[going]), max_range_m
            )
            above = clearance_m(going, next_m)
            met = above <= 0
            far[going[met]] = next_m[met]
            near[going[~met]] = next_m[~met]
            left = ~met & (next_m < max_range_m)
            going, above = going[left], above[left]
        hit = np.flatnonzero(~np.isnan(far))
        for _ in range(HALVINGS):
            middle = 0.5 * (near[hit] + far[hit])
            over = clearance_m(hit, middle) > 0
            near[hit], far[hit] = np.where(over, middle, near[hit]), np.where(over, far[hit], middle)
        placed(eye, turn, rays, far, rows)
        return rows


def relief_of(terrain: object) -> Castable:
    """Of a `geo.terrain.Terrain`: its own, or one that only asks it for heights."""
    own: Castable | None = getattr(terrain, "relief", None)
    return own or AnyRelief(terrain.amsl_m)  # type: ignore[attr-defined]
