"""One job shared out among several vehicles: how soon all is done, and how long it takes to find that."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from run import DATA, Peers, line, say

from geo.areas import read_area
from geo.coverage import cover
from geo.legs import Leg
from geo.partition import Flyer, bound_s, partition

AREA, SWATH_M, SECONDS, RUNS = "holes-10km2", 60.0, 10.0, 5
STRATEGIES = ("PATH_CHEAPEST_ARC", "PARALLEL_CHEAPEST_INSERTION")
BOUND = "(lower bound: nobody can be sooner done)"
Trips = Sequence[Sequence[Sequence[Leg]]]


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """Lines over an area, and streets here and there, for 5 and 20 unlike vehicles, for one flight each or several.

    The peer gets the same lines, whole, to be entered from either end, and the same times; both results are
    measured and checked by `makespan_s`. Raises FileNotFoundError without the areas.
    """
    version = peers.ask("package_version", package="ortools")
    for name, job in (("lines over 10 km2 with holes", survey()), ("100 streets", streets())):
        for count in (5, 20):
            for trips in (1, 3):
                flyers = crew(job, count, trips)
                case = f"{name}, {count} vehicles, {'one flight each' if trips == 1 else 'battery swaps'}"
                for row in _against(peers, job, flyers, trips):
                    yield line(**{**row, "case": f"{case}: {row['case']}", "peer_version": version})


def _against(peers: Peers, job: list[Leg], flyers: list[Flyer], trips: int) -> Iterator[dict[str, Any]]:
    shares = [share.trips for share in partition(job, flyers).shares]
    ours, ours_s = makespan_s(job, flyers, shares), [_processor_s(job, flyers) for _ in range(RUNS)]
    say(f"{len(job)} lines, {len(flyers)} vehicles: {statistics.median(ours_s):.3f} s, {ours:.0f} s")
    common = {"job": "partition", "unit": "s", "lower": True}
    yield {"case": "makespan", "ours": [ours], "theirs": [bound_s(job, flyers)], "peer": BOUND, **common}
    for strategy in STRATEGIES:
        answer = peers.ask("ortools_partition", **_asked(job, flyers, trips), strategy=strategy)
        if answer["trips"] is None:
            say(f"the peer found nothing with {strategy} in {answer['seconds']:.1f} s")
            continue
        try:
            theirs = makespan_s(job, flyers, [[_entered(job, codes) for codes in share] for share in answer["trips"]])
        except RuntimeError as exc:
            say(f"the peer's answer with {strategy} does not count: {exc}")
            continue
        peer = f"OR-tools {strategy}, guided local search"
        yield {"case": "makespan", "ours": [ours], "theirs": [theirs], "peer": peer, **common}
        yield {"case": "processor time to plan", "ours": ours_s, "theirs": [answer["seconds"]], "peer": peer, **common}


def _processor_s(job: Sequence[Leg], flyers: Sequence[Flyer]) -> float:
    """Of one sharing out, s."""
    start_s = time.process_time()
    partition(job, flyers)
    return time.process_time() - start_s


def _entered(job: Sequence[Leg], codes: Sequence[int]) -> list[Leg]:
    """The lines of one of the peer's flights, from the ends at which it enters them."""
    return [job[code // 2].reversed() if code % 2 else job[code // 2] for code in codes]


def survey() -> list[Leg]:
    """The lines of a survey of an area, ways between them left out."""
    features = json.loads((DATA / "areas" / "coverage.geojson").read_text())["features"]
    (feature,) = (feature for feature in features if feature["properties"]["name"] == AREA)
    path = cover(read_area(feature).metric, SWATH_M)
    return [replace(leg, approach=(), seen_approach=False) for leg in path.legs]


def streets() -> list[Leg]:
    """A hundred lines of 100 to 1200 m, along and across a square of 4 km."""
    rng = np.random.default_rng(11)
    legs = []
    for number in range(100):
        x, y = rng.uniform(0, 4000, 2)
        length_m = rng.uniform(100, 1200)
        end = (x + length_m, y) if number % 2 else (x, y + length_m)
        legs.append(Leg((float(x), float(y)), (float(end[0]), float(end[1]))))
    return legs


def crew(job: Sequence[Leg], count: int, trips: int) -> list[Flyer]:
    """Vehicles of 8 to 14 m/s that stand anywhere around the job; with `trips` above 1, batteries for about so many."""
    rng = np.random.default_rng(count)
    places = np.array([place for leg in job for place in (leg.start, leg.end)])
    low, high = places.min(axis=0), places.max(axis=0)
    work_m = sum(leg.length_m for leg in job)
    across_m = float(np.hypot(*(high - low)))
    endurance_s = (work_m / count / trips + 2.0 * across_m) / 11.0 if trips > 1 else math.inf
    flyers = []
    for _ in range(count):
        x, y = rng.uniform(low, high)
        speed_m_s = float(rng.uniform(8.0, 14.0))
        flyers.append(Flyer((float(x), float(y)), speed_m_s, endurance_s=endurance_s, swap_s=120.0 * (trips > 1)))
    return flyers


def makespan_s(job: Sequence[Leg], flyers: Sequence[Flyer], shares: Trips) -> float:
    """When the last is done, from the lines alone; RuntimeError if one is not flown once or a battery is short."""
    spans: list[list[tuple[float, float]]] = [[] for _ in job]
    starts, ends = np.array([leg.start for leg in job]), np.array([leg.end for leg in job])
    lengths_m = np.hypot(*(ends - starts).T)
    along = (ends - starts) / lengths_m[:, None]
    longest_s = 0.0
    for flyer, trips in zip(flyers, shares, strict=True):
        total_s = flyer.swap_s * max(0, len(trips) - 1)
        for trip in trips:
            corners = [flyer.start, *(place for leg in trip for place in (leg.start, leg.end)), flyer.start]
            trip_s = sum(math.dist(a, b) for a, b in pairwise(corners)) / flyer.speed_m_s
            if trip_s > flyer.endurance_s + 0.5:
                raise RuntimeError(f"a flight of {trip_s:.0f} s, the battery lasts {flyer.endurance_s:.0f} s")
            total_s += trip_s
            for leg in trip:
                offsets = np.stack([leg.start - starts, leg.end - starts])
                at = (offsets * along).sum(axis=2)
                aside = np.abs(offsets[..., 0] * along[:, 1] - offsets[..., 1] * along[:, 0]).max(axis=0)
                on = (aside < 1e-5) & (at.min(axis=0) > -1e-5) & (at.max(axis=0) < lengths_m + 1e-5)
                spans[int(np.argmax(on))].append((float(at[:, np.argmax(on)].min()), float(at[:, np.argmax(on)].max())))
        longest_s = max(longest_s, total_s)
    for pieces, length_m in zip(spans, lengths_m, strict=True):
        joints = [0.0, *(place for span in sorted(pieces) for place in span), float(length_m)]
        if not np.allclose(joints[::2], joints[1::2], rtol=0, atol=1e-4):
            raise RuntimeError(f"a line of {length_m:.0f} m is flown as {sorted(pieces)}")
    return longest_s


def _asked(job: Sequence[Leg], flyers: Sequence[Flyer], trips: int) -> dict[str, Any]:
    points = np.array([*(place for leg in job for place in (leg.start, leg.end)), *(flyer.start for flyer in flyers)])
    return {
        "ways_m": np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)).tolist(),
        "lines_m": [leg.length_m for leg in job],
        "speeds_m_s": [flyer.speed_m_s for flyer in flyers],
        "endurance_s": flyers[0].endurance_s if trips > 1 else None,
        "swap_s": flyers[0].swap_s,
        "trips": trips + 1,
        "seconds": SECONDS,
    }
