"""The simulated PX4 shows each trap that was recorded of the real one."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.px4_parameters import HASH_CHECK
from tests.simulators.ground import HOME, Ground

ACCEPTED, REJECTED, DENIED, UNSUPPORTED = 0, 1, 2, 3
MISSION, FENCE, RALLY = 0, 1, 2
DENIED_TEXT = "Arming denied: Resolve system health failures firs"
NAN = math.nan
TAKEOFF, HOLD, AUTO, RTL, LAND = 2, 3, 4, 5, 6


@pytest.fixture
def ground() -> Ground:
    station = Ground(autopilot="px4", seed=1)
    station.run(5.0)
    station.heard.clear()
    return station


def command(ground: Ground, number: int, *params: float) -> list[int]:
    """A COMMAND_LONG; the results of all its acknowledgements."""
    before = len(ground.heard)
    seven = [*params, *[0.0] * (7 - len(params))]
    ground.send(mavlink.MAVLink_command_long_message(7, 1, number, 0, *seven))
    return [m.result for m in ground.heard[before:] if m.get_type() == "COMMAND_ACK" and m.command == number]


def reposition(ground: Ground, north_m: float, east_m: float, z: float, frame: int = 5, flags: float = 1) -> int:
    x, y = ground.place(north_m, east_m)
    ground.send(mavlink.MAVLink_command_int_message(7, 1, frame, 192, 0, 0, -1, flags, 0, NAN, x, y, z))
    return int(ground.of("COMMAND_ACK")[-1].result)


def mode(ground: Ground) -> tuple[int, int]:
    """Main and sub mode of a heartbeat that comes now."""
    ground.run(1.1)
    custom = ground.of("HEARTBEAT")[-1].custom_mode
    return custom >> 16 & 0xFF, custom >> 24


def take_off(ground: Ground, height_m: float) -> None:
    assert command(ground, 22, -1, 0, 0, NAN, NAN, NAN, HOME[2] + height_m) == [ACCEPTED]
    assert command(ground, 400, 1) == [ACCEPTED]
    assert ground.run(60.0, until=lambda: ground.vehicle.pilot.mode.value == "HOLD")


def mission(ground: Ground) -> list[Any]:
    return [
        ground.item(22, ground.place(0, 0), 20, (0, 0, 0, NAN)),
        ground.item(178, params=(1, 6, -1, 0), frame=2),
        ground.item(206, params=(15, 0, 1, 0), frame=2),
        ground.item(16, ground.place(50, 0), 20, (0, 0, 0, NAN)),
        ground.item(16, ground.place(50, 50), 20, (0, 0, 0, NAN)),
        ground.item(206, frame=2),
        ground.item(16, ground.place(0, 50), 20, (0, 0, 0, NAN)),
        ground.item(20, frame=2),
    ]


def fly(ground: Ground, items: list[Any]) -> None:
    assert ground.upload(items) == ACCEPTED
    assert command(ground, 176, 1, 4, AUTO) == [ACCEPTED, ACCEPTED]
    assert command(ground, 400, 1) == [ACCEPTED]


# -- link, modes, arming -----------------------------------------------------------------------------------------------


def test_it_streams_unasked_and_beats_late() -> None:
    ground = Ground(autopilot="px4")
    ground.beats = False
    ground.run(0.9)
    assert not ground.of("HEARTBEAT")
    assert {"ATTITUDE", "GLOBAL_POSITION_INT", "SYS_STATUS", "EXTENDED_SYS_STATE", "MISSION_CURRENT"} <= {
        m.get_type() for m in ground.heard
    }
    ground.run(2.0)
    beat = ground.of("HEARTBEAT")[0]
    assert (beat.autopilot, beat.base_mode, beat.custom_mode, beat.system_status) == (12, 0x1D, 0x03040000, 0)
    ground.heard.clear()
    ground.send(mavlink.MAVLink_request_data_stream_message(7, 1, 0, 0, 0))
    ground.run(2.0)
    assert len(ground.of("ATTITUDE")) > 10


@pytest.mark.parametrize(
    ("main", "sub", "answers", "becomes"),
    [
        (4, RTL, [0, 0], (4, RTL)),
        (4, 99, [0, REJECTED], (4, HOLD)),
        (77, 0, [0, 0], (4, HOLD)),
        (3, 0, [0, 0], (3, 0)),
    ],
)
def test_a_mode_is_answered_twice_and_first_always_accepted(
    ground: Ground, main: int, sub: int, answers: list[int], becomes: tuple[int, int]
) -> None:
    assert command(ground, 176, 1, main, sub) == answers
    assert not ground.of("HEARTBEAT"), "no beat but the one of the second"
    assert mode(ground) == becomes
    assert ("Unsupported auto mode\t" in ground.texts()) == (sub == 99)


def test_the_old_set_mode_is_answered_once(ground: Ground) -> None:
    ground.send(mavlink.MAVLink_set_mode_message(7, 1, 0x05040000))
    assert [(m.command, m.result) for m in ground.of("COMMAND_ACK")] == [(176, ACCEPTED)]


def test_a_refused_arming_has_its_reasons_in_events_alone(ground: Ground) -> None:
    assert command(ground, 176, 1, 4, RTL) == [0, 0]
    events = ground.raw(410)
    assert command(ground, 400, 1) == [REJECTED]
    assert ground.texts() == [DENIED_TEXT, "t\t"]
    assert [(m.chunk_seq, m.severity) for m in ground.of("STATUSTEXT")] == [(0, 2), (1, 2)]
    assert len({m.id for m in ground.of("STATUSTEXT")}) == 1
    told = {struct.unpack_from("<I", payload)[0]: payload[13:] for payload in ground.raw(410)[len(events) :]}
    assert {0x0105C2D9, 0x0102089D} <= told.keys(), "no mission; arming denied"
    assert told[0x01A893E0].hex().startswith("000000100080000000b03a7f80"), "as recorded: a mission is all it lacks"
    ground.run(1.1)
    assert ground.of("HEARTBEAT")[-1].system_status == 0, "UNINIT wherever it cannot be armed"


def test_texts_wait_for_the_ground_and_the_stale_ones_are_lost() -> None:
    ground = Ground(autopilot="px4", ready_after_s=30.0)
    ground.beats = False
    ground.run(3.0)
    assert command(ground, 400, 1) == [REJECTED]
    ground.run(5.5)
    assert command(ground, 400, 1) == [REJECTED]
    ground.run(2.0)
    assert ground.texts() == []
    ground.beats = True
    ground.run(1.1)
    assert ground.texts() == [DENIED_TEXT, "t\t"], "the first one was too old"


def test_it_disarms_by_itself_on_the_ground_and_not_in_the_air(ground: Ground) -> None:
    assert command(ground, 400, 1) == [ACCEPTED]
    assert ground.run(12.0, until=lambda: not ground.vehicle.pilot.armed)
    assert ground.texts()[-1] == "Disarmed by auto preflight disarming\t"
    take_off(ground, 10.0)
    assert command(ground, 400, 0) == [REJECTED]
    assert ground.texts()[-1] == "Disarming denied: not landed\t"


@pytest.mark.parametrize("number", [193, 207, 224, 31999])
def test_commands_it_does_not_know_are_unsupported(ground: Ground, number: int) -> None:
    assert command(ground, number, 1) == [UNSUPPORTED]


def test_orders_for_other_components_and_to_a_camera_are_not_answered(ground: Ground) -> None:
    for component in (0, 77):
        ground.send(mavlink.MAVLink_command_long_message(7, component, 512, 0, 148, 0, 0, 0, 0, 0, 0))
    assert [m.get_type() for m in ground.heard] == ["AUTOPILOT_VERSION", "COMMAND_ACK"], "the message before its answer"
    for number in (203, 206, 530, 531):
        assert command(ground, number, 1) == []
    assert command(ground, 512, 24) == [DENIED], "GPS_RAW_INT, though it streams"
    assert command(ground, 2000, 0, 0, 1) == [UNSUPPORTED]


# -- missions ----------------------------------------------------------------------------------------------------------


def test_item_0_is_the_first_item_and_frames_come_back_as_int(ground: Ground) -> None:
    items = mission(ground)
    items[3].frame = 3
    assert ground.upload(items) == ACCEPTED
    assert all(m.get_type() == "MISSION_REQUEST_INT" for m in ground.heard if m.get_type().startswith("MISSION_REQ"))
    back = ground.download()
    assert [(b.command, b.frame) for b in back[:4]] == [(22, 6), (178, 2), (206, 2), (16, 6)]


def test_it_asks_each_quarter_second_and_gives_up_without_an_answer(ground: Ground) -> None:
    assert ground.upload(mission(ground)) == ACCEPTED
    ground.heard.clear()
    ground.send(mavlink.MAVLink_mission_count_message(7, 1, 5000, MISSION))
    ground.run(6.0)
    assert len(ground.of("MISSION_REQUEST_INT")) == pytest.approx(19, abs=2)
    assert ground.of("MISSION_ACK") == []
    assert ground.texts() == ["Operation timeout\t"]
    assert len(ground.download()) == 8, "the old mission is whole"


def test_a_refused_upload_leaves_the_old_mission(ground: Ground) -> None:
    assert ground.upload(mission(ground)) == ACCEPTED
    other = [ground.item(22, ground.place(0, 0), 70), ground.item(31999)]
    assert ground.upload(other) == UNSUPPORTED
    assert ground.texts()[-1] == "IGN MISSION_ITEM: Invalid item\t"
    assert [b.z for b in ground.download()][:1] == [20.0]


def test_a_wrong_number_is_not_heard(ground: Ground) -> None:
    ground.send(mavlink.MAVLink_mission_count_message(7, 1, 3, MISSION))
    ground.heard.clear()
    wrong = ground.item(16, ground.place(10, 0), 20)
    wrong.seq = 2
    ground.send(wrong)
    assert ground.heard == []
    ground.run(0.3)
    assert [m.seq for m in ground.of("MISSION_REQUEST_INT")] == [0]


def test_latitude_95_and_no_height_are_taken(ground: Ground) -> None:
    items = mission(ground)
    items[3].x = 950_000_000
    items[4].z = NAN
    assert ground.upload(items) == ACCEPTED
    back = ground.download()
    assert back[3].x == 950_000_000
    assert math.isnan(back[4].z)


def test_no_mission_is_counted_as_65535(ground: Ground) -> None:
    ground.run(1.1)
    none = ground.of("MISSION_CURRENT")[-1]
    assert (none.total, none.mission_state) == (65535, 1)
    assert command(ground, 300) == [DENIED]
    assert ground.texts() == ["Mission start denied! No valid mission\t"]
    assert ground.upload(mission(ground)) == ACCEPTED
    ground.run(1.1)
    some = ground.of("MISSION_CURRENT")[-1]
    assert (some.total, some.mission_state) == (8, 2)


def test_reached_items_are_told_again_and_skipped(ground: Ground) -> None:
    fly(ground, mission(ground))
    assert ground.run(300.0, until=lambda: not ground.vehicle.pilot.armed)
    told = [m.seq for m in ground.of("MISSION_ITEM_REACHED")]
    assert list(dict.fromkeys(told)) == [2, 3, 5, 7], "only the last of what is done behind a waypoint"
    assert told.count(7) == 11
    assert told.count(3) > 5
    texts = [t for t in ground.texts() if t != ")\t"]
    assert texts[:4] == [
        "Armed by external command\t", "Executing Mission\t", "Climb to 20.0 meters above home\t", "Takeoff detected\t",
    ]  # fmt: skip
    assert texts[-3:] == ["RTL: land at destination\t", "Landing detected\t", "Disarmed by landing\t"]
    assert "Returning to launch\t" in texts
    ground.run(1.1)
    last = ground.of("MISSION_CURRENT")[-1]
    assert (last.seq, last.total, last.mission_state) == (7, 8, 5)
    assert math.hypot(ground.vehicle.body.n, ground.vehicle.body.e) < 6.0


def test_a_resume_with_distance_triggering_goes_back(ground: Ground) -> None:
    fly(ground, mission(ground))
    run = ground.vehicle.pilot.run
    assert ground.run(100.0, until=lambda: run.current == 4)
    ground.run(2.0)
    assert command(ground, 176, 1, 4, HOLD) == [ACCEPTED, ACCEPTED]
    ground.run(4.0)
    paused = ground.of("MISSION_CURRENT")[-1]
    assert (paused.seq, paused.mission_state) == (4, 4)
    assert command(ground, 176, 1, 4, AUTO) == [ACCEPTED, ACCEPTED]
    ground.run(2.0)
    assert run.current == 0
    assert ground.run(300.0, until=lambda: run.current == 6)
    assert command(ground, 176, 1, 4, HOLD) == [ACCEPTED, ACCEPTED]
    ground.run(4.0)
    assert command(ground, 176, 1, 4, AUTO) == [ACCEPTED, ACCEPTED]
    ground.run(1.0)
    assert run.current == 6, "with the trigger off it goes on where it was"


def test_clearing_in_flight_is_accepted_and_it_holds(ground: Ground) -> None:
    fly(ground, mission(ground))
    ground.run(15.0)
    ground.send(mavlink.MAVLink_mission_clear_all_message(7, 1, 255))
    assert ground.of("MISSION_ACK")[-1].type == ACCEPTED
    assert ground.texts()[-1] == "No valid mission available, loitering\t"
    assert mode(ground) == (4, HOLD)


# -- goto, fence, rally ------------------------------------------------------------------------------------------------


def test_a_goto_above_home_is_accepted_and_flies_into_the_ground(ground: Ground) -> None:
    take_off(ground, 20.0)
    assert reposition(ground, 0, 0, 20.0, frame=6, flags=0) == UNSUPPORTED
    assert reposition(ground, 10, 0, HOME[2] + 25.0) == ACCEPTED
    ground.run(15.0)
    assert ground.vehicle.pilot.relative_m() == pytest.approx(25.0, abs=2.0)
    assert reposition(ground, 10, 0, NAN) == ACCEPTED
    ground.run(5.0)
    assert ground.vehicle.pilot.relative_m() == pytest.approx(25.0, abs=2.0)
    assert reposition(ground, 10, 0, 20.0, frame=6) == ACCEPTED
    assert ground.run(60.0, until=lambda: not ground.vehicle.pilot.armed)
    assert ground.texts()[-2:] == ["Landing detected\t", "Disarmed by landing\t"]
    assert ground.vehicle.body.on_ground


def circle(ground: Ground, radius_m: float) -> list[Any]:
    return [ground.item(5003, ground.place(0, 0), 0, (radius_m, 0, 0, 0), frame=0, kind=FENCE)]


def test_a_goto_beyond_the_fence_is_accepted_and_only_a_text_says_no(ground: Ground) -> None:
    assert ground.upload(circle(ground, 60.0), FENCE) == ACCEPTED
    assert ground.download(FENCE)[0].frame == 5
    take_off(ground, 15.0)
    ground.heard.clear()
    assert reposition(ground, 100, 0, HOME[2] + 15.0) == ACCEPTED
    assert [m.get_type() for m in ground.heard if m.get_type() in ("COMMAND_ACK", "STATUSTEXT")] == [
        "COMMAND_ACK", "STATUSTEXT",
    ]  # fmt: skip
    assert ground.texts() == ["Reposition is outside geofence\t"]
    ground.run(10.0)
    assert math.hypot(ground.vehicle.body.n, ground.vehicle.body.e) < 4.0


def test_a_bad_fence_is_taken_and_a_mission_through_it_cannot_be_armed(ground: Ground) -> None:
    corners = [(-100, -100), (30, -100), (30, 100), (-100, 100)]
    fence = [ground.item(5001, ground.place(*c), params=(4, 0, 0, 0), frame=0, kind=FENCE) for c in corners]
    fence[2].param1 = 3
    assert ground.upload(fence, FENCE) == ACCEPTED
    assert ground.upload([ground.item(5001, params=(2, 0, 0, 0), kind=FENCE) for _ in range(2)], FENCE) == 1
    assert ground.upload(mission(ground)) == ACCEPTED
    assert ground.texts() == []
    ground.run(1.0)
    assert ground.texts() == ["Geofence violation for waypoint 4\t"]
    assert command(ground, 176, 1, 4, AUTO) == [ACCEPTED, ACCEPTED]
    assert command(ground, 400, 1) == [REJECTED]


def test_a_breach_holds_five_seconds_and_then_returns() -> None:
    ground = Ground(autopilot="px4", seed=1, parameters={"GF_ACTION": 3})
    ground.run(5.0)
    assert ground.upload(circle(ground, 40.0), FENCE) == ACCEPTED
    take_off(ground, 15.0)
    for _ in range(200):
        ground.send(
            mavlink.MAVLink_set_position_target_local_ned_message(0, 7, 1, 1, 3527, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0)
        )
        if ground.vehicle.pilot.mode.value == "HOLD":
            command(ground, 176, 1, 6, 0)
        ground.run(0.1)
        if "Geofence: approaching or outside geofence" in ground.texts():
            break
    assert ground.texts()[-1] == "Failsafe activated: entering Hold for 5 seconds\t"
    assert mode(ground) == (4, HOLD)
    assert ground.of("HEARTBEAT")[-1].system_status == 5
    assert ground.of("FENCE_STATUS") == []
    ground.run(4.5)
    assert mode(ground) == (4, RTL)
    assert command(ground, 176, 1, 4, HOLD) == [ACCEPTED, ACCEPTED]
    assert mode(ground) == (4, HOLD)
    assert ground.of("HEARTBEAT")[-1].system_status == 4


def test_rally_points_in_frame_6_are_taken_and_never_flown_to(ground: Ground) -> None:
    points = [ground.item(5100, ground.place(30, 20), 15, frame=3, kind=RALLY)]
    assert ground.upload(points, RALLY) == ACCEPTED
    back = ground.download(RALLY)
    assert back[0].frame == 6, "sent as it reads back, it is the trap"
    take_off(ground, 20.0)
    assert reposition(ground, 50, 50, HOME[2] + 20.0) == ACCEPTED
    ground.run(25.0)
    points[0].frame = back[0].frame
    assert ground.upload(points, RALLY) == ACCEPTED
    ground.run(3.0)
    assert "RTL: unsupported MAV_FRAME\t" in ground.texts()
    assert command(ground, 176, 1, 4, RTL) == [ACCEPTED, ACCEPTED]
    ground.run(120.0)
    assert "RTL: start return at -2147483648 m (0 m above dest" in ground.texts()
    body = ground.vehicle.body
    assert math.dist((body.n, body.e), (50, 50)) < 5.0
    assert ground.vehicle.pilot.relative_m() > 15.0
    points[0].frame = 3
    assert ground.upload(points, RALLY) == ACCEPTED
    assert command(ground, 176, 1, 4, HOLD) == [ACCEPTED, ACCEPTED]
    assert command(ground, 176, 1, 4, RTL) == [ACCEPTED, ACCEPTED]
    assert ground.run(120.0, until=lambda: not ground.vehicle.pilot.armed)
    assert math.dist((body.n, body.e), (30, 20)) < 5.0


# -- failsafes ---------------------------------------------------------------------------------------------------------


def test_a_lost_ground_is_held_for_and_then_returned_from() -> None:
    ground = Ground(autopilot="px4", seed=1, sysid=250, parameters={"NAV_DLL_ACT": 2, "COM_DL_LOSS_T": 5})
    ground.run(5.0)
    take_off(ground, 15.0)
    ground.beats = False
    ground.run(5.5)
    assert ground.vehicle.pilot.system_status() == 4
    ground.run(2.5)
    assert (ground.vehicle.pilot.mode.value, ground.vehicle.pilot.system_status()) == ("HOLD", 5)
    assert command(ground, 22, -1, 0, 0, NAN, NAN, NAN, NAN) == [ACCEPTED], "obeyed while it waits"
    ground = Ground(autopilot="px4", seed=1, parameters={"NAV_DLL_ACT": 2, "COM_DL_LOSS_T": 5})
    ground.run(5.0)
    take_off(ground, 15.0)
    ground.beats = False
    ground.heard.clear()
    ground.run(13.0)
    assert ground.vehicle.pilot.mode.value == "RTL"
    assert ground.texts() == []
    ground.beats = True
    assert mode(ground) == (4, RTL)
    assert "GCS connection regained\t" in ground.texts()
    assert ground.of("HEARTBEAT")[-1].system_status == 5, "stays critical until a mode command"


def test_the_battery_says_low_then_returns_then_lands() -> None:
    ground = Ground(autopilot="px4", seed=1)
    ground.run(5.0)
    take_off(ground, 10.0)
    assert reposition(ground, 80, 0, HOME[2] + 10.0) == ACCEPTED
    ground.run(20.0)

    def set_battery(drain_s: float, least_percent: float) -> None:
        for name, value in ((b"SIM_BAT_DRAIN", drain_s), (b"SIM_BAT_MIN_PCT", least_percent)):
            ground.send(mavlink.MAVLink_param_set_message(7, 1, name, value, 9))

    set_battery(20.0, 12.0)
    ground.run(20.0)
    assert ground.texts()[-1] == "Low battery\t"
    assert ground.vehicle.pilot.system_status() == 4
    set_battery(20.0, 5.5)
    assert ground.run(5.0, until=lambda: ground.vehicle.pilot.system_status() == 5)
    assert ground.texts()[-2:] == ["Critical battery\t", "Failsafe activated: entering Hold for 5 seconds\t"]
    ground.run(5.5)
    assert ground.vehicle.pilot.mode.value == "RTL"
    set_battery(20.0, 2.0)
    assert ground.run(3.0, until=lambda: ground.vehicle.pilot.mode.value == "LAND")
    assert [m.severity for m in ground.of("STATUSTEXT") if m.text == "Emergency battery level\t"] == [0]


def test_without_satellites_it_lands_and_with_them_it_holds_by_itself(ground: Ground) -> None:
    take_off(ground, 25.0)

    def satellites(count: int) -> None:
        (value,) = struct.unpack("<f", struct.pack("<i", count))
        ground.send(mavlink.MAVLink_param_set_message(7, 1, b"SIM_GPS_USED", value, 6))

    satellites(0)
    ground.run(4.5)
    assert ground.vehicle.pilot.mode.value == "HOLD"
    ground.run(2.0)
    assert (ground.vehicle.pilot.mode.value, ground.vehicle.pilot.system_status()) == ("LAND", 5)
    assert command(ground, 176, 1, 4, HOLD) == [ACCEPTED, REJECTED]
    assert ground.texts()[-1] == "Switching to Hold is currently not available\t"
    assert reposition(ground, 10, 0, HOME[2] + 20.0) == REJECTED
    satellites(10)
    ground.run(3.0)
    assert (ground.vehicle.pilot.mode.value, ground.vehicle.pilot.system_status()) == ("HOLD", 4)


def test_with_a_dead_motor_it_falls_and_believes_to_fly(ground: Ground) -> None:
    take_off(ground, 20.0)
    assert command(ground, 420, 4, 1) == [], "another unit is not answered at all"
    assert command(ground, 420, 101, 1, 1) == [ACCEPTED]
    assert (ground.of("COMMAND_ACK")[-1].target_system, ground.of("COMMAND_ACK")[-1].target_component) == (0, 0)
    ground.run(40.0)
    assert ground.vehicle.body.on_ground
    assert ground.vehicle.pilot.armed
    assert ground.of("EXTENDED_SYS_STATE")[-1].landed_state == 2
    assert ground.texts()[-1] == "Preflight Fail: Attitude failure (roll)"
    assert command(ground, 185, 1) == [ACCEPTED]
    ground.run(1.1)
    beat = ground.of("HEARTBEAT")[-1]
    assert (beat.base_mode, beat.custom_mode, beat.system_status) == (129, 0x000A0000, 8)


# -- parameters, requests, signing, gimbal -----------------------------------------------------------------------------


def test_integers_travel_as_bytes_and_the_checksum_comes_first(ground: Ground) -> None:
    ground.send(mavlink.MAVLink_param_request_list_message(7, 1))
    values = ground.of("PARAM_VALUE")
    assert (values[0].param_id, values[0].param_index) == (HASH_CHECK, 65535)
    assert [v.param_index for v in values[1:]] == list(range(886))
    action = next(v for v in values if v.param_id == "COM_LOW_BAT_ACT")
    assert action.param_type == 6
    assert struct.unpack("<i", struct.pack("<f", action.param_value)) == (3,)
    before = ground.vehicle.parameters.checksum()
    ground.heard.clear()
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"RTL_RETURN_ALT", NAN, 9))
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"COM_LOW_BAT_ACT", 2.0, 9))
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"NO_SUCH_PARAM", 2.0, 9))
    (stored,) = ground.of("PARAM_VALUE")
    assert math.isnan(stored.param_value)
    assert stored.param_index == next(v.param_index for v in values if v.param_id == "RTL_RETURN_ALT")
    assert ground.vehicle.parameters.checksum() != before


def test_signing_is_ignored(ground: Ground) -> None:
    ground.send(mavlink.MAVLink_setup_signing_message(7, 1, [0x42] * 32, 1))
    ground.run(1.0)
    assert ground.heard
    assert not any(m.get_signed() for m in ground.heard)


def test_the_gimbal_obeys_only_who_took_it_and_its_limits_are_degrees(ground: Ground) -> None:
    assert command(ground, 1000, -30, 0, NAN, NAN) == [DENIED]
    assert command(ground, 1001, 255, 190, -1, -1) == [ACCEPTED]
    assert command(ground, 1000, -30, 0, NAN, NAN, 0, 0, 3) == [ACCEPTED], "whatever its number"
    ground.run(2.0)
    assert ground.vehicle.true_state().gimbal.pitch_deg == pytest.approx(-30.0)
    assert command(ground, 1001, 42, 1, -1, -1) == [ACCEPTED]
    assert command(ground, 1000, -60, 0, NAN, NAN) == [DENIED]
    assert command(ground, 512, 280) == [ACCEPTED]
    assert ground.of("GIMBAL_MANAGER_INFORMATION")[-1].pitch_min == -90.0


def test_its_orders_to_its_own_parts_are_heard_and_come_again(ground: Ground) -> None:
    """None is for the ground: they are from the vehicle to the vehicle."""
    items = mission(ground)
    fly(ground, items)
    assert ground.run(60.0, until=lambda: ground.vehicle.pilot.run.current == 4)
    ground.run(2.5)
    orders = ground.of("COMMAND_LONG")
    assert {(m.get_srcSystem(), m.target_system, m.target_component) for m in orders} == {(7, 7, 0)}
    assert [(m.command, m.confirmation) for m in orders] == [(178, 0), (206, 0), (178, 1), (178, 2), (178, 3)]
    assert (orders[0].param1, orders[0].param2, orders[1].param1) == (1.0, 6.0, 15.0)
    ground.heard.clear()
    assert command(ground, 176, 1, 4, RTL) == [ACCEPTED, ACCEPTED]
    ground.run(3.0)
    orders = ground.of("COMMAND_LONG")
    assert [(m.command, m.confirmation) for m in orders[:4]] == [(2003, 0), (1001, 0), (1000, 0), (1001, 0)]
    assert sorted((m.command, m.confirmation) for m in orders[4:]) == [(n, c) for n in (1001, 2003) for c in (1, 2, 3)]
    ground.heard.clear()
    assert command(ground, 185, 1) == [ACCEPTED]
    assert {(m.command, m.target_component) for m in ground.of("COMMAND_LONG")} == {(208, 161)}
