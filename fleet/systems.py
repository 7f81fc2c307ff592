"""One sysid as heard: its ways, its signature, its counts, its clock, its recording."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from fleet.alarms import AlarmWatch
from fleet.framing import Frame, SequenceCount
from fleet.identity import Identity
from fleet.latency import RoundTrips
from fleet.recording import Recording
from fleet.signing import VehicleSigning, Verdict
from fleet.snapshots import Telemetry

MOST_CLOCK_RATE = 20.0
"""Simulated vehicles run up to so much faster than the wall."""
TOLD_AGAIN_S = 60.0
"""A person is told the same thing of a vehicle once in so long, s of the wall."""
MOST_TOLD = 100


class VehicleTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """What passed between a vehicle and us."""

    frames_in: int
    """Frames believed."""
    bytes_in: int
    """Their bytes."""
    frames_out: int
    """Frames sent."""
    bytes_out: int
    """Their bytes."""
    loss_percent: float
    """Frames of its autopilot lost on the way to us, 0 to 100."""
    latency_ms: float | None
    """Median round trip, ms of the wall."""
    signed: bool
    """Only signed frames are believed, and what is sent is signed."""
    rejected: dict[str, int]
    """Frames not believed, by reason."""
    ways: dict[str, str]
    """Standing of each way that it is heard on."""


class System:
    """What is kept of one sysid."""

    def __init__(self, telemetry: Telemetry, identity: Identity, monotonic_s: float) -> None:
        """First heard at `monotonic_s`."""
        self.telemetry = telemetry
        self.identity = identity
        self.counts: dict[int, SequenceCount] = {}
        """Frames by component."""
        self.is_vehicle = False
        """A heartbeat of an autopilot was heard."""
        self.beat_monotonic_s = monotonic_s
        """When the last heartbeat of its autopilot was heard."""
        self.recording: Recording | None = None
        self.signing: VehicleSigning | None = None
        """Judges and signs, where the vehicle has a key."""
        self.candidate: VehicleSigning | None = None
        """Of the key that it was just given, until it is heard to sign with it."""
        self.taps: list[Callable[[bytes], None]] = []
        """Hear every frame that is believed."""
        self.round_trips = RoundTrips()
        self.alarms = AlarmWatch()
        self.frames_out = self.bytes_out = 0
        self.probed_monotonic_s = -math.inf
        """When a way that is to be proven was last asked."""
        self.clock_rate = 1.0
        """Seconds of the vehicle's clock in one of the wall, 1 but for simulated vehicles."""
        self._newest_boot_ms = (-1, -1)
        self._rate_from: tuple[float, float] | None = None
        self._told: dict[str, float] = {}

    def hear_clock(self, boot_ms: int) -> None:
        """A message told the time since boot."""
        before, now = self._newest_boot_ms
        self._newest_boot_ms = before, max(now, boot_ms)

    def is_alive(self) -> bool:
        """Whether its clock, where it was heard at all, went on since this was last asked: at each heartbeat."""
        before, now = self._newest_boot_ms
        self._newest_boot_ms = now, -1
        return now < 0 or before < 0 or now != before

    def measure_clock(self, monotonic_s: float) -> None:
        """Compare the vehicle's clock with the wall's."""
        boot_s = self.telemetry.state.boot_s
        if boot_s is None:
            return
        if self._rate_from is None or boot_s < self._rate_from[0]:
            self._rate_from = (boot_s, monotonic_s)
        elif monotonic_s - self._rate_from[1] >= 2.0:
            rate = (boot_s - self._rate_from[0]) / (monotonic_s - self._rate_from[1])
            self.clock_rate = min(MOST_CLOCK_RATE, max(1.0, rate)) if rate > 1.5 else 1.0
            self._rate_from = (boot_s, monotonic_s)

    def count(self, frame: Frame) -> None:
        """Count a frame of its component."""
        count = self.counts.get(frame.compid)
        if count is None:
            count = self.counts[frame.compid] = SequenceCount()
        count.count(frame)

    def sent(self, data: bytes) -> None:
        """A frame went to it."""
        self.frames_out += 1
        self.bytes_out += len(data)

    def judge(self, frame: Frame) -> Verdict | None:
        """What the signature says of a frame; None where the vehicle has no key, so that nothing is asked of one.

        The first frame signed with a key that was just given to the vehicle makes that key its own.
        """
        if self.candidate is not None and self.candidate.judge(frame).accepted:
            self.signing, self.candidate = self.candidate, None
            return Verdict.ACCEPTED
        return self.signing.judge(frame) if self.signing is not None else None

    def is_news(self, text: str, monotonic_s: float) -> bool:
        """Whether a person should be told this, not having been told it lately."""
        if monotonic_s - self._told.get(text, -math.inf) < TOLD_AGAIN_S:
            return False
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[text] = monotonic_s
        return True

    def traffic(self, loss_percent: float) -> VehicleTraffic:
        """The counts so far."""
        counts = [] if self.signing is None else self.signing.check.counts.items()
        latency_s = self.round_trips.latency_s
        return VehicleTraffic(
            frames_in=sum(count.frames for count in self.counts.values()),
            bytes_in=sum(count.bytes for count in self.counts.values()),
            frames_out=self.frames_out,
            bytes_out=self.bytes_out,
            loss_percent=loss_percent,
            latency_ms=None if latency_s is None else round(latency_s * 1e3, 1),
            signed=self.signing is not None,
            rejected={verdict.name.lower(): count for verdict, count in counts if count and not verdict.accepted},
            ways={way.name: way.standing.value for way in self.identity.ways.values()},
        )
