"""What a vehicle does by itself is written in its own parameters, read back, and told in words that fit both."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from fleet.autopilots import ArduCopter, Px4, UnknownAutopilot
from fleet.commands import holds
from fleet.errors import ParameterInvalid, ParameterRefused, ParameterUnknown, PolicyUnsupported
from fleet.failsafes import (
    FailsafeAction,
    LostLinkAction,
    LostLinkPolicy,
    failsafe_of,
    policy_of,
    read_failsafes,
    read_policy,
    set_policy,
)
from fleet.fleet import Fleet
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.parameters import Parameters
from fleet.vehicle import VehicleRecord
from simulators.autopilot_parameters import ParameterStore
from simulators.vehicle import SimulatedVehicle
from tests.fleet.conftest import Fly, proxy_to, survey
from tests.fleet.responder import heard, scripted, value_message

CONTINUE, HOLD, RETURN, LAND = LostLinkAction
AUTOPILOTS: dict[str, ArduCopter | Px4] = {"ardupilot": ArduCopter(), "px4": Px4()}


def parameters_at(vehicle: Any, autopilot: ArduCopter | Px4) -> Parameters:
    return Parameters(vehicle.channel, integers_as_bytes=autopilot.integers_as_bytes)


def aboard(vehicle: SimulatedVehicle, *names: str) -> list[float]:
    assert isinstance(vehicle.parameters, ParameterStore)
    return [vehicle.parameters[name] for name in names]


@pytest.mark.parametrize(
    ("action", "enable", "options"), [(CONTINUE, 1, 9 + 2), (HOLD, 7, 9), (RETURN, 1, 9), (LAND, 5, 9)]
)
async def test_each_policy_is_written_to_arducopter(
    port: int, simulated: Fly, action: LostLinkAction, enable: int, options: int
) -> None:
    """It does so in hold too, bits about other things stay, and the ground that counts is ours."""
    copter = simulated(port, parameters={"FS_OPTIONS": 16 + 9})
    async with heard(port) as vehicle:
        parameters, policy = parameters_at(vehicle, ArduCopter()), LostLinkPolicy(action=action, timeout_s=7.3)
        found = await set_policy(parameters, ArduCopter(), policy, gcs_sysid=250)
        assert found.follows(policy, gcs_sysid=250)
        assert not found.follows(policy, gcs_sysid=255)
        names = ("SYSID_MYGCS", "FS_GCS_TIMEOUT", "FS_OPTIONS", "FS_GCS_ENABLE")
        assert aboard(copter, *names) == [250, pytest.approx(7.3), options, enable]
        assert await read_policy(parameters, ArduCopter()) == found
        assert f"{action} after 7.3 s (SYSID_MYGCS 250" in found.text


@pytest.mark.parametrize(
    ("action", "enable", "exceptions"), [(CONTINUE, 2, 8 + 1), (HOLD, 1, 8), (RETURN, 2, 8), (LAND, 3, 8)]
)
async def test_each_policy_is_written_to_px4(
    port: int, simulated: Fly, action: LostLinkAction, enable: int, exceptions: int
) -> None:
    px4 = simulated(port, autopilot="px4", parameters={"COM_DLL_EXCEPT": 8 + 2 + 1})
    async with heard(port) as vehicle:
        parameters, policy = parameters_at(vehicle, Px4()), LostLinkPolicy(action=action, timeout_s=8.0)
        found = await set_policy(parameters, Px4(), policy, gcs_sysid=250)
        assert found.follows(policy, gcs_sysid=250)
        assert (found.gcs_sysid, found.delay_s) == (None, 5.0), "any ground counts, and it waits before it acts"
        assert aboard(px4, "COM_DL_LOSS_T", "COM_DLL_EXCEPT", "NAV_DLL_ACT") == [8, exceptions, enable]
        assert await read_policy(parameters, Px4()) == found
        assert f"{action} after 13 s" in found.text


async def test_what_an_autopilot_cannot_do_is_not_begun(port: int, simulated: Fly) -> None:
    px4 = simulated(port, autopilot="px4")
    names = ("COM_DL_LOSS_T", "COM_DLL_EXCEPT", "NAV_DLL_ACT")
    before = aboard(px4, *names)
    async with heard(port) as vehicle:
        parameters = parameters_at(vehicle, Px4())
        for timeout_s, words in ((2.0, "from 5 to 300 in COM_DL_LOSS_T, not 2 s"), (7.5, "takes whole seconds")):
            with pytest.raises(PolicyUnsupported, match=words):
                await set_policy(parameters, Px4(), LostLinkPolicy(action=RETURN, timeout_s=timeout_s), gcs_sysid=255)
        stranger = UnknownAutopilot(19)
        with pytest.raises(PolicyUnsupported, match="nobody knows"):
            await set_policy(parameters, stranger, LostLinkPolicy(action=RETURN), gcs_sysid=255)
        with pytest.raises(PolicyUnsupported, match="nobody knows"):
            await read_policy(parameters, stranger)
    assert aboard(px4, *names) == before


async def test_a_vehicle_without_such_parameters_says_which(port: int, simulated: Fly) -> None:
    simulated(port, autopilot="px4")
    async with heard(port) as vehicle:
        with pytest.raises(ParameterUnknown, match="SYSID_MYGCS, FS_GCS_TIMEOUT, FS_OPTIONS, FS_GCS_ENABLE"):
            await read_policy(parameters_at(vehicle, Px4()), ArduCopter())


async def test_a_parameter_that_does_not_stick_is_named(port: int) -> None:
    """A vehicle that keeps its own ground station's number."""
    held = {"SYSID_MYGCS": (255.0, 4), "FS_GCS_TIMEOUT": (5.0, 9), "FS_OPTIONS": (16.0, 6), "FS_GCS_ENABLE": (0.0, 2)}

    def answer(message: Any) -> list[Any]:
        if message.get_type() == "PARAM_SET" and message.param_id != "SYSID_MYGCS":
            held[message.param_id] = (message.param_value, held[message.param_id][1])
        if message.get_type() in ("PARAM_SET", "PARAM_REQUEST_READ") and message.param_id in held:
            return [value_message(message.param_id, *held[message.param_id], len(held), 65535)]
        return []

    async with scripted(port, answer) as (vehicle, _):
        with pytest.raises(ParameterRefused, match="SYSID_MYGCS is 255 after writing 250"):
            await set_policy(
                parameters_at(vehicle, ArduCopter()), ArduCopter(), LostLinkPolicy(action=RETURN), gcs_sysid=250
            )
    assert held["FS_GCS_ENABLE"][0] == 0.0, "the failsafe is not switched on towards somebody else"


def test_a_policy_that_spares_a_vehicle_on_hold_is_not_the_one_asked_for() -> None:
    """As ArduCopter comes out of the box: its hold is a pilot's mode, and it would stay there until it is empty."""
    table = ArduCopter().lost_link
    assert table is not None
    policy = LostLinkPolicy(action=RETURN, timeout_s=5.0)
    values = {"FS_GCS_ENABLE": 1.0, "FS_OPTIONS": 16.0, "FS_GCS_TIMEOUT": 5.0, "SYSID_MYGCS": 255.0}
    found = policy_of(table, values)
    assert (found.action, found.everywhere) == (RETURN, False)
    assert not found.follows(policy, gcs_sysid=255)
    assert "return after 5 s, but not in all modes (" in found.text
    assert policy_of(table, {**values, "FS_OPTIONS": 0.0}).follows(policy, gcs_sysid=255)


@pytest.mark.parametrize(
    ("enable", "options", "action"),
    [(0, 0, None), (0, 2, None), (2, 0, RETURN), (4, 0, RETURN), (5, 2, CONTINUE), (7, 0, HOLD), (9, 0, None)],
)
def test_what_others_wrote_is_told_in_the_same_words(enable: int, options: int, action: LostLinkAction | None) -> None:
    table = ArduCopter().lost_link
    assert table is not None
    values = {"FS_GCS_ENABLE": enable, "FS_OPTIONS": options, "FS_GCS_TIMEOUT": 5.0, "SYSID_MYGCS": 255.0}
    found = policy_of(table, values)
    assert found.action is action
    assert not found.follows(LostLinkPolicy(action=LAND, timeout_s=5.0), gcs_sysid=255)
    assert found.parameters == values


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "ardupilot",
            {
                "low battery": FailsafeAction.RETURN,
                "critical battery": FailsafeAction.LAND,
                "fence": FailsafeAction.RETURN,
            },
        ),
        ("px4", {"critical battery": FailsafeAction.RETURN, "fence": FailsafeAction.HOLD}),
    ],
)
async def test_battery_and_fence_are_read(
    port: int, simulated: Fly, name: str, told: dict[str, FailsafeAction]
) -> None:
    simulated(port, autopilot=name)
    autopilot = AUTOPILOTS[name]
    async with heard(port) as vehicle:
        found = await read_failsafes(parameters_at(vehicle, autopilot), autopilot)
    assert {failsafe.cause: failsafe.action for failsafe in found} == told
    assert all(failsafe.acts for failsafe in found)
    assert all(
        set(failsafe.parameters) <= set(failsafe.text.replace(",", "").replace("(", "").split()) for failsafe in found
    )


@pytest.mark.parametrize("wild", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["FS_GCS_ENABLE", "FS_OPTIONS", "SYSID_MYGCS"])
def test_a_policy_of_values_that_are_no_numbers_is_none(name: str, wild: float) -> None:
    table = ArduCopter().lost_link
    assert table is not None
    values = {"FS_GCS_ENABLE": 1.0, "FS_OPTIONS": 16.0, "FS_GCS_TIMEOUT": 5.0, "SYSID_MYGCS": 255.0, name: wild}
    with pytest.raises(ParameterInvalid, match=f"{name} is {wild:g}, which is no whole number"):
        policy_of(table, values)
    failsafe = ArduCopter().failsafes[0]
    with pytest.raises(ParameterInvalid, match="no whole number"):
        failsafe_of(failsafe, {failsafe.action: wild, **dict.fromkeys(failsafe.thresholds, 1.0)})


async def test_a_wait_that_is_no_number_is_refused(port: int) -> None:
    async with scripted(port, lambda message: []) as (vehicle, _):
        for wild in (math.nan, math.inf):
            with pytest.raises(PolicyUnsupported, match="seconds from"):
                await set_policy(
                    parameters_at(vehicle, ArduCopter()),
                    ArduCopter(),
                    LostLinkPolicy(action=RETURN, timeout_s=wild),
                    gcs_sysid=250,
                )


def test_a_battery_failsafe_without_a_threshold_never_acts() -> None:
    """As ArduCopter's critical one comes out of the box: an action, and both thresholds 0."""
    low = ArduCopter().failsafes[0]
    values = {"BATT_FS_LOW_ACT": 2.0, "BATT_LOW_VOLT": 0.0, "BATT_LOW_MAH": 0.0}
    assert not failsafe_of(low, values).acts
    assert failsafe_of(low, {**values, "BATT_LOW_VOLT": 10.5}).action is FailsafeAction.RETURN
    assert failsafe_of(low, {**values, "BATT_FS_LOW_ACT": 99.0, "BATT_LOW_MAH": 500.0}).action is FailsafeAction.OTHER


@pytest.mark.slow
async def test_each_vehicle_does_what_it_was_told_when_it_hears_no_ground(port: int, simulated: Fly) -> None:
    """One flight each, with its own policy; then nobody hears anybody, and nobody tells them anything."""
    told = [
        ("ardupilot", CONTINUE, "AUTO"),
        ("ardupilot", RETURN, "RTL"),
        ("ardupilot", LAND, "LAND"),
        ("px4", CONTINUE, "AUTO"),
        ("px4", HOLD, "HOLD"),
        ("px4", RETURN, "RTL"),
        ("px4", LAND, "LAND"),
    ]
    plan = survey(lines=6, line_m=400.0, height_m=20.0)

    async def fly(vehicle: MavlinkVehicle, pilot: Any, action: LostLinkAction) -> None:
        parameters = parameters_at(vehicle, AUTOPILOTS[vehicle.autopilot.name])
        await set_policy(parameters, vehicle.autopilot, LostLinkPolicy(action=action, timeout_s=5.0), gcs_sysid=250)
        assert await holds(pilot.checks_pass, 10.0)
        await vehicle.arm(await vehicle.upload_mission(plan))
        await vehicle.start_mission()
        assert await holds(lambda: pilot.mode.name == "AUTO" and pilot.relative_m() > 15.0, 20.0)

    async with proxy_to(port) as (proxy, way), Fleet([f"udpin:127.0.0.1:{port}"], sysid=250) as fleet:
        flown = [simulated(way, sysid=1 + at, autopilot=name) for at, (name, _, _) in enumerate(told)]
        vehicles = [fleet.register(VehicleRecord(sysid=1 + at, name=str(at))) for at in range(len(told))]
        assert await holds(lambda: all(vehicle.state.home is not None for vehicle in vehicles), 15.0)
        async with asyncio.TaskGroup() as group:
            for vehicle, simulated_, (_, action, _) in zip(vehicles, flown, told, strict=True):
                group.create_task(fly(vehicle, simulated_.pilot, action))
        proxy.loss = 1.0

        def modes() -> list[str]:
            return [vehicle.pilot.mode.name for vehicle in flown]

        assert await holds(lambda: modes() == [mode for _, _, mode in told], 25.0), modes()
