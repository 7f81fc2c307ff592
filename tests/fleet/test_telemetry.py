"""What a vehicle says of itself, against recordings of real autopilots."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.autopilots import FlightMode
from fleet.framing import decode
from fleet.recording import read_recording
from fleet.snapshots import Telemetry, yaw_from_nose
from fleet.telemetry import Condition, TelemetryState


def replay(path: Path, until_s: float = 1e9) -> tuple[Telemetry, list[TelemetryState]]:
    """The vehicle's telemetry after a recording, and its states on the way."""
    telemetry: Telemetry | None = None
    states = []
    start_s = None
    for utc_s, frame in read_recording(path):
        start_s = utc_s if start_s is None else start_s
        if utc_s - start_s > until_s:
            break
        if frame.sysid in (255, 250, 200, 0) or (message := decode(frame)) is None:
            continue
        telemetry = telemetry or Telemetry(frame.sysid)
        telemetry.receive(message, utc_s)
        states.append(telemetry.state)
    assert telemetry is not None
    return telemetry, states


def test_a_recorded_flight_of_arducopter(tlogs: Path) -> None:
    telemetry, states = replay(tlogs / "ap_02_mission.tlog")
    last = telemetry.state
    assert (last.autopilot, last.vehicle_type, last.armed, last.landed) == ("ardupilot", 2, False, True)
    assert last.condition is Condition.LANDED
    assert last.mode is FlightMode.MISSION
    assert last.position is not None
    assert last.position.lat == pytest.approx(43.2379999)
    assert last.position.altitude.value_m == pytest.approx(800.08)
    assert last.relative_altitude_m == pytest.approx(0.008)
    assert last.home is not None
    assert last.home.altitude.value_m == pytest.approx(800.08)
    assert last.battery is not None
    assert last.battery.voltage_v == pytest.approx(12.6)
    assert last.battery.remaining_percent == 60
    assert last.battery.consumed_wh == pytest.approx(588 / 36)
    assert last.mission is not None
    assert (last.mission.total, last.mission.complete) == (11, True)
    assert last.vehicle_utc_s is not None
    assert last.boot_s is not None
    assert last.vehicle_utc_s - last.boot_s == pytest.approx(1795326101.295672 - 258.469, abs=1e-5)
    conditions = [states[0].condition]
    for state in states:
        if state.condition is not conditions[-1]:
            conditions.append(state.condition)
    assert conditions == [Condition.READY, Condition.FLYING, Condition.LANDED]
    items = [state.mission.item for state in states if state.mission and state.mode is FlightMode.MISSION]
    assert {3, 4, 7, 9, 10} <= set(items)
    assert max(state.relative_altitude_m or 0 for state in states) == pytest.approx(25, abs=1)
    assert any(text.text == "Flight plan received" for text in last.texts) or telemetry.text_count > 50


def test_poses_of_a_recorded_flight_lie_on_its_positions(tlogs: Path) -> None:
    telemetry, _ = replay(tlogs / "ap_02_mission.tlog")
    track = telemetry.history.track(100.0)
    assert len(track) > 100
    assert telemetry.history.pose_at(float(track[-5, 0])) is None, "no gimbal was heard, so there is no camera"


def test_the_gimbal_of_a_recorded_arducopter(tlogs: Path) -> None:
    telemetry, states = replay(tlogs / "ap_08_mount.tlog")
    pitches = [state.gimbal.pitch_deg for state in states if state.gimbal]
    assert min(pitches) == pytest.approx(-60, abs=1.5)
    assert all(state.gimbal.yaw_from_nose for state in states if state.gimbal)
    newest = telemetry.history.newest_utc_s
    assert newest is not None
    sample = telemetry.history.pose_at(newest - 1.0, most_gap_s=2.5)
    assert sample is not None
    assert sample.pose.attitude.pitch_deg == pytest.approx(0, abs=1.0)


def test_texts_of_a_recorded_px4_are_joined_and_stripped(tlogs: Path) -> None:
    telemetry, states = replay(tlogs / "px4_02c_mission_flight.tlog")
    texts = {text.text for state in states for text in state.texts}
    assert "Arming denied: Resolve system health failures first" in texts
    assert "RTL: start return at 820 m (21 m above destination)" in texts
    assert not any("\t" in text for text in texts)
    last = telemetry.state
    assert (last.autopilot, last.condition) == ("px4", Condition.LANDED)
    assert last.mission is not None
    assert (last.mission.item, last.mission.total, last.mission.reached) == (11, 12, 11)


def test_a_failsafe_shows(tlogs: Path) -> None:
    _, states = replay(tlogs / "ap_05a_battery.tlog")
    assert any(state.failsafe and state.mode is FlightMode.RTL for state in states)
    assert any("Battery Failsafe" in text.text for text in states[-1].texts)


def test_prearm_is_false_until_the_recorded_vehicle_could_be_armed(tlogs: Path) -> None:
    _, states = replay(tlogs / "ap_01_boot.tlog")
    verdicts = [state.prearm_good for state in states if state.prearm_good is not None]
    assert verdicts[0] is False
    assert verdicts[-1] is True


@pytest.mark.parametrize(
    ("flags", "from_nose"),
    [(44, True), (60, True), (12, True), (16, False), (28, False), (64, False), (64 | 12, False), (32, True)],
)
def test_the_frame_of_the_gimbals_yaw(flags: int, from_nose: bool) -> None:
    assert yaw_from_nose(flags) is from_nose


def test_nonsense_is_not_taken_for_a_position() -> None:
    telemetry = Telemetry(1)
    for lat, lon in ((0, 0), (950_000_000, 0), (10, 1_900_000_000)):
        message = dialect.MAVLink_global_position_int_message(10, lat, lon, 0, 0, 0, 0, 0, 0)
        telemetry.receive(message, 0.0)
    assert telemetry.state.position is None
    assert len(telemetry.history.track(100)) == 0


def test_long_texts_are_joined_and_never_grow_without_end() -> None:
    telemetry = Telemetry(1)

    def say(text: bytes, number: int, part: int) -> None:
        telemetry.receive(dialect.MAVLink_statustext_message(6, text, number, part), 1.0)

    say(b"b" * 50, 7, 1)
    say(b"a" * 50, 7, 0)
    say(b"end", 7, 2)
    assert telemetry.state.texts[-1].text == "a" * 50 + "b" * 50 + "end"
    say(b"x" * 50, 0, 0)
    for _ in range(100):
        say(b"y" * 50, 0, 1)
    assert len(telemetry.state.texts[-1].text) == 400
    for number in range(1, 100):
        for part in range(256):
            say(b"z" * 50, number, part)
    assert max(len(text.text) for text in telemetry.state.texts) == 400
    for number in range(1, 1000):
        for _ in range(3):
            say(b"w" * 50, number, 0)
    assert len(telemetry._parts) <= 8
    assert sum(len(parts) for parts in telemetry._parts.values()) <= 8


def test_a_clock_that_tells_no_time_is_not_believed() -> None:
    telemetry = Telemetry(1)
    utc_s = 1_790_000_000
    for wild_s in (0, 1, 1_300_000_000, 9_200_000_000_000, 2**64 // 10**6 - 1):
        telemetry.receive(dialect.MAVLink_system_time_message(wild_s * 10**6, 5_000), 1.0)
        assert (telemetry.state.vehicle_utc_s, telemetry.state.boot_s) == (None, 5.0)
    telemetry.receive(dialect.MAVLink_system_time_message(utc_s * 10**6, 6_000), 1.0)
    telemetry.receive(dialect.MAVLink_system_time_message(9_200_000_000_000 * 10**6, 7_000), 1.0)
    assert telemetry.state.vehicle_utc_s == utc_s + 1.0


def test_whether_it_is_in_the_air() -> None:
    state = TelemetryState(sysid=1, landed=False)
    assert state.in_the_air
    assert not TelemetryState(sysid=1, landed=True, armed=True, relative_altitude_m=50.0).in_the_air
    assert TelemetryState(sysid=1, armed=True, relative_altitude_m=50.0).in_the_air
    assert not TelemetryState(sysid=1, armed=True, relative_altitude_m=2.0).in_the_air
    assert not TelemetryState(sysid=1, relative_altitude_m=50.0).in_the_air
    assert not TelemetryState(sysid=1, armed=True).in_the_air
