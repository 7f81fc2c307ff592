"""Many simulated vehicles in one process, all in flight, each with a link and telemetry of its own."""

from __future__ import annotations

import asyncio
import sys

from flight_orders import Orders
from telemetry import answer_counts

from simulators.clock import SimClock
from simulators.vehicle import SimulatedVehicle

READY_S, CLIMB_S = 6.0, 8.0


async def fly(count: int, port: int, speedup: float) -> None:
    """Until killed; the count answered is the simulated time of the vehicle that is furthest behind, ms."""
    clock = SimClock(start_utc_s=1_790_000_000.0, speedup=speedup)
    vehicles = [
        SimulatedVehicle(
            sysid=number % 250 + 1, home=(76.945, 43.238 + 1e-4 * number, 800.0), link=f"udpout:127.0.0.1:{port}",
            clock=clock, seed=number, ready_after_s=3.0,
        )
        for number in range(count)
    ]  # fmt: skip
    async with asyncio.TaskGroup() as group:
        for number, vehicle in enumerate(vehicles):
            group.create_task(vehicle.run(), name=f"vehicle[{number}]")
            group.create_task(_order(vehicle), name=f"orders[{number}]")
        while not all(vehicle.body.n > 1.0 for vehicle in vehicles):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.5)
        answer_counts(lambda: round(1e3 * min(vehicle.pilot.time_s for vehicle in vehicles)))


async def _order(vehicle: SimulatedVehicle) -> None:
    """Each vehicle starts, flies off, and hears a heartbeat once a second of its own time."""
    orders = Orders(vehicle.sysid)
    for frame in orders.telemetry():
        vehicle.receive(frame)
    told, away_s = 0, 0.0
    while True:
        if told == 0 and vehicle.pilot.time_s > READY_S:
            told, away_s = 1, vehicle.pilot.time_s + CLIMB_S
            for frame in orders.start():
                vehicle.receive(frame)
        elif told == 1 and vehicle.pilot.time_s > away_s:
            told = 2
            vehicle.receive(orders.away())
        vehicle.receive(orders.beat())
        await vehicle.clock.sleep(1.0)


if __name__ == "__main__":
    asyncio.run(fly(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
