"""`missioncontrol keys ...`: the identity that opens the key store, and who has a signing key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from missioncontrol.clocks import iso_utc
from missioncontrol.errors import InputInvalid
from missioncontrol.terminal import Json, answer, listing

keys_app = typer.Typer(help="Signing keys of the vehicles.", no_args_is_help=True)


@keys_app.command("identity")
def keys_identity(
    out: Annotated[Path, typer.Argument(help="File to make, for its owner alone.")], as_json: Json = False
) -> None:
    """Make the identity (age) that opens the key store; keep it apart from the store, and a copy in a safe.

    Example: missioncontrol keys identity /etc/missioncontrol/identity
    """
    from fleet.keys import make_identity

    make_identity(out)
    answer({"path": str(out)}, as_json, f"{out}: set it as fleet.key_identity, with fleet.key_store beside it")


@keys_app.command("list")
def keys_list(
    settings: Annotated[Path | None, typer.Option(help="Settings file (TOML).")] = None, as_json: Json = False
) -> None:
    """List the vehicles that have a signing key, with the key's fingerprint; keys themselves are never shown.

    Example: missioncontrol keys list --settings missioncontrol.toml
    """
    from fleet.keys import KeyStore, fingerprint
    from missioncontrol.settings_files import load

    fleet = load(settings).fleet
    if fleet.key_store is None or fleet.key_identity is None:
        raise InputInvalid("fleet.key_store, fleet.key_identity: the settings name no key store")
    found = [
        {
            "registration": entry.registration,
            "sysid": entry.sysid,
            "fingerprint": fingerprint(entry.key),
            "created_utc": iso_utc(entry.created_utc_s),
            "changing": entry.previous is not None,
        }
        for entry in KeyStore(fleet.key_store, identity=fleet.key_identity).entries()
    ]
    lines = [
        f"{key['registration']:16} sysid {key['sysid']:<3} {key['fingerprint']}  {key['created_utc']}" for key in found
    ]
    listing(found, as_json, lines, "no vehicle has a key")
