"""MAVLink 2 signatures: made for what we send, judged for what we hear.

The signature of a frame is verified before anything of the frame is believed, its timestamp included: a forged frame
with a timestamp far ahead changes nothing. Timestamps count 10 us since 2015-01-01 UTC.
Source: https://mavlink.io/en/guide/message_signing.html.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable
from enum import IntEnum
from pathlib import Path

import msgspec
import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from fleet.columns import COMPID, FOUND_COLUMNS, KIND, LENGTH, SIGNED, START, SYSID, UNVERIFIED
from fleet.digests import KEY_BYTES, SHA_ROUNDS, SHA_START, digests
from fleet.errors import SigningInvalid
from fleet.framing import Batch, Frame, flagged_as_signed

EPOCH_UTC_S = 1_420_070_400
"""2015-01-01, from which signing timestamps count."""
TICKS_PER_S = 100_000
MOST_TICKS = (1 << 48) - 1
LATEST_UTC_S = EPOCH_UTC_S + MOST_TICKS / TICKS_PER_S
"""To which they reach, in 2104."""
NEW_STREAM_BEHIND_S = 60.0
"""The first timestamp of a stream may be so far behind, s (MAVLink's own figure)."""
NEW_STREAM_BEHIND_TICKS = round(NEW_STREAM_BEHIND_S * TICKS_PER_S)
STREAMS = 1 << 16
"""Of one vehicle, by compid << 8 | link id."""
FUTURE_S = 600.0
"""A timestamp may be so far ahead of our clock, s. ArduPilot puts its own a minute ahead each time it starts (recorded:
59.3 s ahead of a ground that had just set it up), so a minute would not do."""
RESERVE_S = 120.0
"""So much signing time after our clock is taken from the disk at once, s: no write for each frame. Well below FUTURE_S:
after a restart we sign so far ahead, and the vehicle follows."""
AHEAD_S = 10.0
"""So much is taken where signing time is ahead of our clock, s: else each restart would put it RESERVE_S further."""
SUSPECT_S = 86_400.0
"""A clock so far ahead of what is known from before is suspect, s."""


def ticks_of(utc_s: float) -> int:
    """The signing timestamp of a time, 10 us since 2015-01-01 UTC; raises SigningInvalid outside of 2015 to 2104."""
    ticks = math.floor((utc_s - EPOCH_UTC_S) * TICKS_PER_S) if math.isfinite(utc_s) else -1
    if not 0 <= ticks <= MOST_TICKS:
        raise SigningInvalid(f"our clock says {utc_s} s since 1970: signing timestamps reach from 2015 to 2104")
    return ticks


def checked_key(key: bytes) -> bytes:
    """A key that can be used; raises SigningInvalid if it has not 32 bytes, or only zeros (MAVLink's word for none)."""
    if len(key) != KEY_BYTES:
        raise SigningInvalid(f"a signing key has {KEY_BYTES} bytes, not {len(key)}")
    if not any(key):
        raise SigningInvalid("a signing key of zeros switches signing off, and is no key")
    return bytes(key)


class SteadyClock:
    """UTC for signing that does not follow steps of the system's clock.

    A clock set ahead while we run would carry every vehicle's signing time along, and lock out whoever has the right
    time; so the system's clock is read once, and the monotonic clock counts from there. Nor does it begin before what
    earlier runs wrote down: a machine that starts in 1970 would take every vehicle's time for the future.
    """

    def __init__(
        self, *, utc_now: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`utc_now` is read here, and never again."""
        self._monotonic = monotonic
        self._started_utc_s, started_s = utc_now(), monotonic()
        self._offset_s = self._started_utc_s - started_s
        self._known_utc_s: float | None = None
        self._confirmed = False

    def utc_s(self) -> float:
        """Now, s since 1970 UTC."""
        return self._offset_s + self._monotonic()

    def not_before(self, utc_s: float) -> None:
        """It was at least `utc_s` when an earlier run ended."""
        self._known_utc_s = max(utc_s, self._known_utc_s or utc_s)
        self._offset_s = max(self._offset_s, utc_s - self._monotonic())

    def confirm(self) -> None:
        """A vehicle was heard whose own time is ours."""
        self._confirmed = True

    @property
    def suspect(self) -> bool:
        """More than a day ahead of what is known from before, and confirmed by no vehicle yet: it may be wrong."""
        known = self._known_utc_s
        return known is not None and not self._confirmed and self._started_utc_s - known > SUSPECT_S


class SigningTime:
    """Hands out timestamps to sign with, each above all before, also those of earlier runs."""

    def __init__(self, path: Path, *, told: Callable[[str], None] = lambda text: None) -> None:
        """Goes on above what `path` holds, which need not exist yet; raises SigningInvalid if it is no timestamp.

        `told` hears when timestamps cannot be reserved on disk any more: they are then counted in memory alone.
        """
        self.path, self._told = path, told
        self.last = 0
        """The highest timestamp that may have been used."""
        self.clock = 0
        """Our clock when a reserve was last taken, as a timestamp; 0 where that is not known."""
        self.failure: str | None = None
        """Why the last reserve is not on the disk."""
        try:
            numbers = [int(word) for word in path.read_text("ascii").split()]
            self.last, self.clock = numbers if len(numbers) == 2 else (*numbers, 0)
        except FileNotFoundError:
            _make_folder(path)
        except (OSError, ValueError) as exc:
            raise SigningInvalid(f"signing time {path}: {getattr(exc, 'strerror', None) or 'is no number'}") from exc
        if not (0 <= self.last <= MOST_TICKS and 0 <= self.clock <= MOST_TICKS):
            raise SigningInvalid(f"signing time {path}: {self.last} is no 48-bit timestamp")
        self._reserve_above = self.last

    def next(self, utc_s: float | None) -> int:
        """A timestamp at `utc_s`, or just above the last one where that is higher or `utc_s` None; raises
        SigningInvalid."""
        clock = 0 if utc_s is None else ticks_of(utc_s)
        if self.last == MOST_TICKS:
            raise SigningInvalid(f"signing time {MOST_TICKS + 1}: above 48 bits")
        self.advance(max(clock, self.last + 1), clock=clock)
        return self.last

    def advance(self, ticks: int, *, clock: int = 0) -> None:
        """Never hand out less than `ticks` again: also the way back to a vehicle whose time somebody put ahead.

        `clock` is our clock, where it is to be believed by later runs.
        """
        if ticks <= self.last:
            return
        self.last, self.clock = min(ticks, MOST_TICKS), max(clock, self.clock)
        if self.last > self._reserve_above:
            self._reserve()

    def _reserve(self) -> None:
        ahead = self.last + round(AHEAD_S * TICKS_PER_S)
        reserved = min(max(ahead, self.clock + round(RESERVE_S * TICKS_PER_S)), MOST_TICKS)
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            with fresh.open("w", encoding="ascii") as file:
                file.write(f"{reserved} {self.clock}")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as exc:
            self._reserve_above = ahead  # then it is tried again
            if self.failure is None:
                self._told(f"signing time {self.path} is not kept: {exc.strerror or exc}")
            self.failure = exc.strerror or str(exc)
        else:
            self._reserve_above, self.failure = reserved, None


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SigningInvalid(f"signing time {path}: {exc.strerror or exc}") from exc


class Signer:
    """Signs what we send to one vehicle."""

    def __init__(self, key: bytes, *, time: SigningTime) -> None:
        """With the vehicle's key, and timestamps of the vehicle's own `time`."""
        self._key = checked_key(key)
        self._time = time

    def sign(self, data: bytes, utc_s: float | None, *, link_id: int = 0) -> bytes:
        """The frame `data` (MAVLink 2, unsigned) with its signature at `utc_s`, as `SigningTime.next` takes it; raises
        SigningInvalid.

        `link_id`, 0 to 255, should stay the link's own over restarts: a vehicle believes a stream that it knows when
        it would not believe a new one.
        """
        if not 0 <= link_id <= 255:
            raise SigningInvalid(f"link id {link_id}: must be 0 to 255")
        signed = flagged_as_signed(data)
        signed += bytes((link_id,)) + self._time.next(utc_s).to_bytes(6, "little")
        return signed + hashlib.sha256(self._key + signed).digest()[:6]

    def change_key(self, key: bytes) -> None:
        """Sign with another key from now on."""
        self._key = checked_key(key)


class Verdict(IntEnum):
    """What a signature check says of a frame."""

    ACCEPTED = 0
    """Signed with the vehicle's key, at a time that can be."""
    ACCEPTED_PREVIOUS_KEY = 1
    """Signed with the key before, within the time allowed for the change."""
    ACCEPTED_UNSIGNED = 2
    """Unsigned, as an exception that was set."""
    UNSIGNED = 3
    """Carries no signature; so does every frame of MAVLink 1."""
    WRONG_SYSID = 4
    """Names another vehicle."""
    WRONG_KEY = 5
    """The signature is not that of the vehicle's key."""
    RETIRED_KEY = 6
    """Signed with the key before, after the time allowed for the change."""
    FUTURE = 7
    """Signed rightly, with a timestamp too far ahead of our clock."""
    REPLAYED = 8
    """Signed rightly, with a timestamp that is not above the last one of its stream."""
    STALE = 9
    """Signed rightly, on a new stream, with a timestamp too far behind: recorded earlier, or a vehicle that has not
    heard the time yet."""

    @property
    def accepted(self) -> bool:
        """Whether the frame may be believed."""
        return self <= Verdict.ACCEPTED_UNSIGNED


class UnsignedException(msgspec.Struct, frozen=True):
    """A message that is believed without a signature."""

    msgid: int
    """Which message."""
    sysid: int
    """From this sysid only."""
    compid: int
    """From this component only."""


SIK_RADIO_STATUS = UnsignedException(msgid=109, sysid=51, compid=68)
"""RADIO_STATUS of a SiK telemetry radio, which puts it into the stream itself ('3', 'D') and has no key."""

_ROWS = np.arange(4096, dtype=np.int32)
"""All rows of any but a very large batch."""

_JUDGE_SIGNATURE = types.int64(  # type: ignore[no-untyped-call, unused-ignore]
    types.Bytes(types.uint8, 1, "C", readonly=True),
    types.Array(types.int32, 2, "C"),
    types.Array(types.int32, 1, "C"),
    types.Array(types.uint8, 2, "C"),
    types.int64,
    types.int64,
    types.int64,
    types.int64,
    types.int64,
    types.Array(types.int64, 1, "C"),
    types.Array(types.uint32, 1, "C"),
    types.Array(types.uint32, 1, "C"),
    types.Array(types.uint8, 1, "C"),
    types.Array(types.int64, 1, "C"),
)


@njit(_JUDGE_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def _judge(
    stream: bytes,
    found: NDArray[np.int32],
    rows: NDArray[np.int32],
    keys: NDArray[np.uint8],
    sysid: int,
    before: int,
    latest: int,
    earliest: int,
    accepted: int,
    last: NDArray[np.int64],
    start: NDArray[np.uint32],
    rounds: NDArray[np.uint32],
    verdicts: NDArray[np.uint8],
    counts: NDArray[np.int64],
) -> int:
    """A Verdict for each of `rows`, counted in `counts` too; returns the newest timestamp accepted.

    `keys` (2, 32) is the key and the one before. `before`: 0 no key before, 1 it is still accepted, 2 it is retired.
    `latest` is the latest timestamp taken, `earliest` the earliest one of a new stream, `accepted` the newest that was
    accepted so far. `last` (65536,) is the last timestamp of each stream by compid << 8 | link id, 0 for a stream not
    heard yet.
    """
    newest = np.int64(accepted)
    signed = np.empty(rows.shape[0], np.int32)
    count = 0
    for place in range(rows.shape[0]):
        row = rows[place]
        if found[row, SYSID] != sysid:
            verdicts[place] = Verdict.WRONG_SYSID.value
        elif not found[row, KIND] & SIGNED:
            verdicts[place] = Verdict.UNSIGNED.value
        else:
            signed[count] = row
            count += 1
            verdicts[place] = Verdict.ACCEPTED.value
    wanted = np.empty((2, count), np.int64)
    digests(stream, found, signed, count, keys[0], start, rounds, wanted[0])
    if before:
        digests(stream, found, signed, count, keys[1], start, rounds, wanted[1])
    nth = -1
    for place in range(rows.shape[0]):
        if verdicts[place] != Verdict.ACCEPTED.value:
            counts[verdicts[place]] += 1
            continue
        nth += 1
        row = rows[place]
        end = np.int64(found[row, START]) + found[row, LENGTH]
        sent = np.int64(0)
        ticks = np.int64(0)
        for i in range(6):
            sent |= np.int64(stream[end - 6 + i]) << (8 * i)
            ticks |= np.int64(stream[end - 12 + i]) << (8 * i)
        verdict = Verdict.ACCEPTED.value
        if sent ^ wanted[0, nth]:
            verdict = Verdict.WRONG_KEY.value
            if before and not (sent ^ wanted[1, nth]):
                verdict = Verdict.ACCEPTED_PREVIOUS_KEY.value if before == 1 else Verdict.RETIRED_KEY.value
        if verdict == Verdict.ACCEPTED.value or verdict == Verdict.ACCEPTED_PREVIOUS_KEY.value:
            slot = found[row, COMPID] << 8 | np.int32(stream[end - 13])
            if ticks > latest:
                verdict = Verdict.FUTURE.value
            elif ticks <= last[slot]:
                verdict = Verdict.REPLAYED.value
            elif last[slot] == 0 and ticks < max(np.int64(earliest), newest - NEW_STREAM_BEHIND_TICKS):
                verdict = Verdict.STALE.value
            else:
                last[slot] = ticks
                newest = max(newest, ticks)
        verdicts[place] = verdict
        counts[verdict] += 1
    return int(newest)


class SignatureCheck:
    """Judges the frames that claim to come from one vehicle, and counts what it rejects by reason."""

    def __init__(
        self,
        sysid: int,
        key: bytes,
        *,
        previous: bytes | None = None,
        previous_until_utc_s: float = math.inf,
        unsigned: Iterable[UnsignedException] = (),
        future_s: float = FUTURE_S,
    ) -> None:
        """`key` and, until `previous_until_utc_s`, the key before are accepted; `unsigned` names what needs no
        signature; `future_s`: a timestamp may be so far ahead of our clock. Raises SigningInvalid for a bad key."""
        self.sysid = sysid
        self.newest = 0
        """The newest timestamp accepted, 10 us since 2015."""
        self._keys = np.zeros((2, KEY_BYTES), np.uint8)
        self._keys[0] = np.frombuffer(checked_key(key), np.uint8)
        self._has_previous = previous is not None
        self._previous_until_utc_s = previous_until_utc_s
        if previous is not None:
            self._keys[1] = np.frombuffer(checked_key(previous), np.uint8)
        self._unsigned = frozenset(unsigned)
        self._future_s = future_s
        self._last = np.zeros(STREAMS, np.int64)
        self._counts = np.zeros(len(Verdict), np.int64)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many frames got each verdict."""
        return {verdict: int(count) for verdict, count in zip(Verdict, self._counts, strict=True)}

    @property
    def rejected(self) -> int:
        """How many frames were not believed."""
        return int(self._counts[Verdict.UNSIGNED :].sum())

    def keep_streams(self, path: Path) -> None:
        """Keep the last timestamp of each stream in a file, and go on from what it holds, so that what was recorded
        before a restart is not believed after it. Raises SigningInvalid.

        The file is mapped into memory: no write for a frame, and what was accepted outlives the process at once, a loss
        of power but for its last seconds.
        """
        size = STREAMS * self._last.itemsize
        try:
            with path.open("a+b") as file:
                if (there := file.seek(0, os.SEEK_END)) not in (0, size):
                    raise SigningInvalid(f"signing streams {path}: {there} bytes instead of {size}")
                os.posix_fallocate(file.fileno(), 0, size)
            self._last = np.asarray(np.memmap(path, np.int64, "r+", shape=(STREAMS,)))
        except OSError as exc:
            raise SigningInvalid(f"signing streams {path}: {exc.strerror or exc}") from exc
        self.newest = max(self.newest, int(self._last.max()))

    def rotate(self, key: bytes, *, previous_until_utc_s: float = math.inf) -> None:
        """Take `key` as the vehicle's, and its key so far as the one before, accepted until then."""
        self._keys[:] = np.frombuffer(checked_key(key), np.uint8), self._keys[0].copy()
        self._has_previous = True
        self._previous_until_utc_s = previous_until_utc_s

    def retire(self, *, until_utc_s: float) -> None:
        """Accept the key before until then only."""
        self._previous_until_utc_s = until_utc_s

    def check(self, frame: Frame, utc_s: float) -> Verdict:
        """Judge one frame at `utc_s`."""
        kind = (SIGNED if frame.signed else 0) | (0 if frame.verified else UNVERIFIED)
        place = (0, len(frame.data), frame.sysid, frame.compid, frame.msgid, frame.seq, kind, 0)
        found = np.array(place, np.int32).reshape(1, FOUND_COLUMNS)
        return Verdict(int(self.check_batch(Batch(frame.data, found), utc_s)[0]))

    def check_batch(self, batch: Batch, utc_s: float, rows: NDArray[np.int32] | None = None) -> NDArray[np.uint8]:
        """A Verdict for each frame of a batch, or for `rows` of it, in the order in which they came."""
        if rows is None:
            rows = _ROWS[: len(batch)] if len(batch) <= len(_ROWS) else np.arange(len(batch), dtype=np.int32)
        now = ticks_of(utc_s)
        before = 0 if not self._has_previous else 1 if utc_s <= self._previous_until_utc_s else 2
        latest = now + round(self._future_s * TICKS_PER_S)
        earliest = now - NEW_STREAM_BEHIND_TICKS
        verdicts = np.empty(len(rows), np.uint8)
        self.newest = int(
            _judge(
                batch.stream, batch.found, rows, self._keys, self.sysid, before, latest,
                earliest, self.newest, self._last, SHA_START, SHA_ROUNDS, verdicts, self._counts,
            )
        )  # fmt: skip
        if self._unsigned:
            self._excuse(batch, rows, verdicts)
        return verdicts

    def _excuse(self, batch: Batch, rows: NDArray[np.int32], verdicts: NDArray[np.uint8]) -> None:
        for place in np.flatnonzero((verdicts == Verdict.UNSIGNED) | (verdicts == Verdict.WRONG_SYSID)).tolist():
            frame = batch.frame(int(rows[place]))
            seen = UnsignedException(msgid=frame.msgid, sysid=frame.sysid, compid=frame.compid)
            if not frame.signed and frame.verified and seen in self._unsigned:
                self._counts[verdicts[place]] -= 1
                self._counts[Verdict.ACCEPTED_UNSIGNED] += 1
                verdicts[place] = Verdict.ACCEPTED_UNSIGNED


class VehicleSigning:
    """Both ways of one vehicle: judges what is heard, and signs what is sent so that the vehicle believes it."""

    def __init__(
        self,
        check: SignatureCheck,
        *,
        key: bytes,
        time: SigningTime,
        clock: SteadyClock,
        previous: bytes | None = None,
    ) -> None:
        """`key` is the one that `check` has; `time` is this vehicle's alone, `clock` may be everybody's. With a
        `previous` key, that is signed with until the vehicle is heard to have the new one. What earlier runs heard is
        kept beside `time`. Raises SigningInvalid where that cannot be."""
        self.check = check
        """What judges, and its counts."""
        self._key = checked_key(key)
        self._signer = Signer(previous or key, time=time)
        self._time = time
        self._clock = clock
        check.keep_streams(time.path.with_name(time.path.name + ".streams"))
        if time.clock:
            clock.not_before(EPOCH_UTC_S + time.clock / TICKS_PER_S)

    @property
    def clock_suspect(self) -> bool:
        """Our clock may be far ahead: no vehicle should be led to it."""
        return self._clock.suspect

    def judge(self, frame: Frame) -> Verdict:
        """Whether to believe a frame, now.

        What is signed afterwards is never behind the vehicle's own time, as it would not believe a new stream that is
        a minute behind; and it is signed with the new key from the first frame on that the vehicle signs with it.
        """
        utc_s = min(max(self._clock.utc_s(), EPOCH_UTC_S), LATEST_UTC_S)
        verdict, now = self.check.check(frame, utc_s), ticks_of(utc_s)
        if verdict is Verdict.ACCEPTED and self.check.newest >= now - NEW_STREAM_BEHIND_TICKS:
            self._clock.confirm()
        self._time.advance(self.check.newest, clock=0 if self._clock.suspect else now)
        if verdict is Verdict.ACCEPTED:
            self._signer.change_key(self._key)
        return verdict

    def sign(self, data: bytes, *, link_id: int) -> bytes:
        """The frame `data` as `Signer.sign` signs it, now; raises SigningInvalid."""
        return self._signer.sign(data, self._signing_utc_s(), link_id=link_id)

    def timestamp(self) -> int:
        """A timestamp for SETUP_SIGNING, now; raises SigningInvalid."""
        return self._time.next(self._signing_utc_s())

    def _signing_utc_s(self) -> float | None:
        """A clock that is suspect is not signed by where a time is known that the vehicle believes."""
        return None if self._clock.suspect and self._time.last else self._clock.utc_s()

    def rotate(self, key: bytes, *, window_s: float = math.inf) -> None:
        """Take `key` as the vehicle's; what it signs with the key so far is believed for `window_s` more."""
        self.check.rotate(key, previous_until_utc_s=self._clock.utc_s() + window_s)
        self._key = checked_key(key)

    def retire(self, *, window_s: float) -> None:
        """Believe what the vehicle signs with its key before for `window_s` more only."""
        self.check.retire(until_utc_s=self._clock.utc_s() + window_s)
