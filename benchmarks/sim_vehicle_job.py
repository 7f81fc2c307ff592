"""Simulated vehicles in flight with telemetry at 10 Hz: share of a core for each, alone and 200 in one process."""

from __future__ import annotations

import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from flight_orders import Orders
from processes import count_of, free_port, processor_s, started
from run import ROOT, Peers, line

RUNS, MEASURE_S = 5, 10.0
SITL_PERCENT = 4.0
"""Of a core, ArduCopter 4.6 as SITL at real time, recorded."""
CROWD = 200
MOST_SPEEDUP = 20.0


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """Ours alone as `missioncontrol sim vehicle` flies it; then many in one process, at real time and unbound."""
    theirs = [SITL_PERCENT] * RUNS
    yield line(
        job="sim_vehicle", case="one vehicle in a process", peer="ArduCopter SITL (recorded)", peer_version="4.6",
        ours=[_alone() for _ in range(RUNS)], theirs=theirs, unit="% of a core", lower=True,
    )  # fmt: skip
    crowds = [_crowd(1.0) for _ in range(RUNS)]
    slowest = min(rate for _, rate in crowds)
    yield line(
        job="sim_vehicle", case=f"{CROWD} vehicles in one process, slowest {slowest:.3f} x real time",
        peer="ArduCopter SITL (recorded)", peer_version="4.6", ours=[share / CROWD for share, _ in crowds],
        theirs=theirs, unit="% of a core/vehicle", lower=True,
    )  # fmt: skip
    rates = [_crowd(MOST_SPEEDUP)[1] for _ in range(RUNS)]
    yield line(
        job="sim_vehicle", case=f"{CROWD} vehicles in one process, as fast as it goes", peer="real time",
        peer_version="-", ours=rates, theirs=[1.0] * RUNS, unit="simulated s/s", lower=False,
    )  # fmt: skip


def _alone() -> float:
    """Share of a core, %, of one vehicle on its way."""
    port, orders = free_port(), Orders(1)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as ground:
        ground.bind(("127.0.0.1", port))
        command = [sys.executable, "-m", "missioncontrol", "sim", "vehicle", "--link", f"udpout:127.0.0.1:{port}"]
        with started([*command, "--ready-after-s", "3"], told=False) as process:
            ground.settimeout(60.0)
            _, vehicle = ground.recvfrom(2048)
            ground.settimeout(0.05)
            begun_s, spoken = time.monotonic(), 0
            turns = [(0.0, orders.telemetry()), (6.0, orders.start()), (14.0, [orders.away()])]
            share: list[float] = []
            used_s = from_s = 0.0
            while not share:
                now_s = time.monotonic() - begun_s
                while turns and now_s >= turns[0][0]:
                    for frame in turns.pop(0)[1]:
                        ground.sendto(frame, vehicle)
                if now_s >= spoken:
                    spoken += 1
                    ground.sendto(orders.beat(), vehicle)
                if not from_s and now_s > 18.0:
                    from_s, used_s = now_s, processor_s(process.pid)
                if from_s and now_s > from_s + MEASURE_S:
                    share.append(100.0 * (processor_s(process.pid) - used_s) / (now_s - from_s))
                _drain(ground)
            if process.poll() is not None:
                raise RuntimeError("the simulated vehicle ended")
    return statistics.median(share)


def _drain(ground: socket.socket) -> None:
    try:
        for _ in range(100):
            ground.recv(2048)
    except TimeoutError:
        return


def _crowd(speedup: float) -> tuple[float, float]:
    """Share of a core, %, of all; and simulated seconds in one of the wall."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as ground:
        ground.bind(("127.0.0.1", 0))
        command = [str(part) for part in (CROWD, ground.getsockname()[1], speedup)]
        with started([sys.executable, str(ROOT / "benchmarks" / "vehicle_crowd.py"), *command]) as process:
            before, used_s, start_s = count_of(process), processor_s(process.pid), time.monotonic()
            time.sleep(MEASURE_S)
            after, used_s, spent_s = count_of(process), processor_s(process.pid) - used_s, time.monotonic() - start_s
    return 100.0 * used_s / spent_s, (after - before) / 1e3 / spent_s
