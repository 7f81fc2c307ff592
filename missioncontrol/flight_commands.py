"""`missioncontrol flights ...`, and `convert`: flights as files without a running service, plan files as others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from missioncontrol.errors import InputInvalid
from missioncontrol.terminal import Json, answer, listing

flights_app = typer.Typer(help="What was flown, from the store and the recordings.", no_args_is_help=True)

T = TypeVar("T")
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="Settings file (TOML).")]


@flights_app.command("list")
def flights_list(
    settings: SettingsFile = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List flights with their figures, newest first.

    Example: missioncontrol flights list --settings missioncontrol.toml
    """

    async def listed(logbook: Any, _: Any) -> list[dict[str, Any]]:
        from missioncontrol.logbook import public

        return [public(row, whole=False) for row in await logbook.rows(limit=limit)]

    found = _in_store(settings, listed)
    listing(found, as_json, [_line(flight) for flight in found], "no flights")


def _line(flight: dict[str, Any]) -> str:
    summary = flight["summary"] or {}
    flown = f"{summary.get('duration_s', 0.0) / 60:5.1f} min {flight['path_m'] / 1000:6.2f} km"
    name = flight["registration"] or f"sysid {flight['sysid']}"
    return f"{flight['id']}  {flight['started_utc'][:19]}  {name:12} {flown}  {flight['stage']}"


@flights_app.command("export")
def flights_export(
    flight: Annotated[str, typer.Argument(help="Id of the flight, see `flights list`.")],
    kind: Annotated[str, typer.Option("--format", help="tlog, geojson, kml or csv.")] = "tlog",
    out: Annotated[Path | None, typer.Option(help="File to write; flight-ID.FORMAT in this folder if absent.")] = None,
    settings: SettingsFile = None,
    as_json: Json = False,
) -> None:
    """Write a flight as a file: its recording (.tlog), or its way as GeoJSON, KML or CSV.

    Example: missioncontrol flights export 0198c5f2-... --format kml --out flight.kml
    """
    from missioncontrol.flightlog import MEDIA_TYPES, Export

    if kind not in MEDIA_TYPES:
        raise InputInvalid(f"--format {kind}: is none of {', '.join(MEDIA_TYPES)}")

    async def exported(_: Any, logs: Any) -> Export:
        found: Export = await logs.export(flight, kind)
        return found

    found = _in_store(settings, exported)
    path = out or Path(found.name)
    try:
        path.write_bytes(found.content)
    except OSError as exc:
        raise InputInvalid(f"{path}: cannot be written: {exc.strerror}") from exc
    size = {"path": str(path), "bytes": len(found.content), "media_type": found.media_type}
    answer(size, as_json, f"{path}: {len(found.content)} bytes")


def _in_store(settings_file: Path | None, work: Callable[[Any, Any], Awaitable[T]]) -> T:
    """Do work with the logbook and the flight logs of an installation."""
    from missioncontrol.flightlog import FlightLogs
    from missioncontrol.logbook import Logbook
    from missioncontrol.settings_files import load
    from missioncontrol.store import Store

    async def run() -> T:
        settings = load(settings_file)
        async with Store(settings.store_url()) as store:
            return await work(Logbook(store), FlightLogs(store, settings))

    return asyncio.run(run())


def plan_items(path: Path, *, vehicle: int = 1) -> list[Any]:
    """The mission items of a file that `plan survey` wrote (one flight of it, counted from 1), or of any plan file.

    Raises InputInvalid, PlanFileInvalid.
    """
    from fleet.conversion import read_plan
    from missioncontrol.plan_files import read_plan_items

    if _is_own(path):
        return read_plan_items(path, vehicle=vehicle)
    return read_plan(path).items


def _is_own(path: Path) -> bool:
    """Whether a file is a plan.json; what is wrong with one that cannot be read, its reader says."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        tree = msgspec.json.decode(path.read_bytes())
        return isinstance(tree, dict) and "vehicles" in tree
    return False


def convert(
    source: Annotated[Path, typer.Argument(help="A plan, or a file of areas, lines and points.")],
    target: Annotated[
        Path,
        typer.Argument(
            help="What to write: .plan, .waypoints, .csv (Litchi), .kml, .kmz, .geojson, .shp, .zip, .gpkg."
        ),
    ],
    home: Annotated[
        str | None, typer.Option(help="LON,LAT,AMSL of the start, where the source does not say it; deg and m.")
    ] = None,
    height_m: Annotated[float | None, typer.Option(help="Height above home for places without heights, m.")] = None,
    autopilot: Annotated[str, typer.Option(help="Whom a .plan is for: ardupilot or px4.")] = "ardupilot",
    crs: Annotated[str | None, typer.Option(help="CRS of a source that does not say it, as EPSG:32643.")] = None,
    vehicle: Annotated[int, typer.Option(help="Which flight of a plan.json, counted from 1.")] = 1,
    as_json: Json = False,
) -> None:
    """Write a plan, or areas, lines and points, for another program; what gets lost on the way is said.

    Example: missioncontrol convert route.kml route.plan --home 76.945,43.238,800 --height-m 60
    """
    from fleet.conversion import convert_file
    from missioncontrol.plan_files import convert_flight

    if _is_own(source):
        summary = convert_flight(source, target, vehicle=vehicle, autopilot=autopilot)
    else:
        summary = convert_file(source, target, home=_home(home), height_m=height_m, autopilot=autopilot, crs=crs)
    what = f"{summary['items']} items, hash {summary['hash']}" if "items" in summary else f"{summary['shapes']} shapes"
    answer(summary, as_json, "\n".join([f"{target}: {what}", *(f"note: {note}" for note in summary["notes"])]))


def _home(text: str | None) -> Any:
    from geo.positions import Altitude, Datum, Position

    if text is None:
        return None
    try:
        lon, lat, amsl_m = (float(part) for part in text.split(","))
    except ValueError:
        raise InputInvalid(f"--home {text!r}: give three numbers, as in --home 76.945,43.238,800") from None
    if not (abs(lon) <= 180 and abs(lat) <= 90):
        raise InputInvalid(f"--home {text!r}: is no longitude and latitude in degrees")
    return Position(lon=lon, lat=lat, altitude=Altitude(amsl_m, Datum.AMSL))
