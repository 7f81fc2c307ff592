"""What PX4 says of reached mission items: again and again."""

from __future__ import annotations

from collections.abc import Callable

TOLD_TIMES = 10
"""How often MISSION_ITEM_REACHED comes again, at 1 Hz."""


class ItemReports:
    """Tells of the item reached last."""

    def __init__(self, tell: Callable[[int], None], time_s: Callable[[], float]) -> None:
        """`tell` sends MISSION_ITEM_REACHED."""
        self._tell, self._time_s = tell, time_s
        self._again: tuple[int, int, float] | None = None

    def reached(self, seq: int) -> None:
        """An item is reached: say it now, and then again."""
        self._tell(seq)
        self._again = (seq, TOLD_TIMES, self._time_s() + 1.0)

    def forget(self) -> None:
        """Another mission, or a jump: the last item does not count any more."""
        self._again = None

    def step(self) -> None:
        """Say again what is due."""
        if self._again is None or self._time_s() < self._again[2]:
            return
        seq, left, _ = self._again
        self._tell(seq)
        self._again = (seq, left - 1, self._time_s() + 1.0) if left > 1 else None
