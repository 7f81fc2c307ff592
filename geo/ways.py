"""Shortest ways round polygons on a plane: a visibility graph of which only what is needed is ever looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray

from geo.areas import polygon_parts

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

MOST_CORNERS = 400
"""An obstacle of more corners is taken a little wider, with fewer."""
_FREE_M = 1000.0
"""Around everything there is so much free plane."""


def shortest_way(
    start: Array,
    end: Array,
    obstacles: Sequence[shapely.Geometry],
    domain: shapely.Geometry | None = None,
    *,
    narrowing: float = 0.0,
) -> Array | None:
    """(k, 2) places of the shortest way that enters no obstacle and stays in the domain, m; None: there is none.

    `narrowing`: of distances along x, with each metre of y, as meridians converge: a leg's length along x counts
    1 + narrowing * y, y at its middle. Obstacles may be touched.
    """
    blocked = shapely.union_all([_few_corners(shape) for shape in obstacles])
    if domain is None:
        every = np.vstack([shapely.get_coordinates(blocked), start, end])
        west, south = every.min(axis=0) - _FREE_M
        east, north = every.max(axis=0) + _FREE_M
        domain = shapely.box(west, south, east, north)
    ends = shapely.points(np.vstack([start, end]))
    free = [part for part in polygon_parts(domain.difference(blocked)) if part.intersects(ends).all()]
    if not free:
        return None
    edges, rings, corners, before, after = _graph(free[0])
    nodes = np.vstack([corners, start, end])
    came_from = _search(nodes, before, after, edges, rings, narrowing)
    path = [len(nodes) - 1]
    while path[-1] != len(nodes) - 2:
        path.append(int(came_from[path[-1]]))
        if path[-1] < 0:
            return None
    return np.asarray(nodes[path[::-1]])


def _few_corners(shape: shapely.Geometry) -> shapely.Geometry:
    """A shape around another one, of few corners."""
    tolerance_m = 1e-3 * max(shape.bounds[2] - shape.bounds[0], shape.bounds[3] - shape.bounds[1])
    rough = shape
    while shapely.get_num_coordinates(rough) > MOST_CORNERS:
        rough = shape.buffer(tolerance_m, quad_segs=2, join_style="mitre").simplify(0.9 * tolerance_m)
        tolerance_m *= 2
    return rough


def _graph(free: shapely.Polygon) -> tuple[Array, Array, Array, Array, Array]:
    """Edges (n, 4) with the free side on their left, their rings (r, 6: box, first, last edge), and the corners that
    a shortest way may touch (k, 2) with the corners before and after them."""
    polygon = shapely.orient_polygons(free)
    edges, rings, corners, befores, afters = [], [], [], [], []
    count = 0
    for ring in (polygon.exterior, *polygon.interiors):
        places = shapely.get_coordinates(ring)[:-1]
        after, before = np.roll(places, -1, axis=0), np.roll(places, 1, axis=0)
        edges.append(np.hstack([places, after]))
        rings.append([*places.min(axis=0), *places.max(axis=0), count, count + len(places)])
        count += len(places)
        here, there = places - before, after - places
        turn = here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]
        bends = turn <= 1e-9 * np.hypot(*here.T) * np.hypot(*there.T)
        corners.append(places[bends])
        befores.append(before[bends])
        afters.append(after[bends])
    return (
        np.concatenate(edges),
        np.array(rings, float),
        np.concatenate(corners),
        np.concatenate(befores),
        np.concatenate(afters),
    )


@njit(cache=True, nogil=True)
def _length(here: Array, there: Array, narrowing: float) -> float:
    wide = 1.0 + narrowing * (here[1] + there[1]) / 2
    return float(np.hypot((there[0] - here[0]) * wide, there[1] - here[1]))


@njit(cache=True, nogil=True)
def _grazes(dx: float, dy: float, node: Array, before: Array, after: Array) -> bool:
    """Whether a line through a corner leaves both its edges on one side, as a taut string does."""
    bx, by, ax, ay = before[0] - node[0], before[1] - node[1], after[0] - node[0], after[1] - node[1]
    long = np.hypot(dx, dy)
    first = (dx * by - dy * bx) / (long * np.hypot(bx, by))
    second = (dx * ay - dy * ax) / (long * np.hypot(ax, ay))
    return not ((first > 1e-9 and second < -1e-9) or (first < -1e-9 and second > 1e-9))


@njit(cache=True, nogil=True)
def _clear(here: Array, there: Array, edges: Array, rings: Array) -> bool:
    """Whether the straight way between two places meets no edge but those that end in one of them."""
    dx, dy = there[0] - here[0], there[1] - here[1]
    west, east = min(here[0], there[0]), max(here[0], there[0])
    south, north = min(here[1], there[1]), max(here[1], there[1])
    for ring in range(len(rings)):
        if rings[ring, 0] > east or rings[ring, 2] < west or rings[ring, 1] > north or rings[ring, 3] < south:
            continue
        for edge in range(int(rings[ring, 4]), int(rings[ring, 5])):
            px, py, qx, qy = edges[edge]
            if max(px, qx) < west or min(px, qx) > east or max(py, qy) < south or min(py, qy) > north:
                continue
            if (px == here[0] and py == here[1]) or (qx == here[0] and qy == here[1]):
                continue
            if (px == there[0] and py == there[1]) or (qx == there[0] and qy == there[1]):
                continue
            first = dx * (py - here[1]) - dy * (px - here[0])
            second = dx * (qy - here[1]) - dy * (qx - here[0])
            if (first > 0 and second > 0) or (first < 0 and second < 0):
                continue
            ex, ey = qx - px, qy - py
            first = ex * (here[1] - py) - ey * (here[0] - px)
            second = ex * (there[1] - py) - ey * (there[0] - px)
            if (first > 0 and second > 0) or (first < 0 and second < 0):
                continue
            return False
    return True


@njit(cache=True, nogil=True)
def _search(nodes: Array, before: Array, after: Array, edges: Array, rings: Array, narrowing: float) -> Numbers:
    """Whence each node is reached (A*); the last two nodes are the start and the end."""
    count = len(nodes)
    start, end = count - 2, count - 1
    came_from = np.full(count, -1, np.int64)
    lengths = np.full(count, np.inf)
    rest = np.empty(count)
    for node in range(count):
        rest[node] = 0.999 * _length(nodes[node], nodes[end], narrowing)
    done = np.zeros(count, np.bool_)
    lengths[start] = 0.0
    while True:
        here, least = -1, np.inf
        for node in range(count):
            if not done[node] and lengths[node] + rest[node] < least:
                here, least = node, lengths[node] + rest[node]
        if here < 0 or here == end:
            return came_from
        done[here] = True
        for there in range(count):
            if done[there]:
                continue
            length = lengths[here] + _length(nodes[here], nodes[there], narrowing)
            if length >= lengths[there] or length + rest[there] >= lengths[end]:
                continue
            dx, dy = nodes[there, 0] - nodes[here, 0], nodes[there, 1] - nodes[here, 1]
            if here < start and not _grazes(dx, dy, nodes[here], before[here], after[here]):
                continue
            if there < start and not _grazes(dx, dy, nodes[there], before[there], after[there]):
                continue
            if _clear(nodes[here], nodes[there], edges, rings):
                lengths[there] = length
                came_from[there] = here
