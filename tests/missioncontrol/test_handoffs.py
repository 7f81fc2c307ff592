"""Hand-offs: at least once, in order per incident, closed by a receipt and by nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from missioncontrol import audit, handoffs
from missioncontrol.errors import AdapterUnknown, Conflict, DeliveryFailed, NotFound, SettingsInvalid
from missioncontrol.evidence import Evidence
from missioncontrol.handoffs import Handoff, HandoffRow, Outbox, Receipt, check_sink, enqueue
from missioncontrol.incident_settings import HandoffSettings, SinkSettings
from missioncontrol.incidents import Incidents
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from tests.missioncontrol.conftest import StillClock
from tests.missioncontrol.test_incidents import look

SETTINGS = Settings(
    sinks=(SinkSettings(name="city", kind="webhook"),),
    routes={"default": ("city",)},
    handoffs=HandoffSettings(give_up_after_s=3600.0, first_retry_s=1.0, longest_retry_s=8.0, timeout_s=0.2),
)


class Desk:
    """A receiver that a test can close, slow down and read."""

    def __init__(self, clock: StillClock) -> None:
        self.clock = clock
        self.taken: list[Handoff] = []
        self.failures: list[Exception] = []
        self.slow_s = 0.0
        self.asks = 0
        self.asked = asyncio.Event()
        self.wrong_receipt = False

    async def deliver(self, handoff: Handoff) -> Receipt:
        self.asked.set()
        self.asks += 1
        await asyncio.sleep(self.slow_s)
        if self.failures:
            raise self.failures.pop(0)
        duplicate = any(known.id == handoff.id for known in self.taken)
        self.taken.append(handoff)
        identifier = "another" if self.wrong_receipt else handoff.id
        return Receipt(
            handoff_id=identifier,
            receiver="city",
            receipt_id=f"R{len(self.taken)}",
            received_utc_s=self.clock(),
            duplicate=duplicate,
        )


class House:
    """Incidents, their outbox and a receiver."""

    def __init__(self, store: Store, folder: Path, clock: StillClock) -> None:
        self.store, self.clock, self.desk = store, clock, Desk(clock)
        self.alarms: list[str] = []
        self.changes: list[dict[str, Any]] = []
        self.incidents = Incidents(
            store,
            SETTINGS,
            Evidence(folder),
            clock,
            on_change=self.changes.append,
            on_handoff=lambda: self.outbox.wake(),
        )
        self.outbox = Outbox(
            store,
            SETTINGS.handoffs,
            clock,
            on_closed=self.incidents.delivery_closed,
            on_alarm=lambda text, _: self.alarms.append(text),
            on_change=self.incidents.announce,
        )

    async def confirmed(self, east_m: float = 0.0) -> str:
        """Id of a new confirmed incident."""
        incident = await self.incidents.observe(look(east_m))
        await self.incidents.confirm(incident.id, person="a")
        return incident.id

    async def deliver(self) -> float | None:
        """One round of the worker."""
        return await self.outbox.deliver_due("city", self.desk)

    async def row(self) -> HandoffRow:
        """The one row there is."""
        (found,) = await self.outbox.rows()
        return found


@pytest.fixture
def house(store: Store, tmp_path: Path, clock: StillClock) -> House:
    return House(store, tmp_path, clock)


async def test_a_receipt_closes_the_row_and_dispatches_the_incident(house: House) -> None:
    incident_id = await house.confirmed()
    assert await house.deliver() is None
    row = await house.row()
    assert (row.state, row.attempts) == ("delivered", 1)
    assert row.receipt is not None
    assert row.receipt.receipt_id == "R1"
    (handoff,) = house.desk.taken
    assert handoff.id == f"{incident_id}:2:city"
    assert handoff.payload["properties"]["state"] == "confirmed"
    properties = house.changes[-1]["properties"]
    assert properties["state"] == "dispatched"
    assert properties["handoffs"] == [{"sink": "city", "state": "delivered", "version": 2, "receipt": "R1"}]
    assert await house.outbox.counts() == {"pending": 0, "delivered": 1, "dead": 0}


async def test_nothing_is_delivered_before_a_person_confirmed(house: House) -> None:
    await house.incidents.observe(look())
    assert await house.deliver() is None
    assert house.desk.taken == []


async def test_what_fails_is_tried_again_later_and_later(house: House) -> None:
    await house.confirmed()
    house.desk.failures = [DeliveryFailed("busy") for _ in range(3)]
    waits = []
    for attempt in range(1, 4):
        wait_s = await house.deliver()
        assert wait_s is not None
        row = await house.row()
        assert (row.state, row.attempts, row.error) == ("pending", attempt, "busy")
        waits.append(wait_s)
        assert await house.deliver() == pytest.approx(wait_s)
        house.clock.utc_s += wait_s
    for wait_s, longest_s in zip(waits, (1.0, 2.0, 4.0), strict=True):
        assert longest_s / 2 <= wait_s <= longest_s
    await house.deliver()
    assert (await house.row()).state == "delivered"
    assert house.desk.taken[0].attempt == 4
    assert house.alarms == []


async def test_what_is_too_old_is_a_dead_letter_with_an_alarm(house: House) -> None:
    incident_id = await house.confirmed()
    house.desk.failures = [DeliveryFailed("busy") for _ in range(31)]
    for _ in range(30):
        house.clock.utc_s += await house.deliver() or 0.0
    assert (await house.row()).state == "pending"
    house.clock.utc_s += 3600.0
    await house.deliver()
    assert (await house.row()).state == "dead"
    assert house.alarms == [f"hand-off {incident_id}:2:city is a dead letter after 31 attempts: busy"]
    assert (await house.incidents.get(incident_id)).state == "delivery_failed"


async def test_a_dead_letter_is_tried_again_when_a_person_asks(house: House) -> None:
    incident_id = await house.confirmed()
    with pytest.raises(Conflict, match="is pending; only a dead letter"):
        await house.outbox.retry(f"{incident_id}:2:city", person="a")
    house.clock.utc_s += 3600.0
    house.desk.failures = [DeliveryFailed("busy"), DeliveryFailed("busy")]
    await house.deliver()
    assert (await house.row()).state == "dead"
    row = await house.outbox.retry(f"{incident_id}:2:city", person="a")
    assert (row.state, row.retried_utc_s, row.closed_utc_s) == ("pending", house.clock.utc_s, None)
    wait_s = await house.deliver()
    assert wait_s is not None, "it is tried for as long as a new one"
    house.clock.utc_s += wait_s
    await house.deliver()
    assert (await house.row()).state == "delivered"
    assert (await house.incidents.get(incident_id)).state == "dispatched"
    async with house.store.reading() as connection:
        entries = await audit.history(connection, "incident", incident_id)
    assert (entries[-1].person, entries[-1].event) == ("a", "handoff retried")
    with pytest.raises(NotFound, match="no hand-off x"):
        await house.outbox.retry("x", person="a")


async def test_the_newest_hand_off_of_a_receiver_says_how_an_incident_stands(house: House) -> None:
    incident_id = await house.confirmed()
    house.desk.failures = [DeliveryFailed("410 gone", retryable=False)]
    await house.deliver()
    assert (await house.incidents.get(incident_id)).state == "delivery_failed"
    await house.incidents.observe(look())
    house.clock.utc_s += 60.0
    await house.deliver()
    assert [row.state for row in await house.outbox.rows()] == ["delivered", "dead"]
    assert (await house.incidents.get(incident_id)).state == "dispatched"


async def test_a_receiver_that_is_down_costs_one_try_a_round_and_none_is_forgotten(house: House) -> None:
    for number in range(5):
        await house.confirmed(east_m=500.0 * number)
    house.desk.slow_s = 1.0
    waits = []
    for asks in range(1, 5):
        wait_s = await house.deliver()
        assert house.desk.asks == asks
        assert wait_s is not None
        waits.append(wait_s)
        house.clock.utc_s += wait_s
    for wait_s, longest_s in zip(waits, (1.0, 2.0, 4.0, 8.0), strict=True):
        assert longest_s / 2 <= wait_s <= longest_s
    assert sorted(row.attempts for row in await house.outbox.rows()) == [0, 1, 1, 1, 1]
    house.desk.slow_s = 0.0
    house.clock.utc_s += 60.0
    assert await house.deliver() is None
    assert len(house.desk.taken) == 5


async def test_more_than_a_round_holds_is_delivered_without_a_call(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handoffs, "SWEEP", 2)
    for number in range(3):
        await house.confirmed(east_m=500.0 * number)
    assert await house.deliver() is not None
    assert await house.deliver() is None
    assert len(house.desk.taken) == 3


async def test_an_adapter_that_breaks_is_a_failed_delivery_and_not_the_end(house: House) -> None:
    await house.confirmed()
    house.desk.failures = [ZeroDivisionError("a bug")]
    assert await house.deliver() is not None
    row = await house.row()
    assert (row.state, row.error) == ("pending", "the adapter broke: ZeroDivisionError: a bug")


async def test_a_refusal_for_good_is_not_tried_again(house: House) -> None:
    await house.confirmed()
    house.desk.failures = [DeliveryFailed("410 gone", retryable=False)]
    assert await house.deliver() is None
    row = await house.row()
    assert (row.state, row.attempts, row.error) == ("dead", 1, "410 gone")


async def test_silence_is_a_failure(house: House) -> None:
    await house.confirmed()
    house.desk.slow_s = 1.0
    await house.deliver()
    row = await house.row()
    assert (row.state, row.error) == ("pending", "no receipt within 0.2 s")


async def test_a_receipt_for_something_else_closes_nothing(house: House) -> None:
    await house.confirmed()
    house.desk.wrong_receipt = True
    await house.deliver()
    assert (await house.row()).state == "pending"


async def test_versions_of_one_incident_arrive_in_order_and_others_do_not_wait(house: House) -> None:
    one = await house.confirmed()
    other = await house.confirmed(east_m=500.0)
    async with house.store.writing() as connection:
        await enqueue(
            connection, incident_id=one, version=3, kind="dump", payload={}, sinks=("city",), now_utc_s=house.clock()
        )
    house.desk.failures = [DeliveryFailed("busy")]
    house.clock.utc_s += await house.deliver() or 0.0
    assert [handoff.id for handoff in house.desk.taken] == [f"{other}:2:city"]
    await house.deliver()
    assert [handoff.id for handoff in house.desk.taken[1:]] == [f"{one}:2:city", f"{one}:3:city"]


async def test_an_attempt_that_was_cut_off_is_made_again_with_the_same_id(house: House) -> None:
    """As when the service is killed between the receiver's answer and the writing down of its receipt."""
    await house.confirmed()
    house.desk.slow_s = 0.15
    attempt = asyncio.create_task(house.deliver())
    await house.desk.asked.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    house.desk.slow_s = 0.0
    await house.deliver()
    assert (await house.row()).attempts == 2
    assert len({handoff.id for handoff in house.desk.taken}) == 1


async def test_a_waiting_update_gives_way_to_a_newer_one(house: House) -> None:
    await house.confirmed()
    await house.deliver()
    for _ in range(3):
        await house.incidents.observe(look())
    house.clock.utc_s += 60.0
    await house.deliver()
    assert [handoff.version for handoff in house.desk.taken] == [2, 5]
    assert await house.deliver() is None


async def test_the_worker_wakes_when_something_is_confirmed(house: House) -> None:
    worker = asyncio.create_task(house.outbox.run("city", house.desk))
    try:
        await asyncio.sleep(0.05)
        await house.confirmed()
        async with asyncio.timeout(5):
            while not house.desk.taken:
                await asyncio.sleep(0.01)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


def test_adapters_are_found_by_name_and_their_options_checked() -> None:
    check_sink(SinkSettings(name="a", kind="webhook", options={"url": "http://127.0.0.1/", "secret": "whsec_YQ=="}))
    with pytest.raises(AdapterUnknown, match=r"sinks: a: no adapter 'webhok'; there are: .*webhook"):
        check_sink(SinkSettings(name="a", kind="webhok"))
    with pytest.raises(SettingsInvalid, match=r"sinks: a: options of webhook: .*'colour'"):
        check_sink(SinkSettings(name="a", kind="webhook", options={"url": "", "secret": "", "colour": 1}))
