"""Cars that drive and people who walk, stand and fight: places as functions of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.world.incidents import BRAWL_FROM_S, Gathering
from simulators.world.scene import Ring

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Movers:
    """Things that move, at one moment; arrays of equal length."""

    x: Floats
    """East, m."""
    y: Floats
    """North, m."""
    yaw_rad: Floats
    """Heading from east, counter-clockwise."""
    kind: NDArray[np.int64]
    """Cars: index into CAR_SIZES; people: 0 standing, 1 walking, 2 running."""
    color: NDArray[np.int64]
    """Picks paint or clothes."""
    instance: NDArray[np.int64]
    """Number in labels."""


class Lines:
    """Many polylines, each walked along by its own length."""

    def __init__(self, lines: list[Ring]) -> None:
        """Lines (n, 2), m; each at least two points."""
        lengths = [np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))]) for line in lines]
        self.length_m = np.array([along[-1] for along in lengths])
        self._start = np.concatenate([[0.0], np.cumsum(self.length_m + 10.0)])[:-1]
        self._along = np.concatenate([along + start for along, start in zip(lengths, self._start, strict=True)])
        self._points = np.concatenate(lines)

    def at(self, line: NDArray[np.int64], along_m: Floats) -> Floats:
        """Points (n, 2) at `along_m` on line numbers `line`."""
        where = self._start[line] + np.clip(along_m, 0.0, self.length_m[line])
        return np.stack([np.interp(where, self._along, self._points[:, k]) for k in range(2)], axis=1)


class Cars:
    """Cars on their lanes, right-hand traffic."""

    def __init__(self, lanes: list[Ring], widths_m: list[float], rng: np.random.Generator, first: int) -> None:
        """Some cars for each lane; their instances count from `first`."""
        self._lines = Lines(lanes)
        per_lane = np.maximum(1, (self._lines.length_m * np.where(np.array(widths_m) > 10, 0.011, 0.0032)).astype(int))
        self._line = np.repeat(np.arange(len(lanes)), per_lane)
        self.count = len(self._line)
        self._phase = rng.random(self.count)
        self._speed = rng.uniform(6.0, 14.0, self.count)
        self._back = rng.random(self.count) < 0.5
        self._side = np.asarray(widths_m)[self._line] / 4
        self._kind = rng.choice(5, self.count, p=[0.52, 0.28, 0.1, 0.06, 0.04])
        self._color = rng.integers(1 << 16, size=self.count)
        self._instance = np.arange(first, first + self.count)

    def at(self, since_s: float) -> Movers:
        """Where they are so long after the world's start, s."""
        length = self._lines.length_m[self._line]
        along = (self._phase * length + self._speed * since_s) % length
        along = np.where(self._back, length - along, along)
        point, ahead = self._lines.at(self._line, along), self._lines.at(self._line, along + 1.0)
        behind = self._lines.at(self._line, along - 1.0)
        step = np.where(self._back, -1.0, 1.0)[:, None] * (ahead - behind)
        yaw = np.arctan2(step[:, 1], step[:, 0])
        x, y = point[:, 0] + np.sin(yaw) * self._side, point[:, 1] - np.cos(yaw) * self._side
        return Movers(x, y, yaw, self._kind, self._color, self._instance)


class Walkers:
    """People walking to and fro along lines."""

    def __init__(self, walks: list[Ring], per_km: float, rng: np.random.Generator, first: int) -> None:
        """People in proportion to the length of each line; their instances count from `first`."""
        self._lines = Lines(walks)
        counts = rng.poisson(self._lines.length_m * per_km / 1000)
        self._line = np.repeat(np.arange(len(walks)), counts)
        self.count = len(self._line)
        self._phase = rng.random(self.count)
        self._speed = rng.normal(1.3, 0.2, self.count).clip(0.6, 2.2) * (rng.random(self.count) > 0.12)
        self._side = rng.normal(0, 0.8, self.count)
        self._color = rng.integers(1 << 20, size=self.count)
        self._instance = np.arange(first, first + self.count)

    def at(self, since_s: float) -> Movers:
        """Where they are so long after the world's start, s."""
        length = self._lines.length_m[self._line]
        round_trip = (2 * self._phase * length + self._speed * since_s) % (2 * length)
        back = round_trip > length
        along = np.where(back, 2 * length - round_trip, round_trip)
        point = self._lines.at(self._line, along)
        step = self._lines.at(self._line, along + 0.5) - self._lines.at(self._line, along - 0.5)
        yaw = np.arctan2(step[:, 1], step[:, 0]) + np.where(back, np.pi, 0.0)
        x, y = point[:, 0] + np.sin(yaw) * self._side, point[:, 1] - np.cos(yaw) * self._side
        kind = (self._speed > 0).astype(np.int64)
        return Movers(x, y, yaw, kind, self._color, self._instance)


class Crowd:
    """A gathering: people who stand about, and in a brawl rush at each other."""

    def __init__(self, gathering: Gathering, first: int) -> None:
        """Instances count from `first`."""
        rng = np.random.default_rng(gathering.seed)
        self.gathering, self.count = gathering, gathering.people
        angle, away = rng.uniform(0, 2 * np.pi, self.count), np.sqrt(rng.random(self.count)) * gathering.radius_m
        self._home = np.stack([np.cos(angle), np.sin(angle)], axis=1) * away[:, None] + (gathering.x, gathering.y)
        self._rate = rng.uniform(0.9, 2.6, (self.count, 2, 3))
        self._start = rng.uniform(0, 2 * np.pi, (self.count, 2, 3))
        self._reach = rng.uniform(0.3, 1.1, (self.count, 2, 3))
        self._yaw = rng.uniform(0, 2 * np.pi, self.count)
        self._color = rng.integers(1 << 20, size=self.count)
        self._instance = np.arange(first, first + self.count)

    def at(self, since_s: float) -> Movers:
        """Where they are so long after the world's start, s."""
        heat = float(np.clip((since_s - BRAWL_FROM_S) / 5.0, 0.0, 1.0)) if self.gathering.brawl else 0.0
        swing = self._rate * since_s * (1.0 if heat else 0.12) + self._start
        sway = np.sum(self._reach * np.sin(swing), axis=2) * (0.12 + 0.88 * heat)
        pace = np.sum(self._reach * self._rate * np.cos(swing), axis=2)
        point = self._home + sway
        yaw = np.where(heat > 0, np.arctan2(pace[:, 1], pace[:, 0]), self._yaw)
        kind = np.full(self.count, 2 if heat > 0 else 0)
        return Movers(point[:, 0], point[:, 1], yaw, kind, self._color, self._instance)


def joined(parts: list[Movers]) -> Movers:
    """All of them as one."""
    return Movers(
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("x", "y", "yaw_rad", "kind", "color", "instance")
        )
    )
