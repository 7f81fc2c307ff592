"""Vehicles with a key on real sockets: what is believed of them, and what they believe of us."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.commands import CommandState, holds
from fleet.errors import LinkInvalid, SigningInvalid
from fleet.fleet import Fleet
from fleet.framing import Encoder
from fleet.recording import read_recording
from fleet.signing import SignatureCheck, SigningTime, SteadyClock, VehicleSigning, Verdict
from fleet.telemetry import Condition, LinkCondition
from fleet.vehicle import VehicleRecord
from tests.fleet.conftest import Fly
from tests.fleet.test_fleet import ready, registered

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture
def signing(tmp_path: Path) -> Callable[..., VehicleSigning]:
    """Signing of one vehicle; its time goes on where it was left."""

    def make(key: bytes = KEY, *, sysid: int = 1) -> VehicleSigning:
        check = SignatureCheck(sysid, key)
        return VehicleSigning(check, key=key, time=SigningTime(tmp_path / f"{sysid}"), clock=SteadyClock())

    return make


def way_of(fleet: Fleet, sysid: int = 1) -> str:
    """The link that a vehicle is heard on."""
    system = fleet.seen(sysid)
    assert system is not None
    assert system.identity.in_use is not None
    return system.identity.in_use.link.name


def rejected(fleet: Fleet, sysid: int = 1) -> dict[str, int]:
    """Frames not believed, by reason."""
    return fleet.router.traffic(sysid).rejected


class Stranger:
    """Sends frames from a socket of its own."""

    def __init__(self, port: int, *, sysid: int, compid: int = 1) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._encoder = Encoder(sysid=sysid, compid=compid)
        self._place = ("127.0.0.1", port)

    def send(self, message: object) -> None:
        self.send_frame(self._encoder.encode(message))

    def send_frame(self, data: bytes) -> None:
        self._socket.sendto(data, self._place)

    def heard(self) -> bytes:
        """What came back, if anything."""
        self._socket.setblocking(False)
        try:
            return self._socket.recv(4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self._socket.close()


async def test_a_vehicle_that_is_given_a_key_signs_and_believes_only_what_is_signed(
    port: int, simulated: Fly, signing: Callable[..., VehicleSigning], tmp_path: Path
) -> None:
    vehicle = simulated(port, trusted_link=None)
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        await ready(fleet.vehicle(1))
        assert not fleet.router.traffic(1).signed
        fleet.start_recording(1, tmp_path / "flight.tlog")
        with pytest.raises(LinkInvalid, match="on serial:/dev/ttyUSB0:57600 only"):
            await fleet.router.set_up_signing(1, KEY, signing(), link="serial:/dev/ttyUSB0:57600")
        await fleet.router.set_up_signing(1, KEY, signing(), link=way_of(fleet))
        assert fleet.router.traffic(1).signed
        assert (await fleet.vehicle(1).commands.long(512, 1.0)).state is CommandState.ACCEPTED
        assert (await fleet.vehicle(1).hold()).state is not CommandState.UNKNOWN
        fleet.stop_recording(1)
    assert all(frame.msgid != 256 for _, frame in read_recording(tmp_path / "flight.tlog")), "a key was recorded"
    assert vehicle.radio.signatures.key == KEY
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:  # without the key: heard, not obeyed
        await holds(lambda: fleet.vehicle(1).state.condition is not Condition.UNKNOWN, 5.0)
        assert (await fleet.vehicle(1).commands.long(512, 1.0)).state is CommandState.UNKNOWN


async def test_forged_frames_change_nothing_of_a_signed_vehicle(
    port: int, simulated: Fly, signing: Callable[..., VehicleSigning]
) -> None:
    simulated(port, signing_key=KEY, trusted_link=None)
    alarms: list[str] = []
    fleet = Fleet([f"udpin:127.0.0.1:{port}"], registered(1), signing={1: signing()})
    fleet.on_alarm = alarms.append
    async with fleet:
        await ready(fleet.vehicle(1))
        system = fleet.seen(1)
        assert system is not None
        before = system.identity.in_use
        stranger, wrong = Stranger(port, sysid=1), signing(OTHER_KEY, sysid=9)
        for _ in range(5):
            stranger.send(beat())
            unsigned = Encoder(sysid=1, compid=1).encode(beat())
            stranger.send_frame(wrong.sign(unsigned, link_id=0))
            await asyncio.sleep(0.05)
        assert await holds(lambda: rejected(fleet).get("wrong_key", 0) >= 5, 3.0)
        assert rejected(fleet)["unsigned"] >= 5
        assert stranger.heard() == b"", "the forger was answered"
        stranger.close()
        assert system.identity.in_use is before
        assert fleet.vehicle(1).state.conflict is None
        assert not fleet.vehicle(1).state.armed, "a forged heartbeat said armed"
        assert (await fleet.vehicle(1).commands.long(512, 1.0)).state is CommandState.ACCEPTED
    assert sum("unsigned" in text for text in alarms) == 1, "once for each reason"
    assert sum("wrong key" in text for text in alarms) == 1


def beat() -> object:
    """A heartbeat of an armed ArduCopter."""
    return dialect.MAVLink_heartbeat_message(2, 3, 209, 4, 4, 3)


async def test_what_is_not_signed_keeps_no_vehicle_alive(
    port: int, simulated: Fly, signing: Callable[..., VehicleSigning]
) -> None:
    vehicle = simulated(port, signing_key=KEY, trusted_link=None)
    async with Fleet(
        [f"udpin:127.0.0.1:{port}"], registered(1), signing={1: signing()}, stale_s=1.0, lost_s=2.0
    ) as fleet:
        await ready(fleet.vehicle(1))
        vehicle.radio.signatures.key = OTHER_KEY  # it goes on, and nothing of it can be believed
        stranger = Stranger(port, sysid=1)
        for _ in range(12):
            stranger.send(beat())
            await asyncio.sleep(0.2)
        stranger.close()
        assert fleet.vehicle(1).state.condition is Condition.LOST
        assert fleet.vehicle(1).state.link is LinkCondition.NO_DOWNLINK


async def test_a_key_is_changed_over_the_air_and_commands_go_on(
    port: int, simulated: Fly, signing: Callable[..., VehicleSigning]
) -> None:
    vehicle = simulated(port, signing_key=KEY, trusted_link=None)
    ours = signing()
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1), signing={1: ours}) as fleet:
        await ready(fleet.vehicle(1))
        ours.rotate(OTHER_KEY, window_s=600.0)
        await fleet.router.set_up_signing(1, OTHER_KEY, ours, link=way_of(fleet))
        assert vehicle.radio.signatures.key == OTHER_KEY
        assert (await fleet.vehicle(1).commands.long(512, 1.0)).state is CommandState.ACCEPTED
        assert ours.check.counts[Verdict.WRONG_KEY] == 0


async def test_px4_ignores_the_key_and_stays_as_it_was(
    port: int, simulated: Fly, signing: Callable[..., VehicleSigning]
) -> None:
    simulated(port, autopilot="px4")
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        await ready(fleet.vehicle(1))
        with pytest.raises(SigningInvalid, match="does not sign 4 s after"):
            await fleet.router.set_up_signing(1, KEY, signing(), link=way_of(fleet))
        assert not fleet.router.traffic(1).signed
        assert (await fleet.vehicle(1).commands.long(512, 148.0)).state is CommandState.ACCEPTED


async def test_a_vehicle_that_lost_the_time_learns_it_from_us(
    port: int, simulated: Fly, signing: Callable[..., VehicleSigning]
) -> None:
    simulated(port, signing_key=KEY, trusted_link=None)  # its clock starts months before ours
    ours = signing()
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1), signing={1: ours}) as fleet:
        await ready(fleet.vehicle(1))
        assert ours.check.counts[Verdict.STALE] > 0, "it signed with its old time first"


async def test_how_long_a_round_trip_takes_is_known(port: int, simulated: Fly) -> None:
    simulated(port)
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        await ready(fleet.vehicle(1))
        assert await holds(lambda: fleet.router.traffic(1).latency_ms is not None, 5.0)
        latency_ms = fleet.router.traffic(1).latency_ms
        assert latency_ms is not None
        assert 0.0 < latency_ms < 1000.0
        assert await holds(lambda: fleet.vehicle(1).state.link is LinkCondition.TWO_WAY, 2.0)
        assert fleet.router.link_traffic()[0].frames_in >= fleet.router.traffic(1).frames_in > 10


async def test_a_person_says_which_of_two_is_the_vehicle(port: int, simulated: Fly) -> None:
    simulated(port)
    async with Fleet([f"udpin:127.0.0.1:{port}"], {1: VehicleRecord(sysid=1, name="one")}) as fleet:
        await ready(fleet.vehicle(1))
        simulated(port, home=(76.99, 43.3, 800.0), sysid=1)
        assert await holds(lambda: fleet.vehicle(1).state.conflict is not None, 15.0)
        system = fleet.seen(1)
        assert system is not None
        assert system.identity.in_use is not None
        fleet.router.believe(1, system.identity.in_use.name)
        assert fleet.vehicle(1).state.conflict is None
        await asyncio.sleep(1.0)
        assert fleet.vehicle(1).state.conflict is None
        assert (await fleet.vehicle(1).commands.long(512, 1.0)).state is CommandState.ACCEPTED
        home = fleet.vehicle(1).state.position
        assert home is not None
        assert home.lon == pytest.approx(76.945, abs=0.01), "the other one is still not believed"
