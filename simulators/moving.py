"""Meshes of cars that drive and people, at one moment."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulators.world import World
from simulators.world.meshes import Mesh, Solids
from simulators.world.scenery import CAR_COLORS, car, person
from simulators.world.traffic import Movers

CAR_TURNS, PERSON_TURNS = 128, 24
STRIDES = (0.0, -0.8, 0.0, 0.8)


class MovingMeshes:
    """Makes the meshes of what moves within a rectangle."""

    def __init__(self, world: World) -> None:
        """Of a world; shapes are kept once made."""
        self._world = world
        self._car = lru_cache(2048)(self._made_car)
        self._person = lru_cache(4096)(self._made_person)

    def meshes(self, utc_s: float, west: float, south: float, east: float, north: float) -> list[tuple[int, Mesh]]:
        """Instance and mesh of each car and person in a rectangle, m."""
        found: list[tuple[int, Mesh]] = []
        for movers, is_car in ((self._world.moving_cars(utc_s), True), (self._world.people(utc_s), False)):
            inside = (movers.x > west) & (movers.x < east) & (movers.y > south) & (movers.y < north)
            for index in np.flatnonzero(inside):
                found.append(self._one(movers, int(index), is_car, utc_s))
        return found

    def _one(self, movers: Movers, index: int, is_car: bool, utc_s: float) -> tuple[int, Mesh]:
        x, y, number = float(movers.x[index]), float(movers.y[index]), int(movers.instance[index])
        turn, color, kind = (
            float(movers.yaw_rad[index]) / (2 * np.pi),
            int(movers.color[index]),
            int(movers.kind[index]),
        )
        if is_car:
            shape = self._car(round(turn * CAR_TURNS) % CAR_TURNS, kind, color % len(CAR_COLORS))
        else:
            pace = int((utc_s * (1.9, 3.4)[kind == 2] + number * 0.37) * 2) % 4 if kind else 0
            shape = self._person(round(turn * PERSON_TURNS) % PERSON_TURNS, color % 61, STRIDES[pace])
        low = float(self._world.ground_amsl_m(x, y))
        place = np.array([x, y, low], np.float32)
        return number, replace(
            shape, vertices=shape.vertices + place, instance=np.full(len(shape.instance), number, np.int32)
        )

    def _made_car(self, turn: int, kind: int, color: int) -> Mesh:
        solids = Solids()
        car(solids, kind, color)
        return solids.mesh(self._world.sun, yaw_rad=2 * np.pi * turn / CAR_TURNS)

    def _made_person(self, turn: int, color: int, stride: float) -> Mesh:
        solids = Solids()
        person(solids, color * 37 + 5, stride)
        return solids.mesh(self._world.sun, yaw_rad=2 * np.pi * turn / PERSON_TURNS)

    def shadow(self, mesh: Mesh) -> NDArray[np.float32]:
        """The vertices (n, 3) moved along the sun's rays onto the ground at the thing's foot."""
        sun = self._world.sun
        low = mesh.vertices[:, 2].min()
        above = (mesh.vertices[:, 2] - low)[:, None]
        flat = mesh.vertices - above * np.array([sun[0] / sun[2], sun[1] / sun[2], 1.0])
        flat[:, 2] = self._world.ground_amsl_m(flat[:, 0], flat[:, 1])
        return np.asarray(flat, np.float32)
