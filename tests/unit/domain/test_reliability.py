"""Reliability, by the table of traces and the settled readings 16 to 18."""

from __future__ import annotations

import math

import pytest

from schemas.vocabulary import Status
from service.domain.events import Event, OnlineReported, StatusReported
from service.domain.fold import fold
from service.domain.reliability import (
    ABANDONED,
    FAILED,
    HALF_LIFE_S,
    SUCCEEDED,
    UNTOLD,
    Outcome,
    Reliability,
    Sums,
    faded,
    integral,
    outcome_of,
    rate,
)
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.summary import reliability
from service.domain.time import DAY, HOUR, MINUTE, SECOND, Micros
from tests.unit.domain.told import MONDAY, Evse

Trace = list[tuple[int, str | bool]]
"""(seconds since the start, status or online)."""


def session(start: int, charging: int = 1_800) -> Trace:
    """Give a session: a minute of preparing, then charging; finished 1 980 s after its start."""
    return [
        (start, "PREPARING"),
        (start + 60, "CHARGING"),
        (start + 60 + charging, "FINISHING"),
        (start + 1_980, "AVAILABLE"),
    ]


def sessions(days: int, *, short_each: int = 0) -> Trace:
    """Give three sessions a day, of which each so-manieth charges for 60 s only."""
    starts = [day * 86_400 + hour * 3_600 for day in range(days) for hour in (6, 12, 18)]
    trace: Trace = [(0, "AVAILABLE")]
    for number, start in enumerate(starts, start=1):
        trace += session(start, 60 if short_each and number % short_each == 0 else 1_800)
    return trace


def flapping(days: int) -> Trace:
    """Give a connector that is offline for 2 minutes in every 10."""
    links: Trace = [
        (start + offset, online)
        for start in range(0, days * 86_400, 600)
        for offset, online in ((480, False), (600, True))
    ]
    return [(0, "AVAILABLE"), *links]


def rated(trace: Trace, days: int, using: Rules | None = None) -> Reliability:
    """Fold a trace and rate its connector after so many days."""
    state, using = EvseState("e1"), using or Rules()
    for number, (seconds, word) in enumerate(trace):
        at = MONDAY + seconds * SECOND
        event: Event = (
            OnlineReported(str(number), "e1", number, at, at, online=word)
            if isinstance(word, bool)
            else StatusReported(str(number), "e1", number, at, at, connector_uid="c1", status=Status(word))
        )
        fold(state, event, using)
    return reliability(state, "c1", MONDAY + days * DAY)


TABLE: dict[str, tuple[Trace, int, tuple[float, float, float, float]]] = {
    "30 d AVAILABLE, no session": ([(0, "AVAILABLE")], 30, (8.99, 0.9987, 0.9998, 0.9)),
    "30 d, 3 good sessions a day": (sessions(30), 30, (9.85, 0.9987, 0.9998, 0.9867)),
    "each third shorter than 5 min": (sessions(30, short_each=3), 30, (6.95, 0.9987, 0.9998, 0.6962)),
    "30 d good, then 30 d OUTOFORDER": (
        [*sessions(30), (30 * 86_400, "OUTOFORDER")],
        60,
        (3.43, 0.3524, 0.9979, 0.9765),
    ),
    "30 d, offline 2 min in every 10": (flapping(30), 30, (0.01, 0.8075, 0.0008, 0.9)),
    # Any start between 1 600 s and 6 300 s gives these digits.
    "one failed session on day 1": (
        [(0, "AVAILABLE"), *session(3_600, 60)],
        1,
        (8.06, 0.9849, 0.9979, 0.8198),
    ),
}


@pytest.mark.parametrize(("trace", "days", "expected"), TABLE.values(), ids=TABLE)
@pytest.mark.parametrize("lateness", [0, 48 * HOUR], ids=["closed at once", "48 h"])
def test_the_table_of_traces(
    trace: Trace, days: int, expected: tuple[float, float, float, float], lateness: Micros
) -> None:
    """To two decimals, the terms to four; however much of the history is closed."""
    found = rated(trace, days, Rules(allowed_lateness=lateness))

    assert found.value is not None
    assert expected[0] == round(found.value, 2)
    assert expected[1:] == tuple(
        round(term, 4) for term in (found.availability, found.continuity, found.success)
    )


# What decays


def test_half_of_it_is_left_after_thirty_days() -> None:
    """And a quarter after sixty."""
    assert math.isclose(0.5, faded(30 * DAY))
    assert math.isclose(0.25, faded(60 * DAY))
    assert faded(0) == 1.0


def test_decayed_time_is_integrated_exactly() -> None:
    """Of all time ever a half-life divided by ln 2 is left."""
    assert math.isclose(HALF_LIFE_S / math.log(2), integral(0, 10_000 * DAY, 10_000 * DAY), rel_tol=1e-9)
    assert math.isclose(integral(0, DAY, 9 * DAY), integral(0, DAY, DAY) * faded(8 * DAY))


def test_the_sums_advance_by_the_same_integral() -> None:
    """Observed and up, by the bucket the connector is in."""
    sums = Sums()
    sums.advance(DAY, 4)  # AVAILABLE, online
    assert math.isclose(integral(0, DAY, DAY), sums.up)
    assert sums.up == sums.observed

    sums.advance(2 * DAY, 5)  # AVAILABLE, offline
    assert math.isclose(integral(0, 2 * DAY, 2 * DAY), sums.observed)
    assert math.isclose(integral(0, DAY, 2 * DAY), sums.up)


def test_without_anything_heard_the_terms_are_the_priors() -> None:
    """Reading 16: they are given even while the value is null."""
    rating = rate(Sums(), 0, {}, 0)

    assert rating.value is None
    assert (rating.availability, rating.success) == (0.97, 0.9)
    assert rating.continuity == math.exp(-360 / 86_400)


# 16: what is observed


def test_the_value_is_null_until_a_day_was_observed() -> None:
    """Reading 16: undecayed, to the microsecond."""
    evse = Evse()
    evse.status("AVAILABLE", "00:00")

    assert evse.rating("23:59:59.999999").value is None
    assert evse.rating("1 00:00").value is not None


@pytest.mark.parametrize(
    ("statuses", "online", "hours"),
    [
        ("00:00 AVAILABLE, 10:00 UNKNOWN", None, 10),
        ("00:00 AVAILABLE, 10:00 UNKNOWN", False, 10),
        ("00:00 PLANNED, 10:00 AVAILABLE, 15:00 REMOVED", None, 5),
        ("10:00 OUTOFORDER", None, 14),
        ("10:00 AVAILABLE", False, 14),
    ],
)
def test_unknown_unheard_and_out_of_service_are_not_observed(
    statuses: str, online: bool | None, hours: int
) -> None:
    """Reading 16: offline or not."""
    evse = Evse()
    evse.statuses(statuses)
    evse.online(online, "-1 00:00")
    evse.online(online, "20:00")

    assert evse.rating("1 00:00").observed == hours * HOUR


def test_counts_are_over_the_whole_history_kept() -> None:
    """Reading 16: closed days, recent ones and the open segment; undecayed."""
    found = rated([*flapping(10), *((seconds + 10 * 86_400, word) for seconds, word in sessions(5)[1:])], 20)

    assert found.observed == 20 * DAY
    assert found.outages == 1_440
    assert found.attempts == {"succeeded": 15, "failed": 0, "abandoned": 0, "unknown": 0}


# 17: onsets


@pytest.mark.parametrize(
    ("before", "onsets"),
    [
        ("AVAILABLE", 1),
        ("PREPARING", 1),
        ("CHARGING", 1),
        ("FINISHING", 1),
        ("RESERVED", 1),
        ("INOPERATIVE", 0),
        ("UNKNOWN", 0),
        ("PLANNED", 0),
    ],
)
def test_a_fault_is_an_onset_from_any_operational_status(before: str, onsets: int) -> None:
    """Reading 17: and from no other."""
    evse = Evse()
    evse.statuses(f"00:00 {before}, 01:00 OUTOFORDER, 02:00 OUTOFORDER")

    assert evse.rating("03:00").outages == onsets


def test_a_fault_is_an_onset_even_while_offline() -> None:
    """Reading 17: both count."""
    evse = Evse()
    evse.status("AVAILABLE", "00:00")
    evse.online(False, "01:00")
    evse.status("OUTOFORDER", "01:30", received="02:00")

    assert evse.rating("03:00").outages == 2


@pytest.mark.parametrize(("until", "onsets"), [("01:01:00", 0), ("01:01:00.000001", 1)])
@pytest.mark.parametrize("status", ["AVAILABLE", "UNKNOWN", "PLANNED", "OUTOFORDER"])
def test_offline_for_over_a_minute_is_an_onset_whatever_the_status(
    status: str, until: str, onsets: int
) -> None:
    """Reading 17: also one still open."""
    evse = Evse()
    evse.status(status, "00:00")
    evse.online(False, "01:00")
    assert evse.rating(until).outages == onsets

    evse.online(True, until)
    assert evse.rating(until).outages == onsets
    assert evse.rating("05:00").outages == onsets


def test_an_onset_weighs_what_it_did_at_its_start() -> None:
    """Reading 17: however long the outage lasted."""
    open_still, ended = Evse(), Evse()
    for evse in (open_still, ended):
        evse.status("OUTOFORDER", "00:00")
        evse.online(False, "00:00")
    ended.online(True, "30 00:00")

    sums, extra = open_still.track().sums_at(MONDAY + 30 * DAY)
    assert (math.isclose(0.5, sums.onsets), extra) == (True, 1)
    sums, extra = ended.track().sums_at(MONDAY + 30 * DAY)
    assert (math.isclose(0.5, sums.onsets), extra) == (True, 0)


# 18: attempts


@pytest.mark.parametrize(
    ("charged", "open_for", "closed_by", "expected"),
    [
        (5 * MINUTE, 6 * MINUTE, "FINISHING", SUCCEEDED),
        (5 * MINUTE, 6 * MINUTE, "UNKNOWN", SUCCEEDED),
        (5 * MINUTE, 6 * MINUTE, "OUTOFORDER", FAILED),
        (5 * MINUTE - 1, 6 * MINUTE, "FINISHING", FAILED),
        (1, MINUTE, "AVAILABLE", FAILED),
        (0, MINUTE, "OUTOFORDER", FAILED),
        (0, MINUTE, "AVAILABLE", ABANDONED),
        (0, MINUTE, "FINISHING", ABANDONED),
        (0, 24 * HOUR, "AVAILABLE", ABANDONED),
        (0, 24 * HOUR + 1, "AVAILABLE", UNTOLD),
        (5 * MINUTE, 25 * HOUR, "AVAILABLE", SUCCEEDED),
        (0, 25 * HOUR, "OUTOFORDER", FAILED),
        (0, MINUTE, "INOPERATIVE", UNTOLD),
        (0, MINUTE, "RESERVED", UNTOLD),
        (0, MINUTE, "REMOVED", UNTOLD),
        (0, MINUTE, "UNKNOWN", UNTOLD),
        (0, MINUTE, "PLANNED", UNTOLD),
    ],
)
def test_the_table_of_outcomes(charged: Micros, open_for: Micros, closed_by: str, expected: Outcome) -> None:
    """Reading 18: the 24 h concern only what never charged."""
    assert expected is outcome_of(charged, open_for, Status(closed_by))


def test_what_each_outcome_adds() -> None:
    """Success and failure, undecayed."""
    assert [(each.success, each.failure) for each in (SUCCEEDED, FAILED, ABANDONED, UNTOLD)] == [
        (1.0, 0.0),
        (0.0, 1.0),
        (0.0, 0.5),
        (0.0, 0.0),
    ]


def test_what_is_left_out_of_closed_days_is_added_up_once() -> None:
    """Not at every change; a declaration about them, or another day that closes, has it added up anew."""
    evse = Evse(allowed_lateness=HOUR)
    evse.statuses("00:00 AVAILABLE, 10:00 OUTOFORDER, 14:00 AVAILABLE")
    evse.gap("02:00", "03:00", at="2 00:00")
    evse.exclude("x", "12:00", "13:00", at="2 00:00")
    evse.heartbeat("2 12:00")
    evse.gap("2 09:00", "2 11:00")
    assert evse.rating("2 12:00").observed == (60 - 2 - 2) * HOUR
    kept = evse.state.history["c1"].left_out

    evse.status("CHARGING", "2 13:00")
    assert evse.rating("2 13:00").observed == (61 - 2 - 2) * HOUR
    assert evse.state.history["c1"].left_out is kept

    evse.withdraw("x", "2 13:00")
    assert evse.rating("2 13:00").observed == (61 - 1 - 2) * HOUR
    evse.gap("04:00", "05:00", at="2 13:00")
    assert evse.rating("2 13:00").observed == (61 - 2 - 2) * HOUR
    evse.heartbeat("4 12:00")
    assert evse.rating("4 12:00").observed == (108 - 2 - 2) * HOUR


def test_what_is_left_out_weighs_the_same_before_and_after_its_day_is_closed() -> None:
    """Added up as of the end of the closed days it fades from there."""
    closed, open_still = Evse(allowed_lateness=HOUR), Evse(allowed_lateness=400 * HOUR)
    for evse in (closed, open_still):
        evse.statuses("00:00 AVAILABLE, 1 10:00 OUTOFORDER, 1 14:00 AVAILABLE")
        evse.gap("1 13:00", "3 01:00")
        evse.exclude("x", "1 11:00", "1 12:00", at="3 02:00")
        evse.heartbeat("9 00:00")

    one, other = closed.rating("9 00:00"), open_still.rating("9 00:00")
    assert closed.state.days_closed > open_still.state.days_closed
    assert one.observed == other.observed
    assert (one.availability, one.continuity, one.success) == pytest.approx(
        (other.availability, other.continuity, other.success), rel=1e-12
    )
