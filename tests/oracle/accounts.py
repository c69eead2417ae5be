"""
Adding up: every moment of a window is up, down, excluded or unobserved, or out of service.

Two ways that share nothing but the story: elementary intervals between all instants of change,
and the painting of every whole second. Sources: domain 2, design P6 and readings 6 to 11 of design 3.1.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.oracle.log import SECOND
from tests.oracle.story import Change, Report, Span, Story

OPERATIONAL = {"AVAILABLE", "PREPARING", "CHARGING", "FINISHING", "RESERVED"}
OUT_OF_SERVICE = {"PLANNED", "REMOVED"}

# A port's moment has the first of these that any of its connectors in service has (reading 8).
CLASSES = ("up", "down", "excluded", "unobserved")


@dataclass(frozen=True)
class Window:
    """The accounts of a window under the definition `observed`; times and sums in microseconds."""

    start: int
    until: int
    up: int = 0
    down: int = 0
    excluded: int = 0
    unobserved: int = 0

    @property
    def uptime(self) -> float | None:
        """The share of up in up and down; null before an hour was seen, or where there is no denominator."""
        if self.up + self.down + self.excluded < 3_600 * SECOND or self.up + self.down == 0:
            return None
        return self.up / (self.up + self.down)

    @property
    def coverage(self) -> float | None:
        """The share of the time in service that is not unobserved; null where there is none."""
        seen = self.up + self.down + self.excluded
        return None if seen + self.unobserved == 0 else seen / (seen + self.unobserved)


@dataclass(frozen=True)
class Timeline:
    """One connector's statuses and changes of online, with what may excuse or hide its time."""

    name: str
    reports: Sequence[Report]
    changes: Sequence[Change]
    gaps: Sequence[Span]
    exclusions: Sequence[Span]

    @classmethod
    def of(cls, story: Story, connector: str) -> Timeline:
        """Take one connector's timeline from the story of its EVSE."""
        return cls(
            connector,
            story.reports(connector),
            story.online_changes(connector),
            story.gaps(),
            story.exclusions(),
        )

    def report_at(self, instant: int) -> Report | None:
        """The last status report at or before an instant."""
        before = bisect_right(self.reports, instant, key=lambda report: report.time)
        return self.reports[before - 1] if before else None

    def status_at(self, instant: int) -> str | None:
        """The status at an instant, None where nothing was heard yet."""
        report = self.report_at(instant)
        return None if report is None else report.status

    def online_at(self, instant: int) -> bool | None:
        """The value of online at an instant."""
        before = bisect_right(self.changes, instant, key=lambda change: change.time)
        return self.changes[before - 1].value if before else None

    def class_at(self, instant: int) -> str | None:
        """The class of time at an instant, None while the connector is not in service."""
        in_gap = any(gap.covers(instant, self.name) for gap in self.gaps)
        excused = any(exclusion.covers(instant, self.name) for exclusion in self.exclusions)
        return classify(self.status_at(instant), self.online_at(instant), in_gap=in_gap, excused=excused)

    def instants(self) -> set[int]:
        """Every instant at which the class of time may change."""
        found = {report.time for report in self.reports} | {change.time for change in self.changes}
        for span in [*self.gaps, *self.exclusions]:
            found.add(span.start)
            if span.until is not None:
                found.add(span.until)
        return found

    def intervals(self, start: int, until: int) -> list[tuple[int, int]]:
        """The elementary intervals of a window: within each of them nothing changes."""
        return cut(start, until, self.instants())


def classify(status: str | None, online: bool | None, *, in_gap: bool, excused: bool) -> str | None:
    """Name the class of a moment; None is out of service."""
    if status in OUT_OF_SERVICE:
        return None
    if in_gap:
        return "unobserved"
    if online is False:
        return "excluded" if excused else "down"
    if status is None or status == "UNKNOWN":
        return "unobserved"
    if status in OPERATIONAL:
        return "up"
    return "excluded" if excused else "down"


def of_port(classes: Iterable[str | None], connectors: int) -> str | None:
    """Name the class of a port's moment from those of its connectors."""
    if connectors == 0:
        return "unobserved"
    found = set(classes)
    for each in CLASSES:
        if each in found:
            return each
    return None


def cut(start: int, until: int, instants: Iterable[int]) -> list[tuple[int, int]]:
    """Cut [start, until) at every instant within it."""
    inside = sorted({start, until} | {instant for instant in instants if start < instant < until})
    return list(pairwise(inside))


def by_intervals(timelines: Sequence[Timeline], start: int, until: int) -> tuple[Window, dict[str, Window]]:
    """Return the window of the port and those of its connectors, summed over elementary intervals."""
    instants = {instant for timeline in timelines for instant in timeline.instants()}
    port = dict.fromkeys(CLASSES, 0)
    sums = {timeline.name: dict.fromkeys(CLASSES, 0) for timeline in timelines}
    for begin, end in cut(start, until, instants):
        classes = {timeline.name: timeline.class_at(begin) for timeline in timelines}
        for name, each in classes.items():
            if each is not None:
                sums[name][each] += end - begin
        ours = of_port(classes.values(), len(timelines))
        if ours is not None:
            port[ours] += end - begin
    return Window(start, until, **port), {name: Window(start, until, **each) for name, each in sums.items()}


def by_seconds(story: Story, start: int, until: int) -> tuple[Window, dict[str, Window]]:
    """
    Return the same windows, counted second by second.

    Raises `ValueError` where anything happened between two whole seconds.
    """
    painted = {name: paint(story, name, start, until) for name in story.connectors()}
    port = dict.fromkeys(CLASSES, 0)
    sums = {name: dict.fromkeys(CLASSES, 0) for name in painted}
    for second in range(whole(until - start)):
        classes = {name: seconds[second] for name, seconds in painted.items()}
        for name, each in classes.items():
            if each is not None:
                sums[name][each] += SECOND
        ours = of_port(classes.values(), len(painted))
        if ours is not None:
            port[ours] += SECOND
    return Window(start, until, **port), {name: Window(start, until, **each) for name, each in sums.items()}


def whole(micros: int) -> int:
    """Return microseconds as seconds, which they must be."""
    if micros % SECOND:
        raise ValueError("not a whole second")
    return micros // SECOND


def paint(story: Story, connector: str, start: int, until: int) -> list[str | None]:
    """
    Return the class of each second of a window for one connector.

    Whoever says something paints over all the seconds from then on; who speaks later, by time and position,
    paints later.
    """
    length = whole(until - start)
    statuses: list[str | None] = [None] * length
    online: list[bool | None] = [None] * length
    for report in story.reports(connector):
        first = max(0, whole(report.time - start))
        statuses[first:] = [report.status] * len(statuses[first:])
    for time, _, what, value in story.online_items(connector):
        first = max(0, whole(time - start))
        if first >= length:
            continue
        if what == "report":
            online[first:] = [value] * (length - first)
        elif online[first] is False:
            online[first:] = [True] * (length - first)
    in_gap = paint_spans(story.gaps(), connector, start, length)
    excused = paint_spans(story.exclusions(), connector, start, length)
    return [
        classify(statuses[second], online[second], in_gap=in_gap[second], excused=excused[second])
        for second in range(length)
    ]


def paint_spans(spans: Sequence[Span], connector: str, start: int, length: int) -> list[bool]:
    """Return for each second whether any of the spans covers it."""
    seconds = [False] * length
    for span in spans:
        if span.connectors is None or connector in span.connectors:
            first = max(0, whole(span.start - start))
            last = length if span.until is None else min(length, whole(span.until - start))
            for second in range(first, last):
                seconds[second] = True
    return seconds
