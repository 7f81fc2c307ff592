"""Many vehicles that talk much and answer each command at once; a process of its own. Run by a play."""

from __future__ import annotations

import selectors
import socket
import sys
import time
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

HZ = 100
"""Messages of each vehicle in a second."""
LAT, LON, ALT_MM = 432_380_000, 769_450_000, 800_000


class Talker:
    """One vehicle: mostly ATTITUDE, made beforehand; its clock and its heartbeat are true."""

    def __init__(self, sysid: int, port: int) -> None:
        self.sysid = sysid
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.sent = 0
        self._mav = mavlink.MAVLink(None, srcSystem=sysid, srcComponent=1)
        self._parser = mavlink.MAVLink(None)
        self._made = [self._pack(mavlink.MAVLink_attitude_message(1, 0, 0, 0, 0, 0, 0), seq) for seq in range(256)]

    def _pack(self, message: Any, seq: int) -> bytes:
        self._mav.seq = seq
        return bytes(message.pack(self._mav))

    def talk(self, tick: int, boot_ms: int) -> None:
        """Its message of a tick."""
        seq = self.sent % 256
        if tick % HZ == HZ - 2:
            place = mavlink.MAVLink_global_position_int_message(boot_ms, LAT, LON, ALT_MM, 0, 0, 0, 0, 0)
            self._send(self._pack(place, seq))
        elif tick % HZ == HZ - 1:
            self._send(self._pack(mavlink.MAVLink_heartbeat_message(2, 3, 0x51, 0, 3, 3), seq))
        else:
            self._send(self._made[seq])

    def _send(self, data: bytes) -> None:
        try:
            self.socket.send(data)
        except OSError:  # the ground is not there yet, or no more
            return
        self.sent += 1

    def answer(self) -> None:
        """Take what came, and acknowledge commands."""
        try:
            data = self.socket.recv(4096)
        except OSError:
            return
        for message in self._parser.parse_buffer(bytearray(data)) or []:
            if message.get_type() == "COMMAND_LONG":
                no_more = mavlink.MAV_RESULT_DENIED if message.command == mavlink.MAV_CMD_SET_MESSAGE_INTERVAL else 0
                ack = mavlink.MAVLink_command_ack_message(message.command, no_more, 0, 0, 255, 190)
                self._send(self._pack(ack, self.sent % 256))


def talk(port: int, vehicles: int, seconds: float) -> int:
    """How many messages were sent."""
    talkers = [Talker(sysid, port) for sysid in range(1, vehicles + 1)]
    listening = selectors.DefaultSelector()
    for talker in talkers:
        listening.register(talker.socket, selectors.EVENT_READ, talker)
    start_s, said, a_second = time.monotonic(), 0, HZ * vehicles
    while (now_s := time.monotonic() - start_s) < seconds:
        due = min(int(now_s * a_second), said + 200)
        for turn in range(said, due):
            talkers[turn % vehicles].talk(turn // vehicles + turn % vehicles, round(now_s * 1000) + 1000)
        said = due
        for key, _ in listening.select(0.001):
            key.data.answer()
    return sum(talker.sent for talker in talkers)


if __name__ == "__main__":
    sys.stdout.write(f"{talk(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))}\n")
