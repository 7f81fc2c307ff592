"""`missioncontrol change`: what changed between two orthophotos."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from missioncontrol.errors import InputInvalid
from missioncontrol.terminal import Json, answer, bars


def change(
    before: Annotated[Path, typer.Option(help="Earlier orthophoto (GeoTIFF).")],
    after: Annotated[Path, typer.Option(help="Later orthophoto (GeoTIFF).")],
    out: Annotated[Path, typer.Option(help="Where the changes are written (GeoJSON).")],
    before_dsm: Annotated[Path | None, typer.Option(help="Surface heights of the earlier day (GeoTIFF).")] = None,
    after_dsm: Annotated[Path | None, typer.Option(help="Surface heights of the later day (GeoTIFF).")] = None,
    permits: Annotated[Path | None, typer.Option(help="Building permits, with valid_from and valid_until.")] = None,
    cadastre: Annotated[Path | None, typer.Option(help="Parcels.")] = None,
    buildings: Annotated[Path | None, typer.Option(help="Registered buildings.")] = None,
    before_date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day of the earlier one, if the file lacks it.")
    ] = None,
    after_date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day of the later one, if the file lacks it.")
    ] = None,
    least_area_m2: Annotated[float, typer.Option(min=0.1, help="Smaller changes are left out, m2.")] = 4.0,
    contrast: Annotated[
        float, typer.Option(min=0.05, max=2.0, help="Fainter changes are left out, natural logarithm of light.")
    ] = 0.22,
    as_json: Json = False,
) -> None:
    """Find what changed between two orthophotos, with parcel and permit.

    Registers are GeoJSON, GeoPackage, Shapefile or KML.
    Example: missioncontrol change --before A.tif --after B.tif --permits P.gpkg --out changes.geojson
    """
    from missioncontrol.changes import ChangeRequest, compare

    if not out.parent.is_dir():
        raise InputInvalid(f"--out {out}: there is no folder {out.parent}")
    request = ChangeRequest(
        before=before,
        after=after,
        before_dsm=before_dsm,
        after_dsm=after_dsm,
        permits=permits,
        cadastre=cadastre,
        buildings=buildings,
        before_date=None if before_date is None else before_date.date(),
        after_date=None if after_date is None else after_date.date(),
        least_area_m2=least_area_m2,
        contrast=contrast,
    )
    with bars() as progress:
        tasks: dict[str, Any] = {}

        def on_step(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of)
            progress.update(tasks[what], completed=done, total=of)

        found = compare(request, on_step)
    out.write_bytes(msgspec.json.encode(found))
    summary = found["summary"]
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in summary["kinds"].items()) or "no change"
    notes = "".join(f"\n{note}" for note in summary["notes"])
    answer({"out": str(out), **summary}, as_json, f"{out}: {kinds}{notes}")
