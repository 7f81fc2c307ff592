"""What clients see as it happens: state over one hub, video over another.

Telemetry and video are latest-wins: a slow client misses pictures, never gets them late. Missions, incidents
and alarms are queued; a client that cannot keep up with those is dropped and has to come again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import msgspec

from aerial_models.frames import Mailbox
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import ClientTooSlow
from missioncontrol.relay import Relay

_QUEUED = 1000
Severity = Literal["minor", "moderate", "severe", "extreme"]


class Subscription:
    """One client of the live feed."""

    def __init__(self) -> None:
        """Nothing waits yet."""
        self._queue: deque[bytes] = deque()
        self._latest: dict[int, bytes] = {}
        self._ready = asyncio.Event()
        self._overrun = False

    def queue(self, message: bytes) -> None:
        """A message that must arrive."""
        self._overrun = self._overrun or len(self._queue) >= _QUEUED
        if not self._overrun:
            self._queue.append(message)
        self._ready.set()

    def replace(self, sysid: int, message: bytes) -> None:
        """A message that makes the one before of this vehicle worthless."""
        self._latest[sysid] = message
        self._ready.set()

    async def next(self) -> bytes:
        """The next message, JSON. Raises ClientTooSlow."""
        await self._ready.wait()
        if self._overrun:
            raise ClientTooSlow(f"{_QUEUED} messages wait")
        message = self._queue.popleft() if self._queue else self._latest.pop(next(iter(self._latest)))
        if not self._queue and not self._latest:
            self._ready.clear()
        return message


class Live:
    """The live feed."""

    def __init__(self, clock: Clock) -> None:
        """Nobody listens yet."""
        self._clock = clock
        self._clients: set[Subscription] = set()

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._clients)

    @contextmanager
    def subscription(self) -> Iterator[Subscription]:
        """Listen for as long as the context is open."""
        client = Subscription()
        self._clients.add(client)
        try:
            yield client
        finally:
            self._clients.discard(client)

    def vehicle(self, feature: dict[str, Any]) -> None:
        """A vehicle moved or changed."""
        message = msgspec.json.encode({"type": "vehicle", "feature": feature})
        for client in self._clients:
            client.replace(int(feature["id"]), message)

    def mission(self, mission: dict[str, Any]) -> None:
        """A mission changed."""
        self._send({"type": "mission", "mission": mission})

    def incident(self, feature: dict[str, Any]) -> None:
        """An incident is new or changed."""
        self._send({"type": "incident", "feature": feature})

    def alarm(self, text: str, severity: Severity = "moderate") -> None:
        """Something that people should know now."""
        self._send({"type": "alarm", "text": text, "severity": severity, "utc": iso_utc(self._clock())})

    def _send(self, message: dict[str, Any]) -> None:
        encoded = msgspec.json.encode(message)
        for client in self._clients:
            client.queue(encoded)


class Seen(NamedTuple):
    """A frame that was looked at."""

    header: dict[str, Any]
    """When it is from, what was detected in it, and what of the ground it shows."""
    jpeg: bytes
    """The frame as a picture; empty where nobody wants pictures."""


class VideoHub:
    """Hands the video of each vehicle to whoever watches: what was seen in it, pictures of it, and the video itself."""

    def __init__(self) -> None:
        """Nobody watches yet."""
        self._watchers: dict[int, dict[Mailbox[Seen], bool]] = {}
        self._latest: dict[int, Seen] = {}
        self._relays: dict[int, Relay] = {}

    def watched(self, sysid: int) -> bool:
        """Whether anybody watches, so that looking for anything is worth it."""
        return bool(self._watchers.get(sysid))

    def pictured(self, sysid: int) -> bool:
        """Whether anybody who watches wants pictures, so that making them is worth it."""
        return any(self._watchers.get(sysid, {}).values())

    def relay(self, sysid: int) -> Relay:
        """The video of a vehicle as it was encoded."""
        return self._relays.setdefault(sysid, Relay())

    def publish(self, sysid: int, header: dict[str, Any], jpeg: bytes) -> None:
        """Tell all who watch a vehicle of a frame; never waits."""
        seen = self._latest[sysid] = Seen(header, jpeg)
        for mailbox in self._watchers.get(sysid, ()):
            mailbox.put(seen)

    @contextmanager
    def watching(self, sysid: int, *, pictures: bool = True) -> Iterator[Mailbox[Seen]]:
        """Watch a vehicle for as long as the context is open; begins with the latest frame, if there is one."""
        mailbox: Mailbox[Seen] = Mailbox()
        if sysid in self._latest:
            mailbox.put(self._latest[sysid])
        self._watchers.setdefault(sysid, {})[mailbox] = pictures
        try:
            yield mailbox
        finally:
            del self._watchers[sysid][mailbox]


def pack_frame(header: dict[str, Any], jpeg: bytes) -> bytes:
    """4 bytes of header length, big-endian, the header as JSON, the JPEG (may be empty)."""
    encoded = msgspec.json.encode(header)
    return len(encoded).to_bytes(4, "big") + encoded + jpeg
