"""Links that carry MAVLink: UDP in and out, and TCP, from strings such as `udpin:0.0.0.0:14550`.

A link cuts what it hears into frames and hands them on with the address they came from; what it sends goes
to one address. Who lives at which address is not its business: `fleet.fleet` routes by sysid.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, cast

import structlog

from fleet.errors import LinkInvalid, LinkUnreachable
from fleet.framing import Frame, Framer

Address = tuple[str, int]
"""Host and port of the other end."""
Receiver = Callable[["Link", Address, list[Frame]], None]
"""What a link calls with the frames it heard from an address."""

LINK_KINDS = ("udpin", "udpout", "tcp")
MOST_SENDERS = 256
"""So many senders keep a framer on one UDP link; beyond, the longest silent one is forgotten."""
RECEIVE_BUFFER_BYTES = 1 << 21
"""Room that a UDP socket asks the system for, so that a busy moment loses nothing."""
RECONNECT_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to open a TCP connection that broke, s; the last is repeated."""

log = structlog.get_logger(__name__)


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

    def framers(self) -> list[Framer]:
        """The framers of its senders, for their counts."""

    async def __aenter__(self) -> Self:
        """Open; raises LinkUnreachable."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""


def open_link(text: str) -> Link:
    """The link that `text` names (`udpin:host:port`, `udpout:host:port`, `tcp:host:port`); raises LinkInvalid.

    Nothing is opened before the link is entered with `async with`.
    """
    kind, _, rest = text.partition(":")
    host, _, port_text = rest.rpartition(":")
    if kind not in LINK_KINDS:
        raise LinkInvalid(
            f"link {text!r}: unknown kind {kind!r}; known are {', '.join(LINK_KINDS)}, as udpin:host:port"
        )
    if not host or not port_text.isascii() or not port_text.isdigit() or not 1 <= int(port_text) <= 65535:
        raise LinkInvalid(f"link {text!r}: expected {kind}:host:port with a port from 1 to 65535")
    host = host.removeprefix("[").removesuffix("]")
    if kind == "tcp":
        return TcpLink(host, int(port_text))
    return UdpLink(host, int(port_text), listen=kind == "udpin")


class UdpLink(asyncio.DatagramProtocol):
    """MAVLink in UDP datagrams: listening on a port for any number of senders, or towards one address."""

    def __init__(self, host: str, port: int, *, listen: bool) -> None:
        """Listen on host:port, or (not `listen`) send to it."""
        self.name = f"{'udpin' if listen else 'udpout'}:{host}:{port}"
        self.receiver: Receiver | None = None
        self._host, self._port, self._listen = host, port, listen
        self._transport: asyncio.DatagramTransport | None = None
        self._framers: dict[Address, Framer] = {}
        self._peer: Address | None = None

    @property
    def peer(self) -> Address | None:
        """Where an outgoing link leads; none for a listening one."""
        return self._peer

    @property
    def local_port(self) -> int:
        """The port bound here; 0 while closed."""
        return int(self._transport.get_extra_info("sockname")[1]) if self._transport else 0

    def framers(self) -> list[Framer]:
        """One for each sender."""
        return list(self._framers.values())

    def send(self, data: bytes, address: Address) -> bool:
        """Send one frame; what the network loses is not known here."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.sendto(data, address)
        return True

    def datagram_received(self, data: bytes, address: Address) -> None:
        """Asyncio's call for each datagram."""
        source = (address[0], address[1])
        framer = self._framers.pop(source, None)
        if framer is None:
            framer = Framer()
            if len(self._framers) >= MOST_SENDERS:
                del self._framers[next(iter(self._framers))]
        self._framers[source] = framer
        frames = framer.feed(data)
        if frames and self.receiver:
            self.receiver(self, source, frames)

    def error_received(self, exc: Exception) -> None:
        """Asyncio's call for an error from the network, as when nobody listens at the other end (yet)."""
        log.debug("udp error", link=self.name, error=str(exc))

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=1)
            place = cast(Address, found[0][4][:2])
            local = place if self._listen else (_any_host(place[0]), 0)
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=local)
        except OSError as exc:
            deed = "cannot listen" if self._listen else "no such address"
            raise LinkUnreachable(f"{self.name}: {deed}: {exc.strerror or exc}") from exc
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if not self._listen:
            self._peer = place
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport:
            self._transport.close()
            self._transport = None
            await asyncio.sleep(0)


def _any_host(host: str) -> str:
    return "::" if ":" in host else "0.0.0.0"


class TcpLink:
    """MAVLink over a TCP connection to host:port; opened again, with pauses, when it breaks."""

    def __init__(self, host: str, port: int) -> None:
        """Towards host:port."""
        self.name = f"tcp:{host}:{port}"
        self.receiver: Receiver | None = None
        self._host, self._port = host, port
        self._writer: asyncio.StreamWriter | None = None
        self._framer = Framer()
        self._task: asyncio.Task[None] | None = None

    @property
    def peer(self) -> Address | None:
        """The other end while connected."""
        return (self._host, self._port) if self._writer else None

    def framers(self) -> list[Framer]:
        """The one of the connection."""
        return [self._framer]

    def send(self, data: bytes, address: Address) -> bool:
        """Send one frame; false while the connection is down."""
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(data)
        return True

    async def _connect(self) -> asyncio.StreamReader:
        reader, self._writer = await asyncio.wait_for(asyncio.open_connection(self._host, self._port), 5.0)
        return reader

    async def _keep_reading(self, reader: asyncio.StreamReader) -> None:
        while True:
            await self._read(reader)
            for attempt in itertools.count():
                await asyncio.sleep(RECONNECT_S[min(attempt, len(RECONNECT_S) - 1)])
                with contextlib.suppress(OSError, TimeoutError):
                    reader = await self._connect()
                    log.info("link is back", link=self.name)
                    break

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Until the connection ends."""
        address = (self._host, self._port)
        try:
            while data := await reader.read(65536):
                frames = self._framer.feed(data)
                if frames and self.receiver:
                    self.receiver(self, address, frames)
        except OSError as exc:
            log.warning("link broke", link=self.name, error=str(exc))
        else:
            log.warning("link closed by the other end", link=self.name)
        await self._close()

    async def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
            self._writer = None

    async def __aenter__(self) -> Self:
        try:
            reader = await self._connect()
        except TimeoutError as exc:
            raise LinkUnreachable(f"{self.name}: no connection within 5 s") from exc
        except OSError as exc:
            raise LinkUnreachable(f"{self.name}: {exc.strerror or exc}") from exc
        self._task = asyncio.create_task(self._keep_reading(reader), name=f"link[{self.name}]")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._close()
