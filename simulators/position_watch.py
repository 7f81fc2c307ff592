"""Whether a vehicle still knows where it is."""

from __future__ import annotations


class PositionWatch:
    """Whether the position estimate has outlived the satellites, or diverges by itself."""

    DIVERGES_S = 1.0

    def __init__(self, *, lost_s: float, back_s: float) -> None:
        """All is well; it is lost `lost_s` after the last fix, and back when all was well for `back_s`, s."""
        self._lost_s, self._back_s = lost_s, back_s
        self.lost = False
        self.without_s = 0.0
        """Since the last fix, s."""
        self._with_s = self._diverging_s = 0.0

    def step(self, dt_s: float, *, fix: bool, diverging: bool) -> bool | None:
        """True when the position is lost now, False when it is back now, None when nothing changed."""
        self.without_s = 0.0 if fix else self.without_s + dt_s
        self._diverging_s = self._diverging_s + dt_s if diverging else 0.0
        self._with_s = self._with_s + dt_s if fix and not diverging else 0.0
        lost = self.without_s > self._lost_s or self._diverging_s > self.DIVERGES_S
        if self.lost:
            lost = self._with_s < self._back_s
        if lost == self.lost:
            return None
        self.lost = lost
        return lost
