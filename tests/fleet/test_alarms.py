"""What becomes wrong is told once, and not at each flicker."""

from __future__ import annotations

from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.alarms import AlarmWatch
from fleet.snapshots import Telemetry

ALL, GPS = 0x7FFFFFFF, 0x20
"""MAV_SYS_STATUS_SENSOR."""


def told(watch: AlarmWatch, telemetry: Telemetry, *, healthy: bool) -> list[str]:
    health = ALL if healthy else ALL & ~GPS
    telemetry.receive(dialect.MAVLink_sys_status_message(ALL, ALL, health, *([0] * 10)), 1.0)
    return watch.look(telemetry)


def test_a_sensor_that_flickers_is_one_alarm_and_one_that_fails_again_much_later_another() -> None:
    now_s = 100.0
    telemetry, watch = Telemetry(1), AlarmWatch(clock=lambda: now_s)
    telemetry.receive(dialect.MAVLink_heartbeat_message(2, 3, 0x80, 0, 4, 3), 1.0)
    news = []
    for look in range(60):
        now_s += 0.5
        news += told(watch, telemetry, healthy=look % 2 == 0)
    assert len(news) == 1
    now_s += 60.0
    assert told(watch, telemetry, healthy=False) == [], "it stands since"
    assert told(watch, telemetry, healthy=True) == []
    now_s += 10.0
    assert told(watch, telemetry, healthy=True) == []
    assert told(watch, telemetry, healthy=False) == news
