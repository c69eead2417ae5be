"""Health that means progress (promise P9)."""

from __future__ import annotations

import asyncio

import pytest

from service.adapters.clock import ManualClock
from service.processing.health import Health, HealthLimits, Stuck, Witness, watch
from service.processing.instruments import Part
from service.processing.values import TopicPartition

P0 = TopicPartition("evse.events", 0)
P1 = TopicPartition("evse.events", 1)
LIMITS = HealthLimits(loop_s=60, partition_s=120)


def joined(*partitions: TopicPartition) -> Health:
    """Give the health of a worker that joined and restored at 0 s."""
    health = Health(LIMITS, 0)
    health.assigned(partitions, 0)
    for partition in partitions:
        health.restored(partition)
    return health


def test_a_new_worker_is_live_and_not_ready() -> None:
    """Before it joins nothing is wrong, and nothing works."""
    health = Health(LIMITS, 0)

    assert health.live(0).ok
    assert health.ready(0).reasons == ("has not joined the consumer group yet",)


def test_no_partition_is_a_valid_assignment() -> None:
    """A worker that is one too many is ready."""
    assert joined().ready(0).ok


def test_an_unrestored_partition_is_not_ready() -> None:
    """Until what is kept of each partition came back, records are not processed."""
    health = joined(P0)
    health.assigned([P1], 0)

    assert health.ready(0).reasons == ("1 of 2 assigned partitions are not restored yet",)
    health.restored(P1)
    assert health.ready(0).ok


def test_a_loop_that_does_not_turn_is_not_live() -> None:
    """After the limit, and not before."""
    health = joined()
    health.turned(100)

    assert health.live(160).ok
    assert health.live(161).reasons == ("the loop has not turned for 61 s",)
    assert not health.ready(161).ok


def test_a_partition_that_stands_though_records_wait_is_not_live() -> None:
    """The loop may turn as it likes."""
    health = joined(P0, P1)
    for now in range(0, 200, 10):
        health.turned(now)
        health.seen(P0, 5, 10, now)
        health.seen(P1, now, 1000, now)

    assert health.live(120).ok
    assert health.live(195).reasons == ("evse.events[0] stands at offset 5 for 195 s although records wait",)
    with pytest.raises(Stuck, match=r"evse.events\[0\] stands at offset 5"):
        health.check(195)


def test_a_partition_without_records_may_stand() -> None:
    """Nothing to do is no lack of progress; the time runs from when there is something."""
    health = joined(P0)
    for now in range(0, 1000, 10):
        health.turned(now)
        health.seen(P0, 5, 5, now)
    health.seen(P0, 5, 6, 1000)
    health.turned(1100)

    assert health.live(1100).ok
    assert not health.live(1111).ok


def test_a_partition_whose_position_never_becomes_known_is_not_live() -> None:
    """A consumer that is stuck after a rejoin has no position."""
    health = joined(P0)
    health.seen(P0, None, 3, 10)
    health.turned(140)

    assert not health.live(140).ok


def test_waiting_for_a_part_outside_is_live_and_not_ready() -> None:
    """Restarting the worker would not bring Redis back."""
    health = joined(P0)
    health.seen(P0, 5, 10, 0)
    health.blocked(Part.STORE, "connection refused")
    health.turned(1000)

    assert health.live(1000).ok
    assert health.ready(1000).reasons == ("store does not answer: connection refused",)


def test_after_an_outage_a_partition_has_its_full_time_again() -> None:
    """What stood for an hour because of Redis is not stuck the second Redis is back."""
    health = joined(P0)
    health.seen(P0, 5, 10, 0)
    health.blocked(Part.STORE, "connection refused")
    health.turned(1000)

    assert health.recovered(Part.STORE, 1000)
    assert not health.recovered(Part.STORE, 1000)
    assert health.ready(1001).ok
    health.turned(1121)
    assert not health.live(1121).ok


def test_a_part_answers_when_every_witness_says_so() -> None:
    """What the probe hears does not undo what the loop waits for, and the loop's word is the one shown."""
    health = joined(P0)
    health.blocked(Part.PUBLISHER, "no answer to a question", Witness.PROBE)
    health.blocked(Part.PUBLISHER, "not acknowledged")

    assert not health.recovered(Part.PUBLISHER, 10, Witness.PROBE)
    assert health.ready(10).reasons == ("publisher does not answer: not acknowledged",)
    assert health.recovered(Part.PUBLISHER, 10)
    assert health.ready(10).ok


def test_a_call_that_hangs_with_its_part_is_no_standstill() -> None:
    """While the probe misses a part the loop need not turn; once it is back, the full time runs anew."""
    health = joined(P0)
    health.blocked(Part.STORE, "no answer", Witness.PROBE)
    assert health.live(1000).ok

    health.recovered(Part.STORE, 1000, Witness.PROBE)

    assert health.live(1060).ok
    assert health.live(1061).reasons == ("the loop has not turned for 61 s",)


def test_a_loop_that_waits_has_to_turn() -> None:
    """Whoever only says of himself that he waits is not excused from turning."""
    health = joined(P0)
    health.blocked(Part.STORE, "no answer")

    assert not health.live(61).ok


def test_a_revoked_partition_is_forgotten() -> None:
    """What belongs to another worker does not make this one ill."""
    health = joined(P0)
    health.seen(P0, 5, 10, 0)
    health.revoked([P0])
    health.assigned([], 0)
    health.seen(P0, 5, 10, 0)
    health.turned(1000)

    assert health.ready(1000).ok


def test_between_two_assignments_a_worker_is_not_ready() -> None:
    """Nobody knows then what it owns: a rebalance that never ends would leave partitions to nobody."""
    health = joined(P0)
    health.revoked([P0])

    assert health.live(1).ok
    assert health.ready(1).reasons == ("is between two assignments: the group's rebalance has not ended",)
    health.assigned([], 2)
    assert health.ready(2).ok


async def later(clock: ManualClock, seconds: float) -> None:
    """Let time pass, and the watch look at what it did."""
    clock.advance(seconds)
    for _ in range(3):
        await asyncio.sleep(0)


async def test_the_watch_ends_with_what_stands_still() -> None:
    """It sleeps on the clock, and raises when the loop has not turned for too long."""
    clock = ManualClock()
    watching = asyncio.ensure_future(watch(joined(), clock, every_s=5))
    await later(clock, 0)
    for _ in range(12):
        await later(clock, 5)
    assert not watching.done()
    await later(clock, 5)

    with pytest.raises(Stuck, match="the loop has not turned for 65 s"):
        await watching


async def test_a_process_that_was_stopped_is_no_loop_that_stands_still() -> None:
    """Who slept through a minute, too, gives everything its full time again."""
    clock = ManualClock()
    health = joined(P0)
    health.seen(P0, 5, 10, 0)
    watching = asyncio.ensure_future(watch(health, clock, every_s=5))
    await later(clock, 0)

    await later(clock, 600)
    assert not watching.done()
    assert health.live(clock.monotonic()).ok
    for _ in range(13):
        await later(clock, 5)

    with pytest.raises(Stuck):
        await watching
