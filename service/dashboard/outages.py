"""
The list of outages of one EVSE: what befell several connectors alike is one line, and its ends are in words.

Knows no Redis and no HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice

from schemas import view
from schemas.vocabulary import TimeClass
from service.dashboard import timeline
from service.dashboard.kept import Kept, excluded, micros
from service.dashboard.timeline import History, Periods, Span
from service.dashboard.wording import parse_time, short_time

OUTAGES_SHOWN = 25
"""Outages listed before all are asked for: a link that flaps has thousands."""

_FOREVER = 1 << 62


@dataclass(frozen=True, slots=True)
class End:
    """
    What began or ended a span: in words, and its id and its place in the log where they are kept.

    `is_told`: the words say what it was, instead of naming the event.
    """

    words: str
    event_id: str = ""
    place: str = ""
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class OutageLine:
    """
    One line of the list of outages; times in microseconds since 1970, `until` None while it goes on.

    What befell several connectors alike (the charger's link was down) is one line that names them all.
    `start` and `length` are None for the time before anything was heard, which never began. `kind` is the
    worst that any part of it counts as, `partly` what else there is.
    """

    connectors: tuple[str, ...]
    start: int | None
    until: int | None
    length: int | None
    kind: TimeClass
    partly: tuple[TimeClass, ...]
    outage: view.Outage
    began_by: End | None
    ended_by: End | None


def alike(outages: Sequence[view.Outage]) -> list[list[view.Outage]]:
    """Put together what differs by nothing but the connector, the newest first."""
    groups: dict[view.Outage, list[view.Outage]] = {}
    for outage in reversed(outages):
        groups.setdefault(outage.model_copy(update={"connector_uid": ""}), []).append(outage)
    return list(groups.values())


def latest(groups: Sequence[list[view.Outage]], since: int) -> list[list[view.Outage]]:
    """Choose what is listed unless all is asked for: the latest of the window."""
    inside = (alike for alike in groups if alike[0].until is None or micros(alike[0].until) > since)
    return list(islice(inside, OUTAGES_SHOWN))


class Listing:
    """
    Makes lines of the EVSE and what is kept of it, the connectors' names, and the time now.

    What is declared is merged once for all lines: a link that flaps has thousands of them.
    """

    def __init__(self, uid: str, kept: Kept, names: Mapping[str, str], now: int) -> None:
        self._uid = uid
        self._kept = kept
        self._names = names
        self._now = now
        self._gaps = Periods((micros(gap.from_), micros(gap.until)) for gap in kept.gaps)
        self._excluded: dict[str, Periods] = {}

    def line(self, group: Sequence[view.Outage]) -> OutageLine:
        """Make one line of outages that differ by nothing but the connector."""
        outage = group[0]
        start = micros(outage.from_)
        until = None if outage.until is None else micros(outage.until)
        end = max(self._now, start) if until is None else until
        counted = {kind for each in group for kind in self._kinds(each, start, end)}
        kind, *partly = [kind for kind in timeline.PRECEDENCE if kind in counted] or [outage.time_class]
        began = start if start > 0 else None
        return OutageLine(
            tuple(self._names.get(each, each) for each in sorted(each.connector_uid for each in group)),
            began,
            until,
            None if began is None else end - began,
            kind,
            tuple(partly),
            outage,
            end_of(self._uid, outage.began_by),
            end_of(self._uid, outage.ended_by),
        )

    def _kinds(self, outage: view.Outage, start: int, end: int) -> AbstractSet[TimeClass]:
        """Say what parts of a span count as once gaps and exclusions are taken out."""
        kind = outage.time_class
        if kind is not TimeClass.DOWN or start >= end:
            return {kind}
        gaps = self._gaps.within(start, end)
        excused = self._excluded_of(outage.connector_uid).within(start, end)
        if not gaps and not excused:
            return {kind}
        history = History(start, [Span(start, end, kind)], gaps, excused)
        return {span.value for span in timeline.connector_segments(history, (start, end))}

    def _excluded_of(self, connector_uid: str) -> Periods:
        found = self._excluded.get(connector_uid)
        if found is None:
            found = self._excluded[connector_uid] = Periods(excluded(connector_uid, self._kept, _FOREVER))
        return found


def end_of(uid: str, cause: view.Cause | None) -> End | None:
    """Say what an event at an end of a span was; ids often begin with the uid, which need not be repeated."""
    if cause is None:
        return None
    if cause.event_id is None:
        return End("a heartbeat", is_told=True)
    event_id, place = cause.event_id, _place(view.Place.of(cause.position))
    silence = f"silence:{uid}:"
    if event_id.startswith(silence) and (seen := parse_time(event_id.removeprefix(silence))) is not None:
        return End(f"nothing heard since {short_time(seen)}", event_id, place, is_told=True)
    words = f"…{event_id.removeprefix(uid)}" if event_id.startswith(f"{uid}:") else event_id
    return End(words, event_id, place)


def _place(place: view.Place | None) -> str:
    if place is None:
        return ""
    topic = f" of input topic {place.topic + 1}" if place.topic else ""
    epoch = f" of epoch {place.epoch}" if place.epoch else ""
    return f"at {place.offset}{topic}{epoch}"
