"""What was seen of each cell of an area, frame after frame: how often, how finely, whence, how sharp, in what light.

Looks are not counted as if each were new. Only those of one run, without a long pause, are counted together, and the
n-th counts only from a direction that differs from that of the first by n - 1 times a set amount: a camera that hovers
or swings to and fro sees the same thing again. The best run of a cell is what it is judged by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from geo.sun import sun_elevation_deg
from geo.visibility import Array, Cells, Exposures, Margin, is_hidden, lens_numbers, view_of, windows

MOST_BANDS = 16


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What a look must be like to count: nothing is claimed of looks unlike those that recall was measured of."""

    off_nadir_most_deg: float
    """Largest angle between the direction to the camera and the vertical, deg."""
    blur_most_px: float
    """Largest motion during the exposure, px."""
    sun_least_deg: float
    """Lowest sun, deg above the horizon."""
    apart: float
    """By how much the direction to the camera must turn (tangent) for another look to count."""
    pause_most_s: float = 3.0
    """After a longer pause a new run begins, s."""
    exposure_s: float = 1 / 500
    """Exposure time, s; cameras seldom tell it."""
    min_range_m: float = 0.0
    """Nearest range, m."""
    max_range_m: float = 600.0
    """Furthest range, m."""


@dataclass(frozen=True)
class Seen:
    """What was seen, by cell; all arrays are (rows, cols) of the cells unless said otherwise."""

    cells: Cells
    """Which cells."""
    bands_m: Array
    """(k, 2) finest and coarsest GSD of the bands that runs are counted for; they may overlap."""
    frames: NDArray[np.int32]
    """Frames in which it was seen at all."""
    best_gsd_m: NDArray[np.float32]
    """Finest GSD; inf where never seen, as with the others."""
    off_nadir_deg: NDArray[np.float32]
    """Smallest angle of view from the vertical."""
    blur_px: NDArray[np.float32]
    """Least motion blur."""
    sun_deg: NDArray[np.float32]
    """Highest sun; -inf where never seen."""
    first_utc_s: Array
    """When it was first seen."""
    last_utc_s: Array
    """When it was last seen; -inf where never."""
    hidden: NDArray[np.int32]
    """Frames in which it would have been seen, had nothing stood in between."""
    runs: NDArray[np.int16]
    """(rows, cols, k) most looks of one run within each band of GSD, that count by the conditions."""
    _run: NDArray[np.int16]
    """(rows, cols, k + 1) looks of the run under way, by band and in all."""
    _last: Array
    """(rows, cols, 3) direction (tangents east and north) of the first look of the run, and time of its last."""

    @classmethod
    def nothing(cls, cells: Cells, bands_m: ArrayLike) -> Seen:
        """Before the first frame. At most MOST_BANDS bands."""
        bands_m = np.asarray(bands_m, float).reshape(-1, 2)
        if not 0 < len(bands_m) <= MOST_BANDS:
            raise ValueError(f"{len(bands_m)} bands of GSD; there can be 1 to {MOST_BANDS}")
        size = cells.wanted.shape
        far = np.full((*size, 3), np.nan)
        far[..., 2] = -np.inf
        return cls(
            cells,
            bands_m,
            frames=np.zeros(size, np.int32),
            best_gsd_m=np.full(size, np.inf, np.float32),
            off_nadir_deg=np.full(size, np.inf, np.float32),
            blur_px=np.full(size, np.inf, np.float32),
            sun_deg=np.full(size, -np.inf, np.float32),
            first_utc_s=np.full(size, np.inf),
            last_utc_s=np.full(size, -np.inf),
            hidden=np.zeros(size, np.int32),
            runs=np.zeros((*size, len(bands_m)), np.int16),
            _run=np.zeros((*size, len(bands_m) + 1), np.int16),
            _last=far,
        )

    def add(self, exposures: Exposures, *, margin: Margin, conditions: Conditions) -> None:
        """Take the frames of one camera on one flight, in place; call once for each, in any order of the flights."""
        if not len(exposures):
            return
        cells = self.cells
        east_m, north_m = cells.plane.to_plane(exposures.lon, exposures.lat)
        eyes = np.stack([east_m, north_m, exposures.amsl_m], axis=-1)
        self._last[..., 2] = -np.inf  # another flight, another run
        _accumulate(
            np.array([cells.west_m, cells.south_m, cells.side_m]),
            np.ascontiguousarray(cells.ground_amsl_m),
            np.ascontiguousarray(cells.top_amsl_m),
            cells.wanted,
            eyes,
            np.ascontiguousarray(np.swapaxes(exposures.enu_from_camera, 1, 2)),
            np.ascontiguousarray(exposures.velocity_enu_m_s, float),
            np.asarray(exposures.utc_s, float),
            sun_elevation_deg(exposures.utc_s, exposures.lon, exposures.lat),
            windows(cells, exposures, eyes, conditions.max_range_m),
            lens_numbers(exposures.camera),
            margin.numbers(cells.side_m),
            np.array([
                math.tan(math.radians(conditions.off_nadir_most_deg)), conditions.blur_most_px,
                conditions.sun_least_deg, conditions.apart, conditions.pause_most_s, conditions.exposure_s,
                conditions.min_range_m, conditions.max_range_m,
            ]),
            self.bands_m,
            self.frames, self.best_gsd_m, self.off_nadir_deg, self.blur_px, self.sun_deg, self.first_utc_s,
            self.last_utc_s, self.hidden, self.runs, self._run, self._last,
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _accumulate(
    origin: Array,
    ground: Array,
    tops: Array,
    wanted: NDArray[np.bool_],
    eyes: Array,
    turns: Array,
    velocities: Array,
    times: Array,
    suns: Array,
    bounds: NDArray[np.int64],
    lens: Array,
    margin: Array,
    rules: Array,
    bands: Array,
    frames: NDArray[np.int32],
    best_gsd: NDArray[np.float32],
    off_nadir: NDArray[np.float32],
    least_blur: NDArray[np.float32],
    best_sun: NDArray[np.float32],
    first: Array,
    last: Array,
    hidden: NDArray[np.int32],
    runs: NDArray[np.int16],
    run: NDArray[np.int16],
    latest: Array,
) -> None:  # pragma: no cover - compiled
    west, south, side = origin
    widest, most_blur, least_sun, apart, pause, exposure, nearest, furthest = rules
    highest = tops.max()
    away = np.empty(3)
    for number in range(len(eyes)):
        speed = velocities[number]
        speed2 = speed[0] ** 2 + speed[1] ** 2 + speed[2] ** 2
        for row in range(bounds[number, 0], bounds[number, 1]):
            for column in range(bounds[number, 2], bounds[number, 3]):
                if not wanted[row, column]:
                    continue
                away[0] = west + (column + 0.5) * side - eyes[number, 0]
                away[1] = south + (row + 0.5) * side - eyes[number, 1]
                away[2] = ground[row, column] - eyes[number, 2]
                gsd, depth = view_of(away, turns[number], lens, margin)
                if gsd == 0.0:
                    continue
                range2 = away[0] ** 2 + away[1] ** 2 + away[2] ** 2
                if range2 > furthest * furthest:
                    continue
                if is_hidden(row, column, ground[row, column], away, tops, highest, side):
                    hidden[row, column] += 1
                    continue
                east, north = away[0] / away[2], away[1] / away[2]
                slant = math.hypot(east, north)
                along = speed[0] * away[0] + speed[1] * away[1] + speed[2] * away[2]
                across2 = max(speed2 - along * along / range2, 0.0)
                blur = math.sqrt(across2) * exposure * lens[0] / depth
                frames[row, column] += 1
                best_gsd[row, column] = min(best_gsd[row, column], gsd)
                off_nadir[row, column] = min(off_nadir[row, column], math.degrees(math.atan(slant)))
                least_blur[row, column] = min(least_blur[row, column], blur)
                best_sun[row, column] = max(best_sun[row, column], suns[number])
                first[row, column] = min(first[row, column], times[number])
                last[row, column] = max(last[row, column], times[number])
                if slant > widest or blur > most_blur or suns[number] < least_sun or range2 < nearest * nearest:
                    continue
                if times[number] - latest[row, column, 2] > pause:
                    run[row, column, :] = 0
                    latest[row, column, 0], latest[row, column, 1] = east, north
                latest[row, column, 2] = times[number]
                turned = math.hypot(east - latest[row, column, 0], north - latest[row, column, 1])
                if turned < apart * run[row, column, -1]:
                    continue
                run[row, column, -1] += 1
                for k in range(len(bands)):
                    if bands[k, 0] <= gsd <= bands[k, 1]:
                        run[row, column, k] += 1
                        runs[row, column, k] = max(runs[row, column, k], run[row, column, k])
