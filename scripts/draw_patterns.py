"""Draws every pattern over a small piece of ground as SVG, for docs/planning.md: python scripts/draw_patterns.py"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely import Polygon

from geo.corridors import Side, corridor, strip
from geo.coverage import cover
from geo.crosshatch import cross_hatch
from geo.legs import Leg
from geo.orbits import orbit, spiral
from geo.outlooks import View, Walls, outlooks
from geo.patrols import perimeter
from geo.positions import LocalPlane
from geo.relays import Watcher, relay
from geo.searches import expanding_square, sector_search
from geo.structures import facade_bands
from geo.terrain import FlatTerrain
from geo.turns import flyable, ordered_for_turns
from geo.visits import visits

Array = NDArray[np.float64]

OUT = Path(__file__).parents[1] / "docs" / "images" / "planning"
WIDTH, HEIGHT, EDGE = 640.0, 400.0, 28.0
GROUND, OUTLINE, BUILDING, SIDE = "#e3efdd", "#7d9b76", "#d8d3cb", "#bfb8ad"
PATH, WAY, SIGHT, BEGIN, INK = "#1f5fbf", "#8a94a3", "#e08a1e", "#178a4c", "#3a3f47"
FIELD = Polygon([(0, 0), (520, -30), (610, 180), (420, 210), (400, 330), (60, 300)])
POND = Polygon([(200, 110), (270, 95), (310, 140), (280, 190), (215, 180)])
HOUSE = Polygon([(0, 0), (24, 0), (24, 28), (60, 28), (60, 50), (0, 50)])
FLAT_AMSL_M = 0.0
TURN_RAD, RISE_RAD = math.radians(-28), math.radians(32)
"""Of tilted pictures: how far the ground is turned, and how high above it the viewer is."""


class Picture:
    """Shapes in metres, drawn from above or, where tilted, obliquely from the south."""

    def __init__(self, *, tilted: bool = False, scaled: bool = True) -> None:
        """`scaled` pictures from above have a bar of metres."""
        self._tilted, self._scaled = tilted, scaled and not tilted
        self._layer = 0
        self._drawn: list[tuple[int, Array, Callable[[Array], str]]] = []

    def shape(self, points: ArrayLike, *, fill: str = "none", stroke: str = "none", width: float = 1.5) -> None:
        """A closed outline (n, 2 or 3)."""
        style = f'fill="{fill}" stroke="{stroke}" stroke-width="{width}" stroke-linejoin="round" fill-rule="evenodd"'
        self._add(points, lambda at: f'<path d="{_path(at)}Z" {style}/>')

    def area(self, polygon: shapely.Geometry, *, fill: str = GROUND, stroke: str = OUTLINE) -> None:
        """A polygon, its holes left free."""
        for part in shapely.get_parts(polygon).tolist():
            rings = [shapely.get_coordinates(ring) for ring in (part.exterior, *part.interiors)]
            ends = np.cumsum([len(ring) for ring in rings])[:-1]

            def draw(at: Array, ends: Array = ends) -> str:
                whole = " ".join(_path(ring) + "Z" for ring in np.split(at, ends))
                return f'<path d="{whole}" fill="{fill}" stroke="{stroke}" stroke-width="1.5" fill-rule="evenodd"/>'

            self._add(np.vstack(rings), draw)

    def line(self, points: ArrayLike, colour: str, *, width: float = 2.0, dash: str = "", faint: bool = False) -> None:
        """A line (n, 2 or 3)."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        style = f'fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round" stroke-linecap="round"'
        opacity = ' stroke-opacity="0.55"' if faint else ""
        self._add(points, lambda at: f'<path d="{_path(at)}" {style}{dashed}{opacity}/>')

    def arrow(self, start: ArrayLike, end: ArrayLike, colour: str) -> None:
        """A head in the middle of a line, if there is room for it."""

        def draw(at: Array) -> str:
            way = at[1] - at[0]
            if np.hypot(*way) < 26:
                return ""
            tip = at.mean(axis=0) + 5 * way / np.hypot(*way)
            turn = math.degrees(math.atan2(way[1], way[0]))
            place = f"translate({_at(tip)}) rotate({turn:.1f})"
            return f'<path d="M0 0L-10 4.5L-10 -4.5Z" fill="{colour}" transform="{place}"/>'

        self._add(np.stack([np.asarray(start, float), np.asarray(end, float)]), draw)

    def dot(self, place: ArrayLike, colour: str, *, size: float = 5.0, ring: bool = False) -> None:
        """A spot, or a ring."""
        look = f'fill="#ffffff" stroke="{colour}" stroke-width="2.5"' if ring else f'fill="{colour}"'
        self._add(place, lambda at: f'<circle cx="{at[0, 0]:.1f}" cy="{at[0, 1]:.1f}" r="{size}" {look}/>')

    def label(self, place: ArrayLike, text: str, *, shift: tuple[float, float] = (0.0, 0.0)) -> None:
        """Words beside a place."""
        style = f'fill="{INK}" text-anchor="middle" stroke="#ffffff" stroke-width="3" paint-order="stroke"'
        self._add(
            place,
            lambda at: f'<text x="{at[0, 0] + shift[0]:.1f}" y="{at[0, 1] + shift[1]:.1f}" {style}>{text}</text>',
        )

    def building(self, footprint: Polygon, height_m: float, base_m: float = 0.0) -> None:
        """A prism: its ground, the sides that face the viewer, its roof."""
        self._layer = 2
        ring = shapely.get_coordinates(shapely.orient_polygons(footprint).exterior)
        for (x0, y0), (x1, y1) in sorted(pairwise(ring.tolist()), key=lambda edge: -(edge[0][1] + edge[1][1])):
            wall = [(x0, y0, base_m), (x1, y1, base_m), (x1, y1, base_m + height_m), (x0, y0, base_m + height_m)]
            self.shape(wall, fill=SIDE, stroke="#8f887d", width=1.0)
        roof = np.column_stack([ring, np.full(len(ring), base_m + height_m)])
        self.shape(roof, fill=BUILDING, stroke="#8f887d", width=1.0)

    def legs(self, legs: Sequence[Leg], *, looks: int = 0, arrows: int = 1, top_m: float = -math.inf) -> None:
        """Legs and the ways between; every `looks`-th line of sight, every `arrows`-th head.

        Below `top_m`, what is looked at from behind is drawn before the buildings that hide it.
        """
        end: Array | None = None
        for number, leg in enumerate(legs):
            low, high = leg.levels_amsl_m or (FLAT_AMSL_M, FLAT_AMSL_M)
            self._layer = 1 if leg.look_at is not None and low < top_m and self._behind(leg.start, leg.look_at) else 3
            before = np.array([[*spot, low] for spot in (*leg.approach, leg.start)])
            way = before if end is None else np.vstack([end, before])
            if len(way) > 1:
                self.line(way, *((PATH,) if leg.seen_approach else (WAY,)), dash="" if leg.seen_approach else "5 5")
            start, end = before[-1], np.array([*leg.end, high])
            if leg.look_at is not None and looks and number % looks == 0:
                self.line([(start + end) / 2, leg.look_at], SIGHT, width=1.0, faint=True)
            if leg.length_m > 0:
                self.line([start, end], PATH)
                if number % arrows == 0:
                    self.arrow(start, end, PATH)
        first, self._layer = legs[0], 4
        self.dot([*(first.approach[0] if first.approach else first.start), (first.levels_amsl_m or (0.0,))[0]], BEGIN)
        if end is not None:
            self.dot(end, PATH, size=4.5, ring=True)

    def svg(self) -> str:
        """The whole picture, with a scale where it is drawn from above."""
        drawn = sorted(self._drawn, key=lambda item: item[0])
        flat = [self._flat(points) for _, points, _ in drawn]
        every = np.vstack(flat)
        low, high = every.min(axis=0), every.max(axis=0)
        scale = float(np.min((WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE - 14) / np.maximum(high - low, 1e-9)))
        shift = np.array([WIDTH, HEIGHT - 14]) / 2 - scale * (low + high) / 2
        parts = [draw(points * scale + shift) for points, (_, _, draw) in zip(flat, drawn, strict=True)]
        if self._scaled:
            parts.append(_scale_bar(scale))
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" font-family="sans-serif"'
        )
        back = f'<rect width="{WIDTH:.0f}" height="{HEIGHT:.0f}" rx="8" fill="#ffffff"/>'
        return "\n".join([f'{head} font-size="13">', back, *filter(None, parts), "</svg>", ""])

    def _add(self, points: ArrayLike, draw: Callable[[Array], str]) -> None:
        self._drawn.append((self._layer, np.atleast_2d(np.asarray(points, float)), draw))

    def _behind(self, spot: tuple[float, float], target: tuple[float, float, float]) -> bool:
        """Whether a spot lies farther from the viewer than what is looked at from it."""
        return float((np.subtract(spot, target[:2]) * (math.sin(TURN_RAD), math.cos(TURN_RAD))).sum()) > 0

    def _flat(self, points: Array) -> Array:
        """Places in the picture's plane, y downward, in metres."""
        x, y = points[:, 0], points[:, 1]
        if not self._tilted:
            return np.column_stack([x, -y])
        z = points[:, 2] if points.shape[1] > 2 else np.zeros(len(points))
        across = x * math.cos(TURN_RAD) - y * math.sin(TURN_RAD)
        deep = x * math.sin(TURN_RAD) + y * math.cos(TURN_RAD)
        return np.column_stack([across, -deep * math.sin(RISE_RAD) - z * math.cos(RISE_RAD)])


def _path(points: Array) -> str:
    return "M" + "L".join(_at(point) for point in points)


def _at(point: Array) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _scale_bar(scale: float) -> str:
    """A bar of a round length, about a fifth of the picture's width."""
    most_m = WIDTH / 5 / scale
    power = 10.0 ** math.floor(math.log10(most_m))
    long_m = max(step * power for step in (1, 2, 5) if step * power <= most_m)
    right, low = WIDTH - EDGE, HEIGHT - 12
    left = right - long_m * scale
    bar = f'<path d="M{left:.1f} {low - 5}V{low}H{right}V{low - 5}" fill="none" stroke="{INK}" stroke-width="1.5"/>'
    return bar + f'<text x="{left - 8:.1f}" y="{low}" text-anchor="end" fill="{INK}">{long_m:g} m</text>'


def survey() -> Picture:
    picture = Picture()
    area = FIELD.difference(POND)
    picture.area(area)
    picture.legs(cover(area, 42.0, margin_m=9.0).legs)
    return picture


def hatched() -> Picture:
    picture = Picture()
    picture.area(FIELD)
    picture.legs(cross_hatch(FIELD, 60.0))
    return picture


def along_a_canal() -> Picture:
    picture = Picture()
    canal = [(0, 0), (230, 30), (330, 170), (520, 190), (640, 60), (820, 90)]
    picture.area(strip(canal, 130.0))
    picture.line(canal, "#67b2d8", width=6.0)
    picture.legs(corridor(canal, 130.0, 45.0), arrows=3)
    return picture


def along_a_shore() -> Picture:
    picture = Picture()
    shore = np.array([(0, 0), (160, 60), (300, 40), (430, 120), (600, 100), (760, 170)], float)
    picture.shape([*shore, (760, -60), (0, -60)], fill="#cfe6f3")
    picture.area(strip(shore, 110.0, Side.LEFT))
    picture.line(shore, "#67b2d8", width=3.0)
    picture.legs(corridor(shore, 110.0, 40.0, side=Side.LEFT), arrows=2)
    return picture


def circle() -> Picture:
    picture = Picture(tilted=True)
    picture.area(shapely.box(-80, -80, 80, 80))
    picture.building(shapely.transform(HOUSE, lambda xy: (xy - (22, 28)) * 0.7), 26.0)
    picture.legs(
        orbit((0.0, 0.0), 75.0, target_amsl_m=10.0, level_amsl_m=55.0, start_deg=200.0), looks=3, arrows=4, top_m=26.0
    )
    return picture


def winding_in() -> Picture:
    picture = Picture(tilted=True)
    picture.area(shapely.box(-80, -80, 80, 80))
    picture.building(shapely.box(-6, -6, 6, 6), 60.0)
    path = spiral((0.0, 0.0), (75.0, 28.0), target_amsl_m=30.0, levels_amsl_m=(12.0, 85.0), turns=4, start_deg=200.0)
    picture.legs(path, looks=9, arrows=6, top_m=60.0)
    return picture


def round_a_building() -> Picture:
    picture = Picture(tilted=True)
    picture.area(shapely.box(-24, -24, 84, 74))
    picture.building(HOUSE, 36.0)
    bands = facade_bands(
        HOUSE, base_amsl_m=0.0, top_amsl_m=36.0, stand_off_m=14.0, picture_m=(22.0, 15.0), overlap=0.4,
        near=(-20.0, -20.0),
    )  # fmt: skip
    picture.legs(bands, looks=2, arrows=3, top_m=36.0)
    return picture


def round_an_area() -> Picture:
    picture = Picture()
    picture.area(FIELD)
    picture.legs(perimeter(FIELD, inset_m=22.0, near=(0.0, 0.0)))
    return picture


def several_places() -> Picture:
    picture = Picture()
    start = (0.0, 0.0)
    places = [(90, 190), (220, 60), (330, 230), (430, 90), (560, 200), (610, 20), (300, -70), (140, -90), (480, -60)]
    legs = visits(places, start, hold_s=10.0)
    round_trip = [start, *[leg.start for leg in legs], start]
    picture.line(round_trip, WAY, dash="5 5")
    for before, after in pairwise(round_trip):
        picture.arrow(before, after, WAY)
    for number, leg in enumerate(legs, start=1):
        picture.dot(leg.start, PATH, size=9.0)
        picture.label(leg.start, str(number), shift=(0.0, -14.0))
    picture.dot(start, BEGIN, size=7.0)
    picture.label(start, "start", shift=(0.0, 22.0))
    return picture


def growing_square() -> Picture:
    picture = Picture()
    picture.area(shapely.Point(0, 0).buffer(155))
    legs = expanding_square((0.0, 0.0), 45.0, 155.0, first_deg=0.0)
    picture.legs(legs)
    for number, text in enumerate(("S", "S", "2S", "2S", "3S")):
        picture.label(np.add(legs[number].start, legs[number].end) / 2, text, shift=(14.0, -5.0))
    return picture


def sectors() -> Picture:
    picture = Picture()
    picture.area(shapely.Point(0, 0).buffer(200))
    first = sector_search((0.0, 0.0), 200.0)
    second = sector_search((0.0, 0.0), 200.0, rounds=2)[9:]
    for leg in second:
        picture.line([leg.start, leg.end], WAY, dash="5 5")
    picture.legs(first)
    return picture


def go_and_look() -> Picture:
    picture = Picture()
    houses = [(-30, 22, 40, 50), (-75, -60, -45, 70), (-20, -70, 60, -45), (70, -30, 100, 60), (-140, -20, -105, 30)]
    heights = (28.0, 38.0, 20.0, 42.0, 24.0)
    blocks = [shapely.box(*corners) for corners in houses]
    picture.area(shapely.box(-200, -110, 190, 130))
    for block_shape, height_m in zip(blocks, heights, strict=True):
        picture.area(block_shape, fill=BUILDING, stroke="#8f887d")
        picture.label((block_shape.centroid.x, block_shape.bounds[1]), f"{height_m:.0f} m", shift=(0.0, -7.0))
    starts = [(-185.0, -20.0, 0.0), (170.0, 110.0, 0.0)]
    found = outlooks(
        (5.0, -10.0), starts, LocalPlane(lon=71.4, lat=51.1), FlatTerrain(0.0), Walls.of(blocks, heights),
        speeds_m_s=15.0, climbs_m_s=4.0, view=View(max_range_m=200.0),
    )  # fmt: skip
    for start, outlook in zip(starts, found, strict=True):
        picture.line([start[:2], outlook.place], WAY, dash="5 5")
        picture.arrow(start[:2], outlook.place, WAY)
        picture.line([outlook.place, (5.0, -10.0)], SIGHT, width=2.0)
        picture.dot(start[:2], BEGIN, size=6.0)
        picture.dot(outlook.place, PATH, size=7.0)
        picture.label(outlook.place, f"{outlook.height_m:.0f} m up", shift=(0.0, -13.0))
    picture.dot((5.0, -10.0), "#c8322b", size=6.0)
    return picture


def with_wings() -> Picture:
    picture = Picture()
    area = shapely.box(0, 0, 900, 450)
    picture.area(area)
    lines = [leg for leg in cover(area, 75.0).legs if leg.length_m > 1]
    ordered = ordered_for_turns(lines, 90.0, lead_in_m=90.0, lead_out_m=20.0)
    picture.legs(flyable(ordered, 90.0, lead_in_m=90.0, lead_out_m=20.0))
    return picture


def places_in_order() -> Picture:
    picture = Picture()
    picture.area(FIELD)
    way = [(20.0, 20.0), (160.0, 60.0), (300.0, 230.0), (420.0, 60.0), (560.0, 140.0)]
    picture.legs([Leg(begin, end) for begin, end in pairwise(way)])
    for number, spot in enumerate(way, start=1):
        picture.label(spot, str(number), shift=(0.0, -9.0))
    return picture


def by_turns() -> Picture:
    """Three that fly 20 minutes each: who is there when."""
    picture = Picture()
    base, hold = (0.0, 0.0), (330.0, 120.0)
    watchers = [Watcher(name=str(n), endurance_s=1200.0, out_s=40.0, back_s=40.0, recharge_s=9e9) for n in (1, 2, 3)]
    made = relay(watchers, begins_s=40.0, ends_s=3400.0, overlap_s=30.0)
    picture.area(shapely.Point(380.0, 150.0).buffer(24.0), fill="#f6dfc4", stroke=SIGHT)
    picture.line([hold, (380.0, 150.0)], SIGHT, width=1.0, faint=True)
    for number, turn in enumerate(made.turns):
        bend = (165.0, 40.0 + 60.0 * (number - 1))
        picture.line([base, bend, hold], PATH, dash="5 5")
        said = f"{turn.name}: there from {turn.arrives_s / 60:.1f} to {turn.relieved_s / 60:.1f} min"
        picture.label(bend, said, shift=(0.0, -12.0))
    picture.dot(base, BEGIN)
    picture.dot(hold, PATH, ring=True)
    return picture


PICTURES: dict[str, Callable[[], Picture]] = {
    "survey": survey,
    "crosshatch": hatched,
    "corridor": along_a_canal,
    "corridor-one-side": along_a_shore,
    "orbit": circle,
    "spiral": winding_in,
    "facades": round_a_building,
    "patrol": round_an_area,
    "visits": several_places,
    "expanding-square": growing_square,
    "sector-search": sectors,
    "look": go_and_look,
    "fixed-wing": with_wings,
    "waypoints": places_in_order,
    "watch": by_turns,
}
"""What is drawn, by the name of its file."""


def main() -> None:
    """Write all of them."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        (OUT / f"{name}.svg").write_text(draw().svg())


if __name__ == "__main__":
    main()
