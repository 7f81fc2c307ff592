import asyncio
import time

import pytest

from simulators.clock import SimClock

START_UTC_S = 1_750_000_000.0


def clock_of(speedup: float) -> SimClock:
    return SimClock(start_utc_s=START_UTC_S, speedup=speedup)


async def test_a_change_of_rate_is_no_jump_and_counts_from_now_on() -> None:
    clock = clock_of(20.0)
    await asyncio.sleep(0.1)
    wall_s, before_s = time.monotonic(), clock.elapsed_s()
    clock.rate = 2.0
    assert 0.0 <= clock.elapsed_s() - before_s <= 20.0 * (time.monotonic() - wall_s)
    before_s, wall_s = clock.elapsed_s(), time.monotonic()
    await asyncio.sleep(0.2)
    passed_s = clock.elapsed_s() - before_s
    assert passed_s == pytest.approx(2.0 * (time.monotonic() - wall_s), rel=0.02)
    assert clock.utc_s() - START_UTC_S == pytest.approx(clock.elapsed_s(), abs=0.01)


async def test_sleepers_wake_by_the_new_rate() -> None:
    clock = clock_of(20.0)
    clock.rate = 0.1
    sleeper = asyncio.create_task(clock.sleep(2.0))
    await asyncio.sleep(0.05)
    clock.rate = 20.0
    wall_s = time.monotonic()
    await sleeper
    assert time.monotonic() - wall_s < 1.0
    assert clock.elapsed_s() >= 2.0


@pytest.mark.parametrize("rate", [0.0, -1.0, 20.1, float("nan")])
def test_no_rate_beyond_the_speedup_and_none_that_stands_still(rate: float) -> None:
    clock = clock_of(20.0)
    with pytest.raises(ValueError, match="rate must be above 0 and at most 20"):
        clock.rate = rate
    assert clock.rate == 20.0


async def test_a_held_clock_stands_and_what_it_missed_is_not_made_up() -> None:
    clock, holder = clock_of(10.0), object()
    at_s = clock.elapsed_s() + 0.5
    clock.hold(holder, at_s, until_monotonic_s=time.monotonic() + 60.0)
    sleeper = asyncio.create_task(clock.sleep_until(at_s + 0.2))
    await asyncio.wait_for(clock.sleep_until(at_s), 1.0)
    await asyncio.sleep(0.2)
    assert clock.elapsed_s() == at_s
    assert not sleeper.done()
    wall_s = time.monotonic()
    clock.hold(holder, at_s + 1e9, until_monotonic_s=wall_s + 60.0)
    await sleeper
    assert at_s + 0.2 <= clock.elapsed_s() < at_s + 10.0 * (time.monotonic() - wall_s) + 0.1


async def test_the_nearest_of_several_holds_counts_and_each_ends_at_its_time() -> None:
    clock = clock_of(10.0)
    from_s, now_s = clock.elapsed_s(), time.monotonic()
    clock.hold("far", from_s + 0.4, until_monotonic_s=now_s + 60.0)
    clock.hold("near", from_s + 0.2, until_monotonic_s=now_s + 0.15)
    await asyncio.sleep(0.1)
    assert clock.elapsed_s() == from_s + 0.2
    await asyncio.wait_for(clock.sleep_until(from_s + 0.4), 1.0)
    assert time.monotonic() - now_s >= 0.15
    await asyncio.sleep(0.05)
    assert clock.elapsed_s() == from_s + 0.4


async def test_a_hold_in_the_past_stops_time_where_it_is() -> None:
    clock = clock_of(10.0)
    await asyncio.sleep(0.05)
    before_s = clock.elapsed_s()
    clock.hold("late", before_s - 0.3, until_monotonic_s=time.monotonic() + 60.0)
    at_s = clock.elapsed_s()
    await asyncio.sleep(0.05)
    assert clock.elapsed_s() == at_s >= before_s
