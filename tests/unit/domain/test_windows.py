"""Windows: any period, any definition, from days and from spans."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.vocabulary import ExclusionReason, TimeClass
from service.domain.definitions import BUCKET, OBSERVED, PAIRS, Definition
from service.domain.rules import Rules
from service.domain.summary import summarize
from service.domain.time import DAY, HOUR
from service.domain.track import Span
from service.domain.windows import Window, connector_window, overlapping, port_window, spans_of
from tests.unit.domain.told import Evse, in_seconds, when

H = 3_600
IGNORES_ONLINE = Definition(
    "ignores_online",
    tuple(OBSERVED.class_of(status, None) for status, _ in PAIRS),
    frozenset({ExclusionReason.VANDALISM}),
)


def window(up: int = 0, down: int = 0, excluded: int = 0, unobserved: int = 0) -> Window:
    """Give a window of so many hours of each class."""
    return Window("observed", 0, DAY, up * HOUR, down * HOUR, excluded * HOUR, unobserved * HOUR)


@pytest.mark.parametrize(
    ("of", "uptime", "coverage"),
    [
        (window(up=3, down=1), 0.75, 1.0),
        (window(up=3, down=1, excluded=2, unobserved=2), 0.75, 0.75),
        (window(excluded=2), None, 1.0),
        (window(unobserved=2), None, 0.0),
        (window(), None, None),
        (replace(window(up=1), up=HOUR - 1), None, 1.0),
        (replace(window(up=1), up=HOUR - 1, excluded=1), 1.0, 1.0),
    ],
)
def test_uptime_and_coverage(of: Window, uptime: float | None, coverage: float | None) -> None:
    """Exclusions are out of the denominator of uptime, and seen for coverage."""
    assert (uptime, coverage) == (of.uptime, of.coverage)


@pytest.mark.parametrize(
    ("start", "until", "expected"),
    [
        ("09:00", "13:00", (3 * H, H, 0, 0)),
        ("10:30", "11:30", (H // 2, H // 2, 0, 0)),
        ("10:15", "10:45", (0, H // 2, 0, 0)),
        ("11:00", "12:00", (H, 0, 0, 0)),
        ("12:00", "12:00", (0, 0, 0, 0)),
        ("08:00", "10:00", (H, 0, 0, H)),
        ("-9 00:00", "-8 00:00", (0, 0, 0, 24 * H)),
    ],
)
@pytest.mark.parametrize("lateness", [0, 48 * HOUR], ids=["closed", "recent"])
def test_any_period_is_cut_out_exactly(
    start: str, until: str, expected: tuple[int, int, int, int], lateness: int
) -> None:
    """From closed spans and recent ones."""
    evse = Evse(allowed_lateness=lateness)
    evse.statuses("09:00 AVAILABLE, 10:00 OUTOFORDER, 11:00 AVAILABLE, 20:00 CHARGING")

    assert expected == evse.window(start, until)
    assert expected == evse.port(start, until)


def test_what_lies_after_as_of_is_unobserved() -> None:
    """A window may reach into the future."""
    evse = Evse()
    evse.statuses("09:00 AVAILABLE")
    period = (when("09:00"), when("12:00"))

    found = connector_window(evse.state, "c1", OBSERVED, when("10:00"), period)

    assert in_seconds(found) == (H, 0, 0, 2 * H)
    assert in_seconds(port_window(evse.state, OBSERVED, when("10:00"), period)) == (H, 0, 0, 2 * H)
    later = connector_window(evse.state, "c1", OBSERVED, when("10:00"), (when("11:00"), when("12:00")))
    assert in_seconds(later) == (0, 0, 0, H)


def test_another_definition_weighs_the_same_history_otherwise() -> None:
    """And counts only its own exclusions."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00")
    evse.status("OUTOFORDER", "11:00", received="12:00")
    evse.exclude("x", "11:00", "11:30", at="13:00", reason=ExclusionReason.VANDALISM)
    evse.exclude("y", "11:30", "12:00", at="13:00", reason=ExclusionReason.VEHICLE_FAULT)

    assert evse.window("09:00", "13:00") == (H, 2 * H, H, 0)
    assert evse.window("09:00", "13:00", definition=IGNORES_ONLINE) == (2 * H, 3 * H // 2, H // 2, 0)
    found = port_window(evse.state, IGNORES_ONLINE, when("13:00"))
    assert found.definition == "ignores_online"
    assert in_seconds(found)[:3] == (2 * H, 3 * H // 2, H // 2)


def test_several_definitions_are_published_beside_each_other() -> None:
    """The field `uptime` stays that of `observed`, whatever stands first and whatever window is asked for."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00")
    using = Rules(definitions=(IGNORES_ONLINE, OBSERVED))

    [connector] = summarize(evse.state, when("11:00"), using).connectors
    assert [each.definition for each in connector.windows] == ["ignores_online", "observed"]
    assert [each.uptime for each in connector.windows] == [1.0, 0.5]
    assert connector.uptime == 0.5

    period = (when("09:00"), when("10:00"))
    [connector] = summarize(evse.state, when("11:00"), Rules(), period).connectors
    assert [each.uptime for each in connector.windows] == [1.0]
    assert connector.uptime == 0.5


def test_spans_that_overlap_a_period_are_found_among_many() -> None:
    """By bisection: neither the one that ends where it starts nor the one that starts where it ends."""
    spans = [Span(start, start + 5, 12, None, None, None) for start in range(0, 100, 10)]

    assert [span.start for span in overlapping(spans, 5, 20)] == [10]
    assert [span.start for span in overlapping(spans, 4, 21)] == [0, 10, 20]
    assert list(overlapping(spans, 95, 200)) == []
    assert list(overlapping([], 0, 9)) == []


def test_spans_are_those_closed_for_good_the_correctable_and_the_open_one() -> None:
    """In order, without overlaps."""
    evse = Evse(allowed_lateness=0)
    evse.statuses("09:00 AVAILABLE, 10:00 OUTOFORDER, 11:00 AVAILABLE, 12:00 UNKNOWN")
    spans = spans_of(evse.state, "c1", when("13:00"))

    assert [(span.start, span.end) for span in spans] == [
        (0, when("09:00")),
        (when("10:00"), when("11:00")),
        (when("12:00"), when("13:00")),
    ]
    assert spans[-1].bucket == BUCKET[evse.track().status, None]
    assert [OBSERVED.classes[span.bucket] for span in spans] == [
        TimeClass.UNOBSERVED,
        TimeClass.DOWN,
        TimeClass.UNOBSERVED,
    ]


def test_exclusions_and_gaps_outside_a_window_leave_it_plain() -> None:
    """They cost nothing there."""
    evse = Evse()
    evse.status("OUTOFORDER", "09:00")
    evse.exclude("x", "20:00", "21:00", at="10:00")
    evse.exclude("y", "09:00", "21:00", at="10:00", connector_uids=("c9",))

    assert evse.window("09:00", "12:00") == (0, 3 * H, 0, 0)
    published = evse.summary("12:00")
    assert in_seconds(published.windows[0])[1] == 3 * H
    assert published.connectors[0].windows[0].down == 3 * HOUR


def test_the_published_window_can_be_asked_for_at_any_later_time() -> None:
    """Time passes without an event; what is before its first day is in it no more."""
    evse = Evse(allowed_lateness=HOUR)
    evse.statuses("09:00 OUTOFORDER, 1 09:00 AVAILABLE, 2 10:00 AVAILABLE")
    evse.status("OUTOFORDER", "2 11:00")

    downs = [
        evse.summary(f"{day} 00:00").connectors[0].windows[0].down // HOUR for day in (3, 30, 31, 32, 33, 60)
    ]

    assert downs == [15 + 9 + 13, 24 + 13 + 27 * 24, 9 + 13 + 28 * 24, 13 + 29 * 24, 30 * 24, 30 * 24]
