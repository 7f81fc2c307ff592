"""Vehicles that speak the mission protocol as ArduCopter does and nothing else, so lean that they hold nobody up.

They ask for item after item with MISSION_REQUEST, put home into item 0, acknowledge, and answer each
MISSION_REQUEST_INT for itself (recorded of ArduCopter 4.6). All in one process, each on a socket of its own.
"""

from __future__ import annotations

import heapq
import selectors
import socket
import sys
import time
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect
from telemetry import answer_counts

HOME = (432380000, 769450000, 800.0)
MISSION_COUNT, MISSION_ITEM_INT, REQUEST_LIST, REQUEST_INT, COMMAND_LONG, TIMESYNC = 44, 73, 43, 51, 76, 111
GROUND = (255, 190)


class Vehicle:
    """One: what it holds, and the frames it answers with."""

    def __init__(self, sysid: int, held: int) -> None:
        """With a mission of so many items aboard."""
        self._mav = dialect.MAVLink(None, srcSystem=sysid, srcComponent=1)
        self._parser = dialect.MAVLink(None)
        point = dialect.MAVLink_mission_item_int_message(0, 0, 0, 3, 16, 0, 1, 0, 0, 0, 0, *HOME)
        self._items: list[bytes] = []
        for point.seq in range(held):
            self._items.append(self._held(point))
        self._count = held
        self._waited = False
        self._requests: list[bytes] = []

    def beat(self) -> list[bytes]:
        """What it sends unasked, once a second."""
        lat, lon, height = HOME
        home = dialect.MAVLink_home_position_message(lat, lon, round(height * 1e3), 0, 0, 0, [1.0, 0, 0, 0], 0, 0, 0)
        frames = [self._packed(dialect.MAVLink_heartbeat_message(2, 3, 81, 0, 3, 3)), self._packed(home)]
        if self._waited and len(self._items) < self._count:
            frames.append(self._requests[len(self._items)])  # ArduCopter asks again after a second
        self._waited = True
        return frames

    def answers(self, data: bytes) -> list[bytes]:
        """To one datagram, which is one frame of MAVLink 2."""
        msgid = data[7]
        if msgid == MISSION_ITEM_INT:
            message = self._parser.decode(bytearray(data))
            if message.seq != len(self._items):
                return []
            self._items.append(self._held(message))
            self._waited = False
            return [self._requests[len(self._items)]]
        if msgid == REQUEST_INT:
            seq = data[10] | data[11] << 8
            return [self._items[seq]]
        message = self._parser.decode(bytearray(data))
        if msgid == MISSION_COUNT:
            self._items, self._count, self._waited = [], message.count, False
            asked = [dialect.MAVLink_mission_request_message(*GROUND, seq, 0) for seq in range(message.count)]
            done = dialect.MAVLink_mission_ack_message(*GROUND, 0, 0)
            if len(self._requests) != message.count + 1:
                self._requests = [self._packed(answer) for answer in (*asked, done)]
            return [self._requests[0]]
        if msgid == REQUEST_LIST:
            return [self._packed(dialect.MAVLink_mission_count_message(*GROUND, self._count, 0))]
        if msgid == COMMAND_LONG:
            return [self._packed(dialect.MAVLink_command_ack_message(message.command, 0, 0, 0, *GROUND))]
        if msgid == TIMESYNC and message.tc1 == 0:
            return [self._packed(dialect.MAVLink_timesync_message(time.monotonic_ns(), message.ts1))]
        return []

    def _held(self, item: Any) -> bytes:
        place = (item.x, item.y, item.z) if item.seq else HOME
        params = (item.param1, item.param2, item.param3, item.param4)
        return self._packed(
            dialect.MAVLink_mission_item_int_message(
                *GROUND, item.seq, item.frame if item.seq else 0, item.command, 0, item.autocontinue, *params, *place, 0
            )
        )

    def _packed(self, message: Any) -> bytes:
        return bytes(message.pack(self._mav))


def serve(port: int, step: int, vehicles: int, delay_s: float, held: int) -> None:
    """Until killed. Vehicle N, from 0, with `held` items aboard, sends to `port` + N * `step`; answers take
    `delay_s`."""
    ears = selectors.DefaultSelector()
    every = []
    for number in range(vehicles):
        way = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        way.connect(("127.0.0.1", port + number * step))
        way.setblocking(False)
        vehicle = Vehicle(number + 1, held)
        ears.register(way, selectors.EVENT_READ, vehicle)
        every.append((way, vehicle))
    waiting: list[tuple[float, int, socket.socket, bytes]] = []
    answered = 0
    answer_counts(lambda: answered)
    beat_s = 0.0
    while True:
        now_s = time.monotonic()
        if now_s >= beat_s:
            beat_s = now_s + 1.0
            for way, vehicle in every:
                for data in vehicle.beat():
                    _send(way, data)
        while waiting and waiting[0][0] <= now_s:
            _, _, way, data = heapq.heappop(waiting)
            _send(way, data)
        until_s = min(beat_s, waiting[0][0] if waiting else beat_s)
        for key, _ in ears.select(max(0.0, until_s - time.monotonic())):
            way = key.fileobj  # type: ignore[assignment]
            for asked in _read(way):
                for data in key.data.answers(asked):
                    answered += 1
                    if delay_s:
                        heapq.heappush(waiting, (time.monotonic() + delay_s, answered, way, data))
                    else:
                        _send(way, data)


def _read(way: socket.socket) -> list[bytes]:
    """All that has come."""
    found = []
    try:
        while True:
            found.append(way.recv(2048))
    except (BlockingIOError, ConnectionRefusedError):
        return found


def _send(way: socket.socket, data: bytes) -> None:
    try:
        way.send(data)
    except ConnectionRefusedError:
        return  # nobody listens there (yet)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
