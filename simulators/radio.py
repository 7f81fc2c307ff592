"""The radios of a simulated vehicle: what it says goes out on each link, what it hears is judged and passed on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot_links import Link
from simulators.autopilot_signing import Signatures

TO_ALL = frozenset((0, 22, 46, 49, 76, 180, 242, 253, 410))
"""Messages that go out on every link though one ground alone asked: heartbeat, parameter, item reached, origin, order
of its own, camera feedback, home, text, event."""


class Radio:
    """All links of one vehicle. Each numbers its frames by itself; an answer leaves where the question came in."""

    def __init__(self, sysid: int, links: Sequence[Link], *, signatures: Signatures, forwards: bool) -> None:
        """`forwards`: what grounds say that is not for this vehicle alone goes on to the other links, as it came."""
        self._sysid, self._links = sysid, tuple(links)
        self.signatures = signatures
        self._forwards = forwards
        self._senders: dict[tuple[int, int], Any] = {}
        self._parsers = [mavlink.MAVLink(None) for _ in links]
        for parser in self._parsers:
            parser.robust_parsing = True
        self._heard: list[set[int]] = [set() for _ in links]
        self._everywhere = range(len(self._links))
        self.dropped = 0
        """Frames that signing kept out."""
        self.answering: int | None = None
        """Number of the link whose question is being answered; None when the vehicle speaks by itself."""

    async def open(self, receive: Callable[[bytes, int], None]) -> None:
        """Start all links; `receive` is called with bytes and the number of their link. Raises LinkUnusable."""
        for number, link in enumerate(self._links):
            await link.open(partial(_numbered, receive, number))

    def close(self) -> None:
        """Stop."""
        for link in self._links:
            link.close()

    def emit(self, message: Any, compid: int = 1) -> None:
        """Send a message of one of its components: on the link that is being answered, or on all."""
        answered = self.answering
        for number in self._everywhere if answered is None or message.get_msgId() in TO_ALL else (answered,):
            sender = self._senders.get((number, compid)) or self._sender(number, compid)
            frame = bytes(message.pack(sender))
            sender.seq = (sender.seq + 1) % 256
            self._links[number].send(self.signatures.sign(number, frame))

    def _sender(self, number: int, compid: int) -> Any:
        sender = self._senders[number, compid] = mavlink.MAVLink(None, srcSystem=self._sysid, srcComponent=compid)
        return sender

    def messages(self, data: bytes, number: int) -> Iterator[Any]:
        """What bytes from a link say, as far as it is believed."""
        for message in self._parsers[number].parse_buffer(data) or []:
            frame = message.get_msgbuf()
            if message.get_msgId() < 0:
                continue
            sysid, compid = message.get_srcSystem(), message.get_srcComponent()
            if sysid == self._sysid:
                continue
            if not self.signatures.believes(number, frame, sysid=sysid, compid=compid, msgid=message.get_msgId()):
                self.dropped += 1
                continue
            if self._forwards and len(self._links) > 1:
                self._forward(message, sysid, bytes(frame), number)
            yield message

    def _forward(self, message: Any, sysid: int, frame: bytes, came_by: int) -> None:
        self._heard[came_by].add(sysid)
        target = getattr(message, "target_system", 0)
        for number, link in enumerate(self._links):
            if number != came_by and (target == 0 or (target != self._sysid and target in self._heard[number])):
                link.send(frame)


def _numbered(receive: Callable[[bytes, int], None], number: int, data: bytes) -> None:
    receive(data, number)
