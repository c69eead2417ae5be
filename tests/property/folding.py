"""Fold a log of event dicts as `replay` does, and say the result in the oracle's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from service.domain.events import Event
from service.domain.fold import Folded, fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.summary import Summary, summarize
from service.domain.time import SECOND, Micros
from service.processing.decoding import Rejection, decode

Log = Sequence[dict[str, Any]]


def decoded(log: Log, positions: Sequence[int] | None = None) -> list[Event]:
    """Decode what is not rejected; the position is the place in the log unless given."""
    events = []
    for index, body in enumerate(log):
        position = index if positions is None else positions[index]
        event = decode(orjson.dumps(body), key=None, position=position, record_time=None, compare_key=False)
        if not isinstance(event, Rejection):
            events.append(event)
    return events


def rules(allowed_lateness_s: int = 172_800, **others: Any) -> Rules:
    """Give rules with a lateness in seconds."""
    return Rules(allowed_lateness=allowed_lateness_s * SECOND, **others)


def folded(
    events: Sequence[Event], using: Rules, state: EvseState | None = None, cap: Micros | None = None
) -> tuple[EvseState, list[Folded]]:
    """Fold events onto a state (a new one by default)."""
    state = state or EvseState("evse-1")
    return state, [fold(state, event, using, cap=cap) for event in events]


def said(state: EvseState, summary: Summary) -> dict[str, Any]:
    """Say everything that the oracle says, too; floats as they are."""
    connectors = {}
    for each in summary.connectors:
        track, window, rating = each.track, each.windows[0], each.reliability
        connectors[each.uid] = {
            "status": str(track.status or "UNKNOWN"),
            "status_since": track.status_since,
            "raw_status": track.raw_status,
            "error_code": track.error_code,
            "online": track.online,
            "online_since": track.online_since,
            "published": each.published,
            "window": (window.up, window.down, window.excluded, window.unobserved),
            "uptime": (window.uptime, window.coverage),
            "reliability": (rating.value, rating.availability, rating.continuity, rating.success),
            "observed": rating.observed,
            "attempts": rating.attempts,
            "outages": rating.outages,
        }
    port = summary.windows[0]
    note = state.tip.note
    return {
        "as_of": summary.as_of,
        "last_seen_at": state.last_seen_at,
        "status": str(summary.status),
        "removed": state.removed,
        "note": note and (str(note.report.status), note.report.raw_status, note.report.error_code, note.at),
        "port": (port.up, port.down, port.excluded, port.unobserved),
        "connectors": connectors,
    }


def what_is_said(events: Sequence[Event], using: Rules) -> dict[str, Any]:
    """Fold and say."""
    state, _ = folded(events, using)
    return said(state, summarize(state, state.as_of, using))
