"""A vehicle is fit to fly when it says so itself, name by name; what it does not say is not passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from fleet.autopilots import ArduCopter, Px4
from fleet.commands import holds
from fleet.estimators import Estimator
from fleet.events import ArmingFinding, ArmingReport
from fleet.failsafes import FailsafeAboard, FailsafeAction, LostLinkAction, LostLinkPolicy, PolicyAboard
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.parameters import ParameterDifference
from fleet.readiness import (
    Check,
    ReadinessLimits,
    battery_checks,
    checks,
    ekf_check,
    failsafe_checks,
    gps_checks,
    lost_link_check,
    parameters_check,
    remote_id_check,
    sensors_check,
)
from fleet.remote_id import TransmitterStatus
from fleet.sensors import Sensors, sensors_of
from fleet.telemetry import Battery, Condition, Gps, LinkCondition, TelemetryState, Text
from geo.positions import Altitude, Datum, Position
from tests.fleet.conftest import Fly
from tests.fleet.responder import heard

NOW_S = 1_790_000_000.0
ARDUCOPTER_BITS = Sensors(present=0x5371FC2F, enabled=0x5361FC2F, healthy=0x5771FC2F)
"""As recorded in flight."""
FIT = TelemetryState(
    sysid=1,
    autopilot="ardupilot",
    condition=Condition.READY,
    system_status=3,
    prearm_good=True,
    home=Position(lon=76.9, lat=43.2, altitude=Altitude(800.0, Datum.AMSL)),
    battery=Battery(voltage_v=25.0, remaining_percent=97.0),
    gps=Gps(fix_type=6, satellites=10, hdop=1.21),
    estimator=Estimator(ratios={"velocity": 0.05, "compass": 0.2}, position_known=True),
    last_heard_utc_s=NOW_S - 0.5,
    link=LinkCondition.TWO_WAY,
)


def asked(state: TelemetryState, *, sensors: Sensors | None = ARDUCOPTER_BITS, plan: float = 40.0) -> dict[str, Check]:
    found = checks(state, ArduCopter(), now_utc_s=NOW_S, sensors=sensors, plan_percent=plan)
    return {check.name: check for check in found}


def test_a_fit_vehicle_passes_all() -> None:
    found = asked(FIT)
    assert [name for name, check in found.items() if check.passed is not True] == []
    assert found["gps.satellites"].text == "GPS: 10 satellites, at least 8"
    assert found["heartbeat"].text == "heartbeat: 0.5 s old, at most 3 s"


def test_of_a_vehicle_that_says_nothing_nothing_is_passed() -> None:
    found = asked(TelemetryState(sysid=1), sensors=None)
    told = {name: check.passed for name, check in found.items()}
    assert told.pop("identity") is True, "which is ours to say"
    assert set(told.values()) == {None}
    assert len(told) == 11
    assert found["gps.satellites"].text == "GPS: satellites not told, at least 8"


@pytest.mark.parametrize(
    ("change", "name", "passed", "text"),
    [
        ({"last_heard_utc_s": NOW_S - 4.2}, "heartbeat", False, "heartbeat: 4.2 s old, at most 3 s"),
        ({"condition": Condition.STALE}, "heartbeat", False, "heartbeat: 0.5 s old, at most 3 s"),
        ({"link": LinkCondition.NO_UPLINK}, "link", False, "link: no uplink, two-way"),
        ({"conflict": "udp from 10.0.0.9"}, "identity", False, "sysid 1: also claimed by udp from 10.0.0.9, one"),
        ({"system_status": 5}, "autopilot", False, "autopilot: in a failsafe, neither busy nor in a failsafe"),
        ({"system_status": 0}, "autopilot", True, "autopilot: ready"),
        ({"gps": Gps(fix_type=2, satellites=5, hdop=None)}, "gps.fix", False, "GPS: 2D fix, at least a 3D fix"),
        ({"gps": Gps(fix_type=2, satellites=5, hdop=None)}, "gps.satellites", False, "GPS: 5 satellites, at least 8"),
        ({"gps": Gps(fix_type=2, satellites=5, hdop=None)}, "gps.hdop", None, "GPS: HDOP not told, at most 2"),
        ({"gps": Gps(fix_type=3, satellites=9, hdop=2.4)}, "gps.hdop", False, "GPS: HDOP 2.4, at most 2"),
        ({"battery": Battery(remaining_percent=64.0)}, "battery.charge", False, "battery: 64 %, at least 65 %"),
        ({"battery": Battery(remaining_percent=65.0)}, "battery.charge", True, "(40 % for the plan, 25 % in reserve)"),
        ({"battery": Battery(voltage_v=22.0)}, "battery.charge", None, "battery: charge not told, at least 65 %"),
        ({"home": None}, "home", None, "home: not told, set"),
        ({"prearm_good": False}, "prearm", False, "pre-arm check: not passed, passed"),
        ({"prearm_good": None}, "prearm", None, "pre-arm check: not told, passed"),
    ],
)
def test_each_failure_says_what_and_how_much(change: dict[str, Any], name: str, passed: bool | None, text: str) -> None:
    found = asked(msgspec.structs.replace(FIT, **change))
    assert found[name].passed is passed
    assert text in found[name].text
    others = {other for other, check in found.items() if check.passed is not True} - {name}
    assert others <= {"gps.fix", "gps.satellites", "gps.hdop"}, "one fault is one failure, but for a blind receiver"


def test_the_autopilot_says_why_in_its_own_words() -> None:
    texts = tuple(
        Text(utc_s=utc_s, severity=2, text=text)
        for utc_s, text in (
            (NOW_S - 90.0, "PreArm: Accels not calibrated"),
            (NOW_S - 30.0, "PreArm: Need Position Estimate"),
            (NOW_S - 29.0, "Flight plan received"),
            (NOW_S - 2.0, "Arm: Need Position Estimate"),
            (NOW_S - 1.0, "PreArm: Battery 1 low voltage failsafe"),
        )
    )
    found = asked(msgspec.structs.replace(FIT, prearm_good=False, texts=texts))["prearm"]
    assert found.measured == "Need Position Estimate; Battery 1 low voltage failsafe"


def test_px4_says_why_in_its_report() -> None:
    """It has no pre-arm bit: without a report nothing is asked, and arming itself will tell."""
    fit = msgspec.structs.replace(FIT, autopilot="px4", prearm_good=None)
    mission = ArmingFinding(text="No valid mission available", modes=1 << 3, component=20)

    def found(arming: ArmingReport | None) -> dict[str, Check]:
        told = checks(fit, Px4(), now_utc_s=NOW_S, sensors=ARDUCOPTER_BITS, plan_percent=40.0, arming=arming)
        return {check.name: check for check in told}

    assert "prearm" not in found(None)
    barred = found(ArmingReport(can_arm=1 << 4, warned=0, findings=(mission,)))["prearm"]
    assert (barred.passed, barred.text) == (False, "pre-arm check: No valid mission available, passed")
    assert found(ArmingReport(can_arm=1 << 3, warned=0, findings=()))["prearm"].passed is True
    mute = found(ArmingReport(can_arm=0, warned=0, findings=()))["prearm"]
    assert (mute.passed, mute.measured) == (False, "not passed, and no reason told")


def test_the_voltage_contradicts_a_charge_that_is_only_counted() -> None:
    """ArduCopter's charge stayed at 92 % in a recording while the voltage fell below its failsafe."""
    limits = ReadinessLimits(battery_v=22.2)
    charge, voltage = battery_checks(Battery(voltage_v=20.9, remaining_percent=92.0), 40.0, limits)
    assert (charge.passed, voltage.passed) == (True, False)
    assert voltage.text == "battery: 20.9 V, at least 22.2 V"
    assert battery_checks(Battery(remaining_percent=92.0), 40.0, limits)[1].passed is None


def test_the_ekf() -> None:
    limits = ReadinessLimits()
    lost = ekf_check(Estimator(ratios={"velocity": 0.1}, position_known=False), limits)
    assert (lost.passed, lost.measured) == (False, "position not known, velocity off by 0.10 of its gate")
    off = ekf_check(Estimator(ratios={"velocity": 0.1, "compass": 0.93}, position_known=True), limits)
    assert (off.passed, off.measured) == (False, "position known, compass off by 0.93 of its gate")
    assert off.limit == "position known, at most 0.8 of each gate"
    assert ekf_check(Estimator(ratios={}, position_known=True), limits).passed is None, "no ratio is no good one"


@pytest.mark.parametrize(
    ("sensors", "measured"),
    [
        (ARDUCOPTER_BITS, "all well"),
        (Sensors(present=0x5371FC2F, enabled=0x5361FC2F, healthy=0x5771FC2F & ~0x10000000), "all well"),
        (Sensors(present=0x5371FC2F, enabled=0x5361FC2F, healthy=0x5771FC2F & ~0x4), "compass unhealthy"),
        (Sensors(present=0x200402F, enabled=0x200402F, healthy=0x200402F), "all well"),
        (
            Sensors(present=0x200400F, enabled=0x200400F, healthy=0x200000F),
            "GPS missing; position control unhealthy",
        ),
        (
            Sensors(present=0, enabled=0, healthy=0),
            "gyroscope missing; accelerometer missing; compass missing; barometer missing; GPS missing",
        ),
    ],
)
def test_sensors_by_name(sensors: Sensors, measured: str) -> None:
    """Bits as recorded of both autopilots; the pre-arm check among them is none."""
    found = sensors_check(sensors)
    assert (found.passed, found.measured) == (measured == "all well", measured)


def test_gps_without_a_receiver() -> None:
    assert [check.passed for check in gps_checks(None, ReadinessLimits())] == [None, None, None]
    fix = gps_checks(Gps(fix_type=0, satellites=0, hdop=100.0), ReadinessLimits())
    assert [check.passed for check in fix] == [False, False, False]


def test_parameters_against_the_registered_set() -> None:
    assert parameters_check(None).passed is None
    assert parameters_check(()).passed is True
    off = [ParameterDifference(name=f"P{index}", registered=1.0, aboard=2.0) for index in range(7)]
    found = parameters_check(off)
    assert found.passed is False
    assert found.measured.startswith("P0 is 2, registered 1; P1")
    assert found.measured.endswith("P4 is 2, registered 1; 2 more")


def test_the_failsafes_aboard() -> None:
    policy = LostLinkPolicy(action=LostLinkAction.RETURN, timeout_s=10.0)
    aboard = PolicyAboard(
        action=LostLinkAction.RETURN, timeout_s=10.0, gcs_sysid=255, parameters={"FS_GCS_ENABLE": 1.0}
    )
    assert lost_link_check(aboard, policy, gcs_sysid=255).passed is True
    for change in ({"action": LostLinkAction.CONTINUE}, {"timeout_s": 5.0}, {"gcs_sysid": 250}, {"action": None}):
        assert lost_link_check(msgspec.structs.replace(aboard, **change), policy, gcs_sysid=255).passed is False
    assert (
        lost_link_check(None, policy, gcs_sysid=255).text == "lost link: not read, return after 10 s, towards sysid 255"
    )
    low = FailsafeAboard(cause="low battery", action=FailsafeAction.RETURN, parameters={"BATT_FS_LOW_ACT": 2.0})
    fence = FailsafeAboard(cause="fence", action=FailsafeAction.NONE, parameters={"GF_ACTION": 1.0})
    found = {check.name: check for check in failsafe_checks([low, fence])}
    assert found["failsafe.low_battery"].passed is True
    assert found["failsafe.fence"].passed is False
    assert found["failsafe.fence"].text == "fence: none (GF_ACTION 1), an action"
    assert [check.passed for check in failsafe_checks(None)] == [None]


def test_the_remote_id_transmitter() -> None:
    bad = TransmitterStatus(ready=False, error="no GPS fix", heard_monotonic_s=100.0)
    assert remote_id_check(None, now_monotonic_s=101.0).passed is None
    assert remote_id_check(bad, now_monotonic_s=101.0).text == "remote ID: no GPS fix, ready"
    good = msgspec.structs.replace(bad, ready=True, error="")
    assert remote_id_check(good, now_monotonic_s=102.9).passed is True
    silent = remote_id_check(good, now_monotonic_s=103.5)
    assert (silent.passed, silent.measured) == (None, "transmitter silent for 3.5 s")


async def watched(
    vehicle: MavlinkVehicle, autopilot: ArduCopter | Px4, until: Mapping[str, bool | None]
) -> dict[str, Check]:
    """The vehicle's checks, as soon as these came out so."""
    found: dict[str, Check] = {}
    sensors: Sensors | None = None

    def look() -> bool:
        heard_s = vehicle.state.last_heard_utc_s or 0.0
        for check in checks(vehicle.state, autopilot, now_utc_s=heard_s, sensors=sensors, plan_percent=50.0):
            found[check.name] = check
        return all(found[name].passed is passed for name, passed in until.items())

    with vehicle.channel.listen("SYS_STATUS") as inbox:
        for _ in range(200):
            message = await inbox.get(0.1)
            sensors = sensors if message is None else sensors_of(message)
            if look():
                return found
    raise AssertionError({name: check.text for name, check in found.items() if check.passed is not True})


READY = dict.fromkeys(
    ("heartbeat", "autopilot", "gps.fix", "gps.satellites", "gps.hdop", "ekf", "battery.charge", "sensors", "home"),
    True,
)


async def test_a_simulated_arducopter_becomes_ready(port: int, simulated: Fly) -> None:
    copter = simulated(port, ready_after_s=12.0)
    async with heard(port) as vehicle:
        early = await watched(vehicle, ArduCopter(), {"prearm": False})
        assert early["prearm"].measured != "passed"
        await watched(vehicle, ArduCopter(), {**READY, "prearm": True})
        copter.pilot.failures.fail("compass")
        found = await watched(vehicle, ArduCopter(), {"sensors": False})
        assert found["sensors"].measured == "compass unhealthy"


async def test_a_simulated_px4_becomes_ready_and_blind(port: int, simulated: Fly) -> None:
    px4 = simulated(port, autopilot="px4")
    async with heard(port) as vehicle:
        await watched(vehicle, Px4(), READY)
        px4.pilot.failures.fail("gps_off")
        found = await watched(vehicle, Px4(), {"gps.fix": False, "sensors": False})
        assert "GPS missing" in found["sensors"].measured
        assert found["gps.satellites"].passed is False
        assert await holds(lambda: vehicle.state.estimator is not None, 1.0)
