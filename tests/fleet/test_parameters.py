"""Parameters are read, written and compared as each autopilot carries them, over links that lose frames."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fleet.channels import Channel
from fleet.errors import (
    LinkLost,
    ParameterInvalid,
    ParameterRefused,
    ParametersIncomplete,
    ParameterUnknown,
)
from fleet.framing import decode
from fleet.parameters import NO_INDEX, Parameter, Parameters, differences
from fleet.recording import read_recording
from fleet.transfers import TransferProgress
from simulators.autopilot_parameters import ParameterStore
from simulators.vehicle import SimulatedVehicle
from tests.fleet.conftest import Fly, proxy_to
from tests.fleet.responder import heard, scripted, value_message

INT8, INT16, INT32, REAL32 = 2, 4, 6, 9
PARAM_REQUEST_LIST, PARAM_VALUE = 21, 22


@asynccontextmanager
async def parameters_of(port: int, *, px4: bool = False) -> AsyncIterator[Parameters]:
    async with heard(port) as vehicle:
        yield Parameters(vehicle.channel, integers_as_bytes=px4)


def store(vehicle: SimulatedVehicle) -> ParameterStore:
    """What is aboard."""
    assert isinstance(vehicle.parameters, ParameterStore)
    return vehicle.parameters


def names_of(vehicle: SimulatedVehicle) -> list[str]:
    """What its list should be."""
    return [name for name, index in vehicle.parameters.listed() if index != NO_INDEX]


async def test_arducopter_carries_integers_as_numbers(port: int, simulated: Fly) -> None:
    copter = simulated(port)
    async with parameters_of(port) as parameters:
        before = await parameters.read("RTL_ALT")
        assert (before.value, before.kind, before.index) == (1500.0, INT32, None), "index 65535 is none"
        assert (await parameters.write("RTL_ALT", 2500)).value == 2500.0
        assert store(copter)["RTL_ALT"] == 2500.0
        assert (await parameters.write("WPNAV_SPEED", 812.3)).matches(812.3), "as far as a float32 holds it"
        assert store(copter)["WPNAV_SPEED"] == struct.unpack("<f", struct.pack("<f", 812.3))[0]


async def test_px4_carries_integers_as_bytes(port: int, simulated: Fly) -> None:
    px4 = simulated(port, autopilot="px4")
    async with parameters_of(port, px4=True) as parameters:
        before = await parameters.read("COM_DL_LOSS_T")
        assert (before.value, before.kind) == (10.0, INT32)
        assert before.index is not None
        assert (await parameters.write("COM_DL_LOSS_T", 7)).value == 7.0
        assert (await parameters.write("RTL_RETURN_ALT", 35.5)).value == 35.5
        assert (await parameters.write("NAV_DLL_ACT", -1)).value == -1.0, "whose bytes are no number as a float"
        found = [store(px4)[name] for name in ("COM_DL_LOSS_T", "RTL_RETURN_ALT", "NAV_DLL_ACT")]
        assert found == [7.0, 35.5, -1.0]


async def test_what_a_type_cannot_hold_is_not_sent(port: int, simulated: Fly) -> None:
    copter = simulated(port)
    async with parameters_of(port) as parameters, parameters_listening(parameters) as sent:
        for name, value in (
            ("RTL_ALT", math.nan),
            ("WPNAV_SPEED", math.nan),
            ("WPNAV_SPEED", math.inf),
            ("RTL_ALT", 2500.5),
            ("FENCE_ACTION", 200),
            ("RTL_ALT", 2**24 + 1),
        ):
            with pytest.raises(ParameterInvalid, match=name):
                await parameters.write(name, value)
        assert store(copter)["WPNAV_SPEED"] == 1000.0
        assert "PARAM_SET" not in sent


@asynccontextmanager
async def parameters_listening(parameters: Parameters) -> AsyncIterator[list[str]]:
    """Names of what is sent on the way."""
    sent: list[str] = []
    channel = parameters._channel
    send = channel._send

    def watching(message: Any) -> bool:
        sent.append(message.get_type())
        return send(message)

    channel._send = watching
    yield sent


async def test_what_is_so_already_is_left_alone(port: int, simulated: Fly) -> None:
    simulated(port)
    async with parameters_of(port) as parameters, parameters_listening(parameters) as sent:
        await parameters.write("RTL_ALT", 1500)
        assert sent == ["PARAM_REQUEST_READ"]
        await parameters.write("RTL_ALT", 1600)
        assert sent[1:] == ["PARAM_REQUEST_READ", "PARAM_SET", "PARAM_REQUEST_READ"]


async def test_silence_is_an_unknown_name(port: int, simulated: Fly) -> None:
    simulated(port)
    async with parameters_of(port) as parameters:
        with pytest.raises(ParameterUnknown, match=r"NO_SUCH_PARAM.*asked 10 times"):
            await parameters.read("NO_SUCH_PARAM")


async def test_several_at_once_without_those_that_are_not_there(port: int, simulated: Fly) -> None:
    copter = simulated(port)
    async with parameters_of(port) as parameters:
        names = [*names_of(copter)[:40], "NO_SUCH_PARAM", "NOR_THIS"]
        started_s = time.monotonic()
        found = await parameters.read_several(names)
        assert list(found) == names[:40]
        assert all(found[name].matches(store(copter)[name]) for name in found)
        assert time.monotonic() - started_s < 4.5, "both unknown ones were waited for at once, 2.5 s"


async def test_several_where_no_link_leads() -> None:
    channel = Channel(1, lambda message: False, ground=(255, 190))
    with pytest.raises(LinkLost, match="no link leads to it"):
        await Parameters(channel, integers_as_bytes=False).read_several(["RTL_ALT", "RTL_SPEED"])


async def test_a_dead_link_is_not_an_unknown_name(port: int, simulated: Fly) -> None:
    async with proxy_to(port) as (proxy, way):
        simulated(way)
        async with parameters_of(port) as parameters:
            proxy.loss = 1.0
            with pytest.raises(LinkLost, match=r"nothing heard.*RTL_ALT"):
                await parameters.read("RTL_ALT")


async def test_a_third_of_the_frames_may_be_lost(port: int, simulated: Fly) -> None:
    async with proxy_to(port, seed=3) as (proxy, way):
        copter = simulated(way)
        async with parameters_of(port) as parameters:
            proxy.loss = 0.3
            for value in (1600, 1700, 1800):
                assert (await parameters.write("RTL_ALT", value)).value == value
                assert store(copter)["RTL_ALT"] == value
            told: list[TransferProgress] = []
            listed = await parameters.read_all(told.append)
            assert proxy.lost > 20
            assert list(listed) == names_of(copter)
            assert told[-1].done == told[-1].total == len(listed)
            assert all(listed[name].matches(store(copter)[name]) for name in listed)


async def test_the_list_of_px4_leaves_the_checksum_out(port: int, simulated: Fly) -> None:
    px4 = simulated(port, autopilot="px4")
    async with parameters_of(port, px4=True) as parameters:
        listed = await parameters.read_all()
        assert list(listed) == names_of(px4)
        assert "_HASH_CHECK" not in listed
        assert all(listed[name].matches(store(px4)[name]) for name in listed)


@pytest.mark.parametrize(
    ("name", "sysid", "bytewise", "count", "known"),
    [
        ("ap_06_params", 1, False, 1424, {"SYSID_MYGCS": (255.0, INT16), "FS_GCS_TIMEOUT": (5.0, REAL32)}),
        ("px4_06_params", 4, True, 886, {"MAV_SYS_ID": (4.0, INT32), "COM_DL_LOSS_T": (10.0, INT32)}),
    ],
)
async def test_a_recorded_list(
    tlogs: Path, name: str, sysid: int, bytewise: bool, count: int, known: dict[str, tuple[float, int]]
) -> None:
    """What real autopilots answered: at the first asking whole, in one piece, each name once."""
    told: list[Any] = []
    asked = False
    for _, frame in read_recording(tlogs / f"{name}.tlog"):
        asked = asked or frame.msgid == PARAM_REQUEST_LIST
        if asked and frame.sysid == sysid and frame.msgid == PARAM_VALUE:
            told.append(decode(frame))
    sent: list[str] = []

    def send(message: Any) -> bool:
        sent.append(message.get_type())
        for answer in told:
            channel.deliver(answer)
        return True

    channel = Channel(sysid, send, ground=(255, 190))
    listed = await Parameters(channel, integers_as_bytes=bytewise).read_all()
    assert sent == ["PARAM_REQUEST_LIST"]
    assert len(listed) == count
    assert [parameter.index for parameter in listed.values()] == list(range(count))
    assert {key: (listed[key].value, listed[key].kind) for key in known} == known
    whole = [parameter for parameter in listed.values() if parameter.kind != REAL32]
    assert len(whole) > count / 4
    assert all(parameter.value == int(parameter.value) for parameter in whole)
    assert all(abs(parameter.value) > 1e-20 or parameter.value == 0.0 for parameter in listed.values())


async def test_the_whole_list_in_its_order(port: int, simulated: Fly) -> None:
    copter = simulated(port)
    async with parameters_of(port) as parameters:
        listed = await parameters.read_all()
        assert list(listed) == names_of(copter)
        assert all(listed[name].matches(store(copter)[name]) for name in listed)


async def test_a_value_that_does_not_stick_is_refused_with_both(port: int) -> None:
    """A vehicle that keeps its value within limits."""
    held = {"RTL_ALT": 1500.0}

    def answer(message: Any) -> list[Any]:
        kind = message.get_type()
        if kind == "PARAM_SET":
            held[message.param_id] = min(message.param_value, 3000.0)
        if kind in ("PARAM_SET", "PARAM_REQUEST_READ") and message.param_id in held:
            return [value_message(message.param_id, held[message.param_id], INT32, 1, 65535)]
        return []

    async with scripted(port, answer) as (vehicle, responder):
        parameters = Parameters(vehicle.channel, integers_as_bytes=False)
        with pytest.raises(ParameterRefused, match="RTL_ALT is 3000 after writing 8000") as caught:
            await parameters.write("RTL_ALT", 8000)
        assert (caught.value.name, caught.value.wanted, caught.value.aboard) == ("RTL_ALT", 8000, 3000)
        assert responder.heard.count("PARAM_SET") == 3


async def test_an_integer_that_is_no_number_is_refused(port: int) -> None:
    def answer(message: Any) -> list[Any]:
        if message.get_type() != "PARAM_REQUEST_READ":
            return []
        kind = REAL32 if message.param_id == "WPNAV_SPEED" else INT32
        return [value_message(message.param_id, math.nan, kind, 1, 65535)]

    async with scripted(port, answer) as (vehicle, _):
        parameters = Parameters(vehicle.channel, integers_as_bytes=False)
        with pytest.raises(ParameterInvalid, match="sysid 1: RTL_ALT came as nan, which is no whole number"):
            await parameters.read("RTL_ALT")
        assert math.isnan((await parameters.read("WPNAV_SPEED")).value)


async def test_an_answer_from_before_is_not_taken_for_a_refusal(port: int) -> None:
    held = {"RTL_ALT": 1500.0}

    def answer(message: Any) -> list[Any]:
        kind, late = message.get_type(), value_message("RTL_ALT", 1500.0, INT32, 1, 65535)
        if kind == "PARAM_SET":
            held["RTL_ALT"] = message.param_value
        now = value_message("RTL_ALT", held["RTL_ALT"], INT32, 1, 65535)
        return {"PARAM_SET": [late, now], "PARAM_REQUEST_READ": [now]}.get(kind, [])

    async with scripted(port, answer) as (vehicle, _):
        parameters = Parameters(vehicle.channel, integers_as_bytes=False)
        assert (await parameters.write("RTL_ALT", 1800)).value == 1800


async def test_a_list_whose_number_changes_is_begun_anew(port: int) -> None:
    """An option is switched during the list: indices shift, and what came before no longer holds."""
    names = [f"P{index}" for index in range(5)]
    lists = 0

    def answer(message: Any) -> list[Any]:
        nonlocal lists
        total = len(names)
        if message.get_type() == "PARAM_REQUEST_LIST":
            lists += 1
            early = [value_message(name, 1.0, REAL32, total, index) for index, name in enumerate(names)]
            if lists > 1:
                return early
            names.insert(1, "NEW")
            return [*early[:3], value_message("STRAY", 0.0, INT8, total + 1, 65535)]
        if message.get_type() == "PARAM_REQUEST_READ" and message.param_index >= 0:
            return [value_message(names[message.param_index], 1.0, REAL32, total, message.param_index)]
        return []

    async with scripted(port, answer) as (vehicle, _):
        parameters = Parameters(vehicle.channel, integers_as_bytes=False)
        assert list(await parameters.read_all()) == ["P0", "NEW", "P1", "P2", "P3", "P4"]
        assert lists == 2


async def test_a_list_with_a_hole_is_not_taken_for_whole(port: int) -> None:
    """An entry that never comes, and an unasked value that has no index."""

    def answer(message: Any) -> list[Any]:
        if message.get_type() == "PARAM_REQUEST_LIST":
            return [value_message(f"P{i}", 1.0, REAL32, 4, i) for i in (0, 1, 3)]
        if message.get_type() == "PARAM_REQUEST_READ":
            return [value_message("P2", 1.0, REAL32, 4, 65535)]
        return []

    async with scripted(port, answer) as (vehicle, responder):
        parameters = Parameters(vehicle.channel, integers_as_bytes=False)
        with pytest.raises(ParametersIncomplete, match="3 of 4 parameters"):
            await parameters.read_all()
        assert responder.heard.count("PARAM_REQUEST_READ") > 3


def test_differences_name_what_is_otherwise() -> None:
    aboard = {
        "RTL_ALT": Parameter(name="RTL_ALT", value=1500.0, kind=INT32),
        "WPNAV_SPEED": Parameter(name="WPNAV_SPEED", value=812.2999877929688, kind=REAL32),
        "SERIAL": Parameter(name="SERIAL", value=2.0**24, kind=INT32),
        "FREE": Parameter(name="FREE", value=1.0, kind=REAL32),
    }
    registered = {"RTL_ALT": 3000, "WPNAV_SPEED": 812.3, "SERIAL": 2.0**24 + 1, "GONE": 4}
    found = differences(registered, aboard)
    assert [difference.text for difference in found] == [
        "GONE is not aboard, registered 4",
        "RTL_ALT is 1500, registered 3000",
        "SERIAL is 16777216, registered 16777217",
    ]
    assert differences({"RTL_ALT": 1500}, aboard) == ()
