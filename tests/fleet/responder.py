"""A vehicle on a real socket that answers as a test says, for what no simulated autopilot does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.commands import holds
from fleet.fleet import Fleet
from fleet.framing import Encoder, Framer, decode
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.vehicle import VehicleRecord


@asynccontextmanager
async def heard(port: int) -> AsyncIterator[MavlinkVehicle]:
    """Vehicle 1, once it is heard; its round trip is known."""
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        vehicle = fleet.register(VehicleRecord(sysid=1, name="one"))
        assert await holds(lambda: vehicle.telemetry.autopilot is not None, 15.0)
        for _ in range(10):
            vehicle.channel.pace.answered(0.01)
        yield vehicle


class Responder(asyncio.DatagramProtocol):
    """A vehicle that answers as a script says."""

    def __init__(self, port: int, answer: Callable[[Any], list[Any]]) -> None:
        self._address, self._answer = ("127.0.0.1", port), answer
        self._autopilot, self._transmitter = Encoder(sysid=1, compid=1), Encoder(sysid=1, compid=236)
        self._framer = Framer()
        self._transport: asyncio.DatagramTransport | None = None
        self.heard: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def say(self, *messages: Any) -> None:
        assert self._transport is not None
        for message in messages:
            from_transmitter = message.get_type() == "OPEN_DRONE_ID_ARM_STATUS"
            encoder = self._transmitter if from_transmitter else self._autopilot
            self._transport.sendto(encoder.encode(message), self._address)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        for frame in self._framer.feed(data):
            message = decode(frame)
            if message.get_type() != "HEARTBEAT":
                self.heard.append(message.get_type())
                self.say(*self._answer(message))


@asynccontextmanager
async def scripted(port: int, answer: Callable[[Any], list[Any]]) -> AsyncIterator[tuple[MavlinkVehicle, Responder]]:
    """A vehicle as the ground has it, once it is heard and its round trip is known, and the script behind it."""
    loop = asyncio.get_running_loop()
    transport, responder = await loop.create_datagram_endpoint(
        lambda: Responder(port, answer), local_addr=("127.0.0.1", 0)
    )

    async def beat() -> None:
        while True:
            responder.say(dialect.MAVLink_heartbeat_message(2, 3, 0x51, 0, 3, 3))
            await asyncio.sleep(0.2)

    task = asyncio.create_task(beat(), name="beat")
    try:
        async with heard(port) as vehicle:
            yield vehicle, responder
    finally:
        task.cancel()
        transport.close()


def value_message(name: str, value: float, kind: int, count: int, index: int) -> Any:
    return dialect.MAVLink_param_value_message(name.encode(), value, kind, count, index)
