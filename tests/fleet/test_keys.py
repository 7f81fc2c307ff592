"""Keys are kept encrypted, survive crashes and second writers, and are never shown."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pyrage
import pytest
from rich.pretty import pretty_repr

from fleet.errors import FleetError, KeyExists, KeyStoreInvalid, KeyStoreLocked, KeyUnknown, SigningInvalid
from fleet.framing import Encoder, Framer, decode
from fleet.keys import KeyStore, VehicleKey, fingerprint, make_identity, setup_signing

NOW_S = 1_795_326_176.0


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    path = tmp_path / "identity.txt"
    make_identity(path)
    return path


@pytest.fixture
def store(tmp_path: Path, identity: Path) -> KeyStore:
    return KeyStore(tmp_path / "state" / "keys.age", identity=identity)


def test_keys_are_made_kept_rotated_and_deleted(store: KeyStore) -> None:
    assert store.entries() == []
    second = store.generate("UP-D0002", sysid=2, utc_s=NOW_S)
    first = store.generate("UP-D0001", sysid=1, utc_s=NOW_S)
    assert len(first.key) == 32
    assert first.key != second.key
    assert store.entries() == [first, second]
    assert store.key("UP-D0001") == first

    rotated = store.rotate("UP-D0001", utc_s=NOW_S + 5.0)
    assert (rotated.previous, rotated.created_utc_s) == (first.key, NOW_S + 5.0)
    assert rotated.key not in (first.key, second.key)
    assert store.entries() == [rotated, second]
    with pytest.raises(KeyExists, match="not over"):
        store.rotate("UP-D0001", utc_s=NOW_S + 6.0)
    assert store.retire("UP-D0001") == msgspec.structs.replace(rotated, previous=None)
    assert store.rotate("UP-D0001", utc_s=NOW_S + 7.0).previous == rotated.key

    store.delete("UP-D0001")
    assert store.entries() == [second]
    for call in (store.key, store.delete, store.retire, store.prove, lambda name: store.rotate(name, utc_s=NOW_S)):
        with pytest.raises(KeyUnknown, match="UP-D0001: no signing key"):
            call("UP-D0001")


def test_a_first_key_is_proven_once_and_stays_so(store: KeyStore, identity: Path) -> None:
    assert not store.generate("UP-D0001", sysid=1, utc_s=NOW_S).proven
    assert not store.key("UP-D0001").proven
    assert store.prove("UP-D0001").proven
    assert store.rotate("UP-D0001", utc_s=NOW_S).proven
    content = b'{"keys": [{"registration": "a", "sysid": 1, "key": "%s=", "created_utc_s": 1.0}]}' % (b"Q" * 43)
    public = pyrage.x25519.Identity.from_str(identity.read_text().splitlines()[1]).to_public()
    store.path.write_bytes(pyrage.encrypt(content, [public]))
    assert store.key("a").proven, "written before this was noted"


def test_one_vehicle_has_one_key_and_one_sysid(store: KeyStore) -> None:
    store.generate("UP-D0001", sysid=1, utc_s=NOW_S)
    for registration, sysid in (("UP-D0001", 2), ("UP-D0002", 1)):
        with pytest.raises(KeyExists, match="UP-D0001, sysid 1, has a key"):
            store.generate(registration, sysid=sysid, utc_s=NOW_S)
    for registration, sysid in (("", 3), ("UP-D0003", 0), ("UP-D0003", 255)):
        with pytest.raises(KeyStoreInvalid, match="sysid of 1 to 254"):
            store.generate(registration, sysid=sysid, utc_s=NOW_S)
    assert len(store.entries()) == 1


def test_nothing_on_disk_shows_a_key_and_only_the_owner_reads_it(store: KeyStore, identity: Path) -> None:
    entry = store.generate("UP-D0001", sysid=1, utc_s=NOW_S)
    content = store.path.read_bytes()
    for form in (entry.key, entry.key.hex().encode(), msgspec.json.encode(entry.key), b"UP-D0001"):
        assert form.strip(b'"') not in content
    for path in (store.path, identity):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(path.name for path in store.path.parent.iterdir()) == ["keys.age", "keys.age.lock"]


def test_a_key_is_not_shown_in_words(store: KeyStore) -> None:
    store.generate("UP-D0001", sysid=1, utc_s=NOW_S)
    entry = store.rotate("UP-D0001", utc_s=NOW_S)
    assert entry.previous is not None
    for shown in (repr(entry), str(entry), f"{entry}", repr([entry]), pretty_repr(entry), pretty_repr({"a": entry})):
        assert fingerprint(entry.key) in shown
        for key in (entry.key, entry.previous):
            assert repr(key) not in shown
            assert key.hex() not in shown
    assert fingerprint(entry.key) != fingerprint(entry.previous)


def test_a_wrong_identity_is_told_from_a_damaged_file(store: KeyStore, identity: Path, tmp_path: Path) -> None:
    store.generate("UP-D0001", sysid=1, utc_s=NOW_S)
    make_identity(tmp_path / "other.txt")
    other = KeyStore(store.path, identity=tmp_path / "other.txt")
    for call in (other.entries, lambda: other.generate("UP-D0002", sysid=2, utc_s=NOW_S)):
        with pytest.raises(KeyStoreLocked, match=r"other\.txt does not open it"):
            call()
    with identity.open("a") as file:
        file.write((tmp_path / "other.txt").read_text())
    store.generate("UP-D0002", sysid=2, utc_s=NOW_S)
    assert [entry.sysid for entry in store.entries()] == [1, 2]
    with pytest.raises(KeyStoreLocked):
        other.entries()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"{}",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-20] + b"x" + content[-19:],
        lambda content: content + b"x",
    ],
)
def test_a_damaged_store_is_refused_and_left_as_it_is(store: KeyStore, damage: Callable[[bytes], bytes]) -> None:
    store.generate("UP-D0001", sysid=1, utc_s=NOW_S)
    damaged = damage(store.path.read_bytes())
    store.path.write_bytes(damaged)
    for call in (store.entries, lambda: store.generate("UP-D0002", sysid=2, utc_s=NOW_S)):
        with pytest.raises(KeyStoreInvalid, match=r"keys\.age: is damaged, or no age file"):
            call()
    assert store.path.read_bytes() == damaged


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b'{"version": 2, "keys": []}',
        b'{"keys": [{"registration": "a", "sysid": 1, "key": "AAAA", "created_utc_s": 1.0}]}',
        b'{"keys": ['
        + b", ".join([b'{"registration": "a", "sysid": 1, "key": "%s", "created_utc_s": 1.0}'] * 2)
        + b"]}",
    ],
)
def test_content_that_is_not_ours_is_refused(store: KeyStore, identity: Path, content: bytes) -> None:
    key = "Q" * 43 + "="
    public = pyrage.x25519.Identity.from_str(identity.read_text().splitlines()[1]).to_public()
    store.path.parent.mkdir()
    store.path.touch(0o600)
    store.path.write_bytes(pyrage.encrypt(content.replace(b"%s", key.encode()), [public]))
    with pytest.raises(KeyStoreInvalid, match=r"not ours|there twice"):
        store.entries()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_files_open_to_others_are_refused(store: KeyStore, identity: Path, mode: int) -> None:
    store.generate("UP-D0001", sysid=1, utc_s=NOW_S)
    for path in (identity, store.path):
        path.chmod(mode)
        with pytest.raises(KeyStoreInvalid, match=rf"{path.name}: others may read or write it \(mode {mode:04o}\)"):
            store.entries()
        path.chmod(0o400)
        assert len(store.entries()) == 1
        path.chmod(0o600)


def test_identities_that_are_missing_or_none_are_named(tmp_path: Path, store: KeyStore, identity: Path) -> None:
    store.generate("UP-D0001", sysid=1, utc_s=NOW_S)
    with pytest.raises(KeyStoreInvalid, match=r"gone\.txt: No such file"):
        KeyStore(store.path, identity=tmp_path / "gone.txt").entries()
    for text in ("", "# only a comment\n", "AGE-SECRET-KEY-1NONSENSE\n"):
        identity.write_text(text)
        with pytest.raises(KeyStoreInvalid, match="no AGE-SECRET-KEY-1") as raised:
            store.entries()
        assert "NONSENSE" not in str(raised.value)
    with pytest.raises(KeyStoreInvalid, match="File exists"):
        make_identity(identity)


def test_a_write_that_fails_leaves_the_old_keys(store: KeyStore) -> None:
    entry = store.generate("UP-D0001", sysid=1, utc_s=NOW_S)
    blocked = store.path.with_name(f"{store.path.name}.{os.getpid()}.new")
    blocked.mkdir()
    with pytest.raises(KeyStoreInvalid, match="Is a directory"):
        store.rotate("UP-D0001", utc_s=NOW_S)
    assert store.entries() == [entry]


def test_two_writers_lose_nothing(store: KeyStore, identity: Path) -> None:
    def generate(first: int) -> None:
        own = KeyStore(store.path, identity=identity)
        for sysid in range(first, first + 10):
            own.generate(f"UP-{sysid}", sysid=sysid, utc_s=NOW_S)

    with ThreadPoolExecutor(2) as writers:
        for done in [writers.submit(generate, first) for first in (1, 101)]:
            done.result(30)
    assert sorted(entry.sysid for entry in store.entries()) == [*range(1, 11), *range(101, 111)]


def test_setup_signing_carries_key_and_time() -> None:
    key = bytes(range(32))
    message = setup_signing(key, sysid=7, ticks=37525577634331)
    (frame,) = Framer().feed(Encoder(sysid=255, compid=190).encode(message))
    heard = decode(frame)
    assert (heard.target_system, heard.target_component, heard.initial_timestamp) == (7, 1, 37525577634331)
    assert bytes(heard.secret_key) == key
    for bad in (bytes(32), b"short"):
        with pytest.raises(SigningInvalid):
            setup_signing(bad, sysid=7, ticks=1)
    with pytest.raises(FleetError, match="48-bit"):
        setup_signing(key, sysid=7, ticks=1 << 48)


def test_a_key_compares_as_a_value() -> None:
    entry = VehicleKey(registration="a", sysid=1, key=b"k" * 32, created_utc_s=NOW_S)
    assert entry == msgspec.structs.replace(entry)
    assert entry != msgspec.structs.replace(entry, key=b"l" * 32)
