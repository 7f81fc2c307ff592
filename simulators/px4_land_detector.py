"""What PX4 takes for a take-off and for a landing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.autopilot_manoeuvres import TOUCHED_S
from simulators.px4_events import Event

if TYPE_CHECKING:
    from simulators.px4_autopilot import Px4Autopilot

SINKS_M_S2 = -0.3
"""On the ground and asked for less than that, it is felt to have landed, m/s2 upward."""


class LandDetector:
    """Feels the ground: coming down in vain, not blind, no motor dead."""

    def __init__(self, pilot: Px4Autopilot) -> None:
        """On the ground, and not landed."""
        self._pilot = pilot
        self._aloft = False
        self._touched_s = 0.0
        self.landed_s: float | None = None
        """How long ago it landed, s; None as long as it has not."""

    def step(self, dt_s: float) -> None:
        """Feel, and say so."""
        pilot = self._pilot
        if pilot.flying and not self._aloft:
            self._aloft = True
            pilot.event(Event.TAKEOFF_DETECTED)
            pilot.say(6, "Takeoff detected")
        on_ground = pilot.body.on_ground and pilot.controls.demand.up_m_s2 < SINKS_M_S2
        self._touched_s = self._touched_s + dt_s if pilot.flying and on_ground else 0.0
        dead = pilot.terminated or pilot.failures.falls
        if self._touched_s > TOUCHED_S and not dead and not pilot.safety.blind:
            pilot.event(Event.LANDING_DETECTED)
            pilot.say(6, "Landing detected")
            self.landed_s = 0.0

    def rest(self) -> None:
        """The motors stopped."""
        self._aloft, self._touched_s, self.landed_s = False, 0.0, None
