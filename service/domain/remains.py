"""
What can be made again of an EVSE whose state is lost, from its closed history and what was published last.

Nothing is guessed: history is taken where days and spans agree to the microsecond, and from where it ends
nothing is claimed but the last published word, under a gap that whoever calls has to declare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, NamedTuple

from schemas.vocabulary import OPERATIONAL, Status
from service.domain import recent
from service.domain.buckets import COUNTERS, FIRST_COUNTER, Buckets
from service.domain.closed import Days, Spans, Words
from service.domain.definitions import BUCKET, PAIRS, PLAINLY_UP, UNHEARD
from service.domain.inventory import Exclusion, Gap, Inventory
from service.domain.naming import name_connector, recompute_port
from service.domain.reliability import ONSET_AFTER, OUTCOMES, Sums, faded
from service.domain.rules import KEPT_DAYS, SETTLING, Rules
from service.domain.state import PORT, EvseState, History
from service.domain.time import DAY, Micros, day_of
from service.domain.timeline import NAMELESS, Item, ItemKind, Note, OnlineWord, order_of
from service.domain.track import NEVER, Report, Span, Track

_UP: Final = BUCKET[Status.AVAILABLE, True]

LAST_SNAPSHOT: Final = "snapshot:"
"""Begins the id that stands for an event of which only the last snapshot told; its revision follows."""

_NO_POSITION: Final = -1
"""The place in the log of what the last snapshot said: not known, and before that of any record."""


class Said(NamedTuple):
    """What was last published of a connector; `updated` is its `last_updated`."""

    report: Report | None
    status_since: Micros | None
    online: bool | None
    online_since: Micros | None
    updated: Micros


@dataclass(frozen=True, slots=True)
class LastWord:
    """
    What was last published of an EVSE.

    `evse` and `connectors` are the fields that come of an inventory; None: no inventory spoke of connectors.
    `taken_out`: connectors that an inventory named once, and no more. `since`: when anything was first seen
    in its window.
    """

    revision: int
    last_updated: Micros
    last_seen_at: Micros | None
    note: Note | None
    evse: Mapping[str, Any]
    connectors: Mapping[str, Mapping[str, Any]] | None
    taken_out: frozenset[str]
    said: Mapping[str, Said]
    since: Micros | None = None

    def times(self) -> Iterator[Micros]:
        """Give the times at which something is known to have been."""
        if self.last_seen_at is not None:
            yield self.last_seen_at
        for said in self.said.values():
            yield from (at for at in (said.status_since, said.online_since) if at is not None)


@dataclass(slots=True)
class Remains:
    """What is left of an EVSE; days and spans by connector, the nameless one and not the port included."""

    uid: str
    partition: int
    days: dict[str, dict[int, Buckets]] = field(default_factory=dict)
    spans: dict[str, list[Span]] = field(default_factory=dict)
    exclusions: dict[str, Exclusion] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    removed_at: Micros | None = None
    word: LastWord | None = None

    @property
    def first_open_day(self) -> int:
        """The first day that had not been closed, counted from 1970; 0: none was."""
        return 1 + max((day for days in self.days.values() for day in days), default=-1)

    def lost_since(self) -> Micros | None:
        """Give from when on nothing is known for certain; None where nothing tells."""
        if self.first_open_day:
            return self.first_open_day * DAY
        times = [gap.from_ for gap in self.gaps]
        if self.word is not None:
            times += [*self.word.times(), *([] if self.word.since is None else [self.word.since])]
        return min(times, default=None)


def revive(remains: Remains, rules: Rules) -> EvseState:
    """
    Make a state of what is left: closed history up to its last midnight, then the last published word.

    All that the view has to hold of it counts as unsaved. From `lost_since` on it is to be told of a gap.
    """
    state = EvseState(remains.uid, remains.partition)
    state.days_closed = remains.first_open_day
    state.closed = state.days_closed * DAY
    word = remains.word
    words = Words()
    known = set(remains.days) | set(remains.spans) | set(word.said if word else ())
    for uid in (NAMELESS, *sorted(known - {NAMELESS, PORT})):
        said = word.said.get(uid) if word else None
        days, spans, track = _of_connector(remains, uid, state.closed, said)
        history = state.history[uid] = History(Days.of(days), Spans(words))
        history.spans.add(spans)
        if uid == NAMELESS:
            state.base.nameless = track
        else:
            state.base.tracks[uid] = track
            state.named[uid] = NEVER
        state.unsaved.days |= {(uid, day) for day in history.days}
        state.unsaved.spans += [(uid, span) for span in spans]
    words.settle()
    state.base.turned(state.closed)
    recompute_port(state)
    state.declarations.exclusions = {name: [one] for name, one in remains.exclusions.items()}
    state.declarations.restore_gaps(sorted(remains.gaps))
    state.unsaved.exclusions, state.unsaved.gaps = set(remains.exclusions), list(state.declarations.gaps)
    # A day closes when it lies the lateness behind: so far it had come at least.
    state.as_of = state.closed + rules.allowed_lateness + SETTLING if state.closed else 0
    recent.fold_tip(state)
    if word is not None:
        catch_up(state, word)
    if remains.removed_at is not None:
        _remove(state, remains.removed_at)
    state.horizon = max(state.horizon, state.as_of - rules.allowed_lateness, 0)
    return state


def catch_up(state: EvseState, word: LastWord) -> None:
    """Let a state that is older than what was published last say the same, under the same revision."""
    for uid in word.said:
        if uid not in state.base.tracks:
            name_connector(state, uid, NEVER)
    recent.fold_tip(state)
    declarations = state.declarations
    if (word.evse or word.connectors is not None) and not _is_said(state, word):
        key = declarations.inventories[-1].key if declarations.inventories else NEVER
        declarations.upsert(Inventory((key[0], key[1] + 1), word.evse, word.connectors))
    declarations.restore_inventories(declarations.inventories, declarations.named_before | word.taken_out)
    recent.place(state, sorted(_items(state, word), key=order_of), refold=True)
    if word.note is not None and word.note.at < state.closed:
        state.base.note = state.tip.note = word.note
        state.base_changed()
    # What is older than closed history cannot be changed, and of a connector that is taken out nothing is
    # published: then it says something new.
    is_new = bool(word.taken_out) or any(True for _ in _items(state, word))
    state.revision = word.revision + is_new
    state.last_updated = word.last_updated
    state.connectors_updated = {uid: said.updated for uid, said in word.said.items()}
    if word.last_seen_at is not None and word.last_seen_at > (state.last_seen_at or -1):
        state.last_seen_at, state.last_seen_position = word.last_seen_at, _NO_POSITION
        for timeline in (state.base, state.tip):
            timeline.see(word.last_seen_at)
        state.base_changed()
    state.has_reported_online |= any(said.online is not None for said in word.said.values())
    state.as_of = max(state.as_of, *word.times(), 0)


def _is_said(state: EvseState, word: LastWord) -> bool:
    declarations = state.declarations
    return declarations.evse == word.evse and (declarations.connectors or {}) == (word.connectors or {})


def _items(state: EvseState, word: LastWord) -> Iterator[Item]:
    """Give what the last snapshot said and the state does not, each as a report when it came to be so."""
    said_by = f"{LAST_SNAPSHOT}{word.revision}"
    for uid, said in word.said.items():
        track = state.tip.tracks[uid]
        if said.report is not None and (*said.report.published, said.status_since) != (
            track.status,
            track.raw_status,
            track.error_code,
            track.status_since,
        ):
            repeats = (said.report.status, said.status_since) == (track.status, track.status_since)
            at = said.updated if repeats or said.status_since is None else said.status_since
            yield Item(at, _NO_POSITION, ItemKind.STATUS, said_by, uid, said.report)
        if (said.online, said.online_since) != (track.online, track.online_since):
            at = said.updated if said.online_since is None else said.online_since
            yield Item(at, _NO_POSITION, ItemKind.ONLINE, said_by, uid, OnlineWord(said.online))
    if word.note is not None and not _is_note(state.tip.note, word.note):
        yield Item(word.note.at, _NO_POSITION, ItemKind.NOTE, said_by, None, word.note.report)


def _is_note(one: Note | None, other: Note) -> bool:
    if one is None:
        return False
    return one.at == other.at and one.report.published == other.report.published


def _remove(state: EvseState, removed_at: Micros) -> None:
    """Take an EVSE out of service for good; what the log says of that very instant is after it."""
    state.removal_key = (removed_at, _NO_POSITION)
    effect = Item(max(removed_at, state.closed), _NO_POSITION, ItemKind.REMOVED, "removal")
    state.removed_from = effect.key
    state.as_of = max(state.as_of, removed_at)
    recent.place(state, [effect], refold=True)


def _of_connector(
    remains: Remains, uid: str, edge: Micros, said: Said | None
) -> tuple[Mapping[int, Buckets], list[Span], Track]:
    """Give a connector's closed days and spans up to `edge`, and its track from there."""
    track = Track(since=edge, poured=edge)
    if not edge:
        return {}, [], track
    if said is not None:
        _speak(track, said, edge)
    days = remains.days.get(uid, {})
    spans = settled(days, remains.spans.get(uid, ()), edge)
    if spans is None:
        days, spans = {}, [Span(0, edge, UNHEARD, None, None, None)]
    elif said is not None and said.report is not None and spans and spans[-1].end == edge:
        last = spans[-1]
        if last.ended_by is None and PAIRS[last.bucket] == (said.report.status, said.online):
            spans[-1] = replace(last, error_code=said.report.error_code)
    track.sums = _sums(days, spans, edge, offline=track.online is False)
    return days, spans, track


def _speak(track: Track, said: Said, edge: Micros) -> None:
    """Let a track be what was last published, as far as it was so at `edge` already."""
    report, since, online_since = said.report, said.status_since, said.online_since
    if report is not None and since is not None and since <= edge:
        track.status, track.raw_status = report.status, report.raw_status
        track.error_code, track.vendor_error_code = report.error_code, report.vendor_error_code
        track.status_since, track.status_key = since, (since, _NO_POSITION)
    if online_since is not None and online_since <= edge:
        track.online, track.online_since = said.online, online_since
        track.online_key = track.online_turned = (online_since, _NO_POSITION)
    track.bucket, track.since_key = BUCKET[track.status, track.online], (edge, _NO_POSITION)
    track.began_error = track.error_code


def settled(days: Mapping[int, Buckets], spans: Iterable[Span], edge: Micros) -> list[Span] | None:
    """
    Give the spans of a connector before the midnight `edge`, that of the segment open there among them.

    Of the open segment no span was written; days tell its length, and it ends at `edge`: what the days hold
    and no span covers must be one bucket, to the microsecond, with nothing behind it. None where days and
    spans do not agree: some of them are missing.
    """
    if not days:
        return None
    ordered = sorted(spans, key=lambda span: span.part)
    kept = [_cut(span, edge) for span in ordered if span.start < edge]
    first, last = min(days), day_of(edge)
    is_pruned = first <= last - KEPT_DAYS
    if any(a.end > b.start for a, b in pairwise(kept)) or (not is_pruned and (not kept or kept[0].start)):
        return None
    left = _uncovered(days, kept, first, last)
    open_there = {bucket for amounts in left.values() for bucket, amount in amounts.items() if amount}
    if not open_there:
        return kept
    bucket = open_there.pop()
    start = edge - sum(amounts.get(bucket, 0) for amounts in left.values())
    tail = Span(start, edge, bucket, None, None, None)
    expected = {day: _overlap(tail, day) for day in range(first, last)}
    is_tail = all(left[day].get(bucket, 0) == amount for day, amount in expected.items())
    if open_there or not is_tail or (kept and kept[-1].end > start):
        return None
    return [*kept, tail]


def _uncovered(days: Mapping[int, Buckets], spans: list[Span], first: int, last: int) -> dict[int, Buckets]:
    """Give by day what was not plainly up, unheard time included, less what the spans cover."""
    left: dict[int, Buckets] = {}
    for day in range(first, last):
        times = {bucket: amount for bucket, amount in days.get(day, {}).items() if bucket < FIRST_COUNTER}
        left[day] = {bucket: amount for bucket, amount in times.items() if not PLAINLY_UP[bucket]}
        left[day][UNHEARD] = DAY - sum(times.values())
    for span in spans:
        for day in range(max(first, day_of(span.start)), min(last, day_of(span.end - 1) + 1)):
            left[day][span.bucket] = left[day].get(span.bucket, 0) - _overlap(span, day)
    return left


def _cut(span: Span, edge: Micros) -> Span:
    return span if span.end <= edge else replace(span, end=edge, ended_by=None)


def _overlap(span: Span, day: int) -> Micros:
    return max(0, min(span.end, (day + 1) * DAY) - max(span.start, day * DAY))


def _sums(days: Mapping[int, Buckets], spans: Iterable[Span], edge: Micros, *, offline: bool) -> Sums:
    """
    Add up reliability's sums anew from history.

    Observed and up time and the onsets are those that were, but for the order of additions. Of attempts
    a day counts how many there were and not when: each counts as of noon, less than 1.2 % from its weight.
    `offline`: it still is at `edge`, so that the track will count the onset.
    """
    sums = Sums()
    was: Status | None = None
    offline_from: Micros | None = None
    for span in spans:
        status, online = PAIRS[span.bucket]
        if span.start > sums.at:
            _end_offline(sums, offline_from)
            offline_from = None
            sums.advance(span.start, _UP)
            was = Status.AVAILABLE
        if status is Status.OUTOFORDER and was in OPERATIONAL:
            sums.onsets += 1.0
        if online is not False:
            _end_offline(sums, offline_from)
            offline_from = None
        elif offline_from is None:
            offline_from = span.start
        sums.advance(span.end, span.bucket)
        was = status
    if not offline or sums.at < edge:
        _end_offline(sums, offline_from)
    if sums.at < edge:
        sums.advance(edge, _UP)
    for day, counts in days.items():
        weight = faded(edge - day * DAY - DAY // 2)
        for outcome in OUTCOMES:
            number = counts.get(COUNTERS[outcome.name], 0)
            sums.successes += number * outcome.success * weight
            sums.failures += number * outcome.failure * weight
    return sums


def _end_offline(sums: Sums, offline_from: Micros | None) -> None:
    """Count the onset of an offline span that ends where the sums are as of."""
    if offline_from is not None and sums.at - offline_from > ONSET_AFTER:
        sums.onsets += faded(sums.at - offline_from)
