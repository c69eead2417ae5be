"""What is done is committed soon after, and not after every batch."""

from __future__ import annotations

import pytest

from service.processing.ports import Behind, Unavailable
from service.processing.values import TopicPartition
from tests.builders import status_reported
from tests.driver import Driver, with_options
from tests.faults import When

P0 = TopicPartition("evse.events", 0)


def with_two_done() -> Driver:
    """Give a driver that has taken two of three batches at once, each of one record."""
    driver = Driver(options=with_options(max_batch_records=1, commit_every_s=0.1))
    driver.write(status_reported("AVAILABLE", "12:00"))
    driver.settle()
    driver.clock.advance(1)
    for number in range(1, 4):
        driver.write(status_reported("CHARGING", f"12:0{number}", connector=f"c{number}"))
    for _ in range(2):
        driver.run(driver.worker.turn())
    return driver


def test_of_batches_that_come_at_once_the_first_is_committed() -> None:
    """The others wait for the next time, though they are in view and topics."""
    driver = with_two_done()

    assert driver.committed() == {0: 2}
    assert len(driver.transitions()) == 3


def test_what_waits_is_committed_with_what_comes_when_it_is_time() -> None:
    """By the worker's clock."""
    driver = with_two_done()
    driver.clock.advance(0.1)
    driver.run(driver.worker.turn())

    assert driver.committed() == {0: 4}


def test_what_waits_is_committed_as_soon_as_nothing_more_comes() -> None:
    """Whoever looks at the lag of a quiet topic finds none."""
    driver = with_two_done()
    driver.settle()

    assert driver.committed() == {0: 4}


def test_what_waits_is_committed_before_a_partition_goes() -> None:
    """Its next owner has nothing to do again."""
    driver = with_two_done()
    driver.run(driver.log.revoke())

    assert driver.committed() == {0: 3}


def test_a_partition_goes_although_what_waits_cannot_be_committed() -> None:
    """The next owner reads it again, and finds repeats."""
    driver = with_two_done()
    driver.faults.arm(0, When.BEFORE, Unavailable("no answer"))
    driver.run(driver.log.revoke())
    assert driver.committed() == {0: 2}
    before = driver.transitions()

    driver.run(driver.log.assign(frozenset({P0})))
    driver.settle()

    assert driver.committed() == {0: 4}
    assert driver.transitions()[: len(before)] == before


@pytest.mark.parametrize("loss", [Behind("the view has gone back"), Unavailable("no answer")])
def test_a_worker_that_is_told_to_stop_ends_although_what_waits_cannot_be_committed(
    loss: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, as its end is no bug: the next one reads it again."""

    async def has_started() -> None:
        pass

    driver = with_two_done()
    monkeypatch.setattr(driver.worker, "start", has_started)
    driver.worker.stop()
    driver.faults.arm_next("store.save_checkpoints", When.BEFORE, loss)

    driver.run(driver.worker.run())

    assert driver.committed() == {0: 2}
