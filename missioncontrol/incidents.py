"""Incidents: one for each real thing, from any number of observations, until it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import shapely
import uuid_utils
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from geo.merging import GATE_D2, Gathering, d2
from geo.positions import Ellipse
from missioncontrol import audit
from missioncontrol.casefiles import (
    HANDED_OFF,
    PAST,
    TRANSITIONS,
    Incident,
    Picture,
    State,
    features_of,
    noted,
    outward_feature_of,
    stepped,
    with_picture,
)
from missioncontrol.clocks import Clock
from missioncontrol.errors import InputInvalid, NotFound, TransitionImpossible
from missioncontrol.evidence import Evidence
from missioncontrol.geometry import hits
from missioncontrol.handoffs import DEAD, DELIVERED, PENDING, enqueue
from missioncontrol.incident_settings import KindRule
from missioncontrol.observations import ModelStamp as ModelStamp
from missioncontrol.observations import Observation as Observation
from missioncontrol.observations import public
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.tables import incidents, observations, outbox

_ALONE = "incidents"
_SEARCH_MARGIN_M = 150.0
"""How far beyond its own error ellipse an observation looks for its incident, m."""


class Incidents:
    """All incidents of an installation."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        evidence: Evidence,
        clock: Clock,
        *,
        on_change: Callable[[dict[str, Any]], None],
        on_handoff: Callable[[], None],
    ) -> None:
        """`on_change` gets the public Feature of what changed; `on_handoff` hears that the outbox has grown."""
        self._store, self._settings, self._evidence, self._clock = store, settings, evidence, clock
        self._on_change, self._on_handoff = on_change, on_handoff

    async def observe(self, observation: Observation) -> Incident:
        """Take an observation in: the incident it belongs to, new or grown. Raises InputInvalid."""
        covariance = np.asarray(observation.covariance_m2, float)
        if covariance.shape != (2, 2) or not np.all(np.linalg.eigvalsh(covariance) > 0):
            raise InputInvalid(f"covariance_m2: {covariance.tolist()} is not a positive definite 2 x 2 matrix")
        picture = None if observation.picture is None else await self._evidence.keep(observation.picture)
        look = msgspec.structs.replace(
            observation,
            picture=None,
            covariance_m2=tuple(map(tuple, covariance.tolist())),
            score=float(observation.score),
        )
        rule = self._settings.incidents.rule_of(look.kind)
        async with self._store.writing(alone=_ALONE) as connection:
            row = await self._same_thing(connection, look, rule)
            if row is None:
                incident, gathered = self._first(look, rule)
                number = await _insert(connection, incident, gathered)
            else:
                known = _incident(row)
                incident, gathered = self._grown(known, self._gathered(row, known), look, rule)
                number = row.number
            if picture is not None:
                incident = with_picture(incident, Picture(sha256=picture, utc_s=look.utc_s, score=look.score))
            await connection.execute(
                insert(observations).values(
                    incident_id=incident.id,
                    utc_s=look.utc_s,
                    observation=msgspec.to_builtins(look),
                    picture_sha256=picture,
                )
            )
            await _update(connection, number, incident, gathered)
            if incident.state in HANDED_OFF:
                await self._hand_off(connection, incident, self._settings.incidents.update_interval_s)
        await self._changed(incident)
        return incident

    async def get(self, incident_id: str) -> Incident:
        """One incident. Raises NotFound."""
        async with self._store.reading() as connection:
            return _incident(await _row(connection, incident_id))

    async def feature(self, incident_id: str) -> dict[str, Any]:
        """One incident as the API gives it. Raises NotFound."""
        async with self._store.reading() as connection:
            incident = _incident(await _row(connection, incident_id))
            return (await features_of(connection, [incident]))[0]

    async def observations(self, incident_id: str) -> list[dict[str, Any]]:
        """What an incident was made from, oldest first: each with its own place and ellipse. Raises NotFound."""
        columns = observations.c.observation, observations.c.picture_sha256
        query = select(*columns).where(observations.c.incident_id == incident_id).order_by(observations.c.utc_s)
        async with self._store.reading() as connection:
            await _row(connection, incident_id)
            found = list(await connection.execute(query))
        return [public(msgspec.convert(tree, Observation), sha256) for tree, sha256 in found]

    async def features(
        self,
        *,
        kind: str | None = None,
        state: str | None = None,
        bbox: tuple[float, float, float, float] | None = None,
        limit: int = 200,
    ) -> list[dict[str, Any]]:
        """Incidents as the API gives them, last seen first; `bbox` is west, south, east, north, deg."""
        query = select(incidents).order_by(incidents.c.observed_utc_s.desc(), incidents.c.number.desc()).limit(limit)
        if kind is not None:
            query = query.where(incidents.c.kind == kind)
        if state is not None:
            query = query.where(incidents.c.state == state)
        if bbox is not None:
            query = query.where(hits(self._store.dialect_name, incidents.c.place, shapely.box(*bbox)))
        async with self._store.reading() as connection:
            found = [_incident(row) for row in await connection.execute(query)]
            return await features_of(connection, found)

    async def confirm(self, incident_id: str, *, person: str, note: str = "") -> dict[str, Any]:
        """A person says it is so; receivers are told. Raises NotFound, TransitionImpossible."""
        return await self._decide(incident_id, State.CONFIRMED, person=person, detail=note)

    async def reject(self, incident_id: str, *, person: str, reason: str) -> dict[str, Any]:
        """A person says it is not so. Raises NotFound, TransitionImpossible, InputInvalid without a reason."""
        if not reason.strip():
            raise InputInvalid("reason: a rejection needs a reason")
        return await self._decide(incident_id, State.REJECTED, person=person, detail=reason)

    async def delivery_closed(self, connection: AsyncConnection, incident_id: str) -> None:
        """Follow the outbox, within the transaction that closed one of its rows."""
        row = await _row(connection, incident_id)
        incident = _incident(row)
        states = {row.sink: row.state for row in await connection.execute(_outbox_states(incident_id))}.values()
        after = State.DELIVERY_FAILED if DEAD in states else State.DISPATCHED if set(states) == {DELIVERED} else None
        if after is None or after not in TRANSITIONS[incident.state]:
            return
        incident = stepped(incident, after, utc_s=self._clock(), person=audit.SERVICE, detail="", grow=False)
        await _update(connection, row.number, incident)

    async def announce(self, incident_id: str) -> None:
        """Tell the live clients how an incident now stands."""
        self._on_change(await self.feature(incident_id))

    async def _decide(self, incident_id: str, after: State, *, person: str, detail: str) -> dict[str, Any]:
        now = self._clock()
        async with self._store.writing(alone=_ALONE) as connection:
            row = await _row(connection, incident_id)
            before = _incident(row)
            if after not in TRANSITIONS[before.state]:
                raise TransitionImpossible(f"incident {incident_id} is {before.state}; it cannot become {after}")
            incident = stepped(before, after, utc_s=now, person=person, detail=detail, grow=True)
            if after is State.REJECTED:
                incident = msgspec.structs.replace(incident, reason=detail)
            await _update(connection, row.number, incident)
            entry = audit.AuditEntry(
                utc_s=now, person=person, event=after, detail={"version": incident.version, "text": detail}
            )
            await audit.record(connection, "incident", incident_id, entry)
            if after is State.CONFIRMED:
                await self._hand_off(connection, incident, None)
        await self._changed(incident)
        return await self.feature(incident_id)

    async def _hand_off(self, connection: AsyncConnection, incident: Incident, update_interval_s: float | None) -> None:
        await enqueue(
            connection,
            incident_id=incident.id,
            version=incident.version,
            kind=incident.kind,
            payload=outward_feature_of(incident, self._settings.http.public_url),
            sinks=self._settings.sinks_of(incident.kind),
            now_utc_s=self._clock(),
            update_interval_s=update_interval_s,
        )

    async def _changed(self, incident: Incident) -> None:
        await self.announce(incident.id)
        if incident.state in HANDED_OFF:
            self._on_handoff()

    async def _same_thing(self, connection: AsyncConnection, look: Observation, rule: KindRule) -> Row[Any] | None:
        """The nearest incident, in sigmas, that this is another look at.

        A rejected one takes only looks at its very place: a chimney that is no fire must not hide a fire beside it.
        """
        sigma_m = float(np.sqrt(np.linalg.eigvalsh(look.covariance_m2)[-1]))
        margin_m = rule.radius_m + _SEARCH_MARGIN_M + 3.1 * sigma_m
        north_deg = margin_m / 110_500
        east_deg = north_deg / max(0.01, float(np.cos(np.radians(look.lat))))
        around = shapely.box(look.lon - east_deg, look.lat - north_deg, look.lon + east_deg, look.lat + north_deg)
        query = select(incidents).where(
            incidents.c.kind == look.kind,
            incidents.c.state.not_in(PAST),
            incidents.c.observed_utc_s.between(look.utc_s - rule.window_s, look.utc_s + rule.window_s),
            hits(self._store.dialect_name, incidents.c.place, around),
        )
        best: tuple[float, Row[Any]] | None = None
        for row in await connection.execute(query):
            known = _incident(row)
            away, apart_m = d2(
                known.lon, known.lat, known.ellipse.covariance_m2(), look.lon, look.lat, look.covariance_m2
            )
            near = apart_m < rule.radius_m and known.state is not State.REJECTED
            if (away < GATE_D2 or near) and (best is None or away < best[0]):
                best = away, row
        return None if best is None else best[1]

    def _first(self, look: Observation, rule: KindRule) -> tuple[Incident, Gathering]:
        now = self._clock()
        gathered = self._empty(look.lon, look.lat, look.altitude_amsl_m)
        incident = Incident(
            id=str(uuid_utils.uuid7()),
            version=0,
            kind=look.kind,
            state=State.DETECTED,
            lon=look.lon,
            lat=look.lat,
            altitude_amsl_m=look.altitude_amsl_m,
            ellipse=Ellipse.from_covariance(np.asarray(look.covariance_m2)),
            severity=rule.severity,
            score=look.score,
            looks=0,
            first_observed_utc_s=look.utc_s,
            observed_utc_s=look.utc_s,
            received_utc_s=now,
            best=look,
        )
        incident, gathered = self._grown(incident, gathered, look, rule)
        return noted(incident, utc_s=now, person=audit.SERVICE, event=State.DETECTED, detail=""), gathered

    def _empty(self, lon: float, lat: float, height_m: float) -> Gathering:
        return Gathering(lon=lon, lat=lat, height_m=height_m, lasting=self._settings.incidents.correlation)

    def _gathered(self, row: Row[Any], incident: Incident) -> Gathering:
        """The looks of an incident; what an older version kept of them counts as one look at the incident's place."""
        try:
            gathered = msgspec.convert(row.fusion, Gathering)
        except msgspec.ValidationError:
            gathered = self._empty(incident.lon, incident.lat, incident.altitude_amsl_m)
        if gathered.current:
            return gathered
        return self._empty(incident.lon, incident.lat, incident.altitude_amsl_m).with_look(
            lon=incident.lon, lat=incident.lat, covariance_m2=incident.ellipse.covariance_m2(), flight="before"
        )

    def _grown(
        self, incident: Incident, gathered: Gathering, look: Observation, rule: KindRule
    ) -> tuple[Incident, Gathering]:
        gathered = gathered.with_look(
            lon=look.lon,
            lat=look.lat,
            covariance_m2=look.covariance_m2,
            flight=look.flight_id or f"vehicle {look.sysid}",
            moves_m=look.moves_m,
        )
        floor_m = self._settings.incidents.floor_m
        lon, lat, covariance = gathered.estimate(floor_m=floor_m, extended=rule.radius_m > 0)
        best = look if look.score >= incident.score else incident.best
        flights = incident.flights
        if look.flight_id is not None and look.flight_id not in flights:
            flights = (*flights, look.flight_id)
        return (
            msgspec.structs.replace(
                incident,
                version=incident.version + 1,
                lon=lon,
                lat=lat,
                altitude_amsl_m=incident.altitude_amsl_m
                + (look.altitude_amsl_m - incident.altitude_amsl_m) / (incident.looks + 1),
                ellipse=Ellipse.from_covariance(covariance),
                geometry=best.geometry or incident.geometry or look.geometry,
                area_m2=best.area_m2 or incident.area_m2 or look.area_m2,
                score=max(incident.score, look.score),
                looks=incident.looks + 1,
                first_observed_utc_s=min(incident.first_observed_utc_s, look.utc_s),
                observed_utc_s=max(incident.observed_utc_s, look.utc_s),
                best=best,
                flights=flights,
                parcel=incident.parcel or look.parcel,
                permit=incident.permit or look.permit,
            ),
            gathered,
        )


def _outbox_states(incident_id: str) -> Any:
    """Sink and state of the rows of an incident, the newest of a sink last, updates that wait left out."""
    waiting = (outbox.c.state == PENDING) & outbox.c.is_update
    query = select(outbox.c.sink, outbox.c.state).where(outbox.c.incident_id == incident_id, ~waiting)
    return query.order_by(outbox.c.number)


def _incident(row: Row[Any]) -> Incident:
    return msgspec.convert(row.incident, Incident)


async def _row(connection: AsyncConnection, incident_id: str) -> Row[Any]:
    row = (await connection.execute(select(incidents).where(incidents.c.id == incident_id))).first()
    if row is None:
        raise NotFound(f"no incident {incident_id}")
    return row


def _values(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "version": incident.version,
        "kind": incident.kind,
        "state": incident.state.value,
        "place": shapely.Point(incident.lon, incident.lat),
        "observed_utc_s": incident.observed_utc_s,
        "received_utc_s": incident.received_utc_s,
        "incident": msgspec.to_builtins(incident),
    }


async def _insert(connection: AsyncConnection, incident: Incident, gathered: Gathering) -> int:
    looks = msgspec.to_builtins(gathered)
    result = await connection.execute(insert(incidents).values(**_values(incident), fusion=looks))
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


async def _update(
    connection: AsyncConnection, number: int, incident: Incident, gathered: Gathering | None = None
) -> None:
    """Write an incident, and its looks where there are more of them."""
    values = _values(incident) if gathered is None else {**_values(incident), "fusion": msgspec.to_builtins(gathered)}
    await connection.execute(update(incidents).where(incidents.c.number == number).values(**values))
