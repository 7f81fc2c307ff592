"""Length of coverage paths, and the time to plan them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from run import DATA, Peers, in_turn, line, timed
from shapely import get_coordinates

from geo.areas import Area, read_area
from geo.coverage import CoveragePath, cover
from geo.legs import length_m
from geo.trims import Ground

RECORDED = {
    "fields2cover_core": "Fields2Cover core (recorded)",
    "qgc_best_of_36": "QGroundControl, best of 36 angles (recorded)",
    "qgc_default": "QGroundControl, default angle (recorded)",
}
OWN = Path(__file__).parent / "data" / "coverage_shapes.geojson"
RUNS = 5


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """Each area against the recorded figures and against opencoverage, live; shapes of our own against the latter.

    Path lengths are given as a share of area / swath, so 1 would be lines alone without any way between them.
    What is left uncovered is counted for both live paths in one way; the recorded figures state none.
    Raises FileNotFoundError without the areas.
    """
    file = DATA / "areas" / "coverage.geojson"
    for feature in json.loads(file.read_text())["features"]:
        properties = feature["properties"]
        area, swath_m = read_area(feature), float(properties["swath_m"])
        scale = area.area_m2 / swath_m
        ours = cover(area.metric, swath_m)
        for name, peer in RECORDED.items():
            yield line(
                job="coverage", case=properties["name"], peer=peer, peer_version="recorded",
                ours=[ours.path_m / scale], theirs=[properties["path_over_area_by_swath"][name]],
                unit="path / (area / swath)", lower=True,
            )  # fmt: skip
        yield from _live(peers, properties["name"], area, swath_m, ours)
    for feature in json.loads(OWN.read_text())["features"]:
        properties = feature["properties"]
        area, swath_m = read_area(feature), float(properties["swath_m"])
        yield from _live(peers, properties["name"], area, swath_m, cover(area.metric, swath_m))


def _live(peers: Peers, name: str, area: Area, swath_m: float, ours: CoveragePath) -> Iterator[dict[str, Any]]:
    rings = [get_coordinates(ring).tolist() for ring in (area.metric.exterior, *area.metric.interiors)]
    version = peers.ask("package_version", package="opencoverage")
    scale = area.area_m2 / swath_m

    def theirs() -> dict[str, Any]:
        answer: dict[str, Any] = peers.ask("opencoverage", ring=rings[0], holes=rings[1:], swath_m=swath_m)
        return answer

    path = np.array(theirs()["path"])
    ground = Ground(area.metric, cell_m=swath_m / 20)
    left = 1 - ground.covered(path, np.ones(len(path) - 1, np.bool_), swath_m / 2)
    common: dict[str, Any] = {"job": "coverage", "peer": "opencoverage optimal_sweep", "peer_version": version}
    unit = "path / (area / swath)"
    yield line(case=name, ours=[ours.path_m / scale], theirs=[length_m(path) / scale], unit=unit, lower=True, **common)
    yield line(
        case=f"{name} left uncovered",
        ours=[100 * (1 - ours.covered)],
        theirs=[100 * left],
        unit="%",
        lower=True,
        **common,
    )
    mine, other = in_turn(RUNS, lambda: timed(lambda: cover(area.metric, swath_m)), lambda: float(theirs()["seconds"]))
    yield line(case=f"{name} planning time", ours=mine, theirs=other, unit="s", lower=True, **common)
