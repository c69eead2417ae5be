"""What happens seldom: a view that runs ahead, records that come while waiting, bugs of ours, odd stores."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
import structlog

from service.adapters.memory_view import MemoryViewStore
from service.processing import rendering, steps
from service.processing.planning import Defect
from service.processing.ports import Unusable
from service.processing.values import SaveOutcome, ViewWrite
from tests.builders import event, status_reported
from tests.compiled import puts_a_bug_in
from tests.driver import Driver, with_options
from tests.unit.processing.test_crashes import outcome, told, undisturbed
from tests.unit.processing.test_rebalances import join, settle


def fail(*_: object, **__: object) -> None:
    """Be a bug."""
    raise ZeroDivisionError("of ours")


def test_records_that_come_while_waiting_are_processed_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that gives records of paused partitions loses none of them, and keeps their order."""
    driver = told(4)
    monkeypatch.setattr(driver.log, "pause", lambda _: None)
    driver.store.available = False
    driver.clock.at(30, lambda: setattr(driver.store, "available", True))
    driver.settle()

    assert outcome(driver) == outcome(undisturbed(4))
    assert driver.instruments.repeats == 0


def test_records_that_came_while_waiting_go_with_their_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch given up takes along what was read behind it; all of it is read again, in order."""
    driver = told(4)
    driver.restore()
    monkeypatch.setattr(driver.log, "pause", lambda _: None)
    _, heir = driver.new_worker()
    joining: list[asyncio.Future[None]] = []

    async def story() -> None:
        driver.store.available = False
        driver.clock.at(5, lambda: joining.append(asyncio.ensure_future(join(heir))))
        await driver.worker.turn()
        driver.store.available = True
        await joining[0]
        await settle(driver.worker, heir)

    driver.run(story())

    assert driver.instruments.given_up == 1
    assert outcome(driver) == outcome(undisturbed(4))


def test_a_batch_gives_way_to_who_writes_the_same_evses(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few rounds it is given up, forgotten, and read again."""
    driver = told(4)
    refused: list[int] = []
    save = MemoryViewStore.save

    async def refuse(store: MemoryViewStore, writes: Sequence[ViewWrite]) -> list[SaveOutcome]:
        if len(refused) < steps.SAVE_ROUNDS:
            refused.append(len(writes))
            return [SaveOutcome.STALE] * len(writes)
        return await save(store, writes)

    monkeypatch.setattr(MemoryViewStore, "save", refuse)
    driver.settle()

    assert driver.instruments.given_up == 1
    assert driver.instruments.stale == sum(refused)
    assert outcome(driver) == outcome(undisturbed(4))


def ahead(driver: Driver, *words: str, partition: int | None = None) -> MemoryViewStore:
    """Give the view as somebody else wrote it who read other records of e1."""
    other = Driver(partitions=2)
    for minute, word in enumerate(words):
        other.write(status_reported(word, f"12:{minute:02}"), partition=partition)
    other.settle()
    driver.store.evses = other.store.evses
    return other.store


def test_an_evse_that_turns_out_to_live_elsewhere_is_a_dead_letter() -> None:
    """Two workers met it first at the same time; the one whose write is refused learns of it."""
    driver = Driver(partitions=2)
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    elsewhere = 1 - driver.partition_of(b"e1")
    ahead(driver, "AVAILABLE", "PREPARING", "CHARGING", partition=elsewhere)
    driver.pipe(status_reported("OUTOFORDER", "12:30"))

    assert driver.reasons() == ["wrong_partition"]
    assert driver.view()["status"] == "CHARGING"
    assert list(driver.worker._states) == []


def test_the_tick_gives_way_to_a_view_that_is_ahead() -> None:
    """What is held is old: it is forgotten, and nothing of it is published."""
    driver = Driver(partitions=2, options=with_options(tick_interval_s=60))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    ahead(driver, "AVAILABLE", "PREPARING", "CHARGING")
    driver.advance(timedelta(minutes=2))

    assert driver.instruments.stale == 1
    assert len(driver.snapshots()) == 1
    assert driver.view()["status"] == "CHARGING"


def test_a_state_of_another_version_is_refused_with_its_uid() -> None:
    """To fold on from what cannot be read would be a guess."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.store.evses["e1"].state = b"[999]"
    driver.crash()
    driver.restart()

    with pytest.raises(Unusable, match=r"EVSE 'e1' cannot be read: .*another version"):
        driver.pipe(status_reported("CHARGING", "12:01"))
    assert driver.committed() == {0: 1}


def test_a_bug_in_decoding_is_told_with_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever our code does with a record, the worker stops at it."""
    driver = Driver()
    monkeypatch.setattr(steps, "decode", fail)

    with pytest.raises(Defect, match="partition 0, offset 0"):
        driver.pipe(status_reported("AVAILABLE", "12:00"))


@puts_a_bug_in
def test_a_bug_in_the_tick_is_told_with_its_evse(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no record to name."""
    driver = Driver(options=with_options(tick_interval_s=60))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    monkeypatch.setattr(rendering, "document", fail)

    with pytest.raises(Defect, match=r"while it refreshed the numbers \(EVSE 'e1'\)"):
        driver.advance(timedelta(minutes=2))


def test_an_outage_shows_though_there_is_nothing_to_do() -> None:
    """A worker without records asks its parts now and then, and is ready again by itself."""
    driver = Driver()
    driver.settle()
    driver.store.available = driver.broker.available = False
    driver.advance(timedelta(seconds=10))
    health, now = driver.worker.health, driver.clock.monotonic()

    assert health.live(now).ok
    assert health.ready(now).reasons == (
        "log does not answer: the broker does not answer",
        "store does not answer: the view does not answer",
    )
    driver.store.available = driver.broker.available = True
    driver.advance(timedelta(seconds=10))
    assert health.ready(driver.clock.monotonic()).ok


def test_a_bad_field_of_an_inventory_costs_only_that_field() -> None:
    """The rest of the EVSE is taken."""
    driver = Driver()
    evse = {"connectors": [{"uid": "c1"}], "coordinates": {"latitude": "50.7", "longitude": "4.350000"}}
    driver.pipe(event("evse.upserted", "12:00", evse=evse))

    assert driver.reasons() == []
    assert [each["uid"] for each in driver.view()["evse"]["connectors"]] == ["c1"]
    assert "latitude" not in driver.view()["evse"].get("coordinates", {})


def test_the_survey_does_not_ask_at_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every five seconds of the clock is enough."""
    driver = Driver()
    asked = []

    async def count(_: MemoryViewStore) -> None:
        asked.append(driver.clock.monotonic())

    driver.settle()
    monkeypatch.setattr(MemoryViewStore, "ping", count)
    for _ in range(20):
        driver.advance(timedelta(seconds=1))

    assert 3 <= len(asked) <= 5


def test_each_status_in_an_unknown_word_is_counted_and_each_word_logged_once() -> None:
    """An alert sees how many there are, and the log has the word and what was meant."""
    driver = Driver()

    with structlog.testing.capture_logs() as lines:
        driver.pipe(*(status_reported("Available", f"12:0{number}") for number in range(3)))

    assert driver.instruments.unknown_statuses == 3
    [told] = [line["event"] for line in lines if line.get("action") == "unknown_status"]
    assert "'Available' is no status; did you mean AVAILABLE?" in told


def test_a_bad_field_of_an_inventory_is_counted_and_costs_only_itself() -> None:
    """Coordinates with too few decimals are left out of the view; the rest of the inventory counts."""
    driver = Driver()
    place = {"latitude": "1.2", "longitude": "3.00000"}

    driver.pipe(event("evse.upserted", "12:00", evse={"uid": "e1", "floor_level": "2", "coordinates": place}))

    (snapshot,) = driver.snapshots()
    assert snapshot is not None
    evse = snapshot["evse"]
    assert (evse["floor_level"], "coordinates" in evse) == ("2", False)
    assert driver.instruments.left_out == 1
