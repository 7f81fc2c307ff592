"""Links that carry MAVLink: UDP in and out, TCP client and server, serial, from strings as `udpin:0.0.0.0:14550`.

A link cuts what it hears into frames and hands them on with the address they came from; what it sends goes
to one address. Who lives at which address is not its business: `fleet.fleet` routes by sysid.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, cast

import serial
import structlog

from fleet.datagrams import UdpLink
from fleet.errors import LinkInvalid, LinkUnreachable
from fleet.traffic import MOST_SENDERS, Address, Link, LinkTraffic, Receiver, Traffic, bracketed

LINK_KINDS = ("udpin", "udpout", "tcp", "tcpin", "serial")
MOST_UNSENT_BYTES = 1 << 16
"""A stream that its other end does not read gets no more frames than this; they would be old when they arrive."""
MOST_BAUD = 12_000_000
CONNECT_S = 5.0
"""Wait for a TCP connection, s."""
RECONNECT_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to open a stream that broke, s; the last is repeated."""

log = structlog.get_logger(__name__)


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
        self._traffic = Traffic(name)
        self._task: asyncio.Task[None] | None = None

    @property
    def peer(self) -> Address | None:
        """The other end while connected."""
        return self._address if self._writer else None

    def traffic(self) -> LinkTraffic:
        """What passed over it."""
        return self._traffic.counts()

    def send(self, data: bytes, address: Address) -> bool:
        """Send one frame; false while the stream is down, or full."""
        if not _write(self._writer, data):
            return False
        self._traffic.sent(data)
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
                if (frames := self._traffic.heard({self._address: data})) and self.receiver:
                    self.receiver(self, frames)
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
        self.name = f"tcpin:{bracketed(host)}:{port}"
        self.receiver: Receiver | None = None
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._writers: dict[Address, asyncio.StreamWriter] = {}
        self._traffic = Traffic(self.name)

    @property
    def local_port(self) -> int:
        """The port bound here; 0 while closed."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else 0

    def traffic(self) -> LinkTraffic:
        """What passed over it."""
        return self._traffic.counts()

    def send(self, data: bytes, address: Address) -> bool:
        """Send one frame to a connection; false where there is none from that address, or it is full."""
        if not _write(self._writers.get(address), data):
            return False
        self._traffic.sent(data)
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
                if (frames := self._traffic.heard({address: data})) and self.receiver:
                    self.receiver(self, frames)
        except OSError as exc:
            log.warning("connection broke", link=self.name, address=address, error=str(exc))
        finally:
            del self._writers[address]
            self._traffic.forget(address)
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
