"""Crossings: where straight stretches lie in footprints, or nearer to them than a margin, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from shapely import Polygon, STRtree, box, get_coordinates

from geo.volumes import Circle, Footprint

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

_E2 = 0.006694379990141317
_EQUATOR_M = 6_378_137.0
LONGEST_STRETCH_M = 500.0
"""Stretches are cut to this length: the length of a degree hardly changes along them."""


@dataclass(frozen=True)
class Footprints:
    """Many footprints, as edges in one array, with an index by their boxes."""

    edges: Array
    """(n, 4) lon, lat, lon, lat, deg; of a circle one edge of no length, its middle."""
    offsets: Numbers
    """(k + 1,) where the edges of each begin."""
    radii_m: Array
    """(k,) radius of the circles, m, 0 for polygons."""
    bounds: Array
    """(k, 4) west, south, east, north, deg."""
    tree: STRtree
    """Their boxes."""

    @classmethod
    def of(cls, footprints: Sequence[Footprint | Polygon]) -> Footprints:
        """Of circles, outlines, and polygons (lon, lat)."""
        edges: list[Array] = []
        for one in footprints:
            if isinstance(one, Circle):
                edges.append(np.array([[one.lon, one.lat, one.lon, one.lat]]))
            elif isinstance(one, Polygon):
                rings = [get_coordinates(ring) for ring in (one.exterior, *one.interiors)]
                edges.append(np.concatenate([np.hstack([ring[:-1], ring[1:]]) for ring in rings]))
            else:
                rings = [np.array(ring) for ring in one.rings]
                edges.append(np.concatenate([np.hstack([ring[:-1], ring[1:]]) for ring in rings]))
        bounds = np.array([one.bounds if isinstance(one, Polygon) else one.bounds() for one in footprints])
        bounds = bounds.reshape(-1, 4)
        return cls(
            edges=np.concatenate(edges) if edges else np.empty((0, 4)),
            offsets=np.concatenate([[0], np.cumsum([len(part) for part in edges])]).astype(np.int64),
            radii_m=np.array([one.radius_m if isinstance(one, Circle) else 0.0 for one in footprints]),
            bounds=bounds,
            tree=STRtree(box(*bounds.T)),
        )

    def near(self, stretches: Array, margin_m: float) -> tuple[Numbers, Numbers]:
        """Pairs of stretches (n, 4) and footprints whose boxes are nearer than a margin."""
        west, east = np.minimum(stretches[:, 0], stretches[:, 2]), np.maximum(stretches[:, 0], stretches[:, 2])
        south, north = np.minimum(stretches[:, 1], stretches[:, 3]), np.maximum(stretches[:, 1], stretches[:, 3])
        up = margin_m / 110_000.0
        aside = up / np.maximum(np.cos(np.radians(np.maximum(np.abs(south), np.abs(north)))), 0.01)
        rows, found = self.tree.query(box(west - aside, south - up, east + aside, north + up))
        return rows, found

    def spans(
        self, stretches: Array, rows: Numbers, which: Numbers, margin_m: float, *, outward: bool = False
    ) -> tuple[Numbers, Array]:
        """For pairs of stretches (n, 4) and footprints: the number of the pair, and from where to where (0 to 1).

        Where the stretch lies inside, or nearer than the margin; `outward`: outside, or nearer to the edge than
        the margin. Polygons are exact for stretches up to LONGEST_STRETCH_M; circles to 3e-5 of their radius.
        """
        pairs, shares = _spans(
            stretches, rows.astype(np.int64), which.astype(np.int64), self.edges, self.offsets, self.radii_m,
            margin_m, outward,
        )  # fmt: skip
        return pairs, shares


@njit(cache=True, nogil=True)
def _degree_m(lat: float) -> tuple[float, float]:
    """Length of a degree of longitude and of latitude, m (WGS 84)."""
    bend = 1.0 - _E2 * np.sin(np.radians(lat)) ** 2
    east_m = np.radians(_EQUATOR_M) * np.cos(np.radians(lat)) / np.sqrt(bend)
    return east_m, np.radians(_EQUATOR_M) * (1.0 - _E2) / bend**1.5


@njit(cache=True, nogil=True)
def _clip(low: float, high: float, at0: float, slope: float, least: float, most: float) -> tuple[float, float]:
    """What of low to high has least <= at0 + slope * s <= most."""
    if abs(slope) < 1e-12:
        return (low, high) if least <= at0 <= most else (1.0, 0.0)
    first, last = (least - at0) / slope, (most - at0) / slope
    if first > last:
        first, last = last, first
    return max(low, first), min(high, last)


@njit(cache=True, nogil=True)
def _near_edge(ps: float, pc: float, qs: float, qc: float, reach: float) -> tuple[float, float]:
    """From where to where along the line a place is within reach of an edge, both given along and across the line."""
    low, high = np.inf, -np.inf
    for s, c in ((ps, pc), (qs, qc)):
        if abs(c) < reach:
            half = np.sqrt(reach * reach - c * c)
            low, high = min(low, s - half), max(high, s + half)
    length = np.hypot(qs - ps, qc - pc)
    if length > 0:
        us, uc = (qs - ps) / length, (qc - pc) / length
        first, last = _clip(-np.inf, np.inf, -ps * us - pc * uc, us, 0.0, length)
        first, last = _clip(first, last, ps * uc - pc * us, -uc, -reach, reach)
        if first < last:
            low, high = min(low, first), max(high, last)
    return low, high


@njit(cache=True, nogil=True)
def _spans(
    stretches: Array,
    rows: Numbers,
    which: Numbers,
    edges: Array,
    offsets: Numbers,
    radii_m: Array,
    margin_m: float,
    outward: bool,
) -> tuple[Numbers, Array]:
    found_pairs = np.empty(len(rows) * 2 + 16, np.int64)
    found = np.empty((len(rows) * 2 + 16, 2))
    count = 0
    for pair in range(len(rows)):
        x0, y0, x1, y1 = stretches[rows[pair]]
        begin, end = offsets[which[pair]], offsets[which[pair] + 1]
        radius_m = radii_m[which[pair]]
        reach = margin_m + radius_m
        lat = (y0 + y1) / 2
        if radius_m > 0:
            lat = (lat + edges[begin, 1]) / 2
        east_m, north_m = _degree_m(lat)
        along, up = (x1 - x0) * east_m, (y1 - y0) * north_m
        length = np.hypot(along, up)
        us, uc = (along / length, up / length) if length > 1e-9 else (1.0, 0.0)
        parts = np.empty((2 * (end - begin) + 4, 2))
        crossings = np.empty(end - begin)
        size, crossed = 0, 0
        for edge in range(begin, end):
            px, py = (edges[edge, 0] - x0) * east_m, (edges[edge, 1] - y0) * north_m
            qx, qy = (edges[edge, 2] - x0) * east_m, (edges[edge, 3] - y0) * north_m
            ps, pc = px * us + py * uc, py * us - px * uc
            qs, qc = qx * us + qy * uc, qy * us - qx * uc
            if radius_m == 0 and (pc > 0) != (qc > 0):
                crossings[crossed] = ps - pc * (qs - ps) / (qc - pc)
                crossed += 1
            if reach > 0 and min(pc, qc) < reach and max(pc, qc) > -reach:
                low, high = _near_edge(ps, pc, qs, qc, reach)
                if low < high:
                    parts[size] = low, high
                    size += 1
        ordered = np.sort(crossings[:crossed])
        if outward and radius_m == 0:
            parts[size, 0] = -np.inf
            for number in range(crossed):
                if number % 2 == 0:
                    parts[size, 1] = ordered[number]
                    size += 1
                else:
                    parts[size, 0] = ordered[number]
            parts[size, 1] = np.inf
            size += 1
        else:
            for number in range(0, crossed - 1, 2):
                parts[size] = ordered[number], ordered[number + 1]
                size += 1
        order = np.argsort(parts[:size, 0])
        position = 0
        while position < size:
            low, high = parts[order[position]]
            position += 1
            while position < size and parts[order[position], 0] <= high:
                high = max(high, parts[order[position], 1])
                position += 1
            if length <= 1e-9:
                first, last = (0.0, 1.0) if low <= 0.0 < high else (1.0, 0.0)
            else:
                first, last = max(low / length, 0.0), min(high / length, 1.0)
            if first < last:
                if count == len(found):
                    more_pairs, more = np.empty(2 * count, np.int64), np.empty((2 * count, 2))
                    more_pairs[:count], more[:count] = found_pairs, found
                    found_pairs, found = more_pairs, more
                found_pairs[count] = pair
                found[count] = first, last
                count += 1
    return found_pairs[:count], found[:count]
