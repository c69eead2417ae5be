"""The worker as its users see it: events in, view, snapshots, transitions and dead letters out."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import structlog

from schemas.snapshot import CloudEventHeaders, Snapshot, TransitionRecord
from schemas.vocabulary import RejectionReason, Verdict
from service.adapters.memory import MemoryLog
from service.processing import planning
from service.processing.dead_letters import KEPT_BYTES, OffsetRange, TooManyRejections
from service.processing.instruments import OutputKind, Part, Step
from service.processing.planning import Defect
from service.processing.ports import TooLarge, Unavailable, Unusable
from service.processing.values import TopicPartition
from tests.builders import heartbeat, online_reported, removed, status_reported
from tests.compiled import puts_a_bug_in
from tests.driver import Driver, with_options
from tests.faults import Strike, When

GARBAGE = b"garbage"


def headers_of(driver: Driver, topic: str) -> list[dict[str, str]]:
    """Give the headers of everything written to a topic."""
    return [{name: value.decode() for name, value in each.headers} for each in driver.written(topic)]


def test_an_event_becomes_view_snapshot_and_transition() -> None:
    """One status report, and everybody knows; the offset is committed."""
    driver = Driver()
    driver.pipe(status_reported("CHARGING", "12:00"))

    [snapshot] = driver.snapshots()
    [transition] = driver.transitions()
    assert snapshot is not None
    assert snapshot == driver.view()
    assert (snapshot["status"], snapshot["revision"]) == ("CHARGING", 1)
    assert (transition["from_status"], transition["to_status"]) == (None, "CHARGING")
    assert driver.committed() == {0: 1}


def test_what_is_written_is_what_is_published() -> None:
    """Snapshots and transitions validate against the published models, headers included."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"), status_reported("OUTOFORDER", "12:05"))

    for snapshot in driver.snapshots():
        Snapshot.model_validate(snapshot)
    for transition in driver.transitions():
        TransitionRecord.model_validate(transition)
    for topic in ("evse.snapshots", "evse.transitions"):
        for headers in headers_of(driver, topic):
            CloudEventHeaders.model_validate(headers)
            assert headers["ce_subject"] == "e1"
            assert headers["content-type"] == "application/json"


def test_several_events_of_one_evse_give_one_write_and_one_snapshot() -> None:
    """Folded in log order, with a transition for each change; the revision counts each."""
    driver = Driver()
    driver.pipe(
        status_reported("AVAILABLE", "12:00"),
        status_reported("PREPARING", "12:01"),
        status_reported("CHARGING", "12:02"),
    )

    [snapshot] = driver.snapshots()
    assert snapshot is not None
    assert (snapshot["revision"], snapshot["status"]) == (3, "CHARGING")
    assert [each["to_status"] for each in driver.transitions()] == ["AVAILABLE", "PREPARING", "CHARGING"]
    assert [each["position"]["offset"] for each in driver.transitions()] == [0, 1, 2]
    assert driver.faults.calls.count("store.save") == 1


def test_a_batch_costs_one_call_of_each_kind() -> None:
    """However many EVSEs it holds: one load, one save, one publication, one commit."""
    driver = Driver(partitions=4)
    driver.settle()
    for _ in range(4):  # a look at a partition's EVSEs in each turn
        driver.settle()
    before = len(driver.faults.calls)
    driver.pipe(*(status_reported("AVAILABLE", "12:00", uid=f"e{number}") for number in range(50)))

    assert driver.faults.calls[before:] == [
        "store.load",
        "store.save",
        "publisher.publish",
        "store.save_checkpoints",
        "log.commit",
    ]


def test_outputs_go_to_the_partition_the_input_came_from() -> None:
    """Restoring a partition reads one partition of each topic."""
    driver = Driver(partitions=4)
    driver.pipe(*(status_reported("AVAILABLE", "12:00", uid=f"e{number}") for number in range(20)))

    for topic in ("evse.snapshots", "evse.transitions"):
        assert len(driver.written(topic)) == 20
        assert all(each.partition == driver.partition_of(each.key or b"") for each in driver.written(topic))


def test_a_sign_of_life_reaches_the_view_and_not_the_topic() -> None:
    """Redis has the newer `last_seen_at`; the topic follows with the next change."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.pipe(heartbeat("12:30"))

    assert len(driver.snapshots()) == 1
    assert driver.view()["last_seen_at"] == "2026-01-05T12:30:00Z"
    assert driver.view()["revision"] == 1
    assert driver.committed() == {0: 2}


def test_a_removal_is_a_last_snapshot_and_a_tombstone() -> None:
    """Consumers learn that all connectors are gone, then the compacted topic forgets the EVSE."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.pipe(removed("13:00"))

    [_, last, tombstone] = driver.snapshots()
    assert last is not None
    assert [each["status"] for each in last["evse"]["connectors"]] == ["REMOVED"]
    assert tombstone is None
    assert driver.written("evse.snapshots")[-1].key == b"e1"


def test_nothing_brings_a_removed_evse_back_into_the_topic() -> None:
    """What corrects its history repeats the tombstone at most."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"), removed("13:00"))
    driver.pipe(status_reported("OUTOFORDER", "12:30"), status_reported("CHARGING", "14:00"))

    assert driver.last_snapshots() == {"e1": None}
    assert sum(snapshot is not None for snapshot in driver.snapshots()) == 1


def test_each_verdict_is_counted() -> None:
    """Applied, refreshed, corrected, duplicate, late and rejected, each once or more."""
    driver = Driver()
    first = status_reported("AVAILABLE", "12:00")
    good = (
        first,
        first,
        heartbeat("12:10"),
        status_reported("OUTOFORDER", "11:00"),
        status_reported("CHARGING", "12:00", day=-10),
    )
    driver.pipe(*good, GARBAGE)

    counted = driver.instruments.verdicts
    assert counted == {
        Verdict.APPLIED: 1,
        Verdict.DUPLICATE: 1,
        Verdict.REFRESHED: 1,
        Verdict.CORRECTED: 1,
        Verdict.LATE: 1,
        Verdict.REJECTED: 1,
    }
    assert driver.instruments.rejections == {RejectionReason.NOT_JSON: 1}
    told = [(each["event_id"], each["evse_uid"]) for each in good]
    assert [(each.event_id, each.evse_uid) for each in driver.instruments.delayed_events] == told
    assert driver.instruments.outputs[OutputKind.DEAD_LETTER] == 1
    assert driver.instruments.batches == [(6, 1)]
    assert driver.instruments.steps[Step.COMMIT] == 1


def test_a_charger_with_a_wrong_clock_is_counted() -> None:
    """Its own time is not believed, and that shows."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00") | {"occurred_at": "1970-01-01T00:00:00Z"})

    assert driver.instruments.clocks_corrected == 1


def test_bad_records_cost_the_good_ones_nothing() -> None:
    """Each kind of garbage is a dead letter with its own reason; what is around it is processed."""
    driver = Driver()
    bad = [
        GARBAGE,
        b"\xff\xfe",
        b"[]",
        b"[" * 10_000,
        b'"' + b"x" * 5_000_000 + b'"',
        b'{"type": "connector.status", "event_id": "1", "status": "AVAILABLE"}',
        b'{"type": "evse.exploded", "event_id": "1", "evse_uid": "e1"}',
    ]
    for number, value in enumerate(bad):
        driver.write(status_reported("AVAILABLE", f"12:{number:02}", uid=f"e{number}"))
        driver.write(value, key=b"e1")
    driver.write(status_reported("AVAILABLE", "12:30"), key=b"e2")
    driver.write(None, key=b"e1")
    driver.settle()

    assert driver.reasons() == [
        "not_json",
        "not_utf8",
        "not_an_object",
        "too_deep",
        "too_large",
        "missing_field",
        "unknown_type",
        "key_mismatch",
        "empty",
    ]
    assert set(driver.last_snapshots()) == {f"e{number}" for number in range(len(bad))}
    assert driver.committed() == {0: 2 * len(bad) + 2}


def test_a_dead_letter_that_does_not_fit_is_cut() -> None:
    """Five megabytes are kept as 64 kB and their measures."""
    driver = Driver()
    driver.pipe(b"x" * 5_000_000)

    [letter] = driver.dead_letters()
    assert len(letter.value or b"") == KEPT_BYTES
    assert dict(letter.headers)["dl_value_length"] == b"5000000"


def test_a_dead_letter_too_large_for_the_topic_is_cut_further() -> None:
    """The topic may take less than the settings say; nothing is lost and nothing stands still."""
    driver = Driver(max_message_bytes=100_000)
    driver.pipe(b"x" * 300_000, status_reported("AVAILABLE", "12:00"))

    [letter] = driver.dead_letters()
    assert len(letter.value or b"") == KEPT_BYTES
    assert driver.committed() == {0: 2}


def test_a_snapshot_too_large_for_the_topic_stops_the_worker() -> None:
    """Sending it again cannot succeed, and to leave it out would be silence."""
    driver = Driver(max_message_bytes=100)
    driver.write(status_reported("AVAILABLE", "12:00"))

    with pytest.raises(TooLarge):
        driver.settle()
    assert driver.committed() == {0: 0}


def test_no_text_of_a_charger_makes_its_snapshot_too_large() -> None:
    """Two of half a mebibyte would: the worker would stop at them, and at each start again."""
    driver = Driver(max_message_bytes=1 << 20)
    driver.pipe(
        status_reported("AVAILABLE", "12:00", connector="c1", event_id="1", raw_status="x" * 600_000),
        status_reported("AVAILABLE", "12:01", connector="c2", event_id="2", raw_status="x" * 600_000),
    )

    [c1, c2] = driver.view()["connectors"]
    assert (c1["raw_status"], c2["raw_status"]) == ("x" * 255, "x" * 255)
    assert driver.committed() == {0: 2}


def test_an_evse_out_of_its_partition_is_a_dead_letter() -> None:
    """Its state and its offset stay those of its own partition."""
    driver = Driver(partitions=2)
    home = driver.partition_of(b"e1")
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.write(status_reported("CHARGING", "12:01"), partition=1 - home)
    driver.settle()

    assert driver.reasons() == ["wrong_partition"]
    assert driver.view()["status"] == "AVAILABLE"
    driver.pipe(status_reported("OUTOFORDER", "12:02"))
    assert driver.view()["status"] == "OUTOFORDER"


def test_too_many_rejections_in_a_row_stop_the_worker() -> None:
    """Those before the limit are dead letters and committed; the one that hits it is not."""
    driver = Driver(options=with_options(max_rejections_in_a_row=3))
    with pytest.raises(
        TooManyRejections, match=r"offset 3: not_json .*--accept-rejections evse.events:0:3-3"
    ):
        driver.pipe(status_reported("AVAILABLE", "12:00"), GARBAGE, GARBAGE, GARBAGE, GARBAGE)

    assert driver.committed() == {0: 3}
    assert len(driver.dead_letters()) == 2
    assert driver.view()["status"] == "AVAILABLE"


def test_a_restart_stops_at_the_same_record() -> None:
    """Rejections in a row are counted across restarts, whatever the batches."""
    driver = Driver(options=with_options(max_rejections_in_a_row=3, max_batch_records=1))
    with pytest.raises(TooManyRejections):
        driver.pipe(GARBAGE, GARBAGE, GARBAGE, GARBAGE)
    driver.crash()
    driver.restart()

    with pytest.raises(TooManyRejections, match="offset 2"):
        driver.settle()
    [checkpoint] = driver.store.checkpoints.values()
    assert (checkpoint.next_offset, checkpoint.rejections_in_a_row) == (2, 2)


def test_accepted_rejections_let_the_worker_go_on() -> None:
    """What the operator named becomes dead letters; the records behind are processed."""
    driver = Driver(options=with_options(max_rejections_in_a_row=3))
    with pytest.raises(TooManyRejections):
        driver.pipe(*[GARBAGE] * 5, status_reported("AVAILABLE", "12:00"))
    driver.crash()
    accepted = frozenset({OffsetRange.parse("evse.events:0:2-4")})
    driver.restart(with_options(max_rejections_in_a_row=3, accepted=accepted))
    driver.settle()

    assert len(driver.dead_letters()) == 5
    assert driver.committed() == {0: 6}
    assert driver.view()["status"] == "AVAILABLE"


@pytest.mark.allow_error_logs
@puts_a_bug_in
def test_a_bug_of_ours_stops_the_worker_with_the_record_uncommitted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The last words name EVSE, topic, partition, offset and key, with the trace."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("of ours")

    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.crash()
    driver.log, driver.worker = driver.new_worker()
    driver.write(status_reported("CHARGING", "12:01"))
    monkeypatch.setattr(planning, "fold", fail)

    with pytest.raises(Defect, match=r"topic evse\.events, partition 0, offset 1"):
        driver.run(driver.worker.run())
    assert driver.committed() == {0: 1}
    [last_words] = [each.getMessage() for each in caplog.records if each.levelname == "CRITICAL"]
    for word in ("evse_uid='e1'", "topic='evse.events'", "partition=0", "offset=1", "key=b'e1'"):
        assert word in last_words


def test_a_view_that_may_evict_meanwhile_stops_the_worker() -> None:
    """As it would at the start: a key that is gone without a word would be a new EVSE."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.server.evicts = True

    with pytest.raises(Unusable, match="evict"):
        driver.advance(timedelta(seconds=10))


def test_a_missing_input_topic_shows_in_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group then assigns nothing, which is valid elsewhere."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    assert driver.worker.health.ready(driver.clock.monotonic()).ok
    monkeypatch.setattr(driver.log, "unknown_topics", lambda: ["evse.events"])
    driver.advance(timedelta(seconds=2))

    [reason] = driver.worker.health.ready(driver.clock.monotonic()).reasons
    assert reason.startswith("the input topic evse.events is not there: create it again")
    assert "`evse-status rebuild`" in reason


def test_why_a_worker_ends_shows_in_readiness_until_it_has() -> None:
    """It gives everything back first, and is live meanwhile."""
    driver = Driver()
    driver.crash()
    driver.log, driver.worker = driver.new_worker()
    driver.write(status_reported("AVAILABLE", "12:00"))
    driver.faults.arm_next("store.save", When.BEFORE, Unusable("INSTANCE_ID must differ between workers"))

    with pytest.raises(Unusable):
        driver.run(driver.worker.run())

    now, health = driver.clock.monotonic(), driver.worker.health
    assert health.ready(now).reasons[0] == "the worker ends: INSTANCE_ID must differ between workers"
    assert health.live(now).ok


def test_run_returns_after_stop() -> None:
    """The batch in hand is finished and committed, and every part is given back."""
    driver = Driver()
    driver.crash()
    driver.log, driver.worker = driver.new_worker()
    driver.write(status_reported("AVAILABLE", "12:00"))

    async def stop_at_the_save() -> None:
        driver.worker.stop()

    driver.faults.arm_next("store.save", When.BEFORE, stop_at_the_save)
    driver.run(driver.worker.run())

    assert driver.committed() == {0: 1}
    assert driver.log.assignment() == frozenset()


def stop_with_a_send_under_way(driver: Driver, look_after: Strike) -> None:
    """Run a worker that is stopped while a send waits; `look_after` is what becomes of it at the end."""
    driver.crash()
    driver.log, driver.worker = driver.new_worker()
    driver.write(status_reported("AVAILABLE", "12:00"))

    async def stop_unanswered() -> None:
        driver.worker.stop()
        driver.faults.arm_next("publisher.publish", When.BEFORE, look_after)
        raise Unavailable("no answer")

    async def story() -> None:
        async with asyncio.timeout(10):  # a hang ends with a sentence
            await driver.worker.run()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def then() -> None:
        driver.faults.arm_next("publisher.publish", When.BEFORE, stop_unanswered)

    driver.faults.arm_next("store.save", When.AFTER, then)
    driver.run(story())


def test_a_late_send_that_nobody_answers_for_is_left_at_the_end() -> None:
    """The check is ended and goes on with nothing: what it would do next is closed."""
    ended: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("check")

    with structlog.testing.capture_logs() as lines:
        stop_with_a_send_under_way(Driver(options=with_options(last_check_s=0.01)), hang)

    assert ended == ["check"]
    assert "sends_unchecked" in [line.get("action") for line in lines]


def test_the_group_is_left_while_late_sends_are_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Kafka hangs each of the two takes all the time that it has: together no more than one."""
    looked_after, leave = asyncio.Event(), MemoryLog.stop

    async def look_after() -> None:
        looked_after.set()

    async def leave_last(log: MemoryLog) -> None:
        await looked_after.wait()
        await leave(log)

    monkeypatch.setattr(MemoryLog, "stop", leave_last)
    driver = Driver()
    stop_with_a_send_under_way(driver, look_after)

    assert driver.log.assignment() == frozenset()


@pytest.mark.parametrize(("answers", "committed"), [(True, {0: 2}), (False, {0: 1})])
def test_a_log_that_does_not_answer_is_not_waited_for_again_at_the_end(
    answers: bool, committed: dict[int, int]
) -> None:
    """What is done and not committed is read again; a last commit would take all its time once more."""
    driver = Driver(options=with_options(max_batch_records=1, commit_every_s=3600.0))
    driver.crash()
    driver.log, driver.worker = driver.new_worker()
    driver.write(status_reported("AVAILABLE", "12:00"))
    driver.write(status_reported("CHARGING", "12:05"))

    async def stop() -> None:
        if not answers:
            driver.worker.health.blocked(Part.LOG, "no answer")
        driver.worker.stop()

    async def first() -> None:
        driver.faults.arm_next("store.save", When.AFTER, stop)

    driver.faults.arm_next("store.save", When.AFTER, first)
    driver.run(driver.worker.run())

    assert driver.committed() == committed


def test_states_beyond_the_limit_are_loaded_again() -> None:
    """Memory is bounded; what was forgotten comes back from the store as it was."""
    driver = Driver(options=with_options(states_limit=2))
    for number in range(5):
        driver.pipe(status_reported("AVAILABLE", "12:00", uid=f"e{number}"))
    assert driver.instruments.states == 2
    driver.pipe(status_reported("CHARGING", "12:05", uid="e0"))

    assert driver.view("e0")["revision"] == 2
    assert driver.transitions()[-1]["lasted_seconds"] == 300


def test_the_state_of_an_evse_that_says_nothing_is_out_of_memory_until_it_speaks() -> None:
    """The tick that looks at it in between brings nothing back for good."""
    driver = Driver(options=with_options(states_idle_after_s=600.0, tick_interval_s=900.0))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    assert len(driver.worker._states) == 1
    driver.clock.advance(601)
    driver.settle()
    assert len(driver.worker._states) == 0
    driver.clock.advance(900)
    driver.settle()
    assert len(driver.worker._states) == 0
    driver.pipe(status_reported("CHARGING", "12:05"))

    assert len(driver.worker._states) == 1
    assert driver.view("e1")["revision"] == 2
    assert driver.transitions()[-1]["lasted_seconds"] == 300


def test_several_topics_make_one_evse() -> None:
    """Status from one topic, online from another; each has its offsets, both are committed."""
    driver = Driver(options=with_options(topics=("statuses", "onlines")))
    driver.write(status_reported("AVAILABLE", "12:00"))
    driver.write(online_reported(True, "12:00"), topic="onlines")
    driver.write(status_reported("CHARGING", "12:10"))
    driver.settle()

    [connector] = driver.view()["evse"]["connectors"]
    assert (connector["status"], connector["online"]) == ("CHARGING", True)
    assert driver.store.evses["e1"].position.offsets == (1, 0)
    assert (driver.committed("statuses"), driver.committed("onlines")) == ({0: 2}, {0: 1})
    driver.crash()
    driver.restart()
    driver.write(online_reported(False, "12:20"), topic="onlines")
    driver.settle()
    assert driver.view()["evse"]["connectors"][0]["online"] is False


def test_the_later_topic_wins_a_tie() -> None:
    """Between topics the place in the settings decides, then the offset; arrival does not."""
    for first in (0, 1):
        driver = Driver(options=with_options(topics=("a", "b")))
        reports = [("a", "OUTOFORDER"), ("b", "CHARGING")]
        for topic, word in (reports[first], reports[1 - first]):
            driver.write(status_reported(word, "12:00"), topic=topic)
            driver.settle()

        assert driver.view()["evse"]["connectors"][0]["status"] == "CHARGING"


def test_the_slow_tick_reaches_what_nobody_heard_since_the_start() -> None:
    """What its last save asked for may be unwritten: it is written once more, and then no more."""
    driver = Driver(options=with_options(tick_interval_s=3600))
    driver.pipe(status_reported("AVAILABLE", "12:00"), status_reported("CHARGING", "12:05"))
    driver.crash()
    driver.restart()
    for _ in range(3):
        driver.advance(timedelta(minutes=61))

    assert driver.instruments.ticks >= 2
    newest = driver.snapshots("e1")[-1]
    assert newest is not None
    assert newest["as_of"] == driver.view()["as_of"]
    assert len(driver.transitions()) == 2 + 2


def test_the_slow_tick_publishes_every_snapshot_anew() -> None:
    """Numbers drift with time: a newer `as_of` under the same revision, in the topic and in the view."""
    driver = Driver(options=with_options(tick_interval_s=3600))
    driver.pipe(*(status_reported("AVAILABLE", "12:00", uid=uid) for uid in ("e1", "e2")))
    driver.advance(timedelta(minutes=59))
    assert len(driver.snapshots()) == 2
    driver.advance(timedelta(minutes=1))
    driver.advance(timedelta(minutes=30))

    [before, after] = driver.snapshots("e1")
    assert before is not None
    assert after is not None
    assert after["revision"] == before["revision"]
    assert after["as_of"] == driver.view()["as_of"] > before["as_of"]
    assert after["connectors"][0]["windows"][0]["up_seconds"] > 3600 * 12
    assert driver.instruments.ticks == 2
    assert len(driver.transitions()) == 2
    ids = [headers["ce_id"] for headers in headers_of(driver, "evse.snapshots")]
    assert len(set(ids)) == len(ids)


def test_an_event_after_a_tick_is_as_of_the_event() -> None:
    """The guard takes a newer record whatever the clock said meanwhile."""
    driver = Driver(options=with_options(tick_interval_s=60))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.advance(timedelta(minutes=2))
    driver.pipe(status_reported("CHARGING", "12:10"))

    assert driver.view()["as_of"] == "2026-01-05T12:10:00Z"
    assert driver.view()["status"] == "CHARGING"


def test_a_removed_evse_is_not_refreshed() -> None:
    """It has no snapshot in the topic that could grow old."""
    driver = Driver(options=with_options(tick_interval_s=60))
    driver.pipe(status_reported("AVAILABLE", "12:00"), removed("13:00"))
    driver.advance(timedelta(minutes=2))

    assert driver.last_snapshots() == {"e1": None}
    assert driver.instruments.ticks == 0


def test_a_worker_without_records_is_ready() -> None:
    """Joined, restored, every part answers; lag is known."""
    driver = Driver(partitions=2)
    driver.settle()

    assert driver.worker.health.ready(driver.clock.monotonic()).ok
    assert set(driver.instruments.lags.values()) == {0}
    assert driver.instruments.turns > 0


def test_what_waits_for_a_view_that_does_not_answer_shows_in_the_lag() -> None:
    """The batch in hand, what was fetched meanwhile, and what is written while the call is made again."""
    driver = Driver(options=with_options(max_batch_records=1))
    driver.settle()
    waiting: list[int] = []

    def comes_back() -> None:
        waiting.extend(driver.instruments.lags.values())
        driver.server.available = True

    for minute in range(3):
        driver.write(status_reported("CHARGING", f"12:0{minute}"))
    driver.server.available = False
    driver.clock.at(driver.clock.monotonic() + 30, comes_back)
    driver.settle()

    assert waiting == [3]
    driver.advance(timedelta(seconds=10))
    assert set(driver.instruments.lags.values()) == {0}


def test_a_consumer_that_gives_nothing_though_records_wait_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop turns, the end offset moves and the position does not: not live, and the process ends."""
    driver = Driver()
    driver.settle()
    monkeypatch.setattr(driver.log, "_take", lambda _: [])
    driver.write(status_reported("AVAILABLE", "12:00"))
    for _ in range(20):
        driver.advance(timedelta(seconds=10))

    report = driver.worker.health.live(driver.clock.monotonic())
    assert not report.ok
    assert "evse.events[0] stands at offset 0" in report.reasons[0]
    assert driver.instruments.lags == {TopicPartition("evse.events", 0): 1}
