"""Flights as they stand in store and data folder after they were flown: a row, and a recording of known content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import uuid_utils
from pymavlink.dialects.v20 import ardupilotmega as dialect
from sqlalchemy import insert

from fleet.framing import Encoder
from fleet.recording import Recording
from missioncontrol.health import recording_path
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.tables import flights, missions
from simulators.battery import Battery, Pack

START_S = 1_790_000_000.0
GROUND_S = 5
"""On the ground before and after the flight, s."""


def record(
    path: Path,
    *,
    sysid: int = 1,
    air_s: int = 60,
    start_s: float = START_S,
    resistance_ohm: float = 0.03,
    vibration_m_s2: float = 12.0,
) -> Battery:
    """A recording of a flight 8 m/s to the east at 40 m, a word of everything each second; its battery at the end."""
    encoder, battery = Encoder(sysid=sysid, compid=1), Battery(Pack(resistance_ohm=resistance_ohm))
    whole_s = air_s + 2 * GROUND_S
    with Recording(path) as recording:
        for second in range(whole_s):
            flying = GROUND_S <= second < whole_s - GROUND_S
            for _ in range(10):
                battery.step(0.1, 380.0 + 120.0 * (second % 7 == 0) if flying else 12.0)
            for message in _messages(second, flying, battery, vibration_m_s2, start_s):
                recording.write(encoder.encode(message), start_s + second + 100.0)
    return battery


def _messages(second: int, flying: bool, battery: Battery, vibration_m_s2: float, start_s: float) -> list[Any]:
    boot_ms, used_mah = second * 1000, round(battery.used_mah)
    volts = [round(battery.voltage_v * 1000)] + [65535] * 9
    energy, percent = round(battery.energy_used_wh * 36), round(100 * battery.remaining())
    height_mm = 40_000 if flying else 0
    away = 0 if not flying else (second - GROUND_S) * 987
    messages = [
        dialect.MAVLink_system_time_message(round((start_s + second) * 1e6), boot_ms),
        dialect.MAVLink_heartbeat_message(2, 3, 0xD9 if flying else 0x59, 3, 4, 3),
        dialect.MAVLink_extended_sys_state_message(0, 2 if flying else 1),
        dialect.MAVLink_mission_current_message(3, 9, 3, 1),
        dialect.MAVLink_battery_status_message(
            0, 0, 0, 32767, volts, round(battery.current_a * 100), used_mah, energy, percent
        ),
        dialect.MAVLink_vibration_message(0, 1.0, vibration_m_s2 if flying else 0.1, 2.0, 0, 0, 0),
        dialect.MAVLink_ekf_status_report_message(831, 0.1, 0.1, 0.2, 0.05, 0.0),
        dialect.MAVLink_global_position_int_message(
            boot_ms, 432380000, 769450000 + away, 800_000 + height_mm, height_mm, 0, 800 if flying else 0, 0, 9000
        ),
    ]
    if second == GROUND_S + 2:
        messages.append(dialect.MAVLink_statustext_message(4, b"Crosstrack error", 0, 0))
        messages.append(dialect.MAVLink_statustext_message(6, b"Mission: 3 WP", 0, 0))
    return messages


async def flown(
    store: Store,
    settings: Settings,
    *,
    sysid: int = 1,
    registration: str = "KZ-001",
    start_s: float = START_S,
    recorded: bool = True,
    ended: bool = True,
    **flight: Any,
) -> str:
    """A flight in the store, and its recording in the data folder; its id."""
    flight_id, mission_id = str(uuid_utils.uuid7()), str(uuid_utils.uuid7())
    if recorded:
        record(recording_path(settings, flight_id), sysid=sysid, start_s=start_s, **flight)
    async with store.writing() as connection:
        await connection.execute(
            insert(missions).values(
                id=mission_id, name="survey", purpose="", state="done", request={}, plan_version=0,
                created_by="dana", created_utc_s=start_s, updated_utc_s=start_s,
            )
        )  # fmt: skip
        await connection.execute(
            insert(flights).values(
                id=flight_id, mission_id=mission_id, sysid=sysid, registration=registration, stage="done", item=9,
                total=9, text="", started_utc_s=start_s, airborne_utc_s=start_s, path_m=470.0,
                ended_utc_s=start_s + 70 if ended else None,
            )
        )  # fmt: skip
    return flight_id
