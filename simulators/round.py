"""One round of the demo as its people play it: plan, approve, launch, review, and a call from the city.

It talks to mission control by HTTP alone, as a browser does.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
import shapely
import websockets

from geo.positions import distance_m

Say = Callable[[str], None]
Progress = Callable[[float, str], None]


STANDSTILL_S = 120.0
"""Simulated time that has not gone on for so long is given up, s of the wall."""


class RoundFailed(Exception):
    """The round could not be played to its end."""


class Person:
    """Somebody logged in to mission control."""

    def __init__(self, url: str, http: httpx.AsyncClient, token: str) -> None:
        """Speaks to `url` with a session's token."""
        self.url, self.token, self._http = url, token, http

    @classmethod
    async def log_in(cls, url: str, http: httpx.AsyncClient, name: str, password: str) -> Person:
        """A new session. Raises RoundFailed."""
        answer = await http.post(f"{url}/api/v1/session", json={"name": name, "password": password})
        if answer.status_code != 201:
            raise RoundFailed(f"{name} cannot log in: {answer.status_code} {answer.text[:300]}")
        return cls(url, http, answer.json()["token"])

    async def get(self, path: str, **params: Any) -> Any:
        """JSON of a resource. Raises RoundFailed with the service's words."""
        return await self._ask("GET", path, params=params)

    async def post(self, path: str, body: Any = None) -> Any:
        """JSON answer to a request. Raises RoundFailed with the service's words."""
        return await self._ask("POST", path, json=body if body is not None else {})

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        headers = {"authorization": f"Bearer {self.token}"}
        try:
            answer = await self._http.request(method, f"{self.url}/api/v1{path}", headers=headers, **options)
        except httpx.TransportError as exc:
            raise RoundFailed(f"{method} {path}: no answer: {exc or type(exc).__name__}") from exc
        if not answer.is_success:
            raise RoundFailed(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    async def video_headers(self, sysid: int) -> AsyncIterator[dict[str, Any]]:
        """What is said of each frame of a vehicle's video, as it comes."""
        address = f"{self.url.replace('http', 'ws', 1)}/api/v1/video/{sysid}"
        headers = {"authorization": f"Bearer {self.token}"}
        async with websockets.connect(address, additional_headers=headers, max_size=None) as socket:
            async for message in socket:
                if isinstance(message, bytes):
                    (length,) = struct.unpack(">I", message[:4])
                    yield msgspec.json.decode(message[4 : 4 + length])


async def ready_vehicles(
    operator: Person, count: int, *, timeout_s: float, check: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """The registered vehicles once `count` of them are ready on the ground; `check` is called meanwhile.

    Raises RoundFailed.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        features = (await operator.get("/vehicles"))["features"]
        ready = [
            f for f in features if f["properties"]["registered"] and f["properties"]["state"] in {"ready", "landed"}
        ]
        if len(ready) >= count:
            return ready
        check()
        if time.monotonic() > deadline:
            seen = [(f["id"], f["properties"]["state"], f["properties"].get("texts")) for f in features]
            raise RoundFailed(f"{len(ready)} of {count} vehicles were ready within {timeout_s:g} s: {seen}")
        await asyncio.sleep(0.5)


async def prepare_mission(
    operator: Person, administrator: Person, name: str, request: dict[str, Any]
) -> dict[str, Any]:
    """A mission planned by the operator and approved by the administrator."""
    mission = await operator.post("/missions", {"name": name, "purpose": name, "request": request})
    await operator.post(f"/missions/{mission['id']}/plan")
    return dict(await administrator.post(f"/missions/{mission['id']}/approve"))


async def fly_mission(operator: Person, mission_id: str, *, progress: Progress, limit_s: float) -> dict[str, Any]:
    """Launch an approved mission and follow it until every vehicle has landed.

    Raises RoundFailed, also if that takes more than `limit_s` of simulated time.
    """
    limit = SimulatedLimit(operator, "the mission", limit_s)
    await operator.post(f"/missions/{mission_id}/launch")
    while True:
        await limit.check()
        mission: dict[str, Any] = await operator.get(f"/missions/{mission_id}")
        parts = mission.get("progress") or []
        done = sum(part.get("fraction") or 0.0 for part in parts) / max(1, len(parts))
        progress(done, mission["state"])
        if mission["state"] == "done":
            return mission
        if mission["state"] in {"failed", "aborted"}:
            raise RoundFailed(f"mission {mission['state']}: {mission.get('reason')} {parts}")
        await asyncio.sleep(0.5)


class SimulatedLimit:
    """How long something may take by the vehicles' clocks, which go as fast as the machine lets them."""

    def __init__(self, operator: Person, what: str, limit_s: float) -> None:
        """At most `limit_s` of simulated time from the first look on."""
        self._operator, self._what, self._limit_s = operator, what, limit_s
        self._started_utc_s: float | None = None
        self._utc_s = 0.0
        self._went_on_monotonic_s = time.monotonic()

    async def check(self) -> None:
        """Raises RoundFailed once the limit has passed, or simulated time stands still."""
        features = (await self._operator.get("/vehicles"))["features"]
        utc_s = max((f["properties"]["vehicle_utc_s"] or 0.0 for f in features), default=0.0)
        if utc_s > self._utc_s:
            self._utc_s, self._went_on_monotonic_s = utc_s, time.monotonic()
        if self._started_utc_s is None and self._utc_s:
            self._started_utc_s = self._utc_s
        if self._started_utc_s is not None and self._utc_s - self._started_utc_s > self._limit_s:
            raise RoundFailed(f"{self._what} did not end within {self._limit_s:g} s of simulated time")
        if time.monotonic() - self._went_on_monotonic_s > STANDSTILL_S:
            raise RoundFailed(f"{self._what} is not over, and no vehicle's clock went on for {STANDSTILL_S:g} s")


async def review(inspector: Person, *, delay_s: float = 0.0) -> None:
    """Confirm incidents as they appear, `delay_s` after each was first seen, until cancelled.

    Whatever cannot be confirmed is left to the next look.
    """
    first_seen: dict[str, float] = {}
    while True:
        for feature in (await inspector.get("/incidents", limit=500))["features"]:
            seen = first_seen.setdefault(feature["id"], time.monotonic())
            if feature["properties"]["state"] in {"detected", "triaged"} and time.monotonic() - seen >= delay_s:
                with contextlib.suppress(RoundFailed):  # a person at the console was faster
                    await inspector.post(f"/incidents/{feature['id']}/confirm", {"note": "seen on the picture"})
        await asyncio.sleep(1.0)


async def settle(inspector: Person, *, quiet_s: float = 3.0, timeout_s: float = 180.0) -> list[dict[str, Any]]:
    """The hand-offs once none is pending and nothing new came for `quiet_s`."""
    deadline, quiet_since, before = time.monotonic() + timeout_s, time.monotonic(), -1
    while True:
        rows: list[dict[str, Any]] = await inspector.get("/handoffs")
        pending = sum(row["state"] in {"pending", "due", "sending"} for row in rows)
        if pending or len(rows) != before:
            quiet_since, before = time.monotonic(), len(rows)
        if time.monotonic() - quiet_since >= quiet_s or time.monotonic() > deadline:
            return rows
        await asyncio.sleep(0.5)


async def nearest_vehicle(operator: Person, lon: float, lat: float) -> int:
    """Sysid of the ready vehicle nearest to a place."""
    vehicles = await ready_vehicles(operator, 1, timeout_s=30.0)
    return int(
        min(
            vehicles,
            key=lambda f: float(distance_m(lon, lat, f["geometry"]["coordinates"][0], f["geometry"]["coordinates"][1])),
        )["id"]
    )


async def answer_call(
    operator: Person, administrator: Person, place: tuple[float, float], request: dict[str, Any], *, limit_s: float
) -> float:
    """Send the nearest vehicle to a place somebody called about, for at most `limit_s` of simulated time.

    Returns the time from the call to the first frame that shows the place, s of the vehicle's clock.
    """
    sysid = await nearest_vehicle(operator, *place)
    called_utc_s = await _vehicle_utc_s(operator, sysid)
    mission = await prepare_mission(operator, administrator, "call", {**request, "vehicles": [sysid]})
    watching = asyncio.create_task(_first_frame_of(operator, sysid, shapely.Point(*place)))
    flying = asyncio.create_task(
        fly_mission(operator, mission["id"], progress=lambda _done, _state: None, limit_s=limit_s)
    )
    try:
        await asyncio.wait({watching, flying}, return_when=asyncio.FIRST_COMPLETED)
        if not watching.done():
            await flying
            raise RoundFailed(f"vehicle {sysid} flew, but no frame showed the place {place}")
        seen_utc_s = watching.result()
        await flying
    finally:
        for task in (watching, flying):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, RoundFailed):
                await task
    return seen_utc_s - called_utc_s


async def _vehicle_utc_s(operator: Person, sysid: int) -> float:
    async for header in operator.video_headers(sysid):
        if header.get("utc_s"):
            return float(header["utc_s"])
    raise RoundFailed(f"vehicle {sysid} sends no video")


async def _first_frame_of(operator: Person, sysid: int, place: shapely.Point) -> float:
    async for header in operator.video_headers(sysid):
        footprint = header.get("footprint")
        if footprint and shapely.Polygon(footprint).contains(place):
            return float(header["utc_s"])
    raise RoundFailed(f"the video of vehicle {sysid} ended")


async def within(what: str, seconds: float, awaitable: Awaitable[Any]) -> Any:
    """Await with a limit whose error says what took too long."""
    try:
        async with asyncio.timeout(seconds):
            return await awaitable
    except TimeoutError:
        raise RoundFailed(f"{what} took longer than {seconds:g} s") from None
