"""Whatever an operator does and whatever the vehicles do: an order reaches the vehicle it names and no other, nothing
takes off with a mission that is not the approved one, and the loss of one vehicle changes nothing for another.

A machine picks what happens next, for `MC_PROPERTIES_S` (default 20 s); what each vehicle's own socket received is
what is judged. `MC_PROPERTIES_SEED` searches elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.autopilots import FlightMode
from fleet.commands import holds
from fleet.errors import FleetError
from fleet.fleet import Fleet
from fleet.missions import MissionItem, mission_hash
from fleet.telemetry import Condition
from fleet.vehicle import VehicleRecord
from geo.positions import Altitude, Datum
from tests.fleet.conftest import HOME, survey

SEARCH_S = float(os.environ.get("MC_PROPERTIES_S", "20"))
SEED = int(os.environ.get("MC_PROPERTIES_SEED", "7"))
OURS, STRANGER = (1, 2, 3), 9
PLANS = {"short": survey(lines=1), "long": survey(lines=2), "higher": survey(lines=2, height_m=44)}
STALE_S, LOST_S = 1.2, 2.4
PATIENCE_S = 0.4
"""So long somebody waits for what may never be answered before they give it up, s."""
ASKING = {"HEARTBEAT", "TIMESYNC", "COMMAND_LONG 511", "COMMAND_LONG 512"}
"""What the ground says to a vehicle by itself."""


class Scripted(asyncio.DatagramProtocol):
    """A vehicle as simple as one can be, with ArduCopter's habits, that does what a test says."""

    def __init__(self, sysid: int, *, lat: float = HOME[1], boot_s: float = 0.0) -> None:
        self.sysid, self.lat = sysid, lat
        self.mode, self.armed = 0, False
        self.stored: list[MissionItem] = []
        self.silent = False
        self.failure = ""
        """What goes wrong in the next upload: `altered`, `unfinished` or `refused`."""
        self.heard: list[tuple[str, int | None]] = []
        """Message (with its command) and the sysid it names, of all that came in."""
        self.armed_with: list[list[MissionItem]] = []
        """The mission aboard whenever it was told to arm."""
        self._coming: list[MissionItem] = []
        self._count = 0
        self._boot_monotonic_s = time.monotonic() - boot_s
        self._mav = mavlink.MAVLink(None, srcSystem=sysid, srcComponent=1)
        self._parser = mavlink.MAVLink(None)
        self._transport: Any = None

    async def run(self, ground_port: int) -> None:
        """Send telemetry to a port of the loopback, until cancelled."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=("127.0.0.1", ground_port))
        try:
            while True:
                self.tell()
                await asyncio.sleep(0.1)
        finally:
            self._transport.close()

    def tell(self) -> None:
        """All of its telemetry, once."""
        boot_ms = round((time.monotonic() - self._boot_monotonic_s) * 1000)
        lat, lon, alt = round(self.lat * 1e7), round(HOME[0] * 1e7), round(HOME[2] * 1000)
        healthy = 0x10000000
        self.say(mavlink.MAVLink_global_position_int_message(boot_ms, lat, lon, alt, 0, 0, 0, 0, 0))
        self.say(mavlink.MAVLink_home_position_message(lat, lon, alt, 0, 0, 0, [1, 0, 0, 0], 0, 0, 0))
        self.say(mavlink.MAVLink_sys_status_message(healthy, healthy, healthy, 0, 16000, 0, 90, 0, 0, 0, 0, 0, 0))
        self.say(mavlink.MAVLink_extended_sys_state_message(0, 1))
        total = max(0, len(self.stored) - 1)
        self.say(mavlink.MAVLink_mission_current_message(0, total, 2, 0))
        self.beat()

    def beat(self) -> None:
        """Its heartbeat, as ArduCopter gives one at once when the mode changes."""
        self.say(
            mavlink.MAVLink_heartbeat_message(2, 3, 0xD1 if self.armed else 0x51, self.mode, 4 if self.armed else 3, 3)
        )

    def say(self, message: Any) -> None:
        data = message.pack(self._mav)
        self._mav.seq = (self._mav.seq + 1) % 256
        if not self.silent:
            self._transport.sendto(data)

    def error_received(self, exc: Exception) -> None:
        pass

    def datagram_received(self, data: bytes, address: Any) -> None:
        for message in self._parser.parse_buffer(data) or []:
            name = f"{message.get_type()} {getattr(message, 'command', '')}".strip()
            self.heard.append((name, getattr(message, "target_system", None)))
            answer = getattr(self, f"_{message.get_type().lower()}", None)
            if answer is not None and message.target_system == self.sysid:
                answer(message)

    def orders(self) -> set[str]:
        """What it was told, but for what the ground asks by itself."""
        return {name for name, _ in self.heard} - ASKING

    def _command_long(self, message: Any) -> None:
        if message.command == mavlink.MAV_CMD_DO_SET_MODE:
            self.mode = int(message.param2)
        elif message.command == mavlink.MAV_CMD_COMPONENT_ARM_DISARM:
            self.armed = message.param1 == 1
            if self.armed:
                self.armed_with.append(list(self.stored))
        self.say(mavlink.MAVLink_command_ack_message(message.command, 0, 0, 0, 255, 190))
        self.beat()

    def _command_int(self, message: Any) -> None:
        self.say(mavlink.MAVLink_command_ack_message(message.command, 0, 0, 0, 255, 190))

    def _mission_count(self, message: Any) -> None:
        self._coming, self._count = [], message.count
        self._ask(0)

    def _ask(self, seq: int) -> None:
        self.say(mavlink.MAVLink_mission_request_int_message(255, 190, seq, 0))

    def _mission_item_int(self, message: Any) -> None:
        if message.seq != len(self._coming):
            return
        params = (message.param1, message.param2, message.param3, message.param4)
        item = MissionItem(
            frame=message.frame, command=message.command, params=params, x=message.x, y=message.y, z=message.z
        )
        at = message.seq
        if self.failure == "altered" and at == 4:
            item, self.failure = msgspec.structs.replace(item, x=item.x + 1), ""
        self._coming.append(item)
        self.stored[at:] = [item, *self.stored[at + 1 :]]  # a mixture of old and new until the end
        if self.failure == "refused" and at == 4:
            self.failure = ""
            self.say(mavlink.MAVLink_mission_ack_message(255, 190, mavlink.MAV_MISSION_UNSUPPORTED, 0))
        elif self.failure == "unfinished" and at == 4:
            self.failure = ""
        elif len(self._coming) < self._count:
            self._ask(len(self._coming))
        else:
            self.stored = self._coming
            self.say(mavlink.MAVLink_mission_ack_message(255, 190, 0, 0))

    def _mission_request_list(self, message: Any) -> None:
        if message.mission_type == 0:
            self.say(mavlink.MAVLink_mission_count_message(255, 190, len(self.stored), 0))

    def _mission_request_int(self, message: Any) -> None:
        if message.mission_type == 0 and message.seq < len(self.stored):
            item = self.stored[message.seq]
            self.say(
                mavlink.MAVLink_mission_item_int_message(
                    255, 190, message.seq, item.frame, item.command, 0, 1, *item.params, item.x, item.y, item.z, 0
                )
            )


ORDERS = {
    "hold": lambda vehicle: vehicle.hold(),
    "rtl": lambda vehicle: vehicle.rtl(),
    "land": lambda vehicle: vehicle.land(),
    "guided": lambda vehicle: vehicle.set_mode(FlightMode.GUIDED),
    "goto": lambda vehicle: vehicle.goto(lon=HOME[0], lat=HOME[1], altitude=Altitude(30.0, Datum.HOME)),
    "gimbal": lambda vehicle: vehicle.set_gimbal(pitch_deg=-45.0),
    "disarm": lambda vehicle: vehicle.disarm(),
    "read": lambda vehicle: vehicle.read_mission(),
}
SYSIDS, PLAN_NAMES = st.sampled_from(OURS), st.sampled_from(sorted(PLANS))


class Operations(RuleBasedStateMachine):
    """Three vehicles of ours and a stranger on one port, and everything that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = contextlib.AsyncExitStack()
        self.tasks: list[asyncio.Task[None]] = []
        self.vehicles = {sysid: Scripted(sysid) for sysid in (*OURS, STRANGER)}
        self.impostor: Scripted | None = None
        self.heard: dict[Scripted, int] = {}
        """How much each had heard before the present step."""
        self.armed: dict[int, int] = {}
        """How often each had been told to arm before."""
        self.named: set[int] = set()
        """The vehicles that the present step gives orders to, but those that another claims to be."""
        self.fleet: Fleet = self.runner.run(self._start())

    async def _start(self) -> Fleet:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        records = {sysid: VehicleRecord(sysid=sysid, name=f"vehicle {sysid}") for sysid in OURS}
        fleet = Fleet([f"udpin:127.0.0.1:{port}"], records, stale_s=STALE_S, lost_s=LOST_S)
        await self.stack.enter_async_context(fleet)
        for vehicle in self.vehicles.values():
            self._switch_on(vehicle, port)
        everybody = [fleet.vehicle(sysid) for sysid in OURS]
        assert await holds(lambda: all(each.state.mission is not None for each in everybody), 5.0)
        assert await holds(lambda: STRANGER in fleet.strangers, 5.0)
        return fleet

    def _switch_on(self, vehicle: Scripted, port: int) -> None:
        self.tasks.append(asyncio.create_task(vehicle.run(port)))

    def teardown(self) -> None:
        async def end() -> None:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await self.stack.aclose()

        self.runner.run(end())
        self.runner.close()

    def everybody(self) -> list[Scripted]:
        return [*self.vehicles.values(), *([self.impostor] if self.impostor else [])]

    def play(self, work: Coroutine[Any, Any, None], *sysids: int) -> None:
        """One step, which gives orders to these vehicles alone; nothing is waited for longer than patience lasts."""
        self.named = {sysid for sysid in sysids if self.fleet.vehicle(sysid).state.conflict is None}
        self.heard = {vehicle: len(vehicle.heard) for vehicle in self.everybody()}
        self.armed = {sysid: len(vehicle.armed_with) for sysid, vehicle in self.vehicles.items()}

        async def step() -> None:
            with contextlib.suppress(FleetError, TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await work
            await asyncio.sleep(0.02)

        self.runner.run(step())

    @rule(sysid=SYSIDS, order=st.sampled_from(sorted(ORDERS)))
    def order(self, sysid: int, order: str) -> None:
        self.play(ORDERS[order](self.fleet.vehicle(sysid)), sysid)

    @rule(orders=st.dictionaries(SYSIDS, st.sampled_from(sorted(ORDERS)), min_size=2))
    def order_many_at_once(self, orders: dict[int, str]) -> None:
        async def all_of_them() -> None:
            works = [ORDERS[order](self.fleet.vehicle(sysid)) for sysid, order in orders.items()]
            await asyncio.gather(*works, return_exceptions=True)

        self.play(all_of_them(), *orders)

    @rule(sysid=SYSIDS, plan=PLAN_NAMES)
    def upload(self, sysid: int, plan: str) -> None:
        self.play(self.fleet.vehicle(sysid).upload_mission(PLANS[plan]), sysid)

    @rule(sysid=SYSIDS, plan=PLAN_NAMES, failure=st.sampled_from(("altered", "unfinished", "refused")))
    def upload_and_fail(self, sysid: int, plan: str, failure: str) -> None:
        self.vehicles[sysid].failure = failure
        self.play(self.fleet.vehicle(sysid).upload_mission(PLANS[plan]), sysid)
        self.vehicles[sysid].failure = ""

    @rule(sysid=SYSIDS, plan=PLAN_NAMES)
    def arm(self, sysid: int, plan: str) -> None:
        self.play(self.fleet.vehicle(sysid).arm(mission_hash(PLANS[plan])), sysid)
        for aboard in self.vehicles[sysid].armed_with[self.armed[sysid] :]:
            assert [same(item) for item in aboard[1:]] == [same(item) for item in PLANS[plan]]
        self.armed[sysid] = len(self.vehicles[sysid].armed_with)

    @rule(sysid=SYSIDS, aboard=PLAN_NAMES, approved=PLAN_NAMES)
    def upload_one_plan_and_arm_for_another(self, sysid: int, aboard: str, approved: str) -> None:
        self.upload(sysid, aboard)
        self.wire_is_right()
        self.arm(sysid, approved)

    @precondition(lambda self: not any(vehicle.silent for vehicle in self.vehicles.values()))
    @rule(sysid=SYSIDS, other=SYSIDS)
    def lose(self, sysid: int, other: int) -> None:
        before = {each: self.fleet.vehicle(each).state for each in OURS}
        hashes = {each: self.fleet.vehicle(each).mission_hash for each in OURS}
        self.vehicles[sysid].silent = True
        self.play(asyncio.sleep(0))
        silent = (Condition.STALE, Condition.LOST)
        assert self.runner.run(holds(lambda: self.fleet.vehicle(sysid).state.condition in silent, STALE_S + 2.0))
        for each in set(OURS) - {sysid}:
            state = self.fleet.vehicle(each).state
            assert (state.condition, state.mode, state.armed) == (
                before[each].condition, before[each].mode, before[each].armed
            )  # fmt: skip
            assert self.fleet.vehicle(each).mission_hash == hashes[each]
        if other != sysid and self.fleet.vehicle(other).state.conflict is None:
            self.play(self.fleet.vehicle(other).set_mode(FlightMode.GUIDED), other)
            assert self.fleet.vehicle(other).state.mode is FlightMode.GUIDED

    @precondition(lambda self: any(vehicle.silent for vehicle in self.vehicles.values()))
    @rule()
    def hear_again(self) -> None:
        for vehicle in self.vehicles.values():
            vehicle.silent = False
        self.play(asyncio.sleep(0.15))

    @precondition(lambda self: self.impostor is None)
    @rule(sysid=SYSIDS)
    def hear_two_under_one_sysid(self, sysid: int) -> None:
        self.impostor = Scripted(sysid, lat=HOME[1] + 1.0, boot_s=500.0)
        self.runner.run(self._come())
        for _ in range(2):
            self.play(asyncio.sleep(0.35))

    async def _come(self) -> None:
        assert self.impostor is not None
        self._switch_on(self.impostor, int(self.fleet.links[0].name.rpartition(":")[2]))

    @invariant()
    def wire_is_right(self) -> None:
        for vehicle in self.everybody():
            new = vehicle.heard[self.heard.get(vehicle, 0) :]
            assert {sysid for _, sysid in new} <= {None, vehicle.sysid}, "what names another reached it"
            orders = {name for name, _ in new} - ASKING
            if vehicle is self.impostor or vehicle.sysid not in self.named:
                assert not orders, f"sysid {vehicle.sysid} was told what nobody told it"
        assert not self.vehicles[STRANGER].heard
        for sysid, count in self.armed.items():
            assert len(self.vehicles[sysid].armed_with) == count, "armed though nobody armed it"


def same(item: MissionItem) -> tuple[object, ...]:
    """What must be the same of an item that flies and the one that was approved."""
    return item.command, item.params[0], item.x, item.y, round(item.z, 2)


@pytest.mark.slow
def test_orders_missions_and_losses_stay_with_the_vehicle_they_belong_to() -> None:
    ends_s, rounds = time.monotonic() + SEARCH_S, 0
    while rounds == 0 or time.monotonic() < ends_s:
        run_state_machine_as_test(
            seed(SEED + rounds)(Operations),
            settings=settings(
                max_examples=3,
                stateful_step_count=20,
                deadline=None,
                database=None,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )
        rounds += 1
    print(f"{rounds} rounds of 3 plays of 20 steps")


def test_a_mission_that_changed_unsaid_since_it_was_read_back_is_not_armed() -> None:
    operations = Operations()
    try:
        operations.upload(1, "short")
        vehicle = operations.vehicles[1]
        vehicle.stored = [*vehicle.stored[:1], *PLANS["long"]]
        operations.arm(1, "short")
    finally:
        operations.teardown()
