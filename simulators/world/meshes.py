"""Triangle meshes of the simulated world: a builder with the few solids a city is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

Color = tuple[float, float, float]


class Material(IntEnum):
    """How the rasterizer patterns a triangle's colour."""

    PLAIN = 0
    WINDOWS = 1
    CORRUGATED = 2
    BITUMEN = 3
    FOLIAGE = 4
    TRASH = 5
    EARTH = 6
    GLASS = 7
    STRIPES = 8
    PLASTER = 9


@dataclass(frozen=True)
class Mesh:
    """Triangles with lit colours; arrays of equal length per vertex or per triangle."""

    vertices: NDArray[np.float32]
    """(n, 3) east, north, height AMSL, m."""
    triangles: NDArray[np.int32]
    """(m, 3) indices of vertices."""
    rgb: NDArray[np.float32]
    """(m, 3) lit colour, 0 to 255."""
    material: NDArray[np.uint8]
    """(m,) `Material`."""
    uv: NDArray[np.float32]
    """(m, 3, 2) surface coordinates of the corners, m."""
    instance: NDArray[np.int32]
    """(m,) number of the thing it belongs to; 0 the ground, 1 anything unlabelled."""

    @classmethod
    def joined(cls, meshes: list[Mesh]) -> Mesh:
        """All of them as one."""
        if not meshes:
            return cls.empty()
        starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
        return cls(
            np.concatenate([m.vertices for m in meshes]),
            np.concatenate([m.triangles + start for m, start in zip(meshes, starts, strict=True)]).astype(np.int32),
            np.concatenate([m.rgb for m in meshes]),
            np.concatenate([m.material for m in meshes]),
            np.concatenate([m.uv for m in meshes]),
            np.concatenate([m.instance for m in meshes]),
        )

    @classmethod
    def empty(cls) -> Mesh:
        """No triangles."""
        return cls(
            np.zeros((0, 3), np.float32),
            np.zeros((0, 3), np.int32),
            np.zeros((0, 3), np.float32),
            np.zeros(0, np.uint8),
            np.zeros((0, 3, 2), np.float32),
            np.zeros(0, np.int32),
        )


@dataclass
class Solids:
    """Collects solids in a frame of their own, then places, lights and joins them."""

    vertices: list[NDArray[np.float64]] = field(default_factory=list)
    triangles: list[NDArray[np.int64]] = field(default_factory=list)
    rgb: list[NDArray[np.float64]] = field(default_factory=list)
    material: list[NDArray[np.int64]] = field(default_factory=list)
    count: int = 0

    def add(self, vertices: ArrayLike, triangles: ArrayLike, rgb: ArrayLike, material: int) -> None:
        """Triangles of one material; `rgb` is one colour or one for each triangle."""
        points, faces = np.asarray(vertices, float), np.asarray(triangles, int)
        self.vertices.append(points)
        self.triangles.append(faces + self.count)
        self.rgb.append(np.broadcast_to(np.asarray(rgb, float), (len(faces), 3)))
        self.material.append(np.full(len(faces), material))
        self.count += len(points)

    def include(self, other: Solids, shift: tuple[float, float]) -> None:
        """Add all of another, moved by `shift` east and north."""
        if not other.vertices:
            return
        self.vertices.append(np.vstack(other.vertices) + np.array([*shift, 0.0]))
        self.triangles.append(np.vstack(other.triangles) + self.count)
        self.rgb.append(np.vstack(other.rgb))
        self.material.append(np.concatenate(other.material))
        self.count += other.count

    def box(
        self,
        center: tuple[float, float, float],
        size: tuple[float, float, float],
        rgb: Color,
        *,
        yaw_rad: float = 0.0,
        material: int = Material.PLAIN,
        top_rgb: Color | None = None,
        taper: float = 1.0,
    ) -> None:
        """A box standing on `center`'s height; `taper` scales its top."""
        x, y = size[0] / 2, size[1] / 2
        ring = np.array([(-x, -y), (x, -y), (x, y), (-x, y)])
        cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
        turn = np.array([[cos, sin], [-sin, cos]])
        low = np.c_[ring @ turn, np.zeros(4)] + center
        high = np.c_[taper * ring @ turn, np.full(4, size[2])] + center
        self.add(np.vstack([low, high]), WALLS_OF_4, rgb, material)
        self.add(high, [(0, 1, 2), (0, 2, 3)], rgb if top_rgb is None else top_rgb, Material.PLAIN)

    def prism(
        self,
        ring: NDArray[np.float64],
        low: float,
        high: float,
        *,
        wall_rgb: Color,
        top_rgb: Color,
        wall: int,
        top: int,
    ) -> None:
        """A convex footprint (n, 2), counter-clockwise, drawn up from `low` to `high`, m."""
        n = len(ring)
        index = np.arange(n)
        after = (index + 1) % n
        points = np.vstack([np.c_[ring, np.full(n, low)], np.c_[ring, np.full(n, high)]])
        walls = np.vstack([np.c_[index, after, after + n], np.c_[index, after + n, index + n]])
        self.add(points, walls, wall_rgb, wall)
        fan = np.c_[np.zeros(n - 2, int), np.arange(1, n - 1), np.arange(2, n)]
        self.add(np.c_[ring, np.full(n, high)], fan, top_rgb, top)

    def roof(self, ring: NDArray[np.float64], eaves: float, rise: float, rgb: Color, *, hip: float) -> None:
        """A gable (`hip` 0) or hip roof over a rectangle (4, 2) whose first side is the long one, with overhang."""
        middle = ring.mean(axis=0)
        ring = middle + (ring - middle) * 1.06
        first, second = (ring[0] + ring[3]) / 2, (ring[1] + ring[2]) / 2
        along = second - first
        ridge = np.array([first + along * hip, second - along * hip])
        points = np.vstack([np.c_[ring, np.full(4, eaves)], np.c_[ridge, np.full(2, eaves + rise)]])
        slopes = [(0, 1, 5), (0, 5, 4), (2, 3, 4), (2, 4, 5)]
        self.add(points, slopes, rgb, Material.CORRUGATED)
        self.add(points, [(3, 0, 4), (1, 2, 5)], rgb if hip else (188.0, 180.0, 165.0), Material.PLAIN)

    def blob(
        self,
        center: tuple[float, float, float],
        radii: tuple[float, float, float],
        rgb: Color,
        *,
        material: int = Material.PLAIN,
        rough: float = 0.0,
        rng: np.random.Generator | None = None,
        fine: bool = False,
    ) -> None:
        """An ellipsoid; `rough` shakes its surface by that share of the radius."""
        sphere, faces = (SPHERE_80, FACES_80) if fine else (SPHERE_20, FACES_20)
        scale = np.ones((len(sphere), 1)) if rng is None else 1 + rough * rng.normal(size=(len(sphere), 1))
        self.add(sphere * scale * radii + center, faces, rgb, material)

    def heap(self, heights: NDArray[np.float64], size: tuple[float, float], rgb: ArrayLike, material: int) -> None:
        """A grid of heights (rows, cols), m, over `size` m about the origin; rgb per triangle or one."""
        rows, cols = heights.shape
        y, x = np.meshgrid(
            np.linspace(-size[1] / 2, size[1] / 2, rows), np.linspace(-size[0] / 2, size[0] / 2, cols), indexing="ij"
        )
        corner = (np.arange(rows - 1)[:, None] * cols + np.arange(cols - 1)).ravel()
        lower = np.c_[corner, corner + 1, corner + cols + 1]
        upper = np.c_[corner, corner + cols + 1, corner + cols]
        points = np.stack([x.ravel(), y.ravel(), heights.ravel()], axis=1)
        faces = np.hstack([lower, upper]).reshape(-1, 3)
        standing = points[faces, 2].max(axis=1) > -0.2
        colors = np.broadcast_to(np.asarray(rgb, float), (len(faces), 3))
        self.add(points, faces[standing], colors[standing], material)

    def mesh(
        self,
        sun: NDArray[np.float64],
        *,
        origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
        yaw_rad: float = 0.0,
        instance: int = 1,
    ) -> Mesh:
        """The solids at a place, turned, lit from `sun` (unit vector towards it)."""
        if not self.vertices:
            return Mesh.empty()
        points = np.vstack(self.vertices)
        cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
        points = points @ np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
        triangles, material = np.vstack(self.triangles), np.concatenate(self.material)
        corners = points[triangles]
        normals = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
        return Mesh(
            vertices=(points + origin).astype(np.float32),
            triangles=triangles.astype(np.int32),
            rgb=lit(np.vstack(self.rgb), normals, sun).astype(np.float32),
            material=material.astype(np.uint8),
            uv=surface_coordinates(corners, normals).astype(np.float32),
            instance=np.full(len(triangles), instance, np.int32),
        )


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vectors (..., 3) at length 1; those without length stay so."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def lit(rgb: NDArray[np.float64], normals: NDArray[np.float64], sun: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours under a sun and a sky: 1 on flat ground in the sun; darker downwards and away from it."""
    sky = 0.36 + 0.12 * normals[:, 2]
    light = sky + 0.52 * np.maximum(normals @ sun, 0.0) / max(float(sun[2]), 0.25)
    return np.asarray(np.clip(rgb * np.minimum(light, 1.25)[:, None], 0, 255))


def surface_coordinates(corners: NDArray[np.float64], normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, 3, 2): along the wall and up it for steep triangles, east and north for flat ones."""
    steep = np.abs(normals[:, 2]) < 0.5
    tangent = np.stack([-normals[:, 1], normals[:, 0]], axis=1)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    along = np.einsum("mkd,md->mk", corners[..., :2], tangent)
    walls = np.stack([along, corners[..., 2]], axis=-1)
    return np.where(steep[:, None, None], walls, corners[..., :2])


WALLS_OF_4 = np.array([(0, 1, 5), (0, 5, 4), (1, 2, 6), (1, 6, 5), (2, 3, 7), (2, 7, 6), (3, 0, 4), (3, 4, 7)])


def _icosphere() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    golden = (1 + 5**0.5) / 2
    points = np.array([(0, a, b) for a in (-1, 1) for b in (-golden, golden)], float)
    points = unit(np.vstack([points, points[:, [1, 2, 0]], points[:, [2, 0, 1]]]))
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    near = (gaps > 0.1) & (gaps < 1.2)
    faces = [
        (a, b, c)
        for a in range(12)
        for b in range(a + 1, 12)
        for c in range(b + 1, 12)
        if near[a, b] and near[b, c] and near[a, c]
    ]
    return points, outward(points, np.array(faces))


def outward(points: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Faces of a shape about the origin, wound to be counter-clockwise from outside."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    wrong = np.einsum("md,md->m", np.cross(b - a, c - a), a + b + c) < 0
    faces = faces.copy()
    faces[wrong] = faces[wrong][:, ::-1]
    return faces


def _subdivided(points: NDArray[np.float64], faces: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    a, b, c = faces.T
    edges = np.sort(np.vstack([np.c_[a, b], np.c_[b, c], np.c_[c, a]]), axis=1)
    unique, inverse = np.unique(edges, axis=0, return_inverse=True)
    middle = unit(points[unique[:, 0]] + points[unique[:, 1]])
    ab, bc, ca = (inverse.ravel()[k * len(faces) : (k + 1) * len(faces)] + len(points) for k in range(3))
    finer = np.vstack([np.c_[a, ab, ca], np.c_[ab, b, bc], np.c_[ca, bc, c], np.c_[ab, bc, ca]])
    return np.vstack([points, middle]), finer


SPHERE_20, FACES_20 = _icosphere()
SPHERE_80, FACES_80 = _subdivided(SPHERE_20, FACES_20)
