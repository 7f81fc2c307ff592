"""MAVLink over UDP."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from types import TracebackType
from typing import Self

import structlog

from fleet.errors import LinkUnreachable
from fleet.traffic import Address, LinkTraffic, Receiver, Traffic, bracketed

RECEIVE_BUFFER_BYTES = 1 << 21
"""Room that a socket asks the system for, so that a busy moment loses nothing."""
MOST_DATAGRAMS = 512
"""Taken at once, before others have their turn."""
LARGEST_DATAGRAM_BYTES = 65_536
GATHER_S, HURRY_S = 0.05, 0.002
"""While much comes it waits so long to be taken together, s: what nobody asked for, and what may be an answer."""
ANSWER_S = 0.05
"""What comes so soon after something was sent may be an answer, s."""
MOST_UNSENT = 1024
"""So many frames wait for a network that takes no more now."""

log = structlog.get_logger(__name__)


class UdpLink:
    """MAVLink in UDP datagrams: listening on a port for any number of senders, or towards one address.

    To be woken for a datagram costs several times what a frame needs. So where telemetry comes thick it gathers for a
    moment; for a shorter one while we send, as in a transfer or for a command.
    """

    def __init__(self, host: str, port: int, *, listen: bool) -> None:
        """Listen on host:port, or (not `listen`) send to it."""
        self.name = f"{'udpin' if listen else 'udpout'}:{bracketed(host)}:{port}"
        self.receiver: Receiver | None = None
        self._host, self._port, self._listen = host, port, listen
        self._traffic = Traffic(self.name)
        self._peer: Address | None = None
        self._socket: socket.socket | None = None
        self._unsent: deque[tuple[bytes, Address]] = deque()
        self._gathering: asyncio.TimerHandle | None = None
        self._read_s = self._sent_s = 0.0

    @property
    def peer(self) -> Address | None:
        """Where an outgoing link leads; none for a listening one."""
        return self._peer

    @property
    def local_port(self) -> int:
        """The port bound here; 0 while closed."""
        return int(self._socket.getsockname()[1]) if self._socket else 0

    def traffic(self) -> LinkTraffic:
        """What passed over it."""
        return self._traffic.counts()

    def send(self, data: bytes, address: Address) -> bool:
        """Send one frame; what the network loses is not known here."""
        if self._socket is None or len(self._unsent) >= MOST_UNSENT:
            return False
        self._sent_s = self._loop.time()
        if self._gathering is not None:
            self._take_at_once()
        if self._unsent or not self._takes(self._socket, data, address):
            self._unsent.append((data, address))
            self._loop.add_writer(self._socket, self._send_on, self._socket)
        self._traffic.sent(data)
        return True

    def _takes(self, sender: socket.socket, data: bytes, address: Address) -> bool:
        """Hand a datagram to the system; false where it takes none now."""
        try:
            sender.sendto(data, address)
        except BlockingIOError:
            return False
        except OSError as exc:
            log.debug("udp error", link=self.name, error=str(exc))
        return True

    def _send_on(self, sender: socket.socket) -> None:
        """Send what waits, as far as the system takes it now."""
        while self._unsent and self._takes(sender, *self._unsent[0]):
            self._unsent.popleft()
        if not self._unsent:
            self._loop.remove_writer(sender)

    def _read(self, receiving: socket.socket) -> None:
        """Take what has come."""
        pieces: dict[Address, bytes] = {}
        count = 0
        try:
            for count in range(MOST_DATAGRAMS):  # noqa: B007
                data, source = receiving.recvfrom(LARGEST_DATAGRAM_BYTES)
                address = (source[0], source[1])
                pieces[address] = pieces[address] + data if address in pieces else data
        except BlockingIOError:
            pass
        except OSError as exc:  # as when nobody listens at the other end (yet)
            log.debug("udp error", link=self.name, error=str(exc))
        self._wait(receiving, count)
        if (frames := self._traffic.heard(pieces)) and self.receiver:
            self.receiver(self, frames)

    def _wait(self, receiving: socket.socket, count: int) -> None:
        """For what comes next, having taken `count` datagrams."""
        now_s = self._loop.time()
        thick = count > 1 or now_s - self._read_s < GATHER_S
        self._read_s = now_s
        if not thick:
            self._take_at_once()
            return
        if self._gathering is None:
            self._loop.remove_reader(receiving)
        pause_s = HURRY_S if now_s - self._sent_s < ANSWER_S else GATHER_S
        self._gathering = self._loop.call_later(pause_s, self._read, receiving)

    def _take_at_once(self) -> None:
        if self._gathering is not None and self._socket is not None:
            self._gathering.cancel()
            self._gathering = None
            self._loop.add_reader(self._socket, self._read, self._socket)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        try:
            found = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
            family, _, _, _, place = found[0]
            host, port = str(place[0]), int(place[1])
            anywhere = "::" if family == socket.AF_INET6 else "0.0.0.0"
            self._socket = _bound(family, (host, port) if self._listen else (anywhere, 0))
        except OSError as exc:
            deed = "cannot listen" if self._listen else "no such address"
            raise LinkUnreachable(f"{self.name}: {deed}: {exc.strerror or exc}") from exc
        self._loop.add_reader(self._socket, self._read, self._socket)
        if not self._listen:
            self._peer = (host, port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._take_at_once()
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._unsent.clear()
            self._socket.close()
            self._socket = None


def _bound(family: int, local: Address) -> socket.socket:
    """A socket at an address of ours; raises OSError."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        made.bind(local)
    except OSError:
        made.close()
        raise
    return made
