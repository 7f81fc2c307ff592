"""One vehicle on two ways is one vehicle; two vehicles under one sysid are told apart, and neither is commanded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.datagrams import UdpLink
from fleet.errors import IdentityConflict
from fleet.fleet import Fleet
from fleet.identity import Identity, Standing, Way
from fleet.telemetry import Condition, TelemetryState
from fleet.vehicle import VehicleRecord
from geo.positions import Altitude, Datum, Position
from tests.fleet.conftest import HOME, Fly, survey
from tests.fleet.test_fleet import ready, registered, traffic


@pytest.fixture
def second_port() -> int:
    """Another UDP port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TwoModems(asyncio.DatagramProtocol):
    """Carries one vehicle's frames to two ports of the ground, and both ways back."""

    def __init__(self) -> None:
        self.cut = [False, False]
        self.came: list[int] = [0, 0]
        """Datagrams from the ground, by modem."""
        self._ways: list[asyncio.DatagramTransport] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._vehicle: tuple[str, int] | None = None

    async def open(self, *ports: int) -> int:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        for number, port in enumerate(ports):
            way, _ = await loop.create_datagram_endpoint(
                lambda number=number: _Back(self, number), remote_addr=("127.0.0.1", port)
            )
            self._ways.append(way)
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._vehicle = address
        for number, way in enumerate(self._ways):
            if not self.cut[number]:
                way.sendto(data)

    def back(self, number: int, data: bytes) -> None:
        if self._transport is not None and self._vehicle is not None and not self.cut[number]:
            self.came[number] += 1
            self._transport.sendto(data, self._vehicle)

    def close(self) -> None:
        for transport in (self._transport, *self._ways):
            if transport is not None:
                transport.close()


class _Back(asyncio.DatagramProtocol):
    def __init__(self, modems: TwoModems, number: int) -> None:
        self._modems, self._number = modems, number

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._modems.back(self._number, data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there."""


@asynccontextmanager
async def two_modems(*ports: int) -> AsyncIterator[tuple[TwoModems, int]]:
    modems = TwoModems()
    port = await modems.open(*ports)
    try:
        yield modems, port
    finally:
        modems.close()


async def test_two_links_of_one_vehicle_are_one_vehicle_and_one_takes_over(
    port: int, second_port: int, simulated: Fly
) -> None:
    links = [f"udpin:127.0.0.1:{port}", f"udpin:127.0.0.1:{second_port}"]
    alarms: list[str] = []
    async with Fleet(links, registered(1)) as fleet, two_modems(port, second_port) as (modems, way):
        fleet.on_alarm = alarms.append
        simulated(way, sysid=1)
        await ready(fleet.vehicle(1))
        seen = fleet.seen(1)
        assert seen is not None
        identity = seen.identity
        assert await holds(
            lambda: sorted(w.standing for w in identity.ways.values()) == [Standing.IN_USE, Standing.SPARE], 5.0
        ), identity.ways
        first = 0 if identity.in_use is not None and identity.in_use.link is fleet.links[0] else 1
        modems.cut[first] = True
        assert await holds(lambda: identity.in_use is not None and identity.in_use.link is fleet.links[1 - first], 6.0)
        assert (await fleet.vehicle(1).set_mode(FlightMode.GUIDED)).state is CommandState.ACCEPTED
        assert alarms == []
        assert list(fleet.vehicles) == [1]


async def test_a_second_vehicle_under_a_sysid_is_quarantined_and_neither_is_commanded(
    port: int, simulated: Fly
) -> None:
    alarms: list[str] = []
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1, 2)) as fleet:
        fleet.on_alarm = alarms.append
        simulated(port, sysid=1)
        simulated(port, sysid=2)
        await ready(fleet.vehicle(1))
        await ready(fleet.vehicle(2))
        other = simulated(port, sysid=1, home=(77.5, 43.5, 1000.0))
        heard = traffic(other)
        assert await holds(lambda: fleet.vehicle(1).state.conflict is not None, 8.0)
        seen = fleet.seen(1)
        assert seen is not None
        addresses = [f"{way.address[0]}:{way.address[1]}" for way in seen.identity.ways.values()]
        assert len(addresses) == 2
        assert len(alarms) == 1
        assert all(address in alarms[0] for address in addresses)
        with pytest.raises(IdentityConflict, match="sysid 1 gets no commands"):
            await fleet.vehicle(1).hold()
        with pytest.raises(IdentityConflict):
            await fleet.vehicle(1).upload_mission(survey())
        position = fleet.vehicle(1).state.position
        assert position is not None
        assert position.lon == pytest.approx(HOME[0], abs=1e-3)
        assert set(heard) <= {"COMMAND_LONG 512"}, "it was asked who it is, and nothing else"
        assert (await fleet.vehicle(2).set_mode(FlightMode.GUIDED)).state is CommandState.ACCEPTED


async def test_a_vehicle_on_a_link_it_is_not_allowed_on_is_not_believed(
    port: int, second_port: int, simulated: Fly
) -> None:
    allowed, other = f"udpin:127.0.0.1:{port}", f"udpin:127.0.0.1:{second_port}"
    record = VehicleRecord(sysid=1, name="vehicle 1", links=(allowed,))
    async with Fleet([allowed, other], {1: record}) as fleet:
        simulated(second_port, sysid=1)
        assert await holds(lambda: fleet.seen(1) is not None and fleet.vehicle(1).state.conflict is not None, 5.0)
        assert "not allowed on this link" in (fleet.vehicle(1).state.conflict or "")
        assert fleet.vehicle(1).state.condition is Condition.UNKNOWN
        simulated(port, sysid=1)
        assert await holds(lambda: fleet.vehicle(1).state.condition is Condition.READY, 5.0)
        with pytest.raises(IdentityConflict, match="not allowed on this link"):
            await fleet.vehicle(1).hold()


def test_many_forged_ways_do_not_pile_up_and_leave_the_vehicles_own(port: int) -> None:
    link = UdpLink("127.0.0.1", port, listen=True)
    identity = Identity(1)
    believed = identity.heard(link, ("10.0.0.1", 14550), 0.0)
    for number in range(5000):
        identity.heard(link, ("10.9.9.9", 1024 + number), 1.0 + number * 1e-4)
    assert len(identity.ways) <= 33
    assert identity.in_use is believed


class Said:
    """What a way says."""

    def __init__(self, boot_s: float, lon: float = 76.945, lat: float = 43.238) -> None:
        self.time_boot_ms, self.lon, self.lat = boot_s * 1e3, lon * 1e7, lat * 1e7

    def get_type(self) -> str:
        return "GLOBAL_POSITION_INT"


def known(boot_s: float) -> TelemetryState:
    """What was last heard of the vehicle."""
    place = Position(lon=76.945, lat=43.238, altitude=Altitude(800.0, Datum.AMSL))
    return TelemetryState(sysid=1, boot_s=boot_s, position=place)


def spoken(identity: Identity, link: UdpLink, address: tuple[str, int], said: Said, at_s: float, boot_s: float) -> Way:
    """A frame on a way at a time, when the vehicle was last heard `boot_s` after its boot."""
    way = identity.heard(link, address, at_s)
    if way.standing is Standing.UNPROVEN:
        identity.weigh(way, said, known(boot_s), 1.0, at_s)
    identity.settle(at_s)
    return way


OLD, NEW = ("10.0.0.1", 14550), ("10.0.0.2", 14550)


@pytest.fixture
def silent(port: int) -> tuple[Identity, UdpLink]:
    """A vehicle heard until 100 s, 500 s after its boot, that says nothing since."""
    identity, link = Identity(1), UdpLink("127.0.0.1", port, listen=True)
    identity.heard(link, OLD, 0.0)
    identity.heard(link, OLD, 100.0)
    identity.renewed = False
    return identity, link


def test_a_vehicle_whose_address_changed_is_believed_again_once_it_shows_who_it_is(
    silent: tuple[Identity, UdpLink],
) -> None:
    identity, link = silent
    for step in range(8):
        at_s = 104.0 + step
        way = spoken(identity, link, NEW, Said(504.0 + step), at_s, 500.0)
    assert identity.in_use is way
    assert way.standing is Standing.IN_USE
    assert identity.conflict is None
    assert not identity.renewed, "it is the same vehicle, and its mission the same"


def test_another_vehicle_does_not_take_over_while_the_first_is_silent(silent: tuple[Identity, UdpLink]) -> None:
    identity, link = silent
    for step in range(20):
        way = spoken(identity, link, NEW, Said(9000.0 + step), 104.0 + step, 500.0)
    assert way.standing is Standing.QUARANTINED
    assert identity.conflict is not None
    back = identity.heard(link, OLD, 125.0)
    assert identity.in_use is back


def test_a_vehicle_that_rebooted_in_the_silence_is_the_same_one(silent: tuple[Identity, UdpLink]) -> None:
    identity, link = silent
    for step in range(8):
        way = spoken(identity, link, NEW, Said(6.0 + step), 110.0 + step, 500.0)
    assert identity.in_use is way


def test_one_that_shows_nothing_takes_over_late_and_what_was_aboard_is_forgotten(
    silent: tuple[Identity, UdpLink],
) -> None:
    identity, link = silent
    for step in range(11):
        identity.heard(link, NEW, 104.0 + step)
        identity.settle(104.0 + step)
    assert identity.in_use is identity.ways[id(link), OLD]
    for step in range(11, 14):
        identity.heard(link, NEW, 104.0 + step)
        identity.settle(104.0 + step)
    assert identity.in_use is identity.ways[id(link), NEW]
    assert identity.renewed
    assert identity.ways[id(link), OLD].standing is Standing.UNPROVEN, "it has to show that it is the same"


def test_after_a_minute_of_silence_whoever_is_heard_is_the_vehicle(silent: tuple[Identity, UdpLink]) -> None:
    identity, link = silent
    identity.settle(161.0)
    way = identity.heard(link, NEW, 162.0)
    assert identity.in_use is way
    assert identity.renewed
