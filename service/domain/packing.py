"""
An EVSE's state as plain lists, numbers and strings, and back: exact, to the last bit of every float.

It is packed as a whole, or as what was added since a whole was: two days of reports are some twenty times
what an hour of them adds. What does more than add, as the horizon does once an hour, asks for a whole.

Closed days and spans are left out: they are kept beside the state, each written once. The tip is left out,
too: it is folded again from the base and the recent items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from schemas.vocabulary import ExclusionReason, Status, TimeClass
from service.domain import recent
from service.domain.buckets import Buckets, parts_of_days
from service.domain.closed import Days, PortDays, Spans, Words
from service.domain.inventory import Declarations, Exclusion, Gap, Inventory, same
from service.domain.reliability import Sums
from service.domain.state import PORT, EvseState, Former, History, Whole
from service.domain.time import Micros
from service.domain.timeline import (
    NAMELESS,
    Body,
    Item,
    ItemKind,
    Minutes,
    Note,
    OnlineWord,
    PortTrack,
    Timeline,
)
from service.domain.track import Cause, Key, Report, Span, Track

VERSION: Final = 4
"""Stands first in a packed state, to which more may have been added since; another version is refused."""

ALONE: Final = 3
"""The version of a state that is all there is: packed alike, and read by who knows of no additions."""

_READ: Final = (ALONE, VERSION)

_FIXED: Final = 16
"""What stands in a whole whatever was reported (inventory, base) is as long as so many items."""

Plain = Any
"""What JSON can hold, where a tuple stands for a list."""


class UnknownVersion(ValueError):
    """The state was packed by another version: run the one that wrote it, or rebuild the view."""

    def __init__(self) -> None:
        super().__init__(
            "the state was packed by another version: run the one that wrote it, or rebuild the view"
        )


def _refuse_unknown(version: object) -> None:
    """Raise `UnknownVersion` for a version that this one does not read."""
    if version not in _READ:
        raise UnknownVersion


def pack(state: EvseState) -> Plain:
    """Give the state as plain values; the parts below, in the order in which `unpack` reads them."""
    return [
        *_pack_head(state),
        _pack_timeline(state.base),
        _pack_items(state.recent),
        state.minutes.starts,
        list(state.ids.items()),
        _pack_declarations(state.declarations),
        *_pack_tail(state),
    ]


def pack_since(state: EvseState, whole: Whole) -> Plain:
    """Give what was added to a state since it was packed as a whole, for `joined`."""
    ids = islice(reversed(state.ids.items()), len(state.ids) - whole.ids)
    return [
        *_pack_head(state),
        _pack_items(state.recent[whole.items :]),
        state.minutes.starts[whole.minutes :],
        list(ids)[::-1],
        *_pack_tail(state),
    ]


def adds_little(state: EvseState) -> bool:
    """
    Tell whether what was added since a whole is short beside it.

    To write n additions again at each save and a whole of N after them takes n/2 + N/n a save: least where n
    is the root of 2 N.
    """
    whole = state.whole
    if whole is None or whole.declared != state.declarations.version:
        return False
    kept = whole.items + whole.minutes + whole.ids
    added = len(state.recent) + len(state.minutes.starts) + len(state.ids) - kept
    return added * added <= 2 * (kept + _FIXED)


def joined(whole: Plain, since: Plain) -> Plain:
    """Give what `pack` would have given from a whole and what was added to it since."""
    _refuse_unknown(whole[0])
    base, *lists, declarations = whole[_BASE:_TAIL]
    added, tail = since[_BASE : _BASE + len(lists)], since[_BASE + len(lists) :]
    lists = [[*kept, *new] for kept, new in zip(lists, added, strict=True)]
    return [*since[:_BASE], base, *lists, declarations, *tail]


def extent(plain: Plain, declared: int) -> Whole:
    """Give how much a packed state has of what events add to; `declared`: the version of its declarations."""
    items, minutes, ids = plain[_BASE + 1 : _TAIL - 1]
    return Whole(len(items), len(minutes), len(ids), declared)


_BASE: Final = 8
"""Where the base stands in a packed state, after the head; then items, minutes, ids and declarations."""

_TAIL: Final = 13
"""Where the tail of a packed state begins."""


def _pack_head(state: EvseState) -> Plain:
    """Give what stands first."""
    return [
        VERSION,
        state.uid,
        [state.partition, *(each.plain for each in state.former)] if state.former else state.partition,
        [state.revision, state.last_updated, state.connectors_updated],
        [state.as_of, state.last_seen_at, state.horizon, state.closed, state.days_closed, state.overflows],
        [state.removal_key, state.removed_from],
        [state.last_seen_position, state.source, state.has_sent_heartbeat, state.has_reported_online],
        [state.heartbeat_interval_s, state.interval_key],
    ]


def _pack_items(items: Iterable[Item]) -> Plain:
    """Give recent items: plain tuples, which whatever writes JSON takes at the speed of C."""
    return [
        (each.time, each.position, each.kind, each.event_id, each.connector_uid, _pack_body(each.body))
        for each in items
    ]


def _pack_body(body: Body) -> Plain:
    if isinstance(body, Report):
        return _pack_report(body)
    if isinstance(body, dict):
        return {uid: _pack_report(report) for uid, report in body.items()}
    return None if body is None else tuple(body)


def _pack_report(report: Report) -> Plain:
    return (report.status, report.raw_status, report.error_code, report.vendor_error_code)


def _pack_tail(state: EvseState) -> Plain:
    """Give what stands last."""
    return [state.named, [list(each) for each in state.verdicts]]


def unpack(
    plain: Plain,
    history: dict[str, History] | None = None,
    port_days: PortDays | None = None,
) -> EvseState:
    """Make the state again; raise `UnknownVersion` if another version packed it."""
    _refuse_unknown(plain[0])
    _, uid, partition, counts, times, removal, signs, interval, base, *rest = plain
    items, minutes, ids, declarations, named, verdicts = rest
    if isinstance(partition, list):
        state = EvseState(uid, partition[0], [Former.of(each) for each in partition[1:]])
    else:
        state = EvseState(uid, partition)
    state.revision, state.last_updated, state.connectors_updated = counts
    state.as_of, state.last_seen_at, state.horizon, state.closed, state.days_closed, state.overflows = times
    state.removal_key, state.removed_from = (None if key is None else _key(key) for key in removal)
    state.last_seen_position, state.source, state.has_sent_heartbeat, state.has_reported_online = signs
    state.heartbeat_interval_s, state.interval_key = interval[0], _key(interval[1])
    state.base = _unpack_timeline(base)
    state.recent = [_unpack_item(item) for item in items]
    state.reports = sum(item.kind is not ItemKind.SIGN for item in state.recent)
    state.minutes = Minutes(minutes)
    state.ids = dict(ids)
    state.declarations = _unpack_declarations(declarations)
    state.named = {name: _key(key) for name, key in named.items()}
    state.verdicts = [(at, position, word) for at, position, word in verdicts]
    kept = history or {}
    words = next((each.spans.words for each in kept.values()), Words())
    for name in (NAMELESS, *state.base.tracks):
        state.history[name] = kept.get(name) or History(spans=Spans(words))
    state.port_days = port_days or PortDays()
    state.port_days_changed()
    recent.fold_tip(state)
    return state


class Edge(NamedTuple):
    """Where the closed history of a state ends: what closed later is in none of what was packed with it."""

    first_open_day: int
    since: Mapping[str, Micros]
    """By connector, the start of the segment that was open."""
    as_of: Micros
    revision: int

    def has_day(self, connector_uid: str, day: int) -> bool:
        """Tell whether a closed day is in the state."""
        return day < self.first_open_day and (connector_uid == PORT or connector_uid in self.since)

    def has_span(self, connector_uid: str, end: Micros) -> bool:
        """Tell whether a closed span is in the state: it ended before the open segment began."""
        since = self.since.get(connector_uid)
        return since is not None and end <= since


def edge_of(plain: Plain) -> Edge:
    """Read the edge of a packed state without making the state; raise `UnknownVersion` as `unpack` does."""
    _refuse_unknown(plain[0])
    counts, times, timeline = plain[3], plain[4], plain[_BASE]
    nameless, tracks = timeline[:2]
    since = {uid: track[_SEGMENT][1] for uid, track in (*tracks.items(), (NAMELESS, nameless))}
    return Edge(times[4], since, times[0], counts[0])


_SEGMENT: Final = 3
"""Where a packed track has its current segment."""


def _pack_track(track: Track) -> Plain:
    sums, began_by = track.sums, _pack_cause(track.began_by)
    return [
        [track.status, track.raw_status, track.error_code, track.vendor_error_code, track.status_since],
        track.status_key,
        [track.online, track.online_since, track.online_key, track.online_turned],
        [track.bucket, track.since, track.since_key, began_by, track.began_error, track.poured],
        [track.attempt_from, track.charging_from],
        [sums.at, sums.observed, sums.up, sums.onsets, sums.successes, sums.failures],
        [[day, [list(pair) for pair in buckets.items()]] for day, buckets in track.days.items()],
        [_pack_span(span) for span in track.spans],
    ]


def _pack_span(span: Span) -> Plain:
    ends = (_pack_cause(span.began_by), _pack_cause(span.ended_by))
    return [span.start, span.end, span.bucket, span.error_code, *ends]


def _pack_cause(cause: Cause | None) -> Plain:
    return None if cause is None else [cause.event_id, cause.position]


def _unpack_track(plain: Plain) -> Track:
    words, status_key, online, segment, attempt, sums, days, spans = plain
    track = Track(None if words[0] is None else Status(words[0]))
    track.raw_status, track.error_code, track.vendor_error_code, track.status_since = words[1:]
    track.status_key = _key(status_key)
    track.online, track.online_since = online[:2]
    track.online_key, track.online_turned = _key(online[2]), _key(online[3])
    track.bucket, track.since, _, _, track.began_error, track.poured = segment
    track.since_key, track.began_by = _key(segment[2]), _cause(segment[3])
    track.attempt_from, track.charging_from = attempt
    track.sums = Sums(*sums)
    track.days = {day: dict(buckets) for day, buckets in days}
    track.parts = parts_of_days(track.days.values())
    track.spans = [
        Span(span[0], span[1], span[2], span[3], _cause(span[4]), _cause(span[5])) for span in spans
    ]
    return track


def _key(plain: Plain) -> Key:
    return (plain[0], plain[1])


def _cause(plain: Plain) -> Cause | None:
    return None if plain is None else Cause(*plain)


def _pack_timeline(timeline: Timeline) -> Plain:
    """Give a timeline."""
    port, note = timeline.port, timeline.note
    return [
        _pack_track(timeline.nameless),
        {uid: _pack_track(track) for uid, track in timeline.tracks.items()},
        [
            port.time_class,
            port.since,
            port.poured,
            [[day, _words(classes)] for day, classes in port.days.items()],
        ],
        None if note is None else [_pack_report(note.report), note.at],
        [timeline.removed, timeline.last_sign, timeline.sign_before, timeline.is_offline],
    ]


def _words(classes: Mapping[TimeClass, Micros]) -> dict[str, Micros]:
    return {str(time_class): amount for time_class, amount in classes.items()}


def _unpack_timeline(plain: Plain) -> Timeline:
    nameless, tracks, port, note, rest = plain
    days = {day: {TimeClass(word): amount for word, amount in classes.items()} for day, classes in port[3]}
    return Timeline(
        _unpack_track(nameless),
        {uid: _unpack_track(track) for uid, track in tracks.items()},
        PortTrack(TimeClass(port[0]), port[1], port[2], days),
        None if note is None else Note(_report(note[0]), note[1]),
        *rest,
    )


def _report(plain: Plain) -> Report:
    return Report(Status(plain[0]), *plain[1:])


def _unpack_item(plain: Plain) -> Item:
    time, position, number, event_id, connector_uid, body = plain
    kind = ItemKind(number)
    if kind in {ItemKind.STATUS, ItemKind.NOTE}:
        body = _report(body)
    elif kind is ItemKind.ONLINE:
        body = OnlineWord(*body)
    elif kind is ItemKind.INVENTORY:
        body = {uid: _report(report) for uid, report in body.items()}
    return Item(time, position, kind, event_id, connector_uid, body)


def _pack_declarations(declarations: Declarations) -> Plain:
    """Give what stands and what a removal may bring back, each document once."""
    documents: list[Mapping[str, Any]] = []
    inventories = [
        [each.key, _number(documents, each.evse), each.connectors and _number(documents, each.connectors)]
        if each.connectors
        else [each.key, _number(documents, each.evse), each.connectors]
        for each in declarations.inventories
    ]
    exclusions = {key: [list(each) for each in versions] for key, versions in declarations.exclusions.items()}
    named_before = sorted(declarations.named_before)
    return [documents, inventories, named_before, exclusions, [list(gap) for gap in declarations.gaps]]


def _number(documents: list[Mapping[str, Any]], document: Mapping[str, Any]) -> int:
    """Give the number of a document in the table, so that an inventory sent every hour is kept once."""
    for number, known in enumerate(documents):
        if same(known, document):
            return number
    documents.append(document)
    return len(documents) - 1


def _unpack_declarations(plain: Plain) -> Declarations:
    documents, inventories, named_before, exclusions, gaps = plain
    kept = [
        Inventory(
            _key(key), documents[evse], documents[connectors] if isinstance(connectors, int) else connectors
        )
        for key, evse, connectors in inventories
    ]
    declarations = Declarations(
        exclusions={key: [_exclusion(each) for each in versions] for key, versions in exclusions.items()}
    )
    declarations.restore_inventories(kept, set(named_before))
    declarations.restore_gaps([Gap(gap[0], gap[1], _key(gap[2]), gap[3]) for gap in gaps])
    return declarations


def _exclusion(plain: Plain) -> Exclusion:
    key, withdrawn, from_, until, reason, connector_uids, note = plain
    uids = None if connector_uids is None else tuple(connector_uids)
    return Exclusion((key[0], key[1]), withdrawn, from_, until, ExclusionReason(reason), uids, note)


def make_history(
    days: Iterable[tuple[str, int, Buckets]], spans: Iterable[tuple[str, Span]]
) -> dict[str, History]:
    """Make the closed histories again from days (connector, day, buckets) and spans in order."""
    words = Words()
    days_of: dict[str, dict[int, Buckets]] = {}
    for uid, day, buckets in days:
        days_of.setdefault(uid, {})[day] = buckets
    spans_of: dict[str, list[Span]] = {}
    for uid, span in spans:
        spans_of.setdefault(uid, []).append(span)
    history = {}
    for uid in {**days_of, **spans_of}:
        history[uid] = History(Days.of(days_of.get(uid, {})), Spans(words))
        history[uid].spans.add(spans_of.get(uid, ()))
    words.settle()
    return history
