"""A new plan against all the active ones: who comes too close to it, and what clears it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from run import Peers, in_turn, line, timed

from geo.conflicts import Airspace, conflicts, resolve, rows_of
from geo.positions import LocalPlane
from geo.tracks import Track

ACTIVE, NEW, LINES, RUNS = 200, 10, 50, 7
EPOCH_S = 1.8e9
SIDE_M = 6000.0
"""Of the city over which all of them fly."""
APART: dict[str, float] = {"horizontal_m": 50.0, "vertical_m": 20.0, "time_margin_s": 5.0}
STEP_S = 1.0
"""Between the moments at which the peer looks."""
LAYERS_M = (0.0, 30.0, 60.0, -30.0)


def survey(rng: np.random.Generator, plane: LocalPlane) -> Track:
    """LINES lines of 800 m, 40 m apart, at 10 m/s and 2 s a corner, begun within half an hour."""
    home = rng.uniform(-SIDE_M / 2, SIDE_M / 2, 2)
    angle, height_m = rng.uniform(0, 2 * math.pi), 400.0 + rng.uniform(40, 120)
    number = np.arange(2 * LINES)
    far = (number + number // 2) % 2 == 1
    along, across = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    lines = home + np.outer(800.0 * far, along) + np.outer(40.0 * (number // 2), across)
    places = np.vstack([home, lines, home])
    flown_s = np.cumsum(np.hypot(*np.diff(places, axis=0).T) / 10.0 + 2.0)
    times = EPOCH_S + rng.uniform(0, 1800) + np.concatenate([[0.0], flown_s])
    lon, lat = plane.to_lonlat(places[:, 0], places[:, 1])
    return Track(times, lon, lat, np.concatenate([[400.0], np.full(2 * LINES, height_m), [400.0]]))


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """New surveys against 200 active ones: time, conflicts found, and time to find the delay or layer that clears."""
    plane = LocalPlane(lon=71.43, lat=51.13)
    rng = np.random.default_rng(7)
    tracks = [survey(rng, plane) for _ in range(ACTIVE)]
    air = Airspace.of({str(number): track for number, track in enumerate(tracks)}, plane)
    new = [survey(rng, plane) for _ in range(NEW)]
    peers.ask("sampling_sky", ways=[_plain(track, plane) for track in tracks])
    plain = [_plain(track, plane) for track in new]
    found: list[list[str]] = []

    def theirs() -> float:
        answer = peers.ask("sampling_conflicts", ways=plain, step_s=STEP_S, **APART)
        found[:] = answer["others"]
        return float(answer["seconds"]) / NEW

    def ours() -> float:
        return timed(lambda: [conflicts(track, air, **APART) for track in new]) / NEW

    mine, other = in_turn(RUNS, ours, theirs)
    common: dict[str, Any] = {"job": "deconflict", "peer": f"numpy, every {STEP_S:g} s"}
    common["peer_version"] = peers.ask("package_version", package="numpy")
    yield line(case="a new plan against 200", ours=mine, theirs=other, unit="s", lower=True, **common)
    known = [{conflict.other for conflict in conflicts(track, air, **APART)} for track in new]
    strangers = [set(map(str, others)) - names for others, names in zip(found, known, strict=True)]
    if any(strangers):
        raise RuntimeError(f"the peer found what ours did not: {strangers}")
    yield line(
        case="pairs too close", unit="pairs", lower=False, **common,
        ours=[float(sum(map(len, known)))], theirs=[float(sum(map(len, found)))],
    )  # fmt: skip

    def cleared() -> float:
        return timed(lambda: [resolve(track, air, layers_m=LAYERS_M, **APART) for track in new]) / NEW

    def searched() -> float:
        answer = peers.ask("sampling_delays", ways=plain, step_s=STEP_S, layers_m=LAYERS_M, **APART)
        return float(answer["seconds"]) / NEW

    mine, other = in_turn(3, cleared, searched)
    yield line(case="the delay or layer that clears it", ours=mine, theirs=other, unit="s", lower=True, **common)


def _plain(track: Track, plane: LocalPlane) -> list[list[float]]:
    """Rows of s, x, y, m AMSL for the peer."""
    rows: list[list[float]] = (rows_of(track, plane) - [EPOCH_S, 0.0, 0.0, 0.0]).tolist()
    return rows
