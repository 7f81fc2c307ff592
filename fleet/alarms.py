"""What a person should be told at once about a vehicle: told when it begins, once."""

from __future__ import annotations

from fleet.telemetry import Condition, LinkCondition, Telemetry, TelemetryState

SEVERE_WORDS = 2
"""MAV_SEVERITY_CRITICAL: the autopilot's own words of this severity and above are alarms."""
FIX_3D = 3


class AlarmWatch:
    """Looks at one vehicle again and again, and says what has become wrong since."""

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self._standing: dict[str, str] = {}
        self._texts_heard = 0

    def look(self, telemetry: Telemetry) -> list[str]:
        """What is wrong now and was not at the last look, in words."""
        state = telemetry.state
        standing = _standing(state)
        news = [text for name, text in standing.items() if name not in self._standing]
        self._standing = standing
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
