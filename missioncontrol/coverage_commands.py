"""`missioncontrol coverage ...`: statements of what was not found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from missioncontrol.errors import InputInvalid
from missioncontrol.terminal import Json, answer

coverage_app = typer.Typer(help="Statements of what was not found.", no_args_is_help=True)


@coverage_app.command("verify")
def coverage_verify(
    file: Annotated[Path, typer.Argument(help="A signed statement (JSON).")],
    key: Annotated[str | None, typer.Option(help="Public key that must have signed it, hexadecimal.")] = None,
    as_json: Json = False,
) -> None:
    """Check the signature of a statement, and say what it states.

    Example: missioncontrol coverage verify statement.json --key 3b6a...
    """
    from missioncontrol.statements import verify

    try:
        content = file.read_bytes()
    except OSError as exc:
        raise InputInvalid(f"{file}: cannot be read: {exc.strerror}") from exc
    signed = verify(content, public_key=key)
    by = signed.signature.public_key
    said = "\n".join(f"{language}: {text}" for language, text in signed.statement.get("words", {}).items())
    whose = "by the key given" if key else "by this key; check that it is the one you trust"
    answer({"valid": True, "public_key": by, "statement": signed.statement}, as_json, f"{said}\nsigned {whose}: {by}")
