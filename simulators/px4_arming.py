"""Why PX4 will not arm; the ground learns the reasons from events alone."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from simulators.px4_events import Event

if TYPE_CHECKING:
    from simulators.px4_autopilot import Px4Autopilot

INSISTS = 2
"""COM_ARM_ODID that refuses to arm without remote ID."""


ALL_MODES = 0x807F7AB8
"""Modes that it can be armed in when nothing speaks against any, by bit, as recorded."""
WARNED = 1 << 7
"""The component that it only warns about: the sticks."""
UNLIKE_FINDINGS = (Event.ARMING_SUMMARY, Event.HEALTH_SUMMARY, Event.NO_MANUAL_CONTROL)


def failing_checks(pilot: Px4Autopilot) -> list[Event | None]:
    """What speaks against arming in any mode; None for what no recorded event tells."""
    failing: list[Event | None] = []
    if not pilot.has_position():
        failing += [Event.NO_LOCAL_POSITION, Event.NO_GLOBAL_POSITION]
    if not pilot.has_fix():
        failing.append(Event.GPS_FIX_TOO_LOW)
    if pilot.parameters["NAV_DLL_ACT"] > 0 and not pilot.safety.ground.connected():
        failing.append(Event.NO_GROUND)
    insists = pilot.parameters["COM_ARM_ODID"] >= INSISTS
    if pilot.failures.compass or (insists and pilot.remote_id.missing()):
        failing.append(None)
    return failing


def report(pilot: Px4Autopilot) -> list[tuple[Event, bytes | None]]:
    """All that is said of it: events with their arguments, None for those that were recorded."""
    told = reasons(pilot)
    return [(event, summary(told) if event is Event.ARMING_SUMMARY else None) for event in told]


def reasons(pilot: Px4Autopilot) -> list[Event]:
    """The events alone."""
    told = [event for event in failing_checks(pilot) if event is not None]
    missing = [] if pilot.run.valid else [Event.NO_MISSION]
    always = [Event.NO_OFFBOARD_SIGNAL, Event.NO_MANUAL_CONTROL, Event.HEALTH_SUMMARY]
    return [Event.ARMING_SUMMARY, *told, *missing, *always]


def summary(told: list[Event]) -> bytes:
    """Arguments of the summary that begins a report: components in error and warned of, modes to arm in and to run.

    Each finding gives the modes that it bars and its component, and none of these modes can be armed in.
    """
    modes, errors = ALL_MODES, 0
    for event in told:
        if event not in UNLIKE_FINDINGS:
            barred, component = struct.unpack("<IB", bytes.fromhex(event.value[2]))
            modes, errors = modes & ~barred, errors | 1 << component
    return struct.pack("<BIIII", 0, errors, WARNED, modes, modes)
