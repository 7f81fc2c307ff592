"""/dispatch: who gives the first useful picture of a place, with the plan and its pre-flight."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from missioncontrol.api.access import requires
from missioncontrol.dispatcher import Dispatcher, DispatchRequest
from missioncontrol.people import Person, Role


@post("/dispatch", guards=[requires(Role.OPERATOR, Role.ADMINISTRATOR)], status_code=200, tags=["missions"])
async def dispatch(
    data: JSONBody[DispatchRequest], request: Request[Person, Any, Any], dispatcher: NamedDependency[Dispatcher]
) -> dict[str, Any]:
    """Rank the vehicles by the time to the first useful picture, and plan for the best; people approve and launch."""
    return await dispatcher.dispatch(data, person=request.user.name)
