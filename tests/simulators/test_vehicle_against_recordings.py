"""The recorded ground station speaks to the simulated vehicle; what it answers is held against what was recorded."""

from __future__ import annotations

import difflib
import os
import re
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot_links import QueueLink
from simulators.clock import SimClock
from simulators.px4_parameters import Px4Parameters
from simulators.vehicle import SimulatedVehicle

NOT_OURS = (
    "EKF3", "Barometer", "AHRS: ", "SIM Hit", "GPS 1: prob", "RC7", "Md1", "PreArm: Mount", "EKF primary", "[logger]",
)  # fmt: skip
"""Beginnings of texts that tell of parts which the simulation does not have."""
GROUNDS = 200
"""System ids from here on are grounds."""
HEIGHTS = re.compile(r"start return at \d+ m \(\d+ m above dest")
"""Heights that hang on where exactly the vehicle was, and on the recorded one's wandering home."""
ARDUCOPTER_SET_UP = {
    "ap_04b_linkloss_continue": {"FS_GCS_ENABLE": 2.0},
    "ap_05a_battery": {
        "BATT_LOW_VOLT": 11.2, "BATT_CRT_VOLT": 10.4, "BATT_ARM_VOLT": 11.0, "BATT_FS_LOW_ACT": 2.0,
        "BATT_FS_CRT_ACT": 1.0, "BATT_LOW_MAH": 0.0, "BATT_CRT_MAH": 0.0,
    },
}  # fmt: skip
"""What was set on a recorded ArduCopter before the recording began."""
SET_UP_S = 2.0
"""Parameters that the recorded vehicle tells by itself so early are those it was set up with."""


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
        return f"{kind} {message.severity} {HEIGHTS.sub('start return at # m (# m above dest', message.text)}"
    if kind == "MESSAGE_INTERVAL":
        return f"{kind} {message.message_id} {message.interval_us > 0}"
    return None


def replay(recording: Path, speedup: float) -> tuple[list[str], list[str]]:
    """What the recorded vehicle said, and what ours says to the same ground station."""
    px4 = recording.name.startswith("px4")
    log = mavutil.mavlink_connection(str(recording))
    theirs: list[str] = []
    frames: list[tuple[float, bytes]] = []
    parameters: dict[str, float] = {}
    start: float | None = None
    sysid = 1
    while (message := log.recv_match()) is not None:
        start = message._timestamp if start is None else start
        moment_s = (message._timestamp - start) * speedup
        if message.get_srcSystem() >= GROUNDS:
            frames.append((moment_s, bytes(message.get_msgbuf())))
            continue
        if message.get_type() == "HEARTBEAT":
            sysid = message.get_srcSystem()
        if px4 and message.get_type() == "PARAM_VALUE" and moment_s < SET_UP_S:
            parameters[message.param_id] = of_wire(message)
        theirs += [words] if (words := said(message)) else []
    log.close()
    link = QueueLink()
    set_up = ARDUCOPTER_SET_UP.get(recording.stem, {})
    options: dict[str, Any] = {"autopilot": "ardupilot", "ready_after_s": 41.0, "parameters": set_up}
    if px4:
        known = Px4Parameters()
        parameters = {"MNT_MODE_IN": -1.0} | {name: value for name, value in parameters.items() if name in known}
        options = {"autopilot": "px4", "parameters": parameters}
    vehicle = SimulatedVehicle(
        sysid=sysid, home=(76.945, 43.238, 800.09), link=link, clock=SimClock(start_utc_s=1.79e9), **options
    )
    for moment_s, frame in frames:
        while vehicle.pilot.time_s < moment_s:
            vehicle.step()
        vehicle.receive(frame)
    end_s = frames[-1][0] + (5.0 if px4 else 0.0)
    while vehicle.pilot.time_s < end_s:
        vehicle.step()
    parser = mavlink.MAVLink(None)
    parser.robust_parsing = True
    sent = [message for frame in link.sent for message in parser.parse_buffer(frame) or []]
    return theirs, [words for message in sent if (words := said(message))]


def of_wire(message: Any) -> float:
    """A value of PX4: the bytes of an int32 stand inside the float."""
    if message.param_type != 6:
        return float(message.param_value)
    (value,) = struct.unpack("<i", struct.pack("<f", message.param_value))
    return float(value)


def likeness(theirs: list[str], ours: list[str]) -> float:
    """Share of what both said that both said, whatever the order."""
    return 2 * (Counter(theirs) & Counter(ours)).total() / (len(theirs) + len(ours))


def compare(recording: Path, speedup: float, alike: float, in_order: float) -> None:
    theirs, ours = replay(recording, speedup)
    assert len(theirs) > 7
    difference = "\n".join(difflib.unified_diff(theirs, ours, "recorded", "ours", n=0))
    share, order = likeness(theirs, ours), difflib.SequenceMatcher(None, theirs, ours, autojunk=False).ratio()
    print(f"{recording.stem}: {share:.3f} of {len(theirs)} answers are alike, {order:.3f} in order")
    assert share >= alike, difference
    assert order >= in_order, difference


@pytest.mark.parametrize(
    ("name", "speedup", "alike"),
    [
        ("ap_01_boot", 1, 0.95),
        ("ap_02_mission", 3, 0.95),
        ("ap_02b_mission_edge", 5, 0.97),
        ("ap_03_fence_rally", 3, 0.97),
        ("ap_04a_linkloss_rtl", 1, 0.99),
        ("ap_04b_linkloss_continue", 1, 0.95),
        ("ap_04c_linkloss_wrong_gcs_id", 1, 0.95),
        ("ap_05a_battery", 2, 0.93),
        ("ap_05b_gps_loss", 2, 0.95),
        ("ap_05c_motor_fail", 2, 0.95),
        ("ap_06_params", 1, 0.97),
        ("ap_07_signing_serial0", 1, 0.93),
        ("ap_08_mount", 1, 0.99),
    ],
)
def test_it_answers_as_the_recorded_arducopter(recordings: Path, name: str, speedup: float, alike: float) -> None:
    """The order within one millisecond and the pace of a flight may differ; nothing else does."""
    compare(recordings / f"{name}.tlog", speedup, alike, 0.87)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "speedup", "alike", "in_order"),
    [
        ("px4_01_boot", 1, 0.98, 0.95),
        ("px4_01b_boot_gcs_port", 1, 0.98, 0.93),
        ("px4_02_mission", 3, 0.96, 0.94),
        ("px4_02b_mission_edge", 3, 0.96, 0.95),
        ("px4_02c_mission_flight", 3, 0.92, 0.84),
        ("px4_02d_goto", 2, 0.97, 0.97),
        ("px4_03_fence_rally", 3, 0.97, 0.95),
        ("px4_03b_fence_rally_frame3", 3, 0.98, 0.98),
        ("px4_04a_linkloss_rtl", 1, 0.98, 0.98),
        ("px4_04b_linkloss_continue", 1, 0.96, 0.87),
        ("px4_05a_battery", 2, 0.9, 0.83),
        ("px4_05b_gps_loss", 2, 0.94, 0.87),
        ("px4_05c_motor_fail", 2, 0.98, 0.98),
        ("px4_06_params", 1, 0.98, 0.98),
        ("px4_08_mount", 1, 0.98, 0.98),
    ],
)
def test_it_answers_as_the_recorded_px4(
    recordings: Path, name: str, speedup: float, alike: float, in_order: float
) -> None:
    """What differs: a text or two that the recorded one dropped, and what hangs on the pace of a flight."""
    compare(recordings / f"{name}.tlog", speedup, alike, in_order)
