"""Ids of plans as PX4 sends them, in recordings and on the wire."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.channels import Channel
from fleet.framing import Encoder, Framer, decode
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.missions import mission_hash
from fleet.plan_ids import id_in_count, id_in_current
from fleet.recording import read_recording
from fleet.scan import MAGIC_V2
from fleet.snapshots import Telemetry
from fleet.vehicle import VehicleRecord
from tests.fleet.conftest import survey


def test_the_id_of_a_mission_read_back_is_that_of_the_mission_aboard(tlogs: Path) -> None:
    counted: set[int] = set()
    current: set[int] = set()
    for _, frame in read_recording(tlogs / "px4_02_mission.tlog"):
        if frame.sysid == 255 or frame.msgid not in (42, 44) or not frame.verified:
            continue
        message = decode(frame)
        found = id_in_count(message) if frame.msgid == 44 else id_in_current(message)
        (counted if frame.msgid == 44 else current).update([] if found is None else [found])
    assert counted
    assert counted <= current


def test_arducopter_gives_no_ids(tlogs: Path) -> None:
    found = [
        id_in_count(decode(frame)) if frame.msgid == 44 else id_in_current(decode(frame))
        for _, frame in read_recording(tlogs / "ap_02_mission.tlog")
        if frame.sysid != 255 and frame.msgid in (42, 44)
    ]
    assert len(found) > 100
    assert set(found) == {None}


async def test_a_mission_under_another_id_is_another_mission() -> None:
    items = survey(lines=1)
    channel = Channel(1, lambda message: True, ground=(255, 190))
    vehicle = MavlinkVehicle(VehicleRecord(sysid=1, name="one"), channel, Telemetry(1))
    vehicle.receive(heard(dialect.MAVLink_heartbeat_message(2, 12, 0, 0, 3, 3)), 0.0)
    reading = asyncio.create_task(vehicle.read_mission())
    await asyncio.sleep(0.01)
    count = dialect.MAVLink_mission_count_message(255, 190, len(items), 0)
    vehicle.receive(heard(count, extension=bytes((0, 7, 0, 0, 1))), 0.0)
    for seq, item in enumerate(items):
        await asyncio.sleep(0.01)
        vehicle.receive(
            heard(
                dialect.MAVLink_mission_item_int_message(
                    255, 190, seq, item.frame, item.command, 0, 1, *item.params, item.x, item.y, item.z, 0
                )
            ),
            0.0,
        )
    await reading
    assert vehicle.mission_hash == mission_hash(items)
    vehicle._read_monotonic_s -= 10.0
    same = dialect.MAVLink_mission_current_message(0, len(items), 2, 1)
    vehicle.receive(heard(same, extension=bytes((7, 0, 0, 1))), 0.0)
    assert vehicle.mission_hash == mission_hash(items)
    vehicle.receive(heard(same, extension=bytes((8, 0, 0, 1))), 0.0)
    assert vehicle.mission_hash is None


def heard(message: object, *, extension: bytes = b"") -> object:
    """A message of vehicle 1 as it is decoded, with further bytes at the end of its payload."""
    data = Encoder(sysid=1, compid=1).encode(message)
    frame = Framer().feed(data)[0]
    found = decode(frame)
    if extension:
        size = {42: 6, 44: 4}[frame.msgid]
        body = data[10 : 10 + data[1]].ljust(size, b"\0") + extension
        found._msgbuf = bytes((MAGIC_V2, len(body))) + data[2:10] + body + b"\0\0"
    return found
