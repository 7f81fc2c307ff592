"""Statements of what was not found, in words and signed.

A statement is canonical JSON: keys sorted, no white space, UTF-8. The Ed25519 signature (RFC 8032) is over these bytes,
so that whoever holds the file and our public key can check it without us.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from missioncontrol.errors import InputInvalid, SettingsInvalid

ALGORITHM = "Ed25519"
_THINGS = {
    "dump": {"kk": "қоқыс үйіндісі", "ru": "свалка", "en": "dump"},
    "unauthorized_construction": {
        "kk": "рұқсатсыз құрылыс",
        "ru": "самовольная стройка",
        "en": "unauthorized building site",
    },
    "fire": {"kk": "өрт ошағы", "ru": "очаг огня", "en": "fire"},
}
_WORDS = {
    "en": (
        "Seen well enough: {share} % of the area ({seen} of {ground} m²). Had there been a {thing} of {least} m² or"
        " larger (up to {most} m²) there, it would have been found with a probability of at least {probability} %;"
        " reported: {found}. Not seen well enough: {unseen} m², in the places listed. Under buildings and not judged:"
        " {built} m²."
    ),
    "ru": (
        "Осмотрено достаточно хорошо: {share} % территории ({seen} из {ground} м²). Если бы там находился объект"
        " «{thing}» площадью от {least} м² (до {most} м²), он был бы обнаружен с вероятностью не менее {probability} %;"
        " сообщено: {found}. Осмотрено недостаточно: {unseen} м², в перечисленных местах. Под зданиями, не оценивалось:"
        " {built} м²."
    ),
    "kk": (
        "Жеткілікті жақсы қаралды: аумақтың {share} %-ы ({ground} м²-ден {seen} м²). Егер онда ауданы {least} м²-ден"
        " басталатын ({most} м²-ге дейін) «{thing}» болса, ол кемінде {probability} % ықтималдықпен табылар еді;"
        " хабарланғаны: {found}. Жеткілікті қаралмағаны: {unseen} м², тізімдегі жерлерде. Ғимараттардың астында,"
        " бағаланбағаны: {built} м²."
    ),
}


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who vouches."""

    algorithm: str
    """Always Ed25519."""
    public_key: str
    """32 bytes, hexadecimal."""
    value: str
    """64 bytes, hexadecimal."""


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement and its signature."""

    statement: dict[str, Any]
    """What is said."""
    signature: Signature
    """By whom."""


def words(
    *,
    kind: str,
    area_m2: tuple[float, float],
    probability: float,
    found: int,
    seen_m2: float,
    ground_m2: float,
    built_m2: float,
) -> dict[str, str]:
    """What a statement says, for people, by language: kk, ru, en. Shares are rounded down."""
    share = seen_m2 / ground_m2 if ground_m2 else 0.0
    things = _THINGS.get(kind, dict.fromkeys(_WORDS, kind))
    return {
        language: text.format(
            thing=things[language],
            share=_decimal(int(share * 1000) / 10, language),
            seen=_whole(seen_m2),
            ground=_whole(ground_m2),
            unseen=_whole(ground_m2 - seen_m2),
            built=_whole(built_m2),
            least=_decimal(area_m2[0], language),
            most=_decimal(area_m2[1], language),
            probability=_decimal(100 * probability, language),
            found=found,
        )
        for language, text in _WORDS.items()
    }


def _decimal(value: float, language: str) -> str:
    text = f"{value:.1f}".removesuffix(".0")
    return text if language == "en" else text.replace(".", ",")


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def canonical(statement: dict[str, Any]) -> bytes:
    """The bytes that are signed."""
    return msgspec.json.encode(statement, order="sorted")


class Signer:
    """The installation's own key."""

    def __init__(self, path: Path) -> None:
        """Kept at `path` (PKCS 8, for its owner alone), and made there when it is first needed."""
        self._path = path
        self._key: Ed25519PrivateKey | None = None

    def sign(self, statement: dict[str, Any]) -> Signed:
        """Vouch for a statement. Raises SettingsInvalid where the key cannot be read."""
        key = self._key = self._key or self._read_or_make()
        return Signed(
            statement=statement,
            signature=Signature(
                algorithm=ALGORITHM,
                public_key=key.public_key().public_bytes_raw().hex(),
                value=key.sign(canonical(statement)).hex(),
            ),
        )

    def _read_or_make(self) -> Ed25519PrivateKey:
        try:
            return self._read()
        except FileNotFoundError:
            self._make()
            return self._read()

    def _read(self) -> Ed25519PrivateKey:
        try:
            key = serialization.load_pem_private_key(self._path.read_bytes(), password=None)
        except (ValueError, TypeError) as exc:
            raise SettingsInvalid(f"{self._path}: not a private key: {exc}") from exc
        if not isinstance(key, Ed25519PrivateKey):
            raise SettingsInvalid(f"{self._path}: a key of another kind than {ALGORITHM}")
        return key

    def _make(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another worker was first; its key is the one
            return
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def verify(content: bytes, *, public_key: str | None = None) -> Signed:
    """The statement in a file, once its signature holds, and is by `public_key` (hexadecimal) if that is given.

    Raises InputInvalid that says what is wrong.
    """
    try:
        signed = msgspec.json.decode(content, type=Signed)
        key = bytes.fromhex(signed.signature.public_key)
        value = bytes.fromhex(signed.signature.value)
        if signed.signature.algorithm != ALGORITHM:
            raise InputInvalid(f"signed by {signed.signature.algorithm!r}, not {ALGORITHM}")
        Ed25519PublicKey.from_public_bytes(key).verify(value, canonical(signed.statement))
    except InvalidSignature as exc:
        raise InputInvalid(
            "the signature does not hold: the statement was changed, or signed by somebody else"
        ) from exc
    except (msgspec.MsgspecError, ValueError) as exc:
        raise InputInvalid(f"not a signed statement: {exc}") from exc
    if public_key is not None and public_key.strip().lower() != key.hex():
        raise InputInvalid(f"signed by {key.hex()}, not by {public_key.strip().lower()}")
    return signed
