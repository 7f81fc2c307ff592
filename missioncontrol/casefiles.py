"""Case files: what is kept of one incident, its states, its history and its public Feature."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from geo.positions import Ellipse
from missioncontrol.clocks import iso_utc
from missioncontrol.observations import Observation
from missioncontrol.tables import outbox

_PICTURES = 12
"""Pictures named in the incident itself; the observations keep all."""


class State(StrEnum):
    """Where an incident stands."""

    DETECTED = "detected"
    TRIAGED = "triaged"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    DISPATCHED = "dispatched"
    """Every receiver gave its receipt."""
    DELIVERY_FAILED = "delivery_failed"
    """A receiver could not be reached for good."""
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REOPENED = "reopened"
    MERGED = "merged"
    EXPIRED = "expired"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.DETECTED: frozenset({State.TRIAGED, State.CONFIRMED, State.REJECTED, State.MERGED, State.EXPIRED}),
    State.TRIAGED: frozenset({State.CONFIRMED, State.REJECTED, State.MERGED, State.EXPIRED}),
    State.CONFIRMED: frozenset({State.DISPATCHED, State.DELIVERY_FAILED, State.RESOLVED, State.MERGED}),
    State.DELIVERY_FAILED: frozenset({State.DISPATCHED, State.RESOLVED}),
    State.DISPATCHED: frozenset({State.DELIVERY_FAILED, State.ACKNOWLEDGED, State.IN_PROGRESS, State.RESOLVED}),
    State.ACKNOWLEDGED: frozenset({State.IN_PROGRESS, State.RESOLVED}),
    State.IN_PROGRESS: frozenset({State.RESOLVED}),
    State.RESOLVED: frozenset({State.CLOSED, State.REOPENED}),
    State.CLOSED: frozenset({State.REOPENED}),
    State.REOPENED: frozenset({State.CONFIRMED, State.REJECTED, State.RESOLVED}),
    State.REJECTED: frozenset({State.REOPENED}),
    State.MERGED: frozenset(),
    State.EXPIRED: frozenset(),
}
"""What may follow what."""

PAST = frozenset({State.CLOSED, State.MERGED, State.EXPIRED, State.RESOLVED})
"""States in which a new observation is a new incident."""
HANDED_OFF = frozenset(
    {State.CONFIRMED, State.DISPATCHED, State.DELIVERY_FAILED, State.ACKNOWLEDGED, State.IN_PROGRESS}
)
"""States in which receivers hear of new looks."""


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture among the evidence."""

    sha256: str
    """Of the JPEG."""
    utc_s: float
    """When it was taken, s since 1970 UTC."""
    score: float
    """Confidence of the detection in it."""


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an incident."""

    utc_s: float
    """When, s since 1970 UTC."""
    person: str
    """Who."""
    event: str
    """What."""
    detail: str = ""
    """With which note or reason."""
    version: int
    """Version of the incident that came of it."""
    sha256: str = ""
    """Of the entry before and of this one: a broken chain shows."""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One real thing that someone may have to deal with."""

    id: str
    """UUIDv7."""
    version: int
    """From 1; grows with every change that receivers should know."""
    kind: str
    """dump, flooding, unauthorized_construction, public_disorder, fire, smoke, ..."""
    state: State
    """Where it stands."""
    lon: float
    """Longitude, deg, WGS 84."""
    lat: float
    """Latitude, deg, WGS 84."""
    altitude_amsl_m: float
    """Height of the ground, m AMSL."""
    ellipse: Ellipse
    """Error of lon and lat."""
    geometry: dict[str, Any] | None = None
    """GeoJSON outline, where the thing has an extent."""
    area_m2: float | None = None
    """Ground area, m2."""
    severity: str
    """As in CAP 1.2."""
    score: float
    """Of the best look, 0 to 1."""
    looks: int
    """Observations so far."""
    first_observed_utc_s: float
    """First seen, s since 1970 UTC."""
    observed_utc_s: float
    """Last seen, s since 1970 UTC."""
    received_utc_s: float
    """When the service first knew, s since 1970 UTC."""
    best: Observation
    """The best look, its picture left out: provenance of the incident."""
    pictures: tuple[Picture, ...] = ()
    """Evidence, best first."""
    flights: tuple[str, ...] = ()
    """Flights that saw it."""
    parcel: str | None = None
    """Cadastre parcel."""
    permit: str | None = None
    """Building permit."""
    reason: str | None = None
    """Why it was rejected."""
    history: tuple[HistoryEntry, ...] = ()
    """Steps, oldest first."""


def with_picture(incident: Incident, picture: Picture) -> Incident:
    """With one picture more, the best first."""
    pictures = sorted((*incident.pictures, picture), key=lambda p: p.score, reverse=True)
    return msgspec.structs.replace(incident, pictures=tuple(pictures[:_PICTURES]))


def stepped(incident: Incident, after: State, *, utc_s: float, person: str, detail: str, grow: bool) -> Incident:
    """In another state; `grow` makes it a version that receivers should know."""
    incident = msgspec.structs.replace(incident, state=after, version=incident.version + int(grow))
    return noted(incident, utc_s=utc_s, person=person, event=after, detail=detail)


def noted(incident: Incident, *, utc_s: float, person: str, event: str, detail: str) -> Incident:
    """With one step more in the history, sealed."""
    entry = HistoryEntry(utc_s=utc_s, person=person, event=event, detail=detail, version=incident.version)
    previous = incident.history[-1].sha256 if incident.history else ""
    entry = msgspec.structs.replace(entry, sha256=_seal(previous, entry))
    return msgspec.structs.replace(incident, history=(*incident.history, entry))


def chain_holds(history: tuple[HistoryEntry, ...]) -> bool:
    """Whether every entry still carries the seal it was given."""
    previous = ""
    for entry in history:
        if entry.sha256 != _seal(previous, entry):
            return False
        previous = entry.sha256
    return True


def _seal(previous: str, entry: HistoryEntry) -> str:
    plain = msgspec.structs.replace(entry, sha256="")
    return hashlib.sha256(previous.encode() + msgspec.json.encode(plain, order="deterministic")).hexdigest()


def feature_of(incident: Incident) -> dict[str, Any]:
    """The public GeoJSON Feature of an incident, hand-offs left out."""
    best = incident.best
    geometry = incident.geometry or {
        "type": "Point",
        "coordinates": [round(incident.lon, 8), round(incident.lat, 8), round(incident.altitude_amsl_m, 2)],
    }
    return {
        "type": "Feature",
        "id": incident.id,
        "geometry": geometry,
        "properties": {
            "id": incident.id,
            "version": incident.version,
            "kind": incident.kind,
            "state": incident.state.value,
            "score": incident.score,
            "severity": incident.severity,
            "lon": incident.lon,
            "lat": incident.lat,
            "altitude": {"value_m": incident.altitude_amsl_m, "datum": "AMSL"},
            "ellipse": msgspec.to_builtins(incident.ellipse),
            "area_m2": incident.area_m2,
            "looks": incident.looks,
            "first_observed_utc": iso_utc(incident.first_observed_utc_s),
            "observed_utc": iso_utc(incident.observed_utc_s),
            "received_utc": iso_utc(incident.received_utc_s),
            "vehicle": best.sysid,
            "flight": best.flight_id,
            "mission": best.mission_id,
            "flights": list(incident.flights),
            "picture": f"/api/v1/incidents/{incident.id}/picture.jpg" if incident.pictures else None,
            "picture_sha256": incident.pictures[0].sha256 if incident.pictures else None,
            "parcel": incident.parcel,
            "permit": incident.permit,
            "reason": incident.reason,
            "provenance": {
                "utc": iso_utc(best.utc_s),
                "pose": msgspec.to_builtins(best.pose),
                "sigmas": msgspec.to_builtins(best.sigmas),
                "model": msgspec.to_builtins(best.model),
                "threshold": best.threshold,
            },
            "history": [
                {
                    "utc": iso_utc(e.utc_s),
                    "person": e.person,
                    "event": e.event,
                    "detail": e.detail,
                    "version": e.version,
                }
                for e in incident.history
            ],
        },
    }


def outward_feature_of(incident: Incident, public_url: str) -> dict[str, Any]:
    """The Feature as receivers get it: without our people's names and words; pictures at `public_url`, or none."""
    feature = feature_of(incident)
    kept = {key: value for key, value in feature["properties"].items() if key not in ("history", "reason", "picture")}
    if public_url and incident.pictures:
        kept["picture"] = public_url.rstrip("/") + feature["properties"]["picture"]
    return {**feature, "properties": kept}


async def features_of(connection: AsyncConnection, found: list[Incident]) -> list[dict[str, Any]]:
    """Features with where their hand-offs stand: the newest of each receiver."""
    columns = (outbox.c.incident_id, outbox.c.sink, outbox.c.state, outbox.c.version, outbox.c.receipt)
    query = select(*columns).where(outbox.c.incident_id.in_([i.id for i in found])).order_by(outbox.c.number)
    newest: dict[str, dict[str, dict[str, Any]]] = {}
    for row in await connection.execute(query):
        receipt = None if row.receipt is None else row.receipt["receipt_id"]
        entry = {"sink": row.sink, "state": row.state, "version": row.version, "receipt": receipt}
        newest.setdefault(row.incident_id, {})[row.sink] = entry
    features = [feature_of(incident) for incident in found]
    for feature in features:
        feature["properties"]["handoffs"] = list(newest.get(feature["id"], {}).values())
    return features
