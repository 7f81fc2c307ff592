"""Rows of tracks: places along a track, counted in its rows with fractions, so that standing still has a length too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geo.crossings import LONGEST_STRETCH_M
from geo.errors import AreaInvalid
from geo.spans import both, spans
from geo.tracks import Track
from geo.volumes import Volume4D, metres_per_degree

Array = NDArray[np.float64]

GROUND_STEP_M = 10.0
"""Limits above ground are compared so often along a track, and evenly in between."""
AT_LIMIT_M = 1e-6
"""At a limit itself one is not yet in the zone; heights are that exact."""


def whole(track: Track) -> Track:
    """A track of finite numbers, and of two rows at least. Raises AreaInvalid, which names the row."""
    columns = np.array([track.utc_s, track.lon, track.lat, track.amsl_m], float)
    bad = np.flatnonzero(~np.isfinite(columns).all(axis=0))
    if columns.shape[1] == 0 or len(bad):
        raise AreaInvalid(
            f"track: row {bad[0]} is {columns[:, bad[0]].tolist()}" if len(bad) else "track: it has no rows"
        )
    jumps = np.flatnonzero(np.abs(np.diff(columns[1])) > 180)
    if len(jumps):
        raise AreaInvalid(f"track: from row {jumps[0]}, {columns[1:3, jumps[0]].tolist()}, it crosses the antimeridian")
    return Track(*np.repeat(columns, 2, axis=1)) if columns.shape[1] == 1 else Track(*columns)


def stretches_of(track: Track) -> tuple[Array, Array]:
    """Rows (n + 1,), counted from 0 with fractions, and the short stretches (n, 4) between them."""
    ends = np.column_stack([track.lon, track.lat])
    return short_stretches(np.hstack([ends[:-1], ends[1:]]))


def short_stretches(stretches: Array) -> tuple[Array, Array]:
    """Long stretches (n, 4) cut in pieces: the rows at which these begin and end, and the pieces."""
    long_m = np.hypot(*((stretches[:, 2:] - stretches[:, :2]) * (111_400.0, 111_700.0)).T)
    if long_m.max(initial=0.0) <= LONGEST_STRETCH_M:
        return np.arange(len(stretches) + 1.0), stretches
    counts = np.maximum(np.ceil(long_m / LONGEST_STRETCH_M), 1).astype(int)
    owner = np.repeat(np.arange(len(stretches)), counts)
    part = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.append(owner + part / counts[owner], float(len(stretches)))
    corners = np.vstack([stretches[:, :2], stretches[-1:, 2:]])
    places = np.column_stack([np.interp(rows, np.arange(len(corners)), axis) for axis in corners.T])
    return rows, np.hstack([places[:-1], places[1:]])


def spans_of_rows(rows: Array, stretches: NDArray[np.int64], shares: Array) -> Array:
    """Spans of rows (n, 2) from shares of stretches; the end of one is exactly the beginning of the next."""
    begins, ends = rows[stretches], rows[stretches + 1]
    last = np.where(shares[:, 1] == 1.0, ends, begins + shares[:, 1] * (ends - begins))
    return np.column_stack([begins + shares[:, 0] * (ends - begins), last])


def column(track: Track, name: str, rows: Array) -> Array:
    """A column of a track at rows."""
    values = getattr(track, name)
    return np.asarray(np.interp(rows, np.arange(len(values)), values))


def level_rows(track: Track, begin: float, end: float, *, fine: bool) -> Array:
    """Rows from begin to end between which heights are taken as even."""
    inner = np.arange(np.floor(begin) + 1, np.ceil(end))
    stops = np.concatenate([[begin], inner, [end]])
    if not fine:
        return stops
    lon, lat = column(track, "lon", stops), column(track, "lat", stops)
    east_m, north_m = metres_per_degree(float(lat.mean()))
    counts = np.maximum(np.ceil(np.hypot(np.diff(lon) * east_m, np.diff(lat) * north_m) / GROUND_STEP_M), 1)
    along = np.concatenate([[0.0], np.cumsum(counts)])
    return np.asarray(np.interp(np.arange(along[-1] + 1), along, stops))


def above_zero(rows: Array, values: Array) -> Array:
    """Spans of rows in which a value, even between the rows, is above AT_LIMIT_M."""
    low, high = values[:-1] - AT_LIMIT_M, values[1:] - AT_LIMIT_M
    some = (low > 0) | (high > 0)
    begin, end, low, high = rows[:-1][some], rows[1:][some], low[some], high[some]
    share = np.divide(low, low - high, out=np.zeros_like(low), where=low != high)
    turn = begin + share * (end - begin)
    return spans(np.column_stack([np.where(low > 0, begin, turn), np.where(high > 0, end, turn)]))


def in_time(volume: Volume4D, track: Track, rows: Array) -> Array:
    """Of spans of rows, those at which a volume is active."""
    if not volume.times or not len(rows):
        return rows
    active = volume.active_s(track.utc_s[0], max(track.utc_s[-1], track.utc_s[0] + 1e-3))
    return both(
        rows, spans(np.column_stack([_row_at(track, active[:, 0], "left"), _row_at(track, active[:, 1], "right")]))
    )


def _row_at(track: Track, utc_s: Array, side: str) -> Array:
    """Rows at times: of several rows of one time the first (left) or the last (right)."""
    after = np.searchsorted(track.utc_s, utc_s, side="left" if side == "left" else "right")
    after = np.clip(after, 1, len(track.utc_s) - 1)
    begin, end = track.utc_s[after - 1], track.utc_s[after]
    share = np.divide(utc_s - begin, end - begin, out=np.full(len(utc_s), float(side == "right")), where=end > begin)
    return np.asarray(after - 1 + np.clip(share, 0.0, 1.0))
