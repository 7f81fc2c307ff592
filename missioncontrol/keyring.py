"""The signing keys of our vehicles: taken from the key store, given to vehicles over trusted links, and changed."""

from __future__ import annotations

import asyncio
from typing import Any

from fleet.errors import KeyUnknown, SigningInvalid
from fleet.fleet import Fleet
from fleet.keys import KeyStore, VehicleKey, fingerprint
from fleet.signing import SignatureCheck, SigningTime, SteadyClock, VehicleSigning
from missioncontrol import audit
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import Conflict, InputInvalid
from missioncontrol.settings import Settings
from missioncontrol.store import Store

OVERLAP_S = 600.0
"""A vehicle may sign with its key so far for this long after it was given another, s."""
UNSETTLED_S = 86_400.0
"""After a restart amid a change of keys both are believed for so long, s: nobody knows which one the vehicle has."""


class Keyring:
    """The keys of the vehicles of an installation."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Those in the settings' key store; none where there is no store. Raises KeyStoreInvalid, KeyStoreLocked."""
        self._settings, self._clock = settings, clock
        self._steady = SteadyClock(utc_now=clock)
        path, identity = settings.fleet.key_store, settings.fleet.key_identity
        self._store = KeyStore(path, identity=identity) if path is not None and identity is not None else None
        entries = self._store.entries() if self._store is not None else []
        ours = {vehicle.sysid for vehicle in settings.vehicles}
        self.signing = {entry.sysid: self._signing_of(entry) for entry in entries if entry.sysid in ours}
        """What judges and signs, by sysid."""
        self._changing = asyncio.Lock()

    async def set_up(self, fleet: Fleet, store: Store, sysid: int, *, person: str) -> dict[str, Any]:
        """Give a vehicle its first key, or another one; who it is by then.

        Raises Conflict while it is armed, InputInvalid where it has no registration or there is no key store, and as
        `fleet.routing.Router.set_up_signing`; the vehicle then goes on as it did.
        """
        vehicle, ours = fleet.vehicle(sysid), self._settings.vehicle(sysid)
        if self._store is None:
            raise InputInvalid("fleet.key_store, fleet.key_identity: set both to have vehicles sign")
        if ours is None or not ours.registration:
            raise InputInvalid(f"vehicles: {sysid} has no registration, under which its key would be kept")
        if vehicle.state.armed:
            raise Conflict(f"vehicle {sysid} is armed; keys are changed on the ground")
        link = self._trusted_link(fleet, sysid)
        async with self._changing:
            if sysid in self.signing:
                entry, event = await self._rotate(fleet, sysid, ours.registration, link), "signing key changed"
            else:
                entry, event = await self._first(fleet, sysid, ours.registration, link), "signing set up"
        detail = {"fingerprint": fingerprint(entry.key), "link": link}
        async with store.writing() as connection:
            note = audit.AuditEntry(utc_s=self._clock(), person=person, event=event, detail=detail)
            await audit.record(connection, "vehicle", str(sysid), note)
        return {"sysid": sysid, "signed": True, "created_utc": iso_utc(entry.created_utc_s), **detail}

    async def _first(self, fleet: Fleet, sysid: int, registration: str, link: str) -> VehicleKey:
        assert self._store is not None
        try:
            entry = await asyncio.to_thread(self._store.key, registration)
        except KeyUnknown:
            entry = await asyncio.to_thread(self._store.generate, registration, sysid=sysid, utc_s=self._clock())
        signing = self._signing_of(entry)
        try:
            await fleet.router.set_up_signing(sysid, entry.key, signing, link=link)
        except SigningInvalid:
            await asyncio.to_thread(self._store.delete, registration)
            raise
        self.signing[sysid] = signing
        return entry

    async def _rotate(self, fleet: Fleet, sysid: int, registration: str, link: str) -> VehicleKey:
        assert self._store is not None
        entry = await asyncio.to_thread(self._store.key, registration)
        if entry.previous is None:
            entry = await asyncio.to_thread(self._store.rotate, registration, utc_s=self._clock())
            self.signing[sysid].rotate(entry.key, window_s=OVERLAP_S)
        await fleet.router.set_up_signing(sysid, entry.key, self.signing[sysid], link=link)
        return await asyncio.to_thread(self._store.retire, registration)

    def _trusted_link(self, fleet: Fleet, sysid: int) -> str:
        way = fleet.router.system(sysid).identity.in_use
        trusted = self._settings.fleet.trusted_links
        if way is None or way.link.name not in trusted:
            heard = "nowhere" if way is None else f"on {way.link.name}"
            raise SigningInvalid(
                f"sysid {sysid} is heard {heard}; a key goes out in the clear and so only over"
                f" fleet.trusted_links ({', '.join(trusted) or 'none'})"
            )
        return way.link.name

    def _signing_of(self, entry: VehicleKey) -> VehicleSigning:
        check = SignatureCheck(
            entry.sysid,
            entry.key,
            previous=entry.previous,
            previous_until_utc_s=self._steady.utc_s() + UNSETTLED_S,
        )
        time = SigningTime(self._settings.data / "signing" / f"{entry.sysid}")
        return VehicleSigning(check, key=entry.key, time=time, clock=self._steady, previous=entry.previous)
