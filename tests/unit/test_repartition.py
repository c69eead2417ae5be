"""View and ledger laid out for other partitions (promise P7): nothing is lost, and nothing stands twice."""

from __future__ import annotations

import orjson
import pytest

from service.domain.time import DAY, HOUR, SECOND
from tests.builders import Json, event, heartbeat, online_reported, removed, status_reported
from tests.driver import NIGHT_AFTER, Driver, with_options
from tests.faults import Crash, When
from tests.repartitioning import Repartitioning, by_crc32, repartition, through_crash
from tests.unit.processing.test_crashes import steady
from tests.unit.processing.test_restoring import lose, settle_and_survey

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
        "snapshots": steady(driver.last_snapshots()),
        "reasons": driver.reasons(),
    }


def undisturbed() -> Driver:
    """Lay out anew without a fault."""
    driver = small()
    Repartitioning(driver).all_of_it()
    return driver


STEPS = undisturbed().faults.calls
CALLS = range(len(small().faults.calls), len(STEPS))


@pytest.mark.parametrize("loses", [False, True], ids=["killed", "killed and the view lost"])
@pytest.mark.parametrize("call", CALLS)
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
