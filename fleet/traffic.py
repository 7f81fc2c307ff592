"""What a link is, and what passes over it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import msgspec

from fleet.framing import Frame, Framer

Address = tuple[str, int]
"""Host and port of the other end."""
Heard = list[tuple[Address, Frame]]
"""Frames with the addresses they came from, those of each in their order."""
Receiver = Callable[["Link", Heard], None]
"""What a link calls with the frames it heard."""

MOST_SENDERS = 256
"""Of so many senders a UDP link keeps what was cut off; beyond, the longest silent one is forgotten. A TCP server takes
no more connections."""


class LinkTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """What passed over a link since it was made."""

    name: str
    """The string it was made from."""
    senders: int
    """Other ends that it hears now, or heard lately."""
    frames_in: int
    """Frames heard."""
    bytes_in: int
    """Bytes heard."""
    bad_crc: int
    """Places that looked like a frame and had a wrong CRC."""
    garbage_bytes: int
    """Bytes heard that belong to no frame."""
    frames_out: int
    """Frames sent."""
    bytes_out: int
    """Bytes sent."""


class Link(Protocol):
    """One opening to the outside; an async context manager that is open while inside."""

    name: str
    """The string it was made from."""
    receiver: Receiver | None
    """Who takes the frames; set before entering."""

    @property
    def peer(self) -> Address | None:
        """The one address at the other end where there is only one (UDP out, TCP while connected)."""

    def send(self, data: bytes, address: Address) -> bool:
        """Send one frame to an address; false if the link cannot send now."""

    def traffic(self) -> LinkTraffic:
        """What passed over it."""

    async def __aenter__(self) -> Self:
        """Open; raises LinkUnreachable."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""


class Traffic:
    """What a link hears, cut into frames, and counts of both ways."""

    def __init__(self, name: str) -> None:
        """Of the link of that name; nothing passed yet."""
        self._name = name
        self._framer = Framer()
        self._senders: dict[Address, None] = {}
        self._frames_out = self._bytes_out = 0

    def heard(self, pieces: dict[Address, bytes]) -> Heard:
        """The frames that are complete with what came from each address."""
        frames = self._framer.hear(pieces)
        for address in pieces:
            self._senders.pop(address, None)
            self._senders[address] = None
        while len(self._senders) > MOST_SENDERS:
            self.forget(next(iter(self._senders)))
        return frames

    def forget(self, address: Address) -> None:
        """Nothing more comes from there."""
        self._senders.pop(address, None)
        self._framer.forget(address)

    def sent(self, data: bytes) -> None:
        """One frame."""
        self._frames_out += 1
        self._bytes_out += len(data)

    def counts(self) -> LinkTraffic:
        """All of it."""
        return LinkTraffic(
            name=self._name,
            senders=len(self._senders),
            frames_in=self._framer.frames,
            bytes_in=self._framer.bytes,
            bad_crc=self._framer.bad_crc,
            garbage_bytes=self._framer.garbage_bytes,
            frames_out=self._frames_out,
            bytes_out=self._bytes_out,
        )


def bracketed(host: str) -> str:
    """As a link string has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
