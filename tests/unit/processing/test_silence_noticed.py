"""Promise P5 with a whole worker: silence is noticed on the wall clock; a silent ingest declares nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson

from schemas.vocabulary import Verdict
from service.domain.time import MINUTE, Micros, datetime_from, micros_of_text
from service.processing.silence import Overdue, SilenceRules, Withheld
from service.processing.values import TopicPartition
from tests.builders import Json
from tests.driver import Driver, with_options

P0 = TopicPartition("evse.events", 0)
OFFLINE_AFTER = timedelta(minutes=15)
TICK = timedelta(seconds=1)


def watched() -> Driver:
    """Give a driver whose watchdog is awake, as it is in production."""
    return Driver(options=with_options(silence=SilenceRules()))


def at(micros: Micros) -> str:
    """Write a time of the clock."""
    return datetime_from(micros).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def speak(driver: Driver, *uids: str) -> None:
    """Let chargers send a status and a word about their link now."""
    now = at(driver.clock.now())
    for uid in uids:
        common = {"evse_uid": uid, "occurred_at": now, "received_at": now}
        driver.write({"type": "connector.online", "event_id": f"on {now}", "online": True, **common})
        driver.write(
            {
                "type": "connector.status",
                "event_id": f"status {now}",
                "connector_uid": "c1",
                "status": "AVAILABLE",
                **common,
            }
        )
    driver.settle()


def go_on_unread(driver: Driver, minutes: int, *uids: str) -> None:
    """Let chargers send a heartbeat a minute while no worker reads."""
    for _ in range(minutes):
        driver.clock.advance(60)
        now = at(driver.clock.now())
        for uid in uids:
            driver.write({"type": "evse.heartbeat", "event_id": now, "evse_uid": uid, "received_at": now})


def live(driver: Driver, minutes: int, *uids: str) -> None:
    """Let time pass in which these chargers speak every minute."""
    for _ in range(minutes):
        driver.advance(timedelta(minutes=1))
        speak(driver, *uids)


def pass_by(driver: Driver, span: timedelta) -> None:
    """Let time pass in which nobody speaks, while the worker turns and looks."""
    for _ in range(int(span / timedelta(seconds=10))):
        driver.advance(timedelta(seconds=10))
    for _ in range(3):
        driver.settle()


def silences(driver: Driver) -> list[Json]:
    """Give what the worker wrote to the input."""
    return [
        event
        for record in driver.broker.records(P0)
        if (event := orjson.loads(record.value or b"{}")).get("reason") == "silence"
    ]


def gaps(driver: Driver) -> list[Json]:
    """Give the gaps that the worker wrote to the input."""
    return [
        event
        for record in driver.broker.records(P0)
        if (event := orjson.loads(record.value or b"{}")).get("type") == "observation.gap"
    ]


def online(driver: Driver, uid: str) -> bool | None:
    """Give what the view says of the reachability of an EVSE's connector."""
    value: bool | None = driver.view(uid)["evse"]["connectors"][0]["online"]
    return value


def test_a_charger_that_falls_silent_is_offline_within_a_tick_of_its_deadline() -> None:
    """Nothing arrives of it; its neighbours, who go on, show that the collection works."""
    driver = watched()
    live(driver, 3, "quiet", "other", "third")
    last_seen_at = driver.clock.now()
    live(driver, 15, "other", "third")
    assert online(driver, "quiet") is True
    speak(driver, "other")
    driver.advance(TICK)
    speak(driver, "other")
    pass_by(driver, timedelta(seconds=10))

    [event] = silences(driver)
    assert event["event_id"] == f"silence:quiet:{at(last_seen_at)}"
    assert event["occurred_at"] == at(last_seen_at + 15 * MINUTE)
    assert event["last_seen_at"] == at(last_seen_at)
    assert online(driver, "quiet") is False
    assert online(driver, "other") is True
    assert driver.view("quiet")["connectors"][0]["online_since"] == event["occurred_at"]
    assert driver.instruments.silences_written == 1


def test_the_next_word_of_a_silent_charger_ends_its_silence() -> None:
    """It is online again from then on, and may fall silent again."""
    driver = watched()
    live(driver, 3, "quiet", "other")
    live(driver, 20, "other")
    assert online(driver, "quiet") is False
    live(driver, 2, "quiet", "other")
    assert online(driver, "quiet") is True
    live(driver, 20, "other")

    assert len({each["event_id"] for each in silences(driver)}) == len(silences(driver)) == 2


def test_deadlines_outlive_the_worker() -> None:
    """A new worker hears nothing of the silent one, and knows it nevertheless."""
    driver = watched()
    live(driver, 3, "quiet", "other")
    driver.crash()
    driver.restart()
    live(driver, 20, "other")

    assert [each["evse_uid"] for each in silences(driver)] == ["quiet"]
    assert online(driver, "quiet") is False


def test_chargers_that_never_spoke_of_their_link_are_not_watched() -> None:
    """A status alone says nothing of how often one should be heard."""
    driver = watched()
    now = at(driver.clock.now())
    driver.pipe(
        {
            "type": "connector.status",
            "event_id": "1",
            "evse_uid": "mute",
            "connector_uid": "c1",
            "status": "AVAILABLE",
            "received_at": now,
        }
    )
    live(driver, 30, "other")

    assert silences(driver) == []


def test_a_paused_ingest_declares_nobody_and_is_unobserved_when_it_goes_on() -> None:
    """All stop at once: that is the collection, not the chargers."""
    driver = watched()
    live(driver, 30, "a", "b", "c")
    stopped = driver.clock.now()
    pass_by(driver, timedelta(hours=2))
    assert silences(driver) == []
    assert online(driver, "a") is True
    speak(driver, "b")
    went_on = driver.clock.now()
    driver.settle()

    assert {(each["evse_uid"], each["from"], each["until"]) for each in gaps(driver)} == {
        (uid, at(stopped), at(went_on)) for uid in "abc"
    }
    assert silences(driver) == []
    window = driver.view("b")["connectors"][0]["windows"][0]
    assert window["up_seconds"] == 29 * 60
    live(driver, 3, "a", "b", "c")
    assert {online(driver, uid) for uid in "abc"} == {True}
    assert len(gaps(driver)) == 3


def test_a_second_pause_is_a_gap_like_the_first() -> None:
    """One silence among many messages is no habit: the next one is not measured by it."""
    driver = watched()
    live(driver, 30, "a", "b")
    pass_by(driver, timedelta(hours=1))
    live(driver, 20, "a", "b")
    stopped = driver.clock.now()
    pass_by(driver, timedelta(minutes=30))
    speak(driver, "a")
    driver.settle()

    assert len({each["from"] for each in gaps(driver)}) == 2
    assert max(each["from"] for each in gaps(driver)) == at(stopped)


def test_a_gap_is_found_by_a_worker_that_was_not_there() -> None:
    """From the log: it ended before the silence and another began after it; a crash writes it once."""
    driver = watched()
    live(driver, 30, "a", "b")
    driver.stop()
    driver.clock.advance(7200)
    now = at(driver.clock.now())
    driver.write({"type": "evse.heartbeat", "event_id": "h", "evse_uid": "a", "received_at": now})
    driver.restart()
    driver.settle()
    driver.crash()
    driver.restart()
    driver.settle()

    assert sorted(each["evse_uid"] for each in gaps(driver)) == ["a", "b"]


def test_lag_alone_writes_no_gap_and_declares_nobody() -> None:
    """The worker was away while the chargers went on: it reads what they said, and nothing is amiss."""
    driver = watched()
    live(driver, 30, "a", "b")
    driver.stop()
    go_on_unread(driver, 120, "a", "b")
    driver.restart()
    driver.settle()
    pass_by(driver, timedelta(seconds=30))

    assert (silences(driver), gaps(driver)) == ([], [])


def test_who_is_not_declared_is_told_with_the_reason() -> None:
    """A silent ingest, then a gap after which all have as long again, then nobody any more."""
    driver = watched()
    live(driver, 30, "a", "b", "c")
    assert driver.instruments.withheld == {}
    pass_by(driver, timedelta(minutes=20))
    assert driver.instruments.withheld == {Withheld.NO_LATER_EVENT: 3}

    live(driver, 2, "b")
    assert driver.instruments.withheld == {Withheld.AFTER_GAP: 2}
    live(driver, 2, "a", "b", "c")
    assert driver.instruments.withheld == {}
    assert silences(driver) == []


def test_a_worker_that_starts_tells_whom_it_does_not_declare_yet() -> None:
    """Until it has read what came, and for a minute more; then they are declared and withheld no longer."""
    driver = watched()
    live(driver, 3, "quiet", "other")
    driver.stop()
    go_on_unread(driver, 20, "other")
    driver.restart(with_options(silence=SilenceRules(), max_batch_records=5))
    told = []
    for _ in range(7):
        driver.run(driver.worker.turn())
        told.append(driver.instruments.withheld)
        driver.clock.advance(30)

    # Of the neighbour, too, nothing newer was read at first.
    assert told[:3] == [{Withheld.CATCHING_UP: 2}, {Withheld.CATCHING_UP: 2}, {Withheld.CATCHING_UP: 1}]
    assert told[3:] == [{Withheld.CATCHING_UP: 1}, *2 * [{Withheld.AFTER_START: 1}], {}]
    assert [each["evse_uid"] for each in silences(driver)] == ["quiet"]


def test_a_partition_that_went_withholds_nothing() -> None:
    """Its new owner does: the sum over the workers stays."""
    driver = watched()
    live(driver, 30, "a", "b")
    pass_by(driver, timedelta(minutes=20))
    assert driver.instruments.withheld == {Withheld.NO_LATER_EVENT: 2}

    driver.worker._chores.drop(0)
    driver.worker._chores._watching.drop(0)
    driver.run(driver.worker._chores.do())

    assert driver.instruments.withheld == {}


def test_two_workers_that_both_own_an_evse_write_the_same_event() -> None:
    """It counts once: one is a duplicate of the other."""
    driver = watched()
    live(driver, 3, "quiet", "other")
    live(driver, 14, "other")
    zombie = driver.worker
    driver.run(driver.log.expel())
    driver.restart()
    driver.settle()
    for _ in range(3):
        driver.clock.advance(60)
        now = at(driver.clock.now())
        driver.write({"type": "evse.heartbeat", "event_id": now, "evse_uid": "other", "received_at": now})
        driver.settle()
    [event] = silences(driver)
    last_seen_at, deadline = (micros_of_text(event[name]) for name in ("last_seen_at", "occurred_at"))
    driver.run(zombie._steps.voice.tell_silences(0, [Overdue("quiet", last_seen_at, deadline)]))
    driver.settle()

    first, second = silences(driver)
    assert first == second
    assert driver.instruments.verdicts[Verdict.DUPLICATE] == 1
    assert online(driver, "quiet") is False


def test_the_watchdog_can_be_switched_off() -> None:
    """`OFFLINE_AFTER=0`."""
    driver = Driver(options=with_options(silence=SilenceRules(offline_after=0)))
    live(driver, 3, "quiet", "other")
    live(driver, 30, "other")

    assert silences(driver) == []


def test_a_removed_evse_is_not_missed() -> None:
    """It is gone for good."""
    driver = watched()
    live(driver, 3, "gone", "other")
    now = at(driver.clock.now())
    driver.pipe({"type": "evse.removed", "event_id": "end", "evse_uid": "gone", "occurred_at": now})
    live(driver, 30, "other")

    assert silences(driver) == []


def test_the_clock_of_the_tests_is_that_of_the_events() -> None:
    """Times written here are those that the driver's clock shows."""
    driver = watched()
    assert at(driver.clock.now()) == datetime(2026, 1, 6, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
