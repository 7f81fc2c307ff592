"""Commands in flight, answered and obeyed as each autopilot does."""

from __future__ import annotations

import math

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot_manoeuvres import Circle
from tests.simulators.ground import HOME, Ground
from tests.simulators.test_vehicle_failures import flying

ACCEPTED, REJECTED, DENIED, UNSUPPORTED, FAILED = 0, 1, 2, 3, 4
NAN = math.nan
GUIDED, CIRCLE, RTL, BRAKE = 4, 7, 6, 17


def command(ground: Ground, number: int, *params: float) -> list[int]:
    """A COMMAND_LONG; the results of all its acknowledgements."""
    before = len(ground.heard)
    seven = [*params, *[0.0] * (7 - len(params))]
    ground.send(mavlink.MAVLink_command_long_message(7, 1, number, 0, *seven))
    return [m.result for m in ground.heard[before:] if m.get_type() == "COMMAND_ACK" and m.command == number]


def placed(ground: Ground, number: int, n: float, e: float, z: float, *params: float, frame: int = 6) -> int:
    """A COMMAND_INT at a place; the result of its acknowledgement."""
    four = [*params, *[0.0] * (4 - len(params))]
    ground.send(mavlink.MAVLink_command_int_message(7, 1, frame, number, 0, 0, *four, *ground.place(n, e), z))
    return int(ground.of("COMMAND_ACK")[-1].result)


def ring(ground: Ground, centre: tuple[float, float], seconds: float) -> tuple[list[float], list[float], list[float]]:
    """Distances from a centre, m, turned angle, deg, and by how much the nose misses the centre, deg."""
    body = ground.vehicle.body
    distances, turned, misses = [], [], []
    before = math.atan2(body.e - centre[1], body.n - centre[0])
    for _ in range(round(seconds / 0.2)):
        ground.run(0.2)
        dn, de = body.n - centre[0], body.e - centre[1]
        angle = math.atan2(de, dn)
        turned.append(math.degrees(math.remainder(angle - before, math.tau)))
        distances.append(math.hypot(dn, de))
        misses.append(abs(math.degrees(math.remainder(angle + math.pi - body.yaw, math.tau))))
        before = angle
    return distances, turned, misses


# -- circles ---------------------------------------------------------------------------------------------------------


def test_arducopter_flies_the_circle_of_its_parameters() -> None:
    ground = flying("ardupilot", parameters={"CIRCLE_RADIUS": 2000, "CIRCLE_RATE": 10})
    at = ground.vehicle.pilot.controls.motion.point()
    yaw = ground.vehicle.pilot.controls.motion.yaw
    centre = (at.n + 20.0 * math.cos(yaw), at.e + 20.0 * math.sin(yaw))
    assert command(ground, 176, 1, CIRCLE) == [ACCEPTED]
    ground.run(6.0)
    distances, turned, misses = ring(ground, centre, 36.0)
    assert min(distances) > 17.0
    assert max(distances) < 23.0
    assert sum(turned) == pytest.approx(360.0, abs=25.0), "clockwise, 10 deg/s"
    assert max(misses) < 12.0, "its nose to the centre"
    assert ground.vehicle.pilot.relative_m() == pytest.approx(40.0, abs=2.0)
    assert ground.of("HEARTBEAT")[-1].custom_mode == 7
    assert command(ground, 176, 1, BRAKE) == [ACCEPTED]
    ground.run(8.0)
    assert math.hypot(ground.vehicle.body.vn, ground.vehicle.body.ve) < 0.5


def test_arducopter_does_not_arm_in_circle_and_knows_no_orbit() -> None:
    ground = Ground(ready_after_s=4.0)
    ground.ready()
    assert command(ground, 176, 1, CIRCLE) == [ACCEPTED]
    assert command(ground, 400, 1) == [FAILED]
    assert ground.texts()[-1] == "Arm: CIRCLE mode not armable"
    assert placed(ground, 34, 10, 10, 20, 10, 2, 0) == UNSUPPORTED


@pytest.mark.parametrize(("radius_m", "sense"), [(25.0, 1.0), (-25.0, -1.0)])
def test_px4_flies_an_orbit_about_a_place(radius_m: float, sense: float) -> None:
    ground = flying("px4")
    assert placed(ground, 34, 40, 30, HOME[2] + 50.0, radius_m, 3.0, 0, frame=5) == ACCEPTED
    assert ground.run(
        60.0, until=lambda: bool(ground.vehicle.pilot.circle() and ground.vehicle.pilot.circle().turns > 0)
    )
    ground.run(6.0)
    distances, turned, misses = ring(ground, (40.0, 30.0), 30.0)
    assert min(distances) > 21.0
    assert max(distances) < 29.0
    assert sum(turned) == pytest.approx(sense * math.degrees(3.0 * 30.0 / 25.0), abs=20.0)
    assert max(misses) < 12.0
    assert ground.vehicle.pilot.relative_m() == pytest.approx(50.0, abs=2.5)
    beat = ground.of("HEARTBEAT")[-1]
    assert (beat.custom_mode, beat.base_mode) == (0x01030000, 0x91)
    status = ground.of("ORBIT_EXECUTION_STATUS")[-1]
    assert (status.radius, status.z) == (pytest.approx(radius_m), pytest.approx(HOME[2] + 50.0, abs=0.1))
    assert (status.x, status.y) == pytest.approx(ground.place(40, 30), abs=2)
    assert command(ground, 176, 1, 4, 3) == [ACCEPTED, ACCEPTED]
    assert ground.vehicle.pilot.circle() is None


def test_px4_orbits_here_and_slowly_if_nothing_is_given() -> None:
    ground = flying("px4")
    assert command(ground, 34, NAN, NAN, NAN, 0, NAN, NAN, NAN) == [ACCEPTED]
    circle = ground.vehicle.pilot.circle()
    assert isinstance(circle, Circle)
    assert (circle.radius_m, circle.speed_m_s) == (1.0, 1.0)
    ground.run(10.0)
    assert ground.vehicle.pilot.relative_m() == pytest.approx(40.0, abs=2.0)


def test_a_mission_counts_its_rounds() -> None:
    ground = Ground(ready_after_s=4.0)
    ground.ready()
    items = [
        ground.home_item(), ground.item(22, z=15), ground.item(18, ground.place(40, 0), 15, (2, 0, 10, 0)),
        ground.item(20),
    ]  # fmt: skip
    ground.start(items)
    assert ground.run(60.0, until=lambda: ground.vehicle.pilot.run.current == 2)
    ground.run(14.0)
    distances, turned, _ = ring(ground, (40.0, 0.0), 18.0)
    assert max(distances) < 13.0
    assert sum(turned) == pytest.approx(360.0, abs=60.0), "20 deg/s by CIRCLE_RATE"
    assert ground.run(30.0, until=lambda: "Reached command #2" in ground.texts())


# -- speed, height, jumps --------------------------------------------------------------------------------------------


def test_arducopter_changes_speed_where_it_counts_and_height_never() -> None:
    ground = flying("ardupilot")
    assert placed(ground, 192, 200, 0, 40, -1, 1) == ACCEPTED
    ground.run(8.0)
    assert math.hypot(ground.vehicle.body.vn, ground.vehicle.body.ve) == pytest.approx(10.0, abs=1.0)
    assert command(ground, 178, 1, 3, -1) == [ACCEPTED]
    ground.run(8.0)
    assert math.hypot(ground.vehicle.body.vn, ground.vehicle.body.ve) == pytest.approx(3.0, abs=0.5)
    assert command(ground, 178, 1, -3, -1) == [DENIED]
    assert command(ground, 186, 60, 3) == [UNSUPPORTED]
    assert command(ground, 176, 1, BRAKE) == [ACCEPTED]
    assert command(ground, 178, 1, 3, -1) == [FAILED]


def test_px4_changes_speed_and_height_above_the_sea() -> None:
    ground = flying("px4")
    assert command(ground, 186, HOME[2] + 55.0, 0) == [ACCEPTED]
    assert ground.run(30.0, until=lambda: ground.vehicle.pilot.relative_m() > 54.0)
    assert placed(ground, 192, 200, 0, HOME[2] + 55.0, -1, 1, frame=5) == ACCEPTED
    ground.run(6.0)
    assert command(ground, 178, 1, 2, -1) == [ACCEPTED]
    ground.run(8.0)
    assert math.hypot(ground.vehicle.body.vn, ground.vehicle.body.ve) == pytest.approx(2.0, abs=0.5)


@pytest.mark.parametrize(("autopilot", "by_command"), [("ardupilot", [ACCEPTED]), ("px4", [UNSUPPORTED])])
def test_a_jump_by_message_works_on_both_and_by_command_on_one(autopilot: str, by_command: list[int]) -> None:
    ground = Ground(autopilot=autopilot, ready_after_s=4.0)
    ground.run(5.0)
    first = [] if autopilot == "px4" else [ground.home_item()]
    items = [
        *first,
        ground.item(22, ground.place(0, 0), 15),
        *(ground.item(16, ground.place(n, 0), 15) for n in (20, 40)),
    ]
    assert ground.upload(items) == ACCEPTED
    assert command(ground, 224, 2) == by_command
    ground.send(mavlink.MAVLink_mission_set_current_message(7, 1, len(items) - 1))
    ground.run(1.5)
    assert ground.of("MISSION_CURRENT")[-1].seq == len(items) - 1


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_the_emergency_stop_stops_the_motors_in_the_air(autopilot: str) -> None:
    ground = flying(autopilot)
    assert command(ground, 400, 0) == [FAILED if autopilot == "ardupilot" else REJECTED]
    assert command(ground, 400, 0, 21196) == [ACCEPTED]
    ground.run(1.2)
    assert not ground.of("HEARTBEAT")[-1].base_mode & 0x80
    assert ground.vehicle.body.vu < -5.0
    assert ground.run(6.0, until=lambda: ground.vehicle.body.on_ground)
    assert ground.vehicle.body.touchdown_m_s > 15.0


@pytest.mark.parametrize(("autopilot", "answer"), [("ardupilot", ACCEPTED), ("px4", UNSUPPORTED)])
def test_pausing_a_mission_is_known_to_one_of_them(autopilot: str, answer: int) -> None:
    ground = Ground(autopilot=autopilot, ready_after_s=4.0)
    ground.run(5.0)
    first = [] if autopilot == "px4" else [ground.home_item()]
    items = [*first, ground.item(22, ground.place(0, 0), 15), ground.item(16, ground.place(200, 0), 15)]
    assert ground.upload(items) == ACCEPTED
    if autopilot == "px4":
        command(ground, 176, 1, 4, 4)
        command(ground, 400, 1)
    else:
        ground.start(items)
    assert ground.run(60.0, until=lambda: ground.vehicle.body.n > 40.0)
    assert command(ground, 193, 0) == [answer]
    ground.run(8.0)
    assert (math.hypot(ground.vehicle.body.vn, ground.vehicle.body.ve) < 0.5) == (autopilot == "ardupilot")


def velocity(ground: Ground, north_m_s: float) -> None:
    """One SET_POSITION_TARGET_LOCAL_NED with a velocity alone."""
    ground.send(
        mavlink.MAVLink_set_position_target_local_ned_message(
            0, 7, 1, 1, 0b111111000111, 0, 0, 0, north_m_s, 0, 0, 0, 0, 0, 0, 0
        )
    )


@pytest.mark.parametrize(("timeout_s", "flies_on"), [(3.0, False), (10.0, True)])
def test_arducopter_flies_a_velocity_until_it_is_too_old(timeout_s: float, flies_on: bool) -> None:
    ground = flying("ardupilot", parameters={"GUID_TIMEOUT": timeout_s})
    for _ in range(5):
        velocity(ground, 4.0)
        ground.run(1.0)
    assert ground.vehicle.body.vn == pytest.approx(4.0, abs=0.5)
    ground.run(7.0)
    assert (ground.vehicle.body.vn > 3.0) == flies_on


@pytest.mark.parametrize(("action", "becomes"), [(0, "RTL"), (4, "LAND"), (5, "HOLD")])
def test_px4_flies_a_velocity_in_offboard_as_long_as_it_comes(action: int, becomes: str) -> None:
    ground = flying("px4", parameters={"COM_OBL_RC_ACT": action})
    assert command(ground, 176, 1, 6) == [ACCEPTED, REJECTED], "without targets"
    for second in range(5):
        velocity(ground, 4.0)
        if second == 0:
            assert command(ground, 176, 1, 6) == [ACCEPTED, ACCEPTED]
        ground.run(0.8)
    assert ground.vehicle.body.vn == pytest.approx(4.0, abs=0.6)
    assert ground.vehicle.pilot.mode.value == "OFFBOARD"
    ground.run(2.0)
    assert ground.vehicle.pilot.mode.value == becomes
    assert "Failsafe activated\t" in ground.texts()


# -- regions of interest ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_the_gimbal_follows_a_place_until_it_is_let_go(autopilot: str) -> None:
    ground = flying(autopilot)
    height = 0.0 if autopilot == "ardupilot" else HOME[2]
    assert placed(ground, 195, 40, 0, height, frame=6 if autopilot == "ardupilot" else 5) == ACCEPTED
    goto = (100.0, 60.0)
    up = 40.0 if autopilot == "ardupilot" else HOME[2] + 40.0
    assert placed(ground, 192, *goto, up, -1, 1, frame=6 if autopilot == "ardupilot" else 5) == ACCEPTED
    for _ in range(4):
        ground.run(6.0)
        state, body = ground.vehicle.true_state(), ground.vehicle.body
        bearing = math.degrees(math.atan2(0.0 - body.e, 40.0 - body.n))
        pitch = -math.degrees(math.atan2(body.u, math.hypot(40.0 - body.n, body.e)))
        assert state.gimbal.pitch_deg == pytest.approx(pitch, abs=6.0)
        if math.hypot(40.0 - body.n, body.e) > 15.0:
            assert math.remainder(state.gimbal.yaw_deg - bearing, 360.0) == pytest.approx(0.0, abs=12.0)
    assert command(ground, 197) == [ACCEPTED]
    pitch = ground.vehicle.true_state().gimbal.pitch_deg
    assert placed(ground, 192, 0, 0, up, -1, 1, frame=6 if autopilot == "ardupilot" else 5) == ACCEPTED
    ground.run(8.0)
    assert ground.vehicle.true_state().gimbal.pitch_deg == pytest.approx(pitch, abs=0.5)


def test_arducopter_tells_of_each_photo_it_is_told_to_take() -> None:
    ground = flying("ardupilot")
    for number, params in ((203, (0, 0, 0, 0, 1)), (2000, (0, 0, 1))):
        assert command(ground, number, *params) == [ACCEPTED]
    assert [shot.img_idx for shot in ground.of("CAMERA_FEEDBACK")] == [1, 2]
    assert ground.of("CAMERA_FEEDBACK")[-1].alt_rel == pytest.approx(40.0, abs=2.0)


# -- ways back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "rally", "goal"),
    [
        ({}, (60.0, 30.0), (60.0, 30.0)),
        ({}, (150.0, 30.0), (0.0, 0.0)),
        ({"RALLY_INCL_HOME": 0}, (150.0, 30.0), (150.0, 30.0)),
        ({"RALLY_INCL_HOME": 0, "RALLY_LIMIT_KM": 0.05}, (150.0, 30.0), (0.0, 0.0)),
        ({"RALLY_INCL_HOME": 0, "RALLY_LIMIT_KM": 0.0}, (150.0, 30.0), (150.0, 30.0)),
    ],
)
def test_arducopter_returns_to_the_rally_point_that_counts(
    parameters: dict[str, float], rally: tuple[float, float], goal: tuple[float, float]
) -> None:
    ground = flying("ardupilot", parameters=parameters)
    assert placed(ground, 192, 60, 0, 40, -1, 1) == ACCEPTED
    ground.run(14.0)
    assert ground.upload([ground.item(5100, ground.place(*rally), 25, frame=3, kind=2)], 2) == ACCEPTED
    assert command(ground, 20) == [ACCEPTED]
    assert ground.run(120.0, until=lambda: ground.vehicle.pilot.landed_state() == 4)
    assert math.dist((ground.vehicle.body.n, ground.vehicle.body.e), goal) < 6.0


def test_arducopter_may_wait_above_its_home_instead_of_landing() -> None:
    ground = flying("ardupilot", parameters={"RTL_ALT_FINAL": 1200})
    assert command(ground, 20) == [ACCEPTED]
    ground.run(60.0)
    assert ground.vehicle.pilot.relative_m() == pytest.approx(12.0, abs=1.5)
    assert ground.vehicle.pilot.armed


@pytest.mark.parametrize(
    ("kind", "rally", "goal"),
    [
        (0, (60.0, 30.0), (60.0, 30.0)),
        (0, (150.0, 30.0), (0.0, 0.0)),
        (1, (150.0, 30.0), (150.0, 30.0)),
        (5, (150.0, 30.0), (150.0, 30.0)),
        (2, (60.0, 30.0), (0.0, 0.0)),
    ],
)
def test_px4_returns_as_its_type_of_return_says(
    kind: int, rally: tuple[float, float], goal: tuple[float, float]
) -> None:
    ground = flying("px4", parameters={"RTL_TYPE": kind})
    assert placed(ground, 192, 60, 0, HOME[2] + 40.0, -1, 1, frame=5) == ACCEPTED
    ground.run(20.0)
    assert ground.upload([ground.item(5100, ground.place(*rally), 25, frame=3, kind=2)], 2) == ACCEPTED
    assert command(ground, 20) == [ACCEPTED]
    assert ground.run(120.0, until=lambda: ground.vehicle.pilot.landed_state() == 4)
    assert math.dist((ground.vehicle.body.n, ground.vehicle.body.e), goal) < 6.0


@pytest.mark.parametrize(("delay_s", "lands"), [(0.0, True), (15.0, True), (-1.0, False)])
def test_px4_waits_above_its_goal_as_long_as_it_is_told(delay_s: float, lands: bool) -> None:
    ground = flying("px4", height_m=15.0, parameters={"RTL_LAND_DELAY": delay_s})
    assert command(ground, 20) == [ACCEPTED]
    before_s = ground.vehicle.pilot.time_s
    assert ground.run(90.0, until=lambda: not ground.vehicle.pilot.armed) == lands
    if lands:
        assert (ground.vehicle.pilot.time_s - before_s > 30.0) == (delay_s > 0.0)
    else:
        assert ground.vehicle.pilot.relative_m() == pytest.approx(10.0, abs=1.5), "RTL_DESCEND_ALT"
