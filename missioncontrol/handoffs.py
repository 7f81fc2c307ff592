"""Hand-offs: the port to outside systems, and the outbox that loses nothing.

A hand-off is written in the transaction that confirms the incident. One worker
per receiver delivers, in order per incident, until the receiver gives its receipt
or the hand-off is too old; a dead letter is tried again when a person asks for it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import Any, Protocol

import msgspec
import structlog
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from missioncontrol import audit
from missioncontrol.clocks import Clock
from missioncontrol.errors import AdapterUnknown, Conflict, DeliveryFailed, NotFound, SettingsInvalid
from missioncontrol.incident_settings import HandoffSettings, SinkSettings
from missioncontrol.live import Severity
from missioncontrol.store import Store
from missioncontrol.tables import outbox

log = structlog.get_logger(__name__)

SINKS = "missioncontrol.sinks"
"""Entry-point group of the adapters."""
PENDING, DELIVERED, DEAD = "pending", "delivered", "dead"
SWEEP = 500
"""Hand-offs that one round of a worker looks at."""


class Handoff(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one incident on its way to one receiver."""

    id: str
    """`incident:version:sink`; the CloudEvents id, the same on every attempt."""
    incident_id: str
    """UUIDv7 of the incident."""
    version: int
    """Version of the incident, from 1; a receiver keeps the highest."""
    kind: str
    """Kind of the incident."""
    sink: str
    """Name of the receiver in the settings."""
    created_utc_s: float
    """When the hand-off was written, s since 1970 UTC."""
    attempt: int = 1
    """How many times this has been tried, this one included."""
    payload: dict[str, Any]
    """The incident as outsiders see it, a GeoJSON Feature without the names and words of our people."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver's own word that it holds a hand-off."""

    handoff_id: str
    """Id of the hand-off."""
    receiver: str
    """Who gave it."""
    receipt_id: str
    """The receiver's number for it."""
    received_utc_s: float
    """When the receiver took it, s since 1970 UTC, by the receiver's clock."""
    duplicate: bool = False
    """Whether the receiver had it already; that counts as delivered."""


class Sink(Protocol):
    """Delivers hand-offs to one receiver.

    An adapter is an async context manager whose class takes plain keyword
    arguments, `name` (of the receiver) among them; it is named by an entry point of the group `missioncontrol.sinks`.
    Its constructor opens nothing, and raises ValueError, naming the argument, for one that cannot be right.
    """

    async def deliver(self, handoff: Handoff) -> Receipt:
        """Deliver once and wait for the receiver's receipt.

        Raises DeliveryFailed, retryable or not. Called again with the same id
        after a failure; a receiver's "I have that" is success.
        """


SinkContext = AbstractAsyncContextManager[Sink]


def check_sink(settings: SinkSettings) -> None:
    """See that a receiver has an adapter that takes its options. Raises AdapterUnknown, SettingsInvalid."""
    try:
        open_sink(settings)
    except (TypeError, ValueError, OSError) as exc:
        raise SettingsInvalid(f"sinks: {settings.name}: options of {settings.kind}: {exc}") from exc


def open_sink(settings: SinkSettings) -> SinkContext:
    """The adapter of a receiver, not yet entered. Raises AdapterUnknown."""
    return _adapter(settings)(**_options(settings))


def _adapter(settings: SinkSettings) -> Callable[..., SinkContext]:
    found = {point.name: point for point in entry_points(group=SINKS)}
    if settings.kind not in found:
        known = ", ".join(sorted(found)) or "none"
        raise AdapterUnknown(f"sinks: {settings.name}: no adapter {settings.kind!r}; there are: {known}")
    adapter: Callable[..., SinkContext] = found[settings.kind].load()
    return adapter


def _options(settings: SinkSettings) -> dict[str, Any]:
    return {"name": settings.name, **settings.options}


class HandoffRow(msgspec.Struct, frozen=True, kw_only=True):
    """A hand-off as the outbox holds it."""

    id: str
    """`incident:version:sink`."""
    incident_id: str
    """UUIDv7 of the incident."""
    version: int
    """Version of the incident."""
    kind: str
    """Kind of the incident."""
    sink: str
    """Name of the receiver."""
    state: str
    """pending, delivered or dead."""
    attempts: int
    """Deliveries tried so far."""
    created_utc_s: float
    """When it was written, s since 1970 UTC."""
    due_utc_s: float
    """When it is tried next, s since 1970 UTC."""
    closed_utc_s: float | None
    """When it was delivered or given up, s since 1970 UTC."""
    retried_utc_s: float | None
    """When a person last had it tried again as a dead letter, s since 1970 UTC."""
    error: str | None
    """What the last attempt met."""
    receipt: Receipt | None
    """The receiver's word."""


_ROW_COLUMNS = [outbox.c[name] for name in HandoffRow.__struct_fields__]


async def enqueue(
    connection: AsyncConnection,
    *,
    incident_id: str,
    version: int,
    kind: str,
    payload: dict[str, Any],
    sinks: tuple[str, ...],
    now_utc_s: float,
    update_interval_s: float | None = None,
) -> None:
    """Write one hand-off per receiver, inside the caller's transaction.

    With `update_interval_s` this is an update from new looks: it takes the place of an update that still
    waits untried, and is due no earlier than that long after the last one went out.
    """
    for sink in sinks:
        due_utc_s = now_utc_s
        if update_interval_s is not None:
            due_utc_s = await _due_after(connection, incident_id, sink, now_utc_s, update_interval_s)
        await connection.execute(
            insert(outbox).values(
                id=f"{incident_id}:{version}:{sink}",
                incident_id=incident_id,
                version=version,
                kind=kind,
                sink=sink,
                payload=payload,
                state=PENDING,
                attempts=0,
                is_update=update_interval_s is not None,
                created_utc_s=now_utc_s,
                due_utc_s=due_utc_s,
            )
        )


async def _due_after(
    connection: AsyncConnection, incident_id: str, sink: str, now_utc_s: float, interval_s: float
) -> float:
    mine = (outbox.c.incident_id == incident_id) & (outbox.c.sink == sink)
    untried = mine & (outbox.c.state == PENDING) & (outbox.c.attempts == 0) & outbox.c.is_update
    waiting = (await connection.execute(select(outbox.c.due_utc_s).where(untried))).scalars().all()
    if waiting:
        await connection.execute(delete(outbox).where(untried))
        return float(min(waiting))
    last = select(outbox.c.created_utc_s).where(mine).order_by(outbox.c.number.desc()).limit(1)
    created_utc_s = (await connection.execute(last)).scalar()
    return now_utc_s if created_utc_s is None else max(now_utc_s, created_utc_s + interval_s)


class Outbox:
    """What is to be delivered, and the workers that do."""

    def __init__(
        self,
        store: Store,
        settings: HandoffSettings,
        clock: Clock,
        *,
        on_closed: Callable[[AsyncConnection, str], Awaitable[None]],
        on_alarm: Callable[[str, Severity], None],
        on_change: Callable[[str], Awaitable[None]],
    ) -> None:
        """`on_closed(connection, incident id)` runs in the transaction that closes a row, `on_change(incident id)`
        after it; `on_alarm(text, severity)` hears of dead letters."""
        self._store, self._settings, self._clock = store, settings, clock
        self._on_closed, self._on_alarm, self._on_change = on_closed, on_alarm, on_change
        self._wake: dict[str, asyncio.Event] = {}
        self._silences: dict[str, int] = {}
        self._random = random.Random()
        self.delivered = 0
        """Receipts taken since the start."""
        self.failed = 0
        """Attempts that failed since the start."""

    def wake(self) -> None:
        """Tell the workers that there is something new."""
        for event in self._wake.values():
            event.set()

    async def rows(self, incident_id: str | None = None, limit: int = 1000) -> list[HandoffRow]:
        """Hand-offs, newest first."""
        query = select(*_ROW_COLUMNS).order_by(outbox.c.number.desc()).limit(limit)
        if incident_id is not None:
            query = query.where(outbox.c.incident_id == incident_id)
        async with self._store.reading() as connection:
            return [handoff_row(row) for row in await connection.execute(query)]

    async def counts(self) -> dict[str, int]:
        """How many hand-offs there are in each state."""
        query = select(outbox.c.state, func.count()).group_by(outbox.c.state)
        async with self._store.reading() as connection:
            found = {row[0]: int(row[1]) for row in await connection.execute(query)}
        return {state: found.get(state, 0) for state in (PENDING, DELIVERED, DEAD)}

    async def retry(self, handoff_id: str, *, person: str) -> HandoffRow:
        """Try a dead letter again, for as long as a new one. Raises NotFound, Conflict if it is none."""
        now_utc_s = self._clock()
        async with self._store.writing(alone="incidents") as connection:
            row = (await connection.execute(select(*_ROW_COLUMNS).where(outbox.c.id == handoff_id))).first()
            if row is None:
                raise NotFound(f"no hand-off {handoff_id}")
            if row.state != DEAD:
                raise Conflict(f"hand-off {handoff_id} is {row.state}; only a dead letter can be tried again")
            anew = {"state": PENDING, "due_utc_s": now_utc_s, "retried_utc_s": now_utc_s, "closed_utc_s": None}
            await connection.execute(update(outbox).where(outbox.c.id == handoff_id).values(**anew))
            detail = {"handoff": handoff_id}
            entry = audit.AuditEntry(utc_s=now_utc_s, person=person, event="handoff retried", detail=detail)
            await audit.record(connection, "incident", row.incident_id, entry)
            row = (await connection.execute(select(*_ROW_COLUMNS).where(outbox.c.id == handoff_id))).one()
        self.wake()
        await self._on_change(row.incident_id)
        return handoff_row(row)

    async def run(self, name: str, sink: Sink) -> None:
        """Deliver what is due to one receiver, for ever."""
        wake = self._wake.setdefault(name, asyncio.Event())
        while True:
            wake.clear()
            wait_s = await self.deliver_due(name, sink)
            try:
                await asyncio.wait_for(wake.wait(), wait_s)
            except TimeoutError:
                continue

    async def deliver_due(self, name: str, sink: Sink) -> float | None:
        """Try the hand-offs of a receiver that are due; returns the wait until the next round, s, if there is one.

        A receiver that does not answer at all is left alone after the first try, and for longer each time.
        """
        pending = await self._pending(name)
        next_utc_s: float | None = None
        for versions in _by_incident(pending):
            for row in versions:
                due = row.due_utc_s <= self._clock()
                closed = due and await self._deliver(row, sink)
                if due and self._silences.get(name):
                    return self._wait_s(self._silences[name])
                if closed:
                    continue
                due_utc_s = await self._due(row.id)
                if due_utc_s is not None:
                    next_utc_s = due_utc_s if next_utc_s is None else min(next_utc_s, due_utc_s)
                break
        if len(pending) == SWEEP:
            return 0.05
        return None if next_utc_s is None else max(0.05, next_utc_s - self._clock())

    async def _pending(self, name: str) -> list[Row[Any]]:
        query = (
            select(*_ROW_COLUMNS, outbox.c.payload)
            .where(outbox.c.sink == name, outbox.c.state == PENDING)
            .order_by(outbox.c.number)
            .limit(SWEEP)
        )
        async with self._store.reading() as connection:
            return list(await connection.execute(query))

    async def _due(self, handoff_id: str) -> float | None:
        query = select(outbox.c.due_utc_s).where(outbox.c.id == handoff_id, outbox.c.state == PENDING)
        async with self._store.reading() as connection:
            return (await connection.execute(query)).scalar()

    async def _deliver(self, row: Row[Any], sink: Sink) -> bool:
        """Try once; True when the row is closed, with a receipt or as a dead letter."""
        attempt = row.attempts + 1
        since_utc_s = row.created_utc_s if row.retried_utc_s is None else row.retried_utc_s
        if not await self._count_attempt(row.id, attempt):
            return True
        handoff = Handoff(
            id=row.id,
            incident_id=row.incident_id,
            version=row.version,
            kind=row.kind,
            sink=row.sink,
            created_utc_s=row.created_utc_s,
            attempt=attempt,
            payload=row.payload,
        )
        try:
            receipt = await self._ask(sink, handoff)
        except DeliveryFailed as exc:
            self._silences[row.sink] = self._silences.get(row.sink, 0) + 1 if exc.unreachable else 0
            return await self._put_off(handoff, exc, since_utc_s)
        self._silences[row.sink] = 0
        if receipt.handoff_id != handoff.id:
            return await self._put_off(
                handoff, DeliveryFailed(f"the receipt is for {receipt.handoff_id!r}"), since_utc_s
            )
        await self._close(handoff, DELIVERED, receipt=msgspec.to_builtins(receipt), error=None)
        self.delivered += 1
        log.info("handoff delivered", handoff=handoff.id, attempt=attempt, receipt=receipt.receipt_id)
        return True

    async def _ask(self, sink: Sink, handoff: Handoff) -> Receipt:
        """Deliver once; whatever a sink raises is a failed delivery, so that one adapter cannot end the service."""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await sink.deliver(handoff)
        except TimeoutError as exc:
            raise DeliveryFailed(f"no receipt within {self._settings.timeout_s:g} s", unreachable=True) from exc
        except DeliveryFailed:
            raise
        except Exception as exc:
            log.exception("sink broke", handoff=handoff.id, sink=handoff.sink)
            raise DeliveryFailed(f"the adapter broke: {type(exc).__name__}: {exc}") from exc

    async def _count_attempt(self, handoff_id: str, attempt: int) -> bool:
        """Write the attempt down before it is made; False if the row was replaced by a newer version."""
        async with self._store.writing(alone="incidents") as connection:
            changed = await connection.execute(
                update(outbox).where(outbox.c.id == handoff_id, outbox.c.state == PENDING).values(attempts=attempt)
            )
            return changed.rowcount == 1

    async def _put_off(self, handoff: Handoff, error: DeliveryFailed, since_utc_s: float) -> bool:
        self.failed += 1
        text = str(error)
        log.warning("handoff failed", handoff=handoff.id, attempt=handoff.attempt, error=text)
        if not error.retryable or self._clock() - since_utc_s >= self._settings.give_up_after_s:
            await self._close(handoff, DEAD, receipt=None, error=text)
            self._on_alarm(f"hand-off {handoff.id} is a dead letter after {handoff.attempt} attempts: {text}", "severe")
            return True
        due_utc_s = self._clock() + self._wait_s(handoff.attempt)
        async with self._store.writing(alone="incidents") as connection:
            await connection.execute(
                update(outbox).where(outbox.c.id == handoff.id).values(due_utc_s=due_utc_s, error=text)
            )
        return False

    def _wait_s(self, failures: int) -> float:
        """Half to all of the step after so many failures, s."""
        step_s = self._settings.first_retry_s * 2.0 ** min(30, failures - 1)
        return self._random.uniform(0.5, 1.0) * min(self._settings.longest_retry_s, step_s)

    async def _close(self, handoff: Handoff, state: str, *, receipt: Any, error: str | None) -> None:
        async with self._store.writing(alone="incidents") as connection:
            await connection.execute(
                update(outbox)
                .where(outbox.c.id == handoff.id)
                .values(state=state, receipt=receipt, error=error, closed_utc_s=self._clock())
            )
            await self._on_closed(connection, handoff.incident_id)
        await self._on_change(handoff.incident_id)


def _by_incident(rows: list[Row[Any]]) -> list[list[Row[Any]]]:
    """Rows of each incident in their order; incidents that were tried least come first."""
    found: dict[str, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(row.incident_id, []).append(row)
    return sorted(found.values(), key=lambda versions: int(versions[0].attempts))


def handoff_row(row: Row[Any]) -> HandoffRow:
    """A row of the outbox as a value."""
    return msgspec.convert({name: getattr(row, name) for name in HandoffRow.__struct_fields__}, HandoffRow)
