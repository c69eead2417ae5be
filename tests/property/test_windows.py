"""Every number can be explained (promise P6): the kinds of time sum to the window, however it is read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import TimeClass
from service.domain.definitions import OBSERVED, PAIRS, Definition
from service.domain.intervals import Interval, length, merge, subtract
from service.domain.rules import Rules, published_from
from service.domain.state import EvseState
from service.domain.time import DAY, HOUR, SECOND, Micros, micros_from, rfc3339
from service.domain.windows import Window, connector_window, overlapping, port_window, spans_of
from tests.oracle.drawn_events import DAY_S, START, Nastiness
from tests.oracle.oracle import run
from tests.oracle.strategies import logs
from tests.property.folding import Json, decoded, folded, rules, tries

FINE = Nastiness(whole_seconds=False, reused_ids=True, max_events=14)
LONG = Nastiness(span_s=9 * DAY_S, whole_seconds=False, max_events=16, max_delay_s=12 * 3_600)
FEW_HOURS = Nastiness(span_s=6 * 3_600, max_delay_s=3_600, max_events=14)
BEGIN = micros_from(START)

LENIENT = Definition(
    "lenient",
    tuple(
        TimeClass.UNOBSERVED if each is TimeClass.DOWN and online is False else each
        for each, (_, online) in zip(OBSERVED.classes, PAIRS, strict=True)
    ),
    OBSERVED.exclusion_reasons,
)
"""Another definition than the published one: what is offline was not seen."""


def four(window: Window) -> tuple[Micros, Micros, Micros, Micros]:
    """Give the four kinds of time."""
    return (window.up, window.down, window.excluded, window.unobserved)


def out_of_service(state: EvseState, uid: str, period: Interval) -> list[Interval]:
    """Give the parts of a period in which a connector was PLANNED or REMOVED, by its spans."""
    as_of = min(period[1], state.as_of)
    return merge(
        (max(span.start, period[0]), min(span.end, as_of))
        for span in overlapping(spans_of(state, uid, as_of), period[0], as_of)
        if OBSERVED.classes[span.bucket] is TimeClass.OUT_OF_SERVICE
    )


def no_connector_in_service(state: EvseState, period: Interval) -> list[Interval]:
    """Give the parts of a period in which all connectors were out of service; none known is not that."""
    left = [period] if state.tip.tracks else []
    for uid in state.tip.tracks:
        left = subtract(left, subtract([period], out_of_service(state, uid, period)))
    return left


def windows_of(log: list[Json], using: Rules, period: Interval | None) -> tuple[EvseState, dict[str, Window]]:
    """Give the windows of the connectors, and under "" that of the port."""
    state, _ = folded(decoded(log), using)
    windows = {uid: connector_window(state, uid, OBSERVED, state.as_of, period) for uid in state.tip.tracks}
    return state, windows | {"": port_window(state, OBSERVED, state.as_of, period)}


PERIODS = st.tuples(
    st.integers(-2 * DAY_S, 6 * DAY_S), st.integers(0, 9 * DAY_S), st.sampled_from((0, 1, 999_999))
).map(lambda drawn: (BEGIN + drawn[0] * SECOND + drawn[2], BEGIN + (drawn[0] + drawn[1]) * SECOND + drawn[2]))


@given(logs(FINE), st.lists(PERIODS, min_size=1, max_size=5))
@tries(0.4)
def test_the_four_kinds_sum_to_the_window_less_the_time_out_of_service(
    log: list[Json], periods: list[Interval]
) -> None:
    """To the microsecond and none negative, for connectors and port, in any window, the published one too."""
    for period in [*periods, None]:
        state, windows = windows_of(log, rules(), period)
        start, end = period or (published_from(state.as_of), state.as_of)
        for uid, window in windows.items():
            missing = (
                out_of_service(state, uid, (start, end))
                if uid
                else no_connector_in_service(state, (start, min(end, state.as_of)))
            )
            assert all(amount >= 0 for amount in four(window))
            assert end - start - length(missing) == sum(four(window))
            assert all(isinstance(amount, int) for amount in four(window))


@given(logs(LONG), st.sampled_from((3_600, 172_800)))
@tries(0.4)
def test_days_and_spans_say_the_same_of_the_published_window(log: list[Json], lateness_s: int) -> None:
    """The published window is read from days, any other from spans."""
    state, by_days = windows_of(log, rules(lateness_s), None)

    by_spans = windows_of(log, rules(lateness_s), (published_from(state.as_of), state.as_of))[1]

    assert by_days == by_spans


@given(logs(LONG))
@tries(0.1)
def test_another_definition_is_answered_from_the_same_history(log: list[Json]) -> None:
    """What is offline moves from down to another class, and the sum stays."""
    state, windows = windows_of(log, rules(3_600), None)

    for uid in state.tip.tracks:
        lenient = connector_window(state, uid, LENIENT, state.as_of)
        strict = windows[uid]
        assert lenient.up == strict.up
        assert lenient.down <= strict.down
        assert sum(four(strict)) == sum(four(lenient))
    by_spans = (published_from(state.as_of), state.as_of)
    assert port_window(state, LENIENT, state.as_of) == port_window(state, LENIENT, state.as_of, by_spans)


@given(
    logs(FINE), st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1, max_size=4)
)
@tries(0.4)
def test_any_window_agrees_with_the_oracle(log: list[Json], cuts: list[tuple[int, int]]) -> None:
    """Counted over elementary intervals, up to `as_of`."""
    state, _ = folded(decoded(log), rules())
    for cut in cuts:
        start, end = sorted(state.as_of - micros for micros in cut)
        expected = run(log, window=(rfc3339(start), rfc3339(end)))
        for uid, connector in expected.connectors.items():
            found = connector_window(state, uid, OBSERVED, state.as_of, (start, end))
            assert (connector.window.up, connector.window.down) == (found.up, found.down)
            assert connector.window.excluded == found.excluded
            assert connector.window.unobserved == found.unobserved
        port = port_window(state, OBSERVED, state.as_of, (start, end))
        assert four(port) == (
            expected.port.up,
            expected.port.down,
            expected.port.excluded,
            expected.port.unobserved,
        )


@given(logs(FEW_HOURS))
@tries(0.2)
def test_windows_agree_with_counting_every_second(log: list[Json]) -> None:
    """The naive way of counting, on logs of whole seconds."""
    state, _ = folded(decoded(log), rules())
    period = (state.as_of - 8 * HOUR, state.as_of)
    expected = run(log, window=(rfc3339(period[0]), rfc3339(period[1])), second_by_second=True)

    actual = {
        uid: four(connector_window(state, uid, OBSERVED, state.as_of, period)) for uid in state.tip.tracks
    }

    assert actual == {
        uid: (each.window.up, each.window.down, each.window.excluded, each.window.unobserved)
        for uid, each in expected.connectors.items()
    }
    assert four(port_window(state, OBSERVED, state.as_of, period)) == (
        expected.port.up,
        expected.port.down,
        expected.port.excluded,
        expected.port.unobserved,
    )


@given(logs(FINE))
@tries(0.1)
def test_what_lies_after_as_of_is_unobserved(log: list[Json]) -> None:
    """A window into the future adds nothing but that."""
    state, _ = folded(decoded(log), rules())
    now = (state.as_of - DAY, state.as_of)
    later = (state.as_of - DAY, state.as_of + DAY)

    for uid in state.tip.tracks:
        seen = connector_window(state, uid, OBSERVED, state.as_of, now)
        longer = connector_window(state, uid, OBSERVED, state.as_of, later)
        assert (seen.up, seen.down, seen.excluded) == (longer.up, longer.down, longer.excluded)
        assert seen.unobserved + DAY == longer.unobserved
