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


def package_version(package: str) -> str:
    """Of an installed peer."""
    return version(package)


ANSWERS: dict[str, Callable[..., Any]] = {
    call.__name__: call
    for call in (
        opencoverage,
        orthority_scene,
        orthority_locate,
        pymavlink_parse,
        mavutil_missions,
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
