"""Round trips to one vehicle, by TIMESYNC: how long they take, and whether it hears us at all."""

from __future__ import annotations

import statistics
from collections import deque
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

KEPT = 15
"""Round trips that the median is over."""
UNANSWERED_S = 5.0
"""Asked for so long (wall) without an answer, a vehicle that used to answer does not hear us."""


class RoundTrips:
    """Asks one vehicle for its time again and again; both ends of the way show in the answers."""

    def __init__(self) -> None:
        """Nothing asked yet."""
        self._trips_s: deque[float] = deque(maxlen=KEPT)
        self._asked_ns: deque[int] = deque(maxlen=KEPT)
        self._unanswered_ns: int | None = None

    def ask(self, monotonic_ns: int) -> Any:
        """The TIMESYNC to send at `monotonic_ns`."""
        self._asked_ns.append(monotonic_ns)
        if self._unanswered_ns is None:
            self._unanswered_ns = monotonic_ns
        return dialect.MAVLink_timesync_message(0, monotonic_ns)

    def heard(self, message: Any, monotonic_ns: int) -> None:
        """Take a TIMESYNC of the vehicle into account; its own questions, and answers to others, count for nothing."""
        if message.tc1 == 0 or message.ts1 not in self._asked_ns:
            return
        self._trips_s.append((monotonic_ns - message.ts1) / 1e9)
        self._unanswered_ns = None

    @property
    def latency_s(self) -> float | None:
        """Median of the last round trips, s of the wall; None before the first."""
        return statistics.median(self._trips_s) if self._trips_s else None

    def unanswered_s(self, monotonic_ns: int) -> float:
        """For how long it has been asked in vain, s; 0 for a vehicle that never answered, since not all do."""
        if self._unanswered_ns is None or not self._trips_s:
            return 0.0
        return (monotonic_ns - self._unanswered_ns) / 1e9
