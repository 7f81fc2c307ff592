"""The store on both back ends: migrations, geometry, transactions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, delete, insert, select, update

from missioncontrol.errors import StoreUnavailable
from missioncontrol.geometry import hits
from missioncontrol.store import Store
from missioncontrol.tables import incidents, metadata


def row(identifier: str, place: BaseGeometry) -> dict[str, Any]:
    return {
        "id": identifier,
        "version": 1,
        "kind": "dump",
        "state": "detected",
        "place": place,
        "observed_utc_s": 1.0,
        "received_utc_s": 1.0,
        "incident": {"id": identifier},
        "fusion": {},
    }


async def ids(store: Store, shape: BaseGeometry) -> set[str]:
    query = select(incidents.c.id).where(hits(store.dialect_name, incidents.c.place, shape))
    async with store.reading() as connection:
        return set((await connection.execute(query)).scalars())


@pytest.mark.filterwarnings("ignore:Did not recognize type 'geometry':sqlalchemy.exc.SAWarning")
async def test_migrations_make_the_tables_that_the_code_names(store_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        def ours(_: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
            theirs = {"spatial_ref_sys", "alembic_version"}
            spatial = str(name).startswith(("incidents_place", "clips_place"))
            return not (name in theirs or spatial)

        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": False})
        return list(compare_metadata(context, metadata))

    async with Store(store_url) as store, store.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_geometry_comes_back_as_it_went_in(store_url: str) -> None:
    polygon = shapely.box(76.1, 43.1, 76.2, 43.2).difference(shapely.box(76.14, 43.14, 76.16, 43.16))
    async with Store(store_url) as store:
        async with store.writing() as connection:
            await connection.execute(insert(incidents), [row("p", shapely.Point(76.9, 43.2)), row("a", polygon)])
        async with store.reading() as connection:
            found = dict((await connection.execute(select(incidents.c.id, incidents.c.place))).tuples().all())
    assert shapely.equals_exact(found["p"], shapely.Point(76.9, 43.2))
    assert shapely.equals_exact(found["a"], polygon)


async def test_hits_agrees_with_shapely_on_random_shapes(store_url: str) -> None:
    random = np.random.default_rng(7)
    places: dict[str, BaseGeometry] = {}
    for number in range(200):
        x, y = random.uniform((76, 43), (77, 44))
        point = shapely.Point(x, y)
        places[str(number)] = point if number % 2 else point.buffer(random.uniform(0.001, 0.05))
    async with Store(store_url) as store:
        async with store.writing() as connection:
            await connection.execute(insert(incidents), [row(name, place) for name, place in places.items()])
        for _ in range(20):
            x, y = random.uniform((76, 43), (77, 44))
            shape = shapely.Point(x, y).buffer(random.uniform(0.05, 0.2), quad_segs=3)
            expected = {name for name, place in places.items() if place.intersects(shape)}
            assert expected
            assert await ids(store, shape) == expected


async def test_the_index_follows_updates_and_deletions(store_url: str) -> None:
    here, there = shapely.box(0, 0, 1, 1), shapely.box(10, 10, 11, 11)
    async with Store(store_url) as store:
        async with store.writing() as connection:
            await connection.execute(insert(incidents), [row("a", shapely.Point(0.5, 0.5)), row("b", here.centroid)])
        async with store.writing() as connection:
            moved = update(incidents).where(incidents.c.id == "a").values(place=shapely.Point(10.5, 10.5))
            await connection.execute(moved)
            await connection.execute(delete(incidents).where(incidents.c.id == "b"))
        assert await ids(store, here) == set()
        assert await ids(store, there) == {"a"}


async def test_a_failed_transaction_leaves_nothing(store_url: str) -> None:
    async with Store(store_url) as store:
        with pytest.raises(ZeroDivisionError):
            await _write_and_fail(store)
        assert await ids(store, shapely.box(-1, -1, 1, 1)) == set()


async def _write_and_fail(store: Store) -> None:
    async with store.writing() as connection:
        await connection.execute(insert(incidents).values(**row("a", shapely.Point(0, 0))))
        raise ZeroDivisionError


async def test_writers_that_want_to_be_alone_are(store_url: str) -> None:
    inside = 0
    most = 0

    async def write(store: Store) -> None:
        nonlocal inside, most
        async with store.writing(alone="test"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    async with Store(store_url) as store:
        await asyncio.gather(*(write(store) for _ in range(5)))
    assert most == 1


async def test_opening_again_keeps_what_is_there(store_url: str) -> None:
    async with Store(store_url) as store, store.writing() as connection:
        await connection.execute(insert(incidents).values(**row("a", shapely.Point(0, 0))))
    async with Store(store_url) as store:
        assert await ids(store, shapely.box(-1, -1, 1, 1)) == {"a"}


async def test_two_services_may_start_at_once(store_url: str) -> None:
    async with Store(store_url) as one, Store(store_url) as other:
        await asyncio.gather(one.check(), other.check())


async def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(StoreUnavailable, match="mysql"):
        Store("mysql://localhost/x")
    with pytest.raises(StoreUnavailable, match="not a database URL"):
        Store("nonsense")


async def test_a_database_that_cannot_be_opened_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1") as caught:
        await Store("postgresql://someone:hunter2@127.0.0.1:1/x").__aenter__()
    assert "hunter2" not in str(caught.value)
    folder = tmp_path / "a.sqlite"
    folder.mkdir()
    with pytest.raises(StoreUnavailable, match=r"a\.sqlite"):
        await Store(f"sqlite:///{folder}").__aenter__()
