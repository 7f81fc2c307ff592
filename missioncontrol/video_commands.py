"""`missioncontrol video ...`: where each vehicle's video is to be had, and settings for the media server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from missioncontrol.errors import InputInvalid
from missioncontrol.mediamtx import OWN_ADDRESS, path_settings
from missioncontrol.settings_files import load
from missioncontrol.terminal import Json, console, listing

video_app = typer.Typer(help="Live video of the vehicles, for people and for video systems.", no_args_is_help=True)

Configured = Annotated[Path | None, typer.Option(help="Settings file (TOML).")]


@video_app.command("addresses")
def addresses(settings: Configured = None, as_json: Json = False) -> None:
    """List where the video of each vehicle is to be had: by browsers (WHEP), and by video systems (RTSP).

    Example: missioncontrol video addresses --settings missioncontrol.toml --json
    """
    loaded = load(settings)
    rows = [
        {
            "sysid": vehicle.sysid,
            "name": vehicle.name,
            "whep": f"/api/v1/whep/{vehicle.sysid}" if loaded.video.webrtc else None,
            "rtsp": loaded.rtsp_out(vehicle.sysid),
        }
        for vehicle in loaded.vehicles
        if vehicle.video is not None
    ]
    lines = [
        f"{row['name']}: {row['rtsp'] or 'no RTSP, set video.rtsp_out'}; {row['whep'] or 'no WHEP, it is off'}"
        for row in rows
    ]
    listing(rows, as_json, lines, "no vehicle has video")


@video_app.command("mediamtx")
def mediamtx(
    settings: Configured = None,
    own_address: Annotated[
        str, typer.Option(help="HOST:PORT of MediaMTX in the vehicles' video addresses; those vehicles publish to it.")
    ] = OWN_ADDRESS,
) -> None:
    """Write MediaMTX's paths (YAML, on stdout): each vehicle a camera by RTSP, asked for video only on demand.

    Example: missioncontrol video mediamtx --settings missioncontrol.toml > paths.yml
    """
    paths = path_settings(load(settings), own_address)
    if not paths:
        raise InputInvalid("vehicles: none has video, so there is nothing to offer")
    if any("@" in str(path.get("source")) for path in paths.values()):
        console.print("the paths hold passwords of cameras: keep the file to those who may know them")
    sys.stdout.write(msgspec.yaml.encode({"paths": {name: path or None for name, path in paths.items()}}).decode())
