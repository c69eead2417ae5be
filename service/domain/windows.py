"""
Windows: how much of a period was up, down, excluded and unobserved under a definition (promise P6).

Every number comes from the closed days or the spans of `state`, less what exclusions and gaps change. The
four sum to the window less the time out of service; unobserved is what is left over, so nothing that was
not seen is ever up. This module reads a state and changes nothing in it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from schemas.vocabulary import TimeClass
from service.domain import buckets
from service.domain.closed import Part
from service.domain.definitions import OBSERVED, UNHEARD, Definition, Weighting, first_of
from service.domain.intervals import Interval, clip, merge, subtract
from service.domain.inventory import FOREVER, Exclusion
from service.domain.rules import published_from
from service.domain.state import EvseState
from service.domain.time import DAY, HOUR, Micros
from service.domain.track import Span

_UP: Final = TimeClass.UP
_DOWN: Final = TimeClass.DOWN
_OUT: Final = TimeClass.OUT_OF_SERVICE

MINIMUM_COUNTED: Final[Micros] = HOUR
"""`uptime` is null until this much of a window was up, down or excluded (settled reading 11)."""


@dataclass(slots=True, init=False)
class Window:
    """
    One period under one definition, in microseconds.

    `uptime` is up / (up + down), None before an hour was counted or where nothing was up or down; `coverage`
    is the share of the time in service that was not unobserved, None where there was none.
    """

    definition: str
    start: Micros
    end: Micros
    up: Micros
    down: Micros
    excluded: Micros
    unobserved: Micros
    uptime: float | None = field(init=False)
    coverage: float | None = field(init=False)

    def __init__(
        self,
        definition: str,
        start: Micros,
        end: Micros,
        up: Micros,
        down: Micros,
        excluded: Micros,
        unobserved: Micros,
    ) -> None:
        self.definition, self.start, self.end = definition, start, end
        self.up, self.down, self.excluded, self.unobserved = up, down, excluded, unobserved
        # Exclusions are out of the denominator.
        rated = up + down
        counted = rated + excluded
        self.uptime = up / rated if rated and counted >= MINIMUM_COUNTED else None
        total = counted + unobserved
        self.coverage = counted / total if total else None


@dataclass(slots=True, init=False)
class Amounts:
    """Microseconds by class; what is in none of them is unobserved."""

    up: Micros
    down: Micros
    excluded: Micros
    out_of_service: Micros

    def __init__(
        self, up: Micros = 0, down: Micros = 0, excluded: Micros = 0, out_of_service: Micros = 0
    ) -> None:
        self.up, self.down = up, down
        self.excluded, self.out_of_service = excluded, out_of_service

    def add(self, time_class: TimeClass, amount: Micros) -> None:
        """Add to a class; unobserved is not kept."""
        if time_class is TimeClass.UP:
            self.up += amount
        elif time_class is TimeClass.DOWN:
            self.down += amount
        elif time_class is TimeClass.EXCLUDED:
            self.excluded += amount
        elif time_class is TimeClass.OUT_OF_SERVICE:
            self.out_of_service += amount

    def window(self, definition: str, period: Interval) -> Window:
        """Make the window: what is left of the period is unobserved."""
        start, end = period
        unobserved = end - start - self.up - self.down - self.excluded - self.out_of_service
        return Window(definition, start, end, self.up, self.down, self.excluded, unobserved)


def spans_of(state: EvseState, uid: str, until: Micros) -> list[Span]:
    """Give all spans of a connector up to `until`, in order: closed, correctable, and the open one."""
    track = state.tip.tracks[uid]
    open_span = track.open_span(until)
    return [*state.history[uid].spans, *track.spans, *([open_span] if open_span else [])]


def overlapping(spans: list[Span], start: Micros, end: Micros) -> Iterator[Span]:
    """Give the spans that overlap `[start, end)`; spans are sorted and disjoint."""
    place = max(bisect_right(spans, start, key=lambda span: span.start) - 1, 0)
    for index in range(place, len(spans)):
        span = spans[index]
        if span.start >= end:
            return
        if span.end > start:
            yield span


def parts_of(state: EvseState, uid: str, until: Micros, period: Interval) -> list[Part]:
    """Give start, end and bucket of those spans of a connector up to `until` that overlap a period."""
    track = state.tip.tracks[uid]
    parts = state.history[uid].spans.parts(*period)
    parts += [span.part for span in overlapping(track.spans, *period)]
    open_span = track.open_span(until)
    if open_span is not None:
        parts += [span.part for span in overlapping([open_span], *period)]
    return parts


def connector_window(
    state: EvseState, uid: str, definition: Definition, as_of: Micros, period: Interval | None = None
) -> Window:
    """
    Account for a connector; `period` None is the published window, which the days answer.

    What of a period lies after `as_of` is unobserved.
    """
    wanted = period or (published_from(as_of), as_of)
    seen = _seen(wanted, as_of)
    if period is None and definition is OBSERVED:
        parts = summed(state, uid, buckets.PARTS, seen)
        down = parts[buckets.DOWN] + parts[buckets.DOWN_UNSEEN]
        amounts = Amounts(parts[buckets.UP], down, 0, parts[buckets.OUT])
    elif period is None:
        up, down, excluded, _, out_of_service, _ = summed(state, uid, definition.weighting, seen)
        amounts = Amounts(up, down, excluded, out_of_service)
    else:
        amounts = Amounts()
        _add_spans(amounts, parts_of(state, uid, as_of, seen), definition, seen)
    if _is_plain(state, uid, definition, seen):
        return amounts.window(definition.name, wanted)
    gaps = clip(state.declarations.merged_gaps, *seen)
    exclusions = subtract(clip(exclusions_of(state, uid, definition), *seen), gaps)
    for part in gaps:
        _move(amounts, parts_of(state, uid, as_of, part), definition, part, TimeClass.UNOBSERVED)
    for part in exclusions:
        _move(amounts, parts_of(state, uid, as_of, part), definition, part, TimeClass.EXCLUDED)
    return amounts.window(definition.name, wanted)


def port_window(
    state: EvseState, definition: Definition, as_of: Micros, period: Interval | None = None
) -> Window:
    """Account for the EVSE as a port: its moment is the first class that any connector in service has."""
    wanted = period or (published_from(as_of), as_of)
    seen = _seen(wanted, as_of)
    if period is not None or definition is not OBSERVED:
        amounts = Amounts()
        for amount, _, after in _sweep(state, as_of, definition, seen):
            amounts.add(after, amount)
        return amounts.window(definition.name, wanted)
    totals = _port_totals(state, seen).get
    up, down, out = totals(_UP, 0), totals(_DOWN, 0), totals(_OUT, 0)
    if not state.declarations.takes_time_out:
        start, end = wanted
        return Window(definition.name, start, end, up, down, 0, end - start - up - down - out)
    amounts = Amounts(up, down, 0, out)
    declared = state.declarations.all_standing().values()
    touched = [*state.declarations.merged_gaps, *map(span_of, declared)]
    for part in merge(clip(touched, *seen)):
        for amount, before, after in _sweep(state, as_of, definition, part):
            amounts.add(before, -amount)
            amounts.add(after, amount)
    return amounts.window(definition.name, wanted)


def _seen(period: Interval, as_of: Micros) -> Interval:
    """Give the part of a period that can have been seen: from 1970, where history begins, to `as_of`."""
    start = max(period[0], 0)
    return start, max(start, min(period[1], as_of))


def exclusions_of(state: EvseState, uid: str, definition: Definition) -> list[Interval]:
    """Give the union of the standing exclusions of a connector that count under a definition."""
    return merge(
        span_of(exclusion)
        for exclusion in state.declarations.all_standing().values()
        if counts_for(exclusion, uid, definition)
    )


def span_of(exclusion: Exclusion) -> Interval:
    """Give the span that an exclusion declares."""
    return exclusion.from_, FOREVER if exclusion.until is None else exclusion.until


def counts_for(exclusion: Exclusion, uid: str, definition: Definition) -> bool:
    """Tell whether an exclusion concerns a connector under a definition."""
    concerns = exclusion.connector_uids is None or uid in exclusion.connector_uids
    return concerns and exclusion.reason in definition.exclusion_reasons


def _is_plain(state: EvseState, uid: str, definition: Definition, period: Interval) -> bool:
    if not state.declarations.takes_time_out:
        return True
    gaps = clip(state.declarations.merged_gaps, *period)
    return not gaps and not clip(exclusions_of(state, uid, definition), *period)


def summed(state: EvseState, uid: str, weighting: Weighting, period: Interval) -> list[Micros]:
    """Add up a period from a midnight to `as_of`, the open segment included, by a weighting."""
    first, until = period[0] // DAY, period[1]
    track, places = state.tip.tracks[uid], weighting.places
    sums = state.history[uid].summed_since(first, weighting).copy()
    # The oldest lies that far back only after a long silence.
    if weighting is buckets.PARTS and next(iter(track.days), first) >= first:
        for place, amount in enumerate(track.parts):
            sums[place] += amount
    else:
        for bucket, amount in buckets.total_of(
            kept for day, kept in track.days.items() if day >= first
        ).items():
            sums[places[bucket]] += amount
    start = max(track.poured, period[0])
    if track.bucket != UNHEARD and until > start:
        sums[places[track.bucket]] += until - start
    return sums


def _port_totals(state: EvseState, period: Interval) -> dict[TimeClass, Micros]:
    first = period[0] // DAY
    port = state.tip.port
    totals = state.port_summed_since(first).copy()
    for day, classes in port.days.items():
        if day >= first:
            for time_class, amount in classes.items():
                totals[time_class] = totals.get(time_class, 0) + amount
    start = max(port.poured, period[0])
    if period[1] > start:
        totals[port.time_class] = totals.get(port.time_class, 0) + period[1] - start
    return totals


def _add_spans(amounts: Amounts, parts: list[Part], definition: Definition, period: Interval) -> None:
    """Account for a period by its spans alone: what is in none of them was plainly up."""
    left = period[1] - period[0]
    for start, end, bucket in parts:
        amount = min(end, period[1]) - max(start, period[0])
        amounts.add(definition.classes[bucket], amount)
        left -= amount
    amounts.up += left


def _move(amounts: Amounts, parts: list[Part], definition: Definition, part: Interval, to: TimeClass) -> None:
    """Move what an exclusion (down only) or a gap (all in service) covers to another class."""
    left = part[1] - part[0]
    for start, end, bucket in parts:
        amount = min(end, part[1]) - max(start, part[0])
        left -= amount
        time_class = definition.classes[bucket]
        if time_class is TimeClass.OUT_OF_SERVICE or (
            to is TimeClass.EXCLUDED and time_class is not TimeClass.DOWN
        ):
            continue
        amounts.add(time_class, -amount)
        amounts.add(to, amount)
    if to is TimeClass.UNOBSERVED:
        amounts.up -= left


def _sweep(
    state: EvseState, as_of: Micros, definition: Definition, period: Interval
) -> Iterator[tuple[Micros, TimeClass, TimeClass]]:
    """Give (amount, class before, class after exclusions and gaps) of the port, piece by piece."""
    gaps = clip(state.declarations.merged_gaps, *period)
    excluded = {uid: clip(exclusions_of(state, uid, definition), *period) for uid in state.tip.tracks}
    bounds = {*period} | {bound for gap in gaps for bound in gap}
    inside = {uid: parts_of(state, uid, as_of, period) for uid in state.tip.tracks}
    for uid, spans in inside.items():
        bounds |= {min(max(bound, period[0]), period[1]) for span in spans for bound in span[:2]}
        bounds |= {bound for interval in excluded[uid] for bound in interval}
    cursor = dict.fromkeys(inside, 0)
    ordered = sorted(bounds)
    for start, end in pairwise(ordered):
        before: list[TimeClass] = []
        after: list[TimeClass] = []
        for uid, spans in inside.items():
            while cursor[uid] < len(spans) and spans[cursor[uid]][1] <= start:
                cursor[uid] += 1
            covered = cursor[uid] < len(spans) and spans[cursor[uid]][0] <= start
            plain = definition.classes[spans[cursor[uid]][2]] if covered else TimeClass.UP
            before.append(plain)
            after.append(
                _after(plain, in_gap=_covers(gaps, start), is_excluded=_covers(excluded[uid], start))
            )
        yield end - start, first_of(before), first_of(after)


def _after(time_class: TimeClass, *, in_gap: bool, is_excluded: bool) -> TimeClass:
    if time_class is TimeClass.OUT_OF_SERVICE:
        return time_class
    if in_gap:
        return TimeClass.UNOBSERVED
    return TimeClass.EXCLUDED if is_excluded and time_class is TimeClass.DOWN else time_class


def _covers(intervals: list[Interval], moment: Micros) -> bool:
    place = bisect_right(intervals, moment, key=lambda interval: interval[0]) - 1
    return place >= 0 and moment < intervals[place][1]
