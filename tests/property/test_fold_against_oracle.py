"""The fold says what the naive oracle says, whatever the log."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings

from service.domain.summary import summarize
from tests.oracle.oracle import OracleResult, run
from tests.oracle.strategies import logs
from tests.property.folding import decoded, folded, rules, said


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


@given(logs())
@settings(max_examples=300, deadline=None)
def test_the_fold_agrees_with_the_oracle(log: list[dict[str, Any]]) -> None:
    """Status, online, windows and reliability of every connector and the port are the oracle's."""
    using = rules()
    state, _ = folded(decoded(log), using)
    expected = oracle_said(run(log))

    actual = said(state, summarize(state, state.as_of, using))

    assert close(actual, expected), {
        key: (actual[key], expected[key]) for key in expected if not close(actual[key], expected[key])
    }
