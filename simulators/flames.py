"""Flames and smoke as soft puffs that are born, drift and fade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.world.incidents import Fire

FLAMES, PUFFS = 90, 110
SMOKE_LIFE_S, WIND_M_S = 26.0, 1.8


@dataclass(frozen=True)
class Puffs:
    """Puffs at one moment; arrays of equal length."""

    places: NDArray[np.float32]
    """(n, 3) east, north, height AMSL, m."""
    radius_m: NDArray[np.float32]
    rgb: NDArray[np.float32]
    """(n, 3)."""
    alpha: NDArray[np.float32]
    """Opacity in the middle, 0 to 1."""
    salt: NDArray[np.float32]
    """Shifts the grain."""
    flame: NDArray[np.bool_]
    """Whether it glows."""


def puffs(fire: Fire, since_s: float, wind_to_rad: float) -> Puffs:
    """What a fire looks like so long after the world's start, s; smoke drifts to `wind_to_rad` from east."""
    flames, smoke = _flames(fire, since_s), _smoke(fire, since_s, wind_to_rad)
    return Puffs(*(np.concatenate([getattr(smoke, n), getattr(flames, n)]) for n in Puffs.__dataclass_fields__))


def _flames(fire: Fire, since_s: float) -> Puffs:
    rng = np.random.default_rng(fire.seed)
    start, life = rng.random(FLAMES), rng.uniform(0.5, 1.3, FLAMES)
    age = (since_s / life + start) % 1.0
    angle, away = rng.uniform(0, 2 * np.pi, FLAMES), np.sqrt(rng.random(FLAMES)) * fire.radius_m * 0.85
    wobble = 0.2 * np.sin(since_s * rng.uniform(3, 9, FLAMES) + angle)
    x, y = fire.x + away * np.cos(angle) + wobble, fire.y + away * np.sin(angle) + wobble
    z = fire.amsl_m + 0.4 + age * 3.4
    radius = (0.5 + 0.45 * rng.random(FLAMES)) * (1.15 - 0.6 * age) * (0.6 + fire.radius_m / 4)
    hot = np.array([(255, 238, 150), (255, 176, 48), (242, 100, 20), (160, 44, 12)], float)
    rgb = np.stack([np.interp(age, (0, 0.35, 0.75, 1), hot[:, k]) for k in range(3)], axis=1)
    return _puffs(x, y, z, radius, rgb, 0.9 * (1 - 0.55 * age), rng.uniform(0, 512, FLAMES), True)


def _smoke(fire: Fire, since_s: float, wind_to_rad: float) -> Puffs:
    rng = np.random.default_rng(fire.seed + 1)
    age = (since_s / SMOKE_LIFE_S + np.arange(PUFFS) / PUFFS) % 1.0
    turn = wind_to_rad + rng.normal(0, 0.16, PUFFS) * age
    drift = WIND_M_S * SMOKE_LIFE_S * age
    spread = rng.normal(0, 0.35, (2, PUFFS)) * (fire.radius_m + 5 * age)
    x, y = fire.x + drift * np.cos(turn) + spread[0], fire.y + drift * np.sin(turn) + spread[1]
    z = fire.amsl_m + 2.0 + 13.0 * age**0.8
    radius = fire.radius_m * 0.5 + 0.6 + 6.5 * age
    tone = 205 - 150 * fire.dark + 40 * age + rng.normal(0, 8, PUFFS)
    rgb = np.clip(np.stack([tone, tone, tone * 1.015], axis=1), 0, 250)
    alpha = (0.28 + 0.3 * fire.dark) * np.clip(1.0 - age, 0, 1) ** 0.8
    return _puffs(x, y, z, radius, rgb, alpha, rng.uniform(0, 512, PUFFS), False)


def _puffs(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    radius: NDArray[np.float64],
    rgb: NDArray[np.float64],
    alpha: NDArray[np.float64],
    salt: NDArray[np.float64],
    flame: bool,
) -> Puffs:
    f4 = np.float32
    places = np.stack([x, y, z], axis=1).astype(f4)
    return Puffs(places, radius.astype(f4), rgb.astype(f4), alpha.astype(f4), salt.astype(f4), np.full(len(x), flame))
