"""What mavsdk reads in a plan file, as JSON on stdout. Run by a test, on its own, with FILE and MAV_AUTOPILOT."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import sys
from pathlib import Path
from typing import Any

from mavsdk.asyncio import ComponentType, Configuration, Mavsdk
from mavsdk.asyncio.plugins.mission_raw import MissionRawAsync
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.framing import Encoder


def number(value: float) -> float | None:
    return None if math.isnan(value) else value


async def beat(port: int, autopilot: int) -> None:
    """The heartbeats of a vehicle: without one mavsdk has nobody to read a file for."""
    encoder = Encoder(sysid=1, compid=1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as vehicle:
        while True:
            data = encoder.encode(dialect.MAVLink_heartbeat_message(2, autopilot, 0x51, 0, 3, 3))
            vehicle.sendto(data, ("127.0.0.1", port))
            await asyncio.sleep(0.2)


async def read(text: str, kind: str, autopilot: int) -> list[dict[str, Any]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    configuration = Configuration.create_with_component_type(ComponentType.GROUND_STATION)
    async with Mavsdk(configuration) as mavsdk:
        await mavsdk.add_any_connection(f"udpin://127.0.0.1:{port}")
        beating = asyncio.create_task(beat(port, autopilot))
        system = await mavsdk.first_autopilot(30.0)
        mission = MissionRawAsync(system)
        if kind == ".plan":
            found = await mission.import_qgroundcontrol_mission_from_string(text)
        else:
            found = await mission.import_mission_planner_mission_from_string(text)
        beating.cancel()
        return [
            {
                "frame": item.frame,
                "command": item.command,
                "params": [number(value) for value in (item.param1, item.param2, item.param3, item.param4)],
                "place": [item.x, item.y, number(item.z)],
                "autocontinue": bool(item.autocontinue),
            }
            for item in found.mission_items
        ]


if __name__ == "__main__":
    file = Path(sys.argv[1])
    items = asyncio.run(read(file.read_text(encoding="utf-8"), file.suffix, int(sys.argv[2])))
    sys.stdout.write(json.dumps(items))
