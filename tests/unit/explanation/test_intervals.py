"""What a connector's window is cut into, and why each interval begins and ends where it does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schemas.explanation import Explanation, Interval
from schemas.vocabulary import TimeClass
from service.domain.intervals import Interval as Period
from service.domain.time import DAY, HOUR, micros_from
from tests.builders import (
    MIDNIGHT,
    Json,
    event,
    heartbeat,
    online_reported,
    removed,
    status_reported,
    time_of,
)
from tests.evidence import explanation

DAY_ONE = (micros_from(MIDNIGHT), micros_from(MIDNIGHT) + DAY)
"""A window of the first day."""

LAST = heartbeat("00:00", day=1)


def excluding(name: str, start: str, end: str | None, **more: Any) -> Json:
    """Declare an exclusion for a part of the first day."""
    until = None if end is None else time_of(end)
    body: Json = {"exclusion_id": name, "from": time_of(start), "until": until, "reason": "vandalism"}
    return event("exclusion.declared", "00:00", **body, **more)


def gap(start: str, end: str) -> Json:
    """Say that nothing could be seen for a part of the first day."""
    body: Json = {"from": time_of(start), "until": time_of(end)}
    return event("observation.gap", end, **body)


def story(found: Explanation, connector: int = 0) -> list[tuple[str, str, str]]:
    """Tell of each interval when it begins, its class and its cause."""
    intervals = found.connectors[connector].intervals
    return [(f"{each.from_:%H:%M}", str(each.time_class), each.cause) for each in intervals]


def edges(found: Explanation) -> list[str]:
    """Name why each interval begins, and why the last one ends."""
    intervals = found.connectors[0].intervals
    return [*(each.begins_with for each in intervals), intervals[-1].ends_with]


def of_day_one(*events: Json, period: Period = DAY_ONE) -> Explanation:
    """Explain the first day."""
    return explanation(*events, LAST, period=period)


def test_an_outage_stands_between_the_events_at_its_ends() -> None:
    """Up ends where it begins, by the same event; before the first word nothing was observed."""
    found = of_day_one(
        status_reported("AVAILABLE", "01:00"),
        status_reported("OUTOFORDER", "06:00", error_code="GroundFailure"),
        status_reported("CHARGING", "08:00"),
    )

    assert story(found) == [
        ("00:00", "unobserved", "nothing heard yet"),
        ("01:00", "up", "working"),
        ("06:00", "down", "out of order with error GroundFailure"),
        ("08:00", "up", "working"),
    ]
    assert edges(found) == ["window", "event", "event", "event", "window"]
    _, before, outage, after = found.connectors[0].intervals
    assert outage.seconds == 7200
    assert (outage.status, outage.online, outage.error_code) == ("OUTOFORDER", None, "GroundFailure")
    assert (before.ended_by, after.began_by) == (outage.began_by, outage.ended_by)
    assert outage.began_by is not None
    assert outage.began_by.at == outage.from_
    assert (outage.began_by.topic, outage.began_by.partition, outage.began_by.offset) == ("evse.events", 3, 1)
    assert (before.status, before.class_before) == (None, TimeClass.UP)
    assert after.ended_by is None


def test_what_began_before_the_window_keeps_its_event() -> None:
    """The window cuts the interval and not the knowledge of what it began and ended with."""
    start, _ = DAY_ONE
    found = of_day_one(
        status_reported("AVAILABLE", "01:00"),
        status_reported("INOPERATIVE", "02:00"),
        status_reported("AVAILABLE", "20:00"),
        period=(start + 3 * HOUR, start + 5 * HOUR),
    )

    [only] = found.connectors[0].intervals
    assert (only.begins_with, only.ends_with) == ("window", "window")
    assert only.began_by is not None
    assert only.ended_by is not None
    assert (only.began_by.at, only.ended_by.at) == (
        MIDNIGHT + timedelta(hours=2),
        MIDNIGHT + timedelta(hours=20),
    )


def test_an_outage_that_is_open_is_ended_by_nothing() -> None:
    """It goes on at the end of the window."""
    found = of_day_one(status_reported("OUTOFORDER", "06:00"))

    last = found.connectors[0].intervals[-1]
    assert (last.ended_by, last.ends_with) == (None, "window")


def test_an_event_of_the_last_instant_ends_what_was_before() -> None:
    """Though no time is left for what it began."""
    found = explanation(
        status_reported("AVAILABLE", "01:00"), status_reported("OUTOFORDER", "00:00", day=1), period=DAY_ONE
    )

    last = found.connectors[0].intervals[-1]
    assert (last.time_class, last.ends_with) == (TimeClass.UP, "event")
    assert last.ended_by is not None


def test_offline_is_said_with_the_last_status() -> None:
    """And which message ended it: a heartbeat has neither id nor place."""
    found = of_day_one(
        online_reported(True, "00:00"),
        status_reported("CHARGING", "00:00"),
        online_reported(False, "06:00"),
        heartbeat("07:30:20"),
        online_reported(False, "08:00"),
        status_reported("OUTOFORDER", "08:30", received_at=time_of("09:00")),
    )

    assert story(found) == [
        ("00:00", "up", "working"),
        ("06:00", "down", "offline; last status CHARGING"),
        ("07:30", "up", "working"),
        ("08:00", "down", "offline; last status CHARGING"),
        ("08:30", "down", "offline; last status out of order"),
        ("09:00", "down", "out of order"),
    ]
    by = found.connectors[0].intervals[1].ended_by
    assert by is not None
    assert (by.kind, by.event_id, by.topic, by.offset, by.verdict) == ("heartbeat", None, None, None, None)
    assert by.at == MIDNIGHT + timedelta(hours=7, minutes=30)


def test_a_silence_that_the_worker_noticed_is_called_so() -> None:
    """By the id under which the worker writes it."""
    silence = online_reported(False, "06:00", reason="silence", last_seen_at=time_of("05:00"))
    silence["event_id"] = f"silence:e1:{time_of('05:00')}"
    found = of_day_one(status_reported("AVAILABLE", "05:00"), silence)

    assert story(found)[-1] == ("06:00", "down", "offline, it fell silent; last status AVAILABLE")


def test_an_exclusion_counts_only_where_it_overlaps_an_outage() -> None:
    """Up stays up, and is not even cut; of the outage the rest stays down."""
    found = of_day_one(
        status_reported("AVAILABLE", "00:00"),
        status_reported("OUTOFORDER", "06:00"),
        status_reported("AVAILABLE", "12:00"),
        excluding("x", "09:00", "18:00", note="cable cut"),
    )

    assert story(found) == [
        ("00:00", "up", "working"),
        ("06:00", "down", "out of order"),
        ("09:00", "excluded", "out of order, excluded by x"),
        ("12:00", "up", "working"),
    ]
    assert edges(found) == ["event", "event", "exclusion", "event", "window"]
    [use] = found.connectors[0].exclusions
    assert (use.seconds, use.counted_seconds) == (9 * 3600, 3 * 3600)
    assert use.rest_seconds == {TimeClass.UP: 6 * 3600}
    assert use.remark == "counts where it was down, and only there"
    assert (use.reason, use.note, use.connector_uids) == ("vandalism", "cable cut", None)
    assert found.connectors[0].window.uptime == 18 / 21


def test_exclusions_that_overlap_are_counted_once_and_both_named() -> None:
    """The sum has the time once; each says for itself how much of it counted."""
    found = of_day_one(
        status_reported("OUTOFORDER", "06:00"),
        excluding("x", "08:00", "12:00"),
        excluding("y", "10:00", None),
    )

    ids = [each.exclusion_ids for each in found.connectors[0].intervals]
    assert ids == [(), (), ("x",), ("x", "y"), ("y",)]
    assert [use.counted_seconds for use in found.connectors[0].exclusions] == [4 * 3600, 14 * 3600]
    assert found.connectors[0].window.excluded_seconds == 16 * 3600


@pytest.mark.parametrize(
    ("declared", "remark"),
    [
        (excluding("x", "01:00", "02:00"), "changes nothing: "),
        (excluding("x", "06:00", "07:00"), "counts in full"),
        (excluding("x", "06:00", "07:00", connector_uids=["c2"]), "does not count here: it is about other"),
    ],
)
def test_an_exclusion_says_why_it_counts_or_not(declared: Json, remark: str) -> None:
    """In the window, however little of it counts."""
    found = of_day_one(
        status_reported("AVAILABLE", "00:00"), status_reported("OUTOFORDER", "06:00"), declared
    )

    [use] = found.connectors[0].exclusions
    assert use.remark.startswith(remark)


def test_an_exclusion_outside_the_window_is_not_spoken_of() -> None:
    """Nor is one that ends where the window begins."""
    start, end = DAY_ONE
    found = of_day_one(
        status_reported("OUTOFORDER", "01:00"),
        excluding("x", "01:00", "03:00"),
        excluding("y", "12:00", "13:00"),
        gap("02:00", "03:00"),
        period=(start + 3 * HOUR, end - 12 * HOUR),
    )

    assert found.connectors[0].exclusions == ()
    assert found.connectors[0].gaps == ()


def test_a_gap_covers_whatever_was_in_service() -> None:
    """Up and down alike become unobserved, and the gap says what it was taken from."""
    found = of_day_one(
        status_reported("AVAILABLE", "00:00"),
        status_reported("OUTOFORDER", "06:00"),
        gap("05:00", "07:00"),
        gap("06:30", "07:30"),
    )

    assert story(found) == [
        ("00:00", "up", "working"),
        ("05:00", "unobserved", "gap in the observation (working)"),
        ("06:00", "unobserved", "gap in the observation (out of order)"),
        ("07:30", "down", "out of order"),
    ]
    assert edges(found) == ["event", "gap", "event", "gap", "window"]
    [use] = found.connectors[0].gaps
    assert (use.from_, use.until) == (
        MIDNIGHT + timedelta(hours=5),
        MIDNIGHT + timedelta(hours=7, minutes=30),
    )
    assert use.taken_seconds == {TimeClass.UP: 3600, TimeClass.DOWN: 5400}


def test_a_gap_goes_before_an_exclusion() -> None:
    """What nobody saw cannot be excused."""
    found = of_day_one(
        status_reported("OUTOFORDER", "00:00"), excluding("x", "02:00", "06:00"), gap("03:00", "04:00")
    )

    assert [(each[0], each[1]) for each in story(found)] == [
        ("00:00", "down"),
        ("02:00", "excluded"),
        ("03:00", "unobserved"),
        ("04:00", "excluded"),
        ("06:00", "down"),
    ]
    assert found.connectors[0].exclusions[0].counted_seconds == 3 * 3600


def test_what_lies_after_the_newest_time_is_unobserved() -> None:
    """A gap or an exclusion there takes nothing."""
    start, end = DAY_ONE
    found = of_day_one(
        status_reported("OUTOFORDER", "00:00"), excluding("x", "23:00", None), period=(start, end + HOUR)
    )

    last = found.connectors[0].intervals[-1]
    assert (last.time_class, last.begins_with, last.seconds) == (TimeClass.UNOBSERVED, "as_of", 3600)
    assert last.cause == "later than anything known of it"
    assert found.connectors[0].exclusions[0].counted_seconds == 3600


def test_another_status_of_no_length_joins_what_it_parted() -> None:
    """Out of order, available and out of order again in one instant: one outage, of both ends' events."""
    found = of_day_one(
        status_reported("OUTOFORDER", "06:00"),
        status_reported("AVAILABLE", "08:00"),
        status_reported("OUTOFORDER", "08:00"),
        status_reported("AVAILABLE", "09:00"),
    )

    outages = [each for each in found.connectors[0].intervals if each.time_class is TimeClass.DOWN]
    [outage] = outages
    assert outage.began_by is not None
    assert outage.ended_by is not None
    assert (outage.began_by.offset, outage.ended_by.offset, outage.seconds) == (0, 3, 3 * 3600)


def test_out_of_service_is_in_no_sum() -> None:
    """A removed EVSE is explained up to its removal."""
    found = of_day_one(status_reported("AVAILABLE", "00:00"), removed("20:00"))

    connector = found.connectors[0]
    assert story(found)[-1] == ("20:00", "out_of_service", "removed, out of service")
    assert (connector.out_of_service_seconds, connector.window.up_seconds) == (4 * 3600, 20 * 3600)
    assert found.removed_at == MIDNIGHT + timedelta(hours=20)


def named(found: Interval) -> list[str | None]:
    """Give the verdicts on the events at the ends of an interval."""
    return [each.verdict if each else None for each in (found.began_by, found.ended_by)]


def test_an_event_that_came_late_is_called_corrected() -> None:
    """Every other is called applied; what came too late to change anything is listed apart."""
    found = of_day_one(
        status_reported("AVAILABLE", "00:00"),
        status_reported("AVAILABLE", "12:00"),
        status_reported("OUTOFORDER", "06:00", received_at=time_of("13:00")),
        status_reported("AVAILABLE", "14:00"),
    )
    outage = found.connectors[0].intervals[1]

    assert (outage.time_class, named(outage)) == (TimeClass.DOWN, ["corrected", "applied"])
    assert found.late_events == ()


def test_what_came_too_late_is_listed_with_its_place() -> None:
    """What it says made no interval; that it ended one as a heartbeat is said."""
    found = explanation(
        status_reported("AVAILABLE", "00:00"),
        online_reported(False, "11:00", day=4),
        status_reported("OUTOFORDER", "06:00", received_at=time_of("12:00", day=4)),
    )

    [late] = found.late_events
    assert (late.at, late.topic, late.partition, late.offset, late.epoch) == (
        MIDNIGHT + timedelta(hours=6),
        "evse.events",
        3,
        2,
        0,
    )
    assert [each[2] for each in story(found) if each[1] == "down"] == ["offline; last status AVAILABLE"]


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (
            [event("evse.upserted", "00:00", evse={"connectors": [{"uid": "c1"}]})],
            "nothing of the window was observed",
        ),
        ([status_reported("AVAILABLE", "23:29:30")], "only 30 min 30 s of the window were observed"),
        (
            [status_reported("OUTOFORDER", "06:00"), excluding("x", "05:00", None)],
            "all that was observed is ex",
        ),
        ([status_reported("PLANNED", "00:00")], "it was out of service throughout"),
    ],
)
def test_a_missing_number_says_why(events: list[Json], why: str) -> None:
    """Null is an answer, too."""
    found = of_day_one(*events)

    assert found.connectors[0].window.uptime is None
    assert (found.connectors[0].why_null or "").startswith(why)


def test_a_number_needs_no_excuse() -> None:
    """Only null is explained."""
    assert of_day_one(status_reported("AVAILABLE", "00:00")).connectors[0].why_null is None
