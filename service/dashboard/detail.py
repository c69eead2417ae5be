"""
One EVSE's page, assembled from everything the view holds of it.

Numbers come from the snapshot as they are; only the drawing is computed here, from the spans that the numbers
were computed from. Knows no Redis and no HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson

from schemas import view
from schemas.vocabulary import IN_USE, TimeClass
from service.dashboard import timeline
from service.dashboard.reading import Stored
from service.dashboard.rows import Row, row_of
from service.dashboard.timeline import History, Lane, Span
from service.dashboard.wording import DAY, SECOND, parse_time

WINDOW_DAYS = 30
OUTAGES_SHOWN = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Json = Mapping[str, Any]


class Fields(dict[str, Any]):
    """A JSON object of which a field that is absent is null, as the contract has it for optional ones."""

    def __missing__(self, name: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class OutageLine:
    """One line of the list of outages; times in microseconds since 1970, `until` None while it goes on."""

    connector: str
    start: int
    until: int | None
    length: int
    kind: TimeClass
    partly_excluded: bool
    outage: view.Outage


@dataclass(frozen=True, slots=True)
class Period:
    """An exclusion or a gap: times in microseconds since 1970, `until` None while open."""

    start: int
    until: int | None
    reason: str = ""
    note: str = ""
    connectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectorPart:
    """One connector: what was published of it (`evse`, may be empty), its state and numbers, its timeline."""

    uid: str
    name: str
    status: str | None
    online: bool | None
    evse: Json
    state: Json
    window: Json
    lane: Lane


@dataclass(frozen=True, slots=True)
class EvsePage:
    """What the page of one EVSE shows. `clipped`: older spans exist than were read."""

    row: Row
    evse: Json
    snapshot: Json
    window: Json
    as_of: int
    removed_at: int | None
    connectors: Sequence[ConnectorPart]
    port: Lane
    outages: Sequence[OutageLine] = ()
    outages_before: int = 0
    exclusions: Sequence[Period] = ()
    gaps: Sequence[Period] = ()
    clipped: bool = False


@dataclass(slots=True)
class _Material:
    """The stored texts, read."""

    days: dict[str, dict[int, view.Day]] = field(default_factory=dict)
    outages: list[view.Outage] = field(default_factory=list)
    exclusions: list[view.Exclusion] = field(default_factory=list)
    gaps: list[view.Gap] = field(default_factory=list)


def micros(moment: datetime) -> int:
    """Count microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def evse_page(uid: str, stored: Stored, *, all_outages: bool = False) -> EvsePage | None:
    """Assemble a page; None where the document is not whole. Raises ValueError for what cannot be read."""
    row = row_of(uid, stored.document)
    if row is None:
        return None
    snapshot = _lenient(orjson.loads(stored.document["snapshot"]))
    as_of = parse_time(snapshot.get("as_of")) or parse_time(stored.document.get("as_of")) or 0
    material = _read(stored)
    window = _window(snapshot, as_of)
    parts = [
        _connector(state, snapshot["evse"], material, window) for state in snapshot.get("connectors") or ()
    ]
    port = timeline.port_segments([part.lane.segments for part in parts], window)
    names = {part.uid: part.name for part in parts}
    shown = _newest(material.outages, window[0], all_outages=all_outages)
    return EvsePage(
        row=row,
        evse=snapshot["evse"],
        snapshot=snapshot,
        window=_observed(snapshot),
        as_of=as_of,
        removed_at=parse_time(stored.document.get("removed_at")),
        connectors=parts,
        port=timeline.lane("Charging point", port, window),
        outages=[_line(outage, material, as_of, names) for outage in shown],
        outages_before=len(material.outages) - len(shown),
        exclusions=_exclusions(material),
        gaps=[Period(micros(gap.from_), micros(gap.until)) for gap in reversed(material.gaps)],
        clipped=stored.clipped,
    )


def _lenient(value: Any) -> Any:
    if isinstance(value, dict):
        return Fields((name, _lenient(part)) for name, part in value.items())
    return [_lenient(part) for part in value] if isinstance(value, list) else value


def _read(stored: Stored) -> _Material:
    """Read the closed history and the recent one as one; a day that is in both is the sum of the two."""
    material = _Material(
        outages=list(view.parse_outages(reversed(stored.outages))),
        exclusions=list(view.parse_exclusions(dict(stored.exclusions)).values()),
        gaps=list(view.parse_gaps(stored.gaps)),
    )
    for name, text in stored.days.items():
        uid, date = view.parse_day_field(name)
        _add_day(material, uid, date.isoformat(), view.parse_day(text))
    recent = view.parse_recent(stored.document.get("recent") or '{"from": "1970-01-01T00:00:00Z"}')
    for uid, connector in recent.connectors.items():
        for date, day in connector.days.items():
            _add_day(material, uid, date.isoformat(), day)
        material.outages += connector.outages
    material.outages.sort(key=lambda outage: outage.from_)
    return material


def _add_day(material: _Material, uid: str, date: str, day: view.Day) -> None:
    start = micros(datetime.fromisoformat(date).replace(tzinfo=UTC))
    known = material.days.setdefault(uid, {}).setdefault(start, {})
    for key, seconds in day.items():
        known[key] = known.get(key, 0) + seconds


def _observed(described: Json) -> Json:
    """Find the window of the definition that the page shows."""
    windows: Sequence[Json] = described.get("windows") or ()
    return next((window for window in windows if window.get("definition") == "observed"), Fields())


def _window(snapshot: Json, as_of: int) -> tuple[int, int]:
    """Give the window's two ends; never empty, so that it can be drawn."""
    published = _observed(snapshot)
    start = parse_time(published.get("from"))
    until = parse_time(published.get("until")) or as_of
    start = (until // DAY - WINDOW_DAYS) * DAY if start is None else start
    return (start, max(until, start + SECOND))


def _connector(state: Json, evse: Json, material: _Material, window: tuple[int, int]) -> ConnectorPart:
    uid = state["connector_uid"]
    published: Json = next(
        (part for part in evse.get("connectors") or () if part.get("uid") == uid), Fields()
    )
    segments = timeline.connector_segments(_history(uid, material, window[1]), window)
    name = published.get("physical_reference") or published.get("connector_id") or uid
    lane = timeline.lane(name, segments, window)
    status = published.get("status") or state.get("status")
    return ConnectorPart(
        uid=uid,
        name=name,
        status=status if state.get("status_since") or status != "UNKNOWN" else None,
        online=published.get("online"),
        evse=published,
        state=state,
        window=_observed(state),
        lane=_with_use(lane, material.days.get(uid, {})),
    )


def _with_use(lane: Lane, days: Mapping[int, view.Day]) -> Lane:
    shares = [replace(share, in_use=_in_use(days.get(share.start // DAY * DAY))) for share in lane.days]
    return replace(lane, days=shares)


def _seconds(day: view.Day) -> dict[tuple[str | None, bool | None], float]:
    """Keep of a day what is time."""
    return {state: seconds for key, seconds in day.items() if (state := view.state_of(key)) is not None}


def _in_use(day: view.Day | None) -> float | None:
    """Say which share of a day's observed time a connector served somebody; None without any."""
    if not day:
        return None
    seconds = _seconds(day)
    known = sum(length for (status, _), length in seconds.items() if status not in (None, "UNKNOWN"))
    used = sum(
        length for (status, online), length in seconds.items() if status in IN_USE and online is not False
    )
    return used / known if known else None


def _history(uid: str, material: _Material, end: int) -> History:
    spans = [
        Span(micros(outage.from_), end if outage.until is None else micros(outage.until), outage.time_class)
        for outage in material.outages
        if outage.connector_uid == uid
    ]
    return History(
        known_from=_known_from(material.days.get(uid, {}), end),
        spans=spans,
        gaps=[(micros(gap.from_), micros(gap.until)) for gap in material.gaps],
        exclusions=_excluded(uid, material, end),
    )


def _excluded(uid: str, material: _Material, end: int) -> list[tuple[int, int]]:
    return [
        (micros(exclusion.from_), end if exclusion.until is None else micros(exclusion.until))
        for exclusion in material.exclusions
        if exclusion.connector_uids is None or uid in exclusion.connector_uids
    ]


def _known_from(days: Mapping[int, view.Day], end: int) -> int | None:
    """Find since when a connector is accounted for: its first day's seconds end with that day."""
    if not days:
        return None
    first = min(days)
    heard = sum(_seconds(days[first]).values())
    return max(first, min(first + DAY, max(end, first)) - round(heard * SECOND))


def _newest(outages: Sequence[view.Outage], since: int, *, all_outages: bool) -> list[view.Outage]:
    """Choose what is listed, the newest first: all that is known, or the latest of the window."""
    ordered = list(reversed(outages))
    if all_outages:
        return ordered
    inside = (outage for outage in ordered if outage.until is None or micros(outage.until) > since)
    return list(islice(inside, OUTAGES_SHOWN))


def _line(outage: view.Outage, material: _Material, as_of: int, names: Mapping[str, str]) -> OutageLine:
    start = micros(outage.from_)
    until = None if outage.until is None else micros(outage.until)
    end = max(as_of, start) if until is None else until
    kind = outage.time_class
    excused = False
    if kind is TimeClass.DOWN and start < end:
        history = History(start, [Span(start, end, kind)], (), _excluded(outage.connector_uid, material, end))
        times = timeline.tally(timeline.connector_segments(history, (start, end)), start, end)
        kind = kind if TimeClass.DOWN in times else TimeClass.EXCLUDED
        excused = TimeClass.EXCLUDED in times
    name = names.get(outage.connector_uid, outage.connector_uid)
    return OutageLine(name, start, until, end - start, kind, excused and kind is TimeClass.DOWN, outage)


def _exclusions(material: _Material) -> list[Period]:
    periods = [
        Period(
            micros(exclusion.from_),
            None if exclusion.until is None else micros(exclusion.until),
            exclusion.reason,
            exclusion.note or "",
            exclusion.connector_uids or (),
        )
        for exclusion in material.exclusions
    ]
    return sorted(periods, key=lambda period: period.start, reverse=True)
