"""The signing keys of the vehicles, on disk, encrypted with age (https://age-encryption.org/v1) by pyrage.

A key is never part of a log line, an error's text or a repr: its `fingerprint` stands for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pyrage
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.digests import KEY_BYTES
from fleet.errors import KeyExists, KeyStoreInvalid, KeyStoreLocked, KeyUnknown, SigningInvalid
from fleet.signing import MOST_TICKS, checked_key

KeyBytes = Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Permissions of group and others, of which a secret file has none."""
_LOCKED = "No matching keys found"
"""What pyrage says for a wrong identity; anything else means a damaged file."""


def fingerprint(key: bytes) -> str:
    """Eight hex digits that stand for a key where it may be seen."""
    return hashlib.sha256(b"MAVLink signing key" + key).hexdigest()[:8]


class VehicleKey(msgspec.Struct, frozen=True, kw_only=True):
    """The signing key of one vehicle."""

    registration: Annotated[str, msgspec.Meta(min_length=1)]
    """The vehicle's registration."""
    sysid: Annotated[int, msgspec.Meta(ge=1, le=254)]
    """Its MAVLink system id."""
    key: KeyBytes
    """What it signs with, 32 bytes."""
    created_utc_s: float
    """When `key` was made, s since 1970 UTC."""
    previous: KeyBytes | None = None
    """The key before, until it is known that the vehicle has the new one."""
    proven: bool = True
    """The vehicle was heard to sign with one of its keys. A first key is not, until then: it may have it all the
    same."""

    def __repr__(self) -> str:
        """Without the keys."""
        changing = f", previous {fingerprint(self.previous)}" if self.previous else ""
        return f"VehicleKey({self.registration!r}, sysid {self.sysid}, key {fingerprint(self.key)}{changing})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Without the keys."""
        shown = [(name, fingerprint(key)) for name, key in (("key", self.key), ("previous", self.previous)) if key]
        return [("registration", self.registration), ("sysid", self.sysid), *shown]


class _Content(msgspec.Struct, frozen=True):
    keys: list[VehicleKey]
    version: Literal[1] = 1


def setup_signing(key: bytes, *, sysid: int, compid: int = 1, ticks: int) -> Any:
    """The SETUP_SIGNING message that gives a vehicle its key; raises SigningInvalid for a key or a time that is none.

    It carries the key in the clear: send it over a trusted link only, and neither log nor record it. `ticks` is the
    signing time that the vehicle starts from, 10 us since 2015-01-01 UTC.
    """
    if not 0 <= ticks <= MOST_TICKS:
        raise SigningInvalid(f"signing time {ticks}: is no 48-bit timestamp")
    return dialect.MAVLink_setup_signing_message(sysid, compid, list(checked_key(key)), ticks)


def make_identity(path: Path) -> None:
    """Write a new age identity, for its owner alone; raises KeyStoreInvalid where there is a file already."""
    identity = pyrage.x25519.Identity.generate()
    text = f"# public key: {identity.to_public()}\n{identity}\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise KeyStoreInvalid(f"identity {path}: {exc.strerror or exc}") from exc


class KeyStore:
    """One key for each vehicle, in one encrypted file; every call reads the file anew."""

    def __init__(self, path: Path, *, identity: Path) -> None:
        """The store at `path`, which need not exist yet, opened by an age identity file; nothing is read yet.

        There is no way in by passphrase: age measures the machine to choose how costly guessing is made, and a store
        from a quiet machine was then refused, or took 50 s, on a busy one.
        """
        self.path = path
        self._identity = identity

    def entries(self) -> list[VehicleKey]:
        """All keys, by registration; raises KeyStoreLocked, KeyStoreInvalid."""
        return sorted(self._load(), key=lambda entry: entry.registration)

    def key(self, registration: str) -> VehicleKey:
        """The key of a vehicle; raises KeyUnknown, KeyStoreLocked, KeyStoreInvalid."""
        return self._one(self._load(), registration)

    def generate(self, registration: str, *, sysid: int, utc_s: float) -> VehicleKey:
        """Make a vehicle's first key, not proven yet; raises KeyExists, KeyStoreLocked, KeyStoreInvalid."""
        if not registration or not 1 <= sysid <= 254:
            raise KeyStoreInvalid(
                f"vehicle {registration!r}, sysid {sysid}: needs a registration and a sysid of 1 to 254"
            )
        fresh = VehicleKey(
            registration=registration,
            sysid=sysid,
            key=secrets.token_bytes(KEY_BYTES),
            created_utc_s=utc_s,
            proven=False,
        )
        with self._changing() as entries:
            for entry in entries:
                if registration == entry.registration or sysid == entry.sysid:
                    raise KeyExists(
                        f"{registration}, sysid {sysid}: {entry.registration}, sysid {entry.sysid}, has a key"
                    )
            entries.append(fresh)
        return fresh

    def rotate(self, registration: str, *, utc_s: float) -> VehicleKey:
        """Make a vehicle's next key, and keep the one so far as `previous`.

        Raises KeyExists while there still is a previous key, since the vehicle may have no other: `retire` it first.
        Raises KeyUnknown, KeyStoreLocked, KeyStoreInvalid.
        """
        with self._changing() as entries:
            entry = self._one(entries, registration)
            if entry.previous is not None:
                raise KeyExists(f"{registration}: its last rotation is not over, the key before is still kept")
            fresh = msgspec.structs.replace(
                entry, key=secrets.token_bytes(KEY_BYTES), previous=entry.key, created_utc_s=utc_s
            )
            entries[entries.index(entry)] = fresh
        return fresh

    def retire(self, registration: str) -> VehicleKey:
        """Forget a vehicle's previous key, once it signs with the new one; raises as `key` does."""
        with self._changing() as entries:
            entry = self._one(entries, registration)
            fresh = msgspec.structs.replace(entry, previous=None)
            entries[entries.index(entry)] = fresh
        return fresh

    def prove(self, registration: str) -> VehicleKey:
        """Note that a vehicle was heard to sign with its key; raises as `key` does."""
        with self._changing() as entries:
            entry = self._one(entries, registration)
            fresh = msgspec.structs.replace(entry, proven=True)
            entries[entries.index(entry)] = fresh
        return fresh

    def delete(self, registration: str) -> None:
        """Forget a vehicle's keys for good; raises as `key` does."""
        with self._changing() as entries:
            entries.remove(self._one(entries, registration))

    def _one(self, entries: list[VehicleKey], registration: str) -> VehicleKey:
        for entry in entries:
            if entry.registration == registration:
                return entry
        raise KeyUnknown(f"{registration}: no signing key in {self.path}")

    @contextmanager
    def _changing(self) -> Iterator[list[VehicleKey]]:
        """The keys, written back if nothing is raised; other processes wait meanwhile."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise KeyStoreInvalid(f"key store {self.path}: {exc.strerror or exc}") from exc
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = self._load()
            yield entries
            self._save(entries)
        finally:
            os.close(lock)

    def _load(self) -> list[VehicleKey]:
        if not self.path.exists():
            return []
        sealed = _read_secret(self.path, "key store")
        try:
            clear = pyrage.decrypt(sealed, self._identities())
        except pyrage.DecryptError as exc:
            if str(exc) == _LOCKED:
                raise KeyStoreLocked(f"key store {self.path}: identity {self._identity} does not open it") from exc
            raise KeyStoreInvalid(f"key store {self.path}: is damaged, or no age file ({exc})") from exc
        try:
            entries = msgspec.json.decode(clear, type=_Content).keys
        except msgspec.MsgspecError as exc:
            raise KeyStoreInvalid(f"key store {self.path}: opened, but its content is not ours ({exc})") from exc
        if len({entry.registration for entry in entries} | {entry.sysid for entry in entries}) != 2 * len(entries):
            raise KeyStoreInvalid(f"key store {self.path}: a registration or a sysid is there twice")
        return entries

    def _save(self, entries: list[VehicleKey]) -> None:
        clear = msgspec.json.encode(_Content(entries))
        sealed = pyrage.encrypt(clear, [self._identities()[0].to_public()])
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as exc:
            raise KeyStoreInvalid(f"key store {self.path}: {exc.strerror or exc}") from exc

    def _identities(self) -> list[pyrage.x25519.Identity]:
        """Of the identity file; the first is whom the store is encrypted for, others may open it."""
        text = _read_secret(self._identity, "identity").decode("utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        try:
            identities = [pyrage.x25519.Identity.from_str(line) for line in lines]
        except pyrage.IdentityError:
            identities = []
        if not identities:
            raise KeyStoreInvalid(f"identity {self._identity}: no AGE-SECRET-KEY-1... line as age-keygen writes it")
        return identities


def _read_secret(path: Path, what: str) -> bytes:
    """The content of a file that nobody but its owner may read or write."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & OTHERS:
                mode = stat.S_IMODE(status.st_mode)
                raise KeyStoreInvalid(f"{what} {path}: others may read or write it (mode {mode:04o}); make it 0600")
            return file.read()
    except OSError as exc:
        raise KeyStoreInvalid(f"{what} {path}: {exc.strerror or exc}") from exc
