"""Control: one person holds a vehicle; others see who, and take over or are handed it explicitly, never by accident.

Each change of hands raises the vehicle's fencing token. A client that names the token it believes in is refused once
somebody else has taken the vehicle, however late its request arrives. Emergency commands do not ask.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from missioncontrol import audit
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import ControlHeld, InputInvalid
from missioncontrol.store import Store
from missioncontrol.tables import controls


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a vehicle."""

    sysid: int
    """The vehicle."""
    person: str | None = None
    """Name of the holder; None while it is free."""
    token: int = 0
    """Fencing token: one more with every change of hands."""
    since_utc_s: float | None = None
    """Since when, s since 1970 UTC."""

    def public(self) -> dict[str, Any]:
        """As the API shows it."""
        since = None if self.since_utc_s is None else iso_utc(self.since_utc_s)
        return {"person": self.person, "token": self.token, "since_utc": since}


class Control:
    """The leases of all vehicles."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Call `load` before anything else."""
        self._store, self._clock = store, clock
        self._leases: dict[int, Lease] = {}

    async def load(self) -> None:
        """Take up the leases as they were when the service stopped."""
        async with self._store.reading() as connection:
            rows = (await connection.execute(select(controls))).mappings().all()
        self._leases = {row["sysid"]: Lease(**row) for row in rows}

    def lease(self, sysid: int) -> Lease:
        """Who holds a vehicle now."""
        return self._leases.get(sysid, Lease(sysid=sysid))

    def check(self, sysid: int, *, person: str) -> Lease:
        """The lease, if nobody else holds it. Raises ControlHeld."""
        lease = self.lease(sysid)
        if lease.person not in (None, person):
            raise ControlHeld(
                f"vehicle {sysid} is held by {lease.person}; take it over, or ask for it to be handed over"
            )
        return lease

    async def need(self, sysid: int, *, person: str, token: int | None = None) -> Lease:
        """The person's lease, taken now if the vehicle is free. Raises ControlHeld."""
        lease = self.check(sysid, person=person)
        if token is not None and token != lease.token:
            raise ControlHeld(f"vehicle {sysid}: token {token} is no longer good, it changed hands since")
        return lease if lease.person == person else await self._pass(sysid, person, by=person, event="control taken")

    async def take_over(self, sysid: int, *, person: str) -> Lease:
        """Hold a vehicle from now on, whoever held it."""
        before = self.lease(sysid).person
        if before == person:
            return self.lease(sysid)
        event = "control taken" if before is None else "control taken over"
        return await self._pass(sysid, person, by=person, event=event)

    async def hand_over(self, sysid: int, to: str, *, person: str) -> Lease:
        """Give a vehicle that one holds to another. Raises ControlHeld, InputInvalid."""
        await self.need(sysid, person=person)
        if to == person:
            raise InputInvalid(f"to: vehicle {sysid} is already held by {person}")
        return await self._pass(sysid, to, by=person, event="control handed over")

    async def release(self, sysid: int, *, person: str) -> Lease:
        """Hold a vehicle no longer. Raises ControlHeld where somebody else holds it."""
        lease = self.lease(sysid)
        if lease.person is None:
            return lease
        if lease.person != person:
            raise ControlHeld(f"vehicle {sysid} is held by {lease.person}, not by {person}")
        return await self._pass(sysid, None, by=person, event="control released")

    async def _pass(self, sysid: int, to: str | None, *, by: str, event: str) -> Lease:
        now_s, before = self._clock(), self.lease(sysid)
        lease = Lease(sysid=sysid, person=to, token=before.token + 1, since_utc_s=now_s)
        async with self._store.writing(alone="control") as connection:
            known = (await connection.execute(select(controls).where(controls.c.sysid == sysid))).mappings().first()
            values = msgspec.to_builtins(lease)
            if known is None:
                await connection.execute(insert(controls).values(values))
            elif known["token"] != before.token:  # also where a change was cancelled when it was written already
                self._leases[sysid] = Lease(**known)
                raise ControlHeld(f"vehicle {sysid} changed hands at this moment; look who holds it now")
            else:
                await connection.execute(update(controls).where(controls.c.sysid == sysid).values(values))
            detail = {"from": before.person, "to": to, "token": lease.token}
            entry = audit.AuditEntry(utc_s=now_s, person=by, event=event, detail=detail)
            await audit.record(connection, "vehicle", str(sysid), entry)
        self._leases[sysid] = lease
        return lease
