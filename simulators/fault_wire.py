"""What faults do to frames that pass: one stage for each fault and way, with its own source of chance."""

from __future__ import annotations

import random
from typing import NamedTuple, Protocol

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.framing import Frame, decode
from simulators.fault_frames import renumbered, rewritten
from simulators.fault_schedule import (
    Bandwidth,
    ClockJump,
    Corruption,
    Delay,
    Duplication,
    Fault,
    FrozenTelemetry,
    Loss,
    Mission,
    Reordering,
    Way,
)

ANSWERS = frozenset((22, 39, 40, 44, 46, 47, 51, 73, 77, 110, 111, 148, 244, 253))
"""Messages that answer or tell of something once, and so go on when telemetry freezes: parameters, missions,
acknowledgements, files, TIMESYNC, AUTOPILOT_VERSION, MESSAGE_INTERVAL, texts."""
COMMANDS = frozenset((75, 76, 77))
"""COMMAND_INT, COMMAND_LONG, COMMAND_ACK."""
BOOT_MS, ANY_US, UTC_US, SYNC_NS = "time_boot_ms", "time_usec", "time_unix_usec", "tc1"
UTC_FROM_US = 10**15
"""A time_usec above this (2001) counts from 1970, else from boot."""
TIMED = frozenset(
    msgid
    for msgid, kind in mavlink.mavlink_map.items()
    if not {BOOT_MS, ANY_US, UTC_US, SYNC_NS}.isdisjoint(kind.fieldnames)
)
"""Messages with a time in them."""


class Passing(NamedTuple):
    """A frame on its way."""

    frame: Frame
    """It."""
    due_s: float
    """When it comes out, s of the vehicle's clock."""


class Stage(Protocol):
    """What one fault does to frames of one way."""

    def carry(self, passing: Passing) -> list[Passing]:
        """What comes of a frame: nothing, it, it later, it changed, it twice."""


class Losing:
    """Loss."""

    def __init__(self, fault: Loss, chance: random.Random) -> None:
        self._fault, self._chance = fault, chance

    def carry(self, passing: Passing) -> list[Passing]:
        if not self._meant(passing.frame):
            return [passing]
        return [] if self._chance.random() < self._fault.share else [passing]

    def _meant(self, frame: Frame) -> bool:
        if self._fault.messages and frame.msgid not in self._fault.messages:
            return False
        if self._fault.command is None:
            return True
        return frame.msgid in COMMANDS and decode(frame).command == self._fault.command


class Delaying:
    """Delay: what comes later never overtakes."""

    def __init__(self, fault: Delay, chance: random.Random) -> None:
        self._fault, self._chance, self._last_s = fault, chance, 0.0

    def carry(self, passing: Passing) -> list[Passing]:
        late_s = self._fault.by_s + self._fault.jitter_s * self._chance.random()
        self._last_s = max(self._last_s, passing.due_s + late_s)
        return [passing._replace(due_s=self._last_s)]


class Doubling:
    """Duplication."""

    def __init__(self, fault: Duplication, chance: random.Random) -> None:
        self._fault, self._chance = fault, chance

    def carry(self, passing: Passing) -> list[Passing]:
        if self._chance.random() >= self._fault.share:
            return [passing]
        return [passing, passing._replace(due_s=passing.due_s + self._fault.after_s)]


class HoldingBack:
    """Reordering."""

    def __init__(self, fault: Reordering, chance: random.Random) -> None:
        self._fault, self._chance = fault, chance

    def carry(self, passing: Passing) -> list[Passing]:
        held = self._chance.random() < self._fault.share
        return [passing._replace(due_s=passing.due_s + self._fault.by_s) if held else passing]


class Narrowing:
    """Bandwidth: a line that is busy as long as a frame takes, and a queue before it."""

    def __init__(self, fault: Bandwidth) -> None:
        self._fault, self._free_s = fault, 0.0

    def carry(self, passing: Passing) -> list[Passing]:
        rate, size = self._fault.bytes_per_s, len(passing.frame.data)
        waiting_bytes = max(0.0, self._free_s - passing.due_s) * rate
        if waiting_bytes > 0 and waiting_bytes + size > self._fault.queue_bytes:
            return []
        self._free_s = max(self._free_s, passing.due_s) + size / rate
        return [passing._replace(due_s=self._free_s)]


class Corrupting:
    """Corruption."""

    def __init__(self, fault: Corruption, chance: random.Random) -> None:
        self._share, self._chance = fault.share, chance

    def carry(self, passing: Passing) -> list[Passing]:
        if self._chance.random() >= self._share:
            return [passing]
        data = bytearray(passing.frame.data)
        data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
        return [passing._replace(frame=passing.frame._replace(data=bytes(data), verified=False))]


class Freezing:
    """FrozenTelemetry."""

    def __init__(self, fault: FrozenTelemetry, key: bytes | None) -> None:
        self._fault, self._key = fault, key
        self._kept: dict[tuple[int, int], Frame] = {}

    def carry(self, passing: Passing) -> list[Passing]:
        frame = passing.frame
        if frame.msgid in ANSWERS:
            return [passing]
        kept = self._kept.setdefault((frame.compid, frame.msgid), frame)
        if self._fault.renumbered:
            kept = renumbered(kept, frame.seq, key=self._key)
        return [passing._replace(frame=kept)]


class ClockJumping:
    """ClockJump."""

    def __init__(self, fault: ClockJump, key: bytes | None) -> None:
        self._fault, self._key = fault, key

    def carry(self, passing: Passing) -> list[Passing]:
        if passing.frame.msgid not in TIMED:
            return [passing]
        message = decode(passing.frame)
        values = {name: getattr(message, name) for name in message.fieldnames}
        for name, units in ((BOOT_MS, 1e3), (ANY_US, 1e6), (UTC_US, 1e6), (SYNC_NS, 1e9)):
            value = values.get(name, 0)
            of_day = name == UTC_US or (name == ANY_US and value > UTC_FROM_US)
            if value > 0 and (self._fault.utc if of_day else self._fault.boot):
                most = 2**32 - 1 if name == BOOT_MS else 2**63 - 1
                values[name] = min(most, max(0, value + round(self._fault.by_s * units)))
        return [passing._replace(frame=rewritten(passing.frame, type(message)(**values), key=self._key))]


def source_stage(fault: Fault, key: bytes | None) -> Stage | None:
    """What a fault does to the vehicle's frames before they are numbered; None for other kinds."""
    if isinstance(fault, ClockJump):
        return ClockJumping(fault, key)
    if isinstance(fault, FrozenTelemetry) and fault.renumbered:
        return Freezing(fault, key)
    return None


def wire_stage(fault: Fault, way: Way, chance: random.Random) -> Stage | None:
    """What a fault does to numbered frames of one way; None for other kinds and where it does not strike that way."""
    if isinstance(fault, FrozenTelemetry):
        return Freezing(fault, None) if way is Way.UP and not fault.renumbered else None
    struck = getattr(fault, "way", None)
    if isinstance(fault, Mission) or struck not in (way, Way.BOTH):
        return None
    if isinstance(fault, Bandwidth):
        return Narrowing(fault)
    if isinstance(fault, Loss):
        return Losing(fault, chance)
    if isinstance(fault, Delay):
        return Delaying(fault, chance)
    if isinstance(fault, Duplication):
        return Doubling(fault, chance)
    if isinstance(fault, Reordering):
        return HoldingBack(fault, chance)
    if isinstance(fault, Corruption):
        return Corrupting(fault, chance)
    return None
