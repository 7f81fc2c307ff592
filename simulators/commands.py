"""`missioncontrol sim ...`: simulated vehicles and whatever else is simulated, from the command line."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Annotated

import structlog
import typer

from simulators.clock import SimClock
from simulators.dynamics import WindConditions
from simulators.errors import SimulatorError
from simulators.vehicle import SimulatedVehicle

sim_app = typer.Typer(no_args_is_help=True, help="Simulated vehicles, cameras and city systems.")

_log = structlog.get_logger(__name__)


@sim_app.callback()
def _sim() -> None:
    """Simulated vehicles, cameras and city systems."""


@sim_app.command()
def vehicle(
    sysid: Annotated[int, typer.Option(min=1, max=255, help="MAVLink system id.")] = 1,
    home: Annotated[str, typer.Option(help="LAT,LON,AMSL of the home: deg, deg, m.")] = "43.238,76.945,800",
    link: Annotated[
        str, typer.Option(help="udpout:HOST:PORT, udpin:HOST:PORT, tcp:HOST:PORT or tcpin:HOST:PORT.")
    ] = "udpout:127.0.0.1:14550",
    speedup: Annotated[float, typer.Option(min=0.1, max=100, help="Simulated seconds in one of the wall.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of gusts and sensor errors.")] = 0,
    ready_after_s: Annotated[
        float, typer.Option(min=0.0, help="Simulated s until it can be armed; a real one takes about 41.")
    ] = 5.0,
    heading_deg: Annotated[float, typer.Option(help="Heading on the ground, deg from north.")] = 0.0,
    wind_m_s: Annotated[float, typer.Option(min=0.0, max=30.0, help="Mean wind, m/s.")] = 0.0,
    wind_from_deg: Annotated[float, typer.Option(help="Direction the wind blows from, deg.")] = 0.0,
    charge: Annotated[float, typer.Option(min=0.0, max=1.0, help="Charge of the battery at the start.")] = 1.0,
) -> None:
    """Fly one simulated multirotor, on the wire as ArduCopter, until interrupted.

    Example: missioncontrol sim vehicle --sysid 7 --home 43.238,76.945,800
    --link udpout:127.0.0.1:14550 --speedup 4
    """
    try:
        lat, lon, amsl_m = (float(part) for part in home.split(","))
    except ValueError as exc:
        raise typer.BadParameter(f"{home!r} is not LAT,LON,AMSL", param_hint="--home") from exc
    if not (abs(lat) <= 90.0 and abs(lon) <= 180.0 and -500.0 <= amsl_m <= 9000.0):
        raise typer.BadParameter(f"{home!r} is not a place on the earth", param_hint="--home")
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=sys.stderr))
    clock = SimClock(start_utc_s=time.time(), speedup=speedup)
    try:
        simulated = SimulatedVehicle(
            sysid=sysid,
            home=(lon, lat, amsl_m),
            link=link,
            clock=clock,
            seed=seed,
            wind=WindConditions(speed_m_s=wind_m_s, from_deg=wind_from_deg),
            ready_after_s=ready_after_s,
            heading_deg=heading_deg,
            charge=charge,
        )
        _log.info("vehicle runs", sysid=sysid, link=link, home=home, speedup=speedup, seed=seed)
        asyncio.run(_until_interrupted(simulated))
    except SimulatorError as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from exc


async def _until_interrupted(simulated: SimulatedVehicle) -> None:
    task = asyncio.create_task(simulated.run(), name=f"simulated vehicle[{simulated.sysid}]")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        _log.info("vehicle stops", sysid=simulated.sysid)
