"""The recorded ground station speaks to the simulated vehicle; what it answers is held against what ArduCopter did."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot_links import QueueLink
from simulators.clock import SimClock
from simulators.vehicle import SimulatedVehicle

NOT_OURS = ("EKF3", "Barometer", "AHRS: ", "SIM Hit", "GPS 1: prob", "RC7", "Md1", "PreArm: Mount", "EKF primary")
"""Beginnings of texts that tell of parts which the simulation does not have."""


@pytest.fixture(scope="module")
def recordings() -> Path:
    data = Path(os.environ.get("MC_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    folder = data / "flight" / "tlog"
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}")
    return folder


def said(message: Any) -> str | None:
    """What an answer says, without times and without what differs from vehicle to vehicle."""
    kind = message.get_type()
    if kind == "COMMAND_ACK":
        return f"{kind} {message.command} {message.result} to {message.target_system}"
    if kind == "MISSION_ACK":
        return f"{kind} {message.type} of {message.mission_type} to {message.target_system}"
    if kind in ("MISSION_REQUEST", "MISSION_REQUEST_INT"):
        return f"{kind} {message.seq} of {message.mission_type}"
    if kind == "MISSION_COUNT":
        return f"{kind} {message.count} of {message.mission_type}"
    if kind in ("MISSION_ITEM", "MISSION_ITEM_INT"):
        place = "home" if message.seq == 0 else f"{message.x:.6f} {message.y:.6f} {message.z:.2f}"
        params = (message.param1, message.param2, message.param3, message.param4)
        return f"{kind} {message.seq} {message.command} {message.frame} {params} {place}"
    if kind == "MISSION_ITEM_REACHED":
        return f"{kind} {message.seq}"
    if kind == "STATUSTEXT" and not message.text.startswith(NOT_OURS):
        return f"{kind} {message.severity} {message.text}"
    return None


def replay(recording: Path, speedup: float) -> tuple[list[str], list[str]]:
    """What the recorded vehicle said, and what ours says to the same ground station."""
    log = mavutil.mavlink_connection(str(recording))
    theirs: list[str] = []
    frames: list[tuple[float, bytes]] = []
    start: float | None = None
    while (message := log.recv_match()) is not None:
        start = message._timestamp if start is None else start
        if message.get_srcSystem() == 1:
            theirs += [words] if (words := said(message)) else []
        else:
            frames.append(((message._timestamp - start) * speedup, bytes(message.get_msgbuf())))
    log.close()
    link = QueueLink()
    vehicle = SimulatedVehicle(
        sysid=1, home=(76.945, 43.238, 800.09), link=link, clock=SimClock(start_utc_s=1.79e9), ready_after_s=41.0
    )
    for moment_s, frame in frames:
        while vehicle.pilot.time_s < moment_s:
            vehicle.step()
        vehicle.receive(frame)
    parser = mavlink.MAVLink(None)
    sent = [message for frame in link.sent for message in parser.parse_buffer(frame) or []]
    return theirs, [words for message in sent if (words := said(message))]


@pytest.mark.parametrize(
    ("name", "speedup", "likeness"),
    [
        ("ap_01_boot", 1, 0.95),
        ("ap_02_mission", 3, 0.95),
        ("ap_02b_mission_edge", 5, 0.97),
        ("ap_04a_linkloss_rtl", 1, 0.99),
        ("ap_04c_linkloss_wrong_gcs_id", 1, 0.95),
        ("ap_05b_gps_loss", 2, 0.95),
        ("ap_06_params", 1, 0.97),
        ("ap_08_mount", 1, 0.99),
    ],
)
def test_it_answers_as_the_recorded_arducopter(recordings: Path, name: str, speedup: float, likeness: float) -> None:
    """The order within one millisecond and the pace of a flight may differ; nothing else does."""
    theirs, ours = replay(recordings / f"{name}.tlog", speedup)
    assert len(theirs) > 20
    difference = "\n".join(difflib.unified_diff(theirs, ours, "recorded", "ours", n=0))
    alike = 2 * (Counter(theirs) & Counter(ours)).total() / (len(theirs) + len(ours))
    assert alike >= likeness, difference
    assert difflib.SequenceMatcher(None, theirs, ours, autojunk=False).ratio() >= 0.87, difference
