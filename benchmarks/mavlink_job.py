"""A telemetry stream to messages and columns, unsigned and signed: messages per second."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as dialect
from run import Peers, in_turn, line, timed
from telemetry import message

from fleet.columns import HOT_MESSAGES, MSGID
from fleet.framing import Batch, Framer, decode
from fleet.signing import SignatureCheck, ticks_of

MESSAGES = 20_000
RUNS = 5
KEY = bytes(range(32))
NOW_S = 1_795_326_176.0
DATAGRAM_BYTES, READ_BYTES = 1024, 16_384
"""What a radio's datagram holds, and what one read of a busy socket or of a file brings."""


class Case(NamedTuple):
    """One comparison."""

    name: str
    """What is compared."""
    signed: bool
    """Whether frames are signed, and signatures checked by both."""
    piece: int
    """The stream comes in pieces of so many bytes, to both."""
    joined: int
    """Ours judges, and makes columns of, so many pieces at once."""
    columns: bool
    """Ours makes the columns of all hot messages."""
    decoding: str
    """What ours decodes into message objects, as the peer does with all: none, rest (what is not hot), all."""


CASES = (
    Case("columns, 16 kB pieces", False, READ_BYTES, 1, True, "none"),
    Case("columns, 1 kB pieces", False, DATAGRAM_BYTES, 1, True, "none"),
    Case("columns of 16 pieces of 1 kB at once", False, DATAGRAM_BYTES, 16, True, "none"),
    Case("columns and the rest decoded, 16 kB pieces", False, READ_BYTES, 1, True, "rest"),
    Case("signed, columns, 16 kB pieces", True, READ_BYTES, 1, True, "none"),
    Case("signed, columns, 1 kB pieces", True, DATAGRAM_BYTES, 1, True, "none"),
    Case("signed, columns of 16 pieces of 1 kB at once", True, DATAGRAM_BYTES, 16, True, "none"),
    Case("framed and all decoded, 1 kB pieces", False, DATAGRAM_BYTES, 1, False, "all"),
)


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """A vehicle's mixed telemetry; the peer makes an object of every message in every case."""
    version = peers.ask("package_version", package="pymavlink")
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            data = _stream(signed=case.signed)
            file = Path(folder) / f"{case.signed}.bin"
            file.write_bytes(data)
            mine, other = in_turn(RUNS, _ours(case, data), _theirs(peers, case, file))
            yield line(
                job="mavlink", case=case.name, peer="pymavlink parse_buffer", peer_version=version, ours=mine,
                theirs=other, unit="messages/s", lower=False,
            )  # fmt: skip


def _theirs(peers: Peers, case: Case, file: Path) -> Callable[[], float]:
    def run() -> float:
        key = KEY.hex() if case.signed else ""
        answer = peers.ask("pymavlink_parse", file=str(file), piece=case.piece, key=key)
        if answer["messages"] != MESSAGES:
            raise RuntimeError(f"pymavlink found {answer['messages']} of {MESSAGES} messages")
        return MESSAGES / float(answer["seconds"])

    return run


def _ours(case: Case, data: bytes) -> Callable[[], float]:
    hot = frozenset(int(getattr(dialect, f"MAVLINK_MSG_ID_{name}")) for name in HOT_MESSAGES)

    def run() -> None:
        framer, check, count = Framer(), SignatureCheck(1, KEY), 0
        pieces: list[Batch] = []
        for at in range(0, len(data), case.piece):
            pieces.append(framer.scan(data[at : at + case.piece]))
            if len(pieces) < case.joined and at + case.piece < len(data):
                continue
            batch = pieces[0] if len(pieces) == 1 else Batch.joined(pieces)
            pieces.clear()
            count += len(batch)
            if case.signed:
                check.check_batch(batch, NOW_S)
            if case.columns:
                columns = batch.columns
                for name in columns.present:
                    columns[name]
            if case.decoding == "rest":
                for row, msgid in enumerate(batch.found[:, MSGID].tolist()):
                    if msgid not in hot:
                        decode(batch.frame(row))
            elif case.decoding == "all":
                for frame in batch.frames():
                    decode(frame)
        if count != MESSAGES or check.rejected:
            raise RuntimeError(f"ours found {count} of {MESSAGES} messages and rejected {check.rejected}")

    return lambda: MESSAGES / timed(run)


def _stream(*, signed: bool) -> bytes:
    """A vehicle's telemetry at usual rates, of which 92 in 100 messages are hot."""
    rng = np.random.default_rng(3)
    sender = dialect.MAVLink(None, srcSystem=1, srcComponent=1)
    if signed:
        sender.signing.secret_key, sender.signing.sign_outgoing = KEY, True
        sender.signing.timestamp = ticks_of(NOW_S)
    packed = []
    for number in range(MESSAGES):
        packed.append(bytes(message(number, number, rng).pack(sender)))
        sender.seq = (sender.seq + 1) % 256
    return b"".join(packed)
