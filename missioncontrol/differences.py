"""What makes two plans differ, in the words of somebody who has to approve the second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import numpy as np
from shapely.geometry import Polygon

from fleet.failsafes import LostLinkPolicy
from fleet.fences import FencePolygon
from fleet.missions import MissionItem, has_position
from geo.positions import LocalPlane
from missioncontrol.plans import Plan, VehiclePlan
from missioncontrol.sorties import DO_CHANGE_SPEED, DO_MOUNT_CONTROL, DO_SET_CAM_TRIGG_DIST, NAV_WAYPOINT

NOTHING = "same hash: nothing differs"
"""Said of two plans that are the same."""
MOST_STRETCHES = 4
"""A flight that differs in more places is summed up."""
LEAST_HEIGHT_M, LEAST_AREA_M2, LEAST_SHARE = 0.5, 100.0, 0.01
"""Differences of heights, areas, and shares of time, energy and pictures, that are told."""


def differences(before: Plan, after: Plan) -> tuple[str, ...]:
    """What differs, the most important first: who flies, what keeps it safe, where, how, what it takes; () if nothing.

    Whatever differs in items, fences, rally points or the lost-link policy is told; times and energies only where
    they matter.
    """
    words = [
        *_fleet(before, after),
        *_policies(before.lost_link, after.lost_link),
        *_fences(before, after),
        *_rally(before, after),
        *_scope(before, after),
        *_manner(before, after),
        *_effort(before, after),
        *_flights(before, after),
        *_warnings(before, after),
    ]
    if not words and before.hash != after.hash:
        words = [f"hash {after.hash[:12]} instead of {before.hash[:12]}"]
    return tuple(words)


def _parts(plan: Plan) -> dict[tuple[int, int], VehiclePlan]:
    return {(part.sysid, part.sortie): part for part in plan.vehicles}


def _fleet(before: Plan, after: Plan) -> Iterator[str]:
    old, new = (Counter(part.sysid for part in plan.vehicles) for plan in (before, after))
    for sysid in sorted(old.keys() | new.keys()):
        if not new[sysid]:
            yield f"vehicle {sysid} no longer flies"
        elif not old[sysid]:
            yield f"vehicle {sysid} flies too, {_count(new[sysid], 'flight')}"
        elif new[sysid] != old[sysid]:
            yield f"vehicle {sysid} flies {_count(new[sysid], 'flight')} instead of {old[sysid]}"


def _policies(before: LostLinkPolicy | None, after: LostLinkPolicy | None) -> Iterator[str]:
    if before != after:
        old, new = (("as it is aboard" if policy is None else policy.text) for policy in (before, after))
        yield f"lost link: {new} instead of {old}"


def _fences(before: Plan, after: Plan) -> Iterator[str]:
    old, new = _parts(before), _parts(after)
    for key in sorted(old.keys() & new.keys()):
        first, second = old[key].fence, new[key].fence
        if first == second:
            continue
        who = _who(new[key], after)
        if not second:
            yield f"{who}: no fence any more"
        elif not first:
            yield f"{who}: a fence, where there was none"
        elif len(first) != len(second) or [area.inclusion for area in first] != [area.inclusion for area in second]:
            yield f"{who}: fence of other areas, {len(second)} instead of {len(first)}"
        else:
            moved_m = max(_apart_m(a, b) for a, b in zip(first, second, strict=True))
            yield f"{who}: fence moved by up to {_metres(moved_m)}"


def _rally(before: Plan, after: Plan) -> Iterator[str]:
    old, new = _parts(before), _parts(after)
    for key in sorted(old.keys() & new.keys()):
        first, second = old[key].rally, new[key].rally
        if len(first) != len(second):
            yield f"{_who(new[key], after)}: {_count(len(second), 'rally point')} instead of {len(first)}"
        elif first != second:
            yield f"{_who(new[key], after)}: rally points elsewhere or at other heights"


def _apart_m(first: FencePolygon, second: FencePolygon) -> float:
    """Hausdorff distance of two outlines, m."""
    plane = LocalPlane(lon=first.ring[0][0], lat=first.ring[0][1])
    shapes = [Polygon(np.column_stack(plane.to_plane(*np.array(area.ring).T))).exterior for area in (first, second)]
    return float(shapes[0].hausdorff_distance(shapes[1]))


def _scope(before: Plan, after: Plan) -> Iterator[str]:
    more_m2 = after.area_m2 - before.area_m2
    if abs(more_m2) >= LEAST_AREA_M2:
        yield f"the area is {abs(more_m2) / 1e4:.2f} ha {'larger' if more_m2 > 0 else 'smaller'}"
    old_m, new_m = (_heights_m(plan) for plan in (before, after))
    if abs(new_m - old_m) >= LEAST_HEIGHT_M:
        yield f"height {new_m:.0f} m instead of {old_m:.0f} m above the take-off"
    old_cm, new_cm = before.gsd_cm["median"], after.gsd_cm["median"]
    if abs(new_cm - old_cm) > LEAST_SHARE * old_cm:
        yield f"{new_cm:.2f} cm per pixel instead of {old_cm:.2f}"


def _heights_m(plan: Plan) -> float:
    """Median height of the places flown by, m above the take-off."""
    heights = [item.z for part in plan.vehicles for item in part.items if item.command == NAV_WAYPOINT]
    return float(np.median(heights)) if heights else 0.0


def _manner(before: Plan, after: Plan) -> Iterator[str]:
    for command, param, name, unit in (
        (DO_CHANGE_SPEED, 1, "speed", "m/s"),
        (DO_SET_CAM_TRIGG_DIST, 0, "a picture every", "m"),
        (DO_MOUNT_CONTROL, 0, "camera pitch", "deg"),
        (NAV_WAYPOINT, 0, "stops of", "s"),
    ):
        old, new = (_values(plan, command, param) for plan in (before, after))
        if old != new:
            yield f"{name} {_list(new)} {unit} instead of {_list(old)} {unit}"


def _values(plan: Plan, command: int, param: int) -> list[float]:
    """The different values of a parameter of all items of a command, 0 left out."""
    found = {
        round(item.params[param], 1) for part in plan.vehicles for item in part.items if item.command == command
    } - {0.0}
    return sorted(found)


def _list(values: Sequence[float]) -> str:
    if not values:
        return "no"
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"


def _effort(before: Plan, after: Plan) -> Iterator[str]:
    for name, old, new, unit, scale in (
        ("time", before.duration_s, after.duration_s, "min", 60.0),
        ("way", before.path_m, after.path_m, "km", 1000.0),
        ("energy", before.energy_wh, after.energy_wh, "Wh", 1.0),
        ("pictures", float(before.photos), float(after.photos), "", 1.0),
    ):
        if abs(new - old) > LEAST_SHARE * max(old, new):
            figures = [f"{value / scale:.0f}" if scale == 1.0 else f"{value / scale:.1f}" for value in (new, old)]
            yield f"{name} {figures[0]} instead of {figures[1]} {unit}".rstrip()


def _flights(before: Plan, after: Plan) -> Iterator[str]:
    old, new = _parts(before), _parts(after)
    for key in sorted(old.keys() & new.keys()):
        yield from _items(old[key], new[key], _who(new[key], after))
        later_s = new[key].delay_s - old[key].delay_s
        if later_s:
            yield f"{_who(new[key], after)} takes off {abs(later_s):.0f} s {'later' if later_s > 0 else 'earlier'}"


def _items(before: VehiclePlan, after: VehiclePlan, who: str) -> Iterator[str]:
    """Where the items of a flight differ, numbered from 0 as on the wire of most tools."""
    old, new = before.items, after.items
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    stretches = [codes for codes in matcher.get_opcodes() if codes[0] != "equal"]
    if len(stretches) > MOST_STRETCHES:
        first, last = stretches[0], stretches[-1]
        stretches = [("replace", first[1], last[2], first[3], last[4])]
    for _, i, j, k, m in stretches:
        yield _stretch(old[i:j], new[k:m], i, j, who)


def _stretch(old: Sequence[MissionItem], new: Sequence[MissionItem], begin: int, end: int, who: str) -> str:
    if not old:
        where = "at the beginning" if begin == 0 else f"after item {begin - 1}"
        return f"{who}: {_count(len(new), 'item')} more {where}"
    which = f"item {begin}" if end - begin == 1 else f"items {begin} to {end - 1}"
    if not new:
        return f"{who}: {which} left out"
    if [item.command for item in old] != [item.command for item in new]:
        return f"{who}: {which} replaced by {_count(len(new), 'item')}"
    moved_m = max((_moved_m(a, b) for a, b in zip(old, new, strict=True) if has_position(a)), default=0.0)
    if moved_m > 0.0:
        return f"{who}: {which} moved by up to {_metres(moved_m)}"
    return f"{who}: {which} changed"


def _moved_m(old: MissionItem, new: MissionItem) -> float:
    """How far an item's place is from where it was, m, up and down included; 0 where only the rest of it changed."""
    if (old.x, old.y, old.z) == (new.x, new.y, new.z):
        return 0.0
    plane = LocalPlane(lon=old.y / 1e7, lat=old.x / 1e7)
    east_m, north_m = plane.to_plane(new.y / 1e7, new.x / 1e7)
    return float(np.hypot(np.hypot(east_m, north_m), new.z - old.z))


def _warnings(before: Plan, after: Plan) -> Iterator[str]:
    for said in after.warnings:
        if said not in before.warnings:
            yield f"now: {said}"
    for said in before.warnings:
        if said not in after.warnings:
            yield f"no longer: {said}"


def _who(part: VehiclePlan, plan: Plan) -> str:
    several = sum(each.sysid == part.sysid for each in plan.vehicles) > 1
    return f"vehicle {part.sysid}" + (f", flight {part.sortie}" if several else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _metres(value_m: float) -> str:
    return f"{value_m:.0f} m" if value_m >= 10.0 else f"{value_m:.2g} m"
