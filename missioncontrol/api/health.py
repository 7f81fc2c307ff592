"""/health and /metrics, for supervisors."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import REGISTRY, CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from missioncontrol.handoffs import Outbox
from missioncontrol.live import Live
from missioncontrol.store import Store
from missioncontrol.vehicles import Vehicles


@get("/health", tags=["service"])
async def health(store: NamedDependency[Store], roster: NamedDependency[Vehicles]) -> dict[str, Any]:
    """That the service runs and its store answers; 503 where that is not so."""
    await store.check()
    states = [state.condition.value for state in roster.states()]
    heard = sum(state not in ("unknown", "lost") for state in states)
    return {
        "status": "ok",
        "version": version("missioncontrol"),
        "store": store.dialect_name,
        "vehicles": {"registered_or_heard": len(states), "heard": heard},
    }


@get("/metrics", tags=["service"])
async def metrics(
    roster: NamedDependency[Vehicles], outbox: NamedDependency[Outbox], feed: NamedDependency[Live]
) -> Response[bytes]:
    """Prometheus metrics."""
    now = CollectorRegistry()
    by_state = Gauge("missioncontrol_vehicles", "Vehicles by state", ["state"], registry=now)
    for state in roster.states():
        by_state.labels(state.condition.value).inc()
    rows = Gauge("missioncontrol_handoffs", "Hand-offs in the outbox by state", ["state"], registry=now)
    for name, count in (await outbox.counts()).items():
        rows.labels(name).set(count)
    Gauge("missioncontrol_live_clients", "Clients of the live feed", registry=now).set(feed.clients)
    return Response(generate_latest(REGISTRY) + generate_latest(now), media_type=CONTENT_TYPE_PLAIN_0_0_4)
