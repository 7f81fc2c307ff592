"""How well a round of the demo did, against the world's truth and after the fact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import shapely

from geo.positions import Ellipse, LocalPlane

REACH_M = 10.0
"""An incident this near to the outline of a true point-like thing of its kind is that thing."""
AREA_REACH_M = 25.0
"""The same for areas and for what drifts: only a part of them is in a picture, and a plume has no edge."""
PAIR_M = 50.0
"""A reported position is judged by the nearest true thing of its kind within this."""
POINT_KINDS = frozenset({"dump", "unauthorized_construction", "fire"})
"""Kinds whose place is a point; of the others, areas and what moves, the middle is meant."""


class KindScore(msgspec.Struct, kw_only=True):
    """How one kind of incident fared."""

    truth: int = 0
    """Things of this kind inside the surveyed area."""
    found: int = 0
    """How many of them have an incident."""
    missed: int = 0
    """How many have none."""
    false: int = 0
    """Incidents that are no such thing, second ones of the same thing included."""


class PositionScore(msgspec.Struct, frozen=True, kw_only=True):
    """How far the reported positions are from the truth, and whether their ellipses hold it."""

    n: int
    """Reported positions."""
    median_m: float | None
    """Median horizontal error, m."""
    p90_m: float | None
    """Ninetieth percentile of the horizontal error, m."""
    ellipse90_coverage: float | None
    """Share of the 90 % ellipses that hold the truth, 0 to 1."""


class Truth:
    """True things of a world, on a metric plane."""

    def __init__(self, features: Sequence[dict[str, Any]]) -> None:
        """GeoJSON features with `id`, and `kind` among the properties."""
        lon, lat = shapely.geometry.shape(features[0]["geometry"]).centroid.coords[0]
        self.plane = LocalPlane(lon=lon, lat=lat, height_m=850.0)
        self.kinds = [str(feature["properties"]["kind"]) for feature in features]
        self.shapes = [self._flat(shapely.geometry.shape(feature["geometry"])) for feature in features]

    def _flat(self, shape: Any) -> Any:
        return shapely.transform(shape, lambda xy: np.stack(self.plane.to_plane(xy[:, 0], xy[:, 1]), axis=-1))

    def inside(self, area: dict[str, Any]) -> list[int]:
        """Indices of the things whose middle lies in a GeoJSON polygon."""
        polygon = self._flat(shapely.geometry.shape(area))
        return [i for i, shape in enumerate(self.shapes) if polygon.contains(shape.centroid)]

    def nearest(self, kind: str, lon: float, lat: float, reach_m: float | None = None) -> int | None:
        """Index of the thing of that kind within reach of a place, if there is one."""
        point = shapely.Point(*(float(value) for value in self.plane.to_plane(lon, lat)))
        if reach_m is None:
            reach_m = REACH_M if kind in POINT_KINDS else AREA_REACH_M
        near = [
            (shape.distance(point), i)
            for i, (true_kind, shape) in enumerate(zip(self.kinds, self.shapes, strict=True))
            if true_kind == kind and shape.distance(point) <= reach_m
        ]
        return min(near)[1] if near else None

    def error_m(self, index: int, lon: float, lat: float) -> np.ndarray:
        """East and north from a thing's middle to a place, m."""
        middle = self.shapes[index].centroid
        east, north = self.plane.to_plane(lon, lat)
        return np.array([float(east) - middle.x, float(north) - middle.y])


def score_incidents(incidents: Sequence[dict[str, Any]], truth: Truth, area: dict[str, Any]) -> dict[str, KindScore]:
    """Found, missed and false by kind, for incidents as GeoJSON features and the things inside an area."""
    wanted = truth.inside(area)
    scores = {kind: KindScore() for kind in sorted({*truth.kinds, *(f["properties"]["kind"] for f in incidents)})}
    taken: set[int] = set()
    for incident in incidents:
        kind = incident["properties"]["kind"]
        lon, lat = shapely.geometry.shape(incident["geometry"]).centroid.coords[0]
        index = truth.nearest(kind, lon, lat)
        if index is None or index in taken:
            scores[kind].false += 1
        else:
            taken.add(index)
    for index in wanted:
        score = scores[truth.kinds[index]]
        score.truth += 1
        score.found += index in taken
        score.missed += index not in taken
    return scores


def score_positions(reports: Sequence[dict[str, Any]], truth: Truth) -> PositionScore:
    """Errors of reported positions, each {kind, lon, lat, ellipse}, to the middle of the true thing.

    Those with no true thing within PAIR_M are left out: they are false findings, not places of something.
    """
    errors, inside = [], []
    for report in reports:
        index = truth.nearest(report["kind"], report["lon"], report["lat"], PAIR_M)
        if index is None:
            continue
        error = truth.error_m(index, report["lon"], report["lat"])
        covariance = msgspec.convert(report["ellipse"], Ellipse).covariance_m2()
        errors.append(float(np.hypot(*error)))
        inside.append(bool(error @ np.linalg.solve(covariance, error) <= -2 * np.log(0.1)))
    if not errors:
        return PositionScore(n=0, median_m=None, p90_m=None, ellipse90_coverage=None)
    return PositionScore(
        n=len(errors),
        median_m=round(float(np.median(errors)), 3),
        p90_m=round(float(np.percentile(errors, 90)), 3),
        ellipse90_coverage=round(float(np.mean(inside)), 4),
    )


def in_words(figures: dict[str, Any]) -> list[str]:
    """What the figures of a round come to, a line for each thing that somebody at the terminal wants to know."""
    kinds: dict[str, KindScore] = figures["incidents"]
    each = ", ".join(f"{kind} {score.found} of {score.truth}" for kind, score in kinds.items() if score.truth)
    found, there = sum(score.found for score in kinds.values()), sum(score.truth for score in kinds.values())
    said = [f"found {found} of {there} ({each}); {sum(score.false for score in kinds.values())} where nothing is"]
    places: PositionScore = figures["incident_positions"]
    median_m, p90_m, share = places.median_m, places.p90_m, places.ellipse90_coverage
    if median_m is not None and p90_m is not None and share is not None:
        said.append(
            f"places: half within {median_m:.1f} m of the truth, nine in ten within {p90_m:.1f} m; "
            f"{round(share * places.n)} of {places.n} inside their 90 % ellipse"
        )
    receipts = figures["receipts"]
    said.append(
        f"hand-offs: {receipts['sent']} sent, {receipts['received']} received, "
        f"{receipts['lost']} lost, {receipts['duplicates']} twice"
    )
    return [*said, f"call: first picture after {figures['call_to_first_frame_s']:.0f} s"]
