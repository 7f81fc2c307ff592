"""Orders: what no vehicle can do is refused when it is read, and one vehicle's trouble hides no other's answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fleet.commands import CommandResult
from missioncontrol import audit
from missioncontrol.control import Control
from missioncontrol.errors import InputInvalid
from missioncontrol.keyring import Keyring
from missioncontrol.live import Live
from missioncontrol.orders import ChangeSpeed, EmergencyStop, Hold, Order, Orders
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.vehicles import Vehicles
from tests.missioncontrol.conftest import StillClock
from tests.missioncontrol.test_flights import ScriptedFleet, ScriptedVehicle

PLACE = {"lon": 76.9, "lat": 43.2}


def height(value_m: float) -> dict[str, Any]:
    return {"altitude": {"value_m": value_m, "datum": "AMSL"}}


@pytest.mark.parametrize(
    "tree",
    [
        {"command": "change_speed", "speed_m_s": 100.1},
        {"command": "change_speed", "speed_m_s": 1e300},
        {"command": "change_speed", "speed_m_s": 0},
        {"command": "rtl_to", **PLACE, "height_m": 10_001},
        {"command": "change_height", **height(10_001.0)},
        {"command": "change_height", **height(-501.0)},
        {"command": "goto", **PLACE, **height(1e300)},
        {"command": "look_at", **PLACE, **height(-1e9)},
        {"command": "orbit", **PLACE, **height(100.0), "radius_m": 10_001, "speed_m_s": 5},
        {"command": "orbit", **PLACE, **height(100.0), "radius_m": 100, "speed_m_s": 101},
    ],
)
def test_numbers_that_no_vehicle_flies_are_refused_when_read(tree: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(tree), type=Order)


def test_numbers_at_their_bounds_are_read() -> None:
    for tree in (
        {"command": "change_speed", "speed_m_s": 100},
        {"command": "change_height", **height(-500.0)},
        {"command": "orbit", **PLACE, **height(10_000.0), "radius_m": 10_000, "speed_m_s": 100},
    ):
        assert msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(tree), type=Order)).items() >= tree.items()


class Breaking(ScriptedVehicle):
    """Fails at an order in a way that nobody thought of."""

    async def change_speed(self, speed_m_s: float) -> CommandResult:
        if self.sysid == 2:
            raise OverflowError("float too large to pack")
        return await self._do("speed")


@pytest.fixture
def vehicles(store: Store, clock: StillClock) -> Vehicles:
    fleet: Any = ScriptedFleet()
    fleet.vehicles = {sysid: Breaking(sysid) for sysid in (1, 2, 3)}
    settings = Settings()
    control = Control(store, clock)
    return Vehicles(fleet, settings, None, store, Live(clock), clock, control, Keyring(settings, clock))


async def test_an_error_that_nobody_expects_of_one_vehicle_hides_no_others_answer(
    vehicles: Vehicles, store: Store
) -> None:
    answers = await vehicles.command_all(Orders(sysids=(1, 2, 3), order=ChangeSpeed(speed_m_s=5.0)), person="a")
    assert [(answer["sysid"], answer["state"]) for answer in answers] == [
        (1, "accepted"),
        (2, "failed"),
        (3, "accepted"),
    ]
    assert answers[1]["text"] == "unexpected: OverflowError('float too large to pack')"
    async with store.reading() as connection:
        for sysid, state in ((1, "accepted"), (2, "failed"), (3, "accepted")):
            entry = (await audit.history(connection, "vehicle", str(sysid)))[-1]
            assert (entry.event, entry.detail["state"]) == ("change_speed", state)


async def test_a_confirmation_of_any_letters_is_compared(vehicles: Vehicles) -> None:
    await vehicles.command(1, EmergencyStop(), person="a")
    with pytest.raises(InputInvalid, match="is not the one"):
        await vehicles.command(1, EmergencyStop(confirmation="жоқ"), person="a")
    with pytest.raises(InputInvalid, match="one vehicle alone"):
        await vehicles.command_all(Orders(sysids=(1,), order=EmergencyStop()), person="a")
    with pytest.raises(InputInvalid, match="twice"):
        await vehicles.command_all(Orders(sysids=(1, 1), order=Hold()), person="a")
