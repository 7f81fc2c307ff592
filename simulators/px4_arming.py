"""Why PX4 will not arm; the ground learns the reasons from events alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.px4_events import Event

if TYPE_CHECKING:
    from simulators.px4_autopilot import Px4Autopilot

INSISTS = 2
"""COM_ARM_ODID that refuses to arm without remote ID."""


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


def reasons(pilot: Px4Autopilot) -> list[Event]:
    """All that is said of it."""
    told = [event for event in failing_checks(pilot) if event is not None]
    missing = [] if pilot.run.valid else [Event.NO_MISSION]
    always = [Event.NO_OFFBOARD_SIGNAL, Event.NO_MANUAL_CONTROL, Event.HEALTH_SUMMARY]
    return [Event.ARMING_SUMMARY, *told, *missing, *always]
