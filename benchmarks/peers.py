"""The peers, run in their own environment by run.py: a request a line on stdin, an answer a line on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
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


def orthority_scene(file: str, cell_m: float, camera: dict[str, Any]) -> None:
    """Take a DEM (.npy, north up about the origin) and a camera."""
    import numpy as np
    import orthority
    import rasterio

    heights = np.load(file).astype("float32")
    rows, cols = heights.shape
    KEPT["dem"] = heights, rasterio.Affine(cell_m, 0, -cols * cell_m / 2, 0, -cell_m, rows * cell_m / 2)
    KEPT["camera"] = orthority.camera.BrownCamera(**camera)


def orthority_locate(pixels: list[list[float]]) -> dict[str, Any]:
    """x, y, z of pixels on the DEM, and the time, s."""
    import numpy as np
    from orthority.enums import Interp

    heights, transform = KEPT["dem"]
    wanted = np.array(pixels, float).T
    start_s = time.perf_counter()
    found = KEPT["camera"]._pixel_to_world_surf(wanted, heights, transform, interp=Interp.bilinear)
    return {"seconds": time.perf_counter() - start_s, "places": found.T.tolist()}


def orthority_single(pixels: list[list[float]]) -> dict[str, Any]:
    """Time, s, of pixels one after the other, a call for each."""
    import numpy as np
    from orthority.enums import Interp

    heights, transform = KEPT["dem"]
    wanted = [np.array([pixel], float).T for pixel in pixels]
    start_s = time.perf_counter()
    for pixel in wanted:
        KEPT["camera"]._pixel_to_world_surf(pixel, heights, transform, interp=Interp.bilinear)
    return {"seconds": time.perf_counter() - start_s}


def pymavlink_parse(file: str, piece: int, key: str) -> dict[str, float]:
    """Messages that parse_buffer finds in a file, fed in pieces of so many bytes, and the time, s.

    With a `key` (hex; empty for none) it checks signatures, and counts only what it believes.
    """
    from pymavlink.dialects.v20 import ardupilotmega as dialect

    with open(file, "rb") as stream:
        data = stream.read()
    parser = dialect.MAVLink(None)
    parser.robust_parsing = True
    if key:
        parser.signing.secret_key = bytes.fromhex(key)
    start_s = time.perf_counter()
    count = 0
    for at in range(0, len(data), piece):
        for message in parser.parse_buffer(data[at : at + piece]) or ():
            count += message.get_msgId() >= 0  # bad data has -1
    return {"seconds": time.perf_counter() - start_s, "messages": count}


def mavutil_missions(port: int, vehicles: int, items: list[list[Any]]) -> dict[str, float]:
    """Time, s, to send a mission to vehicle after vehicle and read it back, as a script around mavutil does.

    Vehicle N, from 0, sends to `port` + N.
    """
    from pymavlink import mavutil

    ways = [
        mavutil.mavlink_connection(f"udpin:127.0.0.1:{port + number}", source_system=255) for number in range(vehicles)
    ]
    for way in ways:
        way.wait_heartbeat()
    start_s = time.perf_counter()
    for way in ways:
        target = way.target_system, way.target_component
        wire = [items[0], *items]  # the first is the place of home
        way.mav.mission_count_send(*target, len(wire), 0)
        while (
            message := way.recv_match(type=["MISSION_REQUEST", "MISSION_ACK"], blocking=True)
        ).get_type() != "MISSION_ACK":
            frame, command, *rest = wire[message.seq]
            way.mav.mission_item_int_send(*target, message.seq, frame, command, 0, 1, *rest, 0)
        way.mav.mission_request_list_send(*target, 0)
        total = way.recv_match(type="MISSION_COUNT", blocking=True).count
        for seq in range(total):
            way.mav.mission_request_int_send(*target, seq, 0)
            item = way.recv_match(type="MISSION_ITEM_INT", blocking=True)
            if seq and [item.x, item.y, item.z] != wire[seq][-3:]:
                raise RuntimeError(f"item {seq} is not as it was sent")
    return {"seconds": time.perf_counter() - start_s}


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


def klvdata_packets(file: str) -> dict[str, Any]:
    """Take packets one after another; how many they are, their items, and the sensor's latitude in each, deg."""
    import klvdata

    with open(file, "rb") as stream:
        data = stream.read()
    key = data[:16]
    starts = [at for at in range(len(data)) if data.startswith(key, at)]
    KEPT["klv"] = [data[at:end] for at, end in zip(starts, [*starts[1:], len(data)], strict=True)]
    KEPT["klv_read"] = [next(iter(klvdata.StreamParser(packet))) for packet in KEPT["klv"]]
    return {
        "packets": len(KEPT["klv"]),
        "items": len(KEPT["klv_read"][0].items),
        "lat_deg": [float(packet.MetadataList()[13][-1]) for packet in KEPT["klv_read"]],
    }


def klvdata_read(rounds: int, verify: bool) -> float:
    """Processor time, s, of the best of some rounds of reading all packets."""
    import klvdata
    from klvdata.common import packet_checksum

    def read() -> None:
        for packet in KEPT["klv"]:
            if verify and packet_checksum(packet) != packet[-2:]:
                raise RuntimeError("a checksum does not fit")
            list(klvdata.StreamParser(packet))

    return _best_s(rounds, read)


def klvdata_write(rounds: int) -> float:
    """Processor time, s, of the best of some rounds of writing the items of all packets."""
    return _best_s(
        rounds, lambda: [b"".join(bytes(item) for item in packet.items.values()) for packet in KEPT["klv_read"]]
    )


def _best_s(rounds: int, call: Callable[[], object]) -> float:
    best_s = float("inf")
    for _ in range(rounds):
        start_s = time.process_time()
        call()
        best_s = min(best_s, time.process_time() - start_s)
    return best_s


def windowed_changes(before: str, after: str, contrast: float) -> dict[str, Any]:
    """How many pieces have changed, by reading both pictures in full in windows of 1024 px, and both times, s.

    The plainest measure there is: logarithms, smoothed, the window's median taken off, largest band against the
    threshold, opened, connected pieces counted. Nothing is laid over, no neighbour is looked at.
    """
    import cv2
    import numpy as np
    import rasterio
    from rasterio.windows import Window

    table = np.log((np.arange(256, dtype=np.float32) + 12) / 267).astype(np.float32)
    start_s, start_cpu_s, pieces = time.perf_counter(), time.process_time(), 0
    with rasterio.open(before) as first, rasterio.open(after) as second:
        for row in range(0, second.height, 1024):
            for col in range(0, second.width, 1024):
                window = Window(col, row, min(1024, second.width - col), min(1024, second.height - row))
                old, new = (
                    cv2.GaussianBlur(table[np.moveaxis(source.read(window=window), 0, -1)], (0, 0), 0.8)
                    for source in (first, second)
                )
                apart = new - old
                apart -= np.median(apart[::8, ::8], axis=(0, 1))
                changed = (np.abs(apart).max(axis=-1) >= contrast).astype(np.uint8)
                changed = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
                pieces += cv2.connectedComponents(changed)[0] - 1
    spent = {"seconds": time.perf_counter() - start_s, "cpu_s": time.process_time() - start_cpu_s}
    return {**spent, "pieces": pieces}


def cv2_video(file: str, frames: int, every: int, grab: bool, core: int) -> dict[str, float]:
    """Processor time, s, of reading a video's frames as arrays, or of grabbing all and retrieving one of `every`."""
    import os

    import cv2

    cv2.setNumThreads(1)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    start_s = time.process_time()
    video = cv2.VideoCapture(file, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    count = 0
    while video.grab() if grab else video.read()[0]:
        if grab and count % every == 0:
            video.retrieve()
        count += 1
    video.release()
    spent_s = time.process_time() - start_s
    os.sched_setaffinity(0, before)
    if count != frames:
        raise ValueError(f"{count} frames of {frames} were read")
    return {"seconds": spent_s}


def frames_open(file: str) -> dict[str, Any]:
    """Take a SQLite file with a row per frame (clip, utc_s, min_x, max_x, min_y, max_y, corners; lon, lat)."""
    import sqlite3

    KEPT["frames"] = sqlite3.connect(file)
    return {"version": sqlite3.sqlite_version}


def frames_at(lon: float, lat: float, largest_deg: float = 0.002) -> dict[str, Any]:
    """Clips that show a place, and the time, s; no frame is larger than `largest_deg`."""
    import numpy as np
    import shapely

    start_s = time.perf_counter()
    rows = (
        KEPT["frames"]
        .execute(
            "SELECT clip, utc_s, corners FROM frames WHERE min_y BETWEEN ? AND ? AND max_y >= ? "
            "AND min_x <= ? AND max_x >= ? ORDER BY utc_s DESC",
            (lat - largest_deg, lat, lat, lon, lon),
        )
        .fetchall()
    )
    shapes = shapely.polygons(np.frombuffer(b"".join(row[2] for row in rows)).reshape(-1, 4, 2))
    seen = shapely.contains_xy(shapes, lon, lat)
    clips = {row[0] for row, one in zip(rows, seen, strict=True) if one}
    return {"seconds": time.perf_counter() - start_s, "clips": len(clips)}


def orthority_ortho(
    image: str, dem: str, crs: str, pixel_m: float, camera: dict[str, Any], out: str
) -> dict[str, float]:
    """An ortho as a JPEG GeoTIFF with a mask, bilinear, without overviews, and the times, s."""
    import orthority

    lens = orthority.camera.BrownCamera(**camera)
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    orthority.Ortho(image, dem, lens, crs).process(
        out, resolution=(pixel_m, pixel_m), interp="bilinear", dem_interp="bilinear", compress="jpeg", build_ovw=False,
        overwrite=True,
    )  # fmt: skip
    return {"seconds": time.perf_counter() - start_s, "cpu_seconds": time.process_time() - start_cpu_s}


def orthority_frame(image: str, dem: str, interior: str, exterior: str, out: str, pixel_m: float) -> dict[str, Any]:
    """The ortho of a frame of a known block, and the camera it was made with."""
    import orthority

    cameras = orthority.FrameCameras(interior, exterior)
    lens = cameras.get(image)
    orthority.Ortho(image, dem, lens, cameras.crs).process(
        out, resolution=(pixel_m, pixel_m), interp="bilinear", dem_interp="bilinear", compress="deflate",
        write_mask=True, build_ovw=False, overwrite=True,
    )  # fmt: skip
    matrix = lens._get_intrinsic()[0] if not hasattr(lens, "_K") else lens._K
    named = dict(
        zip(("k1", "k2", "p1", "p2", "k3"), (float(v) for v in getattr(lens, "_dist_param", [])), strict=False)
    )
    exteriors = cameras._ext_param_dict[next(name for name in cameras._ext_param_dict if name in image)]
    return {
        "crs": cameras.crs.to_wkt(), "xyz": list(exteriors["xyz"]), "opk": list(exteriors["opk"]),
        "camera": {"focal_px": float(matrix[0, 0]), "center_px": [float(matrix[0, 2]), float(matrix[1, 2])],
                   "distortion": named},
    }  # fmt: skip


def rio_tiler_tiles(file: str, tiles: list[list[int]], form: str) -> dict[str, Any]:
    """Tiles z, x, y of a COG as PNG or JPEG, the file opened for each as a tile server does; the times of each, s."""
    from rio_tiler.io import Reader

    walls, cpus = [], []
    for z, x, y in tiles:
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        with Reader(file) as reader:
            reader.tile(x, y, z).render(img_format=form)
        walls.append(time.perf_counter() - start_s)
        cpus.append(time.process_time() - start_cpu_s)
    return {"seconds": walls, "cpu_seconds": cpus}


def rio_cogeo_write(source: str, out: str, compress: str, options: dict[str, Any], threads: int) -> dict[str, float]:
    """A COG by its profile of that compression, blocks of 512 px and means as overviews; the times, s, and bytes."""
    import os

    from rio_cogeo.cogeo import cog_translate
    from rio_cogeo.profiles import cog_profiles

    profile = cog_profiles.get(compress)
    profile.update(options)
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    cog_translate(
        source, out, profile, overview_resampling="average", quiet=True,
        config={"GDAL_NUM_THREADS": str(threads), "GDAL_TIFF_OVR_BLOCKSIZE": "512"},
    )  # fmt: skip
    spent_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    return {"seconds": spent_s, "cpu_seconds": cpu_s, "bytes": os.path.getsize(out)}


def rio_cogeo_valid(file: str) -> list[Any]:
    """Whether a file is a COG, strictly; errors and warnings."""
    from rio_cogeo.cogeo import cog_validate

    return list(cog_validate(file, strict=True))


def package_version(package: str) -> str:
    """Of an installed peer."""
    return version(package)


ANSWERS: dict[str, Callable[..., Any]] = {
    call.__name__: call
    for call in (
        opencoverage,
        orthority_scene,
        orthority_locate,
        orthority_single,
        pymavlink_parse,
        mavutil_missions,
        ortools_partition,
        sampling_sky,
        sampling_conflicts,
        sampling_delays,
        shapely_zones,
        shapely_breaches,
        shapely_way,
        shapely_touched,
        klvdata_packets,
        klvdata_read,
        klvdata_write,
        windowed_changes,
        cv2_video,
        frames_open,
        frames_at,
        orthority_ortho,
        orthority_frame,
        rio_tiler_tiles,
        rio_cogeo_write,
        rio_cogeo_valid,
        package_version,
    )
}


def main() -> None:
    """Answer until stdin ends."""
    for text in sys.stdin:
        request = json.loads(text)
        try:
            answer = {"answer": ANSWERS[request.pop("what")](**request)}
        except Exception as exc:  # noqa: BLE001 - whatever a peer raises goes back as its answer
            answer = {"error": f"{type(exc).__name__}: {exc}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
