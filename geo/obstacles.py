"""Things that stand up from the ground, and how far a path keeps from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Polygon

from geo.area_files import read_features
from geo.errors import AreaInvalid, ObstacleInvalid
from geo.outlooks import Walls
from geo.positions import Altitude, Datum, LocalPlane
from geo.shapes import Geometry, Shape, Value
from geo.terrain import Terrain

Array = NDArray[np.float64]

PIECE_M = 50.0
"""A line is kept in pieces no longer than this, each with the top of its own ground."""
HIGHEST_M = 1000.0
"""Nothing built is higher above its ground."""
WIDEST_M = 500.0
"""No mast with its guy wires is wider to each side."""
HEIGHTS = ("height_m", "height")
"""Attributes that hold the height above the ground, m."""
TOPS = ("top_amsl_m",)
"""Attributes that hold the height of the top, m AMSL."""


@dataclass(frozen=True)
class Obstacle:
    """A building (polygon), a mast or tree (point) or a wire (line)."""

    name: str
    """What people call it."""
    geometry: Geometry
    """Where it stands, lon, lat, deg; a wire has a corner at each of its poles."""
    top: Altitude
    """Of its highest point: AGL, at each pole where it is a wire, or AMSL. A wire hangs no higher than straight from
    pole to pole; where the ground between is higher, so much above the ground is counted."""
    radius_m: float = 0.0
    """How far it reaches to each side of its point or line, m."""


@dataclass(frozen=True)
class Breach:
    """A path that comes too near to an obstacle."""

    name: str
    """Of the obstacle."""
    lon: float
    """Where the path is lowest beside it, deg."""
    lat: float
    """Where the path is lowest beside it, deg."""
    path_amsl_m: float
    """Height of the path there."""
    top_amsl_m: float
    """Height of the obstacle."""
    apart_m: float
    """How near the path comes to it on the ground, m."""

    def __str__(self) -> str:
        """For people."""
        over_m = self.path_amsl_m - self.top_amsl_m
        how = f"{over_m:.0f} m above its top" if over_m >= 0 else f"{-over_m:.0f} m below its top"
        return f"{self.name}: {self.apart_m:.0f} m away, {how}, at lon {self.lon:.6f}, lat {self.lat:.6f}"


def read_obstacles(path: Path | str) -> tuple[Obstacle, ...]:
    """Obstacles of a GeoJSON or any other file that `read_features` knows.

    Every feature has `height_m` (above the ground) or `top_amsl_m`; points and lines may have `radius_m`. Raises
    ObstacleInvalid, which names the feature, its place and what is wrong.
    """
    try:
        shapes = read_features(path)
    except AreaInvalid as exc:
        raise ObstacleInvalid(str(exc)) from exc
    return tuple(obstacle_of(shape, f"{path}: feature {number}") for number, shape in enumerate(shapes, start=1))


def obstacle_of(shape: Shape, where: str) -> Obstacle:
    """The obstacle that a shape describes by its attributes. Raises ObstacleInvalid, `where` in front."""
    lon, lat = shapely.get_coordinates(shape.geometry)[0]
    named = f"{where}{f' {shape.name!r}' if shape.name else ''} at lon {lon:.6f}, lat {lat:.6f}"
    height_m, top_m = (_number(named, shape.attributes, names) for names in (HEIGHTS, TOPS))
    if (height_m is None) == (top_m is None):
        said = "has neither height_m nor" if height_m is None else "has both height_m and"
        raise ObstacleInvalid(f"{named} {said} top_amsl_m: give one of the two, in metres")
    if height_m is not None and not 0 < height_m <= HIGHEST_M:
        raise ObstacleInvalid(f"{named}: height_m {height_m:g} is not between 0 and {HIGHEST_M:g} m")
    radius_m = _number(named, shape.attributes, ("radius_m",)) or 0.0
    if not 0 <= radius_m <= WIDEST_M:
        raise ObstacleInvalid(f"{named}: radius_m {radius_m:g} is not between 0 and {WIDEST_M:g} m")
    if isinstance(shape.geometry, Polygon) and not shape.geometry.is_valid:
        raise ObstacleInvalid(f"{named}: {shapely.is_valid_reason(shape.geometry)}: its outline must not cross itself")
    top = Altitude(height_m, Datum.AGL) if height_m is not None else Altitude(top_m or 0.0, Datum.AMSL)
    return Obstacle(shape.name or named, shape.geometry, top, radius_m)


def _number(named: str, attributes: Mapping[str, Value], names: tuple[str, ...]) -> float | None:
    for name in names:
        value = attributes.get(name)
        if value is None:
            continue
        try:
            number = float(str(value).strip().removesuffix("m"))
        except ValueError as exc:
            raise ObstacleInvalid(f"{named}: {name} is {value!r}, metres are needed") from exc
        if isinstance(value, bool) or not np.isfinite(number):
            raise ObstacleInvalid(f"{named}: {name} is {value!r}, metres are needed")
        return number
    return None


class Obstacles:
    """Obstacles on a metric plane, found by place."""

    def __init__(
        self, obstacles: Sequence[Obstacle], plane: LocalPlane, terrain: Terrain, *, within: Polygon | None = None
    ) -> None:
        """Obstacles that touch `within` (m on the plane; None: all of them). Raises TerrainMissing, ObstacleInvalid."""
        self.plane = plane
        for obstacle in obstacles:
            if obstacle.top.datum not in (Datum.AGL, Datum.AMSL):
                raise ObstacleInvalid(f"{obstacle.name}: its top is {obstacle.top.datum}, AGL or AMSL is needed")
        shapes, owners = _on_plane([obstacle.geometry for obstacle in obstacles], plane)
        radii_m = np.array([obstacle.radius_m for obstacle in obstacles])[owners]
        if within is not None:
            near = shapely.dwithin(shapes, within, radii_m)
            shapes, owners, radii_m = shapes[near], owners[near], radii_m[near]
        pieces, of, counted_m, self._grounds_m = _with_ground(shapes, plane, terrain)
        owners, radii_m = owners[of], radii_m[of]
        wide = (radii_m > 0) & (shapely.get_type_id(pieces) != shapely.GeometryType.POLYGON)
        pieces[wide] = shapely.buffer(pieces[wide], radii_m[wide])
        above_ground = np.array([obstacle.top.datum is Datum.AGL for obstacle in obstacles], bool)[owners]
        values_m = np.array([obstacle.top.value_m for obstacle in obstacles])[owners]
        self._names = [obstacles[owner].name for owner in owners]
        self._tops_m = values_m + np.where(above_ground, counted_m, 0.0)
        self._shapes = pieces
        self._tree = shapely.STRtree(self._shapes)

    def __len__(self) -> int:
        """How many different ones there are."""
        return len(set(self._names))

    def breaches(self, path: Array, *, horizontal_m: float, vertical_m: float) -> tuple[Breach, ...]:
        """Obstacles that a path (k, 3+), x, y on the plane and m AMSL, passes nearer than both margins: the worst of
        each, lowest above its top first."""
        if not len(path) or not len(self._names):
            return ()
        path = np.vstack([path[:, :3], path[-1:, :3]])
        ends = np.stack([path[:-1], path[1:]], axis=1)
        ways = _ways(ends)
        which, met = self._tree.query(ways, predicate="dwithin", distance=horizontal_m)
        low = ends[which, :, 2].min(axis=1) < self._tops_m[met] + vertical_m
        worst: dict[str, Breach] = {}
        for number, piece in zip(which[low], met[low], strict=True):
            found = self._breach(ends[number], int(piece), horizontal_m)
            before = worst.get(found.name)
            if found.path_amsl_m < found.top_amsl_m + vertical_m and (
                before is None or _over_m(found) < _over_m(before)
            ):
                worst[found.name] = found
        return tuple(sorted(worst.values(), key=_over_m))

    def _breach(self, ends: Array, piece: int, horizontal_m: float) -> Breach:
        """The lowest place of a straight way (2, 3) within the margin of a piece."""
        shape, way = self._shapes[piece], _ways(ends[None])[0]
        near = shapely.get_coordinates(way.intersection(shape.buffer(horizontal_m + 1e-6)))
        if not len(near):
            near = shapely.get_coordinates(shapely.shortest_line(way, shape))[:1]
        if way.length > 0:
            heights = np.interp(np.hypot(*(near - ends[0, :2]).T) / way.length, (0, 1), ends[:, 2])
        else:
            heights = np.full(len(near), ends[:, 2].min())
        lowest = int(np.argmin(heights))
        lon, lat = self.plane.to_lonlat(*near[lowest])
        return Breach(
            name=self._names[piece],
            lon=float(lon),
            lat=float(lat),
            path_amsl_m=float(heights[lowest]),
            top_amsl_m=float(self._tops_m[piece]),
            apart_m=float(way.distance(shape)),
        )

    def floor_m(self, places: Array, *, horizontal_m: float, vertical_m: float) -> Array:
        """The least height, m AMSL, to pass over what is within `horizontal_m` of places (n, 2) on the plane.

        -inf where nothing is.
        """
        floor = np.full(len(places), -np.inf)
        if len(self._names):
            which, met = self._tree.query(shapely.points(places), predicate="dwithin", distance=horizontal_m)
            np.maximum.at(floor, which, self._tops_m[met] + vertical_m)
        return floor

    def names_at(self, area: Geometry) -> tuple[str, ...]:
        """Of what stands in an area on the plane."""
        return tuple(sorted({self._names[number] for number in self._tree.query(area, predicate="intersects")}))

    def walls(self) -> Walls:
        """What hides a place from view: all that has an outline."""
        solid = [number for number, shape in enumerate(self._shapes) if isinstance(shape, Polygon)]
        return Walls.of([self._shapes[number] for number in solid], self._tops_m[solid])

    def highest_m(self, area: Geometry, *, horizontal_m: float) -> float:
        """The highest top, m AMSL, of what stands within `horizontal_m` of an area on the plane; -inf: nothing."""
        met = self._tree.query(area, predicate="dwithin", distance=horizontal_m)
        return float(self._tops_m[met].max()) if len(met) else -np.inf

    def to_go_round(self, *, highest_m: float, horizontal_m: float, vertical_m: float) -> tuple[Polygon, ...]:
        """What cannot be passed over without flying more than `highest_m` above the ground: with the horizontal
        margin, m on the plane, those that touch as one."""
        high = self._tops_m + vertical_m > self._grounds_m + highest_m
        around = shapely.union_all(shapely.buffer(self._shapes[high], max(horizontal_m, 0.1)))
        return tuple(part for part in shapely.get_parts(around) if isinstance(part, Polygon))


def _ways(ends: Array) -> NDArray[np.object_]:
    """Lines between ends (n, 2, 2+), or points where a way goes straight up or down."""
    ways = shapely.linestrings(ends[:, :, :2])
    upright = np.hypot(*(ends[:, 1, :2] - ends[:, 0, :2]).T) < 1e-9
    ways[upright] = shapely.points(ends[upright, 0, :2])
    return np.asarray(ways)


def _over_m(breach: Breach) -> float:
    return breach.path_amsl_m - breach.top_amsl_m


def _on_plane(geometries: Sequence[Geometry], plane: LocalPlane) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Shapes on the plane, a line as its straight spans from pole to pole, and which geometry each is of."""
    flat = shapely.transform(
        np.array(geometries, dtype=object),
        lambda lonlat: np.column_stack(plane.to_plane(lonlat[:, 0], lonlat[:, 1])),
    )
    spans = [
        (span, number)
        for number, shape in enumerate(flat)
        for span in (map(LineString, pairwise(shape.coords)) if isinstance(shape, LineString) else (shape,))
    ]
    return np.array([span for span, _ in spans], dtype=object), np.array([number for _, number in spans], int)


def _with_ground(
    shapes: NDArray[np.object_], plane: LocalPlane, terrain: Terrain
) -> tuple[NDArray[np.object_], NDArray[np.int64], Array, Array]:
    """Shapes, spans of wires in short pieces; which shape each is of; and m AMSL, what heights AGL count from there
    and the lowest ground."""
    wires = shapely.get_type_id(shapes) == shapely.GeometryType.LINESTRING
    dense = shapes.copy()
    dense[wires] = shapely.segmentize(shapes[wires], PIECE_M)
    places, of = shapely.get_coordinates(dense, return_index=True)
    ground_m = terrain.amsl_m(*plane.to_lonlat(places[:, 0], places[:, 1]))
    begins = np.searchsorted(of, np.arange(len(shapes)))
    solid = np.flatnonzero(~wires)
    pieces, owners = list(shapes[solid]), list(solid)
    counted = list(np.maximum.reduceat(ground_m, begins)[solid]) if len(shapes) else []
    lowest = list(np.minimum.reduceat(ground_m, begins)[solid]) if len(shapes) else []
    for wire in np.flatnonzero(wires):
        posts = places[of == wire]
        below_m = ground_m[of == wire]
        hung_m = np.maximum(below_m, np.linspace(below_m[0], below_m[-1], len(below_m)))
        for post in range(len(posts) - 1):
            pieces.append(LineString(posts[post : post + 2]))
            owners.append(wire)
            counted.append(hung_m[post : post + 2].max())
            lowest.append(below_m[post : post + 2].min())
    return np.array(pieces, dtype=object), np.array(owners, int), np.array(counted), np.array(lowest)
