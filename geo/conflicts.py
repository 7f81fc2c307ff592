"""Whether ways through space and time come too close to each other, and what keeps them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.approaches import closest_pairs, forbidden_delays
from geo.positions import LocalPlane
from geo.tracks import Track

Array = NDArray[np.float64]

DELAY_STEP_S = 0.01
"""A delay goes so far beyond the moment at which a way becomes free."""


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when one way comes too close to another: both horizontally and vertically."""

    other: str
    """Whose way it is."""
    utc_s: float
    """When this one is closest, s since 1970."""
    other_utc_s: float
    """When the other is, which differs by no more than the uncertainty of time, s since 1970."""
    begins_utc_s: float
    """When this one comes too close, s since 1970."""
    ends_utc_s: float
    """When it no longer is, s since 1970."""
    lon: float
    """Of this one at the closest, deg."""
    lat: float
    """Of this one at the closest, deg."""
    amsl_m: float
    """Of this one at the closest, m AMSL."""
    horizontal_m: float
    """Smallest horizontal distance while vertically too close, m."""
    vertical_m: float
    """Vertical distance there and then, m."""


class Clearance(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a way clear of others."""

    delay_s: float
    """Begin so much later, s."""
    climb_m: float
    """Fly so much higher between take-off and landing (negative: lower), m."""

    def applied(self, track: Track) -> Track:
        """The way, delayed and raised; its first and last rows, on the ground, keep their heights."""
        amsl_m = track.amsl_m.copy()
        amsl_m[1:-1] += self.climb_m
        return replace(track, utc_s=track.utc_s + self.delay_s, amsl_m=amsl_m)


@dataclass(frozen=True)
class Airspace:
    """The ways of others on one metric plane, ready to be compared with."""

    plane: LocalPlane
    """Metric within some tens of km of its place."""
    names: tuple[str, ...]
    """Whose ways."""
    rows: Array
    """(n, 4): UTC s, x, y on the plane, m AMSL; way after way."""
    firsts: NDArray[np.int64]
    """(ways + 1,) the row with which each way begins, and the number of rows."""

    @classmethod
    def of(cls, tracks: Mapping[str, Track], plane: LocalPlane) -> Airspace:
        """The ways of those named; one of a single row is that place at that time."""
        rows = [rows_of(track, plane) for track in tracks.values()]
        firsts = np.concatenate([[0], np.cumsum([len(way) for way in rows])]).astype(np.int64)
        return cls(plane, tuple(tracks), np.concatenate([np.empty((0, 4)), *rows]), firsts)


def rows_of(track: Track, plane: LocalPlane) -> Array:
    """(n, 4) rows of a way on a plane: UTC s, x, y, m AMSL; n is 2 or more."""
    east_m, north_m = plane.to_plane(track.lon, track.lat)
    rows = np.column_stack([track.utc_s, east_m, north_m, track.amsl_m])
    return rows if len(rows) > 1 else np.repeat(rows, 2, axis=0)


def conflicts(
    track: Track, others: Airspace, *, horizontal_m: float, vertical_m: float, time_margin_s: float = 0.0
) -> tuple[Conflict, ...]:
    """Every time at which a way is closer to another than `horizontal_m` and, together, `vertical_m`.

    Each may be early or late, so that their times differ by up to `time_margin_s`. Before its first and after its
    last row a way is on the ground and in nobody's way. In order of time.
    """
    rows = rows_of(track, others.plane)
    begin_s = rows[0, 0]
    found: dict[int, list[tuple[float, ...]]] = {}
    for pair in closest_pairs(
        rows - [begin_s, 0, 0, 0],
        others.rows - [begin_s, 0, 0, 0],
        others.firsts,
        horizontal_m,
        vertical_m,
        time_margin_s,
    ):
        spell: tuple[float, ...] = pair
        spells = found.setdefault(int(pair[0]), [])
        if spells and pair[3] <= spells[-1][4] + 1e-6:
            before = spells.pop()
            closest = min(before, pair, key=lambda row: row[5])
            spell = (*closest[:3], min(before[3], pair[3]), max(before[4], pair[4]), *closest[5:])
        spells.append(spell)
    told = [_conflict(others.names[way], spell, rows, others.plane, begin_s) for way in found for spell in found[way]]
    return tuple(sorted(told, key=lambda conflict: (conflict.begins_utc_s, conflict.other)))


def _conflict(other: str, spell: tuple[float, ...], rows: Array, plane: LocalPlane, begin_s: float) -> Conflict:
    _, at_s, other_s, from_s, until_s, horizontal_m, vertical_m, place = spell
    x, y, amsl_m = (float(np.interp(place, np.arange(len(rows)), rows[:, column])) for column in (1, 2, 3))
    lon, lat = plane.to_lonlat(x, y)
    return Conflict(
        other=other,
        utc_s=float(begin_s + at_s),
        other_utc_s=float(begin_s + other_s),
        begins_utc_s=float(begin_s + from_s),
        ends_utc_s=float(begin_s + until_s),
        lon=float(lon),
        lat=float(lat),
        amsl_m=amsl_m,
        horizontal_m=horizontal_m,
        vertical_m=vertical_m,
    )


def resolve(
    track: Track,
    others: Airspace,
    *,
    horizontal_m: float,
    vertical_m: float,
    time_margin_s: float = 0.0,
    layers_m: Sequence[float] = (0.0,),
) -> Clearance:
    """The smallest delay with which a way has no conflict; of the layers that allow it, the nearest to its own.

    `layers_m` are how much higher it may fly. There is always a delay: after the last of the others.
    """
    found: list[Clearance] = []
    for climb_m in sorted(layers_m, key=abs):
        raised = Clearance(delay_s=0.0, climb_m=climb_m).applied(track)
        rows = rows_of(raised, others.plane)
        begin = [rows[0, 0], 0, 0, 0]
        intervals = forbidden_delays(
            rows - begin, others.rows - begin, horizontal_m, vertical_m, time_margin_s, others.firsts
        )
        delay_s = 0.0
        for low_s, high_s in sorted(intervals):
            if low_s < delay_s + DELAY_STEP_S and high_s > delay_s:
                delay_s = high_s + DELAY_STEP_S
        found.append(Clearance(delay_s=float(delay_s), climb_m=climb_m))
        if delay_s == 0.0:
            break
    return min(found, key=lambda clearance: clearance.delay_s)


def separate(
    tracks: Sequence[Track],
    plane: LocalPlane,
    *,
    horizontal_m: float,
    vertical_m: float,
    time_margin_s: float = 0.0,
    layers_m: Sequence[float] = (0.0,),
) -> tuple[Clearance, ...]:
    """Delays and layers with which no two ways come closer than the separation; who comes first goes first."""
    cleared: dict[str, Track] = {}
    clearances: list[Clearance] = []
    for number, track in enumerate(tracks):
        clearance = resolve(
            track,
            Airspace.of(cleared, plane),
            horizontal_m=horizontal_m,
            vertical_m=vertical_m,
            time_margin_s=time_margin_s,
            layers_m=layers_m,
        )
        cleared[str(number)] = clearance.applied(track)
        clearances.append(clearance)
    return tuple(clearances)
