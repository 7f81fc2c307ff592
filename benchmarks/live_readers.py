"""Readers of live telemetry, each in a process of its own: ours and a bare loop around pymavlink's mavutil."""

from __future__ import annotations

import asyncio
import gc
import sys


async def fleet(port: int, vehicles: int) -> None:
    """Our whole fleet: links, identity, telemetry state and pose history of registered vehicles."""
    import structlog
    from telemetry import answer_counts

    from fleet.fleet import Fleet
    from fleet.vehicle import VehicleRecord

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    registered = {sysid: VehicleRecord(sysid=sysid, name=f"v{sysid}") for sysid in range(1, vehicles + 1)}
    gc.freeze()  # as the service does
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered) as ours:
        answer_counts(lambda: sum(link.frames_in for link in ours.router.link_traffic()))
        await ours.failed()


def mavutil(port: int) -> None:
    """What every script around pymavlink does, and nothing with the messages."""
    from pymavlink import mavutil as peer
    from telemetry import answer_counts

    connection = peer.mavlink_connection(f"udpin:127.0.0.1:{port}", dialect="ardupilotmega")
    count = 0
    answer_counts(lambda: count)
    while True:
        if connection.recv_match(blocking=True) is not None:
            count += 1


if __name__ == "__main__":
    if sys.argv[1] == "fleet":
        asyncio.run(fleet(int(sys.argv[2]), int(sys.argv[3])))
    else:
        mavutil(int(sys.argv[2]))
