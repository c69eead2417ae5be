"""Closed history as bytes says what was put in, and takes little."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import TimeClass
from service.domain.buckets import Buckets, total_of
from service.domain.closed import Days, PortDays, Spans, Words
from service.domain.time import DAY, HOUR
from service.domain.track import Cause, Span

amounts = st.dictionaries(st.integers(0, 50), st.integers(0, DAY), max_size=8)
days = st.dictionaries(st.integers(0, 500), amounts, max_size=30)


@given(days, st.integers(-1, 501))
def test_days_are_what_was_put_in(told: dict[int, Buckets], first: int) -> None:
    """In order, each with its amounts in their order; sums are those of what is kept."""
    packed = Days.of(told)

    assert [(day, list(each.items())) for day, each in packed.items()] == [
        (day, list(told[day].items())) for day in sorted(told)
    ]
    assert list(packed) == sorted(told)
    assert len(packed) == len(told)
    assert packed.total == total_of(told.values())
    since = {day: each for day, each in told.items() if day >= first}
    assert packed.total_since(first) == total_of(since.values())

    assert packed.forget_before(first) == sorted(set(told) - set(since))
    assert dict(packed.items()) == since
    assert {bucket for bucket, amount in packed.total.items() if amount} == {
        bucket for bucket, amount in total_of(since.values()).items() if amount
    }
    assert packed.total_since(0) == packed.total


@given(days, days)
def test_days_that_are_added_stand_behind_or_replace(
    one: dict[int, Buckets], more: dict[int, Buckets]
) -> None:
    """History is closed in order; whoever puts in a day a second time is right the second time."""
    packed, copied = Days.of(one), Days.of(one).copy()
    packed.add(dict(sorted(more.items())))

    assert dict(packed.items()) == {**one, **more}
    assert packed.total == total_of({**one, **more}.values())
    assert dict(copied.items()) == one
    for day in range(-1, 502, 100):
        assert (day in packed) == (day in {**one, **more})


def test_a_day_that_is_not_there_is_a_missing_key() -> None:
    """As of any mapping."""
    packed = Days.of({3: {1: 2}, 5: {}})
    assert packed[3] == {1: 2}
    assert packed[5] == {}
    for day in (2, 4, 6):
        with pytest.raises(KeyError):
            packed[day]


def test_the_days_of_a_port_are_named_by_class() -> None:
    """They are packed as those of a connector are."""
    told = {2: {TimeClass.DOWN: HOUR, TimeClass.UP: 23 * HOUR}, 1: {TimeClass.OUT_OF_SERVICE: DAY}}
    packed = PortDays.of(told)
    assert list(packed.items()) == [(1, told[1]), (2, told[2])]
    assert packed[2] == told[2]
    assert list(packed[2]) == [TimeClass.DOWN, TimeClass.UP]
    assert packed.total_since(2) == told[2]
    packed.add({3: {TimeClass.UP: DAY}})
    assert packed.forget_before(3) == [1, 2]
    assert dict(packed.items()) == {3: {TimeClass.UP: DAY}}
    assert 3 in packed
    assert len(packed) == 1


texts = st.one_of(st.none(), st.text(max_size=8), st.sampled_from(("", "\ud800", "é" * 300)))
causes = st.one_of(st.none(), st.builds(Cause, texts, st.integers(-1, 1 << 62)))
pieces = st.tuples(
    st.integers(0, 40 * DAY), st.integers(1, 40 * DAY), st.integers(0, 44), texts, causes, causes
)


def spans_of(drawn: list[tuple[int, int, int, str | None, Cause | None, Cause | None]]) -> list[Span]:
    """Make sorted, disjoint spans, each so long after the one before."""
    made, at = [], 0
    for after, lasts, bucket, error, began, ended in drawn:
        made.append(Span(at + after, at + after + lasts, bucket, error, began, ended))
        at += after + lasts
    return made


@given(st.lists(pieces, max_size=20), st.lists(pieces, max_size=5), st.integers(0, 500), st.integers(0, 40))
def test_spans_are_what_was_put_in(
    drawn: list[tuple[int, int, int, str | None, Cause | None, Cause | None]],
    others: list[tuple[int, int, int, str | None, Cause | None, Cause | None]],
    day: int,
    lasts: int,
) -> None:
    """With the words they share with those of others; what is too old is dropped, and its words."""
    spans, other = spans_of(drawn), spans_of(others)
    packed, beside = Spans(), Spans()
    beside.words = packed.words
    packed.add(spans[:10])
    beside.add(other)
    packed.words.settle()
    packed.add(spans[10:])
    copied = packed.copy()

    assert list(packed) == spans
    assert list(beside) == other
    assert packed.parts() == [span.part for span in spans]
    start, end = day * DAY, (day + lasts) * DAY
    inside = [span.part for span in spans if span.start < end and span.end > start]
    assert packed.parts(start, end) == inside

    assert packed.forget_before(start) == [span for span in spans if span.end < start]
    beside.forget_before(start)
    assert list(copied) == spans
    packed.words.forget_before(start)
    assert list(packed) == [span for span in spans if span.end >= start]
    assert list(beside) == [span for span in other if span.end >= start]


@pytest.mark.parametrize("position", [-1, 0, (1 << 64) - 2])
def test_a_cause_keeps_any_position(position: int) -> None:
    """Heartbeats have -1; a topic that was begun anew a hundred times has positions beyond 63 bits."""
    span = Span(0, DAY, 5, None, Cause(None, position), Cause("e", position))
    spans = Spans()
    spans.add([span])
    assert list(spans) == [span]


def test_what_is_closed_together_shares_its_words() -> None:
    """An outage of all connectors has its events once."""
    words = Words()
    ends = (Cause("a" * 36, 1), Cause("b" * 36, 2))
    for bucket in range(3):
        Spans(words).add([Span(0, DAY, bucket, "GroundFailure", *ends)])

    assert sum(map(len, words.tables.values())) == 2 * (36 + 12) + 13 + 4


def test_a_year_takes_a_tenth_of_what_dictionaries_would() -> None:
    """Of a connector with a session and an outage a day."""
    told = {day: {number: number * HOUR for number in range(6)} for day in range(400)}
    packed = Days.of(told)
    assert len(packed.numbers) + len(packed.ends) + len(packed.amounts) == 400 * (8 + 6 * 6)
    plain = sum(sys.getsizeof(each) + 6 * sys.getsizeof(HOUR) for each in told.values())
    assert len(packed.amounts) < plain / 10


def test_what_has_become_long_grows_in_place_and_its_copy_stands_apart() -> None:
    """An EVSE that flaps closes spans one by one: to copy all of them for each would take ever longer."""
    told = [
        Span(at * HOUR, at * HOUR + 1, at % 7, f"code-{at}", Cause(f"e{at}", at), Cause(f"f{at}", at + 1))
        for at in range(1_200)
    ]
    spans = Spans()
    spans.add(told[:1_000])
    copied = spans.copy()
    kept = (spans.starts, spans.ends, spans.rest, *spans.words.tables.values())
    for span in told[1_000:]:
        spans.add([span])

    assert all(one is other for one, other in zip((spans.starts, spans.ends, spans.rest), kept, strict=False))
    assert list(spans) == told
    assert list(copied) == told[:1_000]
    assert spans.parts(1_100 * HOUR) == [span.part for span in told[1_100:]]
    assert spans.forget_before(1_050 * HOUR) == told[:1_050]
    assert list(spans) == told[1_050:]
