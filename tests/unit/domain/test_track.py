"""One connector: what it is now, its attempts, its days and its spans."""

from __future__ import annotations

import pytest

from schemas.vocabulary import Status
from service.domain.buckets import COUNTERS, OUTAGES
from service.domain.definitions import BUCKET
from service.domain.time import DAY, HOUR, MINUTE, SECOND
from service.domain.track import Cause, Report, Span, Track
from tests.unit.domain.told import MONDAY, Evse, when

AVAILABLE, FAULTY = Report(Status.AVAILABLE), Report(Status.OUTOFORDER, "Faulted", "GroundFailure")


def attempts(words: str, **raw: str) -> dict[str, int]:
    """Tell statuses such as `10:00 PREPARING`, and give the closed attempts that are not 0."""
    evse = Evse()
    for each in words.split(", "):
        at, _, word = each.rpartition(" ")
        evse.status(word, at, raw_status=raw.get(word))
    return {name: count for name, count in evse.rating("2 00:00").attempts.items() if count}


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ("10:00 PREPARING, 10:01 CHARGING, 10:06 FINISHING", {"succeeded": 1}),
        ("10:00 CHARGING, 10:05 AVAILABLE", {"succeeded": 1}),
        ("10:00 PREPARING, 10:01 CHARGING, 10:05:59 FINISHING", {"failed": 1}),
        ("10:00 PREPARING, 10:01 CHARGING, 11:00 OUTOFORDER", {"failed": 1}),
        ("10:00 PREPARING, 10:01 AVAILABLE", {"abandoned": 1}),
        ("10:00 PREPARING, 10:01 FINISHING", {"abandoned": 1}),
        ("10:00 PREPARING, 10:01 INOPERATIVE", {"unknown": 1}),
        ("10:00 PREPARING, 10:01 UNKNOWN", {"unknown": 1}),
        ("10:00 PREPARING, 10:01 OUTOFORDER", {"failed": 1}),
        ("10:00 CHARGING, 10:10 PREPARING, 10:11 CHARGING, 10:20 AVAILABLE", {"succeeded": 2}),
        (
            "10:00 CHARGING, 10:10 FINISHING, 10:11 PREPARING, 10:12 AVAILABLE",
            {"succeeded": 1, "abandoned": 1},
        ),
        ("10:00 CHARGING, 10:10 FINISHING, 10:11 CHARGING, 10:12 FINISHING", {"succeeded": 1, "failed": 1}),
        ("10:00 CHARGING, 10:02 CHARGING, 10:05 FINISHING", {"succeeded": 1}),
        ("10:00 PREPARING, 10:01 PREPARING, 1 10:00 AVAILABLE", {"abandoned": 1}),
        ("10:00 PREPARING, 1 10:00:01 AVAILABLE", {"unknown": 1}),
        ("10:00 PREPARING, 10:01 CHARGING, 10:01 FINISHING", {"abandoned": 1}),
        ("10:00 PREPARING, 10:01 CHARGING", {}),
        ("10:00 FINISHING, 10:01 RESERVED, 10:02 AVAILABLE", {}),
    ],
)
def test_attempts_open_and_close(statuses: str, expected: dict[str, int]) -> None:
    """On entry to PREPARING, or to CHARGING from outside a session; one still open says nothing."""
    assert expected == attempts(statuses)


@pytest.mark.parametrize("raw", ["SuspendedEV", "SuspendedEVSE"])
def test_what_was_suspended_from_the_start_has_not_charged(raw: str) -> None:
    """It is CHARGING all the same."""
    assert attempts("10:00 PREPARING, 10:01 CHARGING, 11:00 AVAILABLE", CHARGING=raw) == {"abandoned": 1}


def test_charging_counts_from_its_first_report_that_is_not_suspended() -> None:
    """Suspended later on it goes on."""
    evse = Evse()
    evse.status("CHARGING", "10:00", raw_status="SuspendedEV")
    evse.status("CHARGING", "10:10", raw_status="Charging")
    evse.status("CHARGING", "10:11", raw_status="SuspendedEVSE")
    evse.status("AVAILABLE", "10:15")

    assert evse.rating("11:00").attempts["succeeded"] == 1


def test_offline_keeps_an_attempt_open() -> None:
    """The charger charges on."""
    evse = Evse()
    evse.status("CHARGING", "10:00")
    evse.online(False, "10:01")
    evse.online(True, "10:09")
    evse.status("AVAILABLE", "10:10")

    assert evse.rating("11:00").attempts["succeeded"] == 1


def test_a_repeated_status_renews_the_words_and_nothing_else() -> None:
    """P4: it is a sign of life, not a transition."""
    track = Track()
    track.report_status((10, 1), "a", AVAILABLE)
    track.report_status((20, 2), "b", Report(Status.AVAILABLE, "Available", "Warning", "E1"))

    assert (track.status, track.status_since, track.status_key) == (Status.AVAILABLE, 10, (20, 2))
    assert (track.raw_status, track.error_code, track.vendor_error_code) == ("Available", "Warning", "E1")


def test_offline_writes_no_status_and_online_makes_nothing_available() -> None:
    """P4: status and online are two things."""
    track = Track()
    track.report_status((10, 1), "a", FAULTY)
    track.report_online((20, 2), "b", False)
    track.report_online((30, 3), "c", True)

    assert (track.status, track.status_since, track.online_since) == (Status.OUTOFORDER, 10, 30)


def test_a_span_names_its_state_and_the_events_at_its_ends() -> None:
    """A heartbeat has no id; before the first report there is nothing to name."""
    track = Track()
    track.report_status((10, 1), "a", FAULTY)
    track.report_online((20, 2), "b", False)
    track.sign_of_life((30, -1), None)
    track.report_status((40, 3), "c", AVAILABLE)

    assert track.spans == [
        Span(0, 10, BUCKET[None, None], None, None, Cause("a", 1)),
        Span(10, 20, BUCKET[Status.OUTOFORDER, None], "GroundFailure", Cause("a", 1), Cause("b", 2)),
        Span(20, 30, BUCKET[Status.OUTOFORDER, False], "GroundFailure", Cause("b", 2), Cause(None, -1)),
        Span(30, 40, BUCKET[Status.OUTOFORDER, True], "GroundFailure", Cause(None, -1), Cause("c", 3)),
    ]
    assert track.open_span(50) is None


def test_an_open_span_has_no_end_yet() -> None:
    """And is there from its first moment on."""
    track = Track()
    track.report_status((10, 1), "a", FAULTY)

    empty = track.open_span(10)

    assert empty is not None
    assert empty.end == empty.start
    assert track.open_span(15) == Span(
        10, 15, BUCKET[Status.OUTOFORDER, None], "GroundFailure", Cause("a", 1), None
    )


def test_a_change_that_lasts_no_time_leaves_no_span() -> None:
    """Two statuses of one instant: the later position holds."""
    track = Track()
    track.report_status((10, 1), "a", FAULTY)
    track.report_status((10, 2), "b", AVAILABLE)

    assert [span.end for span in track.spans] == [10]


def test_days_are_poured_at_midnight() -> None:
    """By bucket, to the microsecond; nothing heard is what is left."""
    track = Track()
    track.report_status((MONDAY - 1, 1), "a", AVAILABLE)
    track.report_online((MONDAY + HOUR, 2), "b", False)
    track.pour(MONDAY + 2 * DAY)
    track.pour(MONDAY)

    day = MONDAY // DAY
    up, offline = BUCKET[Status.AVAILABLE, None], BUCKET[Status.AVAILABLE, False]
    assert track.days == {
        day - 1: {up: 1},
        day: {up: HOUR, offline: DAY - HOUR},
        day + 1: {offline: DAY},
    }


def test_days_count_attempts_and_outages_when_they_are_known() -> None:
    """An attempt on the day it closes, a disconnect on the day it ends."""
    evse = Evse()
    evse.statuses("23:00 PREPARING, 1 01:00 OUTOFORDER, 1 02:00 AVAILABLE")
    evse.online(False, "1 23:59")
    evse.online(True, "2 00:01")

    days, first = evse.track().days, MONDAY // DAY
    assert days[first + 1][COUNTERS["failed"]] == 1
    assert days[first + 1][OUTAGES] == 1
    assert days[first + 2][OUTAGES] == 1


def test_a_sign_of_life_ends_only_what_began_before_it() -> None:
    """By (time, position)."""
    track = Track()
    track.report_online((10, 5), "a", False)
    track.sign_of_life((10, 5), "b")
    assert track.online is False
    track.sign_of_life((10, 6), "c")
    assert (track.online, track.online_since) == (True, 10)


def test_a_copy_is_independent() -> None:
    """In all that is mutable."""
    evse = Evse()
    evse.statuses("10:00 AVAILABLE, 11:00 OUTOFORDER, 12:00 AVAILABLE")
    track = evse.track()
    twin = track.copy()
    assert twin == track

    twin.report_status((when("13:00"), 9), "x", FAULTY)
    twin.pour(when("14:00"))

    assert evse.window("10:00", "14:00") == (3 * 3_600, 3_600, 0, 0)
    assert (twin.spans, twin.days, twin.sums) != (track.spans, track.days, track.sums)


def test_an_account_is_that_of_a_time() -> None:
    """Two tracks that differ only in when they were poured have the same account."""
    one, other = Track(), Track()
    for track in (one, other):
        track.report_status((MONDAY, 1), "a", AVAILABLE)
    other.pour(MONDAY + MINUTE)

    assert one.accounts_like(other, MONDAY + DAY)
    assert other.poured == MONDAY + MINUTE
    other.report_status((MONDAY + DAY, 2), "b", FAULTY)
    assert not one.accounts_like(other, MONDAY + 2 * DAY)


def test_an_inventory_gives_a_status_only_where_none_is_known() -> None:
    """Settled reading 12."""
    track = Track()
    track.take_inventory_status((10, 1), "a", AVAILABLE)
    track.take_inventory_status((20, 2), "b", FAULTY)

    assert (track.status, track.status_key) == (Status.AVAILABLE, (10, 1))
    assert track.sums_at(10 + SECOND)[0].up == pytest.approx(1.0)
