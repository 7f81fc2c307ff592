"""Statements are signed so that anybody can check them, and nobody can change them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from missioncontrol.cli import app
from missioncontrol.errors import InputInvalid, SettingsInvalid
from missioncontrol.statements import Signer, verify, words

STATEMENT = {"share": 0.971, "words": {"kk": "қоқыс", "ru": "свалка", "en": "dump"}, "area": [76.9450001, 43.2]}


def test_a_statement_holds_as_it_was_signed_and_in_no_other_form(tmp_path: Path) -> None:
    """Written with other spacing and order it is the same; with one digit or letter changed it is refused."""
    signed = Signer(tmp_path / "key.pem").sign(STATEMENT)
    content = msgspec.json.encode(signed)
    assert verify(content).statement == STATEMENT
    tree = json.loads(content)
    spaced = json.dumps(dict(reversed(tree.items())), indent=2, ensure_ascii=False)
    assert verify(spaced.encode()).statement == STATEMENT
    for before, after in (("0.971", "0.981"), ("dump", "dumb"), ("76.9450001", "76.9450002")):
        assert before in content.decode()
        with pytest.raises(InputInvalid, match="does not hold"):
            verify(content.replace(before.encode(), after.encode()))


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """Two signers of one installation are one; another installation's key is told apart."""
    path = tmp_path / "statements" / "key.pem"
    first, second = Signer(path).sign(STATEMENT), Signer(path).sign(STATEMENT)
    assert first == second
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert verify(msgspec.json.encode(first), public_key=second.signature.public_key.upper())
    other = Signer(tmp_path / "other.pem").sign(STATEMENT)
    with pytest.raises(InputInvalid, match="not by"):
        verify(msgspec.json.encode(other), public_key=first.signature.public_key)
    mixed = {"statement": STATEMENT, "signature": {**msgspec.to_builtins(first.signature), "public_key": "00" * 32}}
    with pytest.raises(InputInvalid):
        verify(msgspec.json.encode(mixed))


def test_the_command_says_what_is_stated_and_refuses_what_is_not(tmp_path: Path) -> None:
    """Exit code 0 with the words; an error for a changed file, another key, or no file."""
    signed, file = Signer(tmp_path / "key.pem").sign(STATEMENT), tmp_path / "statement.json"
    file.write_bytes(msgspec.json.encode(signed))
    run = CliRunner()
    done = run.invoke(app, ["coverage", "verify", str(file), "--key", signed.signature.public_key, "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["statement"]["share"] == 0.971
    assert isinstance(run.invoke(app, ["coverage", "verify", str(file), "--key", "00" * 32]).exception, InputInvalid)
    file.write_bytes(file.read_bytes().replace(b"0.971", b"0.999"))
    assert isinstance(run.invoke(app, ["coverage", "verify", str(file)]).exception, InputInvalid)
    assert isinstance(run.invoke(app, ["coverage", "verify", str(tmp_path / "none")]).exception, InputInvalid)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"statement":{},"signature":{}}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_statement_is_refused(content: bytes) -> None:
    """Whatever the file holds."""
    with pytest.raises(InputInvalid):
        verify(content)


def test_a_broken_key_is_named(tmp_path: Path) -> None:
    """Instead of being replaced."""
    (tmp_path / "key.pem").write_text("not a key")
    with pytest.raises(SettingsInvalid, match="not a private key"):
        Signer(tmp_path / "key.pem").sign(STATEMENT)


def test_words_in_three_languages_never_round_up() -> None:
    """97.19 % is 97.1 %."""
    said = words(
        kind="dump", area_m2=(2.0, 40.0), probability=0.95, found=3, seen_m2=97_190, ground_m2=100_000, built_m2=2500
    )
    assert said["en"] == (
        "Seen well enough: 97.1 % of the area (97 190 of 100 000 m²). Had there been a dump of 2 m² or larger (up to"
        " 40 m²) there, it would have been found with a probability of at least 95 %; reported: 3. Not seen well"
        " enough: 2 810 m², in the places listed. Under buildings and not judged: 2 500 m²."
    )
    assert "97,1 %" in said["ru"]
    assert "свалка" in said["ru"]
    assert "97,1 %" in said["kk"]
    assert "қоқыс үйіндісі" in said["kk"]
