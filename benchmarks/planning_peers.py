"""The peers of planning: areas, shared jobs, conflicts in time, zones."""

from __future__ import annotations

import json
import time
from typing import Any

KEPT: dict[str, Any] = {}
"""What a preparing request leaves for those that are timed."""


def opencoverage(ring: list[list[float]], holes: list[list[list[float]]], swath_m: float) -> dict[str, Any]:
    """Path, m, and time, s, of its best pattern; the camera is chosen so that lines are a swath apart."""
    import opencoverage as peer
    from shapely import Polygon

    lens = peer.PinholeCamera(
        pixel_size_mm=0.001, focal_length_mm=6.0, sensor_width_mm=6.0, sensor_height_mm=4.0, capture_rate_s=0.1
    )
    polygon = Polygon(ring, holes)
    start_s = time.perf_counter()
    mission = peer.plan(
        polygon=polygon, uav=peer.UAV(min_height=1, max_height=5000), camera=lens, pattern="optimal_sweep",
        lateral_overlap=0.0, forward_overlap=0.0, target="altitude", target_value=swath_m,
    )  # fmt: skip
    spent_s = time.perf_counter() - start_s
    return {"path": [[float(point[0]), float(point[1])] for point in mission.path], "seconds": spent_s}


WALL = 30.0
"""So many times its processor time a search by the clock may take where the machine is busy."""


def ortools_partition(
    ways_m: list[list[float]], lines_m: list[float], speeds_m_s: list[float], endurance_s: float | None,
    swap_s: float, trips: int, seconds: float, strategy: str,
) -> dict[str, Any]:  # fmt: skip
    """Flights of each vehicle as the line ends at which to enter, and the time, s; no flights where it found none.

    A line is two nodes, one for each direction, of which one is visited. Between two flights a vehicle visits a
    node of its own at its start, where its charge is full again. The longest time is what is made small. `seconds`
    are of the processor, as is the time told: the clock on the wall may run on up to `WALL` times as long.
    """
    import numpy as np
    from ortools.constraint_solver import pywrapcp, routing_enums_pb2

    vehicles, base = len(speeds_m_s), 2 * len(lines_m)
    pauses = [vehicle for vehicle in range(vehicles) for _ in range(trips - 1)] if endurance_s else []
    homes = base + len(pauses)
    enters = [*range(base), *(base + vehicle for vehicle in pauses), *(base + vehicle for vehicle in range(vehicles))]
    leaves = [node ^ 1 for node in range(base)] + enters[base:]
    between = np.array(ways_m)[np.ix_(leaves, enters)]
    work = np.array([lines_m[node // 2] for node in range(base)] + [0.0] * (len(enters) - base))
    pausing = np.array([base <= node < homes for node in range(len(enters))])
    manager = pywrapcp.RoutingIndexManager(
        len(enters), vehicles, [homes + vehicle for vehicle in range(vehicles)],
        [homes + vehicle for vehicle in range(vehicles)],
    )  # fmt: skip
    routing = pywrapcp.RoutingModel(manager)
    fine = 100.0  # of a second
    spent = [fine * (between + work[:, None]) / speed_m_s for speed_m_s in speeds_m_s]
    clock = [
        routing.RegisterTransitMatrix(np.rint(row + fine * swap_s * pausing[:, None]).astype(int).tolist())
        for row in spent
    ]
    for vehicle, transit in enumerate(clock):
        routing.SetArcCostEvaluatorOfVehicle(transit, vehicle)
    routing.AddDimensionWithVehicleTransits(clock, 0, int(1e8), True, "time")
    routing.GetDimensionOrDie("time").SetGlobalSpanCostCoefficient(100)
    if endurance_s:
        full = int(fine * endurance_s)
        drawn = [
            routing.RegisterTransitMatrix((np.ceil(row).astype(int) - full * pausing[:, None]).tolist())
            for row in spent
        ]
        routing.AddDimensionWithVehicleTransits(drawn, full, full, True, "charge")
        for number, vehicle in enumerate(pauses):
            index = manager.NodeToIndex(base + number)
            routing.GetDimensionOrDie("charge").CumulVar(index).SetRange(full, full)
            routing.VehicleVar(index).SetValues([-1, vehicle])
            routing.AddDisjunction([index], 0)
    for node in range(0, base, 2):
        routing.AddDisjunction([manager.NodeToIndex(node), manager.NodeToIndex(node + 1)], 10**10, 1)
    wanted = pywrapcp.DefaultRoutingSearchParameters()
    wanted.first_solution_strategy = getattr(routing_enums_pb2.FirstSolutionStrategy, strategy)
    wanted.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    wanted.time_limit.FromMilliseconds(int(1000 * WALL * seconds))
    start_s = time.process_time()

    def stop_in_time() -> None:
        if time.process_time() - start_s > seconds:
            routing.solver().FinishCurrentSearch()

    routing.AddAtSolutionCallback(stop_in_time)
    solution = routing.SolveWithParameters(wanted)
    spent_s = time.process_time() - start_s
    if solution is None:
        return {"seconds": spent_s, "trips": None}
    shares = []
    for vehicle in range(vehicles):
        flights: list[list[int]] = [[]]
        index = routing.Start(vehicle)
        while not routing.IsEnd(index):
            node = manager.IndexToNode(index)
            if node < base:
                flights[-1].append(node)
            elif node < homes:
                flights.append([])
            index = solution.Value(routing.NextVar(index))
        shares.append([flight for flight in flights if flight])
    return {"seconds": spent_s, "trips": shares}


def sampling_sky(ways: list[list[list[float]]]) -> None:
    """Take the ways of others, rows of s, x, y, m."""
    import numpy as np

    KEPT["sky"] = [np.array(way, float) for way in ways]


def sampling_conflicts(
    ways: list[list[list[float]]], step_s: float, horizontal_m: float, vertical_m: float, time_margin_s: float
) -> dict[str, Any]:
    """For each new way the numbers of the others that come too close, by looking every `step_s`, and the time, s."""
    import numpy as np

    news = [np.array(way, float) for way in ways]
    start_s = time.perf_counter()
    others = [_sampled(new, step_s, horizontal_m, vertical_m, time_margin_s, first=False) for new in news]
    return {"seconds": time.perf_counter() - start_s, "others": others}


def sampling_delays(
    ways: list[list[list[float]]], step_s: float, layers_m: list[float],
    horizontal_m: float, vertical_m: float, time_margin_s: float,
) -> dict[str, Any]:  # fmt: skip
    """For each new way the first layer, or else the first delay in steps of 10 s, that is clear, and the time, s."""
    import numpy as np

    news = [np.array(way, float) for way in ways]
    start_s = time.perf_counter()
    cleared = []
    for new in news:
        tried = [(10.0 * delay, climb_m) for delay in range(720) for climb_m in layers_m]
        for delay_s, climb_m in tried:
            trial = new + np.array([delay_s, 0.0, 0.0, 0.0])
            trial[1:-1, 3] += climb_m
            if not _sampled(trial, step_s, horizontal_m, vertical_m, time_margin_s, first=True):
                cleared.append((delay_s, climb_m))
                break
    return {"seconds": time.perf_counter() - start_s, "cleared": cleared}


def _sampled(new: Any, step_s: float, horizontal_m: float, vertical_m: float, margin_s: float, *, first: bool) -> Any:
    """Numbers of the ways that a new one comes too close to; only the first one if asked."""
    import numpy as np

    found = []
    steps = np.arange(-int(margin_s / step_s), int(margin_s / step_s) + 1) * step_s
    low, high = new[:, 1:].min(axis=0), new[:, 1:].max(axis=0)
    reach = np.array([horizontal_m, horizontal_m, vertical_m])
    for number, way in enumerate(KEPT["sky"]):
        begin_s, end_s = max(new[0, 0], way[0, 0] - margin_s), min(new[-1, 0], way[-1, 0] + margin_s)
        if (
            begin_s > end_s
            or (way[:, 1:].min(axis=0) > high + reach).any()
            or (way[:, 1:].max(axis=0) < low - reach).any()
        ):
            continue
        times = np.arange(begin_s, end_s + step_s, step_s)
        x, y, z = (np.interp(times, new[:, 0], new[:, column]) for column in (1, 2, 3))
        for shift_s in steps:
            there = times + shift_s
            u, v, w = (np.interp(there, way[:, 0], way[:, column]) for column in (1, 2, 3))
            close = (np.hypot(x - u, y - v) < horizontal_m) & (np.abs(z - w) < vertical_m)
            close &= (times <= new[-1, 0]) & (there >= way[0, 0]) & (there <= way[-1, 0])
            if close.any():
                found.append(number)
                break
        if found and first:
            break
    return found


def shapely_zones(file: str) -> None:
    """Take zones: polygons (WKB) on a metric plane, and from where to where they reach, m AMSL."""
    from pathlib import Path

    import numpy as np
    import shapely

    given = json.loads(Path(file).read_text())
    polygons = shapely.from_wkb(given["wkb"])
    KEPT["zones"] = shapely.STRtree(polygons), polygons, np.array(given["heights"])


def shapely_breaches(route: list[list[float]], margin_m: float) -> dict[str, Any]:
    """Numbers of the zones that a route (x, y, m AMSL) comes nearer to than a margin, and the time, s."""
    import numpy as np
    import shapely

    tree, polygons, heights = KEPT["zones"]
    places = np.array(route)
    start_s = time.perf_counter()
    legs = shapely.linestrings(np.stack([places[:-1, :2], places[1:, :2]], axis=1))
    rows, found = tree.query(legs, predicate="dwithin", distance=margin_m)
    low = np.minimum(places[rows, 2], places[rows + 1, 2]) < heights[found, 1]
    high = np.maximum(places[rows, 2], places[rows + 1, 2]) > heights[found, 0]
    rows, found = rows[low & high], found[low & high]
    shapely.intersection(legs[rows], shapely.buffer(polygons[found], margin_m))
    return {"seconds": time.perf_counter() - start_s, "zones": sorted(set(found.tolist()))}


def shapely_way(start: list[float], end: list[float], aside_m: float, margin_m: float) -> dict[str, Any]:
    """Length of the shortest way round the zones near the straight line, by the visibility graph of all corners."""
    import numpy as np
    import shapely

    tree, polygons, _ = KEPT["zones"]
    start_s = time.perf_counter()
    near = tree.query(shapely.linestrings([start, end]), predicate="dwithin", distance=aside_m)
    blocked = shapely.union_all(shapely.buffer(polygons[near], margin_m, quad_segs=4))
    core = shapely.buffer(blocked, -1e-3)
    shapely.prepare(core)
    nodes = np.vstack([start, end, np.unique(shapely.get_coordinates(blocked), axis=0)])
    here, there = np.triu_indices(len(nodes), 1)
    clear = ~shapely.intersects(core, shapely.linestrings(np.stack([nodes[here], nodes[there]], axis=1)))
    here, there = here[clear], there[clear]
    between = np.full((len(nodes), len(nodes)), np.inf)
    between[here, there] = between[there, here] = np.hypot(*(nodes[here] - nodes[there]).T)
    lengths, open_ = between[0].copy(), np.arange(len(nodes)) > 0
    while open_[1]:
        node = int(np.argmin(np.where(open_, lengths, np.inf)))
        open_[node] = False
        lengths = np.minimum(lengths, lengths[node] + between[node])
    length_m = float(lengths[1])
    return {"seconds": time.perf_counter() - start_s, "length_m": length_m, "nodes": len(nodes)}


def shapely_touched(wkb: str, heights: list[float], routes: list[list[list[float]]], margin_m: float) -> dict[str, Any]:
    """Which of many routes come nearer to one zone than a margin, and the time, s."""
    import numpy as np
    import shapely

    zone = shapely.buffer(shapely.from_wkb(wkb), margin_m)
    places = [np.array(route) for route in routes]
    shapely.prepare(zone)
    start_s = time.perf_counter()
    lines = shapely.linestrings(np.stack([route[:, :2] for route in places]))
    near = np.flatnonzero(shapely.intersects(zone, lines)).tolist()
    shapely.intersection(lines[near], zone)
    flights = [row for row in near if places[row][:, 2].min() < heights[1] and places[row][:, 2].max() > heights[0]]
    return {"seconds": time.perf_counter() - start_s, "flights": flights}
