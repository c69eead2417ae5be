"""The timeline: classes of time, and the geometry of what is drawn."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import TimeClass
from service.dashboard.timeline import (
    FLOOR,
    STEP,
    History,
    Periods,
    Span,
    by_day,
    connector_segments,
    port_segments,
    rectangles,
    tally,
)
from service.dashboard.wording import DAY, HOUR, MINUTE

START = 20_000 * DAY
WINDOW = (START, START + 30 * DAY + 14 * HOUR)
UP, DOWN, EXCLUDED, UNOBSERVED, OUT = (
    TimeClass.UP,
    TimeClass.DOWN,
    TimeClass.EXCLUDED,
    TimeClass.UNOBSERVED,
    TimeClass.OUT_OF_SERVICE,
)

moments = st.integers(WINDOW[0] - 3 * DAY, WINDOW[1] + DAY)
intervals = st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair)))
spans = st.builds(
    lambda interval, kind: Span(interval[0], interval[1], kind),
    intervals,
    st.sampled_from([DOWN, UNOBSERVED, OUT]),
)
histories = st.builds(
    History,
    st.none() | moments,
    st.lists(spans, max_size=12),
    st.lists(intervals, max_size=4),
    st.lists(intervals, max_size=4),
)


def at(hours: float) -> int:
    """Give a moment of the window."""
    return START + round(hours * HOUR)


def down(start: float, until: float) -> Span[TimeClass]:
    """Make an outage, in hours of the window."""
    return Span(at(start), at(until), DOWN)


def kinds(history: History, start: float, until: float) -> list[tuple[float, TimeClass]]:
    """Give the classes of some hours, each with its length in hours."""
    return [
        ((span.until - span.start) / HOUR, span.value)
        for span in connector_segments(history, (at(start), at(until)))
    ]


def test_what_is_in_no_span_was_up_since_it_was_known() -> None:
    """Before the first word it is unobserved, never up."""
    assert kinds(History(at(2), [down(5, 6)]), 0, 10) == [(2, UNOBSERVED), (3, UP), (1, DOWN), (4, UP)]
    assert kinds(History(None), 0, 10) == [(10, UNOBSERVED)]


def test_an_exclusion_counts_only_where_it_overlaps_an_outage() -> None:
    """Two exclusions over the same hour count once, and up time stays up."""
    history = History(at(0), [down(4, 8)], exclusions=[(at(2), at(5)), (at(3), at(6))])
    assert kinds(history, 0, 10) == [(4, UP), (2, EXCLUDED), (2, DOWN), (2, UP)]


def test_a_gap_covers_all_but_what_is_out_of_service() -> None:
    """Up, down and excluded become unobserved in a gap."""
    history = History(
        at(0), [down(2, 4), Span(at(6), at(8), OUT)], gaps=[(at(1), at(7))], exclusions=[(at(2), at(4))]
    )
    assert kinds(history, 0, 10) == [(1, UP), (5, UNOBSERVED), (2, OUT), (2, UP)]


def test_a_port_is_up_while_any_connector_is() -> None:
    """Down before excluded before unobserved; out of service only when all are."""
    one = [Span(at(0), at(2), DOWN), Span(at(2), at(6), UNOBSERVED), Span(at(6), at(10), OUT)]
    two = [Span(at(0), at(1), UP), Span(at(1), at(4), EXCLUDED), Span(at(4), at(10), OUT)]
    port = port_segments([one, two], (at(0), at(10)))
    assert [((span.until - span.start) / HOUR, span.value) for span in port] == [
        (1, UP),
        (1, DOWN),
        (2, EXCLUDED),
        (2, UNOBSERVED),
        (4, OUT),
    ]
    assert port_segments([], WINDOW) == [Span(*WINDOW, UNOBSERVED)]


@given(history=histories)
def test_the_classes_of_a_connector_sum_to_the_window(history: History) -> None:
    """To the microsecond, without a hole or an overlap, and by day too."""
    segments = connector_segments(history, WINDOW)
    assert segments[0].start == WINDOW[0]
    assert segments[-1].until == WINDOW[1]
    assert all(a.until == b.start and a.value is not b.value for a, b in pairwise(segments))
    assert sum(tally(segments, *WINDOW).values()) == WINDOW[1] - WINDOW[0]
    days = by_day(segments, WINDOW)
    assert len(days) == 31
    assert all(sum(day.times.values()) == day.until - day.start for day in days)


@given(several=st.lists(intervals, max_size=6), asked=intervals.filter(lambda asked: asked[0] < asked[1]))
def test_periods_are_those_that_lie_within(several: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    """Each moment once, wherever it lies, and disjoint in order."""
    start, until = asked
    found = Periods(several).within(start, until)
    edges = sorted({start, until, *(edge for interval in several for edge in interval)})
    for begun, ended in pairwise(edge for edge in edges if start <= edge <= until):
        covered = any(a <= begun and ended <= b for a, b in several)
        assert any(a <= begun and ended <= b for a, b in found) is covered
    assert all(start <= a < b <= until for a, b in found)
    assert all(a[1] < b[0] for a, b in pairwise(found))


@given(one=histories, two=histories)
def test_a_port_is_never_less_up_than_its_connectors(one: History, two: History) -> None:
    """Its up time is at least that of either connector."""
    lanes = [connector_segments(history, WINDOW) for history in (one, two)]
    port = tally(port_segments(lanes, WINDOW), *WINDOW)
    assert port.get(UP, 0) >= max(tally(lane, *WINDOW).get(UP, 0) for lane in lanes)
    assert sum(port.values()) == WINDOW[1] - WINDOW[0]


@given(history=histories)
def test_what_is_drawn_fills_the_lane_exactly(history: History) -> None:
    """The columns' widths sum to the lane's, and each column's heights to the whole height."""
    rects = rectangles(connector_segments(history, WINDOW), WINDOW)
    columns: dict[tuple[float, float], float] = {}
    for rect in rects:
        columns[(rect.x, rect.width)] = columns.get((rect.x, rect.width), 0) + rect.height
    assert sum(width for _, width in columns) == pytest.approx(100)
    assert all(height == pytest.approx(100) for height in columns.values())
    edges = sorted(columns)
    assert edges[0][0] == 0
    assert all(a[0] + a[1] == pytest.approx(b[0]) for a, b in pairwise(edges))


def test_equal_columns_are_one_rectangle() -> None:
    """A month without an outage is one rectangle, not hundreds."""
    (rect,) = rectangles([Span(*WINDOW, UP)], WINDOW)
    assert (rect.kind, rect.x, rect.width, rect.y, rect.height) == (UP, 0, 100, 0, 100)


def test_a_short_outage_can_be_seen() -> None:
    """Three minutes take the least share of their column's height, at its foot."""
    segments = connector_segments(History(START, [Span(at(50), at(50) + 3 * MINUTE, DOWN)]), WINDOW)
    (red,) = [rect for rect in rectangles(segments, WINDOW) if rect.kind is DOWN]
    assert red.height == pytest.approx(100 * FLOOR)
    assert red.y + red.height == pytest.approx(100)
    assert red.width == pytest.approx(100 * STEP / (WINDOW[1] - WINDOW[0]))


def test_a_link_that_flaps_does_not_look_like_one_that_is_down() -> None:
    """Half of each column down is drawn as half of it."""
    flaps = [Span(at(hour / 2), at(hour / 2 + 0.25), DOWN) for hour in range(48)]
    rects = rectangles(connector_segments(History(START, flaps), (at(0), at(24))), (at(0), at(24)))
    assert {(rect.kind, round(rect.height)) for rect in rects} == {(UP, 50), (DOWN, 50)}


def test_a_day_counts_its_outages() -> None:
    """One that goes on over midnight belongs to both days."""
    days = by_day(connector_segments(History(START, [down(1, 2), down(23, 26)]), WINDOW), WINDOW)
    assert [day.outages for day in days[:3]] == [2, 1, 0]
    assert days[1].times[DOWN] == 2 * HOUR
