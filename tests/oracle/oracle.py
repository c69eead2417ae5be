"""
What the snapshot of one EVSE must say, computed from the whole log of its events at once.

It keeps no state, knows no batches and is slow. The real fold must agree with it on every log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.accounts import Timeline, Window, by_intervals, by_seconds
from tests.oracle.log import DAY, SECOND, Event, parse, read
from tests.oracle.reliability import Reliability, reliability
from tests.oracle.story import Story

ROLL_UP = (
    ({"PREPARING", "CHARGING", "FINISHING"}, "CHARGING"),
    ({"RESERVED"}, "RESERVED"),
    ({"AVAILABLE"}, "AVAILABLE"),
    ({"INOPERATIVE"}, "INOPERATIVE"),
    ({"OUTOFORDER"}, "OUTOFORDER"),
)


@dataclass(frozen=True)
class Note:
    """The last word about the whole charger; `at` in microseconds since 1970."""

    status: str
    raw_status: str | None
    error_code: str | None
    at: int


@dataclass(frozen=True)
class ConnectorResult:
    """What the snapshot must say of one connector; times in microseconds since 1970."""

    name: str
    status: str
    status_since: int | None
    raw_status: str | None
    error_code: str | None
    online: bool | None
    online_since: int | None
    published: bool
    window: Window
    reliability: Reliability


@dataclass(frozen=True)
class OracleResult:
    """
    What the snapshot must say of the EVSE.

    `verdicts` has one word for each event: `rejected`, `ignored` (applies after `as_of`), `duplicate`, `late`
    or `accepted` (applied, refreshed, corrected). They follow the order of arrival and are not compared.
    Where `exists` is false the log holds nothing to take a snapshot of, and `as_of` is 0.
    """

    exists: bool
    as_of: int
    last_seen_at: int | None
    status: str
    note: Note | None
    removed_at: int | None
    inventory: Mapping[str, Any] | None
    port: Window
    connectors: dict[str, ConnectorResult]
    verdicts: list[str] = field(compare=False)

    @property
    def removed(self) -> bool:
        """Whether the EVSE was removed."""
        return self.removed_at is not None


def default_window(as_of: int) -> tuple[int, int]:
    """Return the published window: from midnight UTC of the 30th day before `as_of`."""
    return (as_of - as_of % DAY - 30 * DAY, as_of)


def run(
    events: Sequence[Event | tuple[int, Event]],
    *,
    as_of: str | None = None,
    window: tuple[str, str] | None = None,
    allowed_lateness_s: int = 172_800,
    second_by_second: bool = False,
) -> OracleResult:
    """
    Compute what the snapshot must say after a log of events of one EVSE, as `replay` reads it.

    Args:
        events: the events in log order, with their positions or without (then the line, from 1, is it).
        as_of: ignore what applies after this time; without it, the newest time in the log.
        window: another window than the published one; must not reach beyond `as_of`.
        allowed_lateness_s: how far the horizon stays behind the newest time of the EVSE.
        second_by_second: count the windows second by second; all times must then be whole seconds.
    """
    log = read(events, None if as_of is None else parse(as_of), allowed_lateness_s * SECOND)
    if log.newest is None:
        return OracleResult(False, 0, None, "UNKNOWN", None, None, None, Window(0, 0), {}, log.verdicts)
    now = log.newest if as_of is None else parse(as_of)
    story = Story(log.entries, now)
    start, until = default_window(now) if window is None else (parse(window[0]), parse(window[1]))
    if until > now:
        raise ValueError("the window reaches beyond as_of")
    timelines = [Timeline.of(story, name) for name in story.connectors()]
    if second_by_second:
        port, windows = by_seconds(story, start, until)
    else:
        port, windows = by_intervals(timelines, start, until)
    note = story.note()
    inventories = story.inventories()
    connectors = {
        timeline.name: describe(timeline, story.is_published(timeline.name), windows[timeline.name], now)
        for timeline in timelines
    }
    return OracleResult(
        exists=True,
        as_of=now,
        last_seen_at=story.last_seen(),
        status=roll_up(list(connectors.values())),
        note=None if note is None else Note(*note),
        removed_at=None if story.removal is None else story.removal[0],
        inventory=inventories[-1] if inventories else None,
        port=port,
        connectors=connectors,
        verdicts=log.verdicts,
    )


def describe(timeline: Timeline, published: bool, window: Window, as_of: int) -> ConnectorResult:
    """Say what a connector is now, since when, and its numbers."""
    status, status_since = None, None
    for each in timeline.reports:
        if each.status != status:
            status, status_since = each.status, each.time
    last = timeline.reports[-1] if timeline.reports else None
    online = timeline.online_at(as_of)
    return ConnectorResult(
        name=timeline.name,
        status="UNKNOWN" if status is None else status,
        status_since=status_since,
        raw_status=None if last is None else last.raw_status,
        error_code=None if last is None else last.error_code,
        online=online,
        online_since=None if online is None else timeline.changes[-1].time,
        published=published,
        window=window,
        reliability=reliability(timeline, as_of),
    )


def roll_up(connectors: Sequence[ConnectorResult]) -> str:
    """One status for the EVSE: the rule `in_use_first` (domain 8, reading 14)."""
    if not connectors:
        return "UNKNOWN"
    in_service = [each for each in connectors if each.status not in ("PLANNED", "REMOVED")]
    if not in_service:
        return "REMOVED" if all(each.status == "REMOVED" for each in connectors) else "PLANNED"
    if all(each.online is False for each in in_service):
        return "UNKNOWN"
    for statuses, name in ROLL_UP:
        if any(each.status in statuses for each in in_service):
            return name
    return "UNKNOWN"
