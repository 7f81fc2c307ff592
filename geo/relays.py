"""Continuous watch over a place: who is there when, where nobody can be, and where nobody was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.errors import AreaInvalid
from geo.positions import LocalPlane
from geo.tracks import Track

Array = NDArray[np.float64]


class Watcher(msgspec.Struct, frozen=True, kw_only=True):
    """One that takes turns in a watch."""

    name: str
    """Who."""
    endurance_s: float
    """From leaving its base until it is back, at most, s."""
    out_s: float
    """From its base to the place, s."""
    back_s: float
    """From the place to its base, s."""
    recharge_s: float
    """At its base until it can leave again, s."""
    ready_s: float = 0.0
    """When it can first leave, s on the clock of the watch."""

    @property
    def stay_s(self) -> float:
        """How long it can be at the place, s."""
        return self.endurance_s - self.out_s - self.back_s


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One flight of a watch; times are s on the clock of the watch."""

    name: str
    """Who."""
    leaves_s: float
    """Its base."""
    arrives_s: float
    """At the place."""
    relieved_s: float
    """Leaves the place."""
    home_s: float
    """Is back at its base."""


class Gap(msgspec.Struct, frozen=True):
    """A time in which nobody watches."""

    begins_s: float
    """s."""
    ends_s: float
    """s."""

    @property
    def duration_s(self) -> float:
        """How long, s."""
        return self.ends_s - self.begins_s


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """A watch of some duration."""

    turns: tuple[Turn, ...]
    """In order of arrival."""
    gaps: tuple[Gap, ...]
    """When nobody can be there."""
    needed: int
    """How many like the least able of them keep the watch for ever, with the overlap asked for."""

    @property
    def gap_s(self) -> float:
        """All gaps together, s."""
        return sum(gap.duration_s for gap in self.gaps)

    @property
    def overlap_s(self) -> float:
        """For how long two are there at the shortest of the hand-overs, s; negative: nobody is, for so long."""
        return min((before.relieved_s - after.arrives_s for before, after in pairwise(self.turns)), default=math.inf)


def watchers_needed(watcher: Watcher, *, overlap_s: float) -> int:
    """How many alike keep a place watched for ever, each arriving `overlap_s` before the one before must leave.

    One's turns recur no sooner than its endurance and recharging allow, and each serves its stay less the overlap.
    Raises AreaInvalid where it cannot stay for longer than the overlap.
    """
    served_s = _served_s(watcher, overlap_s)
    return max(1, math.ceil((watcher.endurance_s + watcher.recharge_s) / served_s - 1e-9))


def _served_s(watcher: Watcher, overlap_s: float) -> float:
    served_s = watcher.stay_s - overlap_s
    if served_s <= 0:
        raise AreaInvalid(
            f"{watcher.name} can stay at the place for {watcher.stay_s:.0f} s of its {watcher.endurance_s:.0f} s, "
            f"and {overlap_s:.0f} s of that overlap: watch from nearer"
        )
    return served_s


def relay(watchers: Sequence[Watcher], *, begins_s: float, ends_s: float, overlap_s: float) -> Relay:
    """Turns that keep a place watched from `begins_s` to `ends_s`, on one clock with the watchers' `ready_s`.

    The next to go is who has been ready the longest; it arrives `overlap_s` before the one before must leave, or
    as soon as it can. Everyone stays as long as it may. Raises AreaInvalid where one cannot stay for longer than
    the overlap, or nobody is given.
    """
    if not watchers:
        raise AreaInvalid("nobody to watch")
    needed = max(watchers_needed(watcher, overlap_s=overlap_s) for watcher in watchers)
    ready_s = [watcher.ready_s for watcher in watchers]
    turns: list[Turn] = []
    gaps: list[Gap] = []
    wanted_s, watched_s = begins_s, begins_s
    while watched_s < ends_s:
        number = min(
            range(len(watchers)), key=lambda row: (max(ready_s[row] + watchers[row].out_s, wanted_s), ready_s[row])
        )
        watcher = watchers[number]
        arrives_s = max(ready_s[number] + watcher.out_s, wanted_s)
        if arrives_s > watched_s:
            gaps.append(Gap(watched_s, min(arrives_s, ends_s)))
        if arrives_s >= ends_s:
            break
        relieved_s = arrives_s + watcher.stay_s
        turns.append(Turn(
            name=watcher.name, leaves_s=arrives_s - watcher.out_s, arrives_s=arrives_s,
            relieved_s=min(relieved_s, ends_s), home_s=min(relieved_s, ends_s) + watcher.back_s,
        ))  # fmt: skip
        ready_s[number] = turns[-1].home_s + watcher.recharge_s
        watched_s = max(watched_s, relieved_s)
        wanted_s = watched_s - overlap_s
    return Relay(turns=tuple(turns), gaps=tuple(gaps), needed=needed)


def watch_gaps(
    tracks: Sequence[Track], *, lon: float, lat: float, sees_m: float, begins_utc_s: float, ends_utc_s: float
) -> tuple[Gap, ...]:
    """When none of the ways, as they were flown, was within `sees_m` (horizontally) of a place; s since 1970.

    Exact for ways that are straight and even between their rows. Outside its rows a way sees nothing.
    """
    plane = LocalPlane(lon=lon, lat=lat)
    seen = [spell for track in tracks for spell in _spells(track, plane, sees_m, begins_utc_s)]
    gaps: list[Gap] = []
    watched_s = 0.0
    for from_s, until_s in [*sorted(seen), (ends_utc_s - begins_utc_s, math.inf)]:
        if from_s > watched_s:
            gaps.append(Gap(begins_utc_s + watched_s, begins_utc_s + min(from_s, ends_utc_s - begins_utc_s)))
        watched_s = max(watched_s, until_s)
        if watched_s >= ends_utc_s - begins_utc_s:
            break
    return tuple(gaps)


def _spells(track: Track, plane: LocalPlane, sees_m: float, begins_utc_s: float) -> list[tuple[float, float]]:
    """From when until when a way is within reach of the plane's place, stretch by stretch, s from a beginning."""
    east_m, north_m = plane.to_plane(track.lon, track.lat)
    times_s = track.utc_s - begins_utc_s
    x, y, dx, dy = east_m[:-1], north_m[:-1], np.diff(east_m), np.diff(north_m)
    second, first = dx * dx + dy * dy, x * dx + y * dy
    rest = first * first - second * (x * x + y * y - sees_m * sees_m)
    root = np.sqrt(np.maximum(rest, 0.0))
    moving = second > 0
    begin = np.where(moving, np.clip((-first - root) / np.where(moving, second, 1.0), 0.0, 1.0), 0.0)
    end = np.where(moving, np.clip((-first + root) / np.where(moving, second, 1.0), 0.0, 1.0), 1.0)
    middle = (begin + end) / 2
    near = (np.hypot(x + middle * dx, y + middle * dy) <= sees_m) & (rest >= 0)
    spans_s = np.diff(times_s)
    rows = np.column_stack([times_s[:-1] + begin * spans_s, times_s[:-1] + end * spans_s])[near]
    return [(float(from_s), float(until_s)) for from_s, until_s in rows]
