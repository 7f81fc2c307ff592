"""Telemetry as vehicles in flight send it: a seeded mix of messages, and a process that sends it over UDP."""

from __future__ import annotations

import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as dialect

COMMAND_LONG, SET_MESSAGE_INTERVAL, TIMESYNC = 76, 511, 111
SENT_IDS = frozenset((0, 1, 2, 24, 30, 33, 42, 74, 116, 147, 245, 253))
TICK_S = 0.001
SLOW_SLOTS = (0, 1, 21, 1, 47, 41, 1, 21, 37, 31, 0, 1, 21, 43, 1, 44, 48, 21, 1, 31)
"""Numbers of the messages that a vehicle sends in turn over a slow link, 10 a second: each kind at least each 2 s."""


def message(number: int, boot_ms: int, rng: np.random.Generator) -> Any:
    """The message of this number of a stream in which 92 of 100 are hot, HEARTBEAT one of 50."""
    slot = number % 50
    if slot == 0:
        return dialect.MAVLink_heartbeat_message(2, 3, 209, 3, 4, 3)
    if slot <= 20:
        return dialect.MAVLink_attitude_message(boot_ms, *rng.normal(0, 1, 6).tolist())
    place = rng.integers(-(10**8), 10**8, 4).tolist()
    if slot <= 30:
        return dialect.MAVLink_global_position_int_message(boot_ms, *place, 100, -100, 5, 9000)
    if slot <= 36:
        return dialect.MAVLink_vfr_hud_message(1.0, 2.0, 90, 40, *rng.normal(60, 1, 2).tolist())
    if slot <= 40:
        return dialect.MAVLink_gps_raw_int_message(
            1000 * boot_ms, 3, *place[:3], 90, 120, 300, 9000, 14, place[3], 900, 900, 90
        )
    if slot <= 42:
        return dialect.MAVLink_sys_status_message(2**25, 2**25, 2**25, 300, 12600, 900, 80, 0, 0, 0, 0, 0, 0)
    if slot == 43:
        return dialect.MAVLink_battery_status_message(0, 0, 0, 2500, [12600] + [65535] * 9, 100, 200, 300, 80)
    if slot <= 45:
        return dialect.MAVLink_extended_sys_state_message(0, 2)
    if slot == 46:
        return dialect.MAVLink_scaled_imu2_message(boot_ms, *[int(value) for value in rng.normal(0, 900, 9)])
    if slot == 47:
        return dialect.MAVLink_system_time_message(1_795_326_176_000_000 + 1000 * boot_ms, boot_ms)
    if slot == 48:
        return dialect.MAVLink_mission_current_message(4)
    return dialect.MAVLink_statustext_message(6, b"Mission: 5 WP")


def packed(sysid: int, *, messages: int, rate_hz: float) -> list[bytes]:
    """Frames of one vehicle, numbered, `rate_hz` to a second of its clock, HEARTBEAT once a second."""
    rng = np.random.default_rng(sysid)
    sender = dialect.MAVLink(None, srcSystem=sysid, srcComponent=1)
    frames = []
    for number in range(messages):
        boot_ms = 60_000 + round(number * 1000 / rate_hz)
        slot = SLOW_SLOTS[number % len(SLOW_SLOTS)] if rate_hz <= 10.0 else number
        frames.append(bytes(message(slot, boot_ms, rng).pack(sender)))
        sender.seq = (sender.seq + 1) % 256
    return frames


def answer_counts(count: Callable[[], int]) -> None:
    """Say `ready`, then answer each line on stdin with the count so far, from a thread."""

    def answer() -> None:
        for _ in sys.stdin:
            sys.stdout.write(f"{count()}\n")
            sys.stdout.flush()

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Thread(target=answer, daemon=True).start()


def send(port: int, vehicles: int, rate_hz: float, seconds: float) -> None:
    """Each vehicle from a socket of its own, one frame a datagram, evenly spread over time.

    Vehicles accept to be asked for what they send anyway, and refuse other commands.
    """
    streams = [packed(sysid, messages=round(seconds * rate_hz), rate_hz=rate_hz) for sysid in range(1, vehicles + 1)]
    ears = selectors.DefaultSelector()
    sockets = []
    for sysid in range(1, vehicles + 1):
        vehicle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        vehicle.connect(("127.0.0.1", port))
        vehicle.setblocking(False)
        ears.register(vehicle, selectors.EVENT_READ, dialect.MAVLink(None, srcSystem=sysid, srcComponent=1))
        sockets.append(vehicle)
    total, sent, sent_besides = vehicles * len(streams[0]), 0, 0
    answer_counts(lambda: sent + sent_besides)
    start_s = time.monotonic()
    while sent < total:
        due = min(total, int((time.monotonic() - start_s) * rate_hz * vehicles))
        while sent < due:
            sockets[sent % vehicles].send(streams[sent % vehicles][sent // vehicles])
            sent += 1
        for key, _ in ears.select(0.0):
            sent_besides += _answer(key.fileobj, key.data)
        time.sleep(TICK_S)


def _answer(vehicle: Any, mav: Any) -> int:
    """Answer what a ground asks of a vehicle; so many frames."""
    answers = 0
    for asked in mav.parse_buffer(vehicle.recv(2048)) or ():
        if asked.get_msgId() == COMMAND_LONG:
            wanted = asked.command == SET_MESSAGE_INTERVAL and int(asked.param1) in SENT_IDS
            answer = dialect.MAVLink_command_ack_message(
                asked.command, 0 if wanted else 2, 0, 0, asked.get_srcSystem(), asked.get_srcComponent()
            )
        elif asked.get_msgId() == TIMESYNC and asked.tc1 == 0:
            answer = dialect.MAVLink_timesync_message(time.monotonic_ns(), asked.ts1)
        else:
            continue
        vehicle.send(answer.pack(mav))
        answers += 1
    return answers


if __name__ == "__main__":
    send(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
