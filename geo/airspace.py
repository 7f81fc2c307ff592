"""Airspace: which zones a track breaches, what of an area is left, and the shortest way round."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.affinity import scale

from geo import geoids
from geo.areas import polygon_parts
from geo.breaches import Breach, breaches_at
from geo.crossings import Footprints
from geo.errors import AreaInvalid, DatumUnknown, WayBlocked
from geo.inclusions import merged
from geo.positions import Altitude, Datum
from geo.spans import both, outside, spans
from geo.terrain import Terrain
from geo.track_rows import (
    AT_LIMIT_M,
    above_zero,
    column,
    in_time,
    level_rows,
    short_stretches,
    spans_of_rows,
    stretches_of,
    whole,
)
from geo.tracks import Track
from geo.volumes import Volume4D, above, grown, metres_per_degree, widened
from geo.ways import shortest_way
from geo.zones import CLEARABLE, EXCLUSIVE, Kind, Zone

Array = NDArray[np.float64]

GROUND_POSTS = 60
"""Rows and columns in which the ground is looked at where a band and a zone count from different datums."""
CLEARANCE_M = 0.01
"""Ways keep so much more than the margin, so that rounding does not touch it."""
OUTSIDE = "the outside of the inclusion zones"
"""What is blocked where there are such."""
FRAME = 10.0
"""Inclusion zones are looked at over a box so many times as wide as what is near; their outside is closed round it."""
MOST_ROUNDS = 500
"""A way that still meets new zones after being laid so often is given up."""


@dataclass(frozen=True)
class Band:
    """Times and heights within which something is to be flown."""

    start_s: float
    """From when, UTC, s since 1970."""
    end_s: float
    """Until when."""
    low: Altitude
    """Lowest height; AGL, AMSL or W84."""
    high: Altitude
    """Greatest height."""


@dataclass(frozen=True)
class Blocked:
    """What a zone takes from a band."""

    zone: Zone | None
    """Which; None: what lies outside of every inclusion zone."""
    polygon: Polygon
    """Where (lon, lat), with the margin."""

    @property
    def title(self) -> str:
        """For people."""
        return OUTSIDE if self.zone is None else self.zone.title


@dataclass(frozen=True)
class Allowed:
    """What zones leave of an area."""

    polygons: tuple[Polygon, ...]
    """Parts (lon, lat); none where nothing is left."""
    cut: tuple[str, ...]
    """What was cut away, for people."""


class Airspace:
    """Many zones, to be asked about tracks, areas and ways."""

    def __init__(self, zones: Iterable[Zone], terrain: Terrain | None = None, *, cleared: Collection[str] = ()) -> None:
        """`terrain` for limits above ground; `cleared`: identifiers of zones that a permit opens (none prohibited)."""
        self._terrain = terrain
        zones = tuple(zones)
        self._parts = [
            (zone, volume)
            for zone in zones
            if zone.kind in EXCLUSIVE and not (zone.kind in CLEARABLE and zone.id in cleared)
            for volume in zone.volumes
        ]
        self._prints = Footprints.of([volume.footprint for _, volume in self._parts])
        self._grown: dict[tuple[int, float], shapely.Geometry] = {}
        self._inclusions = merged([zone for zone in zones if zone.kind == Kind.INCLUSION])
        self._inclusion_prints = Footprints.of([polygon for _, polygon in self._inclusions])

    def breaches(self, track: Track, *, margin_m: float = 0.0, height_margin_m: float = 0.0) -> tuple[Breach, ...]:
        """Every piece of a track that is in a zone, or nearer to it than the margins, m; in order of time.

        Where there are inclusion zones, so is every piece outside of them, or nearer to their edge. Exact in the
        plane and in time; in height too, but that the ground is taken as even between places 10 m apart.
        Raises AreaInvalid for a track that is not finite, DatumUnknown, TerrainMissing.
        """
        track = whole(track)
        rows, stretches = stretches_of(track)
        near, which = self._prints.near(stretches, margin_m)
        pairs, shares = self._prints.spans(stretches, near, which, margin_m)
        found, owners = spans_of_rows(rows, near[pairs], shares), which[pairs]
        breaches = []
        for part in np.unique(owners).tolist():
            zone, volume = self._parts[part]
            inside = in_time(volume, track, spans(found[owners == part]))
            breaches.extend(
                breaches_at(zone, track, self._in_height(volume, track, inside, height_margin_m, zone.title))
            )
        if self._inclusions:
            breaches.extend(self._strayed(track, rows, stretches, margin_m, height_margin_m))
        return tuple(sorted(breaches, key=lambda breach: breach.begins.utc_s))

    def _strayed(
        self, track: Track, rows: Array, stretches: Array, margin_m: float, height_margin_m: float
    ) -> list[Breach]:
        """Pieces outside of every inclusion zone."""
        last = len(track.utc_s) - 1.0
        inside = [np.empty((0, 2))]
        every = np.arange(len(stretches))
        for part, (volume, _) in enumerate(self._inclusions):
            pairs, shares = self._inclusion_prints.spans(
                stretches, every, np.full(len(every), part), margin_m, outward=True
            )
            free = outside(spans(spans_of_rows(rows, every[pairs], shares)), 0.0, last)
            timely = in_time(volume, track, free)
            inside.append(self._in_height(volume, track, timely, -height_margin_m, "an inclusion zone"))
        return breaches_at(None, track, outside(spans(np.concatenate(inside)), 0.0, last))

    def _in_height(self, volume: Volume4D, track: Track, rows: Array, margin_m: float, name: str) -> Array:
        """Of spans of rows, those in which the track is between the limits of a volume, widened by a margin."""
        found = [np.empty((0, 2))]
        from_ground = not above(volume.lower) and margin_m >= 0
        for begin, end in rows.tolist():
            limits = [limit for limit in (None if from_ground else volume.lower, volume.upper) if limit is not None]
            rows_at = level_rows(track, begin, end, fine=any(limit.datum != Datum.AMSL for limit in limits))
            lon, lat, amsl_m = (column(track, part, rows_at) for part in ("lon", "lat", "amsl_m"))
            within = np.array([[begin, end]])
            if volume.lower is not None and not from_ground:
                within = above_zero(rows_at, amsl_m - self._amsl_m(volume.lower, lon, lat, name) + margin_m)
            if volume.upper is not None:
                lower_than = above_zero(rows_at, self._amsl_m(volume.upper, lon, lat, name) + margin_m - amsl_m)
                within = both(within, lower_than)
            found.append(within)
        return spans(np.concatenate(found))

    def _amsl_m(self, altitude: Altitude, lon: Array, lat: Array, name: str) -> Array:
        """A limit as m AMSL at places."""
        if altitude.datum == Datum.AMSL:
            return np.full(len(lon), altitude.value_m)
        if altitude.datum == Datum.W84:
            return geoids.amsl_m(np.full(len(lon), altitude.value_m), lon, lat, datum=geoids.HeightDatum.W84)
        if altitude.datum == Datum.AGL and self._terrain is not None:
            return self._terrain.amsl_m(lon, lat) + altitude.value_m
        needed = "terrain" if altitude.datum == Datum.AGL else "the home position"
        raise DatumUnknown(f"{name}: {altitude.value_m:g} m {altitude.datum} cannot be compared without {needed}")

    def blocked(self, near: Polygon, band: Band, *, margin_m: float = 0.0) -> tuple[Blocked, ...]:
        """What zones take from a band near a polygon (lon, lat), grown by a margin, m.

        A zone counts where it is active at any time of the band and reaches into its heights anywhere near the
        polygon. Where inclusion zones leave out anything of the polygon, the outside of them all comes first: a frame
        closed around what is free. Raises DatumUnknown, TerrainMissing.
        """
        west, south, east, north = widened(near, margin_m).bounds
        parts = np.sort(self._prints.tree.query(shapely.box(west, south, east, north)))
        closed = [
            Blocked(self._parts[part][0], polygon)
            for part in parts.tolist()
            if self._reaches(self._parts[part][1], near, band, margin_m, self._parts[part][0].title)
            for polygon in polygon_parts(self._footprint(part, margin_m))
            if polygon.intersects(near)
        ]
        return (*self._outside(near, band, margin_m), *closed)

    def _outside(self, near: Polygon, band: Band, margin_m: float) -> list[Blocked]:
        """What inclusion zones leave out around a polygon, if they leave out anything of it."""
        inclusion = self._inclusion(near, band, margin_m)
        if inclusion is None or inclusion.covers(near):
            return []
        box = shapely.box(*near.bounds)
        outside = scale(box, FRAME + 1, FRAME + 1).difference(scale(box, FRAME, FRAME).intersection(inclusion))
        return [Blocked(None, polygon) for polygon in polygon_parts(outside)]

    def _footprint(self, part: int, margin_m: float) -> shapely.Geometry:
        key = part, margin_m
        if key not in self._grown:
            self._grown[key] = grown(self._parts[part][1].footprint, margin_m)
        return self._grown[key]

    def _reaches(self, volume: Volume4D, near: shapely.Geometry, band: Band, margin_m: float, name: str) -> bool:
        """Whether a volume is active during a band and reaches into its heights."""
        if not volume.active_within(band.start_s, band.end_s):
            return False
        lower = volume.lower if above(volume.lower) else None
        return self._under(lower, band.high, volume, near, margin_m, name) and self._under(
            band.low, volume.upper, volume, near, margin_m, name
        )

    def _under(
        self,
        lower: Altitude | None,
        upper: Altitude | None,
        volume: Volume4D,
        near: shapely.Geometry,
        margin_m: float,
        name: str,
    ) -> bool:
        """Whether one height is below another anywhere in a volume near a place."""
        if lower is None or upper is None:
            return True
        if lower.datum == upper.datum:
            return lower.value_m < upper.value_m - AT_LIMIT_M
        common = grown(volume.footprint, margin_m).intersection(shapely.box(*widened(near, margin_m).bounds))
        if common.is_empty:
            return False
        west, south, east, north = common.bounds
        lon, lat = np.meshgrid(np.linspace(west, east, GROUND_POSTS), np.linspace(south, north, GROUND_POSTS))
        below = self._amsl_m(lower, lon.ravel(), lat.ravel(), name)
        return bool((below < self._amsl_m(upper, lon.ravel(), lat.ravel(), name)).any())

    def allowed(self, area: Polygon, band: Band, *, margin_m: float = 0.0) -> Allowed:
        """What zones leave of an area (lon, lat) in a band, a margin, m, away from them, and what they took."""
        east_m, north_m = metres_per_degree(area.centroid.y)
        left, cut = area, []
        for blocked in self.blocked(area, band, margin_m=margin_m):
            cut.append((blocked.title, area.intersection(blocked.polygon).area))
            left = left.difference(blocked.polygon)
        return Allowed(
            tuple(polygon_parts(left)),
            tuple(
                f"{taken * east_m * north_m / 1e4:.2f} ha ({100 * taken / area.area:.1f} %) cut away: {title}"
                for title, taken in cut
                if taken > 0
            ),
        )

    def _inclusion(self, near: shapely.Geometry, band: Band, margin_m: float) -> shapely.Geometry | None:
        """Where (lon, lat) a band lies inside inclusion zones throughout; None where there are no such zones."""
        if not self._inclusions:
            return None
        kept = []
        for volume, polygon in self._inclusions:
            active = volume.active_s(band.start_s, max(band.end_s, band.start_s + 1e-3))
            throughout = len(active) == 1 and active[0, 0] <= band.start_s and active[0, 1] >= band.end_s
            name = "an inclusion zone"
            leaves = (above(volume.lower) and self._under(band.low, volume.lower, volume, near, margin_m, name)) or (
                volume.upper is not None and self._under(volume.upper, band.high, volume, near, margin_m, name)
            )
            if throughout and not leaves:
                kept.append(polygon)
        return widened(shapely.union_all(kept), -margin_m)

    def way(self, start: tuple[float, float], end: tuple[float, float], band: Band, *, margin_m: float = 0.0) -> Array:
        """(k, 2) lon and lat of the shortest way between two places that keeps a margin, m, from the zones of a band.

        Straight between its places in longitude and latitude. Only zones that ways come across are looked at: a
        way that is the shortest round some of the zones and meets no other is the shortest round all. Margins are
        up to 2 % wider round corners. Raises WayBlocked, which names the zones, DatumUnknown, TerrainMissing.
        """
        places = np.array([start, end], float)
        if not np.isfinite(places).all() or (np.abs(places) > (180, 90)).any():
            raise AreaInvalid(f"{places.tolist()} are no places on earth, [lon, lat]")
        keep_m = margin_m + CLEARANCE_M
        per_degree = np.array(metres_per_degree(float(places[:, 1].mean())))
        middle = places.mean(axis=0)
        known: dict[int, bool] = {}
        active: dict[int, Polygon] = {}
        inclusion = self._inclusion(shapely.LineString(places), band, keep_m)
        way, inside = places, inclusion is None or inclusion.covers(shapely.LineString(places))
        for _ in range(MOST_ROUNDS):
            met = self._met(way, band, keep_m, known, active)
            if not met and inside:
                return way
            active.update(met)
            self._check_ends(places, active, inclusion, margin_m)
            flat = [
                shapely.transform(shape, lambda xy: (xy - middle) * per_degree)
                for shape in (*active.values(), *(() if inclusion is None else (inclusion,)))
            ]
            obstacles, domain = (flat, None) if inclusion is None else (flat[:-1], flat[-1])
            narrowing = -np.tan(np.radians(middle[1])) / 6_371_008.8
            first, last = (places - middle) * per_degree
            found = shortest_way(first, last, obstacles, domain, narrowing=float(narrowing))
            if found is None:
                titles = sorted({self._parts[part][0].title for part in active})[:5]
                names = ", ".join(titles if inclusion is None else [OUTSIDE, *titles])
                raise WayBlocked(f"no way from {start} to {end} that keeps {margin_m:g} m from {names}")
            way, inside = np.vstack([places[:1], found[1:-1] / per_degree + middle, places[1:]]), True
        raise WayBlocked(f"no way from {start} to {end} found among {len(active)} zones")

    def _met(
        self, way: Array, band: Band, keep_m: float, known: dict[int, bool], active: dict[int, Polygon]
    ) -> dict[int, Polygon]:
        """Zones not yet looked at that a way comes too near to."""
        stretches = short_stretches(np.hstack([way[:-1], way[1:]]))[1]
        near, which = self._prints.near(stretches, keep_m)
        fresh = np.isin(which, list(active), invert=True)
        pairs, _ = self._prints.spans(stretches, near[fresh], which[fresh], keep_m - CLEARANCE_M / 2)
        met = {}
        for part in np.unique(which[fresh][pairs]).tolist():
            zone, volume = self._parts[part]
            if part not in known:
                known[part] = self._reaches(volume, shapely.box(*self._prints.bounds[part]), band, keep_m, zone.title)
            if known[part]:
                met[part] = self._footprint(part, keep_m)
        return met

    def _check_ends(
        self, places: Array, active: dict[int, Polygon], inclusion: shapely.Geometry | None, margin_m: float
    ) -> None:
        for name, place in (("start", places[0]), ("end", places[1])):
            point = shapely.Point(place)
            said = f"the {name}, lon {place[0]:.6f}, lat {place[1]:.6f},"
            if inclusion is not None and not inclusion.covers(point):
                raise WayBlocked(f"{said} is not inside the inclusion zones by {margin_m:g} m")
            held = [self._parts[part] for part, polygon in active.items() if polygon.intersects(point)]
            if held:
                inside = any(grown(volume.footprint, 0.0).intersects(point) for _, volume in held)
                titles = ", ".join(zone.title for zone, _ in held)
                raise WayBlocked(f"{said} is {'inside' if inside else f'nearer than {margin_m:g} m to'} {titles}")


def touched(
    tracks: Sequence[Track],
    zone: Zone,
    terrain: Terrain | None = None,
    *,
    after_s: float = -np.inf,
    margin_m: float = 0.0,
) -> tuple[tuple[int, Breach], ...]:
    """Which of many tracks a zone touches after some time, UTC, s since 1970: their numbers, and each breach.

    Raises what `Airspace.breaches` raises.
    """
    airspace = Airspace([zone], terrain)
    boxes = np.array([volume.footprint.bounds() for volume in zone.volumes])
    up = margin_m / 110_000.0
    found: list[tuple[int, Breach]] = []
    for number, track in enumerate(tracks):
        if len(track.utc_s) == 0 or track.utc_s[-1] < after_s:
            continue
        aside = up / max(np.cos(np.radians(np.abs(track.lat).max())), 0.01)
        apart = (
            (boxes[:, 0] > track.lon.max() + aside)
            | (boxes[:, 2] < track.lon.min() - aside)
            | (boxes[:, 1] > track.lat.max() + up)
            | (boxes[:, 3] < track.lat.min() - up)
        )
        if zone.kind != Kind.INCLUSION and apart.all():
            continue
        breaches = airspace.breaches(_left(track, after_s), margin_m=margin_m)
        found.extend((number, breach) for breach in breaches)
    return tuple(found)


def _left(track: Track, after_s: float) -> Track:
    """What of a track lies after a time."""
    if track.utc_s[0] >= after_s:
        return track
    later = track.utc_s > after_s
    here = track.at([after_s])
    columns = [
        np.concatenate([first, column[later]])
        for first, column in zip(here, (track.lon, track.lat, track.amsl_m), strict=True)
    ]
    return Track(np.concatenate([[after_s], track.utc_s[later]]), *columns)
