"""Start, signals, the watchdog and the end of a worker process."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from service.adapters.clock import ManualClock
from service.adapters.memory import MemoryBroker, MemoryLog, MemoryPublisher
from service.adapters.memory_view import MemoryViewStore
from service.life import Life, run_watched, stop_at_signals
from service.processing.health import Stuck
from service.processing.options import Options, Ports
from service.processing.ports import Record
from service.processing.worker import Worker

TOPICS = {"evse.events": 1, "evse.snapshots": 1, "evse.transitions": 1, "evse.dead-letters": 1}


class Standing(MemoryLog):
    """A log whose fetch never comes back; `stubborn`: not even when it is cancelled."""

    def __init__(self, broker: MemoryBroker, *, stubborn: bool = False) -> None:
        super().__init__(broker, ["evse.events"])
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        self._stubborn = stubborn

    async def fetch(self, timeout_s: float, max_records: int) -> list[Record]:  # noqa: ARG002 - the port's
        self.reached.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            if self._stubborn:
                await self.released.wait()
            raise
        return []


def worker_on(log: MemoryLog, broker: MemoryBroker, clock: ManualClock) -> Worker:
    """Build a worker in memory."""
    return Worker(Ports(log, MemoryPublisher(broker), MemoryViewStore(), clock), Options())


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


def test_before_there_is_a_worker_the_process_is_live_and_not_ready() -> None:
    """A broker that is waited for restarts nobody, and the probe says what is waited for."""
    life = Life()
    life.waits("Kafka does not answer")

    assert life.live(0.0).ok
    assert life.ready(0.0).reasons == ("Kafka does not answer",)


async def test_a_worker_that_is_stopped_ends_well(clock: ManualClock) -> None:
    """`run_watched` returns, and the watchdog is gone with it."""
    broker = MemoryBroker(TOPICS, clock)
    life = Life()
    worker = worker_on(MemoryLog(broker, ["evse.events"]), broker, clock)
    life.works(worker)
    assert life.ready(0.0).reasons == worker.health.ready(0.0).reasons

    running = asyncio.create_task(run_watched(worker, clock))
    life.stop()
    await running

    assert life.stopped.is_set()


async def test_a_signal_before_the_worker_counts(clock: ManualClock) -> None:
    """Who was told to stop while waiting for the broker does not begin to work."""
    broker = MemoryBroker(TOPICS, clock)
    life = Life()
    life.stop()
    worker = worker_on(MemoryLog(broker, ["evse.events"]), broker, clock)

    life.works(worker)

    await run_watched(worker, clock)


async def test_sigterm_stops_the_life_in_order() -> None:
    """The signal is heard by the loop, not by the interpreter."""
    life = Life()
    stop_at_signals(life)

    os.kill(os.getpid(), signal.SIGTERM)
    await life.stopped.wait()

    loop = asyncio.get_running_loop()
    assert not loop.remove_signal_handler(signal.SIGTERM)
    assert loop.remove_signal_handler(signal.SIGINT)


async def test_a_pause_ends_when_the_life_does() -> None:
    """Nobody waits out a retry after a stop."""
    life = Life()
    pausing = asyncio.create_task(life.pause(3600))
    await asyncio.sleep(0)

    life.stop()

    await pausing


async def test_what_ends_the_worker_is_raised(clock: ManualClock) -> None:
    """An error of a part that waiting does not heal comes out as it is."""
    broker = MemoryBroker({}, clock)

    with pytest.raises(Exception, match=r"there is no topic evse\.events"):
        await run_watched(worker_on(MemoryLog(broker, ["evse.events"]), broker, clock), clock)


async def test_a_worker_without_progress_is_ended(clock: ManualClock) -> None:
    """The watchdog notices beside the loop; what stood still is cancelled and named."""
    broker = MemoryBroker(TOPICS, clock)
    log = Standing(broker)
    running = asyncio.create_task(run_watched(worker_on(log, broker, clock), clock))
    await log.reached.wait()

    for _ in range(14):
        clock.advance(5)
        await asyncio.sleep(0)

    with pytest.raises(Stuck, match="the loop has not turned for"):
        await running


@pytest.mark.allow_error_logs
async def test_a_worker_that_cannot_be_ended_takes_the_process_along(clock: ManualClock) -> None:
    """A call that does not even hear its cancellation would hold the process for ever."""
    broker = MemoryBroker(TOPICS, clock)
    log = Standing(broker, stubborn=True)
    running = asyncio.create_task(
        run_watched(worker_on(log, broker, clock), clock, last_chance_s=0.0, end_process=log.released.set)
    )
    await log.reached.wait()

    for _ in range(14):
        clock.advance(5)
        await asyncio.sleep(0)

    with pytest.raises(Stuck):
        await running
    assert log.released.is_set()
