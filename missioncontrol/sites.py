"""Sites: what is known of the place where something is to be flown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fleet.air import CALM, Conditions
from fleet.batteries import BatteryState
from fleet.endurance import Airframe
from geo.airspace import Airspace
from geo.obstacles import Obstacle
from geo.terrain import FlatTerrain, Terrain, TerrainTiles
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
    batteries: Mapping[int, BatteryState] = field(default_factory=dict)
    """As their history tells, by sysid; others are new."""
    conditions: Conditions = CALM
    """Wind, air and payload."""
    airspace: Airspace | None = None
    """Zones to keep out of, or inside of."""
    obstacles: tuple[Obstacle, ...] = ()
    """Buildings, masts and wires."""
    begins_utc_s: float = 0.0
    """When the first vehicle takes off, UTC, s since 1970."""

    def airframe(self, sysid: int) -> Airframe:
        """Of a vehicle."""
        return self.airframes.get(sysid, Airframe())

    def usable_wh(self, sysid: int) -> float:
        """What a plan may use of the battery of a vehicle, Wh."""
        battery = self.batteries.get(sysid)
        airframe = self.airframe(sysid)
        return airframe.usable_wh if battery is None else airframe.usable_now_wh(battery, self.conditions)


def terrain_of(dem: Sequence[Path], ground_amsl_m: float | None = None) -> Terrain | None:
    """Terrain from DEMs and folders of them, flat ground of a height, or None where neither is given.

    Raises TerrainMissing, DatumUnknown.
    """
    if dem:
        return TerrainTiles.from_files(dem)
    return None if ground_amsl_m is None else FlatTerrain(ground_amsl_m)
