"""The way of messages to and from one vehicle: sent to it alone, and heard by whoever waits for them."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fleet.errors import LinkLost, VehicleRefused

AUTOPILOT_COMPID = 1
"""MAV_COMP_ID_AUTOPILOT1."""
ANSWER_S = 0.8
"""Wait for an answer before the round trip is known, s of the wall."""
SHORTEST_ANSWER_S, LONGEST_ANSWER_S = 0.25, 2.5
ROUND_TRIPS = 4.0
"""Once it is known, the wait is so many round trips."""


class Pace:
    """How long to wait for an answer, learned from those that came at the first asking."""

    def __init__(self) -> None:
        """Nothing learned yet."""
        self.answer_s = ANSWER_S
        """Wait before the first repetition, s of the wall."""

    @property
    def longest_s(self) -> float:
        """Wait that repetitions grow to, s: a link that loses frames is not a slow one."""
        return min(LONGEST_ANSWER_S, max(1.0, 3.0 * self.answer_s))

    def answered(self, round_trip_s: float) -> None:
        """An answer came so long after its first asking."""
        aim_s = min(LONGEST_ANSWER_S, max(SHORTEST_ANSWER_S, ROUND_TRIPS * round_trip_s))
        self.answer_s = aim_s if aim_s > self.answer_s else 0.7 * self.answer_s + 0.3 * aim_s


class Inbox:
    """Messages of the kinds somebody waits for, in the order they came; none is dropped."""

    def __init__(self) -> None:
        """Empty."""
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    def put(self, message: Any) -> None:
        """One more message."""
        self._queue.put_nowait(message)

    async def get(self, timeout_s: float) -> Any:
        """The next message, or None when none comes within `timeout_s` of the wall."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None


class Channel:
    """Messages of one vehicle's autopilot."""

    def __init__(
        self, sysid: int, send: Callable[[Any], bool], *, ground: tuple[int, int], compid: int = AUTOPILOT_COMPID
    ) -> None:
        """`send` takes a pymavlink message to this vehicle's present address and says whether there is one;
        `ground` is our own sysid and compid."""
        self.sysid, self.compid, self.ground = sysid, compid, ground
        self.pace = Pace()
        self._send = send
        self._inboxes: dict[str, list[Inbox]] = {}
        self._heard_monotonic_s = time.monotonic()

    def send(self, message: Any) -> None:
        """Send to this vehicle.

        Raises LinkLost where no address of it is known, IdentityConflict, VehicleRefused for a number that the
        message has no room for.
        """
        try:
            sent = self._send(message)
        except (struct.error, OverflowError) as exc:
            raise VehicleRefused(f"sysid {self.sysid}: {message.get_type()} cannot carry that: {exc}") from exc
        if not sent:
            raise LinkLost(f"sysid {self.sysid}: no link leads to it now")

    @contextmanager
    def listen(self, *kinds: str) -> Iterator[Inbox]:
        """An inbox for messages of these names, as long as the context lasts."""
        inbox = Inbox()
        for kind in kinds:
            self._inboxes.setdefault(kind, []).append(inbox)
        try:
            yield inbox
        finally:
            for kind in kinds:
                self._inboxes[kind].remove(inbox)

    def deliver(self, message: Any) -> None:
        """Hand a message of the vehicle to those who wait for its kind."""
        self._heard_monotonic_s = time.monotonic()
        for inbox in self._inboxes.get(message.get_type(), ()):
            inbox.put(message)

    def wanted(self, kind: str) -> bool:
        """Whether somebody waits for messages of this name."""
        return bool(self._inboxes.get(kind))

    def for_us(self, message: Any) -> bool:
        """Whether a message that names a target names us, or everybody."""
        return message.target_system in (self.ground[0], 0) and message.target_component in (self.ground[1], 0)

    @property
    def silent_s(self) -> float:
        """Wall time since anything was heard, s."""
        return time.monotonic() - self._heard_monotonic_s
