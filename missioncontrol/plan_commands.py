"""`missioncontrol plan`: one command for each pattern, made of the fields of its request."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import shapely
import typer
from shapely.geometry import shape

from geo.areas import read_area, read_line, read_points
from missioncontrol import requests
from missioncontrol.docstrings import field_docs
from missioncontrol.errors import InputInvalid
from missioncontrol.terminal import Json, answer, listing

plan_app = typer.Typer(help="Make a plan without a running service.", no_args_is_help=True)

FILES = "GeoJSON, KML, KMZ, GeoPackage or Shapefile"
SHAPES: dict[str, tuple[type, str]] = {
    "area": (Path, f"A polygon: {FILES}."),
    "line": (Path, f"A line: {FILES}."),
    "places": (Path, f"Points: {FILES}."),
    "place": (str, "LON,LAT, deg."),
    "camera": (str, "Name of a camera, see `plan cameras`; or a JSON file with one of your own."),
}
"""How what is no number is given on the command line."""
NOT_HERE = frozenset(("vehicles", "lost_link", "record"))
"""Fields of a request that only the service has a use for."""
EXAMPLES = {
    "survey": "--area area.geojson --camera sony-rx1r2 --gsd-cm 3",
    "corridor": "--line canal.geojson --width-m 120 --camera sony-rx1r2 --gsd-cm 3",
    "waypoints": "--line way.geojson --camera sony-rx1r2 --height-m 60",
    "patrol": "--area site.geojson --camera sony-rx1r2 --height-m 50 --rounds 3",
    "orbit": "--place 76.945,43.205 --radius-m 60 --camera sony-rx1r2 --height-m 50",
    "facades": "--area outline.geojson --structure-height-m 40 --standoff-m 20 --start 76.94,43.2 --camera sim-wide "
    "--height-m 60",
    "visits": "--places sites.geojson --camera sony-rx1r2 --height-m 50",
    "search": "--place 76.945,43.205 --radius-m 400 --camera sony-rx1r2 --height-m 60",
    "look": "--place 76.945,43.205 --start 76.941,43.202 --camera sony-rx1r2 --height-m 60",
    "watch": "--place 76.945,43.205 --start 76.94,43.2 --duration-s 3600 --vehicles 3 --camera sim-wide --height-m 50",
}


def _site_options(
    out: Annotated[Path, typer.Option(help="Where the plan is written.")],
    vehicles: Annotated[int, typer.Option(min=1, help="How many vehicles share the work.")] = 1,
    start: Annotated[str | None, typer.Option(help="LON,LAT of the take-off; else where the pattern begins.")] = None,
    dem: Annotated[list[Path] | None, typer.Option(help="Terrain: GeoTIFF, .hgt or a folder; repeatable.")] = None,
    obstacles: Annotated[list[Path] | None, typer.Option(help=f"With their heights: {FILES}; repeatable.")] = None,
    zones: Annotated[list[Path] | None, typer.Option(help="Geozones: ED-318; repeatable.")] = None,
    wind: Annotated[str | None, typer.Option(help="M/S,FROM: speed at 10 m above ground, and from where, deg.")] = None,
    name: Annotated[str | None, typer.Option(help="Which shape of a file that has several.")] = None,
    crs: Annotated[str | None, typer.Option(help="Of a file that does not say it, as EPSG:32643.")] = None,
    qgc_plan: Annotated[Path | None, typer.Option(help="Also write a QGroundControl .plan file.")] = None,
    as_json: Json = False,
) -> None:
    """What every command has besides the fields of its request."""


@plan_app.command("cameras")
def plan_cameras(as_json: Json = False) -> None:
    """List the cameras that a plan can name.

    Example: missioncontrol plan cameras --json
    """
    from geo.camera_library import cameras

    found = list(cameras().values())
    listing(found, as_json, [f"{model.slug:32} {model.name}" for model in found], "no cameras")


def _command(kind: type[requests.Request]) -> Callable[..., None]:
    """The function of a pattern's command: an option for each field of its request, then those of the site."""
    tag = str(kind.__struct_config__.tag)
    hints = get_type_hints(kind, include_extras=True)
    parameters = []
    for field in msgspec.structs.fields(kind):
        if field.name in NOT_HERE:
            continue
        plain, said = SHAPES.get(field.name, (_plain(hints[field.name]), field_docs(kind)[field.name]))
        default = inspect.Parameter.empty if field.required else field.default
        parameters.append(_parameter(field.name, Annotated[plain, typer.Option(help=said)], default))
    for option in inspect.signature(_site_options, eval_str=True).parameters.values():
        parameters.append(_parameter(option.name, option.annotation, option.default))
    parameters.sort(key=lambda parameter: parameter.default is not inspect.Parameter.empty)

    def run(**options: Any) -> None:
        _plan(tag, options)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    said = inspect.cleandoc(kind.__doc__ or "")
    run.__doc__ = f"{said}\n\nExample: missioncontrol plan {tag} {EXAMPLES[tag]} --out plan.json --json"
    return run


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _plain(annotation: Any) -> Any:
    """What Typer knows of a field's type: its limits are the request's own to judge."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin in (Union, UnionType):
        kinds = [_plain(part) for part in get_args(annotation) if part is not type(None)]
        return kinds[0] | None
    return annotation


for _kind in get_args(requests.PlanRequest):
    plan_app.command(str(_kind.__struct_config__.tag))(_command(_kind))


def _plan(kind: str, options: dict[str, Any]) -> None:
    """Plan, write the files, and say what it comes to."""
    from fleet.air import CALM, Conditions, Wind
    from geo.airspace import Airspace
    from geo.ed318 import read_ed318
    from geo.obstacles import read_obstacles
    from geo.terrain import FlatTerrain
    from geo.zones import over_unknown_ground
    from missioncontrol.plan_files import summary_of, write_plan, write_qgc
    from missioncontrol.planning import plan
    from missioncontrol.sites import Site, terrain_of
    from missioncontrol.sorties import Start

    out, vehicles, qgc_plan, as_json = (options.pop(name) for name in ("out", "vehicles", "qgc_plan", "as_json"))
    dem, obstacles, zones = (options.pop(name) or [] for name in ("dem", "obstacles", "zones"))
    start, wind, name, crs = (options.pop(name) for name in ("start", "wind", "name", "crs"))
    fields = {field: _field(field, value, name=name, crs=crs) for field, value in options.items() if value is not None}
    geometry = next(fields[field] for field in SHAPES if field in fields)
    lon, lat = _two("--start", start) if start else shapely.get_coordinates(shape(geometry))[0].tolist()
    try:
        request: Any = msgspec.convert(
            {**fields, "kind": kind, "vehicles": list(range(1, vehicles + 1))}, requests.PlanRequest
        )
        request.check()
        begins_utc_s = request.begins_utc_s(time.time())
    except (msgspec.ValidationError, InputInvalid) as exc:
        raise InputInvalid(_in_options(str(exc), options)) from exc
    terrain = terrain_of(dem)
    found = [zone for path in zones for zone in read_ed318(path, near=(lon, lat)).zones]
    if terrain is None:
        found = [over_unknown_ground(zone) for zone in found]
    made = plan(
        request,
        Site(
            tuple(Start(sysid=number, lon=lon, lat=lat) for number in range(1, vehicles + 1)),
            terrain,
            conditions=Conditions(wind=Wind.blowing(*_two("--wind", wind))) if wind else CALM,
            airspace=Airspace(found, terrain or FlatTerrain(0.0)) if zones else None,
            obstacles=tuple(obstacle for path in obstacles for obstacle in read_obstacles(path)),
            begins_utc_s=begins_utc_s,
        ),
    )
    write_plan(made, out)
    if qgc_plan is not None:
        write_qgc(made, qgc_plan)
    warnings = "".join(f"\nwarning: {said}" for said in made.warnings)
    sorties = f"{made.sorties} sortie{'s' if made.sorties > 1 else ''}"
    answer(
        summary_of(made),
        as_json,
        f"{out}: {made.lines} legs, {made.path_m / 1000:.2f} km, {made.photos} photos, "
        f"{made.duration_s / 60:.0f} min, {sorties}{warnings}\nhash {made.hash}",
    )


def _in_options(said: str, options: Collection[str]) -> str:
    """An error of a request in the words of the command line, where `height_m` is --height-m."""
    said, _, place = said.partition(" - at `$.")
    named, colon, rest = f"{place.rstrip('`')}: {said}".removeprefix(": ").partition(": ")
    fields = named.split(", ")
    if not set(fields) <= set(options):
        return named + colon + rest
    return f"{', '.join('--' + field.replace('_', '-') for field in fields)}{colon}{rest}"


def _field(field: str, value: Any, *, name: str | None, crs: str | None) -> Any:
    """A request's field of what was given on the command line: files are read, places become points."""
    match field:
        case "place":
            return {"type": "Point", "coordinates": _two("--place", value)}
        case "area":
            return _geojson(read_area(value, name=name, crs=crs).polygon)
        case "line":
            return _geojson(read_line(value, name=name, crs=crs))
        case "places":
            return _geojson(shapely.MultiPoint([point.geometry for point in read_points(value, crs=crs)]))
        case "camera" if value.endswith(".json"):
            return _json(Path(value))
        case _:
            return value


def _geojson(geometry: shapely.Geometry) -> Any:
    return msgspec.json.decode(shapely.to_geojson(geometry))


def _json(path: Path) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as exc:
        raise InputInvalid(f"{path}: cannot be read: {exc.strerror}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InputInvalid(f"{path}: not JSON: {exc}") from exc


def _two(option: str, text: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        example = "6,270" if option == "--wind" else "76.945,43.205"
        raise InputInvalid(f"{option} {text!r}: give two numbers, as in {option} {example}") from None
    return first, second
