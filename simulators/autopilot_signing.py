"""Signing as ArduPilot does it, its trap included: whose frames are believed, and how its own are signed.

Source: GCS_Signing.cpp of ArduPilot, mavlink_signature_check of MAVLink's C headers, and recordings of 4.6.
"""

from __future__ import annotations

import hashlib

from fleet.framing import flagged_as_signed
from fleet.signing import NEW_STREAM_BEHIND_TICKS, TICKS_PER_S

AHEAD_TICKS = 60 * TICKS_PER_S
"""So far beyond the stored time it signs, so that no frame of an earlier run can be replayed."""
MOST_STREAMS = 16
"""Streams (system, component, link id) that it can remember; a further one is dropped."""
UNSIGNED_MESSAGES = frozenset((109, 166))
"""RADIO_STATUS and RADIO are taken unsigned on every link."""
MAGIC_V2, SIGNED_FLAG = 0xFD, 1


class Signatures:
    """One key for all links and one memory of streams, but a time of its own for each link."""

    def __init__(self, *, links: int, trusted_link: int | None = 0) -> None:
        """No key yet. `trusted_link`, counted from 0, takes whatever comes, as SERIAL0 does; None: no link does."""
        self.key: bytes | None = None
        """What it signs with; None: it does not sign, and takes everything."""
        self._trusted = trusted_link
        self._ticks = [0] * links
        self._streams: dict[tuple[int, int, int], int] = {}

    def set_up(self, key: bytes, ticks: int) -> None:
        """SETUP_SIGNING: the key of all links from now on. All zeros, the time too, switches signing off."""
        self.key = key if any(key) or ticks else None
        self._ticks = [ticks + AHEAD_TICKS] * len(self._ticks)

    def tell_time(self, ticks: int) -> None:
        """The satellites know the time: no link signs with an earlier one."""
        self._ticks = [max(own, ticks) for own in self._ticks]

    def believes(self, link: int, frame: bytes, *, sysid: int, compid: int, msgid: int) -> bool:
        """Whether a frame is taken on a link; a right one carries the link's time along, however far ahead it is."""
        if self.key is None or self._proven(link, frame, sysid, compid):
            return True
        return link == self._trusted or msgid in UNSIGNED_MESSAGES

    def _proven(self, link: int, frame: bytes, sysid: int, compid: int) -> bool:
        if frame[0] != MAGIC_V2 or not frame[2] & SIGNED_FLAG or self.key is None:
            return False
        if hashlib.sha256(self.key + frame[:-6]).digest()[:6] != frame[-6:]:
            return False
        ticks = int.from_bytes(frame[-12:-6], "little")
        stream = (sysid, compid, frame[-13])
        last = self._streams.get(stream)
        if last is None:
            if len(self._streams) >= MOST_STREAMS or ticks + NEW_STREAM_BEHIND_TICKS < self._ticks[link]:
                return False
        elif ticks <= last:
            return False
        self._streams[stream] = ticks
        self._ticks[link] = max(self._ticks[link], ticks)
        return True

    def sign(self, link: int, frame: bytes) -> bytes:
        """A frame of its own as it leaves on a link: with a signature if there is a key."""
        if self.key is None:
            return frame
        signed = flagged_as_signed(frame) + bytes((link,)) + self._ticks[link].to_bytes(6, "little")
        self._ticks[link] += 1
        return signed + hashlib.sha256(self.key + signed).digest()[:6]
