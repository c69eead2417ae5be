"""A bound on what is kept of one EVSE moves the horizon up, and costs nothing of what is now."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import Status
from service.domain.events import StatusReported
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.summary import summarize
from service.domain.time import DAY, MINUTE, SECOND, Micros
from service.domain.timeline import ItemKind
from tests.oracle.drawn_events import DAY_S, Nastiness
from tests.oracle.strategies import logs
from tests.property.folding import Json, decoded, tries

LONG = Nastiness(span_s=9 * DAY_S, whole_seconds=False, max_events=20, max_delay_s=12 * 3_600)


@given(logs(LONG), st.integers(1, 20))
@tries(0.2)
def test_a_small_limit_bounds_the_state_and_keeps_what_is_now(log: list[Json], limit: int) -> None:
    """Beyond it the horizon moves up, which is counted, but never past now: what comes in order is taken."""
    using, state = Rules(recent_limit=limit), EvseState("evse-1")
    for number, event in enumerate(decoded(log)):
        before, horizon = state.overflows, state.horizon
        fold(state, event, using)
        summarize(state, state.as_of, using)

        assert horizon <= state.horizon <= state.as_of
        assert state.overflows > before or state.horizon == max(horizon, state.as_of - using.allowed_lateness)
        reports = [item for item in state.recent if item.kind is not ItemKind.SIGN]
        assert len(reports) == state.reports
        assert sum(item.time > state.closed for item in reports) <= limit
        assert status_after(state, number, using) in {Status.RESERVED, Status.REMOVED}


def status_after(state: EvseState, number: int, using: Rules) -> Status | None:
    """Give the status that a connector has after one more report, a moment after the newest."""
    probe, at = deepcopy(state), state.as_of + 1
    position = 10_000 + number
    fold(
        probe,
        StatusReported(f"p{number}", "evse-1", position, at, at, connector_uid="c1", status=Status.RESERVED),
        using,
    )
    if probe.removed and "c1" not in probe.tip.tracks:
        return Status.REMOVED
    return probe.tip.tracks["c1"].status


@pytest.mark.parametrize("every", [SECOND, 10 * SECOND, MINUTE])
def test_a_flood_moves_the_horizon_and_not_the_memory(every: Micros) -> None:
    """Three thousand reports within the lateness, with room for a hundred: the newest still counts."""
    using, state = Rules(recent_limit=100), EvseState("evse-1")
    words = (Status.AVAILABLE, Status.CHARGING, Status.FINISHING)
    for number in range(3_000):
        at, word = 20_000 * DAY + number * every, words[number % 3]
        event = StatusReported(str(number), "evse-1", number, at, at, connector_uid="c1", status=word)
        fold(state, event, using)

        assert state.tip.tracks["c1"].status is word
        assert len(state.recent) <= 2 * 101

    assert state.overflows > 0
