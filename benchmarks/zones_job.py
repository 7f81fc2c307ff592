"""Zones: a route checked against 5 000 of them, the way round them, and 200 flights searched for a new one's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from run import Peers, in_turn, line, say, timed

from geo.airspace import Airspace, Band, touched
from geo.positions import Altitude, Datum, LocalPlane, distance_m
from geo.terrain import FlatTerrain
from geo.tracks import Track
from geo.volumes import Circle, Outline, Volume4D
from geo.zones import Kind, Zone

Array = NDArray[np.float64]

LON, LAT, GROUND_M, MARGIN_M = 71.40, 51.10, 350.0, 30.0
ZONES, HALF_M = 5000, 40_000.0
POINTS, FLIGHTS, RUNS = 200, 200, 9
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=0.0)
BAND = Band(0.0, 3600.0, Altitude(40.0, Datum.AGL), Altitude(100.0, Datum.AGL))


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """The same zones and routes for both; the peer's ground is flat, and it knows no times."""
    version = f"{peers.ask('package_version', package='shapely')} STRtree"
    rng = np.random.default_rng(11)
    zones = [_zone(number, rng) for number in range(ZONES)]
    airspace = Airspace(zones, FlatTerrain(GROUND_M))
    with tempfile.TemporaryDirectory() as folder:
        wkb = [shapely.to_wkb(_flat(zone), hex=True) for zone in zones]
        heights = [_heights_m(zone) for zone in zones]
        file = Path(folder) / "zones.json"
        file.write_text(json.dumps({"wkb": wkb, "heights": heights}))
        peers.ask("shapely_zones", file=str(file))
        for case, length_m, amsl_m in (
            ("city", 20_000.0, 420.0),
            ("country", 70_000.0, 420.0),
            ("above", 20_000.0, 1400.0),
        ):
            yield _checked(peers, version, airspace, case, _route(length_m, amsl_m))
        yield _way(peers, version, airspace)
    yield _touched(peers, version)


def _checked(peers: Peers, version: str, airspace: Airspace, case: str, route: Array) -> dict[str, Any]:
    track = _track(route)
    hit = {breach.zone.id for breach in airspace.breaches(track, margin_m=MARGIN_M) if breach.zone is not None}
    theirs = {
        f"Z{number}" for number in peers.ask("shapely_breaches", route=route.tolist(), margin_m=MARGIN_M)["zones"]
    }
    say(f"zones: {case}: {len(hit)} zones breached, {len(hit ^ theirs)} of them seen by one only")
    if len(hit ^ theirs) > 1 + 0.02 * len(hit):
        raise RuntimeError(f"the two disagree about {sorted(hit ^ theirs)[:5]}")

    def peer() -> float:
        return float(peers.ask("shapely_breaches", route=route.tolist(), margin_m=MARGIN_M)["seconds"])

    ours, other = in_turn(RUNS, lambda: timed(lambda: airspace.breaches(track, margin_m=MARGIN_M)), peer)
    named = f"route of {POINTS} points, {route[-1, 0] * 2 / 1000:.0f} km, {case}, {len(hit)} zones breached"
    return line(
        job="zones", case=named, peer="shapely", peer_version=version, ours=ours, theirs=other, unit="s", lower=True
    )  # fmt: skip


def _way(peers: Peers, version: str, airspace: Airspace) -> dict[str, Any]:
    start, end = np.array([-1500.0, -300.0]), np.array([1500.0, 200.0])
    ends = [tuple(float(part) for part in PLANE.to_lonlat(*place)) for place in (start, end)]

    def ours() -> Array:
        return airspace.way((ends[0][0], ends[0][1]), (ends[1][0], ends[1][1]), BAND, margin_m=MARGIN_M)

    way = ours()
    asked = {"start": start.tolist(), "end": end.tolist(), "aside_m": 600.0, "margin_m": MARGIN_M}
    theirs = peers.ask("shapely_way", **asked)
    length_m = float(distance_m(way[:-1, 0], way[:-1, 1], way[1:, 0], way[1:, 1]).sum())
    say(f"zones: way: {length_m:.1f} m ours, {theirs['length_m']:.1f} m theirs, {theirs['nodes']} corners")
    mine, other = in_turn(3, lambda: timed(ours), lambda: float(peers.ask("shapely_way", **asked)["seconds"]))
    return line(
        job="zones", case=f"way of 3 km, {len(way) - 2} corners", peer="shapely, all corners near the line",
        peer_version=version, ours=mine, theirs=other, unit="s", lower=True,
    )  # fmt: skip


def _touched(peers: Peers, version: str) -> dict[str, Any]:
    rng = np.random.default_rng(13)
    routes = []
    for _ in range(FLIGHTS):
        begin, turn = rng.uniform(-15_000, 15_000, 2), rng.uniform(0, 2 * np.pi)
        along = np.linspace(0, 6000, POINTS)
        routes.append(
            np.column_stack([begin[0] + along * np.cos(turn), begin[1] + along * np.sin(turn), np.full(POINTS, 420.0)])
        )
    new = Zone(id="NEW", kind=Kind.PROHIBITED, volumes=(_volume(Circle(lon=LON, lat=LAT, radius_m=1500.0)),))
    tracks = [_track(route) for route in routes]
    terrain = FlatTerrain(GROUND_M)
    hit = {number for number, _ in touched(tracks, new, terrain, margin_m=MARGIN_M)}
    asked = {
        "wkb": shapely.to_wkb(_flat(new), hex=True), "heights": _heights_m(new), "margin_m": MARGIN_M,
        "routes": [route.tolist() for route in routes],
    }  # fmt: skip
    theirs = set(peers.ask("shapely_touched", **asked)["flights"])
    if hit != theirs:
        raise RuntimeError(f"the two disagree about the flights {sorted(hit ^ theirs)}")
    mine, other = in_turn(
        RUNS,
        lambda: timed(lambda: touched(tracks, new, terrain, margin_m=MARGIN_M)),
        lambda: float(peers.ask("shapely_touched", **asked)["seconds"]),
    )
    return line(
        job="zones", case=f"new zone, {FLIGHTS} flights of {POINTS} points, {len(hit)} touched", peer="shapely",
        peer_version=version.replace(" STRtree", ""), ours=mine, theirs=other, unit="s", lower=True,
    )  # fmt: skip


def _zone(number: int, rng: np.random.Generator) -> Zone:
    """A circle or a polygon of 12 corners, 60 to 500 m across the middle, most up to 120 m above ground."""
    x, y = rng.uniform(-HALF_M, HALF_M, 2)
    size_m = rng.uniform(60, 500)
    if number % 3 == 0:
        lon, lat = PLANE.to_lonlat(x, y)
        return Zone(
            id=f"Z{number}", kind=Kind.PROHIBITED,
            volumes=(_volume(Circle(lon=float(lon), lat=float(lat), radius_m=size_m)),),
        )  # fmt: skip
    angles = (np.arange(12) + rng.uniform(0, 0.9, 12)) * np.pi / 6
    radii = size_m * rng.uniform(0.5, 1.0, 12)
    lon, lat = PLANE.to_lonlat(x + radii * np.cos(angles), y + radii * np.sin(angles))
    corners = tuple(zip([*lon.tolist(), float(lon[0])], [*lat.tolist(), float(lat[0])], strict=True))
    return Zone(id=f"Z{number}", kind=Kind.PROHIBITED, volumes=(_volume(Outline(rings=(corners,))),))


def _volume(footprint: Circle | Outline) -> Volume4D:
    return Volume4D(footprint=footprint, lower=Altitude(0.0, Datum.AGL), upper=Altitude(120.0, Datum.AGL))


def _flat(zone: Zone) -> shapely.Polygon:
    return shapely.transform(
        zone.volumes[0].footprint.polygon(), lambda xy: np.column_stack(PLANE.to_plane(xy[:, 0], xy[:, 1]))
    )


def _heights_m(zone: Zone) -> list[float]:
    lower, upper = zone.volumes[0].lower, zone.volumes[0].upper
    assert lower is not None
    assert upper is not None
    return [GROUND_M + lower.value_m, GROUND_M + upper.value_m]


def _route(length_m: float, amsl_m: float) -> Array:
    along = np.linspace(-length_m / 2, length_m / 2, POINTS)
    return np.column_stack([along, 2000 * np.sin(along / 2500), np.full(POINTS, amsl_m)])


def _track(route: Array) -> Track:
    lon, lat = PLANE.to_lonlat(route[:, 0], route[:, 1])
    return Track(np.arange(len(route)) * 10.0, lon, lat, route[:, 2])
