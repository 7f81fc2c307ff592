"""What goes to whom, and that one vehicle's trouble stays its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.commands import CommandState, holds
from fleet.errors import IdentityConflict
from fleet.fleet import Fleet
from fleet.framing import Encoder
from fleet.recording import Recording
from fleet.signing import VehicleSigning
from fleet.telemetry import Condition
from tests.fleet.conftest import Fly
from tests.fleet.test_fleet import ready, registered, traffic
from tests.fleet.test_signed_vehicle import KEY, signing, way_of

__all__ = ["signing"]


def command(number: int, *params: float, to: int = 1) -> Any:
    """A COMMAND_LONG."""
    return dialect.MAVLink_command_long_message(to, 1, number, 0, *params, *(0.0,) * (7 - len(params)))


async def test_a_relayed_frame_reaches_its_vehicle_alone_and_neither_arms_nor_starts_unasked(
    port: int, simulated: Fly
) -> None:
    names = traffic(simulated(port))
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        await ready(fleet.vehicle(1))
        encoder, relay = Encoder(sysid=fleet.sysid, compid=191), fleet.router.relay
        refused = (
            command(400, 1.0),
            command(300),
            command(22, to=0),
            command(22, to=2),
            dialect.MAVLink_heartbeat_message(6, 8, 0, 0, 0, 3),
            dialect.MAVLink_setup_signing_message(1, 1, list(KEY), 5),
        )
        assert [relay(1, encoder.encode(message)) for message in refused] == [False] * len(refused)
        foreign = Encoder(sysid=77, compid=191).encode(command(512, 1.0))
        assert not relay(1, foreign), "not of our sysid"
        names.clear()
        assert relay(1, encoder.encode(command(400, 0.0))), "disarming is always let through"
        assert relay(1, encoder.encode(command(300)), guarded=True)
        assert await holds(lambda: "COMMAND_LONG 300" in names, 3.0)
        assert not {"COMMAND_LONG 22", "SETUP_SIGNING"} & set(names)


async def test_a_frame_that_cannot_be_taken_does_not_end_the_link(
    port: int, simulated: Fly, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(port)
    simulated(port, sysid=2)
    alarms: list[str] = []
    fleet = Fleet([f"udpin:127.0.0.1:{port}"], registered(1, 2))
    fleet.on_alarm = alarms.append
    async with fleet:
        await ready(fleet.vehicle(2))

        def broken(message: Any, utc_s: float) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(fleet.vehicle(1), "receive", broken)
        assert await holds(lambda: any("a bug" in text for text in alarms), 5.0)
        assert (await fleet.vehicle(2).commands.long(512, 1.0)).state is CommandState.ACCEPTED
    assert sum("a bug" in text for text in alarms) == 1


async def test_a_full_disk_ends_the_recording_and_nothing_else(port: int, simulated: Fly, tmp_path: Path) -> None:
    simulated(port)
    alarms: list[str] = []
    fleet = Fleet([f"udpin:127.0.0.1:{port}"], registered(1))
    fleet.on_alarm = alarms.append
    async with fleet:
        await ready(fleet.vehicle(1))
        recording = Recording(tmp_path / "flight.tlog")
        recording._file.close()
        recording._file = Path("/dev/full").open("ab")  # noqa: ASYNC230, SIM115
        fleet.router.system(1).recording = recording
        assert await holds(lambda: any("not recorded any more" in text for text in alarms), 5.0)
        await asyncio.sleep(0.5)
        assert fleet.router.system(1).recording is None
        assert fleet.vehicle(1).state.condition is Condition.READY


async def test_a_key_goes_to_nobody_while_two_claim_the_sysid(
    port: int, simulated: Fly, signing: Callable[..., VehicleSigning]
) -> None:
    vehicle = simulated(port)
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        await ready(fleet.vehicle(1))
        other = simulated(port, home=(76.99, 43.3, 800.0))
        assert await holds(lambda: fleet.vehicle(1).state.conflict is not None, 15.0)
        with pytest.raises(IdentityConflict, match="gets no key"):
            await fleet.router.set_up_signing(1, KEY, signing(), link=way_of(fleet))
    assert vehicle.radio.signatures.key is None
    assert other.radio.signatures.key is None
