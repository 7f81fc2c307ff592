"""Fences and rally points arrive as they were approved, and come back as what they are."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import MissionInvalid
from fleet.fences import (
    FenceArea,
    FenceCircle,
    FencePolygon,
    RallyPoint,
    fence_areas,
    fence_hash,
    fence_items,
    rally_hash,
    rally_items,
    rally_points,
)
from fleet.fleet import Fleet
from tests.fleet.conftest import HOME, Fly, proxy_to
from tests.fleet.test_transfers import connected

LON, LAT = HOME[:2]
CORNER = st.tuples(st.integers(-1_800_000_000, 1_800_000_000), st.integers(-900_000_000, 900_000_000)).map(
    lambda e7: (e7[0] / 1e7, e7[1] / 1e7)
)
RING = ((LON - 0.01, LAT - 0.01), (LON + 0.01, LAT - 0.01), (LON + 0.01, LAT + 0.01), (LON - 0.01, LAT + 0.01))
AREAS: tuple[FenceArea, ...] = (
    FencePolygon(ring=RING),
    FencePolygon(ring=tuple((lon + 0.002, lat) for lon, lat in RING[:3]), inclusion=False),
    FenceCircle(lon=LON + 0.004, lat=LAT, radius_m=30.5),
)
POINTS = (RallyPoint(lon=LON + 0.001, lat=LAT, height_m=30.0), RallyPoint(lon=LON, lat=LAT + 0.001, height_m=25.0))


@given(
    st.lists(
        st.one_of(
            st.builds(
                FenceCircle,
                lon=st.floats(-180, 180),
                lat=st.floats(-90, 90),
                radius_m=st.floats(1, 1000, width=32),
                inclusion=st.booleans(),
            ),
            st.builds(
                FencePolygon,
                ring=st.lists(CORNER, min_size=3, max_size=6, unique=True).map(tuple),
                inclusion=st.booleans(),
            ),
        ),
        max_size=6,
    )
)
def test_a_fence_is_the_same_there_and_back(areas: list[FenceArea]) -> None:
    items = [msgspec.structs.replace(item, frame=5) for item in fence_items(areas)]
    back = fence_areas(items)
    assert [type(area) for area in back] == [type(area) for area in areas]
    assert fence_items(back) == fence_items(areas)


@pytest.mark.parametrize(
    ("areas", "words"),
    [
        ((FencePolygon(ring=RING[:2]),), "at least 3 different corners"),
        ((FencePolygon(ring=(*RING, RING[0])),), "not closed"),
        ((FencePolygon(ring=((LON, 95.0), *RING[:3])),), "95, 76.945 deg"),
        ((FencePolygon(ring=((LON, float("nan")), *RING[:3])),), "is no place"),
        ((FenceCircle(lon=LON, lat=LAT, radius_m=0.0),), "radius 0 m"),
        (tuple(FenceCircle(lon=LON, lat=LAT + i / 1e3, radius_m=5.0) for i in range(85)), "85 corners"),
    ],
)
def test_a_fence_that_an_autopilot_would_swallow_is_refused(areas: tuple[FenceArea, ...], words: str) -> None:
    with pytest.raises(MissionInvalid, match=words):
        fence_items(areas)


def test_a_broken_fence_aboard_is_not_taken_for_one() -> None:
    with pytest.raises(MissionInvalid, match="begins no area of 4 corners"):
        fence_areas(fence_items(AREAS)[1:4])


def test_rally_points_are_the_same_whatever_frame_they_come_back_in() -> None:
    sent = rally_items(POINTS)
    assert {item.frame for item in sent} == {3}
    back = rally_points([msgspec.structs.replace(item, frame=6) for item in sent])
    assert rally_hash(back) == rally_hash(POINTS)
    assert rally_items(back) == sent


async def test_fence_and_rally_points_are_sent_read_back_and_cleared(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, proxy_to(port, seed=3) as (proxy, way):
        simulated(way)
        vehicle = await connected(fleet)
        proxy.loss = 0.1
        assert await vehicle.upload_fence(AREAS) == fence_hash(AREAS)
        assert fence_hash(await vehicle.read_fence()) == fence_hash(AREAS)
        assert await vehicle.upload_rally(POINTS) == rally_hash(POINTS)
        assert [point.height_m for point in await vehicle.read_rally()] == [30.0, 25.0]
        assert await vehicle.upload_rally(()) == rally_hash(())
        assert await vehicle.read_rally() == ()
        assert vehicle.mission_hash is None
