"""Incidents: one for each real thing, decided on by people, told to receivers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import func, select, update

from geo.positions import LocalPlane
from missioncontrol.casefiles import State, chain_holds
from missioncontrol.errors import InputInvalid, NotFound, TransitionImpossible
from missioncontrol.evidence import Evidence
from missioncontrol.handoffs import HandoffRow
from missioncontrol.incident_settings import IncidentSettings, KindRule, SinkSettings
from missioncontrol.incidents import Incidents, Observation
from missioncontrol.settings import HttpSettings, Settings
from missioncontrol.store import Store
from missioncontrol.tables import incidents, observations, outbox
from tests.missioncontrol.conftest import StillClock

LON, LAT = 76.945, 43.205
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=850.0)
SETTINGS = Settings(
    sinks=(SinkSettings(name="city", kind="webhook"), SinkSettings(name="fire-service", kind="webhook")),
    routes={"default": ("city",), "fire": ("city", "fire-service"), "smoke": ()},
    incidents=IncidentSettings(kinds={"short": KindRule(window_s=60.0)}, update_interval_s=10.0),
)


class House:
    """Incidents with their surroundings."""

    def __init__(self, store: Store, folder: Path, clock: StillClock) -> None:
        self.store, self.clock = store, clock
        self.changes: list[dict[str, Any]] = []
        self.woken = 0
        self.incidents = Incidents(
            store, SETTINGS, Evidence(folder), clock, on_change=self.changes.append, on_handoff=self._wake
        )

    def _wake(self) -> None:
        self.woken += 1

    async def see(self, east_m: float = 0.0, north_m: float = 0.0, **fields: Any) -> str:
        """Observe; returns the incident's id."""
        return (await self.incidents.observe(look(east_m, north_m, **fields))).id

    async def rows(self) -> list[HandoffRow]:
        """The outbox, oldest first."""
        async with self.store.reading() as connection:
            names = [outbox.c[name] for name in HandoffRow.__struct_fields__]
            found = await connection.execute(select(*names).order_by(outbox.c.number))
            return [
                msgspec.convert(dict(zip(HandoffRow.__struct_fields__, row, strict=True)), HandoffRow) for row in found
            ]


def look(east_m: float = 0.0, north_m: float = 0.0, *, sigma_m: float = 2.0, **fields: Any) -> Observation:
    lon, lat = PLANE.to_lonlat(east_m, north_m)
    whole: dict[str, Any] = {
        "kind": "dump",
        "altitude_amsl_m": 850.0,
        "score": 0.7,
        "utc_s": 1_790_000_000.0,
        "sysid": 1,
        "flight_id": "flight",
        "covariance_m2": ((sigma_m**2, 0.0), (0.0, sigma_m**2)),
        **fields,
    }
    return Observation(lon=float(lon), lat=float(lat), **whole)


@pytest.fixture
def house(store: Store, tmp_path: Path, clock: StillClock) -> House:
    return House(store, tmp_path / "evidence", clock)


async def test_a_first_look_is_an_incident_with_all_it_knows(house: House) -> None:
    incident = await house.incidents.observe(look(picture=b"jpeg", parcel="20-315", area_m2=12.5))
    assert (incident.version, incident.state, incident.looks) == (1, State.DETECTED, 1)
    feature = await house.incidents.feature(incident.id)
    properties = feature["properties"]
    assert feature["id"] == incident.id
    assert feature["geometry"]["coordinates"][:2] == pytest.approx([LON, LAT])
    assert properties["severity"] == "minor"
    assert properties["observed_utc"] == "2026-09-21T14:13:20.000Z"
    assert properties["ellipse"]["confidence"] == 0.9
    assert properties["ellipse"]["semi_major_m"] == pytest.approx(2.02 * 2.146, rel=0.01)
    assert properties["picture"] == f"/api/v1/incidents/{incident.id}/picture.jpg"
    assert properties["parcel"] == "20-315"
    assert properties["handoffs"] == []
    assert [entry["event"] for entry in properties["history"]] == ["detected"]
    assert house.changes == [feature]


async def test_looks_within_the_gate_are_one_incident_and_sharpen_it(house: House) -> None:
    first = await house.incidents.observe(look(0.0, 0.0))
    second = await house.incidents.observe(look(3.0, -2.0, flight_id="other", score=0.9, picture=b"better"))
    assert second.id == first.id
    assert (second.version, second.looks, second.score) == (2, 2, 0.9)
    assert second.flights == ("flight", "other")
    assert second.ellipse.semi_major_m < first.ellipse.semi_major_m
    assert np.array(PLANE.to_plane(second.lon, second.lat)) == pytest.approx([1.5, -1.0], abs=1e-3)


async def test_what_an_older_version_kept_of_the_looks_counts_as_one_look(house: House) -> None:
    number = await house.see(sigma_m=2.0)
    before = await house.incidents.get(number)
    async with house.store.writing() as connection:
        old = {"lon": LON, "lat": LAT, "height_m": 850.0, "flights": {"f": {"looks": 3}}}
        await connection.execute(update(incidents).values(fusion=old))
    assert await house.see(1.0, 0.0, sigma_m=2.0, flight_id="another") == number
    after = await house.incidents.get(number)
    assert PLANE.to_plane(after.lon, after.lat)[0] == pytest.approx(0.5, abs=0.05)
    assert after.ellipse.semi_major_m == pytest.approx(before.ellipse.semi_major_m / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize(
    "other",
    [
        {"east_m": 12.0},
        {"kind": "short"},
        {"utc_s": 1_790_000_000.0 + 31 * 86_400},
    ],
    ids=["elsewhere", "another kind", "much later"],
)
async def test_other_things_are_other_incidents(house: House, other: dict[str, Any]) -> None:
    assert await house.see() != await house.see(**other)


async def test_the_uncertainty_of_both_decides(house: House) -> None:
    first = await house.see(0.0, sigma_m=2.0)
    assert await house.see(12.0, sigma_m=5.0) == first


async def test_the_nearest_of_several_takes_the_look(house: House) -> None:
    west, east = await house.see(0.0, sigma_m=1.0), await house.see(10.0, sigma_m=1.0)
    assert west != east
    assert await house.see(7.0, sigma_m=3.0) == east


async def test_things_with_an_extent_are_joined_by_distance(house: House) -> None:
    first = await house.see(0.0, kind="flooding")
    assert await house.see(60.0, kind="flooding") == first
    assert await house.see(400.0, kind="flooding") != first
    assert (await house.incidents.get(first)).ellipse.semi_major_m > 20.0


async def test_many_looks_at_once_are_one_incident_and_none_is_lost(house: House) -> None:
    found = await asyncio.gather(*(house.see(number * 0.1) for number in range(20)))
    assert len(set(found)) == 1
    incident = await house.incidents.get(found[0])
    assert (incident.looks, incident.version) == (20, 20)
    async with house.store.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(observations))).scalar() == 20


async def test_all_pictures_are_kept_and_the_best_is_shown(house: House, tmp_path: Path) -> None:
    incident_id = await house.see(picture=b"poor", score=0.5)
    await house.see(picture=b"good", score=0.9)
    await house.see(picture=b"fair", score=0.6)
    incident = await house.incidents.get(incident_id)
    evidence = Evidence(tmp_path / "evidence")
    assert [evidence.path(picture.sha256).read_bytes() for picture in incident.pictures] == [b"good", b"fair", b"poor"]


async def test_a_covariance_that_is_none_is_refused(house: House) -> None:
    with pytest.raises(InputInvalid, match="covariance_m2"):
        await house.see(covariance_m2=((1.0, 2.0), (2.0, 1.0)))
    assert await house.incidents.features() == []


async def test_confirming_writes_the_handoffs_with_the_decision(house: House) -> None:
    incident_id = await house.see(kind="fire")
    assert await house.rows() == []
    feature = await house.incidents.confirm(incident_id, person="Inspector", note="flames on the picture")
    assert feature["properties"]["state"] == "confirmed"
    assert [entry["sink"] for entry in feature["properties"]["handoffs"]] == ["city", "fire-service"]
    assert [row.id for row in await house.rows()] == [f"{incident_id}:2:city", f"{incident_id}:2:fire-service"]
    assert feature["properties"]["history"][-1]["person"] == "Inspector"
    assert feature["properties"]["history"][-1]["detail"] == "flames on the picture"
    assert house.woken == 1


@pytest.mark.parametrize("public_url", ["", "https://control.city.example/", "https://control.city.example"])
async def test_receivers_get_no_names_or_words_of_people_and_a_picture_they_can_find(
    house: House, public_url: str
) -> None:
    settings = msgspec.structs.replace(SETTINGS, http=HttpSettings(public_url=public_url))
    house.incidents._settings = settings
    incident_id = await house.see(picture=b"jpeg")
    feature = await house.incidents.confirm(incident_id, person="Inspector", note="beside the neighbour's shed")
    assert feature["properties"]["history"][-1]["person"] == "Inspector"
    async with house.store.reading() as connection:
        payload = (await connection.execute(select(outbox.c.payload))).scalar_one()
    text = msgspec.json.encode(payload).decode()
    assert "Inspector" not in text
    assert "neighbour" not in text
    expected = f"https://control.city.example/api/v1/incidents/{incident_id}/picture.jpg" if public_url else None
    assert payload["properties"].get("picture") == expected
    assert ("picture" in payload["properties"]) is bool(public_url)
    assert payload["properties"]["looks"] == 1


async def test_what_is_not_routed_is_confirmed_and_goes_nowhere(house: House) -> None:
    feature = await house.incidents.confirm(await house.see(kind="smoke"), person="a")
    assert feature["properties"]["state"] == "confirmed"
    assert await house.rows() == []


async def test_a_rejected_one_stays_rejected_however_often_it_is_seen_again(house: House) -> None:
    incident_id = await house.see()
    feature = await house.incidents.reject(incident_id, person="a", reason="a permitted site")
    assert feature["properties"]["reason"] == "a permitted site"
    assert await house.see(1.0) == incident_id
    assert (await house.incidents.get(incident_id)).state is State.REJECTED
    assert await house.rows() == []


async def test_a_rejected_one_does_not_hide_another_beside_it(house: House) -> None:
    chimney = await house.see(kind="fire")
    await house.incidents.reject(chimney, person="a", reason="a chimney")
    fire = await house.see(25.0, kind="fire")
    assert fire != chimney
    assert (await house.incidents.get(fire)).state is State.DETECTED
    assert await house.see(1.0, kind="fire") == chimney
    assert await house.see(22.0, kind="fire") == fire


async def test_impossible_steps_are_refused_with_both_states(house: House) -> None:
    incident_id = await house.see()
    await house.incidents.confirm(incident_id, person="a")
    with pytest.raises(TransitionImpossible, match="is confirmed; it cannot become rejected"):
        await house.incidents.reject(incident_id, person="a", reason="no")
    with pytest.raises(TransitionImpossible, match="cannot become confirmed"):
        await house.incidents.confirm(incident_id, person="a")
    with pytest.raises(InputInvalid, match="reason"):
        await house.incidents.reject(incident_id, person="a", reason=" ")
    with pytest.raises(NotFound):
        await house.incidents.confirm("nothing", person="a")
    assert len(await house.rows()) == 1


async def test_two_people_who_decide_at_once_decide_once(house: House) -> None:
    incident_id = await house.see()
    results = await asyncio.gather(
        house.incidents.confirm(incident_id, person="a"),
        house.incidents.reject(incident_id, person="b", reason="no"),
        return_exceptions=True,
    )
    assert sum(isinstance(result, TransitionImpossible) for result in results) == 1


async def test_new_looks_at_a_confirmed_one_reach_the_receivers_as_one_update(house: House) -> None:
    incident_id = await house.see()
    await house.incidents.confirm(incident_id, person="a")
    for number in range(5):
        await house.see(0.1 * number)
    rows = await house.rows()
    assert [row.version for row in rows] == [2, 7]
    assert [row.due_utc_s - house.clock.utc_s for row in rows] == [0.0, 10.0]


async def test_the_history_is_a_chain_that_shows_changes(house: House) -> None:
    incident_id = await house.see()
    await house.incidents.confirm(incident_id, person="a")
    incident = await house.incidents.get(incident_id)
    assert chain_holds(incident.history)
    forged = msgspec.structs.replace(incident.history[0], person="somebody else")
    assert not chain_holds((forged, *incident.history[1:]))
    assert not chain_holds(incident.history[1:])


async def test_incidents_are_found_by_kind_state_and_place(house: House) -> None:
    near = await house.see()
    far = await house.see(5000.0, kind="fire", utc_s=1_790_000_100.0)
    await house.incidents.confirm(near, person="a")

    async def found(**query: Any) -> list[str]:
        return [feature["id"] for feature in await house.incidents.features(**query)]

    assert await found() == [far, near]
    assert await found(limit=1) == [far]
    assert await found(kind="dump") == [near]
    assert await found(state="detected") == [far]
    assert await found(bbox=(LON - 0.001, LAT - 0.001, LON + 0.001, LAT + 0.001)) == [near]
    assert await found(kind="dump", state="detected") == []


async def test_states_follow_the_receipts(house: House) -> None:
    incident_id = await house.see(kind="fire")
    await house.incidents.confirm(incident_id, person="a")

    async def close(sink: str, state: str) -> State:
        async with house.store.writing(alone="incidents") as connection:
            await connection.execute(update(outbox).where(outbox.c.sink == sink).values(state=state))
            await house.incidents.delivery_closed(connection, incident_id)
        return (await house.incidents.get(incident_id)).state

    assert await close("city", "delivered") is State.CONFIRMED
    assert await close("fire-service", "dead") is State.DELIVERY_FAILED
    assert await close("fire-service", "delivered") is State.DISPATCHED
    incident = await house.incidents.get(incident_id)
    assert incident.version == 2
    assert chain_holds(incident.history)
