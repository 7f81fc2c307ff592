"""The radio of a simulated vehicle: UDP or TCP, or a queue in the same process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol, cast

from simulators.errors import LinkUnusable


class Link(Protocol):
    """Carries frames both ways."""

    async def open(self, receive: Callable[[bytes], None]) -> None:
        """Start; `receive` is called with what comes in. Raises LinkUnusable."""

    def send(self, data: bytes) -> None:
        """Send to every ground that is there; never waits."""

    def close(self) -> None:
        """Stop."""


class UdpLink(asyncio.DatagramProtocol):
    """UDP: towards one address, or waiting at one and answering whoever spoke."""

    def __init__(self, host: str, port: int, *, waits: bool) -> None:
        """`waits` binds the address (udpin), else it is the ground's (udpout)."""
        self._address, self._waits = (host, port), waits
        self._transport: asyncio.DatagramTransport | None = None
        self._receive: Callable[[bytes], None] = lambda data: None
        self._grounds: dict[tuple[str, int], None] = {}

    async def open(self, receive: Callable[[bytes], None]) -> None:
        """Start; `receive` is called with each datagram. Raises LinkUnusable."""
        self._receive = receive
        loop = asyncio.get_running_loop()
        try:
            if self._waits:
                await loop.create_datagram_endpoint(lambda: self, local_addr=self._address)
            else:
                await loop.create_datagram_endpoint(lambda: self, remote_addr=self._address)
        except OSError as exc:
            raise LinkUnusable(f"{'udpin' if self._waits else 'udpout'}:{self._address}: {exc}") from exc

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A datagram came in."""
        if self._waits:
            self._grounds[addr] = None
        self._receive(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there yet; the vehicle goes on sending."""

    def send(self, data: bytes) -> None:
        """Send to every ground that is there."""
        if self._transport is None or self._transport.is_closing():
            return
        if not self._waits:
            self._transport.sendto(data)
            return
        for ground in self._grounds:
            self._transport.sendto(data, ground)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()


class TcpLink:
    """TCP: a server for any number of grounds (tcpin), or a client of one (tcp)."""

    def __init__(self, host: str, port: int, *, waits: bool) -> None:
        """`waits` listens at the address, else it is connected to."""
        self._host, self._port, self._waits = host, port, waits
        self._receive: Callable[[bytes], None] = lambda data: None
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, receive: Callable[[bytes], None]) -> None:
        """Listen or connect. Raises LinkUnusable."""
        self._receive = receive
        try:
            if self._waits:
                self._server = await asyncio.start_server(self._serve, self._host, self._port)
            else:
                reader, writer = await asyncio.open_connection(self._host, self._port)
                task = asyncio.create_task(self._serve(reader, writer), name="simulated tcp link")
                self._tasks.add(task)
        except OSError as exc:
            raise LinkUnusable(f"{'tcpin' if self._waits else 'tcp'}:{self._host}:{self._port}: {exc}") from exc

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while data := await reader.read(4096):
                self._receive(data)
        except ConnectionError:
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    def send(self, data: bytes) -> None:
        """Send to every ground that is there; one that does not read is not waited for."""
        for writer in self._writers:
            if writer.transport.get_write_buffer_size() < 1 << 20:
                writer.write(data)

    def close(self) -> None:
        """Close all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.close()


class QueueLink:
    """Frames in lists, for stepping a vehicle without a clock."""

    def __init__(self) -> None:
        """Nothing sent yet."""
        self.sent: list[bytes] = []

    async def open(self, receive: Callable[[bytes], None]) -> None:
        """Nothing to open."""

    def send(self, data: bytes) -> None:
        """Keep a frame."""
        self.sent.append(data)

    def close(self) -> None:
        """Nothing to close."""


def link_of(address: str) -> Link:
    """A link by its address: udpout:HOST:PORT, udpin:HOST:PORT, tcp:HOST:PORT, tcpin:HOST:PORT. Raises LinkUnusable."""
    parts = address.split(":")
    if len(parts) != 3 or parts[0] not in ("udpout", "udpin", "tcp", "tcpin") or not parts[2].isdigit():
        raise LinkUnusable(f"{address!r}: want udpout:HOST:PORT, udpin:HOST:PORT, tcp:HOST:PORT or tcpin:HOST:PORT")
    kind, host, port = parts[0], parts[1], int(parts[2])
    if not 0 <= port <= 65535:
        raise LinkUnusable(f"{address!r}: port {port} is not between 0 and 65535")
    if kind.startswith("udp"):
        return UdpLink(host, port, waits=kind == "udpin")
    return TcpLink(host, port, waits=kind == "tcpin")
