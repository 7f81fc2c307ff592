"""A vehicle's health: resistances with honest errors, alarms of recorded failures, and flights in one record."""

from __future__ import annotations

import math
import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.autopilots import ArduCopter, Px4
from fleet.commands import Commands
from fleet.errors import RecordingInvalid
from fleet.flightlog import FlightSummary, read_flight
from fleet.framing import Encoder, Frame, decode
from fleet.health import (
    HealthAlarm,
    HealthLimits,
    HealthWatch,
    Resistance,
    internal_resistance,
    resistance_trend,
)
from fleet.recording import Recording, read_recording
from fleet.snapshots import Telemetry
from fleet.streams import StreamKeeper
from simulators.battery import Battery, Pack

START_S = 1_790_000_000.0


def sampled(resistance_ohm: float, *, noise_v: float = 0.0, seed: int = 1, minutes: float = 6.0) -> Resistance | None:
    """What a flight tells of a simulated battery: hover, gusts and climbs, to 1 mV and 10 mA each second."""
    random = np.random.default_rng(seed)
    battery = Battery(Pack(resistance_ohm=resistance_ohm))
    volts, amperes = [], []
    for second in range(round(minutes * 60)):
        climbing = 150.0 if second % 60 < 8 else 0.0
        power_w = 12.0 if second < 20 else 380.0 + climbing + random.normal(0, 25.0)
        for _ in range(10):
            battery.step(0.1, power_w)
        volts.append(round(battery.voltage_v + random.normal(0, noise_v), 3))
        amperes.append(round(battery.current_a, 2))
    return internal_resistance(np.arange(len(volts)), volts, amperes)


@pytest.mark.parametrize("truth_ohm", [0.012, 0.03, 0.09])
def test_the_resistance_of_a_simulated_battery_is_found(truth_ohm: float) -> None:
    found = sampled(truth_ohm)
    assert found is not None
    assert found.steps == 359
    assert found.ohm == pytest.approx(truth_ohm, rel=0.01)
    assert found.sigma_ohm < 0.01 * truth_ohm


def test_the_error_of_a_resistance_is_honest() -> None:
    """The truth lies within 1.96 sigmas about 95 times in a hundred, whatever the noise."""
    for noise_v in (0.0, 0.02, 0.1):
        found = [sampled(0.03, noise_v=noise_v, seed=seed, minutes=3) for seed in range(60)]
        inside = [abs(each.ohm - 0.03) < 1.96 * each.sigma_ohm for each in found if each is not None]
        assert len(inside) == 60
        assert np.mean(inside) > 0.85, f"noise {noise_v} V: {np.mean(inside):.2f}"
    wide = [each.sigma_ohm for each in found if each is not None]
    assert 0.5e-3 < np.median(wide) < 2e-2, "and the error is of use"


def test_a_resistance_that_is_not_told_is_none() -> None:
    seconds = np.arange(100.0)
    assert internal_resistance(seconds[:10], np.full(10, 22.0), seconds[:10]) is None, "too few"
    assert internal_resistance(seconds, np.full(100, 22.0), np.full(100, 17.0)) is None, "no step of current"
    assert internal_resistance(5.0 * seconds, np.full(100, 22.0), seconds % 3) is None, "too far apart"
    steady = internal_resistance(seconds, np.full(100, 22.0), 10.0 + seconds % 3)
    assert steady is not None
    assert steady.ohm == pytest.approx(0.0, abs=1e-9)
    assert steady.sigma_ohm > 1e-6, "never surer than the voltage is told"


def flights(
    slope: float, *, seed: int, scatter_ohm: float = 0.0, count: int = 20
) -> tuple[list[float], list[Resistance]]:
    random = np.random.default_rng(seed)
    cycles = list(np.cumsum(random.uniform(0.3, 0.9, count)))
    sigmas = random.uniform(2e-4, 2e-3, count)
    found = [
        Resistance(ohm=0.03 + slope * c + random.normal(0, s) + random.normal(0, scatter_ohm), sigma_ohm=s, steps=300)
        for c, s in zip(cycles, sigmas, strict=True)
    ]
    return cycles, found


def test_a_rising_resistance_is_told_from_a_steady_one() -> None:
    """With an error that the truth keeps to, also where flights scatter more than each of them says."""
    for scatter_ohm in (0.0, 2e-3):
        misses = 0
        for seed in range(100):
            trend = resistance_trend(*flights(2e-4, seed=seed, scatter_ohm=scatter_ohm))
            assert trend is not None
            misses += abs(trend.ohm_per_cycle - 2e-4) > 1.96 * trend.sigma_ohm_per_cycle
        assert misses <= 12, f"scatter {scatter_ohm} ohm"
    aging = resistance_trend(*flights(1e-3, seed=1))
    steady = resistance_trend(*flights(0.0, seed=1))
    assert aging is not None
    assert steady is not None
    assert aging.rising
    assert not steady.rising
    assert aging.flights == 20
    cycles, found = flights(1e-3, seed=1, count=4)
    assert resistance_trend(cycles, found) is None, "four points make no trend"
    assert resistance_trend([1.0] * 6, [found[0]] * 6) is None


def heartbeat(*, armed: bool) -> Any:
    return dialect.MAVLink_heartbeat_message(2, 3, 128 if armed else 0, 3, 4, 3)


def shaking(worst_m_s2: float, clips: int = 0) -> Any:
    return dialect.MAVLink_vibration_message(0, 1.0, worst_m_s2, 0.5, clips, 0, 0)


def ekf(compass: float = 0.1, flags: int = 831) -> Any:
    return dialect.MAVLink_ekf_status_report_message(flags, 0.1, 0.1, 0.1, compass, 0.0)


def watched(*messages: Any, step_s: float = 1.0, limits: HealthLimits | None = None) -> list[HealthAlarm]:
    """Alarms of a vehicle that sends these, one a step."""
    telemetry, watch, found = Telemetry(1), HealthWatch(limits or HealthLimits()), []
    for count, message in enumerate(messages):
        telemetry.receive(message, START_S + count * step_s)
        found += watch.look(telemetry.state, START_S + count * step_s)
    return found


def test_limits_passed_in_flight_are_alarms_told_once() -> None:
    flying = heartbeat(armed=True)
    (alarm,) = watched(flying, shaking(29.9), shaking(35.26), shaking(40.0))
    assert (alarm.kind, alarm.limit, alarm.utc_s) == ("vibration", 30.0, START_S + 2)
    assert alarm.value == pytest.approx(35.26)
    assert alarm.text == "vibration 35.3 m/s2, limit 30 m/s2"
    assert [a.kind for a in watched(flying, shaking(31.0), shaking(1.0), shaking(31.0), step_s=4.0)] == ["vibration"]
    assert len(watched(flying, shaking(31.0), shaking(1.0), shaking(31.0), step_s=6.0)) == 2
    assert watched(heartbeat(armed=False), shaking(50.0), ekf(2.0)) == [], "on the ground nobody minds"
    assert [a.kind for a in watched(flying, shaking(1, 40), shaking(1, 141))] == ["clipping"]
    assert watched(flying, shaking(1, 40), shaking(1, 140)) == []
    assert [a.kind for a in watched(flying, shaking(1, 500), shaking(1, 0), shaking(1, 101))] == ["clipping"]
    assert watched(flying, shaking(20.0), limits=HealthLimits(vibration_m_s2=15.0))[0].limit == 15.0


def test_the_ekf_of_either_autopilot_is_minded() -> None:
    flying = heartbeat(armed=True)
    (alarm,) = watched(flying, ekf(0.79), ekf(0.9))
    assert (alarm.kind, alarm.text) == ("ekf_compass", "EKF: compass off by 0.90 of its gate, limit 0.8")
    assert [a.kind for a in watched(flying, ekf(), ekf(flags=37), ekf(flags=37))] == ["position_lost"]
    assert watched(flying, ekf(flags=37), ekf(flags=37)) == [], "it never had one"
    px4 = dialect.MAVLink_estimator_status_message(0, 895, 0.1, 1.2, 0.1, math.nan, 0.1, math.nan, 0.3, 0.1)
    (alarm,) = watched(flying, px4)
    assert alarm.kind == "ekf_position"
    assert alarm.value == pytest.approx(1.2)


def sinking(down_m_s: float) -> Any:
    return dialect.MAVLink_global_position_int_message(
        0, 432380000, 769450000, 830_000, 30_000, 0, 0, round(down_m_s * 100), 9000
    )


def volts(voltage_v: float) -> Any:
    cells = [round(voltage_v * 1000)] + [65535] * 9
    return dialect.MAVLink_battery_status_message(0, 0, 0, 32767, cells, 1700, 100, 100, 80)


def test_a_fall_and_a_failing_battery_are_alarms() -> None:
    flying = heartbeat(armed=True)
    assert watched(flying, sinking(2.5), sinking(6.0)) == [], "as fast as they may be told to"
    (alarm,) = watched(flying, sinking(2.5), sinking(7.25), sinking(12.0))
    assert (alarm.kind, alarm.text) == ("falling", "falling at 7.2 m/s, limit 6 m/s")
    assert watched(heartbeat(armed=False), sinking(9.0)) == []
    for full_v, low_v in ((25.2, 19.7), (16.8, 13.1), (12.6, 9.8), (50.4, 39.5), (26.1, 19.7)):
        assert watched(flying, volts(full_v), volts(low_v * 1.02)) == [], full_v
        (alarm,) = watched(flying, volts(full_v), volts(low_v))
        assert (alarm.kind, alarm.limit) == ("battery", 3.3), full_v
        assert alarm.text.startswith("battery at 3.2")


def test_no_recorded_flight_is_an_alarm_without_a_failure(tlogs: Path) -> None:
    """Arming, missions, gotos, fences, returns and landings of both autopilots, and their own failsafes."""
    found = {}
    for path in sorted(tlogs.glob("*.tlog")):
        heard = Counter(frame.sysid for _, frame in read_recording(path) if frame.sysid not in (255, 250, 200))
        alarms = read_flight(path, heard.most_common(1)[0][0]).summary.alarms
        found[path.stem] = {alarm.kind for alarm in alarms}
    failed = {name for name, kinds in found.items() if kinds}
    assert failed == {"ap_05b_gps_loss", "ap_05c_motor_fail", "px4_05b_gps_loss", "px4_05c_motor_fail"}


def test_a_battery_that_tells_more_is_not_overwritten_by_the_summary_of_the_sensors() -> None:
    """PX4 sends both, and no energy in either."""
    telemetry = Telemetry(1)
    summary = dialect.MAVLink_sys_status_message(0, 0, 0, 0, 15_000, 900, 55, 0, 0, 0, 0, 0, 0)
    telemetry.receive(summary, START_S)
    assert telemetry.state.battery is not None
    assert telemetry.state.battery.voltage_v == 15.0
    full = volts(16.2)
    full.energy_consumed = -1
    telemetry.receive(full, START_S)
    telemetry.receive(summary, START_S)
    assert telemetry.state.battery.voltage_v == pytest.approx(16.2)
    assert telemetry.state.battery.consumed_ah == pytest.approx(0.1)


def test_each_autopilot_is_asked_for_its_own_word_of_the_ekf() -> None:
    telemetry = Telemetry(1)
    keeper = StreamKeeper(Commands.__new__(Commands), telemetry)
    assert not {"EKF_STATUS_REPORT", "ESTIMATOR_STATUS"} & set(keeper.missing(0.0)), "it is not known which one it is"
    for autopilot, wanted, other in (
        (ArduCopter(), "EKF_STATUS_REPORT", "ESTIMATOR_STATUS"),
        (Px4(), "ESTIMATOR_STATUS", "EKF_STATUS_REPORT"),
    ):
        telemetry.autopilot = autopilot
        assert wanted in keeper.missing(0.0)
        assert other not in keeper.missing(0.0)
        assert "VIBRATION" in keeper.missing(0.0)


def test_a_recorded_flight_of_arducopter_in_one_record(tlogs: Path) -> None:
    log = read_flight(tlogs / "ap_02_mission.tlog", 1)
    found = log.summary
    assert found.duration_s == pytest.approx(165, abs=1)
    assert found.distance_m == pytest.approx(403, abs=5)
    assert found.most_relative_m == pytest.approx(25.6, abs=0.1)
    assert found.most_amsl_m == pytest.approx(825.66, abs=0.01)
    assert found.most_speed_m_s == pytest.approx(10.03, abs=0.01)
    assert found.charge_ah == pytest.approx(1.298)
    assert found.energy_wh == pytest.approx(588 / 36)
    assert found.battery_percent == pytest.approx(39, abs=1)
    assert found.worst_loss_percent == 0.0
    assert found.resistance is not None
    assert found.resistance.ohm == pytest.approx(0.0, abs=1e-6), "its simulated battery does not sag"
    assert found.vibration_m_s2 == pytest.approx(0.133, abs=0.001)
    assert found.alarms == ()
    assert "Arm: AUTO mode not armable" in [text.text for text in found.warnings]
    assert all(text.severity <= 4 for text in found.warnings)
    assert log.rows[0].utc_s < log.rows[-1].utc_s
    assert {row.mode for row in log.rows} >= {"GUIDED", "AUTO", "BRAKE"}
    assert {row.item for row in log.rows} >= {0, 3, 4, 7, 9}
    assert log.rows[-1].battery_percent == 60


def test_recorded_failures_are_alarms(tlogs: Path) -> None:
    """The dead motor shows in the fall and the compass, the lost GPS in the EKF's flags alone."""
    fallen = read_flight(tlogs / "ap_05c_motor_fail.tlog", 1).summary.alarms
    assert [a.kind for a in fallen] == ["falling", "ekf_compass"]
    assert [a.kind for a in read_flight(tlogs / "px4_05c_motor_fail.tlog", 9).summary.alarms] == ["falling"]
    assert [a.kind for a in read_flight(tlogs / "ap_05b_gps_loss.tlog", 1).summary.alarms] == ["position_lost"]
    assert [a.kind for a in read_flight(tlogs / "px4_05b_gps_loss.tlog", 8).summary.alarms] == ["position_lost"]
    quiet = read_flight(tlogs / "px4_02c_mission_flight.tlog", 6).summary
    assert quiet.alarms == ()
    assert quiet.charge_ah is None, "its simulated battery tells no current"
    assert quiet.duration_s > 30


def position(boot_s: float, *, lon_e7: int, height_m: float) -> Any:
    height_mm = round(height_m * 1000)
    return dialect.MAVLink_global_position_int_message(
        round(boot_s * 1000), 432380000, lon_e7, 800_000 + height_mm, height_mm, 0, 500, 0, 9000
    )


def write(path: Path, *, lost: int = 0, other_sysid: int = 9) -> None:
    """A recording of 40 s in the air: 5 m/s to the east, a frame each 100 ms, `lost` of them missing after 20 s."""
    vehicle, other, ground = (
        Encoder(sysid=3, compid=1),
        Encoder(sysid=other_sysid, compid=1),
        Encoder(sysid=245, compid=1),
    )
    with Recording(path) as recording:
        for tick in range(400):
            utc_s = START_S + tick / 10
            recording.write(ground.encode(heartbeat(armed=False)), utc_s)
            recording.write(other.encode(position(tick / 10, lon_e7=0, height_m=4000.0)), utc_s)
            if tick % 10 == 0:
                vehicle.encode(shaking(1.0))  # a frame that nobody wanted to lose
                vehicle._mav.seq = (vehicle._mav.seq - 1) % 256
                recording.write(vehicle.encode(heartbeat(armed=10 <= tick < 390)), utc_s)
            message = position(tick / 10, lon_e7=769450000 + tick * 61, height_m=min(30.0, tick / 5))
            frame = vehicle.encode(message)
            if not 200 <= tick < 200 + lost:
                recording.write(frame, utc_s)


def test_loss_is_that_of_the_worst_ten_seconds(tmp_path: Path) -> None:
    write(tmp_path / "whole.tlog")
    write(tmp_path / "lossy.tlog", lost=40)
    whole, lossy = (read_flight(tmp_path / name, 3).summary for name in ("whole.tlog", "lossy.tlog"))
    assert whole.worst_loss_percent == 0.0
    assert lossy.worst_loss_percent == pytest.approx(100 * 40 / 110, abs=1)
    assert whole.most_relative_m == 30.0, "another vehicle's height is not its own"
    assert lossy.distance_m == pytest.approx(whole.distance_m, abs=2.0)
    assert whole.most_speed_m_s == 5.0


def test_a_pause_of_the_recording_is_no_loss(tmp_path: Path) -> None:
    """The service was away for a minute; another one goes on with the file."""
    encoder = Encoder(sysid=3, compid=1)
    with Recording(tmp_path / "two.tlog") as recording:
        for tick in range(600):
            frame = encoder.encode(position(tick / 10, lon_e7=769450000, height_m=5.0))
            if not 200 <= tick < 400:
                recording.write(frame, START_S + tick / 10)
    assert read_flight(tmp_path / "two.tlog", 3).summary.worst_loss_percent == 0.0


@pytest.mark.parametrize("cut_bytes", [1, 12, 30, 41])
def test_a_recording_that_was_cut_off_goes_on_whole(tmp_path: Path, cut_bytes: int) -> None:
    """The service was killed while it wrote a frame of 42 bytes with its time; the next one goes on."""
    encoder, path = Encoder(sysid=3, compid=1), tmp_path / "cut.tlog"
    for first in (0, 10):
        with Recording(path) as recording:
            for tick in range(first, first + 10):
                recording.write(encoder.encode(position(tick / 10, lon_e7=1, height_m=5.0)), START_S + tick / 10)
        if first == 0:
            assert path.stat().st_size % 10 == 0
            os.truncate(path, path.stat().st_size - cut_bytes)
    assert len(list(read_recording(path))) == 19
    spoiled = path.read_bytes()[:100] + b"xxx" + path.read_bytes()[100:]
    path.write_bytes(spoiled)
    with Recording(path):
        pass
    assert path.read_bytes() == spoiled, "what cannot be understood is nobody's to cut"


def clocked(path: Path, *steps: tuple[float, float | None]) -> list[float]:
    """Times of the positions of a recording, one a second from 1000 s of our clock; steps: boot time, UTC if told."""
    encoder = Encoder(sysid=3, compid=1)
    with Recording(path) as recording:
        for count, (boot_s, utc_s) in enumerate(steps):
            if utc_s is not None:
                system_time = dialect.MAVLink_system_time_message(round(utc_s * 1e6), round(boot_s * 1000))
                recording.write(encoder.encode(system_time), 1000.0 + count)
            recording.write(encoder.encode(position(boot_s, lon_e7=1 + count, height_m=5.0)), 1000.0 + count)
    return [row.utc_s for row in read_flight(path, 3).rows]


def test_times_are_those_of_the_vehicle(tmp_path: Path) -> None:
    path = tmp_path / "clock.tlog"
    told = clocked(path, (10.0, None), (11.0, START_S), (12.0, None))
    assert told == pytest.approx([START_S - 1, START_S, START_S + 1]), "learned late, true before"
    (row, *_) = read_flight(path, 3).rows
    assert row[1:] == (1e-7, 43.238, 805.0, 5.0, 5.0, 90.0, None, None, None)
    path.unlink()
    assert clocked(path, (10.0, None), (11.0, None)) == pytest.approx([1000.0, 1001.0]), "never learned: ours"
    path.unlink()
    absurd = clocked(path, (10.0, 1.8e13), (11.0, 1.8e13 + 1), (12.0, 5.0))
    assert absurd == pytest.approx([1000.0, 1001.0, 1002.0]), "a year beyond all calendars"


@pytest.mark.parametrize("step_s", [90 * 86_400.0, -7200.0])
def test_a_clock_that_is_set_in_flight_leaves_the_log_whole(tmp_path: Path, step_s: float) -> None:
    """As its GPS may do; the time that held longest is taken for the flight."""
    steps = [(10.0 + n, START_S + n + (step_s if n >= 7 else 0.0)) for n in range(10)]
    assert clocked(tmp_path / "set.tlog", *steps) == pytest.approx([START_S + n for n in range(10)])


def test_a_reboot_in_flight_leaves_the_log_whole(tmp_path: Path) -> None:
    steps = [(100.0 + n, START_S + n) for n in range(4)] + [(2.0 + n, START_S + 20 + n) for n in range(3)]
    times = clocked(tmp_path / "reboot.tlog", *steps)
    assert times[:4] == pytest.approx([START_S + n for n in range(4)])
    assert times[4:] == pytest.approx([START_S + 21, START_S + 22]), "the first one after it marks where time goes on"


heard = tuple(dialect.mavlink_map[msgid] for msgid in (0, 1, 2, 24, 30, 33, 42, 46, 147, 193, 230, 241, 242, 245, 253))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(heard), st.binary(min_size=1, max_size=60)), max_size=30))
def test_whatever_a_vehicle_sends_its_flight_is_summed_up(sent: list[tuple[Any, bytes]]) -> None:
    """Every field at random, NaN and extremes too: a recording that cannot be read would be tried again for ever."""
    encoder = Encoder(sysid=3, compid=1)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "odd.tlog"
        with Recording(path) as recording:
            recording.write(encoder.encode(heartbeat(armed=True)), START_S)
            for kind, content in sent:
                size = kind.unpacker.size
                header = bytes((0xFD, size, 0, 0, 0, 3, 1)) + kind.id.to_bytes(3, "little")
                frame = Frame(header + content[:size].ljust(size, b"\xff") + b"..", 3, 1, kind.id, 0, True, False)
                recording.write(encoder.encode(decode(frame)), START_S + 1)
        log = read_flight(path, 3)
    encoded = msgspec.json.encode(log.summary)
    assert msgspec.json.decode(encoded, type=FlightSummary) == log.summary
    assert all(0 < row.utc_s < 4_200_000_000 + 2**32 / 1000 for row in log.rows)


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tlog").write_bytes(b"\0" * 100)
    with pytest.raises(RecordingInvalid, match="no MAVLink frame"):
        read_flight(tmp_path / "x.tlog", 1)
    (tmp_path / "empty.tlog").write_bytes(b"")
    nothing = read_flight(tmp_path / "empty.tlog", 1)
    assert nothing.rows == []
    assert nothing.summary == FlightSummary()
