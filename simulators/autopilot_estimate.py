"""How a position estimate strays: without satellites, behind a glitch of theirs, or by itself."""

from __future__ import annotations

import math

GATE_M = 5.0
"""A receiver that differs by more is not believed at once, m."""
BLIND_M_S2 = 0.03
"""Without satellites the estimate drifts so much faster each second, m/s2 (recorded: 1 to 2 m in 10 s)."""
DIVERGING_M_S2 = 1.5
"""The same of an estimate that diverges by itself, m/s2."""
JAMMED_S = (2.0, 1.4)
"""A jammed receiver is felt as a glitch after so long, and as a diverging estimate, s (ArduPilot's simulator: 2.1 s to
the words, 2.4 s to the landing)."""
FOLLOWS_S = 1.0
"""Time in which a small difference is taken in, s."""


class Estimate:
    """The part of a position estimate's error that faults make: m north, east, up."""

    def __init__(self, *, believes_after_s: float) -> None:
        """`believes_after_s`: a receiver that goes on differing is believed after so long, s."""
        self._believes_after_s = believes_after_s
        self.north = self.east = self.up = 0.0
        self._speed_m_s = self._refused_s = self._jammed_s = 0.0
        self._strayed = False
        self.glitching = False
        """The receiver says another place, and is not believed."""
        self.diverging = False
        """The estimate says of itself that it does not hold."""

    def step(self, dt_s: float, *, fix: bool, glitch: tuple[float, float, float], jammed: bool, diverges: bool) -> None:
        """Move on: `fix` whether there are satellites, `glitch` how far they are off, m, `diverges` by a fault."""
        self._jammed_s = self._jammed_s + dt_s if jammed else 0.0
        self.diverging = diverges or self._jammed_s > JAMMED_S[1]
        if diverges or not fix:
            self._strayed = True
            self.glitching = self._jammed_s > JAMMED_S[0]
            self._speed_m_s += (DIVERGING_M_S2 if diverges else BLIND_M_S2) * dt_s
            self.north += 0.6 * self._speed_m_s * dt_s
            self.east += 0.8 * self._speed_m_s * dt_s
            return
        self._speed_m_s = 0.0
        if not (self._strayed or self.north or self.east or self.up or any(glitch)):
            self.glitching = False
            return
        dn, de, du = glitch[0] - self.north, glitch[1] - self.east, glitch[2] - self.up
        far = math.sqrt(dn * dn + de * de + du * du) > GATE_M
        self._refused_s = self._refused_s + dt_s if far and not self._strayed else 0.0
        self.glitching = far and not self._strayed and self._refused_s <= self._believes_after_s
        if self.glitching:
            return
        part = 1.0 if far or self._strayed else min(dt_s / FOLLOWS_S, 1.0)
        self._strayed = False
        self.north, self.east, self.up = self.north + part * dn, self.east + part * de, self.up + part * du
        if not any(glitch) and abs(self.north) + abs(self.east) + abs(self.up) < 1e-3:
            self.north = self.east = self.up = 0.0
