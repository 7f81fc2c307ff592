"""The peers of links and metadata: MAVLink and KLV."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

KEPT: dict[str, Any] = {}
"""What a preparing request leaves for those that are timed."""


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
