"""Missions to many vehicles at once with read-back and hash, and one long list over a slow link: seconds."""

from __future__ import annotations

import asyncio
import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from processes import processor_s, started
from run import ROOT, Peers, in_turn, line

from fleet.commands import holds
from fleet.fleet import Fleet
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.missions import MissionItem, mission_hash
from fleet.transfers import download
from fleet.vehicle import VehicleRecord

RUNS, SLOW_RUNS = 7, 3
VEHICLES, ITEMS = 50, 50
LONG_ITEMS, ROUND_TRIP_S = 800, 0.4
PAIRED_ITEMS = 40
"""So many items are read one at a time for comparison, and so long takes each."""


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """Vehicles at once, against one after the other by mavutil; then a download, many items at a time or one."""
    version = peers.ask("package_version", package="pymavlink")
    mine, other = in_turn(RUNS, _at_once, lambda: _one_by_one(peers))
    yield line(
        job="upload", case=f"{VEHICLES} vehicles, {ITEMS} items, read back and hashed",
        peer="mavutil, one vehicle after the other", peer_version=version, ours=mine, theirs=other, unit="s",
        lower=True,
    )  # fmt: skip
    mine, other = in_turn(SLOW_RUNS, lambda: _long_read(LONG_ITEMS, 32), lambda: _long_read(PAIRED_ITEMS, 1))
    yield line(
        job="upload", case=f"reading {LONG_ITEMS} items, round trip {ROUND_TRIP_S * 1e3:g} ms",
        peer="one item a round trip (ours so)", peer_version=f"of {PAIRED_ITEMS} items", ours=mine, theirs=other,
        unit="s/item", lower=True,
    )  # fmt: skip


def plan(count: int) -> list[MissionItem]:
    """A take-off, waypoints in rows, and the way home."""
    rng = random.Random(count)
    places = [(432380000 + rng.randint(0, 30_000), 769450000 + rng.randint(0, 30_000)) for _ in range(count - 2)]
    ways = [MissionItem(frame=3, command=16, x=x, y=y, z=60.25) for x, y in places]
    start = MissionItem(frame=3, command=22, x=432380000, y=769450000, z=60.0)
    return [start, *ways, MissionItem(frame=3, command=20, x=0, y=0, z=0.0)]


@contextmanager
def _vehicles(
    port: int, step: int, count: int, *, delay_s: float = 0.0, held: int = 0
) -> Iterator[subprocess.Popen[str]]:
    arguments = [str(part) for part in (port, step, count, delay_s, held)]
    with started([sys.executable, str(ROOT / "benchmarks" / "mission_vehicles.py"), *arguments]) as process:
        yield process


def _at_once() -> float:
    return asyncio.run(_upload_all())


async def _upload_all() -> float:
    port = random.randrange(20_000, 50_000)
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        with _vehicles(port, 0, VEHICLES) as process:
            vehicles = await _met(fleet, VEHICLES)
            wanted, items = mission_hash(plan(ITEMS)), plan(ITEMS)
            used_s, start_s = processor_s(process.pid), time.perf_counter()
            hashes = await asyncio.gather(*[vehicle.upload_mission(items) for vehicle in vehicles])
            spent_s = time.perf_counter() - start_s
            used_s = processor_s(process.pid) - used_s
    if set(hashes) != {wanted}:
        raise RuntimeError("a mission is not aboard as it was sent")
    if used_s > 0.8 * spent_s:
        raise RuntimeError(f"the vehicles used {used_s:.2f} s of {spent_s:.2f} s: they held us up")
    return spent_s


async def _met(fleet: Fleet, count: int) -> list[MavlinkVehicle]:
    """All registered, heard, and asked for what we want of them."""
    vehicles = [fleet.register(VehicleRecord(sysid=sysid, name=str(sysid))) for sysid in range(1, count + 1)]
    if not await holds(lambda: all(one.telemetry.autopilot and one.state.home for one in vehicles), 20.0):
        raise RuntimeError("not all vehicles were heard")
    await asyncio.sleep(2.0)
    return vehicles


def _long_read(count: int, read_ahead: int) -> float:
    return asyncio.run(_read(count, read_ahead)) / count


async def _read(count: int, read_ahead: int) -> float:
    port = random.randrange(20_000, 50_000)
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        with _vehicles(port, 0, 1, delay_s=ROUND_TRIP_S, held=count):
            (vehicle,) = await _met(fleet, 1)
            start_s = time.perf_counter()
            items = await download(vehicle.channel, read_ahead=read_ahead)
            spent_s = time.perf_counter() - start_s
    if len(items) != count or not all(math.isfinite(item.z) for item in items):
        raise RuntimeError(f"{len(items)} of {count} items read")
    return spent_s


def _one_by_one(peers: Peers) -> float:
    port = random.randrange(20_000, 50_000)
    with _vehicles(port, 1, VEHICLES):
        items = [(item.frame, item.command, *item.params, item.x, item.y, item.z) for item in plan(ITEMS)]
        answer = peers.ask("mavutil_missions", port=port, vehicles=VEHICLES, items=items)
    return float(answer["seconds"])
