"""
The view goes back, is lost, or the log is another one (promise P7): noticed, and all ends as if undisturbed.

The server in memory goes back like a real one: to what it held at some moment before, as replication and
dumps keep the order of writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.memory import MemoryLedger, MemoryPublisher
from service.adapters.memory_view import MemoryView, MemoryViewStore
from service.domain.time import DAY, micros_from
from service.processing import closed_records, rebuilding, shown
from service.processing.ingest import Gap
from service.processing.ledger import base_entry, epoch_entry, packed_key, read_base
from service.processing.ports import Behind, Unavailable, Unusable
from service.processing.retry import Abandoned
from service.processing.values import Commit, Epochs, Message, Record, Resend, TopicPartition
from service.processing.worker import Worker
from tests.builders import MIDNIGHT, Json, event, heartbeat, online_reported, status_reported
from tests.driver import Driver, with_options
from tests.faults import Crash, When
from tests.unit.processing.test_crashes import CALLS, STORY, outcome, told, undisturbed

P0, P1 = TopicPartition("evse.events", 0), TopicPartition("evse.events", 1)


def settle_and_survey(driver: Driver) -> None:
    """Process everything, and let the worker look after the view as it does every few seconds."""
    driver.settle()
    driver.advance(timedelta(seconds=10))


def come_back(driver: Driver) -> None:
    """Let a loss be noticed, the partitions be restored, and the worker look around: half a minute."""
    for _ in range(3):
        settle_and_survey(driver)


def lose(driver: Driver, to: MemoryView | None = None) -> None:
    """Let the server forget."""
    driver.server.go_back(to)


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
@pytest.mark.parametrize("call", range(CALLS))
def test_a_view_lost_at_any_await_is_whole_again(call: int, when: When) -> None:
    """Redis restarts empty before or after any call: view, topics, ledger and commits end as undisturbed."""
    driver = told(4)

    async def strike() -> None:
        lose(driver)

    driver.faults.arm(call, when, strike)
    settle_and_survey(driver)
    settle_and_survey(driver)

    assert driver.instruments.behinds > 0
    assert outcome(driver) == outcome(undisturbed(4))


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
@pytest.mark.parametrize("behind", [1, 2, 5])
@pytest.mark.parametrize("call", range(0, CALLS, 2))
def test_a_view_that_goes_back_at_any_await_is_whole_again(call: int, behind: int, when: When) -> None:
    """A replica that lags by some writes takes over, or an older dump is loaded."""
    driver = told(2)
    dumps: list[MemoryView] = []
    call_of = driver.faults.call

    async def remember(*arguments: object) -> object:
        dumps.append(driver.server.dump())
        return await call_of(*arguments)  # type: ignore[arg-type]

    driver.faults.call = remember  # type: ignore[method-assign, assignment]

    async def strike() -> None:
        lose(driver, dumps[max(0, len(dumps) - behind)])

    driver.faults.arm(call, when, strike)
    settle_and_survey(driver)
    settle_and_survey(driver)

    assert outcome(driver) == outcome(undisturbed(2))


def test_a_loss_is_noticed_within_ten_seconds_although_nothing_arrives() -> None:
    """The worker looks after the view by the clock, not by the record."""
    driver = told(4)
    settle_and_survey(driver)
    lose(driver)

    driver.advance(timedelta(seconds=10))
    driver.settle()

    assert outcome(driver) == outcome(undisturbed(4))


def test_while_the_log_is_read_again_the_lag_of_the_group_shows_it() -> None:
    """What was committed goes back with the view: a dashboard on lag sees that records wait."""
    driver = told(4)
    settle_and_survey(driver)
    driver.stop()
    lose(driver)
    driver.restart()
    driver.run(driver.worker.turn())

    assert driver.committed() == {0: 0, 1: 0}


@pytest.mark.parametrize("batch", [1, 3, len(STORY)])
def test_a_view_lost_while_no_worker_runs_is_restored_at_the_start(batch: int) -> None:
    """What was committed says that the view is behind."""
    driver = told(batch)
    driver.settle()
    driver.stop()
    lose(driver)
    driver.restart()
    settle_and_survey(driver)

    assert driver.instruments.behinds > 0
    assert outcome(driver) == outcome(undisturbed(batch))


def test_a_broker_that_does_not_know_the_offsets_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has just started: what was committed is there a moment later, and no log is another one."""
    driver = told(3)
    driver.settle()
    driver.stop()
    lose(driver)
    driver.restart()
    ask, refusals = driver.log.committed, iter(range(5))

    async def not_yet(places: Iterable[TopicPartition]) -> dict[TopicPartition, Commit | None]:
        known = await ask(places)
        return known if next(refusals, None) is None else dict.fromkeys(known)

    monkeypatch.setattr(driver.log, "committed", not_yet)
    settle_and_survey(driver)

    assert next(refusals, None) is None
    assert outcome(driver) == outcome(undisturbed(3))


DAYS = 5


def a_week(driver: Driver, upto: int = DAYS) -> None:
    """Tell of two EVSEs, a day at a time, with the clock going on and every day closing."""
    for day in range(upto):
        one_day(driver, day)


def one_day(driver: Driver, day: int) -> None:
    """Tell of one day when it is over, and let it close."""
    driver.pipe(
        status_reported("AVAILABLE", "06:00", day=day),
        status_reported("OUTOFORDER", "07:00", day=day, error_code="GroundFailure"),
        status_reported("AVAILABLE", "09:00", day=day),
        status_reported("AVAILABLE", "09:00", uid="e2", day=day),
        online_reported(False, "10:00", uid="e2", day=day),
        heartbeat("10:30", uid="e2", day=day),
        status_reported("PREPARING", "08:00", day=day, connector=f"c{day}"),
    )
    driver.advance(timedelta(days=1))
    for _ in range(5):
        driver.settle()


def of_a_week() -> Driver:
    """Give a driver in which a week went by, without the slow tick, so that even `as_of` is comparable."""
    driver = Driver(partitions=2, options=with_options(tick_interval_s=0.0))
    a_week(driver)
    return driver


def visible(driver: Driver) -> Json:
    """Give what others see and what is counted on, without what follows the clock."""
    seen = outcome(driver)
    return {name: seen[name] for name in ("view", "lists", "snapshots", "transitions", "ledger", "committed")}


def test_every_day_the_whole_state_goes_into_the_ledger() -> None:
    """When a day closes on the clock, once for each EVSE that changed, and then the mark of the partition."""
    driver = Driver(partitions=1)
    one_day(driver, 0)
    written = [(record.key or b"").decode() for record in driver.written("evse.ledger")]
    bases = driver.instruments.bases
    driver.advance(timedelta(days=1))
    for _ in range(5):
        driver.settle()

    assert bases == 2
    assert [key for key in written if key.startswith('["base"')] == ['["base","e1"]', '["base","e2"]']
    assert written[-1] == '["mark","evse.events"]'
    assert driver.instruments.bases == 2, "nothing has changed since"


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
@pytest.mark.parametrize("call", range(24))
def test_bases_of_a_view_that_went_back_reach_no_further_than_it(call: int, when: When) -> None:
    """It goes back while they are written, and is lost later: what no base holds is read from the log."""

    def story(*, disturbed: bool) -> Driver:
        driver = of_a_week()
        dump = driver.server.dump()
        driver.pipe(status_reported("CHARGING", "05:00", day=DAYS), heartbeat("05:01", uid="e2", day=DAYS))

        async def strike() -> None:
            lose(driver, dump)

        if disturbed:
            driver.faults.arm(call, when, strike)
        driver.advance(timedelta(days=1))
        driver.run(driver.worker.turn())
        if disturbed:
            lose(driver)
        for _ in range(4):
            settle_and_survey(driver)
        return driver

    assert visible(story(disturbed=True)) == visible(story(disturbed=False))


def cut_before_the_mark(driver: Driver) -> None:
    """Let retention delete all that the bases hold."""
    for place, checkpoint in driver.store.checkpoints.items():
        assert checkpoint.mark is not None
        driver.broker.cut(place, checkpoint.mark.next_offset)


@pytest.mark.parametrize("most_bytes", [closed_records.MOST_BYTES, 0], ids=["in memory", "staged"])
@pytest.mark.parametrize("is_shown", [True, False], ids=["shown", "rendered"])
def test_bases_and_log_restore_the_state_exactly(
    monkeypatch: pytest.MonkeyPatch, most_bytes: int, *, is_shown: bool
) -> None:
    """The log no longer reaches back to the beginning, and the view is lost: nothing is missing."""
    monkeypatch.setattr(closed_records, "MOST_BYTES", most_bytes)
    if not is_shown:
        monkeypatch.setattr(shown, "pack", lambda *_: b"")
    driver = of_a_week()
    one_day(driver, DAYS)
    driver.pipe(status_reported("CHARGING", "05:00", day=DAYS + 1))
    cut_before_the_mark(driver)
    lose(driver)
    driver.advance(timedelta(seconds=10))
    driver.settle()

    expected = of_a_week()
    one_day(expected, DAYS)
    expected.pipe(status_reported("CHARGING", "05:00", day=DAYS + 1))
    expected.advance(timedelta(seconds=10))
    assert sum(driver.instruments.restorations[-2:]) == 2
    assert visible(driver) == visible(expected)


def test_history_that_fits_in_memory_is_staged_nowhere_and_nothing_is_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bases say what the view shows of them, and each brings its days and outages in its one write."""
    driver = of_a_week()
    driver.advance(timedelta(seconds=10))
    expected = visible(driver)
    cut_before_the_mark(driver)
    lose(driver)
    for owner, name in ((rebuilding, "rewrite"), (MemoryViewStore, "stage")):
        monkeypatch.setattr(owner, name, _never)
    driver.advance(timedelta(seconds=10))
    driver.settle()

    assert sum(driver.instruments.restorations[-2:]) == 2
    assert visible(driver) == expected


def _never(*_: object, **__: object) -> None:
    raise AssertionError("it was not needed")


def test_what_is_restored_goes_on_as_if_nothing_had_been() -> None:
    """Floats and recent reports too: what comes afterwards, late events among it, gives the same."""
    driver, expected = of_a_week(), of_a_week()
    cut_before_the_mark(driver)
    lose(driver)
    driver.advance(timedelta(seconds=10))
    driver.settle()
    expected.advance(timedelta(seconds=10))
    for each in (driver, expected):
        each.pipe(status_reported("INOPERATIVE", "20:00", day=DAYS - 1), heartbeat("05:00", day=DAYS))
        one_day(each, DAYS)

    assert visible(driver) == visible(expected)


def test_what_neither_ledger_nor_log_hold_is_unobserved() -> None:
    """The log was cut beyond the bases: every EVSE of the partition is told of a gap."""
    driver = Driver(partitions=1)
    one_day(driver, 0)
    driver.pipe(status_reported("CHARGING", "06:00", day=1))
    driver.broker.cut(P0, driver.broker.end(P0))
    lose(driver)
    driver.advance(timedelta(hours=3))
    driver.pipe(status_reported("AVAILABLE", "09:00", day=1))
    driver.settle()

    gaps = {uid: kept.gaps for uid, kept in driver.store.evses.items()}
    assert driver.instruments.gaps_written == 2
    assert {uid: len(found) for uid, found in gaps.items()} == {"e1": 1, "e2": 1}
    assert driver.view()["windows"][0]["unobserved_seconds"] > 3 * 3600


def test_an_older_dump_from_before_the_log_is_overtaken_by_the_bases() -> None:
    """Redis comes back with what it held days ago; of each EVSE the newer of dump and base counts."""
    driver = Driver(partitions=2, options=with_options(tick_interval_s=0.0))
    a_week(driver, upto=2)
    dump = driver.server.dump()
    for day in range(2, DAYS):
        one_day(driver, day)
    cut_before_the_mark(driver)
    lose(driver, dump)
    driver.advance(timedelta(seconds=10))
    driver.settle()

    expected = of_a_week()
    expected.advance(timedelta(seconds=10))
    assert visible(driver) == visible(expected)


def test_a_late_base_of_an_overtaken_worker_does_not_count() -> None:
    """Of two bases of one EVSE the further one is restored, whatever their order in the topic."""
    driver = of_a_week()
    for place in (P0, P1):
        ledger = TopicPartition("evse.ledger", place.partition)
        for record in [each for each in driver.broker.records(ledger) if b'["base"' in (each.key or b"")][:2]:
            driver.broker.append(ledger, record.key, record.value)
    cut_before_the_mark(driver)
    lose(driver)
    driver.advance(timedelta(seconds=10))
    driver.settle()

    expected = of_a_week()
    expected.advance(timedelta(seconds=10))
    assert visible(driver) == visible(expected)


def test_a_base_of_another_version_is_refused_with_its_uid() -> None:
    """It would be written to the view as it is shown, and could not be folded on from there."""
    driver = of_a_week()
    places = [TopicPartition("evse.ledger", number) for number in range(2)]
    records = [(place, each) for place in places for each in driver.broker.records(place)]
    place, last = [(place, each) for place, each in records if each.key == b'["base","e1"]'][-1]
    base = read_base(last.value or b"")
    key, value = base_entry("e1", replace(base, state=b"[999," + base.state[3:]))
    driver.broker.append(place, packed_key(key), orjson.dumps(value))
    lose(driver)
    driver.advance(timedelta(seconds=10))

    with pytest.raises(Unusable, match=r"base of EVSE 'e1' in the ledger cannot be read: .*another version"):
        driver.settle()


def test_an_offset_beyond_the_end_of_the_log_stops_the_worker() -> None:
    """The topic was deleted and created again: going on would take new records for old ones."""
    driver = told(4)
    driver.settle()
    driver.stop()
    driver.broker.recreate("evse.events")
    driver.write(status_reported("AVAILABLE", "12:00", uid="e2"))
    driver.restart()

    with pytest.raises(Unusable, match="evse-status rebuild"):
        driver.settle()


def test_a_log_that_shrinks_under_a_running_worker_stops_it() -> None:
    """The client may have gone on at the beginning by itself: what comes from there is no repeat."""
    driver = told(4)
    driver.settle()
    driver.broker.recreate("evse.events")
    driver.log.seek(P1, 0)
    driver.write(status_reported("AVAILABLE", "12:00", uid="e2"), partition=1)

    with pytest.raises(Unusable, match="evse-status rebuild"):
        driver.settle()


@pytest.mark.parametrize("offset", [0, 7, 18])
def test_an_offset_that_was_set_by_hand_stops_the_worker(offset: int) -> None:
    """Back: the guard would take all of it for repeats. Nobody's commit but an operator's is unsigned."""
    driver = told(4)
    driver.settle()
    driver.stop()
    driver.broker.group("evse-status").committed[P1] = offset
    driver.restart()

    with pytest.raises(
        Unusable, match=rf"set to {offset} by hand, and the view has all up to 19: .* `evse-status rebuild`"
    ):
        driver.settle()


def test_a_first_start_begins_where_an_operator_set_the_group() -> None:
    """Nothing is known yet: whoever set the offset does not want what lies before."""
    driver = told(4)
    driver.broker.group("evse-status").committed[P1] = 18
    driver.settle()

    assert driver.committed() == {0: 2, 1: 19}
    assert set(driver.store.evses) == {"e2"}


def test_a_view_that_was_emptied_and_then_went_back_is_whole_again() -> None:
    """The commit went back with the empty view, by our own hand; the replica that takes over has more."""
    driver = told(4)
    driver.settle()
    replica = driver.server.dump()
    lose(driver)
    driver.advance(timedelta(seconds=5))
    driver.run(driver.worker.turn())
    driver.run(driver.worker.turn())
    lose(driver, replica)
    settle_and_survey(driver)
    settle_and_survey(driver)

    assert outcome(driver) == outcome(undisturbed(4))


def test_a_dump_from_before_a_rebuild_does_not_undo_it() -> None:
    """The commit knows of a newer generation than the view: the ledger says which, and all is made anew."""
    driver = of_a_week()
    dump = driver.server.dump()
    driver.stop()
    driver.broker.recreate("evse.events")
    rebuild(driver, "evse.events")
    driver.write(status_reported("CHARGING", "05:00", day=DAYS))
    driver.restart()
    settle_and_survey(driver)
    driver.settle()  # until the bases of the new generation are written
    expected = driver.view()
    lose(driver, dump)
    settle_and_survey(driver)
    settle_and_survey(driver)

    assert driver.view()["connectors"] == expected["connectors"]
    assert driver.view()["revision"] == expected["revision"]
    assert driver.store.evses["e1"].position.epoch == 1


def test_what_another_worker_commits_meanwhile_is_no_setting_back() -> None:
    """A worker that waits for the view, and loses the partition meanwhile, finds a checkpoint of the next."""
    driver = told(4)
    for _ in range(3):
        driver.run(driver.worker.turn())
    group, before, committed = driver.broker.group("evse-status"), driver.server.dump(), driver.committed()
    driver.settle()
    later, reached = driver.server.dump(), driver.committed()
    driver.crash()
    lose(driver, before)
    group.committed.update({TopicPartition("evse.events", one): at for one, at in committed.items()})

    async def let_the_other_work() -> None:
        view = driver.server.view
        view.evses, view.lists, view.checkpoints = later.evses, later.lists, later.checkpoints
        group.committed.update({TopicPartition("evse.events", one): at for one, at in reached.items()})

    async def wait_for_the_second_partition() -> None:
        driver.faults.arm_next("store.load_checkpoint", When.BEFORE, let_the_other_work)

    driver.faults.arm_next("store.load_checkpoint", When.AFTER, wait_for_the_second_partition)
    driver.restart()
    driver.settle()

    assert outcome(driver) == outcome(undisturbed(4))


def test_a_commit_that_was_lost_with_the_worker_is_no_setting_back() -> None:
    """A crash between checkpoint and commit leaves the commit of the batch before."""
    driver = told(4)
    driver.faults.arm_next("log.commit", When.BEFORE, Crash())
    with pytest.raises(Crash):
        driver.settle()
    driver.crash()
    driver.restart()
    driver.settle()

    assert outcome(driver) == outcome(undisturbed(4))


def rebuild(driver: Driver, *new_logs: str) -> None:
    """Raise the generation in ledger and view, as the command does."""
    epochs = driver.server.view.epochs
    generation = epochs.generation + 1
    ids = {topic: driver.broker.id_of(topic) or "" for topic in driver.options.topics}
    since = {**epochs.since, **dict.fromkeys(new_logs, generation)}
    epochs = replace(epochs, generation=generation, since=since, ids=ids)
    for place in driver.broker.partitions_of("evse.ledger"):
        key, value = epoch_entry(epochs)
        driver.broker.append(place, packed_key(key), orjson.dumps(value))
    driver.server.view.epochs = epochs


def test_a_new_log_in_a_new_epoch_keeps_the_history() -> None:
    """After a rebuild the offsets begin anew; revision, closed history and recent reports go on."""
    driver = of_a_week()
    before = driver.view()
    driver.stop()
    driver.broker.recreate("evse.events")
    rebuild(driver, "evse.events")
    driver.write(status_reported("CHARGING", "05:00", day=DAYS))
    driver.restart()
    settle_and_survey(driver)

    expected = of_a_week()
    expected.pipe(status_reported("CHARGING", "05:00", day=DAYS))
    after, wanted = driver.view(), expected.view()
    assert after["revision"] == before["revision"] + 1
    assert after["connectors"] == wanted["connectors"]
    assert driver.store.evses["e1"].days == expected.store.evses["e1"].days
    assert driver.transitions()[-1]["position"]["offset"] == 0
    assert driver.store.evses["e1"].position.epoch == 1


def test_a_second_rebuild_keeps_what_the_first_one_kept() -> None:
    """The old log is gone: bases of the new epoch are written at once, and until then the view is kept."""
    driver = of_a_week()
    one_day(driver, DAYS)
    driver.pipe(status_reported("OUTOFORDER", "05:00", day=DAYS + 1))
    driver.stop()
    driver.broker.recreate("evse.events")
    rebuild(driver, "evse.events")
    driver.restart()
    driver.run(driver.worker.turn())
    rebuild(driver)
    settle_and_survey(driver)
    expected, bases = driver.view(), driver.instruments.bases
    rebuild(driver)
    settle_and_survey(driver)
    lose(driver)
    settle_and_survey(driver)
    settle_and_survey(driver)

    assert bases >= 2
    assert expected["windows"][0]["down_seconds"] > 0
    assert driver.view() == expected


@pytest.mark.parametrize("uid", ["e1", "e2"])
def test_an_evse_that_somebody_deleted_is_whole_again_with_its_next_event(uid: str) -> None:
    """The checkpoint says nothing of it: the bases go first, and the log is read again from them."""
    driver, expected = of_a_week(), of_a_week()
    cut_before_the_mark(driver)
    for each in (driver, expected):
        each.pipe(status_reported("CHARGING", "05:00", uid=uid, day=DAYS))
    del driver.store.evses[uid]
    for each in (driver, expected):
        each.pipe(status_reported("FINISHING", "05:30", uid=uid, day=DAYS))
        settle_and_survey(each)

    assert visible(driver) == visible(expected)


@pytest.mark.parametrize("key", ["days", "outages"])
def test_history_that_somebody_deleted_is_put_back_when_the_state_is_loaded(key: str) -> None:
    """Of one EVSE alone; the log is not read again for it."""
    driver, expected = of_a_week(), of_a_week()
    driver.restart()
    getattr(driver.store.evses["e1"], key).clear()
    cut_before_the_mark(driver)
    for each in (driver, expected):
        each.pipe(status_reported("CHARGING", "05:00", day=DAYS))
        settle_and_survey(each)

    kept, wanted = driver.store.evses["e1"], expected.store.evses["e1"]
    assert (kept.days, kept.outages, kept.gaps) == (wanted.days, wanted.outages, wanted.gaps)
    assert driver.view()["connectors"] == expected.view()["connectors"]
    assert driver.ledger() == expected.ledger()


def declared_and_withdrawn(driver: Driver) -> None:
    """Tell of exclusions, one of them withdrawn, and of a gap."""
    span = {"from": "2026-01-06T10:00:00Z", "until": "2026-01-06T11:00:00Z"}
    for at, name in (("05:00", "x"), ("05:01", "y")):
        body = event("exclusion.declared", at, day=DAYS, exclusion_id=name, reason="vandalism")
        driver.pipe(body | span)
    driver.pipe(event("exclusion.withdrawn", "05:02", day=DAYS, exclusion_id="y"))
    driver.pipe(event("observation.gap", "05:03", day=DAYS) | span)


@pytest.mark.parametrize("keys", [("exclusions",), ("gaps",), ("gaps", "outages")])
@pytest.mark.parametrize("held", [False, True])
def test_declarations_that_somebody_deleted_are_put_back(keys: tuple[str, ...], held: bool) -> None:
    """When the state is loaded, or when a worker that holds it declares more; the log is cut."""
    driver, expected = of_a_week(), of_a_week()
    for each in (driver, expected):
        declared_and_withdrawn(each)
    if not held:
        driver.restart()
    for key in keys:
        assert getattr(driver.store.evses["e1"], key)
        getattr(driver.store.evses["e1"], key).clear()
    cut_before_the_mark(driver)
    for each in (driver, expected):
        span = {"from": "2026-01-07T10:00:00Z", "until": "2026-01-07T11:00:00Z"}
        each.pipe(event("observation.gap", "06:00", day=DAYS) | span)
        settle_and_survey(each)

    kept, wanted = driver.store.evses["e1"], expected.store.evses["e1"]
    assert (kept.exclusions, kept.gaps) == (wanted.exclusions, wanted.gaps)
    assert (kept.days, kept.outages, kept.verdicts) == (wanted.days, wanted.outages, wanted.verdicts)
    assert driver.view()["windows"] == expected.view()["windows"]
    assert driver.ledger() == expected.ledger()


def test_an_evse_deleted_while_no_worker_held_it_is_noticed_by_the_next_one() -> None:
    """It stands in the list of its partition, and has no state: nothing has to arrive for it."""
    driver, expected = of_a_week(), of_a_week()
    driver.stop()
    cut_before_the_mark(driver)
    del driver.store.evses["e1"]
    driver.restart()
    for _ in range(3):
        settle_and_survey(driver)

    assert driver.store.evses["e1"].days == expected.store.evses["e1"].days
    assert driver.view() == expected.view()


def idle(*, ticking: bool = False) -> Driver:
    """Give a driver in which a week went by and no state is held any more: nothing was heard for long."""
    tick = 900.0 if ticking else 0.0
    driver = Driver(partitions=2, options=with_options(tick_interval_s=tick, states_idle_after_s=600.0))
    a_week(driver)
    driver.advance(timedelta(seconds=601))
    return driver


def test_an_idle_evse_that_somebody_deleted_is_whole_again_with_its_next_event() -> None:
    """Nobody holds its state, and there is none: it is not begun anew."""
    driver, expected = idle(), idle()
    cut_before_the_mark(driver)
    del driver.store.evses["e1"]
    for each in (driver, expected):
        each.pipe(status_reported("FINISHING", "05:30", day=DAYS))
        come_back(each)

    assert visible(driver) == visible(expected)


def test_an_idle_evse_that_somebody_deleted_is_put_back_by_the_slow_tick() -> None:
    """Nothing arrives for it: an empty one in its place would look like one that was never heard."""
    driver = idle(ticking=True)
    before = driver.view()
    cut_before_the_mark(driver)
    del driver.store.evses["e1"]
    for _ in range(4):
        driver.advance(timedelta(seconds=901))
        come_back(driver)

    after = driver.view()
    assert (after["revision"], after["evse"]["last_updated"]) == (
        before["revision"],
        before["evse"]["last_updated"],
    )
    assert len({each.partition for each in driver.written("evse.snapshots") if each.key == b"e1"}) == 1


def test_an_idle_evse_that_somebody_deleted_is_missed_when_a_day_closes() -> None:
    """The mark would else pass what the log says of it, and no base would hold it."""
    driver, expected = idle(), idle()
    for each in (driver, expected):
        each.pipe(status_reported("CHARGING", "04:00", day=DAYS))
        each.advance(timedelta(seconds=601))
    del driver.store.evses["e1"]
    for each in (driver, expected):
        each.advance(timedelta(days=1))
        come_back(each)
    cut_before_the_mark(driver)
    lose(driver)
    come_back(driver)

    assert driver.view() == expected.view()


def test_an_evse_deleted_while_no_worker_ran_is_not_begun_anew_by_what_waits() -> None:
    """A record of it is there at the start, before anybody has looked who is missing."""
    driver, expected = of_a_week(), of_a_week()
    driver.stop()
    del driver.store.evses["e1"]
    for each in (driver, expected):
        each.write(status_reported("CHARGING", "05:00", day=DAYS))
    driver.restart()
    for each in (driver, expected):
        come_back(each)

    assert visible(driver) == visible(expected)


def test_a_crash_between_the_bases_and_the_commit_forgets_no_hole() -> None:
    """The checkpoint says more than the view holds by then: the commit says so before anything is written."""
    driver, expected = of_a_week(), of_a_week()
    for each in (driver, expected):
        each.pipe(status_reported("CHARGING", "05:00", day=DAYS))
    del driver.store.evses["e1"]
    for each in (driver, expected):
        each.write(status_reported("FINISHING", "05:30", day=DAYS))
    driver.run(driver.worker.turn())
    driver.faults.arm_next("store.save_checkpoints", When.BEFORE, Crash())
    with pytest.raises(Crash):
        come_back(driver)
    driver.crash()
    driver.restart()
    for each in (driver, expected):
        come_back(each)

    assert visible(driver) == visible(expected)


def test_who_lives_in_a_partition_is_asked_before_it_counts_as_restored() -> None:
    """Given up in between, it is restored again: else nobody would ever be missed there, or fall silent."""
    driver = of_a_week()
    driver.stop()
    driver.restart()
    driver.faults.arm_next("store.members", When.BEFORE, Abandoned("another partition went"))
    come_back(driver)

    assert not driver.worker._assignment.unrestored()
    assert [number for number in range(2) if driver.worker._watching.is_counted(number)] == [0, 1]


def test_what_is_in_hand_does_not_undo_where_a_partition_was_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first of two is read again from before it; then the second one goes, and the batch is given up."""
    driver, expected = Driver(partitions=2), Driver(partitions=2)
    uid = next(each for each in map(str, range(99)) if driver.partition_of(each.encode()) == 0)
    words = [
        status_reported(word, f"0{hour}:00", uid=uid)
        for hour, word in enumerate(("AVAILABLE", "PREPARING", "CHARGING", "FINISHING"))
    ]
    dump = driver.server.dump()
    for each in words[:3]:
        for one in (driver, expected):
            one.pipe(each)
        dump = dump if each is not words[0] else driver.server.dump()
    lose(driver, dump)
    driver.crash()
    for one in (driver, expected):
        one.write(words[3])
    driver.restart()
    restore = driver.worker._restoring.partition
    went = iter([True])

    async def partition(number: int, *arguments: Any, **more: Any) -> Any:
        if number == 1 and next(went, False):
            raise Abandoned("it went")
        return await restore(number, *arguments, **more)

    monkeypatch.setattr(driver.worker._restoring, "partition", partition)
    for one in (driver, expected):
        come_back(one)

    assert driver.transitions()[-1] == expected.transitions()[-1]
    assert driver.view(uid)["revision"] == expected.view(uid)["revision"] == 4


def test_a_view_that_goes_back_while_history_is_put_back_is_restored() -> None:
    """What is torn is found again; first the view is taken for what it is."""
    driver, expected = of_a_week(), of_a_week()
    driver.restart()
    dump = driver.server.dump()
    driver.store.evses["e1"].days.clear()
    for each in (driver, expected):
        each.pipe(status_reported("CHARGING", "05:00", uid="e2", day=DAYS))

    async def strike() -> None:
        lose(driver, dump)

    driver.faults.arm_next("store.stage", When.BEFORE, strike)
    for each in (driver, expected):
        each.pipe(status_reported("CHARGING", "05:30", day=DAYS))
        come_back(each)

    assert not driver.worker._assignment.unrestored()
    assert driver.view()["status"] == expected.view()["status"]
    assert driver.view("e2")["revision"] == expected.view("e2")["revision"]


def test_after_a_rebuild_no_base_is_written_before_all_is_folded_again() -> None:
    """What an older generation left is no state of this one: its base would be empty, and anywhere."""
    driver = Driver(partitions=1, options=with_options(tick_interval_s=0.0, max_batch_records=1))
    driver.pipe(status_reported("AVAILABLE", "12:00"), status_reported("AVAILABLE", "12:00", uid="e2"))
    driver.stop()
    driver.clock.advance(86_400)
    rebuild(driver)
    driver.restart()
    come_back(driver)

    records = driver.broker.records(TopicPartition("evse.ledger", 0))
    bases = [read_base(each.value or b"") for each in records if b'["base"' in (each.key or b"")]
    assert sorted(each.position.offsets for each in bases) == [(0,), (1,)]


def test_a_restoration_that_takes_long_shows_that_the_loop_goes_on() -> None:
    """Else an alert says of a worker that reads a ledger that it stands."""
    driver = of_a_week()
    lose(driver)
    driver.advance(timedelta(seconds=10))
    before = driver.instruments.went_on
    driver.settle()

    assert driver.instruments.went_on > before


def test_history_deleted_while_bases_are_written_leaves_no_base_out() -> None:
    """The share that it interrupts is written once it is mended, and the mark comes after."""
    options = with_options(tick_interval_s=0.0, standings_interval_s=0.0)
    driver, expected = Driver(partitions=2, options=options), Driver(partitions=2, options=options)
    for each in (driver, expected):
        a_week(each)
        each.pipe(
            status_reported("CHARGING", "05:00", day=DAYS),
            status_reported("CHARGING", "05:00", uid="e2", day=DAYS),
        )
        each.restart(options)
    driver.store.evses["e1"].days.clear()
    for each in (driver, expected):
        each.advance(timedelta(days=1))
        come_back(each)
    cut_before_the_mark(driver)
    lose(driver)
    come_back(driver)

    assert driver.instruments.bases == expected.instruments.bases
    for uid in ("e1", "e2"):
        assert driver.view(uid)["revision"] == expected.view(uid)["revision"]
        assert driver.store.evses[uid].days == expected.store.evses[uid].days


def test_history_that_was_deleted_under_a_loaded_state_is_put_back_when_more_closes() -> None:
    """What is written then would hide what is gone."""
    driver, expected = of_a_week(), of_a_week()
    driver.store.evses["e1"].days.clear()
    for each in (driver, expected):
        one_day(each, DAYS)
        settle_and_survey(each)

    assert driver.store.evses["e1"].days == expected.store.evses["e1"].days
    assert driver.ledger() == expected.ledger()


def test_a_crash_while_a_hole_is_mended_leaves_none() -> None:
    """The commit remembers from where the log has to be read again."""
    driver, expected = told(1), undisturbed(1)
    driver.settle()
    del driver.store.evses["e2"]
    driver.write(status_reported("CHARGING", "13:30", day=5, uid="e2"))
    expected.pipe(status_reported("CHARGING", "13:30", day=5, uid="e2"))
    for _ in range(6):
        driver.run(driver.worker.turn())
    driver.crash()
    driver.restart()
    settle_and_survey(driver)

    assert outcome(driver) == outcome(expected)


def test_a_rebuild_of_a_running_worker_gives_what_was_there() -> None:
    """It notices the new generation, and makes all anew from ledger and log."""
    driver = of_a_week()
    driver.store.evses["e1"].document["snapshot"] = b"{}"
    driver.store.evses["e2"].days.clear()
    rebuild(driver)
    driver.advance(timedelta(seconds=10))
    driver.settle()

    expected = of_a_week()
    expected.advance(timedelta(seconds=10))
    assert {each.position.epoch for each in driver.store.evses.values()} == {1}
    for kept in driver.store.evses.values():
        kept.position = kept.position._replace(epoch=0)
    assert visible(driver) == visible(expected)


LOSSES = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([When.BEFORE, When.AFTER]), st.integers(0, 3)), max_size=6
)


def test_epochs_that_somebody_deleted_are_put_back_within_ten_seconds() -> None:
    """Nothing else is done: the worker knows them, and the view is as it was."""
    driver = of_a_week()
    driver.broker.recreate("evse.events")
    rebuild(driver, "evse.events")
    for _ in range(3):
        settle_and_survey(driver)
    known, before = driver.server.view.epochs, driver.instruments.restorations
    driver.server.view.epochs = Epochs()

    settle_and_survey(driver)

    assert (known.generation, known.since) == (1, {"evse.events": 1})
    assert driver.server.view.epochs == known
    assert driver.instruments.restorations == before


@settings(max_examples=100)
@given(batch=st.integers(1, len(STORY)), losses=LOSSES)
def test_loss_upon_loss_changes_nothing(batch: int, losses: list[tuple[int, When, int]]) -> None:
    """Going back again while restoring from a loss, to nothing or to one of several dumps."""
    driver = told(batch)
    dumps: list[MemoryView | None] = [None]
    for call, when, which in losses:

        async def strike(which: int = which) -> None:
            lose(driver, dumps[-1 - which % len(dumps)])

        driver.faults.arm(call, when, strike)
        driver.settle()
        dumps.append(driver.server.dump())
    driver.faults.disarm()
    settle_and_survey(driver)
    settle_and_survey(driver)

    assert outcome(driver) == outcome(undisturbed(len(STORY)))


async def take_over(driver: Driver, heir: Worker) -> None:
    """Put the worker out of its group, and let another do all there is."""
    await driver.log.expel()
    await heir.start()
    while await heir.turn():
        pass


def test_a_send_that_nobody_waited_for_is_looked_after() -> None:
    """The partition went while the broker did not answer, and the messages arrive after the next owner's."""
    driver = Driver(options=with_options(max_batch_records=1))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.write(status_reported("CHARGING", "12:01"))
    driver.write(status_reported("FINISHING", "12:02"))
    _, heir = driver.new_worker()
    late: list[Message] = []
    joining: list[asyncio.Future[None]] = []
    publish = MemoryPublisher.publish

    async def join() -> None:
        await heir.start()
        await driver.log.stop()
        while await heir.turn():
            pass

    async def keep_back(publisher: MemoryPublisher, messages: Sequence[Message]) -> None:
        """Hold what is sent until another joins, and let it arrive when its sender asks for nothing else."""
        if messages and not joining:
            late[:] = messages
            if not driver.clock._due:
                moment = driver.clock.monotonic() + 1
                driver.clock.at(moment, lambda: joining.append(asyncio.ensure_future(join())))
            raise Unavailable("no answer")
        await publish(publisher, messages or late)

    async def story() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryPublisher, "publish", keep_back)
            await driver.worker.turn()
            await joining[0]
            await driver.worker.turn()

    driver.run(story())

    last = driver.last_snapshots()["e1"]
    assert last is not None
    assert (driver.instruments.late_sends, last["revision"]) == (1, 3)


def test_a_late_word_in_the_ledger_is_followed_by_the_current_one() -> None:
    """An exclusion that was withdrawn meanwhile does not rise again."""
    driver = Driver(options=with_options(max_batch_records=1))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    span = {"from": "2026-01-05T10:00:00Z", "until": "2026-01-05T11:00:00Z"}
    driver.write(event("exclusion.declared", "12:01", exclusion_id="x", reason="vandalism") | span)
    driver.write(event("exclusion.withdrawn", "12:02", exclusion_id="x"))
    _, heir = driver.new_worker()

    async def hang() -> None:
        await take_over(driver, heir)
        driver.clock.advance(driver.options.late_after_s + 1)

    driver.faults.arm_next("publisher.publish", When.BEFORE, hang)
    driver.settle()

    assert driver.instruments.late_sends == 1
    assert '["exclusion","e1","x"]' not in driver.ledger()


def test_snapshots_sent_late_are_followed_by_the_current_ones() -> None:
    """A worker that hung between save and send asks whether another one has gone on (promise P7)."""
    driver = Driver(options=with_options(max_batch_records=1))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.write(status_reported("CHARGING", "12:01"))
    driver.write(status_reported("FINISHING", "12:02"))
    _, heir = driver.new_worker()

    async def hang() -> None:
        await take_over(driver, heir)
        driver.clock.advance(driver.options.late_after_s + 1)

    driver.faults.arm_next("publisher.publish", When.BEFORE, hang)
    driver.settle()

    assert driver.instruments.late_sends == 1
    assert [each and each["status"] for each in driver.snapshots("e1")][-2:] == ["CHARGING", "CHARGING"]
    last = driver.last_snapshots()["e1"]
    assert last is not None
    assert (last["revision"], last["connectors"][0]["status_since"]) == (3, "2026-01-05T12:02:00Z")


def test_what_is_sent_after_a_late_send_is_looked_after_again() -> None:
    """
    The other worker goes on between the look at the view and that send (seed 4104).

    Who is overtaken owns nothing any more, so that however quick it sends, it may be late.
    """
    driver = Driver(options=with_options(max_batch_records=1))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    for minute, word in enumerate(("CHARGING", "FINISHING"), 1):
        driver.write(status_reported(word, f"12:0{minute}"))
    _, heir = driver.new_worker()

    async def goes_on() -> None:
        driver.write(status_reported("OUTOFORDER", "12:03"))
        while await heir.turn():
            pass

    async def hang() -> None:
        await take_over(driver, heir)
        driver.clock.advance(driver.options.late_after_s + 1)
        driver.faults.arm_next("publisher.publish", When.BEFORE, goes_on)

    driver.faults.arm_next("publisher.publish", When.BEFORE, hang)
    driver.run(driver.worker.turn())

    last = driver.last_snapshots()["e1"]
    assert last is not None
    assert (driver.instruments.late_sends, last["status"]) == (2, "OUTOFORDER")


def test_what_an_overtaken_worker_sends_again_is_followed_by_the_current_one() -> None:
    """It was stopped for a while, and goes on with what the output topics were to be told anew."""
    driver = Driver(options=with_options(max_batch_records=1))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.write(status_reported("CHARGING", "12:01"))
    _, heir = driver.new_worker()

    async def story() -> None:
        await take_over(driver, heir)
        await driver.worker._steps.resend(["e1"], Resend.LAST_WORDS)

    driver.run(story())

    assert driver.instruments.late_sends == 1
    assert [each and each["status"] for each in driver.snapshots("e1")][-2:] == ["AVAILABLE", "CHARGING"]


def test_a_view_that_goes_back_while_a_worker_starts_is_where_it_begins() -> None:
    """A dump is restored between its first two writes."""
    driver = told(len(STORY))
    driver.crash()
    driver.faults.arm_next("store.start", When.AFTER, Behind("Redis has gone back"))

    driver.restart()
    driver.settle()

    assert outcome(driver) == outcome(undisturbed(len(STORY)))


def test_a_restoration_that_lasts_is_no_standstill(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large ledger takes minutes, in which records wait: each piece that is read is progress."""
    driver = Driver(options=with_options(max_batch_records=5))
    driver.pipe(*(status_reported("AVAILABLE", "12:00", uid=f"e{number}") for number in range(80)))
    driver.advance(timedelta(days=1))
    for number in range(60):
        driver.write(status_reported("CHARGING", "12:30", uid=f"e{number}", day=2))
    driver.crash()
    lose(driver)
    lives: list[bool] = []
    read = MemoryLedger.read

    async def slowly(self: MemoryLedger, partition: int) -> AsyncIterator[Sequence[Record]]:
        async for records in read(self, partition):
            for record in records:
                yield [record]
                driver.clock.advance(5)
                lives.append(driver.worker.health.live(driver.clock.monotonic()).ok)

    monkeypatch.setattr(MemoryLedger, "read", slowly)
    driver.restart()
    driver.run(driver.worker.turn())

    assert len(lives) > 20
    assert all(lives)


def test_a_clock_that_was_ahead_for_a_moment_keeps_no_base_from_being_written() -> None:
    """Its mark is of a day that is long in coming; until then a lost view would be restored from nothing."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.clock.jump(400 * DAY)
    for _ in range(2):
        driver.advance(timedelta(seconds=10))
    ahead = driver.store.checkpoints[P0].mark
    assert ahead is not None
    driver.clock.jump(-400 * DAY)
    for day in range(1, 4):
        driver.pipe(status_reported("CHARGING" if day % 2 else "AVAILABLE", "12:00", day=day))
        driver.advance(timedelta(days=1))
        driver.advance(timedelta(seconds=10))

    mark = driver.store.checkpoints[P0].mark
    assert mark is not None
    assert mark.day < ahead.day - 390
    assert mark.next_offset == 4


def test_a_gap_is_told_before_the_mark_that_has_forgotten_it() -> None:
    """The ingest that goes with the mark has settled it; a crash behind that would lose it."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    watching = driver.worker._watching
    gap = Gap(micros_from(MIDNIGHT), micros_from(MIDNIGHT) + DAY)
    told: list[int] = []

    async def settle() -> None:
        watching._watches[0].gaps.append(gap)
        driver.worker._chores._watch_at = driver.clock.monotonic() + 60

    async def look() -> None:
        told.append(len(watching.unwritten_gaps()))

    async def story() -> None:
        driver.faults.arm_next("store.look", When.AFTER, settle)
        await driver.worker.turn()
        driver.faults.arm_next("store.save_checkpoints", When.BEFORE, look)
        for _ in range(5):
            await driver.worker.turn()

    driver.clock.advance(86_400)
    driver.run(story())

    assert driver.store.checkpoints[P0].mark is not None
    assert told == [0]
