"""PX4's reasons against arming are found in its events, as they were recorded."""

from __future__ import annotations

import struct
from pathlib import Path

from fleet.autopilots import FlightMode
from fleet.events import ARMING_SUMMARY, EVENT, HEALTH_SUMMARY, ArmingReport, ArmingReports, Event, event_of
from fleet.recording import read_recording

MISSION, HOLD = FlightMode.MISSION, FlightMode.HOLD
NO_POSITION, NO_MISSION, NO_STICKS = 0x0198C273, 0x0105C2D9, 0x0106ED29


def recorded(path: Path) -> list[ArmingReport]:
    """Each report of a recording."""
    found, reports = [], ArmingReports()
    for _, frame in read_recording(path):
        if frame.msgid == EVENT and reports.take(event_of(frame)) and reports.latest is not None:
            found.append(reports.latest)
    return found


def test_a_vehicle_without_position_and_mission_becomes_ready(tlogs: Path) -> None:
    """As recorded after boot: armed in hold as soon as it knew where it was; in a mission never, there was none."""
    early, ready, *_ = recorded(tlogs / "px4_01_boot.tlog")
    assert not early.allows(HOLD)
    assert early.reasons(HOLD) == ("No valid position estimate", "No valid global position estimate")
    assert early.reasons(MISSION) == (*early.reasons(HOLD), "No valid mission available")
    told = {finding.text for finding in early.findings}
    assert {"No manual control input", "No connection to the ground control station"} <= told
    assert ready.allows(HOLD)
    assert ready.reasons(HOLD) == ()
    assert ready.reasons(MISSION) == ("No valid mission available",)


def test_a_lost_ground_is_a_reason_only_where_it_matters(tlogs: Path) -> None:
    """The same finding was a warning with NAV_DLL_ACT 0 and barred all modes otherwise."""
    reports = recorded(tlogs / "px4_01b_boot_gcs_port.tlog")
    assert "No connection to the ground control station" in reports[0].reasons(HOLD)
    assert [report.allows(HOLD) for report in reports[:4]] == [False, True, False, True]
    assert reports[2].reasons(HOLD) == ("No connection to the ground control station",)


def test_an_uploaded_mission_may_be_armed(tlogs: Path) -> None:
    before, after, *_ = recorded(tlogs / "px4_02_mission.tlog")
    assert (before.allows(MISSION), after.allows(MISSION)) == (False, True)
    assert after.reasons(MISSION) == ()


def test_what_bars_a_mode_is_always_told(tlogs: Path) -> None:
    """In every recorded report a mode is barred if and only if a finding says why."""
    reports = [report for path in sorted(tlogs.glob("px4_*.tlog")) for report in recorded(path)]
    assert len(reports) > 30
    for mode in (MISSION, HOLD, FlightMode.RTL, FlightMode.TAKEOFF, FlightMode.LAND):
        assert all(report.allows(mode) is (report.reasons(mode) == ()) for report in reports)
    told = {text for report in reports for text in report.reasons(MISSION)}
    assert len(told) > 5
    assert not any(text.startswith("event ") for text in told)


def event(number: int, sequence: int, arguments: bytes = b"") -> Event:
    return Event(number=number, sequence=sequence, level=3, arguments=arguments.ljust(40, b"\0"))


def report_events(first: int, *, can_arm: int = 0) -> list[Event]:
    return [
        event(ARMING_SUMMARY, first, struct.pack("<BIIII", 0, 1 << 24 | 1 << 20, 1 << 7, can_arm, 0)),
        event(NO_POSITION, (first + 1) % 65536, struct.pack("<IB", 0x38, 24)),
        event(NO_STICKS, (first + 2) % 65536, struct.pack("<IB", 0xFFFFFFFF, 7)),
        event(0x01ABCDEF, (first + 3) % 65536, struct.pack("<IB", 0x8, 20)),
        event(HEALTH_SUMMARY, (first + 4) % 65536),
    ]


def test_a_report_is_taken_whole_or_not_at_all() -> None:
    reports = ArmingReports()
    assert [reports.take(one) for one in report_events(65533)] == [False, False, False, False, True]
    latest = reports.latest
    assert latest is not None
    assert latest.reasons(MISSION) == ("No valid global position estimate", "event 0x01abcdef")
    for missing in range(5):
        torn = report_events(100)
        del torn[missing]
        assert not any(reports.take(one) for one in torn)
    assert reports.latest is latest
    assert not reports.take(event(HEALTH_SUMMARY, 5)), "an end without a beginning"
    assert any(reports.take(one) for one in report_events(200, can_arm=0xFFFFFFFF))
    assert reports.latest is not latest
    assert reports.latest is not None
    assert reports.latest.reasons(MISSION) == (), "what does not bar the mode is no reason"
