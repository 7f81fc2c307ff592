"""Faults by name, and schedules of them in YAML: what goes wrong, from when, for how long, which way.

All times are seconds of the vehicle's clock; `at_s` counts from when its link opened, or from when the fault was
injected by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec

from simulators.errors import FaultInvalid


class Way(StrEnum):
    """Direction on the link."""

    UP = "up"
    """From the vehicle to the ground."""
    DOWN = "down"
    """From the ground to the vehicle."""
    BOTH = "both"
    """Each by itself."""


Share = Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Positive = Annotated[float, msgspec.Meta(gt=0.0)]
Sysid = Annotated[int, msgspec.Meta(ge=1, le=255)]
Compid = Annotated[int, msgspec.Meta(ge=1, le=255)]


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="fault", forbid_unknown_fields=True):
    """Something that goes wrong for a time."""

    at_s: NotNegative = 0.0
    """When it begins, s."""
    for_s: Positive | None = None
    """How long it lasts, s; to the end if not given."""

    @classmethod
    def name(cls) -> str:
        """As a schedule writes it."""
        return str(cls.__struct_config__.tag)


class WireFault(Fault, frozen=True, kw_only=True):
    """A fault of the link between vehicle and ground."""

    way: Way = Way.BOTH
    """Which direction it strikes."""


# -- the wire --------------------------------------------------------------------------------------------------------


class Loss(WireFault, frozen=True, kw_only=True, tag="loss"):
    """Frames vanish; with a share of 1 and one way, the link is lost one way only."""

    share: Share = 1.0
    """Of the frames."""
    messages: tuple[int, ...] = ()
    """Only of messages with these ids; of all if empty."""
    command: int | None = None
    """Only of orders and acknowledgements of this MAV_CMD."""


class Delay(WireFault, frozen=True, kw_only=True, tag="delay"):
    """Frames come late, in their order."""

    by_s: NotNegative = 0.4
    """Least delay, s."""
    jitter_s: NotNegative = 0.0
    """Up to so much more, evenly spread, s."""


class Duplication(WireFault, frozen=True, kw_only=True, tag="duplication"):
    """Frames come twice."""

    share: Share = 0.3
    """Of the frames."""
    after_s: NotNegative = 0.0
    """The second comes so much later, s."""


class Reordering(WireFault, frozen=True, kw_only=True, tag="reordering"):
    """Frames are overtaken by later ones."""

    share: Share = 0.3
    """Of the frames are held back."""
    by_s: Positive = 0.2
    """So long, s."""


class Bandwidth(WireFault, frozen=True, kw_only=True, tag="bandwidth"):
    """A slow line with a short queue before it."""

    bytes_per_s: Positive = 1200.0
    """What it carries, each way."""
    queue_bytes: NotNegative = 1500.0
    """What may wait; frames beyond are lost."""


class Corruption(WireFault, frozen=True, kw_only=True, tag="corruption"):
    """One bit of a frame is turned over."""

    share: Share = 0.1
    """Of the frames."""


class Garbage(WireFault, frozen=True, kw_only=True, tag="garbage"):
    """Bytes that nobody sent, magic bytes among them."""

    rate_hz: Positive = 5.0
    """Bursts in a second."""
    most_bytes: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 60
    """Longest burst."""


# -- what the vehicle seems to say -----------------------------------------------------------------------------------


class FrozenTelemetry(Fault, frozen=True, kw_only=True, tag="frozen_telemetry"):
    """Each telemetry message repeats what its first one said; answers go on."""

    renumbered: bool = True
    """False: the very same bytes come again, old numbers and signatures too, as from a modem that repeats its buffer.
    """


class ClockJump(Fault, frozen=True, kw_only=True, tag="clock_jump"):
    """Time fields of the vehicle's messages are shifted."""

    by_s: float = 3600.0
    """Into the future, s; below 0 into the past."""
    boot: bool = True
    """Shift the time since boot (time_boot_ms, and time_usec where it counts from boot)."""
    utc: bool = True
    """Shift the time of day (time_unix_usec, and time_usec where it counts from 1970)."""


class DuplicateSysid(Fault, frozen=True, kw_only=True, tag="duplicate_sysid"):
    """A second source with the vehicle's own sysid says the same from another address, from another place."""

    link: str | None = None
    """Address of the second source's link; as the vehicle's own if not given."""
    north_m: float = 2000.0
    """Its positions are so far north of the vehicle's, m."""


class ForgedMessage(StrEnum):
    """What a forged frame says."""

    HEARTBEAT = "heartbeat"
    """An autopilot in RTL, armed (up), or a ground station (down)."""
    POSITION = "position"
    """A place in the sea at latitude 0, longitude 0."""
    TEXT = "text"
    """An emergency."""
    DISARM = "disarm"
    """The forced order to stop the motors."""
    RTL = "rtl"
    """ArduCopter's order to return (mode 6)."""


class ForgedFrames(Fault, frozen=True, kw_only=True, tag="forged_frames"):
    """Frames with a right CRC that somebody else put on the link."""

    way: Way = Way.UP
    """`up`: in a vehicle's name to the ground; `down`: in a ground's name to the vehicle. Not `both`."""
    message: ForgedMessage = ForgedMessage.HEARTBEAT
    """What they say."""
    sysid: Sysid | None = None
    """In whose name; the vehicle's own (up) or ground 255 (down) if not given."""
    compid: Compid | None = None
    """Component of that name; 1 (up) or 190 (down) if not given."""
    rate_hz: Positive = 4.0
    """Frames in a second."""
    signed: bool = False
    """With a signature of a wrong key."""
    ahead_s: float = 0.0
    """The signature's time is so far ahead of the vehicle's clock, s."""


# -- the mission protocol --------------------------------------------------------------------------------------------


class MissionFailure(StrEnum):
    """What goes wrong in a transfer. The first nineteen, and the three that come unasked, are those that
    QGroundControl's simulated link knows; 0 and 1 are numbers of items on the wire."""

    READ_LIST_NO_ANSWER = "read_list_no_answer"
    READ_LIST_FIRST_LOST = "read_list_first_lost"
    READ_ITEM_0_NO_ANSWER = "read_item_0_no_answer"
    READ_ITEM_1_NO_ANSWER = "read_item_1_no_answer"
    READ_ITEM_1_FIRST_LOST = "read_item_1_first_lost"
    READ_ITEM_0_WRONG_SEQUENCE = "read_item_0_wrong_sequence"
    READ_ITEM_1_WRONG_SEQUENCE = "read_item_1_wrong_sequence"
    READ_ITEM_0_ERROR_ACK = "read_item_0_error_ack"
    READ_ITEM_1_ERROR_ACK = "read_item_1_error_ack"
    WRITE_COUNT_NO_ANSWER = "write_count_no_answer"
    WRITE_COUNT_FIRST_LOST = "write_count_first_lost"
    WRITE_REQUEST_1_NO_ANSWER = "write_request_1_no_answer"
    WRITE_REQUEST_0_WRONG_SEQUENCE = "write_request_0_wrong_sequence"
    WRITE_REQUEST_1_WRONG_SEQUENCE = "write_request_1_wrong_sequence"
    WRITE_REQUEST_0_ERROR_ACK = "write_request_0_error_ack"
    WRITE_REQUEST_1_ERROR_ACK = "write_request_1_error_ack"
    WRITE_FINAL_ACK_LOST = "write_final_ack_lost"
    WRITE_FINAL_ACK_ERROR = "write_final_ack_error"
    WRITE_FINAL_ACK_EARLY = "write_final_ack_early"
    UNASKED_ACK = "unasked_ack"
    UNASKED_ITEM = "unasked_item"
    UNASKED_REQUEST = "unasked_request"
    READ_COUNT_TOO_HIGH = "read_count_too_high"
    READ_COUNT_TOO_LOW = "read_count_too_low"
    READ_ITEM_1_ALTERED = "read_item_1_altered"
    WRITE_COUNT_TOO_LOW = "write_count_too_low"
    WRITE_ITEM_1_ALTERED = "write_item_1_altered"
    WRITE_ITEM_1_LOST = "write_item_1_lost"
    WRITE_ITEM_1_REFUSED = "write_item_1_refused"


class Mission(Fault, frozen=True, kw_only=True, tag="mission"):
    """A failure of the mission protocol, made of the vehicle's answers or the ground's items on their way."""

    failure: MissionFailure
    """Which."""
    result: Annotated[int, msgspec.Meta(ge=1, le=15)] = 1
    """MAV_MISSION_RESULT of an error acknowledgement."""
    mission_type: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0
    """MAV_MISSION_TYPE: mission 0, fence 1, rally 2."""


# -- the vehicle itself ----------------------------------------------------------------------------------------------


class VehicleFault(Fault, frozen=True, kw_only=True):
    """A fault of the vehicle itself, which whoever owns the vehicle carries out."""

    def options(self) -> dict[str, float | None]:
        """Its numbers by name."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in ("at_s", "for_s")}


class GpsOff(VehicleFault, frozen=True, kw_only=True, tag="gps_off"):
    """The receiver says nothing."""


class GpsJam(VehicleFault, frozen=True, kw_only=True, tag="gps_jam"):
    """Few satellites and a wandering position."""


class GpsGlitch(VehicleFault, frozen=True, kw_only=True, tag="gps_glitch"):
    """The receiver's position jumps."""

    north_m: float = 50.0
    """To the north, m."""
    east_m: float = 0.0
    """To the east, m."""
    up_m: float = 0.0
    """Upward, m."""


class BatteryFailure(VehicleFault, frozen=True, kw_only=True, tag="battery"):
    """The battery's voltage falls, or it is drained."""

    voltage_v: Positive | None = 10.0
    """To this, V; None leaves it."""
    drain_w: NotNegative = 0.0
    """So much is drawn besides what the flight needs, W."""


class MotorFailure(VehicleFault, frozen=True, kw_only=True, tag="motor"):
    """A motor weakens or stops."""

    motor: Annotated[int, msgspec.Meta(ge=1, le=12)] = 1
    """Which, counted from 1."""
    thrust: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.0
    """Share of its thrust that is left."""


class CompassFailure(VehicleFault, frozen=True, kw_only=True, tag="compass"):
    """The compass gives nothing."""

    compass: Annotated[int, msgspec.Meta(ge=1, le=3)] = 1
    """Which, counted from 1."""


class EkfFailure(VehicleFault, frozen=True, kw_only=True, tag="ekf"):
    """The position estimate diverges."""


VEHICLE_FAULTS: tuple[type[VehicleFault], ...] = (
    GpsOff, GpsJam, GpsGlitch, BatteryFailure, MotorFailure, CompassFailure, EkfFailure,
)  # fmt: skip
"""Those of the vehicle itself."""
FAULTS: tuple[type[Fault], ...] = (
    Loss, Delay, Duplication, Reordering, Bandwidth, Corruption, Garbage, FrozenTelemetry, ClockJump, DuplicateSysid,
    ForgedFrames, Mission, *VEHICLE_FAULTS,
)  # fmt: skip
"""All kinds."""
_BY_NAME = {kind.name(): kind for kind in FAULTS}


def parse_schedule(text: str, *, source: str = "schedule") -> tuple[Fault, ...]:
    """The faults of a YAML list, in its order; raises FaultInvalid, which names the entry, counted from 1.

    `- at_s: 12`, `fault: loss`, `share: 0.3`, `way: both`, `for_s: 20` is one entry; `source` is for messages.
    """
    try:
        entries = msgspec.yaml.decode(text)
    except msgspec.DecodeError as exc:
        raise FaultInvalid(f"{source}: not YAML: {exc}") from exc
    if not isinstance(entries, list):
        raise FaultInvalid(f"{source}: expected a list of faults, as `- fault: loss`, not {type(entries).__name__}")
    return tuple(_fault_of(entry, f"{source}, entry {number}") for number, entry in enumerate(entries, start=1))


def read_schedule(path: Path) -> tuple[Fault, ...]:
    """The faults of a YAML file; raises FaultInvalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise FaultInvalid(f"{path}: cannot be read: {exc}") from exc
    return parse_schedule(text, source=str(path))


def named_fault(text: str) -> Fault:
    """A fault by name, with options if wanted: `gps_off`, `loss,share=0.3,way=up`; a failure of the mission protocol
    by its own name: `write_final_ack_lost,at_s=5`. Raises FaultInvalid."""
    name, *options = (part.strip() for part in text.split(","))
    entry: dict[str, Any] = {"fault": name}
    if name in set(MissionFailure):
        entry = {"fault": Mission.name(), "failure": name}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise FaultInvalid(f"fault {text!r}: {option!r} is not KEY=VALUE")
        entry[key.strip()] = msgspec.yaml.decode(value)
    return _fault_of(entry, f"fault {text!r}")


def _fault_of(entry: object, where: str) -> Fault:
    if not isinstance(entry, dict):
        raise FaultInvalid(f"{where}: expected `fault: NAME` with its options, not {entry!r}")
    kind = _BY_NAME.get(str(entry.get("fault")))
    if kind is None:
        given = f"no fault is called {entry['fault']!r}" if "fault" in entry else "`fault` is missing"
        raise FaultInvalid(f"{where}: {given}; known are {_listed(_BY_NAME)}")
    try:
        fault: Fault = msgspec.convert(entry, kind)
    except msgspec.ValidationError as exc:
        hint = ""
        if "unknown field" in str(exc):
            hint = f"; {kind.name()} takes {_listed(kind.__struct_fields__)}"
        elif "$.failure" in str(exc):
            hint = f"; known are {_listed(tuple(MissionFailure))}"
        raise FaultInvalid(f"{where} ({kind.name()}): {exc}{hint}") from exc
    check_fault(fault, where)
    return fault


def check_fault(fault: Fault, where: str) -> None:
    """Raises FaultInvalid for what the types alone do not forbid."""
    if isinstance(fault, ForgedFrames) and fault.way is Way.BOTH:
        raise FaultInvalid(f"{where} (forged_frames): way is up or down, not both")


def _listed(names: Sequence[str] | dict[str, Any]) -> str:
    return ", ".join(names)
