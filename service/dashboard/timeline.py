"""
The 30-day timeline: spans become classes of time, hours, and rectangles in percent.

Pure arithmetic on microseconds. A moment has exactly one class, so the classes of a connector sum to the
window to the microsecond, and what is drawn is what the window's numbers were computed from.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, TypeVar

from schemas.vocabulary import TimeClass
from service.dashboard.wording import DAY, HOUR

STEP = 2 * HOUR
"""The time that one column of the drawing stands for."""

FLOOR = 0.35
"""The least share of a column that a shorter outage is drawn with, so that it can be seen."""

PRECEDENCE = (TimeClass.UP, TimeClass.DOWN, TimeClass.EXCLUDED, TimeClass.UNOBSERVED)
"""A port's moment has the first of these that any of its connectors in service has."""

_FROM_BELOW = (
    TimeClass.DOWN,
    TimeClass.EXCLUDED,
    TimeClass.UNOBSERVED,
    TimeClass.OUT_OF_SERVICE,
    TimeClass.UP,
)

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Span(Generic[Value_co]):
    """`value` holds from `start` until `until`, in microseconds since 1970."""

    start: int
    until: int
    value: Value_co


@dataclass(frozen=True, slots=True)
class History:
    """
    What one connector's timeline is made of, all times in microseconds since 1970.

    `spans` are the times it was not plainly up, with their class; before `known_from` nothing is known of it
    (None: nothing at all is). `gaps` and `exclusions` may overlap one another.
    """

    known_from: int | None
    spans: Sequence[Span[TimeClass]] = ()
    gaps: Sequence[tuple[int, int]] = ()
    exclusions: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle of a lane; x and width in percent of the window, y and height in percent of the lane."""

    kind: TimeClass
    x: float
    width: float
    y: float = 0.0
    height: float = 100.0


@dataclass(frozen=True, slots=True)
class DayShare:
    """One UTC day of a lane: microseconds by class (they sum to the day's part of the window)."""

    start: int
    until: int
    times: dict[TimeClass, int]
    outages: int
    """How many spans of class down or excluded began or went on in this day."""
    in_use: float | None = None
    """The share of the day in use, None where the day's totals are not kept."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the timeline, ready to be drawn."""

    title: str
    window: tuple[int, int]
    segments: Sequence[Span[TimeClass]]
    days: Sequence[DayShare] = ()
    rects: Sequence[Rect] = field(default=())

    def x(self, moment: int) -> float:
        """Place a moment, in percent of the window."""
        start, until = self.window
        return 100.0 * (moment - start) / (until - start)


def _at(spans: Iterable[Span[Value]]) -> Callable[[int], Value | None]:
    """Make a look-up of the value that holds at a moment; of overlapping spans the later one holds."""
    ordered = sorted(spans, key=lambda span: (span.start, span.until))
    starts = [span.start for span in ordered]

    def look_up(moment: int) -> Value | None:
        index = bisect_right(starts, moment) - 1
        if index < 0 or ordered[index].until <= moment:
            return None
        return ordered[index].value

    return look_up


def _union(intervals: Iterable[tuple[int, int]]) -> list[Span[bool]]:
    """Merge intervals that touch or overlap: a moment is excluded, or unseen, once."""
    merged: list[Span[bool]] = []
    for start, until in sorted(intervals):
        if until <= start:
            continue
        if merged and start <= merged[-1].until:
            merged[-1] = Span(merged[-1].start, max(until, merged[-1].until), value=True)
        else:
            merged.append(Span(start, until, value=True))
    return merged


class Periods:
    """Times that may overlap one another, merged once and then asked for by many spans."""

    def __init__(self, intervals: Iterable[tuple[int, int]]) -> None:
        self._merged = _union(intervals)
        self._untils = [span.until for span in self._merged]

    def within(self, start: int, until: int) -> list[tuple[int, int]]:
        """Give what of them lies between two moments; what lies elsewhere is not looked at."""
        found: list[tuple[int, int]] = []
        for place in range(bisect_right(self._untils, start), len(self._merged)):
            span = self._merged[place]
            if span.start >= until:
                break
            found.append((max(span.start, start), min(span.until, until)))
        return found


def _edges(spans: Iterable[Span[Value]]) -> Iterable[int]:
    return (edge for span in spans for edge in (span.start, span.until))


def _boundaries(moments: Iterable[int], window: tuple[int, int]) -> list[int]:
    start, until = window
    return sorted({start, until, *(moment for moment in moments if start < moment < until)})


def _joined(pieces: Iterable[Span[TimeClass]]) -> list[Span[TimeClass]]:
    joined: list[Span[TimeClass]] = []
    for piece in pieces:
        if joined and joined[-1].value == piece.value and joined[-1].until == piece.start:
            joined[-1] = Span(joined[-1].start, piece.until, piece.value)
        else:
            joined.append(piece)
    return joined


def connector_segments(history: History, window: tuple[int, int]) -> list[Span[TimeClass]]:
    """
    Cut a window into the classes of one connector.

    A gap covers every class but out of service; an exclusion counts only where the connector is down.
    """
    gaps, exclusions = _union(history.gaps), _union(history.exclusions)
    moments = [*_edges(history.spans), *_edges(gaps), *_edges(exclusions)]
    known_from = window[1] if history.known_from is None else history.known_from
    own, unseen, excused = _at(history.spans), _at(gaps), _at(exclusions)

    def class_at(moment: int) -> TimeClass:
        kind = own(moment) or (TimeClass.UP if moment >= known_from else TimeClass.UNOBSERVED)
        if kind is TimeClass.OUT_OF_SERVICE:
            return kind
        if unseen(moment):
            return TimeClass.UNOBSERVED
        return TimeClass.EXCLUDED if kind is TimeClass.DOWN and excused(moment) else kind

    edges = _boundaries([*moments, known_from], window)
    return _joined(Span(a, b, class_at(a)) for a, b in pairwise(edges))


def port_segments(
    connectors: Sequence[Sequence[Span[TimeClass]]], window: tuple[int, int]
) -> list[Span[TimeClass]]:
    """Cut a window into the classes of the EVSE as a port; without a known connector it is unobserved."""
    if not connectors:
        return [Span(*window, TimeClass.UNOBSERVED)]
    look_ups = [_at(segments) for segments in connectors]
    edges = _boundaries((span.start for segments in connectors for span in segments), window)

    def class_at(moment: int) -> TimeClass:
        present = {look_up(moment) for look_up in look_ups}
        return next((kind for kind in PRECEDENCE if kind in present), TimeClass.OUT_OF_SERVICE)

    return _joined(Span(a, b, class_at(a)) for a, b in pairwise(edges))


def not_up_after(segments: Iterable[Span[TimeClass]], moment: int) -> list[Span[TimeClass]]:
    """Take what is up after a moment for unobserved: nothing so late was seen of it yet."""
    pieces: list[Span[TimeClass]] = []
    for span in segments:
        if span.value is not TimeClass.UP or span.until <= moment:
            pieces.append(span)
            continue
        if span.start < moment:
            pieces.append(Span(span.start, moment, TimeClass.UP))
        pieces.append(Span(max(span.start, moment), span.until, TimeClass.UNOBSERVED))
    return _joined(pieces)


def tally(segments: Iterable[Span[TimeClass]], start: int, until: int) -> dict[TimeClass, int]:
    """Sum the microseconds of each class between two moments."""
    times: dict[TimeClass, int] = {}
    for span in segments:
        length = min(span.until, until) - max(span.start, start)
        if length > 0:
            times[span.value] = times.get(span.value, 0) + length
    return times


def _cells(
    segments: Sequence[Span[TimeClass]], window: tuple[int, int], step: int
) -> Iterable[tuple[int, int, list[Span[TimeClass]]]]:
    """Cut a window at the multiples of `step`, each cell with the segments that touch it."""
    first = 0
    start, end = window
    while start < end:
        until = min((start // step + 1) * step, end)
        while first < len(segments) and segments[first].until <= start:
            first += 1
        last = first
        while last < len(segments) and segments[last].start < until:
            last += 1
        yield start, until, list(segments[first:last])
        start = until


def by_day(segments: Sequence[Span[TimeClass]], window: tuple[int, int]) -> list[DayShare]:
    """Account for each UTC day of a window."""
    down = (TimeClass.DOWN, TimeClass.EXCLUDED)
    return [
        DayShare(start, until, tally(cell, start, until), sum(span.value in down for span in cell))
        for start, until, cell in _cells(segments, window, DAY)
    ]


def _stack(times: dict[TimeClass, int], length: int) -> dict[TimeClass, float]:
    """Share out a column's height; a short outage gets at least the floor, the rest shrinks to make room."""
    shares = {kind: times[kind] / length for kind in _FROM_BELOW if times.get(kind)}
    raised = {
        kind: FLOOR
        for kind in (TimeClass.DOWN, TimeClass.EXCLUDED)
        if 0 < shares.get(kind, 0) < FLOOR and len(shares) > 1
    }
    rest = sum(share for kind, share in shares.items() if kind not in raised)
    scale = (1 - sum(raised.values())) / rest if rest else 1.0
    return {kind: raised.get(kind, share * scale) for kind, share in shares.items()}


def rectangles(segments: Sequence[Span[TimeClass]], window: tuple[int, int], step: int = STEP) -> list[Rect]:
    """
    Draw a lane: one column for each `step`, divided by the share of each class; equal neighbours are joined.

    So a day with an outage of three minutes shows it on a telephone too, and a link that flaps does not look
    like one that was down throughout. At most two rectangles or so a column, however many spans there are.
    """
    start, end = window
    scale = 100.0 / (end - start)
    rects: list[Rect] = []
    run: tuple[int, int, dict[TimeClass, float]] | None = None

    def close() -> None:
        if run is None:
            return
        begun, ended, stack = run
        bottom = 100.0
        for kind, share in stack.items():
            height = share * 100.0
            bottom -= height
            rects.append(
                Rect(kind, (begun - start) * scale, (ended - begun) * scale, max(bottom, 0.0), height)
            )

    for cell_start, cell_until, cell in _cells(segments, window, step):
        stack = _stack(tally(cell, cell_start, cell_until), cell_until - cell_start)
        if run is not None and run[2] == stack:
            run = (run[0], cell_until, stack)
        else:
            close()
            run = (cell_start, cell_until, stack)
    close()
    return rects


def lane(title: str, segments: Sequence[Span[TimeClass]], window: tuple[int, int]) -> Lane:
    """Make a row of the timeline of the classes of a window."""
    return Lane(title, window, segments, by_day(segments, window), rectangles(segments, window))
