"""A ground station that steps a simulated vehicle without a clock: raw pymavlink, nothing of ours in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot_links import QueueLink
from simulators.clock import SimClock
from simulators.vehicle import STEP_S, SimulatedVehicle

HOME = (76.945, 43.238, 800.0)
"""Lon, lat, AMSL."""


class Ground:
    """One ground station and its vehicle, sysid 7."""

    def __init__(self, *, speedup: float = 1.0, sysid: int = 255, **options: Any) -> None:
        """The vehicle is powered on and not yet stepped."""
        self.link = QueueLink()
        clock = SimClock(start_utc_s=1_800_000_000.0, speedup=speedup)
        self.vehicle = SimulatedVehicle(sysid=7, home=HOME, link=self.link, clock=clock, **options)
        self.heard: list[Any] = []
        self.frames: list[bytes] = []
        self.beats = True
        self._mav = mavlink.MAVLink(None, srcSystem=sysid, srcComponent=190)
        self._parser = mavlink.MAVLink(None)
        self._beat_s = 0.0

    def send(self, message: Any) -> None:
        """One frame to the vehicle."""
        self.vehicle.receive(bytes(message.pack(self._mav)))
        self._mav.seq = (self._mav.seq + 1) % 256
        self._collect()

    def command(self, command: int, *params: float) -> Any:
        """A COMMAND_LONG; its acknowledgement."""
        seven = [*params, *[0.0] * (7 - len(params))]
        before = len(self.heard)
        self.send(mavlink.MAVLink_command_long_message(7, 1, command, 0, *seven))
        acks = [m for m in self.heard[before:] if m.get_type() == "COMMAND_ACK" and m.command == command]
        assert len(acks) == 1
        return acks[0].result

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Step so many simulated seconds, or until something holds; whether it came to hold."""
        for _ in range(round(seconds / STEP_S)):
            if self.beats and self.vehicle.pilot.time_s >= self._beat_s:
                self._beat_s = self.vehicle.pilot.time_s + 1.0
                self.send(mavlink.MAVLink_heartbeat_message(6, 8, 0, 0, 0, 3))
            self.vehicle.step()
            self._collect()
            if until():
                return True
        return False

    def of(self, kind: str) -> list[Any]:
        """All messages of one type so far."""
        return [m for m in self.heard if m.get_type() == kind]

    def raw(self, number: int) -> list[bytes]:
        """Payloads, zeros at the end cut off, of all messages of a number so far, known to the dialect or not."""
        return [f[10 : 10 + f[1]] for f in self.frames if int.from_bytes(f[7:10], "little") == number]

    def texts(self) -> list[str]:
        """All texts so far."""
        return [m.text for m in self.of("STATUSTEXT")]

    def ready(self) -> None:
        """Wait until it can be armed, forget what was said on the way."""
        self.run(self.vehicle.pilot.boot.ready_s + 0.5)
        self.heard.clear()

    def _collect(self) -> None:
        self.frames += self.link.sent
        for frame in self.link.sent:
            self.heard.extend(self._parser.parse_buffer(frame) or [])
        self.link.sent.clear()

    # -- missions --------------------------------------------------------------------------------------------------

    def place(self, north_m: float, east_m: float) -> tuple[int, int]:
        """x and y of a mission item so far from the home."""
        lon, lat = self.vehicle.frame.lonlat(north_m, east_m)
        return round(lat * 1e7), round(lon * 1e7)

    def item(
        self,
        command: int,
        where: tuple[int, int] = (0, 0),
        z: float = 0.0,
        params: tuple[float, float, float, float] = (0, 0, 0, 0),
        frame: int = 6,
        kind: int = 0,
    ) -> Any:
        """A MISSION_ITEM_INT without its number."""
        return mavlink.MAVLink_mission_item_int_message(7, 1, 0, frame, command, 0, 1, *params, *where, z, kind)

    def home_item(self) -> Any:
        """What stands at item 0."""
        return self.item(16, self.place(0, 0), HOME[2], frame=0)

    def upload(self, items: list[Any], kind: int = 0) -> int:
        """Offer a list and answer what is asked; the result of the MISSION_ACK."""
        before = len(self.heard)
        self.send(mavlink.MAVLink_mission_count_message(7, 1, len(items), kind))
        for _ in range(2 * len(items) + 5):
            asked = [m for m in self.heard[before:] if m.get_type() in ("MISSION_REQUEST", "MISSION_REQUEST_INT")]
            acks = [m for m in self.heard[before:] if m.get_type() == "MISSION_ACK"]
            if acks:
                return int(acks[-1].type)
            items[asked[-1].seq].seq = asked[-1].seq
            self.send(items[asked[-1].seq])
        raise AssertionError("no MISSION_ACK")

    def download(self, kind: int = 0) -> list[Any]:
        """What the vehicle holds."""
        self.send(mavlink.MAVLink_mission_request_list_message(7, 1, kind))
        count = self.of("MISSION_COUNT")[-1].count
        for seq in range(count):
            self.send(mavlink.MAVLink_mission_request_int_message(7, 1, seq, kind))
        return self.of("MISSION_ITEM_INT")[-count:] if count else []

    def start(self, items: list[Any]) -> None:
        """Upload, arm, start."""
        assert self.upload(items) == 0
        assert self.command(176, 1, 4) == 0
        assert self.command(400, 1) == 0
        assert self.command(300) == 0

    def take_off(self, height_m: float) -> None:
        """In GUIDED to a height."""
        assert self.command(176, 1, 4) == 0
        assert self.command(400, 1) == 0
        assert self.command(22, 0, 0, 0, 0, 0, 0, height_m) == 0
        assert self.run(60.0, until=lambda: self.vehicle.pilot.relative_m() > height_m - 0.7)
