"""View and ledger laid out for other partitions (promise P7): nothing is lost, and nothing stands twice."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from service.adapters.memory import MemoryLedger
from service.adapters.memory_view import MemoryViewStore
from service.domain.state import Former
from service.domain.time import DAY, HOUR, MINUTE, SECOND
from service.inspection import Inspection, Kept
from service.processing import storing
from service.processing.options import Options
from service.processing.outputs import Topics
from service.processing.ports import Unusable
from service.processing.values import TopicPartition
from service.rebuild import Rebuild
from tests.builders import Json, event, heartbeat, online_reported, removed, status_reported
from tests.driver import NIGHT_AFTER, Driver, with_options
from tests.faults import Crash, When
from tests.repartitioning import MemoryGroup, Repartitioning, by_crc32, repartition, through_crash
from tests.unit.processing.test_crashes import steady
from tests.unit.processing.test_restoring import P0, lose, rebuild, settle_and_survey

UIDS = [f"e{number}" for number in range(1, 13)]


def day(number: int) -> list[Json]:
    """Tell of one day of all EVSEs."""
    told: list[Json] = []
    for uid in UIDS:
        told += [
            status_reported("AVAILABLE", "06:00", uid=uid, day=number),
            status_reported("OUTOFORDER", "07:00", uid=uid, day=number, error_code="GroundFailure"),
            status_reported("CHARGING", "09:00", uid=uid, day=number),
            online_reported(False, "10:00", uid=uid, day=number),
            heartbeat("10:30", uid=uid, day=number),
        ]
    return told


def until(driver: Driver, number: int) -> None:
    """Let the clock show an hour of the night after a day, whatever it showed."""
    at = NIGHT_AFTER + number * DAY + HOUR
    driver.clock.advance((at - driver.clock.now()) / SECOND)


def first_days(partitions: int) -> Driver:
    """Give a driver that heard two days, of which the first is closed, a removal and an exclusion."""
    # How many are heard in a partition says what a silence is, so that one of hours is none here.
    options = with_options(tick_interval_s=0.0, ingest_silent_after=400 * DAY)
    driver = Driver(partitions=partitions, options=options)
    driver.pipe(*day(0), status_reported("AVAILABLE", "06:00", uid="gone"))
    until(driver, 1)
    for _ in range(5):
        driver.settle()
    driver.pipe(
        *day(1),
        removed("11:00", uid="gone", day=1),
        event("exclusion.declared", "11:00", uid="e1", day=1, exclusion_id="x", reason="vandalism")
        | {"from": "2026-01-06T07:00:00Z", "until": "2026-01-06T08:00:00Z"},
    )
    return driver


def later(driver: Driver) -> None:
    """Tell of one day more, of events that come late, and of one that was told before."""
    until(driver, 2)
    driver.pipe(
        *day(2),
        status_reported("INOPERATIVE", "06:30", uid="e3", day=1),
        status_reported("CHARGING", "09:00", uid="e4", day=1),
        status_reported("AVAILABLE", "12:00", uid="gone", day=2),
    )
    until(driver, 3)
    for _ in range(5):
        driver.settle()


def shown(driver: Driver) -> Json:
    """Give what the view shows, but for the places of events in the log."""
    return {
        uid: (
            orjson.loads(kept.document["snapshot"]),
            kept.document["removed_at"],
            kept.days,
            sorted(_span(value) for _, value in kept.outages),
            kept.exclusions,
            sorted(kept.gaps),
        )
        for uid, kept in driver.store.evses.items()
    }


def _span(value: bytes) -> list[object]:
    plain = orjson.loads(value)
    return [str(plain[name]) for name in ("connector_uid", "from", "until", "status", "online", "error_code")]


def history(driver: Driver) -> Json:
    """Give what the compacted ledger holds of all EVSEs, each once, but for the places of events."""
    kept: dict[tuple[int, str], Json] = {}
    for record in driver.written("evse.ledger"):
        key = record.partition, (record.key or b"").decode()
        kept.pop(key, None)
        if record.value is not None and not key[1].startswith(('["base"', '["mark"', '["epoch"')):
            kept[key] = orjson.loads(record.value)
    keys = [key for _, key in kept]
    assert len(keys) == len(set(keys)), "a record stands in two partitions"
    for value in kept.values():
        for end in ("began_by", "ended_by"):
            value.pop(end, None)
    return {key: value for (_, key), value in kept.items()}


def last_words(driver: Driver) -> Json:
    """Give the last snapshot of each EVSE, which stands in one partition."""
    newest = {(each.partition, each.key): each.value for each in driver.written("evse.snapshots")}
    living = [
        ((key or b"").decode(), steady(orjson.loads(value)))
        for (_, key), value in newest.items()
        if value is not None
    ]
    assert len(living) == len(dict(living)), "an EVSE has two last snapshots"
    return dict(living)


def places_of_keys(driver: Driver, topic: str) -> dict[str, set[int]]:
    """Give in which partitions a compacted topic holds something of each EVSE."""
    newest = {(each.partition, each.key): each for each in driver.written(topic)}
    found: dict[str, set[int]] = {}
    for (partition, key), record in newest.items():
        words = orjson.loads(key or b"") if topic == "evse.ledger" else ["", (key or b"").decode()]
        if record.value is not None and len(words) > 1 and words[0] not in {"mark", "skip"}:
            found.setdefault(words[1], set()).add(partition)
    return found


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 4), (2, 3), (3, 7)])
def test_a_view_laid_out_anew_goes_on_as_if_it_had_always_been_so(old: int, new: int) -> None:
    """Statuses, history, revisions, removals: late events, repeats and ties go on as well."""
    driver = first_days(old)
    before = shown(driver)
    repartition(driver, new)
    between = shown(driver)
    later(driver)
    expected = first_days(new)
    later(expected)

    assert between == before
    assert shown(driver) == shown(expected)
    assert history(driver) == history(expected)
    assert driver.reasons() == []


def test_everything_of_an_evse_stands_in_its_new_partition_and_nowhere_else() -> None:
    """View, ledger, snapshots and the lists by partition."""
    driver = first_days(2)
    repartition(driver, 4)
    homes = {uid: by_crc32(uid.encode(), 4) for uid in (*UIDS, "gone")}

    assert {uid: int(kept.document["partition"]) for uid, kept in driver.store.evses.items()} == homes
    assert places_of_keys(driver, "evse.ledger") == {uid: {home} for uid, home in homes.items()}
    living = {uid: {home} for uid, home in homes.items() if uid != "gone"}
    assert places_of_keys(driver, "evse.snapshots") == living
    members = driver.server.view.members
    assert {uid: number for number in range(4) for uid in members[number]} == homes
    assert sum(map(len, members.values())) == len(homes)


def test_where_events_lie_that_came_before_is_remembered() -> None:
    """`explain` names their places; an EVSE that stayed has no other."""
    driver = first_days(1)
    repartition(driver, 2)
    later(driver)
    repartition(driver, 4)
    kept = driver.store.evses

    assert [kept[uid].document["former"] for uid in ("e4", "e9", "e5")] == [b"", b"[[0,0]]", b"[[1,0]]"]
    assert [kept[uid].document["former"] for uid in ("e8", "e12")] == [b"[[0,0],[1,1]]"] * 2
    state = storing.restore(driver.run(driver.store.load(["e8"]))["e8"])
    assert state.former == [Former(0, 0), Former(1, 1)]


def test_a_view_that_is_lost_afterwards_comes_back_in_the_new_layout() -> None:
    """From the ledger and what the log holds since; nothing before is read again."""
    driver = first_days(2)
    repartition(driver, 4)
    later(driver)
    before = shown(driver)
    driver.stop()
    lose(driver)
    driver.restart()
    for _ in range(3):
        settle_and_survey(driver)

    assert shown(driver) == before
    assert driver.reasons() == []


# By crc32 of two and then three partitions e2 goes from 1 to 0, e4 from 0 to 1, e5 from 0 to 2, and e9 stays.
SMALL = tuple(
    each
    for uid in ("e2", "e4", "e5")
    for each in (
        status_reported("AVAILABLE", "06:00", uid=uid),
        status_reported("OUTOFORDER", "07:00", uid=uid),
        status_reported("CHARGING", "09:00", uid=uid),
        online_reported(False, "10:00", uid=uid),
        heartbeat("10:30", uid=uid),
    )
)


def small() -> Driver:
    """Give a driver that heard a day of a few EVSEs; its worker is stopped, and there are more partitions."""
    driver = Driver(partitions=2, options=with_options(tick_interval_s=0.0, ingest_silent_after=400 * DAY))
    driver.pipe(*SMALL, status_reported("AVAILABLE", "06:00", uid="e9"), removed("11:00", uid="e9"))
    driver.stop()
    driver.extend(3)
    return driver


def laid_out(driver: Driver) -> Json:
    """Give all that is left behind when the log has gone on."""
    until(driver, 2)
    driver.pipe(*(status_reported("AVAILABLE", "05:00", uid=uid, day=2) for uid in ("e2", "e4", "e5")))
    for _ in range(5):
        driver.settle()
    return {
        "view": shown(driver),
        "ledger": history(driver),
        "places": (places_of_keys(driver, "evse.ledger"), places_of_keys(driver, "evse.snapshots")),
        "members": {number: set(found) for number, found in driver.server.view.members.items() if found},
        "snapshots": last_words(driver),
        "reasons": driver.reasons(),
    }


def undisturbed() -> Driver:
    """Lay out anew without a fault."""
    driver = small()
    Repartitioning(driver).all_of_it()
    return driver


STEPS = undisturbed().faults.calls
CALLS = range(len(small().faults.calls), len(STEPS))


@pytest.mark.parametrize(
    ("call", "loses"), [*((call, False) for call in CALLS), *((call, True) for call in CALLS[::2])]
)
def test_it_may_be_killed_at_any_await_and_called_again(call: int, loses: bool) -> None:
    """The end is the same, also where Redis comes back empty: the ledger holds one layout or the other."""
    driver, whens = small(), list(When)
    driver.faults.arm(call - CALLS.start, whens[(call + loses) % len(whens)], Crash())
    assert through_crash(driver, lambda: Repartitioning(driver).all_of_it())
    driver.faults.disarm()
    if loses:
        lose(driver)
    Repartitioning(driver).all_of_it()

    assert laid_out(driver) == laid_out(undisturbed())


@pytest.mark.parametrize("new", [3, 4])
def test_each_of_several_input_topics_begins_where_its_old_layout_ended(new: int) -> None:
    """Statuses and words about the link go on in their own topics."""
    told = {"evse.events": SMALL[:3] + SMALL[5:8], "evse.online": SMALL[3:5] + SMALL[8:10]}
    later = {
        "evse.events": status_reported("AVAILABLE", "05:00", uid="e2", day=2),
        "evse.online": online_reported(False, "06:00", uid="e4", day=2),
    }

    def heard(partitions: int) -> Driver:
        options = with_options(topics=tuple(told), tick_interval_s=0.0, ingest_silent_after=400 * DAY)
        driver = Driver(partitions=partitions, options=options)
        for topic, events in told.items():
            for each in events:
                driver.write(each, topic=topic)
        driver.settle()
        return driver

    driver, expected = heard(2), heard(new)
    repartition(driver, new)
    for each in (driver, expected):
        until(each, 2)
        for topic, event_later in later.items():
            each.write(event_later, topic=topic)
        each.settle()

    assert shown(driver) == shown(expected)
    begins = driver.server.view.epochs.begins
    assert {topic: len(offsets) for topic, offsets in begins.items()} == dict.fromkeys(told, new)
    assert driver.reasons() == []


@pytest.mark.parametrize("call", CALLS[::3])
def test_partitions_may_be_added_again_before_it_came_to_its_end(call: int) -> None:
    """What was copied for the first number holds nowhere."""
    driver = small()
    driver.faults.arm(call - CALLS.start, When.AFTER, Crash())
    assert through_crash(driver, lambda: Repartitioning(driver).all_of_it())
    driver.faults.disarm()
    driver.extend(5)
    Repartitioning(driver).all_of_it()
    expected = small()
    expected.extend(5)
    Repartitioning(expected).all_of_it()

    assert laid_out(driver) == laid_out(expected)


def test_what_waits_in_the_old_partitions_is_processed_first() -> None:
    """Though the partitions are there already, and the workers can run no more."""
    driver = first_days(2)
    driver.stop()
    until(driver, 2)
    for each in day(2):
        driver.write(each)
    driver.extend(4)
    Repartitioning(driver).all_of_it()
    expected = first_days(2)
    until(expected, 2)
    expected.pipe(*day(2))

    assert shown(driver) == shown(expected)


def test_what_producers_wrote_to_new_partitions_meanwhile_is_processed_afterwards() -> None:
    """They need not have stopped where they knew of the new partitions at once."""
    driver = first_days(2)
    driver.stop()
    driver.extend(4)
    until(driver, 2)
    for each in day(2):
        driver.write(each)
    Repartitioning(driver).all_of_it()
    driver.settle()
    expected = first_days(4)
    until(expected, 2)
    expected.pipe(*day(2))

    assert shown(driver) == shown(expected)
    assert driver.reasons() == []


def test_the_time_in_which_producers_stood_still_is_a_gap() -> None:
    """What was heard last in the old partitions is known in the new ones, and so is how often."""
    driver = Driver(partitions=2, options=with_options(tick_interval_s=0.0))
    every_minute(driver, 0, 120)
    repartition(driver, 4)
    until(driver, 1)
    every_minute(driver, 24 * 60, 3)

    gaps = {uid: [value for _, value in sorted(kept.gaps)] for uid, kept in driver.store.evses.items()}
    expected = b'{"from":"2026-01-06T02:59:00Z","until":"2026-01-07T01:00:00Z"}'
    assert gaps == {uid: [expected] for uid in UIDS}
    assert driver.reasons() == []


def every_minute(driver: Driver, first: int, count: int) -> None:
    """Let all EVSEs send heartbeats for some minutes, from so many minutes after one at night on."""
    for minute in range(first, first + count):
        at = NIGHT_AFTER + HOUR + minute * MINUTE
        driver.clock.advance(max(0, at - driver.clock.now()) / SECOND)
        hours, minutes = divmod(60 + minute, 60)
        for uid in UIDS:
            driver.write(heartbeat(f"{hours:02}:{minutes:02}", uid=uid, day=1))
        driver.settle()


def test_consumers_are_told_a_move_from_a_removal() -> None:
    """Where an EVSE lives no more a tombstone says where it went, and its snapshot follows there."""
    driver = small()
    Repartitioning(driver).all_of_it()
    by_time = sorted(
        (number, record)
        for number, record in enumerate(driver.written("evse.snapshots"))
        if record.key == b"e5"
    )
    gone = [record for _, record in by_time if record.value is None]
    last = [record for _, record in by_time if record.partition == 2]

    assert [(each.partition, dict(each.headers)["ce_movedto"]) for each in gone] == [(0, b"2")]
    assert last[-1].timestamp >= gone[0].timestamp
    assert orjson.loads(last[-1].value or b"")["revision"] == driver.view("e5")["revision"]


def test_a_changed_number_of_partitions_stops_the_start() -> None:
    """Though all topics have as many: the records of an EVSE would come to another partition than its own."""
    driver = small()
    driver.restart()

    with pytest.raises(Unusable, match=r"laid out for 2 partitions .* more now: .*rebuild --repartition"):
        driver.settle()
    assert driver.reasons() == []


def test_a_partition_that_comes_to_a_running_worker_stops_it() -> None:
    """Nothing is read of it; what it would be laid out for is not there."""
    driver = Driver(partitions=2, options=with_options(partitions=2))
    driver.pipe(*SMALL)
    driver.broker.create_topic("evse.events", 3)
    driver.write(status_reported("AVAILABLE", "11:00", uid="e5"), partition=2)
    driver.run(driver.broker.group("evse-status").join(driver.log))

    with pytest.raises(Unusable, match=r"laid out for 2 partitions .* more now: .*rebuild --repartition"):
        driver.settle()
    assert driver.reasons() == []


def test_a_view_that_is_lost_does_not_forget_for_how_many_it_was() -> None:
    """The ledger knows it as well."""
    driver = small()
    lose(driver)
    driver.restart()

    with pytest.raises(Unusable, match=r"laid out for 2 partitions .* more now"):
        driver.settle()


def test_what_came_to_no_end_stops_a_worker_that_has_lost_its_view() -> None:
    """Half of the old layout may still be there."""
    driver = small()
    work = Repartitioning(driver)
    work.drain(work.look())
    with pytest.raises(Crash):
        driver.run(stopped_when_switched(work))
    lose(driver)
    driver.restart()

    with pytest.raises(Unusable, match=r"came to no end: run `evse-status rebuild --repartition` again"):
        driver.settle()


async def stopped_when_switched(work: Repartitioning) -> None:
    """Lay out anew until the copy holds, and no further."""

    async def crash(*_: object) -> None:
        raise Crash

    work.job._end_elsewhere = crash  # type: ignore[method-assign, assignment]
    await work.job.move(await work.outlook.look())


def test_a_rebuild_afterwards_reads_nothing_of_the_old_layout() -> None:
    """The plain one keeps where the logs begin."""
    driver = undisturbed()
    before = shown(driver)
    rebuild(driver)
    for _ in range(3):
        settle_and_survey(driver)

    assert driver.server.view.epochs.begins == {"evse.events": (10, 7, 0)}
    assert shown(driver) == before
    assert driver.reasons() == []


@pytest.mark.parametrize("keeps_log", [True, False], ids=["the log is whole", "the log is cut"])
def test_view_and_ledger_lost_afterwards_are_made_again_of_the_snapshots(keeps_log: bool) -> None:
    """The commits alone know that the log began anew, and where: what lies before is not read for new."""
    driver = undisturbed()
    until(driver, 2)
    driver.pipe(status_reported("AVAILABLE", "05:00", uid="e5", day=2))
    before = {uid: driver.view(uid) for uid in ("e2", "e4", "e5")}
    driver.stop()
    driver.broker.recreate("evse.ledger")
    lose(driver)
    if not keeps_log:
        driver.broker.cut(P0, driver.broker.end(P0))
    driver.restart()
    with pytest.raises(Unusable, match="evse-status rebuild"):
        driver.settle()
    driver.stop()
    rebuild_as_found(driver)
    driver.restart()
    for _ in range(3):
        settle_and_survey(driver)

    words = ("status", "revision")
    after = {uid: driver.view(uid) for uid in before}
    assert [[each[word] for word in words] for each in after.values()] == [
        [each[word] for word in words] for each in before.values()
    ]
    assert driver.reasons() == []


def rebuild_as_found(driver: Driver) -> None:
    """Ask for a rebuild as the command does."""
    store = MemoryViewStore(driver.server)
    topics = Topics.with_prefix("evse.", "evse-status")
    kept = [Kept(name, MemoryLedger(driver.broker, name)) for name in (topics.ledger, topics.snapshots)]

    async def ask() -> None:
        await store.start()
        group = MemoryGroup(driver.broker)
        found = await Inspection(store, group, kept[0], kept[1], driver.options.topics).findings()
        job = Rebuild(store, group, driver.publisher, topics, driver.options.topics)
        await job.ask(found.next_epochs())

    driver.run(ask())


class TestWhatIsRefused:
    """Each with the remedy, and nothing is written."""

    def test_fewer_partitions_without_other_topics(self) -> None:
        """Kafka takes none away from the output topics."""
        driver = first_days(4)
        driver.stop()
        for number in (2, 3):
            del driver.broker._records[TopicPartition("evse.events", number)]

        with pytest.raises(Unusable, match=r"2 partitions, fewer than the 4 .*--from-prefix"):
            Repartitioning(driver).look()

    def test_a_partitioner_that_is_not_the_producers(self) -> None:
        """EVSEs do not live where it puts them."""
        driver = first_days(2)
        driver.stop()
        driver.extend(4)

        with pytest.raises(Unusable, match=r"of 13 EVSEs \d live where length .*INPUT_PARTITIONER=crc32"):
            Repartitioning(driver, chosen="length").look()

    def test_another_partitioner_than_it_was_begun_with(self) -> None:
        """What stands where that one puts nobody would be taken for left over, and ended."""
        driver = small()
        work = Repartitioning(driver)
        work.drain(work.look())
        with pytest.raises(Crash):
            driver.run(stopped_when_switched(work))

        with pytest.raises(
            Unusable, match=r"begun with another .* than length: set EVSE_.*_PARTITIONER=crc32"
        ):
            Repartitioning(driver, chosen="length").look()
        assert Repartitioning(driver).look().is_begun

    def test_producers_with_a_partitioner_of_their_own(self) -> None:
        """Nobody knows where they put what."""
        driver = Driver(partitions=3)
        for number, each in enumerate(SMALL):
            driver.write(each, partition=2 - number // 5)
        driver.settle()
        driver.stop()
        driver.extend(4)

        with pytest.raises(Unusable, match="nobody here knows where they put a uid"):
            Repartitioning(driver).look()

    def test_another_topic_of_the_name(self) -> None:
        """What it held before is gone, and cannot be processed first."""
        driver = small()
        driver.broker.recreate("evse.events")

        with pytest.raises(Unusable, match=r"evse.events is another one .* as many partitions as it had"):
            Repartitioning(driver).look()

    def test_an_input_topic_that_is_not_there_yet(self) -> None:
        """Before anything else is said of it."""
        driver = small()
        driver.options = with_topics(driver, "new.")

        with pytest.raises(Unusable, match=r"there is no input topic new\.events.* create it first"):
            Repartitioning(driver, old="evse.", inputs=("evse.events",)).look()

    def test_new_topics_without_the_old_ones_named(self) -> None:
        """Nothing of what is known stands in these."""
        driver = small()
        create_topics(driver, "new.", 4)
        driver.options = with_topics(driver, "new.")

        with pytest.raises(
            Unusable, match=r"are of topic evse\.events, and not of new\.events.*--from-prefix"
        ):
            Repartitioning(driver).look()

    @pytest.mark.parametrize("partitions", [2, 3])
    def test_topics_that_were_left_before(self, partitions: int) -> None:
        """Their log would be read once more."""
        driver = first_days(2)
        driver.stop()
        move_to_new_topics(driver, "new.", 3)
        driver.stop()
        create_topics(driver, "evse.", partitions)
        driver.options = with_topics(driver, "evse.")

        with pytest.raises(Unusable, match=r"evse\.ledger was in use before.* take new topics"):
            Repartitioning(driver, old="new.", inputs=("new.events",)).look()

    def test_the_old_topics_named_again_when_partitions_were_added_to_the_new_ones(self) -> None:
        """What is to be moved is in the new ones by now."""
        driver = first_days(2)
        driver.stop()
        move_to_new_topics(driver, "new.", 2)
        driver.stop()
        create_topics(driver, "new.", 3)
        driver.have(3)

        with pytest.raises(Unusable, match=r"in the topics of new\.ledger already.* without --from-prefix"):
            Repartitioning(driver, old="evse.", inputs=("evse.events",)).look()

    def test_nothing_processed_yet(self) -> None:
        """There is nothing to lay out."""
        driver = Driver(partitions=2)
        driver.stop()

        with pytest.raises(Unusable, match="nothing was processed yet"):
            Repartitioning(driver).look()


def with_a_stray() -> Driver:
    """Give a driver of which an EVSE was heard first in a partition that is not its own, then in that."""
    driver = first_days(4)
    driver.write(status_reported("AVAILABLE", "12:00", uid="e13", day=1), partition=STRAY)
    driver.settle()
    driver.pipe(status_reported("CHARGING", "13:00", uid="e13", day=1))
    assert driver.reasons() == ["wrong_partition"]
    driver.stop()
    return driver


HOME = by_crc32(b"e13", 4)
STRAY = (HOME + 1) % 4


def test_an_evse_that_was_first_heard_elsewhere_is_moved_to_its_own_partition() -> None:
    """A producer that did not know of new partitions told of it first: all others are wrong from then on."""
    driver = with_a_stray()
    before, prospect = shown(driver), Repartitioning(driver).look()
    Repartitioning(driver).all_of_it()
    between = shown(driver)
    driver.pipe(status_reported("CHARGING", "13:00", uid="e13", day=1))

    assert (prospect.is_done, prospect.old, prospect.new, prospect.moving) == (False, 4, 4, 1)
    assert between == before
    assert driver.view("e13")["status"] == "CHARGING"
    assert driver.reasons() == ["wrong_partition"]
    for topic in ("evse.ledger", "evse.snapshots"):
        assert places_of_keys(driver, topic)["e13"] == {HOME}
    members = driver.server.view.members
    assert [number for number in range(4) if "e13" in members[number]] == [HOME]
    driver.stop()
    assert Repartitioning(driver).look().is_done


def test_that_move_may_be_killed_at_any_await_and_called_again() -> None:
    """As with more partitions."""
    undisturbed = with_a_stray()
    work = Repartitioning(undisturbed)
    first = len(undisturbed.faults.calls)
    work.all_of_it()
    for call in range(0, len(undisturbed.faults.calls) - first, 5):
        driver = with_a_stray()
        work = Repartitioning(driver)
        driver.faults.arm(call, When.AFTER, Crash())
        assert through_crash(driver, work.all_of_it)
        driver.faults.disarm()
        Repartitioning(driver).all_of_it()

        assert shown(driver) == shown(undisturbed)
        assert places_of_keys(driver, "evse.ledger") == places_of_keys(undisturbed, "evse.ledger")
        assert last_words(driver) == last_words(undisturbed)


def test_producers_with_a_partitioner_of_their_own_have_no_strays() -> None:
    """Where most EVSEs live elsewhere than the partitioner puts them, it says nothing of any."""
    driver = with_a_stray()

    assert Repartitioning(driver, chosen="length").look().is_done


def test_called_where_nothing_is_to_be_done_it_changes_nothing() -> None:
    """Neither the generation nor a topic."""
    driver = undisturbed()
    before = [len(driver.written(topic)) for topic in ("evse.ledger", "evse.snapshots")]
    driver.stop()
    work = Repartitioning(driver)

    assert work.look().is_done
    assert work.move().generation == 1
    assert [len(driver.written(topic)) for topic in ("evse.ledger", "evse.snapshots")] == before


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_other_topics_may_have_any_number_of_partitions(count: int) -> None:
    """All is copied to them and read from there on, and what they had before stays as it was."""
    driver = first_days(3)
    before, history_before = shown(driver), history(driver)
    driver.stop()
    move_to_new_topics(driver, "new.", count)
    moved = shown(driver)
    until(driver, 2)
    driver.pipe(*(status_reported("AVAILABLE", "05:00", uid=uid, day=2) for uid in UIDS))

    assert moved == before
    assert history(driver) == history_before
    assert {driver.view(uid)["status"] for uid in UIDS} == {"AVAILABLE"}
    assert {uid for number in range(count) for uid in driver.server.view.members[number]} == {*UIDS, "gone"}
    assert not any(driver.server.view.members[number] for number in range(count, 5))
    assert driver.broker.records(TopicPartition("new.dead-letters", 0)) == []


def move_to_new_topics(driver: Driver, prefix: str, count: int) -> None:
    """Lay out anew in new topics with so many partitions; the worker is stopped."""
    old = driver.options
    create_topics(driver, prefix, count)
    driver.options = with_topics(driver, prefix)
    driver.have(count)
    Repartitioning(driver, old=old.topic_prefix, inputs=old.topics).all_of_it()


def test_where_events_lie_in_topics_that_were_left_is_remembered() -> None:
    """Also of an EVSE whose partition has the same number, and where topics are left twice in a row."""
    driver = first_days(3)
    homes = {uid: by_crc32(uid.encode(), 3) for uid in UIDS}
    driver.stop()
    move_to_new_topics(driver, "new.", 3)
    once = {uid: orjson.loads(driver.store.evses[uid].document["former"]) for uid in UIDS}
    driver.stop()
    move_to_new_topics(driver, "next.", 3)
    at_once = {uid: orjson.loads(driver.store.evses[uid].document["former"]) for uid in UIDS}
    until(driver, 2)
    driver.pipe(status_reported("AVAILABLE", "05:00", uid="e1", day=2))
    driver.stop()
    move_to_new_topics(driver, "last.", 3)
    last = {uid: orjson.loads(driver.store.evses[uid].document["former"]) for uid in UIDS}

    expected = {uid: [[0, home, ["evse.events"]]] for uid, home in homes.items()}
    assert once == at_once == expected
    assert last["e1"] == [*expected["e1"], [2, homes["e1"], ["next.events"]]]


def create_topics(driver: Driver, prefix: str, count: int) -> None:
    """Let all topics with this prefix have so many partitions."""
    for name in ("events", "snapshots", "transitions", "dead-letters", "ledger"):
        driver.broker.create_topic(prefix + name, count)


def with_topics(driver: Driver, prefix: str) -> Options:
    """Give the options of a worker for the topics with this prefix."""
    return replace(driver.options, topics=(f"{prefix}events",), topic_prefix=prefix)


def test_a_worker_that_goes_on_with_topics_that_were_left_stops() -> None:
    """They have as many partitions, so that nothing else tells; what it restored would be an older view."""
    driver = first_days(2)
    driver.stop()
    before = driver.options
    move_to_new_topics(driver, "new.", 2)
    driver.stop()
    driver.options = before
    driver.restart()

    with pytest.raises(Unusable, match=r"are of topic new\.events, and not of evse\.events"):
        driver.settle()


@pytest.mark.parametrize("loses_view", [False, True])
def test_a_worker_that_is_started_with_new_topics_before_all_was_moved_stops(*, loses_view: bool) -> None:
    """It would take their records for repeats; the ledger knows it, too, where the input alone is another."""
    driver = first_days(2)
    driver.stop()
    create_topics(driver, "new.", 2)
    if loses_view:
        lose(driver)
        driver.options = replace(driver.options, topics=("new.events",))
    else:
        driver.options = with_topics(driver, "new.")
    driver.restart()

    with pytest.raises(Unusable, match=r"are of topic evse\.events, and not of new\.events.*--from-prefix"):
        driver.settle()
    assert not any(driver.broker.records(TopicPartition("new.ledger", number)) for number in range(2))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("loses", [False, True])
def test_a_move_to_new_topics_may_be_killed_at_any_await_and_called_again(count: int, *, loses: bool) -> None:
    """The end is the same, also where Redis comes back empty."""

    def ready() -> tuple[Driver, Repartitioning]:
        options = with_options(tick_interval_s=0.0, ingest_silent_after=400 * DAY)
        driver = Driver(partitions=2, options=options)
        driver.pipe(*SMALL, status_reported("AVAILABLE", "06:00", uid="e9"), removed("11:00", uid="e9"))
        driver.stop()
        create_topics(driver, "new.", count)
        driver.options = with_topics(driver, "new.")
        driver.have(count)
        return driver, Repartitioning(driver, old="evse.", inputs=("evse.events",))

    def told(driver: Driver) -> Json:
        newest = {(each.partition, each.key): each for each in driver.written("new.ledger")}
        former = {uid: kept.document["former"] for uid, kept in driver.store.evses.items()}
        return {
            "view": shown(driver),
            "former": former,
            "ledger": {place for place, each in newest.items() if each.value is not None},
            "members": {number: set(found) for number, found in driver.server.view.members.items() if found},
        }

    expected, work = ready()
    first = len(expected.faults.calls)
    work.all_of_it()
    for call in range(0, len(expected.faults.calls) - first, 9):
        driver, work = ready()
        driver.faults.arm(call, list(When)[call % len(When)], Crash())
        assert through_crash(driver, work.all_of_it)
        driver.faults.disarm()
        if loses:
            lose(driver)
        Repartitioning(driver, old="evse.", inputs=("evse.events",)).all_of_it()

        assert told(driver) == told(expected)
