"""Whether a vehicle is fit to fly, by what it says itself: named checks with what was measured and what is asked.

What is not known is not passed. What differs between flights (zones, weather, permits) is checked where it is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.autopilots import Autopilot, FlightMode
from fleet.estimators import Estimator
from fleet.events import ArmingReport
from fleet.failsafes import FailsafeAboard, LostLinkPolicy, PolicyAboard
from fleet.parameters import ParameterDifference
from fleet.remote_id import TransmitterStatus
from fleet.sensors import Sensors
from fleet.telemetry import Battery, Condition, Gps, LinkCondition, TelemetryState

REFUSAL_WORDS = ("PreArm: ", "Arm: ")
"""How ArduPilot's reasons begin."""
REFUSALS_S = 60.0
"""Older reasons are no longer told; ArduPilot repeats them every 30 s."""
TRANSMITTER_S = 3.0
"""ArduPilot does not let itself be armed when its transmitter was silent for longer."""
_BUSY = {1: "booting", 2: "calibrating", 5: "in a failsafe", 6: "in an emergency", 7: "powering off", 8: "terminated"}
"""MAV_STATE that speak against a flight; PX4 says 0 whenever its present mode cannot be armed."""
_FIXES = {0: "no receiver", 1: "no fix", 2: "2D fix", 3: "3D fix", 4: "DGPS fix", 5: "RTK float", 6: "RTK fixed"}
_SHOWN = 5
"""Differing parameters that are named; the rest is counted."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One question before a flight, and its answer."""

    name: str
    """What machines call it, as `gps.satellites`."""
    passed: bool | None
    """Whether it passed; None where the answer is not known, which is not passed."""
    measured: str
    """What was found, with its unit."""
    limit: str
    """What is asked."""
    text: str
    """Both for a person: `GPS: 5 satellites, at least 8`."""


class ReadinessLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a vehicle."""

    heartbeat_s: float = 3.0
    """Age of the last heartbeat, at most, s."""
    satellites: int = 8
    """At least."""
    hdop: float = 2.0
    """Horizontal dilution, at most."""
    ekf_ratio: float = 0.8
    """Innovation test ratio of each measurement, at most; 1 is where the EKF rejects it."""
    reserve_percent: float = 25.0
    """Of the battery, that no plan may use."""
    battery_v: float | None = None
    """Voltage of the whole battery at rest, at least, V; None to ask for none."""


def checks(
    state: TelemetryState,
    autopilot: Autopilot,
    *,
    now_utc_s: float,
    sensors: Sensors | None,
    plan_percent: float,
    limits: ReadinessLimits | None = None,
    arming: ArmingReport | None = None,
) -> list[Check]:
    """What a vehicle's telemetry says, at `now_utc_s` by our clock; `plan_percent` of a full battery is needed.

    `arming` is PX4's last report, once its mission is aboard: it then says whether it can be armed to fly it.
    """
    limits = limits or ReadinessLimits()
    found = [
        *_link_checks(state, limits, now_utc_s),
        _state_check(state),
        *gps_checks(state.gps, limits),
        ekf_check(state.estimator, limits),
        *battery_checks(state.battery, plan_percent, limits),
        sensors_check(sensors),
        _home_check(state),
    ]
    if arming is not None:
        found.append(_arming_check(arming, autopilot.arming_mode))
    elif autopilot.tells_prearm or state.prearm_good is not None:
        found.append(_prearm_check(state, now_utc_s))
    return found


def check(name: str, title: str, passed: bool | None, measured: str, limit: str) -> Check:
    """A check and its one line for a person; `passed` None: not known, which does not pass."""
    return Check(name=name, passed=passed, measured=measured, limit=limit, text=f"{title}: {measured}, {limit}")


def _link_checks(state: TelemetryState, limits: ReadinessLimits, now_utc_s: float) -> list[Check]:
    if state.last_heard_utc_s is None:
        age, fresh = "none heard", None
    else:
        age_s = now_utc_s - state.last_heard_utc_s
        age = f"{age_s:.1f} s old"
        fresh = age_s <= limits.heartbeat_s and state.condition not in (Condition.STALE, Condition.LOST)
    two_way = None if state.link is LinkCondition.UNKNOWN else state.link is LinkCondition.TWO_WAY
    alone = state.conflict is None
    claims = "one vehicle" if alone else f"also claimed by {state.conflict}"
    return [
        check("heartbeat", "heartbeat", fresh, age, f"at most {limits.heartbeat_s:g} s"),
        check("link", "link", two_way, str(state.link), "two-way"),
        check("identity", f"sysid {state.sysid}", alone, claims, "one vehicle only"),
    ]


def _state_check(state: TelemetryState) -> Check:
    status = state.system_status
    passed = None if status is None else status not in _BUSY
    measured = "not told" if status is None else _BUSY.get(status, "ready" if passed else f"MAV_STATE {status}")
    return check("autopilot", "autopilot", passed, measured, "neither busy nor in a failsafe")


def gps_checks(gps: Gps | None, limits: ReadinessLimits) -> list[Check]:
    """Fix, satellites and dilution of the first receiver."""
    fix = None if gps is None else gps.fix_type
    satellites = None if gps is None else gps.satellites
    hdop = None if gps is None else gps.hdop
    return [
        check(
            "gps.fix",
            "GPS",
            None if fix is None else fix >= 3,
            "fix not told" if fix is None else _FIXES.get(fix, f"fix of type {fix}"),
            "at least a 3D fix",
        ),
        check(
            "gps.satellites",
            "GPS",
            None if satellites is None else satellites >= limits.satellites,
            "satellites not told" if satellites is None else f"{satellites} satellites",
            f"at least {limits.satellites}",
        ),
        check(
            "gps.hdop",
            "GPS",
            None if hdop is None else hdop <= limits.hdop,
            "HDOP not told" if hdop is None else f"HDOP {hdop:.1f}",
            f"at most {limits.hdop:g}",
        ),
    ]


def ekf_check(estimator: Estimator | None, limits: ReadinessLimits) -> Check:
    """That the EKF knows where it is, and that its measurements fit."""
    limit = f"position known, at most {limits.ekf_ratio:g} of each gate"
    if estimator is None or not estimator.ratios:
        return check("ekf", "EKF", None, "not told", limit)
    name, ratio = estimator.worst
    known = "position known" if estimator.position_known else "position not known"
    passed = estimator.position_known and ratio <= limits.ekf_ratio
    return check("ekf", "EKF", passed, f"{known}, {name} off by {ratio:.2f} of its gate", limit)


def battery_checks(battery: Battery | None, plan_percent: float, limits: ReadinessLimits) -> list[Check]:
    """That the charge lasts for the plan and the reserve; that the voltage does not tell otherwise."""
    left = None if battery is None else battery.remaining_percent
    need = plan_percent + limits.reserve_percent
    found = [
        check(
            "battery.charge",
            "battery",
            None if left is None else left >= need,
            "charge not told" if left is None else f"{left:.0f} %",
            f"at least {need:.0f} % ({plan_percent:.0f} % for the plan, {limits.reserve_percent:.0f} % in reserve)",
        )
    ]
    if limits.battery_v is not None:
        volts = None if battery is None else battery.voltage_v
        found.append(
            check(
                "battery.voltage",
                "battery",
                None if volts is None else volts >= limits.battery_v,
                "voltage not told" if volts is None else f"{volts:.1f} V",
                f"at least {limits.battery_v:.1f} V",
            )
        )
    return found


def sensors_check(sensors: Sensors | None) -> Check:
    """That the sensors that a flight needs are in use, and that all in use are well."""
    limit = "all that are needed, and well"
    if sensors is None:
        return check("sensors", "sensors", None, "not told", limit)
    bad = [*(f"{name} missing" for name in sensors.missing), *(f"{name} unhealthy" for name in sensors.unhealthy)]
    return check("sensors", "sensors", not bad, "; ".join(bad) or "all well", limit)


def _home_check(state: TelemetryState) -> Check:
    return check("home", "home", state.home is not None or None, "set" if state.home else "not told", "set")


def _prearm_check(state: TelemetryState, now_utc_s: float) -> Check:
    """The autopilot's own judgement, in its own words where it gives any."""
    measured = {True: "passed", False: "not passed", None: "not told"}[state.prearm_good]
    if state.prearm_good is False:
        lately = (text.text for text in state.texts if now_utc_s - text.utc_s <= REFUSALS_S)
        reasons = dict.fromkeys(_reason(text) for text in lately if text.startswith(REFUSAL_WORDS))
        measured = "; ".join(reasons) or measured
    return check("prearm", "pre-arm check", state.prearm_good, measured, "passed")


def _arming_check(arming: ArmingReport, mode: FlightMode) -> Check:
    measured = "; ".join(arming.reasons(mode)) or (
        "passed" if arming.allows(mode) else "not passed, and no reason told"
    )
    return check("prearm", "pre-arm check", arming.allows(mode), measured, "passed")


def _reason(text: str) -> str:
    return text.partition(": ")[2]


def parameters_check(differences: Sequence[ParameterDifference] | None) -> Check:
    """That the parameters are the registered ones; None where they were not read."""
    if differences is None:
        return check("parameters", "parameters", None, "not read", "as registered")
    shown = [difference.text for difference in differences[:_SHOWN]]
    if more := len(differences) - len(shown):
        shown.append(f"{more} more")
    return check("parameters", "parameters", not differences, "; ".join(shown) or "as registered", "as registered")


def lost_link_check(aboard: PolicyAboard | None, policy: LostLinkPolicy, *, gcs_sysid: int) -> Check:
    """That the lost-link policy aboard is the mission's; None where it was not read."""
    passed = None if aboard is None else aboard.follows(policy, gcs_sysid=gcs_sysid)
    measured = "not read" if aboard is None else aboard.text
    return check("lost_link", "lost link", passed, measured, f"{policy.text}, towards sysid {gcs_sysid}")


def failsafe_checks(aboard: Sequence[FailsafeAboard] | None) -> list[Check]:
    """That the vehicle does something by itself about each cause; None where that was not read."""
    if aboard is None:
        return [check("failsafes", "failsafes", None, "not read", "an action for each")]
    return [
        check(
            "failsafe." + failsafe.cause.replace(" ", "_"),
            failsafe.cause,
            failsafe.acts,
            f"{failsafe.action} ({', '.join(f'{name} {value:g}' for name, value in failsafe.parameters.items())})",
            "an action",
        )
        for failsafe in aboard
    ]


def remote_id_check(status: TransmitterStatus | None, *, now_monotonic_s: float) -> Check:
    """That the transmitter is there and ready."""
    if status is None:
        return check("remote_id", "remote ID", None, "transmitter not heard", "ready")
    silent_s = now_monotonic_s - status.heard_monotonic_s
    if silent_s > TRANSMITTER_S:
        return check("remote_id", "remote ID", None, f"transmitter silent for {silent_s:.1f} s", "ready")
    measured = "ready" if status.ready else status.error or "not ready, and does not say why"
    return check("remote_id", "remote ID", status.ready, measured, "ready")
