"""/missions/{id}/coverage: what was really seen, a statement of what is not there, and what to fly again."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from missioncontrol.api.access import requires
from missioncontrol.assurance import Question
from missioncontrol.coverage import Coverage
from missioncontrol.people import Person, Role
from missioncontrol.statements import Signed

Kind = Annotated[str, QueryParameter(description="Kind of incident, such as dump.", max_length=60)]
Area = Annotated[float, QueryParameter(description="Of the smallest one, m2.", gt=0, le=1e6)]
Largest = Annotated[float | None, QueryParameter(description="Of the largest one, m2.", gt=0, le=1e6)]
Probability = Annotated[float, QueryParameter(description="With which it would have been found.", gt=0, lt=1)]

_GUARDS = [requires(Role.OPERATOR, Role.ADMINISTRATOR)]


@get("/coverage")
async def seen(
    mission_id: FromPath[str],
    coverage: NamedDependency[Coverage],
    kind: Kind = "dump",
    area_m2: Area = 4.0,
    largest_m2: Largest = None,
    probability: Probability = 0.95,
) -> dict[str, Any]:
    """What was seen so far: a summary, and what was not seen well enough as GeoJSON."""
    question = Question(kind=kind, area_m2=area_m2, largest_m2=largest_m2, probability=probability)
    return await coverage.of_mission(mission_id, question)


@get("/coverage.png")
async def picture(
    mission_id: FromPath[str],
    coverage: NamedDependency[Coverage],
    kind: Kind = "dump",
    area_m2: Area = 4.0,
    largest_m2: Largest = None,
    probability: Probability = 0.95,
) -> Response[bytes]:
    """The same as a map."""
    question = Question(kind=kind, area_m2=area_m2, largest_m2=largest_m2, probability=probability)
    content = await coverage.picture(mission_id, question)
    return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})


@post("/coverage/statement", guards=_GUARDS, status_code=200)
async def state(
    mission_id: FromPath[str],
    request: Request[Person, Any, Any],
    coverage: NamedDependency[Coverage],
    data: JSONBody[Question | None] = None,
) -> Signed:
    """A signed statement of what is not there."""
    return await coverage.state(mission_id, data or Question(), person=request.user.name)


@post("/coverage/refly", guards=_GUARDS)
async def refly(
    mission_id: FromPath[str],
    request: Request[Person, Any, Any],
    coverage: NamedDependency[Coverage],
    data: JSONBody[Question | None] = None,
) -> dict[str, Any]:
    """Drafts of missions over what was not seen well enough."""
    return await coverage.refly(mission_id, data or Question(), person=request.user.name)


router = Router("/missions/{mission_id:str}", route_handlers=[seen, picture, state, refly], tags=["missions"])
