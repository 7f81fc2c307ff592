"""Links that carry MAVLink: UDP in and out, TCP client and server, serial, from strings as `udpin:0.0.0.0:14550`.

A link cuts what it hears into frames and hands them on with the address they came from; what it sends goes
to one address. Who lives at which address is not its business: `fleet.fleet` routes by sysid.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol, Self, cast

import msgspec
import serial
import structlog

from fleet.errors import LinkInvalid, LinkUnreachable
from fleet.framing import Frame, Framer

Address = tuple[str, int]
"""Host and port of the other end."""
Receiver = Callable[["Link", Address, list[Frame]], None]
"""What a link calls with the frames it heard from an address."""

LINK_KINDS = ("udpin", "udpout", "tcp", "tcpin", "serial")
MOST_SENDERS = 256
"""So many senders keep a framer on one UDP link; beyond, the longest silent one is forgotten. A TCP server takes no
more connections."""
MOST_UNSENT_BYTES = 1 << 16
"""A stream that its other end does not read gets no more frames than this; they would be old when they arrive."""
RECEIVE_BUFFER_BYTES = 1 << 21
"""Room that a UDP socket asks the system for, so that a busy moment loses nothing."""
MOST_BAUD = 12_000_000
CONNECT_S = 5.0
"""Wait for a TCP connection, s."""
RECONNECT_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to open a stream that broke, s; the last is repeated."""

log = structlog.get_logger(__name__)


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


def open_link(text: str) -> Link:
    """The link that `text` names; raises LinkInvalid. Nothing is opened before it is entered with `async with`.

    `udpin:host:port` listens, `udpout:host:port` sends there first, `tcp:host:port` connects, `tcpin:host:port` is
    connected to, `serial:device:baud` is a port of this machine.
    """
    kind, _, rest = text.partition(":")
    host, _, number_text = rest.rpartition(":")
    if kind not in LINK_KINDS:
        raise LinkInvalid(
            f"link {text!r}: unknown kind {kind!r}; known are {', '.join(LINK_KINDS)}, as udpin:host:port"
        )
    number = int(number_text) if number_text.isascii() and number_text.isdigit() else 0
    if kind == "serial":
        if not host or not 1 <= number <= MOST_BAUD:
            raise LinkInvalid(f"link {text!r}: expected serial:device:baud, as serial:/dev/ttyUSB0:57600")
        return StreamLink(text, (host, number), lambda: _open_serial(host, number))
    if not host or not 1 <= number <= 65535:
        raise LinkInvalid(f"link {text!r}: expected {kind}:host:port with a port from 1 to 65535")
    host = host.removeprefix("[").removesuffix("]")
    if kind == "tcp":
        return StreamLink(text, (host, number), lambda: _open_tcp(host, number))
    if kind == "tcpin":
        return TcpServerLink(host, number)
    return UdpLink(host, number, listen=kind == "udpin")


class _Counts:
    """The framers of a link's senders, and what it sent."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._framers: dict[Address, Framer] = {}
        self._gone = Framer()
        self._frames_out = self._bytes_out = 0

    def framer(self, address: Address) -> Framer:
        """Of a sender; the longest silent one is forgotten when there are too many."""
        framer = self._framers.pop(address, None)
        if framer is None:
            framer = Framer()
            if len(self._framers) >= MOST_SENDERS:
                self.forget(next(iter(self._framers)))
        self._framers[address] = framer
        return framer

    def forget(self, address: Address) -> None:
        """Its counts stay in the sums."""
        framer = self._framers.pop(address)
        self._gone.frames += framer.frames
        self._gone.bytes += framer.bytes
        self._gone.bad_crc += framer.bad_crc
        self._gone.garbage_bytes += framer.garbage_bytes

    def sent(self, data: bytes) -> None:
        """One frame."""
        self._frames_out += 1
        self._bytes_out += len(data)

    def traffic(self) -> LinkTraffic:
        """All of it."""
        framers = (self._gone, *self._framers.values())
        return LinkTraffic(
            name=self._name,
            senders=len(self._framers),
            frames_in=sum(framer.frames for framer in framers),
            bytes_in=sum(framer.bytes for framer in framers),
            bad_crc=sum(framer.bad_crc for framer in framers),
            garbage_bytes=sum(framer.garbage_bytes for framer in framers),
            frames_out=self._frames_out,
            bytes_out=self._bytes_out,
        )


class UdpLink(asyncio.DatagramProtocol):
    """MAVLink in UDP datagrams: listening on a port for any number of senders, or towards one address."""

    def __init__(self, host: str, port: int, *, listen: bool) -> None:
        """Listen on host:port, or (not `listen`) send to it."""
        self.name = f"{'udpin' if listen else 'udpout'}:{_bracketed(host)}:{port}"
        self.receiver: Receiver | None = None
        self._host, self._port, self._listen = host, port, listen
        self._transport: asyncio.DatagramTransport | None = None
        self._counts = _Counts(self.name)
        self._peer: Address | None = None

    @property
    def peer(self) -> Address | None:
        """Where an outgoing link leads; none for a listening one."""
        return self._peer

    @property
    def local_port(self) -> int:
        """The port bound here; 0 while closed."""
        return int(self._transport.get_extra_info("sockname")[1]) if self._transport else 0

    def traffic(self) -> LinkTraffic:
        """What passed over it."""
        return self._counts.traffic()

    def send(self, data: bytes, address: Address) -> bool:
        """Send one frame; what the network loses is not known here."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.sendto(data, address)
        self._counts.sent(data)
        return True

    def datagram_received(self, data: bytes, address: Address) -> None:
        """Asyncio's call for each datagram."""
        source = (address[0], address[1])
        frames = self._counts.framer(source).feed(data)
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


def _bracketed(host: str) -> str:
    """As a link string has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _any_host(host: str) -> str:
    return "::" if ":" in host else "0.0.0.0"


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""What an opened stream is read from and written to."""


async def _open_tcp(host: str, port: int) -> Stream:
    return await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_S)


async def _open_serial(device: str, baud: int) -> Stream:
    """Both directions of a port, which is ours alone as long as it is open."""
    try:
        port = serial.Serial(device, baud, timeout=0, exclusive=True)
    except (serial.SerialException, ValueError) as exc:
        raise OSError(getattr(exc, "errno", None), str(exc)) from exc
    with port:
        ends = os.dup(port.fileno()), os.dup(port.fileno())
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await loop.connect_read_pipe(lambda: protocol, os.fdopen(ends[0], "rb", 0))
    output, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(ends[1], "wb", 0))
    return reader, asyncio.StreamWriter(output, protocol, None, loop)


class StreamLink:
    """MAVLink over one stream of bytes, TCP or serial; opened again, with pauses, when it breaks."""

    def __init__(self, name: str, address: Address, open_stream: Callable[[], Awaitable[Stream]]) -> None:
        """`open_stream` opens it; what comes is said to come from `address`."""
        self.name = name
        self.receiver: Receiver | None = None
        self._address, self._open = address, open_stream
        self._writer: asyncio.StreamWriter | None = None
        self._counts = _Counts(name)
        self._task: asyncio.Task[None] | None = None

    @property
    def peer(self) -> Address | None:
        """The other end while connected."""
        return self._address if self._writer else None

    def traffic(self) -> LinkTraffic:
        """What passed over it."""
        return self._counts.traffic()

    def send(self, data: bytes, address: Address) -> bool:
        """Send one frame; false while the stream is down, or full."""
        if not _write(self._writer, data):
            return False
        self._counts.sent(data)
        return True

    async def _connect(self) -> asyncio.StreamReader:
        reader, self._writer = await self._open()
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
        """Until the stream ends."""
        try:
            while data := await reader.read(65536):
                frames = self._counts.framer(self._address).feed(data)
                if frames and self.receiver:
                    self.receiver(self, self._address, frames)
        except OSError as exc:
            log.warning("link broke", link=self.name, error=str(exc))
        else:
            log.warning("link closed by the other end", link=self.name)
        await self._close()

    async def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        try:
            reader = await self._connect()
        except TimeoutError as exc:
            raise LinkUnreachable(f"{self.name}: no connection within {CONNECT_S:g} s") from exc
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


class TcpServerLink:
    """MAVLink over TCP connections that others open to host:port."""

    peer: Address | None = None
    """None: there may be many."""

    def __init__(self, host: str, port: int) -> None:
        """Listen on host:port."""
        self.name = f"tcpin:{_bracketed(host)}:{port}"
        self.receiver: Receiver | None = None
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._writers: dict[Address, asyncio.StreamWriter] = {}
        self._counts = _Counts(self.name)

    @property
    def local_port(self) -> int:
        """The port bound here; 0 while closed."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else 0

    def traffic(self) -> LinkTraffic:
        """What passed over it."""
        return self._counts.traffic()

    def send(self, data: bytes, address: Address) -> bool:
        """Send one frame to a connection; false where there is none from that address, or it is full."""
        if not _write(self._writers.get(address), data):
            return False
        self._counts.sent(data)
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = cast(Address, writer.get_extra_info("peername")[:2])
        if len(self._writers) >= MOST_SENDERS:
            log.warning("connection refused, too many", link=self.name, address=address)
            writer.transport.abort()
            return
        self._writers[address] = writer
        try:
            while data := await reader.read(65536):
                frames = self._counts.framer(address).feed(data)
                if frames and self.receiver:
                    self.receiver(self, address, frames)
        except OSError as exc:
            log.warning("connection broke", link=self.name, address=address, error=str(exc))
        finally:
            del self._writers[address]
            with contextlib.suppress(KeyError):
                self._counts.forget(address)
            writer.close()

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self._port)
        except OSError as exc:
            raise LinkUnreachable(f"{self.name}: cannot listen: {exc.strerror or exc}") from exc
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers.values()):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None


def _write(writer: asyncio.StreamWriter | None, data: bytes) -> bool:
    """False where nobody takes it."""
    if writer is None or writer.is_closing() or writer.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
        return False
    writer.write(data)
    return True
