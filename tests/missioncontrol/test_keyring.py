"""Keys are set up and changed so that no vehicle is lost, whatever becomes of the link meanwhile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.errors import FleetError, LinkLost, SigningInvalid
from fleet.framing import Encoder, Frame, Framer
from fleet.keys import KeyStore, make_identity
from fleet.signing import Signer, SigningTime, VehicleSigning, Verdict
from fleet.telemetry import TelemetryState
from missioncontrol import keyring as keyring_module
from missioncontrol.fleet_settings import FleetSettings, VehicleSettings
from missioncontrol.keyring import Keyring
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from tests.missioncontrol.conftest import StillClock


class ScriptedFleet:
    """Vehicle 1, which takes each key that is sent to it, unless the test says otherwise."""

    def __init__(self, folder: Path, clock: StillClock) -> None:
        self.router = self
        self.time, self.clock = SigningTime(folder / "vehicle"), clock
        self.sent: list[bytes] = []
        self.fails: FleetError | None = None

    def vehicle(self, sysid: int) -> Any:
        return SimpleNamespace(state=TelemetryState(sysid=sysid))

    def system(self, sysid: int) -> Any:
        return SimpleNamespace(identity=SimpleNamespace(in_use=SimpleNamespace(link=SimpleNamespace(name="cable"))))

    def frame(self, key: bytes) -> Frame:
        """Its heartbeat, signed."""
        beat = Encoder(sysid=1, compid=1).encode(dialect.MAVLink_heartbeat_message(2, 3, 0, 0, 3, 3))
        return Framer().feed(Signer(key, time=self.time).sign(beat, self.clock()))[0]

    async def set_up_signing(self, sysid: int, key: bytes, signing: VehicleSigning, *, link: str) -> None:
        self.sent.append(key)
        if self.fails is not None:
            raise self.fails
        assert signing.judge(self.frame(key)) is Verdict.ACCEPTED


class House:
    """A keyring and its surroundings; `restart` makes another of the same files."""

    def __init__(self, folder: Path, store: Store, clock: StillClock) -> None:
        make_identity(folder / "identity")
        self.keys = KeyStore(folder / "keys", identity=folder / "identity")
        self.settings = Settings(
            data=folder / "data",
            fleet=FleetSettings(key_store=folder / "keys", key_identity=folder / "identity", trusted_links=("cable",)),
            vehicles=(VehicleSettings(sysid=1, name="a", registration="UP-D0001"),),
        )
        self.store, self.clock, self.fleet = store, clock, ScriptedFleet(folder, clock)
        self.keyring = Keyring(self.settings, clock)

    def restart(self) -> Keyring:
        self.keyring = Keyring(self.settings, self.clock)
        return self.keyring

    async def set_up(self) -> dict[str, Any]:
        return await self.keyring.set_up(self.fleet, self.store, 1, person="a")  # type: ignore[arg-type]


@pytest.fixture
def house(tmp_path: Path, store: Store, clock: StillClock) -> House:
    return House(tmp_path, store, clock)


FAILURES = [SigningInvalid("sysid 1 does not sign"), LinkLost("sysid 1: nothing heard")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_a_first_key_that_may_have_been_taken_is_kept_as_a_candidate(house: House, failure: FleetError) -> None:
    house.fleet.fails = failure
    with pytest.raises(type(failure)):
        await house.set_up()
    key = house.keys.key("UP-D0001")
    assert (key.key, key.proven) == (house.fleet.sent[0], False)
    for keyring in (house.keyring, house.restart()):
        assert (list(keyring.signing), list(keyring.candidates)) == ([], [1]), "it is believed unsigned"
    house.fleet.fails = None
    assert (await house.set_up())["signed"] is True
    assert house.fleet.sent == [key.key] * 2, "the same key, which it may have"
    assert house.keys.key("UP-D0001").proven
    for keyring in (house.keyring, house.restart()):
        assert (list(keyring.signing), list(keyring.candidates)) == ([1], [])


async def test_a_candidate_that_the_vehicle_signs_with_later_is_its_key(house: House) -> None:
    house.fleet.fails = LinkLost("sysid 1: nothing heard")
    with pytest.raises(LinkLost):
        await house.set_up()
    keyring = house.restart()
    assert keyring.candidates[1].judge(house.fleet.frame(house.fleet.sent[0])) is Verdict.ACCEPTED
    keyring.proved(1)
    keyring.proved(1)
    assert list(keyring.signing) == list(house.restart().signing) == [1]


async def test_a_candidate_that_cannot_be_written_down_as_proven_counts_all_the_same(house: House) -> None:
    house.fleet.fails = LinkLost("sysid 1: nothing heard")
    with pytest.raises(LinkLost):
        await house.set_up()
    alarms: list[str] = []
    house.keyring.on_alarm = alarms.append
    house.keys.path.chmod(0o644)
    house.keyring.proved(1)
    assert list(house.keyring.signing) == [1]
    assert [alarm[:30] for alarm in alarms] == ["vehicle 1 signs, which cannot "]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_a_vehicle_that_did_not_take_a_rotation_is_believed_for_as_long_as_it_takes(
    house: House, failure: FleetError, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring_module, "OVERLAP_S", 0.0)
    await house.set_up()
    old = house.keys.key("UP-D0001").key
    house.fleet.fails = failure
    with pytest.raises(type(failure)):
        await house.set_up()
    for keyring in (house.keyring, house.restart()):
        assert keyring.signing[1].judge(house.fleet.frame(old)) is Verdict.ACCEPTED_PREVIOUS_KEY
        month_later = keyring.signing[1].check.check(house.fleet.frame(old), clock() + 30 * 86400.0)
        assert month_later is Verdict.ACCEPTED_PREVIOUS_KEY
    house.fleet.fails = None
    await house.set_up()
    new = house.keys.key("UP-D0001")
    assert new.previous is None
    assert house.fleet.sent[1:] == [new.key] * 2, "the rotation was gone on with, not begun anew"
    assert house.keyring.signing[1].judge(house.fleet.frame(old)) is Verdict.RETIRED_KEY
    assert house.keyring.signing[1].judge(house.fleet.frame(new.key)) is Verdict.ACCEPTED


async def test_a_clock_that_is_suspect_is_told(house: House, clock: StillClock) -> None:
    await house.set_up()
    assert house.restart().clock_alarm is None
    clock.utc_s += 2 * 86400.0
    assert "more than a day after a vehicle was last heard" in str(house.restart().clock_alarm)
