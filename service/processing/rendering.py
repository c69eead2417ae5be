"""
From an EVSE's state to what others read: the snapshot, the document in the view, and the closed history.

Rounding happens here and nowhere before. Knows the published models' names and JSON, and neither Kafka nor
Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import orjson

from schemas.view import PORT, day_field
from schemas.vocabulary import Status
from service.domain.horizon import keep_from
from service.domain.inventory import Gap
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.summary import ConnectorSummary, Summary, summarize
from service.domain.time import SECOND, Micros, rfc3339
from service.domain.windows import Window
from service.processing import ledger
from service.processing.ledger import Entry
from service.processing.wording import (
    ONLINE,
    day_json,
    exclusion_json,
    gap_json,
    outage_json,
    port_day_json,
    recent_history,
)

_EPOCH: Final = date(1970, 1, 1)

_DAYS_AGAIN: Final = 40
"""So many of the port's last closed days are told again: a connector that is named late changes them."""


def snapshot(
    state: EvseState, as_of: Micros, rules: Rules, window: tuple[Micros, Micros] | None = None
) -> bytes:
    """Give the snapshot's value as JSON; `window` asks for other windows than the published ones."""
    return _snapshot(state, summarize(state, as_of, rules, window), rules)


def _snapshot(state: EvseState, summary: Summary, rules: Rules) -> bytes:
    note = state.tip.note
    value = {
        "evse": _evse(state, summary),
        "revision": state.revision,
        "as_of": rfc3339(summary.as_of),
        "status": summary.status,
        "status_rule": rules.status_rule,
        "last_seen_at": _time(state.last_seen_at),
        "note": note
        and {
            "status": note.report.status,
            "raw_status": note.report.raw_status,
            "error_code": note.report.error_code,
            "at": rfc3339(note.at),
        },
        "windows": [_window(each) for each in summary.windows],
        "connectors": [_connector_state(each) for each in summary.connectors],
    }
    return orjson.dumps(value)


def _evse(state: EvseState, summary: Summary) -> orjson.Fragment:
    """
    Give the EVSE exactly as in the published schema, with the fields it has, as JSON.

    Most of it is what the inventory says, which seldom changes: its JSON is kept until another one stands.
    """
    updated = state.connectors_updated
    connectors = [
        _connector(state, each, updated.get(each.uid, state.last_updated))
        for each in summary.connectors
        if each.published
    ]
    head, last_updated = _inventory_of(state), rfc3339(state.last_updated)
    return orjson.Fragment(f'{head},"connectors":[{",".join(connectors)}],"last_updated":"{last_updated}"}}')


def _connector(state: EvseState, each: ConnectorSummary, updated: Micros) -> str:
    value, track = each.reliability.value, each.track
    uptime = "null" if each.uptime is None else repr(round(each.uptime, 5))
    reliability = "null" if value is None else repr(round(value, 2))
    return (
        f'{_inventory_of(state, each.uid)},"status":"{track.status or Status.UNKNOWN}",'
        f'"online":{ONLINE[track.online]},"uptime":{uptime},"reliability":{reliability},'
        f'"last_updated":"{rfc3339(updated)}"}}'
    )


def _inventory_of(state: EvseState, connector_uid: str = PORT) -> str:
    """Give the JSON of what the standing inventory says of the EVSE or of a connector, not closed yet."""
    declarations = state.declarations
    said = declarations.told.get(connector_uid)
    if said is None:
        if connector_uid == PORT:
            fields = {**declarations.evse, "uid": state.uid}
        else:
            fields = {**(declarations.connectors or {}).get(connector_uid, {}), "uid": connector_uid}
        said = declarations.told[connector_uid] = orjson.dumps(fields)[:-1].decode()
    return said


def _window(window: Window) -> dict[str, Any]:
    return {
        "definition": window.definition,
        "from": rfc3339(window.start),
        "until": rfc3339(window.end),
        "up_seconds": window.up / SECOND,
        "down_seconds": window.down / SECOND,
        "excluded_seconds": window.excluded / SECOND,
        "unobserved_seconds": window.unobserved / SECOND,
        "uptime": window.uptime,
        "coverage": window.coverage,
    }


def _connector_state(each: ConnectorSummary) -> dict[str, Any]:
    track, rating = each.track, each.reliability
    return {
        "connector_uid": each.uid,
        "status_since": _time(track.status_since),
        "online_since": _time(track.online_since),
        "raw_status": track.raw_status,
        "error_code": track.error_code,
        "windows": [_window(window) for window in each.windows],
        "reliability": {
            "value": rating.value,
            "availability": rating.availability,
            "continuity": rating.continuity,
            "success": rating.success,
            "observed_seconds": rating.observed / SECOND,
            "attempts": rating.attempts,
            "outages": rating.outages,
        },
    }


def _time(micros: Micros | None) -> str | None:
    return None if micros is None else rfc3339(micros)


@dataclass(slots=True, init=False)
class RenderedEvse:
    """Everything a save writes of an EVSE, besides the packed state; the names are those of `ViewWrite`."""

    snapshot: bytes
    fields: dict[str, bytes]
    closed_days: Mapping[str, bytes]
    closed_outages: Sequence[tuple[int, bytes]]
    exclusions: Mapping[str, bytes | None]
    gaps: Sequence[tuple[int, bytes]]
    ledger: Sequence[Entry]
    drop_days: Sequence[str]
    drop_outages: Sequence[bytes]
    drop_gaps: Sequence[bytes]
    keep_from_us: Micros
    status: str
    online: str
    last_updated_ms: int
    coordinates: tuple[float, float] | None
    removed: bool

    def __init__(self, snapshot: bytes, fields: dict[str, bytes]) -> None:
        """Write nothing that was closed."""
        self.snapshot, self.fields = snapshot, fields
        self.closed_days, self.exclusions = {}, {}
        self.closed_outages = self.gaps = self.ledger = ()
        self.drop_days = self.drop_outages = self.drop_gaps = ()
        self.keep_from_us, self.last_updated_ms, self.removed = 0, 0, False
        self.status, self.online, self.coordinates = "", "null", None

    def mark_saved(self, state: EvseState) -> None:
        """Tell the state that what it had closed is written."""
        if state.unsaved:
            state.unsaved.clear()


def document(state: EvseState, as_of: Micros, rules: Rules) -> RenderedEvse:
    """Render an EVSE for the view as of `as_of`."""
    summary = summarize(state, as_of, rules)
    value = _snapshot(state, summary, rules)
    online = ONLINE[summary.online]
    fields = {
        "snapshot": value,
        "status": summary.status.encode(),
        "online": online.encode(),
        "revision": b"%d" % state.revision,
        "as_of": rfc3339(as_of).encode(),
        "last_seen_at": (_time(state.last_seen_at) or "").encode(),
        "last_updated": rfc3339(state.last_updated).encode(),
        "removed_at": (rfc3339(state.removal_key[0]) if state.removal_key else "").encode(),
        "partition": b"" if state.partition is None else b"%d" % state.partition,
        "former": orjson.dumps([each.plain for each in state.former]) if state.former else b"",
        "recent": recent_history(state, as_of),
    }
    rendered = RenderedEvse(value, fields)
    rendered.status, rendered.online = summary.status, online
    rendered.last_updated_ms = state.last_updated // 1000
    rendered.coordinates = _coordinates(state)
    rendered.removed = state.removed
    rendered.keep_from_us = keep_from(state)
    if state.unsaved:
        _add_closed(rendered, state)
    return rendered


def _add_closed(rendered: RenderedEvse, state: EvseState) -> None:
    unsaved = state.unsaved
    rendered.closed_days = {_field(*each): orjson.dumps(_day(state, *each)) for each in sorted(unsaved.days)}
    rendered.drop_days = [_field(uid, day) for uid, day in sorted(unsaved.dropped_days)]
    rendered.closed_outages = [
        (span.end, orjson.dumps(outage_json(uid, span))) for uid, span in unsaved.spans
    ]
    rendered.exclusions = _exclusions(state, unsaved.exclusions)
    rendered.gaps = _gaps(unsaved.gaps)
    rendered.drop_outages = [orjson.dumps(outage_json(uid, span)) for uid, span in unsaved.dropped_spans]
    rendered.drop_gaps = [orjson.dumps(gap_json(gap)) for gap in unsaved.dropped_gaps]
    rendered.ledger = list(_entries(rendered, state))


def all_declared(
    state: EvseState,
) -> tuple[Mapping[str, bytes | None], Sequence[tuple[int, bytes]]]:
    """Give all exclusions and gaps of an EVSE as a save writes them, whatever the view has of them."""
    return _exclusions(state, state.declarations.exclusions), _gaps(state.declarations.gaps)


def _exclusions(state: EvseState, ids: Iterable[str]) -> dict[str, bytes | None]:
    standing = {each: state.declarations.standing(each) for each in sorted(ids)}
    return {key: one and orjson.dumps(exclusion_json(one)) for key, one in standing.items()}


def _gaps(gaps: Iterable[Gap]) -> list[tuple[int, bytes]]:
    return [(gap.until, orjson.dumps(gap_json(gap))) for gap in gaps]


def _day(state: EvseState, uid: str, day: int) -> dict[str, float]:
    return port_day_json(state.port_days[day]) if uid == PORT else day_json(state.history[uid].days[day])


def _entries(rendered: RenderedEvse, state: EvseState) -> Iterator[Entry]:
    """Give the records of the ledger for what the save closes, declares and drops; what goes, goes first."""
    uid, unsaved = state.uid, state.unsaved
    for owner, span in unsaved.dropped_spans:
        yield ledger.outage_key(uid, owner, span.start, span.end), None
    for name in rendered.drop_days:
        yield ledger.day_key(uid, name), None
    for gap in unsaved.dropped_gaps:
        yield ledger.gap_key(uid, gap.from_, gap.until), None
    for name, day in rendered.closed_days.items():
        yield ledger.day_key(uid, name), orjson.Fragment(day)
    for (owner, span), (_, outage) in zip(unsaved.spans, rendered.closed_outages, strict=True):
        yield ledger.outage_key(uid, owner, span.start, span.end), orjson.Fragment(outage)
    for exclusion_id, exclusion in rendered.exclusions.items():
        key = ledger.exclusion_key(uid, exclusion_id)
        yield key, None if exclusion is None else orjson.Fragment(exclusion)
    for gap, (_, said) in zip(unsaved.gaps, rendered.gaps, strict=True):
        yield ledger.gap_key(uid, gap.from_, gap.until), orjson.Fragment(said)


def entries_again(state: EvseState, port_days: int = _DAYS_AGAIN) -> Iterator[Entry]:
    """
    Give the records of the ledger that may be changed after they were written, as they stand now.

    `port_days`: so many of the last days of the port.
    """
    declarations = state.declarations
    for exclusion_id in sorted(declarations.exclusions):
        standing = declarations.standing(exclusion_id)
        yield ledger.exclusion_key(state.uid, exclusion_id), standing and exclusion_json(standing)
    for gap in declarations.gaps:
        yield ledger.gap_key(state.uid, gap.from_, gap.until), gap_json(gap)
    for day in sorted(state.port_days)[-port_days:]:
        yield ledger.day_key(state.uid, _field(PORT, day)), port_day_json(state.port_days[day])


def all_entries(state: EvseState) -> Iterator[Entry]:
    """Give every record that the ledger holds of an EVSE, but its base."""
    uid = state.uid
    for owner, history in state.history.items():
        for day in sorted(history.days):
            yield ledger.day_key(uid, _field(owner, day)), _day(state, owner, day)
        for span in history.spans:
            yield ledger.outage_key(uid, owner, span.start, span.end), outage_json(owner, span)
    yield from entries_again(state, len(state.port_days))
    if state.removal_key is not None:
        yield ledger.removal_entry(uid, rfc3339(state.removal_key[0]))


def _field(uid: str, day: int) -> str:
    return day_field(uid, _EPOCH + timedelta(days=day))


def _coordinates(state: EvseState) -> tuple[float, float] | None:
    """Give (longitude, latitude) in degrees where the inventory has both."""
    place = state.declarations.evse.get("coordinates") or {}
    if "longitude" not in place or "latitude" not in place:
        return None
    return float(place["longitude"]), float(place["latitude"])
