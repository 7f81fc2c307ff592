"""The process that flies a preview, so that the service goes on undisturbed: one order in, lines of progress out."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from fleet.air import Conditions
from fleet.airframes import Airframe
from fleet.errors import FleetError
from geo.areas import read_area
from geo.camera_library import CameraModel
from geo.camera_library import camera as camera_of
from geo.errors import GeoError
from geo.geoids import HeightDatum
from geo.terrain import TerrainTiles
from missioncontrol.errors import MissionControlError
from missioncontrol.plans import Plan
from missioncontrol.previews import Circumstances, Preview, fly_preview, simulator

NICE = 10
"""It lets others go first."""
LEAST_SHARE = 0.01
"""Progress is told in such steps."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be flown, in what."""

    plan: Plan
    """Every part of it."""
    autopilot: str
    """ardupilot or px4."""
    airframes: dict[int, Airframe]
    """By sysid."""
    conditions: Conditions
    """Wind, air and payload."""
    dem: str | None = None
    """Path of heights of the ground, or of a folder of them."""
    height_datum: HeightDatum | None = None
    """What they count from; absent: what the files state."""
    geoids: str | None = None
    """Folder with grids of geoids."""
    area: dict[str, Any] | None = None
    """What is to be seen, GeoJSON."""
    camera: str | CameraModel | None = None
    """What it is to be seen with."""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of what the process says."""

    share: float = 0.0
    """Done, 0 to 1."""
    preview: Preview | None = None
    """The end of it."""
    error: str | None = None
    """Why there is none."""


def main() -> None:
    """Read an order, fly it, and say how it goes."""
    os.nice(NICE)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    try:
        _say(Report(share=1.0, preview=_fly(order)))
    except (MissionControlError, GeoError, FleetError) as exc:
        _say(Report(error=str(exc)))


def _fly(order: Order) -> Preview:
    terrain = None
    if order.dem is not None:
        folders = () if order.geoids is None else (Path(order.geoids),)
        terrain = TerrainTiles.from_files([Path(order.dem)], height_datum=order.height_datum, geoid_folders=folders)
    model = camera_of(order.camera) if isinstance(order.camera, str) else order.camera
    circumstances = Circumstances(
        terrain=terrain,
        airframes=order.airframes,
        conditions=order.conditions,
        autopilot=order.autopilot,
        area=None if order.area is None else read_area(order.area).polygon,
        camera=None if model is None else model.brown_camera(),
    )
    told = 0.0

    def report(share: float) -> None:
        nonlocal told
        if share - told >= LEAST_SHARE:
            told = share
            _say(Report(share=round(share, 3)))

    return fly_preview(order.plan, circumstances, by=simulator(), report=report)


def _say(report: Report) -> None:
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
