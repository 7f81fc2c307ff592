"""/incidents and /handoffs: review, and what became of it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import File

from missioncontrol.api.access import requires
from missioncontrol.clocks import iso_utc
from missioncontrol.errors import InputInvalid, NotFound
from missioncontrol.evidence import Evidence
from missioncontrol.handoffs import HandoffRow, Outbox
from missioncontrol.incidents import Incidents
from missioncontrol.missions import Missions, NewMission
from missioncontrol.people import Person, Role
from missioncontrol.second_looks import SecondLooks


class Confirmation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is so."""

    note: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    """In the inspector's words."""


class Rejection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is not so."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    """In the inspector's words."""


def parse_bbox(text: str) -> tuple[float, float, float, float]:
    """west,south,east,north, deg. Raises InputInvalid."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise InputInvalid(f"bbox {text!r}: give west,south,east,north in degrees") from None
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise InputInvalid(f"bbox {text!r}: is not west,south,east,north in degrees")
    return west, south, east, north


@get("/")
async def everything(
    incidents: NamedDependency[Incidents],
    kind: FromQuery[str | None] = None,
    wanted_state: Annotated[str | None, QueryParameter(name="state")] = None,
    bbox: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """Incidents, last seen first."""
    box = None if bbox is None else parse_bbox(bbox)
    found = await incidents.features(kind=kind, state=wanted_state, bbox=box, limit=limit)
    return {"type": "FeatureCollection", "features": found}


@get("/{incident_id:str}")
async def one(
    incident_id: FromPath[str], incidents: NamedDependency[Incidents], second_looks: NamedDependency[SecondLooks]
) -> dict[str, Any]:
    """One incident, and how to look at it again where its place is not known well enough (`second_look`)."""
    feature = await incidents.feature(incident_id)
    found = await asyncio.to_thread(second_looks.of, feature)
    properties = {**feature["properties"], "second_look": None if found is None else msgspec.to_builtins(found)}
    return {**feature, "properties": properties}


@post("/{incident_id:str}/second-look", guards=[requires(Role.OPERATOR, Role.ADMINISTRATOR)])
async def look_again(
    incident_id: FromPath[str],
    request: Request[Person, Any, Any],
    incidents: NamedDependency[Incidents],
    second_looks: NamedDependency[SecondLooks],
    missions: NamedDependency[Missions],
) -> dict[str, Any]:
    """A planned mission that looks again at an incident, to be approved and launched as any other."""
    feature = await incidents.feature(incident_id)
    wanted = await asyncio.to_thread(second_looks.request_of, feature)
    name = f"second look: {feature['properties']['kind']}"
    new = NewMission(name=name, purpose=f"incident {incident_id}", request=wanted)
    mission = await missions.create(new, person=request.user.name)
    return await missions.plan(mission["id"], person=request.user.name)


@get("/{incident_id:str}/observations")
async def observations(incident_id: FromPath[str], incidents: NamedDependency[Incidents]) -> list[dict[str, Any]]:
    """What an incident was made from, oldest first, each with its own place and ellipse."""
    return await incidents.observations(incident_id)


@get("/{incident_id:str}/picture.jpg")
async def picture(
    incident_id: FromPath[str], incidents: NamedDependency[Incidents], evidence: NamedDependency[Evidence]
) -> File:
    """The best picture of an incident."""
    found = await incidents.get(incident_id)
    if not found.pictures:
        raise NotFound(f"incident {incident_id} has no picture")
    path = evidence.path(found.pictures[0].sha256)
    return File(path, media_type="image/jpeg", content_disposition_type="inline", filename=f"{incident_id}.jpg")


@post("/{incident_id:str}/confirm", guards=[requires(Role.INSPECTOR)], status_code=200)
async def confirm(
    incident_id: FromPath[str],
    request: Request[Person, Any, Any],
    incidents: NamedDependency[Incidents],
    data: JSONBody[Confirmation | None] = None,
) -> dict[str, Any]:
    """It is so; the receivers are told."""
    note = "" if data is None else data.note
    return await incidents.confirm(incident_id, person=request.user.name, note=note)


@post("/{incident_id:str}/reject", guards=[requires(Role.INSPECTOR)], status_code=200)
async def reject(
    incident_id: FromPath[str],
    data: JSONBody[Rejection],
    request: Request[Person, Any, Any],
    incidents: NamedDependency[Incidents],
) -> dict[str, Any]:
    """It is not so."""
    return await incidents.reject(incident_id, person=request.user.name, reason=data.reason)


@get("/handoffs", tags=["incidents"])
async def handoffs(outbox: NamedDependency[Outbox]) -> Response[list[dict[str, Any]]]:
    """The outbox, newest first."""
    return Response([_public(row) for row in await outbox.rows()])


@post(
    "/handoffs/{handoff_id:str}/retry",
    tags=["incidents"],
    guards=[requires(Role.INSPECTOR, Role.ADMINISTRATOR)],
    status_code=200,
)
async def retry(
    handoff_id: FromPath[str], request: Request[Person, Any, Any], outbox: NamedDependency[Outbox]
) -> Response[dict[str, Any]]:
    """Try a dead letter again."""
    return Response(_public(await outbox.retry(handoff_id, person=request.user.name)))


def _public(row: HandoffRow) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(row)
    for name in ("created", "due", "closed", "retried"):
        utc_s = tree.pop(f"{name}_utc_s")
        tree[f"{name}_utc"] = None if utc_s is None else iso_utc(utc_s)
    return tree


router = Router(
    "/incidents",
    route_handlers=[everything, one, look_again, observations, picture, confirm, reject],
    tags=["incidents"],
)
