"""The simulated ArduCopter minds its fence as the recorded one did."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot_fence import Fence
from tests.simulators.ground import Ground

ACCEPTED, FAILED = 0, 4
FENCE = 1


@pytest.fixture
def ground() -> Ground:
    station = Ground(ready_after_s=5.0, seed=1)
    station.ready()
    return station


def polygon(ground: Ground, corners: list[tuple[float, float]], command: int = 5001) -> list[Any]:
    count = (len(corners), 0, 0, 0)
    return [ground.item(command, ground.place(*c), params=count, frame=0, kind=FENCE) for c in corners]


BOX = [(-50.0, -50.0), (50.0, -50.0), (50.0, 50.0), (-50.0, 50.0)]


def fenced(ground: Ground, items: list[Any]) -> None:
    assert ground.upload(items, FENCE) == ACCEPTED
    assert ground.texts()[-1] == "Fence Indexed OK"
    assert ground.command(207, 1) == ACCEPTED


def reposition(ground: Ground, north_m: float, up_m: float) -> int:
    x, y = ground.place(north_m, 0)
    ground.send(mavlink.MAVLink_command_int_message(7, 1, 6, 192, 0, 0, -1, 1, 0, math.nan, x, y, up_m))
    return int(ground.of("COMMAND_ACK")[-1].result)


def test_a_goto_beyond_the_fence_fails_without_a_word(ground: Ground) -> None:
    fenced(ground, polygon(ground, BOX))
    ground.take_off(20.0)
    ground.heard.clear()
    assert reposition(ground, 80, 20) == FAILED
    assert reposition(ground, 20, 120) == FAILED, "above FENCE_ALT_MAX"
    assert ground.texts() == []
    assert reposition(ground, 20, 20) == ACCEPTED


def test_a_breach_returns_at_once_and_stays_active(ground: Ground) -> None:
    ground.take_off(20.0)
    assert reposition(ground, 80, 20) == ACCEPTED
    ground.run(4.0)
    fenced(ground, polygon(ground, BOX))
    ground.heard.clear()
    assert ground.run(30.0, until=lambda: ground.vehicle.pilot.mode.value == "RTL")
    assert ground.texts() == ["Polygon fence breached", "Manual recovery started"]
    beat = ground.of("HEARTBEAT")[-1]
    assert (beat.custom_mode, beat.system_status) == (6, 4)
    assert ground.command(512, 162) == ACCEPTED
    status = ground.of("FENCE_STATUS")[-1]
    assert (status.breach_status, status.breach_count, status.breach_type) == (1, 1, 3)
    assert ground.command(512, 1) == ACCEPTED
    assert not ground.of("SYS_STATUS")[-1].onboard_control_sensors_health & 0x100000
    assert ground.command(176, 1, 17) == ACCEPTED, "the operator is obeyed"
    ground.run(2.0)
    assert ground.vehicle.pilot.mode.value == "BRAKE"
    assert ground.command(176, 1, 6) == ACCEPTED
    assert ground.run(60.0, until=lambda: "Fence breach cleared" in ground.texts())


def test_outside_the_fence_it_does_not_arm(ground: Ground) -> None:
    fenced(ground, polygon(ground, [(100.0, 100.0), (200.0, 100.0), (200.0, 200.0)]))
    ground.run(0.1)
    assert ground.command(176, 1, 4) == ACCEPTED
    assert ground.command(400, 1) == FAILED
    assert ground.texts()[-1] == "Arm: Vehicle breaching Polygon fence"


def test_inclusions_and_exclusions_bound_together(ground: Ground) -> None:
    items = [*polygon(ground, BOX), ground.item(5004, ground.place(30, 30), params=(10, 0, 0, 0), frame=0, kind=FENCE)]
    items += polygon(ground, [(-30.0, -30.0), (-20.0, -30.0), (-20.0, -20.0), (-30.0, -20.0)], 5002)
    assert ground.upload(items, FENCE) == ACCEPTED
    fence: Fence = ground.vehicle.pilot.safety.fence
    allowed = {(0, 0): True, (60, 0): False, (30, 30): False, (30, 41): True, (-25, -25): False, (-25, -15): True}
    assert {place: fence.allows(*place) for place in allowed} == allowed


def test_a_mission_switches_the_fence_on(ground: Ground) -> None:
    assert ground.upload(polygon(ground, BOX), FENCE) == ACCEPTED
    items = [
        ground.home_item(), ground.item(22, z=15), ground.item(16, ground.place(10, 0), 15),
        ground.item(207, params=(1, 0, 0, 0)), ground.item(16, ground.place(200, 0), 15),
    ]  # fmt: skip
    ground.start(items)
    assert ground.run(60.0, until=lambda: ground.vehicle.pilot.mode.value == "RTL")
    assert "Polygon fence breached" in ground.texts()
    assert ground.vehicle.body.n == pytest.approx(50.0, abs=3.0)
