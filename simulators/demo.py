"""The demo: a simulated city, its vehicles, its receivers, and mission control, played through one whole round.

Four processes: the world (vehicles and cameras), the city's receivers, mission control, and this one, which
speaks to mission control by HTTP alone. Mission control is given the city's public files and never the truth;
this process compares with the truth when the round is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import numpy as np
import shapely
import tomli_w
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from simulators.deployment import RECEIVERS, Ports, Secrets, settings_of
from simulators.processes import Children, free_port
from simulators.round import (
    Person,
    RoundFailed,
    answer_call,
    fly_mission,
    prepare_mission,
    ready_vehicles,
    review,
    settle,
    within,
)
from simulators.scoring import POINT_KINDS, Truth, in_words, score_incidents, score_positions
from simulators.world import World
from simulators.world.registers import write_public_files

console = Console(stderr=True)
SURVEY_M = (700.0, 520.0)
"""Width and depth of the surveyed area about the middle of the city, m."""
START_S = 300.0
"""So long each step of the start may take, s of the wall."""


def survey_area(world: World) -> dict[str, Any]:
    """The rectangle in the middle of the city that the demo surveys, GeoJSON."""
    x, y = SURVEY_M[0] / 2, SURVEY_M[1] / 2
    lon, lat = world.plane.to_lonlat([-x, x, x, -x, -x], [-y, -y, y, y, -y])
    ring = [[round(float(a), 7), round(float(b), 7)] for a, b in zip(lon, lat, strict=True)]
    return {"type": "Polygon", "coordinates": [ring]}


def square(world: World, lon: float, lat: float, side_m: float) -> dict[str, Any]:
    """A square about a place, GeoJSON."""
    x, y = (float(value) for value in world.plane.to_plane(lon, lat))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * side_m / 2 + (x, y)
    lons, lats = world.plane.to_lonlat(corners[:, 0], corners[:, 1])
    return {"type": "Polygon", "coordinates": [np.stack([lons, lats], axis=-1).round(7).tolist()]}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How the demo is played."""

    seed: int
    vehicles: int
    speedup: float
    height_m: float
    fps: float
    port: int | None
    leave: bool
    """End after one round, with nobody at the browser."""


class Demo:
    """One demo from start to end."""

    def __init__(self, options: Options, folder: Path) -> None:
        """Everything that is written goes below `folder`."""
        self.options, self.folder, self.keys = options, folder, Secrets.fresh()
        self.epoch_utc_s = float(int(time.time()))
        self.children = Children(folder)

    async def play(self) -> dict[str, Any]:
        """The whole round; the figures of it. Raises RoundFailed."""
        started_s = time.monotonic()
        say(f"building the city of seed {self.options.seed}")
        ports = self._start_world()
        world = await asyncio.to_thread(World.build, self.options.seed, epoch_utc_s=self.epoch_utc_s)
        await asyncio.to_thread(write_public_files, world, self.folder / "public")
        url = self._start_service(world, ports)
        async with httpx.AsyncClient(timeout=180.0) as http:
            administrator, operator, inspector = await self._people(url, http)
            await within("getting the vehicles ready", START_S, self._ready(operator))
            reviewing = asyncio.create_task(review(inspector, delay_s=0.0 if self.options.leave else 30.0))
            try:
                figures = await self._round(world, http, ports, administrator, operator, inspector, started_s)
                if not self.options.leave:
                    for line in in_words(figures):
                        say(line)
                    say(f"the round is over; mission control runs on at [bold]{url}[/bold] until Ctrl-C")
                    await asyncio.Event().wait()
            finally:
                reviewing.cancel()
                with contextlib.suppress(asyncio.CancelledError, RoundFailed):
                    await reviewing
        return figures

    def _start_world(self) -> Ports:
        options = self.options
        ports = Ports(
            http=options.port or free_port(),
            mavlink=free_port(socket.SOCK_DGRAM),
            rtsp=free_port(),
            city=free_port(),
            broker=free_port(),
        )
        self.children.start(
            "world",
            "sim",
            "world",
            *("--seed", str(options.seed)),
            *("--epoch", repr(self.epoch_utc_s)),
            *("--vehicles", str(options.vehicles)),
            *("--speedup", str(options.speedup)),
            *("--metrics", f"http://127.0.0.1:{ports.http}/metrics"),
            *("--fps", str(options.fps)),
            *("--link", f"udpout:127.0.0.1:{ports.mavlink}"),
            *("--rtsp", f"127.0.0.1:{ports.rtsp}"),
        )
        return ports

    def _start_service(self, world: World, ports: Ports) -> str:
        broker = self.children.start_broker(ports.broker)
        settings = settings_of(world, self.folder, ports, vehicles=self.options.vehicles, broker=broker, keys=self.keys)
        (self.folder / "missioncontrol.toml").write_text(tomli_w.dumps(settings))
        city = ["sim", "city", "--port", str(ports.city), "--secret", self.keys.webhook]
        for name in RECEIVERS:
            city += ["--receiver", name]
        if broker:
            city += ["--mqtt", f"{RECEIVERS[2]}@127.0.0.1:{ports.broker}"]
        self.children.start("city", *city)
        self.children.start("serve", "serve", "--settings", str(self.folder / "missioncontrol.toml"))
        return f"http://127.0.0.1:{ports.http}"

    async def _people(self, url: str, http: httpx.AsyncClient) -> tuple[Person, Person, Person]:
        await within("mission control's start", START_S, self._answering(url, http))
        administrator = await Person.log_in(url, http, "administrator", self.keys.password)
        for role in ("operator", "inspector"):
            person = {"name": role, "password": self.keys.password, "roles": [role], "language": "en"}
            await administrator.post("/people", person)
        operator = await Person.log_in(url, http, "operator", self.keys.password)
        inspector = await Person.log_in(url, http, "inspector", self.keys.password)
        say(f"mission control is at [bold]{url}[/bold]")
        if not self.options.leave:
            say(f"log in as administrator, operator or inspector; password [bold]{self.keys.password}[/bold]")
        return administrator, operator, inspector

    async def _answering(self, url: str, http: httpx.AsyncClient) -> None:
        while True:
            self.children.check()
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(f"{url}/health")).status_code == 200:
                    return
            await asyncio.sleep(0.2)

    async def _ready(self, operator: Person) -> None:
        say(f"waiting for {self.options.vehicles} vehicles and their video")
        await ready_vehicles(operator, self.options.vehicles, timeout_s=0.9 * START_S, check=self.children.check)
        async for header in operator.video_headers(1):
            self.children.check()
            if header.get("state") == "live":
                return

    async def _round(
        self,
        world: World,
        http: httpx.AsyncClient,
        ports: Ports,
        administrator: Person,
        operator: Person,
        inspector: Person,
        started_s: float,
    ) -> dict[str, Any]:
        options, area = self.options, survey_area(world)
        request = {
            "kind": "survey",
            "area": area,
            "camera": "sim-wide",
            "height_m": options.height_m,
            "front_overlap": 75,
            "side_overlap": 60,
            "vehicles": list(range(1, options.vehicles + 1)),
        }
        mission = await prepare_mission(operator, administrator, "survey of the middle of the city", request)
        say(f"planned and approved: {mission['plan']['path_m'] / 1000:.1f} km, hash {mission['plan']['hash'][:12]}")
        setup_s = time.monotonic() - started_s
        limit_s = 300.0 + 4 * mission["plan"]["duration_s"]
        with bar("survey") as show:
            mission = await self._watched(fly_mission(operator, mission["id"], progress=show, limit_s=limit_s))
        truth = world.truth_geojson()["features"]
        say("a call comes in")
        place = called_place(truth, area)
        call = {**request, "area": square(world, *place, 60.0)}
        call_s = await self._watched(answer_call(operator, administrator, place, call, limit_s=limit_s))
        say("waiting for the receipts")
        handoffs = await settle(inspector)
        wall_s = {"setup_s": round(setup_s, 1), "wall_s": round(time.monotonic() - started_s, 1)}
        return await self._figures(http, ports, inspector, truth, area, mission, handoffs, call_s, wall_s)

    async def _watched(self, playing: Any) -> Any:
        """Await while seeing to it that no process has ended."""
        task = asyncio.ensure_future(playing)
        while not task.done():
            try:
                self.children.check()
            except RoundFailed:
                task.cancel()
                raise
            await asyncio.wait({task}, timeout=1.0)
        return task.result()

    async def _figures(
        self,
        http: httpx.AsyncClient,
        ports: Ports,
        inspector: Person,
        truth: list[dict[str, Any]],
        area: dict[str, Any],
        mission: dict[str, Any],
        handoffs: list[dict[str, Any]],
        call_s: float,
        wall_s: dict[str, float],
    ) -> dict[str, Any]:
        known = Truth(truth)
        incidents = (await inspector.get("/incidents", limit=500))["features"]
        reports = [
            {"kind": incident["properties"]["kind"], **report}
            for incident in incidents
            for report in (await inspector.get(f"/incidents/{incident['id']}/observations"))
        ]
        incident_places = [
            {
                "kind": f["properties"]["kind"],
                "ellipse": f["properties"]["ellipse"],
                **dict(zip(("lon", "lat"), shapely.geometry.shape(f["geometry"]).centroid.coords[0], strict=True)),
            }
            for f in incidents
        ]
        flights = [f for f in await inspector.get("/flights") if f["mission"] == mission["id"]]
        counts = counters((await http.get(f"{inspector.url}/metrics")).text)
        arrivals = {
            name: (await http.get(f"http://127.0.0.1:{ports.city}/{name}/arrivals")).json() for name in RECEIVERS
        }
        positions = score_positions(reports, known)
        of_points = score_positions([report for report in reports if report["kind"] in POINT_KINDS], known)
        return {
            "seed": self.options.seed,
            "vehicles": self.options.vehicles,
            "planned_m": round(mission["plan"]["path_m"], 1),
            "flown_m": round(sum(f["path_m"] for f in flights), 1),
            "flight_s": round(max(seconds(f["airborne_utc"], f["ended_utc"]) for f in flights), 1),
            **wall_s,
            "frames": counts["missioncontrol_frames_total"],
            "frames_dropped": counts.get("missioncontrol_frames_dropped_total", 0),
            "detections": counts["missioncontrol_detections_total"],
            "incidents": score_incidents(incidents, known, area),
            "position_error_m": {"n": of_points.n, "median": of_points.median_m, "p90": of_points.p90_m},
            "ellipse90_coverage": positions.ellipse90_coverage,
            "ellipse90": {
                "all_kinds": {"n": positions.n, "coverage": positions.ellipse90_coverage},
                "point_like": {"n": of_points.n, "coverage": of_points.ellipse90_coverage},
            },
            "incident_positions": score_positions(incident_places, known),
            "call_to_first_frame_s": round(call_s, 1),
            "receipts": receipts(handoffs, arrivals),
        }


def called_place(truth: list[dict[str, Any]], area: dict[str, Any]) -> tuple[float, float]:
    """Where somebody calls from: the fire inside the area, or whatever is there if nothing burns."""
    inside = shapely.geometry.shape(area)
    places = [(f["properties"]["kind"] != "fire", shapely.geometry.shape(f["geometry"]).centroid) for f in truth]
    _, place = min(((other, p) for other, p in places if inside.contains(p)), key=lambda found: found[0])
    return float(place.x), float(place.y)


def receipts(handoffs: list[dict[str, Any]], arrivals: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    """Hand-offs against what the receivers have: lost ones are sent and not there, duplicates are second incidents
    for one id and version."""
    came = {(name, taken["handoff_id"]) for name, taken_list in arrivals.items() for taken in taken_list}
    return {
        "sent": len(handoffs),
        "received": len(came),
        "duplicates": sum(len(taken) for taken in arrivals.values()) - len(came),
        "lost": sum((row["sink"], row["id"]) not in came for row in handoffs),
    }


def seconds(start: str, end: str) -> float:
    """Between two RFC 3339 times, s."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def counters(metrics: str) -> dict[str, int]:
    """Sums of the counters in a Prometheus text, over their labels."""
    sums: dict[str, int] = {}
    for name, value in re.findall(r"^(\w+)(?:\{[^}]*\})? ([0-9.e+]+)$", metrics, re.MULTILINE):
        sums[name] = sums.get(name, 0) + int(float(value))
    return sums


def say(text: str) -> None:
    """Tell the person at the terminal, on stderr."""
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {text}", highlight=False)


@contextlib.contextmanager
def bar(title: str) -> Iterator[Any]:
    """A progress bar on stderr; yields a function of the share done and the state."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=1.0)
        yield lambda done, state: progress.update(task, completed=done, description=f"{title}: {state}")


def demo(
    seed: Annotated[int, typer.Option(help="Which city; every seed is another one.")] = 4242,
    vehicles: Annotated[int, typer.Option(min=1, max=8, help="How many vehicles fly.")] = 3,
    speedup: Annotated[float | None, typer.Option(help="Simulated seconds in one of the wall, at most.")] = None,
    height_m: Annotated[float, typer.Option(help="Height of the survey above ground, m.")] = 70.0,
    fps: Annotated[float | None, typer.Option(help="Frames of each video in one simulated second.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of mission control; a free one if not given.")] = None,
    leave: Annotated[bool, typer.Option("--exit", help="Play one round and end, without a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures of the round as JSON on stdout.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep settings, logs and data in this folder.")] = None,
) -> None:
    """Play the whole loop in a simulated city: plan, approve, fly, see, confirm, hand over.

    Example: missioncontrol demo --exit --json --seed 4242
    """
    options = Options(
        seed=seed,
        vehicles=vehicles,
        speedup=speedup or (4.0 if leave else 2.0),
        height_m=height_m,
        fps=fps or (1.5 if leave else 2.0),
        port=port,
        leave=leave,
    )
    folder = (keep or Path(tempfile.mkdtemp(prefix="missioncontrol-demo-"))).resolve()
    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty", param_hint="--keep")
    folder.mkdir(parents=True, exist_ok=True)
    playing = Demo(options, folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        figures = asyncio.run(playing.play())
    except RoundFailed as exc:
        console.print(f"[red]error:[/red] {escape(str(exc))}", highlight=False, soft_wrap=True)
        console.print(f"logs are in {folder}", highlight=False)
        keep = folder
        raise typer.Exit(1) from exc
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130 if leave else 0) from None
    except BaseException:
        console.print(f"logs are in {folder}", highlight=False)
        keep = folder
        raise
    finally:
        playing.children.stop()
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    else:
        console.print(json.dumps(msgspec.to_builtins(figures), indent=2), highlight=False)
