"""Topics that were deleted and created again under a worker, or between two, told by their ids (P7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from service.processing.ports import Unusable
from service.processing.values import Commit, Message, Record, Resend, TopicPartition
from tests.builders import event, removed, status_reported
from tests.driver import Driver, with_options
from tests.faults import Crash, When
from tests.unit.processing.test_remnants import PAST, gaps_of, lose_the_topic
from tests.unit.processing.test_restoring import (
    come_back,
    lose,
    of_a_week,
    one_day,
    rebuild,
    settle_and_survey,
)

P0 = TopicPartition("evse.events", 0)


def kept(driver: Driver) -> dict[str, object]:
    """Give what the compacted ledger holds: closed history whole, of bases and marks that there are some."""
    found: dict[str, object] = {}
    for record in driver.written("evse.ledger"):
        key = (record.key or b"").decode()
        found.pop(key, None)
        if record.value is not None:
            is_plain = not key.startswith(('["base"', '["mark"', '["epoch"'))
            found[key] = orjson.loads(record.value) if is_plain else key
    return found


def commit_of(driver: Driver) -> Commit | None:
    """Give what the group has committed."""
    return driver.broker.group("evse-status").commit_of(P0)


def full() -> Driver:
    """Give a driver with nine days of history, a removed EVSE, and bases in the ledger."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    gap = {"from": "2026-01-05T12:00:00Z", "until": "2026-01-05T13:00:00Z"}
    driver.pipe(*PAST, event("observation.gap", "13:00") | gap)
    for day in range(2):
        one_day(driver, day)
    return driver


def send_late(driver: Driver, written: Iterable[Record], *begins: bytes) -> None:
    """Let records of the ledger whose keys begin so come a second time, as from an owner before."""
    late = [each for each in written if (each.key or b"").startswith(begins)]
    messages = [Message(each.topic, each.partition, each.key, each.value) for each in late]
    driver.run(driver.publisher.publish(messages))


def crash_and_come_back(driver: Driver, call: int, when: When) -> None:
    """Let the worker end at a call while it restores what is lost, and the next one end what was begun."""

    async def strike() -> None:
        await driver.log.expel()
        raise Crash

    driver.faults.arm(call, when, strike)
    try:
        come_back(driver)
    except Crash:
        driver.restart()
    for _ in range(3):
        come_back(driver)


@pytest.mark.parametrize("runs", [True, False], ids=["under a worker", "between two"])
def test_a_ledger_that_was_deleted_is_written_anew_from_the_view(runs: bool) -> None:
    """Closed days and outages, exclusions, gaps, removals, and the base of every EVSE."""
    driver = full()
    before, revision = kept(driver), driver.view()["revision"]
    if not runs:
        driver.stop()
    driver.broker.recreate("evse.ledger")
    if not runs:
        driver.restart()
    come_back(driver)
    come_back(driver)

    assert kept(driver) == before
    assert driver.view()["revision"] == revision
    found = commit_of(driver)
    assert found is not None
    assert (found.resend, found.ledger) == (Resend.NOTHING, driver.broker.id_of("evse.ledger"))


@pytest.mark.parametrize("topic", ["evse.ledger", "evse.snapshots"])
def test_a_topic_that_came_back_as_another_kind_ends_the_worker(topic: str) -> None:
    """A broker that creates topics unasked makes one that deletes what was written once."""
    driver = full()

    async def refuse() -> None:
        raise Unusable(f"topic {topic} has cleanup.policy delete and needs compact")

    driver.check_topics = refuse
    come_back(driver)
    driver.broker.recreate(topic)

    with pytest.raises(Unusable, match="needs compact"):
        come_back(driver)


def test_a_view_that_is_lost_later_comes_back_from_the_ledger_that_was_written_anew() -> None:
    """Though the log does not reach back to the first of it."""
    driver = full()
    driver.broker.recreate("evse.ledger")
    come_back(driver)
    come_back(driver)
    before = {uid: driver.view(uid) for uid in ("e1", "e2")}
    driver.broker.cut(P0, driver.broker.end(P0))
    lose(driver)
    come_back(driver)

    assert {uid: driver.view(uid) for uid in ("e1", "e2")} == before
    assert gaps_of(driver, "e1") == [("2026-01-05T12:00:00Z", "2026-01-05T13:00:00Z")]


@pytest.mark.parametrize("call", range(14))
@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
def test_a_crash_while_the_ledger_is_written_anew_forgets_nothing(call: int, when: When) -> None:
    """What was begun is in the commit: the next worker goes on, and no mark stands before all is there."""
    driver = full()
    before = kept(driver)
    driver.broker.recreate("evse.ledger")
    crash_and_come_back(driver, call, when)

    assert kept(driver) == before


@pytest.mark.parametrize("call", range(20))
@pytest.mark.parametrize("topic", ["evse.ledger", "evse.snapshots"])
def test_a_view_lost_while_a_topic_is_written_anew_is_sent_when_it_is_back(call: int, topic: str) -> None:
    """What was sent of a view that had gone is nothing, and is not taken for all."""
    driver = full()

    def told() -> set[bytes]:
        """Give the keys there are; bases may come when a day closes, where the log holds what they would."""
        keys = {record.key or b"" for record in driver.written(topic)}
        return {key for key in keys if not key.startswith(b'["base"')}

    before = told()
    driver.broker.recreate(topic)

    async def strike() -> None:
        lose(driver)

    driver.faults.arm(call, When.BEFORE, strike)
    come_back(driver)
    come_back(driver)
    driver.faults.disarm()
    come_back(driver)
    come_back(driver)

    assert told() == before


def lose_a_node(driver: Driver) -> None:
    """Lose what a node of a cluster had: who lives in the partition and how far it is, and not the EVSEs."""
    view = driver.server.view
    view.members.clear()
    view.checkpoints.clear()
    view.trails.clear()


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
@pytest.mark.parametrize("call", range(24))
def test_a_crash_before_all_is_read_again_sends_the_history_of_all(call: int, when: When) -> None:
    """Only who has been read of is known to live in the partition; the next worker waits as long."""
    driver = full()
    before = kept(driver)
    driver.options = replace(driver.options, max_batch_records=10)
    driver.broker.recreate("evse.ledger")
    lose_a_node(driver)
    crash_and_come_back(driver, call, when)

    assert kept(driver) == before


def test_bases_are_written_anew_though_an_owner_before_says_that_they_stand() -> None:
    """It knew the old ledger alone, and its checkpoint came after the next owner had begun the new one."""
    driver = full()
    driver.run(driver.store.begin())
    before, stale = kept(driver), driver.run(driver.store.load_checkpoint(P0))
    assert stale is not None
    assert stale.mark is not None
    driver.stop()
    driver.broker.recreate("evse.ledger")
    driver.restart()
    while (found := commit_of(driver)) is None or found.resend is not Resend.HISTORY:
        driver.run(driver.worker.turn())
    driver.run(driver.store.save_checkpoints({P0: stale}))
    driver.run(driver.log.expel())
    driver.restart()
    for _ in range(3):
        come_back(driver)

    assert kept(driver) == before


def test_bases_that_came_before_the_history_they_need_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner before wrote them into the new ledger, and the view is lost before its history is there."""
    driver = full()
    views = {uid: driver.view(uid) for uid in ("e1", "e2")}
    before, written = kept(driver), driver.written("evse.ledger")
    driver.stop()
    driver.broker.recreate("evse.ledger")
    driver.restart()

    async def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(driver.worker._steps, "resend", crash)
        with pytest.raises(Crash):
            come_back(driver)
    found = commit_of(driver)
    assert found is not None
    assert found.resend is Resend.HISTORY
    send_late(driver, written, b'["base"', b'["mark"')
    driver.run(driver.log.expel())
    lose(driver)
    driver.restart()
    for _ in range(3):
        come_back(driver)

    assert {uid: driver.view(uid) for uid in views} == views
    assert kept(driver) == before


def test_a_mark_that_came_without_its_bases_is_none() -> None:
    """
    It was on its way when the ledger was deleted; the view is lost when the history is there, and no base is.

    The log is whole, so nothing is lost.
    """
    driver = full()
    views = {uid: driver.view(uid) for uid in ("e1", "e2")}
    before, written = kept(driver), driver.written("evse.ledger")
    driver.broker.recreate("evse.ledger")
    send_late(driver, written, b'["mark"')
    lose(driver)
    for _ in range(3):
        come_back(driver)

    assert {uid: driver.view(uid) for uid in views} == views
    assert kept(driver) == before


def test_a_mark_that_came_without_its_bases_goes_when_the_ledger_is_written_anew() -> None:
    """So that it cannot be taken for one of what is written next."""
    driver = full()
    driver.stop()
    written = driver.written("evse.ledger")
    driver.broker.recreate("evse.ledger")
    send_late(driver, written, b'["mark"')
    driver.restart()
    while (found := commit_of(driver)) is None or found.resend is not Resend.HISTORY:
        driver.run(driver.worker.turn())

    assert '["mark","evse.events"]' not in kept(driver)


def test_a_ledger_lost_with_the_view_after_a_rebuild_costs_nothing_while_the_log_is_the_first() -> None:
    """The group's commits know of the rebuild, and that no other log went before."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    driver.pipe(*PAST)
    rebuild(driver)
    come_back(driver)
    before, view = driver.ledger(), {uid: driver.view(uid) for uid in ("e1", "e2")}
    driver.stop()
    driver.broker.recreate("evse.ledger")
    lose(driver)
    driver.restart()
    for _ in range(3):
        come_back(driver)

    assert {uid: driver.view(uid) for uid in ("e1", "e2")} == view
    assert driver.ledger() == before
    assert driver.server.view.epochs.generation == 1


def test_a_ledger_lost_with_the_view_after_another_log_stops_the_worker() -> None:
    """What that log said was in view and ledger; a rebuild goes on from the last snapshots."""
    driver = of_a_week()
    driver.stop()
    lose_the_topic(driver)
    rebuild(driver, "evse.events")
    driver.write(status_reported("FINISHING", "00:05", day=8))
    driver.restart()
    come_back(driver)
    revision = driver.view()["revision"]
    driver.stop()
    driver.broker.recreate("evse.ledger")
    lose(driver)
    driver.restart()

    with pytest.raises(Unusable, match=r"rebuild 1.*evse-status rebuild"):
        driver.settle()

    assert revision > 1


def test_a_ledger_lost_with_the_view_costs_nothing_while_the_log_is_whole() -> None:
    """All of it is folded again."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    driver.pipe(*PAST)
    before, view = driver.ledger(), {uid: driver.view(uid) for uid in ("e1", "e2")}
    driver.stop()
    driver.broker.recreate("evse.ledger")
    lose(driver)
    driver.restart()
    come_back(driver)

    assert {uid: driver.view(uid) for uid in ("e1", "e2")} == view
    assert driver.ledger() == before


@pytest.mark.parametrize("name", ["evse.ledger", "evse.snapshots"])
def test_a_topic_of_its_own_that_is_gone_for_good_ends_the_worker(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one creates it, and writes to it all that the view holds."""
    driver = full()
    settle_and_survey(driver)
    told = driver.broker.id_of
    monkeypatch.setattr(driver.broker, "id_of", lambda topic: None if topic == name else told(topic))

    settle_and_survey(driver)
    settle_and_survey(driver)

    with pytest.raises(Unusable, match=rf"there is no topic {name}.*start the worker"):
        settle_and_survey(driver)


@pytest.mark.parametrize("runs", [True, False], ids=["under a worker", "between two"])
def test_snapshots_that_were_deleted_are_sent_again_from_the_view(runs: bool) -> None:
    """The last of every EVSE, which the topic would else not hold until the next tick, and no more."""
    driver = full()
    before = {uid: each for uid, each in driver.last_snapshots().items() if each is not None}
    entries = kept(driver)
    if not runs:
        driver.stop()
    driver.broker.recreate("evse.snapshots")
    if not runs:
        driver.restart()
    come_back(driver)
    come_back(driver)

    assert {uid: each for uid, each in driver.last_snapshots().items() if each is not None} == before
    assert kept(driver) == entries
    found = commit_of(driver)
    assert found is not None
    assert (found.resend, found.snapshots) == (Resend.NOTHING, driver.broker.id_of("evse.snapshots"))


@pytest.mark.parametrize("call", range(8))
@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
def test_a_crash_while_snapshots_are_sent_again_forgets_none(call: int, when: When) -> None:
    """What was begun is in the commit: the next worker goes on."""
    driver = full()
    before = driver.last_snapshots()
    driver.broker.recreate("evse.snapshots")
    crash_and_come_back(driver, call, when)

    assert driver.last_snapshots() == before


def test_ledger_and_snapshots_deleted_at_once_are_both_written_anew() -> None:
    """All that was there of either."""
    driver = full()
    before, entries = driver.last_snapshots(), kept(driver)
    driver.stop()
    driver.broker.recreate("evse.snapshots")
    driver.broker.recreate("evse.ledger")
    driver.restart()
    come_back(driver)
    come_back(driver)

    assert driver.last_snapshots() == before
    assert kept(driver) == entries


@pytest.mark.parametrize("call", range(6))
def test_a_ledger_that_is_deleted_while_a_partition_comes_is_written_anew(call: int) -> None:
    """Whichever this worker saw first: what counts is the one that the partition's commit names."""
    driver = full()
    before = kept(driver)
    driver.stop()
    driver.restart()

    async def strike() -> None:
        driver.broker.recreate("evse.ledger")

    driver.faults.arm(call, When.AFTER, strike)
    for _ in range(4):
        come_back(driver)

    assert kept(driver) == before


def test_a_ledger_that_is_gone_while_a_partition_comes_is_missed_when_another_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is signed then is which one was written to: else nobody would know that it was another."""
    driver = full()
    before, told = kept(driver), driver.broker.id_of
    driver.stop()
    with monkeypatch.context() as patch:
        patch.setattr(driver.broker, "id_of", lambda topic: None if topic == "evse.ledger" else told(topic))
        driver.restart()
        driver.run(driver.worker.turn())
        driver.run(driver.log.expel())
    driver.broker.recreate("evse.ledger")
    driver.restart()
    for _ in range(3):
        come_back(driver)

    assert kept(driver) == before


def test_another_input_topic_stops_the_worker_though_it_is_longer() -> None:
    """By its offsets it could be the one that was processed."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.stop()
    driver.broker.recreate("evse.events")
    driver.broker.group("evse-status").committed[P0] = 1  # the group's offsets have outlived it
    for minute in range(5):
        driver.write(status_reported("CHARGING", f"13:0{minute}"))
    driver.restart()

    with pytest.raises(Unusable, match=r"evse.events is another one.*evse-status rebuild"):
        driver.settle()


def test_an_input_topic_made_anew_under_a_worker_stops_it() -> None:
    """Within two looks, whatever its end is."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    settle_and_survey(driver)
    driver.broker.recreate("evse.events")
    driver.broker.group("evse-status").committed[P0] = 1
    for minute in range(5):
        driver.write(status_reported("CHARGING", f"13:0{minute}"))

    with pytest.raises(Unusable, match=r"evse.events is another one.*evse-status rebuild"):
        come_back(driver)


def test_a_view_from_before_a_rebuild_is_not_taken_for_another_log() -> None:
    """The dump names the topic that was; the ledger knows of the rebuild."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    dump = driver.server.dump()
    driver.stop()
    lose_the_topic(driver)
    rebuild(driver, "evse.events")
    driver.write(status_reported("CHARGING", "13:00"))
    driver.restart()
    come_back(driver)
    driver.stop()
    lose(driver, dump)
    driver.restart()
    come_back(driver)

    assert driver.view()["status"] == "CHARGING"


def test_brokers_that_tell_no_ids_are_no_other_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka before 2.8: the offsets tell, as they did."""
    driver = Driver()
    monkeypatch.setattr(type(driver.broker), "id_of", lambda *_: None)
    driver.pipe(status_reported("AVAILABLE", "12:00"), removed("13:00", uid="e2"))
    driver.stop()
    lose(driver)
    driver.restart()
    come_back(driver)
    driver.advance(timedelta(days=1))

    assert driver.view()["revision"] == 1
    assert commit_of(driver) == Commit(2, 0, since=0)
