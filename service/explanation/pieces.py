"""
A connector's window, cut into pieces in which nothing changes.

Comes from the spans, gaps and exclusions that the view holds, and from nothing else: the sums of the pieces
are an account of their own, to be compared with the published one. Pure arithmetic on microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from schemas.explanation import Edge
from schemas.view import Cause, Exclusion, Outage
from schemas.vocabulary import Status, TimeClass
from service.domain.definitions import Definition
from service.domain.intervals import Interval, clip, subtract
from service.domain.inventory import FOREVER
from service.domain.time import Micros, micros_from


@dataclass(frozen=True, slots=True)
class Segment:
    """
    A time of constant (status, online) of a connector, as long as it lasted: no window cuts it.

    `is_up`: plainly up, so that history keeps no status of it; where that began before the spans at hand,
    `start` is that of the window and `began` None.
    """

    start: Micros
    end: Micros
    status: Status | None = None
    online: bool | None = None
    error_code: str | None = None
    is_up: bool = False
    began: Cause | None = None
    ended: Cause | None = None

    def says(self) -> tuple[object, ...]:
        """Give what it says of the connector."""
        return (self.is_up, self.status, self.online, self.error_code)


@dataclass(frozen=True, slots=True)
class Declared:
    """An exclusion under its id, its span in microseconds."""

    exclusion_id: str
    start: Micros
    end: Micros
    exclusion: Exclusion

    @classmethod
    def of(cls, exclusion_id: str, exclusion: Exclusion) -> Declared:
        """Take an exclusion from the view; an open one never ends."""
        end = FOREVER if exclusion.until is None else micros_from(exclusion.until)
        return cls(exclusion_id, micros_from(exclusion.from_), end, exclusion)

    def concerns(self, connector_uid: str) -> bool:
        """Tell whether it is about a connector."""
        return self.exclusion.connector_uids is None or connector_uid in self.exclusion.connector_uids


@dataclass(frozen=True, slots=True)
class Piece:
    """
    A part of a connector's window in which nothing changes.

    `before` is its class without gaps and exclusions; `segment` None: nothing so late is known yet.
    """

    start: Micros
    end: Micros
    time_class: TimeClass
    before: TimeClass
    segment: Segment | None
    begins: Edge
    ends: Edge
    in_gap: bool = False
    exclusions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a window is cut by; `gaps` have no overlaps, and `as_of` is how far the EVSE has come."""

    period: Interval
    as_of: Micros
    definition: Definition
    gaps: Sequence[Interval] = ()

    @property
    def seen(self) -> Interval:
        """The part of the period that can have been seen."""
        start, end = self.period
        return start, max(start, min(end, self.as_of))


def segments_of(outages: Iterable[Outage], terms: Terms) -> list[Segment]:
    """Give what a connector was from the begin of the window to `as_of`: its spans, and up between them."""
    start, end = terms.seen
    spans = sorted((_segment(outage, terms.as_of) for outage in outages), key=lambda span: span.start)
    segments: list[Segment] = []
    reached, last = start, None
    for span in spans:
        if span.start >= end:
            break
        if span.end > start and span.start > reached:
            segments.append(_up(reached, span, last))
        if span.end > start:
            segments.append(span)
        reached, last = max(span.end, start), span
    following = next((span for span in spans if span.start >= end), None)
    if reached < end:
        segments.append(_up(reached, following or Segment(terms.as_of, terms.as_of), last))
    return list(_joined(segments))


def _segment(outage: Outage, as_of: Micros) -> Segment:
    end = as_of if outage.until is None else micros_from(outage.until)
    says = (outage.status, outage.online, outage.error_code)
    return Segment(micros_from(outage.from_), end, *says, began=outage.began_by, ended=outage.ended_by)


def _up(reached: Micros, following: Segment, last: Segment | None) -> Segment:
    """Make the time between two spans; it may have begun before the window that `reached` is the begin of."""
    if last is None:
        return Segment(reached, following.start, is_up=True, ended=following.began)
    return Segment(last.end, following.start, is_up=True, began=last.ended, ended=following.began)


def _joined(segments: Iterable[Segment]) -> Iterator[Segment]:
    """Join neighbours that say the same: another status stood between them for no time at all."""
    held: Segment | None = None
    for segment in segments:
        if held is not None and held.says() == segment.says():
            held = replace(held, end=segment.end, ended=segment.ended)
            continue
        if held is not None:
            yield held
        held = segment
    if held is not None:
        yield held


def pieces_of(segments: Iterable[Segment], excluding: Sequence[Declared], terms: Terms) -> list[Piece]:
    """
    Cut a connector's window; `excluding` are the exclusions that count for it under the definition.

    A gap covers every class but out of service, an exclusion counts only where the connector is down, and
    what lies after `as_of` is unobserved.
    """
    pieces: list[Piece] = []
    for segment in segments:
        before = TimeClass.UP
        if not segment.is_up:
            before = terms.definition.class_of(segment.status, segment.online)
        pieces += _cut(segment, before, excluding, terms)
    start, end = terms.seen[1], terms.period[1]
    if start < end:
        begins: Edge = "as_of" if start > terms.period[0] else "window"
        unseen = TimeClass.UNOBSERVED
        pieces.append(Piece(start, end, unseen, unseen, None, begins, "window"))
    return pieces


def _cut(segment: Segment, before: TimeClass, excluding: Sequence[Declared], terms: Terms) -> Iterator[Piece]:
    start, end = max(segment.start, terms.seen[0]), min(segment.end, terms.seen[1])
    in_service = before is not TimeClass.OUT_OF_SERVICE
    gaps = clip(terms.gaps, start, end) if in_service else []
    rest = subtract([(start, end)], gaps)
    bounds: dict[Micros, Edge] = {}
    if before is TimeClass.DOWN:
        bounds = {at: "exclusion" for each in excluding for at in (each.start, each.end) if start < at < end}
    bounds |= {at: "gap" for gap in gaps for at in gap}
    bounds |= {start: _first_edge(segment, terms), end: _last_edge(segment, terms)}
    for a, b in sorted([*gaps, *rest]):
        in_gap = (a, b) in gaps
        inner = [] if in_gap else [at for at in sorted(bounds) if a < at < b]
        for c, d in pairwise([a, *inner, b]):
            ids: tuple[str, ...] = ()
            if before is TimeClass.DOWN and not in_gap:
                ids = tuple(each.exclusion_id for each in excluding if each.start <= c < each.end)
            after = TimeClass.UNOBSERVED if in_gap else TimeClass.EXCLUDED if ids else before
            yield Piece(c, d, after, before, segment, bounds[c], bounds[d], in_gap, ids)


def _first_edge(segment: Segment, terms: Terms) -> Edge:
    if segment.start > terms.period[0]:
        return "event"
    return "event" if segment.start == terms.period[0] and segment.began is not None else "window"


def _last_edge(segment: Segment, terms: Terms) -> Edge:
    end = terms.seen[1]
    if segment.end < end or (segment.end == end and segment.ended is not None):
        return "event"
    return "as_of" if end < terms.period[1] else "window"
