"""The machine's clock tells the time, and the manual one only what it is told."""

from __future__ import annotations

import asyncio

import pytest

from service.adapters.clock import ManualClock, SystemClock
from service.processing.ports import Clock


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
async def test_a_clock_counts_microseconds_and_never_goes_back(clock: Clock) -> None:
    """Wall time is after 2020 in microseconds; monotonic time does not fall; no sleep is no wait."""
    before = clock.monotonic()
    await clock.sleep(0)

    assert 1_577_836_800_000_000 < clock.now() < 4_102_444_800_000_000
    assert clock.monotonic() >= before


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    """`advance` wakes whose time has come, the earlier first, and nobody else."""
    clock, woken = ManualClock(), []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    sleepers = [asyncio.ensure_future(sleep(seconds)) for seconds in (3, 1, 2, 60)]
    await asyncio.sleep(0)
    clock.advance(2.5)
    await asyncio.gather(*sleepers[1:3])

    assert woken == [1, 2]
    clock.advance(57.5)
    await asyncio.gather(*sleepers)
    assert woken == [1, 2, 3, 60]


async def test_a_sleeper_who_gave_up_disturbs_nobody() -> None:
    """A cancelled sleep is forgotten."""
    clock = ManualClock()
    sleeper = asyncio.ensure_future(clock.sleep(1))
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.wait((sleeper,))

    clock.advance(2)

    assert clock.monotonic() == 2.0
    assert clock.now() == ManualClock().now() + 2_000_000
