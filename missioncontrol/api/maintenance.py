"""/vehicles/{sysid}/health and /maintenance: how a vehicle is, and that it was maintained."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from missioncontrol.api.access import requires
from missioncontrol.health import Health, MaintenanceDone, VehicleHealth
from missioncontrol.people import Person, Role


@get("/vehicles/{sysid:int}/health", tags=["vehicles"])
async def health(sysid: FromPath[int], wellbeing: NamedDependency[Health]) -> VehicleHealth:
    """Hours, cycles, battery, maintenance and alarms of the airframe that flies under a sysid now."""
    return await wellbeing.of(sysid)


@post(
    "/vehicles/{sysid:int}/maintenance",
    guards=[requires(Role.OPERATOR, Role.ADMINISTRATOR)],
    status_code=200,
    tags=["vehicles"],
)
async def maintained(
    sysid: FromPath[int],
    data: JSONBody[MaintenanceDone],
    request: Request[Person, Any, Any],
    wellbeing: NamedDependency[Health],
) -> VehicleHealth:
    """Maintenance was done: counters start anew; who said so is audited."""
    return await wellbeing.maintained(sysid, data, person=request.user.name)
