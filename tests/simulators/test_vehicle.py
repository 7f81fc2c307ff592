from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot_guidance import Point
from simulators.battery import Pack
from simulators.clock import SimClock
from simulators.dynamics import WindConditions
from simulators.errors import LinkUnusable
from simulators.vehicle import SimulatedVehicle
from tests.simulators.ground import HOME, Ground

ACCEPTED, DENIED, UNSUPPORTED, FAILED = 0, 2, 3, 4


@pytest.fixture
def ground() -> Ground:
    station = Ground(ready_after_s=5.0, seed=1)
    station.ready()
    return station


def survey(ground: Ground, length_m: float = 200.0) -> list[Any]:
    corners = [(0, 0), (length_m, 0), (length_m, 40), (0, 40)]
    return [
        ground.home_item(),
        ground.item(22, z=40),
        ground.item(178, params=(1, 8, -1, 0)),
        ground.item(206, params=(20, 0, 1, 0)),
        *(ground.item(16, ground.place(*corner), 40) for corner in corners),
        ground.item(206),
        ground.item(20),
    ]


# -- link, boot, arming ----------------------------------------------------------------------------------------------


def test_an_unasked_link_carries_heartbeats_and_texts_only() -> None:
    ground = Ground(ready_after_s=41.0)
    ground.beats = False
    ground.run(45.0)
    kinds = {m.get_type() for m in ground.heard}
    assert kinds == {"HEARTBEAT", "STATUSTEXT", "GPS_GLOBAL_ORIGIN", "HOME_POSITION"}
    beats = ground.of("HEARTBEAT")
    assert 45 <= len(beats) <= 47
    assert [b.system_status for b in beats[:3]] == [1, 1, 3]
    assert all(b.autopilot == 3 and b.type == 2 for b in beats)


def test_modes_set_while_booting_are_forgotten() -> None:
    ground = Ground(ready_after_s=41.0)
    ground.run(0.5)
    assert ground.command(176, 1, 4) == ACCEPTED
    assert ground.of("HEARTBEAT")[-1].custom_mode == 4
    ground.run(1.5)
    assert ground.of("HEARTBEAT")[-1].custom_mode == 0
    assert "ArduPilot Ready" in ground.texts()


@pytest.mark.parametrize(
    ("after_s", "mode", "reasons"),
    [
        (0.5, 0, {"Arm: Gyros not healthy", "Arm: EKF attitude is bad"}),
        (6.0, 0, {"Arm: Accels inconsistent"}),
        (12.0, 4, {"Arm: AHRS: waiting for home"}),
        (30.0, 4, {"Arm: Need Position Estimate"}),
        (42.0, 6, {"Arm: RTL mode not armable"}),
        (42.0, 3, {"Arm: Mode requires mission"}),
    ],
)
def test_arming_is_refused_with_its_reasons(after_s: float, mode: int, reasons: set[str]) -> None:
    ground = Ground(ready_after_s=41.0)
    ground.run(after_s)
    assert ground.command(176, 1, mode) == ACCEPTED
    ground.heard.clear()
    assert ground.command(400, 1) == FAILED
    texts = ground.of("STATUSTEXT")
    assert reasons <= {t.text for t in texts}
    assert all(t.severity == 2 for t in texts)
    assert not ground.vehicle.pilot.armed


def test_arming_succeeds_when_ready_and_ends_by_itself(ground: Ground) -> None:
    assert ground.command(176, 1, 4) == ACCEPTED
    assert ground.command(400, 1) == ACCEPTED
    assert "Arming motors" in ground.texts()
    ground.run(1.5)
    assert ground.of("HEARTBEAT")[-1].base_mode == 0xD9
    ground.run(9.0)
    assert ground.texts()[-1] == "Disarming motors"
    assert ground.of("HEARTBEAT")[-1].base_mode == 0x59


def test_auto_is_armable_only_by_its_option(ground: Ground) -> None:
    assert ground.upload(survey(ground)) == ACCEPTED
    assert ground.command(176, 1, 3) == ACCEPTED
    assert ground.command(400, 1) == FAILED
    assert ground.texts()[-1] == "Arm: AUTO mode not armable"
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"AUTO_OPTIONS", 3, 9))
    assert ground.command(400, 1) == ACCEPTED


def test_orders_for_others_are_silent_and_unknown_ones_unsupported(ground: Ground) -> None:
    ground.heard.clear()
    ground.send(mavlink.MAVLink_command_long_message(99, 1, 512, 0, 148, 0, 0, 0, 0, 0, 0))
    assert ground.heard == []
    ground.send(mavlink.MAVLink_command_long_message(7, 77, 512, 0, 148, 0, 0, 0, 0, 0, 0))
    assert [m.get_type() for m in ground.heard] == ["COMMAND_ACK", "AUTOPILOT_VERSION"]
    assert ground.heard[1].flight_sw_version == 0x04060000
    assert ground.command(31999) == UNSUPPORTED
    assert ground.command(176, 1, 99) == FAILED
    assert ground.texts() == ["No such mode 99"]


def test_legacy_set_mode_changes_the_mode_without_an_answer(ground: Ground) -> None:
    ground.heard.clear()
    ground.send(mavlink.MAVLink_set_mode_message(7, 1, 5))
    assert [m.get_type() for m in ground.heard] == ["HEARTBEAT"]
    assert ground.heard[0].custom_mode == 5


def test_take_off_needs_guided_and_armed(ground: Ground) -> None:
    ground.heard.clear()
    assert ground.command(22, 0, 0, 0, 0, 0, 0, 10) == FAILED
    assert ground.command(176, 1, 4) == ACCEPTED
    assert ground.command(22, 0, 0, 0, 0, 0, 0, 10) == FAILED
    assert ground.texts() == []
    ground.take_off(10.0)
    assert ground.command(400, 0) == FAILED
    assert ground.command(22, 0, 0, 0, 0, 0, 0, 20) == FAILED
    assert ground.command(400, 0, 21196) == ACCEPTED


def test_noise_and_orders_without_numbers_do_no_harm(ground: Ground) -> None:
    source = random.Random(3)
    for _ in range(300):
        ground.vehicle.receive(source.randbytes(source.randint(1, 300)))
    for value in (math.nan, math.inf, -math.inf, 1e38):
        for command in sorted(ground.vehicle.commands._table):
            assert ground.command(command, *[value] * 7) in (0, 2, 3, 4, 5)
        ground.run(0.2)
    ground.vehicle.pilot.disarm()
    ground.run(2.0)
    ground.take_off(10.0)
    for value in (math.nan, math.inf):
        for command in sorted(set(ground.vehicle.commands._table) - {20, 21, 176, 241, 245, 246, 400}):
            ground.command(command, *[value] * 7)
        ground.run(1.0)
    state = ground.vehicle.true_state()
    assert math.isfinite(state.lon + state.lat + state.amsl_m + state.gimbal.pitch_deg + state.gimbal.yaw_deg)
    assert ground.vehicle.pilot.relative_m() > 5.0


# -- streams and parameters --------------------------------------------------------------------------------------------


def test_streams_come_as_asked_and_agree_with_what_is_believed(ground: Ground) -> None:
    for number, interval_us in ((33, 200_000), (30, 100_000), (1, 1e6), (147, 1e6), (245, 5e5), (2, 1e6), (285, 5e5)):
        assert ground.command(511, number, interval_us) == ACCEPTED
    ground.heard.clear()
    ground.run(10.0)
    assert len(ground.of("GLOBAL_POSITION_INT")) == pytest.approx(50, abs=1)
    assert len(ground.of("ATTITUDE")) == pytest.approx(84, abs=17)
    assert len(ground.of("BATTERY_STATUS")) == pytest.approx(10, abs=1)
    ground.run(0.04)
    said, believed = ground.of("GLOBAL_POSITION_INT")[-1], ground.vehicle.measured_state()
    assert (said.lon / 1e7, said.lat / 1e7) == pytest.approx((believed.lon, believed.lat), abs=3e-7)
    assert said.alt / 1e3 == pytest.approx(believed.amsl_m, abs=0.05)
    assert ground.of("SYSTEM_TIME")[-1].time_unix_usec / 1e6 == pytest.approx(ground.vehicle.utc_s(), abs=1.1)
    assert ground.of("EXTENDED_SYS_STATE")[-1].landed_state == 1
    ground.heard.clear()
    assert ground.command(511, 33, -1) == ACCEPTED
    ground.run(2.0)
    assert ground.of("GLOBAL_POSITION_INT") == []
    assert ground.command(511, 158, 1e6) == DENIED
    assert ground.texts()[-1] == "No ap_message for mavlink id (158)"


def test_the_old_stream_request_has_no_answer(ground: Ground) -> None:
    ground.heard.clear()
    ground.send(mavlink.MAVLink_request_data_stream_message(7, 1, 0, 2, 1))
    assert ground.heard == []
    ground.run(5.0)
    for kind in (
        "SYS_STATUS",
        "GPS_RAW_INT",
        "ATTITUDE",
        "VFR_HUD",
        "MISSION_CURRENT",
        "GIMBAL_DEVICE_ATTITUDE_STATUS",
    ):
        assert len(ground.of(kind)) == pytest.approx(10, abs=1), kind


def test_parameters_are_listed_read_and_set(ground: Ground) -> None:
    ground.heard.clear()
    ground.send(mavlink.MAVLink_param_request_list_message(7, 1))
    values = ground.of("PARAM_VALUE")
    assert [v.param_index for v in values] == list(range(values[0].param_count))
    assert len({v.param_id for v in values}) == len(values)
    ground.heard.clear()
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"RTL_ALT", 2500, 9))
    (value,) = ground.of("PARAM_VALUE")
    assert (value.param_id, value.param_value, value.param_type, value.param_index) == ("RTL_ALT", 2500, 6, 65535)
    ground.heard.clear()
    ground.send(mavlink.MAVLink_param_request_read_message(7, 1, b"NO_SUCH_PARAM", -1))
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"RTL_ALT", math.nan, 9))
    assert ground.heard == []


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_timesync_is_answered_with_its_own_time(autopilot: str) -> None:
    ground = Ground(autopilot=autopilot)
    ground.run(3.0)
    ground.heard.clear()
    ground.send(mavlink.MAVLink_timesync_message(0, 123_456_789_012))
    (answer,) = ground.of("TIMESYNC")
    assert (answer.tc1 / 1e9, answer.ts1) == (pytest.approx(3.0, abs=0.05), 123_456_789_012)
    ground.send(mavlink.MAVLink_timesync_message(answer.tc1, 1))
    assert len(ground.of("TIMESYNC")) == 1, "an answer is not answered"


# -- mission protocol --------------------------------------------------------------------------------------------------


def test_item_0_is_the_home_whatever_was_sent(ground: Ground) -> None:
    items = survey(ground)
    items[0] = ground.item(22, ground.place(50, 50), 30)
    assert ground.upload(items) == ACCEPTED
    assert [m.get_type() for m in ground.heard if m.get_type() in ("MISSION_ACK", "STATUSTEXT")][-2:] == [
        "MISSION_ACK",
        "STATUSTEXT",
    ]
    assert ground.texts()[-1] == "Flight plan received"
    back = ground.download()
    lon, lat, amsl = ground.vehicle.pilot.home()
    assert (back[0].command, back[0].frame) == (16, 0)
    assert (back[0].x, back[0].y) == (round(lat * 1e7), round(lon * 1e7))
    assert back[0].z == pytest.approx(amsl, abs=0.01)
    assert abs(amsl - HOME[2]) < 8.0


def test_a_plan_without_a_home_slot_loses_its_take_off_and_will_not_start(ground: Ground) -> None:
    assert ground.upload(survey(ground)[1:]) == ACCEPTED
    assert [b.command for b in ground.download()][:2] == [16, 178]
    assert ground.command(176, 1, 4) == ACCEPTED
    assert ground.command(400, 1) == ACCEPTED
    assert ground.command(300) == FAILED
    assert "Auto: Missing Takeoff Cmd" in ground.texts()


def test_frames_change_on_the_way_back_and_places_do_not(ground: Ground) -> None:
    items = survey(ground)
    items[4] = ground.item(16, ground.place(10, 20), 33.33, params=(2, 5, 6, math.nan))
    assert ground.upload(items) == ACCEPTED
    back = ground.download()
    assert [b.frame for b in back] == [0, 3, 0, 0, 3, 3, 3, 3, 0, 0]
    assert [(b.x, b.y) for b in back[4:8]] == [(i.x, i.y) for i in items[4:8]]
    assert (back[4].param1, back[4].param2, back[4].param3, back[4].param4) == (2, 0, 0, 0)
    assert back[4].z == pytest.approx(33.33, abs=0.011)
    assert (back[2].param1, back[2].param2, back[2].param3) == (1, 8, -1)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"command": 31999}, 3),
        ({"frame": 99}, 2),
        ({"frame": 8}, 2),
        ({"x": 950_000_000}, 10),
        ({"z": math.nan}, 12),
        ({"param1": math.nan}, 6),
    ],
)
def test_a_refused_item_leaves_a_mixture(ground: Ground, change: dict[str, Any], result: int) -> None:
    assert ground.upload(survey(ground)) == ACCEPTED
    other = [ground.home_item(), ground.item(22, z=70), *(ground.item(16, ground.place(9, 9), 70) for _ in range(6))]
    for name, value in change.items():
        setattr(other[4], name, value)
    assert ground.upload(other) == result
    assert [(b.command, b.z) for b in ground.download()] == [
        (16, pytest.approx(ground.vehicle.pilot.home()[2], abs=0.01)),
        (22, 70.0),
        (16, 70.0),
        (16, 70.0),
        (16, 40.0),
        (16, 40.0),
        (16, 40.0),
        (16, 40.0),
    ]


def test_an_unanswered_item_is_asked_again_and_then_given_up(ground: Ground) -> None:
    ground.heard.clear()
    ground.send(mavlink.MAVLink_mission_count_message(7, 1, 3, 0))
    ground.run(7.9)
    assert len(ground.of("MISSION_REQUEST")) == pytest.approx(8, abs=1)
    ground.send(mavlink.MAVLink_mission_request_list_message(7, 1, 0))
    assert ground.of("MISSION_ACK")[-1].type == 14
    ground.run(0.3)
    assert ground.of("MISSION_ACK")[-1].type == 15
    assert ground.texts()[-1] == "Mission upload timeout"


def test_a_wrong_number_keeps_the_transfer_open(ground: Ground) -> None:
    ground.send(mavlink.MAVLink_mission_count_message(7, 1, 3, 0))
    wrong = ground.item(22, z=30)
    wrong.seq = 2
    ground.send(wrong)
    assert ground.of("MISSION_ACK")[-1].type == 13
    assert ground.upload(survey(ground)) == ACCEPTED


def test_counts_at_the_edge(ground: Ground) -> None:
    ground.send(mavlink.MAVLink_mission_count_message(7, 1, 5000, 0))
    assert (ground.of("MISSION_ACK")[-1].type, ground.texts()[-1]) == (4, "Only 650 items are supported")
    ground.send(mavlink.MAVLink_mission_count_message(7, 1, 3, 7))
    assert ground.of("MISSION_ACK")[-1].type == 3
    assert ground.upload(survey(ground)) == ACCEPTED
    ground.send(mavlink.MAVLink_mission_count_message(7, 1, 0, 0))
    assert ground.of("MISSION_ACK")[-1].type == ACCEPTED
    assert ground.download() == []


def test_fence_and_rally_are_stored_and_a_bad_fence_leaves_the_old_one(ground: Ground) -> None:
    corners = [(-100, -100), (300, -100), (300, 200), (-100, 200)]
    fence = [ground.item(5001, ground.place(*c), params=(4, 0, 0, 0), frame=0, kind=1) for c in corners]
    assert ground.upload(fence, 1) == ACCEPTED
    assert ground.texts()[-1] == "Fence Indexed OK"
    fence[2].param1 = 3
    assert ground.upload(fence, 1) == 1
    assert ground.texts()[-2:] == ["Unexpected vertex count want=4 got=3\n", "Fence validation failed"]
    assert [b.param1 for b in ground.download(1)] == [4, 4, 4, 4]
    rally = [ground.item(5100, ground.place(30, 20), 15, frame=3, kind=2)]
    assert ground.upload(rally, 2) == ACCEPTED
    assert [(b.frame, b.z) for b in ground.download(2)] == [(3, 15.0)]


# -- flight ------------------------------------------------------------------------------------------------------------


def test_a_survey_is_flown_to_its_end_on_the_line_in_wind() -> None:
    wind = WindConditions(speed_m_s=5.0, from_deg=290.0)
    ground = Ground(ready_after_s=5.0, seed=2, wind=wind)
    ground.ready()
    ground.start(survey(ground))
    pilot, body = ground.vehicle.pilot, ground.vehicle.body
    most_believed, most_true, fastest, lean = 0.0, 0.0, 0.0, 0.0
    states: list[int] = []

    def look() -> bool:
        nonlocal most_believed, most_true, fastest, lean
        leg = pilot.leg()
        if leg is not None and leg.length_m > 100.0 and leg.s_m > 3.0:
            most_believed = max(most_believed, abs(leg.cross_track_m(pilot.controls.motion.point())))
            most_true = max(most_true, abs(leg.cross_track_m(Point(body.n, body.e, body.u))))
        fastest = max(fastest, math.hypot(body.vn, body.ve))
        lean = max(lean, math.hypot(body.roll, body.pitch))
        if not states or states[-1] != pilot.landed_state():
            states.append(pilot.landed_state())
        return not pilot.armed

    assert ground.run(400.0, until=look)
    assert most_believed < 1.5
    assert most_true < 5.0  # with the error of its own position
    assert 7.5 < fastest < 8.8
    assert math.degrees(lean) < 31.0
    assert states == [1, 3, 2, 4, 1]
    assert [m.seq for m in ground.of("MISSION_ITEM_REACHED")] == [2, 4, 5, 6, 7, 9]
    texts = ground.texts()
    assert [t for t in texts if t.startswith("Reached")] == [f"Reached command #{n}" for n in (4, 5, 6, 7)]
    assert texts[-1] == "Disarming motors"
    shots = ground.of("CAMERA_FEEDBACK")
    assert [s.img_idx for s in shots] == list(range(1, len(shots) + 1))
    assert len(shots) == pytest.approx(1 + 440 / 20, abs=3)
    assert body.on_ground
    assert math.hypot(body.n, body.e) < 6.0
    assert body.touchdown_m_s == pytest.approx(0.5, abs=0.15)
    assert ground.command(512, 42) == ACCEPTED
    current = ground.of("MISSION_CURRENT")[-1]
    assert (current.seq, current.total, current.mission_state) == (0, 9, 5)


def test_the_energy_of_a_hover_is_that_of_its_power() -> None:
    ground = Ground(ready_after_s=5.0, seed=3)
    ground.ready()
    ground.take_off(20.0)
    before = ground.vehicle.battery.energy_used_wh
    ground.run(60.0)
    used = ground.vehicle.battery.energy_used_wh - before
    assert used * 3600 / 60 == pytest.approx(Pack().hover_w + Pack().idle_w, rel=0.05)


def test_goto_pause_and_return(ground: Ground) -> None:
    ground.take_off(20.0)
    x, y = ground.place(60, 0)

    def reposition(flags: float) -> int:
        message = mavlink.MAVLink_command_int_message(7, 1, 6, 192, 0, 0, -1, flags, 0, math.nan, x, y, 25)
        ground.send(message)
        return int(ground.of("COMMAND_ACK")[-1].result)

    assert ground.upload(survey(ground)) == ACCEPTED
    assert ground.command(300) == ACCEPTED
    assert reposition(0) == DENIED
    run = ground.vehicle.pilot.run
    low: list[float] = []

    def on_the_second_leg() -> bool:
        low.append(ground.vehicle.body.u)
        return run.current == 5

    assert ground.run(40.0, until=on_the_second_leg)
    assert min(low) > 15.0  # a take-off item in the air does not let it fall
    ground.run(8.0)
    assert ground.command(193, 0) == ACCEPTED
    ground.run(8.0)
    body = ground.vehicle.body
    assert math.hypot(body.vn, body.ve) < 0.4
    assert ground.command(193, 1) == ACCEPTED
    assert reposition(1) == ACCEPTED
    assert ground.of("HEARTBEAT")[-1].custom_mode == 4
    motion = ground.vehicle.pilot.controls.motion
    assert ground.run(40.0, until=lambda: math.dist((motion.n, motion.e), (60, 0)) < 1.0)
    ground.run(5.0)
    assert ground.vehicle.pilot.relative_m() == pytest.approx(25.0, abs=1.0)
    assert ground.command(176, 1, 17) == ACCEPTED
    ground.run(3.0)
    assert ground.vehicle.pilot.relative_m() == pytest.approx(25.0, abs=1.0)
    assert ground.command(20) == ACCEPTED
    assert ground.run(120.0, until=lambda: not ground.vehicle.pilot.armed)
    assert math.hypot(body.n, body.e) < 6.0


def test_loiter_sinks_without_a_stick_and_brake_does_not(ground: Ground) -> None:
    ground.take_off(20.0)
    assert ground.command(176, 1, 17) == ACCEPTED
    ground.run(6.0)
    assert ground.vehicle.pilot.relative_m() == pytest.approx(20.0, abs=1.2)
    assert ground.command(176, 1, 5) == ACCEPTED
    ground.run(8.0)
    assert ground.vehicle.pilot.relative_m() < 15.0


def test_a_lost_ground_brings_it_home_by_itself(ground: Ground) -> None:
    ground.take_off(15.0)
    ground.beats = False
    ground.run(4.0)
    assert ground.vehicle.pilot.mode.value == "GUIDED"
    ground.heard.clear()
    ground.run(1.5)
    beat = ground.of("HEARTBEAT")[-1]
    assert (beat.custom_mode, beat.system_status) == (6, 5)
    assert ground.texts() == ["GCS Failsafe"]
    ground.beats = True
    ground.run(1.5)
    assert ground.texts()[-1] == "GCS Failsafe Cleared"
    assert ground.of("HEARTBEAT")[-1].custom_mode == 6
    assert ground.command(176, 1, 4) == ACCEPTED
    assert ground.vehicle.pilot.mode.value == "GUIDED"


def test_only_the_ground_that_counts_is_missed() -> None:
    ground = Ground(ready_after_s=5.0, sysid=250)
    ground.ready()
    ground.take_off(15.0)
    ground.beats = False
    ground.run(15.0)
    assert ground.vehicle.pilot.mode.value == "GUIDED"


def test_the_ground_is_missed_by_its_own_clock() -> None:
    ground = Ground(ready_after_s=5.0, speedup=10.0)
    ground.ready()
    ground.take_off(15.0)
    ground.beats = False
    ground.run(45.0)
    assert ground.vehicle.pilot.mode.value == "GUIDED"
    ground.run(10.0)
    assert ground.vehicle.pilot.mode.value == "RTL"


def test_arming_while_the_ground_is_lost_is_refused(ground: Ground) -> None:
    ground.run(1.5)
    ground.beats = False
    ground.run(6.0)
    assert ground.command(176, 1, 4) == ACCEPTED
    assert ground.command(400, 1) == FAILED
    assert ground.texts()[-1] == "Arm: GCS failsafe on"


def test_a_low_battery_brings_it_home_and_a_critical_one_down() -> None:
    ground = Ground(ready_after_s=5.0, pack=Pack(capacity_wh=20.0), charge=0.3)
    ground.ready()
    ground.take_off(10.0)
    assert ground.run(60.0, until=lambda: ground.vehicle.pilot.mode.value == "RTL")
    texts = ground.texts()
    assert any(t.startswith("Battery 1 is low") for t in texts)
    assert texts[-1] == "Battery Failsafe"
    assert ground.command(512, 147) == ACCEPTED
    assert ground.of("BATTERY_STATUS")[-1].charge_state == 2
    assert ground.command(176, 1, 4) == ACCEPTED
    assert ground.run(60.0, until=lambda: ground.vehicle.pilot.mode.value == "LAND")
    assert ground.run(120.0, until=lambda: not ground.vehicle.pilot.armed)
    assert ground.command(176, 1, 4) == ACCEPTED
    assert ground.command(400, 1) == FAILED
    assert ground.texts()[-1] == "Arm: Battery failsafe"


def test_without_satellites_it_lands_and_stays_landing_when_they_are_back(ground: Ground) -> None:
    ground.take_off(30.0)
    ground.heard.clear()
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"SIM_GPS_DISABLE", 1, 9))
    assert ground.command(512, 24) == ACCEPTED
    assert ground.of("GPS_RAW_INT")[-1].fix_type == 1
    ground.run(7.5)
    assert ground.vehicle.pilot.mode.value == "GUIDED"
    ground.run(1.5)
    assert ground.texts() == ["EKF variance", "EKF Failsafe: changed to LAND Mode"]
    assert ground.of("HEARTBEAT")[-1].system_status == 5
    assert ground.command(176, 1, 6) == FAILED
    assert ground.texts()[-1] == "Mode change to RTL failed: requires position"
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"SIM_GPS_DISABLE", 0, 9))
    ground.run(2.5)
    assert ground.texts()[-1] == "EKF Failsafe Cleared"
    assert ground.of("HEARTBEAT")[-1].custom_mode == 9
    assert ground.command(176, 1, 6) == ACCEPTED


def test_the_ground_is_where_the_terrain_says() -> None:
    ground = Ground(ready_after_s=5.0, terrain=lambda lon, lat: 800.0 + (lat - 43.238) * 111_000 * 0.1)
    ground.ready()
    ground.take_off(30.0)
    x, y = ground.place(100, 0)
    ground.send(mavlink.MAVLink_command_int_message(7, 1, 6, 192, 0, 0, -1, 1, 0, math.nan, x, y, 30))
    ground.run(40.0)
    assert ground.command(21) == ACCEPTED
    assert ground.run(60.0, until=lambda: not ground.vehicle.pilot.armed)
    assert ground.vehicle.body.u == pytest.approx(10.0, abs=0.5)
    assert ground.vehicle.body.touchdown_m_s < 0.8


# -- gimbal and truth --------------------------------------------------------------------------------------------------


def test_gimbal_points_and_looks_where_it_is_told(ground: Ground) -> None:
    assert ground.vehicle.true_state().gimbal.pitch_deg == pytest.approx(-90.0)
    assert ground.command(205, -45, 0, 0, 0, 0, 0, 2) == ACCEPTED
    ground.run(2.0)
    assert ground.vehicle.true_state().gimbal.pitch_deg == pytest.approx(-45.0)
    assert ground.command(1000, -60, 30, math.nan, math.nan, 0) == ACCEPTED
    ground.run(2.0)
    attitude = ground.vehicle.true_state().gimbal
    assert (attitude.pitch_deg, attitude.yaw_deg) == pytest.approx((-60.0, 30.0))
    assert ground.command(1000, -10, 0, math.nan, math.nan, 0, 0, 3) == FAILED
    ground.take_off(30.0)
    x, y = ground.place(40, 40)
    ground.send(mavlink.MAVLink_command_int_message(7, 1, 6, 195, 0, 0, 0, 0, 0, 0, x, y, 0))
    ground.run(4.0)
    motion, home = ground.vehicle.pilot.controls.motion, ground.vehicle.pilot.controls.home
    flat = math.hypot(40 - motion.n, 40 - motion.e)
    expected = math.degrees(math.atan2(home.u - motion.u, flat))
    assert ground.vehicle.true_state().gimbal.pitch_deg == pytest.approx(expected, abs=0.5)
    assert ground.command(512, 285) == ACCEPTED
    q = ground.of("GIMBAL_DEVICE_ATTITUDE_STATUS")[-1].q
    pitch = math.degrees(math.asin(2 * (q[0] * q[2] - q[3] * q[1])))
    assert pitch == pytest.approx(expected, abs=1.0)


def test_what_is_measured_differs_from_the_truth_by_the_errors(ground: Ground) -> None:
    ground.take_off(30.0)
    off = []
    for _ in range(30):
        ground.run(2.0)
        true, measured = ground.vehicle.true_state(), ground.vehicle.measured_state()
        assert true.utc_s == measured.utc_s
        off.append((measured.lat - true.lat) * 111_000)
        assert abs(measured.attitude.roll_deg - true.attitude.roll_deg) < 1.5
        assert abs((measured.attitude.yaw_deg - true.attitude.yaw_deg + 180) % 360 - 180) < 5.0
        assert abs(measured.gimbal.pitch_deg - true.gimbal.pitch_deg) < 1.0
    assert 0.05 < max(abs(x) for x in off) < 5.0
    steps = [abs(b - a) for a, b in pairwise(off)]
    assert max(steps) < 1.0  # it wanders, it does not jump


def test_truth_is_known_between_steps(ground: Ground) -> None:
    ground.take_off(15.0)
    x, y = ground.place(200, 0)
    ground.send(mavlink.MAVLink_command_int_message(7, 1, 6, 192, 0, 0, -1, 1, 0, math.nan, x, y, 15))
    ground.run(8.0)
    last = ground.vehicle.true_state()
    between = ground.vehicle.true_state(last.utc_s - 1.01)
    assert between.utc_s == last.utc_s - 1.01
    gone_m = (last.lat - between.lat) * 111_100
    assert gone_m == pytest.approx(1.01 * last.north_m_s, rel=0.05)
    assert ground.vehicle.true_state(last.utc_s + 5.0) is last


def test_the_same_seed_flies_the_same_flight() -> None:
    def flight(seed: int) -> list[tuple[float, float, float]]:
        ground = Ground(ready_after_s=5.0, seed=seed, wind=WindConditions(speed_m_s=6.0, from_deg=10.0))
        ground.ready()
        ground.start(survey(ground))
        path = []
        for _ in range(60):
            ground.run(1.0)
            state = ground.vehicle.true_state()
            path.append((state.lon, state.lat, state.amsl_m))
        return path

    assert flight(5) == flight(5)
    assert flight(5) != flight(6)


# -- links -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["udp:127.0.0.1:1", "udpout:127.0.0.1", "udpout:127.0.0.1:99999", "", "tcp:a:b"])
def test_an_address_that_cannot_be_understood_is_named(address: str) -> None:
    clock = SimClock(start_utc_s=0.0)
    with pytest.raises(LinkUnusable, match=r"want udpout|is not between"):
        SimulatedVehicle(sysid=1, home=HOME, link=address, clock=clock)
