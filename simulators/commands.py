"""`missioncontrol sim ...`: simulated vehicles and whatever else is simulated, from the command line."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from fleet.errors import SigningInvalid
from fleet.signing import checked_key
from simulators.autopilot_links import link_of
from simulators.clock import SimClock
from simulators.dynamics import WindConditions
from simulators.errors import FaultInvalid, LinkUnusable, SimulatorError
from simulators.fault_schedule import named_fault, read_schedule
from simulators.faults import FaultyLink
from simulators.vehicle import SimulatedVehicle

CITY_SECRET = "whsec_c2ltdWxhdGVkIGNpdHk="
"""Of the simulated receivers, where none is given."""

sim_app = typer.Typer(no_args_is_help=True, help="Simulated vehicles, cameras and city systems.")

_log = structlog.get_logger(__name__)


class AutopilotName(StrEnum):
    """Autopilots that a simulated vehicle can be."""

    ARDUPILOT = "ardupilot"
    ARDUPLANE = "arduplane"
    PX4 = "px4"


@sim_app.callback()
def _sim() -> None:
    """Simulated vehicles, cameras and city systems."""


@sim_app.command()
def vehicle(
    sysid: Annotated[int, typer.Option(min=1, max=255, help="MAVLink system id.")] = 1,
    home: Annotated[str, typer.Option(help="LAT,LON,AMSL of the home: deg, deg, m.")] = "43.238,76.945,800",
    link: Annotated[
        list[str] | None,
        typer.Option(
            help="udpout:HOST:PORT, udpin:HOST:PORT, tcp:HOST:PORT or tcpin:HOST:PORT; may be repeated.",
            show_default="udpout:127.0.0.1:14550",
        ),
    ] = None,
    speedup: Annotated[float, typer.Option(min=0.1, max=100, help="Simulated seconds in one of the wall.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of gusts and sensor errors.")] = 0,
    autopilot: Annotated[AutopilotName, typer.Option(help="Whose habits it has.")] = AutopilotName.ARDUPILOT,
    ready_after_s: Annotated[
        float, typer.Option(min=0.0, help="Simulated s until it can be armed; a real ArduCopter takes about 41.")
    ] = 5.0,
    heading_deg: Annotated[float, typer.Option(help="Heading on the ground, deg from north.")] = 0.0,
    wind_m_s: Annotated[float, typer.Option(min=0.0, max=30.0, help="Mean wind, m/s.")] = 0.0,
    wind_from_deg: Annotated[float, typer.Option(help="Direction the wind blows from, deg.")] = 0.0,
    charge: Annotated[float, typer.Option(min=0.0, max=1.0, help="Charge of the battery at the start.")] = 1.0,
    air_c: Annotated[
        float, typer.Option(min=-40.0, max=50.0, help="Temperature of the air, deg C; cold weakens the battery.")
    ] = 25.0,
    faults: Annotated[
        Path | None, typer.Option(help="Schedule of faults, YAML, of the first link; see docs/faults.md.")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="One fault, such as loss,share=0.3,at_s=60; may be repeated.")
    ] = None,
    signing_key: Annotated[
        str | None, typer.Option(help="Sign from the start with this key of 64 hexadecimal digits (ArduCopter alone).")
    ] = None,
    trusted_link: Annotated[
        int, typer.Option(min=-1, help="Number of the link, from 0, that takes what is not signed; -1 for none.")
    ] = 0,
) -> None:
    """Fly one simulated vehicle, on the wire as ArduCopter, PX4 or (experimental) ArduPlane, until interrupted.

    Example: missioncontrol sim vehicle --sysid 7 --home 43.238,76.945,800
    --link udpout:127.0.0.1:14550 --speedup 4
    """
    try:
        lat, lon, amsl_m = (float(part) for part in home.split(","))
    except ValueError as exc:
        raise typer.BadParameter(f"{home!r} is not LAT,LON,AMSL", param_hint="--home") from exc
    if not (abs(lat) <= 90.0 and abs(lon) <= 180.0 and -500.0 <= amsl_m <= 9000.0):
        raise typer.BadParameter(f"{home!r} is not a place on the earth", param_hint="--home")
    _log_to_stderr()
    try:
        carrier, *more_links = [link_of(address) for address in link or ["udpout:127.0.0.1:14550"]]
    except LinkUnusable as exc:
        raise typer.BadParameter(str(exc), param_hint="--link") from exc
    key = None if signing_key is None else _key_of(signing_key, autopilot)
    try:
        schedule = (*(read_schedule(faults) if faults else ()), *map(named_fault, fault or ()))
    except FaultInvalid as exc:
        raise typer.BadParameter(str(exc), param_hint="--faults, --fault") from exc
    clock = SimClock(start_utc_s=time.time(), speedup=speedup)
    if schedule:
        carrier = FaultyLink(
            carrier,
            clock=clock,
            faults=schedule,
            seed=seed,
            vehicle_fault=lambda n, o: simulated.carry_out(n, o),
            key=key,
        )
    try:
        simulated = SimulatedVehicle(
            sysid=sysid,
            home=(lon, lat, amsl_m),
            link=carrier,
            clock=clock,
            autopilot=autopilot.value,
            seed=seed,
            wind=WindConditions(speed_m_s=wind_m_s, from_deg=wind_from_deg),
            ready_after_s=ready_after_s,
            heading_deg=heading_deg,
            charge=charge,
            air_c=air_c,
            more_links=more_links,
            signing_key=key,
            trusted_link=None if trusted_link < 0 else trusted_link,
        )
        _log.info("vehicle runs", sysid=sysid, link=link, home=home, speedup=speedup, seed=seed)
        asyncio.run(_until_interrupted(simulated.run(), f"vehicle[{sysid}]"))
    except SimulatorError as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from exc


@sim_app.command()
def world(
    seed: Annotated[int, typer.Option(help="Which city; every seed is another one.")] = 4242,
    vehicles: Annotated[int, typer.Option(min=1, max=50, help="How many vehicles; sysids count from 1.")] = 3,
    link: Annotated[str, typer.Option(help="Where each vehicle's MAVLink goes.")] = "udpout:127.0.0.1:14550",
    rtsp: Annotated[
        str, typer.Option(help="HOST:PORT of the RTSP server; vehicle N's path is vehicle-N.")
    ] = "127.0.0.1:8554",
    speedup: Annotated[
        float, typer.Option(min=0.1, max=100, help="Simulated seconds in one of the wall, at most.")
    ] = 1.0,
    metrics: Annotated[
        str | None,
        typer.Option(help="URL of a mission control's metrics; time then waits until it has seen each frame."),
    ] = None,
    fps: Annotated[float, typer.Option(min=0.1, max=60, help="Frames of each video in a simulated second.")] = 2.0,
    draw_clock: Annotated[
        bool, typer.Option("--draw-clock", help="Draw a clock into each picture, to measure how old it is when seen.")
    ] = False,
    epoch: Annotated[float | None, typer.Option(help="Start of the day, s since 1970 UTC; now if not given.")] = None,
    public: Annotated[Path | None, typer.Option(help="Also write the city's public files to this folder.")] = None,
) -> None:
    """Simulate a city with vehicles over it and their cameras, until interrupted.

    Example: missioncontrol sim world --seed 4242 --vehicles 3 --public city
    """
    from simulators.simulation import SimulationOptions, simulate
    from simulators.world import World
    from simulators.world.registers import write_public_files

    _log_to_stderr()
    host, _, port = rtsp.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(f"{rtsp!r} is not HOST:PORT", param_hint="--rtsp")
    epoch_utc_s = float(int(time.time())) if epoch is None else epoch
    if public is not None:
        write_public_files(World.build(seed, epoch_utc_s=epoch_utc_s), public)
    options = SimulationOptions(
        seed=seed,
        vehicles=vehicles,
        link=link,
        rtsp_host=host,
        rtsp_port=int(port),
        fps=fps,
        draws_clock=draw_clock,
        speedup=speedup,
        metrics_url=metrics,
        epoch_utc_s=epoch_utc_s,
    )
    _log.info("world runs", seed=seed, vehicles=vehicles, link=link, rtsp=rtsp, speedup=speedup)
    asyncio.run(_until_interrupted(simulate(options), f"world[{seed}]"))


@sim_app.command()
def city(
    receiver: Annotated[list[str] | None, typer.Option(help="Name of a receiver; may be repeated.")] = None,
    port: Annotated[int, typer.Option(help="TCP port for webhooks.")] = 8090,
    secret: Annotated[str, typer.Option(help="Secret of the webhooks: whsec_ and base64.")] = CITY_SECRET,
    mqtt: Annotated[str | None, typer.Option(help="RECEIVER@HOST:PORT: that one listens at a broker too.")] = None,
    refuse_first: Annotated[int, typer.Option(min=0, help="Arrivals that each receiver refuses at first.")] = 0,
) -> None:
    """Run the city's receivers: they answer with receipts, and tell at /RECEIVER/arrivals what came.

    Example: missioncontrol sim city --receiver dispatch-112 --port 8090
    """
    from simulators.city import Receiver, serve_city

    _log_to_stderr()
    receivers = {name: Receiver(name, refuse_first=refuse_first) for name in receiver or ["dispatch-112"]}
    listening = None
    if mqtt is not None:
        name, _, broker = mqtt.partition("@")
        host, _, broker_port = broker.rpartition(":")
        if name not in receivers or not host or not broker_port.isdigit():
            raise typer.BadParameter(f"{mqtt!r} is not RECEIVER@HOST:PORT of a receiver", param_hint="--mqtt")
        listening = (receivers[name], host, int(broker_port))
    _log.info("city runs", receivers=list(receivers), port=port)
    asyncio.run(_until_interrupted(serve_city(receivers, port=port, secret=secret, mqtt=listening), "city"))


def _key_of(digits: str, autopilot: AutopilotName) -> bytes:
    if autopilot is AutopilotName.PX4:
        raise typer.BadParameter("a PX4 does not sign", param_hint="--signing-key")
    try:
        return checked_key(bytes.fromhex(digits))
    except (ValueError, SigningInvalid) as exc:
        raise typer.BadParameter(str(exc), param_hint="--signing-key") from exc


def _log_to_stderr() -> None:
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=sys.stderr))


async def _until_interrupted(running: Coroutine[Any, Any, None], name: str) -> None:
    task = asyncio.create_task(running, name=name)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        _log.info("stopped", what=name)
