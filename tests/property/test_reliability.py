"""What must hold of reliability (domain rule: 0 to 10) whatever a connector lived through."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import Status
from service.domain.events import Event, OnlineReported, StatusReported
from service.domain.fold import fold
from service.domain.reliability import Reliability, Sums, rate
from service.domain.state import EvseState
from service.domain.summary import reliability
from service.domain.time import DAY, HOUR, MINUTE, SECOND, Micros
from tests.oracle.drawn_events import Nastiness
from tests.oracle.strategies import logs
from tests.property.folding import Json, decoded, folded, rules, tries

Word = Status | bool
Trace = list[tuple[Word, Micros]]
"""What a connector became and for how long."""

START = 20_000 * DAY
AT_ONCE = rules(0)
WORDS: list[Word] = [*Status, False, True, Status.AVAILABLE, Status.PREPARING, Status.CHARGING]
LENGTHS = st.sampled_from(
    (SECOND, 59 * SECOND, MINUTE, 61 * SECOND, 299 * SECOND, 5 * MINUTE, HOUR, DAY)
) | st.integers(1, 3 * DAY)
TRACES = st.lists(st.tuples(st.sampled_from(WORDS), LENGTHS), max_size=12)
# Long enough that there is a value, and a calm stretch into which something can be put.
CALM: Trace = [(True, SECOND), (Status.AVAILABLE, 2 * DAY)]

GOOD_SESSION: Trace = [(Status.PREPARING, MINUTE), (Status.CHARGING, 30 * MINUTE), (Status.FINISHING, MINUTE)]
SHORT_SESSION: Trace = [(Status.PREPARING, MINUTE), (Status.CHARGING, MINUTE), (Status.FINISHING, MINUTE)]
ABANDONED_SESSION: Trace = [(Status.PREPARING, 5 * MINUTE)]
FAULT: Trace = [(Status.OUTOFORDER, MINUTE)]
DISCONNECT: Trace = [(False, 61 * SECOND), (True, 0)]
BLINK: Trace = [(False, SECOND), (True, 0)]
CLOSURE: Trace = [(Status.INOPERATIVE, MINUTE)]
WORSE = [SHORT_SESSION, ABANDONED_SESSION, FAULT, DISCONNECT, BLINK, CLOSURE]


def events_of(trace: Trace) -> list[Event]:
    """Tell a trace as events, in order."""
    starts = accumulate((length for _, length in trace), initial=START)
    return [
        OnlineReported(str(number), "evse-1", number, at, at, online=word)
        if isinstance(word, bool)
        else StatusReported(str(number), "evse-1", number, at, at, connector_uid="c1", status=word)
        for number, ((word, _), at) in enumerate(zip(trace, starts, strict=False))
    ]


def rating(trace: Trace) -> Reliability:
    """Rate the connector at the end of a trace."""
    state, _ = folded(events_of(trace), AT_ONCE)
    return reliability(state, "c1", START + sum(length for _, length in trace))


def put(thing: Trace, before: Trace, after: Trace) -> Trace:
    """Put something into the calm stretch between two traces, which keeps its length."""
    took = sum(length for _, length in thing)
    return [*before, *CALM, *thing, (Status.AVAILABLE, DAY - took), *after]


def at_most(one: Reliability, other: Reliability) -> bool:
    """Compare values, up to the last digits of floats."""
    assert one.value is not None
    assert other.value is not None
    return one.value <= other.value * (1 + 1e-12)


@given(logs(Nastiness(whole_seconds=False)))
@tries(0.5)
def test_reliability_is_always_between_0_and_10(log: list[Json]) -> None:
    """And each of its terms is a probability."""
    state, _ = folded(decoded(log), rules())
    for uid in state.tip.tracks:
        found = reliability(state, uid, state.as_of)
        assert found.value is None or 0 < found.value < 10
        assert 0 < found.availability < 1
        assert 0 < found.continuity < 1
        assert 0 < found.success < 1
        assert found.observed >= 0


@given(TRACES, TRACES, st.sampled_from(WORSE))
@tries(3)
def test_one_more_failure_onset_or_time_of_down_never_raises_it(
    before: Trace, after: Trace, worse: Trace
) -> None:
    """Put anywhere, with anything before and after it."""
    assert at_most(rating(put(worse, before, after)), rating(put([], before, after)))


@given(TRACES, TRACES)
@tries(1.5)
def test_one_more_success_never_lowers_it(before: Trace, after: Trace) -> None:
    """Put anywhere, with anything before and after it."""
    assert at_most(rating(put([], before, after)), rating(put(GOOD_SESSION, before, after)))


@given(TRACES, TRACES, st.sampled_from([*WORSE, GOOD_SESSION]), st.integers(1, DAY // 2))
@tries(1.5)
def test_one_more_second_of_down_never_raises_it(
    before: Trace, after: Trace, thing: Trace, micros: Micros
) -> None:
    """However long the connector was closed already."""
    shorter: Trace = [*thing, (Status.AVAILABLE, SECOND), (Status.INOPERATIVE, micros)]
    longer = [*shorter[:-1], (Status.INOPERATIVE, micros + SECOND)]

    assert at_most(rating(put(longer, before, after)), rating(put(shorter, before, after)))


@given(TRACES, TRACES)
@tries(0.3)
def test_a_success_is_worth_more_than_a_failure_at_the_same_time(before: Trace, after: Trace) -> None:
    """And a failure costs more than an attempt given up."""
    failed = put([(Status.CHARGING, 299 * SECOND)], before, after)
    succeeded = put([(Status.CHARGING, 300 * SECOND)], before, after)
    abandoned = put([(Status.PREPARING, 300 * SECOND)], before, after)

    assert at_most(rating(failed), rating(abandoned))
    assert at_most(rating(abandoned), rating(succeeded))


@given(TRACES, st.lists(st.integers(0, 20 * DAY), max_size=6))
@tries(1.5)
def test_it_does_not_depend_on_when_it_was_asked_for(trace: Trace, asked: list[Micros]) -> None:
    """Heartbeats and questions in between, and repeats of a status, leave it as it is, bit for bit."""
    trace = [*CALM, *trace]
    events = events_of(trace)
    end = START + sum(length for _, length in trace)
    expected = rating(trace)

    state = EvseState("evse-1")
    for event in events:
        fold(state, event, AT_ONCE)
        for micros in asked:
            if "c1" in state.tip.tracks:
                reliability(state, "c1", max(event.at, START + micros))
        if isinstance(event, StatusReported):
            fold(state, replace(event, event_id=f"again {event.event_id}"), AT_ONCE)

    assert expected == reliability(state, "c1", end)


@given(st.lists(st.tuples(st.integers(1, 30 * DAY), st.sampled_from((0, 3, 4, 12, 13, 15, 16))), max_size=10))
@tries(0.5)
def test_a_segment_may_be_cut_anywhere(segments: list[tuple[Micros, int]]) -> None:
    """Decay over an interval is integrated exactly: two halves are the whole, up to the last digits."""
    whole, halves = Sums(successes=3.0, onsets=1.0), Sums(successes=3.0, onsets=1.0)
    at = 0
    for length, bucket in segments:
        whole.advance(at + length, bucket)
        halves.advance(at + length // 3, bucket)
        halves.advance(at + length, bucket)
        at += length

    one, other = rate(whole, DAY, {}, 0), rate(halves, DAY, {}, 0)

    assert math.isclose(one.value or 0, other.value or 0, rel_tol=1e-9)
    assert math.isclose(one.availability, other.availability, rel_tol=1e-9)
