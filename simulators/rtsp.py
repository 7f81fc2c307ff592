"""An RTSP server for simulated cameras: MPEG-TS or H.264 over RTP, interleaved in the TCP connection or by UDP.

Source: RFC 2326 (RTSP 1.0).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
import time
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

import structlog

from simulators.rtp import PAYLOAD_TYPES, Payload, Rtp
from simulators.video import Channel, Chunk

_log = structlog.get_logger(__name__)

_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    505: "RTSP Version Not Supported",
}
_MAX_HEADER_BYTES = 8192
_MAX_BODY_BYTES = 65_536
_STALL_S = 30.0
"""How long a client may take nothing before it is cut off."""
_HANG_UP_S = 1.0
"""How long a client may take for what was sent before it is hung up on."""
_REPORT_EVERY_S = 1.0
_BURST_DATAGRAMS = 24


class RtspServer:
    """Serves channels by path to any number of clients; an async context manager."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_clients: int = 64,
        transports: tuple[Literal["tcp", "udp"], ...] = ("tcp", "udp"),
    ) -> None:
        """Listens on `host` and `port` (0: a free one) once entered; RTP goes by no other transport."""
        self.host = host
        self.port = port
        self.served: list[str] = []
        """By what transport each stream so far was asked for and given: "tcp" or "udp"."""
        self._transports = transports
        self._max_clients = max_clients
        self._channels: dict[str, tuple[Channel, Payload]] = {}
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.host, self.port, limit=_MAX_HEADER_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        clients = list(self._clients)
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # transports that were aborted close in the loop's next turn

    def mount(self, path: str, channel: Channel, payload: Payload = "mp2t") -> str:
        """Serve a channel at a path such as "/7"; its URL. "h264" sends pictures without metadata."""
        self._channels[_clean(path)] = channel, payload
        return self.url(path)

    def url(self, path: str) -> str:
        """The URL of a path, once the server listens."""
        return f"rtsp://{self.host}:{self.port}{_clean(path)}"

    def hang_up(self) -> None:
        """Cut off all clients; new ones are served."""
        for task in self._clients:
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= self._max_clients:
            writer.transport.abort()
            return
        task = asyncio.create_task(_serve(_Client(reader, writer, self._channels, self._transports, self.served)))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        task.add_done_callback(lambda _: writer.transport.abort())


async def _serve(client: _Client) -> None:
    try:
        await client.converse()
    except (OSError, EOFError, asyncio.LimitOverrunError, ValueError) as exc:
        _log.debug("RTSP client gone", reason=repr(exc))
    finally:
        await client.close()


def _clean(path: str) -> str:
    return "/" + path.strip("/")


class _Refused(Exception):
    """A request that gets an error status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Client:
    """One connection: its requests, and at most one stream."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        channels: dict[str, tuple[Channel, Payload]],
        transports: tuple[str, ...],
        served: list[str],
    ) -> None:
        self._transports, self._served = transports, served
        self._reader, self._writer, self._channels = reader, writer, channels
        self._session = ""
        self._sender: _TcpSender | _UdpSender | None = None
        self._channel: Channel | None = None
        self._playing: asyncio.Task[None] | None = None

    async def converse(self) -> None:
        """Answer requests until TEARDOWN or the end of the connection."""
        while True:
            first = await self._reader.readexactly(1)
            if first == b"$":  # RTCP of the client, interleaved: of no use here
                _, size = struct.unpack(">BH", await self._reader.readexactly(3))
                await self._reader.readexactly(size)
                continue
            if first in b"\r\n":
                continue
            text = (first + await self._reader.readuntil(b"\r\n\r\n")).decode("utf-8", errors="replace")
            method, url, headers = _request(text)
            size = int(headers.get("content-length", "0"))
            if not 0 <= size <= _MAX_BODY_BYTES:
                raise ValueError(f"a body of {size} bytes")
            await self._reader.readexactly(size)
            try:
                status, answer, body = 200, *await self._answer(method, url, headers)
            except _Refused as refused:
                status, answer, body = refused.status, {"Allow": _METHODS} if refused.status == 405 else {}, b""
            self._respond(status, headers.get("cseq", "0"), answer, body)
            if method == "PLAY" and status == 200:
                self._playing = asyncio.create_task(self._play())
            if method == "TEARDOWN" and status == 200:
                return

    async def close(self) -> None:
        """Stop sending and hang up. All is let go before the first wait, which may be cancelled."""
        if self._sender is not None:
            self._sender.close()
        self._writer.close()
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_HANG_UP_S):
                await self._writer.wait_closed()

    async def _answer(self, method: str, url: str, headers: dict[str, str]) -> tuple[dict[str, str], bytes]:
        if method == "OPTIONS":
            return {"Public": _METHODS}, b""
        if method == "DESCRIBE":
            _, payload = self._find(url)
            sdp = _sdp(payload, self._writer.get_extra_info("sockname")[0])
            return {"Content-Base": url.rstrip("/") + "/", "Content-Type": "application/sdp"}, sdp
        if method == "SETUP":
            return await self._setup(url, headers), b""
        if method in ("PLAY", "GET_PARAMETER", "SET_PARAMETER", "TEARDOWN"):
            stated = headers.get("session", "").split(";")[0]
            if stated != self._session and (stated or method in ("PLAY", "TEARDOWN")):
                raise _Refused(454)
            if method == "PLAY":
                if self._sender is None:
                    raise _Refused(455)
                if self._playing is not None:
                    raise _Refused(455)
                return {"Session": self._session, "Range": "npt=now-"}, b""
            return ({"Session": self._session} if self._session else {}), b""
        raise _Refused(405)

    def _find(self, url: str) -> tuple[Channel, Payload]:
        path = _clean(urlsplit(url).path)
        found = self._channels.get(path) or self._channels.get(path.removesuffix("/track0"))
        if found is None:
            raise _Refused(404)
        return found

    async def _setup(self, url: str, headers: dict[str, str]) -> dict[str, str]:
        channel, payload = self._find(url)
        if self._playing is not None:
            raise _Refused(455)
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        for offer in headers.get("transport", "").split(","):
            fields = offer.strip().split(";")
            options = dict(f.partition("=")[::2] for f in fields)
            if "multicast" in fields:
                continue
            by = "tcp" if fields[0].upper() == "RTP/AVP/TCP" else "udp"
            if by not in self._transports:
                continue
            if by == "tcp":
                first, last = _pair(options.get("interleaved", "0-1"), 255)
                self._sender = _TcpSender(self._writer, first, Rtp(payload))
                transport = f"RTP/AVP/TCP;unicast;interleaved={first}-{last}"
            elif fields[0].upper() in ("RTP/AVP", "RTP/AVP/UDP") and "client_port" in options:
                first, last = _pair(options["client_port"], 65_535)
                peer, here = (self._writer.get_extra_info(k)[0] for k in ("peername", "sockname"))
                self._sender = await _UdpSender.open(here, peer, first, Rtp(payload))
                ports = f"{self._sender.port}-{self._sender.port + 1}"
                transport = f"RTP/AVP;unicast;client_port={first}-{last};server_port={ports}"
            else:
                continue
            self._channel = channel
            self._served.append(by)
            self._session = self._session or secrets.token_hex(8)
            return {
                "Transport": f"{transport};ssrc={self._sender.rtp.ssrc:08X}",
                "Session": f"{self._session};timeout=60",
            }
        raise _Refused(461)

    def _respond(self, status: int, cseq: str, headers: dict[str, str], body: bytes) -> None:
        lines = [f"RTSP/1.0 {status} {_REASONS[status]}", f"CSeq: {cseq}", "Server: missioncontrol"]
        lines += [f"{k}: {v}" for k, v in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def _play(self) -> None:
        assert self._channel is not None
        assert self._sender is not None
        try:
            with self._channel.subscribe() as chunks:
                reported_s = 0.0
                async for chunk in chunks:
                    async with asyncio.timeout(_STALL_S):
                        if time.monotonic() - reported_s >= _REPORT_EVERY_S:
                            reported_s = time.monotonic()
                            self._sender.report(self._sender.rtp.report(chunk.ticks, time.time()))
                        await self._sender.send(chunk)
        except (OSError, TimeoutError) as exc:
            _log.debug("RTSP client cut off", reason=repr(exc))
        self._writer.close()  # the camera ended, or the client takes nothing


def _request(text: str) -> tuple[str, str, dict[str, str]]:
    head, *rest = text.split("\r\n")
    words = head.split(" ")
    if len(words) != 3 or not words[2].startswith("RTSP/1."):
        raise ValueError(f"no RTSP request: {head[:80]!r}")
    headers = {}
    for line in filter(None, rest):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return words[0], words[1], headers


def _pair(text: str, highest: int) -> tuple[int, int]:
    first, _, last = text.partition("-")
    try:
        pair = int(first), int(last or int(first) + 1)
    except ValueError:
        raise _Refused(400) from None
    if not all(0 <= n <= highest for n in pair):
        raise _Refused(400)
    return pair


def _sdp(payload: Payload, host: str) -> bytes:
    number = PAYLOAD_TYPES[payload]
    family = "IP6" if ":" in host else "IP4"
    lines = [
        "v=0",
        f"o=- 0 0 IN {family} {host}",
        "s=camera",
        f"c=IN {family} {'::' if family == 'IP6' else '0.0.0.0'}",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {number}",
        f"a=rtpmap:{number} {payload.upper()}/90000",
        *([f"a=fmtp:{number} packetization-mode=1"] if payload == "h264" else []),
        "a=control:track0",
        "",
    ]
    return "\r\n".join(lines).encode()


class _TcpSender:
    """RTP in the RTSP connection itself."""

    def __init__(self, writer: asyncio.StreamWriter, channel: int, rtp: Rtp) -> None:
        self.rtp = rtp
        self._writer, self._channel = writer, channel
        writer.transport.set_write_buffer_limits(high=128_000)

    async def send(self, chunk: Chunk) -> None:
        self._writer.writelines(
            b"$" + struct.pack(">BH", self._channel, len(packet)) + packet for packet in self.rtp.packets(chunk)
        )
        await self._writer.drain()

    def report(self, packet: bytes) -> None:
        """RTCP, by the channel next to the one of RTP."""
        self._writer.write(b"$" + struct.pack(">BH", self._channel + 1, len(packet)) + packet)

    def close(self) -> None:
        """Nothing of its own to close."""


class _UdpSender:
    """RTP in datagrams."""

    def __init__(
        self, rtp: Rtp, data: asyncio.DatagramTransport, rtcp: asyncio.DatagramTransport, to: tuple[str, int], port: int
    ) -> None:
        self.rtp = rtp
        self.port = port
        self._transport, self._rtcp, self._reports_to = data, rtcp, to

    @classmethod
    async def open(cls, host: str, peer: str, peer_port: int, packets: Rtp) -> _UdpSender:
        """Bound to a free even port and the next one, for RTCP, which is taken and ignored."""
        loop = asyncio.get_running_loop()
        for _ in range(20):
            port = 20_000 + 2 * secrets.randbelow(20_000)
            try:
                rtcp, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(host, port + 1))
            except OSError:
                continue
            try:
                rtp, _ = await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol, local_addr=(host, port), remote_addr=(peer, peer_port)
                )
            except OSError:
                rtcp.abort()
                continue
            except asyncio.CancelledError:
                rtcp.abort()
                raise
            return cls(packets, rtp, rtcp, (peer, peer_port + 1), port)
        raise OSError("no free pair of UDP ports")

    async def send(self, chunk: Chunk) -> None:
        for i, packet in enumerate(self.rtp.packets(chunk), 1):
            self._transport.sendto(packet)
            if i % _BURST_DATAGRAMS == 0:
                await asyncio.sleep(0.001)

    def report(self, packet: bytes) -> None:
        """RTCP, to the port next to the one of RTP."""
        self._rtcp.sendto(packet, self._reports_to)

    def close(self) -> None:
        self._transport.abort()
        self._rtcp.abort()
