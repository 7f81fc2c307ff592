"""Sites: what is known of the place where something is to be flown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fleet.endurance import Airframe
from geo.terrain import FlatTerrain, GridTerrain, Terrain, TerrainTiles
from missioncontrol.sorties import Start


@dataclass(frozen=True)
class Site:
    """Vehicles and where they stand, and the ground."""

    starts: tuple[Start, ...]
    """Who flies, and from where."""
    terrain: Terrain | None = None
    """None: flat ground at the height of the take-off, which plans then say."""
    airframes: Mapping[int, Airframe] = field(default_factory=dict)
    """By sysid; others have the usual one."""

    def airframe(self, sysid: int) -> Airframe:
        """Of a vehicle."""
        return self.airframes.get(sysid, Airframe())


def terrain_of(dem: Sequence[Path], ground_amsl_m: float | None = None) -> Terrain | None:
    """Terrain from GeoTIFFs, or flat ground of a height, or None where neither is given. Raises TerrainMissing."""
    if dem:
        return TerrainTiles([GridTerrain.from_file(path) for path in dem])
    return None if ground_amsl_m is None else FlatTerrain(ground_amsl_m)
