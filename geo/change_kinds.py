"""What a change seems to be, judged by how its place looked before and after."""

from __future__ import annotations

from enum import StrEnum

import cv2
import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.change_scores import Logs, Scores
from geo.picture_pairs import Picture

GREEN = 0.06
"""Excess of green (2g - r - b over r + g + b) from which on a pixel is of plants (Woebbecke et al., 1995)."""
PLANTS = 0.8
"""Places with more plants than this both times have grown or withered, not changed."""
MOSTLY = 0.5
"""Where the light explains more than this share of a change, it is taken for a change of light alone."""
CLEAR = 0.35
"""Changes of so much light and colour leave no doubt, natural logarithm."""
RISEN_M = 1.5
CALM = 0.012
"""Pixels that differ less from their neighbours are calm, natural logarithm per px (at 0.1 to 0.3 m per px)."""
CALM_SHARE, CALMER = 0.4, 0.1
"""Water is calm on so much of it, and calmer than what was there by so much."""
ROUGH = 0.025
"""Heaps are rougher than this."""
CANOPY = 0.05
"""Bushes and trees are rougher than this, grass is not."""
BROWN = 0.12
"""Soil has so much more red than blue, natural logarithm."""
SQUARE = 0.84
"""Roofs fill so much of the rectangle around them, a round patch fills 0.79; L-shaped ones need heights to be told."""
LEAST_WATER_M2, LEAST_CLEARED_M2, LEAST_EARTHWORKS_M2, LEAST_BUILDING_M2 = 30.0, 40.0, 40.0, 10.0
"""Smaller ones cannot be told from other things by these traits, m2."""
MOST_DUMP_M2 = 400.0
"""Larger littered places are building sites, m2."""
SUMS = (
    "px", "sure_px", "score", "relit", "calm_before", "calm_after", "green_before", "green_after",
    "rough_before", "rough_after", "light_before",
    "light_after", "red_before", "red_after", "blue_before", "blue_after", "spread_after", "rise_m",
)  # fmt: skip
"""What adds up over the pixels of a change, and then over its pieces."""


class ChangeKind(StrEnum):
    """What a change seems to be."""

    NEW_BUILDING = "new_building"
    EXTENSION = "extension"
    EARTHWORKS = "earthworks"
    DUMP = "dump"
    VEGETATION_CLEARED = "vegetation_cleared"
    WATER = "water"
    OTHER = "other"


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What a change is judged by."""

    px: int
    """Pixels."""
    sure_px: int
    """Pixels that tell by themselves."""
    score: float
    """Mean change of light and colour, natural logarithm."""
    relit: float
    """Share of pixels that may be the same in another light, 0 to 1."""
    green_before: float
    """Share of pixels with plants, 0 to 1."""
    green_after: float
    """The same after."""
    rough_before: float
    """Mean change of brightness from pixel to pixel, natural logarithm per px."""
    rough_after: float
    """The same after."""
    calm_before: float
    """Share of pixels that hardly differ from their neighbours, 0 to 1."""
    calm_after: float
    """The same after."""
    light_change: float
    """Mean brightness after less before, natural logarithm."""
    red_before: float
    """Mean red against green, natural logarithm."""
    red_after: float
    """The same after."""
    blue_before: float
    """Mean blue against green, natural logarithm."""
    blue_after: float
    """The same after."""
    spread_after: float
    """Standard deviation of the brightness after, natural logarithm."""
    rise_m: float
    """Mean rise of the surface, m; 0 where heights are not known."""
    squareness: float
    """Area over that of the smallest rectangle around it, 0 to 1."""
    slimness: float
    """Longer over shorter side of that rectangle."""

    @staticmethod
    def sums(
        labels: NDArray[np.int32],
        count: int,
        found: Scores,
        sure: NDArray[np.bool_],
        in_other_light: NDArray[np.bool_],
        old: Logs,
        new: Logs,
        before: Picture,
        after: Picture,
        rise_m: NDArray[np.float32] | None,
    ) -> NDArray[np.float64]:
        """(count, SUMS) of the pieces of one square by their labels, below `count`; `sure` is where a pixel tells."""
        light_old, light_new = old.mean(axis=-1), new.mean(axis=-1)
        rough_old, rough_new = _rough(light_old), _rough(light_new)
        columns = [
            np.ones(labels.shape, np.float32), sure, found, in_other_light, rough_old < CALM, rough_new < CALM,
            _green(before), _green(after),
            rough_old, rough_new, light_old, light_new,
            old[..., 0] - old[..., 1], new[..., 0] - new[..., 1], old[..., 2] - old[..., 1], new[..., 2] - new[..., 1],
            light_new**2, np.zeros(labels.shape, np.float32) if rise_m is None else rise_m,
        ]  # fmt: skip
        inside = np.flatnonzero(labels)
        numbers = labels.ravel()[inside]
        return np.stack([np.bincount(numbers, np.ravel(column)[inside], count) for column in columns], axis=-1)

    @classmethod
    def of(cls, sums: NDArray[np.float64], outline: shapely.Geometry) -> Traits:
        """Of a whole change: its sums and its outline in px."""
        total = dict(zip(SUMS, sums.tolist(), strict=True))
        px = max(total["px"], 1.0)
        mean = {name: value / px for name, value in total.items()}
        around = shapely.minimum_rotated_rectangle(outline)
        sides = (
            np.linalg.norm(np.diff(shapely.get_coordinates(around)[:3], axis=0), axis=1)
            if around.geom_type == "Polygon"
            else np.ones(2)
        )
        return cls(
            px=round(px),
            sure_px=round(total["sure_px"]),
            score=mean["score"],
            relit=mean["relit"],
            green_before=mean["green_before"],
            green_after=mean["green_after"],
            rough_before=mean["rough_before"],
            rough_after=mean["rough_after"],
            calm_before=mean["calm_before"],
            calm_after=mean["calm_after"],
            light_change=mean["light_after"] - mean["light_before"],
            red_before=mean["red_before"],
            red_after=mean["red_after"],
            blue_before=mean["blue_before"],
            blue_after=mean["blue_after"],
            spread_after=float(np.sqrt(max(0.0, mean["spread_after"] - mean["light_after"] ** 2))),
            rise_m=mean["rise_m"],
            squareness=float(outline.area / max(around.area, 1.0)),
            slimness=float(max(sides) / max(min(sides), 1e-6)),
        )


def _green(picture: Picture) -> NDArray[np.bool_]:
    r, g, b = np.moveaxis(picture.astype(np.float32), -1, 0)
    return np.asarray((2 * g - r - b) > GREEN * (r + g + b + 1))


def _rough(light: NDArray[np.float32]) -> NDArray[np.float32]:
    slopes = np.hypot(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1))
    return np.asarray(slopes / 8, np.float32)


def judge(traits: Traits, area_m2: float) -> tuple[ChangeKind, float] | None:
    """Kind and confidence of a change that is no building; None where only the light changed or plants stayed plants.

    The confidence says how clear the change is and how well the traits fit the kind; it is no probability.
    """
    t = traits
    clear = min(1.0, t.score / CLEAR)
    risen = abs(t.rise_m) > RISEN_M
    if t.green_before > PLANTS and t.green_after > PLANTS and not risen:
        return None
    bare, brown = 1.0 - t.green_after, t.red_after - t.blue_after
    calm = t.calm_after >= CALM_SHARE and t.calm_after >= t.calm_before + CALMER
    paved = t.green_before > 0.5 and t.light_change > 0.1
    if calm and not paved and bare > 0.8 and area_m2 >= LEAST_WATER_M2 and not risen:
        return ChangeKind.WATER, clear * min(1.0, 0.4 + t.calm_after / 2)
    if t.relit > MOSTLY and not risen:
        return None
    if t.green_before > 0.6 and bare > 0.7 and t.rough_before >= CANOPY and area_m2 >= LEAST_CLEARED_M2:
        return ChangeKind.VEGETATION_CLEARED, clear * t.green_before * bare
    littered = t.rough_after >= ROUGH and t.rough_after >= t.rough_before - ROUGH / 2
    if littered and bare > 0.6 and area_m2 <= MOST_DUMP_M2 and t.slimness < 5:
        return ChangeKind.DUMP, clear * min(1.0, t.rough_after / (2 * ROUGH)) * bare
    if bare > 0.7 and (brown > BROWN or risen) and area_m2 >= LEAST_EARTHWORKS_M2:
        return ChangeKind.EARTHWORKS, clear * bare * (0.9 if risen else 0.6)
    return ChangeKind.OTHER, 0.5 * clear


def judge_building(traits: Traits, area_m2: float, *, heights_known: bool) -> float | None:
    """How surely the sharp core of a change is a building, 0 to 1; None where it is none."""
    t = traits
    if area_m2 < LEAST_BUILDING_M2 or t.slimness > 8 or t.green_after > 0.3:
        return None
    if t.rise_m < RISEN_M if heights_known else t.relit > MOSTLY:
        return None
    if t.squareness < (0.6 if heights_known else SQUARE):
        return None
    return min(1.0, t.score / CLEAR) * (0.95 if heights_known else min(0.9, t.squareness))
