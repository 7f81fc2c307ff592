"""The command line: one function a command, JSON on stdout with --json, the rest on stderr.

Exit 0 done, 1 failed, 2 bad usage. `sim` and `demo` come from the entry-point
group `missioncontrol.commands`, as a stranger's commands could.
"""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.markup import escape

from aerial_models.errors import ModelError, ModelUnknown, SourceRefused
from fleet.errors import FleetError
from geo.errors import AreaInvalid, CameraUnknown, GeoError
from missioncontrol.change_commands import change
from missioncontrol.coverage_commands import coverage_app
from missioncontrol.errors import InputInvalid, MissionControlError, SettingsInvalid
from missioncontrol.flight_commands import convert, flights_app, plan_items
from missioncontrol.key_commands import keys_app
from missioncontrol.layer_commands import layers_app
from missioncontrol.locate_commands import locate
from missioncontrol.map_commands import map_flight, pack
from missioncontrol.model_commands import models_app
from missioncontrol.people_commands import people_app
from missioncontrol.plan_commands import plan_app
from missioncontrol.preview_commands import plan_diff, plan_preview
from missioncontrol.terminal import AheadOfUtc, Json, answer, bars, console, listing
from missioncontrol.video_commands import video_app
from missioncontrol.view_commands import views_app
from missioncontrol.zone_commands import zones_app

SERVICE, FLYING, SEEING = "The service", "Planning and flying", "Pictures, places and video"
OTHERS = "Simulators, and what other packages add"
"""What commands are listed under, in the help."""

app = typer.Typer(
    name="missioncontrol",
    help="Plans and flies drones over a city, finds incidents from the air, and hands them to the city's systems.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(plan_app, name="plan", rich_help_panel=FLYING)
app.add_typer(models_app, name="models", rich_help_panel=SEEING)
app.add_typer(flights_app, name="flights", rich_help_panel=FLYING)
app.add_typer(keys_app, name="keys", rich_help_panel=SERVICE)
app.add_typer(people_app, name="people", rich_help_panel=SERVICE)
app.add_typer(coverage_app, name="coverage", rich_help_panel=FLYING)
app.add_typer(zones_app, name="zones", rich_help_panel=FLYING)
app.add_typer(layers_app, name="layers", rich_help_panel=SEEING)
app.add_typer(views_app, name="views", rich_help_panel=SEEING)
app.add_typer(video_app, name="video", rich_help_panel=SEEING)
app.command("convert", rich_help_panel=FLYING)(convert)
app.command("change", rich_help_panel=SEEING)(change)
app.command("locate", rich_help_panel=SEEING)(locate)
app.command("map", rich_help_panel=SEEING)(map_flight)
app.command("cog", rich_help_panel=SEEING)(pack)
plan_app.command("preview")(plan_preview)
plan_app.command("diff")(plan_diff)

USAGE_ERRORS = (AreaInvalid, CameraUnknown, InputInvalid, SettingsInvalid, ModelUnknown, SourceRefused)


def main() -> None:
    """Run the command line; what our packages refuse becomes one line on stderr."""
    add_commands(sys.argv[1:])
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for answers
    try:
        app()
    except (GeoError, FleetError, ModelError, MissionControlError) as exc:
        console.print(f"[red]error:[/red] {escape(str(exc))}", highlight=False, soft_wrap=True)
        sys.exit(2 if isinstance(exc, USAGE_ERRORS) else 1)


def add_commands(arguments: list[str]) -> None:
    """Add the commands of other packages: the one that is called, or all where help is wanted.

    `serve` thus never loads a simulator.
    """
    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    for point in entry_points(group="missioncontrol.commands"):
        if called in (None, point.name):
            command = point.load()
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=point.name, rich_help_panel=OTHERS)
            else:
                app.command(point.name, rich_help_panel=OTHERS)(command)


def _tell_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"missioncontrol {version('missioncontrol')}\n")
        raise typer.Exit


@app.callback()
def _every(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Tell the version and end.")
    ] = False,
) -> None:
    """What stands before the command."""


@app.command(rich_help_panel=SERVICE)
def serve(
    settings: Annotated[Path | None, typer.Option(help="Settings file (TOML).")] = None,
) -> None:
    """Run mission control until SIGTERM or Ctrl-C.

    Example: missioncontrol serve --settings missioncontrol.toml
    """
    from missioncontrol.service import run
    from missioncontrol.settings_files import load

    asyncio.run(run(load(settings)))


@app.command(rich_help_panel=SERVICE)
def config(
    settings: Annotated[Path | None, typer.Option(help="Settings file (TOML).")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print every key instead: what it is, and its default.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the settings in force, secrets masked.

    Example: MC__HTTP__PORT=9000 missioncontrol config --settings missioncontrol.toml
    """
    from missioncontrol.settings_files import explained, load, masked, to_toml

    if explain:
        sys.stdout.write(explained())
        return
    tree = load(settings)
    if as_json:
        answer(masked(tree), True, "")
    else:
        sys.stdout.write(to_toml(tree))


@app.command(rich_help_panel=SERVICE)
def adapters(as_json: Json = False) -> None:
    """List the adapters that are installed, by port.

    Example: missioncontrol adapters --json
    """
    groups = {
        group: {point.name: point.value for point in entry_points(group=f"missioncontrol.{group}")}
        for group in ("sinks", "vehicles", "detectors", "sources", "commands")
    }
    lines = [f"{group}: {', '.join(found) or 'none'}" for group, found in groups.items()]
    listing(groups, as_json, lines, "no adapters")


@app.command(rich_help_panel=FLYING)
def fly(
    plan: Annotated[Path, typer.Argument(help="A plan: of `plan survey`, .plan, .waypoints or KML.")],
    link: Annotated[str, typer.Option(help="Where the vehicle is.")] = "udpin:127.0.0.1:14550",
    vehicle: Annotated[int, typer.Option(help="Which vehicle's part of the plan, counted from 1.")] = 1,
    sysid: Annotated[int | None, typer.Option(help="Which vehicle, where the link has several.")] = None,
    as_json: Json = False,
) -> None:
    """Fly a plan on one vehicle: upload, read back, compare, arm, fly, wait for the landing.

    Example: missioncontrol fly plan.json --link udpin:127.0.0.1:14550 --json
    """
    from fleet.flying import FlightProgress
    from fleet.flying import fly as fly_items

    items = plan_items(plan, vehicle=vehicle)
    with bars() as progress:
        task = progress.add_task("connecting", total=None)

        def show(now: FlightProgress) -> None:
            progress.update(task, description=f"{now.stage} {now.text}", completed=now.done, total=now.total or None)

        result = asyncio.run(fly_items(items, link, sysid=sysid, progress=show))
    answer(result, as_json, f"{result.autopilot}: {result.reached} of {result.items} items, landed: {result.landed}")


@app.command(rich_help_panel=SEEING)
def detect(
    source: Annotated[str, typer.Argument(help="A picture, a folder, a video file or an rtsp:// address.")],
    out: Annotated[Path, typer.Option(help="Where the detections are written (GeoJSON).")],
    model: Annotated[str, typer.Option(help="Name in the catalogue, see `models list`.")] = "city-nano",
    runtime: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or onnxruntime-gpu.")] = "auto",
    dem: Annotated[list[Path] | None, typer.Option(help="Terrain as GeoTIFF, m AMSL; may be repeated.")] = None,
    ground_amsl_m: Annotated[float | None, typer.Option(help="Height of flat ground instead, m AMSL.")] = None,
    camera: Annotated[
        str | None, typer.Option(help="What took the video, see `plan cameras`; else the video's own field of view.")
    ] = None,
    frames: Annotated[int | None, typer.Option(help="Stop after so many frames.")] = None,
    clock_ahead_h: AheadOfUtc = None,
    as_json: Json = False,
) -> None:
    """Detect incidents in pictures or video; located on the ground where the pose is known.

    Example: missioncontrol detect flight.ts --model city-nano --ground-amsl-m 812 --out detections.geojson --json
    """
    from missioncontrol.detecting import detect_to_file

    with bars() as progress:
        task = progress.add_task("frames", total=frames)
        summary = detect_to_file(
            source,
            out=out,
            model=model,
            runtime=runtime,
            dem=dem or [],
            ground_amsl_m=ground_amsl_m,
            camera=camera,
            frames=frames,
            clock_ahead_h=clock_ahead_h,
            on_frame=lambda: progress.advance(task),
        )
    answer(summary, as_json, f"{out}: {summary['detections']} detections in {summary['frames']} frames")
