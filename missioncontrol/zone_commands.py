"""`missioncontrol zones ...`: files of zones into the store and out of it, and what is odd about one."""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from missioncontrol.errors import InputInvalid
from missioncontrol.terminal import Json, answer, listing
from missioncontrol.zone_formats import ZoneFormat

if TYPE_CHECKING:
    from missioncontrol.zones import Zones

zones_app = typer.Typer(help="Zones where flying is forbidden or tied to something.", no_args_is_help=True)

Configured = Annotated[Path | None, typer.Option(help="Settings file (TOML).")]
Format = Annotated[ZoneFormat, typer.Option("--format", help="ed318 or ed269.")]
Found = TypeVar("Found")


@zones_app.command("import")
def zones_import(
    file: Annotated[Path, typer.Argument(help="A file of zones, as an authority publishes it.")],
    source: Annotated[str, typer.Option(help="Name of the source; its zones so far are replaced as a whole.")],
    settings: Configured = None,
    file_format: Format = ZoneFormat.ED318,
    partly: Annotated[bool, typer.Option(help="Leave out what cannot be understood.")] = False,
    as_json: Json = False,
) -> None:
    """Put the zones of a file in the place of all zones of a source; a service that runs notices within seconds.

    Example: missioncontrol zones import kz.geojson --source authority --settings missioncontrol.toml
    """
    content, person = _content(file), f"{getpass.getuser()} (command line)"

    def work(zones: Zones) -> Awaitable[Any]:
        return zones.import_file(content, file_format=file_format, source=source, partly=partly, person=person)

    found = _with_zones(settings, work)
    said = [f"{source}: {found.zones} zones in the place of {found.replaced}; {found.noted} things were odd"]
    said += [*found.notes, *(f"left out: {refused}" for refused in found.refused)]
    answer(msgspec.to_builtins(found), as_json, "\n".join(said))


@zones_app.command("list")
def zones_list(
    settings: Configured = None,
    source: Annotated[str | None, typer.Option(help="Of this source only.")] = None,
    active: Annotated[bool | None, typer.Option(help="Active now, or not.")] = None,
    as_json: Json = False,
) -> None:
    """List the zones, with their limits and times.

    Example: missioncontrol zones list --active --settings missioncontrol.toml
    """
    found = _with_zones(settings, lambda zones: zones.features(source=source, active=active))
    rows = [each["properties"] for each in found["features"]]
    lines = [
        f"{row['source']}: {row['title']}, {row['limits']}, {row['times']}{', active' if row['active'] else ''}"
        for row in rows
    ]
    listing(found, as_json, lines, "no zones")


@zones_app.command("export")
def zones_export(
    out: Annotated[Path, typer.Argument(help="File to write.")],
    settings: Configured = None,
    file_format: Format = ZoneFormat.ED318,
    source: Annotated[str | None, typer.Option(help="Of this source only.")] = None,
    as_json: Json = False,
) -> None:
    """Write the zones as ED-318 or ED-269.

    Example: missioncontrol zones export zones.geojson --source authority
    """
    found = _with_zones(settings, lambda zones: zones.export(file_format, source=source))
    try:
        out.write_bytes(msgspec.json.encode(found))
    except OSError as exc:
        raise InputInvalid(f"{out}: cannot be written: {exc.strerror}") from exc
    count = len(found["features"])
    answer({"path": str(out), "zones": count}, as_json, f"{out}: {count} zones")


@zones_app.command("check")
def zones_check(
    file: Annotated[Path, typer.Argument(help="A file of zones.")],
    file_format: Format = ZoneFormat.ED318,
    as_json: Json = False,
) -> None:
    """Say what is odd about a file of zones and how it would be read; exit 1 where some cannot be understood.

    Example: missioncontrol zones check kz.json --format ed269
    """
    found = file_format.read(_content(file), partly=True)
    notes, refused = [str(note) for note in found.notes], [str(note) for note in found.refused]
    lines = [f"{file}: {len(found.zones)} zones", *notes, *(f"cannot be understood: {each}" for each in refused)]
    answer({"zones": len(found.zones), "notes": notes, "refused": refused}, as_json, "\n".join(lines))
    if refused:
        raise typer.Exit(1)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise InputInvalid(f"{file}: cannot be read: {exc.strerror}") from exc


def _with_zones(settings: Path | None, work: Callable[[Zones], Awaitable[Found]]) -> Found:
    from missioncontrol.settings_files import load
    from missioncontrol.store import Store
    from missioncontrol.zones import Zones

    tree = load(settings)

    async def run() -> Found:
        async with Store(tree.store_url()) as store:
            return await work(Zones(store, time.time, near=tree.somewhere()))

    return asyncio.run(run())
