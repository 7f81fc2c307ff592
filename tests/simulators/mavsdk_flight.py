"""Fly the vehicle on a UDP port with mavsdk alone; what was seen goes to stdout as JSON. Run by a test, on its own."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from typing import Any

from mavsdk.asyncio import ComponentType, Configuration, Mavsdk
from mavsdk.asyncio.plugins.action import ActionAsync, ActionError
from mavsdk.asyncio.plugins.mission_raw import MissionItem, MissionRawAsync
from mavsdk.asyncio.plugins.telemetry import TelemetryAsync
from mavsdk.plugins.telemetry import LandedState

LAT, LON = 43.238, 76.945
PLACELESS = 2
NORTH_DEG, EAST_DEG = 1 / 111_090, 1 / (111_300 * math.cos(math.radians(LAT)))


def item(seq: int, frame: int, command: int, north: float = 0, east: float = 0, z: float = 0, p2: float = 0) -> Any:
    placed = command in (16, 22)
    x = round((LAT + north * NORTH_DEG) * 1e7) if placed else 0
    y = round((LON + east * EAST_DEG) * 1e7) if placed else 0
    return MissionItem(seq, frame, command, int(seq == 0), 1, 1.0 if command == 178 else 0.0, p2, 0.0, 0.0, x, y, z, 0)


def metres(position: Any) -> float:
    return math.hypot((position.latitude_deg - LAT) / NORTH_DEG, (position.longitude_deg - LON) / EAST_DEG)


async def fly(port: int) -> dict[str, Any]:
    said: dict[str, Any] = {"progress": []}
    configuration = Configuration.create_with_component_type(ComponentType.GROUND_STATION)
    async with Mavsdk(configuration) as mavsdk:
        await mavsdk.add_any_connection(f"udpin://127.0.0.1:{port}")
        system = await mavsdk.first_autopilot(90.0)
        assert system is not None
        said["autopilot"] = (await system.autopilot_type()).name
        action, telemetry, mission = ActionAsync(system), TelemetryAsync(system), MissionRawAsync(system)
        for rate in (telemetry.set_rate_health, telemetry.set_rate_position, telemetry.set_rate_battery):
            await rate(4.0)
        await telemetry.set_rate_landed_state(4.0)
        async for health in telemetry.subscribe_health():
            if health.is_global_position_ok and health.is_home_position_ok:
                break
        home = [item(0, 0, 16, z=800.0)] if said["autopilot"] == "ARDUPILOT" else []
        first = len(home)
        items = [*home, item(first, 6, 22, z=30.0), item(first + 1, PLACELESS, 178, p2=8.0)]
        items += [item(first + 2, 6, 16, 100, 0, 30.0), item(first + 3, 6, 16, 100, 60, 30.0)]
        items.append(item(first + 4, PLACELESS, 20))
        await mission.upload_mission(items)
        back = await mission.download_mission()
        said["items"] = len(items)
        said["uploaded"] = [[i.command, i.x, i.y, i.z] for i in items[first:]]
        said["read_back"] = [[i.command, i.x, i.y, i.z] for i in back[first:]]
        await arm(action)
        watch = asyncio.create_task(progress(mission, said["progress"]))
        await mission.start_mission()
        said["highest_m"] = said["farthest_m"] = 0.0
        flown = False
        async for position in telemetry.subscribe_position():
            said["highest_m"] = max(said["highest_m"], position.relative_altitude_m)
            said["farthest_m"] = max(said["farthest_m"], metres(position))
            said["landed_m"] = metres(position)
            state = await telemetry.landed_state()
            if state == LandedState.IN_AIR and not flown:
                flown, said["armed"] = True, await telemetry.armed()
            if flown and state == LandedState.ON_GROUND:
                break
        await asyncio.sleep(1.0)
        watch.cancel()
        said["battery_percent"] = (await telemetry.battery()).remaining_percent
    return said


async def arm(action: ActionAsync) -> None:
    """As a person does it: again, while the autopilot's own checks still run."""
    for _ in range(30):
        try:
            await action.arm()
        except ActionError:
            await asyncio.sleep(1.0)
        else:
            return
    raise TimeoutError("the autopilot does not let itself be armed")


async def progress(mission: Any, seen: list[int]) -> None:
    async for step in mission.subscribe_mission_progress():
        if not seen or seen[-1] != step.current:
            seen.append(step.current)


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(asyncio.run(fly(int(sys.argv[1])))) + "\n")
