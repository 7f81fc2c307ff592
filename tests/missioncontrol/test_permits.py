"""Permits: what they leave of zones, what they are asked for before a flight, and their documents."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.missions import MissionItem
from fleet.readiness import Check
from geo.airspace import Airspace
from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum
from geo.schedules import Applicability
from geo.terrain import FlatTerrain
from geo.tracks import Track
from geo.volumes import Circle, Volume4D
from geo.zones import Kind, Zone
from missioncontrol import audit
from missioncontrol.clearance import Clearance
from missioncontrol.errors import Conflict, InputInvalid, NotFound
from missioncontrol.fleet_settings import FleetSettings, VehicleSettings
from missioncontrol.permits import NewPermit, Permit, Permits, left_closed
from missioncontrol.plans import VehiclePlan
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.zones import Zones
from tests.missioncontrol.conftest import HOME, StillClock, make_settings, running
from tests.missioncontrol.test_service import survey
from tests.missioncontrol.test_zones import new, square

LON, LAT, BEGAN = HOME[0], HOME[1], 1_790_000_000.0
PDF = b"%PDF-1.7\n1 0 obj\n"


def at(after_s: float) -> str:
    return (datetime.fromtimestamp(BEGAN, UTC) + timedelta(seconds=after_s)).isoformat()


def permit(**fields: Any) -> NewPermit:
    whole = {
        "number": "77/2026", "authority": "CAA", "clears": ["GATE"], "valid_from": at(-3600), "valid_until": at(3600),
        **fields,
    }  # fmt: skip
    return msgspec.convert(whole, NewPermit)


def gate(**volume: Any) -> Zone:
    circle = Circle(lon=LON, lat=LAT, radius_m=500.0)
    return Zone(id="GATE", kind=Kind.REQ_AUTHORIZATION, volumes=(Volume4D(footprint=circle, **volume),))


def way(height_m: float = 50.0, after_s: float = 0.0) -> VehiclePlan:
    """From 0.01 deg west of the middle to as far east of it in 200 s, above flat ground at 0."""
    ends = [[LON - 0.01, LAT, height_m], [LON + 0.01, LAT, height_m]]
    up = MissionItem(
        frame=3, command=22, params=(0.0,) * 4, x=round(LAT * 1e7), y=round((LON - 0.01) * 1e7), z=height_m
    )
    return VehiclePlan(
        sysid=1, items=(up,), hash="", path={"type": "Feature", "geometry": {"coordinates": ends}},
        path_m=1600, duration_s=200, energy_wh=1, battery_percent=1, times_s=(0.0, 200.0), delay_s=after_s,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    when_s=st.floats(-7200, 7200),
    height_m=st.floats(1, 200),
    east_m=st.floats(-490, 490),
    starts=st.none() | st.floats(-7200, 0),
    highest_m=st.none() | st.sampled_from([60.0, 120.0]),
    narrow=st.booleans(),
)
def test_a_permit_opens_its_time_height_and_area_and_nothing_else(
    when_s: float, height_m: float, east_m: float, starts: float | None, highest_m: float | None, narrow: bool
) -> None:
    """Against the plain words: closed is what is in the zone and not in the permit."""
    times = () if starts is None else (Applicability(start=datetime.fromtimestamp(BEGAN + starts, UTC)),)
    zone = gate(upper=Altitude(150.0, Datum.AGL), times=times)
    area = square(LON, LAT, 0.003) if narrow else None
    held = Permit(id="p", given=permit(highest_agl_m=highest_m, area=area))
    lon = LON + east_m / (111_320.0 * np.cos(np.radians(LAT)))
    track = Track(*(np.full(2, value) for value in (BEGAN + when_s, lon, LAT, height_m)))
    track.utc_s[1] += 0.01
    (left,) = left_closed([zone], [held])
    breached = bool(Airspace([left], FlatTerrain(0.0)).breaches(track))
    in_zone = height_m <= 150.0 and (starts is None or when_s >= starts)
    in_permit = (
        -3600 <= when_s <= 3600
        and (highest_m is None or height_m <= highest_m)
        and (not narrow or abs(lon - LON) <= 0.003)
    )
    near_an_edge = min(
        abs(abs(when_s) - 3600), abs(when_s - (starts or 9e9)), abs(height_m - 150), abs(height_m - (highest_m or 9e9)),
        abs(abs(lon - LON) - 0.003) * 8e4,
    ) < 0.5  # fmt: skip
    assert near_an_edge or breached == (in_zone and not in_permit)


def test_no_permit_opens_a_prohibited_zone_or_another_one() -> None:
    shut = msgspec.structs.replace(gate(), kind=Kind.PROHIBITED)
    other = msgspec.structs.replace(gate(), id="OTHER")
    held = Permit(id="p", given=permit())
    assert left_closed([shut, other], [held]) == [shut, other]
    assert left_closed([gate()], [msgspec.structs.replace(held, revoked_utc_s=1.0)]) == [gate()]
    assert held.is_for(9, "KZ-9")
    given_to = Permit(id="p", given=permit(vehicles=[2], registrations=["KZ-1"]))
    assert [given_to.is_for(*who) for who in ((2, ""), (1, "KZ-1"), (1, ""), (3, "KZ-3"))] == [True, True, False, False]


class Desk:
    """Zones and permits of a store; vehicle 1 is registered as KZ-001."""

    def __init__(self, store: Store, clock: StillClock, folder: Path, **fleet: Any) -> None:
        own = (VehicleSettings(sysid=1, name="one", registration="KZ-001"),)
        given_settings = Settings(data=folder, vehicles=own, fleet=FleetSettings(**fleet))
        self.zones, self.permits = Zones(store, clock), Permits(store, given_settings, clock)
        self.clearance = Clearance(self.zones, self.permits, given_settings, None)

    async def checks(self, part: VehiclePlan) -> tuple[Check, Check]:
        zones, permits = await self.clearance.checks(part, BEGAN)
        return zones, permits


@pytest.fixture
def desk(store: Store, clock: StillClock, tmp_path: Path) -> Desk:
    return Desk(store, clock, tmp_path)


async def test_pre_flight_names_zone_place_and_time_and_why_a_permit_does_not_do(desk: Desk) -> None:
    assert [each.passed for each in await desk.checks(way())] == [True, True]
    await desk.zones.draw(new(id="GATE", kind="REQ_AUTHORIZATION"), person="a")
    zones, permits = await desk.checks(way())
    assert (zones.passed, permits.passed) == (False, False)
    began = datetime.fromtimestamp(BEGAN + 80.0, UTC)
    assert f"GATE (req authorization) from {began:%Y-%m-%d %H:%M:%S} UTC for 40 s" in zones.text
    assert f"lon {LON - 0.002:.6f}, lat {LAT:.6f}" in zones.text
    assert "GATE (req authorization): no permit names it" in permits.text
    for given_fields, why in (
        ({"vehicles": [2]}, "is for other vehicles"),
        ({"valid_until": at(-60)}, "is valid from"),
        ({"valid_until": at(100)}, "does not reach to GATE"),
        ({"highest_agl_m": 40}, "does not reach to GATE"),
        ({"area": square(LON, LAT, 0.001)}, "does not reach to GATE"),
    ):
        kept = await desk.permits.add(permit(**given_fields), person="a")
        zones, permits = await desk.checks(way())
        assert (zones.passed, permits.passed) == (False, False), given_fields
        assert "permit 77/2026 of CAA" in permits.text
        if "valid_until" not in given_fields:
            assert why in permits.text
        await desk.permits.revoke(kept["id"], person="a")
    assert "was revoked" in (await desk.checks(way()))[1].text
    await desk.permits.add(permit(registrations=["KZ-001"]), person="a")
    zones, permits = await desk.checks(way())
    assert (zones.passed, permits.passed) == (True, True)
    assert "GATE (req authorization) by permit 77/2026 of CAA" in permits.text
    assert [each.passed for each in await desk.checks(way(after_s=3500))] == [False, False], "it ends on the way"


async def test_heights_and_distances_need_permits_that_say_so(store: Store, clock: StillClock, tmp_path: Path) -> None:
    desk = Desk(store, clock, tmp_path, sight_m=500.0)
    _, permits = await desk.checks(way(119.0))
    assert re.match(r"permits: 16\d\d m from the start, beyond sight at 500 m: no permit covers lon", permits.text)
    _, permits = await desk.checks(way(130.0))
    assert permits.passed is False
    assert "130 m above ground, more than 120 m: no permit covers lon" in permits.text
    first = await desk.permits.add(permit(clears=[], bvlos=True, highest_agl_m=125), person="a")
    assert (await desk.checks(way(119.0)))[1].passed is True
    assert (await desk.checks(way(130.0)))[1].passed is False
    await desk.permits.add(permit(number="2", clears=[], highest_agl_m=150), person="a")
    assert (await desk.checks(way(130.0)))[1].passed is True
    await desk.permits.revoke(first["id"], person="a")
    assert (await desk.checks(way(130.0)))[1].passed is False


async def test_a_flight_by_night_needs_a_permit_where_that_is_set(
    store: Store, clock: StillClock, tmp_path: Path
) -> None:
    """It is 19:20 by the sun on a day of September, and half a day later 07:20."""
    desk = Desk(store, clock, tmp_path, night_needs_permit=True)
    _, permits = await desk.checks(way())
    assert permits.text.startswith(f"permits: flight by night: no permit covers lon {LON - 0.01:.6f}")
    assert (await desk.checks(way(after_s=12 * 3600.0)))[1].passed is True
    await desk.permits.add(permit(clears=[], bvlos=True), person="a")
    assert (await desk.checks(way()))[1].passed is False
    await desk.permits.add(permit(number="2", clears=[], night=True), person="a")
    _, permits = await desk.checks(way())
    assert (permits.passed, permits.measured) == (True, "flight by night")


async def test_a_plan_of_which_the_times_are_not_known_passes_only_where_no_zone_is_near(desk: Desk) -> None:
    untimed = msgspec.structs.replace(way(), times_s=())
    (check,) = await desk.clearance.checks(untimed, BEGAN)
    assert check.passed is True
    await desk.zones.draw(new(id="GATE"), person="a")
    (check,) = await desk.clearance.checks(untimed, BEGAN)
    assert check.passed is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"valid_until": at(-7200)}, "not after valid_from"),
        ({"valid_from": "2026-01-01T00:00:00"}, "no offset from UTC"),
        ({"area": {"type": "Point", "coordinates": [1, 2]}}, "no GeoJSON Polygon"),
        ({"area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}, "three different corners"),
    ],
)
async def test_a_permit_that_makes_no_sense_says_why(desk: Desk, fields: dict[str, Any], said: str) -> None:
    with pytest.raises((InputInvalid, ZoneInvalid), match=said):
        await desk.permits.add(permit(**fields), person="a")
    assert await desk.permits.all() == ()


async def test_permits_are_kept_revoked_and_audited_with_their_documents(
    desk: Desk, store: Store, tmp_path: Path
) -> None:
    kept = await desk.permits.add(permit(), person="a")
    with pytest.raises(Conflict, match="77/2026"):
        await desk.permits.add(permit(), person="a")
    for content, name, media_type, said in (
        (b"MZ\x90", "a.pdf", "application/pdf", "is no application/pdf"),
        (PDF, "a.html", "text/html", "is none of"),
        (PDF, "../a.pdf", "application/pdf", "no name of a file"),
        (b"", "a.pdf", "application/pdf", "begins with"),
        (PDF + bytes(20_000_000), "a.pdf", "application/pdf", "20 MB are the most"),
    ):
        with pytest.raises(InputInvalid, match=said):
            await desk.permits.attach(kept["id"], content, name=name, media_type=media_type, person="a")
    whole = await desk.permits.attach(kept["id"], PDF, name="77.pdf", media_type="application/pdf", person="a")
    sha256 = hashlib.sha256(PDF).hexdigest()
    assert [(each["sha256"], each["size"]) for each in whole["documents"]] == [(sha256, len(PDF))]
    path, name, media_type = await desk.permits.document(kept["id"], sha256)
    assert (path.read_bytes(), name, media_type) == (PDF, "77.pdf", "application/pdf")
    assert path.is_relative_to(tmp_path / "documents")
    with pytest.raises(NotFound):
        await desk.permits.document(kept["id"], "0" * 64)
    with pytest.raises(NotFound):
        await desk.permits.attach("nobody", PDF, name="a.pdf", media_type="application/pdf", person="a")
    assert (await desk.permits.revoke(kept["id"], person="b"))["revoked_utc"] is not None
    with pytest.raises(Conflict, match="was revoked"):
        await desk.permits.revoke(kept["id"], person="b")
    await desk.permits.add(permit(), person="a")
    assert [each["revoked_utc"] is None for each in await desk.permits.everything()] == [True, False]
    async with store.reading() as connection:
        entries = await audit.history(connection, "permits", kept["id"])
        assert await audit.first_broken(connection) is None
    assert [(entry.event, entry.person) for entry in entries] == [("added", "a"), ("document", "a"), ("revoked", "b")]


async def test_permits_over_http_and_a_plan_that_one_lets_through(tmp_path: Path) -> None:
    async with running(make_settings(tmp_path)) as house:
        http = await house.client()
        for name, role in (("o", "operator"), ("i", "inspector")):
            person = {"name": name, "password": "long enough", "roles": [role]}
            assert (await http.post("/people", json=person)).status_code == 201
        operator, inspector = await house.client("o", "long enough"), await house.client("i", "long enough")
        zone = {"id": "GATE", "kind": "REQ_AUTHORIZATION", "geometry": square(LON, LAT, 0.01)}
        assert (await http.post("/zones", json=zone)).status_code == 201
        answer = await operator.post("/plans", json=survey(1))
        assert answer.status_code == 422, answer.text
        assert "GATE" in answer.json()["detail"]
        now = datetime.now(UTC)
        allowed = msgspec.to_builtins(
            permit(
                valid_from=(now - timedelta(hours=1)).isoformat(), valid_until=(now + timedelta(hours=9)).isoformat()
            )
        )
        assert (await operator.post("/permits", json=allowed)).status_code == 403
        kept = await http.post("/permits", json=allowed)
        assert kept.status_code == 201, kept.text
        assert (await operator.post("/plans", json=survey(1))).status_code == 200
        place = f"/permits/{kept.json()['id']}"
        typed = {"params": {"name": "77.pdf"}, "content": PDF, "headers": {"content-type": "application/pdf"}}
        assert (await operator.post(f"{place}/documents", **typed)).status_code == 403
        attached = await http.post(f"{place}/documents", **typed)
        assert attached.status_code == 201, attached.text
        huge = await http.post(f"{place}/documents", **{**typed, "content": PDF + bytes(20_000_001)})
        assert huge.status_code == 413
        sha256 = attached.json()["documents"][0]["sha256"]
        given_back = await operator.get(f"{place}/documents/{sha256}")
        assert (given_back.content, given_back.headers["content-type"]) == (PDF, "application/pdf")
        assert given_back.headers["content-disposition"].startswith("attachment")
        assert given_back.headers["x-content-type-options"] == "nosniff"
        assert (await inspector.get(f"{place}/documents/{sha256}")).status_code == 403
        assert (await inspector.get("/permits")).json()[0]["number"] == "77/2026"
        assert (await http.delete(place)).json()["revoked_utc"] is not None
        assert (await operator.post("/plans", json=survey(1))).status_code == 422
