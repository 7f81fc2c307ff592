"""Errors as RFC 9457 problem details, from one table."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import ClientException, HTTPException

from fleet import errors as fleet_errors
from geo import errors as geo_errors
from missioncontrol import errors

log = structlog.get_logger(__name__)

STATUSES: dict[type[Exception], int] = {
    errors.NotFound: 404,
    errors.InputInvalid: 422,
    errors.NotAuthenticated: 401,
    errors.NotPermitted: 403,
    errors.TooManyAttempts: 429,
    errors.Conflict: 409,
    errors.LaunchFailed: 409,
    errors.OfferMalformed: 400,
    errors.OfferUnacceptable: 406,
    errors.NotForwardable: 406,
    errors.TooManyViewers: 503,
    errors.StoreUnavailable: 503,
    errors.MissionControlError: 500,
    geo_errors.GeoError: 422,
    fleet_errors.VehicleUnknown: 404,
    fleet_errors.VehicleRefused: 409,
    fleet_errors.LinkError: 503,
    fleet_errors.CommandError: 504,
    fleet_errors.MissionError: 409,
    fleet_errors.EnduranceError: 422,
    fleet_errors.PlanFileInvalid: 422,
    fleet_errors.FleetError: 500,
}
"""Status of each of our errors; a class not named has that of its nearest ancestor."""


def status_of(exc: Exception) -> int:
    """HTTP status of one of our errors."""
    return next((STATUSES[kind] for kind in type(exc).__mro__ if kind in STATUSES), 500)


def problem(status: int, kind: str, detail: str, **more: Any) -> Response[bytes]:
    """A problem+json response; `kind` is the error's name in CamelCase."""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", kind).lower()
    body = {
        "type": f"urn:missioncontrol:error:{words.replace(' ', '-')}",
        "title": words.capitalize(),
        "status": status,
        "detail": detail,
        **more,
    }
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/problem+json")


def ours(_: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
    """One of our own errors."""
    response = problem(status_of(exc), type(exc).__name__, str(exc))
    if isinstance(exc, errors.TooManyAttempts):
        response.headers["Retry-After"] = str(max(1, round(exc.retry_after_s)))
    elif isinstance(exc, errors.VideoAbsent | errors.TooManyViewers):
        response.headers["Retry-After"] = "5"
    return response


def litestars(request: Request[Any, Any, Any], exc: HTTPException) -> Response[bytes]:
    """An error of the web layer: a body that does not fit, an unknown path."""
    extra = exc.extra if isinstance(exc.extra, list) else []
    fields = [f"{part.get('key')}: {part.get('message')}" if part.get("key") else part.get("message") for part in extra]
    kind = type(exc).__name__.removesuffix("Exception")
    if fields:
        detail = "; ".join(str(field) for field in fields)
        if "Invalid value" in detail or "Invalid enum value" in detail:
            detail += "; /schema/openapi.json lists those that there are"
    elif exc.status_code in (404, 405) and exc.detail == HTTPStatus(exc.status_code).phrase:
        detail = f"{request.method} {request.url.path}: there is no such request; /schema lists those that there are"
    elif type(exc) is ClientException:  # what Litestar makes of a body that no decoder can read
        kind, detail = "BodyUnreadable", f"the body cannot be read as JSON: {exc.detail}"
    else:
        detail = exc.detail
    response = problem(exc.status_code, kind, detail)
    response.headers.update(exc.headers or {})
    return response


def unexpected(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
    """A bug: told in the log, not to the client."""
    log.error("request failed", method=request.method, path=request.url.path, exc_info=exc)
    return problem(500, "InternalError", "something went wrong inside the service; its log says what")


HANDLERS: dict[int | type[Exception], Any] = {
    errors.MissionControlError: ours,
    geo_errors.GeoError: ours,
    fleet_errors.FleetError: ours,
    HTTPException: litestars,
    Exception: unexpected,
}
