"""
An explanation for people: the story of a window from its begin to its end, then the sums that it comes to.

Moments and intervals take turns, a line each: 80 columns are enough. Nothing is computed here but which of
very many intervals are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.explanation import (
    ConnectorExplanation,
    EventAtEnd,
    ExclusionUse,
    Explanation,
    GapUse,
    Interval,
    LateEvent,
    PortExplanation,
    PortInterval,
)
from schemas.snapshot import Window
from schemas.vocabulary import TimeClass
from service.commands.console import printable
from service.commands.wording import exact_length, exactly, share
from service.domain.remains import LAST_SNAPSHOT

LONGEST = 25
"""Of very many intervals so many are shown that were not up, the longest, and what lies between them."""

_FEW = 10
"""So many gaps and late events are shown."""

_STYLES = {
    TimeClass.UP: "green",
    TimeClass.DOWN: "red",
    TimeClass.EXCLUDED: "yellow",
    TimeClass.UNOBSERVED: "magenta",
    TimeClass.OUT_OF_SERVICE: "dim",
}

AnyInterval = Interval | PortInterval
AnyPart = ConnectorExplanation | PortExplanation
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Omitted:
    """Neighbouring intervals that are not shown, with what they come to by class."""

    intervals: Sequence[AnyInterval]

    def lengths(self) -> dict[TimeClass, timedelta]:
        """Add up the lengths by class."""
        found: dict[TimeClass, timedelta] = {}
        for each in self.intervals:
            length = each.until - each.from_
            found[each.time_class] = found.get(each.time_class, timedelta(0)) + length
        return found


def laid_out(explanation: Explanation, *, every: bool) -> RenderableType:
    """Lay out an explanation; `every` shows all intervals, gaps and late events, however many."""
    parts: list[RenderableType] = [*_heading(explanation)]
    for each in explanation.connectors:
        parts += [Text(), Text(f"connector {printable(each.connector_uid)}", "bold")]
        parts += _part(each, every=every)
    if not explanation.connectors:
        parts += [Text(), Text("no connector is known yet")]
    if explanation.port is not None:
        parts += [Text(), Text("the EVSE as a port: up while at least one connector is", "bold")]
        alone = explanation.connectors[0] if len(explanation.connectors) == 1 else None
        if alone is not None and alone.window == explanation.port.window:
            parts += [Text("it is its one connector: the same intervals and numbers")]
            parts += _comparison(explanation.port)
        else:
            parts += _part(explanation.port, every=every)
    return Group(*parts, *_late(explanation.late_events, every=every))


def _heading(explanation: Explanation) -> Iterator[Text]:
    yield Text(f"{printable(explanation.evse_uid)}  uptime explained", "bold")
    published = "the published window" if explanation.is_published else "not the published window"
    yield Text(f"{exactly(explanation.from_)} to {exactly(explanation.until)}, {published}")
    yield Text(f"as of {exactly(explanation.as_of)}, revision {explanation.revision}")
    if explanation.removed_at is not None:
        yield Text(f"removed at {exactly(explanation.removed_at)}: out of service since", "yellow")
    definition = explanation.definition
    yield Text(f"definition {definition.name}: {definition.meaning}", "dim")


def _part(part: AnyPart, *, every: bool) -> Iterator[RenderableType]:
    shown = part.intervals if every else shortened(part.intervals)
    yield _story(shown)
    left_out = sum(len(each.intervals) for each in shown if isinstance(each, Omitted))
    if left_out:
        yield Text(
            f"{left_out} of {len(part.intervals)} intervals are added up, not shown: "
            "--all shows every one, a later --from fewer"
        )
    yield Text()
    yield _sums(part)
    yield from _numbers(part)
    yield from _comparison(part)
    if isinstance(part, ConnectorExplanation) and part.down_since is not None:
        still = f"down since {exactly(part.down_since)}, and still so as of these numbers: what came after is"
        yield Text(f"{still} not counted here; `evse-status show` says how long it lasts", "bold red")
    for use in part.exclusions:
        yield from _exclusion(use)
    yield from _few((_gap(use) for use in part.gaps), len(part.gaps), "gaps", every=every)


def shortened(intervals: Sequence[AnyInterval], longest: int = LONGEST) -> list[AnyInterval | Omitted]:
    """Keep the longest intervals that were not up, the first and the last; add up what lies between."""
    others = [each for each in intervals if each.time_class is not TimeClass.UP]
    if len(others) <= longest:
        return list(intervals)
    kept = sorted(others, key=lambda each: each.until - each.from_, reverse=True)[:longest]
    chosen = {id(each) for each in (*kept, intervals[0], intervals[-1])}
    shown: list[AnyInterval | Omitted] = []
    run: list[AnyInterval] = []
    for each in (*intervals, None):
        if each is not None and id(each) not in chosen:
            run.append(each)
            continue
        shown += run if len(run) == 1 else [Omitted(run)] if run else []
        run = []
        if each is not None:
            shown.append(each)
    return shown


def _story(shown: Sequence[AnyInterval | Omitted]) -> Table:
    """Let moments and intervals take turns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(overflow="fold")
    last: AnyInterval | None = None
    for each in shown:
        first = each.intervals[0] if isinstance(each, Omitted) else each
        _add_moment(grid, first.from_, _turn(last, first))
        if isinstance(each, Omitted):
            length, last = each.intervals[-1].until - first.from_, each.intervals[-1]
            words = Text(f"… {len(each.intervals)} intervals: {_by_class(each.lengths())}", "dim")
        else:
            length, last = each.until - each.from_, each
            words = Text(each.time_class.replace("_", " "), _STYLES[each.time_class])
            words.append(f": {printable(each.cause)}", "default")
        grid.add_row(exact_length(length), words)
    if last is not None:
        _add_moment(grid, last.until, _turn(last, None))
    return grid


def _add_moment(grid: Table, at: datetime, words: Iterable[str]) -> None:
    first, *others = words
    grid.add_row(Text(exactly(at), justify="left"), Text(first))
    for each in others:
        grid.add_row("", Text(each))


def _turn(before: AnyInterval | None, after: AnyInterval | None) -> list[str]:
    """Say what happened between two intervals; None is what lies outside the window."""
    words = []
    ended = before.ended_by if before and before.ends_with == "event" else None
    began = after.began_by if after and after.begins_with == "event" else None
    of_port = isinstance(after or before, PortInterval)
    words += [_event(each, of_port=of_port) for each in dict.fromkeys((ended, began)) if each is not None]
    edges = {each for each in (before and before.ends_with, after and after.begins_with) if each}
    if "gap" in edges:
        words.append("a gap begins" if after and after.in_gap else "the gap ends")
    if "exclusion" in edges:
        old = dict.fromkeys(before.exclusion_ids if before else ())
        new = dict.fromkeys(after.exclusion_ids if after else ())
        words += [f"exclusion {printable(name)} ends" for name in old if name not in new]
        words += [f"exclusion {printable(name)} begins" for name in new if name not in old]
    if "as_of" in edges:
        words.append("nothing later is known")
    if before is None and after is not None:
        words.append("the window begins" + _earlier(after))
    if after is None and before is not None:
        words.append("the window ends" + _later(before))
    return words or [_gone(before, after)]


def _gone(before: AnyInterval | None, after: AnyInterval | None) -> str:
    """
    Say what stands between two intervals where no event is left that could be named.

    Log and view were lost there. Closed history is kept up to a midnight, and what goes on from there is what
    the last snapshot said (`domain.remains`).
    """
    at = after.from_ if after else before.until if before else None
    is_midnight = at is not None and at.time() == time.min
    if is_midnight and before is not None and before.class_before is TimeClass.UNOBSERVED:
        return "history begins here: what was said before is gone from log, view and ledger"
    if is_midnight:
        return "history goes on here from the last snapshot: what the log said after this midnight is gone"
    return "an event that is gone: closed days and outages tell of its time alone"


def _earlier(first: AnyInterval) -> str:
    """Say what began before the window."""
    event = first.began_by
    return f"; so since {exactly(event.at)} by {_event(event)}" if event and event.at < first.from_ else ""


def _later(last: AnyInterval) -> str:
    event = last.ended_by
    return f"; so until {exactly(event.at)} by {_event(event)}" if event and event.at > last.until else ""


def _event(event: EventAtEnd, *, of_port: bool = False) -> str:
    """Name an event; of a port with the connector that it changed."""
    of = f" of {printable(event.connector_uid)}" if of_port else ""
    if event.kind == "heartbeat":
        return f"a heartbeat{of}"
    if event.topic is None and (event.event_id or "").startswith(LAST_SNAPSHOT):
        revision = (event.event_id or "").removeprefix(LAST_SNAPSHOT)
        return f"an event{of} that is gone; the last snapshot (revision {revision}) told of it"
    epoch = f" of epoch {event.epoch}" if event.epoch else ""
    place = _place(event.topic, event.partition, event.offset)
    return f"event {printable(event.event_id or '')}{of}, {place}{epoch}, {event.verdict}"


def _place(topic: str | None, partition: int | None, offset: int | None) -> str:
    return ":".join("?" if each is None else str(each) for each in (topic, partition, offset))


def _by_class(lengths: Mapping[TimeClass, timedelta]) -> str:
    return ", ".join(
        f"{each.replace('_', ' ')} {exact_length(lengths[each])}" for each in TimeClass if each in lengths
    )


def _lengths(seconds: Mapping[TimeClass, float]) -> str:
    return _by_class({each: timedelta(seconds=amount) for each, amount in seconds.items()})


def _sums(part: AnyPart) -> Table:
    """Give the sums by class, as a length and in seconds."""
    window = part.window
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=14)
    grid.add_column(justify="right")
    grid.add_column(justify="right")
    rows = [
        (TimeClass.UP, window.up_seconds),
        (TimeClass.DOWN, window.down_seconds),
        (TimeClass.EXCLUDED, window.excluded_seconds),
        (TimeClass.UNOBSERVED, window.unobserved_seconds),
    ]
    if part.out_of_service_seconds:
        rows.append((TimeClass.OUT_OF_SERVICE, part.out_of_service_seconds))
    for time_class, seconds in rows:
        word = Text(time_class.replace("_", " "), _STYLES[time_class])
        grid.add_row(word, exact_length(timedelta(seconds=seconds)), f"{_plain(seconds)} s")
    whole = window.until - window.from_
    grid.add_row("the window", exact_length(whole), f"{_plain(whole.total_seconds())} s")
    return grid


def _plain(seconds: float) -> str:
    """Write seconds with their decimals, if there are any."""
    return f"{seconds:,.6f}".rstrip("0").rstrip(".")


def _numbers(part: AnyPart) -> Iterator[Text]:
    window = part.window
    if window.uptime is None:
        yield Text(f"uptime not known: {part.why_null}", "yellow")
    else:
        up, down = _plain(window.up_seconds), _plain(window.down_seconds)
        yield Text.assemble(
            (f"uptime {share(window.uptime, 3)}", "bold"), f" = up / (up + down) = {up} / ({up} + {down})"
        )
    if window.coverage is not None:
        yield Text(f"coverage {share(window.coverage, 3)} = what is not unobserved of these four")


def _comparison(part: AnyPart) -> Iterator[Text]:
    if part.published is None:
        return
    if part.agrees:
        yield Text("these are the published numbers, to the microsecond", "green")
        return
    yield Text(f"THIS DOES NOT ADD UP: the snapshot says {_four(part.published)}", "bold red")


def _four(window: Window) -> str:
    return (
        f"up {_plain(window.up_seconds)} s, down {_plain(window.down_seconds)} s, "
        f"excluded {_plain(window.excluded_seconds)} s, unobserved {_plain(window.unobserved_seconds)} s"
    )


def _exclusion(use: ExclusionUse) -> Iterator[Text]:
    about = "" if use.connector_uids is None else f", about {', '.join(use.connector_uids)}"
    note = f": {use.note}" if use.note else ""
    yield Text(printable(f"exclusion {use.exclusion_id}, {use.reason}{about}{note}"), "yellow")
    until = "open" if use.until is None else f"to {exactly(use.until)}"
    yield Text(f"  {exactly(use.from_)} {until}, {_length(use.seconds)} in the window")
    rest = f"; the rest: {_lengths(use.rest_seconds)}" if use.rest_seconds else ""
    yield Text(f"  {_length(use.counted_seconds)} counted{rest}")
    yield Text(f"  {use.remark}")


def _gap(use: GapUse) -> Text:
    # A gap covers no time out of service (settled reading 9): that stays what it is.
    taken: dict[TimeClass, float] = dict(use.taken_seconds)
    out_of_service = taken.pop(TimeClass.OUT_OF_SERVICE, None)
    words = [f"unobserved instead of {_lengths(taken)}"] if taken else []
    if out_of_service is not None:
        words.append(f"{_length(out_of_service)} out of service, which it does not cover")
    head = f"gap {exactly(use.from_)} to {exactly(use.until)}, {_length(use.seconds)} in the window"
    return Text(", ".join([head, *words]), "magenta")


def _length(seconds: float) -> str:
    return exact_length(timedelta(seconds=seconds))


def _few(lines: Iterable[Text], count: int, word: str, *, every: bool) -> Iterator[Text]:
    """Give some lines, and say how many more there are."""
    for number, line in enumerate(lines):
        if number == _FEW and not every:
            yield Text(f"and {count - _FEW} more {word}; --all shows them", "dim")
            return
        yield line


def _late(events: Sequence[LateEvent], *, every: bool) -> Iterator[Text]:
    if not events:
        return
    yield Text()
    count = f"{len(events)} event{'' if len(events) == 1 else 's'}"
    yield Text(f"{count} of this window came too late for it, a sign of life at most:", "yellow")
    lines = (
        Text(f"  {exactly(each.at)}  {_place(each.topic, each.partition, each.offset)}") for each in events
    )
    yield from _few(lines, len(events), "late events", every=every)
