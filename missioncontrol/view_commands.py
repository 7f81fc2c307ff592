"""`missioncontrol views ...`: who saw a place, and which recordings go when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from missioncontrol.clocks import iso_utc
from missioncontrol.terminal import Configured, Json, answer, listing, with_store

if TYPE_CHECKING:
    from missioncontrol.settings import Settings
    from missioncontrol.store import Store

views_app = typer.Typer(help="Who saw a place, and how long that is kept.", no_args_is_help=True)


@views_app.command("at", context_settings={"ignore_unknown_options": True})  # west of Greenwich begins with a dash
def views_at(
    place: Annotated[str, typer.Argument(help="Lon,lat in degrees.")],
    settings: Configured = None,
    begin: Annotated[str | None, typer.Option("--from", help="Not before, ISO 8601.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Not after, ISO 8601.")] = None,
    limit: Annotated[int, typer.Option(help="Clips at most.", min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """List the clips that show a place, the latest first, with where it is seen best.

    Example: missioncontrol views at 76.945,43.238 --from 2026-05-01T00:00:00Z --settings missioncontrol.toml
    """
    from missioncontrol.views import Views, moment, place_of

    point = place_of(place, None)
    from_utc_s, until_utc_s = moment("--from", begin, float("-inf")), moment("--to", end, float("inf"))

    async def work(store: Store, _: Settings) -> list[dict[str, object]]:
        found, _more = await Views(store).of(point, from_utc_s=from_utc_s, until_utc_s=until_utc_s, limit=limit)
        return [view.feature() for view in found]

    found = with_store(settings, work)
    lines = [
        f"{best['utc']}  {properties['registration'] or properties['sysid']}  {best['gsd_m']} m/px  "
        f"{best['off_nadir_deg']} deg off nadir  {feature['id']} at {best['time_s']} s"
        for feature in found
        for properties in [_tree(feature["properties"])]
        for best in [_tree(properties["best"])]
    ]
    listing({"type": "FeatureCollection", "features": found}, as_json, lines, "nobody saw it")


@views_app.command("retention")
def views_retention(
    settings: Configured = None,
    days: Annotated[float, typer.Option(help="Days to look ahead.", min=0)] = 30.0,
    as_json: Json = False,
) -> None:
    """Tell what is kept of each purpose, and what goes when; nothing is deleted by this.

    Example: missioncontrol views retention --days 7 --settings missioncontrol.toml
    """
    from missioncontrol.recordings import Recordings
    from missioncontrol.retention import Retention

    async def work(store: Store, known: Settings) -> dict[str, object]:
        recordings = Recordings(store, known.recordings_folder(), time.time)
        return await Retention(store, recordings, known.retention, time.time).report(days=days)

    report = with_store(settings, work)
    lines = [f"at {iso_utc(time.time())}, within {days:g} days:"]
    for one in report["purposes"]:  # type: ignore[attr-defined]
        kept = "no time is set" if one["days"] is None else f"kept {one['days']:g} days"
        lines.append(
            f"{one['purpose']}: {kept}; {one['clips']} clips, {one['bytes'] / 1e9:.2f} GB, {one['held']} held, "
            f"{one['evidence_past_its_time']} evidence; {one['going']} go, {one['going_bytes'] / 1e9:.2f} GB"
        )
    answer(report, as_json, "\n".join(lines))


def _tree(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value
