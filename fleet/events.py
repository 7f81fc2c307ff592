"""Events of PX4, which says in them alone why it cannot be armed.

Each report begins with a summary (the modes that it can be armed in, and which of its components are in error), goes
on with one event for each finding, and ends with a second summary. It comes when something changes. Layouts and words
are those of recordings of PX4 1.17; EVENT is not in the MAVLink dialect at hand.
"""

from __future__ import annotations

import struct

import msgspec

from fleet.autopilots import FlightMode
from fleet.framing import Frame, payload

EVENT = 410
"""Message id."""
ARMING_SUMMARY, HEALTH_SUMMARY = 0x01A893E0, 0x011D3727
"""Ids of the events at the beginning and at the end of a report."""
_LAYOUT = struct.Struct("<IIHBBB40s")
_SUMMARY = struct.Struct("<BIIII")
_FINDING = struct.Struct("<IB")
_MODE_BITS = {FlightMode.MISSION: 3, FlightMode.HOLD: 4, FlightMode.RTL: 5, FlightMode.TAKEOFF: 17, FlightMode.LAND: 18}
"""Modes as PX4 numbers them in its reports (navigation_mode_group_t)."""
WORDS = {
    0x01D31BB9: "No valid position estimate",
    0x0198C273: "No valid global position estimate",
    0x0105C2D9: "No valid mission available",
    0x012F1DC7: "No offboard signal",
    0x0106ED29: "No manual control input",
    0x0167C97B: "No connection to the ground control station",
    0x01BCBE91: "GPS fix too low",
    0x01824B11: "Attitude failure detected",
    0x01022EAB: "Geofence violation: approaching or outside geofence",
    0x011C8F61: "Mode not suitable for arming",
    0x01C2A00A: "Flight termination active",
    0x014D0DA4: "Low battery",
    0x0128180B: "Critical battery",
    0x01AD1B07: "Emergency battery level",
}
"""What findings mean, by id of the event."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One EVENT."""

    number: int
    """Which event it is."""
    sequence: int
    """Counts the events of the vehicle, 0 to 65535."""
    level: int
    """As of a text: 3 is an error, 4 a warning, 6 an information."""
    arguments: bytes
    """Forty bytes, whose meaning depends on the event."""

    def get_type(self) -> str:
        """`EVENT`, as pymavlink's messages say it."""
        return "EVENT"


class ArmingFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that PX4 found before arming."""

    text: str
    """In its own words."""
    modes: int
    """The modes that it concerns, by bit."""
    component: int
    """Which part of the vehicle it is about."""


class ArmingReport(msgspec.Struct, frozen=True, kw_only=True):
    """What PX4 found when it last looked whether it can be armed."""

    can_arm: int
    """The modes that it can be armed in, by bit."""
    warned: int
    """The components about which it only warns, by bit."""
    findings: tuple[ArmingFinding, ...]
    """In its order."""

    def allows(self, mode: FlightMode) -> bool:
        """Whether it can be armed in a mode."""
        bit = _MODE_BITS.get(mode)
        return bit is not None and bool(self.can_arm >> bit & 1)

    def reasons(self, mode: FlightMode) -> tuple[str, ...]:
        """Why it cannot be armed in a mode, in its own words; empty where it can.

        A finding that bars arming bars all the modes that it concerns; others are hints.
        """
        bit = _MODE_BITS.get(mode)
        if bit is None:
            return ()
        return tuple(
            finding.text
            for finding in self.findings
            if finding.modes >> bit & 1
            and not finding.modes & self.can_arm
            and not self.warned >> finding.component & 1
        )


class ArmingReports:
    """Puts the reports of one vehicle together from its events."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self.latest: ArmingReport | None = None
        """The last that came whole."""
        self._events: list[Event] = []

    def take(self, event: Event) -> bool:
        """One more event; true when a report has become whole. One with an event missing is left out."""
        if event.number == ARMING_SUMMARY:
            self._events = [event]
            return False
        if not self._events:
            return False
        if event.sequence != (self._events[-1].sequence + 1) % 65536:
            self._events = []
            return False
        self._events.append(event)
        if event.number != HEALTH_SUMMARY:
            return False
        summary, *findings, _ = self._events
        self._events = []
        _, errors, warnings, can_arm, _ = _SUMMARY.unpack_from(summary.arguments)
        found = tuple(map(_finding, findings))
        self.latest = ArmingReport(can_arm=can_arm, warned=warnings & ~errors, findings=found)
        return True


def event_of(frame: Frame) -> Event:
    """The event of an EVENT frame."""
    number, _, sequence, _, _, levels, arguments = _LAYOUT.unpack(
        payload(frame)[: _LAYOUT.size].ljust(_LAYOUT.size, b"\0")
    )
    return Event(number=number, sequence=sequence, level=levels & 0xF, arguments=arguments)


def _finding(event: Event) -> ArmingFinding:
    modes, component = _FINDING.unpack_from(event.arguments)
    text = WORDS.get(event.number, f"event {event.number:#010x}")
    return ArmingFinding(text=text, modes=modes, component=component)
