"""The vehicle's transmitter is told who flies what and from where, in the units and with the signs of the standard."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import msgspec
import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.channels import Channel
from fleet.commands import holds
from fleet.errors import LinkLost, RemoteIdInvalid
from fleet.framing import Encoder, Framer, decode
from fleet.remote_id import (
    IdKind,
    RemoteId,
    RemoteIdSender,
    UaType,
    check_remote_id,
    identity_messages,
    system_message,
)
from geo.positions import Altitude, Datum, Position
from tests.fleet.responder import scripted

PLACE = Position(lon=76.945, lat=43.238, altitude=Altitude(768.5, Datum.W84))
REGISTERED = RemoteId(ua_id="1596F0123456789ABCDE", operator_id="KAZ87astrdge12k8", operator_place=PLACE)


def on_the_wire(message: Any) -> Any:
    """As it arrives."""
    (frame,) = Framer().feed(Encoder(sysid=255, compid=190).encode(message))
    return decode(frame)


def test_who_it_is() -> None:
    registered = msgspec.structs.replace(REGISTERED, purpose="survey")
    basic, operator, purpose = (on_the_wire(message) for message in identity_messages(registered, sysid=7))
    assert {message.target_system for message in (basic, operator, purpose)} == {7}
    assert {message.target_component for message in (basic, operator, purpose)} == {0}, "autopilot and transmitter"
    assert (basic.id_type, basic.ua_type) == (
        dialect.MAV_ODID_ID_TYPE_SERIAL_NUMBER,
        dialect.MAV_ODID_UA_TYPE_HELICOPTER_OR_MULTIROTOR,
    )
    assert bytes(basic.uas_id) == b"1596F0123456789ABCDE"
    assert (operator.operator_id_type, operator.operator_id) == (0, "KAZ87astrdge12k8")
    assert (purpose.description_type, purpose.description) == (0, "survey")
    short = msgspec.structs.replace(
        REGISTERED, ua_id="UP.D0123", id_kind=IdKind.REGISTRATION, ua_type=UaType.HYBRID_LIFT
    )
    assert len(identity_messages(short, sysid=7)) == 3, "transmitters miss SELF_ID where it does not come"
    basic = on_the_wire(identity_messages(short, sysid=7)[0])
    assert bytes(basic.uas_id) == b"UP.D0123" + bytes(12)
    assert (basic.id_type, basic.ua_type) == (2, 4)


def test_where_the_operator_is() -> None:
    told = on_the_wire(system_message(REGISTERED, sysid=7, utc_s=1_790_000_000.9))
    assert (told.operator_latitude, told.operator_longitude) == (432_380_000, 769_450_000)
    assert told.operator_altitude_geo == 768.5
    assert told.timestamp == 243_699_200, "seconds since 2019, rounded down"
    assert told.operator_location_type == dialect.MAV_ODID_OPERATOR_LOCATION_TYPE_FIXED
    assert (told.area_count, told.area_radius, told.area_ceiling, told.area_floor) == (1, 0, -1000.0, -1000.0)
    assert (told.classification_type, told.category_eu, told.class_eu) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ua_id": ""}, "ua_id: is empty"),
        ({"ua_id": "1596F0123456789ABCDEF"}, "has 21 characters"),
        ({"ua_id": "1596E0123456789ABCDE"}, "14 characters follow its fifth; there are 15"),
        ({"ua_id": "159OF0123456789ABCDE"}, "no serial number"),
        ({"ua_id": "1596f0123456789ABCDE"}, "no serial number"),
        ({"ua_id": "15960"}, "no serial number"),
        ({"ua_id": "UP D0123", "id_kind": IdKind.REGISTRATION}, "no registration"),
        ({"ua_id": "D0123", "id_kind": IdKind.REGISTRATION}, "no registration"),
        ({"operator_id": ""}, "operator_id: is empty"),
        ({"operator_id": "K" * 21}, "has 21 characters, at most 20"),
        ({"operator_id": "оператор"}, "printable ASCII"),
        ({"operator_id": "KAZ \n"}, "printable ASCII"),
        ({"operator_id": "FIN87astrdge12k8-xyz"}, "secret"),
        ({"purpose": "x" * 24}, "has 24 characters, at most 23"),
        ({"operator_place": Position(lon=0, lat=0, altitude=Altitude(0, Datum.W84))}, "unknown"),
        ({"operator_place": Position(lon=76.9, lat=43.2, altitude=Altitude(800, Datum.AMSL))}, "AMSL"),
        ({"operator_place": Position(lon=76.9, lat=43.2, altitude=Altitude(-1000, Datum.W84))}, "-1000"),
    ],
)
def test_what_would_not_be_understood_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(RemoteIdInvalid, match=words):
        check_remote_id(msgspec.structs.replace(REGISTERED, **change))


def test_what_is_well_formed_passes() -> None:
    for ua_id, kind in (
        ("1596F0123456789ABCDE", IdKind.SERIAL_NUMBER),
        ("MFR1C123456789ABC", IdKind.SERIAL_NUMBER),
        ("UP.D0123", IdKind.REGISTRATION),
    ):
        check_remote_id(msgspec.structs.replace(REGISTERED, ua_id=ua_id, id_kind=kind, purpose="look at a dump"))


async def test_the_transmitter_is_told_at_its_pace_and_heard(port: int) -> None:
    """The operator's place once a second, who it is now and then; what the transmitter says is kept."""
    places: list[int] = []

    def answer(message: Any) -> list[Any]:
        if message.get_type() != "OPEN_DRONE_ID_SYSTEM":
            return []
        places.append(message.operator_latitude)
        bad = len(places) < 2
        return [dialect.MAVLink_open_drone_id_arm_status_message(int(bad), b"no GPS fix" if bad else b"")]

    async with scripted(port, answer) as (vehicle, responder):
        sender = RemoteIdSender(vehicle.channel, REGISTERED)
        assert sender.status is None
        started_s = time.monotonic()
        task = asyncio.create_task(sender.run(), name="remote_id")
        assert await holds(lambda: sender.status is not None, 5.0)
        assert sender.status is not None
        assert (sender.status.ready, sender.status.error) == (False, "no GPS fix")
        sender.move(Position(lon=76.945, lat=43.24, altitude=Altitude(768.5, Datum.W84)))
        assert await holds(lambda: sender.status is not None and sender.status.ready, 5.0)
        assert sender.status.heard_monotonic_s > started_s + 0.9
        assert await holds(lambda: len(places) == 3, 5.0)
        passed_s = time.monotonic() - started_s
        task.cancel()
        told = Counter(responder.heard)
        assert passed_s > 1.8
        assert 1 <= told["OPEN_DRONE_ID_BASIC_ID"] == told["OPEN_DRONE_ID_OPERATOR_ID"] < len(places)
        assert places == [432_380_000, 432_400_000, 432_400_000]
        with pytest.raises(RemoteIdInvalid):
            sender.move(Position(lon=0, lat=0, altitude=Altitude(0, Datum.W84)))


async def test_no_link_is_no_end() -> None:
    """Identities are told again when a link is back, not only after their pause."""
    sent: list[str] = []
    open_ = False

    def send(message: Any) -> bool:
        if open_:
            sent.append(message.get_type())
        return open_

    channel = Channel(1, send, ground=(255, 190))
    with pytest.raises(LinkLost):
        channel.send(system_message(REGISTERED, sysid=1, utc_s=1_790_000_000.0))
    task = asyncio.create_task(RemoteIdSender(channel, REGISTERED).run(), name="remote_id")
    await asyncio.sleep(0.2)
    assert not sent
    open_ = True
    assert await holds(lambda: len(sent) == 4, 5.0)
    names = ("SYSTEM", "BASIC_ID", "OPERATOR_ID", "SELF_ID")
    assert sent == [f"OPEN_DRONE_ID_{name}" for name in names]
    assert not task.done()
    task.cancel()


def test_a_sender_is_not_begun_with_a_bad_identity() -> None:
    with pytest.raises(RemoteIdInvalid, match="operator_id"):
        RemoteIdSender(
            Channel(1, lambda message: True, ground=(255, 190)), msgspec.structs.replace(REGISTERED, operator_id="")
        )
