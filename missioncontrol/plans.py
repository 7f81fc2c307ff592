"""Plans as people, API and store see them, and the hash that an approval binds."""

from __future__ import annotations

import hashlib
from collections.abc import Set
from typing import Any

import msgspec
import numpy as np

from fleet.failsafes import LostLinkPolicy
from fleet.fences import FencePolygon, RallyPoint, fence_hash, rally_hash
from fleet.missions import MissionItem
from geo.tracks import Track


class VehiclePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle's part."""

    sysid: int
    """Who flies it."""
    sortie: int = 1
    """Its number among the flights of this vehicle, from 1; before each further one the battery is changed."""
    items: tuple[MissionItem, ...]
    """What is uploaded."""
    hash: str
    """Of the items; what the vehicle reads back must hash to it."""
    path: dict[str, Any]
    """GeoJSON Feature, a LineString of lon, lat, m AMSL."""
    path_m: float
    """Length from take-off to landing excluded, m."""
    duration_s: float
    """Flying time, s."""
    energy_wh: float
    """Energy used, Wh."""
    times_s: tuple[float, ...] = ()
    """When it is at each point of `path`, s after the order to take off."""
    return_height_m: float = 0.0
    """From wherever it returns by itself, this height above home clears everything on the straight way, m; it is
    seen to that the vehicle returns at least so high."""
    delay_s: float = 0.0
    """It takes off so much later than the first of its round, to keep apart, s."""
    battery_percent: float
    """Share of a full battery used, 0 to 100."""
    fence: tuple[FencePolygon, ...] = ()
    """What it stays inside of, and outside of; it is uploaded, read back and watched by the vehicle itself."""
    rally: tuple[RallyPoint, ...] = ()
    """Where it may return to instead of home; uploaded and read back."""

    def track(self, begins_utc_s: float) -> Track | None:
        """Where it is over time if its round begins then; None for a plan of which that is not known."""
        if not self.times_s:
            return None
        way = np.array(self.path["geometry"]["coordinates"], float)
        home = np.array([[*way[0, :2], way[0, 2] - self.items[0].z]])
        lon, lat, amsl_m = np.concatenate([home, way, home]).T
        times_s = np.array([0.0, *self.times_s, max(self.duration_s, self.times_s[-1])])
        return Track(begins_utc_s + self.delay_s + times_s, lon, lat, amsl_m)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be flown, ready to be approved."""

    hash: str
    """Over the parts of all vehicles: what an approval binds."""
    lines: int
    """Legs of the pattern: survey lines, sides, stops."""
    path_m: float
    """Flown length, take-off to landing excluded, m."""
    photos: int
    """Pictures at the overlaps asked for."""
    duration_s: float
    """Of the longest part, s."""
    energy_wh: float
    """Of all parts, Wh."""
    sorties: int
    """Take-offs needed."""
    area_m2: float
    """Of the area covered, m2; 0 where the pattern covers none."""
    gsd_cm: dict[str, float]
    """min, median and max over the ground, cm per pixel."""
    plan_s: float
    """Time it took to plan, s."""
    warnings: tuple[str, ...] = ()
    """What a person should know before approving."""
    lost_link: LostLinkPolicy | None = None
    """What each vehicle does when it hears us no more; as it is aboard where absent."""
    vehicles: tuple[VehiclePlan, ...]
    """Parts."""

    def due(self, flown: Set[tuple[int, int, str]]) -> tuple[VehiclePlan, ...]:
        """The next part of each vehicle: its first sortie that was not `flown` (sysid, sortie, hash) to its end."""
        found: dict[int, VehiclePlan] = {}
        for part in sorted(self.vehicles, key=lambda part: part.sortie):
            if (part.sysid, part.sortie, part.hash) not in flown:
                found.setdefault(part.sysid, part)
        return tuple(found.values())

    def part(self, sysid: int, sortie: int) -> VehiclePlan | None:
        """A sortie of a vehicle; None where the plan has no such flight."""
        return next((part for part in self.vehicles if (part.sysid, part.sortie) == (sysid, sortie)), None)

    def public(self, *, items: bool) -> dict[str, Any]:
        """As the API gives it: `items` counts each vehicle's items; with `items`, `mission_items` lists them."""
        tree: dict[str, Any] = msgspec.to_builtins(self)
        for part in tree["vehicles"]:
            mission_items = part.pop("items")
            part["items"] = len(mission_items)
            if items:
                part["mission_items"] = [{"seq": seq, **item} for seq, item in enumerate(mission_items)]
        return tree


def plan_hash(parts: tuple[VehiclePlan, ...], lost_link: LostLinkPolicy | None = None) -> str:
    """SHA-256 over who flies what and when, inside of which fence, how it returns, and what it does without a link."""
    lines = []
    for part in sorted(parts, key=lambda part: (part.sysid, part.sortie)):
        sortie = f" sortie {part.sortie}" if part.sortie > 1 else ""
        late = f" after {part.delay_s:g} s" if part.delay_s else ""
        back = f" returns at {part.return_height_m:g} m" if part.return_height_m else ""
        fence = f" fence {fence_hash(part.fence)}" if part.fence else ""
        rally = f" rally {rally_hash(part.rally)}" if part.rally else ""
        lines.append(f"{part.sysid} {part.hash}{sortie}{late}{back}{fence}{rally}")
    if lost_link is not None:
        lines.append(f"lost link {lost_link.text}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
