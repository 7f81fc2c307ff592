"""Where no way of a plan may lead: zones, and obstacles that are too high to pass over; and the ways round them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import shapely
from shapely import Polygon

from geo.airspace import Allowed, Band
from geo.legs import Leg, points_of
from geo.obstacles import Obstacles
from geo.pictures import USUAL_HIGHEST_M
from geo.positions import Altitude, Datum
from geo.terrain import Terrain
from geo.ways import shortest_way
from missioncontrol.errors import InputInvalid
from missioncontrol.patterns import OVER_CUT_M, Work
from missioncontrol.sites import Site
from missioncontrol.sorties import OBSTACLE_MARGIN_M, Flight

Point = tuple[float, float]

ZONE_MARGIN_M = 15.0
"""Kept from the edges of zones."""
ROUND_M = 21.0
"""Obstacles that are gone round are gone round so far away that nothing asks for climbing over them too."""
ABOVE_M = 30.0
"""Ways out and home are no more than this above the height of the work."""
AROUND_M = 2000.0
"""Zones are gone round within so much of the work."""
LONGEST_S = 4 * 3600.0
"""Zones that become active within this after the take-off count for areas and ways."""


def left_by_zones(site: Site, area: Polygon, height_m: float) -> Allowed:
    """What zones leave of an area that is flown at a height above ground."""
    assert site.airspace is not None
    return site.airspace.allowed(area, _band(site, height_m), margin_m=ZONE_MARGIN_M + OVER_CUT_M + 1.0)


class Keepouts:
    """What the ways of one plan go round."""

    def __init__(self, site: Site, work: Work, terrain: Terrain) -> None:
        """Around some work, and the places where vehicles of the site start for it."""
        self._site, self._work, self._plane = site, work, work.plane
        places = np.column_stack(self._plane.to_plane(*np.array([(s.lon, s.lat) for s in site.starts]).T))
        self._around = shapely.MultiPoint([*points_of(work.legs), *places.tolist()]).convex_hull.buffer(AROUND_M)
        self.obstacles = None
        """Buildings, masts and wires near the work, those that the work itself is about too."""
        if standing := site.obstacles + work.obstacles:
            self.obstacles = Obstacles(standing, self._plane, terrain, within=self._around)
        self._kept_out = tuple(self._shapes())
        self._forbidden = shapely.union_all([shape for _, shape in self._kept_out])

    def _shapes(self) -> Iterator[tuple[str, shapely.Geometry]]:
        """Where on the plane no way may lead: zones, and obstacles that are too high to pass over."""
        if self._site.airspace is not None:
            near = shapely.transform(
                self._around, lambda xy: np.column_stack(self._plane.to_lonlat(xy[:, 0], xy[:, 1]))
            )
            for blocked in self._site.airspace.blocked(
                near, _band(self._site, self._work.height_m), margin_m=ZONE_MARGIN_M
            ):
                yield (
                    blocked.title,
                    shapely.transform(
                        blocked.polygon,
                        lambda lonlat: np.column_stack(self._plane.to_plane(lonlat[:, 0], lonlat[:, 1])),
                    ),
                )
        if self.obstacles is not None:
            margin_m = OBSTACLE_MARGIN_M
            for shape in self.obstacles.to_go_round(
                highest_m=max(USUAL_HIGHEST_M, self._work.height_m), horizontal_m=ROUND_M, vertical_m=margin_m
            ):
                yield ", ".join(self.obstacles.names_at(shape)), shape

    def ways(self, legs: tuple[Leg, ...], home: Point) -> tuple[tuple[Leg, ...], tuple[Point, ...]]:
        """The legs with ways out and between them that keep clear of what is forbidden, and the way home."""
        if self._forbidden.is_empty:
            return legs, ()
        found: list[Leg] = []
        for leg in legs:
            line = shapely.LineString([leg.start, leg.end])
            if leg.levels_amsl_m is None and leg.length_m > 0 and line.crosses(self._forbidden):
                names = [name for name, shape in self._kept_out if line.intersects(shape)]
                raise InputInvalid(f"zones, obstacles: the work itself leads through {', '.join(names)}: plan around")
            before = found[-1].end if found else home
            found.append(replace(leg, approach=self._way(before, (*leg.approach,), leg.start)))
        return tuple(found), self._way(legs[-1].end, (), home)

    def _way(self, begin: Point, between: tuple[Point, ...], end: Point) -> tuple[Point, ...]:
        """Points between two places: those given, or round what is forbidden where they lead through it."""
        if begin == end:
            return between
        straight = shapely.LineString([begin, *between, end])
        if not straight.crosses(self._forbidden) and not straight.within(self._forbidden):
            return between
        way = shortest_way(np.array(begin), np.array(end), [self._forbidden])
        if way is None:
            lon, lat = self._plane.to_lonlat(*end)
            names = [name for name, shape in self._kept_out if straight.intersects(shape)]
            raise InputInvalid(
                f"zones, obstacles: no way to lon {float(lon):.5f}, lat {float(lat):.5f} keeps clear of "
                f"{', '.join(names)}: plan around, fly higher or at another time"
            )
        return tuple((float(x), float(y)) for x, y in way[1:-1])

    def check(self, flight: Flight) -> None:
        """Raises InputInvalid for a flight that comes into a zone or too near to an obstacle, naming it and where."""
        sysid = flight.start.sysid
        if self._site.airspace is not None:
            breaches = self._site.airspace.breaches(flight.track(self._site.begins_utc_s))
            if breaches:
                raise InputInvalid(f"zones: vehicle {sysid} would be in {breaches[0]}")
        if self.obstacles is not None:
            column = shapely.Point(flight.home).buffer(OBSTACLE_MARGIN_M)
            above = self.obstacles.floor_m(flight.home[None], horizontal_m=OBSTACLE_MARGIN_M, vertical_m=0.0)
            if above[0] > flight.home_amsl_m:
                names = ", ".join(self.obstacles.names_at(column))
                raise InputInvalid(
                    f"obstacles: vehicle {sysid} would take off within {OBSTACLE_MARGIN_M:g} m of {names}"
                )
            near = self.obstacles.breaches(
                flight.route, horizontal_m=OBSTACLE_MARGIN_M - 0.5, vertical_m=OBSTACLE_MARGIN_M - 0.5
            )
            if near:
                raise InputInvalid(f"obstacles: vehicle {sysid} would come too near to {near[0]}: fly higher")


def _band(site: Site, height_m: float) -> Band:
    begins_s = site.begins_utc_s
    return Band(begins_s, begins_s + LONGEST_S, Altitude(0.0, Datum.AGL), Altitude(height_m + ABOVE_M, Datum.AGL))
