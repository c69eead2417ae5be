"""
What is made again of an EVSE without a base says what was published, and its closed history is what it was.

Of any log: the state is lost, and closed days, closed spans and the last snapshot are all there is.
"""

from __future__ import annotations

import orjson
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from schemas.vocabulary import Verdict
from service.domain.definitions import OBSERVED
from service.domain.events import Event
from service.domain.fold import fold
from service.domain.remains import Remains, revive
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import DAY, Micros
from service.domain.windows import connector_window, port_window
from service.processing.remnants import last_word
from service.processing.rendering import snapshot
from tests.oracle.drawn_events import DAY_S, Nastiness
from tests.oracle.strategies import logs
from tests.property.folding import Json, decoded, folded, rules, tries
from tests.property.test_explanation import explanation_of

LONG = Nastiness(span_s=9 * DAY_S, whole_seconds=False, max_events=24, max_delay_s=12 * 3_600)
LATENESS_S = st.sampled_from((3_600, 172_800))
DRIFTING = {"as_of", "windows", "reliability", "uptime", "vendor_error_code"}


def remains_of(state: EvseState, using: Rules) -> Remains:
    """Give what ledger and snapshots would hold of a state."""
    word = None if state.removed else last_word(snapshot(state, state.as_of, using))
    left = Remains(state.uid, 0, word=word)
    left.days = {uid: dict(history.days.items()) for uid, history in state.history.items() if history.days}
    left.spans = {uid: list(history.spans) for uid, history in state.history.items() if history.spans}
    left.exclusions = state.declarations.all_standing()
    left.gaps = list(state.declarations.gaps)
    left.removed_at = state.removal_key[0] if state.removal_key else None
    return left


def steady(value: object) -> object:
    """Leave out of a snapshot what its time and its history make of it."""
    if isinstance(value, dict):
        return {name: steady(each) for name, each in value.items() if name not in DRIFTING}
    return [steady(each) for each in value] if isinstance(value, list) else value


@given(logs(LONG), LATENESS_S)
@tries(0.5)
def test_closed_history_is_as_it_was_to_the_microsecond(log: list[Json], lateness_s: int) -> None:
    """Every window that ends with the last closed day gives what it gave, for connectors and the port."""
    using = rules(lateness_s)
    state, _ = folded(decoded(log), using)
    edge = state.days_closed * DAY
    revived = revive(remains_of(state, using), using)
    event(f"days closed: {bool(edge)}")

    assert revived.days_closed * DAY <= edge
    edge = revived.days_closed * DAY
    for period in ((0, edge), (max(0, edge - DAY // 3), edge), (edge - 2 * DAY, edge - DAY // 2)):
        if period[0] < 0 or not edge:
            continue
        for uid in set(state.tip.tracks) & set(revived.tip.tracks):
            was = connector_window(state, uid, OBSERVED, state.as_of, period)
            assert connector_window(revived, uid, OBSERVED, revived.as_of, period) == was
        if state.tip.tracks.keys() == revived.tip.tracks.keys():
            assert port_window(revived, OBSERVED, revived.as_of, period) == port_window(
                state, OBSERVED, state.as_of, period
            )


@given(logs(LONG), LATENESS_S)
@tries(0.5)
def test_it_says_what_was_published_under_the_same_revision(log: list[Json], lateness_s: int) -> None:
    """Nothing that is published of it has changed but the numbers."""
    using = rules(lateness_s)
    state, _ = folded(decoded(log), using)
    assume(not state.removed)
    published = orjson.loads(snapshot(state, state.as_of, using))

    again = orjson.loads(snapshot(revive(remains_of(state, using), using), state.as_of, using))

    if again["revision"] == published["revision"]:
        assert steady(again) == steady(published)
    else:
        event("says something new")
        assert again["revision"] == published["revision"] + 1


@given(logs(LONG), LATENESS_S)
@tries(0.5)
def test_what_goes_on_from_there_is_explained_to_the_microsecond(log: list[Json], lateness_s: int) -> None:
    """The numbers that are published of it are those of its intervals."""
    using = rules(lateness_s)
    events = decoded(log)
    state, _ = folded(events, using)
    revived = revive(remains_of(state, using), using)

    assert explanation_of(revived, using, OBSERVED, None).agrees in {True, None}
    for each in events[len(events) // 2 :]:
        fold(revived, each, using)
    assert explanation_of(revived, using, OBSERVED, None).agrees in {True, None}


def capped(events: list[Event], cap: Micros, using: Rules) -> EvseState:
    """Fold events as of a time."""
    state = EvseState(events[0].evse_uid)
    for each in events:
        fold(state, each, using, cap=cap)
    return state


@given(logs(LONG))
@tries(1.0)
def test_observed_time_and_onsets_of_reliability_are_those_that_were(log: list[Json]) -> None:
    """They follow from the spans; only the order of additions differs."""
    using = rules()
    events = decoded(log)
    state, verdicts = folded(events, using)
    revived = revive(remains_of(state, using), using)
    edge = revived.days_closed * DAY
    # What is late in the whole log need not be in a part of it.
    is_comparable = edge and not state.removed and all(each.verdict is not Verdict.LATE for each in verdicts)
    event(f"comparable: {bool(is_comparable)}")
    if not is_comparable:
        return
    was = capped(events, edge, using)

    for uid in set(was.tip.tracks) & set(revived.base.tracks):
        old, _ = was.tip.tracks[uid].sums_at(edge)
        new, _ = revived.base.tracks[uid].sums_at(edge)
        assert new.observed == pytest.approx(old.observed, rel=1e-9, abs=1e-6)
        assert new.up == pytest.approx(old.up, rel=1e-9, abs=1e-6)
        assert new.onsets == pytest.approx(old.onsets, rel=1e-9, abs=1e-9)
        assert new.successes == pytest.approx(old.successes, rel=0.012)
        assert new.failures == pytest.approx(old.failures, rel=0.012)
