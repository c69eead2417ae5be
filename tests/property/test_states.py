"""The state of an EVSE stays sound and small, whatever is folded onto it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import Verdict
from service.domain import recent
from service.domain.buckets import parts_of_days
from service.domain.fold import fold
from service.domain.packing import joined, pack, pack_since
from service.domain.rules import SETTLING
from service.domain.state import EvseState
from service.domain.time import SECOND
from service.domain.timeline import order_of
from service.domain.track import Told
from service.processing.rendering import document
from tests.oracle.drawn_events import DAY_S, Nastiness
from tests.oracle.strategies import logs
from tests.property.folding import Json, decoded, folded, ledger, rules, tries, view

FINE = Nastiness(whole_seconds=False, max_events=14)
REUSED = Nastiness(whole_seconds=False, reused_ids=True, max_events=14)
LONG = Nastiness(span_s=9 * DAY_S, whole_seconds=False, max_events=20, max_delay_s=12 * 3_600)
LATENESSES = st.sampled_from((3_600, 43_200, 172_800))


@given(logs(FINE), LATENESSES)
@tries(0.4)
def test_the_tip_is_what_folding_again_gives(log: list[Json], lateness_s: int) -> None:
    """After every event: what is applied directly may not differ from what is folded in order."""
    using, state = rules(lateness_s), EvseState("evse-1")
    for event in decoded(log):
        fold(state, event, using)
        again = deepcopy(state)
        placed = recent.fold_again(again, set())

        assert placed.changed == frozenset()
        assert view(state, using) == view(again, using)
        assert ledger(state) == ledger(again)
        assert state.tip.note == again.tip.note
        assert state.tip.removed == again.tip.removed


@given(logs(LONG), LATENESSES)
@tries(0.2)
def test_the_horizon_never_goes_back(log: list[Json], lateness_s: int) -> None:
    """Nor do the other marks of how far the EVSE has come; nothing kept lies before the base."""
    using, state = rules(lateness_s), EvseState("evse-1")
    marks = (0, 0, 0, 0, 0)
    for event in decoded(log):
        fold(state, event, using)
        now = (state.horizon, state.as_of, state.closed, state.days_closed, state.last_seen_at or 0)

        assert all(after >= before for before, after in zip(marks, now, strict=True))
        assert state.horizon >= state.as_of - lateness_s * SECOND
        assert state.closed <= max(0, state.horizon - SETTLING)
        assert all(item.time >= state.closed for item in state.recent)
        assert all(minute >= state.closed for minute in state.minutes.starts)
        assert state.recent == sorted(state.recent, key=order_of)
        marks = now


@given(st.one_of(logs(REUSED), logs(LONG)), LATENESSES)
@tries(0.4)
def test_what_is_kept_of_earlier_words_is_what_would_be_written_anew(
    log: list[Json], lateness_s: int
) -> None:
    """After every event: the packed state, the document, and the totals of the days."""
    using, state = rules(lateness_s), EvseState("evse-1")
    written: Any = None
    for event in decoded(log):
        fold(state, event, using)
        anew = deepcopy(state)
        anew.declarations.told = {}
        for track in anew.tip.tracks.values():
            track.told, track.told_days = Told(), {}
        anew.tip.port.told_days = {}

        if state.whole is None or state.whole.declared != state.declarations.version:
            written = plain(pack(state))
            state.was_written()
        assert state.whole is not None
        assert joined(written, plain(pack_since(state, state.whole))) == plain(pack(anew))
        assert document(state, state.as_of, using).fields == document(anew, state.as_of, using).fields
        assert all(track.parts == parts_of_days(track.days.values()) for track in state.tip.every())


def plain(packed: Any) -> Any:
    """Give what is read of a packed state that was written."""
    return orjson.loads(orjson.dumps(packed))


@given(logs(REUSED))
@tries(0.2)
def test_every_event_gets_one_verdict_and_nothing_raises(log: list[Json]) -> None:
    """Only late events are late, and what is a duplicate or late makes no transition."""
    state, outcomes = folded(decoded(log), rules())

    assert len(outcomes) == len(decoded(log))
    for outcome in outcomes:
        assert outcome.verdict in set(Verdict) - {Verdict.REJECTED}
        if outcome.verdict in {Verdict.DUPLICATE, Verdict.LATE}:
            assert not outcome.transitions
        assert outcome.publish or not outcome.moved
    assert state.revision == sum(outcome.moved for outcome in outcomes)
