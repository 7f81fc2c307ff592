"""Meshes of what stands still, in square chunks built when first needed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simulators.world.city import World
from simulators.world.meshes import Material, Mesh, Solids
from simulators.world.scene import Building, Parked, Prop, Tree, rectangle
from simulators.world.scenery import SHAPES, car, tree

CHUNK_M = 64.0
KEPT_CHUNKS = 900
LAID = frozenset({"fence", "dump", "pile", "earthpile", "woodpile", "ruin"})
"""Things that follow the slope they lie on."""
LEVELLED = frozenset({"frame", "foundation"})
"""Things that stand level on the highest ground under them."""
Key = tuple[int, int]


@dataclass(frozen=True)
class Chunk:
    """What stands in one square of ground."""

    mesh: Mesh
    corners: dict[int, NDArray[np.float32]]
    """Vertices (n, 3) of each labelled thing in it, by instance."""


class Standing:
    """Meshes of buildings, trees, parked cars and things, by chunk; safe to share between threads."""

    def __init__(self, world: World) -> None:
        """Sorts everything into chunks; meshes are made later."""
        self._world = world
        self._makers: dict[Key, list[Callable[[], Mesh]]] = {}
        self._chunks: OrderedDict[Key, Chunk] = OrderedDict()
        self._lock = threading.Lock()
        scene = world.scene
        for building in scene.buildings:
            x, y = building.ring.mean(axis=0)
            self._file(x, y, partial(self._building, building))
        for one in scene.trees:
            self._file(one.x, one.y, partial(self._tree, one))
        for parked in scene.parked:
            self._file(parked.x, parked.y, partial(self._car, parked))
        for prop in scene.props:
            self._file(prop.x, prop.y, partial(self._prop, prop))

    def _file(self, x: float, y: float, make: Callable[[], Mesh]) -> None:
        self._makers.setdefault((int(x // CHUNK_M), int(y // CHUNK_M)), []).append(make)

    def chunk(self, key: Key) -> Chunk:
        """Everything whose middle lies in a chunk."""
        with self._lock:
            if key not in self._chunks:
                mesh = Mesh.joined([make() for make in self._makers.get(key, [])])
                self._chunks[key] = Chunk(mesh, corners_by_instance(mesh))
                while len(self._chunks) > KEPT_CHUNKS:
                    self._chunks.popitem(last=False)
            self._chunks.move_to_end(key)
            return self._chunks[key]

    def within(self, west: float, south: float, east: float, north: float) -> list[Chunk]:
        """Chunks that touch a rectangle, m."""
        return [
            self.chunk((i, j))
            for i in range(int(west // CHUNK_M), int(east // CHUNK_M) + 1)
            for j in range(int(south // CHUNK_M), int(north // CHUNK_M) + 1)
            if (i, j) in self._makers
        ]

    def _building(self, building: Building) -> Mesh:
        solids = Solids()
        top = building.base_amsl_m + building.height_m
        walls = Material.WINDOWS if building.windows else Material.PLASTER
        solids.prism(
            building.ring, building.base_amsl_m - 2.0, top, wall_rgb=building.wall_rgb, top_rgb=building.roof_rgb,
            wall=walls, top=Material.BITUMEN,
        )  # fmt: skip
        if building.roof != "flat":
            hip = 0.0 if building.roof == "gable" else 0.24
            solids.roof(building.ring, top, 1.9 if building.use == "house" else 1.2, building.roof_rgb, hip=hip)
        elif building.use in ("apartments", "school"):
            _roof_furniture(solids, building, top)
        return solids.mesh(self._world.sun)

    def _tree(self, one: Tree) -> Mesh:
        solids = Solids()
        tree(solids, one.kind, one.radius_m, one.height_m, np.random.default_rng(one.seed))
        return solids.mesh(self._world.sun, origin=(one.x, one.y, float(self._world.ground_amsl_m(one.x, one.y))))

    def _car(self, parked: Parked) -> Mesh:
        solids = Solids()
        car(solids, parked.kind, parked.color)
        low = float(self._world.ground_amsl_m(parked.x, parked.y))
        return solids.mesh(
            self._world.sun, origin=(parked.x, parked.y, low), yaw_rad=parked.yaw_rad, instance=parked.instance
        )

    def _prop(self, prop: Prop) -> Mesh:
        ground_amsl_m = self._world.ground_amsl_m
        rng = np.random.default_rng(prop.seed)
        solids = Solids()
        SHAPES[prop.kind](solids, prop.size, rng)
        low = float(ground_amsl_m(prop.x, prop.y))
        if prop.kind in LEVELLED:
            foot = rectangle(prop.x, prop.y, prop.size[0], prop.size[1], prop.yaw_rad)
            low = float(np.max(ground_amsl_m(foot[:, 0], foot[:, 1])))
        mesh = solids.mesh(self._world.sun, origin=(prop.x, prop.y, low), yaw_rad=prop.yaw_rad, instance=prop.instance)
        if prop.kind in LAID:
            mesh.vertices[:, 2] += (ground_amsl_m(mesh.vertices[:, 0], mesh.vertices[:, 1]) - low).astype(np.float32)
        return mesh


def _roof_furniture(solids: Solids, building: Building, top: float) -> None:
    a, b, c, d = building.ring[:4]
    yaw = float(np.arctan2(*(b - a)[::-1]))
    for share in np.linspace(0.12, 0.88, 5):
        x, y = (a + d) / 2 * (1 - share) + (b + c) / 2 * share
        solids.box((x, y, top), (2.6, 2.2, 1.7), (168, 160, 150), yaw_rad=yaw)
    for start, end in ((a, b), (b, c), (c, d), (d, a)):
        middle, length = (start + end) / 2, float(np.linalg.norm(end - start))
        solids.box((middle[0], middle[1], top), (length, 0.25, 0.5), (176, 172, 166),
                   yaw_rad=float(np.arctan2(*(end - start)[::-1])))  # fmt: skip


def corners_by_instance(mesh: Mesh) -> dict[int, NDArray[np.float32]]:
    """Vertices (n, 3) of each labelled thing in a mesh."""
    owner = np.zeros(len(mesh.vertices), np.int32)
    owner[mesh.triangles.ravel()] = np.repeat(mesh.instance, 3)
    return {int(k): mesh.vertices[owner == k] for k in np.unique(owner) if k > 1}
