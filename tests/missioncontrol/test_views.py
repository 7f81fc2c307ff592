"""Views: who saw a place, when and how well, on both back ends."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from geo.positions import LocalPlane
from missioncontrol import views as module
from missioncontrol.errors import InputInvalid
from missioncontrol.recordings import LEAVING
from missioncontrol.sights import Sight, pack, unpack
from missioncontrol.store import Store
from missioncontrol.views import Views
from tests.missioncontrol.footage import BEGIN_UTC_S, add_clip, add_flight
from tests.missioncontrol.test_sights import LAT, LON, pose, sight

HERE = shapely.Point(LON, LAT)


def pass_over(
    *, offset_m: float = 0.0, agl_m: float = 100.0, speed_m_s: float = 10.0, pitch_deg: float = -90.0
) -> list[Sight]:
    """Northwards past the place at 30 s of 60."""
    return [
        sight(pose(offset_m, speed_m_s * (at - 30), agl_m=agl_m, pitch_deg=pitch_deg), float(at)) for at in range(60)
    ]


async def test_one_question_tells_who_saw_a_place_when_and_how_well(store: Store) -> None:
    flight = await add_flight(store)
    over = await add_clip(store, flight, pass_over())
    await add_clip(store, flight, pass_over(offset_m=400.0), begins_s=100.0)
    higher = await add_clip(store, flight, pass_over(agl_m=200.0, offset_m=40.0), begins_s=200.0, sysid=2)
    found, more = await Views(store).of(HERE)
    assert more is None
    assert [view.clip.id for view in found] == [higher, over]
    view = found[1]
    ((begin, end),) = view.spans
    reach_s = 100 * np.tan(np.radians(35)) * 480 / 640 / 10
    assert begin == pytest.approx(30 - reach_s, abs=1.01)
    assert end == pytest.approx(30 + reach_s, abs=1.01)
    assert view.best.time_s == pytest.approx(30.0)
    assert view.best.utc_s == pytest.approx(BEGIN_UTC_S + 30.0)
    assert view.best.gsd_m == pytest.approx(2 * 100 * np.tan(np.radians(35)) / 640, rel=0.01)
    assert view.best.off_nadir_deg == pytest.approx(0.0, abs=0.5)
    properties = found[0].feature()["properties"]
    assert (properties["sysid"], properties["registration"], properties["flight"]) == (2, "UP-1", flight)
    assert properties["best"]["off_nadir_deg"] == pytest.approx(np.degrees(np.arctan(40 / 200)), abs=0.3)
    assert properties["best"]["azimuth_deg"] == pytest.approx(270.0, abs=1.0)
    assert properties["best"]["frame"].startswith(f"/api/v1/recordings/{higher}/frame?t=30.0")


async def test_times_bound_what_is_told(store: Store) -> None:
    flight = await add_flight(store)
    first = await add_clip(store, flight, pass_over())
    second = await add_clip(store, flight, pass_over(), begins_s=1000.0)
    views = Views(store)

    async def ids(**times: float) -> list[str]:
        return [view.clip.id for view in (await views.of(HERE, **times))[0]]

    assert await ids(until_utc_s=BEGIN_UTC_S + 500) == [first]
    assert await ids(from_utc_s=BEGIN_UTC_S + 500) == [second]
    assert await ids(from_utc_s=BEGIN_UTC_S + 50, until_utc_s=BEGIN_UTC_S + 70) == []  # had passed the place by then
    (view,), _ = await views.of(HERE, from_utc_s=BEGIN_UTC_S + 32, until_utc_s=BEGIN_UTC_S + 33)
    assert view.spans == ((32.0, 33.0),)


async def test_coming_back_to_a_place_makes_two_spans(store: Store) -> None:
    there = pass_over()[:30]
    back = [sight(pose(0.0, 10.0 * (60 - at)), float(at)) for at in range(50, 60)]
    away = [sight(pose(0.0, 300.0), float(at)) for at in range(36, 50)]
    await add_clip(store, await add_flight(store), [*there, *away, *back])
    (view,), _ = await Views(store).of(HERE)
    assert len(view.spans) == 2
    assert view.spans[0][1] < 31 < 54 < view.spans[1][0]


async def test_an_area_is_best_where_most_of_it_is_in_the_picture(store: Store) -> None:
    clip = await add_clip(store, await add_flight(store), pass_over())
    east_m, north_m = np.array([-30, 30, 30, -30]), np.array([-40, -40, 40, 40])
    lon, lat = LocalPlane(lon=LON, lat=LAT).to_lonlat(east_m, north_m)
    area = shapely.Polygon(np.stack([lon, lat], axis=-1))
    (view,), _ = await Views(store).of(area)
    assert view.clip.id == clip
    assert view.best.share == pytest.approx(1.0, abs=1e-6)
    assert view.best.time_s == pytest.approx(30.0)
    assert view.spans[0][0] == pytest.approx(30 - 4 - 5.25, abs=1.01)
    elsewhere = shapely.transform(area, lambda xy: xy + 0.02)
    assert await Views(store).of(elsewhere) == ([], None)


async def test_the_index_agrees_with_shapely_on_random_flights(store: Store) -> None:
    random = np.random.default_rng(11)
    flight = await add_flight(store)
    shapes: dict[str, list[shapely.Polygon]] = {}
    for number in range(60):
        (east, north), turn = random.uniform(-1500, 1500, 2), random.uniform(0, 2 * np.pi)
        step = 10 * np.array([np.sin(turn), np.cos(turn)])
        way = [
            sight(pose(east + at * step[0], north + at * step[1], pitch_deg=-60, yaw_deg=np.degrees(turn)), float(at))
            for at in range(0, 60, 4)
        ]
        clip = await add_clip(store, flight, way, begins_s=number * 60.0)
        shapes[clip] = list(shapely.polygons(unpack([pack(way)]).corners))
    views, told = Views(store), 0
    for _ in range(25):
        lon, lat = LON + random.uniform(-0.015, 0.015), LAT + random.uniform(-0.01, 0.01)
        point, area = shapely.Point(lon, lat), shapely.Point(lon, lat).buffer(5e-4, quad_segs=2)
        for place in (point, area):
            expected = {clip for clip, all_of_it in shapes.items() if shapely.intersects(all_of_it, place).any()}
            found, _ = await views.of(place)
            assert {view.clip.id for view in found} == expected
            told += len(found)
    assert told > 50


async def test_pages_are_the_whole_in_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)
    flight = await add_flight(store)
    ids = [
        await add_clip(store, flight, pass_over(offset_m=0.0 if number % 3 else 150.0), begins_s=number * 60.0)
        for number in range(24)
    ]
    wanted = [clip for number, clip in enumerate(ids) if number % 3][::-1]
    views, before, told = Views(store), None, []
    for _ in range(20):
        found, before = await views.of(HERE, limit=5, before=before)
        assert len(found) <= 5
        told += [view.clip.id for view in found]
        if before is None:
            break
    assert told == wanted


async def test_what_is_being_deleted_is_not_told_any_more(store: Store) -> None:
    await add_clip(store, await add_flight(store), pass_over(), state=LEAVING)
    assert await Views(store).of(HERE) == ([], None)


async def test_areas_that_are_none_are_refused(store: Store) -> None:
    for coordinates in ([(0, 0), (1, 1), (1, 0), (0, 1)], [(0, 0), (1, 0), (2, 0)]):
        with pytest.raises(InputInvalid, match="within"):
            await Views(store).of(shapely.Polygon(coordinates))
