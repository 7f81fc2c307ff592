"""A vehicle with the habits of PX4 1.17 on the wire, as recorded; how it flies is a toy."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

STEP_S = 0.05
SPEED_M_S = 60.0
DEGREE_M = 111_132.95
HOME = (76.945, 43.238, 800.0)
HOLD, MISSION, RTL, LAND = 0x03040000, 0x04040000, 0x05040000, 0x06040000
FENCE_M = 500.0


class Px4Vehicle(asyncio.DatagramProtocol):
    """Sends to the ground at a UDP port; every habit named in a method was seen in a recording."""

    def __init__(self, port: int, *, sysid: int = 6, refusals: int = 1) -> None:
        self._ground, self.sysid, self._refusals = ("127.0.0.1", port), sysid, refusals
        self._mav = dialect.MAVLink(None, srcSystem=sysid, srcComponent=1)
        self._parser = dialect.MAVLink(None)
        self._transport: asyncio.DatagramTransport | None = None
        self.mode, self.armed = HOLD, False
        self.east_m = self.north_m = self.up_m = 0.0
        self.target: tuple[float, float, float] | None = None
        self.items: list[Any] = []
        self.current = 0
        self.orders: list[str] = []
        self._incoming: dict[int, Any] = {}
        self._expected = 0
        self._asked_s = -1e9
        self._held_texts: list[tuple[int, str]] = []
        self._ground_heard = False
        self._text_id = 0
        self._started_s = time.monotonic()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        try:
            while True:
                self._step()
                await asyncio.sleep(STEP_S)
        finally:
            self._transport.close()

    def send(self, message: Any) -> None:
        assert self._transport is not None
        self._transport.sendto(message.pack(self._mav), self._ground)
        self._mav.seq = (self._mav.seq + 1) % 256

    def say(self, severity: int, text: str) -> None:
        """Texts wait for the ground's heartbeat, carry ids from 0, are split at 50 and end in a tab."""
        if not self._ground_heard:
            self._held_texts.append((severity, text))
            return
        raw = (text + "\t").encode()
        for chunk in range(0, len(raw), 50):
            part = raw[chunk : chunk + 50]
            self.send(dialect.MAVLink_statustext_message(severity, part, self._text_id, chunk // 50))
        self._text_id += 1

    def ack(self, command: int, result: int) -> None:
        self.send(dialect.MAVLink_command_ack_message(command, result, 0, 0, 255, 190))

    # -- what it says of itself --------------------------------------------------------------------------------------

    def _step(self) -> None:
        boot_ms = int((time.monotonic() - self._started_s) * 1000)
        self._fly()
        landed = self.up_m < 0.1
        base_mode = 0x9D if self.armed else 0x1D
        self.send(dialect.MAVLink_heartbeat_message(2, 12, base_mode, self.mode, 4 if self.armed else 3, 3))
        self.send(dialect.MAVLink_extended_sys_state_message(0, 1 if landed else 2))
        self.send(dialect.MAVLink_system_time_message(1_790_000_000_000_000 + boot_ms * 1000, boot_ms))
        lat, lon = HOME[1] + self.north_m / DEGREE_M, HOME[0] + self._degrees_east(self.east_m)
        up_mm = int(self.up_m * 1000)
        self.send(
            dialect.MAVLink_global_position_int_message(
                boot_ms, round(lat * 1e7), round(lon * 1e7), int(HOME[2] * 1000) + up_mm, up_mm, 0, 0, 0, 0
            )
        )
        home = (round(HOME[1] * 1e7), round(HOME[0] * 1e7), int(HOME[2] * 1000))
        self.send(dialect.MAVLink_home_position_message(*home, 0, 0, 0, [1, 0, 0, 0], 0, 0, 0))
        total = len(self.items) or 65535
        state = 1 if not self.items else 3 if self.mode == MISSION else 5 if self.current >= len(self.items) - 1 else 4
        self.send(dialect.MAVLink_mission_current_message(self.current, total, state, 1))
        if len(self._incoming) and time.monotonic() - self._asked_s > 0.25:
            self._ask()

    def _degrees_east(self, east_m: float) -> float:
        return east_m / (DEGREE_M * math.cos(math.radians(HOME[1])))

    def _fly(self) -> None:
        if not self.armed:
            return
        if self.mode == MISSION and self.target is None and self.current < len(self.items):
            self._next_item()
        if self.target is None:
            return
        away = [goal - now for goal, now in zip(self.target, (self.east_m, self.north_m, self.up_m), strict=True)]
        distance_m = math.hypot(*away)
        part = min(1.0, SPEED_M_S * STEP_S / max(distance_m, 1e-6))
        self.east_m, self.north_m, self.up_m = (
            now + part * step for now, step in zip((self.east_m, self.north_m, self.up_m), away, strict=True)
        )
        if part < 1.0:
            return
        self.target = None
        if self.mode in (RTL, LAND):
            self.up_m, self.armed, self.mode = 0.0, False, HOLD
            self.say(6, "Disarmed by landing")
        elif self.mode == MISSION:
            self.send(dialect.MAVLink_mission_item_reached_message(self.current))
            self.current = min(self.current + 1, len(self.items) - 1)

    def _next_item(self) -> None:
        item = self.items[self.current]
        if item.command in (16, 22):
            north_m = (item.x / 1e7 - HOME[1]) * DEGREE_M
            east_m = (item.y / 1e7 - HOME[0]) / self._degrees_east(1.0)
            self.target = (east_m, north_m, item.z)
        elif item.command == 20:
            self.mode, self.target = RTL, (0.0, 0.0, 0.0)
            self.say(6, "Returning to launch")
        else:
            self.current += 1

    # -- what it hears -----------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        for message in self._parser.parse_buffer(bytearray(data)) or []:
            if getattr(message, "target_system", self.sysid) != self.sysid:
                continue
            handlers: dict[str, Callable[[Any], None]] = {
                "HEARTBEAT": self._heartbeat,
                "COMMAND_LONG": self._command,
                "COMMAND_INT": self._command,
                "MISSION_COUNT": self._mission_count,
                "MISSION_ITEM_INT": self._mission_item,
                "MISSION_REQUEST_LIST": self._mission_list,
                "MISSION_REQUEST_INT": self._mission_request,
            }
            if (handle := handlers.get(message.get_type())) is not None:
                handle(message)

    def _heartbeat(self, message: Any) -> None:
        if not self._ground_heard:
            self._ground_heard = True
            for severity, text in self._held_texts:
                self.say(severity, text)

    def _command(self, message: Any) -> None:
        command = message.command
        self.orders.append(f"{command}")
        if command == 176:
            self._set_mode(int(message.param2) << 16 | int(message.param3) << 24)
        elif command == 400:
            self._arm()
        elif command == 300:
            self.ack(300, 0 if self.items else 2)
            self.mode, self.current, self.target = MISSION, 0, None
        elif command == 192:
            self._reposition(message)
        elif command in (511, 205):
            self.ack(command, 0)
        else:
            self.ack(command, 3)

    def _set_mode(self, mode: int) -> None:
        """Two answers: the first is always ACCEPTED."""
        self.ack(176, 0)
        if mode == MISSION and not self.items:
            self.ack(176, 1)
            self.say(2, "Switching to Mission is currently not available")
            return
        self.mode = mode
        self.target = (0.0, 0.0, 0.0) if mode == RTL else (self.east_m, self.north_m, 0.0) if mode == LAND else None
        self.ack(176, 0)

    def _arm(self) -> None:
        if self._refusals > 0:
            self._refusals -= 1
            self.ack(400, 1)
            self.say(2, "Arming denied: Resolve system health failures first")
            return
        self.armed = True
        self.ack(400, 0)

    def _reposition(self, message: Any) -> None:
        """The height is AMSL whatever the frame says; a place beyond the fence is accepted and not flown to."""
        self.ack(192, 0)
        north_m = (message.x / 1e7 - HOME[1]) * DEGREE_M
        east_m = (message.y / 1e7 - HOME[0]) / self._degrees_east(1.0)
        if math.hypot(north_m, east_m) > FENCE_M:
            self.say(4, "Reposition is outside geofence")
            return
        self.mode, self.target = HOLD, (east_m, north_m, message.z - HOME[2])

    def _mission_count(self, message: Any) -> None:
        self._incoming = dict.fromkeys(range(message.count))
        self._expected = 0
        self._ask()

    def _ask(self) -> None:
        self._asked_s = time.monotonic()
        self.send(dialect.MAVLink_mission_request_int_message(255, 190, self._expected, 0))

    def _mission_item(self, message: Any) -> None:
        if message.seq != self._expected:  # ignored; asked again in a quarter of a second
            return
        self._incoming[message.seq] = message
        self._expected += 1
        if self._expected < len(self._incoming):
            self._ask()
            return
        self.items = [self._incoming[seq] for seq in range(len(self._incoming))]
        self._incoming, self.current = {}, 0
        self.send(dialect.MAVLink_mission_ack_message(255, 190, 0, 0))

    def _mission_list(self, message: Any) -> None:
        self.send(dialect.MAVLink_mission_count_message(255, 190, len(self.items), 0))

    def _mission_request(self, message: Any) -> None:
        item = self.items[message.seq]
        params = (item.param1, item.param2, item.param3, item.param4)
        self.send(
            dialect.MAVLink_mission_item_int_message(
                255, 190, message.seq, item.frame, item.command, 0, 1, *params, item.x, item.y, item.z, 0
            )
        )
