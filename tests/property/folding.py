"""Fold a log of event dicts as `replay` does, and say the result in the oracle's words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from hypothesis import settings

from service.domain.events import Event
from service.domain.fold import fold
from service.domain.outcomes import Folded
from service.domain.rules import Rules
from service.domain.state import PORT, EvseState
from service.domain.summary import Summary, summarize
from service.domain.time import SECOND, Micros
from service.domain.timeline import NAMELESS
from service.domain.windows import spans_of
from service.processing.decoding import Rejection, decode
from service.processing.rendering import snapshot
from service.processing.wording import day_json, outage_json, port_day_json

Json = dict[str, Any]
Log = Sequence[Mapping[str, Any]]


def tries(share: float) -> settings:
    """Give a share of the examples that the profile at hand allows (`--hypothesis-profile`)."""
    return settings(max_examples=max(1, round(share * settings().max_examples)))


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


def view(state: EvseState, using: Rules) -> bytes:
    """Render the snapshot without what follows the order of publishing: revision and `last_updated`."""
    value = orjson.loads(snapshot(state, state.as_of, using))
    del value["revision"], value["evse"]["last_updated"]
    for connector in value["evse"]["connectors"]:
        del connector["last_updated"]
    return orjson.dumps(value)


def ledger(
    state: EvseState,
    as_of: Micros | None = None,
    *,
    causes: Collection[str] = ("event_id", "position"),
    nameless: bool = True,
) -> bytes:
    """
    Render all days and spans, closed or not, with what is open accounted for up to `as_of`.

    Of the events at the ends of spans it says what `causes` names. `nameless`: with what is kept for
    connectors that may be named later.
    """
    as_of = state.as_of if as_of is None else as_of
    tip = state.tip.copy()
    tip.pour(as_of)
    pairs = [*([(NAMELESS, tip.nameless)] if nameless else []), *tip.tracks.items()]
    days = {
        f"{uid} {day}": day_json(buckets)
        for uid, track in pairs
        for day, buckets in (dict(state.history[uid].days.items()) | track.days).items()
    }
    port_days = dict(state.port_days.items()) | tip.port.days
    days |= {f"{PORT} {day}": port_day_json(classes) for day, classes in port_days.items()}
    spans = [outage_json(uid, span) for uid in sorted(tip.tracks) for span in spans_of(state, uid, as_of)]
    for span in spans:
        for end in ("began_by", "ended_by"):
            span[end] = span[end] and {name: span[end][name] for name in causes}
    return orjson.dumps([days, spans], option=orjson.OPT_SORT_KEYS)
