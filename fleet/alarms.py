"""What a person should be told at once about a vehicle: told when it begins, once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from fleet.snapshots import Telemetry
from fleet.telemetry import Condition, LinkCondition, TelemetryState

SEVERE_WORDS = 2
"""MAV_SEVERITY_CRITICAL: the autopilot's own words of this severity and above are alarms."""
FIX_3D = 3
WELL_S = 10.0
"""What went away may be told anew after so long without it, s: else a sensor that flickers is an alarm a second."""


class AlarmWatch:
    """Looks at one vehicle again and again, and says what has become wrong since."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is wrong yet; `clock` in s."""
        self._clock = clock
        self._told: dict[str, float] = {}
        """Since when the causes that were told are gone; infinite for those that stand."""
        self._texts_heard = 0

    def look(self, telemetry: Telemetry) -> list[str]:
        """What is wrong now and was well for `WELL_S` before, in words."""
        state, now_s = telemetry.state, self._clock()
        standing = _standing(state)
        gone = {name: min(since_s, now_s) for name, since_s in self._told.items() if name not in standing}
        news = [text for name, text in standing.items() if name not in self._told]
        self._told = {name: since_s for name, since_s in gone.items() if now_s - since_s < WELL_S}
        self._told |= dict.fromkeys(standing, math.inf)
        news += [
            f'it says "{text.text}"'
            for text in telemetry.texts_since(self._texts_heard)
            if text.severity <= SEVERE_WORDS and (state.armed or state.failsafe)
        ]
        self._texts_heard = telemetry.text_count
        return news


def _standing(state: TelemetryState) -> dict[str, str]:
    """What is wrong with a vehicle, by a name for each cause. On the ground only the link counts."""
    found: dict[str, str] = {}
    if state.link is LinkCondition.NO_UPLINK:
        found["uplink"] = "it is heard but does not answer: uplink lost"
    if state.condition is Condition.LOST:
        found["lost"] = "nothing is heard of it: downlink lost, whether it hears us is not known"
    if not state.armed:
        return found
    if state.failsafe:
        found["failsafe"] = f"in a failsafe, mode {state.mode_name}"
    if state.gps is not None and state.gps.fix_type < FIX_3D:
        found["gps"] = "GPS lost"
    if state.sensors is not None:
        for name in (*state.sensors.missing, *state.sensors.unhealthy):
            found[f"sensor {name}"] = f"{name} failed"
    return found
