"""The signing keys of our vehicles: taken from the key store, given to vehicles over trusted links, and changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from fleet.errors import KeyStoreInvalid, KeyStoreLocked, KeyUnknown, SigningInvalid
from fleet.fleet import Fleet
from fleet.keys import KeyStore, VehicleKey, fingerprint
from fleet.signing import SignatureCheck, SigningTime, SteadyClock, VehicleSigning
from missioncontrol import audit
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import Conflict, InputInvalid
from missioncontrol.settings import Settings
from missioncontrol.store import Store

log = structlog.get_logger(__name__)

OVERLAP_S = 60.0
"""What a vehicle signed with its key so far may arrive for so long after it was heard to sign with another, s."""


class Keyring:
    """The keys of the vehicles of an installation.

    Nobody knows of a key that was sent whether the vehicle took it until it signs with it: a link may break amid. So no
    key that a vehicle may have is ever deleted. A first key is a candidate until then, and the vehicle is believed
    unsigned; a key before is believed for as long as a rotation is not over.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Those in the settings' key store; none where there is no store. Raises KeyStoreInvalid, KeyStoreLocked,
        SigningInvalid."""
        self._settings, self._clock = settings, clock
        self._steady = SteadyClock(utc_now=clock)
        path, identity = settings.fleet.key_store, settings.fleet.key_identity
        self._store = KeyStore(path, identity=identity) if path is not None and identity is not None else None
        entries = self._store.entries() if self._store is not None else []
        ours = {vehicle.sysid for vehicle in settings.vehicles}
        self._registrations = {entry.sysid: entry.registration for entry in entries}
        self.on_alarm: Callable[[str], None] = lambda text: None
        """Hears what a person should know at once, such as signing times that cannot be kept."""
        self.signing: dict[int, VehicleSigning] = {}
        """What judges and signs, by sysid."""
        self.candidates: dict[int, VehicleSigning] = {}
        """Of vehicles that were sent a first key, and not heard to sign with it yet, by sysid."""
        for entry in entries:
            if entry.sysid in ours:
                (self.signing if entry.proven else self.candidates)[entry.sysid] = self._signing_of(entry)
        self._changing = asyncio.Lock()
        if (alarm := self.clock_alarm) is not None:
            log.error("clock", error=alarm)

    @property
    def clock_alarm(self) -> str | None:
        """What a person should know of our clock; None while nothing speaks against it."""
        if not self._steady.suspect:
            return None
        return (
            f"our clock says {iso_utc(self._steady.utc_s())}, more than a day after a vehicle was last heard: if it is"
            " wrong, no vehicle that signs is believed"
        )

    def proved(self, sysid: int) -> None:
        """A vehicle was heard to sign with its candidate, which is its key from now on."""
        signing = self.candidates.pop(sysid, None)
        if signing is None or self._store is None:
            return
        self.signing[sysid] = signing
        try:
            self._store.prove(self._registrations[sysid])
        except (KeyStoreInvalid, KeyStoreLocked, KeyUnknown) as exc:  # it is a candidate again after a restart
            self._tell(f"vehicle {sysid} signs, which cannot be written down: {exc}")

    def _tell(self, text: str) -> None:
        log.error("signing", error=text)
        self.on_alarm(text)

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
        self._registrations[sysid] = registration
        signing = self.candidates.get(sysid) or self._signing_of(entry)
        self.candidates[sysid] = signing
        await fleet.router.set_up_signing(sysid, entry.key, signing, link=link)
        self.proved(sysid)
        return entry

    async def _rotate(self, fleet: Fleet, sysid: int, registration: str, link: str) -> VehicleKey:
        assert self._store is not None
        signing = self.signing[sysid]
        entry = await asyncio.to_thread(self._store.key, registration)
        if entry.previous is None:
            entry = await asyncio.to_thread(self._store.rotate, registration, utc_s=self._clock())
            signing.rotate(entry.key)
        await fleet.router.set_up_signing(sysid, entry.key, signing, link=link)
        entry = await asyncio.to_thread(self._store.retire, registration)
        signing.retire(window_s=OVERLAP_S)
        return entry

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
        check = SignatureCheck(entry.sysid, entry.key, previous=entry.previous)
        time = SigningTime(self._settings.data / "signing" / f"{entry.sysid}", told=self._tell)
        return VehicleSigning(check, key=entry.key, time=time, clock=self._steady, previous=entry.previous)
