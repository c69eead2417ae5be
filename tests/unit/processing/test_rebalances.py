"""Partitions come and go: what is in hand is finished, what went is forgotten, a zombie does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from service.adapters.memory import MemoryLog
from service.processing.restored import Restored
from service.processing.values import TopicPartition
from service.processing.worker import Worker
from tests.builders import status_reported
from tests.driver import GROUP, Driver, with_options
from tests.faults import Crash, When
from tests.unit.processing.test_crashes import STORY, outcome, told, undisturbed


async def settle(*workers: Worker) -> None:
    """Let workers take turns until none finds anything."""
    while sum([await worker.turn() for worker in workers]):
        pass


def second_worker(driver: Driver) -> tuple[MemoryLog, Worker]:
    """Give another member of the group, joined."""
    log, worker = driver.new_worker()
    driver.run(worker.start())
    return log, worker


async def join(worker: Worker) -> None:
    """Let a worker join its group without having asked for its other parts."""
    await worker._ports.log.start(worker._on_assigned, worker._on_revoked)


class Meanwhile:
    """Begins something in the midst of a batch, and lets it run as far as it comes."""

    def __init__(self, work: Awaitable[object]) -> None:
        self._work = work
        self._task: asyncio.Future[object] | None = None

    async def begin(self) -> None:
        self._task = asyncio.ensure_future(self._work)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not self._task.done(), "it did not wait for the batch"

    async def end(self) -> None:
        assert self._task is not None, "it never began"
        await self._task


def test_two_workers_share_the_partitions() -> None:
    """Each has its half, and together they do what one would."""
    driver = told(4)
    log, worker = second_worker(driver)
    driver.run(settle(driver.worker, worker))

    assert len(log.assignment()) == len(driver.log.assignment()) == 1
    assert outcome(driver) == outcome(undisturbed(4))


@pytest.mark.parametrize("call", range(5))
def test_a_revocation_waits_for_the_batch_in_hand(call: int) -> None:
    """A second worker joins at each step of a batch: it is finished and committed before anything goes."""
    driver = told(len(STORY))
    driver.restore()
    _, worker = driver.new_worker()

    async def story() -> None:
        joining = Meanwhile(worker.start())
        driver.faults.arm(call, When.BEFORE, joining.begin)
        await driver.worker.turn()
        await joining.end()
        assert driver.committed() == driver.committed() != {}
        await settle(driver.worker, worker)

    driver.run(story())

    assert driver.instruments.repeats == 0
    assert outcome(driver) == outcome(undisturbed(4))


@pytest.mark.parametrize("call", range(5))
def test_a_batch_that_takes_too_long_is_not_waited_for(call: int) -> None:
    """Beyond the budget the partitions go; the guard and the new owner see to the rest."""
    driver = told(len(STORY))
    driver.options = with_options(max_batch_records=len(STORY), drain_budget_s=0)
    driver.crash()
    driver.restart()
    driver.restore()
    _, worker = driver.new_worker()

    async def story() -> None:
        driver.faults.arm(call, When.BEFORE, worker.start)
        await driver.worker.turn()
        await settle(driver.worker, worker)

    driver.run(story())

    assert outcome(driver) == outcome(undisturbed(4))


P0 = TopicPartition("evse.events", 0)

FIRST = status_reported("CHARGING", "12:04", uid="e2")
AWAY = [
    status_reported("CHARGING", "12:05", uid="e1"),
    status_reported("OUTOFORDER", "12:06", uid="e1"),
]
LAST = status_reported("AVAILABLE", "12:10", uid="e1")


def with_two() -> Driver:
    """Give a worker that nobody waits for, which holds two EVSEs of its one partition."""
    driver = Driver(partitions=1, options=with_options(drain_budget_s=0, commit_every_s=0.0))
    driver.pipe(*(status_reported("AVAILABLE", "12:00", uid=uid) for uid in ("e1", "e2")))
    return driver


@pytest.mark.parametrize("call", ["store.save", "publisher.publish", "log.commit"])
@pytest.mark.parametrize("when", When)
def test_what_another_took_further_while_a_batch_was_in_hand_is_not_undone(call: str, when: When) -> None:
    """The partition goes in the midst of a batch and is back before its end: what was held is void."""
    undisturbed = with_two()
    undisturbed.pipe(FIRST, *AWAY, LAST)
    driver = with_two()
    group = driver.broker.group(GROUP)
    other_log, other = driver.new_worker()

    async def go_and_come_back() -> None:
        await group.put_out(driver.log)
        await other.start()
        for event in AWAY:
            driver.write(event)
        await settle(other)
        await other.close()
        await group.join(driver.log)

    driver.write(FIRST)
    driver.faults.arm_next(call, when, go_and_come_back)
    driver.run(settle(driver.worker))
    driver.write(LAST)
    driver.run(settle(driver.worker))

    assert not other_log.assignment()
    assert outcome(driver) == outcome(undisturbed)


def test_a_partition_that_comes_back_in_the_midst_of_a_batch_keeps_its_checkpoint() -> None:
    """What is kept of its ingest and its bases is not wiped by a worker that has not restored it yet."""
    driver = with_two()
    driver.advance(timedelta(days=1))
    before = driver.store.checkpoints[P0]
    assert before.mark is not None
    signed = driver.broker.group(GROUP).signed[P0]

    async def go_and_come_back() -> None:
        await driver.broker.group(GROUP).put_out(driver.log)
        await driver.broker.group(GROUP).join(driver.log)

    driver.write(status_reported("CHARGING", "12:04", uid="e9"))  # not in memory: it has to be loaded
    driver.faults.arm_next("store.load", When.AFTER, go_and_come_back)
    driver.run(driver.worker.turn())
    now = driver.store.checkpoints[P0]
    assert (now.mark, bool(now.ingest)) == (before.mark, True)
    driver.run(settle(driver.worker))

    now = driver.store.checkpoints[P0]
    assert (now.next_offset, now.mark, bool(now.ingest)) == (3, before.mark, True)
    assert replace(driver.broker.group(GROUP).signed[P0], next_offset=0) == replace(signed, next_offset=0)


def meanwhile_in(
    monkeypatch: pytest.MonkeyPatch, log: MemoryLog, question: str, work: Callable[[], Awaitable[object]]
) -> None:
    """Let something happen while the next question of this name is asked, once."""
    ask = getattr(log, question)

    async def asked(partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        monkeypatch.undo()
        answer: dict[TopicPartition, int] = await ask(partitions)
        await work()
        return answer

    monkeypatch.setattr(log, question, asked)


def test_a_partition_that_goes_while_the_broker_is_asked_leaves_no_lag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A number that nobody renews would be read for all of its log, until the process ends."""
    driver = Driver(partitions=2, options=with_options(drain_budget_s=0, commit_every_s=0.0))
    driver.pipe(*(status_reported("AVAILABLE", "12:00", uid=f"e{number}") for number in range(20)))
    _, other = driver.new_worker()
    driver.clock.advance(10)

    meanwhile_in(monkeypatch, driver.log, "end_offsets", other.start)
    driver.run(driver.worker.turn())
    driver.clock.advance(10)
    driver.run(driver.worker.turn())

    assert len(driver.log.assignment()) == 1
    assert set(driver.instruments.lags) == driver.log.assignment()


@pytest.mark.allow_error_logs
def test_a_partition_that_goes_while_it_is_asked_whether_its_log_was_cut_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its next owner finds the cut, and this worker goes on."""
    driver = with_two()
    group = driver.broker.group(GROUP)
    for _ in range(3):
        driver.write(status_reported("CHARGING", "12:04", uid="e1"))
    driver.broker.cut(P0, 4)

    meanwhile_in(monkeypatch, driver.log, "begin_offsets", partial(group.put_out, driver.log))
    driver.run(driver.worker.turn())

    assert not driver.log.assignment()
    driver.run(group.join(driver.log))
    driver.run(settle(driver.worker))
    assert driver.committed() == {0: 5}


def test_what_went_is_forgotten() -> None:
    """States and lag of a revoked partition are its new owner's."""
    driver = Driver(partitions=2)
    driver.pipe(*(status_reported("AVAILABLE", "12:00", uid=f"e{number}") for number in range(20)))
    log, _ = second_worker(driver)
    driver.advance(timedelta(seconds=10))

    [kept] = driver.log.assignment()
    assert log.assignment() == {TopicPartition("evse.events", 1 - kept.partition)}
    held = {driver.worker._states.peek(uid) for uid in driver.worker._states}
    assert {each.state.partition for each in held if each} <= {kept.partition}
    assert set(driver.instruments.lags) == {kept}


def test_an_outage_does_not_hold_up_a_rebalance() -> None:
    """A batch that waits for Redis is given up when a partition goes, and read again by who owns it."""
    driver = told(4)
    driver.restore()
    _, worker = driver.new_worker()

    async def story() -> None:
        joining: list[asyncio.Future[None]] = []
        driver.store.available = False
        start = driver.clock.monotonic()
        driver.clock.at(start + 5, lambda: joining.append(asyncio.ensure_future(join(worker))))
        await driver.worker.turn()
        assert driver.instruments.given_up == 1
        driver.store.available = True
        await joining[0]
        await settle(driver.worker, worker)

    driver.run(story())

    assert outcome(driver) == outcome(undisturbed(4))


def zombie_story(driver: Driver, call: int) -> None:
    """Let the group take a worker for dead in the midst of a batch, an heir finish, and it go on."""
    driver.restore()
    _, heir = driver.new_worker()
    zombie = driver.worker

    async def taken_for_dead() -> None:
        await driver.log.expel()
        await heir.start()
        await settle(heir)

    async def story() -> None:
        driver.faults.arm(call, When.BEFORE, taken_for_dead)
        await zombie.turn()

    driver.run(story())


@pytest.mark.parametrize("call", [0, 1, 3, 4])
def test_a_zombies_late_writes_change_nothing(call: int) -> None:
    """
    The guard refuses what the heir has overtaken, and the zombie then publishes what is current.

    Its checkpoint may go back, which has records read again and nothing else. XXX: a zombie that was held up
    between save and send (call 2) still sends what is old; the slow tick heals that.
    """
    driver = told(4)
    zombie_story(driver, call)

    expected = outcome(undisturbed(4))
    assert outcome(driver) | {"checkpoints": ...} == expected | {"checkpoints": ...}


def test_a_stale_write_is_counted() -> None:
    """The view was ahead of the worker, and that shows."""
    driver = told(4)
    zombie_story(driver, call=1)

    assert driver.instruments.stale == 1


def test_a_worker_that_holds_an_old_state_goes_on_with_the_stored_one() -> None:
    """It forgets what it held, loads, and folds what the store does not have."""
    story = [
        status_reported("AVAILABLE", "12:00"),
        status_reported("PREPARING", "12:01"),
        status_reported("CHARGING", "12:02"),
        status_reported("FINISHING", "12:03"),
    ]
    driver, ahead = Driver(options=with_options(max_batch_records=2)), Driver()
    driver.pipe(story[0])
    ahead.pipe(*story)
    driver.store.evses = ahead.store.evses
    driver.pipe(*story[1:], status_reported("AVAILABLE", "12:04"))

    assert (driver.instruments.stale, driver.instruments.repeats) == (1, 3)
    assert (driver.view()["revision"], driver.view()["status"]) == (5, "AVAILABLE")
    assert driver.transitions()[-1]["to_status"] == "AVAILABLE"


def test_a_crash_in_a_rebalance_changes_nothing() -> None:
    """The worker dies while another joins; the other does the rest."""
    for call in range(12):
        driver = told(4)
        _, worker = second_worker(driver)
        driver.faults.arm(call, When.AFTER, Crash())
        with pytest.raises(Crash):
            driver.run(settle(driver.worker, worker))
        driver.crash()
        driver.run(worker.close())
        driver.restart()
        driver.settle()

        assert outcome(driver) == outcome(undisturbed(4))


def test_nothing_is_taken_of_a_partition_that_went_and_came_back_while_another_was_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not restored yet, so what is in hand of it would be taken for what comes next."""
    driver = told(4)
    assignment, restoring = driver.worker._assignment, driver.worker._restoring
    first, other = sorted(driver.log.assignment())
    restore_partition = restoring.partition
    asked: list[int] = []

    async def restore(number: int, *args: Any, **options: Any) -> Restored:
        asked.append(number)
        if asked == [first.partition]:
            assignment.drop([other])
            assignment.assign([first, other])
        return await restore_partition(number, *args, **options)

    monkeypatch.setattr(restoring, "partition", restore)
    driver.run(driver.worker.turn())

    progress = assignment.progress()
    assert asked == [first.partition]
    assert (progress[first].restored, progress[other].restored) == (True, False)
    assert progress[other].done == 0
    driver.run(settle(driver.worker))
    assert outcome(driver) == outcome(undisturbed(4))
