"""What PX4 says in words and events: words wait for a ground that is there to read them, events do not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.px4_events import Event, event_message

FIRST_TEXT_S = 2.2
"""After power-on, s."""
STALE_S = 5.0
"""A text that no ground was there to read for so long is dropped, s of the ground's clock."""
CHUNK = 50
"""Characters of a STATUSTEXT."""


class Px4Voice:
    """Holds texts back, splits them, numbers texts and events."""

    def __init__(self, emit: Callable[[Any], None], ground_time_s: Callable[[], float]) -> None:
        """`ground_time_s` is the ground's clock since power-on, s."""
        self._emit, self._ground_time_s = emit, ground_time_s
        self._held: deque[tuple[float, int, str]] = deque()
        self._text_id = 0
        self._event_seq = 65533

    def say(self, severity: int, text: str) -> None:
        """A text that is an event too: it ends in a TAB."""
        self.say_plainly(severity, text + "\t")

    def say_plainly(self, severity: int, text: str) -> None:
        """A text that is no event."""
        self._held.append((self._ground_time_s(), severity, text))

    def say_now(self, time_s: float, *, heard: bool) -> None:
        """Send what waits, if a ground is there to hear it; what is older than STALE_S is lost."""
        if not self._held or time_s < FIRST_TEXT_S or not heard:
            return
        now_s = self._ground_time_s()
        while self._held:
            said_s, severity, text = self._held.popleft()
            if now_s - said_s > STALE_S:
                continue
            raw = text.encode("ascii", "replace")
            for chunk, start in enumerate(range(0, len(raw), CHUNK)):
                part = raw[start : start + CHUNK]
                self._emit(mavlink.MAVLink_statustext_message(severity, part, self._text_id, chunk))
            self._text_id = (self._text_id + 1) % 65536

    def event(self, event: Event, *, boot_ms: int, arguments: bytes | None = None) -> None:
        """An EVENT, whether a ground is there or not."""
        self._emit(event_message(event, boot_ms=boot_ms, sequence=self._event_seq, arguments=arguments))
        self._event_seq += 1
