"""`missioncontrol plan`: one command for each pattern."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import shapely
import typer
from shapely.geometry import shape

from geo.areas import read_area, read_line, read_points
from missioncontrol.errors import InputInvalid
from missioncontrol.terminal import Json, answer

plan_app = typer.Typer(help="Make a plan without a running service.", no_args_is_help=True)

AreaFile = Annotated[Path, typer.Option(help="A polygon: GeoJSON, KML, KMZ, GeoPackage, Shapefile.")]
LineFile = Annotated[Path, typer.Option(help="A line: GeoJSON, KML, KMZ, GeoPackage, Shapefile.")]
PlacesFile = Annotated[Path, typer.Option(help="Points: GeoJSON, KML, KMZ, GeoPackage, Shapefile.")]
Place = Annotated[str, typer.Option(help="LON,LAT in degrees.")]
Camera = Annotated[str, typer.Option(help="Name of a camera, see `plan cameras`; or a JSON file with one of your own.")]
Out = Annotated[Path, typer.Option(help="Where the plan is written.")]
Gsd = Annotated[float | None, typer.Option(help="Ground sample distance wanted, cm per pixel.")]
Height = Annotated[float | None, typer.Option(help="Height above ground instead, m.")]
FrontOverlap = Annotated[float, typer.Option(help="Along the line, percent.")]
SideOverlap = Annotated[float, typer.Option(help="Between lines, percent.")]
Speed = Annotated[float, typer.Option(help="Ground speed on the lines, m/s.")]
Pitch = Annotated[float, typer.Option(help="Of the camera, degrees: -90 straight down.")]
Vehicles = Annotated[int, typer.Option(min=1, help="How many vehicles share the work.")]
From = Annotated[str | None, typer.Option("--start", help="LON,LAT of the take-off; else where the pattern begins.")]
Dem = Annotated[list[Path] | None, typer.Option(help="Terrain as GeoTIFF, m AMSL; may be repeated.")]
QgcPlan = Annotated[Path | None, typer.Option(help="Also write a QGroundControl .plan file.")]


@plan_app.command("cameras")
def plan_cameras(as_json: Json = False) -> None:
    """List the cameras that a plan can name.

    Example: missioncontrol plan cameras --json
    """
    from geo.camera_library import cameras

    found = list(cameras().values())
    answer(found, as_json, "\n".join(f"{model.slug:32} {model.name}" for model in found))


@plan_app.command("survey")
def plan_survey(
    area: AreaFile,
    camera: Camera,
    out: Out,
    swath_m: Annotated[float | None, typer.Option(help="Line spacing itself instead of a side overlap, m.")] = None,
    direction_deg: Annotated[float | None, typer.Option(help="Of the lines, from north; else the best.")] = None,
    crosshatch: Annotated[bool, typer.Option(help="A second time, across.")] = False,
    gsd_cm: Gsd = None,
    height_m: Height = None,
    front_overlap: FrontOverlap = 75,
    side_overlap: SideOverlap = 65,
    speed_m_s: Speed = 10,
    pitch_deg: Pitch = -90,
    vehicles: Vehicles = 1,
    start: From = None,
    dem: Dem = None,
    qgc_plan: QgcPlan = None,
    as_json: Json = False,
) -> None:
    """Plan a survey that covers an area.

    Example: missioncontrol plan survey --area area.geojson --camera sony-rx1r2 --gsd-cm 3 --out plan.json --json
    """
    _plan(locals(), "survey")


@plan_app.command("corridor")
def plan_corridor(
    line: LineFile,
    width_m: Annotated[float, typer.Option(help="Of the strip, m.")],
    camera: Camera,
    out: Out,
    side: Annotated[str, typer.Option(help="Of the line: both, left or right.")] = "both",
    gsd_cm: Gsd = None,
    height_m: Height = None,
    front_overlap: FrontOverlap = 75,
    side_overlap: SideOverlap = 65,
    speed_m_s: Speed = 10,
    pitch_deg: Pitch = -90,
    vehicles: Vehicles = 1,
    start: From = None,
    dem: Dem = None,
    qgc_plan: QgcPlan = None,
    as_json: Json = False,
) -> None:
    """Plan lines along a road, a canal or a water-protection strip.

    Example: missioncontrol plan corridor --line canal.geojson --width-m 120 --camera sony-rx1r2 --gsd-cm 3 --out p.json
    """
    _plan(locals(), "corridor")


@plan_app.command("waypoints")
def plan_waypoints(
    line: LineFile,
    camera: Camera,
    out: Out,
    gsd_cm: Gsd = None,
    height_m: Height = None,
    front_overlap: FrontOverlap = 75,
    side_overlap: SideOverlap = 65,
    speed_m_s: Speed = 10,
    pitch_deg: Pitch = -90,
    vehicles: Vehicles = 1,
    start: From = None,
    dem: Dem = None,
    qgc_plan: QgcPlan = None,
    as_json: Json = False,
) -> None:
    """Plan a flight by places in the order given.

    Example: missioncontrol plan waypoints --line way.geojson --camera sony-rx1r2 --height-m 60 --out plan.json --json
    """
    _plan(locals(), "waypoints")


@plan_app.command("patrol")
def plan_patrol(
    area: AreaFile,
    camera: Camera,
    out: Out,
    rounds: Annotated[int, typer.Option(help="How often round.")] = 1,
    inset_m: Annotated[float, typer.Option(help="How far inside the boundary, m; outside below 0.")] = 0.0,
    gsd_cm: Gsd = None,
    height_m: Height = None,
    front_overlap: FrontOverlap = 75,
    side_overlap: SideOverlap = 65,
    speed_m_s: Speed = 10,
    pitch_deg: Pitch = -45,
    vehicles: Vehicles = 1,
    start: From = None,
    dem: Dem = None,
    qgc_plan: QgcPlan = None,
    as_json: Json = False,
) -> None:
    """Plan a round along the boundary of an area.

    Example: missioncontrol plan patrol --area site.geojson --camera sony-rx1r2 --height-m 50 --rounds 3 --out plan.json
    """
    _plan(locals(), "patrol")


@plan_app.command("orbit")
def plan_orbit(
    place: Place,
    radius_m: Annotated[float, typer.Option(help="Of the circle, m.")],
    camera: Camera,
    out: Out,
    turns: Annotated[float, typer.Option(help="How often round.")] = 1.0,
    clockwise: Annotated[bool, typer.Option(help="Seen from above.")] = True,
    end_radius_m: Annotated[float | None, typer.Option(help="Of a spiral, m.")] = None,
    end_height_m: Annotated[float | None, typer.Option(help="Of a spiral, above the ground at the place, m.")] = None,
    gsd_cm: Gsd = None,
    height_m: Height = None,
    front_overlap: FrontOverlap = 75,
    side_overlap: SideOverlap = 65,
    speed_m_s: Speed = 10,
    pitch_deg: Pitch = -45,
    vehicles: Vehicles = 1,
    start: From = None,
    dem: Dem = None,
    qgc_plan: QgcPlan = None,
    as_json: Json = False,
) -> None:
    """Plan circles round a place, or a spiral, with the camera on it.

    Example: missioncontrol plan orbit --place 76.9,43.2 --radius-m 60 --camera sony-rx1r2 --height-m 50 --out p.json
    """
    _plan(locals(), "orbit")


@plan_app.command("facades")
def plan_facades(
    area: AreaFile,
    structure_height_m: Annotated[float, typer.Option(help="Of the top above the ground, m.")],
    standoff_m: Annotated[float, typer.Option(help="Between walls and vehicle, m.")],
    camera: Camera,
    out: Out,
    gsd_cm: Gsd = None,
    height_m: Height = None,
    front_overlap: FrontOverlap = 75,
    side_overlap: SideOverlap = 65,
    speed_m_s: Speed = 10,
    pitch_deg: Pitch = 0,
    vehicles: Vehicles = 1,
    start: From = None,
    dem: Dem = None,
    qgc_plan: QgcPlan = None,
    as_json: Json = False,
) -> None:
    """Plan bands round a building with the camera on its walls.

    Example: missioncontrol plan facades --area outline.geojson --structure-height-m 40 --standoff-m 20
    --camera sony-rx1r2 --height-m 60 --out plan.json
    """
    _plan(locals(), "facades")


@plan_app.command("visits")
def plan_visits(
    places: PlacesFile,
    camera: Camera,
    out: Out,
    hold_s: Annotated[float, typer.Option(help="At each place, s.")] = 10.0,
    gsd_cm: Gsd = None,
    height_m: Height = None,
    front_overlap: FrontOverlap = 75,
    side_overlap: SideOverlap = 65,
    speed_m_s: Speed = 10,
    pitch_deg: Pitch = -90,
    vehicles: Vehicles = 1,
    start: From = None,
    dem: Dem = None,
    qgc_plan: QgcPlan = None,
    as_json: Json = False,
) -> None:
    """Plan the shortest round by places, with a stop at each.

    Example: missioncontrol plan visits --places sites.geojson --camera sony-rx1r2 --height-m 50 --out plan.json --json
    """
    _plan(locals(), "visits")


@plan_app.command("search")
def plan_search(
    place: Place,
    radius_m: Annotated[float, typer.Option(help="How far from the last known place, m.")],
    camera: Camera,
    out: Out,
    shape: Annotated[str, typer.Option(help="square (expanding) or sectors.")] = "square",
    gsd_cm: Gsd = None,
    height_m: Height = None,
    front_overlap: FrontOverlap = 75,
    side_overlap: SideOverlap = 20,
    speed_m_s: Speed = 10,
    pitch_deg: Pitch = -90,
    vehicles: Vehicles = 1,
    start: From = None,
    dem: Dem = None,
    qgc_plan: QgcPlan = None,
    as_json: Json = False,
) -> None:
    """Plan a search round a last known place.

    Example: missioncontrol plan search --place 76.9,43.2 --radius-m 400 --camera sim-wide --height-m 60 --out p.json
    """
    _plan(locals(), "search")


@plan_app.command("look")
def plan_look(
    place: Place,
    camera: Camera,
    out: Out,
    hold_s: Annotated[float, typer.Option(help="How long to look, s.")] = 120.0,
    gsd_cm: Gsd = None,
    height_m: Height = None,
    front_overlap: FrontOverlap = 75,
    side_overlap: SideOverlap = 65,
    speed_m_s: Speed = 10,
    pitch_deg: Pitch = -45,
    vehicles: Vehicles = 1,
    start: From = None,
    dem: Dem = None,
    qgc_plan: QgcPlan = None,
    as_json: Json = False,
) -> None:
    """Plan to go and look at a place from where it is in view.

    Example: missioncontrol plan look --place 76.9,43.2 --start 76.9,43.1 --camera sim-wide --height-m 60 --out p.json
    """
    _plan(locals(), "look")


@plan_app.command("watch")
def plan_watch(
    place: Place,
    duration_s: Annotated[float, typer.Option(help="How long, s.")],
    camera: Camera,
    out: Out,
    overlap_s: Annotated[float, typer.Option(help="The next one is there so long before, s.")] = 30.0,
    gsd_cm: Gsd = None,
    height_m: Height = None,
    front_overlap: FrontOverlap = 75,
    side_overlap: SideOverlap = 65,
    speed_m_s: Speed = 10,
    pitch_deg: Pitch = -45,
    vehicles: Vehicles = 1,
    start: From = None,
    dem: Dem = None,
    qgc_plan: QgcPlan = None,
    as_json: Json = False,
) -> None:
    """Plan to watch a place without a gap, by vehicles that relieve each other.

    Example: missioncontrol plan watch --place 76.9,43.2 --start 76.9,43.1 --duration-s 3600 --vehicles 3
    --camera sim-wide --height-m 60 --out plan.json
    """
    _plan(locals(), "watch")


def _plan(options: dict[str, Any], kind: str) -> None:
    """Plan, write the files, and say what it comes to."""
    from missioncontrol.plan_files import summary_of, write_plan, write_qgc
    from missioncontrol.planning import plan
    from missioncontrol.requests import PlanRequest
    from missioncontrol.sites import Site, terrain_of
    from missioncontrol.sorties import Start

    out, qgc_plan, dem = options.pop("out"), options.pop("qgc_plan"), options.pop("dem")
    start, vehicles, as_json = options.pop("start"), options.pop("vehicles"), options.pop("as_json")
    fields = {name: _field(name, value) for name, value in options.items() if value is not None}
    geometry = next(value for value in fields.values() if isinstance(value, dict) and "type" in value)
    lon, lat = _place("--start", start) if start else shapely.get_coordinates(shape(geometry))[0].tolist()
    try:
        request: Any = msgspec.convert({**fields, "kind": kind, "vehicles": list(range(1, vehicles + 1))}, PlanRequest)
    except msgspec.ValidationError as exc:
        raise InputInvalid(f"plan {kind}: {exc}") from exc
    starts = tuple(Start(sysid=number, lon=lon, lat=lat) for number in range(1, vehicles + 1))
    made = plan(request, Site(starts, terrain_of(dem or [])))
    write_plan(made, out)
    if qgc_plan is not None:
        write_qgc(made, qgc_plan)
    answer(
        summary_of(made),
        as_json,
        f"{out}: {made.lines} lines, {made.path_m / 1000:.2f} km, {made.photos} photos, "
        f"{made.duration_s / 60:.0f} min, {made.sorties} sorties\nhash {made.hash}",
    )


def _field(name: str, value: Any) -> Any:
    """A request's field of what was given on the command line: files are read, places become points."""
    if name == "place":
        return {"type": "Point", "coordinates": _place("--place", value)}
    if name == "area":
        return _geojson(read_area(value).polygon)
    if name == "line":
        return _geojson(read_line(value))
    if name == "places":
        return _geojson(shapely.MultiPoint([shape.geometry for shape in read_points(value)]))
    if name == "camera" and value.endswith(".json"):
        return _json(Path(value))
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


def _place(option: str, text: str) -> tuple[float, float]:
    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError:
        raise InputInvalid(f"{option} {text!r}: give longitude and latitude, as in {option} 76.945,43.205") from None
    return lon, lat
