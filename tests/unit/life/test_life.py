"""Start, signals, the watchdog and the end of a worker process."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest
import structlog

from service.adapters.clock import ManualClock
from service.adapters.memory import MemoryBroker, MemoryLedger, MemoryLog, MemoryPublisher
from service.adapters.memory_view import MemoryViewStore
from service.life import Life, LoopGuard, run_watched, stop_at_signals
from service.processing.health import Stuck
from service.processing.options import Options, Ports
from service.processing.values import Record
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
    ledger, snapshots = MemoryLedger(broker, "evse.ledger"), MemoryLedger(broker, "evse.snapshots")
    ports = Ports(log, MemoryPublisher(broker), MemoryViewStore(), clock, ledger, snapshots)
    return Worker(ports, Options())


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


async def test_what_is_waited_for_at_the_start_ends_with_the_life() -> None:
    """Nobody waits for a broker that hangs after a stop; an answer before is given, a failure is raised."""
    life = Life()

    async def answer() -> int:
        return 7

    async def fail() -> int:
        raise OSError("no")

    assert await life.unless_stopped(answer()) == 7
    with pytest.raises(OSError, match="no"):
        await life.unless_stopped(fail())
    hanging = asyncio.create_task(life.unless_stopped(asyncio.Event().wait()))
    await asyncio.sleep(0)
    life.stop()

    assert await hanging is None


async def test_a_pause_ends_when_the_life_does() -> None:
    """Nobody waits out a retry after a stop."""
    life = Life()
    pausing = asyncio.create_task(life.pause(3600))
    await asyncio.sleep(0)

    life.stop()

    await pausing


async def test_a_worker_that_was_cancelled_from_within_is_no_good_end(clock: ManualClock) -> None:
    """A part that raises a cancellation of its own ends the process with a word, like any other failure."""
    broker = MemoryBroker(TOPICS, clock)
    log = Standing(broker)
    running = asyncio.create_task(run_watched(worker_on(log, broker, clock), clock))
    await log.reached.wait()

    (working,) = (task for task in asyncio.all_tasks() if task.get_name() == "worker")
    working.cancel()

    with pytest.raises(Stuck, match="the task worker ended"):
        await running


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


async def test_a_task_that_ends_beside_the_worker_ends_the_process(clock: ManualClock) -> None:
    """A server or a probe that broke is named, and liveness fails while the worker ends in order."""
    broker = MemoryBroker(TOPICS, clock)
    log = Standing(broker, stubborn=True)
    worker = worker_on(log, broker, clock)

    async def serve() -> None:
        await log.reached.wait()
        raise RuntimeError("no sockets left")

    serving = asyncio.create_task(serve(), name="http")
    running = asyncio.create_task(run_watched(worker, clock, [serving], last_chance_s=10))
    await asyncio.wait((serving,))
    for _ in range(5):
        await asyncio.sleep(0)

    reasons = worker.health.live(clock.monotonic()).reasons
    log.released.set()
    with pytest.raises(Stuck, match="the task http ended, which the worker cannot do without") as ended:
        await running
    assert reasons == (str(ended.value),)
    assert repr(RuntimeError("no sockets left")) in reasons[0]


@pytest.mark.allow_error_logs
async def test_a_loop_that_stands_still_ends_the_process() -> None:
    """A thread beside it notices, and its last word says where the loop stands."""
    ended = threading.Event()

    with (
        structlog.testing.capture_logs() as lines,
        LoopGuard(limit_s=0.05, every_s=0.01, end_process=ended.set),
    ):
        assert ended.wait(timeout=20)  # on purpose: it blocks the loop, until the guard says so

    assert [(line["action"], line["log_level"]) for line in lines] == [("worker_stuck", "critical")]
    assert "test_a_loop_that_stands_still_ends_the_process" in lines[0]["stack"]


async def test_a_loop_that_turns_is_left_alone() -> None:
    """Each beat takes back what the guard has counted, and after the block nobody counts any more."""
    ended = threading.Event()
    loop = asyncio.get_running_loop()

    with LoopGuard(limit_s=60, every_s=3600, end_process=ended.set) as guard:
        guard._missed = 50
        guard._beat(loop)
        assert guard._missed == 0
    guard._watch()

    assert not ended.is_set()
