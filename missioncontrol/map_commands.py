"""`missioncontrol map` and `missioncontrol cog`: orthomosaics, and rasters packed for drawing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import TaskID

from missioncontrol.errors import InputInvalid
from missioncontrol.terminal import AheadOfUtc, Json, answer, bars

if TYPE_CHECKING:
    from geo.cogs import Compression

MOST_UNUSED = 10
"""Frames that were left out of a map and are told to people, each with the reason; --json tells all."""


def map_flight(
    source: Annotated[str, typer.Argument(help="A folder of photographs, or a recorded video with metadata.")],
    out: Annotated[Path, typer.Option(help="Where the map is written (.tif).")],
    dem: Annotated[list[Path] | None, typer.Option(help="Terrain as GeoTIFF, m AMSL; may be repeated.")] = None,
    ground_amsl_m: Annotated[float | None, typer.Option(help="Height of flat ground instead, m AMSL.")] = None,
    camera: Annotated[
        str | None, typer.Option(help="What took the video, see `plan cameras`; else the video's own field of view.")
    ] = None,
    pixel_m: Annotated[float | None, typer.Option(help="Pixel of the map, m; else that of the frames.")] = None,
    feather: Annotated[float, typer.Option(help="Blend at seams: 0.02 is about 2 m from 100 m above ground.")] = 0.0,
    occlusion: Annotated[
        bool, typer.Option(help="Leave out what stands behind something, where --dem is a DSM.")
    ] = False,
    compress: Annotated[str, typer.Option(help="jpeg or deflate.")] = "jpeg",
    photogrammetry: Annotated[
        str | None, typer.Option(help="Have it made elsewhere, with a surface model: nodeodm (experimental).")
    ] = None,
    clock_ahead_h: AheadOfUtc = None,
    url: Annotated[str, typer.Option(help="Where that is.")] = "http://127.0.0.1:3000",
    token: Annotated[str, typer.Option(envvar="MC_PHOTOGRAMMETRY_TOKEN", help="If it wants one.")] = "",
    as_json: Json = False,
) -> None:
    """Lay the pictures of a flight on the terrain: an orthomosaic, with GSD, moment and frame of each pixel.

    Example: missioncontrol map photos/ --dem city.tif --out map.tif --json
    """
    from missioncontrol.mapping import map_to_file, reconstruct_to_file

    if photogrammetry is not None:
        with bars() as progress:
            stages: dict[str, TaskID] = {}

            def show(stage: str, percent: float) -> None:
                if stage not in stages:
                    stages[stage] = progress.add_task(stage, total=100)
                progress.update(stages[stage], completed=percent)

            made = asyncio.run(
                reconstruct_to_file(
                    source, out=out, adapter=photogrammetry, url=url, token=token, compress=_compression(compress),
                    on_progress=show,
                )
            )  # fmt: skip
        answer(made, as_json, f"{made.map}; surface: {made.surface or 'none'}")
        return
    with bars() as progress:
        reading = progress.add_task("frames", total=None)
        laying = progress.add_task("map", total=None)
        report = map_to_file(
            source, out=out, dem=dem or [], ground_amsl_m=ground_amsl_m, camera=camera, pixel_m=pixel_m,
            feather=feather, occlusion=occlusion, compress=_compression(compress), clock_ahead_h=clock_ahead_h,
            on_frame=lambda: progress.advance(reading),
            on_window=lambda done, total: progress.update(laying, completed=done, total=total),
        )  # fmt: skip
    lines = [
        f"{report.map}: {report.width} x {report.height} px of {report.pixel_m:.3f} m from {report.used} frames, "
        f"{report.covered_m2:.0f} m2; {len(report.unused)} frames unused",
        *(f"unused: {name}: {why}" for name, why in list(report.unused.items())[:MOST_UNUSED]),
        *(f"assumed: {note}" for note in report.notes),
    ]
    answer(report, as_json, "\n".join(lines))


def pack(
    source: Annotated[Path, typer.Argument(help="A GeoTIFF.")],
    out: Annotated[Path, typer.Argument(help="Where the COG is written.")],
    compress: Annotated[str, typer.Option(help="deflate (as it is) or jpeg (smaller).")] = "deflate",
    quality: Annotated[int, typer.Option(help="Of jpeg, 1 to 100.", min=1, max=100)] = 80,
    as_json: Json = False,
) -> None:
    """Write a GeoTIFF again as a cloud optimized one, with overviews, as layers want it.

    Example: missioncontrol cog orthophoto.tif layers/orthophoto.tif --compress jpeg
    """
    from geo.cogs import cog

    cog(source, out, compress=_compression(compress), quality=quality)
    answer({"cog": str(out), "bytes": out.stat().st_size}, as_json, f"{out}: {out.stat().st_size / 1e6:.1f} MB")


def _compression(text: str) -> Compression:
    if text not in ("deflate", "jpeg"):
        raise InputInvalid(f"--compress {text!r}: deflate or jpeg")
    return "jpeg" if text == "jpeg" else "deflate"
