"""A telemetry stream to messages: messages per second."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as dialect
from run import Peers, in_turn, line, timed

from fleet.framing import Framer, decode

MESSAGES = 20_000
RUNS = 5


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """Five vehicles' heartbeats, attitudes and positions, in pieces of 1024 bytes; framed, and decoded too."""
    version = peers.ask("package_version", package="pymavlink")
    data = _stream()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stream.bin"
        file.write_bytes(data)

        def theirs() -> float:
            answer = peers.ask("pymavlink_parse", file=str(file))
            if answer["messages"] != MESSAGES:
                raise RuntimeError(f"pymavlink found {answer['messages']} of {MESSAGES} messages")
            return MESSAGES / float(answer["seconds"])

        for case, decoding in (("framed and decoded", True), ("framed only (the peer decodes)", False)):
            mine, other = in_turn(
                RUNS, lambda decoding=decoding: MESSAGES / timed(lambda: _ours(data, decoding)), theirs
            )
            yield line(
                job="mavlink", case=case, peer="pymavlink parse_buffer", peer_version=version, ours=mine, theirs=other,
                unit="messages/s", lower=False,
            )  # fmt: skip


def _ours(data: bytes, decoding: bool) -> None:
    framer, count = Framer(), 0
    for at in range(0, len(data), 1024):
        for frame in framer.feed(data[at : at + 1024]):
            count += 1
            if decoding:
                decode(frame)
    if count != MESSAGES:
        raise RuntimeError(f"ours found {count} of {MESSAGES} messages")


def _stream() -> bytes:
    rng = np.random.default_rng(3)
    senders = [dialect.MAVLink(None, srcSystem=sysid, srcComponent=1) for sysid in range(1, 6)]
    packed: list[bytes] = []
    for number in range(MESSAGES):
        sender, kind = senders[number % 5], number % 10
        message: Any
        if kind == 0:
            message = dialect.MAVLink_heartbeat_message(2, 3, 81, 3, 4, 3)
        elif kind < 6:
            message = dialect.MAVLink_attitude_message(number, *rng.normal(0, 1, 6).tolist())
        else:
            place = rng.integers(-(10**8), 10**8, 4).tolist()
            message = dialect.MAVLink_global_position_int_message(number, *place, 100, -100, 5, 9000)
        packed.append(bytes(message.pack(sender)))
    return b"".join(packed)
