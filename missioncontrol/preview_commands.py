"""`missioncontrol plan preview` and `missioncontrol plan diff`: what a plan does, and what makes two differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from missioncontrol.terminal import Json, answer, bars

PlanFile = Annotated[Path, typer.Argument(help="plan.json as `plan ... --out` writes it.")]


def plan_preview(
    plan: PlanFile,
    dem: Annotated[list[Path] | None, typer.Option(help="Terrain as GeoTIFF, m AMSL; may be repeated.")] = None,
    autopilot: Annotated[str, typer.Option(help="ardupilot or px4.")] = "ardupilot",
    wind_m_s: Annotated[float, typer.Option(min=0.0, max=40.0, help="Mean wind 10 m above the ground, m/s.")] = 0.0,
    wind_from_deg: Annotated[float, typer.Option(help="Direction the wind blows from, deg.")] = 0.0,
    area: Annotated[Path | None, typer.Option(help="Polygon that is to be seen.")] = None,
    camera: Annotated[str | None, typer.Option(help="Name of the camera, for what is seen of the area.")] = None,
    seed: Annotated[int, typer.Option(help="Of gusts and sensor errors.")] = 0,
    as_json: Json = False,
) -> None:
    """Fly a plan in the simulator, faster than real time, and compare it with what was planned.

    Example: missioncontrol plan preview plan.json --dem dem.tif --autopilot px4 --wind-m-s 6 --json
    """
    from fleet.air import Conditions, Wind
    from geo.areas import read_area
    from geo.camera_library import camera as camera_of
    from missioncontrol.plan_files import read_plan
    from missioncontrol.previews import Circumstances, fly_preview, simulator
    from missioncontrol.sites import terrain_of

    circumstances = Circumstances(
        terrain=terrain_of(dem or []),
        conditions=Conditions(wind=Wind.blowing(wind_m_s, wind_from_deg)),
        autopilot=autopilot,
        area=None if area is None else read_area(area).polygon,
        camera=None if camera is None else camera_of(camera).brown_camera(),
        seed=seed,
    )
    read = read_plan(plan)
    with bars() as progress:
        task = progress.add_task("fly", total=100)
        preview = fly_preview(
            read,
            circumstances,
            by=simulator(),
            report=lambda share: progress.update(task, completed=round(100 * share)),
        )
    answer(preview, as_json, "\n".join(preview.words))


def plan_diff(before: PlanFile, after: PlanFile, as_json: Json = False) -> None:
    """Say in words what makes two plans differ, the most important first.

    Example: missioncontrol plan diff monday.json tuesday.json --json
    """
    from missioncontrol.differences import NOTHING, differences
    from missioncontrol.plan_files import read_plan

    words = differences(read_plan(before), read_plan(after)) or (NOTHING,)
    answer({"words": words}, as_json, "\n".join(words))
