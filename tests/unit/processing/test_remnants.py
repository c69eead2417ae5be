"""
The log does not reach back to the bases, or there are none yet (promises P7, P10): what is left is used, the
rest is said and unobserved, for each EVSE, and revisions go on above those that were published.
"""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
import structlog

from schemas.view import parse_exclusions, parse_gaps, parse_outages
from service.domain.definitions import OBSERVED
from service.domain.rules import published_from
from service.explanation.account import Question, explained
from service.explanation.evidence import Evidence
from service.processing import closed_records
from service.processing.ports import Unusable
from service.processing.values import TopicPartition
from tests.builders import Json, event, online_reported, removed, status_reported
from tests.driver import Driver, with_options
from tests.faults import Crash, When
from tests.unit.processing.test_restoring import (
    DAYS,
    come_back,
    lose,
    of_a_week,
    one_day,
    rebuild,
)

P0 = TopicPartition("evse.events", 0)

PAST: tuple[Json, ...] = (
    event("evse.upserted", "05:00", day=-9, evse={"connectors": [{"uid": "c1", "max_amperage": 32}]}),
    event("exclusion.declared", "05:00", day=-9, exclusion_id="x", reason="vandalism")
    | {"from": "2025-12-28T07:00:00Z", "until": "2025-12-28T08:00:00Z"},
    *(
        each
        for day in range(-9, 0)
        for each in (
            status_reported("AVAILABLE", "06:00", day=day),
            status_reported("OUTOFORDER", "07:00", day=day, error_code="GroundFailure"),
            status_reported("CHARGING", "09:00", day=day),
            online_reported(day % 2 == 0, "10:00", day=day),
            status_reported("INOPERATIVE", "23:00", uid="e2", day=day),
            status_reported("AVAILABLE", "03:00", uid="e2", day=day),
        )
    ),
    status_reported("AVAILABLE", "12:00", uid="e3", day=-8),
    removed("12:00", uid="e3", day=-7),
)
"""Nine days of two EVSEs, and one that was removed, all told on one day: nothing has a base yet."""


def before_the_first_base() -> Driver:
    """Give a driver that has told the past on its first day, with the log cut behind it and the view lost."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    driver.pipe(*PAST)
    driver.broker.cut(P0, driver.broker.end(P0))
    lose(driver)
    return driver


def explains(driver: Driver, uid: str) -> bool | None:
    """Tell whether the intervals of an EVSE sum to its published numbers."""
    kept = driver.store.evses[uid]
    evidence = Evidence.of(
        {name: value.decode() for name, value in kept.document.items()},
        parse_outages(value for _, value in sorted(kept.outages)),
        parse_exclusions(kept.exclusions),
        parse_gaps(value for _, value in sorted(kept.gaps)),
        (),
    )
    period = (published_from(evidence.as_of), evidence.as_of)
    return explained(evidence, Question(period, OBSERVED, ("evse.events",))).agrees


def gaps_of(driver: Driver, uid: str) -> list[tuple[str, str]]:
    """Give the gaps of an EVSE in their order."""
    found = (orjson.loads(gap) for _, gap in driver.store.evses[uid].gaps)
    return sorted((gap["from"], gap["until"]) for gap in found)


def losses_in(driver: Driver) -> list[str]:
    """Give the ids of the gaps that the log has of records that are gone, in its order."""
    events = (orjson.loads(record.value or b"") for record in driver.written("evse.events"))
    return [each["event_id"] for each in events if each["event_id"].startswith("lost:")]


def seen(driver: Driver, uid: str) -> tuple[float, float]:
    """Give the seconds up and down of the published window of a port."""
    window = driver.view(uid)["windows"][0]
    return window["up_seconds"], window["down_seconds"]


def test_each_evse_is_told_of_a_gap_up_to_the_next_record_of_a_charger() -> None:
    """Its closed history ends at a midnight; from there until somebody is heard nothing is observed."""
    driver = before_the_first_base()
    come_back(driver)
    driver.advance(timedelta(minutes=30))
    driver.pipe(status_reported("AVAILABLE", "00:30", day=1))

    merged = {uid: gaps_of(driver, uid) for uid in driver.store.evses}
    assert merged.keys() == {"e1", "e2", "e3"}
    for uid in ("e1", "e2"):
        assert merged[uid][0][0] == "2026-01-02T00:00:00Z"
        assert merged[uid][0][1] == merged[uid][1][0], "told at once, and again up to the record"
        assert merged[uid][1][1] == "2026-01-06T00:30:30Z"
    assert merged["e3"] == [], "it was out of service all the while"


def test_a_loss_ends_where_the_log_goes_on_and_not_with_each_evses_own_word() -> None:
    """From the first charger on that it holds it is whole: who says nothing there has nothing to say."""
    driver = before_the_first_base()
    driver.crash()
    driver.clock.advance(600)
    words = {"from": "2026-01-06T00:00:00Z", "exclusion_id": "y", "reason": "vandalism"}
    driver.write(event("exclusion.declared", "00:10", uid="e2", day=1) | words)
    driver.clock.advance(600)
    driver.write(status_reported("AVAILABLE", "00:20", day=1))
    driver.clock.advance(4 * 3600)
    driver.restart()
    come_back(driver)

    lost = ("2026-01-02T00:00:00Z", "2026-01-06T00:20:00Z")
    assert [gaps_of(driver, uid)[-1] for uid in ("e1", "e2")] == [lost, lost]


def test_closed_history_is_put_back_and_adds_up() -> None:
    """Days and spans are those that were, and every published number is that of its intervals."""
    driver = before_the_first_base()
    whole = Driver(options=with_options(tick_interval_s=0.0))
    whole.pipe(*PAST)
    come_back(driver)

    for uid in ("e1", "e2", "e3"):
        assert driver.store.evses[uid].days == whole.store.evses[uid].days
        assert explains(driver, uid)
    assert 0 < seen(driver, "e1")[0] < seen(whole, "e1")[0]


def test_ledger_and_view_say_the_same_afterwards() -> None:
    """The next restoration, with bases, gives what this one gave."""
    driver = before_the_first_base()
    come_back(driver)
    for day in range(1, 4):
        one_day(driver, day)
    before = {uid: driver.view(uid) for uid in ("e1", "e2")}
    assert driver.instruments.bases >= 2
    lose(driver)
    come_back(driver)

    assert {uid: driver.view(uid) for uid in ("e1", "e2")} == before
    for uid in before:
        assert explains(driver, uid)


def of_connector(driver: Driver, uid: str, connector: str) -> tuple[dict[str, Json], list[Json]]:
    """Give the closed days and outages of a connector that the view has."""
    kept = driver.store.evses[uid]
    days = {name: orjson.loads(day) for name, day in kept.days.items() if name.startswith(f"{connector}/")}
    outages = [orjson.loads(outage) for _, outage in sorted(kept.outages)]
    return days, [each for each in outages if each["connector_uid"] == connector]


@pytest.mark.parametrize("most_bytes", [closed_records.MOST_BYTES, 0], ids=["in memory", "staged"])
def test_a_connector_first_named_after_the_base_keeps_what_held_for_all_before(
    monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    """Its last snapshot alone names it: its history is put into view and ledger, and stays there."""
    monkeypatch.setattr(closed_records, "MOST_BYTES", most_bytes)
    driver, whole = of_a_week(), of_a_week()
    for each in (driver, whole):
        each.pipe(status_reported("AVAILABLE", "04:00", uid="e2", connector="new", day=DAYS))
    wanted = of_connector(whole, "e2", "new")
    for number in range(2):
        place = TopicPartition("evse.events", number)
        driver.broker.cut(place, driver.broker.end(place))
    lose(driver)
    come_back(driver)

    days, outages = of_connector(driver, "e2", "new")
    assert list(days) == ["new/2026-01-05", "new/2026-01-06"], "closed when the base was written"
    assert days.items() <= wanted[0].items()
    assert outages
    assert outages == wanted[1][: len(outages)]
    port = {name: day for name, day in driver.store.evses["e2"].days.items() if name.startswith("/")}
    assert port.items() <= whole.store.evses["e2"].days.items()

    one_day(driver, DAYS)
    closed = of_connector(driver, "e2", "new")
    assert days.items() <= closed[0].items()
    lose(driver)
    come_back(driver)
    assert of_connector(driver, "e2", "new") == closed


def test_revisions_and_content_go_on_from_what_was_published() -> None:
    """Consumers keep the higher revision: one below it would be lost on them (promise P10)."""
    driver = before_the_first_base()
    last = driver.last_snapshots()["e1"]
    come_back(driver)
    again = driver.view()
    driver.pipe(status_reported("FINISHING", "00:10", day=1))

    assert last is not None
    assert again["revision"] == last["revision"]
    drifting = {"uptime", "reliability"}
    for old, new in zip(last["evse"]["connectors"], again["evse"]["connectors"], strict=True):
        assert {k: v for k, v in old.items() if k not in drifting} == {
            k: v for k, v in new.items() if k not in drifting
        }
    assert again["evse"]["connectors"][0]["max_amperage"] == 32
    assert driver.view()["revision"] == last["revision"] + 1


def test_an_evse_that_was_removed_stays_removed() -> None:
    """The ledger keeps the removal: nothing brings the uid back."""
    driver = before_the_first_base()
    come_back(driver)
    driver.pipe(status_reported("AVAILABLE", "00:10", uid="e3", day=1))

    assert driver.store.evses["e3"].document["removed_at"] == b"2025-12-29T12:00:00Z"
    assert driver.last_snapshots()["e3"] is None


def test_the_log_says_of_each_evse_what_is_lost() -> None:
    """How many, and who."""
    driver = before_the_first_base()
    with structlog.testing.capture_logs() as said:
        come_back(driver)

    unobserved = next(each for each in said if each["action"] == "evses_unobserved")
    restored = next(each for each in said if each["action"] == "partition_restored")
    assert (unobserved["evses"], unobserved["evse_uids"]) == (2, ["e1", "e2"])
    assert restored["lost"] is True


def crash_with_the_checkpoint(driver: Driver) -> None:
    """Start, crash right after the checkpoint of the restoration, and start again, for an hour."""
    driver.faults.arm_next("store.save_checkpoints", When.AFTER, Crash())
    driver.restart()
    with pytest.raises(Crash):
        driver.settle()
    driver.crash()
    driver.restart()
    driver.advance(timedelta(hours=1))


@pytest.mark.parametrize("by_hand", [True, False])
def test_what_the_log_has_of_a_loss_is_not_appended_again(*, by_hand: bool) -> None:
    """The log is read again, by a second rebuild or after the view was lost once more."""
    driver = before_the_first_base()
    driver.write(status_reported("AVAILABLE", "00:30", day=1))
    for _ in range(10):
        driver.run(driver.worker.turn())
        driver.clock.advance(1.0)
    told, gaps = losses_in(driver), gaps_of(driver, "e1")
    driver.crash()
    if by_hand:
        rebuild(driver)
    else:
        lose(driver)
    driver.restart()
    come_back(driver)

    assert sorted(told) == sorted(set(told))
    assert len(told) == 2
    assert losses_in(driver) == told
    assert gaps_of(driver, "e1") == gaps


def test_a_crash_before_anybody_is_heard_forgets_no_gap() -> None:
    """What is still to be told is kept with the checkpoint."""
    driver = before_the_first_base()
    driver.crash()
    crash_with_the_checkpoint(driver)
    driver.pipe(status_reported("AVAILABLE", "01:00", day=1))

    gaps = gaps_of(driver, "e2")
    assert (gaps[0][0], gaps[-1][1]) == ("2026-01-02T00:00:00Z", "2026-01-06T01:00:00Z")


def test_a_crash_forgets_no_gap_of_a_whole_partition() -> None:
    """That records are gone is kept with the checkpoint, too."""
    driver = Driver(options=with_options(tick_interval_s=0.0, ingest_silent_after=10**15))
    one_day(driver, 0)
    driver.pipe(status_reported("CHARGING", "06:00", day=1))
    driver.broker.cut(P0, driver.broker.end(P0))
    driver.crash()
    lose(driver)
    crash_with_the_checkpoint(driver)
    driver.pipe(status_reported("AVAILABLE", "09:00", day=1))

    assert {uid: len(gaps_of(driver, uid)) for uid in ("e1", "e2")} == {"e1": 1, "e2": 1}


def test_nothing_closed_yet_leaves_the_last_snapshot_alone() -> None:
    """Before a day has closed the gap begins when the EVSE was first seen."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    driver.pipe(status_reported("AVAILABLE", "12:00"), status_reported("CHARGING", "13:00"))
    revision = driver.view()["revision"]
    driver.broker.cut(P0, driver.broker.end(P0))
    lose(driver)
    driver.advance(timedelta(hours=1))
    driver.pipe(status_reported("AVAILABLE", "01:00", day=1))

    assert gaps_of(driver, "e1")[0][0] == "2026-01-05T12:00:00Z"
    assert driver.view()["revision"] == revision + 1
    assert explains(driver, "e1")


def test_an_evse_with_a_base_goes_on_from_its_last_snapshot_too() -> None:
    """It has said more since its base than the log still holds."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    one_day(driver, 0)
    driver.pipe(status_reported("CHARGING", "06:00", day=1), status_reported("FINISHING", "07:00", day=1))
    last = driver.view()
    driver.broker.cut(P0, driver.broker.end(P0))
    lose(driver)
    come_back(driver)

    again = driver.view()
    assert again["revision"] == last["revision"]
    assert again["status"] == last["status"]
    assert again["connectors"][0]["status_since"] == last["connectors"][0]["status_since"]


def test_a_rebuild_keeps_what_the_view_alone_holds() -> None:
    """The view is whole, the log is cut: made anew from ledger and log it would have a hole."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    driver.pipe(*PAST)
    before = driver.view()
    driver.broker.cut(P0, driver.broker.end(P0))
    rebuild(driver)
    come_back(driver)

    assert driver.view() == before
    assert driver.instruments.gaps_written == 0


def lose_the_topic(driver: Driver) -> None:
    """Delete the input topic and create it again: the offsets of the group go with it."""
    driver.broker.recreate("evse.events")
    group = driver.broker.group("evse-status")
    group.committed.clear()
    group.signed.clear()


@pytest.mark.parametrize("days", [0, 3])
def test_view_and_topic_lost_at_once_stop_the_worker(days: int) -> None:
    """Nobody knows an offset, but ledger or snapshots know of EVSEs: the log is another one."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    for day in range(days):
        one_day(driver, day)
    driver.stop()
    lose(driver)
    lose_the_topic(driver)
    driver.write(status_reported("CHARGING", "13:00"))
    driver.restart()

    with pytest.raises(Unusable, match="evse-status rebuild"):
        driver.settle()


@pytest.mark.parametrize("past", [PAST, (status_reported("AVAILABLE", "12:00"),)], ids=["days", "hours"])
def test_after_a_rebuild_the_new_log_is_folded_onto_what_is_left(past: tuple[Json, ...]) -> None:
    """The remedy works: history and revisions go on, and the time between is unobserved."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    driver.pipe(*past)
    revision = driver.view()["revision"]
    driver.stop()
    lose(driver)
    lose_the_topic(driver)
    rebuild(driver, "evse.events")
    driver.write(status_reported("FINISHING", "00:05", day=1))
    driver.restart()
    come_back(driver)

    assert driver.view()["revision"] == revision + 1
    assert len(gaps_of(driver, "e1")) == 1
    assert explains(driver, "e1")


def test_a_topic_made_anew_under_a_whole_view_costs_nothing_that_was_seen() -> None:
    """Nothing has a base yet, and the last snapshots say what the view says: the view holds more."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    driver.pipe(status_reported("AVAILABLE", "12:00"), status_reported("CHARGING", "12:30"))
    before = driver.view()
    driver.stop()
    lose_the_topic(driver)
    rebuild(driver, "evse.events")
    driver.write(status_reported("FINISHING", "00:05", day=1))
    driver.restart()
    come_back(driver)

    assert driver.view()["revision"] == before["revision"] + 1
    assert gaps_of(driver, "e1") == []


def test_what_snapshots_hold_comes_back_where_nothing_else_is_left() -> None:
    """View, ledger and topic went at once; a rebuild goes on from the last snapshots."""
    driver = Driver(options=with_options(tick_interval_s=0.0))
    driver.pipe(status_reported("AVAILABLE", "12:00"), status_reported("CHARGING", "12:30"))
    revision = driver.view()["revision"]
    driver.stop()
    lose(driver)
    lose_the_topic(driver)
    driver.broker.recreate("evse.ledger")
    rebuild(driver, "evse.events")
    driver.write(status_reported("FINISHING", "00:05", day=1))
    driver.restart()
    come_back(driver)

    assert driver.view()["revision"] == revision + 1
    assert len(gaps_of(driver, "e1")) == 1


def test_a_view_lost_before_the_first_batch_was_committed_is_no_other_log() -> None:
    """The commit stands before anything is written of a partition."""
    driver = Driver()
    driver.write(status_reported("AVAILABLE", "12:00"))
    driver.run(driver.worker.turn())
    driver.crash()
    lose(driver)
    driver.restart()
    driver.settle()

    assert driver.view()["revision"] == 1
