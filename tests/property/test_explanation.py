"""Every number can be explained (promise P6): what the view holds, cut into intervals, sums to the number."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.explanation import ConnectorExplanation, Explanation, PortExplanation
from schemas.vocabulary import TimeClass
from service.domain.definitions import OBSERVED, PAIRS, Definition
from service.domain.intervals import Interval
from service.domain.rules import Rules, published_from
from service.domain.state import EvseState
from service.domain.time import SECOND, Micros, micros_from
from service.domain.windows import Window, connector_window, port_window
from service.explanation.account import Question, explained
from tests.evidence import evidence_of
from tests.oracle.drawn_events import DAY_S, START, Nastiness
from tests.oracle.strategies import logs
from tests.property.folding import Json, decoded, folded, rules, tries

FINE = Nastiness(whole_seconds=False, reused_ids=True, max_events=14)
LONG = Nastiness(span_s=9 * DAY_S, whole_seconds=False, max_events=16, max_delay_s=12 * 3_600)
BEGIN = micros_from(START)

LENIENT = Definition(
    "lenient",
    tuple(
        TimeClass.UNOBSERVED if each is TimeClass.DOWN and online is False else each
        for each, (_, online) in zip(OBSERVED.classes, PAIRS, strict=True)
    ),
    frozenset(list(OBSERVED.exclusion_reasons)[:3]),
)
"""Another definition than the published one: what is offline was not seen, and fewer reasons exclude."""

DEFINITIONS = st.sampled_from((OBSERVED, LENIENT))
PERIODS = st.tuples(
    st.integers(-2 * DAY_S, 6 * DAY_S), st.integers(1, 9 * DAY_S), st.sampled_from((0, 1, 999_999))
).map(lambda drawn: (BEGIN + drawn[0] * SECOND + drawn[2], BEGIN + (drawn[0] + drawn[1]) * SECOND + drawn[2]))


def explanation_of(
    state: EvseState, using: Rules, definition: Definition, period: Interval | None
) -> Explanation:
    """Explain a window, by default the published one."""
    period = period or (published_from(state.as_of), state.as_of)
    question = Question(period, definition, ("evse.events",))
    return explained(evidence_of(state, using, period[0]), question)


Part = ConnectorExplanation | PortExplanation


def parts_of(explanation: Explanation) -> list[Part]:
    """Give all connectors and the port."""
    assert explanation.port is not None
    return [*explanation.connectors, explanation.port]


def sums_of(part: Part) -> tuple[Micros, ...]:
    """Give up, down, excluded and unobserved as the intervals sum to, in microseconds."""
    four = (TimeClass.UP, TimeClass.DOWN, TimeClass.EXCLUDED, TimeClass.UNOBSERVED)
    return tuple(
        sum(
            micros_from(each.until) - micros_from(each.from_)
            for each in part.intervals
            if each.time_class is time_class
        )
        for time_class in four
    )


def four(window: Window) -> tuple[Micros, ...]:
    """Give the same of a window of the domain."""
    return (window.up, window.down, window.excluded, window.unobserved)


@given(logs(LONG), st.sampled_from((3_600, 172_800)), DEFINITIONS)
@tries(0.4)
def test_the_published_window_is_explained_to_the_microsecond(
    log: list[Json], lateness_s: int, definition: Definition
) -> None:
    """The intervals of connectors and port sum to what the snapshot says, and uptime and coverage are its."""
    using = rules(lateness_s, definitions=(OBSERVED, LENIENT))
    state, _ = folded(decoded(log), using)

    found = explanation_of(state, using, definition, None)

    assert found.agrees is True
    for part in parts_of(found):
        assert part.window == part.published
        assert sums_of(part) == tuple(
            round(seconds * SECOND)
            for seconds in (
                part.window.up_seconds,
                part.window.down_seconds,
                part.window.excluded_seconds,
                part.window.unobserved_seconds,
            )
        )


@given(logs(FINE), st.lists(PERIODS, min_size=1, max_size=4), DEFINITIONS)
@tries(0.4)
def test_any_window_is_explained_as_the_fold_accounts_for_it(
    log: list[Json], periods: list[Interval], definition: Definition
) -> None:
    """Before the first word and after the last, too."""
    using = rules()
    state, _ = folded(decoded(log), using)
    for period in periods:
        found = explanation_of(state, using, definition, period)

        for part in found.connectors:
            expected = connector_window(state, part.connector_uid, definition, state.as_of, period)
            assert sums_of(part) == four(expected)
            assert part.window.uptime == expected.uptime
        assert found.port is not None
        assert sums_of(found.port) == four(port_window(state, definition, state.as_of, period))
        assert [part.connector_uid for part in found.connectors] == state.connector_uids()


@given(logs(FINE), PERIODS)
@tries(0.2)
def test_intervals_have_neither_holes_nor_equal_neighbours(log: list[Json], period: Interval) -> None:
    """They follow one another from the begin of the window to its end."""
    using = rules()
    state, _ = folded(decoded(log), using)

    found = explanation_of(state, using, OBSERVED, period)

    for part in parts_of(found):
        assert micros_from(part.intervals[0].from_) == period[0]
        assert micros_from(part.intervals[-1].until) == period[1]
        for one, other in pairwise(part.intervals):
            assert one.until == other.from_
            if micros_from(one.until) == state.as_of:
                assert other.begins_with == "as_of"  # what ends there may do so by an event of that instant
                continue
            assert one.ends_with == other.begins_with
            named = {
                "time_class",
                "class_before",
                "in_gap",
                "exclusion_ids",
                "status",
                "online",
                "error_code",
            }
            assert one.model_dump(include=named) != other.model_dump(include=named)


@given(logs(FINE), PERIODS)
@tries(0.2)
def test_every_second_of_an_exclusion_is_accounted_for(log: list[Json], period: Interval) -> None:
    """What counts of it and the rest sum to what of it lies in the window; nothing else is excluded."""
    using = rules()
    state, _ = folded(decoded(log), using)

    found = explanation_of(state, using, OBSERVED, period)

    for part in parts_of(found):
        for use in part.exclusions:
            until = period[1] if use.until is None else min(micros_from(use.until), period[1])
            covered = until - max(micros_from(use.from_), period[0])
            assert use.seconds == pytest.approx(covered / SECOND)
            assert use.counted_seconds + sum(use.rest_seconds.values()) == pytest.approx(use.seconds)
        named = {use.exclusion_id for use in part.exclusions if use.counted_seconds}
        assert {name for each in part.intervals for name in each.exclusion_ids} == named
