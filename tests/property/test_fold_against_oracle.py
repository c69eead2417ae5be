"""The fold says what the naive oracle says, whatever the log."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.summary import summarize
from service.domain.time import HOUR, Micros, rfc3339
from tests.oracle.builders import at, event, status, upserted
from tests.oracle.drawn_events import DAY_S, Nastiness
from tests.oracle.oracle import OracleResult, run
from tests.oracle.strategies import LATENESS_OF_ALL_S, logs
from tests.property.folding import Json, decoded, folded, rules, said, tries

FINE = Nastiness(whole_seconds=False, max_events=14)
REUSED = Nastiness(whole_seconds=False, reused_ids=True)
MONTH = Nastiness(span_s=35 * DAY_S, max_delay_s=900, shuffled=False, max_events=30)


def oracle_said(result: OracleResult) -> dict[str, Any]:
    """Say the oracle's result in the same form as the fold's."""
    connectors = {}
    for uid, each in result.connectors.items():
        window, rating = each.window, each.reliability
        connectors[uid] = {
            "status": each.status,
            "status_since": each.status_since,
            "raw_status": each.raw_status,
            "error_code": each.error_code,
            "online": each.online,
            "online_since": each.online_since,
            "published": each.published,
            "window": (window.up, window.down, window.excluded, window.unobserved),
            "uptime": (window.uptime, window.coverage),
            "reliability": (rating.value, rating.availability, rating.continuity, rating.success),
            "observed": rating.observed,
            "attempts": rating.attempts,
            "outages": rating.outages,
        }
    note = result.note
    return {
        "as_of": result.as_of,
        "last_seen_at": result.last_seen_at,
        "status": result.status,
        "removed": result.removed,
        "note": note and (note.status, note.raw_status, note.error_code, note.at),
        "port": (result.port.up, result.port.down, result.port.excluded, result.port.unobserved),
        "connectors": connectors,
    }


def close(one: Any, other: Any) -> bool:
    """Compare deeply; floats up to the rounding of sums taken in another order."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return isinstance(other, tuple) and len(one) == len(other) and all(map(close, one, other))
    return bool(one == other)


def assert_agrees(state: EvseState, as_of: Micros, using: Rules, expected: OracleResult) -> None:
    """Compare what the state says at a time with the oracle, and name what differs."""
    actual, wanted = said(state, summarize(state, as_of, using)), oracle_said(expected)

    assert close(actual, wanted), {
        key: (actual[key], wanted[key]) for key in wanted if not close(actual[key], wanted[key])
    }


@given(logs())
@tries(1)
def test_the_fold_agrees_with_the_oracle(log: list[Json]) -> None:
    """Status, online, windows and reliability of every connector and the port are the oracle's."""
    state, _ = folded(decoded(log), rules())

    assert_agrees(state, state.as_of, rules(), run(log))


@given(logs(REUSED), st.sampled_from((0, 60, 3_600, 43_200, LATENESS_OF_ALL_S)))
@tries(0.5)
def test_the_fold_agrees_with_the_oracle_at_any_lateness(log: list[Json], lateness_s: int) -> None:
    """However soon history is closed; ids may be used twice."""
    state, _ = folded(decoded(log), rules(lateness_s))

    assert_agrees(state, state.as_of, rules(lateness_s), run(log, allowed_lateness_s=lateness_s))


@given(logs(MONTH))
@tries(0.3)
def test_a_month_in_order_agrees_with_the_oracle(log: list[Json]) -> None:
    """With an hour's lateness nearly all of it is read from closed days and spans."""
    state, _ = folded(decoded(log), rules(3_600))

    assert state.closed >= state.as_of - 3 * HOUR
    assert_agrees(state, state.as_of, rules(3_600), run(log, allowed_lateness_s=3_600))


@given(logs(FINE), st.data())
@tries(0.3)
def test_a_capped_fold_agrees_with_the_oracle_as_of_that_time(log: list[Json], data: st.DataObject) -> None:
    """What applies after the time is ignored, and so are signs of life after it."""
    times = sorted({event.at for event in decoded(log)} | {event.seen for event in decoded(log)})
    as_of = data.draw(st.sampled_from(times)) + data.draw(st.sampled_from((0, -1, 1, 60_000_000)))
    state, _ = folded(decoded(log), rules(), cap=as_of)
    expected = run(log, as_of=rfc3339(as_of))
    assume(expected.exists)

    assert_agrees(state, as_of, rules(), expected)


@given(st.integers(0, 5), st.booleans())
@tries(0.1)
def test_a_removal_from_before_the_horizon_takes_back_what_was_declared_after_it(
    hour: int, again: bool
) -> None:
    """Declarations obey no lateness: a withdrawal that applies after the removal is void."""
    log = [
        status("OUTOFORDER", at("00:00")),
        event(
            "exclusion.declared", at("01:00"), exclusion_id="x", reason="vandalism", **{"from": at("00:00")}
        ),
        event("exclusion.withdrawn", at("03:00"), exclusion_id="x"),
        *([upserted(at("04:00"), c1=None)] if again else []),
        status("OUTOFORDER", at("12:00", 2)),
        event("evse.removed", at(f"0{hour}:00")),
    ]
    state, _ = folded(decoded(log), rules())

    assert_agrees(state, state.as_of, rules(), run(log))
